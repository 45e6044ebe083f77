/*
 * lws-threadpool benchmark of the cluster - streams from workers, at a front
 *
 * SPDX-License-Identifier: MIT
 *
 * bench-cluster [-w WORKERS] [-n JOBS] [-p AT-A-TIME] [-k CHUNKS] [-b US] [-l]
 *
 * So many jobs of so many chunks, of US microseconds of computing each, at most
 * AT-A-TIME of them under way, each on a connection of its own; all on this
 * machine, workers of one thread and a nats-server, too.  With -w 0 the same in
 * a pool of as many threads as there are processors.  -l: low_latency.  Prints
 * lines as ../bench does: row,who,parameters,metric,value,unit.
 */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cluster.h"

static struct {
	int workers, jobs, at_a_time, chunks, us;
	bool low_latency;
} opt = { 1, 1000, 1000, 50, 0, false };

static struct lws_context *context;
static struct lws_vhost *vhost;
static struct lws_threadpool *pool;
static struct lws_threadpool_cluster *front;
static int begun, ended, spoilt, heard;
static bool hold;	   /* nobody answers: for the memory */
static uint64_t *lateness; /* of each chunk, us from made to read */
static size_t n_lateness, most_lateness;

static void
forget(struct lws *wsi, void *user)
{
	struct stream *s = user;

	(void)wsi;
	if (s->made != s->chunks)
		spoilt++;
	ended++;
}

static void
job_begin(struct stream *s)
{
	struct lws_threadpool_task_args args = {
		.wsi = s->wsi, .user = s, .task = stream_task, .cleanup = forget
	};

	s->made = 0;
	s->chunks = (uint32_t)opt.chunks;
	s->us = (uint32_t)opt.us;
	begun++;
	if (opt.workers)
		s->task = lws_threadpool_cluster_enqueue(front, KIND, &args,
							 NULL, "job");
	else
		s->task = lws_threadpool_enqueue(pool, &args, "job");
	if (!s->task)
		die("a job is refused");
}

static void
read_chunk(const struct stream *s)
{
	heard++;
	if (n_lateness < most_lateness)
		lateness[n_lateness++] = (now_ns() - s->at_ns) / 1000;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	struct lws_threadpool_task *task;
	struct stream *s;

	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_RAW_WRITEABLE)
		return 0;
	task = lws_threadpool_get_task_wsi(wsi);
	s = lws_get_opaque_user_data(wsi);
	if (!task || !s)
		return 0;
	switch (lws_threadpool_task_status(task, NULL)) {
	case LWS_TP_STATUS_SYNCING:
		read_chunk(s);
		if (!hold)
			lws_threadpool_task_sync(task, 0);
		break;
	case LWS_TP_STATUS_FINISHED:
		read_chunk(s);
		if (begun < opt.jobs)
			job_begin(s);
		break;
	case LWS_TP_STATUS_STOPPED:
		die("a job has stopped");
	default:
		break;
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "bench", .callback = callback },
	{ .name = NULL },
};

static void
turn_until(const int *count, int n)
{
	while (*count < n)
		lws_service(context, 0);
}

static void
front_begin(const char *url)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.vhost_name = "bench"
	};
	struct lws_threadpool_create_args args = {
		.threads = opt.workers ? 1 : (int)sysconf(_SC_NPROCESSORS_ONLN),
		.max_queue_depth = opt.at_a_time + 10
	};
	struct lws_threadpool_cluster_options options = {
		.size = sizeof(options),
		.url = url,
		.low_latency = opt.low_latency
	};
	struct lws_threadpool_cluster_stats stats = { .size = sizeof(stats) };
	struct lws_threadpool_cluster_kind kind;

	context = lws_create_context(&info);
	vhost = context ? lws_get_vhost_by_name(context, "bench") : NULL;
	pool = vhost ? lws_threadpool_create(context, &args, "front") : NULL;
	if (!pool)
		die("no pool");
	if (!opt.workers)
		return;
	front = lws_threadpool_cluster_create(pool, &options);
	kind_fill(&kind);
	if (!front || lws_threadpool_cluster_add_kind(front, &kind))
		die("no front");
	while (!stats.connected) {
		usleep(10000);
		if (lws_threadpool_cluster_get_stats(front, &stats))
			die("no numbers");
	}
}

/* always writeable, and nobody at the other end */
static void
connect_one(struct stream *s)
{
	lws_sock_file_fd_type fd;

	fd.sockfd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd.sockfd >= 0)
		s->wsi = lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_SOCKET, fd,
						    "bench", NULL);
	if (!s->wsi)
		die("no connection");
	lws_set_opaque_user_data(s->wsi, s);
}

static void
put(const char *metric, double value, const char *unit)
{
	printf("cluster,%s,workers=%d jobs=%d chunks=%d us=%d%s,%s,%.6g,%s\n",
	       opt.workers ? "ours" : "pool", opt.workers, opt.jobs, opt.chunks,
	       opt.us, opt.low_latency ? " low_latency" : "", metric, value,
	       unit);
}

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* All begin, and each has a window of chunks that nobody reads: what that
 * takes. Then they are read. */
static void
measure_memory(struct stream *streams)
{
	size_t before = mallinfo2().uordblks, after;
	int n;

	hold = true;
	for (n = 0; n < opt.at_a_time; n++)
		job_begin(&streams[n]);
	turn_until(&heard, opt.at_a_time);
	sleep(2); /* what else is under way for them */
	after = mallinfo2().uordblks;
	/* of one chunk it has ended by now */
	if (opt.chunks > 1)
		put("heap", ((double)after - (double)before) / opt.at_a_time,
		    "B/job");
	hold = false;
	for (n = 0; n < opt.at_a_time; n++)
		lws_threadpool_task_sync(streams[n].task, 0);
	turn_until(&ended, opt.jobs);
}

static void
measure(struct stream *streams)
{
	uint64_t from = now_ns();
	double secs;
	int n;

	begun = ended = 0;
	n_lateness = 0;
	for (n = 0; n < opt.at_a_time && n < opt.jobs; n++)
		job_begin(&streams[n]);
	turn_until(&ended, opt.jobs);
	secs = (double)(now_ns() - from) / 1e9;
	put("jobs", opt.jobs / secs, "1/s");
	put("chunks", (double)opt.jobs * opt.chunks / secs, "1/s");
	qsort(lateness, n_lateness, sizeof(*lateness), compare);
	put("p50", (double)lateness[n_lateness / 2], "us");
	put("p99", (double)lateness[n_lateness * 99 / 100], "us");
}

static void
parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "w:n:p:k:b:l")) >= 0)
		switch (c) {
		case 'w':
			opt.workers = atoi(optarg);
			break;
		case 'n':
			opt.jobs = atoi(optarg);
			break;
		case 'p':
			opt.at_a_time = atoi(optarg);
			break;
		case 'k':
			opt.chunks = atoi(optarg);
			break;
		case 'b':
			opt.us = atoi(optarg);
			break;
		case 'l':
			opt.low_latency = true;
			break;
		default:
			exit(2);
		}
	if (opt.at_a_time > opt.jobs)
		opt.at_a_time = opt.jobs;
	if (opt.at_a_time < 1 || opt.chunks < 1 || opt.workers < 0)
		die("nothing to do");
}

int
main(int argc, char **argv)
{
	const struct rlimit fds = { 20000, 20000 };
	struct stream *streams;
	char url[URL_SIZE];
	int n;

	if (argc >= 3 && !strcmp(argv[1], "--worker"))
		return worker_run(argv[2], argc > 3);
	parse_options(argc, argv);
	setrlimit(RLIMIT_NOFILE, &fds);
	lws_set_log_level(LLL_ERR, NULL);
	if (opt.workers) {
		engine_begin(url);
		workers_begin(url, opt.workers, opt.low_latency);
	}
	front_begin(url);
	streams = calloc((size_t)opt.at_a_time, sizeof(*streams));
	most_lateness = (size_t)opt.jobs * (size_t)opt.chunks;
	lateness = calloc(most_lateness, sizeof(*lateness));
	if (!streams || !lateness)
		die("no memory");
	for (n = 0; n < opt.at_a_time; n++)
		connect_one(&streams[n]);

	/* once before, to warm up */
	measure_memory(streams);
	measure(streams);
	if (spoilt)
		die("a stream was not whole");

	if (front)
		lws_threadpool_cluster_destroy(front);
	lws_threadpool_destroy(pool);
	lws_context_destroy(context);
	if (opt.workers) {
		workers_end();
		engine_end();
	}
	free(streams);
	free(lateness);

	return 0;
}
