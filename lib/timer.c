/*
 * lws-threadpool - the clocks, and a pool's deadlines
 *
 * SPDX-License-Identifier: MIT
 *
 * A pool's deadlines are a pairing heap, by links in the tasks: it needs no
 * memory of its own, so no deadline can be lost for want of it.  All of it is
 * under the pool's lock.  Who waits for the first one: see wake.c.
 */

#include <time.h>

#include "private.h"

#if defined(CLOCK_MONOTONIC_COARSE)
#define LWSTP_CLOCK CLOCK_MONOTONIC_COARSE
#else
#define LWSTP_CLOCK CLOCK_MONOTONIC
#endif

/* the longest sleep, after which the time is looked at again: so that a time_t
 * of 32 bits holds it */
#define LWSTP_SLEEP_US (24LL * 3600 * LWS_US_PER_SEC)

static lws_usec_t
clock_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);

	return (lws_usec_t)ts.tv_sec * LWS_US_PER_SEC + ts.tv_nsec / 1000;
}

lws_usec_t
lwstp_now(void)
{
	return clock_us(LWSTP_CLOCK);
}

lws_usec_t
lwstp_precise_now(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

void
lwstp_deadline(struct timespec *ts, lws_usec_t us_from_now)
{
	lws_usec_t us;

	if (us_from_now > LWSTP_SLEEP_US)
		us_from_now = LWSTP_SLEEP_US;
	clock_gettime(CLOCK_MONOTONIC, ts);
	us = ts->tv_nsec / 1000 + (us_from_now > 0 ? us_from_now : 0);
	ts->tv_sec += (time_t)(us / LWS_US_PER_SEC);
	ts->tv_nsec = (long)(us % LWS_US_PER_SEC) * 1000;
}

/*
 * The heap.  A timer's prev is the one before it among its parent's children,
 * or the parent itself for the first of them.
 */

static LWSTP_POOL_HELD struct lwstp_timer *
__meld(struct lwstp_timer *a, struct lwstp_timer *b)
{
	struct lwstp_timer *swap;

	if (!a)
		return b;
	if (!b)
		return a;
	if (b->at < a->at) {
		swap = a;
		a = b;
		b = swap;
	}
	b->next = a->child;
	if (b->next)
		b->next->prev = b;
	b->prev = a;
	a->child = b;
	a->next = a->prev = NULL;

	return a;
}

/* the children of one that is removed: melds pairs of them, then all pairs */
static LWSTP_POOL_HELD struct lwstp_timer *
__meld_children(struct lwstp_timer *first)
{
	struct lwstp_timer *pairs = NULL, *all = NULL, *a, *b;

	while ((a = first)) {
		b = a->next;
		first = b ? b->next : NULL;
		a->next = NULL;
		if (b)
			b->next = NULL;
		a = __meld(a, b);
		a->next = pairs;
		pairs = a;
	}
	while ((a = pairs)) {
		pairs = a->next;
		a->next = NULL;
		all = __meld(all, a);
	}
	if (all)
		all->prev = NULL;

	return all;
}

LWSTP_POOL_HELD void
__lwstp_timer_add(struct lwstp_timer **heap, struct lwstp_timer *timer,
		  lws_usec_t at)
{
	timer->child = timer->next = timer->prev = NULL;
	timer->at = at;
	*heap = __meld(*heap, timer);
}

LWSTP_POOL_HELD void
__lwstp_timer_remove(struct lwstp_timer **heap, struct lwstp_timer *timer)
{
	struct lwstp_timer *rest;

	if (!timer->at)
		return;
	timer->at = 0;
	rest = __meld_children(timer->child);
	if (*heap == timer) {
		*heap = rest;
		return;
	}
	if (timer->prev->child == timer)
		timer->prev->child = timer->next;
	else
		timer->prev->next = timer->next;
	if (timer->next)
		timer->next->prev = timer->prev;
	*heap = __meld(*heap, rest);
}

LWSTP_POOL_HELD void
__lwstp_timer_by(struct lwstp_timer **heap, struct lwstp_timer *timer,
		 lws_usec_t at)
{
	if (timer->at && timer->at <= at)
		return;
	__lwstp_timer_remove(heap, timer);
	__lwstp_timer_add(heap, timer, at);
}
