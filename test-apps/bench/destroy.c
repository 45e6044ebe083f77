/*
 * lws-threadpool benchmark - the end of a context beside another one
 *
 * SPDX-License-Identifier: MIT
 *
 * How long lws_context_destroy() takes for a context of N wsi that each had a
 * task, while another context has -w of such wsi, or with -m empty none.
 */

#include <string.h>

#include "bench.h"

static volatile long ended; /* service thread */

static enum lws_threadpool_task_return
noop(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;

	return LWS_TP_RETURN_FINISHED;
}

static void
noop_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	ended = ended + 1;
}

static int
reap(struct rig_wsi *w)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(w->wsi);
	void *user;

	if (task)
		lws_threadpool_task_status(task, &user);

	return 0;
}

/* a context with a pool, and so many wsi that each had a task of it */
static struct lws_threadpool *
context_up(long wsis)
{
	struct lws_threadpool_task_args args = {
		.task = noop,
		.cleanup = noop_cleanup,
	};
	struct lws_threadpool *tp;
	long i;

	rig_up(wsis, reap);
	tp = rig_pool(opt.threads, wsis + 1);
	ended = 0;
	for (i = 0; i < wsis; i++) {
		args.wsi = rig.wsis[i].wsi;
		if (!lws_threadpool_enqueue(tp, &args, "task"))
			die("refused");
	}
	if (!rig_until(&ended, wsis))
		die("only %ld of the tasks have ended", ended);

	return tp;
}

int
bench_destroy(void)
{
	struct lws_threadpool *tp, *tp_beside;
	struct rig beside;
	uint64_t then;

	if (!opt.n)
		opt.n = 2000;
	params("n=%ld;w=%d;f=%d", opt.n, opt.wsis, opt.fds);
	tp_beside = context_up(is(opt.who, "empty") ? 0 : opt.wsis);
	beside = rig;
	memset(&rig, 0, sizeof(rig));
	tp = context_up(opt.n);

	then = now_ns();
	lws_context_destroy(rig.context);
	out("destroy", (double)(now_ns() - then) / 1e6, "ms");
	lws_threadpool_destroy(tp);

	rig = beside;
	rig_down(tp_beside);

	return 0;
}
