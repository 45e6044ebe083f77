/*
 * lws-threadpool fuzz - the names of tasks and pools, and the lines that tell
 * them
 *
 * SPDX-License-Identifier: MIT
 *
 * An input is a format, made of literal bytes and of conversions, and the
 * values for it.  The name that lws_threadpool_dump() tells must be what
 * snprintf() makes of the same, cut to 47 bytes for a task and to 31 for a
 * pool.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

#define TASK_NAME 47
#define POOL_NAME 31

/* formats that are not literals are what this is about */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#if defined(__clang__)
#pragma clang diagnostic ignored "-Wformat-security"
#endif

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerInitialize(int *argc, char ***argv);

static char expected[1024]; /* what is looked for, and ... */
static bool seen;	    /* ... whether it was there */
static char lines[1024];
static struct lws_threadpool *tp;
static atomic_bool release, blocked;
static atomic_int ended;

/* lws cuts its lines, but names are shorter than that */
static void
emit(int level, const char *line)
{
	if (!(level & LLL_THREAD))
		return;
	if (strstr(line, expected))
		seen = true;
	lws_strncpy(lines, line, sizeof(lines));
}

static enum lws_threadpool_task_return
blocker(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	atomic_store(&blocked, true);
	while (!atomic_load(&release))
		usleep(1000);

	return LWS_TP_RETURN_FINISHED;
}

static enum lws_threadpool_task_return
never(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	(void)s;
	ledger_fail("a task that was stopped in the queue was called (T4)");

	return LWS_TP_RETURN_STOPPED;
}

static void
cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	atomic_fetch_add(&ended, 1);
}

static void
names_end(void)
{
	atomic_store(&release, true);
	lws_threadpool_destroy(tp);
	rig_end();
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct ledger_hooks hooks = {
		.repeat = "the input that libFuzzer writes",
	};
	struct lws_threadpool_create_args args = { .threads = 1,
						   .max_queue_depth = 10 };
	struct lws_threadpool_task_args t = { .task = blocker };

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	lws_set_log_level(LLL_ERR | LLL_THREAD, emit);
	ledger_begin(&hooks, pthread_self());
	if (!rig_begin(0, false))
		ledger_fail("no context");
	tp = lws_threadpool_create(rig_context, &args, "names");
	lws_threadpool_enqueue(tp, &t, "blocker");
	while (!atomic_load(&blocked))
		usleep(1000);

	return atexit(names_end);
}

struct input {
	const uint8_t *at, *end;
	char format[160];
	uintptr_t value[6];
	char text[6][40];
	int values;
};

static uint8_t
byte(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

/* A conversion, with flags and widths at times, and its value.  All values are
 * of a register's width, so that one list of arguments serves every format. */
static size_t
conversion(struct input *in, char *to)
{
	static const char kinds[] = "sdiuxcpXo%s";
	static const char *const sizes[] = { "", "l", "ll", "z", "h" };
	static const char *const flags[] = { "",    "",	  "",	"",   "",  "",
					     "-",   "0",  "+",	"#",  " ", "5",
					     "-12", ".3", "08", "60", "." };
	char kind = kinds[byte(in) % (sizeof(kinds) - 1)];
	uint8_t how = byte(in);
	const char *size = sizes[how % 5], *flag = flags[(how >> 3) % 17];
	int v = in->values, n;

	if (kind == '%')
		return (size_t)sprintf(to, "%%%%");
	if (kind == 's' || kind == 'c' || kind == 'p')
		size = "";
	if (kind == 's') {
		for (n = 0; n < (how & 31); n++)
			in->text[v][n] = (char)byte(in);
		in->value[v] = (uintptr_t)in->text[v];
	} else
		for (n = 0; n < 8; n++)
			in->value[v] = in->value[v] << 8 | byte(in);
	if (kind == 'c' && !(in->value[v] & 0xff))
		in->value[v] |= 'c';
	in->values++;

	return (size_t)sprintf(to, "%%%s%s%c", flag, size, kind);
}

static void
decode(struct input *in)
{
	size_t len = 0;
	uint8_t b;

	while (in->at < in->end && len < sizeof(in->format) - 16) {
		b = byte(in);
		if (b < 0x20 && in->values < 6)
			len += conversion(in, in->format + len);
		else if (b && b != '%')
			in->format[len++] = (char)b;
	}
}

#define VALUES(in) \
	(in).value[0], (in).value[1], (in).value[2], (in).value[3], \
		(in).value[4], (in).value[5]

static void
expect(const struct input *in, const char *before, size_t cut,
       const char *after)
{
	char all[2048];
	size_t n;

	snprintf(all, sizeof(all), in->format, VALUES(*in));
	all[cut] = '\0';
	n = (size_t)snprintf(expected, sizeof(expected), "%s%s%s", before, all,
			     after);
	if (n >= sizeof(expected))
		abort();
	seen = false;
}

static void
task_name(const struct input *in)
{
	struct lws_threadpool_task_args args = { .task = never,
						 .cleanup = cleanup };
	struct lws_threadpool_task *task;

	expect(in, "queued: ", TASK_NAME, " (");
	atomic_store(&ended, 0);
	task = lws_threadpool_enqueue(tp, &args, in->format, VALUES(*in));
	if (!task)
		ledger_fail("a name made an enqueue fail");
	lws_threadpool_dump(tp);
	if (!seen)
		ledger_fail("format \"%s\": no \"%s\" but \"%s\"", in->format,
			    expected, lines);
	lws_threadpool_task_sync(task, 1);
	if (atomic_load(&ended) != 1)
		ledger_fail("a queued task was not stopped");
}

static void
pool_name(const struct input *in)
{
	struct lws_threadpool_create_args args = { .threads = 1,
						   .max_queue_depth = 1 };
	struct lws_threadpool *named;

	expect(in, "pool ", POOL_NAME, ": 1 threads");
	named = lws_threadpool_create(rig_context, &args, in->format,
				      VALUES(*in));
	if (!named)
		ledger_fail("a name made a create fail");
	lws_threadpool_dump(named);
	if (!seen)
		ledger_fail("format \"%s\": no \"%s\" but \"%s\"", in->format,
			    expected, lines);
	lws_threadpool_destroy(named);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in;

	if (!size)
		return 0;
	memset(&in, 0, sizeof(in));
	in.at = data + 1;
	in.end = data + size;
	decode(&in);
	task_name(&in);
	if (!(data[0] & 7))
		pool_name(&in);

	return 0;
}
