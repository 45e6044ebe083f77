/*
 * lws-threadpool unit tests - T9, what calls a parked task besides a wake: each
 * way to ask it to stop, and the loss of its wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* called once, and then once with STOPPING */
static void
was_stopped(struct job *j)
{
	rig_until_int(j->rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

static void
T4_by_task_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < 4; n++) {
		struct job *j = park_one(rig, tp, n & 1 ? c->wsi : NULL, 9);

		j->stop_ret = n & 2 ? LWS_TP_RETURN_FINISHED :
				      LWS_TP_RETURN_CHECKING_IN;
		lws_threadpool_task_sync(j->task, 1);
		lws_threadpool_task_sync(j->task, 1);
		was_stopped(j);
		if (n & 1)
			assert_int_equal(j->reaped_as,
					 n & 2 ? LWS_TP_STATUS_FINISHED :
						 LWS_TP_STATUS_STOPPED);
	}
}

/* Q4: asked to stop and reaped when it ends, 1 */
static void
Q4_by_dequeue(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_one(rig, tp, c->wsi, 9);

	assert_int_equal(lws_threadpool_dequeue_task(j->task), 1);
	assert_int_equal(lws_threadpool_task_attached(j->task), 0);
	wait_int(&j->cleanups, 1);
	was_stopped(j);
	assert_null(j->cleanup_wsi);
}

/* Q4, T5: one that outlives is only detached, 0: it has lost its wsi, so it is
 * called, and may park again */
static void
Q4_by_dequeue_with_OUTLIVE(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_job(rig, 2, &park_ever);

	j->data = LWS_TP_RETURN_FLAG_OUTLIVE;
	job_enqueue(tp, j, c->wsi);
	park_wait(tp, j, 1);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
	park_wait(tp, j, 2);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 3);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* W1: each kind of close, of several parked tasks at once */
static void
W1_by_the_close(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *j[10];

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		for (int n = 0; n < 10; n++)
			j[n] = park_one(rig, tp, c->wsi, 9);
		conn_timeout(c);
		conn_until_closed(c);
		for (int n = 0; n < 10; n++) {
			was_stopped(j[n]);
			assert_null(j[n]->cleanup_wsi);
		}
	}
}

static void *
finish_there(void *tp)
{
	lws_threadpool_finish(tp);

	return NULL;
}

/* P3: by any thread */
static void
P3_by_finish(void **state)
{
	static const lws_usec_t hour = 3600 * LWS_US_PER_SEC;
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[8];
	pthread_t thread;

	for (int there = 0; there < 2; there++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 100);

		for (int n = 0; n < 8; n++) {
			j[n] = park_job(rig, 9, n & 2 ? &hour : &park_ever);
			j[n]->data = n & 4 ? LWS_TP_RETURN_FLAG_OUTLIVE : 0;
			job_enqueue(tp, j[n], n & 1 ? c->wsi : NULL);
			park_wait(tp, j[n], 1);
		}
		if (there) {
			assert_int_equal(pthread_create(&thread, NULL,
							finish_there, tp),
					 0);
			pthread_join(thread, NULL);
		} else
			lws_threadpool_finish(tp);
		for (int n = 0; n < 8; n++) {
			was_stopped(j[n]);
			if (n & 1)
				assert_int_equal(j[n]->reaped_as,
						 LWS_TP_STATUS_STOPPED);
		}
	}
}

/* T9, P3: in a pool that is finishing no call parks: it is told STOPPING */
static void
P3_no_park_while_finishing(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = park_job(rig, 9, &park_ever);

	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	lws_threadpool_finish(tp);
	gate_open(gate);
	was_stopped(j);
}

/* P4: by destroy(), which waits for them, but not for their times */
static void
P4_by_destroy(void **state)
{
	static const lws_usec_t hour = 3600 * LWS_US_PER_SEC;
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[6];

	for (int threads = 1; threads < 4; threads++) {
		struct lws_threadpool *tp = rig_pool(rig, threads, 100);

		for (int n = 0; n < 6; n++) {
			j[n] = park_job(rig, 9, n & 2 ? &hour : &park_ever);
			job_enqueue(tp, j[n], n & 1 ? c->wsi : NULL);
			park_wait(tp, j[n], 1);
		}
		rig_pool_destroy(rig, tp);
		for (int n = 0; n < 6; n++) {
			assert_int_equal(atomic_load(&j[n]->cleanups), 1);
			was_stopped(j[n]);
		}
	}
}

/* P4: the context goes first: those with a wsi lose it */
static void
P4_by_the_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *attached = park_one(rig, tp, c->wsi, 9),
		   *outlives = park_job(rig, 2, &park_ever),
		   *without = park_one(rig, tp, NULL, 9);

	outlives->async_task = 1;
	job_enqueue(tp, outlives, c->wsi);
	park_wait(tp, outlives, 1);
	rig_context_destroy(rig);
	wait_int(&attached->cleanups, 1);
	assert_int_equal(atomic_load(&attached->stopping), 1);
	park_wait(tp, outlives, 2);
	assert_int_equal(atomic_load(&outlives->stopping), 0);
	assert_int_equal(atomic_load(&without->calls), 1);

	/* nor is there any need of it for what they wait for */
	lws_threadpool_task_wake(outlives->task);
	wait_int(&outlives->cleanups, 1);
	rig_pool_destroy(rig, tp);
	was_stopped(without);
}

/* P4: with times that come, when there is no context that could tell them */
static void
P4_timed_without_a_context(void **state)
{
	static const lws_usec_t ms = 1000;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *j[10];

	for (int n = 0; n < 10; n++) {
		j[n] = park_job(rig, 20, &ms);
		job_enqueue(tp, j[n], NULL);
		wait_int(&j[n]->calls, 1);
	}
	rig_context_destroy(rig);
	for (int n = 0; n < 10; n++) {
		wait_int(&j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->running), 21);
	}
}

/* T4: asked again and again, by everybody who can, and woken meanwhile: told
 * once */
static void
T4_many_requests_one_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_one(rig, tp, c->wsi, 9);
	struct gate *hold = gate_new(rig);

	job_block(rig, tp, hold);
	lws_threadpool_task_wake(j->task);
	lws_threadpool_task_sync(j->task, 1);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_STOPPING);
	for (int n = 0; n < 5; n++) {
		lws_threadpool_task_wake(j->task);
		lws_threadpool_task_sync(j->task, n & 1);
	}
	lws_threadpool_finish(tp);
	lws_threadpool_task_wake(j->task);
	gate_open(hold);
	was_stopped(j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(T4_by_task_sync),
		RIG_TEST(Q4_by_dequeue),
		RIG_TEST(Q4_by_dequeue_with_OUTLIVE),
		RIG_TEST(W1_by_the_close),
		RIG_TEST(P3_by_finish),
		RIG_TEST(P3_no_park_while_finishing),
		RIG_TEST(P4_by_destroy),
		RIG_TEST(P4_by_the_context),
		RIG_TEST(P4_timed_without_a_context),
		RIG_TEST(T4_many_requests_one_call),
	};

	return cmocka_run_group_tests_name("T9 ends", tests, NULL, NULL);
}
