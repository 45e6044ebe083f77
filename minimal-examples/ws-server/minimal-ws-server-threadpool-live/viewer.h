/*
 * minimal-ws-server-threadpool-live: the tasks of one connection
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef VIEWER_H
#define VIEWER_H

#include "tile.h"

#define MAX_MESSAGE 128 /* bytes that a client may say at once */

/* what there is of a tile of the current view */
enum {
	NO_TILE,
	TILE_WANTED, /* and no task yet */
	TILE_TASK,
	TILE_OVER
};

/* one of these for each connection: its pss */
struct viewer {
	struct viewer *next;
	struct lws *wsi;
	unsigned int number; /* from 1 */
	unsigned int credit; /* tiles that may be sent */
	int tasks;
	struct view view;
	struct view asked; /* begins at the next tick */
	struct pace pace;
	unsigned char tile[TILES];
	char is_asked;
	char greeted;
	char watches; /* wants snapshots */
	char due;     /* one is to be sent */
	char left;    /* is being closed */
	size_t said_len;
	char said[MAX_MESSAGE + 1];
};

/* Makes tasks of the tiles that are wanted.  What the queue has no room for, or
 * fails for another reason, stays wanted: call it again. */
void
viewer_start(struct viewer *viewer, struct lws_threadpool *tp);

/* None of its tasks sends anything any more: a queued one is gone, a running
 * one ends at its next row, one that is SYNCING or parked at once.  Their tiles
 * are wanted again. */
void
viewer_stop(struct viewer *viewer);

/* what was asked for, in place of what there is */
void
viewer_begin(struct viewer *viewer, struct lws_threadpool *tp);

int
viewer_send_text(struct lws *wsi, const char *format, ...) LWS_FORMAT(2);

#endif
