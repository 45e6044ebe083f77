/*
 * lws-threadpool unit tests - H1, what a handler does to its own task
 *
 * SPDX-License-Identifier: MIT
 *
 * The harness sees that no cleanup comes before the handler returns (served.h),
 * and that there is one.
 */

#include "served.h"

#include "closings.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* ---- a dequeue ---- */

static int
dequeues_itself(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	p->got = lws_threadpool_dequeue_task(s->j->task);
	if (!p->at_end && lws_threadpool_get_task_wsi(wsi) == s->j->task)
		job_fault(s->j, "dequeued, and still its wsi's (Q4)");
	if (!p->at_end && lws_threadpool_task_attached(s->j->task))
		job_fault(s->j, "dequeued, and still attached (Q4)");
	/* again: it is detached, or as good as gone */
	lws_threadpool_dequeue_task(s->j->task);
	lws_threadpool_dequeue(wsi);

	return play_ret(p);
}

/* H1: of a SYNCING one: detached at once, STOPPED by one STOPPING call, no
 * on_end; the return only says whether to close */
static void
a_dequeue_in_on_sync(void **state)
{
	static const int rets[] = { 0, 1, 2, -1 };
	struct play p;

	for (int n = 0; n < 4; n++) {
		play_handler(&p, *state, CONN_RAW, false, dequeues_itself);
		p.s->sync_ret = rets[n];
		assert_int_equal(lws_threadpool_serve(p.c->wsi) < 0,
				 rets[n] < 0);
		assert_int_equal(p.got, 1);
		assert_null(lws_threadpool_get_task_wsi(p.c->wsi));
		p.c->manual = false;
		play_is_over(&p);
		assert_null(p.s->j->cleanup_wsi);
		assert_int_equal(atomic_load(&p.s->j->running), 1);
		assert_int_equal(atomic_load(&p.s->j->stopping), 1);
		assert_int_equal(p.s->cleanup_how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(p.s->cleanup_why, LWS_TP_STOP_ASKED);
	}
}

/* H1, T5: one that outlives its wsi is only detached, and runs on */
static void
a_dequeue_of_one_that_outlives(void **state)
{
	struct rig *rig = *state;
	struct play p;

	play_handler(&p, rig, CONN_RAW, false, dequeues_itself);
	lws_threadpool_dequeue_task(p.s->j->task);
	rig_until_int(rig, &p.s->j->cleanups, 1);
	p.s = served_script(rig, 1, LWS_TP_RETURN_SYNC);
	p.s->j->async_task = 1;
	p.s->priv = &p;
	p.s->on_sync = dequeues_itself;
	assert_non_null(served_enqueue(p.tp, p.s, p.c->wsi));
	job_fence(rig, p.tp);
	p.got = 1;
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
	assert_int_equal(p.got, 0);
	play_is_over(&p);
	assert_null(p.s->j->cleanup_wsi);
	assert_int_equal(atomic_load(&p.s->j->running), 2);
	assert_int_equal(p.s->cleanup_how, LWS_TP_STATUS_FINISHED);
}

/* H1, Q4: of one that has ended: 0, and its cleanup gets the wsi, after on_end,
 * whose return is serve()'s all the same */
static void
a_dequeue_in_on_end(void **state)
{
	static const int rets[] = { 0, 5, -1 };
	struct play p;

	for (int n = 0; n < 3; n++) {
		play_handler(&p, *state, CONN_RAW, true, dequeues_itself);
		p.s->end_ret = rets[n];
		p.got = 1;
		assert_int_equal(lws_threadpool_serve(p.c->wsi), rets[n]);
		assert_int_equal(p.got, 0);
		assert_int_equal(atomic_load(&p.s->j->cleanups), 1);
		assert_ptr_equal(p.s->j->cleanup_wsi, p.c->wsi);
		assert_int_equal(p.s->cleanup_how, LWS_TP_STATUS_FINISHED);
		assert_int_equal(p.s->cleanup_why, LWS_TP_STOP_NONE);
		play_is_over(&p);
	}
}

/* ---- a status ---- */

static int
asks_itself(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;
	void *user = NULL;

	(void)wsi;
	p->got = (int)lws_threadpool_task_status_noreap(s->j->task);
	if ((int)lws_threadpool_task_status(s->j->task, &user) != p->got ||
	    user != s->j)
		job_fault(s->j, "it is told another status, or user (Q1)");
	s->j->data++; /* it is all there */
	/* reaped or not, this is harmless (Q6) */
	lws_threadpool_task_status(s->j->task, NULL);
	lws_threadpool_task_status_wsi(wsi, NULL, NULL);

	return play_ret(p);
}

/* H1: SYNCING; and it goes on as it says */
static void
a_status_in_on_sync(void **state)
{
	struct rig *rig = *state;
	struct play p;

	play_handler(&p, rig, CONN_RAW, false, asks_itself);
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
	assert_int_equal(p.got, LWS_TP_STATUS_SYNCING);
	p.c->manual = false;
	rig_until_int(rig, &p.s->j->cleanups, 1);
	assert_int_equal(atomic_load(&p.s->ends), 1);
	assert_int_equal(p.s->how, LWS_TP_STATUS_FINISHED);
}

static int
answers_and_reaps(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	lws_threadpool_task_sync(s->j->task, 0);
	wait_status(s->j, LWS_TP_STATUS_FINISHED);
	p->got = (int)lws_threadpool_task_status(s->j->task, NULL);

	return play_ret(p);
}

/* H1: answered there it may end, and be reaped: when it returns, and no on_end
 * comes */
static void
a_reap_in_on_sync(void **state)
{
	struct play p;

	play_handler(&p, *state, CONN_RAW, false, answers_and_reaps);
	p.s->answers = true;
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
	assert_int_equal(p.got, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&p.s->j->cleanups), 1);
	assert_ptr_equal(p.s->j->cleanup_wsi, p.c->wsi);
	assert_int_equal(atomic_load(&p.s->ends), 0);
	play_is_over(&p);
}

/* H1: a reap in on_end takes effect when it returns */
static void
a_status_in_on_end(void **state)
{
	struct play p;

	play_handler(&p, *state, CONN_RAW, true, asks_itself);
	p.s->end_ret = 7;
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 7);
	assert_int_equal(p.got, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&p.s->j->cleanups), 1);
	assert_ptr_equal(p.s->j->cleanup_wsi, p.c->wsi);
	play_is_over(&p);
}

static int
asks_twice(struct served *s, struct lws *wsi)
{
	void *user = NULL;

	(void)wsi;
	lws_threadpool_task_status(s->j->task, NULL);
	if (lws_threadpool_task_status(s->j->task, &user) !=
		    LWS_TP_STATUS_STOPPED ||
	    user != s->j)
		job_fault(s->j, "its handle is stale in on_end (H1)");
	if (!lws_threadpool_task_attached(s->j->task))
		job_fault(s->j, "reaped in on_end, not after it (H1)");

	return 0;
}

/* H1: so its handle is not stale before that */
static void
a_status_in_on_end_twice(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s = served_new(rig);

	s->j->last = LWS_TP_RETURN_STOPPED;
	s->on_end = asks_twice;
	assert_non_null(served_enqueue(tp, s, c->wsi));
	rig_until_int(rig, &s->j->cleanups, 1);
	assert_int_equal(atomic_load(&s->ends), 1);
	assert_int_equal(lws_threadpool_task_status(s->j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
}

/* ---- an end, or another wsi ---- */

static int
closes(struct served *s, struct lws *wsi)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	(void)wsi;
	assert_int_equal(lws_threadpool_task_token(s->j->task, 0, token), 0);
	closing_do(((struct play *)s->priv)->c, CLOSING_TIMEOUT);

	return 0;
}

/* H1, K4: its wsi closes in its on_end: that was called, so it is not kept for
 * another one, though it has a token */
static void
a_close_in_on_end(void **state)
{
	struct play p;

	play_handler(&p, *state, CONN_RAW, true, closes);
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
	assert_int_equal(atomic_load(&p.s->j->cleanups), 1);
	assert_null(p.s->j->cleanup_wsi);
	play_is_over(&p);
}

static int
moves_on(struct served *s, struct lws *wsi)
{
	struct conn *to = ((struct play *)s->priv)->c;

	/* there it is called once more, which the harness is not to mind */
	atomic_store(&s->ends, 0);
	if (wsi != to->wsi)
		assert_int_equal(
			lws_threadpool_task_attach(s->j->task, to->wsi), 0);

	return 0;
}

/* K3: given to another wsi in its on_end, it is that one's to serve */
static void
another_wsi_in_on_end(void **state)
{
	struct rig *rig = *state;
	struct conn *from;
	struct play p;

	play_handler(&p, rig, CONN_RAW, true, moves_on);
	from = p.c;
	p.c = conn_open(rig, CONN_WS);
	assert_int_equal(lws_threadpool_serve(from->wsi), 0);
	assert_int_equal(atomic_load(&p.s->j->cleanups), 0);
	rig_until_int(rig, &p.s->j->cleanups, 1);
	assert_ptr_equal(p.s->j->cleanup_wsi, p.c->wsi);
}

/* ---- a nested callback ---- */

static int
dequeue_when_dropped(struct rig *rig, struct lws *wsi,
		     enum lws_callback_reasons reason, void *user, void *in,
		     size_t len)
{
	struct play *p = rig->priv;

	if (reason_drop(reason) && p && p->c->wsi == wsi &&
	    atomic_load(&p->s->inside)) {
		p->nested++;
		p->got = lws_threadpool_dequeue(wsi);
		return 0;
	}

	return served_event(rig, wsi, reason, user, in, len);
}

static int
completes(struct served *s, struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 512], *start = &buf[LWS_PRE], *p = start,
				    *end = &buf[sizeof(buf) - 1];
	int ret;

	assert_int_equal(lws_add_http_common_headers(wsi, HTTP_STATUS_OK,
						     "text/plain", 0, &p, end),
			 0);
	assert_int_equal(lws_finalize_write_http_header(wsi, start, &p, end),
			 0);
	ret = lws_http_transaction_completed(wsi) ? -1 : 0;
	s->j->data++; /* as applications do: it is ours still */

	return ret;
}

/* H1: lws_http_transaction_completed() calls DROP_PROTOCOL, and the application
 * dequeues there, as the built-in threadpool needs it: in both handlers */
static void
a_dequeue_nested_in_it(void **state)
{
	struct rig *rig = *state;
	struct play p;

	rig->on_event = dequeue_when_dropped;
	for (int n = 0; n < 20; n++) {
		play_handler(&p, rig, CONN_HTTP, n & 1, completes);
		p.got = -1;
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		assert_int_equal(p.nested, 1);
		assert_int_equal(p.got, !p.at_end);
		assert_int_equal(atomic_load(&p.s->ends), p.at_end);
		assert_int_equal(atomic_load(&p.s->syncs), !p.at_end);
		assert_int_equal(atomic_load(&p.s->j->stopping), !p.at_end);
		rig->priv = NULL;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(a_dequeue_in_on_sync),
		SERVED_TEST(a_dequeue_of_one_that_outlives),
		SERVED_TEST(a_dequeue_in_on_end),
		SERVED_TEST(a_status_in_on_sync),
		SERVED_TEST(a_reap_in_on_sync),
		SERVED_TEST(a_status_in_on_end),
		SERVED_TEST(a_status_in_on_end_twice),
		SERVED_TEST(a_close_in_on_end),
		SERVED_TEST(another_wsi_in_on_end),
		SERVED_TEST(a_dequeue_nested_in_it),
	};

	return cmocka_run_group_tests_name("H1 own task", tests, NULL, NULL);
}
