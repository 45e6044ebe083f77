/*
 * lws-threadpool unit tests - bad input: each gives a line in the log and the
 * return of the contract, and loses nothing
 *
 * SPDX-License-Identifier: MIT
 *
 * A wsi or a context must be a real one or NULL: lws itself offers nothing to
 * tell one from nonsense.  Task and pool handles may be anything (Q6).
 */

#include <limits.h>

#include "closings.h"

/* not handles: small, odd, of the stack, all ones, and near to real ones */
static int on_the_stack;

static void *
nonsense(int n, void *real)
{
	switch (n) {
	case 0:
		return (void *)(uintptr_t)1;
	case 1:
		return (void *)(uintptr_t)2;
	case 2:
		return (void *)(uintptr_t)4095;
	case 3:
		return (void *)UINTPTR_MAX;
	case 4:
		return (void *)(UINTPTR_MAX >> 1);
	case 5:
		return &on_the_stack;
	case 6:
		return (void *)((uintptr_t)real ^ 1);
	case 7:
		return (void *)((uintptr_t)real ^ 2);
	case 8:
		return (void *)((uintptr_t)real ^
				((uintptr_t)1 << (sizeof(uintptr_t) * 8 - 1)));
	case 9:
		return (void *)((uintptr_t)real + 4096);
	case 10:
		return (void *)((uintptr_t)real ^
				((uintptr_t)1 << (sizeof(uintptr_t) * 4 + 2)));
	default:
		return NULL;
	}
}

#define NONSENSE 11

/* ---- pools ---- */

static void
create_with_NULLs(void **state)
{
	struct lws_threadpool_create_args args = { 1, 1 };
	struct lws_threadpool *tp;
	struct rig *rig = *state;

	assert_null(lws_threadpool_create(NULL, &args, "x"));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_create"), 1);
	assert_null(lws_threadpool_create(rig->context, NULL, "x"));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_create"), 2);
	assert_null(lws_threadpool_create_ext(NULL, NULL, NULL, NULL));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_create"), 3);
	/* no options and no name are fine */
	tp = lws_threadpool_create_ext(rig->context, &args, NULL, NULL);
	assert_non_null(tp);
	lws_threadpool_destroy(tp);
	assert_int_equal(log_unclaimed(), 0);
}

/* what the first version of struct lws_threadpool_options ends with */
#define OPTIONS_FIRST \
	(offsetof(struct lws_threadpool_options, stack_size) + sizeof(size_t))

static void
options_size_wrong(void **state)
{
	static const size_t bad[] = {
		0,
		1,
		4,
		OPTIONS_FIRST - 1,
		offsetof(struct lws_threadpool_options, keep_secs),
		sizeof(struct lws_threadpool_options) + 8,
		4096,
		4097,
		(size_t)1 << 20,
		SIZE_MAX
	};
	struct lws_threadpool_create_args args = { 1, 1 };
	union {
		struct lws_threadpool_options o;
		unsigned char bytes[8192];
	} u;
	struct lws_threadpool *tp;
	struct rig *rig = *state;
	struct job *j;
	size_t n;

	/* what follows our members is not zero: a newer program that asks for
	 * something, or no size at all */
	for (n = 0; n < LWS_ARRAY_SIZE(bad); n++) {
		memset(&u, 0x5a, sizeof(u));
		memset(&u.o, 0, sizeof(u.o));
		u.o.size = bad[n];
		u.o.sync_timeout_secs = 1;
		log_forget();
		tp = lws_threadpool_create_ext(rig->context, &args, &u.o, "o");
		if (tp)
			fail_msg("size %lu was taken", (unsigned long)bad[n]);
		assert_int_equal(log_claim(LLL_ERR, "size") +
					 log_claim(LLL_ERR, "options"),
				 log_count(LLL_ERR, "size") +
					 log_count(LLL_ERR, "options"));
		assert_true(log_count(LLL_ERR, "options") == 1);
	}
	/* a newer program that leaves its new members at their defaults */
	memset(&u, 0, sizeof(u));
	u.o.size = sizeof(u.o) + 64;
	tp = lws_threadpool_create_ext(rig->context, &args, &u.o, "o");
	assert_non_null(tp);
	j = job_new(rig);
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->cleanups, 1);
	lws_threadpool_destroy(tp);

	/* an older one: what it does not know of is not looked at */
	memset(&u, 0xff, sizeof(u));
	memset(&u, 0, OPTIONS_FIRST);
	u.o.size = OPTIONS_FIRST;
	tp = lws_threadpool_create_ext(rig->context, &args, &u.o, "o");
	assert_non_null(tp);
	lws_threadpool_destroy(tp);
}

/* A member that has no meaning yet is refused, so that no program builds on
 * what it does not get */
static void
options_of_a_later_version(void **state)
{
	struct lws_threadpool_create_args args = { 1, 1 };
	struct lws_threadpool_options o;
	struct rig *rig = *state;

	memset(&o, 0, sizeof(o));
	o.size = sizeof(o);
	o.reserved = 1;
	assert_null(lws_threadpool_create_ext(rig->context, &args, &o, "o"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_int_equal(log_claim(LLL_ERR, "reserved is 1"), 1);
	assert_int_equal(log_unclaimed(), 0);
}

/* No padding: a member that comes later finds zeros in an older program's */
static void
options_without_padding(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct lws_threadpool_options), OPTIONS_FIRST);
	assert_int_equal(OPTIONS_FIRST, 2 * sizeof(size_t) + 6 * sizeof(int) +
						3 * sizeof(void *));
}

static void
options_at_their_extremes(void **state)
{
	static const int secs[] = { 0, -1, INT_MIN, INT_MAX, 1 };
	struct lws_threadpool_create_args args = { 1, 10 };
	struct lws_threadpool_options o;
	struct lws_threadpool *tp;
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;
	size_t n;

	c->manual = true;
	for (n = 0; n < LWS_ARRAY_SIZE(secs); n++) {
		memset(&o, 0, sizeof(o));
		o.size = sizeof(o);
		o.sync_timeout_secs = secs[n];
		o.pin_tasks = n & 1;
		tp = lws_threadpool_create_ext(rig->context, &args, &o, "x");
		assert_non_null(tp);
		j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		wait_status(j, LWS_TP_STATUS_SYNCING);
		/* the idle worker has slept on that timeout */
		if (secs[n] == 1) {
			log_wait(LLL_WARN, "SYNC", 1);
			log_claim(LLL_WARN, "SYNC");
			rig_until_int(rig, &j->stopping, 1);
		} else {
			rig_drain(rig);
			assert_int_equal(atomic_load(&j->stopping), 0);
		}
		lws_threadpool_destroy(tp);
		assert_int_equal(atomic_load(&j->cleanups), 1);
	}
}

static void
pool_handles_that_are_none(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *real = rig_pool(rig, 1, 10), *tp;
	struct job *j;
	int n, a, b, d;

	for (n = 0; n <= NONSENSE; n++) {
		tp = nonsense(n, real);
		log_forget();
		lws_threadpool_finish(tp);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_finish"),
				 1);
		lws_threadpool_destroy(tp);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_destroy"),
				 1);
		lws_threadpool_dump(tp);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_dump"), 1);
		a = b = d = 7;
		lws_threadpool_diagnose(tp, &a, &b, &d);
		assert_int_equal(a + b + d, 0);
		log_claim(LLL_ERR, "lws_threadpool_diagnose");
		j = job_new(rig);
		assert_null(job_enqueue(tp, j, NULL));
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"),
				 1);
		assert_int_equal(log_unclaimed(), 0);
	}
	/* the real one has not noticed */
	j = job_new(rig);
	assert_non_null(job_enqueue(real, j, NULL));
	wait_int(&j->cleanups, 1);
}

/* ---- enqueue ---- */

static bool
has_finished(void *task)
{
	return lws_threadpool_task_status_noreap(task) ==
	       LWS_TP_STATUS_FINISHED;
}

static void
enqueue_with_bad_args(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task_args args;
	struct job *j = job_new(rig), *none = job_new(rig);
	struct lws_threadpool_task *task;
	struct lws_threadpool *tp;

	/* a pool each, since a pool logs one refusal a second at most (P2) */
	tp = rig_pool(rig, 1, 10);
	assert_null(lws_threadpool_enqueue(tp, NULL, "x"));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"), 1);
	tp = rig_pool(rig, 1, 10);
	memset(&args, 0, sizeof(args));
	assert_null(lws_threadpool_enqueue(tp, &args, "x"));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"), 2);
	tp = rig_pool(rig, 1, 10);
	job_args(none, c->wsi, &args);
	args.task = NULL;
	assert_null(lws_threadpool_enqueue(tp, &args, NULL));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"), 3);
	assert_null(lws_threadpool_enqueue(NULL, NULL, NULL));
	log_claim(LLL_ERR, "lws_threadpool_enqueue");

	/* no cleanup, no user, no name are fine, here to be seen ended */
	job_args(j, c->wsi, &args);
	args.cleanup = NULL;
	task = lws_threadpool_enqueue(tp, &args, NULL);
	assert_non_null(task);
	wait_until(has_finished, task);
	rig_drain(rig);
	assert_true(has_finished(task));
	assert_int_equal(log_unclaimed(), 0);
	/* the rig knows nothing of it: its function ran, and that was all */
	assert_int_equal(atomic_load(&j->calls), 1);
	atomic_store(&j->calls, 0);
	atomic_store(&j->returns, 0);
}

static void
task_names_of_all_kinds(void **state)
{
	static char name[100000];
	struct rig *rig = *state;
	struct gate *g = gate_new(rig);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *held = job_gated(rig, g), *j[6];
	struct lws_threadpool_task_args args;
	int n;

	memset(name, 'q', sizeof(name) - 1);
	assert_non_null(job_enqueue(tp, held, NULL));
	wait_int(&held->calls, 1);
	for (n = 0; n < 6; n++) {
		j[n] = job_new(rig);
		job_args(j[n], NULL, &args);
		args.name = n == 5 ? "from-args" : NULL;
		job_accepted(
			j[n],
			n == 0 ? lws_threadpool_enqueue(tp, &args, "%s", name) :
			n == 1 ? lws_threadpool_enqueue(tp, &args, "%s", "") :
			n == 2 ? lws_threadpool_enqueue(tp, &args, "%s",
							"%s%n%d") :
			n == 3 ? lws_threadpool_enqueue(
					 tp, &args, "%d-%lld-%c-%5.2f", INT_MIN,
					 LLONG_MIN, 'x', 0.5) :
				 lws_threadpool_enqueue(tp, &args, NULL));
		assert_true(j[n]->accepted);
	}
	lws_threadpool_dump(tp);
	/* cut at 47 bytes */
	assert_int_equal(
		log_count(LLL_THREAD,
			  "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"),
		1);
	assert_int_equal(
		log_count(LLL_THREAD,
			  "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq"),
		0);
	assert_int_equal(log_count(LLL_THREAD, "%s%n%d"), 1);
	assert_int_equal(log_count(LLL_THREAD,
				   "-2147483648--9223372036854775808-x- 0.50"),
			 1);
	assert_int_equal(log_count(LLL_THREAD, "from-args"), 1);
	gate_open(g);
	for (n = 0; n < 6; n++)
		wait_int(&j[n]->cleanups, 1);
}

/* ---- tasks ---- */

static void
task_handles_that_are_none(void **state)
{
	struct rig *rig = *state;
	struct gate *g = gate_new(rig);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_gated(rig, g);
	struct lws_threadpool_task *task;
	void *user;
	int n, stop;

	assert_non_null(job_enqueue(tp, j, c->wsi));
	wait_int(&j->calls, 1);
	log_info();
	for (n = 0; n <= NONSENSE + 2; n++) {
		/* also a pool's, and a wsi */
		task = n == NONSENSE + 1 ? (void *)tp :
		       n == NONSENSE + 2 ? (void *)c->wsi :
					   nonsense(n, j->task);
		log_forget();
		user = &n;
		assert_int_equal(lws_threadpool_task_status(task, &user),
				 LWS_TP_STATUS_FINISHED);
		assert_null(user);
		assert_int_equal(lws_threadpool_task_status(task, NULL),
				 LWS_TP_STATUS_FINISHED);
		assert_int_equal(lws_threadpool_task_status_noreap(task),
				 LWS_TP_STATUS_FINISHED);
		for (stop = -1; stop < 2; stop++)
			lws_threadpool_task_sync(task, stop);
		assert_int_equal(lws_threadpool_dequeue_task(task), 0);
		assert_true(log_count(LLL_INFO, "lws_threadpool") >= 6);
		assert_int_equal(log_unclaimed(), 0);
	}
	assert_int_equal(atomic_load(&j->stopping), 0);
	gate_open(g);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
}

/* Those of tasks that were, in slots that others have now */
static void
stale_task_handles_reach_nobody(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 200);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task *stale[100];
	struct job *j;
	int n, m;

	c->manual = true;
	for (n = 0; n < 100; n++) {
		j = job_new(rig);
		stale[n] = job_enqueue(tp, j, c->wsi);
		assert_non_null(stale[n]);
		wait_status(j, LWS_TP_STATUS_FINISHED);
		lws_threadpool_task_status(stale[n], NULL);
	}
	for (n = 0; n < 50; n++) {
		j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		wait_status(j, LWS_TP_STATUS_SYNCING);
		for (m = 0; m < 100; m++) {
			assert_ptr_not_equal(stale[m], j->task);
			lws_threadpool_task_sync(stale[m], m & 1);
			assert_int_equal(lws_threadpool_dequeue_task(stale[m]),
					 0);
			assert_int_equal(lws_threadpool_task_status(stale[m],
								    NULL),
					 LWS_TP_STATUS_FINISHED);
		}
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_SYNCING);
		assert_int_equal(atomic_load(&j->calls), 1);
		lws_threadpool_task_sync(j->task, 1);
		wait_status(j, LWS_TP_STATUS_STOPPED);
		lws_threadpool_task_status(j->task, NULL);
	}
	/* and when their pool is gone */
	rig_pool_destroy(rig, tp);
	for (m = 0; m < 100; m++) {
		lws_threadpool_task_sync(stale[m], 1);
		assert_int_equal(lws_threadpool_dequeue_task(stale[m]), 0);
		assert_int_equal(lws_threadpool_task_status(stale[m], NULL),
				 LWS_TP_STATUS_FINISHED);
	}
}

/* ---- by wsi ---- */

static int
never(struct lws_threadpool_task *task, void *user)
{
	(void)task;
	(void)user;
	fail();

	return 0;
}

static void
wsi_NULL_or_without_tasks(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task *task;
	struct lws *wsi;
	void *user;
	int n;

	for (n = 0; n < 2; n++) {
		wsi = n ? c->wsi : NULL;
		assert_null(lws_threadpool_get_task_wsi(wsi));
		assert_int_equal(
			lws_threadpool_foreach_task_wsi(wsi, NULL, never), 0);
		task = (void *)&n;
		user = &n;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
		assert_int_equal(lws_threadpool_task_status_wsi(wsi, &task,
								&user),
				 LWS_TP_STATUS_FINISHED);
		assert_null(task);
		assert_null(user);
		assert_int_equal(lws_threadpool_task_status_wsi(wsi, NULL,
								NULL),
				 LWS_TP_STATUS_FINISHED);
		assert_int_equal(lws_threadpool_dequeue(wsi), 0);
#pragma GCC diagnostic pop
	}
}

static void
foreach_without_a_callback(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_int_equal(lws_threadpool_foreach_task_wsi(c->wsi, NULL, NULL),
			 0);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_foreach_task_wsi"),
			 1);
	rig_until_int(rig, &j->cleanups, 1);
}

static void
task_status_wsi_with_NULL_out_pointers(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[2];
	int n;

	c->manual = true;
	for (n = 0; n < 2; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
		wait_status(j[n], LWS_TP_STATUS_FINISHED);
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	for (n = 0; n < 2; n++)
		assert_int_equal(lws_threadpool_task_status_wsi(c->wsi, NULL,
								NULL),
				 LWS_TP_STATUS_FINISHED);
#pragma GCC diagnostic pop
	assert_int_equal(atomic_load(&j[0]->cleanups), 1);
	assert_int_equal(atomic_load(&j[1]->cleanups), 1);
}

/* ---- from the wrong thread ---- */

struct wrong {
	struct lws_threadpool *tp;
	struct lws *wsi;
	struct job *done, *syncing, *refused;
	struct rig *rig;
	int dequeued, status;
};

static int
from_a_pool_thread(struct job *j, enum lws_threadpool_task_status s)
{
	struct wrong *w = j->priv;

	(void)s;
	w->dequeued = lws_threadpool_dequeue_task(w->done->task);
	w->dequeued += lws_threadpool_dequeue_task(w->syncing->task);
	w->status = (int)lws_threadpool_task_status(w->done->task, NULL);
	job_enqueue(w->tp, w->refused, w->wsi);
	lws_threadpool_destroy(w->tp);

	return LWS_TP_RETURN_FINISHED;
}

static void
calls_from_a_pool_thread(void **state)
{
	struct rig *rig = *state;
	struct wrong w = { .tp = rig_pool(rig, 1, 10), .rig = rig };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	c->manual = true;
	w.wsi = c->wsi;
	w.done = job_new(rig);
	w.refused = job_new(rig);
	w.syncing = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(w.tp, w.done, c->wsi));
	assert_non_null(job_enqueue(w.tp, w.syncing, c->wsi));
	wait_status(w.done, LWS_TP_STATUS_FINISHED);
	wait_status(w.syncing, LWS_TP_STATUS_SYNCING);
	j->fn = from_a_pool_thread;
	j->priv = &w;
	assert_non_null(job_enqueue(w.tp, j, NULL));
	wait_int(&j->cleanups, 1);

	assert_int_equal(w.dequeued, 2); /* nothing done, 1 each */
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_dequeue_task"), 2);
	assert_int_equal(w.status, LWS_TP_STATUS_STOPPING);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_task_status"), 1);
	assert_false(w.refused->accepted);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"), 1);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_destroy"), 1);
	assert_int_equal(log_unclaimed(), 0);
	/* nothing happened to either */
	assert_int_equal(atomic_load(&w.done->cleanups), 0);
	assert_int_equal(lws_threadpool_task_status_noreap(w.syncing->task),
			 LWS_TP_STATUS_SYNCING);
	c->manual = false;
	lws_threadpool_task_sync(w.syncing->task, 1);
	rig_until_int(rig, &w.done->cleanups, 1);
	rig_until_int(rig, &w.syncing->cleanups, 1);
}

/* ---- in the wrong order ---- */

static void
calls_in_the_wrong_order(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC),
		   *late[2] = { job_new(rig), job_new(rig) };
	void *user = &tp;

	/* sync before it ran, and reap before it ended: nothing */
	c->manual = true;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	lws_threadpool_task_sync(j->task, 0);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_status(j->task, &user),
			 LWS_TP_STATUS_SYNCING);
	assert_ptr_equal(user, j);
	lws_threadpool_finish(tp);
	lws_threadpool_finish(tp);
	assert_int_equal(log_unclaimed(), 0);
	assert_null(job_enqueue(tp, late[0], c->wsi));
	assert_int_equal(log_claim(LLL_WARN, "lws_threadpool_enqueue") +
				 log_claim(LLL_ERR, "lws_threadpool_enqueue"),
			 1);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_null(job_enqueue(tp, late[1], c->wsi));
	lws_threadpool_destroy(tp);
	lws_threadpool_finish(tp);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_destroy"), 1);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_finish"), 1);
	log_claim(LLL_ERR, "lws_threadpool_enqueue");
	/* dequeue what is gone, twice */
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
	assert_int_equal(lws_threadpool_dequeue_task(j->task), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(create_with_NULLs),
		RIG_TEST(options_size_wrong),
		RIG_TEST(options_of_a_later_version),
		RIG_TEST(options_without_padding),
		RIG_TEST(options_at_their_extremes),
		RIG_TEST(pool_handles_that_are_none),
		RIG_TEST(enqueue_with_bad_args),
		RIG_TEST(task_names_of_all_kinds),
		RIG_TEST(task_handles_that_are_none),
		RIG_TEST(stale_task_handles_reach_nobody),
		RIG_TEST(wsi_NULL_or_without_tasks),
		RIG_TEST(foreach_without_a_callback),
		RIG_TEST(task_status_wsi_with_NULL_out_pointers),
		RIG_TEST(calls_from_a_pool_thread),
		RIG_TEST(calls_in_the_wrong_order),
	};

	return cmocka_run_group_tests_name("bad input", tests, NULL, NULL);
}
