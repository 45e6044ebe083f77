/*
 * lws-threadpool - handlers, keys and tokens on several service threads (W3,
 * H1, O1, K3, K4, S4)
 *
 * SPDX-License-Identifier: MIT
 *
 * There is a connection on each, and what a test does there it does by calls.
 */

#include "each.h"

#define SYNCS 20
#define TURNS 12 /* tasks of a key on each service thread */

/* A task with handlers.  What is not atomic is the service thread's, or the
 * task's, by turns. */
struct task {
	int tsi;    /* of its wsi; 0 without one */
	bool alone; /* it never has a wsi */
	int syncs;  /* to do */
	bool waits; /* for go, before it ends */
	atomic_int go;
	int number; /* of its enqueue, with its key */

	struct lws_threadpool_task *handle;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	atomic_int calls, on_syncs, on_ends, cleanups, wrong;
};

static struct task all[SMP_THREADS * TURNS];

/* O1: in the order in which they start */
static atomic_int started, inside, most;
static int order[SMP_THREADS * TURNS];

static void
is_right(struct task *t, struct lws *wsi)
{
	if (!smp_is_thread(t->tsi) || !wsi != t->alone ||
	    (wsi && wsi != atomic_load(&on[t->tsi].wsi)))
		atomic_fetch_add(&t->wrong, 1);
}

static int
on_sync(struct lws *wsi, void *user)
{
	struct task *t = user;

	is_right(t, wsi);
	atomic_fetch_add(&t->on_syncs, 1);

	return LWS_TP_ON_SYNC_RESUME;
}

static int
on_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct task *t = user;

	is_right(t, wsi);
	if (how != LWS_TP_STATUS_FINISHED)
		atomic_fetch_add(&t->wrong, 1);
	atomic_fetch_add(&t->on_ends, 1);

	return 0;
}

static void
cleanup(struct lws *wsi, void *user)
{
	struct task *t = user;

	is_right(t, wsi);
	atomic_fetch_add(&t->cleanups, 1);
}

static void
note_start(struct task *t)
{
	int now = atomic_fetch_add(&inside, 1) + 1, before;

	before = atomic_load(&most);
	while (now > before &&
	       !atomic_compare_exchange_weak(&most, &before, now))
		;
	order[atomic_fetch_add(&started, 1)] = t->number;
}

static enum lws_threadpool_task_return
step(void *user, enum lws_threadpool_task_status status)
{
	struct task *t = user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (!atomic_fetch_add(&t->calls, 1))
		note_start(t);
	if (t->waits && !atomic_load(&t->go))
		return lws_threadpool_park(1000);
	if (t->syncs) {
		t->syncs--;
		return LWS_TP_RETURN_SYNC;
	}
	atomic_fetch_sub(&inside, 1);

	return LWS_TP_RETURN_FINISHED;
}

static void
enqueue_with(struct task *t, const void *key)
{
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task_options o;

	memset(&args, 0, sizeof(args));
	args.wsi = t->alone ? NULL : atomic_load(&on[t->tsi].wsi);
	args.user = t;
	args.task = step;
	args.cleanup = cleanup;
	memset(&o, 0, sizeof(o));
	o.size = sizeof(o);
	o.on_sync = on_sync;
	o.on_end = on_end;
	o.key = key;
	o.key_max = !!key;
	t->handle = lws_threadpool_enqueue_ext(smp_tp, &args, &o, "served");
}

static void
put(struct step *s)
{
	enqueue_with(s->job, NULL);
}

static void
put_keyed(struct step *s)
{
	enqueue_with(s->job, all);
}

static void
begin(int (*writeable)(struct lws *wsi))
{
	memset(all, 0, sizeof(all));
	atomic_store(&started, 0);
	atomic_store(&inside, 0);
	atomic_store(&most, 0);
	each_begin(writeable);
}

static void
has_ended(struct task *t, int syncs)
{
	smp_wait_int(&t->cleanups, 1);
	assert_int_equal(atomic_load(&t->on_syncs), syncs);
	assert_int_equal(atomic_load(&t->on_ends), 1);
	assert_int_equal(atomic_load(&t->wrong), 0);
}

/* -------- H1 -------- */

/* H1, W3: handlers and cleanup come on the service thread of the task's wsi,
 * with all of them at it */
static void
H1_on_the_thread_of_the_wsi(void **state)
{
	struct step s;
	int n;

	(void)state;
	begin(lws_threadpool_serve);
	for (n = 0; n < SMP_THREADS * TURNS; n++) {
		all[n].tsi = n % SMP_THREADS;
		all[n].syncs = SYNCS;
		s.job = &all[n];
		run_on(&s, all[n].tsi, put);
		assert_non_null(all[n].handle);
	}
	for (n = 0; n < SMP_THREADS * TURNS; n++)
		has_ended(&all[n], SYNCS);
	each_end();
}

/* H1: without a wsi on_end is called on service thread 0, wherever it was
 * enqueued, and cleanup follows there */
static void
H1_without_a_wsi_on_thread_0(void **state)
{
	struct step s;

	(void)state;
	begin(lws_threadpool_serve);
	for (int n = 0; n < SMP_THREADS + 1; n++) {
		all[n].alone = true;
		s.job = &all[n];
		if (n < SMP_THREADS)
			run_on(&s, n, put);
		else
			put(&s);
		assert_non_null(all[n].handle);
	}
	for (int n = 0; n < SMP_THREADS + 1; n++)
		has_ended(&all[n], 0);
	each_end();
}

/* -------- O1 -------- */

/* O1: of a key, whose tasks are those of wsi of different service threads, one
 * at a time, and in the order of their enqueues */
static void
O1_in_order_across_threads(void **state)
{
	struct step s;
	int n;

	(void)state;
	begin(lws_threadpool_serve);
	for (n = 0; n < SMP_THREADS * TURNS; n++) {
		all[n].tsi = (n * 3 + n / SMP_THREADS) % SMP_THREADS;
		all[n].number = n;
		all[n].syncs = 2;
		all[n].waits = !n;
		s.job = &all[n];
		run_on(&s, all[n].tsi, put_keyed);
		assert_non_null(all[n].handle);
	}
	/* the others are held back by the first */
	smp_wait_int(&all[0].calls, 1);
	for (n = 1; n < SMP_THREADS * TURNS; n++)
		assert_int_equal(
			lws_threadpool_task_status_noreap(all[n].handle),
			LWS_TP_STATUS_QUEUED);
	atomic_store(&all[0].go, 1);
	for (n = 0; n < SMP_THREADS * TURNS; n++)
		has_ended(&all[n], 2);
	assert_int_equal(atomic_load(&most), 1);
	for (n = 0; n < SMP_THREADS * TURNS; n++)
		assert_int_equal(order[n], n);
	each_end();
}

static void
feed(struct step *s)
{
	struct task *t = s->job;

	for (int n = 0; n < TURNS; n++)
		enqueue_with(&t[n], all);
}

/* O1: and with all service threads that enqueue at a time, those of each of
 * them in its order */
static void
O1_enqueued_by_all_at_a_time(void **state)
{
	struct step s[SMP_THREADS] = { { 0 } };
	int next[SMP_THREADS] = { 0 }, n;

	(void)state;
	begin(lws_threadpool_serve);
	for (n = 0; n < SMP_THREADS * TURNS; n++) {
		all[n].tsi = n / TURNS;
		all[n].number = n;
		all[n].syncs = 2;
	}
	for (n = 0; n < SMP_THREADS; n++) {
		s[n].job = &all[n * TURNS];
		begin_on(&s[n], n, feed);
	}
	for (n = 0; n < SMP_THREADS; n++)
		smp_wait_int(&s[n].done, 1);
	for (n = 0; n < SMP_THREADS * TURNS; n++)
		has_ended(&all[n], 2);
	assert_int_equal(atomic_load(&most), 1);
	for (n = 0; n < SMP_THREADS * TURNS; n++)
		assert_int_equal(order[n] % TURNS, next[order[n] / TURNS]++);
	each_end();
}

/* -------- K3, K4: by its token, from another service thread -------- */

static void
token_of(struct task *t, unsigned int flags)
{
	assert_non_null(t->handle);
	assert_int_equal(lws_threadpool_task_token(t->handle, flags, t->token),
			 0);
}

static void
attach_by_token(struct step *s)
{
	struct task *t = s->job;

	t->tsi = s->tsi;
	t->alone = false;
	s->task = lws_threadpool_task_by_token(smp_tp, t->token);
	s->wsi = atomic_load(&on[s->tsi].wsi);
	step_attach(s);
}

static bool
is_kept(struct task *t)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };

	return !lws_threadpool_task_get_info(t->handle, &info) && info.kept;
}

static void
wait_kept(struct task *t)
{
	for (time_t end = time(NULL) + SMP_DEADLINE_SECS; !is_kept(t);)
		assert_true(time(NULL) < end);
}

/* One that is kept, and was on no service thread, or on another one whose wsi
 * has closed; a SYNC that waits for a wsi, likewise */
static void
K3_by_its_token_on_any_thread(void **state)
{
	struct step s = { 0 };

	(void)state;
	begin(lws_threadpool_serve);
	for (int n = 0; n < 4; n++) {
		bool was_on_one = n & 1, syncs = n & 2;
		struct task *t = &all[n];

		t->tsi = n;
		t->alone = !was_on_one;
		t->syncs = syncs ? 3 : 0;
		t->waits = true;
		s.job = t;
		run_on(&s, n, put);
		token_of(t, LWS_TP_TOKEN_WAIT);
		if (was_on_one)
			each_hang_up(n);
		atomic_store(&t->go, 1);
		if (!syncs)
			wait_kept(t);
		run_on(&s, was_on_one ? 0 : 2, attach_by_token);
		assert_int_equal(s.ret, 0);
		has_ended(t, syncs ? 3 : 0);
	}
	each_end();
}

/* -------- S4, Q6: from one service thread to another -------- */

static void
dequeue(struct step *s)
{
	s->ret = lws_threadpool_dequeue_task(s->task);
}

static void
resume(struct step *s)
{
	lws_threadpool_task_sync(s->task, 0);
}

/* An answer may come from any of them, and a stale handle is harmless there */
static void
S4_answers_from_another_thread(void **state)
{
	(void)state;
	begin(NULL);
	for (int n = 0; n < SMP_THREADS; n++) {
		int other = (n + 1) % SMP_THREADS;
		struct task *t = &all[n];
		struct step s = { .job = t };

		t->tsi = n;
		t->syncs = 3;
		run_on(&s, n, put);
		assert_non_null(t->handle);
		s.task = t->handle;
		/* the answer from elsewhere, before or after WRITEABLE's own */
		while (lws_threadpool_task_status_noreap(t->handle) !=
		       LWS_TP_STATUS_FINISHED)
			run_on(&s, other, resume);
		assert_int_equal(atomic_load(&t->calls), 4);
		run_on(&s, n, dequeue);
		assert_int_equal(s.ret, 0);
		assert_int_equal(atomic_load(&t->cleanups), 1);
		assert_int_equal(atomic_load(&t->wrong), 0);
		/* it is gone */
		run_on(&s, other, dequeue);
		assert_int_equal(s.ret, 0);
		run_on(&s, other, resume);
	}
	each_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(H1_on_the_thread_of_the_wsi),
		cmocka_unit_test(H1_without_a_wsi_on_thread_0),
		cmocka_unit_test(O1_in_order_across_threads),
		cmocka_unit_test(O1_enqueued_by_all_at_a_time),
		cmocka_unit_test(K3_by_its_token_on_any_thread),
		cmocka_unit_test(S4_answers_from_another_thread),
	};

	return cmocka_run_group_tests_name("several service threads", tests,
					   NULL, NULL);
}
