/*
 * lws-threadpool unit tests - N2, names of pools in OpenMetrics text, whatever
 * they are; and pools that come and go while it is made
 *
 * SPDX-License-Identifier: MIT
 */

#include "numbers.h"
#include "openmetrics.h"

#define ROOM 400000

/* All pools are told of here. */
static struct om *
read_metrics(struct lws_threadpool *tp)
{
	static _Thread_local char text[ROOM];
	int n = lws_threadpool_metrics(tp, text, sizeof(text));
	struct om *om;

	if (n < 0 || n >= ROOM)
		abort();
	om = om_read(text, (size_t)n);
	if (om->error[0])
		print_error("%s\n", om->error);

	return om;
}

/* Without more than one '?' after another */
static void
squeeze(const char *from, char *to)
{
	char last = 0;

	for (; *from; last = *from++)
		if (*from != '?' || last != '?')
			*to++ = *from;
	*to = '\0';
}

static const struct {
	const char *name, *label;
} names[] = {
	{ "plain", "plain" },
	{ "", "" },
	{ "a \"quote\"", "a \"quote\"" },
	{ "\"", "\"" },
	{ "back\\slash", "back\\slash" },
	{ "\\", "\\" },
	{ "\\n is no newline", "\\n is no newline" },
	{ "two\nlines", "two\nlines" },
	{ "\n", "\n" },
	{ "\\\"\n\"\\", "\\\"\n\"\\" },
	{ "{a=\"b\"} 1", "{a=\"b\"} 1" },
	{ "# EOF", "# EOF" },
	{ "100% %s %n", "100% %s %n" },
	{ "tab\tand\rreturn", "tab\tand\rreturn" },
	{ "gr\xc3\xbc\xc3\x9f dich", "gr\xc3\xbc\xc3\x9f dich" },
	{ "\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80" },
	/* the first and the last of those that a shorter form, a half of a pair
	 * or a limit is next to */
	{ "\xe0\xa0\x80 \xed\x9f\xbf", "\xe0\xa0\x80 \xed\x9f\xbf" },
	{ "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf",
	  "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf" },
	/* no UTF-8: a byte that is none, one that is missing, too long a form,
	 * half of a pair, beyond the last */
	{ "a\xff"
	  "b",
	  "a?b" },
	{ "a\x80"
	  "b",
	  "a?b" },
	{ "a\xc3", "a?" },
	{ "a\xc3\"b", "a?\"b" },
	{ "a\xe2\x82\\b", "a?\\b" },
	{ "a\xf0\x9f\x98\nb", "a?\nb" },
	{ "a\xc0\x80"
	  "b",
	  "a?b" },
	{ "a\xe0\x80\x80"
	  "b",
	  "a?b" },
	{ "a\xed\xa0\x80"
	  "b",
	  "a?b" },
	{ "a\xf0\x8f\xbf\xbf"
	  "b",
	  "a?b" },
	{ "a\xf4\x90\x80\x80"
	  "b",
	  "a?b" },
	{ "a\xf8\x88\x80\x80\x80"
	  "b",
	  "a?b" },
	{ "\xc3\xbc\xff\xc3\xbc", "\xc3\xbc?\xc3\xbc" },
	/* cut in the middle of a character */
	{ "30 bytes and then a long one..\xc3\xbc.",
	  "30 bytes and then a long one..?" },
	{ "29 bytes and then a long one.\xe2\x82\xac",
	  "29 bytes and then a long one.?" },
	{ "29 bytes and then a short 1..\xc3\xbc",
	  "29 bytes and then a short 1..\xc3\xbc" },
};

/* N2: \, " and newline are escaped, and what is not UTF-8 is '?' */
static void
names_of_all_kinds(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_create_args args = { 1, 10 };

	for (size_t n = 0; n < LWS_ARRAY_SIZE(names); n++) {
		struct lws_threadpool *tp;
		char name[128];
		struct om *om;

		tp = lws_threadpool_create(rig->context, &args, "%s",
					   names[n].name);
		assert_non_null(tp);
		/* "a name of 32 bytes is cut" */
		log_claim(LLL_WARN, "is cut to");
		om = read_metrics(tp);
		assert_string_equal(om->error, "");
		assert_int_equal(om->samples, 15 + 3 * (BUCKETS + 2));
		for (int m = 0; m < om->samples; m++) {
			squeeze(om_label(&om->sample[m], "pool"), name);
			assert_string_equal(name, names[n].label);
		}
		om_free(om);
		lws_threadpool_destroy(tp);
	}
}

/* each byte in the place of a letter, and after one that wants others */
static void
bytes_of_all_kinds(void **state)
{
	static const char *const before[] = {
		"",
		"\xc3",
		"\xe2\x82",
		"\xf0\x9f\x98",
	};
	struct rig *rig = *state;
	struct lws_threadpool_create_args args = { 1, 10 };

	for (size_t n = 0; n < LWS_ARRAY_SIZE(before); n++)
		for (int byte = 1; byte < 256; byte += n ? 5 : 1) {
			struct lws_threadpool *tp;
			struct om *om;

			tp = lws_threadpool_create(rig->context, &args,
						   "x%s%cy", before[n], byte);
			assert_non_null(tp);
			om = read_metrics(tp);
			assert_string_equal(om->error, "");
			om_free(om);
			lws_threadpool_destroy(tp);
		}
}

/* ---- while they come and go ---- */

struct scraper {
	pthread_t thread;
	atomic_int quit, times, wrong;
};

/* what a counter or a bucket was before: all of them grow */
static bool
went_back(const struct om *was, const struct om *om, const char *id)
{
	static const char *const names_of[] = {
		"lws_threadpool_accepted_total",
		"lws_threadpool_syncs_total",
		"lws_threadpool_finished_total",
		"lws_threadpool_run_seconds_count",
		"lws_threadpool_run_seconds_sum",
	};

	for (size_t n = 0; n < LWS_ARRAY_SIZE(names_of); n++) {
		const struct om_sample *a, *b;

		a = om_find(was, names_of[n], id, NULL);
		b = om_find(om, names_of[n], id, NULL);
		if (!a || !b || b->value < a->value)
			return true;
	}

	return false;
}

/* In each histogram: never less than before, and its count is the last */
static bool
is_cumulative(const struct om *om)
{
	for (int n = 0; n < om->samples; n++) {
		const struct om_sample *s = &om->sample[n], *next = s + 1;

		if (!om_label(s, "le"))
			continue;
		if (n + 1 == om->samples)
			return false;
		if (om_label(next, "le")) {
			if (strcmp(om_label(s, "le"), "+Inf") &&
			    next->value < s->value)
				return false;
			continue;
		}
		/* _sum and _count, in either order */
		if (!strstr(next->name, "_count") && n + 2 < om->samples)
			next++;
		if (!strstr(next->name, "_count") || next->value != s->value)
			return false;
	}

	return true;
}

/* the one that is there all the time */
static const char *
first_id(const struct om *om)
{
	for (int n = 0; n < om->samples; n++)
		if (!strcmp(om_label(&om->sample[n], "pool"), "unit0"))
			return om_label(&om->sample[n], "id");

	return NULL;
}

static void *
scrape(void *arg)
{
	struct scraper *s = arg;
	struct om *was = NULL, *om;

	while (!atomic_load(&s->quit)) {
		om = read_metrics(NULL);
		if (om->error[0] || !first_id(om) || !is_cumulative(om) ||
		    (was && went_back(was, om, first_id(om))))
			atomic_fetch_add(&s->wrong, 1);
		if (was)
			om_free(was);
		was = om;
		atomic_fetch_add(&s->times, 1);
	}
	if (was)
		om_free(was);

	return NULL;
}

/* N2: from any thread, with tasks at work and pools that are made and
 * destroyed; the first one is there all the time */
static void
scraped_at_any_moment(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *first = rig_pool(rig, 1, 1000), *tp;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct scraper s = { .quit = 0 };

	assert_int_equal(pthread_create(&s.thread, NULL, scrape, &s), 0);
	for (int round = 0; round < 40; round++) {
		tp = rig_pool(rig, 2, 100);
		for (int n = 0; n < 20; n++)
			job_enqueue(n & 1 ? tp : first,
				    job_script(rig, n % 3, LWS_TP_RETURN_SYNC),
				    n & 2 ? c->wsi : NULL);
		rig_turns(rig, 5);
		rig_pool_destroy(rig, tp);
	}
	rig_until_int(rig, &s.times, 20);
	atomic_store(&s.quit, 1);
	pthread_join(s.thread, NULL);
	assert_int_equal(atomic_load(&s.wrong), 0);
	rig_until_cleaned(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(names_of_all_kinds),
		RIG_TEST(bytes_of_all_kinds),
		RIG_TEST(scraped_at_any_moment),
	};

	return cmocka_run_group_tests_name("N2 names", tests, NULL, NULL);
}
