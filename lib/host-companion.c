/*
 * lws-threadpool - libwebsockets by its public API only
 *
 * SPDX-License-Identifier: MIT
 *
 * A hidden vhost of ours holds two kinds of raw file wsi: the bells of
 * doorbell.c, and a watch for each wsi that has had a task.  The watch is a
 * child of that wsi with an fd that is never readable: lws closes the children
 * of a wsi before anything else of it, so RAW_CLOSE_FILE on the watch is the
 * first that anybody hears of a close (W1).
 *
 * The hidden vhost cannot be made inside a PROTOCOL_INIT callback, where pools
 * often are, and must not be the first of its context: so it is made by a timer
 * on the first turn of the service loop, if the context has its "default" vhost,
 * or by the first enqueue of a task with a wsi, which has one.  With several
 * service threads it is made only by such an enqueue: lws runs timers with the
 * lock of their thread held, and a new vhost needs that of the context, which one
 * that accepts takes first.
 */

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

/* the latest wsi on a hidden vhost that this thread has made */
static _Thread_local struct lws *newest;

/* this thread makes a hidden vhost */
static _Thread_local bool opening;

/* one service thread of several makes it; nothing of the user's runs then */
static pthread_mutex_t opening_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The hidden vhost
 */

static struct lwstp_host *
host_of(struct lws *wsi)
{
	struct lws_vhost *vhost = lws_get_vhost(wsi);

	return vhost ? lws_vhost_user(vhost) : NULL;
}

/* Nobody can connect to this vhost, but a Host header might select it where the
 * application's own does not listen: then the connection ends here. */
static int
refuse_connections(enum lws_callback_reasons reason)
{
	switch (reason) {
	case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
	case LWS_CALLBACK_HTTP_BIND_PROTOCOL:
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
	case LWS_CALLBACK_HTTP:
	case LWS_CALLBACK_HTTP_BODY:
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
	case LWS_CALLBACK_HTTP_WRITEABLE:
	case LWS_CALLBACK_ESTABLISHED:
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_RAW_ADOPT:
	case LWS_CALLBACK_RAW_RX:
		return -1;
	default:
		return 0;
	}
}

static int
callback_bell(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	      void *in, size_t len)
{
	struct lwstp_bell *bell;
	struct lwstp_host *host;

	(void)user;
	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_WSI_CREATE:	/* a watch too: this is protocols[0] */
		newest = wsi;
		return 0;

	case LWS_CALLBACK_RAW_RX_FILE:
		lwstp_bell_answer(lws_get_opaque_user_data(wsi));
		return 0;

	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		host = host_of(wsi);
		if (host && lws_get_tsi(wsi) < host->bells)
			lwstp_bell_answer(&host->bell[lws_get_tsi(wsi)]);
		return 0;

	case LWS_CALLBACK_RAW_CLOSE_FILE:
		bell = lws_get_opaque_user_data(wsi);
		atomic_store(&bell->adopted, false);
		return 0;

	default:
		return refuse_connections(reason);
	}
}

static int
callback_watch(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	       void *in, size_t len)
{
	(void)user;
	(void)in;
	(void)len;

	if (reason != LWS_CALLBACK_RAW_CLOSE_FILE)
		return refuse_connections(reason);
	/* it has no parent any more: we kept who it was */
	lwstp_binding_close(lws_get_opaque_user_data(wsi), wsi,
			    LWSTP_CLOSE_SEEN);

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "lws-threadpool-bell", .callback = callback_bell },
	{ .name = "lws-threadpool-watch", .callback = callback_watch },
	{ .name = NULL },
};

/* Builds with plugins put every plugin on a vhost that asks for nothing. */
static const struct lws_protocol_vhost_options pvo_watch = {
	NULL, NULL, "lws-threadpool-watch", ""
}, pvo_bell = {
	&pvo_watch, NULL, "lws-threadpool-bell", ""
};

/* from the vhost's finalize, which comes whatever way it goes */
static void
vhost_gone(struct lws_vhost *vhost, void *arg)
{
	struct lwstp_host *host = arg;

	(void)vhost;
	if (opening)
		return;	/* it was not made: lws_create_vhost() says so */
	host->vhost = NULL;
	lwstp_host_gone(host);
	lws_state_reg_deregister(&host->notify);
	lwstp_host_put(host);
}

/*
 * Adoption
 */

/* Gives lws a duplicate of fd as a raw file: NULL if that was not possible, and
 * then the duplicate is closed.  An adoption that fails late (*whole is false)
 * leaves a wsi behind that owns the fd: as a watch it works all the same. */
static struct lws *
adopt(struct lwstp_host *host, int fd, const char *protocol,
      struct lws *parent, void *opaque, bool *whole)
{
	struct lws *before = parent ? lws_get_child(parent) : NULL, *made;
	lws_adopt_desc_t info;

	memset(&info, 0, sizeof(info));
	info.fd.filefd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (info.fd.filefd < 0)
		return NULL;

	newest = NULL;
	*whole = false;
	/* lws's tables are as long as the limit was when it started */
	if (info.fd.filefd < host->max_fd) {
		info.vh = host->vhost;
		info.type = LWS_ADOPT_RAW_FILE_DESC;
		info.vh_prot_name = protocol;
		info.parent = parent;
		info.opaque = opaque;
		*whole = lws_adopt_descriptor_vhost_via_info(&info);
	}
	made = parent ? lws_get_child(parent) : newest;
	if (made == before) {
		close(info.fd.filefd);
		return NULL;
	}

	return made;
}

/* A bell that lws cannot poll is no loss but of speed: lws_cancel_service()
 * reaches every service thread that a bell would.  Where the poll loop may be
 * the application's it is rung once, for us to learn whether it is heard. */
static void
adopt_bells(struct lwstp_host *host)
{
#if defined(LWSTP_HAVE_EVENTFD)
	bool whole;

	/* with several service threads lws chooses the thread of a wsi */
	if (host->bells > 1)
		return;
	if (!adopt(host, host->bell[0].fd, protocols[0].name, NULL,
		   &host->bell[0], &whole) || !whole)
		return;
	atomic_store_explicit(&host->bell[0].adopted, true,
			      memory_order_release);
#if defined(LWS_WITH_EXTERNAL_POLL)
	(void)eventfd_write(host->bell[0].fd, 1);
#endif
#else
	(void)host;
#endif
}

/* No first task on a wsi any more (W4) */
static bool
ending(const struct lwstp_host *host)
{
	return atomic_load(&host->dying) || !host->context ||
	       lwstp_context_ending(host->context);
}

static bool
vhost_make(struct lwstp_host *host)
{
	struct lws_context_creation_info info;

	if (ending(host))
		return false;
	if (host->vhost)
		return true;

	memset(&info, 0, sizeof(info));
	info.vhost_name = ":lws-threadpool";	/* in no Host header */
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.pvo = &pvo_bell;
	info.user = host;
	info.finalize = vhost_gone;
	info.finalize_arg = host;

	opening = true;
	host->vhost = lws_create_vhost(host->context, &info);
	opening = false;
	if (!host->vhost)
		return false;
	adopt_bells(host);

	return true;
}

/* From 4.3 on lws adopts with the lock of the context held, which the thread
 * that makes the vhost needs: so that one here is not waited for for ever. */
static bool
opening_begin(void)
{
	static const struct timespec pause = { 0, 1000000 };
	int ms;

	for (ms = 0; pthread_mutex_trylock(&opening_lock); ms++) {
		if (ms == LWSTP_OPENING_MS) {
			lwsl_err("lws_threadpool: the hidden vhost is still "
				 "being made by another service thread\n");
			return false;
		}
		nanosleep(&pause, NULL);
	}

	return true;
}

static bool
vhost_open(struct lwstp_host *host)
{
	bool open;

	if (opening)
		return false;
	if (host->bells > 1 && !opening_begin())
		return false;
	open = vhost_make(host);
	if (host->bells > 1)
		pthread_mutex_unlock(&opening_lock);
	if (!open && !ending(host))
		lwsl_err("lws_threadpool: the hidden vhost could not be "
			 "made\n");

	return open;
}

bool
lwstp_host_open(struct lwstp_host *host)
{
#if defined(LWSTP_LWS_CLOSE_HOOK)
	return !ending(host);
#else
	return vhost_open(host);
#endif
}

bool
lwstp_host_watch(struct lwstp_host *host, struct lwstp_binding *b)
{
	struct lws *child;
	bool whole;

#if defined(LWSTP_LWS_CLOSE_HOOK)
	if (lwstp_host_hooked(b->wsi))
		return true;
#endif
	if (!vhost_open(host))
		return false;
	child = adopt(host, host->idle_fd, protocols[1].name, b->wsi, b->wsi,
		      &whole);
	if (!child)
		return false;
	lwstp_lock_bindings();
	b->watch = child;
	lwstp_unlock_bindings();

	return true;
}
