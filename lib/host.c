/*
 * lws-threadpool - what we know of each lws_context
 *
 * SPDX-License-Identifier: MIT
 *
 * A host is made with the first pool of a context.  It lasts until the context
 * is destroyed and the last pool of it too, whichever order that happens in
 * (P4).  How a close is seen, and how the service thread is reached, is the
 * work of host-companion.c and host-builtin.c.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#else
#include <sys/socket.h>
#endif

#include "private.h"

/* The state in which a context is certainly being destroyed.  Before 4.3 there
 * was one less, and only the destroy came to the last. */
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
#define LWSTP_SYSTATE_GONE LWS_SYSTATE_CONTEXT_DESTROYING
#else
#define LWSTP_SYSTATE_GONE LWS_SYSTATE_POLICY_INVALID
#endif

/* lws ignores a limit above this, and uses 2560 instead */
#define LWSTP_SILLY_FD_LIMIT 10000000
/* fds that the process's table has room for from the start: 8 bytes each */
#define LWSTP_FD_TABLE 65535

LWSTP_BY_BINDINGS static struct lwstp_host *hosts, *forgotten;

/* two service threads that make pools at a time make one host; taken before any
 * other lock */
static pthread_mutex_t making_lock = PTHREAD_MUTEX_INITIALIZER;

/* lwstp_bindings_lock held */
static LWSTP_BINDINGS_HELD struct lwstp_host *
__host_find(const struct lws_context *context)
{
	struct lwstp_host *host = hosts;

	while (host && host->context != context)
		host = host->next;

	return host;
}

struct lwstp_host *
lwstp_host_find(const struct lws_context *context)
{
	struct lwstp_host *host;

	lwstp_lock_bindings();
	host = __host_find(context);
	lwstp_unlock_bindings();

	return host;
}

/*
 * The end of a context
 */

/* On its last service thread, while lws can still take our timers back: nothing
 * of ours asks anything of the context after this. */
void
lwstp_host_gone(struct lwstp_host *host)
{
	struct lwstp_vhost *passing;
	struct lwstp_host **ph;
	int n;

	lwstp_lock_bindings();
	atomic_store(&host->dying, true);
	lwstp_unlock_bindings();
	lwstp_binding_close_all(host);

	for (n = 0; n < host->bells; n++)
		lwstp_bell_hush(&host->bell[n]);
	lws_sul_cancel(&host->open);

	lwstp_lock_bindings();
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
	lwstp_unlock_bindings();
}

/*
 * The host: one a context
 */

/* The context begins to be destroyed.  Without the hidden vhost, if it was
 * never serviced for instance, nothing else will tell us.  Then the host is
 * forgotten, and its memory is kept, since lws still has our notifier on its
 * list. */
static int
state_changed(struct lws_state_manager *mgr, struct lws_state_notify_link *link,
	      int current, int target)
{
	struct lwstp_host *host = lws_container_of(link, struct lwstp_host,
						   notify);

	(void)mgr;
	(void)current;

	if (target != LWSTP_SYSTATE_GONE || host->forgotten)
		return 0;

	if (host->vhost) {
		lwstp_lock_bindings();
		atomic_store(&host->dying, true);
		lwstp_unlock_bindings();
		return 0;
	}
	lwstp_host_gone(host);
	lwstp_lock_bindings();
	host->forgotten = true;
	host->next = forgotten;
	forgotten = host;
	lwstp_unlock_bindings();
	lwstp_host_put(host);

	return 0;
}

/* That nothing is to be read from, until a bell is rung */
static int
make_fd(void)
{
#if defined(LWSTP_HAVE_EVENTFD)
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
#else
	/* a socket that has no address, so nobody sends to it */
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);

	return fd;
#endif
}

/* The kernel makes a process with threads wait for milliseconds when its table
 * of fds has to grow: so it grows now, before there are any of ours. */
static void
grow_fd_table(const struct lwstp_host *host)
{
	int high = host->max_fd - 1, fd;

	if (high > LWSTP_FD_TABLE)
		high = LWSTP_FD_TABLE;
	fd = fcntl(host->idle_fd, F_DUPFD_CLOEXEC, high);
	if (fd >= 0)
		close(fd);
}

/* the last reference to it, and so nothing is locked */
static LWSTP_UNCHECKED void
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

/* nobody else knows of it yet, and so nothing is locked */
static LWSTP_UNCHECKED struct lwstp_host *
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
	atomic_init(&host->refs, 1);
	host->max_fd = INT_MAX;
	/* as lws sizes its tables, at about the same time */
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		host->max_fd = limit.rlim_cur > LWSTP_SILLY_FD_LIMIT ? 2560 :
						(int)limit.rlim_cur;

	host->idle_fd = make_fd();
	ok = host->idle_fd >= 0;
	for (n = 0; n < bells; n++) {
		host->bell[n].host = host;
		host->bell[n].tsi = n;
		host->bell[n].look_after = 1;
		host->bell[n].fd = make_fd();
		ok = ok && host->bell[n].fd >= 0;
	}
	if (ok) {
		grow_fd_table(host);
		return host;
	}
	host_free(host);

	return NULL;
}

/* Not before a vhost of the application's is there for certain, which is so for
 * the one that lws makes with the context and names: lws gives clients that name
 * no vhost to the first. */
static void
open_timer(lws_sorted_usec_list_t *sul)
{
	struct lwstp_host *host = lws_container_of(sul, struct lwstp_host,
						   open);

	if (lws_get_vhost_by_name(host->context, "default"))
		lwstp_host_open(host);
}

/* Its destruction has begun: what would be made now it might forget to end.
 * From 4.2 on lws closes every wsi before it changes its state. */
bool
lwstp_context_ending(struct lws_context *context)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 4002000
	return lws_context_is_being_destroyed(context);
#else
	return lws_system_get_state_manager(context)->state ==
							LWSTP_SYSTATE_GONE;
#endif
}

/* Any thread, lwstp_bindings_lock held: lws may have closed the pipe by which it
 * is woken, which from 4.2 on it does before it tells us of the end. */
LWSTP_BINDINGS_HELD bool
lwstp_host_deaf(const struct lwstp_host *host)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 4002000
	return lwstp_context_ending(host->context);
#else
	(void)host;

	return false;
#endif
}

/* With one reference for the caller.  making_lock held. */
static struct lwstp_host *
host_get(struct lws_context *context)
{
	struct lwstp_host *host;
	bool dying;

	lwstp_lock_bindings();
	host = __host_find(context);
	dying = host && atomic_load(&host->dying);
	if (host && !dying)
		atomic_fetch_add(&host->refs, 1);
	lwstp_unlock_bindings();
	if (host)
		return dying ? NULL : host;

	host = host_alloc(context);
	if (!host)
		return NULL;
	host->notify.name = "lws-threadpool";
	host->notify.notify_cb = state_changed;
	lws_state_reg_notifier(lws_system_get_state_manager(context),
			       &host->notify);
	if (host->bells == 1)
		lws_sul_schedule(context, 0, &host->open, open_timer, 1);

	lwstp_lock_bindings();
	atomic_fetch_add(&host->refs, 1);
	host->next = hosts;
	hosts = host;
	lwstp_unlock_bindings();

	return host;
}

/* A service thread of the context, or before there is one; NULL without memory
 * or fds, or if the context is ending. */
struct lwstp_host *
lwstp_host_get(struct lws_context *context)
{
	struct lwstp_host *host;

	if (lwstp_context_ending(context))
		return NULL;
	pthread_mutex_lock(&making_lock);
	host = host_get(context);
	pthread_mutex_unlock(&making_lock);

	return host;
}

void
lwstp_host_put(struct lwstp_host *host)
{
	if (atomic_fetch_sub(&host->refs, 1) == 1)
		host_free(host);
}

/*
 * The opt-in
 */

/* the application passes the events of this vhost; lwstp_bindings_lock held */
static LWSTP_BINDINGS_HELD struct lwstp_vhost **
__passing(struct lwstp_host *host, const struct lws_vhost *vhost)
{
	struct lwstp_vhost **p = &host->passing;

	while (*p && (*p)->vhost != vhost)
		p = &(*p)->next;

	return p;
}

/* lwstp_bindings_lock held */
static LWSTP_BINDINGS_HELD void
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

/* the application passes the events of this wsi's vhost: the opt-in */
bool
lwstp_host_told(struct lwstp_host *host, struct lws *wsi)
{
	bool told;

	lwstp_lock_bindings();
	told = *__passing(host, lws_get_vhost(wsi));
	lwstp_unlock_bindings();

	return told;
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

	lwstp_lock_bindings();
	host = __host_find(context);
	if (host)
		__learn(host, vhost, reason != LWS_CALLBACK_PROTOCOL_DESTROY);
	lwstp_unlock_bindings();
	if (!host)
		return 0;

	switch (reason) {
	case LWS_CALLBACK_WSI_DESTROY:
		lwstp_binding_close(wsi, NULL, LWSTP_CLOSE_GONE);
		break;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_RAW_CLOSE:
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		lwstp_binding_close(wsi, NULL, LWSTP_CLOSE_TOLD);
		break;
	default:
		break;
	}

	return 0;
}
