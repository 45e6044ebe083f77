/*
 * lws-threadpool - the order of tasks with a key (O1)
 *
 * SPDX-License-Identifier: MIT
 *
 * Each key in use has an entry in its pool's table: how many of its tasks may
 * run or do, and those that are held back, in order.  A task counts from when
 * it is put on the queue, so that those of a key start in order.  All of it is
 * under the pool's lock.
 */

#include <stdlib.h>

#include "private.h"

struct lwstp_key {
	struct lwstp_entry	entry;		/* must be first */
	struct lwstp_key	*prev, *next;	/* pool->holding */
	unsigned int		tasks;		/* that have not ended */
	unsigned int		active;		/* of them: not held back */
	struct lwstp_task	*held;		/* FIFO */
};

LWSTP_POOL_HELD bool
__lwstp_key_join(struct lwstp_pool *pool, struct lwstp_extra *extra,
		 const void *key)
{
	struct lwstp_key *k;

	k = (struct lwstp_key *)lwstp_table_find(pool->keys, key);
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k)
			return false;
		k->entry.key = key;
		if (!lwstp_table_add(&pool->keys, &k->entry)) {
			free(k);
			return false;
		}
	}
	k->tasks++;
	extra->key = k;

	return true;
}

static LWSTP_POOL_HELD bool
__may_start(const struct lwstp_key *k, const struct lwstp_task *task)
{
	return !task->extra->key_max || k->active < task->extra->key_max;
}

LWSTP_POOL_HELD bool
__lwstp_key_admit(struct lwstp_pool *pool, struct lwstp_task *task)
{
	struct lwstp_extra *extra = task->extra;
	struct lwstp_key *k = extra ? extra->key : NULL;

	if (!k)
		return true;
	if (!k->held && __may_start(k, task)) {
		k->active++;
		extra->is_active = true;
		return true;
	}
	if (!k->held)
		DL_APPEND(pool->holding, k);
	DL_APPEND(k->held, task);
	pool->n_held++;

	return false;
}

LWSTP_POOL_HELD struct lwstp_task *
__lwstp_key_any_held(const struct lwstp_pool *pool)
{
	return pool->holding ? pool->holding->held : NULL;
}

static LWSTP_POOL_HELD void
__take_held(struct lwstp_pool *pool, struct lwstp_key *k,
	    struct lwstp_task *task)
{
	DL_DELETE(k->held, task);
	pool->n_held--;
	if (!k->held)
		DL_DELETE(pool->holding, k);
}

/* the first of those that are held back may be one that can start */
static LWSTP_POOL_HELD void
__let_start(struct lwstp_pool *pool, struct lwstp_key *k)
{
	struct lwstp_task *task;

	while ((task = k->held) && __may_start(k, task)) {
		__take_held(pool, k, task);
		k->active++;
		task->extra->is_active = true;
		DL_APPEND(pool->queued, task);
		pool->n_queued++;
	}
	__lwstp_listed(pool);
}

LWSTP_POOL_HELD bool
__lwstp_key_unhold(struct lwstp_pool *pool, struct lwstp_task *task)
{
	struct lwstp_extra *extra = task->extra;
	struct lwstp_key *k = extra ? extra->key : NULL;

	if (!k || extra->is_active)
		return false;
	__take_held(pool, k, task);
	__let_start(pool, k);

	return true;
}

LWSTP_POOL_HELD void
__lwstp_key_leave(struct lwstp_pool *pool, struct lwstp_extra *extra)
{
	struct lwstp_key *k = extra ? extra->key : NULL;

	if (!k)
		return;
	extra->key = NULL;
	k->tasks--;
	if (extra->is_active) {
		extra->is_active = false;
		k->active--;
		__let_start(pool, k);
	}
	if (k->tasks)
		return;
	lwstp_table_remove(&pool->keys, &k->entry);
	free(k);
}
