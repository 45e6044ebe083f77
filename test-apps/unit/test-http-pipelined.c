/*
 * lws-threadpool unit tests - a peer of http/1 that sends more while a task is
 * pending: nothing spins, and the task is served or told
 *
 * SPDX-License-Identifier: MIT
 *
 * With lws before 4.3.1 what it has not read yet is kept, and answered
 * afterwards; with what it read together with the first request the connection
 * closes, unless the task is quick.  Later versions are not tried: they log an
 * error and close it, or end in an assertion if they were built with those, or
 * throw away what they got (5.0.0).
 */

#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

#define GET "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define POST \
	"POST / HTTP/1.1\r\nHost: localhost\r\n" \
	"Content-Length: 4\r\n\r\nbody"

#if LWS_LIBRARY_VERSION_NUMBER < 4003001

/* With libev and glib lws 4.1 looks at no timer as long as a socket can be
 * read.  What comes before our first look stays there then.  */
static bool
timers_starve(void)
{
	return evloop_is("ev") || evloop_is("glib");
}

/* The second comes alone */
static void
a_request_behind_a_pending_one(void **state)
{
	struct http h = { .at_headers = false };
	int opt_in;

	(void)state;
	if (timers_starve())
		skip();
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (h.state = 0; h.state < HTTP_STATES; h.state++) {
			struct rig_opts opts = { .opt_in = opt_in };

			http_start(&h, &opts);
			http_send_until_state(&h, GET);
			http_send(&h, GET);
			http_until_sleeps(&h);
			assert_false(h.closed);
			http_let_go(&h);
			http_until_answers(&h, 2);
			assert_false(h.closed);
			assert_int_equal(h.requests, 2);
			/* and it is as good as new */
			http_send(&h, GET);
			http_until_answers(&h, 3);
			assert_false(h.closed);
			http_stop(&h);
		}
}

/* Lines of it, and then the peer is gone */
static void
W1_http_hang_up_behind_a_request(void **state)
{
	struct http h = { .at_headers = false };

	(void)state;
	if (timers_starve())
		skip();
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		http_start(&h, NULL);
		http_send_until_state(&h, GET);
		http_send(&h, "GET / HTTP/1.1\r\nHost: ");
		http_until_sleeps(&h);
		close(h.fd);
		h.fd = -1;
		http_until_closed(&h);
		http_until_told(&h);
		http_stop(&h);
	}
}

/* lws reads both at once */
static void
a_request_together_with_a_pending_one(void **state)
{
	struct http h = { .at_headers = false };

	(void)state;
	if (HTTP_TOGETHER_SPINS)
		skip();
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		http_start(&h, NULL);
		http_send_until_state(&h, GET GET);
		http_until_sleeps(&h);
		http_until_closed(&h);
		http_until_told(&h);
		http_stop(&h);
	}
}

/* ... and the first does not take long: what there is to be read is answered */
static void
requests_together_are_answered(void **state)
{
	struct http h = { .state = HTTP_DONE };

	(void)state;
	http_start(&h, NULL);
	h.serve = true;
	http_send(&h, GET GET GET);
	http_until_answers(&h, 3);
	assert_int_equal(h.requests, 3);
	assert_false(h.closed);
	http_stop(&h);
}

/* More than lws's socket is to keep */
static void
a_flood_behind_a_pending_request(void **state)
{
	struct http h = { .state = HTTP_RUNNING };
	static char junk[1 << 16];

	(void)state;
	if (timers_starve())
		skip();
	memset(junk, 'x', sizeof(junk));
	http_start(&h, NULL);
	http_send_until_state(&h, GET);
	while (send(h.fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		rig_turns(h.rig, 1);
	http_until_sleeps(&h);
	http_until_closed(&h);
	http_until_told(&h);
	http_stop(&h);
}

/* lws calls HTTP_BODY_COMPLETION again and again then.  So does 5.0.0, and
 * nobody helps it.  */
enum moment {
	TOGETHER, /* with the body */
	SOON,
	LATE, /* when all has been quiet */
	MOMENTS
};

/* The job is what it is to be before the connection closes.  It does soon. */
static void
post(struct http *h, const char *text)
{
	http_start(h, NULL);
	http_send(h, text);
	while (!http_until_state_or_closed(h)) {
		http_stop(h);
		http_start(h, NULL);
		http_send(h, text);
	}
}

static void
a_request_behind_a_pending_post(void **state)
{
	struct http h = { .at_headers = false };
	int moment;

	(void)state;
	if (HTTP_TOGETHER_SPINS)
		skip();
	for (moment = 0; moment < MOMENTS; moment++)
		for (h.state = 0; h.state < HTTP_STATES; h.state++) {
			post(&h, moment == TOGETHER ? POST GET : POST);
			if (moment == LATE)
				http_until_sleeps(&h);
			if (moment != TOGETHER)
				http_send(&h, GET);
			http_until_closed(&h);
			http_until_sleeps(&h);
			http_until_told(&h);
			http_stop(&h);
		}
}
#endif

/* lws's own for the next piece of a body is 20 s otherwise */
static void
no_timeout(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->timeout_secs = 1000;
}

/* A body that comes in pieces, with the task pending from its begin, is read as
 * ever: for as long as it takes */
static void
a_body_that_takes_long(void **state)
{
	struct http h = { .at_headers = true };
	struct rig_opts opts = { .info = no_timeout };
	int n;

	(void)state;
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		http_start(&h, &opts);
		http_send_until_state(&h, "POST / HTTP/1.1\r\n"
					  "Host: localhost\r\n"
					  "Content-Length: 20\r\n\r\n");
		for (n = 0; n < 4; n++) {
			http_send(&h, "01234");
			http_until_sleeps(&h);
		}
		assert_int_equal(h.bodies, 1);
		http_let_go(&h);
		http_until_answers(&h, 1);
		assert_false(h.closed);
		http_stop(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#if LWS_LIBRARY_VERSION_NUMBER < 4003001
		cmocka_unit_test(a_request_behind_a_pending_one),
		cmocka_unit_test(W1_http_hang_up_behind_a_request),
		cmocka_unit_test(a_request_together_with_a_pending_one),
		cmocka_unit_test(requests_together_are_answered),
		cmocka_unit_test(a_flood_behind_a_pending_request),
		cmocka_unit_test(a_request_behind_a_pending_post),
#endif
		cmocka_unit_test(a_body_that_takes_long),
	};

	return cmocka_run_group_tests_name("pipelined http", tests, NULL, NULL);
}
