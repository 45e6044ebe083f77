/*
 * minimal-raw-file-threadpool: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 */

#include "threadpool-example.h"

#include "protocol_lws_threadpool_raw_file.c"

static const struct lws_protocols protocols[] = {
	LWS_PLUGIN_PROTOCOL_THREADPOOL_RAW_FILE, { .name = NULL }
};

static const struct threadpool_example_option options[] = {
	{ 'f', "file", "FILE", "the serial line or FIFO", DEFAULT_FILE, 0, 0 },
	{ 'b', "baud", "N", "its speed, if it is a serial line",
	  STRING(DEFAULT_BAUD), 50, 4000000 },
	{ 'r', "rts-cts", "0|1", "flow control by RTS and CTS", "0", 0, 1 },
	{ 'o', "output", "FILE", "append the records to it, not to stdout",
	  NULL, 0, 0 },
	{ 'q', "queue", "N", "records that may wait for the disk",
	  STRING(DEFAULT_QUEUE), 1, 100000 },
	{ 'w', "wait", "MS", "how long the rest of a line is waited for",
	  STRING(DEFAULT_WAIT_MS), 1, 3600000 },
	{ .letter = 0 }
};

int
main(int argc, char **argv)
{
	static const struct threadpool_example example = {
		.program = "lws-minimal-raw-file-threadpool",
		.about = "Records what comes from a serial line or a FIFO, "
			 "each line on disk\nbefore the next one.",
		.threads = STRING(DEFAULT_THREADS),
		.kind = THREADPOOL_EXAMPLE_LOCAL,
		.protocols = protocols,
		.protocol = PROTOCOL_RAW_FILE,
		.options = options,
		.finish = threadpool_raw_file_finish,
	};

	return threadpool_example_main(&example, argc, argv);
}
