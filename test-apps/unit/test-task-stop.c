/*
 * lws-threadpool unit tests - T4, stop requests
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

/* what a test of this file starts with */
struct stop {
	struct lws_threadpool *tp;
	struct conn *c;
	struct gate *gate;
};

static struct stop
stop_begin(struct rig *rig, int threads)
{
	struct stop s = { rig_pool(rig, threads, 1000),
			  conn_open(rig, CONN_RAW), gate_new(rig) };

	s.c->manual = true;

	return s;
}

static void
ends_as(struct job *j, enum lws_threadpool_task_status s)
{
	rig_until_status_(j, s, "its end", __FILE__, __LINE__);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL), s);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

static struct job *
stopped_in_its_first_call(struct rig *rig, struct stop *s, int first,
			  int answer)
{
	struct job *j = job_script(rig, 1, first);

	j->last = LWS_TP_RETURN_CHECKING_IN;
	j->stop_ret = answer;
	j->gate = s->gate;
	gate_close(s->gate);
	job_enqueue(s->tp, j, s->c->wsi);
	wait_int(&j->calls, 1);
	lws_threadpool_task_sync(j->task, 1);
	gate_open(s->gate);

	return j;
}

/* T4: one call with STOPPING at its next check-in or sync.  FINISHED makes it
 * FINISHED, any other return STOPPED. */
static void
told_once_and_its_answer(void **state)
{
	static const int answers[] = {
		LWS_TP_RETURN_CHECKING_IN,
		LWS_TP_RETURN_SYNC,
		LWS_TP_RETURN_FINISHED,
		LWS_TP_RETURN_STOPPED,
		LWS_TP_RETURN_CHECKING_IN | LWS_TP_RETURN_FLAG_OUTLIVE,
		LWS_TP_RETURN_SYNC | LWS_TP_RETURN_FLAG_OUTLIVE,
		LWS_TP_RETURN_FINISHED | LWS_TP_RETURN_FLAG_OUTLIVE,
		LWS_TP_RETURN_STOPPED | LWS_TP_RETURN_FLAG_OUTLIVE,
	};
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);

	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(answers); n++) {
		int answer = answers[n / 2];
		struct job *j = stopped_in_its_first_call(
			rig, &s,
			n & 1 ? LWS_TP_RETURN_SYNC : LWS_TP_RETURN_CHECKING_IN,
			answer);

		ends_as(j, (answer & ~LWS_TP_RETURN_FLAG_OUTLIVE) ==
					   LWS_TP_RETURN_FINISHED ?
				   LWS_TP_STATUS_FINISHED :
				   LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&j->running), 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
	}
}

/* T4: by the very return of SYNC, which needs no turn of the loop */
static void
told_at_its_sync_at_once(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *j = stopped_in_its_first_call(rig, &s, LWS_TP_RETURN_SYNC,
						  LWS_TP_RETURN_FINISHED);

	wait_int(&j->stopping, 1);
	ends_as(j, LWS_TP_STATUS_FINISHED);
}

/* T4: a return that means nothing is STOPPED here too */
static void
told_once_and_answers_nonsense(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *j = stopped_in_its_first_call(
		rig, &s, LWS_TP_RETURN_CHECKING_IN, 1234);

	wait_status(j, LWS_TP_STATUS_STOPPED);
	ends_as(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_true(log_claim(LLL_ERR, "1234") <= 1);
}

/* T4: unless it ends by itself first */
static void
not_told_if_it_ends_first(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *j;

	j = stopped_in_its_first_call(rig, &s, LWS_TP_RETURN_FINISHED, 0);
	ends_as(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->calls), 1);

	j = stopped_in_its_first_call(rig, &s, LWS_TP_RETURN_STOPPED, 0);
	ends_as(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->calls), 1);
}

/* T4: a SYNCING task is told when it is asked to stop, not later */
static void
parked_is_told(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

	j->stop_ret = LWS_TP_RETURN_FINISHED;
	job_enqueue(s.tp, j, s.c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(j->task, 1);
	ends_as(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->running), 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

/* T4: resumed, and then asked to stop before a thread took it */
static void
resumed_then_stopped_is_told(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

	job_enqueue(s.tp, j, s.c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	job_block(rig, s.tp, s.gate);
	lws_threadpool_task_sync(j->task, 0);
	lws_threadpool_task_sync(j->task, 1);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_STOPPING);
	gate_open(s.gate);
	ends_as(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->running), 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

/* T4: asked again and again, by everybody who can, it is told once */
static void
many_requests_one_call(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *j = job_script(rig, 100, LWS_TP_RETURN_CHECKING_IN);

	j->gate = s.gate;
	j->stop_gate = gate_new(rig);
	job_enqueue(s.tp, j, s.c->wsi);
	wait_int(&j->calls, 1);
	for (int n = 0; n < 5; n++)
		lws_threadpool_task_sync(j->task, 1);
	gate_open(s.gate);
	wait_int(&j->stopping, 1);
	for (int n = 0; n < 5; n++)
		lws_threadpool_task_sync(j->task, n & 1);
	lws_threadpool_finish(s.tp);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 1);
	gate_open(j->stop_gate);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

/* T4: never started, never called: after a stop, finish, dequeue or close */
static void
never_started_is_never_called(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct conn *closing = conn_open(rig, CONN_RAW);
	struct job *by_sync = job_new(rig), *by_dequeue = job_new(rig),
		   *by_close = job_new(rig), *by_finish = job_new(rig),
		   *detached = job_new(rig);

	job_block(rig, s.tp, s.gate);
	job_enqueue(s.tp, by_sync, s.c->wsi);
	job_enqueue(s.tp, by_dequeue, s.c->wsi);
	job_enqueue(s.tp, by_finish, s.c->wsi);
	job_enqueue(s.tp, by_close, closing->wsi);
	job_enqueue(s.tp, detached, NULL);

	lws_threadpool_task_sync(by_sync->task, 1);
	assert_int_equal(lws_threadpool_dequeue_task(by_dequeue->task), 0);
	assert_int_equal(atomic_load(&by_dequeue->cleanups), 1);
	conn_fin(closing);
	conn_until_closed(closing);
	assert_int_equal(atomic_load(&by_close->cleanups), 1);
	lws_threadpool_finish(s.tp);
	assert_int_equal(lws_threadpool_task_status(by_finish->task, NULL),
			 LWS_TP_STATUS_STOPPED);
	gate_open(s.gate);
	ends_as(by_sync, LWS_TP_STATUS_STOPPED);
	rig_until_int(rig, &detached->cleanups, 1);
	assert_int_equal(atomic_load(&by_sync->calls) +
				 atomic_load(&by_dequeue->calls) +
				 atomic_load(&by_close->calls) +
				 atomic_load(&by_finish->calls) +
				 atomic_load(&detached->calls),
			 0);
}

/* T4, S3: its wsi is told of that end though no thread of the pool is free: by
 * a WRITEABLE, which is how the harness comes to reap it */
static void
never_started_is_told_of(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 1);
	struct job *first = job_new(rig), *j;

	/* the WRITEABLE that a wsi's first task asks for is not the one */
	s.c->manual = false;
	job_enqueue(s.tp, first, s.c->wsi);
	rig_until_int(rig, &first->cleanups, 1);
	job_block(rig, s.tp, s.gate);
	for (int n = 0; n < 2; n++) {
		j = job_new(rig);
		job_enqueue(s.tp, j, s.c->wsi);
		rig_drain(rig);
		if (n)
			lws_threadpool_finish(s.tp);
		else
			lws_threadpool_task_sync(j->task, 1);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&j->calls), 0);
	}
	gate_open(s.gate);
}

/* T4, P3: nor while finish() is at work, by threads that become free then */
static void
never_started_while_finishing(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[500], *busy;

	for (int round = 0; round < 10; round++) {
		struct lws_threadpool *tp = rig_pool(rig, 2, 1000);

		for (int n = 0; n < 2; n++) {
			busy = job_script(rig, 0x7fffffff,
					  LWS_TP_RETURN_CHECKING_IN);
			job_enqueue(tp, busy, NULL);
			wait_int(&busy->calls, 1);
		}
		for (int n = 0; n < 500; n++) {
			j[n] = job_new(rig);
			job_enqueue(tp, j[n], n & 1 ? c->wsi : NULL);
		}
		if (round & 1)
			lws_threadpool_finish(tp);
		rig_pool_destroy(rig, tp);
		for (int n = 0; n < 500; n++) {
			assert_int_equal(atomic_load(&j[n]->calls), 0);
			assert_int_equal(atomic_load(&j[n]->cleanups), 1);
		}
	}
}

/* T4: finish() tells running, SYNCING and resumed ones, once each */
static void
finish_tells_all_that_started(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 2);
	struct job *running = job_script(rig, 10, LWS_TP_RETURN_CHECKING_IN),
		   *parked = job_script(rig, 10, LWS_TP_RETURN_SYNC),
		   *resumed = job_script(rig, 10, LWS_TP_RETURN_SYNC);

	job_enqueue(s.tp, parked, s.c->wsi);
	job_enqueue(s.tp, resumed, s.c->wsi);
	wait_status(parked, LWS_TP_STATUS_SYNCING);
	wait_status(resumed, LWS_TP_STATUS_SYNCING);
	running->gate = s.gate;
	job_enqueue(s.tp, running, s.c->wsi);
	wait_int(&running->calls, 1);
	job_block(rig, s.tp, s.gate);
	lws_threadpool_task_sync(resumed->task, 0);
	lws_threadpool_finish(s.tp);
	gate_open(s.gate);
	ends_as(running, LWS_TP_STATUS_STOPPED);
	ends_as(parked, LWS_TP_STATUS_STOPPED);
	ends_as(resumed, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&running->stopping), 1);
	assert_int_equal(atomic_load(&parked->stopping), 1);
	assert_int_equal(atomic_load(&resumed->stopping), 1);
	assert_int_equal(atomic_load(&resumed->running), 1);
}

/* T4 at every moment: a stop that races with the task's check-ins, syncs and
 * end.  The harness fails a second STOPPING or a call after it. */
static void
stops_at_any_moment(void **state)
{
	struct rig *rig = *state;
	struct stop s = stop_begin(rig, 3);
	enum lws_threadpool_task_status st;
	volatile int spin;

	for (int n = 0; n < 3000; n++) {
		struct job *j = job_script(rig, n % 40,
					   n & 1 ? LWS_TP_RETURN_CHECKING_IN :
						   LWS_TP_RETURN_SYNC);

		job_enqueue(s.tp, j, s.c->wsi);
		for (spin = 0; spin < (n * 37) % 3000; spin++)
			;
		lws_threadpool_task_sync(j->task, 0);
		lws_threadpool_task_sync(j->task, 1);
		do
			st = lws_threadpool_task_status(j->task, NULL);
		while (st != LWS_TP_STATUS_FINISHED &&
		       st != LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		if (st == LWS_TP_STATUS_STOPPED)
			assert_true(atomic_load(&j->stopping) == 1 ||
				    !atomic_load(&j->calls));
		else
			assert_int_equal(atomic_load(&j->stopping), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(told_once_and_its_answer),
		RIG_TEST(told_at_its_sync_at_once),
		RIG_TEST(told_once_and_answers_nonsense),
		RIG_TEST(not_told_if_it_ends_first),
		RIG_TEST(parked_is_told),
		RIG_TEST(resumed_then_stopped_is_told),
		RIG_TEST(many_requests_one_call),
		RIG_TEST(never_started_is_never_called),
		RIG_TEST(never_started_is_told_of),
		RIG_TEST(never_started_while_finishing),
		RIG_TEST(finish_tells_all_that_started),
		RIG_TEST(stops_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
