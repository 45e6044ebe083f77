/*
 * lws-threadpool - code that keeps none of the rules of lib/private.h
 *
 * SPDX-License-Identifier: MIT
 *
 * It is compiled to nothing, by test-apps/static/check: each line that says BAD
 * has to be refused by clang -Wthread-safety, so that the rules are known to be
 * checked.
 */

#include "private.h"

void
bad_member(struct lwstp_pool *pool);
void
bad_call(struct lwstp_pool *pool);
void
bad_return(struct lwstp_pool *pool);
void
bad_order(struct lwstp_pool *pool, struct lwstp_context *context);
void
bad_context(struct lwstp_pool *pool);
void
bad_service(struct lwstp_service *service);
void
bad_service_call(struct lwstp_service *service);
void
bad_log(struct lwstp_pool *pool);
void
bad_deferred(struct lwstp_pool *pool, struct lwstp_deferred *deferred);
void
bad_stop(struct lwstp_pool *pool, struct lwstp_task *task);
void
bad_signal(struct lwstp_service *service);
void
bad_wrong_lock(struct lwstp_context *context);
void
bad_handle(struct lws_threadpool *tp);

void
bad_member(struct lwstp_pool *pool)
{
	pool->n_done++; /* BAD */
}

void
bad_call(struct lwstp_pool *pool)
{
	__lwstp_drain(pool); /* BAD */
}

void
bad_return(struct lwstp_pool *pool)
{
	lwstp_lock(pool);
	pool->n_done = 0;
} /* BAD */

void
bad_order(struct lwstp_pool *pool, struct lwstp_context *context)
{
	lwstp_lock(pool);
	lwstp_lock_context(context); /* BAD */
	lwstp_unlock_context(context);
	lwstp_unlock(pool);
}

void
bad_context(struct lwstp_pool *pool)
{
	pool->context->dying = true; /* BAD */
}

void
bad_service(struct lwstp_service *service)
{
	service->is_signalled = true; /* BAD */
}

void
bad_service_call(struct lwstp_service *service)
{
	lwstp_service_collect(service); /* BAD */
}

void
bad_log(struct lwstp_pool *pool)
{
	lwstp_lock(pool);
	lwstp_log(LLL_ERR, "with a lock held\n"); /* BAD */
	lwstp_unlock(pool);
}

void
bad_deferred(struct lwstp_pool *pool, struct lwstp_deferred *deferred)
{
	lwstp_lock(pool);
	lwstp_deferred_do(deferred, NULL); /* BAD */
	lwstp_unlock(pool);
}

void
bad_stop(struct lwstp_pool *pool, struct lwstp_task *task)
{
	lwstp_lock(pool);
	lwstp_task_stop(task, 0, false, 0); /* BAD */
	lwstp_unlock(pool);
}

void
bad_signal(struct lwstp_service *service)
{
	lwstp_lock_context(service->context);
	lwstp_signal(service); /* BAD */
	lwstp_unlock_context(service->context);
}

void
bad_wrong_lock(struct lwstp_context *context)
{
	lwstp_lock_context(context);
	context->service->to_ask = NULL; /* BAD */
	lwstp_unlock_context(context);
}

void
bad_handle(struct lws_threadpool *tp)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);

	pool->n_done = 0; /* BAD */
	if (pool)
		lwstp_unlock(pool);
}
