/*
 * lws-threadpool unit tests - Q6: a task, or its pool, ends in the midst of a
 * call that was given its handle
 *
 * SPDX-License-Identifier: MIT
 *
 * A call looks at the handle, and then takes a lock.  Here what it names ends
 * between the two: at each lock that the call takes, one after the other.
 *
 * LWSTP_WRAP: pthread_mutex_lock pthread_mutex_unlock
 */

#include "tokens.h"

/* of this thread: what is done before that lock, counted down from locks_left,
 * unless it holds one already */
static _Thread_local void (*meanwhile)(void);
static _Thread_local int locks_left, held;

int
__real_pthread_mutex_lock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int
__real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int
__wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

#if defined(UNINSTRUMENTED)
UNINSTRUMENTED
#endif
int
__wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	void (*what)(void) = meanwhile;

	if (what && !held && !--locks_left) {
		meanwhile = NULL;
		what();
	}
	held++;

	return __real_pthread_mutex_lock(mutex);
}

#if defined(UNINSTRUMENTED)
UNINSTRUMENTED
#endif
int
__wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	held--;

	return __real_pthread_mutex_unlock(mutex);
}

/* One try: the service thread is the test's */
static struct scene {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c; /* with a handle, so that is known */
	struct gate *gate;
	struct job *j; /* waits for the gate, or is kept */
	bool keeps;
} now;

static void
it_ends(void)
{
	gate_open(now.gate);
	wait_int(&now.j->cleanups, 1);
}

static void
it_is_reaped(void)
{
	lws_threadpool_dequeue_task(now.j->task);
	assert_int_equal(atomic_load(&now.j->cleanups), 1);
}

static void
it_is_attached(void)
{
	assert_int_equal(lws_threadpool_task_attach(now.j->task, now.c->wsi),
			 0);
}

static void
its_pool_ends(void)
{
	rig_pool_destroy(now.rig, now.tp);
}

static void
scene_begin(struct rig *rig, bool keeps)
{
	now.rig = rig;
	now.tp = rig_pool(rig, 1, 10);
	now.c = conn_open(rig, CONN_RAW);
	now.c->manual = true;
	assert_non_null(lws_threadpool_wsi_handle(now.tp, now.c->wsi));
	now.gate = gate_new(rig);
	now.keeps = keeps;
	now.j = keeps ? tokens_keep(rig, now.tp) :
			job_block(rig, now.tp, now.gate);
}

/* true: the call took so many locks, and it ended before the last of them */
static bool
at_lock(int n, void (*what)(void), int (*call)(void), int *ret)
{
	bool done;

	locks_left = n;
	meanwhile = what;
	*ret = call();
	done = !meanwhile;
	meanwhile = NULL;

	return done;
}

/* what the call returns if it is too late, and else.  How often it was. */
static int
at_each_lock(struct rig *rig, bool keeps, void (*what)(void), int (*call)(void),
	     int late, int else_ret)
{
	int n, ret, times = 0;
	bool done = true;

	for (n = 1; done; n++) {
		scene_begin(rig, keeps);
		done = at_lock(n, what, call, &ret);
		assert_true(ret == late || ret == else_ret);
		times += done && ret == late;
		if (!done)
			assert_int_equal(ret, else_ret);
		log_claim(LLL_ERR, "");
		log_claim(LLL_WARN, "");
		gate_open(now.gate);
		rig_pool_destroy(rig, now.tp);
	}

	return times;
}

/* ---- of a task ---- */

static int
give(void)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	return lws_threadpool_task_token(now.j->task, 0, token);
}

static int
attach(void)
{
	return lws_threadpool_task_attach(now.j->task, now.c->wsi);
}

static int
info(void)
{
	struct lws_threadpool_task_info i = { .size = sizeof(i) };

	return lws_threadpool_task_get_info(now.j->task, &i);
}

static int
see(const struct lws_threadpool_task_info *i, void *arg)
{
	(void)arg;
	assert_ptr_equal(i->task, now.j->task);

	return 1;
}

/* -1: it saw none */
static int
walk(void)
{
	return lws_threadpool_foreach_task(now.tp, NULL, see) ? 0 : -1;
}

static int
stop_it(void)
{
	lws_threadpool_task_sync(now.j->task, 1);

	return 0;
}

/* K1, K3, N3: as if it had ended before */
static void
a_task_ends(void **state)
{
	struct rig *rig = *state;

	assert_true(at_each_lock(rig, false, it_ends, give, -1, 0) >= 2);
	assert_true(at_each_lock(rig, false, it_ends, attach, -1, 0) >= 1);
	assert_true(at_each_lock(rig, false, it_ends, info, -1, 0) >= 1);
	assert_true(at_each_lock(rig, false, it_ends, walk, -1, 0) >= 1);
	at_each_lock(rig, false, it_ends, stop_it, 0, 0);
	rig_until_cleaned(rig);
}

static int
status(void)
{
	return lws_threadpool_task_status(now.j->task, NULL) ==
			       LWS_TP_STATUS_FINISHED ?
		       0 :
		       -1;
}

static int
status_and_user(void)
{
	void *user = NULL;

	lws_threadpool_task_status(now.j->task, &user);
	assert_true(!user || user == now.j);

	return user ? 0 : -1;
}

static int
dequeue(void)
{
	return lws_threadpool_dequeue_task(now.j->task);
}

/* K4: a kept one is reaped once, whoever does it; and not if it was attached
 * meanwhile */
static void
a_kept_one_goes(void **state)
{
	struct rig *rig = *state;

	at_each_lock(rig, true, it_is_reaped, status, 0, 0);
	assert_true(at_each_lock(rig, true, it_is_reaped, status_and_user, -1,
				 0) >= 1);
	at_each_lock(rig, true, it_is_reaped, dequeue, 0, 0);
	assert_true(at_each_lock(rig, true, it_is_reaped, attach, -1, 0) >= 1);
	assert_true(at_each_lock(rig, true, it_is_reaped, info, -1, 0) >= 1);
	for (int n = 0; n < 2; n++) {
		int ret;

		scene_begin(rig, true);
		assert_true(at_lock(1, it_is_attached, n ? status : dequeue,
				    &ret));
		assert_int_equal(atomic_load(&now.j->cleanups), 0);
		assert_int_equal(lws_threadpool_task_attached(now.j->task), 1);
		now.c->manual = false;
		rig_until_int(rig, &now.j->cleanups, 1);
		assert_ptr_equal(now.j->cleanup_wsi, now.c->wsi);
	}
	rig_until_cleaned(rig);
}

/* ---- of a pool ---- */

static atomic_int called;

static void
note_call(struct lws_context *context, void *arg)
{
	assert_non_null(context);
	assert_null(arg);
	atomic_fetch_add(&called, 1);
}

static int
call(void)
{
	return lws_threadpool_call(now.tp, 0, note_call, NULL);
}

static int
drain(void)
{
	return lws_threadpool_drain(now.tp);
}

static int
by_token(void)
{
	static const char none[] = "0123456789abcdef0123456789abcdef";

	return lws_threadpool_task_by_token(now.tp, none) ? 0 : -1;
}

static int
stats(void)
{
	struct lws_threadpool_stats s = { .size = sizeof(s) };

	return lws_threadpool_get_stats(now.tp, &s);
}

static int
metrics(void)
{
	return lws_threadpool_metrics(now.tp, NULL, 0) < 0 ? -1 : 0;
}

static int
finish(void)
{
	lws_threadpool_finish(now.tp);

	return 0;
}

/* It finishes already: so that is why, whatever comes meanwhile.  On 32 bits a
 * slot is taken with a lock: then the pool can be gone before it is asked. */
static int
enqueue(void)
{
	enum lws_threadpool_refused why;

	assert_null(job_enqueue(now.tp, job_new(now.rig), NULL));
	why = lws_threadpool_refused();
	if (UINTPTR_MAX <= 0xffffffffu && why == LWS_TP_REFUSED_ARGS)
		return 0;

	return why == LWS_TP_REFUSED_FINISHING ? 0 : -1;
}

/* a pool that has no task; true: as at_lock() */
static bool
pool_at_lock(struct rig *rig, int n, int (*what)(void), int *ret)
{
	bool done;

	memset(&now, 0, sizeof(now));
	now.rig = rig;
	now.tp = rig_pool(rig, 1, 10);
	if (what == enqueue)
		lws_threadpool_finish(now.tp);
	done = at_lock(n, its_pool_ends, what, ret);
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");

	return done;
}

/* Q6, R1: stale, or it was in time: then a call is made though its pool was
 * destroyed meanwhile */
static void
a_pool_ends(void **state)
{
	int (*const calls[])(void) = { call,	drain,	by_token, stats,
				       metrics, finish, enqueue };
	struct rig *rig = *state;
	int ret, accepted = 0;

	for (size_t i = 0; i < LWS_ARRAY_SIZE(calls); i++)
		for (int n = 1; pool_at_lock(rig, n, calls[i], &ret); n++) {
			if (calls[i] == stats || calls[i] == metrics)
				assert_int_equal(ret, n == 1 ? -1 : 0);
			if (calls[i] == enqueue || calls[i] == drain)
				assert_int_equal(ret, 0);
			if (calls[i] == call) {
				assert_true(n > 1 || ret == -1);
				accepted += !ret;
			}
		}
	/* and the one at the end, to which nothing happened */
	assert_true(accepted >= 1);
	rig_until_int(rig, &called, accepted + 1);
	rig_drain(rig);
	assert_int_equal(atomic_load(&called), accepted + 1);
}

/* ---- of the tasks of a walk ---- */

#define TASKS 40

struct others {
	struct lws_threadpool *tp, *other;
	struct gate *gate, *later;
	struct job *j[TASKS];
	int told;
};

/* the others end, and new ones, of this pool and of another, take their
 * places */
static int
end_the_others(const struct lws_threadpool_task_info *i, void *arg)
{
	struct others *o = arg;

	if (!o->told++) {
		gate_open(o->gate);
		for (int n = 0; n < TASKS; n++)
			wait_int(&o->j[n]->cleanups, 1);
		for (int n = 0; n < TASKS; n++)
			assert_non_null(job_enqueue(
				n & 1 ? o->tp : o->other,
				job_gated(now.rig, o->later), NULL));
	}

	return i->user ? 0 : 1;
}

/* N3: only those that were there when it began */
static void
others_in_their_places(void **state)
{
	struct others o = { .told = 0 };

	now.rig = *state;
	o.tp = rig_pool(now.rig, 2, 100);
	o.other = rig_pool(now.rig, 1, 100);
	o.gate = gate_new(now.rig);
	o.later = gate_new(now.rig);
	for (int n = 0; n < TASKS; n++) {
		o.j[n] = job_gated(now.rig, o.gate);
		assert_non_null(job_enqueue(o.tp, o.j[n], NULL));
	}
	assert_int_equal(lws_threadpool_foreach_task(o.tp, &o, end_the_others),
			 0);
	assert_int_equal(o.told, 1);
	gate_open(o.later);
	rig_until_cleaned(now.rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(a_task_ends),
		RIG_TEST(a_kept_one_goes),
		RIG_TEST(a_pool_ends),
		RIG_TEST(others_in_their_places),
	};

	return cmocka_run_group_tests_name("meanwhile", tests, NULL, NULL);
}
