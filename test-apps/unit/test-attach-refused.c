/*
 * lws-threadpool unit tests - K3, an attach is refused as an enqueue is, and
 * the task stays where it was
 *
 * SPDX-License-Identifier: MIT
 */

#include "refused-where.h"
#include "tokens.h"

/* On its own wsi, SYNCING: refused, and told why, and that is all */
static void
is_refused(struct job *j, struct lws *wsi, enum lws_threadpool_refused why)
{
	assert_int_equal(lws_threadpool_task_attach(j->task, wsi), -1);
	assert_refused(why);
}

static void
stayed(struct job *j, struct conn *c)
{
	assert_int_equal(lws_threadpool_task_attached(j->task), 1);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(atomic_load(&j->calls), 1);
}

static void
goes_on(struct job *j, struct conn *c)
{
	stayed(j, c);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_int(j->rig, &j->cleanups, 1);
	assert_ptr_equal(j->cleanup_wsi, c->wsi);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* ---- arguments ---- */

/* Q6: -1, a line at LLL_INFO, and ARGS */
static void
no_such_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);
	struct lws_threadpool_task *none[] = {
		NULL,
		NULL,
		(struct lws_threadpool_task *)rig,
		(struct lws_threadpool_task *)tp,
		(struct lws_threadpool_task *)UINTPTR_MAX,
	};

	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	none[0] = j->task;
	log_info();
	log_forget();
	for (size_t n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		assert_int_equal(lws_threadpool_task_attach(none[n], c->wsi),
				 -1);
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		assert_int_equal(log_count(LLL_INFO, "lws_threadpool"), 1);
		assert_int_equal(lws_threadpool_task_attached(none[n]), 0);
		assert_int_equal(log_count(LLL_ERR, ""), 0);
		log_forget();
	}
	assert_int_equal(tokens_of(c->wsi).count, 0);
}

static void
no_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	is_refused(j, NULL, LWS_TP_REFUSED_ARGS);
	goes_on(j, c);
}

/* ---- threads ---- */

struct asker {
	struct job *j;
	struct lws *wsi;
	int ret;
	enum lws_threadpool_refused why;
};

static int
attach_in_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	struct asker *a = j->priv;

	(void)s;
	a->ret = lws_threadpool_task_attach(
		a->j ? a->j->task : lws_threadpool_this_task(), a->wsi);
	a->why = lws_threadpool_refused();

	return LWS_TP_RETURN_FINISHED;
}

/* another one, itself, and to the wsi where it is already */
static void
on_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *to = conn_open(rig, CONN_RAW);
	struct job *j;

	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	for (int n = 0; n < 3; n++) {
		struct job *asks = job_new(rig);
		struct asker a = { j, n ? to->wsi : c->wsi, 0,
				   LWS_TP_REFUSED_NONE };

		if (n == 2)
			a.j = NULL; /* itself */
		asks->fn = attach_in_a_task;
		asks->priv = &a;
		assert_non_null(job_enqueue(tp, asks, NULL));
		wait_int(&asks->cleanups, 1);
		assert_int_equal(a.ret, -1);
		assert_int_equal(a.why, LWS_TP_REFUSED_WRONG_THREAD);
		log_claim(LLL_ERR, "lws_threadpool_task_attach");
		stayed(j, c);
		assert_int_equal(tokens_of(to->wsi).count, 0);
	}
	goes_on(j, c);
}

/* ---- contexts ---- */

static void
to_another_context(void **state)
{
	struct lws_threadpool *tp;
	struct rig *rig[2];
	struct conn *c[2];
	struct job *j;

	(void)state;
	for (int n = 0; n < 2; n++) {
		rig[n] = rig_create(NULL);
		c[n] = conn_open(rig[n], CONN_RAW);
		c[n]->manual = true;
	}
	tp = rig_pool(rig[0], 1, 10);
	for (int known = 0; known < 2; known++) {
		j = job_park(rig[0], tp, c[0]->wsi);
		is_refused(j, c[1]->wsi, LWS_TP_REFUSED_CONTEXT);
		goes_on(j, c[0]);
		c[0]->manual = true;
		/* and with one that has tasks of its own */
		if (!known)
			job_park(rig[1], rig_pool(rig[1], 1, 10), c[1]->wsi);
	}
	/* its own is gone, and it has no wsi any more */
	j = tokens_keep(rig[0], tp);
	rig_context_destroy(rig[0]);
	is_refused(j, c[1]->wsi, LWS_TP_REFUSED_CONTEXT);
	assert_int_equal(tokens_info(j).kept, 1);
	for (int n = 0; n < 2; n++)
		assert_int_equal(rig_destroy(rig[n]), 0);
}

/* ---- closing ---- */

struct asked {
	struct job *j;
	struct conn *c, *from;
	struct lws_threadpool *tp;
	int told;
};

/* in the close callback of the wsi that it should go to */
static void
attach_at_the_end(void *arg, struct lws *wsi)
{
	struct asked *o = arg;

	is_refused(o->j, wsi, LWS_TP_REFUSED_CLOSING);
	stayed(o->j, o->from);
}

static void
to_one_that_closes(void **state)
{
	const struct rig_opts opts = { .on_event = refused_where_event };

	(void)state;
	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(refused_kinds); n++) {
		struct asked o = { .told = 0 };
		struct rig *rig = rig_create(&opts);

		o.tp = rig_pool(rig, 1, 10);
		o.from = conn_open(rig, CONN_RAW);
		o.from->manual = true;
		o.j = job_park(rig, o.tp, o.from->wsi);
		o.c = conn_open(rig, refused_kinds[n / 2]);
		rig_drain(rig);
		if (n & 1)
			assert_non_null(lws_threadpool_wsi_handle(o.tp,
								  o.c->wsi));
		else
			assert_non_null(job_enqueue(o.tp, job_new(rig),
						    o.c->wsi));
		refused_as_it_closes(o.c, attach_at_the_end, &o);
		goes_on(o.j, o.from);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* W5: in its own cleanup it is stale; another task cannot come to the wsi that
 * closes by the cleanup of one that it had */
static void
attach_in_cleanup(struct job *j, struct lws *wsi)
{
	struct asked *o = j->priv;

	(void)wsi;
	if (lws_threadpool_task_attach(j->task, o->from->wsi) != -1 ||
	    lws_threadpool_refused() != LWS_TP_REFUSED_ARGS)
		job_fault(j, "attached in its cleanup (K3, Q1)");
	if (lws_threadpool_task_attach(o->j->task, o->c->wsi) != -1 ||
	    lws_threadpool_refused() != LWS_TP_REFUSED_CLOSING)
		job_fault(j, "attached to what closes (K3, W5)");
	log_claim(LLL_ERR, "lws_threadpool_task_attach");
	o->told++;
}

static void
in_a_cleanup(void **state)
{
	struct rig *rig = *state;
	struct asked o = { .tp = rig_pool(rig, 1, 10) };
	struct job *j = job_new(rig);

	rig->on_event = closing_event;
	o.from = conn_open(rig, CONN_RAW);
	o.c = conn_open(rig, CONN_RAW);
	o.from->manual = o.c->manual = true;
	o.j = job_park(rig, o.tp, o.from->wsi);
	j->on_cleanup = attach_in_cleanup;
	j->priv = &o;
	assert_non_null(job_enqueue(o.tp, j, o.c->wsi));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	closing_do(o.c, CLOSING_FIN);
	assert_int_equal(o.told, 1);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	goes_on(o.j, o.from);
}

/* ---- no connection ---- */

static void
attach_here(void *arg, struct lws *wsi)
{
	struct asked *o = arg;

	is_refused(o->j, wsi, LWS_TP_REFUSED_NOT_CONNECTED);
	stayed(o->j, o->from);
}

static void
to_what_is_no_connection(void **state)
{
	struct rig *rig = *state;
	struct asked o = { .from = conn_open(rig, CONN_RAW) };

	o.from->manual = true;
	o.j = job_park(rig, rig_pool(rig, 1, 10), o.from->wsi);
	rig_drain(rig);
	rig->on_event = refused_where_event;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(refused_reasons); n++)
		refused_in(rig, refused_reasons[n], attach_here, &o);
	goes_on(o.j, o.from);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(no_such_task),
		RIG_TEST(no_wsi),
		RIG_TEST(on_a_pool_thread),
		cmocka_unit_test(to_another_context),
		cmocka_unit_test(to_one_that_closes),
		RIG_TEST(in_a_cleanup),
		RIG_TEST(to_what_is_no_connection),
	};

	return cmocka_run_group_tests_name("K3 refused attaches", tests, NULL,
					   NULL);
}
