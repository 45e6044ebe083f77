/*
 * lws-threadpool-cluster - which worker has a job
 *
 * SPDX-License-Identifier: MIT
 *
 * The fence of a delivery is higher than that of all before it.  A lower one is
 * told STOP.  A higher one asks first, and is let in if the front has given up
 * the worker before it: so the job runs at one place at a time, as far as the
 * front can know, and its chunks come from one worker.
 */

#include "private.h"

#define PROBE_PART 4 /* of a lease */

static LWSTPC_JOB_HELD bool
__may_retry(struct lwstpc_job *job)
{
	if (job->attaches)
		return false;
	if (!job->begun)
		return true;
	switch (job->kind->k.retry) {
	case LWS_TP_CLUSTER_RETRY_NEVER:
		return false;
	case LWS_TP_CLUSTER_RETRY_UNSENT:
		return !job->came;
	default:
		return true;
	}
}

LWSTPC_JOB_HELD void
__lwstpc_job_lost(struct lwstpc_job *job, bool counts)
{
	lwstpc_t *c = job->c;

	if (job->where != LWSTPC_OWNED || job->complete)
		return;
	job->where = LWSTPC_QUEUED;
	job->probed = 0;
	job->naked = LWSTPC_NO_CHUNK;
	if (counts && job->begun)
		job->lost++;
	if (!__may_retry(job)) {
		__lwstpc_job_verdict(job, LWS_TP_CLUSTER_LOST);
	} else if (job->lost >= c->max_tries) {
		__lwstpc_job_verdict(job, LWS_TP_CLUSTER_POISON);
	} else {
		job->begun = false;
		lwstpc_count(&c->n.retried, 1);
	}
}

static LWSTPC_JOB_HELD void
__adopt(struct lwstpc_job *job, const struct lwstpc_wire *wire,
	const char *worker)
{
	job->where = LWSTPC_OWNED;
	job->fence = wire->fence;
	memcpy(job->worker, worker, sizeof(job->worker));
	job->begun = true;
	job->probed = 0;
	job->heard = lwstpc_now();
	job->credit_at = job->nak_at = 0;
	job->credit_gap = job->nak_gap = 0;
}

/* Somebody else has it: false, unless that one is lost */
static LWSTPC_JOB_HELD bool
__old_is_lost(struct lwstpc_job *job, const struct lwstpc_wire *wire,
	      const char *worker)
{
	lws_usec_t now = lwstpc_now(), lease = job->c->lease_us;

	if (!job->probed || now - job->probed > lease) {
		job->probed = now;
		__lwstpc_nak(job);
	} else if (job->heard > job->probed || job->complete) {
		job->probed = 0;
		lwstpc_stop_other(job->c, worker, job->id_text, wire->fence,
				  LWSTPC_F_DROP);
	} else if (lwstpc_silence(job->c, job->probed, now) >
		   lease / PROBE_PART) {
		__lwstpc_job_lost(job, true);
		return true;
	}

	return false;
}

/* A worker had it that was lost before it said a word */
static LWSTPC_JOB_HELD void
__count_unknown(struct lwstpc_job *job)
{
	if (job->fence || job->given || job->lost)
		return;
	job->lost++;
	lwstpc_count(&job->c->n.retried, 1);
	if (job->lost >= job->c->max_tries)
		__lwstpc_job_verdict(job, LWS_TP_CLUSTER_POISON);
}

static LWSTPC_JOB_HELD bool
__newcomer(struct lwstpc_job *job, const struct lwstpc_wire *wire,
	   const char *worker)
{
	bool asks = wire->type == LWSTPC_HELLO && (wire->flags & LWSTPC_F_ASK);

	/* of one that is under way elsewhere it is a second delivery */
	if (wire->type == LWSTPC_GIVEN && job->where != LWSTPC_OWNED)
		job->given = wire->fence;
	if (wire->type == LWSTPC_GIVEN || wire->type == LWSTPC_TAKEN)
		return false;
	if (job->where == LWSTPC_OWNED && asks &&
	    !__old_is_lost(job, wire, worker))
		return false;
	/* one that has begun unasked is a job that was published twice */
	if (job->where == LWSTPC_OWNED && !asks) {
		lwstpc_stop_other(job->c, worker, job->id_text, wire->fence,
				  LWSTPC_F_DROP);
		return false;
	}
	if (asks && (wire->flags & LWSTPC_F_AGAIN))
		__count_unknown(job);
	if (job->verdict) {
		lwstpc_stop_other(job->c, worker, job->id_text, wire->fence, 0);
		return false;
	}
	__adopt(job, wire, worker);
	if (asks)
		__lwstpc_credit(job);

	return true;
}

LWSTPC_JOB_HELD bool
__lwstpc_job_is_owner(struct lwstpc_job *job, const struct lwstpc_wire *wire,
		      const char *worker)
{
	if (job->where == LWSTPC_NEW || job->where == LWSTPC_SEEKING)
		return false;
	/* it must not ack: the engine would take that for the later one's */
	if (wire->fence < job->fence || wire->fence <= job->given) {
		lwstpc_count(&job->c->n.fenced, 1);
		lwstpc_stop_other(job->c, worker, job->id_text, wire->fence,
				  LWSTPC_F_DROP);
		return false;
	}
	if (wire->fence > job->fence || job->where != LWSTPC_OWNED)
		return __newcomer(job, wire, worker);
	job->heard = lwstpc_now();

	/* its HELLO was heard, and our answer was lost */
	if (wire->type == LWSTPC_HELLO && (wire->flags & LWSTPC_F_ASK))
		__lwstpc_credit(job);

	return true;
}
