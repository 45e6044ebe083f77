/*
 * lws-threadpool unit tests - R2, a handle is refused where a first task would
 * be, and lws_threadpool_refused() says why
 *
 * SPDX-License-Identifier: MIT
 */

#include "refused-where.h"
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
	struct lws_threadpool *tp;
	struct lws *wsi;
	struct lws_threadpool_wsi *h;
	enum lws_threadpool_refused before, why;
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

static void
ask_at_the_end(void *tp, struct lws *wsi)
{
	is_refused(tp, wsi, LWS_TP_REFUSED_CLOSING);
}

/* in each callback of its end that comes after ours knows of it, which it does
 * if it had a task, or a handle */
static void
one_that_closes(void **state)
{
	const struct rig_opts opts = { .on_event = refused_where_event };

	(void)state;
	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(refused_kinds); n++) {
		struct lws_threadpool_wsi *h = NULL;
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct conn *c = conn_open(rig, refused_kinds[n / 2]);

		rig_drain(rig);
		if (n & 1) {
			h = lws_threadpool_wsi_handle(tp, c->wsi);
			assert_non_null(h);
		} else
			assert_non_null(job_enqueue(tp, job_new(rig), c->wsi));
		refused_as_it_closes(c, ask_at_the_end, tp);
		assert_null(lws_threadpool_wsi_get(h));
		assert_int_equal(rig_destroy(rig), 0);
	}
}

struct ending {
	struct lws_threadpool *tp;
	struct conn *c;
	int told;
};

/* in the end of a context it is its context that ends, or it */
static int
ask_at_any_end(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct ending *o = rig->priv;

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
	struct ending o = { .tp = rig_pool(rig, 1, 10) };

	o.c = conn_open(rig, CONN_RAW);
	assert_non_null(lws_threadpool_wsi_handle(o.tp, o.c->wsi));
	rig->priv = &o;
	rig->on_event = ask_at_any_end;
	rig_context_destroy(rig);
	rig->priv = NULL;
	assert_int_equal(o.told, 1);
}

/* ---- no connection ---- */

static void
ask_here(void *tp, struct lws *wsi)
{
	is_refused(tp, wsi, LWS_TP_REFUSED_NOT_CONNECTED);
}

/* Q6: and what is a connection is not */
static void
what_is_no_connection(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c;

	rig_drain(rig);
	rig->on_event = refused_where_event;
	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(refused_reasons); n++) {
		refused_in(rig, refused_reasons[n / 2], ask_here, tp);
		c = conn_open(rig, CONN_RAW);
		assert_non_null(lws_threadpool_wsi_handle(tp, c->wsi));
	}
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
