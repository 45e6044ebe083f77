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
 * often are: so it is made by a timer on the first turn of the service loop, or
 * by the first enqueue of a task with a wsi.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

/* The state in which a context is certainly being destroyed.  Before 4.3 there
 * was one less, and only the destroy came to the last. */
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
#define LWSTP_SYSTATE_GONE LWS_SYSTATE_CONTEXT_DESTROYING
#else
#define LWSTP_SYSTATE_GONE LWS_SYSTATE_POLICY_INVALID
#endif

static const char * const bell_name = "lws-threadpool-bell";
static const char * const watch_name = "lws-threadpool-watch";

static struct lwstp_host *hosts, *forgotten;	/* lwstp_bindings_lock */

/* the latest wsi on a hidden vhost that this thread has made */
static _Thread_local struct lws *newest;

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
	case LWS_CALLBACK_WSI_CREATE:	/* of a watch too: we are protocols[0] */
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
	lwstp_binding_close(lws_get_opaque_user_data(wsi), wsi, false);

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
	struct lwstp_host *host = arg, **ph;
	struct lwstp_vhost *passing;
	int n;

	(void)vhost;

	pthread_mutex_lock(&lwstp_bindings_lock);
	host->dying = true;
	pthread_mutex_unlock(&lwstp_bindings_lock);
	lwstp_binding_close_all(host);

	for (n = 0; n < host->bells; n++) {
		lws_sul_cancel(&host->bell[n].rering);
		lws_sul_cancel(&host->bell[n].sweep);
	}
	lws_sul_cancel(&host->open);
#if defined(LWS_WITH_SYS_STATE)
	lws_state_reg_deregister(&host->notify);
#endif

	pthread_mutex_lock(&lwstp_bindings_lock);
	for (ph = &hosts; *ph; ph = &(*ph)->next)
		if (*ph == host) {
			*ph = host->next;
			break;
		}
	while ((passing = host->passing)) {
		host->passing = passing->next;
		free(passing);
	}
	host->context = NULL;
	host->vhost = NULL;
	pthread_mutex_unlock(&lwstp_bindings_lock);
	lwstp_host_put(host);
}

/*
 * Adoption
 */

/* Gives lws a duplicate of fd as a raw file: NULL if that was not possible, and
 * then the duplicate is closed.  An adoption that fails late leaves a wsi behind
 * that owns the fd, and as a watch it works all the same. */
static struct lws *
adopt(struct lwstp_host *host, int fd, const char *protocol,
      struct lws *parent, void *opaque, bool *whole)
{
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
	if (!newest)
		close(info.fd.filefd);

	return newest;
}

/* A bell that lws cannot poll is no loss but of speed: lws_cancel_service()
 * reaches every service thread. */
static void
adopt_bells(struct lwstp_host *host)
{
#if defined(LWSTP_HAVE_EVENTFD) && !defined(LWS_WITH_EXTERNAL_POLL)
	bool whole;

	/* with several service threads lws chooses the thread of a wsi */
	if (host->bells > 1)
		return;
	if (adopt(host, host->bell[0].fd, bell_name, NULL, &host->bell[0],
		  &whole) && whole)
		atomic_store_explicit(&host->bell[0].adopted, true,
				      memory_order_release);
#else
	(void)host;
#endif
}

bool
lwstp_host_open(struct lwstp_host *host)
{
	struct lws_context_creation_info info;

	if (host->vhost)
		return true;
	if (host->opening || host->dying || !host->context)
		return false;

	memset(&info, 0, sizeof(info));
	info.vhost_name = ":lws-threadpool";	/* in no Host header */
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.pvo = &pvo_bell;
	info.user = host;
	info.finalize = vhost_gone;
	info.finalize_arg = host;

	host->opening = true;
	host->vhost = lws_create_vhost(host->context, &info);
	host->opening = false;
	if (!host->vhost) {
		lwsl_err("lws_threadpool: the hidden vhost could not be "
			 "made\n");
		return false;
	}
	adopt_bells(host);

	return true;
}

static void
open_timer(lws_sorted_usec_list_t *sul)
{
	lwstp_host_open(lws_container_of(sul, struct lwstp_host, open));
}

/* the application passes the events of this vhost; lwstp_bindings_lock held */
static struct lwstp_vhost **
__passing(struct lwstp_host *host, const struct lws_vhost *vhost)
{
	struct lwstp_vhost **p = &host->passing;

	while (*p && (*p)->vhost != vhost)
		p = &(*p)->next;

	return p;
}

bool
lwstp_host_watch(struct lwstp_host *host, struct lwstp_binding *b)
{
	bool passing, whole;
	struct lws *child;

	pthread_mutex_lock(&lwstp_bindings_lock);
	passing = *__passing(host, lws_get_vhost(b->wsi));
	pthread_mutex_unlock(&lwstp_bindings_lock);
	if (passing)
		return true;

	child = adopt(host, host->idle_fd, watch_name, b->wsi, b->wsi, &whole);
	if (!child) {
		lwsl_err("lws_threadpool_enqueue: refused for wsi %p: no fd "
			 "to watch it with (limit %d)\n", (void *)b->wsi,
			 host->max_fd);
		return false;
	}
	pthread_mutex_lock(&lwstp_bindings_lock);
	b->watch = child;
	pthread_mutex_unlock(&lwstp_bindings_lock);

	return true;
}

/*
 * The host: one a context
 */

#if defined(LWS_WITH_SYS_STATE)
/* The context begins to be destroyed.  If it was never serviced there is no
 * vhost to be told by.  Then this is all: the host is forgotten, and its memory
 * is kept, since lws still has our notifier on its list. */
static int
state_changed(struct lws_state_manager *mgr, struct lws_state_notify_link *link,
	      int current, int target)
{
	struct lwstp_host *host = lws_container_of(link, struct lwstp_host,
						   notify), **ph;

	(void)mgr;
	(void)current;

	if (target != LWSTP_SYSTATE_GONE || host->dying)
		return 0;

	pthread_mutex_lock(&lwstp_bindings_lock);
	host->dying = true;
	if (!host->vhost) {
		for (ph = &hosts; *ph; ph = &(*ph)->next)
			if (*ph == host) {
				*ph = host->next;
				break;
			}
		host->context = NULL;
		host->forgotten = true;
		host->next = forgotten;
		forgotten = host;
	}
	pthread_mutex_unlock(&lwstp_bindings_lock);
	if (host->forgotten) {
		lws_sul_cancel(&host->open);
		lwstp_host_put(host);
	}

	return 0;
}
#endif

static int
make_fd(void)
{
#if defined(LWSTP_HAVE_EVENTFD)
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
#else
	int fds[2];

	/* the write end stays open, and unused: so the other is never ready */
	return pipe(fds) ? -1 : fds[0];
#endif
}

static void
host_free(struct lwstp_host *host)
{
	int n;

	for (n = 0; n < host->bells; n++)
		if (host->bell[n].fd >= 0)
			close(host->bell[n].fd);
	if (host->idle_fd >= 0)
		close(host->idle_fd);
	if (!host->forgotten)
		free(host);
}

static struct lwstp_host *
host_alloc(struct lws_context *context)
{
	int n, bells = lws_get_count_threads(context);
	struct lwstp_host *host;
	struct rlimit limit;
	bool ok;

	host = calloc(1, sizeof(*host) + (size_t)bells * sizeof(host->bell[0]));
	if (!host)
		return NULL;
	host->context = context;
	host->bells = bells;
	host->refs = 1;
	host->max_fd = INT_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < INT_MAX)
		host->max_fd = (int)limit.rlim_cur;

	host->idle_fd = make_fd();
	ok = host->idle_fd >= 0;
	for (n = 0; n < bells; n++) {
		host->bell[n].host = host;
		host->bell[n].tsi = n;
		host->bell[n].fd = make_fd();
		ok = ok && host->bell[n].fd >= 0;
	}
	if (ok)
		return host;
	host_free(host);

	return NULL;
}

/* With one reference for the caller.  Service thread of the context, or before
 * there is one; NULL without memory or fds. */
struct lwstp_host *
lwstp_host_get(struct lws_context *context)
{
	struct lwstp_host *host;

	pthread_mutex_lock(&lwstp_bindings_lock);
	for (host = hosts; host; host = host->next)
		if (host->context == context)
			break;
	if (host)
		host->refs++;
	pthread_mutex_unlock(&lwstp_bindings_lock);
	if (host)
		return host;

	host = host_alloc(context);
	if (!host)
		return NULL;
#if defined(LWS_WITH_SYS_STATE)
	host->notify.name = "lws-threadpool";
	host->notify.notify_cb = state_changed;
	lws_state_reg_notifier(lws_system_get_state_manager(context),
			       &host->notify);
#endif
	lws_sul_schedule(context, 0, &host->open, open_timer, 1);

	pthread_mutex_lock(&lwstp_bindings_lock);
	host->refs++;
	host->next = hosts;
	hosts = host;
	pthread_mutex_unlock(&lwstp_bindings_lock);

	return host;
}

void
lwstp_host_put(struct lwstp_host *host)
{
	bool last;

	pthread_mutex_lock(&lwstp_bindings_lock);
	last = !--host->refs;
	pthread_mutex_unlock(&lwstp_bindings_lock);
	if (last)
		host_free(host);
}

/*
 * The opt-in
 */

/* lwstp_bindings_lock held */
static void
__learn(struct lwstp_host *host, struct lws_vhost *vhost, bool passes)
{
	struct lwstp_vhost **p = __passing(host, vhost), *v = *p;

	if (passes && !v) {
		v = calloc(1, sizeof(*v));
		if (!v)
			return;		/* it keeps the watches, that is all */
		v->vhost = vhost;
		*p = v;
	} else if (!passes && v) {
		*p = v->next;
		free(v);
	}
}

int
lws_threadpool_wsi_event(struct lws *wsi, enum lws_callback_reasons reason)
{
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lwstp_host *host;

	if (!wsi)
		return 0;
	vhost = lws_get_vhost(wsi);
	context = lws_get_context(wsi);
	if (!vhost || !context)
		return 0;

	pthread_mutex_lock(&lwstp_bindings_lock);
	for (host = hosts; host; host = host->next)
		if (host->context == context)
			break;
	if (host)
		__learn(host, vhost, reason != LWS_CALLBACK_PROTOCOL_DESTROY);
	pthread_mutex_unlock(&lwstp_bindings_lock);
	if (!host)
		return 0;

	switch (reason) {
	case LWS_CALLBACK_WSI_DESTROY:
		lwstp_binding_close(wsi, NULL, true);
		break;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_RAW_CLOSE:
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		lwstp_binding_close(wsi, NULL, false);
		break;
	default:
		break;
	}

	return 0;
}
