/*
 * lws-threadpool unit tests - S5's ring after a second never comes, so that a
 * wake-up which S3 or S6 owe and is lost stays lost, and the test with it
 *
 * SPDX-License-Identifier: MIT
 *
 * Include it in one file of an executable linked with --wrap=lws_sul_schedule.
 * The rig's own look at its conditions is set to a long time as well: lws has
 * to be woken by what the library does.
 */

#ifndef LWSTP_UNIT_NO_RERING_H
#define LWSTP_UNIT_NO_RERING_H

#include "harness.h"

#define NO_RERING_TICK_US (7 * LWS_US_PER_SEC + 1)
#define NO_RERING_FROM_US (LWS_US_PER_SEC / 2)

/* timers that this thread has armed */
static _Thread_local int no_rering_armed;

void
__real_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);
void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);

void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb, lws_usec_t us)
{
	if (us >= NO_RERING_FROM_US && us != NO_RERING_TICK_US &&
	    us != LWS_SET_TIMER_USEC_CANCEL)
		return;
	no_rering_armed++;
	__real_lws_sul_schedule(context, tsi, sul, cb, us);
}

static inline int
no_rering_setup(void **state)
{
	struct rig *rig = rig_create(NULL);

	rig->tick_us = NO_RERING_TICK_US;
	*state = rig;

	return 0;
}

#define NO_RERING_TEST(f) \
	cmocka_unit_test_setup_teardown(f, no_rering_setup, rig_teardown)

#endif
