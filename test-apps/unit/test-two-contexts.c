/*
 * lws-threadpool unit tests - two contexts, each with a service thread of its
 * own, pools and connections, in one process
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#define CONNS 6

struct side {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c[CONNS];
	struct job *j[3 * CONNS];
	pthread_t thread;
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

/* two tasks that wait for the service thread, which has seen them */
static void *
side_park(void *arg)
{
	struct side *s = arg;

	s->rig->thread = pthread_self();
	for (int n = 0; n < 2; n++) {
		s->c[n]->manual = true;
		s->j[n] = job_park(s->rig, s->tp, s->c[n]->wsi);
	}
	rig_drain(s->rig);

	return NULL;
}

static int
count_visit(struct lws_threadpool_task *task, void *user)
{
	int *visits = user;

	(void)task;
	(*visits)++;

	return 0;
}

/* Q2, Q3: a thread that serves a context, and has just taken over another one,
 * knows the tasks of that one's wsi at once, whichever it asks about first */
static void
a_thread_takes_over_another_context(void **state)
{
	struct side a, b;
	int visits = 0;

	(void)state;
	side_begin(&a);
	side_begin(&b);
	if (!a.rig->evloop) { /* or its loop stays on one thread */
		assert_int_equal(pthread_create(&b.thread, NULL, side_park, &b),
				 0);
		pthread_join(b.thread, NULL);
		a.j[0] = job_park(a.rig, a.tp, a.c[0]->wsi);
		rig_until_cleaned(a.rig);

		b.rig->thread = pthread_self();
		assert_ptr_equal(lws_threadpool_get_task_wsi(b.c[0]->wsi),
				 b.j[0]->task);
		assert_int_equal(lws_threadpool_foreach_task_wsi(
					 b.c[1]->wsi, &visits, count_visit),
				 0);
		assert_int_equal(visits, 1);
		for (int n = 0; n < 2; n++) {
			b.c[n]->manual = false;
			lws_callback_on_writable(b.c[n]->wsi);
		}
		rig_until_cleaned(b.rig);
	}
	assert_int_equal(rig_destroy(a.rig), 0);
	assert_int_equal(rig_destroy(b.rig), 0);
}

static atomic_int opened_all;

static void *
open_and_close(void *arg)
{
	struct side *s = arg;
	struct conn *c;

	s->rig->thread = pthread_self();
	for (int n = 0; n < 100; n++) {
		c = conn_open(s->rig, CONN_RAW);
		job_enqueue(s->tp,
			    job_script(s->rig, n % 3, LWS_TP_RETURN_SYNC),
			    c->wsi);
		if (n & 1)
			rig_until_cleaned(s->rig);
		conn_fin(c);
		conn_until_closed(c);
	}
	rig_until_cleaned(s->rig);
	atomic_store(&opened_all, 1);

	return NULL;
}

/* Q2: a wsi without a task has none, though another thread's context gets and
 * loses wsi meanwhile, and one that is gone and was that context's is not
 * followed */
static void
asked_while_the_other_one_s_come_and_go(void **state)
{
	struct side a, b;
	struct lws *gone;

	(void)state;
	side_begin(&a);
	side_begin(&b);
	gone = b.c[0]->wsi;
	conn_fin(b.c[0]);
	conn_until_closed(b.c[0]);
	job_enqueue(a.tp, job_new(a.rig), a.c[0]->wsi);
	rig_until_cleaned(a.rig);
	atomic_store(&opened_all, 0);
	assert_int_equal(pthread_create(&b.thread, NULL, open_and_close, &b),
			 0);
	while (!atomic_load(&opened_all))
		assert_null(lws_threadpool_get_task_wsi(a.c[1]->wsi));
	pthread_join(b.thread, NULL);
	if (!a.rig->evloop)
		assert_null(lws_threadpool_get_task_wsi(gone));
	assert_int_equal(rig_destroy(a.rig), 0);
	assert_int_equal(rig_destroy(b.rig), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_on_its_own_thread),
		cmocka_unit_test(one_goes_while_the_other_streams),
		cmocka_unit_test(wsi_are_not_mixed_up),
		cmocka_unit_test(a_thread_takes_over_another_context),
		cmocka_unit_test(asked_while_the_other_one_s_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
