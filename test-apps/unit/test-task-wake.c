/*
 * lws-threadpool unit tests - T10, lws_threadpool_task_wake()
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* It is parked, and stays so */
static void
stays_parked(struct rig *rig, struct lws_threadpool *tp, struct job *j,
	     int calls)
{
	park_wait(tp, j, calls);
	rig_drain(rig);
	assert_int_equal(atomic_load(&j->calls), calls);
}

/* T10: one call for each wake of a parked task, whichever time it parked for;
 * and none by that time afterwards */
static void
wakes_a_parked_one(void **state)
{
	static const lws_usec_t hour = 3600 * LWS_US_PER_SEC,
				second = LWS_US_PER_SEC, more = 600000;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *other = rig_pool(rig, 1, 10);
	struct job *j, *clock;

	j = park_job(rig, 20, &hour);
	job_enqueue(tp, j, NULL);
	for (int calls = 1; calls <= 20; calls++) {
		stays_parked(rig, tp, j, calls);
		lws_threadpool_task_wake(j->task);
	}
	wait_int(&j->cleanups, 1);

	/* woken long before its time, it parks for ever */
	j = park_job(rig, 2, &second);
	job_enqueue(tp, j, NULL);
	park_wait(tp, j, 1);
	j->priv = (void *)(uintptr_t)&park_ever;
	lws_threadpool_task_wake(j->task);
	stays_parked(rig, tp, j, 2);
	clock = park_job(rig, 2, &more);
	job_enqueue(other, clock, NULL);
	wait_int(&clock->cleanups, 1);
	stays_parked(rig, tp, j, 2);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
}

/* T10: a wake before the park makes that a yield; ten are one */
static void
one_is_kept_while_it_runs(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int wakes = 1; wakes <= 10; wakes += 9) {
		struct job *j = park_job(rig, 3, &park_ever);

		j->gate = gate_new(rig);
		job_enqueue(tp, j, NULL);
		wait_int(&j->calls, 1);
		for (int n = 0; n < wakes; n++)
			lws_threadpool_task_wake(j->task);
		gate_open(j->gate);
		stays_parked(rig, tp, j, 2);
		lws_threadpool_task_wake(j->task);
		stays_parked(rig, tp, j, 3);
		lws_threadpool_task_wake(j->task);
		wait_int(&j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 4);
	}
}

/* T10: woken, it is not parked any more: so of those that come before it is
 * called, one is kept for its next park */
static void
one_is_kept_while_it_waits_for_a_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *hold = gate_new(rig);
	struct job *j = park_one(rig, tp, NULL, 9);

	job_block(rig, tp, hold);
	for (int n = 0; n < 10; n++)
		lws_threadpool_task_wake(j->task);
	gate_open(hold);
	stays_parked(rig, tp, j, 3);
	lws_threadpool_task_sync(j->task, 1);
	wait_int(&j->cleanups, 1);
}

/* T10: kept while it is QUEUED, too */
static void
one_is_kept_while_it_is_QUEUED(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *hold = gate_new(rig);
	struct job *j = park_job(rig, 2, &park_ever);

	job_block(rig, tp, hold);
	job_enqueue(tp, j, NULL);
	for (int n = 0; n < 3; n++)
		lws_threadpool_task_wake(j->task);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_QUEUED);
	gate_open(hold);
	stays_parked(rig, tp, j, 2);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 3);
}

/* T10, S4: it answers no SYNC, and is kept over it, for the next park */
static void
one_is_kept_while_it_is_SYNCING(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_park(rig, tp, c->wsi);

	c->manual = true;
	for (int n = 0; n < 5; n++) {
		lws_threadpool_task_wake(j->task);
		rig_drain(rig);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
	}
	assert_int_equal(atomic_load(&j->calls), 1);
	/* from now on it parks twice */
	j->fn = park_step;
	j->repeat = 3;
	j->priv = (void *)(uintptr_t)&park_ever;
	lws_threadpool_task_sync(j->task, 0);
	stays_parked(rig, tp, j, 3);
	lws_threadpool_task_wake(j->task);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->running), 4);
}

/* checks in a few times, then parks */
static int
check_in_then_park(struct job *j, enum lws_threadpool_task_status s)
{
	int calls = atomic_load(&j->running);

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (calls <= 5)
		return LWS_TP_RETURN_CHECKING_IN;

	return calls <= 7 ? (int)lws_threadpool_park(-1) :
			    LWS_TP_RETURN_FINISHED;
}

/* T10: kept until its next park, however many calls that is */
static void
one_is_kept_over_check_ins(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_gated(rig, gate_new(rig));

	j->fn = check_in_then_park;
	job_enqueue(tp, j, NULL);
	wait_int(&j->calls, 1);
	lws_threadpool_task_wake(j->task);
	gate_open(j->gate);
	stays_parked(rig, tp, j, 7);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
}

static int
wake_oneself(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&j->calls) == 5)
		return LWS_TP_RETURN_FINISHED;
	if (atomic_load(&j->calls) & 1) {
		lws_threadpool_task_wake(lws_threadpool_this_task());
		return (int)lws_threadpool_park(-1);
	}
	lws_threadpool_park(-1);
	lws_threadpool_task_wake(lws_threadpool_this_task());

	return LWS_TP_RETURN_CHECKING_IN;
}

/* T10: from its own function: before the mark and after it */
static void
from_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < 2; n++) {
		struct job *j = job_new(rig);

		j->fn = wake_oneself;
		job_enqueue(tp, j, n ? c->wsi : NULL);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 5);
	}
}

static void *
wake_there(void *task)
{
	lws_threadpool_task_wake(task);

	return NULL;
}

static int
wake_another(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	lws_threadpool_task_wake(((struct job *)j->priv)->task);

	return LWS_TP_RETURN_FINISHED;
}

static void
wake_in_cleanup(struct job *j, struct lws *wsi)
{
	(void)wsi;
	lws_threadpool_task_wake(((struct job *)j->priv)->task);
}

/* T10: from any thread: one that knows no pool, another task's, of the same
 * pool or another, and from a cleanup */
static void
from_any_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *other = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_one(rig, tp, c->wsi, 9), *waker;
	pthread_t thread;
	int calls = 1;

	assert_int_equal(pthread_create(&thread, NULL, wake_there, j->task), 0);
	pthread_join(thread, NULL);
	stays_parked(rig, tp, j, ++calls);
	for (int n = 0; n < 6; n++) {
		waker = job_new(rig);
		waker->priv = j;
		if (n & 1)
			waker->fn = wake_another;
		else
			waker->on_cleanup = wake_in_cleanup;
		job_enqueue(n & 2 ? other : tp, waker, n & 4 ? c->wsi : NULL);
		rig_until_int(rig, &waker->cleanups, 1);
		stays_parked(rig, tp, j, ++calls);
	}
	rig_context_destroy(rig);
	wait_int(&j->cleanups, 1);
}

/* T10: what was written before it is seen by the call that follows: parked,
 * RUNNING, and by many threads' wakes */
static int
take_letter(struct job *j, enum lws_threadpool_task_status s)
{
	atomic_int *seen = j->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	/* the first call is before any wake */
	if (atomic_load(&j->calls) > 1)
		atomic_store(seen, j->data);

	return (int)lws_threadpool_park(-1);
}

static void
T2_what_was_written_is_seen(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct job *j = job_new(rig);
	atomic_int seen = 0;

	j->fn = take_letter;
	j->priv = &seen;
	job_enqueue(tp, j, NULL);
	wait_int(&j->calls, 1);
	for (int n = 1; n <= 2000; n++) {
		j->data = n;
		lws_threadpool_task_wake(j->task);
		wait_int(&seen, n);
		if (n & 1)
			wait_int(&j->returns, n + 1);
	}
	lws_threadpool_task_sync(j->task, 1);
	wait_int(&j->cleanups, 1);
}

/* T10, T4: no call after the end, and none for one that was never called */
static void
of_those_that_end(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *done = job_new(rig), *stopped = job_new(rig),
		   *stopping = job_script(rig, 9, LWS_TP_RETURN_CHECKING_IN);

	c->manual = true;
	job_enqueue(tp, done, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	lws_threadpool_task_wake(done->task);
	assert_int_equal(lws_threadpool_task_status_noreap(done->task),
			 LWS_TP_STATUS_FINISHED);

	stopping->gate = hold;
	stopping->stop_gate = gate_new(rig);
	job_enqueue(tp, stopping, c->wsi);
	wait_int(&stopping->calls, 1);
	job_enqueue(tp, stopped, c->wsi);
	lws_threadpool_task_sync(stopped->task, 1);
	lws_threadpool_task_wake(stopped->task);
	lws_threadpool_task_wake(stopping->task);
	lws_threadpool_task_sync(stopping->task, 1);
	lws_threadpool_task_wake(stopping->task);
	gate_open(hold);
	wait_int(&stopping->stopping, 1);
	lws_threadpool_task_wake(stopping->task);
	gate_open(stopping->stop_gate);
	wait_status(stopping, LWS_TP_STATUS_STOPPED);
	rig_until_status(stopped, LWS_TP_STATUS_STOPPED);
	lws_threadpool_task_wake(stopping->task);
	assert_int_equal(atomic_load(&done->calls), 1);
	assert_int_equal(atomic_load(&stopping->calls), 2);
	assert_int_equal(atomic_load(&stopped->calls), 0);
}

/* Q6: stale ones and what never was a task: a line at INFO each, and nothing
 * else; nor does it reach whoever has its place */
static void
Q6_of_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct job *gone = job_new(rig), *parked[50];
	struct lws_threadpool_task *none[] = {
		NULL,	    (void *)(uintptr_t)1, (void *)UINTPTR_MAX,
		(void *)tp, (void *)rig,	  (void *)gone
	};

	job_enqueue(tp, gone, NULL);
	wait_int(&gone->cleanups, 1);
	for (int n = 0; n < 50; n++)
		parked[n] = park_one(rig, tp, NULL, 9);
	log_info();
	log_forget();
	lws_threadpool_task_wake(gone->task);
	assert_int_equal(log_count(LLL_INFO, "lws_threadpool_task_wake"), 1);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		lws_threadpool_task_wake(none[n]);
		assert_int_equal(
			log_count(LLL_INFO, "lws_threadpool_task_wake"), n + 2);
	}
	assert_int_equal(log_unclaimed(), 0);
	rig_drain(rig);
	for (int n = 0; n < 50; n++)
		assert_int_equal(atomic_load(&parked[n]->calls), 1);
	rig_pool_destroy(rig, tp);
	lws_threadpool_task_wake(parked[0]->task);
	rig_context_destroy(rig);
	lws_threadpool_task_wake(parked[0]->task);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(wakes_a_parked_one),
		RIG_TEST(one_is_kept_while_it_runs),
		RIG_TEST(one_is_kept_while_it_waits_for_a_thread),
		RIG_TEST(one_is_kept_while_it_is_QUEUED),
		RIG_TEST(one_is_kept_while_it_is_SYNCING),
		RIG_TEST(one_is_kept_over_check_ins),
		RIG_TEST(from_itself),
		RIG_TEST(from_any_thread),
		RIG_TEST(T2_what_was_written_is_seen),
		RIG_TEST(of_those_that_end),
		RIG_TEST(Q6_of_none),
	};

	return cmocka_run_group_tests_name("T10 wake", tests, NULL, NULL);
}
