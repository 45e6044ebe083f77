/*
 * lws-threadpool cluster tests - the engine goes, hangs, comes back, or never
 *
 * SPDX-License-Identifier: MIT
 */

#include "wild.h"

#define CHUNKS 6

static struct remote *
run_here(struct field *f)
{
	struct lws_threadpool_task_args args;
	struct remote *r = remote_new(f, KIND_UNSENT, CHUNKS);

	r->conn = reader_open(f);
	assert_null(remote_enqueue(r, r->conn->wsi));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_AWAY);
	remote_args(r, r->conn->wsi, &args);
	r->task = lws_threadpool_enqueue(f->pool, &args, "here");
	assert_non_null(r->task);
	r->accepted = true;
	until_ended(r);

	return r;
}

/* Without an engine the same function, the same args, the same WRITEABLE */
static void
runs_here_without_one(void **state)
{
	struct field *f = *state;
	struct remote *r;

	engine_stop(f->engine);
	front_create(f);
	r = run_here(f);
	assert_end(r, LWS_TP_STATUS_FINISHED, LWS_TP_CLUSTER_NOT_YET);
	assert_int_equal(r->read, CHUNKS);
	assert_int_equal(r->board->made, CHUNKS);

	/* until there is one */
	engine_start(f->engine);
	until(f, front_is_there, f);
	worker_start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

/* Both begin before it does. */
static void
comes_later(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	engine_stop(f->engine);
	front_create(f);
	w = worker_spawn(f);
	engine_start(f->engine);
	until(f, front_is_there, f);
	until_ready(f, w);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

/* A server as Debian's nats-server starts it: jobs cannot be queued there */
static void
has_no_jetstream(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	engine_stop(f->engine);
	f->engine->no_jetstream = true;
	engine_start(f->engine);
	f->options.engine_secs = 4;
	front_start(f);
	w = worker_spawn(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	/* two threads that log at a time may spoil each other's line, in lws:
	 * so nothing else is done meanwhile */
	until(f, has_warned, (void *)"lws_threadpool_cluster: ");
	assert_end(run_here(f), LWS_TP_STATUS_FINISHED, LWS_TP_CLUSTER_NOT_YET);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ENGINE);
	assert_int_equal(r->board->begun, 0);
	assert_int_equal(log_count(LLL_WARN, "lws_threadpool_cluster: "), 1);
	assert_int_equal(log_count(LLL_WARN,
				   "the engine takes no jobs: it has no "
				   "JetStream, as by nats-server -js: 503"),
			 1);

	/* until it has */
	engine_stop(f->engine);
	f->engine->no_jetstream = false;
	engine_start(f->engine);
	until_ready(f, w);
	until(f, front_is_there, f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

/* Jobs that run, and jobs that wait, when it ends; no job is done again. */
static void
restarts(struct field *f, void (*ends)(struct engine *e))
{
	struct lws_threadpool_cluster_stats stats;
	struct remote *r[8];
	int n;

	f->options.lease_secs = 3000;
	front_start(f);
	worker_start(f);
	for (n = 0; n < 4; n++)
		r[n] = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	for (n = 0; n < 4; n++)
		until_read(r[n], 2);
	/* none of its kind's workers is there */
	ends(f->engine);
	until(f, front_is_away, f);
	engine_start(f->engine);
	until(f, front_is_there, f);
	for (n = 4; n < 8; n++)
		r[n] = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	for (n = 0; n < 4; n++)
		remote_release(r[n]);
	for (n = 0; n < 8; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
		assert_int_equal(r[n]->board->begun, 1);
		assert_int_equal(r[n]->board->made, CHUNKS);
	}
	front_stats(f, &stats);
	assert_true(stats.reconnects >= 1);
	assert_true(stats.away_us > 0);
	until_no_jobs(f);
}

static void
stopped_and_started(void **state)
{
	restarts(*state, engine_stop);
}

static void
killed_and_started(void **state)
{
	restarts(*state, engine_kill);
}

/* The jobs that wait are in its store. */
static void
queue_outlives_a_restart(void **state)
{
	struct field *f = *state;
	struct remote *r[4];
	int n;

	front_start(f);
	for (n = 0; n < 4; n++)
		r[n] = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_jobs(f, 4);
	engine_stop(f->engine);
	until(f, front_is_away, f);
	engine_start(f->engine);
	until(f, front_is_there, f);
	worker_start(f);
	for (n = 0; n < 4; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
	}
}

/* Chunks are made while it is away, and none is lost, nor doubled. */
static void
streams_through_restarts(void **state)
{
	struct field *f = *state;
	struct remote *r[10];
	int n, times;

	f->options.lease_secs = 3000;
	f->worker_threads = 4;
	front_start(f);
	worker_start(f);
	for (n = 0; n < 10; n++) {
		r[n] = remote_new(f, KIND_UNSENT, 300);
		r[n]->work.ask.park_us = 5000;
		r[n]->conn = reader_open(f);
		assert_non_null(remote_enqueue(r[n], r[n]->conn->wsi));
	}
	for (times = 0; times < 3; times++) {
		until_read(r[0], (uint32_t)times * 70 + 20);
		if (times & 1)
			engine_stop(f->engine);
		else
			engine_kill(f->engine);
		until(f, front_is_away, f);
		engine_start(f->engine);
		until(f, front_is_there, f);
	}
	for (n = 0; n < 10; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
		assert_int_equal(r[n]->board->begun, 1);
	}
}

/* The last of many is the one that is there. */
static void
one_of_many(void **state)
{
	struct field *f = *state;
	char url[1024];
	size_t len = 0;
	int n;

	for (n = 1; n <= 20; n++)
		len += (size_t)snprintf(url + len, sizeof(url) - len,
					"nats://127.0.0.1:%d,", n);
	snprintf(url + len, sizeof(url) - len, "%s", f->engine->url);
	f->options.url = url;
	front_start(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(runs_here_without_one),
	FIELD_TEST(one_of_many),
	FIELD_TEST(comes_later),
	FIELD_TEST(has_no_jetstream),
	FIELD_TEST(stopped_and_started),
	FIELD_TEST(killed_and_started),
	FIELD_TEST(queue_outlives_a_restart),
	FIELD_TEST(streams_through_restarts),
};

FIELD_MAIN(tests)
