/*
 * lws-threadpool benchmark of the cluster - the processes beside the front
 *
 * SPDX-License-Identifier: MIT
 *
 * They end with this one, however that ends.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"

#define WORKERS 16

static pid_t engine, workers[WORKERS];
static int n_workers;
static char store[] = "/tmp/lwstp-bench-XXXXXX";

static pid_t
begin(char *const *argv)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(127);
	execvp(argv[0], argv);
	fprintf(stderr, "bench-cluster: no %s here\n", argv[0]);
	_exit(127);
}

static void
end(pid_t pid)
{
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

/* a socket: bound to a free port with *port 0, else connected to that one */
static int
loopback(uint16_t *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), ret;

	if (fd < 0)
		die("socket");
	if (*port) {
		ret = connect(fd, (struct sockaddr *)&address, len);
		close(fd);
		return ret;
	}
	if (bind(fd, (struct sockaddr *)&address, len) ||
	    getsockname(fd, (struct sockaddr *)&address, &len))
		die("no free port");
	*port = ntohs(address.sin_port);
	close(fd);

	return 0;
}

void
engine_begin(char url[URL_SIZE])
{
	char port_text[8];
	char *argv[] = { "nats-server", "-js",	     "-sd", store,
			 "-a",		"127.0.0.1", "-p",  port_text,
			 "-l",		"/dev/null", NULL };
	uint16_t port = 0;

	if (!mkdtemp(store))
		die("no place for the store");
	loopback(&port);
	snprintf(port_text, sizeof(port_text), "%u", port);
	engine = begin(argv);
	while (loopback(&port)) {
		if (waitpid(engine, NULL, WNOHANG) == engine)
			die("nats-server has ended");
		usleep(10000);
	}
	snprintf(url, URL_SIZE, "nats://127.0.0.1:%u", port);
}

void
engine_end(void)
{
	char *argv[] = { "rm", "-rf", store, NULL };

	end(engine);
	waitpid(begin(argv), NULL, 0);
}

void
workers_begin(const char *url, int count, bool low_latency)
{
	char copy[URL_SIZE];
	char *argv[] = { "/proc/self/exe", "--worker", copy,
			 low_latency ? "low" : NULL, NULL };

	snprintf(copy, sizeof(copy), "%s", url);
	for (n_workers = 0; n_workers < count && n_workers < WORKERS;
	     n_workers++)
		workers[n_workers] = begin(argv);
}

void
workers_end(void)
{
	while (n_workers)
		end(workers[--n_workers]);
}
