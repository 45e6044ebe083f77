/*
 * lws-threadpool - create a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * A pool is a slot (see handle.c).  Its lock and condition are made once, and
 * stay with the slot, since a stale handle may lead to them at any time; all
 * else is made anew for each pool, and its threads last.
 */

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

#include "private.h"

static int
cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int r = pthread_condattr_init(&attr);

	if (r)
		return r;
	r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	if (!r)
		r = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);

	return r;
}

static int
mutex_init(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t attr;
	int r = pthread_mutexattr_init(&attr);

	if (r)
		return r;
#if defined(__GLIBC__)
	/* it is held for less time than a thread takes to sleep */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
	r = pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);

	return r;
}

/* once for a slot */
static bool
make_ready(struct lwstp_pool *pool)
{
	if (atomic_load(&pool->ready))
		return true;
	if (mutex_init(&pool->lock))
		return false;
	if (cond_init(&pool->changed)) {
		pthread_mutex_destroy(&pool->lock);
		return false;
	}
	atomic_store(&pool->ready, true);

	return true;
}

/* how many this process may use */
static long
processors(void)
{
#if defined(CPU_COUNT)
	cpu_set_t set;

	if (!sched_getaffinity(0, sizeof(set), &set))
		return CPU_COUNT(&set);
#endif
	return sysconf(_SC_NPROCESSORS_ONLN);
}

/* What a worker waits with is made once, and stays: somebody may be about to
 * wake it when its pool has ended. */
static bool
workers_make(struct lwstp_worker *w, int n)
{
	for (; n--; w++) {
		if (pthread_mutex_init(&w->mutex, NULL))
			return false;
		if (cond_init(&w->cond))
			return false;
	}

	return true;
}

/* Those of the slot's last pool, or, if that had fewer, as many anew; each time
 * twice as many, so that what is left behind is no more than what is used. */
static bool
workers_room(struct lwstp_pool *pool, int threads)
{
	struct lwstp_worker *workers;
	int room = pool->room ? pool->room : 4;

	while (room < threads)
		room *= 2;
	if (room == pool->room)
		return true;
	workers = calloc((size_t)room, sizeof(*workers));
	if (!workers || !workers_make(workers, room)) {
		free(workers);
		return false;
	}
	workers->outgrown = atomic_load(&pool->workers);
	atomic_store(&pool->workers, workers);
	pool->room = room;

	return true;
}

static LWSTP_POOL_HELD int
__worker_start(struct lwstp_pool *pool, int index)
{
	struct lwstp_worker *w = atomic_load(&pool->workers) + index;

	w->pool = pool;
	w->index = index;
	w->task = w->resumed = NULL;
	w->prefer_resumed = w->cleaning = w->parked = false;
	w->owed = NULL;

	return pthread_create(&w->thread, NULL, lwstp_worker_thread, w);
}

/* P1: as many as will start.  They block all signals but those that tell of a
 * fault of the thread itself. */
static void
workers_start(struct lwstp_pool *pool, int threads)
{
	static const int faults[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT
	};
	sigset_t blocked, old;
	unsigned int n;
	int r = 0;

	sigfillset(&blocked);
	for (n = 0; n < sizeof(faults) / sizeof(faults[0]); n++)
		sigdelset(&blocked, faults[n]);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	lwstp_lock(pool);
	while (pool->threads < threads) {
		r = __worker_start(pool, pool->threads);
		if (r)
			break;
		pool->threads++;
		pool->alive++;
	}
	lwstp_unlock(pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	if (r)
		lwstp_log(LLL_WARN, "lws_threadpool_create: pool %s: thread %d "
			  "of %d did not start: %s\n", pool->name,
			  pool->threads + 1, threads, lwstp_error(r));
}

static void
pool_init(struct lwstp_pool *pool, struct lwstp_context *context,
	  const struct lws_threadpool_create_args *args,
	  const struct lws_threadpool_options *o, const char *name)
{
	int n;

	lwstp_lock(pool);
	pool->queued = pool->resumed = pool->done = NULL;
	pool->timers = NULL;
	pool->keeper = NULL;
	pool->n_queued = pool->n_resumed = pool->n_done = 0;
	pool->n_running = pool->n_started = 0;
	pool->threads = pool->alive = 0;
	atomic_store(&pool->destroying, false);
	pool->refused_since = 0;
	pool->refused_said = pool->refused_unsaid = 0;
	atomic_store(&pool->taken, 0);
	atomic_store(&pool->room_until, 0);
	atomic_store(&pool->listed, 0);
	atomic_store(&pool->spinner, false);
	atomic_store(&pool->waking, false);
	atomic_store(&pool->finishing, false);
	for (n = 0; n < LWSTP_MAX_THREADS / 32; n++)
		atomic_store(&pool->idle[n], 0);
	pool->fork = lwstp_forks();
	pool->context = context;
	pool->max_queue_depth = args->max_queue_depth;
	pool->pin_tasks = o->pin_tasks;
	pool->sync_timeout = o->sync_timeout_secs < 0 ? 0 :
		(o->sync_timeout_secs ? o->sync_timeout_secs :
			LWSTP_SYNC_TIMEOUT_SECS) * LWS_US_PER_SEC;
	pool->spin_us = o->sync_spin_us < 0 || processors() < 2 ? 0 :
		(o->sync_spin_us ? o->sync_spin_us : LWSTP_SYNC_SPIN_US);
	memcpy(pool->name, name, sizeof(pool->name));
	lwstp_unlock(pool);
}

/* what is wrong with them, or NULL */
static const char *
options_fault(const struct lws_threadpool_options *o)
{
	if (o->keep_secs || o->max_kept)
		return "keep_secs or max_kept is set: there are no tokens yet";
	if (o->thread_start || o->thread_end || o->opaque)
		return "thread_start, thread_end or opaque is set: not yet";
	if (o->stack_size)
		return "stack_size is set: not yet";

	return o->reserved ? "reserved is not 0" : NULL;
}

/* A copy of the options, which may be those of a later version: what comes
 * after the members that we know must be 0. */
static bool
options_ok(const struct lws_threadpool_options *options,
	   struct lws_threadpool_options *copy, const char *me)
{
	const char *bytes = (const char *)options, *fault;
	size_t n;

	memset(copy, 0, sizeof(*copy));
	if (!options)
		return true;
	if (options->size < sizeof(*copy) || options->size > 4096) {
		lwstp_log(LLL_ERR, "%s: options->size is %lu, not "
			  "sizeof(struct lws_threadpool_options) = %lu\n", me,
			  (unsigned long)options->size,
			  (unsigned long)sizeof(*options));
		return false;
	}
	for (n = sizeof(*copy); n < options->size; n++)
		if (bytes[n]) {
			lwstp_log(LLL_ERR, "%s: options has a member at byte "
				  "%lu that this version does not know\n", me,
				  (unsigned long)n);
			return false;
		}
	memcpy(copy, options, sizeof(*copy));
	fault = options_fault(copy);
	if (fault)
		lwstp_log(LLL_ERR, "%s: options: %s\n", me, fault);

	return !fault;
}

/* P1 */
static bool
args_ok(struct lws_context *lws, const struct lws_threadpool_create_args *args,
	const char *me)
{
	if (!lws || !args) {
		lwstp_log(LLL_ERR, "%s: %s is NULL\n", me,
			  lws ? "args" : "context");
		return false;
	}
	if (args->threads < 1 || args->threads > LWSTP_MAX_THREADS) {
		lwstp_log(LLL_ERR, "%s: threads is %d, not 1 to %d\n", me,
			  args->threads, LWSTP_MAX_THREADS);
		return false;
	}
	if (args->max_queue_depth < 1) {
		lwstp_log(LLL_ERR, "%s: max_queue_depth is %d, not 1 to %d\n",
			  me, args->max_queue_depth, INT_MAX);
		return false;
	}

	return true;
}

/* a pool of our own that nobody knows of yet, or NULL */
static struct lwstp_pool *
pool_alloc(int threads)
{
	struct lwstp_pool *pool;

	pool = (struct lwstp_pool *)lwstp_slot_take(LWSTP_POOLS);
	if (!pool)
		return NULL;
	atomic_store(&pool->threads, 0);
	if (make_ready(pool) && workers_room(pool, threads))
		return pool;
	lwstp_slot_give(LWSTP_POOLS, &pool->slot);

	return NULL;
}

/* there is no pool without it */
static void
no_context(struct lws_context *lws, const struct lwstp_failure *failure,
	   const char *name)
{
	if (lwstp_context_ending(lws))
		lwstp_log(LLL_ERR, "lws_threadpool_create: pool %s: the "
			  "context is being destroyed\n", name);
	else
		lwstp_log(LLL_ERR, "lws_threadpool_create: pool %s: %s%s%s\n",
			  name, failure->call ? failure->call : "out of memory",
			  failure->call ? ": " : "",
			  failure->call ? lwstp_error(failure->error) : "");
}

static struct lws_threadpool *
create(struct lws_context *lws, const struct lws_threadpool_create_args *args,
       const struct lws_threadpool_options *options, const char *format,
       va_list ap)
{
	static const char * const me = "lws_threadpool_create";
	struct lws_threadpool_options o;
	struct lwstp_failure failure = { NULL, 0 };
	struct lwstp_context *context = NULL;
	struct lwstp_pool *pool;
	char name[LWSTP_POOL_NAME] = "pool";
	uint64_t word;
	int n;

	if (!args_ok(lws, args, me) || !options_ok(options, &o, me))
		return NULL;
	if (format) {
		n = vsnprintf(name, sizeof(name), format, ap);
		if (n >= (int)sizeof(name))
			lwstp_log(LLL_WARN, "%s: a name of %d bytes is cut to "
				  "%s\n", me, n, name);
	}

	pool = pool_alloc(args->threads);
	if (pool)
		context = lwstp_context_get(lws, &failure);
	if (!context) {
		no_context(lws, &failure, name);
		if (pool)
			lwstp_pool_free(pool);
		return NULL;
	}
	if (failure.call)
		lwstp_log(LLL_WARN, "%s: pool %s: %s: %s: SYNCs go by "
			  "lws_cancel_service(), which is slower\n", me, name,
			  failure.call, lwstp_error(failure.error));

	pool_init(pool, context, args, &o, name);
	word = atomic_load(&pool->slot.word) & ~(LWSTP_POOL_FINISHING |
						 LWSTP_POOL_COUNT);
	atomic_store(&pool->slot.word, word);
	workers_start(pool, args->threads);
	if (pool->threads) {
		lwstp_watch_open_later(context);
		return lwstp_handle(LWSTP_POOLS, &pool->slot, word);
	}

	lwstp_log(LLL_ERR, "%s: pool %s: no thread could be started\n", me,
		  name);
	lwstp_pool_free(pool);
	lwstp_context_put(context);

	return NULL;
}

struct lws_threadpool *
lws_threadpool_create_ext(struct lws_context *context,
			  const struct lws_threadpool_create_args *args,
			  const struct lws_threadpool_options *options,
			  const char *format, ...)
{
	struct lws_threadpool *tp;
	va_list ap;

	va_start(ap, format);
	tp = create(context, args, options, format, ap);
	va_end(ap);

	return tp;
}

struct lws_threadpool *
lws_threadpool_create(struct lws_context *context,
		      const struct lws_threadpool_create_args *args,
		      const char *format, ...)
{
	struct lws_threadpool *tp;
	va_list ap;

	va_start(ap, format);
	tp = create(context, args, NULL, format, ap);
	va_end(ap);

	return tp;
}
