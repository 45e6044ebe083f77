/*
 * lws-threadpool-cluster - locks, time, and the reference counts
 *
 * SPDX-License-Identifier: MIT
 *
 * Silence is what is judged everywhere: it counts only while our own echo comes
 * back from the engine, and while our own ticker runs.  So neither an engine
 * that hangs, nor a process that was stopped for a while, makes others seem
 * lost.
 */

#include <time.h>

#include "private.h"

lws_usec_t
lwstpc_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (lws_usec_t)ts.tv_sec * LWS_US_PER_SEC + ts.tv_nsec / 1000;
}

uint64_t
lwstpc_wall(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);

	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000;
}

/* The roles are ours, and the compiler does not know what stands for them */
LWSTP_UNCHECKED void
lwstpc_lock(lwstpc_t *c)
{
	pthread_mutex_lock(&c->lock);
}

LWSTP_UNCHECKED void
lwstpc_unlock(lwstpc_t *c)
{
	pthread_mutex_unlock(&c->lock);
}

LWSTP_UNCHECKED void
lwstpc_job_lock(struct lwstpc_job *job)
{
	pthread_mutex_lock(&job->lock);
}

LWSTP_UNCHECKED void
lwstpc_job_unlock(struct lwstpc_job *job)
{
	pthread_mutex_unlock(&job->lock);
}

LWSTP_UNCHECKED void
lwstpc_work_lock(struct lwstpc_work *work)
{
	pthread_mutex_lock(&work->lock);
}

LWSTP_UNCHECKED void
lwstpc_work_unlock(struct lwstpc_work *work)
{
	pthread_mutex_unlock(&work->lock);
}

lwstpc_t *
lwstpc_hold(lwstpc_t *c)
{
	atomic_fetch_add(&c->refs, 1);

	return c;
}

/* the last one: nobody else has it */
static LWSTP_UNCHECKED void
lwstpc_free(lwstpc_t *c)
{
	struct lwstpc_kind *kind;

	lwstpc_engine_free(c->engine);
	while (c->kinds) {
		kind = c->kinds;
		c->kinds = kind->next;
		free(kind);
	}
	pthread_cond_destroy(&c->tick_cond);
	pthread_mutex_destroy(&c->tick_lock);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
lwstpc_drop(lwstpc_t *c)
{
	if (atomic_fetch_sub(&c->refs, 1) == 1)
		lwstpc_free(c);
}

lws_usec_t
lwstpc_silence(lwstpc_t *c, lws_usec_t heard, lws_usec_t now)
{
	lws_usec_t since = atomic_load(&c->smooth_since);

	if (!lwstpc_engine_there(c) ||
	    now - atomic_load(&c->echoed) > c->lease_us / LWSTPC_LATE_PART)
		return 0;
	if (since > heard)
		heard = since;

	return now > heard ? now - heard : 0;
}

void
lwstpc_engine_back(lwstpc_t *c)
{
	lws_usec_t since;

	lwstpc_lock(c);
	since = atomic_exchange(&c->away_since, 0);
	if (since)
		c->away_us += lwstpc_now() - since;
	lwstpc_unlock(c);
}

uint64_t
lwstpc_away_us(lwstpc_t *c)
{
	lws_usec_t since, us;

	lwstpc_lock(c);
	since = atomic_load(&c->away_since);
	us = c->away_us + (since ? lwstpc_now() - since : 0);
	lwstpc_unlock(c);

	return (uint64_t)us;
}

bool
lwstpc_engine_there(lwstpc_t *c)
{
	return atomic_load(&c->connected) && !atomic_load(&c->away_since);
}

lws_usec_t
lwstpc_no_queue(lwstpc_t *c, lws_usec_t now)
{
	lws_usec_t since = atomic_load(&c->queue_since);

	return lwstpc_engine_there(c) && since && now > since ? now - since : 0;
}

bool
lwstpc_engine_takes_jobs(lwstpc_t *c)
{
	return lwstpc_engine_there(c) &&
	       lwstpc_no_queue(c, lwstpc_now()) < LWSTPC_NO_QUEUE_US;
}

void
lwstpc_queue_gone(lwstpc_t *c)
{
	lws_usec_t none = 0;

	atomic_compare_exchange_strong(&c->queue_since, &none, lwstpc_now());
	atomic_store(&c->queue_ready, false);
}

lws_usec_t
lwstpc_again_most(const lwstpc_t *c)
{
	return c->lease_us / 4 < LWSTPC_AGAIN_MOST_US ? c->lease_us / 4 :
							LWSTPC_AGAIN_MOST_US;
}

struct lwstpc_kind *
lwstpc_kind_find(lwstpc_t *c, const char *name)
{
	struct lwstpc_kind *kind;

	lwstpc_lock(c);
	kind = c->kinds;
	while (kind && strcmp(kind->name, name))
		kind = kind->next;
	lwstpc_unlock(c);

	return kind;
}

struct lwstpc_kind *
lwstpc_kind_at(lwstpc_t *c, unsigned int number)
{
	struct lwstpc_kind *kind;

	lwstpc_lock(c);
	kind = c->kinds;
	while (kind && kind->number != number)
		kind = kind->next;
	lwstpc_unlock(c);

	return kind;
}

void
lwstpc_tick_now(lwstpc_t *c)
{
	pthread_mutex_lock(&c->tick_lock);
	c->tick_due = true;
	pthread_cond_broadcast(&c->tick_cond);
	pthread_mutex_unlock(&c->tick_lock);
}

bool
lwstpc_sender(const lwstpc_t *c, const struct lwstpc_msg *msg,
	      char node[LWSTPC_NODE_TEXT])
{
	size_t prefix = strlen(c->prefix), len = LWSTPC_NODE_TEXT - 1;
	const char *reply = lwstpc_msg_reply(msg);
	uint64_t unused;

	if (strlen(reply) < prefix + 3 + len ||
	    strncmp(reply, c->prefix, prefix) ||
	    strncmp(reply + prefix, ".w.", 3))
		return false;
	memcpy(node, reply + prefix + 3, len);
	node[len] = '\0';

	return !lwstpc_untext(&unused, sizeof(unused), node);
}
