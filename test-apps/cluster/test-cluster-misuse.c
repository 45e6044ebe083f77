/*
 * lws-threadpool cluster tests - bad arguments
 *
 * SPDX-License-Identifier: MIT
 *
 * Each is refused, with a line where the header says so, and does no harm.
 */

#include <sys/wait.h>
#include <unistd.h>

#include "field.h"

#define SECONDS 60 /* a child that hangs is killed then, by SIGALRM */

static void
create_says_no(struct lws_threadpool *pool,
	       const struct lws_threadpool_cluster_options *options,
	       const char *says)
{
	char line[160];

	log_forget();
	assert_null(lws_threadpool_cluster_create(pool, options));
	snprintf(line, sizeof(line), "lws_threadpool_cluster_create: %s", says);
	assert_int_equal(log_count(LLL_ERR, line), 1);
	log_forget();
}

static void
create(void **state)
{
	struct lws_threadpool_cluster_options o;
	struct field *f = *state;
	struct lws_threadpool *pool = rig_pool(f->rig, 1, 10);

	create_says_no(NULL, &f->options, "there is no such pool: ");
	o = f->options;
	o.size = 0;
	create_says_no(pool, &o,
		       "options have a bad size, or a member that this version "
		       "does not know: 0");
	o = f->options;
	o.size = 8192;
	create_says_no(pool, &o,
		       "options have a bad size, or a member that this version "
		       "does not know: 8192");
	o = f->options;
	o.lease_secs = -1;
	create_says_no(pool, &o, "options->lease_secs is not 0..3600: -1");
	o.lease_secs = 3601;
	create_says_no(pool, &o, "options->lease_secs is not 0..3600: 3601");
	o = f->options;
	o.engine_secs = -1;
	create_says_no(pool, &o, "options->engine_secs is negative: -1");
	o = f->options;
	o.max_tries = -1;
	create_says_no(pool, &o, "options->max_tries is negative: -1");
	o = f->options;
	o.prefix = "";
	create_says_no(pool, &o,
		       "options->prefix is not 1..32 of a-z 0-9 _ -: ");
	o.prefix = "a.b";
	create_says_no(pool, &o,
		       "options->prefix is not 1..32 of a-z 0-9 _ -: a.b");
	o.prefix = "a*";
	create_says_no(pool, &o,
		       "options->prefix is not 1..32 of a-z 0-9 _ -: a*");
	o.prefix = "abcdefghijklmnopqrstuvwxyz0123456";
	create_says_no(pool, &o,
		       "options->prefix is not 1..32 of a-z 0-9 _ -: abcdef");
	lws_threadpool_cluster_destroy(NULL);
}

static void
kind_says_no(struct field *f, const struct lws_threadpool_cluster_kind *k,
	     const char *says)
{
	char line[160];

	assert_int_equal(lws_threadpool_cluster_add_kind(f->front, k), -1);
	snprintf(line, sizeof(line), "lws_threadpool_cluster_add_kind: %s",
		 says);
	assert_int_equal(log_count(LLL_ERR, line), 1);
	log_forget();
}

static void
fresh(struct lws_threadpool_cluster_kind *k)
{
	kind_fill(k, KIND_UNSENT);
	k->name = "fresh";
}

static void
add_kind_numbers(void **state)
{
	struct lws_threadpool_cluster_kind k;
	struct field *f = *state;

	front_create(f);
	kind_says_no(f, NULL, "there is no kind: NULL");
	kind_says_no(f, &f->kinds[KIND_UNSENT],
		     "the kind is known already: unsent"); /* it is known */
	fresh(&k);
	k.size = 0;
	kind_says_no(f, &k,
		     "kind has a bad size, or a member that this version does "
		     "not know: 0");
	fresh(&k);
	k.window = 257;
	kind_says_no(f, &k, "kind->window is not 0..256: 257");
	k.window = -1;
	kind_says_no(f, &k, "kind->window is not 0..256: -1");
	fresh(&k);
	k.max_chunk = 1000001;
	kind_says_no(f, &k, "kind->max_chunk is over 1,000,000: 1000001");
	fresh(&k);
	k.deadline_secs = -1;
	kind_says_no(f, &k, "kind->deadline_secs is negative: -1");
	fresh(&k);
	k.linger_secs = -1;
	kind_says_no(f, &k, "kind->linger_secs is negative: -1");
	fresh(&k);
	k.reserved = 1;
	kind_says_no(f, &k,
		     "kind has a bad size, or a member that this version does "
		     "not know: ");
	fresh(&k);
	assert_int_equal(lws_threadpool_cluster_add_kind(f->front, &k), 0);
}

static void
add_kind_names_and_functions(void **state)
{
	static const char *const names[] = {
		"",
		"A",
		"a.b",
		"a b",
		"a>",
		"*",
		"abcdefghijklmnopqrstuvwxyz0123456"
	};
	struct lws_threadpool_cluster_kind k;
	struct field *f = *state;
	size_t n;

	front_create(f);
	fresh(&k);
	k.name = NULL;
	kind_says_no(f, &k, "kind->name is not 1..32 of a-z 0-9 _ -: NULL");
	for (n = 0; n < LWS_ARRAY_SIZE(names); n++) {
		k.name = names[n];
		kind_says_no(f, &k, "kind->name is not 1..32 of a-z 0-9 _ -: ");
	}
	fresh(&k);
	k.task = NULL;
	kind_says_no(f, &k, "a function is missing in the kind: fresh");
	fresh(&k);
	k.encode_job = NULL;
	kind_says_no(f, &k, "a function is missing in the kind: fresh");
	fresh(&k);
	k.decode_job = NULL;
	kind_says_no(f, &k, "a function is missing in the kind: fresh");
	fresh(&k);
	k.encode_chunk = NULL;
	kind_says_no(f, &k, "a function is missing in the kind: fresh");
	fresh(&k);
	k.decode_chunk = NULL;
	kind_says_no(f, &k, "a function is missing in the kind: fresh");
	k.decode_chunk = f->kinds[KIND_UNSENT].decode_chunk;
	k.name = "abcdefghijklmnopqrstuvwxyz-_0123";
	k.cleanup = NULL;
	assert_int_equal(lws_threadpool_cluster_add_kind(f->front, &k), 0);
}

static void
serve(void **state)
{
	struct field *f = *state;
	int errors;

	front_create(f);
	errors = log_count(LLL_ERR, "");
	assert_int_equal(lws_threadpool_cluster_serve(f->front, "none", 0), -1);
	assert_int_equal(lws_threadpool_cluster_serve(f->front, NULL, 0), -1);
	assert_int_equal(lws_threadpool_cluster_serve(f->front, "unsent", -1),
			 -1);
	assert_int_equal(log_count(LLL_ERR, ""), errors + 3);
	assert_int_equal(log_count(LLL_ERR, "no such kind: none"), 1);
	assert_int_equal(log_count(LLL_ERR, "no such kind: NULL"), 1);
	assert_int_equal(log_count(LLL_ERR, "max_jobs is negative: -1"), 1);
	assert_int_equal(lws_threadpool_cluster_serve(f->front, "unsent", 0),
			 0);
	assert_int_equal(lws_threadpool_cluster_serve(f->front, "unsent", 0),
			 -1);
	lws_threadpool_cluster_drain(f->front);
	assert_int_equal(lws_threadpool_cluster_serve(f->front, "never", 0),
			 -1);
	assert_int_equal(log_count(LLL_ERR, ""), errors + 5);
	assert_int_equal(log_count(LLL_ERR, "is served already: unsent"), 1);
	assert_int_equal(log_count(LLL_ERR, "is draining: never"), 1);
	f->errors = errors + 5;
}

static void
option_says_no(struct field *f, struct lws_threadpool_task_options *o,
	       const char *says)
{
	struct lws_threadpool_task_args args = { .user = NULL };

	assert_null(lws_threadpool_cluster_enqueue(f->front, "unsent", &args, o,
						   NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_int_equal(log_count(LLL_ERR, says), 1);
	log_forget();
	memset(o, 0, sizeof(*o));
	o->size = sizeof(*o);
}

/* A cluster has no part in what is about threads of the front */
static void
enqueue_options(void **state)
{
	struct lws_threadpool_task_options o = { .size = sizeof(o) };
	struct field *f = *state;

	front_start(f);
	o.size = 4;
	option_says_no(f, &o,
		       "options have a bad size, or a member that this "
		       "version does not know: 4");
	o.queue_ms = 7;
	option_says_no(f, &o, "options->queue_ms is not for a cluster: 7");
	o.key = "k";
	o.key_max = 3;
	option_says_no(f, &o, "options->key is not for a cluster, key_max: 3");
	o.life_ms = -2;
	option_says_no(f, &o, "options->life_ms is negative: -2");
}

static void
enqueue(void **state)
{
	struct lws_threadpool_task_args args;
	struct field *f = *state;

	front_start(f);
	memset(&args, 0, sizeof(args));
	assert_null(lws_threadpool_cluster_enqueue(f->front, "none", &args,
						   NULL, NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_null(lws_threadpool_cluster_enqueue(f->front, NULL, &args, NULL,
						   NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	assert_null(lws_threadpool_cluster_enqueue(f->front, "unsent", NULL,
						   NULL, NULL));
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	f->errors = log_count(LLL_ERR, "");
}

/* What is no token, and what is no task of a cluster */
static void
tokens(void **state)
{
	static const char *const none[] = {
		"",
		"x",
		"0123456789abcdef0123456789abcde",
		"0123456789abcdef0123456789abcdef0",
		"0123456789ABCDEF0123456789ABCDEF",
		"0123456789abcdef.123456789abcdef",
		"*",
		">"
	};
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct field *f = *state;
	struct remote *r;
	size_t n;

	front_start(f);
	log_info();
	for (n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		r = remote_attach(f, 0, 0, none[n], NULL);
		assert_null(r->task);
		assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_ARGS);
	}
	assert_null(remote_attach(f, 0, 0, NULL, NULL)->task);
	log_on();
	assert_int_equal(log_count(LLL_INFO, "that is no token: NULL"), 1);
	assert_int_equal(log_count(LLL_INFO, "that is no token, its length: 3"),
			 4);
	assert_int_equal(log_count(LLL_INFO, "0123456789"), 0);
	assert_int_equal(lws_threadpool_cluster_token(NULL, token), -1);
	assert_int_equal(lws_threadpool_cluster_end_reason(NULL),
			 LWS_TP_CLUSTER_NOT_YET);
	/* its kind has no linger_secs */
	r = remote_run(f, KIND_RESUME, 1, BOARD_FREE);
	assert_int_equal(lws_threadpool_cluster_token(r->task, token), -1);
	f->errors = log_count(LLL_ERR, "");
	worker_start(f);
	until_ended(r);
	assert_complete(r);
}

/* Not what is one, either */
static void
token_without_an_engine(void **state)
{
	static const char token[] = "0123456789abcdef0123456789abcdef";
	struct field *f = *state;

	f->options.url = "nats://127.0.0.1:1";
	front_create(f);
	until(f, has_warned, (void *)"cannot be reached");
	log_info();
	assert_null(remote_attach(f, 0, 0, token, NULL)->task);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_AWAY);
	log_on();
	assert_int_equal(log_count(LLL_INFO, "attach: the engine is away: "),
			 1);
	assert_int_equal(log_count(LLL_INFO, token), 0);
	log_claim(LLL_WARN, "cannot be reached");
}

static void
stats(void **state)
{
	struct lws_threadpool_cluster_stats s;
	struct field *f = *state;

	front_create(f);
	memset(&s, 0, sizeof(s));
	assert_int_equal(lws_threadpool_cluster_get_stats(f->front, &s), -1);
	s.size = 4;
	assert_int_equal(lws_threadpool_cluster_get_stats(f->front, &s), -1);
	s.size = sizeof(s);
	assert_int_equal(lws_threadpool_cluster_get_stats(f->front, &s), 0);
	f->errors = log_count(LLL_ERR, "");
}

static bool
said(const char *function)
{
	char line[160];
	bool once;

	snprintf(line, sizeof(line), "lws_threadpool_cluster_%s: cluster ",
		 function);
	once = log_count(LLL_ERR, line) == 1 && log_count(LLL_ERR, "") == 1;
	log_forget();

	return once;
}

/* The number of the call that was not refused, or 0 */
static int
use_parents_cluster(struct field *f, const struct remote *r)
{
	struct lws_threadpool_cluster_stats s = { .size = sizeof(s) };
	struct lws_threadpool_task_args args = { .user = NULL };
	char text[LWS_THREADPOOL_TOKEN_SIZE];
	struct lws_threadpool_cluster_kind k;
	static const char token[] = "0123456789abcdef0123456789abcdef";

	fresh(&k);
	log_forget();
	if (lws_threadpool_cluster_add_kind(f->front, &k) != -1 ||
	    !said("add_kind"))
		return 1;
	if (lws_threadpool_cluster_enqueue(f->front, "resume", &args, NULL,
					   NULL) ||
	    lws_threadpool_refused() != LWS_TP_REFUSED_ARGS || !said("enqueue"))
		return 2;
	lws_threadpool_refuse(LWS_TP_REFUSED_AWAY);
	if (lws_threadpool_cluster_attach(f->front, token, 0, &args, NULL,
					  NULL) ||
	    lws_threadpool_refused() != LWS_TP_REFUSED_ARGS || !said("attach"))
		return 3;
	if (lws_threadpool_cluster_serve(f->front, "never", 0) != -1 ||
	    !said("serve"))
		return 4;
	if (lws_threadpool_cluster_get_stats(f->front, &s) != -1 ||
	    !said("get_stats"))
		return 5;
	if (lws_threadpool_cluster_drain(f->front) || !said("drain"))
		return 6;
	if (lws_threadpool_cluster_end_reason(r->task) !=
		    LWS_TP_CLUSTER_NOT_YET ||
	    lws_threadpool_cluster_token(r->task, text) != -1)
		return 7;
	log_forget();
	lws_threadpool_cluster_destroy(f->front);

	return said("destroy") ? 0 : 8;
}

/* where coverage is counted */
extern void
__gcov_dump(void) __attribute__((weak));

/* A child has the handle, and none of the threads.  It harms nobody. */
static void
after_fork(void **state)
{
	struct field *f = *state;
	struct remote *r;
	int status;
	pid_t pid;

	front_start(f);
	worker_start(f);
	r = remote_run(f, KIND_RESUME, 10, 3);
	until_read(r, 3);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		alarm(SECONDS);
		status = use_parents_cluster(f, r);
		if (__gcov_dump)
			__gcov_dump();
		_exit(status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	remote_release(r);
	until_ended(r);
	assert_complete(r);
}

static const struct CMUnitTest tests[] = {
	FIELD_TEST(create),
	FIELD_TEST(add_kind_numbers),
	FIELD_TEST(add_kind_names_and_functions),
	FIELD_TEST(serve),
	FIELD_TEST(enqueue),
	FIELD_TEST(enqueue_options),
	FIELD_TEST(tokens),
	FIELD_TEST(token_without_an_engine),
	FIELD_TEST(stats),
	FIELD_TEST(after_fork),
};

FIELD_MAIN(tests)
