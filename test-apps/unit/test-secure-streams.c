/*
 * lws-threadpool unit tests - tasks on a secure stream: SYNC asks for its tx,
 * its end detaches them, and they outlast its connections (W1, S3, Q2, Q3)
 *
 * SPDX-License-Identifier: MIT
 *
 * LWSTP_WRAP: lws_ss_request_tx lws_sul_schedule
 */

#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* -------- what is wrapped -------- */

static int requests;   /* for tx, by the library */
static bool no_rering; /* S5's look never comes */

lws_ss_state_return_t
__real_lws_ss_request_tx(struct lws_ss_handle *ss);
lws_ss_state_return_t
__wrap_lws_ss_request_tx(struct lws_ss_handle *ss);
void
__real_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);
void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us);

lws_ss_state_return_t
__wrap_lws_ss_request_tx(struct lws_ss_handle *ss)
{
	requests++;

	return __real_lws_ss_request_tx(ss);
}

void
__wrap_lws_sul_schedule(struct lws_context *context, int tsi,
			lws_sorted_usec_list_t *sul, sul_cb_t cb, lws_usec_t us)
{
	if (no_rering && us >= LWS_US_PER_SEC / 2 && us <= 2 * LWS_US_PER_SEC)
		return;
	__real_lws_sul_schedule(context, tsi, sul, cb, us);
}

/* -------- the tests -------- */

static void
begin(void)
{
	requests = 0;
	no_rering = false;
}

static int
setup(void **state)
{
	begin();

	return streams_setup(state);
}

static int
setup_threads(void **state)
{
	begin();

	return streams_setup_threads(state);
}

static int
teardown(void **state)
{
	no_rering = false;

	return streams_teardown(state);
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* must be the first: it is about the whole process */
static void
W1_refused_while_nobody_tells_of_the_end(void **state)
{
	struct streams *s = *state;
	struct job *j = job_script(s->rig, 0, 0);
	struct stream *st;

	s->silent = true;
	st = stream_create(s, "client");
	if (LWSTP_UNIT_IN_LWS) {
		assert_non_null(stream_enqueue(s, j, st->ss));
		return;
	}
	assert_null(stream_enqueue(s, j, st->ss));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_ss_event()"), 1);

	s->silent = false;
	stream_destroy(st);
	st = stream_create(s, "client");
	assert_non_null(stream_enqueue(s, j, st->ss));
}

struct received {
	struct streams *s;
	size_t want;
};

static bool
is_received(void *arg)
{
	struct received *r = arg;
	char buf[4096];
	ssize_t n;

	while (r->s->fd >= 0 && (n = recv(r->s->fd, buf, sizeof(buf), 0)) > 0)
		r->s->received += (size_t)n;

	return r->s->received >= r->want;
}

/* The first SYNC makes it connect, and nothing of that is lost */
static void
S3_sync_gets_the_tx_callback(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct job *j = job_script(s->rig, 200, LWS_TP_RETURN_SYNC);
	struct received c = { .s = s, .want = 200 };

	no_rering = true;
	assert_non_null(stream_enqueue(s, j, st->ss));
	rig_until_int(s->rig, &j->cleanups, 1);
	rig_until(s->rig, is_received, &c);
	assert_int_equal(s->received, 200);
	assert_int_equal(st->states[LWSSSCS_CONNECTED], 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 200);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->calls), 201);
	/* T7: there is no wsi to give to it, and it is the service thread's */
	assert_null(j->cleanup_wsi);
	assert_true(pthread_equal(j->cleanup_thread, s->rig->thread));
	assert_null(lws_threadpool_get_task_ss(st->ss));
}

/* S6: one is served for each tx */
static void
S6_many_tasks_of_a_stream(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct received c = { .s = s, .want = 50 * 20 };

	no_rering = true;
	for (int n = 0; n < 50; n++)
		assert_non_null(stream_enqueue(
			s, job_script(s->rig, 20, LWS_TP_RETURN_SYNC), st->ss));
	rig_until_cleaned(s->rig);
	rig_until(s->rig, is_received, &c);
	assert_int_equal(s->received, 50 * 20);
}

/* A task belongs to the stream, not to its connection. */
static void
W1_tasks_outlast_a_connection(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct job *j = job_script(s->rig, 3, LWS_TP_RETURN_SYNC);

	st->manual = true;
	assert_non_null(stream_enqueue(s, j, st->ss));
	stream_connect(s, st);
	rig_until_status(j, LWS_TP_STATUS_SYNCING);
	streams_hang_up(s);
	rig_until(s->rig, stream_is_disconnected, st);

	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_SYNCING);
	assert_ptr_equal(lws_threadpool_get_task_ss(st->ss), j->task);

	st->manual = false;
	stream_connect(s, st);
	assert_int_equal(__real_lws_ss_request_tx(st->ss), LWSSSSRET_OK);
	rig_until_int(s->rig, &j->cleanups, 1);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
	assert_int_equal(atomic_load(&j->stopping), 0);
}

struct walk {
	struct lws_threadpool_task *task[8];
	int n;
	int stop_at;
};

static int
walk_note(struct lws_threadpool_task *task, void *user)
{
	struct walk *w = user;

	w->task[w->n++] = task;

	return w->n == w->stop_at;
}

static int
walk_dequeue(struct lws_threadpool_task *task, void *user)
{
	*(int *)user += lws_threadpool_dequeue_task(task);

	return 0;
}

static void
Q2_Q3_get_and_foreach(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client"),
		      *other = stream_create(s, "client");
	struct gate *gate = gate_new(s->rig);
	struct walk w = { .n = 0 };
	struct job *j[4];
	int asked = 0;

	st->manual = true;
	assert_null(lws_threadpool_get_task_ss(st->ss));
	assert_null(lws_threadpool_get_task_ss(NULL));
	assert_int_equal(lws_threadpool_foreach_task_ss(st->ss, &w, walk_note),
			 0);
	assert_int_equal(w.n, 0);

	for (int n = 0; n < 3; n++) { /* two run, one is queued */
		j[n] = job_gated(s->rig, gate);
		assert_non_null(stream_enqueue(s, j[n], st->ss));
	}
	wait_int(&j[0]->calls, 1);
	wait_int(&j[1]->calls, 1);
	j[3] = job_script(s->rig, 0, 0);
	assert_non_null(stream_enqueue(s, j[3], other->ss));

	assert_ptr_equal(lws_threadpool_get_task_ss(st->ss), j[0]->task);
	assert_int_equal(lws_threadpool_foreach_task_ss(st->ss, &w, walk_note),
			 0);
	assert_int_equal(w.n, 3);
	for (int n = 0; n < 3; n++)
		assert_ptr_equal(w.task[n], j[n]->task);
	memset(&w, 0, sizeof(w));
	w.stop_at = 2;
	assert_int_equal(lws_threadpool_foreach_task_ss(st->ss, &w, walk_note),
			 1);
	assert_int_equal(w.n, 2);
	assert_int_equal(lws_threadpool_foreach_task_ss(st->ss, &w, NULL), 0);
	assert_int_equal(log_claim(LLL_ERR, "cb is NULL"), 1);

	/* Q4: two are asked to stop, the queued one is reaped at once */
	assert_int_equal(lws_threadpool_foreach_task_ss(st->ss, &asked,
							walk_dequeue),
			 0);
	assert_int_equal(asked, 2);
	assert_int_equal(atomic_load(&j[2]->cleanups), 1);
	assert_null(lws_threadpool_get_task_ss(st->ss));
	assert_ptr_equal(lws_threadpool_get_task_ss(other->ss), j[3]->task);
	gate_open(gate);
	rig_until_int(s->rig, &j[0]->cleanups, 1);
	rig_until_int(s->rig, &j[1]->cleanups, 1);
	rig_until_int(s->rig, &j[3]->cleanups, 1);

	/* one that is done goes before one that runs */
	gate_close(gate);
	j[0] = job_gated(s->rig, gate);
	j[1] = job_script(s->rig, 0, 0);
	assert_non_null(stream_enqueue(s, j[0], st->ss));
	assert_non_null(stream_enqueue(s, j[1], st->ss));
	wait_status(j[1], LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(lws_threadpool_get_task_ss(st->ss), j[1]->task);
}

/* -------- ends -------- */

enum end {
	END_DESTROY, /* lws_ss_destroy() */
	END_RETURN,  /* a state callback returns DESTROY_ME */
	END_CONTEXT,
	ENDS
};

enum moment {
	QUEUED,
	RUNNING,
	SYNCING,
	DONE,
	OUTLIVES,
	SYNC_OUTLIVES,
	MOMENTS
};

static void
end_stream(struct streams *s, struct stream *st, enum end end)
{
	switch (end) {
	case END_DESTROY:
		stream_destroy(st);
		break;
	case END_RETURN:
		/* lws destroys it as its connection goes */
		st->die_in = LWSSSCS_DISCONNECTED;
		streams_hang_up(s);
		rig_until(s->rig, stream_is_destroyed, st);
		break;
	default:
		rig_context_destroy(s->rig);
		assert_null(st->ss);
		break;
	}
	assert_int_equal(st->states[LWSSSCS_DESTROYING], 1);
}

static void
end_with(struct streams *s, bool connect, enum end end)
{
	struct stream *st = stream_create(s, "client");
	struct gate *gate = gate_new(s->rig), *blocked = gate_new(s->rig);
	struct lws_threadpool *main_tp = s->tp;
	struct lws_threadpool *busy = rig_pool(s->rig, 1, 100);
	struct job *j[MOMENTS];
	struct lws_ss_handle *ss;

	st->manual = true;
	if (connect)
		stream_connect(s, st);

	j[QUEUED] = job_script(s->rig, 0, 0);
	j[RUNNING] = job_script(s->rig, 1000000, LWS_TP_RETURN_CHECKING_IN);
	j[RUNNING]->gate = gate;
	j[SYNCING] = job_script(s->rig, 1000000, LWS_TP_RETURN_SYNC);
	j[DONE] = job_script(s->rig, 0, 0);
	j[OUTLIVES] = job_gated(s->rig, gate);
	j[OUTLIVES]->async_task = 1;
	j[SYNC_OUTLIVES] = job_script(
		s->rig, 1, LWS_TP_RETURN_SYNC | LWS_TP_RETURN_FLAG_OUTLIVE);

	job_block(s->rig, busy, blocked);
	s->tp = busy;
	assert_non_null(stream_enqueue(s, j[QUEUED], st->ss));
	s->tp = main_tp;
	assert_non_null(stream_enqueue(s, j[DONE], st->ss));
	wait_status(j[DONE], LWS_TP_STATUS_FINISHED);
	assert_non_null(stream_enqueue(s, j[SYNCING], st->ss));
	wait_status(j[SYNCING], LWS_TP_STATUS_SYNCING);
	assert_non_null(stream_enqueue(s, j[SYNC_OUTLIVES], st->ss));
	wait_status(j[SYNC_OUTLIVES], LWS_TP_STATUS_SYNCING);
	assert_non_null(stream_enqueue(s, j[RUNNING], st->ss));
	assert_non_null(stream_enqueue(s, j[OUTLIVES], st->ss));
	wait_int(&j[RUNNING]->calls, 1);
	wait_int(&j[OUTLIVES]->calls, 1);
	rig_turns(s->rig, 3);

	ss = st->ss;
	end_stream(s, st, end);

	/* nothing of it is there any more */
	assert_null(lws_threadpool_get_task_ss(ss));
	assert_int_equal(atomic_load(&j[QUEUED]->cleanups), 1);
	assert_int_equal(atomic_load(&j[QUEUED]->calls), 0);
	assert_int_equal(atomic_load(&j[DONE]->cleanups), 1);
	assert_true(pthread_equal(j[DONE]->cleanup_thread, s->rig->thread));
	assert_int_equal(atomic_load(&j[RUNNING]->cleanups), 0);
	assert_int_equal(atomic_load(&j[OUTLIVES]->cleanups), 0);

	gate_open(gate);
	gate_open(blocked);
	for (int n = 0; n < MOMENTS; n++) {
		if (end == END_CONTEXT)
			wait_int(&j[n]->cleanups, 1);
		else /* S7: the SYNCING ones wait for a turn */
			rig_until_int(s->rig, &j[n]->cleanups, 1);
		assert_null(j[n]->cleanup_wsi);
		/* Q6 */
		assert_int_equal(lws_threadpool_task_status(j[n]->task, NULL),
				 LWS_TP_STATUS_FINISHED);
	}
	assert_int_equal(atomic_load(&j[RUNNING]->stopping), 1);
	assert_int_equal(atomic_load(&j[SYNCING]->stopping), 1);
	assert_int_equal(atomic_load(&j[OUTLIVES]->stopping), 0);
	assert_int_equal(atomic_load(&j[SYNC_OUTLIVES]->stopping), 0);
	log_claim(LLL_WARN, "conn->ss->wsi");
}

static void
W1_destroyed_while_connected(void **state)
{
	end_with(*state, true, END_DESTROY);
}

static void
W1_destroyed_while_not_connected(void **state)
{
	end_with(*state, false, END_DESTROY);
}

static void
W1_destroyed_by_its_own_state_callback(void **state)
{
	end_with(*state, true, END_RETURN);
}

static void
W1_context_destroyed(void **state)
{
	end_with(*state, true, END_CONTEXT);
}

/* Compiled into lws nobody has to tell us. */
static void
W1_destroyed_in_silence(void **state)
{
	struct streams *s = *state;

	if (!LWSTP_UNIT_IN_LWS)
		skip(); /* the companion cannot see it: documented */
	s->silent = true;
	end_with(s, true, END_DESTROY);
	end_with(s, true, END_RETURN);
	end_with(s, false, END_DESTROY);
	end_with(s, true, END_CONTEXT);
}

/* -------- DESTROY_ME in answer to what the library asks -------- */

static void
destroy_me(struct streams *s, const char *type, lws_ss_constate_t when)
{
	struct stream *st = stream_create(s, type);
	struct job *j = job_script(s->rig, 1000000, LWS_TP_RETURN_SYNC);

	st->die_in = when;
	assert_non_null(stream_enqueue(s, j, st->ss));
	rig_until(s->rig, stream_is_destroyed, st);
	assert_int_equal(st->states[when], 1);
	assert_int_equal(st->states[LWSSSCS_DESTROYING], 1);
	rig_until_int(s->rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

static void
S3_destroy_me_is_obeyed(void **state)
{
	struct streams *s = *state;

	destroy_me(s, "client", LWSSSCS_POLL);
	destroy_me(s, "client", LWSSSCS_CONNECTING);
	destroy_me(s, "nobody", LWSSSCS_UNREACHABLE);
	log_claim(LLL_WARN, "conn->ss->wsi");
}

/* S5 is not to begin again what lws gave up: that is the application's to do,
 * and then the task goes on. */
static bool
has_failed(void *arg)
{
	struct stream *st = arg;

	return st->states[LWSSSCS_ALL_RETRIES_FAILED];
}

static bool
is_later(void *arg)
{
	return lws_now_usecs() >= *(lws_usec_t *)arg;
}

static void
S5_retries_that_failed_are_not_begun_again(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct job *j = job_script(s->rig, 3, LWS_TP_RETURN_SYNC);
	lws_usec_t later;
	int before;

	lws_vhost_destroy(s->vhost);
	rig_drain(s->rig);
	assert_non_null(stream_enqueue(s, j, st->ss));
	rig_until(s->rig, has_failed, st);
	before = requests;
	later = lws_now_usecs() + LWS_US_PER_SEC * 5 / 2;
	rig_until(s->rig, is_later, &later);
	assert_int_equal(requests, before);
	assert_int_equal(st->states[LWSSSCS_ALL_RETRIES_FAILED], 1);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_SYNCING);

	streams_peer_listen(s);
	assert_int_equal(lws_ss_client_connect(st->ss), LWSSSSRET_OK);
	rig_until_int(s->rig, &j->cleanups, 1);
	assert_int_equal(j->reaped_as, LWS_TP_STATUS_FINISHED);
}

/* -------- refusals -------- */

static int
enqueue_there(struct job *j, enum lws_threadpool_task_status status)
{
	struct stream *st = j->priv;
	struct job *other = job_script(j->rig, 0, 0);

	(void)status;
	other->name = "from a pool thread";
	if (stream_enqueue(st->all, other, st->ss))
		job_fault(j, "accepted from a pool thread (W2)");

	return LWS_TP_RETURN_FINISHED;
}

static void
W2_refused_from_a_pool_thread_and_with_a_wsi(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct job *j = job_new(s->rig);
	struct lws_threadpool_task_args args;

	j->fn = enqueue_there;
	j->priv = st;
	assert_non_null(stream_enqueue(s, j, NULL));
	rig_until_int(s->rig, &j->cleanups, 1);
	assert_int_equal(log_claim(LLL_ERR, "not for a pool thread"), 1);

	job_args(job_new(s->rig), NULL, &args);
	args.ss = st->ss;
	args.wsi = (struct lws *)st; /* never looked at */
	assert_null(lws_threadpool_enqueue(s->tp, &args, "both"));
	assert_int_equal(log_claim(LLL_ERR, "both set"), 1);
}

/* With several service threads the companion cannot know which of them is the
 * stream's; compiled in it is known. */
static void
W3_refused_with_several_service_threads(void **state)
{
	struct streams *s = *state;
	struct job *j = job_script(s->rig, 0, 0);
	struct stream *st;

	if (lws_get_count_threads(s->rig->context) < 2)
		skip(); /* LWS_MAX_SMP is 1 */
	st = stream_create(s, "client");
	if (!LWSTP_UNIT_IN_LWS) {
		assert_null(stream_enqueue(s, j, st->ss));
		assert_int_equal(log_claim(LLL_ERR, "several service threads"),
				 1);
		assert_null(lws_threadpool_get_task_ss(st->ss));
		return;
	}
	assert_non_null(stream_enqueue(s, j, st->ss));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(lws_threadpool_get_task_ss(st->ss), j->task);
	stream_destroy(st);
	assert_int_equal(atomic_load(&j->cleanups), 1);
}

static void
cleanup_enqueues(struct job *j, struct lws *wsi)
{
	struct stream *st = j->priv;
	struct lws_ss_handle *ss = st->ss;

	(void)wsi;
	j->priv = NULL;
	if (stream_enqueue(st->all, job_script(j->rig, 0, 0), ss))
		job_fault(j, "accepted by a stream that is destroyed (W5)");
}

static struct stream *another;

static void
cleanup_destroys_another(struct job *j, struct lws *wsi)
{
	stream_destroy(another);
	cleanup_enqueues(j, wsi);
}

/* W4: another stream's end is the latest that was told of then */
static void
W4_refused_while_another_one_is_destroyed_too(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct job *j = job_script(s->rig, 0, 0);

	another = stream_create(s, "client");
	j->priv = st;
	j->on_cleanup = cleanup_destroys_another;
	assert_non_null(stream_enqueue(s, j, st->ss));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	stream_destroy(st);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	/* compiled in, the first is known for good */
	assert_int_equal(log_claim(LLL_ERR, "secure stream is closing") +
				 log_claim(LLL_ERR, "being destroyed"),
			 1);
}

static void
W4_refused_while_it_is_destroyed(void **state)
{
	struct streams *s = *state;
	struct stream *st = stream_create(s, "client");
	struct job *j = job_script(s->rig, 0, 0);

	/* in its callback, with no task before */
	st->enqueue = j;
	st->enqueue_in = LWSSSCS_DESTROYING;
	stream_destroy(st);
	assert_null(st->enqueue);
	assert_false(j->accepted);
	assert_int_equal(log_claim(LLL_ERR, "being destroyed"), 1);

	/* W5: in a cleanup, and in the callback of one with a task */
	log_forget();
	st = stream_create(s, "client");
	j = job_script(s->rig, 0, 0);
	j->priv = st;
	j->on_cleanup = cleanup_enqueues;
	assert_non_null(stream_enqueue(s, j, st->ss));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	st->enqueue = job_script(s->rig, 0, 0);
	st->enqueue_in = LWSSSCS_DESTROYING;
	j = st->enqueue;
	stream_destroy(st);
	assert_false(j->accepted);
	/* the reason is logged once a second at most */
	log_claim(LLL_ERR, "being destroyed");
}

/* one after the other at the same address, as malloc() likes to do */
static void
W4_a_new_stream_is_not_taken_for_the_old_one(void **state)
{
	struct streams *s = *state;
	struct lws_ss_handle *last = NULL;
	int same = 0;

	for (int n = 0; n < 200; n++) {
		struct stream *st = stream_create(s, "client");
		struct job *j = job_script(s->rig, 0, 0);

		same += st->ss == last;
		last = st->ss;
		assert_null(lws_threadpool_get_task_ss(st->ss));
		assert_non_null(stream_enqueue(s, j, st->ss));
		wait_status(j, LWS_TP_STATUS_FINISHED);
		stream_destroy(st);
		assert_int_equal(atomic_load(&j->cleanups), 1);
	}
	print_message("%d of 200 at the address of the one before\n", same);
}

/* -------- a server's -------- */

static bool
is_serving(void *arg)
{
	struct stream *st = arg;

	return st->accepted && st->states[LWSSSCS_CONNECTING];
}

static bool
is_answered(void *arg)
{
	struct job *j = arg;

	return j->seen[LWS_TP_STATUS_SYNCING];
}

static bool
is_unserved(void *arg)
{
	struct stream *st = arg;

	return !st->accepted;
}

static void
W3_an_accepted_stream(void **state)
{
	struct streams *s = *state;
	struct received c = { .s = s, .want = 100 };
	struct sockaddr_in sin;
	struct lws_vhost *vhost;
	struct stream *st;
	struct job *j, *k;

	st = stream_create(s, "server");
	j = job_script(s->rig, 100, LWS_TP_RETURN_SYNC);
	vhost = lws_get_vhost_by_name(s->rig->context, "server");
	assert_non_null(vhost);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)lws_get_vhost_listen_port(vhost));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(s->fd >= 0);
	assert_int_equal(connect(s->fd, (struct sockaddr *)&sin, sizeof(sin)),
			 0);
	assert_int_equal(fcntl(s->fd, F_SETFL, O_NONBLOCK), 0);
	/* lws tells of no CONNECTED there */
	assert_int_equal(send(s->fd, "hello", 5, 0), 5);
	rig_until(s->rig, is_serving, st);

	/* what is asked for before the role is bound is lost (fact 9) */
	assert_non_null(stream_enqueue(s, j, st->accepted));
	rig_until(s->rig, is_answered, j);
	no_rering = true;
	rig_until_int(s->rig, &j->cleanups, 1);
	rig_until(s->rig, is_received, &c);
	assert_int_equal(s->received, 100);

	/* it ends with its connection */
	k = job_script(s->rig, 1000000, LWS_TP_RETURN_SYNC);
	st->manual = true;
	assert_non_null(stream_enqueue(s, k, st->accepted));
	wait_status(k, LWS_TP_STATUS_SYNCING);
	close(s->fd);
	s->fd = -1;
	rig_until(s->rig, is_unserved, st);
	rig_until_int(s->rig, &k->cleanups, 1);
	assert_int_equal(atomic_load(&k->stopping), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(W1_refused_while_nobody_tells_of_the_end),
		STREAM_TEST(S3_sync_gets_the_tx_callback),
		STREAM_TEST(S6_many_tasks_of_a_stream),
		STREAM_TEST(W1_tasks_outlast_a_connection),
		STREAM_TEST(Q2_Q3_get_and_foreach),
		STREAM_TEST(W1_destroyed_while_connected),
		STREAM_TEST(W1_destroyed_while_not_connected),
		STREAM_TEST(W1_destroyed_by_its_own_state_callback),
		STREAM_TEST(W1_context_destroyed),
		STREAM_TEST(W1_destroyed_in_silence),
		STREAM_TEST(S3_destroy_me_is_obeyed),
		STREAM_TEST(S5_retries_that_failed_are_not_begun_again),
		STREAM_TEST(W2_refused_from_a_pool_thread_and_with_a_wsi),
		cmocka_unit_test_setup_teardown(
			W3_refused_with_several_service_threads, setup_threads,
			teardown),
		STREAM_TEST(W4_refused_while_it_is_destroyed),
		STREAM_TEST(W4_refused_while_another_one_is_destroyed_too),
		STREAM_TEST(W4_a_new_stream_is_not_taken_for_the_old_one),
		STREAM_TEST(W3_an_accepted_stream),
	};

	return cmocka_run_group_tests_name("secure streams", tests, NULL, NULL);
}
