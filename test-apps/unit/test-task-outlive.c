/*
 * lws-threadpool unit tests - T5, tasks that outlive their wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

/* close c, in the way that every kind has */
static void
lose(struct conn *c)
{
	conn_timeout(c);
	conn_until_closed(c);
}

/* T5: the flag on CHECKING_IN, once; its wsi goes; it runs on to FINISHED */
static void
flag_on_checking_in(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 1,
					   LWS_TP_RETURN_CHECKING_IN |
						   LWS_TP_RETURN_FLAG_OUTLIVE);

		j->gate = gate;
		j->gate_call = 1;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->calls, 2);
		lose(c);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_RUNNING);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_int_equal(atomic_load(&j->running), 2);
		assert_null(j->cleanup_wsi);
		assert_false(pthread_equal(j->cleanup_thread, rig->thread));
	}
}

static int
flag_once_then_plain(struct job *j, enum lws_threadpool_task_status s)
{
	int calls = atomic_load(&j->calls);

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (calls == 1)
		return LWS_TP_RETURN_CHECKING_IN | LWS_TP_RETURN_FLAG_OUTLIVE;
	if (calls < 20)
		return LWS_TP_RETURN_CHECKING_IN;

	return calls < 40 ? LWS_TP_RETURN_SYNC : LWS_TP_RETURN_FINISHED;
}

/* T5: once is enough, later returns need no flag; a SYNC without a wsi is the
 * same as CHECKING_IN */
static void
flag_once_is_enough(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate);

	j->fn = flag_once_then_plain;
	j->gate_call = 5;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 6);
	lose(c);
	gate_open(gate);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 40);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* T5: the flag on SYNC; the wsi goes while it is SYNCING: it goes on RUNNING */
static void
flag_on_sync_and_lost_while_parked(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = job_script(rig, 10,
					   LWS_TP_RETURN_SYNC |
						   LWS_TP_RETURN_FLAG_OUTLIVE);

		c->manual = true;
		job_enqueue(tp, j, c->wsi);
		rig_until_status(j, LWS_TP_STATUS_SYNCING);
		lose(c);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 11);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_null(j->cleanup_wsi);
	}
}

/* T5: the wsi goes during the very call that returns the flag with SYNC */
static void
lost_before_the_flag_is_too_late(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(
		rig, 10, LWS_TP_RETURN_SYNC | LWS_TP_RETURN_FLAG_OUTLIVE);

	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	lose(c);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_STOPPING);
	gate_open(gate);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_int_equal(atomic_load(&j->running), 1);
}

/* T5: async_task at the start: the first call need not say anything */
static void
async_task_from_the_start(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 10, LWS_TP_RETURN_SYNC);

		j->async_task = 1;
		j->gate = gate;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->calls, 1);
		lose(c);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 11);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_null(j->cleanup_wsi);
	}
}

/* T5, W1: nor does it have to have begun: it runs, without its wsi */
static void
async_task_still_queued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *hold = gate_new(rig);
		struct job *j = job_script(rig, 10, LWS_TP_RETURN_SYNC);

		job_block(rig, tp, hold);
		j->async_task = 1;
		job_enqueue(tp, j, c->wsi);
		lose(c);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_QUEUED);
		gate_open(hold);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 11);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_null(j->cleanup_wsi);
	}
}

/* T5: without the flag or async_task the loss of the wsi is a stop request */
static void
others_are_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 10, LWS_TP_RETURN_CHECKING_IN);

		j->gate = gate;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->calls, 1);
		lose(c);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
		assert_null(j->cleanup_wsi);
	}
}

/* T5: while it has its wsi an outliving task is SYNCING like any other, and is
 * reaped there */
static void
parks_while_it_has_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct job *j = job_script(rig, 6,
				   LWS_TP_RETURN_SYNC |
					   LWS_TP_RETURN_FLAG_OUTLIVE),
		   *async = job_script(rig, 6, LWS_TP_RETURN_SYNC);

	async->async_task = 1;
	job_enqueue(tp, j, c->wsi);
	job_enqueue(tp, async, c->wsi);
	rig_until_cleaned(rig);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 6);
	assert_int_equal(async->seen[LWS_TP_STATUS_SYNCING], 6);
	assert_ptr_equal(j->cleanup_wsi, c->wsi);
	assert_ptr_equal(async->cleanup_wsi, c->wsi);
}

/* T5: finish() still stops it, with its wsi and without */
static void
finish_still_stops_it(void **state)
{
	struct rig *rig = *state;

	for (int lost = 0; lost < 2; lost++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 1000,
					   LWS_TP_RETURN_CHECKING_IN |
						   LWS_TP_RETURN_FLAG_OUTLIVE);

		j->gate = gate;
		j->gate_call = 2;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->calls, 3);
		if (lost)
			lose(c);
		lws_threadpool_finish(tp);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
		assert_int_equal(atomic_load(&j->running), 3);
	}
}

/* T5, T4: an explicit stop does stop it */
static void
sync_with_stop_still_stops_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(
		rig, 1000, LWS_TP_RETURN_SYNC | LWS_TP_RETURN_FLAG_OUTLIVE);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(j->task, 1);
	wait_status(j, LWS_TP_STATUS_STOPPED);
	lws_threadpool_task_status(j->task, NULL);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

/* T5: the flag on an end is that end (FINISHED, STOPPED), reaped as always */
static void
flag_on_an_end(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *f = job_new(rig), *s = job_new(rig);

	f->last = LWS_TP_RETURN_FINISHED | LWS_TP_RETURN_FLAG_OUTLIVE;
	s->last = LWS_TP_RETURN_STOPPED | LWS_TP_RETURN_FLAG_OUTLIVE;
	job_enqueue(tp, f, c->wsi);
	job_enqueue(tp, s, c->wsi);
	rig_until_cleaned(rig);
	assert_int_equal(f->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_int_equal(s->reaped_as, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&f->calls), 1);
	assert_int_equal(atomic_load(&s->calls), 1);
}

/* T5 in numbers: wsi that go at any moment, all of it runs on to the end */
static void
many_lose_their_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 1000);
	struct conn *c[30];
	struct job *j[30];

	for (int n = 0; n < 30; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		j[n] = job_script(rig, 200,
				  n & 1 ? LWS_TP_RETURN_SYNC :
					  LWS_TP_RETURN_CHECKING_IN);
		j[n]->async_task = 1;
		job_enqueue(tp, j[n], c[n]->wsi);
		wait_int(&j[n]->calls, 1);
		rig_turns(rig, n % 4);
		conn_fin(c[n]);
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 30; n++) {
		assert_int_equal(atomic_load(&j[n]->running), 201);
		assert_int_equal(atomic_load(&j[n]->stopping), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(flag_on_checking_in),
		RIG_TEST(flag_once_is_enough),
		RIG_TEST(flag_on_sync_and_lost_while_parked),
		RIG_TEST(lost_before_the_flag_is_too_late),
		RIG_TEST(async_task_from_the_start),
		RIG_TEST(async_task_still_queued),
		RIG_TEST(others_are_stopped),
		RIG_TEST(parks_while_it_has_its_wsi),
		RIG_TEST(finish_still_stops_it),
		RIG_TEST(sync_with_stop_still_stops_it),
		RIG_TEST(flag_on_an_end),
		RIG_TEST(many_lose_their_wsi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
