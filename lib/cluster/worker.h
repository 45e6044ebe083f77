/*
 * lws-threadpool-cluster - the worker's side of a job
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_CLUSTER_WORKER_H
#define LWSTP_CLUSTER_WORKER_H

#define LWSTPC_ROUND_BITS 48 /* of a fence, below the job's round */
/* the next one finds no room either, before that */
#define LWSTPC_REST_US LWS_US_PER_SEC

struct lwstpc_sent { /* with its header */
	unsigned char *buf;
	size_t len;
};

struct lwstpc_work {
	UT_hash_handle hh; /* by id: tables */
	atomic_uint refs;
	lwstpc_t *c; /* has a reference */
	struct lwstpc_kind *kind;
	unsigned char id[LWSTPC_ID_BYTES];
	char id_text[LWSTPC_ID_TEXT];
	char *reply;	/* the delivery's */
	uint64_t queue; /* that it came from */
	uint64_t fence;
	uint32_t version;
	uint32_t window;
	size_t max_chunk;
	bool must_ask;
	bool again; /* delivered before */
	lws_usec_t linger_us;
	bool in_table LWSTPC_BY_TABLES;

	/* the thread's that calls it */
	struct lwstpc_msg *msg; /* the job's, until it begins */
	void *user;
	lws_usec_t hello_at;
	bool spoke; /* its front knows of it */

	_Atomic(struct lws_threadpool_task *) task;
	atomic_bool started;	       /* a thread has it, or had it */
	_Atomic(lws_usec_t) called_at; /* 0: no call is under way */

	pthread_mutex_t lock;
	char front[LWSTPC_NODE_TEXT] LWSTPC_BY_WORK;
	bool answered LWSTPC_BY_WORK; /* its HELLO|ASK */
	bool begun LWSTPC_BY_WORK;    /* user is there */
	bool parked LWSTPC_BY_WORK;   /* a wake helps */
	bool stop LWSTPC_BY_WORK;     /* it is not wanted */
	bool acked LWSTPC_BY_WORK;    /* the engine knows */
	bool given LWSTPC_BY_WORK;    /* back, or dropped */
	bool rests LWSTPC_BY_WORK;    /* ... for a while: there is no room */
	bool over LWSTPC_BY_WORK;     /* not called again */
	bool ended LWSTPC_BY_WORK;    /* END is in the ring */
	bool lingers LWSTPC_BY_WORK;
	/* attaches, the one that has it first */
	uint64_t attach[LWSTPC_ATTACHES] LWSTPC_BY_WORK;
	lws_usec_t linger_until LWSTPC_BY_WORK;
	uint32_t tries LWSTPC_BY_WORK;
	uint32_t have LWSTPC_BY_WORK;		 /* the front has */
	uint32_t upto LWSTPC_BY_WORK;		 /* may be sent */
	uint32_t sent LWSTPC_BY_WORK;		 /* were */
	uint32_t oldest LWSTPC_BY_WORK;		 /* in the ring */
	struct lwstpc_sent *ring LWSTPC_BY_WORK; /* window + 1 */
	lws_usec_t heard LWSTPC_BY_WORK;
	lws_usec_t beat_at LWSTPC_BY_WORK;
	lws_usec_t told_at LWSTPC_BY_WORK; /* again */
};

/*
 * work.c: jobs that we took; ring.c: what they have sent
 */

struct lwstpc_work *
lwstpc_work_hold(struct lwstpc_work *work);
void
lwstpc_work_drop(struct lwstpc_work *work);
LWSTPC_TABLES_HELD bool
__lwstpc_work_list(lwstpc_t *c, struct lwstpc_work *work);
/* ... which makes room for another job */
void
lwstpc_work_unlist(struct lwstpc_work *work);
struct lwstpc_work *
lwstpc_work_find(lwstpc_t *c, const unsigned char *id);
struct lwstpc_work **
lwstpc_works(lwstpc_t *c, size_t *count);
LWSTPC_WORK_HELD void
__lwstpc_work_wake(struct lwstpc_work *work);
/* its front wants no more of it */
LWSTPC_WORK_HELD void
__lwstpc_work_stop(struct lwstpc_work *work);
/* to the engine, and the front is told.  forget: or to nobody */
LWSTPC_WORK_HELD void
__lwstpc_work_give(struct lwstpc_work *work, bool forget);
/* True: it is done with: nobody has to be told anything any more */
LWSTPC_WORK_HELD bool
__lwstpc_work_done(struct lwstpc_work *work);
/* the engine is to know that it lives here */
LWSTPC_WORK_HELD void
__lwstpc_work_extend(struct lwstpc_work *work);
/* the function is in a call that has lasted longer than the lease */
bool
lwstpc_work_hangs(const struct lwstpc_work *work);

LWSTPC_WORK_HELD void
__lwstpc_tell(struct lwstpc_work *work, enum lwstpc_type type,
	      unsigned int flags);
LWSTPC_WORK_HELD void
__lwstpc_tell_front(struct lwstpc_work *work, const char *front,
		    enum lwstpc_type type, unsigned int flags);
/* buf, malloc'ed, has room for a header before len bytes: is the work's now */
LWSTPC_WORK_HELD void
__lwstpc_put(struct lwstpc_work *work, enum lwstpc_type type,
	     unsigned int flags, unsigned char *buf, size_t len);
LWSTPC_WORK_HELD void
__lwstpc_resend(struct lwstpc_work *work, uint32_t from);

/*
 * run.c: the task at the worker
 */

enum lws_threadpool_task_return
lwstpc_run(void *user, enum lws_threadpool_task_status status);
void
lwstpc_run_cleanup(struct lws *wsi, void *user);

/*
 * pull.c: how many; take.c: one that came
 */

void
lwstpc_job_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg);
void
lwstpc_pull_brought(lwstpc_t *c, struct lwstpc_kind *kind);
/* there is no more for a pull */
void
lwstpc_take_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg);
/* the work has begun */
void
lwstpc_take_started(struct lwstpc_work *work);
/* there is no room: no more for a while */
void
lwstpc_take_rest(lwstpc_t *c, struct lwstpc_kind *kind);
/* there may be room for more */
void
lwstpc_take_more(lwstpc_t *c, struct lwstpc_kind *kind);
/* all that was asked for is forgotten: the connection is new */
void
lwstpc_take_anew(lwstpc_t *c);
void
lwstpc_take_expire(lwstpc_t *c, struct lwstpc_kind *kind, lws_usec_t now);

/*
 * control.c: what a worker is told
 */

void
lwstpc_control_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg);
void
lwstpc_control_find(lwstpc_t *c, const struct lwstpc_wire *wire,
		    const unsigned char *id);

#endif /* LWSTP_CLUSTER_WORKER_H */
