/*
 * lws-threadpool unit tests - H1, H2, K3, tasks with handlers that get another
 * wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

/* where on_sync attaches its own task */
static struct conn *other;

static int
attaches_itself(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;

	(void)wsi;
	p->got = lws_threadpool_task_attach(s->j->task, other->wsi);
	/* the second time it is there already */
	if (lws_threadpool_task_attach(s->j->task, other->wsi))
		job_fault(s->j, "an attach to its own wsi fails (K3)");

	return s->sync_ret;
}

/* The other one's WRITEABLEs serve it to its end */
static void
goes_on_there(struct play *p, int syncs)
{
	struct lws *wsi = other->wsi;

	p->s->on_sync = NULL;
	p->s->sync_ret = LWS_TP_ON_SYNC_RESUME;
	other->manual = false;
	lws_callback_on_writable(wsi);
	rig_until_int(p->rig, &p->s->j->cleanups, 1);
	assert_int_equal(atomic_load(&p->s->syncs), syncs);
	assert_int_equal(atomic_load(&p->s->ends), 1);
	assert_ptr_equal(p->s->wsi, wsi);
	assert_ptr_equal(p->s->j->cleanup_wsi, wsi);
}

/* H1, K3: its return is for the SYNC that it was called for, though that is on
 * another wsi now; a negative one closes the wsi that was served, and the task
 * is that one's no more */
static void
on_sync_attaches_its_own(void **state)
{
	static const int rets[] = { 0, 1, 2, -1 };
	struct rig *rig = *state;
	struct play p;

	for (int n = 0; n < 4; n++) {
		other = conn_open(rig, CONN_WS);
		other->manual = true;
		play_begin(&p, rig, CONN_RAW, 3);
		p.s->on_sync = attaches_itself;
		p.s->sync_ret = rets[n];
		p.got = -1;
		p.c->manual = n != 3;
		if (n == 3) {
			lws_callback_on_writable(p.c->wsi);
			conn_until_closed(p.c);
		} else {
			assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
			assert_null(lws_threadpool_get_task_wsi(p.c->wsi));
			assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		}
		assert_int_equal(p.got, 0);
		assert_int_equal(atomic_load(&p.s->syncs), 1);
		/* 0: two more SYNCs; 1, -1: this one again; 2: no more */
		goes_on_there(&p, n == 0 ? 3 : n == 2 ? 1 : 4);
		assert_int_equal(p.s->how, n == 2 ? LWS_TP_STATUS_STOPPED :
						    LWS_TP_STATUS_FINISHED);
	}
}

/* H2, K3: not served yet, or served already: there it is new, and behind those
 * that were there first */
static void
attached_it_is_new(void **state)
{
	struct rig *rig = *state;
	struct served *there;
	struct play p;

	for (int served = 0; served < 2; served++) {
		other = conn_open(rig, CONN_RAW);
		other->manual = true;
		play_begin(&p, rig, CONN_RAW, 1);
		p.s->sync_ret = LWS_TP_ON_SYNC_STAY;
		there = served_syncing(rig, p.tp, other->wsi);
		there->sync_ret = LWS_TP_ON_SYNC_STAY;
		if (served)
			assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(lws_threadpool_serve(other->wsi), 0);
		assert_int_equal(atomic_load(&there->syncs), 1);
		assert_int_equal(lws_threadpool_task_attach(p.s->j->task,
							    other->wsi),
				 0);
		assert_int_equal(lws_threadpool_serve(p.c->wsi), 0);
		assert_int_equal(atomic_load(&p.s->syncs), served);
		/* of the two there it was not served */
		assert_int_equal(lws_threadpool_serve(other->wsi), 0);
		assert_int_equal(atomic_load(&p.s->syncs), served + 1);
		assert_ptr_equal(p.s->wsi, other->wsi);
		assert_int_equal(lws_threadpool_serve(other->wsi), 0);
		assert_int_equal(atomic_load(&there->syncs), 2);
		goes_on_there(&p, served + 2);
	}
}

/* H1, K3: one that never had a wsi, and gets one: on_end is serve()'s then */
static void
alone_until_it_is_attached(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct served *s;

	for (int n = 0; n < 2; n++) {
		other = conn_open(rig, CONN_RAW);
		other->manual = true;
		s = served_new(rig);
		s->j->gate = gate_new(rig);
		assert_non_null(served_enqueue(tp, s, NULL));
		wait_int(&s->j->calls, 1);
		/* while it runs; or when it has ended, before its on_end */
		if (n) {
			gate_open(s->j->gate);
			job_fence(rig, tp);
		}
		assert_int_equal(
			lws_threadpool_task_attach(s->j->task, other->wsi), 0);
		gate_open(s->j->gate);
		rig_until_status(s->j, LWS_TP_STATUS_FINISHED);
		job_fence(rig, tp);
		rig_drain(rig);
		assert_int_equal(atomic_load(&s->ends), 0);
		assert_int_equal(lws_threadpool_serve(other->wsi), 0);
		assert_int_equal(atomic_load(&s->ends), 1);
		assert_ptr_equal(s->wsi, other->wsi);
		assert_ptr_equal(s->j->cleanup_wsi, other->wsi);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(on_sync_attaches_its_own),
		SERVED_TEST(attached_it_is_new),
		SERVED_TEST(alone_until_it_is_attached),
	};

	return cmocka_run_group_tests_name("H1 K3", tests, NULL, NULL);
}
