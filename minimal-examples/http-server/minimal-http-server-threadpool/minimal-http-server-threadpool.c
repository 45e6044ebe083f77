/*
 * minimal-http-server-threadpool: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * What has to do with the threadpool is all in the protocol's file, and what
 * any lws server has (options, context, service loop) in ../../common.
 */

#include "threadpool-example.h"

#include "protocol_lws_minimal_http_threadpool.c"

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_MINIMAL_HTTP_THREADPOOL,
	{ .name = NULL }
};

/* every path is the protocol's */
static const struct lws_http_mount mount = {
	.mountpoint = "/",
	.mountpoint_len = 1,
	.origin = "lws-minimal-http-threadpool",
	.origin_protocol = LWSMPRO_CALLBACK,
	.protocol = "lws-minimal-http-threadpool",
};

static const struct threadpool_example_option options[] = {
	{ 'q', "queue-depth", "N", "requests that may wait for a thread",
	  STRING(DEFAULT_QUEUE_DEPTH), 1, INT_MAX },
	{ 'w', "wait-ms", "MS", "how long they may wait for it",
	  STRING(DEFAULT_WAIT_MS), 1, 60000 },
	{ 'c', "cost", "N", "passes of a hash over its memory",
	  STRING(DEFAULT_COST), 1, 10000 },
	{ 'k', "memory", "KIB", "memory of a hash, in KiB",
	  STRING(DEFAULT_MEMORY), 8, 1 << 20 },
	{ .letter = 0 }
};

static const struct threadpool_example example = {
	.program = "lws-minimal-http-server-threadpool",
	.about = "An http server that hashes passwords on a threadpool, by "
		 "argon2id.",
	.threads = STRING(DEFAULT_THREADS),
	.protocols = protocols,
	.protocol = "lws-minimal-http-threadpool",
	.mounts = &mount,
	.options = options,
	.finish = minimal_http_threadpool_finish,
};

int
main(int argc, char **argv)
{
	return threadpool_example_main(&example, argc, argv);
}
