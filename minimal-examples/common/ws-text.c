/*
 * minimal-examples/common: text messages of a ws connection
 *
 * SPDX-License-Identifier: MIT
 */

#include "ws-text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
ws_text_close(struct lws *wsi, struct ws_text *t, enum lws_close_status status)
{
	t->closing = 1;
	lws_close_reason(wsi, status, NULL, 0);

	return -1;
}

int
ws_text_receive(struct lws *wsi, struct ws_text *t, const void *in, size_t len)
{
	if (lws_frame_is_binary(wsi))
		return ws_text_close(wsi, t,
				     LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE);
	if (len >= t->size - t->len)
		return ws_text_close(wsi, t,
				     LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE);
	if (len && memchr(in, '\0', len))
		return ws_text_close(wsi, t, LWS_CLOSE_STATUS_INVALID_PAYLOAD);

	if (len)
		memcpy(t->text + t->len, in, len);
	t->len += len;
	t->text[t->len] = '\0';
	if (!lws_is_final_fragment(wsi))
		return 0;
	t->len = 0;

	return 1;
}

int
ws_text_send(struct lws *wsi, const char *format, ...)
{
	unsigned char buf[LWS_PRE + WS_TEXT_MAX_SEND];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf((char *)buf + LWS_PRE, WS_TEXT_MAX_SEND, format, ap);
	va_end(ap);
	if (n < 0 || n >= WS_TEXT_MAX_SEND)
		return -1;

	return lws_write(wsi, buf + LWS_PRE, (size_t)n, LWS_WRITE_TEXT) < n ?
		       -1 :
		       0;
}
