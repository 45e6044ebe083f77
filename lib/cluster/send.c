/*
 * lws-threadpool-cluster - messages of NATS, and how they are sent
 *
 * SPDX-License-Identifier: MIT
 *
 * Whoever sends may have to wait for room in libnats's buffer.
 */

#include <stdlib.h>
#include <string.h>

#include "nats.h"

#define KEY_MOST 128 /* of a message, as a header of NATS */

const void *
lwstpc_msg_data(const struct lwstpc_msg *msg, size_t *len)
{
	const natsMsg *m = (const natsMsg *)msg;

	*len = (size_t)natsMsg_GetDataLength(m);

	return natsMsg_GetData(m);
}

const char *
lwstpc_msg_reply(const struct lwstpc_msg *msg)
{
	const char *reply = natsMsg_GetReply((const natsMsg *)msg);

	return reply ? reply : "";
}

int
lwstpc_msg_status(struct lwstpc_msg *msg)
{
	natsMsg *m = (natsMsg *)msg;
	const char *text = NULL;

	if (natsMsg_GetDataLength(m) ||
	    natsMsgHeader_Get(m, "Status", &text) != NATS_OK || !text)
		return 0;

	return atoi(text);
}

void
lwstpc_msg_free(struct lwstpc_msg *msg)
{
	natsMsg_Destroy((natsMsg *)msg);
}

const char *
lwstpc_engine_prefix(const struct lwstpc_engine *e)
{
	return e->o.prefix;
}

const char *
lwstpc_engine_node(const struct lwstpc_engine *e)
{
	return e->node;
}

/* with a key the engine takes it once only */
static natsStatus
send_keyed(natsConnection *nc, const char *subject, const char *reply,
	   const char *key, const void *buf, size_t len)
{
	natsMsg *msg;
	natsStatus s = natsMsg_Create(&msg, subject, reply, buf, (int)len);

	if (s != NATS_OK)
		return s;
	s = natsMsgHeader_Set(msg, "Nats-Msg-Id", key);
	if (s == NATS_OK)
		s = natsConnection_PublishMsg(nc, msg);
	natsMsg_Destroy(msg);

	return s;
}

bool
lwstpc_engine_send(struct lwstpc_engine *e, const char *subject,
		   const char *reply, const char *key, const void *buf,
		   size_t len)
{
	natsStatus s = NATS_CONNECTION_CLOSED;

	pthread_rwlock_rdlock(&e->lock);
	if (e->nc && key)
		s = send_keyed(e->nc, subject, reply, key, buf, len);
	else if (e->nc && reply)
		s = natsConnection_PublishRequest(e->nc, subject, reply, buf,
						  (int)len);
	else if (e->nc)
		s = natsConnection_Publish(e->nc, subject, buf, (int)len);
	pthread_rwlock_unlock(&e->lock);

	return s == NATS_OK;
}

bool
lwstpc_engine_fits(struct lwstpc_engine *e, size_t len)
{
	int64_t most = 0;

	pthread_rwlock_rdlock(&e->lock);
	if (e->nc)
		most = natsConnection_GetMaxPayload(e->nc);
	pthread_rwlock_unlock(&e->lock);

	return most <= 0 || len + LWSTPC_WIRE_MOST + KEY_MOST <= (size_t)most;
}

/* The subject is unsubscribed from before what is sent after this.  What has
 * come is looked at still, unless there is no memory for that: then it comes
 * again, elsewhere, after the lease. */
void
lwstpc_take_end(struct lwstpc_engine *e)
{
	natsSubscription *sub;

	atomic_store(&e->no_takes, true);
	pthread_rwlock_rdlock(&e->lock);
	sub = e->nc ? e->inlets[LWSTPC_IN_TAKE].sub : NULL;
	if (sub && natsSubscription_Drain(sub) != NATS_OK)
		natsSubscription_Unsubscribe(sub);
	pthread_rwlock_unlock(&e->lock);
}

bool
lwstpc_engine_is_up(struct lwstpc_engine *e)
{
	bool up;

	pthread_rwlock_rdlock(&e->lock);
	up = e->nc &&
	     natsConnection_Status(e->nc) == NATS_CONN_STATUS_CONNECTED;
	pthread_rwlock_unlock(&e->lock);

	return up;
}

bool
lwstpc_take_ended(struct lwstpc_engine *e)
{
	return !lwstpc_engine_is_up(e) || !atomic_load(&e->takes);
}
