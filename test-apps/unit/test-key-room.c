/*
 * lws-threadpool unit tests - O1, P2, P3: tasks whose turn it is, while all the
 * threads are in cleanups
 *
 * SPDX-License-Identifier: MIT
 */

#include "keyed.h"
#include "task-options.h"

/*
 * A pool of two threads, and a key for one task.  One thread is in the cleanup
 * of a task whose queue_ms were over, the other in that of one that has ended:
 * so the next of the key may start, and no thread takes it.
 */
struct scene {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct gate *end, *cleanup;
	struct served *first, *next, *late;
	atomic_int cleaning;
};

static void
cleanup_waits(struct served *s, struct lws *wsi)
{
	struct scene *p = s->priv;

	(void)wsi;
	atomic_fetch_add(&p->cleaning, 1);
	gate_pass(p->cleanup);
}

static void
scene_begin(struct scene *p, struct rig *rig, int depth)
{
	memset(p, 0, sizeof(*p));
	p->rig = rig;
	p->tp = rig_pool(rig, 2, depth);
	p->end = gate_new(rig);
	p->cleanup = gate_new(rig);
	p->first = keyed_gated(rig, p, 1, p->end);
	p->first->priv = p;
	p->first->on_cleanup = cleanup_waits;
	assert_non_null(served_enqueue(p->tp, p->first, NULL));
	wait_int(&p->first->j->calls, 1);
	p->next = keyed_new(rig, p, 1);
	assert_non_null(served_enqueue(p->tp, p->next, NULL));
	keyed_is_held(rig, p->tp, p->next);
	p->late = keyed_new(rig, p, 1);
	p->late->o.queue_ms = 50;
	p->late->priv = p;
	p->late->on_cleanup = cleanup_waits;
	assert_non_null(served_enqueue(p->tp, p->late, NULL));
	wait_int(&p->cleaning, 1); /* nobody services: on a thread */
}

static void
scene_turn(struct scene *p)
{
	gate_open(p->end);
	wait_int(&p->cleaning, 2);
}

static void
scene_end(struct scene *p)
{
	gate_open(p->cleanup);
	rig_until_cleaned(p->rig);
	claim_times();
}

/* P3: the one whose turn it was is stopped first, and not called */
static void
finished(void **state)
{
	struct scene p;
	struct job *behind;

	scene_begin(&p, *state, 10);
	scene_turn(&p);
	behind = job_new(p.rig);
	assert_non_null(job_enqueue(p.tp, behind, NULL));
	lws_threadpool_finish(p.tp);
	assert_int_equal(atomic_load(&p.next->j->cleanups), 1);
	assert_int_equal(atomic_load(&behind->cleanups), 1);
	scene_end(&p);
	assert_int_equal(atomic_load(&p.next->j->calls), 0);
	assert_int_equal(atomic_load(&behind->calls), 0);
}

/* P2: with one that waits the queue is full, or is with the next: a thread is
 * not busy with a task but nearly free.  What was accepted is called, those of
 * the key in order. */
static void
full(struct rig *rig, bool turn, const void *key)
{
	struct scene p;
	struct served *s[8];
	int n, accepted = 0;

	scene_begin(&p, rig, 2);
	if (turn)
		scene_turn(&p);
	for (n = 0; n < 8; n++) {
		s[n] = keyed_new(rig, key ? key : &p, key ? 1 : 2);
		if (n & 1)
			s[n]->o.key = NULL;
		if (!served_enqueue(p.tp, s[n], NULL))
			break;
		accepted++;
	}
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_QUEUE_FULL);
	assert_true(accepted >= 1 && accepted <= 3);
	log_claim(LLL_WARN, "max_queue_depth");
	gate_open(p.end);
	scene_end(&p);
	for (n = 0; n < accepted; n++)
		assert_int_equal(atomic_load(&s[n]->j->calls), 1);
}

static void
full_with_keys(void **state)
{
	static const char other;

	for (int n = 0; n < 4; n++)
		full(*state, n & 1, n & 2 ? &other : NULL);
}

/* the same with tasks that have no options at all, beside one with a key */
static void
full_without(void **state)
{
	struct rig *rig = *state;
	struct scene p;
	int accepted = 0;

	scene_begin(&p, rig, 2);
	while (accepted < 8 && job_enqueue(p.tp, job_new(rig), NULL))
		accepted++;
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_QUEUE_FULL);
	assert_true(accepted >= 1 && accepted <= 3);
	log_claim(LLL_WARN, "max_queue_depth");
	gate_open(p.end);
	scene_end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(finished),
		SERVED_TEST(full_with_keys),
		SERVED_TEST(full_without),
	};

	return cmocka_run_group_tests_name("O1 room", tests, NULL, NULL);
}
