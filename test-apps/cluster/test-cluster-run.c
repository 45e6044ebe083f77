/*
 * lws-threadpool cluster tests - jobs that run, each of them to its own end
 *
 * SPDX-License-Identifier: MIT
 *
 * No worker is lost here.
 */

#include "field.h"

static void
one_job(void **state)
{
	struct field *f = *state;
	struct lws_threadpool_cluster_stats stats;
	struct remote *r;

	front_start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, 20, BOARD_FREE);
	assert_int_equal(lws_threadpool_cluster_end_reason(r->task),
			 LWS_TP_CLUSTER_NOT_YET);
	until_ended(r);
	assert_complete(r);

	front_stats(f, &stats);
	assert_int_equal(stats.jobs, 1);
	assert_int_equal(stats.chunks, 20);
	assert_int_equal(stats.chunk_bytes, 20 * r->work.ask.bytes);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_ITSELF], 1);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(stats.remote, 0);
	until_board(r, cleaned, 1);
	assert_int_equal(r->board->finished, 1);
	assert_int_equal(r->board->stopping, 0);
}

static void
job_without_chunks(void **state)
{
	struct field *f = *state;
	struct remote *r;

	front_start(f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, 0, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

/* as the application's own task may do it: FINISHED brings the last one */
static void
chunk_with_the_end(void **state)
{
	struct field *f = *state;
	struct remote *r[3];
	uint32_t n;

	front_start(f);
	worker_start(f);
	for (n = 0; n < 3; n++) {
		r[n] = remote_new(f, KIND_UNSENT, n ? n * n * 5 : 1);
		r[n]->work.ask.last = 1;
		assert_non_null(remote_enqueue(r[n], reader_open(f)->wsi));
	}
	for (n = 0; n < 3; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
	}
}

static void
function_says_stopped(void **state)
{
	struct field *f = *state;
	struct remote *r;

	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, 20);
	r->work.ask.what = ASK_STOP;
	r->work.ask.at = 7;
	assert_non_null(remote_enqueue(r, reader_open(f)->wsi));
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ITSELF);
	assert_int_equal(r->read, 7);
}

static void
many_jobs_on_two_workers(void **state)
{
	struct field *f = *state;
	struct remote *r;
	struct conn *c = NULL;
	int n;

	front_start(f);
	worker_start(f);
	worker_start(f);
	for (n = 0; n < 200; n++) {
		if (!(n % 20))
			c = reader_open(f);
		r = remote_new(f, KIND_UNSENT, (uint32_t)n % 40);
		r->work.ask.bytes = 12 + (uint32_t)n * 50;
		assert_non_null(remote_enqueue(r, c->wsi));
	}
	until_all_ended(f);
	for (r = f->remotes; r; r = r->next)
		assert_complete(r);
}

static void
without_a_connection(void **state)
{
	struct field *f = *state;
	struct remote *r = remote_new(f, KIND_UNSENT, 50);

	front_start(f);
	worker_start(f);
	assert_non_null(remote_enqueue(r, NULL));
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_FINISHED, LWS_TP_CLUSTER_ITSELF);
	assert_int_equal(r->work.decoded, 50);
}

/* max_chunk is what a chunk may have, up to what a message may */
static void
largest_chunks(void **state)
{
	struct field *f = *state;
	struct remote *r;

	f->kinds[KIND_UNSENT].max_chunk = 1000000;
	f->worker_max_chunk = 1000000;
	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, 20);
	r->work.ask.bytes = 1000000;
	assert_non_null(remote_enqueue(r, reader_open(f)->wsi));
	until_ended(r);
	assert_complete(r);
}

/* With a window of 1 the function goes on only after task_sync(). */
static void
window_of_one(void **state)
{
	struct field *f = *state;
	struct remote *r;
	struct conn *c;
	uint32_t n;

	f->kinds[KIND_UNSENT].window = 1;
	f->options.low_latency = 1;
	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, 5);
	r->may_read = 0;
	c = r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, c->wsi));
	for (n = 1; n <= 5; n++) {
		/* no other one is made, however long we wait */
		until_board(r, made, (int)n);
		rig_drain(f->rig);
		assert_int_equal(r->board->made, n);
		reader_may(r, n);
		until_read(r, n);
	}
	reader_may(r, UINT32_MAX);
	until_ended(r);
	assert_complete(r);
}

static void
function_that_parks(void **state)
{
	struct field *f = *state;
	struct remote *r;
	int n;

	f->worker_threads = 1;
	front_start(f);
	worker_start(f);
	for (n = 0; n < 20; n++) {
		r = remote_new(f, KIND_UNSENT, 10);
		r->work.ask.park_us = 10000;
		assert_non_null(remote_enqueue(r, reader_open(f)->wsi));
	}
	until_all_ended(f);
	for (r = f->remotes; r; r = r->next)
		assert_complete(r);
}

static void
options_have_defaults(void **state)
{
	struct field *f = *state;
	struct remote *r;

	f->options.prefix = NULL;
	f->options.lease_secs = f->options.max_tries = 0;
	front_start(f);
	worker_start(f);
	r = remote_run(f, KIND_RESUME, 20, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

#define MANY 6

static bool
two_have_read(void *arg)
{
	struct remote **r = arg;
	int n, read = 0;

	for (n = 0; n < MANY; n++)
		read += r[n]->read == 1;

	return read == 2;
}

/* max_jobs of a worker counts those that park, too. */
static void
no_more_jobs_than_it_may(void **state)
{
	struct field *f = *state;
	struct remote *r[MANY];
	int n, decoded = 0;

	f->worker_max_jobs = 2;
	f->worker_threads = 4;
	front_start(f);
	worker_start(f);
	for (n = 0; n < MANY; n++)
		r[n] = remote_run(f, KIND_UNSENT, 3, 1);
	until(f, two_have_read, r);
	rig_drain(f->rig);
	for (n = 0; n < MANY; n++)
		decoded += atomic_load(&r[n]->board->decoded);
	assert_int_equal(decoded, 2);
	for (n = 0; n < MANY; n++)
		remote_release(r[n]);
	until_all_ended(f);
	for (n = 0; n < MANY; n++)
		assert_complete(r[n]);
}

/* lws_threadpool_serve() and handlers, as with a local task */
static void
with_handlers(void **state)
{
	struct lws_threadpool_task_options options;
	struct field *f = *state;
	struct remote *r[3];
	struct conn *c;
	int n;

	remote_handlers(&options);
	f->serves = true;
	front_start(f);
	worker_start(f);
	c = reader_open(f);
	for (n = 0; n < 3; n++) {
		r[n] = remote_new(f, KIND_UNSENT, 20);
		r[n]->work.ask.last = n & 1;
		r[n]->options = &options;
		assert_non_null(remote_enqueue(r[n], c->wsi));
	}
	for (n = 0; n < 3; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
	}
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(one_job),
	FIELD_TEST(job_without_chunks),
	FIELD_TEST(chunk_with_the_end),
	FIELD_TEST(function_says_stopped),
	FIELD_TEST(many_jobs_on_two_workers),
	FIELD_TEST(without_a_connection),
	FIELD_TEST(largest_chunks),
	FIELD_TEST(window_of_one),
	FIELD_TEST(function_that_parks),
	FIELD_TEST(options_have_defaults),
	FIELD_TEST(no_more_jobs_than_it_may),
	FIELD_TEST(with_handlers),
};

FIELD_MAIN(tests)
