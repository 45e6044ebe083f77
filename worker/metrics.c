/*
 * lws-threadpool-worker: GET /metrics
 *
 * SPDX-License-Identifier: MIT
 *
 * The vhost's user is the worker_state.  All on the service thread.
 */

#include "worker.h"

#include <stdlib.h>
#include <string.h>

#define TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

static int
send_headers(struct lws *wsi, size_t len)
{
	unsigned char buf[LWS_PRE + 1024], *start = &buf[LWS_PRE], *p = start,
					   *end = &buf[sizeof(buf) - 1];
	static const unsigned char name[] = "cache-control:",
				   value[] = "no-store";

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, TYPE, len, &p,
					end) ||
	    lws_add_http_header_by_name(wsi, name, value, 8, &p, end))
		return -1;

	return lws_finalize_write_http_header(wsi, start, &p, end);
}

static int
answer(struct lws *wsi, const struct worker_state *state)
{
	size_t len = 0;
	char *text = worker_numbers(state, &len);
	unsigned char *body = text ? malloc(LWS_PRE + len) : NULL;
	int n = -1;

	if (body && !send_headers(wsi, len)) {
		memcpy(body + LWS_PRE, text, len);
		/* lws keeps what the client does not take now */
		n = lws_write(wsi, body + LWS_PRE, len, LWS_WRITE_HTTP_FINAL);
	}
	free(body);
	free(text);
	if (n < (int)len || !len)
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
callback_metrics(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		 void *in, size_t len)
{
	const struct worker_state *state;

	if (reason != LWS_CALLBACK_HTTP)
		return lws_callback_http_dummy(wsi, reason, user, in, len);

	state = lws_vhost_user(lws_get_vhost(wsi));
	if (state && state->cluster && len == 8 && !memcmp(in, "/metrics", 8))
		return answer(wsi, state);
	if (lws_return_http_status(wsi, HTTP_STATUS_NOT_FOUND, NULL))
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

const struct lws_protocols worker_metrics_protocol = {
	.name = "http",
	.callback = callback_metrics,
};
