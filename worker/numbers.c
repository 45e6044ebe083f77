/*
 * lws-threadpool-worker: its numbers as OpenMetrics text
 *
 * SPDX-License-Identifier: MIT
 *
 * Those of the pool, by lws_threadpool_metrics(), and those of the cluster
 * before the "# EOF" at their end.
 */

#include "worker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAMILY "lws_threadpool_cluster_"
#define ROOM   8192 /* for ours, and for what the pool's grow by */

struct text {
	char *p;
	size_t len, size;
};

static void
say(struct text *text, const char *format, ...) LWS_FORMAT(2);

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
gauge(struct text *text, const char *name, const char *help, uint64_t value)
{
	say(text,
	    "# TYPE " FAMILY "%s gauge\n# HELP " FAMILY "%s %s.\n" FAMILY
	    "%s %" PRIu64 "\n",
	    name, name, help, name, value);
}

static void
counter(struct text *text, const char *name, const char *help, uint64_t value)
{
	say(text,
	    "# TYPE " FAMILY "%s counter\n# HELP " FAMILY "%s %s.\n" FAMILY
	    "%s_total %" PRIu64 "\n",
	    name, name, help, name, value);
}

/* What a front alone counts is left out: a worker has none of it. */
static void
say_cluster(struct text *text, const struct worker_state *state)
{
	struct lws_threadpool_cluster_stats s = { .size = sizeof(s) };

	if (lws_threadpool_cluster_get_stats(state->cluster, &s))
		return;

	gauge(text, "connected", "1 while the engine is there", s.connected);
	gauge(text, "serving", "Jobs that this worker has", s.serving);
	gauge(text, "parked", "Those of them that wait for their front",
	      s.parked);
	gauge(text, "draining", "1 since it takes no more jobs",
	      (uint64_t)state->draining);
	counter(text, "resent", "Chunks that were sent again", s.resent);
	counter(text, "reconnects", "Times that the engine came back",
		s.reconnects);
	say(text,
	    "# TYPE " FAMILY "away_seconds counter\n"
	    "# UNIT " FAMILY "away_seconds seconds\n"
	    "# HELP " FAMILY "away_seconds Time without the engine.\n" FAMILY
	    "away_seconds_total %" PRIu64 ".%06" PRIu64 "\n",
	    s.away_us / 1000000, s.away_us % 1000000);
}

char *
worker_numbers(const struct worker_state *state, size_t *len)
{
	static const char eof[] = "# EOF\n";
	struct text text;
	int n = lws_threadpool_metrics(state->pool, NULL, 0);

	if (n < 0)
		return NULL;
	text.size = (size_t)n + ROOM;
	text.p = malloc(text.size);
	if (!text.p)
		return NULL;

	n = lws_threadpool_metrics(state->pool, text.p, text.size);
	if (n < (int)strlen(eof) || (size_t)n >= text.size ||
	    strcmp(text.p + n - strlen(eof), eof)) {
		free(text.p);
		return NULL;
	}
	text.len = (size_t)n - strlen(eof);
	say_cluster(&text, state);
	say(&text, "%s", eof);
	*len = text.len;

	return text.p;
}
