/*
 * lws-threadpool unit tests - what is done for a little while before going to sleep
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

/* S2: a thread looks out for what is enqueued, and has lost its processor.
 * When much came, and its time is over, another is woken. */
static void
a_spinner_that_is_late_is_not_waited_for(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, LWSTP_MANY_TASKS);
	struct lwstp_pool *pool = pool_of(tp);
	struct job *j = NULL;
	int n;

	wait_until(has_an_idle_thread, pool);
	lwstp_lock_pool(pool);
	pool->spinner = pool->workers[0];
	pool->spin_end = 0;
	atomic_store(&pool->may_wake, (int)LWSTP_WAKE_IF_MANY);
	lwstp_unlock_pool(pool);
	for (n = 0; n < LWSTP_MANY_TASKS; n++) {
		assert_true(has_an_idle_thread(pool));
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
	}
	wait_int(&j->cleanups, 1);
	lwstp_lock_pool(pool);
	pool->spinner = NULL;
	lwstp_unlock_pool(pool);
}

/* of one thread, that spins wherever this runs */
static struct lws_threadpool *
spinning_pool(struct rig *rig)
{
	struct lws_threadpool *tp;

	processors_are(2);
	tp = rig_pool(rig, 1, 10);
	processors_are(0);

	return tp;
}

static bool
is_looking(void *arg)
{
	struct lwstp_bell *bell = arg;

	return !lws_dll2_is_detached(&bell->look.list);
}

static bool
is_asleep(void *arg)
{
	struct lwstp_bell *bell = arg;

	return !is_looking(bell) && !bell->awake;
}

/* Answers are followed by looks, which end, and in vain get rarer. */
static void
an_answer_is_followed_by_looks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_bell *bell = bell_of(tp);
	unsigned int n, after;
	struct job *j;

	c->manual = true;
	for (after = 1; after < LWSTP_LOOK_AFTER; after *= 2) {
		assert_int_equal(bell->look_after, after);
		for (n = 0; n < after; n++) {
			j = job_park(rig, tp, c->wsi);
			/* it is this thread that answers */
			rig_until(rig, is_asked_for, c->wsi);
			assert_false(is_looking(bell));
			lws_threadpool_task_sync(j->task, 0);
			wait_status(j, LWS_TP_STATUS_FINISHED);
			lws_threadpool_task_status(j->task, NULL);
		}
		assert_true(is_looking(bell));
		rig_until(rig, is_asleep, bell);
	}
	assert_int_equal(bell->look_after, LWSTP_LOOK_AFTER);
}

/* What comes meanwhile is found, rung for or not, and then it looks after the
 * next answer, too; as it does where that comes while it looks. */
static void
a_look_finds_what_came(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_bell *bell = bell_of(tp);
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->returns, 1);
	rig_until(rig, is_asked_for, c->wsi);
	lws_threadpool_task_sync(j->task, 0);
	assert_true(is_looking(bell));
	bell->look_after = LWSTP_LOOK_AFTER;
	wait_int(&j->returns, 2);
	wait_until(has_an_idle_thread, pool_of(tp));
	bell->look.cb(&bell->look);
	assert_true(is_asked_for(c->wsi));
	assert_int_equal(bell->look_after, 1);

	bell->look_after = LWSTP_LOOK_AFTER;
	assert_true(bell->looked);
	lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(bell->look_after, 1);
	assert_false(bell->looked);
	serve_the_rest(rig, c);
	rig_until(rig, is_asleep, bell);
}

static bool
is_awake(void *arg)
{
	struct lwstp_bell *bell = arg;

	return bell->awake;
}

/* After an answer the loop does not sleep, until it is time to. */
static void
an_answer_keeps_the_loop_awake(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lws_threadpool *tp;
	struct lwstp_bell *bell;

	tp = spinning_pool(rig);
	bell = bell_of(tp);
	c->manual = true;
	j->gate = gate;
	j->gate_call = 1;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	rig_until(rig, is_asked_for, c->wsi);
	if (!atomic_load(&bell->adopted)) {
		gate_open(gate);
		serve_the_rest(rig, c);
		skip();		/* lws_cancel_service() rings it */
	}
	clock_stop();
	lws_threadpool_task_sync(j->task, 0);
	rig_until(rig, is_awake, bell);
	rig_turns(rig, 20);
	assert_true(is_awake(bell) && !is_looking(bell));
	assert_true(atomic_load(&bell->signalled));
	clock_forward(1);
	rig_until(rig, is_asleep, bell);
	assert_int_equal(bell->look_after, 2);
	gate_open(gate);
	clock_reset();
	c->manual = false;
	rig_until_cleaned(rig);
}

/* But it does if other tasks wait for a thread, which may need its processor. */
static void
a_busy_pool_keeps_no_loop_awake(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool *tp;
	struct lwstp_bell *bell;
	struct job *j[2];

	tp = spinning_pool(rig);
	bell = bell_of(tp);
	c->manual = true;
	for (int n = 0; n < 2; n++)
		j[n] = job_park(rig, tp, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	job_block(rig, tp, gate);
	lws_threadpool_task_sync(j[0]->task, 0);
	assert_int_equal(bell->awake_until > 0, atomic_load(&bell->adopted));
	lws_threadpool_task_sync(j[1]->task, 0);
	assert_int_equal(bell->awake_until, 0);
	gate_open(gate);
	serve_the_rest(rig, c);
	rig_until(rig, is_asleep, bell);
}

/* ...enqueued lately, too */
static void
what_is_incoming_keeps_no_loop_awake(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool *tp;
	struct job *j;

	tp = spinning_pool(rig);
	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	job_block(rig, tp, gate);
	job_enqueue(tp, job_new(rig), NULL);
	lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(bell_of(tp)->awake_until, 0);
	gate_open(gate);
	serve_the_rest(rig, c);
}

/* And with the spin off */
static void
no_spin_keeps_no_loop_awake(void **state)
{
	struct lws_threadpool_create_args args = { 1, 10 };
	struct lws_threadpool_options o = { .size = sizeof(o),
					    .sync_spin_us = -1 };
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp;
	struct job *j;

	tp = lws_threadpool_create_ext(rig->context, &args, &o, "no spin");
	assert_non_null(tp);
	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	lws_threadpool_task_sync(j->task, 0);
	assert_true(is_looking(bell_of(tp)));
	assert_int_equal(bell_of(tp)->awake_until, 0);
	serve_the_rest(rig, c);
	lws_threadpool_destroy(tp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_spinner_that_is_late_is_not_waited_for),
		INSIDE_TEST(an_answer_is_followed_by_looks),
		INSIDE_TEST(a_look_finds_what_came),
		INSIDE_TEST(an_answer_keeps_the_loop_awake),
		INSIDE_TEST(a_busy_pool_keeps_no_loop_awake),
		INSIDE_TEST(what_is_incoming_keeps_no_loop_awake),
		INSIDE_TEST(no_spin_keeps_no_loop_awake),
	};

	return cmocka_run_group_tests_name("inside-spin", tests, NULL, NULL);
}
