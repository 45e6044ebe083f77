/*
 * lws-threadpool - the handlers of a task: on_sync and on_end (H1)
 *
 * SPDX-License-Identifier: MIT
 *
 * On the service thread, without a lock.  While a handler runs its task is not
 * cleaned up.  A reap that comes meanwhile is done by the caller of these; a
 * cleanup that comes meanwhile, since the task was dequeued, say, or its pool
 * destroyed, is called here, when the handler has returned.
 */

#include "private.h"

static LWSTP_ON_SERVICE void
enter(struct lwstp_handler *h, const struct lwstp_task *task, uint64_t word,
      struct lwstp_cursor *c)
{
	struct lwstp_frame *frame = &h->frame;

	memset(h, 0, sizeof(*h));
	frame->outer = lwstp_frame;
	frame->task = lwstp_task_handle(task, word);
	frame->how = lwstp_status(word) == LWS_TP_STATUS_FINISHED ?
			     LWS_TP_STATUS_FINISHED :
			     LWS_TP_STATUS_STOPPED;
	frame->why = lwstp_is_done(word) ? lwstp_task_why(task, word) :
					   LWS_TP_STOP_NONE;
	frame->handler = h;
	lwstp_frame = frame;
	/* tells whether its wsi closes meanwhile */
	memset(c, 0, sizeof(*c));
	if (task->on)
		lwstp_cursor_set(task->on, c);
}

/* the wsi of a cleanup is NULL if that closed meanwhile (T7) */
static LWSTP_ON_SERVICE struct lwstp_handled
leave(struct lwstp_handler *h, struct lwstp_cursor *c, int ret)
{
	const struct lwstp_handled handled = { ret, h->reap };
	const struct lwstp_wsi *on = lwstp_cursor_end(c);

	lwstp_frame = h->frame.outer;
	lwstp_deferred_do(&h->after, on && !on->closing ? on->wsi : NULL);

	return handled;
}

LWSTP_ON_SERVICE struct lwstp_handled
lwstp_on_sync(struct lwstp_task *task, uint64_t word, struct lws *wsi)
{
	int (*on_sync)(struct lws *, void *) = task->extra->on_sync;
	void *user = atomic_load(&task->user);
	struct lwstp_handler h;
	struct lwstp_cursor c;

	enter(&h, task, word, &c);

	return leave(&h, &c, on_sync ? on_sync(wsi, user) : 0);
}

LWSTP_ON_SERVICE struct lwstp_handled
lwstp_on_end(struct lwstp_task *task, uint64_t word, struct lws *wsi)
{
	int (*on_end)(struct lws *, void *,
		      enum lws_threadpool_task_status) = task->extra->on_end;
	void *user = atomic_load(&task->user);
	struct lwstp_handler h;
	struct lwstp_cursor c;

	enter(&h, task, word, &c);

	return leave(&h, &c, on_end ? on_end(wsi, user, h.frame.how) : 0);
}
