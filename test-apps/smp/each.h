/*
 * lws-threadpool - a connection on each of several service threads, and what a
 * test does there, by calls [R1]
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_SMP_EACH_H
#define LWSTP_SMP_EACH_H

#include "smp.h"

/* of each service thread: its connection, and what happened to it */
struct each {
	struct lws *_Atomic wsi;
	atomic_int port; /* of its peer */
	atomic_int closed, writeables;
	atomic_int wrong; /* on another thread */
};

extern struct each on[SMP_THREADS];

/* smp_begin(), and a connection on each.  fn() is what a WRITEABLE does, and
 * returns; NULL: it resumes a task in a SYNC.  each_end() is smp_end(), with
 * checks; each_threads_end() is the part of it that smp_threads_end() is. */
void
each_begin(int (*fn)(struct lws *wsi));
void
each_threads_end(void);
void
each_end(void);

/* The peer of that thread's connection hangs up, and it has closed. */
void
each_hang_up(int tsi);

/* Something that is done on a service thread, and what it needs and finds */
struct step {
	int tsi;
	void (*fn)(struct step *step);
	atomic_int done;
	bool wrong_thread;

	/* the test's */
	struct lws *wsi;
	struct lws_threadpool_wsi *h;
	struct lws_threadpool_task *task;
	void *job;
	int ret;
	enum lws_threadpool_refused why;
};

/* fn(step) on that service thread, after which step->done is 1 */
void
begin_on(struct step *step, int tsi, void (*fn)(struct step *step));

/* ... by which time it returns step */
struct step *
run_on(struct step *step, int tsi, void (*fn)(struct step *step));

/* Such: step->task gets step->wsi, or does not, and why */
void
step_attach(struct step *step);

#endif
