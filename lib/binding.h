/*
 * lws-threadpool - which tasks hang on which wsi, and who tells lws
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_BINDING_H
#define LWSTP_BINDING_H

/*
 * binding.c: which tasks hang on which wsi, or secure stream
 */

struct lwstp_cursor {				/* a foreach under way */
	LWSTP_BY_BINDINGS struct lwstp_cursor *outer;
	LWSTP_BY_BINDINGS struct lwstp_binding *binding; /* NULL: it is gone */
	LWSTP_BY_BINDINGS struct lwstp_task *next;
};

/* In three cache lines: what a look-up compares, what a SYNC needs, and what it
 * does not.  With thousands of wsi a SYNC costs what it fetches of them. */
struct lwstp_binding {
	_Alignas(LWSTP_CACHE_LINE) UT_hash_handle hh; /* bindings */
	struct lwstp_bell	*bell;		/* constant: of its service
						 * thread */

	struct lws		*wsi;		/* the key, or NULL and: ss */
	LWSTP_BY_BINDINGS struct lwstp_task *wanting; /* longest first */
	/* bell->rung, bell->streams, or bell->closed once closing */
	LWSTP_BY_BINDINGS struct lwstp_binding *prev, *next;
	/* ...asked */
	LWSTP_BY_BINDINGS struct lwstp_binding *ask_prev, *ask_next;
	LWSTP_BY_BINDINGS lws_usec_t asked_at; /* or closed at */
	LWSTP_BY_BINDINGS unsigned int unseen; /* wanting, unseen */
	LWSTP_BY_BINDINGS bool rung; /* on bell->rung */
	LWSTP_BY_BINDINGS bool due; /* on bell->streams */
	LWSTP_BY_BINDINGS bool asked; /* on bell->asked */
	LWSTP_BY_BINDINGS bool closing; /* W4 */

	LWSTP_BY_BINDINGS struct lwstp_task *attached; /* oldest first */
	struct lws_ss_handle	*ss;		/* the key, if wsi is NULL */
	LWSTP_BY_BINDINGS struct lws *watch; /* our child of it, or NULL */
	LWSTP_BY_BINDINGS struct lwstp_cursor *cursors; /* innermost first */
	LWSTP_BY_BINDINGS uint32_t seq; /* next att_seq */
	LWSTP_BY_BINDINGS bool given_up; /* the ss: all retries failed */
	LWSTP_BY_BINDINGS bool detaching; /* cleanups may run */
	/* the closing wsi's socket.  Service thread: so not beside the flags
	 * above, several of which may be read as one word */
	dev_t			dev;		/* its identity, with ino */
	ino_t			ino;
	bool			socket;		/* it has one */
};

/* lwstp_bindings_lock held in the __ ones */
LWSTP_BINDINGS_HELD struct lwstp_binding *
__lwstp_binding_find(const struct lws *wsi);
LWSTP_BINDINGS_HELD struct lwstp_binding *
__lwstp_binding_find_ss(const struct lws_ss_handle *ss);
/* of a wsi or, where that is NULL, of a secure stream: NULL without memory */
struct lwstp_binding *
lwstp_binding_new(struct lwstp_bell *bell, struct lws *wsi,
		  struct lws_ss_handle *ss);
/* Q2: the task that is next in line; NULL for no binding, or no task */
LWSTP_BINDINGS_HELD struct lws_threadpool_task *
__lwstp_binding_next_task(const struct lwstp_binding *b);
/* Q3: c->binding is set, or NULL.  The lock is released while cb runs. */
LWSTP_BINDINGS_HELD int
__lwstp_binding_foreach(struct lwstp_cursor *c, void *user,
			int (*cb)(struct lws_threadpool_task *task,
				  void *user));
LWSTP_POOL_HELD LWSTP_BINDINGS_HELD void
__lwstp_binding_attach(struct lwstp_binding *b, struct lwstp_task *task);
LWSTP_BINDINGS_HELD void
__lwstp_binding_want(struct lwstp_bell *bell, struct lwstp_task *task);
LWSTP_POOL_HELD void
__lwstp_binding_look(struct lwstp_task *task);
LWSTP_POOL_HELD void
__lwstp_binding_unwant(struct lwstp_task *task, struct lwstp_after *after);
LWSTP_POOL_HELD struct lws *
__lwstp_binding_detach(struct lwstp_task *task, struct lwstp_after *after);
LWSTP_POOL_HELD bool
__lwstp_binding_closing(const struct lwstp_task *task);
enum lwstp_refusal
lwstp_binding_make(struct lwstp_host *host, struct lws *wsi);
enum lwstp_close {
	LWSTP_CLOSE_SEEN,	/* nothing else will come: sweep the mark */
	LWSTP_CLOSE_TOLD,	/* LWSTP_CLOSE_GONE will follow */
	LWSTP_CLOSE_GONE,	/* it is freed next: no mark is needed */
};

void
lwstp_binding_close(struct lws *wsi, struct lws *watch, enum lwstp_close how);
/* the parts of that: nothing is asked for it, and nothing hangs on it, or on
 * what is freed then */
LWSTP_BINDINGS_HELD void
__lwstp_binding_mark_closing(struct lwstp_binding *b);
void
lwstp_binding_end(struct lwstp_binding *b);
void
lwstp_binding_close_all(struct lwstp_host *host);
LWSTP_BINDINGS_HELD void
__lwstp_binding_free(struct lwstp_binding *b);

/*
 * doorbell.c: how a worker reaches the right service thread
 */

struct lwstp_bell {				/* one a service thread */
	struct lwstp_host	*host;		/* constant */
	LWSTP_BY_BINDINGS struct lwstp_binding *rung;
	LWSTP_BY_BINDINGS struct lwstp_binding *streams; /* rung, of an ss */
	LWSTP_BY_BINDINGS struct lwstp_binding *asked; /* oldest first */
	LWSTP_BY_BINDINGS struct lwstp_binding *closed; /* W4's marks */
	LWSTP_BY_BINDINGS unsigned int open; /* bindings, but for those */
	lws_sorted_usec_list_t	rering;		/* service thread */
	lws_sorted_usec_list_t	ask_streams;	/* service thread */
	lws_sorted_usec_list_t	sweep;		/* service thread */
	lws_sorted_usec_list_t	look;		/* service thread */
	lws_sorted_usec_list_t	expect;		/* service thread */
	lws_usec_t		expect_us;	/* service thread: interval */
	/* these seven: service thread */
	unsigned int		answers;	/* without looks */
	unsigned int		look_after;	/* so many of them */
	unsigned int		looks;		/* so many turns more */
	lws_usec_t		awake_until;
	bool			looked;		/* since the last answer */
	bool			awake;		/* it rings itself */
	bool			heard;		/* ever */
	bool			rering_armed;	/* service thread */
	bool			sweep_armed;	/* service thread */
	atomic_bool		adopted;	/* lws polls our fd */
	_Atomic(const char *)	served_by;	/* set by the service thread:
						 * an address of its own */
	_Atomic(struct lwstp_task *) inbox;	/* any thread: put in lately,
						 * the newest first */
	atomic_bool		signalled;	/* any thread: it is, or will be,
						 * and has not answered yet */
	int			fd;		/* constant: ours to write to */
	int			tsi;		/* constant */
};

LWSTP_POOL_HELD void
__lwstp_bell_put(const struct lwstp_pool *pool, struct lwstp_task *task,
		 struct lwstp_after *after);
LWSTP_BINDINGS_HELD void
__lwstp_bell_collect(struct lwstp_bell *bell);
LWSTP_BINDINGS_HELD void
__lwstp_bell_push(struct lwstp_bell *bell, struct lwstp_binding *b);
LWSTP_BINDINGS_HELD void
__lwstp_bell_ring(struct lwstp_binding *b, struct lwstp_after *after);
/* off every list on which it waits for lws to be asked */
LWSTP_BINDINGS_HELD void
__lwstp_bell_unring(struct lwstp_binding *b);
void
lwstp_bell_signal(struct lwstp_bell *bell);
void
lwstp_bell_answer(struct lwstp_bell *bell);
/* this thread does what only the bell's service thread may */
void
lwstp_bell_serve(struct lwstp_bell *bell);
/* it is this thread that did so last, or another; a worker never is */
bool
lwstp_bell_is_ours(const struct lwstp_bell *bell);
bool
lwstp_bell_is_anothers(const struct lwstp_bell *bell);
/* a SYNC was answered: the next may come within that time.  0: not; service
 * thread */
void
lwstp_bell_answered(struct lwstp_bell *bell, int awake_us);
/* a wsi, or a secure stream, may have tasks from now on; service thread */
void
lwstp_bell_expect(struct lwstp_bell *bell);
void
lwstp_bell_rering(lws_sorted_usec_list_t *sul);
void
lwstp_bell_hush(struct lwstp_bell *bell);
void
lwstp_bell_sweep_later(struct lwstp_bell *bell);

#endif /* LWSTP_BINDING_H */
