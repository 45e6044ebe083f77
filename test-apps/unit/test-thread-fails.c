/*
 * lws-threadpool unit tests - P6, P1: threads whose start fails, and a pool
 * with holes in the numbers of its threads
 *
 * SPDX-License-Identifier: MIT
 */

#include <unistd.h>

#include "numbers.h"

#define MOST 80

/* Which starts fail, and what was seen of all of them */
struct holes {
	bool fails[MOST];
	char things[MOST];
	atomic_int starts[MOST], ends[MOST], tasks[MOST];
	atomic_int wrong;
};

static int
start_or_fail(void *opaque, int index, void **state)
{
	struct holes *h = opaque;

	if (index < 0 || index >= MOST)
		abort();
	atomic_fetch_add(&h->starts[index], 1);
	*state = &h->things[index];

	return h->fails[index] ? 1 + index : 0;
}

static void
must_have_started(void *opaque, int index, void *state)
{
	struct holes *h = opaque;

	if (h->fails[index] || state != &h->things[index])
		atomic_fetch_add(&h->wrong, 1);
	atomic_fetch_add(&h->ends[index], 1);
}

static struct lws_threadpool_options
holes_options(struct holes *h, int pin)
{
	const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.thread_start = start_or_fail,
		.thread_end = must_have_started,
		.opaque = h,
		.pin_tasks = pin,
	};

	return o;
}

static struct holes *
holes_new(int threads, bool (*fails)(int n))
{
	struct holes *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	for (int n = 0; n < threads; n++)
		h->fails[n] = fails(n);

	return h;
}

/* Each index was tried once, and of those that did start each has an end if
 * the pool is gone. */
static void
holes_check(struct holes *h, int threads, bool gone)
{
	for (int n = 0; n < MOST; n++) {
		assert_int_equal(atomic_load(&h->starts[n]), n < threads);
		assert_int_equal(atomic_load(&h->ends[n]),
				 gone && n < threads && !h->fails[n]);
	}
	assert_int_equal(atomic_load(&h->wrong), 0);
}

static int
note_thread(struct job *j, enum lws_threadpool_task_status s)
{
	struct holes *h = j->priv;
	char *state = lws_threadpool_thread_state(), name[32] = "";
	ptrdiff_t n = state ? state - h->things : -1;
	const char *dash;

	pthread_getname_np(pthread_self(), name, sizeof(name));
	dash = strrchr(name, '-');
	if (n < 0 || n >= MOST || h->fails[n] || !dash || atoi(dash + 1) != n)
		job_fault(j, "on a thread that did not start");
	else
		atomic_fetch_add(&h->tasks[n], 1);
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return atomic_load(&j->calls) <= j->repeat ? j->ret :
						     LWS_TP_RETURN_FINISHED;
}

static struct job *
noting_job(struct rig *rig, struct holes *h, int repeat, int ret)
{
	struct job *j = job_script(rig, repeat, ret);

	j->fn = note_thread;
	j->priv = h;

	return j;
}

static void
there_are(struct lws_threadpool *tp, int threads)
{
	int possible = 0;

	lws_threadpool_diagnose(tp, NULL, &possible, NULL);
	assert_int_equal(possible, threads);
	assert_int_equal(stats_of(tp).threads, threads);
}

static bool
first_and_fourth(int n)
{
	return n == 0 || n == 3;
}

static bool
even(int n)
{
	return !(n & 1);
}

static bool
all(int n)
{
	return n >= 0;
}

static bool
all_but_the_last(int n)
{
	return n != 6;
}

static bool
all_below_32(int n)
{
	return n < 32;
}

/* P6, P1: it goes on with the others, with a warning; those that failed have no
 * end, and their numbers stay unused.  All the others take tasks, and at the
 * same time. */
static void
goes_on_with(struct rig *rig, int threads, bool (*fails)(int n))
{
	struct holes *h = holes_new(threads, fails);
	struct lws_threadpool_options o = holes_options(h, 0);
	struct lws_threadpool *tp = rig_pool_ext(rig, threads, 1000, &o);
	struct gate *gate = gate_new(rig);
	struct job *j[MOST];
	int good = 0;

	for (int n = 0; n < threads; n++)
		good += !fails(n);
	assert_true(log_claim(LLL_WARN, "lws_threadpool_create") >= 1);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	holes_check(h, threads, false);
	there_are(tp, good);
	for (int n = 0; n < good; n++) {
		j[n] = noting_job(rig, h, 3, LWS_TP_RETURN_CHECKING_IN);
		j[n]->gate = gate;
		assert_non_null(job_enqueue(tp, j[n], NULL));
	}
	for (int n = 0; n < good; n++)
		wait_int(&j[n]->calls, 1);
	assert_int_equal(stats_of(tp).running, good);
	gate_open(gate);
	for (int n = 0; n < good; n++)
		wait_int(&j[n]->cleanups, 1);
	for (int n = 0; n < threads; n++)
		assert_int_equal(!!atomic_load(&h->tasks[n]), !fails(n));
	rig_pool_destroy(rig, tp);
	holes_check(h, threads, true);
	free(h);
}

static void
some_do_not_start(void **state)
{
	goes_on_with(*state, 5, first_and_fourth);
	goes_on_with(*state, 2, even);
	goes_on_with(*state, 7, all_but_the_last);
}

/* the numbers of those that are left are far above how many they are */
static void
most_do_not_start(void **state)
{
	goes_on_with(*state, 70, even);
	goes_on_with(*state, 34, all_below_32);
}

/* P6: NULL if none did, after each was tried; and nothing is left of it */
static void
none_starts(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_create_args args = { 4, 10 };
	struct lws_threadpool_options o;
	struct holes *h;

	for (int n = 0; n < 20; n++) {
		h = holes_new(4, all);
		o = holes_options(h, 0);
		log_forget();
		assert_null(lws_threadpool_create_ext(rig->context, &args, &o,
						      "nobody"));
		assert_int_equal(lws_threadpool_refused(),
				 LWS_TP_REFUSED_MEMORY);
		assert_int_equal(log_claim(LLL_ERR, "nobody"), 1);
		log_claim(LLL_WARN, "nobody");
		holes_check(h, 4, true);
		free(h);
	}
	/* the next one is as good as ever */
	h = holes_new(4, first_and_fourth);
	o = holes_options(h, 0);
	there_are(rig_pool_ext(rig, 4, 10, &o), 2);
	assert_true(log_claim(LLL_WARN, "lws_threadpool_create") >= 1);
	rig_pool_destroy(rig, rig->pools[0]);
	holes_check(h, 4, true);
	free(h);
}

/* S1: a task that is bound to its thread goes on with it, whatever its number,
 * and whichever do not exist */
static void
pinned_tasks_beside_holes(void **state)
{
	struct rig *rig = *state;
	struct holes *h = holes_new(6, even);
	struct lws_threadpool_options o = holes_options(h, 1);
	struct lws_threadpool *tp = rig_pool_ext(rig, 6, 1000, &o);
	struct gate *gate = gate_new(rig);
	struct job *j[63], *parked;
	struct conn *c[3];

	assert_true(log_claim(LLL_WARN, "lws_threadpool_create") >= 1);
	for (int n = 0; n < 3; n++)
		c[n] = conn_open(rig, CONN_RAW);
	for (int n = 0; n < 63; n++) {
		j[n] = noting_job(rig, h, 20, LWS_TP_RETURN_SYNC);
		if (n < 3)
			j[n]->gate = gate;
		assert_non_null(job_enqueue(tp, j[n], c[n % 3]->wsi));
	}
	/* one on each of the three */
	for (int n = 0; n < 3; n++)
		wait_int(&j[n]->calls, 1);
	gate_open(gate);
	parked = job_sleep(rig, tp, NULL);
	rig_turns(rig, 5);
	for (int n = 0; n < 63; n += 7)
		lws_threadpool_task_sync(j[n]->task, 1);
	lws_threadpool_task_wake(parked->task);
	rig_until_cleaned(rig);
	for (int n = 0; n < 63; n++)
		assert_int_equal(atomic_load(&j[n]->moved), 0);
	assert_int_equal(atomic_load(&parked->moved), 0);
	for (int n = 0; n < 6; n++)
		assert_int_equal(!!atomic_load(&h->tasks[n]), n & 1);
	rig_pool_destroy(rig, tp);
	holes_check(h, 6, true);
	free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(some_do_not_start),
		RIG_TEST(most_do_not_start),
		RIG_TEST(none_starts),
		RIG_TEST(pinned_tasks_beside_holes),
	};

	return cmocka_run_group_tests_name("P6 starts that fail", tests, NULL,
					   NULL);
}
