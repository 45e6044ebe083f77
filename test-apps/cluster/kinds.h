/*
 * lws-threadpool cluster tests - the kinds that fronts and workers share
 *
 * SPDX-License-Identifier: MIT
 *
 * All of them have the same functions, which do what the request asks for: they
 * differ in name, and in what the front says of them.
 */

#ifndef LWSTP_CLUSTER_KINDS_H
#define LWSTP_CLUSTER_KINDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <libwebsockets.h>
#include <lws-threadpool-cluster.h>

enum kind {
	KIND_UNSENT, /* the three retry policies ... */
	KIND_NEVER,
	KIND_RESUME,
	KIND_LINGER, /* ... and RESUME that waits for an attach */
	KINDS
};

/* What happens at chunk ask.at */
enum ask_what {
	ASK_NOTHING,
	ASK_CRASH, /* the worker kills itself, in the first ask.tries tries */
	ASK_HANG,  /* one call lasts until the board's limit is raised */
	ASK_STOP,  /* the function returns STOPPED */
	ASK_TOO_LARGE, /* encode_chunk has no room for it */
	ASK_OVERRUN,   /* encode_chunk says that it wrote more than it may */
	ASK_RELIES,    /* ... writes what max_chunk is by default, as ever */
	ASK_BAD_CHUNK  /* the front's decode_chunk refuses it */
};

/* While a job may not go on: */
enum ask_wait {
	ASK_PARKS,    /* it parks, for 2 ms at a time */
	ASK_CHECKS_IN /* it keeps its thread, and checks in */
};

/* The request */
struct ask {
	uint32_t magic;
	uint32_t job; /* its number on the board */
	uint32_t chunks;
	uint32_t bytes; /* of each; 12 at least */
	uint32_t us;	/* of work for each */
	uint32_t what;	/* enum ask_what */
	uint32_t at;
	uint32_t tries;
	uint32_t wait;	  /* enum ask_wait */
	uint32_t park_us; /* before each chunk it parks for this */
	uint32_t last;	  /* the last chunk comes with FINISHED */
	uint32_t refuse;  /* decode_job: no; 2: encode_job: no; 3: the
			   * request has max_chunk bytes */
};

/* What the kinds know as `user`, at a worker, a front, or where a job runs in
 * the pool of the front. */
struct work {
	struct ask ask;
	uint32_t next; /* worker: the chunk to make */
	bool begun;
	bool parked; /* for park_us, before the next one */
	int tries;

	uint32_t chunk;	   /* the one in hand */
	bool fresh;	   /* ... there is one */
	uint32_t decoded;  /* front: the one to come */
	uint32_t size;	   /* ... bytes of the one in hand */
	bool alone;	   /* ... there is nobody to read them */
	bool attacked;	   /* ... chunks that must not be are
			    * refused, and no fault of ours */
	atomic_int faults; /* front: chunks that must not be */
	char fault[120];
};

/* The version of the requests that this process knows: 1 at first */
extern unsigned int kind_version;

/* Zeroed, and then as the kind is by default */
void
kind_fill(struct lws_threadpool_cluster_kind *k, enum kind kind);

const char *
kind_name(enum kind kind);

void
ask_fill(struct ask *ask, uint32_t job, uint32_t chunks);

/* The task function of all the kinds */
enum lws_threadpool_task_return
kind_task(void *user, enum lws_threadpool_task_status s);

#endif
