/*
 * lws-threadpool unit tests - the harness itself: every kind of connection
 * comes up, and is seen to end, without any task on it
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

static void
connections_open_and_close(void **state)
{
	struct rig *rig = *state;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		assert_non_null(c->wsi);
		assert_ptr_equal(conn_of(c->wsi), c);
		if (kind != CONN_FILE)
			conn_fin(c);
		else
			conn_timeout(c);
		conn_until_closed(c);
	}
}

static void
connections_die_by_the_callback(void **state)
{
	struct rig *rig = *state;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		conn_die(c);
		conn_until_closed(c);
		assert_int_equal(c->writeables, 1);
	}
}

static void
connections_time_out(void **state)
{
	struct rig *rig = *state;

	for (int kind = 0; kind < CONN_KINDS; kind++) {
		struct conn *c = conn_open(rig, (enum conn_kind)kind);

		conn_timeout(c);
		conn_until_closed(c);
	}
}

static void
connections_reset_or_closed_by_frame(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_WS);

	conn_ws_close(c);
	conn_until_closed(c);
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		if (kind != CONN_WS && kind != CONN_HTTP &&
		    kind != CONN_RAW_TCP)
			continue;
		c = conn_open(rig, (enum conn_kind)kind);
		conn_rst(c);
		conn_until_closed(c);
	}
}

static void
connections_end_with_the_context(void **state)
{
	struct rig *rig = *state;
	struct conn *c[CONN_KINDS];

	for (int kind = 0; kind < CONN_KINDS; kind++)
		c[kind] = conn_open(rig, (enum conn_kind)kind);
	rig_context_destroy(rig);
	for (int kind = 0; kind < CONN_KINDS; kind++)
		assert_true(c[kind]->closed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(connections_open_and_close),
		RIG_TEST(connections_die_by_the_callback),
		RIG_TEST(connections_time_out),
		RIG_TEST(connections_reset_or_closed_by_frame),
		RIG_TEST(connections_end_with_the_context),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
