/*
 * lws-threadpool unit tests - the n-th call of a kind fails
 *
 * SPDX-License-Identifier: MIT
 *
 * For one test each: see faults-wrap.h.
 */

#ifndef LWSTP_UNIT_FAULTS_COUNT_H
#define LWSTP_UNIT_FAULTS_COUNT_H

#include "faults-wrap.h"

/* The calls of one kind are counted, and number fail_at fails, or all from it
 * on.  Any thread. */
static struct {
	atomic_int on;
	atomic_int what;
	atomic_int count;
	int fail_at;
	int for_good;
	atomic_int failed;
} fault;

static bool
fails(enum what what)
{
	int n;

	if (!atomic_load(&fault.on) || atomic_load(&fault.what) != (int)what)
		return false;
	n = atomic_fetch_add(&fault.count, 1) + 1;
	if (n != fault.fail_at && (!fault.for_good || n < fault.fail_at))
		return false;
	atomic_fetch_add(&fault.failed, 1);

	return true;
}

static inline void
faults_on(enum what what, int at, int for_good)
{
	fault.fail_at = at;
	fault.for_good = for_good;
	atomic_store(&fault.count, 0);
	atomic_store(&fault.failed, 0);
	atomic_store(&fault.what, (int)what);
	atomic_store(&fault.on, 1);
}

/* how many failed */
static inline int
faults_off(void)
{
	atomic_store(&fault.on, 0);

	return atomic_load(&fault.failed);
}

#endif
