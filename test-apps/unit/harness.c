/*
 * lws-threadpool unit tests - the harness: rig, connections, jobs and the log
 *
 * SPDX-License-Identifier: MIT
 *
 * Jobs are touched by workers, through atomics and gates only; the log by any
 * thread, under its mutex; everything else by the service thread, which is the
 * test's.
 */

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINES	20000
#define LOG_LEVELS	(LLL_ERR | LLL_WARN | LLL_NOTICE | LLL_USER | \
			 LLL_THREAD)
#define GATE_SECS	100

struct gate {
	pthread_mutex_t	lock;
	pthread_cond_t	cond;
	bool		open;
	struct gate	*next;
};

/* -------- the log -------- */

struct log_line {
	int	level;
	bool	claimed;
	char	text[200];
};

static struct {
	pthread_mutex_t	lock;
	struct log_line	*lines;
	int		count;
	int		lost;
} lg = { .lock = PTHREAD_MUTEX_INITIALIZER };

static atomic_int rigs_alive;
static atomic_int contexts_gone;	/* since fds are counted */

/* From 5.0 on lws leaves out a line that is the same as the one before.  So we
 * put one between them, which goes nowhere. */
static void
log_between(int level)
{
#if LWS_LIBRARY_VERSION_NUMBER >= 5000000
	_lws_log(level, "between\n");
#else
	(void)level;
#endif
}

static void
log_line(int level, const char *line)
{
	struct log_line *l;

	/* lws's own: 4.1.6 tells of each event library that it loads, 4.3 of
	 * each wsi that comes and goes, that a second context has no netlink
	 * socket, and that nobody heard its messages while a slow machine made
	 * thousands of connections */
	if (getenv("LWSTP_UNIT_EVLIB") && level == LLL_NOTICE &&
	    !strstr(line, "lws_threadpool"))
		return;
	if (LWS_LIBRARY_VERSION_NUMBER >= 4003000 &&
	    ((level == LLL_NOTICE && !strstr(line, "lws_threadpool")) ||
	     strstr(line, "netlink bind failed") ||
	     strstr(line, "lws_smd_message_pending: timing out")))
		return;

	pthread_mutex_lock(&lg.lock);
	if (!lg.lines)
		lg.lines = calloc(LOG_LINES, sizeof(*lg.lines));
	if (!lg.lines || lg.count == LOG_LINES) {
		if (level & (LLL_ERR | LLL_WARN | LLL_NOTICE))
			lg.lost++;
	} else {
		l = &lg.lines[lg.count++];
		l->level = level;
		l->claimed = false;
		snprintf(l->text, sizeof(l->text), "%s", line);
		l->text[strcspn(l->text, "\n")] = '\0';
	}
	pthread_mutex_unlock(&lg.lock);
	if (getenv("LWSTP_UNIT_VERBOSE"))
		fprintf(stderr, "[%x] %s", (unsigned int)level, line);
}

/* This thread is in lws_create_context(), which tells much at NOTICE, and some
 * at WARN of a second context.  lws has one level for all threads, so it is not
 * for us to lower it meanwhile. */
static _Thread_local bool making;

void (*_Atomic log_told)(const char *line);

static void
log_emit(int level, const char *line)
{
	static _Thread_local bool between;
	void (*told)(const char *line) = atomic_load(&log_told);

	if (between || (making && level != LLL_ERR))
		return;
	log_line(level, line);
	if (told)
		told(line);
	between = true;
	log_between(level);
	between = false;
}

static int
log_find(int level, const char *text, bool claim)
{
	int n, found = 0;

	pthread_mutex_lock(&lg.lock);
	for (n = 0; n < lg.count; n++)
		if (lg.lines[n].level == level &&
		    strstr(lg.lines[n].text, text)) {
			found++;
			lg.lines[n].claimed |= claim;
		}
	pthread_mutex_unlock(&lg.lock);

	return found;
}

int
log_count(int level, const char *text)
{
	return log_find(level, text, false);
}

int
log_claim(int level, const char *text)
{
	return log_find(level, text, true);
}

static int
log_walk_unclaimed(bool print)
{
	int n, found;

	pthread_mutex_lock(&lg.lock);
	found = lg.lost;
	if (print && found)
		print_error("  %d more than the log holds\n", found);
	for (n = 0; n < lg.count; n++)
		if ((lg.lines[n].level & (LLL_ERR | LLL_WARN | LLL_NOTICE)) &&
		    !lg.lines[n].claimed) {
			found++;
			if (print)
				print_error("  unexpected log, level %d: %s\n",
					    lg.lines[n].level,
					    lg.lines[n].text);
		}
	pthread_mutex_unlock(&lg.lock);

	return found;
}

int
log_unclaimed(void)
{
	return log_walk_unclaimed(false);
}

void
log_print_unclaimed(void)
{
	log_walk_unclaimed(true);
}

/* lws tells of each event of libev, in the one static buffer that it writes all
 * lines into: so not there, for a worker's line that meets one would be lost */
static int
log_levels(void)
{
	return evloop_is("ev") ? LOG_LEVELS & ~LLL_NOTICE : LOG_LEVELS;
}

void
log_info(void)
{
	lws_set_log_level(log_levels() | LLL_INFO, log_emit);
}

void
log_forget(void)
{
	pthread_mutex_lock(&lg.lock);
	lg.count = 0;
	lg.lost = 0;
	pthread_mutex_unlock(&lg.lock);
}

static void
log_free(void)
{
	pthread_mutex_lock(&lg.lock);
	free(lg.lines);
	lg.lines = NULL;
	lg.count = 0;
	lg.lost = 0;
	pthread_mutex_unlock(&lg.lock);
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN
#endif

#if defined(UNDER_TSAN)
const char *
__tsan_default_suppressions(void);

/* libwebsockets with LWS_MAX_SMP 1 writes every line that it logs into a static
 * buffer: its own lines and those of a worker may meet there.  (From 4.3 on by
 * functions of lws that hide their caller, since it is not built with TSan; or by
 * the checked vsnprintf(), which nothing else here calls.) */
const char *
__tsan_default_suppressions(void)
{
	if (LWS_LIBRARY_VERSION_NUMBER < 4003000)
		return "race:_lws_logv\n";

	return "race:_lws_logv\nrace:lws_snprintf\nrace:lws_strncpy\n"
	       "race_top:__vsnprintf_chk\n";
}
#endif

/* What the service thread is at, for the message of a wait that failed */
static char detail[80];

static void LWS_FORMAT(1)
log_detail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(detail, sizeof(detail), format, ap);
	va_end(ap);
}

/* -------- callbacks -------- */

static struct rig *
rig_of(struct lws *wsi)
{
	struct lws_context *context = wsi ? lws_get_context(wsi) : NULL;

	return context ? lws_context_user(context) : NULL;
}

struct conn *
conn_of(struct lws *wsi)
{
	struct rig *rig = rig_of(wsi);
	struct conn *c;
	void *opaque;

	if (!rig)
		return NULL;
	opaque = lws_get_opaque_user_data(wsi);
	for (c = opaque ? rig->conns : NULL; c; c = c->next)
		if (c == opaque)
			return c;

	return NULL;
}

struct job *
job_serve_one(struct lws *wsi)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	enum lws_threadpool_task_status s;
	void *user = NULL;
	struct job *j;

	if (!task)
		return NULL;
	s = lws_threadpool_task_status(task, &user);
	j = user;
	if (!j)
		return NULL;
	j->seen[s]++;
	if (s == LWS_TP_STATUS_FINISHED || s == LWS_TP_STATUS_STOPPED)
		j->reaped_as = (int)s;
	if (s == LWS_TP_STATUS_SYNCING)
		lws_threadpool_task_sync(task, 0);

	return j;
}

/* lws reads nothing from an http/1 peer during its transaction, and libev does
 * not tell it that a pipe has lost its reader: as any server does, we learn
 * that it is gone from our writes. */
static bool
conn_write_fails(struct conn *c, struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 1] = { 0 };

	if (c->kind == CONN_PIPE)
		return write(lws_get_socket_fd(wsi), buf, 1) < 0;
	if (lws_write(wsi, buf + LWS_PRE, 1, LWS_WRITE_HTTP) < 0)
		return true;
	lws_callback_on_writable(wsi);

	return false;
}

static int
conn_writeable(struct conn *c, struct lws *wsi)
{
	lws_usec_t now = lws_now_usecs();

	if (wsi == c->client) {
		c->client_writeables++;
	} else {
		if (c->writeables++ && now - c->last_writeable > c->max_gap)
			c->max_gap = now - c->last_writeable;
		c->last_writeable = now;
		if (c->die || (c->gone && conn_write_fails(c, wsi)))
			return -1;
	}
	if (!c->manual)
		job_serve_one(wsi);

	return 0;
}

static void
conn_bind(struct rig *rig, struct lws *wsi, enum conn_kind kind)
{
	struct conn *c = rig->opening;

	if (!c || c->wsi || (c->kind != kind &&
			     (kind != CONN_WS || c->kind != CONN_WS_CLIENT)))
		return;
	c->wsi = wsi;
	c->up = true;
	lws_set_opaque_user_data(wsi, c);
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
}

static void
conn_closed(struct conn *c, struct lws *wsi)
{
	if (!c)
		return;
	if (wsi == c->client) {
		c->client = NULL;
		c->client_closed = true;
	}
	if (wsi == c->wsi) {
		c->wsi = NULL;
		c->closed = true;
	}
}

static int
rig_default(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason)
{
	struct conn *c;

	switch ((int)reason) {
	case LWS_CALLBACK_ESTABLISHED:
		conn_bind(rig, wsi, CONN_WS);
		return 0;
	case LWS_CALLBACK_HTTP:
		conn_bind(rig, wsi, CONN_HTTP);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		c = conn_of(wsi);
		if (c) {
			c->client = c->client_was = wsi;
			c->client_up = true;
		}
		return 0;

	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
	case LWS_CALLBACK_HTTP_WRITEABLE:
	case LWS_CALLBACK_RAW_WRITEABLE:
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		c = conn_of(wsi);
		return c ? conn_writeable(c, wsi) : 0;

	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_RAW_CLOSE:
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		conn_closed(conn_of(wsi), wsi);
		return 0;

	case LWS_CALLBACK_CHILD_CLOSING:
		c = conn_of(wsi);
		if (c)
			c->child_closings++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		c = conn_of(wsi);
		if (c && wsi != c->client_was) {
			conn_closed(c, wsi);
			c->destroyed = true;
		}
		return 0;
	default:
		return 0;
	}
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

	return rig_default(rig, wsi, reason);
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
rig_callback_test(struct lws *wsi, enum lws_callback_reasons reason,
		  void *user, void *in, size_t len)
{
	struct rig *rig = rig_of(wsi);

	if (rig && reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED)
		rig->wait_cancelled++;

	return rig_callback(wsi, reason, user, in, len);
}

/* -------- rig -------- */

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

struct rig *
rig_create(const struct rig_opts *opts)
{
	struct lws_context_creation_info info;
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->tick_us = 2 * LWS_US_PER_MS;
	rig->deadline_secs = wait_secs();
	rig->thread = pthread_self();
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

	atomic_store(&log_told, NULL);
	lws_set_log_level(log_levels(), log_emit);
	if (!rigs_alive++)
		log_forget();

	memset(&info, 0, sizeof(info));
	info.port = 0;
	info.iface = "lo";
	info.protocols = rig->protocols;
	info.pvo = rig_pvo();
	info.user = rig;
	/* int before 4.3 */
	info.gid = (__typeof__(info.gid))-1;
	info.uid = (__typeof__(info.uid))-1;
	info.fd_limit_per_thread = 4096;
	if (opts) {
		rig->on_event = opts->on_event;
		rig->opt_in = opts->opt_in;
		rig->priv = opts->priv;
		if (opts->info)
			opts->info(rig, &info);
	}
	rig->evloop = evloop_new(&info);
	making = true;
	rig->context = lws_create_context(&info);
	making = false;
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

static int
job_check(struct job *j)
{
	int cleanups = atomic_load(&j->cleanups);
	const char *why = NULL;

	if (atomic_load(&j->faults))
		why = j->fault;
	else if (j->accepted && cleanups != 1)
		why = "accepted, but not cleaned up exactly once (T7)";
	else if (!j->accepted && (cleanups || atomic_load(&j->calls)))
		why = "refused, but called or cleaned up (T8)";
	else if (atomic_load(&j->calls) != atomic_load(&j->returns))
		why = "still in its function after its pool is gone";
	if (!why)
		return 0;
	print_error("  job %s: %s; %d calls, %d with STOPPING, %d cleanups\n",
		    j->name ? j->name : "?", why, atomic_load(&j->calls),
		    atomic_load(&j->stopping), cleanups);

	return 1;
}

int
rig_destroy(struct rig *rig)
{
	struct gate *g;
	struct conn *c;
	struct job *j;
	int bad = 0;

	for (g = rig->gates; g; g = g->next)
		gate_open(g);
	if (rig->context_first)
		rig_context_destroy(rig);
	rig_pools_destroy(rig);
	rig_context_destroy(rig);

	while ((j = rig->jobs)) {
		rig->jobs = j->next;
		bad |= job_check(j);
		free(j);
	}
	while ((c = rig->conns)) {
		rig->conns = c->next;
		if (c->fd >= 0)
			close(c->fd);
		free(c);
	}
	while ((g = rig->gates)) {
		rig->gates = g->next;
		pthread_mutex_destroy(&g->lock);
		pthread_cond_destroy(&g->cond);
		free(g);
	}
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
	atomic_int	*p;
	int		n;
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
wait_until_(bool (*cond)(void *), void *arg, const char *what,
	    const char *file, int line)
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
	lws_set_log_level(0, log_emit);
	loop = evloop_new(&info);
	context = lws_create_context(&info);
	assert_non_null(context);
	evloop_context_destroy(loop, context);
	evloop_free(loop);
	lws_set_log_level(LOG_LEVELS, log_emit);

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

/* -------- connections -------- */

const char *
conn_kind_name(enum conn_kind kind)
{
	static const char * const names[] = {
		"ws", "ws-client", "http", "raw", "raw-tcp", "file", "pipe"
	};

	return names[kind];
}

/* ours, for lws: it is there only where lws calls it */
void
lws_threadpool_wsi_closing(struct lws *wsi) __attribute__((weak));

bool
conn_kind_watched(enum conn_kind kind)
{
	return !lws_threadpool_wsi_closing || kind == CONN_FILE ||
	       kind == CONN_PIPE;
}

static void
fd_prepare(int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

int
tcp_connect(int port)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	fd_prepare(fd);

	return fd;
}

int
tcp_listen(int *port)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	fd_prepare(fd);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);

	return fd;
}

static void
tcp_pair(int fds[2])
{
	int port, listener = tcp_listen(&port);

	fds[1] = tcp_connect(port);
	fds[0] = accept(listener, NULL, NULL);
	fd_prepare(fds[0]);
	close(listener);
}

static void
conn_adopt(struct conn *c, lws_adoption_type type, int fd)
{
	lws_adopt_desc_t desc;

	memset(&desc, 0, sizeof(desc));
	desc.vh = c->rig->vhost;
	desc.type = type;
	if (type & LWS_ADOPT_SOCKET)
		desc.fd.sockfd = fd;
	else
		desc.fd.filefd = fd;
	desc.vh_prot_name = "tp-raw";
	desc.opaque = c;
	c->wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	assert_non_null(c->wsi);
	c->up = true;
}

/* to the rig's vhost, by its name: where that does not listen others may have
 * the same "port" */
static void
conn_request(struct conn *c, const char *headers)
{
	struct rig *rig = c->rig;
	char req[512];
	int fds[2], n;

	n = snprintf(req, sizeof(req), "GET / HTTP/1.1\r\n"
		     "Host: %s:%d\r\n%s\r\n", rig->port > 0 ? "localhost" :
		     lws_get_vhost_name(rig->vhost), rig->port, headers);
	if (rig->port > 0) {
		c->fd = tcp_connect(rig->port);
	} else {
		tcp_pair(fds);
		c->fd = fds[1];
		assert_non_null(lws_adopt_socket_vhost(rig->vhost, fds[0]));
	}
	conn_send(c, req, (size_t)n);
}

static bool
is_up(void *arg)
{
	struct conn *c = arg;

	return c->up && (c->kind != CONN_WS_CLIENT || c->client_up);
}

/* Take the 101 and its headers off the peer's socket, a byte at a time since
 * a first frame may follow. */
static bool
has_upgraded(void *arg)
{
	static const char end[] = "\r\n\r\n";
	struct conn *c = arg;
	char b;

	while (conn_recv(c, &b, 1) == 1) {
		if (b == end[c->writeables])
			c->writeables++;
		else
			c->writeables = b == '\r';
		if (c->writeables == 4)
			return true;
	}

	return false;
}

static void
conn_open_ws(struct conn *c)
{
	conn_request(c, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Key: bHdzdHAtdW5pdC10ZXN0cw==\r\n"
		     "Sec-WebSocket-Version: 13\r\n"
		     "Sec-WebSocket-Protocol: tp-test\r\n");
	rig_until(c->rig, is_up, c);
	c->writeables = 0;
	rig_until(c->rig, has_upgraded, c);
	c->writeables = 0;
}

static void
conn_open_ws_client(struct conn *c)
{
	struct lws_client_connect_info info;

	memset(&info, 0, sizeof(info));
	info.context = c->rig->context;
	info.vhost = c->rig->vhost;
	info.address = "127.0.0.1";
	info.host = "localhost";
	info.origin = "localhost";
	info.path = "/";
	info.port = c->rig->port;
	info.protocol = "tp-test";
	info.local_protocol_name = "tp-client";
	info.opaque_user_data = c;
	assert_non_null(lws_client_connect_via_info(&info));
	rig_until(c->rig, is_up, c);
}

struct conn *
conn_open(struct rig *rig, enum conn_kind kind)
{
	struct conn *c = calloc(1, sizeof(*c));
	int fds[2] = { -1, -1 };

	assert_non_null(c);
	c->rig = rig;
	c->kind = kind;
	c->fd = -1;
	c->next = rig->conns;
	rig->conns = c;
	rig->opening = c;
	switch (kind) {
	case CONN_WS:
		conn_open_ws(c);
		break;
	case CONN_WS_CLIENT:
		conn_open_ws_client(c);
		break;
	case CONN_HTTP:
		conn_request(c, "");
		rig_until(rig, is_up, c);
		break;
	case CONN_RAW:
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		fd_prepare(fds[0]);
		fd_prepare(fds[1]);
		c->fd = fds[1];
		conn_adopt(c, LWS_ADOPT_SOCKET, fds[0]);
		break;
	case CONN_RAW_TCP:
		tcp_pair(fds);
		c->fd = fds[1];
		conn_adopt(c, LWS_ADOPT_SOCKET, fds[0]);
		break;
	case CONN_FILE:
		/* not at the address of a wsi that closed in this turn: of a
		 * file we cannot know that it is another one (W4) */
		rig_turns(rig, 1);
		conn_adopt(c, LWS_ADOPT_RAW_FILE_DESC,
			   eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		break;
	case CONN_PIPE:
		rig_turns(rig, 1);
		assert_int_equal(pipe(fds), 0);
		fd_prepare(fds[0]);
		fd_prepare(fds[1]);
		c->fd = fds[0];
		conn_adopt(c, LWS_ADOPT_RAW_FILE_DESC, fds[1]);
		break;
	case CONN_KINDS:
		fail();
	}
	rig->opening = NULL;

	return c;
}

static void
conn_gone(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	if (!c->wsi || (c->kind != CONN_HTTP &&
			(c->kind != CONN_PIPE || !evloop_is("ev"))))
		return;
	c->gone = true;
	lws_callback_on_writable(c->wsi);
}

void
conn_fin(struct conn *c)
{
	if (c->kind == CONN_WS_CLIENT) {
		if (c->client)
			lws_set_timeout(c->client, PENDING_TIMEOUT_USER_OK,
					LWS_TO_KILL_ASYNC);
		return;
	}
	assert_true(c->fd >= 0);
	conn_gone(c);
}

void
conn_rst(struct conn *c)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_true(c->kind == CONN_WS || c->kind == CONN_HTTP ||
		    c->kind == CONN_RAW_TCP);
	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)), 0);
	conn_gone(c);
}

void
conn_ws_close(struct conn *c)
{
	/* masked with zero, 1000 */
	static const uint8_t frame[] = { 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8 };

	assert_int_equal(c->kind, CONN_WS);
	conn_send(c, frame, sizeof(frame));
}

void
conn_die(struct conn *c)
{
	c->die = true;
	lws_callback_on_writable(c->wsi);
}

void
conn_timeout(struct conn *c)
{
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static bool
is_closed(void *arg)
{
	struct conn *c = arg;

	return c->closed;
}

void
conn_until_closed(struct conn *c)
{
	if (!c->closed)
		log_detail("%s, peer fd %d", conn_kind_name(c->kind), c->fd);
	rig_until(c->rig, is_closed, c);
}

void
conn_send(struct conn *c, const void *buf, size_t len)
{
	assert_int_equal(send(c->fd, buf, len, MSG_NOSIGNAL), (ssize_t)len);
}

ssize_t
conn_recv(struct conn *c, void *buf, size_t len)
{
	return read(c->fd, buf, len);
}

/* -------- gates and jobs -------- */

struct gate *
gate_new(struct rig *rig)
{
	struct gate *g = calloc(1, sizeof(*g));
	pthread_condattr_t attr;

	assert_non_null(g);
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->cond, &attr);
	pthread_condattr_destroy(&attr);
	g->next = rig->gates;
	rig->gates = g;

	return g;
}

static void
gate_set(struct gate *g, bool open)
{
	pthread_mutex_lock(&g->lock);
	g->open = open;
	pthread_cond_broadcast(&g->cond);
	pthread_mutex_unlock(&g->lock);
}

void
gate_open(struct gate *g)
{
	gate_set(g, true);
}

void
gate_close(struct gate *g)
{
	gate_set(g, false);
}

void
gate_pass(struct gate *g)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += GATE_SECS;
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		if (pthread_cond_timedwait(&g->cond, &g->lock, &end)) {
			fprintf(stderr, "nobody opened a worker's gate\n");
			abort();
		}
	pthread_mutex_unlock(&g->lock);
}

void
job_fault(struct job *j, const char *what)
{
	if (!atomic_fetch_add(&j->faults, 1))
		snprintf(j->fault, sizeof(j->fault), "%s", what);
}

static int
job_next(struct job *j, int call, enum lws_threadpool_task_status s)
{
	if (j->fn)
		return j->fn(j, s);
	if (s == LWS_TP_STATUS_STOPPING)
		return j->stop_ret;

	return call < j->repeat ? j->ret : j->last;
}

static void
job_note_thread(struct job *j, int call)
{
	if (!call)
		j->first_thread = pthread_self();
	else if (!pthread_equal(j->first_thread, pthread_self()))
		atomic_fetch_add(&j->moved, 1);
}

static enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *j = user;
	int call, ret;

	if (atomic_fetch_add(&j->in_call, 1))
		job_fault(j, "called by two threads at once (T2)");
	if (s != LWS_TP_STATUS_RUNNING && s != LWS_TP_STATUS_STOPPING)
		job_fault(j, "called with neither RUNNING nor STOPPING (T2)");
	if (atomic_load(&j->cleanups))
		job_fault(j, "called after its cleanup (T7)");
	if (atomic_load(&j->stopping))
		job_fault(j, "called again after STOPPING (T4)");
	job_note_thread(j, atomic_load(&j->calls));
	if (s == LWS_TP_STATUS_STOPPING)
		atomic_fetch_add(&j->stopping, 1);
	else
		atomic_fetch_add(&j->running, 1);
	call = atomic_fetch_add(&j->calls, 1);

	if (j->gate && call == j->gate_call && s != LWS_TP_STATUS_STOPPING)
		gate_pass(j->gate);
	if (j->stop_gate && s == LWS_TP_STATUS_STOPPING)
		gate_pass(j->stop_gate);
	ret = job_next(j, call, s);

	atomic_fetch_add(&j->returns, 1);
	atomic_fetch_sub(&j->in_call, 1);

	return (enum lws_threadpool_task_return)ret;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *j = user;

	if (atomic_load(&j->in_call))
		job_fault(j, "cleaned up inside its function (T7)");
	if (atomic_load(&j->cleanups)) {
		job_fault(j, "cleaned up twice (T7)");
		return;
	}
	j->cleanup_thread = pthread_self();
	j->cleanup_wsi = wsi;
	if (j->on_cleanup)
		j->on_cleanup(j, wsi);
	atomic_fetch_add(&j->cleanups, 1);
}

struct job *
job_new(struct rig *rig)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->rig = rig;
	j->last = LWS_TP_RETURN_FINISHED;
	j->stop_ret = LWS_TP_RETURN_STOPPED;
	j->reaped_as = -1;
	j->next = rig->jobs;
	rig->jobs = j;

	return j;
}

struct job *
job_script(struct rig *rig, int repeat, int ret)
{
	struct job *j = job_new(rig);

	j->repeat = repeat;
	j->ret = ret;

	return j;
}

struct job *
job_gated(struct rig *rig, struct gate *gate)
{
	struct job *j = job_new(rig);

	j->gate = gate;

	return j;
}

void
job_args(struct job *j, struct lws *wsi, struct lws_threadpool_task_args *args)
{
	memset(args, 0, sizeof(*args));
	args->wsi = wsi;
	args->user = j;
	args->name = j->name;
	args->async_task = j->async_task;
	args->task = job_task;
	args->cleanup = job_cleanup;
}

void
job_accepted(struct job *j, struct lws_threadpool_task *task)
{
	j->task = task;
	j->accepted = task != NULL;
}

struct lws_threadpool_task *
job_enqueue(struct lws_threadpool *tp, struct job *j, struct lws *wsi)
{
	struct lws_threadpool_task_args args;

	job_args(j, wsi, &args);
	job_accepted(j, lws_threadpool_enqueue(tp, &args, "%s",
					       j->name ? j->name : "job"));

	return j->task;
}

struct job *
job_block(struct rig *rig, struct lws_threadpool *tp, struct gate *gate)
{
	struct job *j = job_gated(rig, gate);

	j->name = "blocker";
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);

	return j;
}

struct job *
job_park(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, wsi));
	wait_status(j, LWS_TP_STATUS_SYNCING);

	return j;
}

bool
rig_is_cleaned(void *arg)
{
	struct rig *rig = arg;

	for (struct job *j = rig->jobs; j; j = j->next)
		if (j->accepted && !atomic_load(&j->cleanups))
			return false;

	return true;
}

struct job_wait {
	struct job			*j;
	enum lws_threadpool_task_status	s;
};

static bool
has_status(void *arg)
{
	struct job_wait *w = arg;

	return lws_threadpool_task_status_noreap(w->j->task) == w->s;
}

void
wait_status_(struct job *j, enum lws_threadpool_task_status s,
	     const char *what, const char *file, int line)
{
	struct job_wait w = { j, s };

	wait_until_(has_status, &w, what, file, line);
}

void
rig_until_status_(struct job *j, enum lws_threadpool_task_status s,
		  const char *what, const char *file, int line)
{
	struct job_wait w = { j, s };

	rig_until_(j->rig, has_status, &w, what, file, line);
}
