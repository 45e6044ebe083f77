/*
 * lws-threadpool unit tests - Q3, foreach_task_wsi(): every task that was there
 * when it began and is not gone since, with the whole API in the callback
 *
 * SPDX-License-Identifier: MIT
 */

#include "harness.h"

#define MANY 20

struct walk {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct conn *c;
	struct job *j[MANY];
	struct lws_threadpool_task *visited[4 * MANY];
	int visits;
	int stop_at; /* visit, from 1 */
	int depth;
	void (*act)(struct walk *w, int visit);
};

static int
visit(struct lws_threadpool_task *task, void *user)
{
	struct walk *w = user;

	assert_true(w->visits < 4 * MANY);
	w->visited[w->visits++] = task;
	if (w->act)
		w->act(w, w->visits - 1);

	return w->visits == w->stop_at ? 77 : 0;
}

static int
walk(struct walk *w)
{
	w->visits = 0;

	return lws_threadpool_foreach_task_wsi(w->c->wsi, w, visit);
}

/* MANY tasks of a wsi: done, SYNCING, running (one), and queued behind that */
static struct walk
walk_begin(struct rig *rig)
{
	struct walk w;
	struct gate *gate = gate_new(rig);

	memset(&w, 0, sizeof(w));
	w.rig = rig;
	w.tp = rig_pool(rig, 1, 1000);
	w.c = conn_open(rig, CONN_RAW);
	w.c->manual = true;
	for (int n = 0; n < MANY; n++) {
		w.j[n] = n < 5 ? job_new(rig) :
				 job_script(rig, 1, LWS_TP_RETURN_SYNC);
		if (n == 10)
			w.j[n]->gate = gate;
		job_enqueue(w.tp, w.j[n], w.c->wsi);
		if (n < 10)
			wait_int(&w.j[n]->returns, 1);
	}
	wait_int(&w.j[10]->calls, 1);
	wait_status(w.j[9], LWS_TP_STATUS_SYNCING);

	return w;
}

/* Q3: oldest first, all of them, whatever their state; 0 at the end */
static void
all_oldest_first(void **state)
{
	struct walk w = walk_begin(*state);

	for (int n = 0; n < 3; n++) {
		assert_int_equal(walk(&w), 0);
		assert_int_equal(w.visits, MANY);
		for (int m = 0; m < MANY; m++)
			assert_ptr_equal(w.visited[m], w.j[m]->task);
	}
}

/* Q3: no task, no call */
static void
none(void **state)
{
	struct rig *rig = *state;
	struct walk w;

	memset(&w, 0, sizeof(w));
	for (int kind = 0; kind < CONN_KINDS; kind++) {
		w.c = conn_open(rig, (enum conn_kind)kind);
		assert_int_equal(walk(&w), 0);
		assert_int_equal(w.visits, 0);
	}
	assert_int_equal(lws_threadpool_foreach_task_wsi(NULL, &w, visit), 0);
	assert_int_equal(w.visits, 0);
}

/* Q3: a non-zero return stops it, and is returned as 1 */
static void
stopped_by_the_callback(void **state)
{
	struct walk w = walk_begin(*state);

	for (int n = 1; n <= MANY; n += 6) {
		w.stop_at = n;
		assert_int_equal(walk(&w), 1);
		assert_int_equal(w.visits, n);
	}
	/* nothing of a stopped walk is left behind */
	w.stop_at = 0;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
}

static void
reap_it(struct walk *w, int n)
{
	lws_threadpool_task_status(w->visited[n], NULL);
}

/* Q3: what the original's documentation recommends: reap inside */
static void
reap_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = reap_it;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
	for (int n = 0; n < MANY; n++)
		assert_int_equal(atomic_load(&w.j[n]->cleanups), n < 5);
	w.act = NULL;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY - 5);
}

static void
dequeue_it(struct walk *w, int n)
{
	lws_threadpool_dequeue_task(w->visited[n]);
}

/* Q3, Q4 */
static void
dequeue_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = dequeue_it;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
	assert_null(lws_threadpool_get_task_wsi(w.c->wsi));
	gate_open(w.j[10]->gate);
	rig_until_cleaned(w.rig);
}

static void
enqueue_more(struct walk *w, int n)
{
	(void)n;
	assert_non_null(job_enqueue(w->tp, job_new(w->rig), w->c->wsi));
}

/* Q3: what came since it began is not visited: it would never end */
static void
enqueue_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = enqueue_more;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
	w.act = NULL;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, 2 * MANY);
}

static void
dequeue_and_enqueue(struct walk *w, int n)
{
	dequeue_it(w, n);
	enqueue_more(w, n);
}

/* Q3: nor if it took the place of the one that went */
static void
replace_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = dequeue_and_enqueue;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
	for (int n = 0; n < MANY; n++)
		assert_ptr_equal(w.visited[n], w.j[n]->task);
}

/* the next two and the last one, and one that was before */
static void
dequeue_others(struct walk *w, int n)
{
	if (n != 3)
		return;
	lws_threadpool_dequeue_task(w->j[4]->task);
	lws_threadpool_dequeue_task(w->j[5]->task);
	lws_threadpool_dequeue_task(w->j[1]->task);
	lws_threadpool_dequeue_task(w->j[MANY - 1]->task);
}

/* Q3: the tasks that went since are not visited */
static void
others_gone_are_not_visited(void **state)
{
	struct walk w = walk_begin(*state);
	int want[MANY], n = 0;

	w.act = dequeue_others;
	assert_int_equal(walk(&w), 0);
	for (int m = 0; m < MANY; m++)
		if (m != 4 && m != 5 && m != MANY - 1)
			want[n++] = m;
	assert_int_equal(w.visits, n);
	for (int m = 0; m < n; m++)
		assert_ptr_equal(w.visited[m], w.j[want[m]]->task);
}

static void
dequeue_all(struct walk *w, int n)
{
	if (n == 2)
		for (int m = MANY; m-- > 0;)
			lws_threadpool_dequeue_task(w->j[m]->task);
}

/* Q3: all of them gone at once, backwards */
static void
all_gone_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = dequeue_all;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, 3);
}

static int
nested_visit(struct lws_threadpool_task *task, void *user)
{
	struct walk *w = user;

	(void)task;
	w->depth++;

	return 0;
}

static int
nested_dequeue(struct lws_threadpool_task *task, void *user)
{
	struct walk *w = user;

	w->depth++;
	lws_threadpool_dequeue_task(task);

	return w->depth >= 1000 + 8;
}

static void
walk_inside(struct walk *w, int n)
{
	if (n == 1)
		assert_int_equal(lws_threadpool_foreach_task_wsi(w->c->wsi, w,
								 nested_visit),
				 0);
	if (n == 4) {
		w->depth = 1000;
		assert_int_equal(lws_threadpool_foreach_task_wsi(
					 w->c->wsi, w, nested_dequeue),
				 1);
	}
}

/* Q3: a walk inside a walk; what the inner one takes away, the outer one does
 * not visit */
static void
nested(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = walk_inside;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.depth, 1008);
	/* 0 to 4, and 8 on */
	assert_int_equal(w.visits, MANY - 3);
	assert_ptr_equal(w.visited[5], w.j[8]->task);
}

static void
kill_wsi(struct walk *w, int n)
{
	if (n != 3)
		return;
	/* synchronously: its tasks are detached when this returns */
	lws_set_timeout(w->c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	assert_true(w->c->closed);
}

/* Q3, W1: the wsi closes under the walk, which ends */
static void
closed_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = kill_wsi;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, 4);
	for (int n = 0; n < MANY; n++)
		if (n < 5 || n > 10)
			assert_int_equal(atomic_load(&w.j[n]->cleanups), 1);
	gate_open(w.j[10]->gate);
	rig_until_cleaned(w.rig);
}

static void
end_pool(struct walk *w, int n)
{
	if (n != 3)
		return;
	gate_open(w->j[10]->gate);
	rig_pool_destroy(w->rig, w->tp);
}

/* Q3, P4: the pool of its tasks is destroyed under the walk; a task of another
 * pool that comes later in it is still visited */
static void
pool_destroyed_inside(void **state)
{
	struct walk w = walk_begin(*state);
	struct lws_threadpool *other = rig_pool(w.rig, 1, 10);
	struct job *j = job_script(w.rig, 1, LWS_TP_RETURN_SYNC);

	job_enqueue(other, j, w.c->wsi);
	w.act = end_pool;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, 5);
	assert_ptr_equal(w.visited[4], j->task);
}

static void
finish_pool(struct walk *w, int n)
{
	if (n == 3)
		lws_threadpool_finish(w->tp);
	lws_threadpool_task_status(w->visited[n], NULL);
}

/* Q3, P3: finish() under it; what is STOPPED by that is reaped by the walk */
static void
pool_finished_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = finish_pool;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
	for (int n = 11; n < MANY; n++)
		assert_int_equal(atomic_load(&w.j[n]->cleanups), 1);
}

static void
end_context(struct walk *w, int n)
{
	if (n == 3)
		rig_context_destroy(w->rig);
}

/* Q3, P4: even the context */
static void
context_destroyed_inside(void **state)
{
	struct walk w = walk_begin(*state);

	w.act = end_context;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, 4);
	gate_open(w.j[10]->gate);
}

/* Q3: with workers whose tasks end and SYNC all the time */
static void
while_workers_work(void **state)
{
	struct rig *rig = *state;
	struct walk w;
	struct job *j;

	memset(&w, 0, sizeof(w));
	w.rig = rig;
	w.tp = rig_pool(rig, 3, 1000);
	w.c = conn_open(rig, CONN_RAW);
	for (int n = 0; n < 2000; n++) {
		j = job_script(rig, n % 6,
			       n & 1 ? LWS_TP_RETURN_SYNC :
				       LWS_TP_RETURN_CHECKING_IN);
		job_enqueue(w.tp, j, w.c->wsi);
		if (n % 8 == 0) {
			w.act = reap_it;
			assert_int_equal(walk(&w), 0);
			rig_turns(rig, 10);
		}
		if (n % 64 == 63)
			rig_until_cleaned(rig);
	}
	rig_until_cleaned(rig);
}

/* ---- two walks that do not nest ---- */

struct other_walk {
	struct walk w;
	pthread_t thread;
	atomic_int begun;
	atomic_int go_on;
};

static struct other_walk other;

static void
wait_in_the_walk(struct walk *w, int visit)
{
	(void)w;
	if (visit)
		return;
	atomic_store(&other.begun, 1);
	wait_int(&other.go_on, 1);
}

static void *
walk_on_a_thread(void *arg)
{
	walk(arg);

	return NULL;
}

static void
begin_the_other(struct walk *w, int visit)
{
	(void)w;
	if (visit)
		return;
	assert_int_equal(pthread_create(&other.thread, NULL, walk_on_a_thread,
					&other.w),
			 0);
	wait_int(&other.begun, 1);
}

/* A walk on a wrong thread spoils nothing, whichever of them ends first */
static void
one_ends_inside_another_s(void **state)
{
	struct walk w = walk_begin(*state);

	memset(&other, 0, sizeof(other));
	other.w = w;
	other.w.act = wait_in_the_walk;
	w.act = begin_the_other;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY);
	/* where the other walk is, and what is after that, is gone */
	for (int n = 0; n < 3; n++)
		lws_threadpool_task_status(w.j[n]->task, NULL);
	atomic_store(&other.go_on, 1);
	pthread_join(other.thread, NULL);
	assert_int_equal(other.w.visits, MANY - 2);
	assert_ptr_equal(other.w.visited[1], w.j[3]->task);
	/* and nothing is left of either */
	w.act = NULL;
	assert_int_equal(walk(&w), 0);
	assert_int_equal(w.visits, MANY - 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(all_oldest_first),
		RIG_TEST(none),
		RIG_TEST(stopped_by_the_callback),
		RIG_TEST(reap_inside),
		RIG_TEST(dequeue_inside),
		RIG_TEST(enqueue_inside),
		RIG_TEST(replace_inside),
		RIG_TEST(others_gone_are_not_visited),
		RIG_TEST(all_gone_inside),
		RIG_TEST(nested),
		RIG_TEST(closed_inside),
		RIG_TEST(pool_destroyed_inside),
		RIG_TEST(pool_finished_inside),
		RIG_TEST(context_destroyed_inside),
		RIG_TEST(while_workers_work),
		RIG_TEST(one_ends_inside_another_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
