/*
 * lws-threadpool - a TLS server whose every http request is a task
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lws-threadpool-roles CERTIFICATE KEY
 *
 * Answers any request, http/1 or http/2, with the bytes that a task of that
 * request's wsi asks for one by one.  From the close callback it tries to
 * start another task, which must be refused (W4).
 *
 * Two paths are for streams of one http/2 connection.  /cut is answered, and
 * so its stream closed, when all tasks of both are SYNCING: then its own must
 * end, and that of /hold, which is answered after that, must not know (W1).
 * It is the server that closes it, as libwebsockets before 5.0 ignores
 * RST_STREAM from a client.
 *
 * SIGINT ends it when all tasks are gone, and it tells what it has counted;
 * exit status 0 if every task was cleaned up once, with the context still
 * there, and W1 and W4 were kept.
 */

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

#define BODY	      4 /* bytes, the last when the task has finished */
#define CUT_TASKS     3
#define DEADLINE_SECS 60 /* for the last tasks to go */

struct pss {
	int begun;
};

struct request {
	int syncs;
	int cut;
};

static struct lws_threadpool *tp;
static struct lws_context *context;
static volatile sig_atomic_t interrupted;
static int accepted, refused, late, served;
static atomic_int cleaned;

/* /hold and /cut */
static struct lws *hold, *cut;
static int one_connection, kept, lost;
static atomic_int cut_ended;

static enum lws_threadpool_task_return
task_function(void *user, enum lws_threadpool_task_status s)
{
	struct request *r = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (r->cut)
		return LWS_TP_RETURN_SYNC;

	return r->syncs++ < BODY - 1 ? LWS_TP_RETURN_SYNC :
				       LWS_TP_RETURN_FINISHED;
}

static void
task_cleanup(struct lws *wsi, void *user)
{
	struct request *r = user;

	/* of a stream that is gone, while its neighbour waits for that */
	if (r->cut && !wsi)
		atomic_fetch_add(&cut_ended, 1);
	free(user);
	atomic_fetch_add(&cleaned, 1);
	lws_cancel_service(context);
}

static int
start_task(struct lws *wsi)
{
	struct request *r = calloc(1, sizeof(*r));
	struct lws_threadpool_task_args args;

	if (!r)
		abort();
	r->cut = wsi == cut;
	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = r;
	args.task = task_function;
	args.cleanup = task_cleanup;
	if (lws_threadpool_enqueue(tp, &args, "request"))
		return 1;
	free(r);

	return 0;
}

static int
write_headers(struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 512], *start = &buf[LWS_PRE], *p = start,
				    *end = &buf[sizeof(buf) - 1];

	return lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain",
					   BODY, &p, end) ||
	       lws_finalize_write_http_header(wsi, start, &p, end);
}

/* -------- two streams of one connection -------- */

static int
count_syncing(struct lws_threadpool_task *task, void *user)
{
	*(int *)user += lws_threadpool_task_status_noreap(task) ==
			LWS_TP_STATUS_SYNCING;

	return 0;
}

static int
syncing(struct lws *wsi)
{
	int n = 0;

	lws_threadpool_foreach_task_wsi(wsi, &n, count_syncing);

	return n;
}

/* whether this one is to be answered now: nobody is for ever, since each that
 * changes it asks for WRITEABLE of both */
static int
must_wait(struct lws *wsi)
{
	if (wsi == cut)
		return !hold || !syncing(hold) || syncing(cut) < CUT_TASKS;
	if (wsi == hold)
		return cut || atomic_load(&cut_ended) < CUT_TASKS;

	return 0;
}

static void
ask_both(void)
{
	if (hold)
		lws_callback_on_writable(hold);
	if (cut)
		lws_callback_on_writable(cut);
}

static int
start_streams(struct lws *wsi, const char *path)
{
	int n;

	if (!strcmp(path, "/hold")) {
		hold = wsi;
		n = 1;
	} else if (!strcmp(path, "/cut")) {
		cut = wsi;
		n = CUT_TASKS;
	} else
		n = 1;
	one_connection += hold && cut && (wsi == hold || wsi == cut) &&
			  lws_get_network_wsi(hold) == lws_get_network_wsi(cut);
	while (n--)
		if (start_task(wsi))
			accepted++;
		else
			return -1;

	return 0;
}

static void
stream_closed(struct lws *wsi)
{
	if (wsi == cut) {
		cut = NULL;
		if (lws_threadpool_get_task_wsi(wsi) || !hold ||
		    syncing(hold) != 1)
			lost++;
		else
			kept++;
		ask_both();
	}
	if (wsi == hold)
		hold = NULL;
}

/* -------- the server -------- */

static int
writeable(struct lws *wsi, struct pss *pss)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	unsigned char buf[LWS_PRE + BODY];
	void *user;

	if (!task)
		return 0;
	if (must_wait(wsi)) {
		if (wsi == hold && cut)
			lws_callback_on_writable(cut);
		return 0;
	}
	if (!pss->begun) {
		pss->begun = 1;
		if (write_headers(wsi))
			return -1;
		lws_callback_on_writable(wsi);
		return 0;
	}
	memset(buf + LWS_PRE, 'x', BODY);
	if (wsi == cut) {
		lws_write(wsi, buf + LWS_PRE, BODY, LWS_WRITE_HTTP_FINAL);
		return -1;
	}
	switch (lws_threadpool_task_status(task, &user)) {
	case LWS_TP_STATUS_SYNCING:
		if (lws_write(wsi, buf + LWS_PRE, 1, LWS_WRITE_HTTP) != 1)
			return -1;
		lws_threadpool_task_sync(task, 0);
		return 0;
	case LWS_TP_STATUS_FINISHED:
		served++;
		if (lws_write(wsi, buf + LWS_PRE, 1, LWS_WRITE_HTTP_FINAL) != 1)
			return -1;
		return lws_http_transaction_completed(wsi) ? -1 : 0;
	default:
		return 0;
	}
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		((struct pss *)user)->begun = 0;
		if (!start_streams(wsi, in))
			return 0;
		refused++;
		return -1;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return writeable(wsi, user);
	case LWS_CALLBACK_CLOSED_HTTP:
		stream_closed(wsi);
		late += start_task(wsi);
		return 0;
	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		ask_both();
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "http",
	  .callback = callback,
	  .per_session_data_size = sizeof(struct pss) },
	{ .name = NULL }
};

static void
on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
	lws_cancel_service(context);
}

/* while their connections are, or as these go: not by the end of the context */
static int
tasks_left(void)
{
	lws_usec_t end = lws_now_usecs() + DEADLINE_SECS * LWS_US_PER_SEC;

	while (atomic_load(&cleaned) < accepted + late &&
	       lws_now_usecs() < end && lws_service(context, 0) >= 0)
		;

	return accepted + late - atomic_load(&cleaned);
}

int
main(int argc, char **argv)
{
	struct lws_threadpool_create_args args = { .threads = 2,
						   .max_queue_depth = 10000 };
	/* in the order of RFC 7540: lws's own default is 24 streams at once */
	static const uint32_t settings[7] = { 1,     4096,  0,	 200,
					      65535, 16384, 4096 };
	struct lws_context_creation_info info;
	int left;

	if (argc != 3) {
		fprintf(stderr,
			"usage: lws-threadpool-roles CERTIFICATE KEY\n");
		return 2;
	}
	lws_set_log_level(LLL_ERR, NULL);
	memset(&info, 0, sizeof(info));
	info.protocols = protocols;
	info.iface = "lo";
	info.port = 0;
	info.ssl_cert_filepath = argv[1];
	info.ssl_private_key_filepath = argv[2];
	memcpy(info.http2_settings, settings, sizeof(settings));
	info.max_http_header_pool = 1024;
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	context = lws_create_context(&info);
	if (!context)
		return 1;
	tp = lws_threadpool_create(context, &args, "roles");
	if (!tp)
		return 1;
	signal(SIGINT, on_signal);
	printf("port %d\n", lws_get_vhost_listen_port(
				    lws_get_vhost_by_name(context, "default")));
	fflush(stdout);
	while (!interrupted && lws_service(context, 0) >= 0)
		;
	left = tasks_left();
	lws_threadpool_destroy(tp);
	lws_context_destroy(context);
	printf("accepted %d refused %d late %d served %d left %d\n"
	       "cut %d kept %d lost %d one connection %d\n",
	       accepted, refused, late, served, left, atomic_load(&cut_ended),
	       kept, lost, one_connection);

	return refused || late || left || lost ||
	       accepted != atomic_load(&cleaned);
}
