/*
 * lws-threadpool - http/1 peers that hang up, or go on, while a task is
 * pending
 *
 * SPDX-License-Identifier: MIT
 *
 * Before 4.3.1 lws reads nothing of an http/1 connection whose response is
 * pending, and polls it for input all the same.  So a hang-up is not noticed,
 * and as long as there is input poll() returns at once.  Here:
 *
 * - The sockets are in an epoll fd that lws polls on our hidden vhost.  A peer
 *   that has closed its end, or half of it, is closed, as by later versions.
 * - If a response takes longer than a moment, its socket is looked at.  Input
 *   stays there in silence, by SO_RCVLOWAT, until the response is over.
 * - If lws has already read more input, together with the request, nothing can
 *   silence that: after a second the connection is closed, as by later
 *   versions.
 *
 * If a request has a body, lws itself reads on.  Then only the last of these is
 * needed, and soon, since lws calls HTTP_BODY_COMPLETION in each turn.  Epoll
 * cannot tell of that input, since lws has mostly read it before: so we look
 * for as long as the response is pending.  With several service threads all of
 * this is off.
 */

#include "private.h"

#if defined(LWSTP_HANGUPS)

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HANGUPS		(EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLET)
#define HANGUP_BATCH	16
#define HANGUP_GRACE_US (50 * LWS_US_PER_MS)
#define HANGUP_LOOK_US	(50 * LWS_US_PER_MS)
#define HANGUP_STUCK_US (1 * LWS_US_PER_SEC)
#define HANGUP_BODY_US	(2 * HANGUP_LOOK_US)

static bool
polls_as(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, 0) > 0;
}

/* lws would not sleep now, since it has input that it cannot use yet */
static LWSTP_ON_SERVICE bool
is_restless(const struct lwstp_context *context)
{
#if defined(LWS_WITH_EXTERNAL_POLL)
	(void)context;

	return false; /* the question would run timers */
#else
	return !lws_service_adjust_timeout(atomic_load(&context->lws), 1, 0);
#endif
}

/* independently of the application's own flow control */
static void
let_input(struct lws *wsi, bool on)
{
	lws_rx_flow_control(wsi,
			    LWS_RXFLOW_REASON_HTTP_RXBUFFER |
				    LWS_RXFLOW_REASON_FLAG_PROCESS_NOW |
				    (on ? LWS_RXFLOW_REASON_APPLIES_ENABLE :
					  LWS_RXFLOW_REASON_APPLIES_DISABLE));
}

/*
 * The epoll fd
 */

/* hang-ups are reported in any case, and input once, if `input` */
static LWSTP_ON_SERVICE bool
listen_to(struct lwstp_wsi *on, int op, bool input)
{
	struct epoll_event event = { .events = HANGUPS };

	event.data.ptr = on->wsi; /* a key: it may be gone by then */
	if (input)
		event.events |= EPOLLIN;
	on->hangup.input = input;

	return !epoll_ctl(on->service->context->hangup.fd, op, on->hangup.fd,
			  &event);
}

/*
 * One wsi
 */

static LWSTP_ON_SERVICE void
unlist(struct lwstp_wsi *on)
{
	if (!on->hangup.listed)
		return;
	on->hangup.listed = false;
	DL_DELETE2(on->service->context->hangup.listed, on, hangup.prev,
		   hangup.next);
}

/* As if poll() had said POLLHUP, which is how lws learns of a connection that
 * is dead for certain.  Callbacks of the application's come inside this.  */
static LWSTP_ON_SERVICE void
hang_up(struct lwstp_wsi *on)
{
	struct lws_pollfd pfd = { .fd = on->hangup.fd, .revents = LWS_POLLHUP };

	on->hangup.doomed = false;
	unlist(on);
	lws_service_fd(atomic_load(&on->service->context->lws), &pfd);
}

/* Up to a quarter of what the kernel would keep anyway: so a peer gains
 * nothing, and one that sends more is stuck. */
static LWSTP_ON_SERVICE void
set_quiet(struct lwstp_wsi *on, bool quiet)
{
	socklen_t len = sizeof(int);
	int bytes = 1;

	if (on->hangup.quiet == quiet)
		return;
	on->hangup.quiet = quiet;
	if (quiet) {
		if (getsockopt(on->hangup.fd, SOL_SOCKET, SO_RCVBUF, &bytes,
			       &len))
			return;
		bytes /= 4;
	}
	(void)setsockopt(on->hangup.fd, SOL_SOCKET, SO_RCVLOWAT, &bytes,
			 sizeof(bytes));
}

static LWSTP_ON_SERVICE void
look_in(struct lwstp_context *context, lws_usec_t us);

/* it is looked at after grace_us, which begin anew with each task */
static LWSTP_ON_SERVICE void
list(struct lwstp_wsi *on, lws_usec_t grace_us)
{
	struct lwstp_context *context = on->service->context;

	if (!on->hangup.listed)
		DL_APPEND2(context->hangup.listed, on, hangup.prev,
			   hangup.next);
	on->hangup.listed = true;
	on->hangup.asked = false;
	on->hangup.stuck = false;
	on->hangup.since = lwstp_precise_now() + grace_us;
	if (!grace_us || on->hangup.hung_up)
		look_in(context, 1);
	else
		look_in(context, HANGUP_LOOK_US);
}

/* those whose response is over, or that do not concern us any more */
static LWSTP_ON_SERVICE void
drop_over(struct lwstp_context *context)
{
	struct lwstp_wsi *on, *next;

	DL_FOREACH_SAFE2(context->hangup.listed, on, next, hangup.next)
	{
		on->hangup.whole = lwstp_request_of(on->wsi) ==
				   LWSTP_REQUEST_WHOLE;
		if (!on->hangup.whole)
			set_quiet(on, false);
		if ((on->hangup.whole &&
		     (on->hangup.quiet || on->hangup.hung_up)) ||
		    (lwstp_request_of(on->wsi) && on->attached))
			continue;
		unlist(on);
	}
}

/* Which of them make lws restless?  The answer costs those a WRITEABLE.  While
 * others do there is none, and it is not asked for often. */
static LWSTP_ON_SERVICE void
ask_who_is_restless(struct lwstp_context *context, lws_usec_t now)
{
	struct lwstp_wsi *on;
	bool others;

	if (!is_restless(context)) {
		DL_FOREACH2(context->hangup.listed, on, hangup.next)
		on->hangup.restless = false;
		return;
	}
	DL_FOREACH2(context->hangup.listed, on, hangup.next)
	let_input(on->wsi, false);
	others = is_restless(context);
	DL_FOREACH2(context->hangup.listed, on, hangup.next)
	{
		let_input(on->wsi, true);
		on->hangup.restless = !others && is_restless(context);
		if (on->hangup.restless)
			let_input(on->wsi, false);
		if (others && !on->hangup.whole)
			on->hangup.since = now + HANGUP_STUCK_US;
	}
	DL_FOREACH2(context->hangup.listed, on, hangup.next)
	if (on->hangup.restless)
		let_input(on->wsi, true);
}

/* true: lws spins for it, although all that can be done has been */
static LWSTP_ON_SERVICE bool
is_stuck(struct lwstp_wsi *on)
{
	if (on->hangup.restless || !on->hangup.whole)
		return on->hangup.restless;
	if (!polls_as(on->hangup.fd, POLLIN))
		return false;
	set_quiet(on, true);

	return polls_as(on->hangup.fd, POLLIN);
}

static LWSTP_ON_SERVICE bool
is_beyond_hope(const struct lwstp_wsi *on, lws_usec_t now)
{
	return now - on->hangup.since >=
	       (on->hangup.whole ? HANGUP_STUCK_US : HANGUP_BODY_US);
}

static LWSTP_ON_SERVICE void
look_at_wsi(struct lwstp_wsi *on, lws_usec_t now)
{
	bool stuck;

	on->hangup.doomed = on->hangup.hung_up && on->hangup.whole;
	if (on->hangup.doomed || now < on->hangup.since)
		return;
	on->hangup.asked = true;
	stuck = is_stuck(on);
	if (stuck && !on->hangup.stuck)
		on->hangup.since = now;
	on->hangup.stuck = stuck;
	on->hangup.doomed = stuck && is_beyond_hope(on, now);
	if (!stuck && !on->hangup.quiet && on->hangup.whole &&
	    listen_to(on, EPOLL_CTL_MOD, true))
		unlist(on);
}

/* closing one may change the list */
static LWSTP_ON_SERVICE void
hang_up_doomed(struct lwstp_context *context)
{
	struct lwstp_wsi *on;

	do {
		DL_FOREACH2(context->hangup.listed, on, hangup.next)
		if (on->hangup.doomed)
			break;
		if (on && !on->hangup.hung_up)
			lwstp_log(LLL_INFO,
				  "lws_threadpool: wsi %p sent "
				  "more while its response is pending: "
				  "closed\n",
				  (void *)on->wsi);
		if (on)
			hang_up(on);
	} while (on);
}

static LWSTP_ON_SERVICE bool
is_to_be_asked(const struct lwstp_wsi *on, lws_usec_t now)
{
	if (on->hangup.stuck)
		return is_beyond_hope(on, now);

	return (!on->hangup.asked || !on->hangup.whole) &&
	       now >= on->hangup.since;
}

static void
look_for_hangups(lws_sorted_usec_list_t *sul)
{
	struct lwstp_hangup *h = lws_container_of(sul, struct lwstp_hangup,
						  look);
	struct lwstp_context *context = lws_container_of(
		h, struct lwstp_context, hangup);
	lws_usec_t now = lwstp_precise_now();
	struct lwstp_wsi *on, *next;
	bool ask = false;

	lwstp_on_service();
	drop_over(context);
	DL_FOREACH2(h->listed, on, hangup.next)
	ask = ask || is_to_be_asked(on, now);
	if (ask)
		ask_who_is_restless(context, now);
	DL_FOREACH_SAFE2(h->listed, on, next, hangup.next)
	look_at_wsi(on, now);
	if (h->listed)
		look_in(context, HANGUP_LOOK_US);
	hang_up_doomed(context);
}

/* in that time, or before */
static LWSTP_ON_SERVICE void
look_in(struct lwstp_context *context, lws_usec_t us)
{
	struct lwstp_hangup *h = &context->hangup;

	if (context->service[0].ended ||
	    (!lws_dll2_is_detached(&h->look.list) && us > 1))
		return;
	lws_sul_schedule(atomic_load(&context->lws), 0, &h->look,
			 look_for_hangups, us);
}

/*
 * What the others tell
 */

/* A wsi that is not of http/1 when it gets its first task will never be. */
LWSTP_ON_SERVICE bool
lwstp_hangup_concerns(struct lwstp_wsi *on)
{
	if (!on->wsi)
		return false;
	if (lwstp_request_of(on->wsi))
		return true;
	on->hangup.never = on->hangup.fd < 0;

	return false;
}

LWSTP_ON_SERVICE void
lwstp_hangup_pending(struct lwstp_wsi *on)
{
	if (on->hangup.fd < 0) {
		on->hangup.fd = (int)lws_get_socket_fd(on->wsi);
		if (on->hangup.fd < 0)
			return;
		if (!listen_to(on, EPOLL_CTL_ADD, false)) {
			on->hangup.fd = -1;
			return;
		}
	}
	list(on, HANGUP_GRACE_US);
}

LWSTP_ON_SERVICE void
lwstp_hangup_forget(struct lwstp_wsi *on)
{
	struct epoll_event unused;

	if (on->hangup.fd < 0)
		return;
	unlist(on);
	set_quiet(on, false);
	if (on->service->context->hangup.fd >= 0)
		(void)epoll_ctl(on->service->context->hangup.fd, EPOLL_CTL_DEL,
				on->hangup.fd, &unused);
	on->hangup.fd = -1;
}

/* What can be done is done here and now: with libev lws 4.1 looks at no timer
 * as long as a socket can be read.  */
static LWSTP_ON_SERVICE void
heard(struct lwstp_wsi *on, uint32_t events)
{
	enum lwstp_request request = lwstp_request_of(on->wsi);

	if (on->hangup.input)
		listen_to(on, EPOLL_CTL_MOD, false);
	/* it may be about one before, at the same address */
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		on->hangup.hung_up = polls_as(on->hangup.fd, POLLRDHUP);
	if (!request)
		return;
	list(on, request == LWSTP_REQUEST_WHOLE ? 0 : HANGUP_GRACE_US);
	if (request == LWSTP_REQUEST_WHOLE && on->hangup.hung_up)
		hang_up(on);
	else if (request == LWSTP_REQUEST_WHOLE)
		set_quiet(on, true);
}

LWSTP_ON_SERVICE void
lwstp_hangup_heard(struct lwstp_context *context)
{
	struct epoll_event event[HANGUP_BATCH];
	struct lwstp_wsi *on;
	int n, count;

	do {
		count = epoll_wait(context->hangup.fd, event, HANGUP_BATCH, 0);
		for (n = 0; n < count; n++) {
			on = lwstp_wsi_find(&context->service[0],
					    event[n].data.ptr);
			if (on && !on->closing && on->hangup.fd >= 0)
				heard(on, event[n].events);
		}
	} while (count == HANGUP_BATCH && context->hangup.fd >= 0);
}

LWSTP_ON_SERVICE void
lwstp_hangup_close(struct lwstp_context *context)
{
	lws_sul_cancel(&context->hangup.look);
	if (context->hangup.fd >= 0)
		close(context->hangup.fd);
	context->hangup.fd = -1;
	context->hangup.failed = true;
	context->hangup.listed = NULL;
}

#endif
