/*
 * lws-threadpool schedules - a clock that a race can put forward
 *
 * SPDX-License-Identifier: MIT
 *
 * A wait for a time is cut into short ones, each of which comes back as if
 * spuriously.  Conditions are of CLOCK_MONOTONIC.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include <libwebsockets.h>

#include "clock.h"
#include "shim.h"

#define SLICE_NS  2000000
#define SECOND_NS INT64_C(1000000000)

static _Atomic int64_t ahead_ns;

int
__real_clock_gettime(clockid_t clock, struct timespec *ts);
int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts);
lws_usec_t
__real_lws_now_usecs(void);
lws_usec_t
__wrap_lws_now_usecs(void);
int
__real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *ts);
int
__wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *ts);

void
clock_forward(int64_t us)
{
	atomic_fetch_add(&ahead_ns, us * 1000);
}

int64_t
clock_ahead(void)
{
	return atomic_load(&ahead_ns) / 1000;
}

static int64_t
ns_of(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * SECOND_NS + ts->tv_nsec;
}

static void
set_ns(struct timespec *ts, int64_t ns)
{
	ts->tv_sec = (time_t)(ns / SECOND_NS);
	ts->tv_nsec = (long)(ns % SECOND_NS);
}

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);

	set_ns(ts, ns_of(ts) + atomic_load(&ahead_ns));

	return r;
}

lws_usec_t
__wrap_lws_now_usecs(void)
{
	return __real_lws_now_usecs() + atomic_load(&ahead_ns) / 1000;
}

int
__wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *ts)
{
	struct timespec now, until;
	int64_t end, slice;
	int r;

	shim_point();
	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	end = ns_of(ts) - atomic_load(&ahead_ns);
	slice = ns_of(&now) + SLICE_NS;
	set_ns(&until, end < slice ? (end > 0 ? end : 0) : slice);
	r = __real_pthread_cond_timedwait(c, m, &until);
	shim_point();

	return r == ETIMEDOUT && end >= slice ? 0 : r;
}
