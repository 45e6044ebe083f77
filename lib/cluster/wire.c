/*
 * lws-threadpool-cluster - messages on the wire
 *
 * SPDX-License-Identifier: MIT
 *
 * What comes in may be anything: nothing is read beyond its length.
 */

#include <string.h>

#include "wire.h"

#define JOB_BODY    (LWSTPC_ID_BYTES + 8 + 4 * 4)
#define CREDIT_BODY (2 * 4)
#define FIND_BODY   8

static unsigned char *
put(unsigned char *p, uint64_t value, unsigned int bytes)
{
	unsigned int n;

	for (n = 0; n < bytes; n++)
		p[n] = (unsigned char)(value >> (8 * n));

	return p + bytes;
}

static uint64_t
get(const unsigned char **p, unsigned int bytes)
{
	uint64_t value = 0;
	unsigned int n;

	for (n = 0; n < bytes; n++)
		value |= (uint64_t)(*p)[n] << (8 * n);
	*p += bytes;

	return value;
}

static size_t
body(unsigned int type)
{
	switch (type) {
	case LWSTPC_JOB:
		return JOB_BODY;
	case LWSTPC_CREDIT:
		return CREDIT_BODY;
	case LWSTPC_FIND:
		return FIND_BODY;
	default:
		return 0;
	}
}

size_t
lwstpc_encode(void *buf, const struct lwstpc_wire *wire)
{
	unsigned char *p = buf;

	*p++ = LWSTPC_WIRE_MAGIC;
	*p++ = LWSTPC_WIRE_VERSION;
	*p++ = (unsigned char)wire->type;
	*p++ = (unsigned char)wire->flags;
	p = put(p, wire->seq, 4);
	p = put(p, wire->fence, 8);
	p = put(p, wire->time, 8);
	switch (wire->type) {
	case LWSTPC_JOB:
		memcpy(p, wire->id, LWSTPC_ID_BYTES);
		p = put(p + LWSTPC_ID_BYTES, wire->front, 8);
		p = put(p, wire->version, 4);
		p = put(p, wire->window, 4);
		p = put(p, wire->max_chunk, 4);
		p = put(p, wire->linger, 4);
		break;
	case LWSTPC_CREDIT:
		p = put(p, wire->upto, 4);
		p = put(p, wire->tries, 4);
		break;
	case LWSTPC_FIND:
		p = put(p, wire->front, 8);
		break;
	default:
		break;
	}

	return (size_t)(p - (unsigned char *)buf);
}

int
lwstpc_decode(struct lwstpc_wire *wire, const void *buf, size_t len)
{
	const unsigned char *p = buf;

	memset(wire, 0, sizeof(*wire));
	if (len < LWSTPC_WIRE_HEADER || p[0] != LWSTPC_WIRE_MAGIC ||
	    p[1] != LWSTPC_WIRE_VERSION || !p[2] || p[2] >= LWSTPC_TYPES ||
	    len < LWSTPC_WIRE_HEADER + body(p[2]))
		return -1;
	wire->type = (enum lwstpc_type)p[2];
	wire->flags = p[3];
	p += 4;
	wire->seq = (uint32_t)get(&p, 4);
	wire->fence = get(&p, 8);
	wire->time = get(&p, 8);
	switch (wire->type) {
	case LWSTPC_JOB:
		memcpy(wire->id, p, LWSTPC_ID_BYTES);
		p += LWSTPC_ID_BYTES;
		wire->front = get(&p, 8);
		wire->version = (uint32_t)get(&p, 4);
		wire->window = (uint32_t)get(&p, 4);
		wire->max_chunk = (uint32_t)get(&p, 4);
		wire->linger = (uint32_t)get(&p, 4);
		break;
	case LWSTPC_CREDIT:
		wire->upto = (uint32_t)get(&p, 4);
		wire->tries = (uint32_t)get(&p, 4);
		break;
	case LWSTPC_FIND:
		wire->front = get(&p, 8);
		break;
	default:
		break;
	}
	wire->data = p;
	wire->len = len - (size_t)(p - (const unsigned char *)buf);

	return 0;
}

/*
 * Ids as text
 */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789-_";

void
lwstpc_text(char *text, const void *id, size_t bytes)
{
	const unsigned char *p = id;
	unsigned int bits = 0, held = 0;
	size_t n;

	for (n = 0; n < bytes; n++) {
		held = held << 8 | p[n];
		for (bits += 8; bits >= 6; bits -= 6)
			*text++ = digits[held >> (bits - 6) & 63];
	}
	if (bits)
		*text++ = digits[held << (6 - bits) & 63];
	*text = '\0';
}

static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;

	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int
lwstpc_untext(void *id, size_t bytes, const char *text)
{
	unsigned char *p = id;
	unsigned int bits = 0, held = 0;
	size_t n = 0;
	int value;

	for (; *text && *text != '.'; text++) {
		value = digit(*text);
		if (value < 0)
			return -1;
		held = held << 6 | (unsigned int)value;
		bits += 6;
		if (bits < 8)
			continue;
		if (n == bytes)
			return -1;
		bits -= 8;
		p[n++] = (unsigned char)(held >> bits);
	}

	/* one text for each id: what is left over is zero */
	return n == bytes && bits < 6 && !(held & ((1u << bits) - 1)) ? 0 : -1;
}

void
lwstpc_hex(char *hex, const unsigned char id[LWSTPC_ID_BYTES])
{
	static const char hexes[] = "0123456789abcdef";
	size_t n;

	for (n = 0; n < LWSTPC_ID_BYTES; n++) {
		*hex++ = hexes[id[n] >> 4];
		*hex++ = hexes[id[n] & 15];
	}
	*hex = '\0';
}

int
lwstpc_unhex(unsigned char id[LWSTPC_ID_BYTES], const char *hex)
{
	unsigned int value;
	size_t n;
	char c;

	for (n = 0; n < 2 * LWSTPC_ID_BYTES; n++) {
		c = hex[n];
		if (c >= '0' && c <= '9')
			value = (unsigned int)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = (unsigned int)(c - 'a' + 10);
		else
			return -1;
		id[n / 2] = (unsigned char)(n & 1 ? id[n / 2] * 16u + value :
						    value);
	}

	return hex[n] ? -1 : 0;
}
