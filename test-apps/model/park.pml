/*
 * lws-threadpool - a task that parks, and whatever calls it again, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * Processes: workers of one pool, threads that write to the tasks and wake
 * them, and whoever stops, finishes, detaches or times them.  Each names the
 * function of lib/ that it stands for.
 *
 * A compare and swap that is tried until it succeeds is one atomic {}; between
 * two of them all other threads come in.  What happens under pool->lock is one
 * only where nobody looks at it without the lock.  A worker wakes when there is
 * work (wake.pml proves that), and an inbox is a chan (inbox.pml).
 *
 * Proved: what was written before a wake is seen by a call that follows it
 * (T10); no task sleeps over a stop, a finish(), the loss of its wsi or its
 * time (T9), and it is told STOPPING once (T4); it is never on two lists; and
 * it is not called without a reason, so that ten wakes are no more than one.
 *
 * When nothing moves any more, the process "quiet" looks at what is left.
 *
 * Sizes: WORKERS, TASKS, WAKERS, WAKES (of each).  What may happen:
 *   STOP	task_sync(1), at any time
 *   FINISH	finish(), at any time
 *   DETACH	they outlive their wsi, and lose it at any time
 *   TIME	so many calls park for a time
 *   YIELD	so many park for none, or check in
 *
 * BREAK_x breaks one thing: see check.
 */

#if !defined(WORKERS)
#define WORKERS 1
#endif
#if !defined(TASKS)
#define TASKS 1
#endif
#if !defined(WAKERS)
#define WAKERS 2
#endif
#if !defined(WAKES)
#define WAKES 2
#endif
#if !defined(YIELD)
#define YIELD 0
#endif

#define NONE 15

typedef lwstp_task {
	/* the word */
	bit	parked, woken, stop, detached, done;

	/* under the pool's lock */
	bit	at;		/* parked until a time, else for ever */
	bit	timed;		/* its timer is set ... */
	bit	early;		/* ... for a park before this one */

	/* only here, to be asserted */
	byte	posted, seen;	/* letters */
	bit	seen_detached;
	bit	told, inside;
	bit	until;		/* its park has a time, whatever `at` is */
	byte	calls, reasons, yields, times;
};

lwstp_task task[TASKS];

chan put = [TASKS] of { byte };		/* the pool's inbox */
chan resumed = [TASKS] of { byte };
bit lock, finishing;

/* -------- task.c -------- */

/* __lwstp_drain(); lock held */
inline drain()
{
	do
	:: len(put) > 0 -> put?i; resumed!i
	:: else -> break
	od;
	i = 0
}

/* put_back(), of resume.c: e says that it is to be */
inline put_back(t)
{
	if
	:: e ->
		atomic {
			assert(!(put??[eval(t)]) && !(resumed??[eval(t)]));
			assert(!task[t].inside);
			put!t;
			e = 0
		}
	:: else
	fi
}

/* lwstp_task_unpark(), its swap */
inline unpark(t)
{
	task[t].parked = 0;
	e = 1
}

/* lws_threadpool_task_wake() */
inline task_wake(t)
{
#if defined(BREAK_wake_in_two)
	e = task[t].parked;
	if
	:: e -> task[t].parked = 0
	:: else -> atomic { if :: !task[t].done -> task[t].woken = 1
			       :: else fi }
	fi;
#else
	atomic {
		if
		:: task[t].done
		:: !task[t].done && task[t].parked -> unpark(t)
#if !defined(BREAK_wake_not_kept)
		:: !task[t].done && !task[t].parked -> task[t].woken = 1
#else
		:: else
#endif
		fi
	}
#endif
	put_back(t)
}

/* stop_running() */
inline task_stop(t)
{
	atomic {
		if
		:: !task[t].done && !task[t].stop ->
			task[t].reasons++;
			task[t].stop = 1;
			if
#if !defined(BREAK_stop_parked)
			:: task[t].parked -> unpark(t)
#endif
			:: else
			fi
		:: else
		fi
	}
	put_back(t)
}

/* detach_running() */
inline detach_task(t)
{
	atomic {
		if
		:: !task[t].done ->
			task[t].reasons++;
			task[t].detached = 1;
			if
			:: task[t].parked -> unpark(t)
#if !defined(BREAK_detach_not_kept)
			:: !task[t].parked -> task[t].woken = 1
#else
			:: else
#endif
			fi
		:: else
		fi
	}
	put_back(t)
}

/* -------- worker.c -------- */

/* __park(); the lock is held */
inline park(t)
{
	parks = us != 0 && !finishing;
#if defined(BREAK_park_in_two)
	parks = parks && !task[t].woken && !task[t].stop;
#endif
	atomic {
#if !defined(BREAK_park_woken) && !defined(BREAK_park_in_two)
		parks = parks && !task[t].woken;
#endif
#if !defined(BREAK_park_stopped) && !defined(BREAK_park_in_two)
		parks = parks && !task[t].stop;
#endif
#if !defined(BREAK_woken_stays)
		task[t].woken = 0;
#endif
		task[t].inside = 0;
		task[t].until = us == 1;
		task[t].parked = parks
	}
#if !defined(BREAK_at_stays)
	task[t].at = 0;
#endif
	if
	:: !parks -> resumed!t
	:: else ->
		task[t].early = task[t].timed;
		if
		:: us == 1 ->			/* __lwstp_time_park() */
			task[t].at = 1;
			task[t].timed = 1
		:: else
		fi;
#if !defined(BREAK_finish_once)
		if
		:: finishing ->
			atomic {
				if
				:: task[t].parked -> unpark(t)
				:: else
				fi
			}
			put_back(t)
		:: else
		fi
#endif
	fi;
	us = 0;
	parks = 0
}

/* a call of the task function: over, or parks: us, 0 for none, 1 for a time, 2
 * for ever */
inline call(t)
{
	atomic {
		assert(!task[t].done && !task[t].parked && !task[t].told);
		assert(!task[t].inside);
		task[t].inside = 1;
		task[t].calls++;
		assert(task[t].calls <= 1 + task[t].reasons + task[t].yields)
	}
	over = task[t].stop || finishing;
	atomic {
		task[t].told = over;
		task[t].seen_detached = task[t].detached;
		task[t].seen = task[t].posted
	}
	if
	:: !over -> us = 2
#if defined(TIME)
	:: !over && task[t].times < TIME ->
		task[t].times++;
		us = 1
#endif
	:: !over && task[t].yields < YIELD ->	/* 0, or checks in */
		task[t].yields++;
		us = 0
	:: over
	fi
}

proctype worker()
{
	byte t, i, us;
	bit e, parks, over;

end_idle:
	do
	:: atomic { !lock && (len(put) > 0 || len(resumed) > 0) ->
			lock = 1;
			drain();
			resumed?t;
			lock = 0
		}
		call(t);
		if
		:: over ->
			atomic { !lock ->
				task[t].inside = 0;
				task[t].timed = 0;
				task[t].done = 1;
				over = 0
			}
		:: else ->
			atomic { !lock -> lock = 1 };
			park(t);
			lock = 0
		fi;
		t = 0
	od
}

/* -------- other threads -------- */

proctype waker()
{
	byte n, t;
	bit e;

	do
	:: n < WAKES ->
		n++;
		if
		:: t = 0
#if TASKS > 1
		:: t = 1
#endif
		fi;
		atomic { task[t].posted++; task[t].reasons++ };
		task_wake(t)
	:: else -> break
	od
}

#if defined(STOP) || defined(DETACH)
/* once each */
proctype stopper()
{
	byte t;
	bit e;

	do
	:: t < TASKS ->
#if defined(STOP)
		if
		:: task_stop(t)
		:: true
		fi;
#endif
#if defined(DETACH)
		if
		:: detach_task(t)
		:: true
		fi;
#endif
		t++
	:: else -> break
	od
}
#endif

#if defined(FINISH)
/* lws_threadpool_finish(), stop_waiting() */
proctype finisher()
{
	byte t;
	bit e;

	atomic {
		finishing = 1;
		do
		:: t < TASKS -> task[t].reasons++; t++
		:: else -> break
		od;
		t = 0
	}
	do
	:: t < TASKS ->
		if
#if !defined(BREAK_finish_parked)
		:: task[t].parked -> task_stop(t)
#endif
		:: else
		fi;
		t++
	:: else -> break
	od
}
#endif

#if defined(TIME)
/* __lwstp_expire(), __goes_off(): whoever looks at the time.  That of the
 * latest park has come, or only the one that a park before it asked for. */
proctype clock()
{
	byte t;
	bit e;

end_clock:
	do
	:: atomic { !lock && (task[0].timed
#if TASKS > 1
			      || task[1].timed
#endif
				) ->
			lock = 1;
			if
			:: task[0].timed -> t = 0
#if TASKS > 1
			:: task[1].timed -> t = 1
#endif
			fi;
			task[t].timed = 0
		}
		atomic {
			if
			:: task[t].parked && task[t].at && task[t].early ->
#if !defined(BREAK_no_second_time)
				task[t].timed = 1;
#endif
				task[t].early = 0
			:: task[t].parked && task[t].at && !task[t].early ->
				if
				:: task[t].until -> task[t].reasons++
				:: else
				fi;
				unpark(t)
			:: else
			fi
		}
		put_back(t);
		atomic { t = 0; lock = 0 }
	od
}
#endif

/* -------- what has to be when nothing moves any more -------- */

proctype quiet()
{
	byte t;

end_quiet:
	timeout ->
		do
		:: t < TASKS ->
			assert(task[t].done || task[t].parked);
			assert(task[t].done ||
			       task[t].seen == task[t].posted);	/* T10 */
			assert(task[t].done == (task[t].stop || finishing));
			assert(task[t].done ||
			       task[t].seen_detached == task[t].detached);
			assert(task[t].done || !task[t].until);
			t++
		:: else -> break
		od
}

init
{
	byte n;

	atomic {
		do
		:: n < TASKS -> resumed!n; n++
		:: else -> break
		od;
		n = 0;
		do
		:: n < WORKERS -> run worker(); n++
		:: else -> break
		od;
		n = 0;
		do
		:: n < WAKERS -> run waker(); n++
		:: else -> break
		od;
#if defined(STOP) || defined(DETACH)
		run stopper();
#endif
#if defined(FINISH)
		run finisher();
#endif
#if defined(TIME)
		run clock();
#endif
		run quiet()
	}
}
