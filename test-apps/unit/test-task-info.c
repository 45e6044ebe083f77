/*
 * lws-threadpool unit tests - N3, what is said of one task, and that to ask for
 * it changes nothing
 *
 * SPDX-License-Identifier: MIT
 */

#include <unistd.h>

#include "numbers.h"

struct found {
	struct lws_threadpool_task *task;
	struct lws_threadpool_task_info info;
	int times;
};

static int
find_it(const struct lws_threadpool_task_info *info, void *arg)
{
	struct found *f = arg;

	if (info->task == f->task) {
		f->info = *info;
		f->times++;
	}

	return 0;
}

/* The same by both ways; how long it is so far may differ. */
static struct lws_threadpool_task_info
told_of(struct lws_threadpool *tp, struct job *j)
{
	struct found f = { .task = j->task };
	struct lws_threadpool_task_info info = info_of(j->task);

	assert_int_equal(lws_threadpool_foreach_task(tp, &f, find_it), 0);
	assert_int_equal(f.times, 1);
	assert_int_equal(f.info.size, sizeof(info));
	assert_ptr_equal(info.task, j->task);
	assert_ptr_equal(info.user, j);
	assert_true(info.state_us <= info.age_us);
	assert_ptr_equal(f.info.user, info.user);
	assert_string_equal(f.info.name, info.name);
	assert_int_equal(f.info.status, info.status);
	assert_int_equal(f.info.parked, info.parked);
	assert_int_equal(f.info.attached, info.attached);
	assert_int_equal(f.info.kept, info.kept);
	assert_int_equal(f.info.thread, info.thread);
	assert_int_equal(f.info.stop, info.stop);
	assert_true(f.info.age_us >= info.age_us);

	return info;
}

/* one of its members apart from all the others */
static void
it_is(struct lws_threadpool *tp, struct job *j,
      enum lws_threadpool_task_status status, bool parked, bool attached,
      bool on_a_thread)
{
	const struct lws_threadpool_task_info info = told_of(tp, j);

	assert_int_equal(info.status, status);
	assert_int_equal(info.parked, parked);
	assert_int_equal(info.attached, attached);
	assert_int_equal(info.kept, 0);
	if (on_a_thread)
		assert_true(info.thread >= 0);
	else
		assert_int_equal(info.thread, -1);
}

/* N3: the same task in each of its states, with a wsi and without */
static void
through_its_states(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig), *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC), *parked;

	c->manual = true;
	job_block(rig, tp, hold);
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	it_is(tp, j, LWS_TP_STATUS_QUEUED, false, true, false);
	gate_open(hold);
	wait_int(&j->calls, 1);
	it_is(tp, j, LWS_TP_STATUS_RUNNING, false, true, true);
	gate_open(gate);
	wait_stat(tp, syncing, 1);
	it_is(tp, j, LWS_TP_STATUS_SYNCING, false, true, false);
	/* resumed, it waits for the thread */
	gate_close(hold);
	job_block(rig, tp, hold);
	lws_threadpool_task_sync(j->task, 0);
	it_is(tp, j, LWS_TP_STATUS_RUNNING, false, true, false);
	gate_open(hold);
	wait_stat(tp, done, 1);
	it_is(tp, j, LWS_TP_STATUS_FINISHED, false, true, false);
	lws_threadpool_task_status(j->task, NULL);

	for (int attached = 0; attached < 2; attached++) {
		parked = job_sleep(rig, tp, attached ? c->wsi : NULL);
		it_is(tp, parked, LWS_TP_STATUS_RUNNING, true, attached, false);
		gate_close(hold);
		job_block(rig, tp, hold);
		lws_threadpool_task_wake(parked->task);
		it_is(tp, parked, LWS_TP_STATUS_RUNNING, false, attached,
		      false);
		gate_open(hold);
	}
	wait_stat(tp, done, 1);
	lws_threadpool_task_status(parked->task, NULL);
}

/* N3: asked to stop, and the first reason for it */
static void
asked_to_stop(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate), *queued = job_new(rig),
		   *closed = job_gated(rig, gate);

	c->manual = true;
	j->last = LWS_TP_RETURN_CHECKING_IN;
	job_enqueue(tp, j, c->wsi);
	job_enqueue(tp, queued, c->wsi);
	wait_int(&j->calls, 1);
	assert_int_equal(told_of(tp, j).stop, LWS_TP_STOP_NONE);
	lws_threadpool_task_sync(j->task, 1);
	lws_threadpool_task_sync(queued->task, 1);
	it_is(tp, j, LWS_TP_STATUS_STOPPING, false, true, true);
	assert_int_equal(told_of(tp, j).stop, LWS_TP_STOP_ASKED);
	it_is(tp, queued, LWS_TP_STATUS_STOPPED, false, true, false);
	assert_int_equal(told_of(tp, queued).stop, LWS_TP_STOP_ASKED);
	lws_threadpool_finish(tp);
	assert_int_equal(told_of(tp, j).stop, LWS_TP_STOP_ASKED);
	gate_open(gate);
	wait_stat(tp, done, 2);
	it_is(tp, j, LWS_TP_STATUS_STOPPED, false, true, false);
	assert_int_equal(told_of(tp, j).stop, LWS_TP_STOP_ASKED);

	/* not attached any more */
	tp = rig_pool(rig, 1, 10);
	gate_close(gate);
	closed->last = LWS_TP_RETURN_CHECKING_IN;
	job_enqueue(tp, closed, c->wsi);
	wait_int(&closed->calls, 1);
	conn_fin(c);
	conn_until_closed(c);
	it_is(tp, closed, LWS_TP_STATUS_STOPPING, false, false, true);
	assert_int_equal(told_of(tp, closed).stop, LWS_TP_STOP_CLOSED);
	gate_open(gate);
	wait_int(&closed->cleanups, 1);
}

/* N3, P3: the reason is there before the task has heard of it */
static void
its_pool_finishes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);

	assert_int_equal(info_of(j->task).stop, LWS_TP_STOP_NONE);
	lws_threadpool_finish(tp);
	assert_int_equal(info_of(j->task).stop, LWS_TP_STOP_FINISH);
	assert_int_equal(info_of(j->task).status, LWS_TP_STATUS_STOPPING);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
}

/* N3, K4: a kept one, which stays, by its token too */
static void
a_kept_one(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate);
	struct lws_threadpool_task_info info;
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	job_enqueue(tp, j, NULL);
	wait_int(&j->calls, 1);
	assert_int_equal(lws_threadpool_task_token(j->task, 0, token), 0);
	assert_int_equal(told_of(tp, j).kept, 0);
	gate_open(gate);
	wait_stat(tp, kept, 1);
	for (int n = 0; n < 3; n++) {
		info = told_of(tp, j);
		assert_int_equal(info.kept, 1);
		assert_int_equal(info.attached, 0);
		assert_int_equal(info.status, LWS_TP_STATUS_FINISHED);
		assert_int_equal(info.thread, -1);
		assert_ptr_equal(lws_threadpool_task_by_token(tp, token),
				 info.task);
	}
	assert_int_equal(atomic_load(&j->cleanups), 0);
	lws_threadpool_task_status(j->task, NULL);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

/* N3: 47 bytes of whatever name it has */
static void
names(void **state)
{
	static const char *const given[] = {
		"short",
		"",
		"100% %s",
		"12345678901234567890123456789012345678901234567",
		"12345678901234567890123456789012345678901234567890 long",
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lws_threadpool_task_args args;
	struct job *j = job_new(rig);
	char name[48];

	job_block(rig, tp, gate_new(rig));
	for (size_t n = 0; n < LWS_ARRAY_SIZE(given); n++) {
		struct job *named = job_new(rig);

		named->name = given[n];
		job_enqueue(tp, named, NULL);
		snprintf(name, sizeof(name), "%s", given[n]);
		assert_string_equal(told_of(tp, named).name, name);
	}
	/* one with a number, and the default */
	job_args(j, NULL, &args);
	job_accepted(j, lws_threadpool_enqueue(tp, &args, "number %d of %s",
					       -17, "many"));
	assert_string_equal(told_of(tp, j).name, "number -17 of many");
	j = job_new(rig);
	job_args(j, NULL, &args);
	job_accepted(j, lws_threadpool_enqueue(tp, &args, NULL));
	assert_string_equal(told_of(tp, j).name, "task");
}

/* ---- where and how long ---- */

/* whatever the wsi's callback has left alone is served now */
static void
serve(struct rig *rig, struct conn *c)
{
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}

static int
says_its_thread(struct job *j, enum lws_threadpool_task_status s)
{
	char name[32] = "";
	const char *dash;

	(void)s;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	dash = strrchr(name, '-');
	j->data = dash ? atoi(dash + 1) : -2;
	if (info_of(lws_threadpool_this_task()).thread != j->data)
		job_fault(j, "not the thread that it is on");
	gate_pass(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

/* N3: the number that is in the thread's name; by itself, and by others */
static void
the_thread_that_calls_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 5, 10);
	struct gate *gate = gate_new(rig);
	struct job *j[5];
	int seen = 0;

	for (int n = 0; n < 5; n++) {
		j[n] = job_new(rig);
		j[n]->fn = says_its_thread;
		j[n]->priv = gate;
		job_enqueue(tp, j[n], NULL);
	}
	for (int n = 0; n < 5; n++)
		wait_int(&j[n]->calls, 1);
	for (int n = 0; n < 5; n++) {
		int thread = told_of(tp, j[n]).thread;

		assert_in_range(thread, 0, 4);
		seen |= 1 << thread;
	}
	assert_int_equal(seen, 0x1f);
	gate_open(gate);
	for (int n = 0; n < 5; n++)
		wait_int(&j[n]->cleanups, 1);
}

/* what a clock may be behind that ticks some hundred times a second */
#define COARSE_US 20000

/* N3: in this state, and since its enqueue: no less than what is measured from
 * inside, no more than from outside */
static void
how_long_it_is_so(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lws_threadpool_task_info info;
	struct gate *gate = gate_new(rig);
	lws_usec_t before, queued, resumed;

	c->manual = true;
	job_block(rig, tp, gate);
	before = lws_now_usecs();
	job_enqueue(tp, j, c->wsi);
	queued = lws_now_usecs();
	usleep(80000);
	queued = lws_now_usecs() - queued;
	info = told_of(tp, j);
	assert_true((lws_usec_t)info.state_us >= queued - COARSE_US);
	assert_true((lws_usec_t)info.age_us >= queued - COARSE_US);
	assert_true((lws_usec_t)info.age_us <=
		    lws_now_usecs() - before + COARSE_US);

	resumed = lws_now_usecs();
	gate_open(gate);
	wait_stat(tp, syncing, 1);
	info = told_of(tp, j);
	assert_true((lws_usec_t)info.state_us <=
		    lws_now_usecs() - resumed + COARSE_US);
	assert_true((lws_usec_t)info.age_us >= queued - COARSE_US);
	usleep(80000);
	assert_true(told_of(tp, j).state_us > info.state_us);
	assert_true(told_of(tp, j).age_us > info.age_us);
	serve(rig, c);
}

/* ---- it changes nothing ---- */

/* N3: an attached one that has ended is not reaped, whoever asks */
static int
asks_for(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	(void)s;
	if (info_of(other->task).status != LWS_TP_STATUS_FINISHED)
		job_fault(j, "it has not ended");

	return LWS_TP_RETURN_FINISHED;
}

static void
nothing_is_reaped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig), *other = job_new(rig);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_stat(tp, done, 1);
	for (int n = 0; n < 10; n++)
		told_of(tp, j);
	other->fn = asks_for;
	other->priv = j;
	job_enqueue(tp, other, NULL);
	wait_int(&other->cleanups, 1);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

struct asked {
	struct lws_threadpool *tp;
	struct job *j;
	struct conn *c;
	int writeables;
};

static bool
asks_and_is_rung(void *arg)
{
	struct asked *a = arg;

	told_of(a->tp, a->j);

	return a->c->writeables >= a->writeables;
}

/* S5: it is no look at a task: WRITEABLE is asked for again after a second, and
 * again, however often it is asked about */
static void
no_look_at_a_task(void **state)
{
	struct rig *rig = *state;
	struct asked a = { .tp = rig_pool(rig, 1, 10),
			   .c = conn_open(rig, CONN_RAW) };

	a.c->manual = true;
	a.j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	job_enqueue(a.tp, a.j, a.c->wsi);
	wait_stat(a.tp, syncing, 1);
	rig_drain(rig);
	a.writeables = a.c->writeables + 2;
	rig_until(rig, asks_and_is_rung, &a);
	serve(rig, a.c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(through_its_states),
		RIG_TEST(asked_to_stop),
		RIG_TEST(its_pool_finishes),
		RIG_TEST(a_kept_one),
		RIG_TEST(names),
		RIG_TEST(the_thread_that_calls_it),
		RIG_TEST(how_long_it_is_so),
		RIG_TEST(nothing_is_reaped),
		RIG_TEST(no_look_at_a_task),
	};

	return cmocka_run_group_tests_name("N3 info", tests, NULL, NULL);
}
