/*
 * lws-threadpool - what a task function, a handler or a cleanup asks of itself
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread, no lock: by the innermost frame of this thread.
 */

#include "private.h"

enum lws_threadpool_task_return
lws_threadpool_park(lws_usec_t us)
{
	struct lwstp_worker *w = lwstp_this_worker;

	if (!w || lwstp_frame != &w->frame || !w->frame.task) {
		lwstp_log(LLL_ERR, "%s: only a task function can park\n",
			  __func__);
		return LWS_TP_RETURN_CHECKING_IN;
	}
	w->parks = true;
	w->park_us = us;

	return LWS_TP_RETURN_CHECKING_IN;
}

/* T10.  That it is kept already makes no difference: to swap makes what was
 * written before visible to the call that follows. */
void
lws_threadpool_task_wake(struct lws_threadpool_task *handle)
{
	uint64_t word;
	struct lwstp_task *task = lwstp_task_find(handle, &word, __func__);
	uint32_t generation;
	bool woken = false;

	if (!task)
		return;
	atomic_fetch_add_explicit(&atomic_load(&task->pool)->n_wakes, 1,
				  memory_order_relaxed);
	LWSTP_PROBE(wake, atomic_load(&task->pool), task, word);
	generation = lwstp_generation(word);
	while (!woken && lwstp_generation(word) == generation &&
	       !lwstp_is_done(word))
		woken = (word & LWSTP_PARKED) ?
				lwstp_task_unpark(task, &word, word) :
				lwstp_swap(task, &word, word | LWSTP_WOKEN);
}

struct lws_threadpool_task *
lws_threadpool_this_task(void)
{
	return lwstp_frame ? lwstp_frame->task : NULL;
}

int
lws_threadpool_task_attached(struct lws_threadpool_task *handle)
{
	uint64_t word;

	return lwstp_task_find(handle, &word, __func__) &&
	       !(word & LWSTP_DETACHED);
}

enum lws_threadpool_task_status
lws_threadpool_end_status(void)
{
	return lwstp_frame ? lwstp_frame->how : LWS_TP_STATUS_STOPPED;
}

enum lws_threadpool_stop
lws_threadpool_end_reason(void)
{
	return lwstp_frame ? lwstp_frame->why : LWS_TP_STOP_NONE;
}
