/*
 * lws-threadpool unit tests - secure streams, and a peer of them
 *
 * SPDX-License-Identifier: MIT
 *
 * Where lws has Secure Streams.  The streams are ws clients of a vhost of the
 * test (raw ones are told CONNECTED twice by lws 4.3.3), and a raw server.
 */

#ifndef LWSTP_UNIT_STREAMS_H
#define LWSTP_UNIT_STREAMS_H

#include "harness.h"

#define STATES 32

struct streams;

/* One of the test's, which is there for longer than the stream */
struct stream {
	struct streams *all;
	struct lws_ss_handle *ss;	/* NULL once destroyed */
	struct lws_ss_handle *accepted; /* a server's latest */
	struct job *enqueue;		/* in state enqueue_in, once */
	lws_ss_constate_t enqueue_in;
	int states[STATES];	  /* how often it was told */
	lws_ss_constate_t die_in; /* returns DESTROY_ME */
	bool manual;		  /* tx only counts */
	int txs;
	struct stream *next;
};

/* lws's user object, which it frees with the stream */
struct object {
	struct lws_ss_handle *ss;
	void *opaque; /* struct stream */
};

/* Everything of a test */
struct streams {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct stream *first;
	char policy[1024];
	int port;
	struct lws_vhost *vhost; /* the clients' peer */
	struct lws *peer;	 /* ... its latest wsi */
	size_t received;	 /* ... its bytes, ever */
	int fd;			 /* the server's peer */
	bool silent;		 /* no lws_threadpool_ss_event */
};

/* A test's *state: a rig whose streams have a policy, and a pool of two
 * threads.  The second has two service threads, where lws can. */
int
streams_setup(void **state);
int
streams_setup_threads(void **state);
int
streams_teardown(void **state);

/* The peer, which a setup makes: it is one vhost, that a test may destroy. */
void
streams_peer_listen(struct streams *s);

/* The latest wsi of the peer hangs up. */
void
streams_hang_up(struct streams *s);

struct stream *
stream_create(struct streams *s, const char *type);

/* from outside of any callback */
void
stream_destroy(struct stream *st);

/* It is connected to the peer when this returns. */
void
stream_connect(struct streams *s, struct stream *st);

/* lws_threadpool_enqueue() of that job, with the stream */
struct lws_threadpool_task *
stream_enqueue(struct streams *s, struct job *j, struct lws_ss_handle *ss);

/* Conditions, of a struct stream */
bool
stream_is_connected(void *arg);
bool
stream_is_disconnected(void *arg);
bool
stream_is_destroyed(void *arg);

#endif
