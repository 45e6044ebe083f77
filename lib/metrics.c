/*
 * lws-threadpool - the numbers of pools as OpenMetrics text (N2)
 *
 * SPDX-License-Identifier: MIT
 *
 * Any thread.  Each family comes once, with all pools: so their numbers are
 * copied first.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "private.h"

/* as snprintf() goes: `used` is what there is, which may be more than fits */
struct text {
	char *buf;
	size_t len, used;
};

static void
add(struct text *t, const char *format, ...) LWS_FORMAT(2);

static void
add(struct text *t, const char *format, ...)
{
	size_t room = t->used < t->len ? t->len - t->used : 0;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(room ? t->buf + t->used : NULL, room, format, ap);
	va_end(ap);
	if (n > 0)
		t->used += (size_t)n;
}

/* how many bytes of UTF-8 begin there; 0: none do */
static int
utf8_length(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	int length = *u < 0x80		     ? 1 :
		     *u >= 0xc2 && *u < 0xe0 ? 2 :
		     (*u & 0xf0) == 0xe0     ? 3 :
		     *u >= 0xf0 && *u < 0xf5 ? 4 :
					       0,
	    n;

	for (n = 1; n < length; n++)
		if ((u[n] & 0xc0) != 0x80)
			return 0;
	if ((*u == 0xe0 && u[1] < 0xa0) || (*u == 0xed && u[1] > 0x9f) ||
	    (*u == 0xf0 && u[1] < 0x90) || (*u == 0xf4 && u[1] > 0x8f))
		return 0;

	return length;
}

static void
add_label_value(struct text *t, const char *s)
{
	int length;

	for (; *s; s += length ? length : 1) {
		length = utf8_length(s);
		if (!length)
			add(t, "?");
		else if (*s == '\n')
			add(t, "\\n");
		else if (*s == '\\' || *s == '"')
			add(t, "\\%c", *s);
		else
			add(t, "%.*s", length, s);
	}
}

struct of_pool {
	struct lws_threadpool_stats s;
	char name[LWSTP_POOL_NAME];
	const void *id;
};

static void
add_labels(struct text *t, const struct of_pool *p)
{
	add(t, "pool=\"");
	add_label_value(t, p->name);
	add(t, "\",id=\"%p\"", p->id);
}

/*
 * Families
 */

static const struct family {
	const char *name;
	size_t offset; /* in the stats */
	const char *help;
} gauges[] = {
#define MEMBER(m, help) { #m, offsetof(struct lws_threadpool_stats, m), help }
	MEMBER(threads, "Threads of the pool."),
	MEMBER(running, "Tasks on a thread, or waiting for one to go on."),
	MEMBER(queued, "Tasks that have not started."),
	MEMBER(syncing, "Tasks that wait for their service thread."),
	MEMBER(parked, "Tasks that wait for a wake."),
	MEMBER(done, "Tasks that have ended and are to be reaped."),
	MEMBER(kept, "Tasks that have ended and wait to be attached."),
}, counters[] = {
	MEMBER(accepted, "Tasks that were accepted."),
	MEMBER(refused, "Enqueues that were refused."),
	MEMBER(finished, "Tasks that ended FINISHED."),
	MEMBER(stopped, "Tasks that ended STOPPED."),
	MEMBER(timed_out, "Those of them whose time was over."),
	MEMBER(syncs, "SYNCs."),
	MEMBER(wakes, "Wakes of tasks."),
	MEMBER(calls, "Calls to service threads."),
};

static const struct timing {
	const char *name;
	size_t n, total; /* in the stats: offsets */
	const char *help;
} timings[] = {
#define TIMING(m, help) \
	{ #m, offsetof(struct lws_threadpool_stats, m##_us), \
	  offsetof(struct lws_threadpool_stats, m##_total_us), help }
	TIMING(queue, "From the enqueue to the first call."),
	TIMING(run, "A stay on a thread."),
	TIMING(sync, "From a SYNC to its answer."),
};

static const void *
member(const struct of_pool *p, size_t offset)
{
	return (const char *)&p->s + offset;
}

static void
add_gauge(struct text *t, const struct family *f, const struct of_pool *p,
	  unsigned int pools)
{
	add(t,
	    "# TYPE lws_threadpool_%s gauge\n"
	    "# HELP lws_threadpool_%s %s\n",
	    f->name, f->name, f->help);
	for (; pools--; p++) {
		add(t, "lws_threadpool_%s{", f->name);
		add_labels(t, p);
		add(t, "} %lu\n",
		    (unsigned long)*(const uint32_t *)member(p, f->offset));
	}
}

static void
add_counter(struct text *t, const struct family *f, const struct of_pool *p,
	    unsigned int pools)
{
	add(t,
	    "# TYPE lws_threadpool_%s counter\n"
	    "# HELP lws_threadpool_%s %s\n",
	    f->name, f->name, f->help);
	for (; pools--; p++) {
		add(t, "lws_threadpool_%s_total{", f->name);
		add_labels(t, p);
		add(t, "} %llu\n",
		    (unsigned long long)*(const uint64_t *)member(p,
								  f->offset));
	}
}

static void
add_seconds(struct text *t, unsigned long long us)
{
	add(t, "%llu.%06llu", us / 1000000, us % 1000000);
}

/* cumulative, as a histogram of OpenMetrics is */
static void
add_buckets(struct text *t, const struct timing *f, const struct of_pool *p)
{
	const uint64_t *n = member(p, f->n);
	unsigned long long count = 0;
	int i;

	for (i = 0; i < 32; i++) {
		count += n[i];
		add(t, "lws_threadpool_%s_seconds_bucket{", f->name);
		add_labels(t, p);
		add(t, ",le=\"");
		if (i < 31)
			add_seconds(t, 1ull << i);
		else
			add(t, "+Inf");
		add(t, "\"} %llu\n", count);
	}
	add(t, "lws_threadpool_%s_seconds_count{", f->name);
	add_labels(t, p);
	add(t, "} %llu\nlws_threadpool_%s_seconds_sum{", count, f->name);
	add_labels(t, p);
	add(t, "} ");
	add_seconds(t, *(const uint64_t *)member(p, f->total));
	add(t, "\n");
}

static void
add_all(struct text *t, const struct of_pool *p, unsigned int pools)
{
	unsigned int i, n;

	for (i = 0; i < LWS_ARRAY_SIZE(gauges); i++)
		add_gauge(t, &gauges[i], p, pools);
	for (i = 0; i < LWS_ARRAY_SIZE(counters); i++)
		add_counter(t, &counters[i], p, pools);
	for (i = 0; i < LWS_ARRAY_SIZE(timings); i++) {
		add(t,
		    "# TYPE lws_threadpool_%s_seconds histogram\n"
		    "# UNIT lws_threadpool_%s_seconds seconds\n"
		    "# HELP lws_threadpool_%s_seconds %s\n",
		    timings[i].name, timings[i].name, timings[i].name,
		    timings[i].help);
		for (n = 0; n < pools; n++)
			add_buckets(t, &timings[i], &p[n]);
	}
	add(t, "# EOF\n");
}

/*
 * The pools
 */

static LWSTP_POOL_HELD void
__read_pool(struct lwstp_pool *pool, struct of_pool *p)
{
	__lwstp_read_stats(pool, &p->s);
	memcpy(p->name, pool->name, sizeof(p->name));
	p->id = lwstp_handle(LWSTP_POOLS, &pool->slot,
			     atomic_load(&pool->slot.word));
}

/* of every pool that there is, at most `most` */
static unsigned int
read_pools(struct of_pool *p, uint32_t most)
{
	struct lwstp_pool *pool;
	unsigned int pools = 0;
	uint32_t n;

	for (n = 0; n < most; n++) {
		pool = (struct lwstp_pool *)lwstp_slot_at(LWSTP_POOLS,
							  sizeof(*pool), n);
		if (!pool || !atomic_load(&pool->ready) ||
		    pool->fork != lwstp_forks())
			continue;
		lwstp_lock(pool);
		if (pool->exists)
			__read_pool(pool, &p[pools++]);
		lwstp_unlock(pool);
	}

	return pools;
}

int
lws_threadpool_metrics(struct lws_threadpool *tp, char *buf, size_t len)
{
	uint32_t most = tp ? 1 : atomic_load(&lwstp_slots[LWSTP_POOLS].used);
	struct text t = { buf, len, 0 };
	struct lwstp_pool *pool;
	unsigned int pools = 1;
	struct of_pool *p;

	if (!buf && len) {
		lwstp_log(LLL_ERR, "%s: buf is NULL, and len %lu\n", __func__,
			  (unsigned long)len);
		return -1;
	}
	p = calloc(most + 1, sizeof(*p));
	if (!p) {
		lwstp_log(LLL_ERR, "%s: out of memory\n", __func__);
		return -1;
	}
	if (tp) {
		pool = lwstp_pool_lock(tp, __func__);
		if (!pool) {
			free(p);
			return -1;
		}
		__read_pool(pool, p);
		lwstp_unlock(pool);
	} else
		pools = read_pools(p, most);
	add_all(&t, p, pools);
	free(p);

	return (int)t.used;
}
