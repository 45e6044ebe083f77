/*
 * lws-threadpool unit tests - W1 for http/1 over TLS and for http/2: a peer
 * that hangs up, or sends more, while a task is pending
 *
 * SPDX-License-Identifier: MIT
 *
 * The peer of http/2 writes its few frames in plain text.
 */

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "h2.h"
#include "http.h"
#include "tls.h"

#define GET "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

#if defined(LWS_WITH_TLS)

/* a peer that has sent `text` */
static pid_t
tls_start(struct http *h, bool opt_in, const char *text)
{
	struct rig_opts opts = { .info = tls_info, .opt_in = opt_in };
	pid_t pid;

	http_start(h, &opts);
	pid = tls_connect(h->rig, NULL, &h->fd);
	http_send_until_state(h, text);

	return pid;
}

static void
tls_stop(struct http *h, pid_t pid)
{
	tls_disconnect(pid);
	http_stop(h);
}

/* it says so first, or is gone without a word */
static void
W1_tls_hang_up(void **state)
{
	struct http h = { .at_headers = false };
	int opt_in, killed;
	pid_t pid;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (killed = 0; killed < 2; killed++)
			for (h.state = 0; h.state < HTTP_STATES; h.state++) {
				pid = tls_start(&h, opt_in, GET);
				if (killed)
					kill(pid, SIGKILL);
				else
					shutdown(h.fd, SHUT_WR);
				http_until_closed(&h);
				http_until_sleeps(&h);
				http_until_told(&h);
				tls_stop(&h, pid);
			}
}

#if LWS_LIBRARY_VERSION_NUMBER < 4003001
/* as in test-http-pipelined.c */
static void
tls_request_behind_a_pending_one(void **state)
{
	struct http h = { .at_headers = false };
	int together;
	pid_t pid;

	(void)state;
	for (together = 0; together < 2 - HTTP_TOGETHER_SPINS; together++)
		for (h.state = 0; h.state < HTTP_STATES; h.state++) {
			pid = tls_start(&h, false, together ? GET GET : GET);
			if (!together)
				http_send(&h, GET);
			http_until_sleeps(&h);
			if (together) {
				http_until_closed(&h);
				http_until_told(&h);
			} else {
				assert_false(h.closed);
				http_let_go(&h);
				http_until_answers(&h, 2);
				assert_int_equal(h.requests, 2);
			}
			tls_stop(&h, pid);
		}
}
#endif

#endif

#if defined(LWS_ROLE_H2)

static void
h2_start(struct http *h, bool opt_in)
{
	struct rig_opts opts = { .info = h2_info, .opt_in = opt_in };

	http_start(h, &opts);
	h->fd = tcp_connect(h->rig->port);
	h2_send_preface(h->fd);
	h2_send_get(h->fd, 1, '\0');
	http_until_state(h);
}

static bool
is_second_answered(void *arg)
{
	struct http *h = arg;

	return h->requests == 2 && h->answers == 1;
}

/* the stream ends with its connection */
static void
W1_h2_hang_up(void **state)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };
	struct http h = { .at_headers = false };
	int opt_in, reset;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (reset = 0; reset < 2; reset++)
			for (h.state = 0; h.state < HTTP_STATES; h.state++) {
				h2_start(&h, opt_in);
				if (reset)
					setsockopt(h.fd, SOL_SOCKET, SO_LINGER,
						   &linger, sizeof(linger));
				close(h.fd);
				h.fd = -1;
				http_until_closed(&h);
				http_until_sleeps(&h);
				http_until_told(&h);
				http_stop(&h);
			}
}

/* Another stream is answered beside one that is pending */
static void
h2_request_beside_a_pending_one(void **state)
{
	struct http h = { .at_headers = false };

	(void)state;
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		h2_start(&h, false);
		h2_send_get(h.fd, 3, '\0');
		rig_until(h.rig, is_second_answered, &h);
		http_until_sleeps(&h);
		assert_false(h.closed);
		http_let_go(&h);
		rig_until_cleaned(h.rig);
		assert_int_equal(h.answers, 2);
		http_stop(&h);
	}
}

#endif

int
main(void)
{
	int failed = 0;
#if defined(LWS_WITH_TLS)
	const struct CMUnitTest tls[] = {
		cmocka_unit_test(W1_tls_hang_up),
#if LWS_LIBRARY_VERSION_NUMBER < 4003001
		cmocka_unit_test(tls_request_behind_a_pending_one),
#endif
	};
#endif
#if defined(LWS_ROLE_H2)
	const struct CMUnitTest h2[] = {
		cmocka_unit_test(W1_h2_hang_up),
		cmocka_unit_test(h2_request_beside_a_pending_one),
	};
#endif

#if defined(LWS_WITH_TLS)
	failed += cmocka_run_group_tests_name("http over TLS", tls,
					      tls_make_certificate,
					      tls_drop_certificate);
#endif
#if defined(LWS_ROLE_H2)
	failed += cmocka_run_group_tests_name("http/2", h2, NULL, NULL);
#endif

	return failed;
}
