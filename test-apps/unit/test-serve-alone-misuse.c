/*
 * lws-threadpool unit tests - H1, what on_end of a task that never had a wsi
 * does, and what is done meanwhile
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

struct within {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;
	struct served *next[2];
	int got;
};

static int
reaps_itself(struct served *s, struct lws *wsi)
{
	(void)wsi;
	if (lws_threadpool_task_status(s->j->task, NULL) != s->how)
		job_fault(s->j, "its status in on_end is not how it ended");
	lws_threadpool_dequeue_task(s->j->task);
	lws_threadpool_task_status(s->j->task, NULL);
	lws_threadpool_task_sync(s->j->task, 1);
	s->j->data++;

	return 0;
}

static int
goes_on(struct served *s, struct lws *wsi)
{
	struct within *w = s->priv;

	(void)wsi;
	w->next[0] = served_new(w->rig);
	w->next[1] = served_new(w->rig);
	if (!served_enqueue(w->tp, w->next[0], w->c->wsi) ||
	    !served_enqueue(w->tp, w->next[1], NULL))
		job_fault(s->j, "an enqueue in on_end is refused");

	return 0;
}

static int
serves(struct served *s, struct lws *wsi)
{
	struct within *w = s->priv;

	(void)wsi;
	w->got = lws_threadpool_serve(NULL) | lws_threadpool_serve(w->c->wsi);
	if (lws_threadpool_this_task() != s->j->task)
		job_fault(s->j, "this_task() is not the innermost");

	return 0;
}

static int
destroys(struct served *s, struct lws *wsi)
{
	struct within *w = s->priv;

	(void)wsi;
	rig_pool_destroy(w->rig, w->tp);
	s->j->data++;

	return 0;
}

/* H1, R1: to reap itself takes effect afterwards; to enqueue, on a wsi too; to
 * serve a wsi; and to destroy the pool */
static void
within_it(void **state)
{
	int (*const fns[])(struct served *s, struct lws *wsi) = {
		reaps_itself, goes_on, serves, destroys
	};
	struct rig *rig = *state;
	struct within w = { rig, NULL, conn_open(rig, CONN_RAW), { NULL }, 1 };
	struct served *s, *syncing = NULL;

	w.c->manual = true;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(fns); n++) {
		w.tp = rig_pool(rig, 1, 10);
		/* with several service threads it may not be the wsi's first */
		syncing = served_syncing(rig, w.tp, w.c->wsi);
		s = served_new(rig);
		s->on_end = fns[n];
		s->priv = &w;
		assert_non_null(served_enqueue(w.tp, s, NULL));
		rig_until_int(rig, &s->j->cleanups, 1);
		assert_int_equal(atomic_load(&s->ends), 1);
		assert_null(s->j->cleanup_wsi);
		assert_true(pthread_equal(s->j->cleanup_thread, rig->thread));
		if (fns[n] == goes_on) {
			rig_until_status(w.next[0]->j, LWS_TP_STATUS_FINISHED);
			lws_threadpool_task_status(w.next[0]->j->task, NULL);
		}
		if (fns[n] == serves)
			assert_int_equal(atomic_load(&syncing->syncs), 1);
		lws_threadpool_dequeue_task(syncing->j->task);
	}
	assert_int_equal(w.got, 0);
	rig_until_int(rig, &w.next[1]->j->cleanups, 1);
}

/* Q1: asked for its status while its on_end is on its way: it is cleaned up
 * once, and on_end is not called after that (the harness sees both) */
static void
asked_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct served *s;

	for (int n = 0; n < 200; n++) {
		s = served_new(rig);
		assert_non_null(served_enqueue(tp, s, NULL));
		while (lws_threadpool_task_status(s->j->task, NULL) !=
		       LWS_TP_STATUS_FINISHED)
			if (n & 1)
				rig_turns(rig, 1);
	}
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(within_it),
		SERVED_TEST(asked_meanwhile),
	};

	return cmocka_run_group_tests_name("H1 without a wsi, misuse", tests,
					   NULL, NULL);
}
