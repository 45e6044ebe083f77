/*
 * lws-threadpool - who may touch what, told to clang
 *
 * SPDX-License-Identifier: MIT
 *
 * clang -Wthread-safety checks it; to other compilers this says nothing.  What
 * is named is a role, since C cannot name the lock of the struct that a member
 * is in: "a pool's lock".  Nobody ever holds two of them.  To be on a service
 * thread is a role, too.
 */

#ifndef LWSTP_LOCKS_H
#define LWSTP_LOCKS_H

#if defined(__clang__)
#define LWSTP_SAFETY(x) __attribute__((x))
#else
#define LWSTP_SAFETY(x)
#endif

struct LWSTP_SAFETY(capability("role")) lwstp_role {
	char unused;
};

/* declared to be named in attributes, and defined nowhere */
extern struct lwstp_role lwstp_role_service;
extern struct lwstp_role lwstp_role_context;
extern struct lwstp_role
	lwstp_role_table LWSTP_SAFETY(acquired_after(lwstp_role_context));
extern struct lwstp_role
	lwstp_role_pool LWSTP_SAFETY(acquired_after(lwstp_role_context));

/* of a member: only on its service thread, or with that lock */
#define LWSTP_BY_SERVICE LWSTP_SAFETY(guarded_by(lwstp_role_service))
#define LWSTP_BY_CONTEXT LWSTP_SAFETY(guarded_by(lwstp_role_context))
#define LWSTP_BY_POOL	 LWSTP_SAFETY(guarded_by(lwstp_role_pool))

/* of a function: its caller is there, or holds that lock */
#define LWSTP_ON_SERVICE   LWSTP_SAFETY(requires_capability(lwstp_role_service))
#define LWSTP_CONTEXT_HELD LWSTP_SAFETY(requires_capability(lwstp_role_context))
#define LWSTP_POOL_HELD	   LWSTP_SAFETY(requires_capability(lwstp_role_pool))

/* ... its caller holds no lock, since it may run what is the user's */
#define LWSTP_NONE_HELD \
	LWSTP_SAFETY(locks_excluded(lwstp_role_context, lwstp_role_table, \
				    lwstp_role_pool))

/* ... it takes the lock, takes it if it returns other than NULL, releases it */
#define LWSTP_LOCKS(role)   LWSTP_SAFETY(acquire_capability(role))
#define LWSTP_TRIES(role)   LWSTP_SAFETY(try_acquire_capability(1, role))
#define LWSTP_UNLOCKS(role) LWSTP_SAFETY(release_capability(role))

/* ... after it the caller is known to be in that role */
#define LWSTP_ASSERTS(role) LWSTP_SAFETY(assert_capability(role))

/* ... not checked, for the reason that is told there */
#define LWSTP_UNCHECKED LWSTP_SAFETY(no_thread_safety_analysis)

#endif /* LWSTP_LOCKS_H */
