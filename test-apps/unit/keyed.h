/*
 * lws-threadpool unit tests - jobs with a key (O1)
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_KEYED_H
#define LWSTP_UNIT_KEYED_H

#include "served.h"

/* A key, and what was seen of its jobs.  Its address is the key. */
struct lane {
	atomic_int inside;  /* started and not ended, jobs of
			     * keyed_counted() alone */
	atomic_int most;    /* ... at a time, so far */
	atomic_int started; /* in all */
};

/* A job with a key, and no handlers: for served_enqueue(), which makes it a job
 * that serve() leaves alone */
struct served *
keyed_new(struct rig *rig, const void *key, int max);

/* ... that waits for the gate in its first call */
struct served *
keyed_gated(struct rig *rig, const void *key, int max, struct gate *gate);

/* ... of a lane, in which it is counted.  It returns `ret` that often and then
 * FINISHED; j->data is the number of those of the lane that started before. */
struct served *
keyed_counted(struct rig *rig, struct lane *lane, int max, int repeat, int ret);

/* It is QUEUED, has not been called, and is not although the threads of its
 * pool had time to: they have done two more tasks each. */
void
keyed_is_held(struct rig *rig, struct lws_threadpool *tp, struct served *s);

#endif
