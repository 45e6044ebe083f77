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
 * FINISHED or STOPPED (T1), and flags.  STOPPING is RUNNING with STOP.  Every
 * change is a compare and swap, and QUEUED changes with the pool's lock held.
 */
#define LWSTP_STATUS	((uint64_t)0x7)
#define LWSTP_FREE	((uint64_t)0x7)	  /* status of a slot without a task */
#define LWSTP_STOP	((uint64_t)0x8)	  /* asked to stop (T4) */
#define LWSTP_DETACHED	((uint64_t)0x10)  /* has no wsi, or has lost it */
#define LWSTP_OUTLIVE	((uint64_t)0x20)  /* T5 */
#define LWSTP_TIMED	((uint64_t)0x40)  /* has, or gets, a timer (S5) */
#define LWSTP_CROWDED	((uint64_t)0x100) /* SYNCING, its wsi has others that
					   * want attention (S6) */
#define LWSTP_POSTED	((uint64_t)0x80)  /* in the inbox of its service thread,
					   * or about to be: that one alone may
					   * recycle its slot */

/* The integer of a name is written out when somebody reads the name. */
struct lwstp_name {
	char			text[LWSTP_TASK_NAME]; /* or a format, with: */
	int			number;
	char			conversion;	/* d, u, x; 0: no number */
};

struct lwstp_task {
	struct lwstp_slot	slot;		/* must be first */
	/* these seven: constant while it lives */
	_Atomic(struct lwstp_pool *) pool;
	_Atomic(struct lwstp_service *) service; /* of its wsi */
	enum lws_threadpool_task_return (*task)(void *user,
					enum lws_threadpool_task_status s);
	void			(*cleanup)(struct lws *wsi, void *user);
	_Atomic(void *)		user;
	struct lwstp_name	name;
	bool			is_on_ss;

	union {
		struct lwstp_post put;		/* in the pool's inbox */
		struct {			/* on one of the pool's lists */
			LWSTP_BY_POOL struct lwstp_task *next, *prev;
		};
	};
	struct lwstp_timer	timer;
	LWSTP_BY_POOL bool graced; /* its late timer got GRACE_US more */
	atomic_ushort		worker;		/* index of its last one */
	_Atomic lws_usec_t	since;		/* in this state */
	atomic_bool		seen;		/* its status was asked for,
						 * since it was posted (S5) */

	struct lwstp_post	post;		/* in its service's inbox */
	_Atomic(const void *)	target;		/* the wsi or ss, to be told */
	LWSTP_BY_SERVICE struct lwstp_wsi *on; /* what it is attached to */
	LWSTP_BY_SERVICE struct lwstp_task *att_prev, *att_next;
	LWSTP_BY_SERVICE struct lwstp_task *attention_prev, *attention_next;
	LWSTP_BY_SERVICE uint32_t att_seq; /* attached in order */
	LWSTP_BY_SERVICE bool attention; /* SYNCING or done, when posted */
};

/* what is left to do when no lock is held any more; zeroed by the caller */
struct lwstp_deferred {
	struct lwstp_service	*signal;
	void			(*cleanup)(struct lws *wsi, void *user);
	void			*user;
};

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

/* by the number of its slot, less than lwstp_slots[LWSTP_TASKS].used */
static inline struct lwstp_task *
lwstp_task_at(uint32_t index)
{
	return (struct lwstp_task *)lwstp_slot_at(LWSTP_TASKS,
					sizeof(struct lwstp_task), index);
}

static inline struct lws_threadpool_task *
lwstp_task_handle(const struct lwstp_task *task, uint64_t word)
{
	return lwstp_handle(LWSTP_TASKS, &task->slot, word);
}

/* find.c: the task of a handle, and its word; NULL: stale, and logged (Q6) */
struct lwstp_task *
lwstp_task_find(struct lws_threadpool_task *handle, uint64_t *word,
		const char *caller);

/*
 * task.c
 */

/* takes what is in the pool's inbox, and puts it on its lists */
LWSTP_POOL_HELD void
__lwstp_drain(struct lwstp_pool *pool);
/* what the application is told of that word */
enum lws_threadpool_task_status
lwstp_task_told(const struct lwstp_task *task, uint64_t word);
/* format NULL: other, and if that is NULL "task" */
void
lwstp_name_set(struct lwstp_name *name, const char *format, va_list ap,
	       const char *other);
void
lwstp_name_write(const struct lwstp_name *name, char out[LWSTP_TASK_NAME]);
LWSTP_NONE_HELD void
lwstp_deferred_do(const struct lwstp_deferred *deferred, struct lws *wsi);
/* Puts it into its service thread's inbox; the caller has just set
 * LWSTP_POSTED.  True: the caller has to signal that thread. */
bool
lwstp_task_post(struct lwstp_task *task);
/* From RUNNING or QUEUED to FINISHED or STOPPED: puts it on the done list and
 * posts it or, if it is detached, releases it. */
LWSTP_POOL_HELD void
__lwstp_task_end(struct lwstp_pool *pool, struct lwstp_task *task,
		 enum lws_threadpool_task_status status,
		 struct lwstp_deferred *deferred);
/* T4: the oldest queued task is STOPPED.  False if there is none. */
LWSTP_POOL_HELD bool
__lwstp_stop_queued(struct lwstp_pool *pool, struct lwstp_deferred *deferred);
/* Releases an ended or a queued task; its cleanup is still to be called.
 * False: it is neither.  *word is what its word was last. */
bool
lwstp_task_reap(struct lwstp_task *task, uint64_t *word,
		struct lwstp_deferred *deferred);
/* what has just become RUNNING again is its pool's to call; nobody else has it
 * until then */
void
lwstp_task_go_on(struct lwstp_task *task);
/* from SYNCING, with these flags added; false: *word is what it is now */
LWSTP_NONE_HELD bool
lwstp_task_resume(struct lwstp_task *task, uint64_t *word, uint64_t flags);
/* T4, if the slot still has the task of that word.  A SYNCING one is resumed at
 * once or, with `between`, when its service thread is between two callbacks
 * (S7). */
LWSTP_NONE_HELD void
lwstp_task_stop(struct lwstp_task *task, uint64_t word, bool between);

#endif /* LWSTP_TASK_H */
