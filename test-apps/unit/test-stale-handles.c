/*
 * lws-threadpool unit tests - Q6, handles that are stale or never were valid
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

static int
no_visit(struct lws_threadpool_task *task, void *user)
{
	(void)task;
	(*(int *)user)++;

	return 0;
}

/* every call that takes a task, on one that is none */
static void
is_harmless(struct lws_threadpool_task *task)
{
	void *user = &user;

	assert_int_equal(lws_threadpool_task_status(task, &user),
			 LWS_TP_STATUS_FINISHED);
	assert_null(user);
	assert_int_equal(lws_threadpool_task_status(task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_task_status_noreap(task),
			 LWS_TP_STATUS_FINISHED);
	lws_threadpool_task_sync(task, 0);
	lws_threadpool_task_sync(task, 1);
	assert_int_equal(lws_threadpool_dequeue_task(task), 0);
}

/* Q6: one INFO line a call, and nothing worse */
static void
each_call_logs_one_line(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	job_enqueue(tp, j, c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	log_info();
	log_forget();
	lws_threadpool_task_status(j->task, NULL);
	assert_int_equal(log_count(LLL_INFO, ""), 1);
	lws_threadpool_task_status_noreap(j->task);
	assert_int_equal(log_count(LLL_INFO, ""), 2);
	lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(log_count(LLL_INFO, ""), 3);
	lws_threadpool_task_sync(j->task, 1);
	assert_int_equal(log_count(LLL_INFO, ""), 4);
	lws_threadpool_dequeue_task(j->task);
	assert_int_equal(log_count(LLL_INFO, ""), 5);
	assert_int_equal(log_unclaimed(), 0);
}

/* Q6: reaped in each of the ways there are, and in other states of the pool */
static void
after_every_way_to_end(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *hold = gate_new(rig);
	struct job *reaped = job_new(rig), *dequeued = job_new(rig),
		   *detached = job_new(rig), *closed = job_new(rig);

	job_enqueue(tp, reaped, c->wsi);
	rig_until_int(rig, &reaped->cleanups, 1);
	is_harmless(reaped->task);

	job_enqueue(tp, detached, NULL);
	rig_until_int(rig, &detached->cleanups, 1);
	is_harmless(detached->task);

	job_block(rig, tp, hold);
	job_enqueue(tp, dequeued, c->wsi);
	job_enqueue(tp, closed, c->wsi);
	lws_threadpool_dequeue_task(dequeued->task);
	is_harmless(dequeued->task);
	conn_fin(c);
	conn_until_closed(c);
	is_harmless(closed->task);
	gate_open(hold);

	lws_threadpool_finish(tp);
	is_harmless(reaped->task);
	rig_pool_destroy(rig, tp);
	is_harmless(reaped->task);
	is_harmless(closed->task);
	tp = rig_pool(rig, 1, 10);
	is_harmless(reaped->task);
	rig_context_destroy(rig);
	is_harmless(reaped->task);
}

/* Q6: it never reaches the task that came in its place */
static void
never_another_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 2000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task *stale[1000];
	struct job *j, *live[1000];

	c->manual = true;
	for (int n = 0; n < 1000; n++) {
		j = job_new(rig);
		stale[n] = job_enqueue(tp, j, c->wsi);
		wait_status(j, LWS_TP_STATUS_FINISHED);
		lws_threadpool_task_status(j->task, NULL);
		for (int m = n > 20 ? n - 20 : 0; m < n; m++)
			assert_ptr_not_equal(stale[m], stale[n]);
	}
	/* every place that the stale ones had is taken: queued, running,
	 * SYNCING and done ones */
	for (int n = 0; n < 1000; n++) {
		live[n] = n & 1 ? job_new(rig) :
				  job_script(rig, 1, LWS_TP_RETURN_SYNC);
		if (n == 500)
			live[n]->gate = gate_new(rig);
		assert_non_null(job_enqueue(tp, live[n], c->wsi));
		for (int m = 0; m < 1000; m++)
			assert_ptr_not_equal(live[n]->task, stale[m]);
	}
	wait_int(&live[500]->calls, 1);
	for (int n = 0; n < 1000; n++)
		is_harmless(stale[n]);
	for (int n = 0; n < 1000; n++) {
		assert_int_equal(atomic_load(&live[n]->cleanups), 0);
		assert_int_equal(
			lws_threadpool_task_status_noreap(live[n]->task),
			n == 500 ? LWS_TP_STATUS_RUNNING :
			n > 500	 ? LWS_TP_STATUS_QUEUED :
			n & 1	 ? LWS_TP_STATUS_FINISHED :
				   LWS_TP_STATUS_SYNCING);
	}
}

/* Q6: not after very many that came in its place */
static void
not_after_a_hundred_thousand(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task *stale;
	struct job *first = job_new(rig), *last = job_new(rig);
	struct lws_threadpool_task_args args;

	job_block(rig, tp, gate_new(rig));
	stale = job_enqueue(tp, first, c->wsi);
	lws_threadpool_dequeue_task(stale);
	job_args(last, c->wsi, &args);
	args.cleanup = NULL;
	for (int n = 0; n < 100000; n++) {
		struct lws_threadpool_task *task = lws_threadpool_enqueue(
			tp, &args, "one");

		assert_non_null(task);
		assert_ptr_not_equal(task, stale);
		lws_threadpool_dequeue_task(task);
	}
	job_enqueue(tp, last, c->wsi);
	is_harmless(stale);
	assert_int_equal(lws_threadpool_task_status(last->task, NULL),
			 LWS_TP_STATUS_QUEUED);
}

#if UINTPTR_MAX <= 0xffffffffu

/* Limits: with handles of 32 bits not before a million, and that with few tasks
 * at a time, which is the worst */
static void
not_before_a_million(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task *stale, *task;
	struct lws_threadpool_task_args args;
	struct job *j = job_new(rig);

	job_block(rig, tp, gate_new(rig));
	stale = job_enqueue(tp, j, c->wsi);
	lws_threadpool_dequeue_task(stale);
	job_args(j, c->wsi, &args);
	args.cleanup = NULL;
	for (int n = 0; n < 1000000; n++) {
		task = lws_threadpool_enqueue(tp, &args, "one");
		assert_non_null(task);
		assert_ptr_not_equal(task, stale);
		lws_threadpool_dequeue_task(task);
	}
	is_harmless(stale);
}

#endif

static uint64_t
noise(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;

	return *x;
}

/* Q6: what never was a handle: numbers, addresses, pools, near misses */
static void
never_valid(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	uint64_t x = 88172645463325252u;
	uintptr_t live;
	char byte = 0;

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	live = (uintptr_t)j->task;

	is_harmless(NULL);
	is_harmless((struct lws_threadpool_task *)&byte);
	is_harmless((struct lws_threadpool_task *)rig);
	is_harmless((struct lws_threadpool_task *)c->wsi);
	is_harmless((struct lws_threadpool_task *)tp);
	for (size_t bit = 0; bit < sizeof(live) * 8; bit++) {
		is_harmless((struct lws_threadpool_task *)((uintptr_t)1
							   << bit));
		is_harmless((struct lws_threadpool_task *)~((uintptr_t)1
							    << bit));
		is_harmless((struct lws_threadpool_task *)(live ^
							   (uintptr_t)1
								   << bit));
	}
	for (uintptr_t n = 0; n < 5000; n++) {
		is_harmless((struct lws_threadpool_task *)n);
		is_harmless((struct lws_threadpool_task *)(UINTPTR_MAX - n));
		if (n)
			is_harmless((struct lws_threadpool_task *)(live + n));
	}
	for (int n = 0; n < 50000; n++) {
		uintptr_t v = (uintptr_t)noise(&x);

		if (v != live)
			is_harmless((struct lws_threadpool_task *)v);
	}
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(atomic_load(&j->calls), 1);
}

/* every call that takes a pool, on one that is none: an error each, and the
 * value for a failure */
static void
pool_is_harmless(struct rig *rig, struct lws_threadpool *tp, struct conn *c)
{
	int o = 5, p = 5, q = 5, errors = log_count(LLL_ERR, "");

	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	lws_threadpool_finish(tp);
	lws_threadpool_destroy(tp);
	lws_threadpool_dump(tp);
	lws_threadpool_diagnose(tp, &o, &p, &q);
	assert_int_equal(o + p + q, 0);
	lws_threadpool_diagnose(tp, NULL, NULL, NULL);
	assert_int_equal(log_claim(LLL_ERR, ""), errors + 7);
}

/* Q6 for pools: destroyed, never valid, a task, with another in its place */
static void
pools(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *stale = rig_pool(rig, 2, 10), *tp;
	struct conn *c = conn_open(rig, CONN_RAW);
	uint64_t x = 88172645463325252u;
	struct job *j;
	int depth;

	rig_pool_destroy(rig, stale);
	pool_is_harmless(rig, stale, c);
	for (int n = 0; n < 20; n++) {
		tp = rig_pool(rig, 1, 10);
		assert_ptr_not_equal(tp, stale);
		if (n < 19)
			rig_pool_destroy(rig, tp);
	}
	pool_is_harmless(rig, stale, c);
	pool_is_harmless(rig, NULL, c);
	pool_is_harmless(rig, (struct lws_threadpool *)c, c);
	pool_is_harmless(rig, (struct lws_threadpool *)UINTPTR_MAX, c);
	for (int n = 0; n < 200; n++) {
		uintptr_t v = (uintptr_t)noise(&x);

		pool_is_harmless(rig, (struct lws_threadpool *)v, c);
	}
	for (size_t bit = 0; bit < sizeof(tp) * 8; bit++)
		pool_is_harmless(rig,
				 (struct lws_threadpool *)((uintptr_t)tp ^
							   (uintptr_t)1 << bit),
				 c);
	j = job_gated(rig, gate_new(rig));
	job_enqueue(tp, j, c->wsi);
	pool_is_harmless(rig, (struct lws_threadpool *)j->task, c);
	wait_int(&j->calls, 1);
	job_enqueue(tp, job_new(rig), NULL);
	lws_threadpool_diagnose(tp, NULL, NULL, &depth);
	assert_int_equal(depth, 1);
}

static void
wsi_is_harmless(struct lws *wsi)
{
	int visits = 0;

	assert_null(lws_threadpool_get_task_wsi(wsi));
	assert_int_equal(
		lws_threadpool_foreach_task_wsi(wsi, &visits, no_visit), 0);
	assert_int_equal(visits, 0);
}

/* A wsi that is gone, or has never had a task, has none: the address alone is
 * looked up, and not what is there */
static void
wsi_that_are_gone(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws *gone = c->wsi;
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);
	char byte = 0;

	job_enqueue(tp, j, c->wsi);
	conn_timeout(c);
	conn_until_closed(c);
	wsi_is_harmless(gone);
	rig_until_cleaned(rig);
	rig_drain(rig);
	wsi_is_harmless(gone);
	wsi_is_harmless(NULL);
	wsi_is_harmless((struct lws *)&byte);
	wsi_is_harmless((struct lws *)UINTPTR_MAX);
	rig_context_destroy(rig);
	wsi_is_harmless(gone);
}

struct prober {
	pthread_t thread;
	_Atomic(struct lws_threadpool_task *) task;
	atomic_int quit;
	atomic_int tries;
};

static void *
probe(void *arg)
{
	struct prober *p = arg;

	while (!atomic_load(&p->quit)) {
		lws_threadpool_task_sync(atomic_load(&p->task), 0);
		atomic_fetch_add(&p->tries, 1);
	}

	return NULL;
}

/* Q6: a thread that goes on syncing handles which may become stale, and whose
 * place may be taken, at any moment: by tasks of another pool, too */
static void
stale_at_any_moment(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct prober p;
	struct job *j;

	memset(&p, 0, sizeof(p));
	assert_int_equal(pthread_create(&p.thread, NULL, probe, &p), 0);
	for (int round = 0; round < 30; round++) {
		struct lws_threadpool *tp = rig_pool(rig, 2, 100);

		for (int n = 0; n < 60; n++) {
			j = job_script(rig, n % 4, LWS_TP_RETURN_SYNC);
			atomic_store(&p.task, job_enqueue(tp, j, c->wsi));
			if (n % 4 == 0)
				rig_turns(rig, 2);
			if (n % 10 == 9)
				lws_threadpool_dequeue_task(j->task);
		}
		rig_turns(rig, 10);
		rig_pool_destroy(rig, tp);
	}
	wait_int(&p.tries, 1000);
	atomic_store(&p.quit, 1);
	pthread_join(p.thread, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_call_logs_one_line),
		RIG_TEST(after_every_way_to_end),
		RIG_TEST(never_another_task),
		RIG_TEST(not_after_a_hundred_thousand),
#if UINTPTR_MAX <= 0xffffffffu
		RIG_TEST(not_before_a_million),
#endif
		RIG_TEST(never_valid),
		RIG_TEST(pools),
		RIG_TEST(wsi_that_are_gone),
		RIG_TEST(stale_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
