/*
 * lws-threadpool - how a task gets into a pool, or why not
 *
 * SPDX-License-Identifier: MIT
 *
 * An enqueue takes a pool's intake_lock, and where there is a wsi then that of
 * the bindings, and pool->lock, which workers hold, only to wake one of them, or
 * with a full queue: what it adds is incoming, and joins the queued list when a
 * worker has run out of those, or when somebody needs the whole list.  Slots go round the other way: those of tasks that are
 * gone are freed under the pool's lock, and become stock to enqueue with when
 * what is incoming is admitted.
 *
 * What an enqueue refuses it says, at most once a second for each reason, and
 * `user` stays with the caller (T8, P2).
 */

#include <stdarg.h>
#include <string.h>

#include "private.h"

/*
 * Between enqueue and the workers
 */

/* slots that were freed are there to be enqueued with */
LWSTP_POOL_HELD LWSTP_INTAKE_HELD void
__lwstp_restock(struct lwstp_pool *pool)
{
	if (pool->freed)
		lwstp_slot_chain(&pool->stock, &pool->stock_tail, pool->freed,
				 pool->freed_tail);
	pool->freed = NULL;
}

/* what was enqueued lately joins the list that is worked on, all at once */
LWSTP_POOL_HELD void
__lwstp_admit(struct lwstp_pool *pool)
{
	if (!atomic_load(&pool->n_incoming))
		return;
	lwstp_lock_intake(pool);
	DL_CONCAT(pool->queued, pool->incoming);
	pool->incoming = NULL;
	__lwstp_restock(pool);
	atomic_fetch_add_explicit(&pool->n_queued,
				  atomic_exchange(&pool->n_incoming, 0),
				  memory_order_relaxed);
	lwstp_unlock_intake(pool);
}

static LWSTP_INTAKE_HELD struct lwstp_task *
__slot_get(struct lwstp_pool *pool)
{
	struct lwstp_slot *slot;

	if (!pool->stock) {
		slot = lwstp_slots_take(&lwstp_task_slots, LWSTP_STOCK);
		while (slot) {
			struct lwstp_slot *next = slot->next_free;
			struct lwstp_task *task = (struct lwstp_task *)slot;

			atomic_store_explicit(&task->pool, pool,
					      memory_order_release);
			lwstp_slot_chain(&pool->stock, &pool->stock_tail, slot,
					 slot);
			slot = next;
		}
		if (!pool->stock)
			return NULL;
	}
	slot = pool->stock;
	pool->stock = slot->next_free;

	return (struct lwstp_task *)slot;
}

/*
 * Refusals
 */

static const struct {
	int		level;
	const char	*text;
} refusals[LWSTP_REFUSALS] = {
	[LWSTP_ARGS_NULL] =	{ LLL_ERR, "args is NULL" },
	[LWSTP_TASK_NULL] =	{ LLL_ERR, "args->task is NULL" },
	[LWSTP_POOL_THREAD] =	{ LLL_ERR, "a task with a wsi or ss is for its "
				  "service thread to enqueue, not for a pool "
				  "thread" },
	[LWSTP_WSI_AND_SS] =	{ LLL_ERR, "args->wsi and args->ss are both "
				  "set" },
	[LWSTP_FINISHING] =	{ LLL_WARN, "the pool is finishing" },
	[LWSTP_DEPTH] =		{ LLL_WARN, "max_queue_depth tasks wait" },
	[LWSTP_OUT_OF_MEMORY] =	{ LLL_ERR, "out of memory" },
	[LWSTP_FOREIGN_WSI] =	{ LLL_ERR, "the wsi or ss is not of the pool's "
				  "context, or that is gone" },
	[LWSTP_NO_HOST] =	{ LLL_ERR, "the context is being destroyed, or "
				  "its hidden vhost could not be made" },
	[LWSTP_WSI_CLOSING] =	{ LLL_ERR, "the wsi is closing" },
	[LWSTP_WSI_UNCONNECTED] = { LLL_ERR, "the wsi is closing, or has no "
				  "connection" },
	[LWSTP_WSI_MUX] =	{ LLL_ERR, "the wsi is that of an http/2 "
				  "connection, whose tasks belong to its "
				  "streams" },
	[LWSTP_NO_WATCH] =	{ LLL_ERR, "no fd, or no room in lws, to watch "
				  "the wsi with" },
	[LWSTP_WRONG_THREAD] =	{ LLL_ERR, "another thread uses the wsi" },
	[LWSTP_SS_DESTROYING] =	{ LLL_ERR, "the secure stream is being "
				  "destroyed" },
	[LWSTP_SS_UNTOLD] =	{ LLL_ERR, "the application does not pass the "
				  "states of its secure streams to "
				  "lws_threadpool_ss_event()" },
	[LWSTP_SS_THREADS] =	{ LLL_ERR, "with several service threads, "
				  "that of a secure stream is not known" },
};

static enum lwstp_refusal
args_refusal(const struct lws_threadpool_task_args *args)
{
	if (!args)
		return LWSTP_ARGS_NULL;
	if (!args->task)
		return LWSTP_TASK_NULL;
	if (args->wsi && lwstp_args_ss(args))
		return LWSTP_WSI_AND_SS;
	if ((args->wsi || lwstp_args_ss(args)) && lwstp_this_worker)
		return LWSTP_POOL_THREAD;

	return LWSTP_ACCEPTED;
}

/* P2, if `unclaimed` threads are about to take a task: as many tasks do not
 * count as waiting.  Between two enqueues room only grows, so what was counted
 * once need not be counted again. */
static LWSTP_INTAKE_HELD enum lwstp_refusal
__pool_refusal(struct lwstp_pool *pool, int unclaimed)
{
	int64_t room;

	if (atomic_load_explicit(&pool->finishing, memory_order_relaxed))
		return LWSTP_FINISHING;
	if (pool->room > 0)
		return LWSTP_ACCEPTED;
	room = (int64_t)pool->max_queue_depth + unclaimed -
	       atomic_load(&pool->n_queued) - atomic_load(&pool->n_incoming);
	if (room <= 0)
		return LWSTP_DEPTH;
	/* a thread that is free now may not be so next time */
	pool->room = room > unclaimed ? (int)(room - unclaimed) : 1;

	return LWSTP_ACCEPTED;
}

static LWSTP_POOL_HELD int
__unclaimed(const struct lwstp_pool *pool)
{
	int n = pool->alive - (int)pool->n_running - (int)pool->n_resumed;

	return n > 0 ? n : 0;
}

/* P2: how many threads are free matters to a queue that is full without them,
 * and to no other.  The pool, with its intake_lock held, or NULL. */
static LWSTP_UNCHECKED struct lwstp_pool *
intake_lock(struct lws_threadpool *tp, enum lwstp_refusal *why)
{
	static const char * const me = "lws_threadpool_enqueue";
	struct lwstp_pool *pool = lwstp_pool_lock_intake(tp, me);

	if (!pool || *why)
		return pool;
	*why = __pool_refusal(pool, 0);
	if (*why != LWSTP_DEPTH)
		return pool;

	lwstp_unlock_intake(pool);
	pool = lwstp_pool_lock(tp, me);
	if (!pool)
		return NULL;
	lwstp_lock_intake(pool);
	*why = __pool_refusal(pool, __unclaimed(pool));
	lwstp_unlock_pool(pool);

	return pool;
}

/* P2: at most one line a second, for each reason and pool.  pool->intake_lock
 * held, and released. */
static LWSTP_UNLOCKS(lwstp_role_intake) void
refused_unlock(struct lwstp_pool *pool, enum lwstp_refusal why,
	       const struct lws_threadpool_task_args *args)
{
	lws_usec_t now = lwstp_now(), *logged = &pool->refusal_logged[why];
	struct lws_ss_handle *ss = args ? lwstp_args_ss(args) : NULL;
	unsigned int others = pool->refusals[why];
	int depth = pool->max_queue_depth;
	char name[LWSTP_POOL_NAME];
	bool log = !*logged || now - *logged >= LWS_US_PER_SEC;

	if (log) {
		*logged = now;
		pool->refusals[why] = 0;
		memcpy(name, pool->name, sizeof(name));
	} else
		pool->refusals[why]++;
	lwstp_unlock_intake(pool);

	if (log)
		_lws_log(refusals[why].level, "lws_threadpool_enqueue: pool %s "
			 "refuses a task: %s (%s %p, max_queue_depth %d; %u "
			 "more since the last such line)\n", name,
			 refusals[why].text, ss ? "ss" : "wsi",
			 ss ? (void *)ss : args ? (void *)args->wsi : NULL,
			 depth, others);
}

/*
 * Enqueue
 */

/* The binding to hang it on is there, and its lock held; NULL for none.  What
 * is of pool->lock else is nobody's but ours until the task is live. */
static LWSTP_INTAKE_HELD LWSTP_UNCHECKED struct lwstp_task *
__enqueue(struct lwstp_pool *pool, const struct lws_threadpool_task_args *args,
	  const char *name, struct lwstp_binding *b)
{
	struct lwstp_task *task = __slot_get(pool);

	if (!task)
		return NULL;
	task->task = args->task;
	task->cleanup = args->cleanup;
	task->user = args->user;
	task->binding = NULL;
	task->outlive = !b || args->async_task;
	task->since = lwstp_now();
	atomic_store_explicit(&task->stop, false, memory_order_relaxed);
	memcpy(task->name, name, strlen(name) + 1);
	task->status = LWS_TP_STATUS_QUEUED;
	if (b)
		__lwstp_binding_attach(b, task);
	DL_APPEND(pool->incoming, task);
	pool->room--;
	atomic_fetch_add(&pool->n_incoming, 1);
	atomic_store_explicit(&task->live, true, memory_order_release);

	return task;
}

/* the binding of what the task is for, if it can be used as it is */
static LWSTP_BINDINGS_HELD struct lwstp_binding *
__usable_binding(const struct lws_threadpool_task_args *args,
		 const struct lwstp_host *host)
{
	struct lwstp_binding *b;

	if (args->wsi)
		b = __lwstp_binding_find(args->wsi);
	else
		b = __lwstp_binding_find_ss(lwstp_args_ss(args));
	if (!b || b->closing || b->bell->host != host ||
	    (b->wsi && lwstp_host_closing(b->wsi)))
		return NULL;

	return b;
}

/* Locks the intake, and where there is a wsi lwstp_bindings_lock too with its
 * binding found or made.  false: refused, logged, and nothing is locked. */
static LWSTP_UNCHECKED bool
enqueue_lock(struct lws_threadpool *tp,
	     const struct lws_threadpool_task_args *args,
	     struct lwstp_pool **pool, struct lwstp_binding **b)
{
	enum lwstp_refusal why = args_refusal(args);
	struct lwstp_host *host;
	bool made = false;

	*b = NULL;
	while (1) {
		*pool = intake_lock(tp, &why);
		if (!*pool)
			return false;
		if (why) {
			refused_unlock(*pool, why, args);
			return false;
		}
		if (!args->wsi && !lwstp_args_ss(args))
			return true;

		host = (*pool)->host;
		lwstp_lock_bindings();
		*b = __usable_binding(args, host);
		if (*b)
			return true;
		atomic_fetch_add(&host->refs, 1);
		lwstp_unlock_bindings();
		lwstp_unlock_intake(*pool);

		/* again from the start: with its binding it is accepted, and
		 * with a reason refused */
		if (made)
			why = LWSTP_WRONG_THREAD;
		else if (args->wsi)
			why = lwstp_binding_make(host, args->wsi);
		else
			why = lwstp_ss_make(host, lwstp_args_ss(args));
		made = true;
		lwstp_host_put(host);
	}
}

static void
format_name(char *name, const char *format, va_list ap, const char *other)
{
	size_t n;

	if (format)
		n = lwstp_format(name, LWSTP_TASK_NAME, format, ap);
	else {
		if (!other)
			other = "task";
		n = strlen(other);
		lws_strncpy(name, other, LWSTP_TASK_NAME);
	}
	if (n >= LWSTP_TASK_NAME)
		lwstp_info("lws_threadpool_enqueue: a name of %lu bytes is cut "
			   "to %s\n", (unsigned long)n, name);
}

/* locked by enqueue_lock(), the bindings only where there is one */
LWSTP_UNCHECKED struct lws_threadpool_task *
lws_threadpool_enqueue(struct lws_threadpool *tp,
		       const struct lws_threadpool_task_args *args,
		       const char *format, ...)
{
	struct lws_threadpool_task *handle = NULL;
	struct lwstp_after after = { .ring = NULL };
	char name[LWSTP_TASK_NAME];
	struct lwstp_binding *b;
	struct lwstp_task *task;
	struct lwstp_pool *pool;
	va_list ap;

	va_start(ap, format);
	format_name(name, format, ap, args ? args->name : NULL);
	va_end(ap);

	if (!enqueue_lock(tp, args, &pool, &b))
		return NULL;
	task = __enqueue(pool, args, name, b);
	if (task)
		handle = lwstp_task_handle(task);
	if (b)
		lwstp_unlock_bindings();
	if (!task) {
		refused_unlock(pool, LWSTP_OUT_OF_MEMORY, args);
		return NULL;
	}
	lwstp_unlock_intake(pool);
	lwstp_wake_for_incoming(pool, &after);
	lwstp_after_do(&after);

	return handle;
}
