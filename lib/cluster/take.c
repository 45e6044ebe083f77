/*
 * lws-threadpool-cluster - a job comes to a worker
 *
 * SPDX-License-Identifier: MIT
 *
 * It becomes a task of the pool; or is given back, if it cannot.
 */

#include "private.h"

#define ASK_AFTER_US LWS_US_PER_SEC /* so long in the queue: ask first */

/* nobody else has it yet */
static LWSTP_UNCHECKED bool
work_init(struct lwstpc_work *work, lwstpc_t *c, struct lwstpc_kind *kind,
	  const struct lwstpc_wire *wire)
{
	work->window = wire->window < 1			 ? 1 :
		       wire->window > LWSTPC_WINDOW_MOST ? LWSTPC_WINDOW_MOST :
							   wire->window;
	work->ring = calloc(work->window + 1, sizeof(*work->ring));
	if (!work->ring)
		return false;
	if (pthread_mutex_init(&work->lock, NULL))
		return false;
	atomic_init(&work->refs, 1);
	work->c = lwstpc_hold(c);
	work->kind = kind;
	memcpy(work->id, wire->id, sizeof(work->id));
	lwstpc_text(work->id_text, wire->id, sizeof(wire->id));
	lwstpc_text(work->front, &wire->front, sizeof(wire->front));
	work->version = wire->version;
	work->max_chunk = wire->max_chunk < kind->k.max_chunk ?
				  wire->max_chunk :
				  kind->k.max_chunk;
	work->linger_us = (wire->linger < (uint32_t)kind->k.linger_secs ?
				   wire->linger :
				   (uint32_t)kind->k.linger_secs) *
			  LWS_US_PER_SEC;
	work->upto = work->window;
	work->tries = 1;
	work->heard = work->beat_at = lwstpc_now();

	return true;
}

static LWSTP_UNCHECKED struct lwstpc_work *
work_make(lwstpc_t *c, struct lwstpc_kind *kind, const struct lwstpc_wire *wire,
	  struct lwstpc_msg *msg)
{
	const char *reply = lwstpc_msg_reply(msg);
	struct lwstpc_work *work;
	uint64_t times, number;
	int64_t published;

	if (!lwstpc_delivery(reply, &times, &number, &published))
		return NULL;
	work = calloc(1, sizeof(*work));
	if (!work)
		return NULL;
	work->reply = strdup(reply);
	if (!work->reply || !work_init(work, c, kind, wire)) {
		free(work->ring);
		free(work->reply);
		free(work);
		return NULL;
	}
	work->fence = (uint64_t)wire->seq << LWSTPC_ROUND_BITS | number;
	work->queue = atomic_load(&c->queue);
	work->again = times > 1;
	work->must_ask = (wire->flags & LWSTPC_F_ASK) || work->again ||
			 kind->k.retry == LWS_TP_CLUSTER_RETRY_NEVER ||
			 (int64_t)lwstpc_wall() - published > ASK_AFTER_US;
	work->msg = msg;

	return work;
}

/* False: it is here already, and goes on; or there is no memory */
static bool
list(lwstpc_t *c, struct lwstpc_work *work, bool *is_twice)
{
	struct lwstpc_work *other;
	bool listed = false;

	lwstpc_lock(c);
	HASH_FIND(hh, c->works, work->id, sizeof(work->id), other);
	*is_twice = other;
	if (!other)
		listed = __lwstpc_work_list(c, work);
	if (listed) {
		work->kind->jobs++;
		work->kind->unstarted++;
	}
	lwstpc_unlock(c);

	return listed;
}

static bool
enqueue(struct lwstpc_work *work)
{
	struct lws_threadpool_task_args args;

	memset(&args, 0, sizeof(args));
	args.user = work;
	args.task = lwstpc_run;
	args.cleanup = lwstpc_run_cleanup;

	return lws_threadpool_enqueue(work->c->pool, &args, "%s %.8s",
				      work->kind->name, work->id_text);
}

/* It has not begun here, and will not: that is no loss of a worker */
static void
decline(struct lwstpc_work *work, bool rests)
{
	if (rests)
		lwstpc_take_rest(work->c, work->kind);
	lwstpc_work_lock(work);
	work->rests = rests;
	__lwstpc_work_give(work, false);
	lwstpc_work_unlock(work);
}

/* The reference is the task's, if it was enqueued */
static void
begin(struct lwstpc_work *work)
{
	lwstpc_t *c = work->c;
	bool ends = atomic_load(&c->draining) || atomic_load(&c->dying);
	bool is_twice, listed = list(c, work, &is_twice);

	if (listed && !ends && enqueue(work))
		return;
	if (!is_twice || ends)
		decline(work, !ends);
	if (listed) {
		lwstpc_take_started(work);
		lwstpc_work_unlist(work);
	}
	lwstpc_work_drop(work);
}

static void
job_came(lwstpc_t *c, struct lwstpc_kind *kind, struct lwstpc_msg *msg)
{
	struct lwstpc_work *work;
	struct lwstpc_wire wire;
	const void *data;
	size_t len;

	data = lwstpc_msg_data(msg, &len);
	if (lwstpc_decode(&wire, data, len) || wire.type != LWSTPC_JOB) {
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: %s: what is no job, or of "
			   "another version\n",
			   kind->name);
		lwstpc_ack(c->engine, lwstpc_msg_reply(msg));
		lwstpc_msg_free(msg);
		return;
	}
	work = work_make(c, kind, &wire, msg);
	if (!work) {
		lwstpc_take_rest(c, kind);
		lwstpc_give_back(c->engine, lwstpc_msg_reply(msg),
				 LWSTPC_REST_US);
		lwstpc_msg_free(msg);
		return;
	}
	begin(work);
}

void
lwstpc_job_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	struct lwstpc_kind *kind = lwstpc_kind_find(c, tail);

	if (!kind) {
		lwstpc_msg_free(msg);
		return;
	}
	lwstpc_pull_brought(c, kind);
	job_came(c, kind, msg);
	lwstpc_take_more(c, kind);
}
