/*
 * lws-threadpool - what a pool is doing: dump and diagnose
 *
 * SPDX-License-Identifier: MIT
 *
 * The log is the user's code too, and may not run under a lock of ours: so a
 * dump copies what it is about to tell.
 */

#include <stdlib.h>
#include <string.h>

#include "private.h"

struct line {
	const char	*list;
	char		name[LWSTP_TASK_NAME];
	const void	*handle;
	const char	*on;		/* "wsi" or "ss": */
	const void	*wsi;
	lws_usec_t	us;
	const char	*state;
};

struct picture {
	struct line	*line;
	unsigned int	lines, room;
	lws_usec_t	now;
};

static const char * const states[] = {
	"QUEUED", "RUNNING", "SYNCING", "STOPPING", "FINISHED", "STOPPED"
};

/* all below with pool->lock held */

static LWSTP_POOL_HELD void
__draw(struct picture *p, const struct lwstp_pool *pool,
       const struct lwstp_task *task, const char *list)
{
	struct line *l;

	if (p->lines == p->room)
		return;
	l = &p->line[p->lines++];
	l->list = list;
	memcpy(l->name, task->name, sizeof(l->name));
	l->handle = lwstp_task_handle(task);
	l->on = task->binding && task->binding->ss ? "ss" : "wsi";
	l->wsi = !task->binding ? NULL :
		 task->binding->ss ? (const void *)task->binding->ss :
				     (const void *)task->binding->wsi;
	l->us = p->now - task->since;
	l->state = states[__lwstp_task_stopping(pool, task) ?
				LWS_TP_STATUS_STOPPING : task->status];
}

static LWSTP_POOL_HELD void
__draw_list(struct picture *p, const struct lwstp_pool *pool,
	    const struct lwstp_task *head, const char *list)
{
	const struct lwstp_task *task;

	DL_FOREACH(head, task)
		__draw(p, pool, task, list);
}

static LWSTP_POOL_HELD void
__draw_pool(struct picture *p, struct lwstp_pool *pool)
{
	int n;

	p->now = lwstp_now();
	__lwstp_admit(pool);
	__draw_list(p, pool, pool->queued, "queued");
	for (n = 0; n < pool->threads; n++)
		if (pool->workers[n]->task)
			__draw(p, pool, pool->workers[n]->task, "running");
	__draw_list(p, pool, pool->resumed, "resumed");
	for (n = 0; n < pool->threads; n++)
		__draw_list(p, pool, pool->workers[n]->resumed, "resumed");
	__draw_list(p, pool, pool->syncing, "syncing");
	__draw_list(p, pool, pool->done, "done");
}

static LWSTP_POOL_HELD unsigned int
__waiting(const struct lwstp_pool *pool)
{
	return atomic_load(&pool->n_queued) + atomic_load(&pool->n_incoming);
}

static LWSTP_POOL_HELD unsigned int
__count(const struct lwstp_pool *pool)
{
	return __waiting(pool) + pool->n_running + pool->n_resumed +
	       pool->n_syncing + pool->n_done;
}

void
lws_threadpool_dump(struct lws_threadpool *tp)
{
	struct picture p = { .line = NULL };
	struct lwstp_pool *pool = lwstp_pool_lock(tp, __func__);
	char name[LWSTP_POOL_NAME];
	unsigned int n, total;
	int threads;

	if (!pool)
		return;
	p.room = __count(pool) + 16;
	lwstp_unlock_pool(pool);

	p.line = malloc(p.room * sizeof(*p.line));
	if (!p.line) {
		lwsl_err("%s: out of memory for %u tasks\n", __func__, p.room);
		return;
	}
	pool = lwstp_pool_lock(tp, __func__);
	if (pool) {
		__draw_pool(&p, pool);
		total = __count(pool);
		threads = pool->threads;
		memcpy(name, pool->name, sizeof(name));
		lwstp_unlock_pool(pool);

		_lws_log(LLL_THREAD, "%s: pool %s: %d threads, %u tasks\n",
			 __func__, name, threads, total);
		for (n = 0; n < p.lines; n++)
			_lws_log(LLL_THREAD, "%s:  %s: %s (%p, %s %p) %s for "
				 "%lld ms\n", __func__, p.line[n].list,
				 p.line[n].name, p.line[n].handle,
				 p.line[n].on, p.line[n].wsi, p.line[n].state,
				 (long long)p.line[n].us / 1000);
	}
	free(p.line);
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
		lwstp_unlock_pool(pool);
	}
	if (ongoing)
		*ongoing = o;
	if (possible)
		*possible = p;
	if (queue_depth)
		*queue_depth = q;
}
