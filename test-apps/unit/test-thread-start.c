/*
 * lws-threadpool unit tests - P6, a pool's threads start and end with functions
 * of the application's, and have state of their own
 *
 * SPDX-License-Identifier: MIT
 */

#include <unistd.h>

#include "numbers.h"

#define MOST 80

/* What is given as opaque, and what was seen.  State n is &things[n]. */
struct crew {
	bool fails[MOST];
	char things[MOST];
	pthread_t thread[MOST];
	char name[MOST][32];
	atomic_int starts[MOST], ends[MOST], tasks[MOST];
	atomic_int finished; /* finish() has been called */
	atomic_int faults;
	const char *fault;
	struct lws_threadpool *other;
	struct job *job; /* for it */
};

static _Thread_local bool has_started, has_ended;

static void
crew_fault(struct crew *crew, const char *what)
{
	if (!atomic_fetch_add(&crew->faults, 1))
		crew->fault = what;
}

static void
no_faults(struct crew *crew)
{
	if (atomic_load(&crew->faults))
		fail_msg("%s", crew->fault);
}

static int
crew_start(void *opaque, int index, void **state)
{
	struct crew *crew = opaque;

	if (index < 0 || index >= MOST)
		abort();
	if (*state || lws_threadpool_thread_state())
		crew_fault(crew, "a state before there is one");
	if (lws_threadpool_this_task())
		crew_fault(crew, "a task before there is one");
	has_started = true;
	crew->thread[index] = pthread_self();
	pthread_getname_np(pthread_self(), crew->name[index],
			   sizeof(crew->name[index]));
	*state = &crew->things[index];
	/* who does not wait for it, does not see it */
	usleep(2000);
	atomic_fetch_add(&crew->starts[index], 1);

	return crew->fails[index] ? -1 - index : 0;
}

static void
crew_end(void *opaque, int index, void *state)
{
	struct crew *crew = opaque;

	if (index < 0 || index >= MOST)
		abort();
	if (state != &crew->things[index])
		crew_fault(crew, "an end with another state");
	if (lws_threadpool_thread_state() != state)
		crew_fault(crew, "the state is gone before the end");
	if (!pthread_equal(crew->thread[index], pthread_self()))
		crew_fault(crew, "an end on another thread");
	if (!atomic_load(&crew->finished))
		crew_fault(crew, "an end before finish()");
	if (has_ended)
		crew_fault(crew, "a second end");
	has_ended = true;
	usleep(2000);
	atomic_fetch_add(&crew->ends[index], 1);
}

static struct lws_threadpool_options
crew_options(struct crew *crew)
{
	const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.thread_start = crew_start,
		.thread_end = crew_end,
		.opaque = crew,
	};

	return o;
}

static struct crew *
crew_new(void)
{
	struct crew *crew = calloc(1, sizeof(*crew));

	assert_non_null(crew);

	return crew;
}

/* The <n> of the name of the thread that this is */
static int
my_index(void)
{
	char name[32] = "";
	const char *dash;

	pthread_getname_np(pthread_self(), name, sizeof(name));
	dash = strrchr(name, '-');

	return dash ? atoi(dash + 1) : -1;
}

static void
must_be_on_duty(struct crew *crew)
{
	int n = my_index();

	if (!has_started)
		crew_fault(crew, "a task before the start");
	if (has_ended)
		crew_fault(crew, "a task after the end");
	if (n < 0 || n >= MOST ||
	    lws_threadpool_thread_state() != &crew->things[n]) {
		crew_fault(crew, "not this thread's state");
		return;
	}
	atomic_fetch_add(&crew->tasks[n], 1);
}

/* Task function and cleanup on threads of a crew: both look */
static int
on_duty(struct job *j, enum lws_threadpool_task_status s)
{
	must_be_on_duty(j->priv);
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return atomic_load(&j->calls) <= j->repeat ? j->ret :
						     LWS_TP_RETURN_FINISHED;
}

static void
cleaned_on_duty(struct job *j, struct lws *wsi)
{
	if (!wsi)
		must_be_on_duty(j->priv);
}

static struct job *
crew_job(struct rig *rig, struct crew *crew, int repeat, int ret)
{
	struct job *j = job_script(rig, repeat, ret);

	j->fn = on_duty;
	j->on_cleanup = cleaned_on_duty;
	j->priv = crew;

	return j;
}

static void
crew_finish(struct crew *crew, struct lws_threadpool *tp)
{
	atomic_store(&crew->finished, 1);
	lws_threadpool_finish(tp);
}

/* P6: each once, on its own thread, with the number of its name; create has
 * waited for it, and destroy() for the end */
static void
each_starts_and_ends_once(void **state)
{
	struct rig *rig = *state;
	struct crew *crew = crew_new();
	struct lws_threadpool_options o = crew_options(crew);
	struct lws_threadpool *tp = rig_pool_ext(rig, 5, 100, &o);
	char name[32];

	for (int n = 0; n < 5; n++) {
		assert_int_equal(atomic_load(&crew->starts[n]), 1);
		snprintf(name, sizeof(name), "unit0-%d", n);
		assert_string_equal(crew->name[n], name);
		assert_false(pthread_equal(crew->thread[n], rig->thread));
		for (int m = 0; m < n; m++)
			assert_false(pthread_equal(crew->thread[n],
						   crew->thread[m]));
	}
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	atomic_store(&crew->finished, 1);
	rig_pool_destroy(rig, tp);
	for (int n = 0; n < MOST; n++) {
		assert_int_equal(atomic_load(&crew->starts[n]), n < 5);
		assert_int_equal(atomic_load(&crew->ends[n]), n < 5);
	}
	no_faults(crew);
	free(crew);
}

/* P6: in task functions, in the call with STOPPING and in cleanups of the
 * pool's threads; nothing ends before finish(), and all that there is to do is
 * done before the end */
static void
state_is_there_from_start_to_end(void **state)
{
	struct rig *rig = *state;
	struct crew *crew = crew_new();
	struct lws_threadpool_options o = crew_options(crew);
	struct lws_threadpool *tp = rig_pool_ext(rig, 3, 1000, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j[90], *held;

	for (int n = 0; n < 60; n++) {
		j[n] = crew_job(rig, crew, n % 4,
				n & 1 ? LWS_TP_RETURN_SYNC :
					LWS_TP_RETURN_CHECKING_IN);
		job_enqueue(tp, j[n], n % 3 ? c->wsi : NULL);
		rig_turns(rig, 1);
	}
	rig_until_cleaned(rig);

	/* running, SYNCING, queued: told STOPPING, or never called */
	c->manual = true;
	held = crew_job(rig, crew, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);
	held->gate = gate;
	job_enqueue(tp, held, NULL);
	wait_int(&held->calls, 1);
	for (int n = 60; n < 90; n++) {
		j[n] = crew_job(rig, crew, INT32_MAX, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	for (int n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&crew->ends[n]), 0);
	crew_finish(crew, tp);
	gate_open(gate);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&held->stopping), 1);
	for (int n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&crew->ends[n]), 1);
	no_faults(crew);
	free(crew);
}

/* ---- nobody else's ---- */

static int
has_no_state(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	if (lws_threadpool_thread_state())
		job_fault(j, "a state, and there was no start");

	return LWS_TP_RETURN_FINISHED;
}

static void *
has_none_either(void *arg)
{
	return lws_threadpool_thread_state() ? arg : NULL;
}

static int
put_nothing(void *opaque, int index, void **state)
{
	(void)state;
	atomic_fetch_add((atomic_int *)opaque, 1 + index);

	return 0;
}

static void
ends_with_nothing(void *opaque, int index, void *state)
{
	atomic_fetch_add((atomic_int *)opaque, state ? 1000 : 10 + index);
}

/* P6: NULL on all other threads, beside a pool that has it; and where start has
 * put nothing there, or there is an end alone, or a start alone */
static void
elsewhere_there_is_none(void **state)
{
	struct rig *rig = *state;
	struct crew *crew = crew_new();
	struct lws_threadpool_options o[4] = {
		{ .size = sizeof(o[0]) },
		{ .size = sizeof(o[0]) },
		{ .size = sizeof(o[0]) },
		{ .size = sizeof(o[0]) },
	};
	struct lws_threadpool_options with = crew_options(crew);
	struct lws_threadpool *tp[4];
	atomic_int seen[4] = { 0 };
	pthread_t thread;
	void *bad;

	rig_pool_ext(rig, 1, 10, &with);
	for (int n = 0; n < 4; n++) {
		struct job *j = job_new(rig);

		o[n].opaque = &seen[n];
		if (n & 1)
			o[n].thread_start = put_nothing;
		if (n & 2)
			o[n].thread_end = ends_with_nothing;
		tp[n] = rig_pool_ext(rig, 1, 10, &o[n]);
		assert_int_equal(atomic_load(&seen[n]), n & 1);
		j->fn = has_no_state;
		job_enqueue(tp[n], j, NULL);
		wait_int(&j->cleanups, 1);
	}
	assert_null(lws_threadpool_thread_state());
	assert_int_equal(pthread_create(&thread, NULL, has_none_either, crew),
			 0);
	pthread_join(thread, &bad);
	assert_null(bad);
	for (int n = 0; n < 4; n++) {
		rig_pool_destroy(rig, tp[n]);
		assert_int_equal(atomic_load(&seen[n]),
				 (n & 1) + (n & 2 ? 10 : 0));
	}
	atomic_store(&crew->finished, 1);
	rig_pool_destroy(rig, rig->pools[0]);
	no_faults(crew);
	free(crew);
}

/* ---- an end that takes its time ---- */

static void
slow_end(void *opaque, int index, void *state)
{
	(void)index;
	(void)state;
	gate_pass(opaque);
}

/* P6, P4: destroy() waits for it, and says so */
static void
an_end_that_blocks_is_named(void **state)
{
	struct rig *rig = *state;
	struct gate *gate = gate_new(rig);
	const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.thread_end = slow_end,
		.opaque = gate,
	};
	struct lws_threadpool *tp = rig_pool_ext(rig, 1, 10, &o);

	job_destroy_waits(rig, tp, gate, "for: thread_end()");
	assert_true(log_claim(LLL_WARN, "for: thread_end()") >= 1);
}

/* ---- what a start may do ---- */

static int
busy_start(void *opaque, int index, void **state)
{
	struct crew *crew = opaque;
	struct lws_threadpool_stats stats = { .size = sizeof(stats) };
	int possible = 0;

	if (index)
		return crew_start(opaque, index, state);
	lws_threadpool_diagnose(crew->other, NULL, &possible, NULL);
	if (possible != 2 || lws_threadpool_get_stats(crew->other, &stats) ||
	    stats.threads != 2)
		crew_fault(crew, "does not know the other pool");
	if (lws_threadpool_refused() != LWS_TP_REFUSED_NONE)
		crew_fault(crew, "refused something already");
	if (!job_enqueue(crew->other, crew->job, NULL))
		crew_fault(crew, "may not enqueue");
	else
		wait_int(&crew->job->cleanups, 1);
	lwsl_user("a start logs\n");

	return crew_start(opaque, index, state);
}

/* P6: it may enqueue elsewhere, wait for that, log and ask: it holds no lock of
 * the library */
static void
a_start_may_use_the_library(void **state)
{
	struct rig *rig = *state;
	struct crew *crew = crew_new();
	struct lws_threadpool_options o = crew_options(crew);
	struct job *j = crew_job(rig, crew, 3, LWS_TP_RETURN_CHECKING_IN);
	struct lws_threadpool *tp;

	crew->other = rig_pool(rig, 2, 10);
	crew->job = job_new(rig);
	o.thread_start = busy_start;
	tp = rig_pool_ext(rig, 2, 10, &o);
	assert_int_equal(log_count(LLL_USER, "a start logs"), 1);
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
	atomic_store(&crew->finished, 1);
	rig_pool_destroy(rig, tp);
	no_faults(crew);
	free(crew);
}

/* P6, P4: the end comes as well when the context has gone first, and when a
 * thread of the pool itself finishes it */
static int
finishes_it(struct job *j, enum lws_threadpool_task_status s)
{
	struct crew *crew = j->priv;

	(void)s;
	crew_finish(crew, crew->other);

	return LWS_TP_RETURN_FINISHED;
}

static void
ends_without_a_context(void **state)
{
	struct rig *rig = *state;
	struct crew *crew = crew_new();
	struct lws_threadpool_options o = crew_options(crew);
	struct job *j = job_new(rig);

	crew->other = rig_pool_ext(rig, 3, 10, &o);
	j->fn = finishes_it;
	j->priv = crew;
	rig_context_destroy(rig);
	atomic_store(&crew->finished, 1);
	if (!job_enqueue(crew->other, j, NULL))
		log_claim(LLL_ERR, "");
	else
		wait_int(&j->cleanups, 1);
	rig_pool_destroy(rig, crew->other);
	for (int n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&crew->ends[n]), 1);
	no_faults(crew);
	free(crew);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(an_end_that_blocks_is_named),
		RIG_TEST(each_starts_and_ends_once),
		RIG_TEST(state_is_there_from_start_to_end),
		RIG_TEST(elsewhere_there_is_none),
		RIG_TEST(a_start_may_use_the_library),
		RIG_TEST(ends_without_a_context),
	};

	return cmocka_run_group_tests_name("P6 threads start and end", tests,
					   NULL, NULL);
}
