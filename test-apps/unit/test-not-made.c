/*
 * lws-threadpool unit tests - P1, P6, N2: a pool that could not be made, and
 * what comes after it
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: pthread_cond_init pthread_attr_init pthread_create calloc
 */

#include <errno.h>

#include "openmetrics.h"
#include "task-options.h"

static atomic_int no_conds, no_attrs, no_threads, no_memory;

#define WRAP(ret, name, args) \
	ret __real_##name args; \
	ret __wrap_##name args; \
	ret __wrap_##name args

WRAP(int, pthread_cond_init,
     (pthread_cond_t * cond, const pthread_condattr_t *attr))
{
	return atomic_load(&no_conds) ? EAGAIN :
					__real_pthread_cond_init(cond, attr);
}

WRAP(int, pthread_attr_init, (pthread_attr_t * attr))
{
	return atomic_load(&no_attrs) ? ENOMEM : __real_pthread_attr_init(attr);
}

WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *),
      void *arg))
{
	return atomic_load(&no_threads) ?
		       EAGAIN :
		       __real_pthread_create(thread, attr, fn, arg);
}

WRAP(void *, calloc, (size_t n, size_t size))
{
	return atomic_load(&no_memory) ? NULL : __real_calloc(n, size);
}

static struct lws_threadpool *
create(struct rig *rig, size_t stack_size)
{
	const struct lws_threadpool_create_args args = { 2, 10 };
	const struct lws_threadpool_options o = { .size = sizeof(o),
						  .stack_size = stack_size };

	return lws_threadpool_create_ext(rig->context, &args, &o, "none");
}

static void
is_refused(struct rig *rig, size_t stack_size, enum lws_threadpool_refused why)
{
	assert_null(create(rig, stack_size));
	assert_int_equal(lws_threadpool_refused(), why);
	assert_true(log_claim(LLL_ERR, "") >= 1);
	log_claim(LLL_WARN, "");
}

static int
pools_told_of(void)
{
	static char text[100000];
	int n = lws_threadpool_metrics(NULL, text, sizeof(text)), told = 0;
	struct om *om;

	assert_true(n > 0 && n < (int)sizeof(text));
	om = om_read(text, (size_t)n);
	assert_string_equal(om->error, "");
	for (int i = 0; i < om->samples; i++)
		told += !strcmp(om->sample[i].name, "lws_threadpool_threads");
	om_free(om);

	return told;
}

/* The first of the process: no pool is told of, and in a later one deadlines
 * are told in time. */
static void
the_first(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	struct gate *gate = gate_new(rig);
	struct job *late = job_new(rig);

	atomic_store(&no_conds, 1);
	is_refused(rig, 0, LWS_TP_REFUSED_MEMORY);
	assert_int_equal(pools_told_of(), 0);
	atomic_store(&no_conds, 0);
	tp = rig_pool(rig, 1, 10);
	/* that one may have its place: so another one */
	atomic_store(&no_conds, 1);
	is_refused(rig, 0, LWS_TP_REFUSED_MEMORY);
	atomic_store(&no_conds, 0);
	assert_int_equal(pools_told_of(), 1);
	job_block(rig, tp, gate);
	enqueue_timed(tp, late, NULL, 50, 0);
	rig_until_int(rig, &late->cleanups, 1);
	assert_int_equal(atomic_load(&late->calls), 0);
	gate_open(gate);
	claim_times();
}

/* P6: not one thread starts: that is not for the size of its stack, or it is
 * not even known whether the system takes that */
static void
no_thread(void **state)
{
	struct rig *rig = *state;

	for (size_t size = 0; size <= 1 << 20; size += 1 << 20) {
		atomic_store(&no_threads, 1);
		is_refused(rig, size, LWS_TP_REFUSED_MEMORY);
		atomic_store(&no_threads, 0);
		atomic_store(&no_attrs, 1);
		is_refused(rig, size,
			   size ? LWS_TP_REFUSED_ARGS : LWS_TP_REFUSED_MEMORY);
		atomic_store(&no_attrs, 0);
		rig_pool_destroy(rig, rig_pool(rig, 2, 10));
	}
	assert_int_equal(log_unclaimed(), 0);
}

/* N2: no memory, or no buffer: refused, with a line */
static void
no_text(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	char text[16];

	lwsl_warn("the log has its memory now\n");
	log_claim(LLL_WARN, "memory");
	atomic_store(&no_memory, 1);
	assert_int_equal(lws_threadpool_metrics(tp, text, sizeof(text)), -1);
	atomic_store(&no_memory, 0);
	assert_int_equal(log_claim(LLL_ERR, "out of memory"), 1);
	assert_int_equal(lws_threadpool_metrics(tp, NULL, 16), -1);
	assert_int_equal(log_claim(LLL_ERR, "buf is NULL"), 1);
	assert_true(lws_threadpool_metrics(tp, NULL, 0) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_first),
		RIG_TEST(no_thread),
		RIG_TEST(no_text),
	};

	return cmocka_run_group_tests_name("not made", tests, NULL, NULL);
}
