/*
 * lws-threadpool unit tests - S5, a ring that nobody has looked at is rung
 * again after about a second, one that was looked at is not, and nothing spins
 *
 * SPDX-License-Identifier: MIT
 *
 * How often a ring comes again is measured by another wsi's, not by a clock.
 *
 * LWSTP_WRAP: lws_callback_on_writable
 */

#include "harness.h"

int
__real_lws_callback_on_writable(struct lws *wsi);
int
__wrap_lws_callback_on_writable(struct lws *wsi);

static struct lws *lossy;
static int pass, drop, dropped;

/* lws does this in some states: it says yes, and forgets */
int
__wrap_lws_callback_on_writable(struct lws *wsi)
{
	if (wsi == lossy && dropped < drop && pass-- <= 0) {
		dropped++;
		return 1;
	}

	return __real_lws_callback_on_writable(wsi);
}

struct until_writeables {
	struct conn *c;
	int n;
};

static bool
has_writeables(void *arg)
{
	struct until_writeables *u = arg;

	return u->c->writeables >= u->n;
}

static void
until_more_writeables(struct conn *c, int n)
{
	struct until_writeables u = { c, c->writeables + n };

	rig_until(c->rig, has_writeables, &u);
}

/* more than for the first task and the ring */
static bool
all_have_writeables(void *arg)
{
	struct rig *rig = arg;

	for (struct conn *c = rig->conns; c; c = c->next)
		if (c->writeables < 4)
			return false;

	return true;
}

static struct job *
parked_on(struct rig *rig, struct lws_threadpool *tp, struct conn *c)
{
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	rig_until_status(j, LWS_TP_STATUS_SYNCING);

	return j;
}

/* SYNCING without anybody having looked: by its own count of calls */
static struct job *
parked_unseen_on(struct rig *rig, struct lws_threadpool *tp, struct conn *c)
{
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	rig_until_int(rig, &j->returns, 1);

	return j;
}

/* S5: of every kind, SYNCING or done, unseen: it comes again and again, and not
 * more than about once a second */
static void
unseen_is_rung_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c[2 * CONN_KINDS];
	struct job *j[2 * CONN_KINDS];
	lws_usec_t start = lws_now_usecs();
	int seconds;

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		c[n] = conn_open(rig, (enum conn_kind)(n / 2));
		if (n & 1) {
			c[n]->manual = true;
			j[n] = job_new(rig);
			job_enqueue(tp, j[n], c[n]->wsi);
		} else
			j[n] = parked_unseen_on(rig, tp, c[n]);
	}
	rig_until(rig, all_have_writeables, rig);
	/* one for the first task, one for the ring, one a second */
	seconds = (int)((lws_now_usecs() - start) / LWS_US_PER_SEC);
	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		assert_true(c[n]->writeables <= 3 + seconds);
		c[n]->manual = false;
	}
	/* and by that they are all served in the end */
	rig_until_cleaned(rig);
}

/* S5: WRITEABLE that came and went without an answer does not spin */
static void
nothing_spins(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	int seen;

	parked_unseen_on(rig, tp, c);
	until_more_writeables(c, 1);
	rig_drain(rig);
	seen = c->writeables;
	rig_turns(rig, 1000);
	/* a second may have gone by on a slow machine */
	assert_true(c->writeables <= seen + 20);
}

/* S5: a task that was looked at is left alone, SYNCING or done.  Two more rings
 * of one that was not tell that the time for it has come. */
static void
seen_is_left_alone(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *clock = conn_open(rig, CONN_RAW), *c[4];
	struct job *j[4], *unseen;
	int before[4];

	for (int n = 0; n < 4; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		if (n & 1) {
			c[n]->manual = true;
			j[n] = job_new(rig);
			job_enqueue(tp, j[n], c[n]->wsi);
			rig_until_status(j[n], LWS_TP_STATUS_FINISHED);
		} else
			j[n] = parked_on(rig, tp, c[n]);
	}
	rig_drain(rig);
	for (int n = 0; n < 4; n++) {
		/* by _noreap, or where it is SYNCING by the reaping one */
		if (n == 2)
			lws_threadpool_task_status(j[n]->task, NULL);
		else
			lws_threadpool_task_status_noreap(j[n]->task);
	}
	unseen = parked_unseen_on(rig, tp, clock);
	rig_drain(rig);
	for (int n = 0; n < 4; n++)
		before[n] = c[n]->writeables;
	until_more_writeables(clock, 2);
	for (int n = 0; n < 4; n++)
		assert_int_equal(c[n]->writeables, before[n]);
	assert_int_equal(lws_threadpool_task_status_noreap(unseen->task),
			 LWS_TP_STATUS_SYNCING);
	for (int n = 0; n < 4; n += 2)
		assert_int_equal(lws_threadpool_task_status(j[n]->task, NULL),
				 LWS_TP_STATUS_SYNCING);
}

/* S5: a wsi with one task seen and one not: it is rung again for that one */
static void
one_seen_one_not(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *seen = parked_on(rig, tp, c),
		   *unseen = parked_unseen_on(rig, tp, c);

	lws_threadpool_task_status(seen->task, NULL);
	until_more_writeables(c, 2);
	lws_threadpool_task_status(unseen->task, NULL);
}

/* S5: lws dropped the request: it is made again, until it has come; for a later
 * SYNC too, and for the end */
static void
a_dropped_request_is_repeated(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);

	for (int n = 0; n < 4; n++) {
		struct conn *c = conn_open(rig, CONN_WS);
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

		j->gate = gate;
		job_enqueue(tp, j, c->wsi);
		rig_drain(rig);
		lossy = c->wsi;
		pass = n;
		dropped = 0;
		drop = 1;
		gate_open(gate);
		rig_until_cleaned(rig);
		assert_int_equal(dropped, 1);
		assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3);
		lossy = NULL;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(unseen_is_rung_again),
		RIG_TEST(nothing_spins),
		RIG_TEST(seen_is_left_alone),
		RIG_TEST(one_seen_one_not),
		RIG_TEST(a_dropped_request_is_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
