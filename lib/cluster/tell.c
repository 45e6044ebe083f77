/*
 * lws-threadpool-cluster - what a front says
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it may be lost, and may be said again: credit is absolute, and the
 * engine takes a job of one key once.
 */

#include <stdio.h>

#include "private.h"

#define AGAIN_US (500 * LWS_US_PER_MS)
#define GONE_US	 (5 * LWS_US_PER_SEC)

static LWSTPC_JOB_HELD void
__tell(struct lwstpc_job *job, enum lwstpc_type type, unsigned int flags)
{
	struct lwstpc_wire wire = {
		.type = type,
		.flags = flags,
		.fence = job->fence,
		.seq = job->came,
		.upto = job->upto,
		.tries = job->lost + 1,
	};
	unsigned char buf[LWSTPC_WIRE_MOST];

	if (job->where != LWSTPC_OWNED)
		return;
	if (type == LWSTPC_CREDIT && job->complete && !job->filled)
		wire.seq++; /* END is read, too */
	lwstpc_send(job->c->engine, 'w', job->worker, job->id_text, buf,
		    lwstpc_encode(buf, &wire));
}

LWSTPC_JOB_HELD void
__lwstpc_credit(struct lwstpc_job *job)
{
	lws_usec_t most = lwstpc_again_most(job->c);

	if (job->kind && !job->lingers)
		job->upto = job->done + (uint32_t)job->kind->k.window;
	job->credit_gap = AGAIN_US < most ? AGAIN_US : most;
	job->credit_at = atomic_load(&job->c->now) + job->credit_gap;
	__tell(job, LWSTPC_CREDIT, job->lingers ? LWSTPC_F_LINGER : 0);
}

LWSTPC_JOB_HELD void
__lwstpc_nak(struct lwstpc_job *job)
{
	job->naked = job->came;
	__tell(job, LWSTPC_NAK, 0);
}

LWSTPC_JOB_HELD void
__lwstpc_stop(struct lwstpc_job *job)
{
	__tell(job, LWSTPC_STOP, 0);
}

LWSTPC_JOB_HELD void
__lwstpc_linger(struct lwstpc_job *job)
{
	__tell(job, LWSTPC_LINGER, 0);
}

void
lwstpc_stop_other(lwstpc_t *c, const char *worker, const char *id,
		  uint64_t fence, unsigned int flags)
{
	const struct lwstpc_wire wire = {
		.type = LWSTPC_STOP,
		.flags = flags,
		.fence = fence,
	};
	unsigned char buf[LWSTPC_WIRE_MOST];

	lwstpc_send(c->engine, 'w', worker, id, buf, lwstpc_encode(buf, &wire));
}

LWSTPC_JOB_HELD void
__lwstpc_find(struct lwstpc_job *job)
{
	struct lwstpc_wire wire = {
		.type = LWSTPC_FIND,
		.seq = job->done,
		.fence = job->attach,
	};
	unsigned char buf[LWSTPC_WIRE_MOST];

	lwstpc_untext(&wire.front, sizeof(wire.front), job->c->node);
	lwstpc_send_find(job->c->engine, job->id_text, buf,
			 lwstpc_encode(buf, &wire));
}

/* A later round has another key, for the engine takes each key once */
LWSTPC_JOB_HELD bool
__lwstpc_job_publish(struct lwstpc_job *job)
{
	const struct lws_threadpool_cluster_kind *k = &job->kind->k;
	bool asks = k->retry == LWS_TP_CLUSTER_RETRY_NEVER || job->published ||
		    job->round;
	struct lwstpc_wire wire = {
		.type = LWSTPC_JOB,
		.flags = asks ? LWSTPC_F_ASK : 0,
		.seq = job->round,
		.time = lwstpc_wall(),
		.version = k->version,
		.window = (uint32_t)k->window,
		.max_chunk = (uint32_t)k->max_chunk,
		.linger = (uint32_t)k->linger_secs,
	};
	unsigned char *buf = malloc(LWSTPC_WIRE_MOST + job->request_len);
	char key[LWSTPC_ID_TEXT + 12];
	size_t len;
	bool sent;

	if (!buf)
		return false;
	memcpy(wire.id, job->id, sizeof(wire.id));
	lwstpc_untext(&wire.front, sizeof(wire.front), job->c->node);
	snprintf(key, sizeof(key), "%s.%u", job->id_text, job->round);
	len = lwstpc_encode(buf, &wire);
	if (job->request_len)
		memcpy(buf + len, job->request, job->request_len);
	sent = lwstpc_publish(job->c->engine, job->kind->name, key,
			      job->id_text, buf, len + job->request_len);
	free(buf);
	job->published = lwstpc_now();

	return sent;
}

/* In another queue its number is another job's */
LWSTPC_JOB_HELD bool
__lwstpc_job_delete(struct lwstpc_job *job)
{
	if (!job->number || !job->queue ||
	    job->queue != atomic_load(&job->c->queue))
		return false;
	lwstpc_delete(job->c->engine, job->number);

	return true;
}

/* It stays in the table for a while if somebody may ask for it still */
LWSTPC_JOB_HELD void
__lwstpc_job_leave(struct lwstpc_job *job, bool lingers)
{
	lws_usec_t keep = 0;

	if (job->gone)
		return;
	if (!job->kind || !job->kind->k.linger_secs || job->verdict ||
	    job->where == LWSTPC_NEW) /* nobody else can know of it */
		lingers = false;
	if (job->where == LWSTPC_SEEKING) {
		keep = GONE_US; /* who is found then is to linger */
		lingers = true;
	} else if (lingers)
		keep = job->kind->k.linger_secs * LWS_US_PER_SEC;
	else if (job->where == LWSTPC_QUEUED && !__lwstpc_job_delete(job))
		keep = GONE_US; /* its number is on its way, or its queue */
	if (lingers && job->where == LWSTPC_OWNED)
		__lwstpc_linger(job);
	else if (!lingers && job->where == LWSTPC_OWNED)
		__lwstpc_stop(job);
	__lwstpc_job_empty(job);
	if (lingers) { /* what was not read is to come again, END, too */
		job->came = job->done;
		job->complete = false;
	}
	job->gone = true;
	job->lingers = lingers;
	job->keep_until = lwstpc_now() + keep;
}
