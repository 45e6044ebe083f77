/*
 * lws-threadpool - handles of a wsi, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * call.c and handle.c by their loads and swaps: askers of a WRITEABLE [R2], on
 * any thread, with the handle of the first wsi, and the service thread, where
 * with CLOSE that closes at any time and another wsi may then get its slot.  An
 * inbox is a chan here (inbox.pml proves that it is one).
 *
 * Proved: a request that found the wsi open is followed by a WRITEABLE that
 * begins after it, or by its close.  None reaches the wsi that has the slot
 * now.  A slot that is linked in an inbox is not given to another one.
 *
 * Sizes: ASKERS, ASKS (of each).  BREAK_x breaks one thing: see check.
 */

#if !defined(ASKERS)
#define ASKERS 2
#endif
#if !defined(ASKS)
#define ASKS 2
#endif

/* the word of the slot */
byte generation;
bit posted, given;		/* given: the slot is free */

bit eventfd, writeable;
chan inbox = [2] of { byte };
byte open = 1;			/* its wsi: 0 none, 1 the first, 2 the other */

/* only here, to be asserted: of each wsi */
bit owed[3];			/* it was asked for, and has not begun since */
byte asked[3];

/* lws_threadpool_wsi_writeable() */
proctype asker()
{
	byte n;
	bit p, first, seen;

	do
	:: n < ASKS ->
		n++;
#if defined(BREAK_generation)
		seen = generation == 0;
		atomic {
			if
			:: seen ->
				owed[open] = open > 0;
				asked[open]++;
				p = !posted;
				posted = 1
			:: else -> p = 0
			fi
		};
#else
		atomic {
			if
			:: generation == 0 ->
				assert(open == 1);
				owed[1] = 1;
				asked[1]++;
				p = !posted;
				posted = 1
			:: else -> p = 0	/* closed: -1 */
			fi
		};
#endif
#if defined(BREAK_always_put)
		p = 1;
#endif
		if
		:: p ->
			atomic {
				assert(len(inbox) == 0);
				first = len(inbox) == 0;
				inbox!0
			};
#if !defined(BREAK_signal)
			if
			:: first -> eventfd = 1
			:: else
			fi;
#endif
			atomic { p = 0; first = 0 }
		:: else
		fi
	:: else -> break
	od
}

/* lwstp_wsi_handle_drop(): the wsi begins to close */
inline close_wsi()
{
	atomic {
#if !defined(BREAK_generation_stays)
		generation++;
#endif
		owed[open] = 0;
		open = 0;
		writeable = 0;
		if
#if defined(BREAK_recycle)
		:: true -> given = 1
#else
		:: !posted -> given = 1
		:: else
#endif
		fi
	}
}

proctype service()
{
	bit post, to_close = 1, to_open = 1;

end_poll:
	do
	:: eventfd ->
		eventfd = 0;
		do
		:: inbox?post ->
#if defined(BREAK_unposted_late)
			if
			:: open > 0 -> writeable = 1
			:: else
			fi;
			if
			:: writeable ->
				writeable = 0;
				owed[open] = 0
			:: else
			fi;
#endif
			/* look_at_wsi() */
			atomic {
				posted = 0;
				if
				:: open == 0 ->
					assert(!given);
					given = 1
				:: else
				fi
			};
#if !defined(BREAK_unposted_late)
			if
			:: open > 0 -> writeable = 1
			:: else
			fi
#endif
		:: empty(inbox) -> break
		od
	:: writeable && open > 0 ->
		writeable = 0;
		owed[open] = 0			/* it begins */
#if defined(CLOSE)
	:: to_close && open == 1 ->
		to_close = 0;
		close_wsi()
#endif
	:: to_open && open == 0 && given ->
		to_open = 0;
		atomic {
			assert(!inbox??[0] && !posted);
			given = 0;
			open = 2
		}
	od
}

proctype quiet()
{
end_quiet:
	timeout ->
		assert(!owed[1] && !owed[2]);
		assert(asked[2] == 0);
		assert(len(inbox) == 0 && (open > 0 || given))
}

init
{
	byte n;

	atomic {
		do
		:: n < ASKERS -> run asker(); n++
		:: else -> break
		od;
		run service();
		run quiet()
	}
}
