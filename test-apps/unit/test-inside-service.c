/*
 * lws-threadpool unit tests - how the service thread is signalled, and what it
 * asks of lws
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 */

#include <poll.h>
#include <unistd.h>

#include "inside.h"
#include "served.h"

#define BURST 10

static struct pollfd told_of = { .events = POLLIN };
/* whether it was signalled when the log function was called; 0: not called */
static atomic_int signalled_before;

static void
look_at_the_fd(const char *line)
{
	if (strstr(line, "nobody answered"))
		atomic_store(&signalled_before,
			     poll(&told_of, 1, 0) == 1 ? 1 : -1);
}

/* S3: a thread that has a SYNC to tell of, and finds another task timed out,
 * tells of the SYNC before the user's log function gets that, which may take
 * its time: though it had left the signal to the service thread's own look */
static void
a_log_function_delays_no_signal(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *unread = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC), *late;
	struct lwstp_service *service = service_of(tp);
	struct gate *gate = gate_new(rig);

	unread->manual = true;
	late = job_park(rig, tp, unread->wsi);
	rig_drain(rig);
	if (!atomic_load(&service->adopted))
		skip(); /* lws_cancel_service() signals it */
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);

	task_of(late->task)->graced = true;
	told_of.fd = service->fd;
	atomic_store(&signalled_before, 0);
	atomic_store(&log_told, look_at_the_fd);
	clock_forward(2 * LWSTP_SYNC_TIMEOUT_SECS);
	atomic_store(&service->looking, true);
	gate_open(gate);
	wait_int(&signalled_before, 1);
	atomic_store(&service->looking, false);
	rig_until_status(late, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	rig_until_int(rig, &j->cleanups, 1);
}

/* S3: what was answered is silent: nothing is left in the fd, which lws would
 * tell of for ever */
static void
it_is_silent_when_answered(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lwstp_service *service = service_of(tp);
	struct pollfd pfd = { .events = POLLIN };

	c->manual = true;
	rig_drain(rig);
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	if (!atomic_load(&service->adopted))
		skip(); /* lws_cancel_service() signals it */
	pfd.fd = service->fd;
	/* its word is changed before it is posted */
	assert_int_equal(poll(&pfd, 1, 60 * 1000), 1);
	rig_until_int(rig, &j->returns, 1);
	rig_drain(rig);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

/* S3: however many SYNC before the service thread answers, that is one write */
static void
a_burst_is_one_signal(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, BURST);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp);
	uint64_t writes = 0;
	struct job *j;
	int n;

	c->manual = true;
	rig_drain(rig);
	if (!atomic_load(&service->adopted))
		skip(); /* lws_cancel_service() signals it */
	for (n = 0; n < BURST; n++) {
		j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		wait_int(&j->returns, 1);
	}
	/* the thread sleeps: whatever it wrote is there */
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_int_equal(read(service->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	assert_int_equal(writes, 1);
	/* and now for lws */
	assert_int_equal(write(service->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	c->manual = false;
	rig_until_cleaned(rig);
}

static bool
is_posted(void *task)
{
	return atomic_load(&task_of(task)->slot.word) & LWSTP_POSTED;
}

/* S5: what is to be asked for already is not asked for a second time */
static void
the_repeat_leaves_it_to_the_answer(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp);
	struct job *a = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *b = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	const struct lwstp_wsi *on;

	c->manual = true;
	job_enqueue(tp, a, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	on = lwstp_wsi_find(service, c->wsi);

	job_enqueue(tp, b, c->wsi);
	wait_until(is_posted, b->task);
	wait_until(has_an_idle_thread, pool_of(tp));
	lwstp_service_collect(service);
	assert_true(on->is_to_ask);
	clock_forward(2);
	log_info();
	service->ask_again.cb(&service->ask_again);
	assert_true(on->is_to_ask && !on->is_asked);
	assert_int_equal(log_count(LLL_INFO, "asking for WRITEABLE again"), 0);
	/* a second after the answer it is */
	rig_until(rig, is_asked_for, c->wsi);
	clock_forward(2);
	service->ask_again.cb(&service->ask_again);
	assert_int_equal(log_count(LLL_INFO, "asking for WRITEABLE again"), 1);
	c->manual = false;
}

/* S5: nor is anything before a second is over since it was asked for, whatever
 * else the timer goes off for */
static void
the_repeat_comes_after_a_second(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp);

	c->manual = true;
	clock_stop();
	job_enqueue(tp, job_script(rig, 1, LWS_TP_RETURN_SYNC), c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	log_info();
	for (int n = 0; n < 3; n++) {
		service->ask_again.cb(&service->ask_again);
		assert_int_equal(log_count(LLL_INFO, "asking for WRITEABLE "
						     "again"),
				 n);
		clock_forward(1);
		service->ask_again.cb(&service->ask_again);
		assert_int_equal(log_count(LLL_INFO, "asking for WRITEABLE "
						     "again"),
				 n + 1);
	}
	clock_go();
	serve_the_rest(rig, c);
}

/* the timer that looks, as lws calls it: it takes it off before */
static void
look_once(struct lwstp_service *service)
{
	assert_true(is_looking(service));
	lws_sul_cancel(&service->look);
	service->look.cb(&service->look);
}

static bool
is_not_looking(void *service)
{
	return !is_looking(service);
}

/* While SYNCs and answers flow the service thread looks before lws polls, until
 * it has looked twice and found nothing; workers are told that it does. */
static void
looks_follow_an_answer_and_end(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	c->manual = true;
	rig_drain(rig);
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->returns, 1);
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_false(is_looking(service));
	/* it has found a SYNC, which nobody answers */
	lwstp_service_answer(service);
	assert_true(is_asked_for(c->wsi));
	for (int n = 0; n < 3; n++) {
		look_once(service);
		assert_int_equal(is_looking(service), n < 2);
		assert_false(atomic_load(&service->looking));
	}

	/* and one that was answered */
	lws_threadpool_task_sync(j->task, 0);
	wait_int(&j->returns, 2);
	wait_until(has_an_idle_thread, pool_of(tp));
	lwstp_service_answer(service);
	for (int n = 0; n < 3; n++) {
		look_once(service);
		assert_int_equal(is_looking(service), n < 2);
		assert_int_equal(atomic_load(&service->looking), n < 2);
	}
	serve_the_rest(rig, c);
	rig_until(rig, is_not_looking, service);
}

/* What comes meanwhile is found by a look, and then it looks on. */
static void
a_look_finds_what_came(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp);
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC);

	c->manual = true;
	rig_drain(rig);
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->returns, 1);
	wait_until(has_an_idle_thread, pool_of(tp));
	lwstp_service_answer(service);
	look_once(service);
	lws_threadpool_task_sync(j->task, 0);
	wait_int(&j->returns, 2);
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_false(lwstp_inbox_empty(&service->inbox));
	for (int n = 0; n < 3; n++) {
		look_once(service);
		assert_true(lwstp_inbox_empty(&service->inbox));
		assert_int_equal(is_looking(service), n < 2);
	}
	serve_the_rest(rig, c);
}

/* S3: what a worker leaves to a look it signals after all, if there was none:
 * when it has spun, and where it does not */
static void
a_look_that_never_came(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = { .size = sizeof(o),
					    .sync_spin_us = -1 };
	struct lws_threadpool *tp[] = { rig_pool(rig, 1, 10),
					rig_pool_ext(rig, 1, 10, &o) };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp[0]);
	struct pollfd pfd = { .events = POLLIN };
	struct job *j;

	rig_drain(rig);
	if (!atomic_load(&service->adopted))
		skip(); /* lws_cancel_service() signals it */
	pfd.fd = service->fd;
	for (int n = 0; n < 2; n++) {
		c->manual = true;
		atomic_store(&service->looking, true);
		j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
		job_enqueue(tp[n], j, c->wsi);
		assert_int_equal(poll(&pfd, 1, 60 * 1000), 1);
		atomic_store(&service->looking, false);
		serve_the_rest(rig, c);
		rig_drain(rig);
	}
}

/* S7: where its word says that it was asked to stop, the task is posted, and is
 * told by its service thread; a look of the application in a callback tells
 * nobody. */
static void
a_stop_is_held_until_it_is_between(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_service *service = service_of(tp);
	struct job *j[2];

	c->manual = true;
	for (int n = 0; n < 2; n++) {
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c->wsi);
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	}
	rig_until(rig, is_asked_for, c->wsi);
	lws_threadpool_finish(tp);
	for (int n = 0; n < 3; n++) {
		assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi),
				 j[0]->task);
		assert_int_equal(lws_threadpool_task_status(j[n & 1]->task,
							    NULL),
				 LWS_TP_STATUS_STOPPING);
		lwstp_service_collect(service);
	}
	assert_non_null(service->held);
	assert_int_equal(
		atomic_load(&j[0]->stopping) + atomic_load(&j[1]->stopping), 0);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
	assert_null(service->held);
}

/* S3: what a callback has found in the inbox is asked for between two, though
 * its thread leaves it at that, since the inbox is empty */
static void
what_a_callback_found_is_asked_for(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lwstp_service *service = service_of(tp);
	struct pollfd pfd = { .events = POLLIN };
	uint64_t writes;

	rig_drain(rig);
	if (!atomic_load(&service->adopted))
		skip(); /* lws_cancel_service() signals it */
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->returns, 1);
	wait_until(has_an_idle_thread, pool_of(tp));
	/* as if it had never signalled */
	assert_int_equal(read(service->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	assert_ptr_equal(lws_threadpool_get_task_wsi(c->wsi), j->task);
	pfd.fd = service->fd;
	assert_int_equal(poll(&pfd, 1, 0), 1);
	rig_until_int(rig, &j->cleanups, 1);
}

/* Where lws may be in an external poll loop a timer looks too, as long as a wsi
 * is open: less and less often, since here the fd is heard without it */
#if defined(LWS_WITH_EXTERNAL_POLL)
static bool
is_slow(void *arg)
{
	struct lwstp_service *service = arg;

	return service->expect_us == LWS_US_PER_SEC;
}

static bool
is_not_expecting(void *arg)
{
	struct lwstp_service *service = arg;

	return lws_dll2_is_detached(&service->expect.list);
}
#endif

static void
the_timer_of_external_poll_loops_ends(void **state)
{
#if defined(LWS_WITH_EXTERNAL_POLL)
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lwstp_service *service = service_of(tp);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	assert_true(is_not_expecting(service));
	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_false(is_not_expecting(service));
	assert_int_equal(service->expect_us, 10 * LWS_US_PER_MS);
	rig_until_cleaned(rig);
	rig_until(rig, is_slow, service);
	assert_false(is_not_expecting(service));
	conn_fin(c);
	rig_until(rig, is_not_expecting, service);
#else
	(void)state;
	skip(); /* there is none */
#endif
}

/* H2: those that were served take turns, and when the count of them begins
 * again, too: what is new goes before them */
static void
turns_are_counted_for_ever(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct served *s[3];

	c->manual = true;
	for (int n = 0; n < 3; n++) {
		s[n] = served_syncing(rig, tp, c->wsi);
		s[n]->sync_ret = LWS_TP_ON_SYNC_STAY;
	}
	lwstp_wsi_find(service_of(tp), c->wsi)->serves = UINT32_MAX - 4;
	for (int n = 0; n < 12; n++) {
		assert_int_equal(lws_threadpool_serve(c->wsi), 0);
		assert_int_equal(s[n % 3]->turn, n + 1);
	}
	for (int n = 0; n < 3; n++)
		lws_threadpool_task_sync(s[n]->j->task, 0);
	rig->on_event = served_event;
	c->manual = false;
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_log_function_delays_no_signal),
		INSIDE_TEST(it_is_silent_when_answered),
		INSIDE_TEST(a_burst_is_one_signal),
		INSIDE_TEST(the_repeat_leaves_it_to_the_answer),
		INSIDE_TEST(the_repeat_comes_after_a_second),
		INSIDE_TEST(looks_follow_an_answer_and_end),
		INSIDE_TEST(a_look_finds_what_came),
		INSIDE_TEST(a_look_that_never_came),
		INSIDE_TEST(a_stop_is_held_until_it_is_between),
		INSIDE_TEST(what_a_callback_found_is_asked_for),
		INSIDE_TEST(the_timer_of_external_poll_loops_ends),
		cmocka_unit_test_setup_teardown(turns_are_counted_for_ever,
						inside_setup, served_teardown),
	};

	return cmocka_run_group_tests_name("inside-service", tests, NULL, NULL);
}
