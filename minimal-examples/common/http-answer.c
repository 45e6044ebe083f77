/*
 * minimal-examples/common: an answer of an http server, in one piece
 *
 * SPDX-License-Identifier: MIT
 *
 * See http-answer.h.
 */

#include "http-answer.h"

#include <stdlib.h>
#include <string.h>

#include <lws-threadpool.h>

static int
add_header(struct lws *wsi, const char *name, const char *value,
	   unsigned char **p, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
					   (const unsigned char *)value,
					   (int)strlen(value), p, end);
}

static int
send_headers(struct lws *wsi, const struct http_answer *answer, size_t len)
{
	unsigned char buf[LWS_PRE + 1024], *start = &buf[LWS_PRE], *p = start,
					   *end = &buf[sizeof(buf) - 1];
	char retry[16];

	if (lws_add_http_common_headers(
		    wsi, answer->status,
		    answer->type ? answer->type : "text/plain", len, &p, end) ||
	    add_header(wsi, "cache-control:", "no-store", &p, end))
		return -1;

	if (answer->retry_after) {
		lws_snprintf(retry, sizeof(retry), "%u", answer->retry_after);
		if (add_header(wsi, "retry-after:", retry, &p, end))
			return -1;
	}
	/* HTTP/2 has no such header: a client takes it for an error */
	if (answer->close && lws_get_network_wsi(wsi) == wsi &&
	    add_header(wsi, "connection:", "close", &p, end))
		return -1;

	return lws_finalize_write_http_header(wsi, start, &p, end);
}

int
http_answer(struct lws *wsi, const struct http_answer *answer)
{
	size_t len = answer->len ? answer->len : strlen(answer->text);
	unsigned char *body;
	int n;

	if (send_headers(wsi, answer, len))
		return -1;

	body = malloc(LWS_PRE + len);
	if (!body)
		return -1;
	memcpy(body + LWS_PRE, answer->text, len);
	/* lws keeps what the client does not take now */
	n = lws_write(wsi, body + LWS_PRE, len, LWS_WRITE_HTTP_FINAL);
	explicit_bzero(body, LWS_PRE + len); /* it may be a secret */
	free(body);

	if (n < (int)len || answer->close)
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int
http_reject(struct lws *wsi, unsigned int status, const char *why)
{
	const struct http_answer answer = {
		.status = status,
		.text = why,
		.close = 1,
	};

	return http_answer(wsi, &answer);
}

/* seconds until the queue has gone down, as far as the past tells */
static unsigned int
retry_after(struct lws_threadpool *tp)
{
	struct lws_threadpool_stats s;
	uint64_t us;

	memset(&s, 0, sizeof(s));
	s.size = sizeof(s);
	if (lws_threadpool_get_stats(tp, &s) || !s.finished || !s.threads)
		return 1;

	us = s.run_total_us / s.finished * (s.queued + s.running) / s.threads;

	return 1 + (unsigned int)(us / LWS_US_PER_SEC);
}

int
http_busy(struct lws *wsi, struct lws_threadpool *tp, const char *why,
	  int close)
{
	const struct http_answer answer = {
		.status = HTTP_STATUS_SERVICE_UNAVAILABLE,
		.text = why,
		.retry_after = retry_after(tp),
		.close = close,
	};

	return http_answer(wsi, &answer);
}

/* the enqueue cost next to nothing, nor does this */
int
http_refused(struct lws *wsi, struct lws_threadpool *tp)
{
	switch (lws_threadpool_refused()) {
	case LWS_TP_REFUSED_QUEUE_FULL:
		return http_busy(wsi, tp, "too many requests wait already\n",
				 0);
	case LWS_TP_REFUSED_DRAINING:
	case LWS_TP_REFUSED_FINISHING:
		return http_busy(wsi, tp, "going away\n", 1);
	case LWS_TP_REFUSED_MEMORY:
	case LWS_TP_REFUSED_FDS:
		return http_busy(wsi, tp, "out of memory\n", 1);
	default:
		return -1;
	}
}

int
http_stopped(struct lws *wsi, struct lws_threadpool *tp)
{
	if (lws_threadpool_end_reason() == LWS_TP_STOP_QUEUE_MS)
		return http_busy(wsi, tp, "waited too long\n", 0);

	return http_busy(wsi, tp, "going away\n", 1);
}

int
http_metrics(struct lws *wsi, struct lws_threadpool *tp)
{
	struct http_answer answer = {
		.status = HTTP_STATUS_OK,
		.type = "application/openmetrics-text; version=1.0.0; "
			"charset=utf-8",
	};
	int len = lws_threadpool_metrics(tp, NULL, 0), n;
	size_t room = (size_t)len + 1024; /* it may grow meanwhile */
	char *text = malloc(room);

	if (!text)
		return -1;
	len = lws_threadpool_metrics(tp, text, room);
	answer.text = text;
	answer.len = (size_t)len;
	n = len > 0 && (size_t)len < room ? http_answer(wsi, &answer) : -1;
	free(text);

	return n;
}

int
http_has_body(struct lws *wsi)
{
	return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) ||
	       lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING);
}

long long
http_content_length(struct lws *wsi)
{
	char text[19], *end;
	long long len;

	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) ||
	    lws_hdr_copy(wsi, text, sizeof(text),
			 WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0 ||
	    text[0] < '0' || text[0] > '9')
		return -1;
	len = strtoll(text, &end, 10); /* 18 digits at most: it fits */

	return *end ? -1 : len;
}
