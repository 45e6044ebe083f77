/*
 * lws-threadpool unit tests - R2, a handle is refused where a first task would
 * be, and lws_threadpool_refused() says why
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

static void
is_refused(struct lws_threadpool *tp, struct lws *wsi,
	   enum lws_threadpool_refused why)
{
	assert_null(lws_threadpool_wsi_handle(tp, wsi));
	assert_refused(why);
}

/* ---- arguments ---- */

static void
no_pool_or_no_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *stale = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	rig_pool_destroy(rig, stale);
	assert_null(lws_threadpool_wsi_handle(stale, c->wsi));
	assert_int_equal(log_claim(LLL_ERR, ""), 1);
	assert_refused(LWS_TP_REFUSED_ARGS);
	assert_null(lws_threadpool_wsi_handle(NULL, c->wsi));
	assert_int_equal(log_claim(LLL_ERR, ""), 2);
	assert_refused(LWS_TP_REFUSED_ARGS);
	is_refused((struct lws_threadpool *)UINTPTR_MAX, c->wsi,
		   LWS_TP_REFUSED_ARGS);
	is_refused(tp, NULL, LWS_TP_REFUSED_ARGS);

	/* and the next one that succeeds says so */
	assert_non_null(lws_threadpool_wsi_handle(tp, c->wsi));
	assert_refused(LWS_TP_REFUSED_NONE);
}

/* ---- threads ---- */

struct asker {
	struct lws_threadpool		*tp;
	struct lws			*wsi;
	struct lws_threadpool_wsi	*h;
	enum lws_threadpool_refused	before, why;
};

static int
ask_in_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	struct asker *a = j->priv;

	(void)s;
	a->before = lws_threadpool_refused();
	a->h = lws_threadpool_wsi_handle(a->tp, a->wsi);
	a->why = lws_threadpool_refused();

	return LWS_TP_RETURN_FINISHED;
}

/* Whether it has one already or not; and why it was is this thread's to know */
static void
on_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct asker a = { .tp = rig_pool(rig, 1, 10) };
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < 2; n++) {
		struct job *j = job_new(rig);

		a.wsi = c->wsi;
		a.h = (struct lws_threadpool_wsi *)c;
		j->fn = ask_in_a_task;
		j->priv = &a;
		assert_non_null(job_enqueue(a.tp, j, NULL));
		wait_int(&j->cleanups, 1);
		assert_null(a.h);
		assert_int_equal(a.before, n ? LWS_TP_REFUSED_WRONG_THREAD :
					       LWS_TP_REFUSED_NONE);
		assert_int_equal(a.why, LWS_TP_REFUSED_WRONG_THREAD);
		assert_refused(LWS_TP_REFUSED_NONE);
		assert_non_null(lws_threadpool_wsi_handle(a.tp, c->wsi));
	}
}

/* ---- contexts ---- */

static void
of_another_context(void **state)
{
	struct lws_threadpool *tp[2];
	struct rig *rig[2];
	struct conn *c[2];

	(void)state;
	for (int n = 0; n < 2; n++) {
		rig[n] = rig_create(NULL);
		tp[n] = rig_pool(rig[n], 1, 10);
		c[n] = conn_open(rig[n], CONN_RAW);
	}
	for (int round = 0; round < 2; round++) {
		is_refused(tp[0], c[1]->wsi, LWS_TP_REFUSED_CONTEXT);
		is_refused(tp[1], c[0]->wsi, LWS_TP_REFUSED_CONTEXT);
		for (int n = 0; n < 2; n++)
			assert_non_null(lws_threadpool_wsi_handle(tp[n],
								c[n]->wsi));
	}
	/* the pool's is gone */
	rig_context_destroy(rig[0]);
	is_refused(tp[0], c[1]->wsi, LWS_TP_REFUSED_CONTEXT);
	for (int n = 0; n < 2; n++)
		assert_int_equal(rig_destroy(rig[n]), 0);
}

/* ---- closing ---- */

struct closing_one {
	struct lws_threadpool	*tp;
	struct conn		*c;
	int			told;
};

/* in each callback of its end that comes after ours knows of it */
static int
ask_at_the_end(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct closing_one *o = rig->priv;

	if (o && wsi && o->c->wsi == wsi && reason_closed(reason)) {
		is_refused(o->tp, wsi, LWS_TP_REFUSED_CLOSING);
		o->told++;
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

/* ... which it does if it had a task, or a handle */
static void
one_that_closes(void **state)
{
	static const enum conn_kind kinds[] = {
		CONN_WS, CONN_HTTP, CONN_RAW, CONN_RAW_TCP
	};

	(void)state;
	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(kinds); n++) {
		struct closing_one o = { .told = 0 };
		struct lws_threadpool_wsi *h = NULL;
		struct rig_opts opts = { .on_event = ask_at_the_end };
		struct rig *rig = rig_create(&opts);

		o.tp = rig_pool(rig, 1, 10);
		o.c = conn_open(rig, kinds[n / 2]);
		rig_drain(rig);
		if (n & 1) {
			h = lws_threadpool_wsi_handle(o.tp, o.c->wsi);
			assert_non_null(h);
		} else
			assert_non_null(job_enqueue(o.tp, job_new(rig),
						    o.c->wsi));
		rig->priv = &o;
		closing_do(o.c, CLOSING_TIMEOUT);
		rig->priv = NULL;
		assert_null(lws_threadpool_wsi_get(h));
		assert_true(o.told >= 1);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* in the end of a context it is its context that ends, or it */
static int
ask_at_any_end(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct closing_one *o = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (o && wsi && o->c->wsi == wsi && reason_closed(reason)) {
		assert_null(lws_threadpool_wsi_handle(o->tp, wsi));
		assert_int_not_equal(lws_threadpool_refused(),
				     LWS_TP_REFUSED_NONE);
		log_claim(LLL_ERR, "lws_threadpool_wsi_handle");
		o->told++;
	}

	return RIG_DEFAULT;
}

static void
as_the_context_ends(void **state)
{
	struct rig *rig = *state;
	struct closing_one o = { .tp = rig_pool(rig, 1, 10) };

	o.c = conn_open(rig, CONN_RAW);
	assert_non_null(lws_threadpool_wsi_handle(o.tp, o.c->wsi));
	rig->priv = &o;
	rig->on_event = ask_at_any_end;
	rig_context_destroy(rig);
	rig->priv = NULL;
	assert_int_equal(o.told, 1);
}

/* ---- no connection ---- */

struct place {
	struct lws_threadpool		*tp;
	enum lws_callback_reasons	reason;
	int				told;
};

static int
ask_here(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	 void *user, void *in, size_t len)
{
	struct place *p = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (p && wsi && reason == p->reason) {
		is_refused(p->tp, wsi, LWS_TP_REFUSED_NOT_CONNECTED);
		p->told++;
	}

	return RIG_DEFAULT;
}

static bool
was_told(void *arg)
{
	return ((struct place *)arg)->told;
}

/* Q6: what lws gives to callbacks that are about no connection; that which
 * listens; what is accepted, before it is anything */
static void
what_is_no_connection(void **state)
{
	static const enum lws_callback_reasons reasons[] = {
		LWS_CALLBACK_EVENT_WAIT_CANCELLED,
		LWS_CALLBACK_FILTER_NETWORK_CONNECTION,
		LWS_CALLBACK_WSI_CREATE,
	};
	struct rig *rig = *state;
	struct place p = { .tp = rig_pool(rig, 1, 10) };
	struct conn *c;

	rig_drain(rig);
	rig->priv = &p;
	rig->on_event = ask_here;
	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(reasons); n++) {
		p.told = 0;
		p.reason = reasons[n / 2];
		if (p.reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED)
			lws_cancel_service(rig->context);
		else
			conn_open(rig, CONN_WS);
		rig_until(rig, was_told, &p);
		p.reason = LWS_CALLBACK_USER;
		c = conn_open(rig, CONN_RAW);
		assert_non_null(lws_threadpool_wsi_handle(p.tp, c->wsi));
	}
	rig->priv = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(no_pool_or_no_wsi),
		RIG_TEST(on_a_pool_thread),
		cmocka_unit_test(of_another_context),
		cmocka_unit_test(one_that_closes),
		RIG_TEST(as_the_context_ends),
		RIG_TEST(what_is_no_connection),
	};

	return cmocka_run_group_tests_name("R2 refused handles", tests, NULL,
					   NULL);
}
