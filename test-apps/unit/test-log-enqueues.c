/*
 * lws-threadpool unit tests - Q6, a log function that uses the API with handles
 * of what is gone is not called by that for ever
 *
 * SPDX-License-Identifier: MIT
 *
 * An application that writes its log by a pool goes on doing so when that pool
 * is gone: the line that says so is a line to write, too.
 */

#include "harness.h"

#define LINES	50
#define DEEPEST 200
#define MOST	5000

static struct lws_threadpool *gone_tp, *finished_tp;
static struct lws_threadpool_task *gone_task;
static struct rig *rig_;
static void (*use)(void);
static atomic_int depth, deepest, lines;

static enum lws_threadpool_task_return
write_line(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;

	return LWS_TP_RETURN_FINISHED;
}

static void
enqueue_into(struct lws_threadpool *tp)
{
	struct lws_threadpool_task_args args = { .task = write_line };

	assert_null(lws_threadpool_enqueue(tp, &args, "line"));
}

static void
use_enqueue(void)
{
	enqueue_into(gone_tp);
}

static void
use_null(void)
{
	enqueue_into(NULL);
}

static void
use_finished(void)
{
	enqueue_into(finished_tp);
}

static void
use_pool(void)
{
	int ongoing, possible, queue;

	lws_threadpool_diagnose(gone_tp, &ongoing, &possible, &queue);
	lws_threadpool_dump(gone_tp);
	lws_threadpool_finish(gone_tp);
	lws_threadpool_destroy(gone_tp);
}

static void
use_task(void)
{
	void *user;

	lws_threadpool_task_status(gone_task, &user);
	lws_threadpool_task_status_noreap(gone_task);
	lws_threadpool_task_sync(gone_task, 0);
	lws_threadpool_dequeue_task(gone_task);
}

/* The application's log function.  It gives up at some depth or number, so that
 * the test can tell of it. */
static void
log_by_a_pool(const char *line)
{
	int d = atomic_fetch_add(&depth, 1) + 1;

	(void)line;
	if (atomic_fetch_add(&lines, 1) > MOST)
		d = DEEPEST;
	if (d > atomic_load(&deepest))
		atomic_store(&deepest, d);
	if (d < DEEPEST)
		use();
	atomic_fetch_sub(&depth, 1);
}

/* Lines of the application's, each of which may have one of ours for each
 * call that it makes, and that is all */
static void
log_with(void (*fn)(void), int calls)
{
	use = fn;
	atomic_store(&deepest, 0);
	atomic_store(&lines, 0);
	atomic_store(&log_told, log_by_a_pool);
	for (int n = 0; n < LINES; n++)
		lwsl_warn("a line of the application's\n");
	atomic_store(&log_told, NULL);
	assert_in_range(atomic_load(&deepest), 1, 2);
	assert_in_range(atomic_load(&lines), LINES, LINES * (1 + calls));
}

/* Q6: of a pool, at LLL_ERR: destroyed, finished, and none */
static void
with_a_pool_that_is_gone(void **state)
{
	log_with(use_enqueue, 1);
	log_with(use_null, 1);
	log_with(use_finished, 1);
	log_with(use_pool, 4);

	(void)state;
}

/* Q6: of a task, at LLL_INFO, where the application shows that */
static void
with_a_task_that_is_gone(void **state)
{
	(void)state;
	log_info();
	log_with(use_task, 4);
}

/* Q6: still, who asks outside of a log function is told so each time */
static void
outside_it_is_said_each_time(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++)
		enqueue_into(gone_tp);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"), 3);
	log_info();
	for (int n = 0; n < 3; n++)
		lws_threadpool_task_status_noreap(gone_task);
	assert_int_equal(
		log_count(LLL_INFO, "lws_threadpool_task_status_noreap"), 3);
}

static int
setup(void **state)
{
	struct job *j;

	rig_ = rig_create(NULL);
	rig_->any_log = true;
	gone_tp = rig_pool(rig_, 1, 10);
	finished_tp = rig_pool(rig_, 1, 10);
	j = job_new(rig_);
	gone_task = job_enqueue(gone_tp, j, NULL);
	wait_int(&j->cleanups, 1);
	rig_pool_destroy(rig_, gone_tp);
	lws_threadpool_finish(finished_tp);
	log_forget();
	*state = rig_;

	return 0;
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LOG_TEST(with_a_pool_that_is_gone),
		LOG_TEST(with_a_task_that_is_gone),
		LOG_TEST(outside_it_is_said_each_time),
	};

	return cmocka_run_group_tests_name("log enqueues", tests, NULL, NULL);
}
