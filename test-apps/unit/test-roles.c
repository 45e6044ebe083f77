/*
 * lws-threadpool unit tests - W3: a task does the same on every kind of wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * Here are ws (server side, with a socket and with an lws client as the peer),
 * http/1 with keep-alive, raw sockets and raw files.  http/2 and ws over TLS
 * are in test-apps/roles, several service threads in test-apps/smp.
 */

#include "closings.h"

#define SYNCS 200

static void
W3_streams_and_is_reaped(void **state)
{
	int kind, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (kind = 0; kind < CONN_KINDS; kind++) {
			struct rig_opts opts = { .opt_in = opt_in };
			struct rig *rig = rig_create(&opts);
			struct lws_threadpool *tp = rig_pool(rig, 2, 10);
			struct conn *c = conn_open(rig, (enum conn_kind)kind);
			struct job *j = job_script(rig, SYNCS,
						   LWS_TP_RETURN_SYNC);
			struct lws *wsi = c->wsi;

			assert_non_null(job_enqueue(tp, j, c->wsi));
			rig_until_int(rig, &j->cleanups, 1);
			assert_ptr_equal(j->cleanup_wsi, wsi);
			assert_true(pthread_equal(j->cleanup_thread,
						  rig->thread));
			assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
			assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], SYNCS);
			assert_int_equal(atomic_load(&j->running), SYNCS + 1);
			assert_int_equal(atomic_load(&j->stopping), 0);
			assert_ptr_equal(c->wsi, wsi);
			assert_null(lws_threadpool_get_task_wsi(wsi));
			assert_int_equal(rig_destroy(rig), 0);
		}
}

/* All of the kinds at once on one pool, several tasks each */
static void
W3_all_kinds_share_a_pool(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *j[CONN_KINDS][3];
	struct conn *c[CONN_KINDS];
	int kind, n;

	for (kind = 0; kind < CONN_KINDS; kind++)
		c[kind] = conn_open(rig, (enum conn_kind)kind);
	for (kind = 0; kind < CONN_KINDS; kind++)
		for (n = 0; n < 3; n++) {
			j[kind][n] = job_script(rig, 50, LWS_TP_RETURN_SYNC);
			job_enqueue(tp, j[kind][n], c[kind]->wsi);
		}
	for (kind = 0; kind < CONN_KINDS; kind++)
		for (n = 0; n < 3; n++) {
			rig_until_int(rig, &j[kind][n]->cleanups, 1);
			assert_ptr_equal(j[kind][n]->cleanup_wsi, c[kind]->wsi);
		}
}

/* ---- http/1 with keep-alive ---- */

struct keepalive {
	struct lws_threadpool *tp;
	struct job *now; /* the request's */
	struct job *jobs[8];
	struct job *stays; /* of the first request */
	struct lws *wsi;
	int requests;
	int answers;
};

static int
answer(struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 512], *start = &buf[LWS_PRE], *p = start,
				    *end = &buf[sizeof(buf) - 1];

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", 0,
					&p, end) ||
	    lws_finalize_write_http_header(wsi, start, &p, end))
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* Each request is answered when its task has ended */
static int
keepalive_event(struct rig *rig, struct lws *wsi,
		enum lws_callback_reasons reason, void *user, void *in,
		size_t len)
{
	struct keepalive *k = rig->priv;
	struct job *j;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_HTTP) {
		if (!k->requests)
			return RIG_DEFAULT; /* conn_open()'s own */
		assert_ptr_equal(wsi, k->wsi);
		j = k->now = k->jobs[k->requests++] = job_script(
			rig, 5, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(k->tp, j, wsi));
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
		return 0;
	}
	if (reason == LWS_CALLBACK_HTTP_WRITEABLE && k->now) {
		j = job_serve_one(wsi);
		if (j == k->now && j->reaped_as >= 0) {
			k->now = NULL;
			k->answers++;
			return answer(wsi);
		}
		return 0;
	}

	return RIG_DEFAULT;
}

struct answered {
	struct keepalive *k;
	int n;
};

static bool
is_answered(void *arg)
{
	struct answered *a = arg;

	return a->k->answers == a->n;
}

static void
W3_http_keep_alive(void **state)
{
	static const char
		request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	int n, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		struct keepalive k = { .requests = 0 };
		struct rig_opts opts = { .on_event = keepalive_event,
					 .opt_in = opt_in,
					 .priv = &k };
		struct rig *rig = rig_create(&opts);
		struct conn *c = conn_open(rig, CONN_HTTP);
		char buf[4096];

		k.tp = rig_pool(rig, 1, 10);
		k.wsi = c->wsi;
		/* one of the first request that stays SYNCING through the
		 * others: keep-alive does not end it */
		k.stays = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(k.tp, k.stays, c->wsi));
		/* the answer to conn_open()'s own request */
		k.requests = 1;
		k.now = k.jobs[0] = job_script(rig, 5, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(k.tp, k.now, c->wsi));
		for (n = 1; n < 8; n++) {
			struct answered a = { &k, n };

			rig_until(rig, is_answered, &a);
			conn_send(c, request, sizeof(request) - 1);
		}
		{
			struct answered a = { &k, 8 };

			rig_until(rig, is_answered, &a);
		}
		assert_int_equal(k.requests, 8);
		for (n = 0; n < 8; n++) {
			assert_int_equal(k.jobs[n]->reaped_as,
					 LWS_TP_STATUS_FINISHED);
			assert_ptr_equal(k.jobs[n]->cleanup_wsi, k.wsi);
		}
		assert_int_equal(atomic_load(&k.stays->cleanups), 0);
		assert_true(conn_recv(c, buf, sizeof(buf)) > 0);
		closing_do(c, CLOSING_FIN);
		rig_until_int(rig, &k.stays->cleanups, 1);
		assert_null(k.stays->cleanup_wsi);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* A raw file on 4.1.6 loses an lws_callback_on_writable() that is made inside
 * its own WRITEABLE: S6 and the reaping of what ended meanwhile must not build
 * on it. */
static void
W3_raw_file_with_many_tasks_that_end_in_its_writeable(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 1000);
	struct conn *c = conn_open(rig, CONN_PIPE);
	struct job *j[300];
	int n;

	for (n = 0; n < 300; n++) {
		j[n] = job_script(rig, n % 3, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	}
	for (n = 0; n < 300; n++)
		rig_until_int(rig, &j[n]->cleanups, 1);
	/* had each waited for the ring of the next second, it would have been
	 * too late; and nothing spun */
	assert_true(c->writeables < 3000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W3_streams_and_is_reaped),
		RIG_TEST(W3_all_kinds_share_a_pool),
		cmocka_unit_test(W3_http_keep_alive),
		RIG_TEST(W3_raw_file_with_many_tasks_that_end_in_its_writeable),
	};

	return cmocka_run_group_tests_name("W3 roles", tests, NULL, NULL);
}
