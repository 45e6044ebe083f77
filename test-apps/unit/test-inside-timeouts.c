/*
 * lws-threadpool unit tests - the sync timeout, and who has seen a task
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

/* its threads have looked at the pool's timers since */
static void
let_them_look(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *j = job_new(rig);

	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
}

/* S5: the time in which nobody answers begins with the SYNC, however long it
 * was at work before.  One that is over long since, because the process was
 * stopped, say, is given a moment more: the answer may be about to come. */
static void
a_timeout_begins_with_the_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	clock_forward(2 * LWSTP_SYNC_TIMEOUT_SECS);
	gate_open(gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	let_them_look(rig, tp);
	wait_status(j, LWS_TP_STATUS_SYNCING);

	/* a minute is not too much; five more are, but late by that minute */
	clock_forward(60);
	let_them_look(rig, tp);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	clock_forward(LWSTP_SYNC_TIMEOUT_SECS);
	let_them_look(rig, tp);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(log_count(LLL_WARN, "nobody answered its SYNC"), 0);
	clock_forward(1);
	let_them_look(rig, tp);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	lws_threadpool_task_status(j->task, NULL);
}

/* S5: what was answered in time, and SYNCs once more, has all of its time
 * again, and one moment more again if that is over long since */
static void
each_sync_has_its_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 4, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	for (int n = 0; n < 3; n++) {
		wait_status(j, LWS_TP_STATUS_SYNCING);
		clock_forward(LWSTP_SYNC_TIMEOUT_SECS - 1);
		let_them_look(rig, tp);
		if (n) { /* late, and excused */
			clock_forward(10);
			let_them_look(rig, tp);
		}
		wait_status(j, LWS_TP_STATUS_SYNCING);
		lws_threadpool_task_sync(j->task, 0);
		wait_int(&j->returns, n + 2);
	}
	wait_status(j, LWS_TP_STATUS_SYNCING);
	clock_forward(1);
	let_them_look(rig, tp);
	clock_forward(LWSTP_SYNC_TIMEOUT_SECS + 60);
	let_them_look(rig, tp);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	clock_forward(1);
	let_them_look(rig, tp);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	lws_threadpool_task_status(j->task, NULL);
}

/* S5: while others are stopped, and what is at work is not */
static void
only_what_syncs_times_out(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *works = job_script(rig, 1, LWS_TP_RETURN_SYNC), *j;

	c->manual = true;
	works->gate = gate;
	works->gate_call = 1;
	job_enqueue(tp, works, c->wsi);
	wait_status(works, LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(works->task, 0);
	wait_int(&works->calls, 2);
	j = job_park(rig, tp, c->wsi);
	/* its timer is due, and then that once more */
	for (int n = 0; n < 2; n++) {
		clock_forward(LWSTP_SYNC_TIMEOUT_SECS);
		let_them_look(rig, tp);
	}
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	assert_int_equal(lws_threadpool_task_status_noreap(works->task),
			 LWS_TP_STATUS_RUNNING);
	gate_open(gate);
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&works->stopping), 0);
}

/* S5: nor does what has ended, though nobody has reaped it, or is to stop,
 * though its service thread has not told it yet */
static void
what_has_ended_times_out_no_more(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *ended, *stops;

	c->manual = true;
	ended = job_park(rig, tp, c->wsi);
	lws_threadpool_task_sync(ended->task, 0);
	wait_status(ended, LWS_TP_STATUS_FINISHED);
	stops = job_park(rig, tp, c->wsi);
	lwstp_task_stop(task_of(stops->task), task_of(stops->task)->slot.word,
			true, LWS_TP_STOP_TIMEOUT);
	for (int n = 0; n < 3; n++) {
		clock_forward(LWSTP_SYNC_TIMEOUT_SECS);
		let_them_look(rig, tp);
	}
	assert_int_equal(log_count(LLL_WARN, "nobody answered its SYNC"), 0);
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&stops->stopping), 1);
}

/* S5: nothing of a task that had a time is left in its slot for the next one */
static void
the_next_task_has_its_own_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_task *task = NULL;
	struct job *j;

	c->manual = true;
	for (int n = 0; n < 3; n++) {
		j = job_park(rig, tp, c->wsi);
		/* on 32 bits slots are used in turn */
		assert_true(!task || task_of(j->task) == task ||
			    UINTPTR_MAX <= 0xffffffffu);
		task = task_of(j->task);
		lws_threadpool_task_sync(j->task, 0);
		wait_status(j, LWS_TP_STATUS_FINISHED);
		wait_until(has_an_idle_thread, pool_of(tp)); /* posted */
		lws_threadpool_task_status(j->task, NULL);
		lwstp_service_answer(service_of(tp));
	}
	j = job_park(rig, tp, c->wsi);
	clock_forward(LWSTP_SYNC_TIMEOUT_SECS);
	let_them_look(rig, tp);
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	lws_threadpool_task_status(j->task, NULL);
}

static bool
is_released(void *task)
{
	return (atomic_load(&((struct lwstp_task *)task)->slot.word) &
		LWSTP_STATUS) == LWSTP_FREE;
}

/* it is the first one's that its pool looks at */
static bool
has_a_timer(void *arg)
{
	struct lwstp_task *task = arg;
	struct lwstp_pool *pool = atomic_load(&task->pool);
	bool has;

	lwstp_lock(pool);
	has = pool->timers == &task->timer && task->timer.at;
	lwstp_unlock(pool);

	return has;
}

/* S5, T7: a slot that was posted may have a task of another pool at once, and
 * nothing is taken away from that one's time then */
static void
a_time_ends_before_its_slot_is_used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[2] = { rig_pool(rig, 1, 10),
					 rig_pool(rig, 1, 10) };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC), *next;
	struct lwstp_task *task;

	c->manual = true;
	j->gate = gate_new(rig);
	j->gate_call = 1;
	job_enqueue(tp[0], j, c->wsi);
	task = task_of(j->task);
	/* answered before its service thread has looked: it stays posted */
	wait_status(j, LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(j->task, 0);
	wait_int(&j->calls, 2);
	assert_true(has_a_timer(task));
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 1);
	gate_open(j->gate);
	wait_until(is_released, task);

	lwstp_service_answer(service_of(tp[0]));
	next = job_park(rig, tp[1], c->wsi);
	if (task_of(next->task) == task) { /* not on 32 bits */
		wait_until(has_a_timer, task);
		wait_until(has_an_idle_thread, pool_of(tp[1]));
		let_them_look(rig, tp[0]);
		assert_true(has_a_timer(task));
	}
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

static bool
timeout_was_told(void *arg)
{
	(void)arg;

	return log_claim(LLL_WARN, "nobody answered its SYNC");
}

static bool
all_sleep(void *arg)
{
	struct lwstp_pool *pool = arg;
	unsigned int bits = atomic_load(&pool->idle[0]);

	return bits == (1u << pool->threads) - 1;
}

/* S5: a thread goes to sleep while nothing has a time to be up, and another has
 * no time to sleep when something has: then the first is woken to watch the
 * time */
static void
a_sleeping_thread_becomes_the_keeper(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = {
		.size = sizeof(o), .sync_timeout_secs = 1, .sync_spin_us = -1
	};
	struct lws_threadpool *tp = rig_pool_ext(rig, 2, 10, &o);
	struct lwstp_pool *pool = pool_of(tp);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig), *other = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC), *blocker;

	c->manual = true;
	wait_until(all_sleep, pool);
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	wait_until(has_an_idle_thread, pool);
	/* what comes next is for the thread that is at work: nobody is woken */
	atomic_store(&pool->waking, true);
	blocker = job_gated(rig, other);
	job_enqueue(tp, blocker, NULL);
	atomic_store(&pool->waking, false);
	gate_open(gate);
	wait_int(&blocker->calls, 1);
	assert_true(pthread_equal(blocker->first_thread, j->first_thread));
	wait_until(timeout_was_told, NULL);
	assert_int_equal(atomic_load(&blocker->returns), 0);
	gate_open(other);
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

static int
ask_the_other(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	(void)s;
	if (lws_threadpool_task_status(other->task, NULL) !=
		    LWS_TP_STATUS_SYNCING ||
	    lws_threadpool_task_status_noreap(other->task) !=
		    LWS_TP_STATUS_SYNCING)
		job_fault(j, "the other is not SYNCING");

	return LWS_TP_RETURN_FINISHED;
}

/* S5: a pool thread that asks has not served it */
static void
a_pool_thread_s_look_does_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *asks = job_new(rig);

	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	asks->fn = ask_the_other;
	asks->priv = parked;
	job_enqueue(tp, asks, NULL);
	wait_int(&asks->cleanups, 1);
	assert_true(is_unseen(parked->task));
	/* the service thread's does */
	lws_threadpool_task_status(parked->task, NULL);
	assert_false(is_unseen(parked->task));

	lws_threadpool_task_sync(parked->task, 0);
	/* it has returned, and its worker told of it */
	wait_until(is_unseen, parked->task);
	lws_threadpool_task_status_noreap(parked->task);
	assert_false(is_unseen(parked->task));
	lws_threadpool_task_status(parked->task, NULL);
}

/* S5: nor has any other thread that watches it */
static void *
ask_for_status(void *task)
{
	if (lws_threadpool_task_status_noreap(task) != LWS_TP_STATUS_SYNCING)
		return task;

	return NULL;
}

static void
another_thread_s_look_does_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	pthread_t watch;
	void *wrong;

	job_enqueue(tp, job_script(rig, 1, LWS_TP_RETURN_SYNC), c->wsi);
	rig_until_cleaned(rig); /* this is the service thread */
	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	wait_int(&parked->returns, 1);
	wait_until(is_unseen, parked->task);
	assert_int_equal(
		pthread_create(&watch, NULL, ask_for_status, parked->task), 0);
	pthread_join(watch, &wrong);
	assert_null(wrong);
	assert_true(is_unseen(parked->task));
	assert_int_equal(lws_threadpool_task_status_noreap(parked->task),
			 LWS_TP_STATUS_SYNCING);
	assert_false(is_unseen(parked->task));
	lws_threadpool_task_sync(parked->task, 0);
	c->manual = false;
	rig_until_cleaned(rig);
}

static void *
answer(void *task)
{
	lws_threadpool_task_sync(task, 0);

	return NULL;
}

/* S5: what another thread has answered needs no look any more */
static void
another_thread_s_answer_does(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	pthread_t t;

	c->manual = true;
	j->gate = gate;
	j->gate_call = 1;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->returns, 1);
	wait_until(is_unseen, j->task);
	assert_int_equal(pthread_create(&t, NULL, answer, j->task), 0);
	pthread_join(t, NULL);
	assert_false(is_unseen(j->task));
	gate_open(gate);
	serve_the_rest(rig, c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_timeout_begins_with_the_sync),
		INSIDE_TEST(each_sync_has_its_time),
		INSIDE_TEST(only_what_syncs_times_out),
		INSIDE_TEST(what_has_ended_times_out_no_more),
		INSIDE_TEST(the_next_task_has_its_own_time),
		INSIDE_TEST(a_time_ends_before_its_slot_is_used_again),
		INSIDE_TEST(a_sleeping_thread_becomes_the_keeper),
		INSIDE_TEST(a_pool_thread_s_look_does_not_count),
		INSIDE_TEST(another_thread_s_look_does_not_count),
		INSIDE_TEST(another_thread_s_answer_does),
	};

	return cmocka_run_group_tests_name("inside-timeouts", tests, NULL,
					   NULL);
}
