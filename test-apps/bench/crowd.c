/*
 * lws-threadpool benchmark - many http connections, and one thread that asks
 *
 * SPDX-License-Identifier: MIT
 *
 * A thread for each would take more of the machine than the servers do.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench.h"

#define MAX_TIMED 1000000

struct peer {
	int fd;
	bool served; /* has got an answer */
	uint64_t asked;
	size_t got; /* bytes of the answer */
	char buf[2048];
};

static struct {
	char request[128];
	size_t len;
	int epoll;
	uint32_t *ns;
	long answers, failed;
} all;

static void
ask(struct peer *p)
{
	p->got = 0;
	p->asked = now_ns();
	if (write(p->fd, all.request, all.len) != (ssize_t)all.len)
		die("a request that cannot be sent");
}

static void
join(struct peer *p)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };

	p->fd = client_dial();
	if (epoll_ctl(all.epoll, EPOLL_CTL_ADD, p->fd, &event))
		die("epoll_ctl");
	ask(p);
}

/* is the answer whole? */
static bool
whole(struct peer *p)
{
	const char *body, *length;

	p->buf[p->got] = '\0';
	body = strstr(p->buf, "\r\n\r\n");
	if (!body)
		return false;
	length = strcasestr(p->buf, "content-length:");
	if (!length || length > body)
		die("an answer without a length");

	return p->got >=
	       (size_t)(body + 4 - p->buf) +
		       strtoul(length + strlen("content-length:"), NULL, 10);
}

static void
hear(struct peer *p)
{
	ssize_t n = read(p->fd, p->buf + p->got, sizeof(p->buf) - 1 - p->got);
	uint64_t took;

	if (n <= 0) {
		all.failed++;
		close(p->fd);
		join(p);
		return;
	}
	p->got += (size_t)n;
	if (!whole(p))
		return;
	took = now_ns() - p->asked;
	if (all.answers < MAX_TIMED)
		all.ns[all.answers] = took > UINT32_MAX ? UINT32_MAX :
							  (uint32_t)took;
	all.answers++;
	p->served = true;
	ask(p);
}

static void
report(const struct peer *peers, int n_peers, double secs)
{
	long served = 0;
	int i;

	for (i = 0; i < n_peers; i++)
		served += peers[i].served;
	out("rate", (double)all.answers / secs, "requests/s");
	if (all.failed)
		out("failed", (double)all.failed, "requests");
	out("served", (double)served, "connections");
	out_percentiles("", all.ns,
			all.answers < MAX_TIMED ? all.answers : MAX_TIMED);
}

void
crowd(const struct client_plan *plan)
{
	struct peer *peers = need((size_t)plan->crowd, sizeof(*peers));
	uint64_t begun, until;
	struct epoll_event events[64];
	int i, n;

	all.len = (size_t)snprintf(all.request, sizeof(all.request),
				   "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n",
				   plan->timed_path);
	all.ns = need(MAX_TIMED, sizeof(*all.ns));
	all.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < plan->crowd; i++)
		join(&peers[i]);
	begun = now_ns();
	until = begun + (uint64_t)(plan->secs * 1e9);
	while (now_ns() < until) {
		n = epoll_wait(all.epoll, events, 64, 100);
		for (i = 0; i < n; i++)
			hear(events[i].data.ptr);
	}
	report(peers, plan->crowd, (double)(now_ns() - begun) / 1e9);
	free(peers);
	free(all.ns);
}
