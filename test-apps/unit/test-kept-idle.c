/*
 * lws-threadpool unit tests - K4, a kept task goes in time though no thread of
 * its pool has anything to do
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"

static struct lws_threadpool *
pool_of_a_second(struct rig *rig)
{
	struct lws_threadpool_options o = { .size = sizeof(o), .keep_secs = 1 };

	return rig_pool_ext(rig, 2, 10, &o);
}

/* It ends, the threads go to sleep, and then its wsi closes */
static void
ends_and_is_kept(struct rig *rig, struct lws_threadpool *tp)
{
	struct conn *c = conn_open(rig, CONN_RAW);
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct job *j = job_new(rig);

	c->manual = true;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_int_equal(lws_threadpool_task_token(j->task, 0, token), 0);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	closing_do(c, CLOSING_FIN);
	wait_int(&j->cleanups, 1);
	assert_null(lws_threadpool_task_by_token(tp, token));
}

/* K4: no thread waits for a time */
static void
no_thread_has_a_time(void **state)
{
	struct rig *rig = *state;

	ends_and_is_kept(rig, pool_of_a_second(rig));
}

/* K4: one waits for a time that is minutes away */
static void
a_thread_has_a_later_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_of_a_second(rig);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *syncing;

	c->manual = true;
	syncing = job_park(rig, tp, c->wsi);
	ends_and_is_kept(rig, tp);
	assert_int_equal(lws_threadpool_task_status_noreap(syncing->task),
			 LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(syncing->task, 1);
	rig_until_status(syncing, LWS_TP_STATUS_STOPPED);
	lws_threadpool_task_status(syncing->task, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(no_thread_has_a_time),
		RIG_TEST(a_thread_has_a_later_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
