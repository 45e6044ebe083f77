/*
 * lws-threadpool unit tests - what is done by a word that a task had before
 *
 * SPDX-License-Identifier: MIT
 *
 * Between two instructions of one thread another thread may have changed a
 * task's word.  Here that is so for certain.
 *
 * LWSTP_INSIDE
 */

#include "inside.h"

static uint64_t
word_of(const struct job *j)
{
	return atomic_load(&task_of(j->task)->slot.word);
}

/* T4: a stop of a task that was queued, and runs by now; and of one that was,
 * and has gone, which reaches nobody */
static void
a_stop_by_an_old_word(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig), *other = gate_new(rig);
	struct job *j = job_gated(rig, other), *next = job_gated(rig, gate);
	struct lwstp_task *task;
	uint64_t queued;

	job_block(rig, tp, gate);
	job_enqueue(tp, j, NULL);
	task = task_of(j->task);
	queued = word_of(j);
	assert_int_equal(lwstp_status(queued), LWS_TP_STATUS_QUEUED);
	gate_open(gate);
	wait_int(&j->calls, 1);
	assert_int_equal(lwstp_status(word_of(j)), LWS_TP_STATUS_RUNNING);
	lwstp_task_stop(task, queued, true, LWS_TP_STOP_TIMEOUT);
	assert_true(word_of(j) & LWSTP_STOP);
	/* asked once more, it stays as it is */
	lwstp_task_stop(task, word_of(j), true, LWS_TP_STOP_TIMEOUT);
	j->last = LWS_TP_RETURN_CHECKING_IN;
	gate_open(other);
	wait_int(&j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);

	gate_close(gate);
	job_enqueue(tp, next, NULL);
	wait_int(&next->calls, 1);
	/* on 32 bits slots are used in turn */
	assert_true(task_of(next->task) == task || UINTPTR_MAX <= 0xffffffffu);
	lwstp_task_stop(task, queued, true, LWS_TP_STOP_TIMEOUT);
	gate_open(gate);
	wait_int(&next->cleanups, 1);
	assert_int_equal(atomic_load(&next->stopping), 0);
}

/* a reap of a task that is queued no more, and of one that is another one */
static void
a_reap_by_an_old_word(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct gate *gate = gate_new(rig), *other = gate_new(rig);
	struct job *j = job_gated(rig, other);
	struct lwstp_deferred deferred = { .signal = NULL };
	struct lwstp_task *task;
	uint64_t queued, word;

	job_block(rig, tp, gate);
	job_enqueue(tp, j, NULL);
	task = task_of(j->task);
	queued = word = word_of(j);
	gate_open(gate);
	wait_int(&j->calls, 1);
	assert_false(lwstp_task_reap(task, &word, &deferred));
	assert_int_equal(lwstp_status(word), LWS_TP_STATUS_RUNNING);
	gate_open(other);
	wait_int(&j->cleanups, 1);
	word = queued;
	assert_false(lwstp_task_reap(task, &word, &deferred));
	assert_null(deferred.cleanup);
}

/* Q6: the handle that a free slot's next task will have */
static void
the_handle_of_the_next_task(void **state)
{
	struct lwstp_slot *slot = lwstp_slot_take(LWSTP_TASKS);
	struct lws_threadpool_task *next;
	struct rig *rig = *state;
	void *user = rig;

	next = lwstp_handle(LWSTP_TASKS, slot, slot->word);
	assert_int_equal(lws_threadpool_task_status(next, &user),
			 LWS_TP_STATUS_FINISHED);
	assert_null(user);
	assert_int_equal(lws_threadpool_task_status_noreap(next),
			 LWS_TP_STATUS_FINISHED);
	lws_threadpool_task_sync(next, 1);
	assert_int_equal(lws_threadpool_dequeue_task(next), 0);
	lwstp_slot_give(LWSTP_TASKS, slot);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		INSIDE_TEST(a_stop_by_an_old_word),
		INSIDE_TEST(a_reap_by_an_old_word),
		INSIDE_TEST(the_handle_of_the_next_task),
	};

	return cmocka_run_group_tests_name("inside-words", tests, NULL, NULL);
}
