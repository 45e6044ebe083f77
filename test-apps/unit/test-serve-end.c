/*
 * lws-threadpool unit tests - H1, on_end: when it is called, and when not
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

#include <limits.h>

#include "closings.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* One in each state that a task can be in, on one wsi; the pool's only thread
 * is in `running` */
struct states {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;
	struct gate *gate;
	struct served *syncing, *done, *running, *queued;
	struct served *s[4];
};

static void
states_begin(struct states *st, struct rig *rig, enum conn_kind kind,
	     char async)
{
	st->rig = rig;
	st->tp = rig_pool(rig, 1, 10);
	st->c = conn_open(rig, kind);
	st->c->manual = true;
	st->gate = gate_new(rig);
	st->s[0] = st->syncing = served_script(rig, 1, LWS_TP_RETURN_SYNC);
	st->s[1] = st->done = served_new(rig);
	st->s[2] = st->running = served_script(rig, 1, LWS_TP_RETURN_SYNC);
	st->s[3] = st->queued = served_new(rig);
	st->running->j->gate = st->gate;
	for (int n = 0; n < 4; n++) {
		st->s[n]->j->async_task = async;
		assert_non_null(served_enqueue(st->tp, st->s[n], st->c->wsi));
	}
	wait_status(st->syncing->j, LWS_TP_STATUS_SYNCING);
	wait_status(st->done->j, LWS_TP_STATUS_FINISHED);
	wait_int(&st->running->j->calls, 1);
}

static void
no_handler_was_called(struct states *st)
{
	for (int n = 0; n < 4; n++) {
		assert_int_equal(atomic_load(&st->s[n]->syncs), 0);
		assert_int_equal(atomic_load(&st->s[n]->ends), 0);
	}
}

/* ---- what it is told, and what follows ---- */

static void
cleaned_after_its_handler(struct served *s, struct lws *wsi)
{
	if (!atomic_load(&s->ends))
		job_fault(s->j, "its cleanup came before on_end (H1)");
	if (wsi != s->wsi)
		job_fault(s->j, "its cleanup has another wsi than on_end");
	/* stale already, but to compare with (Q1) */
	if (lws_threadpool_task_status_noreap(lws_threadpool_this_task()) !=
	    LWS_TP_STATUS_FINISHED)
		job_fault(s->j, "it is not stale in its cleanup");
}

static int
looks_at_itself(struct served *s, struct lws *wsi)
{
	if (lws_threadpool_task_status_noreap(s->j->task) != s->how)
		job_fault(s->j, "its status in on_end is not how it ended");
	if (lws_threadpool_task_attached(s->j->task) != !!wsi)
		job_fault(s->j, "attached() is not what on_end is told");

	return s->end_ret;
}

/* H1: FINISHED and STOPPED, by each of the ways to an end; then its cleanup,
 * with the same wsi, by the time that serve() returns */
static void
told_how_it_ended(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		struct conn *c = conn_open(rig, (enum conn_kind)(n / 2));
		struct served *s = served_new(rig);

		c->manual = true;
		s->j->last = n & 1 ? LWS_TP_RETURN_FINISHED :
				     LWS_TP_RETURN_STOPPED;
		s->on_end = looks_at_itself;
		s->on_cleanup = cleaned_after_its_handler;
		assert_non_null(served_enqueue(tp, s, c->wsi));
		job_fence(rig, tp);
		assert_int_equal(lws_threadpool_serve(c->wsi), 0);
		assert_int_equal(atomic_load(&s->ends), 1);
		assert_int_equal(atomic_load(&s->j->cleanups), 1);
		assert_int_equal(s->how, n & 1 ? LWS_TP_STATUS_FINISHED :
						 LWS_TP_STATUS_STOPPED);
		assert_int_equal(s->why, LWS_TP_STOP_NONE);
		assert_ptr_equal(s->wsi, c->wsi);
		assert_ptr_equal(s->j->cleanup_wsi, c->wsi);
		assert_ptr_equal(s->cleanup_this, s->j->task);
		assert_int_equal(s->cleanup_how, s->how);
		assert_int_equal(s->cleanup_why, LWS_TP_STOP_NONE);
		assert_null(lws_threadpool_this_task());
		assert_int_equal(lws_threadpool_task_status(s->j->task, NULL),
				 LWS_TP_STATUS_FINISHED);
	}
}

/* H1: serve() returns what on_end returns */
static void
its_return_is_serves(void **state)
{
	static const int rets[] = { 0, 1, -1, 2, 1000, INT_MAX, INT_MIN };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s;

	c->manual = true;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(rets); n++) {
		s = served_done(rig, tp, c->wsi);
		s->end_ret = rets[n];
		assert_int_equal(lws_threadpool_serve(c->wsi), rets[n]);
		assert_int_equal(atomic_load(&s->j->cleanups), 1);
	}
}

/* H1, H2: so that the end of a task can be that of its connection, on each kind
 * of wsi; what is left of the wsi's tasks ends with it (W1) */
static void
its_return_closes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct lws *wsi = c->wsi;
		struct served *s, *other;

		c->manual = true;
		s = served_done(rig, tp, c->wsi);
		other = served_syncing(rig, tp, c->wsi);
		s->end_ret = -1;
		c->manual = false;
		lws_callback_on_writable(c->wsi);
		conn_until_closed(c);
		rig_until_int(rig, &other->j->cleanups, 1);
		assert_ptr_equal(s->j->cleanup_wsi, wsi);
		assert_null(other->j->cleanup_wsi);
		assert_int_equal(atomic_load(&other->ends), 0);
		assert_int_equal(atomic_load(&other->syncs), 0);
	}
}

/* H1: asked to stop before it started, or by a return that means nothing:
 * STOPPED, and the reason */
static void
told_why(void **state)
{
	struct rig *rig = *state;
	struct served *never = served_new(rig), *bad = served_new(rig);
	struct states st;

	states_begin(&st, rig, CONN_RAW, 0);
	bad->j->last = 1234;
	assert_non_null(served_enqueue(st.tp, never, st.c->wsi));
	assert_non_null(served_enqueue(st.tp, bad, st.c->wsi));
	lws_threadpool_task_sync(never->j->task, 1);
	lws_threadpool_task_sync(st.running->j->task, 1);
	st.c->manual = false;
	gate_open(st.gate);
	log_wait(LLL_ERR, "1234", 1);
	rig_until_cleaned(rig);
	assert_int_equal(log_claim(LLL_ERR, "1234"), 1);
	assert_int_equal(never->how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(never->why, LWS_TP_STOP_ASKED);
	assert_int_equal(atomic_load(&never->j->calls), 0);
	assert_int_equal(st.running->how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(st.running->why, LWS_TP_STOP_ASKED);
	assert_int_equal(bad->how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(bad->why, LWS_TP_STOP_BAD_RETURN);
	assert_int_equal(bad->cleanup_why, LWS_TP_STOP_BAD_RETURN);
	assert_int_equal(st.queued->how, LWS_TP_STATUS_FINISHED);
}

static int
asks_of_itself(struct job *j, enum lws_threadpool_task_status s)
{
	bool stop = s == LWS_TP_STATUS_STOPPING;

	if (lws_threadpool_this_task() != j->task)
		job_fault(j, "this_task() in its function is another");
	if (lws_threadpool_end_status() != LWS_TP_STATUS_STOPPED)
		job_fault(j, "an end in its function");
	if (lws_threadpool_end_reason() !=
	    (stop ? LWS_TP_STOP_ASKED : LWS_TP_STOP_NONE))
		job_fault(j, "end_reason() in its function");

	return stop ? LWS_TP_RETURN_STOPPED : LWS_TP_RETURN_SYNC;
}

/* where nothing ends: in a task function, but for its call with STOPPING, and
 * outside of all */
static void
asked_elsewhere(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct served *s = served_new(rig);

	job_block(rig, tp, gate); /* its task is known when it begins */
	s->j->fn = asks_of_itself;
	s->sync_ret = LWS_TP_ON_SYNC_STOP;
	assert_non_null(served_enqueue(tp, s, c->wsi));
	gate_open(gate);
	rig_until_int(rig, &s->j->cleanups, 1);
	assert_int_equal(s->why, LWS_TP_STOP_ASKED);
	assert_null(lws_threadpool_this_task());
	assert_int_equal(lws_threadpool_end_status(), LWS_TP_STATUS_STOPPED);
	assert_int_equal(lws_threadpool_end_reason(), LWS_TP_STOP_NONE);
}

/* H1, P3: finish() is an end like any other, of tasks in each state */
static void
finish_calls_it(void **state)
{
	struct rig *rig = *state;
	struct states st;

	states_begin(&st, rig, CONN_RAW, 0);
	lws_threadpool_finish(st.tp);
	st.c->manual = false;
	lws_callback_on_writable(st.c->wsi);
	gate_open(st.gate);
	rig_until_cleaned(rig);
	for (int n = 0; n < 4; n++) {
		assert_int_equal(atomic_load(&st.s[n]->ends), 1);
		assert_int_equal(atomic_load(&st.s[n]->syncs), 0);
		assert_ptr_equal(st.s[n]->j->cleanup_wsi, st.c->wsi);
		if (st.s[n] == st.done)
			continue;
		assert_int_equal(st.s[n]->how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(st.s[n]->why, LWS_TP_STOP_FINISH);
	}
	assert_int_equal(st.done->how, LWS_TP_STATUS_FINISHED);
	assert_int_equal(st.done->why, LWS_TP_STOP_NONE);
	assert_int_equal(atomic_load(&st.queued->j->calls), 0);
}

/* ---- what does not call handlers ---- */

/* H1: a close, of each kind and in each way */
static void
a_close_calls_none(void **state)
{
	struct states st;
	struct rig *rig = *state;

	for (int n = 0; n < (int)CONN_KINDS * CLOSING_CONTEXT; n++) {
		enum conn_kind kind = (enum conn_kind)(n / CLOSING_CONTEXT);
		enum closing way = (enum closing)(n % CLOSING_CONTEXT);

		/* that one needs an event callback of its own */
		if (!closing_can(kind, way) || way == CLOSING_WS_OURS)
			continue;
		states_begin(&st, rig, kind, 0);
		closing_do(st.c, way);
		gate_open(st.gate);
		rig_until_cleaned(rig);
		no_handler_was_called(&st);
		for (int i = 0; i < 4; i++)
			assert_null(st.s[i]->j->cleanup_wsi);
		assert_int_equal(st.done->cleanup_how, LWS_TP_STATUS_FINISHED);
		assert_int_equal(st.done->cleanup_why, LWS_TP_STOP_NONE);
		assert_int_equal(st.queued->cleanup_how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(st.queued->cleanup_why, LWS_TP_STOP_CLOSED);
		assert_int_equal(st.syncing->cleanup_why, LWS_TP_STOP_CLOSED);
		assert_int_equal(st.running->cleanup_why, LWS_TP_STOP_CLOSED);
		rig_pool_destroy(rig, st.tp);
	}
}

/* H1: nor the end of one that outlived its wsi */
static void
nor_the_end_of_one_that_lost_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct states st;

	states_begin(&st, rig, CONN_RAW, 1);
	conn_fin(st.c);
	conn_until_closed(st.c);
	gate_open(st.gate);
	rig_until_cleaned(rig);
	rig_drain(rig);
	no_handler_was_called(&st);
	assert_int_equal(atomic_load(&st.running->j->running), 2);
	assert_int_equal(atomic_load(&st.syncing->j->running), 2);
	assert_int_equal(atomic_load(&st.queued->j->running), 1);
	assert_int_equal(st.running->cleanup_how, LWS_TP_STATUS_FINISHED);
	assert_int_equal(st.running->cleanup_why, LWS_TP_STOP_NONE);
}

/* H1: dequeued, each or all of a wsi */
static void
a_dequeue_calls_none(void **state)
{
	struct rig *rig = *state;
	struct states st;

	for (int all = 0; all < 2; all++) {
		states_begin(&st, rig, CONN_RAW, 0);
		if (all)
			assert_int_equal(lws_threadpool_dequeue(st.c->wsi), 1);
		for (int n = 0; n < 4 && !all; n++)
			assert_int_equal(
				lws_threadpool_dequeue_task(st.s[n]->j->task),
				n % 2 == 0);
		st.c->manual = false;
		lws_callback_on_writable(st.c->wsi);
		gate_open(st.gate);
		rig_until_cleaned(rig);
		rig_drain(rig);
		no_handler_was_called(&st);
		assert_int_equal(st.done->cleanup_how, LWS_TP_STATUS_FINISHED);
		assert_int_equal(st.done->cleanup_why, LWS_TP_STOP_NONE);
		for (int n = 0; n < 4; n++)
			if (st.s[n] != st.done)
				assert_int_equal(st.s[n]->cleanup_why,
						 LWS_TP_STOP_ASKED);
		rig_pool_destroy(rig, st.tp);
	}
}

/* H1, Q1: task_status() reaps it, and calls nothing else */
static void
a_status_calls_none(void **state)
{
	struct rig *rig = *state;
	struct states st;

	states_begin(&st, rig, CONN_RAW, 0);
	for (int n = 0; n < 4; n++)
		lws_threadpool_task_status(st.s[n]->j->task, NULL);
	assert_int_equal(atomic_load(&st.done->j->cleanups), 1);
	assert_ptr_equal(st.done->j->cleanup_wsi, st.c->wsi);
	assert_int_equal(st.done->cleanup_how, LWS_TP_STATUS_FINISHED);
	no_handler_was_called(&st);
}

/* H1, P4: destroy(), though finish() came before it */
static void
destroy_calls_none(void **state)
{
	struct rig *rig = *state;
	struct states st;

	for (int finish = 0; finish < 2; finish++) {
		states_begin(&st, rig, CONN_RAW, 0);
		if (finish)
			lws_threadpool_finish(st.tp);
		gate_open(st.gate);
		rig_pool_destroy(rig, st.tp);
		no_handler_was_called(&st);
		for (int n = 0; n < 4; n++)
			assert_int_equal(atomic_load(&st.s[n]->j->cleanups), 1);
		st.c->manual = false;
		lws_callback_on_writable(st.c->wsi);
		rig_drain(rig);
		no_handler_was_called(&st);
	}
}

/* H1: nor the end of the context, before the pool's and after it */
static void
a_context_end_calls_none(void **state)
{
	const struct rig_opts opts = { .on_event = served_event };
	struct states st;
	struct rig *rig;

	(void)state;
	for (int pool_first = 0; pool_first < 2; pool_first++) {
		rig = served_rig(&opts);
		states_begin(&st, rig, CONN_RAW, 0);
		gate_open(st.gate);
		st.c->manual = false;
		if (pool_first)
			rig_pool_destroy(rig, st.tp);
		rig_context_destroy(rig);
		no_handler_was_called(&st);
		if (!pool_first)
			rig_pool_destroy(rig, st.tp);
		no_handler_was_called(&st);
		for (int n = 0; n < 4; n++)
			assert_int_equal(atomic_load(&st.s[n]->j->cleanups), 1);
		assert_int_equal(served_rig_destroy(rig), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(told_how_it_ended),
		SERVED_TEST(its_return_is_serves),
		SERVED_TEST(its_return_closes),
		SERVED_TEST(told_why),
		SERVED_TEST(asked_elsewhere),
		SERVED_TEST(finish_calls_it),
		SERVED_TEST(a_close_calls_none),
		SERVED_TEST(nor_the_end_of_one_that_lost_its_wsi),
		SERVED_TEST(a_dequeue_calls_none),
		SERVED_TEST(a_status_calls_none),
		SERVED_TEST(destroy_calls_none),
		cmocka_unit_test(a_context_end_calls_none),
	};

	return cmocka_run_group_tests_name("H1 on_end", tests, NULL, NULL);
}
