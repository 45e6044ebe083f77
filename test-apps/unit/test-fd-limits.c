/*
 * lws-threadpool unit tests - whatever the limit of fds is said to be
 *
 * SPDX-License-Identifier: MIT
 *
 * The library looks at RLIMIT_NOFILE as lws does when a context is made, and
 * grows the process's table of fds: a limit that cannot be read, that is beyond
 * what it grows to, or that lws takes for a joke must not keep a pool from
 * working, nor leave an fd behind.
 *
 * LWSTP_INSIDE
 * LWSTP_WRAP: getrlimit
 */

#include <sys/resource.h>

#include "harness.h"

static rlim_t pretended;
static int asked;

int
__real_getrlimit(int what, struct rlimit *limit);
int
__wrap_getrlimit(int what, struct rlimit *limit);

UNINSTRUMENTED int
__wrap_getrlimit(int what, struct rlimit *limit)
{
	if (what != (int)RLIMIT_NOFILE)
		return __real_getrlimit(what, limit);
	asked++;
	if (!pretended)
		return -1;
	limit->rlim_cur = limit->rlim_max = pretended;

	return 0;
}

static void
any_limit_will_do(void **state)
{
	static const rlim_t limits[] = { 0, 512, 70000, 20000000,
					 RLIM_INFINITY };
	const struct rig_opts opts = { .info = NULL };
	struct rig *rig;
	struct job *j;
	int before = 0;

	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(limits); n++) {
		pretended = limits[n];
		asked = 0;
		rig = rig_create(&opts);
		j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
		job_enqueue(rig_pool(rig, 2, 10), j,
			    conn_open(rig, CONN_RAW)->wsi);
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(asked, 1);
		assert_int_equal(rig_destroy(rig), 0);
		if (!n)
			before = rig_open_fds();
		assert_int_equal(rig_open_fds(), before);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_limit_will_do),
	};

	return cmocka_run_group_tests_name("fd limits", tests, NULL, NULL);
}
