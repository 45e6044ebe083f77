/*
 * lws-threadpool unit tests - a thread of a pool does not spin where the
 * process may use one processor only, however many the machine has
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#include <time.h>

#define SPIN_US (1000 * LWS_US_PER_SEC) /* the test ends it */
#define SPUN_US (LWS_US_PER_SEC / 4)

/* the time that the thread has had of a processor */
static lws_usec_t
thread_us(pthread_t thread)
{
	struct timespec ts;
	clockid_t clock;

	assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &ts), 0);

	return (lws_usec_t)ts.tv_sec * LWS_US_PER_SEC + ts.tv_nsec / 1000;
}

/* a pool of one thread, whose task has just said SYNC */
static struct job *
parked_on(struct rig *rig, struct conn *c)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .sync_spin_us = SPIN_US };

	c->manual = true;

	return job_park(rig, rig_pool_ext(rig, 1, 10, &o), c->wsi);
}

static bool
has_spun(void *arg)
{
	struct job *j = arg;

	return thread_us(j->first_thread) >= SPUN_US;
}

static void
spins_with_two_and_not_with_one(void **state)
{
	cpu_set_t all, one;
	struct rig *rig = *state;
	struct conn *c[2];
	struct job *alone, *beside;
	size_t cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		skip();
	for (int n = 0; n < 2; n++)
		c[n] = conn_open(rig, CONN_RAW);

	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	alone = parked_on(rig, c[0]);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	beside = parked_on(rig, c[1]);

	wait_until(has_spun, beside);
	assert_true(thread_us(alone->first_thread) <
		    thread_us(beside->first_thread) / 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(spins_with_two_and_not_with_one),
	};

	return cmocka_run_group_tests_name("one processor", tests, NULL, NULL);
}
