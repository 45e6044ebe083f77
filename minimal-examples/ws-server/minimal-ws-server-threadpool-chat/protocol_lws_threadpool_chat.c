/*
 * minimal-ws-server-threadpool-chat: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * Each message gets a task, which has slow work to do on it.  Those of one
 * client are worked on one after the other, so they keep their order; those of
 * several clients at the same time.  The thread that has done the work says the
 * result to the room, and so to all.
 *
 * A task here outlives its connection: what was said is said, though its
 * speaker leaves.
 *
 * Per-vhost options: "threads", "queue-depth" and "work-ms".
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lws-threadpool.h>

#include "json-text.h"
#include "room.h"
#include "threadpool-example.h" /* for the number of an option */
#include "ws-text.h"

#define PROTOCOL_CHAT "lws-threadpool-chat"
#define MAX_NAME      24  /* bytes, with the NUL */
#define MAX_TEXT      512 /* bytes, with the NUL */
#define MAX_WAITING   8	  /* messages of one client */

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS	    4
#define DEFAULT_QUEUE_DEPTH 1000
#define DEFAULT_WORK_MS	    300

/* one of these for each vhost that has the protocol */
struct vhd_chat {
	struct lws_context *context;
	struct lws_threadpool *tp;
	struct room room;
	unsigned int work_ms;
	unsigned int guests;	  /* that were given a name */
	unsigned int connections; /* that are open */
	char ending;
};

/* one of these for each task */
struct message {
	struct vhd_chat *vhd; /* is there for longer */
	char from[MAX_NAME];
	char text[MAX_TEXT];
};

/* one of these for each connection: the service thread's, but for member */
struct pss_chat {
	struct room_member member;
	struct ws_text received;
	char text[MAX_TEXT + 8];
	char name[MAX_NAME];
	char reply[64];	      /* that is to be sent, or "" */
	unsigned int waiting; /* messages that have a task */
};

/*
 * On a thread of the pool.  The sleep stands for a call that blocks: a filter
 * of spam, a translation, a database.
 */
static void
work(struct message *m)
{
	struct timespec ts = { m->vhd->work_ms / 1000,
			       (long)(m->vhd->work_ms % 1000) * 1000000l };
	size_t len;

	if (m->vhd->work_ms)
		nanosleep(&ts, NULL);

	len = strspn(m->text, " \t\r\n");
	memmove(m->text, m->text + len, strlen(m->text + len) + 1);
	for (len = strlen(m->text); len && strchr(" \t\r\n", m->text[len - 1]);)
		m->text[--len] = '\0';
}

/* on a thread of the pool: broadcast, without a way over the service thread */
static void
say(const struct message *m)
{
	char from[JSON_TEXT_SIZE(MAX_NAME)], text[JSON_TEXT_SIZE(MAX_TEXT)];
	char line[sizeof(from) + sizeof(text) + 32];

	if (!m->text[0])
		return;
	json_text(from, sizeof(from), m->from, strlen(m->from));
	json_text(text, sizeof(text), m->text, strlen(m->text));
	lws_snprintf(line, sizeof(line), "\"from\":%s,\"text\":%s}", from,
		     text);
	room_say(&m->vhd->room, line);
}

static enum lws_threadpool_task_return
message_task(void *user, enum lws_threadpool_task_status status)
{
	struct message *m = user;

	/* only when the pool is finished: see async_task */
	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	work(m);
	say(m);

	return LWS_TP_RETURN_FINISHED;
}

/* Once for each task that was accepted.  wsi is NULL if its speaker has left,
 * and then this can be a thread of the pool. */
static void
message_cleanup(struct lws *wsi, void *user)
{
	struct message *m = user;

	/* one that drains looks again */
	if (!wsi)
		lws_cancel_service(m->vhd->context);
	free(m);
}

/* The handler, on the service thread: there is room for the client's next
 * message. */
static int
message_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct pss_chat *pss = lws_wsi_user(wsi);

	(void)user;
	(void)how;
	if (pss->waiting-- == MAX_WAITING && !pss->reply[0])
		lws_rx_flow_control(wsi, 1);

	return 0;
}

static void
reply(struct lws *wsi, struct pss_chat *pss, const char *text)
{
	lws_strncpy(pss->reply, text, sizeof(pss->reply));
	/* nothing more from this client until it has its reply */
	lws_rx_flow_control(wsi, 0);
	lws_callback_on_writable(wsi);
}

static int
enqueue(struct lws *wsi, struct vhd_chat *vhd, struct pss_chat *pss,
	const char *text)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_end = message_end,
		.key = pss->member.handle,
		.key_max = 1,
	};
	struct lws_threadpool_task_args args;
	struct message *m = calloc(1, sizeof(*m));

	if (!m)
		return -1;
	m->vhd = vhd;
	lws_strncpy(m->from, pss->name, sizeof(m->from));
	lws_strncpy(m->text, text, sizeof(m->text));

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = m;
	args.task = message_task;
	args.cleanup = message_cleanup;
	args.async_task = 1;
	if (lws_threadpool_enqueue_ext(vhd->tp, &args, &options, "message"))
		return 0;
	free(m); /* cleanup won't come: still ours */

	return -1;
}

static void
say_to_room(struct lws *wsi, struct vhd_chat *vhd, struct pss_chat *pss,
	    const char *text)
{
	if (enqueue(wsi, vhd, pss, text)) {
		reply(wsi, pss, "{\"error\":\"busy: that was not said\"}");
		return;
	}
	if (++pss->waiting == MAX_WAITING)
		lws_rx_flow_control(wsi, 0);
}

/* The list's members are connections, and names are the service thread's. */
static int
name_is_taken(struct vhd_chat *vhd, const char *name)
{
	struct room_member *member;
	struct pss_chat *pss;
	int taken = 0;

	pthread_mutex_lock(&vhd->room.lock);
	lws_start_foreach_dll(struct lws_dll2 *, d,
			      lws_dll2_get_head(&vhd->room.members)) {
		member = lws_container_of(d, struct room_member, list);
		pss = lws_container_of(member, struct pss_chat, member);
		if (!strcmp(pss->name, name))
			taken = 1;
	}
	lws_end_foreach_dll(d);
	pthread_mutex_unlock(&vhd->room.lock);

	return taken;
}

static void
set_name(struct lws *wsi, struct vhd_chat *vhd, struct pss_chat *pss,
	 const char *name)
{
	if (!name[strspn(name, " \t\r\n")] || strlen(name) >= MAX_NAME)
		reply(wsi, pss, "{\"error\":\"a name has 1 to 23 bytes\"}");
	else if (name_is_taken(vhd, name))
		reply(wsi, pss, "{\"error\":\"that name is taken\"}");
	else {
		lws_strncpy(pss->name, name, sizeof(pss->name));
		reply(wsi, pss, "{\"named\":true}");
	}
}

static int
receive(struct lws *wsi, struct vhd_chat *vhd, struct pss_chat *pss,
	const void *in, size_t len)
{
	int n = ws_text_receive(wsi, &pss->received, in, len);

	if (n <= 0)
		return n;
	if (!strncmp(pss->text, "say ", 4))
		say_to_room(wsi, vhd, pss, pss->text + 4);
	else if (!strncmp(pss->text, "name ", 5))
		set_name(wsi, vhd, pss, pss->text + 5);
	else
		reply(wsi, pss, "{\"error\":\"unknown command\"}");

	return 0;
}

/* One message for each WRITEABLE: a reply, or what is new in the room. */
static int
writeable(struct lws *wsi, struct vhd_chat *vhd, struct pss_chat *pss)
{
	char line[ROOM_MAX_LINE];
	int n;

	/* of our tasks, which have nothing to send themselves */
	n = lws_threadpool_serve(wsi);
	if (n || pss->received.closing)
		return n;
	if (pss->reply[0]) {
		n = ws_text_send(wsi, "%s", pss->reply);
		pss->reply[0] = '\0';
		if (pss->waiting < MAX_WAITING)
			lws_rx_flow_control(wsi, 1);
	} else if (room_next(&vhd->room, &pss->member, line)) {
		n = ws_text_send(wsi, "%s", line);
	} else if (vhd->ending) {
		return ws_text_close(wsi, &pss->received,
				     LWS_CLOSE_STATUS_GOINGAWAY);
	} else {
		return 0;
	}
	/* for what else there may be */
	lws_callback_on_writable(wsi);

	return n;
}

static int
open_connection(struct lws *wsi, struct vhd_chat *vhd, struct pss_chat *pss)
{
	struct lws_threadpool_wsi *handle;

	if (!vhd || !vhd->tp) /* no pool: lws goes on if INIT fails */
		return -1;
	vhd->connections++;
	pss->received.text = pss->text;
	pss->received.size = sizeof(pss->text);
	lws_snprintf(pss->name, sizeof(pss->name), "guest %u", ++vhd->guests);
	handle = lws_threadpool_wsi_handle(vhd->tp, wsi);
	if (!handle)
		return -1;
	room_join(&vhd->room, &pss->member, handle);

	return 0;
}

static void
close_connection(struct vhd_chat *vhd, struct pss_chat *pss)
{
	if (!vhd || !vhd->tp)
		return;
	vhd->connections--;
	room_leave(&vhd->room, &pss->member);
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct lws_threadpool_create_args args;
	struct vhd_chat *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;
	vhd->context = lws_get_context(wsi);
	vhd->work_ms = (unsigned int)threadpool_example_number(pvo, "work-ms",
							       DEFAULT_WORK_MS);
	room_init(&vhd->room);

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = threadpool_example_number(pvo, "queue-depth",
							 DEFAULT_QUEUE_DEPTH);
	vhd->tp = lws_threadpool_create(vhd->context, &args, "%s", "chat");

	return vhd->tp ? 0 : -1;
}

static void
destroy_vhost(struct vhd_chat *vhd)
{
	if (!vhd)
		return;
	if (vhd->tp)
		lws_threadpool_destroy(vhd->tp);
	room_destroy(&vhd->room);
}

/*
 * For the program, when it is asked to end: what was said until now is still
 * worked on, and the connections close when they have it.  Returns whether some
 * are left.
 */
static int
threadpool_chat_finish(struct lws_vhost *vhost)
{
	const struct lws_protocols *protocol = lws_vhost_name_to_protocol(
		vhost, PROTOCOL_CHAT);
	struct vhd_chat *vhd = lws_protocol_vh_priv_get(vhost, protocol);

	if (!vhd || !vhd->tp)
		return 0;

	if (!lws_threadpool_drain(vhd->tp) && !vhd->ending) {
		vhd->ending = 1;
		lws_callback_on_writable_all_protocol_vhost(vhost, protocol);
	}

	return !!vhd->connections;
}

static int
callback_chat(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	      void *in, size_t len)
{
	struct vhd_chat *vhd = lws_protocol_vh_priv_get(lws_get_vhost(wsi),
							lws_get_protocol(wsi));

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		return init_vhost(wsi, in);

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		destroy_vhost(vhd);
		break;

	case LWS_CALLBACK_ESTABLISHED:
		return open_connection(wsi, vhd, user);

	case LWS_CALLBACK_CLOSED:
		close_connection(vhd, user);
		break;

	case LWS_CALLBACK_RECEIVE:
		return receive(wsi, vhd, user, in, len);

	case LWS_CALLBACK_SERVER_WRITEABLE:
		return writeable(wsi, vhd, user);

	default:
		break;
	}

	return 0;
}

#define LWS_PLUGIN_PROTOCOL_THREADPOOL_CHAT \
	{ \
		.name = PROTOCOL_CHAT, \
		.callback = callback_chat, \
		.per_session_data_size = sizeof(struct pss_chat), \
		.rx_buffer_size = 512, \
		.tx_packet_size = ROOM_MAX_LINE, \
	}
