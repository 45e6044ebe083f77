/*
 * lws-threadpool unit tests - what tests need that look into the library
 *
 * SPDX-License-Identifier: MIT
 *
 * For the tests test-inside-*: they are linked with the library's archive, with
 * inside.c and with its LWSTP_WRAP.  All that is known of the library's structs
 * in more than one of them is in inside.c.
 */

#ifndef LWSTP_UNIT_INSIDE_H
#define LWSTP_UNIT_INSIDE_H

#include "../../lib/private.h"

#include "harness.h"

/* RIG_TEST(), with the clock and the system as they are */
#define INSIDE_TEST(f) \
	cmocka_unit_test_setup_teardown(f, inside_setup, rig_teardown)

int
inside_setup(void **state);

/* -------- the system -------- */

/* All clocks, for all threads: put forward by so many seconds more, stopped at
 * a whole second, going on from there, and as they are */
void
clock_forward(int secs);
void
clock_stop(void);
void
clock_go(void);
void
clock_reset(void);

/* How many processors there are said to be; 0: as many as there are, -1: the
 * system does not say how many this process may use */
void
processors_are(int n);

/* Whoever makes what is known of a context asks for the limit of fds on the
 * way: the first from now on waits there for a second one, for half a second at
 * the most.  And how many have asked since. */
void
makers_meet(void);
int
makers_met(void);

/* -------- the library -------- */

struct lwstp_pool *
pool_of(struct lws_threadpool *tp);
struct lwstp_task *
task_of(struct lws_threadpool_task *handle);
/* of the test's own thread */
struct lwstp_service *
service_of(struct lws_threadpool *tp);

/* Of a struct lwstp_pool: a thread of it sleeps */
bool
has_an_idle_thread(void *pool);

/* Of a struct lws: lws has been asked for its WRITEABLE */
bool
is_asked_for(void *wsi);

/* A task of the wsi of this one is SYNCING or done and has not been looked at,
 * with what was posted */
bool
is_unseen(void *handle);

/* Of a struct lwstp_service: it looks into its inbox before lws polls */
bool
is_looking(void *service);

/* -------- the tests -------- */

/* lws's timers have been looked at after so long */
void
let_pass(struct rig *rig, lws_usec_t us);

/* Whatever the wsi's callback has left alone is served now */
void
serve_the_rest(struct rig *rig, struct conn *c);

#endif
