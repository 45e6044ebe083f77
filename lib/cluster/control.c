/*
 * lws-threadpool-cluster - what a worker is told
 *
 * SPDX-License-Identifier: MIT
 *
 * On a thread of the engine.  What is not of this delivery's fence is not for
 * us.
 */

#include "private.h"

static LWSTPC_WORK_HELD void
__linger(struct lwstpc_work *work)
{
	if (!work->linger_us) {
		__lwstpc_work_stop(work);
		return;
	}
	work->lingers = true;
	work->linger_until = lwstpc_now() + work->linger_us;
}

static LWSTPC_WORK_HELD void
__credit(struct lwstpc_work *work, const struct lwstpc_wire *wire)
{
	uint32_t most = wire->seq + work->window;

	if (wire->seq > LWSTPC_CHUNKS_MOST + 1) /* END is one, too */
		return;
	if (!work->answered && work->must_ask && !work->begun) {
		work->sent = work->have = work->oldest = wire->seq;
		work->upto = wire->seq;
		work->tries = wire->tries;
	}
	work->answered = true;
	if (!(wire->flags & LWSTPC_F_LINGER))
		work->lingers = false;
	else if (!work->lingers)
		__linger(work);
	if (wire->seq > work->have && wire->seq <= work->sent)
		work->have = wire->seq;
	/* what the ring can hold, whatever is said */
	if (wire->upto > work->upto)
		work->upto = wire->upto < most ? wire->upto : most;
	__lwstpc_work_wake(work);
}

static LWSTPC_WORK_HELD void
__nak(struct lwstpc_work *work, const struct lwstpc_wire *wire)
{
	if (wire->seq < work->sent)
		__lwstpc_resend(work, wire->seq);
	else if (!lwstpc_work_hangs(work))
		__lwstpc_tell(work, LWSTPC_BEAT, 0);
}

/* True: it is done with */
static LWSTPC_WORK_HELD bool
__came(struct lwstpc_work *work, const struct lwstpc_wire *wire,
       const char *front)
{
	/* another has attached, and it has not heard of that */
	if (strcmp(front, work->front)) {
		__lwstpc_tell_front(work, front, LWSTPC_TAKEN, 0);
		return false;
	}
	work->heard = lwstpc_now();
	switch (wire->type) {
	case LWSTPC_CREDIT:
		__credit(work, wire);
		if (work->ended && work->have == work->sent)
			__lwstpc_work_stop(work);
		break;
	case LWSTPC_NAK:
		__nak(work, wire);
		break;
	case LWSTPC_STOP:
		if (wire->flags & LWSTPC_F_DROP)
			__lwstpc_work_give(work, true);
		else
			__lwstpc_work_stop(work);
		break;
	case LWSTPC_LINGER:
		__linger(work);
		break;
	default:
		break;
	}

	return __lwstpc_work_done(work);
}

void
lwstpc_control_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	unsigned char id[LWSTPC_ID_BYTES];
	char front[LWSTPC_NODE_TEXT];
	struct lwstpc_wire wire;
	struct lwstpc_work *work;
	const void *data;
	bool done;
	size_t len;

	data = lwstpc_msg_data(msg, &len);
	if (lwstpc_untext(id, sizeof(id), tail) ||
	    lwstpc_decode(&wire, data, len) || !lwstpc_sender(c, msg, front))
		return;
	work = lwstpc_work_find(c, id);
	if (!work)
		return;
	if (work->fence == wire.fence) {
		lwstpc_work_lock(work);
		done = __came(work, &wire, front);
		lwstpc_work_unlock(work);
		if (done)
			lwstpc_work_unlist(work);
	}
	lwstpc_work_drop(work);
}

/*
 * Another front attaches
 */

static LWSTPC_WORK_HELD bool
__asks(const struct lwstpc_work *work)
{
	return work->must_ask && !work->begun && !work->answered;
}

/* Another worker may have, of what is to run once: its front knows, and must be
 * asked, whoever attaches */
static LWSTPC_WORK_HELD bool
__may_have_begun(const struct lwstpc_work *work)
{
	return __asks(work) &&
	       work->kind->k.retry == LWS_TP_CLUSTER_RETRY_NEVER &&
	       (work->again || work->fence >> LWSTPC_ROUND_BITS);
}

/* From chunk `have` on, of which all must be in the ring */
static LWSTPC_WORK_HELD void
__attach(struct lwstpc_work *work, uint32_t have, const char *front)
{
	if (strcmp(front, work->front)) {
		__lwstpc_tell(work, LWSTPC_TAKEN, 0);
		memcpy(work->front, front, sizeof(work->front));
	}
	work->lingers = false;
	work->heard = lwstpc_now();
	if (__asks(work))
		return; /* it goes on asking, there */
	work->have = have;
	work->upto = have + work->window;
}

/* Each attach once: another may have taken it from that one since, whose FIND
 * was said twice.  False: it had it before, and has not now. */
static LWSTPC_WORK_HELD bool
__is_due(struct lwstpc_work *work, uint64_t attach)
{
	unsigned int n;

	for (n = 1; n < LWSTPC_ATTACHES; n++)
		if (work->attach[n] && work->attach[n] == attach)
			return false;

	return true;
}

static LWSTPC_WORK_HELD void
__remember(struct lwstpc_work *work, uint64_t attach)
{
	memmove(work->attach + 1, work->attach,
		sizeof(work->attach) - sizeof(work->attach[0]));
	work->attach[0] = attach;
}

static LWSTPC_WORK_HELD void
__found(struct lwstpc_work *work, const struct lwstpc_wire *wire,
	const char *front)
{
	struct lwstpc_wire answer = {
		.type = LWSTPC_FOUND,
		.seq = wire->seq,
		.fence = work->fence,
		.time = wire->fence,
	};
	unsigned char buf[LWSTPC_WIRE_MOST + LWSTPC_NAME];
	size_t len, name = strlen(work->kind->name);
	bool is_anew = wire->fence != work->attach[0];
	uint32_t most;

	/* END has no number of its own for the reader; one that asks may still
	 * begin anywhere, if its function can */
	most = work->ended ? work->sent - 1 : work->sent;
	if (__asks(work) && work->kind->k.retry == LWS_TP_CLUSTER_RETRY_RESUME)
		most = wire->seq;
	if (is_anew && (wire->seq > most || wire->seq < work->oldest))
		answer.flags = LWSTPC_F_REFUSED;
	if (is_anew && !answer.flags) {
		__attach(work, wire->seq, front);
		__remember(work, wire->fence);
	}
	len = lwstpc_encode(buf, &answer);
	memcpy(buf + len, work->kind->name, name);
	lwstpc_send(work->c->engine, 'f', front, work->id_text, buf,
		    len + name);
	if (answer.flags)
		return;
	__lwstpc_resend(work, wire->seq);
	__lwstpc_work_wake(work);
}

void
lwstpc_control_find(lwstpc_t *c, const struct lwstpc_wire *wire,
		    const unsigned char *id)
{
	struct lwstpc_work *work = lwstpc_work_find(c, id);
	char front[LWSTPC_NODE_TEXT];

	if (!work)
		return;
	lwstpc_text(front, &wire->front, sizeof(wire->front));
	lwstpc_work_lock(work);
	if (!work->stop && !work->given && atomic_load(&work->started) &&
	    !__may_have_begun(work) && __is_due(work, wire->fence))
		__found(work, wire, front);
	lwstpc_work_unlock(work);
	lwstpc_work_drop(work);
}
