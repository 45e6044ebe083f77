/*
 * ws-client: one stream of progress messages, and whether it came as it should
 *
 * SPDX-License-Identifier: MIT
 *
 * A stream is right if it says in this order, once each: 0 done, every tenth,
 * all done with "end":"finished", and then is closed.  Whatever else a server
 * sends makes the stream fail, with the reason in words, and nothing worse.
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "stream.h"

#define MAX_WORK 1000000000

/* a message as it came; a number that it did not have is -1 */
struct message {
	char task[32];
	char end[16];
	int done;
	int of;
	int running;
	int threads;
	int queued;
};

/* the names that we know, in the order of the enum */
static const char *const paths[] = { "task",	"end",	   "done",  "of",
				     "running", "threads", "queued" };

enum path {
	PATH_TASK = 1,
	PATH_END,
	PATH_DONE,
	PATH_OF,
	PATH_RUNNING,
	PATH_THREADS,
	PATH_QUEUED
};

int
stream_is_over(const struct stream *s)
{
	return s->state == STREAM_COMPLETE || s->state == STREAM_FAILED;
}

int
stream_fail(struct stream *s, const char *format, ...)
{
	va_list ap;

	if (stream_is_over(s))
		return -1;

	va_start(ap, format);
	vsnprintf(s->why, sizeof(s->why), format, ap);
	va_end(ap);
	s->state = STREAM_FAILED;

	return -1;
}

/* the text goes to a terminal: nothing but plain characters may get through */
static void
copy_printable(char *to, size_t size, const char *from)
{
	size_t n;

	for (n = 0; n < size - 1 && from[n]; n++)
		to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
	to[n] = '\0';
}

static int
to_number(const char *text, int *to)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 0 || n > MAX_WORK)
		return -1;
	*to = (int)n;

	return 0;
}

static signed char
on_json(struct lejp_ctx *ctx, char reason)
{
	struct message *m = ctx->user;
	int *number;

	switch (ctx->path_match) {
	case PATH_TASK:
	case PATH_END:
		if (reason == (char)LEJPCB_VAL_STR_CHUNK)
			return -1;
		if (reason != (char)LEJPCB_VAL_STR_END)
			return 0;
		if (ctx->path_match == PATH_TASK)
			copy_printable(m->task, sizeof(m->task), ctx->buf);
		else
			copy_printable(m->end, sizeof(m->end), ctx->buf);
		return 0;
	case PATH_DONE:
		number = &m->done;
		break;
	case PATH_OF:
		number = &m->of;
		break;
	case PATH_RUNNING:
		number = &m->running;
		break;
	case PATH_THREADS:
		number = &m->threads;
		break;
	case PATH_QUEUED:
		number = &m->queued;
		break;
	default:
		return 0;
	}

	if (reason != (char)LEJPCB_VAL_NUM_INT)
		return 0;

	return to_number(ctx->buf, number) ? -1 : 0;
}

/* returns 0 if it is a whole message with nothing after it */
static int
parse(struct message *m, const unsigned char *text, size_t len)
{
	struct lejp_ctx ctx;
	int n;

	memset(m, 0, sizeof(*m));
	m->done = m->of = m->running = m->threads = m->queued = -1;

	lejp_construct(&ctx, on_json, m, paths, LWS_ARRAY_SIZE(paths));
	n = lejp_parse(&ctx, text, (int)len);
	lejp_destruct(&ctx);

	return n || !m->task[0] || m->done < 0 || m->of < 0 ? -1 : 0;
}

static void
note_pool(struct pool_state *pool, const struct message *m)
{
	if (m->threads <= 0 || m->running < 0 || m->queued < 0)
		return;

	pool->threads = m->threads;
	pool->running = m->running;
	pool->queued = m->queued;
}

static int
take_first(struct stream *s, const struct message *m)
{
	if (!strcmp(m->end, "refused"))
		return stream_fail(s, "the server refused the task: its queue "
				      "is full");
	if (m->done || m->end[0])
		return stream_fail(s, "began at %d%s%s", m->done,
				   m->end[0] ? " with end " : "", m->end);
	if (!m->of || m->of % STREAM_PARTS)
		return stream_fail(s, "a work of %d has no tenths", m->of);

	memcpy(s->task, m->task, sizeof(s->task));
	s->of = m->of;
	s->state = STREAM_GOING;

	return 1;
}

static int
take_progress(struct stream *s, const struct message *m)
{
	int expected = s->of / STREAM_PARTS * (s->parts + 1);

	if (m->done == s->done)
		return stream_fail(s, "repeated: %d of %d came again", m->done,
				   s->of);
	if (m->done < s->done)
		return stream_fail(s, "out of order: %d after %d", m->done,
				   s->done);
	if (m->done > s->of)
		return stream_fail(s, "too much: %d of %d", m->done, s->of);
	if (m->done != expected)
		return stream_fail(s, "%d is missing: %d came after %d",
				   expected, m->done, s->done);

	s->done = m->done;
	s->parts++;

	return 1;
}

static int
take_end(struct stream *s, const struct message *m)
{
	if (strcmp(m->end, "finished"))
		return stream_fail(s, "ended as %s after %d of %d", m->end,
				   s->done, s->of);
	if (s->done != s->of || m->done != s->of)
		return stream_fail(s, "short: finished with %d of %d after %d",
				   m->done, s->of, s->done);

	s->state = STREAM_ENDED;

	return 1;
}

static int
take(struct stream *s, const struct message *m)
{
	if (s->state == STREAM_CONNECTING)
		return take_first(s, m);

	if (s->state == STREAM_ENDED)
		return stream_fail(s, "a message after the last");
	if (strcmp(m->task, s->task))
		return stream_fail(s, "a message of another task: %s", m->task);
	if (m->of != s->of)
		return stream_fail(s, "of %d turned into of %d", s->of, m->of);

	return m->end[0] ? take_end(s, m) : take_progress(s, m);
}

int
stream_receive(struct stream *s, struct pool_state *pool, const void *in,
	       size_t len, int is_final)
{
	struct message m;

	if (stream_is_over(s))
		return -1;

	if (len > sizeof(s->rx) - s->rx_len)
		return stream_fail(s, "a message of more than %d bytes",
				   STREAM_MAX_MESSAGE);
	if (len)
		memcpy(s->rx + s->rx_len, in, len);
	s->rx_len += len;
	if (!is_final)
		return 0;

	len = s->rx_len;
	s->rx_len = 0;
	if (parse(&m, s->rx, len))
		return stream_fail(s, "a message that is no progress message");
	note_pool(pool, &m);

	return take(s, &m);
}

void
stream_closed(struct stream *s)
{
	switch (s->state) {
	case STREAM_CONNECTING:
		stream_fail(s, "closed before its first message");
		break;
	case STREAM_GOING:
		stream_fail(s,
			    "short: closed at %d of %d, without its "
			    "end",
			    s->done, s->of);
		break;
	case STREAM_ENDED:
		s->state = STREAM_COMPLETE;
		break;
	default:
		break;
	}
}
