/*
 * lws-threadpool - a connection on each of several service threads, and what a
 * test does there, by calls [R1]
 *
 * SPDX-License-Identifier: MIT
 */

#include "each.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define MOST 200 /* connections, to have one on each */

struct each on[SMP_THREADS];

static int (*each_writeable)(struct lws *wsi);
static atomic_int has_handle;
static int fds[MOST], n_fds;

/* -------- the server -------- */

static void
adopted(struct lws *wsi)
{
	struct lws *none = NULL;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int tsi = lws_get_tsi(wsi);

	if (atomic_load(&on[tsi].wsi) ||
	    getpeername((int)lws_get_socket_fd(wsi), (struct sockaddr *)&sin,
			&len))
		return;
	atomic_store(&on[tsi].port, ntohs(sin.sin_port));
	atomic_compare_exchange_strong(&on[tsi].wsi, &none, wsi);
}

static int
writeable(struct lws *wsi)
{
	struct lws_threadpool_task *task;
	int tsi = lws_get_tsi(wsi), ret = 0;

	if (!smp_is_thread(tsi))
		atomic_fetch_add(&on[tsi].wrong, 1);
	if (each_writeable) {
		ret = each_writeable(wsi);
	} else {
		task = lws_threadpool_get_task_wsi(wsi);
		if (task && lws_threadpool_task_status(task, NULL) ==
				    LWS_TP_STATUS_SYNCING)
			lws_threadpool_task_sync(task, 0);
	}
	atomic_fetch_add(&on[tsi].writeables, 1);

	return ret;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	int tsi;

	(void)user;
	(void)in;
	(void)len;
	switch (reason) {
	case LWS_CALLBACK_RAW_ADOPT:
		adopted(wsi);
		break;
	case LWS_CALLBACK_RAW_RX:
		/* until one is there the first calls are not heard */
		if (lws_threadpool_wsi_handle(smp_tp, wsi))
			atomic_store(&has_handle, 1);
		break;
	case LWS_CALLBACK_RAW_CLOSE:
		tsi = lws_get_tsi(wsi);
		if (atomic_load(&on[tsi].wsi) == wsi)
			atomic_store(&on[tsi].closed, 1);
		break;
	case LWS_CALLBACK_RAW_WRITEABLE:
		return writeable(wsi);
	default:
		break;
	}

	return 0;
}

/* -------- the connections -------- */

static bool
each_has_one(void)
{
	for (int n = 0; n < SMP_THREADS; n++)
		if (!atomic_load(&on[n].wsi))
			return false;

	return true;
}

/* one after the other, since 4.1.6 was seen to hang otherwise: see test-smp */
static void
connect_all(void)
{
	while (!each_has_one()) {
		assert_true(n_fds < MOST);
		fds[n_fds++] = smp_connect();
		for (int ms = 0; ms < 20 && !each_has_one(); ms++)
			poll(NULL, 0, 1);
	}
}

void
each_begin(int (*fn)(struct lws *wsi))
{
	memset(on, 0, sizeof(on));
	atomic_store(&has_handle, 0);
	n_fds = 0;
	each_writeable = fn;
	smp_begin(callback, 2, 1000);
	connect_all();
	assert_int_equal(send(fds[0], "x", 1, MSG_NOSIGNAL), 1);
	smp_wait_int(&has_handle, 1);
}

void
each_threads_end(void)
{
	smp_threads_end();
	for (int n = 0; n < SMP_THREADS; n++)
		assert_int_equal(atomic_load(&on[n].wrong), 0);
}

void
each_end(void)
{
	each_threads_end();
	smp_end();
	while (n_fds)
		close(fds[--n_fds]);
}

void
each_hang_up(int tsi)
{
	struct sockaddr_in sin;
	socklen_t len;

	for (int n = 0; n < n_fds; n++) {
		len = sizeof(sin);
		if (getsockname(fds[n], (struct sockaddr *)&sin, &len) ||
		    ntohs(sin.sin_port) != atomic_load(&on[tsi].port))
			continue;
		close(fds[n]);
		fds[n] = -1;
	}
	smp_wait_int(&on[tsi].closed, 1);
	/* lws before 5.0 loses a new fd with the number of one that it is just
	 * closing: see test-smp */
	smp_wait_turn(tsi);
}

/* -------- on a service thread -------- */

static void
do_step(struct lws_context *cx, void *arg)
{
	struct step *step = arg;

	step->wrong_thread = !cx || !smp_is_thread(step->tsi);
	step->fn(step);
	atomic_store(&step->done, 1);
}

void
begin_on(struct step *step, int tsi, void (*fn)(struct step *step))
{
	step->tsi = tsi;
	step->fn = fn;
	atomic_store(&step->done, 0);
	assert_int_equal(lws_threadpool_call(smp_tp, tsi, do_step, step), 0);
}

struct step *
run_on(struct step *step, int tsi, void (*fn)(struct step *step))
{
	begin_on(step, tsi, fn);
	smp_wait_int(&step->done, 1);
	assert_false(step->wrong_thread);

	return step;
}

void
step_attach(struct step *step)
{
	step->ret = lws_threadpool_task_attach(step->task, step->wsi);
	step->why = lws_threadpool_refused();
}
