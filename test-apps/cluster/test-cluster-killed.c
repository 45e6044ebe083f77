/*
 * lws-threadpool cluster tests - kill -9 of a worker, under the retry policies
 *
 * SPDX-License-Identifier: MIT
 *
 * The lease is short here, so under load a worker that lives may seem lost,
 * too: where that gives another lawful end, the test begins again.
 */

#include "field.h"

#define CHUNKS 6
#define TIMES  10 /* that a test begins again, at most */

static struct remote *
run_and_kill(struct field *f, enum kind kind, int limit)
{
	struct node_proc *w = worker_start(f);
	struct remote *r = remote_run(f, kind, CHUNKS, limit);

	until_board(r, begun, 1);
	until_read(r, (uint32_t)limit);
	worker_kill(w);
	remote_release(r);
	worker_start(f);
	until_ended(r);

	return r;
}

/* It is tried again: complete() says whether it got all. */
static void
is_tried_again(struct field *f, enum kind kind, int limit)
{
	struct remote *r;
	int n;

	field_short_lease(f);
	front_start(f);
	for (n = 0; n < TIMES; n++) {
		r = run_and_kill(f, kind, limit);
		if (r->ended == LWS_TP_STATUS_FINISHED)
			break;
		/* lost a second time, with chunks at the front */
		assert_int_equal(kind, KIND_UNSENT);
		assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
		assert_true(r->read > 0);
	}
	assert_complete(r);
	assert_true(atomic_load(&r->board->decoded) >= 2);
}

static void
is_lost(struct field *f, enum kind kind, int limit)
{
	struct lws_threadpool_cluster_stats stats;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	r = run_and_kill(f, kind, limit);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
	assert_true(r->read <= (uint32_t)limit);
	front_stats(f, &stats);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_LOST], 1);
	/* and the new worker has nothing to do with it */
	assert_true(atomic_load(&r->board->most) <= limit);
}

static void
unsent_before_the_first_chunk(void **state)
{
	is_tried_again(*state, KIND_UNSENT, 0);
}

static void
unsent_in_the_middle(void **state)
{
	is_lost(*state, KIND_UNSENT, CHUNKS / 2);
}

static void
unsent_at_the_end(void **state)
{
	is_lost(*state, KIND_UNSENT, CHUNKS);
}

static void
never_before_the_first_chunk(void **state)
{
	is_lost(*state, KIND_NEVER, 0);
}

static void
never_in_the_middle(void **state)
{
	is_lost(*state, KIND_NEVER, CHUNKS / 2);
}

static void
never_at_the_end(void **state)
{
	is_lost(*state, KIND_NEVER, CHUNKS);
}

static void
resume_before_the_first_chunk(void **state)
{
	is_tried_again(*state, KIND_RESUME, 0);
}

static void
resume_in_the_middle(void **state)
{
	is_tried_again(*state, KIND_RESUME, CHUNKS / 2);
}

static void
resume_at_the_end(void **state)
{
	is_tried_again(*state, KIND_RESUME, CHUNKS);
}

/* What the new worker is told, and that the old one's chunks are not made twice
 */
static void
resume_says_from_where(void **state)
{
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	r = run_and_kill(f, KIND_RESUME, CHUNKS / 2);
	assert_complete(r);
	assert_true(atomic_load(&r->board->resume) >= CHUNKS / 2);
	assert_true(atomic_load(&r->board->tries) >= 2);
}

struct progress {
	struct field *f;
	int n;
};

static bool
has_progressed(void *arg)
{
	const struct progress *p = arg;
	int ended = 0, left = 0;

	for (struct remote *r = p->f->remotes; r; r = r->next) {
		ended += r->ended != 0;
		left += !r->ended;
	}

	return ended >= p->n || !left;
}

/* Two workers, of which one is killed again and again, at no moment of ours */
static void
killed_at_any_moment(struct field *f, enum kind kind)
{
	struct progress p = { f, 0 };
	struct node_proc *w[2];
	struct remote *r;
	struct conn *c = NULL;
	int n;

	field_short_lease(f);
	front_start(f);
	w[0] = worker_start(f);
	w[1] = worker_start(f);
	for (n = 0; n < 60; n++) {
		if (!(n % 10))
			c = reader_open(f);
		r = remote_new(f, kind, 20);
		r->work.ask.us = 500;
		assert_non_null(remote_enqueue(r, c->wsi));
	}
	for (n = 0; n < 4; n++) {
		p.n += 8;
		until(f, has_progressed, &p);
		worker_kill(w[n % 2]);
		w[n % 2] = worker_spawn(f);
	}
	until_all_ended(f);
}

static void
resume_at_any_moment(void **state)
{
	struct field *f = *state;

	killed_at_any_moment(f, KIND_RESUME);
	for (struct remote *r = f->remotes; r; r = r->next)
		assert_complete(r);
}

static void
unsent_at_any_moment(void **state)
{
	struct field *f = *state;

	killed_at_any_moment(f, KIND_UNSENT);
	for (struct remote *r = f->remotes; r; r = r->next) {
		if (r->ended == LWS_TP_STATUS_FINISHED) {
			assert_complete(r);
			continue;
		}
		assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
		assert_true(r->read > 0);
	}
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(unsent_before_the_first_chunk),
	FIELD_TEST(unsent_in_the_middle),
	FIELD_TEST(unsent_at_the_end),
	FIELD_TEST(never_before_the_first_chunk),
	FIELD_TEST(never_in_the_middle),
	FIELD_TEST(never_at_the_end),
	FIELD_TEST(resume_before_the_first_chunk),
	FIELD_TEST(resume_in_the_middle),
	FIELD_TEST(resume_at_the_end),
	FIELD_TEST(resume_says_from_where),
	FIELD_TEST(resume_at_any_moment),
	FIELD_TEST(unsent_at_any_moment),
};

FIELD_MAIN(tests)
