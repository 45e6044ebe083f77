/*
 * lws-threadpool unit tests - R1, what a call may do
 *
 * SPDX-License-Identifier: MIT
 */

#include "calls.h"

static bool inside;

static void
call_again(struct lws_context *context, void *arg)
{
	struct call *c = arg;

	assert_false(inside);
	inside = true;
	call_note(context, c);
	if (atomic_load(&c->calls) < 200)
		assert_int_equal(lws_threadpool_call(c->tp, 0, call_again, c),
				 0);
	inside = false;
}

/* R1: never within this call */
static void
a_call_calls(void **state)
{
	struct rig *rig = *state;
	struct call c;

	call_init(&c, rig, rig_pool(rig, 1, 10));
	assert_int_equal(lws_threadpool_call(c.tp, 0, call_again, &c), 0);
	rig_until_int(rig, &c.calls, 200);
	rig_drain(rig);
	assert_int_equal(atomic_load(&c.calls), 200);
}

struct for_ever {
	struct call c;
	struct job *j;
	struct conn *busy;
};

/* With a look at the tasks, for which the library looks at what was posted */
static void
call_for_ever(struct lws_context *context, void *arg)
{
	struct for_ever *f = arg;

	call_note(context, &f->c);
	if (!atomic_load(&f->j->cleanups))
		assert_int_equal(
			lws_threadpool_call(f->c.tp, 0, call_for_ever, f), 0);
	lws_threadpool_get_task_wsi(f->busy->wsi);
}

/* R1: as a timer of lws that sets itself again keeps nobody waiting */
static void
a_call_that_calls_for_ever_holds_nobody_up(void **state)
{
	struct rig *rig = *state;
	struct conn *conn = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct for_ever f = { .busy = conn_open(rig, CONN_RAW) };

	f.j = job_script(rig, 20, LWS_TP_RETURN_SYNC);
	call_init(&f.c, rig, rig_pool(rig, 2, 10));
	assert_non_null(job_enqueue(f.c.tp, job_gated(rig, gate), f.busy->wsi));
	assert_int_equal(lws_threadpool_call(f.c.tp, 0, call_for_ever, &f), 0);
	rig_until_int(rig, &f.c.calls, 10);
	assert_non_null(job_enqueue(f.c.tp, f.j, conn->wsi));
	rig_until_int(rig, &f.j->cleanups, 1);
	rig_drain(rig);
	assert_int_equal(f.j->seen[LWS_TP_STATUS_SYNCING], 20);
	gate_open(gate);
	rig_until_cleaned(rig);
}

static void
call_enqueues(struct lws_context *context, void *arg)
{
	struct call *c = arg;
	struct conn *conn = c->priv;
	struct job *j = job_script(c->rig, 3, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(c->tp, j, conn->wsi));
	conn->priv = j;
	call_note(context, c);
}

static void
a_call_enqueues(void **state)
{
	struct rig *rig = *state;
	struct conn *conn = conn_open(rig, CONN_RAW);
	struct call c;
	struct job *j;

	call_init(&c, rig, rig_pool(rig, 1, 10));
	c.priv = conn;
	assert_int_equal(lws_threadpool_call(c.tp, 0, call_enqueues, &c), 0);
	call_is_called(&c);
	j = conn->priv;
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3);
	assert_ptr_equal(j->cleanup_wsi, conn->wsi);
}

/* what a timer of lws may do */
static void
call_uses_lws(struct lws_context *context, void *arg)
{
	struct call *c = arg;
	struct conn **conn = c->priv;

	lws_set_timeout(conn[0]->wsi, PENDING_TIMEOUT_USER_OK,
			LWS_TO_KILL_SYNC);
	assert_true(conn[0]->closed);
	lws_callback_on_writable(conn[1]->wsi);
	conn[2] = conn_open(c->rig, CONN_RAW);
	rig_pool(c->rig, 1, 10);
	lws_cancel_service(context);
	call_note(context, c);
}

static bool
has_writeable(void *arg)
{
	return ((struct conn *)arg)->writeables;
}

static void
a_call_uses_lws(void **state)
{
	struct rig *rig = *state;
	struct conn *conn[3] = { conn_open(rig, CONN_RAW),
				 conn_open(rig, CONN_RAW), NULL };
	struct call c;
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

	call_init(&c, rig, rig_pool(rig, 1, 10));
	c.priv = conn;
	job_park(rig, c.tp, conn[0]->wsi);
	assert_int_equal(lws_threadpool_call(c.tp, 0, call_uses_lws, &c), 0);
	call_is_called(&c);
	rig_until(rig, has_writeable, conn[1]);
	assert_non_null(job_enqueue(c.tp, j, conn[2]->wsi));
	rig_until_cleaned(rig);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 5);
}

/* ---- the pool is gone ---- */

static void
call_destroys(struct lws_context *context, void *arg)
{
	struct call *c = arg;

	rig_pool_destroy(c->rig, c->tp);
	call_note(context, c);
}

/* R1: a call that destroys its pool, with a task in it and calls behind it */
static void
a_call_destroys_the_pool(void **state)
{
	struct rig *rig = *state;
	struct conn *conn = conn_open(rig, CONN_RAW);
	struct call c[3];

	conn->manual = true;
	for (int n = 0; n < 3; n++)
		call_init(&c[n], rig, n ? c[0].tp : rig_pool(rig, 1, 10));
	job_park(rig, c[0].tp, conn->wsi);
	call_turn = 0;
	for (int n = 0; n < 3; n++)
		assert_int_equal(lws_threadpool_call(c[0].tp, 0,
						     n == 1 ? call_destroys :
							      call_note,
						     &c[n]),
				 0);
	for (int n = 0; n < 3; n++) {
		call_is_called(&c[n]);
		assert_int_equal(c[n].turn, n);
	}
	rig_until_cleaned(rig);
}

/* R1: though tp was destroyed meanwhile, the only one of the context, too */
static void
the_pool_is_destroyed_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct call c[2][10];

	for (int other = 0; other < 2; other++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 10),
				      *left = other ? rig_pool(rig, 1, 10) :
						      NULL;

		call_turn = 0;
		for (int n = 0; n < 10; n++) {
			call_init(&c[other][n], rig, tp);
			assert_int_equal(lws_threadpool_call(tp, 0, call_note,
							     &c[other][n]),
					 0);
		}
		rig_pool_destroy(rig, tp);
		for (int n = 0; n < 10; n++) {
			call_is_called(&c[other][n]);
			assert_int_equal(c[other][n].turn, n);
		}
		if (left)
			rig_pool_destroy(rig, left);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_call_calls),
		RIG_TEST(a_call_that_calls_for_ever_holds_nobody_up),
		RIG_TEST(a_call_enqueues),
		RIG_TEST(a_call_uses_lws),
		RIG_TEST(a_call_destroys_the_pool),
		RIG_TEST(the_pool_is_destroyed_meanwhile),
	};

	return cmocka_run_group_tests_name("R1 what a call may do", tests, NULL,
					   NULL);
}
