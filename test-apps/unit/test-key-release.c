/*
 * lws-threadpool unit tests - O1, the end of a task that has a key lets one
 * other start, and only one, whatever its end
 *
 * SPDX-License-Identifier: MIT
 */

#include "keyed.h"

struct scene {
	struct rig *rig;
	struct lws_threadpool *tp; /* of two threads */
	struct conn *c;
	struct gate *gate;
	struct served *s;	/* has the key, limit 1 */
	struct served *next[3]; /* wait for it, each with a gate */
	struct gate *next_gate[3];
};

static void
scene_begin(struct scene *p, struct rig *rig)
{
	p->rig = rig;
	p->tp = rig_pool(rig, 2, 100);
	p->c = conn_open(rig, CONN_RAW);
	p->c->manual = true;
	p->gate = gate_new(rig);
	p->s = keyed_gated(rig, p, 1, p->gate);
	p->s->j->stop_gate = p->gate;
}

/* by then it is called for that time, and the others are held back */
static void
scene_start(struct scene *p, struct lws *wsi, int calls)
{
	assert_non_null(served_enqueue(p->tp, p->s, wsi));
	wait_int(&p->s->j->calls, calls);
	for (int n = 0; n < 3; n++) {
		p->next_gate[n] = gate_new(p->rig);
		p->next[n] = keyed_gated(p->rig, p, 1, p->next_gate[n]);
		assert_non_null(served_enqueue(p->tp, p->next[n], NULL));
		keyed_is_held(p->rig, p->tp, p->next[n]);
	}
}

/* it has ended, or is about to: one starts, and when that ends the next */
static void
scene_end(struct scene *p)
{
	for (int n = 0; n < 3; n++) {
		wait_int(&p->next[n]->j->calls, 1);
		for (int later = n + 1; later < 3; later++)
			keyed_is_held(p->rig, p->tp, p->next[later]);
		gate_open(p->next_gate[n]);
	}
	rig_until_cleaned(p->rig);
	rig_pool_destroy(p->rig, p->tp);
}

/* ---- ends of one that runs ---- */

static const int returns[] = { LWS_TP_RETURN_FINISHED, LWS_TP_RETURN_STOPPED,
			       1234 };

/* O1: by each return, with a wsi and without */
static void
by_its_return(void **state)
{
	struct scene p;

	for (int n = 0; n < 6; n++) {
		scene_begin(&p, *state);
		p.s->j->last = returns[n / 2];
		scene_start(&p, n & 1 ? p.c->wsi : NULL, 1);
		gate_open(p.gate);
		p.c->manual = false;
		wait_int(&p.s->j->returns, 1);
		if (returns[n / 2] == 1234)
			log_wait(LLL_ERR, "1234", n - 3);
		if (n & 1) {
			rig_until_status(p.s->j,
					 n / 2 ? LWS_TP_STATUS_STOPPED :
						 LWS_TP_STATUS_FINISHED);
			lws_threadpool_task_status(p.s->j->task, NULL);
		}
		scene_end(&p);
	}
	assert_int_equal(log_claim(LLL_ERR, "1234"), 2);
}

/* O1: asked to stop, not when that is asked but when it has ended */
static void
by_a_stop(void **state)
{
	struct scene p;

	for (int n = 0; n < 4; n++) {
		scene_begin(&p, *state);
		p.s->j->repeat = 9;
		p.s->j->ret = LWS_TP_RETURN_CHECKING_IN;
		scene_start(&p, n & 1 ? p.c->wsi : NULL, 1);
		lws_threadpool_task_sync(p.s->j->task, 1);
		if (n & 2) /* and again, by other ways */
			lws_threadpool_task_sync(p.s->j->task, 1);
		if (n == 3)
			lws_threadpool_dequeue_task(p.s->j->task);
		for (int i = 0; i < 3; i++)
			keyed_is_held(p.rig, p.tp, p.next[i]);
		gate_open(p.gate);
		p.c->manual = false;
		if (n == 1) {
			rig_until_status(p.s->j, LWS_TP_STATUS_STOPPED);
			lws_threadpool_task_status(p.s->j->task, NULL);
		}
		scene_end(&p);
		assert_int_equal(atomic_load(&p.s->j->stopping), 1);
	}
}

/* O1: its wsi is closed: not then, but when it has ended; one that outlives it
 * runs on */
static void
by_a_close(void **state)
{
	struct scene p;

	for (int async = 0; async < 2; async++) {
		scene_begin(&p, *state);
		p.s->j->async_task = (char)async;
		p.s->j->repeat = 9;
		p.s->j->ret = LWS_TP_RETURN_CHECKING_IN;
		scene_start(&p, p.c->wsi, 1);
		conn_fin(p.c);
		conn_until_closed(p.c);
		for (int i = 0; i < 3; i++)
			keyed_is_held(p.rig, p.tp, p.next[i]);
		gate_open(p.gate);
		scene_end(&p);
		assert_int_equal(atomic_load(&p.s->j->stopping), !async);
	}
}

/* ---- ends of one that is SYNCING ---- */

static void
way_answer(struct scene *p)
{
	lws_threadpool_task_sync(p->s->j->task, 0);
}

static void
way_stop(struct scene *p)
{
	lws_threadpool_task_sync(p->s->j->task, 1);
}

static void
way_dequeue(struct scene *p)
{
	assert_int_equal(lws_threadpool_dequeue_task(p->s->j->task), 1);
	lws_threadpool_task_sync(p->s->j->task, 1);
}

static void
way_close(struct scene *p)
{
	conn_fin(p->c);
	conn_until_closed(p->c);
}

/* O1: SYNCING it counts; an answer, a stop, a dequeue and a close end it */
static void
of_a_syncing_one(void **state)
{
	void (*const ways[])(struct scene *p) = { way_answer, way_stop,
						  way_dequeue, way_close };
	struct scene p;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(ways); n++) {
		scene_begin(&p, *state);
		gate_open(p.gate);
		p.s->j->repeat = 1;
		p.s->j->ret = LWS_TP_RETURN_SYNC;
		scene_start(&p, p.c->wsi, 1);
		wait_status(p.s->j, LWS_TP_STATUS_SYNCING);
		ways[n](&p);
		p.c->manual = false;
		if (n < 2) {
			rig_until_status(p.s->j, n ? LWS_TP_STATUS_STOPPED :
						     LWS_TP_STATUS_FINISHED);
			/* reaped before the next starts, or after */
			lws_threadpool_task_status(p.s->j->task, NULL);
		}
		rig_until_int(p.rig, &p.s->j->cleanups, 1);
		scene_end(&p);
	}
}

/* O1: one that was reaped while it was QUEUED had not started: it releases
 * nothing */
static void
not_by_one_that_never_started(void **state)
{
	struct scene p;

	scene_begin(&p, *state);
	scene_start(&p, NULL, 1);
	for (int n = 0; n < 10; n++) {
		struct served *never = keyed_new(p.rig, &p, 1);

		assert_non_null(served_enqueue(p.tp, never, p.c->wsi));
		if (n & 1)
			lws_threadpool_task_sync(never->j->task, 1);
		lws_threadpool_dequeue_task(never->j->task);
	}
	for (int i = 0; i < 3; i++)
		keyed_is_held(p.rig, p.tp, p.next[i]);
	gate_open(p.gate);
	scene_end(&p);
}

/* O1: used again and again, and with another limit, the same key begins anew */
static void
used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 100);
	struct gate *gate;
	struct served *s[4];

	for (int round = 0; round < 20; round++) {
		gate = gate_new(rig);
		for (int n = 0; n < 4; n++) {
			s[n] = keyed_gated(rig, rig, 1 + round % 2, gate);
			assert_non_null(served_enqueue(tp, s[n], NULL));
		}
		for (int n = 0; n < 4; n++)
			if (n <= round % 2)
				wait_int(&s[n]->j->calls, 1);
			else
				keyed_is_held(rig, tp, s[n]);
		gate_open(gate);
		rig_until_cleaned(rig);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(by_its_return),
		SERVED_TEST(by_a_stop),
		SERVED_TEST(by_a_close),
		SERVED_TEST(of_a_syncing_one),
		SERVED_TEST(not_by_one_that_never_started),
		SERVED_TEST(used_again),
	};

	return cmocka_run_group_tests_name("O1 release", tests, NULL, NULL);
}
