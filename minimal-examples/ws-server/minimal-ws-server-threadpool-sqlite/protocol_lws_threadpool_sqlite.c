/*
 * minimal-ws-server-threadpool-sqlite: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * Each text message of a client is a query, and takes the place of the one
 * before; an empty one only stops that.  Its rows are sent as they are read,
 * no faster than the client takes them: a task whose rows are on their way is
 * SYNCING, and goes on when they have been sent.
 *
 * Nothing is done here when a connection closes: its query is interrupted.
 *
 * Per-vhost options: "threads", "queue-depth", "file" and "patience-ms".
 */

#include <stdlib.h>
#include <string.h>

#include <lws-threadpool.h>

#include "json-text.h"
#include "query.h"
#include "threadpool-example.h" /* for the number of an option */
#include "ws-text.h"

#define PROTOCOL_SQLITE "lws-threadpool-sqlite"

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS	    2
#define DEFAULT_QUEUE_DEPTH 256
#define DEFAULT_PATIENCE_MS 10000

/* one of these for each vhost that has the protocol */
struct vhd_sqlite {
	struct lws_threadpool *tp;
	struct query_database database;
	unsigned int connections; /* that are open */
	char ending;
};

/* one of these for each connection */
struct pss_sqlite {
	struct lws_threadpool_task *task; /* the latest: may be gone by now */
	struct lws_threadpool_wsi *handle;
	struct ws_text message;
	char text[QUERY_MAX_SQL];
	char reply[64]; /* that is to be sent, or "" */
};

/*
 * The handlers.  The first: there are rows, or the names of the columns.  lws
 * keeps what the kernel does not take at once, and there is no WRITEABLE until
 * that is gone: one message at most is in memory for a slow client.
 */
static int
query_sync(struct lws *wsi, void *user)
{
	struct query *q = user;
	int len = (int)q->len;

	return lws_write(wsi, (unsigned char *)q->out + LWS_PRE, q->len,
			 LWS_WRITE_TEXT) < len ?
		       -1 :
		       LWS_TP_ON_SYNC_RESUME;
}

/* and the second: it has ended */
static int
query_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	char error[JSON_TEXT_SIZE(sizeof(((struct query *)0)->error))];
	struct query *q = user;

	if (how == LWS_TP_STATUS_STOPPED)
		return ws_text_send(wsi, "{\"end\":\"stopped\"}");
	if (!q->error[0])
		return ws_text_send(wsi, "{\"end\":\"finished\",\"rows\":%llu}",
				    q->rows);
	json_text(error, sizeof(error), q->error, strlen(q->error));

	return ws_text_send(wsi, "{\"end\":\"failed\",\"error\":%s}", error);
}

static void
reply(struct lws *wsi, struct pss_sqlite *pss, const char *text)
{
	lws_strncpy(pss->reply, text, sizeof(pss->reply));
	/* nothing more from this client until it has its reply */
	lws_rx_flow_control(wsi, 0);
	lws_callback_on_writable(wsi);
}

/*
 * Queries of one connection come one after the other: the one before may still
 * be on its way out of SQLite.
 */
static struct lws_threadpool_task *
enqueue(struct lws *wsi, struct vhd_sqlite *vhd, struct pss_sqlite *pss)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_sync = query_sync,
		.on_end = query_end,
		.key = pss->handle,
		.key_max = 1,
	};
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;
	struct query *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->database = &vhd->database;
	lws_strncpy(q->sql, pss->text, sizeof(q->sql));

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = q;
	args.task = query_task;
	args.cleanup = query_cleanup;
	task = lws_threadpool_enqueue_ext(vhd->tp, &args, &options, "query");
	if (!task)
		free(q); /* cleanup won't come: still ours */

	return task;
}

static int
receive(struct lws *wsi, struct vhd_sqlite *vhd, struct pss_sqlite *pss,
	const void *in, size_t len)
{
	int n = ws_text_receive(wsi, &pss->message, in, len);

	if (n <= 0)
		return n;

	/* It leaves the connection, so that nothing more of it is sent: gone
	 * at once if it still waits, else interrupted.  A stale one is
	 * harmless. */
	lws_threadpool_dequeue_task(pss->task);
	pss->task = NULL;
	if (!pss->text[0]) {
		reply(wsi, pss, "{\"end\":\"stopped\"}");
		return 0;
	}

	pss->task = enqueue(wsi, vhd, pss);
	if (!pss->task)
		reply(wsi, pss,
		      "{\"end\":\"failed\",\"error\":"
		      "\"busy: try again later\"}");

	return 0;
}

/* one message for each WRITEABLE */
static int
writeable(struct lws *wsi, struct vhd_sqlite *vhd, struct pss_sqlite *pss)
{
	int n;

	if (pss->message.closing)
		return 0;
	if (pss->reply[0]) {
		n = ws_text_send(wsi, "%s", pss->reply);
		pss->reply[0] = '\0';
		lws_rx_flow_control(wsi, 1);
		lws_callback_on_writable(wsi);
		return n;
	}
	if (vhd->ending && !lws_threadpool_get_task_wsi(wsi))
		return ws_text_close(wsi, &pss->message,
				     LWS_CLOSE_STATUS_GOINGAWAY);
	n = lws_threadpool_serve(wsi);
	if (vhd->ending)
		lws_callback_on_writable(wsi);

	return n;
}

static int
open_connection(struct lws *wsi, struct vhd_sqlite *vhd, struct pss_sqlite *pss)
{
	if (!vhd || !vhd->tp) /* no pool: lws goes on if INIT fails */
		return -1;
	vhd->connections++;
	pss->message.text = pss->text;
	pss->message.size = sizeof(pss->text);
	pss->handle = lws_threadpool_wsi_handle(vhd->tp, wsi);

	return pss->handle ? 0 : -1;
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	const struct lws_protocol_vhost_options *file;
	struct lws_threadpool_options options;
	struct lws_threadpool_create_args args;
	struct vhd_sqlite *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;
	file = lws_pvo_search(pvo, "file");
	vhd->database.file = file ? file->value : ":memory:";
	vhd->database.patience = threadpool_example_number(
					 pvo, "patience-ms",
					 DEFAULT_PATIENCE_MS) *
				 LWS_US_PER_MS;

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = threadpool_example_number(pvo, "queue-depth",
							 DEFAULT_QUEUE_DEPTH);

	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	options.pin_tasks = 1; /* a statement is its thread's connection's */
	options.thread_start = query_thread_start;
	options.thread_end = query_thread_end;
	options.opaque = &vhd->database;

	vhd->tp = lws_threadpool_create_ext(lws_get_context(wsi), &args,
					    &options, "%s", "sqlite");

	return vhd->tp ? 0 : -1;
}

/*
 * For the program, when it is asked to end: every query is interrupted, and the
 * connections close when they have heard of it.  Returns whether some are left.
 */
static int
threadpool_sqlite_finish(struct lws_vhost *vhost)
{
	const struct lws_protocols *protocol = lws_vhost_name_to_protocol(
		vhost, PROTOCOL_SQLITE);
	struct vhd_sqlite *vhd = lws_protocol_vh_priv_get(vhost, protocol);

	if (!vhd || !vhd->tp)
		return 0;

	if (!vhd->ending) {
		vhd->ending = 1;
		lws_threadpool_finish(vhd->tp);
		lws_callback_on_writable_all_protocol_vhost(vhost, protocol);
	}

	return !!vhd->connections;
}

static int
callback_sqlite(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	struct vhd_sqlite *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		return init_vhost(wsi, in);

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		if (vhd && vhd->tp)
			lws_threadpool_destroy(vhd->tp);
		break;

	case LWS_CALLBACK_ESTABLISHED:
		return open_connection(wsi, vhd, user);

	case LWS_CALLBACK_CLOSED:
		if (vhd && vhd->tp)
			vhd->connections--;
		break;

	case LWS_CALLBACK_RECEIVE:
		return receive(wsi, vhd, user, in, len);

	case LWS_CALLBACK_SERVER_WRITEABLE:
		return writeable(wsi, vhd, user);

	default:
		break;
	}

	return 0;
}

#define LWS_PLUGIN_PROTOCOL_THREADPOOL_SQLITE \
	{ \
		.name = PROTOCOL_SQLITE, \
		.callback = callback_sqlite, \
		.per_session_data_size = sizeof(struct pss_sqlite), \
		.rx_buffer_size = QUERY_MAX_SQL, \
		.tx_packet_size = QUERY_OUT, \
	}
