/*
 * lws-threadpool benchmark - several service threads that ask at once
 *
 * SPDX-License-Identifier: MIT
 *
 * -t service threads serve one context, with a wsi each and a task that is
 * SYNCING on it.  All of them call lws_threadpool_get_task_wsi() for -s
 * seconds: nothing of it is the others', so the rate should grow with the
 * threads.  It takes a libwebsockets that was built with LWS_MAX_SMP above 1.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

#define MAX_THREADS 32
#define BATCH	    10000

static struct lws_threadpool *pool;
static struct rig_wsi *its_wsi[MAX_THREADS];
static pthread_barrier_t all_ready;
static double rate[MAX_THREADS];
static atomic_long finished;

static enum lws_threadpool_task_return
syncs(void *user, enum lws_threadpool_task_status s)
{
	(void)user;

	return s == LWS_TP_STATUS_STOPPING ? LWS_TP_RETURN_STOPPED :
					     LWS_TP_RETURN_SYNC;
}

static void
measure(struct rig_wsi *w)
{
	uint64_t begun, until, now;
	long n = 0;
	int i;

	pthread_barrier_wait(&all_ready);
	begun = now_ns();
	until = begun + (uint64_t)(opt.secs * 1e9);
	do {
		for (i = 0; i < BATCH; i++)
			if (!lws_threadpool_get_task_wsi(w->wsi))
				die("a task has gone");
		n += BATCH;
		now = now_ns();
	} while (now < until);
	rate[lws_get_tsi(w->wsi)] = (double)n * 1e9 / (double)(now - begun);
	atomic_fetch_add(&finished, 1);
}

static int
on_writeable(struct rig_wsi *w)
{
	struct lws_threadpool_task_args args = {
		.wsi = w->wsi,
		.task = syncs,
	};
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(w->wsi);
	void *user;

	if (!task && !w->cursor) {
		w->cursor = 1;
		if (!lws_threadpool_enqueue(pool, &args, "stream"))
			die("refused");
	} else if (task && w->cursor == 1 &&
		   lws_threadpool_task_status(task, &user) ==
			   LWS_TP_STATUS_SYNCING) {
		w->cursor = 2;
		measure(w);
	}

	return 0;
}

static void *
service_thread(void *arg)
{
	struct rig_wsi *w = arg;
	int tsi = lws_get_tsi(w->wsi);

	lws_callback_on_writable(w->wsi);
	while (atomic_load(&finished) < opt.threads)
		lws_service_tsi(rig.context, 0, tsi);
	/* each has to hear of it */
	lws_cancel_service(rig.context);

	return NULL;
}

/* one wsi for each service thread: lws decides which one a new wsi gets */
static void
spread_wsis(void)
{
	int i;

	for (i = 0; i < rig.n_wsis; i++)
		its_wsi[lws_get_tsi(rig.wsis[i].wsi)] = &rig.wsis[i];
	for (i = 0; i < opt.threads; i++)
		if (!its_wsi[i])
			die("service thread %d got no wsi", i);
}

int
bench_lookups(void)
{
	pthread_t threads[MAX_THREADS];
	double sum = 0;
	int i;

	if (opt.threads > MAX_THREADS)
		die("-t is %d at most", MAX_THREADS);
	params("t=%d;s=%g", opt.threads, opt.secs);
	rig.service_threads = opt.threads;
	rig_up(4 * opt.threads, on_writeable);
	if (lws_get_count_threads(rig.context) < opt.threads)
		die("this libwebsockets has too few service threads "
		    "(LWS_MAX_SMP)");
	spread_wsis();
	pool = rig_pool(1, opt.threads);
	pthread_barrier_init(&all_ready, NULL, (unsigned int)opt.threads);
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&threads[i], NULL, service_thread,
				   its_wsi[i]))
			die("no thread");
	for (i = 0; i < opt.threads; i++) {
		pthread_join(threads[i], NULL);
		sum += rate[i];
	}
	out("rate", sum, "lookups/s");

	return 0;
}
