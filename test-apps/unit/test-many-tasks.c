/*
 * lws-threadpool unit tests - S6, many tasks on one wsi, in different pools,
 * and an application that handles one in each WRITEABLE
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: lws_sul_schedule
 */

#include "no-rering.h"

/* S6, W3: twenty at once in three pools, each SYNCs and ends, on every kind */
static void
one_a_writeable_serves_all(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[3];

	for (int n = 0; n < 3; n++)
		tp[n] = rig_pool(rig, 1 + n, 100);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j[21];

		for (int n = 0; n < 21; n++) {
			j[n] = job_script(rig, n % 5 * 10, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp[n % 3], j[n], c->wsi));
		}
		rig_until_cleaned(rig);
		for (int n = 0; n < 21; n++) {
			assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING],
					 n % 5 * 10);
			assert_int_equal(j[n]->seen[LWS_TP_STATUS_FINISHED], 1);
		}
	}
}

/* S6: all wanted attention before the first WRITEABLE came: one ring, and yet
 * each of them has its turn, with nothing else happening */
static void
all_at_once_before_the_first_ring(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100),
			      *tp2 = rig_pool(rig, 1, 100);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j[10];

		for (int n = 0; n < 10; n++) {
			j[n] = job_new(rig);
			if (n & 1)
				j[n]->last = LWS_TP_RETURN_STOPPED;
			job_enqueue(n < 5 ? tp : tp2, j[n], c->wsi);
		}
		for (int n = 0; n < 10; n++)
			wait_int(&j[n]->returns, 1);
		rig_until_cleaned(rig);
		for (int n = 0; n < 10; n++)
			assert_int_equal(j[n]->reaped_as,
					 n & 1 ? LWS_TP_STATUS_STOPPED :
						 LWS_TP_STATUS_FINISHED);
	}
}

static int
reap_by_dequeue(struct rig *rig, struct lws *wsi,
		enum lws_callback_reasons reason, void *user, void *in,
		size_t len)
{
	struct lws_threadpool_task *task;

	(void)rig;
	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_WRITEABLE)
		return RIG_DEFAULT;
	task = lws_threadpool_get_task_wsi(wsi);
	if (task)
		lws_threadpool_dequeue_task(task);

	return 0;
}

/* S6: dequeueing a done one is a reap as well */
static void
one_dequeued_a_writeable(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[10];

	rig->on_event = reap_by_dequeue;
	for (int n = 0; n < 10; n++) {
		j[n] = job_new(rig);
		job_enqueue(tp, j[n], c->wsi);
	}
	for (int n = 0; n < 10; n++)
		wait_int(&j[n]->returns, 1);
	rig_until_cleaned(rig);
}

struct rings {
	struct conn *conn;
	int n;
};

static bool
has_rung(void *arg)
{
	struct rings *r = arg;

	return r->conn->writeables > r->n;
}

/* one WRITEABLE comes since there were n, and then no more */
static void
rings_once(struct rig *rig, struct conn *c, int n)
{
	struct rings r = { c, n };

	rig_until(rig, has_rung, &r);
	rig_drain(rig);
	assert_int_equal(c->writeables, n + 1);
}

/* S3, S6: tasks that were looked at and not answered are asked for after each
 * sync and reap of another one, once, and for no other reason */
static void
seen_ones_ask_after_a_sync_or_reap(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[6];
	int before;

	c->manual = true;
	for (int n = 0; n < 6; n++)
		j[n] = job_park(rig, tp, c->wsi);
	j[5]->gate = gate_new(rig);
	j[5]->gate_call = 1;
	rig_drain(rig);
	before = c->writeables;
	for (int n = 0; n < 6; n++)
		lws_threadpool_task_status(j[n]->task, NULL);
	rig_drain(rig);
	assert_int_equal(c->writeables, before);

	/* it is RUNNING, so the ring is for the others */
	lws_threadpool_task_sync(j[5]->task, 0);
	rings_once(rig, c, before);
	gate_open(j[5]->gate);
	rings_once(rig, c, before + 1);
	assert_int_equal(lws_threadpool_task_status_noreap(j[5]->task),
			 LWS_TP_STATUS_FINISHED);
	rig_drain(rig);
	assert_int_equal(c->writeables, before + 2);
	lws_threadpool_task_status(j[5]->task, NULL);
	rings_once(rig, c, before + 2);

	/* for one that is done and seen, too: those that are SYNCING go */
	lws_threadpool_task_sync(j[4]->task, 0);
	rig_until_status(j[4], LWS_TP_STATUS_FINISHED);
	rig_drain(rig);
	before = c->writeables;
	for (int n = 0; n < 4; n++)
		lws_threadpool_dequeue_task(j[n]->task);
	rings_once(rig, c, before);
}

/* S6: while one waits for its answer, the others are served all the same when
 * the application looks at each */
static int
serve_visited(struct lws_threadpool_task *task, void *user)
{
	struct job *skip = user, *j;
	void *u;

	if (task == skip->task)
		return 0;
	if (lws_threadpool_task_status(task, &u) == LWS_TP_STATUS_SYNCING) {
		j = u;
		j->seen[LWS_TP_STATUS_SYNCING]++;
		lws_threadpool_task_sync(task, 0);
	}

	return 0;
}

static int
serve_all_but_one(struct rig *rig, struct lws *wsi,
		  enum lws_callback_reasons reason, void *user, void *in,
		  size_t len)
{
	struct job *skip = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_WRITEABLE)
		return RIG_DEFAULT;
	/* as one that waits for room to send would */
	if (lws_threadpool_task_status_noreap(skip->task) ==
	    LWS_TP_STATUS_SYNCING)
		skip->data++;
	lws_threadpool_foreach_task_wsi(wsi, skip, serve_visited);

	return 0;
}

static bool
all_but_one_cleaned(void *arg)
{
	struct rig *rig = arg;
	struct job *skip = rig->priv;

	for (struct job *j = rig->jobs; j; j = j->next)
		if (j != skip && !atomic_load(&j->cleanups))
			return false;

	return true;
}

static void
one_unanswered_holds_up_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *skip = job_script(rig, 1, LWS_TP_RETURN_SYNC), *j[8];

	rig->priv = skip;
	rig->on_event = serve_all_but_one;
	job_enqueue(tp, skip, c->wsi);
	for (int n = 0; n < 8; n++) {
		j[n] = job_script(rig, 100, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	rig_until(rig, all_but_one_cleaned, rig);
	for (int n = 0; n < 8; n++)
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 100);
	assert_true(skip->data > 0);
	assert_int_equal(atomic_load(&skip->calls), 1);
}

/* S6: a wsi's tasks in two pools, and one pool goes */
static void
one_pool_goes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100),
			      *gone = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_WS);
	struct job *j[10];

	for (int n = 0; n < 10; n++) {
		j[n] = job_script(rig, 50, LWS_TP_RETURN_SYNC);
		job_enqueue(n & 1 ? gone : tp, j[n], c->wsi);
	}
	rig_turns(rig, 20);
	rig_pool_destroy(rig, gone);
	rig_until_cleaned(rig);
	for (int n = 0; n < 10; n += 2) {
		assert_int_equal(j[n]->reaped_as, LWS_TP_STATUS_FINISHED);
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 50);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NO_RERING_TEST(one_a_writeable_serves_all),
		NO_RERING_TEST(all_at_once_before_the_first_ring),
		NO_RERING_TEST(one_dequeued_a_writeable),
		NO_RERING_TEST(seen_ones_ask_after_a_sync_or_reap),
		NO_RERING_TEST(one_unanswered_holds_up_none),
		NO_RERING_TEST(one_pool_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
