/*
 * lws-threadpool - a task's word and its service thread, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * Processes: workers of one pool, the service thread with the application in
 * it, and with FOREIGN another thread of the application.  Each names the
 * function of lib/ that it stands for.
 *
 * A compare and swap that is tried until it succeeds is one atomic {}, and so
 * is what happens under pool->lock, unless the service's inbox is put into
 * there.  Between two of them all other threads come in.  An inbox is a chan
 * here (inbox.pml proves that it is one), and a worker wakes when there is work
 * (wake.pml proves that).  There are no timers: they would hide a lost wake-up.
 *
 * When nothing moves any more, the process "quiet" looks at what is left.
 *
 * Sizes: WORKERS, SLOTS, TASKS (enqueued in all), WSIS.  What may happen:
 *   WILD	the application does in a callback whatever comes to its mind;
 *		else it answers each SYNC, one task for each WRITEABLE
 *   USES	callbacks beside WRITEABLE, with a kept handle: so many
 *   CLOSE	a wsi closes, within a callback or not
 *   END	destroy() at any time, then the end of the context
 *   GONE	the end of the context at any time, then destroy()
 *   FOREIGN	so many calls: task_sync(0), task_sync(1), finish(), and a SYNC
 *		that times out, which a worker notices
 *   OUTLIVE	tasks that outlive their wsi
 *   NO_WSI	tasks without a wsi
 *   HOLD	the first task never returns from its second call
 *   TWICE	WILD, two things in each callback
 *   LOOK	a service thread that looks, and workers that owe it a signal
 *
 * BREAK_x breaks one thing, and makes a property fail: see check.
 */

#if !defined(WORKERS)
#define WORKERS 1
#endif
#if !defined(SLOTS)
#define SLOTS 1
#endif
#if !defined(TASKS)
#define TASKS SLOTS
#endif
#if !defined(WSIS)
#define WSIS 1
#endif
#if !defined(USES)
#define USES 0
#endif

#define NONE 15

mtype = { FREE, QUEUED, RUNNING, SYNCING, FINISHED, STOPPED, SYNC };

/* -------- the structs of lib/ -------- */

typedef lwstp_task {
	/* the word */
	byte	generation;
	mtype	status;
	bit	stop, detached, outlive, posted;

	/* its service thread's */
	byte	on;		/* the wsi, NONE: none */
	bit	attention;
	bit	crowded;

	/* only here, to be asserted */
	byte	who;		/* which of TASKS it is */
	bit	given;		/* the slot is free */
};

lwstp_task task[SLOTS];

/* the pool */
chan put = [SLOTS] of { byte };		/* its inbox */
chan queued = [SLOTS] of { byte };
chan resumed = [SLOTS] of { byte };
chan done = [SLOTS] of { byte };
bit lock;
bit word_finishing, finishing, destroying;
byte accepted, taken, n_started, alive = WORKERS;
bit waiting;				/* destroy(), for pool->changed */

/* its service thread */
chan inbox = [SLOTS] of { byte };
chan batch = [SLOTS] of { byte };	/* taken out, to be looked at */
chan held = [SLOTS] of { byte };	/* S7 */
chan attention[WSIS] = [SLOTS] of { byte };
bit to_ask[WSIS], closing[WSIS];
bit is_signalled, looking;

/* lws */
bit eventfd;
bit writeable[WSIS];

/* only here, to be asserted: of each of TASKS */
bit inside[TASKS];	/* its function runs */
bit told[TASKS];	/* was called with STOPPING */
bit lent[TASKS];	/* a callback was told SYNCING, and may use its data */
byte cleaned[TASKS];
bit parked_once[TASKS];
bit known;		/* somebody has the first one's handle */
bit ended;		/* destroy() has returned */
bit foreign_ended;

#define LOCALS \
	byte i = 0; byte b = 0; byte who = 0; byte c = NONE; byte cw = NONE; \
	bit e = 0; bit p = 0; bit go = 0; bit f = 0

#define is_done(t) \
	(task[t].status == FINISHED || task[t].status == STOPPED)
/* of service.c */
#define is_held(t) \
	(task[t].status == SYNCING && (task[t].stop || task[t].detached))
/* of wsi.c */
#define wants_attention(t) \
	(is_done(t) || (task[t].status == SYNCING && !task[t].stop))
/* lwstp_task_find() */
#define same(t, g) \
	(task[t].generation == g && task[t].status != FREE)
#define is_posted_somewhere(t) \
	(inbox??[eval(t)] || batch??[eval(t)] || held??[eval(t)])

/* -------- handle.c, inbox.c -------- */

/* lwstp_slot_give() */
inline slot_give(t)
{
	assert(!task[t].given);
	assert(!is_posted_somewhere(t));
	task[t].given = 1
}

/* lwstp_task_post(), after POSTED was set by the same thread; e: it is to be
 * signalled */
inline post(t)
{
	atomic {
		assert(!is_posted_somewhere(t));
		e = e || len(inbox) == 0;
		inbox!t
	}
}

/* -------- task.c -------- */

/* __lwstp_drain(); lock held */
inline drain()
{
	do
	:: len(put) > 0 ->
		put?i;
		if
		:: task[i].status == QUEUED -> queued!i
		:: else ->
			assert(task[i].status == RUNNING);
			resumed!i
		fi
	:: else -> break
	od;
	i = 0
}

/* __release(); lock held */
inline release(t)
{
	assert(c == NONE);
	c = task[t].who;
#if !defined(BREAK_generation)
	task[t].generation++;
#endif
#if defined(BREAK_recycle)
	task[t].posted = 0;
#endif
	task[t].status = FREE;
	task[t].stop = 0;
	task[t].detached = 0;
	task[t].outlive = 0;
	if
	:: !task[t].posted -> slot_give(t)
	:: else
	fi
}

/* __lwstp_task_end(), up to its post; lock held */
inline end_task(t, s)
{
	if
#if !defined(BREAK_end_detached)
	:: task[t].detached -> release(t); p = 0
#endif
	:: else ->
		p = !task[t].posted;
#if !defined(BREAK_end_post)
		task[t].posted = 1;
#else
		p = 0;
#endif
		task[t].status = s;
		done!t
	fi
}

/* ... and that, and lwstp_unlock() */
inline end_post(t)
{
	if
	:: p -> post(t); p = 0
	:: else
	fi;
	lock = 0
}

/* lwstp_deferred_do() */
inline deferred_do()
{
	if
	:: e -> atomic { eventfd = 1; e = 0 }
	:: else
	fi;
	if
	:: c != NONE ->
		atomic {			/* the user's cleanup */
			assert(!cleaned[c] && !inside[c] && !ended);
			assert(!lent[c]);			/* S7 */
			assert(cw == NONE || !closing[cw]);
			cleaned[c] = 1;
			c = NONE;
			cw = NONE
		}
	:: else
	fi
}

/* lwstp_task_resume(), after its swap; p: it is to be posted */
inline resume_rest(t)
{
	if
	:: p -> post(t); p = 0;
		if
		:: e -> atomic { eventfd = 1; e = 0 }
		:: else
		fi
	:: else
	fi;
	atomic {
		assert(!(put??[eval(t)]) && !(resumed??[eval(t)]));
		put!t
	}
}

/* stop_one_queued(), __stop_one() and stop_if_queued() */
inline stop_queued(t)
{
	assert(task[t].status == QUEUED);
	taken++;
	end_task(t, STOPPED)
}

/* lwstp_task_stop() of the task w, if the slot is its still */
inline task_stop(t, g, w, between)
{
	go = 0;
	if
	:: atomic { !same(t, g) || is_done(t) -> skip }
	:: atomic { same(t, g) && task[t].status == QUEUED && !lock ->
			assert(task[t].who == w);
			lock = 1;
			drain();
			queued??eval(t);
			stop_queued(t)
		};
		end_post(t);
		deferred_do()
	:: atomic { same(t, g) && task[t].status == RUNNING ->
			assert(task[t].who == w);
			task[t].stop = 1
		}
	:: atomic { same(t, g) && task[t].status == SYNCING ->
			assert(task[t].who == w);
			if
#if !defined(BREAK_stop_at_once)
			:: between && (task[t].stop || task[t].detached)
			:: between && !task[t].stop && !task[t].detached ->
				task[t].stop = 1;
#if defined(BREAK_stop_posts)
				p = 1;
#elif !defined(BREAK_stop_unposted)
				p = !task[t].posted;
#endif
				task[t].posted = 1
#endif
			:: else ->
				p = !task[t].posted && !task[t].detached;
				if
				:: p -> task[t].posted = 1
				:: else
				fi;
				task[t].stop = 1;
				task[t].status = RUNNING;
				if
				:: !between -> lent[w] = 0
				:: else
				fi;
				go = 1
			fi
		};
		if
		:: go -> resume_rest(t); go = 0
		:: !go && p -> post(t); p = 0; deferred_do()
		:: else
		fi
	fi
}

/* lws_threadpool_task_sync(handle, 0) */
inline task_sync(t, g, w)
{
	f = task[t].crowded;
	atomic {
		if
		:: same(t, g) && task[t].status == SYNCING ->
			assert(task[t].who == w);
			p = f && !task[t].detached && !task[t].posted;
#if defined(BREAK_crowded)
			p = 0;
#endif
			if
			:: p -> task[t].posted = 1
			:: else
			fi;
			task[t].status = RUNNING;
			lent[w] = 0;
			go = 1
		:: else -> go = 0
		fi
	}
	f = 0;
	if
	:: go -> resume_rest(t); go = 0
	:: else
	fi
}

/* -------- pool.c -------- */

/* stop_syncing() */
inline stop_syncing(between)
{
	n = 0;
	do
	:: n < SLOTS ->
		atomic {
			if
			:: task[n].status == SYNCING ->
				g = task[n].generation;
				who = task[n].who;
				go = 1
			:: else -> go = 0
			fi
		}
		if
		:: go -> task_stop(n, g, who, between)
		:: else
		fi;
		n++
	:: else -> break
	od;
	atomic { n = 0; g = 0; who = 0 }
}

/* lws_threadpool_finish() */
inline finish()
{
	word_finishing = 1;
	finishing = 1;
#if !defined(BREAK_finish_syncing)
	stop_syncing(1);
#endif
	do
	:: atomic { !lock ->
			lock = 1;
			drain();
			if
			:: len(queued) > 0 -> queued?n; stop_queued(n)
			:: else -> n = NONE
			fi
		};
		if
		:: n == NONE -> atomic { lock = 0; n = 0 }; break
		:: else -> end_post(n)
		fi;
		deferred_do();
	od
}

/* pthread_cond_broadcast(&pool->changed), by a worker that has just had the
 * lock */
inline changed()
{
	atomic { !lock ->
		if
		:: finishing -> waiting = 0
		:: else
		fi
	}
}

/* -------- worker.c -------- */

#define some_work (len(put) > 0 || len(queued) > 0 || len(resumed) > 0)
#if defined(BREAK_leave_syncing)
#define may_leave (word_finishing && accepted == taken)
#elif defined(BREAK_leave_accepted)
#define may_leave (word_finishing && n_started == 0)
#else
#define may_leave (word_finishing && n_started == 0 && accepted == taken)
#endif

/* park(), up to its swap: f becomes false if it has to be called again */
inline park(t)
{
	f = finishing;
	atomic {
		g = task[t].generation;
		if
#if !defined(BREAK_park_detached)
		:: task[t].stop || task[t].detached -> f = 0
#endif
		:: f -> f = 0
		:: else ->
			p = !task[t].posted;
			task[t].posted = 1;
			task[t].status = SYNCING;
#if defined(HOLD)
			parked_once[who] = 1;
#endif
			f = 1
		fi
	}
}

/* ... and after it */
inline park_rest(t)
{
#if defined(BREAK_park_signal)
	if
	:: p && len(inbox) == 0 -> eventfd = 1
	:: else
	fi;
#endif
	if
	:: p -> post(t); p = 0
	:: else
	fi;
#if defined(BREAK_park_signal)
	e = 0;
#endif
#if defined(BREAK_owed)
	if
	:: looking -> e = 0
	:: else
	fi;
#endif
#if defined(LOOK)
	if				/* owe(), lwstp_settle_owed() */
	:: e && looking ->
		if
		:: len(inbox) == 0 -> e = 0
		:: else
		fi
	:: else
	fi;
#endif
	deferred_do();
#if !defined(BREAK_park_finishing)
	if
	:: finishing ->
#if defined(BREAK_park_destroying)
		f = 0;
#else
		f = destroying;
#endif
		task_stop(t, g, who, !f);
		f = 0
	:: else
	fi
#endif
}

proctype worker()
{
	byte t, g;
	bit stop;
	mtype ret;
	LOCALS;

end_take:
	atomic {				/* __take(), __run() */
		!lock && (some_work || may_leave);
		if
		:: may_leave ->
			assert(n_started == 0 && accepted == taken);
			alive--;
			waiting = 0;
			goto out
		:: else
		fi;
		drain();
		if
		:: len(queued) > 0 && finishing ->	/* P3 */
			queued?t;
			who = task[t].who;
			lock = 1;
			stop_queued(t);
			goto ended_task
		:: len(queued) > 0 && !finishing ->
			queued?t;
			taken++;
			n_started++;
			assert(task[t].status == QUEUED);
			task[t].status = RUNNING
		:: len(resumed) > 0 -> resumed?t
		fi;
		who = task[t].who
	}

call:	atomic {				/* run(): T2, T4, S7 */
		stop = task[t].stop || finishing;
		assert(task[t].status == RUNNING && task[t].who == who);
		assert(!inside[who] && !told[who] && !cleaned[who]);
		assert(!lent[who]);
		inside[who] = 1;
		told[who] = stop
	}
#if defined(HOLD)
	if
	:: who == 0 && parked_once[who] -> goto end_for_ever
	:: else
	fi;
#endif
	atomic {
		inside[who] = 0;
		if
		:: ret = SYNC
		:: ret = FINISHED
		fi
	}
#if defined(OUTLIVE)
	if
	:: ret == SYNC ->
		if
		:: atomic { task[t].outlive = 1 }
		:: skip
		fi
	:: else
	fi;
#endif
#if defined(BREAK_told_twice)
	if
	:: ret == SYNC ->
#else
	if
	:: stop && ret == SYNC -> ret = STOPPED
	:: !stop && ret == SYNC ->
#endif
		park(t);
		if
		:: !f -> goto call
		:: else
		fi;
		park_rest(t);
		changed();
		goto clear
	:: else
	fi;
	atomic { !lock ->			/* __ended() */
		lock = 1;
		n_started--;
		end_task(t, ret)
	};
ended_task:
	end_post(t);
	deferred_do();
	changed();
clear:	atomic { t = 0; g = 0; stop = 0; ret = 0; who = 0; f = 0 };
	goto end_take;
#if defined(HOLD)
end_for_ever:
	false;
#endif
out:
	skip
}

/* -------- wsi.c, and asking lws of service.c: the service thread -------- */

/* signal_self() */
inline signal_self()
{
	if
	:: !is_signalled ->
		is_signalled = 1;
		eventfd = 1
	:: else
	fi
}

/* lwstp_attention_clear() */
inline attention_clear(t)
{
	if
	:: task[t].attention ->
		task[t].attention = 0;
		attention[task[t].on]??eval(t)
	:: else
	fi
}

/* lwstp_attention() */
inline attend(t)
{
	attention_clear(t);
	task[t].crowded = len(attention[task[t].on]) > 0;
	if
	:: task[t].crowded ->
		attention[task[t].on]?<i>;
		task[i].crowded = 1;
		i = 0
	:: else
	fi;
	task[t].attention = 1;
	attention[task[t].on]!t
}

/* lwstp_attention_first(): i, or NONE */
inline attention_first(w)
{
	i = NONE;
	do
	:: len(attention[w]) > 0 ->
		attention[w]?<i>;
		if
		:: wants_attention(i) -> break
		:: else -> attention_clear(i); i = NONE
		fi
	:: else -> break
	od
}

/* lwstp_ask_for_others() */
inline ask_for_others(w)
{
	if
#if !defined(BREAK_others)
	:: !closing[w] ->
		attention_first(w);
		if
		:: i != NONE ->
			to_ask[w] = 1;
			signal_self()
		:: else
		fi;
		i = 0
#endif
	:: else
	fi
}

/* lwstp_unattach(): cw is what its cleanup gets */
inline unattach(t)
{
	attention_clear(t);
	b = task[t].on;
	if
	:: closing[b] -> cw = NONE
	:: else -> cw = b
	fi;
	task[t].on = NONE
}

/* -------- service.c -------- */

/* look_at(), after the word was swapped */
inline looked_at(t)
{
	if
	:: task[t].status == FREE -> slot_give(t)
	:: task[t].status != FREE && task[t].detached
	:: task[t].status == RUNNING && !task[t].detached ->
		if
		:: task[t].attention ->
			attention_clear(t);
			ask_for_others(task[t].on)
		:: else
		fi
	:: (is_done(t) || task[t].status == SYNCING) && !task[t].detached ->
		attend(t);
		if
		:: !closing[task[t].on] -> to_ask[task[t].on] = 1
		:: else
		fi
	:: task[t].status == QUEUED && !task[t].detached
	fi
}

/* look_at() */
inline look_at(t, between)
{
#if defined(BREAK_look_twice)
	f = is_held(t);
#endif
	atomic {
#if !defined(BREAK_look_twice)
		f = is_held(t);
#endif
#if defined(BREAK_hold)
		f = f && between;
#endif
		if
		:: f && !between ->
			if
			:: !task[t].detached -> attention_clear(t)
			:: else
			fi;
			held!t
		:: else ->
			task[t].posted = 0;
#if defined(BREAK_look_apart)
			g = task[t].generation;
			go = is_held(t);
			if
			:: !go -> looked_at(t)
			:: else
			fi
#else
			if
			:: is_held(t) ->
				task[t].status = RUNNING;
				go = 1
			:: else
			fi;
			looked_at(t)
#endif
		fi;
		f = 0
	}
#if defined(BREAK_look_apart)
	if
	:: go ->
		atomic {
			if
			:: task[t].generation == g && is_held(t) ->
				task[t].status = RUNNING
			:: else -> go = 0
			fi;
			looked_at(t);
			g = 0
		}
	:: else
	fi;
#endif
	if
	:: go -> resume_rest(t); go = 0
	:: else
	fi
}

/* collect() */
inline collect(between)
{
	atomic {
		do
		:: between && len(held) > 0 -> held?i; batch!i
		:: else -> break
		od;
		do
		:: len(inbox) > 0 -> inbox?i; batch!i
		:: else -> break
		od;
		i = 0
	}
	do
	:: len(batch) > 0 -> batch?n; look_at(n, between)
	:: else -> break
	od;
	n = 0
}

/* answer() */
inline answer()
{
	is_signalled = 0;
	collect(1);
	atomic {				/* ask_all() */
		b = 0;
		do
		:: b < WSIS ->
			if
			:: to_ask[b] ->
				to_ask[b] = 0;
				attention_first(b);
				if
				:: i != NONE -> writeable[b] = 1
				:: else
				fi
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0; i = 0
	}
}

/* lwstp_service_answer() */
inline service_answer()
{
#if defined(BREAK_read_last)
	answer();
	eventfd = 0
#else
	eventfd = 0;
	answer()
#endif
}

/* lwstp_service_collect() */
inline service_collect()
{
	collect(0);
	atomic {
		b = 0;
		do
		:: b < WSIS ->
			if
			:: to_ask[b] || len(held) > 0 -> signal_self()
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0
	}
}

/* lwstp_task_reap(), its lock held */
inline task_reap(t)
{
	drain();
	if
	:: task[t].status == QUEUED -> queued??eval(t); taken++
	:: is_done(t) -> done??eval(t)
	fi;
	release(t)
}

/* lwstp_detach(), with `close` W1 */
inline detach(t, close)
{
	atomic { unattach(t) };
	if					/* try_detach() */
	:: atomic { task[t].status == QUEUED && close && task[t].outlive ->
			task[t].detached = 1;
			cw = NONE
		}
	:: atomic { (is_done(t) || (task[t].status == QUEUED &&
				    !(close && task[t].outlive))) && !lock ->
			task_reap(t)
		}
	:: atomic { task[t].status == SYNCING ->
			p = !task[t].posted;
#if defined(BREAK_detach_unposted)
			p = 0;
#endif
			task[t].detached = 1;
			task[t].posted = 1;
			task[t].stop = task[t].stop || !task[t].outlive;
			cw = NONE;
#if defined(BREAK_detach_at_once)
			task[t].status = RUNNING;
			go = 1
#endif
		};
		if
		:: p -> post(t); p = 0; e = 0
		:: else
		fi;
		atomic { signal_self() };
#if defined(BREAK_detach_at_once)
		if
		:: go -> resume_rest(t); go = 0
		:: else
		fi
#endif
	:: atomic { task[t].status == RUNNING ->
			task[t].detached = 1;
			task[t].stop = task[t].stop || !task[t].outlive;
			cw = NONE
		}
	fi;
	atomic { ask_for_others(b) };
	deferred_do()
}

/* -------- closing.c -------- */

/* lwstp_wsi_close(): it is freed when the callbacks are over */
inline wsi_close(w)
{
	atomic {
		closing[w] = 1;
		to_ask[w] = 0;
		writeable[w] = 0
	}
	do
	:: atomic {
			m = 0;
			do
			:: m < SLOTS && task[m].on != w -> m++
			:: else -> break
			od
		};
		if
		:: m < SLOTS -> detach(m, 1)
		:: else -> break
		fi
	od;
	m = 0
}

/* lwstp_context_gone() */
inline context_gone()
{
	atomic { give_back() };
	w = 0;
	do
	:: w < WSIS ->
		if
		:: !closing[w] -> wsi_close(w)
		:: else
		fi;
		w++
	:: else -> break
	od;
	w = 0;
	collect(1);				/* lwstp_service_end() */
#if !defined(BREAK_end_words)
	/* whoever posts may not have put it in yet: its word tells */
	n = 0;
	do
	:: n < SLOTS ->
		atomic {
			if
			:: is_held(n) -> task[n].status = RUNNING; go = 1
			:: else
			fi
		}
		if
		:: go -> resume_rest(n); go = 0
		:: else
		fi;
		n++
	:: else -> break
	od;
	n = 0
#endif
}

/* -------- the application -------- */

/* the callback is over, or gives up what it was told */
inline give_back()
{
	m = 0;
	do
	:: m < TASKS -> lent[m] = 0; m++
	:: else -> break
	od;
	m = 0
}

/* lws_threadpool_enqueue() */
inline enqueue(w)
{
	atomic {
		m = 0;
		do
		:: m < SLOTS && !task[m].given -> m++
		:: else -> break
		od
	}
	if
	:: m < SLOTS ->
#if defined(BREAK_accept)
		f = word_finishing;
#endif
		atomic {			/* accept_task() */
			if
#if defined(BREAK_accept)
			:: !f ->
#else
			:: !word_finishing ->
#endif
				task[m].given = 0;
				task[m].who = accepted;
				accepted++;
				go = 1
			:: else
			fi;
			f = 0
		}
		if
		:: go ->			/* put_in() */
			atomic {
				assert(task[m].status == FREE &&
				       !task[m].posted);
				task[m].detached = w == NONE;
				task[m].outlive = w == NONE;
				task[m].on = w;
				task[m].attention = 0;
				task[m].status = QUEUED;
				g = task[m].generation;
				go = 0
			}
			atomic {
				put!m;
				if
				:: h == NONE ->
					h = m;
					h_gen = g;
					h_who = accepted - 1;
					known = 1
				:: else
				fi;
				m = 0;
				g = 0
			}
		:: else
		fi
	:: else
	fi;
	m = 0
}

/* lws_threadpool_get_task_wsi(), lwstp_service_next_task(): m, or NONE */
inline get_task(w)
{
	atomic {
		attention_first(w);
		f = i == NONE;
		if
		:: i != NONE -> f = task[i].posted
		:: else
		fi;
		i = 0
	}
	if
	:: f -> f = 0; service_collect()
	:: else
	fi;
	atomic {
		attention_first(w);
		m = i;
		if
		:: m == NONE ->
			i = 0;
			do
			:: i < SLOTS && task[i].on != w -> i++
			:: i < SLOTS && task[i].on == w -> m = i; break
			:: else -> break
			od
		:: else
		fi;
		i = 0;
		if
		:: m != NONE ->
			g = task[m].generation;
			who = task[m].who
		:: else
		fi
	}
}

/* lws_threadpool_task_status(): f: it is SYNCING */
inline task_status()
{
	atomic {
		f = 0;
		go = 0;
		if
		:: same(m, g) ->
			assert(task[m].who == who);
			go = is_done(m);
			f = task[m].status == SYNCING && !task[m].stop &&
			    !task[m].detached;
			if
			:: f ->
				assert(!inside[who]);
				lent[who] = 1
			:: else
			fi
		:: else
		fi
	}
	if
	:: go ->				/* reap() */
		atomic { !lock ->
			go = 0;
			unattach(m);
			task_reap(m);
			ask_for_others(b)
		}
		deferred_do()
	:: else
	fi
}

#if defined(WILD)
/* with task m of generation g */
inline something()
{
	if
	:: true -> task_sync(m, g, who)
	:: true -> task_stop(m, g, who, 0)	/* task_sync(1) */
	:: same(m, g) && !task[m].detached -> detach(m, 0)
	:: true -> service_collect()
#if defined(CLOSE)
	:: !closing[0] -> wsi_close(0)
#endif
	:: true
	fi
}
#else
inline something()
{
	if
	:: f -> task_sync(m, g, who)
	:: else
	fi
}
#endif

/* a callback, with what get_task() or the kept handle gives */
inline callback()
{
	if
	:: m != NONE ->
		task_status();
		something();
#if defined(TWICE)
		something()
#endif
	:: else
	fi;
	atomic { give_back(); m = 0; g = 0; who = 0; f = 0 }
}

/* lws_threadpool_destroy() */
inline destroy()
{
	atomic { destroying = 1; give_back() };
	finish();
	do					/* wait_for_threads() */
	:: alive == 0 -> break
	:: else ->
#if !defined(BREAK_destroy_stops)
		stop_syncing(0);
#endif
		atomic { !lock -> waiting = alive > 0 }
		!waiting
	od;
	do					/* reap_one() */
	:: atomic { len(done) > 0 && !lock ->
			done?<n>;
			unattach(n);
			task_reap(n);
			ask_for_others(b);
			n = 0
		};
		deferred_do()
	:: len(done) == 0 -> break
	od;
#if defined(FOREIGN)
	foreign_ended;
#endif
	atomic {
		m = 0;
		do
		:: m < accepted -> assert(cleaned[m]); m++	/* T7 */
		:: else -> break
		od;
		m = 0;
		ended = 1
	}
}

/* every slot is free again, once its service thread, or the end of that, has
 * looked at what was posted */
inline all_given()
{
	m = 0;
	do
	:: m < SLOTS -> assert(task[m].given); m++
	:: else -> break
	od
}

#if WSIS > 1
#define some_writeable (writeable[0] || writeable[1])
#else
#define some_writeable writeable[0]
#endif

proctype service()
{
	byte n, m, g, w, h = NONE, h_gen, h_who;
	byte to_enqueue = TASKS, to_close = 1, uses = USES;
	LOCALS;

end_poll:
	do
	:: eventfd || some_writeable || looking ->
		if				/* a turn of the loop */
		:: eventfd -> service_answer()
		:: else
		fi;
		if
		:: writeable[0] ->
			writeable[0] = 0;
			get_task(0);
			callback()
		:: else
		fi;
#if WSIS > 1
		if
		:: writeable[1] ->
			writeable[1] = 0;
			get_task(1);
			callback()
		:: else
		fi;
#endif
#if defined(LOOK)
		if				/* look() */
		:: looking -> answer(); looking = 0
		:: !looking -> looking = 1
		:: true
		fi
#endif
	:: to_enqueue > 0 ->
		to_enqueue--;
		if
		:: !closing[0] -> enqueue(0)
#if WSIS > 1
		:: !closing[1] -> enqueue(1)
#endif
#if defined(NO_WSI)
		:: true -> enqueue(NONE)
#endif
#if defined(CLOSE)
		:: closing[0]			/* W4 */
#endif
		fi
#if USES > 0
	:: uses > 0 && h != NONE ->
		atomic { uses--; m = h; g = h_gen; who = h_who };
		callback()
#endif
#if defined(CLOSE)
	:: to_close > 0 && !closing[0] ->
		to_close--;
		wsi_close(0)
#endif
#if defined(END)
	:: true -> break
#endif
#if defined(GONE)
	:: true ->
		context_gone();
		/* who has lost its wsi goes on, and ends */
end_gone:	n_started == 0 && accepted == taken;
		break
#endif
	od;
#if defined(END)
	destroy();
	context_gone();
#endif
#if defined(GONE)
	destroy();
	collect(1);				/* lwstp_context_put() */
#endif
	atomic { all_given() }
}

/* -------- another thread -------- */

#if defined(FOREIGN)
/* with the handle of the first task */
proctype foreign()
{
	byte n, g, calls = FOREIGN;
	LOCALS;

	do
	:: calls > 0 ->
		calls--;
		if
		:: known -> task_sync(0, 0, 0)
		:: known -> task_stop(0, 0, 0, 0)	/* task_sync(1) */
		:: known -> task_stop(0, 0, 0, 1)	/* __expire() */
		:: true -> finish()
		:: true
		fi
	:: else -> break
	od;
	foreign_ended = 1
}
#endif

/* -------- what has to be when nothing moves any more -------- */

proctype quiet()
{
	byte m;

end_quiet:
	timeout ->
		do
#if defined(HOLD)
		:: m < accepted -> assert(cleaned[m] || m == 0); m++
#else
		:: m < accepted -> assert(cleaned[m]); m++
#endif
		:: else -> break
		od;
#if defined(END) || defined(GONE)
		assert(ended && alive == 0)
#endif
}

init
{
	byte m;

	atomic {
		do
		:: m < SLOTS ->
			task[m].status = FREE;
			task[m].on = NONE;
			task[m].given = 1;
			m++
		:: else -> break
		od;
		m = 0;
		do
		:: m < WORKERS -> run worker(); m++
		:: else -> break
		od;
		run service();
#if defined(FOREIGN)
		run foreign();
#endif
		run quiet()
	}
}

/* S3: a SYNC is answered, or the task ends */
ltl answered { [] ((task[0].status == SYNCING) ->
		   <> (task[0].status != SYNCING)) }
