/*
 * lws-threadpool schedules - a clock that a race can put forward
 *
 * SPDX-License-Identifier: MIT
 *
 * A sync timeout is a second at least: races that are to meet one do not wait
 * for it.  Linked in by --wrap, as the shim is: our library and the program see
 * the clock, libwebsockets does not.
 */

#ifndef LWSTP_SCHEDULES_CLOCK_H
#define LWSTP_SCHEDULES_CLOCK_H

#include <stdint.h>

/* Any thread.  Who waits for a time sees it within some ms. */
void
clock_forward(int64_t us);

/* By how much it was in all */
int64_t
clock_ahead(void);

#endif
