/*
 * lws-threadpool - a worker's loop
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker takes a task, calls it until it parks or ends, and takes the next.
 * It holds the pool's lock between two tasks, and no lock while it runs one.
 *
 * There is no timer thread: each worker looks at the pool's timers between two
 * tasks, and an idle one waits for them (S5).
 */

#include <stdio.h>
#include <string.h>

#include "private.h"

#define DRAIN_EACH	16	/* tasks, if the lists do not run out */
#define EXPIRE_MOST	16	/* timers at a time */
/* If a timer is LATE_US late, because the process was stopped, say, the service
 * thread gets GRACE_US more: the answer may be there. */
#define LATE_US		(LWS_US_PER_SEC / 2)
#define GRACE_US	(LWS_US_PER_SEC / 4)

/*
 * Taking work
 */

/* before this worker releases the lock for long: wakes another one for what is
 * left */
static LWSTP_POOL_HELD void
__leave_to_others(struct lwstp_pool *pool)
{
	if (pool->queued || pool->resumed ||
	    !lwstp_inbox_empty(&pool->inbox) ||
	    (pool->timers && !pool->keeper))
		lwstp_wake(pool);
}

/* S2: new and resumed tasks in turn, each in their order */
static LWSTP_POOL_HELD struct lwstp_task *
__take(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	struct lwstp_task **resumed, *task;

	if ((!pool->queued && !pool->resumed && !w->resumed) ||
	    !(atomic_load_explicit(&pool->taken, memory_order_relaxed) %
								DRAIN_EACH))
		__lwstp_drain(pool);

	resumed = w->resumed ? &w->resumed : &pool->resumed;
	if (*resumed && (!pool->queued || w->prefer_resumed)) {
		task = *resumed;
		DL_DELETE(*resumed, task);
		pool->n_resumed--;
		w->prefer_resumed = false;
	} else if (pool->queued) {
		task = pool->queued;
		DL_DELETE(pool->queued, task);
		pool->n_queued--;
		pool->n_started++;
		atomic_fetch_add(&pool->taken, 1);
		w->prefer_resumed = true;
	} else
		return NULL;
	__lwstp_listed(pool);

	return task;
}

/*
 * Running a task, without any lock
 */

/* T6: the return value without OUTLIVE, which is noted (T5) */
static enum lws_threadpool_task_return
plain_return(struct lwstp_pool *pool, struct lwstp_task *task,
	     enum lws_threadpool_task_return ret)
{
	unsigned int r = (unsigned int)ret,
		     plain = r & ~(unsigned int)LWS_TP_RETURN_FLAG_OUTLIVE;
	char name[LWSTP_TASK_NAME];

	if (plain > LWS_TP_RETURN_STOPPED) {
		lwstp_name_write(&task->name, name);
		lwstp_log(LLL_ERR, "lws_threadpool: pool %s: task %s is "
			  "stopped: invalid return value %d\n", pool->name,
			  name, (int)ret);
		return LWS_TP_RETURN_STOPPED;
	}
	if (r != plain && plain <= LWS_TP_RETURN_SYNC)
		atomic_fetch_or(&task->slot.word, LWSTP_OUTLIVE);

	return (enum lws_threadpool_task_return)plain;
}

/* The service thread has something new in its inbox.  If it is looking into
 * that anyway, this worker gives it a moment before it signals: see wake.c. */
static void
owe(struct lwstp_worker *w, struct lwstp_service *service)
{
	if (atomic_load_explicit(&service->looking, memory_order_relaxed))
		w->owed = service;
	else
		lwstp_signal(service);
}

/* S1: false if it has to be called again (T4, T5).  Else it belongs to its
 * service thread from here on, and may have been resumed already. */
static bool
park(struct lwstp_pool *pool, struct lwstp_worker *w, struct lwstp_task *task,
     uint64_t *word, uint64_t *to)
{
	struct lwstp_service *service = task->service;

	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	atomic_store_explicit(&task->seen, false, memory_order_relaxed);
	*word = atomic_load(&task->slot.word);
	do {
		if ((*word & (LWSTP_STOP | LWSTP_DETACHED)) ||
		    atomic_load_explicit(&pool->finishing,
					 memory_order_relaxed))
			return false;
		*to = lwstp_with_status(*word & ~LWSTP_CROWDED,
					LWS_TP_STATUS_SYNCING) |
		      LWSTP_POSTED | LWSTP_TIMED;
	} while (!lwstp_swap(task, word, *to));

	w->parked = true;
	if (!(*word & LWSTP_POSTED) && lwstp_inbox_put(&service->inbox,
						       &task->post))
		owe(w, service);
	/* finish() and destroy() may have passed it by just before; destroy()
	 * may be on its service thread, and waits for us */
	if (atomic_load(&pool->finishing))
		lwstp_task_stop(task, *to, !atomic_load(&pool->destroying));

	return true;
}

/* Calls the task until it returns something other than CHECKING_IN (T3), or its
 * stop was delivered (T4).  SYNCING: it was parked, and its word was *word
 * before that, *to after. */
static enum lws_threadpool_task_status
run(struct lwstp_pool *pool, struct lwstp_worker *w, struct lwstp_task *task,
    uint64_t *word, uint64_t *to)
{
	enum lws_threadpool_task_return ret;
	bool stop;

	while (1) {
		stop = (atomic_load_explicit(&task->slot.word,
					     memory_order_acquire) &
							LWSTP_STOP) ||
		       atomic_load_explicit(&pool->finishing,
					    memory_order_relaxed);
		ret = plain_return(pool, task, task->task(task->user,
					stop ? LWS_TP_STATUS_STOPPING :
					       LWS_TP_STATUS_RUNNING));
		if (ret == LWS_TP_RETURN_FINISHED)
			return LWS_TP_STATUS_FINISHED;
		if (stop || ret == LWS_TP_RETURN_STOPPED)
			return LWS_TP_STATUS_STOPPED;
		if (ret == LWS_TP_RETURN_SYNC && park(pool, w, task, word, to))
			return LWS_TP_STATUS_SYNCING;
	}
}

/*
 * Timers (S5)
 */

/* A task's first SYNC gives it a timer, which is set again as long as it lives,
 * so that its later SYNCs need not take the lock.  The slot may have another
 * task by now. */
static LWSTP_POOL_HELD void
__time(struct lwstp_pool *pool, struct lwstp_task *task, uint64_t word)
{
	if (!pool->sync_timeout ||
	    lwstp_generation(atomic_load(&task->slot.word)) !=
						lwstp_generation(word))
		return;
	task->graced = false;
	__lwstp_timer_add(&pool->timers, &task->timer,
			  atomic_load_explicit(&task->since,
					       memory_order_relaxed) +
			  pool->sync_timeout);
}

/* True: the task's time is up.  Else its timer is set again, if it may need it:
 * it has not ended. */
static LWSTP_POOL_HELD bool
__is_expired(struct lwstp_pool *pool, struct lwstp_task *task, uint64_t word,
	     lws_usec_t now)
{
	lws_usec_t since = atomic_load_explicit(&task->since,
						memory_order_relaxed),
		   due = since + pool->sync_timeout, late = now - due;
	bool waits = lwstp_status(word) == LWS_TP_STATUS_SYNCING &&
		     !(word & (LWSTP_STOP | LWSTP_DETACHED));

	if (waits && late >= 0 && (late < LATE_US || task->graced))
		return true;
	if (lwstp_is_done(word))
		return false;
	task->graced = waits && late >= 0;
	if (task->graced)
		due = now + GRACE_US;
	else if (!waits)
		due = now + pool->sync_timeout;
	__lwstp_timer_add(&pool->timers, &task->timer, due);

	return false;
}

/* Stops the tasks whose time is up: false if there are none, else the lock was
 * released meanwhile.  The log is the user's, and may be slow: so all that
 * others wait for is done before it. */
static LWSTP_POOL_HELD bool
__expire(struct lwstp_pool *pool, struct lwstp_worker *w, lws_usec_t now)
{
	struct { struct lwstp_task *task; uint64_t word; char
		 name[LWSTP_TASK_NAME]; } due[EXPIRE_MOST];
	struct lwstp_task *task;
	uint64_t word;
	int n = 0, i;

	while (n < EXPIRE_MOST && pool->timers && pool->timers->at <= now) {
		task = lws_container_of(pool->timers, struct lwstp_task, timer);
		__lwstp_timer_remove(&pool->timers, &task->timer);
		word = atomic_load(&task->slot.word);
		if (!__is_expired(pool, task, word, now))
			continue;
		due[n].task = task;
		due[n].word = word;
		lwstp_name_write(&task->name, due[n++].name);
	}
	if (!n)
		return false;

	__leave_to_others(pool);
	lwstp_unlock(pool);
	lwstp_settle_owed(w);
	for (i = 0; i < n; i++)
		lwstp_task_stop(due[i].task, due[i].word, true);
	for (i = 0; i < n; i++)
		lwstp_log(LLL_WARN, "lws_threadpool: pool %s: task %s is "
			  "stopped: nobody answered its SYNC for %lld s\n",
			  pool->name, due[i].name,
			  (long long)(pool->sync_timeout / LWS_US_PER_SEC));
	lwstp_lock(pool);

	return true;
}

/*
 * The thread
 */

/* the lock is released while a cleanup runs */
static LWSTP_POOL_HELD void
__ended(struct lwstp_pool *pool, struct lwstp_worker *w,
	struct lwstp_task *task, enum lws_threadpool_task_status how)
{
	struct lwstp_deferred deferred = { .signal = NULL };

	pool->n_started--;
	w->task = NULL;
	w->cleaned = task->name;
	__lwstp_task_end(pool, task, how, &deferred);
	if (deferred.signal)
		w->owed = deferred.signal;
	if (!deferred.cleanup)
		return;

	w->cleaning = true;
	__leave_to_others(pool);
	lwstp_unlock(pool);
	lwstp_settle_owed(w);
	deferred.cleanup(NULL, deferred.user);
	lwstp_lock(pool);
	w->cleaning = false;
}

static LWSTP_POOL_HELD void
__run(struct lwstp_pool *pool, struct lwstp_worker *w, struct lwstp_task *task,
      lws_usec_t now)
{
	enum lws_threadpool_task_status how;
	uint64_t word = atomic_load(&task->slot.word), to;

	atomic_store_explicit(&task->since, now, memory_order_relaxed);
	atomic_store_explicit(&task->worker, (unsigned short)w->index,
			      memory_order_relaxed);
	while (lwstp_status(word) == LWS_TP_STATUS_QUEUED &&
	       !lwstp_swap(task, &word, lwstp_with_status(word,
						LWS_TP_STATUS_RUNNING)))
		;
	w->task = task;
	pool->n_running++;
	__leave_to_others(pool);
	lwstp_unlock(pool);
	lwstp_settle_owed(w);

	how = run(pool, w, task, &word, &to);

	lwstp_lock(pool);
	w->task = NULL;
	if (how != LWS_TP_STATUS_SYNCING)
		__ended(pool, w, task, how);
	else if (!(word & LWSTP_TIMED))
		__time(pool, task, to);
	pool->n_running--;
	/* destroy(), and idle workers, may be waiting for the last one */
	if (atomic_load_explicit(&pool->finishing, memory_order_relaxed)) {
		pthread_cond_broadcast(&pool->changed);
		if (!pool->n_started)
			lwstp_wake_all(pool);
	}
}

/* P3: what is queued in a finishing pool is stopped, and not called */
static LWSTP_POOL_HELD bool
__stop_one(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	struct lwstp_deferred deferred = { .signal = NULL };

	__lwstp_drain(pool);
	if (pool->queued)
		w->cleaned = pool->queued->name;
	if (!__lwstp_stop_queued(pool, &deferred))
		return false;
	w->cleaning = deferred.cleanup;
	lwstp_unlock(pool);
	lwstp_settle_owed(w);
	lwstp_deferred_do(&deferred, NULL);
	lwstp_lock(pool);
	w->cleaning = false;

	return true;
}

/* Nothing is left that a worker could ever have to do: a SYNCING task is still
 * to be told STOPPING. */
static LWSTP_POOL_HELD bool
__may_leave(const struct lwstp_pool *pool)
{
	uint64_t word = atomic_load(&pool->slot.word);

	return (word & LWSTP_POOL_FINISHING) && !pool->n_started &&
	       (uint32_t)(word & LWSTP_POOL_COUNT) ==
						atomic_load(&pool->taken);
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
	struct lwstp_task *task;
	lws_usec_t now;

	lwstp_this_worker = w;
	name_thread(pool, w);

	lwstp_lock(pool);
	while (!__may_leave(pool)) {
		now = lwstp_now();
		if (pool->timers && pool->timers->at <= now &&
		    __expire(pool, w, now))
			continue;	/* all may be over by now */
		if (atomic_load_explicit(&pool->finishing,
					 memory_order_relaxed) &&
		    __stop_one(pool, w))
			continue;
		task = __take(pool, w);
		if (task)
			__run(pool, w, task, now);
		else
			__lwstp_idle(pool, w);
	}
	pool->alive--;
	lwstp_wake_all(pool);
	pthread_cond_broadcast(&pool->changed);
	lwstp_unlock(pool);
	lwstp_settle_owed(w);

	return NULL;
}
