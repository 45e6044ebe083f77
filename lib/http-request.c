/*
 * lws-threadpool - what an http/1 server wsi has read of its request
 *
 * SPDX-License-Identifier: MIT
 *
 * lws keeps the headers of a request until the response is over: so they tell
 * whether one is pending.  For hangup.c.
 */

#include "private.h"

#if defined(LWSTP_HANGUPS)

static const enum lws_token_indexes without_body[] = {
	WSI_TOKEN_GET_URI,    WSI_TOKEN_HEAD_URI,    WSI_TOKEN_CONNECT,
#if defined(LWS_WITH_HTTP_UNCOMMON_HEADERS) || defined(LWS_HTTP_HEADERS_ALL)
	WSI_TOKEN_DELETE_URI, WSI_TOKEN_OPTIONS_URI,
#endif
};

/* even if they do not give its length */
static const enum lws_token_indexes with_body[] = {
	WSI_TOKEN_POST_URI,
#if defined(LWS_WITH_HTTP_UNCOMMON_HEADERS) || defined(LWS_HTTP_HEADERS_ALL)
	WSI_TOKEN_PUT_URI,
	WSI_TOKEN_PATCH_URI,
#endif
};

static bool
has_one_of(struct lws *wsi, const enum lws_token_indexes *tokens, size_t count)
{
	while (count--)
		if (lws_hdr_total_length(wsi, *tokens++))
			return true;

	return false;
}

enum lwstp_request
lwstp_request_of(struct lws *wsi)
{
	enum lwstp_request request = LWSTP_NO_REQUEST;
	char length[24];

	if (has_one_of(wsi, without_body, LWS_ARRAY_SIZE(without_body)))
		request = LWSTP_REQUEST_WHOLE;
	else if (has_one_of(wsi, with_body, LWS_ARRAY_SIZE(with_body)))
		request = LWSTP_REQUEST_HEADERS;
	/* or it is a stream of a mux connection */
	if (!request || lws_get_network_wsi(wsi) != wsi)
		return LWSTP_NO_REQUEST;
	if (!lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH))
		return request;
	if (lws_hdr_copy(wsi, length, sizeof(length),
			 WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
		return LWSTP_REQUEST_HEADERS;

	return length[strspn(length, " 0")] ? LWSTP_REQUEST_HEADERS :
					      LWSTP_REQUEST_WHOLE;
}

#endif
