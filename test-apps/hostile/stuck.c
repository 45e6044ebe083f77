/*
 * lws-threadpool tests - tasks that never return
 *
 * SPDX-License-Identifier: MIT
 *
 * finish() asks them to stop and does not wait.  destroy() waits, and tells
 * every five seconds for which; a context that is destroyed with the pool does
 * the same in the application's PROTOCOL_DESTROY.  When they return at last,
 * all is as ever.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

#define MAX_STUCK 16

static struct lws_context *context;
static struct lws_threadpool *tp;
static atomic_int started, cleaned, told;
static atomic_bool let_go, destroyed;
static int tasks, live;
static struct lws *conn;

/* it does not look at its status, and does not come back */
static enum lws_threadpool_task_return
stuck_task(void *user, enum lws_threadpool_task_status s)
{
	(void)user;

	if (s == LWS_TP_STATUS_STOPPING) {
		atomic_fetch_add(&told, 1);
		return LWS_TP_RETURN_FINISHED;
	}
	atomic_fetch_add(&started, 1);
	while (!atomic_load(&let_go))
		usleep(1000);

	return LWS_TP_RETURN_CHECKING_IN;
}

static void
count_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	atomic_fetch_add(&cleaned, 1);
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *pss, void *in,
	 size_t len)
{
	(void)pss;
	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		conn = wsi;
		live++;
		break;
	case LWS_CALLBACK_CLOSED:
		live--;
		break;
	case LWS_CALLBACK_PROTOCOL_DESTROY:
		lws_threadpool_destroy(tp);
		atomic_store(&destroyed, true);
		break;
	default:
		break;
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "stuck", .callback = callback }, { .name = NULL }
};

static void
hold_one(int port, int arg)
{
	int fd = peer_connect(port, 0);

	(void)arg;
	peer_handshake(fd, "stuck");
	peer_read_all(fd);
}

static bool
connected(void)
{
	return conn;
}

static bool
all_started(void)
{
	return atomic_load(&started) == tasks;
}

static bool
closed(void)
{
	return !live;
}

static void
enqueue(const char *name, int n, struct lws *wsi)
{
	struct lws_threadpool_task_args args;

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.task = stuck_task;
	args.cleanup = count_cleanup;
	hostile_check(lws_threadpool_enqueue(tp, &args, "%s-%d", name, n));
}

/* lets them go when destroy() has complained of each of them twice */
static void *
watch(void *arg)
{
	char name[2][32];
	int n, seen;

	(void)arg;
	do {
		usleep(10000);
		for (n = seen = 0; n < tasks; n++) {
			snprintf(name[0], sizeof(name[0]), "stuck-%d", n);
			seen += hostile_logged(name[0]) >= 2;
		}
	} while (seen < tasks);
	hostile_check(!atomic_load(&destroyed));
	hostile_check(hostile_logged("waiting for 5 s") == 1);
	hostile_check(hostile_logged("waiting for 10 s") == 1);
	atomic_store(&let_go, true);

	return NULL;
}

void
stuck(int clients)
{
	const struct lws_threadpool_create_args args = { .threads = clients,
							 .max_queue_depth = 4 };
	int port, peer, n, before;
	int64_t t;
	pthread_t thread;
	char name[32];

	hostile_check(clients <= 4); /* each has a line to look for */
	tasks = clients;
	for (n = 0; n < tasks; n++) {
		snprintf(name, sizeof(name), "stuck-%d", n);
		hostile_expect(name);
	}
	hostile_expect("waiting for 5 s");
	hostile_expect("waiting for 10 s");
	context = hostile_context(protocols, &port);
	peer = peer_start(hold_one, port, 0);
	tp = lws_threadpool_create(context, &args, "stuck");
	hostile_check(tp);
	peer_go(peer);
	hostile_until(context, connected);

	/* the first has a connection that goes, the others have none */
	for (n = 0; n < tasks; n++)
		enqueue("stuck", n, n ? NULL : conn);
	hostile_until(context, all_started);
	enqueue("waits", 0, NULL);

	peer_kill(peer);
	hostile_until(context, closed);
	hostile_check(!atomic_load(&cleaned));

	t = hostile_now();
	lws_threadpool_finish(tp);
	t = hostile_now() - t;
	hostile_check(atomic_load(&cleaned) == 1); /* what was queued */
	before = atomic_load(&told);
	hostile_check(!before);

	hostile_check(!pthread_create(&thread, NULL, watch, NULL));
	lws_context_destroy(context);
	pthread_join(thread, NULL);
	hostile_check(atomic_load(&destroyed));
	hostile_check(atomic_load(&told) == tasks);
	hostile_check(atomic_load(&cleaned) == tasks + 1);
	printf("finish() took %d us, destroy() named all %d tasks twice and "
	       "waited for them\n",
	       (int)t, tasks);
}
