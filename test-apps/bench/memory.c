/*
 * lws-threadpool benchmark - the memory of a task and of a wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * heap is what malloc() gave out, rss what the process then holds of the
 * machine's memory, both over many.  The memory of the kernel for the fds is in
 * neither.
 */

#include <malloc.h>
#include <stdio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "bench.h"

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool open; /* lock */
} gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };

static atomic_long called;
static volatile long ended;
/* what a task is kept in: SYNCING, or parked */
static bool sync_them, park_them;

static size_t heap_then, rss_then;

static size_t
heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static size_t
rss(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu %lu", &size, &resident) != 2)
		die("/proc/self/statm");
	fclose(f);

	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void
begin(void)
{
	heap_then = heap();
	rss_then = rss();
}

static void
end(const char *what)
{
	char name[32];

	snprintf(name, sizeof(name), "%s heap", what);
	out_as(BENCH_SELF, name,
	       ((double)heap() - (double)heap_then) / (double)opt.n, "bytes");
	snprintf(name, sizeof(name), "%s rss", what);
	out_as(BENCH_SELF, name,
	       ((double)rss() - (double)rss_then) / (double)opt.n, "bytes");
}

static enum lws_threadpool_task_return
blocker(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	pthread_mutex_lock(&gate.lock);
	while (!gate.open)
		pthread_cond_wait(&gate.cond, &gate.lock);
	pthread_mutex_unlock(&gate.lock);

	return LWS_TP_RETURN_FINISHED;
}

static enum lws_threadpool_task_return
job(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	atomic_fetch_add(&called, 1);
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
#if !defined(BENCH_BUILTIN)
	if (park_them)
		return lws_threadpool_park(-1);
#endif

	return sync_them ? LWS_TP_RETURN_SYNC : LWS_TP_RETURN_FINISHED;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	ended = ended + 1;
}

static int
look(struct rig_wsi *w)
{
	struct lws_threadpool_task *task;
	void *user;

	while ((task = lws_threadpool_get_task_wsi(w->wsi)) &&
	       lws_threadpool_task_status(task, &user) ==
		       LWS_TP_STATUS_FINISHED)
		;

	return 0;
}

static void
enqueue(struct lws_threadpool *tp, struct lws *wsi,
	enum lws_threadpool_task_return (*task)(
		void *user, enum lws_threadpool_task_status s))
{
	struct lws_threadpool_task_args args = {
		.wsi = wsi,
		.task = task,
		.cleanup = job_cleanup,
	};

	if (!lws_threadpool_enqueue(tp, &args, "a task"))
		die("refused");
}

static void
queued(struct lws_threadpool *tp)
{
	long i;

	for (i = 0; i < opt.threads; i++)
		enqueue(tp, rig.wsis[0].wsi, blocker);
	begin();
	for (i = 0; i < opt.n; i++)
		enqueue(tp, rig.wsis[0].wsi, job);
	end("queued task");
}

static void
kept(struct lws_threadpool *tp, struct lws *wsi)
{
	uint64_t limit = now_ns() + (uint64_t)(opt.limit * 1e9);
	long i;

	begin();
	for (i = 0; i < opt.n; i++)
		enqueue(tp, wsi, job);
	while (atomic_load(&called) < opt.n && now_ns() < limit)
		usleep(1000);
	if (atomic_load(&called) < opt.n)
		die("only %ld were called", atomic_load(&called));
	end(park_them ? "parked task" : "SYNCING task");
}

/* the memory of the tasks is there already when the wsi get theirs */
static void
attached(struct lws_threadpool *tp)
{
	long i;

	for (i = 0; i < opt.n; i++)
		enqueue(tp, rig.wsis[0].wsi, job);
	if (!rig_until(&ended, opt.n))
		die("the first tasks do not end");
	begin();
	for (i = 1; i < rig.n_wsis; i++)
		enqueue(tp, rig.wsis[i].wsi, job);
	if (!rig_until(&ended, opt.n * 2))
		die("the second tasks do not end");
	end("idle wsi");
}

int
bench_memory(void)
{
	bool wsi = is(opt.who, "wsi") || is(opt.who, "opt-in");
	struct lws_threadpool *tp;

	if (!opt.n)
		opt.n = wsi ? 9000 : 100000;
	params("n=%ld;t=%d;m=%s", opt.n, opt.threads, opt.who);
	rig_up(wsi ? opt.n + 1 : 1, look);
	begin();
	tp = rig_pool(opt.threads, opt.n + opt.threads);
	sync_them = is(opt.who, "syncing");
	park_them = is(opt.who, "parked");
	if (sync_them || park_them)
		kept(tp, sync_them ? rig.wsis[0].wsi : NULL);
	else if (wsi)
		attached(tp);
	else
		queued(tp);

	return 0;
}
