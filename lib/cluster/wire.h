/*
 * lws-threadpool-cluster - messages on the wire
 *
 * SPDX-License-Identifier: MIT
 *
 * A header of 24 bytes, little-endian, and what follows it by its type.  Pure
 * functions: no memory, no lock, no state.
 *
 *	byte 0		magic
 *	1		version of the wire: another one is dropped
 *	2		type
 *	3		flags
 *	4		seq, 32 bits
 *	8		fence, 64 bits
 *	16		time, 64 bits: us since 1970 at the sender
 *
 * All but a JOB have the job's id in their subject, and a worker's messages
 * have its control subject as their reply.
 */

#ifndef LWSTP_CLUSTER_WIRE_H
#define LWSTP_CLUSTER_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define LWSTPC_WIRE_MAGIC   0xc7
#define LWSTPC_WIRE_VERSION 1
#define LWSTPC_WIRE_HEADER  24
#define LWSTPC_WIRE_MOST    (LWSTPC_WIRE_HEADER + 64) /* without data */
#define LWSTPC_ID_BYTES	    16

enum lwstpc_type {
	/* front to the engine's queue.  seq: how often it was published before.
	 * id, front, version, window, max_chunk, linger; data: the request */
	LWSTPC_JOB = 1,

	/* worker to front: prefix.f.FRONT.ID */
	LWSTPC_HELLO, /* it is here.  F_ASK: and waits for CREDIT or STOP
		       * before it begins.  F_AGAIN: it was delivered before.
		       * seq: chunks that it has sent */
	LWSTPC_BEAT,  /* it lives.  seq: chunks that it has sent */
	LWSTPC_CHUNK, /* number seq; data */
	LWSTPC_END,   /* number seq, the last.  F_FINISHED, or F_REFUSED, or
		       * neither: STOPPED.  F_DATA: data is a last chunk */
	LWSTPC_GIVEN, /* the worker gave it back.  F_BEGUN: it had begun */
	LWSTPC_TAKEN, /* another front has it now */
	LWSTPC_FOUND, /* answer to FIND.  seq: have; time: the number of the
		       * attach; data: the kind's name.
		       * F_REFUSED: not from that chunk on.  F_QUEUED: from a
		       * front: no worker has it yet */

	/* front to worker: prefix.w.WORKER.ID */
	LWSTPC_CREDIT, /* seq: chunks that the front has; upto: that the worker
			* may have sent; tries.  F_LINGER: as LINGER, too */
	LWSTPC_NAK,    /* seq: the chunk that the front waits for */
	LWSTPC_STOP,   /* F_DROP: forget it, another worker has it; without: it
			* is not wanted any more */
	LWSTPC_LINGER, /* the reader is gone: wait for another */

	/* front to all workers and fronts: prefix.find.ID */
	LWSTPC_FIND, /* front: who asks.  seq: have.  fence: a number of this
		      * attach, for it is said again until it is answered */
	LWSTPC_TYPES
};

enum {			 /* flags */
       LWSTPC_F_ASK = 1, /* JOB: the worker has to ask */
       LWSTPC_F_FINISHED = 2,
       LWSTPC_F_REFUSED = 4,
       LWSTPC_F_DATA = 8,
       LWSTPC_F_BEGUN = 16,
       LWSTPC_F_QUEUED = 32, /* FOUND */
       LWSTPC_F_AGAIN = 32,  /* HELLO */
       LWSTPC_F_DROP = 64,
       LWSTPC_F_LINGER = 128,
};

/* Members that a type does not have are left alone by lwstpc_encode(), and are
 * 0 after lwstpc_decode(). */
struct lwstpc_wire {
	enum lwstpc_type type;
	unsigned int flags;
	uint32_t seq;
	uint64_t fence;
	uint64_t time;
	unsigned char id[LWSTPC_ID_BYTES];
	uint64_t front;
	uint32_t version;
	uint32_t window;
	uint32_t max_chunk;
	uint32_t linger;
	uint32_t upto;
	uint32_t tries;
	const void *data; /* in the message, not a copy */
	size_t len;
};

/* Writes all but the data, which the caller puts behind it.  buf has
 * LWSTPC_WIRE_MOST bytes at least.  Returns the bytes written. */
size_t
lwstpc_encode(void *buf, const struct lwstpc_wire *wire);

/* 0, or -1: not one of ours, of another version or too short */
int
lwstpc_decode(struct lwstpc_wire *wire, const void *buf, size_t len);

/* Ids in subjects: base64url without padding.  text has 4 * bytes / 3 + 2
 * bytes: 23 for a job's id, 12 for a front or worker. */
#define LWSTPC_ID_TEXT	 23
#define LWSTPC_NODE_TEXT 12
void
lwstpc_text(char *text, const void *id, size_t bytes);
/* of exactly that many bytes, up to the end of text or a dot; 0, or -1 */
int
lwstpc_untext(void *id, size_t bytes, const char *text);
/* tokens: hex digits.  0, or -1: it is none */
void
lwstpc_hex(char *hex, const unsigned char id[LWSTPC_ID_BYTES]);
int
lwstpc_unhex(unsigned char id[LWSTPC_ID_BYTES], const char *hex);

#endif /* LWSTP_CLUSTER_WIRE_H */
