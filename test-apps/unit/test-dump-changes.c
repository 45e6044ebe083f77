/*
 * lws-threadpool unit tests - P5, a pool that changes while it is dumped
 *
 * SPDX-License-Identifier: MIT
 *
 * A dump counts the tasks, takes memory for as many and some more, and writes
 * them down.  What happens between is made to happen here by malloc().
 *
 * LWSTP_WRAP: malloc
 */

#include "harness.h"

static void (*meanwhile)(struct rig *rig);
static struct rig *the_rig;
static struct lws_threadpool *tp;
static pthread_t service_thread;

void *
__real_malloc(size_t size);
void *
__wrap_malloc(size_t size);

void *
__wrap_malloc(size_t size)
{
	void (*hook)(struct rig *rig) = meanwhile;

	if (hook && pthread_equal(pthread_self(), service_thread)) {
		meanwhile = NULL;
		hook(the_rig);
	}

	return __real_malloc(size);
}

static void
make_many(struct rig *rig)
{
	for (int n = 0; n < 100; n++)
		job_enqueue(tp, job_new(rig), NULL);
}

static void
destroy(struct rig *rig)
{
	rig_pool_destroy(rig, tp);
}

static void
dump_while(struct rig *rig, void (*hook)(struct rig *rig))
{
	the_rig = rig;
	service_thread = pthread_self();
	meanwhile = hook;
	lws_threadpool_dump(tp);
	assert_null(meanwhile);
}

static bool
dumps_no_task(void *arg)
{
	(void)arg;
	log_forget();
	lws_threadpool_dump(tp);

	return log_count(LLL_THREAD, " 0 tasks");
}

/* P5: no more lines than there is memory for, and all of them the next time */
static void
tasks_that_come_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct gate *g = gate_new(rig);
	struct job *j;
	int lines;

	tp = rig_pool(rig, 1, 200);
	job_block(rig, tp, g);
	j = job_new(rig);
	j->name = "the-first";
	job_enqueue(tp, j, NULL);
	dump_while(rig, make_many);
	assert_int_equal(log_count(LLL_THREAD, "the-first"), 1);
	lines = log_count(LLL_THREAD, " queued: ");
	assert_in_range(lines, 2, 99);
	assert_int_equal(log_count(LLL_THREAD, "102 tasks"), 1);

	log_forget();
	lws_threadpool_dump(tp);
	assert_int_equal(log_count(LLL_THREAD, " queued: "), 101);
	gate_open(g);
	rig_until_cleaned(rig);
}

/* Q6: it tells nothing of a pool that is no more */
static void
the_pool_goes_meanwhile(void **state)
{
	struct rig *rig = *state;

	tp = rig_pool(rig, 1, 10);
	dump_while(rig, destroy);
	assert_int_equal(log_count(LLL_THREAD, "lws_threadpool_dump"), 0);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_dump"), 1);
}

/* P5: what was reaped is not counted any more */
static void
nothing_is_left(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);

	tp = rig_pool(rig, 1, 10);
	c->manual = true;
	for (int n = 0; n < 3; n++) {
		struct job *j = job_script(rig, n, LWS_TP_RETURN_SYNC);

		job_enqueue(tp, j, c->wsi);
		if (n == 2)
			lws_threadpool_dequeue_task(j->task);
		else if (n) {
			wait_status(j, LWS_TP_STATUS_SYNCING);
			lws_threadpool_task_sync(j->task, 0);
		}
		if (n < 2) {
			wait_status(j, LWS_TP_STATUS_FINISHED);
			lws_threadpool_task_status(j->task, NULL);
		}
		rig_until_int(rig, &j->cleanups, 1);
	}
	/* a task is put back after its cleanup, on a pool thread */
	rig_until(rig, dumps_no_task, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(tasks_that_come_meanwhile),
		RIG_TEST(the_pool_goes_meanwhile),
		RIG_TEST(nothing_is_left),
	};

	return cmocka_run_group_tests_name("dump", tests, NULL, NULL);
}
