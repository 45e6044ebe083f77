/*
 * minimal-examples/common: text messages of a ws connection
 *
 * SPDX-License-Identifier: MIT
 *
 * lws hands a message over in pieces, of whatever size the peer sent.  Here it
 * is put together, and what is no short text closes the connection, with the
 * close status that says why.
 */

#ifndef WS_TEXT_H
#define WS_TEXT_H

#include <libwebsockets.h>

/* bytes of a message that is sent, at most */
#define WS_TEXT_MAX_SEND 4096

/* in the pss: a message as it arrives */
struct ws_text {
	size_t len; /* bytes so far, 0 at first */
	char *text;
	size_t size;  /* of text, with a NUL at the end */
	char closing; /* nothing is to be sent any more */
};

/*
 * For LWS_CALLBACK_RECEIVE, with its in and len.  Returns 1 if the message is
 * whole: it is then in t->text, with a NUL at its end, until the next call.  0:
 * the rest has still to come.  -1: return this from the callback.
 */
int
ws_text_receive(struct lws *wsi, struct ws_text *t, const void *in, size_t len);

/*
 * Closes the connection with this status: return what this returns, -1, from
 * the callback.  lws may make it WRITEABLE after that, and nothing may be sent
 * then: so begin WRITEABLE by a look at t->closing.
 *
 * Where lws still holds a part of a message it closes without a close frame.
 * It does so for each message that is longer than tx_packet_size of the
 * protocol, or if that is 0 than rx_buffer_size: so give it one.
 */
int
ws_text_close(struct lws *wsi, struct ws_text *t, enum lws_close_status status);

/*
 * For a WRITEABLE callback, once in each.  Returns 0, or -1: return this from
 * the callback.
 */
int
ws_text_send(struct lws *wsi, const char *format, ...) LWS_FORMAT(2);

#endif
