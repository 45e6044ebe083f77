/*
 * lws-threadpool unit tests - N1, what a pool says of itself now, and how often
 * things have happened
 *
 * SPDX-License-Identifier: MIT
 */

#include "numbers.h"

struct now {
	uint32_t running, queued, syncing, parked, done, kept;
	struct lws_threadpool *tp;
};

static bool
is_so_now(void *arg)
{
	const struct now *now = arg;
	struct lws_threadpool_stats s = stats_of(now->tp);

	rig_detail("running %u queued %u syncing %u parked %u done %u kept %u",
		   s.running, s.queued, s.syncing, s.parked, s.done, s.kept);

	/* each that has not ended is in one of the first four */
	return s.running == now->running && s.queued == now->queued &&
	       s.syncing == now->syncing && s.parked == now->parked &&
	       s.done == now->done && s.kept == now->kept &&
	       s.accepted - s.finished - s.stopped ==
		       s.running + s.queued + s.syncing + s.parked;
}

#define it_is_now(pool, ...) \
	wait_until(is_so_now, &((struct now){ .tp = (pool), __VA_ARGS__ }))

/* N1: each state apart, and what leaves one is in the next.  RUNNING is on a
 * thread or waits for one, and a parked one is not that. */
static void
tasks_in_each_state(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *syncing[3], *parked[2], *j;

	c->manual = true;
	it_is_now(tp, .done = 0);
	for (int n = 0; n < 4; n++) {
		j = job_new(rig);
		if (n == 3)
			j->last = LWS_TP_RETURN_STOPPED;
		job_enqueue(tp, j, c->wsi);
		wait_stat(tp, done, n + 1);
	}
	for (int n = 0; n < 3; n++)
		syncing[n] = job_park(rig, tp, c->wsi);
	for (int n = 0; n < 2; n++)
		parked[n] = job_sleep(rig, tp, n ? c->wsi : NULL);
	it_is_now(tp, .syncing = 3, .parked = 2, .done = 4);
	job_block(rig, tp, gate);
	job_block(rig, tp, gate);
	for (int n = 0; n < 5; n++)
		assert_non_null(job_enqueue(tp, job_new(rig),
					    n & 1 ? c->wsi : NULL));
	it_is_now(tp, .running = 2, .queued = 5, .syncing = 3, .parked = 2,
		  .done = 4);
	/* resumed, and woken: they wait for a thread */
	lws_threadpool_task_sync(syncing[0]->task, 0);
	lws_threadpool_task_wake(parked[0]->task);
	it_is_now(tp, .running = 4, .queued = 5, .syncing = 2, .parked = 1,
		  .done = 4);
	/* reaped */
	lws_threadpool_task_status(j->task, NULL);
	it_is_now(tp, .running = 4, .queued = 5, .syncing = 2, .parked = 1,
		  .done = 3);
	gate_open(gate);
	wait_int(&parked[0]->cleanups, 1);
	/* three and two that were queued, and the SYNC that was answered */
	wait_stat(tp, done, 3 + 2 + 1);
	wait_stat(tp, running, 0);
	it_is_now(tp, .syncing = 2, .parked = 1, .done = 6);
	c->manual = false;
	lws_threadpool_task_wake(parked[1]->task);
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
	rig_until_stat(rig, tp, done, 0);
	it_is_now(tp, .done = 0);
}

/* K4: kept ones apart from those that are done */
static void
kept_ones_apart(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct gate *gate = gate_new(rig);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[3];
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	c->manual = true;
	job_block(rig, tp, gate);
	for (int n = 0; n < 3; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], n ? NULL : c->wsi));
		assert_int_equal(
			lws_threadpool_task_token(j[n]->task, 0, token), 0);
	}
	gate_open(gate);
	wait_stat(tp, kept, 2);
	wait_stat(tp, done, 1);
	it_is_now(tp, .done = 1, .kept = 2);
	lws_threadpool_task_status(j[1]->task, NULL);
	it_is_now(tp, .done = 1, .kept = 1);
	conn_fin(c);
	conn_until_closed(c);
	rig_until_stat(rig, tp, kept, 2);
	it_is_now(tp, .kept = 2);
}

/* N1: the threads that there are */
static void
threads(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(stats_of(rig_pool(rig, 1, 1)).threads, 1);
	assert_int_equal(stats_of(rig_pool(rig, 7, 1)).threads, 7);
}

/* ---- how often ---- */

struct so_far {
	struct lws_threadpool_stats s; /* as it should be */
	struct lws_threadpool *tp;
};

static bool
is_counted(void *arg)
{
	const struct so_far *f = arg;
	struct lws_threadpool_stats s = stats_of(f->tp);

	return s.accepted == f->s.accepted && s.refused == f->s.refused &&
	       s.finished == f->s.finished && s.stopped == f->s.stopped &&
	       s.timed_out == f->s.timed_out && s.syncs == f->s.syncs &&
	       s.wakes == f->s.wakes && s.calls == f->s.calls;
}

/* They become these numbers, and stay so */
static void
so_often(struct rig *rig, struct so_far *f)
{
	rig_until(rig, is_counted, f);
	rig_turns(rig, 3);
	assert_true(is_counted(f));
}

/* N1: accepted, FINISHED and STOPPED ones of whatever reason */
static void
ends_are_counted(void **state)
{
	struct rig *rig = *state;
	struct so_far f = { .tp = rig_pool(rig, 2, 100) };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j[3];

	for (int n = 0; n < 10; n++) {
		j[0] = job_script(rig, n, LWS_TP_RETURN_CHECKING_IN);
		if (n & 1)
			j[0]->last = LWS_TP_RETURN_STOPPED;
		job_enqueue(f.tp, j[0], n & 2 ? c->wsi : NULL);
	}
	f.s.accepted = 10;
	f.s.finished = f.s.stopped = 5;
	so_often(rig, &f);

	/* asked to: before it starts, by a dequeue of a queued one, and by the
	 * close of its wsi */
	job_block(rig, f.tp, gate);
	job_block(rig, f.tp, gate);
	for (int n = 0; n < 3; n++) {
		j[n] = job_new(rig);
		job_enqueue(f.tp, j[n], c->wsi);
	}
	lws_threadpool_task_sync(j[0]->task, 1);
	lws_threadpool_dequeue_task(j[1]->task);
	conn_fin(c);
	conn_until_closed(c);
	f.s.accepted += 5;
	f.s.stopped += 3;
	so_often(rig, &f);
	gate_open(gate);
	f.s.finished += 2;
	so_often(rig, &f);

	/* T6 */
	j[0] = job_new(rig);
	j[0]->last = 4321;
	job_enqueue(f.tp, j[0], NULL);
	f.s.accepted++;
	f.s.stopped++;
	log_wait(LLL_ERR, "4321", 1);
	so_often(rig, &f);
	assert_int_equal(log_claim(LLL_ERR, "4321"), 1);
}

/* N1: every enqueue that a live pool refuses, whatever for; and nothing else */
static void
refusals_are_counted(void **state)
{
	struct rig *rig = *state;
	struct so_far f = { .tp = rig_pool(rig, 1, 2) };
	struct lws_threadpool_task_options o = { .size = sizeof(o) };
	struct lws_threadpool_task_args args;
	struct gate *gate = gate_new(rig);
	struct job *j = job_new(rig);

	job_block(rig, f.tp, gate);
	for (int n = 0; n < 5; n++)
		job_enqueue(f.tp, job_new(rig), NULL);
	f.s.accepted = 3;
	f.s.refused = 3;
	so_often(rig, &f);
	job_args(j, NULL, &args);
	args.task = NULL;
	assert_null(lws_threadpool_enqueue(f.tp, &args, "no function"));
	assert_null(lws_threadpool_enqueue(f.tp, NULL, "no args"));
	job_args(j, NULL, &args);
	o.queue_ms = -1;
	assert_null(lws_threadpool_enqueue_ext(f.tp, &args, &o, "negative"));
	o.size = 1;
	assert_null(lws_threadpool_enqueue_ext(f.tp, &args, &o, "size"));
	f.s.refused += 4;
	so_often(rig, &f);
	gate_open(gate);
	rig_until_cleaned(rig);
	f.s.finished = 3;
	lws_threadpool_drain(f.tp);
	job_enqueue(f.tp, job_new(rig), NULL);
	lws_threadpool_finish(f.tp);
	job_enqueue(f.tp, job_new(rig), NULL);
	f.s.refused += 2;
	so_often(rig, &f);
	/* these are no enqueues */
	assert_null(lws_threadpool_task_by_token(f.tp, "nobody's"));
	assert_null(lws_threadpool_wsi_handle(f.tp, NULL));
	assert_int_equal(lws_threadpool_foreach_task(f.tp, NULL, NULL), -1);
	so_often(rig, &f);

	/* an attach is none either */
	f.tp = rig_pool(rig, 1, 2);
	gate_close(gate);
	j = job_block(rig, f.tp, gate);
	f.s = (struct lws_threadpool_stats){ .accepted = 1 };
	assert_int_equal(lws_threadpool_task_attach(j->task, NULL), -1);
	so_often(rig, &f);
	gate_open(gate);
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
}

static void
called(struct lws_context *context, void *arg)
{
	assert_non_null(context);
	atomic_fetch_add((atomic_int *)arg, 1);
}

/* N1: SYNCs; wakes of live tasks, whether or not they had an effect; calls */
static void
syncs_wakes_and_calls_are_counted(void **state)
{
	struct rig *rig = *state;
	struct so_far f = { .tp = rig_pool(rig, 1, 100) };
	struct lws_threadpool *other = rig_pool(rig, 1, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 12, LWS_TP_RETURN_SYNC), *parked;
	atomic_int calls = 0;

	job_enqueue(f.tp, j, c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	f.s.accepted = f.s.finished = 1;
	f.s.syncs = 12;
	so_often(rig, &f);

	parked = job_sleep(rig, f.tp, NULL);
	lws_threadpool_task_wake(parked->task);
	wait_int(&parked->cleanups, 1);
	f.s.accepted = f.s.finished = 2;
	f.s.wakes = 1;
	so_often(rig, &f);
	lws_threadpool_task_wake(parked->task);
	lws_threadpool_task_wake(NULL);
	so_often(rig, &f);
	c->manual = true;
	j = job_park(rig, f.tp, c->wsi);
	for (int n = 0; n < 3; n++)
		lws_threadpool_task_wake(j->task);
	f.s.accepted = 3;
	f.s.syncs = 13;
	f.s.wakes = 4;
	so_often(rig, &f);

	for (int n = 0; n < 7; n++)
		assert_int_equal(lws_threadpool_call(n < 5 ? f.tp : other, 0,
						     called, &calls),
				 0);
	rig_until_int(rig, &calls, 7);
	f.s.calls = 5;
	so_often(rig, &f);
	assert_int_equal(stats_of(other).calls, 2);
}

/* N1: by S5, D1 and D2; and they are STOPPED too */
static void
time_outs_are_counted(void **state)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .sync_timeout_secs = 1 };
	struct rig *rig = *state;
	struct so_far f = { .tp = rig_pool_ext(rig, 2, 100, &o) };
	struct lws_threadpool_task_options to = { .size = sizeof(to) };
	struct lws_threadpool_task_args args;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j[3];

	c->manual = true;
	j[0] = job_park(rig, f.tp, c->wsi);
	j[1] = job_script(rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);
	to.life_ms = 20;
	job_args(j[1], NULL, &args);
	job_accepted(j[1], lws_threadpool_enqueue_ext(f.tp, &args, &to,
						      "short-lived"));
	rig_until_int(rig, &j[0]->stopping, 1);
	rig_until_int(rig, &j[1]->cleanups, 1);
	job_block(rig, f.tp, gate);
	job_block(rig, f.tp, gate);
	j[2] = job_new(rig);
	to.life_ms = 0;
	to.queue_ms = 20;
	job_args(j[2], NULL, &args);
	job_accepted(j[2],
		     lws_threadpool_enqueue_ext(f.tp, &args, &to, "impatient"));
	rig_until_int(rig, &j[2]->cleanups, 1);
	gate_open(gate);
	f.s.accepted = 5;
	f.s.finished = 2;
	f.s.stopped = f.s.timed_out = 3;
	f.s.syncs = 1;
	so_often(rig, &f);
	log_claim(LLL_WARN, "");
}

/* ---- while it works ---- */

struct asker {
	pthread_t thread;
	struct lws_threadpool *tp;
	atomic_int quit, times;
	const char *fault;
};

static bool
went_back(const struct lws_threadpool_stats *was,
	  const struct lws_threadpool_stats *s)
{
	return s->accepted < was->accepted || s->finished < was->finished ||
	       s->stopped < was->stopped || s->syncs < was->syncs ||
	       s->wakes < was->wakes || s->run_total_us < was->run_total_us ||
	       samples(s->queue_us) < samples(was->queue_us) ||
	       samples(s->sync_us) < samples(was->sync_us);
}

static void *
ask_and_ask(void *arg)
{
	struct asker *a = arg;
	struct lws_threadpool_stats s, was;

	memset(&was, 0, sizeof(was));
	while (!atomic_load(&a->quit)) {
		s.size = sizeof(s);
		if (lws_threadpool_get_stats(a->tp, &s))
			a->fault = "refused";
		else if (went_back(&was, &s))
			a->fault = "a counter went back";
		else if (s.running > 300 || s.queued > 300 || s.syncing > 300 ||
			 s.parked || s.done > 300 || s.kept)
			a->fault = "more tasks than there are";
		was = s;
		atomic_fetch_add(&a->times, 1);
	}

	return NULL;
}

/* N1: from any thread at any time; and in the end all adds up */
static void
asked_while_it_works(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct asker a = { .tp = tp };
	struct so_far f = { .tp = tp };

	assert_int_equal(pthread_create(&a.thread, NULL, ask_and_ask, &a), 0);
	for (int n = 0; n < 300; n++) {
		struct job *j = job_script(rig, n < 20 ? 500 : n % 3,
					   LWS_TP_RETURN_SYNC);

		assert_non_null(job_enqueue(tp, j, c->wsi));
		f.s.syncs += (uint64_t)j->repeat;
		if (n % 10 == 0)
			lws_threadpool_task_wake(j->task);
		if (n % 50 == 0)
			rig_turns(rig, 3);
	}
	rig_until_cleaned(rig);
	rig_until_int(rig, &a.times, 100);
	atomic_store(&a.quit, 1);
	pthread_join(a.thread, NULL);
	if (a.fault)
		fail_msg("%s", a.fault);
	f.s.accepted = f.s.finished = 300;
	f.s.wakes = 30;
	so_often(rig, &f);
	it_is_now(tp, .done = 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(tasks_in_each_state),
		RIG_TEST(kept_ones_apart),
		RIG_TEST(threads),
		RIG_TEST(ends_are_counted),
		RIG_TEST(refusals_are_counted),
		RIG_TEST(syncs_wakes_and_calls_are_counted),
		RIG_TEST(time_outs_are_counted),
		RIG_TEST(asked_while_it_works),
	};

	return cmocka_run_group_tests_name("N1 a pool's numbers", tests, NULL,
					   NULL);
}
