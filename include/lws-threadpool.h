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
 * READMEs/README.threadpool.md.
 */

#ifndef LWS_THREADPOOL_EXT_H
#define LWS_THREADPOOL_EXT_H

#include <stddef.h>
#include <libwebsockets.h>

#define LWS_THREADPOOL_VERSION_MAJOR 0
#define LWS_THREADPOOL_VERSION_MINOR 1
#define LWS_THREADPOOL_VERSION_PATCH 0

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * struct lws_threadpool_options - what lws_threadpool_create_ext() adds
 *
 * Zero it, then set \p size and what you want: members that you do not know of
 * are then at their defaults.
 */
struct lws_threadpool_options {
	size_t		size;
	/**< sizeof(struct lws_threadpool_options), so that an older program
	 * goes on working with a newer library.  If it is smaller, or over
	 * 4096, or if a member is set that this version does not know, the
	 * options are refused */
	int		sync_timeout_secs;
	/**< seconds that a task may stay SYNCING before it is stopped with a
	 * warning: 0 = the default of 300, negative = never.  The pool's
	 * threads look at the time, so if all of them are busy it is later.
	 * The stop waits until the service thread is between two callbacks
	 * [S5, S7] */
	int		sync_spin_us;
	/**< microseconds that a thread without work spins, in place of
	 * sleeping at once, after it parked a task: a quick answer to the SYNC
	 * finds it awake.  0 = the default of 20, negative = none.  If work
	 * came, it spins again when it has none the next time.  One thread of
	 * a pool spins at a time, and none where the process may use only one
	 * processor.  A processor is busy meanwhile.  The service thread does
	 * not spin: while SYNCs and answers flow, lws's loop looks for them
	 * before it polls, and two looks that find nothing end that */
	int		pin_tasks;
	/**< 0 = a parked task goes on with any thread of the pool, not 0 =
	 * only with the thread that it began on, for libraries that are bound
	 * to a thread [S1] */
	/* for a later version: */
	int		keep_secs;	/**< must be 0 */
	int		max_kept;	/**< must be 0 */
	int		reserved;	/**< must be 0 */
	int		(*thread_start)(void *opaque, int index, void **state);
	/**< must be NULL */
	void		(*thread_end)(void *opaque, int index, void *state);
	/**< must be NULL */
	void		*opaque;	/**< must be NULL */
	size_t		stack_size;	/**< must be 0 */
};

/**
 * lws_threadpool_create_ext() - lws_threadpool_create() with options
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
 * Returns NULL, with the reason logged at LLL_ERR, if \p context or \p args is
 * NULL, if a number is out of range, if \p options has another size or a member
 * set that this version does not know, if the context is being destroyed, if
 * memory or fds are short, or if no thread could be started [P1].  With fewer
 * threads than asked for it goes on, with a warning.
 */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool *
lws_threadpool_create_ext(struct lws_context *context,
			  const struct lws_threadpool_create_args *args,
			  const struct lws_threadpool_options *options,
			  const char *format, ...) LWS_FORMAT(4);

/**
 * lws_threadpool_wsi_event() - tell us of a wsi's events: saves an fd for each
 *
 * \param wsi: the wsi of the callback
 * \param reason: the reason of the callback
 *
 * By default a wsi that has had a task holds one more fd, by which we see it
 * close [W1].  An application that calls this first in its protocols[0]
 * callback, for every call and in every vhost's protocols[0], needs none: we
 * hear of the end by LWS_CALLBACK_WSI_DESTROY.
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
 * We keep no reference on the wsi.  It cannot fail, and returns 0.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_wsi_event(struct lws *wsi, enum lws_callback_reasons reason);

#if defined(LWS_WITH_SECURE_STREAMS)
/**
 * lws_threadpool_ss_event() - tell us of a secure stream's states
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
 * Without tasks, or on NULL, it does nothing.  It cannot fail, and returns 0.
 * Compiled into lws it may be called or not: the end of a stream is seen
 * anyway.
 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_ss_event(struct lws_ss_handle *ss, lws_ss_constate_t state);
#endif

#if LWS_LIBRARY_VERSION_NUMBER < 5000000
/**
 * lws_threadpool_diagnose() - how busy a pool is
 *
 * \param tp: the pool
 * \param ongoing: NULL, or receives the number of tasks that threads run now
 * \param possible: NULL, or receives the number of threads
 * \param queue_depth: NULL, or receives the number of tasks that wait in the
 *		       queue
 *
 * One moment's picture, from any thread [P5].  All 0 for a pool that does not
 * exist, which is logged at LLL_ERR.  From libwebsockets 5.0 its own header
 * declares this.
 */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_diagnose(struct lws_threadpool *tp, int *ongoing, int *possible,
			int *queue_depth);
#endif

#if defined(__cplusplus)
}
#endif

#endif /* LWS_THREADPOOL_EXT_H */
