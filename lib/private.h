/*
 * lws-threadpool - DESIGN, and what all of it shares
 *
 * SPDX-License-Identifier: MIT
 *
 * There are two halves.  The pool's (handle.c to worker.c) has the tasks, their
 * lists and the threads.  lws's (wsi.c to secure-stream.c) knows which tasks
 * hang on which wsi, and asks lws for WRITEABLE; all of it belongs to one
 * service thread, and nobody else touches it.  Between them are two inboxes
 * without a lock: many threads put in, one takes all out, in order.  New and
 * resumed tasks go to the pool's inbox.  Tasks that are SYNCING or done are
 * posted to the inbox of their service thread, which looks at each when it is
 * between two callbacks.  A task's state is one atomic word, see task.h.
 *
 * Locks, in the order in which they are taken:
 *
 *   context->lock	one a lws_context: whether lws may still be woken, and
 *			which vhosts pass their events
 *   pool->lock		one a pool: its lists, its timers, its workers
 *   slots->lock	one a table of slots: new slots (see handle.c)
 *   worker->mutex	one a worker: whether it was woken
 *
 * None is held while anything of the user's runs: task functions, cleanups,
 * foreach callbacks, or the log.  Functions that begin with __ are called with
 * the pool's lock held.
 */

#ifndef LWSTP_PRIVATE_H
#define LWSTP_PRIVATE_H

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

/* In quotes, since compiled into lws they lie beside this file.  Some versions
 * of lws's header leave the visibility of what we define to us. */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
#include "lws-threadpool.h"
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#if !defined(LWS_WITH_SYS_STATE)
#error "lws-threadpool needs a libwebsockets with LWS_WITH_SYS_STATE"
#endif

#include "utlist.h"
#include "locks.h"

#define LWSTP_CACHE_LINE	64	/* bytes, nearly everywhere */
#define LWSTP_MAX_THREADS	1024
#define LWSTP_POOL_NAME		32	/* bytes, the NUL included */
#define LWSTP_TASK_NAME		48
#define LWSTP_SYNC_TIMEOUT_SECS	300
#define LWSTP_SYNC_SPIN_US	20

struct lwstp_pool;
struct lwstp_service;
struct lwstp_context;
struct lwstp_wsi;

/*
 * log.c
 */

/* As _lws_log(), in every build: the level alone decides.  A line that is
 * logged by the log function itself is dropped. */
LWSTP_NONE_HELD void
lwstp_log(int level, const char *format, ...) LWS_FORMAT(2);

/*
 * handle.c: slots with generations
 */

/* Of each slot: a generation in the upper bits, and below what the slot's kind
 * makes of it. */
#define LWSTP_GENERATION_SHIFT	33

struct lwstp_slot {
	_Atomic uint64_t	word;
	uint32_t		index;		/* constant */
	_Atomic uint32_t	next_free;	/* index + 1, in slots->free */
};

#define LWSTP_CHUNKS 26

struct lwstp_slots {
	const size_t		size;		/* of an element, in bytes */
	const unsigned int	first_bits;	/* 2^this in the first chunk */
	const unsigned int	index_bits, generation_bits; /* of a handle */
	const unsigned int	kind;		/* its two lowest bits */
	atomic_uint		used;		/* written under lock: ever
						 * handed out */
	_Atomic(char *)		chunk[LWSTP_CHUNKS]; /* written under lock */
	_Atomic uint64_t	free;		/* see handle.c */
	uint32_t		last_free, n_free; /* lock, 32 bit only */
	pthread_mutex_t		lock;
};

extern struct lwstp_slots lwstp_task_slots, lwstp_pool_slots;

static inline uint32_t
lwstp_generation(uint64_t word)
{
	return (uint32_t)(word >> LWSTP_GENERATION_SHIFT);
}

/* a free slot, or NULL without memory */
struct lwstp_slot *
lwstp_slot_take(struct lwstp_slots *slots);
/* it has its next generation already */
void
lwstp_slot_give(struct lwstp_slots *slots, struct lwstp_slot *slot);
/* the upper bits of its word in its next life; 0: there will be none */
uint64_t
lwstp_slot_next(const struct lwstp_slots *slots, uint64_t word);
/* by number, less than slots->used */
struct lwstp_slot *
lwstp_slot_at(struct lwstp_slots *slots, uint32_t index);
void *
lwstp_handle(const struct lwstp_slots *slots, const struct lwstp_slot *slot,
	     uint64_t word);
/* the slot that a handle names and the generation that it expects, or NULL */
struct lwstp_slot *
lwstp_handle_slot(struct lwstp_slots *slots, const void *handle,
		  uint32_t *generation);

/*
 * timer.c: the clocks, and a heap of deadlines for each pool
 */

struct lwstp_timer {
	LWSTP_BY_POOL struct lwstp_timer *child, *next, *prev;
	LWSTP_BY_POOL lws_usec_t at; /* 0: not in the heap */
};

/* good to some milliseconds: for times of seconds */
lws_usec_t
lwstp_now(void);
lws_usec_t
lwstp_precise_now(void);
/* for a wait on a condition; us_from_now is cut to a day */
void
lwstp_deadline(struct timespec *ts, lws_usec_t us_from_now);
LWSTP_POOL_HELD void
__lwstp_timer_add(struct lwstp_timer **heap, struct lwstp_timer *timer,
		  lws_usec_t at);
LWSTP_POOL_HELD void
__lwstp_timer_remove(struct lwstp_timer **heap, struct lwstp_timer *timer);

/*
 * inbox.c: what one thread gives another
 */

struct lwstp_post {
	struct lwstp_post	*next;	/* whoever puts it in, then takes it */
};

struct lwstp_inbox {
	_Atomic(struct lwstp_post *) newest;
};

/* true: it was empty */
bool
lwstp_inbox_put(struct lwstp_inbox *inbox, struct lwstp_post *post);
/* all of them, oldest first */
struct lwstp_post *
lwstp_inbox_take(struct lwstp_inbox *inbox);

static inline bool
lwstp_inbox_empty(const struct lwstp_inbox *inbox)
{
	return !atomic_load(&inbox->newest);
}

/* any thread: its service thread is to look into its inbox */
LWSTP_NONE_HELD void
lwstp_signal(struct lwstp_service *service);
/* this thread is the service thread's, and so noted, or it is known to be */
void
lwstp_service_note(struct lwstp_service *service);
bool
lwstp_service_is_this(const struct lwstp_service *service);

#include "task.h"
#include "pool.h"
#include "context.h"

#endif /* LWSTP_PRIVATE_H */
