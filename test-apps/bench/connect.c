/*
 * lws-threadpool benchmark - what a task costs a connection
 *
 * SPDX-License-Identifier: MIT
 *
 * Connections are set up 100 at a time, get one task each that ends at once,
 * and when all are reaped they are closed.  There are four kinds: with a task
 * or without, on a vhost that passes its events to lws_threadpool_wsi_event()
 * or on one that does not.  The kinds take turns, and what the watch and the
 * opt-in cost is the median of the differences within a turn.
 */

#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define BATCH 100

enum kind { PLAIN, PLAIN_OPT_IN, TASK, TASK_OPT_IN, KINDS };

static const char *const kind_name[KINDS] = {
	"none",
	"none-opt-in",
	BENCH_SELF,
	"opt-in",
};

static volatile long ended;
static long expected;
static struct lws_threadpool *tp;
static struct lws_vhost *vhosts[2]; /* the second passes its events */

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

	if (task &&
	    lws_threadpool_task_status(task, &user) == LWS_TP_STATUS_FINISHED)
		w->cursor = 1;

	return 0;
}

static double
us_since(uint64_t then)
{
	return (double)(now_ns() - then) / 1e3 / BATCH;
}

/* us a connection; the time until the task is reaped is in neither */
static bool
batch(enum kind kind, double *set_up, double *closing)
{
	static struct rig_wsi wsis[BATCH];
	struct lws_threadpool_task_args args = {
		.task = noop,
		.cleanup = noop_cleanup,
	};
	uint64_t then = now_ns();
	int i;

	rig.vhost = vhosts[kind & 1];
	for (i = 0; i < BATCH; i++) {
		args.wsi = rig_adopt(&wsis[i]);
		if (!args.wsi)
			die("no wsi");
		if (kind < TASK)
			continue;
		if (!lws_threadpool_enqueue(tp, &args, "task"))
			die("refused");
		expected++;
	}
	*set_up = us_since(then);
	if (!rig_until(&ended, expected))
		return false;

	then = now_ns();
	for (i = 0; i < BATCH; i++)
		lws_set_timeout(wsis[i].wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_SYNC);
	*closing = us_since(then);

	return true;
}

static void
out_difference(const char *what, const double *more, const double *less, int n)
{
	double *v = need((size_t)n, sizeof(*v));
	int i;

	for (i = 0; i < n; i++)
		v[i] = more[i] - less[i];
	out(what, median(v, n), "us");
	free(v);
}

int
bench_connect(void)
{
	double *set_up[KINDS], *closing[KINDS], *both[KINDS];
	int kind, step = is(BENCH_SELF, "builtin") ? 2 : 1, turns, i;

	if (!opt.n)
		opt.n = 5000;
	params("n=%ld;f=%d", opt.n, opt.fds);
	turns = (int)(opt.n / BATCH);
	rig_up(1, reap);
	tp = rig_pool(opt.threads, BATCH + 1);
	vhosts[0] = rig.vhost;
	vhosts[1] = rig.passing = rig_vhost("passing");

	for (kind = 0; kind < KINDS; kind++) {
		set_up[kind] = need((size_t)turns, sizeof(double));
		closing[kind] = need((size_t)turns, sizeof(double));
		both[kind] = need((size_t)turns, sizeof(double));
	}
	for (i = 0; i < turns; i++)
		for (kind = 0; kind < KINDS; kind += step) {
			if (!batch((enum kind)kind, &set_up[kind][i],
				   &closing[kind][i])) {
				out("gave up after", i * BATCH, "connections");
				return 0;
			}
			both[kind][i] = set_up[kind][i] + closing[kind][i];
		}

	if (step == 1) {
		out_difference("the watch", both[TASK], both[TASK_OPT_IN],
			       turns);
		out_difference("the opt-in", both[PLAIN_OPT_IN], both[PLAIN],
			       turns);
	}
	for (kind = 0; kind < KINDS; kind += step) {
		out_as(kind_name[kind], "set-up", median(set_up[kind], turns),
		       "us");
		out_as(kind_name[kind], "close", median(closing[kind], turns),
		       "us");
	}

	return 0;
}
