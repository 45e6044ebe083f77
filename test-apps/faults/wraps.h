/*
 * lws-threadpool faults - the functions that can be made to fail
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_WRAPS_H
#define LWSTP_WRAPS_H

#include <stdbool.h>

enum fault {
	FAULT_CALLOC,
	FAULT_MALLOC,
	FAULT_ALIGNED_ALLOC,
	FAULT_PTHREAD_CREATE,
	FAULT_MUTEX_INIT,
	FAULT_MUTEXATTR_INIT,
	FAULT_COND_INIT,
	FAULT_CONDATTR_INIT,
	FAULT_CONDATTR_SETCLOCK,
	FAULT_EVENTFD,
	FAULT_EVENTFD_WRITE,
	FAULT_EVENTFD_READ,
	FAULT_SOCKET, /* where there is no eventfd */
	FAULT_FCNTL,
	FAULT_FSTAT,
	FAULT_GETRLIMIT,
	FAULT_SCHED_GETAFFINITY,
	FAULT_CREATE_VHOST,
	FAULT_ADOPT,
	FAULT_ON_WRITABLE,
	FAULT_LWS_ALLOC, /* what lws allocates while it adopts for us */
	FAULTS
};

extern const char *const fault_names[FAULTS];

/* The nth call of it from now on fails; with `on` all the later ones too.
 * FAULTS: nothing fails any more. */
void
fault_arm(enum fault which, int nth, bool on);

/* How many were made to fail since fault_arm() */
int
fault_hits(void);

/* once, before anything of lws */
void
fault_init(void);

#endif
