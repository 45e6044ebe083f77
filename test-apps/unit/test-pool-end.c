/*
 * lws-threadpool unit tests - P3, P4: how a pool ends, before, during and after
 * its context
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"

/* A task in each state on a pool of two threads, one of them held by gate */
struct five {
	struct job *queued, *running, *syncing, *done, *detached;
	struct gate *gate;
};

static void
five_enqueue(struct rig *rig, struct lws_threadpool *tp, struct conn *c,
	     struct five *f)
{
	c->manual = true;
	f->gate = gate_new(rig);
	f->done = job_new(rig);
	assert_non_null(job_enqueue(tp, f->done, c->wsi));
	wait_status(f->done, LWS_TP_STATUS_FINISHED);
	f->syncing = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(tp, f->syncing, c->wsi));
	wait_status(f->syncing, LWS_TP_STATUS_SYNCING);
	f->running = job_script(rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);
	f->running->gate = f->gate;
	assert_non_null(job_enqueue(tp, f->running, c->wsi));
	wait_int(&f->running->calls, 1);
	f->detached = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	f->detached->gate = f->gate;
	assert_non_null(job_enqueue(tp, f->detached, NULL));
	wait_int(&f->detached->calls, 1);
	f->queued = job_new(rig);
	assert_non_null(job_enqueue(tp, f->queued, c->wsi));
}

static void
five_check(struct five *f, struct lws *wsi)
{
	assert_int_equal(atomic_load(&f->queued->cleanups), 1);
	assert_int_equal(atomic_load(&f->running->cleanups), 1);
	assert_int_equal(atomic_load(&f->syncing->cleanups), 1);
	assert_int_equal(atomic_load(&f->done->cleanups), 1);
	assert_int_equal(atomic_load(&f->detached->cleanups), 1);
	assert_int_equal(atomic_load(&f->queued->calls), 0);
	assert_int_equal(atomic_load(&f->running->stopping), 1);
	assert_int_equal(atomic_load(&f->syncing->stopping), 1);
	assert_int_equal(atomic_load(&f->done->stopping), 0);
	assert_int_equal(atomic_load(&f->detached->stopping), 1);
	assert_null(f->detached->cleanup_wsi);
	/* attached to a wsi that lives: it is given (T7) */
	assert_ptr_equal(f->queued->cleanup_wsi, wsi);
	assert_ptr_equal(f->running->cleanup_wsi, wsi);
	assert_ptr_equal(f->syncing->cleanup_wsi, wsi);
	assert_ptr_equal(f->done->cleanup_wsi, wsi);
	if (wsi)
		assert_true(pthread_equal(f->running->cleanup_thread,
					  pthread_self()));
}

/* ---- P3 ---- */

static void
P3_finish_stops_all_and_waits_for_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *late = job_new(rig);
	struct five f;

	five_enqueue(rig, tp, c, &f);
	lws_threadpool_finish(tp);
	/* it returned with two tasks in their functions */
	assert_int_equal(atomic_load(&f.running->returns), 0);
	assert_int_equal(lws_threadpool_task_status_noreap(f.queued->task),
			 LWS_TP_STATUS_STOPPED);
	assert_int_equal(lws_threadpool_task_status_noreap(f.running->task),
			 LWS_TP_STATUS_STOPPING);
	assert_int_equal(lws_threadpool_task_status_noreap(f.done->task),
			 LWS_TP_STATUS_FINISHED);
	/* nothing attached was reaped */
	assert_int_equal(atomic_load(&f.done->cleanups), 0);
	assert_int_equal(atomic_load(&f.queued->cleanups), 0);
	/* nothing new */
	assert_null(job_enqueue(tp, late, c->wsi));
	log_claim(LLL_WARN, "");
	log_claim(LLL_ERR, "");

	/* the application still reaps: of its own accord, and woken for it */
	assert_int_equal(lws_threadpool_task_status(f.done->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&f.done->cleanups), 1);
	c->manual = false;
	gate_open(f.gate);
	rig_until_int(rig, &f.queued->cleanups, 1);
	rig_until_int(rig, &f.running->cleanups, 1);
	rig_until_int(rig, &f.syncing->cleanups, 1);
	wait_int(&f.detached->cleanups, 1);
	assert_int_equal(f.queued->reaped_as, LWS_TP_STATUS_STOPPED);
	assert_int_equal(f.running->reaped_as, LWS_TP_STATUS_STOPPED);
	assert_int_equal(f.syncing->reaped_as, LWS_TP_STATUS_STOPPED);
	five_check(&f, c->wsi);
}

static int
finish_inside(struct job *j, enum lws_threadpool_task_status s)
{
	lws_threadpool_finish(j->priv);

	return s == LWS_TP_STATUS_STOPPING ? LWS_TP_RETURN_STOPPED :
					     LWS_TP_RETURN_CHECKING_IN;
}

static atomic_int cleaning;

static void
clean_up_at_a_gate(struct job *j, struct lws *wsi)
{
	(void)wsi;
	atomic_fetch_add(&cleaning, 1);
	gate_pass(j->priv);
}

static void *
finish_it(void *tp)
{
	lws_threadpool_finish(tp);

	return NULL;
}

/* P3, S3: the thread of a finishing pool that has to tell of a task's end does
 * so before it cleans up what was queued, which may take its time */
static void
P3_an_end_does_not_wait_for_cleanups(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig), *clean = gate_new(rig);
	struct job *ends = job_gated(rig, gate), *queued[2];
	pthread_t finisher;

	atomic_store(&cleaning, 0);
	assert_non_null(job_enqueue(tp, ends, c->wsi));
	wait_int(&ends->calls, 1);
	rig_drain(rig); /* lws was asked for a WRITEABLE */
	for (int n = 0; n < 2; n++) {
		queued[n] = job_new(rig);
		queued[n]->on_cleanup = clean_up_at_a_gate;
		queued[n]->priv = clean;
		assert_non_null(job_enqueue(tp, queued[n], NULL));
	}
	/* the first of these is finish()'s to clean up, the other the pool's */
	assert_int_equal(pthread_create(&finisher, NULL, finish_it, tp), 0);
	wait_int(&cleaning, 1);
	gate_open(gate);
	wait_int(&cleaning, 2);
	rig_until_int(rig, &ends->cleanups, 1);
	gate_open(clean);
	pthread_join(finisher, NULL);
	for (int n = 0; n < 2; n++)
		wait_int(&queued[n]->cleanups, 1);
}

static void
P3_finish_twice_and_from_a_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	j->fn = finish_inside;
	j->priv = tp;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
	lws_threadpool_finish(tp);
	lws_threadpool_finish(tp);
}

static void
P3_finished_outlivers_are_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, INT32_MAX,
				   LWS_TP_RETURN_CHECKING_IN |
					   LWS_TP_RETURN_FLAG_OUTLIVE);

	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_int(&j->calls, 2);
	closing_do(c, CLOSING_TIMEOUT);
	wait_int(&j->calls, atomic_load(&j->calls) + 2);
	assert_int_equal(atomic_load(&j->stopping), 0);
	lws_threadpool_finish(tp); /* T5 */
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

/* ---- P4 ---- */

static void
P4_destroy_with_tasks_in_every_state(void **state)
{
	int finish_first, order;

	(void)state;
	for (finish_first = 0; finish_first < 2; finish_first++)
		for (order = 0; order < 2; order++) {
			struct rig *rig = rig_create(NULL);
			struct lws_threadpool *tp = rig_pool(rig, 2, 10);
			struct conn *c = conn_open(rig, CONN_RAW);
			struct lws *wsi = c->wsi;
			struct five f;

			five_enqueue(rig, tp, c, &f);
			if (finish_first)
				lws_threadpool_finish(tp);
			gate_open(f.gate);
			if (order) {
				rig_context_destroy(rig);
				rig_pool_destroy(rig, tp);
				five_check(&f, NULL);
			} else {
				rig_pool_destroy(rig, tp);
				five_check(&f, wsi);
				/* the wsi is none the worse */
				assert_null(lws_threadpool_get_task_wsi(wsi));
				closing_do(c, CLOSING_FIN);
			}
			assert_int_equal(rig_destroy(rig), 0);
		}
}

/* ---- it waits, and says for whom ---- */

static void
P4_destroy_waits_and_names_the_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct gate *g = gate_new(rig);
	struct job *j = job_gated(rig, g);

	j->name = "the-slow-one";
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);
	job_destroy_waits(rig, tp, g, "the-slow-one");
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_true(log_claim(LLL_WARN, "the-slow-one") >= 1);
}

/* ---- destroy from where it must not come ---- */

static int
destroy_inside(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	lws_threadpool_destroy(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

static void
destroy_in_cleanup(struct job *j, struct lws *wsi)
{
	(void)wsi;
	lws_threadpool_destroy(j->priv);
}

static void
P4_destroy_from_a_pool_thread_is_refused(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *other = rig_pool(rig, 1, 10);
	struct job *j[3], *after;
	int n;

	for (n = 0; n < 3; n++) {
		j[n] = job_new(rig);
		j[n]->priv = n == 1 ? other : tp;
		if (n < 2)
			j[n]->fn = destroy_inside;
		else
			j[n]->on_cleanup = destroy_in_cleanup;
		log_forget();
		assert_non_null(job_enqueue(tp, j[n], NULL));
		wait_int(&j[n]->cleanups, 1);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_destroy"),
				 1);
	}
	/* both live on */
	for (n = 0; n < 2; n++) {
		after = job_new(rig);
		assert_non_null(job_enqueue(n ? other : tp, after, NULL));
		wait_int(&after->cleanups, 1);
	}
}

static void
P4_destroy_twice(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);

	rig_pool_destroy(rig, tp);
	assert_int_equal(log_unclaimed(), 0);
	lws_threadpool_destroy(tp);
	assert_int_equal(log_claim(LLL_ERR, ""), 1);
	/* the others too know that it is gone */
	lws_threadpool_finish(tp);
	assert_int_equal(log_claim(LLL_ERR, ""), 2);
	lws_threadpool_dump(tp);
	assert_int_equal(log_claim(LLL_ERR, ""), 3);
	assert_null(job_enqueue(tp, j, NULL));
	assert_true(log_claim(LLL_ERR, "") >= 4);
}

static int
destroy_in_writeable(struct rig *rig, struct lws *wsi,
		     enum lws_callback_reasons reason, void *user, void *in,
		     size_t len)
{
	struct lws_threadpool **tp = rig->priv;

	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if (reason_writeable(reason) && *tp) {
		rig_pool_destroy(rig, *tp);
		*tp = NULL;
	}

	return RIG_DEFAULT;
}

static bool
is_null(void *arg)
{
	struct lws_threadpool **tp = arg;

	return !*tp;
}

static void
P4_destroy_in_a_callback_of_a_wsi_with_tasks(void **state)
{
	int kind;

	(void)state;
	for (kind = 0; kind < CONN_KINDS; kind++) {
		struct lws_threadpool *tp = NULL;
		struct rig_opts opts = { .on_event = destroy_in_writeable,
					 .priv = &tp };
		struct rig *rig = rig_create(&opts);
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct five f;

		tp = rig_pool(rig, 2, 10);
		five_enqueue(rig, tp, c, &f);
		gate_open(f.gate);
		rig_until(rig, is_null, &tp);
		five_check(&f, c->wsi);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* From the cleanup of one of its own tasks, as it is reaped */
static void
P4_destroy_in_a_cleanup_on_the_service_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig), *k = job_new(rig);

	c->manual = true;
	j->on_cleanup = destroy_in_cleanup;
	j->priv = tp;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_non_null(job_enqueue(tp, k, c->wsi));
	wait_status(k, LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(atomic_load(&k->cleanups), 1);
	/* the rig destroys it again, which is refused */
	rig_pool_destroy(rig, tp);
	assert_int_equal(log_claim(LLL_ERR, ""), 1);
}

/* ---- during: in a PROTOCOL_DESTROY of the dying context ---- */

static int
destroy_with_protocol(struct rig *rig, struct lws *wsi,
		      enum lws_callback_reasons reason, void *user, void *in,
		      size_t len)
{
	struct lws_threadpool **tp = rig->priv;

	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_PROTOCOL_DESTROY && *tp) {
		rig_pool_destroy(rig, *tp);
		*tp = NULL;
	}

	return RIG_DEFAULT;
}

static int
destroy_with_wsi(struct rig *rig, struct lws *wsi,
		 enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	struct lws_threadpool **tp = rig->priv;

	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if ((reason_closed(reason) || reason == LWS_CALLBACK_WSI_DESTROY) &&
	    *tp) {
		rig_pool_destroy(rig, *tp);
		*tp = NULL;
	}

	return RIG_DEFAULT;
}

static void
P4_destroy_during_the_context_s_destruction(void **state)
{
	int in_wsi, opt_in, serviced;

	(void)state;
	for (in_wsi = 0; in_wsi < 2; in_wsi++)
		for (opt_in = 0; opt_in < 2; opt_in++)
			for (serviced = 0; serviced < 2; serviced++) {
				struct lws_threadpool *tp = NULL;
				struct rig_opts opts = {
					.on_event =
						in_wsi ? destroy_with_wsi :
							 destroy_with_protocol,
					.opt_in = opt_in,
					.priv = &tp
				};
				struct rig *rig = rig_create(&opts);
				struct conn *c = conn_open(rig, CONN_RAW);
				struct five f;

				tp = rig_pool(rig, 2, 10);
				five_enqueue(rig, tp, c, &f);
				gate_open(f.gate);
				if (serviced)
					rig_drain(rig);
				rig_context_destroy(rig);
				/* one that was never serviced does not send
				 * PROTOCOL_DESTROY: then the rig ends it */
				assert_true(!tp || (!in_wsi && !serviced));
				assert_int_equal(rig_destroy(rig), 0);
			}
}

/* The context is gone, the pool is not: it still takes what needs no wsi, or
 * refuses it, and ends in order */
static void
P4_pool_that_outlives_its_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *g = gate_new(rig);
	struct job *held = job_script(rig, 5, LWS_TP_RETURN_SYNC),
		   *after = job_new(rig);

	held->async_task = 1;
	held->gate = g;
	assert_non_null(job_enqueue(tp, held, c->wsi));
	wait_int(&held->calls, 1);
	rig_context_destroy(rig);
	gate_open(g);
	wait_int(&held->cleanups, 1);
	assert_int_equal(atomic_load(&held->stopping), 0);
	job_enqueue(tp, after, NULL);
	if (after->accepted)
		wait_int(&after->cleanups, 1);
	lws_threadpool_dump(tp);
	lws_threadpool_diagnose(tp, NULL, NULL, NULL);
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
}

static void
destroy_again(struct job *j, struct lws *wsi)
{
	(void)wsi;
	lws_threadpool_destroy(j->priv);
	log_claim(LLL_ERR, "is being destroyed already");
}

/* P4: a cleanup that destroy() calls may not destroy the pool once more */
static void
P4_destroy_in_a_cleanup_of_destroy(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	c->manual = true;
	j->priv = tp;
	j->on_cleanup = destroy_again;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(log_count(LLL_ERR, "is being destroyed already"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(P3_finish_stops_all_and_waits_for_none),
		RIG_TEST(P3_an_end_does_not_wait_for_cleanups),
		RIG_TEST(P3_finish_twice_and_from_a_task),
		RIG_TEST(P3_finished_outlivers_are_stopped),
		cmocka_unit_test(P4_destroy_with_tasks_in_every_state),
		RIG_TEST(P4_destroy_waits_and_names_the_task),
		RIG_TEST(P4_destroy_from_a_pool_thread_is_refused),
		RIG_TEST(P4_destroy_twice),
		cmocka_unit_test(P4_destroy_in_a_callback_of_a_wsi_with_tasks),
		RIG_TEST(P4_destroy_in_a_cleanup_on_the_service_thread),
		RIG_TEST(P4_destroy_in_a_cleanup_of_destroy),
		cmocka_unit_test(P4_destroy_during_the_context_s_destruction),
		RIG_TEST(P4_pool_that_outlives_its_context),
	};

	return cmocka_run_group_tests_name("P3 P4 a pool's end", tests, NULL,
					   NULL);
}
