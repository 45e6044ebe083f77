/*
 * lws-threadpool - the lws_threadpool API for the libwebsockets you have
 *
 * SPDX-License-Identifier: MIT
 *
 * The base API (enqueue, task_status, task_sync...) is declared by
 * <libwebsockets.h> itself, in its part <libwebsockets/lws-threadpool.h>, and
 * not again here: a program written for it needs no other header.  This one
 * adds what the installed libwebsockets lacks, and our extensions.  Where the
 * comments of that other one differ from the contract, the contract holds.
 *
 * The rules named in brackets, [S5] say, are those of the contract in
 * READMEs/README.threadpool.md, which has an example of each part, too.
 *
 * "Any thread" is a service thread, a thread of a pool, or one of your own.
 * "Stale" is a handle that is stale, invalid or NULL.  It is harmless in every
 * call [Q6].  A line is logged, at LLL_ERR for a pool, at LLL_INFO for a task
 * or a wsi handle.
 *
 * A struct that begins with its size may grow at its end in a later version.
 * Zero it, and set the size to its sizeof.  One that you fill in is refused if
 * its size is smaller than that of its first version, or over 4096, or if a
 * member is set that this version of the library does not know.  In one that
 * the library fills in, members that it does not know are zeroed.
 */

#ifndef LWS_THREADPOOL_EXT_H
#define LWS_THREADPOOL_EXT_H

#include <stddef.h>
#include <stdint.h>
#include <libwebsockets.h>

/** the version of this header: 1 of 1.2.3 */
#define LWS_THREADPOOL_VERSION_MAJOR 0
/** the version of this header: 2 of 1.2.3 */
#define LWS_THREADPOOL_VERSION_MINOR 2
/** the version of this header: 3 of 1.2.3 */
#define LWS_THREADPOOL_VERSION_PATCH 0

/*
 * The subjects, for the man pages and Doxygen
 */
/** \defgroup lwstp_pools Pools */
/** \defgroup lwstp_tasks Tasks */
/** \defgroup lwstp_sync SYNC and its answer */
/** \defgroup lwstp_park Waiting without a thread */
/** \defgroup lwstp_why Why it was refused, why it ended */
/** \defgroup lwstp_service From any thread to the service thread */
/** \defgroup lwstp_events Telling of the events of lws */
/** \defgroup lwstp_tokens Tokens: a task that finds another wsi */
/** \defgroup lwstp_numbers Numbers */

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * struct lws_threadpool_options - what lws_threadpool_create_ext() adds
 * \ingroup lwstp_pools
 *
 * Zero it, then set \p size and what you want: members that you do not know of
 * are then at their defaults.
 */
struct lws_threadpool_options {
	size_t size;
	/**< sizeof(struct lws_threadpool_options), so that an older program
	 * goes on working with a newer library */
	int sync_timeout_secs;
	/**< seconds that a task may stay SYNCING before it is stopped with a
	 * warning: 0 = the default of 300, negative = never.  The pool's
	 * threads look at the time, so if all of them are busy it is later.
	 * The stop waits until the service thread is between two callbacks
	 * [S5, S7] */
	int sync_spin_us;
	/**< microseconds that a thread without work spins, in place of
	 * sleeping at once, after one of its tasks said SYNC: a quick answer
	 * finds it awake.  0 = the default of 20, negative = none.  If
	 * work came, it spins again when it has none the next time.  One thread
	 * of a pool spins at a time, and none where the process may use only
	 * one processor.  A processor is busy meanwhile.  The service thread
	 * does not spin: while SYNCs and answers flow, lws's loop looks for
	 * them before it polls, and two looks that find nothing end that */
	int pin_tasks;
	/**< 0 = after a SYNC or a park a task goes on with any thread of the
	 * pool, not 0 = only with the thread that it began on, for libraries
	 * that are bound to a thread [S1] */
	int keep_secs;
	/**< seconds that a task with a token is kept after its end if it has no
	 * wsi then: 0 = the default of 300, negative = for ever [K4] */
	int max_kept;
	/**< kept tasks at a time.  Beyond it the one that was kept longest is
	 * reaped.  0 = the default of 1000, negative = none: a task with a
	 * token that ends without a wsi reaps itself [K4] */
	int reserved;
	/**< must be 0 */
	int (*thread_start)(void *opaque, int index, void **state);
	/**< NULL, or called on each thread of the pool before any task.
	 * \p opaque is the member of that name, \p index the number at the end
	 * of the thread's name, from 0, and what is put into \p *state is what
	 * lws_threadpool_thread_state() returns on this thread.  If it does not
	 * return 0, this thread does not start, and its number stays unused
	 * [P1].  lws_threadpool_create_ext() waits for all of these calls, so
	 * they must not wait for the service thread [P6] */
	void (*thread_end)(void *opaque, int index, void *state);
	/**< NULL, or called on each thread that started as its last act,
	 * between lws_threadpool_finish() and the return of
	 * lws_threadpool_destroy() [P6] */
	void *opaque;
	/**< for thread_start and thread_end.  It stays yours, and has to be
	 * there until lws_threadpool_destroy() has returned */
	size_t stack_size;
	/**< bytes of stack of each thread, 0 = the system's default.  A size
	 * that the system refuses makes lws_threadpool_create_ext() return
	 * NULL */
};

/**
 * lws_threadpool_create_ext() - lws_threadpool_create() with options
 * \ingroup lwstp_pools
 *
 * \param context: the lws_context that the pool belongs to
 * \param args: threads, 1..1024, and max_queue_depth, 1..INT_MAX tasks
 * \param options: NULL for the defaults, or our options.  It is copied.
 * \param format: printf-type format for the pool's name, of which 31 bytes are
 *		  kept, or NULL: it is called pool
 *
 * Call it on the service thread, or before any service thread runs, in
 * PROTOCOL_INIT callbacks too.  The caller owns the pool and ends it with
 * lws_threadpool_destroy(), before, during or after the destruction of the
 * context [P4].
 *
 * Returns the pool, or NULL, with the reason logged at LLL_ERR and told by
 * lws_threadpool_refused(), if \p context or \p args is NULL, if a number is
 * out of range, if \p options has a bad size or a member set that this version
 * does not know, if the context is being destroyed, if memory or fds are short,
 * or if no thread could be started [P1].  With fewer threads than asked for it
 * goes on, with a warning.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool *
lws_threadpool_create_ext(struct lws_context *context,
			  const struct lws_threadpool_create_args *args,
			  const struct lws_threadpool_options *options,
			  const char *format, ...) LWS_FORMAT(4);

/**
 * lws_threadpool_wsi_event() - tell us of a wsi's events: saves an fd for each
 * \ingroup lwstp_events
 *
 * \param wsi: the wsi of the callback
 * \param reason: the reason of the callback
 *
 * By default a wsi that has had a task holds one more fd, by which we see it
 * close [W1].  An application that calls this first in its protocols[0]
 * callback, for every call and in every vhost's protocols[0], needs none: we
 * hear of the end by LWS_CALLBACK_WSI_DESTROY.
 *
 * PASS EVERY EVENT, before any switch or if.  Once we have seen one event of a
 * vhost we rely on hearing of the close of each of its wsi.  If you pass some
 * events and not WSI_DESTROY, we ask lws for a WRITEABLE of a wsi that it has
 * freed: memory is corrupted, and nothing can warn you.
 *
 * We learn by vhost: a wsi that gets its first task on a vhost that has not
 * passed an event yet keeps the fd.  lws gives no way to know that a vhost
 * will go on passing events, nor that a keep-alive http connection will stay
 * with its vhost, so do it in all the vhosts of a context or in none.
 *
 * To be called on the service thread of \p wsi.  Any wsi, NULL included, and
 * any reason is fine.  On the reasons that tell of a close, and on WSI_DESTROY,
 * the wsi's tasks are detached, and cleanups can run within the call, with wsi
 * NULL [W1, T7, W5].
 * We keep no reference on the wsi.
 *
 * Returns 0: it cannot fail.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_wsi_event(struct lws *wsi, enum lws_callback_reasons reason);

#if defined(LWS_WITH_SECURE_STREAMS)
/**
 * lws_threadpool_ss_event() - tell us of a secure stream's states
 * \ingroup lwstp_events
 *
 * \param ss: the secure stream whose state callback is called
 * \param state: the state that it was called with
 *
 * Needed for tasks with args.ss, unless we are compiled into lws: lws tells of
 * the end of a stream by nothing public but its own state callback.  So call
 * this first in the state callback of every streamtype that has tasks, whatever
 * the state is:
 *
 *	static lws_ss_state_return_t
 *	my_state(void *userobj, void *h_src, lws_ss_constate_t state,
 *		 lws_ss_tx_ordinal_t ack)
 *	{
 *		struct my_stream *m = userobj;
 *
 *		lws_threadpool_ss_event(m->ss, state);
 *		...
 *
 * On LWSSSCS_DESTROYING the stream's tasks are detached: queued and done ones
 * are reaped, running and syncing ones asked to stop, or left alone if they
 * outlive it [W1, S7].  Their cleanups can run within the call; they must not
 * destroy a stream, and an enqueue on this one is refused [W4, W5].  Nothing of
 * ours uses the stream after that.  On LWSSSCS_CONNECTED the tx callback is
 * asked for again if a task is waiting for it, since lws forgets what was asked
 * for before.
 *
 * Until this has been called once in the process an enqueue with args.ss is
 * refused: a task whose stream goes away in silence would make us use freed
 * memory.  A single streamtype that is forgotten we cannot see.
 *
 * To be called on the service thread of \p ss.  We keep no reference on it.
 * Without tasks, or on NULL, it does nothing.  Compiled into lws it may be
 * called or not: the end of a stream is seen anyway.
 *
 * Returns 0: it cannot fail.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_ss_event(struct lws_ss_handle *ss, lws_ss_constate_t state);
#endif

#if LWS_LIBRARY_VERSION_NUMBER < 5000000
/**
 * lws_threadpool_diagnose() - how busy a pool is
 * \ingroup lwstp_numbers
 *
 * \param tp: the pool
 * \param ongoing: NULL, or receives the number of tasks that threads run now
 * \param possible: NULL, or receives the number of threads
 * \param queue_depth: NULL, or receives the number of tasks that wait in the
 *		       queue
 *
 * Any thread.  One moment's picture [P5].  All 0 for a pool that does not
 * exist, which is logged at LLL_ERR.  From libwebsockets 5.0 its own header
 * declares this.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_diagnose(struct lws_threadpool *tp, int *ongoing, int *possible,
			int *queue_depth);
#endif

/**
 * typedef lws_threadpool_call_t - a function for lws_threadpool_call()
 * \ingroup lwstp_service
 *
 * \param context: the context of the pool, or NULL: it is being destroyed, by
 *		   the thread that calls the function.  It must not use lws
 *		   then, and should only release what \p arg has
 * \param arg: as given to lws_threadpool_call()
 *
 * Called on a service thread.  It may do what a timer of lws
 * (lws_sul_schedule()) may, but not make or destroy a vhost, nor destroy the
 * context [R1].
 */
typedef void (*lws_threadpool_call_t)(struct lws_context *context, void *arg);

/**
 * lws_threadpool_call() - have a function called on a service thread
 * \ingroup lwstp_service
 *
 * \param tp: a pool of the context
 * \param tsi: the number of the service thread, from 0: 0 if there is only one
 * \param call: the function
 * \param arg: handed to \p call.  If 0 is returned it is the function's, else
 *	       it is still the caller's
 *
 * Any thread, the service thread itself too, where \p call is not called within
 * this call either.  Calls of one thread to one service thread are made in
 * their order.  What was accepted is called exactly once, though the pool was
 * destroyed meanwhile [R1].
 *
 * Returns 0, or -1 if \p tp is stale, \p call is NULL, there is no such \p tsi,
 * memory is short, or the context is being destroyed: then it is never called.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_call(struct lws_threadpool *tp, int tsi,
		    lws_threadpool_call_t call, void *arg);

/** struct lws_threadpool_wsi - a handle of a wsi, for other threads [R2] */
struct lws_threadpool_wsi;

/**
 * lws_threadpool_wsi_handle() - get a handle of a wsi, for other threads
 * \ingroup lwstp_service
 *
 * \param tp: any pool of the wsi's context.  It may be finishing or draining
 * \param wsi: the wsi
 *
 * A wsi is lws's own pointer: only its service thread may use it, and once it
 * has closed nobody may.  A handle may be given to any thread and be kept for
 * as long as you like: from the moment at which the wsi starts to close it is
 * stale, which is harmless [R2, Q6].  There is nothing to release.
 *
 * To be called on the service thread of \p wsi, from where its first task could
 * be enqueued [W4].  It costs as much as a first task does: an fd until the wsi
 * closes, unless its vhost is opted in.  The handle is the same each time, by
 * whichever pool of the context, and outlives \p tp.  With keep-alive it is the
 * connection's, and not the request's.
 *
 * Returns the handle, or NULL if \p tp is stale, or where an enqueue on \p wsi
 * would be refused for the sake of the wsi; lws_threadpool_refused() tells why.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_wsi *
lws_threadpool_wsi_handle(struct lws_threadpool *tp, struct lws *wsi);

/**
 * lws_threadpool_wsi_writeable() - ask for a WRITEABLE, from any thread
 * \ingroup lwstp_service
 *
 * \param handle: of the wsi
 *
 * lws_callback_on_writable() on the wsi's service thread, and no stronger: the
 * wsi gets a WRITEABLE callback that begins after this call.  One callback
 * answers all the calls before it, so say elsewhere what is to be written [R2].
 *
 * Any thread.  Returns 0 if the wsi was not closed yet, or -1 if it is closed
 * or \p handle is stale.  It may close just after a 0.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_wsi_writeable(struct lws_threadpool_wsi *handle);

/**
 * lws_threadpool_wsi_get() - the wsi of a handle
 * \ingroup lwstp_service
 *
 * \param handle: of the wsi
 *
 * To be called on the service thread of the wsi, in a function given to
 * lws_threadpool_call() for instance.  The wsi may be used until the callback
 * or that function returns [R2].
 *
 * Returns the wsi, or NULL if it is closed or \p handle is stale, and always on
 * a thread of a pool or another service thread.
 */
LWS_VISIBLE LWS_EXTERN struct lws *
lws_threadpool_wsi_get(struct lws_threadpool_wsi *handle);

/**
 * lws_threadpool_park() - wait without a thread
 * \ingroup lwstp_park
 *
 * \param us: microseconds after which the task is called again without a wake.
 *	      0 = at once, behind the tasks that wait already (a yield),
 *	      negative = never
 *
 * For a task function, as its return: `return lws_threadpool_park(us);`.  It
 * marks the call that is under way.  The last mark counts, and only if the task
 * function returns LWS_TP_RETURN_CHECKING_IN, with or without
 * LWS_TP_RETURN_FLAG_OUTLIVE, and was not told STOPPING [T4].
 *
 * The task is then parked: RUNNING, without a thread.  No WRITEABLE comes for
 * it.  It is called again, in turn with resumed tasks [S1, S2], after
 * lws_threadpool_task_wake(), a stop, lws_threadpool_finish(), when it loses
 * its wsi or gets one [K3], or after \p us.  It may also be called for no
 * reason, so look at what it waits for [T9].
 *
 * To be called on the thread that calls the task function, within that call.
 * Outside a task function (in a cleanup, a handler, on another thread) it marks
 * nothing, and logs at LLL_ERR.
 *
 * Returns LWS_TP_RETURN_CHECKING_IN, wherever it is called.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_return
lws_threadpool_park(lws_usec_t us);

/**
 * lws_threadpool_task_wake() - wake a parked task
 * \ingroup lwstp_park
 *
 * \param task: the task, in any status
 *
 * Any thread.  A parked task is called soon.  A task that is not parked keeps
 * one wake, however many came, until its next park, which is then a yield: so a
 * wake just before the park is not lost.  What was written before the wake is
 * seen by the call that follows it [T2, T10].  It does not answer a SYNC: that
 * takes lws_threadpool_task_sync() [S4].  On a stale handle it does nothing.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_task_wake(struct lws_threadpool_task *task);

/**
 * lws_threadpool_this_task() - the task that this thread is at work for
 * \ingroup lwstp_tasks
 *
 * Any thread.  Returns the task whose function, handler or cleanup this thread
 * is in, the innermost if there are several, or NULL.  In a cleanup the handle
 * is stale already [Q1]: good to compare with, and for nothing else.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_this_task(void);

/**
 * lws_threadpool_task_attached() - has it a wsi?
 * \ingroup lwstp_tasks
 *
 * \param task: the task
 *
 * Any thread.  Returns 1 if the task has a wsi or a secure stream at this
 * moment, which may be over at the next, or 0 if it has none, or is stale.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_attached(struct lws_threadpool_task *task);

/** enum - what on_sync of struct lws_threadpool_task_options may return */
enum {
	LWS_TP_ON_SYNC_RESUME, /**< 0: the task goes on [S4] */
	LWS_TP_ON_SYNC_STAY,   /**< 1: it stays SYNCING [S5] */
	LWS_TP_ON_SYNC_STOP    /**< 2: it is asked to stop [T4] */
};

/**
 * struct lws_threadpool_task_options - what lws_threadpool_enqueue_ext() adds
 * \ingroup lwstp_tasks
 *
 * Zero it, then set \p size and what you want.  It is copied.  A task has
 * handlers if on_sync or on_end is set; the other one counts as a function that
 * returns 0 [H1].
 */
struct lws_threadpool_task_options {
	size_t size;
	/**< sizeof(struct lws_threadpool_task_options) */
	int (*on_sync)(struct lws *wsi, void *user);
	/**< NULL, or called by lws_threadpool_serve() when the task is SYNCING:
	 * send what it has.  LWS_TP_ON_SYNC_RESUME, 0: the task goes on;
	 * LWS_TP_ON_SYNC_STAY, 1: it stays SYNCING, for a later WRITEABLE or
	 * lws_threadpool_task_sync(); LWS_TP_ON_SYNC_STOP, 2, and all above: it
	 * is asked to stop; negative: it stays SYNCING, and the connection is
	 * to be closed [H1, W1] */
	int (*on_end)(struct lws *wsi, void *user,
		      enum lws_threadpool_task_status how);
	/**< NULL, or called once when the task is FINISHED or STOPPED, which
	 * \p how tells, before its cleanup: by lws_threadpool_serve(), which
	 * returns what it returns.  For a task that never had a wsi it is
	 * called on service thread 0, with \p wsi NULL, and its return is
	 * ignored.  If it attaches its task to another wsi, it is called again
	 * there [K3].  It is not called if the wsi closed first, nor in the
	 * other cases of H1: anything that must happen belongs in the cleanup
	 * [H1] */
	int queue_ms;
	/**< milliseconds after the enqueue by which it has to have started,
	 * else it is STOPPED without having been called.  0 = no limit [D1] */
	int life_ms;
	/**< milliseconds after the enqueue by which it has to have ended, else
	 * it is asked to stop.  0 = no limit [D2] */
	const void *key;
	/**< tasks of a pool with the same key start in the order of their
	 * enqueues.  It is compared, and never followed.  NULL = no key [O1] */
	int key_max;
	/**< it starts when fewer than so many tasks of its key have started and
	 * not ended: 1 = one after the other.  0 = no limit [O1] */
	int reserved;
	/**< must be 0 */
};

/**
 * lws_threadpool_enqueue_ext() - lws_threadpool_enqueue() with options
 * \ingroup lwstp_tasks
 *
 * \param tp: the pool
 * \param args: as for lws_threadpool_enqueue().  It is copied
 * \param options: NULL for lws_threadpool_enqueue() itself, or our options.  It
 *		   is copied.
 * \param format: as for lws_threadpool_enqueue(): printf-type format for the
 *		  task's name, of which 47 bytes are kept, or NULL
 *
 * From the threads from which lws_threadpool_enqueue() may be called: with a
 * wsi on its service thread, without from any thread [W2].  If it returns a
 * task, args->user is the task's until its cleanup, else it is still the
 * caller's [T7, T8].
 *
 * Returns the task, or NULL where lws_threadpool_enqueue() does, and if \p
 * options has a bad size, a negative number, a member set that this version
 * does not know, or a handler for a task with args->ss.
 * lws_threadpool_refused() tells why.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_enqueue_ext(struct lws_threadpool *tp,
			   const struct lws_threadpool_task_args *args,
			   const struct lws_threadpool_task_options *options,
			   const char *format, ...) LWS_FORMAT(4);

/**
 * lws_threadpool_serve() - a whole WRITEABLE callback for tasks with handlers
 * \ingroup lwstp_sync
 *
 * \param wsi: the wsi of the callback
 *
 * To be called on the service thread of \p wsi, in its WRITEABLE callback,
 * which returns what this returns: `return lws_threadpool_serve(wsi);`.
 *
 * It serves one task of \p wsi that has handlers and is SYNCING or has ended:
 * it calls on_sync and does what that returned, or it calls on_end and reaps
 * the task.  Those that were not served since they became so come first, then
 * the one that waits longest; while there are some of the former, WRITEABLE
 * comes again [H2, S6].  Tasks without handlers are left alone.
 *
 * Returns 0; what on_end returned; or a negative number if on_sync returned
 * one: other than 0 closes the connection, as the return of any lws callback
 * does.  If there is nothing to serve: 0.  From a thread of a pool it does
 * nothing, logs at LLL_ERR, and returns 0.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_serve(struct lws *wsi);

/**
 * enum lws_threadpool_refused - why a call was refused
 * \ingroup lwstp_why
 *
 * Later versions may add reasons at the end.
 */
enum lws_threadpool_refused {
	LWS_TP_REFUSED_NONE,	      /**< it was not: it succeeded */
	LWS_TP_REFUSED_QUEUE_FULL,    /**< max_queue_depth tasks wait [P2] */
	LWS_TP_REFUSED_FINISHING,     /**< lws_threadpool_finish() [P3] */
	LWS_TP_REFUSED_DRAINING,      /**< lws_threadpool_drain() [P7] */
	LWS_TP_REFUSED_MEMORY,	      /**< out of memory; or no thread of the
				       * new pool could be started */
	LWS_TP_REFUSED_FDS,	      /**< out of fds */
	LWS_TP_REFUSED_CLOSING,	      /**< the wsi is closing [W4] */
	LWS_TP_REFUSED_NOT_CONNECTED, /**< the wsi has no usable connection,
				       * or is none at all [W4, Q6] */
	LWS_TP_REFUSED_WRONG_THREAD,  /**< not the service thread of the wsi
				       * [W2, K3] */
	LWS_TP_REFUSED_CONTEXT,	      /**< the wsi is another context's, or
				       * the context is being destroyed */
	LWS_TP_REFUSED_ARGS,	      /**< an argument is bad, or stale */
	LWS_TP_REFUSED_AWAY	      /**< no call of this library gives it */
};

/**
 * enum lws_threadpool_stop - why a task was asked to stop
 * \ingroup lwstp_why
 *
 * Later versions may add reasons at the end.
 */
enum lws_threadpool_stop {
	LWS_TP_STOP_NONE,      /**< it was not */
	LWS_TP_STOP_ASKED,     /**< lws_threadpool_task_sync(task, 1), a
				* dequeue, or LWS_TP_ON_SYNC_STOP */
	LWS_TP_STOP_CLOSED,    /**< its wsi closed [W1] */
	LWS_TP_STOP_TIMEOUT,   /**< nobody answered its SYNC in time [S5] */
	LWS_TP_STOP_QUEUE_MS,  /**< it had not started in time [D1] */
	LWS_TP_STOP_LIFE_MS,   /**< it had not ended in time [D2] */
	LWS_TP_STOP_FINISH,    /**< the pool was finished or destroyed [P3] */
	LWS_TP_STOP_BAD_RETURN /**< its function returned what is no
				* enum lws_threadpool_task_return [T6] */
};

/**
 * lws_threadpool_refused() - why the last call failed
 * \ingroup lwstp_why
 *
 * Any thread.  Returns the reason of the latest create, enqueue,
 * lws_threadpool_wsi_handle() or lws_threadpool_task_attach() of this thread,
 * of any pool, or LWS_TP_REFUSED_NONE if that succeeded or there was none.
 *
 * The function has the name of the enum, so write `enum` before the type in
 * C++, too.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_refused
lws_threadpool_refused(void);

/**
 * lws_threadpool_refuse() - what lws_threadpool_refused() returns next
 * \ingroup lwstp_why
 *
 * \param why: the reason, or LWS_TP_REFUSED_NONE
 *
 * For libraries that stand on this one, and refuse calls of their own: their
 * callers then ask lws_threadpool_refused() as always.  It holds for the
 * calling thread, until its next call that can be refused.  Any thread.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_refuse(enum lws_threadpool_refused why);

/**
 * lws_threadpool_end_status() - how the task ended, in its on_end and cleanup
 * \ingroup lwstp_why
 *
 * Any thread.
 *
 * Returns LWS_TP_STATUS_FINISHED or LWS_TP_STATUS_STOPPED for the task of
 * lws_threadpool_this_task().  Anywhere else LWS_TP_STATUS_STOPPED.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_status
lws_threadpool_end_status(void);

/**
 * lws_threadpool_end_reason() - why the task is to stop, or was stopped
 * \ingroup lwstp_why
 *
 * Any thread.  It is for the task of lws_threadpool_this_task(), in its call
 * with STOPPING, its on_end and its cleanup.
 *
 * Returns the reason for which it was asked to stop first, or LWS_TP_STOP_NONE
 * if it was not, or if it is FINISHED all the same.  Anywhere else
 * LWS_TP_STOP_NONE.
 */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_stop
lws_threadpool_end_reason(void);

/**
 * LWS_TP_TASK_BEGIN() - a task function that is written from top to bottom
 * \ingroup lwstp_tasks
 *
 * \param p: points to an int in the task's data that is 0 at first, and the
 *	     macros' own: where the function goes on with its next call
 * \param status: what the task function was told
 *
 *	static enum lws_threadpool_task_return
 *	step(void *user, enum lws_threadpool_task_status status)
 *	{
 *		struct work *work = user;
 *
 *		LWS_TP_TASK_BEGIN(&work->at, status);
 *		make_the_first_part(work);
 *		LWS_TP_TASK_SYNC(&work->at);
 *		make_the_second_part(work);
 *		LWS_TP_TASK_SYNC(&work->at);
 *		LWS_TP_TASK_END(&work->at);
 *	}
 *
 * CHECK_IN, SYNC and PARK leave the function, and its next call goes on behind
 * them.  Told STOPPING, BEGIN returns LWS_TP_RETURN_STOPPED: release things
 * in the cleanup.  END returns LWS_TP_RETURN_FINISHED.
 *
 * Local variables are declared above BEGIN, and have no value after CHECK_IN,
 * SYNC or PARK: keep lasting values in the task's data.  Loops and ifs are
 * fine.  Only one of these macros may be on a line, and none in a switch of
 * your own.
 */
#define LWS_TP_TASK_BEGIN(p, status) \
	if ((status) == LWS_TP_STATUS_STOPPING) \
		return LWS_TP_RETURN_STOPPED; \
	switch (*(p)) { \
	default: \
		return LWS_TP_RETURN_STOPPED; \
	case 0:
/* (for the three that follow) */
#define LWS_TP_TASK_LEAVE_(p, ret) \
	do { \
		*(p) = __LINE__; \
		return (ret); \
	case __LINE__:; \
	} while (0)
/** LWS_TP_TASK_CHECK_IN() - be called again at once, or with STOPPING [T3] */
#define LWS_TP_TASK_CHECK_IN(p) LWS_TP_TASK_LEAVE_(p, LWS_TP_RETURN_CHECKING_IN)
/** LWS_TP_TASK_SYNC() - go on after the service thread has answered [S1] */
#define LWS_TP_TASK_SYNC(p) LWS_TP_TASK_LEAVE_(p, LWS_TP_RETURN_SYNC)
/** LWS_TP_TASK_PARK() - go on after a wake, or \p us microseconds [T9].  It may
 * go on for no reason: wait for something in a loop. */
#define LWS_TP_TASK_PARK(p, us) LWS_TP_TASK_LEAVE_(p, lws_threadpool_park(us))
/** LWS_TP_TASK_END() - the end of the function: the task is FINISHED */
#define LWS_TP_TASK_END(p) \
	} \
	*(p) = 0; \
	return LWS_TP_RETURN_FINISHED

/** bytes of a token: 32 hex digits and the NUL [K1] */
#define LWS_THREADPOOL_TOKEN_SIZE 33
/** flag for lws_threadpool_task_token(): a SYNC without a wsi waits for one,
 * where it is the same as CHECKING_IN otherwise [T5, K4] */
#define LWS_TP_TOKEN_WAIT 1

/**
 * lws_threadpool_task_token() - a name for a task that nobody can guess
 * \ingroup lwstp_tokens
 *
 * \param task: the task
 * \param flags: 0, or LWS_TP_TOKEN_WAIT, which stays once it was given
 * \param token: receives LWS_THREADPOOL_TOKEN_SIZE bytes
 *
 * 128 random bits of lws_get_random(), as hex digits, the same each time.  From
 * now on the task outlives its wsi [T5], and is kept for a while after its end
 * if it has no wsi then [K1, K4].  Whoever has the token can have the task:
 * treat it as a password.
 *
 * Any thread.  A task without a wsi, or about to lose it, may have ended and be
 * gone before you ask: ask in its function then.
 *
 * Returns 0, or -1 if \p task is stale, a flag is unknown, \p token is NULL,
 * there are no random bits, memory is short, or the context is gone or being
 * destroyed: \p token has no meaning then.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_token(struct lws_threadpool_task *task, unsigned int flags,
			  char *token);

/**
 * lws_threadpool_task_by_token() - the task of a token
 * \ingroup lwstp_tokens
 *
 * \param tp: the pool that it was enqueued in
 * \param token: NUL-terminated, from anywhere: it need not be a token at all
 *
 * Any thread.  The time that it takes tells nothing of how much of \p token was
 * right.  Returns the task, kept ones too, or NULL: there is none, which is not
 * logged, or \p tp is stale [K2].
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_task_by_token(struct lws_threadpool *tp, const char *token);

/**
 * lws_threadpool_task_attach() - give a task another wsi
 * \ingroup lwstp_tokens
 *
 * \param task: any task, with a token or not
 * \param wsi: its wsi from now on, of which it is the newest task
 *
 * To be called on the service thread of \p wsi, which must be the one of the
 * wsi that the task has, too: if that is another's it is refused, for
 * LWS_TP_REFUSED_WRONG_THREAD, until that wsi has closed.  The wsi that it
 * leaves is told nothing.  If the task is SYNCING or has ended, \p wsi gets a
 * WRITEABLE; if it is parked, it is called [T9].  Whether it outlives its wsi
 * does not change [T5, K3].
 *
 * Returns 0, also if it is attached to \p wsi already, or -1 if \p task is
 * stale, or where an enqueue on \p wsi would be refused: then it stays where it
 * was, and lws_threadpool_refused() tells why.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_attach(struct lws_threadpool_task *task, struct lws *wsi);

/**
 * lws_threadpool_thread_state() - what thread_start made for this thread
 * \ingroup lwstp_pools
 *
 * Any thread.
 *
 * Returns what thread_start of the pool's options put into \p *state on this
 * thread, or NULL: it put nothing there, or this is no thread of a pool [P6].
 */
LWS_VISIBLE LWS_EXTERN void *
lws_threadpool_thread_state(void);

/**
 * lws_threadpool_drain() - accept nothing new, let what is there end by itself
 * \ingroup lwstp_pools
 *
 * \param tp: the pool
 *
 * Any thread, and as often as you like: ask again until it returns 0.  It does
 * not wait.  From the first call on each enqueue is refused, for
 * LWS_TP_REFUSED_DRAINING, also those of the pool's own tasks.  No task is
 * asked to stop: that is lws_threadpool_finish(), which may follow [P7].
 *
 * Returns the number of tasks that are not reaped yet, in whatever status; kept
 * ones [K4] do not count.  0: none, or \p tp is stale.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_drain(struct lws_threadpool *tp);

/**
 * struct lws_threadpool_stats - the numbers of a pool
 * \ingroup lwstp_numbers
 *
 * The first group is of now, the others are since the pool was created.  In a
 * histogram, [0] counts times under 1 microsecond, [n] those from 2^(n-1) to
 * 2^n - 1, and [31] all above.  When there are more than 1,000 a second, some
 * are measured, and each of these counts for all that it stands for [N1].
 */
struct lws_threadpool_stats {
	size_t size;
	/**< sizeof(struct lws_threadpool_stats), set by the caller */

	uint32_t threads;  /**< threads of the pool */
	uint32_t running;  /**< RUNNING tasks, on a thread or
			    * waiting for one; no parked ones */
	uint32_t queued;   /**< QUEUED tasks */
	uint32_t syncing;  /**< SYNCING tasks */
	uint32_t parked;   /**< parked tasks [T9] */
	uint32_t done;	   /**< ended and not reaped, nor kept */
	uint32_t kept;	   /**< kept tasks [K4] */
	uint32_t reserved; /**< 0 */

	uint64_t accepted;  /**< enqueues */
	uint64_t refused;   /**< enqueues, for any reason */
	uint64_t finished;  /**< tasks that ended FINISHED */
	uint64_t stopped;   /**< tasks that ended STOPPED */
	uint64_t timed_out; /**< of these, by S5, D1 or D2 */
	uint64_t syncs;	    /**< SYNCs */
	uint64_t wakes;	    /**< lws_threadpool_task_wake() of live
			     * tasks, with an effect or without */
	uint64_t calls;	    /**< of lws_threadpool_call() [R1] */

	uint64_t queue_us[32]; /**< from enqueue to first call */
	uint64_t run_us[32];   /**< each stay on a thread, until it was
				* parked, SYNCING or ended */
	uint64_t sync_us[32];  /**< from a SYNC to its answer */

	uint64_t queue_total_us; /**< the sum of queue_us's times */
	uint64_t run_total_us;	 /**< the sum of run_us's */
	uint64_t sync_total_us;	 /**< the sum of sync_us's */
};

/**
 * lws_threadpool_get_stats() - the numbers of a pool
 * \ingroup lwstp_numbers
 *
 * \param tp: the pool
 * \param stats: set its size; receives the rest
 *
 * Any thread.  Each number was true at a moment of the call, but not all of
 * them at the same.  Returns 0, or -1 if \p tp is stale or the size is bad
 * [N1].
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_get_stats(struct lws_threadpool *tp,
			 struct lws_threadpool_stats *stats);

/**
 * lws_threadpool_metrics() - the numbers as OpenMetrics text, for Prometheus
 * \ingroup lwstp_numbers
 *
 * \param tp: the pool, or NULL for every pool of the process
 * \param buf: receives the text and a NUL, cut where it is too long
 * \param len: bytes of \p buf.  With 0, \p buf may be NULL
 *
 * Any thread.
 *
 * Returns the bytes of the whole text without the NUL, as snprintf() does: if
 * that is \p len or more the text was cut.  The next call may need more.  Or -1
 * if \p tp is stale [N2].
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_metrics(struct lws_threadpool *tp, char *buf, size_t len);

/**
 * struct lws_threadpool_task_info - what there is to know of a task [N3]
 * \ingroup lwstp_numbers
 */
struct lws_threadpool_task_info {
	size_t size;
	/**< lws_threadpool_task_get_info(): set by the caller.
	 * lws_threadpool_foreach_task(): the library's */
	struct lws_threadpool_task *task;
	/**< its handle */
	char name[48];
	/**< its name, NUL-terminated */
	enum lws_threadpool_task_status status;
	/**< where it is in its life [T1] */
	int parked;
	/**< 1: it is parked, and RUNNING [T9] */
	int attached;
	/**< 1: it has a wsi or a secure stream */
	int kept;
	/**< 1: it has ended, and is kept for somebody to attach it [K4] */
	uint64_t state_us;
	/**< microseconds since it is in this state */
	uint64_t age_us;
	/**< microseconds since its enqueue */
	int thread;
	/**< the number of the pool's thread that is calling it, or -1 */
	enum lws_threadpool_stop stop;
	/**< why it was first asked to stop, so far */
	void *user;
	/**< its args.user: the task's own, which may be in use */
};

/**
 * lws_threadpool_foreach_task() - go through the tasks of a pool
 * \ingroup lwstp_numbers
 *
 * \param tp: the pool
 * \param arg: handed to \p cb
 * \param cb: called for each task that was there when this began and still is,
 *	      with what is true of it at that moment.  Other than 0 ends the
 *	      walk.  \p info is valid until it returns
 *
 * Any thread.  \p cb runs on this thread, without a lock, and may call every
 * function that this thread may.  That it was called for a task does not count
 * as having asked for the task's status [S5, N3].
 *
 * Returns 0; 1 if \p cb ended the walk; -1 if \p tp is stale, \p cb is NULL, or
 * memory is short.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_foreach_task(
	struct lws_threadpool *tp, void *arg,
	int (*cb)(const struct lws_threadpool_task_info *info, void *arg));

/**
 * lws_threadpool_task_get_info() - what there is to know of one task
 * \ingroup lwstp_numbers
 *
 * \param task: the task
 * \param info: set its size; receives the rest
 *
 * Any thread.  It never reaps the task, and does not count as having asked for
 * its status [S5]: for watching a task by its token [N3].  Returns 0, or -1 if
 * \p task is stale or the size is bad.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_get_info(struct lws_threadpool_task *task,
			     struct lws_threadpool_task_info *info);

#if defined(__cplusplus)
}
#endif

#endif /* LWS_THREADPOOL_EXT_H */
