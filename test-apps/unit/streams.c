/*
 * lws-threadpool unit tests - secure streams, and a peer of them
 *
 * SPDX-License-Identifier: MIT
 */

#include "streams.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* -------- the streams -------- */

struct lws_threadpool_task *
stream_enqueue(struct streams *s, struct job *j, struct lws_ss_handle *ss)
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
		stream_enqueue(st->all, j, o->ss);
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

struct stream *
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
				       NULL, NULL),
			 0);
	assert_non_null(st->ss);

	return st;
}

void
stream_destroy(struct stream *st)
{
	struct lws_ss_handle *ss = st->ss;

	lws_ss_destroy(&ss);
	assert_null(st->ss);
}

bool
stream_is_connected(void *arg)
{
	struct stream *st = arg;

	return st->states[LWSSSCS_CONNECTED] > st->states[LWSSSCS_DISCONNECTED];
}

bool
stream_is_disconnected(void *arg)
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

void
streams_hang_up(struct streams *s)
{
	assert_non_null(s->peer);
	lws_set_timeout(s->peer, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

bool
stream_is_destroyed(void *arg)
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
		 "]}",
		 s->port);
	info->pss_policies_json = s->policy;
	/* the peer's alone: 5.0.0 binds what a server's stream accepts to the
	 * first protocol of the context, if that has any, and then calls
	 * neither rx nor tx */
	info->protocols = NULL;
	info->options |= LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	info->port = CONTEXT_PORT_NO_LISTEN;
}

void
streams_peer_listen(struct streams *s)
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
	streams_peer_listen(s);
	s->tp = rig_pool(s->rig, 2, 1000);
	*state = s;

	return 0;
}

int
streams_setup(void **state)
{
	return setup_with(state, add_policy);
}

int
streams_setup_threads(void **state)
{
	return setup_with(state, add_policy_and_threads);
}

int
streams_teardown(void **state)
{
	struct streams *s = *state;
	struct stream *st;
	int bad = 0;

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

void
stream_connect(struct streams *s, struct stream *st)
{
	/* (4.3.3 ignores a request for tx after a connection that has ended) */
	assert_int_equal(lws_ss_client_connect(st->ss), LWSSSSRET_OK);
	rig_until(s->rig, stream_is_connected, st);
	assert_non_null(s->peer);
}
