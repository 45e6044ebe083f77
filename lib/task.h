/*
 * lws-threadpool - the task, and the word that is its state
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_TASK_H
#define LWSTP_TASK_H

/*
 * Of a task's word, below its generation: its status, QUEUED, RUNNING, SYNCING,
 * FINISHED or STOPPED (T1), flags, why it was asked to stop, and the number of
 * its SYNC.  STOPPING is RUNNING with STOP.  Every change is a compare and
 * swap, and QUEUED changes with the pool's lock held.
 */
#define LWSTP_STATUS   ((uint64_t)0x7)
#define LWSTP_FREE     ((uint64_t)0x7)	/* status of a slot without a task */
#define LWSTP_STOP     ((uint64_t)0x8)	/* asked to stop (T4) */
#define LWSTP_DETACHED ((uint64_t)0x10) /* has no wsi, or has lost it */
#define LWSTP_OUTLIVE  ((uint64_t)0x20) /* T5 */
#define LWSTP_TIMED    ((uint64_t)0x40) /* has, or gets, a timer (S5) */
#define LWSTP_POSTED \
	((uint64_t)0x80) /* in the inbox of its service thread, \
			  * or about to be: that one alone may \
			  * recycle its slot */
#define LWSTP_CROWDED \
	((uint64_t)0x100)		/* SYNCING, its wsi has others that \
					 * want attention (S6) */
#define LWSTP_PARKED ((uint64_t)0x200)	/* RUNNING, and parked (T9) */
#define LWSTP_WOKEN  ((uint64_t)0x400)	/* its next park is a yield (T10) */
#define LWSTP_TOKEN  ((uint64_t)0x800)	/* has a token (K1) */
#define LWSTP_WAITS  ((uint64_t)0x1000) /* SYNCING, it waits for a wsi */
#define LWSTP_KEPT   ((uint64_t)0x2000) /* done, to be attached (K4) */
#define LWSTP_TOLD_END \
	((uint64_t)0x4000) /* never had a wsi: service thread \
			    * 0 calls its on_end (H1) */
#define LWSTP_REASON_SHIFT 15
#define LWSTP_REASON	   ((uint64_t)0x7 << LWSTP_REASON_SHIFT)
#define LWSTP_SYNC_NR	   ((uint64_t)0x1 << 18) /* one of LWSTP_SYNC_NRS */
#define LWSTP_SYNC_NRS	   ((uint64_t)0xffff << 18)

/* The integer of a name is written out when somebody reads the name: then text
 * is the format.  Its last byte is always 0 or, then, the conversion. */
union lwstp_name {
	char text[LWSTP_TASK_NAME];
	struct {
		char format[LWSTP_TASK_NAME - 8];
		int number;
		char unused[3];
		char conversion; /* d, u, x; 0: no number */
	};
};

/* what only some tasks have; constant but for the key */
struct lwstp_extra {
	int (*on_sync)(struct lws *wsi, void *user);
	int (*on_end)(struct lws *wsi, void *user,
		      enum lws_threadpool_task_status how);
	bool handled;			     /* one of the two is set */
	lws_usec_t queue_until, life_until;  /* 0: none (D1, D2) */
	LWSTP_BY_POOL struct lwstp_key *key; /* NULL: none, or it has ended */
	unsigned int key_max;
	LWSTP_BY_POOL bool is_active; /* counts for its key */
	LWSTP_BY_POOL bool is_held;
	LWSTP_BY_POOL struct lwstp_token *token; /* or NULL (K1) */
};

struct lwstp_task {
	struct lwstp_slot slot; /* must be first */
	/* these seven: constant while it lives */
	_Atomic(struct lwstp_pool *) pool;
	enum lws_threadpool_task_return (*task)(
		void *user, enum lws_threadpool_task_status s);
	void (*cleanup)(struct lws *wsi, void *user);
	_Atomic(void *) user;
	_Atomic(struct lwstp_extra *) extra; /* or NULL; a token can bring
					      * it later */
	union lwstp_name name;
	_Atomic lws_usec_t born;

	_Atomic(struct lwstp_service *) service; /* of its wsi, or the first;
						  * constant while attached */
	union {
		struct lwstp_post put; /* in the pool's inbox */
		struct {	       /* on one of the pool's lists */
			LWSTP_BY_POOL struct lwstp_task *next, *prev;
		};
	};
	struct lwstp_timer timer;
	_Atomic lws_usec_t since;	   /* in this state */
	_Atomic lws_usec_t at;		   /* its SYNC's begin, if that is
					    * measured; parked: until
					    * then, 0: for ever */
	atomic_uint sync_counts;	   /* this SYNC: 0: not measured */
	LWSTP_BY_SERVICE uint32_t att_seq; /* attached in order */
	atomic_uint sampled;		   /* its start, the same */
	atomic_ushort worker;		   /* index of its last one */
	bool is_on_ss;			   /* constant while attached */
	atomic_bool seen;		   /* its status was asked for,
					    * since it was posted (S5) */
	LWSTP_BY_POOL bool graced;	  /* its late timer got GRACE_US more */
	LWSTP_BY_POOL bool is_parked;	  /* counts as parked */
	LWSTP_BY_SERVICE bool attention;  /* SYNCING or done, when posted */
	LWSTP_BY_SERVICE uint32_t served; /* since then: when, or 0 (H2) */

	struct lwstp_post post;		       /* in its service's inbox */
	_Atomic(const void *) target;	       /* the wsi or ss, to be told */
	LWSTP_BY_SERVICE struct lwstp_wsi *on; /* what it is attached to */
	LWSTP_BY_SERVICE struct lwstp_task *att_prev, *att_next;
	LWSTP_BY_SERVICE struct lwstp_task *attention_prev, *attention_next;
};

/* How a task ended, and what is left to do when no lock is held any more;
 * zeroed by the caller. */
struct lwstp_deferred {
	struct lwstp_service *signal;
	struct lwstp_pool *pool; /* of the cleanup */
	void (*cleanup)(struct lws *wsi, void *user);
	void *user;
	struct lws_threadpool_task *task; /* its handle, stale already */
	enum lws_threadpool_task_status how;
	enum lws_threadpool_stop why;
	bool handled; /* it may be in a handler */
	bool probed;  /* once, though it is tried
		       * again */
};

/* On a thread's stack while something of a task runs there: its function, a
 * handler or its cleanup.  The innermost is lwstp_frame. */
struct lwstp_frame {
	struct lwstp_frame *outer;
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status how; /* STOPPED: it has not ended */
	enum lws_threadpool_stop why;
	struct lwstp_handler *handler; /* NULL: it is none */
};

struct lwstp_handler {
	struct lwstp_frame frame;
	bool reap;		     /* was asked for meanwhile */
	struct lwstp_deferred after; /* its cleanup, if that came */
};

extern _Thread_local struct lwstp_frame *lwstp_frame;

/* one of enum lws_threadpool_task_status, or LWSTP_FREE */
static inline unsigned int
lwstp_status(uint64_t word)
{
	return (unsigned int)(word & LWSTP_STATUS);
}

static inline bool
lwstp_is_done(uint64_t word)
{
	return lwstp_status(word) == LWS_TP_STATUS_FINISHED ||
	       lwstp_status(word) == LWS_TP_STATUS_STOPPED;
}

/* K1: SYNCING without a wsi, until it gets one */
static inline bool
lwstp_is_waiting(uint64_t word)
{
	return lwstp_status(word) == LWS_TP_STATUS_SYNCING &&
	       (word & (LWSTP_DETACHED | LWSTP_WAITS)) ==
		       (LWSTP_DETACHED | LWSTP_WAITS);
}

/* S7: it is SYNCING, and is to go on without an answer */
static inline bool
lwstp_is_held(uint64_t word)
{
	return lwstp_status(word) == LWS_TP_STATUS_SYNCING &&
	       ((word & LWSTP_STOP) ||
		((word & LWSTP_DETACHED) && !(word & LWSTP_WAITS)));
}

/* SYNCING, or done: its wsi is told */
static inline bool
lwstp_wants_attention(uint64_t word)
{
	return lwstp_is_done(word) ||
	       (lwstp_status(word) == LWS_TP_STATUS_SYNCING &&
		!(word & LWSTP_STOP));
}

/* the word of a task that is in the SYNC of `before` still */
static inline bool
lwstp_is_same_sync(uint64_t word, uint64_t before)
{
	return lwstp_status(word) == LWS_TP_STATUS_SYNCING &&
	       lwstp_generation(word) == lwstp_generation(before) &&
	       !((word ^ before) & LWSTP_SYNC_NRS);
}

/* false: its word has changed, and *word is what it is now */
static inline bool
lwstp_swap(struct lwstp_task *task, uint64_t *word, uint64_t to)
{
	return atomic_compare_exchange_weak(&task->slot.word, word, to);
}

static inline uint64_t
lwstp_with_status(uint64_t word, enum lws_threadpool_task_status status)
{
	return (word & ~LWSTP_STATUS) | (uint64_t)status;
}

/* the first reason counts */
static inline uint64_t
lwstp_with_why(uint64_t word, enum lws_threadpool_stop why)
{
	return (word & (LWSTP_STOP | LWSTP_REASON)) ?
		       word :
		       word | (uint64_t)why << LWSTP_REASON_SHIFT;
}

static inline enum lws_threadpool_stop
lwstp_why(uint64_t word)
{
	return (enum lws_threadpool_stop)((word & LWSTP_REASON) >>
					  LWSTP_REASON_SHIFT);
}

/* by the number of its slot, less than lwstp_slots[LWSTP_TASKS].used */
static inline struct lwstp_task *
lwstp_task_at(uint32_t index)
{
	return (struct lwstp_task *)
		lwstp_slot_at(LWSTP_TASKS, sizeof(struct lwstp_task), index);
}

static inline struct lws_threadpool_task *
lwstp_task_handle(const struct lwstp_task *task, uint64_t word)
{
	return lwstp_handle(LWSTP_TASKS, &task->slot, word);
}

/* the handler of that task that this thread is in, or NULL */
static inline struct lwstp_handler *
lwstp_in_handler(const struct lws_threadpool_task *task)
{
	const struct lwstp_frame *f = lwstp_frame;

	while (f && !(f->handler && f->task == task))
		f = f->outer;

	return f ? f->handler : NULL;
}

/* find.c: the task of a handle, and its word; NULL: stale, and logged (Q6) */
struct lwstp_task *
lwstp_task_find(struct lws_threadpool_task *handle, uint64_t *word,
		const char *caller);

/*
 * name.c
 */

/* format NULL: other, and if that is NULL "task" */
void
lwstp_name_set(union lwstp_name *name, const char *format, va_list ap,
	       const char *other);
void
lwstp_name_write(const union lwstp_name *name, char out[LWSTP_TASK_NAME]);

/*
 * key.c: the order of those with a key (O1)
 */

/* false: no memory */
LWSTP_POOL_HELD bool
__lwstp_key_join(struct lwstp_pool *pool, struct lwstp_extra *extra,
		 const void *key);
/* The one that starts next, off the queue; NULL: none can.  Those in front of
 * it that their key leaves no room are held back from now on. */
LWSTP_POOL_HELD struct lwstp_task *
__lwstp_next_new(struct lwstp_pool *pool);
/* how many on the queue can start, as far as that can be told before; `most` at
 * most */
LWSTP_POOL_HELD int
__lwstp_can_start(const struct lwstp_pool *pool, int most);
/* of those that are held back, the one after it; NULL: the first */
LWSTP_POOL_HELD struct lwstp_task *
__lwstp_next_held(const struct lwstp_pool *pool, const struct lwstp_task *task);
/* takes a task that is drained and will not start off where it waits */
LWSTP_POOL_HELD void
__lwstp_unqueue(struct lwstp_pool *pool, struct lwstp_task *task);
/* It has ended.  Those whose turn it is are released. */
LWSTP_POOL_HELD void
__lwstp_key_leave(struct lwstp_pool *pool, struct lwstp_extra *extra);

/*
 * token.c
 */

/* of a task's token, or NULL */
LWSTP_POOL_HELD const unsigned char *
__lwstp_token_of(const struct lwstp_task *task);
/* false: no memory */
LWSTP_POOL_HELD bool
__lwstp_token_make(struct lwstp_pool *pool, struct lwstp_task *task,
		   const unsigned char *bytes);
LWSTP_POOL_HELD struct lwstp_task *
__lwstp_token_find(const struct lwstp_pool *pool, const unsigned char *bytes);
/* its task is released */
LWSTP_POOL_HELD void
__lwstp_token_drop(struct lwstp_pool *pool, struct lwstp_extra *extra);

/*
 * task.c
 */

/* takes what is in the pool's inbox, and puts it on its lists */
LWSTP_POOL_HELD void
__lwstp_drain(struct lwstp_pool *pool);
/* what the application is told of that word */
enum lws_threadpool_task_status
lwstp_task_told(const struct lwstp_task *task, uint64_t word);
/* the first reason so far */
enum lws_threadpool_stop
lwstp_task_why(const struct lwstp_task *task, uint64_t word);
/* Signals and calls the cleanup.  In a handler of that task the cleanup comes
 * when that returns (H1). */
LWSTP_NONE_HELD void
lwstp_deferred_do(const struct lwstp_deferred *deferred, struct lws *wsi);
/* Puts it into its service thread's inbox; the caller has just set
 * LWSTP_POSTED.  True: the caller has to signal that thread. */
bool
lwstp_task_post(struct lwstp_task *task);
/* From RUNNING or QUEUED to FINISHED or STOPPED: puts it on the done list and
 * posts it or, if nobody is to be told, releases it. */
LWSTP_POOL_HELD void
__lwstp_task_end(struct lwstp_pool *pool, struct lwstp_task *task,
		 enum lws_threadpool_task_status status,
		 struct lwstp_deferred *deferred);
/* of those that have not started, or NULL */
LWSTP_POOL_HELD struct lwstp_task *
__lwstp_any_queued(const struct lwstp_pool *pool);
/* T4: that one is STOPPED.  False if there is none. */
LWSTP_POOL_HELD bool
__lwstp_stop_queued(struct lwstp_pool *pool, struct lwstp_deferred *deferred);
/* a QUEUED one is STOPPED */
LWSTP_POOL_HELD void
__lwstp_stop_this(struct lwstp_pool *pool, struct lwstp_task *task,
		  enum lws_threadpool_stop why,
		  struct lwstp_deferred *deferred);
/* Releases an ended or a queued task; its cleanup is still to be called.
 * False: it is neither.  *word is what its word was last. */
bool
lwstp_task_reap(struct lwstp_task *task, uint64_t *word,
		struct lwstp_deferred *deferred);
/* the same for one that is kept, and else for none (K4) */
bool
lwstp_task_reap_kept(struct lwstp_task *task, uint64_t word,
		     struct lwstp_deferred *deferred);
/* the same with the lock held, by its pool */
LWSTP_POOL_HELD bool
__lwstp_task_reap(struct lwstp_pool *pool, struct lwstp_task *task,
		  uint64_t *word, struct lwstp_deferred *deferred);
/* K4: one that has ended, with a token, loses its wsi.  False: its word has
 * changed, or it reaps itself. */
bool
lwstp_task_keep(struct lwstp_task *task, uint64_t *word,
		struct lwstp_deferred *deferred);
/* what has just become RUNNING again is its pool's to call; nobody else has it
 * until then */
void
lwstp_task_go_on(struct lwstp_task *task);
/* from SYNCING, with these flags added; false: *word is what it is now */
LWSTP_NONE_HELD bool
lwstp_task_resume(struct lwstp_task *task, uint64_t *word, uint64_t flags);
/* S4: answers the SYNC that it is in by that word */
LWSTP_NONE_HELD void
lwstp_task_answer(struct lwstp_task *task, uint64_t word);
/* it is parked no more, and that is its word but for this; false: as above */
bool
lwstp_task_unpark(struct lwstp_task *task, uint64_t *word, uint64_t to);
/* T4, if the slot still has the task of that word.  A SYNCING one is resumed at
 * once or, with `between`, when its service thread is between two callbacks
 * (S7). */
LWSTP_NONE_HELD void
lwstp_task_stop(struct lwstp_task *task, uint64_t word, bool between,
		enum lws_threadpool_stop why);

/*
 * deadline.c
 */

/* a task that got SYNCING for the first time, unless the slot has another */
LWSTP_POOL_HELD void
__lwstp_time_sync(struct lwstp_pool *pool, struct lwstp_task *task,
		  uint64_t word);
LWSTP_POOL_HELD void
__lwstp_time_park(struct lwstp_pool *pool, struct lwstp_task *task,
		  lws_usec_t us);
/* D1, D2: told in time whatever the pool's threads do.  True: the caller has to
 * signal service thread 0. */
LWSTP_POOL_HELD bool
__lwstp_time_limits(struct lwstp_pool *pool, struct lwstp_task *task);
/* Does what is due: false if nothing was, else the lock was released
 * meanwhile.  w: the worker that this thread is, or NULL. */
LWSTP_POOL_HELD bool
__lwstp_expire(struct lwstp_pool *pool, struct lwstp_worker *w);

#endif /* LWSTP_TASK_H */
