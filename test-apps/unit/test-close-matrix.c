/*
 * lws-threadpool unit tests - W1: a wsi of every kind closes in every way with
 * tasks in every state, by the watch fd and by the opt-in
 *
 * SPDX-License-Identifier: MIT
 *
 * Of each task: its cleanup comes once and with no wsi (T7), it is told
 * STOPPING once if it had started (T4), or not at all and runs on to FINISHED
 * if it outlives (T5), and nothing hands lws the wsi again.
 *
 * LWSTP_WRAP: lws_callback_on_writable lws_adopt_descriptor_vhost_via_info
 * LWSTP_WRAP: lws_get_socket_fd
 */

#include "closings-wrap.h"

enum state {
	QUEUED,
	RUNNING,
	SYNCING,
	DONE,
	OUTLIVES,		/* by the flag on CHECKING_IN, running */
	OUTLIVES_SYNCING,	/* by the flag on SYNC, SYNCING */
	OUTLIVES_ASYNC,		/* by args.async_task, running */
	OUTLIVES_ASYNC_SYNCING, /* by args.async_task, SYNCING */
	OUTLIVES_ASYNC_QUEUED,	/* by args.async_task, not started */

	STATES
};

#define BIT(s) (1u << (s))
#define ALL    (BIT(STATES) - 1)

struct matrix {
	enum conn_kind kind;
	enum closing way;
	bool opt_in;

	/* of the case at hand */
	unsigned int states;
	struct conn *conn;
	struct gate *gate;
	struct job *jobs[STATES];
	int cleaned_at_close;
};

static bool
is_held(enum state s) /* occupies a thread */
{
	return s == RUNNING || s == OUTLIVES || s == OUTLIVES_ASYNC;
}

static bool
is_queued(enum state s)
{
	return s == QUEUED || s == OUTLIVES_ASYNC_QUEUED;
}

static bool
is_ended_at_once(enum state s)
{
	return s == QUEUED || s == DONE;
}

static int
cleaned(struct matrix *m)
{
	int s, n = 0;

	for (s = 0; s < STATES; s++)
		if (m->jobs[s] && is_ended_at_once((enum state)s))
			n += atomic_load(&m->jobs[s]->cleanups);

	return n;
}

static int
matrix_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len)
{
	struct matrix *m = rig->priv;

	if (reason_closed(reason) && m->conn && m->conn->wsi == wsi)
		m->cleaned_at_close = cleaned(m);

	return closing_event(rig, wsi, reason, user, in, len);
}

static struct job *
job_in_state(struct rig *rig, struct matrix *m, enum state s)
{
	struct job *j = job_new(rig);

	switch (s) {
	case RUNNING:
		j->gate = m->gate;
		j->repeat = INT32_MAX;
		j->ret = LWS_TP_RETURN_CHECKING_IN;
		break;
	case SYNCING:
		j->repeat = INT32_MAX;
		j->ret = LWS_TP_RETURN_SYNC;
		break;
	case OUTLIVES:
		j->gate = m->gate;
		j->gate_call = 1;
		j->repeat = 4;
		j->ret = LWS_TP_RETURN_CHECKING_IN | LWS_TP_RETURN_FLAG_OUTLIVE;
		break;
	case OUTLIVES_SYNCING:
		j->repeat = 1;
		j->ret = LWS_TP_RETURN_SYNC | LWS_TP_RETURN_FLAG_OUTLIVE;
		break;
	case OUTLIVES_ASYNC:
		j->gate = m->gate;
		j->async_task = 1;
		j->repeat = 4;
		j->ret = LWS_TP_RETURN_SYNC;
		break;
	case OUTLIVES_ASYNC_SYNCING:
	case OUTLIVES_ASYNC_QUEUED:
		j->async_task = 1;
		j->repeat = 4;
		j->ret = LWS_TP_RETURN_SYNC;
		break;
	default:
		break;
	}

	return j;
}

/* Brings one task of each wanted state about, on a pool whose threads are all
 * held at the end if one is to stay queued. */
static void
matrix_tasks(struct rig *rig, struct matrix *m)
{
	struct lws_threadpool *tp;
	int s, held = 0;

	for (s = 0; s < STATES; s++)
		held += (m->states & BIT(s)) && is_held((enum state)s);
	tp = rig_pool(rig, held + 1, 100);

	/* those that leave their thread first, then those that keep it */
	for (s = 0; s < STATES; s++) {
		if (!(m->states & BIT(s)) || is_queued((enum state)s) ||
		    is_held((enum state)s))
			continue;
		m->jobs[s] = job_in_state(rig, m, (enum state)s);
		assert_non_null(job_enqueue(tp, m->jobs[s], m->conn->wsi));
		wait_status(m->jobs[s], s == DONE ? LWS_TP_STATUS_FINISHED :
						    LWS_TP_STATUS_SYNCING);
	}
	for (s = 0; s < STATES; s++) {
		if (!(m->states & BIT(s)) || !is_held((enum state)s))
			continue;
		m->jobs[s] = job_in_state(rig, m, (enum state)s);
		assert_non_null(job_enqueue(tp, m->jobs[s], m->conn->wsi));
		wait_int(&m->jobs[s]->calls, m->jobs[s]->gate_call + 1);
	}
	if (m->states & (BIT(QUEUED) | BIT(OUTLIVES_ASYNC_QUEUED))) {
		struct job *blocker = job_gated(rig, m->gate);

		assert_non_null(job_enqueue(tp, blocker, NULL));
		wait_int(&blocker->calls, 1);
	}
	for (s = 0; s < STATES; s++) {
		if (!(m->states & BIT(s)) || !is_queued((enum state)s))
			continue;
		m->jobs[s] = job_in_state(rig, m, (enum state)s);
		assert_non_null(job_enqueue(tp, m->jobs[s], m->conn->wsi));
	}
}

/* S7: one that was SYNCING goes on when its service thread has a turn, and the
 * others go on without it. */
static void
matrix_wait(struct rig *rig, struct job *j, enum state s)
{
	if (s == SYNCING || s == OUTLIVES_SYNCING ||
	    s == OUTLIVES_ASYNC_SYNCING)
		rig_until_int(rig, &j->cleanups, 1);
	else
		wait_int(&j->cleanups, 1);
}

static void
matrix_expect(struct matrix *m, enum state s)
{
	struct job *j = m->jobs[s];
	int stops = s == RUNNING || s == SYNCING;

	if (atomic_load(&j->stopping) != stops || j->cleanup_wsi ||
	    atomic_load(&j->cleanups) != 1)
		fail_msg("%s, %s, %s, state %d of %x: told STOPPING %d times, "
			 "%d cleanups, wsi %p",
			 conn_kind_name(m->kind), closing_name(m->way),
			 m->opt_in ? "opt-in" : "watch", (int)s, m->states,
			 atomic_load(&j->stopping), atomic_load(&j->cleanups),
			 (void *)j->cleanup_wsi);
	if (!is_ended_at_once(s))
		return;
	assert_int_equal(atomic_load(&j->calls), s == DONE);
	assert_true(pthread_equal(j->cleanup_thread, pthread_self()));
}

static void
matrix_case(struct matrix *m, unsigned int states)
{
	struct rig_opts opts = {
		.on_event = matrix_event, .opt_in = m->opt_in, .priv = m
	};
	int s, at_once = !!(states & BIT(QUEUED)) + !!(states & BIT(DONE));
	struct rig *rig = rig_create(&opts);

	memset(m->jobs, 0, sizeof(m->jobs));
	m->states = states;
	m->gate = gate_new(rig);
	m->conn = conn_open(rig, m->kind);
	m->conn->manual = true;
	matrix_tasks(rig, m);

	closing_do(m->conn, m->way);

	/* lws has freed the wsi: what can be reaped at once was, and with the
	 * watch that was before the application heard of the close */
	assert_int_equal(cleaned(m), at_once);
	if (!m->opt_in)
		assert_int_equal(m->cleaned_at_close, at_once);
	gate_open(m->gate);
	for (s = 0; s < STATES; s++)
		if (m->jobs[s]) {
			matrix_wait(rig, m->jobs[s], (enum state)s);
			matrix_expect(m, (enum state)s);
			/* it is gone: its handle is stale (Q6) */
			assert_int_equal(lws_threadpool_task_status_noreap(
						 m->jobs[s]->task),
					 LWS_TP_STATUS_FINISHED);
		}
	for (s = OUTLIVES; s < STATES; s++)
		if (m->jobs[s])
			assert_int_equal(atomic_load(&m->jobs[s]->running),
					 m->jobs[s]->repeat + 1);
	m->conn = NULL;
	assert_int_equal(rig_destroy(rig), 0);
}

static void
close_with_tasks_in_every_state(void **state)
{
	struct matrix *m = *state;
	int s;

	for (s = 0; s < STATES; s++)
		matrix_case(m, BIT(s));
	matrix_case(m, ALL);
}

int
main(void)
{
	static struct matrix rows[2 * CONN_KINDS * CLOSINGS];
	static char names[LWS_ARRAY_SIZE(rows)][80];
	static struct CMUnitTest tests[LWS_ARRAY_SIZE(rows)];
	int opt_in, kind, way;
	size_t n = 0;

	for (opt_in = 0; opt_in < 2; opt_in++)
		for (kind = 0; kind < CONN_KINDS; kind++)
			for (way = 0; way < CLOSINGS; way++) {
				if (!closing_can((enum conn_kind)kind,
						 (enum closing)way))
					continue;
				rows[n].kind = (enum conn_kind)kind;
				rows[n].way = (enum closing)way;
				rows[n].opt_in = opt_in;
				snprintf(names[n], sizeof(names[n]),
					 "W1: %s, %s, by the %s",
					 conn_kind_name(rows[n].kind),
					 closing_name(rows[n].way),
					 opt_in ? "opt-in" : "watch");
				tests[n].name = names[n];
				tests[n].test_func =
					close_with_tasks_in_every_state;
				tests[n].initial_state = &rows[n];
				n++;
			}

	return _cmocka_run_group_tests("W1 close matrix", tests, n, NULL, NULL);
}
