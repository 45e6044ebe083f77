/*
 * lws-threadpool unit tests - K3, attaches within walks, handlers, cleanups and
 * calls
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

#define TASKS 6

/* ---- Q3: in a walk ---- */

struct walk {
	struct job *j[TASKS];
	struct lws *to;
	int visits[TASKS];
	int ahead; /* so many on is the one that moves */
};

static int
visit(struct lws_threadpool_task *task, void *user)
{
	struct walk *w = user;
	int n = 0, m;

	while (n < TASKS && w->j[n]->task != task)
		n++;
	assert_true(n < TASKS);
	w->visits[n]++;
	m = n + w->ahead;
	if (m < TASKS)
		assert_int_equal(
			lws_threadpool_task_attach(w->j[m]->task, w->to), 0);

	return 0;
}

/* The one that is visited moves, the next, the one after it: each that is there
 * still is visited, once; on the other wsi, too, where they arrive */
static void
in_a_walk(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct gate *gate = gate_new(rig);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };

	job_block(rig, tp, gate);
	for (int ahead = 0; ahead < 4; ahead++) {
		struct walk w = { .to = c[1]->wsi, .ahead = ahead };
		int left = 0;

		for (int n = 0; n < TASKS; n++) {
			w.j[n] = job_new(rig);
			assert_non_null(job_enqueue(tp, w.j[n], c[0]->wsi));
		}
		assert_int_equal(lws_threadpool_foreach_task_wsi(c[0]->wsi, &w,
								 visit),
				 0);
		for (int n = 0; n < TASKS; n++) {
			/* those that were moved before their turn are not */
			assert_int_equal(w.visits[n],
					 !ahead || n < ahead ||
						 (n / ahead) % 2 == 0);
			left += w.visits[n];
		}
		assert_int_equal(tokens_of(c[0]->wsi).count +
					 tokens_of(c[1]->wsi).count,
				 TASKS);
		assert_int_equal(tokens_of(c[0]->wsi).count, ahead ? left : 0);
		for (int n = 0; n < TASKS; n++)
			lws_threadpool_dequeue_task(w.j[n]->task);
	}
	gate_open(gate);
	rig_until_cleaned(rig);
}

static int
visit_and_wander(struct lws_threadpool_task *task, void *user)
{
	struct walk *w = user;

	w->visits[0]++;

	return lws_threadpool_task_attach(task, w->to) != 0;
}

/* To where it is already, and back again: it is not visited for ever */
static void
to_the_walked_wsi_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct gate *gate = gate_new(rig);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct walk w = { .to = c->wsi };

	job_block(rig, tp, gate);
	for (int n = 0; n < TASKS; n++) {
		w.j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, w.j[n], c->wsi));
	}
	assert_int_equal(lws_threadpool_foreach_task_wsi(c->wsi, &w,
							 visit_and_wander),
			 0);
	assert_int_equal(w.visits[0], TASKS);
	assert_int_equal(tokens_of(c->wsi).count, TASKS);
	gate_open(gate);
	rig_until_cleaned(rig);
}

/* ---- H1: in a handler ---- */

static struct conn *other;
static int syncs, ends;

static int
attach_in_on_sync(struct lws *wsi, void *user)
{
	struct job *j = user;

	syncs++;
	assert_int_equal(lws_threadpool_task_attached(j->task), 1);
	if (other->wsi != wsi)
		assert_int_equal(
			lws_threadpool_task_attach(j->task, other->wsi), 0);

	return LWS_TP_ON_SYNC_RESUME;
}

static int
attach_in_on_end(struct lws *wsi, void *user,
		 enum lws_threadpool_task_status how)
{
	struct job *j = user;

	(void)wsi;
	(void)how;
	ends++;
	assert_int_equal(atomic_load(&j->cleanups), 0);
	lws_threadpool_task_attach(j->task, other->wsi);
	log_claim(LLL_ERR, "lws_threadpool_task_attach");
	assert_int_equal(atomic_load(&j->cleanups), 0);

	return 0;
}

static int
serve(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
      void *user, void *in, size_t len)
{
	if (reason_writeable(reason) && conn_of(wsi))
		return lws_threadpool_serve(wsi);

	return closing_event(rig, wsi, reason, user, in, len);
}

/* Its own task, which is SYNCING, and then done: it is answered, and reaped
 * once, wherever it is by then */
static void
in_its_own_handlers(void **state)
{
	static const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_sync = attach_in_on_sync,
		.on_end = attach_in_on_end,
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	rig->on_event = serve;
	for (int token = 0; token < 2; token++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		struct gate *gate = gate_new(rig);

		other = conn_open(rig, CONN_RAW);
		syncs = ends = 0;
		j->gate = gate;
		tokens_enqueue(tp, j, c->wsi, &options);
		if (token)
			tokens_give(j, LWS_TP_TOKEN_WAIT);
		gate_open(gate);
		rig_until_int(rig, &j->cleanups, 1);
		rig_drain(rig);
		assert_int_equal(syncs, 3);
		assert_int_equal(ends, 1);
		assert_int_equal(atomic_load(&j->running), 4);
		assert_int_equal(atomic_load(&j->stopping), 0);
		assert_int_equal(tokens_of(c->wsi).count, 0);
		assert_int_equal(tokens_of(other->wsi).count, 0);
		closing_do(c, CLOSING_FIN);
		closing_do(other, CLOSING_FIN);
	}
}

/* ---- S6: in a WRITEABLE ---- */

struct leave {
	struct conn *from, *to;
	int moved;
};

/* what wants attention moves, and no more: one for each callback */
static int
move_one(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	 void *user, void *in, size_t len)
{
	struct leave *l = rig->priv;
	struct lws_threadpool_task *task;

	if (!l || wsi != l->from->wsi || !reason_writeable(reason))
		return closing_event(rig, wsi, reason, user, in, len);
	task = lws_threadpool_get_task_wsi(wsi);
	if (!task ||
	    lws_threadpool_task_status_noreap(task) != LWS_TP_STATUS_SYNCING)
		return 0;
	assert_int_equal(lws_threadpool_task_attach(task, l->to->wsi), 0);
	l->moved++;

	return 0;
}

/* WRITEABLE is asked for again while another one is SYNCING on what it left */
static void
one_for_each_writeable(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct leave l = { .from = conn_open(rig, CONN_RAW),
			   .to = conn_open(rig, CONN_RAW) };
	struct job *j[TASKS];

	for (int n = 0; n < TASKS; n++)
		j[n] = job_park(rig, tp, l.from->wsi);
	rig->priv = &l;
	rig->on_event = move_one;
	rig_until_cleaned(rig);
	rig->priv = NULL;
	assert_int_equal(l.moved, TASKS);
	for (int n = 0; n < TASKS; n++)
		assert_ptr_equal(j[n]->cleanup_wsi, l.to->wsi);
}

/* ---- in a cleanup and in a call ---- */

struct mover {
	struct job *j;
	struct conn *to;
	int ret;
};

static void
attach_in_cleanup(struct job *j, struct lws *wsi)
{
	struct mover *m = j->priv;

	(void)wsi;
	m->ret = lws_threadpool_task_attach(m->j->task, m->to->wsi);
}

/* Another task, to a wsi that does not close, in a cleanup on the service
 * thread: it is served there */
static void
another_one_in_a_cleanup(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int closes = 0; closes < 2; closes++) {
		struct mover m = { .to = conn_open(rig, CONN_WS), .ret = -1 };
		struct job *j = job_new(rig);

		c->manual = true;
		m.j = job_park(rig, tp, c->wsi);
		j->on_cleanup = attach_in_cleanup;
		j->priv = &m;
		assert_non_null(job_enqueue(tp, j, c->wsi));
		wait_status(j, LWS_TP_STATUS_FINISHED);
		if (closes)
			closing_do(c, CLOSING_FIN);
		else
			lws_threadpool_task_status(j->task, NULL);
		assert_int_equal(atomic_load(&j->cleanups), 1);
		/* the newest is detached first, so the other one is there */
		assert_int_equal(m.ret, 0);
		rig_until_int(rig, &m.j->cleanups, 1);
		assert_ptr_equal(m.j->cleanup_wsi, m.to->wsi);
		assert_int_equal(atomic_load(&m.j->stopping), 0);
	}
}

static void
attach_in_call(struct lws_context *context, void *arg)
{
	struct mover *m = arg;

	assert_non_null(context);
	m->ret = lws_threadpool_task_attach(m->j->task, m->to->wsi);
}

/* R1: what a thread that has no business on the service thread does */
static void
by_a_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct mover m = { .to = conn_open(rig, CONN_RAW), .ret = -1 };

	m.j = tokens_keep(rig, tp);
	assert_int_equal(lws_threadpool_call(tp, 0, attach_in_call, &m), 0);
	rig_until_int(rig, &m.j->cleanups, 1);
	assert_int_equal(m.ret, 0);
	assert_ptr_equal(m.j->cleanup_wsi, m.to->wsi);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(in_a_walk),
		RIG_TEST(to_the_walked_wsi_itself),
		RIG_TEST(in_its_own_handlers),
		RIG_TEST(one_for_each_writeable),
		RIG_TEST(another_one_in_a_cleanup),
		RIG_TEST(by_a_call),
	};

	return cmocka_run_group_tests_name("K3 attaches within", tests, NULL,
					   NULL);
}
