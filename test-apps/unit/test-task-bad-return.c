/*
 * lws-threadpool unit tests - T6, returns that are none of the enum's
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

/* T6: logged as an error, the task is STOPPED, and not called again */
static void
unknown_return_is_an_error(void **state)
{
	static const int bad[] = {
		4,	 5,  63,  64 | 4,     64 | 63,	      128,
		128 | 1, -1, -64, 0x7fffffff, (int)0x80000000
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (size_t n = 0; n < LWS_ARRAY_SIZE(bad); n++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j = job_new(rig);

		j->name = "nonsense";
		j->last = bad[n];
		job_enqueue(tp, j, c->wsi);
		wait_status(j, LWS_TP_STATUS_STOPPED);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&j->calls), 1);
		assert_int_equal(log_claim(LLL_ERR, "nonsense"), (int)n + 1);
	}
}

/* T6: in a detached task, which then reaps itself, and after good returns */
static void
unknown_return_when_detached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_script(rig, 3, LWS_TP_RETURN_CHECKING_IN),
		   *next = job_new(rig);

	j->name = "nonsense";
	j->last = 77 << 8;
	job_enqueue(tp, j, NULL);
	job_enqueue(tp, next, NULL);
	wait_int(&next->cleanups, 1);
	assert_int_equal(atomic_load(&j->calls), 4);
	assert_int_equal(log_claim(LLL_ERR, "nonsense"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(unknown_return_is_an_error),
		RIG_TEST(unknown_return_when_detached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
