/*
 * lws-threadpool soak - server and clients in one process, everything at
 * random, and nothing may be lost
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-soak [--seconds N] [--seed S] [--conns N]
 *
 * It goes through generations of some seconds.  Each has an lws context with
 * several pools that come and go, hundreds of connections that come and go, and
 * tasks of every kind on them; and ends by destroying context and pools, in
 * either order, with everything still going on.  All the time another thread
 * calls what may be called from any thread, with live and with stale handles.
 * After each generation every task must have been cleaned up, and the number of
 * fds and the heap must be what they were.
 */

#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "fds.h"
#include "soak.h"

struct soak soak = { .conns = 400 };

static atomic_bool over;
static char repeat[160];

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Threads that log at a time may mix their lines, since lws has one buffer for
 * all: so nothing but a whole line of the service thread is believed.  And no
 * sscanf() reads it, which keeps what it puts back, if that has changed. */
static void
emit(int level, const char *line)
{
	static const char again[] = "asking for WRITEABLE again for wsi ";
	const char *p = strstr(line, again);
	char *end;
	uintptr_t wsi;

	(void)level;
	if (!p)
		return;
	p += sizeof(again) - 1;
	wsi = (uintptr_t)strtoull(p, &end, 16);
	if (end != p) {
		atomic_fetch_add(&soak.rerings, 1);
		server_rering((struct lws *)wsi);
	}
}

/* What any thread may do at any time, with whatever handles there are */
static void *
meddle(void *arg)
{
	uint64_t rng = soak.seed ^ 0x6edd1e;
	struct lws_threadpool_task *task;
	struct lws_threadpool *tp;
	struct job *job;
	int a, b, c;

	(void)arg;
	while (!atomic_load(&over)) {
		task = atomic_load(&soak.handles[rng_below(&rng, HANDLES)]);
		tp = atomic_load(&soak.pools[rng_below(&rng, POOLS)]);
		switch (rng_below(&rng, 16)) {
		case 0:
		case 1:
		case 2:
			if (atomic_load(&soak.quiet))
				break;
			job = job_new((enum job_kind)rng_below(&rng, JOB_KINDS),
				      (int)rng_below(&rng, 4), NULL,
				      rng_next(&rng));
			if (job)
				job_enqueue(tp, job);
			break;
		case 3:
			lws_threadpool_diagnose(tp, &a, &b, &c);
			break;
		case 4:
			if (!rng_below(&rng, 20))
				lws_threadpool_dump(tp);
			break;
		case 5:
			if (!rng_below(&rng, 500))
				lws_threadpool_finish(tp);
			break;
		case 6:
			lws_threadpool_task_status_noreap(task);
			break;
		case 7:
			lws_threadpool_task_wake(task);
			break;
		case 8:
			ledger_call(tp, 0, server_called, NULL);
			break;
		case 9:
		case 10:
			lws_threadpool_wsi_writeable(atomic_load(
				&soak.wsis[rng_below(&rng, HANDLES)]));
			break;
		default:
			lws_threadpool_task_sync(task, !rng_below(&rng, 12));
			break;
		}
		usleep(rng_below(&rng, 600));
	}

	return NULL;
}

/*
 * What is left after a generation: it may grow for a few of them, no more, but
 * for a new most of tasks at a time.  Their memory comes in blocks that double,
 * so that is seldom; what is lost in each generation grows again and again.
 */
#define NEW_MOSTS 3

static void
check_flat(int generation)
{
	static int fds;
	int now = fds_open() - generation * fds_lost_by_lws();
#if !defined(SANITIZED)
	static size_t heap;
	static int mosts;
	size_t used = mallinfo2().uordblks;

	if (generation == 3)
		heap = used;
	if (generation > 3 && used > heap + 512 * 1024) {
		if (++mosts > NEW_MOSTS)
			ledger_fail("the heap grew to %zu bytes, %d times",
				    used, mosts);
		heap = used;
	}
#endif
	if (!generation)
		fds = now;
	else if (now != fds)
		ledger_fail("there were %d fds after the first generation, now "
			    "%d",
			    fds, now);
}

static void
report(const char *when, int64_t seconds, int generations)
{
	printf("%s: %" PRId64 " s, %d generations, %lu connections (%lu closed)"
	       ", %lu pools, %lu tasks (%lu cleaned up, %lu refused), %lu calls"
	       ", %lu SYNCs, %lu parks, %lu attaches, %lu calls of R1, "
	       "%lu stop requests told, %lu stale handles used, "
	       "%lu rings repeated, %lu bytes, longest turn %" PRId64 " ms, "
	       "longest healthy wait %" PRId64 " ms\n",
	       when, seconds, generations, atomic_load(&soak.connections),
	       atomic_load(&soak.closed), atomic_load(&soak.pools_made),
	       atomic_load(&ledger.accepted), atomic_load(&ledger.cleaned),
	       atomic_load(&ledger.refused), atomic_load(&ledger.calls),
	       atomic_load(&ledger.syncs), atomic_load(&ledger.parks),
	       atomic_load(&ledger.attaches), atomic_load(&ledger.called),
	       atomic_load(&ledger.stoppings), atomic_load(&soak.stale_calls),
	       atomic_load(&soak.rerings), atomic_load(&soak.bytes),
	       soak.longest_turn / 1000, soak.longest_wait / 1000);
	fflush(stdout);
}

static void
raise_fd_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max < 8192 ? l.rlim_max : 8192;
	setrlimit(RLIMIT_NOFILE, &l);
	if ((rlim_t)(soak.conns * 4 + 200) > l.rlim_cur)
		soak.conns = ((int)l.rlim_cur - 200) / 4;
}

static int
options(int argc, char **argv, int *seconds)
{
	static const struct option all[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "conns", required_argument, NULL, 'c' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", all, NULL)) >= 0)
		switch (c) {
		case 's':
			*seconds = atoi(optarg);
			break;
		case 'r':
			soak.seed = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			soak.conns = atoi(optarg);
			break;
		default:
			return 1;
		}

	return optind != argc || *seconds < 1 || soak.conns < 1;
}

int
main(int argc, char **argv)
{
	static const struct ledger_hooks hooks = {
		.alive = server_alive,
		.spawn = server_spawn,
		.cleaned = server_cleaned,
		.repeat = repeat,
	};
	int seconds = 60, generation = 0;
	int64_t start, end, now, told;
	pthread_t meddler;
	uint64_t rng;

	soak.seed = (uint64_t)time(NULL);
	if (options(argc, argv, &seconds)) {
		fprintf(stderr,
			"usage: %s [--seconds N] [--seed S] "
			"[--conns N]\n",
			argv[0]);
		return 1;
	}
	raise_fd_limit();
	snprintf(repeat, sizeof(repeat),
		 "%.80s --seconds %d --seed %" PRIu64 " --conns %d", argv[0],
		 seconds, soak.seed, soak.conns);
	printf("soak: %s\n", repeat);
	fflush(stdout);

	signal(SIGPIPE, SIG_IGN);
	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_INFO, emit);
	ledger_begin(&hooks, pthread_self());
	rng = soak.seed;
	fds_lost_by_lws();
	clients_start();
	if (pthread_create(&meddler, NULL, meddle, NULL))
		ledger_fail("no thread to meddle");

	start = told = ledger_now();
	end = start + (int64_t)seconds * 1000000;
	while ((now = ledger_now()) < end) {
		server_generation(1500000 + rng_below(&rng, 3000000),
				  rng_next(&rng));
		check_flat(generation++);
		if (now - told > 60000000) {
			told = now;
			report("so far", (now - start) / 1000000, generation);
		}
	}
	atomic_store(&over, true);
	pthread_join(meddler, NULL);
	clients_stop();
	ledger_check_balance();
	report("soak passed", (ledger_now() - start) / 1000000, generation);

	return 0;
}
