/*
 * The base API, which <libwebsockets.h> declares: documented here, for the man
 * pages, as this library keeps it.  Nothing includes this but the test that the
 * declarations are those of libwebsockets.
 *
 * SPDX-License-Identifier: MIT
 */

#if defined(LWSTP_BASE_TYPES)

/**
 * enum lws_threadpool_task_status - where a task is in its life
 * \ingroup lwstp_tasks
 *
 * What a task function is told, and what lws_threadpool_task_status() returns
 * [T1].
 */
enum lws_threadpool_task_status {
	LWS_TP_STATUS_QUEUED,	/**< it waits for a thread, and was never
				 * called */
	LWS_TP_STATUS_RUNNING,	/**< a thread calls it, or it was resumed and
				 * waits for a thread, or it is parked [T9] */
	LWS_TP_STATUS_SYNCING,	/**< it waits for the service thread, and holds
				 * no thread [S1] */
	LWS_TP_STATUS_STOPPING, /**< it was asked to stop, and has not ended
				 * [T4] */
	LWS_TP_STATUS_FINISHED, /**< it ended by itself; also the status of a
				 * handle that is stale [Q6] */
	LWS_TP_STATUS_STOPPED	/**< it ended early */
};

/**
 * enum lws_threadpool_task_return - what a task function returns
 * \ingroup lwstp_tasks
 *
 * Or `return lws_threadpool_park(us);`, to wait without a thread [T9].
 * Anything else is logged at LLL_ERR, and the task ends as STOPPED [T6].
 */
enum lws_threadpool_task_return {
	LWS_TP_RETURN_CHECKING_IN,
	/**< it is called again at once, with RUNNING or STOPPING [T3] */
	LWS_TP_RETURN_SYNC,
	/**< it is SYNCING, without a thread, until the service thread answers
	 * by lws_threadpool_task_sync() [S1, S3] */
	LWS_TP_RETURN_FINISHED,
	/**< it ends as FINISHED */
	LWS_TP_RETURN_STOPPED,
	/**< it ends as STOPPED */
	LWS_TP_RETURN_FLAG_OUTLIVE = 64
	/**< with CHECKING_IN or SYNC, by |, once: the task outlives its wsi
	 * from now on [T5] */
};

/**
 * struct lws_threadpool_create_args - a pool's size
 * \ingroup lwstp_pools
 *
 * For lws_threadpool_create() and lws_threadpool_create_ext().
 */
struct lws_threadpool_create_args {
	int threads;	     /**< threads of the pool, 1..1024 [P1] */
	int max_queue_depth; /**< tasks that may wait in its queue,
			      * 1..INT_MAX [P2] */
};

/**
 * struct lws_threadpool_task_args - a task
 * \ingroup lwstp_tasks
 *
 * For lws_threadpool_enqueue() and lws_threadpool_enqueue_ext(), which copy it.
 * Zero all of it first: which members it has depends on the version and the
 * options of libwebsockets.
 */
struct lws_threadpool_task_args {
#if defined(LWS_WITH_SECURE_STREAMS)
	struct lws_ss_handle *ss;
	/**< the secure stream that it works for, with \p wsi NULL, or NULL.
	 * Only where libwebsockets has Secure Streams.  See
	 * lws_threadpool_ss_event() */
#endif
	struct lws *wsi;
	/**< the wsi that it works for, or NULL: a task without a wsi [W2] */
	void *user;
	/**< its data, the task's own until its cleanup [T7].  Not in the pss,
	 * which lws frees with the wsi */
	const char *name;
	/**< its name, used if the format of the enqueue is NULL */
	char async_task;
	/**< not 0: it outlives its wsi from the start [T5] */
	enum lws_threadpool_task_return (*task)(
		void *user, enum lws_threadpool_task_status s);
	/**< its function, called on the threads of the pool, by one at a time,
	 * with RUNNING or STOPPING [T2].  It must not call lws */
	void (*cleanup)(struct lws *wsi, void *user);
	/**< NULL, or called exactly once for each task that was accepted, with
	 * the wsi, or NULL if the task has none any more: then mostly on a
	 * thread of the pool [T7].  It must not close a connection at once, nor
	 * enqueue on a wsi that is closing [W5] */
};

#else

/**
 * lws_threadpool_create() - make a pool
 * \ingroup lwstp_pools
 *
 * \param context: the lws_context that the pool belongs to
 * \param args: threads and max_queue_depth.  It is copied
 * \param format: printf-type format for the pool's name, of which 31 bytes are
 *		  kept, or NULL: it is called pool
 *
 * Call it on the service thread, or before any service thread runs, in
 * PROTOCOL_INIT callbacks too.  The caller owns the pool and ends it with
 * lws_threadpool_destroy(), before, during or after the destruction of the
 * context [P4].  lws_threadpool_create_ext() is the same with options.
 *
 * Returns the pool, or NULL with the reason logged at LLL_ERR, which
 * lws_threadpool_refused() tells too [P1].
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool *
lws_threadpool_create(struct lws_context *context,
		      const struct lws_threadpool_create_args *args,
		      const char *format, ...) LWS_FORMAT(3);

/**
 * lws_threadpool_finish() - end a pool, without waiting for it
 * \ingroup lwstp_pools
 *
 * \param tp: the pool
 *
 * Any thread.  Nothing new is accepted, queued tasks are STOPPED, and those
 * that have started are asked to stop [P3, S7].  Attached tasks that have ended
 * can still be reaped.  Memory is released by lws_threadpool_destroy().  On a
 * pool that is stale it does nothing, and logs at LLL_ERR.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_finish(struct lws_threadpool *tp);

/**
 * lws_threadpool_destroy() - end a pool, and wait for it
 * \ingroup lwstp_pools
 *
 * \param tp: the pool
 *
 * Call it on the service thread, or when no service thread runs any more.  It
 * does what lws_threadpool_finish() does if that was not done, waits for the
 * threads, reaps all tasks, and frees everything [P4].  While it waits it names
 * the tasks that it waits for, every 5 seconds, at LLL_WARN.
 *
 * Tasks that are SYNCING get their STOPPING at once: do not touch the data of
 * one after this call in the same callback [S7].  Calls on the pool that other
 * threads have begun must have returned.
 *
 * From a thread of a pool, and on a pool that is stale, it does nothing, and
 * logs at LLL_ERR.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_destroy(struct lws_threadpool *tp);

/**
 * lws_threadpool_enqueue() - give a pool a task
 * \ingroup lwstp_tasks
 *
 * \param tp: the pool
 * \param args: the task.  It is copied
 * \param format: printf-type format for the task's name, of which 47 bytes are
 *		  kept, or NULL: args->name is taken.  A name that comes from a
 *		  peer belongs in an argument of "%s", not in the format
 *
 * To be called on the service thread of args->wsi, from where that is connected
 * [W4], or for a task without a wsi on any thread [W2].  If it returns a task,
 * args->user is the task's until its cleanup, else it is still the caller's and
 * nothing is called [T7, T8].  Never start a task in a callback that tells of a
 * close [W4].
 *
 * Returns the task, or NULL, which is logged: max_queue_depth tasks wait, the
 * pool is finishing, draining or stale, memory or fds are short, args or
 * args->task is NULL, the wsi is closing, not connected, of another context or
 * no connection at all, or it has a wsi and this is a thread of a pool [P2].
 * lws_threadpool_refused() tells which.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_enqueue(struct lws_threadpool *tp,
		       const struct lws_threadpool_task_args *args,
		       const char *format, ...) LWS_FORMAT(3);

/**
 * lws_threadpool_dequeue() - take all tasks off a wsi
 * \ingroup lwstp_tasks
 *
 * \param wsi: the wsi
 *
 * To be called on the service thread of \p wsi.  It does what
 * lws_threadpool_dequeue_task() does with each of the tasks [Q4].  A close does
 * that by itself [W1].  libwebsockets marks it deprecated.
 *
 * Returns 1 if any of the tasks was asked to stop, else 0.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_dequeue(struct lws *wsi);

/**
 * lws_threadpool_dequeue_task() - take a task off its wsi
 * \ingroup lwstp_tasks
 *
 * \param task: the task
 *
 * To be called on the service thread of its wsi; for a task that is detached,
 * or kept, on any thread.  A task that is QUEUED or has ended is reaped at
 * once.  Another is detached and asked to stop, and reaps itself when it ends,
 * or runs on if it outlives its wsi [Q4, T5].
 *
 * Returns 0: it is gone, or only detached, or \p task is stale; or 1: it was
 * asked to stop.  1 also for an attached task from a thread of a pool, where
 * nothing is done, and a line is logged at LLL_ERR.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_dequeue_task(struct lws_threadpool_task *task);

/**
 * lws_threadpool_task_status() - ask for a task's status, and reap it if it
 *				  has ended
 * \ingroup lwstp_tasks
 *
 * \param task: the task
 * \param user: NULL, or receives its args.user
 *
 * To be called on the service thread of its wsi; for a task that is detached,
 * or kept, on any thread.  While it is SYNCING its data is the service
 * thread's, until lws_threadpool_task_sync() [S7].
 *
 * Returns the status.  With LWS_TP_STATUS_FINISHED or LWS_TP_STATUS_STOPPED it
 * has reaped the task: cleanup was called, the handle is stale, and what \p
 * user points to is cleaned up [Q1].  LWS_TP_STATUS_FINISHED, and NULL in \p
 * user, if \p task is stale.  On a thread of a pool an attached task that has
 * ended is not reaped: LWS_TP_STATUS_STOPPING, and a line at LLL_ERR.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_status
lws_threadpool_task_status(struct lws_threadpool_task *task, void **user);

/**
 * lws_threadpool_task_status_noreap() - ask for a task's status
 * \ingroup lwstp_tasks
 *
 * \param task: the task
 *
 * Any thread.  It never reaps: use the result of a task that has ended, then
 * call lws_threadpool_task_status() [Q1].
 *
 * Returns the status, or LWS_TP_STATUS_FINISHED if \p task is stale.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_status
lws_threadpool_task_status_noreap(struct lws_threadpool_task *task);

/**
 * lws_threadpool_task_status_wsi() - ask for the status of a wsi's task, and
 *				      reap it if it has ended
 * \ingroup lwstp_tasks
 *
 * \param wsi: the wsi
 * \param task: receives the task that lws_threadpool_get_task_wsi() gives
 * \param user: receives its args.user
 *
 * To be called on the service thread of \p wsi.  libwebsockets marks it
 * deprecated: lws_threadpool_get_task_wsi() and lws_threadpool_task_status() do
 * the same.
 *
 * Returns what lws_threadpool_task_status() returns for that task, or
 * LWS_TP_STATUS_FINISHED if there is none: \p task and \p user receive NULL
 * then [Q5].
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_status
lws_threadpool_task_status_wsi(struct lws *wsi,
			       struct lws_threadpool_task **task, void **user);

/**
 * lws_threadpool_task_sync() - answer a SYNC, or ask a task to stop
 * \ingroup lwstp_sync
 *
 * \param task: the task
 * \param stop: 0: a task that is SYNCING goes on, and no other is touched.
 *		1: the task is asked to stop, in whatever status [S4, T4]
 *
 * Any thread.  For a SYNC it is the WRITEABLE callback of the task's wsi that
 * usually calls this, when it has sent what the task had: the data is the
 * task's again from then on [S7].  A SYNC that nobody answers stays, until the
 * pool's sync timeout [S5].  A task that is asked to stop stays attached: its
 * end brings a WRITEABLE, to reap it in.  On a stale handle it does nothing.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_task_sync(struct lws_threadpool_task *task, int stop);

/**
 * lws_threadpool_dump() - log all about a pool
 * \ingroup lwstp_numbers
 *
 * \param tp: the pool
 *
 * Any thread.  Each task on each list is named, with how long it has been in
 * its state, at LLL_THREAD; with that level off nothing is done [P5].  A pool
 * that is stale is logged at LLL_ERR.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_dump(struct lws_threadpool *tp);

/**
 * lws_threadpool_get_task_wsi() - the task of a wsi that wants attention most
 * \ingroup lwstp_tasks
 *
 * \param wsi: the wsi
 *
 * To be called on the service thread of \p wsi, in a WRITEABLE callback mostly.
 *
 * Returns of its tasks that are SYNCING or have ended the one that has been so
 * longest, else the one that was enqueued first, or NULL if it has none [Q2].
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_get_task_wsi(struct lws *wsi);

/**
 * lws_threadpool_foreach_task_wsi() - go through the tasks of a wsi
 * \ingroup lwstp_tasks
 *
 * \param wsi: the wsi
 * \param user: handed to \p cb
 * \param cb: called for each task that was attached when this began and still
 *	      is, oldest first.  It may call every function of the API.  Other
 *	      than 0 ends the walk [Q3]
 *
 * To be called on the service thread of \p wsi.
 *
 * Returns 0, or 1 if \p cb ended the walk.  0, and a line at LLL_ERR, if \p cb
 * is NULL.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_foreach_task_wsi(struct lws *wsi, void *user,
				int (*cb)(struct lws_threadpool_task *task,
					  void *user));

#if defined(LWS_WITH_SECURE_STREAMS)
/**
 * lws_threadpool_get_task_ss() - the task of a secure stream that wants
 *				  attention most
 * \ingroup lwstp_tasks
 *
 * \param ss: the secure stream
 *
 * To be called on the service thread of \p ss, in its tx callback mostly.  As
 * lws_threadpool_get_task_wsi() for a wsi.  Only where libwebsockets has Secure
 * Streams.
 *
 * Returns the task, or NULL if it has none [Q2].
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_get_task_ss(struct lws_ss_handle *ss);

/**
 * lws_threadpool_foreach_task_ss() - go through the tasks of a secure stream
 * \ingroup lwstp_tasks
 *
 * \param ss: the secure stream
 * \param user: handed to \p cb
 * \param cb: called for each task, as by lws_threadpool_foreach_task_wsi()
 *
 * To be called on the service thread of \p ss.  Only where libwebsockets has
 * Secure Streams.
 *
 * Returns 0, or 1 if \p cb ended the walk [Q3].  0, and a line at LLL_ERR, if
 * \p cb is NULL.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_foreach_task_ss(struct lws_ss_handle *ss, void *user,
			       int (*cb)(struct lws_threadpool_task *task,
					 void *user));
#endif

#endif
