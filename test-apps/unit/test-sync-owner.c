/*
 * lws-threadpool unit tests - S7, the data of a task that is SYNCING is its
 * service thread's
 *
 * SPDX-License-Identifier: MIT
 *
 * A callback was told SYNCING and uses the data.  Whatever asks the task to
 * stop meanwhile, its function and its cleanup come after that callback.  That
 * they do not come before is seen when the pool's only thread has gone on to
 * tasks that were behind it.
 */

#include "closings.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

struct scene {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;	  /* whose callback it is */
	struct conn *of;  /* whose task it is */
	struct job *told; /* the callback holds its data */
	struct job *next; /* on another wsi */
	void (*way)(struct scene *s);
	int ran;
	int nested;
	int asked;     /* what a dequeue returned */
	int ret;       /* of the callback */
	bool finishes; /* the pool takes no more tasks */
	bool answers;
	bool completes; /* an http transaction */
};

static _Atomic(struct job *) held;

static void
must_not_be_held(struct job *j, const char *what)
{
	if (atomic_load(&held) == j)
		job_fault(j, what);
}

static int
owned_step(struct job *j, enum lws_threadpool_task_status status)
{
	must_not_be_held(j, "called while a callback has its data (S7)");
	j->data++;
	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return atomic_load(&j->running) == 1 ? LWS_TP_RETURN_SYNC :
					       LWS_TP_RETURN_FINISHED;
}

static void
owned_cleanup(struct job *j, struct lws *wsi)
{
	(void)wsi;
	must_not_be_held(j, "cleaned up while a callback has its data (S7)");
	j->data++;
}

static struct job *
owned_job(struct rig *rig)
{
	struct job *j = job_new(rig);

	j->name = "told";
	j->fn = owned_step;
	j->on_cleanup = owned_cleanup;

	return j;
}

/* When it returns the pool's thread has called what was ready before.  S2: new
 * and resumed tasks take turns, each kind in its order. */
static void
pool_has_gone_on(struct scene *s)
{
	struct job *j;

	if (s->finishes) {
		lws_threadpool_task_sync(s->next->task, 0);
		wait_int(&s->next->stopping, 1);
		return;
	}
	for (int n = 0; n < 4; n++) {
		j = job_new(s->rig);
		assert_non_null(job_enqueue(s->tp, j, NULL));
		wait_int(&j->cleanups, 1);
	}
}

static int
told_syncing(struct scene *s)
{
	s->ran++;
	atomic_store(&held, s->told);
	s->told->data++;
	s->way(s);
	pool_has_gone_on(s);
	if (atomic_load(&held)) {
		s->told->data++;
		atomic_store(&held, NULL);
	}
	if (s->answers)
		lws_threadpool_task_sync(s->told->task, 0);

	return s->ret;
}

static int
scene_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct scene *s = rig->priv;
	struct lws_threadpool_task *task;

	(void)user;
	(void)in;
	(void)len;
	if (s->completes && reason_drop(reason) && atomic_load(&held)) {
		task = lws_threadpool_get_task_wsi(wsi);
		if (task) {
			s->nested++;
			s->asked = lws_threadpool_dequeue_task(task);
		}
		return 0;
	}
	if (s->ran || !s->c || wsi != s->c->wsi || !reason_writeable(reason) ||
	    lws_threadpool_task_status(s->told->task, NULL) !=
		    LWS_TP_STATUS_SYNCING)
		return RIG_DEFAULT;

	return told_syncing(s);
}

static void
scene_begin(struct scene *s, struct rig *rig, struct lws_threadpool *tp,
	    enum conn_kind kind, void (*way)(struct scene *s))
{
	memset(s, 0, sizeof(*s));
	s->rig = rig;
	s->tp = tp;
	s->way = way;
	rig->priv = s;
	rig->on_event = scene_event;
	s->c = s->of = conn_open(rig, kind);
	s->told = owned_job(rig);
}

static bool
has_run(void *arg)
{
	struct scene *s = arg;

	return s->ran;
}

/* to where the callback has returned, and from there to the one STOPPING */
static void
scene_play(struct scene *s)
{
	assert_non_null(job_enqueue(s->tp, s->told, s->of->wsi));
	wait_status(s->told, LWS_TP_STATUS_SYNCING);
	if (s->of != s->c)
		lws_callback_on_writable(s->c->wsi);
	rig_until(s->rig, has_run, s);
	rig_until_int(s->rig, &s->told->cleanups, 1);
	assert_int_equal(s->ran, 1);
	if (!s->answers)
		assert_int_equal(atomic_load(&s->told->stopping), 1);
	s->rig->on_event = NULL;
}

/* ---- a sync timeout ---- */

static void
way_timeout(struct scene *s)
{
	(void)s;
	log_wait(LLL_WARN, "told", 1);
}

static void
sync_timeout(struct rig *rig, bool answers)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .sync_timeout_secs = 1 };
	struct scene s;

	scene_begin(&s, rig, rig_pool_ext(rig, 1, 10, &o), CONN_RAW,
		    way_timeout);
	s.answers = answers;
	scene_play(&s);
	assert_int_equal(log_claim(LLL_WARN, "told"), 1);
}

/* S7: its time comes in the middle of the callback */
static void
a_sync_timeout_waits(void **state)
{
	sync_timeout(*state, false);
}

/* S7: and that callback answers at its end */
static void
a_sync_timeout_before_the_answer(void **state)
{
	sync_timeout(*state, true);
}

/* ---- finish ---- */

static void
way_finish(struct scene *s)
{
	lws_threadpool_finish(s->tp);
}

static void *
finish_thread(void *arg)
{
	lws_threadpool_finish(arg);

	return NULL;
}

static void
way_finish_elsewhere(struct scene *s)
{
	pthread_t t;

	assert_int_equal(pthread_create(&t, NULL, finish_thread, s->tp), 0);
	pthread_join(t, NULL);
}

/* S7: by another thread or in the callback, with and without an answer in the
 * end; and a second task that was answered learns of it at once */
static void
finish_waits(void **state)
{
	struct rig *rig = *state;
	struct conn *other;
	struct scene s;

	for (int n = 0; n < 4; n++) {
		scene_begin(&s, rig, rig_pool(rig, 1, 10), CONN_RAW,
			    n & 1 ? way_finish : way_finish_elsewhere);
		s.finishes = true;
		s.answers = n & 2;
		/* its own WRITEABLE may come first, and must not answer it */
		other = conn_open(rig, CONN_RAW);
		other->manual = true;
		s.next = job_park(rig, s.tp, other->wsi);
		scene_play(&s);
		other->manual = false;
		rig_until_int(rig, &s.next->cleanups, 1);
		assert_int_equal(s.told->reaped_as, LWS_TP_STATUS_STOPPED);
		assert_ptr_equal(s.told->cleanup_wsi, s.c->wsi);
	}
}

/* S7, P3: with no callback in the way it reaches a loop that sleeps */
static void
finish_between_callbacks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j[3];

	c->manual = true;
	for (int n = 0; n < 3; n++)
		j[n] = job_park(rig, tp, c->wsi);
	rig_drain(rig);
	c->manual = false;
	lws_threadpool_finish(tp);
	rig_until_cleaned(rig);
	for (int n = 0; n < 3; n++)
		assert_int_equal(atomic_load(&j[n]->stopping), 1);
}

/* ---- dequeue ---- */

static void
way_dequeue_task(struct scene *s)
{
	s->asked = lws_threadpool_dequeue_task(s->told->task);
	assert_null(lws_threadpool_get_task_wsi(s->of->wsi));
}

static void
way_dequeue(struct scene *s)
{
	s->asked = lws_threadpool_dequeue(s->of->wsi);
	assert_null(lws_threadpool_get_task_wsi(s->of->wsi));
}

/* S7, Q4: in the callback, on every kind of wsi, by both functions */
static void
a_dequeue_waits(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct scene s;

	for (int n = 0; n < 2 * CONN_KINDS; n++) {
		scene_begin(&s, rig, tp, (enum conn_kind)(n / 2),
			    n & 1 ? way_dequeue_task : way_dequeue);
		scene_play(&s);
		assert_int_equal(s.asked, 1);
		assert_null(s.told->cleanup_wsi);
	}
}

/* S7, T5: one that outlives its wsi is only detached, and is called with
 * RUNNING, but not sooner either */
static void
a_dequeue_that_detaches_waits(void **state)
{
	struct rig *rig = *state;
	struct scene s;

	scene_begin(&s, rig, rig_pool(rig, 1, 10), CONN_RAW, way_dequeue_task);
	s.told->async_task = 1;
	s.answers = true;
	scene_play(&s);
	assert_int_equal(s.asked, 0);
	assert_int_equal(atomic_load(&s.told->running), 2);
	assert_int_equal(atomic_load(&s.told->stopping), 0);
}

/* S7: dequeued in the callback of another wsi */
static void
a_dequeue_elsewhere_waits(void **state)
{
	struct rig *rig = *state;
	struct scene s;

	scene_begin(&s, rig, rig_pool(rig, 1, 10), CONN_RAW, way_dequeue_task);
	s.of = conn_open(rig, CONN_WS);
	s.of->manual = true;
	scene_play(&s);
	assert_int_equal(s.asked, 1);
}

static void
way_dequeue_and_adopt(struct scene *s)
{
	s->asked = lws_threadpool_dequeue_task(s->told->task);
	assert_non_null(job_enqueue(s->tp, job_new(s->rig), s->next->priv));
}

/* S7: the first task of another wsi makes lws broadcast within this callback:
 * what the library hears then is not between two */
static void
a_broadcast_in_a_callback_is_not_its_end(void **state)
{
	struct rig *rig = *state;
	struct scene s;

	scene_begin(&s, rig, rig_pool(rig, 1, 10), CONN_RAW,
		    way_dequeue_and_adopt);
	s.next = job_new(rig);
	s.next->priv = conn_open(rig, CONN_RAW)->wsi;
	scene_play(&s);
	assert_int_equal(s.asked, 1);
	rig_until_cleaned(rig);
}

static void
way_complete(struct scene *s)
{
	uint8_t buf[LWS_PRE + 512], *start = &buf[LWS_PRE], *p = start,
				    *end = &buf[sizeof(buf) - 1];
	struct lws *wsi = s->c->wsi;

	assert_int_equal(lws_add_http_common_headers(wsi, HTTP_STATUS_OK,
						     "text/plain", 0, &p, end),
			 0);
	assert_int_equal(lws_finalize_write_http_header(wsi, start, &p, end),
			 0);
	s->ret = lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* S7: lws calls HTTP_DROP_PROTOCOL inside lws_http_transaction_completed(), and
 * the application dequeues there, as the built-in threadpool needs it */
static void
a_dequeue_in_a_nested_callback_waits(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct scene s;

	for (int n = 0; n < 20; n++) {
		scene_begin(&s, rig, tp, CONN_HTTP, way_complete);
		s.completes = true;
		scene_play(&s);
		assert_int_equal(s.nested, 1);
		assert_int_equal(s.asked, 1);
	}
}

/* ---- a close ---- */

static void
way_close(struct scene *s)
{
	lws_set_timeout(s->of->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

static void
a_close_waits(bool opt_in, bool outlives)
{
	struct rig_opts opts = { .opt_in = opt_in };
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct scene s;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		scene_begin(&s, rig, tp, CONN_RAW, way_close);
		s.of = conn_open(rig, (enum conn_kind)kind);
		s.of->manual = true;
		s.told->async_task = outlives;
		s.answers = outlives;
		scene_play(&s);
		conn_until_closed(s.of);
		assert_null(s.told->cleanup_wsi);
		assert_int_equal(atomic_load(&s.told->running), 1 + outlives);
		assert_int_equal(atomic_load(&s.told->stopping), !outlives);
	}
	assert_int_equal(rig_destroy(rig), 0);
}

/* S7, W1: the wsi of the data is closed inside another one's callback, of every
 * kind, seen by a watch and by the opt-in */
static void
a_nested_close_waits(void **state)
{
	(void)state;
	a_close_waits(false, false);
	a_close_waits(true, false);
}

/* S7, T5: the same of a task that outlives it */
static void
a_nested_close_waits_that_is_outlived(void **state)
{
	(void)state;
	a_close_waits(false, true);
	a_close_waits(true, true);
}

/* ---- the callback says that it is done with it ---- */

static void
way_stop(struct scene *s)
{
	atomic_store(&held, NULL);
	lws_threadpool_task_sync(s->told->task, 1);
	wait_int(&s->told->stopping, 1);
}

/* S4, S7: task_sync(, 1) hands the data back at once */
static void
a_stop_by_its_owner_does_not_wait(void **state)
{
	struct rig *rig = *state;
	struct scene s;

	scene_begin(&s, rig, rig_pool(rig, 1, 10), CONN_RAW, way_stop);
	scene_play(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_sync_timeout_waits),
		RIG_TEST(a_sync_timeout_before_the_answer),
		RIG_TEST(finish_waits),
		RIG_TEST(finish_between_callbacks),
		RIG_TEST(a_dequeue_waits),
		RIG_TEST(a_dequeue_that_detaches_waits),
		RIG_TEST(a_dequeue_elsewhere_waits),
		RIG_TEST(a_broadcast_in_a_callback_is_not_its_end),
		RIG_TEST(a_dequeue_in_a_nested_callback_waits),
		cmocka_unit_test(a_nested_close_waits),
		cmocka_unit_test(a_nested_close_waits_that_is_outlived),
		RIG_TEST(a_stop_by_its_owner_does_not_wait),
	};

	return cmocka_run_group_tests_name("S7", tests, NULL, NULL);
}
