/*
 * lws-threadpool - deadlines that are told in time though all threads are busy
 *
 * SPDX-License-Identifier: MIT
 *
 * For pools that have used D1 or D2: a timer of service thread 0, set for the
 * first deadline of them all, does what is due by then.
 */

#include "private.h"

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

	if (!pool || !atomic_load(&pool->ready) ||
	    pool->fork != lwstp_forks())
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
	struct lwstp_service *service = lws_container_of(sul,
						struct lwstp_service, clock);
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
