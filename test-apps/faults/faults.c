/*
 * lws-threadpool faults - whatever can fail is made to, call by call
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-faults [NAME]
 *
 * One scenario, from the first pool to the end of the context, is run again
 * and again, each time in a process of its own: with the 1st, the 2nd, ... nth
 * call of a function failing, and then with all calls from the nth on failing,
 * until none is left to fail.  Then with real limits: fds, memory, threads,
 * and lws's own table of fds.  Each time nothing may crash, hang or leak, what
 * was accepted must be cleaned up, and once calls succeed again everything
 * must work again.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fds.h"
#include "rig.h"
#include "wraps.h"

#define DEADLINE_US    (40 * 1000000)
#define PATIENCE_TURNS 60
#define MAX_NTH	       400

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

struct run {
	enum fault fault;
	int nth;
	bool on; /* and all calls after it */
	bool opt_in;
	bool context_first;
	void (*limit)(int);    /* instead: a limit, */
	int amount;	       /* of so much */
	unsigned int fd_limit; /* instead: lws's */
	bool limit_early;      /* before the context is made */
	int *hits;	       /* how often something failed */
};

#define AT_ONCE 4

static int *shared_hits; /* with the parent: AT_ONCE of them */
static char repeat[128];
static const struct ledger_hooks hooks = {
	.alive = rig_alive,
	.repeat = repeat,
};

/*
 * The scenario, in a child
 */

static bool
all_cleaned(void *arg)
{
	(void)arg;

	return atomic_load(&ledger.accepted) == atomic_load(&ledger.cleaned);
}

static void
turns_until(bool (*done)(void *), void *arg, const struct run *run)
{
	int64_t deadline = ledger_now() + DEADLINE_US;
	int turns = 0;

	while (!done(arg)) {
		rig_turn();
		/* where nothing works any more, nothing need come of it */
		if (run && (run->on || run->limit) && turns++ > PATIENCE_TURNS)
			return;
		if (ledger_now() > deadline)
			ledger_fail("lost: %lu accepted, %lu cleaned up",
				    atomic_load(&ledger.accepted),
				    atomic_load(&ledger.cleaned));
	}
}

static struct lws_threadpool *
pool(int threads, bool pinned)
{
	struct lws_threadpool_create_args args = { .threads = threads,
						   .max_queue_depth = 300 };
	struct lws_threadpool_options o = { .size = sizeof(o),
					    .pin_tasks = pinned };

	return lws_threadpool_create_ext(rig_context, &args, &o, "faults");
}

static void
put(struct lws_threadpool *tp, enum job_kind kind, struct conn *c)
{
	struct job *job;

	if (c && !c->wsi)
		return;
	job = job_new(kind, 2, c ? c->wsi : NULL, 1);
	if (job)
		job_enqueue(tp, job);
}

static bool
is_closed(void *arg)
{
	return !((struct conn *)arg)->wsi;
}

static void
use(struct lws_threadpool *tp, struct conn *a, struct conn *b,
    const struct run *run)
{
	int n;

	put(tp, JOB_SYNC, a);
	put(tp, JOB_NOOP, b);
	put(tp, JOB_OUTLIVE, a);
	put(tp, JOB_SYNC, b);
	put(tp, JOB_SLOW, NULL);
	lws_threadpool_dump(tp);
	turns_until(all_cleaned, NULL, run);
	for (n = 0; n < 40; n++) /* more slots than a pool takes at once */
		put(tp, JOB_SLOW, NULL);
	put(tp, JOB_ASYNC, a);
}

/* everything succeeds again: so must we */
static void
check_works(void)
{
	struct lws_threadpool *tp = pool(2, false);
	unsigned long accepted;
	struct conn *c = &rig_conns[3];
	int n;

	if (!tp)
		ledger_fail("no pool, though nothing fails any more");
	if (c->wsi) {
		rig_close(c, 0);
		turns_until(is_closed, c, NULL);
	}
	for (n = 0; n < 2; n++) {
		if (!rig_open(c))
			ledger_fail("lws does not adopt any more");
		accepted = atomic_load(&ledger.accepted);
		put(tp, JOB_SYNC, c);
		put(tp, JOB_SYNC, c);
		put(tp, JOB_NOOP, NULL);
		if (atomic_load(&ledger.accepted) != accepted + 3)
			ledger_fail("refused, though nothing fails any more");
		turns_until(all_cleaned, NULL, NULL);
		rig_close(c, (unsigned int)n);
		turns_until(is_closed, c, NULL);
		rig_peers_end();
	}
	lws_threadpool_destroy(tp);
}

/* as many more can be opened, whichever numbers those that are open have */
static void
limit_fds(int more)
{
	struct rlimit l;
	int fd = 0;

	while (fcntl(fd, F_GETFD) >= 0 || more--)
		fd++;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = (rlim_t)fd;
	setrlimit(RLIMIT_NOFILE, &l);
}

static void
no_limit(const struct run *run)
{
	struct rlimit l;

	if (!run->limit)
		return;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	getrlimit(RLIMIT_AS, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_AS, &l);
	getrlimit(RLIMIT_NPROC, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NPROC, &l);
}

/* under a limit, lws may not get what it leaves open */
static void
check_fds(const struct run *run, int before)
{
	int most = before + fds_lost_by_lws(), now = fds_open();

	if (now > most || now < (run->limit_early ? before : most))
		ledger_fail("there should be %d fds, and are %d", most, now);
}

static void
scenario(const struct run *run)
{
	struct lws_threadpool *one, *two;
	int n, fds = fds_open();

	if (run->limit_early)
		run->limit(run->amount);
	if (!rig_begin(run->fd_limit, run->opt_in)) {
		if (!run->limit)
			ledger_fail("no context");
		no_limit(run); /* LSan needs some at exit, too */
		return;	       /* lws needs more than there is */
	}
	if (run->limit && !run->limit_early)
		run->limit(run->amount);
	else if (!run->limit)
		fault_arm(run->fault, run->nth, run->on);

	one = pool(3, false);
	two = pool(2, true);
	for (n = 0; n < 3; n++)
		rig_open(&rig_conns[n]);
	use(one, &rig_conns[0], &rig_conns[1], run);
	use(two, &rig_conns[1], &rig_conns[2], run);
	rig_close(&rig_conns[1], 0);
	turns_until(is_closed, &rig_conns[1], run);
	use(one, &rig_conns[2], &rig_conns[1], run);

	*run->hits = fault_hits();
	fault_arm(FAULTS, 0, false);
	no_limit(run);
	/* a limit of fds that is raised later does not lengthen any table */
	if (!run->fd_limit && run->limit != limit_fds)
		check_works();

	if (run->context_first)
		rig_end();
	lws_threadpool_destroy(one);
	lws_threadpool_destroy(two);
	rig_end();
	rig_peers_end();
	ledger_check_balance();
	check_fds(run, fds);
}

/*
 * The driver
 */

static pid_t
run_begin(const struct run *run)
{
	pid_t pid;

	*run->hits = 0;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		ledger_begin(&hooks, pthread_self());
		alarm(120); /* a hang is a failure as well */
		scenario(run);
		exit(0);
	}

	return pid;
}

/* 0, or -1 if it ended badly */
static int
run_end(const struct run *run, pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr,
			"FAILED: %s, nth %d%s, opt-in %d, context "
			"first %d, limit %d: %s %d\n",
			run->limit || run->fd_limit ? "limit" :
						      fault_names[run->fault],
			run->nth, run->on ? " and on" : "", run->opt_in,
			run->context_first, run->amount,
			WIFSIGNALED(status) ? "signal" : "exit",
			WIFSIGNALED(status) ? WTERMSIG(status) :
					      WEXITSTATUS(status));
		return -1;
	}

	return 0;
}

static int
run_one(struct run *run)
{
	run->hits = shared_hits;

	return run_end(run, run_begin(run));
}

/* The nth call fails, or all from it on, with and without the opt-in: whether
 * one of the four got so far, -1 if one ended badly */
static int
each_way(enum fault f, int nth)
{
	struct run runs[AT_ONCE];
	pid_t pids[AT_ONCE];
	int n, reached = 0;

	memset(runs, 0, sizeof(runs));
	for (n = 0; n < AT_ONCE; n++) {
		runs[n].fault = f;
		runs[n].nth = nth;
		runs[n].on = n & 1;
		runs[n].opt_in = n & 2;
		runs[n].context_first = runs[n].on ^ runs[n].opt_in ^ (nth & 1);
		runs[n].hits = &shared_hits[n];
		pids[n] = run_begin(&runs[n]);
	}
	for (n = 0; n < AT_ONCE; n++)
		if (run_end(&runs[n], pids[n]))
			reached = -1;
		else if (*runs[n].hits && !reached)
			reached = 1;

	return reached;
}

static int
one_fault(enum fault f)
{
	int nth = 0, reached;

	do {
		reached = each_way(f, ++nth);
	} while (reached > 0 && nth < MAX_NTH);
	if (reached < 0)
		return 1;
	if (reached) {
		fprintf(stderr, "FAILED: %s is called more than %d times\n",
			fault_names[f], MAX_NTH);
		return 1;
	}
	if (nth == 1) {
		fprintf(stderr, "FAILED: %s was never called\n",
			fault_names[f]);
		return 1;
	}
	printf("%-36s failed at each of %d calls, %d runs\n", fault_names[f],
	       nth - 1, AT_ONCE * nth);
	fflush(stdout);

	return 0;
}

/* Real limits */

#if !defined(SANITIZED)
static void
limit_memory(int kib)
{
	unsigned long pages = 0;
	struct rlimit l;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%lu", &pages) != 1)
		ledger_fail("no /proc/self/statm");
	fclose(f);
	getrlimit(RLIMIT_AS, &l);
	l.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)kib * 1024;
	setrlimit(RLIMIT_AS, &l);
}
#endif

static void
limit_threads(int threads)
{
	struct rlimit l;

	/* root has no such limit; this uid runs nothing else */
	if (!getuid() && setuid(61234))
		ledger_fail("setuid: %s", strerror(errno));
	getrlimit(RLIMIT_NPROC, &l);
	l.rlim_cur = (rlim_t)threads + 1;
	setrlimit(RLIMIT_NPROC, &l);
}

static int
limits(const char *what, void (*limit)(int), int from, int to, int step,
       bool early)
{
	struct run run = { .fault = FAULTS, .limit = limit };
	int runs = 0;

	for (run.amount = from; run.amount <= to; run.amount += step) {
		run.limit_early = early && !(runs & 2);
		run.opt_in = runs & 1;
		run.context_first = !(runs % 3);
		if (run_one(&run) < 0)
			return 1;
		runs++;
	}
	printf("%-36s %d runs\n", what, runs);
	fflush(stdout);

	return 0;
}

static int
full_tables(void)
{
	struct run run = { .fault = FAULTS };
	int runs = 0;

	for (run.fd_limit = 3; run.fd_limit < 16; run.fd_limit++) {
		run.amount = (int)run.fd_limit;
		run.context_first = run.fd_limit & 1;
		if (run_one(&run) < 0)
			return 1;
		run.opt_in = !run.opt_in;
		runs++;
	}
	printf("%-36s %d runs\n", "lws's table of fds", runs);

	return 0;
}

static void
quiet(int level, const char *line)
{
	(void)level;
	(void)line;
}

/* the bells are of the one or of the other */
static bool
applies(enum fault f)
{
	if (f == FAULT_SOCKET)
		return !LWSTP_FAULTS_EVENTFD;
	if (f == FAULT_EVENTFD || f == FAULT_EVENTFD_WRITE ||
	    f == FAULT_EVENTFD_READ)
		return LWSTP_FAULTS_EVENTFD;

	return true;
}

static bool
wanted(const char *name, int argc, char **argv)
{
	return argc < 2 || strstr(name, argv[1]);
}

int
main(int argc, char **argv)
{
	int f, ran = 0, bad = 0;

	if (argc > 2) {
		fprintf(stderr, "usage: %s [NAME]\n", argv[0]);
		return 1;
	}
	snprintf(repeat, sizeof(repeat), "%.100s (see the next line)", argv[0]);
	signal(SIGPIPE, SIG_IGN);
	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_THREAD,
			  getenv("LWSTP_FAULTS_VERBOSE") ? NULL : quiet);
	shared_hits = mmap(NULL, AT_ONCE * sizeof(int), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared_hits == MAP_FAILED)
		return 1;
	fault_init();
	fds_lost_by_lws(); /* once, and not in each child */

	for (f = 0; f < FAULTS; f++)
		if (applies((enum fault)f) &&
		    wanted(fault_names[f], argc, argv)) {
			ran++;
			bad += one_fault((enum fault)f);
		}
	if (wanted("RLIMIT_NOFILE", argc, argv)) {
		ran++;
		bad += limits("RLIMIT_NOFILE", limit_fds, 0, 40, 1, true);
	}
#if !defined(SANITIZED)
	if (wanted("RLIMIT_AS", argc, argv)) {
		ran++;
		bad += limits("RLIMIT_AS", limit_memory, 0, 60000, 1500, false);
	}
#endif
	if (wanted("RLIMIT_NPROC", argc, argv)) {
		ran++;
		bad += limits("RLIMIT_NPROC", limit_threads, 0, 6, 1, false);
	}
	if (wanted("tables", argc, argv)) {
		ran++;
		bad += full_tables();
	}
	if (!ran) {
		fprintf(stderr, "there is no fault %s\n", argv[1]);
		return 1;
	}
	if (bad)
		printf("%d failed\n", bad);
	else
		printf("faults passed\n");

	return !!bad;
}
