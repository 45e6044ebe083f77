/*
 * lws-threadpool - a pool's end: drain, finish and destroy
 *
 * SPDX-License-Identifier: MIT
 *
 * drain() lets no new task in (P7), finish() asks everything to end and waits
 * for nothing (P3), destroy() waits for the threads, and reaps what is left
 * (P4).
 */

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "private.h"

#define DESTROY_WARN_SECS 5

/*
 * Finish
 */

/* Asks every SYNCING or parked task of the pool to stop, as lwstp_task_stop()
 * says.  Those that become so later see that the pool is finishing. */
static void
stop_waiting(const struct lwstp_pool *pool, bool between)
{
	uint32_t n, used = atomic_load(&lwstp_slots[LWSTP_TASKS].used);
	struct lwstp_task *task;
	uint64_t word;

	for (n = 0; n < used; n++) {
		task = lwstp_task_at(n);
		word = atomic_load(&task->slot.word);
		if ((lwstp_status(word) == LWS_TP_STATUS_SYNCING ||
		     (word & LWSTP_PARKED)) &&
		    atomic_load(&task->pool) == pool)
			lwstp_task_stop(task, word, between,
					LWS_TP_STOP_FINISH);
	}
}

/* False when none is left, or its cleanup destroyed the pool. */
static bool
stop_one_queued(struct lwstp_pool *pool, uint32_t generation)
{
	struct lwstp_deferred deferred = { .signal = NULL };
	bool stopped = false;

	lwstp_lock(pool);
	if (lwstp_generation(atomic_load(&pool->slot.word)) == generation) {
		__lwstp_drain(pool);
		stopped = __lwstp_stop_queued(pool, &deferred);
		if (!stopped)
			lwstp_wake_all(pool); /* they may leave */
	}
	lwstp_unlock(pool);
	lwstp_deferred_do(&deferred, NULL);

	return stopped;
}

/* Once a task has been asked, or is done, the pool and its context may go,
 * before its service thread is signalled: so the context is held meanwhile. */
void
lws_threadpool_finish(struct lws_threadpool *tp)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);
	struct lwstp_context *context;
	uint32_t generation;

	if (!pool)
		return;
	context = pool->context;
	lwstp_context_hold(context); /* the pool does, too */
	generation = lwstp_generation(atomic_fetch_or(&pool->slot.word,
						      LWSTP_POOL_FINISHING));
	atomic_store(&pool->finishing, true);
	lwstp_unlock(pool);

	stop_waiting(pool, true);
	while (stop_one_queued(pool, generation))
		;
	lwstp_context_put(context);
}

/*
 * Drain
 */

/* P7: what was ever accepted, less what was reaped */
static LWSTP_POOL_HELD int
__not_reaped(const struct lwstp_pool *pool)
{
	uint32_t accepted = (uint32_t)(atomic_load(&pool->slot.word) &
				       LWSTP_POOL_COUNT);

	return (int)(accepted - (uint32_t)atomic_load(&pool->taken) +
		     pool->n_started + pool->n_done +
		     atomic_load(&pool->n_cleaning));
}

int
lws_threadpool_drain(struct lws_threadpool *tp)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);
	int left;

	if (!pool)
		return 0;
	atomic_fetch_or(&pool->slot.word, LWSTP_POOL_DRAINING);
	left = __not_reaped(pool);
	lwstp_unlock(pool);

	return left;
}

/*
 * Destroy
 */

/* Nothing of it runs, or ever will, but its handle may still be tried. */
void
lwstp_pool_free(struct lwstp_pool *pool)
{
	uint64_t word;

	lwstp_lock(pool);
	pool->exists = false;
	word = atomic_load(&pool->slot.word);
	atomic_store(&pool->slot.word,
		     lwstp_slot_next(LWSTP_POOLS, word) | LWSTP_POOL_FINISHING);
	lwstp_unlock(pool);
	lwstp_slot_give(LWSTP_POOLS, &pool->slot);
}

/* the names of what still runs, for a warning */
static LWSTP_POOL_HELD void
__running_names(const struct lwstp_pool *pool, char *buf, size_t len)
{
	const struct lwstp_worker *w;
	const struct lwstp_task *task;
	char name[LWSTP_TASK_NAME];
	size_t used = 0;
	int n;

	*buf = '\0';
	for (n = 0; n < pool->indexes && used < len - 1; n++) {
		w = &pool->workers[n];
		task = __lwstp_runs(w);
		if (!task && !w->cleaning)
			continue;
		lwstp_name_write(task ? &task->name : &w->cleaned, name);
		used += (size_t)lws_snprintf(buf + used, len - used, "%s%s",
					     used ? ", " : "", name);
	}
}

/* P4: until every thread has left, with a warning that tells what they wait
 * for.  This may be the service thread, so SYNCING tasks go on without it
 * (S7). */
static void
wait_for_threads(struct lwstp_pool *pool)
{
	char names[512];
	struct timespec ts;
	int waited = 0, r = 0;

	lwstp_deadline(&ts, DESTROY_WARN_SECS * LWS_US_PER_SEC);
	lwstp_lock(pool);
	while (pool->alive) {
		lwstp_unlock(pool);
		stop_waiting(pool, false);
		lwstp_lock(pool);
		if (pool->alive)
			r = pthread_cond_timedwait(&pool->changed, &pool->lock,
						   &ts);
		if (!pool->alive || r != ETIMEDOUT)
			continue;
		waited += DESTROY_WARN_SECS;
		__running_names(pool, names, sizeof(names));
		lwstp_unlock(pool);
		lwstp_log(LLL_WARN,
			  "lws_threadpool_destroy: pool %s: waiting "
			  "for %d s for: %s\n",
			  pool->name, waited, *names ? names : "thread_end()");
		lwstp_deadline(&ts, DESTROY_WARN_SECS * LWS_US_PER_SEC);
		lwstp_lock(pool);
	}
	lwstp_unlock(pool);

	lwstp_threads_join(pool);
}

static bool
reap_one(struct lwstp_pool *pool)
{
	struct lwstp_deferred deferred = { .signal = NULL };
	struct lwstp_task *task;
	struct lwstp_wsi *on;
	struct lws *wsi;
	uint64_t word;

	lwstp_on_service(); /* or no service thread runs */
	lwstp_lock(pool);
	task = pool->done ? pool->done : pool->kept;
	lwstp_unlock(pool);
	if (!task)
		return false;
	on = task->on;
	wsi = on ? lwstp_unattach(task) : NULL;
	word = atomic_load(&task->slot.word);
	lwstp_task_reap(task, &word, &deferred);
	if (on)
		lwstp_ask_for_others(on);
	lwstp_deferred_do(&deferred, wsi);

	return true;
}

void
lws_threadpool_destroy(struct lws_threadpool *tp)
{
	struct lwstp_context *context;
	struct lwstp_pool *pool;
	bool twice;

	if (lwstp_this_worker) {
		lwstp_log(LLL_ERR,
			  "%s: refused: pool %p cannot be destroyed "
			  "from a pool thread\n",
			  __func__, (void *)tp);
		return;
	}
	pool = lwstp_pool_lock(tp, __func__);
	if (!pool)
		return;
	twice = atomic_exchange(&pool->destroying, true);
	lwstp_unlock(pool);
	if (twice) {
		lwstp_log(LLL_ERR,
			  "%s: refused: pool %p is being destroyed "
			  "already\n",
			  __func__, (void *)tp);
		return;
	}

	lws_threadpool_finish(tp);
	wait_for_threads(pool);
	while (reap_one(pool))
		;
	context = pool->context;
	lwstp_pool_free(pool);
	lwstp_context_put(context);
}
