/*
 * lws-threadpool unit tests - N3, every task of a pool is shown, and what the
 * callback may do meanwhile
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: malloc calloc realloc aligned_alloc posix_memalign
 */

#include <errno.h>

#include "numbers.h"

/* ---- no memory ---- */

static _Thread_local bool no_memory;

#define WRAP(ret, name, args) \
	ret __real_##name args; \
	ret __wrap_##name args; \
	ret __wrap_##name args

WRAP(void *, malloc, (size_t size))
{
	errno = ENOMEM;

	return no_memory ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, (size_t n, size_t size))
{
	errno = ENOMEM;

	return no_memory ? NULL : __real_calloc(n, size);
}

WRAP(void *, realloc, (void *p, size_t size))
{
	errno = ENOMEM;

	return no_memory ? NULL : __real_realloc(p, size);
}

WRAP(void *, aligned_alloc, (size_t align, size_t size))
{
	errno = ENOMEM;

	return no_memory ? NULL : __real_aligned_alloc(align, size);
}

WRAP(int, posix_memalign, (void **p, size_t align, size_t size))
{
	return no_memory ? ENOMEM : __real_posix_memalign(p, align, size);
}

/* ---- a pool with a task in each state ---- */

#define EACH 3
#define ALL  (5 * EACH + 2)

struct shown {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;
	struct gate *gate;
	struct job *j[ALL];
	int visits[ALL], strangers, total;
	int at; /* what is done there */
	int stop_at;
};

/* done, SYNCING, parked with and without a wsi, running, queued; two threads */
static void
shown_begin(struct rig *rig, struct shown *s)
{
	int n = 0;

	memset(s, 0, sizeof(*s));
	s->rig = rig;
	s->tp = rig_pool(rig, 2, 100);
	s->c = conn_open(rig, CONN_RAW);
	s->c->manual = true;
	s->gate = gate_new(rig);
	for (int m = 0; m < EACH; m++) {
		s->j[n] = job_new(rig);
		job_enqueue(s->tp, s->j[n], s->c->wsi);
		wait_status(s->j[n++], LWS_TP_STATUS_FINISHED);
		s->j[n++] = job_park(rig, s->tp, s->c->wsi);
		s->j[n++] = job_sleep(rig, s->tp, m ? s->c->wsi : NULL);
	}
	for (int m = 0; m < 2; m++)
		s->j[n++] = job_block(rig, s->tp, s->gate);
	while (n < ALL) {
		s->j[n] = job_new(rig);
		assert_non_null(job_enqueue(s->tp, s->j[n],
					    n & 1 ? s->c->wsi : NULL));
		n++;
	}
}

static void
shown_end(struct shown *s)
{
	gate_open(s->gate);
	for (int n = 0; n < ALL; n++)
		lws_threadpool_task_wake(s->j[n]->task);
	s->c->manual = false;
	lws_callback_on_writable(s->c->wsi);
	rig_until_cleaned(s->rig);
}

/* which of them that is, or -1 */
static int
shown_as(struct shown *s, const struct lws_threadpool_task_info *info)
{
	for (int n = 0; n < ALL; n++)
		if (s->j[n]->task == info->task)
			return s->j[n] == info->user ? n : -1;

	return -1;
}

static int
count(const struct lws_threadpool_task_info *info, void *arg)
{
	struct shown *s = arg;
	int n = shown_as(s, info);

	if (n < 0)
		s->strangers++;
	else
		s->visits[n]++;
	s->total++;

	return s->total == s->stop_at ? 77 : 0;
}

static void
each_once(struct shown *s)
{
	for (int n = 0; n < ALL; n++)
		assert_int_equal(s->visits[n], 1);
	assert_int_equal(s->strangers, 0);
	memset(s->visits, 0, sizeof(s->visits));
	s->total = 0;
}

static int
from_a_task(struct job *j, enum lws_threadpool_task_status status)
{
	struct shown *s = j->priv;

	(void)status;
	if (lws_threadpool_foreach_task(s->tp, s, count))
		job_fault(j, "not walked to the end");

	return LWS_TP_RETURN_FINISHED;
}

/* N3: each of this pool once, in whatever state, on any thread; other than 0
 * ends it; without a callback, or without memory, it is -1 */
static void
each_is_shown_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *empty = rig_pool(rig, 1, 10);
	struct job *other = job_new(rig);
	struct shown s;
	int r;

	shown_begin(rig, &s);
	assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, count), 0);
	each_once(&s);
	other->fn = from_a_task;
	other->priv = &s;
	job_enqueue(empty, other, NULL);
	wait_int(&other->cleanups, 1);
	each_once(&s);

	for (int n = 1; n <= ALL; n++) {
		s.stop_at = n;
		assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, count),
				 1);
		assert_int_equal(s.total, n);
		s.total = 0;
	}
	wait_stat(empty, running, 0);
	assert_int_equal(lws_threadpool_foreach_task(empty, &s, count), 0);
	assert_int_equal(s.total, 0);
	assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, NULL), -1);
	no_memory = true;
	r = lws_threadpool_foreach_task(s.tp, &s, count);
	no_memory = false;
	assert_int_equal(r, -1);
	assert_int_equal(s.total, 0);
	log_claim(LLL_ERR, "");
	shown_end(&s);
}

/* N3, Q6 */
static void
stale_pools(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct shown s = { .total = 0 };

	rig_pool_destroy(rig, tp);
	assert_int_equal(lws_threadpool_foreach_task(tp, &s, count), -1);
	assert_int_equal(lws_threadpool_foreach_task(NULL, &s, count), -1);
	assert_int_equal(lws_threadpool_foreach_task((void *)rig, &s, count),
			 -1);
	assert_int_equal(s.total, 0);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_foreach_task"), 3);
}

/* ---- what the callback does ---- */

static bool
has_ended(const struct lws_threadpool_task_info *info)
{
	return info->status == LWS_TP_STATUS_FINISHED ||
	       info->status == LWS_TP_STATUS_STOPPED;
}

/* Reaps what is done, dequeues what is queued, answers, wakes, puts a new one
 * in, and walks once more: in each visit */
static int
do_all(const struct lws_threadpool_task_info *info, void *arg)
{
	struct shown *s = arg, nested = *s;

	count(info, s);
	if (lws_threadpool_task_get_info(info->task,
					 &(struct lws_threadpool_task_info){
						 .size = sizeof(*info) }))
		s->strangers++;
	assert_non_null(job_enqueue(s->tp, job_new(s->rig), s->c->wsi));
	nested.total = 0;
	assert_int_equal(lws_threadpool_foreach_task(s->tp, &nested, count), 0);
	assert_true(nested.total >= 1);
	if (has_ended(info))
		lws_threadpool_task_status(info->task, NULL);
	else if (info->status == LWS_TP_STATUS_QUEUED)
		lws_threadpool_dequeue_task(info->task);
	else
		lws_threadpool_task_sync(info->task, 0);
	lws_threadpool_task_wake(info->task);
	lws_threadpool_dump(s->tp);

	return 0;
}

/* Q3 for all tasks: those that were there when it began, and no new one */
static void
it_may_call_everything(void **state)
{
	struct shown s;

	shown_begin(*state, &s);
	assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, do_all), 0);
	for (int n = 0; n < ALL; n++)
		assert_int_equal(s.visits[n], 1);
	assert_int_equal(s.strangers, 0);
	shown_end(&s);
}

static int
end_the_others(const struct lws_threadpool_task_info *info, void *arg)
{
	struct shown *s = arg;

	count(info, s);
	for (int n = 0; n < ALL; n++)
		if (s->j[n]->task != info->task) {
			lws_threadpool_task_status(s->j[n]->task, NULL);
			lws_threadpool_dequeue_task(s->j[n]->task);
		}
	for (int n = 0; n < ALL && s->total == 1; n++)
		assert_non_null(job_enqueue(s->tp, job_new(s->rig), s->c->wsi));

	return 0;
}

/* N3: "and still is": what is reaped meanwhile is not shown, nor what has its
 * place */
static void
those_that_go_are_not_shown(void **state)
{
	struct rig *rig = *state;
	struct shown s;
	int gone = 0;

	shown_begin(rig, &s);
	assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, end_the_others),
			 0);
	assert_int_equal(s.strangers, 0);
	for (int n = 0; n < ALL; n++) {
		assert_true(s.visits[n] <= 1);
		if (s.visits[n])
			continue;
		gone++;
		/* it was reaped, for it was done or queued */
		assert_int_equal(atomic_load(&s.j[n]->cleanups), 1);
	}
	/* each of them but one, if one was the first to be shown */
	assert_true(gone >= 2 * EACH - 1);
	shown_end(&s);
}

static int
as_it_is_now(const struct lws_threadpool_task_info *info, void *arg)
{
	struct shown *s = arg;
	int n = shown_as(s, info);

	count(info, s);
	if (n < 0)
		return 0;
	if (s->total == 1)
		for (int m = 0; m < ALL; m++)
			lws_threadpool_task_sync(s->j[m]->task, 1);
	else if (!has_ended(info) && info->status != LWS_TP_STATUS_STOPPING)
		s->strangers++;

	return 0;
}

static void
each_is_shown_as_it_is_then(void **state)
{
	struct shown s;

	shown_begin(*state, &s);
	assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, as_it_is_now),
			 0);
	assert_int_equal(s.strangers, 0);
	assert_true(s.total > EACH);
	shown_end(&s);
}

static int
destroy_it(const struct lws_threadpool_task_info *info, void *arg)
{
	struct shown *s = arg;

	count(info, s);
	if (s->total == s->at)
		rig_pool_destroy(s->rig, s->tp);

	return 0;
}

/* P4, N3: the pool itself, too: then there is none to be shown any more */
static void
it_may_destroy_the_pool(void **state)
{
	static const int at[] = { 1, 2, 7, ALL };
	struct shown s;

	for (size_t n = 0; n < LWS_ARRAY_SIZE(at); n++) {
		shown_begin(*state, &s);
		s.at = at[n];
		gate_open(s.gate);
		lws_threadpool_foreach_task(s.tp, &s, destroy_it);
		assert_true(s.total <= at[n]);
		assert_int_equal(s.strangers, 0);
		if (s.total < at[n]) /* some had gone before */
			rig_pool_destroy(s.rig, s.tp);
		assert_true(rig_is_cleaned(s.rig));
		assert_int_equal(lws_threadpool_foreach_task(s.tp, &s, count),
				 -1);
	}
	log_claim(LLL_ERR, "lws_threadpool_foreach_task");
}

/* ---- at any moment ---- */

struct walker {
	pthread_t thread;
	struct lws_threadpool *tp;
	atomic_int quit, walks, wrong;
};

static int
look_closely(const struct lws_threadpool_task_info *info, void *arg)
{
	struct walker *w = arg;

	if (info->size != sizeof(*info) || !info->task || !info->user ||
	    strcmp(info->name, "job") || info->state_us > info->age_us ||
	    info->thread < -1 || info->thread > 1)
		atomic_fetch_add(&w->wrong, 1);

	return 0;
}

static void *
walk(void *arg)
{
	struct walker *w = arg;

	while (!atomic_load(&w->quit)) {
		if (lws_threadpool_foreach_task(w->tp, w, look_closely))
			atomic_fetch_add(&w->wrong, 1);
		atomic_fetch_add(&w->walks, 1);
	}

	return NULL;
}

/* N3: beside tasks that come, work and go */
static void
from_any_thread_at_any_moment(void **state)
{
	struct rig *rig = *state;
	struct walker w = { .tp = rig_pool(rig, 2, 1000) };
	struct conn *c = conn_open(rig, CONN_RAW);

	assert_int_equal(pthread_create(&w.thread, NULL, walk, &w), 0);
	for (int n = 0; n < 2000; n++) {
		job_enqueue(w.tp,
			    job_script(rig, n % 4,
				       n & 4 ? LWS_TP_RETURN_SYNC :
					       LWS_TP_RETURN_CHECKING_IN),
			    n & 1 ? c->wsi : NULL);
		if (n % 20 == 0)
			rig_turns(rig, 2);
	}
	log_claim(LLL_WARN, "max_queue_depth");
	rig_until_cleaned(rig);
	rig_until_int(rig, &w.walks, 100);
	atomic_store(&w.quit, 1);
	pthread_join(w.thread, NULL);
	assert_int_equal(atomic_load(&w.wrong), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(each_is_shown_once),
		RIG_TEST(stale_pools),
		RIG_TEST(it_may_call_everything),
		RIG_TEST(those_that_go_are_not_shown),
		RIG_TEST(each_is_shown_as_it_is_then),
		RIG_TEST(it_may_destroy_the_pool),
		RIG_TEST(from_any_thread_at_any_moment),
	};

	return cmocka_run_group_tests_name("N3 foreach", tests, NULL, NULL);
}
