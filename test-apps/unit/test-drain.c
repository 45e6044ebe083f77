/*
 * lws-threadpool unit tests - P7, a pool is drained: nothing new is accepted,
 * and what is there goes on to its end
 *
 * SPDX-License-Identifier: MIT
 */

#include "numbers.h"

/* A task in each state on a pool of two threads, both of them held */
struct all {
	struct job *done, *syncing, *parked, *running[2], *queued[2];
	struct gate *gate;
};

static void
all_enqueue(struct rig *rig, struct lws_threadpool *tp, struct conn *c,
	    struct all *a)
{
	c->manual = true;
	a->gate = gate_new(rig);
	a->done = job_new(rig);
	assert_non_null(job_enqueue(tp, a->done, c->wsi));
	wait_status(a->done, LWS_TP_STATUS_FINISHED);
	a->syncing = job_script(rig, 3, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(tp, a->syncing, c->wsi));
	wait_status(a->syncing, LWS_TP_STATUS_SYNCING);
	a->parked = job_sleep(rig, tp, NULL);
	for (int n = 0; n < 2; n++) {
		a->running[n] = job_script(rig, 5, LWS_TP_RETURN_CHECKING_IN);
		a->running[n]->gate = a->gate;
		assert_non_null(job_enqueue(tp, a->running[n],
					    n ? c->wsi : NULL));
		wait_int(&a->running[n]->calls, 1);
	}
	for (int n = 0; n < 2; n++) {
		a->queued[n] = job_script(rig, 2, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, a->queued[n],
					    n ? c->wsi : NULL));
	}
}

/* nobody was asked to stop: they ended as they do without a drain */
static void
all_ended_by_themselves(struct all *a)
{
	struct job *j[] = { a->done,	   a->syncing,	  a->parked,
			    a->running[0], a->running[1], a->queued[0],
			    a->queued[1] };

	for (size_t n = 0; n < LWS_ARRAY_SIZE(j); n++) {
		assert_int_equal(atomic_load(&j[n]->cleanups), 1);
		assert_int_equal(atomic_load(&j[n]->stopping), 0);
	}
	assert_int_equal(a->syncing->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&a->syncing->running), 4);
	assert_int_equal(atomic_load(&a->parked->running), 2);
	assert_int_equal(atomic_load(&a->running[0]->running), 6);
	assert_int_equal(atomic_load(&a->queued[0]->running), 3);
	assert_int_equal(atomic_load(&a->queued[1]->running), 3);
}

static void
is_refused(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi,
	   enum lws_threadpool_refused why)
{
	struct lws_threadpool_task_options o = { .size = sizeof(o) };
	struct lws_threadpool_task_args args;
	struct job *j = job_new(rig);

	assert_null(job_enqueue(tp, j, wsi));
	assert_int_equal(lws_threadpool_refused(), why);
	job_args(j, wsi, &args);
	assert_null(lws_threadpool_enqueue_ext(tp, &args, &o, "late"));
	assert_int_equal(lws_threadpool_refused(), why);
	assert_true(log_claim(LLL_WARN, "") + log_claim(LLL_ERR, "") >= 1);
}

static bool
is_drained(void *tp)
{
	return !lws_threadpool_drain(tp);
}

/* P7: it tells how many there are, refuses more, waits for none, and they all
 * end: SYNCs are answered, and the parked one is woken */
static void
all_goes_on_to_its_end(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *elsewhere = job_new(rig);
	struct all a;

	all_enqueue(rig, tp, c, &a);
	assert_int_equal(lws_threadpool_drain(tp), 7);
	assert_int_equal(atomic_load(&a.running[0]->returns), 0);
	for (int n = 0; n < 5; n++) {
		is_refused(rig, tp, n & 1 ? c->wsi : NULL,
			   LWS_TP_REFUSED_DRAINING);
		assert_int_equal(lws_threadpool_drain(tp), 7);
	}
	/* this pool, and no other */
	assert_non_null(job_enqueue(rig_pool(rig, 1, 10), elsewhere, c->wsi));

	gate_open(a.gate);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_int(rig, &a.queued[1]->cleanups, 1);
	rig_until_int(rig, &a.running[1]->cleanups, 1);
	rig_until_int(rig, &a.syncing->cleanups, 1);
	rig_until_int(rig, &a.done->cleanups, 1);
	wait_int(&a.running[0]->cleanups, 1);
	wait_int(&a.queued[0]->cleanups, 1);
	/* the parked one is left: nobody has woken it */
	assert_int_equal(lws_threadpool_task_status_noreap(a.parked->task),
			 LWS_TP_STATUS_RUNNING);
	assert_true(lws_threadpool_drain(tp) >= 1);
	lws_threadpool_task_wake(a.parked->task);
	rig_until(rig, is_drained, tp);
	wait_int(&a.parked->cleanups, 1);
	all_ended_by_themselves(&a);
	rig_until_int(rig, &elsewhere->cleanups, 1);
	is_refused(rig, tp, NULL, LWS_TP_REFUSED_DRAINING);
	assert_int_equal(lws_threadpool_drain(tp), 0);
}

/* P7: reaped is what counts: a done one is there until then */
static void
done_ones_count_until_they_are_reaped(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[4];

	c->manual = true;
	for (int n = 0; n < 4; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
		wait_status(j[n], LWS_TP_STATUS_FINISHED);
	}
	for (int n = 0; n < 4; n++) {
		assert_int_equal(lws_threadpool_drain(tp), 4 - n);
		lws_threadpool_task_status(j[n]->task, NULL);
	}
	assert_int_equal(lws_threadpool_drain(tp), 0);
}

/* P7, K4: kept ones do not count */
static void
kept_ones_do_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j[3];
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	for (int n = 0; n < 3; n++) {
		j[n] = job_gated(rig, gate);
		assert_non_null(job_enqueue(tp, j[n], NULL));
		if (n)
			assert_int_equal(lws_threadpool_task_token(j[n]->task,
								   0, token),
					 0);
	}
	assert_int_equal(lws_threadpool_drain(tp), 3);
	gate_open(gate);
	wait_until(is_drained, tp);
	wait_stat(tp, kept, 2);
	assert_int_equal(atomic_load(&j[0]->cleanups), 1);
	assert_int_equal(atomic_load(&j[1]->cleanups), 0);
	assert_int_equal(lws_threadpool_task_status(j[1]->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(lws_threadpool_drain(tp), 0);
}

/* ---- by the pool's own tasks ---- */

static void
follow_up(struct job *j, const char *what)
{
	struct job *next = j->priv;

	if (job_enqueue(next->priv, next, NULL))
		job_fault(j, what);
	if (lws_threadpool_refused() != LWS_TP_REFUSED_DRAINING)
		job_fault(j, "refused for another reason");
}

static int
drains_and_follows_up(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *next = j->priv;

	(void)s;
	/* itself, and the one that waits */
	if (lws_threadpool_drain(next->priv) != 2)
		job_fault(j, "not the number of tasks");
	follow_up(j, "a drained pool takes a follow-up of a task");

	return LWS_TP_RETURN_FINISHED;
}

static void
follows_up_in_cleanup(struct job *j, struct lws *wsi)
{
	(void)wsi;
	follow_up(j, "a drained pool takes a follow-up of a cleanup");
}

/* P7: a task of the pool may drain it, and is refused as everybody is, by its
 * function and by its cleanup; one that was queued then runs */
static void
follow_ups_are_refused(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate), *next = job_new(rig),
		   *queued = job_new(rig);

	j->fn = drains_and_follows_up;
	j->on_cleanup = follows_up_in_cleanup;
	j->priv = next;
	next->priv = tp;
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);
	assert_non_null(job_enqueue(tp, queued, NULL));
	gate_open(gate);
	wait_int(&queued->cleanups, 1);
	assert_int_equal(atomic_load(&queued->running), 1);
	assert_false(next->accepted);
	assert_true(log_claim(LLL_WARN, "") + log_claim(LLL_ERR, "") >= 1);
	wait_until(is_drained, tp);
}

/* ---- the end ---- */

/* P7, P3: FINISHING wins, whichever comes first; the rest is stopped */
static void
then_it_finishes(void **state)
{
	struct rig *rig = *state;

	for (int finish_first = 0; finish_first < 2; finish_first++) {
		struct lws_threadpool *tp = rig_pool(rig, 2, 10);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct all a;
		int n;

		all_enqueue(rig, tp, c, &a);
		if (!finish_first)
			assert_int_equal(lws_threadpool_drain(tp), 7);
		lws_threadpool_finish(tp);
		/* the one without a wsi that was queued may be reaped */
		n = lws_threadpool_drain(tp);
		assert_in_range(n, 6, 7);
		is_refused(rig, tp, NULL, LWS_TP_REFUSED_FINISHING);
		is_refused(rig, tp, c->wsi, LWS_TP_REFUSED_FINISHING);
		gate_open(a.gate);
		c->manual = false;
		lws_callback_on_writable(c->wsi);
		rig_until(rig, is_drained, tp);
		rig_until_cleaned(rig);
		assert_int_equal(atomic_load(&a.parked->stopping), 1);
		assert_int_equal(atomic_load(&a.syncing->stopping), 1);
		assert_int_equal(atomic_load(&a.queued[1]->calls), 0);
		rig_pool_destroy(rig, tp);
	}
}

/* P7, P4: a drained pool is destroyed with all that it has, and is stale */
static void
then_it_is_destroyed(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct all a;

	all_enqueue(rig, tp, c, &a);
	assert_int_equal(lws_threadpool_drain(tp), 7);
	gate_open(a.gate);
	rig_pool_destroy(rig, tp);
	assert_true(rig_is_cleaned(rig));
	assert_int_equal(log_unclaimed(), 0);

	assert_int_equal(lws_threadpool_drain(tp), 0);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_drain"), 1);
	assert_int_equal(lws_threadpool_drain(NULL), 0);
	assert_int_equal(lws_threadpool_drain((struct lws_threadpool *)c), 0);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_drain"), 3);
}

/* P7: without tasks there is nothing to wait for */
static void
an_empty_pool_is_drained_at_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);

	for (int n = 0; n < 3; n++)
		assert_int_equal(lws_threadpool_drain(tp), 0);
	is_refused(rig, tp, NULL, LWS_TP_REFUSED_DRAINING);
	rig_context_destroy(rig);
	assert_int_equal(lws_threadpool_drain(tp), 0);
}

/* ---- against enqueues ---- */

#define THREADS 3
#define EACH	400

struct feeder {
	pthread_t thread;
	struct lws_threadpool *tp;
	struct job *jobs[EACH];
	atomic_int *drained; /* drain() has returned */
	int accepted;
	const char *fault;
};

static void *
feed(void *arg)
{
	struct feeder *f = arg;
	int before;

	for (int n = 0; n < EACH; n++) {
		before = atomic_load(f->drained);
		if (job_enqueue(f->tp, f->jobs[n], NULL)) {
			f->accepted++;
			if (before)
				f->fault = "accepted after drain()";
		} else if (lws_threadpool_refused() != LWS_TP_REFUSED_DRAINING)
			f->fault = "refused for another reason";
		else if (!before)
			sched_yield();
	}

	return NULL;
}

/* Of all that there is, reaped or being so */
static int
cleaned(struct feeder f[THREADS])
{
	int sum = 0;

	for (int t = 0; t < THREADS; t++)
		for (int n = 0; n < EACH; n++)
			sum += atomic_load(&f[t].jobs[n]->cleanups);

	return sum;
}

/* P7: at any moment: nothing comes after drain() has returned, and when it says
 * 0 all that ever was accepted has been reaped */
static void
drained_at_any_moment(void **state)
{
	struct rig *rig = *state;

	for (int round = 0; round < 40; round++) {
		struct lws_threadpool *tp = rig_pool(rig, 2, 10000);
		struct feeder f[THREADS] = { 0 };
		atomic_int drained = 0;
		int last = INT32_MAX, accepted = 0, over, n;

		for (int t = 0; t < THREADS; t++) {
			f[t].tp = tp;
			f[t].drained = &drained;
			for (n = 0; n < EACH; n++)
				f[t].jobs[n] = job_new(rig);
			assert_int_equal(pthread_create(&f[t].thread, NULL,
							feed, &f[t]),
					 0);
		}
		for (volatile int spin = 0; spin < round * 2000; spin++)
			;
		do {
			n = lws_threadpool_drain(tp);
			atomic_store(&drained, 1);
			assert_true(n >= 0 && n <= last);
			last = n;
		} while (n);
		over = cleaned(f);
		for (int t = 0; t < THREADS; t++) {
			pthread_join(f[t].thread, NULL);
			if (f[t].fault)
				fail_msg("%s", f[t].fault);
			accepted += f[t].accepted;
		}
		assert_int_equal(over, accepted);
		assert_int_equal(lws_threadpool_drain(tp), 0);
		log_claim(LLL_WARN, "");
		rig_pool_destroy(rig, tp);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(all_goes_on_to_its_end),
		RIG_TEST(done_ones_count_until_they_are_reaped),
		RIG_TEST(kept_ones_do_not_count),
		RIG_TEST(follow_ups_are_refused),
		RIG_TEST(then_it_finishes),
		RIG_TEST(then_it_is_destroyed),
		RIG_TEST(an_empty_pool_is_drained_at_once),
		RIG_TEST(drained_at_any_moment),
	};

	return cmocka_run_group_tests_name("P7 drain", tests, NULL, NULL);
}
