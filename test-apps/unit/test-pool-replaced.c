/*
 * lws-threadpool unit tests - P2, Q6: a pool ends, and another one gets its
 * place, while an enqueue looks whether there is room in the first
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: pthread_mutex_lock
 */

#include "harness.h"

static struct rig *the_rig;
static struct lws_threadpool *first, *second;
static _Thread_local bool armed;

int
__real_pthread_mutex_lock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

/* where an enqueue is about to look, with the pool's lock */
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (armed) {
		armed = false;
		rig_pool_destroy(the_rig, first);
		second = rig_pool(the_rig, 1, 1);
	}

	return __real_pthread_mutex_lock(mutex);
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
	armed = true;
	assert_null(job_enqueue(first, job_new(rig), NULL));
	armed = false;
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(P2_room_is_the_pool_s_own),
	};

	return cmocka_run_group_tests_name("P2 Q6 another pool in its place",
					   tests, NULL, NULL);
}
