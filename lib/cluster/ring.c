/*
 * lws-threadpool-cluster - what a worker says, and says again
 *
 * SPDX-License-Identifier: MIT
 *
 * The ring keeps the last `window` chunks with their headers, and END: all that
 * the front may lack, and what a reader may have again that comes back.
 */

#include "private.h"

LWSTPC_WORK_HELD void
__lwstpc_tell_front(struct lwstpc_work *work, const char *front,
		    enum lwstpc_type type, unsigned int flags)
{
	const struct lwstpc_wire wire = {
		.type = type,
		.flags = flags,
		.seq = work->sent,
		.fence = work->fence,
	};
	unsigned char buf[LWSTPC_WIRE_MOST];

	lwstpc_send(work->c->engine, 'f', front, work->id_text, buf,
		    lwstpc_encode(buf, &wire));
}

LWSTPC_WORK_HELD void
__lwstpc_tell(struct lwstpc_work *work, enum lwstpc_type type,
	      unsigned int flags)
{
	__lwstpc_tell_front(work, work->front, type, flags);
}

static LWSTPC_WORK_HELD void
__send(struct lwstpc_work *work, const struct lwstpc_sent *s)
{
	lwstpc_send(work->c->engine, 'f', work->front, work->id_text, s->buf,
		    s->len);
}

LWSTPC_WORK_HELD void
__lwstpc_put(struct lwstpc_work *work, enum lwstpc_type type,
	     unsigned int flags, unsigned char *buf, size_t len)
{
	const struct lwstpc_wire wire = {
		.type = type,
		.flags = flags,
		.seq = work->sent,
		.fence = work->fence,
		.time = lwstpc_wall(),
	};
	struct lwstpc_sent *s = &work->ring[work->sent % (work->window + 1)];

	lwstpc_encode(buf, &wire);
	free(s->buf);
	s->buf = buf;
	s->len = LWSTPC_WIRE_HEADER + len;
	work->sent++;
	if (work->sent - work->oldest > work->window + 1)
		work->oldest = work->sent - work->window - 1;
	__send(work, s);
}

LWSTPC_WORK_HELD void
__lwstpc_resend(struct lwstpc_work *work, uint32_t from)
{
	if (from < work->oldest)
		from = work->oldest;
	for (; from < work->sent; from++) {
		__send(work, &work->ring[from % (work->window + 1)]);
		lwstpc_count(&work->c->n.resent, 1);
	}
}
