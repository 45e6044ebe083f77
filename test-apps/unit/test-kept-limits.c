/*
 * lws-threadpool unit tests - K4, kept tasks: for how long, and how many
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

static struct lws_threadpool *
pool_that_keeps(struct rig *rig, int threads, int secs, int most)
{
	struct lws_threadpool_options o = {
		.size = sizeof(o),
		.keep_secs = secs,
		.max_kept = most,
	};

	return rig_pool_ext(rig, threads, 100, &o);
}

/* K4: nobody asks, and nobody services: it goes by itself */
static void
for_a_second(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 2, 1, 0);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = tokens_job(rig, tp, NULL, gate, 0),
		   *closed = job_new(rig);

	c->manual = true;
	assert_non_null(job_enqueue(tp, closed, c->wsi));
	tokens_give(closed, 0);
	wait_status(closed, LWS_TP_STATUS_FINISHED);
	closing_do(c, CLOSING_FIN);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
	wait_int(&closed->cleanups, 1);
	is_gone(j);
	is_gone(closed);
	assert_int_equal(kept_count(tp), 0);
}

/* K4: beyond max_kept the one kept longest goes, whoever was enqueued first */
static void
the_one_kept_longest_goes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 8, 0, 3);
	struct gate *gate[8];
	struct job *j[8];

	for (int n = 0; n < 8; n++) {
		gate[n] = gate_new(rig);
		j[n] = tokens_job(rig, tp, NULL, gate[n], 0);
	}
	for (int n = 0; n < 8; n++) {
		/* in another order: 0 5 2 7 4 1 6 3 */
		gate_open(gate[n * 5 % 8]);
		wait_status(j[n * 5 % 8], LWS_TP_STATUS_FINISHED);
		wait_until(tokens_is_kept, j[n * 5 % 8]);
		for (int m = 0; m <= n; m++)
			if (m > n - 3)
				is_kept(tp, j[m * 5 % 8],
					LWS_TP_STATUS_FINISHED);
			else
				wait_int(&j[m * 5 % 8]->cleanups, 1);
		assert_int_equal(kept_count(tp), n < 3 ? n + 1 : 3);
	}
	for (int n = 0; n < 5; n++)
		is_gone(j[n * 5 % 8]);
}

/* one that was attached, and closes again, is the latest */
static void
kept_again_is_the_latest(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 1, 0, 2);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *first = tokens_keep(rig, tp),
		   *second = tokens_keep(rig, tp), *third;

	c->manual = true;
	assert_int_equal(lws_threadpool_task_attach(first->task, c->wsi), 0);
	assert_int_equal(kept_count(tp), 1);
	assert_int_equal(tokens_info(first).kept, 0);
	closing_do(c, CLOSING_FIN);
	is_kept(tp, first, LWS_TP_STATUS_FINISHED);
	third = tokens_keep(rig, tp);
	wait_int(&second->cleanups, 1);
	is_gone(second);
	is_kept(tp, first, LWS_TP_STATUS_FINISHED);
	is_kept(tp, third, LWS_TP_STATUS_FINISHED);
}

/* K4: negative: none, it reaps itself; its wsi's close reaps what is done */
static void
none_is_kept(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 1, 0, -1);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = tokens_job(rig, tp, NULL, gate, 0),
		   *done = job_new(rig);
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	strcpy(token, tokens_give(j, 0));
	assert_ptr_equal(lws_threadpool_task_by_token(tp, token), j->task);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
	is_gone(j);
	assert_null(lws_threadpool_task_by_token(tp, token));

	c->manual = true;
	assert_non_null(job_enqueue(tp, done, c->wsi));
	tokens_give(done, LWS_TP_TOKEN_WAIT);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	closing_do(c, CLOSING_FIN);
	wait_int(&done->cleanups, 1);
	is_gone(done);
}

/* K4: 0: a thousand of them */
static void
a_thousand_by_default(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *first = tokens_keep(rig, tp), *j, *second = NULL;

	for (int n = 1; n < 1000; n++) {
		j = tokens_keep(rig, tp);
		if (n == 1)
			second = j;
	}
	assert_int_equal(kept_count(tp), 1000);
	is_kept(tp, first, LWS_TP_STATUS_FINISHED);
	tokens_keep(rig, tp);
	wait_int(&first->cleanups, 1);
	is_kept(tp, second, LWS_TP_STATUS_FINISHED);
	assert_int_equal(kept_count(tp), 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(for_a_second),
		RIG_TEST(the_one_kept_longest_goes),
		RIG_TEST(kept_again_is_the_latest),
		RIG_TEST(none_is_kept),
		RIG_TEST(a_thousand_by_default),
	};

	return cmocka_run_group_tests_name("K4 how many are kept", tests, NULL,
					   NULL);
}
