/*
 * lws-threadpool unit tests - the harness's own reader of OpenMetrics text
 * takes what is right, and finds what is wrong
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"
#include "openmetrics.h"

#define GAUGE "# HELP a_b what it is, \\\\ and \\n\n# TYPE a_b gauge\n"
#define EOF_  "# EOF\n"

static const char *const right[] = {
	EOF_,
	GAUGE EOF_,
	GAUGE "a_b 1\n" EOF_,
	GAUGE
	"a_b{pool=\"x\",id=\"1\"} 1.5e-06\na_b{pool=\"x\",id=\"2\"} -7\n" EOF_,
	GAUGE "a_b{pool=\"\\\\ \\\" \\n \xc3\xbc\xf0\x9f\x98\x80\"} 0\n" EOF_,
	"# TYPE c counter\nc_total 3\n# TYPE d gauge\nd 4\n" EOF_,
	"# TYPE s_seconds histogram\n# UNIT s_seconds seconds\n"
	"s_seconds_bucket{le=\"+Inf\"} 3\ns_seconds_sum 1\n"
	"s_seconds_count 3\n" EOF_,
};

static const struct {
	const char *text, *error;
} bad[] = {
	{ "", "# EOF" },
	{ GAUGE, "# EOF" },
	{ GAUGE "# EOF", "# EOF" },
	{ EOF_ "\n", "# EOF" },
	{ EOF_ EOF_, "no \" \"" },
	{ GAUGE "\na_b 1\n" EOF_, "empty" },
	{ GAUGE "# a comment\n" EOF_, "line 3" },
	{ GAUGE "#comment\n" EOF_, "comment" },
	{ "a_b 1\n" EOF_, "not of this family" },
	{ GAUGE "a_c 1\n" EOF_, "not of this family" },
	{ GAUGE "a_b_total 1\n" EOF_, "not of this family" },
	{ "# TYPE c counter\nc 3\n" EOF_, "not of this family" },
	{ "# HELP c what\nc 3\n" EOF_, "not of this family" },
	{ "# HELP c what\n" EOF_, "no TYPE" },
	{ GAUGE GAUGE EOF_, "second" },
	{ GAUGE "a_b 1\n" GAUGE EOF_, "twice" },
	{ GAUGE "# TYPE b gauge\n# HELP a_b x\n" EOF_, "twice" },
	{ GAUGE "a_b 1\na_b 2\n" EOF_, "twice" },
	{ GAUGE "a_b{x=\"1\",y=\"2\"} 1\na_b{y=\"2\",x=\"1\"} 2\n" EOF_,
	  "twice" },
	{ GAUGE "a_b{x=\"1\",x=\"2\"} 1\n" EOF_, "twice" },
	{ GAUGE "a_b  1\n" EOF_, "not a number" },
	{ GAUGE "a_b 1 \n" EOF_, "not a number" },
	{ GAUGE "a_b 1 1234567\n" EOF_, "not a number" },
	{ GAUGE "a_b\n" EOF_, "no \" \"" },
	{ GAUGE "a_b \n" EOF_, "no number" },
	{ GAUGE "a_b nan\n" EOF_, "not a number" },
	{ GAUGE "a_b 0x10\n" EOF_, "not a number" },
	{ GAUGE "a_b 1-1\n" EOF_, "not a number" },
	{ GAUGE "a_b{x=\"1} 1\n" EOF_, "no \"\"\"" },
	{ GAUGE "a_b{x=\"a\nb\"} 1\n" EOF_, "no \"\"\"" },
	{ GAUGE "a_b{x=\"a\"b\"} 1\n" EOF_, "no \"}\"" },
	{ GAUGE "a_b{x=\"1\",} 1\n" EOF_, "no name" },
	{ GAUGE "a_b{x=\"1\", y=\"1\"} 1\n" EOF_, "no name" },
	{ GAUGE "a_b{x=1} 1\n" EOF_, "no \"=\"\"" },
	{ GAUGE "a_b{1=\"1\"} 1\n" EOF_, "no name" },
	{ GAUGE "a_b{x=\"\\t\"} 1\n" EOF_, "escape" },
	{ GAUGE "a_b{x=\"\\\"} 1\n" EOF_, "\"\"\"" },
	{ GAUGE "a_b{x=\"\xff\"} 1\n" EOF_, "UTF-8" },
	{ GAUGE "a_b{x=\"\xc3\"} 1\n" EOF_, "UTF-8" },
	{ GAUGE "a_b{x=\"\xed\xa0\x80\"} 1\n" EOF_, "UTF-8" },
	{ GAUGE "a_b{x=\"\xc0\x80\"} 1\n" EOF_, "UTF-8" },
	{ GAUGE "a_b{x=\"\xf4\x90\x80\x80\"} 1\n" EOF_, "UTF-8" },
	{ "# HELP a_b \xff\n# TYPE a_b gauge\n" EOF_, "UTF-8" },
	{ "# TYPE a_b gauge more\n" EOF_, "more" },
	{ "# UNIT a_b seconds\n" EOF_, "unit" },
	{ "# TYPE a_b\n" EOF_, "no \" \"" },
	{ "# WHAT a_b gauge\n" EOF_, "# WHAT" },
	{ "# TYPE s histogram\ns_bucket{le=\"1\"} 1\ns_total 1\n" EOF_,
	  "not of this family" },
};

static void
takes_what_is_right(void **state)
{
	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(right); n++) {
		struct om *om = om_read(right[n], strlen(right[n]));

		if (om->error[0])
			fail_msg("number %d: %s", (int)n, om->error);
		om_free(om);
	}
}

static void
finds_what_is_wrong(void **state)
{
	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(bad); n++) {
		struct om *om = om_read(bad[n].text, strlen(bad[n].text));

		if (!strstr(om->error, bad[n].error))
			fail_msg("number %d: \"%s\", not \"%s\"", (int)n,
				 om->error, bad[n].error);
		om_free(om);
	}
}

static void
reads_what_is_there(void **state)
{
	struct om *om = om_read(right[4], strlen(right[4]));

	(void)state;
	assert_int_equal(om->families, 1);
	assert_int_equal(om->samples, 1);
	assert_string_equal(om_family(om, "a_b")->type, "gauge");
	assert_string_equal(om_label(om_find(om, "a_b", NULL, NULL), "pool"),
			    "\\ \" \n \xc3\xbc\xf0\x9f\x98\x80");
	om_free(om);
	om = om_read(right[3], strlen(right[3]));
	assert_int_equal(om->samples, 2);
	assert_true(om_find(om, "a_b", "1", NULL)->value == 1.5e-6);
	assert_true(om_find(om, "a_b", "2", NULL)->value == -7);
	assert_null(om_find(om, "a_b", "3", NULL));
	assert_null(om_find(om, "a_b", NULL, "1"));
	om_free(om);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_right),
		cmocka_unit_test(finds_what_is_wrong),
		cmocka_unit_test(reads_what_is_there),
	};

	return cmocka_run_group_tests_name("the OpenMetrics reader", tests,
					   NULL, NULL);
}
