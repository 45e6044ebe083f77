/*
 * lws-threadpool faults - the functions that can be made to fail
 *
 * SPDX-License-Identifier: MIT
 *
 * Linked in by --wrap: only the library's and the test's own calls come here.
 * FAULT_LWS_ALLOC is lws's own allocator, while the library has lws adopt an
 * fd.
 */

#include <sched.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "wraps.h"

const char *const fault_names[FAULTS] = {
	"calloc",
	"malloc",
	"aligned_alloc",
	"pthread_create",
	"pthread_mutex_init",
	"pthread_mutexattr_init",
	"pthread_cond_init",
	"pthread_condattr_init",
	"pthread_condattr_setclock",
	"eventfd",
	"eventfd_write",
	"eventfd_read",
	"socket",
	"fcntl",
	"fstat",
	"getrlimit",
	"sched_getaffinity",
	"lws_create_vhost",
	"lws_adopt_descriptor_vhost_via_info",
	"lws_callback_on_writable",
	"lws's allocator in adoption"
};

static atomic_int armed = FAULTS, left, hits;
static atomic_bool goes_on;
static _Thread_local bool adopting;

void
fault_arm(enum fault which, int nth, bool on)
{
	atomic_store(&armed, FAULTS);
	atomic_store(&left, nth);
	atomic_store(&goes_on, on);
	if (which != FAULTS)
		atomic_store(&hits, 0);
	atomic_store(&armed, (int)which);
}

int
fault_hits(void)
{
	return atomic_load(&hits);
}

static bool
fails(enum fault which)
{
	int n;

	if (atomic_load(&armed) != (int)which)
		return false;
	n = atomic_fetch_sub(&left, 1);
	if (n != 1 && !(n < 1 && atomic_load(&goes_on)))
		return false;
	atomic_fetch_add(&hits, 1);

	return true;
}

static void *
lws_alloc(void *p, size_t size, const char *reason)
{
	(void)reason;

	if (!size) {
		free(p);
		return NULL;
	}
	if (adopting && fails(FAULT_LWS_ALLOC))
		return NULL;

	return realloc(p, size);
}

void
fault_init(void)
{
	lws_set_allocator(lws_alloc);
}

/*
 * The wraps
 */

void *
__real_calloc(size_t n, size_t size);
void *
__wrap_calloc(size_t n, size_t size);
void *
__real_malloc(size_t size);
void *
__wrap_malloc(size_t size);
void *
__real_aligned_alloc(size_t align, size_t size);
void *
__wrap_aligned_alloc(size_t align, size_t size);
int
__real_pthread_create(pthread_t *t, const pthread_attr_t *a,
		      void *(*fn)(void *), void *arg);
int
__wrap_pthread_create(pthread_t *t, const pthread_attr_t *a,
		      void *(*fn)(void *), void *arg);
int
__real_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int
__wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a);
int
__real_pthread_mutexattr_init(pthread_mutexattr_t *a);
int
__wrap_pthread_mutexattr_init(pthread_mutexattr_t *a);
int
__real_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int
__wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a);
int
__real_pthread_condattr_init(pthread_condattr_t *a);
int
__wrap_pthread_condattr_init(pthread_condattr_t *a);
int
__real_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t c);
int
__wrap_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t c);
int
__real_eventfd(unsigned int value, int flags);
int
__wrap_eventfd(unsigned int value, int flags);
int
__real_eventfd_write(int fd, eventfd_t value);
int
__wrap_eventfd_write(int fd, eventfd_t value);
int
__real_eventfd_read(int fd, eventfd_t *value);
int
__wrap_eventfd_read(int fd, eventfd_t *value);
int
__real_socket(int domain, int type, int protocol);
int
__wrap_socket(int domain, int type, int protocol);
int
__real_fcntl(int fd, int cmd, ...);
int
__wrap_fcntl(int fd, int cmd, ...);
int
__real_fstat(int fd, struct stat *st);
int
__wrap_fstat(int fd, struct stat *st);
int
__real_getrlimit(int what, struct rlimit *limit);
int
__wrap_getrlimit(int what, struct rlimit *limit);
int
__real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int
__wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
struct lws_vhost *
__real_lws_create_vhost(struct lws_context *context,
			const struct lws_context_creation_info *info);
struct lws_vhost *
__wrap_lws_create_vhost(struct lws_context *context,
			const struct lws_context_creation_info *info);
struct lws *
__real_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info);
struct lws *
__wrap_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info);
int
__real_lws_callback_on_writable(struct lws *wsi);
int
__wrap_lws_callback_on_writable(struct lws *wsi);

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails(FAULT_CALLOC) ? NULL : __real_calloc(n, size);
}

void *
__wrap_malloc(size_t size)
{
	return fails(FAULT_MALLOC) ? NULL : __real_malloc(size);
}

void *
__wrap_aligned_alloc(size_t align, size_t size)
{
	return fails(FAULT_ALIGNED_ALLOC) ? NULL :
					    __real_aligned_alloc(align, size);
}

int
__wrap_pthread_create(pthread_t *t, const pthread_attr_t *a,
		      void *(*fn)(void *), void *arg)
{
	return fails(FAULT_PTHREAD_CREATE) ?
		       EAGAIN :
		       __real_pthread_create(t, a, fn, arg);
}

int
__wrap_pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
	return fails(FAULT_MUTEX_INIT) ? ENOMEM :
					 __real_pthread_mutex_init(m, a);
}

int
__wrap_pthread_mutexattr_init(pthread_mutexattr_t *a)
{
	return fails(FAULT_MUTEXATTR_INIT) ? ENOMEM :
					     __real_pthread_mutexattr_init(a);
}

int
__wrap_pthread_cond_init(pthread_cond_t *c, const pthread_condattr_t *a)
{
	return fails(FAULT_COND_INIT) ? ENOMEM : __real_pthread_cond_init(c, a);
}

int
__wrap_pthread_condattr_init(pthread_condattr_t *a)
{
	return fails(FAULT_CONDATTR_INIT) ? ENOMEM :
					    __real_pthread_condattr_init(a);
}

int
__wrap_pthread_condattr_setclock(pthread_condattr_t *a, clockid_t c)
{
	return fails(FAULT_CONDATTR_SETCLOCK) ?
		       EINVAL :
		       __real_pthread_condattr_setclock(a, c);
}

int
__wrap_eventfd(unsigned int value, int flags)
{
	if (fails(FAULT_EVENTFD)) {
		errno = EMFILE;
		return -1;
	}

	return __real_eventfd(value, flags);
}

/* It fails only if it is full, and then it is readable. */
int
__wrap_eventfd_write(int fd, eventfd_t value)
{
	if (fails(FAULT_EVENTFD_WRITE)) {
		__real_eventfd_write(fd, value);
		errno = EAGAIN;
		return -1;
	}

	return __real_eventfd_write(fd, value);
}

/* Then it goes on being readable. */
int
__wrap_eventfd_read(int fd, eventfd_t *value)
{
	if (fails(FAULT_EVENTFD_READ)) {
		errno = EINTR;
		return -1;
	}

	return __real_eventfd_read(fd, value);
}

int
__wrap_socket(int domain, int type, int protocol)
{
	if (fails(FAULT_SOCKET)) {
		errno = EMFILE;
		return -1;
	}

	return __real_socket(domain, type, protocol);
}

int
__wrap_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (fails(FAULT_FCNTL)) {
		errno = EMFILE;
		return -1;
	}

	return __real_fcntl(fd, cmd, arg);
}

int
__wrap_fstat(int fd, struct stat *st)
{
	if (fails(FAULT_FSTAT)) {
		errno = EOVERFLOW;
		return -1;
	}

	return __real_fstat(fd, st);
}

int
__wrap_getrlimit(int what, struct rlimit *limit)
{
	if (fails(FAULT_GETRLIMIT)) {
		errno = EPERM;
		return -1;
	}

	return __real_getrlimit(what, limit);
}

int
__wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	return fails(FAULT_SCHED_GETAFFINITY) ?
		       -1 :
		       __real_sched_getaffinity(pid, size, set);
}

struct lws_vhost *
__wrap_lws_create_vhost(struct lws_context *context,
			const struct lws_context_creation_info *info)
{
	return fails(FAULT_CREATE_VHOST) ?
		       NULL :
		       __real_lws_create_vhost(context, info);
}

struct lws *
__wrap_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info)
{
	struct lws *wsi;

	if (info->type & LWS_ADOPT_SOCKET) /* the test's own */
		return __real_lws_adopt_descriptor_vhost_via_info(info);
	if (fails(FAULT_ADOPT))
		return NULL;
	adopting = true;
	wsi = __real_lws_adopt_descriptor_vhost_via_info(info);
	adopting = false;

	return wsi;
}

int
__wrap_lws_callback_on_writable(struct lws *wsi)
{
	return fails(FAULT_ON_WRITABLE) ? 0 :
					  __real_lws_callback_on_writable(wsi);
}
