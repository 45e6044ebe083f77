/*
 * lws-threadpool soak - the lws side: connections of every role, pools that
 * come and go, and an application that does everything it may, at random
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it runs on the service thread, but for server_spawn().
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "soak.h"

/* the deprecated calls are a part of the contract too */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define TICK_US	    4000
#define MAX_WAIT_US (30 * 1000000)
#define MAX_ADOPTED 48
#define MAX_CLIENTS 8
#define TOKENS	    64

enum kind { WS, HTTP, RAW, PIPE, CLIENT };

struct conn {
	struct lws *wsi;
	enum kind kind;
	int peer;     /* RAW, PIPE: its other end, or -1 */
	bool stalls;  /* its peer may not read */
	bool ignores; /* some SYNCs are not answered */
	bool closing; /* something made lws begin to */
	bool had_task;
	struct lws_threadpool_wsi *handle; /* NULL: never asked for */
	UT_hash_handle hh;
};

/* A task with a token, as long as it is there */
struct known {
	struct lws_threadpool_task *task;
	struct lws_threadpool *tp;
	void *user;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
};

static struct conn *conns; /* by wsi: those that are open */
static struct known tokens[TOKENS];
static struct lws_context *context;
static struct lws_vhost *vhost;
static lws_sorted_usec_list_t ticker;
static uint64_t rng;
static int64_t last_turn, scanned_at;
static int adopted, clients;
static bool closing_down, draining;
static int pool_age[POOLS]; /* ticks to its next change of life */
static bool pool_finishing[POOLS];

/*
 * Connections
 */

static struct conn *
conn_of(struct lws *wsi)
{
	struct conn *c;

	HASH_FIND_PTR(conns, &wsi, c);

	return c;
}

bool
server_alive(struct lws *wsi)
{
	return conn_of(wsi);
}

static struct conn *
conn_new(struct lws *wsi, enum kind kind)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		ledger_fail("out of memory");
	if (conn_of(wsi))
		ledger_fail("%p is open already", (void *)wsi);
	c->wsi = wsi;
	c->kind = kind;
	c->peer = -1;
	c->ignores = kind != HTTP && !rng_below(&rng, 10);
	HASH_ADD_PTR(conns, wsi, c);
	atomic_fetch_add(&soak.connections, 1);

	return c;
}

static struct lws_threadpool *
any_pool(void)
{
	return atomic_load(&soak.pools[rng_below(&rng, POOLS)]);
}

static bool
is_there(struct lws_threadpool_task *task)
{
	struct lws_threadpool_task_info info;

	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);

	return !lws_threadpool_task_get_info(task, &info);
}

/* K1, if there is a place for it, so that none is lost that waits for ever */
static void
give_token(struct lws_threadpool_task *task, struct lws_threadpool *tp,
	   void *user)
{
	struct known *k = &tokens[rng_below(&rng, TOKENS)];

	if (is_there(k->task) ||
	    !job_token(task, rng_below(&rng, 2) ? LWS_TP_TOKEN_WAIT : 0,
		       k->token))
		return;
	k->task = task;
	k->tp = tp;
	k->user = user;
}

/* K3: one of them is this one's from now on, wherever it was */
static void
attach_to(struct conn *c)
{
	struct known *k = &tokens[rng_below(&rng, TOKENS)];
	struct lws_threadpool_task *task = k->task;

	if (c->closing || draining || closing_down)
		return;
	if (rng_below(&rng, 2))
		task = lws_threadpool_task_by_token(k->tp, k->token);
	if (task && job_attach(k->user, task, c->wsi))
		c->had_task = true;
}

/* R2: the same each time; for any thread, but that it would have pages sent
 * that nobody asked for */
static void
give_handle(struct conn *c)
{
	struct lws_threadpool_wsi *h;

	if (c->kind == HTTP || c->closing || closing_down)
		return;
	h = lws_threadpool_wsi_handle(any_pool(), c->wsi);
	if (h && c->handle && h != c->handle)
		ledger_fail("a wsi has two handles (R2)");
	if (!h)
		return;
	c->handle = h;
	if (lws_threadpool_wsi_get(h) != c->wsi)
		ledger_fail("a handle is not of its wsi (R2)");
	atomic_store(&soak.wsis[rng_below(&rng, HANDLES)], h);
}

static void
enqueue_on(struct conn *c)
{
	struct lws_threadpool *tp = any_pool();
	struct lws_threadpool_task *task;
	enum job_kind kind = (enum job_kind)rng_below(&rng, JOB_KINDS);
	struct job *job;
	void *user;

	if (kind == JOB_BAD && rng_below(&rng, 20))
		kind = JOB_SYNC;
	job = job_new(kind, (int)rng_below(&rng, 5), c->wsi, rng_next(&rng));
	if (!job)
		return;
	user = job_user(job);
	task = job_enqueue(tp, job);
	if (!task)
		return;
	c->had_task = true;
	if (kind == JOB_TOKEN)
		give_token(task, tp, user);
	if (kind == JOB_LOOSE || kind == JOB_PARK)
		atomic_store(&soak.handles[rng_below(&rng, HANDLES)], task);
}

static void
conn_gone(struct conn *c)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(c->wsi);
	struct lws_threadpool_task_args args;
	struct job *job;

	if (task)
		ledger_fail("a wsi that is closed has a task (W1)");
	if (lws_threadpool_dequeue(c->wsi))
		ledger_fail("a wsi that is closed was dequeued (W1)");
	if (c->handle && (lws_threadpool_wsi_get(c->handle) ||
			  lws_threadpool_wsi_writeable(c->handle) != -1))
		ledger_fail("a wsi that is closed has a handle (R2)");
	for (int n = 0; n < TOKENS; n++)
		job_lost(tokens[n].user, c->wsi);
	/* W4: refused, once we are known to watch it */
	job = c->had_task && !rng_below(&rng, 4) ?
		      job_new(JOB_NOOP, 0, c->wsi, 0) :
		      NULL;
	if (job) {
		job_args(job, &args);
		task = lws_threadpool_enqueue(any_pool(), &args, "late");
		job_settle(args.user, task);
		if (task)
			ledger_fail("an enqueue on a closing wsi was accepted "
				    "(W4)");
	}
	if (c->peer >= 0)
		close(c->peer);
	adopted -= c->kind == RAW || c->kind == PIPE;
	clients -= c->kind == CLIENT;
	HASH_DEL(conns, c);
	free(c);
	atomic_fetch_add(&soak.closed, 1);
}

/* Those whose wait is their own, or their peer's, doing */
static bool
may_wait(struct lws *wsi)
{
	struct conn *c = conn_of(wsi);

	return !c || c->stalls || c->ignores || c->closing;
}

static struct lws *only;

static bool
is_other(struct lws *wsi)
{
	return wsi != only;
}

void
server_rering(struct lws *wsi)
{
	struct conn *c = conn_of(wsi);
	struct job *job;

	/* http/1 is known to drop some; a late thread explains any */
	if (!c || may_wait(wsi) || c->kind == HTTP || c->kind == CLIENT ||
	    ledger_now() - atomic_load(&soak.stalled_at) < 5000000)
		return;
	/* one that has just begun to wait is not why */
	only = wsi;
	if (ledger_longest_wait(is_other, &job) < 900000)
		return;
	ledger_fail(
		"a WRITEABLE was lost: wsi %p (kind %d) had to be asked for "
		"again (S3)",
		(void *)wsi, (int)c->kind);
}

/*
 * Tasks
 */

/* the first that is open */
void
server_called(void *arg)
{
	(void)arg;

	if (!conns || conns->closing || draining || closing_down)
		return;
	if (rng_below(&rng, 2))
		enqueue_on(conns);
	else
		lws_callback_on_writable(conns->wsi);
}

void
server_spawn(struct job *from)
{
	struct job *job = job_new(JOB_SLOW, 2, NULL, rng_next(&from->rng));

	if (job)
		job_enqueue(
			atomic_load(&soak.pools[rng_below(&from->rng, POOLS)]),
			job);
}

void
server_cleaned(struct job *job, struct lws *wsi)
{
	struct conn *c;

	/* W5: what a cleanup may do with its wsi */
	if (!wsi || closing_down || draining || rng_below(&job->rng, 8))
		return;
	c = conn_of(wsi);
	if (rng_below(&job->rng, 2))
		lws_callback_on_writable(wsi);
	else if (c && !c->closing)
		enqueue_on(c);
}

/* Q6: a handle that is over says so, and reaches nobody */
static void
check_stale(struct lws_threadpool_task *task)
{
	void *user = &user;

	atomic_fetch_add(&soak.stale_calls, 1);
	if (lws_threadpool_task_status(task, &user) != LWS_TP_STATUS_FINISHED ||
	    user)
		ledger_fail("a stale handle reached a task (Q6)");
	lws_threadpool_task_sync(task, (int)rng_below(&rng, 2));
	if (lws_threadpool_dequeue_task(task))
		ledger_fail("a stale handle was asked to stop (Q6)");
}

static void
answer(struct conn *c, struct lws_threadpool_task *task, struct job *job)
{
	unsigned char buf[LWS_PRE + 4096];
	size_t len = c->stalls ? 4096 : 1 + rng_below(&rng, 200);
	int64_t waited;

	if (c->ignores && !draining && rng_below(&rng, 2))
		return;
	waited = ledger_now() -
		 atomic_load_explicit(&job->waits_since, memory_order_relaxed);
	if (waited > soak.longest_wait && !may_wait(c->wsi) &&
	    c->kind != HTTP && c->kind != CLIENT &&
	    ledger_now() - atomic_load(&soak.stalled_at) > 2000000 &&
	    atomic_load_explicit(&job->waits_since, memory_order_relaxed))
		soak.longest_wait = waited;
	if ((c->kind == WS || c->kind == RAW || c->kind == CLIENT) &&
	    !c->closing && !draining) {
		if (lws_partial_buffered(c->wsi) ||
		    lws_send_pipe_choked(c->wsi)) {
			lws_callback_on_writable(c->wsi);
			if (c->stalls)
				return;
		} else if (c->kind != RAW || rng_below(&rng, 8)) {
			memset(buf, 'x', sizeof(buf));
			lws_write(c->wsi, buf + LWS_PRE, len,
				  c->kind == RAW ? LWS_WRITE_RAW :
						   LWS_WRITE_BINARY);
		}
	}
	job_answered(job);
	lws_threadpool_task_sync(task, !rng_below(&rng, 20));
}

/* looks at one task, and does what its state asks for */
static int
serve(struct lws_threadpool_task *task, void *arg)
{
	struct conn *c = arg;
	enum lws_threadpool_task_status s;
	void *user = NULL;
	struct job *job;

	if (rng_below(&rng, 30) == 0)
		lws_threadpool_task_status_noreap(task);
	s = lws_threadpool_task_status(task, &user);
	if (s == LWS_TP_STATUS_FINISHED || s == LWS_TP_STATUS_STOPPED) {
		job = job_of(user);
		if (job && !atomic_load(&job->cleanups))
			ledger_fail("reaped, but not cleaned up (Q1, T7)");
		if (!rng_below(&rng, 4))
			check_stale(task);
		return 0;
	}
	job = job_of(user);
	if (!job || job->wsi != c->wsi)
		ledger_fail("a wsi has a task that is not its own (Q3)");
	if (s == LWS_TP_STATUS_SYNCING)
		answer(c, task, job);
	else if (s == LWS_TP_STATUS_RUNNING && job->kind == JOB_LOOSE &&
		 !rng_below(&rng, 60))
		/* S4: nothing, or an answer if it is SYNCING by now: so only
		 * for those that may be answered without a word */
		lws_threadpool_task_sync(task, 0);
	else if (!rng_below(&rng, 200)) {
		atomic_store(&job->let_go, true);
		lws_threadpool_dequeue_task(task);
	}

	return !rng_below(&rng, 50);
}

static int
let_go(struct lws_threadpool_task *task, void *arg)
{
	void *user = NULL;
	struct job *job;

	(void)arg;
	lws_threadpool_task_status(task, &user);
	job = job_of(user);
	if (job)
		atomic_store(&job->let_go, true);

	return 0;
}

/* This turn may have left a task that wants attention without a look.  What a
 * raw file asks for in its own WRITEABLE is lost by lws. */
static void
ask_again(struct conn *c)
{
	struct lws_threadpool_task *task;

	if (c->kind != PIPE)
		lws_callback_on_writable(c->wsi);
	else
		while ((task = lws_threadpool_get_task_wsi(c->wsi)) &&
		       serve(task, c))
			;
}

/* WRITEABLE, of whatever kind */
static int
writeable(struct conn *c)
{
	struct lws_threadpool_task *task;
	void *user;

	switch (rng_below(&rng, 24)) {
	case 0:
		lws_threadpool_foreach_task_wsi(c->wsi, NULL, let_go);
		lws_threadpool_dequeue(c->wsi);
		break;
	case 1:
		lws_threadpool_task_status_wsi(c->wsi, &task, &user);
		if (task)
			ask_again(c);
		break;
	case 2:
		if (!draining)
			enqueue_on(c);
		ask_again(c);
		break;
	case 3:
		attach_to(c);
		ask_again(c);
		break;
	case 4:
		give_handle(c);
		ask_again(c);
		break;
	case 5:
	case 6:
	case 7:
		if (lws_threadpool_foreach_task_wsi(c->wsi, c, serve))
			ask_again(c);
		break;
	default:
		task = lws_threadpool_get_task_wsi(c->wsi);
		if (task)
			serve(task, c);
		break;
	}
	if (c->kind == HTTP)
		return 0;

	switch (rng_below(&rng, 250)) {
	case 0:
		c->closing = true;
		return -1;
	case 1:
		c->closing = true;
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_ASYNC);
		return 0;
	default:
		return 0;
	}
}

/* the page comes when the last of its tasks is gone */
static int
http_writeable(struct conn *c)
{
	unsigned char buf[LWS_PRE + 512], *start = buf + LWS_PRE, *p = start,
					  *end = buf + sizeof(buf) - 1;

	writeable(c);
	if (lws_threadpool_get_task_wsi(c->wsi) && rng_below(&rng, 100))
		return 0;
	if (lws_add_http_common_headers(c->wsi, HTTP_STATUS_OK, "text/plain", 2,
					&p, end) ||
	    lws_finalize_write_http_header(c->wsi, start, &p, end))
		return -1;
	memcpy(start, "ok", 2);
	if (lws_write(c->wsi, start, 2, LWS_WRITE_HTTP_FINAL) != 2)
		return -1;

	return lws_http_transaction_completed(c->wsi) ? -1 : 0;
}

static void
begin(struct conn *c)
{
	uint32_t n = 1 + rng_below(&rng, 4);
	char uri[16];

	if (lws_hdr_copy(c->wsi, uri, sizeof(uri), WSI_TOKEN_GET_URI) > 1)
		c->stalls = uri[1] != 'r';
	while (n-- && !draining)
		enqueue_on(c);
}

static struct conn *
conn_up(struct lws *wsi, enum kind kind)
{
	struct conn *c = conn_of(wsi);

	if (!c)
		c = conn_new(wsi, kind);
	begin(c);

	return c;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *pss, void *in,
	 size_t len)
{
	struct conn *c;
	int fd;

	(void)pss;
	(void)in;
	(void)len;

	if (soak.opt_in)
		lws_threadpool_wsi_event(wsi, reason);

	switch (reason) {
	case LWS_CALLBACK_HTTP:
		conn_up(wsi, HTTP);
		lws_callback_on_writable(wsi);
		return 0;
	case LWS_CALLBACK_ESTABLISHED:
		conn_up(wsi, WS);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		conn_up(wsi, CLIENT)->stalls = false;
		return 0;
	case LWS_CALLBACK_RAW_ADOPT:
	case LWS_CALLBACK_RAW_ADOPT_FILE:
		c = conn_new(wsi,
			     reason == LWS_CALLBACK_RAW_ADOPT ? RAW : PIPE);
		fd = (int)(intptr_t)lws_get_opaque_user_data(wsi);
		c->peer = fd;
		begin(c);
		c->stalls = false;
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		clients--;
		return 0;

	case LWS_CALLBACK_RECEIVE:
		c = conn_of(wsi);
		if (c && !draining && !rng_below(&rng, 2))
			enqueue_on(c);
		return 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		c = conn_of(wsi);
		if (c)
			c->closing = true;
		return 0;

	case LWS_CALLBACK_HTTP_WRITEABLE:
		c = conn_of(wsi);
		return c ? http_writeable(c) : 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
	case LWS_CALLBACK_RAW_WRITEABLE:
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		c = conn_of(wsi);
		return c ? writeable(c) : 0;

	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_RAW_CLOSE:
	case LWS_CALLBACK_RAW_CLOSE_FILE:
	case LWS_CALLBACK_WSI_DESTROY:
		c = conn_of(wsi);
		if (c)
			conn_gone(c);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "soak", .callback = callback, .rx_buffer_size = 1024 },
	{ .name = NULL },
};

/*
 * What happens by itself
 */

static void
pool_new(int n)
{
	struct lws_threadpool_create_args args = {
		.threads = 1 + (int)rng_below(&rng, 4),
		.max_queue_depth = rng_below(&rng, 4) ?
					   2000 :
					   1 + (int)rng_below(&rng, 20),
	};
	struct lws_threadpool_options o = {
		.size = sizeof(o),
		.pin_tasks = !rng_below(&rng, 3),
		.sync_timeout_secs = (int)rng_below(&rng, 4) - 1,
		.keep_secs = (int)rng_below(&rng, 3) - 1,
		.max_kept = (int)rng_below(&rng, 30) - 1,
	};
	struct lws_threadpool *tp;

	tp = lws_threadpool_create_ext(context, &args, &o, "pool%d", n);
	if (!tp)
		ledger_fail("no pool");
	atomic_store(&soak.pools[n], tp);
	atomic_fetch_add(&soak.pools_made, 1);
	pool_age[n] = 100 + (int)rng_below(&rng, 600);
	pool_finishing[n] = false;
}

static void
pool_live_on(int n)
{
	struct lws_threadpool *tp = atomic_load(&soak.pools[n]);

	if (pool_age[n]--)
		return;
	if (!pool_finishing[n] && rng_below(&rng, 2)) {
		pool_finishing[n] = true;
		pool_age[n] = (int)rng_below(&rng, 20);
		lws_threadpool_finish(tp);
		return;
	}
	lws_threadpool_destroy(tp);
	pool_new(n);
}

static void
adopt_one(void)
{
	lws_sock_file_fd_type fd;
	lws_adopt_desc_t info;
	int fds[2];
	bool is_pipe = rng_below(&rng, 2);

	if (is_pipe ? pipe(fds) :
		      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		ledger_fail("no fds: %s", strerror(errno));
	memset(&info, 0, sizeof(info));
	memset(&fd, 0, sizeof(fd));
	if (is_pipe)
		fd.filefd = fds[1];
	else
		fd.sockfd = fds[1];
	info.fd = fd;
	info.vh = vhost;
	info.type = is_pipe ? LWS_ADOPT_RAW_FILE_DESC : LWS_ADOPT_SOCKET;
	info.vh_prot_name = "soak";
	info.opaque = (void *)(intptr_t)fds[0];
	adopted++;
	if (!lws_adopt_descriptor_vhost_via_info(&info))
		ledger_fail("lws does not adopt");
}

static void
connect_one(void)
{
	struct lws_client_connect_info i;

	memset(&i, 0, sizeof(i));
	i.context = context;
	i.vhost = vhost;
	i.address = i.host = i.origin = "127.0.0.1";
	i.port = atomic_load(&soak.port);
	i.path = "/r";
	i.protocol = "soak";
	clients++;
	(void)lws_client_connect_via_info(&i);
}

static void
close_adopted(void)
{
	struct conn *c, *tmp;

	HASH_ITER(hh, conns, c, tmp) {
		if (c->peer < 0 || rng_below(&rng, 10))
			continue;
		c->closing = true;
		close(c->peer);
		c->peer = -1;
		break;
	}
}

static void
scan(int64_t now)
{
	struct job *job = NULL;
	int64_t us;

	if (now - scanned_at < 1000000)
		return;
	scanned_at = now;
	us = ledger_longest_wait(may_wait, &job);
	if (us > MAX_WAIT_US)
		ledger_fail("a task waits for its service thread since %" PRId64
			    " s: lost (S3)",
			    us / 1000000);
}

static void
tick(lws_sorted_usec_list_t *sul);

/* K4: what nobody will attach any more: stopped if it waits for that, and
 * reaped if it is kept */
static void
drain_tokens(void)
{
	struct lws_threadpool_task *task;

	for (int n = 0; n < TOKENS; n++) {
		task = tokens[n].task;
		if (!is_there(task) || lws_threadpool_task_attached(task))
			continue;
		lws_threadpool_task_sync(task, 1);
		lws_threadpool_task_status(task, NULL);
	}
}

/* Everything that is there is answered and reaped, and nothing is added */
static void
drain_tick(lws_sorted_usec_list_t *sul)
{
	struct conn *c, *tmp;

	drain_tokens();
	HASH_ITER(hh, conns, c, tmp)
		lws_threadpool_foreach_task_wsi(c->wsi, c, serve);
	lws_sul_schedule(context, 0, sul, tick, TICK_US);
}

static void
tick(lws_sorted_usec_list_t *sul)
{
	int64_t now = ledger_now();
	int n;

	if (last_turn && now - last_turn > soak.longest_turn)
		soak.longest_turn = now - last_turn;
	if (last_turn && now - last_turn > 300000)
		atomic_store(&soak.stalled_at, now);
	last_turn = now;
	if (draining) {
		drain_tick(sul);
		return;
	}

	for (n = 0; n < POOLS; n++)
		pool_live_on(n);
	if (adopted < MAX_ADOPTED)
		adopt_one();
	if (clients < MAX_CLIENTS && !rng_below(&rng, 8))
		connect_one();
	if (!rng_below(&rng, 2))
		close_adopted();
	scan(now);
	lws_sul_schedule(context, 0, sul, tick, TICK_US);
}

/*
 * A generation
 */

static void
context_new(void)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info.timeout_secs = 5;
	info.keepalive_timeout = 5;
	context = lws_create_context(&info);
	if (!context)
		ledger_fail("no context");

	info.port = 0;
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.vhost_name = "soak";
	vhost = lws_create_vhost(context, &info);
	if (!vhost)
		ledger_fail("no vhost");
}

static void
pools_destroy(void)
{
	int n;

	for (n = 0; n < POOLS; n++)
		lws_threadpool_destroy(atomic_load(&soak.pools[n]));
}

/* With nobody making anything new, and nothing destroyed: all that was accepted
 * comes to its end by itself, in whatever queue it is */
static void
drain(void)
{
	int64_t deadline;

	draining = true;
	atomic_store(&soak.quiet, true);
	atomic_store(&soak.port, 0);
	clients_pause(true);
	deadline = ledger_now() + 60 * 1000000;
	while (atomic_load(&ledger.accepted) != atomic_load(&ledger.cleaned)) {
		if (lws_service(context, 0) < 0)
			ledger_fail("lws_service failed");
		if (ledger_now() > deadline)
			ledger_fail("of %lu tasks %lu have ended, and the rest "
				    "does not",
				    atomic_load(&ledger.accepted),
				    atomic_load(&ledger.cleaned));
	}
	draining = false;
	atomic_store(&soak.quiet, false);
}

void
server_generation(int64_t us, uint64_t seed)
{
	int64_t end = ledger_now() + us, deadline;
	struct conn *c;
	int n;

	rng = seed;
	soak.opt_in = rng_below(&rng, 2);
	last_turn = 0;
	closing_down = false;
	adopted = clients = 0;
	memset(tokens, 0, sizeof(tokens));
	context_new();
	for (n = 0; n < POOLS; n++)
		pool_new(n);
	memset(&ticker, 0, sizeof(ticker));
	lws_sul_schedule(context, 0, &ticker, tick, 1);
	atomic_store(&soak.port, lws_get_vhost_listen_port(vhost));
	clients_pause(false);
	while (ledger_now() < end)
		if (lws_service(context, 0) < 0)
			ledger_fail("lws_service failed");

	if (!rng_below(&rng, 2))
		drain();
	closing_down = true;
	atomic_store(&soak.port, 0);
	if (rng_below(&rng, 3) == 0)
		pools_destroy();
	lws_sul_cancel(&ticker);
	lws_context_destroy(context);
	context = NULL;
	c = conns;
	if (c)
		ledger_fail("wsi %p (kind %d) survived its context",
			    (void *)c->wsi, (int)c->kind);
	pools_destroy(); /* stale handles, if done already */
	clients_pause(true);

	/* the other thread may be about to enter what it enqueued */
	deadline = ledger_now() + 30 * 1000000;
	while ((atomic_load(&ledger.accepted) != atomic_load(&ledger.cleaned) ||
		atomic_load(&ledger.called_for) !=
			atomic_load(&ledger.called)) &&
	       ledger_now() < deadline)
		usleep(1000);
	ledger_check_balance();
}
