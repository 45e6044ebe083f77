/*
 * lws-threadpool - the state machine, for spin
 *
 * SPDX-License-Identifier: MIT
 *
 * Processes: the workers of one pool, the service thread with the application
 * in it, and under -DFOREIGN a thread that calls task_sync() and finish().
 *
 * An atomic {} is what happens under pool->lock, its intake_lock or
 * lwstp_bindings_lock, and its comment names the function of lib/ that it stands
 * for; all that lies between two of them is where other threads come in.  What a
 * locked part leaves to be done (struct lwstp_after) is in the a_ variables of
 * each process.
 *
 * Not here, on purpose: timers that would hide a lost wake-up (the re-ring of
 * S5, the looks between two turns), spurious wake-ups, and more of lws than a
 * flag for the eventfd and one for the WRITEABLE of each wsi.
 *
 * Sizes: WORKERS, SLOTS (tasks at a time), TASKS (enqueued in all), WSIS.
 * What may happen:
 *   CLOSE	a wsi closes, at any moment
 *   END	finish and destroy, at any moment
 *   DETACHED	tasks without a wsi
 *   OUTLIVE	tasks that outlive their wsi
 *   CHECKIN	tasks that check in
 *   STALE	a handle that the application kept is used, at any moment
 *   DEQUEUE	the application dequeues a task, at any moment
 *   FOREIGN	task_sync(stop 0 and 1) and finish() by another thread
 *   SPIN	a worker without work looks out for some before it sleeps
 *   AWAKE	the service thread rings its own bell, as often as it likes
 *   DEAF	the application never answers a SYNC, the sync timeout is on,
 *		and every task but the first holds its worker for ever
 *
 * BREAK_x breaks the model in one place, and makes a property fail: see check.
 */

#if !defined(WORKERS)
#define WORKERS 2
#endif
#if !defined(SLOTS)
#define SLOTS 2
#endif
#if !defined(TASKS)
#define TASKS SLOTS
#endif
#if !defined(WSIS)
#define WSIS 1
#endif

#define NONE 15

mtype = { FREE, QUEUED, RUNNING, SYNCING, FINISHED, STOPPED, CHECKING_IN,
	  SYNC };

/* -------- the structs of private.h -------- */

typedef lwstp_task {
	mtype	status;
	byte	generation;
	byte	wsi;			/* its binding, NONE: detached */
	bit	live;
	bit	stop;
	bit	outlive;
	bit	wanting;
	bit	seen;

	/* what is only here to be asserted */
	byte	who;			/* which of TASKS this is */
	bit	inside;			/* in its function */
	bit	told;			/* was called with STOPPING */
};

lwstp_task task[SLOTS];

/* pool */
chan incoming = [SLOTS] of { byte };
chan queued = [SLOTS] of { byte };
chan resumed = [SLOTS] of { byte };
bit idle[WORKERS], chain[WORKERS];
bit waiting[WORKERS];			/* in pthread_cond_wait() */
byte keeper = NONE;
bit waking, finishing;
bit turn[WORKERS];
byte spinner = NONE;
byte alive = WORKERS;

/* bindings: one a wsi */
chan wanting[WSIS] = [SLOTS] of { byte };
byte unseen[WSIS];
bit bound[WSIS], rung[WSIS], closing[WSIS];

/* the bell, and lws */
chan inbox = [SLOTS] of { byte };
chan bell = [WSIS] of { byte };		/* rung */
bit signalled;
bit eventfd;
bit writeable[WSIS];
bit gone[WSIS];				/* lws has freed it */
byte host_refs = 2;			/* the pool's and the context's */

/* asserted */
byte accepted;				/* tasks */
byte cleaned[TASKS];
bit destroyed, foreign_ended;

#define AFTER \
	bit a_ring; byte a_wake = NONE; byte a_cleanup = NONE; \
	byte a_wsi = NONE; byte v; byte w; byte x

#define is_stopping(t) \
	(task[t].status == RUNNING && (task[t].stop || finishing))
#define is_done(t) \
	(task[t].status == FINISHED || task[t].status == STOPPED)

/* -------- doorbell.c, binding.c: locked -------- */

/* signal_after() */
inline signal_after()
{
	if
#if defined(BREAK_never_signal) || defined(BREAK_signal_first)
	:: false -> skip
#elif defined(BREAK_signal_again)
	:: signalled -> a_ring = 1; host_refs++
#elif defined(BREAK_host_ref)
	:: !signalled -> signalled = 1; a_ring = 1
#else
	:: !signalled -> signalled = 1; a_ring = 1; host_refs++
#endif
	:: else
	fi
}

/* __lwstp_bell_push() */
inline bell_push(b)
{
	if
	:: !rung[b] && !closing[b] -> rung[b] = 1; bell!b
	:: else
	fi
}

/* __lwstp_bell_ring() */
inline bell_ring(b)
{
	bell_push(b);
	if
	:: rung[b] -> signal_after()
	:: else
	fi
}

/* __lwstp_bell_put() */
inline bell_put(t)
{
	inbox!t;
	signal_after()
}

/* __lwstp_bell_collect(), __lwstp_binding_want() */
inline collect()
{
	do
	:: len(inbox) > 0 ->
		inbox?x;
		task[x].wanting = 1;
		task[x].seen = 0;
		unseen[task[x].wsi]++;
		wanting[task[x].wsi]!x;
		bell_push(task[x].wsi)
	:: else -> break
	od;
	x = 0
}

/* __ring_for_others() */
inline ring_for_others(b)
{
	if
#if !defined(BREAK_others)
	:: unseen[b] > 0 -> bell_ring(b)
#endif
	:: else
	fi
}

/* __lwstp_binding_look() */
inline look(t)
{
	collect();
	see(t)
}

/* __look() */
inline see(t)
{
	if
	:: task[t].wanting && !task[t].seen ->
		task[t].seen = 1;
		unseen[task[t].wsi]--
	:: else
	fi
}

/* __unwant(), after __lwstp_bell_collect() */
inline unwant(t)
{
#if !defined(BREAK_collect)
	collect();
#endif
	if
	:: task[t].wanting ->
		see(t);
		task[t].wanting = 0;
		wanting[task[t].wsi]??eval(t)
	:: else
	fi
}

/* __lwstp_binding_detach() */
inline binding_detach(t)
{
	v = task[t].wsi;
	unwant(t);
	if
	:: !closing[v] -> ring_for_others(v)
	:: else
	fi;
	task[t].wsi = NONE
}

/* -------- worker.c: locked -------- */

/* an idle worker, the keeper last; and is taken off the list */
inline not_idle_any()
{
	if
	:: idle[0] && keeper != 0 -> w = 0
#if WORKERS > 1
	:: idle[1] && keeper != 1 -> w = 1
#endif
#if WORKERS > 2
	:: idle[2] && keeper != 2 -> w = 2
#endif
	:: else -> w = keeper
	fi;
	idle[w] = 0;
	if
	:: keeper == w -> keeper = NONE
	:: else
	fi
}

#if WORKERS == 1
#define some_idle (idle[0])
#elif WORKERS == 2
#define some_idle (idle[0] || idle[1])
#else
#define some_idle (idle[0] || idle[1] || idle[2])
#endif

#if SLOTS == 1
#define some_syncing (task[0].status == SYNCING)
#elif SLOTS == 2
#define some_syncing (task[0].status == SYNCING || task[1].status == SYNCING)
#else
#define some_syncing (task[0].status == SYNCING || \
		      task[1].status == SYNCING || task[2].status == SYNCING)
#endif

/* __lwstp_wake_for(pool, NULL, after) */
inline wake_for()
{
	if
	/* the spinner will see it, unless its time is over, or too much came */
	:: some_idle && !waking && spinner != NONE -> skip
	:: some_idle && !waking ->
		not_idle_any();
		waking = 1;
		chain[w] = 1;
#if !defined(BREAK_no_wake)
		a_wake = w;
#endif
		w = 0
	:: else
	fi
}

/* __lwstp_admit() */
inline admit()
{
	do
	:: len(incoming) > 0 -> incoming?x; queued!x
	:: else -> break
	od;
	x = 0
}

/* __lwstp_wake_all() */
inline wake_all()
{
	w = 0;
	do
	:: w < WORKERS ->
		if
		:: idle[w] -> idle[w] = 0; waiting[w] = 0
		:: else
		fi;
		w++
	:: else -> break
	od;
	keeper = NONE;
	w = 0
}

/* -------- task.c: locked -------- */

/* __to_resumed() */
inline to_resumed(t)
{
	task[t].status = RUNNING;
	resumed!t;
	wake_for()
}

/* __release(), __slot_put() */
inline release(t)
{
	assert(a_cleanup == NONE);
	a_cleanup = task[t].who;
	a_wsi = task[t].wsi;
	if
	:: task[t].wsi != NONE -> binding_detach(t)
	:: else
	fi;
#if !defined(BREAK_generation)
	task[t].generation++;
#endif
#if defined(BREAK_release)
	if
	:: a_wsi == NONE -> task[t].live = 0; task[t].status = FREE
	:: else
	fi
#else
	task[t].live = 0;
	task[t].status = FREE
#endif
}

/* __end() */
inline end_task(t, s)
{
	task[t].status = s;
	if
	:: task[t].wsi == NONE -> release(t)
	:: else -> bell_put(t)
	fi
}

/* __from_queued() */
inline from_queued(t)
{
	admit();
	queued??eval(t)
}

/* __lwstp_task_stop() */
inline task_stop(t)
{
	if
	:: task[t].status == QUEUED ->
		from_queued(t);
		end_task(t, STOPPED)
	:: task[t].status == SYNCING ->
		task[t].stop = 1;
		if
		:: task[t].wsi != NONE ->
			v = task[t].wsi;
			unwant(t);
			ring_for_others(v)
		:: else
		fi;
		to_resumed(t)
	:: task[t].status == RUNNING -> task[t].stop = 1
	:: else
	fi
}

/* __lwstp_task_reap() */
inline task_reap(t)
{
	if
	:: task[t].status == QUEUED -> from_queued(t)
	:: else
	fi;
	release(t)
}

/* __detach(): Q4, and with c W1 */
inline detach(t, c)
{
	bit q = task[t].status == QUEUED;

	if
	:: task[t].wsi != NONE && (c || !(q || is_done(t))) ->
		binding_detach(t)
	:: else
	fi;
	if
	:: is_done(t) || (q && !(c && task[t].outlive)) -> task_reap(t)
	:: else ->
		if
		:: !task[t].outlive -> task_stop(t)
		:: task[t].outlive && task[t].status == SYNCING -> to_resumed(t)
		:: else
		fi
	fi;
	q = 0
}

/* lwstp_task_lock(): the slot that a handle names, NONE if that is stale.  It
 * is the very task that the handle was made for. */
inline task_lock(slot, gen, ghost, found)
{
	if
	:: task[slot].live && task[slot].generation == gen ->
		assert(task[slot].who == ghost);
		found = slot
	:: else -> found = NONE
	fi
}

/* -------- pool.c -------- */

/* lwstp_after_do(): no lock held */
inline after_do(on_service_thread)
{
	v = 0;
	if
	:: a_ring ->
		atomic {			/* lwstp_bell_signal() */
			assert(host_refs > 0);
			eventfd = 1;
#if !defined(BREAK_host_ref)
			host_refs--;
#endif
			a_ring = 0
		}
	:: else
	fi;
	if
	:: a_wake != NONE ->
		atomic {			/* pthread_cond_signal() */
			waiting[a_wake] = 0;
			a_wake = NONE
		}
	:: else
	fi;
	if
	:: a_cleanup != NONE ->
		atomic {			/* the user's cleanup */
			cleaned[a_cleanup]++;
			assert(cleaned[a_cleanup] == 1);
			assert(!destroyed);
			if
			:: a_wsi != NONE ->
				assert(on_service_thread);
				assert(!gone[a_wsi] && !closing[a_wsi])
			:: else
			fi;
			a_cleanup = NONE;
			a_wsi = NONE
		}
	:: else
	fi
}

/* stop_one(): 0 in more if there was none */
inline stop_one(more, on_service_thread)
{
	atomic {
		more = 1;
		if
		:: len(queued) > 0 -> queued?<i>; task_stop(i)
		:: len(queued) == 0 && some_syncing ->
			i = 0;
			do
			:: task[i].status != SYNCING -> i++
			:: else -> break
			od;
			task_stop(i)
		:: else ->
			more = 0;
			wake_all()
		fi;
		i = 0
	}
	after_do(on_service_thread)
}

/* lws_threadpool_finish() */
inline finish(on_service_thread)
{
	atomic {
		finishing = 1;
#if !defined(BREAK_finish_admits)
		admit()
#endif
	}
	more = 1;
	do
	:: more -> stop_one(more, on_service_thread)
	:: else -> break
	od
}

/* -------- worker.c: lwstp_worker_thread() -------- */

/* __may_leave() */
#if defined(BREAK_may_leave)
#define may_leave (finishing)
#else
#define may_leave (finishing && len(queued) == 0 && len(resumed) == 0 && \
		   !some_syncing)
#endif

/* __sleep(), up to where others see that it is idle */
inline to_sleep()
{
	idle[me] = 1;
	waiting[me] = 1;
#if defined(DEAF)
	if
	:: some_syncing && keeper == NONE -> keeper = me
	:: else
	fi
#endif
}

/* what is on pool->idle is taken off */
inline not_idle()
{
	if
	:: idle[me] ->
		idle[me] = 0;
		if
		:: keeper == me -> keeper = NONE
		:: else
		fi
	:: else
	fi;
	if
	:: chain[me] ->
		chain[me] = 0;
#if !defined(BREAK_waking)
		waking = 0
#endif
	:: else
	fi
}

proctype worker(byte me)
{
	byte t = NONE;
	mtype ret = FREE;
	bit told, timed_out;
	AFTER;

top:
#if defined(BREAK_signal_first)
	if
	:: t != NONE && ret == SYNC && !signalled ->
		signalled = 1;
		eventfd = 1
	:: else
	fi;
#endif
	atomic {
		if
		:: t != NONE ->		/* __lwstp_task_returned() */
			if
			:: ret == SYNC && !told ->
				if
#if !defined(BREAK_returned_stopping)
				:: is_stopping(t) -> skip
#endif
#if !defined(BREAK_returned_detached)
				:: task[t].wsi == NONE -> skip
#endif
				:: else ->	/* __to_syncing() */
					task[t].status = SYNCING;
					if
					:: task[t].wsi != NONE -> bell_put(t)
					:: else
					fi;
					t = NONE
				fi
			:: ret == FINISHED ->
				end_task(t, FINISHED);
				t = NONE
			:: else ->
				end_task(t, STOPPED);
				t = NONE
			fi;
			ret = FREE;
			told = 0
		:: else
		fi;
#if defined(DEAF)
		if			/* __stop_timed_out() */
		:: timed_out && task[0].status == SYNCING -> task_stop(0)
		:: else
		fi;
		timed_out = 0;
#endif
		if
		:: t == NONE && a_cleanup == NONE ->	/* __take() */
			if			/* __queued() */
			:: len(queued) == 0 && !finishing -> admit()
			:: else
			fi;
			if
#if defined(BREAK_turn)
			:: len(resumed) > 0 -> resumed?t
#else
			:: len(resumed) > 0 && (len(queued) == 0 || turn[me] ||
						finishing) ->
				resumed?t;
				turn[me] = 0
#endif
#if defined(BREAK_finish_takes)
			:: len(queued) > 0 &&
			   (len(resumed) == 0 || !turn[me]) ->
#elif defined(BREAK_turn)
			:: len(queued) > 0 && len(resumed) == 0 && !finishing ->
#else
			:: len(queued) > 0 && !finishing &&
			   (len(resumed) == 0 || !turn[me]) ->
#endif
				assert(!finishing);		/* P3 */
				queued?t;
				turn[me] = 1
			:: else
			fi;
			if
			:: t != NONE ->
				task[t].status = RUNNING;
				if
				:: len(queued) > 0 || len(incoming) > 0 ||
				   len(resumed) > 0 ->
					wake_for()
#if defined(DEAF) && !defined(BREAK_keeper)
				:: len(queued) == 0 && len(incoming) == 0 &&
				   len(resumed) == 0 && some_syncing && keeper == NONE -> wake_for()
#endif
				:: else
				fi
			:: else
			fi
		:: else
		fi
	}
	/* The lock is not released here, so nothing comes in between but what
	 * takes the intake_lock alone: on all else it begins again. */
	atomic {
		if
		:: t == NONE && a_cleanup == NONE && !a_ring &&
		   a_wake == NONE ->
			if
			:: (len(queued) > 0 && !finishing) || len(resumed) > 0 ->
				goto top
			:: else
			fi;
			if
			:: may_leave ->
				alive--;
				goto out
#if defined(SPIN)
			:: !may_leave && spinner == NONE ->
				spinner = me;		/* __spin() */
				goto spin
			:: !may_leave && spinner == NONE && !some_syncing ->
				to_sleep();		/* it has napped */
				goto asleep
#endif
			:: else ->
				to_sleep();
				goto asleep
			fi
		:: else
		fi
	}
	after_do(0);
	if
	:: t == NONE -> goto top
	:: else
	fi;

call:	/* run(): no lock held */
	atomic {
		told = task[t].stop || finishing;
		assert(!task[t].inside && !task[t].told);	/* T2, T4 */
		task[t].inside = 1;
		if
		:: told -> task[t].told = 1
		:: else
		fi
	}
#if defined(DEAF)
	if
	:: task[t].who != 0 -> false	/* it never comes back */
	:: else
	fi;
#endif
	atomic {
		task[t].inside = 0;
		if
		:: ret = SYNC
		:: ret = FINISHED
#if defined(CHECKIN)
		:: ret = CHECKING_IN
#endif
		fi
	}
#if defined(OUTLIVE)
	if
	:: ret != FINISHED ->		/* plain_return() */
		if
		:: atomic { task[t].outlive = 1 }
		:: skip
		fi
	:: else
	fi;
#endif
	if
	:: ret == CHECKING_IN && !told -> goto call
	:: else -> goto top
	fi;

#if defined(SPIN)
spin:
	atomic {
		spinner = NONE;
		if
		:: len(queued) > 0 || len(incoming) > 0 || len(resumed) > 0 ->
			goto top
#if !defined(BREAK_spin)
		:: may_leave -> goto top
#endif
		:: else -> to_sleep()
		fi
	}
#endif

asleep:	/* __sleep(): a look at what is incoming */
#if !defined(BREAK_sleep)
	atomic {
		if
		:: len(incoming) > 0 ->
			assert(!finishing);
			waiting[me] = 0;
			not_idle();
			goto top
		:: else
		fi
	}
#endif
wait:	/* the wait */
	if
	:: !waiting[me] ->
		atomic {
			if
			:: idle[me] ->		/* signalled for an earlier one */
				waiting[me] = 1;
				goto wait
			:: else -> not_idle()
			fi
		}
#if defined(DEAF)
	:: atomic { waiting[me] && keeper == me ->
			waiting[me] = 0;
			timed_out = 1;
			not_idle()
		}
#endif
	fi;
	goto top;
out:
	skip
}

/* -------- the application, on the service thread -------- */

/* lws_callback_on_writable() */
inline callback_on_writable(b)
{
	assert(!gone[b]);
	writeable[b] = 1
}

/* lws_threadpool_enqueue() */
inline enqueue(b)
{
	if
	:: b != NONE && !bound[b] ->	/* lwstp_binding_make() */
		callback_on_writable(b);
		bound[b] = 1
	:: else
	fi;
#if defined(BREAK_wake_first)
	atomic { wake_for() }
	after_do(1);
#endif
	atomic {				/* __enqueue() */
		i = 0;
		do
		:: i < SLOTS && task[i].live -> i++
		:: else -> break
		od;
		if
		:: i < SLOTS && !finishing ->
			task[i].live = 1;
			task[i].stop = 0;
			task[i].told = 0;
			task[i].outlive = b == NONE;
			task[i].wsi = b;
			task[i].who = accepted;
#if defined(STALE) || defined(DEQUEUE)
			if			/* the application keeps one */
			:: h_slot = i;
			   h_gen = task[i].generation;
			   h_who = accepted
			:: skip
			fi;
#endif
			accepted++;
			task[i].status = QUEUED;
			incoming!i
		:: else			/* refused */
		fi;
		i = 0
	}
#if !defined(BREAK_wake_first)
	atomic {				/* lwstp_wake_for_incoming() */
		if
		:: some_idle && !waking -> wake_for()
		:: else
		fi
	}
	after_do(1)
#endif
}

/* lwstp_bell_answer() */
inline bell_answer()
{
	atomic { eventfd = 0 }			/* eventfd_read() */
#if !defined(BREAK_reset) && !defined(BREAK_reset_last)
	atomic { signalled = 0 }
#endif
	atomic {				/* ask_all() */
		collect();
		n = len(bell)
	}
	do
	:: n > 0 ->
		atomic {
			b = NONE;
			if
			:: len(bell) > 0 ->
				bell?b;
				assert(!gone[b]);
				rung[b] = 0;
				if
				:: len(wanting[b]) == 0 -> b = NONE
				:: else
				fi
			:: else
			fi;
			n--
		}
		if
		:: b != NONE -> callback_on_writable(b)
		:: else
		fi
	:: else -> break
	od;
	b = 0
#if defined(BREAK_reset_last)
	;
	atomic { signalled = 0 }
#endif
#if defined(AWAKE)
	;
	if					/* ring_ourselves() */
	:: true ->
		atomic { signalled = 1 };
#if !defined(BREAK_awake)
		atomic { eventfd = 1 }
#endif
	:: true
	fi
#endif
}

/* WRITEABLE of wsi b: lws_threadpool_get_task_wsi(), lws_threadpool_task_
 * status(), and lws_threadpool_task_sync() if that said SYNCING */
inline on_writeable(b)
{
	writeable[b] = 0;
	atomic {
		i = NONE;
		collect();
		if
		:: len(wanting[b]) > 0 -> wanting[b]?<i>
		:: else
		fi;
		if
		:: i != NONE ->
			g = task[i].generation;
			who = task[i].who
		:: else
		fi
	}
	if
	:: i != NONE ->
		atomic {
			s = i;
			task_lock(s, g, who, i);
			if
			:: i != NONE && is_done(i) -> task_reap(i); i = NONE
			:: i != NONE && !is_done(i) ->
				look(i);
				if
				:: task[i].status != SYNCING -> i = NONE
				:: else
				fi
			:: else
			fi
		}
		after_do(1);
#if !defined(DEAF)
		if
		:: i != NONE -> sync_once(s, g, who, 1)
		:: else
		fi;
#endif
		atomic { s = 0; g = 0; who = 0; i = 0 }
	:: else -> i = 0
	fi
}

/* lws_threadpool_task_sync(handle, 0) */
inline sync_once(slot, gen, ghost, on_service_thread)
{
	atomic {
		task_lock(slot, gen, ghost, i);
		if
		:: i != NONE ->
			look(i);
			if
			:: task[i].status == SYNCING ->
				v = task[i].wsi;
				unwant(i);
				ring_for_others(v);
				to_resumed(i)
			:: else
			fi
		:: else
		fi;
		i = 0
	}
	after_do(on_service_thread)
}

#if defined(BREAK_detach)
#define is_attached(t, b) (task[t].live && task[t].wsi == b && \
			   task[t].status != RUNNING)
#else
#define is_attached(t, b) (task[t].live && task[t].wsi == b)
#endif

/* lwstp_binding_close(): the wsi begins to close, and is gone after that */
inline close_wsi(b)
{
	atomic {				/* __mark_closing() */
		closing[b] = 1;
#if !defined(BREAK_mark)
		if
		:: rung[b] -> bell??eval(b); rung[b] = 0
		:: else
		fi
#endif
	}
	more = 1;
	do					/* detach_all() */
	:: more ->
		atomic {
			i = 0;
			do
			:: i < SLOTS && !is_attached(i, b) -> i++
			:: else -> break
			od;
			if
			:: i < SLOTS ->
				s = i;
				g = task[i].generation;
				who = task[i].who
			:: else -> more = 0
			fi
		}
		if
		:: more ->
			atomic {		/* lwstp_task_detach() */
				task_lock(s, g, who, i);
				if
				:: i != NONE -> detach(i, 1)
				:: else
				fi
			}
			after_do(1)
		:: else
		fi
	:: else -> break
	od;
	atomic {
		writeable[b] = 0;
		gone[b] = 1;
		i = 0; s = 0; g = 0; who = 0
	}
}

/* a handle that was kept: its task may run, have ended, or be another's slot */
inline use_kept()
{
	atomic {
		if
		:: h_slot != NONE ->
			task_lock(h_slot, h_gen, h_who, i);
			if
			:: i != NONE ->
				if
#if defined(STALE)
				:: is_done(i) -> task_reap(i)
				:: !is_done(i) -> look(i)
				:: task_stop(i)
#endif
#if defined(DEQUEUE)
				:: detach(i, 0)
#endif
				fi
			:: else
			fi;
			i = 0
		:: else
		fi
	}
	after_do(1)
}

inline all_cleaned()
{
	i = 0;
	do
	:: i < accepted -> assert(cleaned[i] == 1); i++
	:: else -> break
	od;
	i = 0
}

/* lws_threadpool_destroy(), and the context after it */
inline destroy()
{
	finish(1);
	alive == 0;				/* wait_for_threads() */
	do
	:: atomic {				/* reap_one() */
		i = 0;
		do
		:: i < SLOTS && !(task[i].live && is_done(i)) -> i++
		:: else -> break
		od;
		if
		:: i < SLOTS -> task_reap(i); i = 0
		:: else -> i = 0; break
		fi
	   }
	   after_do(1)
	od;
	atomic {
		assert(len(incoming) == 0 && len(queued) == 0 &&
		       len(resumed) == 0 && !some_syncing);
#if !defined(FOREIGN)
		all_cleaned();
		destroyed = 1;
#endif
		host_refs--			/* lwstp_pool_free() */
	}
	b = 0;
	do
	:: b < WSIS ->
		if
		:: !closing[b] -> close_wsi(b)
		:: else
		fi;
		b++
	:: else -> break
	od;
	atomic { host_refs--; eventfd = 0 };	/* lwstp_host_gone() */
#if defined(FOREIGN)
	foreign_ended;
	atomic { all_cleaned() };
#endif
	assert(host_refs == 0)
}

#if WSIS > 1
#define something_to_poll (eventfd || writeable[0] || writeable[1])
#else
#define something_to_poll (eventfd || writeable[0])
#endif

active proctype service()
{
	bit more, ended;
	byte i, s, g, who, n, b, h_slot = NONE, h_gen, h_who,
	     to_enqueue = TASKS, to_close = WSIS, to_use = 1;
	AFTER;

	atomic {
		i = 0;
		do
		:: i < SLOTS -> task[i].status = FREE; task[i].wsi = NONE; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < WORKERS -> run worker(i); i++
		:: else -> break
		od;
		i = 0
#if defined(FOREIGN)
		;
		run foreign()
#endif
	}

	do
	:: something_to_poll ->
		/* one turn of the loop: everybody in his turn */
		if
		:: eventfd -> bell_answer()
		:: else
		fi;
		if
		:: writeable[0] -> on_writeable(0)
		:: else
		fi;
#if WSIS > 1
		if
		:: writeable[1] -> on_writeable(1)
		:: else
		fi
#endif
	:: atomic { to_enqueue > 0 -> to_enqueue-- };
		if
		:: !closing[0] -> enqueue(0)
#if WSIS > 1
		:: !closing[1] -> enqueue(1)
#endif
#if defined(DETACHED)
		:: true -> enqueue(NONE)
#endif
		:: to_enqueue = 0	/* or it never does again */
		fi
#if defined(CLOSE)
	:: atomic { to_close > 0 -> to_close-- };
		if
		:: !closing[0] -> close_wsi(0)
#if WSIS > 1
		:: !closing[1] -> close_wsi(1)
#endif
		:: to_close = 0
		fi
#endif
#if defined(STALE) || defined(DEQUEUE)
	:: atomic { to_use > 0 -> to_use-- };
		if
		:: true -> use_kept()
		:: skip
		fi
#endif
#if defined(END)
	:: true ->
		destroy();
		break
#endif
	od
}

/* -------- another thread -------- */

#if defined(FOREIGN)
proctype foreign()
{
	byte i, calls = 2;
	bit more;
	AFTER;

	do
	:: calls > 0 ->
		calls--;
		if
		:: true -> sync_once(0, 0, 0, 0)
		:: true -> atomic {		/* task_sync(handle, 1) */
			task_lock(0, 0, 0, i);
			if
			:: i != NONE -> look(i); task_stop(i)
			:: else
			fi;
			i = 0
		   }
		   after_do(0)
		:: true -> finish(0)
		:: skip
		fi
	:: else -> break
	od;
	foreign_ended = 1
}
#endif

/* -------- what is proved beside the asserts and "no deadlock" -------- */

/* S3: a SYNC is answered, or the task ends */
ltl answered { [] ((task[0].status == SYNCING) ->
		   <> (task[0].status != SYNCING)) }

/* S2: who waits for a thread gets one */
ltl started { [] ((task[SLOTS - 1].status == QUEUED) ->
		  <> (task[SLOTS - 1].status != QUEUED)) }
