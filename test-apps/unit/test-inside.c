/*
 * lws-threadpool unit tests - what takes 2^31 tasks, or too long, to be seen
 * from outside
 *
 * SPDX-License-Identifier: MIT
 *
 * Includes the library's private header, and is linked with its archive.
 *
 * LWSTP_INSIDE
 * LWSTP_WRAP: clock_gettime sysconf getrlimit
 */

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../lib/private.h"

#include "harness.h"

#define BIG_GENERATION	(UINTPTR_MAX > 0xffffffffu ? 0x7fffffffu : 0xfffu)
#define SLOTS_MOST	(UINTPTR_MAX > 0xffffffffu ? 0x7fffffffu : 0x3ffffu)

/* clocks may be put forward, or stand still: all threads see it */
static atomic_llong forward_secs, still_at;

int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = __real_clock_gettime(clock, ts);
	long long still = atomic_load(&still_at);

	if (still) {
		ts->tv_sec = (time_t)still;
		ts->tv_nsec = 0;
	}
	ts->tv_sec += (time_t)atomic_load(&forward_secs);

	return r;
}

static int
setup(void **state)
{
	atomic_store(&forward_secs, 0);
	atomic_store(&still_at, 0);

	return rig_setup(state);
}

/* as many processors as a test says, or what there are */
static long processors;

long __real_sysconf(int name);
long __wrap_sysconf(int name);

long
__wrap_sysconf(int name)
{
	if (name == _SC_NPROCESSORS_ONLN && processors)
		return processors;

	return __real_sysconf(name);
}

/* makers of a host, which ask for the limit of fds: the first waits a while for
 * the second, if a test says so */
static atomic_int makers = 2;

int __real_getrlimit(int what, struct rlimit *limit);
int __wrap_getrlimit(int what, struct rlimit *limit);

int
__wrap_getrlimit(int what, struct rlimit *limit)
{
	if (!atomic_fetch_add(&makers, 1))
		for (int ms = 0; ms < 500 && atomic_load(&makers) < 2; ms++)
			poll(NULL, 0, 1);

	return __real_getrlimit(what, limit);
}

static void
serve_the_rest(struct rig *rig, struct conn *c)
{
	c->manual = false;
	lws_callback_on_writable(c->wsi);
	rig_until_cleaned(rig);
}

/* of one thread, that spins wherever this runs */
static struct lws_threadpool *
spinning_pool(struct rig *rig)
{
	struct lws_threadpool *tp;

	processors = 2;
	tp = rig_pool(rig, 1, 10);
	processors = 0;

	return tp;
}

static struct lwstp_pool *
pool_of(struct lws_threadpool *tp)
{
	uint32_t generation;

	return (struct lwstp_pool *)lwstp_handle_slot(&lwstp_pool_slots, tp,
					LWSTP_HANDLE_POOL, &generation);
}

static struct lwstp_task *
task_of(struct lws_threadpool_task *handle)
{
	uint32_t generation;

	return (struct lwstp_task *)lwstp_handle_slot(&lwstp_task_slots,
				handle, LWSTP_HANDLE_TASK, &generation);
}

/* Q6: no handle comes twice on 64 bits: a slot that had all its generations is
 * given up.  On 32 bits it begins again. */
static void
a_slot_that_is_worn_out(void **state)
{
	struct lwstp_task task;
	struct lwstp_slot *slot = &task.slot;
	bool again = UINTPTR_MAX <= 0xffffffffu;

	(void)state;
	memset(&task, 0, sizeof(task));
	slot->generation = BIG_GENERATION - 1;
	assert_true(lwstp_slot_renew(slot));
	assert_int_equal(slot->generation, BIG_GENERATION);
	assert_int_equal(lwstp_slot_renew(slot), again);
	assert_int_equal(slot->generation, again ? 1 : 0);
}

/* Q6: a pool whose slot is worn out is the last in it; so is a task */
static void
what_lives_in_a_worn_out_slot(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10), *other[20];
	struct lwstp_pool *pool = pool_of(tp);
	struct gate *gate = gate_new(rig);
	struct lwstp_task *task;
	struct job *j, *last;

	if (UINTPTR_MAX <= 0xffffffffu)
		return;		/* they begin again there: see above */

	last = job_block(rig, tp, gate);
	task = task_of(last->task);
	lwstp_lock_pool(pool);
	task->slot.generation = BIG_GENERATION;
	lwstp_unlock_pool(pool);
	gate_open(gate);
	wait_int(&last->cleanups, 1);
	for (int n = 0; n < 3 * LWSTP_STOCK; n++) {
		j = job_new(rig);
		job_enqueue(tp, j, NULL);
		wait_int(&j->cleanups, 1);
		assert_ptr_not_equal(task_of(j->task), task);
	}

	lwstp_lock_pool(pool);
	pool->slot.generation = BIG_GENERATION;
	tp = lwstp_handle(&pool->slot, LWSTP_HANDLE_POOL);
	lwstp_unlock_pool(pool);
	for (int n = 0; n < 64; n++)
		if (rig->pools[n] && pool_of(rig->pools[n]) == pool)
			rig->pools[n] = tp;
	rig_pool_destroy(rig, tp);
	assert_int_equal(pool->slot.generation, 0);
	for (int n = 0; n < 20; n++) {
		other[n] = rig_pool(rig, 1, 1);
		assert_ptr_not_equal(pool_of(other[n]), pool);
	}
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_ERR, "there is no pool"), 1);
}

/* a handle of generation 0, which nothing has ever had */
static void
a_handle_without_a_generation(void **state)
{
	struct lwstp_slot *slot = lwstp_slots_take(&lwstp_pool_slots, 1), *got;
	uint32_t generation = 77, was;
	void *handle;

	(void)state;
	assert_non_null(slot);
	handle = lwstp_handle(slot, LWSTP_HANDLE_POOL);
	got = lwstp_handle_slot(&lwstp_pool_slots, handle, LWSTP_HANDLE_POOL,
				&generation);
	assert_ptr_equal(got, slot);
	assert_int_equal(generation, slot->generation);
	was = slot->generation;
	slot->generation = 0;
	handle = lwstp_handle(slot, LWSTP_HANDLE_POOL);
	assert_null(lwstp_handle_slot(&lwstp_pool_slots, handle,
				      LWSTP_HANDLE_POOL, &generation));
	slot->generation = was;
	slot->next_free = NULL;
	lwstp_slots_give(&lwstp_pool_slots, slot);
}

/* T8, P1: where handles end, there are no more slots; and no chunk of them is
 * beyond the last */
static void
a_table_that_is_full(void **state)
{
	static struct lwstp_slots full = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.size = sizeof(struct lwstp_task), .first_bits = 8,
		.used = SLOTS_MOST + 1u
	}, chunks = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.size = 1, .first_bits = 0,
		.used = UINTPTR_MAX > 0xffffffffu ? (1u << 26) - 1 : SLOTS_MOST
	};
	uint32_t generation;
	const void *handle;

	(void)state;
	assert_null(lwstp_slots_take(&full, 1));
	if (UINTPTR_MAX > 0xffffffffu) {
		assert_null(lwstp_slots_take(&chunks, 1));
		handle = (void *)(((uintptr_t)1 << 33) |
				  ((uintptr_t)0x7fffffffu << 2) |
				  LWSTP_HANDLE_TASK);
		assert_null(lwstp_handle_slot(&chunks, handle,
					LWSTP_HANDLE_TASK, &generation));
	}
}

static atomic_int passed;

static bool
mark_is_gone(void *wsi)
{
	bool gone;

	lwstp_lock_bindings();
	gone = !__lwstp_binding_find(wsi);
	lwstp_unlock_bindings();

	return gone;
}

static void
set_it(lws_sorted_usec_list_t *sul)
{
	(void)sul;
	atomic_store(&passed, 1);
}

/* lws's timers have been looked at after so long */
static void
let_pass(struct rig *rig, lws_usec_t us)
{
	lws_sorted_usec_list_t sul;

	memset(&sul, 0, sizeof(sul));
	atomic_store(&passed, 0);
	lws_sul_schedule(rig->context, 0, &sul, set_it, us);
	rig_until_int(rig, &passed, 1);
}

/* W4: the mark of a wsi that closed is kept for ten seconds, though it is
 * looked at earlier, and no longer */
static void
a_mark_goes_by_itself(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c[3];
	struct lws *wsi[3];
	int n;

	for (n = 0; n < 3; n++) {
		c[n] = conn_open(rig, CONN_RAW);
		wsi[n] = c[n]->wsi;
		job_enqueue(tp, job_new(rig), wsi[n]);
	}
	rig_until_cleaned(rig);
	for (n = 0; n < 3; n++) {
		conn_fin(c[n]);
		conn_until_closed(c[n]);
	}
	let_pass(rig, LWS_US_PER_SEC + LWS_US_PER_SEC / 10);
	for (n = 0; n < 3; n++)
		assert_false(mark_is_gone(wsi[n]));
	atomic_fetch_add(&forward_secs, 11);
	for (n = 0; n < 3; n++)
		rig_until(rig, mark_is_gone, wsi[n]);
}

/* P2: one line for each second, that tells how many there were without one */
static void
refusals_are_logged_each_second(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct gate *gate = gate_new(rig);
	struct timespec ts;
	int n, second;

	job_block(rig, tp, gate);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	__real_clock_gettime(CLOCK_MONOTONIC, &ts);
	atomic_store(&still_at, ts.tv_sec);
	for (second = 0; second < 3; second++) {
		for (n = 0; n < 5; n++)
			assert_null(job_enqueue(tp, job_new(rig), NULL));
		assert_int_equal(log_claim(LLL_WARN, "refuses a task"),
				 second + 1);
		assert_int_equal(log_count(LLL_WARN, "; 4 more"), second);
		atomic_fetch_add(&forward_secs, 1);
	}
	atomic_store(&still_at, 0);
	gate_open(gate);
}

static void
add_alive(struct lws_threadpool *tp, int n)
{
	struct lwstp_pool *pool = pool_of(tp);

	lwstp_lock_pool(pool);
	pool->alive += n;
	lwstp_unlock_pool(pool);
}

/* P2: threads that were free when a task was let in beyond the depth may be
 * busy at the next one */
static void
free_threads_are_counted_each_time(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct gate *gate = gate_new(rig);

	job_block(rig, tp, gate);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	add_alive(tp, 2);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	add_alive(tp, -2);
	assert_null(job_enqueue(tp, job_new(rig), NULL));
	assert_int_equal(log_claim(LLL_WARN, "max_queue_depth tasks wait"), 1);
	gate_open(gate);
}

/* S5, P1: what the options mean, 0 and less than that too */
static void
options_and_their_defaults(void **state)
{
	static const struct {
		int		secs, us;
		long		processors;
		lws_usec_t	timeout;
		int		spin, nap;
	} want[] = {
		{ 0, 0, 4, LWSTP_SYNC_TIMEOUT_SECS * LWS_US_PER_SEC,
		  LWSTP_SYNC_SPIN_US, LWSTP_NAP_US },
		{ -1, -1, 4, 0, 0, 0 },
		{ -7, 77, 4, 0, 77, LWSTP_NAP_US },
		{ 7, 77, 2, 7 * LWS_US_PER_SEC, 77, LWSTP_NAP_US },
		{ 7, 3, 2, 7 * LWS_US_PER_SEC, 3, 3 },
		{ 7, 77, 1, 7 * LWS_US_PER_SEC, 0, 0 },
		{ 7, 0, 1, 7 * LWS_US_PER_SEC, 0, 0 },
	};
	struct rig *rig = *state;
	struct lws_threadpool_options o;
	struct lws_threadpool *tp;
	size_t n;

	for (n = 0; n < sizeof(want) / sizeof(want[0]); n++) {
		memset(&o, 0, sizeof(o));
		o.size = sizeof(o);
		o.sync_timeout_secs = want[n].secs;
		o.sync_spin_us = want[n].us;
		processors = want[n].processors;
		tp = rig_pool_ext(rig, 1, 1, &o);
		processors = 0;
		assert_int_equal(pool_of(tp)->sync_timeout, want[n].timeout);
		assert_int_equal(pool_of(tp)->spin_us, want[n].spin);
		assert_int_equal(pool_of(tp)->nap_us, want[n].nap);
	}
}

/* S5: the time in which nobody answers begins with the SYNC, however long it
 * was at work before */
static void
a_timeout_begins_with_the_sync(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *other = job_new(rig);

	c->manual = true;
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);
	atomic_fetch_add(&forward_secs, 2 * LWSTP_SYNC_TIMEOUT_SECS);
	gate_open(gate);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	/* its thread has looked for what is timed out since */
	job_enqueue(tp, other, NULL);
	wait_int(&other->cleanups, 1);
	wait_status(j, LWS_TP_STATUS_SYNCING);

	/* and another minute is not too much, but five more are */
	for (int n = 0; n < 2; n++) {
		atomic_fetch_add(&forward_secs,
				 n ? LWSTP_SYNC_TIMEOUT_SECS : 60);
		other = job_new(rig);
		job_enqueue(tp, other, NULL);
		wait_int(&other->cleanups, 1);
		if (!n)
			wait_status(j, LWS_TP_STATUS_SYNCING);
	}
	wait_status(j, LWS_TP_STATUS_STOPPED);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	lws_threadpool_task_status(j->task, NULL);
}

static struct pollfd told_bell = { .events = POLLIN };
/* whether the bell had been rung when the log function was called: 0 = it was not
 * called */
static atomic_int rung_before;

static void
look_at_the_bell(const char *line)
{
	if (strstr(line, "nobody answered"))
		atomic_store(&rung_before,
			     poll(&told_bell, 1, 0) == 1 ? 1 : -1);
}

/* S3: a thread that has a SYNC to tell of, and finds another task timed out, tells
 * of the SYNC before the user's log function gets that, which may take its time */
static void
a_log_function_delays_no_ring(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *unread = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC), *late;
	struct lwstp_bell *bell = pool_of(tp)->host->bell;
	struct gate *gate = gate_new(rig);

	unread->manual = true;
	late = job_park(rig, tp, unread->wsi);
	rig_drain(rig);
	if (!atomic_load(&bell->adopted))
		skip();		/* lws_cancel_service() rings it */
	j->gate = gate;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->calls, 1);

	told_bell.fd = bell->fd;
	atomic_store(&rung_before, 0);
	atomic_store(&log_told, look_at_the_bell);
	atomic_fetch_add(&forward_secs, 2 * LWSTP_SYNC_TIMEOUT_SECS);
	gate_open(gate);
	wait_status(late, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&rung_before), 1);
	assert_int_equal(log_claim(LLL_WARN, "nobody answered its SYNC"), 1);
	rig_until_int(rig, &j->cleanups, 1);
}

static unsigned int
unseen_of(struct lws_threadpool_task *handle)
{
	unsigned int unseen;

	lwstp_lock_bindings();
	__lwstp_bell_collect(task_of(handle)->binding->bell);
	unseen = task_of(handle)->binding->unseen;
	lwstp_unlock_bindings();

	return unseen;
}

static bool
is_unseen(void *task)
{
	return unseen_of(task) == 1;
}

static int
ask_the_other(struct job *j, enum lws_threadpool_task_status s)
{
	struct job *other = j->priv;

	(void)s;
	if (lws_threadpool_task_status(other->task, NULL) !=
						LWS_TP_STATUS_SYNCING ||
	    lws_threadpool_task_status_noreap(other->task) !=
						LWS_TP_STATUS_SYNCING)
		job_fault(j, "the other is not SYNCING");

	return LWS_TP_RETURN_FINISHED;
}

/* S5: a pool thread that asks has not served it */
static void
a_pool_thread_s_look_does_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *asks = job_new(rig);

	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	asks->fn = ask_the_other;
	asks->priv = parked;
	job_enqueue(tp, asks, NULL);
	wait_int(&asks->cleanups, 1);
	assert_int_equal(unseen_of(parked->task), 1);
	/* the service thread's does */
	lws_threadpool_task_status(parked->task, NULL);
	assert_int_equal(unseen_of(parked->task), 0);

	lws_threadpool_task_sync(parked->task, 0);
	/* it has returned, and its worker told of it */
	wait_until(is_unseen, parked->task);
	lws_threadpool_task_status_noreap(parked->task);
	assert_int_equal(unseen_of(parked->task), 0);
	lws_threadpool_task_status(parked->task, NULL);
}

static void *
ask_for_status(void *task)
{
	if (lws_threadpool_task_status_noreap(task) != LWS_TP_STATUS_SYNCING)
		return task;

	return NULL;
}

/* S5: nor has any other thread that watches it */
static void
another_thread_s_look_does_not_count(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *parked = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	pthread_t watch;
	void *wrong;

	job_enqueue(tp, job_script(rig, 1, LWS_TP_RETURN_SYNC), c->wsi);
	rig_until_cleaned(rig);		/* this thread serves the bell */
	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	wait_int(&parked->returns, 1);
	wait_until(is_unseen, parked->task);
	assert_int_equal(pthread_create(&watch, NULL, ask_for_status,
					parked->task), 0);
	pthread_join(watch, &wrong);
	assert_null(wrong);
	assert_int_equal(unseen_of(parked->task), 1);
	assert_int_equal(lws_threadpool_task_status_noreap(parked->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(unseen_of(parked->task), 0);
	lws_threadpool_task_sync(parked->task, 0);
	c->manual = false;
	rig_until_cleaned(rig);
}

/* S3: a bell that was answered is silent: nothing is left in its fd, which lws
 * would tell of for ever */
static void
a_bell_is_silent_when_answered(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lwstp_bell *bell = pool_of(tp)->host->bell;
	struct pollfd pfd = { .events = POLLIN };

	c->manual = true;
	rig_drain(rig);
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	if (!atomic_load(&bell->adopted))
		skip();		/* lws_cancel_service() rings it */
	pfd.fd = bell->fd;
	/* rung by its thread: the lock is behind it, but the write is not */
	assert_int_equal(poll(&pfd, 1, 60 * 1000), 1);
	rig_until_int(rig, &j->returns, 1);
	rig_drain(rig);
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

/* Fact 6: lws gets its timers back while the context is destroyed, though the
 * pool lives on */
static void
no_timer_outlives_its_context(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c[2] = { conn_open(rig, CONN_RAW),
			      conn_open(rig, CONN_RAW) };
	struct job *j[2];
	struct lwstp_bell *bell = pool_of(tp)->host->bell;

	for (int n = 0; n < 2; n++) {
		c[n]->manual = true;
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		job_enqueue(tp, j[n], c[n]->wsi);
		wait_int(&j[n]->returns, 1);
		rig_drain(rig);
	}
	conn_fin(c[0]);
	conn_until_closed(c[0]);
	assert_non_null(bell->rering.list.owner);
	if (conn_kind_watched(CONN_RAW))
		assert_non_null(bell->sweep.list.owner);
	rig_context_destroy(rig);
	assert_null(bell->rering.list.owner);
	assert_null(bell->sweep.list.owner);
	assert_null(bell->ask_streams.list.owner);
	for (int n = 0; n < 2; n++)
		wait_int(&j[n]->cleanups, 1);
}

static void *
create_one(void *context)
{
	struct lws_threadpool_create_args args = { 1, 10 };

	return lws_threadpool_create(context, &args, "one");
}

/* Two threads that make the first pools of a context at a time: one host, and so
 * one binding for each wsi */
static void
two_threads_make_one_host(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[2];
	pthread_t t[2];
	void *made;

	atomic_store(&makers, 0);
	for (int n = 0; n < 2; n++)
		assert_int_equal(pthread_create(&t[n], NULL, create_one,
						rig->context), 0);
	for (int n = 0; n < 2; n++) {
		pthread_join(t[n], &made);
		assert_non_null(made);
		tp[n] = made;
	}
	assert_int_equal(atomic_load(&makers), 1);
	assert_ptr_equal(pool_of(tp[0])->host, pool_of(tp[1])->host);
	for (int n = 0; n < 2; n++)
		lws_threadpool_destroy(tp[n]);
	atomic_store(&makers, 2);
}

/* T7: pools that come and go use the slots of those before */
static void
slots_are_used_again(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp;
	uint32_t used[3] = { 0 };
	struct job *j;

	for (int round = 0; round < 40; round++) {
		tp = rig_pool(rig, 3, 1000);
		for (int n = 0; n < 3 * LWSTP_STOCK; n++) {
			j = job_new(rig);
			job_enqueue(tp, j, NULL);
			if (!(n % 50))
				wait_int(&j->cleanups, 1);
		}
		rig_pool_destroy(rig, tp);
		/* how many it takes at the most depends on the threads */
		if (round == 9) {
			used[0] = lwstp_task_slots.used;
			used[1] = lwstp_worker_slots.used;
			used[2] = lwstp_pool_slots.used;
		}
	}
	assert_in_range(lwstp_task_slots.used, used[0],
			used[0] + 3 * LWSTP_STOCK);
	assert_int_equal(lwstp_worker_slots.used, used[1]);
	assert_int_equal(lwstp_pool_slots.used, used[2]);
}

static bool
has_an_idle_thread(void *arg)
{
	struct lwstp_pool *pool = arg;
	bool idle;

	lwstp_lock_pool(pool);
	idle = pool->idle;
	lwstp_unlock_pool(pool);

	return idle;
}

static bool
timeout_was_told(void *arg)
{
	(void)arg;

	return log_claim(LLL_WARN, "nobody answered its SYNC");
}

/* S5: a thread goes to sleep while nothing is SYNCING, and another has no time
 * to sleep when something is: then the first is woken to watch the time */
static void
a_sleeping_thread_becomes_the_keeper(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool_options o = { .size = sizeof(o),
					    .sync_timeout_secs = 1,
					    .sync_spin_us = -1,
					    .pin_tasks = 1 };
	struct lws_threadpool *tp = rig_pool_ext(rig, 2, 10, &o);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *a = gate_new(rig), *b = gate_new(rig),
		    *other = gate_new(rig);
	struct job *first = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *second = job_script(rig, 1, LWS_TP_RETURN_SYNC), *blocker;
	struct timespec ts;

	/* nothing times out before its time */
	__real_clock_gettime(CLOCK_MONOTONIC, &ts);
	atomic_store(&still_at, ts.tv_sec);
	c->manual = true;
	first->gate = b;
	first->gate_call = 1;
	job_enqueue(tp, first, c->wsi);
	wait_status(first, LWS_TP_STATUS_SYNCING);
	/* on the thread that first is pinned to: the other one is busy */
	do {
		blocker = job_block(rig, tp, other);
		if (!pthread_equal(blocker->first_thread, first->first_thread))
			break;
		gate_open(other);
		wait_int(&blocker->cleanups, 1);
		other = gate_new(rig);
	} while (1);
	second->gate = a;
	job_enqueue(tp, second, c->wsi);
	wait_int(&second->calls, 1);
	lws_threadpool_task_sync(first->task, 0);
	/* nothing is SYNCING now, and the other goes to sleep */
	gate_open(other);
	wait_int(&blocker->cleanups, 1);
	wait_until(has_an_idle_thread, pool_of(tp));
	/* second parks, and its thread goes on with first */
	gate_open(a);
	wait_int(&first->calls, 2);
	atomic_store(&still_at, 0);
	wait_until(timeout_was_told, NULL);
	gate_open(b);
	serve_the_rest(rig, c);
	assert_int_equal(atomic_load(&second->stopping), 1);
}

#define BURST	10

/* S3: however many SYNC before the service thread answers, that is one write */
static void
a_burst_rings_once(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, BURST);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_bell *bell = pool_of(tp)->host->bell;
	uint64_t writes = 0;
	int n;

	c->manual = true;
	rig_drain(rig);
	if (!atomic_load(&bell->adopted))
		skip();		/* lws_cancel_service() rings it */
	for (n = 0; n < BURST; n++)
		job_park(rig, tp, c->wsi);
	/* the thread sleeps: whatever it wrote is there */
	wait_until(has_an_idle_thread, pool_of(tp));
	assert_int_equal(read(bell->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	assert_int_equal(writes, 1);
	/* and now for lws */
	assert_int_equal(write(bell->fd, &writes, sizeof(writes)),
			 sizeof(writes));
	c->manual = false;
	rig_until_cleaned(rig);
}

static bool
is_asked_for(void *wsi)
{
	struct lwstp_binding *b;
	bool asked;

	lwstp_lock_bindings();
	b = __lwstp_binding_find(wsi);
	asked = b->asked && !b->rung;
	lwstp_unlock_bindings();

	return asked;
}

/* S2: a thread looks out for what is enqueued, and has lost its processor.
 * When much came, and its time is over, another is woken. */
static void
a_spinner_that_is_late_is_not_waited_for(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, LWSTP_MANY_TASKS);
	struct lwstp_pool *pool = pool_of(tp);
	struct job *j = NULL;
	int n;

	wait_until(has_an_idle_thread, pool);
	lwstp_lock_pool(pool);
	pool->spinner = pool->workers[0];
	pool->spin_end = 0;
	atomic_store(&pool->may_wake, (int)LWSTP_WAKE_IF_MANY);
	lwstp_unlock_pool(pool);
	for (n = 0; n < LWSTP_MANY_TASKS; n++) {
		assert_true(has_an_idle_thread(pool));
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
	}
	wait_int(&j->cleanups, 1);
	lwstp_lock_pool(pool);
	pool->spinner = NULL;
	lwstp_unlock_pool(pool);
}

/* S5: what was rung and not yet answered is not asked for a second time */
static void
the_repeat_leaves_a_ring_to_its_answer(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *a = job_script(rig, 1, LWS_TP_RETURN_SYNC),
		   *b = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lwstp_binding *binding;
	bool asked, rung;

	c->manual = true;
	job_enqueue(tp, a, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	lwstp_lock_bindings();
	binding = __lwstp_binding_find(c->wsi);
	lwstp_unlock_bindings();

	/* its thread has rung, and lws has not polled since */
	job_enqueue(tp, b, c->wsi);
	wait_status(b, LWS_TP_STATUS_SYNCING);
	atomic_fetch_add(&forward_secs, 2);
	log_info();
	lwstp_bell_rering(&binding->bell->rering);
	lwstp_lock_bindings();
	asked = binding->asked;
	rung = binding->rung;
	lwstp_unlock_bindings();
	assert_true(!asked && rung);
	assert_int_equal(log_count(LLL_INFO, "asking for WRITEABLE again"), 0);
	c->manual = false;
}

static bool
is_looking(void *arg)
{
	struct lwstp_bell *bell = arg;

	return !lws_dll2_is_detached(&bell->look.list);
}

static bool
is_asleep(void *arg)
{
	struct lwstp_bell *bell = arg;

	return !is_looking(bell) && !bell->awake;
}

/* Answers are followed by looks, which end, and in vain get rarer. */
static void
an_answer_is_followed_by_looks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_bell *bell = pool_of(tp)->host->bell;
	unsigned int n, after;
	struct job *j;

	c->manual = true;
	for (after = 1; after < LWSTP_LOOK_AFTER; after *= 2) {
		assert_int_equal(bell->look_after, after);
		for (n = 0; n < after; n++) {
			j = job_park(rig, tp, c->wsi);
			/* it is this thread that answers */
			rig_until(rig, is_asked_for, c->wsi);
			assert_false(is_looking(bell));
			lws_threadpool_task_sync(j->task, 0);
			wait_status(j, LWS_TP_STATUS_FINISHED);
			lws_threadpool_task_status(j->task, NULL);
		}
		assert_true(is_looking(bell));
		rig_until(rig, is_asleep, bell);
	}
	assert_int_equal(bell->look_after, LWSTP_LOOK_AFTER);
}

/* What comes meanwhile is found, rung for or not, and then it looks after the
 * next answer, too; as it does where that comes while it looks. */
static void
a_look_finds_what_came(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lwstp_bell *bell = pool_of(tp)->host->bell;
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC);

	c->manual = true;
	job_enqueue(tp, j, c->wsi);
	wait_int(&j->returns, 1);
	rig_until(rig, is_asked_for, c->wsi);
	lws_threadpool_task_sync(j->task, 0);
	assert_true(is_looking(bell));
	bell->look_after = LWSTP_LOOK_AFTER;
	wait_int(&j->returns, 2);
	wait_until(has_an_idle_thread, pool_of(tp));
	bell->look.cb(&bell->look);
	assert_true(is_asked_for(c->wsi));
	assert_int_equal(bell->look_after, 1);

	bell->look_after = LWSTP_LOOK_AFTER;
	assert_true(bell->looked);
	lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(bell->look_after, 1);
	assert_false(bell->looked);
	serve_the_rest(rig, c);
	rig_until(rig, is_asleep, bell);
}

static bool
is_awake(void *arg)
{
	struct lwstp_bell *bell = arg;

	return bell->awake;
}

/* After an answer the loop does not sleep, until it is time to. */
static void
an_answer_keeps_the_loop_awake(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);
	struct lws_threadpool *tp;
	struct lwstp_bell *bell;
	struct timespec now;

	tp = spinning_pool(rig);
	bell = pool_of(tp)->host->bell;
	c->manual = true;
	j->gate = gate;
	j->gate_call = 1;
	job_enqueue(tp, j, c->wsi);
	wait_status(j, LWS_TP_STATUS_SYNCING);
	rig_until(rig, is_asked_for, c->wsi);
	if (!atomic_load(&bell->adopted)) {
		gate_open(gate);
		serve_the_rest(rig, c);
		skip();		/* lws_cancel_service() rings it */
	}
	__real_clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&still_at, (long long)now.tv_sec);
	lws_threadpool_task_sync(j->task, 0);
	rig_until(rig, is_awake, bell);
	rig_turns(rig, 20);
	assert_true(is_awake(bell) && !is_looking(bell));
	assert_true(atomic_load(&bell->signalled));
	atomic_store(&forward_secs, 1);
	rig_until(rig, is_asleep, bell);
	assert_int_equal(bell->look_after, 2);
	gate_open(gate);
	atomic_store(&still_at, 0);
	atomic_store(&forward_secs, 0);
	c->manual = false;
	rig_until_cleaned(rig);
}

/* But it does if other tasks wait for a thread, which may need its processor. */
static void
a_busy_pool_keeps_no_loop_awake(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool *tp;
	struct lwstp_bell *bell;
	struct job *j[2];

	tp = spinning_pool(rig);
	bell = pool_of(tp)->host->bell;
	c->manual = true;
	for (int n = 0; n < 2; n++)
		j[n] = job_park(rig, tp, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	job_block(rig, tp, gate);
	lws_threadpool_task_sync(j[0]->task, 0);
	assert_int_equal(bell->awake_until > 0, atomic_load(&bell->adopted));
	lws_threadpool_task_sync(j[1]->task, 0);
	assert_int_equal(bell->awake_until, 0);
	gate_open(gate);
	serve_the_rest(rig, c);
	rig_until(rig, is_asleep, bell);
}

/* ...enqueued lately, too */
static void
what_is_incoming_keeps_no_loop_awake(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool *tp;
	struct job *j;

	tp = spinning_pool(rig);
	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	job_block(rig, tp, gate);
	job_enqueue(tp, job_new(rig), NULL);
	lws_threadpool_task_sync(j->task, 0);
	assert_int_equal(pool_of(tp)->host->bell->awake_until, 0);
	gate_open(gate);
	serve_the_rest(rig, c);
}

/* And with the spin off */
static void
no_spin_keeps_no_loop_awake(void **state)
{
	struct lws_threadpool_create_args args = { 1, 10 };
	struct lws_threadpool_options o = { .size = sizeof(o),
					    .sync_spin_us = -1 };
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp;
	struct job *j;

	tp = lws_threadpool_create_ext(rig->context, &args, &o, "no spin");
	assert_non_null(tp);
	c->manual = true;
	j = job_park(rig, tp, c->wsi);
	rig_until(rig, is_asked_for, c->wsi);
	lws_threadpool_task_sync(j->task, 0);
	assert_true(is_looking(pool_of(tp)->host->bell));
	assert_int_equal(pool_of(tp)->host->bell->awake_until, 0);
	serve_the_rest(rig, c);
	lws_threadpool_destroy(tp);
}

/* Where lws may be in an external poll loop a timer looks too, as long as a wsi
 * is open: less and less often, since here the bell is heard without it */
#if defined(LWS_WITH_EXTERNAL_POLL)
static bool
is_slow(void *arg)
{
	struct lwstp_bell *bell = arg;

	return bell->expect_us == LWSTP_RERING_US;
}

static bool
is_not_expecting(void *arg)
{
	struct lwstp_bell *bell = arg;

	return lws_dll2_is_detached(&bell->expect.list);
}
#endif

static void
the_timer_of_external_poll_loops_ends(void **state)
{
#if defined(LWS_WITH_EXTERNAL_POLL)
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct lwstp_bell *bell = pool_of(tp)->host->bell;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	assert_true(is_not_expecting(bell));
	assert_non_null(job_enqueue(tp, j, c->wsi));
	assert_false(is_not_expecting(bell));
	assert_int_equal(bell->expect_us, LWSTP_EXPECT_US);
	rig_until_cleaned(rig);
	rig_until(rig, is_slow, bell);
	assert_false(is_not_expecting(bell));
	conn_fin(c);
	rig_until(rig, is_not_expecting, bell);
#else
	(void)state;
	skip();		/* there is none */
#endif
}

struct finishing {
	struct lwstp_pool	*pool;
	struct gate		*gate;
	struct job		*runs;
};

/* it waits for work again, or has left */
static bool
its_thread_has_looked(void *arg)
{
	struct lwstp_pool *pool = arg;
	bool looked;

	lwstp_lock_pool(pool);
	looked = pool->idle || !pool->alive;
	lwstp_unlock_pool(pool);

	return looked;
}

static void
let_the_thread_look(struct job *j, struct lws *wsi)
{
	struct finishing *f = j->priv;

	(void)wsi;
	gate_open(f->gate);
	wait_int(&f->runs->cleanups, 1);
	wait_until(its_thread_has_looked, f->pool);
}

/* P3, T4: finish() gets to a parked task last.  No thread leaves before. */
static void
no_thread_leaves_a_parked_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct finishing f = { pool_of(tp), gate_new(rig), NULL };
	struct job *parked = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC),
		   *queued = job_new(rig), *late = job_new(rig);

	c->manual = true;
	job_enqueue(tp, parked, c->wsi);
	wait_status(parked, LWS_TP_STATUS_SYNCING);
	f.runs = job_block(rig, tp, f.gate);
	queued->on_cleanup = let_the_thread_look;
	queued->priv = &f;
	job_enqueue(tp, queued, NULL);
	job_enqueue(tp, late, NULL);

	lws_threadpool_finish(tp);
	assert_int_equal(atomic_load(&queued->cleanups), 1);
	assert_int_equal(atomic_load(&late->cleanups), 1);
	/* what was queued is not started by it either */
	assert_int_equal(atomic_load(&late->calls), 0);
	wait_status(parked, LWS_TP_STATUS_STOPPED);
	assert_int_equal(atomic_load(&parked->stopping), 1);
	lws_threadpool_task_status(parked->task, NULL);
}

static void *
open_when_warned(void *arg)
{
	while (!log_count(LLL_WARN, "waiting for"))
		usleep(1000);
	gate_open(arg);

	return NULL;
}

/* P4: of many it names those that there is room for in a line */
static void
destroy_names_many_tasks(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 20, 10);
	struct gate *g = gate_new(rig);
	struct job *j[20];
	pthread_t helper;
	int n;

	for (n = 0; n < 20; n++) {
		j[n] = job_gated(rig, g);
		j[n]->name = "a-name-that-is-as-long-as-a-name-of-a-task-is";
		assert_non_null(job_enqueue(tp, j[n], NULL));
		wait_int(&j[n]->calls, 1);
	}
	assert_int_equal(pthread_create(&helper, NULL, open_when_warned, g),
			 0);
	/* what is to come after 5 s comes after one */
	atomic_store(&forward_secs, -4);
	rig_pool_destroy(rig, tp);
	for (n = 0; n < 20; n++)
		assert_int_equal(atomic_load(&j[n]->cleanups), 1);
	pthread_join(helper, NULL);
	assert_true(log_count(LLL_WARN, "waiting for 5 s for: a-name-that-is-as"
			      "-long-as-a-name-of-a-task-is, a-name") >= 1);
	log_claim(LLL_WARN, "waiting for");
}

#define INSIDE_TEST(f) \
	cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_that_is_worn_out),
		INSIDE_TEST(what_lives_in_a_worn_out_slot),
		cmocka_unit_test(a_handle_without_a_generation),
		cmocka_unit_test(a_table_that_is_full),
		INSIDE_TEST(a_mark_goes_by_itself),
		INSIDE_TEST(refusals_are_logged_each_second),
		INSIDE_TEST(free_threads_are_counted_each_time),
		INSIDE_TEST(options_and_their_defaults),
		INSIDE_TEST(a_timeout_begins_with_the_sync),
		INSIDE_TEST(a_log_function_delays_no_ring),
		INSIDE_TEST(a_pool_thread_s_look_does_not_count),
		INSIDE_TEST(another_thread_s_look_does_not_count),
		INSIDE_TEST(a_bell_is_silent_when_answered),
		INSIDE_TEST(no_timer_outlives_its_context),
		INSIDE_TEST(two_threads_make_one_host),
		INSIDE_TEST(slots_are_used_again),
		INSIDE_TEST(a_sleeping_thread_becomes_the_keeper),
		INSIDE_TEST(a_burst_rings_once),
		INSIDE_TEST(an_answer_is_followed_by_looks),
		INSIDE_TEST(a_look_finds_what_came),
		INSIDE_TEST(an_answer_keeps_the_loop_awake),
		INSIDE_TEST(a_busy_pool_keeps_no_loop_awake),
		INSIDE_TEST(what_is_incoming_keeps_no_loop_awake),
		INSIDE_TEST(no_spin_keeps_no_loop_awake),
		INSIDE_TEST(the_timer_of_external_poll_loops_ends),
		INSIDE_TEST(a_spinner_that_is_late_is_not_waited_for),
		INSIDE_TEST(the_repeat_leaves_a_ring_to_its_answer),
		INSIDE_TEST(no_thread_leaves_a_parked_task),
		INSIDE_TEST(destroy_names_many_tasks),
	};

	return cmocka_run_group_tests_name("inside", tests, NULL, NULL);
}
