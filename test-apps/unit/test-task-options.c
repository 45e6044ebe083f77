/*
 * lws-threadpool unit tests - lws_threadpool_enqueue_ext(): what its options
 * may be, and what is refused
 *
 * SPDX-License-Identifier: MIT
 */

#include <limits.h>

#include "task-options.h"

#define SIZE sizeof(struct lws_threadpool_task_options)
/* what the first version of the struct ends with */
#define SIZE_FIRST \
	(offsetof(struct lws_threadpool_task_options, reserved) + sizeof(int))
#define MOST 4096 /* no struct is larger */

/* options, and what follows them in memory */
union options {
	struct lws_threadpool_task_options o;
	unsigned char bytes[2 * MOST];
};

/* A line that names what is wrong, ARGS, and nothing else.  A pool each, since
 * a pool writes one of a kind in a second (P2). */
static void
is_refused(struct rig *rig, const struct lws_threadpool_task_options *o,
	   const char *word)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int n = 0; n < 2; n++) {
		log_forget();
		if (enqueue_with(tp, job_new(rig), n ? c->wsi : NULL, o))
			fail_msg("taken, with a wrong %s", word);
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		if (!log_claim(LLL_ERR, word))
			fail_msg("no line that has %s", word);
		assert_int_equal(log_unclaimed(), 0);
		assert_null(lws_threadpool_get_task_wsi(c->wsi));
		rig_pool_destroy(rig, tp);
		tp = rig_pool(rig, 1, 10);
	}
	rig_pool_destroy(rig, tp);
	conn_fin(c);
	conn_until_closed(c);
}

static void
is_taken(struct rig *rig, const struct lws_threadpool_task_options *o)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j;

	for (int n = 0; n < 2; n++) {
		j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		assert_non_null(enqueue_with(tp, j, n ? c->wsi : NULL, o));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&j->running), 4);
	}
	rig_pool_destroy(rig, tp);
	conn_fin(c);
	conn_until_closed(c);
}

/* NULL is lws_threadpool_enqueue(); so is what is all at its default */
static void
none_and_zeros(void **state)
{
	const struct lws_threadpool_task_options o = { .size = SIZE };

	is_taken(*state, NULL);
	is_taken(*state, &o);
}

static void
of_a_wrong_size(void **state)
{
	static const size_t sizes[] = {
		0,
		1,
		sizeof(size_t),
		SIZE_FIRST - 1,
		MOST + 1,
		(size_t)1 << 20,
		SIZE_MAX
	};
	struct rig *rig = *state;
	union options u;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(sizes); n++) {
		memset(&u, 0, sizeof(u));
		u.o.size = sizes[n];
		is_refused(rig, &u.o, "size");
	}
}

/* A newer program's: with its new members at their defaults, up to the most, it
 * is as ours.  With one set it is refused, wherever that is. */
static void
of_a_newer_program(void **state)
{
	static const size_t sizes[] = { SIZE + 1,  SIZE + 4, SIZE + 8,
					SIZE + 64, MOST - 1, MOST };
	struct rig *rig = *state;
	union options u;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(sizes); n++) {
		memset(&u, 0, sizeof(u));
		u.o.size = sizes[n];
		/* what is beyond its size is not looked at */
		memset(u.bytes + sizes[n], 0xff, sizeof(u) - sizes[n]);
		is_taken(rig, &u.o);
		u.bytes[sizes[n] - 1] = 1;
		is_refused(rig, &u.o, "option");
		u.bytes[sizes[n] - 1] = 0;
		u.bytes[SIZE] = 0x80;
		is_refused(rig, &u.o, "option");
	}
}

/* An older one's: the first version is the oldest that there is */
static void
of_the_first_version(void **state)
{
	union options u;

	memset(&u, 0xff, sizeof(u));
	memset(&u, 0, SIZE_FIRST);
	u.o.size = SIZE_FIRST;
	is_taken(*state, &u.o);
}

/* No padding, so that a member that comes later finds zeros */
static void
without_padding(void **state)
{
	(void)state;
	assert_int_equal(SIZE, SIZE_FIRST);
	assert_int_equal(SIZE, sizeof(size_t) + 2 * sizeof(void (*)(void)) +
				       sizeof(void *) + 4 * sizeof(int));
}

/* Numbers that are negative, and reserved that is not 0 */
static void
of_absurd_numbers(void **state)
{
	static const int bad[] = { -1, -1000, INT_MIN };
	struct lws_threadpool_task_options o;
	struct rig *rig = *state;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(bad); n++) {
		o = (struct lws_threadpool_task_options){ .size = SIZE };
		o.queue_ms = bad[n];
		is_refused(rig, &o, "queue_ms");
		o.queue_ms = 0;
		o.life_ms = bad[n];
		is_refused(rig, &o, "life_ms");
		o.life_ms = 0;
		o.key_max = bad[n];
		is_refused(rig, &o, "key_max");
		o.key = &o;
		is_refused(rig, &o, "key_max");
		o.key = NULL;
		o.key_max = 0;
		o.reserved = bad[n];
		is_refused(rig, &o, "reserved");
	}
	o.reserved = 1;
	is_refused(rig, &o, "reserved");
}

/* the largest are fine */
static void
of_large_numbers(void **state)
{
	struct lws_threadpool_task_options o = { .size = SIZE,
						 .queue_ms = INT_MAX,
						 .life_ms = INT_MAX,
						 .key_max = INT_MAX };

	is_taken(*state, &o);
	o.key = &o;
	is_taken(*state, &o);
	o.key_max = 0;
	is_taken(*state, &o);
}

/* T8: as any other enqueue, it is refused with args that are bad, or a pool
 * that is none, whatever its options */
static void
with_bad_args(void **state)
{
	const struct lws_threadpool_task_options good = { .size = SIZE,
							  .life_ms = 60000 },
						 bad = { .size = 1 };
	struct rig *rig = *state;
	struct lws_threadpool_task_args args;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	memset(&args, 0, sizeof(args));
	for (int n = 0; n < 3; n++) {
		const struct lws_threadpool_task_options *o = n == 0 ? NULL :
							      n == 1 ? &good :
								       &bad;

		assert_null(lws_threadpool_enqueue_ext(tp, NULL, o, "x"));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		assert_null(lws_threadpool_enqueue_ext(tp, &args, o, "x"));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		assert_null(enqueue_with(NULL, job_new(rig), NULL, o));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		assert_null(lws_threadpool_enqueue_ext(NULL, NULL, o, NULL));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	}
	assert_true(log_claim(LLL_ERR, "lws_threadpool_enqueue") >= 3);
}

static int
any_handler(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;

	return 0;
}

static int
any_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	(void)wsi;
	(void)user;
	(void)how;

	return 0;
}

/* Handlers are for a wsi; a secure stream has none */
static void
handlers_with_a_secure_stream(void **state)
{
#if defined(LWS_WITH_SECURE_STREAMS)
	struct rig *rig = *state;
	struct lws_threadpool_task_options o[2] = {
		{ .size = SIZE, .on_sync = any_handler },
		{ .size = SIZE, .on_end = any_end },
	};
	struct lws_threadpool_task_args args;

	for (int n = 0; n < 2; n++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);

		job_args(job_new(rig), NULL, &args);
		/* it is refused before anybody looks there */
		args.ss = (struct lws_ss_handle *)(uintptr_t)16;
		assert_null(lws_threadpool_enqueue_ext(tp, &args, &o[n], "ss"));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"),
				 n + 1);
	}
#else
	(void)state;
	(void)any_handler;
	(void)any_end;
	skip();
#endif
}

/* the name is a format, as ever, and the options are copied */
static void
its_name_and_a_copy(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task_options o = {
		.size = SIZE, .queue_ms = INT_MAX, .life_ms = INT_MAX
	};
	struct gate *gate = gate_new(rig);
	struct job *j = job_gated(rig, gate);

	job_args(j, NULL, &args);
	job_accepted(j, lws_threadpool_enqueue_ext(tp, &args, &o, "%s-%d",
						   "number", 42));
	assert_true(j->accepted);
	memset(&o, 0xff, sizeof(o));
	memset(&args, 0xff, sizeof(args));
	lws_threadpool_dump(tp);
	assert_int_equal(log_count(LLL_THREAD, "number-42"), 1);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(none_and_zeros),
		RIG_TEST(of_a_wrong_size),
		RIG_TEST(of_a_newer_program),
		RIG_TEST(of_the_first_version),
		RIG_TEST(without_padding),
		RIG_TEST(of_absurd_numbers),
		RIG_TEST(of_large_numbers),
		RIG_TEST(with_bad_args),
		RIG_TEST(handlers_with_a_secure_stream),
		RIG_TEST(its_name_and_a_copy),
	};

	return cmocka_run_group_tests_name("task options", tests, NULL, NULL);
}
