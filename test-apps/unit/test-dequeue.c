/*
 * lws-threadpool unit tests - Q4, dequeueing a task, and all of a wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Q4: queued or done: reaped at once, cleanup gets the wsi, 0 */
static void
queued_and_done(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *hold = gate_new(rig);
		struct job *j[3] = { job_new(rig), job_new(rig), job_new(rig) };

		c->manual = true;
		j[1]->last = LWS_TP_RETURN_STOPPED;
		job_enqueue(tp, j[0], c->wsi);
		job_enqueue(tp, j[1], c->wsi);
		wait_status(j[0], LWS_TP_STATUS_FINISHED);
		wait_status(j[1], LWS_TP_STATUS_STOPPED);
		job_block(rig, tp, hold);
		job_enqueue(tp, j[2], c->wsi);
		for (int n = 0; n < 3; n++) {
			assert_int_equal(
				lws_threadpool_dequeue_task(j[n]->task), 0);
			assert_int_equal(atomic_load(&j[n]->cleanups), 1);
			assert_ptr_equal(j[n]->cleanup_wsi, c->wsi);
			assert_true(pthread_equal(j[n]->cleanup_thread,
						  rig->thread));
		}
		assert_int_equal(atomic_load(&j[2]->calls), 0);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
		gate_open(hold);
		rig_until_cleaned(rig);
	}
}

/* Q4: an outliving or async one is no different while it is queued or done */
static void
queued_and_done_outliving(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *done = job_new(rig), *queued = job_new(rig);

	c->manual = true;
	done->async_task = queued->async_task = 1;
	job_enqueue(tp, done, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	job_block(rig, tp, gate_new(rig));
	job_enqueue(tp, queued, c->wsi);
	assert_int_equal(lws_threadpool_dequeue_task(queued->task), 0);
	assert_int_equal(lws_threadpool_dequeue_task(done->task), 0);
	assert_int_equal(atomic_load(&queued->cleanups), 1);
	assert_int_equal(atomic_load(&done->cleanups), 1);
	assert_ptr_equal(queued->cleanup_wsi, c->wsi);
}

/* Q4: running or syncing: off its wsi at once, asked to stop, reaped when it
 * ends, 1 */
static void
running_and_syncing(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *syncing = job_script(rig, 9, LWS_TP_RETURN_SYNC),
			   *running = job_script(rig, 9, LWS_TP_RETURN_SYNC);
		int writeables;

		c->manual = true;
		running->gate = gate_new(rig);
		job_enqueue(tp, syncing, c->wsi);
		wait_status(syncing, LWS_TP_STATUS_SYNCING);
		job_enqueue(tp, running, c->wsi);
		wait_int(&running->calls, 1);
		rig_drain(rig);
		writeables = c->writeables;
		assert_int_equal(lws_threadpool_dequeue_task(running->task), 1);
		assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi),
				 syncing->task);
		assert_int_equal(lws_threadpool_dequeue_task(syncing->task), 1);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
		assert_int_equal(
			lws_threadpool_task_status_noreap(running->task),
			LWS_TP_STATUS_STOPPING);
		gate_open(running->gate);
		rig_until_cleaned(rig);
		assert_null(running->cleanup_wsi);
		assert_null(syncing->cleanup_wsi);
		assert_int_equal(atomic_load(&running->stopping), 1);
		assert_int_equal(atomic_load(&syncing->stopping), 1);
		assert_int_equal(atomic_load(&running->running), 1);
		/* the wsi hears no more of them */
		rig_drain(rig);
		assert_int_equal(c->writeables, writeables);
	}
}

/* Q4: if it outlives: only detached, 0, and it runs on to its end */
static void
outliving_is_only_detached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int async = 0; async < 2; async++) {
		struct job
			*running = job_script(
				rig, 9,
				LWS_TP_RETURN_CHECKING_IN |
					(async ? 0 :
						 LWS_TP_RETURN_FLAG_OUTLIVE)),
			*syncing = job_script(
				rig, 9,
				LWS_TP_RETURN_SYNC |
					(async ? 0 :
						 LWS_TP_RETURN_FLAG_OUTLIVE));

		c->manual = true;
		running->async_task = syncing->async_task = (char)async;
		running->gate = gate_new(rig);
		running->gate_call = 2;
		job_enqueue(tp, syncing, c->wsi);
		wait_status(syncing, LWS_TP_STATUS_SYNCING);
		job_enqueue(tp, running, c->wsi);
		wait_int(&running->calls, 3);
		assert_int_equal(lws_threadpool_dequeue_task(running->task), 0);
		assert_int_equal(lws_threadpool_dequeue_task(syncing->task), 0);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
		assert_int_equal(
			lws_threadpool_task_status_noreap(running->task),
			LWS_TP_STATUS_RUNNING);
		gate_open(running->gate);
		rig_until_cleaned(rig);
		assert_int_equal(atomic_load(&running->running), 10);
		assert_int_equal(atomic_load(&syncing->running), 10);
		assert_int_equal(atomic_load(&running->stopping), 0);
		assert_int_equal(atomic_load(&syncing->stopping), 0);
	}
}

/* Q4: NULL and what is gone: 0 */
static void
null_and_gone(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	assert_int_equal(lws_threadpool_dequeue_task(NULL), 0);
	assert_int_equal(lws_threadpool_dequeue(NULL), 0);
	assert_int_equal(lws_threadpool_dequeue(c->wsi), 0);
	job_enqueue(tp, j, c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
	assert_int_equal(lws_threadpool_dequeue(c->wsi), 0);
}

/* Q4: one that is asked to stop already is taken off, and told once */
static void
stopping_already(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 9, LWS_TP_RETURN_SYNC);

	c->manual = true;
	j->gate = gate_new(rig);
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	lws_threadpool_task_sync(j->task, 1);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 1);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 1);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
	gate_open(j->gate);
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_null(j->cleanup_wsi);
}

/* Q4: dequeue(wsi) does it for every task, and returns 1 if any did */
static void
all_of_a_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 30);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *other = conn_open(rig, CONN_RAW);
	struct job *done = job_new(rig), *keep = job_new(rig),
		   *syncing = job_script(rig, 9, LWS_TP_RETURN_SYNC),
		   *running = job_script(rig, 9, LWS_TP_RETURN_SYNC),
		   *queued[5];

	c->manual = true;
	job_enqueue(tp, done, c->wsi);
	job_enqueue(tp, syncing, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	wait_status(syncing, LWS_TP_STATUS_SYNCING);
	running->gate = gate_new(rig);
	job_enqueue(tp, running, c->wsi);
	wait_int(&running->calls, 1);
	for (int n = 0; n < 5; n++) {
		queued[n] = job_new(rig);
		job_enqueue(tp, queued[n], c->wsi);
	}
	job_enqueue(tp, keep, other->wsi);

	assert_int_equal(lws_threadpool_dequeue(c->wsi), 1);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
	assert_ptr_equal(lws_threadpool_get_task_wsi(other->wsi), keep->task);
	assert_int_equal(atomic_load(&done->cleanups), 1);
	for (int n = 0; n < 5; n++)
		assert_int_equal(atomic_load(&queued[n]->cleanups), 1);
	gate_open(running->gate);
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&running->stopping), 1);
	assert_int_equal(atomic_load(&syncing->stopping), 1);
	assert_int_equal(keep->reaped_as, LWS_TP_STATUS_FINISHED);
}

/* Q4: 0 if there was nothing to ask */
static void
all_of_a_wsi_at_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 30);
	struct conn *c = conn_open(rig, CONN_RAW);

	job_block(rig, tp, gate_new(rig));
	for (int n = 0; n < 5; n++)
		job_enqueue(tp, job_new(rig), c->wsi);
	assert_int_equal(lws_threadpool_dequeue(c->wsi), 0);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
}

/* Q4, W2: a task that has no wsi: queued it is reaped, running it runs on */
static void
detached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 30);
	struct job *running = job_script(rig, 9, LWS_TP_RETURN_CHECKING_IN),
		   *queued = job_new(rig);

	running->gate = gate_new(rig);
	job_enqueue(tp, running, NULL);
	wait_int(&running->calls, 1);
	job_enqueue(tp, queued, NULL);
	assert_int_equal(lws_threadpool_dequeue_task(queued->task), 0);
	assert_int_equal(atomic_load(&queued->cleanups), 1);
	assert_null(queued->cleanup_wsi);
	assert_int_equal(lws_threadpool_dequeue_task(running->task), 0);
	gate_open(running->gate);
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&running->running), 10);
	assert_int_equal(atomic_load(&running->stopping), 0);
}

static int
dequeue_from_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	j->data = lws_threadpool_dequeue_task(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

/* Q4: from a pool thread: an error, 1, and nothing is done */
static void
from_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 30);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[4], *caller;

	c->manual = true;
	j[0] = job_new(rig);
	j[1] = job_script(rig, 9, LWS_TP_RETURN_SYNC);
	j[2] = job_script(rig, 9, LWS_TP_RETURN_SYNC);
	j[2]->gate = gate_new(rig);
	for (int n = 0; n < 3; n++) {
		job_enqueue(tp, j[n], c->wsi);
		wait_int(&j[n]->calls, 1);
	}
	wait_status(j[0], LWS_TP_STATUS_FINISHED);
	wait_status(j[1], LWS_TP_STATUS_SYNCING);
	for (int n = 0; n < 3; n++) {
		caller = job_new(rig);
		caller->fn = dequeue_from_a_task;
		caller->priv = j[n]->task;
		job_enqueue(tp, caller, NULL);
		wait_int(&caller->cleanups, 1);
		assert_int_equal(caller->data, 1);
		assert_int_equal(log_claim(LLL_ERR, "dequeue_task"), n + 1);
	}
	assert_int_equal(lws_threadpool_task_status_noreap(j[0]->task),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status_noreap(j[1]->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status_noreap(j[2]->task),
			 LWS_TP_STATUS_RUNNING);
}

/* Q4 at any moment of a task's life */
static void
at_any_moment(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	volatile int spin;

	for (int n = 0; n < 4000; n++) {
		struct job *j = job_script(rig, n % 9,
					   n & 1 ? LWS_TP_RETURN_SYNC :
						   LWS_TP_RETURN_CHECKING_IN);
		int asked;

		j->async_task = n % 7 == 0;
		job_enqueue(tp, j, c->wsi);
		for (spin = 0; spin < (n * 61) % 4000; spin++)
			;
		if (n % 3 == 0)
			rig_turns(rig, 1);
		asked = lws_threadpool_dequeue_task(j->task);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
		if (!asked && !j->async_task)
			assert_int_equal(atomic_load(&j->cleanups), 1);
		if (n % 50 == 0)
			rig_until_cleaned(rig);
	}
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(queued_and_done),
		RIG_TEST(queued_and_done_outliving),
		RIG_TEST(running_and_syncing),
		RIG_TEST(outliving_is_only_detached),
		RIG_TEST(null_and_gone),
		RIG_TEST(stopping_already),
		RIG_TEST(all_of_a_wsi),
		RIG_TEST(all_of_a_wsi_at_once),
		RIG_TEST(detached),
		RIG_TEST(from_a_pool_thread),
		RIG_TEST(at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
