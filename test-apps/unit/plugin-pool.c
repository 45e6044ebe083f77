/*
 * lws-threadpool unit tests - a plugin of an application's own, that has a pool
 * while it is loaded
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdatomic.h>
#include <string.h>

#include "plugin-pool.h"

#define TASKS 100

static struct lws_threadpool *tp;
static atomic_int cleanups;

static enum lws_threadpool_task_return
step(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;

	return LWS_TP_RETURN_FINISHED;
}

static void
cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	atomic_fetch_add(&cleanups, 1);
}

LWS_VISIBLE int
plugin_start(struct lws_context *context)
{
	const struct lws_threadpool_create_args create_args = {
		.threads = 2, .max_queue_depth = TASKS
	};
	struct lws_threadpool_task_args args;
	int n;

	tp = lws_threadpool_create(context, &create_args, "plugin");
	if (!tp)
		return 0;
	memset(&args, 0, sizeof(args));
	args.task = step;
	args.cleanup = cleanup;
	for (n = 0; n < TASKS; n++)
		if (!lws_threadpool_enqueue(tp, &args, "task %d", n))
			return n;

	return TASKS;
}

LWS_VISIBLE int
plugin_stop(void)
{
	lws_threadpool_destroy(tp);

	return atomic_load(&cleanups);
}
