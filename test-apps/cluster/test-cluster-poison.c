/*
 * lws-threadpool cluster tests - jobs that kill their workers
 *
 * SPDX-License-Identifier: MIT
 *
 * A worker that dies is replaced by another, as an operator would have it.
 */

#include "wild.h"

#define CHUNKS 6

struct keeper {
	struct remote *r;
	struct node_proc *w;
	int deaths;
};

static bool
ends_while_kept(void *arg)
{
	struct keeper *k = arg;

	if (proc_has_ended(&k->w->proc)) {
		k->deaths++;
		k->w = worker_spawn(k->r->f);
	}

	return k->r->ended;
}

static int
crash(struct field *f, struct remote *r, uint32_t at, uint32_t tries)
{
	struct keeper k = { .r = r, .w = worker_start(f) };

	r->work.ask.what = ASK_CRASH;
	r->work.ask.at = at;
	r->work.ask.tries = tries;
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));
	until(f, ends_while_kept, &k);

	return k.deaths;
}

static void
is_poison(struct field *f, enum kind kind, uint32_t at)
{
	struct lws_threadpool_cluster_stats stats;
	struct remote *r, *other;
	int deaths;

	field_short_lease(f);
	f->options.max_tries = 3;
	front_start(f);
	r = remote_new(f, kind, CHUNKS);
	deaths = crash(f, r, at, 1000);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_POISON);
	/* a worker that was only slow counts, too */
	assert_in_range(deaths, 1, 3);
	front_stats(f, &stats);
	assert_int_equal(stats.ended[LWS_TP_CLUSTER_POISON], 1);
	until_no_jobs(f);
	/* its worker's place is taken, and others are served */
	other = remote_run(f, KIND_RESUME, CHUNKS, BOARD_FREE);
	until_ended(other);
	assert_complete(other);
}

static void
resume_from_its_first_call(void **state)
{
	is_poison(*state, KIND_RESUME, 0);
}

static void
resume_from_the_middle(void **state)
{
	is_poison(*state, KIND_RESUME, 3);
}

static void
unsent_from_its_first_call(void **state)
{
	is_poison(*state, KIND_UNSENT, 0);
}

/* Two workers die, and the third one does not. */
static void
fewer_are_forgiven(void **state)
{
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	f->options.max_tries = 20;
	front_start(f);
	r = remote_new(f, KIND_RESUME, CHUNKS);
	crash(f, r, 3, 2);
	assert_complete(r);
	until_no_jobs(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(resume_from_its_first_call),
	FIELD_TEST(resume_from_the_middle),
	FIELD_TEST(unsent_from_its_first_call),
	FIELD_TEST(fewer_are_forgiven),
};

FIELD_MAIN(tests)
