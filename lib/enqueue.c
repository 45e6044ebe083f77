/*
 * lws-threadpool - how a task gets into a pool, or why not
 *
 * SPDX-License-Identifier: MIT
 *
 * An enqueue takes no lock, unless the queue is full or its options need one:
 * the pool accepts the task, which then goes into the pool's inbox.  Only its
 * service thread may enqueue a task with a wsi, and attaches it first.
 *
 * If a task is refused `user` stays with the caller (T8).
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "private.h"

/*
 * What it is called with
 */

static const struct lwstp_refusal *
args_refusal(const struct lws_threadpool_task_args *args)
{
	static const struct lwstp_refusal
		no_args = { LWSTP_REFUSED_ARGS, LWS_TP_REFUSED_ARGS, LLL_ERR,
			    "args is NULL" },
		no_task = { LWSTP_REFUSED_TASK, LWS_TP_REFUSED_ARGS, LLL_ERR,
			    "args->task is NULL" },
		both = { LWSTP_REFUSED_BOTH, LWS_TP_REFUSED_ARGS, LLL_ERR,
			 "args->wsi and args->ss are both set" },
		pool_thread = {
			LWSTP_REFUSED_POOL_THREAD, LWS_TP_REFUSED_WRONG_THREAD,
			LLL_ERR,
			"a task with a wsi or ss is for its service thread to "
			"enqueue, not for a pool thread"
		};

	if (!args)
		return &no_args;
	if (!args->task)
		return &no_task;
	if (args->wsi && lwstp_args_ss(args))
		return &both;
	if ((args->wsi || lwstp_args_ss(args)) && lwstp_this_worker)
		return &pool_thread;

	return NULL;
}

/* copies them; true: text says what is wrong with them */
static bool
options_wrong(const struct lws_threadpool_task_args *args,
	      const struct lws_threadpool_task_options *options,
	      struct lws_threadpool_task_options *o, char *text, size_t len)
{
	if (!lwstp_copy_struct(o, sizeof(*o), options, text, len))
		return true;
	if (o->queue_ms < 0)
		lws_snprintf(text, len, "options->queue_ms is %d, below 0",
			     o->queue_ms);
	else if (o->life_ms < 0)
		lws_snprintf(text, len, "options->life_ms is %d, below 0",
			     o->life_ms);
	else if (o->key_max < 0)
		lws_snprintf(text, len, "options->key_max is %d, below 0",
			     o->key_max);
	else if (o->reserved)
		lws_snprintf(text, len, "options->reserved is %d, not 0",
			     o->reserved);
	else if (args && lwstp_args_ss(args) && (o->on_sync || o->on_end))
		lws_snprintf(text, len,
			     "a task with args->ss cannot have "
			     "handlers");
	else
		return false;

	return true;
}

/*
 * What only some tasks have
 */

/* D1, D2: they begin now */
static void
limits_begin(struct lwstp_extra *extra,
	     const struct lws_threadpool_task_options *o)
{
	lws_usec_t now = lwstp_precise_now();

	if (o->queue_ms)
		extra->queue_until = now + o->queue_ms * LWS_US_PER_MS;
	if (o->life_ms)
		extra->life_until = now + o->life_ms * LWS_US_PER_MS;
}

/* false: no memory */
static bool
extra_make(struct lwstp_pool *pool, const struct lws_threadpool_task_options *o,
	   struct lwstp_extra **extra)
{
	bool joined = true;

	*extra = calloc(1, sizeof(**extra));
	if (!*extra)
		return false;
	(*extra)->on_sync = o->on_sync;
	(*extra)->on_end = o->on_end;
	(*extra)->handled = o->on_sync || o->on_end;
	limits_begin(*extra, o);
	(*extra)->key_max = (unsigned int)o->key_max;
	if (o->key) {
		lwstp_lock(pool);
		joined = __lwstp_key_join(pool, *extra, o->key);
		lwstp_unlock(pool);
	}
	if (joined)
		return true;
	free(*extra);
	*extra = NULL;

	return false;
}

static void
extra_free(struct lwstp_pool *pool, struct lwstp_extra *extra)
{
	if (!extra)
		return;
	lwstp_lock(pool);
	__lwstp_key_leave(pool, extra);
	lwstp_unlock(pool);
	free(extra);
}

/*
 * Enqueue
 */

/* what the task is to hang on; NULL: *why */
static LWSTP_ON_SERVICE struct lwstp_wsi *
hang_on(struct lwstp_pool *pool, uint32_t generation,
	const struct lws_threadpool_task_args *args,
	const struct lwstp_refusal **why)
{
#if defined(LWS_WITH_SECURE_STREAMS)
	if (args->ss) {
		*why = lwstp_accept(pool, generation, true);
		return *why ? NULL :
			      lwstp_ss_make(pool->context, args->ss, why);
	}
#endif

	return lwstp_hang_on(pool, generation, args->wsi, why);
}

static uint64_t
first_word(const struct lwstp_task *task,
	   const struct lws_threadpool_task_args *args,
	   const struct lwstp_wsi *on)
{
	uint64_t word = atomic_load_explicit(&task->slot.word,
					     memory_order_relaxed);

	word = lwstp_with_status(word, LWS_TP_STATUS_QUEUED);
	if (on)
		return args->async_task ? word | LWSTP_OUTLIVE : word;
	if (task->extra && task->extra->on_end)
		word |= LWSTP_TOLD_END;

	return word | LWSTP_DETACHED | LWSTP_OUTLIVE;
}

/* whose deadlines begin, too, with the lock held: or they could be over before
 * the task can be found on any list */
static void
put(struct lwstp_pool *pool, struct lwstp_task *task)
{
	const struct lwstp_extra *extra = task->extra;
	struct lwstp_service *first = pool->context->service;
	bool signal = false;

	if (!extra || (!extra->queue_until && !extra->life_until)) {
		lwstp_inbox_put(&pool->inbox, &task->put);
	} else {
		lwstp_lock(pool);
		lwstp_inbox_put(&pool->inbox, &task->put);
		signal = __lwstp_time_limits(pool, task);
		lwstp_unlock(pool);
	}
	lwstp_wake(pool);
	if (signal)
		lwstp_signal(first);
}

/* accepted, and nobody else knows of it yet */
static LWSTP_ON_SERVICE struct lws_threadpool_task *
put_in(struct lwstp_pool *pool, struct lwstp_task *task,
       const struct lws_threadpool_task_args *args, struct lwstp_wsi *on)
{
	lws_usec_t now = lwstp_now();
	unsigned int sampled = lwstp_sample_enqueue(
		pool, (uint32_t)atomic_load(&pool->slot.word), now);
	uint64_t word = first_word(task, args, on);

	atomic_store_explicit(&task->pool, pool, memory_order_relaxed);
	atomic_store_explicit(&task->user, args->user, memory_order_relaxed);
	atomic_store_explicit(&task->since, now, memory_order_relaxed);
	atomic_store_explicit(&task->sampled, sampled, memory_order_relaxed);
	atomic_store_explicit(&task->born, sampled ? lwstp_precise_now() : now,
			      memory_order_relaxed);
	task->task = args->task;
	task->cleanup = args->cleanup;
	if (on)
		lwstp_attach(on, task);
	else
		task->service = pool->context->service;
	atomic_store_explicit(&task->slot.word, word, memory_order_release);

	LWSTP_PROBE(enqueue, pool, task, word);
	put(pool, task);
	if (on)
		lwstp_watch_pending(on);

	return lwstp_handle(LWSTP_TASKS, &task->slot, word);
}

/* NULL: accepted, and *handle is it.  o: a copy of its options, or NULL */
static LWSTP_ON_SERVICE const struct lwstp_refusal *
enqueue(struct lwstp_pool *pool, uint32_t generation,
	const struct lws_threadpool_task_args *args,
	const struct lws_threadpool_task_options *o, const char *format,
	va_list ap, struct lws_threadpool_task **handle)
{
	const struct lwstp_refusal *why = args_refusal(args);
	struct lwstp_extra *extra = NULL;
	struct lwstp_wsi *on = NULL;
	struct lwstp_task *task;

	if (!why && (args->wsi || lwstp_args_ss(args)))
		on = hang_on(pool, generation, args, &why);
	if (why)
		return why;
	if (o && !extra_make(pool, o, &extra))
		return &lwstp_no_memory;
	task = (struct lwstp_task *)lwstp_slot_take(LWSTP_TASKS);
	if (!task) {
		extra_free(pool, extra);
		return &lwstp_no_memory;
	}
	lwstp_name_set(&task->name, format, ap, args->name);
	why = lwstp_accept(pool, generation, false);
	if (why) {
		lwstp_slot_give(LWSTP_TASKS, &task->slot);
		extra_free(pool, extra);
		return why;
	}
	atomic_store_explicit(&task->extra, extra, memory_order_relaxed);
	*handle = put_in(pool, task, args, on);

	return NULL;
}

static void
refuse(struct lws_threadpool *tp, struct lwstp_pool *pool, const char *me,
       const struct lws_threadpool_task_args *args,
       const struct lwstp_refusal *why)
{
	const struct lws_ss_handle *ss = args ? lwstp_args_ss(args) : NULL;
	const void *wsi = ss   ? (const void *)ss :
			  args ? (const void *)args->wsi :
				 NULL;

	atomic_fetch_add(&pool->n_refused, 1); /* enqueues alone */
	lwstp_refuse(tp, me, "a task", why, wsi, ss);
}

static struct lws_threadpool_task *
stale_pool(void)
{
	lwstp_refused = LWS_TP_REFUSED_ARGS;

	return NULL;
}

struct lws_threadpool_task *
lws_threadpool_enqueue(struct lws_threadpool *tp,
		       const struct lws_threadpool_task_args *args,
		       const char *format, ...)
{
	struct lws_threadpool_task *handle = NULL;
	const struct lwstp_refusal *why;
	struct lwstp_pool *pool;
	uint32_t generation;
	va_list ap;

	pool = lwstp_pool_find(tp, &generation, __func__);
	if (!pool)
		return stale_pool();
	lwstp_on_service(); /* where there is a wsi or ss */
	va_start(ap, format);
	why = enqueue(pool, generation, args, NULL, format, ap, &handle);
	va_end(ap);
	if (why) {
		refuse(tp, pool, __func__, args, why);
		LWSTP_PROBE_REFUSE(pool, args, format);
		return NULL;
	}
	lwstp_refused = LWS_TP_REFUSED_NONE;

	return handle;
}

struct lws_threadpool_task *
lws_threadpool_enqueue_ext(struct lws_threadpool *tp,
			   const struct lws_threadpool_task_args *args,
			   const struct lws_threadpool_task_options *options,
			   const char *format, ...)
{
	char text[96];
	const struct lwstp_refusal wrong = { LWSTP_REFUSED_OPTIONS,
					     LWS_TP_REFUSED_ARGS, LLL_ERR,
					     text },
				   *why = &wrong;
	struct lws_threadpool_task *handle = NULL;
	struct lws_threadpool_task_options o;
	struct lwstp_pool *pool;
	uint32_t generation;
	va_list ap;

	pool = lwstp_pool_find(tp, &generation, __func__);
	if (!pool)
		return stale_pool();
	lwstp_on_service(); /* where there is a wsi or ss */
	va_start(ap, format);
	if (!options || !options_wrong(args, options, &o, text, sizeof(text)))
		why = enqueue(pool, generation, args, options ? &o : NULL,
			      format, ap, &handle);
	va_end(ap);
	if (why) {
		refuse(tp, pool, __func__, args, why);
		LWSTP_PROBE_REFUSE(pool, args, format);
		return NULL;
	}
	lwstp_refused = LWS_TP_REFUSED_NONE;

	return handle;
}
