/*
 * lws-threadpool tests - a ledger of every task, that checks what each may do
 *
 * SPDX-License-Identifier: MIT
 *
 * Pages are never freed.  A task's user pointer is the number of its page and a
 * serial number, so a call that comes too late is seen to be about a job that
 * is no more.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ledger.h"

#define PAGES_BITS 16
#define PAGES	   (1u << PAGES_BITS)

struct ledger_sums ledger;

static struct job pages[PAGES];
static struct job *first_free, *last_free; /* FIFO: reused late */
static unsigned int pages_used;
static uint64_t serials;
static pthread_mutex_t pages_lock = PTHREAD_MUTEX_INITIALIZER;

static struct ledger_hooks hooks;
static pthread_t service_thread;
static _Thread_local bool spawning;

int64_t
ledger_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

uint64_t
rng_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);

	return z ^ (z >> 31);
}

uint32_t
rng_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((rng_next(state) >> 32) * n >> 32);
}

void
ledger_fail(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "FAILED: ");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fprintf(stderr, "\nrepeat it by: %s\n",
		hooks.repeat ? hooks.repeat : "(see above)");
	fflush(NULL);
	abort();
}

void
ledger_begin(const struct ledger_hooks *h, pthread_t service)
{
	hooks = *h;
	service_thread = service;
}

/*
 * Pages
 */

static int
get(atomic_int *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static int
add(atomic_int *p)
{
	return atomic_fetch_add_explicit(p, 1, memory_order_relaxed);
}

static void
count(atomic_ulong *p)
{
	atomic_fetch_add_explicit(p, 1, memory_order_relaxed);
}

static void *
user_of(const struct job *job, uint64_t serial)
{
	return (void *)(uintptr_t)((serial << PAGES_BITS) |
				   (uint64_t)(job - pages));
}

void *
job_user(struct job *job)
{
	return user_of(job, atomic_load(&job->serial));
}

struct job *
job_of(void *user)
{
	struct job *job = &pages[(uintptr_t)user & (PAGES - 1)];

	if (!user ||
	    (uint64_t)(uintptr_t)user >> PAGES_BITS !=
		    atomic_load_explicit(&job->serial, memory_order_relaxed))
		return NULL;

	return job;
}

struct job *
job_new(enum job_kind kind, int steps, struct lws *wsi, uint64_t seed)
{
	struct job *job;

	pthread_mutex_lock(&pages_lock);
	if (pages_used < PAGES)
		job = &pages[pages_used++];
	else {
		job = first_free;
		if (job) {
			first_free = job->next_free;
			if (!first_free)
				last_free = NULL;
		}
	}
	if (job) {
		atomic_store(&job->in_call, 0);
		atomic_store(&job->told, 0);
		atomic_store(&job->ended, 0);
		atomic_store(&job->settled, 0);
		atomic_store(&job->calls, 0);
		atomic_store(&job->cleanups, 0);
		atomic_store(&job->waits_since, 0);
		atomic_store(&job->handle, 0);
		atomic_store(&job->let_go, false);
		atomic_store(&job->held, 0);
		job->wsi = wsi;
		job->rng = seed;
		job->data = 0;
		job->kind = (uint8_t)kind;
		job->steps = (uint8_t)steps;
		atomic_store(&job->outlived,
			     !wsi || kind == JOB_ASYNC || kind == JOB_TOKEN);
		atomic_store(&job->serial, ++serials);
	}
	pthread_mutex_unlock(&pages_lock);

	return job;
}

/* settled and cleaned up, or refused: whoever comes second frees it */
static void
page_free(struct job *job)
{
	pthread_mutex_lock(&pages_lock);
	atomic_store(&job->serial, 0);
	job->next_free = NULL;
	if (last_free)
		last_free->next_free = job;
	else
		first_free = job;
	last_free = job;
	pthread_mutex_unlock(&pages_lock);
}

/*
 * The task function
 */

static void
work(struct job *job)
{
	volatile unsigned int n = rng_below(&job->rng, 3000);

	switch (rng_below(&job->rng, 4)) {
	case 0:
		usleep(rng_below(&job->rng, 1500));
		break;
	case 1:
		while (n)
			n--;
		break;
	default:
		break;
	}
}

static enum lws_threadpool_task_return
step(struct job *job)
{
	int flag = 0;

	switch (job->kind) {
	case JOB_SLOW:
	case JOB_DEAF:
		work(job);
		return job->steps-- ? LWS_TP_RETURN_CHECKING_IN :
				      LWS_TP_RETURN_FINISHED;
	case JOB_BAD:
		return (enum lws_threadpool_task_return)(
			4 + rng_below(&job->rng, 40));
	case JOB_SPAWN:
		if (hooks.spawn)
			hooks.spawn(job);
		return LWS_TP_RETURN_FINISHED;
	case JOB_PARK:
		if (!job->steps--)
			return LWS_TP_RETURN_FINISHED;
		count(&ledger.parks);
		return lws_threadpool_park(
			rng_below(&job->rng, 3) ?
				(lws_usec_t)rng_below(&job->rng, 20000) :
				0);
	case JOB_HOOK:
		return hooks.park(job);
	case JOB_OUTLIVE:
		if (!get(&job->outlived)) {
			atomic_store_explicit(&job->outlived, 1,
					      memory_order_relaxed);
			flag = LWS_TP_RETURN_FLAG_OUTLIVE;
		}
		/* fallthrough */
	case JOB_SYNC:
	case JOB_ASYNC:
	case JOB_LOOSE:
	case JOB_TOKEN:
		if (!rng_below(&job->rng, 3))
			return (enum lws_threadpool_task_return)(
				LWS_TP_RETURN_CHECKING_IN | flag);
		if (!job->steps--)
			return (enum lws_threadpool_task_return)(
				LWS_TP_RETURN_FINISHED | flag);
		if (job->kind != JOB_LOOSE)
			job->data |= 1; /* the service thread's turn */
		atomic_store_explicit(&job->waits_since, ledger_now(),
				      memory_order_relaxed);
		return (enum lws_threadpool_task_return)(LWS_TP_RETURN_SYNC |
							 flag);
	default:
		return LWS_TP_RETURN_FINISHED;
	}
}

static enum lws_threadpool_task_return
stop_step(struct job *job)
{
	static const int any[] = { LWS_TP_RETURN_CHECKING_IN,
				   LWS_TP_RETURN_SYNC, LWS_TP_RETURN_FINISHED,
				   LWS_TP_RETURN_STOPPED };

	if (job->kind != JOB_DEAF)
		return rng_below(&job->rng, 4) ? LWS_TP_RETURN_STOPPED :
						 LWS_TP_RETURN_FINISHED;
	work(job);

	return (enum lws_threadpool_task_return)any[rng_below(&job->rng, 4)];
}

static enum lws_threadpool_task_return
job_task(void *user, enum lws_threadpool_task_status s)
{
	enum lws_threadpool_task_return ret;
	struct job *job = job_of(user);

	if (!job)
		ledger_fail("a task function is called for job %p, which is "
			    "over (T7)",
			    user);
	if (add(&job->in_call))
		ledger_fail("two threads call a task function at once (T2)");
	if (get(&job->ended))
		ledger_fail("a task function is called after its end (T1)");
	if (get(&job->told))
		ledger_fail("a task function is called after STOPPING (T4)");
	if (get(&job->cleanups))
		ledger_fail("a task function is called after cleanup (T7)");
	if (get(&job->held))
		ledger_fail(
			"a task function is called with %d while a callback "
			"has its data (S7)",
			(int)s);
	if (pthread_equal(pthread_self(), service_thread))
		ledger_fail("a task function runs on the service thread");
	add(&job->calls);
	count(&ledger.calls);
	atomic_store_explicit(&job->waits_since, 0, memory_order_relaxed);

	if (s == LWS_TP_STATUS_STOPPING) {
		add(&job->told);
		count(&ledger.stoppings);
		ret = stop_step(job);
	} else if (s == LWS_TP_STATUS_RUNNING) {
		if ((job->data & 1) && !get(&job->outlived))
			ledger_fail("a SYNC was resumed but not answered (S4)");
		ret = step(job);
	} else {
		ret = LWS_TP_RETURN_STOPPED;
		ledger_fail("a task function is called with %d (T2)", (int)s);
	}

	if (s == LWS_TP_STATUS_STOPPING ||
	    ((int)ret & ~(int)LWS_TP_RETURN_FLAG_OUTLIVE) >
		    LWS_TP_RETURN_SYNC) {
		add(&job->ended);
		atomic_store_explicit(&job->waits_since, ledger_now(),
				      memory_order_relaxed);
	} else if (ret == LWS_TP_RETURN_SYNC)
		count(&ledger.syncs);
	atomic_fetch_sub_explicit(&job->in_call, 1, memory_order_relaxed);

	return ret;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *job = job_of(user);

	if (!job)
		ledger_fail("cleanup comes for job %p, which is over (T7)",
			    user);
	if (add(&job->cleanups))
		ledger_fail("cleanup comes twice (T7)");
	if (get(&job->in_call))
		ledger_fail("cleanup comes during a call (T7)");
	if (get(&job->held))
		ledger_fail("cleanup comes while a callback has its data (S7)");
	if (get(&job->settled) < 0)
		ledger_fail("cleanup of a refused job (T8)");
	if (get(&job->calls) && !get(&job->ended))
		ledger_fail("cleanup of a task that has not ended (T7)");
	if (wsi) {
		if (wsi != job->wsi)
			ledger_fail("cleanup gets another wsi (T7)");
		if (!pthread_equal(pthread_self(), service_thread))
			ledger_fail("cleanup of an attached task is not on its "
				    "service thread (T7)");
		if (hooks.alive && !hooks.alive(wsi))
			ledger_fail("cleanup gets a wsi that is no more (W1)");
	}
	if (hooks.cleaned)
		hooks.cleaned(job, wsi);
	if (job->kind == JOB_SPAWN && hooks.spawn && !spawning) {
		spawning = true;
		hooks.spawn(job);
		spawning = false;
	}
	count(&ledger.cleaned);
	if (add(&job->settled))
		page_free(job);
}

void
job_args(struct job *job, struct lws_threadpool_task_args *args)
{
	memset(args, 0, sizeof(*args));
	args->wsi = job->wsi;
	args->user = user_of(job, atomic_load(&job->serial));
	args->async_task = job->kind == JOB_ASYNC;
	args->task = job_task;
	args->cleanup = job_cleanup;
}

void
job_settle(void *user, struct lws_threadpool_task *task)
{
	struct job *job = &pages[(uintptr_t)user & (PAGES - 1)];

	if (job != job_of(user))
		ledger_fail("a job was over before it was settled");
	if (!task) {
		count(&ledger.refused);
		if (get(&job->calls) || get(&job->cleanups))
			ledger_fail("a refused job was used (T8)");
		atomic_store(&job->settled, -1);
		page_free(job);
		return;
	}
	count(&ledger.accepted);
	atomic_store_explicit(&job->handle, (uintptr_t)task,
			      memory_order_relaxed);
	if (add(&job->settled))
		page_free(job);
}

bool
job_token(struct lws_threadpool_task *task, unsigned int flags, char *token)
{
	char again[LWS_THREADPOOL_TOKEN_SIZE];

	if (lws_threadpool_task_token(task, flags, token))
		return false;
	if (strspn(token, "0123456789abcdef") != sizeof(again) - 1 ||
	    token[sizeof(again) - 1])
		ledger_fail("%.32s is no token (K1)", token);
	if (!lws_threadpool_task_token(task, 0, again) && strcmp(token, again))
		ledger_fail("a task has two tokens (K1)");

	return true;
}

bool
job_attach(void *user, struct lws_threadpool_task *task, struct lws *wsi)
{
	struct job *job;
	int64_t since;

	if (lws_threadpool_task_attach(task, wsi))
		return false;
	/* from now on nobody else can reap it */
	job = job_of(user);
	if (!job)
		ledger_fail("a task that is over was attached (K3, Q6)");
	job->wsi = wsi;
	count(&ledger.attaches);
	/* what waits there waits from now on */
	since = atomic_load_explicit(&job->waits_since, memory_order_relaxed);
	if (since)
		atomic_compare_exchange_strong_explicit(
			&job->waits_since, &since, ledger_now(),
			memory_order_relaxed, memory_order_relaxed);

	return true;
}

void
job_lost(void *user, struct lws *wsi)
{
	struct job *job;

	pthread_mutex_lock(&pages_lock); /* or it might be another's */
	job = job_of(user);
	if (job && job->wsi == wsi)
		job->wsi = NULL;
	pthread_mutex_unlock(&pages_lock);
}

struct counted {
	void (*fn)(void *);
	void *arg;
	atomic_int calls;
};

static void
call_counted(struct lws_context *context, void *arg)
{
	struct counted *c = arg;

	if (add(&c->calls))
		ledger_fail("a call comes twice (R1)");
	if (!pthread_equal(pthread_self(), service_thread))
		ledger_fail("a call is not made on the service thread (R1)");
	if (context && c->fn)
		c->fn(c->arg);
	count(&ledger.called);
	free(c);
}

bool
ledger_call(struct lws_threadpool *tp, int tsi, void (*fn)(void *), void *arg)
{
	struct counted *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	c->fn = fn;
	c->arg = arg;
	if (!lws_threadpool_call(tp, tsi, call_counted, c)) {
		count(&ledger.called_for);
		return true;
	}
	if (get(&c->calls))
		ledger_fail("a refused call was made (R1)");
	free(c);

	return false;
}

struct lws_threadpool_task *
job_enqueue(struct lws_threadpool *tp, struct job *job)
{
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;

	job_args(job, &args);
	task = lws_threadpool_enqueue(tp, &args, "job %" PRIu64,
				      atomic_load(&job->serial));
	job_settle(args.user, task);

	return task;
}

void
job_answered(struct job *job)
{
	if (job->kind == JOB_LOOSE)
		return;
	if (!(job->data & 1))
		ledger_fail("SYNCING, but what the task wrote is not seen "
			    "(T2)");
	job->data++;
}

void
job_hold(struct job *job)
{
	add(&job->held);
}

void
job_release(struct job *job)
{
	atomic_store_explicit(&job->held, 0, memory_order_relaxed);
}

int64_t
ledger_longest_wait(bool (*may_wait)(struct lws *wsi), struct job **longest)
{
	int64_t now = ledger_now(), since, most = 0;
	unsigned int n, used;
	struct job *job;

	pthread_mutex_lock(&pages_lock);
	used = pages_used;
	for (n = 0; n < used; n++) {
		job = &pages[n];
		since = atomic_load_explicit(&job->waits_since,
					     memory_order_relaxed);
		if (!atomic_load(&job->serial) || !since || !job->wsi ||
		    atomic_load(&job->let_go) || now - since <= most ||
		    may_wait(job->wsi))
			continue;
		most = now - since;
		*longest = job;
	}
	pthread_mutex_unlock(&pages_lock);

	return most;
}

void
ledger_check_balance(void)
{
	unsigned long a = atomic_load(&ledger.accepted),
		      c = atomic_load(&ledger.cleaned);

	if (a != c)
		ledger_fail("%lu tasks were accepted and %lu cleaned up (T7)",
			    a, c);
	a = atomic_load(&ledger.called_for);
	c = atomic_load(&ledger.called);
	if (a != c)
		ledger_fail("%lu calls were accepted and %lu made (R1)", a, c);
}
