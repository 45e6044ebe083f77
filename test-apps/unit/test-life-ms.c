/*
 * lws-threadpool unit tests - D2, life_ms: a task that has not ended by then is
 * asked to stop, in whatever state it is
 *
 * SPDX-License-Identifier: MIT
 */

#include <limits.h>
#include <unistd.h>

#include "task-options.h"

/* long enough for a task to start in, and to do what it is to do, on a machine
 * that is busy with other things */
#define LIFE_MS 2000

/* What its STOPPING call and its cleanup were told.  Neither comes before its
 * time: from before its enqueue, that is. */
struct life {
	lws_usec_t begun;
	int ms;
	int told, ended; /* lws_threadpool_end_reason() */
	int status;	 /* lws_threadpool_end_status() */
	int (*fn)(struct job *j, enum lws_threadpool_task_status s);
	lws_usec_t us; /* park_step()'s */
};

static void
live_end(struct job *j, struct lws *wsi)
{
	struct life *life = j->priv;

	(void)wsi;
	life->ended = (int)lws_threadpool_end_reason();
	life->status = (int)lws_threadpool_end_status();
}

static int
live(struct job *j, enum lws_threadpool_task_status s)
{
	struct life *life = j->priv;

	if (s == LWS_TP_STATUS_STOPPING) {
		life->told = (int)lws_threadpool_end_reason();
		j->data = 0;
		if (life->told == LWS_TP_STOP_LIFE_MS &&
		    lws_now_usecs() - life->begun <
			    (lws_usec_t)life->ms * LWS_US_PER_MS)
			job_fault(j, "told before its time (D2)");
		return j->stop_ret;
	}
	if (life->us)
		return (int)lws_threadpool_park(life->us) | j->data;
	if (j->ret == LWS_TP_RETURN_CHECKING_IN)
		usleep(500); /* others have to start, too */

	return atomic_load(&j->running) > j->repeat ? j->last :
						      j->ret | j->data;
}

/* for ever: returns ret, and if us is set, parks */
static struct job *
live_job(struct rig *rig, struct life *life, int ret, lws_usec_t us)
{
	struct job *j = job_script(rig, INT_MAX, ret);

	memset(life, 0, sizeof(*life));
	life->us = us;
	j->fn = live;
	j->on_cleanup = live_end;
	j->priv = life;

	return j;
}

static void
live_for(struct lws_threadpool *tp, struct job *j, struct lws *wsi, int ms)
{
	struct life *life = j->priv;

	life->ms = ms;
	life->begun = lws_now_usecs();
	enqueue_timed(tp, j, wsi, 0, ms);
}

/* it had started: told once, for that reason */
static void
was_told(struct job *j)
{
	struct life *life = j->priv;

	rig_until_int(j->rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_int_equal(life->told, LWS_TP_STOP_LIFE_MS);
	assert_int_equal(life->ended, LWS_TP_STOP_LIFE_MS);
	assert_int_equal(life->status, LWS_TP_STATUS_STOPPED);
}

/* D2: RUNNING, at its next check-in, though it has all the threads */
static void
D2_RUNNING(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct life life[4];
	struct job *j[4];

	for (int n = 0; n < 4; n++) {
		j[n] = live_job(rig, &life[n], LWS_TP_RETURN_CHECKING_IN, 0);
		j[n]->data = n & 2 ? LWS_TP_RETURN_FLAG_OUTLIVE : 0;
		live_for(rig_pool(rig, 1, 10), j[n], n & 1 ? c->wsi : NULL,
			 LIFE_MS);
	}
	for (int n = 0; n < 4; n++)
		was_told(j[n]);
	claim_times();
}

/* D2: it learns of it then and not before: a call takes its time */
static void
D2_at_its_next_check_in(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct life life;
	struct job *j = live_job(rig, &life, LWS_TP_RETURN_CHECKING_IN, 0);

	j->gate = gate_new(rig);
	live_for(tp, j, c->wsi, LIFE_MS);
	wait_int(&j->calls, 1);
	rig_until_status(j, LWS_TP_STATUS_STOPPING);
	assert_int_equal(atomic_load(&j->calls), 1);
	gate_open(j->gate);
	was_told(j);
	assert_int_equal(atomic_load(&j->running), 1);
	claim_times();
}

/* D2: parked for ever, for longer or less long, with threads that are idle */
static void
D2_parked(void **state)
{
	static const lws_usec_t us[] = { -1, 3600 * LWS_US_PER_SEC, 1000 };
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct life life[6];
	struct job *j[6];

	for (int n = 0; n < 6; n++) {
		j[n] = live_job(rig, &life[n], 0, us[n / 2]);
		live_for(tp, j[n], n & 1 ? c->wsi : NULL, LIFE_MS);
	}
	for (int n = 0; n < 6; n++)
		was_told(j[n]);
	claim_times();
}

static void
D2_parked_and_no_thread_is_free(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *hold = gate_new(rig);
	struct life life;
	struct job *j = live_job(rig, &life, 0, -1);

	live_for(tp, j, c->wsi, LIFE_MS);
	wait_int(&j->returns, 1);
	job_block(rig, tp, hold);
	rig_until_status(j, LWS_TP_STATUS_STOPPING);
	assert_int_equal(atomic_load(&j->calls), 1);
	gate_open(hold);
	was_told(j);
	assert_int_equal(atomic_load(&j->running), 1);
	claim_times();
}

/* D2: SYNCING: with a thread that is idle, and with none */
static void
D2_SYNCING(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct life life;
	struct job *j;

	c->manual = true;
	for (int busy = 0; busy < 2; busy++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct gate *hold = gate_new(rig);

		j = live_job(rig, &life, LWS_TP_RETURN_SYNC, 0);
		live_for(tp, j, c->wsi, LIFE_MS);
		wait_int(&j->returns, 1);
		if (busy)
			job_block(rig, tp, hold);
		if (busy)
			rig_until_status(j, LWS_TP_STATUS_STOPPING);
		gate_open(hold);
		rig_until_status(j, LWS_TP_STATUS_STOPPED);
		lws_threadpool_task_status(j->task, NULL);
		was_told(j);
		assert_int_equal(atomic_load(&j->running), 1);
	}
	claim_times();
}

/* D2, S5: where no SYNC ever times out, either */
static void
D2_SYNCING_without_a_timeout(void **state)
{
	const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.sync_timeout_secs = -1,
	};
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 10, &o);
	struct life life;
	struct job *j = live_job(rig, &life, LWS_TP_RETURN_SYNC, 0);

	c->manual = true;
	/* not so long that it would be given more time as a late one (S5) */
	live_for(tp, j, c->wsi, LIFE_MS / 3);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	lws_threadpool_task_status(j->task, NULL);
	assert_int_equal(life.ended, LWS_TP_STOP_LIFE_MS);
	claim_times();
}

/* A callback that was told SYNCING, and has the data, until the time has come
 * and somebody has said so */
static int
hold_the_data(struct rig *rig, struct lws *wsi,
	      enum lws_callback_reasons reason, void *user, void *in,
	      size_t len)
{
	struct lws_threadpool_task *task;
	struct job *j = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_WRITEABLE || !j)
		return RIG_DEFAULT;
	task = lws_threadpool_get_task_wsi(wsi);
	if (task != j->task ||
	    lws_threadpool_task_status(task, NULL) != LWS_TP_STATUS_SYNCING)
		return 0;
	rig->priv = NULL;
	wait_status(j, LWS_TP_STATUS_STOPPING);
	assert_int_equal(atomic_load(&j->calls), 1);
	j->data = 1; /* ours: a thread sanitizer sees it */

	return 0;
}

/* D2, S7: not while a callback has its data */
static void
D2_S7_between_two_callbacks(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct life life;
	struct job *j = live_job(rig, &life, LWS_TP_RETURN_SYNC, 0);

	rig->on_event = hold_the_data;
	rig->priv = j;
	live_for(tp, j, c->wsi, LIFE_MS);
	was_told(j);
	assert_null(rig->priv);
	assert_int_equal(atomic_load(&j->running), 1);
	claim_times();
}

/* D2, T4: QUEUED, it is never called; by the one of the two times that comes
 * first */
static void
D2_QUEUED(void **state)
{
	static const int times[][3] = {
		{ 0, 20, LWS_TP_STOP_LIFE_MS },
		{ 60000, 20, LWS_TP_STOP_LIFE_MS },
		{ 20, 60000, LWS_TP_STOP_QUEUE_MS },
		{ 20, INT_MAX, LWS_TP_STOP_QUEUE_MS },
		{ INT_MAX, 1, LWS_TP_STOP_LIFE_MS },
	};
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct life life;
	struct job *j;

	job_block(rig, tp, gate_new(rig));
	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(times); n++) {
		j = live_job(rig, &life, LWS_TP_RETURN_CHECKING_IN, 0);
		enqueue_timed(tp, j, n & 1 ? c->wsi : NULL, times[n / 2][0],
			      times[n / 2][1]);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->calls), 0);
		assert_int_equal(life.ended, times[n / 2][2]);
		assert_int_equal(life.status, LWS_TP_STATUS_STOPPED);
	}
	claim_times();
}

/* D2: what has ended has, reaped or not */
static void
D2_not_of_what_has_ended(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct life life[2], late_life;
	struct job *done[2], *late;

	c->manual = true;
	for (int n = 0; n < 2; n++) {
		done[n] = live_job(rig, &life[n], 0, 0);
		done[n]->repeat = 0;
		done[n]->last = n ? LWS_TP_RETURN_STOPPED :
				    LWS_TP_RETURN_FINISHED;
		live_for(tp, done[n], c->wsi, LIFE_MS);
	}
	late = live_job(rig, &late_life, 0, -1);
	live_for(tp, late, c->wsi, LIFE_MS + 200);
	rig_until_status(late, LWS_TP_STATUS_STOPPED);
	assert_int_equal(lws_threadpool_task_status(done[0]->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status(done[1]->task, NULL),
			 LWS_TP_STATUS_STOPPED);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(atomic_load(&done[n]->calls), 1);
		assert_int_equal(life[n].ended, LWS_TP_STOP_NONE);
	}
	lws_threadpool_task_status(late->task, NULL);
	was_told(late);
	claim_times();
}

/* D2, T5: it outlives its wsi, but not its life; its time stays that since its
 * enqueue */
static void
D2_of_what_outlives(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 10);
	struct life life[3];
	struct conn *c[3];
	struct job *j[3];

	for (int n = 0; n < 3; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		j[n] = live_job(rig, &life[n],
				n == 1 ? LWS_TP_RETURN_SYNC :
					 LWS_TP_RETURN_CHECKING_IN,
				n == 2 ? -1 : 0);
		j[n]->async_task = 1;
		live_for(tp, j[n], c[n]->wsi, LIFE_MS);
		wait_int(&j[n]->calls, 1);
		conn_fin(c[n]);
		conn_until_closed(c[n]);
	}
	for (int n = 0; n < 3; n++) {
		was_told(j[n]);
		assert_null(j[n]->cleanup_wsi);
	}
	claim_times();
}

/* D2, T4: asked once, whoever else asks */
static void
D2_told_once(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct life life, other_life;
	struct job *j = live_job(rig, &life, LWS_TP_RETURN_CHECKING_IN, 0),
		   *other = live_job(rig, &other_life, 0, -1);

	j->stop_gate = gate_new(rig);
	j->stop_ret = LWS_TP_RETURN_FINISHED;
	live_for(tp, j, c->wsi, LIFE_MS);
	live_for(tp, other, c->wsi, LIFE_MS + 200);
	rig_until_int(rig, &j->stopping, 1);
	lws_threadpool_task_sync(j->task, 1);
	lws_threadpool_task_wake(j->task);
	was_told(other);
	gate_open(j->stop_gate);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_int_equal(life.told, LWS_TP_STOP_LIFE_MS);
	assert_int_equal(life.ended, LWS_TP_STOP_NONE);
	assert_int_equal(life.status, LWS_TP_STATUS_FINISHED);
	claim_times();
}

/* D2: many, of all kinds and times; all end */
static void
D2_many(void **state)
{
	static struct life life[400];
	struct rig *rig = *state;
	struct conn *c[4];
	struct lws_threadpool *tp = rig_pool(rig, 3, 1000);
	struct job *j;

	rig->any_log = true;
	for (int n = 0; n < 4; n++)
		c[n] = conn_open(rig, CONN_RAW);
	for (int n = 0; n < 400; n++) {
		j = live_job(rig, &life[n],
			     n % 3 ? LWS_TP_RETURN_SYNC :
				     LWS_TP_RETURN_CHECKING_IN,
			     n % 7 > 3	? n % 7 * 500 :
			     n % 7 == 3 ? -1 :
					  0);
		live_for(tp, j, n % 5 ? c[n % 4]->wsi : NULL, 1 + n * 37 % 90);
	}
	conn_fin(c[0]);
	rig_until_cleaned(rig);
	for (j = rig->jobs; j; j = j->next)
		assert_in_range(atomic_load(&j->stopping), 0, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(D2_RUNNING),
		RIG_TEST(D2_at_its_next_check_in),
		RIG_TEST(D2_parked),
		RIG_TEST(D2_parked_and_no_thread_is_free),
		RIG_TEST(D2_SYNCING),
		RIG_TEST(D2_SYNCING_without_a_timeout),
		RIG_TEST(D2_S7_between_two_callbacks),
		RIG_TEST(D2_QUEUED),
		RIG_TEST(D2_not_of_what_has_ended),
		RIG_TEST(D2_of_what_outlives),
		RIG_TEST(D2_told_once),
		RIG_TEST(D2_many),
	};

	return cmocka_run_group_tests_name("D2 life_ms", tests, NULL, NULL);
}
