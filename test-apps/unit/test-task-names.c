/*
 * lws-threadpool unit tests - a task's name is what snprintf() makes of its
 * format and arguments, cut to 47 bytes
 *
 * SPDX-License-Identifier: MIT
 *
 * The library forms most names itself, so each conversion that it knows is
 * tried with each length, at the ends of its type's range; and those that it
 * leaves to the C library beside ones that it knows.
 */

#include <limits.h>
#include <wchar.h>

#include "harness.h"

/* (a NULL string, on purpose) */
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wformat-overflow"
#pragma GCC diagnostic ignored "-Wformat-truncation"
#endif

struct names {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct job *last;
	char expected[64]; /* ": NAME (" */
	int cuts;	   /* told by the last enqueue */
};

static void
end_name(char *expected, size_t size)
{
	expected[2 + 47] = '\0'; /* ": ", and what a name has room for */
	strcat(expected, " (");
	assert_true(strlen(expected) < size);
}

/* waits behind the blocker, so that a dump tells it; then it is dequeued */
static void
told_once(struct names *n)
{
	n->cuts = log_count(LLL_INFO, "a name of 48 bytes is cut to exactly");
	lws_threadpool_dump(n->tp);
	if (log_count(LLL_THREAD, n->expected) != 1)
		fail_msg("not one line has '%s'", n->expected);
	assert_int_equal(lws_threadpool_dequeue_task(n->last->task), 0);
	log_forget();
}

#define NAMED(n, ...) \
	do { \
		struct lws_threadpool_task_args args; \
		char all[256]; \
\
		snprintf(all, sizeof(all), __VA_ARGS__); \
		snprintf((n)->expected, 50, ": %s", all); \
		end_name((n)->expected, sizeof((n)->expected)); \
		(n)->last = job_new((n)->rig); \
		job_args((n)->last, NULL, &args); \
		job_accepted((n)->last, lws_threadpool_enqueue((n)->tp, &args, \
							       __VA_ARGS__)); \
		assert_non_null((n)->last->task); \
		told_once(n); \
	} while (0)

static void
blocked_pool(struct rig *rig, struct names *n)
{
	memset(n, 0, sizeof(*n));
	n->rig = rig;
	n->tp = rig_pool(rig, 1, 10);
	job_block(rig, n->tp, gate_new(rig));
}

static void
numbers(void **state)
{
	struct names n;

	blocked_pool(*state, &n);
	NAMED(&n, "%d|%d|%d", 0, INT_MAX, INT_MIN);
	NAMED(&n, "%d", INT_MIN);
	NAMED(&n, "before %i and behind", -1);
	NAMED(&n, "%u", UINT_MAX);
	NAMED(&n, "%x", 0xdeadbeef);
	NAMED(&n, "a format that is nearly as long as a name: %d", -12345);
	NAMED(&n, "%ld|%ld", LONG_MAX, LONG_MIN);
	NAMED(&n, "%lld|%lld", LLONG_MAX, LLONG_MIN);
	NAMED(&n, "%zd|%zd", (ssize_t)-5, (ssize_t)SSIZE_MAX);
	NAMED(&n, "%u|%u", 0u, UINT_MAX);
	NAMED(&n, "%lu|%lu", 0ul, ULONG_MAX);
	NAMED(&n, "%llu", ULLONG_MAX);
	NAMED(&n, "%zu|%zu", (size_t)7, SIZE_MAX);
	NAMED(&n, "%x|%x", 0xdeadbeef, 9u);
	NAMED(&n, "%lx|%llx|%zx", ULONG_MAX, 1ull << 60, (size_t)255);
}

static void
text(void **state)
{
	const char *none = NULL;
	struct names n;

	blocked_pool(*state, &n);
	NAMED(&n, "plain");
	NAMED(&n, "%s-%s", "one", "");
	NAMED(&n, "%s", none);
	NAMED(&n, "%c%c", 'x', '!');
	/* in the place of one that is a format and its number */
	NAMED(&n, "%d", 5);
	NAMED(&n, "100%% of %d%%", 3);
	NAMED(&n, "%p", (void *)&n);
	NAMED(&n, "%p of nothing", (void *)NULL);
	NAMED(&n, "%s%d", "exactly-46-bytes-of-text-and-then-one-digit-xx", 7);
	NAMED(&n, "%s%d", "exactly-46-bytes-of-text-and-then-two-digits-x", 77);
	NAMED(&n, "%s %s", "a name that is longer than its room, by much",
	      "and one that does not get in any more");
}

/* one plain number, which is written out when somebody reads the name */
static void
one_number(void **state)
{
	struct names n;

	blocked_pool(*state, &n);
	NAMED(&n, "job %d", INT_MIN);
	NAMED(&n, "%i of many", -7);
	NAMED(&n, "%u", UINT_MAX);
	NAMED(&n, "0x%x, in hex", 0xffffffffu);
	NAMED(&n, "a format so long that its number might not fit, %d", 12345);
	NAMED(&n, "%d a format that is itself longer than all of a name", 1);
}

/* args->name is taken as it is, and cut */
static void
a_name_of_the_args(void **state)
{
	struct lws_threadpool_task_args args;
	struct names n;

	blocked_pool(*state, &n);
	n.last = job_new(n.rig);
	job_args(n.last, NULL, &args);
	args.name = "100% of a name in the args, of more bytes than there is "
		    "room for";
	job_accepted(n.last, lws_threadpool_enqueue(n.tp, &args, NULL));
	assert_non_null(n.last->task);
	snprintf(n.expected, 50, ": %s", args.name);
	end_name(n.expected, sizeof(n.expected));
	told_once(&n);
}

/* what is left to the C library, with ours before and behind it */
static void
others(void **state)
{
	struct names n;

	blocked_pool(*state, &n);
	NAMED(&n, "%d %5d %s", 1, 22, "x");
	NAMED(&n, "%s %-6s|", "a", "b");
	NAMED(&n, "%x %#x %X", 255u, 255u, 255u);
	NAMED(&n, "%d %.3f %d", 1, 0.5, 2);
	NAMED(&n, "%hd %hhu %o", (short)-3, (unsigned char)200, 8u);
	NAMED(&n, "%jd %td", (intmax_t)-1, (ptrdiff_t)-2);
	NAMED(&n, "%s %ls", "narrow", L"wide");
	NAMED(&n, "%lc", (wint_t)L'w');
	NAMED(&n, "%s of %5p", "x", (void *)&n);
	NAMED(&n, "%d %lp", 1, (void *)&n);
	NAMED(&n, "%d %l% %d", 1, 2);
}

/* only of one that does not fit */
static void
a_cut_name_is_told(void **state)
{
	struct names n;

	blocked_pool(*state, &n);
	log_info();
	NAMED(&n, "%s%d", "exactly-46-bytes-of-text-and-then-one-digit-xx", 7);
	assert_int_equal(n.cuts, 0);
	NAMED(&n, "%s%d", "exactly-46-bytes-of-text-and-then-two-digits-x", 77);
	assert_int_equal(n.cuts, 1);
}

/* a name that cannot be formed is no reason to refuse the task */
static void
a_name_that_fails(void **state)
{
	static const wchar_t bad[] = { (wchar_t)0xd800, 0 };
	struct lws_threadpool_task_args args;
	struct names n;
	char probe[32];

	assert_true(snprintf(probe, sizeof(probe), "%ls", bad) < 0);
	blocked_pool(*state, &n);
	n.last = job_new(n.rig);
	job_args(n.last, NULL, &args);
	job_accepted(n.last, lws_threadpool_enqueue(n.tp, &args, "a %ls", bad));
	assert_non_null(n.last->task);
	strcpy(n.expected, "queued:  (");
	told_once(&n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(numbers),
		RIG_TEST(one_number),
		RIG_TEST(a_name_of_the_args),
		RIG_TEST(text),
		RIG_TEST(others),
		RIG_TEST(a_cut_name_is_told),
		RIG_TEST(a_name_that_fails),
	};

	return cmocka_run_group_tests_name("task names", tests, NULL, NULL);
}
