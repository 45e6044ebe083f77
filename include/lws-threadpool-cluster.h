/*
 * lws-threadpool-cluster - a task of the pool that runs on another machine
 *
 * SPDX-License-Identifier: MIT
 *
 * A library of its own, liblws-threadpool-cluster, over NATS: JetStream carries
 * the jobs, core NATS the chunks.  A front enqueues a job and gets a task of
 * its local pool, which stands for the job: all that the contract in
 * READMEs/README.threadpool.md says of tasks holds for it.  A worker is a
 * process that links the same kind of task and serves it.
 *
 * None of these functions but lws_threadpool_cluster_destroy() waits for the
 * engine, unless it hangs, and the kernel takes no more for it: then what says
 * something of a job may wait for ten seconds at most, after which the engine
 * counts as away.  So it may while libnats connects anew, or resolves a name of
 * `url`, for its lock is held then.
 *
 * In a child after fork() a cluster that the parent made is refused: each of
 * these functions that is given one logs that at LLL_ERR, does nothing, and
 * returns what it returns on failure; drain() returns 0.
 *
 * "Any thread" is a service thread, a thread of a pool, or one of your own.  A
 * struct that begins with its size may grow at its end in a later version: zero
 * it, and set the size to its sizeof.
 */

#ifndef LWS_THREADPOOL_CLUSTER_H
#define LWS_THREADPOOL_CLUSTER_H

#include <lws-threadpool.h>

#if defined(__cplusplus)
extern "C" {
#endif

/** \defgroup lwstp_cluster Tasks on other machines
 * @{ */

/** struct lws_threadpool_cluster - a pool's door to other machines */
struct lws_threadpool_cluster;

/** enum lws_threadpool_cluster_retry - may it run again when its worker is
 * lost?
 *
 * "Runs" is a call of the task function.  A job that was given back before its
 * first call may always run elsewhere; but if the message that says so is lost,
 * as with the connection of its front, its worker counts as lost. */
enum lws_threadpool_cluster_retry {
	LWS_TP_CLUSTER_RETRY_UNSENT,
	/**< while the front has no chunk of it (the default) */
	LWS_TP_CLUSTER_RETRY_NEVER,
	/**< no: it ends STOPPED, LWS_TP_CLUSTER_LOST */
	LWS_TP_CLUSTER_RETRY_RESUME
	/**< always: decode_job is told info->resume, and the function goes on
	 * from that chunk */
};

/** enum lws_threadpool_cluster_end - why a task of the cluster ended
 *
 * Later versions may add reasons at the end. */
enum lws_threadpool_cluster_end {
	LWS_TP_CLUSTER_NOT_YET, /**< it has not, or is no task of a cluster */
	LWS_TP_CLUSTER_ITSELF, /**< its function returned FINISHED or STOPPED */
	LWS_TP_CLUSTER_ASKED,  /**< its wsi closed, a dequeue,
				* lws_threadpool_task_sync(task, 1), the end of
				* the pool or the cluster, or another attached
				* to the job */
	LWS_TP_CLUSTER_DEADLINE, /**< deadline_secs, or life_ms */
	LWS_TP_CLUSTER_LOST,	 /**< its worker was lost, and retry says no
				  * more; or nobody knows the token */
	LWS_TP_CLUSTER_POISON,	 /**< max_tries workers were lost with it */
	LWS_TP_CLUSTER_ENGINE,	 /**< the engine was away for engine_secs, or
				  * took no jobs for as long */
	LWS_TP_CLUSTER_REFUSED, /**< encode_job, decode_job or encode_chunk said
				 * no, a chunk was too large, or one too many,
				 * there was no memory for the request or a
				 * chunk, JetStream has an error for the job, as
				 * that its queue is full; or, of an attach, its
				 * kind is not known here, or the worker has not
				 * the chunks any more that it asks for */
	LWS_TP_CLUSTER_CHUNK	/**< decode_chunk said no */
};

/** struct lws_threadpool_cluster_job_info - what decode_job may want to know */
struct lws_threadpool_cluster_job_info {
	size_t size;	      /**< set by the library */
	unsigned int version; /**< the front's, of the kind */
	unsigned int tries;   /**< 1: the first */
	uint32_t resume;      /**< chunks that the reader has already:
			       * other than 0 only with
			       * LWS_TP_CLUSTER_RETRY_RESUME */
	uint32_t reserved;    /**< 0 */
};

/**
 * struct lws_threadpool_cluster_kind - a task function that front and workers
 *					share
 *
 * Zero it, set size.  Both link the same; it is copied, the strings too.  The
 * four functions that begin with encode or decode are what the network needs to
 * know of `user`.  Their input comes from the network: check it.  None of them
 * is called on a service thread, nor with a lock held.  A job has at most
 * 4,000,000,000 chunks: at the next one it ends REFUSED.
 */
struct lws_threadpool_cluster_kind {
	size_t size;
	/**< sizeof(struct lws_threadpool_cluster_kind) */
	const char *name;
	/**< 1..32 of a-z 0-9 _ - */
	unsigned int version;
	/**< of what encode_job writes.  decode_job is told it, and refuses the
	 * versions that it does not know */
	unsigned int reserved;
	/**< must be 0 */
	enum lws_threadpool_task_return (*task)(
		void *user, enum lws_threadpool_task_status status);
	/**< the task function, as for lws_threadpool_enqueue(): called by
	 * workers only.  LWS_TP_RETURN_FLAG_OUTLIVE means nothing */
	void (*cleanup)(struct lws *wsi, void *user);
	/**< worker: for what decode_job made; wsi is NULL.  NULL: none */
	int (*encode_job)(void *user, void *buf, size_t *len);
	/**< front, once: the request.  *len is the room, max_chunk, then what
	 * was used.  Other than 0: REFUSED */
	void *(*decode_job)(const void *buf, size_t len,
			    const struct lws_threadpool_cluster_job_info *info);
	/**< worker: makes `user`.  NULL: REFUSED, and not tried again */
	int (*encode_chunk)(void *user, void *buf, size_t *len);
	/**< worker: after each SYNC, and after FINISHED, where *len = 0 means
	 * that there is no more to say.  *len is the room, the smaller
	 * max_chunk of the front's kind and the worker's, then what was used.
	 * Other than 0, or more than the room: REFUSED */
	int (*decode_chunk)(void *user, const void *buf, size_t len);
	/**< front: before WRITEABLE is asked for, so that the callback finds in
	 * `user` what it would have found there with a local task.  Other than
	 * 0: the task ends STOPPED, LWS_TP_CLUSTER_CHUNK */
	enum lws_threadpool_cluster_retry retry;
	/**< what becomes of a job whose worker is lost: 0 =
	 * LWS_TP_CLUSTER_RETRY_UNSENT */
	int window;
	/**< chunks that may be on their way: 1..256, 0 = 8.  With 1 the
	 * function is called again only after lws_threadpool_task_sync(), as
	 * locally */
	size_t max_chunk;
	/**< bytes: 0 = 65536, 1,000,000 at most.  A job's request, too */
	int deadline_secs;
	/**< from enqueue to end, 0 = none.  Over 2,147,483, which is 24 days,
	 * it is as that.  Not of a task of attach, which has life_ms only */
	int linger_secs;
	/**< how long the job waits for lws_threadpool_cluster_attach() after
	 * its wsi closed or its front died, and after its front called
	 * lws_threadpool_cluster_destroy() or lws_threadpool_finish(): 0 = not,
	 * it is stopped.  A worker waits no longer than its own kind
	 * says */
};

/** struct lws_threadpool_cluster_options - where the engine is */
struct lws_threadpool_cluster_options {
	size_t size;
	/**< sizeof(struct lws_threadpool_cluster_options) */
	const char *url;
	/**< NULL = nats://127.0.0.1:4222; several, with commas between */
	const char *creds_file; /**< of NATS, or NULL */
	const char *ca_file;	/**< PEM, or NULL.  With it, or with
				 * cert_file, TLS is required */
	const char *cert_file;	/**< the client's, PEM, or NULL */
	const char *key_file;	/**< the client's, PEM, or NULL: then it is in
				 * cert_file */
	const char *prefix;
	/**< of stream and subjects, 1..32 of a-z 0-9 _ -, NULL = "lwstp" */
	int lease_secs;
	/**< a worker that is silent for so long is lost: 0 = 10, 3600 at most.
	 * Beats come at a third of it */
	int engine_secs;
	/**< 0 = 30: see LWS_TP_CLUSTER_ENGINE.  One that is connected, and
	 * hangs, is away after lease_secs, or 2 s if that is longer */
	int max_tries;
	/**< 0 = 4: see LWS_TP_CLUSTER_POISON */
	int low_latency;
	/**< not 0: a system call for each message: a tenth of the latency, half
	 * the rate */
};

/**
 * lws_threadpool_cluster_create() - a pool's door to other machines
 *
 * \param pool: whose threads serve the tasks: few will do at a front, where
 *		they only decode; as for any pool at a worker
 * \param options: NULL for the defaults.  Copied, the strings too
 *
 * Does not wait for the engine, which may come later and go at any time.  What
 * cannot be reached, a bad url too, counts as an engine that is away, with one
 * warning.
 *
 * Any thread.  Returns the cluster, or NULL, logged at LLL_ERR: bad pool or
 * options, no memory, no thread.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_cluster *
lws_threadpool_cluster_create(
	struct lws_threadpool *pool,
	const struct lws_threadpool_cluster_options *options);

/**
 * lws_threadpool_cluster_add_kind() - make a kind known
 *
 * \param c: the cluster
 * \param kind: is copied, the strings too
 *
 * Any thread, but one at a time, and before the first enqueue or serve of it.
 * Returns 0, or -1 with the reason logged at LLL_ERR: a bad kind, the name is
 * known already, or no memory.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_cluster_add_kind(struct lws_threadpool_cluster *c,
				const struct lws_threadpool_cluster_kind *kind);

/**
 * lws_threadpool_cluster_enqueue() - lws_threadpool_enqueue(), elsewhere
 *
 * \param c: the cluster
 * \param kind: the name of the kind
 * \param args: as there; task is ignored, ss and wsi are as there, user is
 *		decoded into and cleaned up here, and never leaves this process
 * \param options: NULL, or handlers and life_ms; with others it is refused
 * \param format: printf-type format for the task's name, or NULL
 *
 * From the threads from which lws_threadpool_enqueue() may be called.
 *
 * Returns a task of the local pool, which stands for the remote one: all calls
 * and rules for tasks hold, and it holds no thread while it waits.  NULL: for
 * the reasons of lws_threadpool_enqueue(), or the kind is not known
 * (LWS_TP_REFUSED_ARGS), or the engine is away or takes no jobs
 * (LWS_TP_REFUSED_AWAY): `user` is still the caller's [T8], who may
 * lws_threadpool_enqueue() the same args with kind->task here.
 * lws_threadpool_refused() tells why.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_cluster_enqueue(
	struct lws_threadpool_cluster *c, const char *kind,
	const struct lws_threadpool_task_args *args,
	const struct lws_threadpool_task_options *options, const char *format,
	...) LWS_FORMAT(5);

/**
 * lws_threadpool_cluster_end_reason() - why it ended
 *
 * \param task: as lws_threadpool_cluster_enqueue() returned it
 *
 * Any thread, but ask before it is reaped: with
 * lws_threadpool_task_status_noreap(), in its on_end or in its cleanup.
 *
 * Returns the reason; LWS_TP_CLUSTER_NOT_YET after the task was reaped.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_cluster_end
lws_threadpool_cluster_end_reason(struct lws_threadpool_task *task);

/**
 * lws_threadpool_cluster_token() - a name to find the job by, later, elsewhere
 *
 * \param task: as lws_threadpool_cluster_enqueue() or _attach() returned it
 * \param token: receives LWS_THREADPOOL_TOKEN_SIZE bytes
 *
 * Any thread.  Returns 0, or -1: no such task, or its kind has no linger_secs.
 * It is 128 random bits: who has it can have the rest of the job's output.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_cluster_token(struct lws_threadpool_task *task,
			     char token[LWS_THREADPOOL_TOKEN_SIZE]);

/**
 * lws_threadpool_cluster_attach() - go on with a job, on a new connection
 *
 * \param c: the cluster, to which the job's kind was added
 * \param token: of a job that lingers, or that another task of this or another
 *		 front still has, which then loses it: that task ends STOPPED,
 *		 LWS_TP_CLUSTER_ASKED
 * \param have: chunks that the reader has seen, 4,000,000,000 at most.  Up to
 *		`window` before the last one can be had again; for an earlier
 *		one it ends REFUSED
 * \param args: as for lws_threadpool_cluster_enqueue()
 * \param options: as there
 * \param format: as there
 *
 * From the threads from which lws_threadpool_enqueue() may be called.
 *
 * Returns what lws_threadpool_cluster_enqueue() returns, but what is no token
 * at all, or a `have` that is too large, is refused (LWS_TP_REFUSED_ARGS), too.
 * Where nobody knows the token, for a lease, it ends STOPPED, LOST; where
 * its kind is not known here, LWS_TP_CLUSTER_REFUSED.  So it ends LOST,
 * too, at the front that has the job's task, if that task waits for its first
 * call still: the job is known from then on.  With LWS_TP_CLUSTER_RETRY_NEVER
 * it ends LOST, too, where the job's front is gone and another worker has the
 * job now: the first one may have begun it.  deadline_secs of the kind does not
 * hold for it.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_cluster_attach(struct lws_threadpool_cluster *c,
			      const char *token, uint32_t have,
			      const struct lws_threadpool_task_args *args,
			      const struct lws_threadpool_task_options *options,
			      const char *format, ...) LWS_FORMAT(6);

/**
 * lws_threadpool_cluster_serve() - be a worker for a kind
 *
 * \param c: the cluster
 * \param kind: the name of the kind
 * \param max_jobs: that it has at a time, parked ones included, and those whose
 *		    function has ended and whose reader has not read all of
 *		    it yet: 0 = 1000
 *
 * Jobs of a kind are taken only while fewer of it than twice the pool's threads
 * wait to be started, so that none waits here for a thread that is idle
 * elsewhere; where they are short, as many as start in 4 ms, 128 at most.  All
 * workers together have 100,000 of a kind at a time at most.  Works through the
 * loss and return of the engine.
 *
 * Any thread.  Returns 0, or -1 with the reason logged at LLL_ERR: the kind is
 * not known or served already, max_jobs is negative, or it drains.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_cluster_serve(struct lws_threadpool_cluster *c, const char *kind,
			     int max_jobs);

/**
 * lws_threadpool_cluster_drain() - take no more
 *
 * \param c: the cluster
 *
 * Jobs that were taken and not started are given back at once, the others go
 * on.  Any thread, again and again: it does not wait for jobs.  Returns how
 * many jobs of others this process still has, 1 if there is no memory to count
 * them, and one more as long as others may be on their way; at 0 it may end.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_cluster_drain(struct lws_threadpool_cluster *c);

/**
 * lws_threadpool_cluster_destroy() - the end of it
 *
 * \param c: the cluster, or NULL
 *
 * Before its pool.  Its tasks end STOPPED, and jobs whose kind has linger_secs
 * linger; what a worker has not finished is given back, to be tried elsewhere.
 * It waits until the engine has heard that, for two seconds at most, or ten if
 * the engine hangs and no more can be sent to it, or libnats connects anew or
 * resolves a name, and not for tasks.  \p c must not be used after that.
 * Any thread but one of the pool.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_cluster_destroy(struct lws_threadpool_cluster *c);

/**
 * struct lws_threadpool_cluster_stats - the numbers of a cluster
 *
 * Of this process.  Those of the first group are of now, the others since it
 * was created.
 */
struct lws_threadpool_cluster_stats {
	size_t size;		 /**< set by the caller */
	uint32_t connected;	 /**< 1: the engine is there, and takes
				  * jobs */
	uint32_t waiting;	 /**< tasks whose job no worker has begun */
	uint32_t remote;	 /**< tasks whose job a worker has */
	uint32_t serving;	 /**< jobs of others that we have, until
				  * their end was read */
	uint32_t parked;	 /**< of these, those that wait for their
				  * front */
	uint32_t reserved;	 /**< 0 */
	uint64_t jobs;		 /**< accepted enqueues and attaches */
	uint64_t ended[16];	 /**< tasks that ended, by
				  * enum lws_threadpool_cluster_end */
	uint64_t retried;	 /**< jobs that went to another worker */
	uint64_t chunks;	 /**< that came, each once */
	uint64_t chunk_bytes;	 /**< of these */
	uint64_t resent;	 /**< chunks that we sent again */
	uint64_t duplicate;	 /**< chunks that came again */
	uint64_t fenced;	 /**< messages of lost workers */
	uint64_t reconnects;	 /**< of the engine */
	uint64_t away_us;	 /**< that it was away, in all */
	uint64_t latency_us[24]; /**< chunks by log2 of their us on the
				  * way: with the clocks of two machines
				  * as good as these */
};

/**
 * lws_threadpool_cluster_get_stats() - the numbers of a cluster
 *
 * \param c: the cluster
 * \param stats: set its size; receives the rest
 *
 * Any thread.  Returns 0, or -1 on a bad size.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_cluster_get_stats(struct lws_threadpool_cluster *c,
				 struct lws_threadpool_cluster_stats *stats);

/** @} */

#if defined(__cplusplus)
}
#endif

#endif /* LWS_THREADPOOL_CLUSTER_H */
