/*
 * lws-threadpool - a worker's loop
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker takes a task, calls it until it is SYNCING, parked or has ended, and
 * takes the next.  It holds the pool's lock between two tasks, and no lock
 * while it runs one.
 */

#include <stdio.h>
#include <string.h>

#include "private.h"

#define DRAIN_EACH 16 /* tasks, if the lists do not run out */

/*
 * Taking work
 */

/* S2: new and resumed tasks in turn, each in their order */
static LWSTP_POOL_HELD struct lwstp_task *
__take(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	struct lwstp_task **resumed, *task = NULL;

	if ((!pool->n_queued && !pool->resumed && !w->resumed) ||
	    !(atomic_load_explicit(&pool->taken, memory_order_relaxed) %
	      DRAIN_EACH))
		__lwstp_drain(pool);

	resumed = w->resumed ? &w->resumed : &pool->resumed;
	if (!*resumed || !w->prefer_resumed)
		task = __lwstp_next_new(pool);
	if (task) {
		pool->n_started++;
		atomic_fetch_add(&pool->taken, 1);
		w->prefer_resumed = true;
	} else if (*resumed) {
		task = *resumed;
		DL_DELETE(*resumed, task);
		pool->n_resumed--;
		w->prefer_resumed = false;
	}
	__lwstp_listed(pool);

	return task;
}

/*
 * Running a task, without any lock
 */

static void
note_why(struct lwstp_task *task, enum lws_threadpool_stop why)
{
	uint64_t word = atomic_load(&task->slot.word);

	while (!lwstp_swap(task, &word, lwstp_with_why(word, why)))
		;
}

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
		lwstp_log(LLL_ERR,
			  "lws_threadpool: pool %s: task %s is "
			  "stopped: invalid return value %d\n",
			  pool->name, name, (int)ret);
		note_why(task, LWS_TP_STOP_BAD_RETURN);
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
sync_task(struct lwstp_pool *pool, struct lwstp_worker *w,
	  struct lwstp_task *task, uint64_t *word, uint64_t *to)
{
	struct lwstp_service *service;

	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	atomic_store_explicit(&task->seen, false, memory_order_relaxed);
	atomic_store_explicit(&task->sync_counts, w->counts,
			      memory_order_relaxed);
	if (w->counts)
		atomic_store_explicit(&task->at, lwstp_precise_now(),
				      memory_order_relaxed);
	*word = atomic_load(&task->slot.word);
	if (!(*word & (LWSTP_STOP | LWSTP_DETACHED)) || (*word & LWSTP_WAITS))
		LWSTP_PROBE(sync, pool, task, *word);
	atomic_store_explicit(&w->is_left, true, memory_order_relaxed);
	do {
		service = atomic_load_explicit(&task->service,
					       memory_order_relaxed);
		if ((*word & LWSTP_STOP) ||
		    ((*word & LWSTP_DETACHED) && !(*word & LWSTP_WAITS)) ||
		    atomic_load_explicit(&pool->finishing,
					 memory_order_relaxed)) {
			atomic_store_explicit(&w->is_left, false,
					      memory_order_relaxed);
			return false;
		}
		*to = lwstp_with_status(*word & ~(LWSTP_CROWDED |
						  LWSTP_SYNC_NRS),
					LWS_TP_STATUS_SYNCING) |
		      ((*word + LWSTP_SYNC_NR) & LWSTP_SYNC_NRS) | LWSTP_TIMED;
		if (!(*word & LWSTP_DETACHED))
			*to |= LWSTP_POSTED;
	} while (!lwstp_swap(task, word, *to));

	w->synced = true;
	/* before anybody is told of it */
	atomic_store_explicit(
		&w->syncs,
		atomic_load_explicit(&w->syncs, memory_order_relaxed) + 1,
		memory_order_relaxed);
	if ((*to & ~*word & LWSTP_POSTED) &&
	    lwstp_inbox_put(&service->inbox, &task->post))
		owe(w, service);
	/* finish() and destroy() may have passed it by just before; destroy()
	 * may be on its service thread, and waits for us */
	if (atomic_load(&pool->finishing))
		lwstp_task_stop(task, *to, !atomic_load(&pool->destroying),
				LWS_TP_STOP_FINISH);

	return true;
}

/* Whether the call that comes is told STOPPING (T4), and why. */
static bool
is_to_stop(struct lwstp_pool *pool, struct lwstp_task *task,
	   struct lwstp_frame *frame)
{
	uint64_t word = atomic_load_explicit(&task->slot.word,
					     memory_order_acquire);

	if (!(word & LWSTP_STOP) &&
	    !atomic_load_explicit(&pool->finishing, memory_order_relaxed))
		return false;
	if (!(word & LWSTP_STOP))
		note_why(task, LWS_TP_STOP_FINISH);
	frame->why = lwstp_why(atomic_load(&task->slot.word));

	return true;
}

/* Calls the task until it returns something other than CHECKING_IN (T3), parks
 * (T9: RUNNING), or its stop was delivered (T4).  SYNCING: its word was *word
 * before that, *to after. */
static enum lws_threadpool_task_status
run(struct lwstp_pool *pool, struct lwstp_worker *w, struct lwstp_task *task,
    uint64_t *word, uint64_t *to)
{
	enum lws_threadpool_task_return ret;
	bool stop;

	while (1) {
		w->parks = false;
		stop = is_to_stop(pool, task, &w->frame);
		ret = plain_return(pool, task,
				   task->task(task->user,
					      stop ? LWS_TP_STATUS_STOPPING :
						     LWS_TP_STATUS_RUNNING));
		if (ret == LWS_TP_RETURN_FINISHED)
			return LWS_TP_STATUS_FINISHED;
		if (stop || ret == LWS_TP_RETURN_STOPPED)
			return LWS_TP_STATUS_STOPPED;
		if (ret == LWS_TP_RETURN_CHECKING_IN && w->parks)
			return LWS_TP_STATUS_RUNNING;
		if (ret == LWS_TP_RETURN_SYNC &&
		    sync_task(pool, w, task, word, to))
			return LWS_TP_STATUS_SYNCING;
	}
}

/* A stay of the task on this thread, measured if it counts (N1) */
static enum lws_threadpool_task_status
stay(struct lwstp_pool *pool, struct lwstp_worker *w, struct lwstp_task *task,
     uint64_t *word, uint64_t *to)
{
	enum lws_threadpool_task_status how;
	lws_usec_t begun = w->counts || w->starts ? lwstp_precise_now() : 0;

	if (w->starts)
		lwstp_record(&pool->queue_us,
			     begun - atomic_load_explicit(&task->born,
							  memory_order_relaxed),
			     w->starts);
	w->frame.task = lwstp_task_handle(task, *word);
	w->frame.why = LWS_TP_STOP_NONE;
	how = run(pool, w, task, word, to);
	w->frame.task = NULL;
	if (w->counts)
		lwstp_record(&pool->run_us, lwstp_precise_now() - begun,
			     w->counts);

	return how;
}

/*
 * After it
 */

/* T9: it waits for a wake, or is the last in line at once */
static LWSTP_POOL_HELD void
__park(struct lwstp_pool *pool, struct lwstp_task *task, lws_usec_t us)
{
	uint64_t word = atomic_load(&task->slot.word);
	bool parks;

	do {
		parks = us && !(word & (LWSTP_WOKEN | LWSTP_STOP)) &&
			!atomic_load(&pool->finishing);
	} while (!lwstp_swap(task, &word,
			     (word & ~LWSTP_WOKEN) |
				     (parks ? LWSTP_PARKED : 0)));
	atomic_store_explicit(&task->since, lwstp_now(), memory_order_relaxed);
	atomic_store_explicit(&task->at, 0, memory_order_relaxed);
	if (!parks) {
		/* behind what is there: else the inbox would wait for the lists
		 * to run out, which yields keep full (S2) */
		lwstp_inbox_put(&pool->inbox, &task->put);
		return;
	}
	LWSTP_PROBE(park, pool, task, word);
	task->is_parked = true;
	pool->n_parked++;
	if (us > 0)
		__lwstp_time_park(pool, task, us);
	/* finish() may have passed it by just before */
	if (atomic_load(&pool->finishing)) {
		word = atomic_load(&task->slot.word);
		while ((word & LWSTP_PARKED) &&
		       !lwstp_task_unpark(task, &word, word))
			;
	}
}

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
	deferred.signal = NULL;
	if (!deferred.cleanup)
		return;

	w->cleaning = true;
	__lwstp_leave_to_others(pool);
	lwstp_unlock(pool);
	lwstp_settle_owed(w);
	lwstp_deferred_do(&deferred, NULL);
	lwstp_lock(pool);
	w->cleaning = false;
}

static LWSTP_POOL_HELD void
__run(struct lwstp_pool *pool, struct lwstp_worker *w, struct lwstp_task *task,
      lws_usec_t now)
{
	enum lws_threadpool_task_status how;
	uint64_t word = atomic_load(&task->slot.word), to = 0;

	atomic_store_explicit(&task->since, now, memory_order_relaxed);
	atomic_store_explicit(&task->worker, (unsigned short)w->index,
			      memory_order_relaxed);
	w->counts = lwstp_sample(&w->runs, now);
	w->starts = atomic_load_explicit(&task->sampled, memory_order_relaxed);
	if (w->starts) {
		atomic_store_explicit(&task->sampled, 0, memory_order_relaxed);
		__lwstp_sample_start(pool, w->starts, now);
	}
	if (lwstp_status(word) == LWS_TP_STATUS_QUEUED)
		LWSTP_PROBE(start, pool, task, word);
	while (lwstp_status(word) == LWS_TP_STATUS_QUEUED &&
	       !lwstp_swap(task, &word,
			   lwstp_with_status(word, LWS_TP_STATUS_RUNNING)))
		;
	w->task = task;
	pool->n_running++;
	__lwstp_leave_to_others(pool);
	lwstp_unlock(pool);
	lwstp_settle_owed(w);

	how = stay(pool, w, task, &word, &to);

	lwstp_lock(pool);
	w->task = NULL;
	atomic_store_explicit(&w->is_left, false, memory_order_relaxed);
	if (how == LWS_TP_STATUS_RUNNING)
		__park(pool, task, w->park_us);
	else if (how != LWS_TP_STATUS_SYNCING)
		__ended(pool, w, task, how);
	else if (!(word & LWSTP_TIMED))
		__lwstp_time_sync(pool, task, to);
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
	const struct lwstp_task *task;

	__lwstp_drain(pool);
	task = __lwstp_any_queued(pool);
	if (task)
		w->cleaned = task->name;
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
		       (uint32_t)atomic_load(&pool->taken);
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

/* P6: before any task; false: it does not start */
static bool
begin(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	bool begins = !pool->thread_start ||
		      !pool->thread_start(pool->opaque, w->index, &w->state);

	lwstp_lock(pool);
	w->start = begins ? LWSTP_STARTED : LWSTP_START_FAILED;
	pool->alive += begins;
	pthread_cond_broadcast(&pool->changed);
	lwstp_unlock(pool);

	return begins;
}

static LWSTP_POOL_HELD void
__serve(struct lwstp_pool *pool, struct lwstp_worker *w)
{
	struct lwstp_task *task;
	lws_usec_t now;

	while (!__may_leave(pool)) {
		now = lwstp_now();
		if (__lwstp_is_due(pool, now) && __lwstp_expire(pool, w))
			continue; /* all may be over by now */
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
}

void *
lwstp_worker_thread(void *arg)
{
	struct lwstp_worker *w = arg;
	struct lwstp_pool *pool = w->pool;

	lwstp_this_worker = w;
	lwstp_frame = &w->frame;
	name_thread(pool, w);
	if (!begin(pool, w))
		return NULL;

	lwstp_lock(pool);
	__serve(pool, w);
	lwstp_wake_all(pool); /* they may leave, too */
	lwstp_unlock(pool);
	lwstp_settle_owed(w);
	if (pool->thread_end)
		pool->thread_end(pool->opaque, w->index, w->state);

	/* destroy() waits for this */
	lwstp_lock(pool);
	pool->alive--;
	pthread_cond_broadcast(&pool->changed);
	lwstp_unlock(pool);

	return NULL;
}
