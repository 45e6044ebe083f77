/*
 * lws-threadpool unit tests - an http/1 peer that goes on while a task is
 * pending, when it has been for long
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"
#include "http.h"

#define GET "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"

#if defined(LWSTP_HANGUPS)

static struct lwstp_wsi *
known_of(struct http *h)
{
	return lwstp_wsi_find(service_of(h->tp), h->wsi);
}

/* what is looked at no more tells of its input itself */
static bool
input_is_waited_for(void *arg)
{
	struct lwstp_wsi *on = known_of(arg);

	return on && on->hangup.input && !on->hangup.listed;
}

static bool
is_quiet(void *arg)
{
	struct lwstp_wsi *on = known_of(arg);

	return on && on->hangup.quiet && !on->hangup.input;
}

/* The next request comes long after the one whose task is pending: it is kept
 * in silence, and answered afterwards. */
static void
a_request_that_comes_late(void **state)
{
	struct http h = { .state = HTTP_SYNCING };

	(void)state;
	if (evloop_is("ev") || evloop_is("glib"))
		skip(); /* they look at no timer meanwhile */
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		http_start(&h, NULL);
		http_send_until_state(&h, GET);
		rig_until(h.rig, input_is_waited_for, &h);
		http_send(&h, GET);
		rig_until(h.rig, is_quiet, &h);
		assert_false(h.closed);
		http_let_go(&h);
		http_until_answers(&h, 2);
		assert_int_equal(h.requests, 2);
		http_stop(&h);
	}
}

#else

static void
a_request_that_comes_late(void **state)
{
	(void)state;
	skip(); /* this lws does it */
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_that_comes_late),
	};

	return cmocka_run_group_tests_name("inside-hangups", tests, NULL, NULL);
}
