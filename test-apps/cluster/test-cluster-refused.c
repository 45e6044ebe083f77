/*
 * lws-threadpool cluster tests - what a side refuses, and what it is told then
 *
 * SPDX-License-Identifier: MIT
 *
 * In each test another job runs beside it, and is not harmed.  Each side that
 * knows what was wrong says so, once.
 */

#include "wild.h"

#define CHUNKS	  6
#define BY_WORKER "is refused: its worker says no"

static struct remote *
start(struct field *f)
{
	f->options.lease_secs = 3000;
	front_start(f);
	worker_start(f);

	return remote_run(f, KIND_RESUME, CHUNKS, 2);
}

static void
run(struct remote *r)
{
	r->conn = reader_open(r->f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_ended(r);
}

/* the front says so, and so does the worker, if it is the one who does */
static void
is_refused(struct remote *r, struct remote *other, const char *front,
	   const char *worker)
{
	struct lws_threadpool_cluster_stats stats;
	struct field *f = r->f;

	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_REFUSED);
	assert_int_equal(log_count(LLL_WARN, "lws_threadpool_cluster: "), 1);
	assert_int_equal(log_count(LLL_WARN, front), 1);
	assert_int_equal(board_lines("is refused here"), !!worker);
	assert_int_equal(board_lines(worker ? worker : "is refused"), !!worker);
	front_stats(f, &stats);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_REFUSED], 1);
	remote_release(other);
	until_ended(other);
	assert_complete(other);
	until_no_jobs(f);
}

static void
job_by_the_worker(void **state)
{
	struct field *f = *state;
	struct remote *other = start(f), *r;

	r = remote_new(f, KIND_RESUME, CHUNKS);
	r->work.ask.refuse = 1;
	run(r);
	is_refused(r, other, BY_WORKER, "is refused here: decode_job says no");
	assert_int_equal(r->board->decoded, 1);
}

static void
job_by_the_front(void **state)
{
	struct field *f = *state;
	struct remote *other = start(f), *r;

	r = remote_new(f, KIND_RESUME, CHUNKS);
	r->work.ask.refuse = 2;
	run(r);
	is_refused(r, other, "is refused: encode_job says no", NULL);
	assert_int_equal(r->board->decoded, 0);
}

static void
job_larger_than_max_chunk(void **state)
{
	struct field *f = *state;
	struct remote *other, *r;

	f->kinds[KIND_UNSENT].max_chunk = sizeof(struct ask) - 1;
	other = start(f);
	r = remote_new(f, KIND_UNSENT, CHUNKS);
	run(r);
	is_refused(r, other, "is refused: encode_job says no", NULL);
	assert_int_equal(r->board->decoded, 0);
}

/* Of an older worker, and of a newer one */
static void
version_of_the_kind(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	for (f->worker_version = 2; f->worker_version >= 0;
	     f->worker_version -= 2) {
		if (!f->front)
			front_start(f);
		w = worker_start(f);
		r = remote_new(f, KIND_RESUME, CHUNKS);
		run(r);
		assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_REFUSED);
		assert_int_equal(log_count(LLL_WARN, BY_WORKER),
				 f->worker_version ? 1 : 2);
		assert_int_equal(r->board->begun, 0);
		until_no_jobs(f);
		worker_drain(f, w);
	}
	f->worker_version = 1;
	worker_start(f);
	r = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

static void
chunk_at(struct field *f, enum ask_what what, uint32_t bytes, const char *says)
{
	struct remote *other = start(f), *r;

	r = remote_new(f, KIND_UNSENT, CHUNKS);
	r->work.ask.what = (uint32_t)what;
	r->work.ask.at = 3;
	if (bytes)
		r->work.ask.bytes = bytes;
	run(r);
	is_refused(r, other, BY_WORKER, says);
	assert_int_equal(r->read, what == ASK_NOTHING ? 0 : 3);
	until_board(r, cleaned, 1);
	assert_int_equal(r->board->decoded, 1);
}

static void
chunk_by_its_encoder(void **state)
{
	chunk_at(*state, ASK_TOO_LARGE, 0,
		 "is refused here: encode_chunk says no");
}

static void
chunk_larger_than_its_room(void **state)
{
	chunk_at(*state, ASK_OVERRUN, 0,
		 "is refused here: encode_chunk wrote more than max_chunk");
}

/* The front's, or the worker's: the encoder has the smaller room. */
static void
chunk_larger_than_max_chunk(void **state)
{
	struct field *f = *state;

	f->kinds[KIND_UNSENT].max_chunk = 1000;
	chunk_at(f, ASK_NOTHING, 1001, "is refused here: encode_chunk says no");
}

static void
chunk_larger_than_the_workers_max_chunk(void **state)
{
	struct field *f = *state;

	f->worker_max_chunk = 1000;
	chunk_at(f, ASK_NOTHING, 1001, "is refused here: encode_chunk says no");
}

static void
chunk_of_max_chunk_is_not(void **state)
{
	struct field *f = *state;
	struct remote *r;

	f->kinds[KIND_UNSENT].max_chunk = 1000;
	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_UNSENT, CHUNKS);
	r->work.ask.bytes = 1000;
	run(r);
	assert_complete(r);
}

/* The engine takes no more than it may. */
static void
job_by_a_full_queue(void **state)
{
	struct field *f = *state;
	struct remote *r[3];
	struct wild *w;
	int n;

	front_start(f);
	until_no_jobs(f);
	w = wild_open(f);
	wild_limit_jobs(w, 2);
	wild_close(w);
	for (n = 0; n < 2; n++)
		r[n] = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
	until_jobs(f, 2);
	r[2] = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
	until_ended(r[2]);
	assert_end(r[2], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_REFUSED);
	/* JSStreamStoreFailed: its code, and no other job's */
	assert_int_equal(
		log_count(LLL_WARN,
			  "is refused: the queue takes no job, error: 10077"),
		1);
	assert_int_equal(log_count(LLL_WARN, "is refused"), 1);
	worker_start(f);
	for (n = 0; n < 2; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
	}
	assert_int_equal(r[2]->board->decoded, 0);
}

/* An engine that takes less than max_chunk: nobody says it again and again. */
static void
engine_of_small_messages(void **state)
{
	struct field *f = *state;
	struct remote *r;

	engine_stop(f->engine);
	f->engine->config = "max_payload: 4096\n";
	engine_start(f->engine);
	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_RESUME, CHUNKS);
	r->work.ask.refuse = 3;
	run(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_REFUSED);
	r = remote_new(f, KIND_RESUME, CHUNKS);
	r->work.ask.bytes = 4096;
	run(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_REFUSED);
	assert_int_equal(log_count(LLL_WARN, "is refused: the request is "
					     "larger than the engine's"),
			 1);
	assert_int_equal(board_lines("is refused here: a chunk is larger than "
				     "the engine's max_payload"),
			 1);
	r = remote_new(f, KIND_RESUME, CHUNKS);
	r->work.ask.bytes = 3800;
	run(r);
	assert_complete(r);
	front_destroy(f);
	engine_stop(f->engine);
	f->engine->config = NULL;
	engine_start(f->engine);
}

/* The worker is told to stop, and another does not have it then. */
static void
chunk_by_the_front(void **state)
{
	struct lws_threadpool_cluster_stats stats;
	struct field *f = *state;
	struct remote *other = start(f), *r;

	r = remote_new(f, KIND_RESUME, 100000);
	r->work.ask.what = ASK_BAD_CHUNK;
	r->work.ask.at = 3;
	run(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_CHUNK);
	assert_int_equal(r->read, 3);
	front_stats(f, &stats);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_CHUNK], 1);
	assert_int_equal(log_count(LLL_WARN, "lws_threadpool_cluster: "), 1);
	assert_int_equal(log_count(LLL_WARN, "a chunk cannot be decoded"), 1);
	until_board(r, cleaned, 1);
	assert_int_equal(r->board->finished, 0);
	remote_release(other);
	until_ended(other);
	assert_complete(other);
	until_no_jobs(f);
	assert_int_equal(r->board->decoded, 1);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(job_by_the_worker),
	FIELD_TEST(job_by_the_front),
	FIELD_TEST(job_larger_than_max_chunk),
	FIELD_TEST(engine_of_small_messages),
	FIELD_TEST(job_by_a_full_queue),
	FIELD_TEST(version_of_the_kind),
	FIELD_TEST(chunk_by_its_encoder),
	FIELD_TEST(chunk_larger_than_its_room),
	FIELD_TEST(chunk_larger_than_max_chunk),
	FIELD_TEST(chunk_larger_than_the_workers_max_chunk),
	FIELD_TEST(chunk_of_max_chunk_is_not),
	FIELD_TEST(chunk_by_the_front),
};

FIELD_MAIN(tests)
