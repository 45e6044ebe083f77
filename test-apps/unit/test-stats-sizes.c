/*
 * lws-threadpool unit tests - N1, N3: the sizes of what a caller has filled in,
 * as an older or a newer program sees it, and pools and tasks that are none
 *
 * SPDX-License-Identifier: MIT
 */

#include "numbers.h"

#define LARGEST 4096
#define GUARD	64

/* One of the two structs, with what is behind it */
struct filled {
	bool is_stats;
	_Alignas(max_align_t) unsigned char bytes[LARGEST + GUARD + 8];
};

/* the bytes are 0xa5, from the second member on */
static int
fill(struct filled *f, void *of, size_t size)
{
	memset(f->bytes, 0xa5, sizeof(f->bytes));
	memcpy(f->bytes, &size, sizeof(size));
	if (f->is_stats)
		return lws_threadpool_get_stats(of, (void *)f->bytes);

	return lws_threadpool_task_get_info(of, (void *)f->bytes);
}

static bool
untouched(const struct filled *f, size_t from, size_t to)
{
	while (from < to)
		if (f->bytes[from++] != 0xa5)
			return false;

	return true;
}

static size_t
size_said(const struct filled *f)
{
	size_t size;

	memcpy(&size, f->bytes, sizeof(size));

	return size;
}

static void
is_refused(struct filled *f, void *of, size_t size)
{
	if (fill(f, of, size) != -1)
		fail_msg("a size of %lu was taken", (unsigned long)size);
	assert_int_equal(size_said(f), size);
	assert_true(untouched(f, sizeof(size), sizeof(f->bytes)));
}

/* The caller's size stays; of what the library knows no byte does (but of a
 * name); what comes after that is zeroed, and the caller's memory is not
 * touched. */
static void
is_taken(struct filled *f, void *of, size_t first, size_t size)
{
	assert_int_equal(fill(f, of, size), 0);
	if (f->is_stats)
		assert_int_equal(size_said(f), size);
	for (size_t n = first; n < size; n++)
		assert_int_equal(f->bytes[n], 0);
	assert_true(untouched(f, size, sizeof(f->bytes)));
}

static void
sizes(struct filled *f, void *of, size_t first)
{
	static const size_t more[] = { 1, 7, 8, 16, 255, 1000 };

	is_refused(f, of, 0);
	is_refused(f, of, 1);
	is_refused(f, of, sizeof(size_t));
	is_refused(f, of, first / 2);
	is_refused(f, of, first - 1);
	is_refused(f, of, LARGEST + 1);
	is_refused(f, of, SIZE_MAX / 2);
	is_refused(f, of, SIZE_MAX);
	/* a bad size is no reason to be silent, but not told of either */
	log_claim(LLL_ERR, "");
	is_taken(f, of, first, first);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(more); n++)
		is_taken(f, of, first, first + more[n]);
	is_taken(f, of, first, LARGEST);
	assert_int_equal(log_unclaimed(), 0);
}

/* N1, "Sizes" */
static void
sizes_of_stats(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 3, 10);
	struct filled f = { .is_stats = true };
	struct lws_threadpool_stats s;

	/* 0.2 is the first version, without padding */
	assert_int_equal(sizeof(s),
			 sizeof(size_t) + 8 * 4 + 8 * 8 + 3 * 32 * 8 + 3 * 8);
	sizes(&f, tp, sizeof(s));
	/* it says the same to all of them */
	assert_int_equal(fill(&f, tp, LARGEST), 0);
	memcpy(&s, f.bytes, sizeof(s));
	assert_int_equal(s.threads, 3);
	assert_int_equal(s.accepted, 0);
}

/* N3, "Sizes" */
static void
sizes_of_info(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_block(rig, tp, gate_new(rig));
	struct filled f = { .is_stats = false };
	struct lws_threadpool_task_info info;

	sizes(&f, j->task, sizeof(info));
	assert_int_equal(fill(&f, j->task, LARGEST), 0);
	memcpy(&info, f.bytes, sizeof(info));
	assert_ptr_equal(info.task, j->task);
	assert_ptr_equal(info.user, j);
	assert_string_equal(info.name, "blocker");
}

/* N1, Q6: -1 and a line, and nothing is written */
static void
stale_pools(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_block(rig, tp, gate_new(rig));
	struct filled f = { .is_stats = true };
	char byte = 0;
	void *none[] = { NULL, &byte, rig, j->task, (void *)UINTPTR_MAX, tp };
	size_t size = sizeof(struct lws_threadpool_stats);

	gates_open(rig);
	rig_pool_destroy(rig, tp);
	for (size_t n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		is_refused(&f, none[n], size);
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_get_stats"),
				 n + 1);
	}
	assert_int_equal(log_unclaimed(), 0);
	/* nor in a pool that there is */
	tp = rig_pool(rig, 1, 10);
	assert_int_equal(lws_threadpool_get_stats(tp, NULL), -1);
	assert_int_equal(lws_threadpool_get_stats(NULL, NULL), -1);
	log_claim(LLL_ERR, "");
}

/* N3, Q6: a task's is logged at INFO */
static void
stale_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig), *k = job_block(rig, tp, gate_new(rig));
	struct filled f = { .is_stats = false };
	char byte = 0;
	void *none[] = { NULL, &byte, rig, tp, (void *)UINTPTR_MAX, NULL };
	size_t size = sizeof(struct lws_threadpool_task_info);

	c->manual = true;
	assert_non_null(job_enqueue(tp, j, c->wsi));
	none[5] = j->task;
	gates_open(rig);
	wait_status(j, LWS_TP_STATUS_FINISHED);
	lws_threadpool_task_status(j->task, NULL);
	log_info();
	for (size_t n = 0; n < LWS_ARRAY_SIZE(none); n++) {
		int lines = log_count(LLL_INFO, "lws_threadpool_task_get_info");

		is_refused(&f, none[n], size);
		assert_int_equal(log_count(LLL_INFO,
					   "lws_threadpool_task_get_info"),
				 lines + 1);
	}
	log_on();
	assert_int_equal(log_unclaimed(), 0);
	wait_int(&k->cleanups, 1);
	k = job_block(rig, tp, gate_new(rig));
	assert_int_equal(lws_threadpool_task_get_info(k->task, NULL), -1);
	log_claim(LLL_ERR, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(sizes_of_stats),
		RIG_TEST(sizes_of_info),
		RIG_TEST(stale_pools),
		RIG_TEST(stale_tasks),
	};

	return cmocka_run_group_tests_name("N1 N3 sizes", tests, NULL, NULL);
}
