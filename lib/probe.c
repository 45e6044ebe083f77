/*
 * lws-threadpool - what a static probe tells (N4)
 *
 * SPDX-License-Identifier: MIT
 *
 * On the thread that does it, with or without locks.
 */

#include "private.h"

#if defined(LWSTP_HAVE_SDT)

#define _SDT_HAS_SEMAPHORES 1
#include <sys/sdt.h>

/* counted up by those who listen, in a section where they find it */
#define SEMAPHORE(what) \
	volatile unsigned short lwstp_##what##_semaphore \
		__attribute__((section(".probes")));

#define PROBE(what) \
	SEMAPHORE(what) \
	void lwstp_probe_##what(const struct lwstp_pool *pool, \
				const struct lwstp_task *task, uint64_t word) \
	{ \
		char text[LWSTP_TASK_NAME]; \
\
		lwstp_name_write(&task->name, text); \
		STAP_PROBE3(lwstp, what, pool->name, text, \
			    lwstp_task_handle(task, word)); \
	}

LWSTP_PROBES(PROBE)
SEMAPHORE(refuse)

void
lwstp_probe_refuse(const struct lwstp_pool *pool, const char *format,
		   va_list ap, const char *other,
		   enum lws_threadpool_refused why)
{
	char text[LWSTP_TASK_NAME];
	union lwstp_name name;

	memset(&name, 0, sizeof(name));
	lwstp_name_set(&name, format, ap, other);
	lwstp_name_write(&name, text);
	STAP_PROBE3(lwstp, refuse, pool->name, text, (int)why);
}

#endif
