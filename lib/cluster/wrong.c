/*
 * lws-threadpool-cluster - what is wrong with an argument, and with which value
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdio.h>
#include <unistd.h>

#include "private.h"

#define STRUCT_MOST 4096 /* as the base has it */

bool
lwstpc_size_ok(const void *s, size_t known, size_t size)
{
	const char *bytes = s;
	size_t n;

	if (size < known || size > STRUCT_MOST)
		return false;
	for (n = known; n < size; n++)
		if (bytes[n])
			return false;

	return true;
}

bool
lwstpc_name_ok(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len && len < LWSTPC_NAME &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

bool
lwstpc_is_forked(const lwstpc_t *c, const char *caller)
{
	if (!c || c->pid == getpid())
		return false;
	lwstpc_log(LLL_ERR,
		   "%s: cluster %p was made before fork(): its threads are in "
		   "the parent\n",
		   caller, (const void *)c);

	return true;
}

struct lwstpc_wrong
lwstpc_wrong_number(const char *why, long long value)
{
	struct lwstpc_wrong wrong = { .why = why };

	snprintf(wrong.value, sizeof(wrong.value), "%lld", value);

	return wrong;
}

struct lwstpc_wrong
lwstpc_wrong_text(const char *why, const char *value)
{
	struct lwstpc_wrong wrong = { .why = why };

	snprintf(wrong.value, sizeof(wrong.value), "%s",
		 value ? value : "NULL");

	return wrong;
}

struct lwstpc_wrong
lwstpc_wrong_handle(const char *why, const void *handle)
{
	struct lwstpc_wrong wrong = { .why = why };

	snprintf(wrong.value, sizeof(wrong.value), "%p", handle);

	return wrong;
}

struct lwstpc_wrong
lwstpc_nothing_wrong(void)
{
	return (struct lwstpc_wrong){ .why = NULL };
}
