/*
 * lws-threadpool - the structs, the lock order, and who may touch what
 *
 * SPDX-License-Identifier: MIT
 *
 * Locks, in the order in which they may be taken:
 *
 *   pool->lock		one a pool: its lists, its workers, and the status of
 *			its tasks
 *   pool->intake_lock	one a pool: the tasks that were enqueued since a worker
 *			last looked, and its free slots.  So that an enqueue
 *			need not wait for workers, nor they for it
 *   lwstp_bindings_lock	one a process: which tasks hang on which wsi,
 *			and the wsi that wait for their service thread
 *   slots->lock	one a table of slots: which slots are free
 *
 * What is done under them is O(1), but for a dump's copy of what it tells, and
 * none of them is held while anything of the user's runs: task functions,
 * cleanups, foreach callbacks, or the log.  So what a locked function wants
 * done afterwards it writes into a struct lwstp_after.  Functions that begin
 * with __ are called with the lock held that their comment names.
 *
 * Tasks, workers and pools live in slots, whose memory is never given back:
 * their locks and conditions may be touched at any time, however stale the
 * handle that leads to them.
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

/* a failed insert into a hash must come back to us, not end the process */
#define HASH_NONFATAL_OOM 1
/* our keys are addresses */
#define HASH_FUNCTION(key, len, value) ((value) = lwstp_hash(key))
#include "uthash.h"
/* shorter chains than by default: each entry looked at is likely to be fetched
 * from far.  (With 3 it would double too often if addresses were random.) */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U
#include "utlist.h"

/* the low bits of an address are 0, those in the middle tell most */
static inline unsigned int
lwstp_hash(const void *key)
{
	uintptr_t bits;

	memcpy(&bits, key, sizeof(bits));

	return (unsigned int)((bits >> 4) * 2654435769u >> 7);
}

#include "locks.h"

#define LWSTP_CACHE_LINE	64	/* bytes, nearly everywhere */
#define LWSTP_MAX_THREADS	1024
#define LWSTP_POOL_NAME		32	/* bytes, the NUL included */
#define LWSTP_TASK_NAME		48
#define LWSTP_SYNC_TIMEOUT_SECS	300
#define LWSTP_SYNC_SPIN_US	20
#define LWSTP_NAP_US		5
#define LWSTP_NAP_TASKS		16	/* more than these end a nap */
#define LWSTP_MANY_TASKS	64	/* a spinner would have taken them */
#define LWSTP_LOOKS		32	/* between two looks at the clock */
#define LWSTP_NO_SPIN_US	(10 * LWS_US_PER_MS)
#define LWSTP_DESTROY_WARN_SECS	5
#define LWSTP_LOOK_TURNS	2	/* see doorbell.c, all four */
#if LWS_LIBRARY_VERSION_NUMBER < 4003000
#define LWSTP_TURNS_AWAKE	1	/* with a timer due lws does not sleep */
#else
#define LWSTP_TURNS_AWAKE	0	/* it does, for a millisecond */
#endif
#define LWSTP_LOOK_AFTER	64
#define LWSTP_AWAKE_US		200	/* at most */
#define LWSTP_EXPECT_US		(10 * LWS_US_PER_MS) /* see doorbell.c */
#define LWSTP_SLEEP_US		(24LL * 3600 * LWS_US_PER_SEC)
#define LWSTP_RERING_US		(1 * LWS_US_PER_SEC)
#define LWSTP_OPENING_MS	200	/* see host-companion.c */
#define LWSTP_MARK_US		(10 * LWS_US_PER_SEC) /* see binding.c */

/* unlike lwsl_info(), in every build: the level alone decides */
#define lwstp_info(...) _lws_log(LLL_INFO, __VA_ARGS__)

/* why an enqueue is refused (T8, P2, W2, W4) */
enum lwstp_refusal {
	LWSTP_ACCEPTED,
	LWSTP_ARGS_NULL,
	LWSTP_TASK_NULL,
	LWSTP_POOL_THREAD,
	LWSTP_WSI_AND_SS,
	LWSTP_FINISHING,
	LWSTP_DEPTH,
	LWSTP_OUT_OF_MEMORY,
	LWSTP_FOREIGN_WSI,
	LWSTP_NO_HOST,
	LWSTP_WSI_CLOSING,
	LWSTP_WSI_UNCONNECTED,
	LWSTP_WSI_MUX,
	LWSTP_NO_WATCH,
	LWSTP_WRONG_THREAD,
	LWSTP_SS_DESTROYING,
	LWSTP_SS_UNTOLD,
	LWSTP_SS_THREADS,
	LWSTP_REFUSALS
};

struct lwstp_pool;
struct lwstp_worker;
struct lwstp_binding;
struct lwstp_bell;
struct lwstp_host;

/*
 * handle.c: slots with generations
 */

#if UINTPTR_MAX > 0xffffffffu
#define LWSTP_STOCK		32	/* slots that a pool takes at a time */
#else
#define LWSTP_STOCK		256	/* and uses in turn: see handle.c */
#endif

struct lwstp_slot {
	struct lwstp_slot	*next_free; /* slots->lock; a task's in its
					     * pool's freed: pool->lock, and in
					     * its stock: intake_lock */
	uint32_t		index;	    /* constant */
	uint32_t		generation; /* lock of the pool it belongs to; a
					     * pool's own: both its locks, may
					     * be read under either */
};

#define LWSTP_CHUNKS 26

struct lwstp_slots {
	pthread_mutex_t		lock;
	struct lwstp_slot	*free, *free_tail; /* lock */
	uint32_t		used;		/* lock: ever handed out */
	const size_t		size;		/* of an element, in bytes */
	const unsigned int	first_bits;	/* 2^this in the first chunk */
	_Atomic(char *)		chunk[LWSTP_CHUNKS]; /* written under lock */
};

enum lwstp_handle_kind {
	LWSTP_HANDLE_TASK = 1,
	LWSTP_HANDLE_POOL = 2,
};

extern struct lwstp_slots lwstp_task_slots, lwstp_worker_slots,
			  lwstp_pool_slots;

/* returns a chain of 1..n slots, or NULL without memory */
struct lwstp_slot *
lwstp_slots_take(struct lwstp_slots *slots, unsigned int n);
void
lwstp_slots_give(struct lwstp_slots *slots, struct lwstp_slot *chain);
/* the slot has a new generation, or false: it is worn out, do not use again */
bool
lwstp_slot_renew(struct lwstp_slot *slot);
/* put on the chain where they will be taken soonest, or last: see handle.c */
void
lwstp_slot_chain(struct lwstp_slot **head, struct lwstp_slot **tail,
		 struct lwstp_slot *first, struct lwstp_slot *last);
void *
lwstp_handle(const struct lwstp_slot *slot, enum lwstp_handle_kind kind);
/* the slot that a handle names and the generation that it expects, or NULL */
struct lwstp_slot *
lwstp_handle_slot(struct lwstp_slots *slots, const void *handle,
		  enum lwstp_handle_kind kind, uint32_t *generation);

/*
 * The task
 */

struct lwstp_task {
	struct lwstp_slot	slot;		/* must be first */
	_Atomic(struct lwstp_pool *) pool;	/* whose slot it is, or NULL;
						 * set under its intake_lock */
	/* the list that `status` tells; pool->incoming: intake_lock */
	LWSTP_BY_POOL struct lwstp_task *prev, *next;
	struct lwstp_binding	*binding;	/* NULL: detached.  Changed under
						 * both locks: may be read under
						 * either */
	LWSTP_BY_BINDINGS struct lwstp_task *att_prev, *att_next; /* attached */
	/* wanting */
	LWSTP_BY_BINDINGS struct lwstp_task *want_prev;
	union {
		LWSTP_BY_BINDINGS struct lwstp_task *want_next;
		struct lwstp_task *put_next;	/* bell->inbox: whoever puts it
						 * in, then takes it out */
	};

	enum lws_threadpool_task_return (*task)(void *user,
					enum lws_threadpool_task_status s);
	void			(*cleanup)(struct lws *wsi, void *user);
	void			*user;		/* these three: constant while
						 * the task lives */
	LWSTP_BY_POOL lws_usec_t since; /* in this state */
	atomic_bool		stop;		/* set under pool->lock, read by
						 * its worker without */
	/* QUEUED, RUNNING, SYNCING, FINISHED, STOPPED */
	LWSTP_BY_POOL uint8_t status;
	atomic_bool		live;		/* a task, not a free slot: set
						 * last under intake_lock, reset
						 * under pool->lock */
	LWSTP_BY_POOL uint8_t outlive; /* T5 */
	LWSTP_BY_POOL uint16_t worker; /* index of whom it started on */
	LWSTP_BY_POOL uint16_t tsi; /* its binding's service thread: so that
				     * a worker need not look there */
	/* not in one word with those above: it may be read as one */
	LWSTP_BY_BINDINGS uint32_t att_seq; /* attached in order */
	LWSTP_BY_BINDINGS uint8_t wanting; /* SYNCING or done */
	LWSTP_BY_BINDINGS uint8_t seen; /* looked at since */
	char			name[LWSTP_TASK_NAME]; /* constant while live */
};

/* what to do when the locks are released; zeroed by the caller */
struct lwstp_after {
	struct lwstp_bell	*ring;		/* its host is referenced */
	struct lwstp_worker	*wake;
	void			(*cleanup)(struct lws *wsi, void *user);
	struct lws		*wsi;
	void			*user;
	bool			on_worker;	/* set by the worker loop: */
	struct lwstp_task	*spent;		/* ...whose slot is put back
						 * after the cleanup */
};

/*
 * The pool and its workers
 */

struct lwstp_worker {
	struct lwstp_slot	slot;		/* must be first */
	pthread_cond_t		cond;		/* with pool->lock */
	bool			cond_ready;	/* once, when first made */
	pthread_t		thread;		/* create and destroy only */
	struct lwstp_pool	*pool;		/* constant while it runs */
	LWSTP_BY_POOL struct lwstp_worker *prev, *next; /* pool->idle */
	LWSTP_BY_POOL struct lwstp_task *task; /* runs now */
	LWSTP_BY_POOL struct lwstp_task *resumed; /* pinned here */
	LWSTP_BY_POOL bool idle; /* on pool->idle */
	LWSTP_BY_POOL bool chain; /* woken for shared work, see pool->waking */
	LWSTP_BY_POOL bool ran; /* a task, since it last spun */
	LWSTP_BY_POOL bool turn; /* S2: a resumed one's turn */
	int			index;		/* constant */
};

/* for whoever enqueues */
enum lwstp_may_wake {
	LWSTP_WAKE_NOBODY,	/* nobody is idle, or somebody is waking */
	LWSTP_WAKE_IF_MANY,	/* a spinner looks out meanwhile */
	LWSTP_WAKE_ONE,
};

/* In four parts, with a cache line between any two, so that who is busy with
 * one does not slow down who is with another: what stays as it is, the
 * workers', enqueue's, and what these ask of each other. */
struct lwstp_pool {
	struct lwstp_slot	slot;		/* must be first */
	atomic_bool		ready;		/* once locks, ended are made */
	bool			live;		/* a pool, not a free slot; set
						 * under both its locks: may be
						 * read under either */
	bool			pin_tasks;	/* constant */
	atomic_bool		finishing;	/* set under both, read by
						 * workers without */
	int			threads;	/* constant: as many started */
	int			max_queue_depth; /* constant */
	int			spin_us, nap_us; /* constant; 0: never */
	lws_usec_t		sync_timeout;	/* constant, us; 0: never */
	struct lwstp_worker	**workers;	/* constant: threads of them */
	struct lwstp_host	*host;		/* constant: a reference */
	char			name[LWSTP_POOL_NAME]; /* constant */

	char			apart_1[LWSTP_CACHE_LINE];
	pthread_mutex_t		lock;
	LWSTP_BY_POOL struct lwstp_task *queued; /* FIFO: not started yet, and
						  * older than the incoming */
	LWSTP_BY_POOL struct lwstp_task *resumed; /* FIFO: wait to go on */
	/* FIFO: parked, oldest first */
	LWSTP_BY_POOL struct lwstp_task *syncing;
	LWSTP_BY_POOL struct lwstp_task *done; /* FIFO: wait to be reaped */
	/* slots of tasks that are gone */
	LWSTP_BY_POOL struct lwstp_slot *freed, *freed_tail;
	LWSTP_BY_POOL unsigned int n_resumed, n_syncing, n_done, n_running;
	atomic_uint		n_queued;	/* set under lock */
	atomic_uint		added;		/* work, ever, but for what is
						 * incoming; set under lock */
	LWSTP_BY_POOL struct lwstp_worker *idle; /* LIFO; the keeper last */
	/* idle, times syncing tasks */
	LWSTP_BY_POOL struct lwstp_worker *keeper;
	/* looks at `added`, unlocked */
	LWSTP_BY_POOL struct lwstp_worker *spinner;
	LWSTP_BY_POOL lws_usec_t spin_end; /* when the spinner gives up */
	LWSTP_BY_POOL lws_usec_t no_spin_until;
	LWSTP_BY_POOL int alive;
	LWSTP_BY_POOL bool destroying;
	LWSTP_BY_POOL bool waking; /* a worker is on its way */
	pthread_cond_t		ended;		/* with lock: alive went down */

	char			apart_2[LWSTP_CACHE_LINE];
	pthread_mutex_t		intake_lock;
	LWSTP_BY_INTAKE struct lwstp_task *incoming; /* FIFO: enqueued lately */
	/* free slots of ours */
	LWSTP_BY_INTAKE struct lwstp_slot *stock, *stock_tail;
	LWSTP_BY_INTAKE int room; /* P2: so many fit in for certain */
	LWSTP_BY_INTAKE lws_usec_t refusal_logged[LWSTP_REFUSALS];
	/* unlogged since */
	LWSTP_BY_INTAKE unsigned int refusals[LWSTP_REFUSALS];

	char			apart_3[LWSTP_CACHE_LINE];
	atomic_uint		n_incoming;	/* set under intake_lock */
	atomic_int		may_wake;	/* enum lwstp_may_wake, set under
						 * lock */
};

/* the locks, for all to take and release them by */

static inline LWSTP_LOCKS(lwstp_role_pool) LWSTP_UNCHECKED void
lwstp_lock_pool(struct lwstp_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
}

static inline LWSTP_UNLOCKS(lwstp_role_pool) LWSTP_UNCHECKED void
lwstp_unlock_pool(struct lwstp_pool *pool)
{
	pthread_mutex_unlock(&pool->lock);
}

static inline LWSTP_LOCKS(lwstp_role_intake) LWSTP_UNCHECKED void
lwstp_lock_intake(struct lwstp_pool *pool)
{
	pthread_mutex_lock(&pool->intake_lock);
}

static inline LWSTP_UNLOCKS(lwstp_role_intake) LWSTP_UNCHECKED void
lwstp_unlock_intake(struct lwstp_pool *pool)
{
	pthread_mutex_unlock(&pool->intake_lock);
}

extern pthread_mutex_t lwstp_bindings_lock;

static inline LWSTP_LOCKS(lwstp_role_bindings) LWSTP_UNCHECKED void
lwstp_lock_bindings(void)
{
	pthread_mutex_lock(&lwstp_bindings_lock);
}

static inline LWSTP_UNLOCKS(lwstp_role_bindings) LWSTP_UNCHECKED void
lwstp_unlock_bindings(void)
{
	pthread_mutex_unlock(&lwstp_bindings_lock);
}

#if defined(__clang__)
/* lws's, declared again to say that nobody writes to the log under a lock */
LWS_VISIBLE LWS_EXTERN LWSTP_NONE_HELD void
_lws_log(int filter, const char *format, ...) LWS_FORMAT(2);
#endif

/* the worker whose thread this is, NULL on any other thread */
extern _Thread_local struct lwstp_worker *lwstp_this_worker
			__attribute__((tls_model("initial-exec")));

/* the pool, locked, or NULL if the handle is stale: then it has been logged */
LWSTP_TRIES_POOL struct lwstp_pool *
lwstp_pool_lock(struct lws_threadpool *tp, const char *caller);
/* the same with its intake_lock alone */
LWSTP_TRIES(lwstp_role_intake) struct lwstp_pool *
lwstp_pool_lock_intake(struct lws_threadpool *tp, const char *caller);
/* gives its slots back, and its own: nothing of it runs, or ever will */
void
lwstp_pool_free(struct lwstp_pool *pool);
LWSTP_NONE_HELD void
lwstp_after_do(struct lwstp_after *after);
/* lwstp_now() is good to some milliseconds: it is for times of seconds */
lws_usec_t
lwstp_now(void);
lws_usec_t
lwstp_precise_now(void);
void
lwstp_deadline(struct timespec *ts, lws_usec_t us_from_now);

/* worker.c.  pool->lock held in the __ ones. */
void *
lwstp_worker_thread(void *arg);
LWSTP_POOL_HELD void
__lwstp_wake_for(struct lwstp_pool *pool, struct lwstp_worker *pinned,
		 struct lwstp_after *after);
LWSTP_POOL_HELD void
__lwstp_wake_all(struct lwstp_pool *pool);
void
lwstp_wake_for_incoming(struct lwstp_pool *pool, struct lwstp_after *after);

/* enqueue.c.  pool->lock held in the __ ones. */
LWSTP_POOL_HELD void
__lwstp_admit(struct lwstp_pool *pool);
LWSTP_POOL_HELD LWSTP_INTAKE_HELD void
__lwstp_restock(struct lwstp_pool *pool);

/* format.c */
size_t
lwstp_format(char *buf, size_t size, const char *format, va_list ap);

/* task.c.  pool->lock held in the __ ones. */

/* NULL for NULL.  Under its pool's lock, or while it is attached under the
 * bindings': its slot does not change its generation then, see __release(). */
struct lws_threadpool_task *
lwstp_task_handle(const struct lwstp_task *task);
LWSTP_TRIES_POOL struct lwstp_task *
lwstp_task_lock(struct lws_threadpool_task *handle, struct lwstp_pool **pool,
		const char *caller);
LWSTP_POOL_HELD bool
__lwstp_task_stopping(const struct lwstp_pool *pool,
		      const struct lwstp_task *task);
LWSTP_POOL_HELD bool
__lwstp_task_returned(struct lwstp_pool *pool, struct lwstp_task *task,
		      enum lws_threadpool_task_return ret, bool told,
		      lws_usec_t now, struct lwstp_after *after);
LWSTP_POOL_HELD void
__lwstp_task_stop(struct lwstp_pool *pool, struct lwstp_task *task,
		  struct lwstp_after *after);
LWSTP_POOL_HELD void
__lwstp_task_put(struct lwstp_pool *pool, struct lwstp_task *task);
LWSTP_POOL_HELD void
__lwstp_task_reap(struct lwstp_pool *pool, struct lwstp_task *task,
		  struct lwstp_after *after);
void
lwstp_task_detach(struct lws_threadpool_task *handle);

#include "binding.h"
#include "host.h"

#endif /* LWSTP_PRIVATE_H */
