/*
 * lws-threadpool unit tests - task functions from top to bottom, by
 * LWS_TP_TASK_BEGIN() to LWS_TP_TASK_END()
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

#define PARTS 5
#define STEPS 32

/* what such a function keeps, and what it has passed */
struct walk {
	int at;
	int part, kind;
	char steps[STEPS];
	int count;
	bool nap;
};

static void
step(struct walk *w, char name)
{
	if (w->count < STEPS - 1)
		w->steps[w->count++] = name;
}

/* each way to leave it, in loops and branches */
static enum lws_threadpool_task_return
walk_on(struct walk *w, enum lws_threadpool_task_status status)
{
	LWS_TP_TASK_BEGIN(&w->at, status);
	step(w, 'a');
	LWS_TP_TASK_CHECK_IN(&w->at);
	step(w, 'b');
	for (w->part = 0; w->part < PARTS; w->part++) {
		step(w, (char)('0' + w->part));
		if (w->part & 1)
			LWS_TP_TASK_SYNC(&w->at);
		else
			LWS_TP_TASK_CHECK_IN(&w->at);
		/* one of its own, with nothing of these within */
		switch (w->part) {
		case 0:
			step(w, 'z');
			break;
		default:
			break;
		}
	}
	step(w, 'c');
	while (w->kind++ < 2) {
		if (!w->nap)
			continue;
		LWS_TP_TASK_PARK(&w->at, w->kind == 1 ? 500 : -1);
		step(w, 'n');
	}
	LWS_TP_TASK_PARK(&w->at, 0);
	step(w, 'd');
	LWS_TP_TASK_END(&w->at);
}

static int
walk(struct job *j, enum lws_threadpool_task_status status)
{
	return (int)walk_on(j->priv, status);
}

static struct job *
walk_job(struct rig *rig, struct walk *w, bool nap)
{
	struct job *j = job_new(rig);

	memset(w, 0, sizeof(*w));
	w->nap = nap;
	j->fn = walk;
	j->priv = w;

	return j;
}

/* each step once, in order, with a wsi and without */
static void
from_top_to_bottom(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct walk w;

	for (int n = 0; n < 4; n++) {
		struct job *j = walk_job(rig, &w, n & 2);

		job_enqueue(tp, j, n & 1 ? c->wsi : NULL);
		if (n & 2) {
			/* one park ends by itself */
			wait_int(&j->calls, 1);
			rig_until_int(rig, &j->returns, 2 + PARTS + 1);
			lws_threadpool_task_wake(j->task);
		}
		rig_until_int(rig, &j->cleanups, 1);
		assert_string_equal(w.steps,
				    n & 2 ? "ab0z1234cnnd" : "ab0z1234cd");
		/* a call more than it was left, and it may begin again */
		assert_int_equal(atomic_load(&j->calls),
				 n & 2 ? PARTS + 5 : PARTS + 3);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_int_equal(w.at, 0);
		if (n & 1) {
			assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 2);
			assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
		}
	}
}

/* with what it ended with, another task begins at the top */
static void
again_with_the_same(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct walk w;
	struct job *j = walk_job(rig, &w, false);

	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	w.count = w.kind = 0;
	memset(w.steps, 0, sizeof(w.steps));
	j = job_new(rig);
	j->fn = walk;
	j->priv = &w;
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	assert_string_equal(w.steps, "ab0z1234cd");
}

/* T4: told STOPPING at any place it returns STOPPED, and passes no step */
static void
stopped_anywhere(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct walk w;

	for (int call = 0; call < PARTS + 4; call++) {
		struct job *j = walk_job(rig, &w, true);
		int count, at;

		j->gate = gate_new(rig);
		j->gate_call = call;
		job_enqueue(tp, j, c->wsi);
		rig_until_int(rig, &j->returns, call);
		if (call == PARTS + 3)
			lws_threadpool_task_wake(j->task);
		rig_until_int(rig, &j->calls, call + 1);
		lws_threadpool_task_sync(j->task, 1);
		gate_open(j->gate);
		/* that call is its own, and no step follows it */
		wait_int(&j->returns, call + 1);
		count = w.count;
		at = w.at;
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), call + 1);
		assert_int_equal(atomic_load(&j->stopping), 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
		assert_int_equal(w.count, count);
		assert_int_equal(w.at, at);
	}
}

/* a place that is none: it is STOPPED, and passes nothing */
static void
at_no_place(void **state)
{
	static const int places[] = { 1, -1, INT32_MAX, INT32_MIN, 123456 };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct walk w;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(places); n++) {
		struct job *j = walk_job(rig, &w, false);

		w.at = places[n];
		job_enqueue(tp, j, c->wsi);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_STOPPED);
		assert_int_equal(atomic_load(&j->calls), 1);
		assert_string_equal(w.steps, "");
	}
}

/* it keeps nothing but its user: many at a time, on several threads */
static void
many_at_a_time(void **state)
{
	static struct walk w[300];
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 1000);
	struct conn *c[3];
	struct job *j[300];

	for (int n = 0; n < 3; n++)
		c[n] = conn_open(rig, CONN_RAW);
	for (int n = 0; n < 300; n++) {
		j[n] = walk_job(rig, &w[n], n & 1);
		job_enqueue(tp, j[n], n % 4 ? c[n % 3]->wsi : NULL);
		/* kept until the first park, its own time comes otherwise */
		lws_threadpool_task_wake(j[n]->task);
	}
	for (int n = 1; n < 300; n += 2) {
		/* its last but one park, for ever */
		rig_until_int(rig, &j[n]->returns, 2 + PARTS + 1);
		lws_threadpool_task_wake(j[n]->task);
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 300; n++)
		assert_string_equal(w[n].steps,
				    n & 1 ? "ab0z1234cnnd" : "ab0z1234cd");
}

/* a plain one, without a job around it, as the manual has it */
static enum lws_threadpool_task_return
plain(void *user, enum lws_threadpool_task_status status)
{
	int *line = user;

	LWS_TP_TASK_BEGIN(line, status);
	LWS_TP_TASK_CHECK_IN(line);
	LWS_TP_TASK_SYNC(line);
	LWS_TP_TASK_PARK(line, 0);
	LWS_TP_TASK_END(line);
}

/* called by hand: what it returns, and what no longer knows a task */
static void
called_by_hand(void **state)
{
	int line = 0;

	(void)state;
	assert_int_equal(plain(&line, LWS_TP_STATUS_RUNNING),
			 LWS_TP_RETURN_CHECKING_IN);
	assert_int_equal(plain(&line, LWS_TP_STATUS_STOPPING),
			 LWS_TP_RETURN_STOPPED);
	assert_int_equal(plain(&line, LWS_TP_STATUS_RUNNING),
			 LWS_TP_RETURN_SYNC);
	/* no task function is under way: a line, and CHECKING_IN (T9) */
	assert_int_equal(plain(&line, LWS_TP_STATUS_RUNNING),
			 LWS_TP_RETURN_CHECKING_IN);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_park"), 1);
	assert_int_equal(plain(&line, LWS_TP_STATUS_RUNNING),
			 LWS_TP_RETURN_FINISHED);
	assert_int_equal(line, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(from_top_to_bottom), RIG_TEST(again_with_the_same),
		RIG_TEST(stopped_anywhere),   RIG_TEST(at_no_place),
		RIG_TEST(many_at_a_time),     RIG_TEST(called_by_hand),
	};

	return cmocka_run_group_tests_name("task macros", tests, NULL, NULL);
}
