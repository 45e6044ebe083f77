/*
 * lws-threadpool - how a task goes on, or is asked to stop
 *
 * SPDX-License-Identifier: MIT
 *
 * From SYNCING or parked to RUNNING: any thread, without a lock.  A task that
 * has not begun is stopped with the pool's lock held.  A stop of a SYNCING task
 * waits until its service thread is between two callbacks (S7).
 */

#include "private.h"

static inline void
put_back(struct lwstp_task *task)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	unsigned int worker = atomic_load_explicit(&task->worker,
						   memory_order_relaxed);
	bool pinned = pool->pin_tasks;

	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	/* from here on it may end, and its pool and context too */
	lwstp_inbox_put(&pool->inbox, &task->put);
	if (pinned)
		lwstp_wake_worker(pool, worker);
	else
		lwstp_wake(pool);
}

void
lwstp_task_go_on(struct lwstp_task *task)
{
	struct lwstp_service *service = task->service;

	LWSTP_PROBE(resume, atomic_load(&task->pool), task,
		    atomic_load(&task->slot.word));
	if (!atomic_load_explicit(&service->answered, memory_order_relaxed))
		atomic_store_explicit(&service->answered, true,
				      memory_order_relaxed);
	put_back(task);
}

bool
lwstp_task_resume(struct lwstp_task *task, uint64_t *word, uint64_t flags)
{
	uint64_t to = lwstp_with_status(*word, LWS_TP_STATUS_RUNNING) | flags;
	struct lwstp_pool *pool = atomic_load(&task->pool);
	unsigned int counts = atomic_load_explicit(&task->sync_counts,
						   memory_order_relaxed);
	lws_usec_t at = atomic_load_explicit(&task->at, memory_order_relaxed);

	if (!lwstp_swap(task, word, to))
		return false;
	if (counts)
		lwstp_record(&pool->sync_us, lwstp_precise_now() - at, counts);
	if ((to & ~*word & LWSTP_POSTED) && lwstp_task_post(task))
		lwstp_signal(task->service);
	lwstp_task_go_on(task);

	return true;
}

/* S4, on any thread.  If other tasks of its wsi want attention it is posted, so
 * that WRITEABLE is asked for again for them (S6). */
void
lwstp_task_answer(struct lwstp_task *task, uint64_t word)
{
	uint64_t before = word, flags;

	while (lwstp_is_same_sync(word, before)) {
		flags = 0;
		if ((word & LWSTP_CROWDED) && !(word & LWSTP_DETACHED))
			flags = LWSTP_POSTED;
		if (lwstp_task_resume(task, &word, flags))
			return;
	}
}

bool
lwstp_task_unpark(struct lwstp_task *task, uint64_t *word, uint64_t to)
{
	if (!lwstp_swap(task, word, to & ~LWSTP_PARKED))
		return false;
	put_back(task);

	return true;
}

/* T4: true if it was queued still, and is STOPPED now */
static bool
stop_if_queued(struct lwstp_task *task, uint32_t generation,
	       enum lws_threadpool_stop why)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	struct lwstp_deferred deferred = { .signal = NULL };
	uint64_t word;
	bool queued;

	lwstp_lock(pool);
	__lwstp_drain(pool);
	word = atomic_load(&task->slot.word);
	queued = lwstp_generation(word) == generation &&
		 lwstp_status(word) == LWS_TP_STATUS_QUEUED;
	if (queued)
		__lwstp_stop_this(pool, task, why, &deferred);
	lwstp_unlock(pool);
	lwstp_deferred_do(&deferred, NULL);

	return queued;
}

/* S7: its service thread does it, when it is between two callbacks */
static bool
stop_between(struct lwstp_task *task, uint64_t *word,
	     enum lws_threadpool_stop why)
{
	uint64_t before = *word;

	if (lwstp_is_held(before))
		return true; /* it goes on then anyway */
	if (!lwstp_swap(task, word,
			lwstp_with_why(before, why) | LWSTP_STOP |
				LWSTP_POSTED))
		return false;
	if (!(before & LWSTP_POSTED) && lwstp_task_post(task))
		lwstp_signal(task->service);

	return true;
}

/* at once; what hangs on its wsi is put right by its service thread */
static bool
resume_to_stop(struct lwstp_task *task, uint64_t *word,
	       enum lws_threadpool_stop why)
{
	uint64_t flags = lwstp_with_why(*word, why) | LWSTP_STOP;

	if (!(*word & LWSTP_DETACHED))
		flags |= LWSTP_POSTED;

	return lwstp_task_resume(task, word, flags & ~LWSTP_STATUS);
}

static bool
stop_running(struct lwstp_task *task, uint64_t *word,
	     enum lws_threadpool_stop why)
{
	uint64_t to = lwstp_with_why(*word, why) | LWSTP_STOP;

	if (*word & LWSTP_STOP)
		return true;
	if (*word & LWSTP_PARKED)
		return lwstp_task_unpark(task, word, to);

	return lwstp_swap(task, word, to);
}

void
lwstp_task_stop(struct lwstp_task *task, uint64_t word, bool between,
		enum lws_threadpool_stop why)
{
	uint32_t generation = lwstp_generation(word);
	const struct lwstp_pool *pool = atomic_load(&task->pool);
	bool stopped = false;

	if (atomic_load(&pool->finishing))
		why = LWS_TP_STOP_FINISH;
	while (!stopped && lwstp_generation(word) == generation)
		switch (lwstp_status(word)) {
		case LWS_TP_STATUS_QUEUED:
			stopped = stop_if_queued(task, generation, why);
			word = atomic_load(&task->slot.word);
			break;
		case LWS_TP_STATUS_SYNCING:
			/* of one that waits no callback has the data, unless
			 * it lost its wsi in one (K4) */
			if (between &&
			    (!lwstp_is_waiting(word) || (word & LWSTP_POSTED)))
				stopped = stop_between(task, &word, why);
			else
				stopped = resume_to_stop(task, &word, why);
			break;
		case LWS_TP_STATUS_RUNNING:
			stopped = stop_running(task, &word, why);
			break;
		default:
			return;
		}
}
