/*
 * lws-threadpool benchmark - what callgrind is to count
 *
 * SPDX-License-Identifier: MIT
 *
 * The difference of two runs, with more and with less to do, is free of all
 * that is done once.  Work comes in batches of 100.
 */

#include "bench.h"

#define BATCH 100

static volatile long ended;

static enum lws_threadpool_task_return
job(void *user, enum lws_threadpool_task_status s)
{
	long *left = user;

	(void)s;

	return (*left)-- ? LWS_TP_RETURN_SYNC : LWS_TP_RETURN_FINISHED;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	ended = ended + 1;
}

static int
serve(struct rig_wsi *w)
{
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	void *user;

	while ((task = lws_threadpool_get_task_wsi(w->wsi))) {
		s = lws_threadpool_task_status(task, &user);
		if (s == LWS_TP_STATUS_SYNCING)
			lws_threadpool_task_sync(task, 0);
		else if (s != LWS_TP_STATUS_FINISHED)
			break;
	}

	return 0;
}

int
bench_instructions(void)
{
	struct lws_threadpool_task_args args = {
		.task = job,
		.cleanup = job_cleanup,
	};
	bool sync = is(opt.who, "sync");
	struct lws_threadpool *tp;
	long n, left[BATCH];
	int i;

	rig_up(sync ? BATCH : 1, serve);
	tp = rig_pool(1, BATCH);
	for (n = 0; n < (sync ? BATCH : opt.n); n += BATCH) {
		for (i = 0; i < BATCH; i++) {
			left[i] = opt.syncs;
			args.user = &left[i];
			args.wsi = rig.wsis[sync ? i : 0].wsi;
			if (!lws_threadpool_enqueue(tp, &args, "task %d", i))
				die("refused");
		}
		if (!rig_until(&ended, n + BATCH))
			die("it hangs");
	}
	rig_down(tp);

	return 0;
}
