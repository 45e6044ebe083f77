/*
 * minimal-ws-server-threadpool-live: the work of a task
 *
 * SPDX-License-Identifier: MIT
 *
 * All of this runs on the threads of the pool.
 */

#include "tile.h"

#include <time.h>

/*
 * How many steps it takes the point to leave, up to ITERATIONS.  Plain IEEE
 * doubles (see -ffp-contract in CMakeLists.txt), so that every machine gets the
 * same picture.
 */
static unsigned int
escape(double re, double im)
{
	double x = 0, y = 0, xx = 0, yy = 0;
	unsigned int n = 0;

	while (n < ITERATIONS && xx + yy <= 4) {
		y = 2 * x * y + im;
		x = xx - yy + re;
		xx = x * x;
		yy = y * y;
		n++;
	}

	return n;
}

static void
pause_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, (long)(us % 1000000) * 1000 };

	if (us)
		nanosleep(&ts, NULL);
}

/* the message of a pass: which tile of which view it is, then its pixels */
static void
begin(struct tile *tile, int step)
{
	unsigned char *p = tile->out + LWS_PRE;
	uint32_t number = tile->view.number;

	tile->step = step;
	tile->row = 0;

	*p++ = (unsigned char)number;
	*p++ = (unsigned char)(number >> 8);
	*p++ = (unsigned char)(number >> 16);
	*p++ = (unsigned char)(number >> 24);
	*p++ = (unsigned char)(tile->index % COLUMNS);
	*p++ = (unsigned char)(tile->index / COLUMNS);
	*p++ = (unsigned char)step;
	*p = 0;
	tile->len = TILE_HEADER;
}

/* One row of pixels, each as two bytes.  Returns whether there is another one.
 * A coarse pixel is one of the fine ones: that in the middle of its place. */
static int
make_row(struct tile *tile)
{
	const double pixel = tile->view.span / (COLUMNS * TILE);
	int step = tile->step, left, top, n;
	unsigned char *p = tile->out + LWS_PRE + tile->len;

	left = tile->index % COLUMNS * TILE + step / 2 - COLUMNS * TILE / 2;
	top = tile->index / COLUMNS * TILE + step / 2 - ROWS * TILE / 2;

	for (n = 0; n < TILE; n += step) {
		unsigned int count = escape(
			tile->view.re + (left + n) * pixel,
			tile->view.im - (top + tile->row * step) * pixel);

		*p++ = (unsigned char)count;
		*p++ = (unsigned char)(count >> 8);
		tile->len += 2;
	}
	pause_us(tile->pace.row_us);

	return ++tile->row < TILE / step;
}

/*
 * From top to bottom: see LWS_TP_TASK_BEGIN().  It checks in after each row: a
 * task that is to stop hears of it there, or where it is SYNCING or parked.
 */
enum lws_threadpool_task_return
tile_task(void *user, enum lws_threadpool_task_status status)
{
	struct tile *tile = user;

	LWS_TP_TASK_BEGIN(&tile->at, status);

	begin(tile, COARSE);
	while (make_row(tile))
		LWS_TP_TASK_CHECK_IN(&tile->at);
	LWS_TP_TASK_SYNC(&tile->at); /* no thread, until it was sent */

	/* somebody who goes on zooming wants no fine tile: wait, without a
	 * thread, and see */
	LWS_TP_TASK_PARK(&tile->at, tile->pace.park_ms * LWS_US_PER_MS);

	begin(tile, 1);
	while (make_row(tile))
		LWS_TP_TASK_CHECK_IN(&tile->at);
	LWS_TP_TASK_SYNC(&tile->at);

	LWS_TP_TASK_END(&tile->at);
}
