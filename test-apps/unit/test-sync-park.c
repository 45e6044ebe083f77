/*
 * lws-threadpool unit tests - S1, SYNC frees the thread
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#define PARKED 1000

static void
count(struct lws_threadpool *tp, int ongoing, int queued)
{
	int o = -1, p = -1, q = -1;

	lws_threadpool_diagnose(tp, &o, &p, &q);
	assert_int_equal(o, ongoing);
	assert_int_equal(q, queued);
}

/* S1: threads are free however many tasks wait for their service thread */
static void
parked_tasks_hold_no_thread(void **state)
{
	struct rig *rig = *state;

	for (int threads = 1; threads <= 2; threads++) {
		struct lws_threadpool *tp = rig_pool(rig, threads, PARKED);
		struct conn *c[10];
		struct job *j[PARKED], *other;

		for (size_t n = 0; n < LWS_ARRAY_SIZE(c); n++) {
			c[n] = conn_open(rig, CONN_RAW);
			c[n]->manual = true;
		}
		for (int n = 0; n < PARKED; n++) {
			j[n] = job_script(rig, 2, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j[n], c[n % 10]->wsi));
		}
		for (int n = 0; n < PARKED; n++)
			wait_status(j[n], LWS_TP_STATUS_SYNCING);

		for (int n = 0; n < 20; n++) {
			other = job_new(rig);
			assert_non_null(job_enqueue(tp, other, NULL));
			rig_until_int(rig, &other->cleanups, 1);
		}
		rig_drain(rig);
		for (int n = 0; n < PARKED; n++) {
			assert_int_equal(atomic_load(&j[n]->calls), 1);
			assert_int_equal(lws_threadpool_task_status(j[n]->task,
								    NULL),
					 LWS_TP_STATUS_SYNCING);
		}

		/* and each can be resumed, the last one first */
		for (int n = PARKED; n-- > 0;) {
			lws_threadpool_task_sync(j[n]->task, 0);
			wait_int(&j[n]->calls, 2);
		}
		for (size_t n = 0; n < LWS_ARRAY_SIZE(c); n++) {
			c[n]->manual = false;
			lws_callback_on_writable(c[n]->wsi);
		}
		rig_until_cleaned(rig);
		for (int n = 0; n < PARKED; n++)
			assert_int_equal(atomic_load(&j[n]->running), 3);
		rig_pool_destroy(rig, tp);
	}
}

/* S1: diagnose() sees no thread at work for SYNCING tasks */
static void
parked_tasks_are_not_ongoing(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j[50], *marker = job_new(rig);

	c->manual = true;
	for (int n = 0; n < 50; n++) {
		j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	for (int n = 0; n < 50; n++)
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	job_block(rig, tp, hold);
	job_block(rig, tp, hold);
	job_enqueue(tp, marker, NULL);
	count(tp, 2, 1);
	gate_open(hold);
	rig_until_int(rig, &marker->cleanups, 1);
	for (int n = 0; n < 50; n++)
		assert_int_equal(lws_threadpool_task_status_noreap(j[n]->task),
				 LWS_TP_STATUS_SYNCING);
}

/* S1: any thread of the pool may resume it: if its first one is busy, another
 * does */
static void
any_thread_resumes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold[2] = { gate_new(rig), gate_new(rig) };
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC), *b[2];
	int held;

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	b[0] = job_block(rig, tp, hold[0]);
	b[1] = job_block(rig, tp, hold[1]);
	/* free the thread that it did not begin on */
	held = pthread_equal(b[0]->first_thread, j->first_thread) ? 0 : 1;
	assert_true(pthread_equal(b[held]->first_thread, j->first_thread));
	gate_open(hold[!held]);
	lws_threadpool_task_sync(j->task, 0);
	wait_int(&j->calls, 2);
	assert_int_equal(atomic_load(&j->moved), 1);
	gate_open(hold[held]);
}

/* The streams of 100 wsi of every kind on 2 threads: all get on (S1, W3) */
static void
two_threads_stream_to_all(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *j[100];

	for (int n = 0; n < 100; n++) {
		struct conn *c = conn_open(rig,
					   (enum conn_kind)(n % CONN_KINDS));

		j[n] = job_script(rig, 100, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 100; n++) {
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 100);
		assert_int_equal(j[n]->reaped_as, LWS_TP_STATUS_FINISHED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(parked_tasks_hold_no_thread),
		RIG_TEST(parked_tasks_are_not_ongoing),
		RIG_TEST(any_thread_resumes),
		RIG_TEST(two_threads_stream_to_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
