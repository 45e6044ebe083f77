/*
 * lws-threadpool unit tests - T9, S2: parked tasks hold no thread, however many
 * they are, and come back in their order
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

#define MANY 1000

static atomic_int turn;

/* parks j->repeat times for *j->priv, and notes the turn of its latest call */
static int
park_and_note(struct job *j, enum lws_threadpool_task_status s)
{
	j->data = 0;
	if (s == LWS_TP_STATUS_RUNNING) {
		int ret = park_step(j, s);

		j->data = atomic_fetch_add(&turn, 1);
		return ret;
	}

	return LWS_TP_RETURN_STOPPED;
}

static struct job *
note_job(struct rig *rig, int parks, const lws_usec_t *us)
{
	struct job *j = park_job(rig, parks, us);

	j->fn = park_and_note;

	return j;
}

/* T9, P2: a thousand on one thread, in a pool whose queue has room for one;
 * others run beside them, and all come back */
static void
T9_a_thousand_hold_no_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct job *j[MANY], *stream;
	struct conn *c[4];

	for (int n = 0; n < 4; n++)
		c[n] = conn_open(rig, CONN_RAW);
	for (int n = 0; n < MANY; n++) {
		j[n] = park_job(rig, 2, &park_ever);
		assert_non_null(job_enqueue(tp, j[n],
					    n & 1 ? c[n / 2 % 4]->wsi : NULL));
		wait_int(&j[n]->returns, 1);
	}
	stream = job_script(rig, 200, LWS_TP_RETURN_SYNC);
	wait_until(park_no_thread_runs, tp);
	assert_non_null(job_enqueue(tp, stream, c[0]->wsi));
	rig_until_int(rig, &stream->cleanups, 1);
	for (int n = 0; n < MANY; n++)
		assert_int_equal(atomic_load(&j[n]->calls), 1);
	for (int calls = 2; calls < 4; calls++) {
		for (int n = 0; n < MANY; n++)
			lws_threadpool_task_wake(j[n]->task);
		for (int n = 0; n < MANY; n++)
			wait_int(&j[n]->returns, calls);
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < MANY; n++) {
		assert_int_equal(atomic_load(&j[n]->running), 3);
		assert_int_equal(atomic_load(&j[n]->stopping), 0);
	}
}

/* T9, W1, P3: or are stopped together */
static void
T9_a_thousand_are_stopped(void **state)
{
	static const lws_usec_t hour = 3600 * LWS_US_PER_SEC;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, MANY);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[MANY];

	for (int n = 0; n < MANY; n++) {
		j[n] = park_job(rig, 2, n & 2 ? &hour : &park_ever);
		job_enqueue(tp, j[n], n & 1 ? c->wsi : NULL);
	}
	for (int n = 0; n < MANY; n++)
		wait_int(&j[n]->returns, 1);
	conn_fin(c);
	conn_until_closed(c);
	for (int n = 1; n < MANY; n += 2)
		rig_until_int(rig, &j[n]->cleanups, 1);
	for (int n = 0; n < MANY; n += 2)
		assert_int_equal(atomic_load(&j[n]->calls), 1);
	lws_threadpool_finish(tp);
	for (int n = 0; n < MANY; n++) {
		wait_int(&j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->stopping), 1);
	}
}

/* T9: as many with times, which all come */
static void
T9_a_thousand_times(void **state)
{
	static lws_usec_t us[MANY];
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, MANY);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < MANY; n++) {
		us[n] = 1 + (n * 7919) % 50000;
		job_enqueue(tp, park_job(rig, 4, &us[n]),
			    n % 3 ? NULL : c->wsi);
	}
	rig_until_cleaned(rig);
	for (struct job *j = rig->jobs; j; j = j->next)
		assert_int_equal(atomic_load(&j->running), 5);
}

/* S2: they are called in the order in which they were woken, among those that
 * were answered; new ones too make progress meanwhile */
static void
S2_in_the_order_of_their_wakes(void **state)
{
	enum { EACH = 60 };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j[EACH], *fresh[EACH];
	int early_fresh = 0, early = 0;

	c->manual = true;
	for (int n = 0; n < EACH; n++) {
		j[n] = note_job(rig, 1, &park_ever);
		if (n % 3 == 0)
			j[n] = job_park(rig, tp, c->wsi);
		else
			job_enqueue(tp, j[n], n & 1 ? c->wsi : NULL);
		wait_int(&j[n]->returns, 1);
	}
	wait_until(park_no_thread_runs, tp);
	job_block(rig, tp, hold);
	for (int n = 0; n < EACH; n++) {
		struct job *next = j[(n * 7) % EACH];

		next->fn = park_and_note;
		next->priv = (void *)(uintptr_t)&park_ever;
		next->repeat = 1;
		if ((n * 7) % EACH % 3 == 0)
			lws_threadpool_task_sync(next->task, 0);
		else
			lws_threadpool_task_wake(next->task);
	}
	for (int n = 0; n < EACH; n++) {
		fresh[n] = note_job(rig, 0, &park_ever);
		job_enqueue(tp, fresh[n], c->wsi);
	}
	atomic_store(&turn, 0);
	gate_open(hold);
	for (int n = 0; n < EACH; n++) {
		wait_int(&j[n]->returns, 2);
		wait_int(&fresh[n]->returns, 1);
	}
	for (int n = 0; n < EACH; n++) {
		early_fresh += fresh[n]->data < EACH;
		early += j[n]->data < EACH;
		if (!n)
			continue;
		assert_true(fresh[n]->data > fresh[n - 1]->data);
		assert_true(j[(n * 7) % EACH]->data >
			    j[((n - 1) * 7) % EACH]->data);
	}
	assert_true(early_fresh >= EACH / 4);
	assert_true(early >= EACH / 4);
}

/* S2: those that yield and yield do not keep a new one waiting, nor a stream,
 * nor each other */
static void
S2_yields_starve_nobody(void **state)
{
	static const lws_usec_t at_once = 0;
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *yields[8], *stream, *fresh;

	for (int n = 0; n < 8; n++) {
		yields[n] = park_job(rig, INT32_MAX, &at_once);
		job_enqueue(tp, yields[n], NULL);
		wait_int(&yields[n]->calls, 2);
	}
	stream = job_script(rig, 50, LWS_TP_RETURN_SYNC);
	job_enqueue(tp, stream, c->wsi);
	for (int n = 0; n < 100; n++) {
		fresh = job_new(rig);
		job_enqueue(tp, fresh, NULL);
		rig_until_int(rig, &fresh->cleanups, 1);
	}
	rig_until_int(rig, &stream->cleanups, 1);
	for (int n = 0; n < 8; n++) {
		wait_int(&yields[n]->calls, 50);
		assert_int_equal(atomic_load(&yields[n]->stopping), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(T9_a_thousand_hold_no_thread),
		RIG_TEST(T9_a_thousand_are_stopped),
		RIG_TEST(T9_a_thousand_times),
		RIG_TEST(S2_in_the_order_of_their_wakes),
		RIG_TEST(S2_yields_starve_nobody),
	};

	return cmocka_run_group_tests_name("T9 many", tests, NULL, NULL);
}
