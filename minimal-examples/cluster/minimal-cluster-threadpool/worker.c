/*
 * minimal-cluster-threadpool: a worker
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lws-minimal-cluster-threadpool-worker URL
 *
 * SIGTERM: it gives back what it has not started, finishes the rest and ends. A
 * second one: it gives back the rest, too, as it must where the engine is gone.
 * lws-threadpool-worker is the same with options, for kinds of a shared object.
 */

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tile-kind.h"

static volatile sig_atomic_t signals;

static void
on_signal(int sig)
{
	(void)sig;

	signals++;
}

int
main(int argc, char **argv)
{
	const struct lws_threadpool_create_args args = {
		.threads = 1, .max_queue_depth = 1000
	};
	const struct lws_threadpool_cluster_options options = {
		.size = sizeof(options),
		.url = argc > 1 ? argv[1] : NULL,
		.lease_secs = LEASE_SECS,
	};
	struct lws_context_creation_info info;
	struct lws_context *context;
	struct lws_threadpool *pool;
	struct lws_threadpool_cluster *c;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	lws_set_log_level(LLL_USER | LLL_ERR | LLL_WARN, NULL);
	signal(SIGTERM, on_signal);

	context = lws_create_context(&info);
	pool = lws_threadpool_create(context, &args, "worker");
	c = pool ? lws_threadpool_cluster_create(pool, &options) : NULL;
	if (!c || lws_threadpool_cluster_add_kind(c, &tile_kind) ||
	    lws_threadpool_cluster_serve(c, tile_kind.name, 0))
		return 1;

	while (!signals || (lws_threadpool_cluster_drain(c) > 0 && signals < 2))
		usleep(20000);

	lws_threadpool_cluster_destroy(c);
	lws_threadpool_destroy(pool);
	lws_context_destroy(context);

	return 0;
}
