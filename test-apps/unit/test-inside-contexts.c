/*
 * lws-threadpool unit tests - contexts, and what is kept of their wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include <limits.h>

#include "inside.h"

struct mark {
	struct lwstp_service *service;
	struct lws *wsi; /* it may be gone */
};

static bool
is_gone(void *arg)
{
	struct mark *m = arg;

	return !lwstp_wsi_find(m->service, m->wsi);
}

/* W4: the mark of a wsi that closed is kept for ten seconds, though it is
 * looked at earlier, and no longer */
static void
a_mark_goes_by_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c[3];
	struct mark mark[3];
	int n;

	for (n = 0; n < 3; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		mark[n] = (struct mark){ service_of(tp), c[n]->wsi };
		job_enqueue(tp, job_new(rig), c[n]->wsi);
	}
	rig_until_cleaned(rig);
	assert_int_equal(service_of(tp)->open, 3);
	for (n = 0; n < 3; n++) {
		conn_fin(c[n]);
		conn_until_closed(c[n]);
	}
	assert_int_equal(service_of(tp)->open, 0);
	let_pass(rig, LWS_US_PER_SEC + LWS_US_PER_SEC / 10);
	for (n = 0; n < 3; n++)
		assert_false(is_gone(&mark[n]));
	clock_forward(11);
	for (n = 0; n < 3; n++)
		rig_until(rig, is_gone, &mark[n]);
	assert_null(service_of(tp)->closed);
}

static bool
is_set(const lws_sorted_usec_list_t *sul)
{
	return sul->list.owner;
}

/* Fact 6: lws gets its timers back while the context is destroyed, though the
 * pool lives on */
static void
no_timer_outlives_its_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };
	struct job *j[2];
	struct lwstp_service *service = service_of(tp);

	for (int n = 0; n < 2; n++) {
		c[n]->manual = true;
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c[n]->wsi);
		wait_int(&j[n]->returns, 1);
		rig_drain(rig);
	}
	conn_fin(c[0]);
	conn_until_closed(c[0]);
	lws_threadpool_task_sync(j[1]->task, 0);
	wait_int(&j[1]->returns, 2);
	wait_until(has_an_idle_thread, pool_of(tp));
	lwstp_service_answer(service);
	assert_true(is_set(&service->ask_again) && is_set(&service->look));
	if (conn_kind_watched(CONN_RAW))
		assert_true(is_set(&service->sweep));
	rig_context_destroy(rig);
	assert_false(is_set(&service->ask_again) || is_set(&service->look) ||
		     is_set(&service->sweep) || is_set(&service->expect) ||
		     is_set(&service->ask_streams));
	for (int n = 0; n < 2; n++)
		wait_int(&j[n]->cleanups, 1);
	/* nor does a late one get any, or a signal reach what was lws */
	lwstp_service_answer_soon(service);
	assert_false(is_set(&service->look));
	lwstp_signal(service);
}

static int
ask_for_tasks(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	if (lws_threadpool_get_task_wsi(j->priv))
		job_fault(j, "a pool thread was told of a task of a wsi");

	return LWS_TP_RETURN_FINISHED;
}

/* Q2: what hangs on a wsi is for its service thread to know */
static void
a_pool_thread_is_told_of_no_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked, *asks = job_new(rig);

	c->manual = true;
	parked = job_park(rig, tp, c->wsi);
	asks->fn = ask_for_tasks;
	asks->priv = c->wsi;
	job_enqueue(tp, asks, NULL);
	wait_int(&asks->cleanups, 1);
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), parked->task);
	serve_the_rest(rig, c);
}

/* Q2: this thread serves one context, and takes over another thread's.  It does
 * not when a wsi of its own has the address of one of that other's that has
 * closed, of which something is still known. */
static void
an_open_wsi_is_taken_over(void **state)
{
	struct rig *rig = *state, *other = rig_create(NULL);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *its_tp = rig_pool(other, 1, 10);
	struct lwstp_service *its = service_of(its_tp);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) },
		    *its_c = conn_open(other, CONN_RAW);
	struct job *parked;

	job_enqueue(tp, job_new(rig), c[0]->wsi);
	rig_until_cleaned(rig);
	assert_true(lwstp_service_is_this(service_of(tp)));
	parked = job_park(other, its_tp, its_c->wsi);
	assert_non_null(lwstp_wsi_new(its, c[1]->wsi, NULL, lwstp_ask_wsi));
	lwstp_wsi_close(its, c[1]->wsi, NULL, LWSTP_CLOSE_TOLD);

	atomic_store(&its->thread, UINT_MAX);
	assert_null(lws_threadpool_get_task_wsi(c[1]->wsi));
	assert_int_equal(atomic_load(&its->thread), UINT_MAX);
	assert_ptr_equal(lws_threadpool_get_task_wsi(its_c->wsi), parked->task);
	assert_true(lwstp_service_is_this(its));
	rig_until_cleaned(other);
	assert_int_equal(rig_destroy(other), 0);
}

static void *
create_one(void *context)
{
	struct lws_threadpool_create_args args = { 1, 10 };

	return lws_threadpool_create(context, &args, "one");
}

/* Two threads that make the first pools of a context at a time: that is made
 * once, and so is what is known of each wsi */
static void
two_threads_make_one_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[2];
	pthread_t t[2];
	void *made;

	makers_meet();
	for (int n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&t[n], NULL, create_one,
						rig->context),
				 0);
	for (int n = 0; n < 2; n++) {
		pthread_join(t[n], &made);
		assert_non_null(made);
		tp[n] = made;
	}
	assert_int_equal(makers_met(), 1);
	assert_ptr_equal(pool_of(tp[0])->context, pool_of(tp[1])->context);
	for (int n = 0; n < 2; n++)
		lws_threadpool_destroy(tp[n]);
}

/* What is known of a context ends with the last of it, and the next one gets
 * its structs: somebody may still look at them. */
static void
a_context_uses_what_was_another_s(void **state)
{
	struct rig *rig = *state, *other;
	struct lwstp_context *first = pool_of(rig_pool(rig, 1, 1))->context,
			     *second = NULL, *again;
	struct lwstp_service *service = NULL;

	for (int n = 0; n < 3; n++) {
		other = rig_create(NULL);
		other->context_first = n == 1;
		again = pool_of(rig_pool(other, 1, 1))->context;
		assert_ptr_not_equal(again, first);
		if (second)
			assert_ptr_equal(again, second);
		second = again;
		assert_int_equal(again->services, 1);
		if (service)
			assert_ptr_equal(again->service, service);
		service = again->service;
		assert_int_equal(atomic_load(&again->refs), 2);
		assert_int_equal(rig_destroy(other), 0);
		assert_int_equal(atomic_load(&again->refs), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_mark_goes_by_itself),
		INSIDE_TEST(no_timer_outlives_its_context),
		INSIDE_TEST(a_pool_thread_is_told_of_no_task),
		INSIDE_TEST(an_open_wsi_is_taken_over),
		INSIDE_TEST(two_threads_make_one_context),
		INSIDE_TEST(a_context_uses_what_was_another_s),
	};

	return cmocka_run_group_tests_name("inside-contexts", tests, NULL,
					   NULL);
}
