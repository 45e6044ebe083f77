/*
 * lws-threadpool schedules - what the races share
 *
 * SPDX-License-Identifier: MIT
 *
 * The service thread's, but for the atomics and what the threads run.
 */

#ifndef LWSTP_RACES_H
#define LWSTP_RACES_H

#include "ledger.h"
#include "shim.h"

#define CONNS 2
#define TASKS 8

struct conn {
	struct lws *wsi; /* NULL: closed */
	int peer;
	bool die;  /* its next WRITEABLE returns -1 */
	bool deaf; /* does not serve in WRITEABLE */
	bool closing;
};

extern struct conn conns[CONNS];
extern _Atomic(struct lws_threadpool *) pools[2];
extern _Atomic(struct lws_threadpool_task *) tasks[TASKS];
extern void *users[TASKS]; /* of tasks with a token */
extern uint64_t rng, race_seed;

/* races.c */
void
context_new(void);
void
context_end(void);
/* in one of the ways, later */
void
conn_close(struct conn *c);
void
pool_open(int n, int sync_timeout_secs);
/* a task in tasks[n]; c may be NULL */
void
put(int n, int pool, enum job_kind kind, int steps, struct conn *c);
/* until every task was cleaned up */
void
settle(void);
/* a few, no more than need be for something to have begun */
void
some_turns(uint32_t most);
void
start(pthread_t *t, void *(*fn)(void *));
/* threads */
void *
look_all(void *arg);
void *
finish_it(void *arg);

/* tokens.c: races */
void
call_context(void);
void
attach_close(void);
void
attach_end(void);
void
writeable_close(void);
void
park_wake(void);

#endif
