/*
 * lws-threadpool - the tokens of a pool's tasks (K1, K2)
 *
 * SPDX-License-Identifier: MIT
 *
 * A hash table, under the pool's lock.  Where a token is in it depends on
 * numbers that nobody knows, and tokens are compared in constant time: so the
 * time that a look-up takes tells nothing.
 */

#include <stdlib.h>

#include "private.h"

#undef HASH_KEYCMP
#define HASH_KEYCMP(a, b, n) lws_timingsafe_bcmp(a, b, (uint32_t)(n))

struct lwstp_token {
	UT_hash_handle hh;
	unsigned char bytes[LWSTP_TOKEN_BYTES];
	struct lwstp_task *task;
};

static LWSTP_POOL_HELD unsigned int
__token_hash(const struct lwstp_pool *pool, const unsigned char *bytes)
{
	uint64_t half[2];

	memcpy(half, bytes, sizeof(half));

	return (unsigned int)((half[0] * (pool->token_key[0] | 1) +
			       half[1] * (pool->token_key[1] | 1)) >>
			      32);
}

LWSTP_POOL_HELD const unsigned char *
__lwstp_token_of(const struct lwstp_task *task)
{
	const struct lwstp_extra *extra = atomic_load(&task->extra);

	return extra && extra->token ? extra->token->bytes : NULL;
}

LWSTP_POOL_HELD bool
__lwstp_token_make(struct lwstp_pool *pool, struct lwstp_task *task,
		   const unsigned char *bytes)
{
	struct lwstp_extra *extra = atomic_load(&task->extra);
	struct lwstp_token *token;
	bool no_memory = false;

	if (!extra) {
		extra = calloc(1, sizeof(*extra));
		if (!extra)
			return false;
		atomic_store(&task->extra, extra);
	}
	token = calloc(1, sizeof(*token));
	if (!token)
		return false;
	memcpy(token->bytes, bytes, sizeof(token->bytes));
	token->task = task;
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(e) \
	do { \
		no_memory = true; \
	} while (0)
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, pool->tokens, token->bytes,
				    sizeof(token->bytes),
				    __token_hash(pool, bytes), token);
	if (no_memory) {
		free(token);
		return false;
	}
	extra->token = token;

	return true;
}

LWSTP_POOL_HELD struct lwstp_task *
__lwstp_token_find(const struct lwstp_pool *pool, const unsigned char *bytes)
{
	struct lwstp_token *token;

	HASH_FIND_BYHASHVALUE(hh, pool->tokens, bytes, LWSTP_TOKEN_BYTES,
			      __token_hash(pool, bytes), token);

	return token ? token->task : NULL;
}

LWSTP_POOL_HELD void
__lwstp_token_drop(struct lwstp_pool *pool, struct lwstp_extra *extra)
{
	if (!extra->token)
		return;
	HASH_DEL(pool->tokens, extra->token);
	free(extra->token);
	extra->token = NULL;
}
