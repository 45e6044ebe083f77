/*
 * lws-threadpool - what is refused, and why
 *
 * SPDX-License-Identifier: MIT
 *
 * Each thread knows why its latest call was refused.  The pool logs it, at most
 * once a second for each reason (P2).
 */

#include <errno.h>

#include "private.h"

#define SIZE_MOST 4096 /* of a struct of the caller's: bytes */

_Thread_local enum lws_threadpool_refused lwstp_refused;

void
lwstp_refuse(struct lws_threadpool *tp, const char *me, const char *what,
	     const struct lwstp_refusal *why, const void *wsi, bool is_ss)
{
	int depth, error = errno;
	struct lwstp_pool *pool = lwstp_pool_lock(tp, me);
	lws_usec_t now = lwstp_now();
	char name[LWSTP_POOL_NAME];
	unsigned int others;
	bool said;

	lwstp_refused = why->told;
	if (!pool)
		return;
	if (now - pool->refused_since >= LWS_US_PER_SEC) {
		pool->refused_since = now;
		pool->refused_said = 0;
	}
	said = pool->refused_said & (1u << why->code);
	pool->refused_said |= 1u << why->code;
	others = pool->refused_unsaid[why->code];
	pool->refused_unsaid[why->code] = said ? others + 1 : 0;
	depth = pool->max_queue_depth;
	memcpy(name, pool->name, sizeof(name));
	lwstp_unlock(pool);

	errno = error;
	if (!said)
		lwstp_log(why->level,
			  "%s: pool %s refuses %s: %s%s%s (%s %p, "
			  "max_queue_depth %d; %u more since the last such "
			  "line)\n",
			  me, name, what, LWSTP_WHY(why), is_ss ? "ss" : "wsi",
			  wsi, depth, others);
}

enum lws_threadpool_refused
lws_threadpool_refused(void)
{
	return lwstp_refused;
}

void
lws_threadpool_refuse(enum lws_threadpool_refused why)
{
	lwstp_refused = why;
}

bool
lwstp_copy_struct(void *copy, size_t known, const void *from, char *text,
		  size_t len)
{
	const char *bytes = from;
	size_t size, n;

	memcpy(&size, from, sizeof(size)); /* its first member */
	if (size < known || size > SIZE_MOST) {
		lws_snprintf(text, len, "options->size is %lu, not %lu",
			     (unsigned long)size, (unsigned long)known);
		return false;
	}
	for (n = known; n < size; n++)
		if (bytes[n]) {
			lws_snprintf(text, len,
				     "options has a member at byte "
				     "%lu that this version does not know",
				     (unsigned long)n);
			return false;
		}
	memcpy(copy, from, known);

	return true;
}

bool
lwstp_struct_ok(const void *to, size_t known, const char *me, const char *what)
{
	size_t size = 0;

	if (to)
		memcpy(&size, to, sizeof(size)); /* its first member */
	if (size >= known && size <= SIZE_MOST)
		return true;
	lwstp_log(LLL_ERR, "%s: %s is %p, its size %lu, not %lu\n", me, what,
		  to, (unsigned long)size, (unsigned long)known);

	return false;
}

void
lwstp_fill_struct(void *to, size_t known, const void *from)
{
	size_t size;

	memcpy(&size, to, sizeof(size));
	memset((char *)to + known, 0, size - known);
	memcpy((char *)to + sizeof(size), (const char *)from + sizeof(size),
	       known - sizeof(size));
}
