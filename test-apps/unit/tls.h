/*
 * lws-threadpool unit tests - a server with TLS, and a peer of it
 *
 * SPDX-License-Identifier: MIT
 *
 * The peer is the openssl command, which also makes the certificate.  Only
 * where libwebsockets has TLS (LWS_WITH_TLS).
 */

#ifndef LWSTP_UNIT_TLS_H
#define LWSTP_UNIT_TLS_H

#include <sys/types.h>

#include "harness.h"

/* A certificate, for a group of tests: its setup and its teardown */
int
tls_make_certificate(void **state);
int
tls_drop_certificate(void **state);

/* rig_opts.info, with that certificate */
void
tls_info(struct rig *rig, struct lws_context_creation_info *info);

/* Connects to the rig; *fd takes and gives what is sent within TLS.  With alpn
 * NULL it asks for no protocol. */
pid_t
tls_connect(struct rig *rig, const char *alpn, int *fd);

/* Ends the peer, if it has not ended.  What lws then says of the certificate
 * was wanted. */
void
tls_disconnect(pid_t pid);

#endif
