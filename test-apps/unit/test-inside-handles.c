/*
 * lws-threadpool unit tests - handles and slots, which wear out after 2^31
 * tasks only
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

#define WIDE	   (UINTPTR_MAX > 0xffffffffu)
#define MOST(kind) LWSTP_MASK(LWSTP_GENERATION_BITS(kind))

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
	static const enum lwstp_kind kinds[] = { LWSTP_TASKS, LWSTP_POOLS };

	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(kinds); n++) {
		uint64_t most = MOST(kinds[n]);

		/* what is below the generation does not get into the next */
		assert_int_equal(lwstp_slot_next(kinds[n], of_generation(1) |
								   0x1ffffffff),
				 of_generation(2));
		assert_int_equal(lwstp_slot_next(kinds[n],
						 of_generation(most - 1)),
				 of_generation(most));
		assert_int_equal(lwstp_slot_next(kinds[n], of_generation(most)),
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
		return; /* they begin again there: see above */
	last = job_block(rig, tp, gate);
	task = task_of(last->task);
	atomic_store(&task->slot.word,
		     with_generation(task->slot.word, MOST(LWSTP_TASKS)));
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
	uint64_t word = with_generation(pool->slot.word, MOST(LWSTP_POOLS));

	if (!WIDE)
		return;
	atomic_store(&pool->slot.word, word);
	rig_pool_destroy(rig, tp); /* it is stale now */
	assert_int_equal(log_claim(LLL_ERR, "stale or unknown pool"), 1);
	tp = lwstp_handle(LWSTP_POOLS, &pool->slot, word);
	lws_threadpool_destroy(tp);
	assert_int_equal(lwstp_generation(pool->slot.word), 0);
	for (int n = 0; n < 20; n++)
		assert_ptr_not_equal(pool_of(rig_pool(rig, 1, 1)), pool);
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_ERR, "stale or unknown pool"), 2);
}

static struct lwstp_slot *
slot_of(enum lwstp_kind kind, const void *handle, uint32_t *generation)
{
	return lwstp_handle_slot(kind, lwstp_slots[kind].size, handle,
				 generation);
}

/* a handle of generation 0, which nothing has ever had, and one of another kind
 * than asked for */
static void
handles_of_nothing(void **state)
{
	struct lwstp_slot *slot = lwstp_slot_take(LWSTP_POOLS);
	uint64_t word = slot->word;
	uint32_t generation = 77;
	void *handle;

	(void)state;
	handle = lwstp_handle(LWSTP_POOLS, slot, word);
	assert_ptr_equal(slot_of(LWSTP_POOLS, handle, &generation), slot);
	assert_int_equal(generation, lwstp_generation(word));
	assert_null(slot_of(LWSTP_TASKS, handle, &generation));
	handle = lwstp_handle(LWSTP_POOLS, slot, with_generation(word, 0));
	assert_null(slot_of(LWSTP_POOLS, handle, &generation));
	lwstp_slot_give(LWSTP_POOLS, slot);
}

/* with a table that was filled up to there */
static struct lwstp_slot *
take_beyond(enum lwstp_kind kind, uint32_t used)
{
	struct lwstp_slots *slots = &lwstp_slots[kind];
	uint32_t was = atomic_exchange(&slots->used, used);
	uint64_t free_ones = atomic_exchange(&slots->free, 0);
	struct lwstp_slot *slot = lwstp_slot_take(kind);

	assert_int_equal(slots->used, used);
	atomic_store(&slots->used, was);
	atomic_store(&slots->free, free_ones);

	return slot;
}

/* T8, P1: where handles end there are no more slots; and a handle of a slot
 * that never was names none */
static void
a_table_that_is_full(void **state)
{
	static const enum lwstp_kind kinds[] = { LWSTP_TASKS, LWSTP_POOLS };
	uint32_t most, generation;
	struct lwstp_slot last;

	(void)state;
	if (!WIDE)
		return; /* free slots are a queue there */
	for (size_t n = 0; n < LWS_ARRAY_SIZE(kinds); n++) {
		most = (uint32_t)LWSTP_MASK(LWSTP_INDEX_BITS(kinds[n]));
		assert_null(take_beyond(kinds[n], most + 1));
		last.index = most;
		assert_null(slot_of(kinds[n],
				    lwstp_handle(kinds[n], &last,
						 of_generation(1)),
				    &generation));
	}
}

/* T7: pools that come and go use the slots of those before */
static void
slots_are_used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	uint32_t used[2] = { 0 };
	struct job *j;

	/* where handles come again, at least 256 slots are used in turn */
	for (int round = 0; round < (WIDE ? 40 : 400); round++) {
		tp = rig_pool(rig, 3, 1000);
		for (int n = 0; n < 100; n++) {
			j = job_new(rig);
			job_enqueue(tp, j, NULL);
			if (!(n % 50))
				wait_int(&j->cleanups, 1);
		}
		rig_pool_destroy(rig, tp);
		/* how many it takes at the most depends on the threads */
		if (round == (WIDE ? 9 : 300)) {
			used[0] = lwstp_slots[LWSTP_TASKS].used;
			used[1] = lwstp_slots[LWSTP_POOLS].used;
		}
	}
	assert_in_range(lwstp_slots[LWSTP_TASKS].used, used[0], used[0] + 100);
	assert_int_equal(lwstp_slots[LWSTP_POOLS].used, used[1]);
}

/* so do tasks with a wsi, whose slot the service thread gives back if it had
 * them in its inbox when they were reaped */
static void
slots_of_posted_tasks_are_used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	uint32_t used = 0;
	struct job *j;

	c->manual = true;
	for (int n = 0; n < 100; n++) {
		j = job_new(rig);
		job_enqueue(tp, j, c->wsi);
		wait_int(&j->returns, 1);
		wait_until(has_an_idle_thread, pool_of(tp));
		assert_int_equal(lws_threadpool_task_status(j->task, NULL),
				 LWS_TP_STATUS_FINISHED);
		lwstp_service_answer(service_of(tp));
		if (!n)
			used = lwstp_slots[LWSTP_TASKS].used;
	}
	assert_int_equal(lwstp_slots[LWSTP_TASKS].used, used);
}

/* Who was about to take a slot off, while others took it, and the next one, and
 * gave it back, notices: the next one is not free. */
static void
a_slot_that_was_taken_meanwhile(void **state)
{
	struct lwstp_slots *slots = &lwstp_slots[LWSTP_TASKS];
	struct lwstp_slot *slot, *next;
	uint64_t before;

	(void)state;
	if (!WIDE)
		return; /* free slots are a queue there */
	slot = lwstp_slot_take(LWSTP_TASKS);
	lwstp_slot_give(LWSTP_TASKS, slot);
	before = slots->free;
	assert_ptr_equal(lwstp_slot_take(LWSTP_TASKS), slot);
	next = lwstp_slot_take(LWSTP_TASKS);
	lwstp_slot_give(LWSTP_TASKS, slot);
	assert_int_equal((uint32_t)slots->free, (uint32_t)before);
	assert_int_not_equal(slots->free, before);
	lwstp_slot_give(LWSTP_TASKS, next);
}

#define THREADS	   4
#define TURNS	   20000
#define SLOTS_MOST 4096

static atomic_int owners[SLOTS_MOST], doubles;

static void *
take_and_give(void *arg)
{
	struct lwstp_slot *mine[3];

	(void)arg;
	for (int n = 0; n < TURNS; n++) {
		for (int i = 0; i < 3; i++) {
			mine[i] = lwstp_slot_take(LWSTP_TASKS);
			if (atomic_fetch_add(&owners[mine[i]->index], 1))
				atomic_fetch_add(&doubles, 1);
		}
		for (int i = 0; i < 3; i++) {
			atomic_fetch_sub(&owners[mine[i]->index], 1);
			lwstp_slot_give(LWSTP_TASKS, mine[i]);
		}
	}

	return NULL;
}

/* a slot is given to one at a time, and none gets lost */
static void
threads_that_take_slots(void **state)
{
	struct lwstp_slots *slots = &lwstp_slots[LWSTP_TASKS];
	struct lwstp_slot *all[SLOTS_MOST];
	pthread_t t[THREADS];
	uint32_t n, used;

	(void)state;
	if (!WIDE)
		return; /* free slots are a queue there */
	assert_in_range(slots->used, 0, SLOTS_MOST - THREADS * 3);
	for (n = 0; n < THREADS; n++)
		assert_int_equal(
			pthread_create(&t[n], NULL, take_and_give, NULL), 0);
	for (n = 0; n < THREADS; n++)
		pthread_join(t[n], NULL);
	assert_int_equal(atomic_load(&doubles), 0);
	used = slots->used;
	for (n = 0; n < used && (uint32_t)slots->free; n++) {
		all[n] = lwstp_slot_take(LWSTP_TASKS);
		assert_true(all[n]->index < used);
	}
	/* but for one that is worn out */
	assert_in_range(n, used - 1, used);
	assert_int_equal((uint32_t)slots->free, 0);
	while (n)
		lwstp_slot_give(LWSTP_TASKS, all[--n]);
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
		INSIDE_TEST(slots_of_posted_tasks_are_used_again),
		cmocka_unit_test(a_slot_that_was_taken_meanwhile),
		cmocka_unit_test(threads_that_take_slots),
	};

	return cmocka_run_group_tests_name("inside-handles", tests, NULL, NULL);
}
