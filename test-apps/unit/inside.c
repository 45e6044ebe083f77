/*
 * lws-threadpool unit tests - what tests need that look into the library
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: clock_gettime sched_getaffinity getrlimit
 */

#include <poll.h>
#include <sched.h>
#include <sys/resource.h>

#include "inside.h"

/* -------- the system -------- */

static atomic_llong forward_secs, still_at;

int
__real_clock_gettime(clockid_t clock, struct timespec *ts);
int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts);

UNINSTRUMENTED int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);
	long long still = atomic_load(&still_at);

	if (still) {
		ts->tv_sec = (time_t)still;
		ts->tv_nsec = 0;
	}
	ts->tv_sec += (time_t)atomic_load(&forward_secs);

	return r;
}

void
clock_forward(int secs)
{
	atomic_fetch_add(&forward_secs, secs);
}

void
clock_stop(void)
{
	struct timespec ts;

	__real_clock_gettime(CLOCK_MONOTONIC, &ts);
	atomic_store(&still_at, (long long)ts.tv_sec);
}

void
clock_go(void)
{
	atomic_store(&still_at, 0);
}

void
clock_reset(void)
{
	clock_go();
	atomic_store(&forward_secs, 0);
}

static int processors;

int
__real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int
__wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);

UNINSTRUMENTED int
__wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	if (!processors)
		return __real_sched_getaffinity(pid, size, set);
	if (processors < 0)
		return -1;
	CPU_ZERO_S(size, set);
	for (size_t n = 0; n < (size_t)processors; n++)
		CPU_SET_S(n, size, set);

	return 0;
}

void
processors_are(int n)
{
	processors = n;
}

static atomic_int makers = 2;

int
__real_getrlimit(int what, struct rlimit *limit);
int
__wrap_getrlimit(int what, struct rlimit *limit);

UNINSTRUMENTED int
__wrap_getrlimit(int what, struct rlimit *limit)
{
	if (!atomic_fetch_add(&makers, 1))
		for (int ms = 0; ms < 500 && atomic_load(&makers) < 2; ms++)
			poll(NULL, 0, 1);

	return __real_getrlimit(what, limit);
}

void
makers_meet(void)
{
	atomic_store(&makers, 0);
}

int
makers_met(void)
{
	return atomic_load(&makers);
}

int
inside_setup(void **state)
{
	clock_reset();
	processors_are(0);
	atomic_store(&makers, 2);

	return rig_setup(state);
}

/* -------- the library -------- */

/* what a handle names, or has named */
static void *
named_by(enum lwstp_kind kind, size_t size, const void *handle)
{
	uint32_t generation;
	struct lwstp_slot *slot = lwstp_handle_slot(kind, size, handle,
						    &generation);

	if (!slot)
		abort();

	return slot;
}

struct lwstp_pool *
pool_of(struct lws_threadpool *tp)
{
	return named_by(LWSTP_POOLS, sizeof(struct lwstp_pool), tp);
}

struct lwstp_task *
task_of(struct lws_threadpool_task *handle)
{
	return named_by(LWSTP_TASKS, sizeof(struct lwstp_task), handle);
}

struct lwstp_service *
service_of(struct lws_threadpool *tp)
{
	return pool_of(tp)->context->service;
}

bool
has_an_idle_thread(void *arg)
{
	struct lwstp_pool *pool = arg;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(pool->idle); n++)
		if (atomic_load(&pool->idle[n]))
			return true;

	return false;
}

bool
is_asked_for(void *wsi)
{
	const struct lwstp_wsi *on = lwstp_wsi_find(lwstp_service_of(wsi), wsi);

	return on->is_asked && !on->is_to_ask;
}

bool
is_unseen(void *handle)
{
	struct lwstp_task *task = task_of(handle);

	lwstp_service_collect(task->service);

	return lwstp_has_unseen(task->on);
}

bool
is_looking(void *arg)
{
	struct lwstp_service *service = arg;

	return !lws_dll2_is_detached(&service->look.list);
}

/* -------- the tests -------- */

static atomic_int passed;

static void
set_it(lws_sorted_usec_list_t *sul)
{
	(void)sul;
	atomic_store(&passed, 1);
}

void
let_pass(struct rig *rig, lws_usec_t us)
{
	lws_sorted_usec_list_t sul;

	memset(&sul, 0, sizeof(sul));
	atomic_store(&passed, 0);
	lws_sul_schedule(rig->context, 0, &sul, set_it, us);
	rig_until_int(rig, &passed, 1);
}

void
serve_the_rest(struct rig *rig, struct conn *c)
{
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}
