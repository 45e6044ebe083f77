/*
 * lws-threadpool unit tests - K1, K3, S7: a task that waits has lost its wsi
 * just now, and its service thread has not looked at it since
 *
 * SPDX-License-Identifier: MIT
 */

#include "tokens.h"

/* T7: it has ended and is kept, or was reaped, without a wsi */
static void
was_stopped(struct job *j)
{
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->stopping), 1);
	lws_threadpool_task_status(j->task, NULL);
	rig_until_int(j->rig, &j->cleanups, 1);
	assert_null(j->cleanup_wsi);
}

/* what the one thread had to tell of is told, and heard of */
static void
served_by_now(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *fence = job_new(rig);

	assert_non_null(job_enqueue(tp, fence, NULL));
	wait_int(&fence->cleanups, 1);
	rig_drain(rig);
}

/* S7: it lost its wsi just now, maybe to a callback that uses its data: stopped
 * once that has returned */
static void
dequeued_and_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	tokens_give(j, LWS_TP_TOKEN_WAIT);
	served_by_now(rig, tp);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
	lws_threadpool_finish(tp);
	assert_int_equal(atomic_load(&j->calls), 1);
	was_stopped(j);
}

/* K3: it lost its wsi just now, and gets another one: it is SYNCING there */
static void
dequeued_and_attached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *to = conn_open(rig, CONN_RAW);
	struct job *j;

	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	tokens_give(j, LWS_TP_TOKEN_WAIT);
	served_by_now(rig, tp);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
	assert_int_equal(lws_threadpool_task_attach(j->task, to->wsi), 0);
	rig_until_int(rig, &j->cleanups, 1);
	assert_ptr_equal(j->cleanup_wsi, to->wsi);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 1);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(dequeued_and_stopped),
		RIG_TEST(dequeued_and_attached),
	};

	return cmocka_run_group_tests_name("K1 a lost wsi", tests, NULL, NULL);
}
