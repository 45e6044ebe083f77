/*
 * lws-threadpool unit tests - D1, queue_ms: a task that has not started by then
 * is STOPPED, and never called
 *
 * SPDX-License-Identifier: MIT
 */

#include <limits.h>

#include "task-options.h"

/* what its cleanup was told */
static void
note_end(struct job *j, struct lws *wsi)
{
	(void)wsi;
	j->data = (int)lws_threadpool_end_reason() * 16 +
		  (int)lws_threadpool_end_status();
}

static struct job *
noting_job(struct rig *rig)
{
	struct job *j = job_new(rig);

	j->on_cleanup = note_end;

	return j;
}

/* stopped for that reason, and never called */
static void
was_late(struct job *j)
{
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(atomic_load(&j->calls), 0);
	assert_int_equal(j->data,
			 LWS_TP_STOP_QUEUE_MS * 16 + LWS_TP_STATUS_STOPPED);
}

/* a pool of so many threads, all of which are in a task until `hold` opens */
static struct lws_threadpool *
busy_pool(struct rig *rig, int threads, int depth, struct gate *hold)
{
	struct lws_threadpool *tp = rig_pool(rig, threads, depth);

	while (threads--)
		job_block(rig, tp, hold);

	return tp;
}

/* D1: that is when it is needed; T7: with a wsi it is reaped there, after its
 * WRITEABLE, and without one it reaps itself */
static void
D1_told_while_all_threads_are_busy(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);

	for (int threads = 1; threads < 4; threads++) {
		struct lws_threadpool *tp = busy_pool(rig, threads, 10, hold);
		struct job *j = noting_job(rig), *without = noting_job(rig);

		enqueue_timed(tp, j, c->wsi, 20, 0);
		enqueue_timed(tp, without, NULL, 30, 0);
		rig_until_int(rig, &j->cleanups, 1);
		assert_ptr_equal(j->cleanup_wsi, c->wsi);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
		was_late(j);
		rig_until_int(rig, &without->cleanups, 1);
		assert_null(without->cleanup_wsi);
		was_late(without);
	}
	claim_times();
}

/* D1: its status says so, before it is reaped */
static void
D1_its_status(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = busy_pool(rig, 1, 10, gate_new(rig));
	struct job *j = noting_job(rig);
	struct moment before = moment_in(50);

	c->manual = true;
	enqueue_timed(tp, j, c->wsi, 50, 0);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_true(moment_is_past(&before) || lws_now_usecs() == before.at);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_STOPPED);
	was_late(j);
	claim_times();
}

/* D1: nobody told it, since the service thread was busy as well: then the
 * thread that would have called it does not */
static void
D1_whatever_held_it_back(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct lws_threadpool *tp = busy_pool(rig, 1, 10, hold);
	struct job *j[4];
	struct moment past;

	for (int n = 0; n < 4; n++) {
		j[n] = noting_job(rig);
		enqueue_timed(tp, j[n], n & 1 ? c->wsi : NULL, 10, 0);
	}
	past = moment_in(20);
	wait_until(moment_is_past, &past);
	gate_open(hold);
	for (int n = 0; n < 4; n++) {
		rig_until_int(rig, &j[n]->cleanups, 1);
		was_late(j[n]);
	}
	claim_times();
}

/* D1: one that has started may take its time, running, SYNCING, parked, or
 * waiting for a thread again */
static void
D1_not_of_what_has_started(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *syncs = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *parks = park_job(rig, 1, &park_ever),
		   *woken = park_job(rig, 1, &park_ever), *runs;
	struct gate *hold = gate_new(rig);
	struct moment past;

	c->manual = true;
	enqueue_timed(tp, syncs, c->wsi, 2000, 0);
	enqueue_timed(tp, parks, c->wsi, 2000, 0);
	enqueue_timed(tp, woken, NULL, 2000, 0);
	wait_int(&syncs->returns, 1);
	wait_int(&parks->returns, 1);
	park_wait(tp, woken, 1);
	runs = job_gated(rig, hold);
	enqueue_timed(tp, runs, c->wsi, 2000, 0);
	wait_int(&runs->calls, 1);
	lws_threadpool_task_wake(woken->task);
	past = moment_in(2100);
	rig_until(rig, moment_is_past, &past);
	rig_drain(rig);
	assert_int_equal(lws_threadpool_task_status_noreap(syncs->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status_noreap(runs->task),
			 LWS_TP_STATUS_RUNNING);
	assert_int_equal(lws_threadpool_task_status_noreap(parks->task),
			 LWS_TP_STATUS_RUNNING);
	gate_open(hold);
	lws_threadpool_task_wake(parks->task);
	lws_threadpool_task_sync(syncs->task, 0);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&syncs->running), 2);
	assert_int_equal(atomic_load(&parks->running), 2);
	assert_int_equal(atomic_load(&woken->running), 2);
	assert_int_equal(atomic_load(&runs->running), 1);
}

/* P2: its place in the queue is free again */
static void
D1_P2_its_place_is_free(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = busy_pool(rig, 1, 2, gate_new(rig));
	int depth;

	for (int n = 0; n < 5; n++) {
		struct job *j[2] = { noting_job(rig), noting_job(rig) };

		enqueue_timed(tp, j[0], NULL, 20, 0);
		enqueue_timed(tp, j[1], NULL, 10, 0);
		rig_until_int(rig, &j[0]->cleanups, 1);
		rig_until_int(rig, &j[1]->cleanups, 1);
		lws_threadpool_diagnose(tp, NULL, NULL, &depth);
		assert_int_equal(depth, 0);
	}
	claim_times();
}

/* D1: a time that comes before those that are waited for, and some that never
 * come */
static void
D1_times_of_all_lengths(void **state)
{
	static const int ms[] = { INT_MAX, 3600000, 0,	INT_MAX - 1, 40,
				  1,	   20,	    30, 10 };
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct lws_threadpool *tp = busy_pool(rig, 1, 100, hold);
	struct job *j[LWS_ARRAY_SIZE(ms)];

	for (size_t n = 0; n < LWS_ARRAY_SIZE(ms); n++) {
		j[n] = noting_job(rig);
		enqueue_timed(tp, j[n], n & 1 ? c->wsi : NULL, ms[n], 0);
		/* alone, so that the service thread waits for it, or not */
		if (n < 6)
			rig_drain(rig);
	}
	for (size_t n = 4; n < LWS_ARRAY_SIZE(ms); n++) {
		rig_until_int(rig, &j[n]->cleanups, 1);
		was_late(j[n]);
	}
	for (int n = 0; n < 4; n++)
		assert_int_equal(lws_threadpool_task_status_noreap(j[n]->task),
				 LWS_TP_STATUS_QUEUED);
	gate_open(hold);
	for (int n = 0; n < 4; n++) {
		rig_until_int(rig, &j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->running), 1);
		assert_int_equal(j[n]->data, LWS_TP_STATUS_FINISHED);
	}
	claim_times();
}

/* D1: thousands at once */
static void
D1_many(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct lws_threadpool *tp = busy_pool(rig, 2, 2000, hold);
	struct job *j[2000];

	rig->any_log = true; /* a line for each */
	for (int n = 0; n < 2000; n++) {
		j[n] = noting_job(rig);
		enqueue_timed(tp, j[n], n % 5 ? NULL : c->wsi,
			      1 + n * 7919 % 100, 0);
	}
	for (int n = 0; n < 2000; n++) {
		rig_until_int(rig, &j[n]->cleanups, 1);
		was_late(j[n]);
	}
}

/* D1: the moment at which a thread takes it: called, or late, and not both */
static void
D1_as_it_starts(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	rig->any_log = true;
	for (int n = 0; n < 200; n++) {
		struct job *j = noting_job(rig);
		struct moment past = { lws_now_usecs() + 900 + n };
		struct gate *hold = gate_new(rig);

		job_block(rig, tp, hold);
		enqueue_timed(tp, j, n & 1 ? c->wsi : NULL, 1, 0);
		rig_until(rig, moment_is_past, &past);
		gate_open(hold);
		rig_until_int(rig, &j->cleanups, 1);
		if (atomic_load(&j->calls))
			assert_int_equal(j->data, LWS_TP_STATUS_FINISHED);
		else
			was_late(j);
	}
}

/* D1: whoever ended before its time is not told again */
static void
D1_of_those_that_ended_before(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW), *closing;
	struct gate *hold = gate_new(rig);
	struct lws_threadpool *tp = busy_pool(rig, 1, 10, hold);
	struct job *j[5], *late = noting_job(rig);

	closing = conn_open(rig, CONN_RAW);
	c->manual = true;
	for (int n = 0; n < 5; n++) {
		j[n] = noting_job(rig);
		enqueue_timed(tp, j[n],
			      n == 4 ? NULL :
			      n == 3 ? closing->wsi :
				       c->wsi,
			      1000, 0);
	}
	lws_threadpool_task_sync(j[0]->task, 1);
	lws_threadpool_dequeue_task(j[1]->task);
	lws_threadpool_task_sync(j[4]->task, 1);
	conn_fin(closing);
	conn_until_closed(closing);
	enqueue_timed(tp, late, c->wsi, 1200, 0);
	rig_until_status(late, LWS_TP_STATUS_STOPPED);
	lws_threadpool_task_status(j[0]->task, NULL);
	lws_threadpool_task_status(j[2]->task, NULL);
	lws_threadpool_task_status(late->task, NULL);
	for (int n = 0; n < 5; n++)
		assert_int_equal(j[n]->data / 16,
				 n == 2 ? LWS_TP_STOP_QUEUE_MS :
				 n == 3 ? LWS_TP_STOP_CLOSED :
					  LWS_TP_STOP_ASKED);
	was_late(late);
	claim_times();
}

/* D1, P3, P4: a pool, and a context, that end with such times to come */
static void
D1_and_the_end(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int gone = 0; gone < 2; gone++) {
		struct gate *hold = gate_new(rig);
		struct lws_threadpool *tp = busy_pool(rig, 1, 10, hold);
		struct job *j[2] = { noting_job(rig), noting_job(rig) };

		enqueue_timed(tp, j[0], NULL, 60000, 0);
		enqueue_timed(tp, j[1], c->wsi, 60000, 0);
		if (gone)
			rig_context_destroy(rig);
		lws_threadpool_finish(tp);
		gate_open(hold);
		rig_pool_destroy(rig, tp);
		assert_int_equal(j[0]->data / 16, LWS_TP_STOP_FINISH);
		assert_int_equal(j[1]->data / 16, gone ? LWS_TP_STOP_CLOSED :
							 LWS_TP_STOP_FINISH);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(D1_told_while_all_threads_are_busy),
		RIG_TEST(D1_its_status),
		RIG_TEST(D1_whatever_held_it_back),
		RIG_TEST(D1_not_of_what_has_started),
		RIG_TEST(D1_P2_its_place_is_free),
		RIG_TEST(D1_times_of_all_lengths),
		RIG_TEST(D1_many),
		RIG_TEST(D1_as_it_starts),
		RIG_TEST(D1_of_those_that_ended_before),
		RIG_TEST(D1_and_the_end),
	};

	return cmocka_run_group_tests_name("D1 queue_ms", tests, NULL, NULL);
}
