/*
 * minimal-ws-server-threadpool-chat: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 */

#include "page-mount.h"
#include "threadpool-example.h"

#include "protocol_lws_threadpool_chat.c"

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_THREADPOOL_CHAT,
	{ .name = NULL }
};

static const struct threadpool_example_option options[] = {
	{ 'q', "queue-depth", "N", "messages that may wait", "1000", 1,
	  1000000 },
	{ 'w', "work-ms", "MS", "of work on each message", "300", 0, 60000 },
	{ .letter = 0 }
};

int
main(int argc, char **argv)
{
	static const struct threadpool_example example = {
		.program = "lws-minimal-ws-server-threadpool-chat",
		.about = "A chat with slow work on each message: in order for "
			 "each client, for several\nat the same time.",
		.threads = "4",
		.origin = MOUNT_ORIGIN,
		.protocols = protocols,
		.protocol = PROTOCOL_CHAT,
		.options = options,
		.mounts = &page_mount,
		.finish = threadpool_chat_finish,
	};

	return threadpool_example_main(&example, argc, argv);
}
