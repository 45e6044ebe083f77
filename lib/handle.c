/*
 * lws-threadpool - handles that cannot dangle
 *
 * SPDX-License-Identifier: MIT
 *
 * The pointers that users hold are no addresses: they are the number of a slot
 * and the generation that the slot had.  The generation changes when what lived
 * in the slot ends, so a stale handle is recognised and reaches nothing (Q6).
 * The two lowest bits tell a task, a pool and a wsi apart, and all from an
 * address.
 *
 * Slots lie in chunks, each twice as large as the one before, that are kept for
 * the life of the process: a look at a slot is always safe.
 */

#include <stdlib.h>

#include "private.h"

/* Where generations are few they begin again, and free slots are used in turn,
 * at least IN_TURN of them.  So a task's handle comes again after a million
 * tasks at the soonest, and a pool's after a million pools. */
#define WRAPS	(UINTPTR_MAX <= 0xffffffffu)
#define IN_TURN 256

struct lwstp_slots lwstp_slots[] = {
	[LWSTP_TASKS] = {
		.size = sizeof(struct lwstp_task),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	},
	[LWSTP_POOLS] = {
		.size = sizeof(struct lwstp_pool),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	},
	[LWSTP_WSIS] = {
		.size = sizeof(struct lwstp_wsi_slot),
		.lock = PTHREAD_MUTEX_INITIALIZER,
	},
};

/* slots->lock held */
static struct lwstp_slot *
__slot_new(enum lwstp_kind kind)
{
	struct lwstp_slots *slots = &lwstp_slots[kind];
	uint32_t used = atomic_load(&slots->used), offset;
	unsigned int c = lwstp_chunk_of(used, &offset);
	struct lwstp_slot *slot;
	char *chunk;

	if (used > LWSTP_MASK(LWSTP_INDEX_BITS(kind)))
		return NULL;
	if (!offset) {
		chunk = calloc((size_t)1 << LWSTP_FIRST_BITS << c, slots->size);
		if (!chunk)
			return NULL;
		atomic_store_explicit(&slots->chunk[c], chunk,
				      memory_order_release);
	}
	slot = lwstp_slot_at(kind, slots->size, used);
	slot->index = used;
	atomic_store(&slot->word,
		     ((uint64_t)1 << LWSTP_GENERATION_SHIFT) | LWSTP_FREE);
	atomic_store(&slots->used, used + 1);

	return slot;
}

uint64_t
lwstp_slot_next(enum lwstp_kind kind, uint64_t word)
{
	uint32_t generation = lwstp_generation(word);

	if (generation < LWSTP_MASK(LWSTP_GENERATION_BITS(kind)))
		generation++;
	else
		generation = WRAPS ? 1 : 0;

	return (uint64_t)generation << LWSTP_GENERATION_SHIFT;
}

#if UINTPTR_MAX > 0xffffffffu

/* Free slots are a stack.  Its upper half counts what was ever taken off, so
 * that a slot that was taken and given back meanwhile is noticed. */

static struct lwstp_slot *
take_free(enum lwstp_kind kind)
{
	struct lwstp_slots *slots = &lwstp_slots[kind];
	uint64_t head = atomic_load(&slots->free), rest;
	struct lwstp_slot *slot;

	do {
		if (!(uint32_t)head)
			return NULL;
		slot = lwstp_slot_at(kind, slots->size, (uint32_t)head - 1);
		if (!slot)
			return NULL; /* so it was never handed out */
		rest = ((head >> 32) + 1) << 32 |
		       atomic_load_explicit(&slot->next_free,
					    memory_order_relaxed);
	} while (!atomic_compare_exchange_weak(&slots->free, &head, rest));

	return slot;
}

struct lwstp_slot *
lwstp_slot_take(enum lwstp_kind kind)
{
	struct lwstp_slot *slot = take_free(kind);

	if (slot)
		return slot;
	pthread_mutex_lock(&lwstp_slots[kind].lock);
	slot = __slot_new(kind);
	pthread_mutex_unlock(&lwstp_slots[kind].lock);

	return slot;
}

void
lwstp_slot_give(enum lwstp_kind kind, struct lwstp_slot *slot)
{
	struct lwstp_slots *slots = &lwstp_slots[kind];
	uint64_t head = atomic_load(&slots->free), to;

	if (!lwstp_generation(atomic_load_explicit(&slot->word,
						   memory_order_relaxed)))
		return;
	do {
		atomic_store_explicit(&slot->next_free, (uint32_t)head,
				      memory_order_relaxed);
		to = (head & ~LWSTP_MASK(32)) | (slot->index + 1);
	} while (!atomic_compare_exchange_weak(&slots->free, &head, to));
}

#else

/* Free slots are a queue: the first is slots->free. */

struct lwstp_slot *
lwstp_slot_take(enum lwstp_kind kind)
{
	struct lwstp_slots *slots = &lwstp_slots[kind];
	struct lwstp_slot *slot = NULL;
	uint32_t first;

	pthread_mutex_lock(&slots->lock);
	if (slots->n_free < IN_TURN)
		slot = __slot_new(kind);
	if (!slot && slots->n_free) {
		first = (uint32_t)atomic_load(&slots->free);
		slot = lwstp_slot_at(kind, slots->size, first - 1);
		atomic_store(&slots->free, atomic_load(&slot->next_free));
		slots->n_free--;
	}
	pthread_mutex_unlock(&slots->lock);

	return slot;
}

void
lwstp_slot_give(enum lwstp_kind kind, struct lwstp_slot *slot)
{
	struct lwstp_slots *slots = &lwstp_slots[kind];

	pthread_mutex_lock(&slots->lock);
	atomic_store(&slot->next_free, 0);
	if (slots->n_free)
		atomic_store(&lwstp_slot_at(kind, slots->size,
					    slots->last_free - 1)
				      ->next_free,
			     slot->index + 1);
	else
		atomic_store(&slots->free, slot->index + 1);
	slots->last_free = slot->index + 1;
	slots->n_free++;
	pthread_mutex_unlock(&slots->lock);
}

#endif
