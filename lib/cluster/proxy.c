/*
 * lws-threadpool-cluster - the task at the front, which stands for a job
 *
 * SPDX-License-Identifier: MIT
 *
 * A task function of the local pool.  It publishes the job, parks, decodes what
 * came into the application's data and says SYNC, and tells the worker of what
 * the reader has answered.  `user` is the application's: the job is found by
 * the task's handle.
 */

#include "private.h"

/*
 * Its end
 */

/* What is wrong with it; once for each job.  All of its id would be a token. */
static void
log_refusal(struct lwstpc_job *job)
{
	const char *kind, *why;
	uint64_t of;

	lwstpc_job_lock(job);
	kind = job->kind ? job->kind->name : "?";
	why = job->refusal ? job->refusal : "its worker says no";
	of = job->refused;
	lwstpc_job_unlock(job);
	if (of)
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: %s %.8s is refused: %s: "
			   "%llu\n",
			   kind, job->id_text, why, (unsigned long long)of);
	else
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: %s %.8s is refused: %s\n",
			   kind, job->id_text, why);
}

/* but for the first time nothing comes of it */
static void
set_end(struct lwstpc_job *job, enum lws_threadpool_cluster_end end)
{
	int not_yet = LWS_TP_CLUSTER_NOT_YET;

	if (!atomic_compare_exchange_strong(&job->end, &not_yet, (int)end))
		return;
	lwstpc_count(&job->c->n.ended[end], 1);
	if (end == LWS_TP_CLUSTER_REFUSED)
		log_refusal(job);
}

/* early: the worker is told, if there is one */
static enum lws_threadpool_task_return
end_early(struct lwstpc_job *job, enum lws_threadpool_cluster_end end,
	  bool lingers)
{
	bool stays;

	set_end(job, end);
	lwstpc_job_lock(job);
	job->parked = false; /* it is not called again */
	__lwstpc_job_leave(job, lingers);
	stays = job->keep_until > lwstpc_now();
	lwstpc_job_unlock(job);
	if (!stays)
		lwstpc_job_unlist(job->c, job);

	return LWS_TP_RETURN_STOPPED;
}

/* by itself: END has been read */
static enum lws_threadpool_task_return
end_by_itself(struct lwstpc_job *job, unsigned int flags)
{
	set_end(job, flags & LWSTPC_F_REFUSED ? LWS_TP_CLUSTER_REFUSED :
						LWS_TP_CLUSTER_ITSELF);
	lwstpc_job_lock(job);
	__lwstpc_credit(job);
	job->gone = true;
	lwstpc_job_unlock(job);
	lwstpc_job_unlist(job->c, job);

	return flags & LWSTPC_F_FINISHED ? LWS_TP_RETURN_FINISHED :
					   LWS_TP_RETURN_STOPPED;
}

static enum lws_threadpool_task_return
asked_to_stop(struct lwstpc_job *job)
{
	enum lws_threadpool_stop why = lws_threadpool_end_reason();

	return end_early(job,
			 why == LWS_TP_STOP_LIFE_MS ? LWS_TP_CLUSTER_DEADLINE :
						      LWS_TP_CLUSTER_ASKED,
			 why == LWS_TP_STOP_CLOSED ||
				 why == LWS_TP_STOP_FINISH);
}

/*
 * Its work
 */

/* what is wrong with it, or NULL */
static const char *
encode_into(const struct lwstpc_job *job, const struct lwstpc_kind *kind,
	    void *buf, size_t *len)
{
	if (!buf)
		return "no memory for the request";
	if (kind->k.encode_job(job->user, buf, len))
		return "encode_job says no";

	if (*len > kind->k.max_chunk)
		return "encode_job wrote more than max_chunk";
	if (!lwstpc_engine_fits(job->c->engine, *len))
		return "the request is larger than the engine's max_payload";

	return NULL;
}

/* false: it is refused.  (By now nobody changes the kind any more, here and in
 * take_in().) */
static LWSTP_UNCHECKED bool
encode(struct lwstpc_job *job)
{
	size_t len = job->kind->k.max_chunk;
	void *exact, *buf = malloc(len);
	const char *why = encode_into(job, job->kind, buf, &len);

	if (why) {
		free(buf);
		lwstpc_job_lock(job);
		__lwstpc_job_refuse(job, why, 0);
		lwstpc_job_unlock(job);
		return false;
	}
	exact = realloc(buf, len ? len : 1);
	lwstpc_job_lock(job);
	job->request = exact ? exact : buf;
	job->request_len = len;
	job->where = LWSTPC_QUEUED;
	__lwstpc_job_publish(job);
	lwstpc_job_unlock(job);

	return true;
}

/* the reader has answered a SYNC */
static LWSTPC_JOB_HELD void
__consumed(struct lwstpc_job *job)
{
	uint32_t window = (uint32_t)job->kind->k.window;

	job->syncing = false;
	job->done++;
	if (job->where == LWSTPC_OWNED && !job->complete &&
	    job->done + window - job->upto >= (window + 1) / 2)
		__lwstpc_credit(job);
}

static LWSTPC_JOB_HELD struct lwstpc_msg *
__next(struct lwstpc_job *job)
{
	struct lwstpc_msg *msg;

	if (!job->filled)
		return NULL;
	msg = job->inbox[job->first];
	job->first = (job->first + 1) % job->room;
	job->filled--;

	return msg;
}

/* what the worker says: one message */
static LWSTP_UNCHECKED enum lws_threadpool_task_return
take_in(struct lwstpc_job *job, struct lwstpc_msg *msg)
{
	struct lwstpc_wire wire;
	const void *data;
	int bad = 0;
	size_t len;

	data = lwstpc_msg_data(msg, &len);
	if (lwstpc_decode(&wire, data, len))
		bad = 1; /* it was good when it came */
	else if (wire.type == LWSTPC_CHUNK || (wire.flags & LWSTPC_F_DATA))
		bad = job->kind->k.decode_chunk(job->user, wire.data, wire.len);
	lwstpc_msg_free(msg);
	if (bad) {
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: %s %.8s: a chunk cannot be "
			   "decoded\n",
			   job->kind->name, job->id_text);
		lwstpc_job_lock(job);
		if (wire.type == LWSTPC_END)
			__lwstpc_credit(job); /* the worker may forget it */
		job->verdict = LWS_TP_CLUSTER_CHUNK;
		lwstpc_job_unlock(job);
		return end_early(job, LWS_TP_CLUSTER_CHUNK, false);
	}
	if (wire.type == LWSTPC_END)
		return end_by_itself(job, wire.flags);
	lwstpc_job_lock(job);
	job->syncing = true;
	lwstpc_job_unlock(job);

	return LWS_TP_RETURN_SYNC;
}

static enum lws_threadpool_task_return
go_on(struct lwstpc_job *job)
{
	enum lws_threadpool_cluster_end verdict = LWS_TP_CLUSTER_NOT_YET;
	struct lwstpc_msg *msg;

	lwstpc_job_lock(job);
	job->parked = false;
	if (job->syncing)
		__consumed(job);
	msg = __next(job);
	if (!msg) {
		verdict = job->verdict;
		job->parked = !verdict;
	}
	lwstpc_job_unlock(job);
	if (msg)
		return take_in(job, msg);
	if (verdict)
		return end_early(job, verdict, false);

	return lws_threadpool_park(-1);
}

enum lws_threadpool_task_return
lwstpc_proxy(void *user, enum lws_threadpool_task_status status)
{
	struct lwstpc_job *job = lwstpc_task_find(lws_threadpool_this_task(),
						  true);
	enum lws_threadpool_task_return ret;
	bool is_new;

	(void)user;
	if (!job)
		return LWS_TP_RETURN_STOPPED; /* it is none of ours */
	lwstpc_job_lock(job);
	is_new = job->where == LWSTPC_NEW && !job->verdict;
	lwstpc_job_unlock(job);
	if (status == LWS_TP_STATUS_STOPPING)
		ret = asked_to_stop(job);
	else if (is_new && !encode(job))
		ret = end_early(job, LWS_TP_CLUSTER_REFUSED, false);
	else
		ret = go_on(job);
	lwstpc_job_drop(job);

	return ret;
}

void
lwstpc_proxy_cleanup(struct lws *wsi, void *user)
{
	struct lwstpc_job *job = lwstpc_task_find(lws_threadpool_this_task(),
						  true);

	if (job && !atomic_load(&job->end))
		asked_to_stop(job); /* before its first call */
	if (job && job->cleanup)
		job->cleanup(wsi, user);
	if (!job)
		return;
	lwstpc_task_forget(job);
	lwstpc_job_drop(job);
}
