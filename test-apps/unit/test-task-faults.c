/*
 * lws-threadpool unit tests - P1: a fault in a task function reaches the
 * program's handler of that signal, on the thread that runs the task
 *
 * SPDX-License-Identifier: MIT
 *
 * Each fault is in a process of its own, which its handler ends.
 */

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define HANDLED 42 /* the child's exit status */
#define FOREIGN 43 /* its handler ran on another thread */
#define NOTHING 44 /* the pool could not be made */
#define SECONDS 60 /* a child that hangs is killed then */

struct fault {
	int sig;
	void (*commit)(int sig);
};

static pthread_t serving;
static const struct fault *committed;

static void
handler(int sig)
{
	(void)sig;
	_exit(pthread_equal(pthread_self(), serving) ? FOREIGN : HANDLED);
}

static void
write_to(int protection, bool behind)
{
	long page = sysconf(_SC_PAGESIZE);
	FILE *file = tmpfile();
	volatile char *at;
	void *mapped;

	if (!file)
		_exit(NOTHING);
	if (!behind && ftruncate(fileno(file), page))
		_exit(NOTHING);
	mapped = mmap(NULL, (size_t)page, protection, MAP_SHARED, fileno(file),
		      0);
	if (mapped == MAP_FAILED)
		_exit(NOTHING);
	at = mapped;
	*at = 1;
}

static void
write_where_it_is_not_allowed(int sig)
{
	(void)sig;
	write_to(PROT_NONE, false);
}

static void
write_behind_the_end_of_a_file(int sig)
{
	(void)sig;
	write_to(PROT_READ | PROT_WRITE, true);
}

static void
abort_it(int sig)
{
	(void)sig;
	abort();
}

/* of this thread, as the processor would */
static void
raise_it(int sig)
{
	raise(sig);
}

static enum lws_threadpool_task_return
task(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;
	committed->commit(committed->sig);

	return LWS_TP_RETURN_FINISHED;
}

static void
child(void)
{
	const struct lws_threadpool_create_args create = {
		.threads = 1, .max_queue_depth = 1
	};
	struct lws_threadpool_task_args args;
	struct lws_threadpool *tp;
	struct rig *rig;

	alarm(SECONDS);
	serving = pthread_self();
	signal(committed->sig, handler);
	rig = rig_create(NULL);
	tp = lws_threadpool_create(rig->context, &create, "faulty");
	memset(&args, 0, sizeof(args));
	args.task = task;
	if (!tp || !lws_threadpool_enqueue(tp, &args, "a fault"))
		_exit(NOTHING);
	for (;;)
		pause();
}

static void
P1_faults_reach_the_handler(void **state)
{
	static const struct fault faults[] = {
		{ SIGSEGV, write_where_it_is_not_allowed },
		{ SIGBUS, write_behind_the_end_of_a_file },
		{ SIGABRT, abort_it },
		{ SIGFPE, raise_it },
		{ SIGILL, raise_it },
		{ SIGTRAP, raise_it },
		{ SIGSYS, raise_it },
	};
	int status;
	pid_t pid;

	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(faults); n++) {
		committed = &faults[n];
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			child();
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != HANDLED)
			fail_msg("%s: the process ended with %x",
				 strsignal(faults[n].sig),
				 (unsigned int)status);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(P1_faults_reach_the_handler),
	};

	return cmocka_run_group_tests_name("P1 faults in tasks", tests, NULL,
					   NULL);
}
