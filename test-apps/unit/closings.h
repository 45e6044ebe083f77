/*
 * lws-threadpool unit tests - the ways a wsi ends, and what may not be touched
 * after that
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_CLOSINGS_H
#define LWSTP_UNIT_CLOSINGS_H

#include "harness.h"

enum closing {
	CLOSING_FIN,
	CLOSING_RST,
	CLOSING_WS_PEER, /* the peer sends a close frame */
	CLOSING_WS_OURS, /* we send one, the peer answers it */
	CLOSING_RETURN,	 /* -1 from a callback */
	CLOSING_TIMEOUT, /* lws kills it for a timeout */
	CLOSING_CONTEXT, /* the context is destroyed */

	CLOSINGS
};

const char *
closing_name(enum closing way);

/* whether a connection of that kind can end in that way */
bool
closing_can(enum conn_kind kind, enum closing way);

/* Ends it in that way, and returns when lws has freed its wsi.  CLOSING_WS_OURS
 * needs closing_event() as the rig's on_event, or called by it. */
void
closing_do(struct conn *c, enum closing way);

/* The first half of CLOSING_WS_OURS: our close frame is on its way to a peer
 * that has not answered. */
void
closing_ws_begin(struct conn *c);

/* For rig->on_event: keeps account of the wsi that are gone */
int
closing_event(struct rig *rig, struct lws *wsi,
	      enum lws_callback_reasons reason, void *user, void *in,
	      size_t len);

bool
reason_writeable(enum lws_callback_reasons reason);

/* the role's own last callback */
bool
reason_closed(enum lws_callback_reasons reason);

/* a protocol is taken off a wsi */
bool
reason_drop(enum lws_callback_reasons reason);

/* Aborts if lws has freed the wsi: see closings-wrap.h */
void
wsi_must_live(struct lws *wsi, const char *who);

/* a new wsi at this address, which may have been another one's */
void
wsi_lives(struct lws *wsi);

#endif
