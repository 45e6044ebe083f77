/*
 * minimal-cluster-threadpool: the front
 *
 * SPDX-License-Identifier: MIT
 *
 * The server of minimal-ws-server-threadpool-live, whose tiles are computed by
 * workers.  Its protocol, its handlers and its page do not know of that: they
 * have a task of the local pool for each tile.
 */

#include <limits.h>
#include <signal.h>

#include <threadpool-example.h>

#include "protocol_lws_threadpool_live.h"
#include "tile-kind.h"

static struct lws_threadpool_cluster *cluster;
static unsigned int computed_here;
static int workers, script; /* the process that began the workers, or 0 */

static int
cluster_begin(struct lws_threadpool *tp,
	      const struct lws_protocol_vhost_options *pvo)
{
	const struct lws_threadpool_cluster_options options = {
		.size = sizeof(options),
		.url = lws_pvo_search(pvo, "url")->value,
		.lease_secs = LEASE_SECS,
		/* Who kills workers by the page does not mean the tiles that
		 * they had: not one of them is poison. */
		.max_tries = INT_MAX,
	};

	workers = threadpool_example_number(pvo, "workers", 0);
	script = threadpool_example_number(pvo, "script", 0);
	cluster = lws_threadpool_cluster_create(tp, &options);

	return !cluster || lws_threadpool_cluster_add_kind(cluster,
							   &tile_kind) ?
		       -1 :
		       0;
}

static void
cluster_end(void)
{
	struct lws_threadpool_cluster_stats s = { .size = sizeof(s) };

	if (cluster && !lws_threadpool_cluster_get_stats(cluster, &s))
		lwsl_user("%llu chunks of workers, %llu jobs went to another "
			  "one, %u tiles were computed here\n",
			  (unsigned long long)s.chunks,
			  (unsigned long long)s.retried, computed_here);
	lws_threadpool_cluster_destroy(cluster);
	cluster = NULL;
}

/* As long as there is no engine the tile is computed here: the same args, by
 * the task function that they name. */
static struct lws_threadpool_task *
cluster_enqueue(struct lws_threadpool *tp,
		const struct lws_threadpool_task_args *args,
		const struct lws_threadpool_task_options *options,
		const char *name)
{
	struct lws_threadpool_task *task = lws_threadpool_cluster_enqueue(
		cluster, tile_kind.name, args, options, "%s", name);

	if (task || lws_threadpool_refused() != LWS_TP_REFUSED_AWAY)
		return task;
	task = lws_threadpool_enqueue_ext(tp, args, options, "%s", name);
	computed_here += !!task;

	return task;
}

static int
cluster_workers(void)
{
	return script ? workers : 0;
}

static void
cluster_kill(void)
{
	if (script)
		kill((pid_t)script, SIGUSR1);
}

static const struct threadpool_live_place place = {
	cluster_begin, cluster_end, cluster_enqueue, cluster_workers,
	cluster_kill
};

static const struct threadpool_example_option options[] = {
	{ 'u', "url", "URL", "where NATS is", "nats://127.0.0.1:4222", 0, 0 },
	{ 'w', "row-us", "US", "microseconds of pause after each row", "1000",
	  0, 1000000 },
	{ 'k', "park-ms", "MS", "milliseconds between coarse and fine", "500",
	  0, 60000 },
	{ 'n', "workers", "N", "workers there are, for the page", "0", 0, 64 },
	{ 'x', "script", "PID", "sent SIGUSR1 to kill one of them", "0", 0,
	  INT_MAX },
	{ 0, NULL, NULL, NULL, NULL, 0, 0 }
};

int
main(int argc, char **argv)
{
	const struct lws_protocols protocols[] = {
		{ .name = "http", .callback = lws_callback_http_dummy },
		threadpool_live_protocol,
		{ .name = NULL }
	};
	const struct threadpool_example example = {
		.program = "lws-minimal-cluster-threadpool-front",
		.about = "A page that shows a Mandelbrot set, whose "
			 "tiles are computed by other processes,\n"
			 "on this or other machines.",
		.threads = "1",
		.origin = MOUNT_ORIGIN,
		.protocols = protocols,
		.protocol = THREADPOOL_LIVE_NAME,
		.options = options,
		.finish = threadpool_live_finish,
	};

	threadpool_live_place = &place;

	return threadpool_example_main(&example, argc, argv);
}
