/*
 * lws-threadpool-cluster - the front's side of a job
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_CLUSTER_FRONT_H
#define LWSTP_CLUSTER_FRONT_H

enum lwstpc_where {		    /* is the job, as the front knows */
		    LWSTPC_NEW,	    /* not published yet */
		    LWSTPC_SEEKING, /* attach: nobody answered yet */
		    LWSTPC_QUEUED,  /* no worker has it */
		    LWSTPC_OWNED,   /* one has */
};

struct lwstpc_job {
	UT_hash_handle hh;		 /* by id: tables */
	struct lwstpc_job *next_by_task; /* the process's lock */
	atomic_uint refs;
	lwstpc_t *c; /* has a reference */
	void *user;  /* the task's */
	void (*cleanup)(struct lws *wsi, void *user);
	struct lws_threadpool_task *task; /* the process's lock */
	unsigned char id[LWSTPC_ID_BYTES];
	char id_text[LWSTPC_ID_TEXT];
	bool attaches;	 /* by attach, to another front's: never retried */
	uint64_t attach; /* the number of it */
	bool in_table LWSTPC_BY_TABLES;

	pthread_mutex_t lock;
	struct lwstpc_kind *kind LWSTPC_BY_JOB; /* NULL: SEEKING */
	enum lwstpc_where where LWSTPC_BY_JOB;

	/* the request, in case it must be published again */
	void *request LWSTPC_BY_JOB;
	size_t request_len LWSTPC_BY_JOB;
	uint32_t round LWSTPC_BY_JOB;
	uint64_t number LWSTPC_BY_JOB; /* in the queue, or 0 */
	uint64_t queue LWSTPC_BY_JOB;  /* which one, or 0: not known */
	lws_usec_t published LWSTPC_BY_JOB;
	bool doubt LWSTPC_BY_JOB; /* has it left the queue meanwhile? */

	/* the worker that has it, or had it */
	uint64_t fence LWSTPC_BY_JOB;
	uint64_t given LWSTPC_BY_JOB; /* back: its fence */
	char worker[LWSTPC_NODE_TEXT] LWSTPC_BY_JOB;
	bool begun LWSTPC_BY_JOB;
	unsigned int lost LWSTPC_BY_JOB; /* workers */
	lws_usec_t heard LWSTPC_BY_JOB;
	lws_usec_t probed LWSTPC_BY_JOB; /* or 0 */

	/* chunks: came in order >= consumed by the reader */
	uint32_t came LWSTPC_BY_JOB;
	uint32_t done LWSTPC_BY_JOB;
	uint32_t upto LWSTPC_BY_JOB;		 /* told to the worker */
	uint32_t naked LWSTPC_BY_JOB;		 /* the gap it told */
	bool complete LWSTPC_BY_JOB;		 /* END came */
	struct lwstpc_msg **inbox LWSTPC_BY_JOB; /* window + 2 */
	unsigned int room LWSTPC_BY_JOB;
	unsigned int first LWSTPC_BY_JOB;
	unsigned int filled LWSTPC_BY_JOB;
	lws_usec_t credit_at LWSTPC_BY_JOB; /* to be repeated */
	lws_usec_t credit_gap LWSTPC_BY_JOB;
	lws_usec_t nak_at LWSTPC_BY_JOB;
	lws_usec_t nak_gap LWSTPC_BY_JOB;

	/* the task */
	bool parked LWSTPC_BY_JOB; /* a wake helps */
	bool syncing LWSTPC_BY_JOB;
	bool gone LWSTPC_BY_JOB; /* it has ended */
	bool lingers LWSTPC_BY_JOB;
	lws_usec_t keep_until LWSTPC_BY_JOB; /* once gone */
	enum lws_threadpool_cluster_end verdict LWSTPC_BY_JOB;
	const char *refusal LWSTPC_BY_JOB; /* why REFUSED, for the log, */
	uint64_t refused LWSTPC_BY_JOB;	   /* of what, or 0 */
	atomic_int end;			   /* enum lws_threadpool_cluster_end */
};

/*
 * job.c: a front's job
 */

/* NULL: no memory.  The caller has the reference. */
struct lwstpc_job *
lwstpc_job_make(lwstpc_t *c, struct lwstpc_kind *kind, const unsigned char *id);
struct lwstpc_job *
lwstpc_job_hold(struct lwstpc_job *job);
void
lwstpc_job_drop(struct lwstpc_job *job);
/* false: no memory */
LWSTPC_JOB_HELD bool
__lwstpc_job_kind(struct lwstpc_job *job, struct lwstpc_kind *kind);
/* the table has a reference */
LWSTPC_TABLES_HELD bool
__lwstpc_job_list(lwstpc_t *c, struct lwstpc_job *job);
LWSTPC_TABLES_HELD void
__lwstpc_job_unlist(lwstpc_t *c, struct lwstpc_job *job);
void
lwstpc_job_unlist(lwstpc_t *c, struct lwstpc_job *job);
/* with a reference, or NULL */
struct lwstpc_job *
lwstpc_job_find(lwstpc_t *c, const unsigned char *id);
/* all of them, each with a reference, in memory to be freed */
struct lwstpc_job **
lwstpc_jobs(lwstpc_t *c, size_t *count);
/* the tasks of the process */
void
lwstpc_tasks_watch_forks(void);
void
lwstpc_task_begin(void); /* an enqueue is under way: finds wait */
void
lwstpc_task_end(struct lwstpc_job *job, struct lws_threadpool_task *task);
struct lwstpc_job *
lwstpc_task_find(struct lws_threadpool_task *task, bool wait);
void
lwstpc_task_forget(struct lwstpc_job *job);
/* have the task called, if it waits */
LWSTPC_JOB_HELD void
__lwstpc_job_wake(struct lwstpc_job *job);
/* it is to end so, once it has read what came */
LWSTPC_JOB_HELD void
__lwstpc_job_verdict(struct lwstpc_job *job,
		     enum lws_threadpool_cluster_end verdict);
/* ... REFUSED, of that number, or 0 */
LWSTPC_JOB_HELD void
__lwstpc_job_refuse(struct lwstpc_job *job, const char *why, uint64_t of);
LWSTPC_JOB_HELD void
__lwstpc_job_empty(struct lwstpc_job *job);

/*
 * tell.c: what a front says
 */

/* to the worker that has it */
LWSTPC_JOB_HELD void
__lwstpc_credit(struct lwstpc_job *job);
LWSTPC_JOB_HELD void
__lwstpc_nak(struct lwstpc_job *job);
LWSTPC_JOB_HELD void
__lwstpc_stop(struct lwstpc_job *job);
LWSTPC_JOB_HELD void
__lwstpc_linger(struct lwstpc_job *job);
/* to one that does not, or not any more */
void
lwstpc_stop_other(lwstpc_t *c, const char *worker, const char *id,
		  uint64_t fence, unsigned int flags);
LWSTPC_JOB_HELD void
__lwstpc_find(struct lwstpc_job *job);
/* into the queue, again too */
LWSTPC_JOB_HELD bool
__lwstpc_job_publish(struct lwstpc_job *job);
/* out of the queue, if it is in the one that is there.  False: it is not, or
 * that is not known */
LWSTPC_JOB_HELD bool
__lwstpc_job_delete(struct lwstpc_job *job);
/* the task is gone: so must the job be, unless it lingers */
LWSTPC_JOB_HELD void
__lwstpc_job_leave(struct lwstpc_job *job, bool lingers);

/*
 * front.c, owner.c: what a front is told
 */

void
lwstpc_front_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg);
void
lwstpc_front_answer(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg);
void
lwstpc_front_find(lwstpc_t *c, const struct lwstpc_wire *wire,
		  const unsigned char *id);
void
lwstpc_front_spent(lwstpc_t *c, uint64_t number);
/* its worker is lost, or gave it back: what now? */
LWSTPC_JOB_HELD void
__lwstpc_job_lost(struct lwstpc_job *job, bool counts);
/* is this message from the worker that has it, from now on?  Else it was
 * answered, and is not to be looked at */
LWSTPC_JOB_HELD bool
__lwstpc_job_is_owner(struct lwstpc_job *job, const struct lwstpc_wire *wire,
		      const char *worker);

/*
 * proxy.c: the task at the front
 */

enum lws_threadpool_task_return
lwstpc_proxy(void *user, enum lws_threadpool_task_status status);
void
lwstpc_proxy_cleanup(struct lws *wsi, void *user);

#endif /* LWSTP_CLUSTER_FRONT_H */
