/*
 * lws-threadpool schedules - small races, each tried with many schedules
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-races [--seeds N] [--first S] [--race NAME] [--minutes M]
 *
 * Each race has two to four threads do their operations at the same time on a
 * few tasks and connections; the shim makes the schedule a function of the
 * seed, as far as a program can.  What must hold afterwards is the ledger's:
 * every task ended and was cleaned up once, where and when it may be.  No
 * WRITEABLE may be lost: a ring that the library has to repeat fails the race.
 */

#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "races.h"

#define TURN_US	    1000
#define DEADLINE_US (60 * 1000000)

struct conn conns[CONNS];
_Atomic(struct lws_threadpool *) pools[2];
_Atomic(struct lws_threadpool_task *) tasks[TASKS];
void *users[TASKS];
uint64_t rng, race_seed;

static struct lws_context *context;
static lws_sorted_usec_list_t ticker;
static int64_t last_turn, late_at;
static char repeat[256];
static const char *race_name;
static const char *program;
static pthread_t service_thread;
static atomic_int ends;

/* What a callback does with the data of a task that it was told is SYNCING,
 * before it answers, or does not.  NULL: nothing. */
static void (*use)(struct lws *wsi, struct lws_threadpool_task *task);

/*
 * The lws side
 */

static struct conn *
conn_of(struct lws *wsi)
{
	int n;

	for (n = 0; n < CONNS; n++)
		if (conns[n].wsi == wsi)
			return &conns[n];

	return NULL;
}

static bool
alive(struct lws *wsi)
{
	return conn_of(wsi);
}

/* Told SYNCING: the data is ours until we say otherwise, or return (S7).  Where
 * other threads answer too there is nothing to be said of it. */
static void
serve_sync(struct lws *wsi, struct lws_threadpool_task *task, void *user)
{
	struct job *job = job_of(user);
	bool ours = job && (job->kind == JOB_SYNC || job->kind == JOB_ASYNC ||
			    (use && job->kind == JOB_OUTLIVE));

	if (ours)
		job_hold(job);
	shim_point();
	if (use)
		use(wsi, task);
	shim_point();
	if (ours && job_of(user) != job)
		ledger_fail("a job is over while a callback has it (S7)");
	if (!use || rng_below(&rng, 2)) {
		if (job)
			job_answered(job);
		if (ours)
			job_release(job);
		lws_threadpool_task_sync(task, 0);
	} else if (ours)
		job_release(job);
}

static void
serve(struct lws *wsi, struct lws_threadpool_task *task)
{
	enum lws_threadpool_task_status s;
	void *user = NULL;
	struct job *job;

	s = lws_threadpool_task_status(task, &user);
	job = job_of(user);
	if (s == LWS_TP_STATUS_SYNCING)
		serve_sync(wsi, task, user);
	else if (s >= LWS_TP_STATUS_FINISHED && job &&
		 !atomic_load(&job->cleanups))
		ledger_fail("reaped, but not cleaned up (Q1, T7)");
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *pss, void *in,
	 size_t len)
{
	struct lws_threadpool_task *task;
	struct conn *c;
	int n;

	(void)pss;
	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_RAW_ADOPT:
		((struct conn *)lws_get_opaque_user_data(wsi))->wsi = wsi;
		return 0;
	case LWS_CALLBACK_RAW_WRITEABLE:
		c = conn_of(wsi);
		if (!c)
			ledger_fail("WRITEABLE on a wsi that was closed");
		if (c->die)
			return -1;
		task = lws_threadpool_get_task_wsi(wsi);
		if (task && !c->deaf)
			serve(wsi, task);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE:
		c = conn_of(wsi);
		if (lws_threadpool_get_task_wsi(wsi))
			ledger_fail("a wsi that is closed has a task (W1)");
		if (c)
			c->wsi = NULL;
		for (n = 0; n < TASKS; n++)
			job_lost(users[n], wsi);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "races", .callback = callback },
	{ .name = NULL },
};

static void
tick(lws_sorted_usec_list_t *sul)
{
	int64_t now = ledger_now();

	if (last_turn && now - last_turn > 200000)
		late_at = now;
	last_turn = now;
	lws_sul_schedule(context, 0, sul, tick, TURN_US);
}

void
context_new(void)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	context = lws_create_context(&info);
	if (!context)
		ledger_fail("no context");
	memset(&ticker, 0, sizeof(ticker));
	last_turn = 0;
	lws_sul_schedule(context, 0, &ticker, tick, 1);
}

void
context_end(void)
{
	lws_sul_cancel(&ticker);
	lws_context_destroy(context);
	context = NULL;
}

static void
turn(void)
{
	if (lws_service(context, 0) < 0)
		ledger_fail("lws_service failed");
}

static struct lws *only;

static bool
is_other(struct lws *wsi)
{
	return wsi != only;
}

/* Lines of several threads may be mixed: no more is read from them than this,
 * and only the service thread writes it. */
static void
emit(int level, const char *line)
{
	static const char again[] = "asking for WRITEABLE again for wsi ";
	const char *p = strstr(line, again);
	struct job *job = NULL;
	void *wsi;

	(void)level;

	if (!p || sscanf(p + sizeof(again) - 1, "%p", &wsi) != 1)
		return;
	only = wsi;
	if (conn_of(wsi) && !conn_of(wsi)->closing && !conn_of(wsi)->deaf &&
	    ledger_now() - late_at > 3000000 &&
	    ledger_now() - last_turn < 200000 &&
	    ledger_longest_wait(is_other, &job) > 900000)
		ledger_fail("a WRITEABLE was lost (S3): %s", line);
}

static void
conn_open(struct conn *c)
{
	lws_adopt_desc_t info;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		ledger_fail("no sockets");
	memset(c, 0, sizeof(*c));
	c->peer = fds[1];
	memset(&info, 0, sizeof(info));
	info.fd.sockfd = fds[0];
	info.vh = lws_get_vhost_by_name(context, "default");
	info.type = LWS_ADOPT_SOCKET;
	info.vh_prot_name = "races";
	info.opaque = c;
	if (!lws_adopt_descriptor_vhost_via_info(&info) || !c->wsi)
		ledger_fail("lws does not adopt");
}

/* one of the ways */
void
conn_close(struct conn *c)
{
	c->closing = true;
	if (!c->wsi)
		return;
	switch (rng_below(&rng, 3)) {
	case 0:
		shutdown(c->peer, SHUT_RDWR);
		break;
	case 1:
		c->die = true;
		lws_callback_on_writable(c->wsi);
		break;
	default:
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_ASYNC);
		break;
	}
}

/*
 * A race
 */

void
pool_open(int n, int sync_timeout_secs)
{
	struct lws_threadpool_create_args args = {
		.threads = 1 + (int)rng_below(&rng, 3),
		.max_queue_depth = 100,
	};
	struct lws_threadpool_options o = {
		.size = sizeof(o),
		.pin_tasks = !rng_below(&rng, 3),
		.sync_timeout_secs = sync_timeout_secs,
	};
	struct lws_threadpool *tp;

	tp = lws_threadpool_create_ext(context, &args, &o, "race");
	if (!tp)
		ledger_fail("no pool");
	atomic_store(&pools[n], tp);
}

void
put(int n, int pool, enum job_kind kind, int steps, struct conn *c)
{
	struct job *job;

	if (c && !c->wsi)
		return;
	job = job_new(kind, steps, c ? c->wsi : NULL, race_seed + (uint64_t)n);
	if (job)
		atomic_store(&tasks[n],
			     job_enqueue(atomic_load(&pools[pool]), job));
}

static bool
all_cleaned(void)
{
	return atomic_load(&ledger.accepted) == atomic_load(&ledger.cleaned);
}

void
settle(void)
{
	int64_t deadline = ledger_now() + DEADLINE_US;

	while (!all_cleaned()) {
		turn();
		if (ledger_now() > deadline)
			ledger_fail("a task is lost: %lu accepted, %lu cleaned "
				    "up",
				    atomic_load(&ledger.accepted),
				    atomic_load(&ledger.cleaned));
	}
}

/* a few turns, no more than need be for something to have begun */
void
some_turns(uint32_t most)
{
	uint32_t n = rng_below(&rng, most);

	while (n--)
		turn();
}

void
start(pthread_t *t, void *(*fn)(void *))
{
	if (pthread_create(t, NULL, fn, NULL))
		ledger_fail("no thread");
}

/* what other threads do */

static void *
sync_all(void *arg)
{
	uint64_t r = race_seed ^ 1;
	int n;

	(void)arg;
	for (n = 0; n < 4 * TASKS; n++) {
		shim_point();
		lws_threadpool_task_sync(atomic_load(&tasks[n % TASKS]),
					 !rng_below(&r, 6));
	}

	return NULL;
}

static void *
resume_all(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 4 * TASKS; n++) {
		shim_point();
		lws_threadpool_task_sync(atomic_load(&tasks[n % TASKS]), 0);
	}

	return NULL;
}

void *
look_all(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 2 * TASKS; n++) {
		shim_point();
		lws_threadpool_task_status_noreap(
			atomic_load(&tasks[n % TASKS]));
	}

	return NULL;
}

static void *
enqueue_some(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 6; n++) {
		shim_point();
		put(n % 3 + 4, 0, (n & 1) ? JOB_SLOW : JOB_LOOSE, n & 1, NULL);
	}

	return NULL;
}

void *
finish_it(void *arg)
{
	(void)arg;
	shim_point();
	lws_threadpool_finish(atomic_load(&pools[0]));

	return NULL;
}

/* A drained pool takes nothing, and what is left of it gets less. */
static atomic_bool drained;

static void *
drain_it(void *arg)
{
	struct lws_threadpool *tp = atomic_load(&pools[0]);
	uint64_t r = race_seed ^ 3;
	int n, left, last;

	(void)arg;
	for (n = (int)rng_below(&r, 30); n >= 0; n--)
		shim_point();
	last = lws_threadpool_drain(tp);
	atomic_store(&drained, true);
	for (n = 0; n < 8; n++, last = left) {
		shim_point();
		left = lws_threadpool_drain(tp);
		if (left > last)
			ledger_fail("%d tasks were left, now %d (P7)", last,
				    left);
	}

	return NULL;
}

/* false: it was refused, as it has to be if drain() had returned before */
static bool
put_unless_drained(enum job_kind kind, int steps, struct lws *wsi)
{
	bool before = atomic_load(&drained);
	struct job *job = job_new(kind, steps, wsi, race_seed);

	if (!job || !job_enqueue(atomic_load(&pools[0]), job))
		return false;
	if (before)
		ledger_fail("a drained pool took a task (P7)");

	return true;
}

static void *
enqueue_unless_drained(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 10; n++) {
		shim_point();
		put_unless_drained(n & 1 ? JOB_NOOP : JOB_SLOW, n & 1, NULL);
	}

	return NULL;
}

/* the races.  Those that leave a pool have it destroyed afterwards. */

static void
sync_close(void)
{
	pthread_t t;
	int n;

	for (n = 0; n < 4; n++)
		put(n, 0, JOB_LOOSE, 3, &conns[n & 1]);
	start(&t, sync_all);
	some_turns(8);
	conn_close(&conns[0]);
	some_turns(8);
	conn_close(&conns[1]);
	settle();
	pthread_join(t, NULL);
}

static void
sync_dequeue(void)
{
	pthread_t t;
	int n;

	for (n = 0; n < 4; n++)
		put(n, 0, n == 3 ? JOB_OUTLIVE : JOB_LOOSE, 3, &conns[0]);
	start(&t, sync_all);
	some_turns(6);
	for (n = 0; n < 4; n++) {
		shim_point();
		lws_threadpool_dequeue_task(atomic_load(&tasks[n]));
	}
	settle();
	pthread_join(t, NULL);
}

static void
finish_enqueue(void)
{
	pthread_t a, b;
	struct job *job;
	int n;

	start(&a, enqueue_some);
	start(&b, finish_it);
	for (n = 0; n < 3; n++) {
		put(n, 0, JOB_SYNC, 1, &conns[n & 1]);
		some_turns(3);
	}
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	job = job_new(JOB_NOOP, 0, NULL, 0);
	if (job && job_enqueue(atomic_load(&pools[0]), job))
		ledger_fail("a finished pool took a task (P3)");
	settle();
}

/* and in the end all that was accepted is over when drain() says so */
static void
drain_enqueue(void)
{
	int64_t deadline = ledger_now() + DEADLINE_US;
	unsigned long accepted;
	pthread_t a, b, c;
	int n;

	atomic_store(&drained, false);
	start(&a, enqueue_unless_drained);
	start(&b, enqueue_unless_drained);
	start(&c, drain_it);
	for (n = 0; n < 4; n++) {
		put_unless_drained(JOB_SYNC, 2, conns[n & 1].wsi);
		some_turns(3);
	}
	pthread_join(c, NULL);
	while (lws_threadpool_drain(atomic_load(&pools[0]))) {
		turn();
		if (ledger_now() > deadline)
			ledger_fail("a drained pool does not end");
	}
	/* one that was accepted may be noted as that later */
	accepted = atomic_load(&ledger.accepted);
	if (atomic_load(&ledger.cleaned) < accepted)
		ledger_fail("drain() said 0, and a task is left (P7)");
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	if (lws_threadpool_drain(atomic_load(&pools[0])) || !all_cleaned())
		ledger_fail("a task after drain() said 0 (P7)");
}

/* P7, P3: both at the same time */
static void
drain_finish(void)
{
	pthread_t a, b;
	int n;

	atomic_store(&drained, false);
	for (n = 0; n < 4; n++)
		put(n, 0, JOB_SYNC, 2, &conns[n & 1]);
	start(&a, drain_it);
	start(&b, finish_it);
	for (n = 0; n < 4; n++) {
		put_unless_drained(JOB_SYNC, 2, conns[n & 1].wsi);
		some_turns(4);
	}
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	if (put_unless_drained(JOB_NOOP, 0, NULL) ||
	    lws_threadpool_refused() != LWS_TP_REFUSED_FINISHING)
		ledger_fail("not refused as FINISHING (P7)");
	settle();
}

static void
end_status(void)
{
	struct lws_threadpool_task *task;
	enum lws_threadpool_task_status s;
	struct job *job;
	pthread_t a, b;
	void *user;
	int n;

	conns[0].deaf = true;
	for (n = 0; n < 4; n++)
		put(n, 0, n & 1 ? JOB_NOOP : JOB_LOOSE, 1, &conns[0]);
	start(&a, look_all);
	start(&b, resume_all);
	for (n = 0; n < 4; n++) {
		task = atomic_load(&tasks[n]);
		do {
			shim_point();
			s = lws_threadpool_task_status(task, &user);
			if (s == LWS_TP_STATUS_SYNCING)
				lws_threadpool_task_sync(task, 0);
		} while (s < LWS_TP_STATUS_FINISHED);
		job = job_of(user);
		if (!user || (job && !atomic_load(&job->cleanups)))
			ledger_fail("FINISHED, but it was not reaped (Q1)");
		if (lws_threadpool_task_status(task, &user) !=
			    LWS_TP_STATUS_FINISHED ||
		    user)
			ledger_fail("reaped twice (Q6)");
	}
	conns[0].deaf = false;
	settle();
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void
resume_finish(void)
{
	pthread_t a, b;
	int n;

	conns[0].deaf = conns[1].deaf = true;
	for (n = 0; n < 5; n++)
		put(n, 0, JOB_LOOSE, 4, &conns[n & 1]);
	some_turns(6);
	start(&a, resume_all);
	start(&b, finish_it);
	some_turns(6);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	conns[0].deaf = conns[1].deaf = false;
	for (n = 0; n < CONNS; n++)
		lws_callback_on_writable(conns[n].wsi);
	settle();
}

static void
outlive_close(void)
{
	pthread_t t;
	int n;

	for (n = 0; n < 6; n++)
		put(n, 0,
		    n % 3 == 0 ? JOB_OUTLIVE :
		    n % 3 == 1 ? JOB_ASYNC :
				 JOB_DEAF,
		    3, &conns[n & 1]);
	start(&t, look_all);
	some_turns(6);
	for (n = 0; n < CONNS; n++)
		conn_close(&conns[n]);
	settle();
	pthread_join(t, NULL);
}

static void
destroy_doorbell(void)
{
	int n;

	pool_open(1, 0);
	for (n = 0; n < 6; n++)
		put(n, n & 1, n < 4 ? JOB_SYNC : JOB_NOOP, 2, &conns[n & 1]);
	some_turns(4);
	lws_threadpool_destroy(atomic_load(&pools[0]));
	put(6, 1, JOB_SYNC, 2, &conns[0]);
	put(7, 1, JOB_SYNC, 2, &conns[1]);
	settle(); /* nobody's ring was lost by that */
	lws_threadpool_destroy(atomic_load(&pools[1]));
}

static void
ring_answer(void)
{
	int n;

	pool_open(1, 0);
	for (n = 0; n < TASKS; n++)
		put(n, n & 1, JOB_SYNC, 4, &conns[(n >> 1) & 1]);
	settle();
	lws_threadpool_destroy(atomic_load(&pools[1]));
}

static void
context_destroy(void)
{
	static void *(*const others[])(void *) = {
		sync_all, resume_all, look_all, enqueue_some, finish_it
	};
	pthread_t a, b;
	int n;

	pool_open(1, 0);
	for (n = 0; n < 6; n++)
		put(n, n & 1, (enum job_kind)rng_below(&rng, JOB_BAD), 3,
		    &conns[n & 1]);
	for (n = 0; n < 6; n++) /* no other thread syncs these */
		if (rng_below(&rng, 2))
			atomic_store(&tasks[n], NULL);
	for (n = 0; n < 3; n++)
		put(n, n & 1, JOB_LOOSE, 3, &conns[n & 1]);
	for (n = 3; n < 6; n++)
		atomic_store(&tasks[n], NULL);
	start(&a, others[rng_below(&rng, 5)]);
	start(&b, others[rng_below(&rng, 5)]);
	some_turns(6);
	if (rng_below(&rng, 2))
		conn_close(&conns[0]);
	if (!rng_below(&rng, 3))
		lws_threadpool_destroy(atomic_load(&pools[1]));
	context_end();
	if (conns[0].wsi || conns[1].wsi)
		ledger_fail("a wsi survived its context");
	lws_threadpool_destroy(atomic_load(&pools[0]));
	lws_threadpool_destroy(atomic_load(&pools[1]));
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	context_new();
}

/* S7: what a callback does that has a task's data, or what comes meanwhile.
 * The ledger sees whether it is called or cleaned up before they return. */

static void
points(void)
{
	uint32_t n = 1 + rng_below(&rng, 6);

	while (n--)
		shim_point();
}

static void
use_slowly(struct lws *wsi, struct lws_threadpool_task *task)
{
	(void)wsi;
	(void)task;
	points();
}

static void
use_dequeue(struct lws *wsi, struct lws_threadpool_task *task)
{
	(void)wsi;
	points();
	if (rng_below(&rng, 3))
		lws_threadpool_dequeue_task(task);
	points();
}

static void
use_too_long(struct lws *wsi, struct lws_threadpool_task *task)
{
	(void)wsi;
	(void)task;
	points();
	if (rng_below(&rng, 2))
		clock_forward(1100000);
	points();
}

/* closes the other wsi inside, with the data of a task of that one in use */
static void
use_close(struct lws *wsi, struct lws_threadpool_task *task)
{
	struct conn *c = &conns[conns[0].wsi == wsi];
	struct job *job = NULL;
	void *user = NULL;

	(void)task;
	points();
	if (!c->wsi || rng_below(&rng, 2))
		return;
	task = lws_threadpool_get_task_wsi(c->wsi);
	if (task &&
	    lws_threadpool_task_status_noreap(task) == LWS_TP_STATUS_SYNCING &&
	    lws_threadpool_task_status(task, &user) == LWS_TP_STATUS_SYNCING)
		job = job_of(user);
	if (job && job->kind == JOB_LOOSE)
		job = NULL;
	if (job)
		job_hold(job);
	c->closing = true;
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
	points();
	if (job)
		job_release(job);
}

static void
use_put(int n, int pool)
{
	static const enum job_kind kinds[] = { JOB_SYNC, JOB_ASYNC, JOB_SYNC,
					       JOB_OUTLIVE };

	put(n, pool, kinds[rng_below(&rng, 4)], 3, &conns[n & 1]);
}

/* all that is left is answered, and for what nobody will ring for there is one
 * WRITEABLE more */
static void
use_settle(void)
{
	int n;

	use = NULL;
	for (n = 0; n < CONNS; n++)
		if (conns[n].wsi)
			lws_callback_on_writable(conns[n].wsi);
	settle();
}

static void
finish_told(void)
{
	pthread_t t;
	int n;

	use = use_slowly;
	for (n = 0; n < 6; n++)
		put(n, 0, JOB_SYNC, 3, &conns[n & 1]);
	some_turns(4);
	start(&t, finish_it);
	some_turns(12);
	pthread_join(t, NULL);
	use_settle();
}

static void
dequeue_told(void)
{
	pthread_t t;
	int n;

	use = use_dequeue;
	for (n = 0; n < 6; n++)
		use_put(n, 0);
	start(&t, look_all);
	some_turns(20);
	pthread_join(t, NULL);
	use_settle();
}

static void
timeout_told(void)
{
	pthread_t t;
	int n;

	use = use_too_long;
	pool_open(1, 1);
	for (n = 0; n < 6; n++)
		use_put(n, 1);
	start(&t, look_all);
	for (n = 0; n < 4; n++) {
		some_turns(8);
		clock_forward(rng_below(&rng, 1200000));
	}
	pthread_join(t, NULL);
	use_settle();
	lws_threadpool_destroy(atomic_load(&pools[1]));
}

/* and threads that answer other tasks of those wsi */
static void
close_told(void)
{
	pthread_t t;
	int n;

	use = use_close;
	for (n = 0; n < 5; n++) {
		use_put(n, 0);
		atomic_store(&tasks[n], NULL);
	}
	for (n = 5; n < TASKS; n++)
		put(n, 0, JOB_LOOSE, 4, &conns[n & 1]);
	start(&t, sync_all);
	some_turns(12);
	pthread_join(t, NULL);
	use_settle();
}

/* T9, T10: letters to tasks that park until they come.  Relaxed: it is the wake
 * that is to have them seen. */
static atomic_int posted[TASKS], taken[TASKS];
static int letters; /* what each ends with; 0: never */
static lws_usec_t park_us;

static enum lws_threadpool_task_return
park_in_letters(struct job *job)
{
	int n = (int)(job->data >> 1),
	    seen = atomic_load_explicit(&posted[n], memory_order_relaxed);

	atomic_store_explicit(&taken[n], seen, memory_order_relaxed);
	if (letters && seen >= letters)
		return LWS_TP_RETURN_FINISHED;
	shim_point();
	switch (rng_below(&job->rng, 8)) {
	case 0:
		return LWS_TP_RETURN_CHECKING_IN;
	case 1:
		return lws_threadpool_park(0);
	case 2:
		lws_threadpool_park(0);
		shim_point();
		return lws_threadpool_park(park_us);
	default:
		return lws_threadpool_park(park_us);
	}
}

/* nobody wakes it: it has lost its wsi */
static enum lws_threadpool_task_return
park_until_alone(struct job *job)
{
	if (!lws_threadpool_task_attached(lws_threadpool_this_task()))
		return LWS_TP_RETURN_FINISHED;
	if (!rng_below(&job->rng, 4))
		shim_point();

	return (enum lws_threadpool_task_return)((int)lws_threadpool_park(-1) |
						 LWS_TP_RETURN_FLAG_OUTLIVE);
}

static enum lws_threadpool_task_return
park(struct job *job)
{
	return job->data & 0x100 ? park_until_alone(job) : park_in_letters(job);
}

static void
put_parked(int n, struct conn *c, bool until_alone)
{
	struct job *job = job_new(JOB_HOOK, 0, c ? c->wsi : NULL,
				  race_seed + (uint64_t)n);

	atomic_store(&posted[n], 0);
	atomic_store(&taken[n], 0);
	if (!job)
		return;
	job->data = 2 * (uint32_t)n + (until_alone ? 0x100 : 0);
	atomic_store(&tasks[n], job_enqueue(atomic_load(&pools[0]), job));
}

static void
post_letter(int n)
{
	atomic_fetch_add_explicit(&posted[n], 1, memory_order_relaxed);
	shim_point();
	lws_threadpool_task_wake(atomic_load(&tasks[n]));
}

/* each when the one before has been taken: that task is about to park */
static void
post_when_taken(int n)
{
	for (int k = 0; k < letters; k++) {
		while (atomic_load_explicit(&taken[n], memory_order_relaxed) <
		       k)
			sched_yield();
		post_letter(n);
	}
}

static void *
post_even(void *arg)
{
	(void)arg;
	post_when_taken(0);
	post_when_taken(2);

	return NULL;
}

static void *
post_odd(void *arg)
{
	(void)arg;
	post_when_taken(1);
	post_when_taken(3);

	return NULL;
}

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

static void
wake_park(void)
{
	pthread_t a, b;
	int n;

	letters = 5;
	park_us = -1;
	for (n = 0; n < 4; n++)
		put_parked(n, n < 2 ? &conns[n] : NULL, false);
	start(&a, post_even);
	start(&b, post_odd);
	settle();
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void
wake_stop(void)
{
	pthread_t a, b;
	int n;

	letters = 0;
	park_us = rng_below(&rng, 2) ? -1 : 50;
	for (n = 0; n < 6; n++)
		put_parked(n, n < 4 ? &conns[n & 1] : NULL, false);
	start(&a, wake_all);
	some_turns(4);
	for (n = 0; n < 4; n++) {
		shim_point();
		if (rng_below(&rng, 2))
			lws_threadpool_task_sync(atomic_load(&tasks[n]), 1);
		else if (rng_below(&rng, 2))
			lws_threadpool_dequeue_task(atomic_load(&tasks[n]));
	}
	start(&b, finish_it);
	some_turns(4);
	conn_close(&conns[0]);
	settle();
	pthread_join(a, NULL);
	pthread_join(b, NULL);
}

static void
wake_close(void)
{
	pthread_t t;
	int n;

	for (n = 0; n < 6; n++)
		put_parked(n, &conns[n & 1], true);
	start(&t, look_all);
	some_turns(6);
	lws_threadpool_dequeue_task(atomic_load(&tasks[0]));
	for (n = 0; n < CONNS; n++)
		conn_close(&conns[n]);
	settle();
	pthread_join(t, NULL);
}

/* their time comes as they are woken, or are not */
static void
wake_time(void)
{
	pthread_t t;
	int n;

	letters = 3;
	park_us = 1000000;
	for (n = 0; n < 4; n++)
		put_parked(n, n < 2 ? &conns[n] : NULL, false);
	start(&t, wake_all);
	while (!all_cleaned()) {
		turn();
		clock_forward(rng_below(&rng, 400000));
		n = (int)rng_below(&rng, 4);
		atomic_fetch_add_explicit(&posted[n], 1, memory_order_relaxed);
	}
	pthread_join(t, NULL);
}

/* O1: tasks of one key, one of them at a time */

static const char key;
static atomic_int key_inside;
static enum lws_threadpool_task_return (*_Atomic ledger_task)(
	void *user, enum lws_threadpool_task_status s);

static enum lws_threadpool_task_return
keyed_task(void *user, enum lws_threadpool_task_status s)
{
	const struct job *job = job_of(user);
	enum lws_threadpool_task_return ret;

	if (!atomic_load_explicit(&job->calls, memory_order_relaxed) &&
	    atomic_fetch_add_explicit(&key_inside, 1, memory_order_relaxed))
		ledger_fail("two tasks of a key at a time (O1)");
	ret = atomic_load_explicit(&ledger_task, memory_order_relaxed)(user, s);
	if (s == LWS_TP_STATUS_STOPPING || ret == LWS_TP_RETURN_FINISHED ||
	    ret == LWS_TP_RETURN_STOPPED)
		atomic_fetch_sub_explicit(&key_inside, 1, memory_order_relaxed);

	return ret;
}

static void
put_keyed(int n, enum job_kind kind, int steps, struct conn *c)
{
	const struct lws_threadpool_task_options o = {
		.size = sizeof(o), .key = &key, .key_max = 1
	};
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;
	struct job *job;

	if (c && !c->wsi)
		return;
	job = job_new(kind, steps, c ? c->wsi : NULL, race_seed + (uint64_t)n);
	if (!job)
		return;
	job_args(job, &args);
	atomic_store_explicit(&ledger_task, args.task, memory_order_relaxed);
	args.task = keyed_task;
	task = lws_threadpool_enqueue_ext(atomic_load(&pools[0]), &args, &o,
					  "keyed %d", n);
	job_settle(args.user, task);
	atomic_store(&tasks[n], task);
}

static void *
enqueue_keyed(void *arg)
{
	int n;

	(void)arg;
	for (n = 0; n < 6; n++) {
		shim_point();
		put_keyed(n % 3 + 5, (n & 1) ? JOB_SLOW : JOB_NOOP, n & 1,
			  NULL);
	}

	return NULL;
}

static void
dequeue_some(int most)
{
	int n;

	for (n = 0; n < most; n++)
		if (!rng_below(&rng, 3))
			lws_threadpool_dequeue_task(atomic_load(&tasks[n]));
}

/* the key is released by ends, stops and dequeues at the same time as it is
 * taken: one that nobody lets go on is lost */
static void
key_release(void)
{
	pthread_t a, b;
	int n;

	start(&a, enqueue_keyed);
	start(&b, sync_all);
	for (n = 0; n < 5; n++)
		put_keyed(n, n & 1 ? JOB_LOOSE : JOB_SLOW, 1, &conns[n & 1]);
	some_turns(6);
	dequeue_some(5);
	some_turns(6);
	if (rng_below(&rng, 2))
		conn_close(&conns[0]);
	settle();
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	settle();
}

/* and the pool is finished meanwhile */
static void
key_finish(void)
{
	pthread_t a, b;
	int n;

	for (n = 0; n < 3; n++)
		put_keyed(n, JOB_SYNC, 1, &conns[n & 1]);
	start(&a, enqueue_keyed);
	start(&b, finish_it);
	for (; n < 5; n++)
		put_keyed(n, JOB_SYNC, 1, &conns[n & 1]);
	some_turns(6);
	dequeue_some(5);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	if (rng_below(&rng, 2))
		settle();
}

/* H1: on_end of tasks that never had a wsi */

static int
alone_ended(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct job *job = job_of(user);

	if (wsi || !job || atomic_load(&job->cleanups) ||
	    !pthread_equal(pthread_self(), service_thread) ||
	    how < LWS_TP_STATUS_FINISHED)
		ledger_fail("on_end that is not one (H1)");
	atomic_fetch_add(&ends, 1);

	return -1;
}

static void *
enqueue_alone(void *arg)
{
	const struct lws_threadpool_task_options o = { .size = sizeof(o),
						       .on_end = alone_ended };
	struct lws_threadpool_task_args args;
	struct job *job;
	int n;

	(void)arg;
	for (n = 0; n < 8; n++) {
		shim_point();
		job = job_new(n & 1 ? JOB_SLOW : JOB_NOOP, 1, NULL,
			      race_seed + (uint64_t)n);
		if (!job)
			continue;
		job_args(job, &args);
		job_settle(args.user,
			   lws_threadpool_enqueue_ext(atomic_load(&pools[0]),
						      &args, &o, "alone"));
	}

	return NULL;
}

/* with finish(), each that was accepted has its on_end */
static void
alone_finish(void)
{
	unsigned long before = atomic_load(&ledger.accepted);
	pthread_t a, b;

	atomic_store(&ends, 0);
	start(&a, enqueue_alone);
	some_turns(6);
	start(&b, finish_it);
	some_turns(6);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	settle();
	if ((unsigned long)atomic_load(&ends) !=
	    atomic_load(&ledger.accepted) - before)
		ledger_fail("an on_end is lost (H1)");
}

/* with destroy(), or the context's end, it is called or not */
static void
alone_destroy(void)
{
	pthread_t a;

	start(&a, enqueue_alone);
	some_turns(4);
	if (!rng_below(&rng, 4)) {
		context_end();
		pthread_join(a, NULL);
		lws_threadpool_destroy(atomic_load(&pools[0]));
		context_new();
		return;
	}
	pthread_join(a, NULL);
	some_turns(2);
}

static const struct race {
	const char *name;
	void (*fn)(void);
} races[] = {
	{ "sync-close", sync_close },
	{ "sync-dequeue", sync_dequeue },
	{ "finish-enqueue", finish_enqueue },
	{ "drain-enqueue", drain_enqueue },
	{ "drain-finish", drain_finish },
	{ "end-status", end_status },
	{ "resume-finish", resume_finish },
	{ "outlive-close", outlive_close },
	{ "destroy-doorbell", destroy_doorbell },
	{ "ring-answer", ring_answer },
	{ "context-destroy", context_destroy },
	{ "finish-told", finish_told },
	{ "dequeue-told", dequeue_told },
	{ "timeout-told", timeout_told },
	{ "close-told", close_told },
	{ "key-release", key_release },
	{ "key-finish", key_finish },
	{ "alone-finish", alone_finish },
	{ "alone-destroy", alone_destroy },
	{ "wake-park", wake_park },
	{ "wake-stop", wake_stop },
	{ "wake-close", wake_close },
	{ "wake-time", wake_time },
	{ "call-context", call_context },
	{ "attach-close", attach_close },
	{ "attach-end", attach_end },
	{ "writeable-close", writeable_close },
	{ "park-wake", park_wake },
};

static void
race_run(const struct race *race, uint64_t seed)
{
	int64_t deadline;
	int n;

	race_name = race->name;
	race_seed = seed;
	rng = seed * 7919 + 1;
	snprintf(repeat, sizeof(repeat),
		 "%s --race %s --first %" PRIu64
		 " --seeds 1 (or more of them: threads have a will of their "
		 "own)",
		 program, race_name, seed);
	for (n = 0; n < TASKS; n++) {
		atomic_store(&tasks[n], NULL);
		users[n] = NULL;
	}
	for (n = 0; n < CONNS; n++)
		conn_open(&conns[n]);
	atomic_store(&key_inside, 0);
	pool_open(0, 0);

	use = NULL;
	shim_seed(seed + 1);
	race->fn();
	lws_threadpool_destroy(atomic_load(&pools[0]));
	shim_seed(0);
	ledger_check_balance();

	deadline = ledger_now() + DEADLINE_US;
	for (n = 0; n < CONNS; n++) {
		close(conns[n].peer);
		while (conns[n].wsi) {
			turn();
			if (ledger_now() > deadline)
				ledger_fail("a connection does not close");
		}
	}
}

/* by the clock on the wall */
static int64_t
wall_now(void)
{
	return ledger_now() - clock_ahead();
}

static int
options(int argc, char **argv, uint64_t *seeds, uint64_t *first,
	const char **name, int *minutes)
{
	static const struct option all[] = {
		{ "seeds", required_argument, NULL, 'n' },
		{ "first", required_argument, NULL, 'f' },
		{ "race", required_argument, NULL, 'r' },
		{ "minutes", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "", all, NULL)) >= 0)
		switch (c) {
		case 'n':
			*seeds = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			*first = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			*name = optarg;
			break;
		case 'm':
			*minutes = atoi(optarg);
			break;
		default:
			return 1;
		}

	return optind != argc;
}

int
main(int argc, char **argv)
{
	static const struct ledger_hooks hooks = {
		.alive = alive,
		.park = park,
		.repeat = repeat,
	};
	uint64_t seeds = 200, first = 1, n;
	const char *name = NULL;
	int minutes = 0;
	int64_t begun, end;
	size_t r, ran = 0;

	program = argv[0];
	if (options(argc, argv, &seeds, &first, &name, &minutes)) {
		fprintf(stderr,
			"usage: %s [--seeds N] [--first S] "
			"[--race NAME] [--minutes M]\n",
			argv[0]);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	lws_set_log_level(LLL_ERR | LLL_INFO, emit);
	service_thread = pthread_self();
	ledger_begin(&hooks, service_thread);
	context_new();
	for (r = 0; r < LWS_ARRAY_SIZE(races); r++) {
		if (name && strcmp(name, races[r].name))
			continue;
		ran++;
		begun = wall_now();
		end = begun + (int64_t)minutes * 60000000;
		for (n = 0; n < seeds && (!minutes || wall_now() < end); n++)
			race_run(&races[r], first + n);
		printf("%-16s %" PRIu64 " seeds from %" PRIu64 ", %lu tasks so "
		       "far, %lu points, %" PRId64 " ms\n",
		       races[r].name, n, first, atomic_load(&ledger.cleaned),
		       shim_points(), (wall_now() - begun) / 1000);
		fflush(stdout);
	}
	context_end();
	if (!ran) {
		fprintf(stderr, "there is no race %s\n", name);
		return 1;
	}
	printf("races passed\n");

	return 0;
}
