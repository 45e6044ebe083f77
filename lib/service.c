/*
 * lws-threadpool - the service thread: its inbox, and what it asks of lws
 *
 * SPDX-License-Identifier: MIT
 *
 * What was posted is looked at by lwstp_service_answer(), which lws calls
 * between two callbacks: when our fd is readable, or from a timer.  lws is then
 * asked for a WRITEABLE for each wsi with a task that is SYNCING or done (S3).
 * Within a callback what was posted can be looked at, too, but not tasks that
 * were asked to stop, or lost their wsi, while SYNCING: those are held until no
 * callback can be using their data (S7).
 *
 * An answer is often followed by the task's next SYNC within microseconds.  So
 * while SYNCs and answers flow a timer looks into the inbox before lws polls
 * again, which saves a turn of the loop for each SYNC.
 *
 * lws can drop a request for a WRITEABLE.  So a wsi is asked for again after
 * about a second, for as long as nobody has looked at its task (S5).
 */

#include <stdlib.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

#define ASK_AGAIN_US (1 * LWS_US_PER_SEC)
#define LOOKS	     2 /* that find nothing, before they end */

LWSTP_ON_SERVICE void
lwstp_schedule(struct lwstp_service *service, lws_sorted_usec_list_t *sul,
	       sul_cb_t cb, lws_usec_t us)
{
	if (!service->ended && lws_dll2_is_detached(&sul->list))
		lws_sul_schedule(atomic_load(&service->context->lws),
				 service->tsi, sul, cb, us);
}

/*
 * The inbox
 */

/* The service thread signals itself, once a turn: what it has found or held
 * waits for its next answer(). */
LWSTP_ON_SERVICE void
lwstp_signal_self(struct lwstp_service *service)
{
	if (service->is_signalled)
		return;
	service->is_signalled = true;
	lwstp_signal(service);
}

static LWSTP_ON_SERVICE void
append(struct lwstp_post **first, struct lwstp_post **last,
       struct lwstp_post *post)
{
	post->next = NULL;
	if (*first)
		(*last)->next = post;
	else
		*first = post;
	*last = post;
}

LWSTP_ON_SERVICE void
lwstp_service_call(struct lwstp_service *service, struct lwstp_post *post)
{
	append(&service->calls, &service->calls_last, post);
}

/* H1: it never had a wsi, and its on_end is still to be called */
static bool
is_told_end(uint64_t word)
{
	return lwstp_is_done(word) &&
	       (word & (LWSTP_DETACHED | LWSTP_TOLD_END | LWSTP_KEPT)) ==
		       (LWSTP_DETACHED | LWSTP_TOLD_END);
}

/* another thread has answered it, or it is to stop */
static LWSTP_ON_SERVICE void
moved_on(struct lwstp_task *task)
{
	lwstp_attention_clear(task);
	lwstp_ask_for_others(task->on);
}

/* What is done with a task is decided by the word that is swapped: any thread
 * may answer it, or ask it to stop, meanwhile. */
static LWSTP_ON_SERVICE void
look_at_task(struct lwstp_service *service, struct lwstp_post *post,
	     bool between)
{
	struct lwstp_task *task = lws_container_of(post, struct lwstp_task,
						   post);
	uint64_t word = atomic_load(&task->slot.word), to;

	do {
		if (lwstp_is_held(word) && !between) {
			if (!(word & LWSTP_DETACHED))
				lwstp_attention_clear(task);
			append(&service->held, &service->held_last, post);
			return;
		}
		if (is_told_end(word)) {
			lwstp_service_call(service, post);
			return;
		}
		to = word & ~LWSTP_POSTED;
		if (lwstp_is_held(word))
			to = lwstp_with_status(to, LWS_TP_STATUS_RUNNING);
	} while (!lwstp_swap(task, &word, to));

	if ((word & LWSTP_STATUS) == LWSTP_FREE)
		lwstp_slot_give(LWSTP_TASKS, &task->slot);
	else if (!(word & LWSTP_DETACHED) &&
		 lwstp_status(to) == LWS_TP_STATUS_RUNNING)
		moved_on(task);
	else if (!(word & LWSTP_DETACHED) &&
		 lwstp_status(to) != LWS_TP_STATUS_QUEUED) {
		lwstp_attention(task);
		lwstp_to_ask(task->on);
	}
	if (lwstp_is_held(word))
		lwstp_task_go_on(task);
}

static LWSTP_ON_SERVICE void
look_at(struct lwstp_service *service, struct lwstp_post *post, bool between)
{
	if (post->look)
		post->look(service, post);
	else
		look_at_task(service, post, between);
}

static LWSTP_ON_SERVICE void
collect(struct lwstp_service *service, bool between)
{
	struct lwstp_post *post = NULL, *next;

	if (between) {
		post = service->held;
		service->held = NULL;
	}
	for (; post; post = next) {
		next = post->next;
		look_at(service, post, between);
	}
	for (post = lwstp_inbox_take(&service->inbox); post; post = next) {
		next = post->next;
		look_at(service, post, between);
	}
}

LWSTP_ON_SERVICE void
lwstp_service_collect(struct lwstp_service *service)
{
	collect(service, false);
	if (service->to_ask || service->held || service->calls)
		lwstp_signal_self(service);
}

/* What is posted may have been SYNCING before, in another place of the order:
 * it is looked at first. */
LWSTP_ON_SERVICE struct lws_threadpool_task *
lwstp_service_next_task(struct lwstp_wsi *on)
{
	const struct lwstp_task *task = lwstp_attention_first(on);

	if (!task || (atomic_load(&task->slot.word) & LWSTP_POSTED)) {
		lwstp_service_collect(on->service);
		task = lwstp_attention_first(on);
	}
	if (!task)
		task = on->attached;

	return task ? lwstp_task_handle(task, atomic_load(&task->slot.word)) :
		      NULL;
}

/*
 * Asking lws
 */

/* ask_again() looks at it after a second */
static LWSTP_ON_SERVICE void
note_asked(struct lwstp_wsi *on, lws_usec_t now)
{
	struct lwstp_service *service = on->service;

	on->asked_at = now;
	if (on->is_asked)
		return;
	on->is_asked = true;
	service->n_asked++;
	DL_APPEND2(service->asked, on, ask_prev, ask_next);
}

LWSTP_ON_SERVICE void
lwstp_ask_wsi(struct lwstp_wsi *on)
{
	lws_callback_on_writable(on->wsi);
}

static void
ask_again(lws_sorted_usec_list_t *sul)
{
	struct lwstp_service *service = lws_container_of(
		sul, struct lwstp_service, ask_again);
	lws_usec_t now = lwstp_now(), due, next = ASK_AGAIN_US;
	struct lwstp_wsi *on;
	unsigned int n;

	lwstp_on_service();
	lwstp_service_note(service);
	for (n = service->n_asked; n && (on = service->asked); n--) {
		lwstp_not_asked(on);
		if (on->is_to_ask || on->is_due_stream || !lwstp_has_unseen(on))
			continue;
		due = on->asked_at + ASK_AGAIN_US - now;
		if (due > 0) {
			note_asked(on, on->asked_at);
			next = due < next ? due : next;
			continue;
		}
		note_asked(on, now);
		lwstp_log(LLL_INFO,
			  "lws_threadpool: asking for WRITEABLE "
			  "again for %s %p\n",
			  on->ss ? "ss" : "wsi",
			  on->ss ? (void *)on->ss : (void *)on->wsi);
		on->ask(on);
	}
	if (service->asked)
		lwstp_schedule(service, sul, ask_again,
			       next > 1000 ? next : 1000);
}

/* asks lws for all that is on to_ask by now; what is added meanwhile stays */
static LWSTP_ON_SERVICE bool
ask_all(struct lwstp_service *service)
{
	unsigned int n = service->n_to_ask;
	struct lwstp_wsi *on;
	lws_usec_t now;

	if (!n)
		return false;
	now = lwstp_now();
	while (n-- && (on = service->to_ask)) {
		DL_DELETE(service->to_ask, on);
		service->n_to_ask--;
		on->is_to_ask = false;
		if (lwstp_attention_first(on))
			note_asked(on, now);
		else if (!on->wanted)
			continue;
		on->wanted = false;
		on->ask(on);
	}
	lwstp_schedule(service, &service->ask_again, ask_again, ASK_AGAIN_US);

	return true;
}

LWSTP_ON_SERVICE void
lwstp_ask_for_others(struct lwstp_wsi *on)
{
	if (on->closing || !lwstp_attention_first(on))
		return;
	lwstp_to_ask(on);
	lwstp_signal_self(on->service);
}

/*
 * Between two callbacks
 */

static LWSTP_ON_SERVICE bool
answer(struct lwstp_service *service)
{
	lwstp_service_note(service);
	service->is_signalled = false;
	collect(service, true);

	return ask_all(service);
}

/* H1: unless it got a wsi meanwhile, or was reaped */
static LWSTP_ON_SERVICE void
tell_end(struct lwstp_service *service, struct lwstp_post *post, bool told)
{
	struct lwstp_task *task = lws_container_of(post, struct lwstp_task,
						   post);
	struct lwstp_deferred deferred = { .signal = NULL };
	uint64_t word = atomic_load(&task->slot.word);

	if (is_told_end(word) && told)
		lwstp_on_end(task, word, NULL);
	word = atomic_load(&task->slot.word);
	if (is_told_end(word))
		lwstp_task_reap(task, &word, &deferred);
	look_at_task(service, post, false);
	lwstp_deferred_do(&deferred, NULL);
}

/* R1: by a timer, or as the context ends: lws is NULL.  What is collected in
 * one of them is for the next turn. */
static LWSTP_ON_SERVICE void
make_calls(struct lwstp_service *service, struct lws_context *lws)
{
	struct lwstp_post *post, *next = service->calls;
	struct lwstp_call *call;

	service->calls = NULL;
	while ((post = next)) {
		next = post->next;
		if (!post->look) {
			tell_end(service, post, lws);
			continue;
		}
		call = lws_container_of(post, struct lwstp_call, post);
		call->call(lws, call->arg);
		free(call);
	}
}

LWSTP_ON_SERVICE bool
lwstp_service_turn(struct lwstp_service *service)
{
	bool asked = answer(service);

	make_calls(service, atomic_load(&service->context->lws));

	return asked;
}

static void
look(lws_sorted_usec_list_t *sul)
{
	struct lwstp_service *service = lws_container_of(
		sul, struct lwstp_service, look);

	lwstp_on_service();
	if (lwstp_service_turn(service) ||
	    atomic_load_explicit(&service->answered, memory_order_relaxed)) {
		atomic_store_explicit(&service->answered, false,
				      memory_order_relaxed);
		atomic_store_explicit(&service->looking, true,
				      memory_order_relaxed);
		service->looks_left = LOOKS;
	}
	if (!service->looks_left) {
		atomic_store_explicit(&service->looking, false,
				      memory_order_relaxed);
		return;
	}
	service->looks_left--;
	lwstp_schedule(service, sul, look, 1);
}

/* lws tells that our fd is readable, or of lws_cancel_service() */
LWSTP_ON_SERVICE void
lwstp_service_answer(struct lwstp_service *service)
{
#if defined(LWSTP_HAVE_EVENTFD)
	eventfd_t value;

	if (atomic_load(&service->adopted))
		(void)eventfd_read(service->fd, &value);
#endif
	service->heard = true;
	if (!answer(service) && !service->calls)
		return;
	service->looks_left = LOOKS;
	lwstp_schedule(service, &service->look, look, 1);
}

LWSTP_ON_SERVICE void
lwstp_service_answer_soon(struct lwstp_service *service)
{
	lwstp_service_note(service);
	service->heard = true;
	lwstp_schedule(service, &service->look, look, 1);
}

/*
 * The end
 */

/* Of what is held, the posts may still be on their way. */
static void
release_held(const struct lwstp_service *service)
{
	uint32_t n, used = atomic_load(&lwstp_slots[LWSTP_TASKS].used);
	struct lwstp_task *task;
	uint64_t word;

	for (n = 0; n < used; n++) {
		task = lwstp_task_at(n);
		word = atomic_load(&task->slot.word);
		while (lwstp_is_held(word) &&
		       atomic_load(&task->service) == service &&
		       !lwstp_task_resume(task, &word, 0))
			;
	}
}

LWSTP_ON_SERVICE void
lwstp_service_end(struct lwstp_service *service)
{
	collect(service, true);
	release_held(service);
	while (service->calls)
		make_calls(service, NULL);
	lws_sul_cancel(&service->ask_again);
	lws_sul_cancel(&service->ask_streams);
	lws_sul_cancel(&service->sweep);
	lws_sul_cancel(&service->look);
	lws_sul_cancel(&service->expect);
	lws_sul_cancel(&service->clock);
}
