/*
 * lws-threadpool unit tests - H2, serve() where there is nothing to serve, or
 * not for this thread
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

#include "closings.h"

/* H2: 0, and nothing is done or said */
static void
a_wsi_without_tasks(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(lws_threadpool_serve(NULL), 0);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		assert_int_equal(lws_threadpool_serve(c->wsi), 0);
	}
	assert_int_equal(served_turns, 0);
}

static int no_connections, no_connection_ret;

static int
serve_no_connection(struct rig *rig, struct lws *wsi,
		    enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED ||
	    reason == LWS_CALLBACK_PROTOCOL_INIT ||
	    reason == LWS_CALLBACK_PROTOCOL_DESTROY) {
		no_connections |= reason == LWS_CALLBACK_PROTOCOL_INIT	  ? 1 :
				  reason == LWS_CALLBACK_PROTOCOL_DESTROY ? 2 :
									    4;
		no_connection_ret |= lws_threadpool_serve(wsi);
	}

	return served_event(rig, wsi, reason, user, in, len);
}

static bool
was_cancelled(void *arg)
{
	(void)arg;

	return no_connections & 4;
}

/* Q6: nor for a wsi that is no connection */
static void
a_wsi_that_is_none(void **state)
{
	struct rig_opts opts = { .on_event = serve_no_connection };
	struct play p;
	struct rig *rig;

	(void)state;
	no_connections = no_connection_ret = 0;
	rig = served_rig(&opts);
	play_begin(&p, rig, CONN_RAW, 1);
	lws_cancel_service(rig->context);
	rig_until(rig, was_cancelled, NULL);
	assert_int_equal(atomic_load(&p.s->syncs), 0);
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(served_turns, 0); /* nor at its end (H1) */
	/* with those, lws 4.1.6 tells the rig's protocols of no others */
	if (!evloop_is("ev") && !evloop_is("glib"))
		assert_int_equal(no_connections, 7);
	assert_int_equal(no_connection_ret, 0);
}

static int closings_served;

static int
serve_when_closed(struct rig *rig, struct lws *wsi,
		  enum lws_callback_reasons reason, void *user, void *in,
		  size_t len)
{
	struct conn *c = reason_closed(reason) || reason_drop(reason) ||
					 reason == LWS_CALLBACK_WSI_DESTROY ?
				 conn_of(wsi) :
				 NULL;

	if (c) {
		closings_served++;
		assert_int_equal(lws_threadpool_serve(wsi), 0);
	}

	return served_event(rig, wsi, reason, user, in, len);
}

/* H1, W1: in its close callbacks a wsi has nothing to serve */
static void
a_wsi_that_closes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	rig->on_event = serve_when_closed;
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		/* compiled in, lws tells of those at the very end (W1) */
		if (!conn_kind_watched((enum conn_kind)kind))
			continue;
		c->manual = true;
		served_syncing(rig, tp, c->wsi);
		served_done(rig, tp, c->wsi);
		closings_served = 0;
		conn_die(c);
		conn_until_closed(c);
		assert_true(closings_served > 0);
		assert_int_equal(served_turns, 0);
	}
}

static int
serve_in_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	j->data = lws_threadpool_serve(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

/* H2: from a thread of a pool, whichever it is: LLL_ERR, 0, and nothing is
 * done */
static void
from_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct play p;
	struct job *j;

	play_begin(&p, rig, CONN_RAW, 1);
	for (int n = 0; n < 2; n++) {
		j = job_new(rig);
		j->fn = serve_in_a_task;
		j->data = 1;
		j->priv = p.c->wsi;
		job_enqueue(n ? rig_pool(rig, 1, 10) : p.tp, j, NULL);
		wait_int(&j->cleanups, 1);
		assert_int_equal(j->data, 0);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_serve"),
				 n + 1);
	}
	assert_int_equal(served_turns, 0);
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
	assert_int_equal(atomic_load(&p.s->syncs), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(a_wsi_without_tasks),
		cmocka_unit_test(a_wsi_that_is_none),
		SERVED_TEST(a_wsi_that_closes),
		SERVED_TEST(from_a_pool_thread),
	};

	return cmocka_run_group_tests_name("H2 nothing", tests, NULL, NULL);
}
