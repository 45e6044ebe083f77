/*
 * lws-threadpool unit tests - the rig: a context, its pools, and waiting
 *
 * SPDX-License-Identifier: MIT
 *
 * It belongs to the service thread, which is the test's.
 */

#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static atomic_int rigs_alive;
static atomic_int contexts_gone; /* since fds are counted */

struct rig *
rig_of(struct lws *wsi)
{
	struct lws_context *context = wsi ? lws_get_context(wsi) : NULL;

	return context ? lws_context_user(context) : NULL;
}

static int
rig_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	     void *in, size_t len)
{
	struct rig *rig = rig_of(wsi);
	int ret;

	if (!rig)
		return 0;
	rig->events++;
	if (rig->on_event) {
		ret = rig->on_event(rig, wsi, reason, user, in, len);
		if (ret != RIG_DEFAULT)
			return ret;
	}

	return conn_event(rig, wsi, reason);
}

/* protocols[0], which hears of every wsi's end and of http */
static int
rig_callback_first(struct lws *wsi, enum lws_callback_reasons reason,
		   void *user, void *in, size_t len)
{
	struct rig *rig = rig_of(wsi);

	if (rig && rig->opt_in)
		lws_threadpool_wsi_event(wsi, reason);

	return rig_callback(wsi, reason, user, in, len);
}

/* The protocol "tp-test" also counts the broadcasts: one a broadcast */
static int
rig_callback_test(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		  void *in, size_t len)
{
	struct rig *rig = rig_of(wsi);

	if (rig && reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED)
		rig->wait_cancelled++;

	return rig_callback(wsi, reason, user, in, len);
}

static void
rig_tick(lws_sorted_usec_list_t *sul)
{
	struct rig *rig = lws_container_of(sul, struct rig, sul);

	lws_sul_schedule(rig->context, 0, sul, rig_tick, rig->tick_us);
}

static void
rig_tick_stop(struct rig *rig)
{
	lws_sul_schedule(rig->context, 0, &rig->sul, rig_tick,
			 LWS_SET_TIMER_USEC_CANCEL);
}

int
wait_secs(void)
{
	const char *secs = getenv("LWSTP_UNIT_DEADLINE");

	return secs ? atoi(secs) : 60;
}

const struct lws_protocol_vhost_options *
rig_pvo(void)
{
#if defined(LWS_WITH_PLUGINS)
	static const struct lws_protocol_vhost_options pvo[] = {
		{ &pvo[1], NULL, "tp-http", "" },
		{ &pvo[2], NULL, "tp-test", "" },
		{ &pvo[3], NULL, "tp-raw", "" },
		{ &pvo[4], NULL, "tp-client", "" },
		{ NULL, NULL, "tp-plugin", "" },
	};

	return pvo;
#else
	return NULL;
#endif
}

static void
rig_protocols(struct rig *rig)
{
	rig->protocols[0].name = "tp-http";
	rig->protocols[0].callback = rig_callback_first;
	rig->protocols[1].name = "tp-test";
	rig->protocols[1].callback = rig_callback_test;
	rig->protocols[2].name = "tp-raw";
	rig->protocols[2].callback = rig_callback;
	rig->protocols[3].name = "tp-client";
	rig->protocols[3].callback = rig_callback;
	for (int n = 0; n < 4; n++)
		rig->protocols[n].per_session_data_size = 16;
}

static void
rig_info(struct rig *rig, struct lws_context_creation_info *info)
{
	memset(info, 0, sizeof(*info));
	info->port = 0;
	info->iface = "lo";
	info->protocols = rig->protocols;
	info->pvo = rig_pvo();
	info->user = rig;
	/* int before 4.3 */
	info->gid = (__typeof__(info->gid))-1;
	info->uid = (__typeof__(info->uid))-1;
	info->fd_limit_per_thread = 4096;
}

struct rig *
rig_create(const struct rig_opts *opts)
{
	struct lws_context_creation_info info;
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->tick_us = 2 * LWS_US_PER_MS;
	rig->deadline_secs = wait_secs();
	rig->thread = pthread_self();
	rig_protocols(rig);

	atomic_store(&log_told, NULL);
	log_on();
	if (!rigs_alive++)
		log_forget();

	rig_info(rig, &info);
	if (opts) {
		rig->on_event = opts->on_event;
		rig->opt_in = opts->opt_in;
		rig->priv = opts->priv;
		if (opts->info)
			opts->info(rig, &info);
	}
	rig->evloop = evloop_new(&info);
	log_making(true);
	rig->context = lws_create_context(&info);
	log_making(false);
	assert_non_null(rig->context);
	/* With an event library lws looks at its timers after an event of its
	 * own only, not at those that are set between two turns as a test does
	 * (and with libev's not at one that is due before the first).  So there
	 * one is always ticking, that makes it look. */
	if (rig->evloop)
		rig_tick(&rig->sul);
	rig->vhost = lws_get_vhost_by_name(rig->context, "default");
	if (rig->vhost)
		rig->port = lws_get_vhost_listen_port(rig->vhost);

	return rig;
}

void
rig_context_destroy(struct rig *rig)
{
	struct lws_context *context = rig->context;

	if (!context)
		return;
	rig_tick_stop(rig);
	evloop_context_destroy(rig->evloop, context);
	contexts_gone++;
	rig->context = NULL;
	rig->vhost = NULL;
}

static void
rig_pools_destroy(struct rig *rig)
{
	for (size_t n = 0; n < LWS_ARRAY_SIZE(rig->pools); n++)
		if (rig->pools[n])
			rig_pool_destroy(rig, rig->pools[n]);
}

int
rig_destroy(struct rig *rig)
{
	int bad;

	gates_open(rig);
	if (rig->context_first)
		rig_context_destroy(rig);
	rig_pools_destroy(rig);
	rig_context_destroy(rig);

	bad = jobs_free(rig);
	conns_free(rig);
	gates_free(rig);
	if (!rig->any_log && log_unclaimed()) {
		log_print_unclaimed();
		bad = 1;
	}
	evloop_free(rig->evloop);
	free(rig);
	if (!--rigs_alive)
		log_free();

	return bad;
}

int
rig_setup(void **state)
{
	*state = rig_create(NULL);

	return 0;
}

int
rig_teardown(void **state)
{
	return rig_destroy(*state);
}

/* What the service thread is at, for the message of a wait that failed */
static char detail[80];

void
rig_detail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(detail, sizeof(detail), format, ap);
	va_end(ap);
}

static void
late(const char *what, const char *file, int line)
{
	log_print_unclaimed();
	print_error("waited too long for: %s (%s)\n", what, detail);
	_fail(file, line);
}

void
rig_until_(struct rig *rig, bool (*cond)(void *), void *arg, const char *what,
	   const char *file, int line)
{
	lws_usec_t end = lws_now_usecs() + rig->deadline_secs * LWS_US_PER_SEC;
	bool met;

	if (!rig->context) {
		wait_until_(cond, arg, what, file, line);
		return;
	}
	if (cond(arg))
		return;
	rig_tick(&rig->sul);
	while (!(met = cond(arg)) && lws_now_usecs() < end)
		rig_turn(rig, true);
	if (!rig->evloop)
		rig_tick_stop(rig);
	if (!met)
		late(what, file, line);
}

struct at_least {
	atomic_int *p;
	int n;
};

static bool
is_at_least(void *arg)
{
	struct at_least *a = arg;

	return atomic_load(a->p) >= a->n;
}

void
rig_until_int_(struct rig *rig, atomic_int *p, int n, const char *what,
	       const char *file, int line)
{
	struct at_least a = { p, n };

	rig_until_(rig, is_at_least, &a, what, file, line);
}

void
wait_until_(bool (*cond)(void *), void *arg, const char *what, const char *file,
	    int line)
{
	lws_usec_t end = lws_now_usecs() + wait_secs() * LWS_US_PER_SEC;
	int tries = 0;

	while (!cond(arg)) {
		if (lws_now_usecs() > end)
			late(what, file, line);
		if (tries++ < 100)
			sched_yield();
		else
			poll(NULL, 0, 1);
	}
}

void
wait_int_(atomic_int *p, int n, const char *what, const char *file, int line)
{
	struct at_least a = { p, n };

	wait_until_(is_at_least, &a, what, file, line);
}

void
rig_turn(struct rig *rig, bool wait)
{
	evloop_turn(rig->evloop, rig->context, wait);
}

void
rig_turns(struct rig *rig, int turns)
{
	while (turns--)
		rig_turn(rig, false);
}

void
rig_drain(struct rig *rig)
{
	unsigned long before;
	int quiet = 0;

	while (quiet < 10) {
		before = rig->events;
		rig_turn(rig, false);
		quiet = rig->events == before ? quiet + 1 : 0;
	}
}

static int
open_fds(void)
{
	int n, open = 0;

	/* with all its arguments, for tests that get in between */
	for (n = 0; n < 1024; n++)
		open += fcntl(n, F_GETFD, 0L) >= 0;

	return open;
}

/* What lws itself leaves open of a context: 4.3.5 an eventfd, others nothing */
static int
fds_lost_by_lws(void)
{
	struct lws_context_creation_info info;
	struct lws_context *context;
	struct evloop *loop;
	int before = open_fds();

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.gid = (__typeof__(info.gid))-1;
	info.uid = (__typeof__(info.uid))-1;
	log_off();
	loop = evloop_new(&info);
	context = lws_create_context(&info);
	assert_non_null(context);
	evloop_context_destroy(loop, context);
	evloop_free(loop);
	log_on();

	return open_fds() - before;
}

int
rig_open_fds(void)
{
	static int lost = -1;

	if (lost < 0) {
		evloop_warm();
		lost = fds_lost_by_lws();
		contexts_gone = 0;
	}

	return open_fds() - lost * contexts_gone;
}

struct lws_threadpool *
rig_pool_ext(struct rig *rig, int threads, int depth,
	     const struct lws_threadpool_options *options)
{
	struct lws_threadpool_create_args args;
	struct lws_threadpool *tp;
	size_t n = 0;

	memset(&args, 0, sizeof(args));
	args.threads = threads;
	args.max_queue_depth = depth;
	while (n < LWS_ARRAY_SIZE(rig->pools) && rig->pools[n])
		n++;
	assert_true(n < LWS_ARRAY_SIZE(rig->pools));
	if (options)
		tp = lws_threadpool_create_ext(rig->context, &args, options,
					       "unit%d", (int)n);
	else
		tp = lws_threadpool_create(rig->context, &args, "unit%d",
					   (int)n);
	assert_non_null(tp);
	rig->pools[n] = tp;

	return tp;
}

struct lws_threadpool *
rig_pool(struct rig *rig, int threads, int depth)
{
	return rig_pool_ext(rig, threads, depth, NULL);
}

void
rig_pool_destroy(struct rig *rig, struct lws_threadpool *tp)
{
	for (size_t n = 0; n < LWS_ARRAY_SIZE(rig->pools); n++)
		if (rig->pools[n] == tp)
			rig->pools[n] = NULL;
	lws_threadpool_destroy(tp);
}
