/*
 * lws-threadpool - handles that cannot dangle
 *
 * SPDX-License-Identifier: MIT
 *
 * The pointers that users hold are no addresses: they are the number of a slot
 * and the generation that the slot had, packed into a pointer's bits.  A slot's
 * generation changes when what lived in it ends, so a handle that was kept too
 * long is recognised and reaches nothing (Q6).  The two lowest bits tell a task
 * from a pool, and either from an aligned address.
 *
 * Slots lie in chunks, each twice as large as the one before, that are kept for
 * the life of the process: looking at a slot is always safe.  A chunk's memory
 * is only touched as its slots are handed out.
 */

#include <stdlib.h>

#include "private.h"

#define KIND_BITS	2
#if UINTPTR_MAX > 0xffffffffu
#define INDEX_BITS	31
#define GENERATION_BITS	31
/* A slot whose generations are used up is left unused: 2^31 tasks cost its
 * couple of hundred bytes, and no handle ever comes twice. */
#define GENERATION_WRAPS false
#else
#define INDEX_BITS	18
#define GENERATION_BITS	12
/* Too few to throw slots away.  They begin again, and free slots are used in
 * turn, a pool's and those that no pool has: a handle comes again after a
 * million tasks at the soonest, unless long-lived tasks have most of a pool's
 * slots, or other pools most of the free ones. */
#define GENERATION_WRAPS true
#endif

#define MASK(bits) ((((uintptr_t)1) << (bits)) - 1)

#define SLOTS(type, n) {						\
		.lock = PTHREAD_MUTEX_INITIALIZER,			\
		.size = sizeof(struct type),				\
		.first_bits = n,					\
	}

struct lwstp_slots lwstp_task_slots = SLOTS(lwstp_task, 8);
struct lwstp_slots lwstp_worker_slots = SLOTS(lwstp_worker, 4);
struct lwstp_slots lwstp_pool_slots = SLOTS(lwstp_pool, 3);

/* chunk c begins with slot number (2^c - 1) << first_bits */
static unsigned int
chunk_of(const struct lwstp_slots *slots, uint32_t index, uint32_t *offset)
{
	uint32_t n = (index >> slots->first_bits) + 1,
		 c = 31 - (uint32_t)__builtin_clz(n);

	*offset = index - ((((uint32_t)1 << c) - 1) << slots->first_bits);

	return c;
}

static struct lwstp_slot *
slot_at(struct lwstp_slots *slots, uint32_t index)
{
	uint32_t offset;
	unsigned int c = chunk_of(slots, index, &offset);
	char *chunk;

	if (c >= LWSTP_CHUNKS)
		return NULL;
	chunk = atomic_load_explicit(&slots->chunk[c], memory_order_acquire);

	return chunk ? (void *)(chunk + offset * slots->size) : NULL;
}

/* slots->lock held */
static struct lwstp_slot *
__slot_new(struct lwstp_slots *slots)
{
	struct lwstp_slot *slot;
	unsigned int c;
	uint32_t offset;
	char *chunk;

	if (slots->used > MASK(INDEX_BITS))
		return NULL;
	c = chunk_of(slots, slots->used, &offset);
	if (c >= LWSTP_CHUNKS)
		return NULL;
	if (!offset) {
		chunk = calloc((size_t)1 << slots->first_bits << c,
			       slots->size);
		if (!chunk)
			return NULL;
		atomic_store_explicit(&slots->chunk[c], chunk,
				      memory_order_release);
	}
	slot = slot_at(slots, slots->used);
	slot->index = slots->used++;
	slot->generation = 1;

	return slot;
}

struct lwstp_slot *
lwstp_slots_take(struct lwstp_slots *slots, unsigned int n)
{
	struct lwstp_slot *chain = NULL, **end = &chain, *slot;

	pthread_mutex_lock(&slots->lock);
	while (n--) {
		slot = slots->free;
		if (slot)
			slots->free = slot->next_free;
		else
			slot = __slot_new(slots);
		if (!slot)
			break;
		*end = slot;
		end = &slot->next_free;
	}
	*end = NULL;
	pthread_mutex_unlock(&slots->lock);

	return chain;
}

void
lwstp_slots_give(struct lwstp_slots *slots, struct lwstp_slot *chain)
{
	struct lwstp_slot *last = chain;

	if (!chain)
		return;
	while (last->next_free)
		last = last->next_free;

	pthread_mutex_lock(&slots->lock);
	lwstp_slot_chain(&slots->free, &slots->free_tail, chain, last);
	pthread_mutex_unlock(&slots->lock);
}

bool
lwstp_slot_renew(struct lwstp_slot *slot)
{
	if (slot->generation < MASK(GENERATION_BITS)) {
		slot->generation++;
		return true;
	}
	slot->generation = GENERATION_WRAPS ? 1 : 0;

	return GENERATION_WRAPS;
}

void
lwstp_slot_chain(struct lwstp_slot **head, struct lwstp_slot **tail,
		 struct lwstp_slot *first, struct lwstp_slot *last)
{
	if (!*head) {
		last->next_free = NULL;
		*head = first;
		*tail = last;
	} else if (GENERATION_WRAPS) {
		last->next_free = NULL;
		(*tail)->next_free = first;
		*tail = last;
	} else {
		last->next_free = *head;
		*head = first;
	}
}

void *
lwstp_handle(const struct lwstp_slot *slot, enum lwstp_handle_kind kind)
{
	return (void *)(((uintptr_t)slot->generation <<
					(INDEX_BITS + KIND_BITS)) |
			((uintptr_t)slot->index << KIND_BITS) |
			(uintptr_t)kind);
}

struct lwstp_slot *
lwstp_handle_slot(struct lwstp_slots *slots, const void *handle,
		  enum lwstp_handle_kind kind, uint32_t *generation)
{
	uintptr_t bits = (uintptr_t)handle;

	if ((bits & MASK(KIND_BITS)) != (uintptr_t)kind)
		return NULL;
	*generation = (uint32_t)(bits >> (INDEX_BITS + KIND_BITS));
	if (!*generation)
		return NULL;

	return slot_at(slots, (uint32_t)((bits >> KIND_BITS) &
					 MASK(INDEX_BITS)));
}
