/*
 * lws-threadpool - which tasks hang on which wsi, or secure stream
 *
 * SPDX-License-Identifier: MIT
 *
 * A struct lwstp_wsi has two lists: of the tasks that are attached, oldest
 * first, and of those among them that want the application's attention, SYNCING
 * or done, those that have waited longest first.  All of it belongs to the
 * service thread of the wsi.  A task may have moved on since it was posted,
 * since another thread answered it, say: its word tells, and it leaves the
 * second list when it is met there.
 */

#include <stdlib.h>
#include <string.h>

#include "private.h"

LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_wsi_new(struct lwstp_service *service, struct lws *wsi,
	      struct lws_ss_handle *ss, void (*ask)(struct lwstp_wsi *on))
{
	struct lwstp_wsi *on = aligned_alloc(LWSTP_CACHE_LINE, sizeof(*on));
	bool added;

	if (!on)
		return NULL;
	memset(on, 0, sizeof(*on));
	on->wsi = wsi;
	on->ss = ss;
	on->service = service;
	on->ask = ask;
#if defined(LWSTP_HANGUPS)
	on->hangup.fd = -1;
#endif
	on->entry.key = wsi ? (const void *)wsi : (const void *)ss;
	lwstp_lock_table(service);
	added = lwstp_table_add(&service->table, &on->entry);
	lwstp_unlock_table(service);
	if (added) {
		service->open++;
		return on;
	}
	free(on);

	return NULL;
}

LWSTP_ON_SERVICE void
lwstp_wsi_free(struct lwstp_wsi *on)
{
	struct lwstp_service *service = on->service;
	struct lwstp_cursor *c;

	for (c = on->cursors; c; c = c->outer) {
		c->on = NULL;
		c->next = NULL;
	}
	lwstp_not_to_ask(on);
	lwstp_wsi_handle_drop(on);
	if (on->closing)
		DL_DELETE(service->closed, on);
	else
		service->open--;
	lwstp_lock_table(service);
	lwstp_table_remove(&service->table, &on->entry);
	lwstp_unlock_table(service);
	free(on);
}

/*
 * Handles (R2)
 */

/* what was posted by lws_threadpool_wsi_writeable() */
static LWSTP_ON_SERVICE void
wanted(struct lwstp_service *service, struct lwstp_post *post)
{
	struct lwstp_wsi_slot *h = lws_container_of(post, struct lwstp_wsi_slot,
						    post);
	uint64_t word = atomic_fetch_and(&h->slot.word, ~LWSTP_POSTED);

	(void)service;
	if ((word & LWSTP_STATUS) == LWSTP_FREE) {
		lwstp_slot_give(LWSTP_WSIS, &h->slot);
		return;
	}
	h->on->wanted = true;
	lwstp_to_ask(h->on);
}

LWSTP_ON_SERVICE struct lws_threadpool_wsi *
lwstp_wsi_handle_get(struct lwstp_wsi *on)
{
	struct lwstp_wsi_slot *h = on->handle;

	if (!h) {
		h = (struct lwstp_wsi_slot *)lwstp_slot_take(LWSTP_WSIS);
		if (!h)
			return NULL;
		h->post.look = wanted;
		h->on = on;
		atomic_store(&h->service, on->service);
		atomic_fetch_and(&h->slot.word, ~LWSTP_STATUS);
		on->handle = h;
	}

	return lwstp_handle(LWSTP_WSIS, &h->slot, atomic_load(&h->slot.word));
}

LWSTP_ON_SERVICE void
lwstp_wsi_handle_drop(struct lwstp_wsi *on)
{
	struct lwstp_wsi_slot *h = on->handle;
	uint64_t word, to;

	if (!h)
		return;
	on->handle = NULL;
	h->on = NULL;
	word = atomic_load(&h->slot.word);
	do
		to = lwstp_slot_next(LWSTP_WSIS, word) | LWSTP_FREE |
		     (word & LWSTP_POSTED);
	while (!atomic_compare_exchange_weak(&h->slot.word, &word, to));
	if (!(word & LWSTP_POSTED))
		lwstp_slot_give(LWSTP_WSIS, &h->slot);
}

struct lwstp_wsi_slot *
lwstp_wsi_handle_find(struct lws_threadpool_wsi *handle, uint64_t *word,
		      const char *caller)
{
	struct lwstp_slot *slot;
	uint32_t generation;

	slot = lwstp_handle_slot(LWSTP_WSIS, sizeof(struct lwstp_wsi_slot),
				 handle, &generation);
	if (slot) {
		*word = atomic_load(&slot->word);
		if (lwstp_generation(*word) == generation &&
		    (*word & LWSTP_STATUS) != LWSTP_FREE)
			return (struct lwstp_wsi_slot *)slot;
	}
	lwstp_log(LLL_INFO, "%s: stale or unknown wsi handle %p\n", caller,
		  (void *)handle);

	return NULL;
}

/*
 * Tasks come and go
 */

LWSTP_ON_SERVICE void
lwstp_attach(struct lwstp_wsi *on, struct lwstp_task *task)
{
	task->on = on;
	task->is_on_ss = on->ss;
	task->service = on->service;
	task->att_seq = on->seq++;
	task->attention = false;
	task->served = 0;
	atomic_store_explicit(&task->target, on->entry.key,
			      memory_order_relaxed);
	DL_APPEND2(on->attached, task, att_prev, att_next);
}

LWSTP_ON_SERVICE struct lws *
lwstp_unattach(struct lwstp_task *task)
{
	struct lwstp_wsi *on = task->on;
	struct lwstp_cursor *c;

	lwstp_attention_clear(task);
	for (c = on->cursors; c; c = c->outer)
		if (c->next == task)
			c->next = task->att_next;
	DL_DELETE2(on->attached, task, att_prev, att_next);
	task->on = NULL;
	atomic_store_explicit(&task->target, NULL, memory_order_relaxed);

	return on->closing ? NULL : on->wsi;
}

LWSTP_ON_SERVICE void
lwstp_attention(struct lwstp_task *task)
{
	struct lwstp_wsi *on = task->on;

	lwstp_attention_clear(task); /* that was for an earlier SYNC */
	if (on->attention) {
		atomic_fetch_or(&on->attention->slot.word, LWSTP_CROWDED);
		atomic_fetch_or(&task->slot.word, LWSTP_CROWDED);
	}
	task->attention = true;
	task->served = 0;
	DL_APPEND2(on->attention, task, attention_prev, attention_next);
}

LWSTP_ON_SERVICE void
lwstp_attention_clear(struct lwstp_task *task)
{
	if (!task->attention)
		return;
	task->attention = false;
	DL_DELETE2(task->on->attention, task, attention_prev, attention_next);
}

LWSTP_ON_SERVICE struct lwstp_task *
lwstp_attention_first(struct lwstp_wsi *on)
{
	struct lwstp_task *task;

	while ((task = on->attention) &&
	       !lwstp_wants_attention(atomic_load(&task->slot.word)))
		lwstp_attention_clear(task);

	return task;
}

LWSTP_ON_SERVICE bool
lwstp_has_unseen(const struct lwstp_wsi *on)
{
	const struct lwstp_task *task;

	DL_FOREACH2(on->attention, task, attention_next)
	if (!atomic_load(&task->seen) &&
	    lwstp_wants_attention(atomic_load(&task->slot.word)))
		return true;

	return false;
}

/*
 * Asking lws
 */

LWSTP_ON_SERVICE void
lwstp_to_ask(struct lwstp_wsi *on)
{
	struct lwstp_service *service = on->service;

	if (on->is_to_ask || on->is_due_stream || on->closing)
		return;
	on->is_to_ask = true;
	service->n_to_ask++;
	DL_APPEND(service->to_ask, on);
}

LWSTP_ON_SERVICE void
lwstp_not_to_ask(struct lwstp_wsi *on)
{
	struct lwstp_service *service = on->service;

	if (on->is_to_ask) {
		DL_DELETE(service->to_ask, on);
		service->n_to_ask--;
	}
	if (on->is_due_stream)
		DL_DELETE(service->streams, on);
	on->is_to_ask = on->is_due_stream = false;
	lwstp_not_asked(on);
}

LWSTP_ON_SERVICE void
lwstp_not_asked(struct lwstp_wsi *on)
{
	if (!on->is_asked)
		return;
	on->is_asked = false;
	on->service->n_asked--;
	DL_DELETE2(on->service->asked, on, ask_prev, ask_next);
}

/*
 * What the application asks of a wsi
 */

LWSTP_ON_SERVICE void
lwstp_cursor_set(struct lwstp_wsi *on, struct lwstp_cursor *c)
{
	c->on = on;
	c->next = NULL;
	c->outer = on->cursors;
	on->cursors = c;
}

LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_cursor_end(struct lwstp_cursor *c)
{
	struct lwstp_cursor **pc;

	if (!c->on)
		return NULL;
	pc = &c->on->cursors;
	while (*pc != c)
		pc = &(*pc)->outer;
	*pc = c->outer;

	return c->on;
}

/* the task to visit next, and the cursor on the one after it */
static LWSTP_ON_SERVICE struct lws_threadpool_task *
cursor_next(struct lwstp_cursor *c, uint32_t end)
{
	struct lwstp_task *task = c->next;

	if (!task || (int32_t)(task->att_seq - end) >= 0)
		return NULL;
	c->next = task->att_next;

	return lwstp_task_handle(task, atomic_load(&task->slot.word));
}

/* Q3: a cursor moves on by itself when the task under it is detached. */
LWSTP_ON_SERVICE int
lwstp_wsi_foreach(struct lwstp_wsi *on, struct lwstp_cursor *c, void *user,
		  int (*cb)(struct lws_threadpool_task *task, void *user))
{
	struct lws_threadpool_task *handle;
	uint32_t end;
	int stop = 0;

	if (!on)
		return 0;
	lwstp_cursor_set(on, c);
	c->next = on->attached;
	end = on->seq;

	while (!stop && (handle = cursor_next(c, end)))
		stop = !!cb(handle, user);
	lwstp_cursor_end(c);

	return stop;
}
