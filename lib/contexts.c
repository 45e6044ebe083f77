/*
 * lws-threadpool - from an address to what is known of it
 *
 * SPDX-License-Identifier: MIT
 *
 * The structs of contexts live on and are used again, so the list of them is
 * read without a lock.
 */

#include "private.h"

_Atomic(struct lwstp_context *) lwstp_contexts;

struct lwstp_context *
lwstp_context_find(const struct lws_context *lws)
{
	struct lwstp_context *context = atomic_load(&lwstp_contexts);

	while (context &&
	       atomic_load_explicit(&context->lws, memory_order_relaxed) != lws)
		context = atomic_load_explicit(&context->next,
					       memory_order_relaxed);

	return context;
}

struct lwstp_service *
lwstp_service_of(struct lws *wsi)
{
	struct lws_context *lws = wsi ? lws_get_context(wsi) : NULL;
	struct lwstp_context *context = lws ? lwstp_context_find(lws) : NULL;

	return context ? &context->service[lws_get_tsi(wsi)] : NULL;
}

/* With the lock: this thread may have given the context to another one, and not
 * be known to have.  A wsi of another thread has not the address of one of this
 * thread's, unless it is closing and may be gone. */
static LWSTP_ON_SERVICE struct lwstp_wsi *
find_in(struct lwstp_service *service, const void *key, bool is_own)
{
	struct lwstp_wsi *on;

	lwstp_lock_table(service);
	on = lwstp_wsi_find(service, key);
	if (on && on->closing && !is_own)
		on = NULL;
	lwstp_unlock_table(service);

	return on;
}

/* what those of its service threads that are this one know of the key */
static LWSTP_ON_SERVICE struct lwstp_wsi *
find_own(const struct lwstp_context *context, const void *key)
{
	struct lwstp_wsi *on = NULL;
	int n;

	if (!atomic_load_explicit(&context->lws, memory_order_acquire))
		return NULL;
	for (n = 0; n < context->services && !on; n++)
		if (lwstp_service_is_this(&context->service[n]))
			on = find_in(&context->service[n], key, true);

	return on;
}

static bool
is_served_here(const struct lwstp_context *context)
{
	int n;

	for (n = 0; n < context->services; n++)
		if (lwstp_service_is_this(&context->service[n]))
			return true;

	return false;
}

/* A thread that has just taken over a context is not known to have.  But only a
 * wsi's own service thread asks about it. */
static LWSTP_ON_SERVICE struct lwstp_wsi *
take_over(struct lwstp_context *context, const void *key)
{
	struct lwstp_wsi *on = NULL;
	int n;

	for (n = 0; n < context->services && !on; n++)
		on = find_in(&context->service[n], key, false);
	if (on)
		lwstp_service_note(on->service);

	return on;
}

/* Where it is the only one, a thread that serves another one now does not ask:
 * so it needs no lock. */
static bool
is_the_only_one(const struct lwstp_context *context)
{
	return context && context->services == 1 &&
	       !atomic_load_explicit(&context->next, memory_order_relaxed) &&
	       atomic_load_explicit(&context->lws, memory_order_acquire) &&
	       lwstp_service_is_this(context->service);
}

/* The address is looked up, and not followed, since the wsi may be gone: in
 * this thread's own tables, and then in those of contexts that it is not known
 * to serve. */
LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_find_here(const void *key)
{
	struct lwstp_context *first = atomic_load(&lwstp_contexts), *context;
	struct lwstp_wsi *on = NULL;

	if (is_the_only_one(first))
		return lwstp_wsi_find(first->service, key);
	for (context = first; context; context = atomic_load(&context->next)) {
		on = find_own(context, key);
		if (on)
			return on;
	}
	if (lwstp_this_worker)
		return NULL;
	for (context = first; context && !on;
	     context = atomic_load(&context->next))
		if (atomic_load_explicit(&context->lws, memory_order_acquire) &&
		    !is_served_here(context))
			on = take_over(context, key);

	return on;
}
