/*
 * lws-threadpool-cluster - what its files share
 *
 * SPDX-License-Identifier: MIT
 *
 * A front has a struct lwstpc_job for each task, found by the job's id for what
 * the engine brings, and by the task's handle for what a thread of the pool
 * does.  A worker has a struct lwstpc_work for each job that it took.
 *
 * Locks: the cluster's for its tables, one for each job and work, and one of
 * the process for the tasks' handles.  Order: tables, then a job or a work.
 * None is held while a function of the user's is called, nor while one of the
 * base is that may call one.  Jobs, works and the cluster count their
 * references.
 */

#ifndef LWSTP_CLUSTER_PRIVATE_H
#define LWSTP_CLUSTER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* some versions of lws's header leave the visibility of what we define to us */
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
#include <lws-threadpool-cluster.h>
#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "../locks.h"
#include "engine.h"
#include "log.h"

#define LWSTPC_WINDOW	     8
#define LWSTPC_WINDOW_MOST   256
#define LWSTPC_CHUNK_SIZE    65536
#define LWSTPC_CHUNK_MOST    1000000
#define LWSTPC_CHUNKS_MOST   4000000000u /* numbers have 32 bits */
#define LWSTPC_PULLS	     64		 /* of a kind: at a time */
#define LWSTPC_ATTACHES	     16		 /* of a job: that are remembered */
#define LWSTPC_LATE_PART     4		 /* of a lease: then an echo is late */
#define LWSTPC_AGAIN_MOST_US (2 * LWS_US_PER_SEC) /* to say it again */
#define LWSTPC_NO_QUEUE_US   (2 * LWS_US_PER_SEC) /* it is being made */
#define LWSTPC_NO_CHUNK	     UINT32_MAX

/* roles of clang's, see ../locks.h; declared, and defined nowhere */
extern struct lwstp_role lwstpc_role_tables;
extern struct lwstp_role lwstpc_role_job;
extern struct lwstp_role lwstpc_role_work;

#define LWSTPC_BY_TABLES   LWSTP_SAFETY(guarded_by(lwstpc_role_tables))
#define LWSTPC_BY_JOB	   LWSTP_SAFETY(guarded_by(lwstpc_role_job))
#define LWSTPC_BY_WORK	   LWSTP_SAFETY(guarded_by(lwstpc_role_work))
#define LWSTPC_TABLES_HELD LWSTP_SAFETY(requires_capability(lwstpc_role_tables))
#define LWSTPC_JOB_HELD	   LWSTP_SAFETY(requires_capability(lwstpc_role_job))
#define LWSTPC_WORK_HELD   LWSTP_SAFETY(requires_capability(lwstpc_role_work))

typedef struct lws_threadpool_cluster lwstpc_t;

/*
 * wrong.c: what is wrong with an argument, and its value, for the log
 */

struct lwstpc_wrong {
	const char *why; /* NULL: nothing */
	char value[80];
};

struct lwstpc_wrong
lwstpc_wrong_number(const char *why, long long value);
struct lwstpc_wrong
lwstpc_wrong_text(const char *why, const char *value);
struct lwstpc_wrong
lwstpc_wrong_handle(const char *why, const void *handle);
struct lwstpc_wrong
lwstpc_nothing_wrong(void);
/* members after those that we know must be zero */
bool
lwstpc_size_ok(const void *s, size_t known, size_t size);
/* of a kind, or a prefix */
bool
lwstpc_name_ok(const char *name);
/* a parent process has made it, and has its threads; logged.  NULL is not */
bool
lwstpc_is_forked(const lwstpc_t *c, const char *caller);

/*
 * Kinds
 */

struct lwstpc_pull {
	unsigned int left; /* jobs that may come; 0: not in use */
	unsigned int generation;
	lws_usec_t until;
};

struct lwstpc_kind {
	struct lws_threadpool_cluster_kind k; /* constant, as are these */
	struct lwstpc_kind *next;
	char name[LWSTPC_NAME];
	unsigned int number;

	/* a worker's */
	bool served LWSTPC_BY_TABLES;
	bool ready LWSTPC_BY_TABLES;  /* its consumer is */
	bool warned LWSTPC_BY_TABLES; /* that it is not */
	unsigned int max_jobs LWSTPC_BY_TABLES;
	unsigned int jobs LWSTPC_BY_TABLES;	 /* in the table of works */
	unsigned int unstarted LWSTPC_BY_TABLES; /* of these */
	unsigned int asked LWSTPC_BY_TABLES;	 /* of the engine */
	unsigned int depth LWSTPC_BY_TABLES;	 /* see take.c */
	unsigned int starts LWSTPC_BY_TABLES;	 /* since then: */
	lws_usec_t starts_at LWSTPC_BY_TABLES;
	lws_usec_t rests_until LWSTPC_BY_TABLES;
	lws_usec_t made_at LWSTPC_BY_TABLES; /* ticker: consumer */
	struct lwstpc_pull pulls[LWSTPC_PULLS] LWSTPC_BY_TABLES;
};

/*
 * The cluster
 */

struct lwstpc_counters { /* see struct ..._stats */
	atomic_ullong jobs, ended[16], retried, chunks, chunk_bytes, resent,
		duplicate, fenced, reconnects, latency_us[24];
};

struct lws_threadpool_cluster {
	atomic_uint refs;
	struct lws_threadpool *pool; /* constant, as are these */
	pid_t pid;
	unsigned int threads;
	lws_usec_t lease_us;
	lws_usec_t engine_us;
	unsigned int max_tries;
	char prefix[LWSTPC_NAME];
	char node[LWSTPC_NODE_TEXT];
	struct lwstpc_engine *engine;

	atomic_bool dying; /* destroy() */
	atomic_bool draining;
	atomic_bool connected;
	atomic_bool was_up;   /* once */
	atomic_bool fresh;    /* a new connection: ticker */
	atomic_bool was_away; /* for so long that workers dropped jobs */
	atomic_bool queue_ready;
	_Atomic(lws_usec_t) queue_since;  /* not ready since then, or 0 */
	atomic_ullong queue_error;	  /* why, or 0: nobody says */
	atomic_bool beat;		  /* ... at once: to the ticker */
	_Atomic(uint64_t) queue;	  /* which one, or 0: not known */
	_Atomic(lws_usec_t) now;	  /* of the ticker */
	_Atomic(lws_usec_t) echoed;	  /* our own echo came last, or ... */
	_Atomic(lws_usec_t) up_at;	  /* the connection */
	_Atomic(lws_usec_t) heard_at;	  /* the last echo, before that */
	_Atomic(lws_usec_t) smooth_since; /* silence counts since */
	_Atomic(lws_usec_t) away_since;	  /* or 0: it is there */

	pthread_mutex_t lock;
	lws_usec_t away_us LWSTPC_BY_TABLES; /* before away_since */
	struct lwstpc_kind *kinds LWSTPC_BY_TABLES;
	unsigned int n_kinds LWSTPC_BY_TABLES;
	struct lwstpc_job *jobs LWSTPC_BY_TABLES;
	struct lwstpc_work *works LWSTPC_BY_TABLES;

	pthread_mutex_t tick_lock;
	pthread_cond_t tick_cond;
	bool tick_due; /* by tick_lock, as the next */
	bool tick_end;
	bool ticked_out; /* it has ended */

	struct lwstpc_counters n;
};

/*
 * base.c: locks, time, references
 */

lws_usec_t
lwstpc_now(void);
uint64_t
lwstpc_wall(void); /* us since 1970 */
LWSTP_LOCKS(lwstpc_role_tables) void
lwstpc_lock(lwstpc_t *c);
LWSTP_UNLOCKS(lwstpc_role_tables) void
lwstpc_unlock(lwstpc_t *c);
LWSTP_LOCKS(lwstpc_role_job) void
lwstpc_job_lock(struct lwstpc_job *job);
LWSTP_UNLOCKS(lwstpc_role_job) void
lwstpc_job_unlock(struct lwstpc_job *job);
LWSTP_LOCKS(lwstpc_role_work) void
lwstpc_work_lock(struct lwstpc_work *work);
LWSTP_UNLOCKS(lwstpc_role_work) void
lwstpc_work_unlock(struct lwstpc_work *work);
lwstpc_t *
lwstpc_hold(lwstpc_t *c);
void
lwstpc_drop(lwstpc_t *c);
static inline void
lwstpc_count(atomic_ullong *counter, unsigned long long n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
/* how long nobody has been heard, while the engine was there: since `heard` */
lws_usec_t
lwstpc_silence(lwstpc_t *c, lws_usec_t heard, lws_usec_t now);
/* the engine is there, and answers */
bool
lwstpc_engine_there(lwstpc_t *c);
/* it is back, and how long it was away in all: that never falls */
void
lwstpc_engine_back(lwstpc_t *c);
uint64_t
lwstpc_away_us(lwstpc_t *c);
/* it is there, and has a queue, or had none for so long: 0 otherwise */
bool
lwstpc_engine_takes_jobs(lwstpc_t *c);
lws_usec_t
lwstpc_no_queue(lwstpc_t *c, lws_usec_t now);
void
lwstpc_queue_gone(lwstpc_t *c);
/* who said it, by the reply: a node.  False: none of ours */
bool
lwstpc_sender(const lwstpc_t *c, const struct lwstpc_msg *msg,
	      char node[LWSTPC_NODE_TEXT]);
/* have the ticker look at once */
void
lwstpc_tick_now(lwstpc_t *c);
/* how long to wait at most until something is said again */
lws_usec_t
lwstpc_again_most(const lwstpc_t *c);
struct lwstpc_kind *
lwstpc_kind_find(lwstpc_t *c, const char *name);
struct lwstpc_kind *
lwstpc_kind_at(lwstpc_t *c, unsigned int number);

#include "front.h"
#include "worker.h"

/*
 * tick.c: what time brings
 */

void *
lwstpc_ticker(void *arg);

/*
 * calls.c: what the engine tells
 */

extern const struct lwstpc_engine_calls lwstpc_calls;

#endif /* LWSTP_CLUSTER_PRIVATE_H */
