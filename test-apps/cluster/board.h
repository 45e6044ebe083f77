/*
 * lws-threadpool cluster tests - what test and workers see of each other
 *
 * SPDX-License-Identifier: MIT
 *
 * A piece of memory that the test and all its processes share: what became of
 * each job at the workers, how far each may go, and what the workers logged.
 */

#ifndef LWSTP_CLUSTER_BOARD_H
#define LWSTP_CLUSTER_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BOARD_JOBS  16384
#define BOARD_NODES 64
#define BOARD_LINES 512
#define BOARD_FREE  0x7fffffff /* a limit that is none */

/* A job, by the number that its request carries; of all workers together */
struct board_job {
	atomic_int limit;    /* it makes no chunk from this one on */
	atomic_int decoded;  /* decode_job calls */
	atomic_int begun;    /* first calls of its function */
	atomic_int made;     /* chunks, those that were made again too */
	atomic_int most;     /* the highest chunk yet, from 1 */
	atomic_int stopping; /* calls with STOPPING */
	atomic_int finished; /* returned FINISHED */
	atomic_int cleaned;  /* cleanups */
	atomic_int tries;    /* the most that decode_job was told */
	atomic_int resume;   /* the last that decode_job was told */
	atomic_int pid;	     /* who decoded it last */
};

/* A process that is a worker, or a front of its own */
struct board_node {
	atomic_int ready;   /* it serves, and has an engine */
	atomic_int left;    /* jobs, while it drains; else -1 */
	atomic_int serving; /* its numbers, some 20 ms old */
	atomic_int waiting;
	atomic_int fenced;
	atomic_int resent;
	atomic_int drains; /* the test asks it to */
	atomic_int ended;  /* a front's job: its status, + 1 */
	atomic_int why;	   /* ... and its reason */
	char token[33];	   /* a front's job's */
};

struct board {
	struct board_job jobs[BOARD_JOBS];
	struct board_node nodes[BOARD_NODES];
	atomic_int relay; /* the port of cluster-relay */
	atomic_int lines;
	char line[BOARD_LINES][200];
};

/* The one of this process */
extern struct board *board;

/* A new one, and the fd by which children find it; or the one of that fd.  They
 * end the process if they cannot. */
int
board_make(void);
void
board_open(int fd);

void
board_log(const char *line);
/* How many lines of the nodes contain text */
int
board_lines(const char *text);
void
board_clear(void);

/* Each job may go on to its end */
void
board_release(void);

#endif
