/*
 * lws-threadpool - the worker threads
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker takes a task, calls it until it parks, ends, or has to make room,
 * and takes the next.  Waking is a chain: whoever adds work wakes one idle
 * worker, if none is on its way already, and a worker that takes work and sees
 * more wakes one other.  So a burst of enqueues costs one wake, not one each.
 *
 * There is no timer thread: one of the idle workers, the keeper, sleeps no
 * longer than until the task that has been SYNCING longest times out (S5).  It
 * is the last to be woken for work.  With nothing SYNCING nobody ever wakes.
 *
 * An answer to a SYNC often comes within microseconds, less than it takes to
 * put a thread to sleep and to wake it.  So one worker without work looks out
 * for some for so long before it sleeps, if there is something SYNCING.  Else,
 * and if it has just run a task, it takes a nap, of about the time that waking
 * it takes: small tasks that are enqueued as fast as they are done would cost a
 * wake each few otherwise, and so some of them gather.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "private.h"

_Thread_local struct lwstp_worker *lwstp_this_worker;

/*
 * Idle workers.  pool->lock held.
 */

/* An enqueue adds to n_incoming, then reads may_wake; a worker sets may_wake,
 * then reads n_incoming.  So one of the two sees what the other wrote, and no
 * task is left without a wake. */
static LWSTP_POOL_HELD void
__set_may_wake(struct lwstp_pool *pool)
{
	enum lwstp_may_wake may = LWSTP_WAKE_NOBODY;

	if (pool->idle && !pool->waking)
		may = pool->spinner ? LWSTP_WAKE_IF_MANY : LWSTP_WAKE_ONE;
	atomic_store(&pool->may_wake, (int)may);
}

static LWSTP_POOL_HELD void
__not_idle(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	DL_DELETE(pool->idle, w);
	w->idle = false;
	if (pool->keeper == w)
		pool->keeper = NULL;
	__set_may_wake(pool);
}

/* Wakes an idle worker: `pinned` itself, or where that is NULL any.  At most
 * once for an `after`. */
static LWSTP_POOL_HELD void
__wake(struct lwstp_pool *pool, struct lwstp_worker *pinned,
       struct lwstp_after *after)
{
	struct lwstp_worker *w = pinned ? pinned : pool->idle;

	if (!w || !w->idle)
		return;
	if (!pinned && (pool->waking ||
			(pool->spinner && lwstp_precise_now() < pool->spin_end)))
		return;
	if (!pinned) {
		pool->waking = true;
		w->chain = true;
	}
	__not_idle(pool, w);
	after->wake = w;
}

/* for what was added, and is for `pinned` alone or, where that is NULL, for
 * any */
LWSTP_POOL_HELD void
__lwstp_wake_for(struct lwstp_pool *pool, struct lwstp_worker *pinned,
		 struct lwstp_after *after)
{
	atomic_fetch_add_explicit(&pool->added, 1, memory_order_relaxed);
	__wake(pool, pinned, after);
}

/* A spinner finds what came, unless another has its processor: then too much
 * comes.  No lock held; the pool may have been destroyed meanwhile. */
void
lwstp_wake_for_incoming(struct lwstp_pool *pool, struct lwstp_after *after)
{
	int may = atomic_load(&pool->may_wake);

	if (may == LWSTP_WAKE_NOBODY ||
	    (may == LWSTP_WAKE_IF_MANY &&
	     atomic_load_explicit(&pool->n_incoming, memory_order_relaxed) <
							LWSTP_MANY_TASKS))
		return;
	lwstp_lock_pool(pool);
	__wake(pool, NULL, after);
	lwstp_unlock_pool(pool);
}

LWSTP_POOL_HELD void
__lwstp_wake_all(struct lwstp_pool *pool)
{
	struct lwstp_worker *w;

	while ((w = pool->idle)) {
		__not_idle(pool, w);
		pthread_cond_signal(&w->cond);
	}
}

/*
 * Taking work.  pool->lock held.
 */

/* Somebody has to time the syncing list: all that are idle went to sleep when
 * it was empty, or the keeper was woken for a task that is pinned to it. */
static LWSTP_POOL_HELD bool
__keeper_missing(const struct lwstp_pool *pool)
{
	return pool->syncing && pool->sync_timeout && !pool->keeper;
}

/* P3: what is queued in a finishing pool is stopped, and not called. */
static LWSTP_POOL_HELD struct lwstp_task *
__queued(struct lwstp_pool *pool)
{
	if (atomic_load_explicit(&pool->finishing, memory_order_relaxed))
		return NULL;
	if (!pool->queued)
		__lwstp_admit(pool);

	return pool->queued;
}

static LWSTP_POOL_HELD struct lwstp_task *
__take(struct lwstp_pool *pool, struct lwstp_worker *w, lws_usec_t now,
       struct lwstp_after *after)
{
	struct lwstp_task **resumed = w->resumed ? &w->resumed : &pool->resumed,
			  *queued = __queued(pool), *task;

	/* S2: new and resumed tasks in turn, each FIFO among its own */
	if (*resumed && (!queued || w->turn)) {
		task = *resumed;
		DL_DELETE(*resumed, task);
		pool->n_resumed--;
		w->turn = false;
	} else if (queued) {
		task = queued;
		DL_DELETE(pool->queued, task);
		atomic_fetch_sub_explicit(&pool->n_queued, 1,
					  memory_order_relaxed);
		w->turn = true;
	} else
		return NULL;

	task->status = LWS_TP_STATUS_RUNNING;
	task->since = now;
	task->worker = (uint16_t)w->index;
	w->task = task;
	w->ran = true;
	pool->n_running++;
	if (pool->queued || pool->resumed || atomic_load(&pool->n_incoming) ||
	    __keeper_missing(pool))
		__wake(pool, NULL, after);

	return task;
}

/* The worker runs nothing any more: its task is parked or has ended, and if the
 * cleanup was for it to call, that has returned. */
static LWSTP_POOL_HELD void
__put_down(struct lwstp_pool *pool, struct lwstp_worker *w,
	   struct lwstp_task *spent)
{
	w->task = NULL;
	pool->n_running--;
	if (spent)
		__lwstp_task_put(pool, spent);
}

/* S5: the oldest SYNCING task, if its time is up.  pool->lock held. */
static LWSTP_POOL_HELD struct lwstp_task *
__timed_out(const struct lwstp_pool *pool, lws_usec_t now)
{
	struct lwstp_task *task = pool->syncing;

	if (!task || !pool->sync_timeout ||
	    now - task->since < pool->sync_timeout)
		return NULL;

	return task;
}

/* pool->lock held, released while the warning is written.  That is by a function
 * of the user's, for which no ring that is owed may wait: whoever comes next
 * leaves it to us.  Nobody is woken for this task before: two threads that log
 * at a time spoil each other's lines in lws 4.1. */
static LWSTP_POOL_HELD void
__stop_timed_out(struct lwstp_pool *pool, struct lwstp_task *task,
		 struct lwstp_after *owed)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_after first = { .ring = owed->ring, .wake = owed->wake };
	char name[LWSTP_TASK_NAME];

	owed->ring = NULL;
	owed->wake = NULL;
	memcpy(name, task->name, sizeof(name));
	__lwstp_task_stop(pool, task, &after);
	lwstp_unlock_pool(pool);
	lwstp_after_do(&first);
	lwsl_warn("lws_threadpool: pool %s: task %s is stopped: nobody "
		  "answered its SYNC for %lld s\n", pool->name, name,
		  (long long)(pool->sync_timeout / LWS_US_PER_SEC));
	lwstp_after_do(&after);
	lwstp_lock_pool(pool);
}

/* pool->lock held, released while it sleeps */
static LWSTP_POOL_HELD void
__sleep(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	struct timespec ts;
	int r = 0;

	w->idle = true;
	if (__keeper_missing(pool)) {
		lwstp_deadline(&ts, pool->syncing->since + pool->sync_timeout -
				    lwstp_now());
		pool->keeper = w;
		DL_APPEND(pool->idle, w);
	} else
		DL_PREPEND(pool->idle, w);
	__set_may_wake(pool);
	if (atomic_load(&pool->n_incoming))
		r = EAGAIN;

	while (w->idle && !r)
		if (pool->keeper == w)
			r = pthread_cond_timedwait(&w->cond, &pool->lock, &ts);
		else
			r = pthread_cond_wait(&w->cond, &pool->lock);

	if (w->idle)
		__not_idle(pool, w);
	if (w->chain) {
		w->chain = false;
		pool->waking = false;
		__set_may_wake(pool);
	}
}

static void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* More work than that is there already; no lock held */
static bool
has_come(const struct lwstp_pool *pool, unsigned int added,
	 unsigned int incoming)
{
	return atomic_load_explicit(&pool->added, memory_order_relaxed) !=
								added ||
	       atomic_load_explicit(&pool->n_incoming, memory_order_relaxed) >
								incoming;
}

/* A spinner looks all the time, a napper now and then: who enqueues would have
 * to wait for the cache line each time.  False: nothing came until `end`, and
 * *now is later. */
static bool
look_out(const struct lwstp_pool *pool, unsigned int added, bool nap,
	 lws_usec_t end, lws_usec_t *now)
{
	int n;

	do {
		for (n = 0; n < LWSTP_LOOKS; n++) {
			relax();
			if (!nap && has_come(pool, added, 0))
				return true;
		}
		if (nap && has_come(pool, added, LWSTP_NAP_TASKS))
			return true;
		*now = lwstp_precise_now();
	} while (*now < end);

	return false;
}

/* Spins or naps, if it is time for that: true if it is worth looking for work
 * again.  While it does, and its time is not over, nobody is woken for work
 * that it will find.  pool->lock held, released meanwhile. */
static LWSTP_POOL_HELD bool
__spin(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	unsigned int added = atomic_load_explicit(&pool->added,
						  memory_order_relaxed);
	bool nap = !pool->syncing, found;
	lws_usec_t now, end;

	if (!pool->spin_us || pool->spinner || (nap && !w->ran))
		return false;
	w->ran = false;
	now = lwstp_precise_now();
	if (now < pool->no_spin_until)
		return false;
	end = now + (nap ? pool->nap_us : pool->spin_us);
	pool->spinner = w;
	pool->spin_end = end;
	__set_may_wake(pool);
	lwstp_unlock_pool(pool);

	found = look_out(pool, added, nap, end, &now);

	lwstp_lock_pool(pool);
	pool->spinner = NULL;
	__set_may_wake(pool);
	/* another thread has the processor: leave it to that for a while */
	if (!found && now > end + pool->spin_us)
		pool->no_spin_until = now + LWSTP_NO_SPIN_US;

	/* it may have come since it was last looked at */
	return __queued(pool) || pool->resumed || w->resumed;
}

/* Nothing is left that this worker could ever have to do: a SYNCING task is
 * still to be told STOPPING, perhaps by this one.  pool->lock held. */
static LWSTP_POOL_HELD bool
__may_leave(const struct lwstp_pool *pool, const struct lwstp_worker *w)
{
	return atomic_load_explicit(&pool->finishing, memory_order_relaxed) &&
	       !pool->queued && !pool->resumed && !pool->syncing &&
	       !w->resumed;
}

/* Nothing is to be done: spins, naps or sleeps until there may be.  False if
 * there never will.  pool->lock held, released meanwhile. */
static LWSTP_POOL_HELD bool
__idle(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	if (__may_leave(pool, w))
		return false;
	if (!__spin(pool, w) && !__may_leave(pool, w))
		__sleep(pool, w);

	return true;
}

/*
 * Running a task, without any lock
 */

/* T6: the plain return, with OUTLIVE taken off and noted */
static enum lws_threadpool_task_return
plain_return(struct lwstp_pool *pool, struct lwstp_task *task,
	     enum lws_threadpool_task_return ret)
{
	unsigned int r = (unsigned int)ret,
		     plain = r & ~(unsigned int)LWS_TP_RETURN_FLAG_OUTLIVE;

	if (plain > LWS_TP_RETURN_STOPPED) {
		lwsl_err("lws_threadpool: pool %s: task %s is stopped: it "
			 "returned %d, which is no lws_threadpool_task_return"
			 "\n", pool->name, task->name, (int)ret);
		return LWS_TP_RETURN_STOPPED;
	}
	if (r != plain && plain <= LWS_TP_RETURN_SYNC) {
		lwstp_lock_pool(pool);
		task->outlive = 1;				/* T5 */
		lwstp_unlock_pool(pool);
	}

	return (enum lws_threadpool_task_return)plain;
}

/* Calls the task until it returns something other than "still here" (T3), or
 * has been told to stop (T4).  A task function is never called from two threads
 * at once (T2): only the worker that took it off a list calls it. */
static enum lws_threadpool_task_return
run(struct lwstp_pool *pool, struct lwstp_task *task, bool *told)
{
	enum lws_threadpool_task_return ret;

	do {
		*told = atomic_load_explicit(&task->stop,
					     memory_order_relaxed) ||
			atomic_load_explicit(&pool->finishing,
					     memory_order_relaxed);
		ret = plain_return(pool, task, task->task(task->user,
					*told ? LWS_TP_STATUS_STOPPING :
						LWS_TP_STATUS_RUNNING));
	} while (ret == LWS_TP_RETURN_CHECKING_IN && !*told);

	return ret;
}

static void
name_thread(const struct lwstp_pool *pool, const struct lwstp_worker *w)
{
	char number[12], name[16]; /* the most that Linux takes */
	int n = snprintf(number, sizeof(number), "-%d", w->index);

	snprintf(name, sizeof(name), "%.*s%s", (int)sizeof(name) - 1 - n,
		 pool->name, number);
	pthread_setname_np(pthread_self(), name);
}

void *
lwstp_worker_thread(void *arg)
{
	struct lwstp_worker *w = arg;
	struct lwstp_pool *pool = w->pool;
	struct lwstp_task *task = NULL, *expired;
	enum lws_threadpool_task_return ret = LWS_TP_RETURN_STOPPED;
	struct lwstp_after after;
	bool told = false;
	lws_usec_t now;

	lwstp_this_worker = w;
	name_thread(pool, w);

	lwstp_lock_pool(pool);
	while (1) {
		memset(&after, 0, sizeof(after));
		after.on_worker = true;
		now = lwstp_now();
		if (task && !__lwstp_task_returned(pool, task, ret, told,
						   now, &after)) {
			task = NULL;
			if (!after.spent)
				__put_down(pool, w, NULL);
		}
		expired = __timed_out(pool, now);
		if (expired)
			__stop_timed_out(pool, expired, &after);
		/* a cleanup may take long: the work is for others meanwhile */
		if (!task && !after.spent)
			task = __take(pool, w, now, &after);

		if (!task && !after.spent && !after.ring && !after.wake) {
			if (!__idle(pool, w))
				break;
			continue;
		}
		lwstp_unlock_pool(pool);
		lwstp_after_do(&after);
		if (task)
			ret = run(pool, task, &told);
		lwstp_lock_pool(pool);
		if (after.spent)
			__put_down(pool, w, after.spent);
	}
	pool->alive--;
	pthread_cond_broadcast(&pool->ended);
	lwstp_unlock_pool(pool);

	return NULL;
}
