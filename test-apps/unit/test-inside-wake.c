/*
 * lws-threadpool unit tests - which threads are woken for what
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

#define MANY 64 /* a spinner would have taken them */

/* S2: a thread looks out for what is enqueued, and has lost its processor.
 * When much came, another is woken. */
static void
a_spinner_that_is_late_is_not_waited_for(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, MANY + 1);
	struct lwstp_pool *pool = pool_of(tp);
	struct job *j = NULL;
	int n;

	wait_until(has_an_idle_thread, pool);
	atomic_store(&pool->unspun, 0);
	atomic_store(&pool->spinner, true);
	for (n = 0; n <= MANY; n++) {
		assert_true(has_an_idle_thread(pool));
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
	}
	wait_int(&j->cleanups, 1);
	atomic_store(&pool->spinner, false);
}

static unsigned int
idle_of(const struct lwstp_pool *pool)
{
	unsigned int idle = 0;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(pool->idle); n++)
		idle += (unsigned int)
			__builtin_popcount(atomic_load(&pool->idle[n]));

	return idle;
}

static bool
all_sleep(void *arg)
{
	struct lwstp_pool *pool = arg;

	return idle_of(pool) == (unsigned int)pool->threads;
}

/* S2: while one is on its way no other is woken; and more threads than fit into
 * one word of bits are woken, one by the other */
static void
one_is_woken_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 70, 100);
	struct lwstp_pool *pool = pool_of(tp);
	struct gate *gate = gate_new(rig);
	struct job *j[70];

	wait_until(all_sleep, pool);
	atomic_store(&pool->waking, true);
	for (int n = 0; n < 69; n++) {
		j[n] = job_gated(rig, gate);
		assert_non_null(job_enqueue(tp, j[n], NULL));
	}
	assert_int_equal(idle_of(pool), 70);
	atomic_store(&pool->waking, false);
	j[69] = job_gated(rig, gate);
	assert_non_null(job_enqueue(tp, j[69], NULL));
	for (int n = 0; n < 70; n++)
		wait_int(&j[n]->calls, 1);
	assert_int_equal(idle_of(pool), 0);
	assert_false(atomic_load(&pool->waking));
	gate_open(gate);
	for (int n = 0; n < 70; n++)
		wait_int(&j[n]->cleanups, 1);
	wait_until(all_sleep, pool);
}

/* What has left the queue is no work to a thread that looks out for some: it
 * would look for ever. */
static void
what_is_dequeued_is_no_work(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lwstp_pool *pool = pool_of(tp);
	struct gate *gate = gate_new(rig);
	struct job *j[3];

	job_block(rig, tp, gate);
	for (int n = 0; n < 3; n++) {
		j[n] = job_new(rig);
		job_enqueue(tp, j[n], NULL);
	}
	lws_threadpool_dequeue_task(j[1]->task);
	assert_int_equal(atomic_load(&pool->listed), 2);
	lws_threadpool_finish(tp);
	assert_int_equal(atomic_load(&pool->listed), 0);
	gate_open(gate);
}

/* S1: a task that is pinned to a thread that is at work waits for that, and for
 * no other one */
static void
a_pinned_task_waits_for_its_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = { .size = sizeof(o), .pin_tasks = 1 };
	struct lws_threadpool *tp = rig_pool_ext(rig, 2, 10, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j, *blocker[2];

	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	for (int n = 0; n < 2; n++) {
		blocker[n] = job_gated(rig, n ? gate : gate_new(rig));
		job_enqueue(tp, blocker[n], NULL);
		wait_int(&blocker[n]->calls, 1);
	}
	lws_threadpool_task_sync(j->task, 0);
	/* the other one has nothing to do with it */
	for (int n = 0; n < 2; n++)
		if (!pthread_equal(blocker[n]->first_thread, j->first_thread))
			gate_open(blocker[n]->gate);
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_int_equal(atomic_load(&j->calls), 1);
	for (int n = 0; n < 2; n++)
		gate_open(blocker[n]->gate);
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&j->moved), 0);
}

/* S1: nor is it work to another thread that looks out for some: that would look
 * for as long as the task waits */
static void
a_pinned_task_is_no_work_for_another(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = { .size = sizeof(o), .pin_tasks = 1 };
	struct lws_threadpool *tp = rig_pool_ext(rig, 2, 10, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j, *busy[2];

	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	/* each thread has one, which parks when it is let go */
	for (int n = 0; n < 2; n++) {
		busy[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		busy[n]->gate = gate_new(rig);
		job_enqueue(tp, busy[n], c->wsi);
		wait_int(&busy[n]->calls, 1);
	}
	lws_threadpool_task_sync(j->task, 0);
	for (int n = 0; n < 2; n++)
		if (!pthread_equal(busy[n]->first_thread, j->first_thread))
			gate_open(busy[n]->gate);
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_int_equal(atomic_load(&j->calls), 1);
	for (int n = 0; n < 2; n++)
		gate_open(busy[n]->gate);
	serve_the_rest(rig, c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_spinner_that_is_late_is_not_waited_for),
		INSIDE_TEST(one_is_woken_at_a_time),
		INSIDE_TEST(what_is_dequeued_is_no_work),
		INSIDE_TEST(a_pinned_task_waits_for_its_thread),
		INSIDE_TEST(a_pinned_task_is_no_work_for_another),
	};

	return cmocka_run_group_tests_name("inside-wake", tests, NULL, NULL);
}
