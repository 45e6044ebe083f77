/*
 * lws-threadpool - ws over TLS, with tasks on the server's and the client's wsi
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lws-threadpool-roles-ws CERTIFICATE KEY
 *
 * Connects to itself.  First every wsi of both sides has tasks that stream to
 * their end, each byte sent from the WRITEABLE that a SYNC caused.  Then every
 * wsi has tasks that stay SYNCING, and one side or the other closes.  Prints
 * "ok WHAT" or "not ok WHAT" for each part.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

#define CONNECTIONS   10
#define TASKS	      3	 /* a wsi */
#define SYNCS	      20 /* a task, of those that end */
#define DEADLINE_SECS 60

struct job {
	struct end *end;
	int syncs;
	atomic_int stopping;
	atomic_int cleanups;
	struct lws *cleanup_wsi; /* set before cleanups is */
	pthread_t cleanup_thread;
};

/* One wsi, of either side */
struct end {
	struct lws *wsi; /* NULL once it closed */
	struct lws *was;
	struct job job[TASKS];
	int received;
	bool left_behind; /* a task, in CLOSED */
};

enum side { SERVER, CLIENT, SIDES };

static struct lws_context *context;
static struct lws_threadpool *tp;
static pthread_t service_thread;
static struct end ends[SIDES][CONNECTIONS];
static int opened[SIDES], failed;
static bool stay; /* the tasks do not end by themselves */

/* -------- the tasks -------- */

static enum lws_threadpool_task_return
task_function(void *user, enum lws_threadpool_task_status s)
{
	struct job *j = user;

	if (s == LWS_TP_STATUS_STOPPING) {
		atomic_fetch_add(&j->stopping, 1);
		return LWS_TP_RETURN_STOPPED;
	}

	return j->syncs++ < SYNCS ? LWS_TP_RETURN_SYNC : LWS_TP_RETURN_FINISHED;
}

static void
task_cleanup(struct lws *wsi, void *user)
{
	struct job *j = user;

	j->cleanup_wsi = wsi;
	j->cleanup_thread = pthread_self();
	atomic_fetch_add(&j->cleanups, 1);
	lws_cancel_service(context);
}

static void
start_tasks(struct end *e)
{
	struct lws_threadpool_task_args args;

	for (int n = 0; n < TASKS; n++) {
		memset(&args, 0, sizeof(args));
		args.wsi = e->wsi;
		args.user = &e->job[n];
		args.task = task_function;
		args.cleanup = task_cleanup;
		e->job[n].end = e;
		if (!lws_threadpool_enqueue(tp, &args, "wss"))
			failed++;
	}
}

/* -------- the wsi -------- */

static void
opens(struct lws *wsi, enum side side)
{
	struct end *e;

	if (opened[side] == CONNECTIONS || !lws_is_ssl(wsi)) {
		failed++;
		return;
	}
	e = &ends[side][opened[side]++];
	e->wsi = e->was = wsi;
	lws_set_opaque_user_data(wsi, e);
	start_tasks(e);
}

static int
writeable(struct lws *wsi)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	struct end *e = lws_get_opaque_user_data(wsi);
	unsigned char buf[LWS_PRE + 1];
	void *user;

	if (!task || stay)
		return 0;
	if (lws_threadpool_task_status(task, &user) != LWS_TP_STATUS_SYNCING)
		return 0;
	if (((struct job *)user)->end != e)
		failed++;
	buf[LWS_PRE] = 'x';
	if (lws_write(wsi, buf + LWS_PRE, 1, LWS_WRITE_BINARY) != 1)
		return -1;
	lws_threadpool_task_sync(task, 0);

	return 0;
}

static void
closes(struct lws *wsi)
{
	struct end *e = lws_get_opaque_user_data(wsi);

	if (!e)
		return;
	e->left_behind = lws_threadpool_get_task_wsi(wsi);
	e->wsi = NULL;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	struct end *e;

	switch ((int)reason) {
	case LWS_CALLBACK_ESTABLISHED:
		opens(wsi, SERVER);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		opens(wsi, CLIENT);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		fprintf(stderr, "no connection: %s\n",
			in ? (const char *)in : "?");
		failed++;
		return 0;
	case LWS_CALLBACK_RECEIVE:
	case LWS_CALLBACK_CLIENT_RECEIVE:
		e = lws_get_opaque_user_data(wsi);
		e->received += (int)len;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return writeable(wsi);
	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
		closes(wsi);
		return 0;
	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "wss", .callback = callback }, { .name = NULL }
};

static void
connect_all(struct lws_vhost *vhost)
{
	struct lws_client_connect_info info;

	memset(ends, 0, sizeof(ends));
	memset(opened, 0, sizeof(opened));
	for (int n = 0; n < CONNECTIONS; n++) {
		memset(&info, 0, sizeof(info));
		info.context = context;
		info.vhost = vhost;
		info.address = "127.0.0.1";
		info.port = lws_get_vhost_listen_port(vhost);
		info.host = info.origin = "localhost";
		info.path = "/";
		info.protocol = info.local_protocol_name = "wss";
		info.alpn = "http/1.1";
		info.ssl_connection = LCCSCF_USE_SSL | LCCSCF_ALLOW_SELFSIGNED |
				      LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
		if (!lws_client_connect_via_info(&info))
			failed++;
	}
}

/* -------- what is waited for -------- */

static bool
service_until(bool (*cond)(const struct end *))
{
	lws_usec_t deadline = lws_now_usecs() + DEADLINE_SECS * LWS_US_PER_SEC;
	bool met;

	do {
		met = opened[SERVER] == CONNECTIONS &&
		      opened[CLIENT] == CONNECTIONS;
		for (int n = 0; n < SIDES * CONNECTIONS; n++)
			met = met && cond(&ends[n % SIDES][n / SIDES]);
		if (met)
			return true;
	} while (!failed && lws_now_usecs() < deadline &&
		 lws_service(context, 0) >= 0);

	return false;
}

static bool
is_cleaned(const struct end *e)
{
	for (int n = 0; n < TASKS; n++)
		if (!atomic_load(&e->job[n].cleanups))
			return false;

	return true;
}

static bool
has_all(const struct end *e)
{
	return is_cleaned(e) && e->received == TASKS * SYNCS;
}

static int
count_syncing(struct lws_threadpool_task *task, void *user)
{
	*(int *)user += lws_threadpool_task_status_noreap(task) ==
			LWS_TP_STATUS_SYNCING;

	return 0;
}

static bool
is_syncing(const struct end *e)
{
	int n = 0;

	lws_threadpool_foreach_task_wsi(e->wsi, &n, count_syncing);

	return n == TASKS;
}

static bool
is_gone(const struct end *e)
{
	return !e->wsi && is_cleaned(e);
}

/* -------- the parts -------- */

/* Each task was cleaned up once: with its wsi on the service thread after so
 * many SYNCs, or detached and told so */
static bool
check(bool detached)
{
	bool good = !failed;

	for (int n = 0; n < SIDES * CONNECTIONS; n++) {
		struct end *e = &ends[n % SIDES][n / SIDES];

		good = good && !e->left_behind;
		for (struct job *j = e->job; j < e->job + TASKS; j++)
			good = good && atomic_load(&j->cleanups) == 1 &&
			       atomic_load(&j->stopping) == detached &&
			       j->cleanup_wsi == (detached ? NULL : e->was) &&
			       (detached || pthread_equal(j->cleanup_thread,
							  service_thread));
	}

	return good;
}

static bool
verdict(const char *what, bool good)
{
	printf("%s %s\n", good ? "ok" : "not ok", what);

	return good;
}

static bool
streams(struct lws_vhost *vhost)
{
	stay = false;
	connect_all(vhost);

	return verdict("wss: tasks stream on the wsi of both sides",
		       service_until(has_all) && check(false));
}

static bool
closings(struct lws_vhost *vhost, enum side side, const char *what)
{
	bool good;

	stay = true;
	connect_all(vhost);
	good = service_until(is_syncing);
	for (int n = 0; good && n < CONNECTIONS; n++)
		lws_set_timeout(ends[side][n].wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_ASYNC);

	return verdict(what, good && service_until(is_gone) && check(true));
}

int
main(int argc, char **argv)
{
	struct lws_threadpool_create_args args = { .threads = 2,
						   .max_queue_depth = 1000 };
	struct lws_context_creation_info info;
	struct lws_vhost *vhost;
	bool good = false;

	if (argc != 3) {
		fprintf(stderr, "usage: lws-threadpool-roles-ws CERTIFICATE "
				"KEY\n");
		return 2;
	}
	service_thread = pthread_self();
	lws_set_log_level(LLL_ERR, NULL);
	memset(&info, 0, sizeof(info));
	info.protocols = protocols;
	info.iface = "lo";
	info.port = 0;
	info.ssl_cert_filepath = argv[1];
	info.ssl_private_key_filepath = argv[2];
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	context = lws_create_context(&info);
	if (!context)
		return 1;
	vhost = lws_get_vhost_by_name(context, "default");
	tp = lws_threadpool_create(context, &args, "wss");
	if (vhost && tp)
		good = streams(vhost) &&
		       closings(vhost, SERVER,
				"wss: the server closes, and "
				"the tasks of both sides are detached") &&
		       closings(vhost, CLIENT,
				"wss: the client closes, and "
				"the tasks of both sides are detached");
	lws_threadpool_destroy(tp);
	lws_context_destroy(context);

	return !good;
}
