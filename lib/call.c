/*
 * lws-threadpool - from any thread to the service thread (R1, R2)
 *
 * SPDX-License-Identifier: MIT
 *
 * Calls, and requests for a WRITEABLE, go into the inbox of the service thread.
 * A call goes in under the context's lock, so that it is either refused or
 * found by the end of the context.  The pool, or the wsi, may go meanwhile: so
 * they hold what is known of the context, and the fd by which it is signalled.
 */

#include <stdlib.h>

#include "private.h"

/* false: the context is ending */
static bool
post_call(struct lwstp_context *context, struct lwstp_service *service,
	  struct lwstp_call *c)
{
	bool open, first = false;

	lwstp_lock_context(context);
	open = atomic_load(&context->lws) && !context->dying;
	if (open)
		first = lwstp_inbox_put(&service->inbox, &c->post);
	lwstp_unlock_context(context);
	if (first)
		lwstp_signal(service);

	return open;
}

/* what is wrong with the arguments, which is logged */
static bool
call_wrong(const struct lwstp_context *context, int tsi,
	   lws_threadpool_call_t call)
{
	if (!call)
		lwstp_log(LLL_ERR, "lws_threadpool_call: call is NULL\n");
	else if (tsi < 0 || tsi >= context->services)
		lwstp_log(LLL_ERR,
			  "lws_threadpool_call: tsi is %d, and the "
			  "context has %d service threads\n",
			  tsi, context->services);
	else
		return false;

	return true;
}

static bool
make_call(struct lwstp_context *context, int tsi, lws_threadpool_call_t call,
	  void *arg)
{
	struct lwstp_call *c;

	if (call_wrong(context, tsi, call))
		return false;
	c = malloc(sizeof(*c));
	if (!c) {
		lwstp_log(LLL_ERR, "lws_threadpool_call: out of memory\n");
		return false;
	}
	c->post.look = lwstp_service_call;
	c->call = call;
	c->arg = arg;
	if (post_call(context, &context->service[tsi], c))
		return true;
	free(c);
	lwstp_log(LLL_INFO, "lws_threadpool_call: the context is ending\n");

	return false;
}

int
lws_threadpool_call(struct lws_threadpool *tp, int tsi,
		    lws_threadpool_call_t call, void *arg)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);
	struct lwstp_context *context;
	uint64_t word;
	bool made;

	if (!pool)
		return -1;
	context = pool->context;
	word = atomic_load(&pool->slot.word);
	lwstp_context_hold(context); /* the pool does, too */
	lwstp_unlock(pool);

	made = make_call(context, tsi, call, arg);
	lwstp_context_put(context);
	/* not in the figures of another pool that has its place by now */
	if (made && lwstp_generation(atomic_load(&pool->slot.word)) ==
			    lwstp_generation(word))
		atomic_fetch_add_explicit(&pool->n_calls, 1,
					  memory_order_relaxed);

	return made ? 0 : -1;
}

struct lws_threadpool_wsi *
lws_threadpool_wsi_handle(struct lws_threadpool *tp, struct lws *wsi)
{
	static const struct lwstp_refusal
		pool_thread = { LWSTP_REFUSED_POOL_THREAD,
				LWS_TP_REFUSED_WRONG_THREAD, LLL_ERR,
				"it is for the service thread of the wsi, not "
				"for a pool thread" },
		no_wsi = { LWSTP_REFUSED_ARGS, LWS_TP_REFUSED_ARGS, LLL_ERR,
			   "wsi is NULL" };
	const struct lwstp_refusal *why = &pool_thread;
	struct lws_threadpool_wsi *handle = NULL;
	struct lwstp_wsi *on = NULL;
	struct lwstp_pool *pool;
	uint32_t generation;

	lwstp_refused = LWS_TP_REFUSED_ARGS;
	pool = lwstp_pool_find(tp, &generation, __func__);
	if (!pool)
		return NULL;
	lwstp_on_service();
	if (!wsi)
		why = &no_wsi;
	else if (!lwstp_this_worker)
		on = lwstp_hang_on(pool, 0, wsi, &why);
	if (on) {
		why = &lwstp_no_memory;
		handle = lwstp_wsi_handle_get(on);
	}
	if (handle)
		lwstp_refused = LWS_TP_REFUSED_NONE;
	else
		lwstp_refuse(tp, __func__, "a handle", why, wsi, false);

	return handle;
}

/* false: it has closed meanwhile; else *word is what it was */
static bool
mark_wanted(struct lwstp_wsi_slot *h, uint64_t *word)
{
	uint32_t generation = lwstp_generation(*word);

	do
		if (lwstp_generation(*word) != generation)
			return false;
	while (!atomic_compare_exchange_weak(&h->slot.word, word,
					     *word | LWSTP_POSTED));

	return true;
}

int
lws_threadpool_wsi_writeable(struct lws_threadpool_wsi *handle)
{
	uint64_t word;
	struct lwstp_wsi_slot *h = lwstp_wsi_handle_find(handle, &word,
							 __func__);
	struct lwstp_service *service;
	bool marked;

	if (!h)
		return -1;
	service = atomic_load(&h->service);
	if (!lwstp_context_hold(service->context))
		return -1;
	marked = mark_wanted(h, &word);
	if (marked && !(word & LWSTP_POSTED) &&
	    lwstp_inbox_put(&service->inbox, &h->post))
		lwstp_signal(service);
	lwstp_context_put(service->context);

	return marked ? 0 : -1;
}

struct lws *
lws_threadpool_wsi_get(struct lws_threadpool_wsi *handle)
{
	uint64_t word;
	const struct lwstp_wsi_slot *h = lwstp_wsi_handle_find(handle, &word,
							       __func__);

	if (!h || lwstp_this_worker ||
	    !lwstp_service_is_this(atomic_load(&h->service)))
		return NULL;
	lwstp_on_service();

	return h->on ? h->on->wsi : NULL;
}
