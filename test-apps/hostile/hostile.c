/*
 * lws-threadpool tests - hostile use: clients that never read, floods of
 * connections, and tasks that never return
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-hostile stalled|flood|stuck [CLIENTS]
 *
 *   stalled  2,000 clients take no byte of the stream that they asked for: a
 *	      healthy stream beside them is none the slower, and the sync
 *	      timeout ends their tasks
 *   flood    3,000 connections want a task each of a pool that takes 16: the
 *	      others are refused, keep what is theirs, and nothing is lost
 *   stuck    tasks never return: finish() does not wait, destroy() does, and
 *	      tells for which
 *
 * Nothing is held against a fixed time: a delay is compared with that of the
 * service loop itself, measured in turns with it.
 */

#include <stdarg.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "hostile.h"

#define LINES	8
#define FDS	16384
#define TICK_US 20000

static struct lws_context *ticking;

static struct {
	char text[64];
	unsigned int seen;
	bool wanted;
} lines[LINES];
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;
static char surprise[256]; /* the first line that nobody wanted */

void
hostile_fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\nhostile FAILED\n");
	fflush(stdout);
	peers_kill();
	_Exit(1);
}

int64_t
hostile_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
emit(int level, const char *line)
{
	bool wanted = false;
	int n;

	(void)level;
	pthread_mutex_lock(&lines_lock);
	for (n = 0; n < LINES; n++)
		if (lines[n].text[0] && strstr(line, lines[n].text)) {
			lines[n].seen++;
			wanted = true;
		}
	if (!wanted && !surprise[0])
		snprintf(surprise, sizeof(surprise), "%s", line);
	pthread_mutex_unlock(&lines_lock);
}

unsigned int
hostile_logged(const char *text)
{
	unsigned int seen = 0;
	int n;

	pthread_mutex_lock(&lines_lock);
	for (n = 0; n < LINES; n++)
		if (!strcmp(lines[n].text, text))
			seen = lines[n].seen;
	pthread_mutex_unlock(&lines_lock);

	return seen;
}

void
hostile_expect(const char *text)
{
	int n;

	pthread_mutex_lock(&lines_lock);
	for (n = 0; n < LINES && lines[n].text[0]; n++)
		;
	if (n < LINES)
		snprintf(lines[n].text, sizeof(lines[n].text), "%s", text);
	pthread_mutex_unlock(&lines_lock);
	hostile_check(n < LINES);
}

struct lws_context *
hostile_context(const struct lws_protocols *protocols, int *port)
{
	struct lws_context_creation_info info;
	struct lws_context *context;
	struct lws_vhost *vhost;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
	context = lws_create_context(&info);
	hostile_check(context);
	info.port = 0;
	info.iface = "127.0.0.1";
	info.protocols = protocols;
	info.vhost_name = "hostile";
	vhost = lws_create_vhost(context, &info);
	hostile_check(vhost);
	*port = lws_get_vhost_listen_port(vhost);

	return context;
}

/* what other threads do wakes no service loop: so it looks now and then */
static void
tick(lws_sorted_usec_list_t *sul)
{
	lws_sul_schedule(ticking, 0, sul, tick, TICK_US);
}

void
hostile_until_(struct lws_context *context, bool (*cond)(void),
	       const char *what)
{
	int64_t limit = hostile_now() + 60 * 1000000;
	lws_sorted_usec_list_t ticker;

	memset(&ticker, 0, sizeof(ticker));
	ticking = context;
	tick(&ticker);
	while (!cond()) {
		lws_service(context, 0);
		if (hostile_now() > limit)
			hostile_fail("a minute went by without: %s", what);
	}
	lws_sul_cancel(&ticker);
}

static void
raise_fd_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return;
	l.rlim_cur = l.rlim_max < FDS ? l.rlim_max : FDS;
	setrlimit(RLIMIT_NOFILE, &l);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(int clients);
		int clients;
	} scenario[] = {
		{ "stalled", stalled, 2000 },
		{ "flood", flood, 3000 },
		{ "stuck", stuck, 2 },
	};
	const int all = (int)(sizeof(scenario) / sizeof(scenario[0]));
	int n, clients = argc > 2 ? atoi(argv[2]) : 0;

	for (n = 0; n < all; n++)
		if (argc > 1 && !strcmp(argv[1], scenario[n].name))
			break;
	if (n == all || argc > 3 || clients < 0) {
		fprintf(stderr, "usage: %s stalled|flood|stuck [CLIENTS]\n",
			argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_fd_limit();
	lws_set_log_level(LLL_ERR | LLL_WARN, emit);
	scenario[n].run(clients ? clients : scenario[n].clients);
	peers_kill();
	if (surprise[0])
		hostile_fail("logged: %s", surprise);
	printf("hostile %s passed\n", scenario[n].name);

	return 0;
}
