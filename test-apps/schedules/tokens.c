/*
 * lws-threadpool schedules - races of calls [R1], handles of a wsi [R2], parks
 * [T9, T10], tokens and attaches [K1-K4]
 *
 * SPDX-License-Identifier: MIT
 */

#include <string.h>

#include "races.h"

/* R1 against the end of a context: the ledger counts, and on which thread */
static void *
call_some(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 12; n++) {
		shim_point();
		if (!ledger_call(atomic_load(&pools[n & 1]), 0, NULL, NULL) &&
		    n > 8)
			break;
	}

	return NULL;
}

void
call_context(void)
{
	pthread_t a, b;

	pool_open(1, 0);
	put(0, 0, JOB_SYNC, 2, &conns[0]);
	start(&a, call_some);
	start(&b, call_some);
	some_turns(6);
	if (rng_below(&rng, 2)) {
		shim_point();
		lws_threadpool_destroy(atomic_load(&pools[rng_below(&rng, 2)]));
	}
	if (rng_below(&rng, 2))
		ledger_call(atomic_load(&pools[0]), 0, NULL, NULL);
	context_end();
	lws_threadpool_destroy(atomic_load(&pools[0]));
	lws_threadpool_destroy(atomic_load(&pools[1]));
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	if (atomic_load(&ledger.called_for) != atomic_load(&ledger.called))
		ledger_fail("a call was lost with its context (R1)");
	context_new();
}

/* Tasks with tokens, of the first connection or of none */
static char tokens[TASKS][LWS_THREADPOOL_TOKEN_SIZE];

static void
put_token(int n, struct conn *c)
{
	struct job *job;

	users[n] = NULL;
	tokens[n][0] = '\0';
	if (c && !c->wsi)
		return;
	job = job_new(JOB_TOKEN, 3, c ? c->wsi : NULL, race_seed + (uint64_t)n);
	if (!job)
		return;
	users[n] = job_user(job);
	atomic_store(&tasks[n], job_enqueue(atomic_load(&pools[0]), job));
	job_token(atomic_load(&tasks[n]), n & 1 ? LWS_TP_TOKEN_WAIT : 0,
		  tokens[n]);
}

/* a wsi that closes leaves its tasks behind, and another one gets them */
static void
attach_all(void)
{
	struct lws_threadpool_task *task;
	struct conn *c;
	int n;

	for (n = 0; n < TASKS; n++) {
		c = &conns[rng_below(&rng, CONNS)];
		task = rng_below(&rng, 2) ?
			       atomic_load(&tasks[n]) :
			       lws_threadpool_task_by_token(
				       atomic_load(&pools[0]), tokens[n]);
		shim_point();
		if (task && c->wsi && !c->closing)
			job_attach(users[n], task, c->wsi);
	}
}

/* Whatever is kept, or waits for a wsi, goes with its pool */
static void
tokens_end(void)
{
	if (rng_below(&rng, 2))
		attach_all();
	some_turns(8);
	lws_threadpool_destroy(atomic_load(&pools[0]));
	settle();
}

/* K3 against the close of the wsi that it leaves */
void
attach_close(void)
{
	pthread_t t;
	int n;

	for (n = 0; n < 6; n++)
		put_token(n, n % 3 ? &conns[0] : NULL);
	start(&t, look_all);
	some_turns(8);
	conn_close(&conns[0]);
	for (n = 0; n < 4; n++) {
		attach_all();
		some_turns(4);
	}
	pthread_join(t, NULL);
	tokens_end();
}

/* ... against its end, and reaps by another thread, which may reap only what is
 * kept: so not of one that is attached, or is about to be */
static void *
reap_kept(void *arg)
{
	struct lws_threadpool_task_info info;
	struct lws_threadpool_task *task;
	int n;

	(void)arg;
	for (n = 0; n < 4 * TASKS; n++) {
		task = atomic_load(&tasks[n % TASKS]);
		memset(&info, 0, sizeof(info));
		info.size = sizeof(info);
		shim_point();
		if (n % TASKS >= TASKS / 2 &&
		    !lws_threadpool_task_get_info(task, &info) && info.kept)
			lws_threadpool_task_status(task, NULL);
		else
			lws_threadpool_task_wake(task);
	}

	return NULL;
}

void
attach_end(void)
{
	pthread_t a, b;
	int n;

	/* the first half is attached here, the others are reaped there */
	for (n = 0; n < TASKS; n++)
		put_token(n, NULL);
	start(&a, reap_kept);
	start(&b, look_all);
	for (n = TASKS / 2; n < TASKS; n++)
		tokens[n][0] = '\0';
	for (n = 0; n < 4; n++) {
		struct lws_threadpool_task *task = atomic_load(
			&tasks[n % (TASKS / 2)]);
		struct conn *c = &conns[rng_below(&rng, CONNS)];

		shim_point();
		if (task && c->wsi)
			job_attach(users[n % (TASKS / 2)], task, c->wsi);
		some_turns(4);
	}
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	lws_threadpool_destroy(atomic_load(&pools[0]));
	settle();
}

/* R2: WRITEABLEs that other threads ask for, of a wsi that closes */
static struct lws_threadpool_wsi *_Atomic handles[CONNS];

static void *
ask_all(void *arg)
{
	int n, closed[CONNS] = { 0 }, ret;

	(void)arg;
	for (n = 0; n < 8 * CONNS; n++) {
		shim_point();
		ret = lws_threadpool_wsi_writeable(
			atomic_load(&handles[n % CONNS]));
		if (closed[n % CONNS] && !ret)
			ledger_fail("a handle is of a wsi again (R2)");
		closed[n % CONNS] = ret;
	}

	return NULL;
}

void
writeable_close(void)
{
	pthread_t a, b;
	int n;

	for (n = 0; n < CONNS; n++) {
		atomic_store(&handles[n],
			     lws_threadpool_wsi_handle(atomic_load(&pools[0]),
						       conns[n].wsi));
		put(n, 0, JOB_SYNC, 2, &conns[n]);
	}
	start(&a, ask_all);
	start(&b, ask_all);
	some_turns(6);
	conn_close(&conns[0]);
	some_turns(6);
	conn_close(&conns[1]);
	settle();
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

/* T9, T10: parks against wakes, stops and the end of the wsi */
static void *
wake_all(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 6 * TASKS; n++) {
		shim_point();
		lws_threadpool_task_wake(atomic_load(&tasks[n % TASKS]));
	}

	return NULL;
}

void
park_wake(void)
{
	pthread_t a, b;
	int n;

	for (n = 0; n < TASKS; n++)
		put(n, 0, JOB_PARK, 3, n % 3 ? &conns[n & 1] : NULL);
	start(&a, wake_all);
	start(&b, rng_below(&rng, 2) ? finish_it : wake_all);
	some_turns(8);
	if (rng_below(&rng, 2))
		conn_close(&conns[0]);
	settle();
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}
