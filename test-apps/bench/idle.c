/*
 * lws-threadpool benchmark - what an idle pool costs
 *
 * SPDX-License-Identifier: MIT
 *
 * Wake-ups are the context switches that the kernel counts for each thread of
 * the process, over some seconds in which nothing happens.  The service thread
 * sits in lws meanwhile; its one wake-up is the end of the row.
 */

#include <ctype.h>
#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

struct wakeups {
	long workers;
	long service;
	double cpu_ms;
};

static volatile long looked;

static long
switches_of(long tid)
{
	char name[64], line[128];
	long n = 0, one;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/self/task/%ld/status", tid);
	f = fopen(name, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &one) == 1)
			n += one;
	fclose(f);

	return n;
}

static void
count(struct wakeups *w)
{
	struct dirent *entry;
	struct timespec ts;
	DIR *dir = opendir("/proc/self/task");
	long tid;

	if (!dir)
		die("/proc/self/task");
	w->workers = w->service = 0;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		tid = strtol(entry->d_name, NULL, 10);
		if (tid == (long)getpid())
			w->service += switches_of(tid);
		else
			w->workers += switches_of(tid);
	}
	closedir(dir);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	w->cpu_ms = (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static enum lws_threadpool_task_return
syncs(void *user, enum lws_threadpool_task_status s)
{
	(void)user;

	return s == LWS_TP_STATUS_STOPPING ? LWS_TP_RETURN_STOPPED :
					     LWS_TP_RETURN_SYNC;
}

static int
look(struct rig_wsi *w)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(w->wsi);
	void *user;

	if (!w->cursor && task &&
	    lws_threadpool_task_status(task, &user) == LWS_TP_STATUS_SYNCING) {
		w->cursor = 1;
		looked = looked + 1;
	}

	return 0;
}

static void
observe(double secs)
{
	rig_limit(secs);
	while (!rig.late)
		rig_turn();
}

int
bench_idle(void)
{
	struct lws_threadpool_task_args args = { .task = syncs };
	struct lws_threadpool *tp = NULL;
	struct wakeups from, to;
	long i;

	params("n=%ld;t=%d;s=%g", opt.n, opt.threads, opt.secs);
	rig_up(opt.n, look);
	if (!is(opt.who, "none"))
		tp = rig_pool(opt.threads, opt.n + 1);
	for (i = 0; tp && i < opt.n; i++) {
		args.wsi = rig.wsis[i].wsi;
		if (!lws_threadpool_enqueue(tp, &args, "stream %ld", i))
			die("refused");
	}
	if (tp && !rig_until(&looked, opt.n))
		die("only %ld are SYNCING", looked);
	observe(3); /* what follows from the start is over */

	count(&from);
	observe(opt.secs);
	count(&to);
	out("worker wake-ups", (double)(to.workers - from.workers), "");
	out("service thread wake-ups", (double)(to.service - from.service), "");
	out("cpu", to.cpu_ms - from.cpu_ms, "ms");

	return 0;
}
