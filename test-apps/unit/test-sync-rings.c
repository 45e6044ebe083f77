/*
 * lws-threadpool unit tests - S3, S6, a reap or a sync rings for the other
 * tasks of its wsi, whether somebody has asked their status or not
 *
 * SPDX-License-Identifier: MIT
 *
 * Here everybody asks the status of everything, as a status page or a watchdog
 * does.  S5's ring after a second is out of the way.
 *
 * LWSTP_WRAP: lws_sul_schedule
 */

#include "no-rering.h"

#include "closings.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define TASKS 5

struct writeables {
	struct conn *c;
	int n;
};

static bool
has_writeables(void *arg)
{
	struct writeables *w = arg;

	return w->c->writeables >= w->n;
}

static void
until_writeable(struct conn *c, int before)
{
	struct writeables w = { c, before + 1 };

	rig_until(c->rig, has_writeables, &w);
}

static void
look_at_all(struct job **j, int n)
{
	while (n--)
		lws_threadpool_task_status_noreap(j[n]->task);
}

/* a task that is SYNCING, or done, on a wsi that only counts its WRITEABLEs;
 * its next call waits at the gate, so that it does not ring itself */
static struct job *
waiting(struct rig *rig, struct lws_threadpool *tp, struct conn *c, bool done)
{
	struct job *j = done ? job_new(rig) :
			       job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	if (!done) {
		j->gate = gate_new(rig);
		j->gate_call = 1;
		j->stop_gate = j->gate;
	}
	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_status(j, done ? LWS_TP_STATUS_FINISHED : LWS_TP_STATUS_SYNCING);

	return j;
}

/* ---- what rings for the one that is left ---- */

static void
act_sync(struct job *j)
{
	lws_threadpool_task_sync(j->task, 0);
}

static void
act_stop(struct job *j)
{
	lws_threadpool_task_sync(j->task, 1);
}

static void *
sync_thread(void *arg)
{
	act_sync(arg);

	return NULL;
}

static void
act_sync_elsewhere(struct job *j)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, sync_thread, j), 0);
	pthread_join(t, NULL);
}

static void
act_reap(struct job *j)
{
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
}

static void
act_dequeue(struct job *j)
{
	lws_threadpool_dequeue_task(j->task);
}

static const struct {
	void (*act)(struct job *j);
	bool done; /* what it does that to has ended */
} acts[] = {
	{ act_sync, false },	       { act_stop, false },
	{ act_sync_elsewhere, false }, { act_reap, true },
	{ act_dequeue, true },
};

/* Both are looked at when they have been rung for, then one is dealt with: the
 * other one is rung for at once, and once */
static void
one_of_two(struct rig *rig, struct conn *c, size_t act, bool left_done)
{
	struct lws_threadpool *tp[2] = { rig_pool(rig, 2, 10),
					 rig_pool(rig, 2, 10) };
	struct job *j[2];
	int before;

	/* of one pool or of two */
	j[0] = waiting(rig, tp[0], c, acts[act].done);
	j[1] = waiting(rig, tp[act & 1], c, left_done);
	rig_drain(rig);
	look_at_all(j, 2);
	rig_drain(rig);
	before = c->writeables;

	acts[act].act(j[0]);
	until_writeable(c, before);
	rig_drain(rig);
	assert_in_range(c->writeables, before + 1, before + 2);

	look_at_all(j + 1, 1);
	before = c->writeables;
	rig_turns(rig, 100);
	assert_int_equal(c->writeables, before);
	for (int n = 0; n < 2; n++)
		if (j[n]->gate)
			gate_open(j[n]->gate);
	rig_pool_destroy(rig, tp[0]);
	rig_pool_destroy(rig, tp[1]);
}

/* S6: by each kind of sync and reap, SYNCING or done, seen by a timer */
static void
the_other_one_is_rung_for(void **state)
{
	struct rig *rig = *state;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		for (size_t act = 0; act < LWS_ARRAY_SIZE(acts); act++)
			for (int done = 0; done < 2; done++)
				one_of_two(rig, c, act, done);
	}
}

/* S5, S6: with no reap and no sync there is no ring, whatever was looked at */
static void
looking_rings_for_nothing(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[TASKS];
	int before;

	for (int n = 0; n < TASKS; n++)
		j[n] = waiting(rig, tp, c, n & 1);
	rig_drain(rig);
	before = c->writeables;
	for (int n = 0; n < 100; n++) {
		look_at_all(j, TASKS);
		lws_threadpool_get_task_wsi(c->wsi);
		rig_turns(rig, 2);
	}
	assert_int_equal(c->writeables, before);
	for (int n = 0; n < TASKS; n++)
		if (j[n]->gate)
			gate_open(j[n]->gate);
}

/* S3: a look between the SYNC and its ring takes no WRITEABLE away.  The
 * service thread has not been in lws since the SYNC. */
static void
a_look_takes_no_ring_away(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *first = job_new(rig);

		/* the first task of a wsi asks for one by itself */
		job_enqueue(tp, first, c->wsi);
		rig_until_int(rig, &first->cleanups, 1);
		for (int done = 0; done < 2; done++) {
			struct job *j;
			int before;

			rig_drain(rig);
			before = c->writeables;
			j = waiting(rig, tp, c, done);
			look_at_all(&j, 1);
			until_writeable(c, before);
			if (j->gate)
				gate_open(j->gate);
			lws_threadpool_dequeue(c->wsi);
			rig_until_int(rig, &j->cleanups, 1);
		}
		c->manual = false;
	}
}

/* ---- many, served one a WRITEABLE while all are looked at ---- */

struct page {
	struct job *j[12];
	int n;
};

static int
one_each_time(struct rig *rig, struct lws *wsi,
	      enum lws_callback_reasons reason, void *user, void *in,
	      size_t len)
{
	struct page *p = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (!reason_writeable(reason) || !conn_of(wsi))
		return RIG_DEFAULT;
	look_at_all(p->j, p->n);
	job_serve_one(wsi);
	look_at_all(p->j, p->n);

	return 0;
}

/* S6: code that handles one task in each callback works with many, in two
 * pools, also where each callback looks at them all */
static void
one_in_each_callback(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[2] = { rig_pool(rig, 1, 100),
					 rig_pool(rig, 3, 100) };
	static struct page p;

	p.n = 12;
	rig->priv = &p;
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		for (int n = 0; n < p.n; n++) {
			p.j[n] = job_script(rig, n % 4 ? 50 : 0,
					    LWS_TP_RETURN_SYNC);
			job_enqueue(tp[n & 1], p.j[n], c->wsi);
		}
		rig->on_event = one_each_time;
		rig_until_cleaned(rig);
		for (int n = 0; n < p.n; n++)
			assert_int_equal(p.j[n]->seen[LWS_TP_STATUS_SYNCING],
					 n % 4 ? 50 : 0);
		rig->on_event = NULL;
	}
}

/* S3: the service thread finds, in one look, a SYNC of a wsi, one of another
 * wsi, and one more of the first: both get their WRITEABLE */
static void
one_more_of_the_first_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };
	struct job *j;

	/* the first task of a wsi asks for one by itself */
	for (int n = 0; n < 2; n++)
		job_enqueue(tp, job_new(rig), c[n]->wsi);
	rig_until_cleaned(rig);
	for (int round = 0; round < 20; round++) {
		rig_drain(rig);
		for (int n = 0; n < 3; n++) {
			j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j, c[n & 1]->wsi));
			wait_status(j, LWS_TP_STATUS_SYNCING);
		}
		rig_until_cleaned(rig);
	}
}

/* S6: the answer to one, whatever is asked of the wsi after that in the same
 * callback; and to one that has just become SYNCING, by a handle that was kept
 */
static void
an_answer_that_was_met_before(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *a = waiting(rig, tp, c, false),
		   *b = waiting(rig, tp, c, false);
	int before;

	rig_drain(rig);
	lws_threadpool_task_status_noreap(a->task);
	lws_threadpool_task_status_noreap(b->task);
	before = c->writeables;
	lws_threadpool_task_sync(a->task, 0);
	wait_turn(b, c->wsi);
	until_writeable(c, before);

	gate_open(a->gate);
	a = waiting(rig, tp, c, false);
	lws_threadpool_task_status_noreap(b->task);
	before = c->writeables;
	lws_threadpool_task_sync(a->task, 0);
	until_writeable(c, before);
	gate_open(a->gate);
	gate_open(b->gate);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NO_RERING_TEST(the_other_one_is_rung_for),
		NO_RERING_TEST(looking_rings_for_nothing),
		NO_RERING_TEST(a_look_takes_no_ring_away),
		NO_RERING_TEST(one_in_each_callback),
		NO_RERING_TEST(one_more_of_the_first_wsi),
		NO_RERING_TEST(an_answer_that_was_met_before),
	};

	return cmocka_run_group_tests_name("rings", tests, NULL, NULL);
}
