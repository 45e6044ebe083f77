/*
 * lws-threadpool - lws_threadpool_serve(): a WRITEABLE for tasks with handlers
 *
 * SPDX-License-Identifier: MIT
 *
 * On the service thread.  A call serves one task.  Those of a wsi that have
 * been served take turns behind the others, so that one that stays SYNCING
 * holds nobody up; and WRITEABLE is asked for while some have not been served
 * (H2).
 */

#include "private.h"

/* it has handlers, wants attention, and is not in one of them already */
static LWSTP_ON_SERVICE bool
is_to_serve(const struct lwstp_task *task, uint64_t word)
{
	return task->extra && task->extra->handled &&
	       lwstp_wants_attention(word) &&
	       !lwstp_in_handler(lwstp_task_handle(task, word));
}

/* A task with its word, or NULL.  The place in line tells what get_task_wsi()
 * says (Q2), so it stays as it is. */
static LWSTP_ON_SERVICE struct lwstp_task *
next_to_serve(const struct lwstp_wsi *on, uint64_t *word)
{
	struct lwstp_task *task, *served = NULL;

	DL_FOREACH2(on->attention, task, attention_next)
	{
		*word = atomic_load(&task->slot.word);
		if (!is_to_serve(task, *word))
			continue;
		if (!task->served)
			return task;
		if (!served || (int32_t)(task->served - served->served) < 0)
			served = task;
	}
	if (served)
		*word = atomic_load(&served->slot.word);

	return served;
}

static bool
is_alive(const struct lwstp_task *task, uint64_t before, uint64_t *word)
{
	*word = atomic_load(&task->slot.word);

	return lwstp_generation(*word) == lwstp_generation(before);
}

/* H1; what serve() returns */
static LWSTP_ON_SERVICE int
serve_sync(struct lwstp_task *task, uint64_t before, struct lws *wsi)
{
	struct lwstp_handled handled = lwstp_on_sync(task, before, wsi);
	uint64_t word;

	if (!is_alive(task, before, &word))
		return handled.ret < 0 ? -1 : 0;
	if (handled.reap && lwstp_is_done(word) && !(word & LWSTP_DETACHED))
		lwstp_reap_attached(task, word);
	else if (lwstp_is_same_sync(word, before) && !handled.ret)
		lwstp_task_answer(task, before);
	else if (lwstp_is_same_sync(word, before) &&
		 handled.ret >= LWS_TP_ON_SYNC_STOP)
		lwstp_task_stop(task, word, true, LWS_TP_STOP_ASKED);

	return handled.ret < 0 ? -1 : 0;
}

static LWSTP_ON_SERVICE int
serve_end(struct lwstp_task *task, uint64_t before, struct lws *wsi)
{
	const struct lwstp_wsi *on = task->on;
	struct lwstp_handled handled = lwstp_on_end(task, before, wsi);
	uint64_t word;

	/* the handler may have given it to another wsi, which is served, too */
	if (is_alive(task, before, &word) && !(word & LWSTP_DETACHED) &&
	    task->on == on)
		lwstp_reap_attached(task, word);

	return handled.ret;
}

int
lws_threadpool_serve(struct lws *wsi)
{
	struct lwstp_cursor c;
	struct lwstp_task *task;
	struct lwstp_wsi *on;
	uint64_t word;
	int ret;

	if (lwstp_this_worker) {
		lwstp_log(LLL_ERR,
			  "%s: for the service thread, not for a "
			  "pool thread\n",
			  __func__);
		return 0;
	}
	lwstp_on_service();
	on = lwstp_find_here(wsi);
	if (!on || on->closing)
		return 0;
	lwstp_service_collect(on->service);
	task = next_to_serve(on, &word);
	if (!task)
		return 0;

	if (!++on->serves)
		on->serves = 1;
	task->served = on->serves;
	atomic_store_explicit(&task->seen, true, memory_order_relaxed);
	lwstp_cursor_set(on, &c);
	ret = lwstp_is_done(word) ? serve_end(task, word, wsi) :
				    serve_sync(task, word, wsi);
	on = lwstp_cursor_end(&c);
	if (!on || on->closing)
		return ret;
	task = next_to_serve(on, &word);
	if (task && !task->served) {
		lwstp_to_ask(on);
		lwstp_signal_self(on->service);
	}

	return ret;
}
