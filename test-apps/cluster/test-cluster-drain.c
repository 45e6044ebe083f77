/*
 * lws-threadpool cluster tests - workers that drain
 *
 * SPDX-License-Identifier: MIT
 *
 * The lease is longer than any wait but in one test: what another worker gets
 * was given back.
 */

#include "wild.h"

#include <signal.h>

#define CHUNKS 6

static void
start(struct field *f)
{
	f->options.lease_secs = 3000;
	f->options.max_tries = 2;
	f->worker_threads = 1;
	front_start(f);
}

static struct remote *
keeps_the_thread(struct field *f)
{
	struct remote *r = remote_new(f, KIND_UNSENT, CHUNKS);

	r->work.ask.wait = ASK_CHECKS_IN;
	r->conn = reader_open(f);
	remote_limit(r, 1);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_read(r, 1);

	return r;
}

static bool
has_ended(void *arg)
{
	struct node_proc *w = arg;

	return proc_has_ended(&w->proc);
}

/* What it has not begun is given back at once, what runs goes on to its end. */
static void
gives_back_what_it_has_not_begun(void **state)
{
	struct field *f = *state;
	struct remote *runs, *waits;
	struct node_proc *w;

	start(f);
	w = worker_start(f);
	runs = keeps_the_thread(f);
	waits = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_serving(f, w, 2);
	worker_start(f);
	assert_int_equal(kill(w->proc.pid, SIGTERM), 0);
	until_ended(waits);
	assert_complete(waits);
	assert_int_equal(waits->board->begun, 1);

	assert_int_equal(runs->ended, 0);
	assert_false(proc_has_ended(&w->proc));
	assert_int_equal(runs->board->pid, w->proc.pid);
	remote_release(runs);
	until_ended(runs);
	assert_complete(runs);
	assert_int_equal(runs->board->begun, 1);
	until(f, has_ended, w);
	assert_int_equal(w->proc.status, 0);
}

static void
takes_no_more(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *runs, *later;

	start(f);
	w = worker_start(f);
	runs = keeps_the_thread(f);
	assert_int_equal(kill(w->proc.pid, SIGTERM), 0);
	rig_until_int(f->rig, &w->board->left, 1);
	later = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	remote_release(runs);
	until_ended(runs);
	assert_complete(runs);
	until(f, has_ended, w);
	assert_int_equal(w->proc.status, 0);
	assert_int_equal(later->board->decoded, 0);
	worker_start(f);
	until_ended(later);
	assert_complete(later);
}

/* Every worker is replaced, some of them twice: nothing is lost, nothing runs a
 * second time, and what was given back again and again is no poison.  Of those
 * that are given back nats-server 2.9 forgets one at times, for a lease. */
static void
rolling_restart(void **state)
{
	struct field *f = *state;
	struct node_proc *w[3];
	struct remote *r;
	int n;

	f->options.max_tries = 2;
	f->worker_threads = 1;
	front_start(f);
	for (n = 0; n < 3; n++)
		w[n] = worker_start(f);
	for (n = 0; n < 60; n++) {
		r = remote_new(f, KIND_UNSENT, 20);
		r->work.ask.us = 1000;
		r->work.ask.park_us = 2000;
		assert_non_null(remote_enqueue(r, reader_open(f)->wsi));
	}
	for (n = 0; n < 5; n++) {
		worker_drain(f, w[n % 3]);
		w[n % 3] = worker_start(f);
	}
	until_all_ended(f);
	for (r = f->remotes; r; r = r->next) {
		assert_complete(r);
		assert_int_equal(r->board->begun, 1);
	}
	until_no_jobs(f);
}

/* By more workers than may be lost with it: it is no poison. */
static void
given_back_is_not_lost(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;
	int n;

	start(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	f->worker_busy = 1;
	for (n = 0; n < 5; n++) {
		w = worker_start(f);
		until_serving(f, w, 1);
		worker_drain(f, w);
	}
	assert_int_equal(r->board->begun, 0);
	f->worker_busy = 0;
	worker_start(f);
	until_ended(r);
	assert_complete(r);
	assert_int_equal(r->board->begun, 1);
}

/* A worker whose pool takes no more gives back what it pulls.  It does not do
 * that over and over again: the engine gives up what it has delivered a
 * thousand times. */
static void
pool_is_full(void **state)
{
	struct field *f = *state;
	struct node_proc *full;
	struct remote *r[3];
	struct wild *w;
	int n;

	start(f);
	f->worker_threads = f->worker_busy = f->worker_depth = 1;
	full = worker_start(f);
	for (n = 0; n < 3; n++)
		r[n] = remote_run(f, KIND_NEVER, CHUNKS, BOARD_FREE);
	until_serving(f, full, 1);
	until_secs(f, 5);
	for (n = 0; n < 3; n++)
		assert_int_equal(r[n]->ended, 0);
	w = wild_open(f);
	assert_int_equal(wild_published(w), 3);
	wild_close(w);
	f->worker_busy = f->worker_depth = 0;
	worker_start(f);
	worker_drain(f, full);
	for (n = 0; n < 3; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
		assert_int_equal(r[n]->board->begun, 1);
	}
	until_no_jobs(f);
}

static bool
is_published_anew(void *arg)
{
	struct wild *w = arg;

	wild_spent(w, 1);

	return wild_published(w) > 1;
}

/* The engine tells the fronts when it has given one up: it is published anew.
 */
static void
delivered_too_often(void **state)
{
	struct field *f = *state;
	struct remote *r;
	struct wild *w;

	start(f);
	r = remote_run(f, KIND_NEVER, CHUNKS, BOARD_FREE);
	until_jobs(f, 1);
	w = wild_open(f);
	until(f, is_published_anew, w);
	wild_close(w);
	worker_start(f);
	until_ended(r);
	assert_complete(r);
	assert_int_equal(r->board->begun, 1);
	until_no_jobs(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(gives_back_what_it_has_not_begun),
	FIELD_TEST(takes_no_more),
	FIELD_TEST(rolling_restart),
	FIELD_TEST(given_back_is_not_lost),
	FIELD_TEST(pool_is_full),
	FIELD_TEST(delivered_too_often),
};

FIELD_MAIN(tests)
