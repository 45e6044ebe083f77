/*
 * lws-threadpool-cluster - the jobs that a worker has taken
 *
 * SPDX-License-Identifier: MIT
 *
 * In the table from the delivery until the engine was told of their end.  A
 * reference each have the table, the task of the pool, and whoever looks at it.
 */

#include "private.h"

struct lwstpc_work *
lwstpc_work_hold(struct lwstpc_work *work)
{
	atomic_fetch_add(&work->refs, 1);

	return work;
}

LWSTP_UNCHECKED void
lwstpc_work_drop(struct lwstpc_work *work)
{
	lwstpc_t *c = work->c;
	uint32_t n;

	if (atomic_fetch_sub(&work->refs, 1) != 1)
		return;
	for (n = 0; work->ring && n <= work->window; n++)
		free(work->ring[n].buf);
	free(work->ring);
	if (work->msg)
		lwstpc_msg_free(work->msg);
	free(work->reply);
	pthread_mutex_destroy(&work->lock);
	free(work);
	lwstpc_drop(c);
}

LWSTPC_TABLES_HELD bool
__lwstpc_work_list(lwstpc_t *c, struct lwstpc_work *work)
{
	bool no_memory = false;

#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(e) \
	do { \
		no_memory = true; \
	} while (0)
	HASH_ADD(hh, c->works, id, sizeof(work->id), work);
	if (no_memory)
		return false;
	lwstpc_work_hold(work);
	work->in_table = true;

	return true;
}

void
lwstpc_work_unlist(struct lwstpc_work *work)
{
	lwstpc_t *c = work->c;
	bool was;

	lwstpc_lock(c);
	was = work->in_table;
	if (was) {
		HASH_DEL(c->works, work);
		work->kind->jobs--;
	}
	work->in_table = false;
	lwstpc_unlock(c);
	if (!was)
		return;
	lwstpc_take_more(c, work->kind);
	lwstpc_work_drop(work);
}

struct lwstpc_work *
lwstpc_work_find(lwstpc_t *c, const unsigned char *id)
{
	struct lwstpc_work *work;

	lwstpc_lock(c);
	HASH_FIND(hh, c->works, id, LWSTPC_ID_BYTES, work);
	if (work)
		lwstpc_work_hold(work);
	lwstpc_unlock(c);

	return work;
}

struct lwstpc_work **
lwstpc_works(lwstpc_t *c, size_t *count)
{
	struct lwstpc_work **works, *work, *next;
	size_t n = 0;

	lwstpc_lock(c);
	works = calloc(HASH_COUNT(c->works) + 1, sizeof(struct lwstpc_work *));
	if (works)
		HASH_ITER(hh, c->works, work, next)
			works[n++] = lwstpc_work_hold(work);
	lwstpc_unlock(c);
	*count = n;

	return works;
}

LWSTPC_WORK_HELD void
__lwstpc_work_wake(struct lwstpc_work *work)
{
	if (!work->parked)
		return;
	work->parked = false;
	lws_threadpool_task_wake(atomic_load(&work->task));
}

/* In another queue its number is another job's.  While it is not known which
 * queue it is nothing is said. */
static bool
same_queue(const struct lwstpc_work *work)
{
	return work->queue && work->queue == atomic_load(&work->c->queue);
}

LWSTPC_WORK_HELD void
__lwstpc_work_extend(struct lwstpc_work *work)
{
	if (same_queue(work))
		lwstpc_extend(work->c->engine, work->reply);
}

static LWSTPC_WORK_HELD void
__ack(struct lwstpc_work *work)
{
	if (work->acked || !atomic_load(&work->c->queue))
		return;
	work->acked = true;
	if (same_queue(work))
		lwstpc_ack(work->c->engine, work->reply);
}

LWSTPC_WORK_HELD bool
__lwstpc_work_done(struct lwstpc_work *work)
{
	if (work->stop)
		__ack(work);

	return work->over && (work->given || work->acked);
}

/* It is called once more, with STOPPING, if it has begun */
LWSTPC_WORK_HELD void
__lwstpc_work_stop(struct lwstpc_work *work)
{
	if (work->stop || work->given)
		return;
	work->stop = true;
	__ack(work);
	if (!work->over && atomic_load(&work->task))
		lws_threadpool_task_wake(atomic_load(&work->task));
}

LWSTPC_WORK_HELD void
__lwstpc_work_give(struct lwstpc_work *work, bool forget)
{
	if (work->stop || work->given)
		return;
	work->given = true;
	if (!forget) {
		/* the front is to know before another worker asks it */
		__lwstpc_tell(work, LWSTPC_GIVEN,
			      work->begun ? LWSTPC_F_BEGUN : 0);
		if (same_queue(work))
			lwstpc_give_back(work->c->engine, work->reply,
					 work->rests ? LWSTPC_REST_US : 0);
	}
	if (!work->over && atomic_load(&work->task))
		lws_threadpool_task_wake(atomic_load(&work->task));
}

bool
lwstpc_work_hangs(const struct lwstpc_work *work)
{
	lws_usec_t at = atomic_load(&work->called_at);

	return at && lwstpc_now() - at > work->c->lease_us;
}
