/*
 * lws-threadpool - a task's life, from enqueue to reap
 *
 * SPDX-License-Identifier: MIT
 *
 * What a task is told to be, and how it ends and is released.  (It is put in by
 * enqueue.c, begins, gets SYNCING and parks in worker.c, and goes on or is
 * asked to stop in resume.c.)  Any thread.  The begin of a task, its end and
 * its reap take the pool's lock, which guards the lists.
 */

#include <stdlib.h>

#include "private.h"

enum lws_threadpool_task_status
lwstp_task_told(const struct lwstp_task *task, uint64_t word)
{
	const struct lwstp_pool *pool = atomic_load(&task->pool);
	unsigned int status = lwstp_status(word);
	bool stop = (word & LWSTP_STOP) || atomic_load(&pool->finishing);

	/* S7: it will go on when its service thread is between callbacks */
	if (lwstp_is_held(word))
		status = LWS_TP_STATUS_RUNNING;
	if (status == LWS_TP_STATUS_RUNNING && stop)
		return LWS_TP_STATUS_STOPPING;

	return (enum lws_threadpool_task_status)status;
}

enum lws_threadpool_stop
lwstp_task_why(const struct lwstp_task *task, uint64_t word)
{
	const struct lwstp_pool *pool = atomic_load(&task->pool);

	if (lwstp_status(word) == LWS_TP_STATUS_FINISHED)
		return LWS_TP_STOP_NONE;
	if (!lwstp_why(word) && !lwstp_is_done(word) &&
	    atomic_load(&pool->finishing))
		return LWS_TP_STOP_FINISH;

	return lwstp_why(word);
}

LWSTP_POOL_HELD void
__lwstp_drain(struct lwstp_pool *pool)
{
	struct lwstp_post *post = lwstp_inbox_take(&pool->inbox), *next;
	struct lwstp_task *task;
	uint64_t word;

	if (!post)
		return;
	for (; post; post = next) {
		next = post->next;
		task = lws_container_of(post, struct lwstp_task, put);
		word = atomic_load_explicit(&task->slot.word,
					    memory_order_relaxed);
		if (lwstp_status(word) != LWS_TP_STATUS_QUEUED) {
			pool->n_parked -= task->is_parked;
			task->is_parked = false;
			__lwstp_resumed(pool, task);
		} else {
			DL_APPEND(pool->queued, task);
			pool->n_queued++;
		}
	}
	__lwstp_listed(pool);
}

/*
 * The end
 */

static LWSTP_NONE_HELD void
clean_up(const struct lwstp_deferred *deferred, struct lws *wsi)
{
	struct lwstp_frame frame = { .outer = lwstp_frame,
				     .task = deferred->task,
				     .how = deferred->how,
				     .why = deferred->why };

	lwstp_frame = &frame;
	deferred->cleanup(wsi, deferred->user);
	lwstp_frame = frame.outer;
	atomic_fetch_sub(&deferred->pool->n_cleaning, 1);
}

void
lwstp_deferred_do(const struct lwstp_deferred *deferred, struct lws *wsi)
{
	struct lwstp_handler *handler = NULL;

	if (deferred->signal)
		lwstp_signal(deferred->signal);
	if (!deferred->cleanup)
		return;
	if (deferred->handled)
		handler = lwstp_in_handler(deferred->task);
	if (handler) {
		handler->after = *deferred;
		handler->after.signal = NULL;
	} else
		clean_up(deferred, wsi);
}

bool
lwstp_task_post(struct lwstp_task *task)
{
	return lwstp_inbox_put(&task->service->inbox, &task->post);
}

static LWSTP_POOL_HELD void
__count_end(struct lwstp_pool *pool, enum lws_threadpool_task_status how,
	    enum lws_threadpool_stop why)
{
	if (how == LWS_TP_STATUS_FINISHED) {
		pool->n_finished++;
		return;
	}
	pool->n_stopped++;
	pool->n_timed_out += why == LWS_TP_STOP_TIMEOUT ||
			     why == LWS_TP_STOP_QUEUE_MS ||
			     why == LWS_TP_STOP_LIFE_MS;
}

/* The handle is stale from now on, and only the cleanup is still to be called
 * (T7), of a task that ended as deferred->how and ->why say.  A slot that is
 * posted is its service thread's to recycle.  False: its word has changed, and
 * *word is what it is now. */
static LWSTP_POOL_HELD bool
__release(struct lwstp_pool *pool, struct lwstp_task *task, uint64_t *word,
	  struct lwstp_deferred *deferred)
{
	struct lwstp_extra *extra = task->extra;

	deferred->cleanup = task->cleanup;
	deferred->user = atomic_load_explicit(&task->user,
					      memory_order_relaxed);
	deferred->task = lwstp_task_handle(task, *word);
	/* before the swap: a posted slot may have another task after it */
	LWSTP_PROBE_ONCE(&deferred->probed, reap, pool, task, *word);
	__lwstp_timer_remove(&pool->timers, &task->timer);
	if (!lwstp_swap(task, word,
			lwstp_slot_next(LWSTP_TASKS, *word) | LWSTP_FREE |
				(*word & LWSTP_POSTED))) {
		deferred->cleanup = NULL;
		return false;
	}
	deferred->pool = pool;
	if (deferred->cleanup)
		atomic_fetch_add(&pool->n_cleaning, 1);
	if (extra) {
		deferred->handled = extra->handled;
		__lwstp_key_leave(pool, extra);
		__lwstp_token_drop(pool, extra);
		free(extra);
	}
	if (!(*word & LWSTP_POSTED))
		lwstp_slot_give(LWSTP_TASKS, &task->slot);

	return true;
}

/* K4: beyond max_kept the one that was kept longest goes */
static LWSTP_POOL_HELD void
__keep(struct lwstp_pool *pool, struct lwstp_task *task,
       struct lwstp_deferred *deferred)
{
	uint64_t word;

	DL_APPEND(pool->kept, task);
	pool->n_kept++;
	if (pool->keep_us)
		__lwstp_timer_by(&pool->timers, &task->timer,
				 lwstp_now() + pool->keep_us);
	__lwstp_keep_time(pool);
	if (pool->n_kept <= pool->max_kept)
		return;
	task = pool->kept;
	word = atomic_load(&task->slot.word);
	__lwstp_task_reap(pool, task, &word, deferred);
}

bool
lwstp_task_keep(struct lwstp_task *task, uint64_t *word,
		struct lwstp_deferred *deferred)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	bool kept = false;

	lwstp_lock(pool);
	if (pool->max_kept)
		kept = lwstp_swap(task, word,
				  *word | LWSTP_DETACHED | LWSTP_KEPT);
	if (kept) {
		/* from now on, though it may have ended long ago */
		atomic_store_explicit(&task->since, lwstp_now(),
				      memory_order_relaxed);
		DL_DELETE(pool->done, task);
		pool->n_done--;
		__keep(pool, task, deferred);
	}
	lwstp_unlock(pool);

	return kept;
}

/* what becomes of a task that ends; 0: it is released */
static LWSTP_POOL_HELD uint64_t
__ended_word(const struct lwstp_pool *pool, uint64_t word,
	     enum lws_threadpool_task_status status)
{
	uint64_t to = lwstp_with_status(word, status);

	if (!(word & LWSTP_DETACHED))
		return to | LWSTP_POSTED;
	if ((word & LWSTP_TOKEN) && pool->max_kept)
		return to | LWSTP_KEPT;
	if ((word & LWSTP_TOLD_END) && atomic_load(&pool->context->lws))
		return to | LWSTP_POSTED;

	return 0;
}

LWSTP_POOL_HELD void
__lwstp_task_end(struct lwstp_pool *pool, struct lwstp_task *task,
		 enum lws_threadpool_task_status status,
		 struct lwstp_deferred *deferred)
{
	uint64_t word = atomic_load(&task->slot.word), to;

	LWSTP_PROBE(end, pool, task, word);
	atomic_store_explicit(&task->seen, false, memory_order_relaxed);
	deferred->how = status;
	do {
		to = __ended_word(pool, word, status);
		if (status != LWS_TP_STATUS_STOPPED)
			continue;
		deferred->why = lwstp_task_why(task, word);
		if (to)
			to = lwstp_with_why(to, deferred->why);
	} while (!(to ? lwstp_swap(task, &word, to) :
			__release(pool, task, &word, deferred)));
	__count_end(pool, status, deferred->why);
	if (!to)
		return;

	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	if (task->extra)
		__lwstp_key_leave(pool, task->extra);
	if (to & LWSTP_KEPT) {
		__keep(pool, task, deferred);
		return;
	}
	DL_APPEND(pool->done, task);
	pool->n_done++;
	if (!(word & LWSTP_POSTED) && lwstp_task_post(task))
		deferred->signal = task->service;
}

LWSTP_POOL_HELD void
__lwstp_stop_this(struct lwstp_pool *pool, struct lwstp_task *task,
		  enum lws_threadpool_stop why, struct lwstp_deferred *deferred)
{
	uint64_t word = atomic_load(&task->slot.word);

	while (!lwstp_swap(task, &word, lwstp_with_why(word, why)))
		;
	__lwstp_unqueue(pool, task);
	__lwstp_task_end(pool, task, LWS_TP_STATUS_STOPPED, deferred);
}

LWSTP_POOL_HELD struct lwstp_task *
__lwstp_any_queued(const struct lwstp_pool *pool)
{
	if (pool->released)
		return pool->released;

	return pool->queued ? pool->queued : __lwstp_next_held(pool, NULL);
}

LWSTP_POOL_HELD bool
__lwstp_stop_queued(struct lwstp_pool *pool, struct lwstp_deferred *deferred)
{
	struct lwstp_task *task = __lwstp_any_queued(pool);

	if (!task)
		return false;
	__lwstp_stop_this(pool, task, LWS_TP_STOP_FINISH, deferred);

	return true;
}

LWSTP_POOL_HELD bool
__lwstp_task_reap(struct lwstp_pool *pool, struct lwstp_task *task,
		  uint64_t *word, struct lwstp_deferred *deferred)
{
	bool done = lwstp_is_done(*word);

	deferred->how = LWS_TP_STATUS_STOPPED;
	if (lwstp_status(*word) == LWS_TP_STATUS_FINISHED)
		deferred->how = LWS_TP_STATUS_FINISHED;
	else if (done)
		deferred->why = lwstp_why(*word);
	if (lwstp_status(*word) == LWS_TP_STATUS_QUEUED) {
		LWSTP_PROBE(end, pool, task, *word);
		__lwstp_unqueue(pool, task);
		__count_end(pool, deferred->how, deferred->why);
	} else if (done && (*word & LWSTP_KEPT)) {
		DL_DELETE(pool->kept, task);
		pool->n_kept--;
	} else if (done) {
		DL_DELETE(pool->done, task);
		pool->n_done--;
	} else
		return false;
	while (!__release(pool, task, word, deferred))
		;

	return true;
}

bool
lwstp_task_reap(struct lwstp_task *task, uint64_t *word,
		struct lwstp_deferred *deferred)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	uint32_t generation = lwstp_generation(*word);
	bool reaped;

	lwstp_lock(pool);
	if (lwstp_status(*word) == LWS_TP_STATUS_QUEUED)
		__lwstp_drain(pool);
	*word = atomic_load(&task->slot.word);
	reaped = lwstp_generation(*word) == generation &&
		 __lwstp_task_reap(pool, task, word, deferred);
	lwstp_unlock(pool);

	return reaped;
}

bool
lwstp_task_reap_kept(struct lwstp_task *task, uint64_t word,
		     struct lwstp_deferred *deferred)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	uint32_t generation = lwstp_generation(word);
	bool reaped;

	lwstp_lock(pool);
	word = atomic_load(&task->slot.word);
	reaped = lwstp_generation(word) == generation && (word & LWSTP_KEPT) &&
		 __lwstp_task_reap(pool, task, &word, deferred);
	lwstp_unlock(pool);

	return reaped;
}
