/*
 * lws-threadpool unit tests - S3, no wake-up is lost, and none waits for a
 * timeout
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: lws_sul_schedule
 */

#include "no-rering.h"

#define LONG_STREAM 50000

/* S3: one stream of 50,000, and each SYNC has its own WRITEABLE, one that says
 * SYNCING: no more and no less */
static void
one_long_stream(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, LONG_STREAM, LWS_TP_RETURN_SYNC);

	job_enqueue(tp, j, c->wsi);
	rig_until_cleaned(rig);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], LONG_STREAM);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_true(c->writeables > LONG_STREAM);
}

/* S3, W3: the WRITEABLE that the role has, of every kind of wsi */
static void
a_stream_on_every_kind_of_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);
		struct job *j = job_script(rig, 3000, LWS_TP_RETURN_SYNC);

		job_enqueue(tp, j, c->wsi);
		rig_until_cleaned(rig);
		assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3000);
	}
}

/* S3: client wsi too */
static void
a_stream_on_a_client_wsi(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_WS_CLIENT);
	struct job *j = job_script(rig, 3000, LWS_TP_RETURN_SYNC);

	job_enqueue(tp, j, c->client);
	rig_until_cleaned(rig);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3000);
	assert_int_equal(c->writeables, 0);
}

/* S3: many at once, on fewer threads, on wsi of all kinds */
static void
many_streams(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 100);
	struct job *j[70];

	for (int n = 0; n < 70; n++) {
		struct conn *c = conn_open(rig,
					   (enum conn_kind)(n % CONN_KINDS));

		j[n] = job_script(rig, 300, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
	}
	rig_until_cleaned(rig);
	for (int n = 0; n < 70; n++)
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 300);
}

/* S3: an idle service thread is woken by an end as well */
static void
ends_wake_too(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_FILE);

	for (int n = 0; n < 500; n++) {
		struct job *j = job_new(rig);

		job_enqueue(tp, j, c->wsi);
		rig_until_cleaned(rig);
		assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	}
}

/* S3: a thread goes on with another task at once, and that takes long: the wsi
 * of the one before is told of its end all the same */
static void
an_end_before_a_long_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *ends, *takes_long;
	struct job *j = job_new(rig), *other;

	/* the first task of a wsi asks for one WRITEABLE by itself */
	job_enqueue(tp, j, c->wsi);
	rig_until_cleaned(rig);
	for (int n = 0; n < 20; n++) {
		ends = gate_new(rig);
		takes_long = gate_new(rig);
		j = job_gated(rig, ends);
		other = job_gated(rig, takes_long);
		job_enqueue(tp, j, c->wsi);
		job_enqueue(tp, other, NULL);
		wait_int(&j->calls, 1);
		rig_drain(rig);
		gate_open(ends);
		wait_int(&other->calls, 1);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(atomic_load(&other->returns), 0);
		gate_open(takes_long);
		wait_int(&other->cleanups, 1);
	}
}

static struct job *late_job;
static struct lws_threadpool *late_tp;
static struct conn *late_other;
static int late_step;

/* WRITEABLE of late_job's wsi: not looked at while its task comes to SYNC, and
 * then the first task of another wsi is enqueued, which adopts a watch, and
 * adoption makes lws broadcast */
static int
enqueue_elsewhere_in_writeable(struct rig *rig, struct lws *wsi,
			       enum lws_callback_reasons reason, void *user,
			       void *in, size_t len)
{
	struct conn *c = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if ((reason != LWS_CALLBACK_RAW_WRITEABLE_FILE &&
	     reason != LWS_CALLBACK_RAW_WRITEABLE) ||
	    wsi != c->wsi || late_step)
		return RIG_DEFAULT;
	late_step = 1;
	gate_open(late_job->gate);
	/* it is on the syncing list when it is SYNCING, and by then the wsi
	 * has been rung for */
	wait_status(late_job, LWS_TP_STATUS_SYNCING);
	job_enqueue(late_tp, job_new(rig), late_other->wsi);

	return 0;
}

/* S3: a ring that arrives inside the wsi's own WRITEABLE, which on a raw file
 * lws forgets */
static void
rung_inside_its_own_writeable(void **state)
{
	struct rig *rig = *state;

	late_tp = rig_pool(rig, 2, 10);
	for (int kind = CONN_RAW; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		late_other = conn_open(rig, CONN_RAW);
		late_job = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		late_job->gate = gate_new(rig);
		late_step = 0;
		rig->priv = c;
		rig->on_event = enqueue_elsewhere_in_writeable;
		job_enqueue(late_tp, late_job, c->wsi);
		lws_callback_on_writable(c->wsi);
		rig_until_cleaned(rig);
		assert_int_equal(late_step, 1);
		rig->on_event = NULL;
	}
}

static int
sync_outside_writeable(struct rig *rig, struct lws *wsi,
		       enum lws_callback_reasons reason, void *user, void *in,
		       size_t len)
{
	(void)rig;
	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_RX || !conn_of(wsi))
		return RIG_DEFAULT;
	job_serve_one(wsi);

	return 0;
}

static bool
serve_from_rx(void *arg)
{
	struct conn *c = arg;

	conn_send(c, "x", 1);

	return rig_is_cleaned(c->rig);
}

/* S3: task_sync() from another callback than WRITEABLE: the next SYNC still
 * gets its own.  The peer's bytes come at any moment of the task's. */
static void
synced_from_other_callbacks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 3000, LWS_TP_RETURN_SYNC);

	rig->on_event = sync_outside_writeable;
	job_enqueue(tp, j, c->wsi);
	rig_until(rig, serve_from_rx, c);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 3000);
}

#define ANSWERS 32

static atomic_int served_by_b, b_may_end;

static int
count_writeables(struct rig *rig, struct lws *wsi,
		 enum lws_callback_reasons reason, void *user, void *in,
		 size_t len)
{
	(void)rig;
	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_RAW_WRITEABLE)
		atomic_fetch_add(&served_by_b, 1);

	return RIG_DEFAULT;
}

static void *
service_for_a_while(void *arg)
{
	struct rig *rig = arg;

	rig->thread = pthread_self();
	while (!atomic_load(&b_may_end))
		lws_service(rig->context, 0);

	return NULL;
}

/* S3, S4: who answers SYNCs but does not serve the wsi, any more, arms no timer
 * of lws's, which belong to its service thread; and the answers are heard */
static void
answers_by_a_thread_that_served(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, ANSWERS);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j[ANSWERS], *first = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	pthread_t b;
	int armed;

	if (rig->evloop)
		skip(); /* its loop stays on one thread */
	job_enqueue(tp, first, c->wsi);
	rig_until_cleaned(rig); /* this thread serves the bell */
	c->manual = true;
	for (int n = 0; n < ANSWERS; n++) {
		j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		j[n]->gate = gate;
		job_enqueue(tp, j[n], c->wsi);
	}

	rig->on_event = count_writeables;
	atomic_store(&served_by_b, 0);
	atomic_store(&b_may_end, 0);
	assert_int_equal(pthread_create(&b, NULL, service_for_a_while, rig), 0);
	gate_open(gate);
	for (int n = 0; n < ANSWERS; n++)
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	wait_int(&served_by_b, 1);

	armed = no_rering_armed;
	for (int n = 0; n < ANSWERS; n++)
		lws_threadpool_task_sync(j[n]->task, 0);
	for (int n = 0; n < ANSWERS; n++)
		wait_int(&j[n]->returns, 2);
	assert_int_equal(no_rering_armed, armed);

	atomic_store(&b_may_end, 1);
	lws_cancel_service(rig->context);
	pthread_join(b, NULL);
	rig->thread = pthread_self();
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		NO_RERING_TEST(one_long_stream),
		NO_RERING_TEST(a_stream_on_every_kind_of_wsi),
		NO_RERING_TEST(a_stream_on_a_client_wsi),
		NO_RERING_TEST(many_streams),
		NO_RERING_TEST(ends_wake_too),
		NO_RERING_TEST(an_end_before_a_long_task),
		NO_RERING_TEST(rung_inside_its_own_writeable),
		NO_RERING_TEST(synced_from_other_callbacks),
		NO_RERING_TEST(answers_by_a_thread_that_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
