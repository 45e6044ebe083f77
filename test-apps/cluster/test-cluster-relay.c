/*
 * lws-threadpool cluster tests - lines that drop, double and reorder messages
 *
 * SPDX-License-Identifier: MIT
 *
 * Whatever they do, the reader has each chunk in its order and once: the field
 * looks at that.
 */

#include "wild.h"

static void
run_jobs(struct field *f, enum kind kind, int jobs, uint32_t chunks)
{
	struct remote *r;
	struct conn *c = NULL;
	int n;

	for (n = 0; n < jobs; n++) {
		if (!(n % 10))
			c = reader_open(f);
		r = remote_new(f, kind, chunks);
		r->work.ask.last = n & 1;
		assert_non_null(remote_enqueue(r, c->wsi));
	}
}

static void
through_a_relay(struct field *f, unsigned int seed, int window)
{
	f->kinds[KIND_UNSENT].window = window;
	f->options.lease_secs = 600;
	front_start(f);
	relay_start(f, seed);
	worker_start(f);
	worker_start(f);
	run_jobs(f, KIND_UNSENT, 50, 60);
	until_all_ended(f);
	for (struct remote *r = f->remotes; r; r = r->next) {
		assert_complete(r);
		assert_int_equal(r->board->begun, 1);
	}
	until_no_jobs(f);
}

static void
window_of_1(void **state)
{
	through_a_relay(*state, 1, 1);
}

static void
window_of_8(void **state)
{
	through_a_relay(*state, 2, 8);
}

static void
window_of_100(void **state)
{
	through_a_relay(*state, 3, 100);
}

/* ... and the worker is killed: another goes on from where the reader is. */
static void
and_a_worker_is_killed(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	int n;

	field_short_lease(f);
	front_start(f);
	relay_start(f, 4);
	for (n = 0; n < 3; n++) {
		w = worker_start(f);
		run_jobs(f, KIND_RESUME, 20, 60);
		until_read(f->remotes, 20);
		worker_kill(w);
	}
	worker_start(f);
	until_all_ended(f);
	for (struct remote *r = f->remotes; r; r = r->next)
		assert_complete(r);
	until_no_jobs(f);
}

static bool
is_cleaned_there(void *arg)
{
	struct board_job *b = arg;

	return atomic_load(&b->cleaned) == atomic_load(&b->decoded);
}

/* Not every STOP arrives; the lease ends the others. */
static void
readers_go(void **state)
{
	struct field *f = *state;
	struct remote *r[20];
	int n;

	field_short_lease(f);
	front_start(f);
	relay_start(f, 5);
	worker_start(f);
	for (n = 0; n < 20; n++)
		r[n] = remote_run(f, KIND_RESUME, 100, 3);
	for (n = 0; n < 20; n++)
		until_read(r[n], 3);
	for (n = 0; n < 20; n++)
		conn_fin(r[n]->conn);
	for (n = 0; n < 20; n++) {
		until_ended(r[n]);
		assert_end(r[n], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
		until(f, is_cleaned_there, r[n]->board);
		assert_int_equal(r[n]->board->finished, 0);
	}
	until_no_jobs(f);
}

/* The line stands still for longer than the lease, while the worker goes on:
 * what it sent meanwhile comes when another has the job, and is not taken. */
static void
line_is_cut_for_a_while(void **state)
{
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	f->kinds[KIND_RESUME].window = 100;
	front_start(f);
	relay_start(f, 6);
	worker_start(f);
	r = remote_run(f, KIND_RESUME, 60, 3);
	until_read(r, 3);
	proc_pause(&f->relay);
	remote_limit(r, 10);
	f->worker_url = NULL;
	worker_start(f);
	until(f, is_decoded_again, r);
	proc_resume(&f->relay);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	until(f, is_cleaned_there, r->board);
	until_no_jobs(f);
}

/* The front's own line, while a worker takes a job: it asks whether it may
 * begin, hears nothing for a lease, and drops it.  The engine does not take a
 * key twice soon after that: but the job is published anew. */
static void
front_is_cut_off(void **state)
{
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	f->options.engine_secs = 600;
	relay_start(f, 7);
	f->options.url = f->relay_url;
	front_start(f);
	r = remote_run(f, KIND_RESUME, 60, BOARD_FREE);
	until_jobs(f, 1);
	proc_pause(&f->relay);
	until(f, front_is_away, f);
	f->worker_url = f->engine->url;
	worker_start(f);
	until_no_jobs(f);
	assert_int_equal(r->ended, 0);
	proc_resume(&f->relay);
	until_ended(r);
	assert_complete(r);
	until_no_jobs(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(window_of_1),      FIELD_TEST(window_of_8),
	FIELD_TEST(window_of_100),    FIELD_TEST(and_a_worker_is_killed),
	FIELD_TEST(readers_go),	      FIELD_TEST(line_is_cut_for_a_while),
	FIELD_TEST(front_is_cut_off),
};

FIELD_MAIN(tests)
