/*
 * lws-threadpool unit tests - what plugin-pool.c has for its host
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_PLUGIN_POOL_H
#define LWSTP_UNIT_PLUGIN_POOL_H

#include <lws-threadpool.h>

/* makes the pool, and enqueues: how many tasks it has got in */
LWS_VISIBLE extern int
plugin_start(struct lws_context *context);
/* destroys the pool: how many tasks were cleaned up */
LWS_VISIBLE extern int
plugin_stop(void);

#endif
