/*
 * lws-threadpool-cluster - the log
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_CLUSTER_LOG_H
#define LWSTP_CLUSTER_LOG_H

#include <libwebsockets.h>

/* As lwstp_log() of the base: in no build compiled out, and not from within the
 * log function of this thread.  With no lock held. */
void
lwstpc_log(int level, const char *format, ...) LWS_FORMAT(2);

#endif /* LWSTP_CLUSTER_LOG_H */
