/*
 * lws-threadpool-cluster - what the files that use libnats share
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_CLUSTER_NATS_H
#define LWSTP_CLUSTER_NATS_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine.h"
#include "log.h"

struct inlet {
	struct lwstpc_engine *engine;
	enum lwstpc_inlet number;
	size_t before;	       /* bytes before the tail */
	natsSubscription *sub; /* by the lock */
};

struct lwstpc_engine {
	struct lwstpc_engine_options o; /* as the next ones: constant */
	struct lwstpc_engine_calls calls;
	void *arg;
	char node[LWSTPC_NODE_TEXT];

	pthread_rwlock_t lock;
	natsConnection *nc; /* by the lock, or NULL */
	struct inlet inlets[LWSTPC_INLETS];
	atomic_bool closed;
	atomic_bool no_takes; /* any more */
	atomic_int takes;     /* such subscriptions that live */
	bool warned;	      /* connect()'s own */
	atomic_bool warned_rights;
};

natsStatus
lwstpc_nats_options(natsOptions *no, const struct lwstpc_engine_options *o);

#endif /* LWSTP_CLUSTER_NATS_H */
