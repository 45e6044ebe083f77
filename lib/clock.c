/*
 * lws-threadpool - timers of the service thread: deadlines, and deaf poll loops
 *
 * SPDX-License-Identifier: MIT
 *
 * Deadlines are told in time though all threads are busy: for pools that have
 * used D1 or D2 a timer of service thread 0, set for the first deadline of them
 * all, does what is due by then.
 *
 * A poll loop of the application's may never poll our fds, or only by a turn of
 * lws's own loop now and then.  Where lws is built for such loops, a timer
 * looks into the inbox while a wsi that had a task is open: every 10 ms, and
 * less often, down to once a second, as long as it never finds anything late.
 */

#include "private.h"

#define EXPECT_US      (10 * LWS_US_PER_MS)
#define EXPECT_MOST_US (1 * LWS_US_PER_SEC)

/*
 * Deadlines
 */

static void
ring(lws_sorted_usec_list_t *sul);

/* What is due in the pool with that slot number, if it is this context's.  When
 * to look again; 0: never */
static lws_usec_t
expire(const struct lwstp_context *context, uint32_t index)
{
	struct lwstp_pool *pool = (struct lwstp_pool *)
		lwstp_slot_at(LWSTP_POOLS, sizeof(*pool), index);
	lws_usec_t at = 0;

	if (!pool || !atomic_load(&pool->ready) || pool->fork != lwstp_forks())
		return 0;
	lwstp_lock(pool);
	if (pool->context == context && pool->clock_at) {
		while (__lwstp_expire(pool, NULL))
			;
		at = pool->timers ? pool->timers->at : 0;
		pool->clock_at = at;
	}
	lwstp_unlock(pool);

	return at;
}

static LWSTP_ON_SERVICE void
set(struct lwstp_service *service, lws_usec_t at)
{
	lws_usec_t us = at - lwstp_precise_now();

	service->clock_at = at;
	if (!service->ended)
		lws_sul_schedule(atomic_load(&service->context->lws),
				 service->tsi, &service->clock, ring,
				 us < 1 ? 1 : us);
}

static void
ring(lws_sorted_usec_list_t *sul)
{
	struct lwstp_service *service = lws_container_of(
		sul, struct lwstp_service, clock);
	uint32_t n, used = atomic_load(&lwstp_slots[LWSTP_POOLS].used);
	lws_usec_t first = 0, at;

	lwstp_on_service();
	lwstp_service_note(service);
	for (n = 0; n < used; n++) {
		at = expire(service->context, n);
		if (at && (!first || at < first))
			first = at;
	}
	if (first)
		set(service, first);
}

LWSTP_ON_SERVICE void
lwstp_clock_look(struct lwstp_service *service, struct lwstp_post *post)
{
	struct lwstp_pool *pool = lws_container_of(post, struct lwstp_pool,
						   clock);
	lws_usec_t at;

	atomic_store(&pool->clock_posted, false);
	lwstp_lock(pool);
	at = pool->clock_at;
	lwstp_unlock(pool);
	if (at && (lws_dll2_is_detached(&service->clock.list) ||
		   at < service->clock_at))
		set(service, at);
}

/*
 * Poll loops that may be deaf
 */

#if defined(LWS_WITH_EXTERNAL_POLL)
static void
expected(lws_sorted_usec_list_t *sul)
{
	struct lwstp_service *service = lws_container_of(
		sul, struct lwstp_service, expect);
	bool late;

	lwstp_on_service();
	late = !lwstp_inbox_empty(&service->inbox) || service->is_signalled ||
	       !service->heard;
	lwstp_service_turn(service);
	service->expect_us = late ? EXPECT_US : 2 * service->expect_us;
	if (service->expect_us > EXPECT_MOST_US)
		service->expect_us = EXPECT_MOST_US;
	if (service->open)
		lwstp_schedule(service, sul, expected, service->expect_us);
}
#endif

LWSTP_ON_SERVICE void
lwstp_service_expect(struct lwstp_service *service)
{
#if defined(LWS_WITH_EXTERNAL_POLL)
	if (!lws_dll2_is_detached(&service->expect.list))
		return;
	service->expect_us = EXPECT_US;
	lwstp_schedule(service, &service->expect, expected, service->expect_us);
#else
	(void)service;
#endif
}
