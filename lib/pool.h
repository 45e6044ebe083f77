/*
 * lws-threadpool - the pool and its workers
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_POOL_H
#define LWSTP_POOL_H

/* How long something took, in us: [n] counts those of n bits. */
struct lwstp_histogram {
	_Atomic uint64_t n[32], total;
};

/* Which events are measured: all of them below 1,000 in a second, else one of
 * `weight`, which then counts for those before it, too. */
struct lwstp_sampler {
	unsigned int pending, weight, seen;
	lws_usec_t since; /* this second */
};

enum lwstp_start {
	LWSTP_NOT_MADE,
	LWSTP_STARTING, /* up to the return of thread_start() (P6) */
	LWSTP_STARTED,
	LWSTP_START_FAILED, /* it does not run */
};

struct lwstp_worker {
	struct lwstp_pool *pool;       /* constant */
	struct lwstp_worker *outgrown; /* constant, the first one's:
					* what was too few before */
	int index;		       /* constant */
	pthread_t thread;	       /* create and destroy only */
	LWSTP_BY_POOL enum lwstp_start start;
	void *state;				  /* own: what that has set */
	LWSTP_BY_POOL struct lwstp_task *task;	  /* runs now */
	LWSTP_BY_POOL struct lwstp_task *resumed; /* FIFO: pinned here */
	LWSTP_BY_POOL bool prefer_resumed;	  /* S2: it is their turn */
	LWSTP_BY_POOL bool cleaning; /* runs a cleanup, of a task that was: */
	LWSTP_BY_POOL union lwstp_name cleaned;
	bool synced;		    /* own: a task got SYNCING
				     * since it last spun */
	struct lwstp_service *owed; /* own: to be signalled soon,
				     * unless it looks by itself */
	struct lwstp_frame frame;   /* own */
	bool parks;		    /* own: this call does (T9) */
	lws_usec_t park_us;	    /* own */
	struct lwstp_sampler runs;  /* own */
	unsigned int counts;	    /* own: this stay, and: */
	unsigned int starts;	    /* own: of its start */
	_Atomic uint64_t syncs;	    /* written by itself */
	atomic_bool is_left;	    /* written by itself: its task
				     * is SYNCING, or nearly, and
				     * may be anything by now */

	pthread_mutex_t mutex;
	pthread_cond_t cond; /* with mutex */
	bool woken;	     /* mutex */
	bool is_chain_wake;  /* mutex: resets waking */
};

/*
 * Of a pool's word, below its generation: FINISHING, DRAINING, and how many
 * tasks were ever accepted.  So one compare and swap makes sure of the handle,
 * of P3 and P7, and that the pool lives until the task has ended.
 */
#define LWSTP_POOL_FINISHING ((uint64_t)1 << 32)
#define LWSTP_POOL_DRAINING  ((uint64_t)1 << 33)
#define LWSTP_POOL_COUNT     ((uint64_t)0xffffffff)

/* In four parts, with a cache line between any two, so that a thread that is
 * busy with one does not slow down a thread that is busy with another. */
struct lwstp_pool {
	struct lwstp_slot slot;	  /* must be first */
	atomic_uint room_until;	  /* P2: below this count there
				   * is room for certain */
	struct lwstp_inbox inbox; /* new and resumed tasks */
	atomic_uint unspun;	  /* tasks left to the spinner */

	char apart_1[LWSTP_CACHE_LINE];
	struct lwstp_context *context;		/* constant: a reference */
	_Atomic(struct lwstp_worker *) workers; /* constant: `indexes` */
	atomic_int indexes;			/* constant: tried to start */
	atomic_int threads;			/* constant: of them started */
	int room;				/* for so many: see create.c */
	int max_queue_depth;			/* constant */
	int spin_us;				/* constant; 0: never */
	lws_usec_t sync_timeout;		/* constant, us; 0: never */
	atomic_uint fork;			/* constant: see find.c */
	bool pin_tasks;				/* constant */
	unsigned int max_kept;			/* constant; 0: none (K4) */
	lws_usec_t keep_us;			/* constant; 0: for ever */
	int (*thread_start)(void *opaque, int index,
			    void **state);			  /* constant */
	void (*thread_end)(void *opaque, int index, void *state); /* constant */
	void *opaque;						  /* constant */
	atomic_bool ready;	    /* lock and changed were made */
	atomic_bool finishing;	    /* as the word, for workers */
	char name[LWSTP_POOL_NAME]; /* constant */

	char apart_2[LWSTP_CACHE_LINE];
	pthread_mutex_t lock;
	LWSTP_BY_POOL struct lwstp_task *queued;   /* FIFO: never called yet */
	LWSTP_BY_POOL struct lwstp_task *released; /* FIFO: before those (O1) */
	LWSTP_BY_POOL struct lwstp_task *resumed;  /* FIFO: to go on */
	LWSTP_BY_POOL struct lwstp_task *done;	   /* FIFO: to be reaped */
	LWSTP_BY_POOL struct lwstp_task *kept;	 /* FIFO: to be attached (K4) */
	LWSTP_BY_POOL struct lwstp_entry *keys;	 /* in use (O1) */
	LWSTP_BY_POOL struct lwstp_key *holding; /* they hold tasks back */
	LWSTP_BY_POOL struct lwstp_token *tokens;  /* K2 */
	LWSTP_BY_POOL uint64_t token_key[2];	   /* random */
	LWSTP_BY_POOL struct lwstp_timer *timers;  /* a heap: the first one */
	LWSTP_BY_POOL struct lwstp_worker *keeper; /* waits for timers... */
	LWSTP_BY_POOL lws_usec_t keeper_at;	   /* ...until then */
	LWSTP_BY_POOL lws_usec_t clock_at;   /* when service thread 0 looks at
					      * the timers, 0: it does not */
	LWSTP_BY_POOL unsigned int n_queued; /* and released */
	LWSTP_BY_POOL unsigned int n_resumed, n_done;
	LWSTP_BY_POOL unsigned int n_parked, n_kept;
	LWSTP_BY_POOL unsigned int n_running;	/* on threads, cleanups too */
	LWSTP_BY_POOL unsigned int n_started;	/* that have not ended */
	atomic_uint n_cleaning;			/* released, not cleaned up;
						 * stays with the slot */
	LWSTP_BY_POOL int alive;		/* threads that have not left */
	LWSTP_BY_POOL bool exists;		/* from create() to its end */
	atomic_bool destroying;			/* set before finishing */
	LWSTP_BY_POOL lws_usec_t refused_since; /* P2: lines of this second */
	LWSTP_BY_POOL unsigned int refused_said;
	LWSTP_BY_POOL unsigned int refused_unsaid[LWSTP_REFUSED_CODES];
	_Atomic uint64_t taken; /* written under lock: accepted
				 * ones that left the queue */
	LWSTP_BY_POOL uint64_t n_finished, n_stopped, n_timed_out;
	LWSTP_BY_POOL unsigned int starts; /* in this second */
	pthread_cond_t changed;		   /* with lock, for destroy */

	char apart_3[LWSTP_CACHE_LINE];
	atomic_uint listed;			  /* written under lock: queued
						   * and resumed */
	atomic_bool spinner;			  /* a worker spins */
	atomic_bool waking;			  /* one was woken, and is on
						   * its way */
	atomic_uint idle[LWSTP_MAX_THREADS / 32]; /* a bit each */

	char apart_4[LWSTP_CACHE_LINE];
	/* N1: what any thread may add to */
	_Atomic uint64_t n_refused, n_wakes, n_calls;
	struct lwstp_histogram queue_us, run_us, sync_us;
	/* its starts are measured: one of `weight`, in the second from there */
	atomic_uint starts_weight;
	_Atomic lws_usec_t starts_since;
	struct lwstp_post clock; /* to service thread 0: */
	atomic_bool clock_posted;
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

/* What that worker runs.  A task that has left it may be released by now, and
 * its slot another's: nothing may be read of it. */
static inline LWSTP_POOL_HELD struct lwstp_task *
__lwstp_runs(const struct lwstp_worker *w)
{
	return atomic_load(&w->is_left) ? NULL : w->task;
}

void
lwstp_record(struct lwstp_histogram *h, lws_usec_t us, unsigned int counts);
/* this event counts for so many, which are the caller's to record; now: in
 * lwstp_now()'s time */
unsigned int
lwstp_sample_now(struct lwstp_sampler *s, lws_usec_t now);

static inline unsigned int
lwstp_sample(struct lwstp_sampler *s, lws_usec_t now)
{
	if (++s->pending < s->weight && now - s->since < LWS_US_PER_SEC)
		return 0;

	return lwstp_sample_now(s, now);
}

/* N1: a task whose start counts for so many starts now */
LWSTP_POOL_HELD void
__lwstp_sample_start(struct lwstp_pool *pool, unsigned int counts,
		     lws_usec_t now);

/* how many a task's start will count for: the count'th that was accepted */
static inline unsigned int
lwstp_sample_enqueue(const struct lwstp_pool *pool, uint32_t count,
		     lws_usec_t now)
{
	unsigned int weight = atomic_load_explicit(&pool->starts_weight,
						   memory_order_relaxed);

	if (weight <= 1 || now - atomic_load_explicit(&pool->starts_since,
						      memory_order_relaxed) >=
				   LWS_US_PER_SEC)
		return 1;

	return ((count + 1) & (weight - 1)) ? 0 : weight;
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

/* it waits for a thread from now on */
static inline LWSTP_POOL_HELD void
__lwstp_resumed(struct lwstp_pool *pool, struct lwstp_task *task)
{
	struct lwstp_task **list = &pool->resumed;

	pool->n_resumed++;
	if (pool->pin_tasks)
		list = &atomic_load(&pool->workers)
				[atomic_load_explicit(&task->worker,
						      memory_order_relaxed)]
					.resumed;
	DL_APPEND(*list, task);
}

/* a timer may be due; now: lwstp_now() */
static inline LWSTP_POOL_HELD bool
__lwstp_is_due(const struct lwstp_pool *pool, lws_usec_t now)
{
	return pool->timers && pool->timers->at <= now + LWSTP_COARSE_US &&
	       pool->timers->at <= lwstp_precise_now();
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
/* before a thread releases the lock for long: wakes a worker for what is
 * left */
LWSTP_POOL_HELD void
__lwstp_leave_to_others(struct lwstp_pool *pool);
/* a timer was set by a thread that may be no worker: wakes one for it, if need
 * be */
LWSTP_POOL_HELD void
__lwstp_keep_time(struct lwstp_pool *pool);
/* the same as wake() for that worker alone, and for all of them */
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

/*
 * threads.c
 */

int
lwstp_cond_init(pthread_cond_t *cond);
/* workers for so many; false: no memory */
bool
lwstp_threads_room(struct lwstp_pool *pool, int threads);
/* P1: as many as will start; stack_size: bytes, or 0 */
void
lwstp_threads_start(struct lwstp_pool *pool, int threads, size_t stack_size);
/* all have left */
void
lwstp_threads_join(struct lwstp_pool *pool);

/* pool.c: nothing of it runs, or ever will */
void
lwstp_pool_free(struct lwstp_pool *pool);

/* numbers.c */
LWSTP_POOL_HELD void
__lwstp_read_stats(struct lwstp_pool *pool, struct lws_threadpool_stats *s);

/*
 * worker.c
 */

void *
lwstp_worker_thread(void *arg);

#endif /* LWSTP_POOL_H */
