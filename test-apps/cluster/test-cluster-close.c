/*
 * lws-threadpool cluster tests - the reader goes, or does not want it any more
 *
 * SPDX-License-Identifier: MIT
 *
 * The lease is longer than any wait here: what ends a job at its worker is that
 * it is told to, not that nobody asks for it any more.
 */

#include "wild.h"

#define CHUNKS 6

static void
start(struct field *f)
{
	f->options.lease_secs = 3000;
	f->worker_threads = 1;
	front_start(f);
}

static bool
is_cleaned(void *arg)
{
	struct remote *r = arg;

	return atomic_load(&r->cleaned) == 1;
}

/* The connection closes: the job is gone, here and there, and stays so. */
static void
closes(struct remote *r)
{
	struct field *f = r->f;

	conn_fin(r->conn);
	conn_until_closed(r->conn);
	until(f, is_cleaned, r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	until_no_jobs(f);
}

static void
is_gone_at_the_worker(struct remote *r)
{
	until_board(r, cleaned, 1);
	assert_int_equal(r->board->stopping, 1);
	assert_int_equal(r->board->finished, 0);
	assert_int_equal(r->board->decoded, 1);
}

static void
another_is_served(struct field *f)
{
	struct remote *r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);

	until_ended(r);
	assert_complete(r);
}

static void
while_queued(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	closes(r);
	worker_start(f);
	another_is_served(f);
	assert_int_equal(r->board->begun, 0);
}

/* ... at a worker, which has no thread for it */
static void
while_taken_and_not_begun(void **state)
{
	struct field *f = *state;
	struct remote *r, *first;

	start(f);
	worker_start(f);
	first = remote_new(f, KIND_UNSENT, CHUNKS);
	first->work.ask.wait = ASK_CHECKS_IN;
	first->conn = reader_open(f);
	remote_limit(first, 1);
	assert_non_null(remote_enqueue(first, first->conn->wsi));
	until_read(first, 1);
	/* it might not be told before it has used up its window */
	r = remote_run(f, KIND_UNSENT, CHUNKS, 3);
	conn_fin(r->conn);
	conn_until_closed(r->conn);
	until(f, is_cleaned, r);
	remote_release(first);
	until_ended(first);
	assert_complete(first);
	until_no_jobs(f);
	assert_int_equal(r->board->finished, 0);
}

static void
while_running(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, CHUNKS);
	r->work.ask.wait = ASK_CHECKS_IN;
	r->conn = reader_open(f);
	remote_limit(r, 2);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_read(r, 2);
	closes(r);
	is_gone_at_the_worker(r);
	another_is_served(f);
}

static void
while_parked(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	until_read(r, 2);
	closes(r);
	is_gone_at_the_worker(r);
	another_is_served(f);
}

/* ... for credit, since the reader reads nothing */
static void
while_the_window_is_full(void **state)
{
	struct field *f = *state;
	struct remote *r;

	f->kinds[KIND_UNSENT].window = 3;
	start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, 1000);
	r->may_read = 0;
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_board(r, made, 3);
	closes(r);
	is_gone_at_the_worker(r);
	another_is_served(f);
}

static void
before_it_says_finished(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, CHUNKS);
	until_read(r, CHUNKS);
	closes(r);
	is_gone_at_the_worker(r);
	another_is_served(f);
}

/* The function is FINISHED, and the reader has read nothing of it. */
static void
before_the_end_is_read(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, CHUNKS);
	r->may_read = 0;
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_board(r, finished, 1);
	closes(r);
	until_board(r, cleaned, 1);
	another_is_served(f);
}

static void
dequeued_while_queued(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	lws_threadpool_dequeue_task(r->task);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	until_no_jobs(f);
	worker_start(f);
	another_is_served(f);
	assert_int_equal(r->board->begun, 0);
}

static void
dequeued_while_running(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	until_read(r, 2);
	lws_threadpool_dequeue_task(r->task);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	is_gone_at_the_worker(r);
	until_no_jobs(f);
}

static bool
is_syncing(void *arg)
{
	struct remote *r = arg;

	return lws_threadpool_task_status_noreap(r->task) ==
	       LWS_TP_STATUS_SYNCING;
}

static void
stopped_by_a_sync(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, 1000);
	r->may_read = 0;
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until(f, is_syncing, r);
	lws_threadpool_task_sync(r->task, 1);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	is_gone_at_the_worker(r);
	until_no_jobs(f);
}

static void
the_pool_is_finished(void **state)
{
	struct field *f = *state;
	struct remote *r;

	start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	until_read(r, 2);
	lws_threadpool_finish(f->pool);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	is_gone_at_the_worker(r);
	until_no_jobs(f);
}

static void
the_front_is_destroyed(void **state)
{
	struct field *f = *state;
	struct remote *r, *queued;

	start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	until_read(r, 2);
	queued = remote_run(f, KIND_NEVER, CHUNKS, 0);
	front_destroy(f);
	until_ended(r);
	until_ended(queued);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	assert_end(queued, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(while_queued),
	FIELD_TEST(while_taken_and_not_begun),
	FIELD_TEST(while_running),
	FIELD_TEST(while_parked),
	FIELD_TEST(while_the_window_is_full),
	FIELD_TEST(before_it_says_finished),
	FIELD_TEST(before_the_end_is_read),
	FIELD_TEST(dequeued_while_queued),
	FIELD_TEST(dequeued_while_running),
	FIELD_TEST(stopped_by_a_sync),
	FIELD_TEST(the_pool_is_finished),
	FIELD_TEST(the_front_is_destroyed),
};

FIELD_MAIN(tests)
