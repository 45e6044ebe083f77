/*
 * lws-threadpool unit tests - T9, what the mark of lws_threadpool_park() is
 * for: the call that is under way, if it returns CHECKING_IN
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* a task's first call marks so, and returns that */
struct mark {
	lws_usec_t us[4];
	int marks;
	int ret;		     /* -1: what the last park() returned */
	struct gate *before, *after; /* of the marks */
	int checks;		     /* CHECKING_INs of the calls after it */
};

static int
mark_first(struct job *j, struct mark *m)
{
	int ret = LWS_TP_RETURN_CHECKING_IN;

	if (m->before)
		gate_pass(m->before);
	for (int n = 0; n < m->marks; n++) {
		ret = (int)lws_threadpool_park(m->us[n]);
		if (ret != LWS_TP_RETURN_CHECKING_IN)
			job_fault(j, "park() returned no CHECKING_IN (T9)");
	}
	j->data = 1;
	if (m->after)
		gate_pass(m->after);

	return m->ret < 0 ? ret : m->ret;
}

static int
mark_step(struct job *j, enum lws_threadpool_task_status s)
{
	struct mark *m = j->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return j->stop_ret;
	if (atomic_load(&j->running) == 1)
		return mark_first(j, m);

	return m->checks-- > 0 ? LWS_TP_RETURN_CHECKING_IN : j->last;
}

static struct job *
mark_job(struct rig *rig, struct mark *m)
{
	struct job *j = job_new(rig);

	j->fn = mark_step;
	j->priv = m;

	return j;
}

/* T9: the last mark counts */
static void
the_last_mark_counts(void **state)
{
	static const struct mark parks[] = {
		{ .us = { 0, -1 }, .marks = 2, .ret = -1 },
		{ .us = { 1, -1 }, .marks = 2, .ret = -1 },
		{ .us = { -1, 1, 0, -1 }, .marks = 4, .ret = -1 },
		{ .us = { 1, 3600 * LWS_US_PER_SEC }, .marks = 2, .ret = -1 },
	}, comes_back[] = {
		{ .us = { -1, 0 }, .marks = 2, .ret = -1 },
		{ .us = { -1, 1 }, .marks = 2, .ret = -1 },
		{ .us = { 0, -1, 3600 * LWS_US_PER_SEC, 5000 }, .marks = 4,
		  .ret = -1 },
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct mark m[LWS_ARRAY_SIZE(parks)], back;
	struct job *j[LWS_ARRAY_SIZE(parks)], *other;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(parks); n++) {
		m[n] = parks[n];
		j[n] = mark_job(rig, &m[n]);
		job_enqueue(tp, j[n], NULL);
		park_wait(tp, j[n], 1);
	}
	for (size_t n = 0; n < LWS_ARRAY_SIZE(comes_back); n++) {
		back = comes_back[n];
		other = mark_job(rig, &back);
		job_enqueue(tp, other, NULL);
		wait_int(&other->cleanups, 1);
	}
	for (size_t n = 0; n < LWS_ARRAY_SIZE(parks); n++) {
		assert_int_equal(atomic_load(&j[n]->calls), 1);
		lws_threadpool_task_wake(j[n]->task);
		wait_int(&j[n]->cleanups, 1);
	}
}

/* T9: a call that returns something else than CHECKING_IN does not park, and
 * its mark is no later call's either */
static void
not_with_SYNC(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);

	c->manual = true;
	for (int outlive = 0; outlive < 2; outlive++) {
		struct mark m = {
			.us = { outlive ? -1 : 0 },
			.marks = 1,
			.checks = 100,
			.ret = LWS_TP_RETURN_SYNC |
			       (outlive ? LWS_TP_RETURN_FLAG_OUTLIVE : 0)
		};
		struct job *j = mark_job(rig, &m);

		job_enqueue(tp, j, c->wsi);
		rig_until_status(j, LWS_TP_STATUS_SYNCING);
		rig_drain(rig);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
		assert_int_equal(atomic_load(&j->calls), 1);
		lws_threadpool_task_sync(j->task, 0);
		wait_status(j, LWS_TP_STATUS_FINISHED);
		assert_int_equal(atomic_load(&j->running), 102);
		lws_threadpool_task_status(j->task, NULL);
	}
}

static void
not_with_an_end(void **state)
{
	static const struct {
		int ret;
		enum lws_threadpool_task_status ends_as;
	} ends[] = {
		{ LWS_TP_RETURN_FINISHED, LWS_TP_STATUS_FINISHED },
		{ LWS_TP_RETURN_STOPPED, LWS_TP_STATUS_STOPPED },
		{ LWS_TP_RETURN_FINISHED | LWS_TP_RETURN_FLAG_OUTLIVE,
		  LWS_TP_STATUS_FINISHED },
		{ LWS_TP_RETURN_STOPPED | LWS_TP_RETURN_FLAG_OUTLIVE,
		  LWS_TP_STATUS_STOPPED },
		{ 1234, LWS_TP_STATUS_STOPPED },
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(ends); n++) {
		struct mark m = { .us = { n & 1 ? -1 : 0 },
				  .marks = 1,
				  .ret = ends[n / 2].ret };

		j = mark_job(rig, &m);
		job_enqueue(tp, j, c->wsi);
		wait_status(j, ends[n / 2].ends_as);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->reaped_as, ends[n / 2].ends_as);
		assert_int_equal(atomic_load(&j->calls), 1);
	}
	/* T6 */
	assert_int_equal(log_claim(LLL_ERR, "1234"), 2);
}

/* T3: a call that marks nothing goes on at once, though the one before it
 * parked */
static void
not_the_next_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct mark m = { .us = { -1 }, .marks = 1, .ret = -1, .checks = 200 };
	struct job *j = mark_job(rig, &m);

	job_enqueue(tp, j, NULL);
	park_wait(tp, j, 1);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 202);
}

static int
park_when_stopped(struct job *j, enum lws_threadpool_task_status s)
{
	(void)j;
	if (s == LWS_TP_STATUS_STOPPING)
		return (int)lws_threadpool_park(-1) | j->data;

	return LWS_TP_RETURN_CHECKING_IN;
}

/* T9, T4: told STOPPING it does not park: it is STOPPED, as ever */
static void
not_when_told_STOPPING(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < 4; n++) {
		struct job *j = job_new(rig);

		j->fn = park_when_stopped;
		j->data = n & 2 ? LWS_TP_RETURN_FLAG_OUTLIVE : 0;
		job_enqueue(tp, j, n & 1 ? c->wsi : NULL);
		wait_int(&j->calls, 1);
		lws_threadpool_task_sync(j->task, 1);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
		if (n & 1)
			assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
	}
}

/* T9: asked to stop in the call that parks, before the mark and after it: it is
 * told at once, and does not sleep over it */
static void
asked_to_stop_in_the_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < 8; n++) {
		struct gate *gate = gate_new(rig);
		struct mark m = { .us = { -1 },
				  .marks = 1,
				  .ret = -1,
				  .before = n & 1 ? gate : NULL,
				  .after = n & 1 ? NULL : gate };
		struct job *j = mark_job(rig, &m);

		if (n & 4)
			m.ret = LWS_TP_RETURN_CHECKING_IN |
				LWS_TP_RETURN_FLAG_OUTLIVE;
		job_enqueue(tp, j, n & 2 ? c->wsi : NULL);
		wait_int(&j->calls, 1);
		lws_threadpool_task_sync(j->task, 1);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
	}
}

/* T5, T9: park() | OUTLIVE parks, and the task outlives its wsi: which wakes
 * it */
static void
with_OUTLIVE(void **state)
{
	static const lws_usec_t hour = 3600 * LWS_US_PER_SEC;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = park_job(rig, 2, kind & 1 ? &hour : &park_ever);

		j->data = LWS_TP_RETURN_FLAG_OUTLIVE;
		job_enqueue(tp, j, c->wsi);
		park_wait(tp, j, 1);
		rig_drain(rig);
		assert_int_equal(atomic_load(&j->calls), 1);
		conn_timeout(c);
		conn_until_closed(c);
		wait_int(&j->returns, 2);
		assert_int_equal(lws_threadpool_task_attached(j->task), 0);
		lws_threadpool_task_wake(j->task);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 3);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_null(j->cleanup_wsi);
	}
}

/* T5, T9: one that outlives from the start, and has no wsi any more, parks */
static void
without_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_job(rig, 20, &park_ever);

	j->async_task = 1;
	job_enqueue(tp, j, c->wsi);
	park_wait(tp, j, 1);
	conn_fin(c);
	conn_until_closed(c);
	for (int n = 2; n <= 20; n++) {
		park_wait(tp, j, n);
		rig_drain(rig);
		assert_int_equal(atomic_load(&j->calls), n);
		lws_threadpool_task_wake(j->task);
	}
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* T9: the wsi goes in the very call that parks, which may have looked at it
 * already: the next one comes at once */
static void
loses_its_wsi_in_the_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);

	for (int n = 0; n < 4; n++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct gate *gate = gate_new(rig);
		struct mark m = { .us = { -1 },
				  .marks = 1,
				  .ret = -1,
				  .before = n & 1 ? gate : NULL,
				  .after = n & 1 ? NULL : gate };
		struct job *j = mark_job(rig, &m);

		j->async_task = 1;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->calls, 1);
		if (n & 2) {
			conn_fin(c);
			conn_until_closed(c);
		} else
			assert_int_equal(lws_threadpool_dequeue_task(j->task),
					 0);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 2);
		assert_int_equal(atomic_load(&j->stopping), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_last_mark_counts),
		RIG_TEST(not_with_SYNC),
		RIG_TEST(not_with_an_end),
		RIG_TEST(not_the_next_call),
		RIG_TEST(not_when_told_STOPPING),
		RIG_TEST(asked_to_stop_in_the_call),
		RIG_TEST(with_OUTLIVE),
		RIG_TEST(without_its_wsi),
		RIG_TEST(loses_its_wsi_in_the_call),
	};

	return cmocka_run_group_tests_name("T9 the mark", tests, NULL, NULL);
}
