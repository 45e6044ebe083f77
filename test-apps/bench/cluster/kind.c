/*
 * lws-threadpool benchmark of the cluster - the kind of task
 *
 * SPDX-License-Identifier: MIT
 *
 * So many chunks of 12 bytes, which tell when they were made; the last one
 * comes with FINISHED.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster.h"

_Noreturn void
die(const char *what)
{
	fprintf(stderr, "bench-cluster: %s (%s)\n", what, strerror(errno));
	exit(1);
}

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);

	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t
now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

void
work_for(uint32_t us)
{
	uint64_t until;

	if (!us)
		return;
	until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + us * 1000ULL;
	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
		;
}

enum lws_threadpool_task_return
stream_task(void *user, enum lws_threadpool_task_status status)
{
	struct stream *s = user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	work_for(s->us);
	s->at_ns = now_ns();
	s->made++;

	return s->made == s->chunks ? LWS_TP_RETURN_FINISHED :
				      LWS_TP_RETURN_SYNC;
}

static int
encode_job(void *user, void *buf, size_t *len)
{
	const struct stream *s = user;
	uint32_t request[2] = { s->chunks, s->us };

	if (*len < sizeof(request))
		return -1;
	memcpy(buf, request, sizeof(request));
	*len = sizeof(request);

	return 0;
}

static void *
decode_job(const void *buf, size_t len,
	   const struct lws_threadpool_cluster_job_info *info)
{
	struct stream *s = calloc(1, sizeof(*s));
	uint32_t request[2];

	if (!s || len != sizeof(request)) {
		free(s);
		return NULL;
	}
	memcpy(request, buf, sizeof(request));
	s->chunks = request[0];
	s->us = request[1];
	s->made = info->resume;

	return s;
}

static int
encode_chunk(void *user, void *buf, size_t *len)
{
	const struct stream *s = user;

	memcpy(buf, &s->made, sizeof(s->made));
	memcpy((char *)buf + sizeof(s->made), &s->at_ns, sizeof(s->at_ns));
	*len = sizeof(s->made) + sizeof(s->at_ns);

	return 0;
}

static int
decode_chunk(void *user, const void *buf, size_t len)
{
	struct stream *s = user;
	uint32_t made;

	if (len != sizeof(made) + sizeof(s->at_ns))
		return -1;
	memcpy(&made, buf, sizeof(made));
	memcpy(&s->at_ns, (const char *)buf + sizeof(made), sizeof(s->at_ns));
	if (made != s->made + 1)
		return -1;
	s->made = made;

	return 0;
}

static void
free_stream(struct lws *wsi, void *user)
{
	(void)wsi;
	free(user);
}

void
kind_fill(struct lws_threadpool_cluster_kind *kind)
{
	memset(kind, 0, sizeof(*kind));
	kind->size = sizeof(*kind);
	kind->name = KIND;
	kind->version = 1;
	kind->task = stream_task;
	kind->cleanup = free_stream;
	kind->encode_job = encode_job;
	kind->decode_job = decode_job;
	kind->encode_chunk = encode_chunk;
	kind->decode_chunk = decode_chunk;
	kind->retry = LWS_TP_CLUSTER_RETRY_RESUME;
	kind->max_chunk = 64;
}
