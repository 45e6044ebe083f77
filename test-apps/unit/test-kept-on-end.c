/*
 * lws-threadpool unit tests - K4, H1, the on_end of a kept task: not while it
 * is kept, but by serve() once it is attached
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

static atomic_int ends;
static struct lws *end_wsi;
static enum lws_threadpool_task_status end_how;
static int end_cleanups, end_ret;

static int
note_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct job *j = user;

	end_wsi = wsi;
	end_how = how;
	end_cleanups = atomic_load(&j->cleanups);
	atomic_fetch_add(&ends, 1);

	return end_ret;
}

static const struct lws_threadpool_task_options options = {
	.size = sizeof(options),
	.on_end = note_end,
};

static int
serve(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
      void *user, void *in, size_t len)
{
	if (reason_writeable(reason)) {
		struct conn *c = conn_of(wsi);

		if (c && !c->manual)
			return lws_threadpool_serve(wsi);
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

static void
begin(struct rig *rig)
{
	rig->on_event = serve;
	atomic_store(&ends, 0);
	end_ret = 0;
}

/* With a token and on_end, kept: on_end was not called, though it never had a
 * wsi (H1) */
static struct job *
keep(struct rig *rig, struct lws_threadpool *tp)
{
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate);

	tokens_enqueue(tp, j, NULL, &options);
	tokens_give(j, 0);
	gate_open(gate);
	rig_until(rig, tokens_is_kept, j);
	rig_drain(rig);
	assert_int_equal(tokens_info(j).kept, 1);
	assert_int_equal(atomic_load(&ends), 0);
	assert_int_equal(atomic_load(&j->cleanups), 0);

	return j;
}

/* H1: attached, it is served, by on_end first and then by cleanup */
static void
by_serve_once_it_is_attached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	begin(rig);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = keep(rig, tp);

		assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi),
				 0);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&ends), 1);
		assert_ptr_equal(end_wsi, c->wsi);
		assert_int_equal(end_how, LWS_TP_STATUS_FINISHED);
		assert_int_equal(end_cleanups, 0);
		assert_ptr_equal(j->cleanup_wsi, c->wsi);
		atomic_store(&ends, 0);
	}
}

/* ... and serve() returns what it returns */
static void
its_return_closes_the_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	begin(rig);
	j = keep(rig, tp);
	end_ret = -1;
	assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi), 0);
	conn_until_closed(c);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&ends), 1);
}

/* It ends after it lost its wsi, or is done when it loses it: neither calls
 * on_end, and the next wsi has it */
static void
it_lost_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	begin(rig);
	for (int n = 0; n < 2; n++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct gate *gate = gate_new(rig);
		struct job *j = job_gated(rig, gate);

		c->manual = true;
		tokens_enqueue(tp, j, c->wsi, &options);
		tokens_give(j, 0);
		if (n)
			gate_open(gate);
		if (n)
			wait_status(j, LWS_TP_STATUS_FINISHED);
		closing_do(c, CLOSING_FIN);
		gate_open(gate);
		rig_until(rig, tokens_is_kept, j);
		rig_drain(rig);
		assert_int_equal(atomic_load(&ends), 0);
		c = conn_open(rig, CONN_WS);
		assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi),
				 0);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&ends), 1);
		assert_ptr_equal(end_wsi, c->wsi);
		atomic_store(&ends, 0);
	}
}

/* H1: attached, and closed before it was served: kept again, not called */
static void
attached_and_closed(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c;
	struct job *j;

	begin(rig);
	j = keep(rig, tp);
	for (int n = 0; n < 3; n++) {
		c = conn_open(rig, CONN_RAW);
		c->manual = true;
		assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi),
				 0);
		assert_int_equal(tokens_info(j).kept, 0);
		closing_do(c, CLOSING_FIN);
		assert_int_equal(tokens_info(j).kept, 1);
	}
	assert_int_equal(atomic_load(&ends), 0);
}

/* H1: nor does what reaps it: a status, a dequeue, max_kept, the pool's end */
static void
not_by_what_reaps_it(void **state)
{
	struct lws_threadpool_options o = { .size = sizeof(o), .max_kept = 1 };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 10, &o);
	struct job *j[4];

	begin(rig);
	j[0] = keep(rig, tp);
	assert_int_equal(lws_threadpool_task_status(j[0]->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	j[1] = keep(rig, tp);
	assert_int_equal(lws_threadpool_dequeue_task(j[1]->task), 0);
	j[2] = keep(rig, tp);
	j[3] = keep(rig, tp);
	rig_until_int(rig, &j[2]->cleanups, 1);
	lws_threadpool_finish(tp);
	rig_drain(rig);
	rig_pool_destroy(rig, tp);
	rig_drain(rig);
	for (int n = 0; n < 4; n++)
		assert_int_equal(atomic_load(&j[n]->cleanups), 1);
	assert_int_equal(atomic_load(&ends), 0);
}

/* K4: finish() is an end like any other: one that is QUEUED is kept, and not
 * told */
static void
finish_keeps_what_is_queued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_new(rig);

	begin(rig);
	job_block(rig, tp, gate);
	tokens_enqueue(tp, j, NULL, &options);
	tokens_give(j, 0);
	lws_threadpool_finish(tp);
	gate_open(gate);
	rig_until(rig, tokens_is_kept, j);
	rig_drain(rig);
	assert_int_equal(tokens_info(j).status, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->calls), 0);
	assert_int_equal(atomic_load(&ends), 0);
}

/* H1: without a token it is called, on service thread 0, without a wsi */
static void
without_a_token_it_is_called(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);

	begin(rig);
	end_wsi = (struct lws *)rig;
	tokens_enqueue(tp, j, NULL, &options);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&ends), 1);
	assert_null(end_wsi);
	assert_int_equal(end_cleanups, 0);
	assert_null(j->cleanup_wsi);
	assert_true(pthread_equal(j->cleanup_thread, rig->thread));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(by_serve_once_it_is_attached),
		RIG_TEST(its_return_closes_the_wsi),
		RIG_TEST(it_lost_its_wsi),
		RIG_TEST(attached_and_closed),
		RIG_TEST(not_by_what_reaps_it),
		RIG_TEST(finish_keeps_what_is_queued),
		RIG_TEST(without_a_token_it_is_called),
	};

	return cmocka_run_group_tests_name("K4 H1 on_end of kept tasks", tests,
					   NULL, NULL);
}
