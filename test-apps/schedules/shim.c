/*
 * lws-threadpool schedules - makes threads meet where they seldom meet
 *
 * SPDX-License-Identifier: MIT
 */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "shim.h"

#define PRIORITIES 4

static _Atomic uint64_t seed, threads;
static atomic_ulong points;

static _Thread_local uint64_t my_seed, my_state;
static _Thread_local unsigned int my_priority;

void
shim_seed(uint64_t s)
{
	atomic_store(&threads, 0);
	atomic_store(&seed, s);
}

/* for programs that do not know of it: the unit tests */
__attribute__((constructor)) static void
seed_by_environment(void)
{
	const char *s = getenv("LWSTP_SHIM_SEED");

	if (s)
		shim_seed(strtoull(s, NULL, 0));
}

unsigned long
shim_points(void)
{
	return atomic_load(&points);
}

static uint32_t
draw(uint32_t n)
{
	uint64_t z = (my_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z ^= z >> 27;

	return (uint32_t)((z >> 32) * n >> 32);
}

void
shim_point(void)
{
	uint64_t s = atomic_load_explicit(&seed, memory_order_relaxed);
	struct timespec ts = { .tv_sec = 0 };
	uint32_t what;

	if (!s)
		return;
	atomic_fetch_add_explicit(&points, 1, memory_order_relaxed);
	if (my_seed != s) {
		my_seed = s;
		my_state = s * 31 +
			   atomic_fetch_add_explicit(&threads, 1,
						     memory_order_relaxed);
		my_priority = draw(PRIORITIES);
	} else if (!draw(40))
		my_priority = draw(PRIORITIES);

	what = draw(64);
	if (what < 2 * my_priority) {
		ts.tv_nsec = (long)(1000 + draw(60000u << my_priority));
		nanosleep(&ts, NULL);
	} else if (what < 8 + 4 * my_priority)
		sched_yield();
}

/*
 * The wraps: weak, for a program that has one of its own
 */

#define WRAP __attribute__((weak))

int
__real_pthread_mutex_lock(pthread_mutex_t *m);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *m);
int
__real_pthread_mutex_unlock(pthread_mutex_t *m);
int
__wrap_pthread_mutex_unlock(pthread_mutex_t *m);
int
__real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int
__wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int
__real_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *ts);
int
__wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *ts);
int
__real_pthread_cond_signal(pthread_cond_t *c);
int
__wrap_pthread_cond_signal(pthread_cond_t *c);
int
__real_pthread_cond_broadcast(pthread_cond_t *c);
int
__wrap_pthread_cond_broadcast(pthread_cond_t *c);
int
__real_eventfd_write(int fd, eventfd_t value);
int
__wrap_eventfd_write(int fd, eventfd_t value);
int
__real_eventfd_read(int fd, eventfd_t *value);
int
__wrap_eventfd_read(int fd, eventfd_t *value);
ssize_t
__real_write(int fd, const void *buf, size_t len);
ssize_t
__wrap_write(int fd, const void *buf, size_t len);
ssize_t
__real_read(int fd, void *buf, size_t len);
ssize_t
__wrap_read(int fd, void *buf, size_t len);
int
__real_lws_callback_on_writable(struct lws *wsi);
int
__wrap_lws_callback_on_writable(struct lws *wsi);
void
__real_lws_cancel_service(struct lws_context *context);
void
__wrap_lws_cancel_service(struct lws_context *context);

WRAP int
__wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	shim_point();

	return __real_pthread_mutex_lock(m);
}

WRAP int
__wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	int r = __real_pthread_mutex_unlock(m);

	shim_point();

	return r;
}

/* one that comes back for no reason */
static int
spurious(pthread_mutex_t *m)
{
	if (!my_seed || draw(16))
		return 0;
	__real_pthread_mutex_unlock(m);
	shim_point();
	__real_pthread_mutex_lock(m);

	return 1;
}

WRAP int
__wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	int r;

	if (spurious(m))
		return 0;
	r = __real_pthread_cond_wait(c, m);
	shim_point();

	return r;
}

WRAP int
__wrap_pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m,
			      const struct timespec *ts)
{
	int r;

	if (spurious(m))
		return 0;
	r = __real_pthread_cond_timedwait(c, m, ts);
	shim_point();

	return r;
}

WRAP int
__wrap_pthread_cond_signal(pthread_cond_t *c)
{
	shim_point();

	return __real_pthread_cond_signal(c);
}

WRAP int
__wrap_pthread_cond_broadcast(pthread_cond_t *c)
{
	shim_point();

	return __real_pthread_cond_broadcast(c);
}

WRAP int
__wrap_eventfd_write(int fd, eventfd_t value)
{
	int r;

	shim_point();
	r = __real_eventfd_write(fd, value);
	shim_point();

	return r;
}

WRAP int
__wrap_eventfd_read(int fd, eventfd_t *value)
{
	int r;

	shim_point();
	r = __real_eventfd_read(fd, value);
	shim_point();

	return r;
}

WRAP ssize_t
__wrap_write(int fd, const void *buf, size_t len)
{
	shim_point();

	return __real_write(fd, buf, len);
}

WRAP ssize_t
__wrap_read(int fd, void *buf, size_t len)
{
	shim_point();

	return __real_read(fd, buf, len);
}

WRAP int
__wrap_lws_callback_on_writable(struct lws *wsi)
{
	shim_point();

	return __real_lws_callback_on_writable(wsi);
}

WRAP void
__wrap_lws_cancel_service(struct lws_context *context)
{
	shim_point();
	__real_lws_cancel_service(context);
}
