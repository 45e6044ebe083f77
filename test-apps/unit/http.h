/*
 * lws-threadpool unit tests - an http peer that is not well behaved, and a task
 * for its request
 *
 * SPDX-License-Identifier: MIT
 *
 * A peer's first request gets a job, and each later one is answered at once.
 * The answer of the first is written when its job was reaped, which `serve`
 * allows.
 */

#ifndef LWSTP_UNIT_HTTP_H
#define LWSTP_UNIT_HTTP_H

#include "harness.h"

/* Such an lws spins for a request that it read together with the one before, or
 * behind the body of that, as it does alone (README.http.md) */
#if defined(LWS_WITH_EXTERNAL_POLL)
#define HTTP_TOGETHER_SPINS 1
#else
#define HTTP_TOGETHER_SPINS 0
#endif

enum http_state { /* what the job is made to be first */
		  HTTP_QUEUED,
		  HTTP_RUNNING,
		  HTTP_SYNCING,
		  HTTP_DONE,
		  HTTP_STATES
};

struct http {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct gate *gate; /* what the job waits for */
	struct job *job;
	enum http_state state;
	int fd;		 /* the peer's end, -1 if it has none */
	struct lws *wsi; /* NULL once it closed */
	bool at_headers; /* a POST gets its job then */
	bool serve;
	bool timed; /* lws's timeout stays */
	bool closed;
	int requests;
	int bodies; /* HTTP_BODY_COMPLETION */
	int answers;
	char got[8192]; /* by http_read() */
	size_t len;
};

/* rig_opts.info may be NULL, and its callback is ours.  Destroys the rig of
 * before, with its checks, if there is one. */
void
http_start(struct http *h, const struct rig_opts *opts);

void
http_stop(struct http *h);

/* Connects and sends that much of a request, at once */
void
http_send(struct http *h, const char *text);

/* The first request has come, and its job is what h->state says.  `text` is
 * what http_send() then sends. */
void
http_send_until_state(struct http *h, const char *text);

void
http_until_state(struct http *h);

/* False: the connection was closed before, as some are soon, and the machine
 * was busy */
bool
http_until_state_or_closed(struct http *h);

void
http_until_closed(struct http *h);

/* Lets the job go on, and the application serve it */
void
http_let_go(struct http *h);

/* Until the job was cleaned up: told what a hang-up has a job be told, and
 * without its wsi */
void
http_until_told(struct http *h);

/* Service until the peer has got `n` answers, or the connection is closed */
void
http_until_answers(struct http *h, int n);

/* Service for so long */
void
http_serve_for(struct http *h, lws_usec_t us);

/* Service until lws sleeps between two events, from now on or some time later:
 * its thread's share of a processor is less than a third of what a loop gets
 * that does nothing but look at the clock. */
void
http_until_sleeps(struct http *h);

#endif
