/*
 * lws-threadpool unit tests - R2, WRITEABLE for a handle, from any thread, and
 * handles of http connections that are kept alive
 *
 * SPDX-License-Identifier: MIT
 */

#include <sys/socket.h>
#include <unistd.h>

#include "closings.h"

static struct lws_threadpool_wsi *
handle_of(struct lws_threadpool *tp, struct conn *c)
{
	struct lws_threadpool_wsi *h = lws_threadpool_wsi_handle(tp, c->wsi);

	assert_non_null(h);
	c->manual = true;

	return h;
}

static bool
has_writeable(void *arg)
{
	return ((struct conn *)arg)->writeables;
}

/* calls that did not return 0, on threads that cannot say so */
static atomic_int wrong;

static void *
ask(void *arg)
{
	if (lws_threadpool_wsi_writeable(arg))
		atomic_fetch_add(&wrong, 1);

	return NULL;
}

static void *
ask_often(void *arg)
{
	for (int n = 0; n < 500; n++)
		ask(arg);

	return NULL;
}

/* R2: one for all calls before it, by this thread and by others */
static void
one_for_all_before_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lws_threadpool_wsi *h;
	pthread_t thread;
	struct conn *c;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		c = conn_open(rig, (enum conn_kind)kind);
		h = handle_of(tp, c);
		rig_drain(rig);
		for (int n = 0; n < 3; n++) {
			c->writeables = 0;
			if (n) {
				assert_int_equal(pthread_create(&thread, NULL,
								ask_often, h),
						 0);
				pthread_join(thread, NULL);
			}
			if (n != 1)
				ask_often(h);
			rig_until(rig, has_writeable, c);
			rig_drain(rig);
			assert_int_equal(c->writeables, 1);
		}
	}
	assert_int_equal(atomic_load(&wrong), 0);
}

/* ---- one that begins after the call ---- */

#define ROUNDS 200

struct pinger {
	struct rig *rig;
	struct lws_threadpool_wsi *h;
	struct conn *c;
	atomic_int begun; /* WRITEABLEs */
	atomic_int done;
	int within;
	bool elsewhere;
};

static void *
ping(void *arg)
{
	struct pinger *p = arg;
	int before;

	for (int n = 0; n < ROUNDS; n++) {
		before = atomic_load(&p->begun);
		ask(p->h);
		wait_int(&p->begun, before + 1);
	}
	atomic_store(&p->done, 1);

	return NULL;
}

static int
note_writeable(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct pinger *p = rig->priv;
	pthread_t thread;

	(void)user;
	(void)in;
	(void)len;
	if (!p || wsi != p->c->wsi || !reason_writeable(reason))
		return RIG_DEFAULT;
	if (p->within) {
		p->within--;
		if (p->elsewhere) {
			assert_int_equal(
				pthread_create(&thread, NULL, ask, p->h), 0);
			pthread_join(thread, NULL);
		} else
			ask(p->h);
	}
	atomic_fetch_add(&p->begun, 1);

	return RIG_DEFAULT;
}

/* R2: each call has one that comes after it, the loop being asleep, and nothing
 * else waking it */
static void
each_call_is_heard(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct pinger p = { .rig = rig };
	pthread_t thread;

	rig->on_event = note_writeable;
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		p.c = conn_open(rig, (enum conn_kind)kind);
		p.h = handle_of(tp, p.c);
		atomic_store(&p.done, 0);
		rig->priv = &p;
		assert_int_equal(pthread_create(&thread, NULL, ping, &p), 0);
		rig_until_int(rig, &p.done, 1);
		pthread_join(thread, NULL);
		rig->priv = NULL;
	}
	assert_int_equal(atomic_load(&wrong), 0);
}

/* R2: made within a WRITEABLE, by itself or by another thread meanwhile, it is
 * another one that it asks for */
static void
within_a_writeable(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct pinger p = { .rig = rig };

	rig->on_event = note_writeable;
	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		p.c = conn_open(rig, (enum conn_kind)(n / 2));
		p.h = handle_of(tp, p.c);
		rig_drain(rig);
		rig->priv = &p;
		p.elsewhere = n & 1;
		p.within = 20;
		atomic_store(&p.begun, 0);
		assert_int_equal(lws_threadpool_wsi_writeable(p.h), 0);
		rig_until_int(rig, &p.begun, 21);
		rig_drain(rig);
		assert_int_equal(atomic_load(&p.begun), 21);
		rig->priv = NULL;
	}
	assert_int_equal(atomic_load(&wrong), 0);
}

/* R2, S3: beside tasks neither takes the other's WRITEABLE away */
static void
beside_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct pinger p = { .rig = rig };
	struct job *j[3];
	pthread_t thread;

	p.c = conn_open(rig, CONN_RAW);
	p.h = handle_of(tp, p.c);
	p.c->manual = false;
	rig->on_event = note_writeable;
	rig->priv = &p;
	assert_int_equal(pthread_create(&thread, NULL, ping, &p), 0);
	for (int n = 0; n < 3; n++) {
		j[n] = job_script(rig, 300, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], p.c->wsi));
	}
	rig_until_cleaned(rig);
	rig_until_int(rig, &p.done, 1);
	pthread_join(thread, NULL);
	rig->priv = NULL;
	for (int n = 0; n < 3; n++)
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 300);
}

/* ---- closing ---- */

struct hammer {
	struct lws_threadpool_wsi *_Atomic h;
	atomic_int quit, asked;
};

static void *
ask_until_told(void *arg)
{
	struct hammer *t = arg;
	struct lws_threadpool_wsi *h, *was = NULL;
	bool closed = false;
	int ret;

	while (!atomic_load(&t->quit)) {
		h = atomic_load(&t->h);
		closed = closed && h == was;
		was = h;
		ret = lws_threadpool_wsi_writeable(h);
		/* what has closed stays so */
		if (ret && ret != -1)
			atomic_fetch_add(&wrong, 1);
		if (closed && !ret)
			atomic_fetch_add(&wrong, 1);
		closed = ret;
		atomic_fetch_add(&t->asked, 1);
	}

	return NULL;
}

/* R2: at any moment of its life and after it */
static void
it_closes_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct hammer t = { .quit = 0 };
	pthread_t thread;
	struct conn *c;

	rig->on_event = closing_event;
	assert_int_equal(pthread_create(&thread, NULL, ask_until_told, &t), 0);
	for (int n = 0; n < 200; n++) {
		c = conn_open(rig, n % 3 ? CONN_RAW : CONN_WS);
		atomic_store(&t.h, handle_of(tp, c));
		rig_turns(rig, n % 5);
		closing_do(c, n & 1 ? CLOSING_FIN : CLOSING_TIMEOUT);
		assert_int_equal(
			lws_threadpool_wsi_writeable(atomic_load(&t.h)), -1);
	}
	rig_context_destroy(rig);
	wait_int(&t.asked, atomic_load(&t.asked) + 10);
	atomic_store(&t.quit, 1);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&wrong), 0);
}

/* ---- keep-alive ---- */

struct alive {
	struct lws_threadpool *tp;
	struct lws_threadpool_wsi *h[3];
	struct lws *wsi;
	int requests;
	int answers;
	int wanted;
	bool closed;
};

static int
answer(struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 512], *start = &buf[LWS_PRE], *p = start,
				    *end = &buf[sizeof(buf) - 1];

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", 0,
					&p, end) ||
	    lws_finalize_http_header(wsi, &p, end) ||
	    lws_write(wsi, start, (size_t)(p - start),
		      LWS_WRITE_HTTP_HEADERS | LWS_WRITE_H2_STREAM_END) < 0)
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
serve_requests(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct alive *a = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		assert_true(a->requests < 3);
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
		a->wsi = wsi;
		a->h[a->requests] = lws_threadpool_wsi_handle(a->tp, wsi);
		/* asked by the one of the first request */
		assert_int_equal(lws_threadpool_wsi_writeable(a->h[0]), 0);
		a->requests++;
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		if (a->answers == a->requests)
			return 0;
		assert_ptr_equal(lws_threadpool_wsi_get(a->h[0]), wsi);
		a->answers++;
		return answer(wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (a->wsi == wsi)
			a->closed = true;
		return RIG_DEFAULT;
	default:
		return RIG_DEFAULT;
	}
}

static bool
is_answered(void *arg)
{
	struct alive *a = arg;

	return a->answers == a->wanted;
}

static bool
is_over(void *arg)
{
	return ((struct alive *)arg)->closed;
}

/* R2: with keep-alive it is the connection's: the next request has the same */
static void
a_connection_that_is_kept_alive(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	struct rig *rig = *state;
	struct alive a = { .tp = rig_pool(rig, 1, 10) };
	char buf[1024];
	int fd;

	rig->priv = &a;
	rig->on_event = serve_requests;
	fd = tcp_connect(rig->port);
	for (int n = 0; n < 3; n++) {
		assert_int_equal(send(fd, request, sizeof(request) - 1,
				      MSG_NOSIGNAL),
				 (ssize_t)sizeof(request) - 1);
		a.wanted = n + 1;
		rig_until(rig, is_answered, &a);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		assert_ptr_equal(a.h[n], a.h[0]);
		assert_ptr_equal(lws_threadpool_wsi_get(a.h[0]), a.wsi);
		assert_int_equal(lws_threadpool_wsi_writeable(a.h[0]), 0);
		rig_drain(rig);
	}
	assert_non_null(a.h[0]);
	close(fd);
	rig_until(rig, is_over, &a);
	rig->on_event = NULL;
	assert_int_equal(lws_threadpool_wsi_writeable(a.h[0]), -1);
	assert_null(lws_threadpool_wsi_get(a.h[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(one_for_all_before_it),
		RIG_TEST(each_call_is_heard),
		RIG_TEST(within_a_writeable),
		RIG_TEST(beside_tasks),
		RIG_TEST(it_closes_meanwhile),
		RIG_TEST(a_connection_that_is_kept_alive),
	};

	return cmocka_run_group_tests_name("R2 WRITEABLE for a handle", tests,
					   NULL, NULL);
}
