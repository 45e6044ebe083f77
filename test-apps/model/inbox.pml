/*
 * lws-threadpool - an inbox, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * inbox.c by its loads, stores, compare and swaps: POSTERS put in their posts in
 * order, one by one, and one process takes all out and gives the posts back, so
 * that the same ones are put in again meanwhile.
 *
 * Proved: no post is lost or comes twice, each poster's come in order, and there
 * is a signal (S3) whenever there is something to take out.
 *
 * BREAK_x breaks one thing: see check.
 */

#if !defined(POSTERS)
#define POSTERS 2
#endif
#define POSTS	2		/* of each poster */
#if !defined(ROUNDS)
#define ROUNDS	3		/* puts of each poster */
#endif
#define ALL	(POSTERS * POSTS)
#define NONE	15

byte newest = NONE;
byte next[ALL];
byte number[ALL];		/* the how manieth of its poster it is */
bit busy[ALL];			/* it is in the inbox, or its taker's */
byte taken[POSTERS];
bit signalled;

/* lwstp_inbox_put() */
proctype poster(byte me)
{
	byte post, seen, n;
	bit ok;

	do
	:: n < ROUNDS ->
		/* any of its own that the taker has given back */
		if
		:: atomic { !busy[me * POSTS] -> post = me * POSTS }
		:: atomic { !busy[me * POSTS + 1] -> post = me * POSTS + 1 }
		fi;
		atomic { busy[post] = 1; number[post] = n };
		seen = newest;
		do
		:: true ->
#if !defined(BREAK_link_late)
			next[post] = seen;
#endif
#if defined(BREAK_put)
			newest = post;
			ok = 1;
#else
			atomic {
				if
				:: newest == seen -> newest = post; ok = 1
				:: else -> seen = newest; ok = 0
				fi
			}
#endif
			if
			:: ok -> break
			:: else
			fi
		od;
#if defined(BREAK_link_late)
		next[post] = seen;
#endif
		if
#if defined(BREAK_signal_rest)
		:: seen != NONE -> signalled = 1
#else
		:: seen == NONE -> signalled = 1
#endif
		:: else
		fi;
		atomic { n++; seen = 0; post = 0; ok = 0 }
	:: else -> break
	od
}

/* lwstp_inbox_take(), by whoever is signalled */
active proctype taker()
{
	byte post, after, oldest = NONE, n;

	atomic {
		do
		:: n < POSTERS -> run poster(n); n++
		:: else -> break
		od;
		n = 0
	}
end_wait:
	do
	:: signalled ->
#if !defined(BREAK_reset_late)
		signalled = 0;
#endif
#if defined(BREAK_take)
		post = newest;
		newest = NONE;
#else
		atomic { post = newest; newest = NONE };
#endif
		do
		:: post != NONE ->
#if defined(BREAK_order)
			oldest = post;
			goto handle;
#endif
			after = next[post];
			next[post] = oldest;
			oldest = post;
			post = after
		:: else -> break
		od;
#if defined(BREAK_order)
handle:
#endif
		do
		:: oldest != NONE ->
			after = next[oldest];
			atomic {
				n = oldest / POSTS;
				assert(busy[oldest]);
				assert(number[oldest] == taken[n]);
				taken[n]++;
				busy[oldest] = 0;
				oldest = after;
				n = 0
			}
		:: else -> break
		od;
#if defined(BREAK_reset_late)
		signalled = 0;
#endif
		atomic { post = 0; after = 0; oldest = NONE }
	od
}

/* when nothing moves any more, nothing is left */
active proctype quiet()
{
	byte n;

end_quiet:
	timeout ->
		do
		:: n < POSTERS -> assert(taken[n] == ROUNDS); n++
		:: else -> break
		od
}
