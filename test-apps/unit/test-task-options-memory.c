/*
 * lws-threadpool unit tests - enqueue_ext() without memory: it keeps nothing,
 * of the key neither
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: malloc calloc realloc aligned_alloc
 */

#include "keyed.h"

/* of this thread's calls, from the one that made it 0 on */
static _Thread_local int calls_left = -1;

static bool
fails(void)
{
	if (calls_left > 0)
		calls_left--;

	return !calls_left;
}

#define WRAP(name, params, args) \
	void *__real_##name params; \
	void *__wrap_##name params; \
	void *__wrap_##name params \
	{ \
		return fails() ? NULL : __real_##name args; \
	}

WRAP(malloc, (size_t size), (size))
WRAP(calloc, (size_t n, size_t size), (n, size))
WRAP(realloc, (void *p, size_t size), (p, size))
WRAP(aligned_alloc, (size_t align, size_t size), (align, size))

/* how many calls it takes; those that are refused are MEMORY */
static int
until_accepted(struct lws_threadpool *tp, struct served *s, struct lws *wsi)
{
	struct lws_threadpool_task *task = NULL;
	int n;

	for (n = 0; !task && n < 20; n++) {
		calls_left = n + 1;
		task = served_enqueue(tp, s, wsi);
		calls_left = -1;
		if (!task)
			assert_int_equal(lws_threadpool_refused(),
					 LWS_TP_REFUSED_MEMORY);
	}
	assert_non_null(task);

	return n - 1;
}

/* T8, O1: refused, it does not count for its key, and what is known of the key
 * is not lost: ASan would find that */
static void
without_memory(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate;
	struct served *s, *next;
	int failed = 0;

	lwsl_warn("the log has its memory now\n");
	log_claim(LLL_WARN, "memory");
	c->manual = true;
	served_done(rig, tp, c->wsi);
	/* with handlers and not, with a wsi and without */
	for (int n = 0; n < 4; n++) {
		gate = gate_new(rig);
		s = n & 1 ? served_new(rig) : keyed_new(rig, NULL, 1);
		s->o.key = &gate;
		s->o.key_max = 1;
		s->j->gate = gate;
		failed += until_accepted(tp, s, n & 2 ? c->wsi : NULL);
		/* the key has one, and room for no more */
		wait_int(&s->j->calls, 1);
		next = keyed_new(rig, &gate, 1);
		failed += until_accepted(tp, next, NULL);
		keyed_is_held(rig, tp, next);
		gate_open(gate);
		wait_int(&next->j->cleanups, 1);
	}
	assert_true(failed >= 8);
	assert_true(log_claim(LLL_ERR, "out of memory") >= 1);
	log_claim(LLL_ERR, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(without_memory),
	};

	return cmocka_run_group_tests_name("enqueue_ext, memory", tests, NULL,
					   NULL);
}
