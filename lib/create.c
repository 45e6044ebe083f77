/*
 * lws-threadpool - create a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * A pool is a slot (see handle.c).  Its lock and condition are made once, and
 * stay with the slot, since a stale handle may lead to them at any time; all
 * else is made anew for each pool, and its threads last.
 */

#include <errno.h>
#include <limits.h>
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
	if (lwstp_cond_init(&pool->changed)) {
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

static void
numbers_init(struct lwstp_pool *pool)
{
	struct lwstp_histogram *h[] = { &pool->queue_us, &pool->run_us,
					&pool->sync_us };
	unsigned int i, n;

	atomic_store(&pool->n_refused, 0);
	atomic_store(&pool->n_wakes, 0);
	atomic_store(&pool->n_calls, 0);
	atomic_store(&pool->starts_weight, 1);
	atomic_store(&pool->starts_since, 0);
	for (i = 0; i < 3; i++) {
		atomic_store(&h[i]->total, 0);
		for (n = 0; n < 32; n++)
			atomic_store(&h[i]->n[n], 0);
	}
}

static LWSTP_POOL_HELD void
__take_options(struct lwstp_pool *pool, const struct lws_threadpool_options *o)
{
	pool->starts = 0;
	pool->pin_tasks = o->pin_tasks;
	pool->sync_timeout = o->sync_timeout_secs < 0 ?
				     0 :
				     (o->sync_timeout_secs ?
					      o->sync_timeout_secs :
					      LWSTP_SYNC_TIMEOUT_SECS) *
					     LWS_US_PER_SEC;
	pool->spin_us = o->sync_spin_us < 0 || processors() < 2 ?
				0 :
				(o->sync_spin_us ? o->sync_spin_us :
						   LWSTP_SYNC_SPIN_US);
	pool->max_kept = o->max_kept < 0 ? 0 :
			 o->max_kept	 ? (unsigned int)o->max_kept :
					   LWSTP_MAX_KEPT;
	pool->keep_us = o->keep_secs < 0 ? 0 :
					   (o->keep_secs ? o->keep_secs :
							   LWSTP_KEEP_SECS) *
						   LWS_US_PER_SEC;
	pool->thread_start = o->thread_start;
	pool->thread_end = o->thread_end;
	pool->opaque = o->opaque;
}

static void
pool_init(struct lwstp_pool *pool, struct lwstp_context *context,
	  const struct lws_threadpool_create_args *args,
	  const struct lws_threadpool_options *o, const char *name)
{
	int n;

	lwstp_lock(pool);
	pool->queued = pool->released = pool->resumed = NULL;
	pool->done = pool->kept = NULL;
	pool->keys = NULL;
	pool->tokens = NULL;
	pool->holding = NULL;
	pool->timers = NULL;
	pool->keeper = NULL;
	pool->clock_at = 0;
	pool->clock.look = lwstp_clock_look;
	pool->n_queued = pool->n_resumed = pool->n_done = 0;
	pool->n_running = pool->n_started = pool->n_parked = pool->n_kept = 0;
	pool->n_finished = pool->n_stopped = pool->n_timed_out = 0;
	pool->indexes = pool->threads = pool->alive = 0;
	atomic_store(&pool->destroying, false);
	pool->refused_since = 0;
	pool->refused_said = 0;
	memset(pool->refused_unsaid, 0, sizeof(pool->refused_unsaid));
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
	numbers_init(pool);
	memcpy(pool->name, name, sizeof(pool->name));
	__take_options(pool, o);
	lwstp_unlock(pool);
}

/* whether the system takes that size of a stack */
static bool
stack_size_ok(size_t size, const char *me)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (!r) {
		r = pthread_attr_setstacksize(&attr, size);
		pthread_attr_destroy(&attr);
	}
	if (r)
		lwstp_log(LLL_ERR, "%s: options->stack_size is %lu: %s\n", me,
			  (unsigned long)size, lwstp_error(r));

	return !r;
}

/* a copy of the options, which may be those of a later version */
static bool
options_ok(const struct lws_threadpool_options *options,
	   struct lws_threadpool_options *copy, const char *me)
{
	char text[96];

	memset(copy, 0, sizeof(*copy));
	if (!options)
		return true;
	if (!lwstp_copy_struct(copy, sizeof(*copy), options, text,
			       sizeof(text))) {
		lwstp_log(LLL_ERR, "%s: %s\n", me, text);
		return false;
	}
	if (copy->reserved)
		lwstp_log(LLL_ERR, "%s: options->reserved is %d, not 0\n", me,
			  copy->reserved);

	return !copy->reserved &&
	       (!copy->stack_size || stack_size_ok(copy->stack_size, me));
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
	if (make_ready(pool) && lwstp_threads_room(pool, threads))
		return pool;
	lwstp_slot_give(LWSTP_POOLS, &pool->slot);

	return NULL;
}

/* there is no pool without it */
static void
no_context(struct lws_context *lws, const struct lwstp_failure *failure,
	   const char *name)
{
	if (lwstp_context_ending(lws)) {
		lwstp_refused = LWS_TP_REFUSED_CONTEXT;
		lwstp_log(LLL_ERR,
			  "lws_threadpool_create: pool %s: the "
			  "context is being destroyed\n",
			  name);
		return;
	}
	if (failure->call && failure->error != ENOMEM)
		lwstp_refused = LWS_TP_REFUSED_FDS;
	lwstp_log(LLL_ERR, "lws_threadpool_create: pool %s: %s%s%s\n", name,
		  failure->call ? failure->call : "out of memory",
		  failure->call ? ": " : "",
		  failure->call ? lwstp_error(failure->error) : "");
}

static void
write_name(char name[LWSTP_POOL_NAME], const char *format, va_list ap)
{
	int n = vsnprintf(name, LWSTP_POOL_NAME, format, ap);

	if (n >= LWSTP_POOL_NAME)
		lwstp_log(LLL_WARN,
			  "lws_threadpool_create: a name of %d bytes "
			  "is cut to %s\n",
			  n, name);
}

static struct lws_threadpool *
create(struct lws_context *lws, const struct lws_threadpool_create_args *args,
       const struct lws_threadpool_options *options, const char *format,
       va_list ap)
{
	static const char *const me = "lws_threadpool_create";
	struct lws_threadpool_options o;
	struct lwstp_failure failure = { NULL, 0 };
	struct lwstp_context *context = NULL;
	struct lwstp_pool *pool;
	char name[LWSTP_POOL_NAME] = "pool";
	uint64_t word;

	lwstp_refused = LWS_TP_REFUSED_ARGS;
	if (!args_ok(lws, args, me) || !options_ok(options, &o, me))
		return NULL;
	if (format)
		write_name(name, format, ap);
	pool = pool_alloc(args->threads);
	if (pool)
		context = lwstp_context_get(lws, &failure);
	lwstp_refused = LWS_TP_REFUSED_MEMORY;
	if (!context) {
		no_context(lws, &failure, name);
		if (pool)
			lwstp_pool_free(pool);
		return NULL;
	}
	if (failure.call)
		lwstp_log(LLL_WARN,
			  "%s: pool %s: %s: %s: SYNCs go by "
			  "lws_cancel_service(), which is slower\n",
			  me, name, failure.call, lwstp_error(failure.error));

	pool_init(pool, context, args, &o, name);
	word = atomic_load(&pool->slot.word) &
	       ~(LWSTP_POOL_FINISHING | LWSTP_POOL_DRAINING | LWSTP_POOL_COUNT);
	atomic_store(&pool->slot.word, word);
	lwstp_threads_start(pool, args->threads, o.stack_size);
	if (pool->threads) {
		lwstp_refused = LWS_TP_REFUSED_NONE;
		lwstp_lock(pool);
		pool->exists = true;
		lwstp_unlock(pool);
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
