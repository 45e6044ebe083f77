/*
 * lws-threadpool - create a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * Locks and conditions are made once for each slot, and stay with it, since a
 * stale handle may lead to them at any time.  All else is made anew for each
 * pool, and its threads last: when they begin the pool is whole.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private.h"

/* what struct lws_threadpool_options was in version 0.1.  Others come behind
 * its sizeof, and are at their defaults for a program that does not know of
 * them. */
#define LWSTP_OPTIONS_0_1 (sizeof(size_t) + 3 * sizeof(int))

/* A condition is made once for a slot, and stays. */
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
	/* held for less time than it takes to sleep */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
	r = pthread_mutex_init(mutex, &attr);
	pthread_mutexattr_destroy(&attr);

	return r;
}

/* Once for a slot: its locks and its condition stay. */
static bool
make_ready(struct lwstp_pool *pool)
{
	if (atomic_load(&pool->ready))
		return true;
	if (mutex_init(&pool->lock))
		return false;
	if (mutex_init(&pool->intake_lock))
		goto no_intake;
	if (cond_init(&pool->ended))
		goto no_cond;
	atomic_store_explicit(&pool->ready, true, memory_order_release);

	return true;

no_cond:
	pthread_mutex_destroy(&pool->intake_lock);
no_intake:
	pthread_mutex_destroy(&pool->lock);

	return false;
}

/* a pool of our own that nobody knows of yet, or NULL */
static struct lwstp_pool *
pool_alloc(int threads)
{
	struct lwstp_pool *pool = (struct lwstp_pool *)
				lwstp_slots_take(&lwstp_pool_slots, 1);

	if (!pool)
		return NULL;
	if (make_ready(pool)) {
		pool->workers = calloc((size_t)threads, sizeof(*pool->workers));
		if (pool->workers)
			return pool;
	}
	pool->slot.next_free = NULL;
	lwstp_slots_give(&lwstp_pool_slots, &pool->slot);

	return NULL;
}

static LWSTP_POOL_HELD int
__worker_start(struct lwstp_pool *pool, int index)
{
	struct lwstp_worker *w = (struct lwstp_worker *)
				lwstp_slots_take(&lwstp_worker_slots, 1);
	int r;

	if (!w)
		return ENOMEM;
	if (!w->cond_ready) {
		r = cond_init(&w->cond);
		if (r)
			goto give_back;
		w->cond_ready = true;
	}
	w->pool = pool;
	w->index = index;
	w->task = w->resumed = NULL;
	w->idle = w->chain = w->ran = w->turn = false;
	r = pthread_create(&w->thread, NULL, lwstp_worker_thread, w);
	if (!r) {
		pool->workers[index] = w;
		return 0;
	}

give_back:
	w->slot.next_free = NULL;
	lwstp_slots_give(&lwstp_worker_slots, &w->slot);

	return r;
}

/* P1: as many as will start, with all signals blocked */
static void
workers_start(struct lwstp_pool *pool, int threads)
{
	sigset_t all, old;
	int r = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	lwstp_lock_pool(pool);
	while (pool->threads < threads) {
		r = __worker_start(pool, pool->threads);
		if (r)
			break;
		pool->threads++;
		pool->alive++;
	}
	lwstp_unlock_pool(pool);
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	if (r)
		lwsl_warn("lws_threadpool_create: pool %s: thread %d of %d "
			  "did not start: %s\n", pool->name,
			  pool->threads + 1, threads, strerror(r));
}

static long
processors(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static void
pool_init(struct lwstp_pool *pool, struct lwstp_host *host,
	  const struct lws_threadpool_create_args *args,
	  const struct lws_threadpool_options *o, const char *name)
{
	lwstp_lock_pool(pool);
	lwstp_lock_intake(pool);
	pool->queued = pool->incoming = pool->resumed = pool->syncing =
		       pool->done = NULL;
	pool->n_resumed = pool->n_syncing = pool->n_done = pool->n_running = 0;
	atomic_store(&pool->n_queued, 0);
	atomic_store(&pool->n_incoming, 0);
	atomic_store(&pool->may_wake, (int)LWSTP_WAKE_NOBODY);
	pool->idle = pool->keeper = pool->spinner = NULL;
	pool->spin_end = pool->no_spin_until = 0;
	atomic_store(&pool->added, 0);
	pool->threads = pool->alive = 0;
	pool->room = 0;
	pool->max_queue_depth = args->max_queue_depth;
	pool->sync_timeout = o->sync_timeout_secs < 0 ? 0 :
		(o->sync_timeout_secs ? o->sync_timeout_secs :
			LWSTP_SYNC_TIMEOUT_SECS) * LWS_US_PER_SEC;
	pool->spin_us = o->sync_spin_us < 0 || processors() < 2 ? 0 :
		(o->sync_spin_us ? o->sync_spin_us : LWSTP_SYNC_SPIN_US);
	pool->nap_us = pool->spin_us < LWSTP_NAP_US ? pool->spin_us :
						      LWSTP_NAP_US;
	memset(pool->refusal_logged, 0, sizeof(pool->refusal_logged));
	memset(pool->refusals, 0, sizeof(pool->refusals));
	pool->pin_tasks = o->pin_tasks;
	pool->destroying = pool->waking = false;
	atomic_store(&pool->finishing, false);
	pool->host = host;
	memcpy(pool->name, name, sizeof(pool->name));
	pool->live = true;
	lwstp_unlock_intake(pool);
	lwstp_unlock_pool(pool);
}

/* P1; and NULL or a copy of the options, of whatever version they are */
static bool
create_args_ok(struct lws_context *context,
	       const struct lws_threadpool_create_args *args,
	       const struct lws_threadpool_options *options,
	       struct lws_threadpool_options *copy)
{
	static const char * const me = "lws_threadpool_create";
	const char *bytes = (const char *)options;
	size_t n;

	memset(copy, 0, sizeof(*copy));
	if (!context || !args) {
		lwsl_err("%s: %s is NULL\n", me, context ? "args" : "context");
		return false;
	}
	if (args->threads < 1 || args->threads > LWSTP_MAX_THREADS) {
		lwsl_err("%s: threads is %d, not 1 to %d\n", me, args->threads,
			 LWSTP_MAX_THREADS);
		return false;
	}
	if (args->max_queue_depth < 1) {
		lwsl_err("%s: max_queue_depth is %d, not 1 to %d\n", me,
			 args->max_queue_depth, INT_MAX);
		return false;
	}
	if (!options)
		return true;

	if (options->size < LWSTP_OPTIONS_0_1 || options->size > 4096) {
		lwsl_err("%s: options->size is %lu, not "
			 "sizeof(struct lws_threadpool_options) = %lu\n", me,
			 (unsigned long)options->size,
			 (unsigned long)sizeof(*options));
		return false;
	}
	for (n = sizeof(*options); n < options->size; n++)
		if (bytes[n]) {
			lwsl_err("%s: options has a member at byte %lu that "
				 "this version does not know\n", me,
				 (unsigned long)n);
			return false;
		}
	memcpy(copy, options, options->size < sizeof(*copy) ? options->size :
							      sizeof(*copy));

	return true;
}

static struct lws_threadpool *
create(struct lws_context *context,
       const struct lws_threadpool_create_args *args,
       const struct lws_threadpool_options *options, const char *format,
       va_list ap)
{
	struct lws_threadpool_options o;
	struct lwstp_host *host = NULL;
	struct lws_threadpool *tp;
	struct lwstp_pool *pool;
	char name[LWSTP_POOL_NAME] = "pool";
	int n;

	if (!create_args_ok(context, args, options, &o))
		return NULL;
	if (format) {
		n = vsnprintf(name, sizeof(name), format, ap);
		if (n >= (int)sizeof(name))
			lwsl_warn("lws_threadpool_create: a name of %d bytes "
				  "is cut to %s\n", n, name);
	}

	pool = pool_alloc(args->threads);
	if (pool)
		host = lwstp_host_get(context);
	if (!host) {
		lwsl_err("lws_threadpool_create: pool %s: %s\n", name,
			 lwstp_context_ending(context) ?
				"the context is being destroyed" :
				"out of memory or fds");
		if (pool)
			lwstp_pool_free(pool);
		return NULL;
	}

	pool_init(pool, host, args, &o, name);
	tp = lwstp_handle(&pool->slot, LWSTP_HANDLE_POOL);
	workers_start(pool, args->threads);
	if (pool->threads)
		return tp;

	lwsl_err("lws_threadpool_create: pool %s: not one thread could be "
		 "started\n", name);
	lwstp_pool_free(pool);
	lwstp_host_put(host);

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
