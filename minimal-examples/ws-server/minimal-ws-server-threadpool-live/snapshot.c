/*
 * minimal-ws-server-threadpool-live: a pool as text
 *
 * SPDX-License-Identifier: MIT
 */

#include "snapshot.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TASK_SIZE 96 /* more than one task takes */

struct text {
	char *p;
	size_t len, size;
};

static void
say(struct text *text, const char *format, ...) LWS_FORMAT(2);

/* what does not fit is cut off */
static void
say(struct text *text, const char *format, ...)
{
	size_t room = text->size - text->len;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text->p + text->len, room, format, ap);
	va_end(ap);
	if (n > 0)
		text->len += (size_t)n < room ? (size_t)n : room - 1;
}

static void
say_numbers(struct text *text, const struct lws_threadpool_stats *s,
	    unsigned int pool)
{
	say(text,
	    "{\"pool\":%u,\"threads\":%u,\"now\":{\"queued\":%u,"
	    "\"running\":%u,\"syncing\":%u,\"parked\":%u,\"done\":%u}",
	    pool, s->threads, s->queued, s->running, s->syncing, s->parked,
	    s->done);
	say(text,
	    ",\"total\":{\"accepted\":%llu,\"refused\":%llu,"
	    "\"finished\":%llu,\"stopped\":%llu,\"timed_out\":%llu,"
	    "\"syncs\":%llu}",
	    (unsigned long long)s->accepted, (unsigned long long)s->refused,
	    (unsigned long long)s->finished, (unsigned long long)s->stopped,
	    (unsigned long long)s->timed_out, (unsigned long long)s->syncs);
}

/* up to the last that is not 0 */
static void
say_histogram(struct text *text, const char *name, const uint64_t *counts)
{
	int n, len = 32;

	while (len && !counts[len - 1])
		len--;

	say(text, ",\"%s\":[", name);
	for (n = 0; n < len; n++)
		say(text, "%s%llu", n ? "," : "",
		    (unsigned long long)counts[n]);
	say(text, "]");
}

static char
letter(const struct lws_threadpool_task_info *info)
{
	switch (info->status) {
	case LWS_TP_STATUS_QUEUED:
		return 'q';
	case LWS_TP_STATUS_RUNNING:
		if (info->parked)
			return 'p';
		return info->thread < 0 ? 'w' : 'r';
	case LWS_TP_STATUS_SYNCING:
		return 's';
	case LWS_TP_STATUS_STOPPING:
		return 'x';
	default:
		return 'd';
	}
}

/* For each task, whoever's it is.  Its name is ours, of digits and dots, and is
 * copied: what info->user points to is the task's own, and may be in use. */
static int
say_task(const struct lws_threadpool_task_info *info, void *arg)
{
	struct text *text = arg;

	if (text->size - text->len < TASK_SIZE)
		return 1;
	say(text, "%s[\"%s\",\"%c\",%d]",
	    text->p[text->len - 1] == '[' ? "" : ",", info->name, letter(info),
	    info->thread);

	return 0;
}

size_t
snapshot(struct lws_threadpool *tp, unsigned int pool, char *buf, size_t size)
{
	struct lws_threadpool_stats stats = { .size = sizeof(stats) };
	struct text text = { .p = buf, .size = size };

	if (lws_threadpool_get_stats(tp, &stats))
		return 0;

	say_numbers(&text, &stats, pool);
	say_histogram(&text, "queue_us", stats.queue_us);
	say_histogram(&text, "run_us", stats.run_us);
	say_histogram(&text, "sync_us", stats.sync_us);
	say(&text, ",\"tasks\":[");
	lws_threadpool_foreach_task(tp, &text, say_task);
	say(&text, "]}");

	return text.len;
}
