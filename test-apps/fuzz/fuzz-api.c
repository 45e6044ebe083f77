/*
 * lws-threadpool fuzz - any sequence of API calls, decoded from bytes
 *
 * SPDX-License-Identifier: MIT
 *
 * Two bytes are a call: what, and on what.  There are a few connections, pools
 * and task handles, live and stale, and handles that never were any.  The calls
 * come from the service thread, also from inside foreach callbacks and
 * cleanups.  What must hold is the ledger's, and at the end of each input every
 * task must have been cleaned up.
 */

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define POOLS	3
#define HANDLES 16
#define MAX_OPS 160

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerInitialize(int *argc, char ***argv);

struct handle {
	struct lws_threadpool_task *task;
	struct lws_threadpool *tp;
	void *user;
	char token[LWS_THREADPOOL_TOKEN_SIZE];
};

static _Atomic(struct lws_threadpool *) pools[POOLS]; /* tasks spawn */
static struct handle handles[HANDLES];
static struct lws_threadpool_wsi *wsis[RIG_CONNS]; /* of rig_conns */
static struct lws *old_wsi;
static unsigned int next_handle, depth, inputs, enqueuing;
static const uint8_t *at, *end;

static bool
op(void);

static uint8_t
byte(void)
{
	return at < end ? *at++ : 0;
}

static void
enqueue(unsigned int pool, enum job_kind kind, unsigned int steps,
	struct conn *c)
{
	struct handle *h = &handles[next_handle++ % HANDLES];
	struct lws_threadpool_task_args args;
	struct job *job;

	if (c && !c->wsi)
		return;
	job = job_new(kind, (int)steps, c ? c->wsi : NULL, steps);
	if (!job)
		return;
	job_args(job, &args);
	h->user = args.user;
	h->tp = pools[pool];
	h->token[0] = '\0';
	enqueuing++;
	h->task = lws_threadpool_enqueue(pools[pool], &args, "f%u", steps);
	enqueuing--;
	job_settle(args.user, h->task);
}

/* a cleanup does something, too */
static void
cleaned(struct job *job, struct lws *wsi)
{
	(void)job;

	if (wsi && depth < 4)
		op();
}

static void
spawn(struct job *from)
{
	struct job *job = job_new(JOB_NOOP, 0, NULL, 1);

	(void)from;
	if (job)
		job_enqueue(pools[0], job);
}

static void
pool_new(unsigned int n, uint8_t how)
{
	struct lws_threadpool_create_args args = {
		.threads = (how & 3) + (how != 0xff),
		.max_queue_depth = how >> 2
	};
	struct { /* of a later version, perhaps */
		struct lws_threadpool_options o;
		uint8_t more[256];
	} later = {
		.o = {
			.size = how >= 0xc0 ? how : sizeof(later.o),
			.pin_tasks = (how & 1) != 0,
			.sync_timeout_secs = -1,
		},
		.more = { [5] = how == 0xf3 },
	};

	struct lws_threadpool *old = pools[n];

	pools[n] = NULL;
	lws_threadpool_destroy(old);
	if (pools[n]) /* a cleanup made another one */
		return;
	pools[n] = lws_threadpool_create_ext(rig_context, &args,
					     (how & 2) ? &later.o : NULL, "f");
}

static void
task_sync(struct handle *h, int stop)
{
	struct job *job;

	/* what the application does before it answers */
	if (lws_threadpool_task_status_noreap(h->task) ==
	    LWS_TP_STATUS_SYNCING) {
		job = job_of(h->user);
		if (job && !stop)
			job_answered(job);
	} else if (!stop && depth)
		return;
	else if (!stop) {
		/* it might begin to wait just now: that is another race */
		job = job_of(h->user);
		if (job && job->kind != JOB_LOOSE && job->wsi)
			return;
	}
	lws_threadpool_task_sync(h->task, stop);
}

/* its own copy of the handle: a cleanup may enqueue, and have the place */
static void
task_status(struct handle h)
{
	enum lws_threadpool_task_status s;
	void *user = &user;

	s = lws_threadpool_task_status(h.task, &user);
	if (user && user != h.user)
		ledger_fail("a handle reached another task (Q6)");
	if (s < LWS_TP_STATUS_FINISHED && !user)
		ledger_fail("a live task without its user pointer (Q1)");
	if (s >= LWS_TP_STATUS_FINISHED) {
		user = &user;
		if (lws_threadpool_task_status(h.task, &user) !=
			    LWS_TP_STATUS_FINISHED ||
		    user)
			ledger_fail("reaped, and still there (Q1)");
	}
}

/* Q3: only tasks that are there still, and of this wsi */
static int
each(struct lws_threadpool_task *task, void *user)
{
	bool known = next_handle > HANDLES; /* or overwritten */
	struct job *job;
	unsigned int n;

	for (n = 0; n < HANDLES; n++) {
		if (handles[n].task != task)
			continue;
		known = true;
		job = job_of(handles[n].user);
		if (!job || job->wsi != user || atomic_load(&job->cleanups))
			ledger_fail("foreach visits a task that is gone (Q3)");
	}
	if (!known && !enqueuing)
		ledger_fail("foreach visits a task that never was (Q3)");

	return depth < 4 ? op() : 0;
}

/*
 * Calls, handles of a wsi, tokens and parks
 */

/* R1 */
static void
called(void *arg)
{
	(void)arg;

	if (depth < 4)
		op();
}

/* K1, K2 */
static void
token(struct handle *h, uint8_t how)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct lws_threadpool_task *task = h->task;
	struct job *job = task ? job_of(h->user) : NULL;

	/* before: it may lose its wsi at once */
	if (job)
		atomic_store_explicit(&job->outlived, 1, memory_order_relaxed);
	if (!job_token(task, how & LWS_TP_TOKEN_WAIT, token))
		return;
	if (h->task != task)
		return;
	if (h->token[0] && strcmp(h->token, token))
		ledger_fail("a task has two tokens (K1)");
	memcpy(h->token, token, sizeof(token));
}

static void
by_token(const struct handle *h, uint8_t how)
{
	struct lws_threadpool *tp = pools[how % POOLS];
	struct lws_threadpool_task *task;
	char wrong[2 * LWS_THREADPOOL_TOKEN_SIZE] = "";

	task = lws_threadpool_task_by_token(tp, h->token);
	if (task && (task != h->task || tp != h->tp))
		ledger_fail("a token reached another task (K2)");
	strcpy(wrong, h->token);
	if (how & 0x80)
		strcat(wrong, "0");
	else
		wrong[(how >> 2) % LWS_THREADPOOL_TOKEN_SIZE] ^= 1;
	if (strcmp(wrong, h->token) && lws_threadpool_task_by_token(tp, wrong))
		ledger_fail("a wrong token reached a task (K2)");
}

/* K3, of a task that may be anywhere, to a live wsi */
static void
attach(const struct handle *h, struct conn *c)
{
	if (!c->wsi || !job_attach(h->user, h->task, c->wsi))
		return;
	if (!lws_threadpool_task_attached(h->task))
		ledger_fail("attached, and it is not (K3)");
}

/* R2: one wsi, one handle, from when it is asked for until it closes */
static void
wsi_handle(unsigned int n, unsigned int pool)
{
	struct lws_threadpool_wsi *h;
	struct conn *c = &rig_conns[n];
	struct lws *was = lws_threadpool_wsi_get(wsis[n]);

	if (was && was != c->wsi)
		ledger_fail("a handle is of another wsi (R2)");
	if (!c->wsi)
		return;
	h = lws_threadpool_wsi_handle(pools[pool], c->wsi);
	if (h && was && h != wsis[n])
		ledger_fail("a wsi has two handles (R2)");
	if (h && lws_threadpool_wsi_get(h) != c->wsi)
		ledger_fail("a handle is not of its wsi (R2)");
	if (h)
		wsis[n] = h;
}

static int
each_info(const struct lws_threadpool_task_info *info, void *arg)
{
	(void)arg;
	if (info->kept && info->attached)
		ledger_fail("kept, with a wsi (K4)");
	if (info->kept && info->status < LWS_TP_STATUS_FINISHED)
		ledger_fail("kept, and it goes on (K4)");

	return depth < 4 ? op() : 0;
}

static void
info(const struct handle *h)
{
	struct lws_threadpool_task_info info;

	memset(&info, 0, sizeof(info));
	info.size = sizeof(info);
	if (lws_threadpool_task_get_info(h->task, &info))
		return;
	if (info.user != h->user)
		ledger_fail("a handle reached another task (Q6)");
}

/* what is newer than the 24 calls of op() */
static void
newer(uint8_t what, uint8_t on)
{
	struct handle *h = &handles[on % HANDLES];
	unsigned int n = on % RIG_CONNS;
	char line[64];

	switch (what % 16) {
	case 0:
	case 1:
		enqueue(on % POOLS, JOB_TOKEN, on >> 6, &rig_conns[n]);
		break;
	case 2:
		enqueue(on % POOLS, JOB_TOKEN, on >> 6, NULL);
		break;
	case 3:
		enqueue(on % POOLS, JOB_PARK, on >> 6,
			(on & 4) ? &rig_conns[n] : NULL);
		break;
	case 4:
	case 5:
		token(h, on >> 7);
		break;
	case 6:
		by_token(h, byte());
		break;
	case 7:
	case 8:
		attach(h, &rig_conns[byte() % RIG_CONNS]);
		break;
	case 9:
		ledger_call(pools[on % POOLS], (on & 0x80) ? (int)on - 200 : 0,
			    (on & 4) ? called : NULL, NULL);
		break;
	case 10:
		wsi_handle(n, (on >> 2) % POOLS);
		break;
	case 11:
		lws_threadpool_wsi_writeable(wsis[n]);
		lws_threadpool_wsi_writeable(
			(struct lws_threadpool_wsi *)h->task);
		break;
	case 12:
		lws_threadpool_task_wake(h->task);
		break;
	case 13:
		info(h);
		break;
	case 14:
		lws_threadpool_foreach_task(pools[on % POOLS], NULL, each_info);
		break;
	default:
		if (on & 0x80)
			lws_threadpool_drain(pools[on % POOLS]);
		lws_threadpool_metrics(pools[on % POOLS], line, sizeof(line));
		break;
	}
}

static void
turns(unsigned int n)
{
	while (n--)
		rig_turn();
}

static void
nonsense(uint8_t what)
{
	uintptr_t bits = (uintptr_t)what * UINT64_C(0x0101010101010101);
	void *p = (void *)(bits >> (what & 31)), *user = &user;
	struct lws_threadpool_task *task = p;

	switch (what % 5) {
	case 0:
		p = &handles;
		break;
	case 1:
		p = pools[what % POOLS];
		break;
	case 2:
		p = NULL;
		break;
	default:
		break;
	}
	/* one in a million could be a handle that is alive */
	for (unsigned int n = 0; n < HANDLES; n++)
		if (handles[n].task == p)
			return;
	task = p;
	if (lws_threadpool_task_status(task, &user) != LWS_TP_STATUS_FINISHED ||
	    user)
		ledger_fail("nonsense reached a task (Q6)");
	lws_threadpool_task_sync(task, what & 1);
	lws_threadpool_dequeue_task(task);
	if (what % 5 != 1)
		lws_threadpool_finish(p);
	lws_threadpool_dump((struct lws_threadpool *)handles[0].task);
	lws_threadpool_finish((struct lws_threadpool *)handles[1].task);
	lws_threadpool_destroy((struct lws_threadpool *)handles[2].task);
}

/* One call.  Its bool is what a foreach callback returns. */
static bool
op(void)
{
	uint8_t what = byte(), on = byte();
	struct conn *c = &rig_conns[on % RIG_CONNS];
	struct handle *h = &handles[on % HANDLES];
	struct lws_threadpool_task *task;
	void *user;
	int a, b, d;

	depth++;
	if (what >= 0xf0) {
		newer(what, on);
		depth--;
		return !(on & 0x70);
	}
	switch (what % 24) {
	case 0:
		if (!c->wsi && depth == 1) {
			if (c->peer >= 0)
				close(c->peer);
			if (!rig_open(c))
				ledger_fail("lws does not adopt");
			wsis[on % RIG_CONNS] = NULL;
			old_wsi = c->wsi;
		}
		break;
	case 1:
		rig_close(c, on >> 4);
		break;
	case 2:
		pool_new(on % POOLS, byte());
		break;
	case 3:
		lws_threadpool_finish(pools[on % POOLS]);
		break;
	case 4:
		lws_threadpool_destroy(pools[on % POOLS]);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		enqueue(on % POOLS, (enum job_kind)((on >> 2) % JOB_TOKEN),
			on >> 6, &rig_conns[what / 24 % RIG_CONNS]);
		break;
	case 9:
		enqueue(on % POOLS, (enum job_kind)((on >> 2) % JOB_TOKEN),
			on >> 6, NULL);
		break;
	case 10:
	case 11:
		task_status(*h);
		break;
	case 12:
		lws_threadpool_task_status_noreap(h->task);
		break;
	case 13:
	case 14:
		task_sync(h, on & 0x80);
		break;
	case 15:
		lws_threadpool_dequeue_task(h->task);
		break;
	case 16:
		lws_threadpool_dequeue((on & 0x80) ? old_wsi : c->wsi);
		break;
	case 17:
		lws_threadpool_foreach_task_wsi(c->wsi, c->wsi, each);
		break;
	case 18:
		task = lws_threadpool_get_task_wsi(c->wsi);
		if (task && (on & 0x80))
			lws_threadpool_task_status_wsi(c->wsi, &task, &user);
		break;
	case 19:
		c->deaf = !c->deaf;
		break;
	case 20:
		lws_threadpool_diagnose(pools[on % POOLS], &a, &b, &d);
		lws_threadpool_dump(pools[on % POOLS]);
		break;
	case 21:
		nonsense(on);
		break;
	case 22:
		usleep(on);
		break;
	default:
		if (depth == 1)
			turns(1 + (on & 3));
		break;
	}
	depth--;

	return !(on & 0x70);
}

static void
quiet(int level, const char *line)
{
	(void)level;
	(void)line;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct ledger_hooks hooks = {
		.alive = rig_alive,
		.cleaned = cleaned,
		.spawn = spawn,
		.repeat = "the input that libFuzzer writes",
	};

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	lws_set_log_level(LLL_ERR | LLL_WARN | LLL_THREAD, quiet);
	ledger_begin(&hooks, pthread_self());

	return 0;
}

static void
all_end(void)
{
	static const uint8_t nothing[1];
	int64_t deadline = ledger_now() + 30 * 1000000;
	int n, context_first = inputs & 1;

	/* cleanups find no more to do, and nothing is left unanswered */
	at = end = nothing;
	depth = 9;
	if (!(++inputs % 16)) {
		if (context_first)
			rig_end();
		for (n = 0; n < POOLS; n++)
			lws_threadpool_destroy(pools[n]);
		rig_end();
	} else {
		for (n = 0; n < RIG_CONNS; n++) {
			rig_conns[n].deaf = false;
			rig_close(&rig_conns[n], (unsigned int)n);
			while (rig_conns[n].wsi) {
				rig_turn();
				if (ledger_now() > deadline)
					ledger_fail("a wsi does not close");
			}
		}
		for (n = 0; n < POOLS; n++)
			lws_threadpool_destroy(pools[n]);
		while (atomic_load(&ledger.called) !=
		       atomic_load(&ledger.called_for)) {
			rig_turn();
			if (ledger_now() > deadline)
				ledger_fail("a call does not come (R1)");
		}
	}
	rig_peers_end();
	ledger_check_balance();
	depth = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ops = MAX_OPS;

	if (!size)
		return 0;
	if (!rig_context && !rig_begin(0, inputs / 16 & 1))
		ledger_fail("no context");
	memset(handles, 0, sizeof(handles));
	memset(wsis, 0, sizeof(wsis));
	next_handle = 0;
	at = data;
	end = data + size;
	pool_new(0, (byte() & 0x3f) | 0x2e);
	while (at < end && ops--)
		op();
	all_end();

	return 0;
}
