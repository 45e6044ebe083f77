/*
 * lws-threadpool cluster tests - no worker, and deadlines
 *
 * SPDX-License-Identifier: MIT
 */

#include "wild.h"

#define CHUNKS 6

static bool
is_running(void *arg)
{
	struct remote *r = arg;

	return lws_threadpool_task_status_noreap(r->task) ==
	       LWS_TP_STATUS_RUNNING;
}

static void
waits_for_a_worker(void **state)
{
	struct lws_threadpool_cluster_stats stats;
	struct field *f = *state;
	struct remote *r;

	front_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until(f, front_waits, f);
	until(f, is_running, r);
	worker_start(f);
	until_ended(r);
	assert_complete(r);
	front_stats(f, &stats);
	assert_int_equal(stats.waiting, 0);
}

/* It holds no thread, of the one that there is, while it waits. */
static void
waiting_holds_no_thread(void **state)
{
	struct field *f = *state;
	struct job *local;
	struct remote *r;
	int n;

	f->threads = 1;
	front_start(f);
	for (n = 0; n < 10; n++)
		r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	local = job_new(f->rig);
	assert_non_null(job_enqueue(f->pool, local, NULL));
	rig_until_int(f->rig, &local->cleanups, 1);
	worker_start(f);
	until_all_ended(f);
	for (r = f->remotes; r; r = r->next)
		assert_complete(r);
}

static void
deadline_without_a_worker(void **state)
{
	struct lws_threadpool_cluster_stats stats;
	struct field *f = *state;
	struct remote *r;

	f->kinds[KIND_UNSENT].deadline_secs = 1;
	front_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_DEADLINE);
	front_stats(f, &stats);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_DEADLINE], 1);
	assert_int_equal(stats.waiting, 0);
	/* and no worker finds it later */
	until_no_jobs(f);
	worker_start(f);
	r = remote_run(f, KIND_NEVER, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

/* A worker that is told so at once: the lease is longer than any wait */
static void
deadline_while_it_runs(void **state)
{
	struct field *f = *state;
	struct remote *r;

	f->options.lease_secs = 3000;
	f->kinds[KIND_UNSENT].deadline_secs = 3;
	front_start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_DEADLINE);
	assert_true(r->read <= 2);
	until_no_jobs(f);
	remote_release(r);
	if (atomic_load(&r->board->decoded))
		until_board(r, cleaned, 1);
	assert_int_equal(r->board->finished, 0);
}

static void
deadline_while_the_reader_sleeps(void **state)
{
	struct field *f = *state;
	struct remote *r;

	f->options.lease_secs = 3000;
	f->kinds[KIND_UNSENT].deadline_secs = 3;
	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, 1000);
	r->may_read = 0;
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_DEADLINE);
	until_no_jobs(f);
}

static struct remote *
run_with_options(struct field *f,
		 const struct lws_threadpool_task_options *options)
{
	struct remote *r = remote_new(f, KIND_UNSENT, CHUNKS);

	r->conn = reader_open(f);
	r->options = options;
	remote_enqueue(r, r->conn->wsi);

	return r;
}

/* life_ms of the task is a deadline, too. */
static void
life_of_the_task(void **state)
{
	struct lws_threadpool_task_options options;
	struct field *f = *state;
	struct remote *r;

	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	options.life_ms = 500;
	front_start(f);
	r = run_with_options(f, &options);
	assert_non_null(r->task);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_DEADLINE);
	until_no_jobs(f);
}

/* Those of a queue have no meaning here. */
static void
other_options_are_refused(void **state)
{
	struct lws_threadpool_task_options options;
	struct field *f = *state;
	int key;

	front_start(f);
	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	options.queue_ms = 500;
	assert_null(run_with_options(f, &options)->task);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	options.queue_ms = 0;
	options.key = &key;
	assert_null(run_with_options(f, &options)->task);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	f->errors = log_count(LLL_ERR, "");
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(waits_for_a_worker),
	FIELD_TEST(waiting_holds_no_thread),
	FIELD_TEST(deadline_without_a_worker),
	FIELD_TEST(deadline_while_it_runs),
	FIELD_TEST(deadline_while_the_reader_sleeps),
	FIELD_TEST(life_of_the_task),
	FIELD_TEST(other_options_are_refused),
};

FIELD_MAIN(tests)
