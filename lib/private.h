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
 *   service->lock	one a service thread: changes of its table of wsi
 *   pool->lock		one a pool: its lists, its timers, its workers
 *   slots->lock	one a table of slots: new slots (see handle.c)
 *   worker->mutex	one a worker: whether it was woken
 *
 * Before these, and rarely: making_lock (context.c), opening_lock (watch.c).
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

#define LWSTP_CACHE_LINE	64 /* bytes, nearly everywhere */
#define LWSTP_MAX_THREADS	1024
#define LWSTP_POOL_NAME		32 /* bytes, the NUL included */
#define LWSTP_TASK_NAME		48
#define LWSTP_SYNC_TIMEOUT_SECS 300
#define LWSTP_SYNC_SPIN_US	20
#define LWSTP_KEEP_SECS		300
#define LWSTP_MAX_KEPT		1000
#define LWSTP_TOKEN_BYTES	16
#define LWSTP_COARSE_US		(10 * LWS_US_PER_MS) /* lwstp_now() is late */

/* of a function that few tasks need: it costs the others nothing */
#if defined(__GNUC__)
#define LWSTP_SELDOM __attribute__((noinline, cold))
#else
#define LWSTP_SELDOM
#endif

struct lwstp_pool;
struct lwstp_worker;
struct lwstp_service;
struct lwstp_context;
struct lwstp_wsi;
struct lwstp_key;
struct lwstp_token;

/*
 * log.c
 */

/* Like _lws_log(), but in no build compiled out: the level alone decides.  A
 * line that is logged while the log function runs on this thread is dropped. */
LWSTP_NONE_HELD void
lwstp_log(int level, const char *format, ...) LWS_FORMAT(2);
/* what an errno says */
const char *
lwstp_error(int error);

/*
 * handle.c: slots with generations
 */

/* The upper bits of a slot's word are its generation.  What the others are, its
 * kind says: see task.h and pool.h. */
#define LWSTP_GENERATION_SHIFT 34

struct lwstp_slot {
	_Atomic uint64_t word;
	uint32_t index;		    /* constant */
	_Atomic uint32_t next_free; /* index + 1, in slots->free */
};

/* of slots, and of handles */
enum lwstp_kind { LWSTP_TASKS = 1, LWSTP_POOLS = 2, LWSTP_WSIS = 3 };

/* On 64 bits no handle ever comes twice: a slot whose generations are used up
 * is left unused.  On 32 bits there are too few for that: see handle.c. */
#if UINTPTR_MAX > 0xffffffffu
#define LWSTP_INDEX_BITS(kind)	    ((void)(kind), 31u)
#define LWSTP_GENERATION_BITS(kind) ((void)(kind), 30u)
#else
#define LWSTP_INDEX_BITS(kind)	    ((kind) == LWSTP_POOLS ? 10u : 18u)
#define LWSTP_GENERATION_BITS(kind) (30u - LWSTP_INDEX_BITS(kind))
#endif
#define LWSTP_KIND_BITS	 2
#define LWSTP_MASK(bits) ((((uint64_t)1) << (bits)) - 1)
#define LWSTP_FIRST_BITS 3u
#define LWSTP_CHUNKS	 29 /* for every index that there is */

/* Chunk c has 2^(c + FIRST_BITS) slots. */
struct lwstp_slots {
	const size_t size;		     /* of an element, in bytes */
	atomic_uint used;		     /* slots that were ever made;
					      * written under lock */
	_Atomic(char *) chunk[LWSTP_CHUNKS]; /* written under lock */
	_Atomic uint64_t free;		     /* see handle.c */
	uint32_t last_free, n_free;	     /* lock, 32 bit only */
	pthread_mutex_t lock;
};

extern struct lwstp_slots lwstp_slots[]; /* by kind */

static inline uint32_t
lwstp_generation(uint64_t word)
{
	return (uint32_t)(word >> LWSTP_GENERATION_SHIFT);
}

/* The chunk of a slot, and its place in that: of its number plus 2^FIRST_BITS
 * the highest bit tells the chunk, and the others are the place. */
static inline unsigned int
lwstp_chunk_of(uint32_t index, uint32_t *offset)
{
	uint32_t n = index + ((uint32_t)1 << LWSTP_FIRST_BITS),
		 highest = 31 ^ (uint32_t)__builtin_clz(n);

	*offset = n ^ (uint32_t)1 << highest;

	return highest - LWSTP_FIRST_BITS;
}

/* by number; NULL: there never was one */
static inline struct lwstp_slot *
lwstp_slot_at(enum lwstp_kind kind, size_t size, uint32_t index)
{
	uint32_t offset;
	unsigned int c = lwstp_chunk_of(index, &offset);
	char *chunk = atomic_load_explicit(&lwstp_slots[kind].chunk[c],
					   memory_order_acquire);

	return chunk ? (void *)(chunk + offset * size) : NULL;
}

static inline void *
lwstp_handle(enum lwstp_kind kind, const struct lwstp_slot *slot, uint64_t word)
{
	return (void *)(((uintptr_t)lwstp_generation(word)
			 << (LWSTP_INDEX_BITS(kind) + LWSTP_KIND_BITS)) |
			((uintptr_t)slot->index << LWSTP_KIND_BITS) |
			(uintptr_t)kind);
}

/* the slot that a handle names and the generation that it expects, or NULL */
static inline struct lwstp_slot *
lwstp_handle_slot(enum lwstp_kind kind, size_t size, const void *handle,
		  uint32_t *generation)
{
	uintptr_t bits = (uintptr_t)handle;

	*generation = (uint32_t)(bits >>
				 (LWSTP_INDEX_BITS(kind) + LWSTP_KIND_BITS));
	if ((bits & LWSTP_MASK(LWSTP_KIND_BITS)) != (uintptr_t)kind ||
	    !*generation)
		return NULL;

	return lwstp_slot_at(kind, size,
			     (uint32_t)((bits >> LWSTP_KIND_BITS) &
					LWSTP_MASK(LWSTP_INDEX_BITS(kind))));
}

/* a free slot, or NULL without memory */
struct lwstp_slot *
lwstp_slot_take(enum lwstp_kind kind);
/* its word must have the next generation already */
void
lwstp_slot_give(enum lwstp_kind kind, struct lwstp_slot *slot);
/* the upper bits of its word in its next life; 0: there will be none */
uint64_t
lwstp_slot_next(enum lwstp_kind kind, uint64_t word);

/*
 * timer.c: the clocks, and a heap of deadlines for each pool
 */

struct lwstp_timer {
	LWSTP_BY_POOL struct lwstp_timer *child, *next, *prev;
	LWSTP_BY_POOL lws_usec_t at; /* 0: not in the heap */
};

/* cheap, and exact to some milliseconds: for times of seconds */
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
/* it goes off then, or before */
LWSTP_POOL_HELD void
__lwstp_timer_by(struct lwstp_timer **heap, struct lwstp_timer *timer,
		 lws_usec_t at);

/*
 * inbox.c: what one thread gives another
 */

struct lwstp_post {
	struct lwstp_post *next; /* of who puts it in, then takes it */
	/* constant: what its service thread does with it; NULL: it is a task */
	void (*look)(struct lwstp_service *service, struct lwstp_post *post);
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

/* any thread: has that service thread look into its inbox */
LWSTP_NONE_HELD void
lwstp_signal(struct lwstp_service *service);
/* each thread's own number, which no other thread ever gets; 0: none yet */
extern _Thread_local unsigned int lwstp_thread_number;
/* gives this thread its number */
unsigned int
lwstp_thread_draw(void);

static inline unsigned int
lwstp_this_thread(void)
{
	unsigned int number = lwstp_thread_number;

	return number ? number : lwstp_thread_draw();
}

#include "task.h"
#include "refuse.h"
#include "pool.h"
#include "probe.h"
#include "context.h"
#include "lws.h"

#endif /* LWSTP_PRIVATE_H */
