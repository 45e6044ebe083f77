/*
 * lws-threadpool-cluster - to create a cluster, give it kinds, serve, drain and
 * destroy it
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

#define STRUCT_MOST   4096 /* as the base has it */
#define URL	      "nats://127.0.0.1:4222"
#define PREFIX	      "lwstp"
#define LEASE_SECS    10
#define LEASE_MOST    3600
#define ENGINE_SECS   30
#define TRIES	      4
#define JOBS	      1000
#define PING_LEAST_MS 500
#define DESTROY_MS    150
#define TAKES_MS      50

/* Members after those that we know must be zero */
static bool
size_ok(const void *s, size_t known, size_t size)
{
	const char *bytes = s;
	size_t n;

	if (size < known || size > STRUCT_MOST)
		return false;
	for (n = known; n < size; n++)
		if (bytes[n])
			return false;

	return true;
}

static bool
name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len && len < LWSTPC_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/*
 * Create
 */

static const char *
options_wrong(const struct lws_threadpool_cluster_options *o)
{
	if (!size_ok(o, sizeof(*o), o->size))
		return "options have a bad size, or a member that this version "
		       "does not know";
	if (o->prefix && !name_ok(o->prefix))
		return "options->prefix is not 1..32 of a-z 0-9 _ -";
	if (o->lease_secs < 0 || o->lease_secs > LEASE_MOST)
		return "options->lease_secs is not 0..3600";
	if (o->engine_secs < 0 || o->max_tries < 0)
		return "options->engine_secs or max_tries is negative";
	if (o->key_file && !o->cert_file)
		return "options->key_file is set, and cert_file is not";

	return NULL;
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
	const char *why;
	lwstpc_t *c;

	if (!options)
		options = &none;
	why = options_wrong(options);
	if (!why && lws_threadpool_get_stats(pool, &stats))
		why = "there is no such pool";
	if (why) {
		lwsl_err("%s: %s\n", __func__, why);
		return NULL;
	}
	c = cluster_make(pool, stats.threads, options);
	if (!c) {
		lwsl_err("%s: no memory\n", __func__);
		return NULL;
	}
	if (!ticker_start(c)) {
		lwsl_err("%s: no thread\n", __func__);
		lwstpc_drop(c);
		return NULL;
	}

	return c;
}

/*
 * Kinds
 */

static const char *
kind_wrong(const struct lws_threadpool_cluster_kind *k)
{
	if (!k || !size_ok(k, sizeof(*k), k->size) || k->reserved)
		return "kind is NULL, has a bad size, or a member that this "
		       "version does not know";
	if (!name_ok(k->name))
		return "kind->name is not 1..32 of a-z 0-9 _ -";
	if (!k->task || !k->encode_job || !k->decode_job || !k->encode_chunk ||
	    !k->decode_chunk)
		return "a function of kind is NULL";
	if (k->retry < LWS_TP_CLUSTER_RETRY_UNSENT ||
	    k->retry > LWS_TP_CLUSTER_RETRY_RESUME)
		return "kind->retry is unknown";
	if (k->window < 0 || k->window > LWSTPC_WINDOW_MOST)
		return "kind->window is not 0..256";
	if (k->max_chunk > LWSTPC_CHUNK_MOST)
		return "kind->max_chunk is over 1,000,000";
	if (k->deadline_secs < 0 || k->linger_secs < 0)
		return "kind->deadline_secs or linger_secs is negative";

	return NULL;
}

/* false: it is known already */
static bool
kind_list(lwstpc_t *c, struct lwstpc_kind *kind)
{
	struct lwstpc_kind **at = &c->kinds;

	lwstpc_lock(c);
	while (*at && strcmp((*at)->name, kind->name))
		at = &(*at)->next;
	if (*at) {
		lwstpc_unlock(c);
		return false;
	}
	kind->number = c->n_kinds++;
	*at = kind;
	lwstpc_unlock(c);

	return true;
}

int
lws_threadpool_cluster_add_kind(struct lws_threadpool_cluster *c,
				const struct lws_threadpool_cluster_kind *k)
{
	const char *why = c ? kind_wrong(k) : "no cluster";
	struct lwstpc_kind *kind = NULL;

	if (!why) {
		kind = calloc(1, sizeof(*kind));
		if (!kind)
			why = "no memory";
	}
	if (kind) {
		kind->k = *k;
		snprintf(kind->name, sizeof(kind->name), "%s", k->name);
		kind->k.name = kind->name;
		if (!k->window)
			kind->k.window = LWSTPC_WINDOW;
		if (!k->max_chunk)
			kind->k.max_chunk = LWSTPC_CHUNK_SIZE;
		if (!kind_list(c, kind)) {
			free(kind);
			why = "the kind is known already";
		}
	}
	if (!why)
		return 0;
	lwsl_err("%s: %s\n", __func__, why);

	return -1;
}

int
lws_threadpool_cluster_serve(struct lws_threadpool_cluster *c, const char *name,
			     int max_jobs)
{
	struct lwstpc_kind *kind = c && name ? lwstpc_kind_find(c, name) : NULL;
	bool served;

	if (!kind || max_jobs < 0 || atomic_load(&c->draining)) {
		lwsl_err("%s: %s\n", __func__,
			 !kind	      ? "no such kind" :
			 max_jobs < 0 ? "max_jobs is negative" :
					"it is draining");
		return -1;
	}
	lwstpc_lock(c);
	served = kind->served;
	if (!served) {
		kind->max_jobs = max_jobs ? (unsigned int)max_jobs : JOBS;
		kind->served = true;
	}
	lwstpc_unlock(c);
	if (served) {
		lwsl_err("%s: %s is served already\n", __func__, name);
		return -1;
	}
	lwstpc_tick_now(c);

	return 0;
}

/*
 * The end
 */

/* all, or those that have not begun.  How many are left */
static int
give_back(lwstpc_t *c, bool all)
{
	struct lwstpc_work **works;
	size_t n, count;
	bool over;
	int left = 0;

	works = lwstpc_works(c, &count);
	for (n = 0; works && n < count; n++) {
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
	if (!c)
		return 0;
	if (!atomic_exchange(&c->draining, true))
		lwstpc_take_end(c->engine);

	return give_back(c, false) + !lwstpc_take_ended(c->engine);
}

/* nobody is there any more to read what comes */
static void
leave_jobs(lwstpc_t *c)
{
	struct lwstpc_job **jobs;
	size_t n, count;

	jobs = lwstpc_jobs(c, &count);
	for (n = 0; jobs && n < count; n++) {
		lwstpc_job_lock(jobs[n]);
		__lwstpc_job_leave(jobs[n], true);
		jobs[n]->complete = false;
		__lwstpc_job_verdict(jobs[n], LWS_TP_CLUSTER_ASKED);
		lwstpc_job_unlock(jobs[n]);
		lwstpc_job_unlist(c, jobs[n]);
		lwstpc_job_drop(jobs[n]);
	}
	free(jobs);
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

	if (!c)
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
