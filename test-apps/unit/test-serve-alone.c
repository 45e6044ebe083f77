/*
 * lws-threadpool unit tests - H1, on_end of a task that never had a wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * It is called on service thread 0, which is the test's: the harness sees that.
 */

#include "served.h"

#include <limits.h>

/* by the time that this returns the pool's one thread has ended it */
static struct served *
ended(struct rig *rig, struct lws_threadpool *tp, int last)
{
	struct served *s = served_new(rig);

	s->j->last = last;
	assert_non_null(served_enqueue(tp, s, NULL));
	job_fence(rig, tp);

	return s;
}

/* H1: FINISHED and STOPPED, with wsi NULL, once the loop turns; its cleanup
 * follows there */
static void
called_by_the_service_thread(void **state)
{
	static const int lasts[] = { LWS_TP_RETURN_FINISHED,
				     LWS_TP_RETURN_STOPPED };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct served *s;

	for (int n = 0; n < 2; n++) {
		s = ended(rig, tp, lasts[n]);
		assert_int_equal(atomic_load(&s->ends), 0);
		assert_int_equal(atomic_load(&s->j->cleanups), 0);
		rig_until_int(rig, &s->j->cleanups, 1);
		assert_int_equal(atomic_load(&s->ends), 1);
		assert_int_equal(s->how, n ? LWS_TP_STATUS_STOPPED :
					     LWS_TP_STATUS_FINISHED);
		assert_int_equal(s->why, LWS_TP_STOP_NONE);
		assert_null(s->wsi);
		assert_null(s->j->cleanup_wsi);
		assert_true(pthread_equal(s->j->cleanup_thread, rig->thread));
		assert_ptr_equal(s->cleanup_this, s->j->task);
		assert_int_equal(s->cleanup_how, s->how);
		assert_int_equal(s->cleanup_why, LWS_TP_STOP_NONE);
	}
}

/* H1, K3: it has ended, and gets a wsi before its on_end was called, though the
 * service thread has heard of its end: it is served there */
static void
it_gets_a_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	for (int heard = 0; heard < 2; heard++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct served *s = ended(rig, tp, LWS_TP_RETURN_FINISHED);

		if (heard) {
			assert_non_null(lws_threadpool_wsi_handle(tp, c->wsi));
			assert_null(lws_threadpool_get_task_wsi(c->wsi));
		}
		assert_int_equal(lws_threadpool_task_attach(s->j->task, c->wsi),
				 0);
		assert_int_equal(atomic_load(&s->ends), 0);
		rig_until_int(rig, &s->j->cleanups, 1);
		assert_int_equal(atomic_load(&s->ends), 1);
		assert_ptr_equal(s->wsi, c->wsi);
		assert_ptr_equal(s->j->cleanup_wsi, c->wsi);
	}
}

/* W2, T5: a SYNC is CHECKING_IN to it: on_sync is for those with a wsi */
static void
no_on_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct served *s = served_script(rig, 50, LWS_TP_RETURN_SYNC),
		      *no_end = served_script(rig, 50, LWS_TP_RETURN_SYNC);

	no_end->o.on_end = NULL;
	assert_non_null(served_enqueue(tp, s, NULL));
	assert_non_null(served_enqueue(tp, no_end, NULL));
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&s->syncs), 0);
	assert_int_equal(atomic_load(&s->ends), 1);
	assert_int_equal(atomic_load(&s->j->running), 51);
	assert_int_equal(atomic_load(&no_end->syncs), 0);
	assert_int_equal(atomic_load(&no_end->ends), 0);
	assert_int_equal(atomic_load(&no_end->j->running), 51);
}

/* H1: its return is ignored */
static void
its_return_is_ignored(void **state)
{
	static const int rets[] = { -1, 1, INT_MIN, INT_MAX };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(rets); n++) {
		s = served_new(rig);
		s->end_ret = rets[n];
		assert_non_null(served_enqueue(tp, s, NULL));
		rig_until_int(rig, &s->j->cleanups, 1);
		assert_int_equal(atomic_load(&s->ends), 1);
	}
	rig_drain(rig);
	assert_false(c->closed);
	assert_int_equal(served_ret, 0);
}

/* H1: asked to stop, before it started and while it ran */
static void
asked_to_stop(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct served *running = served_script(rig, 9,
					       LWS_TP_RETURN_CHECKING_IN),
		      *queued = served_new(rig);

	running->j->gate = gate_new(rig);
	assert_non_null(served_enqueue(tp, running, NULL));
	wait_int(&running->j->calls, 1);
	assert_non_null(served_enqueue(tp, queued, NULL));
	lws_threadpool_task_sync(queued->j->task, 1);
	lws_threadpool_task_sync(running->j->task, 1);
	gate_open(running->j->gate);
	rig_until_cleaned(rig);
	assert_int_equal(running->how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(running->why, LWS_TP_STOP_ASKED);
	assert_int_equal(queued->how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(queued->why, LWS_TP_STOP_ASKED);
	assert_int_equal(atomic_load(&queued->j->calls), 0);
}

static void *
finish_thread(void *tp)
{
	lws_threadpool_finish(tp);

	return NULL;
}

/* H1, P3: finish() on another thread: those that are QUEUED, too */
static void
finished(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct served *running, *queued[5];
	pthread_t t;

	for (int other = 0; other < 2; other++) {
		tp = rig_pool(rig, 1, 10);
		running = served_script(rig, 9, LWS_TP_RETURN_CHECKING_IN);
		running->j->gate = gate_new(rig);
		assert_non_null(served_enqueue(tp, running, NULL));
		wait_int(&running->j->calls, 1);
		for (int n = 0; n < 5; n++) {
			queued[n] = served_new(rig);
			assert_non_null(served_enqueue(tp, queued[n], NULL));
		}
		if (other) {
			assert_int_equal(
				pthread_create(&t, NULL, finish_thread, tp), 0);
			pthread_join(t, NULL);
		} else {
			lws_threadpool_finish(tp);
		}
		/* not in finish(), though that was on this thread */
		for (int n = 0; n < 5; n++)
			assert_int_equal(atomic_load(&queued[n]->ends), 0);
		gate_open(running->j->gate);
		rig_until_cleaned(rig);
		assert_int_equal(atomic_load(&running->ends), 1);
		assert_int_equal(running->why, LWS_TP_STOP_FINISH);
		for (int n = 0; n < 5; n++) {
			assert_int_equal(atomic_load(&queued[n]->ends), 1);
			assert_int_equal(queued[n]->how, LWS_TP_STATUS_STOPPED);
			assert_int_equal(queued[n]->why, LWS_TP_STOP_FINISH);
			assert_int_equal(atomic_load(&queued[n]->j->calls), 0);
		}
	}
}

/* ---- what does not call it ---- */

static int
dequeues(struct job *j, enum lws_threadpool_task_status s)
{
	struct served *other = j->priv;

	(void)s;
	j->data = lws_threadpool_dequeue_task(other->j->task);

	return LWS_TP_RETURN_FINISHED;
}

/* H1, Q4: a dequeue while it is QUEUED, on the service thread and on a pool's:
 * reaped at once, without it */
static void
a_dequeue(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *second = rig_pool(rig, 1, 10);
	struct served *s[2] = { served_new(rig), served_new(rig) };
	struct job *j = job_new(rig);

	job_block(rig, tp, gate_new(rig));
	for (int n = 0; n < 2; n++)
		assert_non_null(served_enqueue(tp, s[n], NULL));
	assert_int_equal(lws_threadpool_dequeue_task(s[0]->j->task), 0);
	assert_int_equal(atomic_load(&s[0]->j->cleanups), 1);
	j->fn = dequeues;
	j->priv = s[1];
	j->data = 1;
	assert_non_null(job_enqueue(second, j, NULL));
	wait_int(&j->cleanups, 1);
	assert_int_equal(j->data, 0);
	assert_int_equal(atomic_load(&s[1]->j->cleanups), 1);
	rig_drain(rig);
	for (int n = 0; n < 2; n++) {
		assert_int_equal(atomic_load(&s[n]->ends), 0);
		assert_int_equal(s[n]->cleanup_how, LWS_TP_STATUS_STOPPED);
		assert_int_equal(s[n]->cleanup_why, LWS_TP_STOP_ASKED);
	}
}

/* H1, P4: destroy(): of those that have ended, with finish() or without, and of
 * those that it ends.  Nothing comes after it. */
static void
destroyed(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct served *s[4];

	for (int finish = 0; finish < 2; finish++) {
		tp = rig_pool(rig, 1, 10);
		s[0] = ended(rig, tp, LWS_TP_RETURN_FINISHED);
		s[1] = ended(rig, tp, LWS_TP_RETURN_STOPPED);
		s[2] = served_script(rig, INT_MAX, LWS_TP_RETURN_CHECKING_IN);
		assert_non_null(served_enqueue(tp, s[2], NULL));
		wait_int(&s[2]->j->calls, 1);
		s[3] = served_new(rig);
		assert_non_null(served_enqueue(tp, s[3], NULL));
		if (finish)
			lws_threadpool_finish(tp);
		rig_pool_destroy(rig, tp);
		for (int n = 0; n < 4; n++)
			assert_int_equal(atomic_load(&s[n]->j->cleanups), 1);
		rig_drain(rig);
		for (int n = 0; n < 4; n++)
			assert_int_equal(atomic_load(&s[n]->ends), 0);
	}
}

/* H1: nor the context's end, before its pool's and after it; its first turn has
 * not come, or has */
static void
with_the_context(void **state)
{
	const struct rig_opts opts = { .on_event = served_event };
	struct lws_threadpool *tp;
	struct served *s[3];
	struct rig *rig;

	(void)state;
	for (int n = 0; n < 4; n++) {
		rig = served_rig(&opts);
		if (n & 1)
			rig_turns(rig, 3);
		tp = rig_pool(rig, 1, 10);
		if (n & 1)
			rig_turns(rig, 3);
		s[0] = ended(rig, tp, LWS_TP_RETURN_FINISHED);
		s[1] = served_script(rig, INT_MAX, LWS_TP_RETURN_CHECKING_IN);
		assert_non_null(served_enqueue(tp, s[1], NULL));
		wait_int(&s[1]->j->calls, 1);
		s[2] = served_new(rig);
		assert_non_null(served_enqueue(tp, s[2], NULL));
		if (n & 2)
			rig_pool_destroy(rig, tp);
		rig_context_destroy(rig);
		if (!(n & 2))
			rig_pool_destroy(rig, tp);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(atomic_load(&s[i]->ends), 0);
			assert_int_equal(atomic_load(&s[i]->j->cleanups), 1);
		}
		assert_int_equal(served_rig_destroy(rig), 0);
	}
}

/* ---- from any thread, and many ---- */

#define THREADS 3
#define EACH	100

struct enqueuer {
	struct lws_threadpool *tp;
	struct served *s[EACH];
	pthread_t thread;
};

static void *
enqueue_all(void *arg)
{
	struct enqueuer *e = arg;

	for (int n = 0; n < EACH; n++)
		if (!served_enqueue(e->tp, e->s[n], NULL))
			job_fault(e->s[n]->j, "refused");

	return NULL;
}

static int
enqueue_in_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	enqueue_all(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

/* H1: enqueued by this thread, others and a pool's: each on_end once, here */
static void
many_from_any_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, THREADS * EACH);
	struct enqueuer e[THREADS];
	struct job *j = job_new(rig);

	for (int t = 0; t < THREADS; t++) {
		e[t].tp = tp;
		for (int n = 0; n < EACH; n++) {
			e[t].s[n] = served_script(rig, n % 3,
						  LWS_TP_RETURN_CHECKING_IN);
			e[t].s[n]->elsewhere = true;
		}
	}
	j->fn = enqueue_in_a_task;
	j->priv = &e[1];
	assert_int_equal(pthread_create(&e[0].thread, NULL, enqueue_all, &e[0]),
			 0);
	assert_non_null(job_enqueue(tp, j, NULL));
	enqueue_all(&e[2]);
	pthread_join(e[0].thread, NULL);
	wait_int(&j->cleanups, 1);
	rig_until_cleaned(rig);
	for (int t = 0; t < THREADS; t++)
		for (int n = 0; n < EACH; n++)
			assert_int_equal(atomic_load(&e[t].s[n]->ends), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(called_by_the_service_thread),
		SERVED_TEST(it_gets_a_wsi),
		SERVED_TEST(no_on_sync),
		SERVED_TEST(its_return_is_ignored),
		SERVED_TEST(asked_to_stop),
		SERVED_TEST(finished),
		SERVED_TEST(a_dequeue),
		SERVED_TEST(destroyed),
		cmocka_unit_test(with_the_context),
		SERVED_TEST(many_from_any_thread),
	};

	return cmocka_run_group_tests_name("H1 without a wsi", tests, NULL,
					   NULL);
}
