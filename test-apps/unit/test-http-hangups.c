/*
 * lws-threadpool unit tests - W1 for http/1: a peer that hangs up while a task
 * is pending closes the connection, the task is told, and nothing spins
 *
 * SPDX-License-Identifier: MIT
 *
 * Each in the four states of the task, with the watch and with the opt-in.  A
 * peer that closes its half only has closed all of it, as for lws from 4.3.1
 * on.
 *
 * LWSTP_WRAP: epoll_create1 lws_sul_schedule
 */

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

#define GET   "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define POST  "POST / HTTP/1.1\r\nHost: localhost\r\n"
#define BODY  "Content-Length: 10\r\n\r\n0123456789"
#define PART  "Content-Length: 10\r\n\r\n01234"
#define EMPTY "Content-Length: 0\r\n\r\n"

static void
fin(struct http *h)
{
	close(h->fd);
	h->fd = -1;
}

static void
rst(struct http *h)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(h->fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
	fin(h);
}

static void
half(struct http *h)
{
	assert_int_equal(shutdown(h->fd, SHUT_WR), 0);
}

static void (*const ways[])(struct http *h) = { fin, rst, half };

/* each way, in each state, seen by each means */
static void
each(const char *text, bool at_headers)
{
	struct http h = { .at_headers = at_headers };
	struct rig_opts opts = { .info = NULL };
	size_t way;
	int opt_in;

	for (opt_in = 0; opt_in < 2; opt_in++)
		for (way = 0; way < LWS_ARRAY_SIZE(ways); way++)
			for (h.state = 0; h.state < HTTP_STATES; h.state++) {
				opts.opt_in = opt_in;
				http_start(&h, &opts);
				http_send_until_state(&h, text);
				ways[way](&h);
				http_until_closed(&h);
				http_until_told(&h);
				assert_int_equal(h.answers, 0);
				http_stop(&h);
			}
}

static void
W1_http_hang_up(void **state)
{
	(void)state;
	each(GET, false);
}

static void
W1_http_hang_up_after_a_body(void **state)
{
	(void)state;
	each(POST BODY, false);
	each(POST EMPTY, false);
}

static void
W1_http_hang_up_inside_a_body(void **state)
{
	(void)state;
	each(POST PART, true);
}

/* It is there before lws has read the request */
static void
W1_http_hang_up_with_the_request(void **state)
{
	struct http h = { .at_headers = false };

	(void)state;
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		http_start(&h, NULL);
		http_send(&h, GET);
		half(&h);
		http_until_closed(&h);
		/* how far the job came is a race */
		gate_open(h.gate);
		rig_until_cleaned(h.rig);
		assert_null(h.job->cleanup_wsi);
		http_stop(&h);
	}
}

static bool
is_ready_to_go_on(void *arg)
{
	struct http *h = arg;

	return h->answers == 1 && atomic_load(&h->job->cleanups);
}

/* With keep-alive: one that hangs up between two requests is lws's own affair,
 * and what is kept from the first does not matter to the second. */
static void
W1_http_hang_up_keep_alive(void **state)
{
	struct http h = { .state = HTTP_SYNCING };
	struct job *second;
	size_t way;
	int pending;

	(void)state;
	for (way = 0; way < LWS_ARRAY_SIZE(ways); way++)
		for (pending = 0; pending < 2; pending++) {
			http_start(&h, NULL);
			http_send_until_state(&h, GET);
			http_let_go(&h);
			rig_until(h.rig, is_ready_to_go_on, &h);
			assert_false(h.closed);
			second = h.job;
			if (pending) {
				h.serve = false;
				h.requests = 0;
				h.job = job_script(h.rig, 1,
						   LWS_TP_RETURN_SYNC);
				http_send_until_state(&h, GET);
			}
			ways[way](&h);
			http_until_closed(&h);
			assert_int_equal(atomic_load(&second->cleanups), 1);
			if (pending)
				http_until_told(&h);
			http_stop(&h);
		}
}

/* Two peers, of which one hangs up */
static void
W1_http_hang_up_beside_another(void **state)
{
	struct http h = { .state = HTTP_RUNNING };
	struct conn *other;
	struct job *j;

	(void)state;
	http_start(&h, NULL);
	http_send_until_state(&h, GET);
	other = conn_open(h.rig, CONN_RAW);
	j = job_script(h.rig, 20, LWS_TP_RETURN_SYNC);
	job_enqueue(h.tp, j, other->wsi);
	fin(&h);
	http_until_closed(&h);
	http_until_told(&h);
	rig_until_int(h.rig, &j->cleanups, 1);
	assert_false(other->closed);
	assert_ptr_equal(j->cleanup_wsi, other->wsi);
	http_stop(&h);
}

/* Nothing spins: the task goes on for long, since it does not look whether it
 * is to stop */
static void
W1_http_hang_up_and_sleep(void **state)
{
	struct http h = { .state = HTTP_RUNNING };
	size_t way;

	(void)state;
	for (way = 0; way < LWS_ARRAY_SIZE(ways); way++) {
		http_start(&h, NULL);
		http_send_until_state(&h, GET);
		ways[way](&h);
		http_until_closed(&h);
		http_until_sleeps(&h);
		http_until_told(&h);
		http_stop(&h);
	}
}

/* S5, W1: a peer that stays connected is not hung up on, whatever the state */
static void
a_pending_peer_is_left_alone(void **state)
{
	struct http h = { .at_headers = false };

	(void)state;
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		http_start(&h, NULL);
		http_send_until_state(&h, GET);
		http_until_sleeps(&h);
		assert_false(h.closed);
		http_let_go(&h);
		http_until_answers(&h, 1);
		assert_false(h.closed);
		http_stop(&h);
	}
}

/* how soon lib/hangup.c looks again */
#define LOOK_US (50 * LWS_US_PER_MS)

void
__real_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);
void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);

static int looks; /* that were asked for */

void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb, lws_usec_t us)
{
	looks += us == LOOK_US;
	__real_lws_sul_schedule(context, tsi, sul, cb, us);
}

/* Once its response is over, a connection wakes nobody */
static void
an_idle_peer_is_not_looked_at(void **state)
{
	struct http h = { .state = HTTP_SYNCING };

	(void)state;
	looks = 0;
	http_start(&h, NULL);
	http_send_until_state(&h, GET);
#if LWS_LIBRARY_VERSION_NUMBER < 4003001
	assert_true(looks);
#endif
	http_let_go(&h);
	http_until_answers(&h, 1);
	/* the look that was asked for before is the last one */
	http_serve_for(&h, 4 * LOOK_US);
	looks = 0;
	http_serve_for(&h, 4 * LOOK_US);
	assert_int_equal(looks, 0);
	assert_false(h.closed);
	http_stop(&h);
}

int
__real_epoll_create1(int flags);
int
__wrap_epoll_create1(int flags);

static bool no_epoll;
static int refused;

int
__wrap_epoll_create1(int flags)
{
	if (!no_epoll)
		return __real_epoll_create1(flags);
	refused++;
	errno = EMFILE;

	return -1;
}

/* Without the epoll fd tasks are served all the same, and it is asked for and
 * warned of once. */
static void
without_epoll_nothing_but_hang_ups_is_missed(void **state)
{
	struct http h = { .at_headers = false };

	(void)state;
	no_epoll = true;
	for (h.state = 0; h.state < HTTP_STATES; h.state++) {
		refused = 0;
		http_start(&h, NULL);
		http_send_until_state(&h, GET);
		http_until_sleeps(&h);
		http_let_go(&h);
		http_until_answers(&h, 1);
		h.serve = false;
		h.requests = 0;
		h.job = job_script(h.rig, 1, LWS_TP_RETURN_SYNC);
		http_send(&h, GET);
		rig_until_int(h.rig, &h.job->calls, 1);
		assert_in_range(refused, 0, 1);
		assert_int_equal(log_claim(LLL_WARN,
					   "epoll_create1(): Too many "
					   "open files"),
				 refused);
		http_stop(&h);
	}
	no_epoll = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W1_http_hang_up),
		cmocka_unit_test(W1_http_hang_up_after_a_body),
		cmocka_unit_test(W1_http_hang_up_inside_a_body),
		cmocka_unit_test(W1_http_hang_up_with_the_request),
		cmocka_unit_test(W1_http_hang_up_keep_alive),
		cmocka_unit_test(W1_http_hang_up_beside_another),
		cmocka_unit_test(W1_http_hang_up_and_sleep),
		cmocka_unit_test(a_pending_peer_is_left_alone),
		cmocka_unit_test(an_idle_peer_is_not_looked_at),
		cmocka_unit_test(without_epoll_nothing_but_hang_ups_is_missed),
	};

	return cmocka_run_group_tests_name("W1 http hang-ups", tests, NULL,
					   NULL);
}
