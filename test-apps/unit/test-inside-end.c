/*
 * lws-threadpool unit tests - the end of a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include <unistd.h>

#include "inside.h"

/* it waits for work again, or has left */
static bool
its_thread_has_looked(void *arg)
{
	struct lwstp_pool *pool = arg;
	bool left;

	lwstp_lock(pool);
	left = !pool->alive;
	lwstp_unlock(pool);

	return left || has_an_idle_thread(pool);
}

/* P3, T4: a task that is SYNCING is stopped last, by its service thread.  No
 * thread leaves before. */
static void
no_thread_leaves_a_parked_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *parked = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC),
		   *late = job_new(rig), *runs;

	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	wait_status(parked, LWS_TP_STATUS_SYNCING);
	runs = job_block(rig, tp, gate);
	job_enqueue(tp, late, NULL);

	lws_threadpool_finish(tp);
	assert_int_equal(atomic_load(&late->cleanups), 1);
	gate_open(gate);
	wait_int(&runs->cleanups, 1);
	wait_until(its_thread_has_looked, pool_of(tp));
	/* what was queued is not started by it either */
	assert_int_equal(atomic_load(&late->calls), 0);
	rig_until_status(parked, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&parked->stopping), 1);
	lws_threadpool_task_status(parked->task, NULL);
}

static struct lwstp_pool *told_of;

static bool
is_the_last(void)
{
	bool last;

	lwstp_lock(told_of);
	last = told_of->alive == 1;
	lwstp_unlock(told_of);

	return last;
}

static void
stay_until_the_others_left(const char *line)
{
	if (strstr(line, "nobody answered"))
		while (!is_the_last())
			usleep(1000);
}

/* P4: a thread that tells the log of a timeout, for as long as it takes for the
 * others to leave, leaves too */
static void
a_thread_that_logs_leaves_last(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked, *j = job_new(rig);

	c->manual = true;
	parked = job_park(rig, tp, c->wsi);
	told_of = pool_of(tp);
	atomic_store(&log_told, stay_until_the_others_left);
	clock_forward(LWSTP_SYNC_TIMEOUT_SECS);
	job_enqueue(tp, j, NULL);
	log_wait(LLL_WARN, "nobody answered its SYNC", 1);
	rig_until_status(parked, LWS_TP_STATUS_STOPPED);
	rig_pool_destroy(rig, tp);
	atomic_store(&log_told, NULL);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
}

/* P4: of many it names those that there is room for in a line */
static void
destroy_names_many_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 20, 10);
	struct gate *g = gate_new(rig);
	struct job *j[20];
	int n;

	for (n = 0; n < 20; n++) {
		j[n] = job_gated(rig, g);
		j[n]->name = "a-name-that-is-as-long-as-a-name-of-a-task-is";
		assert_non_null(job_enqueue(tp, j[n], NULL));
		wait_int(&j[n]->calls, 1);
	}
	/* what is to come after 5 s comes after one */
	clock_forward(-4);
	job_destroy_waits(rig, tp, g, "waiting for");
	for (n = 0; n < 20; n++)
		assert_int_equal(atomic_load(&j[n]->cleanups), 1);
	assert_true(log_count(LLL_WARN,
			      "waiting for 5 s for: a-name-that-is-as"
			      "-long-as-a-name-of-a-task-is, a-name") >= 1);
	log_claim(LLL_WARN, "waiting for");
}

static void
open_in_the_cleanup(struct job *j, struct lws *wsi)
{
	(void)wsi;
	gate_pass(j->priv);
}

/* P4: a cleanup that takes long is told of by the name that its task had */
static void
destroy_names_a_cleanup(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct gate *g = gate_new(rig);
	struct job *j = job_new(rig);

	j->name = "cleans-up";
	j->on_cleanup = open_in_the_cleanup;
	j->priv = g;
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->returns, 1);
	clock_forward(-4);
	job_destroy_waits(rig, tp, g, "waiting for");
	assert_true(log_claim(LLL_WARN, "for 5 s for: cleans-up") >= 1);
	log_claim(LLL_WARN, "waiting for");
}

static atomic_int cleaning;

static void
clean_up_at_a_gate(struct job *j, struct lws *wsi)
{
	(void)wsi;
	atomic_fetch_add(&cleaning, 1);
	gate_pass(j->priv);
}

static void *
finish(void *tp)
{
	lws_threadpool_finish(tp);

	return NULL;
}

/* P4: so is one of a task that was queued when the pool was finished */
static void
destroy_names_a_cleanup_of_the_queued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *first = gate_new(rig), *second = gate_new(rig), *runs;
	struct job *queued[2];
	pthread_t finisher;

	runs = gate_new(rig);
	job_block(rig, tp, runs);
	atomic_store(&cleaning, 0);
	for (int n = 0; n < 2; n++) {
		queued[n] = job_new(rig);
		queued[n]->name = n ? "cleans-up" : "is-finish()'s";
		queued[n]->on_cleanup = clean_up_at_a_gate;
		queued[n]->priv = n ? second : first;
		assert_non_null(job_enqueue(tp, queued[n], NULL));
	}
	assert_int_equal(pthread_create(&finisher, NULL, finish, tp), 0);
	wait_int(&cleaning, 1);
	gate_open(runs);
	wait_int(&cleaning, 2);
	gate_open(first);
	pthread_join(finisher, NULL);

	clock_forward(-4);
	job_destroy_waits(rig, tp, second, "waiting for");
	assert_true(log_claim(LLL_WARN, "for 5 s for: cleans-up") >= 1);
	log_claim(LLL_WARN, "waiting for");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(no_thread_leaves_a_parked_task),
		INSIDE_TEST(a_thread_that_logs_leaves_last),
		INSIDE_TEST(destroy_names_many_tasks),
		INSIDE_TEST(destroy_names_a_cleanup),
		INSIDE_TEST(destroy_names_a_cleanup_of_the_queued),
	};

	return cmocka_run_group_tests_name("inside-end", tests, NULL, NULL);
}
