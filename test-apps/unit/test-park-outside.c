/*
 * lws-threadpool unit tests - T9, lws_threadpool_park() where no task function
 * is under way: a line in the log, CHECKING_IN all the same, and no mark
 *
 * SPDX-License-Identifier: MIT
 */

#include "park.h"

static atomic_int outside; /* calls of park() */
static atomic_int wrong;   /* ... that returned something else */

static void
park_here(void)
{
	static const lws_usec_t times[] = { -1, 0, 1000, INT64_MAX };

	for (size_t n = 0; n < LWS_ARRAY_SIZE(times); n++) {
		if (lws_threadpool_park(times[n]) != LWS_TP_RETURN_CHECKING_IN)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&outside, 1);
	}
}

/* a line for each, of those who call */
static void
each_was_told(void)
{
	int calls = atomic_exchange(&outside, 0);

	assert_true(calls > 0);
	assert_int_equal(atomic_load(&wrong), 0);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_park"), calls);
	assert_int_equal(log_unclaimed(), 0);
	log_forget();
}

/* a thread of its own, by which the task function may be under way elsewhere */
static void *
park_there(void *arg)
{
	(void)arg;
	park_here();

	return NULL;
}

static void
on_another_thread(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, park_there, NULL), 0);
	pthread_join(thread, NULL);
}

static void
on_other_threads(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct job *j;

	/* there is no pool at all */
	park_here();
	on_another_thread();
	each_was_told();
	tp = rig_pool(rig, 1, 10);
	j = park_one(rig, tp, NULL, 1);
	park_here();
	on_another_thread();
	each_was_told();
	assert_int_equal(atomic_load(&j->calls), 1);
	lws_threadpool_task_wake(j->task);
	wait_int(&j->cleanups, 1);
}

static int
check_in_and_ask_elsewhere(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&j->calls) > 5)
		return LWS_TP_RETURN_FINISHED;
	on_another_thread();

	return LWS_TP_RETURN_CHECKING_IN;
}

/* a thread that the task function has made is none that it runs on */
static void
on_a_thread_of_the_function(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);

	j->fn = check_in_and_ask_elsewhere;
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 6);
	each_was_told();
}

static void
park_in_cleanup(struct job *j, struct lws *wsi)
{
	(void)j;
	(void)wsi;
	park_here();
}

/* on a thread of the pool, while lws logs nothing, and on the service thread */
static void
in_cleanup(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	for (int n = 0; n < 4; n++) {
		j = job_script(rig, n, LWS_TP_RETURN_CHECKING_IN);
		j->on_cleanup = park_in_cleanup;
		job_enqueue(tp, j, n & 1 ? c->wsi : NULL);
		if (n & 1)
			rig_until_int(rig, &j->cleanups, 1);
		else
			wait_int(&j->cleanups, 1);
		each_was_told();
	}
	/* that thread's next task is not marked by it */
	j = job_script(rig, 10, LWS_TP_RETURN_CHECKING_IN);
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 11);
}

struct nested {
	struct job *queued;
	bool mark;
};

/* a cleanup within the call of a task function: of a task that it dequeues */
static int
dequeue_within(struct job *j, enum lws_threadpool_task_status s)
{
	struct nested *n = j->priv;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&j->calls) > 1)
		return LWS_TP_RETURN_FINISHED;
	if (n->mark)
		lws_threadpool_park(-1);
	lws_threadpool_dequeue_task(n->queued->task);
	if (!atomic_load(&n->queued->cleanups))
		job_fault(j, "the queued one was not cleaned up within");

	return LWS_TP_RETURN_CHECKING_IN;
}

/* neither does it mark the call around it, nor take its mark away */
static void
in_a_cleanup_within_a_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int mark = 0; mark < 2; mark++) {
		struct nested n = { job_new(rig), mark };
		struct job *j = job_gated(rig, gate_new(rig));

		j->fn = dequeue_within;
		j->priv = &n;
		n.queued->on_cleanup = park_in_cleanup;
		job_enqueue(tp, j, NULL);
		wait_int(&j->calls, 1);
		job_enqueue(tp, n.queued, NULL);
		gate_open(j->gate);
		if (mark) {
			park_wait(tp, j, 1);
			rig_drain(rig);
			assert_int_equal(atomic_load(&j->calls), 1);
			lws_threadpool_task_wake(j->task);
		}
		wait_int(&j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 2);
		each_was_told();
	}
}

static int
park_in_WRITEABLE(struct rig *rig, struct lws *wsi,
		  enum lws_callback_reasons reason, void *user, void *in,
		  size_t len)
{
	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_RAW_WRITEABLE && !rig->priv) {
		rig->priv = rig;
		park_here();
	}

	return RIG_DEFAULT;
}

/* a callback that was told SYNCING has the task's data, but is not its
 * function */
static void
in_a_callback(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

	rig->on_event = park_in_WRITEABLE;
	job_enqueue(tp, j, c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 4);
	each_was_told();
}

static int
park_at_start(void *opaque, int index, void **state)
{
	(void)opaque;
	(void)index;
	(void)state;
	park_here();
	if (lws_threadpool_this_task() ||
	    lws_threadpool_end_reason() != LWS_TP_STOP_NONE ||
	    lws_threadpool_end_status() != LWS_TP_STATUS_STOPPED)
		atomic_fetch_add(&wrong, 1);

	return 0;
}

static void
park_at_end(void *opaque, int index, void *state)
{
	park_at_start(opaque, index, &state);
}

/* on the pool's own thread, before its first task and after its last */
static void
in_thread_start_and_end(void **state)
{
	static const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.thread_start = park_at_start,
		.thread_end = park_at_end
	};
	struct rig *rig = *state;
	/* lws writes the lines of two threads into one buffer */
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 10, &o);
	struct job *j = job_script(rig, 10, LWS_TP_RETURN_CHECKING_IN);

	each_was_told();
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->running), 11);
	rig_pool_destroy(rig, tp);
	each_was_told();
}

static void
park_in_call(struct lws_context *context, void *arg)
{
	(void)context;
	park_here();
	if (lws_threadpool_this_task())
		atomic_fetch_add(&wrong, 1);
	atomic_fetch_add((atomic_int *)arg, 1);
}

static int
call_and_check_in(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&j->calls) > 1)
		return LWS_TP_RETURN_FINISHED;
	if (lws_threadpool_call(j->rig->pools[0], 0, park_in_call, j->priv))
		job_fault(j, "the call was refused");

	return LWS_TP_RETURN_CHECKING_IN;
}

/* R1: what a task function has called on the service thread is not in it */
static void
in_a_call_of_the_service_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);
	atomic_int calls = 0;

	j->fn = call_and_check_in;
	j->priv = &calls;
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	rig_until_int(rig, &calls, 1);
	each_was_told();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(on_other_threads),
		RIG_TEST(on_a_thread_of_the_function),
		RIG_TEST(in_cleanup),
		RIG_TEST(in_a_cleanup_within_a_call),
		RIG_TEST(in_a_callback),
		RIG_TEST(in_thread_start_and_end),
		RIG_TEST(in_a_call_of_the_service_thread),
	};

	return cmocka_run_group_tests_name("T9 outside", tests, NULL, NULL);
}
