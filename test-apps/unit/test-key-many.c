/*
 * lws-threadpool unit tests - O1, very many keys, and keys of many threads
 *
 * SPDX-License-Identifier: MIT
 */

#include "keyed.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTHER_MALLOC
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTHER_MALLOC
#endif

#define KEYS 20000

/* ---- many ---- */

static atomic_int many_ran, many_cleaned;

static enum lws_threadpool_task_return
many_task(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	atomic_fetch_add(&many_ran, 1);

	return LWS_TP_RETURN_FINISHED;
}

static void
many_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	atomic_fetch_add(&many_cleaned, 1);
}

static void
many_enqueue(struct lws_threadpool *tp, uintptr_t key)
{
	const struct lws_threadpool_task_options o = {
		.size = sizeof(o), .key = (const void *)key, .key_max = 1
	};
	struct lws_threadpool_task_args args;

	memset(&args, 0, sizeof(args));
	args.task = many_task;
	args.cleanup = many_cleanup;
	assert_non_null(lws_threadpool_enqueue_ext(tp, &args, &o, "many"));
}

static void
many_begin(void)
{
	atomic_store(&many_ran, 0);
	atomic_store(&many_cleaned, 0);
}

/* O1: each its own, all at once, twice: and three tasks for each */
static void
at_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 3 * KEYS);
	struct gate *gate;

	for (int round = 0; round < 2; round++) {
		many_begin();
		gate = gate_new(rig);
		job_block(rig, tp, gate);
		job_block(rig, tp, gate);
		for (uintptr_t n = 0; n < 3 * KEYS; n++)
			many_enqueue(tp, 64 * (n % KEYS + 1));
		gate_open(gate);
		wait_int(&many_cleaned, 3 * KEYS);
		assert_int_equal(atomic_load(&many_ran), 3 * KEYS);
	}
}

/* in use by the process, as far as malloc knows */
static size_t
allocated(void)
{
#if defined(__GLIBC__) && !defined(OTHER_MALLOC) && \
	(__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
	return mallinfo2().uordblks;
#else
	return 0;
#endif
}

/* O1: one after the other: what was known of a key goes with its last task */
static void
one_after_the_other(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, KEYS);
	uintptr_t key = 1;
	size_t before = 0;

	for (int round = 0; round < 10; round++) {
		many_begin();
		for (int n = 0; n < KEYS / 10; n++)
			many_enqueue(tp, key++ << 4);
		wait_int(&many_cleaned, KEYS / 10);
		job_fence(rig, tp);
		if (round == 4)
			before = allocated();
	}
	/* 10,000 more keys were used */
	assert_true(allocated() < before + 10000 * 8);
}

/* O1: held back by one of them, all the others pass, and in a time that does
 * not grow with the number of those that wait: else this test does not end */
static void
passing_many_that_wait(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 4 * KEYS);
	struct gate *gate = gate_new(rig);
	struct served *first = keyed_gated(rig, (const void *)16, 1, gate);

	many_begin();
	assert_non_null(served_enqueue(tp, first, NULL));
	wait_int(&first->j->calls, 1);
	for (int n = 0; n < KEYS; n++)
		many_enqueue(tp, 16);
	for (uintptr_t n = 0; n < KEYS; n++)
		many_enqueue(tp, 64 * (n + 1));
	wait_int(&many_cleaned, KEYS);
	assert_int_equal(atomic_load(&many_ran), KEYS);
	gate_open(gate);
	wait_int(&many_cleaned, 2 * KEYS);
}

/* ---- many threads ---- */

#define THREADS 3
#define EACH	200
#define LANES	4

static struct lane lanes[LANES];

struct enqueuer {
	struct lws_threadpool *tp;
	struct served *s[EACH];
	pthread_t thread;
};

static void *
enqueue_all(void *arg)
{
	struct enqueuer *e = arg;

	for (int n = 0; n < EACH; n++) {
		if (!served_enqueue(e->tp, e->s[n], NULL))
			job_fault(e->s[n]->j, "refused");
		/* some are dequeued, or stopped, whatever they do by then */
		if (n % 11 == 3)
			lws_threadpool_dequeue_task(e->s[n]->j->task);
		if (n % 13 == 5)
			lws_threadpool_task_sync(e->s[n]->j->task, 1);
	}

	return NULL;
}

/* O1: enqueued, dequeued and stopped by several threads at once: no limit is
 * passed, no task is lost, and those of a thread and a key start in order */
static void
used_by_many_threads(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, THREADS * EACH);
	struct enqueuer e[THREADS];
	int last;

	memset(lanes, 0, sizeof(lanes));
	for (int t = 0; t < THREADS; t++) {
		e[t].tp = tp;
		for (int n = 0; n < EACH; n++) {
			e[t].s[n] = keyed_counted(rig, &lanes[n % LANES],
						  1 + n % LANES, n % 5,
						  LWS_TP_RETURN_CHECKING_IN);
			e[t].s[n]->elsewhere = true;
		}
	}
	for (int t = 0; t < THREADS; t++)
		assert_int_equal(pthread_create(&e[t].thread, NULL, enqueue_all,
						&e[t]),
				 0);
	for (int t = 0; t < THREADS; t++)
		pthread_join(e[t].thread, NULL);
	rig_until_cleaned(rig);
	for (int n = 0; n < LANES; n++) {
		assert_true(atomic_load(&lanes[n].most) <= 1 + n);
		assert_int_equal(atomic_load(&lanes[n].inside), 0);
	}
	/* of the lane with limit 1 */
	for (int t = 0; t < THREADS; t++) {
		last = -1;
		for (int n = 0; n < EACH; n += LANES) {
			if (!atomic_load(&e[t].s[n]->j->calls))
				continue;
			assert_true(e[t].s[n]->j->data > last);
			last = e[t].s[n]->j->data;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED_TEST(at_once),
		SERVED_TEST(one_after_the_other),
		SERVED_TEST(passing_many_that_wait),
		SERVED_TEST(used_by_many_threads),
	};

	return cmocka_run_group_tests_name("O1 many", tests, NULL, NULL);
}
