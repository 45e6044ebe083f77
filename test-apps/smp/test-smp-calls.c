/*
 * lws-threadpool - calls, handles of a wsi and attaches on several service
 * threads (W3, R1, R2, K3)
 *
 * SPDX-License-Identifier: MIT
 *
 * There is a connection on each, and what a test does there it does by calls.
 */

#include "each.h"

#define CALLERS 3
#define EACH	2000 /* calls of a caller to a service thread */

/* -------- a job -------- */

struct job {
	atomic_int go, cleanups;
	struct lws *wsi;
	int tsi;
	bool right_thread;
};

static enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *j = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&j->go))
		return LWS_TP_RETURN_FINISHED;

	return lws_threadpool_park(1000);
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *j = user;

	j->wsi = wsi;
	j->right_thread = !wsi ||
			  (smp_is_thread(j->tsi) && lws_get_tsi(wsi) == j->tsi);
	atomic_fetch_add(&j->cleanups, 1);
}

/* -------- R1 -------- */

struct caller {
	struct numbered {
		struct caller *caller;
		int tsi, number;
	} all[SMP_THREADS][EACH];
	pthread_t thread;
	int next[SMP_THREADS]; /* its service thread's */
	atomic_int called[SMP_THREADS];
	atomic_int refused, disordered;
};

static struct caller callers[CALLERS];

static void
in_order(struct lws_context *cx, void *arg)
{
	struct numbered *n = arg;

	if (!cx || !smp_is_thread(n->tsi) ||
	    n->caller->next[n->tsi] != n->number)
		atomic_fetch_add(&n->caller->disordered, 1);
	n->caller->next[n->tsi]++;
	atomic_fetch_add(&n->caller->called[n->tsi], 1);
}

static void *
call_all(void *arg)
{
	struct caller *c = arg;

	for (int n = 0; n < EACH; n++)
		for (int tsi = 0; tsi < SMP_THREADS; tsi++) {
			c->all[tsi][n] = (struct numbered){ c, tsi, n };
			if (lws_threadpool_call(smp_tp, tsi, in_order,
						&c->all[tsi][n]))
				atomic_fetch_add(&c->refused, 1);
		}

	return NULL;
}

/* R1: each tsi's on its own thread, in the order of each caller's to it */
static void
R1_each_service_thread_has_its_own(void **state)
{
	(void)state;
	each_begin(NULL);
	memset(callers, 0, sizeof(callers));
	for (int n = 0; n < CALLERS; n++)
		assert_int_equal(pthread_create(&callers[n].thread, NULL,
						call_all, &callers[n]),
				 0);
	for (int n = 0; n < CALLERS; n++) {
		pthread_join(callers[n].thread, NULL);
		for (int tsi = 0; tsi < SMP_THREADS; tsi++)
			smp_wait_int(&callers[n].called[tsi], EACH);
		assert_int_equal(atomic_load(&callers[n].refused), 0);
		assert_int_equal(atomic_load(&callers[n].disordered), 0);
	}
	each_end();
}

static atomic_int with_null;

static void
note_null(struct lws_context *cx, void *arg)
{
	if (!cx && pthread_equal(*(pthread_t *)arg, pthread_self()))
		atomic_fetch_add(&with_null, 1);
}

/* R1: no such tsi; and those of all of them that are left at the context's end
 * are called with NULL, by the thread that ends it */
static void
R1_no_such_thread_and_the_end(void **state)
{
	pthread_t self = pthread_self();

	(void)state;
	each_begin(NULL);
	assert_int_equal(lws_threadpool_call(smp_tp, -1, note_null, &self), -1);
	assert_int_equal(
		lws_threadpool_call(smp_tp, SMP_THREADS, note_null, &self), -1);
	each_threads_end();
	atomic_store(&with_null, 0);
	for (int n = 0; n < 3 * SMP_THREADS; n++)
		assert_int_equal(lws_threadpool_call(smp_tp, n % SMP_THREADS,
						     note_null, &self),
				 0);
	lws_context_destroy(smp_context);
	smp_context = NULL;
	assert_int_equal(atomic_load(&with_null), 3 * SMP_THREADS);
	each_end();
}

/* -------- R2 -------- */

static void
get_handle(struct step *step)
{
	step->wsi = atomic_load(&on[step->tsi].wsi);
	step->h = lws_threadpool_wsi_handle(smp_tp, step->wsi);
	step->wsi = lws_threadpool_wsi_get(step->h);
}

static void
get_wsi(struct step *step)
{
	step->wsi = lws_threadpool_wsi_get(step->h);
}

static void
ask(struct step *step)
{
	step->ret = lws_threadpool_wsi_writeable(step->h);
}

/* R2: a wsi is for its own service thread, a WRITEABLE comes on that whoever
 * asks */
static void
R2_on_its_own_thread(void **state)
{
	struct step step[SMP_THREADS];
	int before;

	(void)state;
	each_begin(NULL);
	memset(step, 0, sizeof(step));
	for (int n = 0; n < SMP_THREADS; n++) {
		run_on(&step[n], n, get_handle);
		assert_non_null(step[n].h);
		assert_ptr_equal(step[n].wsi, atomic_load(&on[n].wsi));
	}
	for (int n = 0; n < SMP_THREADS; n++)
		for (int other = 0; other < SMP_THREADS; other++) {
			struct step s = { .h = step[n].h };

			run_on(&s, other, get_wsi);
			if (n == other)
				assert_ptr_equal(s.wsi, step[n].wsi);
			else
				assert_null(s.wsi);
			before = atomic_load(&on[n].writeables);
			run_on(&s, other, ask);
			assert_int_equal(s.ret, 0);
			smp_wait_int(&on[n].writeables, before + 1);
		}
	each_end();
}

/* -------- K3 -------- */

static void
put_job(struct step *step)
{
	struct lws_threadpool_task_args args;
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	memset(&args, 0, sizeof(args));
	args.wsi = atomic_load(&on[step->tsi].wsi);
	args.user = step->job;
	args.task = job_task;
	args.cleanup = job_cleanup;
	step->task = lws_threadpool_enqueue(smp_tp, &args, "job");
	step->ret = step->task ?
			    lws_threadpool_task_token(step->task, 0, token) :
			    -1;
}

/* K3: on the service thread of the new wsi, and of the one that it leaves,
 * until that has closed */
static void
K3_not_from_another_service_thread(void **state)
{
	struct job job = { .tsi = 1 };
	struct step s = { .job = &job };
	struct lws *to;

	(void)state;
	each_begin(NULL);
	to = atomic_load(&on[1].wsi);
	run_on(&s, 0, put_job);
	assert_int_equal(s.ret, 0);
	s.wsi = to;
	run_on(&s, 1, step_attach);
	assert_int_equal(s.ret, -1);
	assert_int_equal(s.why, LWS_TP_REFUSED_WRONG_THREAD);
	assert_int_equal(lws_threadpool_task_attached(s.task), 1);
	assert_int_equal(atomic_load(&job.cleanups), 0);

	each_hang_up(0);
	run_on(&s, 1, step_attach);
	assert_int_equal(s.ret, 0);
	atomic_store(&job.go, 1);
	smp_wait_int(&job.cleanups, 1);
	assert_ptr_equal(job.wsi, to);
	assert_true(job.right_thread);
	each_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R1_each_service_thread_has_its_own),
		cmocka_unit_test(R1_no_such_thread_and_the_end),
		cmocka_unit_test(R2_on_its_own_thread),
		cmocka_unit_test(K3_not_from_another_service_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
