/*
 * lws-threadpool unit tests - K1, K2, tokens: what they are, and who has one
 *
 * SPDX-License-Identifier: MIT
 */

#include <ctype.h>

#include "tokens.h"

#define DIGITS (LWS_THREADPOOL_TOKEN_SIZE - 1)

/* 32 digits and the NUL, and nothing behind them */
static void
is_token(const char *token)
{
	assert_int_equal(strlen(token), DIGITS);
	for (int n = 0; n < DIGITS; n++)
		assert_true(isdigit((unsigned char)token[n]) ||
			    (token[n] >= 'a' && token[n] <= 'f'));
}

static void
the_same_each_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);
	char token[2][LWS_THREADPOOL_TOKEN_SIZE + 3];

	for (int n = 0; n < 6; n++) {
		memset(token[n & 1], 'x', sizeof(token[0]));
		assert_int_equal(lws_threadpool_task_token(
					 j->task,
					 n / 2 == 1 ? LWS_TP_TOKEN_WAIT : 0,
					 token[n & 1]),
				 0);
		is_token(token[n & 1]);
		assert_memory_equal(token[n & 1] + LWS_THREADPOOL_TOKEN_SIZE,
				    "xxx", 3);
		if (n)
			assert_string_equal(token[0], token[1]);
		assert_ptr_equal(lws_threadpool_task_by_token(tp, token[0]),
				 j->task);
	}
}

/* K1: 128 bits each: no two are the same, and each digit takes any value (16 of
 * them, by their last bits) */
static void
each_task_has_its_own(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 300);
	struct job *j[256];
	char token[256][LWS_THREADPOOL_TOKEN_SIZE];
	unsigned int seen[DIGITS] = { 0 };

	job_block(rig, tp, gate_new(rig));
	for (int n = 0; n < 256; n++) {
		j[n] = job_new(rig);
		assert_non_null(job_enqueue(tp, j[n], NULL));
		strcpy(token[n], tokens_give(j[n], 0));
		for (int m = 0; m < n; m++)
			assert_string_not_equal(token[m], token[n]);
		for (int d = 0; d < DIGITS; d++)
			seen[d] |= 1u << (token[n][d] % 32);
	}
	for (int n = 0; n < 256; n++)
		assert_ptr_equal(lws_threadpool_task_by_token(tp, token[n]),
				 j[n]->task);
	for (int d = 0; d < DIGITS; d++)
		assert_true(__builtin_popcount(seen[d]) >= 8);
}

/* ---- any thread, any status ---- */

struct asker {
	struct lws_threadpool *tp;
	struct lws_threadpool_task *task, *found;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	int ret;
};

static void *
ask(void *arg)
{
	struct asker *a = arg;

	a->ret = lws_threadpool_task_token(a->task, 0, a->token);
	a->found = lws_threadpool_task_by_token(a->tp, a->token);

	return NULL;
}

static int
ask_of_itself(struct job *j, enum lws_threadpool_task_status s)
{
	struct asker *a = j->priv;

	(void)s;
	a->task = lws_threadpool_this_task();
	ask(a);

	return LWS_TP_RETURN_FINISHED;
}

static void
from_any_thread(void **state)
{
	struct rig *rig = *state;
	struct asker a = { .tp = rig_pool(rig, 1, 10), .ret = -1 };
	struct job *j = job_block(rig, a.tp, gate_new(rig)),
		   *self = job_new(rig);
	pthread_t thread;

	a.task = j->task;
	assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
	pthread_join(thread, NULL);
	assert_int_equal(a.ret, 0);
	assert_ptr_equal(a.found, j->task);
	assert_string_equal(a.token, tokens_give(j, 0));

	gate_open(j->gate);
	wait_until(tokens_is_kept, j);
	a.ret = -1;
	self->fn = ask_of_itself;
	self->priv = &a;
	assert_non_null(job_enqueue(a.tp, self, NULL));
	wait_until(tokens_is_kept, self);
	assert_int_equal(a.ret, 0);
	assert_ptr_equal(a.found, self->task);
	assert_ptr_equal(lws_threadpool_task_by_token(a.tp, a.token),
			 self->task);
}

static void
in_any_status(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 2, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j[5];
	char token[5][LWS_THREADPOOL_TOKEN_SIZE];

	c->manual = true;
	j[0] = job_new(rig);
	assert_non_null(job_enqueue(tp, j[0], c->wsi));
	wait_status(j[0], LWS_TP_STATUS_FINISHED);
	j[1] = job_park(rig, tp, c->wsi);
	j[2] = job_gated(rig, gate);
	j[2]->last = LWS_TP_RETURN_CHECKING_IN;
	j[3] = job_gated(rig, gate);
	j[4] = job_new(rig);
	for (int n = 2; n < 5; n++)
		assert_non_null(job_enqueue(tp, j[n], c->wsi));
	wait_int(&j[2]->calls, 1);
	wait_int(&j[3]->calls, 1);
	lws_threadpool_task_sync(j[2]->task, 1);
	for (int n = 0; n < 5; n++) {
		strcpy(token[n], tokens_give(j[n], 0));
		assert_ptr_equal(lws_threadpool_task_by_token(tp, token[n]),
				 j[n]->task);
	}
	assert_int_equal(lws_threadpool_task_status_noreap(j[1]->task),
			 LWS_TP_STATUS_SYNCING);
	gate_open(gate);
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
	/* K2: reaped, and known no more */
	for (int n = 0; n < 5; n++)
		assert_null(lws_threadpool_task_by_token(tp, token[n]));
}

/* ---- what is no token ---- */

static void
is_unknown(struct lws_threadpool *tp, const char *token)
{
	assert_null(lws_threadpool_task_by_token(tp, token));
}

/* K2: none is logged, for they come from peers */
static void
wrong_ones(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *other = rig_pool(rig, 1, 10);
	struct job *j = job_block(rig, tp, gate_new(rig));
	char token[LWS_THREADPOOL_TOKEN_SIZE], wrong[80];

	do { /* with a letter, for the upper-case one: as a rule at once */
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
		strcpy(token, tokens_give(j, 0));
	} while (!strpbrk(token, "abcdef"));
	log_info();
	log_forget();
	is_unknown(other, token);
	is_unknown(tp, NULL);
	is_unknown(tp, "");
	is_unknown(tp, "00000000000000000000000000000000");
	is_unknown(tp, "ffffffffffffffffffffffffffffffff");
	for (int n = 0; n < DIGITS; n++) {
		/* short, one digit wrong, one byte that is no digit */
		snprintf(wrong, sizeof(wrong), "%.*s", n, token);
		is_unknown(tp, wrong);
		strcpy(wrong, token);
		for (int c = 1; c < 256; c++) {
			wrong[n] = (char)c;
			if (wrong[n] != token[n])
				is_unknown(tp, wrong);
		}
	}
	snprintf(wrong, sizeof(wrong), "%s0", token);
	is_unknown(tp, wrong);
	snprintf(wrong, sizeof(wrong), "%s\n", token);
	is_unknown(tp, wrong);
	snprintf(wrong, sizeof(wrong), " %s", token);
	is_unknown(tp, wrong);
	snprintf(wrong, sizeof(wrong), "0x%s", token);
	is_unknown(tp, wrong);
	for (int n = 0; n < LWS_THREADPOOL_TOKEN_SIZE; n++)
		wrong[n] = (char)toupper((unsigned char)token[n]);
	is_unknown(tp, wrong);
	assert_int_equal(log_count(LLL_INFO, "lws_threadpool"), 0);
	assert_int_equal(log_unclaimed(), 0);
	assert_ptr_equal(lws_threadpool_task_by_token(tp, token), j->task);
}

/* K2, Q6: a pool that is none is an error, whatever the token */
static void
no_such_pool(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10),
			      *stale = rig_pool(rig, 1, 10);
	struct job *j = job_block(rig, tp, gate_new(rig));
	const char *token = tokens_give(j, 0);

	rig_pool_destroy(rig, stale);
	is_unknown(NULL, token);
	is_unknown(stale, token);
	is_unknown((struct lws_threadpool *)UINTPTR_MAX, token);
	assert_int_equal(log_claim(LLL_ERR, ""), 3);
}

/* ---- misuse ---- */

static void
no_token(struct lws_threadpool_task *task, unsigned int flags)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	assert_int_equal(lws_threadpool_task_token(task, flags, token), -1);
	log_claim(LLL_ERR, "lws_threadpool_task_token");
}

/* K1: and nothing was changed: it has no token, and reaps itself */
static void
unknown_flags(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);

	for (unsigned int bit = 1; bit < 32; bit++) {
		no_token(j->task, 1u << bit);
		no_token(j->task, 1u << bit | LWS_TP_TOKEN_WAIT);
	}
	no_token(j->task, ~0u);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
}

/* nowhere to put it: no token, whichever flags */
static void
nowhere_to_put_it(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);

	assert_int_equal(lws_threadpool_task_token(j->task, 0, NULL), -1);
	assert_int_equal(lws_threadpool_task_token(j->task, LWS_TP_TOKEN_WAIT,
						   NULL),
			 -1);
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_task_token"), 2);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
}

static void
ask_in_cleanup(struct job *j, struct lws *wsi)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	(void)wsi;
	if (lws_threadpool_task_token(j->task, 0, token) != -1)
		job_fault(j, "a token for a task in its cleanup (Q1, K1)");
}

/* K1, Q6: stale, in its own cleanup too, and never valid */
static void
no_such_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);

	j->on_cleanup = ask_in_cleanup;
	gate_open(gate);
	wait_int(&j->cleanups, 1);
	log_info();
	log_forget();
	no_token(j->task, 0);
	assert_int_equal(log_count(LLL_INFO, "lws_threadpool"), 1);
	no_token(NULL, 0);
	no_token((struct lws_threadpool_task *)rig, LWS_TP_TOKEN_WAIT);
	no_token((struct lws_threadpool_task *)tp, 0);
	no_token((struct lws_threadpool_task *)UINTPTR_MAX, 0);
	assert_int_equal(log_count(LLL_ERR, ""), 0);
}

/* K1: where there is no context any more there is no random */
static void
no_context_any_more(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);

	rig_context_destroy(rig);
	no_token(j->task, 0);
	no_token(j->task, LWS_TP_TOKEN_WAIT);
	gate_open(gate);
	wait_int(&j->cleanups, 1);
	rig_pool_destroy(rig, tp);
}

struct ends {
	struct job *j;
	int asked, got;
};

static int
ask_as_it_ends(struct rig *rig, struct lws *wsi,
	       enum lws_callback_reasons reason, void *user, void *in,
	       size_t len)
{
	struct ends *e = rig->priv;
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if (e && reason == LWS_CALLBACK_RAW_CLOSE) {
		e->asked++;
		e->got += !lws_threadpool_task_token(e->j->task, 0, token);
	}

	return RIG_DEFAULT;
}

/* K1: nor while it is being destroyed */
static void
as_the_context_ends(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct ends e = { .j = job_block(rig, tp, gate) };

	conn_open(rig, CONN_RAW);
	rig_drain(rig);
	rig->on_event = ask_as_it_ends;
	rig->priv = &e;
	rig_context_destroy(rig);
	rig->on_event = NULL;
	rig->priv = NULL;
	assert_true(e.asked >= 1);
	/* compiled in, lws 4.2 and later tell of their end after the closes */
	if (!LWSTP_UNIT_IN_LWS)
		assert_int_equal(e.got, 0);
	log_claim(LLL_ERR, "no random bytes");
	gate_open(gate);
	if (!e.got) /* K4: or it is kept */
		wait_int(&e.j->cleanups, 1);
	rig_pool_destroy(rig, tp);
	assert_int_equal(atomic_load(&e.j->cleanups), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(the_same_each_time),  RIG_TEST(each_task_has_its_own),
		RIG_TEST(from_any_thread),     RIG_TEST(in_any_status),
		RIG_TEST(wrong_ones),	       RIG_TEST(no_such_pool),
		RIG_TEST(unknown_flags),       RIG_TEST(nowhere_to_put_it),
		RIG_TEST(no_such_task),	       RIG_TEST(no_context_any_more),
		RIG_TEST(as_the_context_ends),
	};

	return cmocka_run_group_tests_name("K1 K2 tokens", tests, NULL, NULL);
}
