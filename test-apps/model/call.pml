/*
 * lws-threadpool - calls, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * call.c by its loads, stores, compare and swaps.  Callers put in calls [R1], and
 * one service thread takes out what comes.  An inbox is a chan here (inbox.pml
 * proves that it is one).  What is done under the context's lock is one atomic
 * {}.
 *
 * Proved: what was accepted is called once, in the order of its caller, not
 * within its own call, and what is left at the end of the context with NULL;
 * what was refused never is.
 *
 * Sizes: CALLERS, CALLS (of each).  What may happen:
 *   WITHIN	a call makes another one, once
 *   END	the context ends, at any time
 *
 * BREAK_x breaks one thing: see check.
 */

#if !defined(CALLERS)
#define CALLERS 2
#endif
#if !defined(CALLS)
#define CALLS 2
#endif
#define SELF	CALLERS			/* what the service thread calls */
#define ALL	((CALLERS + 1) * CALLS)
#define NONE	15

bit dying;				/* of the context, with its lock */
bit eventfd;
chan inbox = [ALL] of { byte };
chan calls = [ALL] of { byte };		/* taken out, to be called */

/* only here, to be asserted */
byte accepted[CALLERS + 1];		/* by whom */
byte called[CALLERS + 1];
byte with_null;
bit calling, over;

#define caller_of(post)	((post) / CALLS)
#define number_of(post)	((post) % CALLS)

/* -------- R1 -------- */

/* lws_threadpool_call(), post_call(); first: the service thread is signalled */
inline call(me, n)
{
#if defined(BREAK_unlocked)
	open = !dying;
	atomic {
		if
		:: open ->
			first = len(inbox) == 0;
			inbox!(me * CALLS + n)
		:: else
		fi
	}
#else
	atomic {
#if defined(BREAK_open)
		open = 1;
#else
		open = !dying;
#endif
		if
		:: open ->
			first = len(inbox) == 0;
			inbox!(me * CALLS + n)
		:: else
		fi
	}
#endif
	if
#if !defined(BREAK_signal)
	:: open && first -> eventfd = 1
#endif
	:: else
	fi;
	if
	:: open -> accepted[me]++; n++
	:: else -> break		/* refused, and so are those after it */
	fi;
	first = 0
}

proctype caller(byte me)
{
	byte n;
	bit open, first;

	do
	:: n < CALLS -> call(me, n)
	:: else -> break
	od
}

/* collect(): in order, behind those that are there already */
inline collect()
{
	do
	:: inbox?post ->
#if defined(BREAK_order)
		if
		:: len(calls) > 0 -> calls?other; calls!post; calls!other
		:: else -> calls!post
		fi
#else
		calls!post
#endif
	:: empty(inbox) -> break
	od
}

/* one of make_calls() */
inline call_it(null)
{
	atomic {
		assert(!calling);			/* never within */
		assert(!over && (null || !with_null));
		assert(called[caller_of(post)] == number_of(post));
		called[caller_of(post)]++;
		with_null = with_null || null;
		calling = 1
	};
#if defined(WITHIN)
	if
	:: to_call > 0 ->
		to_call--;
		do
		:: true -> call(SELF, mine); break
		od;
#if defined(BREAK_within)
		do
		:: inbox?post -> break
		:: empty(inbox) -> break
		od;
		assert(!calling);
#endif
	:: else
	fi;
#endif
	calling = 0
}

proctype service()
{
	byte post, other, mine;
	byte to_call = 1, most;
	bit open, first;

end_poll:
	do
	:: eventfd ->
		eventfd = 0;
		collect();
		/* make_calls(): those that are there, not what they make */
		most = len(calls);
		do
		:: most > 0 ->
			most--;
			calls?post;
#if defined(BREAK_twice)
			calls!post;
#endif
			call_it(0)
		:: else -> break
		od;
		if
		:: len(calls) > 0 -> eventfd = 1
		:: else
		fi
#if defined(END)
	:: true -> break			/* lws_context_destroy() */
#endif
	od;

	/* lwstp_context_gone(), lwstp_service_end() */
#if defined(BREAK_dying_late)
	collect();
	dying = 1;
#else
	dying = 1;
#if !defined(BREAK_end)
	collect();
#endif
#endif
	do
	:: len(calls) > 0 -> calls?post; call_it(1)
	:: else -> break
	od;
	over = 1
}

/* -------- when nothing moves any more -------- */

proctype quiet()
{
	byte n;

end_quiet:
	timeout ->
		do
		:: n <= CALLERS -> assert(called[n] == accepted[n]); n++
		:: else -> break
		od
}

init
{
	byte n;

	atomic {
		do
		:: n < CALLERS -> run caller(n); n++
		:: else -> break
		od;
		run service();
		run quiet()
	}
}
