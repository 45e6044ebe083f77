/*
 * lws-threadpool unit tests - T7, cleanup: once, where, with which wsi, and
 * without a lock
 *
 * SPDX-License-Identifier: MIT
 *
 * That it is called exactly once is checked by the harness for every job of
 * every test; here are the ways to end, on which thread, and with which wsi.
 */

#include "harness.h"

static void
cleaned_on_the_service_thread(struct rig *rig, struct job *j, struct lws *wsi)
{
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_ptr_equal(j->cleanup_wsi, wsi);
	assert_true(pthread_equal(j->cleanup_thread, rig->thread));
}

static void
cleaned_on_a_pool_thread(struct rig *rig, struct job *j)
{
	rig_until_int(rig, &j->cleanups, 1);
	assert_null(j->cleanup_wsi);
	assert_false(pthread_equal(j->cleanup_thread, rig->thread));
	assert_true(pthread_equal(j->cleanup_thread, j->first_thread) ||
		    atomic_load(&j->moved));
}

/* T7: reaped while attached, finished or stopped */
static void
reaped_by_status(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig), *stopped = job_new(rig);

	stopped->last = LWS_TP_RETURN_STOPPED;
	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	job_enqueue(tp, stopped, c->wsi);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	wait_status(stopped, LWS_TP_STATUS_STOPPED);
	lws_threadpool_task_status(j->task, NULL);
	lws_threadpool_task_status(stopped->task, NULL);
	cleaned_on_the_service_thread(rig, j, c->wsi);
	cleaned_on_the_service_thread(rig, stopped, c->wsi);
}

/* T7, Q4: dequeued: queued and done with the wsi, running ones without */
static void
dequeued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *done = job_new(rig), *queued = job_new(rig),
		   *syncing = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *running = job_gated(rig, gate);

	c->manual = true;
	running->ret = LWS_TP_RETURN_CHECKING_IN;
	running->repeat = 10;
	job_enqueue(tp, done, c->wsi);
	job_enqueue(tp, syncing, c->wsi);
	wait_status(syncing, LWS_TP_STATUS_SYNCING);
	job_enqueue(tp, running, c->wsi);
	wait_int(&running->calls, 1);
	job_enqueue(tp, queued, c->wsi);

	assert_int_equal(lws_threadpool_dequeue_task(queued->task), 0);
	cleaned_on_the_service_thread(rig, queued, c->wsi);
	assert_int_equal(lws_threadpool_dequeue_task(done->task), 0);
	cleaned_on_the_service_thread(rig, done, c->wsi);
	assert_int_equal(lws_threadpool_dequeue_task(running->task), 1);
	assert_int_equal(lws_threadpool_dequeue_task(syncing->task), 1);
	gate_open(gate);
	cleaned_on_a_pool_thread(rig, running);
	cleaned_on_a_pool_thread(rig, syncing);
}

/* T7, W1: its wsi closed, in each state, on each kind */
static void
wsi_closed(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct gate *gate = gate_new(rig);
		struct job *done = job_new(rig), *queued = job_new(rig),
			   *syncing = job_script(rig, 1, LWS_TP_RETURN_SYNC),
			   *running = job_script(rig, 9,
						 LWS_TP_RETURN_CHECKING_IN);

		c->manual = true;
		running->gate = gate;
		job_enqueue(tp, done, c->wsi);
		job_enqueue(tp, syncing, c->wsi);
		wait_status(syncing, LWS_TP_STATUS_SYNCING);
		job_enqueue(tp, running, c->wsi);
		wait_int(&running->calls, 1);
		job_enqueue(tp, queued, c->wsi);
		conn_timeout(c);
		conn_until_closed(c);
		cleaned_on_the_service_thread(rig, done, NULL);
		cleaned_on_the_service_thread(rig, queued, NULL);
		gate_open(gate);
		cleaned_on_a_pool_thread(rig, running);
		cleaned_on_a_pool_thread(rig, syncing);
	}
}

/* T7, P3, P4: its pool finished and destroyed, in each state.  What is still
 * attached then is cleaned up with its wsi, on the thread that destroys. */
static void
pool_destroyed(void **state)
{
	struct rig *rig = *state;

	for (int finish = 0; finish < 2; finish++) {
		struct lws_threadpool *tp = rig_pool(rig, 2, 10);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *done = job_new(rig), *queued = job_new(rig),
			   *syncing = job_script(rig, 1, LWS_TP_RETURN_SYNC),
			   *running = job_new(rig), *detached = job_new(rig),
			   *waits = job_new(rig);

		c->manual = true;
		running->ret = detached->ret = LWS_TP_RETURN_CHECKING_IN;
		running->repeat = detached->repeat = 0x7fffffff;
		job_enqueue(tp, done, c->wsi);
		job_enqueue(tp, syncing, c->wsi);
		wait_status(done, LWS_TP_STATUS_FINISHED);
		wait_status(syncing, LWS_TP_STATUS_SYNCING);
		job_enqueue(tp, running, c->wsi);
		job_enqueue(tp, detached, NULL);
		wait_int(&running->calls, 1);
		wait_int(&detached->calls, 1);
		job_enqueue(tp, queued, c->wsi);
		job_enqueue(tp, waits, NULL);
		if (finish)
			lws_threadpool_finish(tp);
		rig_pool_destroy(rig, tp);
		cleaned_on_the_service_thread(rig, done, c->wsi);
		cleaned_on_the_service_thread(rig, queued, c->wsi);
		cleaned_on_the_service_thread(rig, syncing, c->wsi);
		cleaned_on_the_service_thread(rig, running, c->wsi);
		cleaned_on_a_pool_thread(rig, detached);
		assert_int_equal(atomic_load(&waits->cleanups), 1);
		assert_null(waits->cleanup_wsi);
		assert_int_equal(atomic_load(&waits->calls), 0);
		rig_drain(rig);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
	}
}

/* T7, P4: the context destroyed before the pool, in each state */
static void
context_destroyed(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *running = job_script(rig, 9, LWS_TP_RETURN_CHECKING_IN),
		   *job[CONN_KINDS][3];
	struct conn *c[CONN_KINDS];

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		c[kind] = conn_open(rig, (enum conn_kind)kind);
		c[kind]->manual = true;
		job[kind][0] = job_new(rig);
		job[kind][1] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, job[kind][0], c[kind]->wsi);
		job_enqueue(tp, job[kind][1], c[kind]->wsi);
		wait_status(job[kind][0], LWS_TP_STATUS_FINISHED);
		wait_status(job[kind][1], LWS_TP_STATUS_SYNCING);
	}
	running->gate = gate;
	job_enqueue(tp, running, c[0]->wsi);
	wait_int(&running->calls, 1);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		job[kind][2] = job_new(rig);
		if (kind < 4)
			job_enqueue(tp, job[kind][2], c[kind]->wsi);
	}
	rig_context_destroy(rig);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		cleaned_on_the_service_thread(rig, job[kind][0], NULL);
		if (kind < 4)
			cleaned_on_the_service_thread(rig, job[kind][2], NULL);
	}
	gate_open(gate);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&running->cleanups), 1);
	assert_null(running->cleanup_wsi);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		assert_int_equal(atomic_load(&job[kind][1]->cleanups), 1);
		assert_null(job[kind][1]->cleanup_wsi);
		assert_int_equal(atomic_load(&job[kind][1]->stopping), 1);
	}
}

/* T7, W2: a task that never had a wsi, on the thread that ran it */
static void
never_attached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

	job_enqueue(tp, j, NULL);
	cleaned_on_a_pool_thread(rig, j);
	assert_int_equal(atomic_load(&j->running), 4);
}

static enum lws_threadpool_task_return
task_plain(void *user, enum lws_threadpool_task_status s)
{
	(void)s;
	atomic_fetch_add((atomic_int *)user, 1);

	return LWS_TP_RETURN_FINISHED;
}

/* T7: a task without a cleanup function needs none */
static void
no_cleanup_function(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;
	atomic_int ran = 0;

	memset(&args, 0, sizeof(args));
	args.task = task_plain;
	args.user = &ran;
	assert_non_null(lws_threadpool_enqueue(tp, &args, NULL));
	wait_int(&ran, 1);
	c->manual = true;
	args.wsi = c->wsi;
	task = lws_threadpool_enqueue(tp, &args, "plain");
	assert_non_null(task);
	wait_int(&ran, 2);
	while (lws_threadpool_task_status(task, NULL) != LWS_TP_STATUS_FINISHED)
		;
	assert_null(lws_threadpool_get_task_wsi(c->wsi));
	args.wsi = c->wsi;
	task = lws_threadpool_enqueue(tp, &args, "plain");
	conn_fin(c);
	conn_until_closed(c);
	rig_pool_destroy(rig, tp);
	assert_true(atomic_load(&ran) <= 3);
}

static int
never_visited(struct lws_threadpool_task *task, void *user)
{
	(void)task;
	(void)user;

	return 0;
}

/* everything that takes a lock of the library's, from a cleanup */
static void
call_everything(struct job *j, struct lws *wsi)
{
	struct lws_threadpool *tp = j->priv;
	struct job *again = job_new(j->rig);
	int ongoing, possible, depth;

	job_enqueue(tp, again, NULL);
	lws_threadpool_task_status_noreap(j->task);
	lws_threadpool_task_status(j->task, NULL);
	lws_threadpool_task_sync(j->task, 0);
	lws_threadpool_task_sync(j->task, 1);
	lws_threadpool_dequeue_task(j->task);
	lws_threadpool_diagnose(tp, &ongoing, &possible, &depth);
	lws_threadpool_dump(tp);
	if (!wsi)
		return;
	lws_threadpool_get_task_wsi(wsi);
	lws_threadpool_foreach_task_wsi(wsi, NULL, never_visited);
	again = job_new(j->rig);
	job_enqueue(tp, again, wsi);
}

/* T7: never with a lock held: cleanups may use the whole API, and the task that
 * is being cleaned up cannot be reached any more */
static void
cleanup_calls_the_api(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j, *queued;

	for (int n = 0; n < 5; n++) {
		j = job_new(rig);
		j->priv = tp;
		j->on_cleanup = call_everything;
		job_enqueue(tp, j, c->wsi);
	}
	rig_until_cleaned(rig);

	job_block(rig, tp, hold);
	job_block(rig, tp, hold);
	queued = job_new(rig);
	queued->priv = tp;
	queued->on_cleanup = call_everything;
	job_enqueue(tp, queued, c->wsi);
	lws_threadpool_dequeue_task(queued->task);
	assert_int_equal(atomic_load(&queued->cleanups), 1);
	gate_open(hold);
	rig_until_cleaned(rig);
}

static void
reach_for_myself(struct job *j, struct lws *wsi)
{
	void *user = j;

	(void)wsi;
	lws_threadpool_task_sync(j->task, 0);
	lws_threadpool_task_sync(j->task, 1);
	if (lws_threadpool_task_status_noreap(j->task) !=
		    LWS_TP_STATUS_FINISHED ||
	    lws_threadpool_task_status(j->task, &user) !=
		    LWS_TP_STATUS_FINISHED ||
	    user || lws_threadpool_dequeue_task(j->task))
		job_fault(j, "its handle is good in its cleanup (Q6)");
}

/* T7, Q6: the handle of what is being cleaned up is stale already, on every
 * thread: "exactly once" holds for a cleanup that reaps itself, too */
static void
stale_in_its_own_cleanup(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *closing = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j;

	for (int n = 0; n < 40; n++) {
		j = job_script(rig, n % 3, LWS_TP_RETURN_SYNC);
		j->on_cleanup = reach_for_myself;
		j->last = n & 1 ? LWS_TP_RETURN_STOPPED :
				  LWS_TP_RETURN_FINISHED;
		/* so that its handle is known */
		j->gate = gate;
		job_enqueue(tp, j,
			    n % 4 == 3 ? NULL :
			    n % 4      ? c->wsi :
					 closing->wsi);
	}
	gate_open(gate);
	conn_fin(closing);
	rig_until_cleaned(rig);
}

static struct lws_threadpool *chain_tp;
static atomic_int chain_left;

static int
chain_call(struct job *j, enum lws_threadpool_task_status s)
{
	(void)j;
	(void)s;
	atomic_fetch_sub(&chain_left, 1);

	return LWS_TP_RETURN_FINISHED;
}

/* made anew for each link: a job is of its test's thread */
static void
chain_cleanup(struct lws *wsi, void *user)
{
	struct lws_threadpool_task_args args;

	(void)wsi;
	if (atomic_fetch_sub(&chain_left, 1) <= 1)
		return;
	memset(&args, 0, sizeof(args));
	args.task = task_plain;
	args.cleanup = chain_cleanup;
	args.user = user;
	if (!lws_threadpool_enqueue(chain_tp, &args, "link"))
		atomic_store(&chain_left, -1000);
}

/* T7, W2: a cleanup on a pool thread enqueues the next detached task there */
static void
cleanup_on_a_pool_thread_enqueues(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_task_args args;
	atomic_int ran = 0;
	struct job *last;

	chain_tp = rig_pool(rig, 2, 10);
	atomic_store(&chain_left, 500);
	memset(&args, 0, sizeof(args));
	args.task = task_plain;
	args.cleanup = chain_cleanup;
	args.user = &ran;
	assert_non_null(lws_threadpool_enqueue(chain_tp, &args, "link"));
	wait_int(&ran, 500);
	last = job_new(rig);
	last->fn = chain_call;
	job_enqueue(chain_tp, last, NULL);
	rig_until_int(rig, &last->cleanups, 1);
	rig_pool_destroy(rig, chain_tp);
	assert_int_equal(atomic_load(&chain_left), -1);
	assert_int_equal(atomic_load(&ran), 500);
}

static atomic_bool destroying;

static void
destroy_my_pool(struct job *j, struct lws *wsi)
{
	(void)wsi;
	atomic_store(&destroying, true);
	rig_pool_destroy(j->rig, j->priv);
}

static bool
is_destroying(void *arg)
{
	(void)arg;

	return atomic_load(&destroying);
}

/* keeps the pool's only thread, which may stop and clean up what is queued as
 * soon as the pool finishes, until the service thread has done that */
static int
busy_until_destroying(struct job *j, enum lws_threadpool_task_status status)
{
	(void)j;
	if (status != LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_CHECKING_IN;
	wait_until(is_destroying, NULL);

	return LWS_TP_RETURN_STOPPED;
}

/* T7, P4: a cleanup on the service thread may destroy the very pool, whatever
 * called it; the pool's other tasks, before and behind it, are cleaned up */
static void
cleanup_destroys_its_pool(void **state)
{
	enum { STATUS, DEQUEUE, CLOSE, FINISH, FINISH_DETACHED, WAYS };
	struct rig *rig = *state;

	for (int way = 0; way < WAYS; way++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 20),
				      *other = rig_pool(rig, 1, 20);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC),
			   *j[7],
			   *stays = job_script(rig, 1, LWS_TP_RETURN_SYNC),
			   *busy = job_new(rig);

		atomic_store(&destroying, false);
		busy->fn = busy_until_destroying;
		c->manual = true;
		job_enqueue(tp, parked, c->wsi);
		wait_status(parked, LWS_TP_STATUS_SYNCING);
		for (int n = 0; n < 7; n++)
			j[n] = job_new(rig);
		j[3]->priv = tp;
		j[3]->on_cleanup = destroy_my_pool;
		if (way == STATUS) {
			for (int n = 0; n < 7; n++) {
				job_enqueue(tp, j[n], c->wsi);
				wait_status(j[n], LWS_TP_STATUS_FINISHED);
			}
		} else {
			job_enqueue(tp, busy, c->wsi);
			wait_int(&busy->calls, 1);
			for (int n = 0; n < 7; n++)
				job_enqueue(tp, j[n],
					    way == FINISH_DETACHED ? NULL :
								     c->wsi);
		}
		job_enqueue(other, stays, c->wsi);
		wait_status(stays, LWS_TP_STATUS_SYNCING);

		if (way == STATUS)
			lws_threadpool_task_status(j[3]->task, NULL);
		else if (way == DEQUEUE)
			lws_threadpool_dequeue_task(j[3]->task);
		else if (way == CLOSE)
			conn_timeout(c);
		else
			lws_threadpool_finish(tp);
		if (way == CLOSE)
			conn_until_closed(c);
		if (way == FINISH) {
			/* stopped, but attached: reaped by the application */
			assert_int_equal(lws_threadpool_task_status(j[3]->task,
								    NULL),
					 LWS_TP_STATUS_STOPPED);
			rig_turns(rig, 2);
		}

		assert_int_equal(atomic_load(&parked->cleanups), 1);
		for (int n = 0; n < 7; n++)
			assert_int_equal(atomic_load(&j[n]->cleanups), 1);
		if (way == CLOSE)
			continue;
		assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi),
				 stays->task);
		c->manual = false;
		lws_callback_on_writable(c->wsi);
		rig_until_cleaned(rig);
	}
}

/* T7 in numbers: every way to end at once, and the harness counts */
static void
every_way_at_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 10000);
	struct conn *c[40];
	struct job *j;

	for (int n = 0; n < 40; n++)
		c[n] = conn_open(rig, n & 1 ? CONN_RAW : CONN_FILE);
	for (int n = 0; n < 2000; n++) {
		struct conn *at = c[n % 40];

		if (!at->wsi)
			continue;
		j = job_script(rig, n % 9,
			       n % 3 ? LWS_TP_RETURN_SYNC :
				       LWS_TP_RETURN_CHECKING_IN);
		j->async_task = n % 13 == 0;
		assert_non_null(job_enqueue(tp, j, n % 17 ? at->wsi : NULL));
		if (n % 7 == 0)
			lws_threadpool_dequeue_task(j->task);
		if (n % 50 == 0)
			conn_timeout(at);
		if (n % 3 == 0)
			rig_turns(rig, 1);
	}
	lws_threadpool_finish(tp);
	rig_turns(rig, 20);
	rig_pool_destroy(rig, tp);
	assert_true(rig_is_cleaned(rig));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(reaped_by_status),
		RIG_TEST(dequeued),
		RIG_TEST(wsi_closed),
		RIG_TEST(pool_destroyed),
		RIG_TEST(context_destroyed),
		RIG_TEST(never_attached),
		RIG_TEST(no_cleanup_function),
		RIG_TEST(cleanup_calls_the_api),
		RIG_TEST(stale_in_its_own_cleanup),
		RIG_TEST(cleanup_on_a_pool_thread_enqueues),
		RIG_TEST(cleanup_destroys_its_pool),
		RIG_TEST(every_way_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
