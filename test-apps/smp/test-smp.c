/*
 * lws-threadpool - a storm on several service threads (W3)
 *
 * SPDX-License-Identifier: MIT
 *
 * Four threads serve one context, and two more connect to it, talk and hang up
 * in the middle.  Each connection has some tasks that stream.  Every WRITEABLE,
 * and every cleanup that has a wsi, must come on the service thread of that
 * wsi, by thread id; every task must be cleaned up exactly once.
 *
 * It goes in rounds: all connect, all begin to stream, then all hang up, and
 * each service thread has come out of lws once before what follows.  For
 * libwebsockets itself (seen with 4.1.6) does not stand one service thread that
 * accepts, or adopts, while another closes:
 *
 *  - the first takes the context's lock and then that of the other's thread,
 *    the second the other way round, after its last callback: a deadlock;
 *  - before 5.0 an fd is closed first and struck from the table of fds then,
 *    when its number may already be that of a new connection, which is deaf
 * from then on.  Our watches are such fds: each wsi has its own by its first
 * task.
 */

#include "smp.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>

#define CLIENT_THREADS 2
#define ROUNDS	       12
#define AT_ONCE	       20 /* connections a client thread */
#define TASKS	       3  /* a connection */
#define SYNCS	       8  /* a task */
#define MORE	       64 /* connections, to reach another thread */
#define DEADLINE_SECS  200

struct task {
	int tsi;
	int syncs;
	atomic_int cleanups;
	struct task *next;
};

static bool opt_in;
static pthread_barrier_t all_clients;
static atomic_int adopted, closed;
static atomic_int accepted, refused, cleaned, with_wsi, writeables;
static atomic_int wrong_thread, cleaned_twice;
static atomic_int served[SMP_THREADS];

static _Atomic(struct task *) tasks;

static bool
on_any_service_thread(void)
{
	for (int n = 0; n < SMP_THREADS; n++)
		if (smp_is_thread(n))
			return true;

	return false;
}

/* -------- the tasks -------- */

static enum lws_threadpool_task_return
task_function(void *user, enum lws_threadpool_task_status s)
{
	struct task *t = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return t->syncs++ < SYNCS ? LWS_TP_RETURN_SYNC : LWS_TP_RETURN_FINISHED;
}

/* One without a wsi ended on a worker, or with its wsi: then on that one's
 * service thread, and on no other's. */
static void
task_cleanup(struct lws *wsi, void *user)
{
	struct task *t = user;

	if (wsi) {
		atomic_fetch_add(&with_wsi, 1);
		if (!smp_is_thread(t->tsi) || lws_get_tsi(wsi) != t->tsi)
			atomic_fetch_add(&wrong_thread, 1);
	} else if (on_any_service_thread() && !smp_is_thread(t->tsi) &&
		   !atomic_load(&smp_stop))
		atomic_fetch_add(&wrong_thread, 1);
	if (atomic_fetch_add(&t->cleanups, 1))
		atomic_fetch_add(&cleaned_twice, 1);
	atomic_fetch_add(&cleaned, 1);
}

static void
start_tasks(struct lws *wsi)
{
	struct lws_threadpool_task_args args;
	struct task *t;

	for (int n = 0; n < TASKS; n++) {
		t = calloc(1, sizeof(*t));
		if (!t)
			abort();
		t->tsi = lws_get_tsi(wsi);
		t->next = atomic_load(&tasks);
		while (!atomic_compare_exchange_weak(&tasks, &t->next, t))
			;
		memset(&args, 0, sizeof(args));
		args.wsi = wsi;
		args.user = t;
		args.task = task_function;
		args.cleanup = task_cleanup;
		if (lws_threadpool_enqueue(smp_tp, &args, "storm"))
			atomic_fetch_add(&accepted, 1);
		else
			atomic_fetch_add(&refused, 1);
	}
}

/* -------- two threads that need the hidden vhost at a time -------- */

/* The maker begins a first task in a RAW_RX, and is held up within
 * lws_create_vhost() until another thread, in a RAW_ADOPT, has tried to begin
 * one, too: that may hold the lock of the context, which the maker needs. */
static bool meet;
static pthread_t acceptor;
static atomic_bool has_acceptor, has_maker, in_the_making, made;
static atomic_bool other_tries, other_tried;

struct lws_vhost *
lws_create_vhost(struct lws_context *cx,
		 const struct lws_context_creation_info *info)
{
	struct lws_vhost *(*real)(struct lws_context *,
				  const struct lws_context_creation_info *);
	time_t end = time(NULL) + DEADLINE_SECS;

	*(void **)&real = dlsym(RTLD_NEXT, "lws_create_vhost");
	if (meet && atomic_load(&has_maker)) {
		atomic_store(&in_the_making, true);
		while (!atomic_load(&other_tried) && time(NULL) < end)
			poll(NULL, 0, 1);
	}

	return real(cx, info);
}

static void
meet_at_the_vhost(struct lws *wsi, enum lws_callback_reasons reason)
{
	if (reason == LWS_CALLBACK_RAW_ADOPT) {
		if (!atomic_load(&has_acceptor)) {
			acceptor = pthread_self();
			atomic_store(&has_acceptor, true);
		}
		if (atomic_load(&in_the_making) &&
		    !atomic_exchange(&other_tries, true)) {
			start_tasks(wsi);
			atomic_store(&other_tried, true);
		}
		atomic_fetch_add(&adopted, 1);
	} else if (reason == LWS_CALLBACK_RAW_RX &&
		   atomic_load(&has_acceptor) &&
		   !pthread_equal(acceptor, pthread_self()) &&
		   !atomic_exchange(&has_maker, true)) {
		start_tasks(wsi);
		atomic_store(&made, true);
	}
}

/* -------- the server -------- */

static int
serve(struct lws *wsi)
{
	struct lws_threadpool_task *task;
	unsigned char buf[LWS_PRE + 1];
	void *user;

	atomic_fetch_add(&writeables, 1);
	if (!smp_is_thread(lws_get_tsi(wsi)))
		atomic_fetch_add(&wrong_thread, 1);
	else
		atomic_fetch_add(&served[lws_get_tsi(wsi)], 1);

	task = lws_threadpool_get_task_wsi(wsi);
	if (!task)
		return 0;
	switch (lws_threadpool_task_status(task, &user)) {
	case LWS_TP_STATUS_SYNCING:
		buf[LWS_PRE] = '.';
		if (lws_write(wsi, buf + LWS_PRE, 1, LWS_WRITE_RAW) < 0)
			return -1;
		lws_threadpool_task_sync(task, 0);
		break;
	default:
		break;
	}

	return 0;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	(void)user;
	(void)in;
	(void)len;

	if (opt_in)
		lws_threadpool_wsi_event(wsi, reason);
	if (meet && reason != LWS_CALLBACK_RAW_WRITEABLE) {
		meet_at_the_vhost(wsi, reason);
		return 0;
	}
	switch (reason) {
	case LWS_CALLBACK_RAW_ADOPT:
		atomic_fetch_add(&adopted, 1);
		break;
	case LWS_CALLBACK_RAW_CLOSE:
		atomic_fetch_add(&closed, 1);
		break;
	case LWS_CALLBACK_RAW_RX:
		if (!smp_is_thread(lws_get_tsi(wsi)))
			atomic_fetch_add(&wrong_thread, 1);
		start_tasks(wsi);
		break;
	case LWS_CALLBACK_RAW_WRITEABLE:
		return serve(wsi);
	default:
		break;
	}

	return 0;
}

/* -------- the clients -------- */

/* ... that does not wait for a byte for ever */
static int
connect_one(void)
{
	struct timeval patience = { .tv_sec = 60 };
	int fd = smp_connect();

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)))
		abort();

	return fd;
}

/* whether so many bytes came */
static bool
read_bytes(int fd, int want)
{
	char byte;

	while (want && read(fd, &byte, 1) == 1)
		want--;

	return !want;
}

/* After the first byte every third one is read to its end, others hang up in
 * the middle, by FIN or reset.  Returns if all came that was to come. */
static bool
read_one(int fd, int n)
{
	int want = n % 3 ? n % (TASKS * SYNCS) : TASKS * SYNCS - 1;
	struct linger reset = { .l_onoff = 1 };
	bool got = read_bytes(fd, want);

	if (n % 3 == 1)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);

	return got;
}

/* lets the server go on for a moment */
static void
wait_until_end(time_t end)
{
	if (time(NULL) > end) {
		fprintf(stderr,
			"the server does not come on: %d adopted, %d "
			"closed\n",
			atomic_load(&adopted), atomic_load(&closed));
		abort();
	}
	poll(NULL, 0, 1);
}

/* until each service thread has come out of lws */
static void
server_turns(void)
{
	for (int n = 0; n < SMP_THREADS; n++)
		smp_wait_turn(n);
}

/* ... after it counted so many connections */
static void
server_until(atomic_int *count, int connections)
{
	time_t end = time(NULL) + DEADLINE_SECS;

	while (atomic_load(count) < connections)
		wait_until_end(end);
	server_turns();
}

/* ... all of this round and those before, and the other clients know */
static void
all_until(atomic_int *count, int round)
{
	server_until(count, (round + 1) * CLIENT_THREADS * AT_ONCE);
	pthread_barrier_wait(&all_clients);
}

static void *
client_thread(void *arg)
{
	atomic_int *short_ones = arg;
	int fd[AT_ONCE];

	for (int round = 0; round < ROUNDS; round++) {
		for (int n = 0; n < AT_ONCE; n++)
			fd[n] = connect_one();
		all_until(&adopted, round);
		for (int n = 0; n < AT_ONCE; n++)
			if (send(fd[n], "x", 1, MSG_NOSIGNAL) != 1)
				abort();
		for (int n = 0; n < AT_ONCE; n++)
			if (!read_bytes(fd[n], 1))
				atomic_fetch_add(short_ones, 1);
		server_turns();
		pthread_barrier_wait(&all_clients);
		for (int n = 0; n < AT_ONCE; n++)
			if (!read_one(fd[n], n + round))
				atomic_fetch_add(short_ones, 1);
		all_until(&closed, round);
	}

	return NULL;
}

/* -------- the test -------- */

static void
reset_counts(void)
{
	atomic_store(&adopted, 0);
	atomic_store(&closed, 0);
	atomic_store(&accepted, 0);
	atomic_store(&refused, 0);
	atomic_store(&cleaned, 0);
	atomic_store(&with_wsi, 0);
	atomic_store(&writeables, 0);
	atomic_store(&wrong_thread, 0);
	atomic_store(&cleaned_twice, 0);
	for (int n = 0; n < SMP_THREADS; n++)
		atomic_store(&served[n], 0);
}

/* a context, a pool and the service threads; or the test is left out */
static void
server_begin(void)
{
	reset_counts();
	smp_begin(callback, 3, 100000);
}

static void
server_end(void)
{
	struct task *t;

	smp_end();
	while ((t = atomic_load(&tasks))) {
		atomic_store(&tasks, t->next);
		free(t);
	}
}

static void
storm(void)
{
	atomic_int short_ones = 0;
	pthread_t clients[CLIENT_THREADS];
	time_t end;
	int n;

	server_begin();
	pthread_barrier_init(&all_clients, NULL, CLIENT_THREADS);
	for (n = 0; n < CLIENT_THREADS; n++)
		assert_int_equal(pthread_create(&clients[n], NULL,
						client_thread, &short_ones),
				 0);
	for (n = 0; n < CLIENT_THREADS; n++)
		pthread_join(clients[n], NULL);

	/* all clients are gone: every task must go, too */
	end = time(NULL) + DEADLINE_SECS;
	while (atomic_load(&cleaned) < atomic_load(&accepted) &&
	       time(NULL) < end)
		poll(NULL, 0, 10);
	n = atomic_load(&cleaned);
	server_end();
	pthread_barrier_destroy(&all_clients);

	print_message("%d tasks accepted, %d refused, %d cleaned up before the "
		      "end, %d with a wsi, %d WRITEABLEs\n",
		      atomic_load(&accepted), atomic_load(&refused), n,
		      atomic_load(&with_wsi), atomic_load(&writeables));
	assert_int_equal(n, atomic_load(&accepted));
	assert_int_equal(atomic_load(&cleaned), atomic_load(&accepted));
	assert_int_equal(atomic_load(&cleaned_twice), 0);
	assert_int_equal(atomic_load(&wrong_thread), 0);
	assert_int_equal(atomic_load(&short_ones), 0);
	assert_true(atomic_load(&with_wsi) > 0);
	for (int s = 0; s < SMP_THREADS; s++)
		assert_true(atomic_load(&served[s]) > 0);
}

static void
W3_each_wsi_on_its_own_thread(void **state)
{
	(void)state;
	opt_in = false;
	storm();
}

static void
W3_each_wsi_on_its_own_thread_opt_in(void **state)
{
	(void)state;
	opt_in = true;
	storm();
}

/* From 4.3 on lws calls RAW_ADOPT with the lock of the context held */
static void
W3_a_thread_waits_for_the_hidden_vhost(void **state)
{
	time_t end = time(NULL) + DEADLINE_SECS;
	int fd[SMP_THREADS + MORE], fds = 0;
	bool met;

	(void)state;
	opt_in = false;
	meet = true;
	server_begin();
	while (fds < SMP_THREADS) {
		fd[fds] = connect_one();
		if (send(fd[fds++], "x", 1, MSG_NOSIGNAL) != 1)
			abort();
	}
	while (!atomic_load(&in_the_making) && !atomic_load(&made))
		wait_until_end(end);
	met = atomic_load(&in_the_making); /* or there is no such vhost */
	/* each thread listens: some of these wait for the one that is held up
	 */
	while (met && !atomic_load(&other_tried)) {
		if (fds < SMP_THREADS + MORE)
			fd[fds++] = connect_one();
		wait_until_end(end);
	}
	while (met && !atomic_load(&made))
		wait_until_end(end);
	while (atomic_load(&cleaned) < atomic_load(&accepted))
		wait_until_end(end);
	/* none may be accepted while another one closes */
	server_until(&adopted, fds);
	while (fds)
		close(fd[--fds]);
	server_end();
	meet = false;
	print_message("%d tasks accepted, %d refused\n", atomic_load(&accepted),
		      atomic_load(&refused));
	assert_true(atomic_load(&accepted) >= TASKS);
	assert_int_equal(atomic_load(&cleaned), atomic_load(&accepted));
	assert_int_equal(atomic_load(&cleaned_twice), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W3_each_wsi_on_its_own_thread),
		cmocka_unit_test(W3_each_wsi_on_its_own_thread_opt_in),
		cmocka_unit_test(W3_a_thread_waits_for_the_hidden_vhost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
