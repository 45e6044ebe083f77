/*
 * lws-threadpool benchmark - what lws can do without any pool
 *
 * SPDX-License-Identifier: MIT
 *
 * N wsi, all asked for a WRITEABLE before each turn of the loop.  The rate of
 * these callbacks is the ceiling of every row in which a SYNC is one of them.
 * The wsi are raw files, which are what lws and the kernel are fastest at, or
 * the sockets that the other rows use.
 */

#include "bench.h"

static long called;

static int
count(struct rig_wsi *w)
{
	(void)w;
	called++;

	return 0;
}

int
bench_writeables(void)
{
	uint64_t begun;
	long i;

	if (!opt.n)
		opt.n = 1000;
	params("n=%ld;s=%g", opt.n, opt.secs);
	rig.files = !is(opt.who, "sockets");
	rig_up(opt.n, count);

	rig_limit(opt.secs);
	begun = now_ns();
	while (!rig.late) {
		for (i = 0; i < opt.n; i++)
			lws_callback_on_writable(rig.wsis[i].wsi);
		rig_turn();
	}
	out_as(rig.files ? "files" : "sockets", "rate",
	       (double)called * 1e9 / (double)(now_ns() - begun),
	       "writeables/s");

	return 0;
}
