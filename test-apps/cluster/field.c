/*
 * lws-threadpool cluster tests - a front in the test, an engine, and its end
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it belongs to the service thread, which is the test's.
 */

#include "field.h"

#include <signal.h>
#include <unistd.h>

static struct engine engine;
int board_fd = -1;

int
field_group_setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (board_fd < 0)
		board_fd = board_make();
	engine_init(&engine);

	return 0;
}

int
field_group_teardown(void **state)
{
	(void)state;
	engine_free(&engine);

	return 0;
}

static void
field_options(struct field *f)
{
	static int tests;
	enum kind kind;

	/* not what an earlier test left in the engine */
	snprintf(f->prefix, sizeof(f->prefix), "t%d", ++tests);
	f->options.size = sizeof(f->options);
	f->options.url = f->engine->url;
	f->options.prefix = f->prefix;
	f->options.lease_secs = 60;
	f->options.engine_secs = 600;
	f->options.max_tries = 1000;
	for (kind = 0; kind < KINDS; kind++)
		kind_fill(&f->kinds[kind], kind);
	f->threads = f->worker_threads = 2;
	f->worker_version = 1;
}

static int
field_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len);

int
field_setup(void **state)
{
	struct rig_opts opts = { .on_event = field_event, .opt_in = true };
	struct field *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->engine = &engine;
	board_clear();
	/* as a test left it that has failed */
	if (engine.proc.pid && (engine.no_jetstream || engine.config))
		engine_stop(&engine);
	engine.no_jetstream = false;
	engine.config = NULL;
	if (!engine.proc.pid)
		engine_start(&engine);
	field_options(f);
	f->rig = rig_create(&opts);
	f->rig->priv = f;
	f->rig->any_log = true;
	if (f->rig->deadline_secs < 240)
		f->rig->deadline_secs = 240;
	*state = f;

	return 0;
}

static int
nodes_end(struct field *f)
{
	struct node_proc *w;
	int n, bad = 0;

	for (n = 0; n < FIELD_NODES; n++) {
		w = &f->nodes[n];
		if (w->proc.pid && !proc_end(&w->proc, SIGINT)) {
			print_error("node %d ended with status %x\n", n,
				    (unsigned int)w->proc.status);
			bad = 1;
		}
	}

	return bad;
}

static int
remote_check(struct remote *r)
{
	int cleaned = atomic_load(&r->cleaned);

	if (atomic_load(&r->work.faults)) {
		print_error("  %s\n", r->work.fault);
		return 1;
	}
	if (cleaned == (int)r->accepted)
		return 0;
	print_error("  job %u was %s, and cleaned up %d times\n",
		    r->work.ask.job, r->accepted ? "accepted" : "refused",
		    cleaned);

	return 1;
}

static int
remotes_free(struct field *f)
{
	struct remote *r;
	int bad = 0;

	while ((r = f->remotes)) {
		f->remotes = r->next;
		bad |= remote_check(r);
		free(r);
	}

	return bad;
}

static int
errors_check(struct field *f)
{
	int errors = log_count(LLL_ERR, "");

	if (errors == f->errors)
		return 0;
	print_error("  %d lines of ERR, %d of them claimed:\n", errors,
		    f->errors);
	log_print_unclaimed();

	return 1;
}

/* All jobs may end, and all processes are at work, before they are asked to */
int
field_teardown(void **state)
{
	struct field *f = *state;
	int n, bad;

	board_release();
	if (f->engine->proc.paused)
		proc_resume(&f->engine->proc);
	if (f->relay.paused)
		proc_resume(&f->relay);
	for (n = 0; n < FIELD_NODES; n++)
		if (f->nodes[n].proc.paused)
			proc_resume(&f->nodes[n].proc);
	front_destroy(f);
	bad = nodes_end(f);
	proc_kill(&f->relay);
	bad |= errors_check(f);
	bad |= rig_destroy(f->rig);
	bad |= remotes_free(f);
	free(f);

	return bad;
}

void
field_short_lease(struct field *f)
{
	f->options.lease_secs = 2;
}

void
front_create(struct field *f)
{
	enum kind kind;

	f->pool = rig_pool(f->rig, f->threads, 100000);
	f->front = lws_threadpool_cluster_create(f->pool, &f->options);
	assert_non_null(f->front);
	for (kind = 0; kind < KINDS; kind++)
		assert_int_equal(lws_threadpool_cluster_add_kind(
					 f->front, &f->kinds[kind]),
				 0);
}

void
front_stats(struct field *f, struct lws_threadpool_cluster_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->size = sizeof(*stats);
	assert_int_equal(lws_threadpool_cluster_get_stats(f->front, stats), 0);
}

bool
front_is_there(void *arg)
{
	struct lws_threadpool_cluster_stats stats;

	front_stats(arg, &stats);

	return stats.connected;
}

bool
front_is_away(void *arg)
{
	return !front_is_there(arg);
}

bool
front_waits(void *arg)
{
	struct lws_threadpool_cluster_stats stats;

	front_stats(arg, &stats);

	return stats.waiting == 1;
}

void
front_start(struct field *f)
{
	front_create(f);
	until(f, front_is_there, f);
}

void
front_destroy(struct field *f)
{
	if (f->front)
		lws_threadpool_cluster_destroy(f->front);
	f->front = NULL;
}

/* --- what its WRITEABLEs do ----------------------------------------------- */

static void
remote_take(struct remote *r)
{
	struct work *w = &r->work;

	if (!w->fresh)
		return;
	w->fresh = false;
	if (w->chunk != r->first + r->read && !atomic_fetch_add(&w->faults, 1))
		snprintf(w->fault, sizeof(w->fault),
			 "job %u: read chunk %u, not %u", w->ask.job, w->chunk,
			 r->first + r->read);
	r->read++;
}

/* One task of the wsi that wants to be seen.  The reason is asked for when it
 * has ended, and before it is reaped. */
static void
field_serve(struct field *f, struct lws *wsi)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	struct remote *r;
	void *user;

	if (!task || lws_threadpool_task_get_info(task, &info))
		return;
	r = info.user;
	if (!r || r->f != f)
		return;
	if (info.status == LWS_TP_STATUS_SYNCING) {
		if (r->read >= r->may_read)
			return;
		remote_take(r);
		lws_threadpool_task_sync(task, 0);
	}
	if (info.status == LWS_TP_STATUS_FINISHED ||
	    info.status == LWS_TP_STATUS_STOPPED) {
		remote_take(r);
		r->why = (int)lws_threadpool_cluster_end_reason(task);
		lws_threadpool_task_status(task, &user);
		atomic_store(&r->ended, (int)info.status);
	}
}

static int
on_sync(struct lws *wsi, void *user)
{
	(void)wsi;
	remote_take(user);

	return LWS_TP_ON_SYNC_RESUME;
}

static int
on_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct remote *r = user;

	(void)wsi;
	remote_take(r);
	r->why = (int)
		lws_threadpool_cluster_end_reason(lws_threadpool_this_task());
	atomic_store(&r->ended, (int)how);

	return 0;
}

void
remote_handlers(struct lws_threadpool_task_options *options)
{
	memset(options, 0, sizeof(*options));
	options->size = sizeof(*options);
	options->on_sync = on_sync;
	options->on_end = on_end;
}

static int
field_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	    void *user, void *in, size_t len)
{
	struct field *f = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (!f || (reason != LWS_CALLBACK_SERVER_WRITEABLE &&
		   reason != LWS_CALLBACK_RAW_WRITEABLE))
		return RIG_DEFAULT;
	if (f->serves)
		return lws_threadpool_serve(wsi);
	field_serve(f, wsi);

	return RIG_DEFAULT;
}
