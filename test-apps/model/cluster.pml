/*
 * lws-threadpool - a job of the cluster, its credit, NAK, fence and END, for
 * spin
 *
 * SPDX-License-Identifier: MIT
 *
 * One job of CHUNKS chunks and its END, which is chunk CHUNKS.  Processes: the
 * engine, which has the job and delivers it; two workers; a front, and its
 * reader, which syncs.  What goes between workers and front may be lost,
 * doubled, or fall behind another message, FAULTS times in all.  What a worker
 * tells the engine arrives, and holds for the job, not only for the delivery
 * that it came with: NATS takes an ack of an earlier delivery, too.
 *
 * Time is Promela's timeout: when nothing moves any more each side repeats what
 * it repeats.  So nothing depends on luck: each round without a fault has to
 * bring the job on, and ROUNDS of them are enough.
 *
 * Proved: the reader gets each chunk once and in order, of one run of the
 * function where two runs may differ; END comes last; no more than WINDOW
 * chunks wait at the front; a job that may run once only does; and in the end
 * the front knows how it ended, the engine has no job, and no worker has one.
 *
 * Retry: RESUME, NEVER, or neither: UNSENT.  What may happen:
 *   ALL_ARRIVE	nothing is lost
 *   LAPSES	so many times the lease lapses of a worker that goes on
 *   KILLS	so many times a worker dies
 *   EARLY	so many times somebody repeats what was not lost
 *   DRAIN	so many times a worker gives back what it has not started
 *   CLOSE	the wsi of the job closes, at any time
 *   DEATH	the front dies, at any time
 *   STORE	the engine loses its store once, and counts from 1 again
 *
 * BREAK_x breaks one thing: see check.
 */

#if !defined(CHUNKS)
#define CHUNKS 2
#endif
#if !defined(WINDOW)
#define WINDOW 1
#endif
#if !defined(FAULTS)
#define FAULTS 1
#endif
#if !defined(LAPSES)
#define LAPSES 0
#endif
#if !defined(KILLS)
#define KILLS 0
#endif
#if !defined(EARLY)
#define EARLY 0
#endif
#if !defined(DRAIN)
#define DRAIN 0
#endif
#if !defined(ROUNDS)
#define ROUNDS 8
#endif

#if !defined(ROOM)
#define ROOM 8
#endif
#define NOBODY 2
#define max(a, b) ((a) > (b) -> (a) : (b))

mtype = { HELLO, CHUNK, END, GIVEN };		/* worker to front */
mtype = { CREDIT, NAK, STOP, STALE };		/* front to worker */
mtype = { IDLE, ASKING, RUNNING, ENDING, GIVING };	/* a worker's job */

/* type, fence, seq, and which run of the function made it */
chan up[2] = [ROOM] of { mtype, byte, byte, byte };
/* type, fence, have, upto */
chan down[2] = [ROOM] of { mtype, byte, byte, byte };

byte faults = FAULTS;
byte lapses = LAPSES, kills = KILLS, early = EARLY, drains = DRAIN;
byte rounds;

/* -------- the engine -------- */

bit queued = 1, out;		/* else there is no job */
byte deliveries;		/* the consumer's, since its store is there */
byte epoch;			/* how often the front has published it, in the
				 * job, and the upper half of a fence */
#define FENCE	(epoch * 8 + deliveries)

/* -------- a worker, its job -------- */

typedef worker_job {
	mtype	state = IDLE;
	byte	fence;
	byte	base;		/* the front has those before it: the ring's end */
	byte	next;
	byte	upto;
	byte	nth;		/* run of the function */
	bit	heard;		/* a credit came since the last round */
};

worker_job job[2];

/* -------- the front -------- */

byte fence;			/* the highest that it knows */
byte owner = NOBODY;		/* who has it */
byte given;			/* the highest that was given back */
byte have, taken, told;		/* chunks: received, synced, credit sent */
bit over;			/* the proxy has ended, the id is not known now */
bit ended, lost, dead;
bit front_asked;		/* the function has been let run */

/* only here, to be asserted */
byte run_of_reader, runs, got;
#if defined(CLOSE)
#define may_lose 1
#elif defined(RESUME)
#define may_lose 0
#elif LAPSES > 0 || KILLS > 0 || defined(STORE)
#define may_lose 1
#else
#define may_lose 0
#endif

#define held	((job[0].state != IDLE && job[0].fence == FENCE) || \
		 (job[1].state != IDLE && job[1].fence == FENCE))

#define nobody_has_it	(job[0].state == IDLE && job[1].state == IDLE)

/* core NATS: a message to ch */
inline send(ch, type, a, b, c)
{
	assert(len(ch) < ROOM - 1);
	if
	:: ch!type(a, b, c)
#if !defined(ALL_ARRIVE)
	:: faults > 0 -> faults--
#endif
	:: faults > 0 -> faults--; ch!type(a, b, c); ch!type(a, b, c)
	fi
}

/* and the first of ch, unless it falls behind the next one */
inline receive(ch)
{
	ch?type(a, b, c);
	if
	:: true
	:: faults > 0 && len(ch) > 0 ->
		faults--;
		ch!type(a, b, c);
		ch?type(a, b, c)
	fi
}

/* -------- worker -------- */

/* it has no more to do with the job */
inline let_go(w)
{
	job[w].state = IDLE;
	job[w].base = 0;
	job[w].next = 0;
	job[w].upto = 0;
	job[w].nth = 0;
	job[w].heard = 0
}

/* ack or Term: whichever delivery it is of, of this publication */
inline settle(w)
{
	if
	:: job[w].fence / 8 == epoch -> queued = 0; out = 0
	:: else
	fi;
	let_go(w)
}

inline begin(w, from)
{
	job[w].state = RUNNING;
	job[w].base = from;
	job[w].next = from;
	runs++;
	job[w].nth = runs;
#if defined(NEVER)
	assert(runs == 1);
#endif
}

/* not started here: to the next one, at once */
inline give_back(w)
{
	if
	:: out && job[w].fence == FENCE -> out = 0; queued = 1
	:: else
	fi;
	let_go(w)
}

/* takes the job */
inline take(w)
{
	queued = 0;
	out = 1;
	deliveries++;
	job[w].fence = FENCE;
	job[w].heard = 1;
	if
#if !defined(NEVER) || defined(BREAK_never_first)
	:: deliveries == 1 ->
		job[w].upto = WINDOW;
		begin(w, 0)
#endif
#if defined(BREAK_no_hello)
	:: deliveries != 1 ->
		job[w].upto = WINDOW;
		begin(w, 0)
#else
	:: true ->		/* redelivered, or it waited too long */
		job[w].state = ASKING;
		send(up[w], HELLO, job[w].fence, 0, 0)
#endif
	fi
}

/* a CHUNK, or END, that it has in its ring */
inline send_chunk(w, i)
{
	if
	:: i < CHUNKS -> send(up[w], CHUNK, job[w].fence, i, job[w].nth)
	:: else -> send(up[w], END, job[w].fence, i, job[w].nth)
	fi
}

inline worker_receives(w)
{
	if
	:: job[w].state == IDLE || job[w].fence != a
	:: else ->
		if
		:: job[w].state == GIVING ->
			if
			:: type == STOP -> settle(w)
			:: type == STALE -> give_back(w)
			:: else
			fi
		:: job[w].state != GIVING && (type == CREDIT || type == NAK) ->
			job[w].heard = 1;
			if
#if defined(BREAK_nak_begins_not)
			:: type == CREDIT && job[w].state == ASKING -> begin(w, b)
#else
			:: job[w].state == ASKING -> begin(w, b)
#endif
			:: else
			fi;
			if
			:: job[w].state != ASKING && b > job[w].base ->
				job[w].base = b
			:: else
			fi;
#if defined(BREAK_credit_relative)
			job[w].upto = job[w].upto + (type == CREDIT);
#elif defined(BREAK_nak_no_credit)
			job[w].upto = (type == CREDIT && c > job[w].upto ->
				c : job[w].upto);
#else
			job[w].upto = max(job[w].upto, c);
#endif
			n = job[w].base;
			do
#if !defined(BREAK_nak_ignored)
			:: type == NAK && n < job[w].next ->
				send_chunk(w, n);
				n++
			:: type == CREDIT || n >= job[w].next -> break
#else
			:: break
#endif
			od;
			if
			:: job[w].state == ENDING && job[w].base > CHUNKS ->
				settle(w)
			:: else
			fi
		:: job[w].state != GIVING && type == STOP -> settle(w)
		:: job[w].state != GIVING && type == STALE ->
#if defined(BREAK_stale_settles)
			settle(w)
#else
			let_go(w)
#endif
		fi
	fi;
	n = 0
}

/* what it repeats where it has heard nothing */
inline worker_repeats(w)
{
	if
	:: dead && job[w].state != IDLE -> settle(w)	/* no credit */
#if !defined(BREAK_no_repeat)
	:: !dead && job[w].state != IDLE && !job[w].heard ->
		if
		:: job[w].state == ENDING ->
#if !defined(BREAK_end_once)
			send_chunk(w, CHUNKS)
#endif
		:: job[w].state == GIVING ->
			send(up[w], GIVEN, job[w].fence, 0, 0)
		:: else -> send(up[w], HELLO, job[w].fence, 0, 0)
		fi
#endif
	:: else
	fi;
	job[w].heard = 0
}

proctype worker(byte w)
{
	mtype type;
	byte a, b, c, n;

end_worker:
	do
	:: atomic { queued && job[w].state == IDLE -> take(w) }
	:: atomic { len(down[w]) > 0 ->
			receive(down[w]);
			worker_receives(w);
			type = 0; a = 0; b = 0; c = 0
		}
	:: atomic { job[w].state == RUNNING && job[w].next < CHUNKS &&
		    job[w].next < job[w].upto ->
			assert(job[w].next - job[w].base < WINDOW);
			send_chunk(w, job[w].next);
			job[w].next++
		}
	:: atomic { job[w].state == RUNNING && job[w].next == CHUNKS ->
			send_chunk(w, CHUNKS);
			job[w].next++;
			job[w].state = ENDING;
#if defined(BREAK_ack_early)
			settle(w)
#endif
		}
	:: atomic { drains > 0 && job[w].state == ASKING &&
		    job[w].fence == FENCE ->
			drains--;
#if !defined(BREAK_given)
			send(up[w], GIVEN, job[w].fence, 0, 0);
#endif
#if defined(BREAK_given) || defined(BREAK_given_unanswered)
			give_back(w)
#else
			job[w].state = GIVING
#endif
		}
	:: atomic { kills > 0 && job[w].state != IDLE ->
			kills--;
			let_go(w);
			do
			:: len(down[w]) > 0 -> down[w]?type(a, b, c)
			:: else -> break
			od;
			type = 0; a = 0; b = 0; c = 0
		}
	:: atomic { early > 0 && job[w].state != IDLE && !dead ->
			early--;
			job[w].heard = 0;
			worker_repeats(w)
		}
	od
}

/* -------- front -------- */

inline send_credit()
{
	told = taken + WINDOW;
	send(down[owner], CREDIT, fence, have, told)
}

inline ends()
{
	over = 1
}

/* HELLO, or the first that is heard of a delivery: may it run? */
inline new_fence(w, f)
{
#if defined(RESUME)
	may = 1;
#elif defined(NEVER)
	may = !front_asked;
#else
	may = have == 0;
#endif
	if
	:: may ->
		fence = f;
		owner = w;
		front_asked = 1
	:: else ->
		lost = 1;
		send(down[w], STOP, f, 0, 0);
		ends()
	fi
}

inline front_chunk(w)
{
	if
	:: b == have ->
		if
		:: type == CHUNK ->
#if !defined(RESUME)
			assert(run_of_reader == 0 || run_of_reader == c);
			run_of_reader = c;
#endif
			assert(have - taken < WINDOW);
			got++;
			have++
		:: else ->
			assert(b == CHUNKS);
			have++;
			send_credit();		/* have is CHUNKS + 1 */
			ended = 1
			/* the proxy ends when the reader has all */
		fi
#if defined(BREAK_gap)
	:: b > have && type == CHUNK -> have = b + 1
	:: b > have && type == END -> ended = 1; have = b + 1
#endif
	:: b < have && type == END -> send_credit()
	:: b < have && type == CHUNK
#if defined(BREAK_twice)
		-> got++
#endif
#if !defined(BREAK_gap)
	:: b > have			/* a NAK will come */
#endif
	fi
}

#if defined(BREAK_late_hello)
#define gone_by(f)	(f < fence)
#else
#define gone_by(f)	(f < fence || f <= given)
#endif

/* a, b, c: fence, seq, run */
inline front_receives(w)
{
	if
	:: type == GIVEN ->
		if	/* another has it: a second delivery was given back */
		:: owner == NOBODY || a == fence -> given = max(given, a)
		:: else
		fi;
		if
		:: a == fence && !over ->
			owner = NOBODY;
			front_asked = 0
		:: else
		fi;
		if
		:: over -> send(down[w], STOP, a, 0, 0)
		:: else -> send(down[w], STALE, a, 0, 0)
		fi
#if defined(BREAK_given_unheard)
	:: type != GIVEN && a <= given
#endif
	:: else ->
		if
		:: over ->
#if !defined(BREAK_unknown_silent)
			send(down[w], STOP, a, 0, 0)
#endif
		:: !over && gone_by(a) ->
#if defined(BREAK_fence)
			front_chunk(w)
#else
			send(down[w], STALE, a, 0, 0)
#endif
		:: !over && !gone_by(a) ->
			may = 1;
			if
			:: a == fence -> owner = w
#if defined(BREAK_chunk_takes)
			:: a > fence && type != HELLO ->
				fence = a;
				owner = w
			:: a > fence && type == HELLO -> new_fence(w, a)
#else
			:: a > fence -> new_fence(w, a)
#endif
			fi;
			if
			:: may && type == HELLO -> send_credit()
			:: may && type != HELLO -> front_chunk(w)
			:: else
			fi;
			may = 0
		fi
	fi
}

/* it heard nothing, and is hungry */
inline front_repeats()
{
	if
#if !defined(BREAK_no_keepalive)
	:: !over && !dead && owner != NOBODY ->
		if
		:: have == taken -> send(down[owner], NAK, fence, have, told)
		:: else -> send_credit()
		fi
#endif
	:: else
	fi
}

proctype front()
{
	mtype type;
	byte a, b, c;
	bit may;

end_front:
	do
	:: atomic { len(up[0]) > 0 && !dead ->
			receive(up[0]);
			front_receives(0);
			type = 0; a = 0; b = 0; c = 0
		}
	:: atomic { len(up[1]) > 0 && !dead ->
			receive(up[1]);
			front_receives(1);
			type = 0; a = 0; b = 0; c = 0
		}
	/* to nobody */
	:: atomic { len(up[0]) > 0 && dead -> up[0]?type(a, b, c); type = 0 }
	:: atomic { len(up[1]) > 0 && dead -> up[1]?type(a, b, c); type = 0 }
	/* task_sync(), of what the reader has */
	:: atomic { !over && !dead && taken < have && taken < CHUNKS ->
			taken++;
			if
			:: !ended && owner != NOBODY &&
			   taken + WINDOW - told >= (WINDOW + 1) / 2 ->
				send_credit()
			:: else
			fi
		}
	:: atomic { !over && !dead && ended && taken >= CHUNKS -> ends() }
	:: atomic { early > 0 && !over -> early--; front_repeats() }
#if defined(CLOSE)
	:: atomic { !over && !dead ->
			lost = 1;
			if
			:: owner != NOBODY -> send(down[owner], STOP, fence, 0, 0)
			:: fence == 0 && !out -> queued = 0
			:: else
			fi;
			ends()
		}
#endif
#if defined(DEATH)
	:: atomic { !dead -> dead = 1 }
#endif
	od
}

/* -------- the engine -------- */

proctype engine()
{
	bit store = 1;

end_engine:
	do
	:: atomic { out && !held -> out = 0; queued = 1 }
	:: atomic { out && held && lapses > 0 -> lapses--; out = 0; queued = 1 }
#if defined(STORE)
	:: atomic { store -> store = 0; queued = 0; out = 0; deliveries = 0 }
	/* the front sees that, and publishes again what it has no worker of, or
	 * a silent one */
	:: atomic { !store && !queued && !out && !dead && !over && !ended &&
		    (owner == NOBODY || nobody_has_it) ->
			queued = 1;
#if !defined(BREAK_epoch)
			epoch++
#endif
		}
#endif
	od
}

/* -------- when nothing moves any more -------- */

proctype quiet()
{
	do
	:: atomic { timeout ->
			if
			:: (over || dead) && !queued && !out &&
			   nobody_has_it ->
				break
			:: else
			fi;
			rounds++;
			assert(rounds <= ROUNDS);	/* it goes on */
			front_repeats();
			worker_repeats(0);
			worker_repeats(1)
		}
	od;
	if
	:: !dead && !lost ->
		assert(ended && got == CHUNKS && taken == CHUNKS)
	:: else -> assert(dead || may_lose)
	fi
}

init
{
	atomic {
		run engine();
		run worker(0);
		run worker(1);
		run front();
		run quiet()
	}
}
