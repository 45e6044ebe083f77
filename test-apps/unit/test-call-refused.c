/*
 * lws-threadpool unit tests - R1, calls that are heard late, or are refused
 *
 * SPDX-License-Identifier: MIT
 */

#include "calls.h"

/* ---- where the companion hears late, or never ---- */

/* A context that nobody ever serviced: at most once, and with NULL */
static void
a_context_that_was_never_serviced(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct call c;

	call_make(&c, rig, tp);
	assert_int_equal(c.ret, 0);
	rig_context_destroy(rig);
	rig_pool_destroy(rig, tp);
	assert_in_range(atomic_load(&c.calls), 0, 1);
	assert_null(c.context);
}

static void
names_its_vhost(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->vhost_name = "named";
}

/* R1: without a vhost that is called default they wait for the first task with
 * a wsi, or for a handle; or the end */
static void
without_a_default_vhost(void **state)
{
	struct rig_opts opts = { .info = names_its_vhost };

	(void)state;
	for (int round = 0; round < 3; round++) {
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct conn *conn;
		struct call c;

		rig->vhost = lws_get_vhost_by_name(rig->context, "named");
		assert_non_null(rig->vhost);
		rig_drain(rig);
		call_make(&c, rig, tp);
		assert_int_equal(c.ret, 0);
		rig_drain(rig);
		conn = conn_open(rig, CONN_RAW);
		if (!round)
			assert_non_null(job_enqueue(tp, job_new(rig),
						    conn->wsi));
		if (round == 1)
			assert_non_null(lws_threadpool_wsi_handle(tp,
								  conn->wsi));
		if (round < 2) {
			rig_until_int(rig, &c.calls, 1);
			assert_ptr_equal(c.context, rig->context);
		}
		assert_int_equal(rig_destroy(rig), 0);
		assert_in_range(atomic_load(&c.calls), round < 2, 1);
	}
}

/* ---- misuse ---- */

static void
no_such_service_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	const int tsis[] = { -1, lws_get_count_threads(rig->context), INT32_MAX,
			     INT32_MIN };
	struct call c;

	memset(&c, 0, sizeof(c));
	for (size_t n = 0; n < LWS_ARRAY_SIZE(tsis); n++)
		assert_int_equal(
			lws_threadpool_call(tp, tsis[n], call_note, &c), -1);
	log_claim(LLL_ERR, "lws_threadpool_call");
	rig_drain(rig);
	assert_int_equal(atomic_load(&c.calls), 0);
}

static void
nothing_to_call(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	assert_int_equal(lws_threadpool_call(tp, 0, NULL, rig), -1);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_call"), 1);
	rig_drain(rig);
}

/* Q6: a stale pool, and what never was one: a line each */
static void
no_such_pool(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *live = rig_pool(rig, 1, 10),
			      *stale = rig_pool(rig, 1, 10);
	struct lws_threadpool *none[] = {
		NULL,
		stale,
		(struct lws_threadpool *)rig,
		(struct lws_threadpool *)((uintptr_t)live ^ 2),
		(struct lws_threadpool *)UINTPTR_MAX,
	};
	struct call c;

	rig_pool_destroy(rig, stale);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		call_make(&c, rig, none[n]);
		assert_int_equal(c.ret, -1);
		assert_int_equal(log_claim(LLL_ERR, ""), (int)n + 1);
		rig_drain(rig);
		assert_int_equal(atomic_load(&c.calls), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_context_that_was_never_serviced),
		cmocka_unit_test(without_a_default_vhost),
		RIG_TEST(no_such_service_thread),
		RIG_TEST(nothing_to_call),
		RIG_TEST(no_such_pool),
	};

	return cmocka_run_group_tests_name("R1 refused calls", tests, NULL,
					   NULL);
}
