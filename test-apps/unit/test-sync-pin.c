/*
 * lws-threadpool unit tests - S1's option pin_tasks: a task resumes only on the
 * thread that it began on, and holds it no more than others do
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

static struct lws_threadpool *
pinned_pool(struct rig *rig, int threads, int depth)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .pin_tasks = 1 };

	return rig_pool_ext(rig, threads, depth, &o);
}

/* Of a pool: one thread is at work, no more */
static bool
one_is_at_work(void *tp)
{
	int running;

	lws_threadpool_diagnose(tp, &running, NULL, NULL);

	return running == 1;
}

/* S1: all of a task's calls are on one thread, STOPPING's included */
static void
all_calls_on_one_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pinned_pool(rig, 4, 100);
	struct job *j[60];
	struct conn *c[6];

	for (int n = 0; n < 6; n++)
		c[n] = conn_open(rig, n & 1 ? CONN_RAW : CONN_WS);
	for (int n = 0; n < 60; n++) {
		j[n] = job_script(rig, 40,
				  n % 3 ? LWS_TP_RETURN_SYNC :
					  LWS_TP_RETURN_CHECKING_IN);
		job_enqueue(tp, j[n], c[n % 6]->wsi);
		rig_turns(rig, 1);
	}
	for (int n = 0; n < 60; n += 7)
		lws_threadpool_task_sync(j[n]->task, 1);
	rig_until_cleaned(rig);
	for (int n = 0; n < 60; n++)
		assert_int_equal(atomic_load(&j[n]->moved), 0);
}

/* S1: no thread is held: one thread, a hundred SYNCING, and others run */
static void
pinned_tasks_park_too(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pinned_pool(rig, 1, 200);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[100], *other = job_new(rig);

	c->manual = true;
	for (int n = 0; n < 100; n++) {
		j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	for (int n = 0; n < 100; n++)
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	job_enqueue(tp, other, NULL);
	rig_until_int(rig, &other->cleanups, 1);
	for (int n = 0; n < 100; n++)
		lws_threadpool_task_sync(j[n]->task, 0);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}

/* S1: it waits for its own thread though others are idle, and goes on there */
static void
waits_for_its_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pinned_pool(rig, 3, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold[3] = { gate_new(rig), gate_new(rig), gate_new(rig) };
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC), *b[3], *other;
	int held = -1;

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	for (int n = 0; n < 3; n++) {
		b[n] = job_block(rig, tp, hold[n]);
		if (pthread_equal(b[n]->first_thread, j->first_thread))
			held = n;
	}
	assert_true(held >= 0);
	for (int n = 0; n < 3; n++)
		if (n != held)
			gate_open(hold[n]);
	lws_threadpool_task_sync(j->task, 0);
	for (int n = 0; n < 50; n++) {
		other = job_new(rig);
		job_enqueue(tp, other, NULL);
		rig_until_int(rig, &other->cleanups, 1);
	}
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_RUNNING);
	assert_int_equal(atomic_load(&j->calls), 1);
	gate_open(hold[held]);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(atomic_load(&j->calls), 2);
	assert_int_equal(atomic_load(&j->moved), 0);
}

/* P2: however many wait for the thread that they are pinned to, another one is
 * free: a task that it is about to take does not count as waiting */
static void
a_thread_is_free_beside_pinned_tasks(void **state)
{
	struct rig *rig = *state;

	for (int round = 0; round < 30; round++) {
		struct lws_threadpool *tp = pinned_pool(rig, 2, 1);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct gate *other = gate_new(rig), *own = gate_new(rig);
		struct job *j[3];

		c->manual = true;
		job_block(rig, tp, other);
		for (int n = 0; n < 3; n++) {
			j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j[n], c->wsi));
			wait_status(j[n], LWS_TP_STATUS_SYNCING);
		}
		job_block(rig, tp, own);
		for (int n = 0; n < 3; n++)
			lws_threadpool_task_sync(j[n]->task, 0);
		gate_open(other);
		wait_until(one_is_at_work, tp);

		for (int n = 0; n < 2; n++)
			assert_non_null(job_enqueue(tp, job_gated(rig, own),
						    NULL));
		assert_null(job_enqueue(tp, job_gated(rig, own), NULL));
		assert_int_equal(
			log_claim(LLL_WARN, "max_queue_depth tasks wait"), 1);
		log_forget();
		gate_open(own);
		c->manual = false;
		lws_callback_on_writable(c->wsi);
		rig_until_cleaned(rig);
		rig_pool_destroy(rig, tp);
	}
}

/* S1, P4: pinned to different threads, and all of them told at the end */
static void
finish_with_pinned_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pinned_pool(rig, 4, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[40];

	c->manual = true;
	for (int n = 0; n < 40; n++) {
		j[n] = job_script(rig, 9, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	for (int n = 0; n < 40; n++)
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	rig_pool_destroy(rig, tp);
	for (int n = 0; n < 40; n++) {
		assert_int_equal(atomic_load(&j[n]->stopping), 1);
		assert_int_equal(atomic_load(&j[n]->moved), 0);
	}
}

/* S2 holds for it as well: streams that go on and on keep no new task waiting,
 * nor the other way round */
static void
fair_with_new_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pinned_pool(rig, 2, 1000);
	struct job *stream[8], *fresh;
	struct conn *c;
	int before[8];

	for (int n = 0; n < 8; n++) {
		c = conn_open(rig, CONN_RAW);
		stream[n] = job_script(rig, 0x7fffffff, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, stream[n], c->wsi);
		rig_until_int(rig, &stream[n]->calls, 2);
	}
	for (int n = 0; n < 200; n++) {
		fresh = job_new(rig);
		job_enqueue(tp, fresh, NULL);
		rig_until_int(rig, &fresh->cleanups, 1);
	}
	for (int n = 0; n < 8; n++)
		before[n] = atomic_load(&stream[n]->calls);
	for (int n = 0; n < 900; n++)
		job_enqueue(tp, job_new(rig), NULL);
	for (int n = 0; n < 8; n++)
		rig_until_int(rig, &stream[n]->calls, before[n] + 20);
	for (int n = 0; n < 8; n++)
		assert_int_equal(atomic_load(&stream[n]->moved), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(all_calls_on_one_thread),
		RIG_TEST(pinned_tasks_park_too),
		RIG_TEST(waits_for_its_thread),
		RIG_TEST(a_thread_is_free_beside_pinned_tasks),
		RIG_TEST(finish_with_pinned_tasks),
		RIG_TEST(fair_with_new_tasks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
