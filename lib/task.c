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
		after->wsi = __lwstp_binding_detach(task, after);
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
	__lwstp_bell_put(pool, task, after);
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
			__lwstp_binding_unwant(task, after);
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
		__lwstp_bell_put(pool, task, after);
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
	} else if (status == LWS_TP_STATUS_SYNCING)
		__lwstp_binding_look(task);
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
	if (status == LWS_TP_STATUS_SYNCING || __is_done(task))
		__lwstp_binding_look(task);
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
	int awake_us = 0;

	if (!task)
		return;
	if (stop)
		__lwstp_task_stop(pool, task, &after);
	else if (task->status == LWS_TP_STATUS_SYNCING) {	/* S4 */
		if (lwstp_bell_is_ours(task->binding->bell))
			bell = task->binding->bell;
		if (!pool->n_resumed && !pool->queued &&
		    !atomic_load(&pool->n_incoming))
			awake_us = pool->spin_us < LWSTP_AWAKE_US ?
					pool->spin_us : LWSTP_AWAKE_US;
		__from_syncing(pool, task);
		__lwstp_binding_unwant(task, &after);
		__to_resumed(pool, task, &after);
	}
	lwstp_unlock_pool(pool);
	lwstp_after_do(&after);
	if (bell)
		lwstp_bell_answered(bell, awake_us);
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
		closing = closing || __lwstp_binding_closing(task);
		if (closing || !(queued || __is_done(task)))
			__lwstp_binding_detach(task, after);
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
