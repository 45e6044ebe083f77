/*
 * lws-threadpool-cluster - to create a cluster, drain and destroy it
 *
 * SPDX-License-Identifier: MIT
 *
 * destroy() tells everybody what becomes of the jobs, and leaves the rest to
 * the reference counts: tasks of the pool may outlive it, and find an engine
 * that sends nothing any more.
 */

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "private.h"

#define URL	      "nats://127.0.0.1:4222"
#define PREFIX	      "lwstp"
#define LEASE_SECS    10
#define LEASE_MOST    3600
#define ENGINE_SECS   30
#define TRIES	      4
#define PING_LEAST_MS 500
#define DESTROY_MS    150
#define TAKES_MS      50

/*
 * Create
 */

static struct lwstpc_wrong
options_wrong(const struct lws_threadpool_cluster_options *o)
{
	if (!lwstpc_size_ok(o, sizeof(*o), o->size))
		return lwstpc_wrong_number(
			"options have a bad size, or a member that "
			"this version does not know",
			(long long)o->size);
	if (o->prefix && !lwstpc_name_ok(o->prefix))
		return lwstpc_wrong_text(
			"options->prefix is not 1..32 of a-z 0-9 _ -",
			o->prefix);
	if (o->lease_secs < 0 || o->lease_secs > LEASE_MOST)
		return lwstpc_wrong_number("options->lease_secs is not 0..3600",
					   o->lease_secs);
	if (o->engine_secs < 0)
		return lwstpc_wrong_number("options->engine_secs is negative",
					   o->engine_secs);
	if (o->max_tries < 0)
		return lwstpc_wrong_number("options->max_tries is negative",
					   o->max_tries);
	if (o->key_file && !o->cert_file)
		return lwstpc_wrong_text(
			"options->key_file is set, and cert_file is "
			"not",
			o->key_file);

	return lwstpc_nothing_wrong();
}

/* false: no memory */
static bool
copy_string(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;

	return !from || *to;
}

static bool
engine_make(lwstpc_t *c, const struct lws_threadpool_cluster_options *o)
{
	struct lwstpc_engine_options e = {
		.ping_ms = c->lease_us / 4000,
		.low_latency = o->low_latency,
	};

	if (e.ping_ms < PING_LEAST_MS)
		e.ping_ms = PING_LEAST_MS;
	memcpy(e.prefix, c->prefix, sizeof(e.prefix));
	if (copy_string(&e.url, o->url ? o->url : URL) &&
	    copy_string(&e.creds_file, o->creds_file) &&
	    copy_string(&e.ca_file, o->ca_file) &&
	    copy_string(&e.cert_file, o->cert_file) &&
	    copy_string(&e.key_file, o->key_file))
		c->engine = lwstpc_engine_create(&e, c->node, &lwstpc_calls, c);
	if (c->engine)
		return true;
	free(e.url);
	free(e.creds_file);
	free(e.ca_file);
	free(e.cert_file);
	free(e.key_file);

	return false;
}

static LWSTP_UNCHECKED lwstpc_t *
cluster_make(struct lws_threadpool *pool, unsigned int threads,
	     const struct lws_threadpool_cluster_options *o)
{
	lwstpc_t *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	uint64_t node;

	if (!c)
		return NULL;
	atomic_init(&c->refs, 1);
	c->pool = pool;
	c->pid = getpid();
	c->threads = threads;
	c->lease_us = (o->lease_secs ? o->lease_secs : LEASE_SECS) *
		      LWS_US_PER_SEC;
	c->engine_us = (o->engine_secs ? o->engine_secs : ENGINE_SECS) *
		       LWS_US_PER_SEC;
	c->max_tries = o->max_tries ? (unsigned int)o->max_tries : TRIES;
	snprintf(c->prefix, sizeof(c->prefix), "%s",
		 o->prefix ? o->prefix : PREFIX);
	atomic_init(&c->now, lwstpc_now());
	atomic_init(&c->away_since, lwstpc_now());
	pthread_mutex_init(&c->lock, NULL);
	pthread_mutex_init(&c->tick_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->tick_cond, &attr);
	pthread_condattr_destroy(&attr);
	if (getentropy(&node, sizeof(node))) {
		lwstpc_drop(c);
		return NULL;
	}
	lwstpc_text(c->node, &node, sizeof(node));
	if (!engine_make(c, o)) {
		lwstpc_drop(c);
		return NULL;
	}

	return c;
}

/* It blocks all signals, as the pool's threads do */
static bool
ticker_start(lwstpc_t *c)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int bad;

	lwstpc_hold(c);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	bad = pthread_create(&thread, &attr, lwstpc_ticker, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (bad)
		lwstpc_drop(c);

	return !bad;
}

struct lws_threadpool_cluster *
lws_threadpool_cluster_create(
	struct lws_threadpool *pool,
	const struct lws_threadpool_cluster_options *options)
{
	const struct lws_threadpool_cluster_options none = {
		.size = sizeof(none),
	};
	struct lws_threadpool_stats stats = { .size = sizeof(stats) };
	struct lwstpc_wrong wrong;
	lwstpc_t *c;

	if (!options)
		options = &none;
	wrong = options_wrong(options);
	if (!wrong.why && lws_threadpool_get_stats(pool, &stats))
		wrong = lwstpc_wrong_handle("there is no such pool", pool);
	if (wrong.why) {
		lwstpc_log(LLL_ERR, "%s: %s: %s\n", __func__, wrong.why,
			   wrong.value);
		return NULL;
	}
	lwstpc_tasks_watch_forks();
	c = cluster_make(pool, stats.threads, options);
	if (!c) {
		lwstpc_log(LLL_ERR, "%s: no memory for a cluster\n", __func__);
		return NULL;
	}
	if (!ticker_start(c)) {
		lwstpc_log(LLL_ERR, "%s: no thread for a cluster\n", __func__);
		lwstpc_drop(c);
		return NULL;
	}

	return c;
}

/*
 * The end
 */

/* all, or those that have not begun.  How many are left: 1 if there is no
 * memory to look */
static int
give_back(lwstpc_t *c, bool all)
{
	struct lwstpc_work **works;
	size_t n, count;
	bool over;
	int left = 0;

	works = lwstpc_works(c, &count);
	if (!works)
		return 1;
	for (n = 0; n < count; n++) {
		lwstpc_work_lock(works[n]);
		if ((all && !works[n]->ended) ||
		    (!works[n]->begun && !works[n]->over))
			__lwstpc_work_give(works[n], false);
		left += !works[n]->given;
		over = works[n]->over;
		lwstpc_work_unlock(works[n]);
		if (all && over)
			lwstpc_work_unlist(works[n]);
		lwstpc_work_drop(works[n]);
	}
	free(works);

	return left;
}

int
lws_threadpool_cluster_drain(struct lws_threadpool_cluster *c)
{
	if (!c || lwstpc_is_forked(c, __func__))
		return 0;
	if (!atomic_exchange(&c->draining, true))
		lwstpc_take_end(c->engine);

	return give_back(c, false) + !lwstpc_take_ended(c->engine);
}

/* any of them, with a reference, or NULL */
static struct lwstpc_job *
next_job(lwstpc_t *c)
{
	struct lwstpc_job *job;

	lwstpc_lock(c);
	job = c->jobs;
	if (job)
		lwstpc_job_hold(job);
	lwstpc_unlock(c);

	return job;
}

/* Nobody is there any more to read what comes.  That takes no memory: tasks
 * that are not told would wait for ever. */
static void
leave_jobs(lwstpc_t *c)
{
	struct lwstpc_job *job;

	while ((job = next_job(c))) {
		lwstpc_job_lock(job);
		__lwstpc_job_leave(job, true);
		job->complete = false;
		__lwstpc_job_verdict(job, LWS_TP_CLUSTER_ASKED);
		lwstpc_job_unlock(job);
		lwstpc_job_unlist(c, job);
		lwstpc_job_drop(job);
	}
}

static void
ticker_end(lwstpc_t *c)
{
	lws_usec_t us = lwstpc_now() + DESTROY_MS * LWS_US_PER_MS;
	struct timespec until;

	until.tv_sec = (time_t)(us / LWS_US_PER_SEC);
	until.tv_nsec = (long)(us % LWS_US_PER_SEC) * 1000;
	pthread_mutex_lock(&c->tick_lock);
	c->tick_end = true;
	pthread_cond_broadcast(&c->tick_cond);
	/* it may be waiting for a connection: then it ends later, by itself */
	while (!c->ticked_out &&
	       !pthread_cond_timedwait(&c->tick_cond, &c->tick_lock, &until))
		;
	pthread_mutex_unlock(&c->tick_lock);
}

void
lws_threadpool_cluster_destroy(struct lws_threadpool_cluster *c)
{
	unsigned int ms;

	if (!c || lwstpc_is_forked(c, __func__))
		return;
	if (!atomic_exchange(&c->draining, true))
		lwstpc_take_end(c->engine);
	atomic_store(&c->dying, true);
	ticker_end(c);
	for (ms = 0; ms < TAKES_MS && !lwstpc_take_ended(c->engine); ms++)
		usleep(1000);
	leave_jobs(c);
	give_back(c, true);
	lwstpc_engine_close(c->engine);
	lwstpc_drop(c);
}
