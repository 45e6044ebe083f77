/*
 * lws-threadpool unit tests - the ways a wsi ends, and what may not be touched
 * after that
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it belongs to the service thread.
 */

#include "closings.h"

/* the last wsi that were freed, whose addresses are not in use again */
#define GONE 1024

static struct lws *gone[GONE];
static unsigned int gone_count;
static struct conn *closing_ours;

const char *
closing_name(enum closing way)
{
	static const char *const names[] = {
		"FIN",
		"RST",
		"ws close by the peer",
		"ws close by us",
		"return -1",
		"timeout",
		"context destroy"
	};

	return names[way];
}

bool
closing_can(enum conn_kind kind, enum closing way)
{
	switch (way) {
	case CLOSING_FIN:
		return kind != CONN_FILE;
	case CLOSING_RST:
		return kind == CONN_WS || kind == CONN_HTTP ||
		       kind == CONN_RAW_TCP;
	case CLOSING_WS_PEER:
	case CLOSING_WS_OURS:
		return kind == CONN_WS;
	default:
		return true;
	}
}

static bool
is_destroyed(void *arg)
{
	struct conn *c = arg;

	return c->destroyed;
}

static bool
has_sent_close(void *arg)
{
	(void)arg;

	return !closing_ours;
}

void
closing_ws_begin(struct conn *c)
{
	closing_ours = c;
	lws_callback_on_writable(c->wsi);
	rig_until(c->rig, has_sent_close, NULL);
}

void
closing_do(struct conn *c, enum closing way)
{
	switch (way) {
	case CLOSING_FIN:
		conn_fin(c);
		break;
	case CLOSING_RST:
		conn_rst(c);
		break;
	case CLOSING_WS_PEER:
		conn_ws_close(c);
		break;
	case CLOSING_WS_OURS:
		closing_ws_begin(c);
		conn_ws_close(c);
		break;
	case CLOSING_RETURN:
		conn_die(c);
		break;
	case CLOSING_TIMEOUT:
		conn_timeout(c);
		break;
	default:
		rig_context_destroy(c->rig);
		assert_true(c->destroyed);
		return;
	}
	rig_until(c->rig, is_destroyed, c);
}

bool
reason_writeable(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_SERVER_WRITEABLE ||
	       reason == LWS_CALLBACK_CLIENT_WRITEABLE ||
	       reason == LWS_CALLBACK_HTTP_WRITEABLE ||
	       reason == LWS_CALLBACK_RAW_WRITEABLE ||
	       reason == LWS_CALLBACK_RAW_WRITEABLE_FILE;
}

bool
reason_closed(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_CLOSED ||
	       reason == LWS_CALLBACK_CLIENT_CLOSED ||
	       reason == LWS_CALLBACK_CLOSED_HTTP ||
	       reason == LWS_CALLBACK_RAW_CLOSE ||
	       reason == LWS_CALLBACK_RAW_CLOSE_FILE;
}

bool
reason_drop(enum lws_callback_reasons reason)
{
	return reason == LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL ||
	       reason == LWS_CALLBACK_WS_CLIENT_DROP_PROTOCOL ||
	       reason == LWS_CALLBACK_HTTP_DROP_PROTOCOL ||
	       reason == LWS_CALLBACK_RAW_SKT_DROP_PROTOCOL ||
	       reason == LWS_CALLBACK_RAW_FILE_DROP_PROTOCOL;
}

void
wsi_lives(struct lws *wsi)
{
	for (unsigned int n = 0; n < GONE; n++)
		if (gone[n] == wsi)
			gone[n] = NULL;
}

void
wsi_must_live(struct lws *wsi, const char *who)
{
	for (unsigned int n = 0; wsi && n < GONE; n++)
		if (gone[n] == wsi) {
			fprintf(stderr, "%s of a wsi that is gone\n", who);
			abort();
		}
}

int
closing_event(struct rig *rig, struct lws *wsi,
	      enum lws_callback_reasons reason, void *user, void *in,
	      size_t len)
{
	(void)rig;
	(void)user;
	(void)in;
	(void)len;

	if (reason == LWS_CALLBACK_WSI_DESTROY)
		gone[gone_count++ % GONE] = wsi;
	else
		wsi_lives(wsi);
	if (reason == LWS_CALLBACK_SERVER_WRITEABLE && closing_ours &&
	    closing_ours->wsi == wsi) {
		closing_ours = NULL;
		lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
		return -1;
	}

	return RIG_DEFAULT;
}
