/*
 * lws-threadpool cluster tests - an end in the middle of what comes
 *
 * SPDX-License-Identifier: MIT
 *
 * libnats looks for a message's subscription, and then takes its lock: before
 * 3.6.1 it does not see to it that it is there still.
 */

#include "wild.h"

#define TIMES 100

/* Each cluster hears of attaches; of this one nobody knows anything. */
static void
destroyed_while_messages_come(void **state)
{
	struct field *f = *state;
	struct wild *w = wild_open(f);
	int n;

	wild_flood(w, "find.x");
	for (n = 0; n < TIMES; n++) {
		front_start(f);
		front_destroy(f);
		rig_pool_destroy(f->rig, f->pool);
	}
	wild_flood_end(w);
	wild_close(w);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(destroyed_while_messages_come),
};

FIELD_MAIN(tests)
