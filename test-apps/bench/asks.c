/*
 * lws-threadpool benchmark - other threads ask for WRITEABLEs
 *
 * SPDX-License-Identifier: MIT
 *
 * Each thread asks for one of all wsi in turn, as fast as it can; one WRITEABLE
 * is enough for all that came before it.  Beside it, with -m cancel, what there
 * is without a handle: each thread keeps a list under a lock and calls
 * lws_cancel_service(), and the service thread asks for what is on the list.
 */

#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

static long called; /* service thread */
static atomic_long asked;
static atomic_bool quit;

static int
count(struct rig_wsi *w)
{
	(void)w;
	called++;

	return 0;
}

/*
 * A list of one's own
 */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool *is_listed;	   /* lock */
static long *list, listed; /* lock */

static void
put_on_list(long n)
{
	bool first;

	pthread_mutex_lock(&lock);
	first = !listed;
	if (!is_listed[n]) {
		is_listed[n] = true;
		list[listed++] = n;
	}
	pthread_mutex_unlock(&lock);
	if (first)
		lws_cancel_service(rig.context);
}

static void
take_the_list(void)
{
	pthread_mutex_lock(&lock);
	while (listed) {
		is_listed[list[--listed]] = false;
		lws_callback_on_writable(rig.wsis[list[listed]].wsi);
	}
	pthread_mutex_unlock(&lock);
}

#if !defined(BENCH_BUILTIN)

static struct lws_threadpool_wsi **handles;

static void
make_handles(void)
{
	struct lws_threadpool *tp = rig_pool(1, 16);
	long n;

	handles = need((size_t)opt.n, sizeof(*handles));
	for (n = 0; n < opt.n; n++) {
		handles[n] = lws_threadpool_wsi_handle(tp, rig.wsis[n].wsi);
		if (!handles[n])
			die("no handle");
	}
}

static void
ask(long n)
{
	if (!handles)
		put_on_list(n);
	else if (lws_threadpool_wsi_writeable(handles[n]))
		die("it has closed");
}

#else

static void
make_handles(void)
{
	die("it has no handles");
}

static void
ask(long n)
{
	put_on_list(n);
}

#endif

static void *
asks(void *arg)
{
	long n = (long)(size_t)arg, mine = 0;

	for (; !atomic_load_explicit(&quit, memory_order_relaxed); mine++) {
		ask(n);
		n = (n + 1) % opt.n;
	}
	atomic_fetch_add(&asked, mine);

	return NULL;
}

int
bench_asks(void)
{
	pthread_t *threads = need((size_t)opt.threads, sizeof(*threads));
	uint64_t begun;
	double secs;
	int t;

	if (!opt.n)
		opt.n = 1000;
	params("n=%ld;t=%d;s=%g", opt.n, opt.threads, opt.secs);
	rig_up(opt.n, count);
	if (is(opt.who, "cancel")) {
		is_listed = need((size_t)opt.n, sizeof(*is_listed));
		list = need((size_t)opt.n, sizeof(*list));
		rig.on_cancelled = take_the_list;
	} else
		make_handles();
	begun = now_ns();
	for (t = 0; t < opt.threads; t++)
		if (pthread_create(&threads[t], NULL, asks,
				   (void *)(size_t)(t * opt.n / opt.threads)))
			die("no thread");
	rig_limit(opt.secs);
	while (!rig.late)
		rig_turn();
	atomic_store(&quit, true);
	for (t = 0; t < opt.threads; t++)
		pthread_join(threads[t], NULL);
	secs = (double)(now_ns() - begun) / 1e9;
	out("asked", (double)atomic_load(&asked) / secs, "a second");
	out("rate", (double)called / secs, "writeables/s");

	return 0;
}
