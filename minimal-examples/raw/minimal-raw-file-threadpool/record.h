/*
 * minimal-raw-file-threadpool: a record, and the file that it goes to
 *
 * SPDX-License-Identifier: MIT
 *
 * A record is a line of text: when it came, whether its checksum is right, and
 * what came.
 */

#ifndef RECORD_H
#define RECORD_H

#include <time.h>

#include <lws-threadpool.h>

#define RECORD_MAX_LINE 1000 /* bytes of what came */

/*
 * Where records go.  It is the key of their tasks, with key_max 1: so it
 * belongs to the one that runs, and needs no lock.
 */
struct output {
	int fd;
	int failed; /* the errno of the last write, or 0 */
};

/* one for each task, which frees it in its cleanup */
struct record {
	struct output *output;
	void *owner; /* the caller's */
	struct timespec came;
	int whole; /* it was ended, by a newline */
	size_t len;
	char line[RECORD_MAX_LINE];

	/* the task's */
	size_t text_len, done;
	char text[4 * RECORD_MAX_LINE + 64];
};

/* returns 0, or -1 and why not in errno; path NULL is stdout */
int
output_open(struct output *output, const char *path);
void
output_close(struct output *output);

/* the task function, for a struct record */
enum lws_threadpool_task_return
record_task(void *user, enum lws_threadpool_task_status status);

#endif
