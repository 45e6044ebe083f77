/*
 * lws-threadpool unit tests - enqueue_ext(), what it takes and what it refuses
 *
 * SPDX-License-Identifier: MIT
 */

#include "served.h"

#include <limits.h>

/* as a caller that was compiled with a later version has it */
struct later {
	struct lws_threadpool_task_options o;
	char more[4096];
};

static struct lws_threadpool_task *
enqueue_with(struct lws_threadpool *tp, struct served *s, struct lws *wsi,
	     const struct lws_threadpool_task_options *o)
{
	struct lws_threadpool_task_args args;

	job_args(s->j, wsi, &args);
	job_accepted(s->j, lws_threadpool_enqueue_ext(tp, &args, o, "ext"));

	return s->j->task;
}

static void
is_refused(struct lws_threadpool *tp, struct rig *rig, struct lws *wsi,
	   const struct lws_threadpool_task_options *o)
{
	struct served *s = served_new(rig);

	assert_null(enqueue_with(tp, s, wsi, o));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
}

/* NULL: lws_threadpool_enqueue(): no handlers */
static void
options_null(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s = served_new(rig);

	c->manual = true;
	assert_non_null(enqueue_with(tp, s, c->wsi, NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	wait_status(s->j, LWS_TP_STATUS_FINISHED);
	job_fence(rig, tp);
	assert_int_equal(lws_threadpool_serve(c->wsi), 0);
	assert_int_equal(lws_threadpool_task_status_noreap(s->j->task),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&s->j->cleanups), 0);
	assert_int_equal(atomic_load(&s->ends), 0);
	assert_int_equal(lws_threadpool_task_status(s->j->task, NULL),
			 LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&s->j->cleanups), 1);
}

/* T8: refused, ARGS: nothing is called, nothing kept */
static void
refused(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_task_options good = { .size = sizeof(good) }, o;
	struct later later;

	for (int n = 0; n < 9; n++) {
		o = good;
		switch (n) {
		case 0:
			o.size = 0;
			break;
		case 1:
			o.size = sizeof(o) - 1;
			break;
		case 2:
			o.queue_ms = -1;
			break;
		case 3:
			o.queue_ms = INT_MIN;
			break;
		case 4:
			o.life_ms = -1;
			break;
		case 5:
			o.key_max = -1;
			break;
		case 6:
			o.key_max = -1;
			o.key = &o;
			break;
		case 7:
			o.reserved = 1;
			break;
		default:
			o.reserved = -1;
		}
		is_refused(tp, rig, c->wsi, &o);
		is_refused(tp, rig, NULL, &o);
	}

	memset(&later, 0, sizeof(later));
	later.o.size = sizeof(later.o) + 8;
	later.more[7] = 1;
	is_refused(tp, rig, c->wsi, &later.o);
	later.o.size = 4096;
	is_refused(tp, rig, c->wsi, &later.o);
	/* over 4096, whatever it holds */
	memset(&later, 0, sizeof(later));
	later.o.size = 4097;
	is_refused(tp, rig, c->wsi, &later.o);
	later.o.size = SIZE_MAX;
	is_refused(tp, rig, c->wsi, &later.o);
	/* once a second at most for a pool */
	assert_true(log_claim(LLL_ERR, "") >= 1);
	rig_drain(rig);
}

/* a later version's struct whose new members are not set, and the greatest
 * numbers */
static void
accepted(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	const size_t sizes[] = { sizeof(struct lws_threadpool_task_options),
				 sizeof(struct lws_threadpool_task_options) + 1,
				 sizeof(struct lws_threadpool_task_options) + 8,
				 4096 };
	struct later later;
	struct served *s;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(sizes); n++) {
		s = served_new(rig);
		memset(&later, 0, sizeof(later));
		memset(later.more + 4096 - sizeof(later.o), 1, sizeof(later.o));
		later.o = s->o;
		later.o.size = sizes[n];
		later.o.queue_ms = later.o.life_ms = later.o.key_max = INT_MAX;
		later.o.key = &later;
		assert_non_null(enqueue_with(tp, s, c->wsi, &later.o));
		/* it was copied */
		memset(&later, 0xff, sizeof(later));
		rig_until_int(rig, &s->j->cleanups, 1);
		assert_int_equal(atomic_load(&s->ends), 1);
	}
}

/* what lws_threadpool_enqueue() refuses */
static void
refused_as_an_enqueue_is(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct lws_threadpool_task_args args;
	struct served *s = served_new(rig);

	job_args(s->j, NULL, &args);
	assert_null(lws_threadpool_enqueue_ext(NULL, &args, &s->o, "ext"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_null(lws_threadpool_enqueue_ext(tp, NULL, &s->o, "ext"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	args.task = NULL;
	assert_null(lws_threadpool_enqueue_ext(tp, &args, &s->o, "ext"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_true(log_claim(LLL_ERR, "") >= 2);

	job_block(rig, tp, gate_new(rig));
	assert_non_null(served_enqueue(tp, served_new(rig), NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	assert_null(served_enqueue(tp, s, NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_QUEUE_FULL);
	lws_threadpool_finish(tp);
	assert_null(served_enqueue(tp, s, NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_FINISHING);
	assert_true(log_claim(LLL_WARN, "") >= 2);
}

#if defined(LWS_WITH_SECURE_STREAMS)
/* handlers are for a wsi; the stream is not followed */
static void
handlers_with_a_stream(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lws_threadpool_task_args args;
	struct served *s = served_new(rig);

	job_args(s->j, NULL, &args);
	args.ss = (struct lws_ss_handle *)rig;
	assert_null(lws_threadpool_enqueue_ext(tp, &args, &s->o, "ext"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	s->o.on_end = NULL;
	assert_null(lws_threadpool_enqueue_ext(tp, &args, &s->o, "ext"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_true(log_claim(LLL_ERR, "") >= 1);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(options_null),
		SERVED_TEST(refused),
		SERVED_TEST(accepted),
		SERVED_TEST(refused_as_an_enqueue_is),
#if defined(LWS_WITH_SECURE_STREAMS)
		SERVED_TEST(handlers_with_a_stream),
#endif
	};

	return cmocka_run_group_tests_name("enqueue_ext", tests, NULL, NULL);
}
