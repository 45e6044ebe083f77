/*
 * lws-threadpool soak - what its parts share
 *
 * SPDX-License-Identifier: MIT
 *
 * soak.c	options, generations, the meddling thread, the log, the figures
 * server.c	the lws side: connections, pools, and what is done at random
 * clients.c	the peers: plain sockets on a thread of their own
 * ledger.c	the tasks and the checks
 */

#ifndef LWSTP_SOAK_H
#define LWSTP_SOAK_H

#include "ledger.h"

#define POOLS	4
#define HANDLES 512

struct soak {
	uint64_t seed;
	int conns;	   /* peers at a time */
	bool opt_in;	   /* this generation */
	atomic_int port;   /* 0: nobody listens */
	atomic_bool quiet; /* nothing new, for a while */
	_Atomic(struct lws_threadpool *) pools[POOLS]; /* stale ones too */
	_Atomic(struct lws_threadpool_task *) handles[HANDLES];
	/* of jobs that any thread may sync or wake, live and stale */
	_Atomic(struct lws_threadpool_wsi *) wsis[HANDLES]; /* R2 */
	_Atomic int64_t stalled_at; /* a thread of ours was late */
	atomic_ulong connections, closed, pools_made, rerings, stale_calls,
		bytes;
	int64_t longest_turn; /* us, service thread */
	int64_t longest_wait; /* us, of a healthy SYNC */
};

extern struct soak soak;

/* server.c */

/* Runs one context for so long, and ends it in one of the possible ways */
void
server_generation(int64_t us, uint64_t seed);
/* the wsi in a line of the log was asked again: was that needed? */
void
server_rering(struct lws *wsi);
void
server_spawn(struct job *from);
/* R1: the meddler's calls.  Service thread. */
void
server_called(void *arg);
bool
server_alive(struct lws *wsi);
void
server_cleaned(struct job *job, struct lws *wsi);

/* clients.c */
void
clients_start(void);
/* Closes all of them and opens none until it is called with false.  Waits. */
void
clients_pause(bool pause);
void
clients_stop(void);

#endif
