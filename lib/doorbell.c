/*
 * lws-threadpool - how a worker reaches the right service thread
 *
 * SPDX-License-Identifier: MIT
 *
 * Each service thread has a bell: an inbox for the tasks that want its
 * attention, SYNCING or done, and an eventfd that lws polls.  A worker puts a
 * task in without taking the bindings' lock, and writes to the fd unless
 * somebody has since it was last answered: so a burst of SYNCs costs one write.
 * Where lws does not poll our fd, lws_cancel_service() is called instead.
 * Whoever has the lock may collect what is in the inbox: the tasks go on the
 * wanting lists of their bindings, and those on the list of what was rung.
 * Then the service thread asks lws for a WRITEABLE for each of these.
 *
 * A SYNC that was answered is often followed by the next within microseconds,
 * less than it takes to put the service thread to sleep and to wake it.  So
 * once one was answered a timer looks into the inbox before the next turn of
 * lws's loop: where that has thousands of fds a turn takes longer than many
 * SYNCs, and so they share it.  And for as long as a worker would spin the
 * service thread rings its own bell in each turn, which does not sleep then;
 * unless the workers have more to do, and may need its processor.  (The timer
 * alone would not do for that: it comes late by some event libraries and
 * versions of lws, and by others again without a turn between.)  What was in
 * vain makes the next times rarer, up to one in LWSTP_LOOK_AFTER answers.
 *
 * lws can drop such a request.  So a binding that was asked for is asked for
 * again after about a second, for as long as nobody has looked at what it
 * wants (S5).
 *
 * An external poll loop, the application's own, is told by lws neither of our
 * fd nor of the one of lws_cancel_service(), and may poll them never, or only
 * by a turn of lws's own now and then.  So where lws can be in one, a timer
 * looks into the inbox for as long as a wsi is open that had a task: every few
 * ms, and up to a second later where it finds that the bell is heard without
 * it.
 *
 * A secure stream is asked to transmit from a timer, where no callback of any
 * stream is on the stack: what lws then wants done can be its destruction.
 *
 * The inbox is lock-free, the lists are under lwstp_bindings_lock, the timers
 * are the service thread's.
 */

#include <unistd.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

/* its address tells one thread from another */
static _Thread_local char me __attribute__((tls_model("initial-exec")));

/*
 * Ringing
 */

/* What is to be heard is there already: the one who answers resets `signalled`
 * before he looks, so one of the two sees the other's (S3). */
static void
signal_after(struct lwstp_bell *bell, struct lwstp_after *after)
{
	if (atomic_load(&bell->signalled) ||
	    atomic_exchange(&bell->signalled, true))
		return;
	after->ring = bell;
	atomic_fetch_add(&bell->host->refs, 1);	/* until it is signalled */
}

/* S3: the task is SYNCING or done, and its service thread is to know.  It stays
 * attached for as long as it is in the inbox. */
LWSTP_POOL_HELD void
__lwstp_bell_put(const struct lwstp_pool *pool, struct lwstp_task *task,
		 struct lwstp_after *after)
{
	struct lwstp_bell *bell = &pool->host->bell[task->tsi];

	task->put_next = atomic_load_explicit(&bell->inbox,
					      memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&bell->inbox, &task->put_next,
					     task))
		;
	signal_after(bell, after);
}

/* in the order in which they were put in: O(1) for each that was */
LWSTP_BINDINGS_HELD void
__lwstp_bell_collect(struct lwstp_bell *bell)
{
	struct lwstp_task *task, *next, *oldest = NULL;

	if (!atomic_load(&bell->inbox))
		return;
	for (task = atomic_exchange(&bell->inbox, NULL); task; task = next) {
		next = task->put_next;
		task->put_next = oldest;
		oldest = task;
	}
	for (task = oldest; task; task = next) {
		next = task->put_next;
		__lwstp_binding_want(bell, task);
	}
}

/* on the list of what was rung */
LWSTP_BINDINGS_HELD void
__lwstp_bell_push(struct lwstp_bell *bell, struct lwstp_binding *b)
{
	if (b->rung || b->due || b->closing)
		return;
	b->rung = true;
	DL_APPEND(bell->rung, b);
}

LWSTP_BINDINGS_HELD void
__lwstp_bell_ring(struct lwstp_binding *b, struct lwstp_after *after)
{
	__lwstp_bell_push(b->bell, b);
	if (b->rung)
		signal_after(b->bell, after);
}

LWSTP_BINDINGS_HELD void
__lwstp_bell_unring(struct lwstp_binding *b)
{
	struct lwstp_bell *bell = b->bell;

	if (b->rung)
		DL_DELETE(bell->rung, b);
	if (b->due)
		DL_DELETE(bell->streams, b);
	if (b->asked)
		DL_DELETE2(bell->asked, b, ask_prev, ask_next);
	b->rung = b->due = b->asked = false;
}

/* from any thread, no lock held */
void
lwstp_bell_signal(struct lwstp_bell *bell)
{
	struct lwstp_host *host = bell->host;

#if defined(LWSTP_HAVE_EVENTFD)
	if (atomic_load_explicit(&bell->adopted, memory_order_acquire)) {
		/* it can only fail by being full, and then it is readable */
		(void)eventfd_write(bell->fd, 1);
		return;
	}
#endif
	/* The lock keeps the context alive meanwhile.  (A debug build of lws
	 * logs here, at LLL_DEBUG.) */
	lwstp_lock_bindings();
	if (host->context && !atomic_load(&host->dying) &&
	    !lwstp_host_deaf(host))
		lws_cancel_service(host->context);
	lwstp_unlock_bindings();
}

/*
 * Answering
 */

/* asks lws, and remembers when; lwstp_bindings_lock held, released meanwhile,
 * and b may be gone afterwards */
static LWSTP_BINDINGS_HELD void
__ask(struct lwstp_bell *bell, struct lwstp_binding *b, lws_usec_t now,
      bool again)
{
	struct lws *wsi = b->wsi;
	struct lws_ss_handle *ss = wsi ? NULL : b->ss;

	if (b->asked)
		DL_DELETE2(bell->asked, b, ask_prev, ask_next);
	b->asked = true;
	b->asked_at = now;
	DL_APPEND2(bell->asked, b, ask_prev, ask_next);

	lwstp_unlock_bindings();
	if (again)
		lwstp_info("lws_threadpool: asking for WRITEABLE again for %s "
			   "%p\n", ss ? "ss" : "wsi",
			   ss ? (void *)ss : (void *)wsi);
	if (ss)
		lwstp_ss_ask(ss);
	else
		lws_callback_on_writable(wsi);
	lwstp_lock_bindings();
}

static void
arm_rering(struct lwstp_bell *bell, lws_usec_t us)
{
	bell->rering_armed = true;
	lws_sul_schedule(bell->host->context, bell->tsi, &bell->rering,
			 lwstp_bell_rering, us > 1000 ? us : 1000);
}

static void
ask_streams(lws_sorted_usec_list_t *sul)
{
	struct lwstp_bell *bell = lws_container_of(sul, struct lwstp_bell,
						   ask_streams);
	lws_usec_t now = lwstp_now();
	struct lwstp_binding *b;
	bool asked;

	lwstp_lock_bindings();
	while ((b = bell->streams)) {
		DL_DELETE(bell->streams, b);
		b->due = false;
		if (b->wanting)
			__ask(bell, b, now, false);
	}
	asked = bell->asked;
	lwstp_unlock_bindings();

	if (asked && !bell->rering_armed)
		arm_rering(bell, LWSTP_RERING_US);
}

/* On the service thread: all that were rung so far.  False if none was. */
static bool
ask_all(struct lwstp_bell *bell)
{
	lws_usec_t now = lwstp_now();
	struct lwstp_binding *b, *last;
	bool asked = false, streams = false;

	lwstp_bell_serve(bell);
	lwstp_lock_bindings();
	__lwstp_bell_collect(bell);
	/* what is rung while __ask() has released the lock is for the next
	 * time */
	last = bell->rung ? bell->rung->prev : NULL;
	while ((b = bell->rung) && last) {
		DL_DELETE(bell->rung, b);
		b->rung = false;
		if (b == last)
			last = NULL;
		if (!b->wsi) {
			b->due = true;
			DL_APPEND(bell->streams, b);
			streams = true;
		} else if (b->wanting) {
			asked = true;
			__ask(bell, b, now, false);
		}
	}
	lwstp_unlock_bindings();

	if (streams)
		lws_sul_schedule(bell->host->context, bell->tsi,
				 &bell->ask_streams, ask_streams, 1);
	if (asked && !bell->rering_armed)
		arm_rering(bell, LWSTP_RERING_US);

	return asked || streams;
}

static void
look(lws_sorted_usec_list_t *sul);

static void
look_soon(struct lwstp_bell *bell)
{
	lws_sul_schedule(bell->host->context, bell->tsi, &bell->look, look, 1);
}

/* looks or turns that brought nothing: the next ones are rarer */
static void
in_vain(struct lwstp_bell *bell)
{
	if (bell->look_after < LWSTP_LOOK_AFTER)
		bell->look_after *= 2;
}

/* So that the next turn does not sleep.  Where it is signalled already, it is
 * written to or will be. */
static void
ring_ourselves(struct lwstp_bell *bell)
{
	if (!atomic_exchange(&bell->signalled, true))
		lwstp_bell_signal(bell);
}

/* found: the next SYNC has come */
static void
stay_awake(struct lwstp_bell *bell, bool found)
{
	bell->awake = !found && lwstp_precise_now() < bell->awake_until;
	if (bell->awake)
		ring_ourselves(bell);
	else if (found)
		bell->look_after = 1;
	else if (bell->awake_until)
		in_vain(bell);
}

/* before a turn of the loop: for what came since the one before */
static void
look(lws_sorted_usec_list_t *sul)
{
	struct lwstp_bell *bell = lws_container_of(sul, struct lwstp_bell,
						   look);
	bool found = ask_all(bell);

	bell->looked = true;
	if (found)
		bell->look_after = 1;
	if (bell->looks) {
		bell->looks--;
		look_soon(bell);
	} else if (bell->awake_until && !bell->awake)
		stay_awake(bell, found);
	else if (!found && !bell->awake)
		in_vain(bell);
}

void
lwstp_bell_answered(struct lwstp_bell *bell, int awake_us)
{
	bool looking = !lws_dll2_is_detached(&bell->look.list);

	if (looking && !bell->looked) {		/* of the same turn */
		if (!awake_us)
			bell->awake_until = 0;
		return;
	}
	if (looking || bell->awake)
		bell->look_after = 1;	/* not in vain: the next one came */
	else if (++bell->answers < bell->look_after)
		return;
	if (!looking)
		look_soon(bell);
	bell->answers = 0;
	bell->looked = false;
	if (!awake_us || !atomic_load(&bell->adopted)) {
		bell->looks = LWSTP_LOOK_TURNS;
		bell->awake_until = 0;
		return;
	}
	bell->looks = LWSTP_TURNS_AWAKE;
	bell->awake_until = lwstp_precise_now() + awake_us;
	bell->awake = !bell->looks;
	if (bell->awake)
		ring_ourselves(bell);
}

/* lws tells of the fd, or of lws_cancel_service() */
void
lwstp_bell_answer(struct lwstp_bell *bell)
{
	bool found;
#if defined(LWSTP_HAVE_EVENTFD)
	eventfd_t value;

	if (atomic_load(&bell->adopted))
		(void)eventfd_read(bell->fd, &value);
#endif
	bell->heard = true;
	atomic_exchange(&bell->signalled, false);
	found = ask_all(bell);
	if (bell->awake)
		stay_awake(bell, found);
}

#if defined(LWS_WITH_EXTERNAL_POLL)
static void
expected(lws_sorted_usec_list_t *sul)
{
	struct lwstp_bell *bell = lws_container_of(sul, struct lwstp_bell,
						   expect);
	bool late = atomic_load(&bell->signalled) || !bell->heard;
	unsigned int open;

	ask_all(bell);
	lwstp_lock_bindings();
	open = bell->open;
	lwstp_unlock_bindings();

	bell->expect_us = late ? LWSTP_EXPECT_US : 2 * bell->expect_us;
	if (bell->expect_us > LWSTP_RERING_US)
		bell->expect_us = LWSTP_RERING_US;
	if (open)
		lws_sul_schedule(bell->host->context, bell->tsi, sul, expected,
				 bell->expect_us);
}
#endif

void
lwstp_bell_expect(struct lwstp_bell *bell)
{
#if defined(LWS_WITH_EXTERNAL_POLL)
	if (!lws_dll2_is_detached(&bell->expect.list))
		return;
	bell->expect_us = LWSTP_EXPECT_US;
	lws_sul_schedule(bell->host->context, bell->tsi, &bell->expect,
			 expected, bell->expect_us);
#else
	(void)bell;
#endif
}

void
lwstp_bell_serve(struct lwstp_bell *bell)
{
	if (!lwstp_this_worker && !lwstp_bell_is_ours(bell))
		atomic_store_explicit(&bell->served_by, &me,
				      memory_order_relaxed);
}

bool
lwstp_bell_is_ours(const struct lwstp_bell *bell)
{
	return !lwstp_this_worker &&
	       atomic_load_explicit(&bell->served_by,
				    memory_order_relaxed) == &me;
}

bool
lwstp_bell_is_anothers(const struct lwstp_bell *bell)
{
	const char *by = atomic_load_explicit(&bell->served_by,
					      memory_order_relaxed);

	return lwstp_this_worker || (by && by != &me);
}

void
lwstp_bell_rering(lws_sorted_usec_list_t *sul)
{
	struct lwstp_bell *bell = lws_container_of(sul, struct lwstp_bell,
						   rering);
	lws_usec_t now = lwstp_now(), due = 0;
	struct lwstp_binding *b;

	bell->rering_armed = false;
	lwstp_bell_serve(bell);
	lwstp_lock_bindings();
	while ((b = bell->asked)) {
		due = b->asked_at + LWSTP_RERING_US;
		if (due > now)
			break;
		if (b->unseen && !b->rung && !b->due)
			__ask(bell, b, now, true);
		else {
			DL_DELETE2(bell->asked, b, ask_prev, ask_next);
			b->asked = false;
		}
	}
	lwstp_unlock_bindings();

	if (b)
		arm_rering(bell, due - now);
}

/* the marks of W4 that nobody needs any more: see binding.c */
static void
sweep(lws_sorted_usec_list_t *sul)
{
	struct lwstp_bell *bell = lws_container_of(sul, struct lwstp_bell,
						   sweep);
	lws_usec_t now = lwstp_now();
	struct lwstp_binding *b;

	bell->sweep_armed = false;
	lwstp_lock_bindings();
	while ((b = bell->closed) && !b->detaching &&
	       now - b->asked_at >= LWSTP_MARK_US)
		__lwstp_binding_free(b);
	lwstp_unlock_bindings();

	if (b)
		lwstp_bell_sweep_later(bell);
}

void
lwstp_bell_sweep_later(struct lwstp_bell *bell)
{
	if (bell->sweep_armed)
		return;
	bell->sweep_armed = true;
	lws_sul_schedule(bell->host->context, bell->tsi, &bell->sweep, sweep,
			 LWS_US_PER_SEC);
}

/* the context is ending: its timers go back to it */
void
lwstp_bell_hush(struct lwstp_bell *bell)
{
	lws_sul_cancel(&bell->rering);
	lws_sul_cancel(&bell->ask_streams);
	lws_sul_cancel(&bell->sweep);
	lws_sul_cancel(&bell->look);
	lws_sul_cancel(&bell->expect);
}
