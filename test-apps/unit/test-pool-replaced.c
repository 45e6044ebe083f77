/*
 * lws-threadpool unit tests - P2, Q6: while an enqueue looks whether there is
 * room in a pool, that ends and another one gets its place, or others enqueue
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: pthread_mutex_lock
 */

#include <limits.h>

#include "harness.h"

static struct rig *the_rig;
static struct lws_threadpool *first, *second;
/* of this thread: what is done before its next lock */
static _Thread_local void (*meanwhile)(void);

int
__real_pthread_mutex_lock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

/* where an enqueue is about to look, with the pool's lock */
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	void (*what)(void) = meanwhile;

	meanwhile = NULL;
	if (what)
		what();

	return __real_pthread_mutex_lock(mutex);
}

static void
replace_it(void)
{
	rig_pool_destroy(the_rig, first);
	second = rig_pool(the_rig, 1, 1);
}

/* the one that is gone refuses, and what it had room for is nothing to the
 * other one */
static void
P2_room_is_the_pool_s_own(void **state)
{
	struct rig *rig = *state;
	struct gate *gate = gate_new(rig);
	struct job *j[3];

	/* so that there are free slots for tasks */
	j[0] = job_new(rig);
	first = rig_pool(rig, 1, 1);
	assert_non_null(job_enqueue(first, j[0], NULL));
	wait_int(&j[0]->cleanups, 1);
	rig_pool_destroy(rig, first);

	the_rig = rig;
	first = rig_pool(rig, 1, 1000);
	second = NULL;
	meanwhile = replace_it;
	assert_null(job_enqueue(first, job_new(rig), NULL));
	assert_null(meanwhile);
	assert_non_null(second);
	assert_int_equal(log_claim(LLL_ERR, "stale or unknown pool"), 1);

	for (int n = 0; n < 3; n++) {
		j[n] = job_gated(rig, gate);
		job_enqueue(second, j[n], NULL);
	}
	assert_true(j[0]->accepted && j[1]->accepted);
	assert_false(j[2]->accepted);
	assert_int_equal(log_claim(LLL_WARN, "max_queue_depth tasks wait"), 1);
	gate_open(gate);
}

static void
others_come_and_go(void)
{
	struct job *j;

	for (int n = 0; n < 5; n++) {
		j = job_new(the_rig);
		assert_non_null(job_enqueue(first, j, NULL));
		wait_int(&j->cleanups, 1);
	}
}

/* With the deepest queue that there is, more have started than there were when
 * this one came: it is let in all the same. */
static void
P2_room_in_the_deepest_queue(void **state)
{
	struct rig *rig = *state;
	struct job *j = job_new(rig);

	/* so that there is a free slot for the task */
	the_rig = rig;
	first = rig_pool(rig, 1, 10);
	others_come_and_go();
	first = rig_pool(rig, 1, INT_MAX);
	meanwhile = others_come_and_go;
	assert_non_null(job_enqueue(first, j, NULL));
	assert_null(meanwhile);
	wait_int(&j->cleanups, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(P2_room_is_the_pool_s_own),
		RIG_TEST(P2_room_in_the_deepest_queue),
	};

	return cmocka_run_group_tests_name("P2 Q6 while an enqueue looks",
					   tests, NULL, NULL);
}
