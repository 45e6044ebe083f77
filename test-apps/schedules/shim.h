/*
 * lws-threadpool schedules - makes threads meet where they seldom meet
 *
 * SPDX-License-Identifier: MIT
 *
 * Linked in by --wrap, see CMakeLists.txt.  At every lock, unlock, wait and
 * signal, at every ring of the doorbell and its answer, a thread may yield or
 * sleep for a short while.  How often and how long is a matter of its priority,
 * which is random and changes at random moments, in the manner of
 * probabilistic concurrency testing.  Waits also return spuriously.
 */

#ifndef LWSTP_SHIM_H
#define LWSTP_SHIM_H

#include <stdint.h>

/* Perturb from now on, by this seed.  0: do not, as until the first call, where
 * LWSTP_SHIM_SEED in the environment is no seed either. */
void
shim_seed(uint64_t seed);

/* A place of the program's own at which threads may change */
void
shim_point(void);

/* How many were passed since the program began */
unsigned long
shim_points(void);

#endif
