/*
 * lws-threadpool-cluster - how a worker gets its jobs
 *
 * SPDX-License-Identifier: MIT
 *
 * It pulls: as many as there is room for, so that none waits here for a thread
 * that is idle elsewhere for longer than a pull takes.  A pull ends when its
 * jobs have come, when the engine says so, or by its time; a new connection
 * knows of none.
 */

#include <stdio.h>

#include "private.h"

#define EXPIRES_US (5 * LWS_US_PER_SEC)
#define EXPIRED_US (EXPIRES_US + 2 * LWS_US_PER_SEC)
#define DEPTH_US   (4 * LWS_US_PER_MS) /* what starts in that time */
#define DEPTH_MOST 128

static LWSTPC_TABLES_HELD unsigned int
__room(const lwstpc_t *c, const struct lwstpc_kind *kind)
{
	unsigned int waiting = kind->unstarted + kind->asked;
	unsigned int all = kind->jobs + kind->asked, room;
	unsigned int depth = 2 * c->threads;

	if (depth < kind->depth)
		depth = kind->depth;
	if (!kind->served || !kind->ready || all >= kind->max_jobs ||
	    waiting >= depth || lwstpc_now() < kind->rests_until)
		return 0;
	room = depth - waiting;
	if (room > kind->max_jobs - all)
		room = kind->max_jobs - all;

	/* half of it at a time, unless there is nothing under way */
	return room < depth / 2 && kind->asked ? 0 : room;
}

/* A pull takes a millisecond or so.  Where jobs are shorter than that, two for
 * each thread would leave the threads idle: so there are as many under way as
 * have started in some milliseconds, which is how long they wait here. */
static LWSTPC_TABLES_HELD void
__count_start(struct lwstpc_kind *kind)
{
	lws_usec_t now = lwstpc_now(), us = now - kind->starts_at;
	lws_usec_t depth;

	kind->starts++;
	if (us < DEPTH_US)
		return;
	depth = kind->starts * DEPTH_US / us;
	kind->depth = depth > DEPTH_MOST ? DEPTH_MOST : (unsigned int)depth;
	kind->starts = 0;
	kind->starts_at = now;
}

/* the number of the pull, or -1 */
static LWSTPC_TABLES_HELD int
__pull_begin(struct lwstpc_kind *kind, unsigned int batch)
{
	unsigned int n;

	for (n = 0; n < LWSTPC_PULLS; n++)
		if (!kind->pulls[n].left) {
			kind->pulls[n].left = batch;
			kind->pulls[n].generation++;
			kind->pulls[n].until = lwstpc_now() + EXPIRED_US;
			kind->asked += batch;
			return (int)n;
		}

	return -1;
}

static LWSTPC_TABLES_HELD void
__pull_end(struct lwstpc_kind *kind, struct lwstpc_pull *pull)
{
	kind->asked -= pull->left;
	pull->left = 0;
}

/* The engine serves the oldest first, and does not say which it served */
static LWSTPC_TABLES_HELD void
__pull_brought(struct lwstpc_kind *kind)
{
	struct lwstpc_pull *oldest = NULL, *pull;
	unsigned int n;

	for (n = 0; n < LWSTPC_PULLS; n++) {
		pull = &kind->pulls[n];
		if (pull->left && (!oldest || pull->until < oldest->until))
			oldest = pull;
	}
	if (oldest) {
		oldest->left--;
		kind->asked--;
	}
}

void
lwstpc_take_more(lwstpc_t *c, struct lwstpc_kind *kind)
{
	unsigned int room, generation = 0;
	char tail[48];
	int pull = -1;

	/* nor while it is not known in which queue a job would be */
	if (atomic_load(&c->draining) || atomic_load(&c->dying) ||
	    !lwstpc_engine_there(c) || !atomic_load(&c->queue))
		return;
	lwstpc_lock(c);
	room = __room(c, kind);
	if (room)
		pull = __pull_begin(kind, room);
	if (pull >= 0)
		generation = kind->pulls[pull].generation;
	lwstpc_unlock(c);
	if (pull < 0)
		return;
	snprintf(tail, sizeof(tail), "%u-%d-%u", kind->number, pull,
		 generation);
	lwstpc_take(c->engine, kind->name, tail, (int)room, EXPIRES_US);
}

void
lwstpc_take_anew(lwstpc_t *c)
{
	struct lwstpc_kind *kind;
	unsigned int n;

	lwstpc_lock(c);
	for (kind = c->kinds; kind; kind = kind->next) {
		for (n = 0; n < LWSTPC_PULLS; n++)
			if (kind->pulls[n].left)
				__pull_end(kind, &kind->pulls[n]);
		kind->ready = false;
		kind->made_at = 0;
	}
	lwstpc_unlock(c);
}

void
lwstpc_take_expire(lwstpc_t *c, struct lwstpc_kind *kind, lws_usec_t now)
{
	unsigned int n;

	lwstpc_lock(c);
	for (n = 0; n < LWSTPC_PULLS; n++)
		if (kind->pulls[n].left && kind->pulls[n].until < now)
			__pull_end(kind, &kind->pulls[n]);
	lwstpc_unlock(c);
}

void
lwstpc_pull_brought(lwstpc_t *c, struct lwstpc_kind *kind)
{
	lwstpc_lock(c);
	__pull_brought(kind);
	lwstpc_unlock(c);
}

void
lwstpc_take_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	int status = lwstpc_msg_status(msg);
	unsigned int number, at, generation;
	struct lwstpc_kind *kind = NULL;
	struct lwstpc_pull *pull;
	bool none = status == 503 || status == 404, known;

	if (sscanf(tail, "%u-%u-%u", &number, &at, &generation) == 3 &&
	    at < LWSTPC_PULLS)
		kind = lwstpc_kind_at(c, number);
	if (!kind || !status)
		return;
	lwstpc_lock(c);
	pull = &kind->pulls[at];
	known = pull->left && pull->generation == generation;
	if (known)
		__pull_end(kind, pull);
	if (none && known) { /* there is no consumer */
		kind->ready = false;
		kind->made_at = 0;
	}
	lwstpc_unlock(c);
	if (!none)
		lwstpc_take_more(c, kind);
}

/*
 * What becomes of it
 */

void
lwstpc_take_started(struct lwstpc_work *work)
{
	lwstpc_lock(work->c);
	work->kind->unstarted--;
	__count_start(work->kind);
	lwstpc_unlock(work->c);
	lwstpc_take_more(work->c, work->kind);
}

/* Else it would come again at once, and again, until the engine gives it up */
void
lwstpc_take_rest(lwstpc_t *c, struct lwstpc_kind *kind)
{
	lwstpc_lock(c);
	kind->rests_until = lwstpc_now() + LWSTPC_REST_US;
	lwstpc_unlock(c);
}
