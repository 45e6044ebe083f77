/*
 * lws-threadpool soak - the peers: some hundreds at a time, of every kind of
 * manners
 *
 * SPDX-License-Identifier: MIT
 *
 * Plain sockets on one thread.  A peer asks for a websocket or a page, or sends
 * garbage; reads all, little or nothing; and ends by FIN, RST, shutdown, a
 * websocket close, or waits for the server to end it.  What it asks for tells
 * the server whether it will read ("/r") or may stall ("/s").
 */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "soak.h"

#if !defined(IP_BIND_ADDRESS_NO_PORT)
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum manners { READS, SLOW, STALLS };
enum ending { FIN, RESET, HALF, WS_CLOSE, PATIENT, ENDINGS };

struct peer {
	int fd;
	bool sent; /* its request */
	bool ws;
	bool half; /* said its last word, waits */
	enum manners manners;
	enum ending ending;
	int64_t dies_at;
	int64_t reads_at;
	int requests; /* http: still to be made */
};

static pthread_t thread;
static atomic_bool stopping, paused, is_paused;
static uint64_t rng;

static void
peer_close(struct peer *p, bool reset)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	if (reset)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(p->fd);
	p->fd = -1;
}

static void
peer_open(struct peer *p, int64_t now)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int one = 1, port = atomic_load(&soak.port), small = 4096;

	memset(p, 0, sizeof(*p));
	p->fd = -1;
	if (!port)
		return;
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return;
	/* many addresses of our own: ports do not run out by TIME_WAIT */
	a.sin_addr.s_addr = htonl(0x7f000001u + rng_below(&rng, 250));
	setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one,
		   sizeof(one));
	if (bind(p->fd, (struct sockaddr *)&a, sizeof(a)))
		goto fail;

	p->manners = rng_below(&rng, 10) < 7 ? READS :
		     rng_below(&rng, 2)	     ? SLOW :
					       STALLS;
	if (p->manners != READS)
		setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	p->ws = rng_below(&rng, 10) < 7;
	p->requests = 1 + (int)rng_below(&rng, 3);
	p->ending = (enum ending)rng_below(&rng, ENDINGS);
	p->dies_at = now;
	switch (rng_below(&rng, 10)) {
	case 0:
		p->dies_at += rng_below(&rng, 4000000);
		break;
	case 1:
	case 2:
	case 3:
		p->dies_at += rng_below(&rng, 400000);
		break;
	default:
		p->dies_at += rng_below(&rng, 60000);
		break;
	}

	a.sin_port = htons((uint16_t)port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!connect(p->fd, (struct sockaddr *)&a, sizeof(a)) ||
	    errno == EINPROGRESS)
		return;
fail:
	close(p->fd);
	p->fd = -1;
}

static bool
peer_request(struct peer *p)
{
	char buf[512];
	int n;

	if (!rng_below(&rng, 25))
		n = snprintf(buf, sizeof(buf), "%s",
			     rng_below(&rng, 2) ? "GET /r HTTP/1.1\r\nHo" :
						  "\x16\x03 garbage\r\n\r\n");
	else
		n = snprintf(
			buf, sizeof(buf),
			"GET /%c HTTP/1.1\r\n"
			"Host: localhost\r\n%s\r\n",
			p->manners == READS ? 'r' : 's',
			!p->ws ? "" :
				 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
				 "Sec-WebSocket-Key: "
				 "dGhlIHNhbXBsZSBub25jZQ==\r\n"
				 "Sec-WebSocket-Version: 13\r\n"
				 "Sec-WebSocket-Protocol: soak\r\n");

	return send(p->fd, buf, (size_t)n, MSG_NOSIGNAL) == n;
}

static void
peer_end(struct peer *p, int64_t now)
{
	static const unsigned char close_frame[] = {
		0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe8 ^ 2
	};

	if (p->half || p->ending == FIN || p->ending == RESET) {
		peer_close(p, p->ending == RESET);
		return;
	}
	p->half = true;
	p->dies_at = now + 300000;
	if (p->ending == HALF)
		shutdown(p->fd, SHUT_WR);
	else if (p->ending == WS_CLOSE && p->ws)
		(void)!send(p->fd, close_frame, sizeof(close_frame),
			    MSG_NOSIGNAL);
}

/* false: it is over */
static bool
peer_read(struct peer *p, int64_t now)
{
	char buf[16384];
	ssize_t n;

	if (p->manners == SLOW)
		p->reads_at = now + 20000;
	n = recv(p->fd, buf, p->manners == SLOW ? 200 : sizeof(buf), 0);
	if (n > 0) {
		atomic_fetch_add(&soak.bytes, (unsigned long)n);
		if (!p->ws && --p->requests > 0)
			return peer_request(p);
		return true;
	}

	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void
peer_event(struct peer *p, short revents, int64_t now)
{
	static const unsigned char hello[] = { 0x81, 0x83, 0,	0,  0,
					       0,    'h',  'i', '!' };

	if (revents & (POLLERR | POLLNVAL)) {
		peer_close(p, false);
		return;
	}
	if (!p->sent && (revents & POLLOUT)) {
		p->sent = true;
		if (!peer_request(p)) {
			peer_close(p, true);
			return;
		}
	} else if (p->ws && p->sent && !p->half && !rng_below(&rng, 20))
		(void)!send(p->fd, hello, sizeof(hello), MSG_NOSIGNAL);
	if ((revents & (POLLIN | POLLHUP)) && !peer_read(p, now))
		peer_close(p, false);
}

static short
wants(const struct peer *p, int64_t now)
{
	if (!p->sent)
		return POLLOUT;

	return p->manners == STALLS || now < p->reads_at ? 0 : POLLIN;
}

static void
turn(struct peer *peers, struct pollfd *fds)
{
	int64_t now = ledger_now();
	bool pause = atomic_load(&paused);
	int n, opened = 0;

	for (n = 0; n < soak.conns; n++) {
		if (pause) {
			if (peers[n].fd >= 0)
				peer_close(&peers[n], n & 1);
		} else if (peers[n].fd < 0) {
			if (opened++ < 30)
				peer_open(&peers[n], now);
		} else if (now >= peers[n].dies_at)
			peer_end(&peers[n], now);
		fds[n].fd = peers[n].fd;
		fds[n].events = peers[n].fd < 0 ? 0 : wants(&peers[n], now);
	}
	atomic_store(&is_paused, pause);
	if (poll(fds, (nfds_t)soak.conns, 5) < 0)
		return;
	now = ledger_now();
	for (n = 0; n < soak.conns; n++)
		if (fds[n].fd >= 0 && fds[n].revents)
			peer_event(&peers[n], fds[n].revents, now);
}

static void *
clients_thread(void *arg)
{
	struct peer *peers = calloc((size_t)soak.conns, sizeof(*peers));
	struct pollfd *fds = calloc((size_t)soak.conns, sizeof(*fds));
	int64_t was;
	int n;

	(void)arg;
	if (!peers || !fds)
		ledger_fail("out of memory");
	for (n = 0; n < soak.conns; n++)
		peers[n].fd = -1;
	while (!atomic_load(&stopping)) {
		was = ledger_now();
		turn(peers, fds);
		if (ledger_now() - was > 300000)
			atomic_store(&soak.stalled_at, ledger_now());
	}
	for (n = 0; n < soak.conns; n++)
		if (peers[n].fd >= 0)
			close(peers[n].fd);
	free(peers);
	free(fds);

	return NULL;
}

void
clients_start(void)
{
	rng = soak.seed ^ 0xc11e;
	if (pthread_create(&thread, NULL, clients_thread, NULL))
		ledger_fail("no thread for the clients");
}

void
clients_pause(bool pause)
{
	atomic_store(&paused, pause);
	while (atomic_load(&is_paused) != pause)
		usleep(1000);
}

void
clients_stop(void)
{
	atomic_store(&stopping, true);
	pthread_join(thread, NULL);
}
