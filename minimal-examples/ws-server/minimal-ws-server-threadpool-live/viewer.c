/*
 * minimal-ws-server-threadpool-live: the tasks of one connection
 *
 * SPDX-License-Identifier: MIT
 *
 * Each tile of its view is a task.  The service thread calls all of this, but
 * the task function of tile.c, and sometimes free_tile().
 */

#include "viewer.h"

#include "protocol_lws_threadpool_live.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Once for each task that was accepted, however it ended.  If the tile was not
 * wanted any more this can be a thread of the pool. */
static void
free_tile(struct lws *wsi, void *user)
{
	(void)wsi;

	free(user);
}

/*
 * The handlers.  The first: a tile, coarse or fine, is there.  It is sent if
 * the client can take one.  If not the task stays SYNCING, until "more" comes.
 */
static int
tile_sync(struct lws *wsi, void *user)
{
	struct viewer *viewer = lws_wsi_user(wsi);
	struct tile *tile = user;

	if (!viewer->credit)
		return LWS_TP_ON_SYNC_STAY;
	viewer->credit--;

	return lws_write(wsi, tile->out + LWS_PRE, tile->len,
			 LWS_WRITE_BINARY) < (int)tile->len ?
		       -1 :
		       LWS_TP_ON_SYNC_RESUME;
}

/* And the second: it has ended, and cleanup comes next.  Nobody calls it for
 * the tasks that viewer_stop() took away. */
static int
tile_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct viewer *viewer = lws_wsi_user(wsi);
	struct tile *tile = user;

	viewer->tasks--;
	viewer->tile[tile->index] = TILE_OVER;
	/* after the last one the protocol may want to close */
	lws_callback_on_writable(wsi);

	return viewer_send_text(wsi, "{\"task\":\"%u.%u.%d\",\"end\":\"%s\"}",
				viewer->number, tile->view.number, tile->index,
				how == LWS_TP_STATUS_FINISHED ? "finished" :
								"stopped");
}

static int
start_tile(struct viewer *viewer, struct lws_threadpool *tp, int index)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_sync = tile_sync,
		.on_end = tile_end,
	};
	struct tile *tile = calloc(1, sizeof(*tile));
	char name[40];
	struct lws_threadpool_task_args args = {
		.wsi = viewer->wsi,
		.user = tile,
		.task = tile_task,
		.cleanup = free_tile,
	};

	if (!tile)
		return -1;
	tile->view = viewer->view;
	tile->pace = viewer->pace;
	tile->index = index;

	lws_snprintf(name, sizeof(name), "%u.%u.%d", viewer->number,
		     viewer->view.number, index);
	if (!(threadpool_live_place ?
		      threadpool_live_place->enqueue(tp, &args, &options,
						     name) :
		      lws_threadpool_enqueue_ext(tp, &args, &options, "%s",
						 name))) {
		free(tile); /* refused: it is still ours */
		return -1;
	}
	viewer->tile[index] = TILE_TASK;
	viewer->tasks++;

	return 0;
}

void
viewer_start(struct viewer *viewer, struct lws_threadpool *tp)
{
	int n;

	for (n = 0; n < TILES; n++)
		if (viewer->tile[n] == TILE_WANTED && start_tile(viewer, tp, n))
			break;
}

static int
stop_task(struct lws_threadpool_task *task, void *user)
{
	(void)user;
	lws_threadpool_dequeue_task(task);

	return 0;
}

void
viewer_stop(struct viewer *viewer)
{
	int n;

	lws_threadpool_foreach_task_wsi(viewer->wsi, NULL, stop_task);
	viewer->tasks = 0;
	for (n = 0; n < TILES; n++)
		if (viewer->tile[n] == TILE_TASK)
			viewer->tile[n] = TILE_WANTED;
}

void
viewer_begin(struct viewer *viewer, struct lws_threadpool *tp)
{
	viewer_stop(viewer);
	viewer->is_asked = 0;
	viewer->view = viewer->asked;
	memset(viewer->tile, TILE_WANTED, sizeof(viewer->tile));
	viewer_start(viewer, tp);
}

int
viewer_send_text(struct lws *wsi, const char *format, ...)
{
	unsigned char buf[LWS_PRE + 192];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf((char *)buf + LWS_PRE, sizeof(buf) - LWS_PRE, format, ap);
	va_end(ap);

	return lws_write(wsi, buf + LWS_PRE, (size_t)n, LWS_WRITE_TEXT) < n ?
		       -1 :
		       0;
}
