/*
 * minimal-ws-server-threadpool-token: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 */

#include "page-mount.h"
#include "threadpool-example.h"

#include "protocol_lws_threadpool_token.c"

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_THREADPOOL_TOKEN,
	{ .name = NULL }
};

static const struct threadpool_example_option options[] = {
	{ 'j', "max-jobs", "N",
	  "jobs at a time, those that wait for their\n"
	  "                        client, too",
	  "256", 1, 1000000 },
	{ 'k', "keep-secs", "N", "seconds that a result waits for somebody",
	  "600", 1, 1000000 },
	{ .letter = 0 }
};

int
main(int argc, char **argv)
{
	static const struct threadpool_example example = {
		.program = "lws-minimal-ws-server-threadpool-token",
		.about = "A ws server whose jobs go on without their client, "
			 "which comes back\nwith a token.",
		.threads = "2",
		.origin = MOUNT_ORIGIN,
		.protocols = protocols,
		.protocol = PROTOCOL_TOKEN,
		.options = options,
		.mounts = &page_mount,
		.finish = threadpool_token_finish,
	};

	return threadpool_example_main(&example, argc, argv);
}
