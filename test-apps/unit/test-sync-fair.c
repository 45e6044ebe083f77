/*
 * lws-threadpool unit tests - S2, new and resumed tasks: neither starves the
 * other, and each is served in FIFO order among its own
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#define EACH 60

static atomic_int turn;

/* note the turn of the latest call; j->repeat SYNCs */
static int
note_turn(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	j->data = atomic_fetch_add(&turn, 1);

	return atomic_load(&j->calls) <= j->repeat ? LWS_TP_RETURN_SYNC :
						     LWS_TP_RETURN_FINISHED;
}

static struct job *
turn_job(struct rig *rig, int syncs)
{
	struct job *j = job_new(rig);

	j->fn = note_turn;
	j->repeat = syncs;

	return j;
}

/* S2: with 60 of each waiting for one thread, both kinds are among the first
 * as they are among the last, each in its order */
static void
both_kinds_wait_for_one_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *parked[EACH], *fresh[EACH];
	int early_fresh = 0, early_parked = 0;

	c->manual = true;
	for (int n = 0; n < EACH; n++) {
		parked[n] = turn_job(rig, 1);
		job_enqueue(tp, parked[n], c->wsi);
	}
	for (int n = 0; n < EACH; n++)
		wait_status(parked[n], LWS_TP_STATUS_SYNCING);
	job_block(rig, tp, hold);
	/* resumed in another order than they came in */
	for (int n = 0; n < EACH; n++)
		lws_threadpool_task_sync(parked[(n * 7) % EACH]->task, 0);
	for (int n = 0; n < EACH; n++) {
		fresh[n] = turn_job(rig, 0);
		job_enqueue(tp, fresh[n], c->wsi);
	}
	atomic_store(&turn, 0);
	gate_open(hold);
	for (int n = 0; n < EACH; n++) {
		wait_status(parked[n], LWS_TP_STATUS_FINISHED);
		wait_status(fresh[n], LWS_TP_STATUS_FINISHED);
	}

	for (int n = 0; n < EACH; n++) {
		early_fresh += fresh[n]->data < EACH;
		early_parked += parked[n]->data < EACH;
		if (!n)
			continue;
		assert_true(fresh[n]->data > fresh[n - 1]->data);
		assert_true(parked[(n * 7) % EACH]->data >
			    parked[((n - 1) * 7) % EACH]->data);
	}
	assert_true(early_fresh >= EACH / 4);
	assert_true(early_parked >= EACH / 4);
}

/* S2: streams that go on and on do not keep a new task waiting */
static void
streams_do_not_starve_new_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct job *stream[8], *fresh;
	struct conn *c;

	for (int n = 0; n < 8; n++) {
		c = conn_open(rig, CONN_RAW);
		stream[n] = job_script(rig, 0x7fffffff, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, stream[n], c->wsi);
		rig_until_int(rig, &stream[n]->calls, 2);
	}
	for (int n = 0; n < 100; n++) {
		fresh = job_new(rig);
		job_enqueue(tp, fresh, NULL);
		rig_until_int(rig, &fresh->cleanups, 1);
	}
	for (int n = 0; n < 8; n++)
		rig_until_int(rig, &stream[n]->calls, 20);
}

static atomic_int endless_stop, endless_ran;
static struct lws_threadpool *endless_tp;

static enum lws_threadpool_task_return
endless_task(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	atomic_fetch_add(&endless_ran, 1);

	return LWS_TP_RETURN_FINISHED;
}

/* each that ends puts two in its place, as long as there is room: the queue is
 * never empty */
static void
endless_cleanup(struct lws *wsi, void *user)
{
	struct lws_threadpool_task_args args;
	int ongoing, possible, depth;

	(void)wsi;
	(void)user;
	memset(&args, 0, sizeof(args));
	args.task = endless_task;
	args.cleanup = endless_cleanup;
	for (int n = 0; n < 2 && !atomic_load(&endless_stop); n++) {
		lws_threadpool_diagnose(endless_tp, &ongoing, &possible,
					&depth);
		if (depth < 20)
			lws_threadpool_enqueue(endless_tp, &args, "endless");
	}
}

static bool
endless_is_over(void *arg)
{
	int ongoing, possible, depth;

	lws_threadpool_diagnose(arg, &ongoing, &possible, &depth);

	return !ongoing && !depth;
}

/* S2: new tasks that come and come do not keep a resumed one waiting */
static void
new_tasks_do_not_starve_streams(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *stream = job_script(rig, 200, LWS_TP_RETURN_SYNC);
	int before;

	endless_tp = rig_pool(rig, 1, 1000);
	atomic_store(&endless_stop, 0);
	atomic_store(&endless_ran, 0);
	endless_cleanup(NULL, NULL);
	wait_int(&endless_ran, 100);
	before = atomic_load(&endless_ran);
	job_enqueue(endless_tp, stream, c->wsi);
	rig_until_int(rig, &stream->cleanups, 1);
	assert_int_equal(stream->seen[LWS_TP_STATUS_SYNCING], 200);
	/* the load was there all the time */
	assert_true(atomic_load(&endless_ran) - before > 100);
	atomic_store(&endless_stop, 1);
	wait_until(endless_is_over, endless_tp);
}

/* S2: FIFO for new tasks on one thread, of several wsi and none */
static void
new_tasks_are_fifo(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c[3];
	struct gate *hold = gate_new(rig);
	struct job *j[200];

	for (int n = 0; n < 3; n++)
		c[n] = conn_open(rig, CONN_RAW);
	job_block(rig, tp, hold);
	atomic_store(&turn, 0);
	for (int n = 0; n < 200; n++) {
		j[n] = turn_job(rig, 0);
		job_enqueue(tp, j[n], n % 4 == 3 ? NULL : c[n % 4]->wsi);
	}
	gate_open(hold);
	rig_until_cleaned(rig);
	for (int n = 0; n < 200; n++)
		assert_int_equal(j[n]->data, n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(both_kinds_wait_for_one_thread),
		RIG_TEST(streams_do_not_starve_new_tasks),
		RIG_TEST(new_tasks_do_not_starve_streams),
		RIG_TEST(new_tasks_are_fifo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
