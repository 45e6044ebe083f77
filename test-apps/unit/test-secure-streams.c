/*
 * lws-threadpool unit tests - tasks on a secure stream: SYNC asks for its tx,
 * its end detaches them, and they outlast its connections (W1, S3, Q2, Q3)
 *
 * SPDX-License-Identifier: MIT
 *
 * Built where lws has Secure Streams.  The streams are ws clients of a vhost of
 * the test (raw ones are told CONNECTED twice by lws 4.3.3), and a raw server.
 *
 * LWSTP_WRAP: lws_ss_request_tx lws_sul_schedule
 */

#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATES 32

struct streams;

/* One of the test's, which is there for longer than the stream */
struct stream {
	struct streams		*all;
	struct lws_ss_handle	*ss;		/* NULL once destroyed */
	struct lws_ss_handle	*accepted;	/* a server's latest */
	struct job		*enqueue;	/* in state enqueue_in, once */
	lws_ss_constate_t	enqueue_in;
	int			states[STATES];	/* how often it was told */
	lws_ss_constate_t	die_in;		/* returns DESTROY_ME */
	bool			manual;		/* tx only counts */
	int			txs;
	struct stream		*next;
};

/* lws's user object, which it frees with the stream */
struct object {
	struct lws_ss_handle	*ss;
	void			*opaque;	/* struct stream */
};

/* Everything of a test */
struct streams {
	struct rig		*rig;
	struct lws_threadpool	*tp;
	struct stream		*first;
	char			policy[1024];
	int			port;
	struct lws_vhost	*vhost;		/* the clients' peer */
	struct lws		*peer;		/* ... its latest wsi */
	size_t			received;	/* ... its bytes, ever */
	int			fd;		/* the server's peer */
	bool			silent;		/* no lws_threadpool_ss_event */
};

/* -------- what is wrapped -------- */

static int requests;			/* for tx, by the library */
static bool no_rering;			/* S5's look never comes */

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
			lws_sorted_usec_list_t *sul, sul_cb_t cb,
			lws_usec_t us)
{
	if (no_rering && us >= LWS_US_PER_SEC / 2 && us <= 2 * LWS_US_PER_SEC)
		return;
	__real_lws_sul_schedule(context, tsi, sul, cb, us);
}

/* -------- the streams -------- */

static struct lws_threadpool_task *
enqueue(struct streams *s, struct job *j, struct lws_ss_handle *ss)
{
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;

	job_args(j, NULL, &args);
	args.ss = ss;
	task = lws_threadpool_enqueue(s->tp, &args, "%s",
				      j->name ? j->name : "job");
	if (task)
		job_accepted(j, task);

	return task;
}

static lws_ss_state_return_t
on_state(void *userobj, void *h_src, lws_ss_constate_t state,
	 lws_ss_tx_ordinal_t ack)
{
	struct object *o = userobj;
	struct stream *st = o->opaque;

	(void)h_src;
	(void)ack;

	if (!st->all->silent)
		lws_threadpool_ss_event(o->ss, state);
	if ((int)state < STATES)
		st->states[state]++;

	if (st->enqueue && state == st->enqueue_in) {
		struct job *j = st->enqueue;

		st->enqueue = NULL;
		enqueue(st->all, j, o->ss);
	}
	if (state == LWSSSCS_CREATING && st->ss && st->ss != o->ss)
		st->accepted = o->ss;
	if (state == LWSSSCS_DESTROYING) {
		if (st->accepted == o->ss)
			st->accepted = NULL;
		else
			st->ss = NULL;
	}

	return st->die_in && state == st->die_in ? LWSSSSRET_DESTROY_ME :
						   LWSSSSRET_OK;
}

static lws_ss_state_return_t
on_tx(void *userobj, lws_ss_tx_ordinal_t ord, uint8_t *buf, size_t *len,
      int *flags)
{
	enum lws_threadpool_task_status status;
	struct lws_threadpool_task *task;
	struct object *o = userobj;
	struct stream *st = o->opaque;
	struct job *j;
	void *user;

	(void)ord;

	st->txs++;
	task = st->manual ? NULL : lws_threadpool_get_task_ss(o->ss);
	if (!task)
		return LWSSSSRET_TX_DONT_SEND;
	status = lws_threadpool_task_status(task, &user);
	j = user;
	j->seen[status]++;
	if (status == LWS_TP_STATUS_FINISHED || status == LWS_TP_STATUS_STOPPED)
		j->reaped_as = (int)status;
	if (status != LWS_TP_STATUS_SYNCING)
		return LWSSSSRET_TX_DONT_SEND;
	lws_threadpool_task_sync(task, 0);
	*buf = 'x';
	*len = 1;
	*flags = LWSSS_FLAG_SOM | LWSSS_FLAG_EOM;

	return LWSSSSRET_OK;
}

static lws_ss_state_return_t
on_rx(void *userobj, const uint8_t *buf, size_t len, int flags)
{
	(void)userobj;
	(void)buf;
	(void)len;
	(void)flags;

	return LWSSSSRET_OK;
}

static struct stream *
stream_create(struct streams *s, const char *type)
{
	struct stream *st = calloc(1, sizeof(*st));
	lws_ss_info_t info;

	assert_non_null(st);
	st->all = s;
	st->next = s->first;
	s->first = st;

	memset(&info, 0, sizeof(info));
	info.streamtype = type;
	info.user_alloc = sizeof(struct object);
	info.handle_offset = offsetof(struct object, ss);
	info.opaque_user_data_offset = offsetof(struct object, opaque);
	info.rx = on_rx;
	info.tx = on_tx;
	info.state = on_state;
	assert_int_equal(lws_ss_create(s->rig->context, 0, &info, st, &st->ss,
				       NULL, NULL), 0);
	assert_non_null(st->ss);

	return st;
}

/* from outside of any callback */
static void
stream_destroy(struct stream *st)
{
	struct lws_ss_handle *ss = st->ss;

	lws_ss_destroy(&ss);
	assert_null(st->ss);
}

static bool
is_connected(void *arg)
{
	struct stream *st = arg;

	return st->states[LWSSSCS_CONNECTED] > st->states[LWSSSCS_DISCONNECTED];
}

static bool
is_disconnected(void *arg)
{
	struct stream *st = arg;

	return st->states[LWSSSCS_DISCONNECTED];
}

static int
on_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	 void *user, void *in, size_t len)
{
	struct streams *s = rig->priv;

	(void)user;
	(void)in;

	switch ((int)reason) {
	case LWS_CALLBACK_ESTABLISHED:
		s->peer = wsi;
		break;
	case LWS_CALLBACK_RECEIVE:
		s->received += len;
		break;
	case LWS_CALLBACK_CLOSED:
		if (s->peer == wsi)
			s->peer = NULL;
		break;
	default:
		break;
	}

	return RIG_DEFAULT;
}

static void
hang_up(struct streams *s)
{
	assert_non_null(s->peer);
	lws_set_timeout(s->peer, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static bool
is_destroyed(void *arg)
{
	struct stream *st = arg;

	return !st->ss;
}

/* -------- setup -------- */

static void
add_policy(struct rig *rig, struct lws_context_creation_info *info)
{
	struct streams *s = rig->priv;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd;

	/* the policy wants a port before there is a vhost: a free one */
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	s->port = ntohs(sin.sin_port);

	snprintf(s->policy, sizeof(s->policy),
		 "{\"release\":\"1\",\"product\":\"tp\",\"schema-version\":1,"
		 "\"retry\":[{\"default\":{\"backoff\":[20],\"conceal\":1,"
		 "\"jitterpc\":0,\"svalidping\":300,\"svalidhup\":310}}],"
		 "\"s\":["
		 "{\"client\":{\"endpoint\":\"127.0.0.1\",\"port\":%d,"
		 "\"protocol\":\"ws\",\"http_url\":\"\","
		 "\"ws_subprotocol\":\"tp-test\",\"opportunistic\":true,"
		 "\"retry\":\"default\"}},"
		 "{\"nobody\":{\"endpoint\":\"127.0.0.1\",\"port\":1,"
		 "\"protocol\":\"ws\",\"http_url\":\"\","
		 "\"ws_subprotocol\":\"tp-test\",\"opportunistic\":true,"
		 "\"retry\":\"default\"}},"
		 "{\"server\":{\"server\":true,\"port\":0,"
		 "\"protocol\":\"raw\"}}"
		 "]}", s->port);
	info->pss_policies_json = s->policy;
	/* the peer's alone: 5.0.0 binds what a server's stream accepts to the
	 * first protocol of the context, if that has any, and then calls
	 * neither rx nor tx */
	info->protocols = NULL;
	info->options |= LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info->port = CONTEXT_PORT_NO_LISTEN;
}

static void
peer_listen(struct streams *s)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.vhost_name = "peer";
	info.iface = "lo";
	info.port = s->port;
	info.protocols = s->rig->protocols;
	s->vhost = lws_create_vhost(s->rig->context, &info);
	assert_non_null(s->vhost);
}

static void
add_policy_and_threads(struct rig *rig, struct lws_context_creation_info *info)
{
	add_policy(rig, info);
	info->count_threads = 2;
}

static int
setup_with(void **state, void (*info)(struct rig *rig,
				      struct lws_context_creation_info *info))
{
	struct streams *s = calloc(1, sizeof(*s));
	struct rig_opts opts = {
		.info = info, .on_event = on_event, .priv = s
	};

	assert_non_null(s);
	s->fd = -1;
	s->rig = rig_create(&opts);
	peer_listen(s);
	s->tp = rig_pool(s->rig, 2, 1000);
	requests = 0;
	no_rering = false;
	*state = s;

	return 0;
}

static int
setup(void **state)
{
	return setup_with(state, add_policy);
}

static int
setup_threads(void **state)
{
	return setup_with(state, add_policy_and_threads);
}

static int
teardown(void **state)
{
	struct streams *s = *state;
	struct stream *st;
	int bad = 0;

	no_rering = false;
	for (st = s->first; s->rig->context && st; st = st->next)
		if (st->ss)
			stream_destroy(st);
	/* 5.0.0 says so of each stream that is destroyed while connected */
	log_claim(LLL_WARN, "conn->ss->wsi");
	bad |= rig_destroy(s->rig);

	while ((st = s->first)) {
		s->first = st->next;
		if (st->ss || st->accepted)
			bad = 1;
		free(st);
	}
	if (s->fd >= 0)
		close(s->fd);
	free(s);

	return bad;
}

#define STREAM_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void
stream_connect(struct streams *s, struct stream *st)
{
	/* (4.3.3 ignores a request for tx after a connection that has ended) */
	assert_int_equal(lws_ss_client_connect(st->ss), LWSSSSRET_OK);
	rig_until(s->rig, is_connected, st);
	assert_non_null(s->peer);
}

/* -------- the tests -------- */

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
		assert_non_null(enqueue(s, j, st->ss));
		return;
	}
	assert_null(enqueue(s, j, st->ss));
	assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_ss_event()"), 1);

	s->silent = false;
	stream_destroy(st);
	st = stream_create(s, "client");
	assert_non_null(enqueue(s, j, st->ss));
}

struct received {
	struct streams	*s;
	size_t		want;
};

static bool
is_received(void *arg)
{
	struct received *r = arg;
	char buf[4096];
	ssize_t n;

	while (r->s->fd >= 0 &&
	       (n = recv(r->s->fd, buf, sizeof(buf), 0)) > 0)
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
	assert_non_null(enqueue(s, j, st->ss));
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
		assert_non_null(enqueue(s, job_script(s->rig, 20,
					LWS_TP_RETURN_SYNC), st->ss));
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
	assert_non_null(enqueue(s, j, st->ss));
	stream_connect(s, st);
	rig_until_status(j, LWS_TP_STATUS_SYNCING);
	hang_up(s);
	rig_until(s->rig, is_disconnected, st);

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
	struct lws_threadpool_task	*task[8];
	int				n;
	int				stop_at;
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

	for (int n = 0; n < 3; n++) {	/* two run, one is queued */
		j[n] = job_gated(s->rig, gate);
		assert_non_null(enqueue(s, j[n], st->ss));
	}
	wait_int(&j[0]->calls, 1);
	wait_int(&j[1]->calls, 1);
	j[3] = job_script(s->rig, 0, 0);
	assert_non_null(enqueue(s, j[3], other->ss));

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
							walk_dequeue), 0);
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
	assert_non_null(enqueue(s, j[0], st->ss));
	assert_non_null(enqueue(s, j[1], st->ss));
	wait_status(j[1], LWS_TP_STATUS_FINISHED);
	assert_ptr_equal(lws_threadpool_get_task_ss(st->ss), j[1]->task);
}

/* -------- ends -------- */

enum end {
	END_DESTROY,		/* lws_ss_destroy() */
	END_RETURN,		/* a state callback returns DESTROY_ME */
	END_CONTEXT,
	ENDS
};

enum moment {
	QUEUED, RUNNING, SYNCING, DONE, OUTLIVES, SYNC_OUTLIVES, MOMENTS
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
		hang_up(s);
		rig_until(s->rig, is_destroyed, st);
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
	j[SYNC_OUTLIVES] = job_script(s->rig, 1, LWS_TP_RETURN_SYNC |
						 LWS_TP_RETURN_FLAG_OUTLIVE);

	job_block(s->rig, busy, blocked);
	s->tp = busy;
	assert_non_null(enqueue(s, j[QUEUED], st->ss));
	s->tp = main_tp;
	assert_non_null(enqueue(s, j[DONE], st->ss));
	wait_status(j[DONE], LWS_TP_STATUS_FINISHED);
	assert_non_null(enqueue(s, j[SYNCING], st->ss));
	wait_status(j[SYNCING], LWS_TP_STATUS_SYNCING);
	assert_non_null(enqueue(s, j[SYNC_OUTLIVES], st->ss));
	wait_status(j[SYNC_OUTLIVES], LWS_TP_STATUS_SYNCING);
	assert_non_null(enqueue(s, j[RUNNING], st->ss));
	assert_non_null(enqueue(s, j[OUTLIVES], st->ss));
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
		else	/* S7: the SYNCING ones wait for a turn */
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
		skip();		/* the companion cannot see it: documented */
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
	assert_non_null(enqueue(s, j, st->ss));
	rig_until(s->rig, is_destroyed, st);
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
	assert_non_null(enqueue(s, j, st->ss));
	rig_until(s->rig, has_failed, st);
	before = requests;
	later = lws_now_usecs() + LWS_US_PER_SEC * 5 / 2;
	rig_until(s->rig, is_later, &later);
	assert_int_equal(requests, before);
	assert_int_equal(st->states[LWSSSCS_ALL_RETRIES_FAILED], 1);
	assert_int_equal(lws_threadpool_task_status_noreap(j->task),
			 LWS_TP_STATUS_SYNCING);

	peer_listen(s);
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
	if (enqueue(st->all, other, st->ss))
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
	assert_non_null(enqueue(s, j, NULL));
	rig_until_int(s->rig, &j->cleanups, 1);
	assert_int_equal(log_claim(LLL_ERR, "not for a pool thread"), 1);

	job_args(job_new(s->rig), NULL, &args);
	args.ss = st->ss;
	args.wsi = (struct lws *)st;	/* never looked at */
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
		skip();		/* LWS_MAX_SMP is 1 */
	st = stream_create(s, "client");
	if (!LWSTP_UNIT_IN_LWS) {
		assert_null(enqueue(s, j, st->ss));
		assert_int_equal(log_claim(LLL_ERR, "several service threads"),
				 1);
		assert_null(lws_threadpool_get_task_ss(st->ss));
		return;
	}
	assert_non_null(enqueue(s, j, st->ss));
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
	if (enqueue(st->all, job_script(j->rig, 0, 0), ss))
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
	assert_non_null(enqueue(s, j, st->ss));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	stream_destroy(st);
	assert_int_equal(atomic_load(&j->cleanups), 1);
	/* compiled in, the first is known for good */
	assert_int_equal(log_claim(LLL_ERR, "secure stream is closing") +
			 log_claim(LLL_ERR, "being destroyed"), 1);
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
	assert_non_null(enqueue(s, j, st->ss));
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
		assert_non_null(enqueue(s, j, st->ss));
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
	assert_non_null(enqueue(s, j, st->accepted));
	rig_until(s->rig, is_answered, j);
	no_rering = true;
	rig_until_int(s->rig, &j->cleanups, 1);
	rig_until(s->rig, is_received, &c);
	assert_int_equal(s->received, 100);

	/* it ends with its connection */
	k = job_script(s->rig, 1000000, LWS_TP_RETURN_SYNC);
	st->manual = true;
	assert_non_null(enqueue(s, k, st->accepted));
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
				W3_refused_with_several_service_threads,
				setup_threads, teardown),
		STREAM_TEST(W4_refused_while_it_is_destroyed),
		STREAM_TEST(W4_refused_while_another_one_is_destroyed_too),
		STREAM_TEST(W4_a_new_stream_is_not_taken_for_the_old_one),
		STREAM_TEST(W3_an_accepted_stream),
	};

	return cmocka_run_group_tests_name("secure streams", tests, NULL, NULL);
}
