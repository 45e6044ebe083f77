/*
 * lws-threadpool unit tests - lws_threadpool_this_task() and
 * lws_threadpool_task_attached()
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

/* the functions of these tests look only when they may know their handle */
static bool
is_me(struct job *j)
{
	return j->task && lws_threadpool_this_task() == j->task;
}

static int
look_step(struct job *j, enum lws_threadpool_task_status s)
{
	int n = atomic_load(&j->calls);

	if (!is_me(j))
		job_fault(j, "another this_task() in its function");
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (n > 40)
		return j->last;

	return n % 4 == 1 ? LWS_TP_RETURN_CHECKING_IN :
	       n % 4 == 2 ? (int)lws_threadpool_park(0) :
	       n % 4 == 3 ? LWS_TP_RETURN_SYNC :
			    (int)lws_threadpool_park(10);
}

/* in its cleanup it is a stale one, but the same */
static void
look_in_cleanup(struct job *j, struct lws *wsi)
{
	void *user = j;

	(void)wsi;
	if (!is_me(j))
		job_fault(j, "another this_task() in its cleanup");
	if (lws_threadpool_task_status_noreap(j->task) !=
		    LWS_TP_STATUS_FINISHED ||
	    lws_threadpool_task_status(j->task, &user) !=
		    LWS_TP_STATUS_FINISHED ||
	    user)
		job_fault(j, "not stale in its cleanup (Q1)");
	if (lws_threadpool_task_attached(j->task))
		job_fault(j, "stale, and attached");
	lws_threadpool_task_wake(j->task);
	lws_threadpool_task_sync(j->task, 1);
	if (lws_threadpool_dequeue_task(j->task))
		job_fault(j, "stale, and dequeued");
}

/* one that waits in its first call until its handle is known */
static struct job *
look_job(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	struct job *j = job_gated(rig, gate_new(rig));

	j->fn = look_step;
	j->on_cleanup = look_in_cleanup;
	assert_non_null(job_enqueue(tp, j, wsi));
	gate_open(j->gate);

	return j;
}

/* In each call of its function, on whichever thread, with STOPPING too; in its
 * cleanup, on a pool's thread and the service thread */
static void
its_own_handle(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[90];

	for (int n = 0; n < 90; n++) {
		j[n] = look_job(rig, tp, n % 3 ? NULL : c->wsi);
		if (n % 5 == 4)
			lws_threadpool_task_sync(j[n]->task, 1);
		assert_null(lws_threadpool_this_task());
	}
	rig_until_cleaned(rig);
	assert_null(lws_threadpool_this_task());
}

static void *
look_there(void *seen)
{
	*(struct lws_threadpool_task **)seen = lws_threadpool_this_task();

	return NULL;
}

static struct lws_threadpool_task *
elsewhere(void)
{
	struct lws_threadpool_task *seen = (void *)&seen;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, look_there, &seen), 0);
	pthread_join(thread, NULL);

	return seen;
}

static int
look_elsewhere(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	if (elsewhere())
		job_fault(j, "a thread of its own has this_task()");

	return LWS_TP_RETURN_FINISHED;
}

static int
look_in_events(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	(void)wsi;
	(void)reason;
	(void)user;
	(void)in;
	(void)len;
	if (lws_threadpool_this_task())
		rig->priv = (void *)lws_threadpool_this_task();

	return RIG_DEFAULT;
}

/* NULL on every other thread, and in callbacks that have a task's data */
static void
NULL_elsewhere(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig),
		   *stream = job_script(rig, 10, LWS_TP_RETURN_SYNC);

	assert_null(lws_threadpool_this_task());
	assert_null(elsewhere());
	rig->on_event = look_in_events;
	j->fn = look_elsewhere;
	job_enqueue(tp, j, NULL);
	job_enqueue(tp, stream, c->wsi);
	rig_until_cleaned(rig);
	assert_null(rig->priv);
	assert_null(elsewhere());
}

/* a cleanup within a call: it is the innermost one's, and then as before */
static int
dequeue_within(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *queued = j->priv;

	(void)s;
	if (!is_me(j))
		job_fault(j, "another this_task() before");
	lws_threadpool_dequeue_task(queued->task);
	if (!atomic_load(&queued->cleanups))
		job_fault(j, "the queued one was not cleaned up within");
	if (!is_me(j))
		job_fault(j, "another this_task() after");

	return LWS_TP_RETURN_FINISHED;
}

static void
dequeue_in_cleanup(struct job *j, struct lws *wsi)
{
	struct job *queued = j->priv;

	look_in_cleanup(j, wsi);
	if (!queued)
		return;
	lws_threadpool_dequeue_task(queued->task);
	if (!atomic_load(&queued->cleanups))
		job_fault(j, "the queued one was not cleaned up within");
	look_in_cleanup(j, wsi);
}

/* a job's function or cleanup, and in it the cleanups of a chain of others */
static void
the_innermost(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *chain[3], *j;

	for (int n = 0; n < 4; n++) {
		struct lws *wsi = n & 1 ? c->wsi : NULL;

		j = job_gated(rig, gate_new(rig));
		job_enqueue(tp, j, wsi);
		wait_int(&j->calls, 1);
		for (int q = 0; q < 3; q++) {
			chain[q] = job_new(rig);
			chain[q]->on_cleanup = dequeue_in_cleanup;
			chain[q]->priv = q ? chain[q - 1] : NULL;
			/* a thread of the pool takes none that is attached */
			job_enqueue(tp, chain[q], n == 3 ? wsi : NULL);
		}
		j->priv = chain[2];
		if (n & 2)
			j->on_cleanup = dequeue_in_cleanup;
		else
			j->fn = dequeue_within;
		if (n == 3) {
			/* on the service thread, where nobody runs it */
			lws_threadpool_dequeue_task(chain[2]->task);
			j->on_cleanup = NULL;
		}
		gate_open(j->gate);
		rig_until_int(rig, &j->cleanups, 1);
		for (int q = 0; q < 3; q++)
			assert_int_equal(atomic_load(&chain[q]->calls), 0);
	}
}

/* Each way to be cleaned up */
static void
each_cleanup(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct gate *hold = gate_new(rig);
	struct job *j[8];

	job_block(rig, tp, hold);
	for (int n = 0; n < 8; n++) {
		j[n] = job_new(rig);
		j[n]->on_cleanup = look_in_cleanup;
		job_enqueue(tp, j[n], n & 1 ? c->wsi : NULL);
	}
	lws_threadpool_task_sync(j[0]->task, 1);
	lws_threadpool_task_sync(j[1]->task, 1);
	lws_threadpool_dequeue_task(j[2]->task);
	lws_threadpool_dequeue_task(j[3]->task);
	rig_until_int(rig, &j[1]->cleanups, 1);
	lws_threadpool_finish(tp);
	assert_null(lws_threadpool_this_task());
	conn_fin(c);
	conn_until_closed(c);
	gate_open(hold);
	rig_pool_destroy(rig, tp);
	for (int n = 0; n < 8; n++)
		assert_int_equal(atomic_load(&j[n]->cleanups), 1);
	assert_null(lws_threadpool_this_task());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(its_own_handle),
		RIG_TEST(NULL_elsewhere),
		RIG_TEST(the_innermost),
		RIG_TEST(each_cleanup),
	};

	return cmocka_run_group_tests_name("this_task", tests, NULL, NULL);
}
