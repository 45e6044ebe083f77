/*
 * lws-threadpool benchmark - how long an enqueue holds the service thread
 *
 * SPDX-License-Identifier: MIT
 *
 * The pool's threads compute for 5 us a task and never run out of tasks.  Every
 * enqueue is timed, half of them with a constant name and half with a number
 * to format.  With -m first each is the first on a new wsi: the watch, and the
 * growth of the process's table of fds while threads run, are in it.
 *
 * A machine with fewer cores than threads takes the processor away in the
 * middle of some of them, most often when the enqueue has woken a thread.  They
 * are in all figures but "worst, not preempted": the kernel counts them.
 */

#include <stdlib.h>
#include <sys/resource.h>

#include "bench.h"

#define BURST	64
#define WORK_NS 5000

static volatile long ended; /* service thread */
static uint32_t *ns[2];	    /* by kind of name */
static long n_ns[2], preempted;
static uint32_t worst; /* of those that were not preempted */

static enum lws_threadpool_task_return
busy(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	spin_ns(WORK_NS);

	return LWS_TP_RETURN_FINISHED;
}

static void
busy_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	ended = ended + 1;
}

static int
reap(struct rig_wsi *w)
{
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	void *user;

	while ((task = lws_threadpool_get_task_wsi(w->wsi))) {
		s = lws_threadpool_task_status(task, &user);
		if (s != LWS_TP_STATUS_FINISHED && s != LWS_TP_STATUS_STOPPED)
			break;
		/* the built-in one has said so without having reaped */
		if (is(BENCH_SELF, "builtin"))
			break;
	}
	if (is(BENCH_SELF, "builtin") && task)
		lws_callback_on_writable(w->wsi);

	return 0;
}

static long
preemptions(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_THREAD, &usage))
		die("getrusage");

	return usage.ru_nivcsw;
}

static void
timed(struct lws_threadpool *tp, const struct lws_threadpool_task_args *args,
      long i)
{
	bool formatted = i & 1, ok;
	long had = preemptions();
	uint64_t then = now_ns(), ns64;
	uint32_t took;

	if (!tp)
		ok = peer_uv_enqueue();
	else if (formatted)
		ok = lws_threadpool_enqueue(tp, args, "task %ld", i);
	else
		ok = lws_threadpool_enqueue(tp, args, "task");
	ns64 = now_ns() - then;
	if (!ok)
		die("refused");

	took = ns64 > UINT32_MAX ? UINT32_MAX : (uint32_t)ns64;
	ns[formatted][n_ns[formatted]++] = took;
	if (preemptions() != had)
		preempted++;
	else if (took > worst)
		worst = took;
}

/* so many have ended: false if that takes too long */
static bool
until_ended(struct lws_threadpool *tp, long n)
{
	if (tp)
		return rig_until(&ended, n);
	peer_uv_until(n);

	return true;
}

static void
enqueue_all(struct lws_threadpool *tp, bool first)
{
	struct lws_threadpool_task_args args = {
		.task = busy,
		.cleanup = busy_cleanup,
		.wsi = rig.n_wsis ? rig.wsis[0].wsi : NULL,
	};
	struct rig_wsi *fresh = first ? need((size_t)opt.n, sizeof(*fresh)) :
					NULL;
	long i;

	for (i = 0; i < opt.n; i++) {
		if (first) {
			args.wsi = rig_adopt(&fresh[i]);
			if (!args.wsi)
				die("no wsi after %ld", i);
		}
		timed(tp, &args, i);
		/* BURST/2 stay queued, so that no thread is idle */
		if (i % BURST == BURST - 1 && !until_ended(tp, i - BURST / 2))
			break;
	}
	if (rig.late)
		out("gave up after", (double)ended, "tasks");
}

int
bench_enqueue(void)
{
	bool first = is(opt.who, "first");
	struct lws_threadpool *tp = NULL;
	uint32_t clock[1000];
	uint64_t then;
	int i;

	if (!opt.n)
		opt.n = first ? 2000 : 100000;
	params("n=%ld;t=%d", opt.n, opt.threads);
	for (i = 0; i < 1000; i++) {
		then = now_ns();
		clock[i] = (uint32_t)(now_ns() - then);
	}
	ns[0] = need((size_t)opt.n, sizeof(*ns[0]));
	ns[1] = need((size_t)opt.n, sizeof(*ns[1]));

	if (is(opt.who, "uv")) {
		peer_uv_begin(opt.n, WORK_NS);
	} else {
		rig_up(first ? 0 : 1, reap);
		tp = rig_pool(opt.threads, opt.n);
	}
	enqueue_all(tp, first);

	qsort(clock, 1000, sizeof(clock[0]), compare_ns);
	out("the clock itself", clock[500] / 1e3, "us");
	out("preempted", (double)preempted, "times");
	out("worst not preempted", worst / 1e3, "us");
	out_percentiles("", ns[0], n_ns[0]);
	out_percentiles("formatted ", ns[1], n_ns[1]);

	return 0;
}
