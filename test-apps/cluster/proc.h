/*
 * lws-threadpool cluster tests - processes of the test's own
 *
 * SPDX-License-Identifier: MIT
 *
 * They end with the test, however that ends.  Only these are ever sent a
 * signal.
 */

#ifndef LWSTP_CLUSTER_PROC_H
#define LWSTP_CLUSTER_PROC_H

#include <stdbool.h>
#include <sys/types.h>

struct proc {
	pid_t pid; /* 0: there is none */
	bool paused;
	int status; /* of the last one, as waitpid() has it */
};

/* Begins argv[0], looked for in PATH; the test fails if that cannot be. */
void
proc_start(struct proc *p, const char *const *argv);

/* SIGSTOP, and SIGCONT */
void
proc_pause(struct proc *p);
void
proc_resume(struct proc *p);

/* SIGKILL, and it is gone when this returns */
void
proc_kill(struct proc *p);

/* Sends sig, SIGCONT too if it is paused, and waits for its end, for 120 s.
 * True if it ended by itself with status 0. */
bool
proc_end(struct proc *p, int sig);

/* It has ended, of itself or not; does not wait */
bool
proc_has_ended(struct proc *p);

#endif
