/*
 * minimal-examples/common: a text as a JSON string
 *
 * SPDX-License-Identifier: MIT
 */

#include "json-text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* the bytes of the UTF-8 character at p, or 0 if it is none */
static size_t
character(const unsigned char *p, size_t len)
{
	static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80		 ? 1 :
		   (p[0] & 0xe0) == 0xc0 ? 2 :
		   (p[0] & 0xf0) == 0xe0 ? 3 :
		   (p[0] & 0xf8) == 0xf0 ? 4 :
					   0;
	uint32_t c;
	size_t i;

	if (n < 2 || n > len)
		return n < 2 ? n : 0;
	c = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}

	/* too long a form, a surrogate, or beyond Unicode */
	return c < first[n] || (c >= 0xd800 && c < 0xe000) || c > 0x10ffff ?
		       0 :
		       n;
}

size_t
json_text(char *out, size_t size, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text, *end = p + len;
	size_t used = 0, n, need;
	char escaped[8];
	const char *put;

	out[used++] = '"';
	for (; p < end; p += n) {
		n = need = character(p, (size_t)(end - p));
		put = (const char *)p;
		if (!n) {
			n = need = 1;
			put = "?";
		} else if (*p < 0x20 || *p == '"' || *p == '\\') {
			need = (size_t)snprintf(escaped, sizeof(escaped),
						"\\u%04x", *p);
			put = escaped;
		}
		if (used + need + 2 > size)
			break;
		memcpy(out + used, put, need);
		used += need;
	}
	out[used++] = '"';
	out[used] = '\0';

	return used;
}
