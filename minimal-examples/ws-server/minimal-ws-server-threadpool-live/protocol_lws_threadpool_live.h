/*
 * minimal-ws-server-threadpool-live: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef PROTOCOL_LWS_THREADPOOL_LIVE_H
#define PROTOCOL_LWS_THREADPOOL_LIVE_H

#include <lws-threadpool.h>

#define THREADPOOL_LIVE_NAME	    "lws-threadpool-live"
#define THREADPOOL_LIVE_MAX_THREADS 8

extern const struct lws_protocols threadpool_live_protocol;

/* Where tiles are computed, if not here.  minimal-cluster-threadpool sets it
 * before there is a context; all is called by the service thread. */
struct threadpool_live_place {
	int (*begin)(struct lws_threadpool *tp,
		     const struct lws_protocol_vhost_options *pvo);
	void (*end)(void); /* before the pool's */
	struct lws_threadpool_task *(*enqueue)(
		struct lws_threadpool *tp,
		const struct lws_threadpool_task_args *args,
		const struct lws_threadpool_task_options *options,
		const char *name);
	int (*workers)(void); /* that the page may kill */
	void (*kill)(void);   /* one of them */
};

extern const struct threadpool_live_place *threadpool_live_place;

/* For the program, when it is asked to end: every task is told to stop.
 * Returns whether a client has still to hear of it. */
int
threadpool_live_finish(struct lws_vhost *vhost);

#endif
