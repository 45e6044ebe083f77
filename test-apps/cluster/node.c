/*
 * lws-threadpool cluster tests - a process that is a worker, or a front
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker serves all the kinds.  SIGTERM, or the board, has it drain and end;
 * SIGINT has it end at once.  A front, by --front JOB, has one job without a
 * wsi, and tells its token and its end on the board.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/prctl.h>
#include <unistd.h>

#include "board.h"
#include "kinds.h"

static struct node {
	struct lws_context *context;
	struct lws_threadpool *pool;
	struct lws_threadpool_cluster *cluster;
	struct board_node *on_board;
	lws_sorted_usec_list_t sul;
	struct lws_threadpool_cluster_options options;
	int threads;
	int max_jobs;
	int max_chunk;
	int linger;
	int depth;
	atomic_int busy;

	int front; /* its job; -1: a worker */
	struct work work;
	bool enqueued;
} node = { .options = { .size = sizeof(node.options) },
	   .threads = 1,
	   .linger = 600,
	   .front = -1 };

static volatile sig_atomic_t ends, drains;

static void
on_signal(int sig)
{
	if (sig == SIGINT)
		ends = 1;
	else
		drains = 1;
}

static void
log_emit(int level, const char *line)
{
	if (level != LLL_INFO) {
		board_log(line);
		fputs(line, stderr);
	} else if (strstr(line, "job")) {
		board_log(line); /* lws has much more to say there */
	}
}

static void
front_cleanup(struct lws *wsi, void *user)
{
	struct lws_threadpool_task *task = lws_threadpool_this_task();

	(void)wsi;
	(void)user;
	atomic_store(&node.on_board->why,
		     (int)lws_threadpool_cluster_end_reason(task));
	atomic_store(&node.on_board->ended,
		     (int)lws_threadpool_end_status() + 1);
}

/* It holds a thread of the pool until the node ends or drains. */
static enum lws_threadpool_task_return
keep_busy(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	if (s == LWS_TP_STATUS_STOPPING || !atomic_load(&node.busy))
		return LWS_TP_RETURN_FINISHED;
	usleep(1000);

	return LWS_TP_RETURN_CHECKING_IN;
}

static void
keep_busy_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
}

static int
busy_start(void)
{
	struct lws_threadpool_task_args args;

	if (!node.busy)
		return 0;
	memset(&args, 0, sizeof(args));
	args.task = keep_busy;
	args.cleanup = keep_busy_cleanup;

	return !lws_threadpool_enqueue(node.pool, &args, "busy");
}

static void
front_enqueue(void)
{
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;

	memset(&args, 0, sizeof(args));
	args.user = &node.work;
	args.cleanup = front_cleanup;
	node.work.alone = true;
	node.work.ask.job = (uint32_t)node.front;
	task = lws_threadpool_cluster_enqueue(
		node.cluster,
		kind_name(node.linger ? KIND_LINGER : KIND_RESUME), &args, NULL,
		"front's");
	if (!task)
		return; /* no engine yet: with the next tick */
	node.enqueued = true;
	if (node.linger &&
	    lws_threadpool_cluster_token(task, node.on_board->token))
		lwsl_err("the front's job has no token\n");
	atomic_store(&node.on_board->ready, 1);
}

static void
tell(void)
{
	struct lws_threadpool_cluster_stats stats;

	memset(&stats, 0, sizeof(stats));
	stats.size = sizeof(stats);
	if (lws_threadpool_cluster_get_stats(node.cluster, &stats))
		return;
	atomic_store(&node.on_board->serving, (int)stats.serving);
	atomic_store(&node.on_board->waiting, (int)stats.waiting);
	atomic_store(&node.on_board->fenced, (int)stats.fenced);
	atomic_store(&node.on_board->resent, (int)stats.resent);
	if (stats.connected && node.front < 0)
		atomic_store(&node.on_board->ready, 1);
}

static void
tick(lws_sorted_usec_list_t *sul)
{
	int left;

	tell();
	if (node.front >= 0 && !node.enqueued)
		front_enqueue();
	if (drains || atomic_load(&node.on_board->drains)) {
		left = lws_threadpool_cluster_drain(node.cluster);
		atomic_store(&node.on_board->left, left);
		atomic_store(&node.busy, 0);
		if (!left)
			ends = 1;
	}
	if (ends)
		lws_cancel_service(node.context);
	lws_sul_schedule(node.context, 0, sul, tick, 20 * LWS_US_PER_MS);
}

static void
usage(void)
{
	fprintf(stderr,
		"usage: cluster-node --board FD --node N [--url URL] "
		"[--prefix P] [--lease S] [--tries N] [--threads N] "
		"[--version N] [--max-jobs N] [--max-chunk N] [--front JOB] "
		"[--chunks N] [--linger S] [--busy 1] "
		"[--depth N]\n");
	exit(2);
}

static int
option(const char *name, const char *value)
{
	int n = atoi(value);

	if (!strcmp(name, "--board"))
		board_open(n);
	else if (!strcmp(name, "--node") && board)
		node.on_board = &board->nodes[n];
	else if (!strcmp(name, "--url"))
		node.options.url = value;
	else if (!strcmp(name, "--prefix"))
		node.options.prefix = value;
	else if (!strcmp(name, "--lease"))
		node.options.lease_secs = n;
	else if (!strcmp(name, "--tries"))
		node.options.max_tries = n;
	else if (!strcmp(name, "--threads"))
		node.threads = n;
	else if (!strcmp(name, "--version"))
		kind_version = (unsigned int)n;
	else if (!strcmp(name, "--max-jobs"))
		node.max_jobs = n;
	else if (!strcmp(name, "--max-chunk"))
		node.max_chunk = n;
	else if (!strcmp(name, "--linger"))
		node.linger = n;
	else if (!strcmp(name, "--busy"))
		node.busy = n;
	else if (!strcmp(name, "--depth"))
		node.depth = n;
	else if (!strcmp(name, "--front"))
		node.front = n;
	else if (!strcmp(name, "--chunks"))
		ask_fill(&node.work.ask, 0, (uint32_t)n);
	else
		return 1;

	return 0;
}

static int
cluster_start(void)
{
	struct lws_threadpool_create_args args;
	struct lws_threadpool_cluster_kind k;
	enum kind kind;

	memset(&args, 0, sizeof(args));
	args.threads = node.threads;
	args.max_queue_depth = node.depth ? node.depth : 100000;
	node.pool = lws_threadpool_create(node.context, &args, "node");
	if (!node.pool || busy_start())
		return 1;
	node.cluster = lws_threadpool_cluster_create(node.pool, &node.options);
	if (!node.cluster)
		return 1;
	for (kind = 0; kind < KINDS; kind++) {
		kind_fill(&k, kind);
		k.max_chunk = (size_t)node.max_chunk;
		if (kind == KIND_LINGER)
			k.linger_secs = node.linger;
		if (lws_threadpool_cluster_add_kind(node.cluster, &k))
			return 1;
		if (node.front < 0 &&
		    lws_threadpool_cluster_serve(node.cluster, k.name,
						 node.max_jobs))
			return 1;
	}

	return 0;
}

static void
signals(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

int
main(int argc, char **argv)
{
	struct lws_context_creation_info info;
	int n, bad;

	ask_fill(&node.work.ask, 0, 10);
	for (n = 1; n + 1 < argc; n += 2)
		if (option(argv[n], argv[n + 1]))
			usage();
	if (n != argc || !node.on_board)
		usage();
	atomic_store(&node.on_board->left, -1);
	signals();
	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_INFO, log_emit);
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.gid = (__typeof__(info.gid))-1;
	info.uid = (__typeof__(info.uid))-1;
	node.context = lws_create_context(&info);
	if (!node.context)
		return 1;
	bad = cluster_start();
	if (!bad) {
		lws_sul_schedule(node.context, 0, &node.sul, tick, 1);
		while (!ends && lws_service(node.context, 0) >= 0)
			;
	}
	lws_sul_schedule(node.context, 0, &node.sul, tick,
			 LWS_SET_TIMER_USEC_CANCEL);
	lws_threadpool_cluster_destroy(node.cluster);
	lws_threadpool_destroy(node.pool);
	lws_context_destroy(node.context);

	return bad;
}
