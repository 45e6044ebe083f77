/*
 * lws-threadpool benchmark - tasks with a key
 *
 * SPDX-License-Identifier: MIT
 *
 * N tasks that do nothing, of -w keys in turn, of each of which one may have
 * started at a time; and, with -m none, without keys.  Enqueued in one go, and
 * each is over with its cleanup.
 */

#include <stdatomic.h>
#include <unistd.h>

#include "bench.h"

#if !defined(BENCH_BUILTIN)

static atomic_long ended;

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
	atomic_fetch_add_explicit(&ended, 1, memory_order_release);
}

static double
enqueue_all(struct lws_threadpool *tp, char *keys)
{
	const struct lws_threadpool_task_args args = {
		.task = noop,
		.cleanup = noop_cleanup,
	};
	struct lws_threadpool_task_options o = {
		.size = sizeof(o),
		.key_max = 1,
	};
	uint64_t begun = now_ns();
	long n;

	for (n = 0; n < opt.n; n++) {
		o.key = keys ? &keys[n % opt.wsis] : NULL;
		if (!lws_threadpool_enqueue_ext(tp, &args, &o, "task %ld", n))
			die("task %ld was refused", n);
	}

	return (double)(now_ns() - begun);
}

int
bench_keys(void)
{
	uint64_t begun, limit;
	struct lws_threadpool *tp;
	double ns;
	char *keys;

	if (!opt.n)
		opt.n = 1000000;
	params("n=%ld;w=%d;t=%d", opt.n, opt.wsis, opt.threads);
	keys = is(opt.who, "none") ? NULL : need((size_t)opt.wsis, 1);
	rig_up(0, NULL);
	tp = rig_pool(opt.threads, opt.n);
	begun = now_ns();
	limit = begun + (uint64_t)(opt.limit * 1e9);
	ns = enqueue_all(tp, keys);
	while (atomic_load_explicit(&ended, memory_order_acquire) < opt.n &&
	       now_ns() < limit)
		usleep(200);
	out("an enqueue", ns / (double)opt.n, "ns");
	out("rate",
	    (double)atomic_load(&ended) * 1e9 / (double)(now_ns() - begun),
	    "tasks/s");
	if (atomic_load(&ended) < opt.n)
		out("gave up after", opt.limit, "s");

	return 0;
}

#else

int
bench_keys(void)
{
	die("it knows no keys");
}

#endif
