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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define COMPUTE_NS	50000000
#define DISK_NS		20000000
#define BLOCK		4096
#define BLOCKS		4


struct job {
	int		blocks;		/* still to read; 0: computes */
	int		unsent;		/* bytes in buf */
	bool		cold;
	unsigned char	buf[LWS_PRE + BLOCK];
};

static struct lws_threadpool *pool;
static bool blocking;
static int file = -1;
static pid_t client;
static bool client_ended;
static lws_sorted_usec_list_t watcher;
static long cleanups;		/* service thread */

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

/* headers for a body of len bytes, with the body itself if there is one */
static int
answer(struct lws *wsi, const void *body, size_t len)
{
	unsigned char buf[LWS_PRE + 1024], *start = &buf[LWS_PRE], *p = start,
		      *end = &buf[sizeof(buf) - 1];

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", len,
					&p, end) ||
	    lws_finalize_http_header(wsi, &p, end))
		return -1;
	if (body) {
		memcpy(p, body, len);
		p += len;
	}

	return lws_write(wsi, start, (size_t)(p - start),
			 LWS_WRITE_HTTP_HEADERS) < 0 ? -1 : 0;
}

static int
answer_small(struct lws *wsi)
{
	if (answer(wsi, "done\n", 5))
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
send_block(struct lws *wsi, struct job *job)
{
	int n = job->unsent;

	job->unsent = 0;

	return n <= 0 || lws_write(wsi, job->buf + LWS_PRE, (size_t)n,
			job->blocks ? LWS_WRITE_HTTP : LWS_WRITE_HTTP_FINAL) < n
								? -1 : 0;
}

static int
begin(struct lws *wsi, bool download, bool cold)
{
	struct lws_threadpool_task_args args = {
		.wsi = wsi, .task = download ? read_task : compute_task,
		.cleanup = job_cleanup,
	};
	struct job *job = calloc(1, sizeof(*job));
	int ret = 0;

	if (!job)
		return -1;
	job->blocks = download ? BLOCKS : 0;
	job->cold = cold;
	if (download && answer(wsi, NULL, BLOCK * BLOCKS))
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
		return download ? (lws_http_transaction_completed(wsi) ? -1 :
								0) :
				  answer_small(wsi);
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
		return !download ? answer_small(wsi) :
		       lws_http_transaction_completed(wsi) ? -1 : 0;
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
		return answer_small(wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return go_on(wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
		return forget(wsi);
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = callback_http },
	{ .name = NULL },
};

static void
watch_client(lws_sorted_usec_list_t *sul)
{
	int status;

	if (waitpid(client, &status, WNOHANG) == client) {
		if (status)
			die("the client failed");
		client_ended = true;
		/* this turn goes on to wait, maybe for a timeout of lws's */
		lws_cancel_service(rig.context);
		return;
	}
	lws_sul_schedule(rig.context, 0, sul, watch_client,
			 50 * LWS_US_PER_MS);
}

static int
serve(const struct client_plan *plan)
{
	struct lws_context_creation_info info;
	unsigned char block[BLOCK];
	struct lws_vhost *vhost;
	uint16_t port;
	int to_client, i;

	to_client = client_start(plan, &client);
	memset(block, 'x', sizeof(block));
	file = memfd_create("file", MFD_CLOEXEC);
	for (i = 0; i < BLOCKS; i++)
		if (write(file, block, BLOCK) != BLOCK)
			die("no file to serve");

	memset(&info, 0, sizeof(info));
	info.port = 0;
	info.iface = "127.0.0.1";
	info.vhost_name = "bench";
	info.protocols = protocols;
	info.keepalive_timeout = 60;
	rig.context = lws_create_context(&info);
	if (!rig.context)
		die("no context");
	vhost = lws_get_vhost_by_name(rig.context, "bench");
	port = (uint16_t)lws_get_vhost_listen_port(vhost);
	blocking = is(opt.who, "blocking");
	if (!blocking)
		pool = rig_pool(opt.threads, 10000);
	if (write(to_client, &port, sizeof(port)) != sizeof(port))
		die("no client");

	lws_sul_schedule(rig.context, 0, &watcher, watch_client, 1);
	while (!client_ended)
		lws_service(rig.context, 0);

	return 0;
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

	return serve(&plan);
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

	return serve(&plan);
}
