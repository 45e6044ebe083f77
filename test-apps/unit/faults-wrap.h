/*
 * lws-threadpool unit tests - what the library asks the system for, fails
 *
 * SPDX-License-Identifier: MIT
 *
 * For one test each, linked with --wrap of these: malloc calloc realloc
 * aligned_alloc posix_memalign mmap eventfd fcntl
 * lws_adopt_descriptor_vhost_via_info.  It says itself which of them fail.
 */

#ifndef LWSTP_UNIT_FAULTS_WRAP_H
#define LWSTP_UNIT_FAULTS_WRAP_H

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "harness.h"

enum what {
	MEMORY,
	THREADS,
	FDS,
	VHOST,
	VHOST_LATE,
	ADOPTION, /* of the library's, not of the test's connections */
	WRITEABLE,
	CONDITIONS,
	RANDOM,

	WHATS
};

/* The test's: whether this call fails, on any thread */
static bool
fails(enum what what);

static inline bool
fails_with(enum what what, int error)
{
	if (!fails(what))
		return false;
	errno = error;

	return true;
}

#define WRAP(ret, name, args) \
	ret __real_##name args; \
	ret __wrap_##name args; \
	ret __wrap_##name args

WRAP(void *, malloc, (size_t size))
{
	return fails_with(MEMORY, ENOMEM) ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, (size_t n, size_t size))
{
	return fails_with(MEMORY, ENOMEM) ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, (void *p, size_t size))
{
	return fails_with(MEMORY, ENOMEM) ? NULL : __real_realloc(p, size);
}

WRAP(void *, aligned_alloc, (size_t align, size_t size))
{
	return fails_with(MEMORY, ENOMEM) ? NULL :
					    __real_aligned_alloc(align, size);
}

WRAP(int, posix_memalign, (void **p, size_t align, size_t size))
{
	return fails(MEMORY) ? ENOMEM : __real_posix_memalign(p, align, size);
}

WRAP(void *, mmap,
     (void *p, size_t len, int prot, int flags, int fd, off_t off))
{
	return fails_with(MEMORY, ENOMEM) ?
		       MAP_FAILED :
		       __real_mmap(p, len, prot, flags, fd, off);
}

WRAP(int, eventfd, (unsigned int value, int flags))
{
	return fails_with(FDS, EMFILE) ? -1 : __real_eventfd(value, flags);
}

WRAP(int, fcntl, (int fd, int cmd, ...))
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	/* one above 0 only makes room in the kernel's table: nobody is told */
	if ((cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) && !(int)arg &&
	    fails_with(FDS, EMFILE))
		return -1;

	return __real_fcntl(fd, cmd, arg);
}

WRAP(struct lws *, lws_adopt_descriptor_vhost_via_info,
     (const lws_adopt_desc_t *info))
{
	if (!(info->type & LWS_ADOPT_SOCKET) && fails(ADOPTION))
		return NULL;

	return __real_lws_adopt_descriptor_vhost_via_info(info);
}

/* The harness keeps the log in memory that it gets at the first line */
static inline void
log_ready(void)
{
	lwsl_warn("the first line\n");
	log_forget();
}

#endif
