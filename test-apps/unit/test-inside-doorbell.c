/*
 * lws-threadpool unit tests - how the service thread is rung
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include <poll.h>
#include <unistd.h>

#include "inside.h"

#define BURST	10

static struct pollfd told_bell = { .events = POLLIN };
/* whether the bell had been rung when the log function was called: 0 = it was not
 * called */
static atomic_int rung_before;

static void
look_at_the_bell(const char *line)
{
	if (strstr(line, "nobody answered"))
		atomic_store(&rung_before,
			     poll(&told_bell, 1, 0) == 1 ? 1 : -1);
}

/* S3: a thread that has a SYNC to tell of, and finds another task timed out, tells
 * of the SYNC before the user's log function gets that, which may take its time */
static void
a_log_function_delays_no_ring(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *unread = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC), *late;
	struct lwstp_bell *bell = bell_of(tp);
	struct gate *gate = gate_new(rig);

	unread->manual = true;
	late = job_park(rig, tp, unread->wsi);
	rig_drain(rig);
	if (!atomic_load(&bell->adopted))
		skip();		/* lws_cancel_service() rings it */
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);

	told_bell.fd = bell->fd;
	atomic_store(&rung_before, 0);
	atomic_store(&log_told, look_at_the_bell);
	clock_forward(2 * LWSTP_SYNC_TIMEOUT_SECS);
	gate_open(gate);
	wait_status(late, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&rung_before), 1);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	rig_until_int(rig, &j->cleanups, 1);
}

/* S3: a bell that was answered is silent: nothing is left in its fd, which lws
 * would tell of for ever */
static void
a_bell_is_silent_when_answered(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lwstp_bell *bell = bell_of(tp);
	struct pollfd pfd = { .events = POLLIN };

	c->manual = true;
	rig_drain(rig);
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	if (!atomic_load(&bell->adopted))
		skip();		/* lws_cancel_service() rings it */
	pfd.fd = bell->fd;
	/* rung by its thread: the lock is behind it, but the write is not */
	assert_int_equal(poll(&pfd, 1, 60 * 1000), 1);
	rig_until_int(rig, &j->returns, 1);
	rig_drain(rig);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

/* S3: however many SYNC before the service thread answers, that is one write */
static void
a_burst_rings_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, BURST);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_bell *bell = bell_of(tp);
	uint64_t writes = 0;
	int n;

	c->manual = true;
	rig_drain(rig);
	if (!atomic_load(&bell->adopted))
		skip();		/* lws_cancel_service() rings it */
	for (n = 0; n < BURST; n++)
		job_park(rig, tp, c->wsi);
	/* the thread sleeps: whatever it wrote is there */
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_int_equal(read(bell->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	assert_int_equal(writes, 1);
	/* and now for lws */
	assert_int_equal(write(bell->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	c->manual = false;
	rig_until_cleaned(rig);
}

/* S5: what was rung and not yet answered is not asked for a second time */
static void
the_repeat_leaves_a_ring_to_its_answer(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *a = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *b = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lwstp_binding *binding;
	bool asked, rung;

	c->manual = true;
	job_enqueue(tp, a, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	lwstp_lock_bindings();
	binding = __lwstp_binding_find(c->wsi);
	lwstp_unlock_bindings();

	/* its thread has rung, and lws has not polled since */
	job_enqueue(tp, b, c->wsi);
	wait_status(b, LWS_TP_STATUS_SYNCING);
	clock_forward(2);
	log_info();
	lwstp_bell_rering(&binding->bell->rering);
	lwstp_lock_bindings();
	asked = binding->asked;
	rung = binding->rung;
	lwstp_unlock_bindings();
	assert_true(!asked && rung);
	assert_int_equal(log_count(LLL_INFO, "asking for WRITEABLE again"), 0);
	c->manual = false;
}

/* Where lws may be in an external poll loop a timer looks too, as long as a wsi
 * is open: less and less often, since here the bell is heard without it */
#if defined(LWS_WITH_EXTERNAL_POLL)
static bool
is_slow(void *arg)
{
	struct lwstp_bell *bell = arg;

	return bell->expect_us == LWSTP_RERING_US;
}

static bool
is_not_expecting(void *arg)
{
	struct lwstp_bell *bell = arg;

	return lws_dll2_is_detached(&bell->expect.list);
}
#endif

static void
the_timer_of_external_poll_loops_ends(void **state)
{
#if defined(LWS_WITH_EXTERNAL_POLL)
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lwstp_bell *bell = bell_of(tp);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	assert_true(is_not_expecting(bell));
	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_false(is_not_expecting(bell));
	assert_int_equal(bell->expect_us, LWSTP_EXPECT_US);
	rig_until_cleaned(rig);
	rig_until(rig, is_slow, bell);
	assert_false(is_not_expecting(bell));
	conn_fin(c);
	rig_until(rig, is_not_expecting, bell);
#else
	(void)state;
	skip();		/* there is none */
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_log_function_delays_no_ring),
		INSIDE_TEST(a_bell_is_silent_when_answered),
		INSIDE_TEST(a_burst_rings_once),
		INSIDE_TEST(the_repeat_leaves_a_ring_to_its_answer),
		INSIDE_TEST(the_timer_of_external_poll_loops_ends),
	};

	return cmocka_run_group_tests_name("inside-doorbell", tests, NULL, NULL);
}
