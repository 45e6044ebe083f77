/*
 * lws-threadpool unit tests - facts 8, 13 and 14: what the watch fd and the
 * opt-in cost an application, and keep-alive between vhosts
 *
 * SPDX-License-Identifier: MIT
 *
 * Fact 8: a Host header can rebind a keep-alive connection to another vhost, so
 * WSI_CREATE goes to one and WSI_DESTROY to the other.  It is of all versions,
 * as are 13 and 14.  For http/2 streams see the tests of that role.
 */

#include "closings.h"

struct optin {
	struct lws_vhost *pass[2]; /* these pass their events */
	struct lws_threadpool *tp;
	struct job *jobs[8];
	int n;
	int answer;
	struct lws_vhost *seen[8]; /* of each request */
	int child_closings;
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

static int
optin_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct lws_vhost *vhost = lws_get_vhost(wsi);
	struct optin *o = rig->priv;
	struct job *j;

	(void)user;
	(void)in;
	(void)len;
	if (vhost && (vhost == o->pass[0] || vhost == o->pass[1]))
		assert_int_equal(lws_threadpool_wsi_event(wsi, reason), 0);
	if (reason == LWS_CALLBACK_CHILD_CLOSING)
		o->child_closings++;
	if (reason == LWS_CALLBACK_HTTP && o->tp && o->n < 8) {
		o->seen[o->n] = vhost;
		j = o->jobs[o->n++] = job_script(rig, INT32_MAX,
						 LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(o->tp, j, wsi));
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
		o->answer = 1;
		lws_callback_on_writable(wsi);
	}
	if (reason == LWS_CALLBACK_HTTP_WRITEABLE && o->answer) {
		o->answer = 0;
		return answer(wsi);
	}

	return RIG_DEFAULT;
}

static struct lws_vhost *
sharing_vhost(struct rig *rig, int port, const char *name)
{
	struct lws_context_creation_info info;
	struct lws_vhost *vhost;

	memset(&info, 0, sizeof(info));
	info.port = port;
	info.iface = "lo";
	info.protocols = rig->protocols;
	info.vhost_name = name;
	vhost = lws_create_vhost(rig->context, &info);
	assert_non_null(vhost);

	return vhost;
}

/* Vhosts that share a listen socket 4.1.6 does not destroy with libuv, and
 * 4.3.3 uses one after its end: so here none listens */
static void
no_listen(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->port = CONTEXT_PORT_NO_LISTEN;
	info->iface = NULL;
}

struct requests {
	struct optin *o;
	int n;
};

static bool
has_requests(void *arg)
{
	struct requests *r = arg;

	return r->o->n == r->n && !r->o->answer;
}

static bool
is_conn_destroyed(void *arg)
{
	struct conn *c = arg;

	return c->destroyed;
}

/* passing: 0 none of the vhosts, 1 both */
static void
rebind(int passing)
{
	static const char *const hosts[] = { "second", "default", "second" };
	struct optin o = { .n = 0 };
	struct rig_opts opts = {
		.info = no_listen, .on_event = optin_event, .priv = &o
	};
	struct rig *rig = rig_create(&opts);
	struct lws_vhost *second = sharing_vhost(rig, CONTEXT_PORT_NO_LISTEN,
						 "second");
	struct requests r = { &o, 1 };
	struct conn *c;
	char req[128];
	int n;

	if (passing) {
		o.pass[0] = rig->vhost;
		o.pass[1] = second;
	}
	o.tp = rig_pool(rig, 2, 10);
	rig_drain(rig);
	/* conn_open() wants its default at its request */
	{
		struct lws_threadpool *tp = o.tp;

		o.tp = NULL;
		c = conn_open(rig, CONN_HTTP);
		o.tp = tp;
	}
	c->manual = true;
	o.jobs[0] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	o.seen[o.n++] = lws_get_vhost(c->wsi);
	assert_non_null(job_enqueue(o.tp, o.jobs[0], c->wsi));
	o.answer = 1;
	lws_callback_on_writable(c->wsi);
	for (n = 0; n < 3; n++) {
		rig_until(rig, has_requests, &r);
		snprintf(req, sizeof(req),
			 "GET / HTTP/1.1\r\nHost: %s:%d"
			 "\r\n\r\n",
			 hosts[n], rig->port);
		conn_send(c, req, strlen(req));
		r.n++;
	}
	rig_until(rig, has_requests, &r);
	/* it did go to and fro, or this tests nothing */
	assert_ptr_equal(o.seen[0], rig->vhost);
	assert_ptr_equal(o.seen[1], second);
	assert_ptr_equal(o.seen[2], rig->vhost);
	assert_ptr_equal(o.seen[3], second);

	for (n = 0; n < 4; n++)
		wait_status(o.jobs[n], LWS_TP_STATUS_SYNCING);
	conn_fin(c);
	rig_until(rig, is_conn_destroyed, c);
	for (n = 0; n < 4; n++) {
		rig_until_int(rig, &o.jobs[n]->cleanups, 1);
		assert_null(o.jobs[n]->cleanup_wsi);
		assert_int_equal(atomic_load(&o.jobs[n]->stopping), 1);
	}
	assert_int_equal(rig_destroy(rig), 0);
}

static void
host_rebind_with_the_watch(void **state)
{
	(void)state;
	rebind(0);
}

static void
host_rebind_with_the_opt_in(void **state)
{
	(void)state;
	rebind(1);
}

/* Where only some vhosts pass their events, the wsi of the others keep the
 * watch */
static void
only_one_vhost_passes(enum conn_kind kind)
{
	struct optin o = { .n = 0 };
	struct rig_opts opts = { .on_event = optin_event, .priv = &o };
	struct rig *rig = rig_create(&opts);
	struct lws_vhost *first = rig->vhost, *second;
	struct lws_threadpool *tp;
	struct job *j[2];
	struct conn *c[2];
	int n;

	second = sharing_vhost(rig, 0, "second");
	o.pass[0] = first;
	tp = rig_pool(rig, 1, 10);
	rig_drain(rig);
	for (n = 0; n < 2; n++) {
		rig->vhost = n ? second : first;
		c[n] = conn_open(rig, kind);
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c[n]->wsi));
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	}
	rig->vhost = first;
	assert_null(lws_get_child(c[0]->wsi));
	assert_int_equal(!!lws_get_child(c[1]->wsi), conn_kind_watched(kind));
	for (n = 0; n < 2; n++) {
		closing_do(c[n], CLOSING_FIN);
		rig_until_int(rig, &j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->stopping), 1);
		/* fact 13: the application's protocol is told of our child */
		assert_int_equal(o.child_closings,
				 n && conn_kind_watched(kind));
	}
	assert_int_equal(rig_destroy(rig), 0);
}

static void
only_one_vhost_passes_its_events(void **state)
{
	(void)state;
	only_one_vhost_passes(CONN_RAW);
	only_one_vhost_passes(CONN_PIPE);
}

/* A wsi that was watched before its vhost passed any event stays watched */
static void
opt_in_begins_late(enum conn_kind kind)
{
	struct optin o = { .n = 0 };
	struct rig_opts opts = { .on_event = optin_event, .priv = &o };
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j[4];
	struct conn *c[2];
	int n;

	for (n = 0; n < 4; n++) {
		if (n < 2)
			c[n] = conn_open(rig, kind);
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c[n & 1]->wsi));
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
		/* from now on */
		o.pass[0] = rig->vhost;
		rig_drain(rig);
	}
	assert_int_equal(!!lws_get_child(c[0]->wsi), conn_kind_watched(kind));
	assert_null(lws_get_child(c[1]->wsi));
	for (n = 0; n < 2; n++)
		closing_do(c[n], CLOSING_FIN);
	for (n = 0; n < 4; n++) {
		rig_until_int(rig, &j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->stopping), 1);
	}
	assert_int_equal(rig_destroy(rig), 0);
}

static void
opt_in_that_begins_late(void **state)
{
	(void)state;
	opt_in_begins_late(CONN_RAW);
	opt_in_begins_late(CONN_PIPE);
}

/* An application that passed some event of a vhost, and not the end of what is
 * on it: at the latest the context's end is the end of the tasks */
static void
opt_in_that_forgets(void **state)
{
	struct optin o = { .n = 0 };
	struct rig_opts opts = { .on_event = optin_event, .priv = &o };
	struct lws_threadpool *tp;
	struct job *j[2];
	struct conn *c;
	struct rig *rig;
	int first;

	(void)state;
	for (first = 0; first < 2; first++) {
		rig = rig_create(&opts);
		tp = rig_pool(rig, 1, 10);
		c = conn_open(rig, CONN_RAW);
		c->manual = true;
		assert_int_equal(
			lws_threadpool_wsi_event(c->wsi, LWS_CALLBACK_USER), 0);
		j[0] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		j[1] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[0], c->wsi));
		assert_non_null(job_enqueue(tp, j[1], c->wsi));
		wait_status(j[0], LWS_TP_STATUS_SYNCING);
		wait_status(j[1], LWS_TP_STATUS_FINISHED);
		assert_null(lws_get_child(c->wsi));
		if (first)
			conn_fin(c);
		rig_context_destroy(rig);
		wait_int(&j[0]->cleanups, 1);
		wait_int(&j[1]->cleanups, 1);
		assert_null(j[1]->cleanup_wsi);
		assert_int_equal(atomic_load(&j[0]->stopping), 1);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

struct told {
	struct lws_threadpool *tp;
	struct job *j;
	int closed, found, accepted;
};

/* the wsi's protocol is protocols[0], which has passed this on already */
static int
look_in_CLOSED(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct told *t = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_CLOSED_HTTP && conn_of(wsi)) {
		t->closed++;
		t->found += !!lws_threadpool_get_task_wsi(wsi);
		t->accepted += !!job_enqueue(t->tp, job_new(rig), wsi);
	}

	return RIG_DEFAULT;
}

/* W1, W4: the end is that close callback where protocols[0] gets it, and not
 * WSI_DESTROY after it: by then the tasks are detached, and none is let in */
static void
told_of_by_CLOSED(void **state)
{
	struct told t = { .closed = 0 };
	struct rig_opts opts = {
		.on_event = look_in_CLOSED, .opt_in = true, .priv = &t
	};
	struct rig *rig = rig_create(&opts);
	struct conn *c;

	(void)state;
	t.tp = rig_pool(rig, 1, 10);
	c = conn_open(rig, CONN_HTTP);
	c->manual = true;
	t.j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(t.tp, t.j, c->wsi));
	wait_status(t.j, LWS_TP_STATUS_SYNCING);
	assert_null(lws_get_child(c->wsi));
	closing_do(c, CLOSING_TIMEOUT);
	assert_int_equal(t.closed, 1);
	assert_int_equal(t.found, 0);
	assert_int_equal(t.accepted, 0);
	assert_int_equal(log_claim(LLL_ERR, "the wsi is closing"), 1);
	rig_until_int(rig, &t.j->cleanups, 1);
	assert_int_equal(atomic_load(&t.j->stopping), 1);
	assert_int_equal(rig_destroy(rig), 0);
}

/* A close that the application told of by mistake is one all the same, and what
 * the watch tells of it later is nothing new */
static void
told_of_a_close_that_is_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *before = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC),
		   *after = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, before, c->wsi));
	assert_int_equal(!!lws_get_child(c->wsi), conn_kind_watched(CONN_RAW));
	wait_status(before, LWS_TP_STATUS_SYNCING);
	assert_int_equal(
		lws_threadpool_wsi_event(c->wsi, LWS_CALLBACK_WSI_DESTROY), 0);
	rig_until_int(rig, &before->cleanups, 1);
	assert_null(before->cleanup_wsi);

	/* It is told of from now on, so there is no other watch: and its close,
	 * of which nobody tells, must not be followed by a WRITEABLE. */
	c->manual = true;
	assert_non_null(job_enqueue(tp, after, c->wsi));
	wait_status(after, LWS_TP_STATUS_SYNCING);
	rig_drain(rig);
	conn_fin(c);
	conn_until_closed(c);
	rig_context_destroy(rig);
	wait_int(&after->cleanups, 1);
	assert_int_equal(atomic_load(&after->stopping), 1);
	assert_null(after->cleanup_wsi);
}

/* Any reason, any wsi, and NULL */
static void
wsi_event_of_anything_returns_0(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 100, LWS_TP_RETURN_SYNC);
	int reason;

	assert_non_null(job_enqueue(tp, j, c->wsi));
	for (reason = -1; reason < 200; reason++) {
		assert_int_equal(lws_threadpool_wsi_event(
					 NULL,
					 (enum lws_callback_reasons)reason),
				 0);
		/* those that tell of an end are not true here */
		if (reason_closed((enum lws_callback_reasons)reason) ||
		    reason == LWS_CALLBACK_CLOSED_CLIENT_HTTP ||
		    reason == LWS_CALLBACK_WSI_DESTROY)
			continue;
		assert_int_equal(lws_threadpool_wsi_event(
					 c->wsi,
					 (enum lws_callback_reasons)reason),
				 0);
	}
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* Fact 14: an adoption broadcasts to every protocol, so there is one for a
 * wsi's life and not one a task; and rings do not broadcast */
static void
one_watch(struct rig *rig, enum conn_kind kind)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c = conn_open(rig, kind);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lws *child;
	int n, before;

	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	rig_drain(rig);
	before = rig->wait_cancelled;
	child = lws_get_child(c->wsi);
	assert_int_equal(!!child, conn_kind_watched(kind));
	for (n = 0; n < 200; n++) {
		j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		rig_until_int(rig, &j->cleanups, 1);
	}
	assert_ptr_equal(lws_get_child(c->wsi), child);
	/* with nothing to watch, nothing makes the bell either, and a ring is
	 * a broadcast, as always where there is no eventfd */
	if (child && LWSTP_UNIT_EVENTFD)
		assert_int_equal(rig->wait_cancelled, before);
}

static void
one_watch_for_a_wsi_s_life(void **state)
{
	one_watch(*state, CONN_RAW);
	one_watch(*state, CONN_PIPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_rebind_with_the_watch),
		cmocka_unit_test(host_rebind_with_the_opt_in),
		cmocka_unit_test(only_one_vhost_passes_its_events),
		cmocka_unit_test(opt_in_that_begins_late),
		cmocka_unit_test(opt_in_that_forgets),
		cmocka_unit_test(told_of_by_CLOSED),
		RIG_TEST(told_of_a_close_that_is_none),
		RIG_TEST(wsi_event_of_anything_returns_0),
		RIG_TEST(one_watch_for_a_wsi_s_life),
	};

	return cmocka_run_group_tests_name("facts 8, 13, 14", tests, NULL,
					   NULL);
}
