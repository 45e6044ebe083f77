/*
 * lws-threadpool - find, finish and destroy a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * A pool is a slot (see handle.c) with its locks, its lists of tasks, and its
 * workers.  It is made in create.c.  finish() asks everything to end and waits
 * for nothing (P3); destroy() waits for the threads, and reaps what is left
 * (P4).
 */

#include <stdlib.h>
#include <time.h>

#include "private.h"

#if defined(CLOCK_MONOTONIC_COARSE)
#define LWSTP_CLOCK CLOCK_MONOTONIC_COARSE
#else
#define LWSTP_CLOCK CLOCK_MONOTONIC
#endif

static lws_usec_t
clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);

	return (lws_usec_t)ts.tv_sec * LWS_US_PER_SEC + ts.tv_nsec / 1000;
}

lws_usec_t
lwstp_now(void)
{
	return clock_us(LWSTP_CLOCK);
}

lws_usec_t
lwstp_precise_now(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

void
lwstp_deadline(struct timespec *ts, lws_usec_t us_from_now)
{
	lws_usec_t us;

	/* whoever sleeps that long looks again, and a time_t of 32 bits holds
	 * it */
	if (us_from_now > LWSTP_SLEEP_US)
		us_from_now = LWSTP_SLEEP_US;
	clock_gettime(CLOCK_MONOTONIC, ts);
	us = ts->tv_nsec / 1000 + (us_from_now > 0 ? us_from_now : 0);
	ts->tv_sec += (time_t)(us / LWS_US_PER_SEC);
	ts->tv_nsec = (long)(us % LWS_US_PER_SEC) * 1000;
}

/* what the locked part left to do */
LWSTP_NONE_HELD void
lwstp_after_do(struct lwstp_after *after)
{
	if (after->ring) {
		lwstp_bell_signal(after->ring);
		lwstp_host_put(after->ring->host);
	}
	if (after->wake)
		pthread_cond_signal(&after->wake->cond);
	if (after->cleanup)
		after->cleanup(after->wsi, after->user);
}

/* the slot that the handle names, or NULL: whether it is still that pool's is
 * known under one of its locks */
static struct lwstp_pool *
pool_slot(struct lws_threadpool *tp, uint32_t *generation)
{
	struct lwstp_pool *pool;

	pool = (struct lwstp_pool *)lwstp_handle_slot(&lwstp_pool_slots, tp,
					LWSTP_HANDLE_POOL, generation);
	if (!pool || !atomic_load_explicit(&pool->ready, memory_order_acquire))
		return NULL;

	return pool;
}

/* the pool, locked, or NULL if the handle is stale */
static LWSTP_TRIES_POOL struct lwstp_pool *
pool_lock(struct lws_threadpool *tp)
{
	uint32_t generation;
	struct lwstp_pool *pool = pool_slot(tp, &generation);

	if (pool) {
		lwstp_lock_pool(pool);
		if (pool->live && pool->slot.generation == generation)
			return pool;
		lwstp_unlock_pool(pool);
	}

	return NULL;
}

static void
log_stale(struct lws_threadpool *tp, const char *caller)
{
	lwsl_err("%s: there is no pool %p (any more)\n", caller, (void *)tp);
}

LWSTP_TRIES_POOL struct lwstp_pool *
lwstp_pool_lock(struct lws_threadpool *tp, const char *caller)
{
	struct lwstp_pool *pool = pool_lock(tp);

	if (!pool)
		log_stale(tp, caller);

	return pool;
}

LWSTP_TRIES(lwstp_role_intake) struct lwstp_pool *
lwstp_pool_lock_intake(struct lws_threadpool *tp, const char *caller)
{
	uint32_t generation;
	struct lwstp_pool *pool = pool_slot(tp, &generation);

	if (pool) {
		lwstp_lock_intake(pool);
		if (pool->live && pool->slot.generation == generation)
			return pool;
		lwstp_unlock_intake(pool);
	}
	log_stale(tp, caller);

	return NULL;
}

/*
 * Finish
 */

/* Stops one task that does not run, if there is one.  The tasks that run see
 * pool->finishing by themselves, as do those that wait to be resumed. */
static bool
stop_one(struct lws_threadpool *tp)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_pool *pool = pool_lock(tp);
	struct lwstp_task *task;

	if (!pool)
		return false;	/* the cleanup before this one destroyed it */
	task = pool->queued ? pool->queued : pool->syncing;
	if (task)
		__lwstp_task_stop(pool, task, &after);
	else
		__lwstp_wake_all(pool);		/* they may leave */
	lwstp_unlock_pool(pool);
	lwstp_after_do(&after);

	return task;
}

void
lws_threadpool_finish(struct lws_threadpool *tp)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);

	if (!pool)
		return;
	lwstp_lock_intake(pool);
	atomic_store_explicit(&pool->finishing, true, memory_order_relaxed);
	lwstp_unlock_intake(pool);
	__lwstp_admit(pool);	/* nothing is incoming from here on */
	lwstp_unlock_pool(pool);

	while (stop_one(tp))
		;
}

/*
 * Destroy
 */

/* the names of what still runs, for a warning; pool->lock held */
static LWSTP_POOL_HELD void
__running_names(const struct lwstp_pool *pool, char *buf, size_t len)
{
	size_t used = 0;
	int n;

	*buf = '\0';
	for (n = 0; n < pool->threads && used < len - 1; n++)
		if (pool->workers[n]->task)
			used += (size_t)lws_snprintf(buf + used, len - used,
					"%s%s", used ? ", " : "",
					pool->workers[n]->task->name);
}

/* P4: until every thread has left, and a warning that tells why not */
static void
wait_for_threads(struct lwstp_pool *pool)
{
	char names[512];
	struct timespec ts;
	int waited = 0, n;

	lwstp_lock_pool(pool);
	while (pool->alive) {
		lwstp_deadline(&ts, LWSTP_DESTROY_WARN_SECS * LWS_US_PER_SEC);
		while (pool->alive && !pthread_cond_timedwait(&pool->ended,
							&pool->lock, &ts))
			;
		if (!pool->alive)
			break;
		waited += LWSTP_DESTROY_WARN_SECS;
		__running_names(pool, names, sizeof(names));
		lwstp_unlock_pool(pool);
		lwsl_warn("lws_threadpool_destroy: pool %s: waiting for %d s "
			  "for: %s\n", pool->name, waited, names);
		lwstp_lock_pool(pool);
	}
	lwstp_unlock_pool(pool);

	for (n = 0; n < pool->threads; n++)
		pthread_join(pool->workers[n]->thread, NULL);
}

/* Gives the slots of the pool's tasks and workers back, and its own.  Nothing
 * of it runs, or ever will; but somebody may try its handle meanwhile. */
void
lwstp_pool_free(struct lwstp_pool *pool)
{
	struct lwstp_slot *slot, *stock;
	struct lwstp_worker **workers;
	int n, threads;
	bool again;

	lwstp_lock_pool(pool);
	lwstp_lock_intake(pool);
	pool->live = false;
	again = lwstp_slot_renew(&pool->slot);
	__lwstp_restock(pool);
	stock = pool->stock;
	pool->stock = NULL;
	for (slot = stock; slot; slot = slot->next_free)
		atomic_store_explicit(&((struct lwstp_task *)slot)->pool, NULL,
				      memory_order_relaxed);
	workers = pool->workers;
	threads = pool->threads;
	pool->workers = NULL;
	pool->threads = 0;
	lwstp_unlock_intake(pool);
	lwstp_unlock_pool(pool);

	for (n = 0; n < threads; n++) {
		workers[n]->slot.next_free = NULL;
		lwstp_slots_give(&lwstp_worker_slots, &workers[n]->slot);
	}
	free(workers);
	lwstp_slots_give(&lwstp_task_slots, stock);
	if (again) {
		pool->slot.next_free = NULL;
		lwstp_slots_give(&lwstp_pool_slots, &pool->slot);
	}
}

static bool
reap_one(struct lwstp_pool *pool)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_task *task;

	lwstp_lock_pool(pool);
	task = pool->done;
	if (task)
		__lwstp_task_reap(pool, task, &after);
	lwstp_unlock_pool(pool);
	lwstp_after_do(&after);

	return task;
}

void
lws_threadpool_destroy(struct lws_threadpool *tp)
{
	struct lwstp_host *host;
	struct lwstp_pool *pool;

	if (lwstp_this_worker) {
		lwsl_err("%s: refused: pool %p cannot be destroyed from a pool "
			 "thread\n", __func__, (void *)tp);
		return;
	}
	pool = lwstp_pool_lock(tp, __func__);
	if (!pool)
		return;
	if (pool->destroying) {
		lwstp_unlock_pool(pool);
		lwsl_err("%s: refused: pool %p is being destroyed already\n",
			 __func__, (void *)tp);
		return;
	}
	pool->destroying = true;
	lwstp_unlock_pool(pool);

	lws_threadpool_finish(tp);
	wait_for_threads(pool);
	while (reap_one(pool))
		;
	host = pool->host;
	lwstp_pool_free(pool);
	lwstp_host_put(host);
}
