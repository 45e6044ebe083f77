/*
 * lws-threadpool - the order of tasks with a key (O1)
 *
 * SPDX-License-Identifier: MIT
 *
 * Each key in use has an entry in its pool's table: how many of its tasks may
 * run or do, and those that are held back, in order.  A task is held back when
 * it is its turn in the queue and its key has no room.  Once that has, it is
 * released: it starts before those on the queue, which it was in front of.  All
 * of it is under the pool's lock.
 */

#include <stdlib.h>

#include "private.h"

struct lwstp_key {
	struct lwstp_entry entry;      /* must be first */
	struct lwstp_key *prev, *next; /* pool->holding */
	unsigned int tasks;	       /* that have not ended */
	unsigned int active;	       /* of them: have started, or
					* are released */
	struct lwstp_task *held;       /* FIFO */
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

/* it is off the queue; true: it starts, else it is held back */
static LWSTP_POOL_HELD bool
__admit(struct lwstp_pool *pool, struct lwstp_task *task)
{
	struct lwstp_extra *extra = task->extra;
	struct lwstp_key *k = extra ? extra->key : NULL;

	if (!k || extra->is_active)
		return true;
	if (!k->held && __may_start(k, task)) {
		k->active++;
		extra->is_active = true;
		return true;
	}
	if (!k->held)
		DL_APPEND(pool->holding, k);
	DL_APPEND(k->held, task);
	extra->is_held = true;

	return false;
}

static LWSTP_POOL_HELD void
__off_queue(struct lwstp_pool *pool, struct lwstp_task *task)
{
	if (task->extra && task->extra->is_active)
		DL_DELETE(pool->released, task);
	else
		DL_DELETE(pool->queued, task);
	pool->n_queued--;
}

LWSTP_POOL_HELD struct lwstp_task *
__lwstp_next_new(struct lwstp_pool *pool)
{
	struct lwstp_task *task;

	while ((task = pool->released ? pool->released : pool->queued)) {
		__off_queue(pool, task);
		if (__admit(pool, task))
			return task;
	}

	return NULL;
}

LWSTP_POOL_HELD int
__lwstp_can_start(const struct lwstp_pool *pool, int most)
{
	const struct lwstp_task *task;
	const struct lwstp_key *k;
	int n = 0;

	DL_FOREACH(pool->released, task)
		n += n < most;
	for (task = pool->queued; task && n < most; task = task->next) {
		k = task->extra ? task->extra->key : NULL;
		n += !k || (!k->held && __may_start(k, task));
	}

	return n;
}

LWSTP_POOL_HELD struct lwstp_task *
__lwstp_next_held(const struct lwstp_pool *pool, const struct lwstp_task *task)
{
	const struct lwstp_key *k = task ? task->extra->key->next :
					   pool->holding;

	if (task && task->next)
		return task->next;

	return k ? k->held : NULL;
}

static LWSTP_POOL_HELD void
__take_held(struct lwstp_pool *pool, struct lwstp_key *k,
	    struct lwstp_task *task)
{
	DL_DELETE(k->held, task);
	task->extra->is_held = false;
	if (!k->held)
		DL_DELETE(pool->holding, k);
}

/* The first of those that are held back may be one that can start.  Any thread,
 * and all of the pool's may be asleep. */
static LWSTP_POOL_HELD void
__release_held(struct lwstp_pool *pool, struct lwstp_key *k)
{
	struct lwstp_task *task;

	while ((task = k->held) && __may_start(k, task)) {
		__take_held(pool, k, task);
		k->active++;
		task->extra->is_active = true;
		DL_APPEND(pool->released, task);
		pool->n_queued++;
		__lwstp_listed(pool);
		lwstp_wake(pool);
	}
}

LWSTP_POOL_HELD void
__lwstp_unqueue(struct lwstp_pool *pool, struct lwstp_task *task)
{
	struct lwstp_extra *extra = task->extra;

	if (extra && extra->is_held) {
		__take_held(pool, extra->key, task);
		__release_held(pool, extra->key);
	} else
		__off_queue(pool, task);
	atomic_fetch_add(&pool->taken, 1);
	__lwstp_listed(pool);
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
		__release_held(pool, k);
	}
	if (k->tasks)
		return;
	lwstp_table_remove(&pool->keys, &k->entry);
	free(k);
}
