/*
 * lws-threadpool cluster tests - fronts that die, and others that go on
 *
 * SPDX-License-Identifier: MIT
 */

#include "wild.h"

#include <unistd.h>

#define CHUNKS 10

static bool
has_token(void *arg)
{
	struct node_proc *w = arg;

	return w->board->token[0];
}

static bool
is_cleaned_there(void *arg)
{
	struct board_job *b = arg;
	int decoded = atomic_load(&b->decoded);

	return decoded && atomic_load(&b->cleaned) == decoded;
}

static bool
has_come_to(void *arg)
{
	struct board_job *b = arg;

	return atomic_load(&b->most) >= 3;
}

/* A front with one job, of which three chunks are made, is killed. */
static struct board_job *
front_dies(struct field *f, int linger, int *job, char *token)
{
	struct board_job *b = &board->jobs[f->jobs];
	struct node_proc *front;

	atomic_store(&b->limit, 3);
	front = front_spawn(f, CHUNKS, linger, job);
	until(f, has_come_to, b);
	if (linger) {
		until(f, has_token, front);
		snprintf(token, LWS_THREADPOOL_TOKEN_SIZE, "%s",
			 front->board->token);
	}
	proc_kill(&front->proc);

	return b;
}

static void
front_killed_and_nobody_waits(void **state)
{
	struct field *f = *state;
	struct board_job *b;
	int job;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	b = front_dies(f, 0, &job, NULL);
	until(f, is_cleaned_there, b);
	assert_int_equal(b->finished, 0);
	until_no_jobs(f);
}

static void
goes_on_from(struct field *f, uint32_t have)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct board_job *b;
	struct remote *r;
	int job;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	b = front_dies(f, 600, &job, token);
	r = remote_attach(f, job, have, token, reader_open(f)->wsi);
	assert_non_null(r->task);
	r->work.ask.chunks = CHUNKS;
	until_read(r, 3 - have);
	assert_int_equal(r->ended, 0);
	atomic_store(&b->limit, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
	until_no_jobs(f);
}

static void
front_killed_and_another_goes_on(void **state)
{
	goes_on_from(*state, 3);
}

static void
chunks_that_were_not_seen_come_again(void **state)
{
	goes_on_from(*state, 1);
}

static void
all_of_them_come_again(void **state)
{
	goes_on_from(*state, 0);
}

/* Nobody comes within linger_secs: it is stopped, and is then unknown. */
static void
nobody_comes(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct board_job *b;
	struct remote *r;
	int job;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	b = front_dies(f, 1, &job, token);
	until(f, is_cleaned_there, b);
	assert_int_equal(b->finished, 0);
	until_no_jobs(f);
	r = remote_attach(f, job, 3, token, reader_open(f)->wsi);
	assert_non_null(r->task);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
}

static void
token_that_nobody_knows(void **state)
{
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	worker_start(f);
	r = remote_attach(f, 0, 0, "00112233445566778899aabbccddeeff",
			  reader_open(f)->wsi);
	assert_non_null(r->task);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
}

/* A job has 4,000,000,000 at most; of so many the reader may say that it has
 * seen them. */
static void
more_chunks_than_there_can_be(void **state)
{
	static const char token[] = "00112233445566778899aabbccddeeff";
	struct field *f = *state;
	struct remote *r;

	field_short_lease(f);
	front_start(f);
	r = remote_attach(f, 0, 4000000001u, token, reader_open(f)->wsi);
	assert_null(r->task);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	r = remote_attach(f, 0, 4000000000u, token, reader_open(f)->wsi);
	assert_non_null(r->task);
	until_ended(r);
	assert_end(r, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
}

static bool
is_cleaned_here(void *arg)
{
	struct remote *r = arg;

	return atomic_load(&r->cleaned);
}

static atomic_bool keeps_busy;

static enum lws_threadpool_task_return
keep_busy(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	while (atomic_load(&keeps_busy))
		usleep(1000);

	return LWS_TP_RETURN_FINISHED;
}

static void
keep_busy_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
}

static struct lws_threadpool_cluster *
another_front(struct field *f)
{
	struct lws_threadpool_cluster *c;

	c = lws_threadpool_cluster_create(f->pool, &f->options);
	assert_non_null(c);
	assert_int_equal(
		lws_threadpool_cluster_add_kind(c, &f->kinds[KIND_LINGER]), 0);
	assert_int_equal(
		lws_threadpool_cluster_add_kind(c, &f->kinds[KIND_NEVER]), 0);

	return c;
}

static bool
is_there(void *arg)
{
	struct lws_threadpool_cluster_stats stats;

	memset(&stats, 0, sizeof(stats));
	stats.size = sizeof(stats);
	lws_threadpool_cluster_get_stats(arg, &stats);

	return stats.connected;
}

/* Before its first call nobody but its own front knows of a job: it does not
 * linger. */
static void
reader_goes_before_the_first_call(void **state)
{
	struct lws_threadpool_task_args args = { .task = keep_busy,
						 .cleanup = keep_busy_cleanup };
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct lws_threadpool_cluster *first;
	struct field *f = *state;
	struct remote *r[2];

	field_short_lease(f);
	f->threads = 1;
	front_start(f);
	worker_start(f);
	atomic_store(&keeps_busy, true);
	assert_non_null(lws_threadpool_enqueue(f->pool, &args, "busy"));
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, BOARD_FREE);
	assert_int_equal(lws_threadpool_cluster_token(r[0]->task, token), 0);
	conn_fin(r[0]->conn);
	conn_until_closed(r[0]->conn);
	atomic_store(&keeps_busy, false);
	until(f, is_cleaned_here, r[0]);
	first = f->front;
	f->front = another_front(f);
	until(f, is_there, f->front);
	r[1] = remote_attach(f, (int)r[0]->work.ask.job, 0, token,
			     reader_open(f)->wsi);
	assert_non_null(r[1]->task);
	until_ended(r[1]);
	assert_end(r[1], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
	assert_int_equal(r[0]->board->decoded, 0);
	lws_threadpool_cluster_destroy(first);
}

/* Its first reader loses it. */
static void
taken_by_another_front(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct lws_threadpool_cluster *first;
	struct field *f = *state;
	struct remote *r[2];

	f->options.lease_secs = 3000;
	front_start(f);
	worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	assert_int_equal(lws_threadpool_cluster_token(r[0]->task, token), 0);
	until_read(r[0], 3);
	first = f->front;
	f->front = another_front(f);
	until(f, is_there, f->front);
	r[1] = remote_attach(f, (int)r[0]->work.ask.job, 3, token,
			     reader_open(f)->wsi);
	assert_non_null(r[1]->task);
	until_ended(r[0]);
	assert_end(r[0], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	assert_int_equal(r[1]->ended, 0);
	r[1]->work.ask.chunks = CHUNKS;
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	assert_int_equal(r[0]->board->begun, 1);
	until_no_jobs(f);
	lws_threadpool_cluster_destroy(first);
}

/* ... which was cut off when that happened: it hears of it when it is back, and
 * does no harm to the other. */
static void
taken_while_it_is_cut_off(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct lws_threadpool_cluster *first;
	struct field *f = *state;
	struct remote *r[2];

	field_short_lease(f);
	f->options.engine_secs = 600;
	relay_start(f, 8);
	f->options.url = f->relay_url;
	f->worker_url = f->engine->url;
	front_start(f);
	worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	assert_int_equal(lws_threadpool_cluster_token(r[0]->task, token), 0);
	until_read(r[0], 3);
	first = f->front;
	proc_pause(&f->relay);
	until(f, front_is_away, f);
	f->options.url = f->engine->url;
	f->front = another_front(f);
	until(f, is_there, f->front);
	r[1] = remote_attach(f, (int)r[0]->work.ask.job, 3, token,
			     reader_open(f)->wsi);
	assert_non_null(r[1]->task);
	r[1]->work.ask.chunks = CHUNKS;
	remote_limit(r[0], 5);
	until_read(r[1], 2);
	proc_resume(&f->relay);
	until_ended(r[0]);
	assert_end(r[0], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	assert_int_equal(r[0]->board->begun, 1);
	until_no_jobs(f);
	lws_threadpool_cluster_destroy(first);
}

#define READERS 7

static bool
one_is_left(void *arg)
{
	struct remote **r = arg;
	int n, left = 0;

	for (n = 0; n < READERS; n++)
		left += !r[n]->ended;

	return left <= 1;
}

/* One of them has it in the end, and the others do not. */
static void
two_at_a_time(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct lws_threadpool_cluster *fronts[2];
	struct remote *r[READERS], *last = NULL;
	struct field *f = *state;
	int n;

	f->options.lease_secs = 3000;
	front_start(f);
	worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	assert_int_equal(lws_threadpool_cluster_token(r[0]->task, token), 0);
	until_read(r[0], 3);
	fronts[0] = f->front;
	fronts[1] = another_front(f);
	until(f, is_there, fronts[1]);
	for (n = 1; n < READERS; n++) {
		f->front = fronts[n % 2];
		r[n] = remote_attach(f, (int)r[0]->work.ask.job, 3, token,
				     reader_open(f)->wsi);
		assert_non_null(r[n]->task);
		r[n]->work.ask.chunks = CHUNKS;
	}
	until(f, one_is_left, r);
	for (n = 0; n < READERS; n++)
		if (r[n]->ended)
			assert_end(r[n], LWS_TP_STATUS_STOPPED,
				   LWS_TP_CLUSTER_ASKED);
		else
			last = r[n];
	remote_release(r[0]);
	assert_non_null(last);
	until_ended(last);
	assert_complete(last);
	assert_int_equal(r[0]->board->begun, 1);
	until_no_jobs(f);
	f->front = fronts[0];
	lws_threadpool_cluster_destroy(fronts[1]);
}

static bool
is_parked_here(void *arg)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };
	struct remote *r = arg;

	return !lws_threadpool_task_get_info(r->task, &info) && info.parked;
}

/* Its connection closes, and the job waits for the next one.  Late: when the
 * task has ended, which nobody wakes any more. */
static void
another_comes(struct field *f, bool late)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct remote *r[2];

	f->options.lease_secs = 3000;
	front_start(f);
	worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, CHUNKS, 3);
	assert_int_equal(lws_threadpool_cluster_token(r[0]->task, token), 0);
	until_read(r[0], 3);
	if (late)
		until(f, is_parked_here, r[0]);
	conn_fin(r[0]->conn);
	conn_until_closed(r[0]->conn);
	if (late) {
		until(f, is_cleaned_here, r[0]);
		log_info();
	}
	r[1] = remote_attach(f, (int)r[0]->work.ask.job, 3, token,
			     reader_open(f)->wsi);
	assert_non_null(r[1]->task);
	until_ended(r[0]);
	assert_end(r[0], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	r[1]->work.ask.chunks = CHUNKS;
	remote_release(r[0]);
	until_ended(r[1]);
	assert_complete(r[1]);
	assert_int_equal(r[0]->board->begun, 1);
	until_no_jobs(f);
}

static void
reader_goes_and_another_comes(void **state)
{
	another_comes(*state, false);
}

static void
reader_has_gone_and_another_comes(void **state)
{
	another_comes(*state, true);
	log_on();
	assert_int_equal(log_count(LLL_INFO, "lws_threadpool_task_wake"), 0);
}

/* It is not kept for longer than a window. */
static void
too_early_a_chunk(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct remote *r[2];

	f->options.lease_secs = 3000;
	f->kinds[KIND_LINGER].window = 2;
	front_start(f);
	worker_start(f);
	r[0] = remote_run(f, KIND_LINGER, 100, 50);
	assert_int_equal(lws_threadpool_cluster_token(r[0]->task, token), 0);
	until_read(r[0], 50);
	r[1] = remote_attach(f, (int)r[0]->work.ask.job, 10, token,
			     reader_open(f)->wsi);
	assert_non_null(r[1]->task);
	until_ended(r[1]);
	assert_end(r[1], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_REFUSED);
	assert_int_equal(log_count(LLL_WARN,
				   "is refused: attach: the worker cannot go "
				   "on after chunk: 10"),
			 1);
}

/* --- a job that may run once, whose front is not there -------------------- */

/* Its front goes; a worker has it, and asks nobody. */
static struct remote *
attach_to_one_that_asks(struct field *f, struct remote *old, const char *token)
{
	struct node_proc *w;
	struct remote *r;

	front_destroy(f);
	f->front = another_front(f);
	until(f, is_there, f->front);
	w = worker_start(f);
	until_serving(f, w, 1);
	r = remote_attach(f, (int)old->work.ask.job, 0, token,
			  reader_open(f)->wsi);
	assert_non_null(r->task);
	r->work.ask.chunks = CHUNKS;
	remote_release(old);
	until_ended(r);

	return r;
}

/* The worker that had begun it is dead. */
static void
never_is_not_begun_by_an_attach(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct remote *r, *attached;
	struct node_proc *w;

	field_short_lease(f);
	f->kinds[KIND_NEVER].linger_secs = 600;
	front_start(f);
	w = worker_start(f);
	r = remote_run(f, KIND_NEVER, CHUNKS, 3);
	assert_int_equal(lws_threadpool_cluster_token(r->task, token), 0);
	until_read(r, 3);
	worker_kill(w);
	attached = attach_to_one_that_asks(f, r, token);
	assert_end(attached, LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_LOST);
	assert_int_equal(r->board->begun, 1);
	assert_int_equal(r->board->decoded, 1);
	until_no_jobs(f);
}

/* No worker ever had it. */
static void
never_that_nobody_had_is_begun(void **state)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct remote *r, *attached;

	f->options.lease_secs = 3000;
	f->kinds[KIND_NEVER].linger_secs = 600;
	front_start(f);
	r = remote_run(f, KIND_NEVER, CHUNKS, BOARD_FREE);
	assert_int_equal(lws_threadpool_cluster_token(r->task, token), 0);
	until_jobs(f, 1);
	attached = attach_to_one_that_asks(f, r, token);
	assert_complete(attached);
	assert_int_equal(r->board->begun, 1);
	until_no_jobs(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(front_killed_and_nobody_waits),
	FIELD_TEST(front_killed_and_another_goes_on),
	FIELD_TEST(chunks_that_were_not_seen_come_again),
	FIELD_TEST(all_of_them_come_again),
	FIELD_TEST(nobody_comes),
	FIELD_TEST(token_that_nobody_knows),
	FIELD_TEST(more_chunks_than_there_can_be),
	FIELD_TEST(taken_by_another_front),
	FIELD_TEST(taken_while_it_is_cut_off),
	FIELD_TEST(reader_goes_before_the_first_call),
	FIELD_TEST(reader_goes_and_another_comes),
	FIELD_TEST(reader_has_gone_and_another_comes),
	FIELD_TEST(two_at_a_time),
	FIELD_TEST(too_early_a_chunk),
	FIELD_TEST(never_is_not_begun_by_an_attach),
	FIELD_TEST(never_that_nobody_had_is_begun),
};

FIELD_MAIN(tests)
