/*
 * lws-threadpool unit tests - lws_threadpool_end_status() and
 * lws_threadpool_end_reason(): how a task ended, and why it was asked to
 *
 * SPDX-License-Identifier: MIT
 */

#include "task-options.h"

#define UNTOLD -1

/* what the calls and the cleanup of a task were told */
struct why {
	int running, running_status; /* of the latest call */
	int told, told_status;	     /* of the STOPPING call */
	int reason, status;	     /* in cleanup */
	struct gate *gate;	     /* its first call waits here */
};

static int
tell_step(struct job *j, enum lws_threadpool_task_status s)
{
	struct why *why = j->priv;

	if (s == LWS_TP_STATUS_STOPPING) {
		why->told = (int)lws_threadpool_end_reason();
		why->told_status = (int)lws_threadpool_end_status();
		return j->stop_ret;
	}
	if (why->gate && atomic_load(&j->running) == 1)
		gate_pass(why->gate);
	/* asked to stop meanwhile, or not */
	why->running = (int)lws_threadpool_end_reason();
	why->running_status = (int)lws_threadpool_end_status();
	if (j->data)
		return (int)lws_threadpool_park(-1);

	return atomic_load(&j->running) > j->repeat ? j->last : j->ret;
}

static void
tell_cleanup(struct job *j, struct lws *wsi)
{
	struct why *why = j->priv;

	(void)wsi;
	why->reason = (int)lws_threadpool_end_reason();
	why->status = (int)lws_threadpool_end_status();
}

static struct job *
why_job(struct rig *rig, struct why *why, int repeat, int ret)
{
	struct job *j = job_script(rig, repeat, ret);

	*why = (struct why){ UNTOLD, UNTOLD, UNTOLD, UNTOLD,
			     UNTOLD, UNTOLD, NULL };
	j->fn = tell_step;
	j->on_cleanup = tell_cleanup;
	j->priv = why;

	return j;
}

/* Elsewhere: STOPPED and NONE.  So in each of its calls with RUNNING, though it
 * was asked to stop meanwhile. */
static void
ended(struct job *j, int told, int reason, int status)
{
	struct why *why = j->priv;

	rig_until_int(j->rig, &j->cleanups, 1);
	if (atomic_load(&j->running)) {
		assert_int_equal(why->running, LWS_TP_STOP_NONE);
		assert_int_equal(why->running_status, LWS_TP_STATUS_STOPPED);
	}
	assert_int_equal(why->told, told);
	if (told != UNTOLD)
		assert_int_equal(why->told_status, LWS_TP_STATUS_STOPPED);
	assert_int_equal(why->reason, reason);
	assert_int_equal(why->status, status);
	assert_int_equal(lws_threadpool_end_reason(), LWS_TP_STOP_NONE);
	assert_int_equal(lws_threadpool_end_status(), LWS_TP_STATUS_STOPPED);
}

/* It ended by itself: FINISHED, or STOPPED, and nobody asked */
static void
by_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct why why;
	struct job *j;

	for (int n = 0; n < 4; n++) {
		j = why_job(rig, &why, 3, LWS_TP_RETURN_SYNC);
		j->last = n & 2 ? LWS_TP_RETURN_STOPPED :
				  LWS_TP_RETURN_FINISHED;
		job_enqueue(tp, j, n & 1 ? c->wsi : NULL);
		ended(j, UNTOLD, LWS_TP_STOP_NONE,
		      n & 2 ? LWS_TP_STATUS_STOPPED : LWS_TP_STATUS_FINISHED);
	}
}

/* T6 */
static void
BAD_RETURN(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct why why;
	struct job *j;

	for (int n = 0; n < 2; n++) {
		j = why_job(rig, &why, 1, 1234);
		job_enqueue(tp, j, n & 1 ? c->wsi : NULL);
		log_wait(LLL_ERR, "1234", n + 1);
		ended(j, UNTOLD, LWS_TP_STOP_BAD_RETURN, LWS_TP_STATUS_STOPPED);
		assert_int_equal(log_claim(LLL_ERR, "1234"), n + 1);
	}
}

enum ask {
	BY_SYNC, /* lws_threadpool_task_sync(, 1) */
	BY_DEQUEUE,
	BY_CLOSE,
	BY_FINISH,
	ASKS
};

static const int ask_reasons[] = { LWS_TP_STOP_ASKED, LWS_TP_STOP_ASKED,
				   LWS_TP_STOP_CLOSED, LWS_TP_STOP_FINISH };

static void
ask(struct lws_threadpool *tp, struct job *j, struct conn *c, int how)
{
	switch (how) {
	case BY_SYNC:
		lws_threadpool_task_sync(j->task, 1);
		break;
	case BY_DEQUEUE:
		lws_threadpool_dequeue_task(j->task);
		break;
	case BY_CLOSE:
		if (c->wsi)
			conn_timeout(c);
		conn_until_closed(c);
		break;
	default:
		lws_threadpool_finish(tp);
		break;
	}
}

/* so it is, when it is asked */
enum be { BE_QUEUED, BE_RUNNING, BE_SYNCING, BE_PARKED, BES };

static struct job *
asked(struct rig *rig, struct why *why, int how, int be)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = why_job(rig, why, 9,
				be == BE_SYNCING ? LWS_TP_RETURN_SYNC :
						   LWS_TP_RETURN_CHECKING_IN);
	struct gate *gate = gate_new(rig);

	c->manual = true;
	if (be == BE_QUEUED)
		job_block(rig, tp, gate);
	if (be == BE_RUNNING)
		why->gate = gate;
	j->data = be == BE_PARKED;
	job_enqueue(tp, j, c->wsi);
	if (be == BE_RUNNING)
		wait_int(&j->calls, 1);
	if (be == BE_SYNCING)
		wait_status(j, LWS_TP_STATUS_SYNCING);
	if (be == BE_PARKED)
		park_wait(tp, j, 1);
	ask(tp, j, c, how);
	c->manual = false;
	if (c->wsi)
		lws_callback_on_writable(c->wsi);
	if (be != BE_QUEUED)
		gate_open(gate);

	return j;
}

/* ASKED, CLOSED, FINISH: in each state that it may be in.  A dequeue is ASKED
 * and a close CLOSED for QUEUED ones, too, which are never called. */
static void
ASKED_CLOSED_and_FINISH(void **state)
{
	struct why why;

	for (int how = 0; how < ASKS; how++)
		for (int be = 0; be < BES; be++)
			ended(asked(*state, &why, how, be),
			      be == BE_QUEUED ? UNTOLD : ask_reasons[how],
			      ask_reasons[how], LWS_TP_STATUS_STOPPED);
}

/* NONE with FINISHED, though it was asked and knew why */
static void
NONE_with_FINISHED(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct why why;

	for (int n = 0; n < 6; n++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct job *j = why_job(rig, &why, 9, LWS_TP_RETURN_SYNC);

		j->stop_ret = LWS_TP_RETURN_FINISHED;
		j->data = n & 1;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->returns, 1);
		switch (n / 2) {
		case 0:
			lws_threadpool_task_sync(j->task, 1);
			break;
		case 1:
			lws_threadpool_dequeue_task(j->task);
			break;
		default:
			lws_threadpool_finish(tp);
			break;
		}
		ended(j, n / 2 == 2 ? LWS_TP_STOP_FINISH : LWS_TP_STOP_ASKED,
		      LWS_TP_STOP_NONE, LWS_TP_STATUS_FINISHED);
	}
}

/* asked in the call in which it ends by itself: it is FINISHED; or STOPPED, for
 * the reason that it was asked */
static void
asked_as_it_ends(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct why why;

	for (int n = 0; n < 2; n++) {
		struct job *j = why_job(rig, &why, 0, 0);

		why.gate = gate_new(rig);
		j->last = n ? LWS_TP_RETURN_STOPPED : LWS_TP_RETURN_FINISHED;
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->calls, 1);
		lws_threadpool_task_sync(j->task, 1);
		gate_open(why.gate);
		ended(j, UNTOLD, n ? LWS_TP_STOP_ASKED : LWS_TP_STOP_NONE,
		      n ? LWS_TP_STATUS_STOPPED : LWS_TP_STATUS_FINISHED);
	}
}

/* S5 */
static void
TIMEOUT(void **state)
{
	static const struct lws_threadpool_options o = {
		.size = sizeof(o), .sync_timeout_secs = 1
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 10, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct why why;
	struct job *j = why_job(rig, &why, 9, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	log_wait(LLL_WARN, "SYNC", 1);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "SYNC"), 1);
	lws_threadpool_task_status(j->task, NULL);
	ended(j, LWS_TP_STOP_TIMEOUT, LWS_TP_STOP_TIMEOUT,
	      LWS_TP_STATUS_STOPPED);
}

/* D1, D2: of one that is QUEUED, and D2 of one that is parked.  And FINISH by
 * destroy(), which comes first there. */
static void
QUEUE_MS_LIFE_MS_and_destroy(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct why why[4];
	struct job *j[4];

	for (int n = 0; n < 4; n++) {
		j[n] = why_job(rig, &why[n], 9, 0);
		j[n]->data = 1;
	}
	enqueue_timed(tp, j[0], c->wsi, 0, 1000);
	park_wait(tp, j[0], 1);
	enqueue_timed(tp, j[3], NULL, 60000, 60000);
	park_wait(tp, j[3], 1);
	job_block(rig, tp, hold);
	enqueue_timed(tp, j[1], NULL, 20, 60000);
	enqueue_timed(tp, j[2], NULL, 60000, 20);
	ended(j[1], UNTOLD, LWS_TP_STOP_QUEUE_MS, LWS_TP_STATUS_STOPPED);
	ended(j[2], UNTOLD, LWS_TP_STOP_LIFE_MS, LWS_TP_STATUS_STOPPED);
	gate_open(hold);
	ended(j[0], LWS_TP_STOP_LIFE_MS, LWS_TP_STOP_LIFE_MS,
	      LWS_TP_STATUS_STOPPED);
	rig_pool_destroy(rig, tp);
	ended(j[3], LWS_TP_STOP_FINISH, LWS_TP_STOP_FINISH,
	      LWS_TP_STATUS_STOPPED);
	claim_times();
}

/* What came first counts, in each order of two */
static void
the_first_one_counts(void **state)
{
	struct rig *rig = *state;
	struct why why;

	for (int first = 0; first < ASKS; first++)
		for (int next = 0; next < ASKS; next++) {
			struct lws_threadpool *tp = rig_pool(rig, 1, 10);
			struct conn *c = conn_open(rig, CONN_RAW);
			struct job *j = why_job(rig, &why, 9,
						LWS_TP_RETURN_CHECKING_IN);

			/* a close does not reach what was dequeued, nor a
			 * dequeue what was closed */
			why.gate = gate_new(rig);
			job_enqueue(tp, j, c->wsi);
			wait_int(&j->calls, 1);
			ask(tp, j, c, first);
			ask(tp, j, c, next);
			gate_open(why.gate);
			ended(j, ask_reasons[first], ask_reasons[first],
			      LWS_TP_STATUS_STOPPED);
			rig_pool_destroy(rig, tp);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(by_itself),
		RIG_TEST(BAD_RETURN),
		RIG_TEST(ASKED_CLOSED_and_FINISH),
		RIG_TEST(NONE_with_FINISHED),
		RIG_TEST(asked_as_it_ends),
		RIG_TEST(TIMEOUT),
		RIG_TEST(QUEUE_MS_LIFE_MS_and_destroy),
		RIG_TEST(the_first_one_counts),
	};

	return cmocka_run_group_tests_name("end reason", tests, NULL, NULL);
}
