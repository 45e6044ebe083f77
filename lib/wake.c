/*
 * lws-threadpool - idle workers, and how they are woken
 *
 * SPDX-License-Identifier: MIT
 *
 * Whoever adds work wakes one idle worker, if none is on its way already; a
 * worker that takes work and sees more wakes one other.  So a burst costs one
 * wake, not one each.  Each idle worker has a bit, which whoever wakes it takes
 * away; no lock is needed, since a worker looks for work once more after it has
 * set its bit.  The task that it is for may have ended by then, and its pool
 * too: so a pool's struct and its workers' are never given back.
 *
 * An answer to a SYNC often comes within microseconds, less than a thread takes
 * to sleep and to wake.  So one worker without work spins for the pool's
 * spin_us, if a task of it got SYNCING since it last did.
 *
 * One of the idle workers, the keeper, sleeps no longer than until the pool's
 * first timer.  If an earlier one is set, another becomes the keeper.  Without
 * timers nobody ever wakes.
 */

#include <errno.h>
#include <time.h>

#include "private.h"

#define BITS	    32 /* in a word of pool->idle */
#define UNSPUN_MOST 64 /* a running spinner takes them first */
#define SPINS	    32 /* between two readings of the clock */
#define OWED_US	    5  /* for a service thread to look by itself */

static unsigned int
words(const struct lwstp_pool *pool)
{
	return ((unsigned int)pool->indexes + BITS - 1) / BITS;
}

/* false: another thread has cleared it, and is about to wake the worker */
static bool
clear_bit(struct lwstp_pool *pool, unsigned int index)
{
	unsigned int bit = 1u << index % BITS;

	return atomic_fetch_and(&pool->idle[index / BITS], ~bit) & bit;
}

static bool
has_idle(const struct lwstp_pool *pool)
{
	unsigned int n = words(pool);

	while (n--)
		if (atomic_load(&pool->idle[n]))
			return true;

	return false;
}

/* one whose bit this call has cleared, or NULL */
static struct lwstp_worker *
take_idle(struct lwstp_pool *pool)
{
	unsigned int n, bits, index;

	for (n = 0; n < words(pool); n++)
		while ((bits = atomic_load(&pool->idle[n]))) {
			index = n * BITS + (unsigned int)__builtin_ctz(bits);
			if (clear_bit(pool, index))
				return atomic_load(&pool->workers) + index;
		}

	return NULL;
}

static void
wake(struct lwstp_worker *w, bool is_chain_wake)
{
	pthread_mutex_lock(&w->mutex);
	w->woken = true;
	w->is_chain_wake = w->is_chain_wake || is_chain_wake;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->mutex);
}

/* one is on its way already, or is from now on; false: none was idle */
static LWSTP_SELDOM bool
wake_one(struct lwstp_pool *pool)
{
	struct lwstp_worker *w;

	if (atomic_exchange(&pool->waking, true))
		return true;
	w = take_idle(pool);
	if (w)
		wake(w, true);
	else
		atomic_store(&pool->waking, false);

	return w;
}

void
lwstp_wake(struct lwstp_pool *pool)
{
	/* a spinner sees it, unless another thread has its processor */
	if (atomic_load(&pool->spinner) &&
	    atomic_fetch_add_explicit(&pool->unspun, 1, memory_order_relaxed) <
		    UNSPUN_MOST)
		return;

	/* a thread that found `waking` set relies on this one: so try again if
	 * a worker went to sleep meanwhile */
	while (has_idle(pool) && !wake_one(pool))
		;
}

/* no idle worker wakes in time for the first timer */
static LWSTP_POOL_HELD bool
__is_unkept(const struct lwstp_pool *pool)
{
	return pool->timers &&
	       (!pool->keeper || pool->timers->at < pool->keeper_at);
}

LWSTP_POOL_HELD void
__lwstp_leave_to_others(struct lwstp_pool *pool)
{
	if (pool->n_queued || pool->resumed ||
	    !lwstp_inbox_empty(&pool->inbox) || __is_unkept(pool))
		lwstp_wake(pool);
}

LWSTP_POOL_HELD void
__lwstp_keep_time(struct lwstp_pool *pool)
{
	if (__is_unkept(pool))
		lwstp_wake(pool);
}

void
lwstp_wake_worker(struct lwstp_pool *pool, unsigned int index)
{
	if (clear_bit(pool, index))
		wake(atomic_load(&pool->workers) + index, false);
}

void
lwstp_wake_all(struct lwstp_pool *pool)
{
	struct lwstp_worker *w;

	while ((w = take_idle(pool)))
		wake(w, false);
}

/*
 * The worker's own side
 */

static void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool
has_work(const struct lwstp_pool *pool)
{
	return !lwstp_inbox_empty(&pool->inbox) ||
	       atomic_load_explicit(&pool->listed, memory_order_relaxed);
}

void
lwstp_settle_owed(struct lwstp_worker *w)
{
	struct lwstp_service *service = w->owed;

	w->owed = NULL;
	if (service && !lwstp_inbox_empty(&service->inbox))
		lwstp_signal(service);
}

/* False: no work came for as long as the pool spins.  A service thread that
 * looks is given OWED_US before it is signalled. */
static bool
spin(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	lws_usec_t now = lwstp_precise_now(), end = now + pool->spin_us,
		   owed_until = now + OWED_US;
	int n;

	do {
		for (n = 0; n < SPINS; n++) {
			relax();
			if (has_work(pool))
				return true;
		}
		now = lwstp_precise_now();
		if (now >= owed_until)
			lwstp_settle_owed(w);
	} while (now < end && !atomic_load(&pool->finishing));

	return false;
}

/* Spins once after a task got SYNCING, and once more each time that work
 * came. */
static void
look_out(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	bool spins = pool->spin_us && w->synced &&
		     !atomic_exchange(&pool->spinner, true);

	w->synced = false;
	if (spins) {
		atomic_store_explicit(&pool->unspun, 0, memory_order_relaxed);
		w->synced = spin(pool, w);
		atomic_store(&pool->spinner, false);
	}
	lwstp_settle_owed(w);
}

/* until it is woken or, unless ts is NULL, until then */
static void
sleep_until(struct lwstp_pool *pool, struct lwstp_worker *w,
	    const struct timespec *ts)
{
	bool is_chain_wake;
	int r = 0;

	pthread_mutex_lock(&w->mutex);
	while (!w->woken && r != ETIMEDOUT) {
		if (ts)
			r = pthread_cond_timedwait(&w->cond, &w->mutex, ts);
		else
			pthread_cond_wait(&w->cond, &w->mutex);
	}
	/* the thread that has cleared our bit is about to wake us */
	if (!w->woken && !clear_bit(pool, (unsigned int)w->index))
		while (!w->woken)
			pthread_cond_wait(&w->cond, &w->mutex);
	w->woken = false;
	is_chain_wake = w->is_chain_wake;
	w->is_chain_wake = false;
	pthread_mutex_unlock(&w->mutex);

	if (is_chain_wake)
		atomic_store(&pool->waking, false);
}

static LWSTP_POOL_HELD void
__sleep(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	unsigned int index = (unsigned int)w->index;
	struct timespec ts;
	bool keeps = __is_unkept(pool);

	atomic_fetch_or(&pool->idle[index / BITS], 1u << index % BITS);
	if (!lwstp_inbox_empty(&pool->inbox) && clear_bit(pool, index))
		return;
	if (keeps) {
		pool->keeper = w;
		pool->keeper_at = pool->timers->at;
		lwstp_deadline(&ts, pool->timers->at - lwstp_precise_now());
	}
	lwstp_unlock(pool);
	sleep_until(pool, w, keeps ? &ts : NULL);
	lwstp_lock(pool);
	if (pool->keeper == w)
		pool->keeper = NULL;
}

LWSTP_POOL_HELD void
__lwstp_idle(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	if (!w->owed && !w->synced) {
		__sleep(pool, w);
		return;
	}
	lwstp_unlock(pool);
	look_out(pool, w);
	lwstp_lock(pool);
}
