/*
 * lws-threadpool - what libwebsockets calls, where we are compiled into it
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

#if defined(LWSTP_LWS_CLOSE_HOOK)

void
lws_threadpool_wsi_closing(struct lws *wsi)
{
	struct lwstp_service *service = lwstp_service_of(wsi);

	lwstp_on_service();
	if (service)
		lwstp_wsi_close(service, wsi, NULL, LWSTP_CLOSE_SEEN);
}

#endif
