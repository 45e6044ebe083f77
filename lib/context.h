/*
 * lws-threadpool - lws's half: contexts, service threads, and wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_CONTEXT_H
#define LWSTP_CONTEXT_H

/* a failed insert into a hash must come back to us, not end the process */
#define HASH_NONFATAL_OOM 1
/* our keys are addresses */
#define HASH_FUNCTION(key, len, value) ((value) = lwstp_hash(key))
#include "uthash.h"

/* the low bits of an address are 0, those in the middle differ most */
static inline unsigned int
lwstp_hash(const void *key)
{
	uintptr_t bits;

	memcpy(&bits, key, sizeof(bits));

	return (unsigned int)((bits >> 4) * 2654435769u >> 7);
}

/*
 * table.c: what is known of an address
 */

struct lwstp_entry { /* the first of its struct */
	UT_hash_handle hh;
	const void *key;
};

struct lwstp_entry *
lwstp_table_find(struct lwstp_entry *table, const void *key);
/* false without memory */
bool
lwstp_table_add(struct lwstp_entry **table, struct lwstp_entry *entry);
void
lwstp_table_remove(struct lwstp_entry **table, struct lwstp_entry *entry);

#include "hangup.h"

/* R2: what a handle of a wsi names.  Of its word, below the generation: POSTED,
 * as a task's, and FREE. */
struct lwstp_wsi_slot {
	struct lwstp_slot slot;			 /* must be first */
	struct lwstp_post post;			 /* in its service's inbox */
	_Atomic(struct lwstp_service *) service; /* constant while it lives */
	LWSTP_BY_SERVICE struct lwstp_wsi *on;
};

struct lwstp_cursor { /* a foreach under way */
	LWSTP_BY_SERVICE struct lwstp_cursor *outer;
	LWSTP_BY_SERVICE struct lwstp_wsi *on; /* NULL: it is gone */
	LWSTP_BY_SERVICE struct lwstp_task *next;
};

/* What is known of a wsi, or of a secure stream, from its first task until it
 * closes; of a wsi a little longer, see closing.c.  In three cache lines: what
 * a look-up compares, what a SYNC needs, and what it does not. */
struct lwstp_wsi {
	_Alignas(LWSTP_CACHE_LINE) struct lwstp_entry entry; /* BY_SERVICE */

	struct lwstp_service *service; /* constant */
	struct lws *wsi;	       /* constant; or NULL and: ss */
	LWSTP_BY_SERVICE struct lwstp_task *attention; /* longest first */
	/* service->to_ask or ->streams, or ->closed once closing */
	LWSTP_BY_SERVICE struct lwstp_wsi *prev, *next;
	/* service->asked */
	LWSTP_BY_SERVICE struct lwstp_wsi *ask_prev, *ask_next;
	LWSTP_BY_SERVICE lws_usec_t asked_at; /* if closing: closed at */
	LWSTP_BY_SERVICE bool is_to_ask, is_due_stream, is_asked;
	LWSTP_BY_SERVICE bool closing; /* set with the service's lock */
	LWSTP_BY_SERVICE bool wanted;  /* lws_threadpool_wsi_writeable() */

	LWSTP_BY_SERVICE struct lwstp_task *attached; /* oldest first */
	struct lws_ss_handle *ss; /* constant; if wsi is NULL */
	/* constant: asks lws for a WRITEABLE */
	void (*ask)(struct lwstp_wsi *on);
	LWSTP_BY_SERVICE struct lws *watch; /* our child of it, or NULL */
	LWSTP_BY_SERVICE struct lwstp_wsi_slot *handle; /* or NULL */
	LWSTP_BY_SERVICE struct lwstp_cursor *cursors;	/* innermost first */
	LWSTP_BY_SERVICE uint32_t seq;			/* the next att_seq */
	LWSTP_BY_SERVICE uint32_t serves; /* the latest task->served */
	LWSTP_BY_SERVICE bool given_up;	  /* the ss: all its retries failed */
	LWSTP_BY_SERVICE bool detaching;  /* cleanups may be running */
	LWSTP_BY_SERVICE bool has_socket; /* of this identity: */
	LWSTP_BY_SERVICE dev_t dev;
	LWSTP_BY_SERVICE ino_t ino;
#if defined(LWSTP_HANGUPS)
	LWSTP_BY_SERVICE struct lwstp_hangup_wsi hangup;
#endif
};

struct lwstp_service {		       /* one a service thread */
	struct lwstp_context *context; /* constant */
	int tsi;		       /* constant */
	int fd;			       /* constant: ours to write to,
					* -1: none */
	struct lwstp_inbox inbox;      /* any thread puts in */
	atomic_bool adopted;	       /* lws polls our fd */
	atomic_bool looking;	       /* it looks before it polls */
	atomic_bool answered;	       /* a SYNC was, since it last
					* looked */
	atomic_uint thread;	       /* its number, 0: not known */

	LWSTP_BY_SERVICE struct lwstp_entry *table; /* of wsi and ss; changed
						     * with the lock */
	LWSTP_BY_SERVICE struct lwstp_wsi *to_ask;  /* of lws, in order */
	LWSTP_BY_SERVICE unsigned int n_to_ask, n_asked;
	LWSTP_BY_SERVICE struct lwstp_wsi *streams; /* to ask, by a timer */
	LWSTP_BY_SERVICE struct lwstp_wsi *asked;   /* of lws, once or again */
	LWSTP_BY_SERVICE struct lwstp_wsi *closed;  /* W4's marks */
	LWSTP_BY_SERVICE struct lwstp_post *held, *held_last;	/* S7 */
	LWSTP_BY_SERVICE struct lwstp_post *calls, *calls_last; /* R1, H1 */
	LWSTP_BY_SERVICE unsigned int open; /* wsi that are not closing */
	LWSTP_BY_SERVICE bool is_signalled; /* it has signalled itself */
	LWSTP_BY_SERVICE unsigned int looks_left;
	LWSTP_BY_SERVICE bool heard; /* lws ever told it of a signal */
	LWSTP_BY_SERVICE bool ended; /* as its context: no timers any more */
	LWSTP_BY_SERVICE lws_usec_t expect_us; /* interval of expect */
	LWSTP_BY_SERVICE lws_usec_t clock_at;  /* when clock goes off */

	/* far from thread, which others read while this one takes it */
	pthread_mutex_t lock;

	/* lws's timers: BY_SERVICE */
	lws_sorted_usec_list_t look, ask_again, ask_streams, sweep, expect,
		clock;
};

/* One for each lws_context.  The structs live on, its services' too, and are
 * used again: so the list of all can be read without a lock. */
struct lwstp_context {
	_Atomic(struct lwstp_context *) next; /* constant once listed */
	_Atomic(struct lws_context *) lws;    /* NULL: destroyed, or not used;
					       * reset with lock held */
	atomic_uint refs;		      /* pools, and lws's */
	pthread_mutex_t lock;
	LWSTP_BY_CONTEXT bool dying; /* lws is not to be woken any more */
	LWSTP_BY_CONTEXT struct lwstp_entry *passing; /* vhosts */
	_Atomic(struct lws_vhost *) passed; /* the latest, of passing */
	int services;			    /* constant */
	struct lwstp_service *service;	    /* constant: so many */
	struct lws_vhost *vhost;	    /* hidden; service thread 0, or
					     * under watch.c's lock */
	lws_sorted_usec_list_t open;	    /* service thread 0 */
	struct lwstp_notifier *notifier;    /* service thread 0 */
#if defined(LWSTP_HANGUPS)
	LWSTP_BY_SERVICE struct lwstp_hangup hangup;
#endif
	int idle_fd; /* constant: never readable */
	int max_fd;  /* constant: limit when made */
};

static inline LWSTP_LOCKS(lwstp_role_context) LWSTP_UNCHECKED void
lwstp_lock_context(struct lwstp_context *context)
{
	pthread_mutex_lock(&context->lock);
}

static inline LWSTP_UNLOCKS(lwstp_role_context) LWSTP_UNCHECKED void
lwstp_unlock_context(struct lwstp_context *context)
{
	pthread_mutex_unlock(&context->lock);
}

static inline LWSTP_LOCKS(lwstp_role_table) LWSTP_UNCHECKED void
lwstp_lock_table(struct lwstp_service *service)
{
	pthread_mutex_lock(&service->lock);
}

static inline LWSTP_UNLOCKS(lwstp_role_table) LWSTP_UNCHECKED void
lwstp_unlock_table(struct lwstp_service *service)
{
	pthread_mutex_unlock(&service->lock);
}

static inline bool
lwstp_service_is_this(const struct lwstp_service *service)
{
	return atomic_load_explicit(&service->thread, memory_order_relaxed) ==
	       lwstp_this_thread();
}

/* this thread is its service thread, unless it is a pool's */
static inline void
lwstp_service_note(struct lwstp_service *service)
{
	if (!lwstp_service_is_this(service) && !lwstp_this_worker)
		atomic_store_explicit(&service->thread, lwstp_this_thread(),
				      memory_order_relaxed);
}

/* The caller is on the service thread: lws is known to have called it, or the
 * manual says that only that thread may call. */
static inline LWSTP_ASSERTS(lwstp_role_service) LWSTP_UNCHECKED void
lwstp_on_service(void)
{
}

/*
 * wsi.c: the tasks of a wsi
 */

/* of a wsi, or of a secure stream */
static inline LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_wsi_find(const struct lwstp_service *service, const void *wsi)
{
	return (struct lwstp_wsi *)lwstp_table_find(service->table, wsi);
}

/* of a wsi or, where that is NULL, of a secure stream: NULL without memory */
LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_wsi_new(struct lwstp_service *service, struct lws *wsi,
	      struct lws_ss_handle *ss, void (*ask)(struct lwstp_wsi *on));
LWSTP_ON_SERVICE void
lwstp_wsi_free(struct lwstp_wsi *on);
LWSTP_ON_SERVICE void
lwstp_attach(struct lwstp_wsi *on, struct lwstp_task *task);
/* Takes it off what it is attached to.  Returns the wsi; NULL if that is
 * closing (T7), or is a secure stream. */
LWSTP_ON_SERVICE struct lws *
lwstp_unattach(struct lwstp_task *task);
/* the task has become SYNCING or done: it is the last in line for attention */
LWSTP_ON_SERVICE void
lwstp_attention(struct lwstp_task *task);
LWSTP_ON_SERVICE void
lwstp_attention_clear(struct lwstp_task *task);
/* the one that has wanted it longest, or NULL */
LWSTP_ON_SERVICE struct lwstp_task *
lwstp_attention_first(struct lwstp_wsi *on);
/* S5: one that wants it has not been seen by the application */
LWSTP_ON_SERVICE bool
lwstp_has_unseen(const struct lwstp_wsi *on);
/* lws is to be asked for a WRITEABLE for it, when ask_all() comes to that */
LWSTP_ON_SERVICE void
lwstp_to_ask(struct lwstp_wsi *on);
LWSTP_ON_SERVICE void
lwstp_not_to_ask(struct lwstp_wsi *on);
LWSTP_ON_SERVICE void
lwstp_not_asked(struct lwstp_wsi *on);
/* The cursor, on the caller's stack, notes whether the wsi is freed meanwhile:
 * the second returns it, or NULL. */
LWSTP_ON_SERVICE void
lwstp_cursor_set(struct lwstp_wsi *on, struct lwstp_cursor *c);
LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_cursor_end(struct lwstp_cursor *c);
/* Q3; on may be NULL, and the cursor is the caller's meanwhile */
LWSTP_ON_SERVICE int
lwstp_wsi_foreach(struct lwstp_wsi *on, struct lwstp_cursor *c, void *user,
		  int (*cb)(struct lws_threadpool_task *task, void *user));

/* R2: the same each time; NULL: no memory */
LWSTP_ON_SERVICE struct lws_threadpool_wsi *
lwstp_wsi_handle_get(struct lwstp_wsi *on);
/* it closes */
LWSTP_ON_SERVICE void
lwstp_wsi_handle_drop(struct lwstp_wsi *on);
/* the slot of a handle, and its word; NULL: stale, and logged */
struct lwstp_wsi_slot *
lwstp_wsi_handle_find(struct lws_threadpool_wsi *handle, uint64_t *word,
		      const char *caller);

/*
 * handlers.c: on_sync and on_end (H1)
 */

/* what a handler returned, and whether its task is to be reaped after it */
struct lwstp_handled {
	int ret;
	bool reap;
};

LWSTP_ON_SERVICE struct lwstp_handled
lwstp_on_sync(struct lwstp_task *task, uint64_t word, struct lws *wsi);
LWSTP_ON_SERVICE struct lwstp_handled
lwstp_on_end(struct lwstp_task *task, uint64_t word, struct lws *wsi);

/*
 * service.c: the inbox, asking lws, asking again
 */

/* R1: any other thread may have made it */
struct lwstp_call {
	struct lwstp_post post;
	lws_threadpool_call_t call;
	void *arg;
};

/* what the inbox does with one */
LWSTP_ON_SERVICE void
lwstp_service_call(struct lwstp_service *service, struct lwstp_post *post);

/* has lws call cb in `us` microseconds, unless that timer is set already */
LWSTP_ON_SERVICE void
lwstp_schedule(struct lwstp_service *service, lws_sorted_usec_list_t *sul,
	       sul_cb_t cb, lws_usec_t us);
/* between two callbacks: looks at all that was posted, and asks lws */
LWSTP_ON_SERVICE void
lwstp_service_answer(struct lwstp_service *service);
/* by a timer: the same, and calls are made (R1); true: lws was asked */
LWSTP_ON_SERVICE bool
lwstp_service_turn(struct lwstp_service *service);
/* the same, by a timer: for a caller that may be within a callback */
LWSTP_ON_SERVICE void
lwstp_service_answer_soon(struct lwstp_service *service);
/* Anywhere: looks at what was posted, but for what S7 holds back. */
LWSTP_ON_SERVICE void
lwstp_service_collect(struct lwstp_service *service);
/* Q2: the task that is next in line, NULL: none */
LWSTP_ON_SERVICE struct lws_threadpool_task *
lwstp_service_next_task(struct lwstp_wsi *on);
/* S6: others on it may have had their WRITEABLE used up */
LWSTP_ON_SERVICE void
lwstp_ask_for_others(struct lwstp_wsi *on);
/* what `ask` does for a wsi */
LWSTP_ON_SERVICE void
lwstp_ask_wsi(struct lwstp_wsi *on);
/* what was found or held waits for the next answer() */
LWSTP_ON_SERVICE void
lwstp_signal_self(struct lwstp_service *service);
/* its context ends: nothing is held back, no timer is left */
LWSTP_ON_SERVICE void
lwstp_service_end(struct lwstp_service *service);

/*
 * detach.c: a task loses its wsi
 */

/* Takes a task off its wsi, and reaps it if it is queued or done.  1: it was
 * asked to stop instead (Q4).  `closing`: lws begins to close the wsi (W1). */
LWSTP_ON_SERVICE int
lwstp_detach(struct lwstp_task *task, uint64_t word, bool closing);
/* an ended task that is attached; in a handler of its own, after that */
LWSTP_ON_SERVICE void
lwstp_reap_attached(struct lwstp_task *task, uint64_t word);

/*
 * clock.c: timers of the service thread
 */

LWSTP_ON_SERVICE void
lwstp_clock_look(struct lwstp_service *service, struct lwstp_post *post);
/* a wsi, or a secure stream, may have tasks from now on */
LWSTP_ON_SERVICE void
lwstp_service_expect(struct lwstp_service *service);

/*
 * closing.c: is it closing, or no connection at all?
 */

enum lwstp_close {
	LWSTP_CLOSE_SEEN, /* nothing else will come: sweep the mark */
	LWSTP_CLOSE_TOLD, /* LWSTP_CLOSE_GONE will follow */
	LWSTP_CLOSE_GONE, /* it is freed next: no mark is needed */
};

/* The wsi begins to close.  `watch`, our child of it, tells so or, where that
 * is NULL, the application or lws. */
LWSTP_ON_SERVICE void
lwstp_wsi_close(struct lwstp_service *service, struct lws *wsi,
		struct lws *watch, enum lwstp_close how);
/* the same for a secure stream; NULL: it has no tasks */
LWSTP_ON_SERVICE void
lwstp_ss_close(struct lwstp_wsi *on);
/* W4: is that very wsi known to be closing?  Removes a mark about another one
 * that had the same address. */
LWSTP_ON_SERVICE bool
lwstp_wsi_is_closing(struct lwstp_service *service, struct lws *wsi);
LWSTP_ON_SERVICE void
lwstp_wsi_close_all(struct lwstp_service *service);
/* this thread has a callback that is about no connection, with that wsi */
void
lwstp_note_no_connection(struct lws *wsi);
/* ... whose context ends: from then on it may be the address of another one */
void
lwstp_forget_no_connection(const struct lws_context *lws);
/* Q6: a wsi that listens, is not connected yet, or is of such a callback */
bool
lwstp_wsi_is_no_connection(struct lws *wsi);

/*
 * contexts.c, context.c: a lws_context
 */

/* the newest first; changed by context.c */
extern _Atomic(struct lwstp_context *) lwstp_contexts;

/* Its destruction has begun, as far as lws tells. */
bool
lwstp_context_ending(struct lws_context *lws);

struct lwstp_failure {
	const char *call; /* NULL: none */
	int error;	  /* its errno */
};

/* With a reference for the caller, which is on a service thread of the context,
 * or comes before there is one.  NULL if it is ending, or without something
 * that *failure tells.  One that it can do without is told, too. */
struct lwstp_context *
lwstp_context_get(struct lws_context *lws, struct lwstp_failure *failure);
void
lwstp_context_put(struct lwstp_context *context);
/* One reference more, on any thread; false: there is none left.  What led here
 * may be gone by then: so look again, and lwstp_context_put() it. */
bool
lwstp_context_hold(struct lwstp_context *context);
struct lwstp_context *
lwstp_context_find(const struct lws_context *lws);
/* its service thread for that wsi; NULL: it never had a pool, or wsi is NULL */
struct lwstp_service *
lwstp_service_of(struct lws *wsi);
/* what is known of a wsi or ss of this thread, which may be gone; NULL:
 * nothing */
LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_find_here(const void *key);
bool
lwstp_context_dying(struct lwstp_context *context);
/* Called on its last service thread, while lws can still take our timers
 * back. */
void
lwstp_context_gone(struct lwstp_context *context);
/* takes the notifier back from lws */
void
lwstp_context_forget_notifier(struct lwstp_context *context);
/* the vhost passes its events (or does not any more): the opt-in */
void
lwstp_context_learn(struct lwstp_context *context, struct lws_vhost *vhost,
		    bool passes);
bool
lwstp_context_opted_in(struct lwstp_context *context, struct lws_vhost *vhost);
/* all of them are gone */
LWSTP_CONTEXT_HELD void
__lwstp_context_unlearn(struct lwstp_context *context);

#endif /* LWSTP_CONTEXT_H */
