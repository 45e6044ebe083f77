/*
 * lws-threadpool unit tests - a signal that comes late (Q6, S7)
 *
 * SPDX-License-Identifier: MIT
 *
 * A thread that is no pool's asks a task to stop, posts it, and is held up
 * before it signals the service thread.  Meanwhile the pool and the context go:
 * the signal must not reach whoever has got the number of their fd.
 *
 * LWSTP_WRAP: eventfd_write
 */

#include <fcntl.h>
#include <sys/eventfd.h>

#include "harness.h"

static _Thread_local bool is_held_up;
static atomic_int signals, came, goes_on, strays;

int
__real_eventfd_write(int fd, eventfd_t value);

int
__wrap_eventfd_write(int fd, eventfd_t value)
{
	if (!is_held_up)
		return __real_eventfd_write(fd, value);

	atomic_fetch_add(&signals, 1);
	atomic_fetch_add(&came, 1);
	wait_int(&goes_on, 1);
	if (fcntl(fd, F_GETFD) < 0)
		atomic_fetch_add(&strays, 1);

	return 0;
}

struct asked {
	struct lws_threadpool *tp;
	struct job *j; /* NULL: finish() */
};

static void *
ask(void *arg)
{
	const struct asked *a = arg;

	is_held_up = true;
	if (a->j)
		lws_threadpool_task_sync(a->j->task, 1);
	else
		lws_threadpool_finish(a->tp);
	atomic_fetch_add(&came, 1);

	return NULL;
}

/* of a pool of one thread, which runs a task; the other one SYNCs or is queued
 */
static void
goes_before_the_signal(bool queued, bool finish)
{
	struct rig *rig = rig_create(NULL);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct asked a = { tp, NULL };
	struct job *j;
	pthread_t t;

	if (!LWSTP_UNIT_EVENTFD) {
		rig_destroy(rig);
		skip(); /* lws is asked, with a lock */
	}
	c->manual = true;
	atomic_store(&signals, 0);
	atomic_store(&came, 0);
	atomic_store(&goes_on, 0);
	if (queued) {
		job_block(rig, tp, gate_new(rig));
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, c->wsi));
	} else {
		j = job_park(rig, tp, c->wsi);
		job_fence(rig, tp);
	}
	rig_drain(rig);
	if (!finish)
		a.j = j;
	assert_int_equal(pthread_create(&t, NULL, ask, &a), 0);
	wait_int(&came, 1);
	assert_int_equal(rig_destroy(rig), 0);
	atomic_store(&goes_on, 1);
	pthread_join(t, NULL);
	/* compiled into some versions lws is asked, with a lock */
	if (LWSTP_UNIT_IN_LWS && !atomic_load(&signals))
		skip();
	assert_true(atomic_load(&signals) >= 1);
	assert_int_equal(atomic_load(&strays), 0);
}

static void
finish_of_one_that_syncs(void **state)
{
	(void)state;
	goes_before_the_signal(false, true);
}

static void
finish_of_one_that_is_queued(void **state)
{
	(void)state;
	goes_before_the_signal(true, true);
}

static void
a_stop_of_one_that_is_queued(void **state)
{
	(void)state;
	goes_before_the_signal(true, false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finish_of_one_that_syncs),
		cmocka_unit_test(finish_of_one_that_is_queued),
		cmocka_unit_test(a_stop_of_one_that_is_queued),
	};

	return cmocka_run_group_tests_name("late signal", tests, NULL, NULL);
}
