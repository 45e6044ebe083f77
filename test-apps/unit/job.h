/*
 * lws-threadpool unit tests - tasks with a script, and gates to hold them
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of harness.h, which explains it all.
 */

#ifndef LWSTP_UNIT_JOB_H
#define LWSTP_UNIT_JOB_H

#include <stdint.h>

#include "rig.h"

/* A gate is made closed and holds workers until the test opens it.  Teardown
 * opens all of them, so nothing hangs when a test fails, and frees them. */
struct gate;

struct gate *
gate_new(struct rig *rig);
void
gate_open(struct gate *g);
void
gate_close(struct gate *g);
void
gate_pass(struct gate *g);

/*
 * A task's script, and what was seen of it.  Zeroed, it returns FINISHED at its
 * first call.  Get it from job_new(): it is freed with the rig.
 */
struct job {
	/* the script, set before job_enqueue() */
	const char *name;
	int repeat; /* this many calls return ret ... */
	int ret;
	int last;		/* ... and then this (FINISHED) */
	int stop_ret;		/* what it returns to STOPPING */
	struct gate *gate;	/* call number gate_call, from 0, ... */
	int gate_call;		/* ... waits for gate */
	struct gate *stop_gate; /* the STOPPING call waits for this */
	char async_task;
	int (*fn)(struct job *j, enum lws_threadpool_task_status s);
	/**< instead of the script; gates are still passed first */
	void (*on_cleanup)(struct job *j, struct lws *wsi);
	void *priv; /* the test's */
	int data;   /* the test's, deliberately not atomic */

	/* seen, from any thread */
	atomic_int calls;    /* begun, RUNNING or STOPPING */
	atomic_int running;  /* ... with RUNNING */
	atomic_int stopping; /* ... with STOPPING */
	atomic_int returns;  /* ended */
	atomic_int cleanups; /* raised after the ones below are set */
	pthread_t cleanup_thread;
	struct lws *cleanup_wsi;
	pthread_t first_thread; /* of its first call */
	atomic_int moved;	/* calls on another thread than that */

	/* seen by the default WRITEABLE, service thread only */
	int seen[6];   /* by lws_threadpool_task_status */
	int reaped_as; /* FINISHED or STOPPED, -1 before */

	/* the harness's own */
	struct rig *rig;
	struct lws_threadpool_task *task;
	bool accepted;
	atomic_int in_call;
	atomic_int faults;
	char fault[96];
	struct job *next;
};

struct job *
job_new(struct rig *rig);

/* job_new() with a script: repeat times ret, then FINISHED */
struct job *
job_script(struct rig *rig, int repeat, int ret);

/* ... that waits for the gate in its first call */
struct job *
job_gated(struct rig *rig, struct gate *gate);

/* lws_threadpool_enqueue() of it; wsi may be NULL.  Returns its task, or NULL
 * if it was refused. */
struct lws_threadpool_task *
job_enqueue(struct lws_threadpool *tp, struct job *j, struct lws *wsi);

/* A detached job that holds a thread of the pool until the gate opens; it does
 * when this returns. */
struct job *
job_block(struct rig *rig, struct lws_threadpool *tp, struct gate *gate);

/* rig_pool_destroy() that waits for a task or a cleanup at that gate, which
 * opens once a warning contains text */
void
job_destroy_waits(struct rig *rig, struct lws_threadpool *tp, struct gate *gate,
		  const char *text);

/* A job that SYNCs once and is SYNCING when this returns */
struct job *
job_park(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi);

/* Service until every accepted job was cleaned up */
#define rig_until_cleaned(rig) \
	rig_until_((rig), rig_is_cleaned, (rig), "all jobs cleaned up", \
		   __FILE__, __LINE__)
bool
rig_is_cleaned(void *rig);

/* The arguments that job_enqueue() would use, and the accounting that goes
 * with calling lws_threadpool_enqueue() oneself */
void
job_args(struct job *j, struct lws *wsi, struct lws_threadpool_task_args *args);
void
job_accepted(struct job *j, struct lws_threadpool_task *task);

/* From any thread: a message that makes the rig's teardown fail */
void
job_fault(struct job *j, const char *what);

/* Its status, without reaping, is or becomes s.  rig_ services meanwhile. */
#define wait_status(j, s) \
	wait_status_((j), (s), #j " is " #s, __FILE__, __LINE__)
#define rig_until_status(j, s) \
	rig_until_status_((j), (s), #j " is " #s, __FILE__, __LINE__)

void
wait_status_(struct job *j, enum lws_threadpool_task_status s, const char *what,
	     const char *file, int line);
void
rig_until_status_(struct job *j, enum lws_threadpool_task_status s,
		  const char *what, const char *file, int line);

/* The service thread knows that it is its turn on the wsi (Q2).  A moment after
 * its status changed it may not have been told of it. */
#define wait_turn(j, wsi) \
	wait_turn_((j), (wsi), "the turn of " #j, __FILE__, __LINE__)
void
wait_turn_(const struct job *j, struct lws *wsi, const char *what,
	   const char *file, int line);

/* The one thread of the pool has done all that it was given before: a SYNC or
 * an end is posted, which comes a moment after the task's status says so. */
void
job_fence(struct rig *rig, struct lws_threadpool *tp);

/* What the default WRITEABLE does: look at the one task that wants attention,
 * reap it if it ended, sync it if it is SYNCING.  Returns its job or NULL. */
struct job *
job_serve_one(struct lws *wsi);

/* For the rig, at its end.  jobs_free() returns 0, or 1 with the reasons
 * printed. */
void
gates_open(struct rig *rig);
void
gates_free(struct rig *rig);
int
jobs_free(struct rig *rig);

#endif
