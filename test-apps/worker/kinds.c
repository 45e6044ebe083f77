/*
 * lws-threadpool worker test - a shared object of kinds
 *
 * SPDX-License-Identifier: MIT
 *
 * Compiled several times, each with one of GIVES_NONE, NO_FUNCTION, BAD_NAME,
 * BAD_SIZE, NO_TASK, OTHER, or none of them.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lws-threadpool-worker.h>

#include "job.h"

struct work {
	struct ask ask;
	uint32_t made;
	int is_over;
};

static enum lws_threadpool_task_return
step(void *user, enum lws_threadpool_task_status status)
{
	struct work *work = user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	work->is_over = work->made == work->ask.chunks;
	if (work->is_over)
		return LWS_TP_RETURN_FINISHED;
	usleep(work->ask.us);
	work->made++;

	return LWS_TP_RETURN_SYNC;
}

static void
cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	free(user);
}

static void *
decode_job(const void *buf, size_t len,
	   const struct lws_threadpool_cluster_job_info *info)
{
	struct work *work;

	if (len != sizeof(work->ask))
		return NULL;
	work = calloc(1, sizeof(*work));
	if (!work)
		return NULL;
	memcpy(&work->ask, buf, len);
	work->made = info->resume;

	return work;
}

static int
encode_chunk(void *user, void *buf, size_t *len)
{
	const struct work *work = user;
	struct part part = { work->made - 1, (uint32_t)getpid() };

	if (*len < sizeof(part))
		return -1;
	memcpy(buf, &part, sizeof(part));
	*len = work->is_over ? 0 : sizeof(part);

	return 0;
}

static int
no_job(void *user, void *buf, size_t *len)
{
	(void)user;
	(void)buf;
	(void)len;

	return -1;
}

static int
no_chunk(void *user, const void *buf, size_t len)
{
	(void)user;
	(void)buf;
	(void)len;

	return -1;
}

#if defined(BAD_SIZE)
#define SIZE 8
#else
#define SIZE sizeof(struct lws_threadpool_cluster_kind)
#endif

#if defined(NO_TASK)
#define HAS_TASK 0
#else
#define HAS_TASK 1
#endif

#define KIND(its_name, its_retry) \
	{ \
		.size = SIZE, \
		.name = its_name, \
		.version = 7, \
		.task = HAS_TASK ? step : NULL, \
		.cleanup = cleanup, \
		.encode_job = no_job, \
		.decode_job = decode_job, \
		.encode_chunk = encode_chunk, \
		.decode_chunk = no_chunk, \
		.retry = its_retry, \
	}

static const struct lws_threadpool_cluster_kind
#if defined(OTHER)
	other = KIND("other", LWS_TP_CLUSTER_RETRY_RESUME);
#else
#if defined(BAD_NAME)
	resumes = KIND("No Name", LWS_TP_CLUSTER_RETRY_RESUME),
#else
	resumes = KIND("resumes", LWS_TP_CLUSTER_RETRY_RESUME),
#endif
	never = KIND("never", LWS_TP_CLUSTER_RETRY_NEVER);
#endif

#if defined(NO_FUNCTION)
#define lws_threadpool_worker_kinds another_function
const struct lws_threadpool_cluster_kind *const *
another_function(void);
#endif

const struct lws_threadpool_cluster_kind *const *
lws_threadpool_worker_kinds(void)
{
	static const struct lws_threadpool_cluster_kind *const kinds[] = {
#if defined(OTHER)
		&other,
#else
		&resumes, &never,
#endif
		NULL
	};

#if defined(GIVES_NONE)
	fprintf(stderr, "no kinds today\n");
	return NULL;
#endif

	return kinds;
}
