/*
 * lws-threadpool - what the application asks of a task, and of a wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * A status, and the answer to a SYNC, take no lock, and touch nothing but the
 * task: any thread.  Only its service thread changes the lists of a wsi.  A
 * call that the manual reserves for that thread is trusted to come from it,
 * unless it comes from a thread of a pool.
 */

#include "private.h"

/* are we on the service thread of the wsi that it is attached to? */
static bool
is_ours(const struct lwstp_task *task, uint64_t word)
{
	const struct lwstp_service *service;

	if ((word & LWSTP_DETACHED) || lwstp_this_worker)
		return false;
	service = atomic_load_explicit(&task->service, memory_order_relaxed);

	return lwstp_service_is_this(service);
}

/* S5: the application is told that it is SYNCING, or done */
static void
looked_at(struct lwstp_task *task, uint64_t word)
{
	if (is_ours(task, word))
		atomic_store_explicit(&task->seen, true, memory_order_relaxed);
}

/* One that has ended and has no wsi is kept, or its on_end comes (K4, H1).
 * False: another thread has reaped it meanwhile. */
static bool
reap_kept(struct lwstp_task *task, uint64_t word)
{
	struct lwstp_deferred deferred = { .signal = NULL };

	if (!lwstp_task_reap_kept(task, word, &deferred))
		return lwstp_generation(atomic_load(&task->slot.word)) ==
		       lwstp_generation(word);
	lwstp_deferred_do(&deferred, NULL);

	return true;
}

enum lws_threadpool_task_status
lws_threadpool_task_status(struct lws_threadpool_task *handle, void **user)
{
	enum lws_threadpool_task_status told;
	struct lwstp_task *task;
	uint64_t word;
	void *u;

	if (user)
		*user = NULL;
	task = lwstp_task_find(handle, &word, __func__);
	if (!task)
		return LWS_TP_STATUS_FINISHED; /* Q6 */
	u = atomic_load(&task->user);
	if (lwstp_generation(atomic_load(&task->slot.word)) !=
	    lwstp_generation(word))
		return LWS_TP_STATUS_FINISHED; /* it has just ended */
	if (user)
		*user = u;

	told = lwstp_task_told(task, word);
	if (told == LWS_TP_STATUS_SYNCING)
		looked_at(task, word);
	if (!lwstp_is_done(word))
		return told;
	if (word & LWSTP_DETACHED) {
		/* its on_end is to come (H1), or this call has reaped it */
		if (!(word & LWSTP_KEPT) || reap_kept(task, word))
			return told;
		if (user)
			*user = NULL;
		return LWS_TP_STATUS_FINISHED; /* Q6 */
	}
	if (lwstp_this_worker) {
		lwstp_log(LLL_ERR,
			  "%s: task %p has ended, but only its "
			  "service thread may reap it, not a pool thread\n",
			  __func__, (void *)handle);
		return LWS_TP_STATUS_STOPPING;
	}
	lwstp_on_service();
	lwstp_reap_attached(task, word);

	return told;
}

enum lws_threadpool_task_status
lws_threadpool_task_status_noreap(struct lws_threadpool_task *handle)
{
	uint64_t word;
	struct lwstp_task *task = lwstp_task_find(handle, &word, __func__);
	enum lws_threadpool_task_status told;

	if (!task)
		return LWS_TP_STATUS_FINISHED;
	told = lwstp_task_told(task, word);
	if (told == LWS_TP_STATUS_SYNCING || lwstp_is_done(word))
		looked_at(task, word);

	return told;
}

/* Once it has been asked, or is done, it may go, and its pool and context too,
 * before its service thread is signalled: so the context is held meanwhile. */
static void
stop_asked(struct lwstp_task *task, uint64_t word)
{
	struct lwstp_pool *pool = atomic_load(&task->pool);
	struct lwstp_context *context = NULL;

	/* with the lock its pool is there as long as it is */
	lwstp_lock(pool);
	if (lwstp_generation(atomic_load(&task->slot.word)) ==
	    lwstp_generation(word)) {
		context = pool->context;
		lwstp_context_hold(context);
	}
	lwstp_unlock(pool);
	if (!context)
		return;
	lwstp_task_stop(task, word, false, LWS_TP_STOP_ASKED);
	lwstp_context_put(context);
}

void
lws_threadpool_task_sync(struct lws_threadpool_task *handle, int stop)
{
	uint64_t word;
	struct lwstp_task *task = lwstp_task_find(handle, &word, __func__);

	if (!task)
		return;
	if (stop)
		stop_asked(task, word);
	else
		lwstp_task_answer(task, word);
}

/* any thread; see Q4 */
static int
dequeue_detached(struct lwstp_task *task, uint64_t word)
{
	struct lwstp_deferred deferred = { .why = LWS_TP_STOP_ASKED };

	if (lwstp_status(word) == LWS_TP_STATUS_QUEUED &&
	    lwstp_task_reap(task, &word, &deferred)) {
		lwstp_deferred_do(&deferred, NULL);
		return 0;
	}
	if (lwstp_is_done(word)) {
		reap_kept(task, word);
		return 0;
	}

	/* if it does not outlive its wsi, it was asked when it lost that */
	return !(word & LWSTP_OUTLIVE);
}

int
lws_threadpool_dequeue_task(struct lws_threadpool_task *handle)
{
	struct lwstp_task *task;
	uint64_t word;

	if (!handle)
		return 0;
	task = lwstp_task_find(handle, &word, __func__);
	if (!task)
		return 0;
	if (word & LWSTP_DETACHED)
		return dequeue_detached(task, word);
	if (lwstp_this_worker) {
		lwstp_log(LLL_ERR,
			  "%s: task %p is for its service thread to "
			  "dequeue, not for a pool thread\n",
			  __func__, (void *)handle);
		return 1;
	}
	lwstp_on_service();
	lwstp_service_note(task->service);

	return lwstp_detach(task, word, false);
}

/*
 * What the application asks of a wsi
 */

struct lws_threadpool_task *
lws_threadpool_get_task_wsi(struct lws *wsi)
{
	struct lwstp_wsi *on;

	lwstp_on_service();
	on = lwstp_find_here(wsi);

	return on ? lwstp_service_next_task(on) : NULL;
}

enum lws_threadpool_task_status
lws_threadpool_task_status_wsi(struct lws *wsi,
			       struct lws_threadpool_task **task, void **user)
{
	struct lws_threadpool_task *handle = lws_threadpool_get_task_wsi(wsi);

	if (task)
		*task = handle;
	if (handle)
		return lws_threadpool_task_status(handle, user);
	if (user)
		*user = NULL;

	return LWS_TP_STATUS_FINISHED;
}

int
lws_threadpool_foreach_task_wsi(struct lws *wsi, void *user,
				int (*cb)(struct lws_threadpool_task *task,
					  void *user))
{
	struct lwstp_cursor cursor;

	if (!cb) {
		lwstp_log(LLL_ERR, "%s: cb is NULL\n", __func__);
		return 0;
	}
	lwstp_on_service();

	return lwstp_wsi_foreach(lwstp_find_here(wsi), &cursor, user, cb);
}

static int
dequeue_one(struct lws_threadpool_task *task, void *user)
{
	int *asked = user;

	*asked |= lws_threadpool_dequeue_task(task);

	return 0;
}

int
lws_threadpool_dequeue(struct lws *wsi)
{
	int asked = 0;

	lws_threadpool_foreach_task_wsi(wsi, &asked, dequeue_one);

	return asked;
}

/* The opt-in: the events of the vhost's protocols[0] */
int
lws_threadpool_wsi_event(struct lws *wsi, enum lws_callback_reasons reason)
{
	struct lwstp_service *service = lwstp_service_of(wsi);
	struct lws_vhost *vhost = wsi ? lws_get_vhost(wsi) : NULL;

	if (!service || !vhost)
		return 0;
	lwstp_on_service();
	lwstp_context_learn(service->context, vhost,
			    reason != LWS_CALLBACK_PROTOCOL_DESTROY);

	switch (reason) {
	case LWS_CALLBACK_WSI_DESTROY:
		lwstp_wsi_close(service, wsi, NULL, LWSTP_CLOSE_GONE);
		break;
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
	case LWS_CALLBACK_RAW_CLOSE:
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		lwstp_wsi_close(service, wsi, NULL, LWSTP_CLOSE_TOLD);
		break;
	default:
		break;
	}

	return 0;
}
