/*
 * lws-threadpool - handles that cannot dangle
 *
 * SPDX-License-Identifier: MIT
 *
 * The pointers that users hold are no addresses: they are the number of a slot
 * and the generation that the slot had.  The generation changes when what lived
 * in the slot ends, so a stale handle is recognised and reaches nothing (Q6).
 * The two lowest bits tell a task from a pool, and both from an address.
 *
 * Slots lie in chunks, each twice as large as the one before, that are kept for
 * the life of the process: a look at a slot is always safe.
 */

#include <stdlib.h>

#include "private.h"

#define KIND_BITS	2

/* On 64 bits no handle ever comes twice: a slot whose generations are used up
 * is left unused.  On 32 bits there are too few generations for that.  They
 * begin again, and free slots are used in turn, IN_TURN of them at least: a
 * task's handle comes again after a million tasks at the soonest, and a pool's
 * after a million pools. */
#if UINTPTR_MAX > 0xffffffffu
#define SLOTS(type, n, number, bits32) {				\
		.size = sizeof(struct type), .first_bits = n,		\
		.index_bits = 31, .generation_bits = 31,		\
		.kind = number, .lock = PTHREAD_MUTEX_INITIALIZER,	\
	}
#define WRAPS	false
#else
#define SLOTS(type, n, number, bits32) {				\
		.size = sizeof(struct type), .first_bits = n,		\
		.index_bits = bits32, .generation_bits = 30 - bits32,	\
		.kind = number, .lock = PTHREAD_MUTEX_INITIALIZER,	\
	}
#define WRAPS	true
#endif
#define IN_TURN	256

#define MASK(bits) ((((uint64_t)1) << (bits)) - 1)

struct lwstp_slots lwstp_task_slots = SLOTS(lwstp_task, 8, 1, 18);
struct lwstp_slots lwstp_pool_slots = SLOTS(lwstp_pool, 3, 2, 10);

/* chunk c begins with slot number (2^c - 1) << first_bits */
static unsigned int
chunk_of(const struct lwstp_slots *slots, uint32_t index, uint32_t *offset)
{
	uint32_t n = (index >> slots->first_bits) + 1,
		 c = 31 - (uint32_t)__builtin_clz(n);

	*offset = index - ((((uint32_t)1 << c) - 1) << slots->first_bits);

	return c;
}

struct lwstp_slot *
lwstp_slot_at(struct lwstp_slots *slots, uint32_t index)
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
	uint32_t used = atomic_load(&slots->used), offset;
	unsigned int c = chunk_of(slots, used, &offset);
	struct lwstp_slot *slot;
	char *chunk;

	if (used > MASK(slots->index_bits) || c >= LWSTP_CHUNKS)
		return NULL;
	if (!offset) {
		chunk = calloc((size_t)1 << slots->first_bits << c,
			       slots->size);
		if (!chunk)
			return NULL;
		atomic_store_explicit(&slots->chunk[c], chunk,
				      memory_order_release);
	}
	slot = lwstp_slot_at(slots, used);
	slot->index = used;
	atomic_store(&slot->word, ((uint64_t)1 << LWSTP_GENERATION_SHIFT) |
				  LWSTP_FREE);
	atomic_store(&slots->used, used + 1);

	return slot;
}

uint64_t
lwstp_slot_next(const struct lwstp_slots *slots, uint64_t word)
{
	uint32_t generation = lwstp_generation(word);

	if (generation < MASK(slots->generation_bits))
		generation++;
	else
		generation = WRAPS ? 1 : 0;

	return (uint64_t)generation << LWSTP_GENERATION_SHIFT;
}

#if UINTPTR_MAX > 0xffffffffu

/* Free slots are a stack.  Its upper half counts what was ever taken off, so
 * that a slot that was taken and given back meanwhile is noticed. */

static struct lwstp_slot *
take_free(struct lwstp_slots *slots)
{
	uint64_t head = atomic_load(&slots->free), rest;
	struct lwstp_slot *slot;

	do {
		if (!(uint32_t)head)
			return NULL;
		slot = lwstp_slot_at(slots, (uint32_t)head - 1);
		rest = ((head >> 32) + 1) << 32 |
		       atomic_load_explicit(&slot->next_free,
					    memory_order_relaxed);
	} while (!atomic_compare_exchange_weak(&slots->free, &head, rest));

	return slot;
}

struct lwstp_slot *
lwstp_slot_take(struct lwstp_slots *slots)
{
	struct lwstp_slot *slot = take_free(slots);

	if (slot)
		return slot;
	pthread_mutex_lock(&slots->lock);
	slot = __slot_new(slots);
	pthread_mutex_unlock(&slots->lock);

	return slot;
}

void
lwstp_slot_give(struct lwstp_slots *slots, struct lwstp_slot *slot)
{
	uint64_t head = atomic_load(&slots->free), to;

	if (!lwstp_generation(atomic_load_explicit(&slot->word,
						   memory_order_relaxed)))
		return;
	do {
		atomic_store_explicit(&slot->next_free, (uint32_t)head,
				      memory_order_relaxed);
		to = (head & ~MASK(32)) | (slot->index + 1);
	} while (!atomic_compare_exchange_weak(&slots->free, &head, to));
}

#else

/* Free slots are a queue: the first is slots->free. */

struct lwstp_slot *
lwstp_slot_take(struct lwstp_slots *slots)
{
	struct lwstp_slot *slot = NULL;
	uint32_t first;

	pthread_mutex_lock(&slots->lock);
	if (slots->n_free < IN_TURN)
		slot = __slot_new(slots);
	if (!slot && slots->n_free) {
		first = (uint32_t)atomic_load(&slots->free);
		slot = lwstp_slot_at(slots, first - 1);
		atomic_store(&slots->free, atomic_load(&slot->next_free));
		slots->n_free--;
	}
	pthread_mutex_unlock(&slots->lock);

	return slot;
}

void
lwstp_slot_give(struct lwstp_slots *slots, struct lwstp_slot *slot)
{
	pthread_mutex_lock(&slots->lock);
	atomic_store(&slot->next_free, 0);
	if (slots->n_free)
		atomic_store(&lwstp_slot_at(slots, slots->last_free - 1)->
					next_free, slot->index + 1);
	else
		atomic_store(&slots->free, slot->index + 1);
	slots->last_free = slot->index + 1;
	slots->n_free++;
	pthread_mutex_unlock(&slots->lock);
}

#endif

void *
lwstp_handle(const struct lwstp_slots *slots, const struct lwstp_slot *slot,
	     uint64_t word)
{
	return (void *)(((uintptr_t)lwstp_generation(word) <<
					(slots->index_bits + KIND_BITS)) |
			((uintptr_t)slot->index << KIND_BITS) |
			(uintptr_t)slots->kind);
}

struct lwstp_slot *
lwstp_handle_slot(struct lwstp_slots *slots, const void *handle,
		  uint32_t *generation)
{
	uintptr_t bits = (uintptr_t)handle;

	if ((bits & MASK(KIND_BITS)) != slots->kind)
		return NULL;
	*generation = (uint32_t)(bits >> (slots->index_bits + KIND_BITS));
	if (!*generation)
		return NULL;

	return lwstp_slot_at(slots, (uint32_t)((bits >> KIND_BITS) &
					       MASK(slots->index_bits)));
}
