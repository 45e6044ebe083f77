/*
 * lws-threadpool unit tests - R1, calls from any thread to the service thread
 *
 * SPDX-License-Identifier: MIT
 */

#include "calls.h"

/* R1: before the first turn of the loop, and after it, and not within the call
 * itself, made on the service thread */
static void
once_and_not_within(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct call c[2];

	for (int n = 0; n < 2; n++) {
		call_init(&c[n], rig, tp);
		assert_int_equal(lws_threadpool_call(tp, 0, call_note, &c[n]),
				 0);
		assert_int_equal(atomic_load(&c[n].calls), 0);
		call_is_called(&c[n]);
	}
}

static void
note_null(struct lws_context *context, void *arg)
{
	assert_non_null(context);
	assert_null(arg);
	call_turn++;
}

static bool
has_turned(void *arg)
{
	return call_turn >= *(int *)arg;
}

static void
arg_is_handed_on(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	int one = 1;

	call_turn = 0;
	assert_int_equal(lws_threadpool_call(tp, 0, note_null, NULL), 0);
	rig_until(rig, has_turned, &one);
}

/* ---- many threads ---- */

#define THREADS 4
#define EACH	2000

struct caller {
	struct numbered {
		struct caller *caller;
		int number;
	} all[EACH];
	pthread_t thread;
	struct rig *rig;
	struct lws_threadpool *tp;
	int next; /* the service thread's */
	atomic_int called;
	int refused;
	bool wait;
};

static struct caller callers[THREADS];

static void
in_order(struct lws_context *context, void *arg)
{
	struct numbered *n = arg;

	assert_non_null(context);
	assert_true(pthread_equal(n->caller->rig->thread, pthread_self()));
	assert_int_equal(n->number, n->caller->next);
	n->caller->next++;
	atomic_fetch_add(&n->caller->called, 1);
}

static void *
call_all(void *arg)
{
	struct caller *c = arg;

	for (int n = 0; n < EACH; n++) {
		c->all[n].caller = c;
		c->all[n].number = n;
		if (lws_threadpool_call(c->tp, 0, in_order, &c->all[n]))
			c->refused++;
		if (c->wait)
			wait_int(&c->called, n + 1);
	}

	return NULL;
}

static void
from_threads(struct rig *rig, int threads, bool wait)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	memset(callers, 0, sizeof(callers));
	for (int n = 0; n < threads; n++) {
		callers[n].rig = rig;
		callers[n].tp = tp;
		callers[n].wait = wait;
		assert_int_equal(pthread_create(&callers[n].thread, NULL,
						call_all, &callers[n]),
				 0);
	}
	for (int n = 0; n < threads; n++)
		rig_until_int(rig, &callers[n].called, EACH);
	for (int n = 0; n < threads; n++) {
		pthread_join(callers[n].thread, NULL);
		assert_int_equal(callers[n].refused, 0);
	}
	rig_drain(rig);
	for (int n = 0; n < threads; n++)
		assert_int_equal(atomic_load(&callers[n].called), EACH);
}

/* R1: each thread's in the order in which it made them */
static void
in_order_of_each_thread(void **state)
{
	from_threads(*state, THREADS, false);
}

/* R1: one call at a time, the loop asleep: nothing else wakes it */
static void
each_wakes_the_loop(void **state)
{
	from_threads(*state, 1, true);
}

/* ---- from tasks ---- */

static int
call_in_task(struct job *j, enum lws_threadpool_task_status s)
{
	struct call *c = j->priv;

	(void)s;
	if (lws_threadpool_call(c->tp, 0, call_note, c))
		job_fault(j, "the call was refused (R1)");

	return LWS_TP_RETURN_FINISHED;
}

static void
call_in_cleanup(struct job *j, struct lws *wsi)
{
	struct call *c = j->priv;

	(void)wsi;
	if (lws_threadpool_call(c[1].tp, 0, call_note, &c[1]))
		job_fault(j, "the call was refused (R1)");
	if (pthread_equal(pthread_self(), j->rig->thread) &&
	    atomic_load(&c[1].calls))
		job_fault(j, "called within the call (R1)");
}

/* R1: from a task's function, and from cleanups on a pool's thread and on the
 * service thread */
static void
from_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *conn = conn_open(rig, CONN_RAW);

	for (int attached = 0; attached < 2; attached++) {
		struct job *j = job_new(rig);
		struct call c[2];

		call_turn = 0;
		call_init(&c[0], rig, tp);
		call_init(&c[1], rig, tp);
		j->fn = call_in_task;
		j->on_cleanup = call_in_cleanup;
		j->priv = c;
		assert_non_null(job_enqueue(tp, j,
					    attached ? conn->wsi : NULL));
		rig_until_int(rig, &j->cleanups, 1);
		call_is_called(&c[0]);
		call_is_called(&c[1]);
		assert_int_equal(c[0].turn, 0);
		assert_int_equal(c[1].turn, 1);
	}
}

/* ---- contexts ---- */

/* R1: each context's on its own loop, with itself */
static void
each_context_has_its_own(void **state)
{
	struct rig *rig[2];
	struct call c[2];

	(void)state;
	for (int n = 0; n < 2; n++) {
		rig[n] = rig_create(NULL);
		call_init(&c[n], rig[n], rig_pool(rig[n], 1, 10));
	}
	for (int n = 0; n < 2; n++)
		assert_int_equal(
			lws_threadpool_call(c[n].tp, 0, call_note, &c[n]), 0);
	rig_drain(rig[1]);
	call_is_called(&c[1]);
	assert_int_equal(atomic_load(&c[0].calls), 0);
	call_is_called(&c[0]);
	for (int n = 0; n < 2; n++)
		assert_int_equal(rig_destroy(rig[n]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(once_and_not_within),
		RIG_TEST(arg_is_handed_on),
		RIG_TEST(in_order_of_each_thread),
		RIG_TEST(each_wakes_the_loop),
		RIG_TEST(from_tasks),
		cmocka_unit_test(each_context_has_its_own),
	};

	return cmocka_run_group_tests_name("R1 calls", tests, NULL, NULL);
}
