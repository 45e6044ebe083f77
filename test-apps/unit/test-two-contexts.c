/*
 * lws-threadpool unit tests - two contexts, each with a service thread of its
 * own, pools and connections, in one process
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#define CONNS 6

struct side {
	struct rig		*rig;
	struct lws_threadpool	*tp;
	struct conn		*c[CONNS];
	struct job		*j[3 * CONNS];
	pthread_t		thread;
};

static void
side_begin(struct side *s)
{
	s->rig = rig_create(NULL);
	s->tp = rig_pool(s->rig, 2, 100);
	for (int n = 0; n < CONNS; n++)
		s->c[n] = conn_open(s->rig, (enum conn_kind)n);
}

static void
side_stream(struct side *s)
{
	s->rig->thread = pthread_self();
	for (int n = 0; n < 3 * CONNS; n++) {
		s->j[n] = job_script(s->rig, 300, LWS_TP_RETURN_SYNC);
		job_enqueue(s->tp, s->j[n], s->c[n % CONNS]->wsi);
	}
	rig_until_cleaned(s->rig);
}

static void *
side_thread(void *arg)
{
	side_stream(arg);

	return NULL;
}

static void
side_check(struct side *s)
{
	for (int n = 0; n < 3 * CONNS; n++) {
		assert_int_equal(s->j[n]->seen[LWS_TP_STATUS_SYNCING], 300);
		assert_ptr_equal(s->j[n]->cleanup_wsi, s->c[n % CONNS]->wsi);
		assert_true(pthread_equal(s->j[n]->cleanup_thread,
					  s->rig->thread));
	}
}

/* S3, T7: WRITEABLEs and cleanups come on the thread that services the wsi's
 * own context */
static void
each_on_its_own_thread(void **state)
{
	struct side a, b;

	(void)state;
	side_begin(&a);
	side_begin(&b);
	assert_int_equal(pthread_create(&b.thread, NULL, side_thread, &b), 0);
	side_stream(&a);
	pthread_join(b.thread, NULL);
	side_check(&a);
	side_check(&b);
	assert_int_equal(rig_destroy(a.rig), 0);
	assert_int_equal(rig_destroy(b.rig), 0);
}

/* P4: one context goes while the other one's streams go on */
static void
one_goes_while_the_other_streams(void **state)
{
	struct side a, b;
	struct job *parked;

	(void)state;
	side_begin(&b);
	assert_int_equal(pthread_create(&b.thread, NULL, side_thread, &b), 0);
	for (int n = 0; n < 10; n++) {
		side_begin(&a);
		for (int m = 0; m < CONNS; m++) {
			parked = job_script(a.rig, 9, LWS_TP_RETURN_SYNC);
			job_enqueue(a.tp, parked, a.c[m]->wsi);
		}
		rig_turns(a.rig, n);
		a.rig->context_first = n & 1;
		assert_int_equal(rig_destroy(a.rig), 0);
	}
	pthread_join(b.thread, NULL);
	side_check(&b);
	assert_int_equal(rig_destroy(b.rig), 0);
}

/* One wsi's tasks are in pools of its own context only, and the calls about a
 * wsi do not mix them up */
static void
wsi_are_not_mixed_up(void **state)
{
	struct side a, b;
	struct job *ja, *jb;

	(void)state;
	side_begin(&a);
	side_begin(&b);
	ja = job_gated(a.rig, gate_new(a.rig));
	jb = job_gated(b.rig, gate_new(b.rig));
	job_enqueue(a.tp, ja, a.c[0]->wsi);
	job_enqueue(b.tp, jb, b.c[0]->wsi);
	assert_ptr_equal(lws_threadpool_get_task_wsi(a.c[0]->wsi), ja->task);
	assert_ptr_equal(lws_threadpool_get_task_wsi(b.c[0]->wsi), jb->task);
	assert_null(job_enqueue(a.tp, job_new(a.rig), b.c[1]->wsi));
	assert_null(job_enqueue(b.tp, job_new(b.rig), a.c[0]->wsi));
	assert_true(log_claim(LLL_ERR, "") == 2);
	assert_int_equal(rig_destroy(a.rig), 0);
	assert_ptr_equal(lws_threadpool_get_task_wsi(b.c[0]->wsi), jb->task);
	gate_open(jb->gate);
	rig_until_int(b.rig, &jb->cleanups, 1);
	assert_int_equal(rig_destroy(b.rig), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_on_its_own_thread),
		cmocka_unit_test(one_goes_while_the_other_streams),
		cmocka_unit_test(wsi_are_not_mixed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
