/*
 * minimal-cluster-threadpool: what the front and its workers share
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef TILE_KIND_H
#define TILE_KIND_H

#include <lws-threadpool-cluster.h>

#define LEASE_SECS 2 /* a worker that is silent for so long is lost */

/* A tile of ../../ws-server/minimal-ws-server-threadpool-live, and its task
 * function: `user` is a struct tile at the front. */
extern const struct lws_threadpool_cluster_kind tile_kind;

#endif
