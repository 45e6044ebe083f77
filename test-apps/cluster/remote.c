/*
 * lws-threadpool cluster tests - jobs of the front, and the other processes
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it belongs to the service thread, which is the test's.
 */

#include "field.h"

#include <signal.h>

/* --- processes ------------------------------------------------------------ */

static struct node_proc *
node_free(struct field *f)
{
	for (int n = 0; n < FIELD_NODES; n++)
		if (proc_has_ended(&f->nodes[n].proc)) {
			f->nodes[n].killed = false;
			f->nodes[n].board = &board->nodes[n];
			return &f->nodes[n];
		}
	fail_msg("no room for another process");

	return NULL;
}

struct node_args {
	const char *argv[40];
	char text[20][48];
	int n;
	int texts;
};

static void
arg_int(struct node_args *a, const char *name, int value)
{
	char *text = a->text[a->texts++];

	snprintf(text, sizeof(a->text[0]), "%d", value);
	a->argv[a->n++] = name;
	a->argv[a->n++] = text;
}

static void
arg_text(struct node_args *a, const char *name, const char *value)
{
	a->argv[a->n++] = name;
	a->argv[a->n++] = value;
}

static void
node_args(struct field *f, struct node_args *a, struct node_proc *w)
{
	memset(a, 0, sizeof(*a));
	a->argv[a->n++] = LWSTP_CLUSTER_NODE;
	arg_int(a, "--board", board_fd);
	arg_int(a, "--node", (int)(w - f->nodes));
	arg_text(a, "--url", f->worker_url ? f->worker_url : f->engine->url);
	if (f->options.prefix)
		arg_text(a, "--prefix", f->options.prefix);
	arg_int(a, "--lease", f->options.lease_secs);
	arg_int(a, "--tries", f->options.max_tries);
}

struct node_proc *
worker_spawn(struct field *f)
{
	struct node_proc *w = node_free(f);
	struct node_args a;

	node_args(f, &a, w);
	arg_int(&a, "--threads", f->worker_threads);
	arg_int(&a, "--version", f->worker_version);
	arg_int(&a, "--max-jobs", f->worker_max_jobs);
	arg_int(&a, "--max-chunk", f->worker_max_chunk);
	arg_int(&a, "--busy", f->worker_busy);
	arg_int(&a, "--depth", f->worker_depth);
	memset(w->board, 0, sizeof(*w->board));
	proc_start(&w->proc, a.argv);

	return w;
}

void
until_ready(struct field *f, struct node_proc *w)
{
	rig_until_int(f->rig, &w->board->ready, 1);
}

struct node_proc *
worker_start(struct field *f)
{
	struct node_proc *w = worker_spawn(f);

	until_ready(f, w);

	return w;
}

void
worker_kill(struct node_proc *w)
{
	w->killed = true;
	proc_kill(&w->proc);
}

static bool
has_ended(void *arg)
{
	struct node_proc *w = arg;

	return proc_has_ended(&w->proc);
}

void
worker_drain(struct field *f, struct node_proc *w)
{
	assert_int_equal(kill(w->proc.pid, SIGTERM), 0);
	until(f, has_ended, w);
	assert_int_equal(w->proc.status, 0);
}

struct node_proc *
worker_of(struct field *f, int pid)
{
	for (int n = 0; n < FIELD_NODES; n++)
		if (pid > 0 && f->nodes[n].proc.pid == (pid_t)pid)
			return &f->nodes[n];

	return NULL;
}

struct node_proc *
front_spawn(struct field *f, int chunks, int linger_secs, int *job)
{
	struct node_proc *w = node_free(f);
	struct node_args a;

	*job = f->jobs++;
	node_args(f, &a, w);
	arg_int(&a, "--chunks", chunks);
	arg_int(&a, "--front", *job);
	arg_int(&a, "--linger", linger_secs);
	memset(w->board, 0, sizeof(*w->board));
	proc_start(&w->proc, a.argv);
	until_ready(f, w);

	return w;
}

static bool
relay_listens(void *arg)
{
	return atomic_load((atomic_int *)arg);
}

void
relay_start(struct field *f, unsigned int seed)
{
	char text[3][16];
	const char *const argv[] = {
		LWSTP_CLUSTER_RELAY, text[0], f->prefix, text[1], text[2], NULL
	};

	snprintf(text[0], sizeof(text[0]), "%u", seed);
	snprintf(text[1], sizeof(text[1]), "%d", f->engine->port);
	snprintf(text[2], sizeof(text[2]), "%d", board_fd);
	proc_start(&f->relay, argv);
	until(f, relay_listens, &board->relay);
	snprintf(f->relay_url, sizeof(f->relay_url), "nats://127.0.0.1:%d",
		 atomic_load(&board->relay));
	f->worker_url = f->relay_url;
}

/* --- jobs ----------------------------------------------------------------- */

static struct remote *
remote_make(struct field *f, enum kind kind, int job, uint32_t chunks)
{
	struct remote *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	assert_true(job < BOARD_JOBS);
	ask_fill(&r->work.ask, (uint32_t)job, chunks);
	r->f = f;
	r->kind = kind;
	r->may_read = UINT32_MAX;
	r->board = &board->jobs[job];
	r->next = f->remotes;
	f->remotes = r;

	return r;
}

struct remote *
remote_new(struct field *f, enum kind kind, uint32_t chunks)
{
	return remote_make(f, kind, f->jobs++, chunks);
}

static void
remote_cleanup(struct lws *wsi, void *user)
{
	struct remote *r = user;

	(void)wsi;
	/* without a wsi nobody else sees its end */
	if (!atomic_load(&r->ended)) {
		r->why = (int)lws_threadpool_cluster_end_reason(
			lws_threadpool_this_task());
		atomic_store(&r->ended, (int)lws_threadpool_end_status());
	}
	atomic_fetch_add(&r->cleaned, 1);
}

void
remote_args(struct remote *r, struct lws *wsi,
	    struct lws_threadpool_task_args *args)
{
	memset(args, 0, sizeof(*args));
	args->wsi = wsi;
	args->user = r;
	args->task = kind_task;
	args->cleanup = remote_cleanup;
	r->work.alone = !wsi;
}

struct lws_threadpool_task *
remote_enqueue(struct remote *r, struct lws *wsi)
{
	struct lws_threadpool_task_args args;

	remote_args(r, wsi, &args);
	r->task = lws_threadpool_cluster_enqueue(
		r->f->front, kind_name(r->kind), &args, r->options, "job %u",
		r->work.ask.job);
	r->accepted = r->task != NULL;

	return r->task;
}

struct remote *
remote_attach(struct field *f, int job, uint32_t have, const char *token,
	      struct lws *wsi)
{
	struct remote *r = remote_make(f, KIND_LINGER, job, 0);
	struct lws_threadpool_task_args args;

	remote_args(r, wsi, &args);
	r->first = have;
	r->work.decoded = have;
	r->task = lws_threadpool_cluster_attach(f->front, token, have, &args,
						NULL, "attached %d", job);
	r->accepted = r->task != NULL;

	return r;
}

void
remote_limit(struct remote *r, int n)
{
	atomic_store(&r->board->limit, n);
}

void
remote_release(struct remote *r)
{
	remote_limit(r, BOARD_FREE);
}

struct remote *
remote_run(struct field *f, enum kind kind, uint32_t chunks, int limit)
{
	struct remote *r = remote_new(f, kind, chunks);

	remote_limit(r, limit);
	r->conn = reader_open(f);
	assert_non_null(remote_enqueue(r, r->conn->wsi));

	return r;
}

struct conn *
reader_open(struct field *f)
{
	struct conn *c = conn_open(f->rig, CONN_WS);

	c->manual = true;

	return c;
}

void
reader_may(struct remote *r, uint32_t n)
{
	r->may_read = n;
	lws_callback_on_writable(r->conn->wsi);
}

/* --- waits ---------------------------------------------------------------- */

static bool
is_ended(void *arg)
{
	struct remote *r = arg;

	return r->ended;
}

void
until_ended_(struct remote *r, const char *file, int line)
{
	rig_detail("job %u, %u chunks read", r->work.ask.job, r->read);
	rig_until_(r->f->rig, is_ended, r, "its end", file, line);
}

struct read_wait {
	struct remote *r;
	uint32_t n;
};

static bool
has_read(void *arg)
{
	struct read_wait *w = arg;

	return w->r->read >= w->n || w->r->ended;
}

void
until_read_(struct remote *r, uint32_t n, const char *file, int line)
{
	struct read_wait w = { r, n };

	rig_detail("job %u, %u chunks read", r->work.ask.job, r->read);
	rig_until_(r->f->rig, has_read, &w, "chunks", file, line);
}

static bool
all_ended(void *arg)
{
	struct field *f = arg;

	for (struct remote *r = f->remotes; r; r = r->next)
		if (r->accepted && !r->ended && !atomic_load(&r->cleaned))
			return false;

	return true;
}

void
until_all_ended(struct field *f)
{
	until(f, all_ended, f);
}

bool
is_decoded_again(void *arg)
{
	struct remote *r = arg;

	return atomic_load(&r->board->decoded) >= 2;
}

bool
has_warned(void *text)
{
	return log_count(LLL_WARN, text) > 0;
}

static bool
is_over(void *arg)
{
	return lws_now_usecs() >= *(lws_usec_t *)arg;
}

void
until_secs(struct field *f, int secs)
{
	lws_usec_t end = lws_now_usecs() + secs * (lws_usec_t)LWS_US_PER_SEC;

	until(f, is_over, &end);
}

void
assert_end_(struct remote *r, enum lws_threadpool_task_status status,
	    enum lws_threadpool_cluster_end why, const char *file, int line)
{
	if (r->ended == (int)status && r->why == (int)why)
		return;
	print_error("job %u ended with status %d for reason %d, not %d, %d; "
		    "%u chunks read\n",
		    r->work.ask.job, r->ended, r->why, (int)status, (int)why,
		    r->read);
	_fail(file, line);
}

void
assert_complete_(struct remote *r, const char *file, int line)
{
	assert_end_(r, LWS_TP_STATUS_FINISHED, LWS_TP_CLUSTER_ITSELF, file,
		    line);
	if (r->first + r->read == r->work.ask.chunks)
		return;
	print_error("job %u: %u chunks read, not %u\n", r->work.ask.job,
		    r->read, r->work.ask.chunks);
	_fail(file, line);
}
