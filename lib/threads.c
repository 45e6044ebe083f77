/*
 * lws-threadpool - the threads of a pool, and their beginning
 *
 * SPDX-License-Identifier: MIT
 *
 * Workers belong to a pool's slot, and are used again by the next pool there.
 * Each thread calls thread_start() before any task (P6), and create() waits for
 * them all.  Those for which that failed are gone then, and their numbers stay
 * unused.
 */

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "private.h"

int
lwstp_cond_init(pthread_cond_t *cond)
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

/* What a worker waits with is made once, and stays: somebody may be about to
 * wake it when its pool has ended. */
static bool
make_workers(struct lwstp_worker *w, int n)
{
	for (; n--; w++) {
		if (pthread_mutex_init(&w->mutex, NULL))
			return false;
		if (lwstp_cond_init(&w->cond))
			return false;
	}

	return true;
}

/* Those of the slot's last pool, or, if that had fewer, as many anew; each time
 * twice as many, so that what is left behind is no more than what is used. */
bool
lwstp_threads_room(struct lwstp_pool *pool, int threads)
{
	struct lwstp_worker *workers;
	int room = pool->room ? pool->room : 4;

	while (room < threads)
		room *= 2;
	if (room == pool->room)
		return true;
	workers = calloc((size_t)room, sizeof(*workers));
	if (!workers || !make_workers(workers, room)) {
		free(workers);
		return false;
	}
	workers->outgrown = atomic_load(&pool->workers);
	atomic_store(&pool->workers, workers);
	pool->room = room;

	return true;
}

static LWSTP_POOL_HELD int
__start_one(struct lwstp_pool *pool, int index, const pthread_attr_t *attr)
{
	struct lwstp_worker *w = atomic_load(&pool->workers) + index;
	int r;

	w->pool = pool;
	w->index = index;
	w->task = w->resumed = NULL;
	w->prefer_resumed = w->cleaning = w->synced = false;
	w->owed = NULL;
	w->state = NULL;
	memset(&w->frame, 0, sizeof(w->frame));
	w->frame.how = LWS_TP_STATUS_STOPPED;
	memset(&w->runs, 0, sizeof(w->runs));
	atomic_store(&w->syncs, 0);
	atomic_store(&w->is_left, false);
	w->start = LWSTP_STARTING;

	r = pthread_create(&w->thread, attr, lwstp_worker_thread, w);
	if (r)
		w->start = LWSTP_NOT_MADE;

	return r;
}

static void *
nothing(void *arg)
{
	return arg;
}

/* whether it is the size of the stack that the system refuses: with its own
 * size it makes a thread */
static bool
is_stack_refused(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, nothing, NULL))
		return false;
	pthread_join(thread, NULL);

	return true;
}

/* They block all signals but those that tell of a fault of the thread itself.
 * Returns why one could not be made, or 0. */
static int
make_threads(struct lwstp_pool *pool, int threads, const pthread_attr_t *attr,
	     size_t stack_size)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
				      SIGTRAP, SIGSYS, SIGABRT };
	sigset_t blocked, old;
	unsigned int n;
	int r, made = 0, error = 0;

	sigfillset(&blocked);
	for (n = 0; n < sizeof(faults) / sizeof(faults[0]); n++)
		sigdelset(&blocked, faults[n]);
	pthread_sigmask(SIG_SETMASK, &blocked, &old);
	lwstp_lock(pool);
	while (pool->indexes < threads) {
		r = __start_one(pool, pool->indexes, attr);
		pool->indexes++;
		error = r ? r : error;
		made += !r;
	}
	lwstp_unlock(pool);
	if (stack_size && !made && is_stack_refused())
		lwstp_refused = LWS_TP_REFUSED_ARGS;
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	return error;
}

/* P6: until none is starting any more */
static void
wait_for_starts(struct lwstp_pool *pool)
{
	const struct lwstp_worker *w = atomic_load(&pool->workers);
	int n;

	lwstp_lock(pool);
	for (n = 0; n < pool->indexes; n++)
		while (w[n].start == LWSTP_STARTING)
			pthread_cond_wait(&pool->changed, &pool->lock);
	atomic_store(&pool->threads, pool->alive);
	lwstp_unlock(pool);
}

static LWSTP_UNCHECKED void
join(struct lwstp_pool *pool, enum lwstp_start start)
{
	const struct lwstp_worker *w = atomic_load(&pool->workers);
	int n;

	for (n = 0; n < pool->indexes; n++)
		if (w[n].start == start)
			pthread_join(w[n].thread, NULL);
}

void
lwstp_threads_start(struct lwstp_pool *pool, int threads, size_t stack_size)
{
	pthread_attr_t attr;
	int error = pthread_attr_init(&attr);

	if (!error) {
		if (stack_size) /* was tried before, see create.c */
			(void)pthread_attr_setstacksize(&attr, stack_size);
		error = make_threads(pool, threads, &attr, stack_size);
		pthread_attr_destroy(&attr);
		wait_for_starts(pool);
		join(pool, LWSTP_START_FAILED);
	}
	if (pool->threads < threads)
		lwstp_log(LLL_WARN,
			  "lws_threadpool_create: pool %s: %d of %d "
			  "threads did not start: %s\n",
			  pool->name, threads - pool->threads, threads,
			  error ? lwstp_error(error) :
				  "thread_start() did not return 0");
}

void
lwstp_threads_join(struct lwstp_pool *pool)
{
	join(pool, LWSTP_STARTED);
}

void *
lws_threadpool_thread_state(void)
{
	return lwstp_this_worker ? lwstp_this_worker->state : NULL;
}
