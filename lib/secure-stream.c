/*
 * lws-threadpool - tasks that hang on a secure stream instead of a wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * A secure stream (ss) outlives its connections: its tasks stay with it while
 * it is disconnected.  What SYNC asks for is its tx callback, and to ask for
 * that may start a connection.
 *
 * Nothing public tells of the end of an ss but its own state callback.  So the
 * application passes its states to lws_threadpool_ss_event(); compiled in, lws
 * calls lws_threadpool_ss_destroying() first thing in lws_ss_destroy()
 * (LWSTP_LWS_SS_HOOK: scripts/build-into-lws adds that call).  Either way all
 * that hung on it is detached then, and the binding goes.
 */

#include "private.h"

#if defined(LWS_WITH_SECURE_STREAMS)

/* the application has ever called lws_threadpool_ss_event() */
static atomic_bool told;

/* W4: the latest ss of this thread that was told of as being destroyed.  Its
 * address may be another's by now: that has passed CREATING since. */
static _Thread_local struct lws_ss_handle *ended;

/*
 * A binding's life
 */

#if defined(LWSTP_LWS_SS_HOOK)

static enum lwstp_refusal
ss_refusal(const struct lwstp_host *host, const struct lws_ss_handle *ss)
{
	(void)host;

	return lwstp_host_ss_destroying(ss) ? LWSTP_SS_DESTROYING :
					      LWSTP_ACCEPTED;
}

static int
ss_tsi(const struct lws_ss_handle *ss)
{
	return lwstp_host_ss_tsi(ss);
}

#else

static enum lwstp_refusal
ss_refusal(const struct lwstp_host *host, const struct lws_ss_handle *ss)
{
	if (!atomic_load(&told))
		return LWSTP_SS_UNTOLD;
	if (ss == ended)
		return LWSTP_SS_DESTROYING;
	/* lws does not tell which of them is the stream's */
	if (host->bells > 1)
		return LWSTP_SS_THREADS;

	return LWSTP_ACCEPTED;
}

static int
ss_tsi(const struct lws_ss_handle *ss)
{
	(void)ss;

	return 0;
}

#endif

enum lwstp_refusal
lwstp_ss_make(struct lwstp_host *host, struct lws_ss_handle *ss)
{
	enum lwstp_refusal why = ss_refusal(host, ss);
	struct lwstp_binding *b;

	if (why)
		return why;
	if (lws_ss_get_context(ss) != host->context)
		return LWSTP_FOREIGN_WSI;
	if (!lwstp_host_open(host))
		return LWSTP_NO_HOST;

	b = lwstp_binding_new(&host->bell[ss_tsi(ss)], NULL, ss);
	if (!b)
		return LWSTP_OUT_OF_MEMORY;
	lwstp_bell_expect(b->bell);

	return LWSTP_ACCEPTED;
}

/* W1: lws begins to destroy it */
static void
ss_close(struct lws_ss_handle *ss)
{
	struct lwstp_binding *b;

	lwstp_lock_bindings();
	b = __lwstp_binding_find_ss(ss);
	if (b && b->closing)
		b = NULL;	/* told again, by a cleanup that this runs */
	if (b)
		__lwstp_binding_mark_closing(b);
	lwstp_unlock_bindings();
	if (b)
		lwstp_binding_end(b);
}

#if defined(LWSTP_LWS_SS_HOOK)

void
lws_threadpool_ss_destroying(struct lws_ss_handle *ss);

void
lws_threadpool_ss_destroying(struct lws_ss_handle *ss)
{
	ss_close(ss);
}

#endif

/*
 * Asking
 */

static bool
is_bound(const struct lws_ss_handle *ss)
{
	struct lwstp_binding *b;

	lwstp_lock_bindings();
	b = __lwstp_binding_find_ss(ss);
	if (b && b->closing)
		b = NULL;
	lwstp_unlock_bindings();

	return b;
}

/* All the retries that its policy allows have failed: whether to begin anew is
 * the application's to say.  (And lws 4.3 destroys a stream that is asked to
 * transmit then.) */
static bool
is_given_up(const struct lws_ss_handle *ss)
{
#if defined(LWSTP_LWS_SS_HOOK)
	return lwstp_host_ss_given_up(ss);
#else
	struct lwstp_binding *b;
	bool given_up;

	lwstp_lock_bindings();
	b = __lwstp_binding_find_ss(ss);
	given_up = b && b->given_up;
	lwstp_unlock_bindings();

	return given_up;
#endif
}

/* The caller has to obey DESTROY_ME, which is what the stream's own state
 * callback wanted.  lws 4.2 obeys by itself: then it is not bound any more. */
void
lwstp_ss_ask(struct lws_ss_handle *ss)
{
	if (is_given_up(ss))
		return;
	if (lws_ss_request_tx(ss) == LWSSSSRET_DESTROY_ME && is_bound(ss))
		lws_ss_destroy(&ss);
}

/* What was asked for before it was connected is forgotten by lws: once it is,
 * we ask again, for what was looked at meanwhile too (S3). */
static void
note_state(struct lws_ss_handle *ss, lws_ss_constate_t state)
{
	struct lwstp_after after = { .ring = NULL };
	struct lwstp_binding *b;

	lwstp_lock_bindings();
	b = __lwstp_binding_find_ss(ss);
	if (b)
		b->given_up = state == LWSSSCS_ALL_RETRIES_FAILED;
	if (b && b->wanting && state == LWSSSCS_CONNECTED)
		__lwstp_bell_ring(b, &after);
	lwstp_unlock_bindings();
	lwstp_after_do(&after);
}

int
lws_threadpool_ss_event(struct lws_ss_handle *ss, lws_ss_constate_t state)
{
	if (!ss)
		return 0;
	atomic_store(&told, true);

	if (state == LWSSSCS_DESTROYING) {
		ended = ss;
		ss_close(ss);
		return 0;
	}
	if (ss == ended)
		ended = NULL;
	if (state == LWSSSCS_POLL || state == LWSSSCS_CONNECTING ||
	    state == LWSSSCS_CONNECTED || state == LWSSSCS_ALL_RETRIES_FAILED)
		note_state(ss, state);

	return 0;
}

/*
 * What the application asks of a stream
 */

struct lws_threadpool_task *
lws_threadpool_get_task_ss(struct lws_ss_handle *ss)
{
	struct lws_threadpool_task *handle;

	lwstp_lock_bindings();
	handle = __lwstp_binding_next_task(__lwstp_binding_find_ss(ss));
	lwstp_unlock_bindings();

	return handle;
}

int
lws_threadpool_foreach_task_ss(struct lws_ss_handle *ss, void *user,
			       int (*cb)(struct lws_threadpool_task *task,
					 void *user))
{
	struct lwstp_cursor cursor = { .outer = NULL };
	int stop;

	if (!cb) {
		lwsl_err("%s: cb is NULL\n", __func__);
		return 0;
	}
	lwstp_lock_bindings();
	cursor.binding = __lwstp_binding_find_ss(ss);
	stop = __lwstp_binding_foreach(&cursor, user, cb);
	lwstp_unlock_bindings();

	return stop;
}

#endif
