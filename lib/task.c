/*
 * lws-threadpool - a task's life, from enqueue to reap
 *
 * SPDX-License-Identifier: MIT
 *
 * A task is QUEUED, then RUNNING, may alternate RUNNING and SYNCING, and ends
 * FINISHED or STOPPED (T1).  Every change of state is made here, under the
 * lock of the task's pool; the list of the pool that the task is on always
 * tells its state.  STOPPING is not stored: it is RUNNING with a stop
 * requested.  What has to follow a change without the lock (a ring, a wake, the
 * user's cleanup) is collected in a struct lwstp_after.
 */

#include <string.h>

#include "private.h"

/* Lists of the pool.  pool->lock held in all of these. */

static LWSTP_POOL_HELD void
__to_resumed(struct lwstp_pool *pool, struct lwstp_task *task,
	     struct lwstp_after *after)
{
	struct lwstp_worker *w;

	task->status = LWS_TP_STATUS_RUNNING;
	task->since = lwstp_now();
	pool->n_resumed++;
	if (pool->pin_tasks) {
		w = pool->workers[task->worker];
		DL_APPEND(w->resumed, task);
		__lwstp_wake_for(pool, w, after);
	} else {
		DL_APPEND(pool->resumed, task);
		__lwstp_wake_for(pool, NULL, after);
	}
}

static LWSTP_POOL_HELD void
__to_syncing(struct lwstp_pool *pool, struct lwstp_task *task, lws_usec_t now)
{
	task->status = LWS_TP_STATUS_SYNCING;
	task->since = now;
	DL_APPEND(pool->syncing, task);
	pool->n_syncing++;
}

static LWSTP_POOL_HELD void
__from_syncing(struct lwstp_pool *pool, struct lwstp_task *task)
{
	DL_DELETE(pool->syncing, task);
	pool->n_syncing--;
}

static LWSTP_POOL_HELD void
__from_queued(struct lwstp_pool *pool, struct lwstp_task *task)
{
	__lwstp_admit(pool);
	DL_DELETE(pool->queued, task);
	atomic_fetch_sub_explicit(&pool->n_queued, 1, memory_order_relaxed);
}

static LWSTP_POOL_HELD bool
__is_done(const struct lwstp_task *task)
{
	return task->status == LWS_TP_STATUS_FINISHED ||
	       task->status == LWS_TP_STATUS_STOPPED;
}

/* Slots.  pool->intake_lock held to get one, pool->lock to put it back. */

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

/* of a task that has been released: see __release() */
LWSTP_POOL_HELD void
__lwstp_task_put(struct lwstp_pool *pool, struct lwstp_task *task)
{
	if (lwstp_slot_renew(&task->slot))
		lwstp_slot_chain(&pool->freed, &pool->freed_tail, &task->slot,
				 &task->slot);
}

/*
 * Handles
 */

LWSTP_TRIES_POOL struct lwstp_task *
lwstp_task_lock(struct lws_threadpool_task *handle, struct lwstp_pool **pool,
		const char *caller)
{
	struct lwstp_task *task;
	struct lwstp_pool *p;
	uint32_t generation;

	/* The slot may move to another pool until its pool is locked: then it
	 * had been freed, and the handle is stale. */
	task = (struct lwstp_task *)lwstp_handle_slot(&lwstp_task_slots, handle,
				LWSTP_HANDLE_TASK, &generation);
	p = !task ? NULL : atomic_load_explicit(&task->pool,
						memory_order_acquire);
	if (p) {
		lwstp_lock_pool(p);
		if (atomic_load_explicit(&task->pool,
					 memory_order_relaxed) == p &&
		    atomic_load_explicit(&task->live, memory_order_acquire) &&
		    task->slot.generation == generation) {
			*pool = p;
			return task;
		}
		lwstp_unlock_pool(p);
	}
	lwstp_info("%s: there is no task %p (any more)\n", caller,
		   (void *)handle);

	return NULL;
}

struct lws_threadpool_task *
lwstp_task_handle(const struct lwstp_task *task)
{
	return task ? lwstp_handle(&task->slot, LWSTP_HANDLE_TASK) : NULL;
}

LWSTP_POOL_HELD bool
__lwstp_task_stopping(const struct lwstp_pool *pool,
		      const struct lwstp_task *task)
{
	return task->status == LWS_TP_STATUS_RUNNING &&
	       (atomic_load_explicit(&task->stop, memory_order_relaxed) ||
		atomic_load_explicit(&pool->finishing, memory_order_relaxed));
}

static LWSTP_POOL_HELD enum lws_threadpool_task_status
__status(const struct lwstp_pool *pool, const struct lwstp_task *task)
{
	return __lwstp_task_stopping(pool, task) ? LWS_TP_STATUS_STOPPING :
				(enum lws_threadpool_task_status)task->status;
}

/*
 * Enqueue
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
				  "has no memory for a vhost" },
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

/* P2, if `unclaimed` threads are about to take a task: those do not count as
 * waiting.  Tasks leave the queue all the time, so what had room once has it. */
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

/* The binding to hang it on is there, and its lock held; NULL for none.  What is
 * of pool->lock else is nobody's but ours until the task is live. */
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

		/* again from the start, to go on with it or to say why not */
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

/*
 * The end
 */

/* Takes an ended task, or one that never started and is on no list, out of
 * everything: the handle is stale from now on, and only its cleanup is still to
 * be called (T7).  pool->lock held. */
static LWSTP_POOL_HELD void
__release(struct lwstp_pool *pool, struct lwstp_task *task,
	  struct lwstp_after *after)
{
	after->cleanup = task->cleanup;
	after->user = task->user;
	if (task->binding)
		after->wsi = lwstp_binding_detach(task, after);
	atomic_store_explicit(&task->live, false, memory_order_relaxed);
	if (after->on_worker && after->cleanup)
		after->spent = task;
	else
		__lwstp_task_put(pool, task);
}

/* FINISHED is never said before the task is on the done list (Q1): both happen
 * under pool->lock, held. */
static LWSTP_POOL_HELD void
__end(struct lwstp_pool *pool, struct lwstp_task *task,
      enum lws_threadpool_task_status status, lws_usec_t now,
      struct lwstp_after *after)
{
	task->status = (uint8_t)status;
	task->since = now;
	if (!task->binding) {
		__release(pool, task, after);
		return;
	}
	DL_APPEND(pool->done, task);
	pool->n_done++;
	lwstp_bell_put(task, after);
}

/* a queued or done task: nothing runs it, and nothing will */
LWSTP_POOL_HELD void
__lwstp_task_reap(struct lwstp_pool *pool, struct lwstp_task *task,
		  struct lwstp_after *after)
{
	if (task->status == LWS_TP_STATUS_QUEUED)
		__from_queued(pool, task);
	else {
		DL_DELETE(pool->done, task);
		pool->n_done--;
	}
	__release(pool, task, after);
}

/* T4.  On a task that was asked already, or has ended, it does nothing. */
LWSTP_POOL_HELD void
__lwstp_task_stop(struct lwstp_pool *pool, struct lwstp_task *task,
		  struct lwstp_after *after)
{
	switch (task->status) {
	case LWS_TP_STATUS_QUEUED:
		__from_queued(pool, task);
		__end(pool, task, LWS_TP_STATUS_STOPPED, lwstp_now(), after);
		break;
	case LWS_TP_STATUS_SYNCING:
		atomic_store_explicit(&task->stop, true, memory_order_relaxed);
		__from_syncing(pool, task);
		if (task->binding)
			lwstp_binding_unwant(task, after);
		__to_resumed(pool, task, after);
		break;
	case LWS_TP_STATUS_RUNNING:
		atomic_store_explicit(&task->stop, true, memory_order_relaxed);
		break;
	default:
		break;
	}
}

/* What a task function returned, on its worker; `told` if it was called with
 * STOPPING.  True if it is to be called again at once.  pool->lock held. */
LWSTP_POOL_HELD bool
__lwstp_task_returned(struct lwstp_pool *pool, struct lwstp_task *task,
		      enum lws_threadpool_task_return ret, bool told,
		      lws_usec_t now, struct lwstp_after *after)
{
	if (ret == LWS_TP_RETURN_SYNC && !told) {
		if (__lwstp_task_stopping(pool, task) || !task->binding)
			return true;			/* T4, T5 */
		__to_syncing(pool, task, now);
		lwstp_bell_put(task, after);
	} else
		__end(pool, task, ret == LWS_TP_RETURN_FINISHED ?
					LWS_TP_STATUS_FINISHED :
					LWS_TP_STATUS_STOPPED, now, after);

	return false;
}

/*
 * The service thread's calls
 */

/* a call that could run cleanup, of a task that is its service thread's */
static LWSTP_POOL_HELD bool
__wrong_thread(const struct lwstp_task *task)
{
	return lwstp_this_worker && task->binding;
}

enum lws_threadpool_task_status
lws_threadpool_task_status(struct lws_threadpool_task *handle, void **user)
{
	enum lws_threadpool_task_status status;
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_pool *pool;
	struct lwstp_task *task;
	bool wrong = false;

	if (user)
		*user = NULL;
	task = lwstp_task_lock(handle, &pool, __func__);
	if (!task)
		return LWS_TP_STATUS_FINISHED;		/* Q6 */

	status = __status(pool, task);
	if (user)
		*user = task->user;
	if (__is_done(task)) {
		wrong = __wrong_thread(task);
		if (wrong)
			status = LWS_TP_STATUS_STOPPING;
		else
			__lwstp_task_reap(pool, task, &after);
	} else if (status == LWS_TP_STATUS_SYNCING && !lwstp_this_worker)
		lwstp_binding_look(task);
	lwstp_unlock_pool(pool);

	if (wrong)
		lwsl_err("%s: task %p has ended, but only its service thread "
			 "may reap it, not a pool thread\n", __func__,
			 (void *)handle);
	lwstp_after_do(&after);

	return status;
}

enum lws_threadpool_task_status
lws_threadpool_task_status_noreap(struct lws_threadpool_task *handle)
{
	enum lws_threadpool_task_status status;
	struct lwstp_pool *pool;
	struct lwstp_task *task = lwstp_task_lock(handle, &pool, __func__);

	if (!task)
		return LWS_TP_STATUS_FINISHED;
	status = __status(pool, task);
	if ((status == LWS_TP_STATUS_SYNCING || __is_done(task)) &&
	    !lwstp_this_worker)
		lwstp_binding_look(task);
	lwstp_unlock_pool(pool);

	return status;
}

void
lws_threadpool_task_sync(struct lws_threadpool_task *handle, int stop)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_pool *pool;
	struct lwstp_task *task = lwstp_task_lock(handle, &pool, __func__);
	struct lwstp_bell *bell = NULL;

	if (!task)
		return;
	if (stop)
		__lwstp_task_stop(pool, task, &after);
	else if (task->status == LWS_TP_STATUS_SYNCING) {	/* S4 */
		if (lwstp_bell_is_ours(task->binding->bell))
			bell = task->binding->bell;
		__from_syncing(pool, task);
		lwstp_binding_unwant(task, &after);
		__to_resumed(pool, task, &after);
	}
	lwstp_unlock_pool(pool);
	lwstp_after_do(&after);
	if (bell)
		lwstp_bell_look_again(bell);
}

/* Takes a task off its wsi, and ends it where it may be ended: 1 if it was only
 * asked to (Q4).  `closing`: lws began to close the wsi, so cleanup is not
 * given it any more, and a queued task that outlives it is left alone (W1, T5).
 * pool->lock held. */
static LWSTP_POOL_HELD int
__detach(struct lwstp_pool *pool, struct lwstp_task *task, bool closing,
	 struct lwstp_after *after)
{
	bool queued = task->status == LWS_TP_STATUS_QUEUED;

	if (task->binding) {
		closing = closing || lwstp_binding_closing(task);
		if (closing || !(queued || __is_done(task)))
			lwstp_binding_detach(task, after);
	}

	if (__is_done(task) || (queued && !(closing && task->outlive))) {
		__lwstp_task_reap(pool, task, after);
		return 0;
	}
	if (!task->outlive) {
		__lwstp_task_stop(pool, task, after);
		return 1;
	}
	if (task->status == LWS_TP_STATUS_SYNCING) {
		__from_syncing(pool, task);
		__to_resumed(pool, task, after);
	}

	return 0;
}

int
lws_threadpool_dequeue_task(struct lws_threadpool_task *handle)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_pool *pool;
	struct lwstp_task *task;
	bool wrong;
	int asked = 1;

	if (!handle)
		return 0;
	task = lwstp_task_lock(handle, &pool, __func__);
	if (!task)
		return 0;
	wrong = __wrong_thread(task);
	if (!wrong)
		asked = __detach(pool, task, false, &after);
	lwstp_unlock_pool(pool);

	if (wrong)
		lwsl_err("%s: task %p is for its service thread to dequeue, "
			 "not for a pool thread\n", __func__, (void *)handle);
	lwstp_after_do(&after);

	return asked;
}

void
lwstp_task_detach(struct lws_threadpool_task *handle)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_pool *pool;
	struct lwstp_task *task = lwstp_task_lock(handle, &pool, __func__);

	if (!task)
		return;
	__detach(pool, task, true, &after);
	lwstp_unlock_pool(pool);
	lwstp_after_do(&after);
}
