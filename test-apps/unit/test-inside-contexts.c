/*
 * lws-threadpool unit tests - contexts, and what is kept of their wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

/* W4: the mark of a wsi that closed is kept for ten seconds, though it is
 * looked at earlier, and no longer */
static void
a_mark_goes_by_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c[3];
	struct lws *wsi[3];
	int n;

	for (n = 0; n < 3; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		wsi[n] = c[n]->wsi;
		job_enqueue(tp, job_new(rig), wsi[n]);
	}
	rig_until_cleaned(rig);
	for (n = 0; n < 3; n++) {
		conn_fin(c[n]);
		conn_until_closed(c[n]);
	}
	let_pass(rig, LWS_US_PER_SEC + LWS_US_PER_SEC / 10);
	for (n = 0; n < 3; n++)
		assert_false(is_unknown(wsi[n]));
	clock_forward(11);
	for (n = 0; n < 3; n++)
		rig_until(rig, is_unknown, wsi[n]);
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
	struct lwstp_bell *bell = bell_of(tp);

	for (int n = 0; n < 2; n++) {
		c[n]->manual = true;
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c[n]->wsi);
		wait_int(&j[n]->returns, 1);
		rig_drain(rig);
	}
	conn_fin(c[0]);
	conn_until_closed(c[0]);
	assert_non_null(bell->rering.list.owner);
	if (conn_kind_watched(CONN_RAW))
		assert_non_null(bell->sweep.list.owner);
	rig_context_destroy(rig);
	assert_null(bell->rering.list.owner);
	assert_null(bell->sweep.list.owner);
	assert_null(bell->ask_streams.list.owner);
	for (int n = 0; n < 2; n++)
		wait_int(&j[n]->cleanups, 1);
}

static void *
create_one(void *context)
{
	struct lws_threadpool_create_args args = { 1, 10 };

	return lws_threadpool_create(context, &args, "one");
}

/* Two threads that make the first pools of a context at a time: one host, and so
 * one binding for each wsi */
static void
two_threads_make_one_host(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[2];
	pthread_t t[2];
	void *made;

	makers_meet();
	for (int n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&t[n], NULL, create_one,
						rig->context), 0);
	for (int n = 0; n < 2; n++) {
		pthread_join(t[n], &made);
		assert_non_null(made);
		tp[n] = made;
	}
	assert_int_equal(makers_met(), 1);
	assert_ptr_equal(pool_of(tp[0])->host, pool_of(tp[1])->host);
	for (int n = 0; n < 2; n++)
		lws_threadpool_destroy(tp[n]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_mark_goes_by_itself),
		INSIDE_TEST(no_timer_outlives_its_context),
		INSIDE_TEST(two_threads_make_one_host),
	};

	return cmocka_run_group_tests_name("inside-contexts", tests, NULL, NULL);
}
