/*
 * lws-threadpool - is it closing, or no connection at all?
 *
 * SPDX-License-Identifier: MIT
 *
 * When lws begins to close a wsi its tasks are detached (W1).  What was known
 * of the wsi stays for a while as a mark, so that an enqueue from the wsi's own
 * close callbacks is refused (W4).  The same address may be another wsi already
 * in the same turn of the service loop.  The socket's inode tells them apart.
 * A stream of a mux connection is taken off that connection by lws when it
 * closes.  A raw file closes at once, and is out of lws's tables before its
 * callbacks are called.  A mark lasts longer than lws waits for the peer of a
 * wsi that it could still write to.
 */

#include <sys/socket.h>
#include <sys/stat.h>

#include "private.h"

#define MARK_US (10 * LWS_US_PER_SEC)

/* which socket a wsi has: false if it has none of its own */
static bool
socket_of(struct lws *wsi, struct stat *st)
{
	int fd = (int)lws_get_socket_fd(wsi);

	return fd >= 0 && !fstat(fd, st) && S_ISSOCK(st->st_mode);
}

static LWSTP_ON_SERVICE void
note_socket(struct lwstp_wsi *on)
{
	struct stat st;

	on->has_socket = socket_of(on->wsi, &st);
	if (on->has_socket) {
		on->dev = st.st_dev;
		on->ino = st.st_ino;
	}
}

/* whether the mark is about this very wsi */
static LWSTP_ON_SERVICE bool
is_same(const struct lwstp_wsi *mark, struct lws *wsi)
{
	struct stat st;

	if (mark->has_socket)
		return socket_of(wsi, &st) && st.st_dev == mark->dev &&
		       st.st_ino == mark->ino;

	return (int)lws_get_socket_fd(wsi) < 0 &&
	       lws_get_network_wsi(wsi) == wsi;
}

LWSTP_ON_SERVICE bool
lwstp_wsi_is_closing(struct lwstp_service *service, struct lws *wsi)
{
	struct lwstp_wsi *on = lwstp_wsi_find(service, wsi);

	if (!on || !on->closing)
		return false;
	if (on->detaching || is_same(on, wsi))
		return true;
	lwstp_wsi_free(on);

	return false;
}

/* the marks that nobody needs any more */
static void
sweep(lws_sorted_usec_list_t *sul)
{
	struct lwstp_service *service = lws_container_of(
		sul, struct lwstp_service, sweep);
	lws_usec_t now = lwstp_now();
	struct lwstp_wsi *on;

	lwstp_on_service();
	while ((on = service->closed) && !on->detaching &&
	       now - on->asked_at >= MARK_US)
		lwstp_wsi_free(on);
	if (on)
		lwstp_schedule(service, sul, sweep, LWS_US_PER_SEC);
}

/* it is a mark from here on: nothing is asked of lws for it any more */
static LWSTP_ON_SERVICE void
mark_closing(struct lwstp_wsi *on)
{
#if defined(LWSTP_HANGUPS)
	lwstp_hangup_forget(on);
#endif
	lwstp_not_to_ask(on);
	lwstp_wsi_handle_drop(on);
	lwstp_lock_table(on->service);
	on->closing = true;
	lwstp_unlock_table(on->service);
	on->service->open--;
	on->asked_at = lwstp_now();
	on->watch = NULL;
	DL_APPEND(on->service->closed, on);
}

/* W1: no call, callback or thread uses the wsi after this.  The newest first:
 * so a task that is queued is gone before an older one, as it stops, makes room
 * for it to start. */
static LWSTP_ON_SERVICE void
detach_all(struct lwstp_wsi *on)
{
	struct lwstp_task *task;

	on->detaching = true;
	while (on->attached) {
		task = on->attached->att_prev; /* the last */
		lwstp_detach(task, atomic_load(&task->slot.word), true);
	}
	on->detaching = false;
}

LWSTP_ON_SERVICE void
lwstp_wsi_close(struct lwstp_service *service, struct lws *wsi,
		struct lws *watch, enum lwstp_close how)
{
	struct lwstp_wsi *on = lwstp_wsi_find(service, wsi);

	if (!on || (watch && on->watch != watch))
		return;
	if (!on->closing) {
		mark_closing(on);
		note_socket(on);
		detach_all(on);
	}
	if (how == LWSTP_CLOSE_GONE)
		lwstp_wsi_free(on);
	else if (how == LWSTP_CLOSE_SEEN)
		lwstp_schedule(service, &service->sweep, sweep, LWS_US_PER_SEC);
}

/* called again, by a cleanup that it runs, it does nothing */
LWSTP_ON_SERVICE void
lwstp_ss_close(struct lwstp_wsi *on)
{
	if (!on || on->closing)
		return;
	mark_closing(on);
	detach_all(on);
	lwstp_wsi_free(on);
}

LWSTP_ON_SERVICE void
lwstp_wsi_close_all(struct lwstp_service *service)
{
	struct lwstp_wsi *on;

	while ((on = (struct lwstp_wsi *)service->table)) {
		if (!on->closing)
			mark_closing(on);
		detach_all(on);
		lwstp_wsi_free(on);
	}
}

/*
 * No connection (Q6)
 */

/* the latest that this thread was given, in memory of its context's */
static _Thread_local struct lws *no_connection;
static _Thread_local struct lws_context *no_connection_of;

void
lwstp_note_no_connection(struct lws *wsi)
{
	no_connection = wsi;
	no_connection_of = lws_get_context(wsi);
}

void
lwstp_forget_no_connection(const struct lws_context *lws)
{
	if (no_connection_of == lws)
		no_connection = NULL;
}

/* What lws gives to callbacks that are about no connection is zeroed memory:
 * with fd 0, and without a pss.  A connection that happens to have fd 0 has a
 * peer, or a pss. */
static bool
is_zeroed(struct lws *wsi, int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	return !fd && !lws_wsi_user(wsi) &&
	       getpeername(fd, (struct sockaddr *)&peer, &len);
}

bool
lwstp_wsi_is_no_connection(struct lws *wsi)
{
	int fd = (int)lws_get_socket_fd(wsi), listens = 0;
	socklen_t len = sizeof(listens);

#if defined(LWSTP_AMALGAMATION)
	if (!lwstp_hook_has_role(wsi))
		return true;
#endif
	if (lws_get_network_wsi(wsi) != wsi)
		return false; /* a stream of a connection */

	if (wsi == no_connection && lws_get_context(wsi) == no_connection_of)
		return true;

	return fd < 0 || is_zeroed(wsi, fd) ||
	       (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) &&
		listens);
}
