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

#define EXPIRES_US   (5 * LWS_US_PER_SEC)
#define EXPIRED_US   (EXPIRES_US + 2 * LWS_US_PER_SEC)
#define DEPTH_US     (4 * LWS_US_PER_MS) /* what starts in that time */
#define DEPTH_MOST   128
#define ASK_AFTER_US LWS_US_PER_SEC /* so long in the queue: ask first */
#define ROUND_BITS   48		    /* of a fence, below the job's round */

/*
 * Pulls
 */

static LWSTPC_TABLES_HELD unsigned int
__room(const lwstpc_t *c, const struct lwstpc_kind *kind)
{
	unsigned int waiting = kind->unstarted + kind->asked;
	unsigned int all = kind->jobs + kind->asked, room;
	unsigned int depth = 2 * c->threads;

	if (depth < kind->depth)
		depth = kind->depth;
	if (!kind->served || !kind->ready || all >= kind->max_jobs ||
	    waiting >= depth)
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

	if (atomic_load(&c->draining) || atomic_load(&c->dying) ||
	    !lwstpc_engine_there(c))
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

/*
 * What comes
 */

/* nobody else has it yet */
static LWSTP_UNCHECKED bool
work_init(struct lwstpc_work *work, lwstpc_t *c, struct lwstpc_kind *kind,
	  const struct lwstpc_wire *wire)
{
	work->window = wire->window < 1			 ? 1 :
		       wire->window > LWSTPC_WINDOW_MOST ? LWSTPC_WINDOW_MOST :
							   wire->window;
	work->ring = calloc(work->window + 1, sizeof(*work->ring));
	if (!work->ring)
		return false;
	if (pthread_mutex_init(&work->lock, NULL))
		return false;
	atomic_init(&work->refs, 1);
	work->c = lwstpc_hold(c);
	work->kind = kind;
	memcpy(work->id, wire->id, sizeof(work->id));
	lwstpc_text(work->id_text, wire->id, sizeof(wire->id));
	lwstpc_text(work->front, &wire->front, sizeof(wire->front));
	work->version = wire->version;
	work->max_chunk = wire->max_chunk < LWSTPC_CHUNK_MOST ?
				  wire->max_chunk :
				  LWSTPC_CHUNK_MOST;
	work->linger_us = wire->linger * LWS_US_PER_SEC;
	work->upto = work->window;
	work->tries = 1;
	work->heard = work->beat_at = lwstpc_now();

	return true;
}

static LWSTP_UNCHECKED struct lwstpc_work *
work_make(lwstpc_t *c, struct lwstpc_kind *kind, const struct lwstpc_wire *wire,
	  struct lwstpc_msg *msg)
{
	const char *reply = lwstpc_msg_reply(msg);
	struct lwstpc_work *work;
	uint64_t times, number;
	int64_t published;

	if (!lwstpc_delivery(reply, &times, &number, &published))
		return NULL;
	work = calloc(1, sizeof(*work));
	if (!work)
		return NULL;
	work->reply = strdup(reply);
	if (!work->reply || !work_init(work, c, kind, wire)) {
		free(work->ring);
		free(work->reply);
		free(work);
		return NULL;
	}
	work->fence = (uint64_t)wire->seq << ROUND_BITS | number;
	work->queue = atomic_load(&c->queue);
	work->again = times > 1;
	work->must_ask = (wire->flags & LWSTPC_F_ASK) || work->again ||
			 kind->k.retry == LWS_TP_CLUSTER_RETRY_NEVER ||
			 (int64_t)lwstpc_wall() - published > ASK_AFTER_US;
	work->msg = msg;

	return work;
}

/* False: it is here already, and goes on; or there is no memory */
static bool
list(lwstpc_t *c, struct lwstpc_work *work, bool *is_twice)
{
	struct lwstpc_work *other;
	bool listed = false;

	lwstpc_lock(c);
	HASH_FIND(hh, c->works, work->id, sizeof(work->id), other);
	*is_twice = other;
	if (!other)
		listed = __lwstpc_work_list(c, work);
	if (listed) {
		work->kind->jobs++;
		work->kind->unstarted++;
	}
	lwstpc_unlock(c);

	return listed;
}

static bool
enqueue(struct lwstpc_work *work)
{
	struct lws_threadpool_task_args args;

	memset(&args, 0, sizeof(args));
	args.user = work;
	args.task = lwstpc_run;
	args.cleanup = lwstpc_run_cleanup;

	return lws_threadpool_enqueue(work->c->pool, &args, "%s %.8s",
				      work->kind->name, work->id_text);
}

/* The reference is the task's, if it was enqueued */
static void
begin(struct lwstpc_work *work, bool *is_twice)
{
	lwstpc_t *c = work->c;
	bool listed = list(c, work, is_twice);

	if (listed && enqueue(work))
		return;
	if (!*is_twice)
		lwstpc_give_back(c->engine, work->reply);
	if (listed) {
		lwstpc_take_started(work);
		lwstpc_take_over(work);
		lwstpc_work_unlist(work);
	}
	lwstpc_work_drop(work);
}

static void
job_came(lwstpc_t *c, struct lwstpc_kind *kind, struct lwstpc_msg *msg)
{
	struct lwstpc_work *work = NULL;
	struct lwstpc_wire wire;
	bool is_twice, is_job;
	const void *data;
	size_t len;

	data = lwstpc_msg_data(msg, &len);
	is_job = !lwstpc_decode(&wire, data, len) && wire.type == LWSTPC_JOB;
	if (!is_job) {
		lwsl_warn("lws_threadpool_cluster: %s: what is no job, or of "
			  "another version\n",
			  kind->name);
		lwstpc_ack(c->engine, lwstpc_msg_reply(msg));
	} else if (!atomic_load(&c->draining) && !atomic_load(&c->dying)) {
		work = work_make(c, kind, &wire, msg);
	}
	if (work) {
		begin(work, &is_twice);
		return;
	}
	if (is_job)
		lwstpc_give_back(c->engine, lwstpc_msg_reply(msg));
	lwstpc_msg_free(msg);
}

void
lwstpc_job_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	struct lwstpc_kind *kind = lwstpc_kind_find(c, tail);

	if (!kind) {
		lwstpc_msg_free(msg);
		return;
	}
	lwstpc_lock(c);
	__pull_brought(kind);
	lwstpc_unlock(c);
	job_came(c, kind, msg);
	lwstpc_take_more(c, kind);
}

void
lwstpc_take_came(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	int status = lwstpc_msg_status(msg);
	unsigned int number, at, generation;
	struct lwstpc_kind *kind = NULL;
	struct lwstpc_pull *pull;
	bool none = status == 503 || status == 404;

	if (sscanf(tail, "%u-%u-%u", &number, &at, &generation) == 3 &&
	    at < LWSTPC_PULLS)
		kind = lwstpc_kind_at(c, number);
	if (!kind || !status)
		return;
	lwstpc_lock(c);
	pull = &kind->pulls[at];
	if (pull->left && pull->generation == generation)
		__pull_end(kind, pull);
	if (none) { /* there is no consumer */
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

void
lwstpc_take_over(struct lwstpc_work *work)
{
	lwstpc_lock(work->c);
	work->kind->jobs--;
	lwstpc_unlock(work->c);
	lwstpc_take_more(work->c, work->kind);
}
