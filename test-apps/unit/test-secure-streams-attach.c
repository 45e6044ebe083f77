/*
 * lws-threadpool unit tests - K3, K4, a task that was enqueued with a secure
 * stream gets a wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "streams.h"
#include "tokens.h"

/* A stream whose tx answers nothing, and a wsi whose WRITEABLE does */
struct pair {
	struct streams *s;
	struct stream *st;
	struct conn *c;
	struct lws *wsi;
};

static struct pair
begin(void **state, bool connected)
{
	struct pair p = { .s = *state };

	p.s->rig->vhost = p.s->vhost;
	p.s->rig->port = p.s->port;
	p.st = stream_create(p.s, "client");
	p.st->manual = true;
	if (connected)
		stream_connect(p.s, p.st);
	p.c = conn_open(p.s->rig, CONN_RAW);
	p.wsi = p.c->wsi;

	return p;
}

/* Of a job that is the stream's */
static void
attach(struct pair *p, struct job *j)
{
	assert_ptr_equal(tokens_info(j).task, j->task);
	assert_int_equal(tokens_info(j).attached, 1);
	assert_int_equal(lws_threadpool_task_attach(j->task, p->wsi), 0);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	assert_int_equal(tokens_info(j).attached, 1);
	assert_int_equal(tokens_info(j).kept, 0);
	assert_int_equal(tokens_of(p->wsi).count, 1);
	if (p->st->ss)
		assert_null(lws_threadpool_get_task_ss(p->st->ss));
}

/* The wsi has served it to its end: so many SYNCs, there and not by tx. */
static void
is_served(struct pair *p, struct job *j, int syncs)
{
	rig_until_int(p->s->rig, &j->cleanups, 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], syncs);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(j->cleanup_wsi, p->wsi);
	assert_int_equal(atomic_load(&j->stopping), 0);
	assert_int_equal(tokens_of(p->wsi).count, 0);
}

/* RUNNING, as the stream is not connected, is, or is destroyed after that */
static void
while_it_runs(void **state)
{
	for (int n = 0; n < 3; n++) {
		struct pair p = begin(state, n);
		struct job *j = job_script(p.s->rig, 3, LWS_TP_RETURN_SYNC);

		j->gate = gate_new(p.s->rig);
		assert_non_null(stream_enqueue(p.s, j, p.st->ss));
		wait_int(&j->calls, 1);
		attach(&p, j);
		if (n == 2)
			stream_destroy(p.st);
		gate_open(j->gate);
		is_served(&p, j, 3);
		assert_int_equal(p.st->txs, 0);
	}
}

/* SYNCING, when its tx was called and has not answered; and the next SYNCs are
 * the wsi's alone */
static void
while_it_is_syncing(void **state)
{
	struct pair p = begin(state, true);
	struct job *j = job_script(p.s->rig, 3, LWS_TP_RETURN_SYNC);
	int txs;

	assert_non_null(stream_enqueue(p.s, j, p.st->ss));
	wait_status(j, LWS_TP_STATUS_SYNCING);
	rig_drain(p.s->rig);
	txs = p.st->txs;
	assert_true(txs >= 1);
	assert_ptr_equal(lws_threadpool_get_task_ss(p.st->ss), j->task);
	attach(&p, j);
	is_served(&p, j, 3);
	/* one that was on its way may come */
	assert_true(p.st->txs <= txs + 1);
}

/* It has ended, and was not reaped. */
static void
when_it_has_ended(void **state)
{
	struct pair p = begin(state, true);
	struct job *j = job_new(p.s->rig);

	assert_non_null(stream_enqueue(p.s, j, p.st->ss));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	attach(&p, j);
	is_served(&p, j, 0);
}

/* K4: it has lost its stream: a SYNC that waits, and one that is kept */
static void
after_its_stream_is_gone(void **state)
{
	for (int syncs = 0; syncs < 2; syncs++) {
		struct pair p = begin(state, true);
		struct job *j = job_script(p.s->rig, 2 * syncs,
					   LWS_TP_RETURN_SYNC);

		j->gate = gate_new(p.s->rig);
		assert_non_null(stream_enqueue(p.s, j, p.st->ss));
		tokens_give(j, LWS_TP_TOKEN_WAIT);
		gate_open(j->gate);
		wait_status(j, syncs ? LWS_TP_STATUS_SYNCING :
				       LWS_TP_STATUS_FINISHED);
		rig_drain(p.s->rig);
		stream_destroy(p.st);
		rig_drain(p.s->rig);
		assert_int_equal(tokens_info(j).attached, 0);
		assert_int_equal(tokens_info(j).kept, !syncs);
		assert_int_equal(lws_threadpool_task_attach(j->task, p.wsi), 0);
		is_served(&p, j, 2 * syncs);
	}
}

static bool
is_answered(void *arg)
{
	struct job *j = arg;

	return j->seen[LWS_TP_STATUS_SYNCING] == 3;
}

/* K3: refused, it stays the stream's, whose tx answers it */
static void
refused_it_stays_with_its_stream(void **state)
{
	struct pair p = begin(state, true);
	struct job *j = job_script(p.s->rig, 3, LWS_TP_RETURN_SYNC);

	assert_non_null(stream_enqueue(p.s, j, p.st->ss));
	wait_status(j, LWS_TP_STATUS_SYNCING);
	assert_int_equal(lws_threadpool_task_attach(j->task, NULL), -1);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_task_attach"), 1);
	assert_int_equal(tokens_info(j).attached, 1);
	assert_int_equal(tokens_of(p.wsi).count, 0);
	p.st->manual = false;
	rig_until(p.s->rig, is_answered, j);
	rig_until_int(p.s->rig, &j->cleanups, 1);
	assert_null(j->cleanup_wsi);
	assert_true(p.st->txs >= 3);
}

#define STREAM_TEST(f) \
	cmocka_unit_test_setup_teardown(f, streams_setup, streams_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(while_it_runs),
		STREAM_TEST(while_it_is_syncing),
		STREAM_TEST(when_it_has_ended),
		STREAM_TEST(after_its_stream_is_gone),
		STREAM_TEST(refused_it_stays_with_its_stream),
	};

	return cmocka_run_group_tests_name("K3 secure streams", tests, NULL,
					   NULL);
}
