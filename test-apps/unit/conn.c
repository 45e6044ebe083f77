/*
 * lws-threadpool unit tests - connections of each kind, and their ends
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it belongs to the service thread, which is the test's.
 */

#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

const char *
conn_kind_name(enum conn_kind kind)
{
	static const char *const names[] = {
		"ws", "ws-client", "http", "raw", "raw-tcp", "file", "pipe"
	};

	return names[kind];
}

/* ours, for lws: it is there only where lws calls it */
void
lws_threadpool_wsi_closing(struct lws *wsi) __attribute__((weak));

bool
conn_kind_watched(enum conn_kind kind)
{
	return !lws_threadpool_wsi_closing || kind == CONN_FILE ||
	       kind == CONN_PIPE;
}

struct conn *
conn_of(struct lws *wsi)
{
	struct rig *rig = rig_of(wsi);
	struct conn *c;
	void *opaque;

	if (!rig)
		return NULL;
	opaque = lws_get_opaque_user_data(wsi);
	for (c = opaque ? rig->conns : NULL; c; c = c->next)
		if (c == opaque)
			return c;

	return NULL;
}

/* lws reads nothing from an http/1 peer during its transaction, and libev does
 * not tell it that a pipe has lost its reader: as any server does, we learn
 * that it is gone from our writes. */
static bool
conn_write_fails(struct conn *c, struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 1] = { 0 };

	if (c->kind == CONN_PIPE)
		return write(lws_get_socket_fd(wsi), buf, 1) < 0;
	if (lws_write(wsi, buf + LWS_PRE, 1, LWS_WRITE_HTTP) < 0)
		return true;
	lws_callback_on_writable(wsi);

	return false;
}

static int
conn_writeable(struct conn *c, struct lws *wsi)
{
	lws_usec_t now = lws_now_usecs();

	if (wsi == c->client) {
		c->client_writeables++;
	} else {
		if (c->writeables++ && now - c->last_writeable > c->max_gap)
			c->max_gap = now - c->last_writeable;
		c->last_writeable = now;
		if (c->die || (c->gone && conn_write_fails(c, wsi)))
			return -1;
	}
	if (!c->manual)
		job_serve_one(wsi);

	return 0;
}

static void
conn_bind(struct rig *rig, struct lws *wsi, enum conn_kind kind)
{
	struct conn *c = rig->opening;

	if (!c || c->wsi ||
	    (c->kind != kind && (kind != CONN_WS || c->kind != CONN_WS_CLIENT)))
		return;
	c->wsi = wsi;
	c->up = true;
	lws_set_opaque_user_data(wsi, c);
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
}

static void
conn_closed(struct conn *c, struct lws *wsi)
{
	if (!c)
		return;
	if (wsi == c->client) {
		c->client = NULL;
		c->client_closed = true;
	}
	if (wsi == c->wsi) {
		c->wsi = NULL;
		c->closed = true;
	}
}

int
conn_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason)
{
	struct conn *c;

	switch ((int)reason) {
	case LWS_CALLBACK_ESTABLISHED:
		conn_bind(rig, wsi, CONN_WS);
		return 0;
	case LWS_CALLBACK_HTTP:
		conn_bind(rig, wsi, CONN_HTTP);
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		c = conn_of(wsi);
		if (c) {
			c->client = c->client_was = wsi;
			c->client_up = true;
		}
		return 0;

	case LWS_CALLBACK_SERVER_WRITEABLE:
	case LWS_CALLBACK_CLIENT_WRITEABLE:
	case LWS_CALLBACK_HTTP_WRITEABLE:
	case LWS_CALLBACK_RAW_WRITEABLE:
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		c = conn_of(wsi);
		return c ? conn_writeable(c, wsi) : 0;

	case LWS_CALLBACK_CLOSED:
	case LWS_CALLBACK_CLIENT_CLOSED:
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_RAW_CLOSE:
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		conn_closed(conn_of(wsi), wsi);
		return 0;

	case LWS_CALLBACK_CHILD_CLOSING:
		c = conn_of(wsi);
		if (c)
			c->child_closings++;
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		c = conn_of(wsi);
		if (c && wsi != c->client_was) {
			conn_closed(c, wsi);
			c->destroyed = true;
		}
		return 0;
	default:
		return 0;
	}
}

static void
fd_prepare(int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

int
tcp_connect(int port)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	fd_prepare(fd);

	return fd;
}

int
tcp_listen(int *port)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	fd_prepare(fd);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);

	return fd;
}

static void
tcp_pair(int fds[2])
{
	int port, listener = tcp_listen(&port);

	fds[1] = tcp_connect(port);
	fds[0] = accept(listener, NULL, NULL);
	fd_prepare(fds[0]);
	close(listener);
}

static void
conn_adopt(struct conn *c, lws_adoption_type type, int fd)
{
	lws_adopt_desc_t desc;

	memset(&desc, 0, sizeof(desc));
	desc.vh = c->rig->vhost;
	desc.type = type;
	if (type & LWS_ADOPT_SOCKET)
		desc.fd.sockfd = fd;
	else
		desc.fd.filefd = fd;
	desc.vh_prot_name = "tp-raw";
	desc.opaque = c;
	c->wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	assert_non_null(c->wsi);
	c->up = true;
}

/* to the rig's vhost, by its name: where that does not listen others may have
 * the same "port" */
static void
conn_request(struct conn *c, const char *headers)
{
	struct rig *rig = c->rig;
	char req[512];
	int fds[2], n;

	n = snprintf(req, sizeof(req),
		     "GET / HTTP/1.1\r\n"
		     "Host: %s:%d\r\n%s\r\n",
		     rig->port > 0 ? "localhost" :
				     lws_get_vhost_name(rig->vhost),
		     rig->port, headers);
	if (rig->port > 0) {
		c->fd = tcp_connect(rig->port);
	} else {
		tcp_pair(fds);
		c->fd = fds[1];
		assert_non_null(lws_adopt_socket_vhost(rig->vhost, fds[0]));
	}
	conn_send(c, req, (size_t)n);
}

static bool
is_up(void *arg)
{
	struct conn *c = arg;

	return c->up && (c->kind != CONN_WS_CLIENT || c->client_up);
}

/* Take the 101 and its headers off the peer's socket, a byte at a time since
 * a first frame may follow. */
static bool
has_upgraded(void *arg)
{
	static const char end[] = "\r\n\r\n";
	struct conn *c = arg;
	char b;

	while (conn_recv(c, &b, 1) == 1) {
		if (b == end[c->writeables])
			c->writeables++;
		else
			c->writeables = b == '\r';
		if (c->writeables == 4)
			return true;
	}

	return false;
}

static void
conn_open_ws(struct conn *c)
{
	conn_request(c, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Key: bHdzdHAtdW5pdC10ZXN0cw==\r\n"
			"Sec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Protocol: tp-test\r\n");
	rig_until(c->rig, is_up, c);
	c->writeables = 0;
	rig_until(c->rig, has_upgraded, c);
	c->writeables = 0;
}

static void
conn_open_ws_client(struct conn *c)
{
	struct lws_client_connect_info info;

	memset(&info, 0, sizeof(info));
	info.context = c->rig->context;
	info.vhost = c->rig->vhost;
	info.address = "127.0.0.1";
	info.host = "localhost";
	info.origin = "localhost";
	info.path = "/";
	info.port = c->rig->port;
	info.protocol = "tp-test";
	info.local_protocol_name = "tp-client";
	info.opaque_user_data = c;
	assert_non_null(lws_client_connect_via_info(&info));
	rig_until(c->rig, is_up, c);
}

struct conn *
conn_open(struct rig *rig, enum conn_kind kind)
{
	struct conn *c = calloc(1, sizeof(*c));
	int fds[2] = { -1, -1 };

	assert_non_null(c);
	c->rig = rig;
	c->kind = kind;
	c->fd = -1;
	c->next = rig->conns;
	rig->conns = c;
	rig->opening = c;
	switch (kind) {
	case CONN_WS:
		conn_open_ws(c);
		break;
	case CONN_WS_CLIENT:
		conn_open_ws_client(c);
		break;
	case CONN_HTTP:
		conn_request(c, "");
		rig_until(rig, is_up, c);
		break;
	case CONN_RAW:
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		fd_prepare(fds[0]);
		fd_prepare(fds[1]);
		c->fd = fds[1];
		conn_adopt(c, LWS_ADOPT_SOCKET, fds[0]);
		break;
	case CONN_RAW_TCP:
		tcp_pair(fds);
		c->fd = fds[1];
		conn_adopt(c, LWS_ADOPT_SOCKET, fds[0]);
		break;
	case CONN_FILE:
		/* not at the address of a wsi that closed in this turn: of a
		 * file we cannot know that it is another one (W4) */
		rig_turns(rig, 1);
		conn_adopt(c, LWS_ADOPT_RAW_FILE_DESC,
			   eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
		break;
	case CONN_PIPE:
		rig_turns(rig, 1);
		assert_int_equal(pipe(fds), 0);
		fd_prepare(fds[0]);
		fd_prepare(fds[1]);
		c->fd = fds[0];
		conn_adopt(c, LWS_ADOPT_RAW_FILE_DESC, fds[1]);
		break;
	case CONN_KINDS:
		fail();
	}
	rig->opening = NULL;

	return c;
}

static void
conn_gone(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	if (!c->wsi || (c->kind != CONN_HTTP &&
			(c->kind != CONN_PIPE || !evloop_is("ev"))))
		return;
	c->gone = true;
	lws_callback_on_writable(c->wsi);
}

void
conn_fin(struct conn *c)
{
	if (c->kind == CONN_WS_CLIENT) {
		if (c->client)
			lws_set_timeout(c->client, PENDING_TIMEOUT_USER_OK,
					LWS_TO_KILL_ASYNC);
		return;
	}
	assert_true(c->fd >= 0);
	conn_gone(c);
}

void
conn_rst(struct conn *c)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	assert_true(c->kind == CONN_WS || c->kind == CONN_HTTP ||
		    c->kind == CONN_RAW_TCP);
	assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger,
				    sizeof(linger)),
			 0);
	conn_gone(c);
}

void
conn_ws_close(struct conn *c)
{
	/* masked with zero, 1000 */
	static const uint8_t frame[] = { 0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8 };

	assert_int_equal(c->kind, CONN_WS);
	conn_send(c, frame, sizeof(frame));
}

void
conn_die(struct conn *c)
{
	c->die = true;
	lws_callback_on_writable(c->wsi);
}

void
conn_timeout(struct conn *c)
{
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static bool
is_closed(void *arg)
{
	struct conn *c = arg;

	return c->closed;
}

void
conn_until_closed(struct conn *c)
{
	if (!c->closed)
		rig_detail("%s, peer fd %d", conn_kind_name(c->kind), c->fd);
	rig_until(c->rig, is_closed, c);
}

void
conn_send(struct conn *c, const void *buf, size_t len)
{
	assert_int_equal(send(c->fd, buf, len, MSG_NOSIGNAL), (ssize_t)len);
}

ssize_t
conn_recv(struct conn *c, void *buf, size_t len)
{
	return read(c->fd, buf, len);
}

void
conns_free(struct rig *rig)
{
	struct conn *c;

	while ((c = rig->conns)) {
		rig->conns = c->next;
		if (c->fd >= 0)
			close(c->fd);
		free(c);
	}
}
