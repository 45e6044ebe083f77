/*
 * lws-threadpool unit tests - how many connections a small
 * info.fd_limit_per_thread lets in, with us and without
 *
 * SPDX-License-Identifier: MIT
 *
 * The manual has the numbers: in lws's table of fds a pool takes a place for
 * its signal, each wsi that is watched one and, before lws 4.3.1, all that
 * began as http/1 together one, for their hang-ups.
 */

#include <unistd.h>

#include "harness.h"

#define MOST	9 /* the highest limit that is tried */
#define CALLERS (MOST + 3)

#if defined(__linux__) && LWS_LIBRARY_VERSION_NUMBER < 4003001 && \
	defined(LWS_ROLE_H1)
#define HANGUPS 1 /* the place for them */
#else
#define HANGUPS 0
#endif

enum mode { NO_POOL, IDLE_POOL, TASKS };

struct callers {
	struct lws_threadpool *tp; /* NULL: no tasks */
	enum conn_kind kind;
	int in;
	int refused;
	atomic_int *cleanups; /* of the first one's task */
};

static const char
	ws_request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n"
		       "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		       "Sec-WebSocket-Key: bHdzdHAtdW5pdC10ZXN0cw==\r\n"
		       "Sec-WebSocket-Version: 13\r\n"
		       "Sec-WebSocket-Protocol: tp-test\r\n\r\n";
static const char http_request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

static int limit;

static void
few_fds(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->fd_limit_per_thread = (unsigned int)limit;
}

/* each gets a task that stays */
static int
caller_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len)
{
	struct callers *callers = rig->priv;
	struct job *j;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_HTTP_WRITEABLE ||
	    reason == LWS_CALLBACK_SERVER_WRITEABLE)
		return 0;
	if (reason != (callers->kind == CONN_WS ? LWS_CALLBACK_ESTABLISHED :
						  LWS_CALLBACK_HTTP))
		return RIG_DEFAULT;
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	callers->in++;
	if (callers->tp) {
		j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		callers->refused += !job_enqueue(callers->tp, j, wsi);
		if (!callers->cleanups)
			callers->cleanups = &j->cleanups;
	}

	return 0;
}

static int
call(struct rig *rig, enum conn_kind kind)
{
	const char *request = kind == CONN_WS ? ws_request : http_request;
	int fd = tcp_connect(rig->port);

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));

	return fd;
}

static int
let_in(enum conn_kind kind, enum mode mode)
{
	struct callers callers = { .kind = kind };
	const struct rig_opts opts = {
		.info = few_fds, .priv = &callers, .on_event = caller_event
	};
	int fds = rig_open_fds(), fd[CALLERS], n, in;
	struct rig *rig = rig_create(&opts);

	rig->any_log = true; /* lws has a word to say itself */
	if (mode != NO_POOL) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 100);

		if (mode == TASKS)
			callers.tp = tp;
	}
	rig_drain(rig);
	for (n = 0; n < CALLERS; n++) {
		fd[n] = call(rig, kind);
		rig_drain(rig);
	}
	in = callers.in;
	assert_int_equal(callers.refused, 0);

	/* the task of the first ends with it, whatever lws had place for */
	close(fd[0]);
	if (callers.cleanups &&
	    !log_claim(LLL_WARN, "hang-ups of http/1 peers "
				 "will be noticed late: lws has no place"))
		rig_until_int(rig, callers.cleanups, 1);
	for (n = 1; n < CALLERS; n++)
		close(fd[n]);
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(rig_open_fds(), fds);

	return in;
}

/* `most` is what lws lets in of itself */
static int
with_tasks(int most)
{
	int left = most - 1; /* the signal */

	if (left > 1)
		left -= HANGUPS;

	return (left + 1) / 2;
}

static void
of_kind(enum conn_kind kind)
{
	int signal = conn_kind_watched(kind) && LWSTP_UNIT_EVENTFD, most, idle,
	    busy, lets_in = 0;

	for (limit = 2; limit <= MOST; limit++) {
		most = let_in(kind, NO_POOL);
		idle = let_in(kind, IDLE_POOL);
		busy = let_in(kind, TASKS);
		print_message("  %s, limit %d: %d, with a pool %d, with tasks "
			      "%d\n",
			      conn_kind_name(kind), limit, most, idle, busy);
		/* lws 4.3 itself lets nobody in with the lowest */
		if (!most)
			continue;
		lets_in++;
		assert_int_equal(idle, most - signal);
		if (!conn_kind_watched(kind))
			assert_int_equal(busy, most);
		else if (signal)
			assert_int_equal(busy, with_tasks(most));
	}
	assert_in_range(lets_in, MOST - 3, MOST - 1);
}

static void
W3_a_small_limit_ws(void **state)
{
	(void)state;
	of_kind(CONN_WS);
}

static void
W3_a_small_limit_http(void **state)
{
	(void)state;
	of_kind(CONN_HTTP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W3_a_small_limit_ws),
		cmocka_unit_test(W3_a_small_limit_http),
	};

	return cmocka_run_group_tests_name("W3 small fd limits", tests, NULL,
					   NULL);
}
