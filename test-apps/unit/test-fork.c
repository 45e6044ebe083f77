/*
 * lws-threadpool unit tests - Q6, a pool in a child after fork() is refused by
 * every call with a line that says why, and none of them waits
 *
 * SPDX-License-Identifier: MIT
 */

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#elif __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif

#define SECONDS 60 /* a child that hangs is killed then, by SIGALRM */

/* each a bit of the child's status that says what went wrong */
enum { ENQUEUED = 1, NOT_SAID = 2, DIAGNOSED = 4, NO_POOL = 8, NOT_RUN = 16 };

static atomic_int cleanups;

static enum lws_threadpool_task_return
task(void *user, enum lws_threadpool_task_status status)
{
	(void)user;
	(void)status;

	return LWS_TP_RETURN_FINISHED;
}

static void
cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	atomic_fetch_add(&cleanups, 1);
}

static const struct lws_threadpool_task_args args = { .task = task,
						      .cleanup = cleanup };

static bool
said(int lines)
{
	return log_claim(LLL_ERR, "made before fork(): its threads are in "
				  "the parent") == lines;
}

static int
use_parents_pool(struct lws_threadpool *tp)
{
	int bad = 0, n[3] = { -1, -1, -1 };

	log_forget();
	if (lws_threadpool_enqueue(tp, &args, "a task") || !said(1))
		bad |= ENQUEUED;
	lws_threadpool_diagnose(tp, &n[0], &n[1], &n[2]);
	if (n[0] || n[1] || n[2] || !said(2))
		bad |= DIAGNOSED;
	lws_threadpool_dump(tp);
	lws_threadpool_finish(tp);
	lws_threadpool_destroy(tp);
	if (!said(5))
		bad |= NOT_SAID;

	return bad;
}

/* TSan stands no thread in the child of a process with threads, nor does ASan,
 * if one of those had its allocator's lock at the fork. */
static int
use_own_pool(struct rig *rig)
{
#if !defined(TSAN) && !defined(ASAN)
	const struct lws_threadpool_create_args create = {
		.threads = 2, .max_queue_depth = 10
	};
	struct lws_threadpool *tp;

	tp = lws_threadpool_create(rig->context, &create, "child");
	if (!tp)
		return NO_POOL;
	if (!lws_threadpool_enqueue(tp, &args, "a task"))
		return NOT_RUN;
	lws_threadpool_destroy(tp);

	return atomic_load(&cleanups) == 1 ? 0 : NOT_RUN;
#else
	(void)rig;

	return 0;
#endif
}

/* where coverage is counted */
extern void
__gcov_dump(void) __attribute__((weak));

static void
in_child(struct rig *rig, struct lws_threadpool *tp)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		alarm(SECONDS);
		status = use_parents_pool(tp) | use_own_pool(rig);
		if (__gcov_dump)
			__gcov_dump();
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("the child ended with %x", (unsigned int)status);
}

static void
of_an_idle_pool(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct job *j = job_new(rig);

	in_child(rig, tp);

	/* and the parent's goes on */
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
}

/* one that destroy() would wait for, if its thread were there */
static void
of_a_busy_pool(void **state)
{
	struct rig *rig = *state;
	struct gate *g = gate_new(rig);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j[2];
	int n;

	for (n = 0; n < 2; n++) {
		j[n] = job_gated(rig, g);
		job_enqueue(tp, j[n], NULL);
	}
	wait_int(&j[0]->calls, 1);
	in_child(rig, tp);
	gate_open(g);
	for (n = 0; n < 2; n++)
		wait_int(&j[n]->cleanups, 1);
}

/* ---- in a task function ---- */

static int
fork_there(struct job *j, enum lws_threadpool_task_status s)
{
	struct lws_threadpool *tp = j->priv;
	pid_t pid = fork();
	int status = 0;
	sigset_t set;

	(void)s;
	if (!pid) {
		/* the pool's threads block it */
		sigemptyset(&set);
		sigaddset(&set, SIGALRM);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		alarm(SECONDS);
		status = use_parents_pool(tp) | use_own_pool(j->rig);
		if (__gcov_dump)
			__gcov_dump();
		_exit(status);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status))
		job_fault(j, "the child of a task was not as it should be");

	return LWS_TP_RETURN_FINISHED;
}

/* The one thread of such a child is none of a pool's: it may destroy its own
 * pools, say, and of its parent's it is told what they are. */
static void
in_a_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_new(rig);

	atomic_store(&cleanups, 0);
	j->fn = fork_there;
	j->priv = tp;
	job_enqueue(tp, j, NULL);
	wait_int(&j->cleanups, 1);
}

/* ---- lws_daemonize() ---- */

#pragma weak lws_daemonize /* not in each build of libwebsockets */

#if !defined(TSAN)
/* Its pool, in the process that lws_daemonize() ends, and in the daemon */
static void
daemonized(int report)
{
	struct rig *rig = rig_create(NULL);
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	char bad = NOT_RUN;

	atomic_store(&cleanups, 0);
	if (lws_threadpool_enqueue(tp, &args, "a task")) {
		wait_int(&cleanups, 1);
		atomic_store(&cleanups, 0);
		if (lws_daemonize(NULL))
			_exit(1);
		signal(SIGALRM, SIG_DFL);
		alarm(SECONDS);
		bad = (char)(use_parents_pool(tp) | use_own_pool(rig));
	}
	_exit(write(report, &bad, 1) != 1);
}
#endif

static void
by_lws_daemonize(void **state)
{
	(void)state;
#if defined(TSAN)
	skip();
#else
	struct pollfd from;
	char bad = NOT_RUN;
	int fds[2];
	pid_t pid;

	if (!lws_daemonize)
		skip(); /* this libwebsockets is built without */
	assert_int_equal(pipe(fds), 0);
	/* its parent ends by exit() */
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(fds[0]);
		daemonized(fds[1]);
	}
	close(fds[1]);
	from = (struct pollfd){ .fd = fds[0], .events = POLLIN };
	assert_int_equal(poll(&from, 1, wait_secs() * 1000), 1);
	assert_int_equal(read(fds[0], &bad, 1), 1);
	close(fds[0]);
	assert_int_equal(bad, 0);
	/* lws ends it by exit() in a signal handler, which waits for ever if
	 * the signal comes within fork(), and there are threads */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
#endif
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(of_an_idle_pool),
		RIG_TEST(of_a_busy_pool),
		RIG_TEST(in_a_task),
		cmocka_unit_test(by_lws_daemonize),
	};

	return cmocka_run_group_tests_name("Q6 after fork()", tests, NULL,
					   NULL);
}
