/*
 * lws-threadpool - the deadlines of tasks
 *
 * SPDX-License-Identifier: MIT
 *
 * A task has one timer, set for the first of its deadlines: of its SYNC (S5),
 * of its park (T9), of its start (D1), of its life (D2), and of its keeping
 * (K4). One that goes off finds out what is due, if anything is any more, and
 * is set again.  So a later SYNC or park needs no change of the heap.
 *
 * There is no timer thread: each worker looks at the timers between two tasks,
 * and an idle one waits for them.  For D1 and D2 service thread 0 looks, too.
 */

#include "private.h"

#define EXPIRE_MOST 16 /* timers at a time */
/* If a timer is LATE_US late, because the process was stopped, say, the service
 * thread gets GRACE_US more: the answer may be there. */
#define LATE_US	 (LWS_US_PER_SEC / 2)
#define GRACE_US (LWS_US_PER_SEC / 4)

struct due {
	struct lwstp_task *task;
	uint64_t word;
	enum lws_threadpool_stop why; /* NONE: only: */
	struct lwstp_deferred deferred;
	char name[LWSTP_TASK_NAME];
};

/*
 * Setting them
 */

LWSTP_POOL_HELD void
__lwstp_time_sync(struct lwstp_pool *pool, struct lwstp_task *task,
		  uint64_t word)
{
	if (!pool->sync_timeout ||
	    lwstp_generation(atomic_load(&task->slot.word)) !=
		    lwstp_generation(word))
		return;
	task->graced = false;
	__lwstp_timer_by(&pool->timers, &task->timer,
			 atomic_load_explicit(&task->since,
					      memory_order_relaxed) +
				 pool->sync_timeout);
}

LWSTP_POOL_HELD void
__lwstp_time_park(struct lwstp_pool *pool, struct lwstp_task *task,
		  lws_usec_t us)
{
	lws_usec_t now = lwstp_precise_now();

	if (us > INT64_MAX - now)
		return;
	atomic_store_explicit(&task->at, now + us, memory_order_relaxed);
	__lwstp_timer_by(&pool->timers, &task->timer, now + us);
}

LWSTP_POOL_HELD bool
__lwstp_time_limits(struct lwstp_pool *pool, struct lwstp_task *task)
{
	lws_usec_t at = task->extra->queue_until,
		   life = task->extra->life_until;

	if (!at || (life && life < at))
		at = life;
	__lwstp_timer_by(&pool->timers, &task->timer, at);
	if (pool->clock_at && pool->clock_at <= at)
		return false;
	pool->clock_at = at;

	return !atomic_exchange(&pool->clock_posted, true) &&
	       lwstp_inbox_put(&pool->context->service->inbox, &pool->clock);
}

/*
 * One that goes off
 */

/* S5: true if a SYNC's time is up; else *at is when it is to be looked at
 * again */
static LWSTP_POOL_HELD bool
__sync_is_due(const struct lwstp_pool *pool, struct lwstp_task *task,
	      uint64_t word, lws_usec_t now, lws_usec_t *at)
{
	lws_usec_t due = atomic_load_explicit(&task->since,
					      memory_order_relaxed) +
			 pool->sync_timeout,
		   late = now - due;
	bool waits = lwstp_status(word) == LWS_TP_STATUS_SYNCING &&
		     !lwstp_is_held(word);

	if (waits && late >= 0 && (late < LATE_US || task->graced))
		return true;
	task->graced = waits && late >= 0;
	*at = task->graced ? now + GRACE_US :
	      waits	   ? due :
			     now + pool->sync_timeout;

	return false;
}

static void
sooner(lws_usec_t *at, lws_usec_t other)
{
	if (other && (!*at || other < *at))
		*at = other;
}

/* Of one that has not ended: why it is to stop now.  NONE, and *at: look again
 * then; 0: never */
static LWSTP_POOL_HELD enum lws_threadpool_stop
__stop_is_due(const struct lwstp_pool *pool, struct lwstp_task *task,
	      uint64_t word, lws_usec_t now, lws_usec_t *at)
{
	const struct lwstp_extra *extra = task->extra;

	*at = 0;
	if ((word & LWSTP_TIMED) && pool->sync_timeout &&
	    __sync_is_due(pool, task, word, now, at))
		return LWS_TP_STOP_TIMEOUT;
	if (!extra || (word & LWSTP_STOP))
		return LWS_TP_STOP_NONE;
	if (lwstp_status(word) == LWS_TP_STATUS_QUEUED && extra->queue_until) {
		if (now >= extra->queue_until)
			return LWS_TP_STOP_QUEUE_MS;
		sooner(at, extra->queue_until);
	}
	if (extra->life_until && now >= extra->life_until)
		return LWS_TP_STOP_LIFE_MS;
	sooner(at, extra->life_until);

	return LWS_TP_STOP_NONE;
}

/* K4: nobody attached it in time */
static LWSTP_POOL_HELD bool
__keep_is_due(struct lwstp_pool *pool, struct due *due, lws_usec_t now)
{
	lws_usec_t until = atomic_load(&due->task->since) + pool->keep_us;

	if (!(due->word & LWSTP_KEPT) || !pool->keep_us)
		return false;
	if (now < until) {
		__lwstp_timer_by(&pool->timers, &due->task->timer, until);
		return false;
	}

	return __lwstp_task_reap(pool, due->task, &due->word, &due->deferred);
}

/* True: what is left to do, without the lock, is in *due.  Else its timer is
 * set again, if it may need it. */
static LWSTP_POOL_HELD bool
__goes_off(struct lwstp_pool *pool, struct due *due, lws_usec_t now)
{
	struct lwstp_task *task = due->task;
	lws_usec_t at, until;

	due->deferred = (struct lwstp_deferred){ .signal = NULL };
	due->word = atomic_load(&task->slot.word);
	due->why = LWS_TP_STOP_NONE;
	if (lwstp_is_done(due->word))
		return __keep_is_due(pool, due, now);
	due->why = __stop_is_due(pool, task, due->word, now, &at);
	if (due->why == LWS_TP_STOP_QUEUE_MS) {
		__lwstp_drain(pool);
		__lwstp_stop_this(pool, task, due->why, &due->deferred);
	}
	if (due->why)
		return true;
	if (due->word & LWSTP_PARKED) {
		until = atomic_load_explicit(&task->at, memory_order_relaxed);
		if (until && now >= until)
			while ((due->word & LWSTP_PARKED) &&
			       !lwstp_task_unpark(task, &due->word, due->word))
				;
		else
			sooner(&at, until);
	}
	if (at)
		__lwstp_timer_by(&pool->timers, &task->timer, at);

	return false;
}

static void
log_stopped(const struct lwstp_pool *pool, const struct due *due)
{
	if (due->why == LWS_TP_STOP_TIMEOUT)
		lwstp_log(LLL_WARN,
			  "lws_threadpool: pool %s: task %s is "
			  "stopped: nobody answered its SYNC for %lld s\n",
			  pool->name, due->name,
			  (long long)(pool->sync_timeout / LWS_US_PER_SEC));
	else if (due->why)
		lwstp_log(LLL_INFO,
			  "lws_threadpool: pool %s: task %s is "
			  "stopped: its %s is over\n",
			  pool->name, due->name,
			  due->why == LWS_TP_STOP_LIFE_MS ? "life_ms" :
							    "queue_ms");
}

/* Cleanups and the log are the user's, and may be slow: so all that others wait
 * for is done before. */
static void
act(const struct lwstp_pool *pool, struct due *due, int n)
{
	struct due *d;

	for (d = due; d < due + n; d++) {
		if (d->why && d->why != LWS_TP_STOP_QUEUE_MS)
			lwstp_task_stop(d->task, d->word, true, d->why);
		if (d->deferred.signal)
			lwstp_signal(d->deferred.signal);
		d->deferred.signal = NULL;
	}
	for (d = due; d < due + n; d++)
		lwstp_deferred_do(&d->deferred, NULL);
	for (d = due; d < due + n; d++)
		log_stopped(pool, d);
}

LWSTP_POOL_HELD bool
__lwstp_expire(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	struct due due[EXPIRE_MOST];
	lws_usec_t now = lwstp_precise_now();
	int n = 0;

	while (n < EXPIRE_MOST && pool->timers && pool->timers->at <= now) {
		due[n].task = lws_container_of(pool->timers, struct lwstp_task,
					       timer);
		__lwstp_timer_remove(&pool->timers, &due[n].task->timer);
		lwstp_name_write(&due[n].task->name, due[n].name);
		n += __goes_off(pool, &due[n], now);
	}
	if (!n)
		return false;
	__lwstp_leave_to_others(pool);
	lwstp_unlock(pool);
	if (w)
		lwstp_settle_owed(w);
	act(pool, due, n);
	lwstp_lock(pool);

	return true;
}
