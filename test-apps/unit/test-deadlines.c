/*
 * lws-threadpool unit tests - D1, D2, K4, S5: several deadlines of one task, of
 * one pool, and of several
 *
 * SPDX-License-Identifier: MIT
 */

#include "tokens.h"
#include "task-options.h"

#define HOUR_MS (3600 * 1000)

static void
until_past(struct rig *rig, int ms)
{
	struct moment m = moment_in(ms);

	rig_until(rig, moment_is_past, &m);
}

static void
note_why(struct job *j, struct lws *wsi)
{
	(void)wsi;
	j->data = (int)lws_threadpool_end_reason();
}

static struct lws_threadpool *
pool_with(struct rig *rig, int threads, int timeout_secs, int keep_secs)
{
	const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.sync_timeout_secs = timeout_secs,
		.keep_secs = keep_secs
	};

	return rig_pool_ext(rig, threads, 100, &o);
}

/* D2: where no SYNC ever times out */
static void
life_without_a_sync_timeout(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_with(rig, 1, -1, 0);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 9, LWS_TP_RETURN_SYNC);

	c->manual = true;
	j->on_cleanup = note_why;
	enqueue_timed(tp, j, c->wsi, 0, 200);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->data, LWS_TP_STOP_LIFE_MS);
	claim_times();
}

/* S5, D2: the sync timeout's time comes when it is not SYNCING any more, and
 * its life is long: it goes on */
static void
a_sync_timeout_within_a_long_life(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_with(rig, 2, 1, 0);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	j->gate = gate;
	j->gate_call = 1;
	j->on_cleanup = note_why;
	enqueue_timed(tp, j, c->wsi, 0, HOUR_MS);
	rig_until_int(rig, &j->calls, 2);
	until_past(rig, 1500);
	gate_open(gate);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->data, LWS_TP_STOP_NONE);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
}

/* D2: asked to stop before: that is why, though its life is over before it
 * learns of it */
static void
stopped_before_its_life_is_over(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 9, LWS_TP_RETURN_CHECKING_IN);

	j->gate = gate;
	j->on_cleanup = note_why;
	enqueue_timed(tp, j, NULL, 0, 200);
	wait_int(&j->calls, 1);
	lws_threadpool_task_sync(j->task, 1);
	until_past(rig, 300);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
	assert_int_equal(j->data, LWS_TP_STOP_ASKED);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

/* K4, D2: kept for ever, it does not go when its life would be over */
static void
kept_for_ever(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_with(rig, 1, 0, -1);
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate), *next = job_new(rig);

	enqueue_timed(tp, j, NULL, 0, 300);
	tokens_give(j, 0);
	gate_open(gate);
	wait_until(tokens_is_kept, j);
	until_past(rig, 400);
	assert_non_null(job_enqueue(tp, next, NULL));
	wait_int(&next->cleanups, 1);
	/* on a slow machine its life was over before it ended */
	is_kept(tp, j, tokens_info(j).status);
	claim_times();
}

/* D1: told in time, while the only thread is busy */
static void
is_in_time(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *late = job_new(rig);

	late->on_cleanup = note_why;
	enqueue_timed(tp, late, NULL, 100, 0);
	rig_until_int(rig, &late->cleanups, 1);
	assert_int_equal(late->data, LWS_TP_STOP_QUEUE_MS);
	assert_int_equal(atomic_load(&late->calls), 0);
	claim_times();
}

/* D1: after one that is due much later */
static void
a_later_one_first(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);

	job_block(rig, tp, gate);
	enqueue_timed(tp, job_new(rig), NULL, HOUR_MS, 0);
	rig_drain(rig);
	is_in_time(rig, tp);
	is_in_time(rig, tp);
	gate_open(gate);
}

/* D1: of a pool whose place comes behind that of one that is due much later,
 * and beside one of another context */
static void
of_several_pools(void **state)
{
	struct rig *rig = *state, *other = rig_create(NULL);
	struct lws_threadpool *tp[3] = {
		rig_pool(other, 1, 10),
		rig_pool(rig, 1, 10),
		rig_pool(rig, 1, 10),
	};
	struct gate *gate = gate_new(rig), *others = gate_new(other);
	struct job *j = job_new(rig);

	job_block(other, tp[0], others);
	enqueue_timed(tp[0], job_new(other), NULL, HOUR_MS, 0);
	for (int n = 1; n < 3; n++) {
		job_block(rig, tp[n], gate);
		enqueue_timed(tp[n], job_new(rig), NULL, HOUR_MS, 0);
	}
	rig_drain(rig);
	j->on_cleanup = note_why;
	enqueue_timed(tp[2], j, NULL, 300, 0);
	is_in_time(rig, tp[2]);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->data, LWS_TP_STOP_QUEUE_MS);
	claim_times();
	gate_open(gate);
	gate_open(others);
	assert_int_equal(rig_destroy(other), 0);
}

/* D1: deadlines of tasks that have ended long before anybody services */
static void
of_tasks_that_are_gone(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j[2] = { job_new(rig), job_new(rig) };
	struct moment m = moment_in(300);

	enqueue_timed(tp, j[0], NULL, 0, 250);
	rig_drain(rig);
	enqueue_timed(tp, j[1], NULL, 0, 100);
	for (int n = 0; n < 2; n++)
		wait_int(&j[n]->cleanups, 1);
	wait_until(moment_is_past, &m);
	rig_drain(rig);
	job_block(rig, tp, gate);
	is_in_time(rig, tp);
	gate_open(gate);
	claim_times();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(life_without_a_sync_timeout),
		RIG_TEST(a_sync_timeout_within_a_long_life),
		RIG_TEST(stopped_before_its_life_is_over),
		RIG_TEST(kept_for_ever),
		RIG_TEST(a_later_one_first),
		RIG_TEST(of_several_pools),
		RIG_TEST(of_tasks_that_are_gone),
	};

	return cmocka_run_group_tests_name("deadlines", tests, NULL, NULL);
}
