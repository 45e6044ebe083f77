/*
 * lws-threadpool unit tests - R1, a call, and what was seen of it
 *
 * SPDX-License-Identifier: MIT
 *
 * Include it in one file of an executable.
 */

#ifndef LWSTP_UNIT_CALLS_H
#define LWSTP_UNIT_CALLS_H

#include "harness.h"

struct call {
	struct rig *rig;
	struct lws_threadpool *tp;
	int ret; /* of call_make() */
	atomic_int calls;
	struct lws_context *context;
	pthread_t thread;
	int turn;   /* which of all it was, from 0 */
	void *priv; /* the test's */
};

static int call_turn; /* the service thread's */

static inline void
call_note(struct lws_context *context, void *arg)
{
	struct call *c = arg;

	c->context = context;
	c->thread = pthread_self();
	c->turn = call_turn++;
	atomic_fetch_add(&c->calls, 1);
}

static inline void
call_init(struct call *c, struct rig *rig, struct lws_threadpool *tp)
{
	memset(c, 0, sizeof(*c));
	c->rig = rig;
	c->tp = tp;
}

static inline void
call_make(struct call *c, struct rig *rig, struct lws_threadpool *tp)
{
	call_init(c, rig, tp);
	c->ret = lws_threadpool_call(tp, 0, call_note, c);
}

/* R1: it was, or will be, called once, by the service thread */
static inline void
call_is_called(struct call *c)
{
	rig_until_int(c->rig, &c->calls, 1);
	rig_drain(c->rig);
	assert_int_equal(atomic_load(&c->calls), 1);
	assert_ptr_equal(c->context, c->rig->context);
	assert_true(pthread_equal(c->thread, c->rig->thread));
}

#endif
