/*
 * lws-threadpool unit tests - N1, how long tasks were queued, on a thread and
 * SYNCING: histograms and totals
 *
 * SPDX-License-Identifier: MIT
 *
 * The library's clock is the test's here, to the microsecond.
 *
 * LWSTP_WRAP: clock_gettime
 * LWSTP_INSIDE
 */

#include <time.h>
#include <unistd.h>

#include "numbers.h"

/* ns, 0: the system's */
static atomic_llong clock_ns;

int
__real_clock_gettime(clockid_t clock, struct timespec *ts);
int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts);

static bool
is_monotonic(clockid_t clock)
{
#if defined(CLOCK_MONOTONIC_COARSE)
	if (clock == CLOCK_MONOTONIC_COARSE)
		return true;
#endif
	return clock == CLOCK_MONOTONIC;
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	long long ns = atomic_load(&clock_ns);

	if (!ns || !is_monotonic(clock))
		return __real_clock_gettime(clock, ts);
	ts->tv_sec = (time_t)(ns / 1000000000);
	ts->tv_nsec = (long)(ns % 1000000000);

	return 0;
}

static void
pass(uint64_t us)
{
	atomic_fetch_add(&clock_ns, (long long)us * 1000);
}

/* from now on, a whole number of microseconds */
static int
clock_setup(void **state)
{
	struct timespec ts;

	__real_clock_gettime(CLOCK_MONOTONIC, &ts);
	atomic_store(&clock_ns, (long long)ts.tv_sec * 1000000000);

	return rig_setup(state);
}

static int
clock_teardown(void **state)
{
	int bad = rig_teardown(state);

	atomic_store(&clock_ns, 0);

	return bad;
}

#define CLOCK_TEST(f) \
	cmocka_unit_test_setup_teardown(f, clock_setup, clock_teardown)

static int
bucket(uint64_t us)
{
	int n = 0;

	while (us && n < BUCKETS - 1) {
		us >>= 1;
		n++;
	}

	return n;
}

/* One thread, no time limits, and nobody spins: by this clock that would take
 * for ever */
static struct lws_threadpool *
timed_pool(struct rig *rig)
{
	const struct lws_threadpool_options o = {
		.size = sizeof(o), .sync_timeout_secs = -1, .sync_spin_us = -1
	};

	return rig_pool_ext(rig, 1, 100, &o);
}

/* Each has been counted at its own time: less than 1,000 a second */
static void
let_it_rest(void)
{
	pass(2000000);
}

/* What there is more than before, which must be in this bucket */
static void
one_more(const uint64_t was[BUCKETS], const uint64_t is[BUCKETS], uint64_t us,
	 const char *what)
{
	if (is[bucket(us)] == was[bucket(us)] + 1 &&
	    samples(is) == samples(was) + 1)
		return;
	for (int n = 0; n < BUCKETS; n++)
		if (is[n] != was[n])
			print_error("  [%d] is %lu, was %lu\n", n,
				    (unsigned long)is[n],
				    (unsigned long)was[n]);
	fail_msg("%s of %lu us is not in [%d]", what, (unsigned long)us,
		 bucket(us));
}

static const uint64_t durations[] = {
	0,
	1,
	2,
	3,
	4,
	7,
	8,
	255,
	256,
	1000,
	1023,
	1024,
	65535,
	1000000,
	(1u << 29) - 1,
	1u << 29,
	(1u << 30) - 1,
	1u << 30,
	0x7fffffff,
	0x80000000,
	0x500000000,
};

/* N1: [0] is under 1 us, [n] 2^(n-1) to 2^n - 1, [31] all above; and the
 * totals are to the microsecond */
static void
queued_for_so_long(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool_stats was, is;
	struct job *j;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(durations); n++) {
		let_it_rest();
		gate_close(gate);
		job_block(rig, tp, gate);
		let_it_rest();
		was = stats_of(tp);
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
		pass(durations[n]);
		gate_open(gate);
		wait_int(&j->cleanups, 1);
		wait_stat(tp, finished, 2 * (n + 1));
		is = stats_of(tp);
		one_more(was.queue_us, is.queue_us, durations[n], "a queue");
		assert_int_equal(is.queue_total_us - was.queue_total_us,
				 durations[n]);
	}
	assert_int_equal(samples(is.sync_us), 0);
	assert_int_equal(is.sync_total_us, 0);
}

static int
takes_its_time(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	pass(*(const uint64_t *)j->priv);

	return LWS_TP_RETURN_FINISHED;
}

static void
on_a_thread_for_so_long(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig);
	struct lws_threadpool_stats was, is;
	struct job *j;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(durations); n++) {
		let_it_rest();
		was = stats_of(tp);
		j = job_new(rig);
		j->fn = takes_its_time;
		j->priv = (void *)&durations[n];
		assert_non_null(job_enqueue(tp, j, NULL));
		wait_int(&j->cleanups, 1);
		wait_stat(tp, finished, n + 1);
		is = stats_of(tp);
		one_more(was.run_us, is.run_us, durations[n], "a run");
		one_more(was.queue_us, is.queue_us, 0, "a queue");
		assert_int_equal(is.run_total_us - was.run_total_us,
				 durations[n]);
	}
}

/* time goes by before its SYNC, not in it */
static int
rests_and_syncs(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	let_it_rest();

	return atomic_load(&j->calls) <= j->repeat ? LWS_TP_RETURN_SYNC :
						     LWS_TP_RETURN_FINISHED;
}

static void
syncing_for_so_long(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_stats was, is;
	struct job *j = job_script(rig, LWS_ARRAY_SIZE(durations),
				   LWS_TP_RETURN_SYNC);

	c->manual = true;
	j->fn = rests_and_syncs;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	for (size_t n = 0; n < LWS_ARRAY_SIZE(durations); n++) {
		wait_status(j, LWS_TP_STATUS_SYNCING);
		was = stats_of(tp);
		pass(durations[n]);
		lws_threadpool_task_sync(j->task, 0);
		wait_int(&j->returns, (int)n + 2);
		wait_stat(tp, running, 0);
		is = stats_of(tp);
		one_more(was.sync_us, is.sync_us, durations[n], "a SYNC");
		assert_int_equal(is.sync_total_us - was.sync_total_us,
				 durations[n]);
	}
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(stats_of(tp).syncs, LWS_ARRAY_SIZE(durations));
}

/* ---- a stay ---- */

/* 100 and 28 us, SYNC; 5, parks; 1000, ends */
static int
three_stays(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	switch (atomic_load(&j->calls)) {
	case 1:
		pass(100);
		return LWS_TP_RETURN_CHECKING_IN;
	case 2:
		pass(28);
		return LWS_TP_RETURN_SYNC;
	case 3:
		pass(5);
		return (int)lws_threadpool_park(-1);
	default:
		pass(1000);
		return LWS_TP_RETURN_FINISHED;
	}
}

struct runs {
	struct lws_threadpool *tp;
	uint64_t n;
};

static bool
has_runs(void *arg)
{
	const struct runs *r = arg;

	return samples(stats_of(r->tp).run_us) == r->n;
}

/* N1: a run is a stay on a thread, from its call until it parks, is SYNCING or
 * ends, and no check-in ends it; what it is parked for is nowhere */
static void
a_run_is_a_stay(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);
	struct lws_threadpool_stats s;

	c->manual = true;
	j->fn = three_stays;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_until(has_runs, &((struct runs){ tp, 1 }));
	let_it_rest();
	lws_threadpool_task_sync(j->task, 0);
	wait_until(has_runs, &((struct runs){ tp, 2 }));
	wait_stat(tp, parked, 1);
	let_it_rest();
	lws_threadpool_task_wake(j->task);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	wait_stat(tp, running, 0);
	s = stats_of(tp);
	assert_int_equal(s.run_us[bucket(128)], 1);
	assert_int_equal(s.run_us[bucket(5)], 1);
	assert_int_equal(s.run_us[bucket(1000)], 1);
	assert_int_equal(samples(s.run_us), 3);
	assert_int_equal(s.run_total_us, 1133);
	assert_int_equal(s.sync_us[bucket(2000000)], 1);
	assert_int_equal(samples(s.sync_us), 1);
	assert_int_equal(samples(s.queue_us), 1);
	assert_int_equal(s.sync_total_us, 2000000);
	assert_int_equal(s.queue_total_us, 0);
}

/* N1: enqueue to first call: one that is never called is in none */
static void
never_called_is_not_counted(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig);
	struct gate *gate = gate_new(rig);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[2];

	job_block(rig, tp, gate);
	for (int n = 0; n < 2; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	}
	let_it_rest();
	lws_threadpool_task_sync(j[0]->task, 1);
	lws_threadpool_dequeue_task(j[1]->task);
	gate_open(gate);
	rig_until_cleaned(rig);
	wait_stat(tp, running, 0);
	assert_int_equal(stats_of(tp).accepted, 3);
	assert_int_equal(samples(stats_of(tp).queue_us), 1);
	assert_int_equal(samples(stats_of(tp).run_us), 1);
}

/* ---- by the system's clock ---- */

/* N1: so many starts, stays and answers, where they are under 1,000 a second */
static void
all_of_a_few_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_stats s;

	for (int n = 0; n < 60; n++) {
		struct job *j = job_script(rig, n % 3, LWS_TP_RETURN_SYNC);

		assert_non_null(job_enqueue(tp, j, c->wsi));
		rig_until_int(rig, &j->cleanups, 1);
		usleep(8000);
	}
	wait_stat(tp, running, 0);
	s = stats_of(tp);
	assert_int_equal(samples(s.queue_us), 60);
	assert_int_equal(samples(s.sync_us), 60);
	assert_int_equal(samples(s.run_us), 120);
}

static enum lws_threadpool_task_return
ends_at_once(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;

	return LWS_TP_RETURN_FINISHED;
}

/* what was summed up is what was counted, as far as the buckets tell */
static void
assert_total(const uint64_t buckets[BUCKETS], uint64_t total)
{
	uint64_t least = 0, most = 0;

	for (int n = 1; n < BUCKETS; n++) {
		least += buckets[n] << (n - 1);
		most += buckets[n] * (((uint64_t)1 << n) - 1);
	}
	assert_true(total >= least);
	assert_true(total <= most || buckets[BUCKETS - 1]);
}

/* N1: of many some count, and for those that do not: of so many starts, stays
 * and answers no less than half, and no more than twice as many */
static void
some_of_many_count_for_all(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[20];
	struct lws_threadpool_stats s;

	for (int n = 0; n < 20; n++) {
		j[n] = job_script(rig, 2000, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 20000; n++) {
		struct lws_threadpool_task_args args;

		job_args(j[0], NULL, &args);
		args.task = ends_at_once;
		args.cleanup = NULL;
		while (!lws_threadpool_enqueue(tp, &args, "one"))
			sched_yield();
	}
	log_claim(LLL_WARN, "");
	wait_stat(tp, finished, 20020);
	s = stats_of(tp);
	assert_int_equal(s.syncs, 40000);
	assert_in_range(samples(s.queue_us), 20020 / 2, 20020 * 2);
	assert_in_range(samples(s.run_us), 60020 / 2, 60020 * 2);
	assert_in_range(samples(s.sync_us), 40000 / 2, 40000 * 2);
	assert_total(s.queue_us, s.queue_total_us);
	assert_total(s.run_us, s.run_total_us);
	assert_total(s.sync_us, s.sync_total_us);
}

/* N1: between what was measured from inside of it and from outside */
static void
as_long_as_it_was(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool_stats was, is;
	struct job *j = job_new(rig);
	lws_usec_t outer, inner;

	job_block(rig, tp, gate);
	was = stats_of(tp);
	outer = lws_now_usecs();
	assert_non_null(job_enqueue(tp, j, NULL));
	inner = lws_now_usecs();
	usleep(30000);
	inner = lws_now_usecs() - inner;
	gate_open(gate);
	wait_int(&j->calls, 1);
	outer = lws_now_usecs() - outer;
	wait_stat(tp, finished, 2);
	is = stats_of(tp);
	assert_in_range(is.queue_total_us - was.queue_total_us, inner, outer);
	assert_int_equal(samples(is.queue_us), samples(was.queue_us) + 1);
	for (int n = bucket((uint64_t)inner); n <= bucket((uint64_t)outer); n++)
		if (is.queue_us[n] > was.queue_us[n])
			return;
	fail_msg("not in a bucket from %lu to %lu us", (unsigned long)inner,
		 (unsigned long)outer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CLOCK_TEST(queued_for_so_long),
		CLOCK_TEST(on_a_thread_for_so_long),
		CLOCK_TEST(syncing_for_so_long),
		CLOCK_TEST(a_run_is_a_stay),
		CLOCK_TEST(never_called_is_not_counted),
		RIG_TEST(all_of_a_few_count),
		RIG_TEST(some_of_many_count_for_all),
		RIG_TEST(as_long_as_it_was),
	};

	return cmocka_run_group_tests_name("N1 times", tests, NULL, NULL);
}
