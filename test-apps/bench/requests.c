/*
 * lws-threadpool benchmark - http requests, each a task
 *
 * SPDX-License-Identifier: MIT
 *
 * -w connections that are kept alive ask for something that takes -b us of
 * waiting: a database, say, or nothing at all.  The task makes the answer and
 * says SYNC; WRITEABLE takes the answer, dequeues the task and sends.  With -m
 * inline the callback does the same work.  mhd and civetweb are http servers
 * with pools of their own.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "bench.h"

struct job {
	char answer[64];
	size_t len; /* 0: not made yet */
};

static struct lws_threadpool *pool; /* NULL: inline */

void
requests_work(void)
{
	struct timespec t = {
		.tv_sec = opt.work / 1000000,
		.tv_nsec = opt.work % 1000000 * 1000,
	};

	if (opt.work)
		nanosleep(&t, NULL);
}

static enum lws_threadpool_task_return
work(void *user, enum lws_threadpool_task_status s)
{
	struct job *job = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (job->len)
		return LWS_TP_RETURN_FINISHED;
	requests_work();
	job->len = (size_t)snprintf(job->answer, sizeof(job->answer), "done\n");

	return LWS_TP_RETURN_SYNC;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	free(user);
}

static int
begin(struct lws *wsi)
{
	struct lws_threadpool_task_args args = {
		.wsi = wsi,
		.task = work,
		.cleanup = job_cleanup,
	};

	args.user = calloc(1, sizeof(struct job));
	if (args.user && lws_threadpool_enqueue(pool, &args, "request"))
		return 0;
	free(args.user);

	return -1;
}

static int
send_answer(struct lws *wsi)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	struct job job;
	void *user;

	if (!task ||
	    lws_threadpool_task_status(task, &user) != LWS_TP_STATUS_SYNCING)
		return 0;
	job = *(struct job *)user;
	lws_threadpool_dequeue_task(task);
	if (server_headers(wsi, job.answer, job.len))
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
callback_requests(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		  void *in, size_t len)
{
#if !defined(BENCH_BUILTIN)
	if (is(opt.who, "opt-in"))
		lws_threadpool_wsi_event(wsi, reason);
#endif
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		if (pool)
			return begin(wsi);
		requests_work();
		return server_small(wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return send_answer(wsi);
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

/* by a server that is not lws */
static int
serve_by_peer(const struct client_plan *plan)
{
	pid_t client;
	int status, to_client = client_start(plan, &client);

	client_tell(to_client, peer_serve());
	if (waitpid(client, &status, 0) != client || status)
		die("the client failed");

	return 0;
}

int
bench_requests(void)
{
	struct client_plan plan = {
		.crowd = opt.wsis,
		.timed_path = "/",
		.secs = opt.secs,
	};

	params("w=%d;b=%d;t=%d;s=%g", opt.wsis, opt.work, opt.threads,
	       opt.secs);
	if (peer_serves())
		return serve_by_peer(&plan);

	return server_run(&plan, callback_requests,
			  is(opt.who, "inline") ? NULL : &pool);
}
