/*
 * lws-threadpool benchmark - libuv's and GLib's thread pools
 *
 * SPDX-License-Identifier: MIT
 *
 * libuv tells its loop's thread of each end, GLib nobody: there the last task
 * wakes the thread that waits.  Neither has names, times or connections.
 *
 * A libuv work is the caller's memory.  By default each is allocated and freed,
 * as most programs have to, together with what the row wants for its user;
 * uv-array is libuv without that.  GLib gets the user alone, freed by the task.
 */

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <glib.h>
#include <uv.h>

#include "bench.h"

/*
 * libuv
 */

static long uv_done;
static uint64_t uv_busy_ns; /* each work computes so long */
static uv_work_t *uv_works;
static long uv_next;
static bool uv_array; /* the works lie in an array, made beforehand */

static void
uv_work(uv_work_t *work)
{
	(void)work;
	if (uv_busy_ns)
		spin_ns(uv_busy_ns);
}

static void
uv_after(uv_work_t *work, int status)
{
	(void)status;
	uv_done++;
	if (!uv_array)
		free(work);
}

static void
uv_threads(void)
{
	char threads[16];

	snprintf(threads, sizeof(threads), "%d", opt.threads);
	setenv("UV_THREADPOOL_SIZE", threads, 1);
}

static uv_work_t *
uv_allocate(void)
{
	uv_work_t *work = malloc(sizeof(*work) + opt.user);

	if (work && opt.user)
		memset(work + 1, 0, opt.user);

	return work;
}

/* The first work starts the threads, as the other pools have by then */
static void
uv_start(void)
{
	static bool started;
	uv_work_t *work;

	if (started)
		return;
	started = true;
	uv_threads();
	work = uv_allocate();
	if (!work || uv_queue_work(uv_default_loop(), work, uv_work, uv_after))
		die("uv_queue_work");
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}

bool
peer_uv_noop(double *secs)
{
	uv_work_t *work;
	uint64_t begun;
	long i;

	uv_start();
	uv_array = is(opt.who, "uv-array");
	if (!uv_works && uv_array)
		uv_works = need((size_t)opt.n, sizeof(*uv_works));
	uv_done = 0;
	begun = now_ns();
	for (i = 0; i < opt.n; i++) {
		work = uv_array ? &uv_works[i] : uv_allocate();
		if (!work ||
		    uv_queue_work(uv_default_loop(), work, uv_work, uv_after))
			die("uv_queue_work");
	}
	while (uv_done < opt.n)
		uv_run(uv_default_loop(), UV_RUN_ONCE);
	*secs = (double)(now_ns() - begun) / 1e9;

	return true;
}

/* for enqueue.c: one after the other, without memory or names */

void
peer_uv_begin(long n, uint64_t busy_ns)
{
	uv_threads();
	uv_array = true;
	uv_busy_ns = busy_ns;
	uv_works = need((size_t)n, sizeof(*uv_works));
}

bool
peer_uv_enqueue(void)
{
	return !uv_queue_work(uv_default_loop(), &uv_works[uv_next++], uv_work,
			      uv_after);
}

void
peer_uv_until(long n)
{
	while (uv_done < n)
		uv_run(uv_default_loop(), UV_RUN_ONCE);
}

/*
 * GLib
 */

static atomic_long glib_left;
static sem_t glib_all;

static void
glib_work(gpointer data, gpointer user)
{
	(void)user;
	if (opt.user)
		free(data);
	if (atomic_fetch_sub(&glib_left, 1) == 1)
		sem_post(&glib_all);
}

bool
peer_glib_noop(double *secs)
{
	static GThreadPool *pool;
	gpointer data;
	uint64_t begun;
	long i;

	if (!pool) {
		sem_init(&glib_all, 0, 0);
		pool = g_thread_pool_new(glib_work, NULL, opt.threads, TRUE,
					 NULL);
		if (!pool)
			die("g_thread_pool_new");
	}
	atomic_store(&glib_left, opt.n);
	begun = now_ns();
	for (i = 0; i < opt.n; i++) {
		data = opt.user ? calloc(1, opt.user) : GINT_TO_POINTER(1);
		if (!data || !g_thread_pool_push(pool, data, NULL))
			die("g_thread_pool_push");
	}
	while (sem_wait(&glib_all))
		;
	*secs = (double)(now_ns() - begun) / 1e9;

	return true;
}
