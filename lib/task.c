/*
 * lws-threadpool - a task's life, from enqueue to reap
 *
 * SPDX-License-Identifier: MIT
 *
 * The state machine: what ends, resumes, stops or releases a task.  (It is put
 * in by enqueue.c, and begins and parks in worker.c.)  Any thread.  A SYNC, its
 * answer and a status take no lock; the begin of a task, its end and its reap
 * take the pool's, which guards the lists.
 */

#include <stdio.h>
#include <string.h>

#include "private.h"

enum lws_threadpool_task_status
lwstp_task_told(const struct lwstp_task *task, uint64_t word)
{
	const struct lwstp_pool *pool = atomic_load(&task->pool);
	unsigned int status = lwstp_status(word);
	bool stop = (word & LWSTP_STOP) || atomic_load(&pool->finishing);

	/* S7: it will go on when its service thread is between callbacks */
	if (status == LWS_TP_STATUS_SYNCING &&
	    (word & (LWSTP_DETACHED | LWSTP_STOP)))
		status = LWS_TP_STATUS_RUNNING;
	if (status == LWS_TP_STATUS_RUNNING && stop)
		return LWS_TP_STATUS_STOPPING;

	return (enum lws_threadpool_task_status)status;
}

LWSTP_POOL_HELD void
__lwstp_drain(struct lwstp_pool *pool)
{
	struct lwstp_post *post = lwstp_inbox_take(&pool->inbox), *next;
	struct lwstp_task *task;
	struct lwstp_worker *w;
	uint64_t word;

	if (!post)
		return;
	for (; post; post = next) {
		next = post->next;
		task = lws_container_of(post, struct lwstp_task, put);
		word = atomic_load_explicit(&task->slot.word,
					    memory_order_relaxed);
		if (lwstp_status(word) == LWS_TP_STATUS_QUEUED) {
			DL_APPEND(pool->queued, task);
			pool->n_queued++;
			continue;
		}
		pool->n_resumed++;
		if (!pool->pin_tasks) {
			DL_APPEND(pool->resumed, task);
			continue;
		}
		w = &pool->workers[atomic_load_explicit(&task->worker,
							memory_order_relaxed)];
		DL_APPEND(w->resumed, task);
	}
	__lwstp_listed(pool);
}

/*
 * Names
 */

/* the one plain conversion of an int that the format has, or NULL */
static const char *
one_conversion(const char *percent)
{
	if (!percent[1] || !strchr("diux", percent[1]) ||
	    strchr(percent + 2, '%'))
		return NULL;

	return percent + 1;
}

void
lwstp_name_set(struct lwstp_name *name, const char *format, va_list ap,
	       const char *other)
{
	const char *text = format ? format : other ? other : "task",
		   *percent = format ? strchr(format, '%') : NULL,
		   *conversion = percent ? one_conversion(percent) : NULL;
	size_t len = strlen(text), room = sizeof(name->text);
	int n;

	name->conversion = 0;
	if (conversion && len + 10 < room) {
		name->conversion = *conversion;
		name->number = va_arg(ap, int);
	} else if (percent) {
		n = vsnprintf(name->text, room, format, ap);
		len = n < 0 ? 0 : (size_t)n;
		text = n < 0 ? "" : NULL;
	}
	if (text)
		memcpy(name->text, text, len < room ? len + 1 : room - 1);
	name->text[room - 1] = '\0';
	if (len >= room)
		lwstp_log(LLL_INFO, "lws_threadpool_enqueue: a name of %lu "
			  "bytes is cut to %s\n", (unsigned long)len,
			  name->text);
}

void
lwstp_name_write(const struct lwstp_name *name, char out[LWSTP_TASK_NAME])
{
	const char *percent = strchr(name->text, '%');
	char number[12];

	if (!name->conversion || !percent) {
		memcpy(out, name->text, LWSTP_TASK_NAME);
		return;
	}
	lws_snprintf(number, sizeof(number), name->conversion == 'u' ? "%u" :
					     name->conversion == 'x' ? "%x" :
								       "%d",
		     name->number);
	lws_snprintf(out, LWSTP_TASK_NAME, "%.*s%s%s",
		     (int)(percent - name->text), name->text, number,
		     percent + 2);
}

/*
 * The end
 */

void
lwstp_deferred_do(const struct lwstp_deferred *deferred, struct lws *wsi)
{
	if (deferred->signal)
		lwstp_signal(deferred->signal);
	if (deferred->cleanup)
		deferred->cleanup(wsi, deferred->user);
}

bool
lwstp_task_post(struct lwstp_task *task)
{
	return lwstp_inbox_put(&task->service->inbox, &task->post);
}

/* The handle is stale from now on, and only the cleanup is still to be called
 * (T7).  A slot that is posted is its service thread's to recycle.  False: its
 * word has changed, and *word is what it is now. */
static LWSTP_POOL_HELD bool
__release(struct lwstp_pool *pool, struct lwstp_task *task, uint64_t *word,
	  struct lwstp_deferred *deferred)
{
	deferred->cleanup = task->cleanup;
	deferred->user = task->user;
	/* before the swap: a posted slot may have another task after it */
	__lwstp_timer_remove(&pool->timers, &task->timer);
	if (!lwstp_swap(task, word, lwstp_slot_next(LWSTP_TASKS, *word) |
				    LWSTP_FREE | (*word & LWSTP_POSTED))) {
		deferred->cleanup = NULL;
		return false;
	}
	if (!(*word & LWSTP_POSTED))
		lwstp_slot_give(LWSTP_TASKS, &task->slot);

	return true;
}

LWSTP_POOL_HELD void
__lwstp_task_end(struct lwstp_pool *pool, struct lwstp_task *task,
		 enum lws_threadpool_task_status status,
		 struct lwstp_deferred *deferred)
{
	uint64_t word = atomic_load(&task->slot.word);

	atomic_store_explicit(&task->seen, false, memory_order_relaxed);
	do
		if ((word & LWSTP_DETACHED)) {
			if (__release(pool, task, &word, deferred))
				return;
			continue;
		}
	while ((word & LWSTP_DETACHED) ||
	       !lwstp_swap(task, &word, lwstp_with_status(word, status) |
					LWSTP_POSTED));

	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	DL_APPEND(pool->done, task);
	pool->n_done++;
	if (!(word & LWSTP_POSTED) && lwstp_task_post(task))
		deferred->signal = task->service;
}

/* takes a task, which has been drained from the inbox, off the queue */
static LWSTP_POOL_HELD void
__unqueue(struct lwstp_pool *pool, struct lwstp_task *task)
{
	DL_DELETE(pool->queued, task);
	pool->n_queued--;
	atomic_fetch_add(&pool->taken, 1);
	__lwstp_listed(pool);
}

LWSTP_POOL_HELD bool
__lwstp_stop_queued(struct lwstp_pool *pool, struct lwstp_deferred *deferred)
{
	struct lwstp_task *task = pool->queued;

	if (!task)
		return false;
	__unqueue(pool, task);
	__lwstp_task_end(pool, task, LWS_TP_STATUS_STOPPED, deferred);

	return true;
}

/* T4: true if it was queued still, and is STOPPED now */
static bool
stop_if_queued(struct lwstp_task *task, uint32_t generation)
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
	if (queued) {
		__unqueue(pool, task);
		__lwstp_task_end(pool, task, LWS_TP_STATUS_STOPPED, &deferred);
	}
	lwstp_unlock(pool);
	lwstp_deferred_do(&deferred, NULL);

	return queued;
}

bool
lwstp_task_reap(struct lwstp_task *task, uint64_t *word,
		struct lwstp_deferred *deferred)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	uint32_t generation = lwstp_generation(*word);
	bool mine;

	lwstp_lock(pool);
	if (lwstp_status(*word) == LWS_TP_STATUS_QUEUED)
		__lwstp_drain(pool);
	*word = atomic_load(&task->slot.word);
	mine = lwstp_generation(*word) == generation;
	if (mine && lwstp_status(*word) == LWS_TP_STATUS_QUEUED)
		__unqueue(pool, task);
	else if (mine && lwstp_is_done(*word)) {
		DL_DELETE(pool->done, task);
		pool->n_done--;
	} else
		mine = false;
	while (mine && !__release(pool, task, word, deferred))
		;
	lwstp_unlock(pool);

	return mine;
}

/*
 * SYNCING and after
 */

void
lwstp_task_go_on(struct lwstp_task *task)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	unsigned int worker = atomic_load_explicit(&task->worker,
						   memory_order_relaxed);
	struct lwstp_service *service = task->service;
	bool pinned = pool->pin_tasks;

	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	if (!atomic_load_explicit(&service->answered, memory_order_relaxed))
		atomic_store_explicit(&service->answered, true,
				      memory_order_relaxed);
	/* from here on it may end, and its pool and context too */
	lwstp_inbox_put(&pool->inbox, &task->put);
	if (pinned)
		lwstp_wake_worker(pool, worker);
	else
		lwstp_wake(pool);
}

bool
lwstp_task_resume(struct lwstp_task *task, uint64_t *word, uint64_t flags)
{
	uint64_t to = lwstp_with_status(*word, LWS_TP_STATUS_RUNNING) | flags;

	if (!lwstp_swap(task, word, to))
		return false;
	if ((to & ~*word & LWSTP_POSTED) && lwstp_task_post(task))
		lwstp_signal(task->service);
	lwstp_task_go_on(task);

	return true;
}

/* S7: its service thread does it, when it is between two callbacks */
static bool
stop_between(struct lwstp_task *task, uint64_t *word)
{
	uint64_t before = *word;

	if (before & (LWSTP_STOP | LWSTP_DETACHED))
		return true;		/* it goes on then anyway */
	if (!lwstp_swap(task, word, before | LWSTP_STOP | LWSTP_POSTED))
		return false;
	if (!(before & LWSTP_POSTED) && lwstp_task_post(task))
		lwstp_signal(task->service);

	return true;
}

/* at once; what hangs on its wsi is put right by its service thread */
static bool
resume_to_stop(struct lwstp_task *task, uint64_t *word)
{
	uint64_t flags = LWSTP_STOP;

	if (!(*word & LWSTP_DETACHED))
		flags |= LWSTP_POSTED;

	return lwstp_task_resume(task, word, flags);
}

void
lwstp_task_stop(struct lwstp_task *task, uint64_t word, bool between)
{
	uint32_t generation = lwstp_generation(word);

	while (lwstp_generation(word) == generation)
		switch (lwstp_status(word)) {
		case LWS_TP_STATUS_QUEUED:
			if (stop_if_queued(task, generation))
				return;
			word = atomic_load(&task->slot.word);
			break;
		case LWS_TP_STATUS_SYNCING:
			if (between ? stop_between(task, &word) :
				      resume_to_stop(task, &word))
				return;
			break;
		case LWS_TP_STATUS_RUNNING:
			if ((word & LWSTP_STOP) ||
			    lwstp_swap(task, &word, word | LWSTP_STOP))
				return;
			break;
		default:
			return;
		}
}
