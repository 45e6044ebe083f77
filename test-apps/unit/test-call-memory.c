/*
 * lws-threadpool unit tests - R1, R2, K1 without memory, fds or random numbers:
 * refused, with nothing kept, and all is well when there is some again
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: malloc calloc realloc aligned_alloc posix_memalign mmap
 * LWSTP_WRAP: eventfd fcntl lws_adopt_descriptor_vhost_via_info
 * LWSTP_WRAP: lws_get_random
 */

#include "closings.h"
#include "faults-count.h"
#include "tokens.h"

typedef __typeof__(lws_get_random(NULL, NULL, 0)) random_t;

WRAP(random_t, lws_get_random,
     (struct lws_context * context, void *buf, size_t len))
{
	if (fails(RANDOM))
		return (random_t)(len / 2);

	return __real_lws_get_random(context, buf, len);
}

/* ---- R1 ---- */

#define MANY 20000

struct call {
	atomic_int calls;
	int ret;
};

static struct call calls[MANY + 1];

static void
note(struct lws_context *context, void *arg)
{
	struct call *c = arg;

	assert_non_null(context);
	atomic_fetch_add(&c->calls, 1);
}

static int
calls_once(int at, int for_good)
{
	struct rig *rig = rig_create(NULL);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	int failed, refused = 0;

	rig->any_log = true;
	rig_drain(rig);
	memset(calls, 0, sizeof(calls));
	log_ready();
	faults_on(MEMORY, at, for_good);
	for (int n = 0; n < MANY; n++) {
		calls[n].ret = lws_threadpool_call(tp, 0, note, &calls[n]);
		refused += calls[n].ret;
	}
	failed = faults_off();
	/* no room without memory, and no refusal with it */
	assert_int_equal(!refused, !failed);

	/* exactly once, or never; and what comes now */
	assert_int_equal(lws_threadpool_call(tp, 0, note, &calls[MANY]), 0);
	rig_until_int(rig, &calls[MANY].calls, 1);
	rig_drain(rig);
	for (int n = 0; n < MANY; n++)
		assert_int_equal(atomic_load(&calls[n].calls),
				 calls[n].ret ? 0 : 1);
	assert_int_equal(rig_destroy(rig), 0);

	return failed;
}

static void
R1_without_memory(void **state)
{
	(void)state;
	for (int for_good = 0; for_good < 2; for_good++)
		for (int at = 1; at < 6; at++)
			if (!calls_once(at, for_good))
				break;
	assert_true(calls_once(1, 1));
}

/* ---- R2 ---- */

static int
handle_once(enum what what, int at, bool opt_in)
{
	struct rig_opts opts = { .opt_in = opt_in };
	int failed, fds = rig_open_fds();
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_wsi *h, *now;

	rig->any_log = true;
	rig_drain(rig);
	log_ready();
	faults_on(what, at, 1);
	h = lws_threadpool_wsi_handle(tp, c->wsi);
	failed = faults_off();
	if (!h) {
		assert_true(failed);
		assert_int_equal(lws_threadpool_refused(),
				 what == MEMORY ? LWS_TP_REFUSED_MEMORY :
						  LWS_TP_REFUSED_FDS);
		assert_true(log_count(LLL_ERR, "") + log_count(LLL_WARN, ""));
	}
	now = lws_threadpool_wsi_handle(tp, c->wsi);
	assert_non_null(now);
	assert_true(!h || h == now);
	assert_ptr_equal(lws_threadpool_wsi_get(now), c->wsi);
	closing_do(c, CLOSING_FIN);
	assert_null(lws_threadpool_wsi_get(now));
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(rig_open_fds(), fds);

	return failed;
}

static void
R2_without_memory_or_fds(void **state)
{
	(void)state;
	for (int opt_in = 0; opt_in < 2; opt_in++)
		for (int what = MEMORY; what <= ADOPTION; what++)
			for (int at = 1; at < 20; at++)
				if (!handle_once((enum what)what, at, opt_in))
					break;
}

/* The first one, of a wsi that is known already: there is no table yet */
static void
R2_the_first_of_all(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);

	c->manual = true;
	assert_non_null(job_enqueue(tp, job_new(rig), c->wsi));
	log_ready();
	faults_on(MEMORY, 1, 1);
	assert_null(lws_threadpool_wsi_handle(tp, c->wsi));
	assert_true(faults_off());
	assert_refused(LWS_TP_REFUSED_MEMORY);
	assert_non_null(lws_threadpool_wsi_handle(tp, c->wsi));
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}

/* ---- K1 ---- */

/* no random, and less than was asked for: no token, and later it has one */
static void
K1_without_random(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);
	char token[2][LWS_THREADPOOL_TOKEN_SIZE];

	log_ready();
	for (int n = 0; n < 3; n++) {
		faults_on(RANDOM, 1, 1);
		assert_int_equal(
			lws_threadpool_task_token(j->task, 0, token[0]), -1);
		assert_true(faults_off());
	}
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
	for (int n = 0; n < 2; n++)
		assert_int_equal(
			lws_threadpool_task_token(j->task, 0, token[n]), 0);
	assert_string_equal(token[0], token[1]);
	assert_ptr_equal(lws_threadpool_task_by_token(tp, token[0]), j->task);
}

/* a task that got no token reaps itself, as if nobody had asked */
static void
K1_without_random_nothing_is_kept(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);
	char token[LWS_THREADPOOL_TOKEN_SIZE];

	log_ready();
	faults_on(RANDOM, 1, 1);
	assert_int_equal(lws_threadpool_task_token(j->task, LWS_TP_TOKEN_WAIT,
						   token),
			 -1);
	faults_off();
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
	gate_open(gate);
	wait_int(&j->cleanups, 1);
}

/* the first token of a pool, with the n-th call for memory failing: refused, or
 * it has one that is found */
static int
token_once(struct rig *rig, int at)
{
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig);
	struct job *j = job_block(rig, tp, gate);
	char token[2][LWS_THREADPOOL_TOKEN_SIZE];
	int failed, ret;

	log_ready();
	faults_on(MEMORY, at, 1);
	ret = lws_threadpool_task_token(j->task, 0, token[0]);
	failed = faults_off();
	assert_true(!ret || (failed && ret == -1));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_task_token"),
			 ret ? 1 : 0);
	assert_int_equal(lws_threadpool_task_token(j->task, 0, token[1]), 0);
	if (!ret)
		assert_string_equal(token[0], token[1]);
	assert_ptr_equal(lws_threadpool_task_by_token(tp, token[1]), j->task);
	gate_open(gate);
	rig_pool_destroy(rig, tp);

	return failed;
}

static void
K1_without_memory(void **state)
{
	struct rig *rig = *state;
	int at = 1;

	while (token_once(rig, at))
		at++;
	assert_true(at > 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(R1_without_memory),
		RIG_TEST(R2_the_first_of_all),
		cmocka_unit_test(R2_without_memory_or_fds),
		RIG_TEST(K1_without_random),
		RIG_TEST(K1_without_random_nothing_is_kept),
		RIG_TEST(K1_without_memory),
	};

	return cmocka_run_group_tests_name("R1 R2 K1 out of memory", tests,
					   NULL, NULL);
}
