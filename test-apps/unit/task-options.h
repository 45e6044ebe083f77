/*
 * lws-threadpool unit tests - jobs that are enqueued with options
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_TASK_OPTIONS_H
#define LWSTP_UNIT_TASK_OPTIONS_H

#include "park.h"

/* job_enqueue() by lws_threadpool_enqueue_ext() */
static inline struct lws_threadpool_task *
enqueue_with(struct lws_threadpool *tp, struct job *j, struct lws *wsi,
	     const struct lws_threadpool_task_options *o)
{
	struct lws_threadpool_task_args args;

	job_args(j, wsi, &args);
	job_accepted(j, lws_threadpool_enqueue_ext(tp, &args, o, "%s",
						   j->name ? j->name : "job"));

	return j->task;
}

/* ... with these times; it has to be accepted */
static inline void
enqueue_timed(struct lws_threadpool *tp, struct job *j, struct lws *wsi,
	      int queue_ms, int life_ms)
{
	const struct lws_threadpool_task_options o = {
		.size = sizeof(o), .queue_ms = queue_ms, .life_ms = life_ms
	};

	assert_non_null(enqueue_with(tp, j, wsi, &o));
}

struct moment {
	lws_usec_t at;
};

static inline bool
moment_is_past(void *moment)
{
	return lws_now_usecs() > ((struct moment *)moment)->at;
}

static inline struct moment
moment_in(int ms)
{
	struct moment m = { lws_now_usecs() + ms * LWS_US_PER_MS };

	return m;
}

/* Times are told in the log, by whoever asks the task to stop */
static inline void
claim_times(void)
{
	log_claim(LLL_WARN, "queue_ms");
	log_claim(LLL_WARN, "life_ms");
}

#endif
