/*
 * lws-threadpool unit tests - S2, a thread that looks out for the answer to a
 * SYNC keeps no task from an idle thread, however long it looks
 *
 * SPDX-License-Identifier: MIT
 *
 * All threads of the pool share one processor here, so the one that looks out
 * is off it while another one enqueues and takes a task: what it missed in that
 * time it must not miss for long.  sync_spin_us is far longer than a wait.
 */

#include <sched.h>

#include "harness.h"

#define THREADS 3
#define ROUNDS	30

static struct {
	struct rig *rig;
	struct lws_threadpool *tp;
	cpu_set_t cpu;
	struct job *inner[2];
	struct gate *busy;
} ls;

static int
pin(struct job *j, enum lws_threadpool_task_status s)
{
	(void)j;
	(void)s;
	sched_setaffinity(0, sizeof(ls.cpu), &ls.cpu);

	return LWS_TP_RETURN_FINISHED;
}

/* each thread of the pool onto the last processor that we may use */
static void
pin_all(struct rig *rig)
{
	struct gate *all = gate_new(rig);
	struct job *j[THREADS];

	for (int n = 0; n < THREADS; n++) {
		j[n] = job_gated(rig, all);
		j[n]->fn = pin;
		job_enqueue(ls.tp, j[n], NULL);
	}
	for (int n = 0; n < THREADS; n++)
		wait_int(&j[n]->calls, 1);
	gate_open(all);
	for (int n = 0; n < THREADS; n++)
		wait_int(&j[n]->cleanups, 1);
}

static int
enqueue_two(struct job *j, enum lws_threadpool_task_status s)
{
	(void)j;
	(void)s;
	for (int n = 0; n < 2; n++)
		job_enqueue(ls.tp, ls.inner[n], NULL);

	return LWS_TP_RETURN_FINISHED;
}

/* One thread sleeps at a gate, one looks out, one is idle.  The first wakes,
 * enqueues two and takes one of them, which holds it: the other one is for
 * whoever is left. */
static void
two_from_a_task(struct rig *rig)
{
	struct gate *go = gate_new(rig);
	struct job *from = job_gated(rig, go), *spinner = job_new(rig);

	ls.busy = gate_new(rig);
	for (int n = 0; n < 2; n++)
		ls.inner[n] = job_gated(rig, ls.busy);
	from->fn = enqueue_two;
	assert_non_null(job_enqueue(ls.tp, from, NULL));
	wait_int(&from->calls, 1);
	assert_non_null(job_enqueue(ls.tp, spinner, NULL));
	wait_int(&spinner->cleanups, 1);
	sched_yield();
	gate_open(go);
	wait_int(&ls.inner[0]->calls, 1);
	wait_int(&ls.inner[1]->calls, 1);
	gate_open(ls.busy);
	wait_int(&ls.inner[0]->cleanups, 1);
	wait_int(&ls.inner[1]->cleanups, 1);
}

/* S2: new tasks make progress beside an idle thread.  Something is SYNCING all
 * the time. */
static void
no_task_waits_for_the_end_of_a_spin(void **state)
{
	struct rig *rig = *state;
	const struct lws_threadpool_options o = {
		.size = sizeof(o),
		.sync_spin_us = 1800 * 1000000,
	};
	size_t last = CPU_SETSIZE - 1;
	cpu_set_t all;

	ls.rig = rig;
	ls.tp = rig_pool_ext(rig, THREADS, 100, &o);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	while (!CPU_ISSET(last, &all))
		last--;
	CPU_ZERO(&ls.cpu);
	CPU_SET(last, &ls.cpu);
	pin_all(rig);
	conn_open(rig, CONN_RAW)->manual = true;
	job_park(rig, ls.tp, rig->conns->wsi);
	for (int n = 0; n < ROUNDS; n++)
		two_from_a_task(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(no_task_waits_for_the_end_of_a_spin),
	};

	return cmocka_run_group_tests_name("long spin", tests, NULL, NULL);
}
