/*
 * lws-threadpool unit tests - facts 11, 12 and 17: a libwebsockets that was
 * built with plugins, with its http proxy, or for an external poll loop
 *
 * SPDX-License-Identifier: MIT
 *
 * Debian 12's has none of these: there, what wants the first or the last leaves
 * itself out.
 */

#include <poll.h>
#include <sys/socket.h>

#include "closings.h"

#if defined(LWS_WITH_HTTP_PROXY)
#define PROXY true
#else
#define PROXY false
#endif

/* ---- fact 11 ---- */

#if defined(LWSTP_UNIT_PLUGINS)
static void
with_plugins(struct rig *rig, struct lws_context_creation_info *info)
{
	static const char *const dirs[] = { LWSTP_UNIT_PLUGINS, NULL };

	(void)rig;
	info->plugin_dirs = dirs;
}

/* the file's close is watched by a child in every build */
static void
plugins_are_not_made_on_the_hidden_vhost(void **state)
{
	struct rig_opts opts = { .info = with_plugins };
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_PIPE);
	struct job *j = job_park(rig, tp, c->wsi);
	struct lws_vhost *hidden = lws_get_vhost_by_name(rig->context,
							 ":lws-threadpool");

	(void)state;
	assert_non_null(hidden);
	assert_non_null(lws_vhost_name_to_protocol(rig->vhost, "tp-plugin"));
	assert_null(lws_vhost_name_to_protocol(hidden, "tp-plugin"));
	conn_fin(c);
	wait_int(&j->calls, 1);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(rig_destroy(rig), 0);
}
#else
static void
plugins_are_not_made_on_the_hidden_vhost(void **state)
{
	(void)state;
	skip(); /* this libwebsockets knows no plugins */
}
#endif

/* ---- fact 12 ---- */

struct post {
	struct lws_threadpool *tp;
	struct job *job;
	size_t body;
	int requests;
	int completions;
};

/* when the body is there, and the task is done and was reaped */
static int
post_answer(struct post *p, struct lws *wsi)
{
	if (p->completions != p->requests || !atomic_load(&p->job->cleanups))
		return 0;
	if (lws_return_http_status(wsi, HTTP_STATUS_OK, NULL) ||
	    lws_http_transaction_completed(wsi))
		return -1;

	return 0;
}

/* as an application that has lws do with a body what it does */
static int
post_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	   void *user, void *in, size_t len)
{
	struct post *p = rig->priv;

	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		p->requests++;
		p->job = job_script(rig, 5, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(p->tp, p->job, wsi));
		return 0;
	case LWS_CALLBACK_HTTP_BODY:
		p->body += len;
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		p->completions++;
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
		return post_answer(p, wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		if (!job_serve_one(wsi))
			return lws_callback_http_dummy(wsi, reason, user, in,
						       len);
		return post_answer(p, wsi);
	default:
		return RIG_DEFAULT;
	}
}

struct answers {
	int fd;
	int wanted;
	size_t length;
	char text[2048];
};

static bool
has_answers(void *arg)
{
	struct answers *a = arg;
	const char *at = a->text;
	ssize_t n;
	int found;

	while ((n = recv(a->fd, a->text + a->length,
			 sizeof(a->text) - 1 - a->length, MSG_DONTWAIT)) > 0)
		a->length += (size_t)n;
	for (found = 0; (at = strstr(at, "HTTP/1.1 200")); found++)
		at++;

	return found == a->wanted;
}

/* Two POSTs of one connection, each with a task of its own.  The body is more
 * than lws reads at once. */
static void
posts(bool opt_in)
{
	static char body[9000];
	struct post p = { .body = 0 };
	struct rig_opts opts = {
		.on_event = post_event, .opt_in = opt_in, .priv = &p
	};
	struct rig *rig = rig_create(&opts);
	struct answers a = { .fd = tcp_connect(rig->port) };
	char headers[128];
	int n;

	p.tp = rig_pool(rig, 1, 10);
	memset(body, 'x', sizeof(body));
	n = snprintf(headers, sizeof(headers),
		     "POST / HTTP/1.1\r\n"
		     "Host: localhost:%d\r\nContent-Length: %zu\r\n\r\n",
		     rig->port, sizeof(body));
	while (a.wanted++ < 2) {
		assert_int_equal(send(a.fd, headers, (size_t)n, 0), n);
		assert_int_equal(send(a.fd, body, sizeof(body), 0),
				 sizeof(body));
		rig_until(rig, has_answers, &a);
		assert_int_equal(p.requests, a.wanted);
		assert_int_equal(p.body, (size_t)a.wanted * sizeof(body));
		assert_int_equal(p.job->seen[LWS_TP_STATUS_SYNCING], 5);
		assert_int_equal(p.job->reaped_as, LWS_TP_STATUS_FINISHED);
	}
	close(a.fd);
	assert_int_equal(rig_destroy(rig), 0);
}

static void
a_POST_with_the_opt_in_is_not_proxied(void **state)
{
	(void)state;
	posts(true);
}

static void
a_POST_with_a_task_is_not_proxied(void **state)
{
	(void)state;
	if (PROXY && conn_kind_watched(CONN_HTTP))
		skip(); /* it is, with a child: cmake warns of it */
	posts(false);
}

/* ---- fact 17 ---- */

#if defined(LWS_WITH_EXTERNAL_POLL)
/* the application's loop: the fds that lws tells it of */
struct loop {
	struct pollfd fds[32];
	nfds_t count;
	unsigned int events; /* that it gave to lws */
	bool turns;	     /* lws has its own, too */
};

static int
loop_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	   void *user, void *in, size_t len)
{
	struct loop *l = rig->priv;
	struct lws_pollargs *args = in;
	nfds_t n;

	(void)wsi;
	(void)user;
	(void)len;
	if (reason != LWS_CALLBACK_ADD_POLL_FD &&
	    reason != LWS_CALLBACK_DEL_POLL_FD &&
	    reason != LWS_CALLBACK_CHANGE_MODE_POLL_FD)
		return RIG_DEFAULT;

	for (n = 0; n < l->count && l->fds[n].fd != args->fd; n++)
		;
	if (reason == LWS_CALLBACK_DEL_POLL_FD) {
		if (n < l->count)
			l->fds[n] = l->fds[--l->count];
		return 0;
	}
	assert_true(n < LWS_ARRAY_SIZE(l->fds));
	l->fds[n].fd = args->fd;
	l->fds[n].events = (short)args->events;
	if (n == l->count)
		l->count++;

	return 0;
}

/* Lws tells the application neither of our fds nor of lws_cancel_service()'s
 * pipe: a turn of lws's own polls them. */
static void
loop_turn(struct rig *rig)
{
	struct loop *l = rig->priv;
	struct pollfd ready[LWS_ARRAY_SIZE(l->fds)];
	int ms = lws_service_adjust_timeout(rig->context, 5, 0);
	nfds_t n, count = l->count;

	memcpy(ready, l->fds, sizeof(ready));
	assert_true(poll(ready, count, ms) >= 0);
	for (n = 0; n < count; n++)
		if (ready[n].revents) {
			l->events++;
			assert_true(lws_service_fd(rig->context, &ready[n]) >=
				    0);
		}
	if (l->turns)
		assert_true(lws_service_tsi(rig->context, -1, 0) >= 0);
}

static void
loop_until_int(struct rig *rig, atomic_int *p, int n)
{
	lws_usec_t end = lws_now_usecs() + wait_secs() * LWS_US_PER_SEC;

	while (atomic_load(p) < n) {
		assert_true(lws_now_usecs() < end);
		loop_turn(rig);
	}
}

static void
loop_syncs(struct rig *rig, struct lws_threadpool *tp, struct conn *c,
	   int syncs)
{
	struct job *j = job_script(rig, syncs, LWS_TP_RETURN_SYNC);
	struct loop *l = rig->priv;

	l->events = 0;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	loop_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], syncs);
	/* each WRITEABLE was the application's loop's, or this tests nothing;
	 * in its own turns lws may see to some */
	assert_true(l->turns || l->events >= (unsigned int)syncs);
}

static void
external_poll(bool turns, bool turns_later)
{
	struct loop l = { .turns = turns };
	struct rig_opts opts = { .on_event = loop_event, .priv = &l };
	struct lws_threadpool *tp;
	struct job *parked;
	struct conn *c;
	struct rig *rig;

	if (getenv("LWSTP_UNIT_EVLIB"))
		skip(); /* its loop is that library's */
	rig = rig_create(&opts);
	tp = rig_pool(rig, 2, 10);
	c = conn_open(rig, CONN_RAW);
	assert_true(l.count >= 2); /* the listener, and the connection */
	loop_syncs(rig, tp, c, 100);
	l.turns = turns_later;
	loop_syncs(rig, tp, c, 3);

	c->manual = true;
	parked = job_park(rig, tp, c->wsi);
	conn_fin(c);
	loop_until_int(rig, &parked->cleanups, 1);
	assert_null(parked->cleanup_wsi);
	assert_int_equal(atomic_load(&parked->stopping), 1);
	assert_int_equal(rig_destroy(rig), 0);
}
#else
static void
external_poll(bool turns, bool turns_later)
{
	(void)turns;
	(void)turns_later;
	skip(); /* this libwebsockets tells of no fds */
}
#endif

static void
an_external_poll_loop(void **state)
{
	(void)state;
	external_poll(false, false);
}

static void
an_external_poll_loop_with_turns_of_lws_s(void **state)
{
	(void)state;
	external_poll(true, true);
}

/* the bell was heard, and is not any more */
static void
an_external_poll_loop_with_turns_that_end(void **state)
{
	(void)state;
	external_poll(true, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plugins_are_not_made_on_the_hidden_vhost),
		cmocka_unit_test(a_POST_with_the_opt_in_is_not_proxied),
		cmocka_unit_test(a_POST_with_a_task_is_not_proxied),
		cmocka_unit_test(an_external_poll_loop),
		cmocka_unit_test(an_external_poll_loop_with_turns_of_lws_s),
		cmocka_unit_test(an_external_poll_loop_with_turns_that_end),
	};

	return cmocka_run_group_tests_name("facts 11, 12, 17", tests, NULL,
					   NULL);
}
