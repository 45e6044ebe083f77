/*
 * lws-threadpool unit tests - T9, parked tasks: for how long, and what they
 * hold meanwhile
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* other tasks have its thread, so many of them */
static void
others_run(struct rig *rig, struct lws_threadpool *tp, int n)
{
	struct job *j;

	while (n--) {
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
		wait_int(&j->cleanups, 1);
	}
}

/* T9: no thread, no place in the queue; RUNNING; called again after a wake */
static void
T9_until_it_is_woken(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct conn *c = conn_open(rig, CONN_RAW);
	int ongoing, possible, depth;
	struct job *j;

	for (int n = 0; n < 4; n++) {
		j = park_one(rig, tp, n & 1 ? c->wsi : NULL, 2);
		for (int woken = 1; woken < 3; woken++) {
			assert_int_equal(
				lws_threadpool_task_status_noreap(j->task),
				LWS_TP_STATUS_RUNNING);
			lws_threadpool_diagnose(tp, &ongoing, &possible,
						&depth);
			assert_int_equal(ongoing, 0);
			assert_int_equal(possible, 1);
			assert_int_equal(depth, 0);
			others_run(rig, tp, 20);
			rig_drain(rig);
			assert_int_equal(atomic_load(&j->calls), woken);
			lws_threadpool_task_wake(j->task);
			park_wait(tp, j, woken + 1);
		}
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 3);
		assert_int_equal(atomic_load(&j->stopping), 0);
	}
}

/* T9: it asks for no WRITEABLE, and is not what its wsi is to look at; S4: it
 * is not SYNCING, so an answer does nothing */
static void
T9_no_WRITEABLE(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_one(rig, tp, c->wsi, 21), *done = job_new(rig);
	int writeables;

	rig_drain(rig);
	writeables = c->writeables;
	for (int n = 1; n < 21; n++) {
		lws_threadpool_task_sync(j->task, 0);
		rig_drain(rig);
		assert_int_equal(atomic_load(&j->calls), n);
		lws_threadpool_task_wake(j->task);
		park_wait(tp, j, n + 1);
		rig_drain(rig);
	}
	assert_int_equal(c->writeables, writeables);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);

	/* Q2: one that is done comes before it */
	job_enqueue(tp, done, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	wait_until(park_no_thread_runs, tp);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), done->task);
	rig_until_int(rig, &done->cleanups, 1);
	lws_threadpool_task_wake(j->task);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(j->cleanup_wsi, c->wsi);
}

struct span {
	lws_usec_t us, since;
};

/* parks ten times for as long as it is told, and sees that it is so */
static int
park_a_span(struct job *j, enum lws_threadpool_task_status s)
{
	struct span *span = j->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (span->since && lws_now_usecs() - span->since < span->us)
		job_fault(j, "called again before its time");
	if (atomic_load(&j->calls) > 10)
		return LWS_TP_RETURN_FINISHED;
	span->since = lws_now_usecs();

	return (int)lws_threadpool_park(span->us);
}

/* T9: after us, and not before */
static void
T9_for_a_time(void **state)
{
	static const lws_usec_t times[] = { 1, 100, 1000, 20000, 50000 };
	struct rig *rig = *state;

	for (int threads = 1; threads < 3; threads++) {
		struct lws_threadpool *tp = rig_pool(rig, threads, 100);
		struct span span[LWS_ARRAY_SIZE(times)];
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j;

		for (size_t n = 0; n < LWS_ARRAY_SIZE(times); n++) {
			span[n] = (struct span){ times[n], 0 };
			j = job_new(rig);
			j->fn = park_a_span;
			j->priv = &span[n];
			assert_non_null(job_enqueue(tp, j,
						    n & 1 ? c->wsi : NULL));
		}
		rig_until_cleaned(rig);
	}
}

/* short, and then long */
static int
park_twice(struct job *j, enum lws_threadpool_task_status s)
{
	int calls = atomic_load(&j->calls);

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return calls > 2 ? LWS_TP_RETURN_FINISHED :
			   (int)lws_threadpool_park(calls * 300000);
}

/* T9: woken before its time it parks for longer: that comes, too */
static void
T9_a_longer_time_after_a_wake(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);

	j->fn = park_twice;
	assert_non_null(job_enqueue(tp, j, NULL));
	park_wait(tp, j, 1);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 3);
}

/* T9: whoever parked before it, and for how long: a shorter time comes first */
static void
T9_a_shorter_time_after_a_longer(void **state)
{
	static const lws_usec_t hour = 3600 * LWS_US_PER_SEC, day = 24 * hour,
				some_ms = 10000;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *longer[2], *shorter;

	longer[0] = park_job(rig, 1, &day);
	longer[1] = park_job(rig, 1, &hour);
	for (int n = 0; n < 2; n++) {
		job_enqueue(tp, longer[n], NULL);
		park_wait(tp, longer[n], 1);
	}
	shorter = park_job(rig, 3, &some_ms);
	job_enqueue(tp, shorter, NULL);
	wait_int(&shorter->cleanups, 1);
	assert_int_equal(atomic_load(&longer[0]->calls), 1);
	assert_int_equal(atomic_load(&longer[1]->calls), 1);
}

/* T9: its time came while the only thread was busy: then as soon as it is
 * not */
static void
T9_its_time_comes_while_the_thread_is_busy(void **state)
{
	static const lws_usec_t ms = 1000, more_ms = 10000;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *other = rig_pool(rig, 1, 10);
	struct gate *hold = gate_new(rig);
	struct job *j, *clock;

	for (int n = 0; n < 5; n++) {
		j = park_job(rig, 1, &ms);
		j->gate = gate_new(rig);
		job_enqueue(tp, j, NULL);
		wait_int(&j->calls, 1);
		gate_close(hold);
		job_enqueue(tp, job_gated(rig, hold), NULL);
		gate_open(j->gate);
		clock = park_job(rig, 1, &more_ms);
		job_enqueue(other, clock, NULL);
		rig_until_int(rig, &clock->cleanups, 1);
		gate_open(hold);
		wait_int(&j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 2);
	}
}

/* T9: negative is for ever, and so is, in a test, the longest time that there
 * is: nothing overflows */
static void
T9_for_ever(void **state)
{
	static const lws_usec_t ever[] = { -1,
					   -2,
					   -3600 * LWS_US_PER_SEC,
					   INT64_MIN,
					   INT64_MIN + 1,
					   INT64_MAX,
					   INT64_MAX - 1,
					   INT64_MAX / 2 },
				some_ms = 20000;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *j[LWS_ARRAY_SIZE(ever)], *clock;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(ever); n++) {
		j[n] = park_job(rig, 1, &ever[n]);
		job_enqueue(tp, j[n], NULL);
		park_wait(tp, j[n], 1);
	}
	clock = park_job(rig, 3, &some_ms);
	job_enqueue(tp, clock, NULL);
	wait_int(&clock->cleanups, 1);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(ever); n++) {
		assert_int_equal(atomic_load(&j[n]->calls), 1);
		lws_threadpool_task_wake(j[n]->task);
		wait_int(&j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->running), 2);
	}
}

/* yields until the other one has been called */
static int
yield_to_another(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&other->cleanups))
		return LWS_TP_RETURN_FINISHED;

	return (int)lws_threadpool_park(0);
}

/* T9: 0 is a yield: on the only thread others have their turn, and it has its
 * own again though nobody wakes it */
static void
T9_zero_is_a_yield(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct job *yields[3],
		*other = job_script(rig, 5, LWS_TP_RETURN_CHECKING_IN);

	for (int n = 0; n < 3; n++) {
		yields[n] = job_new(rig);
		yields[n]->fn = yield_to_another;
		yields[n]->priv = other;
		job_enqueue(tp, yields[n], NULL);
	}
	for (int n = 0; n < 3; n++)
		wait_int(&yields[n]->calls, 10);
	job_enqueue(tp, other, NULL);
	wait_int(&other->cleanups, 1);
	for (int n = 0; n < 3; n++)
		wait_int(&yields[n]->cleanups, 1);
}

/* S1: with pin_tasks it goes on where it began, whoever wakes it */
static void
S1_pinned(void **state)
{
	static const struct lws_threadpool_options o = { .size = sizeof(o),
							 .pin_tasks = 1 };
	static const lws_usec_t little = 100;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool_ext(rig, 3, 100, &o);
	struct job *timed[6], *woken[6];

	for (int n = 0; n < 6; n++) {
		timed[n] = park_job(rig, 50, &little);
		woken[n] = park_job(rig, 50, &park_ever);
		job_enqueue(tp, timed[n], NULL);
		job_enqueue(tp, woken[n], NULL);
	}
	for (int parks = 1; parks <= 50; parks++)
		for (int n = 0; n < 6; n++) {
			wait_int(&woken[n]->returns, parks);
			lws_threadpool_task_wake(woken[n]->task);
		}
	rig_until_cleaned(rig);
	for (int n = 0; n < 6; n++) {
		assert_int_equal(atomic_load(&timed[n]->moved), 0);
		assert_int_equal(atomic_load(&woken[n]->moved), 0);
	}
}

/* S5: the sync timeout is for SYNCING ones only */
static void
S5_no_sync_timeout(void **state)
{
	static const struct lws_threadpool_options o = {
		.size = sizeof(o), .sync_timeout_secs = 1
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 100, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked, *clock;

	c->manual = true;
	parked = park_one(rig, tp, c->wsi, 1);
	clock = job_script(rig, 10, LWS_TP_RETURN_SYNC);
	job_enqueue(tp, clock, c->wsi);
	log_wait(LLL_WARN, "SYNC", 1);
	rig_until_int(rig, &clock->stopping, 1);
	wait_status(clock, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "SYNC"), 1);
	assert_int_equal(atomic_load(&parked->calls), 1);
	assert_int_equal(lws_threadpool_task_status_noreap(parked->task),
			 LWS_TP_STATUS_RUNNING);
	lws_threadpool_task_wake(parked->task);
	wait_status(parked, LWS_TP_STATUS_FINISHED);
}

/* P5: it is in the dump, once */
static void
P5_in_the_dump(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = park_job(rig, 1, &park_ever);

	j->name = "the-sleeper";
	job_enqueue(tp, j, NULL);
	park_wait(tp, j, 1);
	lws_threadpool_dump(tp);
	assert_int_equal(log_count(LLL_THREAD, "the-sleeper"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(T9_until_it_is_woken),
		RIG_TEST(T9_no_WRITEABLE),
		RIG_TEST(T9_for_a_time),
		RIG_TEST(T9_a_longer_time_after_a_wake),
		RIG_TEST(T9_a_shorter_time_after_a_longer),
		RIG_TEST(T9_its_time_comes_while_the_thread_is_busy),
		RIG_TEST(T9_for_ever),
		RIG_TEST(T9_zero_is_a_yield),
		RIG_TEST(S1_pinned),
		RIG_TEST(S5_no_sync_timeout),
		RIG_TEST(P5_in_the_dump),
	};

	return cmocka_run_group_tests_name("T9 park", tests, NULL, NULL);
}
