/*
 * minimal-ws-server-threadpool-sqlite: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 */

#include "page-mount.h"
#include "threadpool-example.h"

#include "protocol_lws_threadpool_sqlite.c"

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_THREADPOOL_SQLITE,
	{ .name = NULL }
};

static const struct threadpool_example_option options[] = {
	{ 'f', "file", "FILE", "the database, which is only read",
	  ":memory:", 0, 0 },
	{ 'q', "queue-depth", "N", "queries that may wait for a thread", "256",
	  1, 1000000 },
	{ 'w', "patience-ms", "MS", "from one row of a query to the next",
	  "10000", 1, 1000000 },
	{ .letter = 0 }
};

int
main(int argc, char **argv)
{
	static const struct threadpool_example example = {
		.program = "lws-minimal-ws-server-threadpool-sqlite",
		.about = "A ws server that sends the rows of SQLite to clients "
			 "of any speed.",
		.threads = "2",
		.origin = MOUNT_ORIGIN,
		.protocols = protocols,
		.protocol = PROTOCOL_SQLITE,
		.options = options,
		.mounts = &page_mount,
		.finish = threadpool_sqlite_finish,
	};

	return threadpool_example_main(&example, argc, argv);
}
