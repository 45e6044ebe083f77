/*
 * lws-threadpool unit tests - S7, P4, a pool or a context ends while its
 * service thread has the data of tasks
 *
 * SPDX-License-Identifier: MIT
 *
 * lws_threadpool_destroy() and the end of a context come on the service thread,
 * or when there is none: they cannot wait for a turn of the loop, which would
 * not come.
 */

#include "closings.h"

enum before {
	BEFORE_NOTHING, /* nobody has seen that it is SYNCING */
	BEFORE_TOLD,	/* a callback was told */
	BEFORE_DEQUEUE, /* ... and dequeued it: its stop is held back */
	BEFORE_FINISH,	/* ... another thread finished the pool */
	BEFORE_CLOSE,	/* ... its wsi was closed */
	BEFORES
};

enum end {
	END_POOL,
	END_POOL_FIRST,	   /* the context after it */
	END_CONTEXT_FIRST, /* the pool after it */
	ENDS
};

struct scene {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;	  /* whose callback it is */
	struct conn *of;  /* whose tasks those are */
	struct job *j[4]; /* the last one outlives */
	enum before before;
	bool inside;   /* destroys it in the callback */
	bool destroys; /* ... the context */
	int ran;
};

static _Atomic(struct scene *) using;

static int
owned_step(struct job *j, enum lws_threadpool_task_status status)
{
	if (atomic_load(&using) == j->priv)
		job_fault(j, "called while a callback has its data (S7)");
	j->data++;
	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	/* the second one is where it outlived its wsi */
	return atomic_load(&j->running) == 1 ? LWS_TP_RETURN_SYNC :
					       LWS_TP_RETURN_FINISHED;
}

static void *
finish_thread(void *arg)
{
	lws_threadpool_finish(arg);

	return NULL;
}

static void
do_before(struct scene *s)
{
	pthread_t t;

	switch (s->before) {
	case BEFORE_DEQUEUE:
		for (int n = 0; n < 4; n++)
			lws_threadpool_dequeue_task(s->j[n]->task);
		break;
	case BEFORE_FINISH:
		assert_int_equal(pthread_create(&t, NULL, finish_thread, s->tp),
				 0);
		pthread_join(t, NULL);
		break;
	case BEFORE_CLOSE:
		lws_set_timeout(s->of->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_SYNC);
		break;
	default:
		break;
	}
}

/* WRITEABLE of one wsi, that is told of the tasks of another */
static int
scene_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct scene *s = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (s->ran || !s->c || wsi != s->c->wsi || !reason_writeable(reason))
		return RIG_DEFAULT;
	s->ran++;
	for (int n = 0; n < 4; n++)
		assert_int_equal(lws_threadpool_task_status(s->j[n]->task,
							    NULL),
				 LWS_TP_STATUS_SYNCING);
	atomic_store(&using, s);
	do_before(s);
	if (s->destroys) /* lws puts it off until later */
		lws_context_destroy(rig->context);
	for (int n = 0; n < 4; n++)
		s->j[n]->data++;
	atomic_store(&using, NULL);
	if (s->inside)
		rig_pool_destroy(rig, s->tp);

	return 0;
}

static bool
has_run(void *arg)
{
	struct scene *s = arg;

	return s->ran;
}

/* to where the tasks are SYNCING, and the callback has returned */
/* lws tells when the context is really gone */
static void
scene_info(struct rig *rig, struct lws_context_creation_info *info)
{
	info->pcontext = &rig->context;
}

static void
scene_begin(struct scene *s, bool opt_in)
{
	struct rig_opts opts = { .info = scene_info,
				 .opt_in = opt_in,
				 .on_event = scene_event,
				 .priv = s };

	s->rig = rig_create(&opts);
	s->tp = rig_pool(s->rig, 1, 10);
	s->c = conn_open(s->rig, CONN_RAW);
	s->of = conn_open(s->rig, CONN_WS);
	s->c->manual = s->of->manual = true;
	for (int n = 0; n < 4; n++) {
		s->j[n] = job_new(s->rig);
		s->j[n]->fn = owned_step;
		s->j[n]->priv = s;
		s->j[n]->async_task = n == 3;
		assert_non_null(job_enqueue(s->tp, s->j[n], s->of->wsi));
		wait_status(s->j[n], LWS_TP_STATUS_SYNCING);
	}
}

static void
scene_call(struct scene *s)
{
	lws_callback_on_writable(s->c->wsi);
	if (!s->destroys)
		rig_until(s->rig, has_run, s);
	while (!s->ran)
		rig_turn(s->rig, true);
}

/* each is gone, the ones that do not outlive were told to stop, and all that
 * without another turn of the loop */
static void
all_have_ended(struct scene *s)
{
	for (int n = 0; n < 4; n++) {
		wait_int(&s->j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&s->j[n]->calls), 2);
		if (n < 3)
			assert_int_equal(atomic_load(&s->j[n]->stopping), 1);
	}
}

static void
scene_end(struct scene *s, enum end end)
{
	if (end == END_CONTEXT_FIRST)
		rig_context_destroy(s->rig);
	if (!s->inside)
		rig_pool_destroy(s->rig, s->tp);
	all_have_ended(s);
	assert_int_equal(rig_destroy(s->rig), 0);
}

/* S7, P4: between two turns, with the stops that callbacks left behind */
static void
between_two_turns(void **state)
{
	(void)state;
	for (int before = 0; before < BEFORES; before++)
		for (int end = 0; end < ENDS; end++)
			for (int opt_in = 0; opt_in < 2; opt_in++) {
				struct scene s = {
					.before = (enum before)before
				};

				scene_begin(&s, opt_in);
				if (before != BEFORE_NOTHING)
					scene_call(&s);
				scene_end(&s, (enum end)end);
			}
}

/* S7, P4: the pool is destroyed inside the callback that was told */
static void
a_pool_in_a_callback(void **state)
{
	(void)state;
	for (int before = BEFORE_TOLD; before < BEFORES; before++)
		for (int opt_in = 0; opt_in < 2; opt_in++) {
			struct scene s = { .before = (enum before)before,
					   .inside = true };

			scene_begin(&s, opt_in);
			scene_call(&s);
			scene_end(&s, END_POOL);
		}
}

/* S7, P4: the context is destroyed inside that callback, which goes on to use
 * the data.  See W1_context_destroyed_in_a_callback of test-close-moments.c. */
static void
a_context_in_a_callback(void **state)
{
	(void)state;
	if (evloop_is("glib") && LWS_LIBRARY_VERSION_NUMBER < 4003000)
		skip();
	for (int before = BEFORE_TOLD; before < BEFORES; before++)
		for (int opt_in = 0; opt_in < 2; opt_in++) {
			struct scene s = { .before = (enum before)before,
					   .destroys = true };

			scene_begin(&s, opt_in);
			scene_call(&s);
			if (evloop_is("uv"))
				rig_turns(s.rig, 50);
			rig_context_destroy(s.rig);
			all_have_ended(&s);
			log_claim(LLL_ERR, "lws_service_fd_tsi returned -1");
			scene_end(&s, END_CONTEXT_FIRST);
		}
}

static void *
service_and_end(void *arg)
{
	struct scene *s = arg;

	s->rig->thread = pthread_self();
	scene_call(s);

	return NULL;
}

/* P4: the thread that serviced has ended, and left the stops behind.  Whoever
 * destroys the pool then is not the service thread, and nothing of the loop
 * will answer him. */
static void
after_the_service_thread(void **state)
{
	pthread_t t;

	(void)state;
	for (int before = 0; before < BEFORES; before++)
		for (int end = 0; end < ENDS; end++) {
			struct scene s = { .before = (enum before)before };

			scene_begin(&s, false);
			if (s.rig->evloop) {
				rig_destroy(s.rig);
				skip(); /* its loop stays on one thread */
			}
			assert_int_equal(pthread_create(&t, NULL,
							service_and_end, &s),
					 0);
			pthread_join(t, NULL);
			s.rig->thread = pthread_self();
			scene_end(&s, (enum end)end);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(between_two_turns),
		cmocka_unit_test(a_pool_in_a_callback),
		cmocka_unit_test(a_context_in_a_callback),
		cmocka_unit_test(after_the_service_thread),
	};

	return cmocka_run_group_tests_name("S7 at the end", tests, NULL, NULL);
}
