/*
 * lws-threadpool unit tests - H2, the WRITEABLEs that serve() is called by:
 * each task gets one, and nothing spins
 *
 * SPDX-License-Identifier: MIT
 *
 * S5's ring after a second is out of the way.
 *
 * LWSTP_WRAP: lws_sul_schedule
 */

#include "no-rering.h"

#include "served.h"

#define STREAMS 20

static int
setup(void **state)
{
	struct rig *rig;

	served_setup(state);
	rig = *state;
	rig->tick_us = NO_RERING_TICK_US;

	return 0;
}

/* so many that are SYNCING and have not been served, on a wsi that serves */
static void
all_syncing(struct rig *rig, struct conn *c, struct served **s, int n,
	    int sync_ret)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);

	c->manual = true;
	for (int i = 0; i < n; i++) {
		s[i] = served_syncing(rig, tp, c->wsi);
		s[i]->sync_ret = sync_ret;
	}
	rig_drain(rig); /* all that they rang for has come */
	c->manual = false;
}

static int
syncs_of(struct served **s, int n)
{
	int syncs = 0;

	while (n--)
		syncs += atomic_load(&s[n]->syncs);

	return syncs;
}

struct until {
	struct served **s;
	int n;
};

static bool
all_served(void *arg)
{
	struct until *u = arg;

	for (int n = 0; n < u->n; n++)
		if (!atomic_load(&u->s[n]->syncs))
			return false;

	return true;
}

/* H2: one WRITEABLE, and it comes again while some are not served; then no more
 * though all of them stay.  On every kind of wsi. */
static void
until_each_is_served_and_no_longer(void **state)
{
	struct rig *rig = *state;
	struct served *s[STREAMS];
	struct until u = { s, STREAMS };
	int served, calls;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		all_syncing(rig, c, s, STREAMS, LWS_TP_ON_SYNC_STAY);
		lws_callback_on_writable(c->wsi);
		rig_until(rig, all_served, &u);
		rig_drain(rig);
		served = syncs_of(s, STREAMS);
		/* one more may have been on its way */
		assert_true(served <= STREAMS + 1);

		calls = served_calls;
		rig_drain(rig);
		assert_int_equal(served_calls, calls);

		/* a later one serves one, and does not set it off again */
		lws_callback_on_writable(c->wsi);
		rig_drain(rig);
		assert_int_equal(syncs_of(s, STREAMS), served + 1);
	}
}

/* H2: streams on one wsi all come to their end, by WRITEABLEs alone, with one
 * thread and with several */
static void
streams_of_one_wsi(void **state)
{
	struct rig *rig = *state;
	struct served *s[STREAMS];

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct lws_threadpool *tp = rig_pool(rig, 1 + kind % 3, 100);

		for (int n = 0; n < STREAMS; n++) {
			s[n] = served_script(rig, 10, LWS_TP_RETURN_SYNC);
			assert_non_null(served_enqueue(tp, s[n], c->wsi));
		}
		rig_until_cleaned(rig);
		for (int n = 0; n < STREAMS; n++) {
			assert_int_equal(atomic_load(&s[n]->syncs), 10);
			assert_int_equal(atomic_load(&s[n]->ends), 1);
			assert_int_equal(s[n]->how, LWS_TP_STATUS_FINISHED);
			assert_ptr_equal(s[n]->wsi, c->wsi);
			assert_ptr_equal(s[n]->j->cleanup_wsi, c->wsi);
		}
		assert_int_equal(served_ret, 0);
	}
}

/* H2: one that stays SYNCING holds nobody up */
static void
one_that_stays_among_streams(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *stays[2], *s[5];
	int served;

	all_syncing(rig, c, stays, 2, LWS_TP_ON_SYNC_STAY);
	for (int n = 0; n < 5; n++) {
		s[n] = served_script(rig, 50, LWS_TP_RETURN_SYNC);
		assert_non_null(served_enqueue(rig->pools[0], s[n], c->wsi));
	}
	for (int n = 0; n < 5; n++)
		rig_until_int(rig, &s[n]->j->cleanups, 1);
	rig_drain(rig);
	served = syncs_of(stays, 2);
	/* an answer, or a reap, has WRITEABLE come for others (S6): so they may
	 * be served after each, and once more for each ring of a stream */
	assert_true(served >= 2);
	assert_true(served <= 2 * 5 * 51 + 10);
	for (int n = 0; n < 5; n++)
		assert_int_equal(atomic_load(&s[n]->syncs), 50);
	/* and it goes on when it is answered elsewhere */
	lws_threadpool_task_sync(stays[0]->j->task, 0);
	rig_until_int(rig, &stays[0]->j->cleanups, 1);
	stays[1]->sync_ret = LWS_TP_ON_SYNC_RESUME;
	lws_callback_on_writable(c->wsi);
	rig_until_int(rig, &stays[1]->j->cleanups, 1);
}

static int
serve_and_others(struct rig *rig, struct lws *wsi,
		 enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	int ret = served_event(rig, wsi, reason, user, in, len);

	/* job_serve_one() is for jobs without handlers alone */
	if (ret != RIG_DEFAULT && rig->priv) {
		struct job *j = rig->priv;
		enum lws_threadpool_task_status s = lws_threadpool_task_status(
			j->task, NULL);

		j->seen[s]++;
		if (s == LWS_TP_STATUS_SYNCING)
			lws_threadpool_task_sync(j->task, 0);
	}

	return ret;
}

/* H2, S6: an application that serves, and answers one without handlers by
 * itself */
static void
beside_one_without_handlers(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct job *plain = job_script(rig, 100, LWS_TP_RETURN_SYNC);
	struct served *s[3];

	rig->on_event = serve_and_others;
	rig->priv = plain;
	assert_non_null(job_enqueue(tp, plain, c->wsi));
	for (int n = 0; n < 3; n++) {
		s[n] = served_script(rig, 30, LWS_TP_RETURN_SYNC);
		assert_non_null(served_enqueue(tp, s[n], c->wsi));
	}
	rig_until_cleaned(rig);
	assert_int_equal(plain->seen[LWS_TP_STATUS_SYNCING], 100);
	for (int n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&s[n]->syncs), 30);
}

/* H2, S6: one without handlers that nobody answers makes nothing spin */
static void
beside_one_that_nobody_answers(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s[3];
	struct until u = { s, 3 };
	int calls;

	all_syncing(rig, c, s, 3, LWS_TP_ON_SYNC_STAY);
	job_park(rig, rig->pools[0], c->wsi);
	lws_callback_on_writable(c->wsi);
	rig_until(rig, all_served, &u);
	rig_drain(rig);
	calls = served_calls;
	rig_drain(rig);
	assert_int_equal(served_calls, calls);
	assert_true(syncs_of(s, 3) <= 3 + 2);
}

#define SERVED_RINGS(f) \
	cmocka_unit_test_setup_teardown(f, setup, served_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_RINGS(until_each_is_served_and_no_longer),
		SERVED_RINGS(streams_of_one_wsi),
		SERVED_RINGS(one_that_stays_among_streams),
		SERVED_RINGS(beside_one_without_handlers),
		SERVED_RINGS(beside_one_that_nobody_answers),
	};

	return cmocka_run_group_tests_name("H2 rings", tests, NULL, NULL);
}
