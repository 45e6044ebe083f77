/*
 * lws-threadpool cluster tests - a nats-server of the test's own
 *
 * SPDX-License-Identifier: MIT
 *
 * On a port of 127.0.0.1 that no other test has, and that it keeps when it is
 * started again; with a store of its own in a temporary directory.
 */

#ifndef LWSTP_CLUSTER_ENGINE_H
#define LWSTP_CLUSTER_ENGINE_H

#include "proc.h"

struct engine {
	struct proc proc;
	int port;
	int lock; /* holds the port's name; -1: none */
	bool no_jetstream;
	const char *config; /* NULL: none; its text */
	char dir[64];
	char url[40];
};

/* A port and a directory, and no server yet */
void
engine_init(struct engine *e);

/* It serves when this returns. */
void
engine_start(struct engine *e);

/* It ends in an orderly way, or at once; the store stays. */
void
engine_stop(struct engine *e);
void
engine_kill(struct engine *e);

/* For an engine that does not run */
void
engine_lose_store(struct engine *e);

/* The server is gone, and its directory. */
void
engine_free(struct engine *e);

#endif
