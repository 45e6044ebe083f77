/*
 * lws-threadpool benchmark - http clients
 *
 * SPDX-License-Identifier: MIT
 *
 * In a process of their own, so that they share nothing with the server but the
 * machine.  Each connection is a thread that asks, reads the whole answer and
 * asks again on the same connection; or one thread has them all (crowd.c).
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define MAX_TIMED 1000000

static struct client_plan plan;
static uint16_t port;
static uint64_t until;
static atomic_long asked, answered, failed, kinds[2];
static uint32_t *ns[2]; /* plain, and every tenth */
static atomic_bool over;

int
client_dial(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("no connection");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

	return fd;
}

/* one answer, all of it: false if the connection ended before */
static bool
answer(int fd)
{
	char buf[65536], *body, *length;
	size_t got = 0, whole = 0;
	ssize_t n;

	while (!whole || got < whole) {
		n = read(fd, buf + (whole ? 0 : got),
			 whole ? sizeof(buf) : sizeof(buf) - 1 - got);
		if (n <= 0)
			return false;
		got += (size_t)n;
		if (whole)
			continue;
		buf[got] = '\0';
		body = strstr(buf, "\r\n\r\n");
		if (!body)
			continue;
		length = strcasestr(buf, "content-length:");
		if (!length || length > body)
			die("an answer without a length");
		whole = (size_t)(body + 4 - buf) +
			strtoul(length + strlen("content-length:"), NULL, 10);
	}

	return true;
}

static bool
ask(int fd, const char *path)
{
	char request[128];
	int n = snprintf(request, sizeof(request),
			 "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path);

	return write(fd, request, (size_t)n) == n && answer(fd);
}

static void *
load(void *arg)
{
	int fd = client_dial();

	(void)arg;
	while (!atomic_load(&over))
		if (!ask(fd, plan.load_path)) {
			close(fd);
			fd = client_dial();
		}
	close(fd);

	return NULL;
}

static void *
timed(void *arg)
{
	int fd = client_dial(), kind;
	uint64_t then, took;
	long n, at;

	(void)arg;
	for (;;) {
		n = atomic_fetch_add(&asked, 1);
		if (now_ns() >= until || (plan.requests && n >= plan.requests))
			break;
		kind = plan.every_tenth && n % 10 == 9;
		then = now_ns();
		if (!ask(fd, kind ? plan.every_tenth : plan.timed_path)) {
			atomic_fetch_add(&failed, 1);
			close(fd);
			fd = client_dial();
			continue;
		}
		took = now_ns() - then;
		at = atomic_fetch_add(&kinds[kind], 1);
		if (at < MAX_TIMED)
			ns[kind][at] = took > UINT32_MAX ? UINT32_MAX :
							   (uint32_t)took;
		atomic_fetch_add(&answered, 1);
		if (plan.pause_us)
			usleep((useconds_t)plan.pause_us);
	}
	close(fd);

	return NULL;
}

static void
report(double secs)
{
	long plain = atomic_load(&kinds[0]), tenth = atomic_load(&kinds[1]);

	out("rate", (double)atomic_load(&answered) / secs, "requests/s");
	if (atomic_load(&failed))
		out("failed", (double)atomic_load(&failed), "requests");
	out_percentiles("", ns[0], plain < MAX_TIMED ? plain : MAX_TIMED);
	out_percentiles("slow ones ", ns[1],
			tenth < MAX_TIMED ? tenth : MAX_TIMED);
}

__attribute__((noreturn)) static void
client(int from_server)
{
	pthread_t *threads = need((size_t)plan.timed, sizeof(*threads)), other;
	uint64_t begun;
	int i;

	if (read(from_server, &port, sizeof(port)) != sizeof(port))
		_exit(2);
	/* a server that hangs or has gone must not keep us */
	alarm((unsigned int)(opt.limit + plan.secs) + 10);
	if (plan.crowd) {
		crowd(&plan);
		_exit(0);
	}
	ns[0] = need(MAX_TIMED, sizeof(*ns[0]));
	ns[1] = need(MAX_TIMED, sizeof(*ns[1]));

	for (i = 0; i < plan.load; i++)
		if (pthread_create(&other, NULL, load, NULL))
			die("no thread");
	if (plan.load)
		usleep(200000); /* until they are at it */
	begun = now_ns();
	until = begun +
		(uint64_t)((plan.requests ? opt.limit : plan.secs) * 1e9);
	for (i = 0; i < plan.timed; i++)
		if (pthread_create(&threads[i], NULL, timed, NULL))
			die("no thread");
	for (i = 0; i < plan.timed; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&over, true);
	report((double)(now_ns() - begun) / 1e9);
	fflush(stdout);
	_exit(0);
}

int
client_start(const struct client_plan *what, pid_t *pid)
{
	int fds[2];

	plan = *what;
	if (pipe(fds))
		die("pipe");
	fflush(stdout);
	*pid = fork();
	if (*pid < 0)
		die("fork");
	if (!*pid) {
		close(fds[1]);
		client(fds[0]);
	}
	close(fds[0]);

	return fds[1];
}

void
client_tell(int to_client, int at)
{
	uint16_t number = (uint16_t)at;

	if (at <= 0 ||
	    write(to_client, &number, sizeof(number)) != sizeof(number))
		die("no client");
}
