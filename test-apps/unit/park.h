/*
 * lws-threadpool unit tests - jobs that park
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_PARK_H
#define LWSTP_UNIT_PARK_H

#include "harness.h"

/* for park_job() */
static const lws_usec_t park_ever = -1;

/* j->repeat calls park for j->priv, the next ends */
static inline int
park_step(struct job *j, enum lws_threadpool_task_status s)
{
	const lws_usec_t *us = j->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return j->stop_ret;
	if (atomic_load(&j->running) > j->repeat)
		return j->last;

	return (int)lws_threadpool_park(*us) | j->data;
}

/* A job that parks so many times for *us, and then ends.  What is or-ed to the
 * return of its park() is j->data, 0 at first. */
static inline struct job *
park_job(struct rig *rig, int parks, const lws_usec_t *us)
{
	struct job *j = job_new(rig);

	j->fn = park_step;
	j->repeat = parks;
	j->priv = (void *)(uintptr_t)us;

	return j;
}

static inline bool
park_no_thread_runs(void *tp)
{
	int ongoing = 1;

	lws_threadpool_diagnose(tp, &ongoing, NULL, NULL);

	return !ongoing;
}

/* Until so many calls of it have returned, and no thread of the pool has a
 * task: then it is parked, if it has not ended */
static inline void
park_wait(struct lws_threadpool *tp, struct job *j, int returns)
{
	wait_int(&j->returns, returns);
	wait_until(park_no_thread_runs, tp);
}

/* ... that is parked when this returns */
static inline struct job *
park_one(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi, int parks)
{
	struct job *j = park_job(rig, parks, &park_ever);

	assert_non_null(job_enqueue(tp, j, wsi));
	park_wait(tp, j, 1);

	return j;
}

#endif
