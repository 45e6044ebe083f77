/*
 * lws-threadpool - libwebsockets by its public API only
 *
 * SPDX-License-Identifier: MIT
 *
 * A hidden vhost of ours holds two kinds of raw file wsi: one for the service
 * thread, by which that is signalled, and a watch for each wsi that has had a
 * task.  The watch is a child of that wsi, with an fd that is never readable.
 * lws closes the children of a wsi before anything else of it, so
 * RAW_CLOSE_FILE on the watch is the first that anybody hears of a close (W1).
 *
 * The hidden vhost cannot be made inside a PROTOCOL_INIT callback, where pools
 * often are, and must not be the first of its context.  So a timer makes it in
 * the first turn of the service loop, if the context has its "default" vhost,
 * or the first enqueue of a task with a wsi does, as that has a vhost.  With
 * several service threads only such an enqueue does: lws runs timers with the
 * lock of their thread held, a new vhost needs the lock of the context, and a
 * thread that accepts takes these two in the other order.
 */

#include <errno.h>
#include <string.h>
#if defined(__linux__)
#include <sys/epoll.h>
#endif
#include <time.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

#define OPENING_MS 200

/* this thread makes a hidden vhost */
static _Thread_local bool opening;

/* who makes it, or says when: nothing of the user's runs then */
static pthread_mutex_t opening_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * The hidden vhost
 */

static struct lwstp_context *
context_of(struct lws *wsi)
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

/* lws_cancel_service() was called, or something was adopted, perhaps by the
 * application in a callback of its own.  It is a signal to us only where lws
 * does not poll our fd; a timer answers it, between two callbacks. */
static void
woken(struct lws *wsi)
{
	struct lwstp_context *context = context_of(wsi);
	int tsi = lws_get_tsi(wsi);

	lwstp_on_service();
	lwstp_note_no_connection(wsi);
	if (context && tsi < context->services &&
	    !atomic_load(&context->service[tsi].adopted))
		lwstp_service_answer_soon(&context->service[tsi]);
}

static int
callback_signal(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	struct lwstp_service *service;

	(void)user;
	(void)in;
	(void)len;

	lwstp_on_service();
	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		lwstp_note_no_connection(wsi);
		return 0;

	case LWS_CALLBACK_WSI_CREATE: /* a watch too: this is protocols[0] */
		lwstp_adopt_made(wsi);
		return 0;

	case LWS_CALLBACK_RAW_RX_FILE:
		lwstp_service_answer(lws_get_opaque_user_data(wsi));
		return 0;

	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		woken(wsi);
		return 0;

	case LWS_CALLBACK_RAW_CLOSE_FILE:
		service = lws_get_opaque_user_data(wsi);
		atomic_store(&service->adopted, false);
		return 0;

	default:
		return refuse_connections(reason);
	}
}

static int
callback_watch(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	       void *in, size_t len)
{
	struct lwstp_context *context;

	(void)user;
	(void)in;
	(void)len;

	if (reason != LWS_CALLBACK_RAW_CLOSE_FILE)
		return refuse_connections(reason);
	/* it has no parent any more: we kept who it was */
	lwstp_on_service();
	context = context_of(wsi);
	if (context)
		lwstp_wsi_close(&context->service[lws_get_tsi(wsi)],
				lws_get_opaque_user_data(wsi), wsi,
				LWSTP_CLOSE_SEEN);

	return 0;
}

#if defined(LWSTP_HANGUPS)
static int
callback_hangup(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	(void)user;
	(void)in;
	(void)len;

	if (reason != LWS_CALLBACK_RAW_RX_FILE)
		return refuse_connections(reason);
	lwstp_on_service();
	lwstp_hangup_heard(lws_get_opaque_user_data(wsi));

	return 0;
}
#endif

static const struct lws_protocols protocols[] = {
	{ .name = "lws-threadpool-signal", .callback = callback_signal },
	{ .name = "lws-threadpool-watch", .callback = callback_watch },
#if defined(LWSTP_HANGUPS)
	{ .name = "lws-threadpool-hangup", .callback = callback_hangup },
#endif
	{ .name = NULL },
};

/* Builds with plugins put every plugin on a vhost that asks for nothing. */
static const struct lws_protocol_vhost_options
	pvo_hangup = { NULL, NULL, "lws-threadpool-hangup", "" },
	pvo_watch = { &pvo_hangup, NULL, "lws-threadpool-watch", "" },
	pvo_signal = { &pvo_watch, NULL, "lws-threadpool-signal", "" };

/* from the vhost's finalize, which comes whatever way it goes */
static void
vhost_gone(struct lws_vhost *vhost, void *arg)
{
	struct lwstp_context *context = arg;

	(void)vhost;
	if (opening)
		return; /* it was not made: lws_create_vhost() says so */
	context->vhost = NULL;
	lwstp_context_gone(context);
	lwstp_context_forget_notifier(context);
	lwstp_context_put(context);
}

/*
 * It is made
 */

/* If lws cannot poll the fd, only speed is lost: lws_cancel_service() reaches
 * every service thread.  Where the poll loop may be the application's, the fd
 * is written to once, so that we learn whether that is heard. */
static LWSTP_ON_SERVICE void
adopt_signal(struct lwstp_context *context)
{
#if defined(LWSTP_HAVE_EVENTFD)
	struct lwstp_service *service = &context->service[0];
	const struct lwstp_refusal *why;

	if (service->fd < 0)
		return;
	lwstp_adopt(context, service->fd, protocols[0].name, NULL, service,
		    &why);
	if (why) {
		lwstp_log(LLL_WARN,
			  "lws_threadpool: SYNCs go by "
			  "lws_cancel_service(), which is slower: %s%s%s\n",
			  LWSTP_WHY(why));
		return;
	}
	atomic_store_explicit(&service->adopted, true, memory_order_release);
#if defined(LWS_WITH_EXTERNAL_POLL)
	(void)eventfd_write(service->fd, 1);
#endif
#else
	(void)context;
#endif
}

/* too late for a first task on a wsi (W4) */
static bool
ending(struct lwstp_context *context)
{
	struct lws_context *lws = atomic_load(&context->lws);

	return !lws || lwstp_context_dying(context) ||
	       lwstp_context_ending(lws);
}

static LWSTP_ON_SERVICE bool
vhost_make(struct lwstp_context *context)
{
	struct lws_context_creation_info info;
	int n;

	if (ending(context))
		return false;
	if (context->vhost)
		return true;

	memset(&info, 0, sizeof(info));
	info.vhost_name = ":lws-threadpool"; /* in no Host header */
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.pvo = &pvo_signal;
	info.user = context;
	info.finalize = vhost_gone;
	info.finalize_arg = context;
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
	/* or it would be lws's global one, whose uses are counted without a
	 * lock by all contexts */
	info.log_cx = lwsl_context_get_cx(atomic_load(&context->lws));
#endif

	opening = true;
	context->vhost = lws_create_vhost(atomic_load(&context->lws), &info);
	opening = false;
	if (!context->vhost)
		return false;
	adopt_signal(context);
	/* what was posted before could not be signalled */
	for (n = 0; n < context->services; n++)
		if (!lwstp_inbox_empty(&context->service[n].inbox))
			lwstp_signal(&context->service[n]);

	return true;
}

/* From 4.3 on lws adopts with the lock of the context held, which the thread
 * that makes the vhost needs: so this one must not wait for that for ever. */
static bool
opening_begin(void)
{
	static const struct timespec pause = { 0, 1000000 };
	int ms;

	for (ms = 0; pthread_mutex_trylock(&opening_lock); ms++) {
		if (ms == OPENING_MS) {
			lwstp_log(LLL_ERR,
				  "lws_threadpool: the hidden vhost "
				  "is still being made by another service "
				  "thread\n");
			return false;
		}
		nanosleep(&pause, NULL);
	}

	return true;
}

static LWSTP_ON_SERVICE bool
vhost_open(struct lwstp_context *context)
{
	bool open;

	if (opening)
		return false;
	if (context->services > 1 && !opening_begin())
		return false;
	open = vhost_make(context);
	if (context->services > 1)
		pthread_mutex_unlock(&opening_lock);
	if (!open && !ending(context))
		lwstp_log(LLL_ERR, "lws_threadpool: the hidden vhost could not "
				   "be made\n");

	return open;
}

LWSTP_ON_SERVICE bool
lwstp_watch_open(struct lwstp_context *context)
{
#if defined(LWSTP_LWS_CLOSE_HOOK)
	return !ending(context);
#else
	return vhost_open(context);
#endif
}

/* Not before the application's first vhost is there for certain, since lws
 * gives clients that name no vhost to a context's first one.  The one that lws
 * makes with the context, and names, is. */
static void
open_timer(lws_sorted_usec_list_t *sul)
{
	struct lwstp_context *context = lws_container_of(
		sul, struct lwstp_context, open);

	lwstp_on_service();
	if (lws_get_vhost_by_name(atomic_load(&context->lws), "default"))
		lwstp_watch_open(context);
}

void
lwstp_watch_open_later(struct lwstp_context *context)
{
	if (context->services > 1)
		return;
	/* two threads may make the first pools at a time, before it is
	 * serviced */
	pthread_mutex_lock(&opening_lock);
	if (!context->vhost && lws_dll2_is_detached(&context->open.list))
		lws_sul_schedule(atomic_load(&context->lws), 0, &context->open,
				 open_timer, 1);
	pthread_mutex_unlock(&opening_lock);
}

LWSTP_ON_SERVICE bool
lwstp_watch(struct lwstp_wsi *on, const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal no_vhost = {
		LWSTP_REFUSED_NO_WATCH, LWS_TP_REFUSED_FDS, LLL_ERR,
		"the hidden vhost could not be made"
	};
	struct lwstp_context *context = on->service->context;
	struct lws *child;

#if defined(LWSTP_LWS_CLOSE_HOOK)
	if (lwstp_hook_has(on->wsi))
		return true;
#endif
	*why = &no_vhost;
	if (!vhost_open(context))
		return false;
	child = lwstp_adopt(context, context->idle_fd, protocols[1].name,
			    on->wsi, on->wsi, why);
	if (child)
		on->watch = child;

	return child;
}

#if defined(LWSTP_HANGUPS)
static LWSTP_SELDOM LWSTP_ON_SERVICE bool
hangups_open(struct lwstp_context *context)
{
	static const struct lwstp_refusal
		no_epoll = { LWSTP_REFUSED_ERRNO, LWS_TP_REFUSED_FDS, LLL_WARN,
			     "epoll_create1()" },
		no_vhost = { LWSTP_REFUSED_NO_CONTEXT, LWS_TP_REFUSED_CONTEXT,
			     LLL_WARN, "there is no hidden vhost" };
	const struct lwstp_refusal *why = &no_epoll;
	struct lwstp_hangup *h = &context->hangup;

	h->fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->fd >= 0 && !context->vhost)
		why = &no_vhost;
	else if (h->fd >= 0)
		lwstp_adopt(context, h->fd, protocols[2].name, NULL, context,
			    &why);
	if (why)
		lwstp_log(LLL_WARN,
			  "lws_threadpool: hang-ups of http/1 peers "
			  "will be noticed late: %s%s%s\n",
			  LWSTP_WHY(why));

	return !why;
}
#endif

LWSTP_ON_SERVICE void
lwstp_watch_pending(struct lwstp_wsi *on)
{
#if defined(LWSTP_HANGUPS)
	struct lwstp_context *context;
	struct lwstp_hangup *h;

	if (on->hangup.never)
		return;
	context = on->service->context;
	h = &context->hangup;
	/* of the one service thread; and an epoll fd only where it is needed */
	if (context->services > 1 || h->failed || !lwstp_hangup_concerns(on))
		return;
	if (h->fd < 0)
		h->failed = !hangups_open(context);
	if (!h->failed)
		lwstp_hangup_pending(on);
#else
	(void)on;
#endif
}
