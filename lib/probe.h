/*
 * lws-threadpool - static probes, for SystemTap, bpftrace, perf and gdb (N4)
 *
 * SPDX-License-Identifier: MIT
 *
 * Where sys/sdt.h is there.  A probe has the pool's name, the task's, and the
 * task's handle or, of `refuse`, the reason.  What it tells is put together
 * only while somebody listens: until then it is a look at a semaphore.
 */

#ifndef LWSTP_PROBE_H
#define LWSTP_PROBE_H

#if defined(LWSTP_HAVE_SDT)

/* those with a task */
#define LWSTP_PROBES(each) \
	each(enqueue) each(start) each(sync) each(resume) each(park) \
		each(wake) each(end) each(reap)

#define LWSTP_PROBE_OF(what) \
	extern volatile unsigned short lwstp_##what##_semaphore \
		__attribute__((visibility("hidden"))); \
	void lwstp_probe_##what(const struct lwstp_pool *pool, \
				const struct lwstp_task *task, uint64_t word);
LWSTP_PROBES(LWSTP_PROBE_OF)
extern volatile unsigned short lwstp_refuse_semaphore
	__attribute__((visibility("hidden")));
void
lwstp_probe_refuse(const struct lwstp_pool *pool, const char *format,
		   va_list ap, const char *other,
		   enum lws_threadpool_refused why);

#define LWSTP_LISTENS(what) __builtin_expect(lwstp_##what##_semaphore, 0)
#define LWSTP_PROBE(what, pool, task, word) \
	do { \
		if (LWSTP_LISTENS(what)) \
			lwstp_probe_##what(pool, task, word); \
	} while (0)
#define LWSTP_PROBE_ONCE(probed, what, pool, task, word) \
	do { \
		if (!*(probed)) \
			LWSTP_PROBE(what, pool, task, word); \
		*(probed) = true; \
	} while (0)
/* with the arguments of the variadic function that this is in */
#define LWSTP_PROBE_REFUSE(pool, args, format) \
	do { \
		va_list refused; \
		if (!LWSTP_LISTENS(refuse)) \
			break; \
		va_start(refused, format); \
		lwstp_probe_refuse(pool, format, refused, \
				   (args) ? (args)->name : NULL, \
				   lwstp_refused); \
		va_end(refused); \
	} while (0)

#else

#define LWSTP_PROBE(what, pool, task, word)		 ((void)0)
#define LWSTP_PROBE_ONCE(probed, what, pool, task, word) ((void)0)
#define LWSTP_PROBE_REFUSE(pool, args, format)		 ((void)0)

#endif

#endif /* LWSTP_PROBE_H */
