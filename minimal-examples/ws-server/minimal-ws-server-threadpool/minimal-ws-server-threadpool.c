/*
 * minimal-ws-server-threadpool: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * Serves the page in mount-origin/ and the ws protocol that the page uses.
 * What has to do with the threadpool is all in the protocol's file; here are
 * the options, the lws context and the service loop, as in any lws server.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "protocol_lws_minimal_threadpool.c"

#if !defined(MOUNT_ORIGIN)
#define MOUNT_ORIGIN "./mount-origin"
#endif

#define PROGRAM		"lws-minimal-ws-server-threadpool"
#define DEFAULT_PORT	7681
#define DEFAULT_ADDRESS	"127.0.0.1"
#define ANY_ADDRESS	"0.0.0.0"
#define PATIENCE_US	(2 * LWS_US_PER_SEC) /* for clients to hear of the end */
#define STRING(x)	STRING_(x)
#define STRING_(x)	#x

static struct lws_context *context;
static volatile sig_atomic_t interrupted;

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_MINIMAL_THREADPOOL,
	{ .name = NULL }
};

static struct lws_http_mount mount = {
	.mountpoint		= "/",
	.mountpoint_len		= 1,
	.origin			= MOUNT_ORIGIN,
	.origin_protocol	= LWSMPRO_FILE,
	.def			= "index.html",
};

/* the protocol's options on our vhost, whose values the command line changes */
static struct lws_protocol_vhost_options pvo_work_ms = {
	NULL, NULL, "work-ms", STRING(DEFAULT_WORK_MS)
}, pvo_queue_depth = {
	&pvo_work_ms, NULL, "queue-depth", STRING(DEFAULT_QUEUE_DEPTH)
}, pvo_threads = {
	&pvo_queue_depth, NULL, "threads", STRING(DEFAULT_THREADS)
};

static const struct lws_protocol_vhost_options pvo = {
	NULL, &pvo_threads, "lws-minimal-threadpool", ""
};

/* the context is alive for as long as interrupted is below 2 */
static void
on_signal(int sig)
{
	(void)sig;

	if (interrupted > 1)
		return;

	interrupted++;
	lws_cancel_service(context);
}

static void
catch_signals(void)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = on_signal;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

static void
usage(FILE *out)
{
	fprintf(out,
"Usage: " PROGRAM " [OPTION]...\n"
"A ws server that gives each connection a task on a threadpool, and a page\n"
"that shows them.\n"
"\n"
"  -p, --port=PORT       listen on this port (default " STRING(DEFAULT_PORT)
				"), 0 = a free one\n"
"  -i, --interface=ADDR  listen on this IPv4 address (default " DEFAULT_ADDRESS
				",\n"
"                        this machine only), " ANY_ADDRESS " = on all\n"
"  -t, --threads=N       threads of the pool (default "
				STRING(DEFAULT_THREADS) ")\n"
"  -q, --queue-depth=N   tasks that may wait for a thread (default "
				STRING(DEFAULT_QUEUE_DEPTH) ")\n"
"  -w, --work-ms=MS      milliseconds of work in each step (default "
				STRING(DEFAULT_WORK_MS) ")\n"
"  -m, --mount=DIR       the directory of the page\n"
"  -d, --debug=BITS      lws log levels (default %d)\n"
"  -h, --help            show this and exit\n",
		LLL_USER | LLL_ERR | LLL_WARN);
}

/* the value of an option as a number from min to max, or the end of us */
static int
number(const char *what, const char *text, int min, int max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max) {
		fprintf(stderr, PROGRAM ": %s must be a number from %d to %d, "
			"not '%s'\n", what, min, max, text);
		exit(2);
	}

	return (int)n;
}

/* the value of an option as an IPv4 address, or the end of us */
static const char *
address(const char *text)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1) {
		fprintf(stderr, PROGRAM ": '%s' is no IPv4 address\n", text);
		exit(2);
	}

	return text;
}

/* What lws is to bind to.  By its name where we know it: lws 5.0.0 writes past
 * a buffer when it is given a numeric IPv4 address. */
static const char *
interface_of(const char *text)
{
	if (!strcmp(text, ANY_ADDRESS))
		return NULL;
#if defined(__linux__)
	if (!strcmp(text, DEFAULT_ADDRESS))
		return "lo";
#endif

	return text;
}

static void
parse_options(int argc, char **argv, int *port, const char **iface, int *logs)
{
	static const struct option options[] = {
		{ "port",	 required_argument, NULL, 'p' },
		{ "interface",	 required_argument, NULL, 'i' },
		{ "threads",	 required_argument, NULL, 't' },
		{ "queue-depth", required_argument, NULL, 'q' },
		{ "work-ms",	 required_argument, NULL, 'w' },
		{ "mount",	 required_argument, NULL, 'm' },
		{ "debug",	 required_argument, NULL, 'd' },
		{ "help",	 no_argument,	    NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "p:i:t:q:w:m:d:h", options,
				NULL)) != -1)
		switch (c) {
		case 'p':
			*port = number("the port", optarg, 0, 65535);
			break;
		case 'i':
			*iface = address(optarg);
			break;
		case 't':
			number("the threads", optarg, 1, 1024);
			pvo_threads.value = optarg;
			break;
		case 'q':
			number("the queue depth", optarg, 1, INT_MAX);
			pvo_queue_depth.value = optarg;
			break;
		case 'w':
			number("the work", optarg, 0, 60000);
			pvo_work_ms.value = optarg;
			break;
		case 'm':
			mount.origin = optarg;
			break;
		case 'd':
			*logs = number("the log levels", optarg, 0, INT_MAX);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			fprintf(stderr, "Try '" PROGRAM " --help'.\n");
			exit(2);
		}

	if (optind < argc) {
		fprintf(stderr, PROGRAM ": unexpected '%s'\n"
			"Try '" PROGRAM " --help'.\n", argv[optind]);
		exit(2);
	}
}

/* better said now than by a 404 later */
static int
check_mount(void)
{
	char index[PATH_MAX];

	lws_snprintf(index, sizeof(index), "%s/%s", mount.origin, mount.def);
	if (!access(index, R_OK))
		return 0;

	fprintf(stderr, PROGRAM ": %s: %s (the page's directory can be given "
		"with -m)\n", index, strerror(errno));

	return -1;
}

static void
out_of_patience(lws_sorted_usec_list_t *sul)
{
	(void)sul;

	interrupted = 2;
}

/* The first signal ends the tasks, which their connections hear of while the
 * service goes on for a moment; the second one, or the end of it, the rest. */
static int
serve(struct lws_vhost *vhost)
{
	lws_sorted_usec_list_t sul;
	int n = 0;

	memset(&sul, 0, sizeof(sul));
	while (n >= 0 && !interrupted)
		n = lws_service(context, 0);

	lws_sul_schedule(context, 0, &sul, out_of_patience, PATIENCE_US);
	while (n >= 0 && interrupted < 2 && minimal_threadpool_finish(vhost))
		n = lws_service(context, 0);
	lws_sul_cancel(&sul);
	interrupted = 2;

	return n;
}

int
main(int argc, char **argv)
{
	int port = DEFAULT_PORT, logs = LLL_USER | LLL_ERR | LLL_WARN, n;
	struct lws_context_creation_info info;
	const char *iface = DEFAULT_ADDRESS;
	struct lws_vhost *vhost;

	parse_options(argc, argv, &port, &iface, &logs);
	if (check_mount())
		return 1;

	lws_set_log_level(logs, NULL);

	memset(&info, 0, sizeof(info));
	info.port = port;
	info.iface = interface_of(iface);
	info.protocols = protocols;
	info.mounts = &mount;
	info.pvo = &pvo;
	info.vhost_name = "localhost";
	info.options = LWS_SERVER_OPTION_DISABLE_IPV6 |
		LWS_SERVER_OPTION_HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE |
		LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;

	context = lws_create_context(&info);
	if (!context) {
		fprintf(stderr, PROGRAM ": could not start on %s, port %d\n",
			iface, port);
		return 1;
	}

	/* or the first lws_service() would do it, and go on if it fails */
	if (lws_protocol_init(context)) {
		fprintf(stderr, PROGRAM ": could not make the threadpool\n");
		lws_context_destroy(context);
		return 1;
	}

	catch_signals();

	vhost = lws_get_vhost_by_name(context, "localhost");
	printf("listening on http://%s:%d with %s threads\n", iface,
	       lws_get_vhost_listen_port(vhost), pvo_threads.value);
	fflush(stdout);

	n = serve(vhost);
	lws_context_destroy(context);
	printf("ended\n");

	return n < 0;
}
