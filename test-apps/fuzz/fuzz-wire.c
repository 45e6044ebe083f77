/*
 * lws-threadpool fuzz - what comes from the network of a cluster
 *
 * SPDX-License-Identifier: MIT
 *
 * The first byte of an input says what the rest is: a message, the text of an
 * id, or a token.  What is taken must be what is written for it, byte for byte:
 * so there is one message for one meaning, and one text for one id.  Each lies
 * in memory of its own size, where a sanitizer sees a byte too many.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerInitialize(int *argc, char ***argv);

static void
check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;

	return 0;
}

static int
same(const struct lwstpc_wire *a, const struct lwstpc_wire *b)
{
	return a->type == b->type && a->flags == b->flags && a->seq == b->seq &&
	       a->fence == b->fence && a->time == b->time &&
	       a->front == b->front && !memcmp(a->id, b->id, sizeof(a->id)) &&
	       a->version == b->version && a->window == b->window &&
	       a->max_chunk == b->max_chunk && a->linger == b->linger &&
	       a->upto == b->upto && a->tries == b->tries && a->len == b->len;
}

static void
message(const uint8_t *data, size_t size)
{
	static const struct lwstpc_wire none;
	unsigned char written[LWSTPC_WIRE_MOST];
	struct lwstpc_wire wire, again;
	size_t len;

	memset(&wire, 0xa5, sizeof(wire));
	if (lwstpc_decode(&wire, data, size)) {
		/* nobody can take what is left for a message */
		check(same(&wire, &none) && !wire.data, "half a message");
		return;
	}

	check(wire.type > 0 && wire.type < LWSTPC_TYPES, "no such type");
	check(wire.len <= size &&
		      (const uint8_t *)wire.data + wire.len == data + size,
	      "the data is not the end of the message");
	len = lwstpc_encode(written, &wire);
	check(len <= sizeof(written) && len + wire.len == size &&
		      !memcmp(written, data, len),
	      "written otherwise than read");
	check(!lwstpc_decode(&again, data, size) && same(&wire, &again),
	      "read otherwise the second time");
	/* all that it has is needed */
	check(lwstpc_decode(&again, data, len - 1), "a byte less is enough");
}

/* up to the first NUL, as a subject has it */
static void
text(char *in, size_t bytes)
{
	char out[4 * LWSTPC_ID_BYTES / 3 + 3];
	unsigned char id[LWSTPC_ID_BYTES];
	size_t len = strcspn(in, ".");

	if (lwstpc_untext(id, bytes, in))
		return;
	lwstpc_text(out, id, bytes);
	check(strlen(out) == len && !memcmp(in, out, len),
	      "two texts for one id");
}

static void
token(char *in)
{
	char out[2 * LWSTPC_ID_BYTES + 1];
	unsigned char id[LWSTPC_ID_BYTES];

	if (lwstpc_unhex(id, in))
		return;
	lwstpc_hex(out, id);
	check(!strcmp(in, out), "two tokens for one id");
}

/* the input as an id: what is written of it has to be read */
static void
an_id(const uint8_t *data, size_t size)
{
	unsigned char id[LWSTPC_ID_BYTES] = { 0 }, back[LWSTPC_ID_BYTES];
	char out[LWSTPC_ID_TEXT + 16], hex[2 * LWSTPC_ID_BYTES + 1];

	memcpy(id, data, size < sizeof(id) ? size : sizeof(id));
	lwstpc_text(out, id, sizeof(id));
	check(strlen(out) < LWSTPC_ID_TEXT, "a long text");
	check(!lwstpc_untext(back, sizeof(back), out) &&
		      !memcmp(id, back, sizeof(id)),
	      "an id comes back as another");
	lwstpc_text(out, id, 8);
	check(strlen(out) < LWSTPC_NODE_TEXT, "a long text of a node");
	strcat(out, ".more");
	check(!lwstpc_untext(back, 8, out) && !memcmp(id, back, 8),
	      "a node comes back as another");
	lwstpc_hex(hex, id);
	check(!lwstpc_unhex(back, hex) && !memcmp(id, back, sizeof(id)),
	      "a token comes back as another");
}

/* the rest of an input, and what it is followed by */
static char *
copy_of(const uint8_t *data, size_t size, size_t more)
{
	char *copy = calloc(1, size + more ? size + more : 1);

	if (!copy)
		abort();
	if (size)
		memcpy(copy, data, size);

	return copy;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (!size)
		return 0;
	copy = copy_of(data + 1, size - 1, !!(data[0] & 3));

	switch (data[0] & 3) {
	case 0:
		message((const uint8_t *)copy, size - 1);
		break;
	case 1:
		text(copy, LWSTPC_ID_BYTES);
		text(copy, 8);
		break;
	case 2:
		token(copy);
		break;
	default:
		an_id(data + 1, size - 1);
	}
	free(copy);

	return 0;
}
