/*
 * lws-threadpool - a task that is kept, or waits for a wsi, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * One task with a token, in a slot that another one gets after it: a worker that
 * runs it, the service thread that attaches it to one of two wsi, serves it and
 * closes them, and other threads that reap what is kept (K4), or answer a SYNC.
 * They have the handle of the first task only.  Each names the function of lib/
 * that it stands for.
 *
 * A compare and swap that is tried until it succeeds is one atomic {}, and so is
 * what happens under pool->lock, unless the service's inbox is put into there.
 * The inbox has room for this one task: so `linked` is all of it.
 *
 * Proved: one owner at a time: it is cleaned up once, with a wsi only on its
 * service thread and as long as that is open, and what is attached is not kept.
 * A SYNC, or an end, on a wsi that is open is served.  A stale handle reaches
 * nobody, and a slot that is linked is not used again.
 *
 * What may happen:
 *   WAIT	a SYNC without a wsi waits for one (K1)
 *   CLOSE	the first wsi closes, at any time
 *   OTHERS	so many calls of other threads
 *   REUSE	the slot is used again, for a task that is kept
 *
 * BREAK_x breaks one thing: see check.
 */

#if !defined(OTHERS)
#define OTHERS 0
#endif
#define SYNCS 2
#define NONE 15

mtype = { FREE, RUNNING, SYNCING, FINISHED };

/* the word */
byte generation;
mtype status = RUNNING;
bit detached = 1, posted, kept;

/* its service thread's, and given by it before the word says so */
byte on = NONE;
bit has_service;		/* whose inbox it is posted to */

bit lock, go = 1;		/* go: in the pool's inbox */
bit linked, eventfd, given;
bit open[2] = 1;
bit writeable[2];

/* only here, to be asserted */
byte who;			/* whose the slot is: the first task's, or ... */
bit cleaned[2];
bit inside;

#define is_done	(status == FINISHED)

/* lwstp_task_post() and lwstp_signal() */
inline post()
{
	atomic { assert(!linked); linked = 1 };
	eventfd = 1
}

/* __release(), with the lock; and the cleanup, which gets w */
inline release(w)
{
	assert(!cleaned[who] && !inside);
	assert(w == NONE || open[w]);
	assert(on == NONE);
	cleaned[who] = 1;
#if !defined(BREAK_generation)
	generation++;
#endif
	status = FREE;
	kept = 0;
	detached = 0;
	if
	:: !posted -> given = 1
	:: else
	fi
}

/* -------- the worker -------- */

/* lwstp_task_resume() */
#define RESUME	status = RUNNING; go = 1

proctype worker()
{
	byte syncs = SYNCS;
	bit p;

end_wait:
	do
	:: atomic { go -> go = 0; assert(!inside && !cleaned[0]); inside = 1 };
		do
		:: syncs > 0 ->			/* park() */
			syncs--;
			atomic {
				assert(status == RUNNING && who == 0);
				if
				:: !detached ->
					p = !posted;
					posted = 1;
					status = SYNCING
#if defined(WAIT)
				:: detached -> status = SYNCING
#endif
				:: else
				fi;
				if
				:: status == SYNCING -> inside = 0
				:: else
				fi
			};
			if
			:: !inside -> break
			:: else
			fi
		:: true ->			/* __lwstp_task_end() */
			atomic { !lock -> lock = 1; inside = 0 };
			atomic {
				assert(status == RUNNING);
				status = FINISHED;
				if
				:: detached -> kept = 1
				:: else -> p = !posted; posted = 1
				fi
			};
			syncs = 0;
			if
			:: p -> assert(has_service); post(); p = 0
			:: else
			fi;
			lock = 0;
			goto end_ended
		od;
		if
		:: p -> assert(has_service); post(); p = 0
		:: else
		fi
	od;
end_ended:
	false
}

/* -------- the service thread -------- */

/* lws_threadpool_task_attach(), move_to() */
inline attach(w)
{
#if !defined(BREAK_attach_unlocked)
	atomic { !lock -> lock = 1 };
#endif
	ok = generation == 0 && status != FREE;
	if
	:: ok && on == w -> ok = 0		/* there already */
	:: else
	fi;
	if
	:: ok ->
#if !defined(BREAK_attach_late)
		on = w;
		has_service = 1;
#endif
		atomic {
			assert(who == 0);
			assert(!(kept && !detached));
			detached = 0;
			kept = 0;
			if
#if !defined(BREAK_attach_unposted)
			:: status == SYNCING || is_done ->
				p = !posted;
				posted = 1
#endif
			:: else
			fi
		};
#if defined(BREAK_attach_late)
		on = w;
		has_service = 1;
#endif
		if
		:: p -> post(); p = 0
		:: else
		fi
	:: else
	fi;
#if !defined(BREAK_attach_unlocked)
	lock = 0;
#endif
	ok = 0
}

/* look_at_task() */
inline look()
{
	atomic {
		posted = 0;
		if
		:: status == FREE -> assert(!given); given = 1
#if defined(WAIT)
		:: status == SYNCING && detached
#else
		:: status == SYNCING && detached -> RESUME
#endif
		:: !detached && (status == SYNCING || is_done) ->
			assert(on != NONE);
			writeable[on] = 1
		:: else
		fi
	}
}

/* a WRITEABLE of w: answers a SYNC, or reaps */
inline serve(w)
{
	if
	:: atomic { on == w && status == SYNCING && !detached -> RESUME }
	:: atomic { on == w && is_done && !detached && !lock ->
			on = NONE;
			release(w)
		}
	:: atomic { !(on == w && !detached &&
		      (status == SYNCING || is_done)) -> skip }
	fi
}

/* lwstp_detach() */
inline close(w)
{
	open[w] = 0;
	writeable[w] = 0;
	if
	:: on == w ->
		on = NONE;
		if
		:: atomic { status == RUNNING -> detached = 1 }
		:: atomic { status == SYNCING ->
				detached = 1;
				p = !posted;
				posted = 1
			};
#if defined(BREAK_close_unposted)
			p = 0;
#endif
			if
			:: p -> post(); p = 0
			:: else
			fi
		:: atomic { is_done && !lock ->
				detached = 1;
#if !defined(BREAK_close_forgets)
				kept = 1
#endif
			}
		fi
	:: else
	fi
}

proctype service()
{
	bit ok, p, to_close = 1, to_reuse = 1;
	byte to_attach = 2;

end_poll:
	do
	:: eventfd ->
		eventfd = 0;
		if
		:: linked -> linked = 0; look()
		:: else
		fi
	:: writeable[0] && open[0] -> writeable[0] = 0; serve(0)
	:: writeable[1] && open[1] -> writeable[1] = 0; serve(1)
	:: to_attach > 0 ->
		to_attach--;
		if
		:: open[0] -> attach(0)
		:: attach(1)
		fi
#if defined(CLOSE)
	:: to_close -> to_close = 0; close(0)
#endif
#if defined(REUSE)
	:: to_reuse && given ->
		to_reuse = 0;
		atomic {
			assert(!linked && !posted && on == NONE);
			given = 0;
			who = 1;
			status = FINISHED;
			detached = 1;
			kept = 1
		}
#endif
	od
}

/* -------- other threads -------- */

/* lws_threadpool_task_status(), a dequeue, or the end of keep_secs: of what is
 * seen to be kept; or an answer, where there is no wsi */
proctype other()
{
	byte calls = OTHERS;
	bit seen;

	do
	:: calls > 0 ->
		calls--;
		if
		:: true ->
			seen = generation == 0 && is_done && detached;
			if
			:: seen ->
				atomic { !lock ->
					if
#if defined(BREAK_reap_unchecked)
					:: true -> release(NONE)
#elif defined(BREAK_reap_attached)
					:: generation == 0 && is_done ->
						assert(who == 0);
						release(NONE)
#else
					:: generation == 0 && kept ->
						assert(who == 0);
						release(NONE)
#endif
					:: else
					fi
				}
			:: else
			fi;
			seen = 0
		:: atomic { generation == 0 && status == SYNCING && detached &&
			    !posted ->
				assert(who == 0);
				RESUME
			}
		:: true
		fi
	:: else -> break
	od
}

/* -------- when nothing moves any more -------- */

proctype quiet()
{
	bit served, owned;

end_quiet:
	timeout ->
		assert(!(kept && !detached));
		/* whoever has a wsi was served */
		served = cleaned[0] || (detached && on == NONE);
		assert(served);
		/* and who has none is kept, or waits */
#if defined(WAIT)
		owned = cleaned[0] || kept || status == SYNCING;
#else
		owned = cleaned[0] || kept;
#endif
		assert(owned);
		assert(!linked && !lock);
		assert(cleaned[1] == 0)
}

init
{
	atomic {
		run worker();
		run service();
#if OTHERS > 0
		run other();
#endif
		run quiet()
	}
}
