/*
 * minimal-ws-server-threadpool: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * Serves the page in mount-origin/ and the ws protocol that the page uses.
 * What has to do with the threadpool is all in the protocol's file, and what
 * any lws server has (options, context, service loop) in ../../common.
 */

#include "page-mount.h"
#include "threadpool-example.h"

#include "protocol_lws_minimal_threadpool.c"

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_MINIMAL_THREADPOOL,
	{ .name = NULL }
};

static const struct threadpool_example_option options[] = {
	{ 'q', "queue-depth", "N", "tasks that may wait for a thread",
	  STRING(DEFAULT_QUEUE_DEPTH), 1, INT_MAX },
	{ 'w', "work-ms", "MS", "milliseconds of work in each step",
	  STRING(DEFAULT_WORK_MS), 0, 60000 },
	{ .letter = 0 }
};

static const struct threadpool_example example = {
	.program = "lws-minimal-ws-server-threadpool",
	.about = "A ws server that gives each connection a task on a "
		 "threadpool, and a page\n"
		 "that shows them.",
	.threads = STRING(DEFAULT_THREADS),
	.origin = MOUNT_ORIGIN,
	.protocols = protocols,
	.protocol = "lws-minimal-threadpool",
	.options = options,
	.mounts = &page_mount,
	.finish = minimal_threadpool_finish,
};

int
main(int argc, char **argv)
{
	return threadpool_example_main(&example, argc, argv);
}
