/*
 * minimal-ws-server-threadpool-live: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 */

#include <threadpool-example.h>

#include "protocol_lws_threadpool_live.h"

#define PROGRAM "lws-minimal-ws-server-threadpool-live"

static const struct threadpool_example_option options[] = {
	{ 'w', "row-us", "US", "microseconds of pause after each row", "1000",
	  0, 1000000 },
	{ 'k', "park-ms", "MS", "milliseconds between coarse and fine", "500",
	  0, 60000 },
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
		.program = PROGRAM,
		.about = "A page that shows a threadpool at work: a "
			 "Mandelbrot set, a task for each\n"
			 "tile, and what each task does just now.",
		.threads = "3",
		.origin = MOUNT_ORIGIN,
		.protocols = protocols,
		.protocol = THREADPOOL_LIVE_NAME,
		.options = options,
		.finish = threadpool_live_finish,
	};

	return threadpool_example_main(&example, argc, argv);
}
