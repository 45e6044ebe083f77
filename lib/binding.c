/*
 * lws-threadpool - which tasks hang on which wsi, or secure stream
 *
 * SPDX-License-Identifier: MIT
 *
 * A binding is made at the first task of a wsi, and lasts until the wsi begins
 * to close.  It holds the tasks that are attached, oldest first, and among them
 * those that want the application's attention, SYNCING or done, longest first.
 * All of it is under lwstp_bindings_lock.  For what is different with a secure
 * stream see secure-stream.c.
 *
 * A binding whose wsi is closing stays in the table for a while as a mark, so
 * that an enqueue from the wsi's own close callbacks is refused (W4).  The same
 * address may be another wsi already in the same turn of the service loop: what
 * tells them apart is the socket's inode, and for a stream of a mux connection
 * that lws takes it off the connection when it closes.  A raw file closes at
 * once, and is out of lws's tables before its callbacks are called.  A mark
 * lasts longer than lws waits for the peer of a wsi that it could still write
 * to.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "private.h"

pthread_mutex_t lwstp_bindings_lock = PTHREAD_MUTEX_INITIALIZER;

LWSTP_BY_BINDINGS static struct lwstp_binding *table, *streams;

LWSTP_BINDINGS_HELD struct lwstp_binding *
__lwstp_binding_find(const struct lws *wsi)
{
	struct lwstp_binding *b;

	HASH_FIND_PTR(table, &wsi, b);

	return b;
}

LWSTP_BINDINGS_HELD struct lwstp_binding *
__lwstp_binding_find_ss(const struct lws_ss_handle *ss)
{
	struct lwstp_binding *b;

	HASH_FIND_PTR(streams, &ss, b);

	return b;
}

/*
 * Tasks come and go.  pool->lock held; all but attach take ours.
 */

LWSTP_POOL_HELD LWSTP_BINDINGS_HELD void
__lwstp_binding_attach(struct lwstp_binding *b, struct lwstp_task *task)
{
	task->binding = b;
	task->tsi = (uint16_t)b->bell->tsi;
	task->att_seq = b->seq++;
	task->wanting = task->seen = 0;
	DL_APPEND2(b->attached, task, att_prev, att_next);
}

/* S6: others may have had their WRITEABLE used up by this one's */
static LWSTP_BINDINGS_HELD void
__ring_for_others(struct lwstp_binding *b, struct lwstp_after *after)
{
	if (b->unseen)
		__lwstp_bell_ring(b, after);
}

static LWSTP_BINDINGS_HELD void
__look(struct lwstp_task *task)
{
	if (task->wanting && !task->seen) {
		task->seen = 1;
		task->binding->unseen--;
	}
}

static LWSTP_BINDINGS_HELD void
__unwant(struct lwstp_task *task)
{
	struct lwstp_binding *b = task->binding;

	if (!task->wanting)
		return;
	__look(task);
	task->wanting = 0;
	DL_DELETE2(b->wanting, task, want_prev, want_next);
}

/* S3: out of the bell's inbox, for WRITEABLE to be asked for */
LWSTP_BINDINGS_HELD void
__lwstp_binding_want(struct lwstp_bell *bell, struct lwstp_task *task)
{
	struct lwstp_binding *b = task->binding;

	task->wanting = 1;
	task->seen = 0;
	b->unseen++;
	DL_APPEND2(b->wanting, task, want_prev, want_next);
	__lwstp_bell_push(bell, b);
}

/* S5: the application was told its state */
LWSTP_POOL_HELD void
__lwstp_binding_look(struct lwstp_task *task)
{
	if (!task->binding)
		return;
	/* S5: only its service thread will answer for it */
	if (lwstp_bell_is_anothers(task->binding->bell))
		return;
	lwstp_lock_bindings();
	__lwstp_bell_collect(task->binding->bell);
	__look(task);
	lwstp_unlock_bindings();
}

LWSTP_POOL_HELD void
__lwstp_binding_unwant(struct lwstp_task *task, struct lwstp_after *after)
{
	lwstp_lock_bindings();
	__lwstp_bell_collect(task->binding->bell);
	__unwant(task);
	__ring_for_others(task->binding, after);
	lwstp_unlock_bindings();
}

LWSTP_POOL_HELD bool
__lwstp_binding_closing(const struct lwstp_task *task)
{
	bool closing;

	lwstp_lock_bindings();
	closing = task->binding->closing;
	lwstp_unlock_bindings();

	return closing;
}

/* returns the wsi that it was attached to, NULL if that is closing (T7), or if
 * it was attached to a secure stream */
LWSTP_POOL_HELD struct lws *
__lwstp_binding_detach(struct lwstp_task *task, struct lwstp_after *after)
{
	struct lwstp_binding *b = task->binding;
	struct lws *wsi = NULL;
	struct lwstp_cursor *c;

	lwstp_lock_bindings();
	__lwstp_bell_collect(b->bell);
	__unwant(task);
	for (c = b->cursors; c; c = c->outer)
		if (c->next == task)
			c->next = task->att_next;
	DL_DELETE2(b->attached, task, att_prev, att_next);
	if (!b->closing) {
		wsi = b->wsi;
		__ring_for_others(b, after);
	}
	task->binding = NULL;
	lwstp_unlock_bindings();

	return wsi;
}

/*
 * What the application asks of a wsi
 */

LWSTP_BINDINGS_HELD struct lws_threadpool_task *
__lwstp_binding_next_task(const struct lwstp_binding *b)
{
	if (!b)
		return NULL;
	__lwstp_bell_collect(b->bell);

	return lwstp_task_handle(b->wanting ? b->wanting : b->attached);
}

struct lws_threadpool_task *
lws_threadpool_get_task_wsi(struct lws *wsi)
{
	struct lws_threadpool_task *handle;
	struct lwstp_binding *b;

	lwstp_lock_bindings();
	b = __lwstp_binding_find(wsi);
	if (b)
		lwstp_bell_serve(b->bell);
	handle = __lwstp_binding_next_task(b);
	lwstp_unlock_bindings();

	return handle;
}

enum lws_threadpool_task_status
lws_threadpool_task_status_wsi(struct lws *wsi,
			       struct lws_threadpool_task **task, void **user)
{
	struct lws_threadpool_task *handle = lws_threadpool_get_task_wsi(wsi);

	if (task)
		*task = handle;
	if (handle)
		return lws_threadpool_task_status(handle, user);
	if (user)
		*user = NULL;

	return LWS_TP_STATUS_FINISHED;
}

/* the task to visit next, and the cursor on the one after it */
static LWSTP_BINDINGS_HELD struct lws_threadpool_task *
__cursor_next(struct lwstp_cursor *c, uint32_t end)
{
	struct lwstp_task *task = c->next;

	if (!task || (int32_t)(task->att_seq - end) >= 0)
		return NULL;
	c->next = task->att_next;

	return lwstp_task_handle(task);
}

/* Q3: a cursor moves on by itself when the task under it is detached, and
 * nothing is locked while cb runs. */
LWSTP_BINDINGS_HELD int
__lwstp_binding_foreach(struct lwstp_cursor *c, void *user,
			int (*cb)(struct lws_threadpool_task *task,
				  void *user))
{
	struct lws_threadpool_task *handle;
	struct lwstp_cursor **pc;
	uint32_t end;
	int stop = 0;

	if (!c->binding)
		return 0;
	c->next = c->binding->attached;
	end = c->binding->seq;
	c->outer = c->binding->cursors;
	c->binding->cursors = c;

	while (!stop && (handle = __cursor_next(c, end))) {
		lwstp_unlock_bindings();
		stop = !!cb(handle, user);
		lwstp_lock_bindings();
	}
	if (c->binding) {
		pc = &c->binding->cursors;
		while (*pc != c)
			pc = &(*pc)->outer;
		*pc = c->outer;
	}

	return stop;
}

int
lws_threadpool_foreach_task_wsi(struct lws *wsi, void *user,
				int (*cb)(struct lws_threadpool_task *task,
					  void *user))
{
	struct lwstp_cursor cursor = { .outer = NULL };
	int stop;

	if (!cb) {
		lwsl_err("%s: cb is NULL\n", __func__);
		return 0;
	}
	lwstp_lock_bindings();
	cursor.binding = __lwstp_binding_find(wsi);
	stop = __lwstp_binding_foreach(&cursor, user, cb);
	lwstp_unlock_bindings();

	return stop;
}

static int
dequeue_one(struct lws_threadpool_task *task, void *user)
{
	int *asked = user;

	*asked |= lws_threadpool_dequeue_task(task);

	return 0;
}

int
lws_threadpool_dequeue(struct lws *wsi)
{
	int asked = 0;

	lws_threadpool_foreach_task_wsi(wsi, &asked, dequeue_one);

	return asked;
}

/*
 * A binding's own life.  Service thread of its wsi.
 */

/* which socket a wsi has: false if it has none of its own */
static bool
socket_of(struct lws *wsi, struct stat *st)
{
	int fd = (int)lws_get_socket_fd(wsi);

	return fd >= 0 && !fstat(fd, st) && S_ISSOCK(st->st_mode);
}

static void
note_socket(struct lwstp_binding *b)
{
	struct stat st;

	b->socket = socket_of(b->wsi, &st);
	if (b->socket) {
		b->dev = st.st_dev;
		b->ino = st.st_ino;
	}
}

LWSTP_BINDINGS_HELD void
__lwstp_binding_free(struct lwstp_binding *b)
{
	struct lwstp_cursor *c;

	for (c = b->cursors; c; c = c->outer) {
		c->binding = NULL;
		c->next = NULL;
	}
	__lwstp_bell_unring(b);
	if (b->closing)
		DL_DELETE(b->bell->closed, b);
	else
		b->bell->open--;
	if (b->wsi)
		HASH_DEL(table, b);
	else
		HASH_DEL(streams, b);
	free(b);
}

/* W4: a mark on this address that is about this very wsi refuses it, one about
 * its predecessor goes.  lwstp_bindings_lock held. */
static LWSTP_BINDINGS_HELD bool
__known_closing(struct lws *wsi)
{
	struct lwstp_binding *b = __lwstp_binding_find(wsi);
	struct stat st;
	bool same;

	if (!b || !b->closing)
		return false;
	if (b->socket)
		same = socket_of(wsi, &st) && st.st_dev == b->dev &&
		       st.st_ino == b->ino;
	else
		same = (int)lws_get_socket_fd(wsi) < 0 &&
		       lws_get_network_wsi(wsi) == wsi;
	if (b->detaching || same)
		return true;
	__lwstp_binding_free(b);

	return false;
}

static LWSTP_BINDINGS_HELD bool
__insert(struct lwstp_binding *b)
{
	bool out_of_memory = false;

	/* what uthash does then, in both of these */
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(e) do { out_of_memory = true; } while (0)
	if (b->wsi)
		HASH_ADD_PTR(table, wsi, b);
	else
		HASH_ADD_PTR(streams, ss, b);
	if (!out_of_memory)
		b->bell->open++;

	return !out_of_memory;
}

struct lwstp_binding *
lwstp_binding_new(struct lwstp_bell *bell, struct lws *wsi,
		  struct lws_ss_handle *ss)
{
	struct lwstp_binding *b = aligned_alloc(LWSTP_CACHE_LINE, sizeof(*b));
	bool ok;

	if (!b)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->wsi = wsi;
	b->ss = ss;
	b->bell = bell;

	lwstp_lock_bindings();
	ok = __insert(b);
	lwstp_unlock_bindings();
	if (ok)
		return b;
	free(b);

	return NULL;
}

/* The wsi of an http/2 connection itself: the application meets it only as it
 * ends, and then lws still says that a WRITEABLE will come.  No other wsi with
 * a socket of its own has tx credit (5.0 says -1 of a ws one). */
static bool
is_mux_connection(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) == wsi &&
	       (lws_wsi_tx_credit(wsi, LWSTXCR_PEER_TO_US, 0) > 0 ||
		lws_wsi_tx_credit(wsi, LWSTXCR_US_TO_PEER, 0) > 0);
}

/* W4: not one that is closing, nor one without a connection.  This asks lws the
 * only thing that tells: so a WRITEABLE comes that nobody else asked for. */
static enum lwstp_refusal
wsi_refusal(struct lws *wsi)
{
	bool closing;

	lwstp_lock_bindings();
	closing = __known_closing(wsi);
	lwstp_unlock_bindings();
	if (closing || lwstp_host_closing(wsi))
		return LWSTP_WSI_CLOSING;
	if (is_mux_connection(wsi))
		return LWSTP_WSI_MUX;
	if (lws_callback_on_writable(wsi) <= 0)
		return LWSTP_WSI_UNCONNECTED;

	return LWSTP_ACCEPTED;
}

enum lwstp_refusal
lwstp_binding_make(struct lwstp_host *host, struct lws *wsi)
{
	enum lwstp_refusal why;
	struct lwstp_binding *b;

	if (lws_get_context(wsi) != host->context)
		return LWSTP_FOREIGN_WSI;
	if (!lwstp_host_open(host))
		return LWSTP_NO_HOST;
	why = wsi_refusal(wsi);
	if (why)
		return why;

	b = lwstp_binding_new(&host->bell[lws_get_tsi(wsi)], wsi, NULL);
	if (!b)
		return LWSTP_OUT_OF_MEMORY;
	if (lwstp_host_told(host, wsi) || lwstp_host_watch(host, b)) {
		lwstp_bell_expect(b->bell);
		return LWSTP_ACCEPTED;
	}

	lwstp_lock_bindings();
	__lwstp_binding_free(b);
	lwstp_unlock_bindings();

	return LWSTP_NO_WATCH;
}

/* W1: no call, callback or thread uses the wsi after this.  The newest first:
 * so a task that is queued is gone before an older one, as it stops, makes room
 * for it to start. */
static void
detach_all(struct lwstp_binding *b)
{
	struct lws_threadpool_task *handle;

	lwstp_lock_bindings();
	b->detaching = true;
	while (b->attached) {
		/* the last */
		handle = lwstp_task_handle(b->attached->att_prev);
		lwstp_unlock_bindings();
		lwstp_task_detach(handle);
		lwstp_lock_bindings();
	}
	b->detaching = false;
	lwstp_unlock_bindings();
}

void
lwstp_binding_end(struct lwstp_binding *b)
{
	detach_all(b);
	lwstp_lock_bindings();
	__lwstp_binding_free(b);
	lwstp_unlock_bindings();
}

/* lwstp_bindings_lock held: nothing is asked of lws for it any more */
LWSTP_BINDINGS_HELD void
__lwstp_binding_mark_closing(struct lwstp_binding *b)
{
	b->closing = true;
	b->bell->open--;
	b->asked_at = lwstp_now();
	b->watch = NULL;
	__lwstp_bell_unring(b);
	DL_APPEND(b->bell->closed, b);
}

/* The wsi begins to close, as `watch`, our child of it, tells, or where that is
 * NULL the application or lws. */
void
lwstp_binding_close(struct lws *wsi, struct lws *watch, enum lwstp_close how)
{
	struct lwstp_binding *b;
	bool first;

	lwstp_lock_bindings();
	b = __lwstp_binding_find(wsi);
	if (b && watch && b->watch != watch)
		b = NULL;
	first = b && !b->closing;
	if (first)
		__lwstp_binding_mark_closing(b);
	lwstp_unlock_bindings();
	if (!b)
		return;

	if (first) {
		note_socket(b);
		detach_all(b);
	}
	if (how == LWSTP_CLOSE_GONE) {
		lwstp_lock_bindings();
		__lwstp_binding_free(b);
		lwstp_unlock_bindings();
	} else if (how == LWSTP_CLOSE_SEEN)
		lwstp_bell_sweep_later(b->bell);
}

static LWSTP_BINDINGS_HELD struct lwstp_binding *
__one_of(const struct lwstp_host *host)
{
	struct lwstp_binding *b, *tmp;

	HASH_ITER(hh, table, b, tmp)
		if (b->bell->host == host)
			return b;
	HASH_ITER(hh, streams, b, tmp)
		if (b->bell->host == host)
			return b;

	return NULL;
}

/* the context is destroyed, and with it every wsi and secure stream of it */
void
lwstp_binding_close_all(struct lwstp_host *host)
{
	struct lwstp_binding *mine;

	do {
		lwstp_lock_bindings();
		mine = __one_of(host);
		if (mine && !mine->closing)
			__lwstp_binding_mark_closing(mine);
		lwstp_unlock_bindings();
		if (mine)
			lwstp_binding_end(mine);
	} while (mine);
}
