/*
 * lws-threadpool - a task is taken off its wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * By a dequeue (Q4), since the wsi closes (W1), or to be reaped.  On its
 * service thread.
 */

#include "private.h"

/* S7: a callback may be using its data, so it is not resumed here */
static LWSTP_ON_SERVICE bool
detach_syncing(struct lwstp_task *task, uint64_t *word, bool stop,
	       enum lws_threadpool_stop why)
{
	uint64_t before = *word, to = before | LWSTP_DETACHED | LWSTP_POSTED;

	if (stop)
		to = lwstp_with_why(to, why) | LWSTP_STOP;
	if (!lwstp_swap(task, word, to))
		return false;
	if (!(before & LWSTP_POSTED))
		lwstp_task_post(task);
	lwstp_signal_self(task->service);

	return true;
}

/* T9: one that outlives its wsi, and is parked or about to be, is called */
static bool
detach_running(struct lwstp_task *task, uint64_t *word, bool stop,
	       enum lws_threadpool_stop why)
{
	uint64_t to = *word | LWSTP_DETACHED;

	to = stop ? lwstp_with_why(to, why) | LWSTP_STOP : to | LWSTP_WOKEN;
	if (!(*word & LWSTP_PARKED))
		return lwstp_swap(task, word, to);

	return lwstp_task_unpark(task, word, to & ~LWSTP_WOKEN);
}

/* False: its word has changed.  *asked: 1 if it was asked to stop. */
static LWSTP_ON_SERVICE bool
try_detach(struct lwstp_task *task, uint64_t *word, bool closing, int *asked,
	   struct lwstp_deferred *deferred)
{
	bool outlive = *word & LWSTP_OUTLIVE;
	enum lws_threadpool_stop why = closing ? LWS_TP_STOP_CLOSED :
						 LWS_TP_STOP_ASKED;

	/* which asked it before, though its word has not heard of it */
	if (atomic_load(&atomic_load(&task->pool)->finishing))
		why = LWS_TP_STOP_FINISH;
	*asked = 0;
	switch (lwstp_status(*word)) {
	case LWS_TP_STATUS_QUEUED:
		if (closing && outlive)
			return lwstp_swap(task, word, *word | LWSTP_DETACHED);
		deferred->why = why;
		return lwstp_task_reap(task, word, deferred);
	case LWS_TP_STATUS_FINISHED:
	case LWS_TP_STATUS_STOPPED:
		if (closing && (*word & LWSTP_TOKEN) &&
		    !lwstp_in_handler(lwstp_task_handle(task, *word)) &&
		    lwstp_task_keep(task, word, deferred))
			return true;
		return lwstp_task_reap(task, word, deferred);
	case LWS_TP_STATUS_SYNCING:
		*asked = !outlive;
		return detach_syncing(task, word, !outlive, why);
	default:
		*asked = !outlive;
		return detach_running(task, word, !outlive, why);
	}
}

LWSTP_ON_SERVICE int
lwstp_detach(struct lwstp_task *task, uint64_t word, bool closing)
{
	struct lwstp_deferred deferred = { .signal = NULL };
	struct lwstp_wsi *on = task->on;
	struct lws *wsi = lwstp_unattach(task);
	int asked;

	while (!try_detach(task, &word, closing, &asked, &deferred))
		;
	lwstp_ask_for_others(on);
	lwstp_deferred_do(&deferred, wsi);

	return asked;
}

LWSTP_ON_SERVICE void
lwstp_reap_attached(struct lwstp_task *task, uint64_t word)
{
	struct lwstp_deferred deferred = { .signal = NULL };
	struct lwstp_handler *handler = NULL;
	struct lwstp_wsi *on = task->on;
	struct lws *wsi;

	if (task->extra)
		handler = lwstp_in_handler(lwstp_task_handle(task, word));
	if (handler) {
		handler->reap = true;
		return;
	}
	lwstp_service_note(on->service);
	wsi = lwstp_unattach(task);
	lwstp_task_reap(task, &word, &deferred);
	lwstp_ask_for_others(on);
	lwstp_deferred_do(&deferred, wsi);
}
