/*
 * lws-threadpool - a C program that uses the library from outside
 *
 * SPDX-License-Identifier: MIT
 *
 * install/check builds it by each way there is to link with us.  It is written
 * for the API that libwebsockets itself declares, without our header: one task
 * without a wsi, run by a pool, and its cleanup.
 */

#include <libwebsockets.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define CALLS 3

struct job {
	struct lws_context *context;
	int calls;
	atomic_int cleanups;
};

static enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *job = user;

	if (s != LWS_TP_STATUS_RUNNING)
		return LWS_TP_RETURN_STOPPED;
	if (++job->calls < CALLS)
		return LWS_TP_RETURN_CHECKING_IN;

	return LWS_TP_RETURN_FINISHED;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *job = user;

	(void)wsi;
	atomic_fetch_add(&job->cleanups, 1);
	lws_cancel_service(job->context);
}

int
main(void)
{
	struct lws_threadpool_create_args create = { 0 };
	struct lws_context_creation_info info = { 0 };
	struct lws_threadpool_task_args args = { 0 };
	struct lws_threadpool *tp;
	struct job job = { 0 };

	alarm(60);
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);

	info.port = CONTEXT_PORT_NO_LISTEN;
	job.context = lws_create_context(&info);
	if (!job.context) {
		fprintf(stderr, "embed: no context\n");
		return 1;
	}

	create.threads = 2;
	create.max_queue_depth = 8;
	tp = lws_threadpool_create(job.context, &create, "embed");
	if (!tp) {
		fprintf(stderr, "embed: no pool\n");
		lws_context_destroy(job.context);
		return 1;
	}

	args.task = job_task;
	args.cleanup = job_cleanup;
	args.user = &job;
	if (lws_threadpool_enqueue(tp, &args, "job"))
		while (!atomic_load(&job.cleanups) &&
		       lws_service(job.context, 0) >= 0)
			;

	lws_threadpool_finish(tp);
	lws_threadpool_destroy(tp);
	lws_context_destroy(job.context);

	printf("C: %d calls, %d cleanup\n", job.calls,
	       atomic_load(&job.cleanups));

	return job.calls != CALLS || atomic_load(&job.cleanups) != 1;
}
