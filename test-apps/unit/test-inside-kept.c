/*
 * lws-threadpool unit tests - K4, for how long a task is kept, and K1, how long
 * one waits for a wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"
#include "tokens.h"

/* its threads have looked at the pool's timers since */
static void
let_them_look(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *j = job_new(rig);

	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
}

static struct lws_threadpool *
pool_that_keeps(struct rig *rig, int secs)
{
	struct lws_threadpool_options o = {
		.size = sizeof(o),
		.keep_secs = secs,
	};

	return rig_pool_ext(rig, 1, 10, &o);
}

/* K4: 300 s by default, and as long as was asked for; not sooner.  Each has its
 * own time. */
static void
as_long_as_was_asked_for(void **state)
{
	static const int secs[] = { 0, 1000, 1 };
	struct rig *rig = *state;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(secs); n++) {
		struct lws_threadpool *tp = pool_that_keeps(rig, secs[n]);
		int half = (secs[n] ? secs[n] : 300) / 2;
		struct job *j = tokens_keep(rig, tp), *later;

		clock_forward(half);
		let_them_look(rig, tp);
		later = tokens_keep(rig, tp);
		clock_forward(half);
		clock_forward(2);
		let_them_look(rig, tp);
		wait_int(&j->cleanups, 1);
		assert_null(j->cleanup_wsi);
		if (secs[n] == 1)
			continue;
		assert_int_equal(atomic_load(&later->cleanups), 0);
		assert_int_equal(tokens_info(later).kept, 1);
		clock_forward(half);
		let_them_look(rig, tp);
		wait_int(&later->cleanups, 1);
	}
}

/* K4: negative: for ever */
static void
for_ever(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, -1);
	struct job *j = tokens_keep(rig, tp);

	for (int n = 0; n < 5; n++) {
		clock_forward(10000000);
		let_them_look(rig, tp);
		assert_int_equal(tokens_info(j).kept, 1);
	}
}

/* K4: what was attached in time is not kept any more, however long nobody
 * serves it; kept again it has all of its time */
static void
attached_it_has_no_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = tokens_keep(rig, tp);

	c->manual = true;
	lws_set_timeout(c->wsi, NO_PENDING_TIMEOUT, 0);
	clock_forward(90);
	assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi), 0);
	for (int n = 0; n < 3; n++) {
		clock_forward(1000);
		let_them_look(rig, tp);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_FINISHED);
		assert_int_equal(atomic_load(&j->cleanups), 0);
	}
	conn_timeout(c);
	conn_until_closed(c);
	assert_int_equal(tokens_info(j).kept, 1);
	clock_forward(90);
	let_them_look(rig, tp);
	assert_int_equal(tokens_info(j).kept, 1);
	clock_forward(12);
	let_them_look(rig, tp);
	wait_int(&j->cleanups, 1);
}

/* K4: ... and so it has if what was left of its time before is not over yet */
static void
kept_again_it_has_all_of_its_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = tokens_keep(rig, tp);

	c->manual = true;
	clock_forward(90);
	let_them_look(rig, tp);
	assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi), 0);
	conn_timeout(c);
	conn_until_closed(c);
	assert_int_equal(tokens_info(j).kept, 1);
	clock_forward(90);
	let_them_look(rig, tp);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	assert_int_equal(tokens_info(j).kept, 1);
	clock_forward(12);
	let_them_look(rig, tp);
	wait_int(&j->cleanups, 1);
}

/* K4: while all threads are at work it may be later, but then it goes */
static void
while_all_threads_are_at_work(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = pool_that_keeps(rig, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = tokens_keep(rig, tp);

	job_block(rig, tp, gate);
	clock_forward(12);
	rig_drain(rig);
	gate_open(gate);
	rig_until_int(rig, &j->cleanups, 1);
	assert_null(j->cleanup_wsi);
}

/* S5: what was attached and answered in time does not time out, though another
 * one that waits for a wsi does */
static void
what_waits_for_a_wsi_times_out(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = {
		.size = sizeof(o),
		.keep_secs = -1,
	};
	struct lws_threadpool *tp = rig_pool_ext(rig, 2, 10, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig), *first = gate_new(rig);
	struct job *j[2];

	for (int n = 0; n < 2; n++) {
		j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		j[n]->gate = first;
		assert_non_null(job_enqueue(tp, j[n], NULL));
		tokens_give(j[n], LWS_TP_TOKEN_WAIT);
		wait_int(&j[n]->calls, 1);
	}
	gate_open(first);
	wait_status(j[0], LWS_TP_STATUS_SYNCING);
	wait_status(j[1], LWS_TP_STATUS_SYNCING);
	j[0]->gate = gate;
	j[0]->gate_call = 1;
	assert_int_equal(lws_threadpool_task_attach(j[0]->task, c->wsi), 0);
	rig_until_int(rig, &j[0]->calls, 2);
	/* due, and that once more: one that is over long since has a moment */
	for (int n = 0; n < 2; n++) {
		clock_forward(LWSTP_SYNC_TIMEOUT_SECS);
		let_them_look(rig, tp);
	}
	wait_until(tokens_is_kept, j[1]);
	assert_int_equal(log_claim(LLL_WARN, "lws_threadpool"), 1);
	assert_int_equal(atomic_load(&j[1]->stopping), 1);
	gate_open(gate);
	rig_until_int(rig, &j[0]->cleanups, 1);
	assert_int_equal(atomic_load(&j[0]->stopping), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(as_long_as_was_asked_for),
		INSIDE_TEST(for_ever),
		INSIDE_TEST(attached_it_has_no_time),
		INSIDE_TEST(kept_again_it_has_all_of_its_time),
		INSIDE_TEST(while_all_threads_are_at_work),
		INSIDE_TEST(what_waits_for_a_wsi_times_out),
	};

	return cmocka_run_group_tests_name("K4 K1 times", tests, NULL, NULL);
}
