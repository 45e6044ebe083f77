/*
 * lws-threadpool unit tests - what the tests of tokens, attach and kept tasks
 * have in common
 *
 * SPDX-License-Identifier: MIT
 *
 * Include it in one file of an executable, after harness.h.
 */

#ifndef LWSTP_UNIT_TOKENS_H
#define LWSTP_UNIT_TOKENS_H

#include "harness.h"

#define TOKENS_LIST 64

/* refused() tells that, once whatever was logged of it is claimed */
#define assert_refused(code) \
	do { \
		log_claim(LLL_ERR, ""); \
		log_claim(LLL_WARN, ""); \
		assert_int_equal(lws_threadpool_refused(), code); \
	} while (0)

/* job_enqueue() with options */
static inline struct lws_threadpool_task *
tokens_enqueue(struct lws_threadpool *tp, struct job *j, struct lws *wsi,
	       const struct lws_threadpool_task_options *options)
{
	struct lws_threadpool_task_args args;

	job_args(j, wsi, &args);
	job_accepted(j, lws_threadpool_enqueue_ext(tp, &args, options, "%s",
						   j->name ? j->name : "job"));
	assert_non_null(j->task);

	return j->task;
}

/* its token, which it is given if it had none */
static inline const char *
tokens_give(struct job *j, unsigned int flags)
{
	static _Thread_local char token[LWS_THREADPOOL_TOKEN_SIZE];

	assert_int_equal(lws_threadpool_task_token(j->task, flags, token), 0);

	return token;
}

/* Accepted, has a token, and waits at its gate in its first call */
static inline struct job *
tokens_job(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi,
	   struct gate *gate, unsigned int flags)
{
	struct job *j = job_gated(rig, gate);

	assert_non_null(job_enqueue(tp, j, wsi));
	tokens_give(j, flags);
	wait_int(&j->calls, 1);

	return j;
}

static inline struct lws_threadpool_task_info
tokens_info(struct job *j)
{
	struct lws_threadpool_task_info info;

	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);
	assert_int_equal(lws_threadpool_task_get_info(j->task, &info), 0);

	return info;
}

static inline bool
tokens_is_kept(void *arg)
{
	struct job *j = arg;
	struct lws_threadpool_task_info info;

	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);

	return !lws_threadpool_task_get_info(j->task, &info) && info.kept;
}

/* It has ended without a wsi, and is kept.  Returns it. */
static inline struct job *
tokens_keep(struct rig *rig, struct lws_threadpool *tp)
{
	struct gate *gate = gate_new(rig);
	struct job *j = tokens_job(rig, tp, NULL, gate, 0);

	gate_open(gate);
	wait_until(tokens_is_kept, j);

	return j;
}

/* K4: it is there: done, detached, known by its token, and not cleaned up */
static inline void
is_kept(struct lws_threadpool *tp, struct job *j,
	enum lws_threadpool_task_status how)
{
	struct lws_threadpool_task_info info = tokens_info(j);

	assert_int_equal(atomic_load(&j->cleanups), 0);
	assert_int_equal(info.kept, 1);
	assert_int_equal(info.attached, 0);
	assert_int_equal(info.status, how);
	assert_ptr_equal(info.user, j);
	assert_int_equal(lws_threadpool_task_attached(j->task), 0);
	/* neither its info nor this reap it, again and again */
	assert_int_equal(lws_threadpool_task_status_noreap(j->task), how);
	if (j->rig->context)
		assert_ptr_equal(
			lws_threadpool_task_by_token(tp, tokens_give(j, 0)),
			j->task);
}

/* Q6: reaped: without a wsi, and stale from then on */
static inline void
is_gone(struct job *j)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };

	assert_int_equal(atomic_load(&j->cleanups), 1);
	assert_null(j->cleanup_wsi);
	assert_int_equal(lws_threadpool_task_get_info(j->task, &info), -1);
}

static inline int
kept_count(struct lws_threadpool *tp)
{
	struct lws_threadpool_stats stats;

	memset(&stats, 0, sizeof(stats));
	stats.size = sizeof(stats);
	assert_int_equal(lws_threadpool_get_stats(tp, &stats), 0);

	return (int)stats.kept;
}

struct tokens_list {
	struct lws_threadpool_task *task[TOKENS_LIST];
	int count;
};

static inline int
tokens_visit(struct lws_threadpool_task *task, void *user)
{
	struct tokens_list *list = user;

	assert_true(list->count < TOKENS_LIST);
	list->task[list->count++] = task;

	return 0;
}

/* the tasks of a wsi, in the order of a walk */
static inline struct tokens_list
tokens_of(struct lws *wsi)
{
	struct tokens_list list = { .count = 0 };

	lws_threadpool_foreach_task_wsi(wsi, &list, tokens_visit);

	return list;
}

#endif
