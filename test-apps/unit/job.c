/*
 * lws-threadpool unit tests - tasks with a script, and gates to hold them
 *
 * SPDX-License-Identifier: MIT
 *
 * Jobs are touched by workers through atomics and gates only.
 */

#include "harness.h"

#include <time.h>
#include <unistd.h>

#define GATE_SECS 100

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool open;
	struct gate *next;
};

struct gate *
gate_new(struct rig *rig)
{
	struct gate *g = calloc(1, sizeof(*g));
	pthread_condattr_t attr;

	assert_non_null(g);
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->cond, &attr);
	pthread_condattr_destroy(&attr);
	g->next = rig->gates;
	rig->gates = g;

	return g;
}

static void
gate_set(struct gate *g, bool open)
{
	pthread_mutex_lock(&g->lock);
	g->open = open;
	pthread_cond_broadcast(&g->cond);
	pthread_mutex_unlock(&g->lock);
}

void
gate_open(struct gate *g)
{
	gate_set(g, true);
}

void
gate_close(struct gate *g)
{
	gate_set(g, false);
}

void
gate_pass(struct gate *g)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += GATE_SECS;
	pthread_mutex_lock(&g->lock);
	while (!g->open)
		if (pthread_cond_timedwait(&g->cond, &g->lock, &end)) {
			fprintf(stderr, "nobody opened a worker's gate\n");
			abort();
		}
	pthread_mutex_unlock(&g->lock);
}

void
gates_open(struct rig *rig)
{
	for (struct gate *g = rig->gates; g; g = g->next)
		gate_open(g);
}

void
gates_free(struct rig *rig)
{
	struct gate *g;

	while ((g = rig->gates)) {
		rig->gates = g->next;
		pthread_mutex_destroy(&g->lock);
		pthread_cond_destroy(&g->cond);
		free(g);
	}
}

void
job_fault(struct job *j, const char *what)
{
	if (!atomic_fetch_add(&j->faults, 1))
		snprintf(j->fault, sizeof(j->fault), "%s", what);
}

static int
job_next(struct job *j, int call, enum lws_threadpool_task_status s)
{
	if (j->fn)
		return j->fn(j, s);
	if (s == LWS_TP_STATUS_STOPPING)
		return j->stop_ret;

	return call < j->repeat ? j->ret : j->last;
}

static void
job_note_thread(struct job *j, int call)
{
	if (!call)
		j->first_thread = pthread_self();
	else if (!pthread_equal(j->first_thread, pthread_self()))
		atomic_fetch_add(&j->moved, 1);
}

static enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *j = user;
	int call, ret;

	if (atomic_fetch_add(&j->in_call, 1))
		job_fault(j, "called by two threads at once (T2)");
	if (s != LWS_TP_STATUS_RUNNING && s != LWS_TP_STATUS_STOPPING)
		job_fault(j, "called with neither RUNNING nor STOPPING (T2)");
	if (atomic_load(&j->cleanups))
		job_fault(j, "called after its cleanup (T7)");
	if (atomic_load(&j->stopping))
		job_fault(j, "called again after STOPPING (T4)");
	job_note_thread(j, atomic_load(&j->calls));
	if (s == LWS_TP_STATUS_STOPPING)
		atomic_fetch_add(&j->stopping, 1);
	else
		atomic_fetch_add(&j->running, 1);
	call = atomic_fetch_add(&j->calls, 1);

	if (j->gate && call == j->gate_call && s != LWS_TP_STATUS_STOPPING)
		gate_pass(j->gate);
	if (j->stop_gate && s == LWS_TP_STATUS_STOPPING)
		gate_pass(j->stop_gate);
	ret = job_next(j, call, s);

	atomic_fetch_add(&j->returns, 1);
	atomic_fetch_sub(&j->in_call, 1);

	return (enum lws_threadpool_task_return)ret;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *j = user;

	if (atomic_load(&j->in_call))
		job_fault(j, "cleaned up inside its function (T7)");
	if (atomic_load(&j->cleanups)) {
		job_fault(j, "cleaned up twice (T7)");
		return;
	}
	j->cleanup_thread = pthread_self();
	j->cleanup_wsi = wsi;
	if (j->on_cleanup)
		j->on_cleanup(j, wsi);
	atomic_fetch_add(&j->cleanups, 1);
}

struct job *
job_new(struct rig *rig)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->rig = rig;
	j->last = LWS_TP_RETURN_FINISHED;
	j->stop_ret = LWS_TP_RETURN_STOPPED;
	j->reaped_as = -1;
	j->next = rig->jobs;
	rig->jobs = j;

	return j;
}

struct job *
job_script(struct rig *rig, int repeat, int ret)
{
	struct job *j = job_new(rig);

	j->repeat = repeat;
	j->ret = ret;

	return j;
}

struct job *
job_gated(struct rig *rig, struct gate *gate)
{
	struct job *j = job_new(rig);

	j->gate = gate;

	return j;
}

void
job_args(struct job *j, struct lws *wsi, struct lws_threadpool_task_args *args)
{
	memset(args, 0, sizeof(*args));
	args->wsi = wsi;
	args->user = j;
	args->name = j->name;
	args->async_task = j->async_task;
	args->task = job_task;
	args->cleanup = job_cleanup;
}

void
job_accepted(struct job *j, struct lws_threadpool_task *task)
{
	j->task = task;
	j->accepted = task != NULL;
}

struct lws_threadpool_task *
job_enqueue(struct lws_threadpool *tp, struct job *j, struct lws *wsi)
{
	struct lws_threadpool_task_args args;

	job_args(j, wsi, &args);
	job_accepted(j, lws_threadpool_enqueue(tp, &args, "%s",
					       j->name ? j->name : "job"));

	return j->task;
}

struct job *
job_block(struct rig *rig, struct lws_threadpool *tp, struct gate *gate)
{
	struct job *j = job_gated(rig, gate);

	j->name = "blocker";
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->calls, 1);

	return j;
}

struct warned {
	struct gate *gate;
	const char *text;
};

static void *
open_when_warned(void *arg)
{
	struct warned *w = arg;

	/* no log_wait(): only the test's own thread may fail */
	while (!log_count(LLL_WARN, w->text))
		usleep(1000);
	gate_open(w->gate);

	return NULL;
}

void
job_destroy_waits(struct rig *rig, struct lws_threadpool *tp, struct gate *gate,
		  const char *text)
{
	struct warned w = { gate, text };
	pthread_t helper;

	assert_int_equal(pthread_create(&helper, NULL, open_when_warned, &w),
			 0);
	rig_pool_destroy(rig, tp);
	pthread_join(helper, NULL);
}

struct job_wait {
	struct job *j;
	enum lws_threadpool_task_status s;
};

static bool
has_status(void *arg)
{
	struct job_wait *w = arg;

	return lws_threadpool_task_status_noreap(w->j->task) == w->s;
}

void
wait_status_(struct job *j, enum lws_threadpool_task_status s, const char *what,
	     const char *file, int line)
{
	struct job_wait w = { j, s };

	wait_until_(has_status, &w, what, file, line);
}

void
rig_until_status_(struct job *j, enum lws_threadpool_task_status s,
		  const char *what, const char *file, int line)
{
	struct job_wait w = { j, s };

	rig_until_(j->rig, has_status, &w, what, file, line);
}

struct turn {
	const struct job *j;
	struct lws *wsi;
};

static bool
has_turn(void *arg)
{
	const struct turn *turn = arg;

	return lws_threadpool_get_task_wsi(turn->wsi) == turn->j->task;
}

void
wait_turn_(const struct job *j, struct lws *wsi, const char *what,
	   const char *file, int line)
{
	struct turn turn = { j, wsi };

	wait_until_(has_turn, &turn, what, file, line);
}

void
job_fence(struct rig *rig, struct lws_threadpool *tp)
{
	struct job *j = job_new(rig);

	j->name = "fence";
	assert_non_null(job_enqueue(tp, j, NULL));
	wait_int(&j->cleanups, 1);
}

struct job *
job_park(struct rig *rig, struct lws_threadpool *tp, struct lws *wsi)
{
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, wsi));
	wait_status(j, LWS_TP_STATUS_SYNCING);

	return j;
}

struct job *
job_serve_one(struct lws *wsi)
{
	struct lws_threadpool_task *task = lws_threadpool_get_task_wsi(wsi);
	enum lws_threadpool_task_status s;
	void *user = NULL;
	struct job *j;

	if (!task)
		return NULL;
	s = lws_threadpool_task_status(task, &user);
	j = user;
	if (!j)
		return NULL;
	j->seen[s]++;
	if (s == LWS_TP_STATUS_FINISHED || s == LWS_TP_STATUS_STOPPED)
		j->reaped_as = (int)s;
	if (s == LWS_TP_STATUS_SYNCING)
		lws_threadpool_task_sync(task, 0);

	return j;
}

bool
rig_is_cleaned(void *arg)
{
	struct rig *rig = arg;

	for (struct job *j = rig->jobs; j; j = j->next)
		if (j->accepted && !atomic_load(&j->cleanups))
			return false;

	return true;
}

static int
job_check(struct job *j)
{
	int cleanups = atomic_load(&j->cleanups);
	const char *why = NULL;

	if (atomic_load(&j->faults))
		why = j->fault;
	else if (j->accepted && cleanups != 1)
		why = "accepted, but not cleaned up exactly once (T7)";
	else if (!j->accepted && (cleanups || atomic_load(&j->calls)))
		why = "refused, but called or cleaned up (T8)";
	else if (atomic_load(&j->calls) != atomic_load(&j->returns))
		why = "still in its function after its pool is gone";
	if (!why)
		return 0;
	print_error("  job %s: %s; %d calls, %d with STOPPING, %d cleanups\n",
		    j->name ? j->name : "?", why, atomic_load(&j->calls),
		    atomic_load(&j->stopping), cleanups);

	return 1;
}

int
jobs_free(struct rig *rig)
{
	struct job *j;
	int bad = 0;

	while ((j = rig->jobs)) {
		rig->jobs = j->next;
		bad |= job_check(j);
		free(j);
	}

	return bad;
}
