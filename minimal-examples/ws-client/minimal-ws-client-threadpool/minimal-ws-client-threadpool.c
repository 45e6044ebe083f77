/*
 * minimal-ws-client-threadpool: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * What has to do with the threadpool is all in the protocol's file, and what
 * other programs have, too (options, context, service loop), in ../../common.
 */

#include "threadpool-example.h"

#include "protocol_lws_minimal_client_threadpool.c"

static const struct lws_protocols protocols[] = {
	LWS_PLUGIN_PROTOCOL_MINIMAL_CLIENT_THREADPOOL, { .name = NULL }
};

static const struct threadpool_example_option options[] = {
	{ 'j', "jobs", "N", "numbers that may wait for a thread",
	  STRING(DEFAULT_JOBS), 1, 100000 },
	{ .letter = 0 }
};

static const struct threadpool_example example = {
	.program = "lws-minimal-ws-client-threadpool",
	.about = "A ws client that gets numbers from a server, and sends their "
		 "prime factors,\n"
		 "found by tasks on a threadpool.  It connects again when it "
		 "has to.",
	.threads = STRING(DEFAULT_THREADS),
	.kind = THREADPOOL_EXAMPLE_CLIENT,
	.protocols = protocols,
	.protocol = "lws-minimal-client-threadpool",
	.options = options,
	.finish = minimal_client_threadpool_finish,
};

int
main(int argc, char **argv)
{
	return threadpool_example_main(&example, argc, argv);
}
