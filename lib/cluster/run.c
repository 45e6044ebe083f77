/*
 * lws-threadpool-cluster - the task at the worker
 *
 * SPDX-License-Identifier: MIT
 *
 * A task function of the worker's pool, around the kind's own.  SYNC becomes a
 * chunk; then it yields, or parks until the front lets it go on.
 */

#include "private.h"

#define ASK_US	  (500 * LWS_US_PER_MS)
#define ASK_PARTS 8 /* of a lease: or as often as that */
#define WAITED_US LWS_US_PER_SEC

/*
 * Its end
 */

/* its last message is in the ring, or there is none */
static enum lws_threadpool_task_return
over(struct lwstpc_work *work)
{
	lwstpc_work_lock(work);
	work->over = true;
	lwstpc_work_unlock(work);

	return LWS_TP_RETURN_STOPPED;
}

static enum lws_threadpool_task_return
end(struct lwstpc_work *work, unsigned int flags, unsigned char *buf,
    size_t len)
{
	if (!buf)
		buf = malloc(LWSTPC_WIRE_HEADER);
	if (!buf)
		lwstpc_take_rest(work->c, work->kind);
	lwstpc_work_lock(work);
	if (buf && !work->stop && !work->given) {
		__lwstpc_put(work, LWSTPC_END, flags, buf, len);
		work->ended = true;
		buf = NULL;
	} else if (!buf) {
		work->rests = true;
		__lwstpc_work_give(work, false);
	}
	work->over = true;
	lwstpc_work_unlock(work);
	free(buf);

	return flags & LWSTPC_F_FINISHED ? LWS_TP_RETURN_FINISHED :
					   LWS_TP_RETURN_STOPPED;
}

static enum lws_threadpool_task_return
refuse(struct lwstpc_work *work, const char *why)
{
	lwstpc_log(LLL_WARN,
		   "lws_threadpool_cluster: %s %.8s is refused here: %s\n",
		   work->kind->name, work->id_text, why);

	return end(work, LWSTPC_F_REFUSED, NULL, 0);
}

/* It is not wanted here any more, or the pool ends, which gives it back */
static enum lws_threadpool_task_return
stopping(struct lwstpc_work *work)
{
	bool begun, ended;

	lwstpc_work_lock(work);
	work->parked = false; /* it is not called again */
	begun = work->begun;
	ended = work->ended || work->over;
	if (!ended)
		__lwstpc_work_give(work, false);
	lwstpc_work_unlock(work);
	if (begun && !ended && work->user) {
		atomic_store(&work->called_at, atomic_load(&work->c->now));
		work->kind->k.task(work->user, LWS_TP_STATUS_STOPPING);
		atomic_store(&work->called_at, 0);
	}

	return over(work);
}

/*
 * Its beginning
 */

/* May it begin?  The front is asked until it answers */
static bool
may_begin(struct lwstpc_work *work)
{
	lws_usec_t now = lwstpc_now(), every = work->c->lease_us / ASK_PARTS;
	bool may;

	if (!work->must_ask)
		return true;
	if (every > ASK_US)
		every = ASK_US;
	lwstpc_work_lock(work);
	may = work->answered;
	if (!may && now - work->hello_at >= every) {
		work->hello_at = now;
		__lwstpc_tell(work, LWSTPC_HELLO,
			      LWSTPC_F_ASK |
				      (work->again ? LWSTPC_F_AGAIN : 0u));
	}
	work->parked = !may;
	lwstpc_work_unlock(work);
	if (!may)
		lws_threadpool_park(every);

	return may;
}

/* false: decode_job says no, or it is not wanted any more */
static bool
make_user(struct lwstpc_work *work)
{
	struct lws_threadpool_cluster_job_info info = {
		.size = sizeof(info),
		.version = work->version,
		.tries = 1,
	};
	struct lwstpc_wire wire;
	const void *data;
	size_t len;
	bool stop;

	data = lwstpc_msg_data(work->msg, &len);
	lwstpc_decode(&wire, data, len); /* which it could before */
	lwstpc_work_lock(work);
	stop = work->stop || work->given;
	work->begun = !stop;
	if (work->must_ask)
		info.tries = work->tries;
	info.resume = work->sent;
	lwstpc_work_unlock(work);
	if (stop)
		return false;
	atomic_store(&work->called_at, atomic_load(&work->c->now));
	work->user = work->kind->k.decode_job(wire.data, wire.len, &info);
	atomic_store(&work->called_at, 0);
	lwstpc_msg_free(work->msg);
	work->msg = NULL;

	return work->user;
}

/*
 * Its calls
 */

/* A chunk in memory of its own, with room for a header.  NULL: there is none,
 * and why.  The memory is what the kind says here, whatever the job says: a
 * function may rely on that. */
static unsigned char *
chunk(struct lwstpc_work *work, size_t *len, const char **why)
{
	unsigned char *exact, *buf;

	*len = work->max_chunk;
	buf = malloc(LWSTPC_WIRE_HEADER + work->kind->k.max_chunk);
	*why = "no memory for a chunk";
	if (!buf)
		return NULL;
	*why = NULL;
	if (work->kind->k.encode_chunk(work->user, buf + LWSTPC_WIRE_HEADER,
				       len))
		*why = "encode_chunk says no";
	else if (*len > work->max_chunk)
		*why = "encode_chunk wrote more than max_chunk";
	else if (!lwstpc_engine_fits(work->c->engine, *len))
		*why = "a chunk is larger than the engine's max_payload";
	if (*why) {
		free(buf);
		return NULL;
	}
	exact = realloc(buf, LWSTPC_WIRE_HEADER + *len);

	return exact ? exact : buf;
}

static enum lws_threadpool_task_return
synced(struct lwstpc_work *work)
{
	const char *why;
	size_t len;
	unsigned char *buf = chunk(work, &len, &why);
	bool more, is_full;

	if (!buf)
		return refuse(work, why);
	lwstpc_work_lock(work);
	is_full = work->sent >= LWSTPC_CHUNKS_MOST;
	if (work->stop || work->given || is_full) {
		free(buf);
		more = true;
	} else {
		__lwstpc_put(work, LWSTPC_CHUNK, 0, buf, len);
		more = work->sent < work->upto;
		work->parked = !more;
	}
	lwstpc_work_unlock(work);
	if (is_full)
		return refuse(work, "it has made 4,000,000,000 chunks");
	work->spoke = true;

	/* ten jobs would run one by one, if a fast reader kept the thread */
	return lws_threadpool_park(more ? 0 : -1);
}

static enum lws_threadpool_task_return
finished(struct lwstpc_work *work)
{
	const char *why;
	size_t len;
	unsigned char *buf = chunk(work, &len, &why);

	if (!buf)
		return refuse(work, why);

	return end(work, LWSTPC_F_FINISHED | (len ? LWSTPC_F_DATA : 0), buf,
		   len);
}

static enum lws_threadpool_task_return
call(struct lwstpc_work *work)
{
	enum lws_threadpool_task_return ret;
	int what;

	atomic_store(&work->called_at, atomic_load(&work->c->now));
	ret = work->kind->k.task(work->user, LWS_TP_STATUS_RUNNING);
	atomic_store(&work->called_at, 0);
	what = (int)ret & ~(int)LWS_TP_RETURN_FLAG_OUTLIVE;
	switch (what) {
	case LWS_TP_RETURN_SYNC:
		return synced(work);
	case LWS_TP_RETURN_FINISHED:
		return finished(work);
	case LWS_TP_RETURN_CHECKING_IN:
		break;
	default:
		if (what != LWS_TP_RETURN_STOPPED)
			lwstpc_log(LLL_ERR,
				   "%s: the task function of %s returned %d\n",
				   __func__, work->kind->name, (int)ret);
		return end(work, 0, NULL, 0);
	}
	if (!work->spoke) { /* it may park for long */
		work->spoke = true;
		lwstpc_work_lock(work);
		__lwstpc_tell(work, LWSTPC_HELLO, 0);
		lwstpc_work_unlock(work);
	}

	/* with the mark of a park that it may have made */
	return LWS_TP_RETURN_CHECKING_IN;
}

/* decode_job says no, or it was stopped just now */
static enum lws_threadpool_task_return
unmade(struct lwstpc_work *work)
{
	bool begun;

	lwstpc_work_lock(work);
	begun = work->begun;
	lwstpc_work_unlock(work);

	return begun ? refuse(work, "decode_job says no") : over(work);
}

/* the park that call() may come back from was the function's own, so it is the
 * function's to be called for no reason */
static enum lws_threadpool_task_return
running(struct lwstpc_work *work)
{
	bool stop, begun, waits;

	lwstpc_work_lock(work);
	stop = work->stop || work->given;
	begun = work->begun;
	waits = begun && work->sent >= work->upto;
	work->parked = waits && !stop;
	lwstpc_work_unlock(work);
	if (stop)
		return stopping(work);
	if (waits)
		return lws_threadpool_park(-1);
	if (!begun) {
		if (!may_begin(work))
			return LWS_TP_RETURN_CHECKING_IN; /* parked */
		if (!make_user(work))
			return unmade(work);
	}

	return call(work);
}

enum lws_threadpool_task_return
lwstpc_run(void *user, enum lws_threadpool_task_status status)
{
	struct lwstpc_work *work = user;

	if (!atomic_exchange(&work->started, true)) {
		lwstpc_work_lock(work);
		work->heard = lwstpc_now();
		lwstpc_work_unlock(work);
		lwstpc_take_started(work);
	}
	if (!atomic_load_explicit(&work->task, memory_order_relaxed))
		atomic_store(&work->task, lws_threadpool_this_task());
	if (status == LWS_TP_STATUS_STOPPING)
		return stopping(work);

	return running(work);
}

/* The task is over; what it sent may have to be sent again still */
void
lwstpc_run_cleanup(struct lws *wsi, void *user)
{
	struct lwstpc_work *work = user;
	bool done;

	(void)wsi;
	if (!atomic_exchange(&work->started, true)) {
		lwstpc_take_started(work); /* the pool has ended first */
		lwstpc_work_lock(work);
		__lwstpc_work_give(work, false);
		work->over = true;
		lwstpc_work_unlock(work);
	}
	if (work->user && work->kind->k.cleanup)
		work->kind->k.cleanup(NULL, work->user);
	lwstpc_work_lock(work);
	atomic_store(&work->task, NULL);
	done = __lwstpc_work_done(work);
	lwstpc_work_unlock(work);
	if (done || atomic_load(&work->c->dying))
		lwstpc_work_unlist(work);
	lwstpc_work_drop(work);
}
