/*
 * lws-threadpool unit tests - handles and slots, which wear out after 2^31
 * tasks only
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

#define WIDE		(UINTPTR_MAX > 0xffffffffu)
#define MOST(slots)	(((uint64_t)1 << (slots)->generation_bits) - 1)

static uint64_t
of_generation(uint64_t generation)
{
	return generation << LWSTP_GENERATION_SHIFT;
}

/* the same, but for its generation */
static uint64_t
with_generation(uint64_t word, uint64_t generation)
{
	return (word & (of_generation(1) - 1)) | of_generation(generation);
}

/* Q6: no handle comes twice on 64 bits: a slot that had all its generations is
 * given up.  On 32 bits it begins again. */
static void
a_slot_that_is_worn_out(void **state)
{
	struct lwstp_slots *both[] = { &lwstp_task_slots, &lwstp_pool_slots };

	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(both); n++) {
		uint64_t most = MOST(both[n]);

		/* what is below the generation does not get into the next */
		assert_int_equal(lwstp_slot_next(both[n], of_generation(1) |
							  0x1ffffffff),
				 of_generation(2));
		assert_int_equal(lwstp_slot_next(both[n],
						 of_generation(most - 1)),
				 of_generation(most));
		assert_int_equal(lwstp_slot_next(both[n],
						 of_generation(most)),
				 of_generation(WIDE ? 0 : 1));
	}
}

/* Q6: a task whose slot is worn out is the last in it */
static void
a_task_in_a_worn_out_slot(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct lwstp_task *task;
	struct job *j, *last;

	if (!WIDE)
		return;		/* they begin again there: see above */
	last = job_block(rig, tp, gate);
	task = task_of(last->task);
	atomic_store(&task->slot.word, with_generation(task->slot.word,
						MOST(&lwstp_task_slots)));
	gate_open(gate);
	wait_int(&last->cleanups, 1);
	for (int n = 0; n < 100; n++) {
		j = job_new(rig);
		job_enqueue(tp, j, NULL);
		wait_int(&j->cleanups, 1);
		assert_ptr_not_equal(task_of(j->task), task);
	}
}

/* so is a pool */
static void
a_pool_in_a_worn_out_slot(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lwstp_pool *pool = pool_of(tp);
	uint64_t word = with_generation(pool->slot.word,
					MOST(&lwstp_pool_slots));

	if (!WIDE)
		return;
	atomic_store(&pool->slot.word, word);
	rig_pool_destroy(rig, tp);		/* it is stale now */
	assert_int_equal(log_claim(LLL_ERR, "stale or unknown pool"), 1);
	tp = lwstp_handle(&lwstp_pool_slots, &pool->slot, word);
	lws_threadpool_destroy(tp);
	assert_int_equal(lwstp_generation(pool->slot.word), 0);
	for (int n = 0; n < 20; n++)
		assert_ptr_not_equal(pool_of(rig_pool(rig, 1, 1)), pool);
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_ERR, "stale or unknown pool"), 2);
}

/* a handle of generation 0, which nothing has ever had, and one of another kind
 * than asked for */
static void
handles_of_nothing(void **state)
{
	struct lwstp_slots *slots = &lwstp_pool_slots;
	struct lwstp_slot *slot = lwstp_slot_take(slots);
	uint64_t word = slot->word;
	uint32_t generation = 77;
	void *handle;

	(void)state;
	handle = lwstp_handle(slots, slot, word);
	assert_ptr_equal(lwstp_handle_slot(slots, handle, &generation), slot);
	assert_int_equal(generation, lwstp_generation(word));
	assert_null(lwstp_handle_slot(&lwstp_task_slots, handle, &generation));
	handle = lwstp_handle(slots, slot, with_generation(word, 0));
	assert_null(lwstp_handle_slot(slots, handle, &generation));
	lwstp_slot_give(slots, slot);
}

/* T8, P1: where handles end there are no more slots; and no chunk of them is
 * beyond the last */
static void
a_table_that_is_full(void **state)
{
	struct lwstp_slots full = {
		.size = sizeof(struct lwstp_task), .first_bits = 8,
		.index_bits = lwstp_task_slots.index_bits,
		.generation_bits = lwstp_task_slots.generation_bits, .kind = 1,
		.used = (1u << lwstp_task_slots.index_bits),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	}, chunks = {
		.size = 1, .first_bits = 0, .index_bits = 31,
		.generation_bits = 31, .kind = 1,
		.used = (1u << LWSTP_CHUNKS) - 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	uint32_t generation;
	void *handle;

	(void)state;
	assert_null(lwstp_slot_take(&full));
	assert_int_equal(full.used, 1u << lwstp_task_slots.index_bits);
	if (!WIDE)
		return;
	assert_null(lwstp_slot_take(&chunks));
	handle = (void *)(uintptr_t)(of_generation(1) | (0x7fffffffu << 2) | 1);
	assert_null(lwstp_handle_slot(&chunks, handle, &generation));
}

/* T7: pools that come and go use the slots of those before */
static void
slots_are_used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	uint32_t used[2] = { 0 };
	struct job *j;

	for (int round = 0; round < 40; round++) {
		tp = rig_pool(rig, 3, 1000);
		for (int n = 0; n < 100; n++) {
			j = job_new(rig);
			job_enqueue(tp, j, NULL);
			if (!(n % 50))
				wait_int(&j->cleanups, 1);
		}
		rig_pool_destroy(rig, tp);
		/* how many it takes at the most depends on the threads */
		if (round == 9) {
			used[0] = lwstp_task_slots.used;
			used[1] = lwstp_pool_slots.used;
		}
	}
	assert_in_range(lwstp_task_slots.used, used[0], used[0] + 100);
	assert_int_equal(lwstp_pool_slots.used, used[1]);
}

#define THREADS		4
#define TURNS		20000

static struct lwstp_slots shared;
static atomic_int owners[THREADS * 4], doubles;

static void *
take_and_give(void *arg)
{
	struct lwstp_slot *mine[3];

	(void)arg;
	for (int n = 0; n < TURNS; n++) {
		for (int i = 0; i < 3; i++) {
			mine[i] = lwstp_slot_take(&shared);
			if (atomic_fetch_add(&owners[mine[i]->index], 1))
				atomic_fetch_add(&doubles, 1);
		}
		for (int i = 0; i < 3; i++) {
			atomic_fetch_sub(&owners[mine[i]->index], 1);
			lwstp_slot_give(&shared, mine[i]);
		}
	}

	return NULL;
}

/* a slot is given to one at a time, and none gets lost */
static void
threads_that_take_slots(void **state)
{
	struct lwstp_slots fresh = {
		.size = sizeof(struct lwstp_slot), .first_bits = 2,
		.index_bits = lwstp_task_slots.index_bits,
		.generation_bits = lwstp_task_slots.generation_bits, .kind = 1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t t[THREADS];

	(void)state;
	if (!WIDE)
		return;		/* more of them than there are owners here */
	memcpy(&shared, &fresh, sizeof(shared));
	for (int n = 0; n < THREADS; n++)
		assert_int_equal(pthread_create(&t[n], NULL, take_and_give,
						NULL), 0);
	for (int n = 0; n < THREADS; n++)
		pthread_join(t[n], NULL);
	assert_int_equal(atomic_load(&doubles), 0);
	assert_in_range(shared.used, 3, THREADS * 3);
	for (uint32_t n = shared.used; n; n--)
		assert_true(lwstp_slot_take(&shared)->index < shared.used);
	assert_int_equal((uint32_t)shared.free, 0);
	for (int n = 0; n < LWSTP_CHUNKS; n++)
		free(shared.chunk[n]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_that_is_worn_out),
		INSIDE_TEST(a_task_in_a_worn_out_slot),
		INSIDE_TEST(a_pool_in_a_worn_out_slot),
		cmocka_unit_test(handles_of_nothing),
		cmocka_unit_test(a_table_that_is_full),
		INSIDE_TEST(slots_are_used_again),
		cmocka_unit_test(threads_that_take_slots),
	};

	return cmocka_run_group_tests_name("inside-handles", tests, NULL, NULL);
}
