/*
 * lws-threadpool - code that keeps none of the lock rules of lib/private.h
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
bad_call(struct lwstp_pool *pool, struct lwstp_task *task);
void
bad_return(struct lwstp_pool *pool);
void
bad_order(struct lwstp_pool *pool);
void
bad_intake(struct lwstp_pool *pool);
void
bad_intake_order(struct lwstp_pool *pool);
void
bad_log(struct lwstp_pool *pool);
void
bad_after(struct lwstp_pool *pool, struct lwstp_after *after);
void
bad_wrong_lock(struct lwstp_binding *b);
void
bad_handle(struct lws_threadpool *tp);

void
bad_member(struct lwstp_pool *pool)
{
	pool->n_done++;					/* BAD */
}

void
bad_call(struct lwstp_pool *pool, struct lwstp_task *task)
{
	struct lwstp_after after = { .ring = NULL };

	__lwstp_task_stop(pool, task, &after);		/* BAD */
}

void
bad_return(struct lwstp_pool *pool)
{
	lwstp_lock_pool(pool);
	pool->n_done = 0;
}							/* BAD */

void
bad_order(struct lwstp_pool *pool)
{
	lwstp_lock_bindings();
	lwstp_lock_pool(pool);				/* BAD */
	lwstp_unlock_pool(pool);
	lwstp_unlock_bindings();
}

void
bad_intake(struct lwstp_pool *pool)
{
	lwstp_lock_pool(pool);
	pool->incoming = NULL;				/* BAD */
	lwstp_unlock_pool(pool);
}

void
bad_intake_order(struct lwstp_pool *pool)
{
	lwstp_lock_intake(pool);
	lwstp_lock_pool(pool);				/* BAD */
	lwstp_unlock_pool(pool);
	lwstp_unlock_intake(pool);
}

void
bad_log(struct lwstp_pool *pool)
{
	lwstp_lock_pool(pool);
	lwsl_err("with a lock held\n");			/* BAD */
	lwstp_unlock_pool(pool);
}

void
bad_after(struct lwstp_pool *pool, struct lwstp_after *after)
{
	lwstp_lock_pool(pool);
	lwstp_after_do(after);				/* BAD */
	lwstp_unlock_pool(pool);
}

void
bad_wrong_lock(struct lwstp_binding *b)
{
	lwstp_lock_bindings();
	b->attached->status = LWS_TP_STATUS_QUEUED;	/* BAD */
	lwstp_unlock_bindings();
}

void
bad_handle(struct lws_threadpool *tp)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);

	pool->n_done = 0;				/* BAD */
	if (pool)
		lwstp_unlock_pool(pool);
}
