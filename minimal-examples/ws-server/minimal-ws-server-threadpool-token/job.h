/*
 * minimal-ws-server-threadpool-token: a job, for the pool and for its watchers
 *
 * SPDX-License-Identifier: MIT
 *
 * A job counts the primes below its limit by trying to divide them: slow, and
 * anybody can check the result.
 */

#ifndef JOB_H
#define JOB_H

#include <pthread.h>

#include <lws-threadpool.h>

#define JOB_MAX_LIMIT 100000000u

enum job_state {
	JOB_QUEUED,
	JOB_RUNNING,
	JOB_READY,
	/* the task is gone: */
	JOB_TAKEN,
	JOB_STOPPED,
	JOB_EXPIRED
};

/* the jobs that have a task */
struct jobs {
	pthread_mutex_t lock;
	lws_dll2_owner_t list; /* by the lock */
	unsigned int numbers;  /* the service thread's: last given */
};

/* there for as long as it has a task or a watcher */
struct job {
	struct jobs *jobs; /* is there for longer */
	unsigned int number;
	unsigned int limit;

	/* by the lock of jobs */
	lws_dll2_t list; /* of jobs, while it has a task */
	lws_dll2_owner_t watchers;
	unsigned int holders; /* the task, and each watcher */
	unsigned int changes; /* of what follows */
	enum job_state state;
	unsigned int shown; /* numbers that were looked at */

	/* the service thread's */
	struct lws_threadpool_task *task;
	char sent; /* the result, to the present wsi */

	/* the task's, and while it is SYNCING the service thread's */
	int at;
	unsigned int n, primes, largest;
};

/* one connection's view of one job at a time: by the lock, in the pss */
struct job_watch {
	lws_dll2_t list; /* of job->watchers */
	struct lws_threadpool_wsi *handle;
	struct job *job;   /* or NULL */
	unsigned int seen; /* of job->changes */
};

/* what a watcher is told */
struct job_news {
	enum job_state state;
	unsigned int number, shown, limit;
	unsigned int watchers;
};

/* The task function and the cleanup, for a struct job. */
enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status status);
void
job_cleanup(struct lws *wsi, void *user);

/*
 * The rest is the service thread's.  job_enqueue() gives the job a task, and it
 * a watcher; on -1 it is freed, and lws_threadpool_refused() tells why.
 */
struct job *
job_create(struct jobs *jobs, unsigned int limit);
int
job_enqueue(struct job *job, struct lws_threadpool *tp,
	    const struct lws_threadpool_task_args *args,
	    const struct lws_threadpool_task_options *options,
	    struct job_watch *watch);

/*
 * Watches the job of this task, or if that is NULL of this number, in place of
 * what was watched before.  Returns NULL if there is none.
 */
struct job *
job_watch(struct jobs *jobs, struct job_watch *watch,
	  struct lws_threadpool_task *task, unsigned int number);
void
job_unwatch(struct jobs *jobs, struct job_watch *watch);

/* how many have a task */
unsigned int
jobs_count(struct jobs *jobs);

/* 1 if there is nothing more to come for this watcher, else 0 */
int
job_is_over(struct jobs *jobs, struct job_watch *watch);

/* 1 if there is something that this watcher does not know, else 0 */
int
job_news(struct jobs *jobs, struct job_watch *watch, struct job_news *news);

#endif
