/*
 * lws-threadpool - how long things take, without a clock for each of them
 *
 * SPDX-License-Identifier: MIT
 *
 * Up to 1,000 in a second everything is measured, above that one of two, of
 * four..., which counts for the others (N1).
 */

#include "private.h"

#define MEASURED 1000 /* in a second, for certain */

void
lwstp_record(struct lwstp_histogram *h, lws_usec_t us, unsigned int counts)
{
	unsigned int n = us > 0 ? 64 - (unsigned int)__builtin_clzll(
					       (unsigned long long)us) :
				  0;

	if (n > 31)
		n = 31;
	atomic_fetch_add_explicit(&h->n[n], counts, memory_order_relaxed);
	if (us > 0)
		atomic_fetch_add_explicit(&h->total, (uint64_t)us * counts,
					  memory_order_relaxed);
}

/* for a second like one that had so many */
static unsigned int
weight_for(unsigned int seen)
{
	unsigned int weight = 1;

	while (weight * MEASURED * 2 <= seen)
		weight *= 2;

	return weight;
}

unsigned int
lwstp_sample_now(struct lwstp_sampler *s, lws_usec_t now)
{
	unsigned int counts = s->pending;

	s->pending = 0;
	s->seen += counts;
	if (now - s->since >= LWS_US_PER_SEC) {
		s->weight = weight_for(s->seen - counts);
		s->since = now;
		s->seen = counts;
	} else if (s->seen > s->weight * MEASURED)
		s->weight *= 2;

	return counts;
}

LWSTP_POOL_HELD void
__lwstp_sample_start(struct lwstp_pool *pool, unsigned int counts,
		     lws_usec_t now)
{
	unsigned int weight = atomic_load_explicit(&pool->starts_weight,
						   memory_order_relaxed);

	if (now - atomic_load_explicit(&pool->starts_since,
				       memory_order_relaxed) >=
	    LWS_US_PER_SEC) {
		weight = weight_for(pool->starts);
		atomic_store_explicit(&pool->starts_since, now,
				      memory_order_relaxed);
		pool->starts = 0;
	}
	pool->starts += counts;
	if (pool->starts > weight * MEASURED)
		weight *= 2;
	atomic_store_explicit(&pool->starts_weight, weight,
			      memory_order_relaxed);
}
