/*
 * lws-threadpool unit tests - R1, calls and the end of their context
 *
 * SPDX-License-Identifier: MIT
 */

#include "calls.h"
#include "closings.h"

/* R1: what was accepted was called once, with NULL, by this thread; what was
 * refused was not */
static void
is_over(struct call *c)
{
	assert_int_equal(atomic_load(&c->calls), c->ret ? 0 : 1);
	if (c->ret) {
		assert_int_equal(c->ret, -1);
		return;
	}
	assert_null(c->context);
	assert_true(pthread_equal(c->thread, pthread_self()));
}

static void
makes_no_other(struct lws_context *context, void *arg)
{
	struct call *c = arg;

	/* the context is ending: refused, and not called (R1) */
	assert_int_equal(lws_threadpool_call(c->tp, 0, call_note, c), -1);
	call_note(context, c);
}

/* R1: with NULL by the thread that destroys the context, in order; what comes
 * then or later is refused */
static void
the_context_ends(void **state)
{
	struct lws_threadpool *tp;
	struct rig *rig;
	struct call c[5], nested, after;

	(void)state;
	for (int round = 0; round < 4; round++) {
		struct rig_opts opts = { .opt_in = round & 1 };

		rig = rig_create(&opts);
		tp = rig_pool(rig, 1, 10);
		if (round & 2)
			conn_open(rig, CONN_RAW);
		rig_drain(rig);
		call_turn = 0;
		for (int n = 0; n < 5; n++) {
			call_make(&c[n], rig, tp);
			assert_int_equal(c[n].ret, 0);
		}
		memset(&nested, 0, sizeof(nested));
		nested.tp = tp;
		assert_int_equal(
			lws_threadpool_call(tp, 0, makes_no_other, &nested), 0);
		rig_context_destroy(rig);
		for (int n = 0; n < 5; n++) {
			is_over(&c[n]);
			assert_int_equal(c[n].turn, n);
		}
		is_over(&nested);

		call_make(&after, rig, tp);
		assert_int_equal(after.ret, -1);
		rig_pool_destroy(rig, tp);
		is_over(&after);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* R1: and though tp was destroyed before */
static void
the_pool_and_then_the_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct call c;

	rig_drain(rig);
	call_make(&c, rig, tp);
	assert_int_equal(c.ret, 0);
	rig_pool_destroy(rig, tp);
	rig_context_destroy(rig);
	is_over(&c);
}

static void
destroys_its_pool(struct lws_context *context, void *arg)
{
	struct call *c = arg;

	rig_pool_destroy(c->rig, c->tp);
	call_note(context, c);
}

/* P4, R1: a pool may be destroyed during the destruction of its context */
static void
a_last_call_destroys_the_pool(void **state)
{
	struct rig *rig = *state;
	struct conn *conn = conn_open(rig, CONN_RAW);
	struct call c = { .rig = rig, .tp = rig_pool(rig, 1, 10) };

	conn->manual = true;
	job_park(rig, c.tp, conn->wsi);
	rig_drain(rig);
	assert_int_equal(lws_threadpool_call(c.tp, 0, destroys_its_pool, &c),
			 0);
	rig_context_destroy(rig);
	is_over(&c);
}

static void *
serve_a_little(void *arg)
{
	struct rig *rig = arg;

	rig->thread = pthread_self();
	rig_drain(rig);

	return NULL;
}

/* R1: that is not the service thread here */
static void
another_thread_destroys_the_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	pthread_t thread;
	struct call c;

	if (rig->evloop)
		skip(); /* its loop is this thread's */
	assert_int_equal(pthread_create(&thread, NULL, serve_a_little, rig), 0);
	pthread_join(thread, NULL);
	call_make(&c, rig, tp);
	assert_int_equal(c.ret, 0);
	rig_context_destroy(rig);
	is_over(&c);
}

/* ---- while it ends ---- */

#define MOST 64

struct ending {
	struct lws_threadpool *tp;
	bool on;
	struct call c[MOST];
	int count;
};

static int
call_at_the_end(struct rig *rig, struct lws *wsi,
		enum lws_callback_reasons reason, void *user, void *in,
		size_t len)
{
	struct ending *e = rig->priv;

	(void)wsi;
	(void)reason;
	(void)user;
	(void)in;
	(void)len;
	if (e && e->on && e->count < MOST) {
		call_make(&e->c[e->count], rig, e->tp);
		e->count++;
	}

	return RIG_DEFAULT;
}

static void
call_in_cleanup(struct job *j, struct lws *wsi)
{
	struct call *c = j->priv;

	(void)wsi;
	call_make(c, j->rig, c->tp);
}

/* R1: in each callback and in cleanups, as lws takes the context down: refused,
 * or called */
static void
calls_while_the_context_ends(void **state)
{
	struct rig *rig;

	(void)state;
	for (int opt_in = 0; opt_in < 2; opt_in++) {
		struct ending e = { .on = false };
		struct rig_opts opts = {
			.opt_in = opt_in,
			.on_event = call_at_the_end,
			.priv = &e,
		};
		struct call cleanup;
		struct conn *conn;
		struct job *j;

		rig = rig_create(&opts);
		e.tp = rig_pool(rig, 1, 10);
		conn = conn_open(rig, CONN_WS);
		conn->manual = true;
		conn_open(rig, CONN_FILE);
		j = job_new(rig);
		j->on_cleanup = call_in_cleanup;
		cleanup.tp = e.tp;
		j->priv = &cleanup;
		assert_non_null(job_enqueue(e.tp, j, conn->wsi));
		rig_until_status(j, LWS_TP_STATUS_FINISHED);
		rig_drain(rig);
		call_turn = 0;
		e.on = true;
		rig_context_destroy(rig);
		e.on = false;
		assert_true(e.count >= 2);
		for (int n = 0; n < e.count; n++)
			is_over(&e.c[n]);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		is_over(&cleanup);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* ---- other threads meanwhile ---- */

#define THREADS 3
#define EACH	4000

struct caller {
	struct numbered {
		struct caller *caller;
		int number;
	} all[EACH];
	pthread_t thread;
	struct lws_threadpool *tp;
	int accepted;
	atomic_int called;
	atomic_int begun;
	int next;
	bool with_null;
};

static struct caller callers[THREADS];

static void
in_order(struct lws_context *context, void *arg)
{
	struct numbered *n = arg;

	/* no turn of the loop comes after its end */
	assert_true(!context || !n->caller->with_null);
	n->caller->with_null = !context;
	assert_int_equal(n->number, n->caller->next);
	n->caller->next++;
	atomic_fetch_add(&n->caller->called, 1);
}

static void *
call_until_refused(void *arg)
{
	struct caller *c = arg;
	struct numbered *one;

	while (c->accepted < EACH) {
		one = &c->all[c->accepted];
		one->caller = c;
		one->number = c->accepted;
		if (lws_threadpool_call(c->tp, 0, in_order, one))
			break;
		c->accepted++;
		atomic_store(&c->begun, 1);
	}

	return NULL;
}

/* R1: exactly once what was accepted, not at all what was not */
static void
threads_call_while_the_context_ends(void **state)
{
	struct caller *c = callers;

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct rig *rig = rig_create(NULL);
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);

		rig_drain(rig);
		memset(callers, 0, sizeof(callers));
		for (int n = 0; n < THREADS; n++) {
			c[n].tp = tp;
			assert_int_equal(pthread_create(&c[n].thread, NULL,
							call_until_refused,
							&c[n]),
					 0);
		}
		wait_int(&c[round % THREADS].begun, 1);
		rig_turns(rig, round % 4);
		rig_context_destroy(rig);
		for (int n = 0; n < THREADS; n++)
			pthread_join(c[n].thread, NULL);
		rig_pool_destroy(rig, tp);
		for (int n = 0; n < THREADS; n++)
			assert_int_equal(atomic_load(&c[n].called),
					 c[n].accepted);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_context_ends),
		RIG_TEST(the_pool_and_then_the_context),
		RIG_TEST(a_last_call_destroys_the_pool),
		RIG_TEST(another_thread_destroys_the_context),
		cmocka_unit_test(calls_while_the_context_ends),
		cmocka_unit_test(threads_call_while_the_context_ends),
	};

	return cmocka_run_group_tests_name("R1 the end of calls", tests, NULL,
					   NULL);
}
