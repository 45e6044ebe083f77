/*
 * lws-threadpool unit tests - Q2, which of a wsi's tasks get_task_wsi() gives
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

/* Q2: NULL if none: never had one, has none any more, NULL itself */
static void
null_if_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j;

	assert_null(lws_threadpool_get_task_wsi(NULL));
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		assert_null(lws_threadpool_get_task_wsi(c->wsi));
		j = job_new(rig);
		job_enqueue(tp, j, c->wsi);
		assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);
		rig_until_int(rig, &j->cleanups, 1);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
	}
}

/* Q2: among those that want nothing, the oldest */
static void
oldest_of_the_busy(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *first = job_gated(rig, gate), *j[3];

	c->manual = true;
	job_enqueue(tp, first, c->wsi);
	wait_int(&first->calls, 1);
	for (int n = 0; n < 3; n++) {
		j[n] = job_gated(rig, gate);
		job_enqueue(tp, j[n], c->wsi);
	}
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), first->task);
	lws_threadpool_dequeue_task(first->task);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j[0]->task);
	lws_threadpool_dequeue_task(j[1]->task);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j[0]->task);
	lws_threadpool_dequeue_task(j[0]->task);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j[2]->task);
}

/* Q2: one that wants attention, SYNCING or done, before older ones that do not;
 * and the one that has wanted it longest first */
static void
wanting_first_and_longest_first(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *running = job_gated(rig, gate), *a, *b, *done;

	c->manual = true;
	job_enqueue(tp, running, c->wsi);
	wait_int(&running->calls, 1);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), running->task);

	a = job_script(rig, 2, LWS_TP_RETURN_SYNC);
	job_enqueue(tp, a, c->wsi);
	wait_status(a, LWS_TP_STATUS_SYNCING);
	wait_turn(a, c->wsi);

	b = job_park(rig, tp, c->wsi);
	done = job_new(rig);
	job_enqueue(tp, done, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), a->task);

	/* a wants again, and is behind b and done now though it is older */
	lws_threadpool_task_sync(a->task, 0);
	wait_int(&a->calls, 2);
	wait_status(a, LWS_TP_STATUS_SYNCING);
	wait_turn(b, c->wsi);

	/* b wants again, as a done one: done, a, b */
	lws_threadpool_task_sync(b->task, 0);
	wait_status(b, LWS_TP_STATUS_FINISHED);
	wait_turn(done, c->wsi);
	lws_threadpool_task_status(done->task, NULL);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), a->task);
	lws_threadpool_dequeue_task(a->task);
	wait_turn(b, c->wsi);
	lws_threadpool_task_status(b->task, NULL);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), running->task);
	gate_open(gate);
}

/* Q2: having been looked at changes nothing about the order */
static void
looking_keeps_the_order(void **state)
{
	struct rig *rig = *state;
	/* one thread: each is posted before the next one begins */
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[4];

	c->manual = true;
	for (int n = 0; n < 4; n++)
		j[n] = job_park(rig, tp, c->wsi);
	for (int n = 0; n < 4; n++) {
		lws_threadpool_task_status(j[n]->task, NULL);
		assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi),
				 j[0]->task);
	}
}

/* Q2: each wsi has its own, and a detached task is nobody's */
static void
each_wsi_its_own(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 50);
	struct conn *c[10];
	struct gate *hold = gate_new(rig);
	struct job *j[10];

	job_block(rig, tp, hold);
	for (int n = 0; n < 10; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		j[n] = job_new(rig);
		job_enqueue(tp, j[n], c[n]->wsi);
		job_enqueue(tp, job_new(rig), NULL);
	}
	for (int n = 0; n < 10; n++)
		assert_ptr_equal(lws_threadpool_get_task_wsi(c[n]->wsi),
				 j[n]->task);
	gate_open(hold);
	rig_until_cleaned(rig);
}

/* Q2: no stream that SYNCs again at once keeps another one waiting for ever */
static void
no_stream_hides_another(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 50);
	struct conn *c = conn_open(rig, CONN_WS);
	struct job *endless = job_script(rig, 0x7fffffff, LWS_TP_RETURN_SYNC),
		   *j[5];

	job_enqueue(tp, endless, c->wsi);
	rig_until_int(rig, &endless->calls, 10);
	for (int n = 0; n < 5; n++) {
		j[n] = job_script(rig, 50, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	for (int n = 0; n < 5; n++) {
		rig_until_int(rig, &j[n]->cleanups, 1);
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 50);
	}
}

/* Q2: the longest, too, among those that the service thread hears of at once */
static void
longest_first_of_a_burst(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool_task *task;
	struct job *j[5], *last;
	void *user;

	c->manual = true;
	for (int n = 0; n < 5; n++) {
		j[n] = job_new(rig);
		job_enqueue(tp, j[n], c->wsi);
	}
	last = job_gated(rig, gate);
	job_enqueue(tp, last, c->wsi);
	wait_int(&last->calls, 1); /* the five are done, and not heard of */
	for (int n = 0; n < 5; n++) {
		task = lws_threadpool_get_task_wsi(c->wsi);
		assert_ptr_equal(task, j[n]->task);
		assert_int_equal(lws_threadpool_task_status(task, &user),
				 LWS_TP_STATUS_FINISHED);
	}
	c->manual = false;
	gate_open(gate);
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(null_if_none),
		RIG_TEST(oldest_of_the_busy),
		RIG_TEST(wanting_first_and_longest_first),
		RIG_TEST(looking_keeps_the_order),
		RIG_TEST(longest_first_of_a_burst),
		RIG_TEST(each_wsi_its_own),
		RIG_TEST(no_stream_hides_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
