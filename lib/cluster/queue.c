/*
 * lws-threadpool-cluster - the queue of jobs: what we use of JetStream
 *
 * SPDX-License-Identifier: MIT
 *
 * Nothing here waits for an answer.  Answers are JSON of one level, in which
 * two or three numbers are looked for.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define DUPLICATES_NS	 "120000000000" /* two minutes */
#define NO_RESPONDERS	 503
#define EXISTS_OTHERWISE 10058 /* a stream, of another form */

#define MOST_DELIVERIES 1000
#define MOST_PENDING	100000
#define MOST_PULLS	65536

/* of the stream: the prefix in upper case */
static void
stream_name(const struct lwstpc_engine *e, char name[LWSTPC_NAME])
{
	const char *p = lwstpc_engine_prefix(e);
	size_t n;

	for (n = 0; p[n] && n < LWSTPC_NAME - 1; n++)
		name[n] = (char)(p[n] >= 'a' && p[n] <= 'z' ? p[n] - 32 : p[n]);
	name[n] = '\0';
}

void
lwstpc_subject_spent(const struct lwstpc_engine *e,
		     char subject[LWSTPC_SUBJECT])
{
	char stream[LWSTPC_NAME];

	stream_name(e, stream);
	snprintf(subject, LWSTPC_SUBJECT,
		 "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.%s.*", stream);
}

/*
 * JSON
 */

/* "name": in text: where its value begins, or NULL */
static const char *
json_find(const char *text, size_t len, const char *name)
{
	size_t n = strlen(name), at;

	for (at = 0; at + n + 3 < len; at++)
		if (text[at] == '"' && !memcmp(text + at + 1, name, n) &&
		    text[at + 1 + n] == '"' && text[at + 2 + n] == ':')
			return text + at + 3 + n;

	return NULL;
}

static uint64_t
json_number(const char *text, size_t len, const char *name)
{
	const char *p = json_find(text, len, name), *end = text + len;
	uint64_t number = 0;

	if (!p)
		return 0;
	while (p < end && *p == ' ')
		p++;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		number = number * 10 + (uint64_t)(*p - '0');

	return number;
}

/*
 * To and from the front
 */

bool
lwstpc_publish(struct lwstpc_engine *e, const char *kind, const char *key,
	       const char *id, const void *buf, size_t len)
{
	char subject[LWSTPC_SUBJECT], reply[LWSTPC_SUBJECT];

	snprintf(subject, sizeof(subject), "%s.job.%s", lwstpc_engine_prefix(e),
		 kind);
	snprintf(reply, sizeof(reply), "%s.a.%s.%s", lwstpc_engine_prefix(e),
		 lwstpc_engine_node(e), id);

	return lwstpc_engine_send(e, subject, reply, key, buf, len);
}

/* JetStream is not there, or not yet, and may come */
static bool
not_now(uint64_t code)
{
	return code == 10008 || code == 10039 || code == 10076;
}

const char *
lwstpc_queue_why(uint64_t code)
{
	if (!code)
		return "it does not answer; has its user the rights?";
	if (code == NO_RESPONDERS || (not_now(code) && code != 10008))
		return "it has no JetStream, as by nats-server -js";

	return "its error";
}

int
lwstpc_publish_answer(struct lwstpc_msg *msg, uint64_t *number, bool *had_it)
{
	const char *text;
	size_t len;

	*number = 0;
	*had_it = false;
	if (lwstpc_msg_status(msg) == NO_RESPONDERS)
		return -1;
	text = lwstpc_msg_data(msg, &len);
	if (json_find(text, len, "error")) {
		*number = json_number(text, len, "err_code");
		return not_now(*number) ? -1 : 1;
	}
	*number = json_number(text, len, "seq");
	*had_it = json_find(text, len, "duplicate");

	return *number ? 0 : -1;
}

bool
lwstpc_delete(struct lwstpc_engine *e, uint64_t number)
{
	char subject[LWSTPC_SUBJECT], stream[LWSTPC_NAME], body[64];

	stream_name(e, stream);
	snprintf(subject, sizeof(subject), "$JS.API.STREAM.MSG.DELETE.%s",
		 stream);
	snprintf(body, sizeof(body), "{\"seq\":%llu,\"no_erase\":true}",
		 (unsigned long long)number);

	return lwstpc_engine_send(e, subject, NULL, NULL, body, strlen(body));
}

uint64_t
lwstpc_spent(struct lwstpc_msg *msg)
{
	const char *text;
	size_t len;

	text = lwstpc_msg_data(msg, &len);

	return json_number(text, len, "stream_seq");
}

/*
 * Stream and consumers
 */

bool
lwstpc_make_queue(struct lwstpc_engine *e)
{
	const char *prefix = lwstpc_engine_prefix(e);
	char subject[LWSTPC_SUBJECT], reply[LWSTPC_SUBJECT];
	char stream[LWSTPC_NAME], body[512];

	stream_name(e, stream);
	snprintf(subject, sizeof(subject), "$JS.API.STREAM.CREATE.%s", stream);
	snprintf(reply, sizeof(reply), "%s.a.%s.+", prefix,
		 lwstpc_engine_node(e));
	snprintf(body, sizeof(body),
		 "{\"name\":\"%s\",\"subjects\":"
		 "[\"%s.job.*\"],\"retention\":\"workqueue\",\"storage\":"
		 "\"file\",\"discard\":\"new\",\"max_consumers\":-1,"
		 "\"max_msgs\":-1,\"max_bytes\":-1,\"max_age\":0,"
		 "\"num_replicas\":1,\"duplicate_window\":" DUPLICATES_NS "}",
		 stream, prefix);

	return lwstpc_engine_send(e, subject, reply, NULL, body, strlen(body));
}

bool
lwstpc_make_consumer(struct lwstpc_engine *e, const char *kind,
		     unsigned int number, int64_t lease_us)
{
	const char *prefix = lwstpc_engine_prefix(e);
	char subject[LWSTPC_SUBJECT], reply[LWSTPC_SUBJECT];
	char stream[LWSTPC_NAME], body[512];

	stream_name(e, stream);
	snprintf(subject, sizeof(subject),
		 "$JS.API.CONSUMER.DURABLE.CREATE.%s.k-%s", stream, kind);
	snprintf(reply, sizeof(reply), "%s.a.%s.+%u", prefix,
		 lwstpc_engine_node(e), number);
	snprintf(body, sizeof(body),
		 "{\"stream_name\":\"%s\",\"config\":{"
		 "\"durable_name\":\"k-%s\",\"deliver_policy\":\"all\","
		 "\"ack_policy\":\"explicit\",\"ack_wait\":%lld,"
		 "\"max_deliver\":%d,\"filter_subject\":\"%s.job.%s\","
		 "\"replay_policy\":\"instant\",\"max_ack_pending\":%d,"
		 "\"max_waiting\":%d}}",
		 stream, kind, (long long)lease_us * 1000, MOST_DELIVERIES,
		 prefix, kind, MOST_PENDING, MOST_PULLS);

	return lwstpc_engine_send(e, subject, reply, NULL, body, strlen(body));
}

/* of when it was made */
static uint64_t
json_hash(const char *text, size_t len, const char *name)
{
	const char *p = json_find(text, len, name), *end = text + len;
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (; p && p < end && *p != ','; p++)
		hash = (hash ^ (unsigned char)*p) * 1099511628211u;

	return hash;
}

int
lwstpc_make_answer(struct lwstpc_msg *msg, uint64_t *which)
{
	const char *text;
	size_t len;

	*which = (uint64_t)lwstpc_msg_status(msg);
	if (*which)
		return -1;
	text = lwstpc_msg_data(msg, &len);
	if (json_find(text, len, "error")) {
		*which = json_number(text, len, "err_code");
		if (*which != EXISTS_OTHERWISE) /* which does not say when */
			return -1;
	} else if (!json_find(text, len, "created")) {
		return -1; /* nor is it an answer */
	}
	*which = json_hash(text, len, "created");

	return 0;
}

/*
 * To and from the worker
 */

bool
lwstpc_take(struct lwstpc_engine *e, const char *kind, const char *tail,
	    int batch, int64_t expires_us)
{
	char subject[LWSTPC_SUBJECT], reply[LWSTPC_SUBJECT];
	char stream[LWSTPC_NAME], body[96];

	stream_name(e, stream);
	snprintf(subject, sizeof(subject), "$JS.API.CONSUMER.MSG.NEXT.%s.k-%s",
		 stream, kind);
	snprintf(reply, sizeof(reply), "%s.t.%s.%s", lwstpc_engine_prefix(e),
		 lwstpc_engine_node(e), tail);
	snprintf(body, sizeof(body), "{\"batch\":%d,\"expires\":%lld}", batch,
		 (long long)expires_us * 1000);

	return lwstpc_engine_send(e, subject, reply, NULL, body, strlen(body));
}

bool
lwstpc_extend(struct lwstpc_engine *e, const char *reply)
{
	return lwstpc_engine_send(e, reply, NULL, NULL, "+WPI", 4);
}

bool
lwstpc_ack(struct lwstpc_engine *e, const char *reply)
{
	return lwstpc_engine_send(e, reply, NULL, NULL, "+ACK", 4);
}

bool
lwstpc_give_back(struct lwstpc_engine *e, const char *reply, int64_t after_us)
{
	char text[48] = "-NAK";

	if (after_us)
		snprintf(text, sizeof(text), "-NAK {\"delay\":%lld}",
			 (long long)after_us * 1000);

	return lwstpc_engine_send(e, reply, NULL, NULL, text, strlen(text));
}

/* $JS.ACK.[domain.account.]stream.consumer.times.sequence.number.time.pending
 * and maybe more after that, where there is a domain */
bool
lwstpc_delivery(const char *reply, uint64_t *times, uint64_t *number,
		int64_t *published)
{
	const char *parts[16];
	unsigned int n = 0, first;
	const char *p = reply;

	if (strncmp(reply, "$JS.ACK.", 8))
		return false;
	for (; p && n < sizeof(parts) / sizeof(parts[0]); n++) {
		parts[n] = p;
		p = strchr(p, '.');
		if (p)
			p++;
	}
	if (n != 9 && n < 11)
		return false;
	first = n == 9 ? 4 : 6;
	*times = strtoull(parts[first], NULL, 10);
	*number = strtoull(parts[first + 2], NULL, 10);
	*published = (int64_t)(strtoull(parts[first + 3], NULL, 10) / 1000);

	return *times && *number;
}

/*
 * From one process to another
 */

bool
lwstpc_send(struct lwstpc_engine *e, char where, const char *node,
	    const char *id, const void *buf, size_t len)
{
	char subject[LWSTPC_SUBJECT], from[LWSTPC_SUBJECT];

	snprintf(subject, sizeof(subject), "%s.%c.%s.%s",
		 lwstpc_engine_prefix(e), where, node, id);
	snprintf(from, sizeof(from), "%s.w.%s.%s", lwstpc_engine_prefix(e),
		 lwstpc_engine_node(e), id);

	return lwstpc_engine_send(e, subject, from, NULL, buf, len);
}

bool
lwstpc_send_find(struct lwstpc_engine *e, const char *id, const void *buf,
		 size_t len)
{
	char subject[LWSTPC_SUBJECT];

	snprintf(subject, sizeof(subject), "%s.find.%s",
		 lwstpc_engine_prefix(e), id);

	return lwstpc_engine_send(e, subject, NULL, NULL, buf, len);
}

bool
lwstpc_send_echo(struct lwstpc_engine *e)
{
	char subject[LWSTPC_SUBJECT];

	snprintf(subject, sizeof(subject), "%s.a.%s.-", lwstpc_engine_prefix(e),
		 lwstpc_engine_node(e));

	return lwstpc_engine_send(e, subject, NULL, NULL, "", 0);
}
