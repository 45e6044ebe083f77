/*
 * ws-client: the streams on the screen
 *
 * SPDX-License-Identifier: MIT
 *
 * On a terminal there is a line with a bar for each stream, as many as fit, and
 * a line of totals; they are redrawn where they are.  Elsewhere each change is
 * a line of its own.  Why a stream failed goes to stderr.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "display.h"

#define ERASE_TO_END "\033[K"
#define ERASE_BELOW  "\033[J"
#define UP_LINES     "\033[%uA"

#define MAX_FAILURES 8 /* said in full at the end */
#define MAX_COLUMNS  200
#define MAX_BAR	     50
#define BAR_OVERHEAD 39 /* columns of a stream's line around its bar */
#define MIN_BAR	     10

struct totals {
	unsigned int waiting; /* not accepted so far */
	unsigned int going;
	unsigned int complete;
	unsigned int failed;
};

static struct totals
count_streams(const struct display *d)
{
	struct totals t = { 0, 0, 0, 0 };
	unsigned int n;

	for (n = 0; n < d->count; n++)
		switch (d->streams[n].state) {
		case STREAM_CONNECTING:
			t.waiting++;
			break;
		case STREAM_GOING:
		case STREAM_ENDED:
			t.going++;
			break;
		case STREAM_COMPLETE:
			t.complete++;
			break;
		case STREAM_FAILED:
			t.failed++;
			break;
		}

	return t;
}

static const char *
state_word(const struct stream *s)
{
	switch (s->state) {
	case STREAM_CONNECTING:
		return "connecting";
	case STREAM_GOING:
		return s->parts ? "counting" : "accepted";
	case STREAM_ENDED:
		return "finished";
	case STREAM_COMPLETE:
		return "complete";
	case STREAM_FAILED:
		break;
	}

	return "FAILED";
}

void
display_init(struct display *d, const struct stream *streams,
	     unsigned int count, const struct pool_state *pool)
{
	const char *term = getenv("TERM");

	memset(d, 0, sizeof(*d));
	d->streams = streams;
	d->count = count;
	d->pool = pool;
	d->redraws = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb");
	d->changed = 1;
}

static void
print_failure(const struct stream *s)
{
	fflush(stdout);
	fprintf(stderr, "stream %u%s%s: FAILED: %s\n", s->number,
		s->task[0] ? " " : "", s->task, s->why);
}

static void
print_plain(const struct stream *s)
{
	if (s->state == STREAM_FAILED) {
		print_failure(s);
		return;
	}

	/* that it is complete comes at once after it, or that it failed */
	if (s->state == STREAM_ENDED)
		return;

	printf("stream %u %s: ", s->number, s->task);
	if (s->state == STREAM_GOING && s->parts)
		printf("%d of %d\n", s->done, s->of);
	else
		printf("%s\n", state_word(s));
	fflush(stdout);
}

void
display_stream(struct display *d, const struct stream *s)
{
	d->changed = 1;
	if (!d->redraws)
		print_plain(s);
}

/* never as wide as the terminal, so that it cannot wrap */
static void
draw_line(struct display *d, const char *line, unsigned int columns)
{
	printf("%.*s" ERASE_TO_END "\n", (int)columns - 1, line);
	d->drawn++;
}

static void
draw_stream(struct display *d, const struct stream *s, unsigned int columns)
{
	char line[MAX_COLUMNS + 1], bar[MAX_BAR + 1];
	unsigned int width, full;
	int n;

	width = columns > BAR_OVERHEAD + MIN_BAR ? columns - BAR_OVERHEAD :
						   MIN_BAR;
	if (width > MAX_BAR)
		width = MAX_BAR;

	full = width * (unsigned int)s->parts / STREAM_PARTS;
	memset(bar, '#', full);
	memset(bar + full, '.', width - full);
	bar[width] = '\0';

	n = snprintf(line, sizeof(line), "%5u ", s->number);
	if (columns >= BAR_OVERHEAD + MIN_BAR)
		n += snprintf(line + n, sizeof(line) - (size_t)n, "%-12.12s ",
			      s->task);
	snprintf(line + n, sizeof(line) - (size_t)n, "[%s] %3d%%  %s", bar,
		 s->parts * (100 / STREAM_PARTS), state_word(s));
	draw_line(d, line, columns);
}

/* what there are none of is not worth the room */
static int
add_count(char *line, int at, unsigned int count, const char *what)
{
	if (!count)
		return at;

	return at + snprintf(line + at, MAX_COLUMNS + 1 - (size_t)at, ", %u %s",
			     count, what);
}

/* the pool has the rest of the line, or none of it */
static void
draw_totals(struct display *d, unsigned int columns)
{
	struct totals t = count_streams(d);
	char line[MAX_COLUMNS + 1], pool[64];
	int n, m = 0;

	n = snprintf(line, sizeof(line), "%u streams: %u complete", d->count,
		     t.complete);
	n = add_count(line, n, t.failed, "failed");
	n = add_count(line, n, t.going, "going");
	n = add_count(line, n, t.waiting, "waiting");

	if (d->pool->threads)
		m = snprintf(pool, sizeof(pool),
			     " | pool: %d of %d threads, %d queued",
			     d->pool->running, d->pool->threads,
			     d->pool->queued);
	if (m && (unsigned int)(n + m) < columns)
		snprintf(line + n, sizeof(line) - (size_t)n, "%s", pool);
	draw_line(d, line, columns);
}

static void
draw(struct display *d, int with_totals)
{
	unsigned int n, rows = 24, columns = 80, shown = d->count;
	struct winsize ws;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) && ws.ws_row && ws.ws_col) {
		rows = ws.ws_row;
		columns = ws.ws_col;
	}
	if (columns > MAX_COLUMNS)
		columns = MAX_COLUMNS;

	/* the totals and the cursor have a line each */
	if (shown + 2 > rows)
		shown = rows > 2 ? rows - 2 : 0;

	if (d->drawn)
		printf("\r" UP_LINES, d->drawn);
	d->drawn = 0;

	for (n = 0; n < shown; n++)
		draw_stream(d, &d->streams[n], columns);
	if (with_totals)
		draw_totals(d, columns);
	printf(ERASE_BELOW);
	fflush(stdout);
}

void
display_draw(struct display *d)
{
	if (d->redraws && d->changed)
		draw(d, 1);
	d->changed = 0;
}

/* the lines of the screen had no room for them */
static void
print_failures(const struct display *d)
{
	unsigned int n, failed = 0;

	for (n = 0; n < d->count; n++)
		if (d->streams[n].state == STREAM_FAILED &&
		    ++failed <= MAX_FAILURES)
			print_failure(&d->streams[n]);

	if (failed > MAX_FAILURES)
		fprintf(stderr, "...and %u more\n", failed - MAX_FAILURES);
}

void
display_end(struct display *d, double secs)
{
	struct totals t = count_streams(d);

	if (d->redraws) {
		draw(d, 0);
		print_failures(d);
	}

	printf("%u streams: %u complete, %u failed, in %.1f s\n", d->count,
	       t.complete, t.failed, secs);
	fflush(stdout);
}
