/*
 * lws-threadpool unit tests - out of memory, threads and fds: create and
 * enqueue fail cleanly, and what was accepted before still ends in its cleanup
 *
 * SPDX-License-Identifier: MIT
 *
 * Whatever the library asks the system or lws for is made to fail, one call
 * after the other: the n-th call of a scenario, for n = 1, 2... until the
 * scenario has no n-th call any more.
 *
 * LWSTP_WRAP: malloc calloc realloc aligned_alloc posix_memalign mmap
 * LWSTP_WRAP: pthread_create eventfd pipe fcntl lws_create_vhost
 * LWSTP_WRAP: lws_adopt_descriptor_vhost_via_info lws_callback_on_writable
 * LWSTP_WRAP: pthread_cond_init pthread_mutex_init
 */

#include <unistd.h>

#include "closings.h"
#include "faults-count.h"

#define MANY 10000

static const char *const what_names[] = {
	"memory",
	"threads",
	"fds",
	"the hidden vhost",
	"the hidden vhost, late",
	"adoptions",
	"callback_on_writable",
	"conditions and mutexes"
};

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*f)(void *),
      void *arg))
{
	if (fails(THREADS))
		return EAGAIN;

	return __real_pthread_create(thread, attr, f, arg);
}

WRAP(int, pipe, (int fds[2]))
{
	return fails_with(FDS, EMFILE) ? -1 : __real_pipe(fds);
}

WRAP(struct lws_vhost *, lws_create_vhost,
     (struct lws_context * context,
      const struct lws_context_creation_info *info))
{
	struct lws_vhost *vhost;

	if (fails(VHOST))
		return NULL;
	vhost = __real_lws_create_vhost(context, info);
	/* as lws does where it is nearly done: the vhost ends as any other */
	if (vhost && fails(VHOST_LATE)) {
		lws_vhost_destroy(vhost);
		return NULL;
	}

	return vhost;
}

WRAP(int, lws_callback_on_writable, (struct lws * wsi))
{
	if (fails(WRITEABLE))
		return -1;

	return __real_lws_callback_on_writable(wsi);
}

WRAP(int, pthread_cond_init,
     (pthread_cond_t * cond, const pthread_condattr_t *attr))
{
	if (fails(CONDITIONS))
		return EAGAIN;

	return __real_pthread_cond_init(cond, attr);
}

WRAP(int, pthread_mutex_init,
     (pthread_mutex_t * mutex, const pthread_mutexattr_t *attr))
{
	if (fails(CONDITIONS))
		return EAGAIN;

	return __real_pthread_mutex_init(mutex, attr);
}

/* A line in the log of the library's, if it refused anything */
static void
refusal_is_logged(bool refused, const char *who)
{
	if (refused && !log_count(LLL_ERR, who) && !log_count(LLL_WARN, who))
		fail_msg("%s refused without a word", who);
}

/* one for each try to make it, which the enqueue's own line does not tell of */
static void
vhost_is_logged(enum what what, int failed)
{
	if (what == VHOST || what == VHOST_LATE)
		assert_int_equal(log_count(LLL_ERR,
					   "lws_threadpool: the "
					   "hidden vhost could not be made"),
				 failed);
}

/* ---- create ---- */

static int
create_once(enum what what, int at, int for_good, int threads)
{
	struct lws_threadpool_create_args args = { threads, 10 };
	struct lws_threadpool *tp;
	int failed, before = rig_open_fds(), possible = 0;
	struct rig *rig = rig_create(NULL);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

	rig->any_log = true;
	log_ready();
	faults_on(what, at, for_good);
	tp = lws_threadpool_create(rig->context, &args, "oom");
	failed = faults_off();
	if (failed && !log_count(LLL_ERR, "lws_threadpool_create") &&
	    !log_count(LLL_WARN, "lws_threadpool_create"))
		fail_msg("%s %d: nothing in the log", what_names[what], at);
	if (!tp) {
		/* only for a reason, and nothing is left of it */
		assert_true(failed);
		assert_int_equal(log_count(LLL_ERR, "lws_threadpool_create"),
				 1);
		tp = lws_threadpool_create(rig->context, &args, "now");
		assert_non_null(tp);
	}
	lws_threadpool_diagnose(tp, NULL, &possible, NULL);
	assert_true(possible >= 1 && possible <= threads);
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	lws_threadpool_destroy(tp);
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(rig_open_fds(), before);

	return failed;
}

static void
create_with_each_call_failing(void **state)
{
	int what, at, for_good;

	(void)state;
	for (what = 0; what < RANDOM; what++)
		for (for_good = 0; for_good < 2; for_good++)
			for (at = 1; at < 100; at++)
				if (!create_once((enum what)what, at, for_good,
						 3))
					break;
}

/* P1: it goes on with the threads that did start */
static void
P1_some_threads_do_not_start(void **state)
{
	struct lws_threadpool_create_args args = { 8, 100 };
	struct lws_threadpool *tp;
	struct rig *rig = *state;
	struct job *j[20];
	int at, n, possible;

	for (at = 1; at <= 9; at++) {
		log_forget();
		faults_on(THREADS, at, 1);
		tp = lws_threadpool_create(rig->context, &args, "few");
		faults_off();
		if (at == 1) {
			assert_null(tp);
			assert_true(log_claim(LLL_ERR,
					      "lws_threadpool_create") >= 1);
			log_claim(LLL_WARN, "lws_threadpool_create");
			continue;
		}
		assert_non_null(tp);
		assert_int_equal(log_claim(LLL_WARN, "lws_threadpool_create"),
				 at != 9);
		lws_threadpool_diagnose(tp, NULL, &possible, NULL);
		assert_int_equal(possible, at - 1);
		for (n = 0; n < 20; n++) {
			j[n] = job_script(rig, 3, LWS_TP_RETURN_CHECKING_IN);
			assert_non_null(job_enqueue(tp, j[n], NULL));
		}
		for (n = 0; n < 20; n++)
			wait_int(&j[n]->cleanups, 1);
		lws_threadpool_destroy(tp);
	}
}

/* ---- enqueue ---- */

/* what was accepted before the fault */
static void
accepted_before(struct rig *rig, struct lws_threadpool *tp, struct conn *c,
		struct job *j[3])
{
	c->manual = true;
	j[0] = job_new(rig);
	j[1] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	j[2] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	for (int n = 0; n < 3; n++)
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	wait_status(j[0], LWS_TP_STATUS_FINISHED);
	wait_status(j[1], LWS_TP_STATUS_SYNCING);
	wait_status(j[2], LWS_TP_STATUS_SYNCING);
}

static int
enqueue_once(enum what what, int at, int for_good, bool serviced, bool opt_in)
{
	struct rig_opts opts = { .opt_in = opt_in };
	int n, failed, fds = rig_open_fds(), refused = 0;
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 1000);
	struct conn *old = conn_open(rig, CONN_RAW),
		    *fresh = conn_open(rig, CONN_RAW);
	struct job *before[3], *now[100], *later;

	rig->any_log = true;
	if (serviced) {
		rig_drain(rig);
		accepted_before(rig, tp, old, before);
		rig_drain(rig);
	}
	log_ready();
	for (n = 0; n < 100; n++)
		now[n] = job_script(rig, n % 3, LWS_TP_RETURN_SYNC);
	faults_on(what, at, for_good);
	for (n = 0; n < 100; n++) {
		if (!job_enqueue(tp, now[n], fresh->wsi))
			refused++;
	}
	failed = faults_off();
	refusal_is_logged(refused, "lws_threadpool");
	vhost_is_logged(what, failed);
	/* a call that failed has refused something, or cost only speed */
	assert_true(failed || !refused);
	if (refused == 100 && !for_good)
		fail_msg("%s %d: refused for good", what_names[what], at);

	/* all that was accepted goes its way, and so does what comes now */
	later = job_script(rig, 10, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(tp, later, fresh->wsi));
	rig_until_int(rig, &later->cleanups, 1);
	for (n = 0; n < 100; n++)
		if (now[n]->accepted)
			rig_until_int(rig, &now[n]->cleanups, 1);
	if (serviced) {
		closing_do(old, at & 1 ? CLOSING_FIN : CLOSING_TIMEOUT);
		assert_int_equal(atomic_load(&before[0]->cleanups), 1);
		for (n = 1; n < 3; n++)
			rig_until_int(rig, &before[n]->cleanups, 1);
		assert_int_equal(atomic_load(&before[1]->stopping), 1);
	}
	closing_do(fresh, CLOSING_FIN);
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(rig_open_fds(), fds);

	return failed;
}

static void
enqueue_with_each_call_failing(void **state)
{
	int what, at, for_good, serviced, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (serviced = 0; serviced < 2; serviced++)
			for (what = 0; what < RANDOM; what++)
				for (for_good = 0; for_good < 2; for_good++)
					for (at = 1; at < 12; at++)
						if (!enqueue_once(
							    (enum what)what, at,
							    for_good, serviced,
							    opt_in))
							break;
}

/* Task memory runs out with many queued: the next are refused, those before
 * run.  Slots come in chunks that grow, so it may be a while. */
static void
P2_refused_without_memory(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 100000);
	struct gate *g = gate_new(rig);
	struct job *held = job_gated(rig, g), *after = job_new(rig), **j;
	int n, accepted = 0;

	j = calloc(MANY, sizeof(*j));
	assert_non_null(j);
	for (n = 0; n < MANY; n++)
		j[n] = job_new(rig);
	log_ready();
	assert_non_null(job_enqueue(tp, held, NULL));
	wait_int(&held->calls, 1);
	for (n = 0; n < 1000; n++)
		assert_non_null(job_enqueue(tp, j[n], NULL));
	faults_on(MEMORY, 1, 1);
	while (n < MANY && job_enqueue(tp, j[n], NULL))
		n++;
	faults_off();
	accepted = n;
	assert_in_range(accepted, 1000, MANY - 1);
	assert_int_equal(log_claim(LLL_WARN, "memory") +
				 log_claim(LLL_ERR, "memory"),
			 1);
	/* and it works again when there is memory */
	assert_non_null(job_enqueue(tp, after, NULL));
	gate_open(g);
	wait_int(&after->cleanups, 1);
	for (n = 0; n < accepted; n++)
		wait_int(&j[n]->cleanups, 1);
	free(j);
}

/* ---- while it runs ---- */

/* From now on nothing can be had: what is there goes on to its end */
static void
all_fails_while_tasks_stream(void **state)
{
	int what, opt_in, n;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (what = 0; what < RANDOM; what++) {
			struct rig_opts opts = { .opt_in = opt_in };
			struct rig *rig = rig_create(&opts);
			struct lws_threadpool *tp = rig_pool(rig, 2, 100);
			struct conn *c[8];
			struct job *j[8];

			/* a WRITEABLE that lws refuses is rung again later */
			if (what == WRITEABLE) {
				assert_int_equal(rig_destroy(rig), 0);
				continue;
			}
			rig->any_log = true;
			for (n = 0; n < 8; n++) {
				c[n] = conn_open(rig, CONN_RAW);
				j[n] = job_script(rig, n < 4 ? 100 : INT32_MAX,
						  LWS_TP_RETURN_SYNC);
				assert_non_null(job_enqueue(tp, j[n],
							    c[n]->wsi));
			}
			faults_on((enum what)what, 1, 1);
			for (n = 0; n < 8; n++)
				if (n < 4)
					rig_until_int(rig, &j[n]->cleanups, 1);
				else
					closing_do(c[n], CLOSING_TIMEOUT);
			/* S7: one that is SYNCING waits for a turn */
			for (n = 4; n < 8; n++)
				rig_until_int(rig, &j[n]->cleanups, 1);
			rig_pool_destroy(rig, tp);
			rig_context_destroy(rig);
			faults_off();
			assert_int_equal(rig_destroy(rig), 0);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_with_each_call_failing),
		RIG_TEST(P1_some_threads_do_not_start),
		cmocka_unit_test(enqueue_with_each_call_failing),
		RIG_TEST(P2_refused_without_memory),
		cmocka_unit_test(all_fails_while_tasks_stream),
	};

	return cmocka_run_group_tests_name("out of memory, threads and fds",
					   tests, NULL, NULL);
}
