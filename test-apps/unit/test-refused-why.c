/*
 * lws-threadpool unit tests - lws_threadpool_refused(): why this thread's
 * latest create, enqueue or lws_threadpool_wsi_handle() failed; NONE if it
 * succeeded
 *
 * SPDX-License-Identifier: MIT
 *
 * MEMORY and FDS are in test-refused-memory.c.
 */

#include <limits.h>
#include <sys/socket.h>

#include "task-options.h"

#define refused_as(why) \
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_##why)

/* The lines are other tests' */
static void
claim_refusals(void)
{
	assert_true(log_claim(LLL_ERR, "lws_threadpool_") +
			    log_claim(LLL_WARN, "lws_threadpool_") >=
		    1);
	assert_int_equal(log_unclaimed(), 0);
	log_forget();
}

/* and one that succeeds says NONE */
static void
then_NONE(struct rig *rig)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	enum lws_threadpool_refused was = lws_threadpool_refused();
	struct job *j = job_new(rig);

	assert_int_equal(was, LWS_TP_REFUSED_NONE);
	assert_null(job_enqueue(NULL, job_new(rig), NULL));
	refused_as(ARGS);
	assert_non_null(job_enqueue(tp, j, NULL));
	refused_as(NONE);
	wait_int(&j->cleanups, 1);
	rig_pool_destroy(rig, tp);
	claim_refusals();
}

static void *
look_there(void *arg)
{
	struct lws_threadpool *tp = arg;
	uintptr_t first = (uintptr_t)lws_threadpool_refused();

	lws_threadpool_enqueue(tp, NULL, "none");

	return (void *)(first * 16 + (uintptr_t)lws_threadpool_refused());
}

/* of this thread: another one knows nothing of it, and changes nothing */
static void
each_thread_has_its_own(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	pthread_t thread;
	void *seen;

	refused_as(NONE);
	lws_threadpool_finish(tp);
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	refused_as(FINISHING);
	for (int n = 0; n < 3; n++) {
		assert_int_equal(pthread_create(&thread, NULL, look_there, tp),
				 0);
		pthread_join(thread, &seen);
		assert_int_equal((uintptr_t)seen, LWS_TP_REFUSED_NONE * 16 +
							  LWS_TP_REFUSED_ARGS);
		refused_as(FINISHING);
	}
	claim_refusals();
	then_NONE(rig);
}

/* a library on top refuses something itself; the next call is our own again */
static void
a_library_on_top_sets_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	pthread_t thread;
	void *seen;

	lws_threadpool_refuse(LWS_TP_REFUSED_AWAY);
	refused_as(AWAY);
	assert_int_equal(pthread_create(&thread, NULL, look_there, tp), 0);
	pthread_join(thread, &seen);
	assert_int_equal((uintptr_t)seen,
			 LWS_TP_REFUSED_NONE * 16 + LWS_TP_REFUSED_ARGS);
	refused_as(AWAY);
	assert_null(lws_threadpool_enqueue(tp, NULL, "none"));
	refused_as(ARGS);
	claim_refusals();
	then_NONE(rig);
}

/* what is no create, enqueue, wsi_handle() or attach leaves it */
static void
other_calls_leave_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = park_one(rig, tp, c->wsi, 1);

	assert_null(lws_threadpool_enqueue(tp, NULL, "none"));
	claim_refusals();
	lws_threadpool_task_status(j->task, NULL);
	lws_threadpool_task_status(NULL, NULL);
	lws_threadpool_task_sync(j->task, 0);
	lws_threadpool_task_wake(j->task);
	lws_threadpool_task_attached(j->task);
	lws_threadpool_get_task_wsi(c->wsi);
	lws_threadpool_dump(tp);
	lws_threadpool_park(0);
	claim_refusals();
	rig_until_int(rig, &j->cleanups, 1);
	lws_threadpool_finish(tp);
	rig_pool_destroy(rig, tp);
	refused_as(ARGS);
}

static void
QUEUE_FULL(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 2);
	struct conn *c = conn_open(rig, CONN_RAW);

	job_block(rig, tp, gate_new(rig));
	for (int n = 0; n < 2; n++) {
		assert_non_null(job_enqueue(tp, job_new(rig), NULL));
		refused_as(NONE);
	}
	/* each time, though a line comes once a second */
	for (int n = 0; n < 6; n++) {
		assert_null(job_enqueue(tp, job_new(rig),
					n & 1 ? c->wsi : NULL));
		refused_as(QUEUE_FULL);
	}
	claim_refusals();
	then_NONE(rig);
}

static void
FINISHING_and_DRAINING(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);

	for (int drain = 0; drain < 2; drain++) {
		struct lws_threadpool *tp = rig_pool(rig, 1, 2);

		if (drain) {
			lws_threadpool_drain(tp);
			for (int n = 0; n < 2; n++) {
				assert_null(job_enqueue(tp, job_new(rig),
							n ? c->wsi : NULL));
				refused_as(DRAINING);
			}
		}
		lws_threadpool_finish(tp);
		for (int n = 0; n < 2; n++) {
			assert_null(job_enqueue(tp, job_new(rig),
						n ? c->wsi : NULL));
			refused_as(FINISHING);
		}
		claim_refusals();
	}
	then_NONE(rig);
}

static void
ARGS_of_create(void **state)
{
	static const int bad[][2] = { { 0, 1 },	      { -1, 1 }, { 1025, 1 },
				      { INT_MAX, 1 }, { 1, 0 },	 { 1, -1 },
				      { 1, INT_MIN } };
	struct rig *rig = *state;
	struct lws_threadpool_create_args args = { 1, 1 };
	struct lws_threadpool_options o = { .size = 1 };

	assert_null(lws_threadpool_create(NULL, &args, "no context"));
	refused_as(ARGS);
	assert_null(lws_threadpool_create(rig->context, NULL, "no args"));
	refused_as(ARGS);
	assert_null(lws_threadpool_create_ext(rig->context, &args, &o, "o"));
	refused_as(ARGS);
	o.size = 4097;
	assert_null(lws_threadpool_create_ext(rig->context, &args, &o, "o"));
	refused_as(ARGS);
	o.size = sizeof(o);
	o.reserved = 1;
	assert_null(lws_threadpool_create_ext(rig->context, &args, &o, "o"));
	refused_as(ARGS);
	claim_refusals();
	for (size_t n = 0; n < LWS_ARRAY_SIZE(bad); n++) {
		then_NONE(rig);
		args.threads = bad[n][0];
		args.max_queue_depth = bad[n][1];
		assert_null(lws_threadpool_create(rig->context, &args, "bad"));
		refused_as(ARGS);
		claim_refusals();
	}
	then_NONE(rig);
}

static void
ARGS_of_enqueue(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *gone = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *stale[] = { NULL, gone, (void *)UINTPTR_MAX,
					   (void *)c };
	const struct lws_threadpool_task_options o = { .size = 1 };
	struct lws_threadpool_task_args args;

	rig_pool_destroy(rig, gone);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(stale); n++) {
		assert_null(job_enqueue(stale[n], job_new(rig), NULL));
		refused_as(ARGS);
		assert_null(job_enqueue(stale[n], job_new(rig), c->wsi));
		refused_as(ARGS);
		claim_refusals();
	}
	then_NONE(rig);
	assert_null(lws_threadpool_enqueue(tp, NULL, "none"));
	refused_as(ARGS);
	memset(&args, 0, sizeof(args));
	args.wsi = c->wsi;
	assert_null(lws_threadpool_enqueue(tp, &args, "no task"));
	refused_as(ARGS);
	claim_refusals();
	then_NONE(rig);
	assert_null(enqueue_with(tp, job_new(rig), c->wsi, &o));
	refused_as(ARGS);
	claim_refusals();
	then_NONE(rig);
}

struct wrong {
	struct lws_threadpool *tp;
	struct lws *wsi;
	struct job *with, *without;
	int before, failed, then;
};

static int
enqueue_from_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	struct wrong *w = j->priv;

	(void)s;
	w->before = (int)lws_threadpool_refused();
	job_enqueue(w->tp, w->with, w->wsi);
	w->failed = (int)lws_threadpool_refused();
	job_enqueue(w->tp, w->without, NULL);
	w->then = (int)lws_threadpool_refused();

	return LWS_TP_RETURN_FINISHED;
}

static void
WRONG_THREAD(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct wrong w = { rig_pool(rig, 1, 10),
			   c->wsi,
			   job_new(rig),
			   job_new(rig),
			   -1,
			   -1,
			   -1 };
	struct job *j = job_new(rig);

	j->fn = enqueue_from_a_task;
	j->priv = &w;
	job_enqueue(w.tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	rig_until_int(rig, &j->cleanups, 1);
	wait_int(&w.without->cleanups, 1);
	assert_int_equal(w.before, LWS_TP_REFUSED_NONE);
	assert_int_equal(w.failed, LWS_TP_REFUSED_WRONG_THREAD);
	assert_int_equal(w.then, LWS_TP_REFUSED_NONE);
	refused_as(NONE);
	claim_refusals();
}

static int
create_late(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct lws_threadpool_create_args args = { 1, 10 };
	int *why = rig->priv;

	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_PROTOCOL_DESTROY || !why || *why >= 0)
		return RIG_DEFAULT;
	*why = 0;
	if (!lws_threadpool_create(rig->context, &args, "late"))
		*why = (int)lws_threadpool_refused();

	return RIG_DEFAULT;
}

/* another's, and one that ends */
static void
CONTEXT(void **state)
{
	struct rig *rig = *state, *other = rig_create(NULL);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(other, CONN_RAW);
	int why = -1;

	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	refused_as(CONTEXT);
	claim_refusals();
	then_NONE(rig);
	tp = rig_pool(rig, 1, 10);
	assert_null(lws_threadpool_wsi_handle(tp, c->wsi));
	refused_as(CONTEXT);
	claim_refusals();
	/* nor when that wsi is known, or the pool's context is gone */
	assert_non_null(job_enqueue(rig_pool(other, 1, 10), job_new(other),
				    c->wsi));
	refused_as(NONE);
	tp = rig_pool(rig, 1, 10);
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	refused_as(CONTEXT);
	/* lws tells of the end only what was serviced */
	rig_drain(rig);
	rig->priv = &why;
	rig->on_event = create_late;
	rig_context_destroy(rig);
	assert_int_equal(why, LWS_TP_REFUSED_CONTEXT);
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	refused_as(CONTEXT);
	claim_refusals();
	assert_int_equal(rig_destroy(other), 0);
}

struct place {
	enum lws_callback_reasons reason;
	struct lws_threadpool *tp;
	int why;
};

static int
enqueue_in_it(struct rig *rig, struct lws *wsi,
	      enum lws_callback_reasons reason, void *user, void *in,
	      size_t len)
{
	struct place *p = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (!p || !wsi || reason != p->reason || p->why >= 0)
		return RIG_DEFAULT;
	p->why = job_enqueue(p->tp, job_new(rig), wsi) ?
			 0 :
			 (int)lws_threadpool_refused();

	return RIG_DEFAULT;
}

static bool
has_been_there(void *arg)
{
	return ((struct place *)arg)->why >= 0;
}

/* W4: in the close callback of a wsi that has had a task */
static void
CLOSING(void **state)
{
	struct rig *rig = *state;
	struct place p = { LWS_CALLBACK_RAW_CLOSE, rig_pool(rig, 1, 10), -1 };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	rig->on_event = enqueue_in_it;
	rig->priv = &p;
	job_enqueue(p.tp, j, c->wsi);
	rig_until_int(rig, &j->cleanups, 1);
	conn_fin(c);
	conn_until_closed(c);
	assert_int_equal(p.why, LWS_TP_REFUSED_CLOSING);
	rig->priv = NULL;
	claim_refusals();
	then_NONE(rig);
}

/* Q6: a wsi that is no connection */
static void
NOT_CONNECTED(void **state)
{
	static const enum lws_callback_reasons reasons[] = {
		LWS_CALLBACK_EVENT_WAIT_CANCELLED,
		LWS_CALLBACK_FILTER_NETWORK_CONNECTION,
	};
	struct rig *rig = *state;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(reasons); n++) {
		struct place p = { reasons[n], rig_pool(rig, 1, 10), -1 };

		rig->on_event = enqueue_in_it;
		rig->priv = &p;
		if (n)
			conn_open(rig, CONN_WS);
		else
			lws_cancel_service(rig->context);
		rig_until(rig, has_been_there, &p);
		assert_int_equal(p.why, LWS_TP_REFUSED_NOT_CONNECTED);
		rig->priv = NULL;
		claim_refusals();
		then_NONE(rig);
	}
}

/* W4: nor one whose connection has failed, before lws has come to close it: it
 * will give no WRITEABLE any more */
static void
NOT_CONNECTED_any_more(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	unsigned char out[LWS_PRE + 1] = { 0 };

	assert_int_equal(shutdown(lws_get_socket_fd(c->wsi), SHUT_WR), 0);
	assert_true(lws_write(c->wsi, out + LWS_PRE, 1, LWS_WRITE_RAW) < 0);
	assert_null(job_enqueue(tp, job_new(rig), c->wsi));
	refused_as(NOT_CONNECTED);
	assert_null(lws_threadpool_wsi_handle(tp, c->wsi));
	refused_as(NOT_CONNECTED);
	claim_refusals();
	then_NONE(rig);
	conn_die(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_thread_has_its_own),
		RIG_TEST(a_library_on_top_sets_it),
		RIG_TEST(other_calls_leave_it),
		RIG_TEST(QUEUE_FULL),
		RIG_TEST(FINISHING_and_DRAINING),
		RIG_TEST(ARGS_of_create),
		RIG_TEST(ARGS_of_enqueue),
		RIG_TEST(WRONG_THREAD),
		RIG_TEST(CONTEXT),
		RIG_TEST(CLOSING),
		RIG_TEST(NOT_CONNECTED),
		RIG_TEST(NOT_CONNECTED_any_more),
	};

	return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
