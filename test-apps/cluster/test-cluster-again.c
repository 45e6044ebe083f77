/*
 * lws-threadpool cluster tests - jobs that change hands twice
 *
 * SPDX-License-Identifier: MIT
 *
 * An engine that has lost its store and then a worker, a reader that has gone
 * and then a worker, a worker that has made all of it and then a reader.
 */

#include "wild.h"

#include <signal.h>

#include "wire.h"

#define CHUNKS 10

static void
start(struct field *f)
{
	f->options.lease_secs = 3000;
	f->worker_threads = 1;
	front_start(f);
}

static void
lose_store(struct field *f)
{
	engine_kill(f->engine);
	until(f, front_is_away, f);
	engine_lose_store(f->engine);
	engine_start(f->engine);
	until(f, front_is_there, f);
}

/* Ends at once: the worker gives back what it has. */
static void
worker_end(struct field *f, struct node_proc *w)
{
	assert_true(proc_end(&w->proc, SIGINT));
	until(f, front_waits, f);
}

/* The engine that it is given back to knows nothing of it. */
static void
store_is_lost_and_it_is_given_back(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	start(f);
	w = worker_start(f);
	r = remote_run(f, KIND_RESUME, CHUNKS, 3);
	until_read(r, 3);
	lose_store(f);
	remote_limit(r, 4); /* the worker is there again, too */
	until_read(r, 4);
	worker_end(f, w);
	worker_start(f);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	until_no_jobs(f);
}

/* The numbers of the new queue's deliveries are lower than the old one's. */
static void
it_is_given_back_and_the_store_is_lost(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;
	int n;

	start(f);
	w = worker_start(f);
	for (n = 0; n < 10; n++)
		remote_run(f, KIND_RESUME, 1, BOARD_FREE);
	until_all_ended(f);
	r = remote_run(f, KIND_RESUME, CHUNKS, 3);
	until_read(r, 3);
	worker_end(f, w);
	lose_store(f);
	worker_start(f);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	until_no_jobs(f);
}

/* --- and readers ---------------------------------------------------------- */

static struct remote *
attach(struct field *f, struct remote *old, uint32_t have, const char *token)
{
	struct remote *r = remote_attach(f, (int)old->work.ask.job, have, token,
					 reader_open(f)->wsi);

	assert_non_null(r->task);
	r->work.ask.chunks = old->work.ask.chunks;

	return r;
}

static void
reader_goes(struct remote *r, char *token)
{
	assert_int_equal(lws_threadpool_cluster_token(r->task, token), 0);
	conn_fin(r->conn);
	conn_until_closed(r->conn);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
}

/* A slow one: it reads two of what is there. */
static struct remote *
reads_two(struct field *f, uint32_t chunks, int limit)
{
	struct remote *r = remote_new(f, KIND_LINGER, chunks);

	r->work.ask.last = 1; /* so END is counted as a chunk is */
	r->may_read = 2;
	remote_limit(r, limit);
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_read(r, 2);

	return r;
}

struct came_wait {
	struct field *f;
	uint64_t chunks;
};

static bool
have_come(void *arg)
{
	struct lws_threadpool_cluster_stats stats;
	struct came_wait *w = arg;

	front_stats(w->f, &stats);

	return stats.chunks >= w->chunks;
}

/* All of it came to the front, and the reader had two chunks of it. */
static void
reader_goes_with_the_end_unread(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct came_wait all = { f, 4 };
	struct remote *r[2];

	start(f);
	worker_start(f);
	r[0] = reads_two(f, 4, BOARD_FREE);
	until(f, have_come, &all);
	reader_goes(r[0], token);
	r[1] = attach(f, r[0], 2, token);
	until_ended(r[1]);
	assert_complete(r[1]);
	assert_int_equal(r[0]->board->begun, 1);
	until_no_jobs(f);
}

static void
another_worker_has_it(struct remote *r, struct node_proc *w)
{
	worker_kill(w);
	worker_start(r->f);
	until(r->f, is_decoded_again, r);
}

/* The front had chunks that nobody has read. */
static void
reader_goes_with_chunks_unread_and_the_worker_dies(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct came_wait six = { f, 6 };
	struct node_proc *w;
	struct remote *r[2];

	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r[0] = reads_two(f, CHUNKS, 6);
	until(f, have_come, &six);
	reader_goes(r[0], token);
	another_worker_has_it(r[0], w);
	r[1] = attach(f, r[0], 2, token);
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	until_no_jobs(f);
}

/* How often the worker said that it lives, and whether it was stopped */
struct beats {
	struct remote *r;
	struct wild *wild;
	int n;
};

static bool
beats_or_stops(void *arg)
{
	struct beats *b = arg;
	struct lwstpc_wire wire;
	struct wild_msg msg;

	while (!wild_next(b->wild, &msg))
		if (!lwstpc_decode(&wire, msg.data, (size_t)msg.len))
			b->n += wire.type == LWSTPC_BEAT;

	return b->n >= 3 || atomic_load(&b->r->board->stopping);
}

/* The new worker lingers, too. */
static void
reader_goes_and_the_worker_dies(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct beats beats = { .n = 0 };
	struct node_proc *w;
	struct remote *r[2];

	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	until_read(r[0], 3);
	reader_goes(r[0], token);
	another_worker_has_it(r[0], w);
	beats.r = r[0];
	beats.wild = wild_open(f);
	wild_listen(beats.wild, "f.>");
	until(f, beats_or_stops, &beats);
	wild_close(beats.wild);
	assert_int_equal(r[0]->board->stopping, 0);
	r[1] = attach(f, r[0], 3, token);
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	until_no_jobs(f);
}

static bool
is_lost_here(void *arg)
{
	struct lws_threadpool_cluster_stats stats;

	front_stats(arg, &stats);

	return stats.retried == 1;
}

/* Nobody has it for more than a lease: the front that attaches has all that
 * there is of it. */
static void
worker_dies_and_the_reader_is_back_first(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r[2];

	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	until_read(r[0], 3);
	reader_goes(r[0], token);
	worker_kill(w);
	until(f, is_lost_here, f);
	r[1] = attach(f, r[0], 3, token);
	until_secs(f, 3 * f->options.lease_secs);
	assert_int_equal(r[1]->ended, 0);
	worker_start(f);
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	assert_int_equal(r[0]->board->resume, 3);
	until_no_jobs(f);
}

/* As it would be if the first reader were there still */
static void
reader_is_back_and_the_worker_dies(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r[2];

	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	until_read(r[0], 3);
	reader_goes(r[0], token);
	r[1] = attach(f, r[0], 3, token);
	remote_limit(r[0], 5);
	until_read(r[1], 2);
	another_worker_has_it(r[0], w);
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	until_no_jobs(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(store_is_lost_and_it_is_given_back),
	FIELD_TEST(it_is_given_back_and_the_store_is_lost),
	FIELD_TEST(reader_goes_with_the_end_unread),
	FIELD_TEST(reader_goes_with_chunks_unread_and_the_worker_dies),
	FIELD_TEST(reader_goes_and_the_worker_dies),
	FIELD_TEST(worker_dies_and_the_reader_is_back_first),
	FIELD_TEST(reader_is_back_and_the_worker_dies),
};

FIELD_MAIN(tests)
