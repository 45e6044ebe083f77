/*
 * lws-threadpool-cluster - how a job begins, and what may be asked of its task
 *
 * SPDX-License-Identifier: MIT
 *
 * The task of the local pool is enqueued as any other.  If that is refused the
 * job is forgotten, and `user` stays with the caller (T8).
 */

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "private.h"

#define TASK_NAME 48

/*
 * What it is called with
 */

/* Handlers and life_ms are what there may be */
static struct lwstpc_wrong
options_copy(struct lws_threadpool_task_options *o,
	     const struct lws_threadpool_task_options *options)
{
	memset(o, 0, sizeof(*o));
	if (options && !lwstpc_size_ok(options, sizeof(*o), options->size))
		return lwstpc_wrong_number("options have a bad size, or a "
					   "member that this version does not "
					   "know",
					   (long long)options->size);
	if (options)
		*o = *options;
	o->size = sizeof(*o);
	if (o->queue_ms)
		return lwstpc_wrong_number("options->queue_ms is not for a "
					   "cluster",
					   o->queue_ms);
	if (o->key || o->key_max)
		return lwstpc_wrong_number("options->key is not for a cluster, "
					   "key_max",
					   o->key_max);
	if (o->life_ms < 0)
		return lwstpc_wrong_number("options->life_ms is negative",
					   o->life_ms);

	return lwstpc_nothing_wrong();
}

static struct lws_threadpool_task *
refuse(enum lws_threadpool_refused why, const char *me,
       struct lwstpc_wrong wrong)
{
	lwstpc_log(LLL_ERR, "%s: %s: %s\n", me, wrong.why, wrong.value);
	lws_threadpool_refuse(why);

	return NULL;
}

/* What is nobody's mistake here: tokens come from anywhere.  They are
 * passwords, and not for the log. */
static struct lws_threadpool_task *
not_now(enum lws_threadpool_refused why, const char *me,
	struct lwstpc_wrong wrong)
{
	lwstpc_log(LLL_INFO, "%s: %s: %s\n", me, wrong.why, wrong.value);
	lws_threadpool_refuse(why);

	return NULL;
}

static struct lws_threadpool_task *
refuse_forked(void)
{
	lws_threadpool_refuse(LWS_TP_REFUSED_ARGS);

	return NULL;
}

static struct lwstpc_wrong
look_at(lwstpc_t *c, const struct lws_threadpool_task_args *args,
	const struct lws_threadpool_task_options *options,
	struct lws_threadpool_task_options *o)
{
	if (!c)
		return lwstpc_wrong_text("there is no cluster", NULL);
	if (!args)
		return lwstpc_wrong_text("there are no args", NULL);

	return options_copy(o, options);
}

/* The sooner of the two */
static void
limit(struct lws_threadpool_task_options *o, int secs)
{
	int ms = secs > INT32_MAX / 1000 ? INT32_MAX : secs * 1000;

	if (secs && (!o->life_ms || ms < o->life_ms))
		o->life_ms = ms;
}

/*
 * Both ways to begin
 */

/* Takes the reference */
static struct lws_threadpool_task *
begin(struct lwstpc_job *job, const struct lws_threadpool_task_args *args,
      const struct lws_threadpool_task_options *o, const char *name)
{
	struct lws_threadpool_task_args a = *args;
	struct lws_threadpool_task *task;
	lwstpc_t *c = job->c;

	job->user = args->user;
	job->cleanup = args->cleanup;
	a.task = lwstpc_proxy;
	a.cleanup = lwstpc_proxy_cleanup;
	lwstpc_task_begin();
	task = lws_threadpool_enqueue_ext(c->pool, &a, o, name ? "%s" : NULL,
					  name);
	lwstpc_task_end(job, task);
	if (task)
		lwstpc_count(&c->n.jobs, 1);
	else
		lwstpc_job_unlist(c, job);
	lwstpc_job_drop(job);

	return task;
}

/* NULL: no memory */
static struct lwstpc_job *
make(lwstpc_t *c, struct lwstpc_kind *kind)
{
	unsigned char id[LWSTPC_ID_BYTES];
	struct lwstpc_job *job;
	bool listed;

	job = getentropy(id, sizeof(id)) ? NULL : lwstpc_job_make(c, kind, id);
	if (!job)
		return NULL;
	lwstpc_lock(c);
	listed = __lwstpc_job_list(c, job);
	lwstpc_unlock(c);
	if (!listed)
		lwstpc_job_drop(job);

	return listed ? job : NULL;
}

struct lws_threadpool_task *
lws_threadpool_cluster_enqueue(
	struct lws_threadpool_cluster *c, const char *name,
	const struct lws_threadpool_task_args *args,
	const struct lws_threadpool_task_options *options, const char *format,
	...)
{
	struct lws_threadpool_task_options o;
	struct lwstpc_wrong wrong = look_at(c, args, options, &o);
	struct lwstpc_kind *kind;
	struct lwstpc_job *job;
	char text[TASK_NAME];
	va_list ap;

	if (lwstpc_is_forked(c, __func__))
		return refuse_forked();
	if (wrong.why)
		return refuse(LWS_TP_REFUSED_ARGS, __func__, wrong);
	kind = name ? lwstpc_kind_find(c, name) : NULL;
	if (!kind)
		return refuse(LWS_TP_REFUSED_ARGS, __func__,
			      lwstpc_wrong_text("no such kind", name));
	if (!lwstpc_engine_takes_jobs(c))
		return not_now(LWS_TP_REFUSED_AWAY, __func__,
			       lwstpc_wrong_text("the engine is away", name));
	job = make(c, kind);
	if (!job)
		return refuse(LWS_TP_REFUSED_MEMORY, __func__,
			      lwstpc_wrong_text("no memory for a job", name));
	limit(&o, kind->k.deadline_secs);
	va_start(ap, format);
	if (format)
		vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);

	return begin(job, args, &o, format ? text : NULL);
}

/*
 * Attach
 */

/* One of our own: what it needs to be tried again moves on */
static LWSTP_UNCHECKED void
inherit_request(struct lwstpc_job *job, struct lwstpc_job *old)
{
	job->request = old->request;
	job->request_len = old->request_len;
	old->request = NULL;
	job->round = old->round;
	job->number = old->number;
	job->queue = old->queue;
	job->published = old->published;
	job->doubt = old->doubt;
	job->lost = old->lost;
	job->attaches = old->attaches;
}

/* ... that no worker has: so nobody need be asked for it */
static LWSTP_UNCHECKED void
inherit(struct lwstpc_job *job, struct lwstpc_job *old)
{
	if (!__lwstpc_job_kind(job, old->kind))
		return;
	inherit_request(job, old);
	job->where = LWSTPC_QUEUED;
	job->fence = old->fence;
	job->given = old->given;
}

/* May the next worker begin it with that chunk? */
static LWSTPC_JOB_HELD bool
__begins_at(const struct lwstpc_job *job, uint32_t chunk)
{
	return job->kind->k.retry == LWS_TP_CLUSTER_RETRY_RESUME ||
	       (!job->came && !chunk);
}

/* The job takes the place of the task's here that had it, which ends */
static LWSTPC_TABLES_HELD struct lwstpc_job *
__replace(lwstpc_t *c, struct lwstpc_job *job)
{
	struct lwstpc_job *old;

	HASH_FIND(hh, c->jobs, job->id, LWSTPC_ID_BYTES, old);
	if (!old)
		return NULL;
	__lwstpc_job_unlist(c, old); /* its reference is our caller's */
	lwstpc_job_lock(old);
	if (old->where == LWSTPC_QUEUED && old->kind && !old->verdict &&
	    !job->gone && __begins_at(old, job->done))
		inherit(job, old);
	else if (old->where == LWSTPC_OWNED && !old->verdict)
		inherit_request(job, old);
	old->complete = false;
	old->where = LWSTPC_NEW; /* it has nothing to tell any worker */
	__lwstpc_job_empty(old);
	__lwstpc_job_verdict(old, LWS_TP_CLUSTER_ASKED);
	lwstpc_job_unlock(old);

	return old;
}

static struct lwstpc_wrong
no_token(const char *token)
{
	if (!token)
		return lwstpc_wrong_text("that is no token", NULL);

	return lwstpc_wrong_number("that is no token, its length",
				   (long long)strlen(token));
}

static LWSTP_UNCHECKED struct lwstpc_job *
attach_make(lwstpc_t *c, const unsigned char *id, uint32_t have)
{
	struct lwstpc_job *job = lwstpc_job_make(c, NULL, id);

	if (job && getentropy(&job->attach, sizeof(job->attach))) {
		lwstpc_job_drop(job);
		return NULL;
	}
	if (!job)
		return NULL;
	job->attaches = true;
	job->where = LWSTPC_SEEKING;
	job->came = job->done = have;
	job->heard = lwstpc_now();

	return job;
}

/* Its task is there, and may have been called already */
static void
attach_seek(lwstpc_t *c, struct lwstpc_job *job)
{
	struct lwstpc_job *old;
	bool listed;

	lwstpc_lock(c);
	lwstpc_job_lock(job);
	old = __replace(c, job);
	listed = __lwstpc_job_list(c, job);
	if (!listed)
		__lwstpc_job_refuse(job, "no memory for a job", 0);
	lwstpc_job_unlock(job);
	lwstpc_unlock(c);
	if (old)
		lwstpc_job_drop(old);
	lwstpc_job_lock(job);
	if (listed && job->where == LWSTPC_SEEKING)
		__lwstpc_find(job);
	lwstpc_job_unlock(job);
}

struct lws_threadpool_task *
lws_threadpool_cluster_attach(struct lws_threadpool_cluster *c,
			      const char *token, uint32_t have,
			      const struct lws_threadpool_task_args *args,
			      const struct lws_threadpool_task_options *options,
			      const char *format, ...)
{
	unsigned char id[LWSTPC_ID_BYTES];
	struct lws_threadpool_task_options o;
	struct lwstpc_wrong wrong = look_at(c, args, options, &o);
	struct lws_threadpool_task *task;
	struct lwstpc_job *job;
	char text[TASK_NAME];
	va_list ap;

	if (lwstpc_is_forked(c, __func__))
		return refuse_forked();
	if (wrong.why)
		return refuse(LWS_TP_REFUSED_ARGS, __func__, wrong);
	if (!token || lwstpc_unhex(id, token))
		return not_now(LWS_TP_REFUSED_ARGS, __func__, no_token(token));
	if (have > LWSTPC_CHUNKS_MOST)
		return not_now(LWS_TP_REFUSED_ARGS, __func__,
			       lwstpc_wrong_number("have is over 4,000,000,000",
						   have));
	if (!lwstpc_engine_there(c))
		return not_now(LWS_TP_REFUSED_AWAY, __func__,
			       lwstpc_wrong_handle("the engine is away", c));
	job = attach_make(c, id, have);
	if (!job)
		return refuse(LWS_TP_REFUSED_MEMORY, __func__,
			      lwstpc_wrong_handle("no memory for a job", c));
	va_start(ap, format);
	if (format)
		vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);

	task = begin(lwstpc_job_hold(job), args, &o, format ? text : NULL);
	if (task)
		attach_seek(c, job);
	lwstpc_job_drop(job);

	return task;
}

/*
 * What may be asked
 */

/* One that was stopped before its first call */
static enum lws_threadpool_cluster_end
end_of_uncalled(struct lws_threadpool_task *task)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };

	if (lws_threadpool_task_get_info(task, &info) ||
	    info.status != LWS_TP_STATUS_STOPPED)
		return LWS_TP_CLUSTER_NOT_YET;

	return info.stop == LWS_TP_STOP_LIFE_MS ? LWS_TP_CLUSTER_DEADLINE :
						  LWS_TP_CLUSTER_ASKED;
}

enum lws_threadpool_cluster_end
lws_threadpool_cluster_end_reason(struct lws_threadpool_task *task)
{
	enum lws_threadpool_cluster_end end;
	struct lwstpc_job *job = lwstpc_task_find(task, false);

	if (!job)
		return LWS_TP_CLUSTER_NOT_YET;
	end = (enum lws_threadpool_cluster_end)atomic_load(&job->end);
	if (!end)
		end = end_of_uncalled(task);
	lwstpc_job_drop(job);

	return end;
}

int
lws_threadpool_cluster_token(struct lws_threadpool_task *task,
			     char token[LWS_THREADPOOL_TOKEN_SIZE])
{
	struct lwstpc_job *job = token ? lwstpc_task_find(task, false) : NULL;
	bool lingers;

	if (!job)
		return -1;
	lwstpc_job_lock(job);
	/* an attached one had a token */
	lingers = !job->kind || job->kind->k.linger_secs;
	lwstpc_job_unlock(job);
	if (lingers)
		lwstpc_hex(token, job->id);
	lwstpc_job_drop(job);

	return lingers ? 0 : -1;
}
