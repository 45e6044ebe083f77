/*
 * lws-threadpool unit tests - a task that has left its thread, before the
 * thread knows (P4, P5, N3)
 *
 * SPDX-License-Identifier: MIT
 *
 * A task that SYNCs belongs to its service thread at once.  It may go on, end
 * and be released while the thread that it left still waits for the pool's
 * lock.  That thread is held up there.
 *
 * LWSTP_INSIDE
 * LWSTP_WRAP: pthread_mutex_lock
 */

#include "inside.h"

static _Thread_local struct gate *held_up_at;
static _Thread_local struct lws_threadpool *held_up_tp;
static atomic_int held_up;

int
__real_pthread_mutex_lock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	struct gate *gate = held_up_at;

	if (gate && mutex == &pool_of(held_up_tp)->lock) {
		held_up_at = NULL;
		atomic_fetch_add(&held_up, 1);
		gate_pass(gate);
	}

	return __real_pthread_mutex_lock(mutex);
}

struct left {
	struct lws_threadpool *tp;
	struct gate *gate;
};

/* its first thread is held up once it has SYNCed */
static int
syncs_once(struct job *j, enum lws_threadpool_task_status s)
{
	struct left *l = j->priv;

	(void)s;
	if (atomic_load(&j->calls) > 1)
		return LWS_TP_RETURN_FINISHED;
	held_up_tp = l->tp;
	held_up_at = l->gate;

	return LWS_TP_RETURN_SYNC;
}

static struct job *
leave(struct rig *rig, struct left *l, struct gate *second)
{
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	atomic_store(&held_up, 0);
	l->tp = rig_pool(rig, 2, 10);
	l->gate = gate_new(rig);
	j->name = "the-one-that-left";
	j->fn = syncs_once;
	j->priv = l;
	j->gate = second;
	j->gate_call = 1;
	assert_non_null(job_enqueue(l->tp, j, c->wsi));
	wait_int(&held_up, 1);

	return j;
}

/* P5: a task that is no more is not told of */
static void
a_dump_once_it_is_released(void **state)
{
	struct rig *rig = *state;
	struct left l;
	struct job *j = leave(rig, &l, NULL);

	rig_until_int(rig, &j->cleanups, 1);
	lws_threadpool_dump(l.tp);
	assert_int_equal(log_count(LLL_THREAD, "running"), 0);
	assert_int_equal(log_count(LLL_THREAD, j->name), 0);
	gate_open(l.gate);
}

static int
one_running(const struct lws_threadpool_task_info *info, void *arg)
{
	int *thread = arg;

	*thread = info->thread;

	return 0;
}

/* P5, N3: it runs on the second thread, and on no other */
static void
a_dump_while_another_runs_it(void **state)
{
	struct rig *rig = *state;
	struct gate *second = gate_new(rig);
	struct left l;
	struct job *j = leave(rig, &l, second);
	int thread = -1, n;

	rig_until_int(rig, &j->calls, 2);
	lws_threadpool_dump(l.tp);
	assert_int_equal(log_count(LLL_THREAD, "running: the-one-that-left"),
			 1);
	assert_int_equal(
		lws_threadpool_foreach_task(l.tp, &thread, one_running), 0);
	for (n = 0; n < 2; n++)
		if (!atomic_load(&pool_of(l.tp)->workers[n].is_left))
			assert_int_equal(thread, n);
	gate_open(second);
	rig_until_int(rig, &j->cleanups, 1);
	gate_open(l.gate);
}

/* P4: what destroy() waits for is the thread, and not the task */
static void
destroy_once_it_is_released(void **state)
{
	struct rig *rig = *state;
	struct left l;
	struct job *j = leave(rig, &l, NULL);

	rig_until_int(rig, &j->cleanups, 1);
	/* what is to come after 5 s comes after one */
	clock_forward(-4);
	job_destroy_waits(rig, l.tp, l.gate, "waiting for 5 s for: ");
	assert_int_equal(log_count(LLL_WARN, j->name), 0);
	log_claim(LLL_WARN, "waiting for 5 s for: ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_dump_once_it_is_released),
		INSIDE_TEST(a_dump_while_another_runs_it),
		INSIDE_TEST(destroy_once_it_is_released),
	};

	return cmocka_run_group_tests_name("left", tests, NULL, NULL);
}
