/*
 * lws-threadpool unit tests - connections of each kind, and their ends
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of harness.h, which explains it all.
 */

#ifndef LWSTP_UNIT_CONN_H
#define LWSTP_UNIT_CONN_H

#include "rig.h"

enum conn_kind {
	CONN_WS, /* ws server wsi, the peer is a TCP socket of the test */
	CONN_WS_CLIENT, /* ws server wsi, the peer is an lws client wsi */
	CONN_HTTP,    /* http/1 request not yet answered, the peer as CONN_WS */
	CONN_RAW,     /* raw socket on a socketpair */
	CONN_RAW_TCP, /* raw socket on a TCP connection: it can be reset */
	CONN_FILE,    /* raw file on an eventfd: it has no peer */
	CONN_PIPE,    /* raw file on a pipe, the test has the reader */
	CONN_KINDS
};

/* One connection.  All of it belongs to the service thread. */
struct conn {
	struct rig *rig;
	enum conn_kind kind;
	struct lws *wsi;	/* ours, NULL once it closed */
	struct lws *client;	/* CONN_WS_CLIENT: the other one */
	struct lws *client_was; /* ... to compare, once it closed */
	int fd;			/* the peer's end, -1 if none */
	bool up;
	bool closed; /* saw its role's close callback */
	bool client_up;
	bool client_closed;
	bool destroyed; /* saw WSI_DESTROY */
	bool manual;	/* default WRITEABLE only counts */
	bool die;	/* next WRITEABLE returns -1 */
	bool gone;	/* the peer is: write to it */
	int writeables;
	int client_writeables;
	int child_closings;
	lws_usec_t last_writeable;
	lws_usec_t max_gap; /* the longest between WRITEABLEs */
	void *priv;	    /* the test's */
	struct conn *next;
};

/* For peers of their own: a TCP connection to a port of 127.0.0.1, and a socket
 * that listens on a free one.  Close them. */
int
tcp_connect(int port);
int
tcp_listen(int *port);

/* Established on both sides when it returns; freed with the rig. */
struct conn *
conn_open(struct rig *rig, enum conn_kind kind);

/* The kind's name, for messages */
const char *
conn_kind_name(enum conn_kind kind);

/* Whether a close of that kind is seen by a child of ours, without the opt-in:
 * a libwebsockets that we are compiled into tells of closes itself, from 4.3.3
 * on, but for those of raw files. */
bool
conn_kind_watched(enum conn_kind kind);

/* The conn of a wsi, client or server side, NULL if none.  Not in callbacks
 * without a wsi of their own. */
struct conn *
conn_of(struct lws *wsi);

/* Ways to end it; none waits.  See conn_until_closed(). */
void
conn_fin(struct conn *c); /* the peer closes its end: FIN, EPIPE */
void
conn_rst(struct conn *c); /* the peer resets: TCP kinds only */
void
conn_ws_close(struct conn *c); /* CONN_WS: the peer sends a close frame */
void
conn_die(struct conn *c); /* our callback returns -1 */
void
conn_timeout(struct conn *c); /* lws kills it for a timeout */

void
conn_until_closed(struct conn *c);

/* To and from the peer's end, as bytes.  conn_recv() never waits. */
void
conn_send(struct conn *c, const void *buf, size_t len);
ssize_t
conn_recv(struct conn *c, void *buf, size_t len);

/* For the rig: what a callback does of itself, and the end of it all */
int
conn_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason);
void
conns_free(struct rig *rig);

#endif
