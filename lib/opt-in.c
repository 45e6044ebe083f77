/*
 * lws-threadpool - the vhosts whose events the application passes to us
 *
 * SPDX-License-Identifier: MIT
 *
 * A wsi whose first task comes on such a vhost needs no watch: its end is told
 * by lws_threadpool_wsi_event().  Under the context's lock, but for the vhost
 * that passed an event last.
 */

#include <stdlib.h>

#include "private.h"

void
lwstp_context_learn(struct lwstp_context *context, struct lws_vhost *vhost,
		    bool passes)
{
	struct lwstp_entry *known;

	if (passes && atomic_load_explicit(&context->passed,
					   memory_order_relaxed) == vhost)
		return;

	lwstp_lock_context(context);
	known = lwstp_table_find(context->passing, vhost);
	if (known && !passes) {
		lwstp_table_remove(&context->passing, known);
		free(known);
	} else if (!known && passes) {
		/* without memory its wsi keep their watches, no more */
		known = calloc(1, sizeof(*known));
		if (known)
			known->key = vhost;
		if (known && !lwstp_table_add(&context->passing, known)) {
			free(known);
			known = NULL;
		}
	}
	atomic_store(&context->passed, known && passes ? vhost : NULL);
	lwstp_unlock_context(context);
}

bool
lwstp_context_opted_in(struct lwstp_context *context, struct lws_vhost *vhost)
{
	bool opted_in;

	lwstp_lock_context(context);
	opted_in = lwstp_table_find(context->passing, vhost);
	lwstp_unlock_context(context);

	return opted_in;
}

LWSTP_CONTEXT_HELD void
__lwstp_context_unlearn(struct lwstp_context *context)
{
	struct lwstp_entry *vhost;

	atomic_store(&context->passed, NULL);
	while ((vhost = context->passing)) {
		lwstp_table_remove(&context->passing, vhost);
		free(vhost);
	}
}
