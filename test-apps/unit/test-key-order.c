/*
 * lws-threadpool unit tests - O1, when a task with a key starts
 *
 * SPDX-License-Identifier: MIT
 */

#include "keyed.h"

#define MANY 300

/* O1: limit 1 is order: one at a time, as enqueued, whatever they return in
 * between and however many threads there are */
static void
limit_1_is_order(void **state)
{
	static const int rets[] = { LWS_TP_RETURN_CHECKING_IN,
				    LWS_TP_RETURN_SYNC };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 4, 1000);
	struct conn *c[3] = { conn_open(rig, CONN_RAW), conn_open(rig, CONN_WS),
			      NULL };
	struct served *s[MANY];
	struct lane lane;

	rig->on_event = NULL; /* job_serve_one() answers */
	memset(&lane, 0, sizeof(lane));
	for (int n = 0; n < MANY; n++) {
		s[n] = keyed_counted(rig, &lane, 1, n % 4, rets[n & 1]);
		assert_non_null(served_enqueue(
			tp, s[n], c[n % 3] ? c[n % 3]->wsi : NULL));
	}
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&lane.most), 1);
	for (int n = 0; n < MANY; n++)
		assert_int_equal(s[n]->j->data, n);
}

/* O1: several keys, with limits of their own: each is kept, and each key's
 * order */
static void
many_keys_with_limits(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 4, 1000);
	struct lane lanes[5];
	struct served *s[MANY];

	memset(lanes, 0, sizeof(lanes));
	for (int n = 0; n < MANY; n++) {
		s[n] = keyed_counted(rig, &lanes[n % 5], 1 + n % 5, n % 7,
				     LWS_TP_RETURN_CHECKING_IN);
		assert_non_null(served_enqueue(tp, s[n], NULL));
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 5; n++) {
		assert_true(atomic_load(&lanes[n].most) <= 1 + n);
		assert_int_equal(atomic_load(&lanes[n].started), MANY / 5);
	}
	for (int n = 5; n < MANY; n += 5)
		assert_int_equal(s[n]->j->data, n / 5);
}

/* O1: as many as the limit are at work, and the next starts when one ends */
static void
up_to_its_limit(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 4, 100);
	struct gate *gate[5];
	struct served *s[5];

	for (int n = 0; n < 5; n++) {
		gate[n] = gate_new(rig);
		s[n] = keyed_gated(rig, rig, 3, gate[n]);
		assert_non_null(served_enqueue(tp, s[n], NULL));
	}
	for (int n = 0; n < 3; n++)
		wait_int(&s[n]->j->calls, 1);
	keyed_is_held(rig, tp, s[3]);
	keyed_is_held(rig, tp, s[4]);
	gate_open(gate[1]);
	wait_int(&s[3]->j->calls, 1);
	keyed_is_held(rig, tp, s[4]);
	gate_open(gate[3]);
	wait_int(&s[4]->j->calls, 1);
}

/* O1: each goes by its own key_max, and by the order: one that could start
 * waits behind one that cannot */
static void
its_own_limit(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 4, 100);
	static const int max[] = { 2, 2, 1, 4, 0 };
	struct gate *gate[5];
	struct served *s[5];

	for (int n = 0; n < 5; n++) {
		gate[n] = gate_new(rig);
		s[n] = keyed_gated(rig, rig, max[n], gate[n]);
		assert_non_null(served_enqueue(tp, s[n], NULL));
	}
	wait_int(&s[0]->j->calls, 1);
	wait_int(&s[1]->j->calls, 1);
	for (int n = 2; n < 5; n++)
		keyed_is_held(rig, tp, s[n]);
	gate_open(gate[0]);
	for (int n = 2; n < 5; n++)
		keyed_is_held(rig, tp, s[n]);
	gate_open(gate[1]);
	/* and then all of them, s[2] first */
	for (int n = 2; n < 5; n++)
		wait_int(&s[n]->j->calls, 1);
}

/* O1: key_max 0 is no limit, but such a task counts for those that have one; a
 * NULL key is nobody's, with any key_max */
static void
no_limit_and_no_key(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 4, 100);
	struct gate *gate = gate_new(rig), *second = gate_new(rig);
	struct served *s[3], *held;

	for (int n = 0; n < 3; n++) {
		s[n] = keyed_gated(rig, rig, 0, gate);
		assert_non_null(served_enqueue(tp, s[n], NULL));
	}
	for (int n = 0; n < 3; n++)
		wait_int(&s[n]->j->calls, 1);
	held = keyed_gated(rig, rig, 3, gate);
	assert_non_null(served_enqueue(tp, held, NULL));
	keyed_is_held(rig, tp, held);
	gate_open(gate);
	wait_int(&held->j->cleanups, 1);

	for (int n = 0; n < 3; n++) {
		s[n] = keyed_gated(rig, NULL, 1, second);
		assert_non_null(served_enqueue(tp, s[n], NULL));
	}
	for (int n = 0; n < 3; n++)
		wait_int(&s[n]->j->calls, 1);
}

/* O1: keys are compared and never followed: pointers that point nowhere */
static void
not_followed(void **state)
{
	const void *keys[] = { (const void *)1, (const void *)2,
			       (const void *)UINTPTR_MAX,
			       (const void *)(UINTPTR_MAX / 2) };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 4, 100);
	struct gate *gate = gate_new(rig);
	struct served *s[4];

	for (int n = 0; n < 3; n++) {
		s[n] = keyed_gated(rig, keys[n], 1, gate);
		assert_non_null(served_enqueue(tp, s[n], NULL));
		wait_int(&s[n]->j->calls, 1);
	}
	s[3] = keyed_new(rig, keys[3], 1);
	assert_non_null(served_enqueue(tp, s[3], NULL));
	wait_int(&s[3]->j->cleanups, 1);
	s[3] = keyed_new(rig, keys[2], 1);
	assert_non_null(served_enqueue(tp, s[3], NULL));
	keyed_is_held(rig, tp, s[3]);
}

/* O1: "in this pool": another pool's tasks of the key are no matter */
static void
in_this_pool(void **state)
{
	struct rig *rig = *state;
	struct gate *gate = gate_new(rig);
	struct served *s;

	for (int n = 0; n < 3; n++) {
		s = keyed_gated(rig, rig, 1, gate);
		assert_non_null(served_enqueue(rig_pool(rig, 1, 10), s, NULL));
		wait_int(&s->j->calls, 1);
	}
}

/* ---- what counts, and what does not wait for it ---- */

/* O1: one that is SYNCING counts, and is not held back when it goes on */
static void
a_syncing_one_counts(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *first = keyed_new(rig, rig, 1),
		      *next = keyed_new(rig, rig, 1);

	c->manual = true;
	first->j->repeat = 20;
	first->j->ret = LWS_TP_RETURN_SYNC;
	assert_non_null(served_enqueue(tp, first, c->wsi));
	wait_status(first->j, LWS_TP_STATUS_SYNCING);
	assert_non_null(served_enqueue(tp, next, NULL));
	for (int n = 1; n <= 20; n++) {
		wait_int(&first->j->calls, n);
		wait_status(first->j, LWS_TP_STATUS_SYNCING);
		if (n % 10 == 1)
			keyed_is_held(rig, tp, next);
		assert_int_equal(atomic_load(&next->j->calls), 0);
		lws_threadpool_task_sync(first->j->task, 0);
	}
	/* ended is enough, reaped or not */
	wait_int(&next->j->cleanups, 1);
	assert_int_equal(lws_threadpool_task_status_noreap(first->j->task),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&first->j->cleanups), 0);
}

static int
park_once(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return atomic_load(&j->calls) == 1 ? (int)lws_threadpool_park(-1) :
					     LWS_TP_RETURN_FINISHED;
}

static bool
is_parked(void *arg)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };

	return !lws_threadpool_task_get_info(arg, &info) && info.parked;
}

/* O1, T9: and so does one that is parked */
static void
a_parked_one_counts(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 100);
	struct served *first = keyed_new(rig, rig, 1),
		      *next = keyed_new(rig, rig, 1);

	first->j->fn = park_once;
	assert_non_null(served_enqueue(tp, first, NULL));
	wait_until(is_parked, first->j->task);
	assert_non_null(served_enqueue(tp, next, NULL));
	keyed_is_held(rig, tp, next);
	lws_threadpool_task_wake(first->j->task);
	wait_int(&next->j->cleanups, 1);
	/* the key was free before its cleanup was called */
	wait_int(&first->j->cleanups, 1);
}

/* O1, S2: those of another key, and of none, go by; in their order, on the one
 * thread that there is */
static void
no_other_key_is_held_up(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *first = keyed_new(rig, rig, 1), *held[50], *s[100];
	struct gate *gate = gate_new(rig);
	struct lane other, none;

	memset(&other, 0, sizeof(other));
	memset(&none, 0, sizeof(none));
	c->manual = true;
	first->j->repeat = 1;
	first->j->ret = LWS_TP_RETURN_SYNC;
	assert_non_null(served_enqueue(tp, first, c->wsi));
	wait_status(first->j, LWS_TP_STATUS_SYNCING);
	job_block(rig, tp, gate);
	for (int n = 0; n < 50; n++) {
		held[n] = keyed_new(rig, rig, 1);
		assert_non_null(served_enqueue(tp, held[n], NULL));
		s[2 * n] = keyed_counted(rig, &none, 1, 0, 0);
		s[2 * n]->o.key = n & 1 ? NULL : &other;
		assert_non_null(served_enqueue(tp, s[2 * n], NULL));
		s[2 * n + 1] = keyed_counted(rig, &none, 1, 0, 0);
		s[2 * n + 1]->o.key = NULL;
		assert_non_null(served_enqueue(tp, s[2 * n + 1], NULL));
	}
	gate_open(gate);
	for (int n = 0; n < 100; n++) {
		wait_int(&s[n]->j->cleanups, 1);
		assert_int_equal(s[n]->j->data, n);
	}
	keyed_is_held(rig, tp, held[0]);
	keyed_is_held(rig, tp, held[49]);
	lws_threadpool_task_sync(first->j->task, 0);
	for (int n = 0; n < 50; n++)
		wait_int(&held[n]->j->cleanups, 1);
}

/* O1, S2: once its key has room it starts before those that came after it */
static void
before_those_behind_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct gate *gate = gate_new(rig), *other = gate_new(rig);
	struct served *first, *held, *behind;
	struct lane lane = { .inside = 0 };

	first = keyed_gated(rig, &lane, 1, gate);
	assert_non_null(served_enqueue(tp, first, NULL));
	wait_int(&first->j->calls, 1);
	held = keyed_counted(rig, &lane, 1, 0, LWS_TP_RETURN_FINISHED);
	assert_non_null(served_enqueue(tp, held, NULL));
	keyed_is_held(rig, tp, held);
	job_block(rig, tp, other);
	behind = keyed_counted(rig, &lane, 0, 0, LWS_TP_RETURN_FINISHED);
	behind->o.key = NULL;
	assert_non_null(served_enqueue(tp, behind, NULL));
	/* which puts it on the queue, too */
	lws_threadpool_dump(tp);
	gate_open(gate);
	wait_int(&held->j->cleanups, 1);
	wait_int(&behind->j->cleanups, 1);
	gate_open(other);
	assert_int_equal(held->j->data, 0);
	assert_int_equal(behind->j->data, 1);
}

/* O1, S1: the same in a pool with pin_tasks */
static void
pinned(void **state)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .pin_tasks = 1 };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool_ext(rig, 3, 1000, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s[60];
	struct lane lane[2];

	rig->on_event = NULL;
	memset(lane, 0, sizeof(lane));
	for (int n = 0; n < 60; n++) {
		s[n] = keyed_counted(rig, &lane[n & 1], 1 + (n & 1), 3,
				     LWS_TP_RETURN_SYNC);
		assert_non_null(served_enqueue(tp, s[n], c->wsi));
	}
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&lane[0].most), 1);
	assert_true(atomic_load(&lane[1].most) <= 2);
	for (int n = 0; n < 60; n += 2)
		assert_int_equal(s[n]->j->data, n / 2);
	for (int n = 0; n < 60; n++)
		assert_int_equal(atomic_load(&s[n]->j->moved), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(limit_1_is_order),
		SERVED_TEST(many_keys_with_limits),
		SERVED_TEST(up_to_its_limit),
		SERVED_TEST(its_own_limit),
		SERVED_TEST(no_limit_and_no_key),
		SERVED_TEST(not_followed),
		SERVED_TEST(in_this_pool),
		SERVED_TEST(a_syncing_one_counts),
		SERVED_TEST(a_parked_one_counts),
		SERVED_TEST(no_other_key_is_held_up),
		SERVED_TEST(before_those_behind_it),
		SERVED_TEST(pinned),
	};

	return cmocka_run_group_tests_name("O1 order", tests, NULL, NULL);
}
