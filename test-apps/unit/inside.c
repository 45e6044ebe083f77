/*
 * lws-threadpool unit tests - what tests need that look into the library
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: clock_gettime sysconf getrlimit
 */

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "inside.h"

/* -------- the system -------- */

static atomic_llong forward_secs, still_at;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int
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

static long processors;

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long
__wrap_sysconf(int name)
{
	if (name == _SC_NPROCESSORS_ONLN && processors)
		return processors;

	return __real_sysconf(name);
}

void
processors_are(int n)
{
	processors = n;
}

static atomic_int makers = 2;

int __real_getrlimit(int what, struct rlimit *limit);
int __wrap_getrlimit(int what, struct rlimit *limit);

int
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

struct lwstp_pool *
pool_of(struct lws_threadpool *tp)
{
	uint32_t generation;

	return (struct lwstp_pool *)lwstp_handle_slot(&lwstp_pool_slots, tp,
					LWSTP_HANDLE_POOL, &generation);
}

struct lwstp_task *
task_of(struct lws_threadpool_task *handle)
{
	uint32_t generation;

	return (struct lwstp_task *)lwstp_handle_slot(&lwstp_task_slots,
				handle, LWSTP_HANDLE_TASK, &generation);
}

struct lwstp_bell *
bell_of(struct lws_threadpool *tp)
{
	return pool_of(tp)->host->bell;
}

bool
has_an_idle_thread(void *arg)
{
	struct lwstp_pool *pool = arg;
	bool idle;

	lwstp_lock_pool(pool);
	idle = pool->idle;
	lwstp_unlock_pool(pool);

	return idle;
}

bool
is_asked_for(void *wsi)
{
	struct lwstp_binding *b;
	bool asked;

	lwstp_lock_bindings();
	b = __lwstp_binding_find(wsi);
	asked = b->asked && !b->rung;
	lwstp_unlock_bindings();

	return asked;
}

bool
is_unknown(void *wsi)
{
	bool unknown;

	lwstp_lock_bindings();
	unknown = !__lwstp_binding_find(wsi);
	lwstp_unlock_bindings();

	return unknown;
}

unsigned int
unseen_of(struct lws_threadpool_task *handle)
{
	unsigned int unseen;

	lwstp_lock_bindings();
	__lwstp_bell_collect(task_of(handle)->binding->bell);
	unseen = task_of(handle)->binding->unseen;
	lwstp_unlock_bindings();

	return unseen;
}

bool
is_unseen(void *handle)
{
	return unseen_of(handle) == 1;
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
