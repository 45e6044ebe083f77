/*
 * lws-threadpool - tasks that hang on a secure stream instead of a wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * A secure stream (ss) outlives its connections: its tasks stay with it while
 * it is disconnected.  What SYNC asks for is its tx callback, and to ask for
 * that may start a connection, or make lws want to destroy the stream: so a
 * stream is asked from a timer, where no callback of any stream is on the
 * stack.
 *
 * Nothing public tells of the end of an ss but its own state callback.  So the
 * application passes its states to lws_threadpool_ss_event(); compiled in, lws
 * calls lws_threadpool_ss_destroying() first thing in lws_ss_destroy()
 * (LWSTP_LWS_SS_HOOK: scripts/build-into-lws adds that call).  Either way all
 * that hung on it is detached then.
 */

#include "private.h"

#if defined(LWS_WITH_SECURE_STREAMS)

/* the application has ever called lws_threadpool_ss_event() */
static atomic_bool opted_in;

/* W4: the latest ss that this thread was told is being destroyed.  If another
 * one has its address by now, we have been told of that one's CREATING. */
static _Thread_local struct lws_ss_handle *ended;

static int
tsi_of(const struct lws_ss_handle *ss)
{
#if defined(LWSTP_LWS_SS_HOOK)
	return lwstp_hook_ss_tsi(ss);
#else
	(void)ss;

	return 0; /* with several service threads it is refused */
#endif
}

/* its service thread, which is this one; NULL: its context never had a pool */
static struct lwstp_service *
service_of(struct lws_ss_handle *ss)
{
	struct lwstp_context *context = NULL;

	if (ss)
		context = lwstp_context_find(lws_ss_get_context(ss));
	if (!context)
		return NULL;
	lwstp_service_note(&context->service[tsi_of(ss)]);

	return &context->service[tsi_of(ss)];
}

static LWSTP_ON_SERVICE struct lwstp_wsi *
find(struct lws_ss_handle *ss)
{
	struct lwstp_service *service = service_of(ss);

	return service ? lwstp_wsi_find(service, ss) : NULL;
}

/*
 * Asking
 */

/* All the retries that its policy allows have failed: whether to begin anew is
 * the application's to say.  (And lws 4.3 destroys a stream that is asked to
 * transmit then.) */
static LWSTP_ON_SERVICE bool
is_given_up(const struct lwstp_wsi *on)
{
#if defined(LWSTP_LWS_SS_HOOK)
	return lwstp_hook_ss_given_up(on->ss);
#else
	return on->given_up;
#endif
}

static LWSTP_ON_SERVICE bool
is_open(struct lwstp_service *service, struct lws_ss_handle *ss)
{
	struct lwstp_wsi *on = lwstp_wsi_find(service, ss);

	return on && !on->closing;
}

/* The caller has to obey DESTROY_ME, which is what the stream's own state
 * callback wanted.  lws 4.2 obeys by itself: then it is not open any more. */
static void
ask_streams(lws_sorted_usec_list_t *sul)
{
	struct lwstp_service *service = lws_container_of(
		sul, struct lwstp_service, ask_streams);
	struct lws_ss_handle *ss;
	struct lwstp_wsi *on;

	lwstp_on_service();
	while ((on = service->streams)) {
		DL_DELETE(service->streams, on);
		on->is_due_stream = false;
		if (!lwstp_attention_first(on) || is_given_up(on))
			continue;
		ss = on->ss;
		if (lws_ss_request_tx(ss) == LWSSSSRET_DESTROY_ME &&
		    is_open(service, ss))
			lws_ss_destroy(&ss);
	}
}

static LWSTP_ON_SERVICE void
ask_ss(struct lwstp_wsi *on)
{
	if (on->is_due_stream)
		return;
	on->is_due_stream = true;
	DL_APPEND(on->service->streams, on);
	lwstp_schedule(on->service, &on->service->ask_streams, ask_streams, 1);
}

/*
 * Its life
 */

#if defined(LWSTP_LWS_SS_HOOK)

void
lws_threadpool_ss_destroying(struct lws_ss_handle *ss);

void
lws_threadpool_ss_destroying(struct lws_ss_handle *ss)
{
	lwstp_on_service();
	lwstp_ss_close(find(ss));
}

#endif

static const struct lwstp_refusal *
refusal(const struct lwstp_context *context, const struct lws_ss_handle *ss)
{
	static const struct lwstp_refusal destroying = {
		LWSTP_REFUSED_SS_DESTROYING, LWS_TP_REFUSED_CLOSING, LLL_ERR,
		"the secure stream is being destroyed"
	};
#if defined(LWSTP_LWS_SS_HOOK)
	(void)context;

	return lwstp_hook_ss_destroying(ss) ? &destroying : NULL;
#else
	static const struct lwstp_refusal not_opted_in = {
		LWSTP_REFUSED_SS_UNTOLD, LWS_TP_REFUSED_ARGS, LLL_ERR,
		"the application does not pass the states of its secure "
		"streams to lws_threadpool_ss_event()"
	};
	/* lws does not tell which of them is the stream's */
	static const struct lwstp_refusal threads = {
		LWSTP_REFUSED_SS_THREADS, LWS_TP_REFUSED_WRONG_THREAD, LLL_ERR,
		"with several service threads, that of a secure stream is not "
		"known"
	};

	if (!atomic_load(&opted_in))
		return &not_opted_in;
	if (ss == ended)
		return &destroying;

	return context->services > 1 ? &threads : NULL;
#endif
}

LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_ss_make(struct lwstp_context *context, struct lws_ss_handle *ss,
	      const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal
		foreign = { LWSTP_REFUSED_FOREIGN, LWS_TP_REFUSED_CONTEXT,
			    LLL_ERR,
			    "the ss is not of the pool's context, or that is "
			    "gone" },
		no_context = { LWSTP_REFUSED_NO_CONTEXT, LWS_TP_REFUSED_CONTEXT,
			       LLL_ERR,
			       "the context is being destroyed, or its hidden "
			       "vhost could not be made" },
		no_memory = { LWSTP_REFUSED_MEMORY, LWS_TP_REFUSED_MEMORY,
			      LLL_ERR, "out of memory" },
		closing = { LWSTP_REFUSED_CLOSING, LWS_TP_REFUSED_CLOSING,
			    LLL_ERR, "the secure stream is closing" };
	struct lwstp_service *service;
	struct lwstp_wsi *on;

	*why = refusal(context, ss);
	if (!*why && lws_ss_get_context(ss) != atomic_load(&context->lws))
		*why = &foreign;
	if (*why)
		return NULL;
	service = service_of(ss);
	on = lwstp_wsi_find(service, ss);
	if (on && on->closing)
		*why = &closing;
	if (on)
		return on->closing ? NULL : on;
	if (!lwstp_watch_open(context)) {
		*why = &no_context;
		return NULL;
	}
	on = lwstp_wsi_new(service, NULL, ss, ask_ss);
	if (on)
		lwstp_service_expect(service);
	else
		*why = &no_memory;

	return on;
}

/* What was asked for before it was connected is forgotten by lws: once it is,
 * we ask again, for what was seen meanwhile too (S3). */
static LWSTP_ON_SERVICE void
note_state(struct lwstp_wsi *on, lws_ss_constate_t state)
{
	if (!on)
		return;
	on->given_up = state == LWSSSCS_ALL_RETRIES_FAILED;
	if (state == LWSSSCS_CONNECTED)
		lwstp_ask_for_others(on);
}

int
lws_threadpool_ss_event(struct lws_ss_handle *ss, lws_ss_constate_t state)
{
	if (!ss)
		return 0;
	lwstp_on_service();
	atomic_store(&opted_in, true);

	if (state == LWSSSCS_DESTROYING) {
		ended = ss;
		lwstp_ss_close(find(ss));
		return 0;
	}
	if (ss == ended)
		ended = NULL;
	if (state == LWSSSCS_POLL || state == LWSSSCS_CONNECTING ||
	    state == LWSSSCS_CONNECTED || state == LWSSSCS_ALL_RETRIES_FAILED)
		note_state(find(ss), state);

	return 0;
}

/*
 * What the application asks of a stream
 */

struct lws_threadpool_task *
lws_threadpool_get_task_ss(struct lws_ss_handle *ss)
{
	struct lwstp_wsi *on;

	lwstp_on_service();
	on = lwstp_find_here(ss);

	return on ? lwstp_service_next_task(on) : NULL;
}

int
lws_threadpool_foreach_task_ss(struct lws_ss_handle *ss, void *user,
			       int (*cb)(struct lws_threadpool_task *task,
					 void *user))
{
	struct lwstp_cursor cursor;

	if (!cb) {
		lwstp_log(LLL_ERR, "%s: cb is NULL\n", __func__);
		return 0;
	}
	lwstp_on_service();

	return lwstp_wsi_foreach(lwstp_find_here(ss), &cursor, user, cb);
}

#endif
