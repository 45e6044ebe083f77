/*
 * lws-threadpool unit tests - the sync timeout, and who has seen a task
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

/* S5: the time in which nobody answers begins with the SYNC, however long it
 * was at work before */
static void
a_timeout_begins_with_the_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *other = job_new(rig);

	c->manual = true;
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	clock_forward(2 * LWSTP_SYNC_TIMEOUT_SECS);
	gate_open(gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	/* its thread has looked for what is timed out since */
	job_enqueue(tp, other, NULL);
	wait_int(&other->cleanups, 1);
	wait_status(j, LWS_TP_STATUS_SYNCING);

	/* and another minute is not too much, but five more are */
	for (int n = 0; n < 2; n++) {
		clock_forward(n ? LWSTP_SYNC_TIMEOUT_SECS : 60);
		other = job_new(rig);
		job_enqueue(tp, other, NULL);
		wait_int(&other->cleanups, 1);
		if (!n)
			wait_status(j, LWS_TP_STATUS_SYNCING);
	}
	wait_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	lws_threadpool_task_status(j->task, NULL);
}

static bool
timeout_was_told(void *arg)
{
	(void)arg;

	return log_claim(LLL_WARN, "nobody answered its SYNC");
}

/* S5: a thread goes to sleep while nothing is SYNCING, and another has no time
 * to sleep when something is: then the first is woken to watch the time */
static void
a_sleeping_thread_becomes_the_keeper(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = { .size = sizeof(o),
					    .sync_timeout_secs = 1,
					    .sync_spin_us = -1,
					    .pin_tasks = 1 };
	struct lws_threadpool *tp = rig_pool_ext(rig, 2, 10, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *a = gate_new(rig), *b = gate_new(rig),
		    *other = gate_new(rig);
	struct job *first = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *second = job_script(rig, 1, LWS_TP_RETURN_SYNC), *blocker;

	/* nothing times out before its time */
	clock_stop();
	c->manual = true;
	first->gate = b;
	first->gate_call = 1;
	job_enqueue(tp, first, c->wsi);
	wait_status(first, LWS_TP_STATUS_SYNCING);
	/* on the thread that first is pinned to: the other one is busy */
	do {
		blocker = job_block(rig, tp, other);
		if (!pthread_equal(blocker->first_thread, first->first_thread))
			break;
		gate_open(other);
		wait_int(&blocker->cleanups, 1);
		other = gate_new(rig);
	} while (1);
	second->gate = a;
	job_enqueue(tp, second, c->wsi);
	wait_int(&second->calls, 1);
	lws_threadpool_task_sync(first->task, 0);
	/* nothing is SYNCING now, and the other goes to sleep */
	gate_open(other);
	wait_int(&blocker->cleanups, 1);
	wait_until(has_an_idle_thread, pool_of(tp));
	/* second parks, and its thread goes on with first */
	gate_open(a);
	wait_int(&first->calls, 2);
	clock_go();
	wait_until(timeout_was_told, NULL);
	gate_open(b);
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&second->stopping), 1);
}

static int
ask_the_other(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	(void)s;
	if (lws_threadpool_task_status(other->task, NULL) !=
						LWS_TP_STATUS_SYNCING ||
	    lws_threadpool_task_status_noreap(other->task) !=
						LWS_TP_STATUS_SYNCING)
		job_fault(j, "the other is not SYNCING");

	return LWS_TP_RETURN_FINISHED;
}

/* S5: a pool thread that asks has not served it */
static void
a_pool_thread_s_look_does_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *asks = job_new(rig);

	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	asks->fn = ask_the_other;
	asks->priv = parked;
	job_enqueue(tp, asks, NULL);
	wait_int(&asks->cleanups, 1);
	assert_int_equal(unseen_of(parked->task), 1);
	/* the service thread's does */
	lws_threadpool_task_status(parked->task, NULL);
	assert_int_equal(unseen_of(parked->task), 0);

	lws_threadpool_task_sync(parked->task, 0);
	/* it has returned, and its worker told of it */
	wait_until(is_unseen, parked->task);
	lws_threadpool_task_status_noreap(parked->task);
	assert_int_equal(unseen_of(parked->task), 0);
	lws_threadpool_task_status(parked->task, NULL);
}

static void *
ask_for_status(void *task)
{
	if (lws_threadpool_task_status_noreap(task) != LWS_TP_STATUS_SYNCING)
		return task;

	return NULL;
}

/* S5: nor has any other thread that watches it */
static void
another_thread_s_look_does_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	pthread_t watch;
	void *wrong;

	job_enqueue(tp, job_script(rig, 1, LWS_TP_RETURN_SYNC), c->wsi);
	rig_until_cleaned(rig);		/* this thread serves the bell */
	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	wait_int(&parked->returns, 1);
	wait_until(is_unseen, parked->task);
	assert_int_equal(pthread_create(&watch, NULL, ask_for_status,
					parked->task), 0);
	pthread_join(watch, &wrong);
	assert_null(wrong);
	assert_int_equal(unseen_of(parked->task), 1);
	assert_int_equal(lws_threadpool_task_status_noreap(parked->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(unseen_of(parked->task), 0);
	lws_threadpool_task_sync(parked->task, 0);
	c->manual = false;
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_timeout_begins_with_the_sync),
		INSIDE_TEST(a_sleeping_thread_becomes_the_keeper),
		INSIDE_TEST(a_pool_thread_s_look_does_not_count),
		INSIDE_TEST(another_thread_s_look_does_not_count),
	};

	return cmocka_run_group_tests_name("inside-timeouts", tests, NULL, NULL);
}
