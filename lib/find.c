/*
 * lws-threadpool - from a handle to what it names
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread, no lock.  What is found can end at any time, unless its caller
 * knows better.  To look at it is safe all the same, since no slot is ever
 * given back to the system, and its word tells.
 */

#include "private.h"

_Thread_local struct lwstp_worker *lwstp_this_worker;
_Thread_local struct lwstp_frame *lwstp_frame;

/* How many fork()s led to this process.  A pool from before that has its
 * threads in the parent, and its locks as a thread there left them. */
static unsigned int forks;

static void
forked(void)
{
	forks++;
	lwstp_this_worker = NULL; /* it was the parent's */
	lwstp_frame = NULL;
}

static void
watch_forks(void)
{
	pthread_atfork(NULL, NULL, forked);
}

unsigned int
lwstp_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);

	return forks;
}

static void
log_stale(const void *tp, const char *caller)
{
	lwstp_log(LLL_ERR, "%s: stale or unknown pool handle %p\n", caller, tp);
}

struct lwstp_pool *
lwstp_pool_find(struct lws_threadpool *tp, uint32_t *generation,
		const char *caller)
{
	struct lwstp_slot *slot;
	struct lwstp_pool *pool;

	slot = lwstp_handle_slot(LWSTP_POOLS, sizeof(*pool), tp, generation);
	pool = (struct lwstp_pool *)slot;
	if (!slot || !atomic_load(&pool->ready) ||
	    lwstp_generation(atomic_load(&slot->word)) != *generation) {
		log_stale(tp, caller);
		return NULL;
	}
	if (pool->fork != forks) {
		lwstp_log(LLL_ERR,
			  "%s: pool %p was made before fork(): its "
			  "threads are in the parent\n",
			  caller, (void *)tp);
		return NULL;
	}

	return pool;
}

/* clang does not see that its result tells whether it is locked */
LWSTP_UNCHECKED struct lwstp_pool *
lwstp_pool_lock(struct lws_threadpool *tp, const char *caller)
{
	uint32_t generation;
	struct lwstp_pool *pool = lwstp_pool_find(tp, &generation, caller);

	if (!pool)
		return NULL;
	lwstp_lock(pool);
	if (lwstp_generation(atomic_load(&pool->slot.word)) == generation)
		return pool;
	lwstp_unlock(pool);
	log_stale(tp, caller);

	return NULL;
}

struct lwstp_task *
lwstp_task_find(struct lws_threadpool_task *handle, uint64_t *word,
		const char *caller)
{
	struct lwstp_task *task;
	struct lwstp_slot *slot;
	uint32_t generation;

	slot = lwstp_handle_slot(LWSTP_TASKS, sizeof(struct lwstp_task), handle,
				 &generation);
	if (slot) {
		*word = atomic_load(&slot->word);
		task = (struct lwstp_task *)slot;
		if (lwstp_generation(*word) == generation &&
		    (*word & LWSTP_STATUS) != LWSTP_FREE &&
		    (!forks || atomic_load(&task->pool)->fork == forks))
			return task;
	}
	lwstp_log(LLL_INFO, "%s: stale or unknown task handle %p\n", caller,
		  (void *)handle);

	return NULL;
}
