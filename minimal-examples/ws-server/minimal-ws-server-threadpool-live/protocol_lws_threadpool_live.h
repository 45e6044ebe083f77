/*
 * minimal-ws-server-threadpool-live: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef PROTOCOL_LWS_THREADPOOL_LIVE_H
#define PROTOCOL_LWS_THREADPOOL_LIVE_H

#include <libwebsockets.h>

#define THREADPOOL_LIVE_NAME	    "lws-threadpool-live"
#define THREADPOOL_LIVE_MAX_THREADS 8

extern const struct lws_protocols threadpool_live_protocol;

/* For the program, when it is asked to end: every task is told to stop.
 * Returns whether a client has still to hear of it. */
int
threadpool_live_finish(struct lws_vhost *vhost);

#endif
