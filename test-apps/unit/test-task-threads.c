/*
 * lws-threadpool unit tests - T2, one thread at a time, and what one side wrote
 * the other side sees
 *
 * SPDX-License-Identifier: MIT
 *
 * job->data is a plain int that both sides write: under a thread sanitizer
 * these are tests of the memory order as well.
 */

#include "harness.h"

#define SYNCS 400

static int
count_up(struct job *j, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	/* ours is odd, the service thread made it even */
	if (j->data & 1)
		job_fault(j, "does not see the service thread's write (T2)");
	j->data++;

	return j->data < 2 * SYNCS ? LWS_TP_RETURN_SYNC :
				     LWS_TP_RETURN_FINISHED;
}

static int
count_up_writeable(struct rig *rig, struct lws *wsi,
		   enum lws_callback_reasons reason, void *user, void *in,
		   size_t len)
{
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	void *u;

	(void)rig;
	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_WRITEABLE)
		return RIG_DEFAULT;
	task = lws_threadpool_get_task_wsi(wsi);
	if (!task)
		return 0;
	s = lws_threadpool_task_status(task, &u);
	if (s == LWS_TP_STATUS_SYNCING) {
		struct job *j = u;

		j->data++;
		lws_threadpool_task_sync(task, 0);
	}

	return 0;
}

/* T2: writes cross in both directions, with threads to move to */
static void
writes_cross_at_a_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 100);
	struct job *j[8];
	struct conn *c;

	rig->on_event = count_up_writeable;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(j); n++) {
		c = conn_open(rig, CONN_RAW);
		j[n] = job_new(rig);
		j[n]->fn = count_up;
		job_enqueue(tp, j[n], c->wsi);
	}
	rig_until_cleaned(rig);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(j); n++)
		assert_true(j[n]->data >= 2 * SYNCS);
}

static int
plain_writes(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	j->data += 7;

	return j->data < 700 ? LWS_TP_RETURN_CHECKING_IN :
			       LWS_TP_RETURN_FINISHED;
}

/* T2: what was written before enqueue, and before the end */
static void
writes_cross_at_the_ends(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 1000);
	struct conn *c = conn_open(rig, CONN_RAW);
	enum lws_threadpool_task_status s;

	c->manual = true;
	for (int n = 0; n < 200; n++) {
		struct job *j = job_new(rig);

		j->fn = plain_writes;
		j->data = n;
		job_enqueue(tp, j, c->wsi);
		do
			s = lws_threadpool_task_status(j->task, NULL);
		while (s != LWS_TP_STATUS_FINISHED);
		assert_true(j->data >= 700);
	}
}

/* T2: RUNNING or STOPPING only and one thread at a time, with stops, syncs and
 * check-ins going on together.  The harness looks at each call. */
static void
one_thread_at_a_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 8, 1000);
	struct conn *c[6];
	struct job *j;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(c); n++)
		c[n] = conn_open(rig, CONN_RAW);
	for (int n = 0; n < 300; n++) {
		j = job_script(rig, 1 + n % 7,
			       n & 1 ? LWS_TP_RETURN_SYNC :
				       LWS_TP_RETURN_CHECKING_IN);
		job_enqueue(tp, j, c[n % 6]->wsi);
		if (n % 5 == 0)
			rig_turns(rig, 1);
		if (n % 11 == 0)
			lws_threadpool_task_sync(j->task, 1);
		lws_threadpool_task_sync(j->task, 0);
		lws_threadpool_task_sync(j->task, 0);
	}
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(writes_cross_at_a_sync),
		RIG_TEST(writes_cross_at_the_ends),
		RIG_TEST(one_thread_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
