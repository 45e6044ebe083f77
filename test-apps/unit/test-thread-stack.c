/*
 * lws-threadpool unit tests - P6, the size of the threads' stacks
 *
 * SPDX-License-Identifier: MIT
 */

#include <unistd.h>

#include "numbers.h"

#define KILO 1024u
#define MEGA (KILO * KILO)

/* the stack of the latest task */
static atomic_size_t stack_seen;

static int
look_at_stack(struct job *j, enum lws_threadpool_task_status s)
{
	pthread_attr_t attr;
	size_t size = 0;

	(void)s;
	if (pthread_getattr_np(pthread_self(), &attr))
		job_fault(j, "no attributes of this thread");
	else {
		pthread_attr_getstacksize(&attr, &size);
		pthread_attr_destroy(&attr);
	}
	atomic_store(&stack_seen, size);

	return LWS_TP_RETURN_FINISHED;
}

static size_t
stack_of(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *j = job_new(rig);

	j->fn = look_at_stack;
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->cleanups, 1);

	return atomic_load(&stack_seen);
}

static struct lws_threadpool *
pool_with_stack(struct rig *rig, size_t size)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .stack_size = size };

	return rig_pool_ext(rig, 2, 10, &o);
}

/* P6: as large as was asked for, or a little larger, and 0 is the system's */
static void
sizes_that_work(void **state)
{
	static const size_t sizes[] = {
		256 * KILO,
		300 * KILO + 1,
		2 * MEGA,
		24 * MEGA,
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_with_stack(rig, 0),
			      *plain = rig_pool(rig, 2, 10);
	size_t usual = stack_of(rig, tp), size;

	assert_int_equal(stack_of(rig, plain), usual);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(sizes); n++) {
		tp = pool_with_stack(rig, sizes[n]);
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
		size = stack_of(rig, tp);
		/* guard pages may count, and whole pages do */
		if (size + 64 * KILO < sizes[n] || size > sizes[n] + MEGA)
			fail_msg("a stack of %lu, asked for were %lu",
				 (unsigned long)size, (unsigned long)sizes[n]);
		rig_pool_destroy(rig, tp);
	}
}

/* more than the usual 8 MB of them are really there */
static int
use_much(struct job *j, enum lws_threadpool_task_status s)
{
	volatile char much[16 * MEGA];

	(void)s;
	for (size_t n = 0; n < sizeof(much); n += KILO)
		much[n] = (char)n;
	if (much[0] || much[7 * KILO] != (char)(7 * KILO))
		job_fault(j, "not its own");

	return LWS_TP_RETURN_FINISHED;
}

static void
a_large_one_can_be_used(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_with_stack(rig, 20 * MEGA);
	struct job *j[4];

	for (int n = 0; n < 4; n++) {
		j[n] = job_new(rig);
		j[n]->fn = use_much;
		assert_non_null(job_enqueue(tp, j[n], NULL));
	}
	for (int n = 0; n < 4; n++)
		wait_int(&j[n]->cleanups, 1);
}

/* P6: what the system refuses is refused as an argument, with a line that says
 * so; and the next one works */
static void
sizes_that_the_system_refuses(void **state)
{
	static const size_t sizes[] = { 1, 4095, SIZE_MAX - 65536, SIZE_MAX };
	struct lws_threadpool_create_args args = { 2, 10 };
	struct lws_threadpool_options o = { .size = sizeof(o) };
	struct rig *rig = *state;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(sizes); n++) {
		o.stack_size = sizes[n];
		log_forget();
		if (lws_threadpool_create_ext(rig->context, &args, &o,
					      "absurd"))
			fail_msg("a stack of %lu bytes",
				 (unsigned long)sizes[n]);
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		assert_true(log_claim(LLL_ERR, "") >= 1);
		log_claim(LLL_WARN, "");
		assert_int_equal(log_unclaimed(), 0);
	}
	assert_true(stack_of(rig, pool_with_stack(rig, MEGA)) > 0);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(sizes_that_work),
		RIG_TEST(a_large_one_can_be_used),
		RIG_TEST(sizes_that_the_system_refuses),
	};

	return cmocka_run_group_tests_name("P6 stack_size", tests, NULL, NULL);
}
