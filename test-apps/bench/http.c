/*
 * lws-threadpool benchmark - an http server whose requests take their time
 *
 * SPDX-License-Identifier: MIT
 *
 * /cheap is answered at once, /compute after 50 ms of computing, and /cached
 * and /cold send a small file in blocks, for which /cold has to wait 20 ms for
 * its disk (a sleep).  With -m blocking all is done in the callback.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define COMPUTE_NS 50000000
#define DISK_NS	   20000000
#define BLOCK	   4096
#define BLOCKS	   4

struct job {
	int blocks; /* still to read; 0: computes */
	int unsent; /* bytes in buf */
	bool cold;
	unsigned char buf[LWS_PRE + BLOCK];
};

static struct lws_threadpool *pool;
static bool blocking;
static int file = -1;
static long cleanups; /* service thread */

static void
read_block(struct job *job)
{
	struct timespec disk = { .tv_nsec = DISK_NS };

	if (job->cold) {
		nanosleep(&disk, NULL);
		job->cold = false;
	}
	job->unsent = (int)pread(file, job->buf + LWS_PRE, BLOCK, 0);
	job->blocks--;
}

static enum lws_threadpool_task_return
compute_task(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	spin_ns(COMPUTE_NS);

	return LWS_TP_RETURN_FINISHED;
}

static enum lws_threadpool_task_return
read_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *job = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (!job->blocks)
		return LWS_TP_RETURN_FINISHED;
	read_block(job);

	return LWS_TP_RETURN_SYNC;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	free(user);
	cleanups++;
}

static int
send_block(struct lws *wsi, struct job *job)
{
	int n = job->unsent;

	job->unsent = 0;

	return n <= 0 || lws_write(wsi, job->buf + LWS_PRE, (size_t)n,
				   job->blocks ? LWS_WRITE_HTTP :
						 LWS_WRITE_HTTP_FINAL) < n ?
		       -1 :
		       0;
}

static int
begin(struct lws *wsi, bool download, bool cold)
{
	struct lws_threadpool_task_args args = {
		.wsi = wsi,
		.task = download ? read_task : compute_task,
		.cleanup = job_cleanup,
	};
	struct job *job = calloc(1, sizeof(*job));
	int ret = 0;

	if (!job)
		return -1;
	job->blocks = download ? BLOCKS : 0;
	job->cold = cold;
	if (download && server_headers(wsi, NULL, BLOCK * BLOCKS))
		ret = -1;

	if (blocking) {
		if (!download)
			spin_ns(COMPUTE_NS);
		while (!ret && job->blocks) {
			read_block(job);
			ret = send_block(wsi, job);
		}
		free(job);
		if (ret)
			return ret;
		return download ?
			       (lws_http_transaction_completed(wsi) ? -1 : 0) :
			       server_small(wsi);
	}
	args.user = job;
	if (ret || !lws_threadpool_enqueue(pool, &args, "request")) {
		free(job);
		return -1;
	}

	return 0;
}

static int
go_on(struct lws *wsi)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	bool download = is(opt.row, "downloads");
	long had = cleanups;
	void *user;

	if (!task)
		return 0;
	switch (lws_threadpool_task_status(task, &user)) {
	case LWS_TP_STATUS_SYNCING:
		if (!((struct job *)user)->unsent)
			return 0;
		if (send_block(wsi, user))
			return -1;
		lws_threadpool_task_sync(task, 0);
		return 0;
	case LWS_TP_STATUS_FINISHED:
		/* the built-in one may say so without having reaped */
		if (cleanups == had) {
			lws_callback_on_writable(wsi);
			return 0;
		}
		return !download			   ? server_small(wsi) :
		       lws_http_transaction_completed(wsi) ? -1 :
							     0;
	default:
		return 0;
	}
}

/* the built-in one has to be told, and does not take NULL */
static int
forget(struct lws *wsi)
{
#if defined(BENCH_BUILTIN)
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);

	if (task)
		lws_threadpool_dequeue_task(task);
#else
	(void)wsi;
#endif

	return 0;
}

static int
callback_http(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	      void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		if (is(in, "/compute"))
			return begin(wsi, false, false);
		if (is(in, "/cached") || is(in, "/cold"))
			return begin(wsi, true, is(in, "/cold"));
		return server_small(wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return go_on(wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
		return forget(wsi);
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

/* the file that downloads are of */
static void
make_file(void)
{
	unsigned char block[BLOCK];
	int i;

	memset(block, 'x', sizeof(block));
	file = memfd_create("file", MFD_CLOEXEC);
	for (i = 0; i < BLOCKS; i++)
		if (write(file, block, BLOCK) != BLOCK)
			die("no file to serve");
}

static int
run(const struct client_plan *plan)
{
	make_file();
	blocking = is(opt.who, "blocking");

	return server_run(plan, callback_http, blocking ? NULL : &pool);
}

int
bench_http(void)
{
	struct client_plan plan = {
		.load = is(opt.who, "idle") ? 0 : opt.wsis,
		.load_path = "/compute",
		.timed = 1,
		.timed_path = "/cheap",
		.requests = opt.n ? opt.n : 1000,
		.pause_us = 1000,
	};

	params("n=%ld;w=%d;t=%d", plan.requests, opt.wsis, opt.threads);

	return run(&plan);
}

int
bench_downloads(void)
{
	struct client_plan plan = {
		.timed = opt.wsis,
		.timed_path = "/cached",
		.every_tenth = "/cold",
		.secs = opt.secs,
	};

	params("w=%d;t=%d;s=%g", opt.wsis, opt.threads, opt.secs);

	return run(&plan);
}
