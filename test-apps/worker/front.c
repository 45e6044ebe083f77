/*
 * lws-threadpool worker test - a front
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-worker-front URL KIND JOBS CHUNKS US [CA-FILE|- [LEASE]]
 *
 * Enqueues the jobs, and writes "chunk" once when the first chunk has come, and
 * at the end
 *
 *	complete 4 of 4 chunks 40 workers 2 wrong 0
 *
 * Exit status 0 if all have finished with all their chunks in order.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lws-threadpool-cluster.h>

#include "job.h"

#define LEASE_SECS 3
#define PIDS	   8

struct job {
	struct ask ask;
	uint32_t have;
};

static atomic_int cleaned, chunks, wrong, said, complete;
static atomic_uint pids[PIDS];

static int
encode_job(void *user, void *buf, size_t *len)
{
	struct job *job = user;

	if (*len < sizeof(job->ask))
		return -1;
	memcpy(buf, &job->ask, sizeof(job->ask));
	*len = sizeof(job->ask);

	return 0;
}

static void
note_pid(uint32_t pid)
{
	unsigned int none;
	int n;

	for (n = 0; n < PIDS; n++) {
		none = 0;
		if (atomic_compare_exchange_strong(&pids[n], &none, pid) ||
		    none == pid)
			return;
	}
}

static int
decode_chunk(void *user, const void *buf, size_t len)
{
	struct job *job = user;
	struct part part;

	if (len != sizeof(part))
		return -1;
	memcpy(&part, buf, len);
	if (part.number != job->have)
		atomic_fetch_add(&wrong, 1);
	job->have++;
	atomic_fetch_add(&chunks, 1);
	note_pid(part.pid);
	if (!atomic_exchange(&said, 1)) {
		printf("chunk\n");
		fflush(stdout);
	}

	return 0;
}

static void
cleanup(struct lws *wsi, void *user)
{
	struct job *job = user;

	(void)wsi;
	if (job->have == job->ask.chunks)
		atomic_fetch_add(&complete, 1);
	free(job);
	atomic_fetch_add(&cleaned, 1);
}

static enum lws_threadpool_task_return
elsewhere(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;

	return LWS_TP_RETURN_STOPPED;
}

static void *
no_decode(const void *buf, size_t len,
	  const struct lws_threadpool_cluster_job_info *info)
{
	(void)buf;
	(void)len;
	(void)info;

	return NULL;
}

static int
no_encode(void *user, void *buf, size_t *len)
{
	(void)user;
	(void)buf;
	(void)len;

	return -1;
}

static int
add_kind(struct lws_threadpool_cluster *c, const char *name)
{
	const struct lws_threadpool_cluster_kind kind = {
		.size = sizeof(kind),
		.name = name,
		.version = 7,
		.task = elsewhere,
		.encode_job = encode_job,
		.decode_job = no_decode,
		.encode_chunk = no_encode,
		.decode_chunk = decode_chunk,
		.retry = strcmp(name, "never") ? LWS_TP_CLUSTER_RETRY_RESUME :
						 LWS_TP_CLUSTER_RETRY_NEVER,
	};

	return lws_threadpool_cluster_add_kind(c, &kind);
}

/* as soon as the engine is there */
static int
enqueue(struct lws_threadpool_cluster *c, const char *kind,
	const char *n_chunks, const char *us)
{
	struct job *job = calloc(1, sizeof(*job));
	struct lws_threadpool_task_args args = {
		.user = job, .cleanup = cleanup, .async_task = 1
	};

	if (!job)
		return -1;
	job->ask.chunks = (uint32_t)atoi(n_chunks);
	job->ask.us = (uint32_t)atoi(us);
	while (!lws_threadpool_cluster_enqueue(c, kind, &args, NULL, "job")) {
		if (lws_threadpool_refused() != LWS_TP_REFUSED_AWAY) {
			free(job);
			return -1;
		}
		usleep(10000);
	}

	return 0;
}

static void
on_timer(lws_sorted_usec_list_t *sul)
{
	(void)sul;
}

static void
wait_for(struct lws_context *context, int jobs)
{
	lws_sorted_usec_list_t sul;
	int n = 0;

	memset(&sul, 0, sizeof(sul));
	while (n >= 0 && atomic_load(&cleaned) < jobs) {
		lws_sul_schedule(context, 0, &sul, on_timer,
				 20 * LWS_US_PER_MS);
		n = lws_service(context, 0);
	}
	lws_sul_cancel(&sul);
}

static int
report(int jobs)
{
	int workers = 0, n;

	for (n = 0; n < PIDS; n++)
		workers += !!atomic_load(&pids[n]);
	printf("complete %d of %d chunks %d workers %d wrong %d\n",
	       atomic_load(&complete), jobs, atomic_load(&chunks), workers,
	       atomic_load(&wrong));

	return atomic_load(&complete) != jobs || atomic_load(&wrong);
}

int
main(int argc, char **argv)
{
	const struct lws_threadpool_create_args pool = {
		.threads = 1, .max_queue_depth = 1000
	};
	struct lws_threadpool_cluster_options o = { .size = sizeof(o),
						    .lease_secs = LEASE_SECS };
	struct lws_context_creation_info info;
	struct lws_threadpool_cluster *c = NULL;
	struct lws_context *context;
	struct lws_threadpool *tp;
	int n, ret = 1;

	if (argc < 6)
		return 2;
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	lws_set_log_level(LLL_USER | LLL_ERR | LLL_WARN, NULL);
	context = lws_create_context(&info);
	tp = lws_threadpool_create(context, &pool, "front");
	o.url = argv[1];
	o.ca_file = argc > 6 && strcmp(argv[6], "-") ? argv[6] : NULL;
	if (argc > 7)
		o.lease_secs = atoi(argv[7]);
	if (tp)
		c = lws_threadpool_cluster_create(tp, &o);
	if (c && !add_kind(c, argv[2])) {
		for (n = 0; n < atoi(argv[3]); n++)
			if (enqueue(c, argv[2], argv[4], argv[5]))
				break;
		wait_for(context, n);
		ret = report(atoi(argv[3]));
	}
	lws_threadpool_cluster_destroy(c);
	lws_threadpool_destroy(tp);
	lws_context_destroy(context);

	return ret;
}
