/*
 * lws-threadpool unit tests - jobs with handlers, which serve() calls
 *
 * SPDX-License-Identifier: MIT
 *
 * What every test of them checks without saying so: handlers are called on the
 * service thread, not while the task function runs nor after the cleanup,
 * on_end once at most and on_sync not after it, and neither the cleanup nor, of
 * an on_sync that has not answered, the function comes before they return (H1).
 */

#ifndef LWSTP_UNIT_SERVED_H
#define LWSTP_UNIT_SERVED_H

#include "harness.h"

/* A job with handlers.  Freed with the rig. */
struct served {
	struct job *j;
	struct lws_threadpool_task_options o; /* NULL a handler: it has not
					       * that one */

	/* the script */
	int sync_ret; /* what on_sync returns */
	int end_ret;  /* what on_end returns */
	int (*on_sync)(struct served *s, struct lws *wsi);
	int (*on_end)(struct served *s, struct lws *wsi);
	/**< what they do: its return is theirs */
	bool answers; /* on_sync has answered when
		       * it returns */
	void (*on_cleanup)(struct served *s, struct lws *wsi);
	void *priv; /* the test's */

	/* seen by the handlers, on the service thread */
	atomic_int syncs;		     /* calls of on_sync, begun */
	atomic_int ends;		     /* ... of on_end */
	int turn;			     /* of its latest, from 1 on */
	struct lws *wsi;		     /* ... its wsi */
	enum lws_threadpool_task_status how; /* what on_end was told */
	enum lws_threadpool_stop why;	     /* end_reason() there */

	/* seen by its cleanup */
	struct lws_threadpool_task *cleanup_this;    /* this_task() */
	enum lws_threadpool_task_status cleanup_how; /* end_status() */
	enum lws_threadpool_stop cleanup_why;	     /* end_reason() */

	/* the harness's own */
	atomic_int inside; /* its handlers under way */
	bool elsewhere;	   /* another thread enqueues it */
	struct served *next;
};

/* handlers called so far, by all jobs of this test */
extern int served_turns;

/* The calls of serve() by WRITEABLE callbacks of the rig, and the last one's
 * return that was not 0 */
extern int served_calls;
extern int served_ret;

/* Its rig serves each WRITEABLE with lws_threadpool_serve(), but for those of a
 * conn that is `manual`, which only counts */
int
served_setup(void **state);
int
served_teardown(void **state);
/* The same with options of its own, whose on_event calls served_event() */
struct rig *
served_rig(const struct rig_opts *opts);
int
served_rig_destroy(struct rig *rig);

#define SERVED_TEST(f) \
	cmocka_unit_test_setup_teardown(f, served_setup, served_teardown)

/* the same, as the on_event of a rig */
int
served_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len);

/* both handlers, and a job that is zeroed: see job_new() */
struct served *
served_new(struct rig *rig);

/* ... with a script: repeat times ret, then FINISHED */
struct served *
served_script(struct rig *rig, int repeat, int ret);

/* lws_threadpool_enqueue_ext(); NULL: refused */
struct lws_threadpool_task *
served_enqueue(struct lws_threadpool *tp, struct served *s, struct lws *wsi);

/* One with a SYNC, and one that has ended, both as serve() can see by the time
 * that this returns.  The pool has one thread, which is idle. */
struct served *
served_syncing(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi);
struct served *
served_done(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi);

/* What most tests of handlers begin with: a job that is SYNCING, or has ended,
 * on a wsi whose WRITEABLEs do not serve it, in a pool of one thread */
struct play {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;
	struct served *s;     /* its priv is the play */
	struct served *other; /* the test's */
	bool at_end;	      /* what is played is its on_end */
	int got;	      /* the test's */
	int nested;
};

/* SYNCING; it SYNCs that often */
void
play_begin(struct play *p, struct rig *rig, enum conn_kind kind, int repeat);

/* The same with one SYNC and, with at_end, it has ended.  fn is its on_sync or,
 * with at_end, its on_end. */
void
play_handler(struct play *p, struct rig *rig, enum conn_kind kind, bool at_end,
	     int (*fn)(struct served *s, struct lws *wsi));

/* what that handler returns by the script */
int
play_ret(const struct play *p);

/* It is cleaned up, without a call more of its handlers than the one that is
 * played. */
void
play_is_over(struct play *p);

/* It went on, is called for that time now, and is SYNCING again. */
void
play_until_sync(struct play *p, int calls);

/* WRITEABLEs serve it to its end. */
void
play_to_the_end(struct play *p);

/* It stays SYNCING. */
void
play_is_syncing(struct play *p);

#endif
