/*
 * lws-threadpool unit tests - lws_threadpool_refused() without memory, threads
 * and fds
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_INSIDE
 * LWSTP_WRAP: malloc calloc realloc aligned_alloc posix_memalign mmap
 * LWSTP_WRAP: pthread_create eventfd socket fcntl
 * LWSTP_WRAP: lws_adopt_descriptor_vhost_via_info
 */

#include <sys/socket.h>

#include "faults-wrap.h"

/* what this thread does not get */
static _Thread_local bool no[WHATS];

static bool
fails(enum what what)
{
	return no[what];
}

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*f)(void *),
      void *arg))
{
	return fails(THREADS) ? EAGAIN :
				__real_pthread_create(thread, attr, f, arg);
}

WRAP(int, socket, (int domain, int type, int protocol))
{
	return fails_with(FDS, EMFILE) ? -1 :
					 __real_socket(domain, type, protocol);
}

static void
claim_refusal(void)
{
	assert_true(log_claim(LLL_ERR, "lws_threadpool_") >= 1);
	log_claim(LLL_WARN, "lws_threadpool_");
	assert_int_equal(log_unclaimed(), 0);
	log_forget();
}

static struct lws_threadpool *
create(struct rig *rig, int threads)
{
	const struct lws_threadpool_create_args args = {
		.threads = threads, .max_queue_depth = INT32_MAX
	};

	return lws_threadpool_create(rig->context, &args, "short");
}

/* the first pool of the process: nothing of it is there to be used again */
static void
MEMORY_of_create(void **state)
{
	struct rig *rig = *state;

	log_ready();
	no[MEMORY] = true;
	assert_null(create(rig, 1));
	no[MEMORY] = false;
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_MEMORY);
	claim_refusal();
	assert_non_null(rig_pool(rig, 1, 10));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
}

static void
MEMORY_without_a_thread(void **state)
{
	struct rig *rig = *state;

	no[THREADS] = true;
	assert_null(create(rig, 3));
	no[THREADS] = false;
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_MEMORY);
	claim_refusal();
}

static enum lws_threadpool_task_return
end_at_once(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;

	return LWS_TP_RETURN_FINISHED;
}

/* those that wait are more than there is memory for, at last */
static void
MEMORY_of_enqueue(void **state)
{
	const struct lws_threadpool_task_args args = { .task = end_at_once };
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig->pools[0] = create(rig, 1);
	int n;

	log_ready();
	job_block(rig, tp, gate_new(rig));
	no[MEMORY] = true;
	for (n = 0; n < 1000000; n++) {
		if (!lws_threadpool_enqueue(tp, &args, "one more"))
			break;
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	}
	no[MEMORY] = false;
	assert_in_range(n, 0, 999999);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_MEMORY);
	claim_refusal();
	assert_non_null(lws_threadpool_enqueue(tp, &args, "one more"));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
}

static void
FDS_of_create(void **state)
{
	struct rig *rig = *state;

	if (!LWSTP_UNIT_EVENTFD)
		skip(); /* it needs none */
	no[FDS] = true;
	assert_null(create(rig, 1));
	no[FDS] = false;
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_FDS);
	claim_refusal();
}

/* for the watch of a wsi: none of the process's, and no place in lws's table */
static void
FDS_of_enqueue(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j;

	rig_drain(rig);
	for (int n = 0; n < 4; n++) {
		struct conn *c = conn_open(rig, CONN_RAW);

		no[FDS] = n & 1;
		no[ADOPTION] = !no[FDS];
		if (n & 2)
			assert_null(lws_threadpool_wsi_handle(tp, c->wsi));
		else
			assert_null(job_enqueue(tp, job_new(rig), c->wsi));
		no[FDS] = no[ADOPTION] = false;
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_FDS);
		claim_refusal();
		j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
		rig_until_int(rig, &j->cleanups, 1);
		/* the next refusal of that kind is to be written */
		rig_pool_destroy(rig, tp);
		tp = rig_pool(rig, 1, 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(MEMORY_of_create),  RIG_TEST(MEMORY_without_a_thread),
		RIG_TEST(MEMORY_of_enqueue), RIG_TEST(FDS_of_create),
		RIG_TEST(FDS_of_enqueue),
	};

	return cmocka_run_group_tests_name("refused, short", tests, NULL, NULL);
}
