/*
 * minimal-ws-server-threadpool-token: a job, for the pool and for its watchers
 *
 * SPDX-License-Identifier: MIT
 *
 * How far the task is does not go through SYNC.  It is left, under a lock,
 * where each watcher's WRITEABLE finds it, and lws_threadpool_wsi_writeable()
 * asks for these.  One WRITEABLE answers all that were asked for before it: a
 * slow watcher misses a few figures, and holds up nobody.
 */

#include "job.h"

#include <stdlib.h>

#define BLOCK 2000u /* numbers between two check-ins */

/* Any thread, with the lock.  The handle of a closed wsi is harmless. */
static void
__job_changed(struct job *job)
{
	struct job_watch *watch;

	job->changes++;
	lws_start_foreach_dll(struct lws_dll2 *, d,
			      lws_dll2_get_head(&job->watchers)) {
		watch = lws_container_of(d, struct job_watch, list);
		lws_threadpool_wsi_writeable(watch->handle);
	}
	lws_end_foreach_dll(d);
}

/* any thread, with the lock */
static void
__job_release(struct job *job)
{
	if (!--job->holders)
		free(job);
}

/* on a thread of the pool: each whole percent, and each new state */
static void
show(struct job *job, enum job_state state)
{
	unsigned int percent = job->limit / 100 + 1;

	pthread_mutex_lock(&job->jobs->lock);
	if (state != job->state || job->n - job->shown >= percent) {
		job->state = state;
		job->shown = job->n;
		__job_changed(job);
	}
	pthread_mutex_unlock(&job->jobs->lock);
}

static int
is_prime(unsigned int n)
{
	unsigned int d;

	if (n < 4)
		return n > 1;
	if (!(n & 1))
		return 0;
	for (d = 3; d <= n / d; d += 2)
		if (!(n % d))
			return 0;

	return 1;
}

/* On a thread of the pool.  Some ms: that is how soon it hears of a stop. */
static void
count_block(struct job *job)
{
	unsigned int end = job->limit;

	if (end - job->n > BLOCK)
		end = job->n + BLOCK;
	for (; job->n < end; job->n++)
		if (is_prime(job->n)) {
			job->primes++;
			job->largest = job->n;
		}
}

/* on a thread of the pool, not always the same one */
enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status status)
{
	struct job *job = user;

	LWS_TP_TASK_BEGIN(&job->at, status);

	while (job->n < job->limit) {
		count_block(job);
		show(job, JOB_RUNNING);
		LWS_TP_TASK_CHECK_IN(&job->at);
	}

	/* Until somebody has the result.  Without a wsi it waits for one, since
	 * it has a token with LWS_TP_TOKEN_WAIT. */
	show(job, JOB_READY);
	LWS_TP_TASK_SYNC(&job->at);

	LWS_TP_TASK_END(&job->at);
}

/* Any thread.  The watchers still have the job, and are told of its end. */
void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *job = user;
	struct jobs *jobs = job->jobs;

	(void)wsi;

	pthread_mutex_lock(&jobs->lock);
	lws_dll2_remove(&job->list);
	if (lws_threadpool_end_status() == LWS_TP_STATUS_FINISHED)
		job->state = JOB_TAKEN;
	else if (lws_threadpool_end_reason() == LWS_TP_STOP_TIMEOUT)
		job->state = JOB_EXPIRED;
	else
		job->state = JOB_STOPPED;
	__job_changed(job);
	__job_release(job);
	pthread_mutex_unlock(&jobs->lock);
}

/* --- the service thread's ------------------------------------------------- */

struct job *
job_create(struct jobs *jobs, unsigned int limit)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->jobs = jobs;
	job->limit = limit;
	job->holders = 1;
	job->number = ++jobs->numbers;

	return job;
}

/* with the lock */
static void
__unwatch(struct job_watch *watch)
{
	struct job *job = watch->job;

	if (!job)
		return;
	watch->job = NULL;
	lws_dll2_remove(&watch->list);
	__job_changed(job);
	__job_release(job);
}

/* with the lock */
static void
__watch(struct job_watch *watch, struct job *job)
{
	if (watch->job != job) {
		__unwatch(watch);
		watch->job = job;
		job->holders++;
		lws_dll2_add_tail(&watch->list, &job->watchers);
	}
	__job_changed(job);
	watch->seen = job->changes - 1;
}

/* With the lock held for all of it: a thread of the pool may begin the task,
 * and end it, before enqueue has returned. */
int
job_enqueue(struct job *job, struct lws_threadpool *tp,
	    const struct lws_threadpool_task_args *args,
	    const struct lws_threadpool_task_options *options,
	    struct job_watch *watch)
{
	struct jobs *jobs = job->jobs;

	pthread_mutex_lock(&jobs->lock);
	job->task = lws_threadpool_enqueue_ext(tp, args, options, "primes-%u",
					       job->limit);
	if (job->task) {
		lws_dll2_add_tail(&job->list, &jobs->list);
		__watch(watch, job);
	}
	pthread_mutex_unlock(&jobs->lock);
	if (job->task)
		return 0;
	free(job); /* its cleanup won't come */

	return -1;
}

struct job *
job_watch(struct jobs *jobs, struct job_watch *watch,
	  struct lws_threadpool_task *task, unsigned int number)
{
	struct job *job, *found = NULL;

	pthread_mutex_lock(&jobs->lock);
	lws_start_foreach_dll(struct lws_dll2 *, d,
			      lws_dll2_get_head(&jobs->list)) {
		job = lws_container_of(d, struct job, list);
		if (task ? job->task == task : job->number == number)
			found = job;
	}
	lws_end_foreach_dll(d);
	if (found)
		__watch(watch, found);
	pthread_mutex_unlock(&jobs->lock);

	return found;
}

void
job_unwatch(struct jobs *jobs, struct job_watch *watch)
{
	pthread_mutex_lock(&jobs->lock);
	__unwatch(watch);
	pthread_mutex_unlock(&jobs->lock);
}

unsigned int
jobs_count(struct jobs *jobs)
{
	unsigned int count;

	pthread_mutex_lock(&jobs->lock);
	count = jobs->list.count;
	pthread_mutex_unlock(&jobs->lock);

	return count;
}

int
job_is_over(struct jobs *jobs, struct job_watch *watch)
{
	int over;

	pthread_mutex_lock(&jobs->lock);
	over = !watch->job || watch->job->state >= JOB_TAKEN;
	pthread_mutex_unlock(&jobs->lock);

	return over;
}

int
job_news(struct jobs *jobs, struct job_watch *watch, struct job_news *news)
{
	struct job *job = watch->job;
	int changed;

	if (!job)
		return 0;

	pthread_mutex_lock(&jobs->lock);
	changed = watch->seen != job->changes;
	watch->seen = job->changes;
	news->state = job->state;
	news->number = job->number;
	news->shown = job->shown;
	news->limit = job->limit;
	news->watchers = job->watchers.count;
	pthread_mutex_unlock(&jobs->lock);

	return changed;
}
