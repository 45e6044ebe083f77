/*
 * lws-threadpool-cluster - the numbers of a cluster
 *
 * SPDX-License-Identifier: MIT
 */

#include "private.h"

#define STRUCT_MOST 4096 /* as the base has it */

static void
count_jobs(lwstpc_t *c, struct lws_threadpool_cluster_stats *s)
{
	struct lwstpc_job **jobs;
	size_t n, count;

	jobs = lwstpc_jobs(c, &count);
	for (n = 0; jobs && n < count; n++) {
		lwstpc_job_lock(jobs[n]);
		if (!jobs[n]->gone && jobs[n]->where == LWSTPC_OWNED)
			s->remote++;
		else if (!jobs[n]->gone)
			s->waiting++;
		lwstpc_job_unlock(jobs[n]);
		lwstpc_job_drop(jobs[n]);
	}
	free(jobs);
}

static void
count_works(lwstpc_t *c, struct lws_threadpool_cluster_stats *s)
{
	struct lwstpc_work **works;
	size_t n, count;

	works = lwstpc_works(c, &count);
	for (n = 0; works && n < count; n++) {
		lwstpc_work_lock(works[n]);
		s->serving++;
		s->parked += works[n]->parked || works[n]->over;
		lwstpc_work_unlock(works[n]);
		lwstpc_work_drop(works[n]);
	}
	free(works);
}

static void
copy(lwstpc_t *c, struct lws_threadpool_cluster_stats *s)
{
	unsigned int n;

	s->connected = lwstpc_engine_takes_jobs(c);
	s->jobs = atomic_load(&c->n.jobs);
	for (n = 0; n < LWS_ARRAY_SIZE(s->ended); n++)
		s->ended[n] = atomic_load(&c->n.ended[n]);
	s->retried = atomic_load(&c->n.retried);
	s->chunks = atomic_load(&c->n.chunks);
	s->chunk_bytes = atomic_load(&c->n.chunk_bytes);
	s->resent = atomic_load(&c->n.resent);
	s->duplicate = atomic_load(&c->n.duplicate);
	s->fenced = atomic_load(&c->n.fenced);
	s->reconnects = atomic_load(&c->n.reconnects);
	s->away_us = lwstpc_away_us(c);
	for (n = 0; n < LWS_ARRAY_SIZE(s->latency_us); n++)
		s->latency_us[n] = atomic_load(&c->n.latency_us[n]);
}

int
lws_threadpool_cluster_get_stats(struct lws_threadpool_cluster *c,
				 struct lws_threadpool_cluster_stats *stats)
{
	struct lws_threadpool_cluster_stats s = { .size = 0 };

	if (!c || !stats || stats->size < sizeof(s) ||
	    stats->size > STRUCT_MOST || lwstpc_is_forked(c, __func__))
		return -1;
	copy(c, &s);
	count_jobs(c, &s);
	count_works(c, &s);
	s.size = stats->size;
	memset(stats, 0, stats->size);
	memcpy(stats, &s, sizeof(s));

	return 0;
}
