/*
 * lws-threadpool cluster tests - an engine that hangs, forgets, or never
 * returns
 *
 * SPDX-License-Identifier: MIT
 */

#include "wild.h"

#define CHUNKS 6
#define JOBS   8

static bool
is_cleaned_there(void *arg)
{
	struct remote *r = arg;

	return atomic_load(&r->board->cleaned) ==
	       atomic_load(&r->board->decoded);
}

/* SIGSTOP for longer than the lease, and SIGCONT: it believes all of them lost,
 * and gives them out again. */
static void
hangs(struct field *f, enum kind kind, struct remote *r[JOBS])
{
	int n;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	worker_start(f);
	for (n = 0; n < JOBS; n++)
		r[n] = remote_run(f, kind, CHUNKS, n % 4);
	for (n = 0; n < JOBS; n++)
		until_read(r[n], (uint32_t)n % 4);
	proc_pause(&f->engine->proc);
	until_secs(f, 3 * f->options.lease_secs);
	proc_resume(&f->engine->proc);
	for (n = 0; n < JOBS; n++)
		remote_release(r[n]);
	for (n = 0; n < JOBS; n++)
		until_ended(r[n]);
	for (n = 0; n < JOBS; n++)
		until(f, is_cleaned_there, r[n]);
	until_no_jobs(f);
}

static void
hangs_longer_than_the_lease(void **state)
{
	struct remote *r[JOBS];
	int n;

	hangs(*state, KIND_RESUME, r);
	for (n = 0; n < JOBS; n++)
		assert_complete(r[n]);
}

static void
hangs_and_they_may_not_run_again(void **state)
{
	struct remote *r[JOBS];
	int n;

	hangs(*state, KIND_UNSENT, r);
	for (n = 0; n < JOBS; n++) {
		if (r[n]->ended == LWS_TP_STATUS_FINISHED) {
			assert_complete(r[n]);
			continue;
		}
		assert_end(r[n], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
		assert_true(atomic_load(&r[n]->board->made) > 0);
	}
}

/* What runs goes on, and what waits is published again, under the same id. */
static void
store_is_lost(void **state)
{
	struct field *f = *state;
	struct remote *r[2 * JOBS];
	int n;

	f->options.lease_secs = 3000;
	f->worker_max_jobs = JOBS;
	front_start(f);
	worker_start(f);
	for (n = 0; n < JOBS; n++)
		r[n] = remote_run(f, KIND_UNSENT, CHUNKS, 2);
	for (n = 0; n < JOBS; n++)
		until_read(r[n], 2);
	for (; n < 2 * JOBS; n++)
		r[n] = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_jobs(f, 2 * JOBS);
	engine_kill(f->engine);
	until(f, front_is_away, f);
	engine_lose_store(f->engine);
	engine_start(f->engine);
	until(f, front_is_there, f);
	for (n = 0; n < JOBS; n++)
		remote_release(r[n]);
	for (n = 0; n < 2 * JOBS; n++) {
		until_ended(r[n]);
		assert_complete(r[n]);
		assert_int_equal(r[n]->board->begun, 1);
	}
	until_no_jobs(f);
}

/* All tasks end, new ones are refused, until it is there again. */
static void
away_for_too_long(void **state)
{
	struct lws_threadpool_cluster_stats stats;
	struct field *f = *state;
	struct remote *runs, *waits, *later;

	f->options.lease_secs = 5;
	f->options.engine_secs = 2;
	f->worker_max_jobs = 1;
	front_start(f);
	worker_start(f);
	runs = remote_run(f, KIND_RESUME, CHUNKS, 2);
	until_read(runs, 2);
	waits = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
	engine_kill(f->engine);
	until_ended(runs);
	until_ended(waits);
	assert_end(runs, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ENGINE);
	assert_end(waits, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ENGINE);
	front_stats(f, &stats);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_ENGINE], 2);
	later = remote_new(f, KIND_RESUME, CHUNKS);
	assert_null(remote_enqueue(later, reader_open(f)->wsi));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_AWAY);

	engine_start(f->engine);
	until(f, front_is_there, f);
	until(f, is_cleaned_there, runs);
	until(f, is_cleaned_there, waits);
	assert_int_equal(runs->board->finished, 0);
	later = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
	until_ended(later);
	assert_complete(later);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(hangs_longer_than_the_lease),
	FIELD_TEST(hangs_and_they_may_not_run_again),
	FIELD_TEST(store_is_lost),
	FIELD_TEST(away_for_too_long),
};

FIELD_MAIN(tests)
