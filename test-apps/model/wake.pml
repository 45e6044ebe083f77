/*
 * lws-threadpool - idle workers, and how they are woken, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * Processes: the workers of one pool, callers that enqueue tasks and answer
 * SYNCs, and with FINISH one that calls finish().  Each names the function of
 * lib/ that it stands for.  A task is no more than one that is counted, here:
 * task.pml has what a task is.
 *
 * pool->lock is a lock here, since a wake takes none.  Loads, stores and swaps
 * without the lock are steps of their own; what is only seen with the lock held
 * is put together in an atomic {}.
 *
 * When nothing moves any more, the process "quiet" looks at what is left: so a
 * worker that sleeps beside work is an error, as is one that has not left a pool
 * that is finished.
 *
 * Sizes: WORKERS, CALLERS, TASKS (of each caller).  What may happen:
 *   FINISH	finish(), at any time
 *   SPIN	workers spin
 *   HOLD	so many tasks at most hold their workers for ever
 *   REAP	a caller takes a queued task out again (Q4), at any time
 *   PIN	tasks go on only on the worker that they began on
 *   TIMEOUT	nobody answers a SYNC, and the sync timeout is on
 *   EARLIER	and some of the times come late, after all others
 *
 * BREAK_x breaks one thing: see check.
 */

#if !defined(WORKERS)
#define WORKERS 2
#endif
#if !defined(CALLERS)
#define CALLERS 2
#endif
#if !defined(TASKS)
#define TASKS 1
#endif
#if !defined(HOLD)
#define HOLD 0
#endif
#define UNSPUN_MOST 1

#define NONE 15

mtype = { NOTHING, NEW, RESUMED };

#if defined(PIN)
#define HOMES WORKERS		/* lists of resumed tasks */
#define home(w) w
#else
#define HOMES 1
#define home(w) 0
#endif

/* the inbox: new tasks, and resumed ones by where they go on */
byte put_new, put_resumed[HOMES];

/* with lock */
bit lock;
byte queued, resumed[HOMES];
byte n_started, alive = WORKERS;
byte timers, late;			/* late: those that come late */
byte keeper = NONE;
bit keeper_late;			/* pool->keeper_at */

/* without */
byte accepted, taken;			/* and, in the same word: */
bit word_finishing;
bit finishing;
bit idle[WORKERS];
bit waking, spinner;
byte unspun;

/* worker->mutex */
bit woken[WORKERS], is_chain_wake[WORKERS];

/* SYNCING, by where they are to go on */
byte parked[HOMES];

/* only here, to be asserted */
byte finished, held;

#if WORKERS == 1
#define has_idle (idle[0])
#elif WORKERS == 2
#define has_idle (idle[0] || idle[1])
#else
#define has_idle (idle[0] || idle[1] || idle[2])
#endif

#if HOMES == 1
#define some(list) (list[0] > 0)
#elif HOMES == 2
#define some(list) (list[0] > 0 || list[1] > 0)
#else
#define some(list) (list[0] > 0 || list[1] > 0 || list[2] > 0)
#endif

/* !lwstp_inbox_empty() */
#define some_put (put_new > 0 || some(put_resumed))

#define LOCK	atomic { !lock -> lock = 1 }
#define UNLOCK	lock = 0

/* -------- task.c -------- */

/* __lwstp_drain() */
inline drain()
{
	queued = queued + put_new;
	put_new = 0;
	d = 0;
	do
	:: d < HOMES ->
		resumed[d] = resumed[d] + put_resumed[d];
		put_resumed[d] = 0;
		d++
	:: else -> break
	od;
	d = 0
}

/* -------- wake.c -------- */

/* take_idle(): v, or NONE */
inline take_idle()
{
	atomic {
		if
		:: idle[0] -> v = 0
#if WORKERS > 1
		:: idle[1] -> v = 1
#endif
#if WORKERS > 2
		:: idle[2] -> v = 2
#endif
		:: else -> v = NONE
		fi;
#if !defined(BREAK_bit_stays)
		if
		:: v != NONE -> idle[v] = 0
		:: else
		fi
#endif
	}
}

/* lwstp_wake(), wake_one() */
inline wake()
{
#if defined(SPIN)
	x = spinner;
	if
	:: x ->
		atomic {
			if
			:: unspun < UNSPUN_MOST -> unspun++
			:: else -> x = 0
			fi
		}
	:: else
	fi;
#endif
	do
	:: x -> break
	:: !x && has_idle ->
		atomic { x = waking; waking = 1 };
		if
		:: x -> break
		:: else
		fi;
		take_idle();
		if
		:: v != NONE ->
			atomic {
#if !defined(BREAK_no_wake)
				woken[v] = 1;
#endif
				is_chain_wake[v] = 1
			}
			break
		:: else
		fi;
#if !defined(BREAK_waking_stays)
		waking = 0;
#endif
#if defined(BREAK_waking_once)
		break
#endif
	:: !x && !has_idle -> break
	od;
	atomic { x = 0; v = 0 }
}

/* lwstp_wake_worker() */
inline wake_worker(w)
{
	atomic { x = idle[w]; idle[w] = 0 };
	if
	:: x -> woken[w] = 1
	:: else
	fi;
	x = 0
}

/* lwstp_wake_all() */
inline wake_all()
{
	do
	:: true ->
		take_idle();
		if
		:: v != NONE -> woken[v] = 1
		:: else -> break
		fi
	od;
	v = 0
}

/* -------- worker.c -------- */

/* __may_leave() */
#if defined(BREAK_leave_started)
#define may_leave (word_finishing && accepted == taken)
#elif defined(BREAK_leave_accepted)
#define may_leave (word_finishing && n_started == 0 && queued == 0)
#else
#define may_leave (word_finishing && n_started == 0 && accepted == taken)
#endif

/* __is_unkept() */
#define has_timer (timers > 0 || late > 0)
#if defined(BREAK_keeper_stays)
#define is_unkept (has_timer && keeper == NONE)
#else
#define is_unkept (has_timer && (keeper == NONE || \
				 (timers > 0 && keeper_late)))
#endif

/* __lwstp_leave_to_others() */
inline leave_to_others()
{
	if
#if !defined(BREAK_chain)
	:: queued > 0 || (HOMES == 1 && resumed[0] > 0) || some_put -> wake()
#endif
#if defined(TIMEOUT) && !defined(BREAK_keeper)
	:: is_unkept -> wake()
#endif
	:: else
	fi
}

proctype worker(byte me)
{
	byte d, v, n;
	bit x, w_parked, prefer_resumed, due, keeps, keeps_late;
	mtype took = NOTHING;

	LOCK;
top:	/* lwstp_worker_thread(); the lock is held */
#if defined(TIMEOUT)
	if					/* __expire() */
	:: due && (timers > 0 || (late > 0 && keeps_late)) ->
		atomic {
			due = 0;
			keeps_late = 0;
			if
			:: timers > 0 -> timers--
			:: else -> late--
			fi
		}
		leave_to_others();
		UNLOCK;
		atomic {
			n = 0;
			do
			:: n < HOMES && parked[n] == 0 -> n++
			:: else -> break
			od;
			assert(n < HOMES);
			parked[n]--;
			put_resumed[n]++
		}
		wake();
		n = 0;
		LOCK
	:: else -> due = 0; keeps_late = 0
	fi;
#endif
	atomic {
		if
		:: may_leave ->
			assert(n_started == 0 && accepted == taken);
			alive--;
			goto leave
		:: else
		fi;
		if				/* __stop_one() */
		:: finishing ->
			drain();
			if
			:: queued > 0 ->
				queued--;
				taken++;
				finished++;
				goto top
			:: else
			fi
		:: else
		fi;
		if				/* __take() */
		:: queued == 0 && resumed[home(me)] == 0 -> drain()
		:: true -> drain()
		:: !(queued == 0 && resumed[home(me)] == 0)
		fi;
		if
		:: resumed[home(me)] > 0 && (queued == 0 || prefer_resumed) ->
			resumed[home(me)]--;
			prefer_resumed = 0;
			took = RESUMED
		:: queued > 0 && (resumed[home(me)] == 0 || !prefer_resumed) ->
			queued--;
			n_started++;
			taken++;
			prefer_resumed = 1;
			took = NEW
		:: else -> goto without_work
		fi
	}

	leave_to_others();			/* __run() */
	atomic {
		UNLOCK;
		if
#if HOLD > 0
		:: held < HOLD -> held++; goto end_for_ever
#endif
		:: true ->			/* SYNC */
			parked[home(me)]++;
			w_parked = 1;
			took = NOTHING
		:: true				/* FINISHED, STOPPED */
		fi
	}
	atomic {
		!lock -> lock = 1;
		if
		:: took != NOTHING -> n_started--; finished++
#if defined(TIMEOUT)
		:: took == NOTHING -> timers++	/* __lwstp_time_sync() */
#if defined(EARLIER)
		:: took == NOTHING -> late++
#endif
#else
		:: else
#endif
		fi;
		took = NOTHING
	}
	if
#if !defined(BREAK_last_ended)
	:: finishing && n_started == 0 -> wake_all()
#endif
	:: else
	fi;
	goto top;

#if HOLD > 0
end_for_ever:
	false;
#endif
without_work:	/* __lwstp_idle() */
#if defined(SPIN)
	if
	:: !w_parked -> goto sleep
	:: else
	fi;
	UNLOCK;
	w_parked = 0;				/* look_out() */
	atomic { x = spinner; spinner = 1 };
	if
	:: !x ->
		unspun = 0;
#if defined(BREAK_spin_listed)
		w_parked = some_put;
#else
		w_parked = some_put || queued > 0 || resumed[home(me)] > 0;
#endif
#if !defined(BREAK_spinner_stays)
		spinner = 0
#endif
	:: else
	fi;
	x = 0;
	LOCK;
#if defined(BREAK_spin_then_sleep)
	goto sleep;
#endif
	goto top;
#endif

sleep:	/* __sleep() */
	keeps = is_unkept;
#if defined(BREAK_look_first)
	if
	:: some_put -> goto top
	:: else
	fi;
#endif
	idle[me] = 1;
#if !defined(BREAK_look_first) && !defined(BREAK_sleep)
	if
	:: some_put ->
		atomic { x = idle[me]; idle[me] = 0 };
		if
		:: x -> x = 0; goto top
		:: else
		fi
	:: else
	fi;
#endif
	if
	:: keeps ->
		atomic {
			keeper = me;
			keeper_late = timers == 0;
			keeps_late = keeper_late
		}
	:: else
	fi;
	UNLOCK;

end_wait:
	if
	:: atomic { woken[me] -> woken[me] = 0 }
#if defined(TIMEOUT)
	:: atomic { !woken[me] && keeps && (!keeps_late || timers == 0) ->
			due = 1;
			x = idle[me];
			idle[me] = 0
		};
#if !defined(BREAK_timed_out)
		if
		:: !x -> atomic { woken[me] -> woken[me] = 0 }
		:: else
		fi;
#endif
		x = 0
#endif
	fi;
	atomic { x = is_chain_wake[me]; is_chain_wake[me] = 0 };
	if
#if !defined(BREAK_waking)
	:: x -> waking = 0
#endif
	:: else
	fi;
	x = 0;
	LOCK;
	atomic {
		if
		:: keeper == me -> keeper = NONE
		:: else
		fi;
		keeps = 0;
		if
		:: !due -> keeps_late = 0
		:: else
		fi
	}
	goto top;

leave:
#if !defined(BREAK_leave_wakes)
	wake_all();
#endif
	UNLOCK
}

/* -------- whoever has work, or answers -------- */

proctype caller(byte tasks)
{
	byte d, v, n;
	bit x, reaps = 1;	/* once */

end_caller:
	do
	:: tasks > 0 ->				/* lws_threadpool_enqueue() */
		tasks--;
		atomic {			/* accept_task() */
			if
			:: !word_finishing -> accepted++; n = 1
			:: else
			fi
		}
		if
#if defined(BREAK_wake_first)
		:: n == 1 -> wake(); atomic { put_new++; n = 0 }
#else
		:: n == 1 ->
			atomic { put_new++; n = 0 };	/* put_in() */
			wake()
#endif
		:: else
		fi
#if !defined(TIMEOUT)
	:: some(parked) ->			/* lwstp_task_resume() */
		atomic {
			n = 0;
			do
			:: n < HOMES && parked[n] == 0 -> n++
			:: else -> break
			od;
			if
			:: n < HOMES -> parked[n]--
			:: else -> n = NONE
			fi
		}
		if
		:: n != NONE ->
			put_resumed[n]++;
#if defined(PIN)
			wake_worker(n)
#else
			wake()
#endif
		:: else
		fi;
		n = 0
#endif
#if defined(REAP)
	:: reaps ->				/* lwstp_task_reap() */
		reaps = 0;
		atomic { !lock ->
			drain();
			if
			:: queued > 0 -> queued--; taken++; finished++
			:: true
			fi
		}
#endif
	od
}

#if defined(FINISH)
/* lws_threadpool_finish() */
proctype finisher()
{
	byte d, v;

	word_finishing = 1;
	finishing = 1;
	do
	:: true ->				/* stop_one_queued() */
		atomic { !lock -> lock = 1;
#if !defined(BREAK_finish_drains)
			drain();
#endif
			if
			:: queued > 0 ->
				queued--;
				taken++;
				finished++;
				v = 1
			:: else -> v = 0
			fi
		}
		if
		:: v -> UNLOCK
		:: else ->
#if !defined(BREAK_finish_wakes)
			wake_all();
#endif
			UNLOCK;
			break
		fi
	od
}
#endif

/* -------- what has to be when nothing moves any more -------- */

proctype quiet()
{
	byte n, sleepers;

end_quiet:
	timeout ->
	atomic {
		do
		:: n < WORKERS ->
			sleepers = sleepers + idle[n];
#if defined(PIN)
			/* it is its own, and no other's */
			assert(!idle[n] || resumed[n] == 0);
#endif
			n++
		:: else -> break
		od;
		assert(sleepers == 0 ||
		       (queued == 0 && !some(resumed) && !some_put));
		assert(sleepers == 0 || !has_timer);
		assert(!lock);
		if
		:: held == 0 -> assert(finished == accepted)
		:: else
		fi;
#if defined(FINISH)
		assert(held > 0 || alive == 0)
#endif
	}
}

init
{
	byte n;

	atomic {
		do
		:: n < WORKERS -> run worker(n); n++
		:: else -> break
		od;
		n = 0;
		do
		:: n < CALLERS -> run caller(TASKS); n++
		:: else -> break
		od;
#if defined(FINISH)
		run finisher();
#endif
		run quiet()
	}
}
