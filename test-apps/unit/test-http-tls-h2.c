/*
 * lws-threadpool unit tests - W1 for http/1 over TLS and for http/2: a peer
 * that hangs up, or sends more, while a task is pending
 *
 * SPDX-License-Identifier: MIT
 *
 * The peer over TLS is the openssl command, which also makes the certificate.
 * That of http/2 writes its few frames itself, in plain text.
 */

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http.h"

#define GET	"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

#if defined(LWS_WITH_TLS)

extern char **environ;

static char dir[] = "/tmp/lwstp-unit-tls-XXXXXX";
static char cert[64], key[64];

/* its stdin and stdout are `fd`, or nothing */
static pid_t
openssl(char **argv, int fd)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (fd >= 0) {
		posix_spawn_file_actions_adddup2(&actions, fd, 0);
		posix_spawn_file_actions_adddup2(&actions, fd, 1);
	}
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
	if (posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ))
		fail_msg("no openssl command: install openssl");
	posix_spawn_file_actions_destroy(&actions);

	return pid;
}

static int
make_certificate(void **state)
{
	char *argv[] = { "openssl", "req", "-x509", "-newkey", "rsa:2048",
			 "-nodes", "-days", "3650", "-subj", "/CN=localhost",
			 "-keyout", key, "-out", cert, NULL };
	int status;
	pid_t pid;

	(void)state;
	if (!mkdtemp(dir))
		return 1;
	snprintf(cert, sizeof(cert), "%s/cert", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	pid = openssl(argv, -1);

	return waitpid(pid, &status, 0) != pid || status;
}

static int
drop_certificate(void **state)
{
	(void)state;
	unlink(cert);
	unlink(key);

	return rmdir(dir);
}

static void
with_tls(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info->ssl_cert_filepath = cert;
	info->ssl_private_key_filepath = key;
}

/* a peer that has sent `text` */
static pid_t
tls_start(struct http *h, bool opt_in, const char *text)
{
	struct rig_opts opts = { .info = with_tls, .opt_in = opt_in };
	char where[32];
	char *argv[] = { "openssl", "s_client", "-quiet", "-no_ign_eof",
			 "-connect", where, NULL };
	int fds[2];
	pid_t pid;

	http_start(h, &opts);
	snprintf(where, sizeof(where), "127.0.0.1:%d", h->rig->port);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    fds), 0);
	pid = openssl(argv, fds[1]);
	close(fds[1]);
	h->fd = fds[0];
	http_send_until_state(h, text);

	return pid;
}

static void
tls_stop(struct http *h, pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	log_claim(LLL_NOTICE, "cert expiry");
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
with_h2(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->options |= LWS_SERVER_OPTION_H2_PRIOR_KNOWLEDGE;
}

static void
h2_send(struct http *h, const void *bytes, size_t len)
{
	assert_int_equal(send(h->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* GET / on that stream, by names and values that every peer knows */
static void
h2_request(struct http *h, uint8_t stream)
{
	const uint8_t headers[] = {
		0, 0, 6, 0x01, 0x05, 0, 0, 0, stream,
		0x82, 0x86, 0x84, 0x41, 0x01, 'a'
	};

	h2_send(h, headers, sizeof(headers));
}

static void
h2_start(struct http *h, bool opt_in)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				      "\0\0\0\4\0\0\0\0";
	struct rig_opts opts = { .info = with_h2, .opt_in = opt_in };

	http_start(h, &opts);
	h->fd = tcp_connect(h->rig->port);
	h2_send(h, preface, sizeof(preface));	/* its NUL is the last byte */
	h2_request(h, 1);
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
		h2_request(&h, 3);
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
					      make_certificate,
					      drop_certificate);
#endif
#if defined(LWS_ROLE_H2)
	failed += cmocka_run_group_tests_name("http/2", h2, NULL, NULL);
#endif

	return failed;
}
