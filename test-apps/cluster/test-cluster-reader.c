/*
 * lws-threadpool cluster tests - slow readers, and many of them
 *
 * SPDX-License-Identifier: MIT
 */

#include "wild.h"

#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

#if defined(SANITIZED)
#define READERS 100
#define STREAMS 500
#else
#define READERS 1000
#define STREAMS 10000
#endif
#define WINDOW 8

/* KiB of memory that a process has */
static long
memory_of(pid_t pid)
{
	char path[40];
	long pages = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
	fclose(file);

	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static struct remote *
run_large(struct field *f, uint32_t chunks, uint32_t may_read)
{
	struct remote *r = remote_new(f, KIND_UNSENT, chunks);

	r->work.ask.bytes = 10000;
	r->may_read = may_read;
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));

	return r;
}

static bool
others_ended(void *arg)
{
	struct remote *stalled = arg;

	for (struct remote *r = stalled->f->remotes; r; r = r->next)
		if (r != stalled && !r->ended)
			return false;

	return true;
}

/* One of many takes nothing: no more than its window is ever made for it, here,
 * there and in the engine, and the others do not notice. */
static void
one_of_many_stalls(void **state)
{
	struct field *f = *state;
	struct remote *stalled, *r;
	struct node_proc *w;
	long before[3], after[3];
	int n;

	f->options.lease_secs = 3000;
	f->kinds[KIND_UNSENT].window = WINDOW;
	front_start(f);
	w = worker_start(f);
	stalled = run_large(f, 1000000, 0);
	until_board(stalled, made, WINDOW);
	for (n = 0; n < 10; n++)
		run_large(f, 20, UINT32_MAX);
	until(f, others_ended, stalled);
	before[0] = memory_of(getpid());
	before[1] = memory_of(w->proc.pid);
	before[2] = memory_of(f->engine->proc.pid);
	for (n = 0; n < READERS; n++)
		run_large(f, 20, UINT32_MAX);
	until(f, others_ended, stalled);
	for (r = f->remotes; r; r = r->next)
		if (r != stalled)
			assert_complete(r);
	assert_int_equal(stalled->read, 0);
	assert_in_range(stalled->board->made, WINDOW, WINDOW + 1);

	/* all of what the others had is 200 MB */
	after[0] = memory_of(getpid());
	after[1] = memory_of(w->proc.pid);
	after[2] = memory_of(f->engine->proc.pid);
	for (n = 0; n < 3; n++)
		if (READERS == 1000)
			assert_true(after[n] - before[n] < 150000);

	/* and it goes on where it was */
	reader_may(stalled, 50);
	until_read(stalled, 50);
	assert_in_range(stalled->board->made, 50, 50 + WINDOW + 1);
}

/* They all stall, in turn. */
static void
readers_that_pause(void **state)
{
	struct field *f = *state;
	struct remote *r[20];
	uint32_t may;
	int n;

	f->options.lease_secs = 3000;
	f->kinds[KIND_UNSENT].window = 4;
	front_start(f);
	worker_start(f);
	for (n = 0; n < 20; n++)
		r[n] = run_large(f, 60, 0);
	for (may = 5; may < 60; may += 5)
		for (n = 0; n < 20; n++) {
			reader_may(r[n], may);
			until_read(r[n], may);
			assert_true(atomic_load(&r[n]->board->made) <=
				    (int)may + 5);
		}
	for (n = 0; n < 20; n++)
		reader_may(r[n], UINT32_MAX);
	until_all_ended(f);
	for (n = 0; n < 20; n++)
		assert_complete(r[n]);
}

static bool
serves_two(void *arg)
{
	struct node_proc *w = arg;

	return atomic_load(&w->board->serving) == 2;
}

/* A job counts until its reader has read all of it, also if its function has
 * ended. */
static void
no_more_than_max_jobs(void **state)
{
	struct field *f = *state;
	struct remote *r[3];
	struct node_proc *w;
	int n;

	f->options.lease_secs = 3000;
	f->worker_max_jobs = 2;
	front_start(f);
	w = worker_start(f);
	for (n = 0; n < 3; n++) {
		r[n] = remote_new(f, KIND_UNSENT, 3);
		r[n]->may_read = 0;
		r[n]->conn = reader_open(f);
		assert_non_null(remote_enqueue(r[n], r[n]->conn->wsi));
		if (n < 2) /* the front's threads do not keep the order */
			until_board(r[n], cleaned, 1);
	}
	until_secs(f, 1);
	assert_int_equal(r[2]->board->decoded, 0);
	until(f, front_waits, f);
	until(f, serves_two, w);
	reader_may(r[0], 3);
	until_ended(r[0]);
	assert_complete(r[0]);
	until_board(r[2], cleaned, 1);
	reader_may(r[1], 3);
	reader_may(r[2], 3);
	until_all_ended(f);
	assert_complete(r[1]);
	assert_complete(r[2]);
	until_no_jobs(f);
}

/* At the front one thread has all of them, at the worker two. */
static void
streams_on_one_thread(void **state)
{
	struct field *f = *state;
	struct conn *c = NULL;
	struct remote *r;
	int n;

	f->options.lease_secs = 3000;
	f->threads = 1;
	f->worker_max_jobs = STREAMS;
	front_start(f);
	for (n = 0; n < STREAMS; n++) {
		if (!(n % 100))
			c = reader_open(f);
		r = remote_new(f, KIND_UNSENT, 10);
		remote_limit(r, 5);
		assert_non_null(remote_enqueue(r, c->wsi));
	}
	worker_start(f);
	/* all of them are under way at the same time, and each comes so far */
	for (r = f->remotes; r; r = r->next)
		until_read(r, 5);
	for (r = f->remotes; r; r = r->next)
		remote_release(r);
	until_all_ended(f);
	for (r = f->remotes; r; r = r->next)
		assert_complete(r);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(one_of_many_stalls),
	FIELD_TEST(readers_that_pause),
	FIELD_TEST(no_more_than_max_jobs),
	FIELD_TEST(streams_on_one_thread),
};

FIELD_MAIN(tests)
