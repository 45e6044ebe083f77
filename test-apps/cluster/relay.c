/*
 * lws-threadpool cluster tests - a bad line between a process and the engine
 *
 * SPDX-License-Identifier: MIT
 *
 * A proxy for NATS's own protocol: of the messages of core NATS, whose subjects
 * begin with PREFIX.f. or PREFIX.w., it drops some, doubles some, and has some
 * change places with the next one, by a seed.  What JetStream is told and tells
 * is left alone: there the engine promises more.
 *
 * usage: cluster-relay SEED PREFIX PORT BOARD
 *
 * It tells the port that it listens on on the board.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board.h"

#define LINKS 32

/* Of a hundred messages so many are dropped, doubled, held back */
#define DROPPED 8
#define DOUBLED 8
#define HELD	16

/* One direction: what came, up to an end of a frame, and one that is held back
 */
struct flow {
	int from, to;
	char *in;
	size_t len, room;
	char *held;
	size_t held_len;
};

struct link {
	bool used;
	struct flow flow[2];
};

static struct link links[LINKS];
static const char *prefix;
static uint64_t seed;

static unsigned int
dice(unsigned int sides)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;

	return (unsigned int)((seed >> 20) % sides);
}

static void *
memory(void *old, size_t len)
{
	void *p = realloc(old, len);

	if (!p) {
		perror("cluster-relay");
		exit(1);
	}

	return p;
}

static bool
write_all(int fd, const char *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	ssize_t n;

	while (len) {
		n = send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n < 0) {
			poll(&pfd, 1, 1000);
			continue;
		}
		buf += n;
		len -= (size_t)n;
	}

	return true;
}

static bool
is_ours(const char *line)
{
	const char *subject = strchr(line, ' ');
	size_t len = strlen(prefix);

	return subject && !strncmp(++subject, prefix, len) &&
	       (!strncmp(subject + len, ".f.", 3) ||
		!strncmp(subject + len, ".w.", 3));
}

/* Bytes of the frame at buf, 0 if it is not whole; *message: it is one, and one
 * of those. */
static size_t
frame(const char *buf, size_t len, bool *message)
{
	const char *end = memmem(buf, len, "\r\n", 2), *size;
	size_t head, whole;
	char line[600];

	*message = false;
	if (!end)
		return 0;
	head = (size_t)(end - buf) + 2;
	if (head >= sizeof(line))
		return head; /* INFO or CONNECT */
	memcpy(line, buf, head - 2);
	line[head - 2] = '\0';
	if (strncmp(line, "MSG ", 4) && strncmp(line, "HMSG ", 5) &&
	    strncmp(line, "PUB ", 4) && strncmp(line, "HPUB ", 5))
		return head;
	size = strrchr(line, ' ');
	whole = head + strtoul(size, NULL, 10) + 2;
	if (whole > len)
		return 0;
	*message = is_ours(line);

	return whole;
}

static bool
let_go(struct flow *f)
{
	bool ok = !f->held_len || write_all(f->to, f->held, f->held_len);

	f->held_len = 0;

	return ok;
}

static bool
pass_on(struct flow *f, const char *buf, size_t len, bool message)
{
	unsigned int n = message ? dice(100) : 1000;

	if (n < DROPPED)
		return true;
	n -= DROPPED;
	if (n < DOUBLED && !write_all(f->to, buf, len))
		return false;
	if (n >= DOUBLED && n < DOUBLED + HELD && message && !f->held_len) {
		f->held = memory(f->held, len);
		memcpy(f->held, buf, len);
		f->held_len = len;
		return true;
	}

	return write_all(f->to, buf, len) && (!message || let_go(f));
}

static bool
flow_in(struct flow *f)
{
	size_t at = 0, n;
	ssize_t got;
	bool message;

	if (f->room - f->len < 65536) {
		f->room += 262144;
		f->in = memory(f->in, f->room);
	}
	got = recv(f->from, f->in + f->len, f->room - f->len, MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (!got)
		return false;
	f->len += (size_t)got;
	while ((n = frame(f->in + at, f->len - at, &message))) {
		if (!pass_on(f, f->in + at, n, message))
			return false;
		at += n;
	}
	f->len -= at;
	memmove(f->in, f->in + at, f->len);

	return true;
}

static int
dial(int port)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || !connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		return fd;
	close(fd);

	return -1;
}

static void
link_open(int listener, int port)
{
	int fd = accept(listener, NULL, NULL), to, one = 1, n = 0;

	if (fd < 0)
		return;
	to = dial(port);
	while (n < LINKS && links[n].used)
		n++;
	if (to < 0 || n == LINKS) {
		close(fd);
		if (to >= 0)
			close(to);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	memset(&links[n], 0, sizeof(links[n]));
	links[n].used = true;
	links[n].flow[0].from = links[n].flow[1].to = fd;
	links[n].flow[1].from = links[n].flow[0].to = to;
}

static void
link_close(struct link *l)
{
	close(l->flow[0].from);
	close(l->flow[1].from);
	for (int n = 0; n < 2; n++) {
		free(l->flow[n].in);
		free(l->flow[n].held);
	}
	l->used = false;
}

static int
listen_somewhere(void)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ||
	    listen(fd, 32) || getsockname(fd, (struct sockaddr *)&sin, &len)) {
		perror("cluster-relay");
		exit(1);
	}
	atomic_store(&board->relay, ntohs(sin.sin_port));

	return fd;
}

static void
turn(int listener, int port)
{
	struct pollfd pfd[2 * LINKS + 1];
	int n, k;

	pfd[0].fd = listener;
	pfd[0].events = POLLIN;
	for (n = 0; n < 2 * LINKS; n++) {
		pfd[n + 1].fd = links[n / 2].used ?
					links[n / 2].flow[n % 2].from :
					-1;
		pfd[n + 1].events = POLLIN;
		pfd[n + 1].revents = 0;
	}
	/* what is held back is not for ever: a message may be the last */
	k = poll(pfd, 2 * LINKS + 1, 20);
	for (n = 0; n < 2 * LINKS; n++) {
		struct link *l = &links[n / 2];
		struct flow *f = &l->flow[n % 2];

		if (!l->used)
			continue;
		if ((pfd[n + 1].revents && !flow_in(f)) || (!k && !let_go(f)))
			link_close(l);
	}
	if (pfd[0].revents & POLLIN)
		link_open(listener, port);
}

int
main(int argc, char **argv)
{
	int listener, port;

	if (argc != 5) {
		fprintf(stderr, "usage: cluster-relay SEED PREFIX PORT "
				"BOARD\n");
		return 2;
	}
	seed = 0x9e3779b97f4a7c15u + strtoull(argv[1], NULL, 10);
	prefix = argv[2];
	port = atoi(argv[3]);
	signal(SIGPIPE, SIG_IGN);
	board_open(atoi(argv[4]));
	listener = listen_somewhere();
	for (;;)
		turn(listener, port);
}
