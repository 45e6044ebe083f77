/*
 * lws-threadpool benchmark - from a wake to what waited for it
 *
 * SPDX-License-Identifier: MIT
 *
 * A thread wakes a parked task, waits until it has run and for -b microseconds
 * more, in which it parks, and so on.  Timed is from before the wake to the
 * first instruction of the task.  Beside it: a thread of one's own that reads
 * an eventfd, or waits on a condition, which is what a task saves.
 */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bench.h"

static uint32_t *ns;
static atomic_long asked, got;
static _Atomic uint64_t sent;

/* Whoever was woken looks whether that was for a reason. */
static bool
arrived(void)
{
	uint64_t took = now_ns() - atomic_load(&sent);
	long n = atomic_load(&got);

	if (atomic_load(&asked) == n)
		return false;
	ns[n] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	atomic_store(&got, n + 1);

	return true;
}

static void
ask(void (*wake)(void))
{
	uint64_t limit = now_ns() + (uint64_t)(opt.limit * 1e9);
	long n;

	for (n = 0; n < opt.syncs && now_ns() < limit; n++) {
		usleep((useconds_t)opt.work);
		atomic_fetch_add(&asked, 1);
		atomic_store(&sent, now_ns());
		wake();
		while (atomic_load(&got) == n && now_ns() < limit)
			sched_yield();
	}
	out_percentiles("", ns, atomic_load(&got));
	if (n < opt.syncs)
		out("gave up after", (double)n, "wakes");
}

/*
 * A task
 */

#if !defined(BENCH_BUILTIN)

static struct lws_threadpool_task *task;

static enum lws_threadpool_task_return
sleeper(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	arrived();

	return s == LWS_TP_STATUS_STOPPING ? LWS_TP_RETURN_STOPPED :
					     lws_threadpool_park(-1);
}

static void
wake_task(void)
{
	lws_threadpool_task_wake(task);
}

static void
ask_task(void)
{
	const struct lws_threadpool_task_args args = { .task = sleeper };
	struct lws_threadpool *tp;

	rig_up(0, NULL);
	tp = rig_pool(opt.threads, 16);
	task = lws_threadpool_enqueue(tp, &args, "sleeper");
	if (!task)
		die("refused");
	ask(wake_task);
	rig_down(tp);
}

#else

static void
ask_task(void)
{
	die("it parks nothing");
}

#endif

/*
 * A thread
 */

static int event;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long wakes; /* lock */

static void *
reads_an_eventfd(void *arg)
{
	eventfd_t value;

	(void)arg;
	while (!eventfd_read(event, &value))
		arrived();

	return NULL;
}

static void
write_it(void)
{
	if (eventfd_write(event, 1))
		die("eventfd_write");
}

static void *
waits_on_a_condition(void *arg)
{
	long seen = 0;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&lock);
		while (wakes == seen)
			pthread_cond_wait(&cond, &lock);
		seen = wakes;
		pthread_mutex_unlock(&lock);
		arrived();
	}

	return NULL;
}

static void
signal_it(void)
{
	pthread_mutex_lock(&lock);
	wakes++;
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&lock);
}

static void
ask_thread(void *(*thread)(void *arg), void (*wake)(void))
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread, NULL))
		die("no thread");
	ask(wake);
}

int
bench_park(void)
{
	if (!opt.syncs)
		opt.syncs = 20000;
	if (!opt.work)
		opt.work = 100;
	params("k=%ld;b=%d", opt.syncs, opt.work);
	ns = need((size_t)opt.syncs, sizeof(*ns));
	event = eventfd(0, EFD_CLOEXEC);
	if (is(opt.who, "eventfd"))
		ask_thread(reads_an_eventfd, write_it);
	else if (is(opt.who, "thread"))
		ask_thread(waits_on_a_condition, signal_it);
	else
		ask_task();

	return 0;
}
