/*
 * lws-threadpool - compiled into libwebsockets
 *
 * SPDX-License-Identifier: MIT
 *
 * lws calls two functions of a threadpool that it was built with: one on a
 * service thread that lws_cancel_service() woke, which serves as the signal,
 * and from 4.3.3 on one when a wsi closes (LWSTP_LWS_CLOSE_HOOK), in place of
 * the watch.  It does not call the latter for a raw file wsi: those are watched
 * as in the companion, and before 4.3.3 all are.
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
	struct lwstp_context *ours = lwstp_context_find(context);

	lwstp_on_service();
	if (ours && tsi < ours->services)
		lwstp_service_answer(&ours->service[tsi]);

	return 0;
}

/* For wsi->wsistate_pre_close and wsi->role_ops: nothing public tells that lws
 * has begun to close a wsi, or which wsi is a raw file. */
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

void
lws_threadpool_wsi_closing(struct lws *wsi)
{
	struct lwstp_service *service = lwstp_service_of(wsi);

	lwstp_on_service();
	if (service)
		lwstp_wsi_close(service, wsi, NULL, LWSTP_CLOSE_SEEN);
}

#endif
