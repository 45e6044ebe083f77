/*
 * minimal-cluster-threadpool: what the front and its workers share
 *
 * SPDX-License-Identifier: MIT
 *
 * tile_task() computes a tile as it does in one process: tile.c has not
 * changed. Here is what the network has to know of it.  A request is a line of
 * text, which any machine can read, and a chunk is the message for the browser.
 */

#include "tile-kind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tile.h"

#define MAX_REQUEST 160 /* bytes of text */
#define COARSE_LEN  (TILE_HEADER + 2 * (TILE / COARSE) * (TILE / COARSE))
#define FINE_LEN    (TILE_HEADER + 2 * TILE * TILE)

/* `user` at a worker */
struct work {
	struct tile tile;
	uint32_t skip; /* chunks that the front has already */
	int is_over;
};

/* It has no way to begin with the second pass: so who goes on with the tile of
 * a lost worker makes the first one again, and does not send it. */
static enum lws_threadpool_task_return
work_task(void *user, enum lws_threadpool_task_status status)
{
	struct work *work = user;
	enum lws_threadpool_task_return ret = tile_task(&work->tile, status);

	work->is_over = ret == LWS_TP_RETURN_FINISHED;
	if (ret != LWS_TP_RETURN_SYNC || !work->skip)
		return ret;
	work->skip--;

	return LWS_TP_RETURN_CHECKING_IN;
}

static void
work_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;

	free(user);
}

static int
encode_job(void *user, void *buf, size_t *len)
{
	const struct tile *tile = user;
	int n = snprintf(buf, *len, "%u %d %u %u %.17g %.17g %.17g",
			 tile->view.number, tile->index, tile->pace.row_us,
			 tile->pace.park_ms, tile->view.re, tile->view.im,
			 tile->view.span);

	if (n < 0 || (size_t)n >= *len)
		return -1;
	*len = (size_t)n;

	return 0;
}

static int
is_tile(const struct tile *tile)
{
	return tile->index >= 0 && tile->index < TILES &&
	       tile->pace.row_us <= 1000000 && tile->pace.park_ms <= 60000 &&
	       isfinite(tile->view.re) && isfinite(tile->view.im) &&
	       isfinite(tile->view.span);
}

static void *
decode_job(const void *buf, size_t len,
	   const struct lws_threadpool_cluster_job_info *info)
{
	char text[MAX_REQUEST] = "", c;
	struct work *work;
	struct tile *tile;

	if (len >= sizeof(text) || info->version != tile_kind.version)
		return NULL;
	memcpy(text, buf, len);
	work = calloc(1, sizeof(*work));
	if (!work)
		return NULL;
	tile = &work->tile;
	work->skip = info->resume;
	if (sscanf(text, "%9u %4d %8u %6u %lf %lf %lf%c", &tile->view.number,
		   &tile->index, &tile->pace.row_us, &tile->pace.park_ms,
		   &tile->view.re, &tile->view.im, &tile->view.span, &c) == 7 &&
	    is_tile(tile))
		return work;
	free(work);

	return NULL;
}

/* after FINISHED there is no more to say */
static int
encode_chunk(void *user, void *buf, size_t *len)
{
	const struct work *work = user;
	size_t n = work->is_over ? 0 : work->tile.len;

	if (n > *len)
		return -1;
	memcpy(buf, work->tile.out + LWS_PRE, n);
	*len = n;

	return 0;
}

static int
decode_chunk(void *user, const void *buf, size_t len)
{
	struct tile *tile = user;

	if (len != COARSE_LEN && len != FINE_LEN)
		return -1;
	memcpy(tile->out + LWS_PRE, buf, len);
	tile->len = len;

	return 0;
}

const struct lws_threadpool_cluster_kind tile_kind = {
	.size = sizeof(tile_kind),
	.name = "tile",
	.version = 1,
	.task = work_task,
	.cleanup = work_cleanup,
	.encode_job = encode_job,
	.decode_job = decode_job,
	.encode_chunk = encode_chunk,
	.decode_chunk = decode_chunk,
	.retry = LWS_TP_CLUSTER_RETRY_RESUME,
	.window = 1, /* no fine tile before the coarse one is taken */
};
