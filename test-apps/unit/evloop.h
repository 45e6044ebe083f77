/*
 * lws-threadpool unit tests - the event library that the contexts run on
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_UNIT_EVLIB in the environment names it: uv, ev or glib; lws's own poll
 * loop without.  A loop of the library's is made for each context and handed to
 * lws as a foreign loop, so that a test is in it a turn at a time.  The library
 * is loaded when it is asked for: nothing needs it to build.
 */

#ifndef LWSTP_UNIT_EVLOOP_H
#define LWSTP_UNIT_EVLOOP_H

#include <stdbool.h>

#include <libwebsockets.h>

struct evloop;

/* Whether the library of that name was asked for: what lws does differently
 * with one of them, tests know by it. */
bool
evloop_is(const char *name);

/* Makes a loop and ends it: what the library keeps for the life of the process,
 * libuv a pair of fds, is there afterwards. */
void
evloop_warm(void);

/* NULL for lws's own.  Sets what lws has to know in info; a library that was
 * asked for and is not there ends the program. */
struct evloop *
evloop_new(struct lws_context_creation_info *info);

/* One turn, that waits for something to happen if wait is true */
void
evloop_turn(struct evloop *loop, struct lws_context *context, bool wait);

/* lws_context_destroy(), and the turns that it takes */
void
evloop_context_destroy(struct evloop *loop, struct lws_context *context);

/* When its context is gone.  Frees the loop. */
void
evloop_free(struct evloop *loop);

#endif
