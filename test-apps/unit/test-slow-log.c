/*
 * lws-threadpool unit tests - S2, S3, a log function that takes its time over
 * the line of a sync timeout holds up nobody
 *
 * SPDX-License-Identifier: MIT
 *
 * The line takes as long as the things that may not wait for it: if they did,
 * both would.  A log function may itself use the API.
 */

#include <poll.h>

#include "harness.h"

#define SLOW  "never-read"
#define QUICK 3
#define MANY  20 /* more than a thread takes at a time */

enum { LATE_END = 1, LATE_BEGIN = 2, LATE_LINE = 4 };

static struct {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct job *quick[QUICK];
	struct gate *gate; /* of the one that ends */
	atomic_int ends;   /* seen by the service thread */
	atomic_int lines, late;
} sl;

static bool
soon(atomic_int *p, int n)
{
	lws_usec_t end = lws_now_usecs() + wait_secs() * LWS_US_PER_SEC / 8;

	while (atomic_load(p) < n) {
		if (lws_now_usecs() > end)
			return false;
		poll(NULL, 0, 1);
	}

	return true;
}

/* By the thread that writes the line.  No assertions there.  (Any line of a
 * pool's thread: two may write theirs at a time, and lose their text.) */
static void
slow_line(const char *line)
{
	bool here = pthread_equal(pthread_self(), sl.rig->thread);

	if ((here && !strstr(line, SLOW)) || atomic_fetch_add(&sl.lines, 1))
		return;
	gate_open(sl.gate);
	if (!here && !soon(&sl.ends, 1))
		atomic_fetch_or(&sl.late, LATE_END);
	for (int n = 0; n < QUICK; n++) {
		job_enqueue(sl.tp, sl.quick[n], NULL);
		if (!soon(&sl.quick[n]->cleanups, 1))
			atomic_fetch_or(&sl.late, LATE_BEGIN);
	}
	atomic_fetch_add(&sl.lines, 1000);
}

static int
see_ends(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	 void *user, void *in, size_t len)
{
	struct conn *c = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_WRITEABLE || !c || wsi != c->wsi)
		return RIG_DEFAULT;
	for (struct lws_threadpool_task *task;
	     (task = lws_threadpool_get_task_wsi(wsi)) &&
	     lws_threadpool_task_status(task, NULL) >= LWS_TP_STATUS_FINISHED;)
		atomic_fetch_add(&sl.ends, 1);

	return 0;
}

static void
slow(struct rig *rig, int threads, int parked)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .sync_timeout_secs = 1 };
	struct conn *c = conn_open(rig, CONN_RAW),
		    *other = conn_open(rig, CONN_RAW);
	struct job *j[8], *ends;

	memset(&sl, 0, sizeof(sl));
	sl.rig = rig;
	sl.tp = rig_pool_ext(rig, threads, 100, &o);
	sl.gate = gate_new(rig);
	for (int n = 0; n < QUICK; n++)
		sl.quick[n] = job_new(rig);
	c->manual = true;
	rig->priv = other;
	rig->on_event = see_ends;
	atomic_store(&log_told, slow_line);

	ends = job_gated(rig, sl.gate);
	assert_non_null(job_enqueue(sl.tp, ends, other->wsi));
	wait_int(&ends->calls, 1);
	for (int n = 0; n < parked; n++) {
		j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		j[n]->name = SLOW;
		assert_non_null(job_enqueue(sl.tp, j[n], c->wsi));
	}
	rig_until_int(rig, &sl.lines, 1000);
	atomic_store(&log_told, NULL);
	assert_int_equal(atomic_load(&sl.late), 0);

	for (int n = 0; n < parked; n++)
		rig_until_int(rig, &j[n]->stopping, 1);
	c->manual = false;
	rig->priv = NULL;
	rig_until_cleaned(rig);
	/* the lines come after all that somebody may wait for */
	log_wait(LLL_WARN, "", parked);
	assert_int_equal(log_claim(LLL_WARN, ""), parked);
}

/* S2, S3: new tasks start on idle threads, and another task's end reaches its
 * WRITEABLE, while the line is being written */
static void
the_line_of_a_sync_timeout(void **state)
{
	slow(*state, 4, 1);
}

static void
the_lines_of_several(void **state)
{
	slow(*state, 4, 8);
}

static _Thread_local bool wrote_first;

/* The first line waits for one by another thread.  (Any line: lws puts those of
 * two threads together in one buffer, so their text may be lost.) */
static void
line_waits(const char *line)
{
	(void)line;
	if (!atomic_fetch_add(&sl.lines, 1)) {
		wrote_first = true;
		if (!soon(&sl.ends, 1))
			atomic_fetch_or(&sl.late, LATE_LINE);
		atomic_fetch_add(&sl.lines, 1000);
	} else if (!wrote_first)
		atomic_fetch_add(&sl.ends, 1);
}

/* S5: nor do those wait for it whose time is over, too.  This thread does not
 * service: so nobody is woken by what is stopped. */
static void
others_whose_time_is_over(void **state)
{
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .sync_timeout_secs = 1 };
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	char names[MANY][32];
	struct job *j[MANY];

	memset(&sl, 0, sizeof(sl));
	sl.tp = rig_pool_ext(rig, 4, 100, &o);
	c->manual = true;
	for (int n = 0; n < MANY; n++) {
		/* lws 5.0 drops a line that is the same as the one before */
		lws_snprintf(names[n], sizeof(names[n]), SLOW " %d", n);
		j[n] = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		j[n]->name = names[n];
		assert_non_null(job_enqueue(sl.tp, j[n], c->wsi));
	}
	atomic_store(&log_told, line_waits);
	wait_int(&sl.lines, 1000 + MANY);
	atomic_store(&log_told, NULL);
	assert_int_equal(atomic_load(&sl.late), 0);

	c->manual = false;
	rig_until_cleaned(rig);
	log_wait(LLL_WARN, "", MANY);
	assert_int_equal(log_claim(LLL_WARN, ""), MANY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_line_of_a_sync_timeout),
		RIG_TEST(the_lines_of_several),
		RIG_TEST(others_whose_time_is_over),
	};

	return cmocka_run_group_tests_name("slow log", tests, NULL, NULL);
}
