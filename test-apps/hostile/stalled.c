/*
 * lws-threadpool tests - thousands of clients that never read
 *
 * SPDX-License-Identifier: MIT
 *
 * Each asks for an endless stream and takes no byte of it, so its task comes to
 * be SYNCING on a connection that is never WRITEABLE.  Beside them, in the same
 * pool, is a healthy stream.  Its delay is from the return of SYNC to the
 * WRITEABLE callback.  What that can be at best, the loop's own time, is what a
 * plain thread needs that writes to an eventfd which the loop polls, and whose
 * callback asks for WRITEABLE: it takes turns with the stream.
 *
 * The pool has one thread: so streams that stand still cost no thread, and the
 * lines of the timeouts come from one thread (lws has one buffer for the log).
 */

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hostile.h"

#define ROUNDS	     600
#define TIMEOUT_SECS 10
#define MESSAGE	     4096
#define SMALL	     4096 /* bytes, of the sockets' buffers */
/* the healthy stream may need so many times what the loop itself does */
#define MAX_RATIO 2.0

static const char timed_out[] = "nobody answered its SYNC";

struct stream {
	struct lws_threadpool_task *task;
	atomic_uint syncs; /* by the task */
	atomic_uint told;  /* STOPPING */
	atomic_uint cleanups;
	unsigned int answers; /* service thread's, as the rest */
	struct lws *wsi;
	bool closed;
};

static struct lws_context *context;
static struct lws_threadpool *tp;
static struct stream *streams;
static int wanted, established, closed;

/* the two that take turns */
static struct lws *healthy_wsi, *plain_wsi;
static struct lws_threadpool_task *healthy;
static atomic_bool over;
static sem_t healthy_turn, plain_turn;
static _Atomic int64_t asked_at;
static int plain_fd;
static bool plain_asked;
static double delay[2][ROUNDS]; /* us: healthy, plain */
static int rounds, recorded;

/*
 * The streams that nobody reads
 */

static enum lws_threadpool_task_return
stream_task(void *user, enum lws_threadpool_task_status s)
{
	struct stream *st = user;

	if (s == LWS_TP_STATUS_STOPPING) {
		atomic_fetch_add(&st->told, 1);
		return LWS_TP_RETURN_STOPPED;
	}
	atomic_fetch_add(&st->syncs, 1);

	return LWS_TP_RETURN_SYNC;
}

static void
stream_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	atomic_fetch_add(&((struct stream *)user)->cleanups, 1);
}

static struct lws_threadpool_task *
start(struct lws *wsi,
      enum lws_threadpool_task_return (*task)(
	      void *user, enum lws_threadpool_task_status s),
      void (*cleanup)(struct lws *wsi, void *user), void *user)
{
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *t;

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = user;
	args.task = task;
	args.cleanup = cleanup;
	t = lws_threadpool_enqueue(tp, &args, "stream");
	hostile_check(t);

	return t;
}

static int
send_bytes(struct lws *wsi, size_t len)
{
	static unsigned char buf[LWS_PRE + MESSAGE];

	return lws_write(wsi, buf + LWS_PRE, len, LWS_WRITE_BINARY) < (int)len ?
		       -1 :
		       0;
}

static int
stream_writeable(struct lws *wsi, struct stream *st)
{
	if (lws_threadpool_task_status(st->task, NULL) != LWS_TP_STATUS_SYNCING)
		return 0;
	if (send_bytes(wsi, MESSAGE))
		return -1;
	st->answers++;
	lws_threadpool_task_sync(st->task, 0);

	return 0;
}

static int
callback_deaf(struct lws *wsi, enum lws_callback_reasons reason, void *pss,
	      void *in, size_t len)
{
	struct stream **st = pss;

	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		hostile_check(established < wanted);
		*st = &streams[established++];
		(*st)->wsi = wsi;
		(*st)->task = start(wsi, stream_task, stream_cleanup, *st);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return stream_writeable(wsi, *st);
	case LWS_CALLBACK_CLOSED:
		(*st)->closed = true;
		closed++;
		return 0;
	default:
		return 0;
	}
}

/*
 * The healthy one, and the plain thread
 */

/* so that the loop sleeps when it comes: in both the same */
static void
pause_a_little(unsigned int *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	usleep(200 + (*seed >> 16) % 800);
	atomic_store(&asked_at, hostile_now());
}

static enum lws_threadpool_task_return
healthy_task(void *user, enum lws_threadpool_task_status s)
{
	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	sem_wait(&healthy_turn);
	if (atomic_load(&over))
		return LWS_TP_RETURN_FINISHED;
	pause_a_little(user);

	return LWS_TP_RETURN_SYNC;
}

static void *
plain_thread(void *user)
{
	while (1) {
		sem_wait(&plain_turn);
		if (atomic_load(&over))
			return NULL;
		pause_a_little(user);
		if (eventfd_write(plain_fd, 1))
			return NULL;
	}
}

static void
record(int which)
{
	if (recorded < ROUNDS)
		delay[which][recorded] = (double)(hostile_now() -
						  atomic_load(&asked_at));
}

static int
healthy_writeable(struct lws *wsi)
{
	enum lws_threadpool_task_status s;

	if (!healthy)
		return 0;
	s = lws_threadpool_task_status(healthy, NULL);
	if (s >= LWS_TP_STATUS_FINISHED)
		healthy = NULL;
	if (s != LWS_TP_STATUS_SYNCING)
		return 0;
	record(0);
	if (send_bytes(wsi, 1))
		return -1;
	lws_threadpool_task_sync(healthy, 0);
	sem_post(&plain_turn);

	return 0;
}

static int
plain_writeable(struct lws *wsi)
{
	if (!plain_asked)
		return 0;
	plain_asked = false;
	record(1);
	if (send_bytes(wsi, 1))
		return -1;
	rounds++;
	recorded++;
	sem_post(&healthy_turn);

	return 0;
}

static int
callback_healthy(struct lws *wsi, enum lws_callback_reasons reason, void *pss,
		 void *in, size_t len)
{
	static unsigned int seed = 1;

	(void)pss;
	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		healthy_wsi = wsi;
		healthy = start(wsi, healthy_task, NULL, &seed);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return healthy_writeable(wsi);
	case LWS_CALLBACK_CLOSED:
		hostile_check(atomic_load(&over));
		return 0;
	default:
		return 0;
	}
}

static int
callback_plain(struct lws *wsi, enum lws_callback_reasons reason, void *pss,
	       void *in, size_t len)
{
	(void)pss;
	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		plain_wsi = wsi;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return plain_writeable(wsi);
	case LWS_CALLBACK_CLOSED:
		hostile_check(atomic_load(&over));
		return 0;
	default:
		return 0;
	}
}

static int
callback_eventfd(struct lws *wsi, enum lws_callback_reasons reason, void *pss,
		 void *in, size_t len)
{
	eventfd_t value;

	(void)wsi;
	(void)pss;
	(void)in;
	(void)len;

	if (reason == LWS_CALLBACK_RAW_RX_FILE &&
	    !eventfd_read(plain_fd, &value)) {
		plain_asked = true;
		lws_callback_on_writable(plain_wsi);
	}

	return 0;
}

/* protocols[0]: what is about the vhost */
static int
callback_first(struct lws *wsi, enum lws_callback_reasons reason, void *pss,
	       void *in, size_t len)
{
	const int small = SMALL;

	(void)wsi;
	(void)pss;
	(void)len;

	/* so that few messages fill it */
	if (reason == LWS_CALLBACK_FILTER_NETWORK_CONNECTION)
		setsockopt((int)(intptr_t)in, SOL_SOCKET, SO_SNDBUF, &small,
			   sizeof(small));

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "first", .callback = callback_first },
	{ .name = "deaf",
	  .callback = callback_deaf,
	  .per_session_data_size = sizeof(struct stream *) },
	{ .name = "healthy", .callback = callback_healthy },
	{ .name = "plain", .callback = callback_plain },
	{ .name = "eventfd", .callback = callback_eventfd },
	{ .name = NULL }
};

/*
 * The peers
 */

static void
never_read(int port, int clients)
{
	while (clients--)
		peer_handshake(peer_connect(port, SMALL), "deaf");
	pause();
}

static void
read_one(int port, int which)
{
	int fd = peer_connect(port, 0);

	peer_handshake(fd, which ? "plain" : "healthy");
	peer_read_all(fd);
}

/*
 * The course of it
 */

static bool
two_are_there(void)
{
	return healthy_wsi && plain_wsi;
}

static bool
all_rounds(void)
{
	return rounds >= ROUNDS;
}

/* each has sent until its socket was full, and its task waits for an answer */
static bool
all_stand_still(void)
{
	int n;

	if (established < wanted)
		return false;
	for (n = 0; n < wanted; n++)
		if (atomic_load(&streams[n].syncs) != streams[n].answers + 1 ||
		    !lws_send_pipe_choked(streams[n].wsi))
			return false;

	return true;
}

static bool
all_told(void)
{
	int n;

	for (n = 0; n < wanted; n++)
		if (!atomic_load(&streams[n].told))
			return false;

	return (int)hostile_logged(timed_out) >= wanted;
}

static bool
all_closed(void)
{
	return closed == wanted;
}

static bool
healthy_over(void)
{
	return !healthy;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(double *of, int n)
{
	qsort(of, (size_t)n, sizeof(*of), compare);

	return of[n / 2];
}

/* ROUNDS turns of the two: how many times the loop's delay is the stream's */
static double
measure(const char *when)
{
	double mine, loops;

	rounds = recorded = 0;
	sem_post(&healthy_turn);
	hostile_until(context, all_rounds);
	/* the turn that it was given at the end is taken back, or made */
	while (sem_trywait(&healthy_turn))
		lws_service(context, 0);
	mine = median(delay[0], recorded < ROUNDS ? recorded : ROUNDS);
	loops = median(delay[1], recorded < ROUNDS ? recorded : ROUNDS);
	printf("%s: from SYNC to WRITEABLE %.0f us, the loop's own %.0f us: "
	       "%.2f times (medians of %d, in turns)\n",
	       when, mine, loops, mine / loops, ROUNDS);
	fflush(stdout);

	return mine / loops;
}

static void
adopt_eventfd(void)
{
	lws_sock_file_fd_type fd;

	plain_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	hostile_check(plain_fd >= 0);
	fd.filefd = plain_fd;
	hostile_check(lws_adopt_descriptor_vhost(
		lws_get_vhost_by_name(context, "hostile"),
		LWS_ADOPT_RAW_FILE_DESC, fd, "eventfd", NULL));
}

/* every task once: told to stop, and cleaned up when its connection went */
static void
check_streams(void)
{
	int n;

	for (n = 0; n < wanted; n++) {
		hostile_check(atomic_load(&streams[n].told) == 1);
		hostile_check(atomic_load(&streams[n].cleanups) == 1);
		hostile_check(streams[n].closed);
	}
	hostile_check((int)hostile_logged(timed_out) == wanted);
}

void
stalled(int clients)
{
	const struct lws_threadpool_options options = {
		.size = sizeof(options), .sync_timeout_secs = TIMEOUT_SECS
	};
	const struct lws_threadpool_create_args args = {
		.threads = 1, .max_queue_depth = clients + 1
	};
	int port, deaf, readers[2];
	static unsigned int seed = 2;
	pthread_t thread;
	double beside;

	wanted = clients;
	streams = calloc((size_t)clients, sizeof(*streams));
	hostile_check(streams);
	hostile_expect(timed_out);
	context = hostile_context(protocols, &port);
	deaf = peer_start(never_read, port, clients);
	readers[0] = peer_start(read_one, port, 0);
	readers[1] = peer_start(read_one, port, 1);

	tp = lws_threadpool_create_ext(context, &args, &options, "streams");
	hostile_check(tp && !sem_init(&healthy_turn, 0, 0) &&
		      !sem_init(&plain_turn, 0, 0));
	adopt_eventfd();
	hostile_check(!pthread_create(&thread, NULL, plain_thread, &seed));
	peer_go(readers[0]);
	peer_go(readers[1]);
	hostile_until(context, two_are_there);
	/* not held against anything: a thread that spins for an answer keeps
	 * the loop, which would run on the same processor at once */
	measure("nobody else");

	/*
	 * The healthy task waits for its turn on the pool's one thread, as a
	 * task may: it is given turns for as long as the others come.
	 */
	peer_go(deaf);
	rounds = 0;
	recorded = ROUNDS; /* not to be counted */
	sem_post(&healthy_turn);
	hostile_until(context, all_stand_still);
	while (sem_trywait(&healthy_turn))
		lws_service(context, 0);
	hostile_check(!hostile_logged(timed_out));
	beside = measure("beside those that never read");
	printf("%d streams stand still\n", clients);
	hostile_check(beside <= MAX_RATIO);

	/* its turns go on: they are what lets the thread see to the others */
	rounds = 0;
	recorded = ROUNDS;
	sem_post(&healthy_turn);
	hostile_until(context, all_told);
	hostile_check(!closed);
	rounds = 0;
	hostile_until(context, all_rounds);
	printf("the sync timeout ended all of them, and the healthy stream "
	       "goes on\n");

	peer_kill(deaf);
	hostile_until(context, all_closed);
	check_streams();

	atomic_store(&over, true);
	sem_post(&healthy_turn);
	sem_post(&plain_turn);
	pthread_join(thread, NULL);
	hostile_until(context, healthy_over);
	lws_threadpool_destroy(tp);
	lws_context_destroy(context);
	check_streams();
	free(streams);
}
