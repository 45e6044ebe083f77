/*
 * lws-threadpool benchmark - tasks that do nothing, from enqueue to reap
 *
 * SPDX-License-Identifier: MIT
 *
 * All N are enqueued in one go on the service thread, spread over the wsis,
 * with a formatted name each, and then reaped in WRITEABLE callbacks.  What
 * counts as reaped is a cleanup call.
 *
 * noop is warm: a process does it several times, with nothing in user, and the
 * first time does not count.  cold is what a program meets: each time is the
 * first of a process, and user is allocated, and freed by the cleanup.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define USER_BYTES 64

static volatile long reaped; /* service thread */
static long enqueued;
static struct lws_threadpool_task **tasks;

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
	free(user);
	reaped++;
}

static void *
make_user(void)
{
	return opt.user ? calloc(1, opt.user) : NULL;
}

/* The built-in one has no cheap way to ask for the next done task.  So for it
 * the handles are walked in the order in which the tasks were enqueued; it may
 * say FINISHED without having reaped, and then is asked again. */
static int
reap_in_order(struct rig_wsi *w)
{
	enum lws_threadpool_task_status s;
	long had;
	void *user;

	while (w->cursor < enqueued) {
		had = reaped;
		s = lws_threadpool_task_status(tasks[w->cursor], &user);
		if (s != LWS_TP_STATUS_FINISHED && s != LWS_TP_STATUS_STOPPED)
			break;
		if (reaped == had) {
			lws_callback_on_writable(w->wsi);
			break;
		}
		w->cursor += rig.n_wsis;
	}

	return 0;
}

static int
reap_wanting(struct rig_wsi *w)
{
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	void *user;

	while ((task = lws_threadpool_get_task_wsi(w->wsi))) {
		s = lws_threadpool_task_status(task, &user);
		if (s != LWS_TP_STATUS_FINISHED && s != LWS_TP_STATUS_STOPPED)
			break;
	}

	return 0;
}

static bool
noop_once(struct lws_threadpool *tp, double *secs)
{
	struct lws_threadpool_task_args args = {
		.task = noop,
		.cleanup = noop_cleanup,
	};
	uint64_t begun = now_ns();
	bool whole;
	long i;

	reaped = enqueued = 0;
	for (i = 0; i < rig.n_wsis; i++)
		rig.wsis[i].cursor = i;
	for (i = 0; i < opt.n; i++) {
		args.wsi = rig.wsis[i % rig.n_wsis].wsi;
		args.user = make_user();
		tasks[i] = lws_threadpool_enqueue(tp, &args, "task %ld", i);
		if (!tasks[i])
			die("task %ld was refused", i);
		enqueued++;
	}
	whole = rig_until(&reaped, opt.n);
	*secs = (double)(now_ns() - begun) / 1e9;

	return whole;
}

static bool
self_noop(double *secs)
{
	static struct lws_threadpool *tp;

	if (!tp) {
		tasks = need((size_t)opt.n, sizeof(*tasks));
		rig_up(opt.wsis, is(BENCH_SELF, "builtin") ? reap_in_order :
							     reap_wanting);
		tp = rig_pool(opt.threads, opt.n + 1);
	}

	return noop_once(tp, secs);
}

static bool
once(double *secs)
{
	return !strncmp(opt.who, "uv", 2) ? peer_uv_noop(secs) :
	       is(opt.who, "glib")	  ? peer_glib_noop(secs) :
					    self_noop(secs);
}

static void
gave_up(double secs)
{
	out("gave up after", secs, "s");
	out("done", (double)reaped, "tasks");
	out("rate", (double)reaped / secs, "tasks/s");
}

int
bench_noop(void)
{
	double *rate = need((size_t)opt.rounds, sizeof(*rate)), secs;
	int i, from = opt.rounds > 1;

	if (!opt.n)
		opt.n = 50000;
	params("n=%ld;t=%d;w=%d", opt.n, opt.threads, opt.wsis);
	for (i = 0; i < opt.rounds; i++) {
		if (!once(&secs)) {
			gave_up(secs);
			return 0;
		}
		rate[i] = (double)opt.n / secs;
	}
	out("rate", median(rate + from, opt.rounds - from), "tasks/s");
	free(rate);

	return 0;
}

/*
 * Cold
 */

__attribute__((noreturn)) static void
first_round(int to_parent)
{
	double secs;

	if (!once(&secs))
		die("%ld of the tasks after %g s", reaped, secs);
	if (write(to_parent, &secs, sizeof(secs)) != sizeof(secs))
		_exit(2);
	_exit(0);
}

/* the first round of a process that has done nothing before */
static double
first_round_of_a_process(void)
{
	int fds[2], status;
	double secs = 0;
	pid_t child;

	if (pipe(fds))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child)
		first_round(fds[1]);
	close(fds[1]);
	if (read(fds[0], &secs, sizeof(secs)) != sizeof(secs))
		secs = 0;
	close(fds[0]);
	if (waitpid(child, &status, 0) != child || status || secs <= 0)
		die("a round failed");

	return secs;
}

int
bench_cold(void)
{
	double *rate = need((size_t)opt.rounds, sizeof(*rate));
	int i;

	if (!opt.n)
		opt.n = 50000;
	opt.user = USER_BYTES;
	params("n=%ld;t=%d;w=%d", opt.n, opt.threads, opt.wsis);
	for (i = 0; i < opt.rounds; i++)
		rate[i] = (double)opt.n / first_round_of_a_process();
	out("rate", median(rate, opt.rounds), "tasks/s");
	free(rate);

	return 0;
}
