/*
 * lws-threadpool cluster tests - processes of the test's own
 *
 * SPDX-License-Identifier: MIT
 *
 * The test's main thread begins them, and it alone: their death signal comes
 * when the thread ends that made them.
 */

#include "field.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void
proc_exec(const char *const *argv, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* a connection that a child has, too, would not end with ours */
	close_range(3, (unsigned int)board_fd - 1, 0);
	close_range((unsigned int)board_fd + 1, ~0U, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

void
proc_start(struct proc *p, const char *const *argv)
{
	pid_t parent = getpid();

	assert_int_equal(p->pid, 0);
	p->paused = false;
	p->pid = fork();
	if (!p->pid)
		proc_exec(argv, parent);
	if (p->pid < 0) {
		p->pid = 0;
		fail_msg("%s could not be started", argv[0]);
	}
}

void
proc_pause(struct proc *p)
{
	int status;

	assert_int_equal(kill(p->pid, SIGSTOP), 0);
	/* it is stopped when we are told so */
	assert_int_equal(waitpid(p->pid, &status, WUNTRACED), p->pid);
	assert_true(WIFSTOPPED(status));
	p->paused = true;
}

void
proc_resume(struct proc *p)
{
	assert_int_equal(kill(p->pid, SIGCONT), 0);
	p->paused = false;
}

bool
proc_has_ended(struct proc *p)
{
	if (p->pid && waitpid(p->pid, &p->status, WNOHANG) == p->pid)
		p->pid = 0;

	return !p->pid;
}

static void
proc_reap(struct proc *p)
{
	while (waitpid(p->pid, &p->status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
}

void
proc_kill(struct proc *p)
{
	if (!p->pid)
		return;
	kill(p->pid, SIGKILL);
	proc_reap(p);
}

bool
proc_end(struct proc *p, int sig)
{
	int ms;

	if (!p->pid)
		return true;
	if (p->paused)
		proc_resume(p);
	kill(p->pid, sig);
	for (ms = 0; !proc_has_ended(p); ms += 5) {
		if (ms > 120000) {
			print_error("process %d does not end\n", (int)p->pid);
			proc_kill(p);
			return false;
		}
		poll(NULL, 0, 5);
	}

	/* one that has only begun has no handler yet */
	if (WIFSIGNALED(p->status) && WTERMSIG(p->status) == sig)
		return true;

	return WIFEXITED(p->status) && !WEXITSTATUS(p->status);
}
