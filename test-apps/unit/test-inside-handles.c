/*
 * lws-threadpool unit tests - handles and slots, which wear out after 2^31
 * tasks only
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

#define BIG_GENERATION	(UINTPTR_MAX > 0xffffffffu ? 0x7fffffffu : 0xfffu)
#define SLOTS_MOST	(UINTPTR_MAX > 0xffffffffu ? 0x7fffffffu : 0x3ffffu)

/* Q6: no handle comes twice on 64 bits: a slot that had all its generations is
 * given up.  On 32 bits it begins again. */
static void
a_slot_that_is_worn_out(void **state)
{
	struct lwstp_task task;
	struct lwstp_slot *slot = &task.slot;
	bool again = UINTPTR_MAX <= 0xffffffffu;

	(void)state;
	memset(&task, 0, sizeof(task));
	slot->generation = BIG_GENERATION - 1;
	assert_true(lwstp_slot_renew(slot));
	assert_int_equal(slot->generation, BIG_GENERATION);
	assert_int_equal(lwstp_slot_renew(slot), again);
	assert_int_equal(slot->generation, again ? 1 : 0);
}

/* Q6: a pool whose slot is worn out is the last in it; so is a task */
static void
what_lives_in_a_worn_out_slot(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10), *other[20];
	struct lwstp_pool *pool = pool_of(tp);
	struct gate *gate = gate_new(rig);
	struct lwstp_task *task;
	struct job *j, *last;

	if (UINTPTR_MAX <= 0xffffffffu)
		return;		/* they begin again there: see above */

	last = job_block(rig, tp, gate);
	task = task_of(last->task);
	lwstp_lock_pool(pool);
	task->slot.generation = BIG_GENERATION;
	lwstp_unlock_pool(pool);
	gate_open(gate);
	wait_int(&last->cleanups, 1);
	for (int n = 0; n < 3 * LWSTP_STOCK; n++) {
		j = job_new(rig);
		job_enqueue(tp, j, NULL);
		wait_int(&j->cleanups, 1);
		assert_ptr_not_equal(task_of(j->task), task);
	}

	lwstp_lock_pool(pool);
	pool->slot.generation = BIG_GENERATION;
	tp = lwstp_handle(&pool->slot, LWSTP_HANDLE_POOL);
	lwstp_unlock_pool(pool);
	for (int n = 0; n < 64; n++)
		if (rig->pools[n] && pool_of(rig->pools[n]) == pool)
			rig->pools[n] = tp;
	rig_pool_destroy(rig, tp);
	assert_int_equal(pool->slot.generation, 0);
	for (int n = 0; n < 20; n++) {
		other[n] = rig_pool(rig, 1, 1);
		assert_ptr_not_equal(pool_of(other[n]), pool);
	}
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_ERR, "there is no pool"), 1);
}

/* a handle of generation 0, which nothing has ever had */
static void
a_handle_without_a_generation(void **state)
{
	struct lwstp_slot *slot = lwstp_slots_take(&lwstp_pool_slots, 1), *got;
	uint32_t generation = 77, was;
	void *handle;

	(void)state;
	assert_non_null(slot);
	handle = lwstp_handle(slot, LWSTP_HANDLE_POOL);
	got = lwstp_handle_slot(&lwstp_pool_slots, handle, LWSTP_HANDLE_POOL,
				&generation);
	assert_ptr_equal(got, slot);
	assert_int_equal(generation, slot->generation);
	was = slot->generation;
	slot->generation = 0;
	handle = lwstp_handle(slot, LWSTP_HANDLE_POOL);
	assert_null(lwstp_handle_slot(&lwstp_pool_slots, handle,
				      LWSTP_HANDLE_POOL, &generation));
	slot->generation = was;
	slot->next_free = NULL;
	lwstp_slots_give(&lwstp_pool_slots, slot);
}

/* T8, P1: where handles end, there are no more slots; and no chunk of them is
 * beyond the last */
static void
a_table_that_is_full(void **state)
{
	static struct lwstp_slots full = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.size = sizeof(struct lwstp_task), .first_bits = 8,
		.used = SLOTS_MOST + 1u
	}, chunks = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.size = 1, .first_bits = 0,
		.used = UINTPTR_MAX > 0xffffffffu ? (1u << 26) - 1 : SLOTS_MOST
	};
	uint32_t generation;
	const void *handle;

	(void)state;
	assert_null(lwstp_slots_take(&full, 1));
	if (UINTPTR_MAX > 0xffffffffu) {
		assert_null(lwstp_slots_take(&chunks, 1));
		handle = (void *)(((uintptr_t)1 << 33) |
				  ((uintptr_t)0x7fffffffu << 2) |
				  LWSTP_HANDLE_TASK);
		assert_null(lwstp_handle_slot(&chunks, handle,
					LWSTP_HANDLE_TASK, &generation));
	}
}

/* T7: pools that come and go use the slots of those before */
static void
slots_are_used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	uint32_t used[3] = { 0 };
	struct job *j;

	for (int round = 0; round < 40; round++) {
		tp = rig_pool(rig, 3, 1000);
		for (int n = 0; n < 3 * LWSTP_STOCK; n++) {
			j = job_new(rig);
			job_enqueue(tp, j, NULL);
			if (!(n % 50))
				wait_int(&j->cleanups, 1);
		}
		rig_pool_destroy(rig, tp);
		/* how many it takes at the most depends on the threads */
		if (round == 9) {
			used[0] = lwstp_task_slots.used;
			used[1] = lwstp_worker_slots.used;
			used[2] = lwstp_pool_slots.used;
		}
	}
	assert_in_range(lwstp_task_slots.used, used[0],
			used[0] + 3 * LWSTP_STOCK);
	assert_int_equal(lwstp_worker_slots.used, used[1]);
	assert_int_equal(lwstp_pool_slots.used, used[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_that_is_worn_out),
		INSIDE_TEST(what_lives_in_a_worn_out_slot),
		cmocka_unit_test(a_handle_without_a_generation),
		cmocka_unit_test(a_table_that_is_full),
		INSIDE_TEST(slots_are_used_again),
	};

	return cmocka_run_group_tests_name("inside-handles", tests, NULL, NULL);
}
