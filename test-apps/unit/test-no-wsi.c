/*
 * lws-threadpool unit tests - W2: tasks without a wsi, and who may enqueue
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

static void
W2_runs_and_reaps_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct job *j = job_script(rig, 10, LWS_TP_RETURN_CHECKING_IN);

	/* not serviced at all */
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->cleanups, 1);
	assert_null(j->cleanup_wsi);
	assert_int_equal(atomic_load(&j->running), 11);
	assert_int_equal(atomic_load(&j->stopping), 0);
	/* on the thread that ended it (T7) */
	assert_true(pthread_equal(j->cleanup_thread, j->first_thread) ||
		    atomic_load(&j->moved));
	assert_false(pthread_equal(j->cleanup_thread, rig->thread));
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_FINISHED);
}

static void
W2_sync_without_a_wsi_is_checking_in(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_script(rig, 1000, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 1001);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

static void
W2_finish_stops_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_script(rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN),
		   *queued = job_new(rig);

	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);
	assert_non_null(job_enqueue(tp, queued, NULL));
	lws_threadpool_finish(tp);
	/* nobody could reap it, so finish() does */
	wait_int(&queued->cleanups, 1);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_int_equal(atomic_load(&queued->calls), 0);
}

static int
dequeue_the_other(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	(void)s;
	/* it outlives, so it is left alone (Q4) */
	if (lws_threadpool_dequeue_task(other->task))
		job_fault(j, "it was asked to stop");
	if (lws_threadpool_task_status(other->task, NULL) !=
	    LWS_TP_STATUS_RUNNING)
		job_fault(j, "the other does not run");

	return LWS_TP_RETURN_FINISHED;
}

static int
dequeue_the_queued(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	(void)s;
	if (lws_threadpool_dequeue_task(other->task))
		job_fault(j, "it was asked to stop");
	if (!atomic_load(&other->cleanups))
		job_fault(j, "it was queued, and is not reaped");

	return LWS_TP_RETURN_FINISHED;
}

/* Q4, W2: what has no wsi is no service thread's, so a task may dequeue it */
static void
W2_a_task_dequeues_another(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct gate *gate = gate_new(rig), *first = gate_new(rig);
	struct job *runs = job_block(rig, tp, gate), *queued = job_new(rig),
		   *j[2] = { job_new(rig), job_new(rig) };

	j[0]->fn = dequeue_the_other;
	j[0]->priv = runs;
	assert_non_null(job_enqueue(tp, j[0], NULL));
	wait_int(&j[0]->cleanups, 1);
	assert_int_equal(atomic_load(&runs->returns), 0);

	j[1]->gate = first;
	j[1]->fn = dequeue_the_queued;
	j[1]->priv = queued;
	assert_non_null(job_enqueue(tp, j[1], NULL));
	wait_int(&j[1]->calls, 1);
	assert_non_null(job_enqueue(tp, queued, NULL));
	gate_open(first);
	wait_int(&j[1]->cleanups, 1);
	assert_int_equal(atomic_load(&queued->calls), 0);
	gate_open(gate);
	wait_int(&runs->cleanups, 1);
	assert_int_equal(atomic_load(&runs->stopping), 0);
}

/* ---- from any thread ---- */

#define THREADS 4
#define EACH	200

struct enqueuer {
	pthread_t thread;
	struct lws_threadpool *tp;
	struct job *jobs[EACH];
	int refused;
};

static void *
enqueue_all(void *arg)
{
	struct enqueuer *e = arg;
	int n;

	for (n = 0; n < EACH; n++)
		if (!job_enqueue(e->tp, e->jobs[n], NULL))
			e->refused++;

	return NULL;
}

static void
W2_enqueue_from_any_thread(void **state)
{
	struct rig *rig = *state;
	struct enqueuer e[THREADS];
	int t, n;

	for (t = 0; t < THREADS; t++) {
		e[t].tp = t ? e[0].tp : rig_pool(rig, 2, THREADS * EACH);
		e[t].refused = 0;
		for (n = 0; n < EACH; n++)
			e[t].jobs[n] = job_script(rig, n % 4,
						  LWS_TP_RETURN_CHECKING_IN);
	}
	for (t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&e[t].thread, NULL, enqueue_all,
						&e[t]),
				 0);
	for (t = 0; t < THREADS; t++) {
		pthread_join(e[t].thread, NULL);
		assert_int_equal(e[t].refused, 0);
		for (n = 0; n < EACH; n++)
			wait_int(&e[t].jobs[n]->cleanups, 1);
	}
}

/* ---- from a pool thread ---- */

struct nested {
	struct lws_threadpool *tp, *other;
	struct lws *wsi;
	struct job *with_wsi, *without, *elsewhere, *other_wsi;
};

static int
enqueue_inside(struct job *j, enum lws_threadpool_task_status s)
{
	struct nested *n = j->priv;

	(void)s;
	job_enqueue(n->tp, n->with_wsi, n->wsi);
	job_enqueue(n->other, n->other_wsi, n->wsi);
	job_enqueue(n->tp, n->without, NULL);
	job_enqueue(n->other, n->elsewhere, NULL);

	return LWS_TP_RETURN_FINISHED;
}

static void
W2_enqueue_from_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct nested n = {
		rig_pool(rig, 1, 10), rig_pool(rig, 1, 10), c->wsi,
		job_new(rig),	      job_new(rig),	    job_new(rig),
		job_new(rig)
	};
	struct job *j = job_new(rig);

	j->fn = enqueue_inside;
	j->priv = &n;
	assert_non_null(job_enqueue(n.tp, j, c->wsi));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	rig_until_int(rig, &j->cleanups, 1);
	/* with a wsi: refused, of whichever pool the thread is */
	assert_false(n.with_wsi->accepted);
	assert_false(n.other_wsi->accepted);
	assert_true(log_claim(LLL_ERR, "") >= 1);
	/* without: accepted, of its own pool too */
	assert_true(n.without->accepted);
	assert_true(n.elsewhere->accepted);
	wait_int(&n.without->cleanups, 1);
	wait_int(&n.elsewhere->cleanups, 1);
}

static void
enqueue_in_cleanup(struct job *j, struct lws *wsi)
{
	struct job *next = j->priv;

	(void)wsi;
	if (next)
		job_enqueue(next->priv, next, NULL);
}

/* A task without a wsi whose cleanup enqueues the next one, on a pool thread:
 * no lock of ours is held there (T7) */
static void
W2_enqueue_from_a_cleanup_on_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *first = job_new(rig), *second = job_new(rig);

	first->on_cleanup = enqueue_in_cleanup;
	first->priv = second;
	second->priv = tp;
	assert_non_null(job_enqueue(tp, first, NULL));
	wait_int(&first->cleanups, 1);
	wait_int(&second->cleanups, 1);
}

static void
W2_stop_asked_by_task_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_script(rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);

	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);
	lws_threadpool_task_sync(j->task, 1);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(W2_runs_and_reaps_itself),
		RIG_TEST(W2_sync_without_a_wsi_is_checking_in),
		RIG_TEST(W2_finish_stops_it),
		RIG_TEST(W2_a_task_dequeues_another),
		RIG_TEST(W2_enqueue_from_any_thread),
		RIG_TEST(W2_enqueue_from_a_pool_thread),
		RIG_TEST(W2_enqueue_from_a_cleanup_on_a_pool_thread),
		RIG_TEST(W2_stop_asked_by_task_sync),
	};

	return cmocka_run_group_tests_name("W2 tasks without a wsi", tests,
					   NULL, NULL);
}
