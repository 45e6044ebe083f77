/*
 * test-apps/gdb - a pool of one thread, in a state that is known
 *
 * SPDX-License-Identifier: MIT
 *
 * Of each list there is one task at least when here() is called: for gdb to
 * stop at, and to look.  Each step waits until the pool says that it is done.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lws-threadpool.h>

#define DEADLINE_SECS 60

/* what the commands are given */
struct lws_threadpool *pool, *stale_pool;
struct lws_threadpool_task *running, *queued, *held, *parked, *syncing, *done,
	*kept, *stale;
struct lws *connection;

static atomic_bool ending;
static int key_of_two;

static enum lws_threadpool_task_return
run_until_the_end(void *user, enum lws_threadpool_task_status status)
{
	const struct timespec a_bit = { .tv_nsec = 1000000 };

	(void)user;
	(void)status;

	while (!ending)
		nanosleep(&a_bit, NULL);

	return LWS_TP_RETURN_FINISHED;
}

static enum lws_threadpool_task_return
park_for_good(void *user, enum lws_threadpool_task_status status)
{
	(void)user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return lws_threadpool_park(-1);
}

static enum lws_threadpool_task_return
sync_for_good(void *user, enum lws_threadpool_task_status status)
{
	(void)user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	return LWS_TP_RETURN_SYNC;
}

static enum lws_threadpool_task_return
finish_at_once(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;

	return LWS_TP_RETURN_FINISHED;
}

/* once it has its token */
static enum lws_threadpool_task_return
finish_with_token(void *user, enum lws_threadpool_task_status status)
{
	atomic_bool *has_token = user;

	(void)status;

	return *has_token ? LWS_TP_RETURN_FINISHED : lws_threadpool_park(1000);
}

static void
cleaned_up(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
}

static struct lws_threadpool_task *
enqueue(struct lws *wsi, void *user, void *key, const char *name,
	enum lws_threadpool_task_return (*function)(
		void *user, enum lws_threadpool_task_status s))
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.key = key,
		.key_max = !!key,
	};
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = user;
	args.task = function;
	args.cleanup = cleaned_up;
	task = lws_threadpool_enqueue_ext(pool, &args, &options, "%s", name);
	if (!task)
		fprintf(stderr, "%s: refused\n", name);

	return task;
}

/* Those of a connection are enqueued in its first callback, and stay as they
 * are: nobody asks for their status. */
static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	(void)user;
	(void)in;
	(void)len;

	if (reason == LWS_CALLBACK_RAW_ADOPT_FILE) {
		connection = wsi;
		done = enqueue(wsi, NULL, NULL, "over", finish_at_once);
		syncing = enqueue(wsi, NULL, NULL, "asking", sync_for_good);
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "state", .callback = callback }, { .name = NULL }
};

/* Turns of the loop until the pool has so many of each; 0, or -1: it never had
 */
static int
until(struct lws_context *context, uint32_t n_done, uint32_t n_syncing,
      uint32_t n_parked, uint32_t n_kept, uint32_t n_running)
{
	struct lws_threadpool_stats stats = { .size = sizeof(stats) };
	time_t end = time(NULL) + DEADLINE_SECS;

	do {
		lws_service(context, -1);
		lws_threadpool_get_stats(pool, &stats);
		if (stats.done == n_done && stats.syncing == n_syncing &&
		    stats.parked == n_parked && stats.kept == n_kept &&
		    stats.running == n_running)
			return 0;
		usleep(1000);
	} while (time(NULL) < end);
	fprintf(stderr, "done %u, syncing %u, parked %u, kept %u, running %u\n",
		stats.done, stats.syncing, stats.parked, stats.kept,
		stats.running);

	return -1;
}

static int
make_state(struct lws_context *context)
{
	struct lws_threadpool_task_args args;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	static atomic_bool has_token;

	if (until(context, 1, 1, 0, 0, 0))
		return -1;
	stale = enqueue(NULL, NULL, NULL, "gone", finish_at_once);
	if (!stale || until(context, 1, 1, 0, 0, 0))
		return -1;
	kept = enqueue(NULL, &has_token, NULL, "to fetch", finish_with_token);
	if (!kept || lws_threadpool_task_token(kept, 0, token))
		return -1;
	has_token = true;
	if (until(context, 1, 1, 0, 1, 0))
		return -1;
	parked = enqueue(NULL, &key_of_two, &key_of_two, "at rest",
			 park_for_good);
	if (!parked || until(context, 1, 1, 1, 1, 0))
		return -1;
	held = enqueue(NULL, NULL, &key_of_two, "its turn", park_for_good);
	running = enqueue(connection, NULL, NULL, "busy", run_until_the_end);
	if (!held || !running || until(context, 1, 1, 1, 1, 1))
		return -1;
	lws_threadpool_dequeue_task(running);
	memset(&args, 0, sizeof(args));
	args.task = finish_at_once;
	queued = lws_threadpool_enqueue(pool, &args, "in line %d", 7);
	/* so that it is on the list: the next one is in the inbox */
	if (!queued || until(context, 1, 1, 1, 1, 1))
		return -1;

	return enqueue(NULL, NULL, NULL, "newest", finish_at_once) ? 0 : -1;
}

void
here(void);

/* where gdb stops */
__attribute__((noinline)) void
here(void)
{
	puts("here");
}

int
main(void)
{
	const struct lws_threadpool_create_args args = { .threads = 1,
							 .max_queue_depth = 8 };
	struct lws_context_creation_info info;
	struct lws_context *context;
	lws_sock_file_fd_type fd;
	int ends[2], ret = 1;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	context = lws_create_context(&info);
	if (!context || pipe(ends))
		return 1;
	stale_pool = lws_threadpool_create(context, &args, "before");
	lws_threadpool_destroy(stale_pool);
	pool = lws_threadpool_create(context, &args, "work");
	memset(&fd, 0, sizeof(fd));
	fd.filefd = ends[0];
	if (pool &&
	    lws_adopt_descriptor_vhost(
		    lws_get_vhost_by_name(context, "default"),
		    LWS_ADOPT_RAW_FILE_DESC, fd, "state", NULL) &&
	    !make_state(context)) {
		here();
		ret = 0;
	}
	ending = true;
	lws_threadpool_destroy(pool);
	lws_context_destroy(context);
	close(ends[1]);

	return ret;
}
