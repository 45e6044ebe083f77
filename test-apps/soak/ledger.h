/*
 * lws-threadpool tests - a ledger of every task, that checks what each may do
 *
 * SPDX-License-Identifier: MIT
 *
 * A job is a task's script and its page in the ledger.  What the ledger checks
 * by itself, whoever runs the jobs: a task function is called with RUNNING or
 * STOPPING, by one thread at a time, never on the service thread, and never
 * after it ended or was told STOPPING (T1..T4); cleanup comes once for each
 * accepted job and never for a refused one, not during a call, with NULL or
 * with a wsi that is alive and then on its service thread (T7, T8); what the
 * service thread and the task write to each other is seen (T2, S4); neither
 * comes while a callback has the data (S7).
 *
 * The checks use relaxed atomics only: the ledger must not itself order what
 * the library is to order, or a thread sanitizer could not see it fail.
 */

#ifndef LWSTP_LEDGER_H
#define LWSTP_LEDGER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

enum job_kind {
	JOB_NOOP,    /* FINISHED at once */
	JOB_SYNC,    /* steps SYNCs, check-ins between, FINISHED */
	JOB_SLOW,    /* steps check-ins, each with some work or sleep */
	JOB_OUTLIVE, /* as JOB_SYNC, with OUTLIVE on the first return */
	JOB_ASYNC,   /* as JOB_SYNC, with args.async_task */
	JOB_DEAF,    /* works on, and answers STOPPING with anything */
	JOB_SPAWN,   /* makes another one, from its thread and its cleanup */
	JOB_BAD,     /* a return that is none */
	JOB_LOOSE,   /* answers by other threads too: no data checked */
	JOB_TOKEN,   /* as JOB_SYNC, for job_token() and attaches */
	JOB_PARK,    /* steps parks (T9), each till it is woken or for ms */
	JOB_KINDS,   /* those above come at random */
	JOB_HOOK     /* what hooks.park says: it parks, and is woken */
};

struct job {
	_Atomic uint64_t serial; /* 0: the page is free */
	atomic_int in_call, told, ended, settled, calls;
	atomic_int cleanups;
	_Atomic int64_t waits_since; /* us: SYNCING or done, or 0 */
	struct lws *wsi;	     /* the service thread's, and
				      * constant but by an attach */
	_Atomic uintptr_t handle;    /* its task's, once known */
	uint64_t rng;		     /* the task's own */
	uint32_t data;		     /* T2, odd: service thread's turn */
	uint8_t kind;
	uint8_t steps;
	atomic_int outlived; /* it outlives its wsi (T5) */
	atomic_bool let_go;  /* dequeued or closed */
	atomic_int held;     /* a callback has its data */
	struct job *next_free;
};

struct ledger_hooks {
	/* is this one of the program's live wsi?  Service thread only. */
	bool (*alive)(struct lws *wsi);
	/* a job wants another one made; from any thread */
	void (*spawn)(struct job *from);
	/* a call of a JOB_HOOK with RUNNING */
	enum lws_threadpool_task_return (*park)(struct job *job);
	/* cleanup of an attached job, on the service thread */
	void (*cleaned)(struct job *job, struct lws *wsi);
	/* how to repeat it, printed when a check fails */
	const char *repeat;
};

struct ledger_sums {
	atomic_ulong accepted, refused, cleaned, calls, syncs, stoppings;
	atomic_ulong parks, attaches;
	atomic_ulong called_for, called; /* R1: accepted, and called */
};

extern struct ledger_sums ledger;

void
ledger_begin(const struct ledger_hooks *hooks, pthread_t service_thread);

/* A check failed: prints it and how to repeat it, and aborts */
void
ledger_fail(const char *format, ...) LWS_FORMAT(1);

#define ledger_check(cond) \
	((cond) ? (void)0 : ledger_fail("%s:%d: %s", __FILE__, __LINE__, #cond))

/* A page for a new job, NULL if all are in use.  Any thread. */
struct job *
job_new(enum job_kind kind, int steps, struct lws *wsi, uint64_t seed);

/* Its task's arguments; then say what lws_threadpool_enqueue() returned.  The
 * job may be over when that is called: do not use it afterwards. */
void
job_args(struct job *job, struct lws_threadpool_task_args *args);
void
job_settle(void *user, struct lws_threadpool_task *task);

/* job_args(), lws_threadpool_enqueue() and job_settle() */
struct lws_threadpool_task *
job_enqueue(struct lws_threadpool *tp, struct job *job);

/* K1: a token for a job that was settled just now: until then its wsi cannot
 * go, on the service thread.  False: it is over, or was refused one. */
bool
job_token(struct lws_threadpool_task *task, unsigned int flags, char *token);

/* K3: lws_threadpool_task_attach().  Service thread.  False: refused. */
bool
job_attach(void *user, struct lws_threadpool_task *task, struct lws *wsi);

/* The wsi of that job is gone, and it may outlive it.  Service thread. */
void
job_lost(void *user, struct lws *wsi);

/* R1: a call that is counted: each that was accepted is called once.  fn may be
 * NULL.  False: refused. */
bool
ledger_call(struct lws_threadpool *tp, int tsi, void (*fn)(void *), void *arg);

/* The user pointer of a job that was made just now */
void *
job_user(struct job *job);

/* The job of a user pointer, NULL if its page was given to another since */
struct job *
job_of(void *user);

/* The service thread was told SYNCING: takes its turn at the shared data */
void
job_answered(struct job *job);

/* S7: a callback that was told SYNCING has its data, until it says that it has
 * not: before it answers, or at its end.  Not for jobs that others answer. */
void
job_hold(struct job *job);
void
job_release(struct job *job);

/* The job that has waited longest for its service thread, with a wsi for which
 * may_wait() is false.  In us, 0 for none. */
int64_t
ledger_longest_wait(bool (*may_wait)(struct lws *wsi), struct job **job);

/* After everything was destroyed: each accepted job was cleaned up, and each
 * call was made */
void
ledger_check_balance(void);

int64_t
ledger_now(void);

/* 64 bits of it, and of 0..n-1 */
uint64_t
rng_next(uint64_t *state);
uint32_t
rng_below(uint64_t *state, uint32_t n);

#endif
