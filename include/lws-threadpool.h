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
#include <stdint.h>
#include <libwebsockets.h>

#define LWS_THREADPOOL_VERSION_MAJOR 0
#define LWS_THREADPOOL_VERSION_MINOR 2
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
	int		keep_secs;	/**< K4: 0: 300, negative: for ever */
	int		max_kept;	/**< K4: 0: 1000, negative: none, it reaps
					 * itself */
	int		reserved;	/**< must be 0 */
	int		(*thread_start)(void *opaque, int index, void **state);
	void		(*thread_end)(void *opaque, int index, void *state);
	void		*opaque;
	size_t		stack_size;	/**< bytes, 0: the system's; one that it
					 * refuses: NULL */
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

/* R1. Any thread; never within this call. -1: stale; no such tsi; no memory; the context is ending:
 * then it is never called. What was accepted is called exactly once, in the order of a thread's
 * calls to a tsi, though tp was destroyed meanwhile; with `context` NULL by the thread that
 * destroys the context, and then must not use lws. Else it may do what a timer of lws may, but not
 * make or destroy a vhost or the context. */
typedef void (*lws_threadpool_call_t)(struct lws_context *context, void *arg);
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_call(struct lws_threadpool *tp, int tsi, lws_threadpool_call_t call, void *arg);
/* R2. A handle as a task is [Q6]. Service thread of the wsi, where its first task could be enqueued
 * [W4], at the same cost (a fd). NULL as for a refused enqueue. The same each time until the wsi
 * starts to close [W1]; it outlives tp, and with keep-alive it is the connection's. */
struct lws_threadpool_wsi;
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_wsi *
lws_threadpool_wsi_handle(struct lws_threadpool *tp, struct lws *wsi);
/* Any thread. lws_callback_on_writable() on its service thread, no stronger: a WRITEABLE that
 * begins after this call, one for all calls before it. -1: closed; 0: it was not yet */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_wsi_writeable(struct lws_threadpool_wsi *handle);
/* Service thread of the wsi. NULL: closed. Always NULL on a pool's or another service thread */
LWS_VISIBLE LWS_EXTERN struct lws *
lws_threadpool_wsi_get(struct lws_threadpool_wsi *handle);

/* T9. return lws_threadpool_park(us); It marks the call that is under way and returns CHECKING_IN;
 * the last mark counts, and only if the call returns CHECKING_IN (| OUTLIVE) and was not told
 * STOPPING [T4]. The task is RUNNING and parked (SYNCING is not called so any more): no thread, no
 * WRITEABLE. It is called again, as a resumed one [S1, S2], after a wake, a stop, finish(), when it
 * loses its wsi or gets one [K3], or after us (negative: never; 0: at once, a yield); perhaps for
 * no reason: look. Outside a task function (cleanup, handlers, other threads): LLL_ERR, no mark. */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_return
lws_threadpool_park(lws_usec_t us);
/* T10. Any thread, any status. A task that is not parked keeps one wake, however many came, until
 * its next park, which it makes a yield. What was written before is seen by the call that follows
 * [T2]. Answers no SYNC [S4]. */
LWS_VISIBLE LWS_EXTERN void
lws_threadpool_task_wake(struct lws_threadpool_task *task);
/* The task whose function, handler or cleanup this thread is in, the innermost; else NULL. In
 * cleanup it is stale already [Q1]: to compare with, nothing more */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_this_task(void);
/* Any thread. 1: it has a wsi or ss at this moment; 0: it has not, or is stale */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_attached(struct lws_threadpool_task *task);

enum { LWS_TP_ON_SYNC_RESUME, LWS_TP_ON_SYNC_STAY, LWS_TP_ON_SYNC_STOP };	/* 0, 1, 2 */
struct lws_threadpool_task_options {
	size_t		size;
	int		(*on_sync)(struct lws *wsi, void *user);
	/**< H1: SYNCING: send.  0: goes on; 1: stays, for a later WRITEABLE or task_sync(); 2, and
	 * any above: is asked to stop; negative: stays, and the connection is to be closed [W1] */
	int		(*on_end)(struct lws *wsi, void *user, enum lws_threadpool_task_status how);
	/**< H1: FINISHED or STOPPED, before cleanup.  serve() returns what it returns */
	int		queue_ms;	/**< D1; 0: none */
	int		life_ms;	/**< D2; 0: none */
	const void	*key;		/**< O1: compared, never followed; NULL: nobody's */
	int		key_max;	/**< O1; 0: no limit */
	int		reserved;	/**< 0 */
};
/* options NULL: lws_threadpool_enqueue(). Negative numbers, or handlers with args.ss: ARGS */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_enqueue_ext(struct lws_threadpool *tp, const struct lws_threadpool_task_args *args,
	const struct lws_threadpool_task_options *options, const char *format, ...) LWS_FORMAT(4);
/* H2. A WRITEABLE callback: return lws_threadpool_serve(wsi); Pool's thread: 0, LLL_ERR */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_serve(struct lws *wsi);

enum lws_threadpool_refused {
	LWS_TP_REFUSED_NONE, LWS_TP_REFUSED_QUEUE_FULL, LWS_TP_REFUSED_FINISHING,
	LWS_TP_REFUSED_DRAINING, LWS_TP_REFUSED_MEMORY, LWS_TP_REFUSED_FDS, LWS_TP_REFUSED_CLOSING,
	LWS_TP_REFUSED_NOT_CONNECTED, LWS_TP_REFUSED_WRONG_THREAD, LWS_TP_REFUSED_CONTEXT,
	LWS_TP_REFUSED_ARGS, LWS_TP_REFUSED_AWAY	/* of the cluster: no engine */
};
enum lws_threadpool_stop {
	LWS_TP_STOP_NONE, LWS_TP_STOP_ASKED, LWS_TP_STOP_CLOSED, LWS_TP_STOP_TIMEOUT,
	LWS_TP_STOP_QUEUE_MS, LWS_TP_STOP_LIFE_MS, LWS_TP_STOP_FINISH, LWS_TP_STOP_BAD_RETURN
};
/* Of this thread's latest create, enqueue, lws_threadpool_wsi_handle() or attach; NONE: it succeeded.
 * CONTEXT: another's, or ending. ARGS: stale, too. MEMORY: no thread started, too */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_refused
lws_threadpool_refused(void);
/* In on_end and cleanup: how this_task() ended; elsewhere STOPPED */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_task_status
lws_threadpool_end_status(void);
/* In its call with STOPPING, on_end, cleanup: why this_task() was first asked to stop; else NONE,
 * and with FINISHED */
LWS_VISIBLE LWS_EXTERN enum lws_threadpool_stop
lws_threadpool_end_reason(void);
/* Task functions from top to bottom: p points to an int in `user`, 0 at first. Locals are declared
 * above BEGIN and do not survive; one of these to a line, none within a `switch` of one's own */
#define LWS_TP_TASK_BEGIN(p, status) \
	if ((status) == LWS_TP_STATUS_STOPPING) return LWS_TP_RETURN_STOPPED; \
	switch (*(p)) { default: return LWS_TP_RETURN_STOPPED; case 0:
#define LWS_TP_TASK_LEAVE_(p, ret) do { *(p) = __LINE__; return (ret); case __LINE__:; } while (0)
#define LWS_TP_TASK_CHECK_IN(p)	LWS_TP_TASK_LEAVE_(p, LWS_TP_RETURN_CHECKING_IN)
#define LWS_TP_TASK_SYNC(p)	LWS_TP_TASK_LEAVE_(p, LWS_TP_RETURN_SYNC)
#define LWS_TP_TASK_PARK(p, us)	LWS_TP_TASK_LEAVE_(p, lws_threadpool_park(us))
#define LWS_TP_TASK_END(p)	} *(p) = 0; return LWS_TP_RETURN_FINISHED

#define LWS_THREADPOOL_TOKEN_SIZE	33	/* 32 hex digits and the NUL */
#define LWS_TP_TOKEN_WAIT		1	/* a SYNC without a wsi waits for one, else T5 */
/* K1. Any thread. 128 bits of lws_get_random(), the same each time. It outlives its wsi from now on
 * [T5]. WAIT, once given, stays. -1: stale, unknown flags, no random, no context any more */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_token(struct lws_threadpool_task *task, unsigned int flags, char *token);
/* K2. Any thread. The task or NULL; the time that it takes tells nothing of how much was right */
LWS_VISIBLE LWS_EXTERN struct lws_threadpool_task *
lws_threadpool_task_by_token(struct lws_threadpool *tp, const char *token);
/* K3. Any task, with a token or not, is this wsi's from now on, its newest; if it is SYNCING or has
 * ended WRITEABLE comes. Service thread of wsi, and of the wsi that it leaves, which is not told:
 * -1, WRONG_THREAD if that is another's, until it has closed. 0: there already, too. -1: stale, or
 * refused as an enqueue is; then it stays where it was */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_attach(struct lws_threadpool_task *task, struct lws *wsi);

/* P6. start: on the thread, before any task. create waits for them all: they must not wait for the
 * service thread. Not 0: this thread does not start [P1], and has no end. index: the <n> of its
 * name, from 0. end: on the thread, its last act, between finish() and destroy()'s return. */
/* What start put in *state; NULL: nothing yet, or no thread of a pool */
LWS_VISIBLE LWS_EXTERN void *
lws_threadpool_thread_state(void);
/* P7. Any thread, again and again. No new task from now on (DRAINING), follow-ups of its own tasks
 * included; does not wait. Returns the tasks not yet reaped, parked, SYNCING and done ones too,
 * kept ones not. 0: all done, or stale */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_drain(struct lws_threadpool *tp);

struct lws_threadpool_stats {
	size_t		size;		/* the caller's */
	uint32_t	threads, running, queued, syncing, parked, done, kept, reserved;	/* now */
	uint64_t	accepted, refused, finished, stopped, timed_out, syncs, wakes, calls;
	uint64_t	queue_us[32], run_us[32], sync_us[32];
	uint64_t	queue_total_us, run_total_us, sync_total_us;
};
/* N1. Any thread; each number true at a moment of the call. -1: stale, or a bad size */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_get_stats(struct lws_threadpool *tp, struct lws_threadpool_stats *stats);
/* N2. As snprintf(): the bytes that there are, no NUL; tp NULL: every pool there is; stale: -1 */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_metrics(struct lws_threadpool *tp, char *buf, size_t len);
struct lws_threadpool_task_info {
	size_t		size;		/* the library's */
	struct lws_threadpool_task *task;
	char		name[48];
	enum lws_threadpool_task_status status;
	int		parked, attached, kept;
	uint64_t	state_us, age_us;	/* in this state; since its enqueue */
	int		thread;			/* that calls it now, or -1 */
	enum lws_threadpool_stop stop;		/* the first reason so far */
	void		*user;
};
/* N3. Any thread. Each task that was there when it began and still is, as it is at its callback,
 * which runs without a lock and may call everything. No look at a task [S5]. 0; 1: a callback
 * returned other than 0 [Q3]; -1: stale, cb NULL, no memory */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_foreach_task(struct lws_threadpool *tp, void *arg,
				int (*cb)(const struct lws_threadpool_task_info *info, void *arg));
/* The same for one, which it never reaps: to monitor by a token. The caller's size; -1: stale */
LWS_VISIBLE LWS_EXTERN int
lws_threadpool_task_get_info(struct lws_threadpool_task *task,
				 struct lws_threadpool_task_info *info);

#if defined(__cplusplus)
}
#endif

#endif /* LWS_THREADPOOL_EXT_H */
