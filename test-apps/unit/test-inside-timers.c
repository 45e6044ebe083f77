/*
 * lws-threadpool unit tests - the heap of a pool's deadlines
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

#define TIMERS 100
#define TURNS  10000

static unsigned int seed;

static unsigned int
below(unsigned int n)
{
	seed = seed * 1103515245u + 12345;

	return (seed >> 16) % n;
}

/* what is below it is no earlier, and linked both ways; how many there are */
static int
check_heap(const struct lwstp_timer *t)
{
	const struct lwstp_timer *c, *before = t;
	int n = 1;

	for (c = t->child; c; before = c, c = c->next) {
		assert_true(c->at >= t->at);
		assert_ptr_equal(c->prev, before);
		n += check_heap(c);
	}

	return n;
}

/* S5: whatever is added and removed, the first is the next one */
static void
the_first_is_the_next(void **state)
{
	static struct lwstp_timer timers[TIMERS];
	struct lwstp_timer *heap = NULL, *t;
	lws_usec_t first;
	int in = 0;

	(void)state;
	for (int turn = 0; turn < TURNS; turn++) {
		t = &timers[below(TIMERS)];
		if (t->at || !below(3)) {
			in -= t->at != 0;
			__lwstp_timer_remove(&heap, t);
			assert_int_equal(t->at, 0);
		} else {
			in++;
			__lwstp_timer_add(&heap, t, 1 + (int)below(1000));
		}
		first = INT64_MAX;
		for (int n = 0; n < TIMERS; n++)
			if (timers[n].at && timers[n].at < first)
				first = timers[n].at;
		assert_int_equal(!heap, !in);
		if (!heap)
			continue;
		assert_int_equal(heap->at, first);
		assert_int_equal(check_heap(heap), in);
	}
	while ((t = heap)) {
		first = t->at;
		__lwstp_timer_remove(&heap, t);
		in--;
		assert_true(!heap || heap->at >= first);
	}
	assert_int_equal(in, 0);
}

/* whoever waits a month looks again after a day */
static void
a_deadline_is_a_day_off_at_most(void **state)
{
	struct timespec now, ts;

	(void)state;
	clock_stop();
	clock_gettime(CLOCK_MONOTONIC, &now);
	lwstp_deadline(&ts, 30LL * 86400 * LWS_US_PER_SEC);
	assert_int_equal(ts.tv_sec - now.tv_sec, 86400);
	lwstp_deadline(&ts, 1500000);
	assert_int_equal(ts.tv_sec - now.tv_sec, 1);
	assert_int_equal(ts.tv_nsec, 500000000);
	lwstp_deadline(&ts, -5);
	assert_int_equal(ts.tv_sec - now.tv_sec, 0);
	assert_int_equal(ts.tv_nsec, 0);
	clock_reset();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_is_the_next),
		cmocka_unit_test(a_deadline_is_a_day_off_at_most),
	};

	return cmocka_run_group_tests_name("inside-timers", tests, NULL, NULL);
}
