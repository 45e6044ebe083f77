/*
 * lws-threadpool unit tests - what lws's own threadpool does wrong: one test
 * for each case that was measured, in that order
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"

/* one running (its gate closed) and n queued ones; returns the running one */
static struct job *
one_running(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi,
	    struct gate *g, struct job **queued, int n)
{
	struct job *j = job_script(rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);

	j->gate = g;
	assert_non_null(job_enqueue(tp, j, wsi));
	wait_int(&j->calls, 1);
	while (n--) {
		queued[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, queued[n], wsi));
	}

	return j;
}

static void
finish_and_destroy_with_1_running_and_5_queued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j, *q[5];
	int n;

	j = one_running(rig, tp, c->wsi, g, q, 5);
	lws_threadpool_finish(tp);
	gate_open(g);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	for (n = 0; n < 5; n++)
		assert_int_equal(atomic_load(&q[n]->cleanups), 1);
}

static void
the_same_with_a_done_task_not_yet_reaped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *done = job_new(rig), *j, *q[5];
	int n;

	assert_non_null(job_enqueue(tp, done, c->wsi));
	wait_status(done, LWS_TP_STATUS_FINISHED);
	j = one_running(rig, tp, c->wsi, g, q, 5);
	lws_threadpool_finish(tp);
	gate_open(g);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&done->cleanups), 1);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	for (n = 0; n < 5; n++)
		assert_int_equal(atomic_load(&q[n]->cleanups), 1);
}

static void
destroy_without_finish_with_1_running_and_3_queued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j, *q[3];
	int n;

	j = one_running(rig, tp, c->wsi, g, q, 3);
	gate_open(g);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
	for (n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&q[n]->cleanups), 1);
}

static int
status_of_each(struct lws_threadpool_task *task, void *user)
{
	int *n = user;

	assert_int_equal(lws_threadpool_task_status(task, NULL),
			 LWS_TP_STATUS_FINISHED);
	(*n)++;

	return 0;
}

static void
task_status_inside_foreach_task_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct job *j[3];
	int n, seen = 0;

	c->manual = true;
	for (n = 0; n < 3; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	}
	for (n = 0; n < 3; n++)
		wait_status(j[n], LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_foreach_task_wsi(c->wsi, &seen,
							 status_of_each),
			 0);
	assert_int_equal(seen, 3);
	for (n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&j[n]->cleanups), 1);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
}

static void
dequeue_task_NULL(void **state)
{
	(void)state;
	assert_int_equal(lws_threadpool_dequeue_task(NULL), 0);
}

static void
task_status_with_user_NULL(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j = job_gated(rig, g);

	c->manual = true;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_int(&j->calls, 1);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_RUNNING);
	gate_open(g);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

static void
enqueue_with_a_NULL_task_function(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct lws_threadpool_task_args args;
	struct job *j = job_new(rig), *k = job_new(rig);

	job_args(j, c->wsi, &args);
	args.task = NULL;
	job_accepted(j, lws_threadpool_enqueue(tp, &args, "none"));
	assert_false(j->accepted);
	assert_int_equal(log_claim(LLL_ERR, "") + log_claim(LLL_WARN, ""), 1);
	assert_non_null(job_enqueue(tp, k, c->wsi));
	rig_until_int(rig, &k->cleanups, 1);
}

static void
threads_refused(struct rig *rig, int threads)
{
	struct lws_threadpool_create_args args = { threads, 10 };

	assert_null(lws_threadpool_create(rig->context, &args, "none"));
	assert_int_equal(log_claim(LLL_ERR, ""), 1);
}

static void
threads_0(void **state)
{
	threads_refused(*state, 0);
}

static void
threads_minus_1(void **state)
{
	threads_refused(*state, -1);
}

static void
dequeue_task_of_a_running_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j = one_running(rig, tp, c->wsi, g, NULL, 0);

	assert_int_equal(lws_threadpool_dequeue_task(j->task), 1);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
	gate_open(g);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

static void
FLAG_OUTLIVE_then_the_wsi_is_gone(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j = job_script(rig, 10,
				   LWS_TP_RETURN_CHECKING_IN |
					   LWS_TP_RETURN_FLAG_OUTLIVE);

	j->gate = g;
	j->gate_call = 1;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_int(&j->calls, 2);
	closing_do(c, CLOSING_RST);
	gate_open(g);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 0);
	assert_int_equal(atomic_load(&j->running), 11);
}

static void
async_task_then_the_wsi_is_gone(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j = job_script(rig, 10, LWS_TP_RETURN_CHECKING_IN);

	j->gate = g;
	j->async_task = 1;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_int(&j->calls, 1);
	closing_do(c, CLOSING_RST);
	gate_open(g);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 0);
	assert_int_equal(atomic_load(&j->running), 11);
}

static void
a_stop_request_while_the_function_runs(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	int n;

	for (n = 0; n < 100; n++) {
		struct gate *g = gate_new(rig);
		struct job *j = one_running(rig, tp, c->wsi, g, NULL, 0);

		if (n & 1)
			j->ret = LWS_TP_RETURN_SYNC;
		lws_threadpool_task_sync(j->task, 1);
		lws_threadpool_task_sync(j->task, 1);
		gate_open(g);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
		assert_int_equal(atomic_load(&j->running), 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
	}
}

static void
task_status_in_the_moment_a_task_ends(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	enum lws_threadpool_task_status s;
	int n;

	c->manual = true;
	for (n = 0; n < 3000; n++) {
		struct job *j = job_script(rig, n % 3,
					   LWS_TP_RETURN_CHECKING_IN);
		void *user = NULL;

		assert_non_null(job_enqueue(tp, j, c->wsi));
		do
			s = lws_threadpool_task_status(j->task, &user);
		while (s == LWS_TP_STATUS_QUEUED || s == LWS_TP_STATUS_RUNNING);
		assert_int_equal(s, LWS_TP_STATUS_FINISHED);
		/* it was there when it said so, and is reaped */
		assert_ptr_equal(user, j);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
	}
	assert_int_equal(log_unclaimed(), 0);
}

static void
one_task_that_syncs_5000_times(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct job *j = job_script(rig, 5000, LWS_TP_RETURN_SYNC);

	/* no tick of ours may hide a wake-up that is lost */
	rig->tick_us = 50 * LWS_US_PER_SEC;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 5000);
	/* a lost ring comes again after a second (S5): there was none */
	assert_int_equal(log_unclaimed(), 0);
}

static void
a_sync_s_duplicates(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c[8];
	struct job *j[8][2];
	int n, syncs = 0;

	for (n = 0; n < 8; n++)
		c[n] = conn_open(rig, CONN_RAW);
	for (n = 0; n < 8; n++)
		for (int m = 0; m < 2; m++) {
			j[n][m] = job_script(rig, 500, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j[n][m], c[n]->wsi));
		}
	for (n = 0; n < 8; n++)
		for (int m = 0; m < 2; m++) {
			rig_until_int(rig, &j[n][m]->cleanups, 1);
			/* SYNCING was said once for each SYNC, and each of
			 * those was answered by one task_sync() */
			assert_int_equal(j[n][m]->seen[LWS_TP_STATUS_SYNCING],
					 500);
			assert_int_equal(atomic_load(&j[n][m]->running), 501);
			syncs += j[n][m]->seen[LWS_TP_STATUS_SYNCING];
		}
	assert_int_equal(syncs, 8000);
}

static void
wsi_closes_and_the_application_does_not_dequeue(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct gate *g = gate_new(rig);
	struct job *j, *q[2];

	j = one_running(rig, tp, c->wsi, g, q, 2);
	closing_do(c, CLOSING_FIN);
	assert_int_equal(atomic_load(&q[0]->cleanups), 1);
	assert_int_equal(atomic_load(&q[1]->cleanups), 1);
	gate_open(g);
	wait_int(&j->cleanups, 1);
	assert_null(j->cleanup_wsi);
}

/* A task for each connection that counts and SYNCs, as that example does */
static void
ten_clients_that_reset_the_connection(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 8);
	struct job *j[30], *last;
	struct conn *c;
	int n;

	for (n = 0; n < 30; n++) {
		c = conn_open(rig, CONN_WS);
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
		rig_until_int(rig, &j[n]->calls, 3);
		closing_do(c, CLOSING_RST);
		rig_until_int(rig, &j[n]->cleanups, 1);
	}
	c = conn_open(rig, CONN_WS);
	last = job_script(rig, 10, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(tp, last, c->wsi));
	rig_until_int(rig, &last->cleanups, 1);
	assert_int_equal(last->reaped_as, LWS_TP_STATUS_FINISHED);
}

static void
dump_is_not_compiled_out(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 8);

	lws_threadpool_dump(tp);
	assert_true(log_count(LLL_THREAD, "unit0") >= 1);
}

/* What it costs: a thread is not held by a task that waits in SYNC, so more
 * readers than threads stream at once */
static void
more_slow_readers_than_threads(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c[20];
	struct job *j[20];
	int n;

	for (n = 0; n < 20; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		c[n]->manual = true;
		j[n] = job_script(rig, 10, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c[n]->wsi));
	}
	for (n = 0; n < 20; n++)
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	for (n = 0; n < 20; n++) {
		c[n]->manual = false;
		lws_callback_on_writable(c[n]->wsi);
	}
	for (n = 0; n < 20; n++)
		rig_until_int(rig, &j[n]->cleanups, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(finish_and_destroy_with_1_running_and_5_queued),
		RIG_TEST(the_same_with_a_done_task_not_yet_reaped),
		RIG_TEST(destroy_without_finish_with_1_running_and_3_queued),
		RIG_TEST(task_status_inside_foreach_task_wsi),
		RIG_TEST(dequeue_task_NULL),
		RIG_TEST(task_status_with_user_NULL),
		RIG_TEST(enqueue_with_a_NULL_task_function),
		RIG_TEST(threads_0),
		RIG_TEST(threads_minus_1),
		RIG_TEST(dequeue_task_of_a_running_task),
		RIG_TEST(FLAG_OUTLIVE_then_the_wsi_is_gone),
		RIG_TEST(async_task_then_the_wsi_is_gone),
		RIG_TEST(a_stop_request_while_the_function_runs),
		RIG_TEST(task_status_in_the_moment_a_task_ends),
		RIG_TEST(one_task_that_syncs_5000_times),
		RIG_TEST(a_sync_s_duplicates),
		RIG_TEST(wsi_closes_and_the_application_does_not_dequeue),
		RIG_TEST(ten_clients_that_reset_the_connection),
		RIG_TEST(dump_is_not_compiled_out),
		RIG_TEST(more_slow_readers_than_threads),
	};

	return cmocka_run_group_tests_name("what the built-in one does wrong",
					   tests, NULL, NULL);
}
