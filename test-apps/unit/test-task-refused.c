/*
 * lws-threadpool unit tests - T8, a refused enqueue keeps nothing
 *
 * SPDX-License-Identifier: MIT
 *
 * That a refused job is never called and never cleaned up is checked by the
 * harness; here it is each reason to refuse, and that the pool goes on well.
 */

#include "harness.h"

static void
still_works(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, wsi));
	rig_until_int(rig, &j->cleanups, 1);
}

/* T8, P2: the queue is full; room comes back by running and by dequeueing */
static void
queue_full(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *in[3];

	job_block(rig, tp, hold);
	for (int n = 0; n < 3; n++) {
		in[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, in[n], n ? c->wsi : NULL));
	}
	for (int n = 0; n < 20; n++)
		assert_null(job_enqueue(tp, job_new(rig),
					n & 1 ? c->wsi : NULL));
	assert_true(log_claim(LLL_WARN, "") + log_claim(LLL_ERR, "") +
			    log_claim(LLL_NOTICE, "") >=
		    1);
	lws_threadpool_dequeue_task(in[1]->task);
	in[1] = job_new(rig);
	assert_non_null(job_enqueue(tp, in[1], c->wsi));
	gate_open(hold);
	rig_until_cleaned(rig);
	still_works(rig, tp, c->wsi);
}

/* T8, P3: a pool that is finishing, with and without a wsi */
static void
pool_finishing(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct conn *c = conn_open(rig, CONN_RAW);

	lws_threadpool_finish(tp);
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_true(log_claim(LLL_ERR, "") + log_claim(LLL_WARN, "") +
			    log_claim(LLL_NOTICE, "") >=
		    1);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
}

/* T8: a wsi that never had a task gets nothing of us by a refused one */
static void
nothing_is_kept_of_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	int fds;

	/* what the context's first one costs */
	still_works(rig, tp, c->wsi);
	c = conn_open(rig, CONN_RAW);
	rig_drain(rig);
	fds = rig_open_fds();
	job_block(rig, tp, hold);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	assert_int_equal(rig_open_fds(), fds);
	lws_threadpool_finish(tp);
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	assert_int_equal(rig_open_fds(), fds);
	gate_open(hold);
	log_claim(LLL_WARN, "");
}

/* T8, P2: nothing to run */
static void
no_task_function(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task_args args;
	struct job *j = job_new(rig);

	job_args(j, c->wsi, &args);
	args.task = NULL;
	assert_null(lws_threadpool_enqueue(tp, &args, "nothing"));
	args.wsi = NULL;
	assert_null(lws_threadpool_enqueue(tp, &args, "nothing"));
	assert_null(lws_threadpool_enqueue(tp, NULL, "nothing"));
	assert_true(log_claim(LLL_ERR, "") >= 1);
	still_works(rig, tp, c->wsi);
}

/* T8, Q6: a pool that is gone, or never was */
static void
no_pool(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct conn *c = conn_open(rig, CONN_RAW);

	rig_pool_destroy(rig, tp);
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_null(job_enqueue(NULL, job_new(rig), c->wsi));
	assert_true(log_claim(LLL_ERR, "") >= 3);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
}

struct from_thread {
	struct lws_threadpool *tp;
	struct lws *wsi;
	struct job *inner;
	struct job *detached;
	bool refused;
};

static int
enqueue_from_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	struct from_thread *f = j->priv;

	(void)s;
	f->refused = !job_enqueue(f->tp, f->inner, f->wsi);
	job_enqueue(f->tp, f->detached, NULL);

	return LWS_TP_RETURN_FINISHED;
}

/* T8, W2: from a pool thread, with a wsi; without one it is fine */
static void
wsi_from_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 3),
			      *other = rig_pool(rig, 1, 3);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct from_thread f[2];
	struct job *j;

	for (int n = 0; n < 2; n++) {
		f[n] = (struct from_thread){ n ? other : tp, c->wsi,
					     job_new(rig), job_new(rig),
					     false };
		j = job_new(rig);
		j->fn = enqueue_from_a_task;
		j->priv = &f[n];
		job_enqueue(tp, j, c->wsi);
		wait_status(j, LWS_TP_STATUS_FINISHED);
		rig_until_int(rig, &j->cleanups, 1);
		assert_true(f[n].refused);
		rig_until_int(rig, &f[n].detached->cleanups, 1);
		assert_int_equal(log_claim(LLL_ERR, ""), n + 1);
	}
	still_works(rig, tp, c->wsi);
}

/* A wsi of another context than the pool's */
static void
wsi_of_another_context(void **state)
{
	struct rig *rig = *state, *elsewhere = rig_create(NULL);
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct conn *c = conn_open(elsewhere, CONN_RAW),
		    *here = conn_open(rig, CONN_RAW);

	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	assert_int_equal(log_claim(LLL_ERR, ""), 1);
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
	still_works(rig, tp, here->wsi);
	assert_int_equal(rig_destroy(elsewhere), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(queue_full),
		RIG_TEST(pool_finishing),
		RIG_TEST(nothing_is_kept_of_its_wsi),
		RIG_TEST(no_task_function),
		RIG_TEST(no_pool),
		RIG_TEST(wsi_from_a_pool_thread),
		RIG_TEST(wsi_of_another_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
