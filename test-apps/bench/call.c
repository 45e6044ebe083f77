/*
 * lws-threadpool benchmark - from any thread to the service thread
 *
 * SPDX-License-Identifier: MIT
 *
 * A thread sends one after the other: it waits until each has arrived, and for
 * -b microseconds more.  Then -n in one go: what a send costs the sender, and
 * how many arrive a second.  Only lws_threadpool_call() is a call for each
 * send; libuv's uv_async_send() and lws_cancel_service() make one of what comes
 * together, and carry nothing.
 */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include <uv.h>

#include "bench.h"

static uint32_t *ns;
static atomic_long arrivals;
static struct lws_threadpool *tp;
static uv_async_t async;
static void (*send_one)(void);
static bool each_counts;

/* service thread */
static void
arrive(void)
{
	atomic_fetch_add(&arrivals, 1);
}

static void
until_there(long n)
{
	uint64_t limit = now_ns() + (uint64_t)(opt.limit * 1e9);

	while (atomic_load(&arrivals) < n) {
		if (now_ns() > limit)
			die("number %ld does not arrive", n);
		sched_yield();
	}
}

/*
 * The ways
 */

#if !defined(BENCH_BUILTIN)

static void
called(struct lws_context *context, void *arg)
{
	(void)context;
	(void)arg;
	arrive();
}

static void
send_call(void)
{
	if (lws_threadpool_call(tp, 0, called, NULL))
		die("refused");
}

#endif

static void
send_async(void)
{
	if (uv_async_send(&async))
		die("uv_async_send");
}

static void
on_async(uv_async_t *handle)
{
	(void)handle;
	arrive();
}

static void
send_cancel(void)
{
	lws_cancel_service(rig.context);
}

/*
 * The sender
 */

static atomic_bool sender_done;

static void
one_by_one(void)
{
	uint64_t then, took;
	long n, had;

	for (n = 0; n < opt.syncs; n++) {
		usleep((useconds_t)opt.work);
		had = atomic_load(&arrivals);
		then = now_ns();
		send_one();
		until_there(had + 1);
		took = now_ns() - then;
		ns[n] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	}
	out_percentiles("", ns, opt.syncs);
}

static void
all_in_one_go(void)
{
	long n, had = atomic_load(&arrivals);
	uint64_t begun = now_ns();
	double secs;

	for (n = 0; n < opt.n; n++)
		send_one();
	out("a send", (double)(now_ns() - begun) / (double)opt.n, "ns");
	if (each_counts)
		until_there(had + opt.n);
	secs = (double)(now_ns() - begun) / 1e9;
	out("arrivals", (double)(atomic_load(&arrivals) - had) / secs,
	    "a second");
}

static void *
sender(void *arg)
{
	(void)arg;
	one_by_one();
	all_in_one_go();
	atomic_store(&sender_done, true);
	send_one();

	return NULL;
}

static void
use_uv(void)
{
	if (uv_async_init(uv_default_loop(), &async, on_async))
		die("uv_async_init");
	send_one = send_async;
}

static void
use_lws(void)
{
	rig_up(1, NULL);
	tp = rig_pool(1, 16);
	if (is(opt.who, "cancel")) {
		rig.on_cancelled = arrive;
		send_one = send_cancel;
		return;
	}
#if !defined(BENCH_BUILTIN)
	/* we hear of calls from the context's first handle on */
	if (!lws_threadpool_wsi_handle(tp, rig.wsis[0].wsi))
		die("no handle");
	each_counts = true;
	send_one = send_call;
#else
	die("it calls nothing");
#endif
}

int
bench_call(void)
{
	bool uv = is(opt.who, "uv");
	pthread_t thread;

	if (!opt.syncs)
		opt.syncs = 20000;
	if (!opt.n)
		opt.n = 1000000;
	if (!opt.work)
		opt.work = 100;
	params("k=%ld;n=%ld;b=%d", opt.syncs, opt.n, opt.work);
	ns = need((size_t)opt.syncs, sizeof(*ns));
	if (uv)
		use_uv();
	else
		use_lws();
	if (pthread_create(&thread, NULL, sender, NULL))
		die("no thread");
	while (!atomic_load(&sender_done))
		if (uv)
			uv_run(uv_default_loop(), UV_RUN_ONCE);
		else
			rig_turn();
	pthread_join(thread, NULL);

	return 0;
}
