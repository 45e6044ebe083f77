/*
 * lws-threadpool tests - a context with some raw connections, for faults and
 * fuzz
 *
 * SPDX-License-Identifier: MIT
 */

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

#define TURN_US 500

struct lws_context *rig_context;
struct conn rig_conns[RIG_CONNS];

static lws_sorted_usec_list_t ticker;
static bool passes_events;

static struct conn *
conn_of(struct lws *wsi)
{
	int n;

	for (n = 0; n < RIG_CONNS; n++)
		if (wsi && rig_conns[n].wsi == wsi)
			return &rig_conns[n];

	return NULL;
}

bool
rig_alive(struct lws *wsi)
{
	return conn_of(wsi);
}

void
rig_serve(struct lws_threadpool_task *task)
{
	enum lws_threadpool_task_status s;
	void *user = NULL;
	struct job *job;

	s = lws_threadpool_task_status(task, &user);
	job = job_of(user);
	if (s == LWS_TP_STATUS_SYNCING) {
		if (job)
			job_answered(job);
		lws_threadpool_task_sync(task, 0);
	} else if (s >= LWS_TP_STATUS_FINISHED && job &&
		   !atomic_load(&job->cleanups))
		ledger_fail("reaped, but not cleaned up (Q1, T7)");
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *pss, void *in,
	 size_t len)
{
	struct lws_threadpool_task *task;
	struct conn *c;

	(void)pss;
	(void)in;
	(void)len;

	if (passes_events)
		lws_threadpool_wsi_event(wsi, reason);

	switch (reason) {
	case LWS_CALLBACK_RAW_ADOPT:
		((struct conn *)lws_get_opaque_user_data(wsi))->wsi = wsi;
		return 0;
	case LWS_CALLBACK_RAW_WRITEABLE:
		c = conn_of(wsi);
		if (!c)
			ledger_fail("WRITEABLE on a wsi that was closed");
		c->writeables++;
		if (c->die)
			return -1;
		task = lws_threadpool_get_task_wsi(wsi);
		if (task && !c->deaf)
			rig_serve(task);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE:
		c = conn_of(wsi);
		if (lws_threadpool_get_task_wsi(wsi))
			ledger_fail("a wsi that is closed has a task (W1)");
		if (c)
			c->wsi = NULL;
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "rig", .callback = callback },
	{ .name = NULL },
};

static void
tick(lws_sorted_usec_list_t *sul)
{
	lws_sul_schedule(rig_context, 0, sul, tick, TURN_US);
}

bool
rig_begin(unsigned int fd_limit, bool opt_in)
{
	struct lws_context_creation_info info;
	int n;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.protocols = protocols;
	info.fd_limit_per_thread = fd_limit;
	passes_events = opt_in;
	for (n = 0; n < RIG_CONNS; n++) {
		memset(&rig_conns[n], 0, sizeof(rig_conns[n]));
		rig_conns[n].peer = -1;
	}
	rig_context = lws_create_context(&info);
	if (!rig_context)
		return false;
	memset(&ticker, 0, sizeof(ticker));
	lws_sul_schedule(rig_context, 0, &ticker, tick, 1);

	return true;
}

void
rig_end(void)
{
	int n;

	if (!rig_context)
		return;
	lws_sul_cancel(&ticker);
	lws_context_destroy(rig_context);
	rig_context = NULL;
	for (n = 0; n < RIG_CONNS; n++)
		if (rig_conns[n].wsi)
			ledger_fail("a wsi survived its context");
}

bool
rig_open(struct conn *c)
{
	lws_adopt_desc_t info;
	int fds[2];

	memset(c, 0, sizeof(*c));
	c->peer = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return false;
	memset(&info, 0, sizeof(info));
	info.fd.sockfd = fds[0];
	info.vh = lws_get_vhost_by_name(rig_context, "default");
	info.type = LWS_ADOPT_SOCKET;
	info.vh_prot_name = "rig";
	info.opaque = c;
	if (!lws_adopt_descriptor_vhost_via_info(&info) || !c->wsi) {
		close(fds[1]); /* the other one is lws's in any case */
		c->wsi = NULL;
		return false;
	}
	c->peer = fds[1];

	return true;
}

void
rig_close(struct conn *c, unsigned int how)
{
	if (!c->wsi)
		return;
	switch (how % 3) {
	case 0:
		if (c->peer >= 0)
			close(c->peer);
		c->peer = -1;
		break;
	case 1:
		c->die = true;
		lws_callback_on_writable(c->wsi);
		break;
	default:
		lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_ASYNC);
		break;
	}
}

void
rig_turn(void)
{
	if (lws_service(rig_context, 0) < 0)
		ledger_fail("lws_service failed");
}

void
rig_peers_end(void)
{
	int n;

	for (n = 0; n < RIG_CONNS; n++) {
		if (rig_conns[n].peer >= 0)
			close(rig_conns[n].peer);
		rig_conns[n].peer = -1;
	}
}
