/*
 * lws-threadpool unit tests - refusals, and what the options mean
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include <unistd.h>

#include "inside.h"

/* P2: one line for each second, that tells how many there were without one */
static void
refusals_are_logged_each_second(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct gate *gate = gate_new(rig);
	int n, second;

	job_block(rig, tp, gate);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	clock_stop();
	for (second = 0; second < 3; second++) {
		for (n = 0; n < 5; n++)
			assert_null(job_enqueue(tp, job_new(rig), NULL));
		assert_int_equal(log_claim(LLL_WARN, "refuses a task"),
				 second + 1);
		assert_int_equal(log_count(LLL_WARN, "; 4 more"), second);
		clock_forward(1);
	}
	clock_go();
	gate_open(gate);
}

/* P2: each reason counts for itself */
static void
others_are_of_the_same_reason(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct gate *gate = gate_new(rig);
	int n, second;

	job_block(rig, tp, gate);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	clock_stop();
	for (second = 0; second < 2; second++) {
		for (n = 0; n < 5; n++) {
			assert_null(job_enqueue(tp, job_new(rig), NULL));
			if (n < 3)
				assert_null(lws_threadpool_enqueue_ext(
					tp, NULL, NULL, "no args"));
		}
		assert_int_equal(log_claim(LLL_WARN, "refuses a task"),
				 second + 1);
		assert_int_equal(log_claim(LLL_ERR, "refuses a task"),
				 second + 1);
		clock_forward(1);
	}
	assert_int_equal(log_count(LLL_WARN, "; 0 more"), 1);
	assert_int_equal(log_count(LLL_WARN, "; 4 more"), 1);
	assert_int_equal(log_count(LLL_WARN, "lws_threadpool_enqueue: "), 2);
	assert_int_equal(log_count(LLL_ERR, "lws_threadpool_enqueue_ext: "), 2);
	assert_int_equal(log_count(LLL_ERR, "; 0 more"), 1);
	assert_int_equal(log_count(LLL_ERR, "; 2 more"), 1);
	clock_go();
	gate_open(gate);
}

static void
add_alive(struct lws_threadpool *tp, int n)
{
	struct lwstp_pool *pool = pool_of(tp);

	lwstp_lock(pool);
	pool->alive += n;
	lwstp_unlock(pool);
}

/* P2: threads that were free when a task was let in beyond the depth may be
 * busy at the next one */
static void
free_threads_are_counted_each_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct gate *gate = gate_new(rig);

	job_block(rig, tp, gate);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	add_alive(tp, 2);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	add_alive(tp, -2);
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_WARN, "max_queue_depth tasks wait"), 1);
	gate_open(gate);
}

/* S5, P1: what the options mean, 0 and less than that too */
static void
options_and_their_defaults(void **state)
{
	static const struct {
		int secs, us;
		int processors;
		lws_usec_t timeout;
		int spin;
	} want[] = {
		{ 0, 0, 4, LWSTP_SYNC_TIMEOUT_SECS * LWS_US_PER_SEC,
		  LWSTP_SYNC_SPIN_US },
		{ -1, -1, 4, 0, 0 },
		{ -7, 77, 4, 0, 77 },
		{ 7, 77, 2, 7 * LWS_US_PER_SEC, 77 },
		{ 7, 77, 1, 7 * LWS_US_PER_SEC, 0 },
		{ 7, 0, 1, 7 * LWS_US_PER_SEC, 0 },
	};
	struct rig *rig = *state;
	struct lws_threadpool_options o;
	struct lws_threadpool *tp;
	size_t n;

	for (n = 0; n < sizeof(want) / sizeof(want[0]); n++) {
		memset(&o, 0, sizeof(o));
		o.size = sizeof(o);
		o.sync_timeout_secs = want[n].secs;
		o.sync_spin_us = want[n].us;
		processors_are(want[n].processors);
		tp = rig_pool_ext(rig, 1, 1, &o);
		processors_are(0);
		assert_int_equal(pool_of(tp)->sync_timeout, want[n].timeout);
		assert_int_equal(pool_of(tp)->spin_us, want[n].spin);
	}
}

/* where the system does not tell what this process may use, all of its
 * processors count */
static void
processors_that_are_not_known(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;

	processors_are(-1);
	tp = rig_pool(rig, 1, 1);
	assert_int_equal(pool_of(tp)->spin_us,
			 sysconf(_SC_NPROCESSORS_ONLN) < 2 ?
				 0 :
				 LWSTP_SYNC_SPIN_US);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(refusals_are_logged_each_second),
		INSIDE_TEST(others_are_of_the_same_reason),
		INSIDE_TEST(free_threads_are_counted_each_time),
		INSIDE_TEST(options_and_their_defaults),
		INSIDE_TEST(processors_that_are_not_known),
	};

	return cmocka_run_group_tests_name("inside-refusals", tests, NULL,
					   NULL);
}
