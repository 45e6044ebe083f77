/*
 * lws-threadpool-cluster - a front's jobs, and how they are found
 *
 * SPDX-License-Identifier: MIT
 *
 * By id, in the cluster's table, from enqueue to end, and a while longer if the
 * job has to be stopped or lingers.  By the task's handle, in a table of the
 * process, from enqueue until the cleanup has returned: the task may be called
 * before its enqueue has returned the handle, so whoever looks for one waits
 * for the enqueues that are under way.
 */

#include "private.h"

#define TASKS 4096 /* chains */

static pthread_mutex_t tasks_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t tasks_cond = PTHREAD_COND_INITIALIZER;
static struct lwstpc_job *tasks[TASKS]; /* by tasks_lock, as the next */
static unsigned int enqueuing;

/*
 * A child after fork() has none of them, and no thread that could let go of the
 * lock: whoever forks has it meanwhile
 */

static void
forks(void)
{
	pthread_mutex_lock(&tasks_lock);
}

static void
has_forked(void)
{
	pthread_mutex_unlock(&tasks_lock);
}

static void
is_child(void)
{
	memset(tasks, 0, sizeof(tasks));
	enqueuing = 0;
	pthread_cond_init(&tasks_cond, NULL);
	pthread_mutex_unlock(&tasks_lock);
}

static void
watch_forks(void)
{
	pthread_atfork(forks, has_forked, is_child);
}

void
lwstpc_tasks_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
}

/*
 * Its life
 */

LWSTPC_JOB_HELD bool
__lwstpc_job_kind(struct lwstpc_job *job, struct lwstpc_kind *kind)
{
	unsigned int room = (unsigned int)kind->k.window + 2;
	struct lwstpc_msg **inbox = calloc(room, sizeof(struct lwstpc_msg *));

	if (!inbox)
		return false;
	free(job->inbox);
	job->inbox = inbox;
	job->room = room;
	job->kind = kind;
	job->upto = job->done + (uint32_t)kind->k.window;

	return true;
}

LWSTP_UNCHECKED struct lwstpc_job *
lwstpc_job_make(lwstpc_t *c, struct lwstpc_kind *kind, const unsigned char *id)
{
	struct lwstpc_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	if (pthread_mutex_init(&job->lock, NULL)) {
		free(job);
		return NULL;
	}
	atomic_init(&job->refs, 1);
	job->c = lwstpc_hold(c);
	memcpy(job->id, id, sizeof(job->id));
	lwstpc_text(job->id_text, id, sizeof(job->id));
	job->naked = LWSTPC_NO_CHUNK;
	if (kind && !__lwstpc_job_kind(job, kind)) {
		lwstpc_job_drop(job);
		return NULL;
	}

	return job;
}

struct lwstpc_job *
lwstpc_job_hold(struct lwstpc_job *job)
{
	atomic_fetch_add(&job->refs, 1);

	return job;
}

LWSTPC_JOB_HELD void
__lwstpc_job_empty(struct lwstpc_job *job)
{
	for (; job->filled; job->filled--) {
		lwstpc_msg_free(job->inbox[job->first]);
		job->first = (job->first + 1) % job->room;
	}
}

LWSTP_UNCHECKED void
lwstpc_job_drop(struct lwstpc_job *job)
{
	lwstpc_t *c = job->c;

	if (atomic_fetch_sub(&job->refs, 1) != 1)
		return;
	__lwstpc_job_empty(job);
	free(job->inbox);
	free(job->request);
	pthread_mutex_destroy(&job->lock);
	free(job);
	lwstpc_drop(c);
}

/*
 * By id
 */

LWSTPC_TABLES_HELD bool
__lwstpc_job_list(lwstpc_t *c, struct lwstpc_job *job)
{
	bool no_memory = false;

#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(e) \
	do { \
		no_memory = true; \
	} while (0)
	HASH_ADD(hh, c->jobs, id, sizeof(job->id), job);
	if (no_memory)
		return false;
	lwstpc_job_hold(job);
	job->in_table = true;

	return true;
}

LWSTPC_TABLES_HELD void
__lwstpc_job_unlist(lwstpc_t *c, struct lwstpc_job *job)
{
	if (!job->in_table)
		return;
	HASH_DEL(c->jobs, job);
	job->in_table = false;
}

void
lwstpc_job_unlist(lwstpc_t *c, struct lwstpc_job *job)
{
	bool was;

	lwstpc_lock(c);
	was = job->in_table;
	__lwstpc_job_unlist(c, job);
	lwstpc_unlock(c);
	if (was)
		lwstpc_job_drop(job);
}

struct lwstpc_job *
lwstpc_job_find(lwstpc_t *c, const unsigned char *id)
{
	struct lwstpc_job *job;

	lwstpc_lock(c);
	HASH_FIND(hh, c->jobs, id, LWSTPC_ID_BYTES, job);
	if (job)
		lwstpc_job_hold(job);
	lwstpc_unlock(c);

	return job;
}

struct lwstpc_job **
lwstpc_jobs(lwstpc_t *c, size_t *count)
{
	struct lwstpc_job **jobs, *job, *next;
	size_t n = 0;

	lwstpc_lock(c);
	jobs = calloc(HASH_COUNT(c->jobs) + 1, sizeof(struct lwstpc_job *));
	if (jobs)
		HASH_ITER(hh, c->jobs, job, next)
			jobs[n++] = lwstpc_job_hold(job);
	lwstpc_unlock(c);
	*count = n;

	return jobs;
}

/*
 * By task.  That its handle is found takes no memory: it was accepted, and its
 * cleanup has to find what to call.
 */

static struct lwstpc_job **
chain_of(const struct lws_threadpool_task *task)
{
	return &tasks[((uint64_t)(uintptr_t)task * 0x9e3779b97f4a7c15u) >> 52];
}

void
lwstpc_task_begin(void)
{
	pthread_mutex_lock(&tasks_lock);
	enqueuing++;
	pthread_mutex_unlock(&tasks_lock);
}

void
lwstpc_task_end(struct lwstpc_job *job, struct lws_threadpool_task *task)
{
	struct lwstpc_job **chain = chain_of(task);

	pthread_mutex_lock(&tasks_lock);
	enqueuing--;
	if (task) {
		job->task = task;
		job->next_by_task = *chain;
		*chain = lwstpc_job_hold(job);
	}
	pthread_cond_broadcast(&tasks_cond);
	pthread_mutex_unlock(&tasks_lock);
}

struct lwstpc_job *
lwstpc_task_find(struct lws_threadpool_task *task, bool wait)
{
	struct lwstpc_job *job;

	pthread_mutex_lock(&tasks_lock);
	do {
		job = *chain_of(task);
		while (job && job->task != task)
			job = job->next_by_task;
	} while (!job && wait && enqueuing &&
		 !pthread_cond_wait(&tasks_cond, &tasks_lock));
	if (job)
		lwstpc_job_hold(job);
	pthread_mutex_unlock(&tasks_lock);

	return job;
}

void
lwstpc_task_forget(struct lwstpc_job *job)
{
	struct lwstpc_job **at = chain_of(job->task);

	pthread_mutex_lock(&tasks_lock);
	while (*at != job)
		at = &(*at)->next_by_task;
	*at = job->next_by_task;
	pthread_mutex_unlock(&tasks_lock);
	lwstpc_job_drop(job);
}

/*
 * What its task is to know
 */

/* A wake that comes before its task has said where it is kept, is found by the
 * task itself */
LWSTPC_JOB_HELD void
__lwstpc_job_wake(struct lwstpc_job *job)
{
	struct lws_threadpool_task *task;

	if (!job->parked)
		return;
	job->parked = false;
	pthread_mutex_lock(&tasks_lock);
	task = job->task;
	pthread_mutex_unlock(&tasks_lock);
	lws_threadpool_task_wake(task);
}

LWSTPC_JOB_HELD void
__lwstpc_job_verdict(struct lwstpc_job *job,
		     enum lws_threadpool_cluster_end verdict)
{
	if (!job->verdict && !job->complete)
		job->verdict = verdict;
	if (job->verdict)
		__lwstpc_job_wake(job);
}

LWSTPC_JOB_HELD void
__lwstpc_job_refuse(struct lwstpc_job *job, const char *why, uint64_t of)
{
	if (!job->refusal) {
		job->refusal = why;
		job->refused = of;
	}
	__lwstpc_job_verdict(job, LWS_TP_CLUSTER_REFUSED);
}
