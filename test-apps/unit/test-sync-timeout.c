/*
 * lws-threadpool unit tests - S5's sync timeout: a reader that never reads
 * cannot keep a task forever
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

static struct lws_threadpool *
timed_pool(struct rig *rig, int threads, int secs, bool pin)
{
	const struct lws_threadpool_options o = {
		.size = sizeof(o), .sync_timeout_secs = secs, .pin_tasks = pin
	};

	return rig_pool_ext(rig, threads, 1000, &o);
}

static struct job *
parked(struct rig *rig, struct lws_threadpool *tp, struct conn *c,
       const char *name)
{
	struct job *j = job_script(rig, 100, LWS_TP_RETURN_SYNC);

	j->name = name;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);

	return j;
}

/* A task is asked to stop before that is logged. */
static void
claim(const char *text, int times)
{
	log_wait(LLL_WARN, text, times);
	assert_int_equal(log_claim(LLL_WARN, text), times);
}

/* S5: stopped with a warning that names it, told so, and seen by its wsi; also
 * if it was looked at.  Negative is never, and the default is not yet. */
static void
after_its_time_it_is_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig, 1, 1, false),
			      *never = timed_pool(rig, 1, -1, false),
			      *least = timed_pool(rig, 1, -0x7fffffff - 1,
						  false),
			      *later = timed_pool(rig, 1, 0, false),
			      *largest = timed_pool(rig, 1, 0x7fffffff, false),
			      *plain = rig_pool(rig, 1, 10);
	struct conn *c[7];
	struct job *j[7];
	int writeables;

	for (int n = 0; n < 7; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		c[n]->manual = true;
	}
	j[2] = parked(rig, never, c[2], "never");
	j[3] = parked(rig, later, c[3], "later");
	j[4] = parked(rig, plain, c[4], "plain");
	j[5] = parked(rig, largest, c[5], "largest");
	j[6] = parked(rig, least, c[6], "least");
	j[0] = parked(rig, tp, c[0], "not-read");
	j[1] = parked(rig, tp, c[1], "looked-at");
	rig_drain(rig);
	lws_threadpool_task_status(j[1]->task, NULL);
	writeables = c[1]->writeables;

	claim("not-read", 1);
	claim("looked-at", 1);
	rig_until_int(rig, &j[0]->stopping, 1);
	rig_until_int(rig, &j[1]->stopping, 1);
	wait_status(j[0], LWS_TP_STATUS_STOPPED);
	wait_status(j[1], LWS_TP_STATUS_STOPPED);

	/* a second round: twice the time has gone by for the others */
	j[0] = parked(rig, tp, c[0], "again");
	claim("again", 1);
	rig_until_int(rig, &j[0]->stopping, 1);
	rig_drain(rig);
	assert_true(c[1]->writeables > writeables);
	wait_status(j[0], LWS_TP_STATUS_STOPPED);
	for (int n = 2; n < 7; n++) {
		assert_int_equal(lws_threadpool_task_status(j[n]->task, NULL),
				 LWS_TP_STATUS_SYNCING);
		assert_int_equal(atomic_load(&j[n]->calls), 1);
	}
}

/* S5: one that has ended, and is not reaped for longer than the time of its
 * SYNC was, is not stopped and not told of */
static void
one_that_has_ended_is_not_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig, 1, 1, false);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *ended = job_script(rig, 1, LWS_TP_RETURN_SYNC), *j;

	c->manual = true;
	ended->name = "ended";
	job_enqueue(tp, ended, c->wsi);
	wait_status(ended, LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(ended->task, 0);
	wait_status(ended, LWS_TP_STATUS_FINISHED);
	j = parked(rig, tp, c, "after-it");
	claim("after-it", 1);
	rig_until_int(rig, &j->stopping, 1);
	assert_int_equal(log_count(LLL_WARN, "ended"), 0);
	assert_int_equal(lws_threadpool_task_status_noreap(ended->task),
			 LWS_TP_STATUS_FINISHED);
}

/* S5: each SYNC has its own time: a stream that is answered may go on for much
 * longer than that */
static void
answered_streams_go_on(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig, 2, 1, false);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *clock = conn_open(rig, CONN_RAW);
	struct job *stream = job_script(rig, 0x7fffffff, LWS_TP_RETURN_SYNC),
		   *tick;
	int calls;

	clock->manual = true;
	job_enqueue(tp, stream, c->wsi);
	for (int n = 0; n < 2; n++) {
		tick = parked(rig, tp, clock, "tick");
		rig_until_int(rig, &tick->stopping, 1);
		wait_status(tick, LWS_TP_STATUS_STOPPED);
		/* one thread writes it while the other one stops it */
		claim("tick", n + 1);
		lws_threadpool_task_status(tick->task, NULL);
	}
	calls = atomic_load(&stream->calls);
	rig_until_int(rig, &stream->calls, calls + 100);
	assert_int_equal(atomic_load(&stream->stopping), 0);
	lws_threadpool_task_sync(stream->task, 1);
	rig_until_int(rig, &stream->cleanups, 1);
}

/* S5: all of many, though the pool has one thread */
static void
many_time_out_together(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig, 1, 5, false);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[100];

	c->manual = true;
	for (int n = 0; n < 100; n++)
		j[n] = parked(rig, tp, c, "one-of-many");
	claim("one-of-many", 100);
	for (int n = 0; n < 100; n++)
		rig_until_int(rig, &j[n]->stopping, 1);
	for (int n = 0; n < 100; n++)
		wait_status(j[n], LWS_TP_STATUS_STOPPED);
}

/* S5: the thread was busy when the time came: then as soon as it is free */
static void
busy_thread_stops_it_later(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = timed_pool(rig, 1, 1, false),
			      *other = timed_pool(rig, 1, 1, false);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j, *clock;

	c->manual = true;
	j = parked(rig, tp, c, "behind");
	job_block(rig, tp, hold);
	for (int n = 0; n < 2; n++) {
		clock = parked(rig, other, c, "clock");
		claim("clock", n + 1);
		rig_until_int(rig, &clock->stopping, 1);
	}
	wait_status(clock, LWS_TP_STATUS_STOPPED);
	gate_open(hold);
	claim("behind", 1);
	rig_until_int(rig, &j->stopping, 1);
	wait_status(j, LWS_TP_STATUS_STOPPED);
}

/* A SYNCING task that began on another thread than j, of the pool's two */
static struct job *
parked_elsewhere(struct rig *rig, struct lws_threadpool *tp, struct conn *c,
		 const char *name, struct job *j)
{
	struct gate *hold[2] = { gate_new(rig), gate_new(rig) };
	struct job *b[2], *next;
	int there;

	b[0] = job_block(rig, tp, hold[0]);
	b[1] = job_block(rig, tp, hold[1]);
	there = pthread_equal(b[1]->first_thread, j->first_thread) ? 1 : 0;
	gate_open(hold[!there]);
	next = parked(rig, tp, c, name);
	gate_open(hold[there]);
	wait_int(&b[there]->cleanups, 1);
	assert_false(pthread_equal(next->first_thread, j->first_thread));

	return next;
}

/* S5: a task that takes its time over STOPPING keeps nobody else from being
 * stopped, as long as a thread is idle (which in a pool that pins is the one
 * that the other task began on) */
static void
slow_stop(struct rig *rig, bool pin)
{
	struct lws_threadpool *tp = timed_pool(rig, 2, 1, pin);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *slow, *next;

	c->manual = true;
	slow = job_script(rig, 100, LWS_TP_RETURN_SYNC);
	slow->name = "slow";
	slow->stop_gate = gate_new(rig);
	job_enqueue(tp, slow, c->wsi);
	wait_status(slow, LWS_TP_STATUS_SYNCING);
	next = pin ? parked_elsewhere(rig, tp, c, "next", slow) :
		     parked(rig, tp, c, "next");
	rig_until_int(rig, &slow->stopping, 1);
	rig_until_int(rig, &next->stopping, 1);
	assert_int_equal(atomic_load(&slow->returns), 1);
	wait_status(next, LWS_TP_STATUS_STOPPED);
	/* by two threads, perhaps at a time: then the text is lost */
	claim("", 2);
	gate_open(slow->stop_gate);
}

static void
a_slow_stop_keeps_no_other_alive(void **state)
{
	slow_stop(*state, false);
}

static void
a_slow_stop_keeps_no_other_alive_pinned(void **state)
{
	slow_stop(*state, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(after_its_time_it_is_stopped),
		RIG_TEST(one_that_has_ended_is_not_stopped),
		RIG_TEST(answered_streams_go_on),
		RIG_TEST(many_time_out_together),
		RIG_TEST(busy_thread_stops_it_later),
		RIG_TEST(a_slow_stop_keeps_no_other_alive),
		RIG_TEST(a_slow_stop_keeps_no_other_alive_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
