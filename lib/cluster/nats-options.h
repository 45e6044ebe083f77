/*
 * lws-threadpool-cluster - how libnats is to connect
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_CLUSTER_NATS_OPTIONS_H
#define LWSTP_CLUSTER_NATS_OPTIONS_H

#include <nats/nats.h>

#include "engine.h"

natsStatus
lwstpc_nats_options(natsOptions *no, const struct lwstpc_engine_options *o);

#endif /* LWSTP_CLUSTER_NATS_OPTIONS_H */
