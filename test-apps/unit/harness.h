/*
 * lws-threadpool unit tests - a real lws context, real connections, scripted
 * tasks and the log, for tests that wait for conditions and never for a time
 *
 * SPDX-License-Identifier: MIT
 *
 * The test's own thread is the service thread.  It is in lws only while it is
 * inside one of the rig_ functions, so between those a test may call any
 * function of the API as if it were a callback of that wsi.
 *
 * What every test checks without saying so, when its rig is torn down: each
 * accepted job was cleaned up exactly once and no other one at all (T7, T8), no
 * task function ran on two threads at once or was told anything but RUNNING
 * and STOPPING (T2), STOPPING was told once at most and nothing after it (T4),
 * and no line of NOTICE or worse was logged that the test did not claim.
 */

#ifndef LWSTP_UNIT_HARNESS_H
#define LWSTP_UNIT_HARNESS_H

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

#include "evloop.h"

/* on_event's return that asks for the harness's default behaviour */
#define RIG_DEFAULT	0x7d0

/* cmocka_unit_test() with a plain rig in *state */
#define RIG_TEST(f) \
	cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

enum conn_kind {
	CONN_WS,	/* ws server wsi, the peer is a TCP socket of the test */
	CONN_WS_CLIENT,	/* ws server wsi, the peer is an lws client wsi */
	CONN_HTTP,	/* http/1 request not yet answered, the peer as CONN_WS */
	CONN_RAW,	/* raw socket on a socketpair */
	CONN_RAW_TCP,	/* raw socket on a TCP connection: it can be reset */
	CONN_FILE,	/* raw file on an eventfd: it has no peer */
	CONN_PIPE,	/* raw file on a pipe, the test has the reader */
	CONN_KINDS
};

struct rig;
struct job;

typedef int (*rig_event_cb)(struct rig *rig, struct lws *wsi,
			    enum lws_callback_reasons reason, void *user,
			    void *in, size_t len);

/* One connection.  All of it belongs to the service thread. */
struct conn {
	struct rig	*rig;
	enum conn_kind	kind;
	struct lws	*wsi;		/* ours, NULL once it closed */
	struct lws	*client;	/* CONN_WS_CLIENT: the other one */
	struct lws	*client_was;	/* ... to compare, once it closed */
	int		fd;		/* the peer's end, -1 if none */
	bool		up;
	bool		closed;		/* saw its role's close callback */
	bool		client_up;
	bool		client_closed;
	bool		destroyed;	/* saw WSI_DESTROY */
	bool		manual;		/* default WRITEABLE only counts */
	bool		die;		/* next WRITEABLE returns -1 */
	bool		gone;		/* the peer is: write to it */
	int		writeables;
	int		client_writeables;
	int		child_closings;
	lws_usec_t	last_writeable;
	lws_usec_t	max_gap;	/* the longest between WRITEABLEs */
	void		*priv;		/* the test's */
	struct conn	*next;
};

struct rig {
	struct lws_context	*context;	/* NULL once destroyed */
	struct lws_vhost	*vhost;
	int			port;
	rig_event_cb		on_event;	/* for any reason, or NULL */
	bool			opt_in;		/* protocols[0] calls
						 * lws_threadpool_wsi_event() */
	bool			context_first;	/* teardown: context, pools */
	bool			any_log;	/* do not check the log */
	lws_usec_t		tick_us;	/* rig_until() looks at least
						 * this often.  2 ms */
	int			deadline_secs;	/* of a wait.  60 */
	int			wait_cancelled;	/* EVENT_WAIT_CANCELLEDs of the
						 * protocol "tp-test" */
	void			*priv;		/* the test's */

	/* the harness's own */
	struct lws_protocols	protocols[5];
	struct evloop		*evloop;	/* NULL: lws's own */
	lws_sorted_usec_list_t	sul;
	struct conn		*opening;
	struct conn		*conns;
	struct job		*jobs;
	struct gate		*gates;
	unsigned long		events;		/* callbacks, all of them */
	struct lws_threadpool	*pools[64];
	pthread_t		thread;		/* the service thread */
};

struct rig_opts {
	/* change what the context is created with */
	void (*info)(struct rig *rig, struct lws_context_creation_info *info);
	rig_event_cb	on_event;		/* from PROTOCOL_INIT on */
	bool		opt_in;
	void		*priv;			/* rig->priv */
};

/* -------- rig -------- */

struct rig *
rig_create(const struct rig_opts *opts);

/* Ends what is left and does the checks.  Returns 0, or 1 with the reasons
 * printed.  Frees everything either way. */
int
rig_destroy(struct rig *rig);

/* What a vhost with the rig's protocols asks for: a libwebsockets with
 * plugins, from 4.2 on, tells no protocol of PROTOCOL_INIT that is not asked
 * for by name.  NULL with others. */
const struct lws_protocol_vhost_options *
rig_pvo(void);

/* lws_context_destroy(), once */
void
rig_context_destroy(struct rig *rig);

int
rig_setup(void **state);

int
rig_teardown(void **state);

/* The deadline of a wait, in seconds: LWSTP_UNIT_DEADLINE, where everything is
 * slow, by an emulator or valgrind, or 60 */
int
wait_secs(void);

/* Service until cond(arg) is true; past the deadline the test fails. */
#define rig_until(rig, cond, arg) \
	rig_until_((rig), (cond), (arg), #cond, __FILE__, __LINE__)

/* Service until the atomic_int at p is n or more. */
#define rig_until_int(rig, p, n) \
	rig_until_int_((rig), (p), (n), #p, __FILE__, __LINE__)

/* The same without servicing: no callback can come meanwhile. */
#define wait_until(cond, arg) \
	wait_until_((cond), (arg), #cond, __FILE__, __LINE__)
#define wait_int(p, n) \
	wait_int_((p), (n), #p, __FILE__, __LINE__)

/* One turn of the service loop, that waits for something to happen or not:
 * what lws_service(context, 0) and (context, -1) are, with any event library */
void
rig_turn(struct rig *rig, bool wait);

/* Service so many turns without waiting in any. */
void
rig_turns(struct rig *rig, int turns);

/* Service what is pending now, until nothing more comes: some turns in which
 * poll() found nothing.  For checks that something does NOT come. */
void
rig_drain(struct rig *rig);

/* How many fds the process has open, for a test to compare with before and
 * after its rig; without those that lws itself loses with a context, measured
 * with one that never had a pool */
int
rig_open_fds(void);

/* A pool that the rig destroys at teardown, if the test did not.  A failure to
 * create fails the test. */
struct lws_threadpool *
rig_pool(struct rig *rig, int threads, int depth);

struct lws_threadpool *
rig_pool_ext(struct rig *rig, int threads, int depth,
	     const struct lws_threadpool_options *options);

/* lws_threadpool_destroy(), and the rig forgets the pool */
void
rig_pool_destroy(struct rig *rig, struct lws_threadpool *tp);

void
rig_until_(struct rig *rig, bool (*cond)(void *), void *arg, const char *what,
	   const char *file, int line);
void
rig_until_int_(struct rig *rig, atomic_int *p, int n, const char *what,
	       const char *file, int line);
void
wait_until_(bool (*cond)(void *), void *arg, const char *what,
	    const char *file, int line);
void
wait_int_(atomic_int *p, int n, const char *what, const char *file, int line);

/* -------- connections -------- */

/* For peers of their own: a TCP connection to a port of 127.0.0.1, and a socket
 * that listens on a free one.  Close them. */
int
tcp_connect(int port);
int
tcp_listen(int *port);

/* Established on both sides when it returns; freed with the rig. */
struct conn *
conn_open(struct rig *rig, enum conn_kind kind);

/* The kind's name, for messages */
const char *
conn_kind_name(enum conn_kind kind);

/* Whether a close of that kind is seen by a child of ours, without the opt-in:
 * a libwebsockets that we are compiled into tells of closes itself, from 4.3.3
 * on, but for those of raw files. */
bool
conn_kind_watched(enum conn_kind kind);

/* The conn of a wsi, client or server side, NULL if none.  Not in callbacks
 * without a wsi of their own. */
struct conn *
conn_of(struct lws *wsi);

/* Ways to end it; none waits.  See conn_until_closed(). */
void
conn_fin(struct conn *c);	/* the peer closes its end: FIN, EPIPE */
void
conn_rst(struct conn *c);	/* the peer resets: TCP kinds only */
void
conn_ws_close(struct conn *c);	/* CONN_WS: the peer sends a close frame */
void
conn_die(struct conn *c);	/* our callback returns -1 */
void
conn_timeout(struct conn *c);	/* lws kills it for a timeout */

void
conn_until_closed(struct conn *c);

/* To and from the peer's end, as bytes.  conn_recv() never waits. */
void
conn_send(struct conn *c, const void *buf, size_t len);
ssize_t
conn_recv(struct conn *c, void *buf, size_t len);

/* -------- gates and jobs -------- */

/* A gate is made closed and holds workers until the test opens it.  Teardown
 * opens all of them, so nothing hangs when a test fails, and frees them. */
struct gate;

struct gate *
gate_new(struct rig *rig);
void
gate_open(struct gate *g);
void
gate_close(struct gate *g);
void
gate_pass(struct gate *g);

/*
 * A task's script, and what was seen of it.  Zeroed, it returns FINISHED at its
 * first call.  Get it from job_new(): it is freed with the rig.
 */
struct job {
	/* the script, set before job_enqueue() */
	const char	*name;
	int		repeat;		/* this many calls return ret ... */
	int		ret;
	int		last;		/* ... and then this (FINISHED) */
	int		stop_ret;	/* what it returns to STOPPING */
	struct gate	*gate;		/* call number gate_call, from 0, ... */
	int		gate_call;	/* ... waits for gate */
	struct gate	*stop_gate;	/* the STOPPING call waits for this */
	char		async_task;
	int		(*fn)(struct job *j, enum lws_threadpool_task_status s);
	/**< instead of the script; gates are still passed first */
	void		(*on_cleanup)(struct job *j, struct lws *wsi);
	void		*priv;		/* the test's */
	int		data;		/* the test's, deliberately not atomic */

	/* seen, from any thread */
	atomic_int	calls;		/* begun, RUNNING or STOPPING */
	atomic_int	running;	/* ... with RUNNING */
	atomic_int	stopping;	/* ... with STOPPING */
	atomic_int	returns;	/* ended */
	atomic_int	cleanups;	/* raised after the ones below are set */
	pthread_t	cleanup_thread;
	struct lws	*cleanup_wsi;
	pthread_t	first_thread;	/* of its first call */
	atomic_int	moved;		/* calls on another thread than that */

	/* seen by the default WRITEABLE, service thread only */
	int		seen[6];	/* by lws_threadpool_task_status */
	int		reaped_as;	/* FINISHED or STOPPED, -1 before */

	/* the harness's own */
	struct rig	*rig;
	struct lws_threadpool_task *task;
	bool		accepted;
	atomic_int	in_call;
	atomic_int	faults;
	char		fault[96];
	struct job	*next;
};

struct job *
job_new(struct rig *rig);

/* job_new() with a script: repeat times ret, then FINISHED */
struct job *
job_script(struct rig *rig, int repeat, int ret);

/* ... that waits for the gate in its first call */
struct job *
job_gated(struct rig *rig, struct gate *gate);

/* lws_threadpool_enqueue() of it; wsi may be NULL.  Returns its task, or NULL
 * if it was refused. */
struct lws_threadpool_task *
job_enqueue(struct lws_threadpool *tp, struct job *j, struct lws *wsi);

/* A detached job that holds a thread of the pool until the gate opens; it does
 * when this returns. */
struct job *
job_block(struct rig *rig, struct lws_threadpool *tp, struct gate *gate);

/* A job that SYNCs once and is SYNCING when this returns */
struct job *
job_park(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi);

/* Service until every accepted job was cleaned up */
#define rig_until_cleaned(rig) \
	rig_until_((rig), rig_is_cleaned, (rig), "all jobs cleaned up", \
		   __FILE__, __LINE__)
bool
rig_is_cleaned(void *rig);

/* The arguments that job_enqueue() would use, and the accounting that goes
 * with calling lws_threadpool_enqueue() oneself */
void
job_args(struct job *j, struct lws *wsi, struct lws_threadpool_task_args *args);
void
job_accepted(struct job *j, struct lws_threadpool_task *task);

/* From any thread: a message that makes the rig's teardown fail */
void
job_fault(struct job *j, const char *what);

/* Its status, without reaping, is or becomes s.  rig_ services meanwhile. */
#define wait_status(j, s) \
	wait_status_((j), (s), #j " is " #s, __FILE__, __LINE__)
#define rig_until_status(j, s) \
	rig_until_status_((j), (s), #j " is " #s, __FILE__, __LINE__)

void
wait_status_(struct job *j, enum lws_threadpool_task_status s,
	     const char *what, const char *file, int line);
void
rig_until_status_(struct job *j, enum lws_threadpool_task_status s,
		  const char *what, const char *file, int line);

/* What the default WRITEABLE does: look at the one task that wants attention,
 * reap it if it ended, sync it if it is SYNCING.  Returns its job or NULL. */
struct job *
job_serve_one(struct lws *wsi);

/* -------- the log -------- */

/* How many lines of that level contain text, since the rig was created or
 * log_forget().  log_claim() also says that they were wanted. */
int
log_count(int level, const char *text);
int
log_claim(int level, const char *text);

/* Called with each line by the thread that writes it, unless NULL; until the next
 * rig */
extern void (*_Atomic log_told)(const char *line);

/* Lines of NOTICE, WARN and ERR that nobody claimed */
int
log_unclaimed(void);

void
log_print_unclaimed(void);

void
log_forget(void);

/* LLL_INFO lines too, for the rest of this rig.  Off at first: a libwebsockets
 * with LWS_MAX_SMP 1 writes every line into one static buffer, so lines of two
 * threads can spoil each other, and lws itself says much at LLL_INFO. */
void
log_info(void);

#endif
