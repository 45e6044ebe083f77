/*
 * lws-threadpool unit tests - P1, P2, P5: what a pool is made with, what it
 * refuses, and what it tells of itself
 *
 * SPDX-License-Identifier: MIT
 */

#include <signal.h>
#include <limits.h>
#include <unistd.h>

#include "harness.h"

/* 32 bits have addresses for about 500 stacks of the usual 8 MB: with these,
 * for as many as there may be */
static void
small_stacks(void)
{
	pthread_attr_t attr;

	if (sizeof(void *) > 4)
		return;
	assert_int_equal(pthread_attr_init(&attr), 0);
	assert_int_equal(pthread_attr_setstacksize(&attr, 256 * 1024), 0);
	assert_int_equal(pthread_setattr_default_np(&attr), 0);
	pthread_attr_destroy(&attr);
}

static struct lws_threadpool *
create(struct rig *rig, int threads, int depth)
{
	struct lws_threadpool_create_args args;

	memset(&args, 0, sizeof(args));
	args.threads = threads;
	args.max_queue_depth = depth;

	return lws_threadpool_create(rig->context, &args, "limits");
}

static void
P1_threads_and_depth_out_of_range(void **state)
{
	static const int bad[][2] = {
		{ 0, 10 },	 { -1, 10 }, { INT_MIN, 10 }, { 1025, 10 },
		{ INT_MAX, 10 }, { 1, 0 },   { 1, -1 },	      { 1, INT_MIN },
	};
	struct rig *rig = *state;
	char value[16];
	size_t n;

	for (n = 0; n < LWS_ARRAY_SIZE(bad); n++) {
		log_forget();
		assert_null(create(rig, bad[n][0], bad[n][1]));
		snprintf(value, sizeof(value), "%d",
			 bad[n][1] == 10 ? bad[n][0] : bad[n][1]);
		/* it says which value */
		if (!log_claim(LLL_ERR, value))
			fail_msg("threads %d, depth %d: no line with the value",
				 bad[n][0], bad[n][1]);
		assert_int_equal(log_unclaimed(), 0);
	}
}

static void
P1_threads_and_depth_at_the_limits(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct job *j[2];
	int n, possible = 0;

	small_stacks();
	for (n = 0; n < 2; n++) {
		tp = create(rig, n ? 1024 : 1, n ? INT_MAX : 1);
		assert_non_null(tp);
		lws_threadpool_diagnose(tp, NULL, &possible, NULL);
		assert_int_equal(possible, n ? 1024 : 1);
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], NULL));
		wait_int(&j[n]->cleanups, 1);
		lws_threadpool_destroy(tp);
	}
}

/* ---- the threads' names and signals ---- */

static atomic_int named, blocking;

/* of the thread itself: blocked, it would be ended without its handler */
static int
is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE ||
	       sig == SIGILL || sig == SIGTRAP || sig == SIGSYS ||
	       sig == SIGABRT;
}

static int
look_at_thread(struct job *j, enum lws_threadpool_task_status s)
{
	char name[32] = "";
	sigset_t set;
	int sig, wrong = 0;

	(void)s;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	if (!strncmp(name, "unit0-", 6))
		atomic_fetch_add(&named, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (sig = 1; sig < 32; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			wrong += sigismember(&set, sig) == is_fault(sig);
	if (!wrong)
		atomic_fetch_add(&blocking, 1);
	(void)j;

	return LWS_TP_RETURN_FINISHED;
}

static void
P1_threads_have_names_and_block_signals(void **state)
{
	struct rig *rig = *state;
	struct gate *g = gate_new(rig);
	struct lws_threadpool *tp = rig_pool(rig, 3, 10);
	struct job *j[3];
	sigset_t before, after;
	int n;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	for (n = 0; n < 3; n++) {
		j[n] = job_gated(rig, g);
		j[n]->fn = look_at_thread;
		job_enqueue(tp, j[n], NULL);
	}
	for (n = 0; n < 3; n++)
		wait_int(&j[n]->calls, 1);
	gate_open(g);
	for (n = 0; n < 3; n++)
		wait_int(&j[n]->cleanups, 1);
	assert_int_equal(atomic_load(&named), 3);
	assert_int_equal(atomic_load(&blocking), 3);
	/* and ours are as they were */
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (n = 1; n < 32; n++)
		assert_int_equal(sigismember(&before, n),
				 sigismember(&after, n));
}

static void
P1_long_and_strange_pool_names(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_create_args args = { 1, 1 };
	struct lws_threadpool *tp;
	struct job *j;
	char name[5000];
	int n;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (n = 0; n < 4; n++) {
		tp = n == 0 ? lws_threadpool_create(rig->context, &args, "%s",
						    name) :
		     n == 1 ? lws_threadpool_create(rig->context, &args, "%s",
						    "") :
		     n == 2 ? lws_threadpool_create(rig->context, &args, "%s",
						    "%n%s%d") :
			      lws_threadpool_create_ext(rig->context, &args,
							NULL, NULL);
		assert_non_null(tp);
		log_forget();
		lws_threadpool_dump(tp);
		/* "Pool names are cut at 31" */
		if (!n) {
			assert_true(
				log_count(LLL_THREAD,
					  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn") >=
				1);
			assert_int_equal(
				log_count(LLL_THREAD,
					  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"),
				0);
		}
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
		wait_int(&j->cleanups, 1);
		lws_threadpool_destroy(tp);
	}
}

/* ---- P2 ---- */

static void
P2_refused_at_max_queue_depth(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *g = gate_new(rig);
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct job *held = job_gated(rig, g), *j[3], *over;
	int n, lines;

	assert_non_null(job_enqueue(tp, held, NULL));
	wait_int(&held->calls, 1);
	for (n = 0; n < 3; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	}
	for (n = 0; n < 1000; n++) {
		over = job_new(rig);
		assert_null(job_enqueue(tp, over, n & 1 ? c->wsi : NULL));
	}
	/* once a second at most: it may have taken a few seconds */
	lines = log_claim(LLL_WARN, "unit0") + log_claim(LLL_ERR, "unit0");
	assert_true(lines >= 1);
	assert_true(lines < 100);
	/* room again as soon as one starts */
	gate_open(g);
	for (n = 0; n < 3; n++)
		rig_until_int(rig, &j[n]->cleanups, 1);
	over = job_new(rig);
	assert_non_null(job_enqueue(tp, over, c->wsi));
	rig_until_int(rig, &over->cleanups, 1);
}

/* nor are those that wait to go on, however many more than threads they are:
 * they take nothing off the depth either */
static void
P2_resumed_tasks_take_no_room(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct gate *g = gate_new(rig);
	struct job *parked[5];
	int n;

	c->manual = true;
	for (n = 0; n < 5; n++)
		parked[n] = job_park(rig, tp, c->wsi);
	job_block(rig, tp, g);
	for (n = 0; n < 5; n++)
		lws_threadpool_task_sync(parked[n]->task, 0);
	for (n = 0; n < 3; n++)
		assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_WARN, "max_queue_depth tasks wait"), 1);
	gate_open(g);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}

/* done and SYNCING tasks are no waiting ones */
static void
P2_only_waiting_tasks_count(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct job *j;
	int n;

	c->manual = true;
	for (n = 0; n < 100; n++) {
		j = job_script(rig, n & 1 ? INT32_MAX : 0, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		wait_status(j, n & 1 ? LWS_TP_STATUS_SYNCING :
				       LWS_TP_STATUS_FINISHED);
	}
}

static void
P2_refused_on_a_finishing_pool(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct job *j = job_new(rig), *k = job_new(rig);

	lws_threadpool_finish(tp);
	assert_null(job_enqueue(tp, j, NULL));
	assert_null(job_enqueue(tp, k, c->wsi));
	assert_true(log_claim(LLL_WARN, "") + log_claim(LLL_ERR, "") >= 1);
}

static void
P2_refused_without_a_task_function(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp = rig_pool(rig, 1, 3);
	struct job *j = job_new(rig);
	struct lws_threadpool_task_args args;

	job_args(j, c->wsi, &args);
	args.task = NULL;
	job_accepted(j, lws_threadpool_enqueue(tp, &args, "none"));
	assert_false(j->accepted);
	assert_true(log_claim(LLL_WARN, "") + log_claim(LLL_ERR, "") == 1);
}

/* ---- P5 ---- */

/* a thread is on its task still when the status says that it SYNCs */
static bool
nothing_is_on(void *tp)
{
	int on = 9, max, depth;

	lws_threadpool_diagnose(tp, &on, &max, &depth);

	return !on;
}

static void
P5_diagnose(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *g = gate_new(rig);
	struct lws_threadpool *tp = rig_pool(rig, 3, 100);
	struct job *sync = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC),
		   *done = job_new(rig), *held[3], *queued[4];
	int n, on = 9, max = 9, depth = 9;

	c->manual = true;
	lws_threadpool_diagnose(tp, &on, &max, &depth);
	assert_int_equal(on, 0);
	assert_int_equal(max, 3);
	assert_int_equal(depth, 0);
	job_enqueue(tp, done, c->wsi);
	job_enqueue(tp, sync, c->wsi);
	wait_status(done, LWS_TP_STATUS_FINISHED);
	wait_status(sync, LWS_TP_STATUS_SYNCING);
	wait_until(nothing_is_on, tp);
	lws_threadpool_diagnose(tp, &on, &max, &depth);
	assert_int_equal(depth, 0);
	for (n = 0; n < 3; n++) {
		held[n] = job_gated(rig, g);
		job_enqueue(tp, held[n], NULL);
	}
	for (n = 0; n < 3; n++)
		wait_int(&held[n]->calls, 1);
	for (n = 0; n < 4; n++) {
		queued[n] = job_new(rig);
		job_enqueue(tp, queued[n], NULL);
	}
	lws_threadpool_diagnose(tp, &on, &max, &depth);
	assert_int_equal(on, 3);
	assert_int_equal(max, 3);
	assert_int_equal(depth, 4);
	/* any of them may be NULL */
	lws_threadpool_diagnose(tp, NULL, NULL, NULL);
	lws_threadpool_diagnose(tp, NULL, NULL, &depth);
	gate_open(g);
	for (n = 0; n < 4; n++)
		wait_int(&queued[n]->cleanups, 1);
}

/* A task of one thread on each list: what is resumed waits for the thread */
static void
dump_writes_every_list(struct rig *rig, bool pin)
{
	static const char *const lines[] = {
		"queued: task-0", "running: task-1", "resumed: task-2",
		"syncing: task-3", "done: task-4"
	};
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .pin_tasks = pin };
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 100, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *g = gate_new(rig);
	struct job *j[5];
	int n;

	c->manual = true;
	for (n = 4; n >= 0; n--) {
		j[n] = n == 3 || n == 2 ?
			       job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC) :
		       n == 1 ? job_gated(rig, g) :
				job_new(rig);
		j[n]->name = strchr(lines[n], ' ') + 1;
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
		if (n == 4)
			wait_status(j[n], LWS_TP_STATUS_FINISHED);
		if (n == 3 || n == 2)
			wait_status(j[n], LWS_TP_STATUS_SYNCING);
		if (n == 1)
			wait_int(&j[n]->calls, 1);
	}
	lws_threadpool_task_sync(j[2]->task, 0);
	log_forget();
	lws_threadpool_dump(tp);
	for (n = 0; n < 5; n++)
		if (log_count(LLL_THREAD, lines[n]) != 1 ||
		    log_count(LLL_THREAD, j[n]->name) != 1)
			fail_msg("not one line has '%s'", lines[n]);
	assert_true(log_count(LLL_THREAD, pin ? "unit1" : "unit0") >= 1);
	/* and to no other level */
	assert_int_equal(log_unclaimed(), 0);
	gate_open(g);
}

static void
P5_dump_writes_every_list(void **state)
{
	dump_writes_every_list(*state, false);
	dump_writes_every_list(*state, true);
}

/* Nothing may be formatted for a level that is off: it must not crash either */
static void
P5_dump_with_the_level_off(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);

	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_NOTICE, NULL);
	lws_threadpool_dump(tp);
}

struct diagnoser {
	pthread_t thread;
	struct lws_threadpool *tp;
	atomic_int stop;
	int bad;
};

static void *
diagnose_on(void *arg)
{
	struct diagnoser *d = arg;
	int on, max, depth;

	while (!atomic_load(&d->stop)) {
		lws_threadpool_diagnose(d->tp, &on, &max, &depth);
		if (on < 0 || on > 2 || max != 2 || depth < 0 || depth > 200)
			d->bad++;
		lws_threadpool_dump(d->tp);
	}

	return NULL;
}

static void
P5_from_any_thread(void **state)
{
	struct rig *rig = *state;
	struct diagnoser d = { .tp = rig_pool(rig, 2, 200) };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[200];
	int n;

	/* far fewer lines are kept than are written */
	lws_set_log_level(LLL_ERR, NULL);
	assert_int_equal(pthread_create(&d.thread, NULL, diagnose_on, &d), 0);
	for (n = 0; n < 200; n++) {
		j[n] = job_script(rig, n % 5, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(d.tp, j[n], n & 1 ? c->wsi : NULL));
	}
	for (n = 0; n < 200; n++)
		rig_until_int(rig, &j[n]->cleanups, 1);
	atomic_store(&d.stop, 1);
	pthread_join(d.thread, NULL);
	assert_int_equal(d.bad, 0);
}

/* P2: a task that a free thread is about to take does not wait, however soon
 * the next one comes; and with no thread free there is room for the depth */
static void
P2_a_burst_on_an_idle_pool(void **state)
{
	struct rig *rig = *state;

	for (int round = 0; round < 50; round++) {
		struct lws_threadpool *tp = rig_pool(rig, 2, 1);
		struct gate *gate = gate_new(rig);

		for (int n = 0; n < 3; n++)
			assert_non_null(job_enqueue(tp, job_gated(rig, gate),
						    NULL));
		assert_null(job_enqueue(tp, job_gated(rig, gate), NULL));
		assert_int_equal(
			log_claim(LLL_WARN, "max_queue_depth tasks wait"), 1);
		log_forget();
		gate_open(gate);
		rig_until_cleaned(rig);
		rig_pool_destroy(rig, tp);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(P1_threads_and_depth_out_of_range),
		RIG_TEST(P1_threads_and_depth_at_the_limits),
		RIG_TEST(P1_threads_have_names_and_block_signals),
		RIG_TEST(P1_long_and_strange_pool_names),
		RIG_TEST(P2_refused_at_max_queue_depth),
		RIG_TEST(P2_only_waiting_tasks_count),
		RIG_TEST(P2_a_burst_on_an_idle_pool),
		RIG_TEST(P2_resumed_tasks_take_no_room),
		RIG_TEST(P2_refused_on_a_finishing_pool),
		RIG_TEST(P2_refused_without_a_task_function),
		RIG_TEST(P5_diagnose),
		RIG_TEST(P5_dump_writes_every_list),
		RIG_TEST(P5_dump_with_the_level_off),
		RIG_TEST(P5_from_any_thread),
	};

	return cmocka_run_group_tests_name("P1 P2 P5 a pool's limits", tests,
					   NULL, NULL);
}
