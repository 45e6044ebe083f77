/*
 * lws-threadpool - what is known of each task (N3)
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread.  The tasks of a pool are gone through by their slots.  Each is
 * looked at with the lock held, under which it is not released, and told
 * without it.  The application has not seen a task by this (S5).
 */

#include <stdlib.h>

#include "private.h"

/* of a task that is not released meanwhile */
static LWSTP_POOL_HELD void
__read_info(const struct lwstp_pool *pool, const struct lwstp_task *task,
	    uint64_t word, struct lws_threadpool_task_info *info)
{
	lws_usec_t now = lwstp_precise_now(), coarse = lwstp_now();
	lws_usec_t since = atomic_load(&task->since),
		   born = atomic_load(&task->born);
	const struct lwstp_worker *w = atomic_load(&pool->workers);
	int n;

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	info->task = lwstp_task_handle(task, word);
	lwstp_name_write(&task->name, info->name);
	info->status = lwstp_task_told(task, word);
	info->parked = !!(word & LWSTP_PARKED);
	info->attached = !(word & LWSTP_DETACHED);
	info->kept = !!(word & LWSTP_KEPT);
	info->state_us = coarse > since ? (uint64_t)(coarse - since) : 0;
	info->age_us = now > born ? (uint64_t)(now - born) : 0;
	if (info->state_us > info->age_us) /* by the coarse clock */
		info->state_us = info->age_us;
	info->thread = -1;
	for (n = 0; n < pool->indexes; n++)
		if (__lwstp_runs(&w[n]) == task &&
		    lwstp_status(word) == LWS_TP_STATUS_RUNNING)
			info->thread = n;
	info->stop = lwstp_task_why(task, word);
	info->user = atomic_load(&task->user);
}

/* false: the slot has no task of that pool with that generation */
static bool
read_slot(struct lwstp_pool *pool, struct lwstp_task *task, uint32_t generation,
	  struct lws_threadpool_task_info *info)
{
	uint64_t word;
	bool is_there;

	if (!task ||
	    lwstp_status(atomic_load(&task->slot.word)) == LWSTP_FREE ||
	    atomic_load(&task->pool) != pool)
		return false;
	lwstp_lock(pool);
	word = atomic_load(&task->slot.word);
	is_there = lwstp_status(word) != LWSTP_FREE &&
		   atomic_load(&task->pool) == pool &&
		   lwstp_generation(word) == generation;
	if (is_there)
		__read_info(pool, task, word, info);
	lwstp_unlock(pool);

	return is_there;
}

/* the generations of the slots that have a task of the pool; 0: none */
static uint32_t *
those_there(const struct lwstp_pool *pool, uint32_t used)
{
	uint32_t *there = calloc(used + 1, sizeof(*there)), n;
	const struct lwstp_task *task;
	uint64_t word;

	for (n = 0; there && n < used; n++) {
		task = lwstp_task_at(n);
		word = atomic_load(&task->slot.word);
		if (lwstp_status(word) != LWSTP_FREE &&
		    atomic_load(&task->pool) == pool)
			there[n] = lwstp_generation(word);
	}

	return there;
}

int
lws_threadpool_foreach_task(struct lws_threadpool *tp, void *arg,
			    int (*cb)(const struct lws_threadpool_task_info *,
				      void *arg))
{
	uint32_t used = atomic_load(&lwstp_slots[LWSTP_TASKS].used), *there, n;
	struct lws_threadpool_task_info info;
	struct lwstp_pool *pool;
	uint32_t generation;
	int stopped = 0;

	if (!cb) {
		lwstp_log(LLL_ERR, "%s: cb is NULL\n", __func__);
		return -1;
	}
	pool = lwstp_pool_find(tp, &generation, __func__);
	if (!pool)
		return -1;
	there = those_there(pool, used);
	if (!there) {
		lwstp_log(LLL_ERR, "%s: out of memory for %u tasks\n", __func__,
			  used);
		return -1;
	}
	for (n = 0; n < used && !stopped; n++)
		if (there[n] &&
		    read_slot(pool, lwstp_task_at(n), there[n], &info))
			stopped = !!cb(&info, arg);
	free(there);

	return stopped;
}

int
lws_threadpool_task_get_info(struct lws_threadpool_task *handle,
			     struct lws_threadpool_task_info *info)
{
	struct lws_threadpool_task_info i;
	struct lwstp_task *task;
	uint64_t word;

	if (!lwstp_struct_ok(info, sizeof(i), __func__, "info"))
		return -1;
	task = lwstp_task_find(handle, &word, __func__);
	if (!task || !read_slot(atomic_load(&task->pool), task,
				lwstp_generation(word), &i))
		return -1;
	lwstp_fill_struct(info, sizeof(i), &i);

	return 0;
}
