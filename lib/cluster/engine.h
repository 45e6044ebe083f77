/*
 * lws-threadpool-cluster - the engine: what we need of NATS, and nothing else
 *
 * SPDX-License-Identifier: MIT
 *
 * Eight operations, and one function that is told what came.  Nobody else
 * includes a header of libnats.
 */

#ifndef LWSTP_CLUSTER_ENGINE_H
#define LWSTP_CLUSTER_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define LWSTPC_NAME    33  /* of a kind or prefix, and its NUL */
#define LWSTPC_SUBJECT 128 /* bytes of any subject of ours */

struct lwstpc_engine;
struct lwstpc_msg; /* one that came: whoever has it frees it */

/* Where a message came in, and what its tail is: the end of its subject */
enum lwstpc_inlet {
	LWSTPC_IN_FRONT,   /* for a job of ours: its id */
	LWSTPC_IN_CONTROL, /* for a job that we work at: its id */
	LWSTPC_IN_FIND,	   /* for whoever knows the job: its id */
	LWSTPC_IN_TAKE,	   /* the end of a pull: which */
	LWSTPC_IN_ANSWER,  /* of the queue: to what */
	LWSTPC_IN_SPENT,   /* the queue gives a job up: the kind */
	LWSTPC_INLETS,	   /* by subscriptions of their own */
	LWSTPC_IN_JOB	   /* for a pull: the kind's name */
};

struct lwstpc_engine_options {
	char *url, *creds_file, *ca_file, *cert_file, *key_file;
	char prefix[LWSTPC_NAME];
	int64_t ping_ms;
	bool low_latency;
};

/* On threads of the engine: they must not wait. */
struct lwstpc_engine_calls {
	void (*came)(void *arg, enum lwstpc_inlet inlet, const char *tail,
		     struct lwstpc_msg *msg);
	void (*up)(void *arg); /* connected, again or the first time */
	void (*down)(void *arg);
	void (*hold)(void *arg); /* one more thread has arg */
	void (*drop)(void *arg); /* ... has it no more */
};

/* NULL: no memory.  The options' strings are the engine's now. */
struct lwstpc_engine *
lwstpc_engine_create(const struct lwstpc_engine_options *options,
		     const char *node, const struct lwstpc_engine_calls *calls,
		     void *arg);
/* Connects, if it is not connected and not about to be by itself.  May wait for
 * a second.  For one thread. */
void
lwstpc_engine_connect(struct lwstpc_engine *e);
/* as it is, whatever was told of it */
bool
lwstpc_engine_is_up(struct lwstpc_engine *e);
/* Sends what is to be sent, waits for that for a while, and for nothing else */
void
lwstpc_engine_close(struct lwstpc_engine *e);
void
lwstpc_engine_free(struct lwstpc_engine *e);

/*
 * Messages
 */

const void *
lwstpc_msg_data(const struct lwstpc_msg *msg, size_t *len);
const char *
lwstpc_msg_reply(const struct lwstpc_msg *msg); /* or "" */
/* 0: a message of somebody's, else a code of the engine's, 503 say */
int
lwstpc_msg_status(struct lwstpc_msg *msg);
void
lwstpc_msg_free(struct lwstpc_msg *msg);

/*
 * The operations.  They may wait while the connection does not take more.
 * False: it was not sent.
 */

/* to prefix.WHERE.NODE.ID: 'f' or 'w', and with our own 'w' address as reply */
bool
lwstpc_send(struct lwstpc_engine *e, char where, const char *node,
	    const char *id, const void *buf, size_t len);
bool
lwstpc_send_find(struct lwstpc_engine *e, const char *id, const void *buf,
		 size_t len);
/* does the engine take a job or a chunk of so many bytes? */
bool
lwstpc_engine_fits(struct lwstpc_engine *e, size_t len);
/* to ourselves: it comes in as an answer with the tail "-" */
bool
lwstpc_send_echo(struct lwstpc_engine *e);
/* a job for the queue, at most once under that key; answers have tail `id` */
bool
lwstpc_publish(struct lwstpc_engine *e, const char *kind, const char *key,
	       const char *id, const void *buf, size_t len);
/* of a queue that is there, and has room: 0 and its number, and whether it had
 * the job before; of one that is not there -1; 1: it refuses, with the number
 * of its error */
int
lwstpc_publish_answer(struct lwstpc_msg *msg, uint64_t *number, bool *had_it);
/* make the queue, unless it is there: the answer's tail is "+" */
bool
lwstpc_make_queue(struct lwstpc_engine *e);
/* make the consumer of a kind: the answer's tail is "+" and the number */
bool
lwstpc_make_consumer(struct lwstpc_engine *e, const char *kind,
		     unsigned int number, int64_t lease_us);
/* why there is no queue, by the number of the error, or 0: no answer */
const char *
lwstpc_queue_why(uint64_t error);
/* 0: it is there, by the answer.  A queue that was made anew is another.  -1:
 * it is not, and `which` is the number of the error. */
int
lwstpc_make_answer(struct lwstpc_msg *msg, uint64_t *which);
/* so many jobs, please; that there are no more of them comes with tail */
bool
lwstpc_take(struct lwstpc_engine *e, const char *kind, const char *tail,
	    int batch, int64_t expires_us);
/* and no more of them, from now on */
void
lwstpc_take_end(struct lwstpc_engine *e);
/* what was on its way then has come in */
bool
lwstpc_take_ended(struct lwstpc_engine *e);
/* what to do with a job that was taken, by its reply */
bool
lwstpc_extend(struct lwstpc_engine *e, const char *reply);
bool
lwstpc_ack(struct lwstpc_engine *e, const char *reply);
/* to be delivered again, to anybody: at once, or after so long */
bool
lwstpc_give_back(struct lwstpc_engine *e, const char *reply, int64_t after_us);
/* take the job of that number out of the queue */
bool
lwstpc_delete(struct lwstpc_engine *e, uint64_t number);

/* of the reply of a job: how often it was delivered, the number of this
 * delivery and when it was published, us since 1970.  False: it is none. */
bool
lwstpc_delivery(const char *reply, uint64_t *times, uint64_t *number,
		int64_t *published);
/* of an advisory: the job's number in the queue, or 0 */
uint64_t
lwstpc_spent(struct lwstpc_msg *msg);

/* engine.c's for queue.c, and the other way round: raw subjects */
bool
lwstpc_engine_send(struct lwstpc_engine *e, const char *subject,
		   const char *reply, const char *key, const void *buf,
		   size_t len);
void
lwstpc_subject_spent(const struct lwstpc_engine *e,
		     char subject[LWSTPC_SUBJECT]);
const char *
lwstpc_engine_prefix(const struct lwstpc_engine *e);
const char *
lwstpc_engine_node(const struct lwstpc_engine *e);

#endif /* LWSTP_CLUSTER_ENGINE_H */
