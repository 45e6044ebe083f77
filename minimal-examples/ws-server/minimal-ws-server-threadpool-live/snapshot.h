/*
 * minimal-ws-server-threadpool-live: a pool as text
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <lws-threadpool.h>

#define SNAPSHOT_SIZE (24 * 1024)

/*
 * JSON of what the pool has now, and had since it was made, with its tasks, as
 * many as there is room for:
 *
 *	{"pool":1,"threads":3,
 *	 "now":{"queued":40,"running":3,"syncing":2,"parked":3,"done":0},
 *	 "total":{"accepted":48,...},
 *	 "queue_us":[0,0,3,...],"run_us":[...],"sync_us":[...],
 *	 "tasks":[["1.1.0","r",2],["1.1.1","q",-1],...]}
 *
 * A task has its name, a letter for what it does (q: queued, r: on the thread
 * of that number, w: resumed and waiting for a thread, s: SYNCING, p: parked,
 * x: told to stop, d: has ended), and the number of its thread or -1.
 *
 * Any thread.  Returns the length, 0 if there is no such pool.
 */
size_t
snapshot(struct lws_threadpool *tp, unsigned int pool, char *text, size_t size);

#endif
