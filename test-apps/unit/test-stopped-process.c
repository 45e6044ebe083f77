/*
 * lws-threadpool unit tests - S5, a process that was stopped for longer than
 * the sync timeout, or a machine that slept: the answer may be there already,
 * and its service thread gets a moment to give it before the task is stopped
 *
 * SPDX-License-Identifier: MIT
 *
 * The library's clock stands still here, but for what the test puts it forward.
 * It begins ahead of the system's, so that no wait for a deadline ends by
 * itself.
 *
 * LWSTP_WRAP: clock_gettime
 */

#include "harness.h"

#include <time.h>

#define AHEAD_SECS 3600

static _Atomic(lws_usec_t) frozen; /* 0: the system's clock */

int
__real_clock_gettime(clockid_t clock, struct timespec *ts);
int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	lws_usec_t us = atomic_load(&frozen);

	if (!us)
		return __real_clock_gettime(clock, ts);
	ts->tv_sec = (time_t)(us / LWS_US_PER_SEC);
	ts->tv_nsec = (long)(us % LWS_US_PER_SEC) * 1000;

	return 0;
}

static void
freeze(void)
{
	struct timespec ts;

	__real_clock_gettime(CLOCK_MONOTONIC, &ts);
	atomic_store(&frozen,
		     (lws_usec_t)(ts.tv_sec + AHEAD_SECS) * LWS_US_PER_SEC);
}

static void
go_on(void)
{
	atomic_store(&frozen, 0);
}

/* The thread looks at its timers before it runs this. */
static void
thread_looks(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *j = job_new(rig);

	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->cleanups, 1);
}

static struct job *
parked_for(struct rig *rig, int secs, struct lws_threadpool **tp)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .sync_timeout_secs = secs };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 100, LWS_TP_RETURN_SYNC);

	freeze();
	c->manual = true;
	*tp = rig_pool_ext(rig, 1, 10, &o);
	assert_non_null(job_enqueue(*tp, j, c->wsi));
	wait_status(j, LWS_TP_STATUS_SYNCING);
	/* it has a timer now */
	thread_looks(rig, *tp);

	return j;
}

/* S5: it goes on as if nothing had been, and has its whole time again */
static void
an_answer_that_was_there(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct job *j = parked_for(rig, 10, &tp);

	for (int n = 0; n < 5; n++) {
		atomic_fetch_add(&frozen, 100 * LWS_US_PER_SEC);
		thread_looks(rig, tp);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
		lws_threadpool_task_sync(j->task, 0);
		wait_int(&j->calls, n + 2);
		wait_status(j, LWS_TP_STATUS_SYNCING);
		atomic_fetch_add(&frozen, 9 * LWS_US_PER_SEC);
		thread_looks(rig, tp);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
	}
	assert_int_equal(atomic_load(&j->stopping), 0);
	assert_int_equal(log_unclaimed(), 0);
	go_on();
}

/* S5: no answer is none: a moment later, and not a whole time, it is stopped */
static void
no_answer(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct job *j = parked_for(rig, 10, &tp);

	atomic_fetch_add(&frozen, 100 * LWS_US_PER_SEC);
	thread_looks(rig, tp);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_SYNCING);
	atomic_fetch_add(&frozen, 1 * LWS_US_PER_SEC);
	thread_looks(rig, tp);
	rig_until_int(rig, &j->stopping, 1);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered"), 1);
	go_on();
}

/* S5: without such a jump it is stopped at once */
static void
in_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct job *j = parked_for(rig, 10, &tp);

	atomic_fetch_add(&frozen, 10 * LWS_US_PER_SEC);
	thread_looks(rig, tp);
	rig_until_int(rig, &j->stopping, 1);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered"), 1);
	go_on();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(an_answer_that_was_there),
		RIG_TEST(no_answer),
		RIG_TEST(in_time),
	};

	return cmocka_run_group_tests_name("stopped process", tests, NULL,
					   NULL);
}
