/*
 * lws-threadpool unit tests - jobs with handlers, which serve() calls
 *
 * SPDX-License-Identifier: MIT
 *
 * Handlers belong to the service thread, which is the test's; cleanups to
 * whichever thread calls them.
 */

#include "served.h"

#include "closings.h"

int served_turns, served_calls, served_ret;

static struct served *all;

static struct served *
served_of(void *user)
{
	struct job *j = user;

	return j->priv;
}

/* ---- the handlers ---- */

static void
handler_begins(struct served *s, struct lws *wsi)
{
	struct job *j = s->j;

	s->turn = ++served_turns;
	s->wsi = wsi;
	if (!pthread_equal(pthread_self(), j->rig->thread))
		job_fault(j, "a handler on another thread (H1)");
	if (atomic_load(&j->in_call))
		job_fault(j, "a handler while its function runs (T2)");
	if (atomic_load(&j->cleanups))
		job_fault(j, "a handler after its cleanup (H1)");
	if (atomic_fetch_add(&s->inside, 1))
		job_fault(j, "a handler within its own (H1)");
	if (!s->elsewhere && lws_threadpool_this_task() != j->task)
		job_fault(j, "this_task() of a handler is another");
}

static void
handler_ends(struct served *s)
{
	if (!s->elsewhere && lws_threadpool_this_task() != s->j->task)
		job_fault(s->j, "this_task() is another as a handler ends");
	if (atomic_load(&s->j->cleanups))
		job_fault(s->j, "cleaned up while its handler runs (H1)");
	atomic_fetch_sub(&s->inside, 1);
}

static int
call_on_sync(struct lws *wsi, void *user)
{
	struct served *s = served_of(user);
	int calls = atomic_load(&s->j->calls), ret;

	handler_begins(s, wsi);
	if (!wsi)
		job_fault(s->j, "on_sync without a wsi (H1)");
	if (atomic_load(&s->ends))
		job_fault(s->j, "on_sync after on_end (H1)");
	if (lws_threadpool_end_status() != LWS_TP_STATUS_STOPPED ||
	    lws_threadpool_end_reason() != LWS_TP_STOP_NONE)
		job_fault(s->j, "an end in on_sync");
	atomic_fetch_add(&s->syncs, 1);
	ret = s->on_sync ? s->on_sync(s, wsi) : s->sync_ret;
	if (!s->answers && atomic_load(&s->j->calls) != calls)
		job_fault(s->j, "called while on_sync has its data (S7)");
	handler_ends(s);

	return ret;
}

static int
call_on_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct served *s = served_of(user);
	int ret;

	handler_begins(s, wsi);
	s->how = how;
	s->why = lws_threadpool_end_reason();
	if (how != LWS_TP_STATUS_FINISHED && how != LWS_TP_STATUS_STOPPED)
		job_fault(s->j, "on_end told neither FINISHED nor STOPPED");
	if (lws_threadpool_end_status() != how)
		job_fault(s->j, "end_status() is not what on_end was told");
	if (atomic_fetch_add(&s->ends, 1))
		job_fault(s->j, "on_end called twice (H1)");
	ret = s->on_end ? s->on_end(s, wsi) : s->end_ret;
	handler_ends(s);

	return ret;
}

static void
cleanup(struct job *j, struct lws *wsi)
{
	struct served *s = j->priv;

	if (atomic_load(&s->inside))
		job_fault(j, "cleaned up while its handler runs (H1)");
	s->cleanup_this = lws_threadpool_this_task();
	s->cleanup_how = lws_threadpool_end_status();
	s->cleanup_why = lws_threadpool_end_reason();
	if (s->on_cleanup)
		s->on_cleanup(s, wsi);
}

/* ---- the rig ---- */

int
served_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len)
{
	struct conn *c = reason_writeable(reason) ? conn_of(wsi) : NULL;
	int ret;

	(void)rig;
	(void)user;
	(void)in;
	(void)len;
	if (!c || c->manual || c->die || c->gone)
		return RIG_DEFAULT;
	if (wsi == c->wsi)
		c->writeables++;
	served_calls++;
	ret = lws_threadpool_serve(wsi);
	if (ret)
		served_ret = ret;

	return ret;
}

static void
forget(void)
{
	struct served *s;

	while ((s = all)) {
		all = s->next;
		free(s);
	}
	served_turns = served_calls = served_ret = 0;
}

struct rig *
served_rig(const struct rig_opts *opts)
{
	forget();

	return rig_create(opts);
}

int
served_rig_destroy(struct rig *rig)
{
	int bad = rig_destroy(rig);

	forget();

	return bad;
}

int
served_setup(void **state)
{
	const struct rig_opts opts = { .on_event = served_event };

	*state = served_rig(&opts);

	return 0;
}

int
served_teardown(void **state)
{
	return served_rig_destroy(*state);
}

/* ---- jobs ---- */

struct served *
served_new(struct rig *rig)
{
	struct served *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	s->j = job_new(rig);
	s->j->priv = s;
	s->j->name = "served";
	s->j->on_cleanup = cleanup;
	s->o.size = sizeof(s->o);
	s->o.on_sync = call_on_sync;
	s->o.on_end = call_on_end;
	s->next = all;
	all = s;

	return s;
}

struct served *
served_script(struct rig *rig, int repeat, int ret)
{
	struct served *s = served_new(rig);

	s->j->repeat = repeat;
	s->j->ret = ret;

	return s;
}

struct lws_threadpool_task *
served_enqueue(struct lws_threadpool *tp, struct served *s, struct lws *wsi)
{
	struct lws_threadpool_task_args args;

	job_args(s->j, wsi, &args);
	job_accepted(s->j, lws_threadpool_enqueue_ext(tp, &args, &s->o, "%s",
						      s->j->name));

	return s->j->task;
}

struct served *
served_syncing(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	struct served *s = served_script(rig, 1, LWS_TP_RETURN_SYNC);

	assert_non_null(served_enqueue(tp, s, wsi));
	wait_status(s->j, LWS_TP_STATUS_SYNCING);
	job_fence(rig, tp);

	return s;
}

struct served *
served_done(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	struct served *s = served_new(rig);

	assert_non_null(served_enqueue(tp, s, wsi));
	wait_status(s->j, LWS_TP_STATUS_FINISHED);
	job_fence(rig, tp);

	return s;
}

/* ---- plays ---- */

static void
play_open(struct play *p, struct rig *rig, enum conn_kind kind)
{
	memset(p, 0, sizeof(*p));
	p->rig = rig;
	p->tp = rig_pool(rig, 1, 100);
	p->c = conn_open(rig, kind);
	p->c->manual = true;
}

void
play_begin(struct play *p, struct rig *rig, enum conn_kind kind, int repeat)
{
	play_open(p, rig, kind);
	p->s = served_script(rig, repeat, LWS_TP_RETURN_SYNC);
	p->s->priv = p;
	assert_non_null(served_enqueue(p->tp, p->s, p->c->wsi));
	wait_status(p->s->j, LWS_TP_STATUS_SYNCING);
	job_fence(rig, p->tp);
}

void
play_handler(struct play *p, struct rig *rig, enum conn_kind kind, bool at_end,
	     int (*fn)(struct served *s, struct lws *wsi))
{
	play_open(p, rig, kind);
	p->at_end = at_end;
	p->s = at_end ? served_done(rig, p->tp, p->c->wsi) :
			served_syncing(rig, p->tp, p->c->wsi);
	p->s->priv = p;
	if (at_end)
		p->s->on_end = fn;
	else
		p->s->on_sync = fn;
	rig->priv = p;
}

int
play_ret(const struct play *p)
{
	return p->at_end ? p->s->end_ret : p->s->sync_ret;
}

void
play_is_over(struct play *p)
{
	rig_until_int(p->rig, &p->s->j->cleanups, 1);
	rig_drain(p->rig);
	assert_int_equal(atomic_load(&p->s->syncs), !p->at_end);
	assert_int_equal(atomic_load(&p->s->ends), p->at_end);
}

void
play_until_sync(struct play *p, int calls)
{
	wait_int(&p->s->j->calls, calls);
	wait_status(p->s->j, LWS_TP_STATUS_SYNCING);
	job_fence(p->rig, p->tp);
	assert_int_equal(atomic_load(&p->s->j->running), calls);
}

void
play_to_the_end(struct play *p)
{
	p->s->sync_ret = LWS_TP_ON_SYNC_RESUME;
	p->c->manual = false;
	lws_callback_on_writable(p->c->wsi);
	rig_until_int(p->rig, &p->s->j->cleanups, 1);
	assert_int_equal(atomic_load(&p->s->ends), 1);
}

void
play_is_syncing(struct play *p)
{
	job_fence(p->rig, p->tp);
	assert_int_equal(lws_threadpool_task_status_noreap(p->s->j->task),
			 LWS_TP_STATUS_SYNCING);
}
