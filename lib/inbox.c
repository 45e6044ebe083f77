/*
 * lws-threadpool - what one thread gives another
 *
 * SPDX-License-Identifier: MIT
 *
 * An inbox is a chain, the newest first, without a lock: many threads put in,
 * one takes all out and reverses them.  A thread that puts something into the
 * empty inbox of a service thread signals that: so a burst costs one signal
 * (S3).
 *
 * The signal is a write to an eventfd that lws polls; where it does not,
 * lws_cancel_service().
 */

#include <unistd.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

bool
lwstp_inbox_put(struct lwstp_inbox *inbox, struct lwstp_post *post)
{
	struct lwstp_post *newest = atomic_load(&inbox->newest);

	do
		post->next = newest;
	while (!atomic_compare_exchange_weak(&inbox->newest, &newest, post));

	return !newest;
}

struct lwstp_post *
lwstp_inbox_take(struct lwstp_inbox *inbox)
{
	struct lwstp_post *post, *next, *oldest = NULL;

	if (lwstp_inbox_empty(inbox))
		return NULL;
	for (post = atomic_exchange(&inbox->newest, NULL); post; post = next) {
		next = post->next;
		post->next = oldest;
		oldest = post;
	}

	return oldest;
}

/* Whether lws may have closed the pipe by which it is woken, which from 4.2 on
 * it does before it tells us of its end. */
static bool
pipe_closed(struct lws_context *lws)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 4002000
	return lws_context_is_being_destroyed(lws);
#else
	(void)lws;

	return false;
#endif
}

void
lwstp_signal(struct lwstp_service *service)
{
	struct lwstp_context *context = service->context;
	struct lws_context *lws;

#if defined(LWSTP_HAVE_EVENTFD)
	if (atomic_load_explicit(&service->adopted, memory_order_acquire)) {
		/* it fails only when it is full, and then it is readable */
		(void)eventfd_write(service->fd, 1);
		return;
	}
#endif
	/* The lock keeps the context alive meanwhile.  (A debug build of lws
	 * logs here, at LLL_DEBUG.) */
	lwstp_lock_context(context);
	lws = atomic_load(&context->lws);
	if (lws && !context->dying && !pipe_closed(lws))
		lws_cancel_service(lws);
	lwstp_unlock_context(context);
}

/*
 * Which thread is it?
 */

_Thread_local unsigned int lwstp_thread_number;

unsigned int
lwstp_thread_draw(void)
{
	static atomic_uint drawn;

	lwstp_thread_number = atomic_fetch_add(&drawn, 1) + 1;

	return lwstp_thread_number;
}
