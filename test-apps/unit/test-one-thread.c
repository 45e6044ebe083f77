/*
 * lws-threadpool unit tests - W3, nothing of lws is called but by its service
 * thread, after another one has taken over too
 *
 * SPDX-License-Identifier: MIT
 *
 * One thread services the context and hands it over: it never calls
 * lws_service() again, but goes on to use what any thread may.  It may not be
 * taken for the service thread still, though the new one has not been in any
 * callback of the library's.  lws_cancel_service() is for any thread.
 *
 * LWSTP_WRAP: lws_sul_schedule lws_callback_on_writable lws_set_timeout
 * LWSTP_WRAP: lws_adopt_descriptor_vhost_via_info lws_get_socket_fd
 */

#include "closings.h"

#define TASKS  6
#define ROUNDS 100

/* who services: 0 while nobody does, and then anybody may */
static _Atomic(pthread_t) serving;
static atomic_int foreign;

static void
must_serve(const char *what)
{
	pthread_t who = atomic_load(&serving);

	if (!who || pthread_equal(who, pthread_self()))
		return;
	if (!atomic_fetch_add(&foreign, 1))
		fprintf(stderr, "%s() beside the service thread\n", what);
}

void
__real_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);
void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);
int
__real_lws_callback_on_writable(struct lws *wsi);
int
__wrap_lws_callback_on_writable(struct lws *wsi);
void
__real_lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int secs);
void
__wrap_lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int secs);
struct lws *
__real_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info);
struct lws *
__wrap_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info);
lws_sockfd_type
__real_lws_get_socket_fd(struct lws *wsi);
lws_sockfd_type
__wrap_lws_get_socket_fd(struct lws *wsi);

void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb, lws_usec_t us)
{
	must_serve("lws_sul_schedule");
	__real_lws_sul_schedule(context, tsi, sul, cb, us);
}

int
__wrap_lws_callback_on_writable(struct lws *wsi)
{
	must_serve("lws_callback_on_writable");

	return __real_lws_callback_on_writable(wsi);
}

void
__wrap_lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int secs)
{
	must_serve("lws_set_timeout");
	__real_lws_set_timeout(wsi, reason, secs);
}

struct lws *
__wrap_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info)
{
	must_serve("lws_adopt_descriptor_vhost_via_info");

	return __real_lws_adopt_descriptor_vhost_via_info(info);
}

lws_sockfd_type
__wrap_lws_get_socket_fd(struct lws *wsi)
{
	must_serve("lws_get_socket_fd");

	return __real_lws_get_socket_fd(wsi);
}

/* ---- two threads that take turns at servicing ---- */

struct shift {
	pthread_t thread;
	struct rig *rig;
	atomic_int end;
};

static void *
service(void *arg)
{
	struct shift *s = arg;

	atomic_store(&serving, pthread_self());
	while (!atomic_load(&s->end))
		lws_service(s->rig->context, 0);

	return NULL;
}

static bool
is_serving(void *arg)
{
	struct shift *s = arg;

	return pthread_equal(atomic_load(&serving), s->thread);
}

/* this thread stops servicing, another one begins */
static void
shift_begin(struct shift *s, struct rig *rig)
{
	s->rig = rig;
	atomic_store(&s->end, 0);
	assert_int_equal(pthread_create(&s->thread, NULL, service, s), 0);
	wait_until(is_serving, s);
}

static void
shift_end(struct shift *s)
{
	atomic_store(&s->end, 1);
	lws_cancel_service(s->rig->context);
	pthread_join(s->thread, NULL);
	atomic_store(&serving, (pthread_t)0);
}

static struct job *
parked(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi, int times)
{
	struct job *j = job_script(rig, times, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, wsi));
	rig_until_status(j, LWS_TP_STATUS_SYNCING);

	return j;
}

/* tasks that are SYNCING, whose WRITEABLE was served by this thread */
static void
serve_and_park(struct rig *rig, struct lws_threadpool *tp, struct job **j,
	       int times)
{
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_FILE) };
	struct job *stream;

	if (rig->evloop)
		skip(); /* its loop stays on one thread */
	stream = job_script(rig, 20, LWS_TP_RETURN_SYNC);
	job_enqueue(tp, stream, c[0]->wsi);
	rig_until_cleaned(rig);
	for (int n = 0; n < TASKS; n++) {
		c[n & 1]->manual = true;
		j[n] = parked(rig, tp, c[n & 1]->wsi, times);
	}
	rig_drain(rig);
}

static void
reap_all(struct rig *rig, int n)
{
	for (struct conn *c = rig->conns; c; c = c->next) {
		c->manual = false;
		if (c->wsi)
			lws_callback_on_writable(c->wsi);
	}
	rig_until_cleaned(rig);
	assert_int_equal(atomic_load(&foreign), n);
}

/* S4, W3: it answers SYNCs, of which the wsi have others, by 0 and by 1 */
static void
answers_of_the_one_before(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	struct shift other;
	struct job *j[TASKS];

	for (int round = 0; round < ROUNDS; round++) {
		serve_and_park(rig, tp, j, 1);
		shift_begin(&other, rig);
		for (int n = 0; n < TASKS; n++) {
			lws_threadpool_task_sync(j[n]->task, n % 3 == 2);
			if (n & 1)
				wait_int(&j[n]->returns, 2);
		}
		for (int n = 0; n < TASKS; n++)
			wait_int(&j[n]->returns, 2);
		shift_end(&other);
		reap_all(rig, 0);
		closing_do(rig->conns, CLOSING_TIMEOUT);
		closing_do(rig->conns->next, CLOSING_TIMEOUT);
	}
}

/* W3: a whole stream of answers, while the new one's callbacks come */
static void
a_stream_of_answers(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	struct shift other;
	struct job *j[TASKS];

	serve_and_park(rig, tp, j, 500);
	shift_begin(&other, rig);
	for (int n = 0; n < TASKS; n++)
		while (atomic_load(&j[n]->returns) < 501) {
			lws_threadpool_task_status_noreap(j[n]->task);
			lws_threadpool_task_sync(j[n]->task, 0);
		}
	shift_end(&other);
	reap_all(rig, 0);
}

/* W2, P3, Q6: what else any thread may call, and where a ring or a stop that S7
 * holds back comes of it */
static void
the_rest_of_the_one_before(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	int ongoing, possible, depth;
	struct shift other;
	struct job *j[TASKS], *loose = job_new(rig);

	serve_and_park(rig, tp, j, 9);
	shift_begin(&other, rig);
	for (int n = 0; n < TASKS; n++)
		assert_int_equal(lws_threadpool_task_status_noreap(j[n]->task),
				 LWS_TP_STATUS_SYNCING);
	assert_non_null(job_enqueue(tp, loose, NULL));
	wait_int(&loose->cleanups, 1);
	lws_threadpool_dump(tp);
	lws_threadpool_diagnose(tp, &ongoing, &possible, &depth);
	lws_threadpool_task_sync(j[0]->task, 0);
	wait_int(&j[0]->returns, 2);
	lws_threadpool_finish(tp);
	for (int n = 0; n < TASKS; n++)
		wait_int(&j[n]->stopping, 1);
	shift_end(&other);
	reap_all(rig, 0);
}

/* W3: the one before answers what the new one was told of: it is rung for what
 * is left, by the new one */
static atomic_int heard;

static int
hear(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
     void *user, void *in, size_t len)
{
	(void)rig;
	(void)user;
	(void)in;
	(void)len;
	if (!reason_writeable(reason) || !conn_of(wsi))
		return RIG_DEFAULT;
	must_serve("WRITEABLE");
	atomic_fetch_add(&heard, 1);

	return 0;
}

static void
the_new_one_is_rung(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 20);
	struct shift other;
	struct job *j[TASKS];
	int before;

	serve_and_park(rig, tp, j, 9);
	rig->on_event = hear;
	shift_begin(&other, rig);
	for (int n = 0; n < 50; n++) {
		before = atomic_load(&heard);
		lws_threadpool_task_sync(j[n % TASKS]->task, 0);
		wait_int(&heard, before + 1);
		wait_status(j[n % TASKS],
			    n / TASKS < 8 ? LWS_TP_STATUS_SYNCING :
					    LWS_TP_STATUS_FINISHED);
	}
	shift_end(&other);
	rig->on_event = NULL;
	for (int n = 0; n < TASKS; n++)
		lws_threadpool_task_sync(j[n]->task, 1);
	reap_all(rig, 0);
}

static int
setup(void **state)
{
	atomic_store(&serving, (pthread_t)0);
	atomic_store(&foreign, 0);

	return rig_setup(state);
}

#define SHIFT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SHIFT_TEST(answers_of_the_one_before),
		SHIFT_TEST(a_stream_of_answers),
		SHIFT_TEST(the_rest_of_the_one_before),
		SHIFT_TEST(the_new_one_is_rung),
	};

	return cmocka_run_group_tests_name("one thread", tests, NULL, NULL);
}
