/*
 * lws-threadpool unit tests - S4, task_sync() resumes a SYNCING task once, and
 * leaves no credit on any other
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

struct credit {
	struct lws_threadpool *tp;
	struct conn *c;
	struct gate *gate;
};

static struct credit
credit_begin(struct rig *rig)
{
	struct credit k = { rig_pool(rig, 1, 100), conn_open(rig, CONN_RAW),
			    gate_new(rig) };

	k.c->manual = true;

	return k;
}

/* Its thread did something else since it said SYNC, and it did not go on: there
 * is no credit that could have let it. */
static void
is_parked_after(struct rig *rig, struct lws_threadpool *tp, struct job *j,
		int calls)
{
	struct job *other = job_new(rig);

	wait_status(j, LWS_TP_STATUS_SYNCING);
	job_enqueue(tp, other, NULL);
	wait_int(&other->cleanups, 1);
	rig_drain(rig);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(atomic_load(&j->calls), calls);
}

/* S4: while QUEUED */
static void
no_credit_from_queued(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	job_block(rig, k.tp, k.gate);
	job_enqueue(k.tp, j, k.c->wsi);
	for (int n = 0; n < 5; n++)
		lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_QUEUED);
	gate_open(k.gate);
	is_parked_after(rig, k.tp, j, 1);
}

/* S4: while RUNNING */
static void
no_credit_from_running(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	j->gate = k.gate;
	job_enqueue(k.tp, j, k.c->wsi);
	wait_int(&j->calls, 1);
	for (int n = 0; n < 5; n++)
		lws_threadpool_task_sync(j->task, 0);
	gate_open(k.gate);
	is_parked_after(rig, k.tp, j, 1);
}

/* S4: twice on SYNCING resumes once, whether or not a thread took it between */
static void
twice_resumes_once(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

	job_enqueue(k.tp, j, k.c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	job_block(rig, k.tp, k.gate);
	for (int n = 0; n < 5; n++)
		lws_threadpool_task_sync(j->task, 0);
	gate_open(k.gate);
	wait_int(&j->calls, 2);
	is_parked_after(rig, k.tp, j, 2);
	lws_threadpool_task_sync(j->task, 0);
	lws_threadpool_task_sync(j->task, 0);
	wait_int(&j->calls, 3);
}

/* S4: on an ended task, either way: it stays as it is, and is reaped once */
static void
nothing_on_an_ended_task(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *f = job_new(rig), *s = job_new(rig);

	s->last = LWS_TP_RETURN_STOPPED;
	job_enqueue(k.tp, f, k.c->wsi);
	job_enqueue(k.tp, s, k.c->wsi);
	wait_status(f, LWS_TP_STATUS_FINISHED);
	wait_status(s, LWS_TP_STATUS_STOPPED);
	for (int n = 0; n < 4; n++) {
		lws_threadpool_task_sync(f->task, n & 1);
		lws_threadpool_task_sync(s->task, n & 1);
	}
	assert_int_equal(lws_threadpool_task_status(f->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status(s->task, NULL),
			 LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&f->calls), 1);
	assert_int_equal(atomic_load(&s->calls), 1);
}

/* S4: with stop: QUEUED, RUNNING and SYNCING are asked to stop */
static void
stop_in_every_state(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *queued = job_new(rig),
		   *running = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *syncing = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	job_enqueue(k.tp, syncing, k.c->wsi);
	wait_status(syncing, LWS_TP_STATUS_SYNCING);
	running->gate = k.gate;
	job_enqueue(k.tp, running, k.c->wsi);
	wait_int(&running->calls, 1);
	job_enqueue(k.tp, queued, k.c->wsi);
	lws_threadpool_task_sync(queued->task, 1);
	lws_threadpool_task_sync(running->task, 1);
	lws_threadpool_task_sync(syncing->task, 1);
	assert_int_equal(lws_threadpool_task_status(syncing->task, NULL),
			 LWS_TP_STATUS_STOPPING);
	gate_open(k.gate);
	wait_status(queued, LWS_TP_STATUS_STOPPED);
	wait_status(running, LWS_TP_STATUS_STOPPED);
	wait_status(syncing, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&queued->calls), 0);
	assert_int_equal(atomic_load(&running->stopping), 1);
	assert_int_equal(atomic_load(&syncing->stopping), 1);
	assert_int_equal(atomic_load(&syncing->running), 1);
}

/* S4: any non-zero stop is a stop */
static void
stop_is_any_number(void **state)
{
	static const int stops[] = { 2, -1, 256, 0x7fffffff };
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);

	for (size_t n = 0; n < LWS_ARRAY_SIZE(stops); n++) {
		struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

		job_enqueue(k.tp, j, k.c->wsi);
		wait_status(j, LWS_TP_STATUS_SYNCING);
		lws_threadpool_task_sync(j->task, stops[n]);
		wait_status(j, LWS_TP_STATUS_STOPPED);
	}
}

struct syncer {
	pthread_t thread;
	struct job *j;
	atomic_int *quit;
};

static void *
sync_all_the_time(void *arg)
{
	struct syncer *s = arg;

	while (!atomic_load(s->quit)) {
		lws_threadpool_task_sync(s->j->task, 0);
		sched_yield();
	}

	return NULL;
}

/* S4, S3: task_sync() from other threads than the service thread, several at
 * once: each SYNC is still one call */
static void
from_any_thread(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *j = job_script(rig, 2000, LWS_TP_RETURN_SYNC);
	struct syncer s[3];
	atomic_int quit = 0;

	job_enqueue(k.tp, j, k.c->wsi);
	for (int n = 0; n < 3; n++) {
		s[n].j = j;
		s[n].quit = &quit;
		assert_int_equal(pthread_create(&s[n].thread, NULL,
						sync_all_the_time, &s[n]),
				 0);
	}
	rig_until_int(rig, &j->calls, 2001);
	atomic_store(&quit, 1);
	for (int n = 0; n < 3; n++)
		pthread_join(s[n].thread, NULL);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->calls), 2001);
	lws_threadpool_task_status(j->task, NULL);
}

static enum lws_threadpool_task_status
status_on_a_surplus_writeable(struct conn *c, struct job *j)
{
	int before = c->writeables;

	lws_callback_on_writable(c->wsi);
	while (c->writeables == before)
		rig_turns(c->rig, 1);

	return lws_threadpool_task_status(j->task, NULL);
}

/* A SYNC is answered once: between task_sync() and the next SYNC no WRITEABLE,
 * however many come, says SYNCING */
static void
one_answer_a_sync(void **state)
{
	struct rig *rig = *state;
	struct credit k = credit_begin(rig);
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC);

	j->gate = k.gate;
	j->gate_call = 1;
	job_enqueue(k.tp, j, k.c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(j->task, 0);
	for (int n = 0; n < 10; n++)
		assert_int_equal(status_on_a_surplus_writeable(k.c, j),
				 LWS_TP_STATUS_RUNNING);
	gate_open(k.gate);
	is_parked_after(rig, k.tp, j, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(no_credit_from_queued),
		RIG_TEST(no_credit_from_running),
		RIG_TEST(twice_resumes_once),
		RIG_TEST(nothing_on_an_ended_task),
		RIG_TEST(stop_in_every_state),
		RIG_TEST(stop_is_any_number),
		RIG_TEST(from_any_thread),
		RIG_TEST(one_answer_a_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
