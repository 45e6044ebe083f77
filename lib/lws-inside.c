/*
 * lws-threadpool - what only the inside of libwebsockets tells
 *
 * SPDX-License-Identifier: MIT
 *
 * Where we are compiled into lws: nothing public tells that it has begun to
 * close a wsi, which wsi is a raw file, or what it noted of a secure stream.
 */

#include "private.h"

#include "private-lib-core.h"

/* lws notes the state that a wsi was in when its close began.  Up to 4.3 the
 * note stays behind in a client that goes on after a redirect. */
bool
lwstp_hook_closing(struct lws *wsi)
{
#if defined(LWS_WITH_CLIENT)
	if (wsi->redirects)
		return lwsi_state(wsi) == LRS_DEAD_SOCKET;
#endif

	return wsi->wsistate_pre_close;
}

bool
lwstp_hook_has_role(const struct lws *wsi)
{
	return wsi->role_ops;
}

#if defined(LWSTP_LWS_SS_HOOK) && defined(LWS_WITH_SECURE_STREAMS)

bool
lwstp_hook_ss_destroying(const struct lws_ss_handle *ss)
{
	return ss->destroying;
}

bool
lwstp_hook_ss_given_up(const struct lws_ss_handle *ss)
{
	return ss->prev_ss_state == LWSSSCS_ALL_RETRIES_FAILED;
}

int
lwstp_hook_ss_tsi(const struct lws_ss_handle *ss)
{
	return ss->tsi;
}

#endif

#if defined(LWSTP_LWS_CLOSE_HOOK)

bool
lwstp_hook_has(struct lws *wsi)
{
	return wsi->role_ops != &role_ops_raw_file;
}

#endif
