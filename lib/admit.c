/*
 * lws-threadpool - whether a pool, and a wsi, take one more task
 *
 * SPDX-License-Identifier: MIT
 *
 * A pool accepts a task by one compare and swap of its word: no lock is taken,
 * unless the queue seems full.  What is known of a wsi is made with its first
 * task, or handle.
 */

#include <errno.h>
#include <limits.h>

#include "private.h"

/*
 * The pool
 */

/* P2: a task that a free thread is about to take does not count as waiting.  So
 * how many threads are free is looked at only if the queue seems full. */
static LWSTP_POOL_HELD int
__unclaimed(const struct lwstp_pool *pool)
{
	const struct lwstp_worker *w = atomic_load(&pool->workers);
	int busy = (int)pool->n_running + (int)pool->n_resumed, n;

	if (pool->pin_tasks)
		for (n = busy = 0; n < pool->indexes; n++)
			busy += w[n].task || w[n].cleaning || w[n].resumed;

	return pool->alive > busy ? pool->alive - busy : 0;
}

static bool
has_room(struct lwstp_pool *pool, uint32_t generation, uint32_t count)
{
	int depth = pool->max_queue_depth, unclaimed;
	uint32_t until;

	if (depth > INT_MAX - LWSTP_MAX_THREADS)
		depth = INT_MAX - LWSTP_MAX_THREADS;
	lwstp_lock(pool);
	__lwstp_drain(pool);
	/* those that are held back are not about to be taken (O1) */
	unclaimed = __unclaimed(pool);
	if (unclaimed && pool->keys)
		unclaimed = __lwstp_can_start(pool, unclaimed);
	until = (uint32_t)atomic_load(&pool->taken) + (uint32_t)depth;
	if (lwstp_generation(atomic_load(&pool->slot.word)) == generation)
		atomic_store(&pool->room_until, until);
	lwstp_unlock(pool);

	return (int32_t)(count - until) < unclaimed;
}

const struct lwstp_refusal *
lwstp_accept(struct lwstp_pool *pool, uint32_t generation, bool ask)
{
	static const struct lwstp_refusal
		stale = { LWSTP_REFUSED_STALE, LWS_TP_REFUSED_ARGS, LLL_ERR,
			  "it is gone" },
		finishing = { LWSTP_REFUSED_FINISHING, LWS_TP_REFUSED_FINISHING,
			      LLL_WARN, "the pool is finishing" },
		draining = { LWSTP_REFUSED_DRAINING, LWS_TP_REFUSED_DRAINING,
			     LLL_WARN, "the pool is draining" },
		full = { LWSTP_REFUSED_FULL, LWS_TP_REFUSED_QUEUE_FULL,
			 LLL_WARN, "max_queue_depth tasks wait" };
	uint64_t word = atomic_load(&pool->slot.word), to;
	uint32_t count;

	do {
		if (lwstp_generation(word) != generation)
			return &stale;
		if (word & LWSTP_POOL_FINISHING)
			return &finishing;
		if (word & LWSTP_POOL_DRAINING)
			return &draining;
		count = (uint32_t)(word & LWSTP_POOL_COUNT);
		if ((int32_t)(count -
			      atomic_load_explicit(&pool->room_until,
						   memory_order_relaxed)) >=
			    0 &&
		    !has_room(pool, generation, count))
			return &full;
		if (ask)
			return NULL;
		to = (word & ~LWSTP_POOL_COUNT) | (uint32_t)(count + 1);
	} while (!atomic_compare_exchange_weak(&pool->slot.word, &word, to));

	return NULL;
}

/*
 * The wsi
 */

/* The wsi of an http/2 connection itself: the application meets it only as it
 * ends, and then lws still says that a WRITEABLE will come.  No other wsi with
 * a socket of its own has tx credit (5.0 says -1 of a ws one). */
static bool
is_mux_connection(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) == wsi &&
	       (lws_wsi_tx_credit(wsi, LWSTXCR_PEER_TO_US, 0) > 0 ||
		lws_wsi_tx_credit(wsi, LWSTXCR_US_TO_PEER, 0) > 0);
}

/* W4: not one that is closing, nor one without a connection.  Nothing but a
 * request for WRITEABLE tells the latter: so one comes that nobody else asked
 * for. */
static LWSTP_ON_SERVICE const struct lwstp_refusal *
wsi_refusal(struct lwstp_service *service, struct lws *wsi)
{
	static const struct lwstp_refusal
		closing = { LWSTP_REFUSED_CLOSING, LWS_TP_REFUSED_CLOSING,
			    LLL_ERR, "the wsi is closing" },
		mux = { LWSTP_REFUSED_MUX, LWS_TP_REFUSED_NOT_CONNECTED,
			LLL_ERR,
			"the wsi is that of an http/2 connection, whose tasks "
			"belong to its streams" },
		unconnected = { LWSTP_REFUSED_UNCONNECTED,
				LWS_TP_REFUSED_NOT_CONNECTED, LLL_ERR,
				"the wsi is closing, or has no connection" };

	if (lwstp_wsi_is_closing(service, wsi) || lwstp_hook_closing(wsi))
		return &closing;
	if (is_mux_connection(wsi))
		return &mux;

	return lws_callback_on_writable(wsi) > 0 ? NULL : &unconnected;
}

const struct lwstp_refusal lwstp_no_memory = {
	LWSTP_REFUSED_MEMORY, LWS_TP_REFUSED_MEMORY, LLL_ERR, "out of memory"
};

/* what is known of the wsi from now on; NULL: *why */
static LWSTP_ON_SERVICE struct lwstp_wsi *
wsi_make(struct lwstp_service *service, struct lws *wsi,
	 const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal
		no_context = { LWSTP_REFUSED_NO_CONTEXT, LWS_TP_REFUSED_CONTEXT,
			       LLL_ERR,
			       "the context is being destroyed, or its hidden "
			       "vhost could not be made" },
		no_role = { LWSTP_REFUSED_NO_ROLE, LWS_TP_REFUSED_NOT_CONNECTED,
			    LLL_ERR,
			    "the wsi is no connection: it listens, is not one "
			    "yet, or is of a callback that is about none" };
	struct lwstp_context *context = service->context;
	struct lwstp_wsi *on;
	int error;

	/* first of all: in such a callback no vhost may be made */
	*why = &no_role;
	if (lwstp_wsi_is_no_connection(wsi))
		return NULL;
	*why = &no_context;
	if (!lwstp_watch_open(context))
		return NULL;
	*why = wsi_refusal(service, wsi);
	if (*why)
		return NULL;
	on = lwstp_wsi_new(service, wsi, NULL, lwstp_ask_wsi);
	if (!on) {
		*why = &lwstp_no_memory;
		return NULL;
	}
	if (lwstp_context_opted_in(context, lws_get_vhost(wsi)) ||
	    lwstp_watch(on, why)) {
		*why = NULL;
		lwstp_service_expect(service);
		return on;
	}
	error = errno;
	lwstp_wsi_free(on);
	errno = error;

	return NULL;
}

LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_hang_on(struct lwstp_pool *pool, uint32_t generation, struct lws *wsi,
	      const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal foreign = {
		LWSTP_REFUSED_FOREIGN, LWS_TP_REFUSED_CONTEXT, LLL_ERR,
		"the wsi is not of the pool's context, or that is gone"
	};
	struct lwstp_context *context = pool->context;
	struct lwstp_service *service;
	struct lwstp_wsi *on;

	*why = &foreign;
	if (lws_get_context(wsi) != atomic_load(&context->lws))
		return NULL;
	*why = NULL;
	service = &context->service[lws_get_tsi(wsi)];
	lwstp_service_note(service);
	on = lwstp_wsi_find(service, wsi);
	if (on && !on->closing && !lwstp_hook_closing(wsi))
		return on;

	/* or it would get a watch for a task that is refused afterwards */
	if (generation)
		*why = lwstp_accept(pool, generation, true);

	return *why ? NULL : wsi_make(service, wsi, why);
}
