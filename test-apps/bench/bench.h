/*
 * lws-threadpool benchmark - what its rows share
 *
 * SPDX-License-Identifier: MIT
 *
 * One program, compiled against our library and, with BENCH_BUILTIN, against a
 * libwebsockets that has its own threadpool compiled in.  A run is one row:
 * it measures one thing once and prints lines of
 *
 *   row,who,parameters,metric,value,unit
 *
 * scripts/bench runs the rows in turn, many times, and takes medians.
 */

#ifndef LWSTP_BENCH_H
#define LWSTP_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libwebsockets.h>
#if !defined(BENCH_BUILTIN)
#include <lws-threadpool.h>
#endif

#if defined(BENCH_BUILTIN)
#define BENCH_SELF "builtin"
#else
#define BENCH_SELF "ours"
#endif

struct bench_options {
	const char *row;
	const char *who;   /* what is measured: -m, BENCH_SELF */
	const char *evlib; /* -e: poll, uv or ev */
	long n;		   /* -n: tasks, streams... of the row */
	long syncs;	   /* -k: a stream */
	int work;	   /* -b: us before each of those */
	int threads;	   /* -t */
	int wsis;	   /* -w */
	int rounds;	   /* -r: in this process; the first is to
			    * warm up, unless it is the only one */
	int fds;	   /* -f: RLIMIT_NOFILE, 0: as it is */
	bool no_spin;	   /* -m no-spin */
	size_t user;	   /* bytes that a task's user points to */
	double secs;	   /* -s: how long a row observes */
	double limit;	   /* -l: it gives up after so long */
};

extern struct bench_options opt;

struct bench_row {
	const char *name;
	const char *what; /* for --help */
	int (*run)(void); /* the exit status */
};

int
bench_noop(void);
int
bench_cold(void);
int
bench_writeables(void);
int
bench_sync(void);
int
bench_streams(void);
int
bench_enqueue(void);
int
bench_http(void);
int
bench_downloads(void);
int
bench_requests(void);
int
bench_connect(void);
int
bench_destroy(void);
int
bench_lookups(void);
int
bench_memory(void);
int
bench_idle(void);
int
bench_instructions(void);
int
bench_park(void);
int
bench_call(void);
int
bench_asks(void);
int
bench_keys(void);

/* the peers, in files of their own.  They return false if they gave up. */
bool
peer_uv_noop(double *secs);
bool
peer_glib_noop(double *secs);
void
peer_uv_begin(long n, uint64_t busy_ns);
bool
peer_uv_enqueue(void);
void
peer_uv_until(long n);

/* http servers with pools of their own: does opt.who name one?  Starts it, and
 * returns its port */
bool
peer_serves(void);
int
peer_serve(void);
/* what each request of theirs, and of ours, waits for */
void
requests_work(void);

/*
 * client.c: http clients in a process of their own, a thread each
 */

struct client_plan {
	int load;	       /* connections that only make load */
	const char *load_path; /* what they ask for, all the time */
	int timed;	       /* connections that are timed */
	const char *timed_path;
	const char *every_tenth; /* NULL, or what each tenth asks for */
	long requests;		 /* to time in all, 0: for secs */
	double secs;
	long pause_us; /* between timed requests */
	int crowd;     /* instead of all these: connections
			* that one thread has, for secs */
};

/* before there are threads: the pipe that client_tell() is for */
int
client_start(const struct client_plan *plan, pid_t *pid);
void
client_tell(int to_client, int port);
int
client_dial(void);
/* crowd.c: asks for timed_path on all of them, and prints what came of it */
void
crowd(const struct client_plan *plan);

/*
 * server.c: the server for them
 */

/* until the client has ended.  pool: NULL, or receives one of -t threads */
int
server_run(const struct client_plan *plan, lws_callback_function *callback,
	   struct lws_threadpool **pool);
/* headers for a body of len bytes, with the body itself if there is one */
int
server_headers(struct lws *wsi, const void *body, size_t len);
/* a whole answer */
int
server_small(struct lws *wsi);

/*
 * util.c
 */

bool
is(const char *a, const char *b);
uint64_t
now_ns(void);
void
spin_ns(uint64_t ns);
__attribute__((noreturn, format(printf, 1, 2))) void
die(const char *format, ...);
void *
need(size_t n, size_t size);
/* the parameters, that each line repeats */
__attribute__((format(printf, 1, 2))) void
params(const char *format, ...);
void
out(const char *metric, double value, const char *unit);
void
out_as(const char *who, const char *metric, double value, const char *unit);
int
compare_ns(const void *a, const void *b);
/* sorts; p50, p99, p99.9 and the worst, each with the prefix */
void
out_percentiles(const char *prefix, uint32_t *ns, long n);
double
median(double *v, int n);

/*
 * rig.c: a context, and wsis that cost one fd each and are always writeable
 */

struct rig_wsi {
	struct lws *wsi;
	long index;
	long cursor; /* the row's */
};

struct rig {
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lws_vhost *passing; /* NULL, or passes its events */
	struct rig_wsi *wsis;
	long n_wsis;
	int (*on_writeable)(struct rig_wsi *w);
	void (*on_cancelled)(void); /* or NULL */
	lws_sorted_usec_list_t deadline;
	bool late;	     /* the limit is over */
	bool opt_in;	     /* all vhosts pass theirs */
	bool files;	     /* raw files, not sockets */
	int service_threads; /* 0: one */
	void *loop;	     /* of the event library */
};

extern struct rig rig;

void
rig_up(long wsis, int (*on_writeable)(struct rig_wsi *w));
struct lws_vhost *
rig_vhost(const char *name);
/* one more of those wsi, NULL if lws did not take it */
struct lws *
rig_adopt(struct rig_wsi *w);
void
rig_turn(void);
/* services until *count is n, false if that takes longer than opt.limit */
bool
rig_until(const volatile long *count, long n);
void
rig_limit(double secs);
struct lws_threadpool *
rig_pool(int threads, long depth);
void
rig_down(struct lws_threadpool *tp);

#endif /* LWSTP_BENCH_H */
