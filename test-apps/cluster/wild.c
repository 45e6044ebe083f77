/*
 * lws-threadpool cluster tests - somebody else who uses the same engine
 *
 * SPDX-License-Identifier: MIT
 */

#include "wild.h"

#include <ctype.h>

#include <nats/nats.h>

struct wild {
	natsConnection *nc;
	natsSubscription *sub;
	struct field *f;

	char flooded[200];
	pthread_t flood;
	atomic_bool ends;
};

static const char *
prefix_of(const struct field *f)
{
	return f->options.prefix ? f->options.prefix : "lwstp";
}

struct wild *
wild_open(struct field *f)
{
	struct wild *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->f = f;
	assert_int_equal(natsConnection_ConnectTo(&w->nc, f->engine->url),
			 NATS_OK);

	return w;
}

void
wild_close(struct wild *w)
{
	natsSubscription_Destroy(w->sub);
	natsConnection_Destroy(w->nc);
	free(w);
}

static void
wild_subject(const struct wild *w, const char *subject, char *buf, size_t len)
{
	snprintf(buf, len, "%s.%s", prefix_of(w->f), subject);
}

void
wild_send(struct wild *w, const char *subject, const char *reply,
	  const void *data, size_t len)
{
	char whole[200], back[200];
	natsStatus status;

	wild_subject(w, subject, whole, sizeof(whole));
	if (reply) {
		wild_subject(w, reply, back, sizeof(back));
		status = natsConnection_PublishRequest(w->nc, whole, back, data,
						       (int)len);
	} else {
		status = natsConnection_Publish(w->nc, whole, data, (int)len);
	}
	assert_int_equal(status, NATS_OK);
	assert_int_equal(natsConnection_FlushTimeout(w->nc, 240000), NATS_OK);
}

void
wild_status(struct wild *w, const char *subject, const char *status)
{
	char whole[200];
	natsMsg *m = NULL;

	wild_subject(w, subject, whole, sizeof(whole));
	assert_int_equal(natsMsg_Create(&m, whole, NULL, NULL, 0), NATS_OK);
	assert_int_equal(natsMsgHeader_Set(m, "Status", status), NATS_OK);
	assert_int_equal(natsConnection_PublishMsg(w->nc, m), NATS_OK);
	natsMsg_Destroy(m);
	assert_int_equal(natsConnection_FlushTimeout(w->nc, 240000), NATS_OK);
}

void
wild_listen(struct wild *w, const char *subject)
{
	char whole[200];

	wild_subject(w, subject, whole, sizeof(whole));
	assert_int_equal(natsConnection_SubscribeSync(&w->sub, w->nc, whole),
			 NATS_OK);
	assert_int_equal(natsConnection_FlushTimeout(w->nc, 240000), NATS_OK);
}

static void *
flood(void *arg)
{
	struct wild *w = arg;

	while (!atomic_load(&w->ends))
		natsConnection_PublishString(w->nc, w->flooded, "");

	return NULL;
}

void
wild_flood(struct wild *w, const char *subject)
{
	wild_subject(w, subject, w->flooded, sizeof(w->flooded));
	assert_int_equal(pthread_create(&w->flood, NULL, flood, w), 0);
}

void
wild_flood_end(struct wild *w)
{
	atomic_store(&w->ends, true);
	pthread_join(w->flood, NULL);
}

int
wild_next(struct wild *w, struct wild_msg *msg)
{
	const char *reply;
	natsMsg *m;

	if (natsSubscription_NextMsg(&m, w->sub, 1) != NATS_OK)
		return -1;
	reply = natsMsg_GetReply(m);
	snprintf(msg->subject, sizeof(msg->subject), "%s",
		 natsMsg_GetSubject(m));
	snprintf(msg->reply, sizeof(msg->reply), "%s", reply ? reply : "");
	msg->len = natsMsg_GetDataLength(m);
	if (msg->len > (int)sizeof(msg->data))
		msg->len = (int)sizeof(msg->data);
	memcpy(msg->data, natsMsg_GetData(m), (size_t)msg->len);
	natsMsg_Destroy(m);

	return 0;
}

/* A number of the one stream whose subjects are below the prefix, as the engine
 * tells of it in JSON; -1: there is none */
static int
stream_number(struct wild *w, const char *name)
{
	char ask[80];
	const char *found;
	natsMsg *m = NULL;
	int number = -1;

	snprintf(ask, sizeof(ask), "{\"subject\":\"%s.job.>\"}",
		 prefix_of(w->f));
	if (natsConnection_RequestString(&m, w->nc, "$JS.API.STREAM.LIST", ask,
					 5000) != NATS_OK)
		return -1;
	found = strstr(natsMsg_GetData(m), name);
	if (found)
		number = atoi(found + strlen(name));
	natsMsg_Destroy(m);

	return number;
}

int
wild_jobs(struct wild *w)
{
	return stream_number(w, "\"messages\":");
}

int
wild_published(struct wild *w)
{
	return stream_number(w, "\"last_seq\":");
}

static void
stream_name(const struct wild *w, char name[20])
{
	const char *prefix = prefix_of(w->f);
	size_t n;

	for (n = 0; prefix[n] && n < 19; n++)
		name[n] = (char)toupper(prefix[n]);
	name[n] = '\0';
}

void
wild_spent(struct wild *w, int number)
{
	char name[20], subject[120], advisory[60];

	stream_name(w, name);
	snprintf(subject, sizeof(subject),
		 "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.%s.k-x", name);
	snprintf(advisory, sizeof(advisory), "{\"stream_seq\":%d}", number);
	assert_int_equal(natsConnection_PublishString(w->nc, subject, advisory),
			 NATS_OK);
	assert_int_equal(natsConnection_FlushTimeout(w->nc, 240000), NATS_OK);
}

/* The stream as it is, but for max_msgs */
void
wild_limit_jobs(struct wild *w, int n)
{
	char name[20], subject[80], ask[400];
	const char *prefix = prefix_of(w->f);
	natsMsg *m = NULL;

	stream_name(w, name);
	snprintf(subject, sizeof(subject), "$JS.API.STREAM.UPDATE.%s", name);
	snprintf(ask, sizeof(ask),
		 "{\"name\":\"%s\","
		 "\"subjects\":[\"%s.job.*\"],\"retention\":\"workqueue\","
		 "\"storage\":\"file\",\"discard\":\"new\",\"num_replicas\":1,"
		 "\"max_consumers\":-1,\"max_msgs\":%d,\"max_bytes\":-1,"
		 "\"duplicate_window\":120000000000}",
		 name, prefix, n);
	assert_int_equal(natsConnection_RequestString(&m, w->nc, subject, ask,
						      240000),
			 NATS_OK);
	assert_null(strstr(natsMsg_GetData(m), "\"error\""));
	natsMsg_Destroy(m);
}

struct jobs_wait {
	struct wild *w;
	int n;
};

static bool
has_jobs(void *arg)
{
	struct jobs_wait *wait = arg;
	int n = wild_jobs(wait->w);

	rig_detail("%d jobs", n);

	return n == wait->n;
}

void
until_jobs_(struct field *f, int n, const char *file, int line)
{
	struct jobs_wait wait = { wild_open(f), n };

	rig_until_(f->rig, has_jobs, &wait, "jobs in the engine", file, line);
	wild_close(wait.w);
}
