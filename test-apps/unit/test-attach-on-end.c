/*
 * lws-threadpool unit tests - H1, K3, an on_end that gives its own task to
 * another wsi
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"
#include "tokens.h"

/* A task that has ended, and where its on_end sends it, by its token */
static struct sent {
	struct lws_threadpool *tp;
	struct conn *to;    /* the first time, and no more */
	int ret;	    /* ... what it returns then */
	struct lws *wsi[3]; /* of each call */
	int calls;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
} sent;

static int
send_to_another(struct lws *wsi, void *user,
		enum lws_threadpool_task_status how)
{
	struct job *j = user;

	if (how != LWS_TP_STATUS_FINISHED || atomic_load(&j->cleanups))
		job_fault(j, "on_end told something else, or after cleanup");
	assert_true(sent.calls < 3);
	sent.wsi[sent.calls++] = wsi;
	if (sent.calls > 1)
		return 0;
	assert_ptr_equal(lws_threadpool_task_by_token(sent.tp, sent.token),
			 j->task);
	assert_int_equal(lws_threadpool_task_attach(j->task, sent.to->wsi), 0);
	assert_int_equal(atomic_load(&j->cleanups), 0);

	return sent.ret;
}

static int
serve(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
      void *user, void *in, size_t len)
{
	if (reason_writeable(reason) && conn_of(wsi))
		return lws_threadpool_serve(wsi);

	return closing_event(rig, wsi, reason, user, in, len);
}

static struct job *
send_begin(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	static const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_end = send_to_another,
	};
	struct job *j = job_gated(rig, gate_new(rig));

	memset(&sent, 0, sizeof(sent));
	sent.tp = tp;
	sent.to = conn_open(rig, CONN_WS);
	tokens_enqueue(tp, j, wsi, &options);
	assert_int_equal(lws_threadpool_task_token(j->task, 0, sent.token), 0);

	return j;
}

/* on_end is called again there, and the cleanup follows that; what it returned
 * closes what it was called for */
static void
it_is_called_again_there(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);

	rig->on_event = serve;
	for (int closes = 0; closes < 2; closes++) {
		struct conn *c = conn_open(rig, CONN_RAW);
		struct job *j = send_begin(rig, tp, c->wsi);
		struct lws *from = c->wsi, *to = sent.to->wsi;

		sent.ret = -closes;
		gate_open(j->gate);
		rig_until_int(rig, &j->cleanups, 1);
		rig_drain(rig);
		assert_int_equal(sent.calls, 2);
		assert_ptr_equal(sent.wsi[0], from);
		assert_ptr_equal(sent.wsi[1], to);
		assert_ptr_equal(j->cleanup_wsi, to);
		assert_int_equal(c->closed, closes);
		assert_false(sent.to->closed);
		assert_int_equal(tokens_of(to).count, 0);
	}
}

/* K4: if that closes before it is served it is kept, and not called again until
 * it has a third one */
static void
that_wsi_closes_first(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = send_begin(rig, tp, c->wsi);

	sent.to->manual = true;
	gate_open(j->gate);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	job_fence(rig, tp);
	assert_int_equal(lws_threadpool_serve(c->wsi), 0);
	assert_int_equal(sent.calls, 1);
	closing_do(sent.to, CLOSING_FIN);
	rig_drain(rig);
	assert_int_equal(sent.calls, 1);
	assert_int_equal(tokens_info(j).kept, 1);
	assert_int_equal(atomic_load(&j->cleanups), 0);
	rig->on_event = serve;
	assert_int_equal(lws_threadpool_task_attach(j->task, c->wsi), 0);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(sent.calls, 2);
	assert_ptr_equal(sent.wsi[1], c->wsi);
}

/* It never had a wsi, and gets one in its on_end, which is called there, too */
static int
find_one(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct job *j = user;

	(void)how;
	assert_true(sent.calls < 3);
	sent.wsi[sent.calls++] = wsi;
	if (!wsi)
		assert_int_equal(
			lws_threadpool_task_attach(j->task, sent.to->wsi), 0);

	return 0;
}

static void
one_without_a_wsi_gets_one(void **state)
{
	static const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_end = find_one,
	};
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);
	struct lws *to;

	memset(&sent, 0, sizeof(sent));
	sent.to = conn_open(rig, CONN_RAW);
	to = sent.to->wsi;
	rig->on_event = serve;
	tokens_enqueue(tp, j, NULL, &options);
	rig_until_int(rig, &j->cleanups, 1);
	rig_drain(rig);
	assert_int_equal(sent.calls, 2);
	assert_null(sent.wsi[0]);
	assert_ptr_equal(sent.wsi[1], to);
	assert_ptr_equal(j->cleanup_wsi, to);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(it_is_called_again_there),
		RIG_TEST(that_wsi_closes_first),
		RIG_TEST(one_without_a_wsi_gets_one),
	};

	return cmocka_run_group_tests_name("H1 K3 on_end attaches", tests, NULL,
					   NULL);
}
