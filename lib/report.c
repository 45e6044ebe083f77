/*
 * lws-threadpool - what a pool is doing: dump and diagnose
 *
 * SPDX-License-Identifier: MIT
 *
 * The log function is the user's, and must not run under a lock of ours: so a
 * dump copies what it is going to log.
 */

#include <stdlib.h>

#include "private.h"

struct line {
	const char *list;
	union lwstp_name name;
	const void *handle;
	const char *on; /* "wsi" or "ss": */
	const void *target;
	lws_usec_t us;
	const char *state;
};

struct snapshot {
	struct line *line;
	unsigned int lines, room;
	lws_usec_t now;
};

static const char *const states[] = { "QUEUED",	  "RUNNING",  "SYNCING",
				      "STOPPING", "FINISHED", "STOPPED" };

static LWSTP_POOL_HELD void
__add(struct snapshot *s, const struct lwstp_task *task, uint64_t word,
      const char *list)
{
	struct line *l;

	if (s->lines == s->room)
		return;
	l = &s->line[s->lines++];
	l->list = list;
	l->name = task->name;
	l->handle = lwstp_task_handle(task, word);
	l->target = atomic_load(&task->target);
	l->on = l->target && task->is_on_ss ? "ss" : "wsi";
	l->us = s->now - atomic_load(&task->since);
	l->state = states[lwstp_task_told(task, word)];
}

static LWSTP_POOL_HELD void
__add_list(struct snapshot *s, const struct lwstp_task *head, const char *list)
{
	const struct lwstp_task *task;

	DL_FOREACH(head, task)
		__add(s, task, atomic_load(&task->slot.word), list);
}

/* They are on no list of the pool, so all slots are gone through.  None of the
 * pool's is released while the lock is held. */
static LWSTP_POOL_HELD unsigned int
__add_waiting(struct snapshot *s, const struct lwstp_pool *pool)
{
	uint32_t n, used = atomic_load(&lwstp_slots[LWSTP_TASKS].used);
	unsigned int found = 0;
	const struct lwstp_task *task;
	uint64_t word;

	for (n = 0; n < used; n++) {
		task = lwstp_task_at(n);
		word = atomic_load(&task->slot.word);
		if ((lwstp_status(word) != LWS_TP_STATUS_SYNCING &&
		     !(word & LWSTP_PARKED)) ||
		    atomic_load(&task->pool) != pool)
			continue;
		found++;
		if (s)
			__add(s, task, word,
			      word & LWSTP_PARKED ? "parked" : "syncing");
	}

	return found;
}

static LWSTP_POOL_HELD void
__add_pool(struct snapshot *s, struct lwstp_pool *pool)
{
	const struct lwstp_task *task;
	int n;

	s->now = lwstp_now();
	__lwstp_drain(pool);
	__add_list(s, pool->released, "queued");
	__add_list(s, pool->queued, "queued");
	for (task = __lwstp_next_held(pool, NULL); task;
	     task = __lwstp_next_held(pool, task))
		__add(s, task, atomic_load(&task->slot.word), "held back");
	for (n = 0; n < pool->indexes; n++) {
		task = __lwstp_runs(&pool->workers[n]);
		if (task)
			__add(s, task, atomic_load(&task->slot.word),
			      "running");
	}
	__add_list(s, pool->resumed, "resumed");
	for (n = 0; n < pool->indexes; n++)
		__add_list(s, pool->workers[n].resumed, "resumed");
	__add_waiting(s, pool);
	__add_list(s, pool->done, "done");
	__add_list(s, pool->kept, "kept");
}

static LWSTP_POOL_HELD unsigned int
__waiting(const struct lwstp_pool *pool)
{
	return (uint32_t)(atomic_load(&pool->slot.word) & LWSTP_POOL_COUNT) -
	       (uint32_t)atomic_load(&pool->taken);
}

static LWSTP_POOL_HELD unsigned int
__count(const struct lwstp_pool *pool)
{
	return __waiting(pool) + pool->n_running + pool->n_resumed +
	       __add_waiting(NULL, pool) + pool->n_done + pool->n_kept;
}

static void
write_lines(const struct snapshot *s, const char *me)
{
	const struct line *l;
	char name[LWSTP_TASK_NAME];

	for (l = s->line; l < s->line + s->lines; l++) {
		lwstp_name_write(&l->name, name);
		lwstp_log(LLL_THREAD,
			  "%s:  %s: %s (%p, %s %p) %s for %lld "
			  "ms\n",
			  me, l->list, name, l->handle, l->on, l->target,
			  l->state, (long long)l->us / 1000);
	}
}

void
lws_threadpool_dump(struct lws_threadpool *tp)
{
	struct snapshot s = { .line = NULL };
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);
	char name[LWSTP_POOL_NAME];
	unsigned int total;
	int threads;

	if (!pool)
		return;
	if (!lwsl_visible(LLL_THREAD)) {
		lwstp_unlock(pool);
		return;
	}
	s.room = __count(pool) + 16;
	lwstp_unlock(pool);

	s.line = malloc(s.room * sizeof(*s.line));
	if (!s.line) {
		lwstp_log(LLL_ERR, "%s: out of memory for %u tasks\n", __func__,
			  s.room);
		return;
	}
	pool = lwstp_pool_lock(tp, __func__);
	if (pool) {
		__add_pool(&s, pool);
		total = __count(pool);
		threads = pool->threads;
		memcpy(name, pool->name, sizeof(name));
		lwstp_unlock(pool);

		lwstp_log(LLL_THREAD, "%s: pool %s: %d threads, %u tasks\n",
			  __func__, name, threads, total);
		write_lines(&s, __func__);
	}
	free(s.line);
}

void
lws_threadpool_diagnose(struct lws_threadpool *tp, int *ongoing, int *possible,
			int *queue_depth)
{
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);
	int o = 0, p = 0, q = 0;

	if (pool) {
		o = (int)pool->n_running;
		p = pool->threads;
		q = (int)__waiting(pool);
		lwstp_unlock(pool);
	}
	if (ongoing)
		*ongoing = o;
	if (possible)
		*possible = p;
	if (queue_depth)
		*queue_depth = q;
}
