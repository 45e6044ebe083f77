/*
 * lws-threadpool unit tests - H1, an answer that on_sync gives itself stands
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

#include <limits.h>

static int
play_serve(struct play *p)
{
	return lws_threadpool_serve(p->c->wsi);
}

static void *
sync_it(void *task)
{
	lws_threadpool_task_sync(task, 0);

	return NULL;
}

struct answer {
	int stop; /* of its task_sync() */
	int ret;
	bool again;	/* it waits until the task is SYNCING again */
	bool elsewhere; /* by another thread that it waits for */
};

static int
answers_itself(struct served *s, struct lws *wsi)
{
	struct play *p = s->priv;
	struct answer *a = p->rig->priv;
	int calls = atomic_load(&s->j->calls);
	pthread_t t;

	(void)wsi;
	if (a->elsewhere) {
		assert_int_equal(pthread_create(&t, NULL, sync_it, s->j->task),
				 0);
		pthread_join(t, NULL);
	} else {
		lws_threadpool_task_sync(s->j->task, a->stop);
	}
	if (a->again) {
		wait_int(&s->j->calls, calls + 1);
		wait_status(s->j, a->stop ? LWS_TP_STATUS_STOPPED :
					    LWS_TP_STATUS_SYNCING);
		job_fence(p->rig, p->tp);
	}

	return a->ret;
}

static void
answers_begin(struct play *p, struct rig *rig, struct answer *a)
{
	play_begin(p, rig, CONN_RAW, 3);
	rig->priv = a;
	p->s->answers = true;
	p->s->on_sync = answers_itself;
}

/* H1: task_sync(, 0) and whatever return: it goes on once, is not stopped, and
 * its next SYNC, which may be there by then, is told by a call of its own */
static void
an_answer_stands(void **state)
{
	static const int rets[] = { 0, 1, 2, 3, -1, INT_MIN, INT_MAX };
	struct answer a = { .stop = 0 };
	struct play p;

	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(rets); n++) {
		a.ret = rets[n / 2];
		a.again = n & 1;
		answers_begin(&p, *state, &a);
		assert_int_equal(play_serve(&p) < 0, a.ret < 0);
		play_until_sync(&p, 2);
		assert_int_equal(atomic_load(&p.s->syncs), 1);

		p.s->on_sync = NULL;
		p.s->answers = false;
		p.s->sync_ret = LWS_TP_ON_SYNC_RESUME;
		assert_int_equal(play_serve(&p), 0);
		assert_int_equal(atomic_load(&p.s->syncs), 2);
		play_until_sync(&p, 3);
		play_to_the_end(&p);
		assert_int_equal(p.s->how, LWS_TP_STATUS_FINISHED);
		assert_int_equal(p.s->why, LWS_TP_STOP_NONE);
		assert_int_equal(atomic_load(&p.s->syncs), 3);
	}
}

/* H1: task_sync(, 1) and whatever return: it is stopped, by one call */
static void
its_own_stop_stands(void **state)
{
	static const int rets[] = { 0, 1, 2, -1 };
	struct answer a = { .stop = 1 };
	struct play p;

	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(rets); n++) {
		a.ret = rets[n / 2];
		a.again = n & 1;
		answers_begin(&p, *state, &a);
		assert_int_equal(play_serve(&p) < 0, a.ret < 0);
		wait_status(p.s->j, LWS_TP_STATUS_STOPPED);
		play_to_the_end(&p);
		assert_int_equal(p.s->how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(p.s->why, LWS_TP_STOP_ASKED);
		assert_int_equal(atomic_load(&p.s->j->stopping), 1);
		assert_int_equal(atomic_load(&p.s->syncs), 1);
	}
}

/* H2: answered by itself and SYNCING again when it returns, it was not served
 * since it became so: WRITEABLE comes again for it */
static void
its_next_sync_is_rung_for(void **state)
{
	struct answer a = { .again = true, .ret = LWS_TP_ON_SYNC_STAY };
	struct rig *rig = *state;
	struct play p;

	answers_begin(&p, rig, &a);
	p.s->j->repeat = 50;
	p.c->manual = false;
	lws_callback_on_writable(p.c->wsi);
	rig_until_int(rig, &p.s->syncs, 5);
	a.again = false;
	rig_until_int(rig, &p.s->j->cleanups, 1);
	assert_int_equal(atomic_load(&p.s->syncs), 50);
}

/* S4: another thread's answer, too, is for the SYNC that it met: the return is
 * not taken for the next one */
static void
an_answer_by_another_thread(void **state)
{
	struct answer a = { .elsewhere = true, .again = true };
	struct play p;

	answers_begin(&p, *state, &a);
	assert_int_equal(play_serve(&p), 0);
	play_is_syncing(&p);
	assert_int_equal(atomic_load(&p.s->j->calls), 2);
	p.s->on_sync = NULL;
	p.s->answers = false;
	play_to_the_end(&p);
	assert_int_equal(atomic_load(&p.s->syncs), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(an_answer_stands),
		SERVED_TEST(its_own_stop_stands),
		SERVED_TEST(its_next_sync_is_rung_for),
		SERVED_TEST(an_answer_by_another_thread),
	};

	return cmocka_run_group_tests_name("H1 answers", tests, NULL, NULL);
}
