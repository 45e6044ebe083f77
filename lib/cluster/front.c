/*
 * lws-threadpool-cluster - what a front is told
 *
 * SPDX-License-Identifier: MIT
 *
 * On threads of the engine.  Chunks are taken in order and once, whatever the
 * network does to them, and are decoded by the job's task.
 */

#include "private.h"

/*
 * Chunks
 */

static void
latency(lwstpc_t *c, uint64_t sent)
{
	uint64_t now = lwstpc_wall(), us = now > sent ? now - sent : 0;
	unsigned int n = 0;

	while (us && n < 23) {
		us >>= 1;
		n++;
	}
	lwstpc_count(&c->n.latency_us[n], 1);
}

static LWSTPC_JOB_HELD bool
__store(struct lwstpc_job *job, struct lwstpc_msg *msg)
{
	if (job->filled == job->room)
		return false;
	job->inbox[(job->first + job->filled++) % job->room] = msg;
	__lwstpc_job_wake(job);

	return true;
}

/* True: the inbox has the message now */
static LWSTPC_JOB_HELD bool
__chunk(struct lwstpc_job *job, const struct lwstpc_wire *wire,
	struct lwstpc_msg *msg)
{
	lwstpc_t *c = job->c;
	bool is_end = wire->type == LWSTPC_END;

	if (job->gone) /* it lingers, and nobody reads */
		return false;
	if (job->complete || wire->seq < job->came) {
		lwstpc_count(&c->n.duplicate, 1);
		return false;
	}
	if (wire->seq > job->came) {
		if (job->naked != job->came)
			__lwstpc_nak(job);
		return false;
	}
	if (wire->len > job->kind->k.max_chunk) {
		__lwstpc_job_refuse(job, "a chunk is larger than max_chunk",
				    wire->len);
		return false;
	}
	/* beyond its credit: its loss */
	if (!is_end && wire->seq >= job->done + (uint32_t)job->kind->k.window)
		return false;
	if (!__store(job, msg))
		return false;
	job->nak_gap = 0;
	if (is_end)
		job->complete = true;
	else
		job->came++;
	if (!is_end || (wire->flags & LWSTPC_F_DATA)) {
		lwstpc_count(&c->n.chunks, 1);
		lwstpc_count(&c->n.chunk_bytes, wire->len);
		latency(c, wire->time);
	}

	return true;
}

/*
 * The answer to FIND
 */

static LWSTPC_JOB_HELD void
__found_by(struct lwstpc_job *job, const struct lwstpc_wire *wire,
	   const char *worker, struct lwstpc_kind *kind)
{
	if (!kind || (wire->flags & LWSTPC_F_REFUSED) ||
	    wire->seq != job->done || !__lwstpc_job_kind(job, kind)) {
		__lwstpc_job_refuse(
			job,
			!kind ? "attach: its kind is not known here" :
				"attach: the worker cannot go on after chunk",
			kind ? job->done : 0);
		return;
	}
	job->where = LWSTPC_OWNED;
	job->fence = wire->fence;
	memcpy(job->worker, worker, sizeof(job->worker));
	job->begun = true;
	job->heard = lwstpc_now();
	if (job->gone) { /* its reader went, before it was found */
		job->keep_until = job->heard +
				  kind->k.linger_secs * LWS_US_PER_SEC;
		__lwstpc_linger(job);
	} else {
		__lwstpc_credit(job);
	}
}

static void
found(struct lwstpc_job *job, const struct lwstpc_wire *wire,
      const char *worker)
{
	struct lwstpc_kind *kind = NULL;
	char name[LWSTPC_NAME];

	if (wire->len < sizeof(name)) {
		memcpy(name, wire->data, wire->len);
		name[wire->len] = '\0';
		kind = lwstpc_kind_find(job->c, name);
	}
	lwstpc_job_lock(job);
	if (wire->time == job->attach && job->where == LWSTPC_SEEKING) {
		if (wire->flags & LWSTPC_F_QUEUED)
			job->heard = lwstpc_now();
		else
			__found_by(job, wire, worker, kind);
	}
	lwstpc_job_unlock(job);
}

/*
 * All of it
 */

/* True: the inbox has the message now */
static LWSTPC_JOB_HELD bool
__came(struct lwstpc_job *job, const struct lwstpc_wire *wire,
       const char *worker, struct lwstpc_msg *msg)
{
	if (job->where == LWSTPC_NEW)
		return false; /* another task has it, since it was found */
	if (job->gone && !job->lingers) {
		lwstpc_stop_other(job->c, worker, job->id_text, wire->fence, 0);
		return false;
	}
	if (!__lwstpc_job_is_owner(job, wire, worker))
		return false;
	switch (wire->type) {
	case LWSTPC_CHUNK:
	case LWSTPC_END:
		return __chunk(job, wire, msg);
	case LWSTPC_GIVEN:
		job->given = job->fence;
		if (!(wire->flags & LWSTPC_F_BEGUN))
			job->begun = false;
		__lwstpc_job_lost(job, false);
		return false;
	case LWSTPC_TAKEN:
		job->where = LWSTPC_QUEUED;
		job->complete = false;
		__lwstpc_job_empty(job);
		__lwstpc_job_verdict(job, LWS_TP_CLUSTER_ASKED);
		return false;
	default:
		return false;
	}
}

void
lwstpc_front_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	unsigned char id[LWSTPC_ID_BYTES];
	char worker[LWSTPC_NODE_TEXT];
	struct lwstpc_wire wire;
	struct lwstpc_job *job;
	const void *data;
	bool kept = false;
	size_t len;

	data = lwstpc_msg_data(msg, &len);
	if (lwstpc_untext(id, sizeof(id), tail) ||
	    lwstpc_decode(&wire, data, len) || !lwstpc_sender(c, msg, worker)) {
		lwstpc_msg_free(msg);
		return;
	}
	job = lwstpc_job_find(c, id);
	if (!job) {
		if (wire.type >= LWSTPC_HELLO && wire.type <= LWSTPC_END)
			lwstpc_stop_other(c, worker, tail, wire.fence, 0);
	} else if (wire.type == LWSTPC_FOUND) {
		found(job, &wire, worker);
	} else {
		lwstpc_job_lock(job);
		kept = __came(job, &wire, worker, msg);
		lwstpc_job_unlock(job);
	}
	if (!kept)
		lwstpc_msg_free(msg);
	if (job)
		lwstpc_job_drop(job);
}

/*
 * The queue's answers
 */

/* It had the job before we were away, and may have given it to a worker since
 * that heard nothing of us, and has dropped it.  So it leaves the queue, if it
 * is there still, and the ticker publishes it anew. */
static LWSTPC_JOB_HELD bool
__in_doubt(struct lwstpc_job *job, uint64_t number, bool had_it)
{
	bool anew = job->doubt && had_it && job->where == LWSTPC_QUEUED;

	job->doubt = false;
	if (!anew)
		return false;
	lwstpc_delete(job->c->engine, number);
	job->number = 0;
	job->round++;
	/* not before a worker that has begun it is sure to have said so */
	job->published = lwstpc_now() + LWS_US_PER_SEC;

	return true;
}

static LWSTPC_JOB_HELD void
__published(struct lwstpc_job *job, int refused, uint64_t number, bool had_it)
{
	if (job->where == LWSTPC_NEW)
		return; /* as in __came(); the other asks for its number */
	if (refused > 0) {
		if (job->where == LWSTPC_QUEUED)
			__lwstpc_job_refuse(job,
					    "the queue takes no job, error",
					    number);
	} else if (!refused && job->gone && !job->lingers) {
		lwstpc_delete(job->c->engine, number);
		job->keep_until = 0;
	} else if (!refused) {
		if (__in_doubt(job, number, had_it))
			return;
		job->number = number;
		job->queue = atomic_load(&job->c->queue);
	} else {
		lwstpc_queue_gone(job->c);
	}
}

void
lwstpc_front_answer(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	unsigned char id[LWSTPC_ID_BYTES];
	struct lwstpc_job *job;
	uint64_t number;
	bool had_it;
	int refused;

	if (lwstpc_untext(id, sizeof(id), tail))
		return;
	job = lwstpc_job_find(c, id);
	if (!job)
		return;
	refused = lwstpc_publish_answer(msg, &number, &had_it);
	lwstpc_job_lock(job);
	__published(job, refused, number, had_it);
	lwstpc_job_unlock(job);
	lwstpc_job_drop(job);
}

/* somebody attaches to a job: one of ours that waits in the queue still? */
void
lwstpc_front_find(lwstpc_t *c, const struct lwstpc_wire *wire,
		  const unsigned char *id)
{
	struct lwstpc_job *job = lwstpc_job_find(c, id);
	struct lwstpc_wire answer = {
		.type = LWSTPC_FOUND,
		.flags = LWSTPC_F_QUEUED,
		.seq = wire->seq,
		.time = wire->fence,
	};
	unsigned char buf[LWSTPC_WIRE_MOST];
	char front[LWSTPC_NODE_TEXT];
	bool queued;

	if (!job)
		return;
	lwstpc_text(front, &wire->front, sizeof(wire->front));
	lwstpc_job_lock(job);
	queued = (!job->gone || job->lingers) && !job->verdict &&
		 (job->where == LWSTPC_QUEUED || job->where == LWSTPC_NEW);
	lwstpc_job_unlock(job);
	if (queued)
		lwstpc_send(c->engine, 'f', front, job->id_text, buf,
			    lwstpc_encode(buf, &answer));
	lwstpc_job_drop(job);
}

/* The queue gave up what was delivered too often.  Each time it was given back,
 * for __lwstpc_job_lost() counts the workers that were lost: it is published
 * anew.  Whose is it? */
void
lwstpc_front_spent(lwstpc_t *c, uint64_t number)
{
	struct lwstpc_job *job, *next;
	bool ours = false;

	if (!number)
		return;
	lwstpc_lock(c);
	HASH_ITER(hh, c->jobs, job, next) {
		lwstpc_job_lock(job);
		ours = job->number == number && !job->complete;
		if (ours) {
			job->number = 0;
			job->round++;
		}
		lwstpc_job_unlock(job);
		if (ours)
			break;
	}
	lwstpc_unlock(c);
	if (ours)
		lwstpc_delete(c->engine, number);
}
