/*
 * lws-threadpool unit tests - K3, a task gets a wsi, or another one
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

static void
attach(struct job *j, struct conn *c)
{
	assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi), 0);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	assert_int_equal(lws_threadpool_task_attached(j->task), 1);
	assert_ptr_equal(tokens_of(c->wsi).task[tokens_of(c->wsi).count - 1],
			 j->task);
}

/* It is served there, to its end */
static void
ends_there(struct job *j, struct conn *c)
{
	rig_until_int(j->rig, &j->cleanups, 1);
	assert_ptr_equal(j->cleanup_wsi, c->wsi);
	assert_true(pthread_equal(j->cleanup_thread, j->rig->thread));
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

/* K3: one that never had a wsi, with a token or not, runs: it SYNCs on that
 * from now on, and is reaped there */
static void
from_nothing(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		struct conn *c = conn_open(rig, (enum conn_kind)(n / 2));
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 3, LWS_TP_RETURN_SYNC);

		j->gate = gate;
		assert_non_null(job_enqueue(tp, j, NULL));
		if (n & 1)
			tokens_give(j, 0);
		wait_int(&j->calls, 1);
		assert_int_equal(lws_threadpool_task_attached(j->task), 0);
		attach(j, c);
		assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);
		gate_open(gate);
		ends_there(j, c);
		assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3);
	}
}

/* ---- from another wsi, in each status ---- */

enum was { WAS_QUEUED, WAS_RUNNING, WAS_SYNCING, WAS_PARKED, WAS_DONE, WASES };

static int
park_once(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;

	return atomic_load(&j->calls) == 1 ? (int)lws_threadpool_park(-1) :
					     LWS_TP_RETURN_FINISHED;
}

static bool
is_parked(void *arg)
{
	return tokens_info(arg).parked;
}

/* A task in that status; gate holds back what is not to go on yet */
static struct job *
job_that(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi,
	 struct gate *gate, enum was was)
{
	struct job *j = job_new(rig);

	if (was == WAS_QUEUED)
		job_block(rig, tp, gate);
	if (was == WAS_RUNNING)
		j->gate = gate;
	if (was == WAS_SYNCING) {
		j->repeat = 1;
		j->ret = LWS_TP_RETURN_SYNC;
	}
	if (was == WAS_PARKED)
		j->fn = park_once;
	assert_non_null(job_enqueue(tp, j, wsi));
	if (was == WAS_RUNNING)
		wait_int(&j->calls, 1);
	if (was == WAS_SYNCING)
		wait_status(j, LWS_TP_STATUS_SYNCING);
	if (was == WAS_PARKED)
		wait_until(is_parked, j);
	if (was == WAS_DONE)
		wait_status(j, LWS_TP_STATUS_FINISHED);

	return j;
}

/* K3: the old one is not told, and has no task any more; on the new one
 * WRITEABLE comes if it waits for that, or once it does; what is parked is
 * called again */
static void
moves(struct rig *rig, struct lws_threadpool *tp, enum conn_kind kind,
      enum was was, bool token)
{
	struct conn *from = conn_open(rig, kind), *to = conn_open(rig, kind);
	struct gate *gate = gate_new(rig);
	struct job *j;

	from->manual = true;
	j = job_that(rig, tp, from->wsi, gate, was);
	if (token)
		tokens_give(j, 0);
	rig_drain(rig); /* told of what it was before */
	from->writeables = 0;
	attach(j, to);
	assert_int_equal(tokens_of(from->wsi).count, 0);
	assert_null(lws_threadpool_get_task_wsi(from->wsi));
	gate_open(gate);
	ends_there(j, to);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], was == WAS_SYNCING);
	rig_drain(rig);
	assert_int_equal(from->writeables, 0);
	/* nor does the end of the old one do anything to others */
	closing_do(from, CLOSING_TIMEOUT);
}

static void
from_another_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++)
		for (int was = 0; was < WASES; was++)
			for (int token = 0; token < 2; token++)
				moves(rig, tp, (enum conn_kind)kind,
				      (enum was)was, token);
}

/* K3: again to where it is: 0, and what it waits for goes on */
static void
to_where_it_is(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int was = 0; was < WASES; was++) {
		struct gate *gate = gate_new(rig);
		struct job *j;

		c->manual = true;
		j = job_that(rig, tp, c->wsi, gate, (enum was)was);
		rig_drain(rig);
		for (int n = 0; n < 3; n++) {
			assert_int_equal(
				lws_threadpool_task_attach(j->task, c->wsi), 0);
			assert_int_equal(lws_threadpool_refused(),
					 LWS_TP_REFUSED_NONE);
			assert_int_equal(tokens_of(c->wsi).count, 1);
		}
		if (was == WAS_SYNCING)
			wait_status(j, LWS_TP_STATUS_SYNCING);
		c->manual = false;
		lws_callback_on_writable(c->wsi);
		if (was == WAS_PARKED)
			lws_threadpool_task_wake(j->task);
		gate_open(gate);
		ends_there(j, c);
	}
}

/* K3: its newest: the last in a walk, and the order of the others stays */
static void
the_newest_of_its_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 20);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };
	struct gate *gate = gate_new(rig);
	struct tokens_list list;
	struct job *j[6];

	job_block(rig, tp, gate);
	for (int n = 0; n < 6; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], c[n & 1]->wsi));
	}
	/* 0 2 4, 1 3 5 */
	attach(j[3], c[0]);
	attach(j[0], c[1]);
	attach(j[5], c[0]);
	attach(j[3], c[1]);
	list = tokens_of(c[0]->wsi);
	assert_int_equal(list.count, 3);
	assert_ptr_equal(list.task[0], j[2]->task);
	assert_ptr_equal(list.task[1], j[4]->task);
	assert_ptr_equal(list.task[2], j[5]->task);
	list = tokens_of(c[1]->wsi);
	assert_int_equal(list.count, 3);
	assert_ptr_equal(list.task[0], j[1]->task);
	assert_ptr_equal(list.task[1], j[0]->task);
	assert_ptr_equal(list.task[2], j[3]->task);
	gate_open(gate);
	rig_until_cleaned(rig);
	for (int n = 0; n < 6; n++)
		assert_ptr_equal(j[n]->cleanup_wsi,
				 n == 0 || n == 1 || n == 3 ? c[1]->wsi :
							      c[0]->wsi);
}

/* ---- after it ---- */

/* W1, T5: the wsi that it is on now is the one whose end counts.  An attach
 * does not change T5: what had a wsi from the start is stopped, what had none
 * goes on, and what has a token does, too. */
static void
its_new_wsi_closes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int n = 0; n < 4; n++) {
		struct conn *from = conn_open(rig, CONN_RAW),
			    *to = conn_open(rig, CONN_RAW);
		struct gate *gate = gate_new(rig);
		struct job *j = job_script(rig, 2, LWS_TP_RETURN_CHECKING_IN);
		bool outlives = n;

		j->gate = gate;
		j->async_task = n == 3;
		assert_non_null(job_enqueue(tp, j, n == 1 ? NULL : from->wsi));
		if (n == 2)
			tokens_give(j, 0);
		wait_int(&j->calls, 1);
		attach(j, to);
		closing_do(from, CLOSING_FIN);
		assert_int_equal(lws_threadpool_task_status_noreap(j->task),
				 LWS_TP_STATUS_RUNNING);
		assert_int_equal(lws_threadpool_task_attached(j->task), 1);
		closing_do(to, CLOSING_FIN);
		assert_int_equal(lws_threadpool_task_attached(j->task), 0);
		gate_open(gate);
		if (n == 2) {
			wait_until(tokens_is_kept, j);
			lws_threadpool_task_status(j->task, NULL);
		}
		rig_until_int(rig, &j->cleanups, 1);
		assert_null(j->cleanup_wsi);
		assert_int_equal(atomic_load(&j->stopping), !outlives);
	}
}

struct more {
	struct conn *c;
	int before;
};

static bool
has_more(void *arg)
{
	struct more *m = arg;

	return m->c->writeables > m->before;
}

static void
until_writeable(struct conn *c)
{
	struct more m = { c, c->writeables };

	rig_until(c->rig, has_more, &m);
}

/* SYNCING on that wsi, and seen: so nothing more comes for it (S5) */
static struct job *
seen_syncing(struct rig *rig, struct lws_threadpool *tp, struct conn *c)
{
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_status(j, LWS_TP_STATUS_SYNCING);
	rig_drain(rig);
	assert_int_equal(lws_threadpool_task_status(j->task, NULL),
			 LWS_TP_STATUS_SYNCING);

	return j;
}

static void
answered_to_its_end(struct job *j, struct conn *c)
{
	lws_threadpool_task_sync(j->task, 0);
	c->manual = false;
	ends_there(j, c);
}

/* K3: SYNCING, or done, WRITEABLE comes where it comes, and though nobody asks
 * lws for anything else of that wsi */
static void
where_it_comes(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };
	struct job *j = seen_syncing(rig, tp, c[0]);

	assert_non_null(lws_threadpool_wsi_handle(tp, c[1]->wsi));
	c[1]->manual = true;
	rig_drain(rig);
	attach(j, c[1]);
	until_writeable(c[1]);
	answered_to_its_end(j, c[1]);
}

/* S6: and on the wsi that it left, for the others there */
static void
where_others_stay(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };
	struct job *j = seen_syncing(rig, tp, c[0]),
		   *stays = seen_syncing(rig, tp, c[0]);

	rig_drain(rig);
	attach(j, c[1]);
	until_writeable(c[0]);
	answered_to_its_end(stays, c[0]);
	answered_to_its_end(j, c[1]);
}

static int
parks_for_ever(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;

	return atomic_load(&j->calls) > 1 ? LWS_TP_RETURN_FINISHED :
					    (int)lws_threadpool_park(-1);
}

/* T9: one that gets it in the very call that parks is called again */
static void
in_the_call_that_parks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate);

	j->fn = parks_for_ever;
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);
	attach(j, c);
	gate_open(gate);
	ends_there(j, c);
}

/* S6: on the wsi that it left others go on, and so do those where it came */
static void
beside_others(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_WS) };
	struct job *j[6], *wanders = job_script(rig, 400, LWS_TP_RETURN_SYNC);

	for (int n = 0; n < 6; n++) {
		j[n] = job_script(rig, 100, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c[n & 1]->wsi));
	}
	assert_non_null(job_enqueue(tp, wanders, c[0]->wsi));
	for (int n = 0; !atomic_load(&wanders->cleanups); n++) {
		rig_turns(rig, 3);
		if (!atomic_load(&wanders->cleanups))
			attach(wanders, c[n & 1]);
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 6; n++)
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 100);
	assert_int_equal(wanders->seen[LWS_TP_STATUS_SYNCING], 400);
}

/* What state its pool is in does not matter: no task is added.  One that drains
 * waits for the peers of its tasks to come back; one that finishes leaves what
 * is kept to them (K4). */
static void
in_a_pool_that_takes_no_task(void **state)
{
	struct rig *rig = *state;

	for (int n = 0; n < 3; n++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 1);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct gate *gate = gate_new(rig);
		struct job *kept = tokens_keep(rig, tp), *runs;

		runs = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		runs->gate = gate;
		assert_non_null(job_enqueue(tp, runs, NULL));
		wait_int(&runs->calls, 1);
		if (n == 0) {
			assert_non_null(job_enqueue(tp, job_new(rig), NULL));
			assert_null(job_enqueue(tp, job_new(rig), NULL));
		} else if (n == 1)
			lws_threadpool_drain(tp);
		else
			lws_threadpool_finish(tp);
		log_claim(LLL_WARN, "max_queue_depth");
		attach(kept, c);
		attach(runs, c);
		gate_open(gate);
		rig_until_int(rig, &kept->cleanups, 1);
		rig_until_int(rig, &runs->cleanups, 1);
		assert_ptr_equal(kept->cleanup_wsi, c->wsi);
		assert_ptr_equal(runs->cleanup_wsi, c->wsi);
		assert_int_equal(runs->reaped_as,
				 n == 2 ? LWS_TP_STATUS_STOPPED :
					  LWS_TP_STATUS_FINISHED);
	}
}

/* K2, K3: what it is for: the peer comes back with the token, and its task is
 * SYNCING or done, or at work.  In the callbacks of the new connection. */
struct comeback {
	struct lws_threadpool *tp;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	int attached;
};

static int
come_back(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	  void *user, void *in, size_t len)
{
	struct comeback *b = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (b &&
	    (reason == LWS_CALLBACK_ESTABLISHED ||
	     reason == LWS_CALLBACK_HTTP) &&
	    !b->attached) {
		b->attached = 1;
		assert_int_equal(
			lws_threadpool_task_attach(
				lws_threadpool_task_by_token(b->tp, b->token),
				wsi),
			0);
	}

	return RIG_DEFAULT;
}

static void
the_peer_comes_back(void **state)
{
	static const enum conn_kind kinds[] = { CONN_WS, CONN_HTTP };
	struct rig *rig = *state;
	struct comeback b = { .tp = rig_pool(rig, 1, 10) };

	rig->on_event = come_back;
	for (int n = 0; n < 2 * 4; n++) {
		struct conn *c = conn_open(rig, kinds[n & 1]);
		struct gate *gate = gate_new(rig);
		struct job *j;

		j = job_script(rig, n / 2 == 1, LWS_TP_RETURN_SYNC);
		j->gate = gate;
		c->manual = true;
		assert_non_null(job_enqueue(b.tp, j, c->wsi));
		strcpy(b.token, tokens_give(j, LWS_TP_TOKEN_WAIT));
		wait_int(&j->calls, 1);
		if (n / 2 < 2) /* it ends, or SYNCs, alone */
			closing_do(c, CLOSING_FIN);
		if (n / 2 < 3)
			gate_open(gate);
		if (n / 2 != 3)
			wait_status(j, n / 2 == 1 ? LWS_TP_STATUS_SYNCING :
						    LWS_TP_STATUS_FINISHED);
		if (n / 2 >= 2) /* it is done, or at work, before */
			closing_do(c, CLOSING_FIN);
		b.attached = 0;
		rig->priv = &b;
		c = conn_open(rig, kinds[n & 1]);
		rig->priv = NULL;
		assert_int_equal(b.attached, 1);
		gate_open(gate);
		ends_there(j, c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(from_nothing),
		RIG_TEST(from_another_wsi),
		RIG_TEST(to_where_it_is),
		RIG_TEST(the_newest_of_its_wsi),
		RIG_TEST(its_new_wsi_closes),
		RIG_TEST(where_it_comes),
		RIG_TEST(where_others_stay),
		RIG_TEST(in_the_call_that_parks),
		RIG_TEST(beside_others),
		RIG_TEST(in_a_pool_that_takes_no_task),
		RIG_TEST(the_peer_comes_back),
	};

	return cmocka_run_group_tests_name("K3 attach", tests, NULL, NULL);
}
