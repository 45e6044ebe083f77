/*
 * lws-threadpool-cluster - kinds of tasks, and to serve them
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdio.h>

#include "private.h"

#define JOBS 1000

static struct lwstpc_wrong
kind_wrong(const struct lws_threadpool_cluster_kind *k)
{
	if (!k)
		return lwstpc_wrong_text("there is no kind", NULL);
	if (!lwstpc_size_ok(k, sizeof(*k), k->size) || k->reserved)
		return lwstpc_wrong_number(
			"kind has a bad size, or a member that "
			"this version does not know",
			(long long)k->size);
	if (!lwstpc_name_ok(k->name))
		return lwstpc_wrong_text(
			"kind->name is not 1..32 of a-z 0-9 _ -", k->name);
	if (!k->task || !k->encode_job || !k->decode_job || !k->encode_chunk ||
	    !k->decode_chunk)
		return lwstpc_wrong_text("a function is missing in the kind",
					 k->name);
	if (k->retry < LWS_TP_CLUSTER_RETRY_UNSENT ||
	    k->retry > LWS_TP_CLUSTER_RETRY_RESUME)
		return lwstpc_wrong_number("kind->retry is unknown", k->retry);
	if (k->window < 0 || k->window > LWSTPC_WINDOW_MOST)
		return lwstpc_wrong_number("kind->window is not 0..256",
					   k->window);
	if (k->max_chunk > LWSTPC_CHUNK_MOST)
		return lwstpc_wrong_number("kind->max_chunk is over 1,000,000",
					   (long long)k->max_chunk);
	if (k->deadline_secs < 0)
		return lwstpc_wrong_number("kind->deadline_secs is negative",
					   k->deadline_secs);
	if (k->linger_secs < 0)
		return lwstpc_wrong_number("kind->linger_secs is negative",
					   k->linger_secs);

	return lwstpc_nothing_wrong();
}

/* false: it is known already */
static bool
kind_list(lwstpc_t *c, struct lwstpc_kind *kind)
{
	struct lwstpc_kind **at = &c->kinds;

	lwstpc_lock(c);
	while (*at && strcmp((*at)->name, kind->name))
		at = &(*at)->next;
	if (*at) {
		lwstpc_unlock(c);
		return false;
	}
	kind->number = c->n_kinds++;
	*at = kind;
	lwstpc_unlock(c);

	return true;
}

/* NULL: no memory */
static struct lwstpc_kind *
kind_make(const struct lws_threadpool_cluster_kind *k)
{
	struct lwstpc_kind *kind = calloc(1, sizeof(*kind));

	if (!kind)
		return NULL;
	kind->k = *k;
	snprintf(kind->name, sizeof(kind->name), "%s", k->name);
	kind->k.name = kind->name;
	if (!k->window)
		kind->k.window = LWSTPC_WINDOW;
	if (!k->max_chunk)
		kind->k.max_chunk = LWSTPC_CHUNK_SIZE;

	return kind;
}

int
lws_threadpool_cluster_add_kind(struct lws_threadpool_cluster *c,
				const struct lws_threadpool_cluster_kind *k)
{
	struct lwstpc_wrong wrong = c ? kind_wrong(k) :
					lwstpc_wrong_text("there is no cluster",
							  NULL);
	struct lwstpc_kind *kind = NULL;

	if (lwstpc_is_forked(c, __func__))
		return -1;
	if (!wrong.why) {
		kind = kind_make(k);
		if (!kind)
			wrong = lwstpc_wrong_text("no memory for the kind",
						  k->name);
	}
	if (kind && !kind_list(c, kind)) {
		free(kind);
		wrong = lwstpc_wrong_text("the kind is known already", k->name);
	}
	if (!wrong.why)
		return 0;
	lwstpc_log(LLL_ERR, "%s: %s: %s\n", __func__, wrong.why, wrong.value);

	return -1;
}

/* false: it is served already */
static bool
kind_serve(lwstpc_t *c, struct lwstpc_kind *kind, int max_jobs)
{
	bool served;

	lwstpc_lock(c);
	served = kind->served;
	if (!served) {
		kind->max_jobs = max_jobs ? (unsigned int)max_jobs : JOBS;
		kind->served = true;
	}
	lwstpc_unlock(c);

	return !served;
}

int
lws_threadpool_cluster_serve(struct lws_threadpool_cluster *c, const char *name,
			     int max_jobs)
{
	struct lwstpc_wrong wrong = lwstpc_nothing_wrong();
	struct lwstpc_kind *kind;

	if (lwstpc_is_forked(c, __func__))
		return -1;
	kind = c && name ? lwstpc_kind_find(c, name) : NULL;
	if (!kind)
		wrong = lwstpc_wrong_text("no such kind", name);
	else if (max_jobs < 0)
		wrong = lwstpc_wrong_number("max_jobs is negative", max_jobs);
	else if (atomic_load(&c->draining))
		wrong = lwstpc_wrong_text("the cluster is draining", name);
	else if (!kind_serve(c, kind, max_jobs))
		wrong = lwstpc_wrong_text("the kind is served already", name);
	if (wrong.why) {
		lwstpc_log(LLL_ERR, "%s: %s: %s\n", __func__, wrong.why,
			   wrong.value);
		return -1;
	}
	lwstpc_tick_now(c);

	return 0;
}
