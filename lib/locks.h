/*
 * lws-threadpool - the lock rules, told to clang
 *
 * SPDX-License-Identifier: MIT
 *
 * clang -Wthread-safety checks them; to other compilers these say nothing.  C
 * has no way to name the lock of the struct that a member is in, so what is
 * named is a role: "a pool's lock".  That suffices: nobody takes two of them.
 */

#ifndef LWSTP_LOCKS_H
#define LWSTP_LOCKS_H

#if defined(__clang__)
#define LWSTP_SAFETY(x) __attribute__((x))
#else
#define LWSTP_SAFETY(x)
#endif

struct LWSTP_SAFETY(capability("lock")) lwstp_role {
	char	unused;
};

/* declared to be named in attributes, and defined nowhere */
extern struct lwstp_role lwstp_role_pool;
extern struct lwstp_role lwstp_role_intake
			LWSTP_SAFETY(acquired_after(lwstp_role_pool));
extern struct lwstp_role lwstp_role_bindings
			LWSTP_SAFETY(acquired_after(lwstp_role_pool,
						    lwstp_role_intake));

/* of a member: only with that lock */
#define LWSTP_BY_POOL	  LWSTP_SAFETY(guarded_by(lwstp_role_pool))
#define LWSTP_BY_INTAKE	  LWSTP_SAFETY(guarded_by(lwstp_role_intake))
#define LWSTP_BY_BINDINGS LWSTP_SAFETY(guarded_by(lwstp_role_bindings))

/* of a function: its caller holds that lock */
#define LWSTP_POOL_HELD	  LWSTP_SAFETY(requires_capability(lwstp_role_pool))
#define LWSTP_INTAKE_HELD LWSTP_SAFETY(requires_capability(lwstp_role_intake))
#define LWSTP_BINDINGS_HELD \
			  LWSTP_SAFETY(requires_capability(lwstp_role_bindings))

/* ... its caller holds none, since it may run what is the user's */
#define LWSTP_NONE_HELD \
	LWSTP_SAFETY(locks_excluded(lwstp_role_pool, lwstp_role_intake, \
				    lwstp_role_bindings))

/* ... it takes it, takes it if what it returns is not NULL, or releases it */
#define LWSTP_LOCKS(role)     LWSTP_SAFETY(acquire_capability(role))
#define LWSTP_TRIES(role) \
	LWSTP_SAFETY(try_acquire_capability(1, role))
#define LWSTP_TRIES_POOL      LWSTP_TRIES(lwstp_role_pool)
#define LWSTP_UNLOCKS(role)   LWSTP_SAFETY(release_capability(role))

/* ... not checked, for the reason that is told there */
#define LWSTP_UNCHECKED	      LWSTP_SAFETY(no_thread_safety_analysis)

#endif /* LWSTP_LOCKS_H */
