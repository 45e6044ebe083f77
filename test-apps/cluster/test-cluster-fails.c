/*
 * lws-threadpool cluster tests - what libnats cannot do for a while, and when
 * there is no memory
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: natsSubscription_Drain natsSubscription_SetOnCompleteCB calloc
 */

#include <nats/nats.h>

#include "field.h"

#define CHUNKS 6

static atomic_int drains, fail_drains;
static atomic_int completions, fail_completions;
static _Atomic(struct lws_threadpool_cluster *) drained;

natsStatus
__real_natsSubscription_Drain(natsSubscription *sub);
natsStatus
__wrap_natsSubscription_Drain(natsSubscription *sub);
natsStatus
__real_natsSubscription_SetOnCompleteCB(natsSubscription *sub,
					natsOnCompleteCB cb, void *closure);
natsStatus
__wrap_natsSubscription_SetOnCompleteCB(natsSubscription *sub,
					natsOnCompleteCB cb, void *closure);

static _Thread_local bool no_memory;

void *
__real_calloc(size_t n, size_t size);
void *
__wrap_calloc(size_t n, size_t size);

void *
__wrap_calloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_calloc(n, size);
}

natsStatus
__wrap_natsSubscription_Drain(natsSubscription *sub)
{
	atomic_fetch_add(&drains, 1);
	if (atomic_load(&fail_drains))
		return NATS_NO_MEMORY;

	return __real_natsSubscription_Drain(sub);
}

natsStatus
__wrap_natsSubscription_SetOnCompleteCB(natsSubscription *sub,
					natsOnCompleteCB cb, void *closure)
{
	atomic_fetch_add(&completions, 1);
	if (atomic_load(&fail_completions) > 0 &&
	    atomic_fetch_sub(&fail_completions, 1) > 0)
		return NATS_NO_MEMORY;
	if (strstr(natsSubscription_GetSubject(sub), ".t.") &&
	    atomic_load(&drained))
		lws_threadpool_cluster_drain(atomic_exchange(&drained, NULL));

	return __real_natsSubscription_SetOnCompleteCB(sub, cb, closure);
}

static bool
is_drained(void *arg)
{
	struct field *f = arg;

	return !lws_threadpool_cluster_drain(f->front);
}

/* a worker, too, which has done something */
static void
serves_itself(struct field *f)
{
	struct remote *r;

	front_start(f);
	assert_int_equal(lws_threadpool_cluster_serve(f->front, "unsent", 0),
			 0);
	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
}

/* It takes no more, and may end, all the same. */
static void
cannot_drain(void **state)
{
	struct field *f = *state;
	struct remote *r;

	serves_itself(f);
	atomic_store(&drains, 0);
	atomic_store(&fail_drains, 1);
	until(f, is_drained, f);
	assert_int_equal(atomic_load(&drains), 1);
	atomic_store(&fail_drains, 0);

	r = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	worker_start(f);
	until_ended(r);
	assert_complete(r);
}

/* What cannot be told of its end is made anew. */
static void
cannot_tell_of_the_end(void **state)
{
	struct field *f = *state;

	atomic_store(&completions, 0);
	atomic_store(&fail_completions, 2);
	serves_itself(f);
	assert_true(atomic_load(&completions) > 2);
	assert_int_equal(log_claim(LLL_WARN, "cannot be reached"), 1);
	until(f, is_drained, f);
}

static bool
has_drained(void *arg)
{
	(void)arg;

	return !atomic_load(&drained);
}

/* While it connects, when it has just subscribed to what it takes */
static void
drains_while_it_connects(void **state)
{
	struct field *f = *state;

	atomic_store(&fail_completions, INT_MAX);
	front_create(f);
	atomic_store(&drained, f->front);
	atomic_store(&fail_completions, 0);
	until(f, has_drained, NULL);
	until(f, front_is_there, f);
	until(f, is_drained, f);
	log_claim(LLL_WARN, "cannot be reached");
}

static bool
has_one_left(void *arg)
{
	struct field *f = arg;

	return lws_threadpool_cluster_drain(f->front) == 1;
}

/* It cannot count them: they are there, all the same. */
static void
no_memory_to_drain(void **state)
{
	struct field *f = *state;
	struct remote *r;
	int left;

	serves_itself(f);
	r = remote_run(f, KIND_UNSENT, CHUNKS, 1);
	until_read(r, 1);
	until(f, has_one_left, f);
	no_memory = true;
	left = lws_threadpool_cluster_drain(f->front);
	no_memory = false;
	assert_int_equal(left, 1);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	until(f, is_drained, f);
}

/* Nor does the log have the token, which is a password. */
static void
no_memory_to_attach(void **state)
{
	static const char token[] = "0123456789abcdef0123456789abcdef";
	const struct lws_threadpool_task_args args = { .user = NULL };
	struct lws_threadpool_task *task;
	struct field *f = *state;

	front_start(f);
	lwsl_user("%s: so the log has its memory\n", __func__);
	no_memory = true;
	task = lws_threadpool_cluster_attach(f->front, token, 0, &args, NULL,
					     NULL);
	no_memory = false;
	assert_null(task);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_MEMORY);
	assert_int_equal(log_count(LLL_ERR, "attach: no memory for a job: "),
			 1);
	assert_int_equal(log_count(LLL_ERR, token), 0);
	f->errors = 1;
}

/* Its tasks end. */
static void
no_memory_to_destroy(void **state)
{
	struct field *f = *state;
	struct remote *r[2];
	int n;

	front_start(f);
	for (n = 0; n < 2; n++)
		r[n] = remote_run(f, KIND_UNSENT, CHUNKS, BOARD_FREE);
	no_memory = true;
	front_destroy(f);
	no_memory = false;
	for (n = 0; n < 2; n++) {
		until_ended(r[n]);
		assert_end(r[n], LWS_TP_STATUS_STOPPED, LWS_TP_CLUSTER_ASKED);
	}
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(cannot_drain),
	FIELD_TEST(cannot_tell_of_the_end),
	FIELD_TEST(drains_while_it_connects),
	FIELD_TEST(no_memory_to_drain),
	FIELD_TEST(no_memory_to_attach),
	FIELD_TEST(no_memory_to_destroy),
};

FIELD_MAIN(tests)
