/*
 * lws-threadpool - compiled into libwebsockets
 *
 * SPDX-License-Identifier: MIT
 *
 * lws calls two functions of a threadpool that it was built with: one on a
 * service thread that lws_cancel_service() woke, which serves as the bell, and
 * from 4.3.3 on one when a wsi closes (LWSTP_LWS_CLOSE_HOOK), in place of the
 * watch.  It does not call the latter for a raw file wsi: those are watched as
 * in the companion, and before 4.3.3 all are.
 *
 * A third call, when a secure stream is destroyed, is put into lws by
 * scripts/build-into-lws (LWSTP_LWS_SS_HOOK): see secure-stream.c.
 */

#include "private.h"

/* lws declares these in its private headers only, for itself */
int
lws_threadpool_tsi_context(struct lws_context *context, int tsi);
void
lws_threadpool_wsi_closing(struct lws *wsi);

int
lws_threadpool_tsi_context(struct lws_context *context, int tsi)
{
	struct lwstp_host *host = lwstp_host_find(context);

	if (host && tsi < host->bells)
		lwstp_bell_answer(&host->bell[tsi]);

	return 0;
}

/* Nothing public tells that lws has begun to close a wsi, nor a raw file wsi
 * from the others: for wsi->wsistate_pre_close and wsi->role_ops */
#include "private-lib-core.h"

/* lws notes the state that a wsi was in when its close began.  Up to 4.3 the
 * note stays behind in a client that goes on after a redirect. */
bool
lwstp_host_closing(struct lws *wsi)
{
#if defined(LWS_WITH_CLIENT)
	if (wsi->redirects)
		return lwsi_state(wsi) == LRS_DEAD_SOCKET;
#endif

	return wsi->wsistate_pre_close;
}

#if defined(LWSTP_LWS_SS_HOOK) && defined(LWS_WITH_SECURE_STREAMS)

bool
lwstp_host_ss_destroying(const struct lws_ss_handle *ss)
{
	return ss->destroying;
}

bool
lwstp_host_ss_given_up(const struct lws_ss_handle *ss)
{
	return ss->prev_ss_state == LWSSSCS_ALL_RETRIES_FAILED;
}

int
lwstp_host_ss_tsi(const struct lws_ss_handle *ss)
{
	return ss->tsi;
}

#endif

#if defined(LWSTP_LWS_CLOSE_HOOK)

bool
lwstp_host_hooked(struct lws *wsi)
{
	return wsi->role_ops != &role_ops_raw_file;
}

void
lws_threadpool_wsi_closing(struct lws *wsi)
{
	lwstp_binding_close(wsi, NULL, LWSTP_CLOSE_SEEN);
}

#endif
