/*
 * lws-threadpool - the pool and its workers
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_POOL_H
#define LWSTP_POOL_H

struct lwstp_worker {
	struct lwstp_pool	*pool;		/* constant */
	struct lwstp_worker	*outgrown;	/* constant, the first one's:
						 * what was too few before */
	int			index;		/* constant */
	pthread_t		thread;		/* create and destroy only */
	LWSTP_BY_POOL struct lwstp_task *task; /* runs now */
	LWSTP_BY_POOL struct lwstp_task *resumed; /* FIFO: pinned here */
	LWSTP_BY_POOL bool prefer_resumed; /* S2: it is their turn */
	LWSTP_BY_POOL bool cleaning; /* runs a cleanup, of a task that was: */
	LWSTP_BY_POOL struct lwstp_name cleaned;
	bool			parked;		/* own: it has parked a task
						 * since it last spun */
	struct lwstp_service	*owed;		/* own: to be signalled soon,
						 * unless it looks by itself */

	pthread_mutex_t		mutex;
	pthread_cond_t		cond;		/* with mutex */
	bool			woken;		/* mutex */
	bool			is_chain_wake;	/* mutex: resets waking */
};

/*
 * Of a pool's word, below its generation: FINISHING, and how many tasks were
 * ever accepted.  So one compare and swap makes sure of the handle, of P3, and
 * that the pool lives until the task has ended.
 */
#define LWSTP_POOL_FINISHING	((uint64_t)1 << 32)
#define LWSTP_POOL_COUNT	((uint64_t)0xffffffff)

/* In four parts, with a cache line between any two, so that a thread that is
 * busy with one does not slow down a thread that is busy with another. */
struct lwstp_pool {
	struct lwstp_slot	slot;		/* must be first */
	atomic_uint		room_until;	/* P2: below this count there
						 * is room for certain */
	struct lwstp_inbox	inbox;		/* new and resumed tasks */
	atomic_uint		unspun;		/* tasks left to the spinner */

	char			apart_1[LWSTP_CACHE_LINE];
	struct lwstp_context	*context;	/* constant: a reference */
	_Atomic(struct lwstp_worker *) workers;	/* constant: threads of them */
	atomic_int		threads;	/* constant: as many started */
	int			room;		/* for so many: see create.c */
	int			max_queue_depth; /* constant */
	int			spin_us;	/* constant; 0: never */
	lws_usec_t		sync_timeout;	/* constant, us; 0: never */
	atomic_uint		fork;		/* constant: see find.c */
	bool			pin_tasks;	/* constant */
	atomic_bool		ready;		/* lock and changed were made */
	atomic_bool		finishing;	/* as the word, for workers */
	char			name[LWSTP_POOL_NAME]; /* constant */

	char			apart_2[LWSTP_CACHE_LINE];
	pthread_mutex_t		lock;
	LWSTP_BY_POOL struct lwstp_task *queued; /* FIFO: never called yet */
	LWSTP_BY_POOL struct lwstp_task *resumed; /* FIFO: to go on */
	LWSTP_BY_POOL struct lwstp_task *done; /* FIFO: to be reaped */
	LWSTP_BY_POOL struct lwstp_timer *timers; /* a heap: the first one */
	LWSTP_BY_POOL struct lwstp_worker *keeper; /* waits for timers */
	LWSTP_BY_POOL unsigned int n_queued, n_resumed, n_done;
	LWSTP_BY_POOL unsigned int n_running; /* on threads, cleanups too */
	LWSTP_BY_POOL unsigned int n_started; /* that have not ended */
	LWSTP_BY_POOL int alive; /* threads that have not left */
	atomic_bool		destroying;	/* set before finishing */
	LWSTP_BY_POOL lws_usec_t refused_since; /* P2: lines of this second */
	LWSTP_BY_POOL unsigned int refused_said, refused_unsaid;
	atomic_uint		taken;		/* written under lock: accepted
						 * ones that left the queue */
	pthread_cond_t		changed;	/* with lock, for destroy */

	char			apart_3[LWSTP_CACHE_LINE];
	atomic_uint		listed;		/* written under lock: queued
						 * and resumed */
	atomic_bool		spinner;	/* a worker spins */
	atomic_bool		waking;		/* one was woken, and is on
						 * its way */
	atomic_uint		idle[LWSTP_MAX_THREADS / 32]; /* a bit each */
};

static inline LWSTP_LOCKS(lwstp_role_pool) LWSTP_UNCHECKED void
lwstp_lock(struct lwstp_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
}

static inline LWSTP_UNLOCKS(lwstp_role_pool) LWSTP_UNCHECKED void
lwstp_unlock(struct lwstp_pool *pool)
{
	pthread_mutex_unlock(&pool->lock);
}

/* the worker whose thread this is, NULL on any other thread */
extern _Thread_local struct lwstp_worker *lwstp_this_worker;

/* for spinners, who have no lock */
static inline LWSTP_POOL_HELD void
__lwstp_listed(struct lwstp_pool *pool)
{
	unsigned int resumed = pool->pin_tasks ? 0 : pool->n_resumed;

	atomic_store_explicit(&pool->listed, pool->n_queued + resumed,
			      memory_order_relaxed);
}

/*
 * find.c
 */

/* how often this process is a child of fork() */
unsigned int
lwstp_forks(void);
/* The pool of a handle, and the handle's generation; NULL: stale, or of another
 * process, and logged. */
struct lwstp_pool *
lwstp_pool_find(struct lws_threadpool *tp, uint32_t *generation,
		const char *caller);
/* the same, with its lock held */
LWSTP_TRIES(lwstp_role_pool) struct lwstp_pool *
lwstp_pool_lock(struct lws_threadpool *tp, const char *caller);

/*
 * wake.c: idle workers
 */

/* There is work: wakes a worker for it, unless one will see it anyway.  May be
 * called with the pool's lock held, or without. */
void
lwstp_wake(struct lwstp_pool *pool);
/* the same for that worker alone, and for all of them */
void
lwstp_wake_worker(struct lwstp_pool *pool, unsigned int index);
void
lwstp_wake_all(struct lwstp_pool *pool);
/* on its own thread: signals the service thread that it owes that, unless it
 * has looked meanwhile */
LWSTP_NONE_HELD void
lwstp_settle_owed(struct lwstp_worker *w);
/* Waits for work, until the next timer, or for no reason.  The pool's lock is
 * held, and released meanwhile. */
LWSTP_POOL_HELD void
__lwstp_idle(struct lwstp_pool *pool, struct lwstp_worker *w);

/* pool.c: nothing of it runs, or ever will */
void
lwstp_pool_free(struct lwstp_pool *pool);

/*
 * worker.c
 */

void *
lwstp_worker_thread(void *arg);

#endif /* LWSTP_POOL_H */
