/*
 * lws-threadpool unit tests - what tests of a pool's numbers need
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_NUMBERS_H
#define LWSTP_UNIT_NUMBERS_H

#include "harness.h"

#define BUCKETS 32

/* What the library says of the pool now.  The struct is filled with 0xa5
 * before: a member that is left out is seen. */
static inline struct lws_threadpool_stats
stats_of(struct lws_threadpool *tp)
{
	struct lws_threadpool_stats s;

	memset(&s, 0xa5, sizeof(s));
	s.size = sizeof(s);
	assert_int_equal(lws_threadpool_get_stats(tp, &s), 0);
	assert_int_equal(s.size, sizeof(s));
	assert_int_equal(s.reserved, 0);

	return s;
}

static inline struct lws_threadpool_task_info
info_of(struct lws_threadpool_task *task)
{
	struct lws_threadpool_task_info info;

	memset(&info, 0xa5, sizeof(info));
	info.size = sizeof(info);
	assert_int_equal(lws_threadpool_task_get_info(task, &info), 0);

	return info;
}

static inline uint64_t
samples(const uint64_t buckets[BUCKETS])
{
	uint64_t sum = 0;

	for (int n = 0; n < BUCKETS; n++)
		sum += buckets[n];

	return sum;
}

/* A member of a pool's numbers that is waited for */
struct stat_wait {
	struct lws_threadpool *tp;
	size_t offset, size;
	uint64_t n;
};

static inline bool
stat_is(void *arg)
{
	struct stat_wait *w = arg;
	struct lws_threadpool_stats s = stats_of(w->tp);
	uint64_t value = 0;
	uint32_t half;

	if (w->size == sizeof(half)) {
		memcpy(&half, (char *)&s + w->offset, sizeof(half));
		value = half;
	} else
		memcpy(&value, (char *)&s + w->offset, sizeof(value));

	return value == w->n;
}

#define STAT_WAIT(tp, member, n) \
	&(struct stat_wait) \
	{ \
		(tp), offsetof(struct lws_threadpool_stats, member), \
			sizeof(((struct lws_threadpool_stats *)NULL)->member), \
			(uint64_t)(n) \
	}

/* It is n, or becomes so.  rig_ services meanwhile. */
#define wait_stat(tp, member, n) \
	wait_until_(stat_is, STAT_WAIT(tp, member, n), #member " is " #n, \
		    __FILE__, __LINE__)
#define rig_until_stat(rig, tp, member, n) \
	rig_until_((rig), stat_is, STAT_WAIT(tp, member, n), \
		   #member " is " #n, __FILE__, __LINE__)

/* Task functions: parks once, for good, and then ends */
static inline int
park_once(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return atomic_load(&j->calls) == 1 ? (int)lws_threadpool_park(-1) :
					     LWS_TP_RETURN_FINISHED;
}

/* A job that has parked when this returns, found out without a look at it */
static inline struct job *
job_sleep(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	uint64_t parked = stats_of(tp).parked;
	struct job *j = job_new(rig);

	j->fn = park_once;
	assert_non_null(job_enqueue(tp, j, wsi));
	wait_stat(tp, parked, parked + 1);

	return j;
}

#endif
