/*
 * lws-threadpool unit tests - H1, on_sync, and what follows from its return
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

#include <limits.h>

static int
play_serve(struct play *p)
{
	return lws_threadpool_serve(p->c->wsi);
}

/* ---- what it returns ---- */

/* H1: 0: goes on */
static void
resume(void **state)
{
	struct play p;

	play_begin(&p, *state, CONN_RAW, 3);
	for (int n = 1; n < 4; n++) {
		assert_int_equal(play_serve(&p), 0);
		assert_int_equal(atomic_load(&p.s->syncs), n);
		assert_ptr_equal(p.s->wsi, p.c->wsi);
		if (n < 3)
			play_until_sync(&p, n + 1);
	}
	play_to_the_end(&p);
	assert_int_equal(atomic_load(&p.s->syncs), 3);
	assert_int_equal(p.s->how, LWS_TP_STATUS_FINISHED);
}

static void *
sync_it(void *task)
{
	lws_threadpool_task_sync(task, 0);

	return NULL;
}

/* H1: 1: stays, for a later WRITEABLE or task_sync(), by this thread or
 * another, and by a stop */
static void
stay(void **state)
{
	struct play p;
	pthread_t t;

	play_begin(&p, *state, CONN_RAW, 5);
	p.s->sync_ret = LWS_TP_ON_SYNC_STAY;
	assert_int_equal(play_serve(&p), 0);
	play_is_syncing(&p);
	assert_int_equal(play_serve(&p), 0);
	play_is_syncing(&p);
	assert_int_equal(atomic_load(&p.s->j->calls), 1);

	p.s->sync_ret = LWS_TP_ON_SYNC_RESUME;
	assert_int_equal(play_serve(&p), 0);
	play_until_sync(&p, 2);

	p.s->sync_ret = LWS_TP_ON_SYNC_STAY;
	assert_int_equal(play_serve(&p), 0);
	lws_threadpool_task_sync(p.s->j->task, 0);
	play_until_sync(&p, 3);

	assert_int_equal(play_serve(&p), 0);
	assert_int_equal(pthread_create(&t, NULL, sync_it, p.s->j->task), 0);
	pthread_join(t, NULL);
	play_until_sync(&p, 4);

	assert_int_equal(play_serve(&p), 0);
	lws_threadpool_task_sync(p.s->j->task, 1);
	wait_status(p.s->j, LWS_TP_STATUS_STOPPED);
	play_to_the_end(&p);
	assert_int_equal(p.s->how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(p.s->why, LWS_TP_STOP_ASKED);
	assert_int_equal(atomic_load(&p.s->j->stopping), 1);
}

static bool
is_past(void *when)
{
	return lws_now_usecs() > *(lws_usec_t *)when;
}

/* H2, S5: what was served was looked at, so that nothing more comes for it */
static void
stays_and_nothing_comes_later(void **state)
{
	struct rig *rig = *state;
	lws_usec_t when;
	struct play p;
	int calls;

	/* its second SYNC, at which nothing but serve() looks */
	play_begin(&p, rig, CONN_RAW, 2);
	assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
	p.s->sync_ret = LWS_TP_ON_SYNC_STAY;
	p.c->manual = false;
	rig_until_int(rig, &p.s->syncs, 2);
	job_fence(rig, p.tp);
	rig_drain(rig);
	calls = served_calls;
	log_info();
	rig->tick_us = 100 * LWS_US_PER_MS;
	when = lws_now_usecs() + 2500 * LWS_US_PER_MS;
	rig_until(rig, is_past, &when);
	assert_int_equal(served_calls, calls);
	assert_int_equal(log_count(LLL_INFO, "again"), 0);
	play_to_the_end(&p);
}

/* H1: 2, and any above: is asked to stop, by one call with STOPPING (T4) */
static void
asked_to_stop(void **state)
{
	static const int rets[] = { LWS_TP_ON_SYNC_STOP, 3, 100, INT_MAX };
	struct play p;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(rets); n++) {
		play_begin(&p, *state, CONN_RAW, 5);
		p.s->sync_ret = rets[n];
		assert_int_equal(play_serve(&p), 0);
		/* by then the service thread may be between two callbacks */
		rig_until_status(p.s->j, LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&p.s->j->running), 1);
		assert_int_equal(atomic_load(&p.s->j->stopping), 1);
		assert_int_equal(atomic_load(&p.s->ends), 0);
		play_to_the_end(&p);
		assert_int_equal(p.s->how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(p.s->why, LWS_TP_STOP_ASKED);
		assert_int_equal(p.s->cleanup_how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(p.s->cleanup_why, LWS_TP_STOP_ASKED);
	}
}

/* H1, T4: it may answer a stop with FINISHED; on_end is told so */
static void
stop_and_it_finishes(void **state)
{
	struct play p;

	play_begin(&p, *state, CONN_RAW, 5);
	p.s->j->stop_ret = LWS_TP_RETURN_FINISHED;
	p.s->sync_ret = LWS_TP_ON_SYNC_STOP;
	assert_int_equal(play_serve(&p), 0);
	rig_until_status(p.s->j, LWS_TP_STATUS_FINISHED);
	play_to_the_end(&p);
	assert_int_equal(p.s->how, LWS_TP_STATUS_FINISHED);
	assert_int_equal(p.s->why, LWS_TP_STOP_NONE);
}

/* H1: negative: stays, and serve() says so: it is not called before the
 * close */
static void
negative_stays(void **state)
{
	static const int rets[] = { -1, -2, INT_MIN };
	struct play p;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(rets); n++) {
		play_begin(&p, *state, CONN_RAW, 5);
		p.s->sync_ret = rets[n];
		assert_true(play_serve(&p) < 0);
		play_is_syncing(&p);
		/* the application did not close it, and may go on */
		play_to_the_end(&p);
		assert_int_equal(p.s->how, LWS_TP_STATUS_FINISHED);
		assert_int_equal(atomic_load(&p.s->syncs), 1 + 5);
	}
}

/* H1, W1: and with the connection the task ends: no on_end */
static void
negative_closes(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		play_begin(&p, rig, (enum conn_kind)kind, 5);
		served_ret = 0;
		p.s->sync_ret = -1;
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		conn_until_closed(p.c);
		assert_true(served_ret < 0);
		assert_int_equal(atomic_load(&p.s->syncs), 1);
		assert_int_equal(atomic_load(&p.s->ends), 0);
		assert_int_equal(atomic_load(&p.s->j->stopping), 1);
		assert_null(p.s->j->cleanup_wsi);
		assert_int_equal(p.s->cleanup_how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(p.s->cleanup_why, LWS_TP_STOP_CLOSED);
	}
}

/* H1: one that is not set counts as one that returns 0 */
static void
only_one_is_set(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *no_sync = served_script(rig, 3, LWS_TP_RETURN_SYNC),
		      *no_end = served_script(rig, 3, LWS_TP_RETURN_SYNC);

	no_sync->o.on_sync = NULL;
	no_end->o.on_end = NULL;
	assert_non_null(served_enqueue(tp, no_sync, c->wsi));
	assert_non_null(served_enqueue(tp, no_end, c->wsi));
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&no_sync->j->running), 4);
	assert_int_equal(atomic_load(&no_sync->syncs), 0);
	assert_int_equal(atomic_load(&no_sync->ends), 1);
	assert_int_equal(atomic_load(&no_end->syncs), 3);
	assert_int_equal(atomic_load(&no_end->ends), 0);
	assert_ptr_equal(no_end->j->cleanup_wsi, c->wsi);
	assert_int_equal(served_ret, 0);
}

/* ---- what else asks it to stop meanwhile (S7) ---- */

static int
finishes(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	lws_threadpool_finish(p->tp);
	if (lws_threadpool_task_status(s->j->task, NULL) !=
	    LWS_TP_STATUS_STOPPING)
		job_fault(s->j, "finish() does not ask it to stop");

	return s->sync_ret;
}

/* S7, P3: a finish() in it: the STOPPING comes after it, whatever it returns,
 * and its end is served as any other */
static void
finish_within(void **state)
{
	struct rig *rig = *state;
	struct play p;

	for (int ret = 0; ret < 3; ret++) {
		play_begin(&p, rig, CONN_RAW, 3);
		p.s->on_sync = finishes;
		p.s->sync_ret = ret;
		/* RESUME and STOP hand the data back at once (S4) */
		p.c->manual = false;
		lws_callback_on_writable(p.c->wsi);
		rig_until_int(rig, &p.s->j->cleanups, 1);
		assert_int_equal(atomic_load(&p.s->j->running), 1);
		assert_int_equal(atomic_load(&p.s->j->stopping), 1);
		assert_int_equal(atomic_load(&p.s->syncs), 1);
		assert_int_equal(atomic_load(&p.s->ends), 1);
		assert_int_equal(p.s->how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(p.s->why, LWS_TP_STOP_FINISH);
		assert_ptr_equal(p.s->j->cleanup_wsi, p.c->wsi);
	}
}

/* H1: what waits for its STOPPING is not SYNCING: it is not served */
static void
not_served_while_it_is_to_stop(void **state)
{
	struct play p;

	play_begin(&p, *state, CONN_RAW, 3);
	lws_threadpool_finish(p.tp);
	assert_int_equal(play_serve(&p), 0);
	assert_int_equal(atomic_load(&p.s->syncs), 0);
	play_to_the_end(&p);
	assert_int_equal(atomic_load(&p.s->syncs), 0);
	assert_int_equal(p.s->why, LWS_TP_STOP_FINISH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(resume),
		SERVED_TEST(stay),
		SERVED_TEST(stays_and_nothing_comes_later),
		SERVED_TEST(asked_to_stop),
		SERVED_TEST(stop_and_it_finishes),
		SERVED_TEST(negative_stays),
		SERVED_TEST(negative_closes),
		SERVED_TEST(only_one_is_set),
		SERVED_TEST(finish_within),
		SERVED_TEST(not_served_while_it_is_to_stop),
	};

	return cmocka_run_group_tests_name("H1 on_sync", tests, NULL, NULL);
}
