/*
 * lws-threadpool-cluster - what the engine tells: to whom it goes
 *
 * SPDX-License-Identifier: MIT
 *
 * On threads of the engine.
 */

#include "private.h"

#define AWAY_PART 2 /* of a lease: less, and no worker has dropped a job */

/* Our own, from the engine: so it lives */
static void
echoed(lwstpc_t *c)
{
	lws_usec_t now = lwstpc_now();

	if (now - atomic_exchange(&c->echoed, now) >
	    c->lease_us / LWSTPC_LATE_PART)
		atomic_store(&c->smooth_since, now);
	atomic_store(&c->heard_at, now);
	if (!atomic_load(&c->connected))
		return;
	lwstpc_engine_back(c);
}

/* If not, the ticker tries again, as with a consumer */
static void
made_queue(lwstpc_t *c, int refused, uint64_t which)
{
	if (refused) {
		atomic_store(&c->queue_error, which);
		return;
	}
	atomic_store(&c->queue, which);
	atomic_store(&c->beat, true);
	atomic_store(&c->queue_ready, true);
	atomic_store(&c->queue_since, 0);
	atomic_store(&c->queue_error, 0);
	lwstpc_tick_now(c);
}

static void
made_consumer(lwstpc_t *c, struct lwstpc_kind *kind, int refused,
	      uint64_t which)
{
	bool warns;

	/* one that was there, and is not, is found by the next pull */
	lwstpc_lock(c);
	kind->ready |= !refused;
	warns = !kind->ready && !kind->warned;
	kind->warned = !kind->ready;
	lwstpc_unlock(c);
	if (warns)
		lwstpc_log(LLL_WARN,
			   "lws_threadpool_cluster: %s is not served yet, the "
			   "engine's error: %llu\n",
			   kind->name, (unsigned long long)which);
	if (!refused)
		lwstpc_take_more(c, kind);
}

static void
answered(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	struct lwstpc_kind *kind;
	uint64_t which;
	int refused;

	if (tail[0] == '-' && !tail[1]) {
		echoed(c);
		return;
	}
	if (tail[0] != '+') {
		lwstpc_front_answer(c, tail, msg);
		return;
	}
	refused = lwstpc_make_answer(msg, &which);
	if (!tail[1]) {
		made_queue(c, refused, which);
		return;
	}
	kind = lwstpc_kind_at(c, (unsigned int)atoi(tail + 1));
	if (kind)
		made_consumer(c, kind, refused, which);
}

static void
sought(lwstpc_t *c, const char *tail, struct lwstpc_msg *msg)
{
	unsigned char id[LWSTPC_ID_BYTES];
	struct lwstpc_wire wire;
	const void *data;
	size_t len;

	data = lwstpc_msg_data(msg, &len);
	if (lwstpc_untext(id, sizeof(id), tail) ||
	    lwstpc_decode(&wire, data, len) || wire.type != LWSTPC_FIND)
		return;
	lwstpc_control_find(c, &wire, id);
	lwstpc_front_find(c, &wire, id);
}

static void
came(void *arg, enum lwstpc_inlet inlet, const char *tail,
     struct lwstpc_msg *msg)
{
	lwstpc_t *c = arg;

	/* a job is given back then */
	if (atomic_load(&c->dying) && inlet != LWSTPC_IN_JOB) {
		lwstpc_msg_free(msg);
		return;
	}
	switch (inlet) {
	case LWSTPC_IN_FRONT:
		lwstpc_front_came(c, tail, msg);
		return;
	case LWSTPC_IN_JOB:
		lwstpc_job_came(c, tail, msg);
		return;
	case LWSTPC_IN_TAKE:
		lwstpc_take_came(c, tail, msg);
		break;
	case LWSTPC_IN_CONTROL:
		lwstpc_control_came(c, tail, msg);
		break;
	case LWSTPC_IN_FIND:
		sought(c, tail, msg);
		break;
	case LWSTPC_IN_ANSWER:
		answered(c, tail, msg);
		break;
	default:
		lwstpc_front_spent(c, lwstpc_spent(msg));
		break;
	}
	lwstpc_msg_free(msg);
}

static void
up(void *arg)
{
	lwstpc_t *c = arg;
	lws_usec_t now = lwstpc_now();
	bool again;

	if (atomic_load(&c->dying))
		return;
	atomic_store(&c->echoed, now);
	atomic_store(&c->up_at, now);
	if (now - atomic_load(&c->heard_at) > c->lease_us / AWAY_PART)
		atomic_store(&c->was_away, true);
	atomic_store(&c->smooth_since, now);
	atomic_store(&c->queue_since, 0);
	atomic_store(&c->queue_error, 0);
	lwstpc_queue_gone(c);
	atomic_store(&c->queue, 0);
	atomic_store(&c->fresh, true);
	lwstpc_engine_back(c);
	atomic_store(&c->connected, true);
	again = atomic_exchange(&c->was_up, true);
	if (again)
		lwstpc_count(&c->n.reconnects, 1);
	lwstpc_tick_now(c);
	if (again)
		lwstpc_log(LLL_NOTICE, "lws_threadpool_cluster: the engine is "
				       "there again\n");
	else
		lwstpc_log(LLL_INFO,
			   "lws_threadpool_cluster: the engine is there\n");
}

static void
down(void *arg)
{
	lwstpc_t *c = arg;
	lws_usec_t none = 0;

	if (atomic_load(&c->dying) || !atomic_exchange(&c->connected, false))
		return;
	atomic_store(&c->queue, 0);
	atomic_compare_exchange_strong(&c->away_since, &none, lwstpc_now());
	lwstpc_log(LLL_WARN, "lws_threadpool_cluster: the engine is away\n");
}

static void
hold(void *arg)
{
	lwstpc_hold(arg);
}

static void
drop(void *arg)
{
	lwstpc_drop(arg);
}

const struct lwstpc_engine_calls lwstpc_calls = {
	.came = came,
	.up = up,
	.down = down,
	.hold = hold,
	.drop = drop,
};
