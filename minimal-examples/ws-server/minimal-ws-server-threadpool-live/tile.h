/*
 * minimal-ws-server-threadpool-live: the work of a task
 *
 * SPDX-License-Identifier: MIT
 *
 * A picture has COLUMNS times ROWS tiles, and each tile is a task.
 */

#ifndef TILE_H
#define TILE_H

#include <lws-threadpool.h>

#define TILE	    64 /* pixels, each way */
#define COLUMNS	    8
#define ROWS	    6
#define TILES	    (COLUMNS * ROWS)
#define ITERATIONS  1000 /* a point that stays so long is in the set */
#define COARSE	    4	 /* the first pass: each 4th pixel, each way */
#define TILE_HEADER 8	 /* bytes before the pixels of a message */

/* a part of the complex plane: its middle and its width */
struct view {
	uint32_t number; /* the client's */
	double re, im, span;
};

/* what a tile costs beside the computing, so that one can watch it */
struct pace {
	unsigned int row_us;  /* pause after each row of pixels */
	unsigned int park_ms; /* parked before the fine pass */
};

/* One of these for each task: the task's own while it runs, and the service
 * thread's while a handler does.  So it needs no lock. */
struct tile {
	struct view view;
	struct pace pace;
	int index;  /* row by row, from the top left */
	int at;	    /* where the task goes on */
	int step;   /* COARSE, then 1 */
	int row;    /* the next one, of TILE / step */
	size_t len; /* bytes of the message so far */
	unsigned char out[LWS_PRE + TILE_HEADER + 2 * TILE * TILE];
};

/* the task function: user is a struct tile that is zeroed but for the first
 * three members */
enum lws_threadpool_task_return
tile_task(void *user, enum lws_threadpool_task_status status);

#endif
