/*
 * lws-threadpool cluster tests - an engine with accounts
 *
 * SPDX-License-Identifier: MIT
 *
 * Front and workers have a user and a password, and the rights that
 * README.cluster.md names, or fewer.
 */

#include "field.h"

#define CHUNKS 20

static char config[1024], url[80];

/* "rich" may do what the document says; "poor" may not have jobs queued */
static void
accounts(struct field *f, const char *user)
{
	snprintf(config, sizeof(config),
		 "accounts { OURS { jetstream: enabled, users: [\n"
		 "{ user: rich, password: secret, permissions: {\n"
		 "publish: [\"%s.>\", \"$JS.API.>\", \"$JS.ACK.>\"]\n"
		 "subscribe: [\"%s.>\", \"$JS.EVENT.ADVISORY.>\"] } }\n"
		 "{ user: poor, password: secret, permissions: {\n"
		 "publish: [\"%s.>\"], subscribe: [\"%s.>\"] } }\n"
		 "] } }\n",
		 f->prefix, f->prefix, f->prefix, f->prefix);
	engine_stop(f->engine);
	f->engine->config = config;
	engine_start(f->engine);
	snprintf(url, sizeof(url), "nats://%s@127.0.0.1:%d", user,
		 f->engine->port);
	f->options.url = f->worker_url = url;
}

static void
done(struct field *f)
{
	front_destroy(f);
	engine_stop(f->engine);
	f->engine->config = NULL;
	engine_start(f->engine);
}

static void
rights_of_the_document(void **state)
{
	struct field *f = *state;
	struct node_proc *w;
	struct remote *r;

	accounts(f, "rich:secret");
	field_short_lease(f);
	front_start(f);
	w = worker_start(f);
	r = remote_run(f, KIND_LINGER, CHUNKS, BOARD_FREE);
	until_ended(r);
	assert_complete(r);
	r = remote_run(f, KIND_RESUME, CHUNKS, 5);
	until_read(r, 5);
	worker_kill(w);
	worker_start(f);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
	assert_int_equal(log_count(LLL_WARN, ""), 0);
	done(f);
}

static void
no_queue_allowed(void **state)
{
	struct field *f = *state;

	accounts(f, "poor:secret");
	front_create(f);
	until(f, has_warned, (void *)"the engine takes no jobs: it does not");
	assert_int_equal(log_count(LLL_WARN,
				   "the engine says no: Permissions Violation"),
			 1);
	assert_int_equal(log_count(LLL_WARN,
				   "the engine takes no jobs: it does not "
				   "answer; has its user the rights?: 0"),
			 1);
	assert_null(remote_new(f, KIND_UNSENT, CHUNKS)->task);
	done(f);
}

/* The log has neither user nor password. */
static void
wrong_password(void **state)
{
	struct field *f = *state;

	accounts(f, "rich:guessed");
	front_create(f);
	until(f, has_warned, (void *)"cannot be reached");
	assert_int_equal(log_count(LLL_WARN, "lws_threadpool_cluster: 127.0."),
			 1);
	assert_int_equal(log_count(LLL_WARN, "guessed"), 0);
	done(f);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(rights_of_the_document),
	FIELD_TEST(no_queue_allowed),
	FIELD_TEST(wrong_password),
};

FIELD_MAIN(tests)
