/*
 * lws-threadpool - what is refused, and why
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_REFUSE_H
#define LWSTP_REFUSE_H

/* why an enqueue is refused; returned as NULL: it is not */
struct lwstp_refusal {
	unsigned int code;		  /* a small number of its own */
	enum lws_threadpool_refused told; /* to the application */
	int level;
	const char *text;
};

/*
 * refuse.c
 */

/* of this thread's latest call that can be refused */
extern _Thread_local enum lws_threadpool_refused lwstp_refused;
/* Logs it, at most once a second for each reason (P2).  `what` was refused: "a
 * task", say. */
LWSTP_NONE_HELD void
lwstp_refuse(struct lws_threadpool *tp, const char *me, const char *what,
	     const struct lwstp_refusal *why, const void *wsi, bool is_ss);
/* Copies a struct of the caller's, of which we know `known` bytes.  False:
 * it is not one of ours, and text says why. */
bool
lwstp_copy_struct(void *copy, size_t known, const void *from, char *text,
		  size_t len);
/* The same for one that we fill.  False: it is none, or not one of ours, which
 * is logged by the name of `what`. */
LWSTP_NONE_HELD bool
lwstp_struct_ok(const void *to, size_t known, const char *me, const char *what);
/* ... from one of ours; a later version's members are zeroed */
void
lwstp_fill_struct(void *to, size_t known, const void *from);

enum { /* the codes */
       LWSTP_REFUSED_STALE,
       LWSTP_REFUSED_ARGS,
       LWSTP_REFUSED_TASK,
       LWSTP_REFUSED_BOTH,
       LWSTP_REFUSED_POOL_THREAD,
       LWSTP_REFUSED_FINISHING,
       LWSTP_REFUSED_FULL,
       LWSTP_REFUSED_MEMORY,
       LWSTP_REFUSED_FOREIGN,
       LWSTP_REFUSED_NO_CONTEXT,
       LWSTP_REFUSED_NO_ROLE,
       LWSTP_REFUSED_CLOSING,
       LWSTP_REFUSED_UNCONNECTED,
       LWSTP_REFUSED_MUX,
       LWSTP_REFUSED_NO_WATCH,
       LWSTP_REFUSED_ERRNO, /* what failed, and errno tells why */
       LWSTP_REFUSED_SS_DESTROYING,
       LWSTP_REFUSED_SS_UNTOLD,
       LWSTP_REFUSED_SS_THREADS,
       LWSTP_REFUSED_DRAINING,
       LWSTP_REFUSED_OPTIONS, /* and: what is wrong was logged */
       LWSTP_REFUSED_CODES    /* so many */
};

#endif /* LWSTP_REFUSE_H */
