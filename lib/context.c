/*
 * lws-threadpool - what is known of each lws_context
 *
 * SPDX-License-Identifier: MIT
 *
 * It is made with the first pool of an lws_context.  It lasts until both that
 * context and its last pool are destroyed, in either order (P4).  The structs
 * live on and are used again, so the list of them is read without a lock.  It
 * is changed under making_lock, which is taken before any other.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "private.h"

/* The state in which a context is certainly being destroyed.  Before 4.3 there
 * was one less, and only the destroy came to the last. */
#if LWS_LIBRARY_VERSION_NUMBER >= 4003000
#define SYSTATE_GONE LWS_SYSTATE_CONTEXT_DESTROYING
#else
#define SYSTATE_GONE LWS_SYSTATE_POLICY_INVALID
#endif

/* lws ignores a limit above this, and uses 2560 instead */
#define SILLY_FD_LIMIT 10000000
/* fds that the process's table has room for from the start: 8 bytes each */
#define FD_TABLE 65535

/* Ours, on a list of lws's.  If a context is destroyed without our hidden
 * vhost, it stays on that list until the context is freed: so we free it only
 * when another context has the same address. */
struct lwstp_notifier {
	lws_state_notify_link_t link;
	struct lwstp_context *context; /* NULL: forgotten */
	struct lws_context *lws;
	struct lwstp_notifier *next; /* making_lock: forgotten */
};

static struct lwstp_notifier *forgotten; /* making_lock */
static pthread_mutex_t making_lock = PTHREAD_MUTEX_INITIALIZER;

/*
 * Its end
 */

void
lwstp_context_gone(struct lwstp_context *context)
{
	int n;

	lwstp_on_service();
	lwstp_lock_context(context);
	context->dying = true;
	lwstp_unlock_context(context);
	for (n = 0; n < context->services; n++)
		context->service[n].ended = true;
	for (n = 0; n < context->services; n++) {
		lwstp_wsi_close_all(&context->service[n]);
		lwstp_service_end(&context->service[n]);
	}
	lws_sul_cancel(&context->open);
#if defined(LWSTP_HANGUPS)
	lwstp_hangup_close(context);
#endif

	lwstp_forget_no_connection(atomic_load(&context->lws));
	lwstp_lock_context(context);
	__lwstp_context_unlearn(context);
	atomic_store(&context->lws, NULL);
	lwstp_unlock_context(context);
}

void
lwstp_context_forget_notifier(struct lwstp_context *context)
{
	struct lwstp_notifier *notifier = context->notifier;

	if (!notifier)
		return;
	context->notifier = NULL;
	lws_state_reg_deregister(&notifier->link);
	free(notifier);
}

/* The context begins to be destroyed.  Without the hidden vhost, if it was
 * never serviced for instance, nothing else will tell us. */
static int
state_changed(struct lws_state_manager *mgr, struct lws_state_notify_link *link,
	      int current, int target)
{
	struct lwstp_notifier *notifier = lws_container_of(
		link, struct lwstp_notifier, link);
	struct lwstp_context *context = notifier->context;

	(void)mgr;
	(void)current;

	if (target != SYSTATE_GONE || !context)
		return 0;
	if (context->vhost) {
		lwstp_lock_context(context);
		context->dying = true;
		lwstp_unlock_context(context);
		return 0;
	}
	lwstp_context_gone(context);
	context->notifier = NULL;
	notifier->context = NULL;
	pthread_mutex_lock(&making_lock);
	notifier->next = forgotten;
	forgotten = notifier;
	pthread_mutex_unlock(&making_lock);
	lwstp_context_put(context);

	return 0;
}

/* a new context has the address of one that is gone; making_lock held */
static void
free_forgotten(const struct lws_context *lws)
{
	struct lwstp_notifier **p = &forgotten, *notifier;

	while ((notifier = *p))
		if (notifier->lws == lws) {
			*p = notifier->next;
			free(notifier);
		} else
			p = &notifier->next;
}

/* Its destruction has begun: lws might never end what is made from now on.
 * From 4.2 on lws closes every wsi before it changes its state. */
bool
lwstp_context_ending(struct lws_context *lws)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 4002000
	return lws_context_is_being_destroyed(lws);
#else
	return lws_system_get_state_manager(lws)->state == SYSTATE_GONE;
#endif
}

/*
 * It is made
 */

/* The kernel makes a process with threads wait for milliseconds when its table
 * of fds has to grow: so it grows now, before there are any of ours. */
static void
grow_fd_table(const struct lwstp_context *context)
{
	int high = context->max_fd - 1, fd;

	if (high > FD_TABLE)
		high = FD_TABLE;
	fd = fcntl(context->idle_fd, F_DUPFD_CLOEXEC, high);
	if (fd >= 0)
		close(fd);
}

/* nobody else has a reference */
static LWSTP_UNCHECKED void
release(struct lwstp_context *context)
{
	int n;

	for (n = 0; n < context->services; n++) {
		/* what was posted after the end: slots to recycle */
		lwstp_service_end(&context->service[n]);
		if (context->service[n].fd >= 0)
			close(context->service[n].fd);
	}
	if (context->idle_fd >= 0)
		close(context->idle_fd);
	free(context->notifier);
	context->notifier = NULL;
}

/* The last one goes under making_lock: from then on it may be used again. */
void
lwstp_context_put(struct lwstp_context *context)
{
	unsigned int refs = atomic_load(&context->refs);

	while (refs > 1)
		if (atomic_compare_exchange_weak(&context->refs, &refs,
						 refs - 1))
			return;
	pthread_mutex_lock(&making_lock);
	if (atomic_fetch_sub(&context->refs, 1) == 1)
		release(context);
	pthread_mutex_unlock(&making_lock);
}

bool
lwstp_context_hold(struct lwstp_context *context)
{
	unsigned int refs = atomic_load(&context->refs);

	do
		if (!refs)
			return false;
	while (!atomic_compare_exchange_weak(&context->refs, &refs, refs + 1));

	return true;
}

static struct lwstp_service *
new_services(int services)
{
	struct lwstp_service *service = calloc((size_t)services,
					       sizeof(*service));
	int n;

	for (n = 0; service && n < services; n++)
		if (pthread_mutex_init(&service[n].lock, NULL)) {
			while (n--)
				pthread_mutex_destroy(&service[n].lock);
			free(service);
			return NULL;
		}

	return service;
}

/* another one, with one reference; making_lock held */
static struct lwstp_context *
another(int services)
{
	struct lwstp_context *context = calloc(1, sizeof(*context));

	if (!context || pthread_mutex_init(&context->lock, NULL)) {
		free(context);
		return NULL;
	}
	context->service = new_services(services);
	if (!context->service) {
		pthread_mutex_destroy(&context->lock);
		free(context);
		return NULL;
	}
	context->services = services;
	atomic_store(&context->refs, 1);
	atomic_store(&context->next, atomic_load(&lwstp_contexts));
	atomic_store(&lwstp_contexts, context);

	return context;
}

/* one that is free, with one reference; making_lock held */
static LWSTP_UNCHECKED struct lwstp_context *
unused(int services)
{
	struct lwstp_context *context = atomic_load(&lwstp_contexts);

	for (; context; context = atomic_load(&context->next))
		if (!atomic_load(&context->refs) &&
		    context->services == services) {
			atomic_store(&context->refs, 1);
			context->dying = false;
			context->vhost = NULL;
			return context;
		}

	return another(services);
}

/* nobody serves it yet, but somebody may still look at the last one's */
static LWSTP_UNCHECKED void
service_init(struct lwstp_service *service, struct lwstp_context *context,
	     int tsi)
{
	service->context = context;
	service->tsi = tsi;
	service->fd = -1;
	atomic_store(&service->adopted, false);
	atomic_store(&service->looking, false);
	atomic_store(&service->answered, false);
	atomic_store(&service->thread, 0);
	service->looks_left = 0;
	service->is_signalled = service->heard = service->ended = false;
	service->clock_at = 0;
}

/* With several service threads lws chooses which of them polls an fd of ours:
 * so there is none to signal by. */
static void
make_services(struct lwstp_context *context, struct lwstp_failure *failure)
{
	int n;

	for (n = 0; n < context->services; n++)
		service_init(&context->service[n], context, n);
	if (context->services == 1)
		context->service->fd = lwstp_fd_signal(failure);
}

static bool
make_notifier(struct lwstp_context *context, struct lws_context *lws)
{
	struct lwstp_notifier *notifier = calloc(1, sizeof(*notifier));

	if (!notifier)
		return false;
	notifier->context = context;
	notifier->lws = lws;
	notifier->link.name = "lws-threadpool";
	notifier->link.notify_cb = state_changed;
	context->notifier = notifier;

	return true;
}

/* making_lock held, and nobody else has it */
static LWSTP_UNCHECKED struct lwstp_context *
make(struct lws_context *lws, struct lwstp_failure *failure)
{
	struct lwstp_context *context = unused(lws_get_count_threads(lws));
	struct rlimit limit;

	if (!context) {
		lwstp_failed(failure, "calloc()", ENOMEM);
		return NULL;
	}
#if defined(LWSTP_HANGUPS)
	memset(&context->hangup, 0, sizeof(context->hangup));
	context->hangup.fd = -1;
#endif
	context->max_fd = INT_MAX;
	/* as lws sizes its tables, at about the same time */
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		context->max_fd = limit.rlim_cur > SILLY_FD_LIMIT ?
					  2560 :
					  (int)limit.rlim_cur;
	context->idle_fd = lwstp_fd_idle(failure);
	make_services(context, failure);
	if (context->idle_fd < 0 || !make_notifier(context, lws)) {
		/* if it was none of the fds */
		lwstp_failed(failure, "calloc()", ENOMEM);
		release(context);
		return NULL;
	}
	grow_fd_table(context);
	free_forgotten(lws);
	lws_state_reg_notifier(lws_system_get_state_manager(lws),
			       &context->notifier->link);
	atomic_store(&context->lws, lws);

	return context;
}

struct lwstp_context *
lwstp_context_get(struct lws_context *lws, struct lwstp_failure *failure)
{
	struct lwstp_context *context;

	if (lwstp_context_ending(lws))
		return NULL;
	pthread_mutex_lock(&making_lock);
	context = lwstp_context_find(lws);
	if (!context)
		context = make(lws, failure); /* that reference is lws's */
	else if (lwstp_context_dying(context))
		context = NULL;
	if (context)
		atomic_fetch_add(&context->refs, 1);
	pthread_mutex_unlock(&making_lock);

	return context;
}

bool
lwstp_context_dying(struct lwstp_context *context)
{
	bool dying;

	lwstp_lock_context(context);
	dying = context->dying;
	lwstp_unlock_context(context);

	return dying;
}
