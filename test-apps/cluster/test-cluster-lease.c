/*
 * lws-threadpool cluster tests - workers that hang and come back, and those
 * that only look as if
 *
 * SPDX-License-Identifier: MIT
 *
 * The lease is short: under load a worker that lives may seem lost, too.
 */

#include "wild.h"

#define CHUNKS 6
#define TIMES  10

static bool
is_cleaned_there(void *arg)
{
	struct remote *r = arg;

	return atomic_load(&r->board->cleaned) ==
	       atomic_load(&r->board->decoded);
}

/* SIGSTOP until another worker has the job, and SIGCONT: it is told to stop. */
static void
stopped_worker_is_fenced(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r = remote_run(f, KIND_RESUME, CHUNKS, 3);
	until_read(r, 3);
	proc_pause(&w->proc);
	worker_start(f);
	until(f, is_decoded_again, r);
	proc_resume(&w->proc);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	until(f, is_cleaned_there, r);
	until_no_jobs(f);
}

/* ... which has chunks to send: they do not come between. */
static void
stopped_while_it_streams(void **state)
{
	struct field *f = *state;
	struct node_proc *w[2];
	struct remote *r[10];
	int n, times;

	field_short_lease(f);
	front_start(f);
	w[0] = worker_start(f);
	w[1] = worker_start(f);
	for (n = 0; n < 10; n++) {
		r[n] = remote_new(f, KIND_RESUME, 300);
		r[n]->work.ask.park_us = 10000;
		r[n]->conn = reader_open(f);
		assert_non_null(remote_enqueue(r[n], r[n]->conn->wsi));
	}
	for (times = 0; times < 2; times++) {
		until_read(r[0], (uint32_t)times * 60 + 20);
		proc_pause(&w[times]->proc);
		/* until all of them are with the other one, or at their end */
		for (n = 0; n < 10; n++)
			until_read(r[n], (uint32_t)times * 60 + 60);
		proc_resume(&w[times]->proc);
	}
	until_all_ended(f);
	for (n = 0; n < 10; n++) {
		assert_complete(r[n]);
		until(f, is_cleaned_there, r[n]);
	}
	until_no_jobs(f);
}

/* What may not run again is lost, and the worker that comes back stops. */
static void
stopped_worker_without_retry(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r = remote_run(f, KIND_NEVER, CHUNKS, 3);
	until_read(r, 3);
	proc_pause(&w->proc);
	worker_start(f);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
	proc_resume(&w->proc);
	remote_release(r);
	until(f, is_cleaned_there, r);
	assert_true(atomic_load(&r->board->finished) <= 1);
	until_no_jobs(f);
}

/* One call that outlasts the lease: as a lost worker */
static void
call_outlasts_the_lease(void **state)
{
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	r = remote_new(f, KIND_RESUME, CHUNKS);
	r->work.ask.what = ASK_HANG;
	r->work.ask.at = 3;
	r->conn = reader_open(f);
	remote_limit(r, 3);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until_read(r, 3);
	worker_start(f);
	until(f, is_decoded_again, r);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	until(f, is_cleaned_there, r);
	until_no_jobs(f);
}

/*
 * A job keeps its lease through three of them, once in TIMES attempts: on a
 * machine that stands still for so long any worker is lost.
 */
static void
three_leases(struct field *f)
{
	until_secs(f, 3 * f->options.lease_secs);
}

static void
keeps_its_lease(struct field *f, enum ask_wait wait)
{
	struct remote *r;
	int n, kept = 0;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	for (n = 0; n < TIMES && !kept; n++) {
		r = remote_new(f, KIND_RESUME, CHUNKS);
		r->work.ask.wait = (uint32_t)wait;
		r->conn = reader_open(f);
		remote_limit(r, 3);
		assert_non_null(remote_enqueue(r, r->conn->wsi));
		until_read(r, 3);
		three_leases(f);
		kept = atomic_load(&r->board->decoded) == 1;
		remote_release(r);
		until_ended(r);
		assert_complete(r);
	}
	assert_true(kept);
}

static void
parked_job_keeps_its_lease(void **state)
{
	keeps_its_lease(*state, ASK_PARKS);
}

static void
one_that_checks_in_keeps_it(void **state)
{
	keeps_its_lease(*state, ASK_CHECKS_IN);
}

/* ... at a worker whose thread is taken, while another one is idle */
static void
one_that_was_not_begun_keeps_it(void **state)
{
	struct field *f = *state;
	struct node_proc *w[2];
	struct remote *r;
	int n, kept = 0;

	field_short_lease(f);
	front_start(f);
	f->worker_threads = 1;
	for (n = 0; n < TIMES && !kept; n++) {
		f->worker_busy = 1;
		w[0] = worker_start(f);
		r = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
		until_serving(f, w[0], 1);
		f->worker_busy = 0;
		w[1] = worker_start(f);
		three_leases(f);
		kept = !atomic_load(&r->board->begun);
		worker_drain(f, w[0]);
		until_ended(r);
		assert_complete(r);
		worker_drain(f, w[1]);
	}
	assert_true(kept);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(stopped_worker_is_fenced),
	FIELD_TEST(stopped_while_it_streams),
	FIELD_TEST(stopped_worker_without_retry),
	FIELD_TEST(call_outlasts_the_lease),
	FIELD_TEST(parked_job_keeps_its_lease),
	FIELD_TEST(one_that_checks_in_keeps_it),
	FIELD_TEST(one_that_was_not_begun_keeps_it),
};

FIELD_MAIN(tests)
