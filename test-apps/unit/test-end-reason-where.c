/*
 * lws-threadpool unit tests - lws_threadpool_end_status() and
 * lws_threadpool_end_reason() where several tasks, or none, are under way
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

struct within {
	struct job *queued;
	int before, after;
};

static void
note_end(struct job *j, struct lws *wsi)
{
	(void)wsi;
	j->data = (int)lws_threadpool_end_reason() * 16 +
		  (int)lws_threadpool_end_status();
}

static int
dequeue_within(struct job *j, enum lws_threadpool_task_status s)
{
	struct within *w = j->priv;

	if (s != LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_CHECKING_IN;
	w->before = (int)lws_threadpool_end_reason();
	lws_threadpool_dequeue_task(w->queued->task);
	w->after = (int)lws_threadpool_end_reason();

	return LWS_TP_RETURN_STOPPED;
}

/* a cleanup within a call: of the innermost task, and then as before */
static void
of_the_innermost(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *other = rig_pool(rig, 1, 10);
	struct within w = { job_new(rig), -1, -1 };
	struct job *j = job_new(rig);

	job_block(rig, other, gate_new(rig));
	w.queued->on_cleanup = note_end;
	job_enqueue(other, w.queued, NULL);
	j->fn = dequeue_within;
	j->priv = &w;
	job_enqueue(tp, j, NULL);
	wait_int(&j->calls, 1);
	lws_threadpool_finish(tp);
	wait_int(&j->cleanups, 1);
	assert_int_equal(w.queued->data,
			 LWS_TP_STOP_ASKED * 16 + LWS_TP_STATUS_STOPPED);
	assert_int_equal(w.before, LWS_TP_STOP_FINISH);
	assert_int_equal(w.after, LWS_TP_STOP_FINISH);
}

static void *
look_there(void *arg)
{
	(void)arg;

	return (void *)((uintptr_t)lws_threadpool_end_reason() * 16 +
			(uintptr_t)lws_threadpool_end_status());
}

static int
look_elsewhere(struct job *j, enum lws_threadpool_task_status s)
{
	pthread_t thread;
	void *seen = NULL;

	if (s != LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_CHECKING_IN;
	if (pthread_create(&thread, NULL, look_there, NULL))
		job_fault(j, "no thread");
	else
		pthread_join(thread, &seen);
	if ((uintptr_t)seen != LWS_TP_STOP_NONE * 16 + LWS_TP_STATUS_STOPPED)
		job_fault(j, "another thread knows why it is stopped");

	return LWS_TP_RETURN_STOPPED;
}

/* STOPPED and NONE on every other thread */
static void
elsewhere(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);

	assert_int_equal((uintptr_t)look_there(NULL), LWS_TP_STATUS_STOPPED);
	j->fn = look_elsewhere;
	job_enqueue(tp, j, NULL);
	wait_int(&j->calls, 1);
	lws_threadpool_task_sync(j->task, 1);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(of_the_innermost),
		RIG_TEST(elsewhere),
	};

	return cmocka_run_group_tests_name("end reason, where", tests, NULL,
					   NULL);
}
