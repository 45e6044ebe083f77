/*
 * minimal-examples/common: an answer of an http server, in one piece
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include <libwebsockets.h>

struct lws_threadpool;

struct http_answer {
	unsigned int status;
	const char *type; /* NULL: text/plain */
	const char *text;
	size_t len;		  /* 0: all of the text */
	unsigned int retry_after; /* seconds; 0: it is not said */
	int close;		  /* the connection, too */
};

/* Sends it, in any callback of the transaction, and ends that.  Returns what
 * the callback is to return: -1 closes the connection. */
int
http_answer(struct lws *wsi, const struct http_answer *answer);

/* The same for a request that cannot be right, or whose body nobody wants: the
 * rest of it is not read. */
int
http_reject(struct lws *wsi, unsigned int status, const char *why);

/* 503, with Retry-After by how long the pool's tasks took so far and how many
 * wait.  close: the connection, too. */
int
http_busy(struct lws *wsi, struct lws_threadpool *tp, const char *why,
	  int close);

/* An enqueue in this pool has just returned NULL: the answer to that. */
int
http_refused(struct lws *wsi, struct lws_threadpool *tp);

/* A task of this pool has ended without an answer, as its on_end is being told:
 * the answer to that. */
int
http_stopped(struct lws *wsi, struct lws_threadpool *tp);

/* The numbers of a pool, or with NULL of all of them, for Prometheus. */
int
http_metrics(struct lws *wsi, struct lws_threadpool *tp);

/*
 * The length of the body that comes, or -1 if there is none to be relied on.
 * lws takes "5x", two of them, and none at all, which are ways to slip a
 * request past a proxy.
 */
long long
http_content_length(struct lws *wsi);

/* does the request have headers of a body? */
int
http_has_body(struct lws *wsi);

#endif
