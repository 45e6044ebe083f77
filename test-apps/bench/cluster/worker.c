/*
 * lws-threadpool benchmark of the cluster - a worker of one thread
 *
 * SPDX-License-Identifier: MIT
 */

#include <signal.h>
#include <string.h>

#include "cluster.h"

static struct lws_context *context;
static volatile sig_atomic_t stopped;

static void
stop(int sig)
{
	(void)sig;
	stopped = 1;
	lws_cancel_service(context);
}

int
worker_run(const char *url, bool low_latency)
{
	const struct lws_protocols protocols[] = {
		{ .name = "worker", .callback = lws_callback_http_dummy },
		{ .name = NULL },
	};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN, .protocols = protocols
	};
	struct lws_threadpool_create_args args = { .threads = 1,
						   .max_queue_depth = 2000 };
	struct lws_threadpool_cluster_options options = {
		.size = sizeof(options), .url = url, .low_latency = low_latency
	};
	struct lws_threadpool_cluster_kind kind;
	struct lws_threadpool_cluster *cluster;
	struct lws_threadpool *pool;

	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (!context)
		die("no context");
	signal(SIGTERM, stop);
	pool = lws_threadpool_create(context, &args, "worker");
	cluster = pool ? lws_threadpool_cluster_create(pool, &options) : NULL;
	kind_fill(&kind);
	if (!cluster || lws_threadpool_cluster_add_kind(cluster, &kind) ||
	    lws_threadpool_cluster_serve(cluster, KIND, 0))
		die("it does not serve");
	while (!stopped && lws_service(context, 0) >= 0)
		;
	lws_threadpool_cluster_destroy(cluster);
	lws_threadpool_destroy(pool);
	lws_context_destroy(context);

	return 0;
}
