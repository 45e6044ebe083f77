/*
 * lws-threadpool unit tests - W3, W4: tasks on client wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * Fact 4: before ESTABLISHED a client wsi may lose its children, as at a
 * redirect from 4.3 on, or be freed without a close (4.1.6: a redirect with
 * failing DNS), so tasks belong on it from then on.  Redirects that fail, and
 * h2 and MQTT migration, are not tried here.
 *
 * LWSTP_WRAP: lws_callback_on_writable lws_adopt_descriptor_vhost_via_info
 * LWSTP_WRAP: lws_get_socket_fd
 */

#include <sys/socket.h>
#include <unistd.h>

#include "closings-wrap.h"

struct clients {
	struct lws_threadpool *tp;
	struct job *job; /* enqueued in ESTABLISHED */
	struct job *late[16];
	int n_late;
	int late_ok; /* accepted in the close */
	struct conn *conn;
	struct lws *wsi; /* the client's */
	bool gone;
	bool enqueue_late;
	bool had_task;
	bool context_dies;
	bool failed;
};

static bool
is_client_reason(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_WS_CLIENT_DROP_PROTOCOL ||
	       reason == LWS_CALLBACK_CLIENT_HTTP_DROP_PROTOCOL ||
	       reason == LWS_CALLBACK_CLIENT_CLOSED ||
	       reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR ||
	       reason == LWS_CALLBACK_CLOSED_CLIENT_HTTP ||
	       reason == LWS_CALLBACK_WSI_DESTROY;
}

/* lws gives no public sign before the very last that it is closing a client wsi
 * that has no watch (fact 2): the manual forbids a first task there */
static bool
is_known(const struct rig *rig, const struct clients *s,
	 enum lws_callback_reasons reason)
{
	return LWSTP_UNIT_IN_LWS || rig->opt_in || s->had_task ||
	       s->context_dies || reason == LWS_CALLBACK_WSI_DESTROY;
}

static int
client_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len)
{
	struct clients *s = rig->priv;
	struct job *j;

	if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) {
		s->wsi = wsi;
		if (s->job)
			assert_non_null(job_enqueue(s->tp, s->job, wsi));
	}
	if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR)
		s->failed = true;
	if (s->wsi == wsi && is_client_reason(reason) && s->enqueue_late &&
	    s->n_late < 16 && is_known(rig, s, reason)) {
		j = s->late[s->n_late++] = job_script(rig, INT32_MAX,
						      LWS_TP_RETURN_SYNC);
		j->name = reason == LWS_CALLBACK_WSI_DESTROY   ? "destroy" :
			  reason == LWS_CALLBACK_CLIENT_CLOSED ? "closed" :
								 "drop";
		s->late_ok += !!job_enqueue(s->tp, j, wsi);
	}
	if (s->wsi == wsi && reason == LWS_CALLBACK_WSI_DESTROY) {
		s->gone = true;
		s->wsi = NULL;
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

static struct rig *
clients_begin(struct clients *s, bool opt_in)
{
	struct rig_opts opts = {
		.on_event = client_event, .opt_in = opt_in, .priv = s
	};
	struct rig *rig;

	memset(s, 0, sizeof(*s));
	rig = rig_create(&opts);
	s->tp = rig_pool(rig, 2, 100);

	return rig;
}

static bool
is_gone(void *arg)
{
	struct clients *s = arg;

	return s->gone;
}

static void
W3_client_streams_and_is_reaped(void **state)
{
	struct clients s;
	int opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		struct rig *rig = clients_begin(&s, opt_in);

		s.job = job_script(rig, 200, LWS_TP_RETURN_SYNC);
		s.conn = conn_open(rig, CONN_WS_CLIENT);
		rig_until_int(rig, &s.job->cleanups, 1);
		assert_ptr_equal(s.job->cleanup_wsi, s.wsi);
		assert_int_equal(s.job->seen[LWS_TP_STATUS_SYNCING], 200);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* 0: the server goes, 1: the client is killed, 2: the client returns -1,
 * 3: the context */
static void
client_closes(struct rig *rig, struct clients *s, int how)
{
	struct conn *c = s->conn;

	switch (how) {
	case 0:
		conn_timeout(c);
		break;
	case 1:
		lws_set_timeout(c->client, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_ASYNC);
		break;
	case 2:
		lws_set_timeout(c->client, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_SYNC);
		break;
	default:
		rig_context_destroy(rig);
		assert_true(s->gone);
		return;
	}
	rig_until(rig, is_gone, s);
}

static void
W1_client_closes_with_its_tasks(void **state)
{
	struct clients s;
	int opt_in, how;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (how = 0; how < 4; how++) {
			struct rig *rig = clients_begin(&s, opt_in);
			struct job *done, *run, *outlives;
			struct gate *g = gate_new(rig);

			s.conn = conn_open(rig, CONN_WS_CLIENT);
			s.conn->manual = true;
			done = job_new(rig);
			job_enqueue(s.tp, done, s.wsi);
			wait_status(done, LWS_TP_STATUS_FINISHED);
			s.job = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
			job_enqueue(s.tp, s.job, s.wsi);
			wait_status(s.job, LWS_TP_STATUS_SYNCING);
			run = job_script(rig, INT32_MAX,
					 LWS_TP_RETURN_CHECKING_IN);
			run->gate = g;
			job_enqueue(s.tp, run, s.wsi);
			outlives = job_script(rig, 3, LWS_TP_RETURN_SYNC);
			outlives->gate = g;
			outlives->async_task = 1;
			job_enqueue(s.tp, outlives, s.wsi);
			wait_int(&run->calls, 1);
			wait_int(&outlives->calls, 1);

			client_closes(rig, &s, how);
			assert_int_equal(atomic_load(&done->cleanups), 1);
			gate_open(g);
			wait_int(&run->cleanups, 1);
			rig_until_int(rig, &s.job->cleanups, 1);
			wait_int(&outlives->cleanups, 1);
			assert_int_equal(atomic_load(&run->stopping), 1);
			assert_int_equal(atomic_load(&s.job->stopping), 1);
			assert_int_equal(atomic_load(&outlives->stopping), 0);
			assert_null(run->cleanup_wsi);
			assert_int_equal(rig_destroy(rig), 0);
		}
}

static void
client_late(bool had)
{
	struct clients s;
	int opt_in, how, n;

	for (opt_in = 0; opt_in < 2; opt_in++)
		for (how = 0; how < 4; how++) {
			struct rig *rig = clients_begin(&s, opt_in);

			if (had)
				s.job = job_script(rig, INT32_MAX,
						   LWS_TP_RETURN_SYNC);
			s.had_task = had;
			s.context_dies = how == 3;
			s.conn = conn_open(rig, CONN_WS_CLIENT);
			s.conn->manual = true;
			/* what makes the hidden vhost */
			job_enqueue(s.tp, job_new(rig), NULL);
			rig_drain(rig);
			s.enqueue_late = true;
			client_closes(rig, &s, how);
			assert_true(s.n_late > 0);
			if (!opt_in && s.late_ok)
				fail_msg("client that %s a task, close %d: %d "
					 "enqueues accepted",
					 had ? "had" : "never had", how,
					 s.late_ok);
			for (n = 0; n < s.n_late; n++)
				if (s.late[n]->accepted)
					rig_until_int(rig, &s.late[n]->cleanups,
						      1);
			log_claim(LLL_ERR, "");
			log_claim(LLL_WARN, "");
			assert_int_equal(rig_destroy(rig), 0);
		}
}

static void
W4_enqueue_in_the_close_callbacks_of_a_client(void **state)
{
	(void)state;
	client_late(true);
}

static void
W4_first_task_ever_in_the_close_callbacks_of_a_client(void **state)
{
	(void)state;
	client_late(false);
}

/* ---- fact 4, 9: before ESTABLISHED ---- */

static int
early_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct clients *s = rig->priv;
	int ret = closing_event(rig, wsi, reason, user, in, len);
	struct job *j;

	if (reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER ||
	    reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR ||
	    reason == LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH) {
		j = s->late[s->n_late++] = job_script(rig, 3,
						      LWS_TP_RETURN_SYNC);
		s->late_ok += !!job_enqueue(s->tp, j, wsi);
	}
	if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR)
		s->failed = true;

	return ret;
}

static bool
is_failed(void *arg)
{
	struct clients *s = arg;

	return s->failed;
}

/* Refused or served: nothing in between */
static void
W4_enqueue_before_established(void **state)
{
	struct clients s;
	int n, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		struct rig *rig = clients_begin(&s, opt_in);

		rig->on_event = early_event;
		s.conn = conn_open(rig, CONN_WS_CLIENT);
		assert_true(s.n_late > 0);
		for (n = 0; n < s.n_late; n++)
			if (s.late[n]->accepted)
				rig_until_int(rig, &s.late[n]->cleanups, 1);
		log_claim(LLL_ERR, "");
		log_claim(LLL_WARN, "");
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* A connection that nobody accepts: its wsi dies before ESTABLISHED */
static void
W4_enqueue_on_a_client_that_never_connects(void **state)
{
	struct lws_client_connect_info info;
	struct clients s;
	int n, opt_in, early;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (early = 0; early < 2; early++) {
			struct rig *rig = clients_begin(&s, opt_in);
			struct lws *wsi;
			struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

			rig->on_event = early_event;
			memset(&info, 0, sizeof(info));
			info.context = rig->context;
			info.vhost = rig->vhost;
			info.address = "127.0.0.1";
			info.host = info.origin = "localhost";
			info.path = "/";
			info.port = 1;
			info.protocol = "tp-test";
			info.local_protocol_name = "tp-client";
			info.pwsi = &wsi;
			wsi = NULL;
			lws_client_connect_via_info(&info);
			if (early && wsi)
				job_enqueue(s.tp, j, wsi);
			rig_until(rig, is_failed, &s);
			rig_drain(rig);
			if (j->accepted)
				rig_until_int(rig, &j->cleanups, 1);
			for (n = 0; n < s.n_late; n++)
				if (s.late[n]->accepted)
					rig_until_int(rig, &s.late[n]->cleanups,
						      1);
			log_claim(LLL_ERR, "");
			log_claim(LLL_WARN, "");
			assert_int_equal(rig_destroy(rig), 0);
		}
}

/* ---- fact 4: a redirect ---- */

struct redirect {
	struct clients s;
	struct rig *rig;
	int listener;
	int fd; /* who is redirected, -1 before */
	char request[2048];
	size_t len;
	bool early; /* a task before it */
	bool established;
};

static int
redirect_event(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct redirect *r = rig->priv;
	struct clients *s = &r->s;
	int ret = closing_event(rig, wsi, reason, user, in, len);

	if (reason == LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER && r->early &&
	    !s->n_late) {
		s->late[s->n_late++] = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		job_enqueue(s->tp, s->late[0], wsi);
	}
	if (reason == LWS_CALLBACK_CLIENT_CONNECTION_ERROR)
		fail_msg("the client failed: %s", in ? (char *)in : "");
	if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) {
		s->wsi = wsi;
		r->established = true;
		assert_non_null(job_enqueue(s->tp, s->job, wsi));
	}
	if (s->wsi == wsi && reason == LWS_CALLBACK_WSI_DESTROY) {
		s->gone = true;
		s->wsi = NULL;
	}

	return ret;
}

static bool
has_asked(void *arg)
{
	struct redirect *r = arg;
	ssize_t n;

	if (r->fd < 0)
		r->fd = accept4(r->listener, NULL, NULL,
				SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (r->fd < 0)
		return false;
	n = read(r->fd, r->request + r->len, sizeof(r->request) - 1 - r->len);
	if (n > 0)
		r->len += (size_t)n;

	return strstr(r->request, "\r\n\r\n");
}

static void
redirect_answer(struct redirect *r)
{
	char answer[256];
	int n = snprintf(answer, sizeof(answer),
			 "HTTP/1.1 302 Found\r\n"
			 "Location: http://127.0.0.1:%d/\r\n"
			 "Content-Length: 0\r\n\r\n",
			 r->rig->port);

	assert_int_equal(write(r->fd, answer, (size_t)n), n);
}

static bool
is_established(void *arg)
{
	struct redirect *r = arg;

	return r->established;
}

static void
redirected(bool opt_in, bool early)
{
	struct redirect r = { .fd = -1, .early = early };
	struct rig_opts opts = {
		.on_event = redirect_event, .opt_in = opt_in, .priv = &r
	};
	struct lws_client_connect_info info;
	struct job *last;

	r.rig = rig_create(&opts);
	r.s.tp = rig_pool(r.rig, 2, 100);
	r.s.job = job_script(r.rig, 20, LWS_TP_RETURN_SYNC);
	r.s.conn = conn_open(r.rig, CONN_RAW); /* to have one in the rig */

	memset(&info, 0, sizeof(info));
	info.context = r.rig->context;
	info.vhost = r.rig->vhost;
	info.address = "127.0.0.1";
	info.host = info.origin = "localhost";
	info.path = "/";
	/* whoever connects to this port is sent to the rig's */
	r.listener = tcp_listen(&info.port);
	info.protocol = "tp-test";
	info.local_protocol_name = "tp-client";
	info.opaque_user_data = r.s.conn;
	assert_non_null(lws_client_connect_via_info(&info));
	rig_until(r.rig, has_asked, &r);
	redirect_answer(&r);
	rig_until(r.rig, is_established, &r);
	rig_until_int(r.rig, &r.s.job->cleanups, 1);
	assert_ptr_equal(r.s.job->cleanup_wsi, r.s.wsi);
	rig_until_cleaned(r.rig);

	/* and its close is seen */
	last = job_script(r.rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);
	assert_non_null(job_enqueue(r.s.tp, last, r.s.wsi));
	lws_set_timeout(r.s.wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	rig_until(r.rig, is_gone, &r.s);
	wait_int(&last->cleanups, 1);
	assert_null(last->cleanup_wsi);

	close(r.fd);
	close(r.listener);
	log_claim(LLL_ERR, "lws_threadpool_enqueue");
	assert_int_equal(rig_destroy(r.rig), 0);
}

/* The same wsi, another connection: its tasks are from ESTABLISHED on, and one
 * from before it is refused, ended or served, and leaves nothing behind. */
static void
W4_client_that_was_redirected(void **state)
{
	int opt_in, early;

	(void)state;
	/* lws 4.1 cannot: with libuv the client fails, with glib lws asserts,
	 * and so they do where there is no pool */
	if ((evloop_is("uv") || evloop_is("glib")) &&
	    LWS_LIBRARY_VERSION_NUMBER < 4003000)
		skip();
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (early = 0; early < 2; early++)
			redirected(opt_in, early);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W3_client_streams_and_is_reaped),
		cmocka_unit_test(W1_client_closes_with_its_tasks),
		cmocka_unit_test(W4_enqueue_in_the_close_callbacks_of_a_client),
		cmocka_unit_test(
			W4_first_task_ever_in_the_close_callbacks_of_a_client),
		cmocka_unit_test(W4_enqueue_before_established),
		cmocka_unit_test(W4_enqueue_on_a_client_that_never_connects),
		cmocka_unit_test(W4_client_that_was_redirected),
	};

	return cmocka_run_group_tests_name("W3 W4 client wsi", tests, NULL,
					   NULL);
}
