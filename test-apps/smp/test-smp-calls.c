/*
 * lws-threadpool - calls, handles of a wsi and attaches on several service
 * threads (W3, R1, R2, K3)
 *
 * SPDX-License-Identifier: MIT
 *
 * Four threads serve one context.  There is a connection on each, and what a
 * test does there it does by calls [R1].
 */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cmocka.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

#define THREADS		4
#define CALLERS		3
#define EACH		2000	/* calls of a caller to a service thread */
#define MOST		200	/* connections, to have one on each */
#define DEADLINE_SECS	100

static struct lws_context *context;
static struct lws_threadpool *tp;
static int port;
static pthread_t service[THREADS];
static atomic_bool known[THREADS], stop;
static atomic_int has_handle;
static int fds[MOST], n_fds;

/* of each thread: its connection, and what happened to it */
static struct {
	struct lws * _Atomic	wsi;
	atomic_int		port;		/* of its peer */
	atomic_int		closed, writeables, wrong;
} on[THREADS];

static bool
is_thread(int tsi)
{
	return atomic_load(&known[tsi]) &&
	       pthread_equal(service[tsi], pthread_self());
}

static void
wait_int(atomic_int *p, int n)
{
	time_t end = time(NULL) + DEADLINE_SECS;

	while (atomic_load(p) < n) {
		assert_true(time(NULL) < end);
		poll(NULL, 0, 1);
	}
}

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
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	struct lws_threadpool_task *task;
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
		if (lws_threadpool_wsi_handle(tp, wsi))
			atomic_store(&has_handle, 1);
		break;
	case LWS_CALLBACK_RAW_CLOSE:
		tsi = lws_get_tsi(wsi);
		if (atomic_load(&on[tsi].wsi) == wsi)
			atomic_store(&on[tsi].closed, 1);
		break;
	case LWS_CALLBACK_RAW_WRITEABLE:
		tsi = lws_get_tsi(wsi);
		if (!is_thread(tsi))
			atomic_fetch_add(&on[tsi].wrong, 1);
		task = lws_threadpool_get_task_wsi(wsi);
		if (task && lws_threadpool_task_status(task, NULL) ==
							LWS_TP_STATUS_SYNCING)
			lws_threadpool_task_sync(task, 0);
		atomic_fetch_add(&on[tsi].writeables, 1);
		break;
	default:
		break;
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "calls", .callback = callback },
	{ .name = NULL }
};

static void *
service_thread(void *arg)
{
	int tsi = (int)(intptr_t)arg;

	service[tsi] = pthread_self();
	atomic_store(&known[tsi], true);
	while (!atomic_load(&stop) && lws_service_tsi(context, 0, tsi) >= 0)
		;

	return NULL;
}

static int
connect_one(void)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		abort();

	return fd;
}

static bool
each_has_one(void)
{
	for (int n = 0; n < THREADS; n++)
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
		fds[n_fds++] = connect_one();
		for (int ms = 0; ms < 20 && !each_has_one(); ms++)
			poll(NULL, 0, 1);
	}
}

static bool
open_context(void)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	lws_set_log_level(0, NULL);
	info.protocols = protocols;
	info.iface = "lo";
	info.port = 0;
	info.count_threads = THREADS;
	info.options = LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
	info.listen_accept_role = "raw-skt";
	info.listen_accept_protocol = "calls";
	context = lws_create_context(&info);
	assert_non_null(context);
	port = lws_get_vhost_listen_port(lws_get_vhost_by_name(context,
							       "default"));

	return lws_get_count_threads(context) == THREADS;
}

/* -------- on a service thread -------- */

struct step {
	int		tsi;
	void		(*fn)(struct step *step);
	atomic_int	done;
	bool		wrong_thread;

	struct lws			*wsi;
	struct lws_threadpool_wsi	*h;
	struct lws_threadpool_task	*task;
	struct job			*job;
	int				ret;
	enum lws_threadpool_refused	why;
};

static void
do_step(struct lws_context *cx, void *arg)
{
	struct step *step = arg;

	step->wrong_thread = !cx || !is_thread(step->tsi);
	step->fn(step);
	atomic_store(&step->done, 1);
}

static struct step *
run_on(struct step *step, int tsi, void (*fn)(struct step *step))
{
	step->tsi = tsi;
	step->fn = fn;
	atomic_store(&step->done, 0);
	assert_int_equal(lws_threadpool_call(tp, tsi, do_step, step), 0);
	wait_int(&step->done, 1);
	assert_false(step->wrong_thread);

	return step;
}

/* -------- a test's begin and end -------- */

struct job {
	atomic_int	go, cleanups;
	struct lws	*wsi;
	int		tsi;
	bool		right_thread;
};

static enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *j = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (atomic_load(&j->go))
		return LWS_TP_RETURN_FINISHED;

	return lws_threadpool_park(1000);
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *j = user;

	j->wsi = wsi;
	j->right_thread = !wsi || (is_thread(j->tsi) &&
				   lws_get_tsi(wsi) == j->tsi);
	atomic_fetch_add(&j->cleanups, 1);
}

static void
begin(void **state)
{
	struct lws_threadpool_create_args args = {
		.threads = 2, .max_queue_depth = 100
	};

	(void)state;
	memset(on, 0, sizeof(on));
	atomic_store(&has_handle, 0);
	atomic_store(&stop, false);
	n_fds = 0;
	for (int n = 0; n < THREADS; n++)
		atomic_store(&known[n], false);
	if (!open_context()) {
		lws_context_destroy(context);
		print_message("this libwebsockets has one service thread "
			      "(LWS_MAX_SMP is 1)\n");
		assert_null(getenv("LWSTP_SMP_MUST_RUN"));
		skip();
	}
	tp = lws_threadpool_create(context, &args, "calls");
	assert_non_null(tp);
	for (int n = 0; n < THREADS; n++)
		assert_int_equal(pthread_create(&service[n], NULL,
						service_thread,
						(void *)(intptr_t)n), 0);
	connect_all();
	assert_int_equal(send(fds[0], "x", 1, MSG_NOSIGNAL), 1);
	wait_int(&has_handle, 1);
}

static void
threads_end(void)
{
	atomic_store(&stop, true);
	lws_cancel_service(context);
	for (int n = 0; n < THREADS; n++)
		pthread_join(service[n], NULL);
	for (int n = 0; n < THREADS; n++)
		assert_int_equal(atomic_load(&on[n].wrong), 0);
}

static void
finish(void)
{
	threads_end();
	lws_context_destroy(context);
	lws_threadpool_destroy(tp);
	while (n_fds)
		close(fds[--n_fds]);
}

/* -------- R1 -------- */

struct caller {
	struct numbered {
		struct caller	*caller;
		int		tsi, number;
	}		all[THREADS][EACH];
	pthread_t	thread;
	int		next[THREADS];		/* its service thread's */
	atomic_int	called[THREADS];
	atomic_int	refused, disordered;
};

static struct caller callers[CALLERS];

static void
in_order(struct lws_context *cx, void *arg)
{
	struct numbered *n = arg;

	if (!cx || !is_thread(n->tsi) || n->caller->next[n->tsi] != n->number)
		atomic_fetch_add(&n->caller->disordered, 1);
	n->caller->next[n->tsi]++;
	atomic_fetch_add(&n->caller->called[n->tsi], 1);
}

static void *
call_all(void *arg)
{
	struct caller *c = arg;

	for (int n = 0; n < EACH; n++)
		for (int tsi = 0; tsi < THREADS; tsi++) {
			c->all[tsi][n] = (struct numbered){ c, tsi, n };
			if (lws_threadpool_call(tp, tsi, in_order,
						&c->all[tsi][n]))
				atomic_fetch_add(&c->refused, 1);
		}

	return NULL;
}

/* R1: each tsi's on its own thread, in the order of each caller's to it */
static void
R1_each_service_thread_has_its_own(void **state)
{
	begin(state);
	memset(callers, 0, sizeof(callers));
	for (int n = 0; n < CALLERS; n++)
		assert_int_equal(pthread_create(&callers[n].thread, NULL,
						call_all, &callers[n]), 0);
	for (int n = 0; n < CALLERS; n++) {
		pthread_join(callers[n].thread, NULL);
		for (int tsi = 0; tsi < THREADS; tsi++)
			wait_int(&callers[n].called[tsi], EACH);
		assert_int_equal(atomic_load(&callers[n].refused), 0);
		assert_int_equal(atomic_load(&callers[n].disordered), 0);
	}
	finish();
}

static atomic_int with_null;

static void
note_null(struct lws_context *cx, void *arg)
{
	if (!cx && pthread_equal(*(pthread_t *)arg, pthread_self()))
		atomic_fetch_add(&with_null, 1);
}

/* R1: no such tsi; and those of all of them that are left at the context's end
 * are called with NULL, by the thread that ends it */
static void
R1_no_such_thread_and_the_end(void **state)
{
	pthread_t self = pthread_self();

	begin(state);
	assert_int_equal(lws_threadpool_call(tp, -1, note_null, &self), -1);
	assert_int_equal(lws_threadpool_call(tp, THREADS, note_null, &self),
			 -1);
	threads_end();
	atomic_store(&with_null, 0);
	for (int n = 0; n < 3 * THREADS; n++)
		assert_int_equal(lws_threadpool_call(tp, n % THREADS, note_null,
						     &self), 0);
	lws_context_destroy(context);
	assert_int_equal(atomic_load(&with_null), 3 * THREADS);
	lws_threadpool_destroy(tp);
	while (n_fds)
		close(fds[--n_fds]);
}

/* -------- R2 -------- */

static void
get_handle(struct step *step)
{
	step->wsi = atomic_load(&on[step->tsi].wsi);
	step->h = lws_threadpool_wsi_handle(tp, step->wsi);
	step->wsi = lws_threadpool_wsi_get(step->h);
}

static void
get_wsi(struct step *step)
{
	step->wsi = lws_threadpool_wsi_get(step->h);
}

static void
ask(struct step *step)
{
	step->ret = lws_threadpool_wsi_writeable(step->h);
}

/* R2: a wsi is for its own service thread, a WRITEABLE comes on that whoever
 * asks */
static void
R2_on_its_own_thread(void **state)
{
	struct step step[THREADS];
	int before;

	begin(state);
	memset(step, 0, sizeof(step));
	for (int n = 0; n < THREADS; n++) {
		run_on(&step[n], n, get_handle);
		assert_non_null(step[n].h);
		assert_ptr_equal(step[n].wsi, atomic_load(&on[n].wsi));
	}
	for (int n = 0; n < THREADS; n++)
		for (int other = 0; other < THREADS; other++) {
			struct step s = { .h = step[n].h };

			run_on(&s, other, get_wsi);
			if (n == other)
				assert_ptr_equal(s.wsi, step[n].wsi);
			else
				assert_null(s.wsi);
			before = atomic_load(&on[n].writeables);
			run_on(&s, other, ask);
			assert_int_equal(s.ret, 0);
			wait_int(&on[n].writeables, before + 1);
		}
	finish();
}

/* -------- K3 -------- */

static void
put_job(struct step *step)
{
	struct lws_threadpool_task_args args;
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	memset(&args, 0, sizeof(args));
	args.wsi = atomic_load(&on[step->tsi].wsi);
	args.user = step->job;
	args.task = job_task;
	args.cleanup = job_cleanup;
	step->task = lws_threadpool_enqueue(tp, &args, "job");
	step->ret = step->task ?
		lws_threadpool_task_token(step->task, 0, token) : -1;
}

/* the peer of that thread's connection */
static void
hang_up(int tsi)
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
	wait_int(&on[tsi].closed, 1);
}

static void
attach(struct step *step)
{
	step->ret = lws_threadpool_task_attach(step->task, step->wsi);
	step->why = lws_threadpool_refused();
}

/* K3: on the service thread of the new wsi, and of the one that it leaves,
 * until that has closed */
static void
K3_not_from_another_service_thread(void **state)
{
	struct job job = { .tsi = 1 };
	struct step s = { .job = &job };
	struct lws *to;

	begin(state);
	to = atomic_load(&on[1].wsi);
	run_on(&s, 0, put_job);
	assert_int_equal(s.ret, 0);
	s.wsi = to;
	run_on(&s, 1, attach);
	assert_int_equal(s.ret, -1);
	assert_int_equal(s.why, LWS_TP_REFUSED_WRONG_THREAD);
	assert_int_equal(lws_threadpool_task_attached(s.task), 1);
	assert_int_equal(atomic_load(&job.cleanups), 0);

	hang_up(0);
	run_on(&s, 1, attach);
	assert_int_equal(s.ret, 0);
	atomic_store(&job.go, 1);
	wait_int(&job.cleanups, 1);
	assert_ptr_equal(job.wsi, to);
	assert_true(job.right_thread);
	finish();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R1_each_service_thread_has_its_own),
		cmocka_unit_test(R1_no_such_thread_and_the_end),
		cmocka_unit_test(R2_on_its_own_thread),
		cmocka_unit_test(K3_not_from_another_service_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
