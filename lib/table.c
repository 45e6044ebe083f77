/*
 * lws-threadpool - what is known of an address
 *
 * SPDX-License-Identifier: MIT
 *
 * Hash tables by address, of wsi, secure streams and vhosts.  A table belongs
 * to the caller, who makes sure that nobody else uses it meanwhile.
 */

#include "private.h"

/* Shorter chains than by default, since each entry of a chain is likely to be a
 * cache miss.  (With 3 the table would double too often if addresses were
 * random.) */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 6U

struct lwstp_entry *
lwstp_table_find(struct lwstp_entry *table, const void *key)
{
	struct lwstp_entry *entry;

	HASH_FIND_PTR(table, &key, entry);

	return entry;
}

bool
lwstp_table_add(struct lwstp_entry **table, struct lwstp_entry *entry)
{
	bool out_of_memory = false;

	/* what uthash does then */
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(e) \
	do { \
		out_of_memory = true; \
	} while (0)
	HASH_ADD_PTR(*table, key, entry);

	return !out_of_memory;
}

void
lwstp_table_remove(struct lwstp_entry **table, struct lwstp_entry *entry)
{
	HASH_DEL(*table, entry);
}
