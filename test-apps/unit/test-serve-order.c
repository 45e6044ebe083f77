/*
 * lws-threadpool unit tests - H2, which task serve() serves
 *
 * SPDX-License-Identifier: MIT
 *
 * Here serve() is called by the test, so that the WRITEABLEs of the wsi do not
 * call it too: see test-serve-rings.c for those.
 */

#include "served.h"

struct order {
	struct lws_threadpool *tp;
	struct conn *c;
	struct served *s[4];
};

/* so many that are SYNCING, and stay so when they are served */
static void
order_begin(struct order *o, struct rig *rig, int n)
{
	o->tp = rig_pool(rig, 1, 100);
	o->c = conn_open(rig, CONN_RAW);
	o->c->manual = true;
	for (int i = 0; i < n; i++) {
		o->s[i] = served_syncing(rig, o->tp, o->c->wsi);
		o->s[i]->sync_ret = LWS_TP_ON_SYNC_STAY;
	}
}

/* one call of serve(), which serves that one and nobody else */
static void
serves(struct order *o, struct served *s)
{
	int turns = served_turns;

	assert_int_equal(lws_threadpool_serve(o->c->wsi), 0);
	assert_int_equal(served_turns, turns + (s ? 1 : 0));
	if (s)
		assert_int_equal(s->turn, served_turns);
}

/* somebody answers it, and it is SYNCING again when this returns */
static void
syncs_again(struct rig *rig, struct order *o, struct served *s)
{
	int calls = atomic_load(&s->j->calls);

	s->j->repeat++;
	lws_threadpool_task_sync(s->j->task, 0);
	wait_int(&s->j->calls, calls + 1);
	wait_status(s->j, LWS_TP_STATUS_SYNCING);
	job_fence(rig, o->tp);
}

/* H2: one task a call, the one that has waited longest; then none */
static void
one_task_a_call(void **state)
{
	struct rig *rig = *state;
	struct order o;

	order_begin(&o, rig, 3);
	for (int n = 0; n < 3; n++)
		o.s[n]->sync_ret = LWS_TP_ON_SYNC_RESUME;
	for (int n = 0; n < 3; n++) {
		serves(&o, o.s[n]);
		assert_ptr_equal(o.s[n]->wsi, o.c->wsi);
		wait_status(o.s[n]->j, LWS_TP_STATUS_FINISHED);
		job_fence(rig, o.tp);
	}
	for (int n = 0; n < 3; n++) {
		assert_int_equal(atomic_load(&o.s[n]->syncs), 1);
		serves(&o, o.s[n]);
		assert_int_equal(atomic_load(&o.s[n]->ends), 1);
		assert_int_equal(atomic_load(&o.s[n]->j->cleanups), 1);
	}
	serves(&o, NULL);
}

/* H2: none: QUEUED and RUNNING ones are not served */
static void
none_that_waits_for_a_thread(void **state)
{
	struct rig *rig = *state;
	struct served *queued = served_new(rig), *running = served_new(rig);
	struct order o;

	order_begin(&o, rig, 0);
	serves(&o, NULL);
	running->j->gate = gate_new(rig);
	served_enqueue(o.tp, running, o.c->wsi);
	wait_int(&running->j->calls, 1);
	served_enqueue(o.tp, queued, o.c->wsi);
	serves(&o, NULL);
	assert_int_equal(lws_threadpool_task_status_noreap(queued->j->task),
			 LWS_TP_STATUS_QUEUED);
	gate_open(running->j->gate);
	rig_until_status(queued->j, LWS_TP_STATUS_FINISHED);
	job_fence(rig, o.tp);
	serves(&o, running);
	serves(&o, queued);
	serves(&o, NULL);
}

/* H2: of those that were served and stay, the one that was served longest ago:
 * round and round */
static void
those_that_stay_take_turns(void **state)
{
	struct rig *rig = *state;
	struct order o;

	order_begin(&o, rig, 3);
	for (int n = 0; n < 12; n++)
		serves(&o, o.s[n % 3]);
	/* one leaves the round */
	o.s[0]->sync_ret = LWS_TP_ON_SYNC_RESUME;
	serves(&o, o.s[0]);
	wait_status(o.s[0]->j, LWS_TP_STATUS_FINISHED);
	job_fence(rig, o.tp);
	serves(&o, o.s[0]);
	for (int n = 0; n < 4; n++)
		serves(&o, o.s[1 + n % 2]);
}

/* H2: one that became SYNCING later goes before those that were served */
static void
not_served_before_served(void **state)
{
	struct rig *rig = *state;
	struct served *late[2];
	struct order o;

	order_begin(&o, rig, 2);
	serves(&o, o.s[0]);
	/* s[1] was not served, and has waited longer than what comes now */
	for (int n = 0; n < 2; n++) {
		late[n] = served_syncing(rig, o.tp, o.c->wsi);
		late[n]->sync_ret = LWS_TP_ON_SYNC_STAY;
	}
	serves(&o, o.s[1]);
	serves(&o, late[0]);
	serves(&o, late[1]);
	serves(&o, o.s[0]);
	serves(&o, o.s[1]);
	serves(&o, late[0]);
}

/* H2: "since they became so": answered by somebody, and SYNCING again, it is
 * new */
static void
an_answer_makes_it_new(void **state)
{
	struct rig *rig = *state;
	struct order o;

	order_begin(&o, rig, 3);
	for (int n = 0; n < 3; n++)
		serves(&o, o.s[n]);
	syncs_again(rig, &o, o.s[2]);
	serves(&o, o.s[2]);
	serves(&o, o.s[0]);
	serves(&o, o.s[1]);
	serves(&o, o.s[2]);
	syncs_again(rig, &o, o.s[1]);
	syncs_again(rig, &o, o.s[0]);
	serves(&o, o.s[1]);
	serves(&o, o.s[0]);
	serves(&o, o.s[2]);
}

/* H2: and so is one that has ended since it was served */
static void
an_end_makes_it_new(void **state)
{
	struct rig *rig = *state;
	struct served *done;
	struct order o;

	order_begin(&o, rig, 3);
	for (int n = 0; n < 3; n++)
		serves(&o, o.s[n]);
	done = served_done(rig, o.tp, o.c->wsi);
	lws_threadpool_task_sync(o.s[1]->j->task, 1);
	wait_status(o.s[1]->j, LWS_TP_STATUS_STOPPED);
	job_fence(rig, o.tp);
	serves(&o, done);
	serves(&o, o.s[1]);
	assert_int_equal(o.s[1]->how, LWS_TP_STATUS_STOPPED);
	serves(&o, o.s[0]);
	serves(&o, o.s[2]);
}

/* H2, S5: to ask for a status, or for the task that wants attention, is not to
 * serve it */
static void
a_look_is_no_serving(void **state)
{
	struct rig *rig = *state;
	struct order o;

	order_begin(&o, rig, 2);
	for (int n = 0; n < 2; n++) {
		lws_threadpool_task_status(o.s[n]->j->task, NULL);
		lws_threadpool_task_status_noreap(o.s[n]->j->task);
	}
	assert_non_null(lws_threadpool_get_task_wsi(o.c->wsi));
	serves(&o, o.s[0]);
	lws_threadpool_task_status(o.s[1]->j->task, NULL);
	serves(&o, o.s[1]);
	serves(&o, o.s[0]);
}

/* Q2: nor does serving change what get_task_wsi() says */
static void
serving_is_no_matter_to_others(void **state)
{
	struct rig *rig = *state;
	struct order o;

	order_begin(&o, rig, 3);
	for (int n = 0; n < 4; n++) {
		assert_ptr_equal(lws_threadpool_get_task_wsi(o.c->wsi),
				 o.s[0]->j->task);
		serves(&o, o.s[n % 3]);
	}
}

/* H1, H2: tasks without handlers are left alone, whatever their state, and are
 * in nobody's way: enqueued by both functions, with a key and no handler too */
static void
others_are_left_alone(void **state)
{
	struct rig *rig = *state;
	struct served *keyed = served_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct job *syncing, *done = job_new(rig);
	struct order o;

	order_begin(&o, rig, 0);
	syncing = job_park(rig, o.tp, o.c->wsi);
	job_enqueue(o.tp, done, o.c->wsi);
	keyed->o.on_sync = NULL;
	keyed->o.on_end = NULL;
	keyed->o.key = rig;
	keyed->o.key_max = 7;
	assert_non_null(served_enqueue(o.tp, keyed, o.c->wsi));
	wait_status(keyed->j, LWS_TP_STATUS_SYNCING);
	o.s[0] = served_syncing(rig, o.tp, o.c->wsi);
	o.s[0]->j->gate = gate_new(rig);
	o.s[0]->j->gate_call = 1;
	serves(&o, o.s[0]);
	serves(&o, NULL);
	assert_int_equal(lws_threadpool_task_status_noreap(syncing->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status_noreap(keyed->j->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status_noreap(done->task),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&done->cleanups), 0);
	/* the application goes on with them as it did */
	assert_ptr_equal(lws_threadpool_get_task_wsi(o.c->wsi), syncing->task);
	lws_threadpool_task_status(done->task, NULL);
	assert_int_equal(atomic_load(&done->cleanups), 1);
}

/* H2: the tasks of a wsi in all pools are in one order, and those of another
 * wsi are not in it */
static void
pools_and_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *second;
	struct served *two, *other;
	struct conn *c;
	struct order o;

	order_begin(&o, rig, 1);
	second = rig_pool(rig, 1, 10);
	c = conn_open(rig, CONN_WS);
	c->manual = true;
	other = served_syncing(rig, second, c->wsi);
	two = served_syncing(rig, second, o.c->wsi);
	two->sync_ret = other->sync_ret = LWS_TP_ON_SYNC_STAY;
	serves(&o, o.s[0]);
	serves(&o, two);
	serves(&o, o.s[0]);
	assert_int_equal(atomic_load(&other->syncs), 0);
	assert_int_equal(lws_threadpool_serve(c->wsi), 0);
	assert_int_equal(atomic_load(&other->syncs), 1);
	assert_ptr_equal(other->wsi, c->wsi);
}

/* H2: served with 500 of them, each in its turn */
static void
each_of_many(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s[500];

	c->manual = true;
	for (int n = 0; n < 500; n++) {
		s[n] = served_script(rig, 1, LWS_TP_RETURN_SYNC);
		s[n]->sync_ret = LWS_TP_ON_SYNC_STAY;
		assert_non_null(served_enqueue(tp, s[n], c->wsi));
	}
	job_fence(rig, tp);
	for (int n = 0; n < 1000; n++) {
		assert_int_equal(lws_threadpool_serve(c->wsi), 0);
		assert_int_equal(s[n % 500]->turn, n + 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(one_task_a_call),
		SERVED_TEST(none_that_waits_for_a_thread),
		SERVED_TEST(those_that_stay_take_turns),
		SERVED_TEST(not_served_before_served),
		SERVED_TEST(an_answer_makes_it_new),
		SERVED_TEST(an_end_makes_it_new),
		SERVED_TEST(a_look_is_no_serving),
		SERVED_TEST(serving_is_no_matter_to_others),
		SERVED_TEST(others_are_left_alone),
		SERVED_TEST(pools_and_wsi),
		SERVED_TEST(each_of_many),
	};

	return cmocka_run_group_tests_name("H2 order", tests, NULL, NULL);
}
