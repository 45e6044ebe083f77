/*
 * lws-threadpool-cluster - what time brings
 *
 * SPDX-License-Identifier: MIT
 *
 * One thread: beats, keep-alives, what is silent too long, what is to be said
 * again, and the connection.
 */

#include "private.h"

#define TICK_MOST_US  (250 * LWS_US_PER_MS)
#define TICK_LEAST_US (20 * LWS_US_PER_MS)
#define QUIET_US      (500 * LWS_US_PER_MS) /* then a chunk may be lost */
#define AGAIN_US      LWS_US_PER_SEC	    /* what was not answered */
#define AWAY_LEAST_US (2 * LWS_US_PER_SEC)  /* an echo may be so late */
#define ODD_TICKS     8			    /* what libnats tells is late */

struct tick {
	lwstpc_t *c;
	lws_usec_t now;
	bool fresh;	  /* the connection is new */
	bool was_away;	  /* before that, for long: see calls.c */
	bool beat;	  /* the queue is known again */
	bool away;	  /* for longer than engine_secs */
	bool queueless;	  /* the same, but it is there, without a queue */
	bool warned;	  /* of that */
	unsigned int odd; /* ticks in which the connection was not as told */
	lws_usec_t last;
	lws_usec_t queue_at; /* it was to be made */
};

/*
 * At a front
 */

/* An engine that lost its store has another queue: there the job has no number,
 * and the deliveries, and so the fences, begin anew, but for its round */
static LWSTPC_JOB_HELD void
__tick_queue(struct lwstpc_job *job)
{
	uint64_t queue = atomic_load(&job->c->queue);

	if (!queue || queue == job->queue)
		return;
	if (job->queue)
		job->number = 0;
	if (job->queue && (job->fence || job->given))
		job->round++;
	job->queue = queue;
}

static LWSTPC_JOB_HELD void
__tick_queued(struct lwstpc_job *job, const struct tick *t)
{
	if (t->was_away && job->published < atomic_load(&job->c->up_at))
		job->doubt = true;
	if (t->fresh)
		job->number = 0; /* the queue may be another */
	if ((job->fence || job->given) && !atomic_load(&job->c->queue))
		return; /* ... which would make it another round */
	if (!job->number && !job->verdict && job->kind &&
	    (t->fresh || t->now - job->published > AGAIN_US))
		__lwstpc_job_publish(job);
}

static LWSTPC_JOB_HELD void
__tick_quiet(struct lwstpc_job *job, const struct tick *t)
{
	lws_usec_t most = lwstpc_again_most(job->c);

	if (job->complete || job->filled || !job->parked) {
		job->nak_gap = 0;
	} else if (!job->nak_gap) {
		job->nak_gap = QUIET_US;
		job->nak_at = t->now + QUIET_US;
	} else if (t->now >= job->nak_at) {
		__lwstpc_nak(job);
		job->nak_gap *= 2;
		if (job->nak_gap > most)
			job->nak_gap = most > QUIET_US ? most : QUIET_US;
		job->nak_at = t->now + job->nak_gap;
	}
}

static LWSTPC_JOB_HELD void
__tick_owned(struct lwstpc_job *job, const struct tick *t)
{
	lwstpc_t *c = job->c;
	lws_usec_t gap = 2 * job->credit_gap, most = lwstpc_again_most(c);

	if (lwstpc_silence(c, job->heard, t->now) > 2 * c->lease_us &&
	    !job->complete) {
		__lwstpc_job_lost(job, true);
		job->round++; /* the queue may have lost it, too */
		job->number = 0;
		if (!job->verdict && job->request)
			__lwstpc_job_publish(job);
		return;
	}
	if (job->gone)
		return;
	if (t->fresh || t->now >= job->credit_at) {
		__lwstpc_credit(job);
		if (!t->fresh && gap) {
			job->credit_gap = gap < most ? gap : most;
			job->credit_at = t->now + job->credit_gap;
		}
	}
	if (t->fresh && !job->complete)
		__lwstpc_nak(job);
	else
		__tick_quiet(job, t);
}

/* True: it need not be known any more */
static LWSTPC_JOB_HELD bool
__tick_job(struct lwstpc_job *job, const struct tick *t)
{
	__tick_queue(job);
	if (job->gone && t->now >= job->keep_until) {
		if (job->where == LWSTPC_QUEUED)
			__lwstpc_job_delete(job);
		return true;
	}
	if (!job->gone &&
	    (t->away || (t->queueless && job->where == LWSTPC_QUEUED)))
		__lwstpc_job_verdict(job, LWS_TP_CLUSTER_ENGINE);
	if (!lwstpc_engine_there(job->c) || job->verdict)
		return false;
	switch (job->where) {
	case LWSTPC_SEEKING:
		if (lwstpc_silence(job->c, job->heard, t->now) >
		    job->c->lease_us)
			__lwstpc_job_verdict(job, LWS_TP_CLUSTER_LOST);
		else
			__lwstpc_find(job);
		break;
	case LWSTPC_QUEUED:
		if (!job->gone || job->lingers)
			__tick_queued(job, t);
		break;
	case LWSTPC_OWNED:
		__tick_owned(job, t);
		break;
	default:
		break;
	}

	return false;
}

static void
tick_jobs(const struct tick *t)
{
	struct lwstpc_job **jobs;
	size_t n, count;
	bool done;

	jobs = lwstpc_jobs(t->c, &count);
	if (!jobs) { /* no memory: the next time, then */
		if (t->fresh)
			atomic_store(&t->c->fresh, true);
		if (t->was_away)
			atomic_store(&t->c->was_away, true);
		return;
	}
	for (n = 0; n < count; n++) {
		lwstpc_job_lock(jobs[n]);
		done = __tick_job(jobs[n], t);
		lwstpc_job_unlock(jobs[n]);
		if (done)
			lwstpc_job_unlist(t->c, jobs[n]);
		lwstpc_job_drop(jobs[n]);
	}
	free(jobs);
}

/*
 * At a worker
 */

/* Nobody has asked for it for a lease */
static LWSTPC_WORK_HELD void
__tick_silent(struct lwstpc_work *work, const struct tick *t)
{
	if (work->lingers) {
		if (t->now >= work->linger_until)
			__lwstpc_work_stop(work);
	} else if (lwstpc_silence(work->c, work->heard, t->now) >
		   work->c->lease_us) {
		work->lingers = work->linger_us;
		work->linger_until = t->now + work->linger_us;
		if (!work->lingers)
			__lwstpc_work_stop(work);
	}
}

/* What it said may have been lost: then the front does not know of it, or waits
 * for its END, or has forgotten it */
static LWSTPC_WORK_HELD void
__tick_unheard(struct lwstpc_work *work, const struct tick *t)
{
	lws_usec_t again = lwstpc_again_most(work->c), quiet = again / 2;

	if (work->answered)
		quiet += again;
	if (work->lingers || t->now - work->heard < quiet ||
	    t->now - work->told_at < again / 2)
		return;
	work->told_at = t->now;
	__lwstpc_tell(work, LWSTPC_BEAT, 0);
}

/* True: it is done with */
static LWSTPC_WORK_HELD bool
__tick_work(struct lwstpc_work *work, const struct tick *t)
{
	lwstpc_t *c = work->c;
	bool started = atomic_load(&work->started), hangs;

	if (!lwstpc_engine_there(c) || work->given || work->stop)
		return __lwstpc_work_done(work);
	hangs = lwstpc_work_hangs(work);
	if (!hangs && (work->begun || work->ended))
		__tick_unheard(work, t);
	if (!hangs && (t->beat || t->now - work->beat_at >= c->lease_us / 3)) {
		work->beat_at = t->now;
		__lwstpc_work_extend(work);
		if (work->begun || work->ended)
			__lwstpc_tell(work, LWSTPC_BEAT, 0);
	}
	if (started)
		__tick_silent(work, t);

	return __lwstpc_work_done(work);
}

static void
tick_works(const struct tick *t)
{
	struct lwstpc_work **works;
	size_t n, count;
	bool done;

	works = lwstpc_works(t->c, &count);
	for (n = 0; works && n < count; n++) {
		lwstpc_work_lock(works[n]);
		done = __tick_work(works[n], t);
		lwstpc_work_unlock(works[n]);
		if (done)
			lwstpc_work_unlist(works[n]);
		lwstpc_work_drop(works[n]);
	}
	free(works);
}

static void
tick_kind(lwstpc_t *c, struct lwstpc_kind *kind, const struct tick *t)
{
	bool make;

	lwstpc_lock(c);
	make = kind->served && !kind->ready &&
	       t->now - kind->made_at >= AGAIN_US &&
	       atomic_load(&c->queue_ready);
	if (make)
		kind->made_at = t->now;
	lwstpc_unlock(c);
	if (make)
		lwstpc_make_consumer(c->engine, kind->name, kind->number,
				     c->lease_us);
	lwstpc_take_expire(c, kind, t->now);
	lwstpc_take_more(c, kind);
}

/*
 * The engine
 */

/* It is there, and has none: it may be without JetStream for ever */
static void
tick_queue(struct tick *t)
{
	lws_usec_t none = lwstpc_no_queue(t->c, t->now);
	uint64_t error = atomic_load(&t->c->queue_error);

	t->queueless = none > t->c->engine_us;
	if (none > LWSTPC_NO_QUEUE_US && !t->warned) {
		t->warned = true;
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: the engine takes no jobs: "
			   "%s: %llu\n",
			   lwstpc_queue_why(error), (unsigned long long)error);
	}
	if (t->warned && atomic_load(&t->c->queue_ready)) {
		t->warned = false;
		lwstpc_log(LLL_NOTICE,
			   "lws_threadpool_cluster: the engine takes jobs\n");
	}
}

/* That it went, or came, while it was being made may have been told of before
 * it was ours */
static void
tick_connection(struct tick *t)
{
	bool up = lwstpc_engine_is_up(t->c->engine);

	if (up == atomic_load(&t->c->connected))
		t->odd = 0;
	else if (++t->odd > ODD_TICKS) {
		t->odd = 0;
		if (up)
			lwstpc_calls.up(t->c);
		else
			lwstpc_calls.down(t->c);
	}
}

static void
tick_engine(struct tick *t)
{
	lwstpc_t *c = t->c;
	lws_usec_t late, none = 0, since;

	/* we were stopped for a while, and heard nobody */
	if (t->now - t->last > c->lease_us / LWSTPC_LATE_PART)
		atomic_store(&c->smooth_since, t->now);
	t->last = t->now;
	if (!atomic_load(&c->connected))
		lwstpc_engine_connect(c->engine);
	tick_connection(t);
	tick_queue(t);
	t->fresh = atomic_exchange(&c->fresh, false);
	t->was_away = t->fresh && atomic_exchange(&c->was_away, false);
	t->beat = atomic_exchange(&c->beat, false);
	if (t->fresh) {
		lwstpc_take_anew(c);
		t->queue_at = 0;
	}
	if (atomic_load(&c->connected)) {
		late = c->lease_us > AWAY_LEAST_US ? c->lease_us :
						     AWAY_LEAST_US;
		if (t->now - atomic_load(&c->echoed) > late)
			atomic_compare_exchange_strong(&c->away_since, &none,
						       t->now);
		lwstpc_send_echo(c->engine);
		/* both, for an answer may come in the middle of up() */
		if ((!atomic_load(&c->queue_ready) ||
		     !atomic_load(&c->queue)) &&
		    t->now - t->queue_at >= AGAIN_US) {
			t->queue_at = t->now;
			lwstpc_make_queue(c->engine);
		}
	}
	since = atomic_load(&c->away_since);
	t->away = since && t->now - since > c->engine_us;
}

static void
tick(struct tick *t)
{
	struct lwstpc_kind *kind;
	unsigned int n = 0;

	t->now = lwstpc_now();
	atomic_store(&t->c->now, t->now);
	tick_engine(t);
	if (atomic_load(&t->c->dying))
		return;
	tick_jobs(t);
	tick_works(t);
	while ((kind = lwstpc_kind_at(t->c, n++)))
		tick_kind(t->c, kind, t);
}

/* False: it is the end */
static bool
wait_for_next(lwstpc_t *c)
{
	lws_usec_t us = c->lease_us / 12;
	struct timespec until;
	bool end;

	if (us > TICK_MOST_US)
		us = TICK_MOST_US;
	if (us < TICK_LEAST_US)
		us = TICK_LEAST_US;
	us += lwstpc_now();
	until.tv_sec = (time_t)(us / LWS_US_PER_SEC);
	until.tv_nsec = (long)(us % LWS_US_PER_SEC) * 1000;
	pthread_mutex_lock(&c->tick_lock);
	while (!c->tick_end && !c->tick_due &&
	       !pthread_cond_timedwait(&c->tick_cond, &c->tick_lock, &until))
		;
	c->tick_due = false;
	end = c->tick_end;
	pthread_mutex_unlock(&c->tick_lock);

	return !end;
}

void *
lwstpc_ticker(void *arg)
{
	lwstpc_t *c = arg;
	struct tick t = { .c = c, .last = lwstpc_now() };

	do
		tick(&t);
	while (wait_for_next(c));
	pthread_mutex_lock(&c->tick_lock);
	c->ticked_out = true;
	pthread_cond_broadcast(&c->tick_cond);
	pthread_mutex_unlock(&c->tick_lock);
	lwstpc_drop(c);

	return NULL;
}
