/*
 * lws-threadpool cluster tests - a nats-server of the test's own
 *
 * SPDX-License-Identifier: MIT
 *
 * The port is below those that the system gives to outgoing connections: a
 * client that tries again and again could connect to itself there.
 */

#include "field.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_LOW 10000
#define PORTS	 10000

/* A name of the system's that is ours until we end: no other test takes it */
static int
port_lock(int port)
{
	struct sockaddr_un sun;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
		 "lwstp-cluster-port-%d", port);
	if (!bind(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	close(fd);

	return -1;
}

static int
loopback(int port, bool binds)
{
	struct timeval limit = { .tv_sec = 1 };
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), bad;

	assert_true(fd >= 0);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (binds)
		bad = bind(fd, (struct sockaddr *)&sin, sizeof(sin));
	else
		bad = connect(fd, (struct sockaddr *)&sin, sizeof(sin));
	if (!bad)
		return fd;
	close(fd);

	return -1;
}

static bool
port_take(struct engine *e, int port)
{
	int fd;

	e->lock = port_lock(port);
	if (e->lock < 0)
		return false;
	fd = loopback(port, true);
	if (fd >= 0) {
		close(fd);
		e->port = port;
		return true;
	}
	close(e->lock);

	return false;
}

void
engine_init(struct engine *e)
{
	const char *tmp = getenv("TMPDIR");
	int n = (int)getpid() * 7;

	memset(e, 0, sizeof(*e));
	while (!port_take(e, PORT_LOW + n % PORTS))
		n++;
	snprintf(e->url, sizeof(e->url), "nats://127.0.0.1:%d", e->port);
	snprintf(e->dir, sizeof(e->dir), "%.32s/lwstp-cluster-XXXXXX",
		 tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(e->dir));
}

/* It speaks first, once it serves. */
static bool
speaks(int port)
{
	int fd = loopback(port, false);
	char buf[5];
	bool yes;

	if (fd < 0)
		return false;
	yes = recv(fd, buf, 5, MSG_WAITALL) == 5 && !memcmp(buf, "INFO ", 5);
	close(fd);

	return yes;
}

/* an empty one does nothing */
static void
config_write(const char *path, const char *text)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_true(!text || fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

void
engine_start(struct engine *e)
{
	char port[12], store[80], log[80], config[80];
	const char *const argv[] = {
		LWSTP_NATS_SERVER,
		"-a",
		"127.0.0.1",
		"-p",
		port,
		"-l",
		log,
		"-c",
		config,
		e->no_jetstream ? NULL : "-js",
		"-sd",
		store,
		NULL
	};
	int ms;

	snprintf(port, sizeof(port), "%d", e->port);
	snprintf(store, sizeof(store), "%s/store", e->dir);
	snprintf(log, sizeof(log), "%s/log", e->dir);
	snprintf(config, sizeof(config), "%s/config", e->dir);
	config_write(config, e->config);
	proc_start(&e->proc, argv);
	for (ms = 0; !speaks(e->port); ms += 10) {
		if (proc_has_ended(&e->proc))
			fail_msg("nats-server ended: status %x",
				 (unsigned int)e->proc.status);
		if (ms > 180000)
			fail_msg("nats-server does not answer");
		poll(NULL, 0, 10);
	}
}

void
engine_stop(struct engine *e)
{
	proc_end(&e->proc, SIGINT);
}

void
engine_kill(struct engine *e)
{
	proc_kill(&e->proc);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;

	return remove(path);
}

void
engine_lose_store(struct engine *e)
{
	char store[80];

	assert_int_equal(e->proc.pid, 0);
	snprintf(store, sizeof(store), "%s/store", e->dir);
	nftw(store, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void
engine_free(struct engine *e)
{
	engine_kill(e);
	nftw(e->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	close(e->lock);
}
