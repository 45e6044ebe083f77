/*
 * lws-threadpool unit tests - K1, K3, a task with a token outlives its wsi, and
 * with WAIT its SYNC waits for another one
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

/* Without a wsi, SYNCING, and waits.  It SYNCs so many times in all. */
static struct job *
waits(struct rig *rig, struct lws_threadpool *tp, int syncs)
{
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, syncs, LWS_TP_RETURN_SYNC);

	j->gate = gate;
	assert_non_null(job_enqueue(tp, j, NULL));
	tokens_give(j, LWS_TP_TOKEN_WAIT);
	gate_open(gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_attached(j->task), 0);

	return j;
}

/* T7: it has ended and is kept, or was reaped, without a wsi */
static void
was_stopped(struct job *j)
{
	rig_until_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&j->stopping), 1);
	lws_threadpool_task_status(j->task, NULL);
	rig_until_int(j->rig, &j->cleanups, 1);
	assert_null(j->cleanup_wsi);
}

/* ---- T5 ---- */

/* K1: it outlives its wsi from now on, in each status; its SYNCs do not wait */
static void
outlives_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *gate = gate_new(rig);
		struct job *runs = job_script(rig, 5, LWS_TP_RETURN_SYNC),
			   *syncs = job_script(rig, 5, LWS_TP_RETURN_SYNC),
			   *queued = job_script(rig, 5, LWS_TP_RETURN_SYNC);

		c->manual = true;
		assert_non_null(job_enqueue(tp, syncs, c->wsi));
		wait_status(syncs, LWS_TP_STATUS_SYNCING);
		runs->gate = gate;
		assert_non_null(job_enqueue(tp, runs, c->wsi));
		wait_int(&runs->calls, 1);
		assert_non_null(job_enqueue(tp, queued, c->wsi));
		tokens_give(runs, 0);
		tokens_give(syncs, 0);
		tokens_give(queued, 0);
		closing_do(c, CLOSING_TIMEOUT);
		gate_open(gate);
		for (int n = 0; n < 3; n++) {
			struct job *j = n ? n == 1 ? syncs : queued : runs;

			/* S7: one that was SYNCING waits for a turn */
			rig_until(rig, tokens_is_kept, j);
			assert_int_equal(atomic_load(&j->running), 6);
			assert_int_equal(atomic_load(&j->stopping), 0);
			assert_int_equal(lws_threadpool_task_status(j->task,
								    NULL),
					 LWS_TP_STATUS_FINISHED);
		}
	}
}

/* ---- K3 ---- */

/* An attach ends no SYNC: WRITEABLE comes on the new wsi, and task_sync() there
 * answers it.  On each kind. */
static void
until_it_is_attached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = waits(rig, tp, 4);

		rig_drain(rig);
		wait_status(j, LWS_TP_STATUS_SYNCING);
		assert_int_equal(atomic_load(&j->calls), 1);
		assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi),
				 0);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
		assert_int_equal(lws_threadpool_task_attached(j->task), 1);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 4);
		assert_ptr_equal(j->cleanup_wsi, c->wsi);
	}
}

/* Its data is nobody's but the service thread's after that (S7): it stays until
 * somebody answers */
static void
attached_and_not_served(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = waits(rig, tp, 1);

	c->manual = true;
	assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi), 0);
	rig_drain(rig);
	assert_true(c->writeables >= 1);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(atomic_load(&j->calls), 1);
	lws_threadpool_task_sync(j->task, 0);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	lws_threadpool_task_status(j->task, NULL);
}

/* K1: WAIT, once given, stays.  And what has it waits only where it has no
 * wsi. */
static void
wait_once_given_stays(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 6, LWS_TP_RETURN_SYNC);

	j->gate = gate;
	j->gate_call = 3;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	tokens_give(j, LWS_TP_TOKEN_WAIT);
	tokens_give(j, 0);
	rig_until_int(rig, &j->calls, 4);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3);
	closing_do(c, CLOSING_FIN);
	gate_open(gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_attached(j->task), 0);
	lws_threadpool_task_sync(j->task, 0);
	wait_int(&j->calls, 5);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	tokens_give(j, 0);
	lws_threadpool_task_sync(j->task, 1);
	was_stopped(j);
}

/* A task that is SYNCING when it loses its wsi waits in the same way: told or
 * not, with each kind.  One without WAIT does not. */
static void
its_wsi_closes_while_it_syncs(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		struct conn *c = conn_open(rig, (enum conn_kind)(n / 2)),
			    *to = conn_open(rig, CONN_RAW);
		struct job *j, *plain;

		c->manual = true;
		j = job_park(rig, tp, c->wsi);
		plain = job_park(rig, tp, c->wsi);
		tokens_give(j, LWS_TP_TOKEN_WAIT);
		tokens_give(plain, 0);
		if (n & 1) {
			rig_drain(rig);
			lws_threadpool_task_status(j->task, NULL);
		}
		closing_do(c, CLOSING_TIMEOUT);
		rig_until(rig, tokens_is_kept, plain);
		lws_threadpool_task_status(plain->task, NULL);
		rig_drain(rig);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
		assert_int_equal(lws_threadpool_task_attached(j->task), 0);
		assert_int_equal(atomic_load(&j->calls), 1);
		assert_int_equal(lws_threadpool_task_attach(j->task, to->wsi),
				 0);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 1);
		assert_ptr_equal(j->cleanup_wsi, to->wsi);
	}
}

/* ---- its other ends ---- */

/* S4: task_sync() by anybody resumes it: on this thread, where it has no wsi */
static void
until_it_is_synced(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = waits(rig, tp, 3);

	for (int n = 2; n <= 4; n++) {
		wait_status(j, LWS_TP_STATUS_SYNCING);
		lws_threadpool_task_sync(j->task, 0);
		wait_int(&j->calls, n);
	}
	wait_until(tokens_is_kept, j);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* K4: a stop, at once: no callback has its data, so not by S7.  Nobody services
 * here. */
static void
until_it_is_stopped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = waits(rig, tp, 3);

	lws_threadpool_task_sync(j->task, 1);
	wait_status(j, LWS_TP_STATUS_STOPPED);
	was_stopped(j);
}

static void
until_the_pool_finishes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = waits(rig, tp, 3);

	lws_threadpool_finish(tp);
	wait_status(j, LWS_TP_STATUS_STOPPED);
	was_stopped(j);
}

static void
until_the_pool_is_destroyed(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = waits(rig, tp, 3);

	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&j->stopping), 1);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_null(j->cleanup_wsi);
}

/* P4: its context's end leaves it, for its pool to end */
static void
the_context_ends(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = waits(rig, tp, 3), *attached;

	c->manual = true;
	attached = job_park(rig, tp, c->wsi);
	tokens_give(attached, LWS_TP_TOKEN_WAIT);
	rig_context_destroy(rig);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_int_equal(atomic_load(&attached->cleanups), 1);
}

/* S5: after sync_timeout_secs, without a turn of the loop, with a warning */
static void
until_it_times_out(void **state)
{
	struct lws_threadpool_options o = {
		.size = sizeof(o),
		.sync_timeout_secs = 1,
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 10, &o);
	struct job *j = waits(rig, tp, 3);

	wait_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "lws_threadpool"), 1);
	was_stopped(j);
}

/* Q4: detached it is already, and it outlives: left alone */
static void
a_dequeue_leaves_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	c->manual = true;
	for (int attached = 0; attached < 2; attached++) {
		if (attached) {
			j = job_park(rig, tp, c->wsi);
			tokens_give(j, LWS_TP_TOKEN_WAIT);
		} else
			j = waits(rig, tp, 1);
		assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
		rig_drain(rig);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
		assert_int_equal(lws_threadpool_task_attached(j->task), 0);
		assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi),
				 0);
		lws_threadpool_task_sync(j->task, 0);
		rig_until_status(j, LWS_TP_STATUS_FINISHED);
		assert_int_equal(lws_threadpool_task_status(j->task, NULL),
				 LWS_TP_STATUS_FINISHED);
		assert_ptr_equal(j->cleanup_wsi, c->wsi);
	}
}

/* S1: one that waits holds no thread */
static void
it_holds_no_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j[5], *other = job_new(rig);

	for (int n = 0; n < 5; n++)
		j[n] = waits(rig, tp, 1);
	assert_non_null(job_enqueue(tp, other, NULL));
	wait_int(&other->cleanups, 1);
	for (int n = 0; n < 5; n++) {
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
		lws_threadpool_task_sync(j[n]->task, 0);
		wait_until(tokens_is_kept, j[n]);
	}
}

/* ---- park ---- */

static int
park_till_it_has_a_wsi(struct job *j, enum lws_threadpool_task_status s)
{
	(void)j;
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return lws_threadpool_task_attached(lws_threadpool_this_task()) ?
		       LWS_TP_RETURN_FINISHED :
		       (int)lws_threadpool_park(-1);
}

static bool
is_parked(void *arg)
{
	return tokens_info(arg).parked;
}

/* T9, K3: a parked one that gets a wsi is called again */
static void
a_parked_task_gets_a_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int token = 0; token < 2; token++) {
		struct job *j = job_new(rig);

		j->fn = park_till_it_has_a_wsi;
		assert_non_null(job_enqueue(tp, j, NULL));
		wait_until(is_parked, j);
		if (token)
			tokens_give(j, 0);
		assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi),
				 0);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
		assert_ptr_equal(j->cleanup_wsi, c->wsi);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(outlives_its_wsi),
		RIG_TEST(until_it_is_attached),
		RIG_TEST(attached_and_not_served),
		RIG_TEST(wait_once_given_stays),
		RIG_TEST(its_wsi_closes_while_it_syncs),
		RIG_TEST(until_it_is_synced),
		RIG_TEST(until_it_is_stopped),
		RIG_TEST(until_the_pool_finishes),
		RIG_TEST(until_the_pool_is_destroyed),
		RIG_TEST(the_context_ends),
		RIG_TEST(until_it_times_out),
		RIG_TEST(a_dequeue_leaves_it),
		RIG_TEST(it_holds_no_thread),
		RIG_TEST(a_parked_task_gets_a_wsi),
	};

	return cmocka_run_group_tests_name("K1 K3 waiting for a wsi", tests,
					   NULL, NULL);
}
