/*
 * lws-threadpool unit tests - Q1, task_status() and its _noreap(), and Q5, the
 * status of a wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Q1: the status and *user; FINISHED and STOPPED reap, and it really is gone */
static void
status_reaps_what_ended(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	c->manual = true;
	log_info();
	for (int n = 0; n < 2; n++) {
		enum lws_threadpool_task_status
			end = n ? LWS_TP_STATUS_STOPPED :
				  LWS_TP_STATUS_FINISHED;
		struct job *j = job_new(rig);
		void *user = NULL;

		if (n)
			j->last = LWS_TP_RETURN_STOPPED;
		job_enqueue(tp, j, c->wsi);
		wait_status(j, end);
		rig_drain(rig);
		assert_int_equal(lws_threadpool_task_status(j->task, &user),
				 end);
		assert_ptr_equal(user, j);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));

		/* Q6: from now on it is stale */
		user = j;
		log_forget();
		assert_int_equal(lws_threadpool_task_status(j->task, &user),
				 LWS_TP_STATUS_FINISHED);
		assert_null(user);
		assert_int_equal(log_count(LLL_INFO, "task_status"), 1);
	}
}

/* Q1: user may be NULL in every state */
static void
user_may_be_null(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_block(rig, tp, hold);
	j->gate = gate_new(rig);
	job_enqueue(tp, j, c->wsi);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_QUEUED);
	gate_open(hold);
	wait_int(&j->calls, 1);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_RUNNING);
	gate_open(j->gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_SYNCING);
	lws_threadpool_task_sync(j->task, 0);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

/* Q1: a task whose user is NULL is like any other */
static atomic_int null_cleanups;

static enum lws_threadpool_task_return
null_task(void *user, enum lws_threadpool_task_status s)
{
	(void)s;

	return user ? LWS_TP_RETURN_STOPPED : LWS_TP_RETURN_FINISHED;
}

static void
null_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	if (!user)
		atomic_fetch_add(&null_cleanups, 1);
}

static void
user_itself_is_null(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	void *user;

	atomic_store(&null_cleanups, 0);
	memset(&args, 0, sizeof(args));
	args.wsi = c->wsi;
	args.task = null_task;
	args.cleanup = null_cleanup;
	task = lws_threadpool_enqueue(tp, &args, "null");
	assert_non_null(task);
	do {
		user = c;
		s = lws_threadpool_task_status(task, &user);
		assert_null(user);
	} while (s == LWS_TP_STATUS_QUEUED || s == LWS_TP_STATUS_RUNNING);
	assert_int_equal(s, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&null_cleanups), 1);
}

/* Q1: _noreap() never reaps */
static void
noreap_never_reaps(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *f = job_new(rig), *s = job_new(rig);

	c->manual = true;
	s->last = LWS_TP_RETURN_STOPPED;
	job_enqueue(tp, f, c->wsi);
	job_enqueue(tp, s, c->wsi);
	wait_status(f, LWS_TP_STATUS_FINISHED);
	wait_status(s, LWS_TP_STATUS_STOPPED);
	for (int n = 0; n < 100; n++) {
		assert_int_equal(lws_threadpool_task_status_noreap(f->task),
				 LWS_TP_STATUS_FINISHED);
		assert_int_equal(lws_threadpool_task_status_noreap(s->task),
				 LWS_TP_STATUS_STOPPED);
	}
	assert_int_equal(atomic_load(&f->cleanups), 0);
	assert_int_equal(atomic_load(&s->cleanups), 0);
}

/* Q1: FINISHED means reaped, also in the moment in which the task ends */
static void
finished_means_reaped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	enum lws_threadpool_task_status s, before;

	for (int n = 0; n < 5000; n++) {
		struct job *j = job_script(rig, n % 3,
					   LWS_TP_RETURN_CHECKING_IN);

		job_enqueue(tp, j, c->wsi);
		s = LWS_TP_STATUS_QUEUED;
		do {
			before = s;
			s = lws_threadpool_task_status(j->task, NULL);
			/* and states do not go back */
			assert_true(s >= before);
		} while (s != LWS_TP_STATUS_FINISHED);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
	}
}

struct from_pool {
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s, noreap;
	void *user;
	int dequeued;
};

static int
ask_from_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	struct from_pool *f = j->priv;

	(void)s;
	f->noreap = lws_threadpool_task_status_noreap(f->task);
	f->s = lws_threadpool_task_status(f->task, &f->user);

	return LWS_TP_RETURN_FINISHED;
}

/* Q1: from a pool thread, an ended task of a wsi's is not reaped; the caller is
 * told so and may believe that it has not ended yet */
static void
a_pool_thread_does_not_reap(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *done = job_new(rig), *asker = job_new(rig);
	struct from_pool f;

	c->manual = true;
	job_enqueue(tp, done, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	memset(&f, 0, sizeof(f));
	f.task = done->task;
	asker->fn = ask_from_a_task;
	asker->priv = &f;
	job_enqueue(tp, asker, NULL);
	wait_int(&asker->cleanups, 1);
	assert_int_equal(f.s, LWS_TP_STATUS_STOPPING);
	assert_int_equal(f.noreap, LWS_TP_STATUS_FINISHED);
	assert_int_equal(log_claim(LLL_ERR, "task_status"), 1);
	assert_int_equal(atomic_load(&done->cleanups), 0);
	assert_int_equal(lws_threadpool_task_status(done->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_true(pthread_equal(done->cleanup_thread, rig->thread));
}

/* Q5: no task: FINISHED and both out-pointers NULL; either may be NULL */
static void
wsi_without_a_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *never = conn_open(rig, CONN_RAW),
		    *had = conn_open(rig, CONN_RAW), *c[2] = { never, had };
	struct lws_threadpool_task *task;
	struct job *j = job_new(rig);
	void *user;

	job_enqueue(tp, j, had->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	for (int n = 0; n < 3; n++) {
		struct lws *wsi = n < 2 ? c[n]->wsi : NULL;

		task = (struct lws_threadpool_task *)rig;
		user = rig;
		assert_int_equal(lws_threadpool_task_status_wsi(wsi, &task,
								&user),
				 LWS_TP_STATUS_FINISHED);
		assert_null(task);
		assert_null(user);
		assert_int_equal(lws_threadpool_task_status_wsi(wsi, NULL,
								NULL),
				 LWS_TP_STATUS_FINISHED);
	}
}

/* Q5: else as Q1 on the task that Q2 gives */
static void
wsi_with_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *running = job_gated(rig, gate_new(rig)),
		   *done = job_new(rig), *next = job_new(rig);
	struct lws_threadpool_task *task;
	void *user;

	c->manual = true;
	job_enqueue(tp, running, c->wsi);
	wait_int(&running->calls, 1);
	assert_int_equal(lws_threadpool_task_status_wsi(c->wsi, &task, &user),
			 LWS_TP_STATUS_RUNNING);
	assert_ptr_equal(task, running->task);
	assert_ptr_equal(user, running);

	job_enqueue(tp, done, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	wait_turn(done, c->wsi);
	assert_int_equal(lws_threadpool_task_status_wsi(c->wsi, &task, &user),
			 LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(task, done->task);
	assert_ptr_equal(user, done);
	assert_int_equal(atomic_load(&done->cleanups), 1);

	job_enqueue(tp, next, c->wsi);
	wait_status(next, LWS_TP_STATUS_FINISHED);
	wait_turn(next, c->wsi);
	assert_int_equal(lws_threadpool_task_status_wsi(c->wsi, NULL, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&next->cleanups), 1);
	gate_open(running->gate);
}

/* Q5: the original's way to use it: nothing but this in WRITEABLE */
static int
status_wsi_in_writeable(struct rig *rig, struct lws *wsi,
			enum lws_callback_reasons reason, void *user, void *in,
			size_t len)
{
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	void *u;

	(void)rig;
	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_SERVER_WRITEABLE)
		return RIG_DEFAULT;
	s = lws_threadpool_task_status_wsi(wsi, &task, &u);
	if (s == LWS_TP_STATUS_SYNCING) {
		((struct job *)u)->seen[s]++;
		lws_threadpool_task_sync(task, 0);
	}

	return 0;
}

static void
wsi_in_its_writeable(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_WS);
	struct job *j[3];

	rig->on_event = status_wsi_in_writeable;
	for (int n = 0; n < 3; n++) {
		j[n] = job_script(rig, 100, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 3; n++)
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(status_reaps_what_ended),
		RIG_TEST(user_may_be_null),
		RIG_TEST(user_itself_is_null),
		RIG_TEST(noreap_never_reaps),
		RIG_TEST(finished_means_reaped),
		RIG_TEST(a_pool_thread_does_not_reap),
		RIG_TEST(wsi_without_a_task),
		RIG_TEST(wsi_with_tasks),
		RIG_TEST(wsi_in_its_writeable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
