/*
 * lws-threadpool unit tests - O1, tasks that are held back by their key: they
 * are QUEUED, and what is done with those
 *
 * SPDX-License-Identifier: MIT
 */

#include "keyed.h"

#include "closings.h"

struct scene {
	struct rig *rig;
	struct lws_threadpool *tp; /* of two threads */
	struct conn *c;
	struct gate *gate;
	struct served *first; /* has the key until the gate opens */
	struct served *held[5];
};

static void
scene_begin_key(struct scene *p, struct rig *rig, int depth, int n)
{
	p->rig = rig;
	p->tp = rig_pool(rig, 2, depth);
	p->c = conn_open(rig, CONN_RAW);
	p->c->manual = true;
	p->gate = gate_new(rig);
	p->first = keyed_gated(rig, p, 1, p->gate);
	assert_non_null(served_enqueue(p->tp, p->first, NULL));
	wait_int(&p->first->j->calls, 1);
	for (int i = 0; i < n; i++)
		p->held[i] = keyed_new(rig, p, 1);
}

static void
scene_begin(struct scene *p, struct rig *rig, int depth, int n, struct lws *wsi)
{
	scene_begin_key(p, rig, depth, n);
	for (int i = 0; i < n; i++)
		assert_non_null(served_enqueue(p->tp, p->held[i],
					       wsi ? wsi : p->c->wsi));
}

static int
depth_of(struct lws_threadpool *tp)
{
	int depth;

	lws_threadpool_diagnose(tp, NULL, NULL, &depth);

	return depth;
}

/* O1, P2: it is QUEUED, and waits, though a thread is free */
static void
is_queued(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_task_info info = { .size = sizeof(info) };
	struct lws_threadpool_stats stats = { .size = sizeof(stats) };
	struct scene p;

	scene_begin(&p, rig, 100, 5, NULL);
	for (int n = 0; n < 5; n++) {
		keyed_is_held(rig, p.tp, p.held[n]);
		assert_int_equal(lws_threadpool_task_status(p.held[n]->j->task,
							    NULL),
				 LWS_TP_STATUS_QUEUED);
		assert_int_equal(
			lws_threadpool_task_get_info(p.held[n]->j->task, &info),
			0);
		assert_int_equal(info.status, LWS_TP_STATUS_QUEUED);
		assert_int_equal(info.parked, 0);
		assert_int_equal(info.thread, -1);
	}
	assert_int_equal(depth_of(p.tp), 5);
	lws_threadpool_dump(p.tp); /* P5 */
	assert_int_equal(log_count(LLL_THREAD, "keyed"), 1 + 5);
	assert_int_equal(lws_threadpool_get_stats(p.tp, &stats), 0);
	assert_int_equal(stats.queued, 5);
	assert_ptr_equal(lws_threadpool_get_task_wsi(p.c->wsi),
			 p.held[0]->j->task);
	gate_open(p.gate);
	p.c->manual = false;
	for (int n = 0; n < 5; n++)
		rig_until_status(p.held[n]->j, LWS_TP_STATUS_FINISHED);
	assert_int_equal(depth_of(p.tp), 0);
}

/* O1, P2: they use up the depth for all, other keys and none, though a thread
 * is free; each that goes makes a place */
static void
they_fill_the_queue(void **state)
{
	struct rig *rig = *state;
	struct served *other = keyed_new(rig, rig, 1),
		      *none = keyed_new(rig, NULL, 0), *s;
	struct scene p;

	scene_begin(&p, rig, 5, 5, NULL);
	for (int n = 0; n < 3; n++) {
		s = n == 0 ? other : n == 1 ? none : keyed_new(rig, &p, 1);
		assert_null(served_enqueue(p.tp, s, NULL));
		assert_int_equal(lws_threadpool_refused(),
				 LWS_TP_REFUSED_QUEUE_FULL);
	}
	assert_true(log_claim(LLL_WARN, "") >= 1);

	assert_int_equal(lws_threadpool_dequeue_task(p.held[4]->j->task), 0);
	assert_non_null(served_enqueue(p.tp, none, NULL));
	wait_int(&none->j->cleanups, 1);
	assert_non_null(served_enqueue(p.tp, other, NULL));
	wait_int(&other->j->cleanups, 1);

	/* the queue can be full of them, and none is stuck */
	s = keyed_new(rig, &p, 1);
	assert_non_null(served_enqueue(p.tp, s, NULL));
	gate_open(p.gate);
	wait_int(&s->j->cleanups, 1);
	for (int n = 0; n < 4; n++)
		rig_until_status(p.held[n]->j, LWS_TP_STATUS_FINISHED);
}

/* ---- what ends one that is held back ---- */

/* never called, cleaned up once; the rest goes on in order */
static void
others_go_on(struct scene *p, int gone)
{
	struct served *s;
	int before = 0;

	for (int n = 0; n < 5; n++)
		if (n != gone)
			keyed_is_held(p->rig, p->tp, p->held[n]);
	assert_int_equal(depth_of(p->tp), 4);
	gate_open(p->gate);
	p->c->manual = false;
	for (int n = 0; n < 5; n++) {
		s = p->held[n];
		if (n == gone) {
			assert_int_equal(atomic_load(&s->j->calls), 0);
			continue;
		}
		rig_until_int(p->rig, &s->j->calls, 1);
		before++;
	}
	assert_int_equal(before, 4);
	rig_pool_destroy(p->rig, p->tp);
}

/* O1, Q4: a dequeue, of the first, the last and one in between: at once, with
 * the wsi */
static void
by_a_dequeue(void **state)
{
	struct rig *rig = *state;
	struct scene p;

	rig->on_event = NULL;
	for (int n = 0; n < 5; n++) {
		scene_begin(&p, rig, 100, 5, NULL);
		assert_int_equal(
			lws_threadpool_dequeue_task(p.held[n]->j->task), 0);
		assert_int_equal(atomic_load(&p.held[n]->j->cleanups), 1);
		assert_ptr_equal(p.held[n]->j->cleanup_wsi, p.c->wsi);
		assert_int_equal(p.held[n]->cleanup_why, LWS_TP_STOP_ASKED);
		others_go_on(&p, n);
	}
}

/* O1, Q4: the one that it dequeues held up others of its key that could start:
 * they do, though all the threads sleep */
static void
by_a_dequeue_others_start(void **state)
{
	struct rig *rig = *state;
	struct served *second;
	struct scene p;

	for (int n = 0; n < 4; n++) {
		scene_begin(&p, rig, 100, 1, NULL);
		second = keyed_new(rig, &p, 2);
		assert_non_null(served_enqueue(p.tp, second, NULL));
		keyed_is_held(rig, p.tp, p.held[0]);
		keyed_is_held(rig, p.tp, second);
		if (n & 1)
			lws_threadpool_dequeue_task(p.held[0]->j->task);
		else
			lws_threadpool_task_sync(p.held[0]->j->task, 1);
		wait_int(&second->j->cleanups, 1);
		assert_int_equal(atomic_load(&p.held[0]->j->calls), 0);
	}
}

static int
dequeue_it(struct job *j, enum lws_threadpool_task_status s)
{
	struct served *other = j->priv;

	(void)s;
	j->data = lws_threadpool_dequeue_task(other->j->task);

	return LWS_TP_RETURN_FINISHED;
}

/* O1, Q4: one without a wsi, by a thread of the pool */
static void
by_a_dequeue_of_a_task(void **state)
{
	struct rig *rig = *state;
	struct served *s;
	struct scene p;
	struct job *j;

	scene_begin(&p, rig, 100, 1, NULL);
	s = keyed_new(rig, &p, 1);
	assert_non_null(served_enqueue(p.tp, s, NULL));
	j = job_new(rig);
	j->fn = dequeue_it;
	j->priv = s;
	j->data = 1;
	assert_non_null(job_enqueue(p.tp, j, NULL));
	wait_int(&j->cleanups, 1);
	assert_int_equal(j->data, 0);
	assert_int_equal(atomic_load(&s->j->cleanups), 1);
	assert_int_equal(atomic_load(&s->j->calls), 0);
	keyed_is_held(rig, p.tp, p.held[0]);
}

/* O1, T4: asked to stop: STOPPED though the key is not free, as a thread is */
static void
by_a_stop(void **state)
{
	struct rig *rig = *state;
	struct scene p;

	rig->on_event = NULL;
	for (int n = 0; n < 5; n++) {
		scene_begin(&p, rig, 100, 5, NULL);
		lws_threadpool_task_sync(p.held[n]->j->task, 1);
		wait_status(p.held[n]->j, LWS_TP_STATUS_STOPPED);
		others_go_on(&p, n);
	}
}

/* O1, D1: queue_ms is over while its key holds it back, and nothing else */
static void
by_its_queue_ms(void **state)
{
	struct rig *rig = *state;
	struct scene p;

	rig->on_event = NULL;
	for (int n = 0; n < 5; n += 2) {
		scene_begin_key(&p, rig, 100, 5);
		for (int i = 0; i < 5; i++) {
			p.held[i]->o.queue_ms = i == n ? 1 : 0;
			assert_non_null(served_enqueue(p.tp, p.held[i],
						       p.c->wsi));
		}
		wait_status(p.held[n]->j, LWS_TP_STATUS_STOPPED);
		lws_threadpool_task_status(p.held[n]->j->task, NULL);
		assert_int_equal(p.held[n]->cleanup_why, LWS_TP_STOP_QUEUE_MS);
		others_go_on(&p, n);
	}
	/* D1 may say so */
	log_claim(LLL_WARN, "");
}

/* O1, W1: the close of its wsi; one that outlives it waits on, and is called */
static void
by_a_close(void **state)
{
	struct rig *rig = *state;
	struct served *outlives = keyed_new(rig, NULL, 1);
	struct scene p;

	scene_begin(&p, rig, 100, 5, NULL);
	outlives->o.key = &p;
	outlives->j->async_task = 1;
	assert_non_null(served_enqueue(p.tp, outlives, p.c->wsi));
	conn_fin(p.c);
	conn_until_closed(p.c);
	for (int n = 0; n < 5; n++) {
		assert_int_equal(atomic_load(&p.held[n]->j->cleanups), 1);
		assert_int_equal(atomic_load(&p.held[n]->j->calls), 0);
		assert_int_equal(p.held[n]->cleanup_why, LWS_TP_STOP_CLOSED);
	}
	keyed_is_held(rig, p.tp, outlives);
	assert_int_equal(depth_of(p.tp), 1);
	gate_open(p.gate);
	wait_int(&outlives->j->cleanups, 1);
	assert_int_equal(atomic_load(&outlives->j->calls), 1);
}

/* O1, P3: finish(): STOPPED and not called, at once; with on_end, too (H1) */
static void
by_finish(void **state)
{
	struct rig *rig = *state;
	struct served *alone = keyed_new(rig, NULL, 1),
		      *with_end = served_new(rig);
	struct scene p;

	scene_begin(&p, rig, 100, 5, NULL);
	alone->o.key = with_end->o.key = &p;
	with_end->o.key_max = 1;
	assert_non_null(served_enqueue(p.tp, alone, NULL));
	assert_non_null(served_enqueue(p.tp, with_end, NULL));
	lws_threadpool_finish(p.tp);
	for (int n = 0; n < 5; n++)
		rig_until_status(p.held[n]->j, LWS_TP_STATUS_STOPPED);
	rig_until_int(rig, &alone->j->cleanups, 1);
	rig_until_int(rig, &with_end->j->cleanups, 1);
	assert_int_equal(atomic_load(&with_end->ends), 1);
	assert_int_equal(with_end->why, LWS_TP_STOP_FINISH);
	assert_int_equal(atomic_load(&p.first->j->returns), 0);
	gate_open(p.gate);
	rig_until_int(rig, &p.first->j->cleanups, 1);
	for (int n = 0; n < 5; n++)
		assert_int_equal(atomic_load(&p.held[n]->j->calls), 0);
	assert_int_equal(atomic_load(&alone->j->calls), 0);
	assert_int_equal(atomic_load(&with_end->j->calls), 0);
}

/* O1, P4: destroy(), with a key that is SYNCING, or that is running */
static void
by_destroy(void **state)
{
	struct rig *rig = *state;
	struct scene p;

	for (int n = 0; n < 2; n++) {
		scene_begin(&p, rig, 100, 5, NULL);
		gate_open(p.gate);
		if (n) {
			struct served *s = keyed_new(rig, rig, 1);

			s->j->repeat = 1;
			s->j->ret = LWS_TP_RETURN_SYNC;
			assert_non_null(served_enqueue(p.tp, s, p.c->wsi));
			wait_status(s->j, LWS_TP_STATUS_SYNCING);
			for (int i = 0; i < 20; i++)
				assert_non_null(served_enqueue(
					p.tp, keyed_new(rig, rig, 1),
					p.c->wsi));
		}
		rig_pool_destroy(rig, p.tp);
		assert_true(rig_is_cleaned(rig));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(is_queued),
		SERVED_TEST(they_fill_the_queue),
		SERVED_TEST(by_a_dequeue),
		SERVED_TEST(by_a_dequeue_others_start),
		SERVED_TEST(by_a_dequeue_of_a_task),
		SERVED_TEST(by_a_stop),
		SERVED_TEST(by_its_queue_ms),
		SERVED_TEST(by_a_close),
		SERVED_TEST(by_finish),
		SERVED_TEST(by_destroy),
	};

	return cmocka_run_group_tests_name("O1 waiting", tests, NULL, NULL);
}
