/*
 * lws-threadpool unit tests - lws_threadpool_task_attached(), from any thread
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* what another thread sees, too */
static void *
look_there(void *task)
{
	return lws_threadpool_task_attached(task) ? task : NULL;
}

static int
attached(struct job *j)
{
	int here = lws_threadpool_task_attached(j->task);
	pthread_t thread;
	void *there;

	assert_int_equal(pthread_create(&thread, NULL, look_there, j->task), 0);
	pthread_join(thread, &there);
	assert_int_equal(here, there != NULL);

	return here;
}

/* in every state that it has: exactly 1 */
static void
with_a_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j[5];

	c->manual = true;
	j[0] = job_park(rig, tp, c->wsi);
	j[1] = park_one(rig, tp, c->wsi, 9);
	j[2] = job_new(rig);
	job_enqueue(tp, j[2], c->wsi);
	wait_status(j[2], LWS_TP_STATUS_FINISHED);
	j[3] = job_gated(rig, hold);
	job_enqueue(tp, j[3], c->wsi);
	wait_int(&j[3]->calls, 1);
	j[4] = job_new(rig);
	job_enqueue(tp, j[4], c->wsi);
	for (int n = 0; n < 5; n++)
		assert_int_equal(attached(j[n]), 1);
	/* asked to stop, and not dequeued */
	for (int n = 0; n < 5; n++) {
		lws_threadpool_task_sync(j[n]->task, 1);
		assert_int_equal(attached(j[n]), 1);
	}
	gate_open(hold);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
	for (int n = 0; n < 5; n++)
		assert_int_equal(attached(j[n]), 0);
}

static void
without_one(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *none = job_gated(rig, hold), *queued = job_new(rig),
		   *parked, *dequeued;

	parked = park_one(rig, tp, NULL, 9);
	job_enqueue(tp, none, NULL);
	wait_int(&none->calls, 1);
	job_enqueue(tp, queued, NULL);
	assert_int_equal(attached(parked), 0);
	assert_int_equal(attached(none), 0);
	assert_int_equal(attached(queued), 0);
	gate_open(hold);
	wait_int(&queued->cleanups, 1);

	/* no more, once it was dequeued */
	gate_close(hold);
	dequeued = job_script(rig, 9, LWS_TP_RETURN_CHECKING_IN);
	dequeued->gate = hold;
	job_enqueue(tp, dequeued, c->wsi);
	wait_int(&dequeued->calls, 1);
	assert_int_equal(attached(dequeued), 1);
	assert_int_equal(lws_threadpool_dequeue_task(dequeued->task), 1);
	assert_int_equal(attached(dequeued), 0);
	gate_open(hold);
	wait_int(&dequeued->cleanups, 1);
}

static int
look_at_myself(struct job *j, enum lws_threadpool_task_status s)
{
	struct lws_threadpool_task *me = lws_threadpool_this_task();

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	atomic_store((atomic_int *)j->priv, lws_threadpool_task_attached(me));

	return (int)lws_threadpool_park(-1) | LWS_TP_RETURN_FLAG_OUTLIVE;
}

/* W1, T5: it loses it by a close; its own function sees it, woken by that */
static void
until_the_close(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = job_new(rig);
		atomic_int seen = -1;

		j->fn = look_at_myself;
		j->priv = &seen;
		job_enqueue(tp, j, c->wsi);
		park_wait(tp, j, 1);
		assert_int_equal(atomic_load(&seen), 1);
		assert_int_equal(attached(j), 1);
		conn_timeout(c);
		conn_until_closed(c);
		assert_int_equal(attached(j), 0);
		park_wait(tp, j, 2);
		assert_int_equal(atomic_load(&seen), 0);
		lws_threadpool_task_sync(j->task, 1);
		wait_int(&j->cleanups, 1);
	}
}

/* Q6: a line at INFO, and 0 */
static void
Q6_of_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *gone = job_new(rig), *live = park_one(rig, tp, c->wsi, 9);
	struct lws_threadpool_task *none[] = {
		NULL,	    (void *)(uintptr_t)1, (void *)UINTPTR_MAX,
		(void *)tp, (void *)c->wsi,	  (void *)gone,
		NULL
	};

	job_enqueue(tp, gone, c->wsi);
	rig_until_int(rig, &gone->cleanups, 1);
	none[6] = gone->task;
	log_info();
	log_forget();
	for (size_t n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		assert_int_equal(lws_threadpool_task_attached(none[n]), 0);
		assert_int_equal(log_count(LLL_INFO,
					   "lws_threadpool_task_attached"),
				 n + 1);
	}
	assert_int_equal(log_unclaimed(), 0);
	assert_int_equal(lws_threadpool_task_attached(live->task), 1);
	rig_context_destroy(rig);
	assert_int_equal(lws_threadpool_task_attached(live->task), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(with_a_wsi),
		RIG_TEST(without_one),
		RIG_TEST(until_the_close),
		RIG_TEST(Q6_of_none),
	};

	return cmocka_run_group_tests_name("task_attached", tests, NULL, NULL);
}
