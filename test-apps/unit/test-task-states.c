/*
 * lws-threadpool unit tests - T1, the states of a task, and T3, checking in
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

/* T1, Q1: each state in turn, as the service thread sees it */
static void
a_life_state_by_state(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig), *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	void *user = NULL;

	c->manual = true;
	job_block(rig, tp, hold);
	j->gate = gate;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_int_equal(lws_threadpool_task_status(j->task, &user),
			 LWS_TP_STATUS_QUEUED);
	assert_ptr_equal(user, j);
	assert_int_equal(atomic_load(&j->calls), 0);

	gate_open(hold);
	wait_int(&j->calls, 1);
	assert_int_equal(lws_threadpool_task_status(j->task, &user),
			 LWS_TP_STATUS_RUNNING);

	gate_open(gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status(j->task, &user),
			 LWS_TP_STATUS_SYNCING);

	lws_threadpool_task_sync(j->task, 0);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	assert_int_equal(lws_threadpool_task_status(j->task, &user),
			 LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(user, j);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(atomic_load(&j->calls), 2);
}

/* T1: STOPPING is from the request to the end, through the last call */
static void
stopping_until_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 100, LWS_TP_RETURN_CHECKING_IN);

	c->manual = true;
	j->gate = gate;
	j->stop_gate = gate_new(rig);
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	lws_threadpool_task_sync(j->task, 1);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_STOPPING);
	gate_open(gate);
	wait_int(&j->stopping, 1);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_STOPPING);
	gate_open(j->stop_gate);
	wait_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

/* T1: an ended task waits until it is reaped, however often it is seen */
static void
done_until_reaped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig), *other = job_new(rig);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	rig_until_status(j, LWS_TP_STATUS_FINISHED);
	rig_drain(rig);
	job_enqueue(tp, other, NULL);
	rig_until_int(rig, &other->cleanups, 1);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);
	lws_threadpool_task_status(j->task, NULL);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

/* T1: resumed and still waiting for a thread is RUNNING */
static void
resumed_is_running(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	job_block(rig, tp, hold);
	lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_RUNNING);
	assert_int_equal(atomic_load(&j->calls), 1);
	gate_open(hold);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	lws_threadpool_task_status(j->task, NULL);
}

/* T1, W3: RUNNING and SYNCING in turn, then reaped, on every kind of wsi */
static void
alternates_on_every_kind_of_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

		job_enqueue(tp, j, c->wsi);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 5);
		assert_int_equal(j->seen[LWS_TP_STATUS_FINISHED], 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
		assert_int_equal(atomic_load(&j->running), 6);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_ptr_equal(j->cleanup_wsi, c->wsi);
	}
}

/* The same from the client's side of a connection, from ESTABLISHED on (W4) */
static void
alternates_on_a_client_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_WS_CLIENT);
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

	job_enqueue(tp, j, c->client);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 5);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(j->cleanup_wsi, c->client);
	assert_true(c->client_writeables >= 6);
	assert_int_equal(c->writeables, 0);
}

/* T1: returning STOPPED without being asked is an end as well */
static void
stopped_by_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	j->last = LWS_TP_RETURN_STOPPED;
	job_enqueue(tp, j, c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->calls), 1);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* T3: CHECKING_IN is called again, with RUNNING */
static void
checking_in_goes_on(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 10000, LWS_TP_RETURN_CHECKING_IN);

	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->running), 10001);
	assert_int_equal(atomic_load(&j->moved), 0);
	rig_until_int(rig, &j->cleanups, 1);
}

static atomic_int order;

static int
note_order(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	j->data = atomic_fetch_add(&order, 1);

	return LWS_TP_RETURN_FINISHED;
}

static int
check_in_500(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	j->data = atomic_fetch_add(&order, 1);

	return atomic_load(&j->calls) < 500 ? LWS_TP_RETURN_CHECKING_IN :
					      LWS_TP_RETURN_FINISHED;
}

/* T3: immediately: it does not go behind what waits */
static void
checking_in_keeps_its_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *hold = gate_new(rig);
	struct job *j = job_new(rig), *next = job_new(rig);

	atomic_store(&order, 0);
	j->fn = check_in_500;
	next->fn = note_order;
	job_block(rig, tp, hold);
	job_enqueue(tp, j, NULL);
	job_enqueue(tp, next, NULL);
	gate_open(hold);
	rig_until_cleaned(rig);
	assert_int_equal(j->data, 499);
	assert_int_equal(next->data, 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_life_state_by_state),
		RIG_TEST(stopping_until_stopped),
		RIG_TEST(done_until_reaped),
		RIG_TEST(resumed_is_running),
		RIG_TEST(alternates_on_every_kind_of_wsi),
		RIG_TEST(alternates_on_a_client_wsi),
		RIG_TEST(stopped_by_itself),
		RIG_TEST(checking_in_goes_on),
		RIG_TEST(checking_in_keeps_its_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
