/*
 * minimal-examples/common: a text as a JSON string
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef JSON_TEXT_H
#define JSON_TEXT_H

#include <stddef.h>

/* bytes that json_text() may need for len bytes of text */
#define JSON_TEXT_SIZE(len) (6 * (len) + 3)

/*
 * Writes text as a JSON string, with its quotes and a NUL, and returns its
 * bytes without the NUL.  What is no UTF-8 becomes "?": a browser would close
 * the connection for it.  If it does not fit it is cut between two characters.
 * size is 3 at least.
 */
size_t
json_text(char *out, size_t size, const char *text, size_t len);

#endif
