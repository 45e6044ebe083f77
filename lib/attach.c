/*
 * lws-threadpool - tokens, and another wsi for a task (K1 to K3)
 *
 * SPDX-License-Identifier: MIT
 *
 * An attach is for the service thread of the wsi.  It holds the pool's lock, so
 * that the task is not released meanwhile.
 */

#include "private.h"

/*
 * Tokens
 */

static bool
random_bytes(const struct lwstp_pool *pool, void *to, size_t len)
{
	struct lwstp_context *context = pool->context;
	struct lws_context *lws;
	bool got = false;

	lwstp_lock_context(context);
	lws = atomic_load(&context->lws);
	if (lws && !context->dying)
		got = lws_get_random(lws, to, len) == len;
	lwstp_unlock_context(context);

	return got;
}

/* K1: the task has a token from now on, and outlives its wsi.  False: it is
 * gone, or there is no memory. */
static bool
give_token(struct lwstp_pool *pool, struct lwstp_task *task, uint64_t word,
	   uint64_t flags, unsigned char *bytes, const uint64_t *key)
{
	uint32_t generation = lwstp_generation(word);
	const unsigned char *has;
	bool given = false;

	lwstp_lock(pool);
	word = atomic_load(&task->slot.word);
	if (lwstp_generation(word) == generation) {
		if (!pool->tokens)
			memcpy(pool->token_key, key, sizeof(pool->token_key));
		has = __lwstp_token_of(task);
		if (has)
			memcpy(bytes, has, LWSTP_TOKEN_BYTES);
		given = has || __lwstp_token_make(pool, task, bytes);
		if (given)
			atomic_fetch_or(&task->slot.word,
					LWSTP_TOKEN | LWSTP_OUTLIVE | flags);
	}
	lwstp_unlock(pool);

	return given;
}

int
lws_threadpool_task_token(struct lws_threadpool_task *handle,
			  unsigned int flags, char *token)
{
	struct {
		uint64_t key[2];
		unsigned char bytes[LWSTP_TOKEN_BYTES];
	} r;
	static const char hex[] = "0123456789abcdef";
	struct lwstp_pool *pool;
	struct lwstp_task *task;
	uint64_t word;
	int n;

	if ((flags & ~(unsigned int)LWS_TP_TOKEN_WAIT) || !token) {
		lwstp_log(LLL_ERR, "%s: flags are 0x%x, token is %p\n",
			  __func__, flags, (void *)token);
		return -1;
	}
	task = lwstp_task_find(handle, &word, __func__);
	if (!task)
		return -1;
	pool = atomic_load(&task->pool);
	if (!random_bytes(pool, &r, sizeof(r))) {
		lwstp_log(LLL_ERR,
			  "%s: no random bytes: the context is "
			  "ending, or lws_get_random() failed\n",
			  __func__);
		return -1;
	}
	if (!give_token(pool, task, word,
			flags & LWS_TP_TOKEN_WAIT ? LWSTP_WAITS : 0, r.bytes,
			r.key)) {
		lwstp_log(LLL_ERR,
			  "%s: out of memory, or task %p has ended "
			  "meanwhile\n",
			  __func__, (void *)handle);
		return -1;
	}
	for (n = 0; n < LWSTP_TOKEN_BYTES; n++) {
		*token++ = hex[r.bytes[n] >> 4];
		*token++ = hex[r.bytes[n] & 15];
	}
	*token = '\0';

	return 0;
}

/* lower case as we write it */
static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';

	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
token_bytes(const char *token, unsigned char *bytes)
{
	size_t n;
	int high, low;

	if (strnlen(token, LWS_THREADPOOL_TOKEN_SIZE) !=
	    LWS_THREADPOOL_TOKEN_SIZE - 1)
		return false;
	for (n = 0; n < LWSTP_TOKEN_BYTES; n++) {
		high = hex_digit(token[2 * n]);
		low = hex_digit(token[2 * n + 1]);
		if (high < 0 || low < 0)
			return false;
		bytes[n] = (unsigned char)(high << 4 | low);
	}

	return true;
}

struct lws_threadpool_task *
lws_threadpool_task_by_token(struct lws_threadpool *tp, const char *token)
{
	struct lws_threadpool_task *handle = NULL;
	unsigned char bytes[LWSTP_TOKEN_BYTES];
	const struct lwstp_task *task;
	struct lwstp_pool *pool;

	if (!token || !token_bytes(token, bytes))
		return NULL;
	pool = lwstp_pool_lock(tp, __func__);
	if (!pool)
		return NULL;
	task = __lwstp_token_find(pool, bytes);
	if (task)
		handle = lwstp_task_handle(task, atomic_load(&task->slot.word));
	lwstp_unlock(pool);

	return handle;
}

/*
 * Another wsi
 */

/* It hangs on the wsi in lists already; now its word says so.  True: the
 * service thread has to be signalled. */
static LWSTP_POOL_HELD LWSTP_ON_SERVICE bool
__attached(struct lwstp_pool *pool, struct lwstp_task *task)
{
	uint64_t word = atomic_load(&task->slot.word), to;
	bool parked, posts;

	do {
		parked = word & LWSTP_PARKED;
		posts = lwstp_status(word) == LWS_TP_STATUS_SYNCING ||
			lwstp_is_done(word);
		to = word & ~(LWSTP_DETACHED | LWSTP_KEPT | LWSTP_CROWDED |
			      LWSTP_TOLD_END);
		if (posts)
			to |= LWSTP_POSTED;
		else if (lwstp_status(word) == LWS_TP_STATUS_RUNNING && !parked)
			to |= LWSTP_WOKEN;
	} while (!(parked ? lwstp_task_unpark(task, &word, to) :
			    lwstp_swap(task, &word, to)));
	if (word & LWSTP_KEPT) {
		DL_DELETE(pool->kept, task);
		pool->n_kept--;
		DL_APPEND(pool->done, task);
		pool->n_done++;
	}

	return posts && !(word & LWSTP_POSTED) && lwstp_task_post(task);
}

static const struct lwstp_refusal
	stale = { LWSTP_REFUSED_STALE, LWS_TP_REFUSED_ARGS, LLL_INFO,
		  "the task is stale" },
	elsewhere = { LWSTP_REFUSED_POOL_THREAD, LWS_TP_REFUSED_WRONG_THREAD,
		      LLL_ERR,
		      "it is for the service thread of the wsi, and of the one "
		      "that the task has or had" };

/* NULL: it is done; the lock keeps the task from being released */
static LWSTP_ON_SERVICE const struct lwstp_refusal *
move_to(struct lwstp_pool *pool, struct lwstp_task *task, uint64_t before,
	struct lwstp_wsi *on)
{
	const struct lwstp_refusal *why = NULL;
	struct lwstp_wsi *left = NULL;
	bool signal = false;
	uint64_t word;

	lwstp_lock(pool);
	word = atomic_load(&task->slot.word);
	if (lwstp_generation(word) != lwstp_generation(before)) {
		why = &stale;
	} else if (!(word & LWSTP_DETACHED) || (word & LWSTP_POSTED)) {
		/* what it leaves, or who has still to look at it, is of this
		 * service thread */
		if (task->service != on->service)
			why = &elsewhere;
		else if (!(word & LWSTP_DETACHED))
			left = task->on;
	}
	if (!why && left != on) {
		if (left)
			lwstp_unattach(task);
		lwstp_attach(on, task);
		signal = __attached(pool, task);
	}
	lwstp_unlock(pool);
	if (left && left != on)
		lwstp_ask_for_others(left);
	if (signal)
		lwstp_signal(on->service);

	return why;
}

int
lws_threadpool_task_attach(struct lws_threadpool_task *handle, struct lws *wsi)
{
	static const struct lwstp_refusal no_wsi = {
		LWSTP_REFUSED_ARGS, LWS_TP_REFUSED_ARGS, LLL_ERR, "wsi is NULL"
	};
	uint64_t word, pool_word;
	struct lwstp_task *task = lwstp_task_find(handle, &word, __func__);
	const struct lwstp_refusal *why = &elsewhere;
	struct lwstp_wsi *on = NULL;
	struct lwstp_pool *pool;

	lwstp_refused = LWS_TP_REFUSED_ARGS;
	if (!task)
		return -1;
	pool = atomic_load(&task->pool);
	pool_word = atomic_load(&pool->slot.word);
	lwstp_on_service();
	if (!wsi)
		why = &no_wsi;
	else if (!lwstp_this_worker)
		on = lwstp_hang_on(pool, 0, wsi, &why);
	if (on)
		why = move_to(pool, task, word, on);
	if (why) {
		lwstp_refuse(lwstp_handle(LWSTP_POOLS, &pool->slot, pool_word),
			     __func__, "to attach a task", why, wsi, false);
		return -1;
	}
	lwstp_watch_pending(on);
	lwstp_refused = LWS_TP_REFUSED_NONE;

	return 0;
}
