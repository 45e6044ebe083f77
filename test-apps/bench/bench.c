/*
 * lws-threadpool benchmark - the command line
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"

struct bench_options opt = {
	.who = BENCH_SELF,
	.evlib = "poll",
	.limit = 20,
	.secs = 10,
	.rounds = 1,
	.threads = 2,
	.wsis = 1,
};

static const struct bench_row rows[] = {
	{ "noop",
	  "tasks a second, enqueue to reap: -n -t -w -r; "
	  "-m uv, uv-array, glib",
	  bench_noop },
	{ "cold",
	  "the same, first in a process, with user allocated: -n -t -w "
	  "-r; -m",
	  bench_cold },
	{ "sync", "one stream's SYNC round trip: -k; -m floor, no-spin",
	  bench_sync },
	{ "streams",
	  "SYNCs a second of -n streams of -k SYNCs: -b -t -e; "
	  "-m no-spin, serve",
	  bench_streams },
	{ "writeables",
	  "a second by lws alone, of -n wsi: -s; -m files, "
	  "sockets",
	  bench_writeables },
	{ "enqueue", "how long an enqueue takes: -n -t; -m first, uv",
	  bench_enqueue },
	{ "http",
	  "a cheap request while -w others compute: -n -t; -m idle, "
	  "blocking",
	  bench_http },
	{ "downloads",
	  "-w at a time for -s seconds, each tenth reads for "
	  "20 ms: -t; -m blocking",
	  bench_downloads },
	{ "requests",
	  "of -w connections, that wait for -b us each: -t -s; "
	  "-m inline, opt-in, mhd, civetweb",
	  bench_requests },
	{ "connect", "connections without and with one task: -n -f",
	  bench_connect },
	{ "destroy", "a context of -n wsi beside one of -w: -f; -m empty",
	  bench_destroy },
	{ "lookups", "get_task_wsi() a second on -t service threads: -s",
	  bench_lookups },
	{ "memory", "bytes, over -n: -m queued, syncing, parked, wsi, opt-in",
	  bench_memory },
	{ "idle", "wake-ups in -s seconds with -n tasks SYNCING; -m none",
	  bench_idle },
	{ "park",
	  "a wake of a parked task, -k times after -b us: -m no-spin, "
	  "eventfd, thread",
	  bench_park },
	{ "call",
	  "to the service thread: -k times after -b us, -n in one go; "
	  "-m uv, cancel",
	  bench_call },
	{ "asks", "for WRITEABLEs of -n wsi, from -t threads: -s; -m cancel",
	  bench_asks },
	{ "keys", "-n tasks of -w keys that do nothing: -t; -m none",
	  bench_keys },
	{ "instructions",
	  "to be run under callgrind: -m noop with -n tasks, "
	  "sync with -k SYNCs",
	  bench_instructions },
};

static void
help(void)
{
	size_t i;

	printf("usage: bench ROW [options]\n\n");
	for (i = 0; i < LWS_ARRAY_SIZE(rows); i++)
		printf("  %-13s %s\n", rows[i].name, rows[i].what);
	printf("\n"
	       "  -m WHO     what is measured (" BENCH_SELF ")\n"
	       "  -n N       tasks or streams\n"
	       "  -k SYNCS   a stream\n"
	       "  -b US      that a stream computes before each SYNC, or a "
	       "request waits (0)\n"
	       "  -t THREADS of the pool (2)\n"
	       "  -w WSIS    that the tasks are spread over (1)\n"
	       "  -e LIB     poll, uv or ev: lws's event loop (poll)\n"
	       "  -r ROUNDS  in this process, the first to warm up (1)\n"
	       "  -f FDS     soft limit of fds\n"
	       "  -s SECS    to observe (10)\n"
	       "  -l SECS    to give up after (20)\n");
}

static void
limit_fds(int fds)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	limit.rlim_cur = fds ? (rlim_t)fds : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("no limit of %d fds", fds);
}

static long
number(const char *s)
{
	char *end;
	double v = strtod(s, &end);

	if (end == s || *end || v < 0 || v > 1e9)
		die("%s is no number", s);

	return (long)v;
}

int
main(int argc, char **argv)
{
	size_t i;
	int c;

	if (argc < 2 || is(argv[1], "--help") || is(argv[1], "-h")) {
		help();
		return argc < 2;
	}
	opt.row = argv[1];
	optind = 2;
	while ((c = getopt(argc, argv, "m:n:k:b:t:w:e:r:f:s:l:")) != -1)
		switch (c) {
		case 'm':
			opt.who = optarg;
			break;
		case 'n':
			opt.n = number(optarg);
			break;
		case 'k':
			opt.syncs = number(optarg);
			break;
		case 'b':
			opt.work = (int)number(optarg);
			break;
		case 't':
			opt.threads = (int)number(optarg);
			break;
		case 'w':
			opt.wsis = (int)number(optarg);
			break;
		case 'e':
			opt.evlib = optarg;
			break;
		case 'r':
			opt.rounds = (int)number(optarg);
			break;
		case 'f':
			opt.fds = (int)number(optarg);
			break;
		case 's':
			opt.secs = strtod(optarg, NULL);
			break;
		case 'l':
			opt.limit = strtod(optarg, NULL);
			break;
		default:
			return 2;
		}
	if (opt.threads < 1 || opt.wsis < 1 || opt.rounds < 1)
		die("-t, -w and -r are at least 1");

	opt.no_spin = is(opt.who, "no-spin") || is(opt.row, "instructions");

	/* the built-in one logs an error for each race that it loses */
	lws_set_log_level(is(BENCH_SELF, "builtin") ? 0 : LLL_ERR | LLL_WARN,
			  NULL);
	limit_fds(opt.fds);
	for (i = 0; i < LWS_ARRAY_SIZE(rows); i++)
		if (is(opt.row, rows[i].name)) {
			c = rows[i].run();
			fflush(stdout);
			/* threads of a peer that hangs may be left */
			_exit(c);
		}
	die("no such row: --help lists them");
}
