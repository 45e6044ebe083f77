/*
 * lws-threadpool unit tests - callbacks in which a wsi cannot have a task (W4,
 * Q6)
 *
 * SPDX-License-Identifier: MIT
 *
 * Include it in one file of an executable.  The on_event of the rig is
 * refused_where_event().
 */

#ifndef LWSTP_UNIT_REFUSED_WHERE_H
#define LWSTP_UNIT_REFUSED_WHERE_H

#include "closings.h"

/* What a test does with a wsi that is to be refused */
typedef void (*refused_where_ask)(void *arg, struct lws *wsi);

struct refused_where {
	refused_where_ask ask;
	void *arg;
	struct conn *closes; /* NULL: in `reason` */
	enum lws_callback_reasons reason;
	int told;
};

/* What lws gives to callbacks that are about no connection; that which listens;
 * what is accepted, before it is anything */
static const enum lws_callback_reasons refused_reasons[] = {
	LWS_CALLBACK_EVENT_WAIT_CANCELLED,
	LWS_CALLBACK_FILTER_NETWORK_CONNECTION,
	LWS_CALLBACK_WSI_CREATE,
};

/* Those of which a close callback comes after ours knows of it */
static const enum conn_kind refused_kinds[] = { CONN_WS, CONN_HTTP, CONN_RAW,
						CONN_RAW_TCP };

static inline int
refused_where_event(struct rig *rig, struct lws *wsi,
		    enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	struct refused_where *w = rig->priv;

	if (w && wsi &&
	    (w->closes ? w->closes->wsi == wsi && reason_closed(reason) :
			 reason == w->reason)) {
		w->ask(w->arg, wsi);
		w->told++;
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

static inline bool
refused_where_told(void *arg)
{
	return ((struct refused_where *)arg)->told;
}

/* Asks in a callback with that reason of refused_reasons[] */
static inline void
refused_in(struct rig *rig, enum lws_callback_reasons reason,
	   refused_where_ask ask, void *arg)
{
	struct refused_where w = { ask, arg, NULL, reason, 0 };

	rig->priv = &w;
	if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED)
		lws_cancel_service(rig->context);
	else
		conn_open(rig, CONN_WS);
	rig_until(rig, refused_where_told, &w);
	rig->priv = NULL;
}

/* Closes it, and asks in each callback of its end */
static inline void
refused_as_it_closes(struct conn *c, refused_where_ask ask, void *arg)
{
	struct refused_where w = { ask, arg, c, LWS_CALLBACK_USER, 0 };
	struct rig *rig = c->rig;

	rig->priv = &w;
	closing_do(c, CLOSING_TIMEOUT);
	rig->priv = NULL;
	assert_true(w.told >= 1);
}

#endif
