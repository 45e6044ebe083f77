/*
 * lws-threadpool - how a task gets into a pool, or why not
 *
 * SPDX-License-Identifier: MIT
 *
 * An enqueue takes no lock, unless the queue is full: one compare and swap of
 * the pool's word accepts the task, which then goes into the pool's inbox.
 * Only its service thread may enqueue a task with a wsi, and attaches it first.
 *
 * Why a task is refused is logged, at most once a second for each reason, and
 * `user` stays with the caller (T8, P2).
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>

#include "private.h"

/*
 * The pool
 */

static const struct lwstp_refusal *
args_refusal(const struct lws_threadpool_task_args *args)
{
	static const struct lwstp_refusal no_args = {
		LWSTP_REFUSED_ARGS, LLL_ERR, "args is NULL"
	}, no_task = {
		LWSTP_REFUSED_TASK, LLL_ERR, "args->task is NULL"
	}, both = {
		LWSTP_REFUSED_BOTH, LLL_ERR,
		"args->wsi and args->ss are both set"
	}, pool_thread = {
		LWSTP_REFUSED_POOL_THREAD, LLL_ERR,
		"a task with a wsi or ss is for its service thread to "
		"enqueue, not for a pool thread"
	};

	if (!args)
		return &no_args;
	if (!args->task)
		return &no_task;
	if (args->wsi && lwstp_args_ss(args))
		return &both;
	if ((args->wsi || lwstp_args_ss(args)) && lwstp_this_worker)
		return &pool_thread;

	return NULL;
}

/* P2: a task that a free thread is about to take does not count as waiting.  So
 * how many threads are free is looked at only if the queue seems full. */
static LWSTP_POOL_HELD int
__unclaimed(const struct lwstp_pool *pool)
{
	const struct lwstp_worker *w = atomic_load(&pool->workers);
	int busy = (int)pool->n_running + (int)pool->n_resumed, n;

	if (pool->pin_tasks)
		for (n = busy = 0; n < pool->threads; n++)
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
	unclaimed = __unclaimed(pool);
	until = atomic_load(&pool->taken) + (uint32_t)depth;
	if (lwstp_generation(atomic_load(&pool->slot.word)) == generation)
		atomic_store(&pool->room_until, until);
	lwstp_unlock(pool);

	return (int32_t)(count - until) < unclaimed;
}

/* NULL: the task is accepted, and will end whatever happens; or, with `ask`, it
 * would be. */
static const struct lwstp_refusal *
accept_task(struct lwstp_pool *pool, uint32_t generation, bool ask)
{
	static const struct lwstp_refusal stale = {
		LWSTP_REFUSED_STALE, LLL_ERR, "it is gone"
	}, finishing = {
		LWSTP_REFUSED_FINISHING, LLL_WARN, "the pool is finishing"
	}, full = {
		LWSTP_REFUSED_FULL, LLL_WARN, "max_queue_depth tasks wait"
	};
	uint64_t word = atomic_load(&pool->slot.word), to;
	uint32_t count;

	do {
		if (lwstp_generation(word) != generation)
			return &stale;
		if (word & LWSTP_POOL_FINISHING)
			return &finishing;
		count = (uint32_t)(word & LWSTP_POOL_COUNT);
		if ((int32_t)(count - atomic_load_explicit(&pool->room_until,
					memory_order_relaxed)) >= 0 &&
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
	static const struct lwstp_refusal closing = {
		LWSTP_REFUSED_CLOSING, LLL_ERR, "the wsi is closing"
	}, mux = {
		LWSTP_REFUSED_MUX, LLL_ERR,
		"the wsi is that of an http/2 connection, whose tasks belong "
		"to its streams"
	}, unconnected = {
		LWSTP_REFUSED_UNCONNECTED, LLL_ERR,
		"the wsi is closing, or has no connection"
	};

	if (lwstp_wsi_is_closing(service, wsi) || lwstp_hook_closing(wsi))
		return &closing;
	if (is_mux_connection(wsi))
		return &mux;

	return lws_callback_on_writable(wsi) > 0 ? NULL : &unconnected;
}

static const struct lwstp_refusal no_memory = {
	LWSTP_REFUSED_MEMORY, LLL_ERR, "out of memory"
};

/* what is known of the wsi from its first task on; NULL: *why */
static LWSTP_ON_SERVICE struct lwstp_wsi *
wsi_make(struct lwstp_service *service, struct lws *wsi,
	 const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal no_context = {
		LWSTP_REFUSED_NO_CONTEXT, LLL_ERR,
		"the context is being destroyed, or its hidden vhost could "
		"not be made"
	}, no_connection = {
		LWSTP_REFUSED_NO_ROLE, LLL_ERR,
		"the wsi is no connection: it listens, is not one yet, or is "
		"of a callback that is about none"
	};
	struct lwstp_context *context = service->context;
	struct lwstp_wsi *on;
	int error;

	/* first of all: in such a callback no vhost may be made */
	*why = &no_connection;
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
		*why = &no_memory;
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

/* what the task is to hang on; NULL: *why */
static LWSTP_ON_SERVICE struct lwstp_wsi *
hang_on(struct lwstp_pool *pool, uint32_t generation,
	const struct lws_threadpool_task_args *args,
	const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal foreign = {
		LWSTP_REFUSED_FOREIGN, LLL_ERR,
		"the wsi is not of the pool's context, or that is gone"
	};
	struct lwstp_context *context = pool->context;
	struct lwstp_service *service;
	struct lwstp_wsi *on;

#if defined(LWS_WITH_SECURE_STREAMS)
	if (args->ss) {
		*why = accept_task(pool, generation, true);
		return *why ? NULL : lwstp_ss_make(context, args->ss, why);
	}
#endif
	if (lws_get_context(args->wsi) != atomic_load(&context->lws)) {
		*why = &foreign;
		return NULL;
	}
	service = &context->service[lws_get_tsi(args->wsi)];
	lwstp_service_note(service);
	on = lwstp_wsi_find(service, args->wsi);
	if (on && !on->closing && !lwstp_hook_closing(args->wsi))
		return on;

	/* or it would get a watch for a task that is refused afterwards */
	*why = accept_task(pool, generation, true);

	return *why ? NULL : wsi_make(service, args->wsi, why);
}

/*
 * Refused
 */

/* P2: at most one line a second for each reason */
static void
refused(struct lws_threadpool *tp, const struct lwstp_refusal *why,
	const struct lws_threadpool_task_args *args)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, "lws_threadpool_enqueue");
	struct lws_ss_handle *ss = args ? lwstp_args_ss(args) : NULL;
	lws_usec_t now = lwstp_now();
	char name[LWSTP_POOL_NAME];
	int depth, error = errno;
	unsigned int others;
	bool said;

	if (!pool)
		return;
	if (now - pool->refused_since >= LWS_US_PER_SEC) {
		pool->refused_since = now;
		pool->refused_said = 0;
	}
	said = pool->refused_said & (1u << why->code);
	pool->refused_said |= 1u << why->code;
	others = pool->refused_unsaid;
	pool->refused_unsaid = said ? others + 1 : 0;
	depth = pool->max_queue_depth;
	memcpy(name, pool->name, sizeof(name));
	lwstp_unlock(pool);

	errno = error;
	if (!said)
		lwstp_log(why->level, "lws_threadpool_enqueue: pool %s "
			  "refuses a task: %s%s%s (%s %p, max_queue_depth %d; "
			  "%u more since the last such line)\n", name,
			  LWSTP_WHY(why),
			  ss ? "ss" : "wsi",
			  ss ? (void *)ss : args ? (void *)args->wsi : NULL,
			  depth, others);
}

/*
 * Enqueue
 */

/* accepted, and nobody else knows of it yet */
static LWSTP_ON_SERVICE struct lws_threadpool_task *
put_in(struct lwstp_pool *pool, struct lwstp_task *task,
       const struct lws_threadpool_task_args *args, struct lwstp_wsi *on)
{
	uint64_t word = atomic_load_explicit(&task->slot.word,
					     memory_order_relaxed);

	word = lwstp_with_status(word, LWS_TP_STATUS_QUEUED);
	if (!on)
		word |= LWSTP_DETACHED | LWSTP_OUTLIVE;
	else if (args->async_task)
		word |= LWSTP_OUTLIVE;
	atomic_store_explicit(&task->pool, pool, memory_order_relaxed);
	atomic_store_explicit(&task->user, args->user, memory_order_relaxed);
	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	task->task = args->task;
	task->cleanup = args->cleanup;
	if (on)
		lwstp_attach(on, task);
	atomic_store_explicit(&task->slot.word, word, memory_order_release);

	lwstp_inbox_put(&pool->inbox, &task->put);
	lwstp_wake(pool);
	if (on)
		lwstp_watch_pending(on);

	return lwstp_handle(LWSTP_TASKS, &task->slot, word);
}

static struct lws_threadpool_task *
enqueue(struct lws_threadpool *tp, const struct lws_threadpool_task_args *args,
	const char *format, va_list ap)
{
	const struct lwstp_refusal *why;
	struct lwstp_task *task = NULL;
	struct lwstp_wsi *on = NULL;
	struct lwstp_pool *pool;
	uint32_t generation;

	pool = lwstp_pool_find(tp, &generation, "lws_threadpool_enqueue");
	if (!pool)
		return NULL;
	lwstp_on_service();	/* where there is a wsi or ss */
	why = args_refusal(args);
	if (!why && (args->wsi || lwstp_args_ss(args)))
		on = hang_on(pool, generation, args, &why);
	if (!why) {
		task = (struct lwstp_task *)lwstp_slot_take(LWSTP_TASKS);
		why = task ? NULL : &no_memory;
	}
	if (!why) {
		lwstp_name_set(&task->name, format, ap, args->name);
		why = accept_task(pool, generation, false);
	}
	if (!why)
		return put_in(pool, task, args, on);

	if (task)
		lwstp_slot_give(LWSTP_TASKS, &task->slot);
	refused(tp, why, args);

	return NULL;
}

struct lws_threadpool_task *
lws_threadpool_enqueue(struct lws_threadpool *tp,
		       const struct lws_threadpool_task_args *args,
		       const char *format, ...)
{
	struct lws_threadpool_task *handle;
	va_list ap;

	va_start(ap, format);
	handle = enqueue(tp, args, format, ap);
	va_end(ap);

	return handle;
}
