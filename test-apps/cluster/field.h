/*
 * lws-threadpool cluster tests - a front in the test, an engine, and workers
 *
 * SPDX-License-Identifier: MIT
 *
 * The front is a rig of test-apps/unit: a real lws context, served by the test
 * itself, with real connections.  Their WRITEABLEs take what the tasks bring,
 * as an application would.
 *
 * What every test checks without saying so, at its end: each reader had the
 * chunks of its job in their order and once, not one of them spoilt; each job
 * that was accepted was cleaned up once, no other one at all; workers that
 * were not killed ended when they were asked to, with status 0 (a sanitizer
 * that has found something makes it another); and no line of ERR was logged at
 * the front that the test did not claim.
 *
 * No test may depend on how long anything takes.  Under load any worker may
 * seem lost, to one of short leases: only what is about leases has such.
 */

#ifndef LWSTP_CLUSTER_FIELD_H
#define LWSTP_CLUSTER_FIELD_H

#include "harness.h"

#include <lws-threadpool-cluster.h>

#include "board.h"
#include "engine.h"
#include "kinds.h"
#include "proc.h"

#define FIELD_NODES 16

/* cmocka_unit_test() with a field in *state, and its engine running */
#define FIELD_TEST(f) \
	cmocka_unit_test_setup_teardown(f, field_setup, field_teardown)
/* ... and the main() of such tests; of those whose names match
 * LWSTP_CLUSTER_TEST, which may have wildcards, if that is set */
#define FIELD_MAIN(tests) \
	int main(void) \
	{ \
		cmocka_set_test_filter(getenv("LWSTP_CLUSTER_TEST")); \
		return cmocka_run_group_tests(tests, field_group_setup, \
					      field_group_teardown); \
	}

struct field;

/* Of the board; children have it */
extern int board_fd;

/* A job at the front.  work is first: it is the task's user. */
struct remote {
	struct work work;
	struct field *f;
	enum kind kind;
	struct lws_threadpool_task *task;
	struct conn *conn; /* of remote_run(), or the test's */
	struct board_job *board;
	bool accepted;
	const struct lws_threadpool_task_options *options; /* or NULL */
	uint32_t may_read; /* so many at most; all of them */
	uint32_t read;	   /* chunks that the reader had */
	uint32_t first;	   /* ... from this one on */
	int why;	   /* lws_threadpool_cluster_end, and ... */
	atomic_int ended;  /* ... its status, or 0; by WRITEABLE if
			    * it has a wsi, else by its cleanup */
	atomic_int cleaned;
	struct remote *next;
};

struct node_proc {
	struct proc proc;
	struct board_node *board;
	bool killed; /* by the test */
};

struct field {
	struct engine *engine; /* all tests of a program's */
	struct rig *rig;
	struct lws_threadpool *pool;
	struct lws_threadpool_cluster *front;
	char prefix[16]; /* another one for each test */
	int errors;	 /* lines of ERR that are claimed */
	bool serves;	 /* WRITEABLE is
			  * lws_threadpool_serve() */

	/* before front_start() */
	int threads; /* 2 */
	struct lws_threadpool_cluster_options options;
	struct lws_threadpool_cluster_kind kinds[KINDS];

	/* before worker_start() */
	int worker_threads; /* 2 */
	int worker_max_jobs;
	int worker_max_chunk;	/* of each kind; 0: its default */
	int worker_version;	/* 1 */
	int worker_busy;	/* 1: something else has one of
				 * its threads until it drains */
	int worker_depth;	/* of its pool's queue; 0: enough */
	const char *worker_url; /* NULL: the engine's */

	struct node_proc nodes[FIELD_NODES];
	struct proc relay;
	char relay_url[40];
	struct remote *remotes;
	int jobs;   /* the board's, so far */
	void *priv; /* the test's */
};

int
field_group_setup(void **state);
int
field_group_teardown(void **state);
int
field_setup(void **state);
int
field_teardown(void **state);

/* The lease of workers and front is so long that only a test of it sees it
 * lapse; this makes it 2 s. */
void
field_short_lease(struct field *f);

/* The front, by f's options and kinds, connected when this returns; or not
 * waited for, when there is no engine */
void
front_start(struct field *f);
void
front_create(struct field *f);
/* Its numbers */
void
front_stats(struct field *f, struct lws_threadpool_cluster_stats *stats);
/* lws_threadpool_cluster_destroy() */
void
front_destroy(struct field *f);

/* A worker, that serves when this returns, or soon after it does */
struct node_proc *
worker_start(struct field *f);
struct node_proc *
worker_spawn(struct field *f);
void
until_ready(struct field *f, struct node_proc *w);
/* It has n jobs, or more. */
#define until_serving(f, w, n) \
	rig_until_int((f)->rig, &(w)->board->serving, (n))
/* kill -9 */
void
worker_kill(struct node_proc *w);
/* Asked to drain, and gone with status 0 when this returns */
void
worker_drain(struct field *f, struct node_proc *w);
/* The worker whose process that is; NULL: none that lives */
struct node_proc *
worker_of(struct field *f, int pid);

/* A front of its own, with one job without a wsi; it has enqueued when this
 * returns.  *job is its number on the board. */
struct node_proc *
front_spawn(struct field *f, int chunks, int linger_secs, int *job);

/* Workers that are begun after this have a bad line: see relay.c. */
void
relay_start(struct field *f, unsigned int seed);

/* The handlers of a job, for options and with serves */
void
remote_handlers(struct lws_threadpool_task_options *options);

/* A job of so many chunks, to be changed and then enqueued; wsi may be NULL */
struct remote *
remote_new(struct field *f, enum kind kind, uint32_t chunks);
struct lws_threadpool_task *
remote_enqueue(struct remote *r, struct lws *wsi);
/* ... and what it is enqueued with, for a pool of our own */
void
remote_args(struct remote *r, struct lws *wsi,
	    struct lws_threadpool_task_args *args);
/* Another one that goes on with that job, from its chunk `have` */
struct remote *
remote_attach(struct field *f, int job, uint32_t have, const char *token,
	      struct lws *wsi);
/* How far it may go: no chunk from n on is made. */
void
remote_limit(struct remote *r, int n);
void
remote_release(struct remote *r);

/* The three above for a job that is to be accepted, on a connection of its own
 */
struct remote *
remote_run(struct field *f, enum kind kind, uint32_t chunks, int limit);

/* A ws connection, whose WRITEABLEs serve the jobs on it */
struct conn *
reader_open(struct field *f);
/* It may read n chunks in all from now on. */
void
reader_may(struct remote *r, uint32_t n);

/* Waits, all of them with the service thread at work: until its reader saw the
 * end; had n chunks; the workers did something n times. */
#define until_ended(r)	 until_ended_((r), __FILE__, __LINE__)
#define until_read(r, n) until_read_((r), (n), __FILE__, __LINE__)
#define until_board(r, what, n) \
	rig_until_int((r)->f->rig, &(r)->board->what, (n))
/* ... and a condition of the test's */
#define until(f, cond, arg) rig_until((f)->rig, cond, arg)

/* Of the field: its front has an engine, has none, has one job that waits for a
 * worker */
bool
front_is_there(void *field);
bool
front_is_away(void *field);
bool
front_waits(void *field);
/* Of a remote: a second worker has decoded it */
bool
is_decoded_again(void *remote);
/* Of a text: a line of WARN here has it */
bool
has_warned(void *text);
/* For so long: what is not to happen has not happened then */
void
until_secs(struct field *f, int secs);

void
until_ended_(struct remote *r, const char *file, int line);
void
until_read_(struct remote *r, uint32_t n, const char *file, int line);
void
until_all_ended(struct field *f);

/* It has ended so, for that reason. */
#define assert_end(r, status, reason) \
	assert_end_((r), (status), (reason), __FILE__, __LINE__)
void
assert_end_(struct remote *r, enum lws_threadpool_task_status status,
	    enum lws_threadpool_cluster_end why, const char *file, int line);
/* It is FINISHED, by itself, and its reader had all of it. */
#define assert_complete(r) assert_complete_((r), __FILE__, __LINE__)
void
assert_complete_(struct remote *r, const char *file, int line);

#endif
