/*
 * lws-threadpool benchmark - the round trip of a SYNC
 *
 * SPDX-License-Identifier: MIT
 *
 * Measured where it hurts: in the task function, from its return with SYNC to
 * its next call.  The floor is the same way without any library: the worker
 * writes an eventfd and waits on a condition; the service thread polls the
 * eventfd, polls a writeable socket, and signals.
 */

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

static uint32_t *ns;
static volatile long got;   /* written by the worker */
static volatile long ended; /* service thread */
static uint64_t returned;

static void
note(void)
{
	uint64_t took = now_ns() - returned;

	ns[got] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	got = got + 1;
}

static enum lws_threadpool_task_return
stream(void *user, enum lws_threadpool_task_status s)
{
	(void)user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (returned)
		note();
	if (got == opt.syncs)
		return LWS_TP_RETURN_FINISHED;
	returned = now_ns();

	return LWS_TP_RETURN_SYNC;
}

static void
stream_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	ended = 1;
}

static int
serve(struct rig_wsi *w)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(w->wsi);
	void *user;

	if (task &&
	    lws_threadpool_task_status(task, &user) == LWS_TP_STATUS_SYNCING)
		lws_threadpool_task_sync(task, 0);

	return 0;
}

static bool
self_sync(void)
{
	struct lws_threadpool_task_args args = {
		.task = stream,
		.cleanup = stream_cleanup,
	};
	struct lws_threadpool *tp;
	bool whole;

	rig_up(1, serve);
	tp = rig_pool(opt.threads, 16);
	args.wsi = rig.wsis[0].wsi;
	if (!lws_threadpool_enqueue(tp, &args, "stream"))
		die("refused");
	whole = rig_until(&ended, 1);
	if (whole)
		rig_down(tp);

	return whole;
}

/*
 * The floor
 */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool go; /* lock */
	int bell;
} base = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.cond = PTHREAD_COND_INITIALIZER,
};

static void *
base_worker(void *arg)
{
	(void)arg;
	while (got < opt.syncs) {
		returned = now_ns();
		if (eventfd_write(base.bell, 1))
			die("eventfd_write");
		pthread_mutex_lock(&base.lock);
		while (!base.go)
			pthread_cond_wait(&base.cond, &base.lock);
		base.go = false;
		pthread_mutex_unlock(&base.lock);
		note();
	}

	return NULL;
}

static bool
base_sync(void)
{
	struct pollfd fds[2];
	eventfd_t value;
	pthread_t worker;
	long n;

	base.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fds[0].fd = base.bell;
	fds[0].events = POLLIN;
	fds[1].fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	fds[1].events = 0;
	if (pthread_create(&worker, NULL, base_worker, NULL))
		die("no thread");
	for (n = 0; n < opt.syncs; n++) {
		if (poll(fds, 2, -1) < 1 || eventfd_read(base.bell, &value))
			die("poll");
		fds[1].events = POLLOUT;
		if (poll(fds, 2, -1) < 1)
			die("poll");
		fds[1].events = 0;
		pthread_mutex_lock(&base.lock);
		base.go = true;
		pthread_cond_signal(&base.cond);
		pthread_mutex_unlock(&base.lock);
	}
	pthread_join(worker, NULL);
	close(fds[0].fd);
	close(fds[1].fd);

	return true;
}

int
bench_sync(void)
{
	uint64_t begun;
	double secs;
	bool whole;

	if (!opt.syncs)
		opt.syncs = 100000;
	ns = need((size_t)opt.syncs, sizeof(*ns));
	params("k=%ld;t=%d", opt.syncs, opt.threads);
	begun = now_ns();
	whole = is(opt.who, "floor") ? base_sync() : self_sync();
	secs = (double)(now_ns() - begun) / 1e9;
	if (!whole) {
		out("gave up after", secs, "s");
		out("done", (double)got, "syncs");
	}
	out("rate", (double)got / secs, "syncs/s");
	out_percentiles("", ns, got);

	return 0;
}
