/*
 * lws-threadpool - a pool in numbers (N1)
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread.  What is counted under the pool's lock is read under it, and all
 * that is in the pool's inbox is taken out before.
 */

#include "private.h"

#define BUCKETS 32

static void
read_histogram(const struct lwstp_histogram *h, uint64_t n[BUCKETS],
	       uint64_t *total)
{
	int i;

	for (i = 0; i < BUCKETS; i++)
		n[i] = atomic_load_explicit(&h->n[i], memory_order_relaxed);
	*total = atomic_load_explicit(&h->total, memory_order_relaxed);
}

/* Of those that have started and not ended, what is neither on a thread, nor
 * waits for one, nor is parked, is SYNCING. */
static LWSTP_POOL_HELD void
__read_now(struct lwstp_pool *pool, struct lws_threadpool_stats *s)
{
	const struct lwstp_worker *w = atomic_load(&pool->workers);
	unsigned int on_threads = 0;
	uint64_t taken;
	int n;

	__lwstp_drain(pool);
	for (n = 0; n < pool->indexes; n++) {
		on_threads += !!__lwstp_runs(&w[n]);
		s->syncs += atomic_load_explicit(&w[n].syncs,
						 memory_order_relaxed);
	}
	taken = atomic_load(&pool->taken);
	s->threads = (uint32_t)pool->threads;
	s->queued = (uint32_t)(atomic_load(&pool->slot.word) &
			       LWSTP_POOL_COUNT) -
		    (uint32_t)taken;
	s->running = on_threads + pool->n_resumed;
	s->parked = pool->n_parked;
	s->syncing = pool->n_started - s->running - s->parked;
	s->done = pool->n_done;
	s->kept = pool->n_kept;
	s->accepted = taken + s->queued;
	s->finished = pool->n_finished;
	s->stopped = pool->n_stopped;
	s->timed_out = pool->n_timed_out;
}

LWSTP_POOL_HELD void
__lwstp_read_stats(struct lwstp_pool *pool, struct lws_threadpool_stats *s)
{
	memset(s, 0, sizeof(*s));
	__read_now(pool, s);
	s->refused = atomic_load(&pool->n_refused);
	s->wakes = atomic_load(&pool->n_wakes);
	s->calls = atomic_load(&pool->n_calls);
	read_histogram(&pool->queue_us, s->queue_us, &s->queue_total_us);
	read_histogram(&pool->run_us, s->run_us, &s->run_total_us);
	read_histogram(&pool->sync_us, s->sync_us, &s->sync_total_us);
}

int
lws_threadpool_get_stats(struct lws_threadpool *tp,
			 struct lws_threadpool_stats *stats)
{
	struct lws_threadpool_stats s;
	struct lwstp_pool *pool;

	if (!lwstp_struct_ok(stats, sizeof(s), __func__, "stats"))
		return -1;
	pool = lwstp_pool_lock(tp, __func__);
	if (!pool)
		return -1;
	__lwstp_read_stats(pool, &s);
	lwstp_unlock(pool);
	lwstp_fill_struct(stats, sizeof(s), &s);

	return 0;
}
