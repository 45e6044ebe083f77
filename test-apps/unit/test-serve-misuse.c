/*
 * lws-threadpool unit tests - H1, what a handler does to its wsi, to its pool
 * and with the rest of the API
 *
 * SPDX-License-Identifier: MIT
 *
 * The harness sees that no cleanup comes before the handler returns (served.h),
 * and that there is one.
 */

#include "served.h"

/* ---- the wsi ---- */

static int
closes_its_wsi(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	s->j->data++;
	p->got = lws_threadpool_task_attached(s->j->task);

	return play_ret(p);
}

/* H1, W1: serve() by something that is no callback of the wsi (a timer, say),
 * whose handler closes it in the end.  ASan sees what is touched after that.
 * Tasks that are behind it get no handler. */
static void
a_close_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		play_handler(&p, rig, (enum conn_kind)(n / 2), n & 1,
			     closes_its_wsi);
		p.other = served_syncing(rig, p.tp, p.c->wsi);
		p.got = 1;
		lws_threadpool_serve(p.c->wsi);
		assert_int_equal(p.got, 0);
		play_is_over(&p);
		assert_null(p.s->j->cleanup_wsi);
		assert_int_equal(atomic_load(&p.s->j->stopping), !p.at_end);
		rig_until_int(rig, &p.other->j->cleanups, 1);
		assert_int_equal(atomic_load(&p.other->syncs), 0);
		assert_int_equal(atomic_load(&p.other->ends), 0);
		conn_until_closed(p.c);
	}
}

static int
closes_soon(struct served *s, struct lws *wsi)
{
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);

	return play_ret(s->priv);
}

/* W1: within a WRITEABLE callback, as lws wants it: by and by, whatever the
 * handler returns */
static void
a_close_to_come(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 4; n++) {
		play_handler(&p, rig, CONN_RAW, n & 1, closes_soon);
		p.s->sync_ret = n & 2 ? -1 : LWS_TP_ON_SYNC_STAY;
		p.s->end_ret = n & 2 ? -1 : 0;
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		conn_until_closed(p.c);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		assert_int_equal(atomic_load(&p.s->ends), p.at_end);
	}
}

static int
closes_another(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	lws_set_timeout(p->other->j->task ?
				((struct conn *)p->other->priv)->wsi :
				NULL,
			PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);

	return play_ret(p);
}

/* W1, S7: a handler within a WRITEABLE callback closes another wsi */
static void
a_close_of_another(void **state)
{
	struct rig *rig = *state;
	struct conn *c;
	struct play p;

	for (int n = 0; n < 2; n++) {
		play_handler(&p, rig, CONN_RAW, n, closes_another);
		c = conn_open(rig, CONN_WS);
		c->manual = true;
		p.other = served_syncing(rig, p.tp, c->wsi);
		p.other->priv = c;
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		rig_until_int(rig, &p.other->j->cleanups, 1);
		assert_int_equal(atomic_load(&p.other->ends), 0);
		assert_int_equal(atomic_load(&p.s->ends), 1);
		conn_until_closed(c);
	}
}

/* ---- the pool ---- */

static int
destroys_its_pool(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	rig_pool_destroy(p->rig, p->tp);
	s->j->data++;
	p->got = atomic_load(&p->other->j->cleanups);

	return play_ret(p);
}

/* H1, P4: destroy() of its own pool returns with all else gone, and itself goes
 * when the handler returns, once; its STOPPING does not wait for that (S7) */
static void
destroy_within(void **state)
{
	static const int rets[] = { 0, 1, 2, -1 };
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 8; n++) {
		play_handler(&p, rig, CONN_RAW, n & 1, destroys_its_pool);
		p.s->answers = true;
		p.s->sync_ret = p.s->end_ret = rets[n / 2];
		p.other = served_syncing(rig, p.tp, p.c->wsi);
		assert_int_equal(lws_threadpool_serve(p.c->wsi) < 0,
				 rets[n / 2] < 0);
		assert_int_equal(p.got, 1);
		assert_int_equal(atomic_load(&p.s->j->cleanups), 1);
		assert_int_equal(atomic_load(&p.s->j->stopping), !p.at_end);
		play_is_over(&p);
		assert_int_equal(atomic_load(&p.other->syncs), 0);
		assert_int_equal(atomic_load(&p.other->ends), 0);
		/* the wsi is as it was: another pool may serve it */
		p.tp = rig_pool(rig, 1, 10);
		p.other = served_done(rig, p.tp, p.c->wsi);
		assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(atomic_load(&p.other->j->cleanups), 1);
	}
}

/* the same by WRITEABLE, and the application returns -1 then */
static void
destroy_within_writeable(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 4; n++) {
		play_handler(&p, rig, CONN_WS, n & 1, destroys_its_pool);
		p.s->answers = true;
		p.s->sync_ret = p.s->end_ret = n & 2 ? -1 : 0;
		p.other = served_done(rig, p.tp, p.c->wsi);
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		if (n & 2)
			conn_until_closed(p.c);
		play_is_over(&p);
	}
}

/* ---- more of the same API ---- */

static int
enqueues(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;
	struct conn *elsewhere = p->other->priv;

	for (int n = 0; n < 3; n++) {
		struct served *next = served_new(p->rig);

		if (!served_enqueue(p->tp, next,
				    !n	   ? wsi :
				    n == 1 ? elsewhere->wsi :
					     NULL))
			job_fault(s->j, "an enqueue in a handler is refused");
	}

	return play_ret(p);
}

/* enqueue in a handler: on this wsi, on one that had no task, and on none */
static void
enqueue_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		play_handler(&p, rig, (enum conn_kind)(n / 2), n & 1, enqueues);
		p.other = served_new(rig);
		p.other->priv = conn_open(rig, CONN_RAW);
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		rig_until_cleaned(rig);
		assert_int_equal(atomic_load(&p.s->ends), 1);
	}
}

static int
serves_again(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	p->nested++;
	/* the other one, and then none: itself is being served */
	for (int n = 0; n < 3; n++)
		if (lws_threadpool_serve(wsi))
			job_fault(s->j, "a serve() in a handler returns not 0");
	p->got = atomic_load(&p->other->syncs) + atomic_load(&p->other->ends);
	if (lws_threadpool_this_task() != s->j->task)
		job_fault(s->j, "this_task() is not the innermost");

	return play_ret(p);
}

/* H1, H2: serve() in a handler serves others, never the handler's own task */
static void
serve_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 4; n++) {
		play_handler(&p, rig, CONN_RAW, n & 1, serves_again);
		p.s->sync_ret = LWS_TP_ON_SYNC_STAY;
		if (n & 2) {
			p.other = served_done(rig, p.tp, p.c->wsi);
		} else {
			p.other = served_syncing(rig, p.tp, p.c->wsi);
			p.other->sync_ret = LWS_TP_ON_SYNC_STAY;
		}
		assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(p.nested, 1);
		/* one that stays is served again, if nobody else is there */
		assert_int_equal(p.got, n & 2 ? 1 : 3);
		assert_null(lws_threadpool_this_task());
	}
}

static int
serves_another_wsi(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;
	struct conn *c = p->other->priv;

	(void)wsi;
	lws_threadpool_serve(c->wsi);
	p->got = atomic_load(&p->other->syncs);

	return play_ret(p);
}

static void
serve_another_wsi_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 2; n++) {
		struct conn *c = conn_open(rig, CONN_WS);

		play_handler(&p, rig, CONN_RAW, n & 1, serves_another_wsi);
		c->manual = true;
		p.other = served_syncing(rig, p.tp, c->wsi);
		p.other->priv = c;
		assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(p.got, 1);
		assert_ptr_equal(p.other->wsi, c->wsi);
		assert_ptr_equal(p.s->wsi, p.c->wsi);
	}
}

static int
parks(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	p->got = (int)lws_threadpool_park(-1);

	return play_ret(p);
}

/* T9: to park is for task functions: no mark, and an error */
static void
park_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 2; n++) {
		play_handler(&p, rig, CONN_RAW, n & 1, parks);
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		assert_int_equal(p.got, LWS_TP_RETURN_CHECKING_IN);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_park"),
				 n + 1);
	}
}

static int
dequeues_the_other(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	p->got = lws_threadpool_dequeue_task(p->other->j->task);
	p->nested = atomic_load(&p->other->j->cleanups);
	if (lws_threadpool_this_task() != s->j->task)
		job_fault(s->j, "this_task() is not the innermost");
	if (lws_threadpool_end_status() !=
	    (p->at_end ? s->how : LWS_TP_STATUS_STOPPED))
		job_fault(s->j, "end_status() is not the innermost's");

	return play_ret(p);
}

/* Q4: of another task, whose cleanup is called within this handler: that one is
 * this_task() then, and how it ended is told */
static void
a_cleanup_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 2; n++) {
		play_handler(&p, rig, CONN_RAW, n & 1, dequeues_the_other);
		p.other = served_new(rig);
		p.other->j->last = LWS_TP_RETURN_STOPPED;
		assert_non_null(served_enqueue(p.tp, p.other, p.c->wsi));
		job_fence(rig, p.tp);
		assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(p.got, 0);
		assert_int_equal(p.nested, 1);
		assert_ptr_equal(p.other->cleanup_this, p.other->j->task);
		assert_int_equal(p.other->cleanup_how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&p.other->ends), 0);
	}
}

static int
visits(struct lws_threadpool_task *task, void *user)
{
	struct play *p = user;

	p->nested++;
	lws_threadpool_dequeue_task(task);

	return 0;
}

static int
walks(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	lws_threadpool_foreach_task_wsi(wsi, p, visits);

	return play_ret(p);
}

/* Q3: a walk over the wsi's tasks in a handler that dequeues each */
static void
foreach_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 2; n++) {
		play_handler(&p, rig, CONN_RAW, n & 1, walks);
		served_syncing(rig, p.tp, p.c->wsi);
		served_done(rig, p.tp, p.c->wsi);
		assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(p.nested, 3);
		assert_null(lws_threadpool_get_task_wsi(p.c->wsi));
		play_is_over(&p);
		rig_until_cleaned(rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(a_close_within),
		SERVED_TEST(a_close_to_come),
		SERVED_TEST(a_close_of_another),
		SERVED_TEST(destroy_within),
		SERVED_TEST(destroy_within_writeable),
		SERVED_TEST(enqueue_within),
		SERVED_TEST(serve_within),
		SERVED_TEST(serve_another_wsi_within),
		SERVED_TEST(park_within),
		SERVED_TEST(a_cleanup_within),
		SERVED_TEST(foreach_within),
	};

	return cmocka_run_group_tests_name("H1 misuse", tests, NULL, NULL);
}
