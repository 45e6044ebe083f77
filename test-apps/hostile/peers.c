/*
 * lws-threadpool tests - the other ends: processes that talk to the server by
 * plain sockets
 *
 * SPDX-License-Identifier: MIT
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define PEERS 8

static struct {
	pid_t pid;
	int pipe; /* a byte on it: go */
} peers[PEERS];
static int started;

/* It must not hold a connection of the server open, or its pipe to another. */
static void
close_inherited(int keep)
{
	long fd, high = sysconf(_SC_OPEN_MAX);

	for (fd = 3; fd < high && fd < 4096; fd++)
		if (fd != keep)
			close((int)fd);
}

int
peer_start(void (*act)(int port, int arg), int port, int arg)
{
	int fds[2];
	pid_t pid;
	char c;

	hostile_check(started < PEERS && !pipe(fds));
	pid = fork();
	hostile_check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close_inherited(fds[0]);
		if (read(fds[0], &c, 1) == 1)
			act(port, arg);
		_exit(0);
	}
	close(fds[0]);
	peers[started].pid = pid;
	peers[started].pipe = fds[1];

	return started++;
}

void
peer_go(int peer)
{
	hostile_check(write(peers[peer].pipe, "g", 1) == 1);
}

void
peer_kill(int peer)
{
	if (!peers[peer].pid)
		return;
	kill(peers[peer].pid, SIGKILL);
	waitpid(peers[peer].pid, NULL, 0);
	close(peers[peer].pipe);
	peers[peer].pid = 0;
}

void
peers_kill(void)
{
	while (started)
		peer_kill(--started);
}

bool
peer_ended(int peer)
{
	int status = 0;

	if (peers[peer].pid &&
	    waitpid(peers[peer].pid, &status, WNOHANG) == peers[peer].pid) {
		peers[peer].pid = 0;
		close(peers[peer].pipe);
		if (status)
			hostile_fail("peer %d ended with %d", peer, status);
	}

	return !peers[peer].pid;
}

int
peer_connect(int port, int rcvbuf)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		perror("a peer's connection");
		_exit(1);
	}

	return fd;
}

void
peer_handshake(int fd, const char *protocol)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "GET / HTTP/1.1\r\nHost: localhost\r\n"
			 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: bHdzLXRocmVhZHBvb2whIQ==\r\n"
			 "Sec-WebSocket-Protocol: %s\r\n"
			 "Sec-WebSocket-Version: 13\r\n\r\n",
			 protocol);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n) {
		perror("a peer's handshake");
		_exit(1);
	}
}

void
peer_read_all(int fd)
{
	char buf[4096];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

void
peer_reset(int fd)
{
	const struct linger l = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}
