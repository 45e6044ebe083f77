/*
 * lws-threadpool unit tests - what takes 2^31 tasks, or too long, to be seen
 * from outside
 *
 * SPDX-License-Identifier: MIT
 *
 * Includes the library's private header, and is linked with its archive.
 *
 * LWSTP_INSIDE
 * LWSTP_WRAP: clock_gettime
 */

#include "../../lib/private.h"

#include "harness.h"

#define BIG_GENERATION	(UINTPTR_MAX > 0xffffffffu ? 0x7fffffffu : 0xfffu)
#define SLOTS_MOST	(UINTPTR_MAX > 0xffffffffu ? 0x7fffffffu : 0x3ffffu)

/* clocks may be put forward: all threads see it */
static atomic_llong forward_secs;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);

	ts->tv_sec += (time_t)atomic_load(&forward_secs);

	return r;
}

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

static bool
mark_is_gone(void *wsi)
{
	bool gone;

	lwstp_lock_bindings();
	gone = !__lwstp_binding_find(wsi);
	lwstp_unlock_bindings();

	return gone;
}

/* W4: the mark of a wsi that closed is kept for ten seconds, and no longer */
static void
a_mark_goes_by_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c[3];
	struct lws *wsi[3];
	int n;

	for (n = 0; n < 3; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		wsi[n] = c[n]->wsi;
		job_enqueue(tp, job_new(rig), wsi[n]);
	}
	rig_until_cleaned(rig);
	for (n = 0; n < 3; n++) {
		conn_fin(c[n]);
		conn_until_closed(c[n]);
		assert_false(mark_is_gone(wsi[n]));
	}
	atomic_fetch_add(&forward_secs, 11);
	for (n = 0; n < 3; n++)
		rig_until(rig, mark_is_gone, wsi[n]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_that_is_worn_out),
		cmocka_unit_test(a_handle_without_a_generation),
		cmocka_unit_test(a_table_that_is_full),
		RIG_TEST(a_mark_goes_by_itself),
	};

	return cmocka_run_group_tests_name("inside", tests, NULL, NULL);
}
