/*
 * lws-threadpool unit tests - K4, kept tasks: what is kept, and what ends that
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

/* ---- what is kept ---- */

/* Ends without a wsi, in each way; and one that had none from the start */
static void
what_ends_without_a_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *never = tokens_keep(rig, tp), *closed, *stopped, *queued,
		   *bad;

	is_kept(tp, never, LWS_TP_STATUS_FINISHED);
	closed = tokens_job(rig, tp, c->wsi, gate, 0);
	closing_do(c, CLOSING_FIN);
	gate_open(gate);
	wait_until(tokens_is_kept, closed);
	is_kept(tp, closed, LWS_TP_STATUS_FINISHED);

	gate_close(gate);
	stopped = job_script(rig, 2, LWS_TP_RETURN_CHECKING_IN);
	stopped->gate = gate;
	assert_non_null(job_enqueue(tp, stopped, NULL));
	tokens_give(stopped, 0);
	wait_int(&stopped->calls, 1);
	queued = job_new(rig);
	assert_non_null(job_enqueue(tp, queued, NULL));
	tokens_give(queued, 0);
	bad = job_new(rig);
	bad->last = 1234;
	assert_non_null(job_enqueue(tp, bad, NULL));
	tokens_give(bad, 0);
	lws_threadpool_task_sync(queued->task, 1);
	lws_threadpool_task_sync(stopped->task, 1);
	gate_open(gate);
	wait_until(tokens_is_kept, bad);
	assert_int_equal(log_claim(LLL_ERR, "1234"), 1);
	wait_until(tokens_is_kept, queued);
	is_kept(tp, stopped, LWS_TP_STATUS_STOPPED);
	is_kept(tp, queued, LWS_TP_STATUS_STOPPED);
	is_kept(tp, bad, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&queued->calls), 0);
	assert_int_equal(kept_count(tp), 5);
	assert_int_equal(lws_threadpool_drain(tp), 0);
	rig_pool_destroy(rig, tp);
	is_gone(never);
	is_gone(closed);
	is_gone(stopped);
	is_gone(queued);
	is_gone(bad);
}

/* Has ended when its wsi closes: of each kind, in each way */
static void
what_is_done_when_its_wsi_closes(void **state)
{
	(void)state;
	for (int kind = 0; kind < CONN_KINDS; kind++)
		for (int way = 0; way < CLOSINGS; way++) {
			struct rig_opts opts = {
				.opt_in = (kind + way) & 1,
				.on_event = closing_event,
			};
			struct rig *rig;
			struct lws_threadpool *tp;
			struct conn *c;
			struct job *j, *plain;

			if (!closing_can((enum conn_kind)kind,
					 (enum closing)way) ||
			    way == CLOSING_CONTEXT)
				continue;
			rig = rig_create(&opts);
			tp = rig_pool(rig, 1, 10);
			c = conn_open(rig, (enum conn_kind)kind);
			j = job_new(rig);
			plain = job_new(rig);
			c->manual = true;
			assert_non_null(job_enqueue(tp, j, c->wsi));
			tokens_give(j, 0);
			assert_non_null(job_enqueue(tp, plain, c->wsi));
			wait_status(plain, LWS_TP_STATUS_FINISHED);
			assert_int_equal(tokens_info(j).kept, 0);
			assert_int_equal(lws_threadpool_drain(tp), 2);
			closing_do(c, (enum closing)way);
			assert_int_equal(atomic_load(&plain->cleanups), 1);
			is_kept(tp, j, LWS_TP_STATUS_FINISHED);
			assert_int_equal(lws_threadpool_drain(tp), 0);
			assert_int_equal(rig_destroy(rig), 0);
		}
}

/* What has a wsi is not, nor what has no token */
static void
what_is_not_kept(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig), *plain = job_new(rig);

	c->manual = true;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	tokens_give(j, 0);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(tokens_info(j).kept, 0);
	assert_int_equal(tokens_info(j).attached, 1);
	assert_int_equal(kept_count(tp), 0);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(j->cleanup_wsi, c->wsi);

	/* Q4: one that a dequeue takes off its wsi is not either */
	j = job_new(rig);
	assert_non_null(job_enqueue(tp, j, c->wsi));
	tokens_give(j, 0);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_ptr_equal(j->cleanup_wsi, c->wsi);
	assert_int_equal(kept_count(tp), 0);

	assert_non_null(job_enqueue(tp, plain, NULL));
	wait_int(&plain->cleanups, 1);
	is_gone(plain);
}

/* ---- what reaps it ---- */

struct asker {
	struct job *j;
	void *user;
	enum lws_threadpool_task_status s;
	int ret;
	bool dequeue;
};

static void *
reap_it(void *arg)
{
	struct asker *a = arg;

	a->user = NULL;
	lws_threadpool_task_status_noreap(a->j->task);
	if (a->dequeue)
		a->ret = lws_threadpool_dequeue_task(a->j->task);
	else
		a->s = lws_threadpool_task_status(a->j->task, &a->user);

	return NULL;
}

static int
reap_in_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	reap_it(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

/* task_status() and a dequeue, on the service thread, on another one, on a
 * pool's own; and its cleanup runs there */
static void
status_and_dequeue_on_any_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	pthread_t thread;
	struct job *does;

	for (int n = 0; n < 6; n++) {
		struct asker a = { .j = tokens_keep(rig, tp),
				   .dequeue = n & 1,
				   .ret = -1,
				   .s = LWS_TP_STATUS_QUEUED };

		is_kept(tp, a.j, LWS_TP_STATUS_FINISHED);
		switch (n / 2) {
		case 0:
			thread = pthread_self();
			reap_it(&a);
			break;
		case 1:
			assert_int_equal(
				pthread_create(&thread, NULL, reap_it, &a), 0);
			pthread_join(thread, NULL);
			break;
		default:
			does = job_new(rig);
			does->fn = reap_in_a_task;
			does->priv = &a;
			assert_non_null(job_enqueue(tp, does, NULL));
			wait_int(&does->cleanups, 1);
			thread = does->first_thread;
			break;
		}
		is_gone(a.j);
		assert_true(pthread_equal(a.j->cleanup_thread, thread));
		if (a.dequeue) {
			assert_int_equal(a.ret, 0);
			continue;
		}
		assert_int_equal(a.s, LWS_TP_STATUS_FINISHED);
		assert_ptr_equal(a.user, a.j);
	}
	assert_int_equal(kept_count(tp), 0);
}

/* two at a time: one of them reaps it */
static void
two_reap_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int n = 0; n < 300; n++) {
		struct job *j = tokens_keep(rig, tp);
		struct asker a = { .j = j }, b = { .j = j, .dequeue = n & 1 };
		pthread_t thread;

		assert_int_equal(pthread_create(&thread, NULL, reap_it, &a), 0);
		reap_it(&b);
		pthread_join(thread, NULL);
		is_gone(j);
		if (!b.dequeue)
			assert_int_equal(!a.user + !b.user, 1);
	}
}

/* task_sync(), a stop, a wake and the end of its context do nothing to it */
static void
what_does_not_reap_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = tokens_keep(rig, tp);
	int calls = atomic_load(&j->calls);

	lws_threadpool_task_sync(j->task, 0);
	lws_threadpool_task_sync(j->task, 1);
	lws_threadpool_task_wake(j->task);
	rig_drain(rig);
	is_kept(tp, j, LWS_TP_STATUS_FINISHED);
	lws_threadpool_drain(tp);
	is_kept(tp, j, LWS_TP_STATUS_FINISHED);
	lws_threadpool_finish(tp);
	rig_drain(rig);
	is_kept(tp, j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->calls), calls);
	/* and it can still be reaped (P3) */
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	is_gone(j);
}

/* K4: finish() leaves it; what it stops is kept itself; destroy() reaps them,
 * on this thread */
static void
finish_leaves_and_destroy_reaps(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *before = tokens_keep(rig, tp), *runs, *queued;

	runs = job_script(rig, 9, LWS_TP_RETURN_CHECKING_IN);
	runs->gate = gate;
	assert_non_null(job_enqueue(tp, runs, NULL));
	tokens_give(runs, 0);
	wait_int(&runs->calls, 1);
	queued = job_new(rig);
	assert_non_null(job_enqueue(tp, queued, NULL));
	tokens_give(queued, 0);
	lws_threadpool_finish(tp);
	gate_open(gate);
	wait_until(tokens_is_kept, runs);
	wait_until(tokens_is_kept, queued);
	is_kept(tp, before, LWS_TP_STATUS_FINISHED);
	is_kept(tp, runs, LWS_TP_STATUS_STOPPED);
	is_kept(tp, queued, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&queued->calls), 0);
	rig_pool_destroy(rig, tp);
	is_gone(before);
	is_gone(runs);
	is_gone(queued);
	assert_true(pthread_equal(before->cleanup_thread, rig->thread));
}

/* P4: whichever goes first */
static void
the_context_and_the_pool_end(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++) {
		struct rig *rig = rig_create(NULL);
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j = job_new(rig), *kept = tokens_keep(rig, tp);

		/* and one that its wsi leaves behind */
		c->manual = true;
		assert_non_null(job_enqueue(tp, j, c->wsi));
		tokens_give(j, 0);
		if (n & 2)
			wait_status(j, LWS_TP_STATUS_FINISHED);
		if (n & 1) {
			rig_context_destroy(rig);
			wait_until(tokens_is_kept, j);
			is_kept(tp, j, LWS_TP_STATUS_FINISHED);
			is_kept(tp, kept, LWS_TP_STATUS_FINISHED);
		}
		rig_pool_destroy(rig, tp);
		is_gone(kept);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(what_ends_without_a_wsi),
		cmocka_unit_test(what_is_done_when_its_wsi_closes),
		RIG_TEST(what_is_not_kept),
		RIG_TEST(status_and_dequeue_on_any_thread),
		RIG_TEST(two_reap_it),
		RIG_TEST(what_does_not_reap_it),
		RIG_TEST(finish_leaves_and_destroy_reaps),
		cmocka_unit_test(the_context_and_the_pool_end),
	};

	return cmocka_run_group_tests_name("K4 kept tasks", tests, NULL, NULL);
}
