/*
 * lws-threadpool unit tests - jobs with a key (O1)
 *
 * SPDX-License-Identifier: MIT
 */

#include "keyed.h"

struct served *
keyed_new(struct rig *rig, const void *key, int max)
{
	struct served *s = served_new(rig);

	s->o.on_sync = NULL;
	s->o.on_end = NULL;
	s->o.key = key;
	s->o.key_max = max;
	s->j->name = "keyed";

	return s;
}

struct served *
keyed_gated(struct rig *rig, const void *key, int max, struct gate *gate)
{
	struct served *s = keyed_new(rig, key, max);

	s->j->gate = gate;

	return s;
}

static void
lane_enter(struct lane *lane, struct job *j)
{
	int inside = atomic_fetch_add(&lane->inside, 1) + 1,
	    most = atomic_load(&lane->most);

	j->data = atomic_fetch_add(&lane->started, 1);
	while (inside > most &&
	       !atomic_compare_exchange_weak(&lane->most, &most, inside))
		;
}

static int
counted_step(struct job *j, enum lws_threadpool_task_status status)
{
	struct served *s = j->priv;
	struct lane *lane = s->priv;
	int call = atomic_load(&j->calls);

	if (call == 1)
		lane_enter(lane, j);
	if (status == LWS_TP_STATUS_RUNNING && call <= j->repeat)
		return j->ret;
	atomic_fetch_sub(&lane->inside, 1);

	return status == LWS_TP_STATUS_RUNNING ? LWS_TP_RETURN_FINISHED :
						 LWS_TP_RETURN_STOPPED;
}

struct served *
keyed_counted(struct rig *rig, struct lane *lane, int max, int repeat, int ret)
{
	struct served *s = keyed_new(rig, lane, max);

	s->priv = lane;
	s->j->fn = counted_step;
	s->j->repeat = repeat;
	s->j->ret = ret;

	return s;
}

void
keyed_is_held(struct rig *rig, struct lws_threadpool *tp, struct served *s)
{
	int possible;

	lws_threadpool_diagnose(tp, NULL, &possible, NULL);
	for (int n = 0; n < 2 * possible; n++)
		job_fence(rig, tp);
	assert_int_equal(lws_threadpool_task_status_noreap(s->j->task),
			 LWS_TP_STATUS_QUEUED);
	assert_int_equal(atomic_load(&s->j->calls), 0);
}
