/*
 * lws-threadpool unit tests - facts 7, 9, 10, 15 and 19: wake-ups, the hidden
 * vhost, and silence
 *
 * SPDX-License-Identifier: MIT
 *
 * Fact 10 is of all versions; fact 15, NOTICE lines at adoptions, is of 4.3.3:
 * 4.1.6 and 5.0.0 log none, and nor may we; fact 19 is of 4.1.6.  That 4.3.5 as
 * Debian builds it could have an external poll loop (fact 17), and rings are no
 * broadcasts there all the same, is tried with fact 14.
 *
 * LWSTP_WRAP: lws_callback_on_writable
 */

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closings.h"

int
__real_lws_callback_on_writable(struct lws *wsi);
int
__wrap_lws_callback_on_writable(struct lws *wsi);

/* so many requests are dropped: the service thread's */
static int drop_requests, requests;

int
__wrap_lws_callback_on_writable(struct lws *wsi)
{
	requests++;
	if (drop_requests) {
		drop_requests--;
		return 1;
	}

	return __real_lws_callback_on_writable(wsi);
}

/* ---- fact 9 ---- */

static void
WRITEABLE_lost_by_lws_is_asked_for_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	drop_requests = 3;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	/* the one of the enqueue, that of the SYNC, and its repetition */
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(drop_requests, 0);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 1);
}

/* One that was looked at is left alone, while another is rung again */
static void
a_task_that_was_looked_at_is_not_rung_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c[2];
	struct job *j[2];
	int n, before;

	for (n = 0; n < 2; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		c[n]->manual = true;
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c[n]->wsi));
		wait_status_(j[n], LWS_TP_STATUS_SYNCING, "syncing", __FILE__,
			     __LINE__);
	}
	rig_drain(rig);
	/* looked at both; make the second one want again, unlooked */
	lws_threadpool_task_sync(j[1]->task, 0);
	wait_int(&j[1]->calls, 2);
	rig_drain(rig);
	before = c[0]->writeables;
	drop_requests = 0;
	n = c[1]->writeables;
	{
		lws_usec_t end = lws_now_usecs() + 60 * LWS_US_PER_SEC;

		rig->tick_us = 50 * LWS_US_PER_MS;
		while (c[1]->writeables < n + 2 && lws_now_usecs() < end)
			rig_turn(rig, true);
	}
	assert_true(c[1]->writeables >= n + 2);
	assert_int_equal(c[0]->writeables, before);
}

/* ---- fact 7 ---- */

/* lws closes its copy of the doorbell's fd with the context.  Workers that have
 * something to tell after that must not tell it to whoever has the number. */
static void
nothing_is_written_to_a_reused_fd(void **state)
{
	int fds[100], n, round;

	(void)state;
	for (round = 0; round < 4; round++) {
		struct rig_opts opts = { .opt_in = round & 1 };
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = rig_pool(rig, 2, 100);
		struct gate *g = gate_new(rig);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j[10];
		uint64_t v;

		for (n = 0; n < 10; n++) {
			j[n] = job_script(rig, 3,
					  LWS_TP_RETURN_SYNC |
						  LWS_TP_RETURN_FLAG_OUTLIVE);
			j[n]->async_task = n & 1;
			if (n < 2)
				j[n]->gate = g;
			assert_non_null(job_enqueue(tp, j[n], c->wsi));
		}
		wait_int(&j[0]->calls, 1);
		wait_int(&j[1]->calls, 1);
		rig_drain(rig);
		rig_context_destroy(rig);
		for (n = 0; n < 100; n++) {
			fds[n] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
			assert_true(fds[n] >= 0);
		}
		gate_open(g);
		for (n = 0; n < 10; n++)
			wait_int(&j[n]->cleanups, 1);
		/* nor is a number closed that is another's now */
		assert_int_equal(rig_destroy(rig), 0);
		for (n = 0; n < 100; n++) {
			errno = 0;
			assert_int_equal(read(fds[n], &v, sizeof(v)), -1);
			assert_int_equal(errno, EAGAIN);
			close(fds[n]);
		}
	}
}

/* The context goes while workers ring as fast as they can */
static void
context_destroyed_while_workers_ring(void **state)
{
	int n, round;

	(void)state;
	for (round = 0; round < 30; round++) {
		struct rig_opts opts = { .opt_in = round & 1 };
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = rig_pool(rig, 2, 100);
		struct job *j = NULL;

		for (n = 0; n < 10; n++) {
			struct conn *c = conn_open(rig, CONN_RAW);

			j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j, c->wsi));
			/* some of them only ring for their end */
			j = job_script(rig, n, LWS_TP_RETURN_CHECKING_IN);
			assert_non_null(job_enqueue(tp, j, c->wsi));
		}
		rig_turns(rig, round);
		rig->context_first = true;
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* ---- fact 10 ---- */

struct hosts {
	struct lws_vhost *mine;
	int http; /* requests on our own */
	int elsewhere;
	int closed;
};

static int
hosts_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct hosts *h = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_HTTP) {
		if (lws_get_vhost(wsi) == h->mine)
			h->http++;
		else
			h->elsewhere++;
		return -1;
	}
	if (reason == LWS_CALLBACK_WSI_DESTROY)
		h->closed++;

	return RIG_DEFAULT;
}

static void
no_listen(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->port = CONTEXT_PORT_NO_LISTEN;
	info->iface = NULL;
}

struct asked {
	int fd; /* the peer's end */
	struct lws *wsi;
	struct lws_vhost *lws_s_own; /* or NULL */
};

/* A vhost of lws's own may not answer, and leave the wsi to lws's timeout: that
 * the request went there is the answer then. */
static bool
is_answered(void *arg)
{
	struct asked *a = arg;
	char b[256];
	ssize_t n;

	while ((n = recv(a->fd, b, sizeof(b), MSG_DONTWAIT)) > 0)
		;
	if (!n || errno != EAGAIN)
		return true; /* closed */

	return a->lws_s_own && lws_get_vhost(a->wsi) == a->lws_s_own;
}

static void
ask_with_host(struct rig *rig, const char *host, const char *more)
{
	struct asked a;
	char req[512];
	int fds[2], n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	a.fd = fds[1];
	a.wsi = lws_adopt_socket_vhost(rig->vhost, fds[0]);
	assert_non_null(a.wsi);
	a.lws_s_own = lws_get_vhost_by_name(rig->context, "system");
	n = snprintf(req, sizeof(req), "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n",
		     host, more);
	assert_int_equal(send(fds[1], req, (size_t)n, MSG_NOSIGNAL), n);
	rig_until(rig, is_answered, &a);
	close(fds[1]);
}

static const char *const strange_hosts[] = {
	":lws-threadpool",
	":lws-threadpool:80",
	"lws-threadpool",
	"l",
	":",
	":80",
	"::1",
	"default",
	"d",
	"x.:lws-threadpool",
	"lws-threadpool-bell"
};

/* where lws itself answers it closes at once then, and not for a timeout */
static const char closing_header[] = "Connection: close\r\n";

static const char
	ws_headers[] = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		       "Sec-WebSocket-Key: bHdzdHAtdW5pdC10ZXN0cw==\r\n"
		       "Sec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Protocol: lws-threadpool-bell\r\n";

static void
a_Host_header_does_not_select_the_hidden_vhost(void **state)
{
	struct hosts h = { .http = 0 };
	struct rig_opts opts = {
		.info = no_listen, .on_event = hosts_event, .priv = &h
	};
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_script(rig, 10, LWS_TP_RETURN_SYNC);
	struct conn *c = conn_open(rig, CONN_RAW);
	bool lws_s_own = lws_get_vhost_by_name(rig->context, "system") != NULL;
	int expected = 0;
	size_t n;

	(void)state;
	h.mine = rig->vhost;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	for (n = 0; n < LWS_ARRAY_SIZE(strange_hosts); n++) {
		ask_with_host(rig, strange_hosts[n], closing_header);
		/* what names no vhost selects the first one of this port,
		 * which may be one of lws's own (5.0): never ours either */
		expected += !lws_s_own || !strncmp("default", strange_hosts[n],
						   strlen(strange_hosts[n]));
		if (h.http != expected)
			fail_msg("Host %s", strange_hosts[n]);
	}
	assert_int_equal(h.elsewhere, 0);
	/* no upgrade reaches our protocols */
	ask_with_host(rig, ":lws-threadpool", ws_headers);
	rig->any_log = true;
	assert_int_equal(rig_destroy(rig), 0);
}

/* Where the application's vhosts come after the hidden one, since the one that
 * was there before it is gone, a Host header does select that: then the
 * connection ends there, and that is all */
static void
a_hidden_vhost_that_is_first_refuses_connections(void **state)
{
	struct hosts h = { .http = 0 };
	struct rig_opts opts = {
		.info = no_listen, .on_event = hosts_event, .priv = &h
	};
	struct rig *rig = rig_create(&opts);
	struct lws_context_creation_info info;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c;
	struct job *j;
	size_t n;

	(void)state;
	rig_drain(rig);
	lws_vhost_destroy(rig->vhost);
	rig_drain(rig);
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = rig->protocols;
	info.vhost_name = "mine";
	h.mine = rig->vhost = lws_create_vhost(rig->context, &info);
	assert_non_null(rig->vhost);
	for (n = 0; n < LWS_ARRAY_SIZE(strange_hosts); n++) {
		ask_with_host(rig, strange_hosts[n], closing_header);
		ask_with_host(rig, strange_hosts[n], ws_headers);
	}
	assert_int_equal(h.elsewhere, 0);
	/* the bell still rings */
	c = conn_open(rig, CONN_RAW);
	j = job_script(rig, 10, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	rig->any_log = true;
	assert_int_equal(rig_destroy(rig), 0);
}

/* ---- fact 15 ---- */

static void
not_a_line_of_NOTICE_or_above(void **state)
{
	int opt_in, kind, n;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		struct rig_opts opts = { .opt_in = opt_in };
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = rig_pool(rig, 2, 100);

		for (n = 0; n < 3; n++)
			for (kind = 0; kind < CONN_KINDS; kind++) {
				struct conn *c = conn_open(
					rig, (enum conn_kind)kind);
				struct job *j = job_script(rig, n,
							   LWS_TP_RETURN_SYNC);

				assert_non_null(job_enqueue(tp, j, c->wsi));
				if (n)
					rig_until_int(rig, &j->cleanups, 1);
				closing_do(c, CLOSING_TIMEOUT);
			}
		rig_pool_destroy(rig, tp);
		assert_int_equal(log_unclaimed(), 0);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* ---- fact 19 ---- */

/* A raw file loses a request that is made inside its own WRITEABLE: with one
 * task served a callback, each further one needs another callback (S6). */
static void
raw_file_one_task_a_WRITEABLE(void **state)
{
	int kind;

	(void)state;
	for (kind = CONN_FILE; kind <= CONN_PIPE; kind++) {
		struct rig *rig = rig_create(NULL);
		struct lws_threadpool *tp = rig_pool(rig, 2, 200);
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j[120];
		int n;

		/* so that nothing but lws's own wake-ups serves */
		rig->tick_us = 50 * LWS_US_PER_SEC;
		c->manual = true;
		for (n = 0; n < 120; n++) {
			j[n] = job_script(rig, n & 1 ? 2 : 0,
					  LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j[n], c->wsi));
		}
		/* not by their status: that would be to look at them */
		for (n = 0; n < 120; n++)
			wait_int(&j[n]->returns, 1);
		rig_drain(rig);
		c->manual = false;
		lws_callback_on_writable(c->wsi);
		/* at one a second this would be far too late */
		for (n = 0; n < 120; n++)
			rig_until_int(rig, &j[n]->cleanups, 1);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(WRITEABLE_lost_by_lws_is_asked_for_again),
		RIG_TEST(a_task_that_was_looked_at_is_not_rung_again),
		cmocka_unit_test(nothing_is_written_to_a_reused_fd),
		cmocka_unit_test(context_destroyed_while_workers_ring),
		cmocka_unit_test(
			a_Host_header_does_not_select_the_hidden_vhost),
		cmocka_unit_test(
			a_hidden_vhost_that_is_first_refuses_connections),
		cmocka_unit_test(not_a_line_of_NOTICE_or_above),
		cmocka_unit_test(raw_file_one_task_a_WRITEABLE),
	};

	return cmocka_run_group_tests_name("facts 7, 9, 10, 15, 19", tests,
					   NULL, NULL);
}
