/*
 * lws-threadpool benchmark - many streams at a time
 *
 * SPDX-License-Identifier: MIT
 *
 * A wsi each, a task each, so many SYNCs each, and -b microseconds of computing
 * before each of these.  Beside the rate: how many streams had got their first
 * SYNC answered when the first stream ended, and when that was, in parts of the
 * whole time.  All of them and near 1 is fair.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "bench.h"

struct stream {
	long left;
	bool begun;
};

static struct stream *streams;
static volatile long ended; /* service thread */
static atomic_long begun;
static atomic_long begun_at_first_end = -1;
static atomic_uint_fast64_t first_end;
static atomic_long syncs;

static enum lws_threadpool_task_return
stream(void *user, enum lws_threadpool_task_status s)
{
	struct stream *st = user;
	uint_fast64_t none = 0;
	long unset = -1;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (opt.work)
		spin_ns((uint64_t)opt.work * 1000);
	if (st->left < opt.syncs) {
		atomic_fetch_add_explicit(&syncs, 1, memory_order_relaxed);
		if (!st->begun) {
			st->begun = true;
			atomic_fetch_add(&begun, 1);
		}
	}
	if (st->left--)
		return LWS_TP_RETURN_SYNC;
	if (atomic_compare_exchange_strong(&first_end, &none, now_ns()))
		atomic_compare_exchange_strong(&begun_at_first_end, &unset,
					       atomic_load(&begun));

	return LWS_TP_RETURN_FINISHED;
}

static void
stream_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	ended = ended + 1;
}

/* the plain switch of a WRITEABLE callback */
static int
serve(struct rig_wsi *w)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(w->wsi);
	void *user;

	if (task &&
	    lws_threadpool_task_status(task, &user) == LWS_TP_STATUS_SYNCING)
		lws_threadpool_task_sync(task, 0);

	return 0;
}

#if !defined(BENCH_BUILTIN)

/* the same by handlers */
static int
serve_by_handlers(struct rig_wsi *w)
{
	return lws_threadpool_serve(w->wsi);
}

static int
on_sync(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;

	return LWS_TP_ON_SYNC_RESUME;
}

static struct lws_threadpool_task *
enqueue(struct lws_threadpool *tp, const struct lws_threadpool_task_args *args,
	long i)
{
	const struct lws_threadpool_task_options o = {
		.size = sizeof(o),
		.on_sync = on_sync,
	};

	if (is(opt.who, "serve"))
		return lws_threadpool_enqueue_ext(tp, args, &o, "stream %ld",
						  i);

	return lws_threadpool_enqueue(tp, args, "stream %ld", i);
}

#else

#define serve_by_handlers serve

static struct lws_threadpool_task *
enqueue(struct lws_threadpool *tp, const struct lws_threadpool_task_args *args,
	long i)
{
	return lws_threadpool_enqueue(tp, args, "stream %ld", i);
}

#endif

int
bench_streams(void)
{
	struct lws_threadpool_task_args args = {
		.task = stream,
		.cleanup = stream_cleanup,
	};
	struct lws_threadpool *tp;
	char work[16] = "";
	uint64_t from;
	double secs;
	bool whole;
	long i;

	if (!opt.n)
		opt.n = 1000;
	if (!opt.syncs)
		opt.syncs = 100;
	if (opt.work)
		snprintf(work, sizeof(work), "b=%d;", opt.work);
	params("n=%ld;k=%ld;%st=%d;e=%s", opt.n, opt.syncs, work, opt.threads,
	       opt.evlib);
	streams = need((size_t)opt.n, sizeof(*streams));
	rig_up(opt.n, is(opt.who, "serve") ? serve_by_handlers : serve);
	tp = rig_pool(opt.threads, opt.n);

	from = now_ns();
	for (i = 0; i < opt.n; i++) {
		streams[i].left = opt.syncs;
		args.wsi = rig.wsis[i].wsi;
		args.user = &streams[i];
		if (!enqueue(tp, &args, i))
			die("stream %ld was refused", i);
	}
	whole = rig_until(&ended, opt.n);
	secs = (double)(now_ns() - from) / 1e9;

	if (!whole) {
		out("gave up after", secs, "s");
		out("ended", (double)ended, "streams");
	}
	out("rate", (double)atomic_load(&syncs) / secs, "syncs/s");
	if (atomic_load(&first_end)) {
		out("streaming at the first end",
		    (double)atomic_load(&begun_at_first_end), "streams");
		out("first end",
		    (double)(atomic_load(&first_end) - from) / 1e9 / secs,
		    "of all");
	}
	if (whole)
		rig_down(tp);

	return 0;
}
