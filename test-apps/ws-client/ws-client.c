/*
 * ws-client: streams from the threadpool example on the command line
 *
 * SPDX-License-Identifier: MIT
 *
 * Opens a number of ws connections to minimal-ws-server-threadpool, shows how
 * each comes on, and says by its exit status whether all came complete, once
 * and in order.
 */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <libwebsockets.h>

#include "display.h"
#include "stream.h"

#define PROGRAM		     "lws-threadpool-ws-client"
#define DEFAULT_SERVER	     "127.0.0.1"
#define DEFAULT_PORT	     7681
#define DEFAULT_STREAMS	     8
#define DEFAULT_TIMEOUT_SECS 60
#define STRING(x)	     STRING_(x)
#define STRING_(x)	     #x

#define MAX_STREAMS	 20000
#define SPARE_FDS	 64 /* besides one for each stream */
#define DRAW_INTERVAL_US (50 * LWS_US_PER_MS)

enum exit_status {
	EXIT_ALL_COMPLETE = 0,
	EXIT_STREAM_FAILED = 1,
	EXIT_USAGE = 2
};

struct options {
	const char *server;
	int port;
	unsigned int streams;
	int timeout_secs;
};

static struct options options = { DEFAULT_SERVER, DEFAULT_PORT, DEFAULT_STREAMS,
				  DEFAULT_TIMEOUT_SECS };

static struct lws_context *context;
static struct stream *streams;
static struct pool_state pool;
static struct display display;
static unsigned int over; /* streams that are */
static lws_sorted_usec_list_t sul_draw, sul_idle;
static volatile sig_atomic_t interrupted;

static void
on_idle(lws_sorted_usec_list_t *sul);

static void
restart_idle_timer(void)
{
	lws_sul_schedule(context, 0, &sul_idle, on_idle,
			 (lws_usec_t)options.timeout_secs * LWS_US_PER_SEC);
}

/* after anything that may have ended the stream */
static void
show(const struct stream *s)
{
	if (stream_is_over(s))
		over++;
	display_stream(&display, s);
}

static void
fail_the_rest(const char *why)
{
	unsigned int n;

	for (n = 0; n < options.streams; n++)
		if (!stream_is_over(&streams[n])) {
			stream_fail(&streams[n], "%s", why);
			show(&streams[n]);
		}
}

static void
on_idle(lws_sorted_usec_list_t *sul)
{
	char why[64];

	(void)sul;

	lws_snprintf(why, sizeof(why), "timed out: no message for %d s",
		     options.timeout_secs);
	fail_the_rest(why);

	/* lws polls after its timers: without this, run() would not look */
	lws_cancel_service(context);
}

static void
on_draw(lws_sorted_usec_list_t *sul)
{
	display_draw(&display);
	lws_sul_schedule(context, 0, sul, on_draw, DRAW_INTERVAL_US);
}

/* a non-zero return makes lws close the connection */
static int
receive(struct lws *wsi, struct stream *s, const void *in, size_t len)
{
	int n;

	if (lws_frame_is_binary(wsi) && !stream_is_over(s)) {
		stream_fail(s, "a binary message");
		show(s);
		return -1;
	}
	if (stream_is_over(s))
		return -1;

	n = stream_receive(s, &pool, in, len, lws_is_final_fragment(wsi));
	if (n)
		show(s);
	restart_idle_timer();

	return n < 0 ? -1 : 0;
}

static void
connection_ended(struct stream *s, const char *error, size_t len)
{
	if (stream_is_over(s))
		return;

	if (error)
		stream_fail(s, "could not connect: %.*s", (int)len, error);
	else
		stream_closed(s);
	show(s);
}

static int
callback_stream(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	static const char unknown[] = "no reason known";

	switch (reason) {
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		connection_ended(user, in ? in : unknown,
				 in ? len : sizeof(unknown) - 1);
		break;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return receive(wsi, user, in, len);
	case LWS_CALLBACK_CLIENT_CLOSED:
		connection_ended(user, NULL, 0);
		break;
	default:
		break;
	}

	return 0;
}

static const struct lws_protocols protocols[] = {
	{
		.name = "lws-minimal-threadpool",
		.callback = callback_stream,
		.rx_buffer_size = STREAM_MAX_MESSAGE,
	},
	{ .name = NULL }
};

static void
connect_stream(struct stream *s)
{
	struct lws_client_connect_info i;

	memset(&i, 0, sizeof(i));
	i.context = context;
	i.address = options.server;
	i.port = options.port;
	i.path = "/";
	i.host = i.address;
	i.origin = i.address;
	i.protocol = protocols[0].name;
	i.local_protocol_name = protocols[0].name;
	i.userdata = s;

	/* most failures have told CONNECTION_ERROR why before it returns */
	if (!lws_client_connect_via_info(&i) && !stream_is_over(s)) {
		stream_fail(s, "could not connect");
		show(s);
	}
}

/* the context is alive for as long as interrupted is not set */
static void
on_signal(int sig)
{
	(void)sig;

	if (interrupted)
		return;

	interrupted = 1;
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
	/* clang-format off */
	fprintf(out,
"Usage: " PROGRAM " [OPTION]...\n"
"Opens streams to lws-minimal-ws-server-threadpool, shows how they come on.\n"
"\n"
"  -s, --server=HOST     the server (default " DEFAULT_SERVER ")\n"
"  -p, --port=PORT       its port (default " STRING(DEFAULT_PORT) ")\n"
"  -n, --streams=N       streams to open (default " STRING(DEFAULT_STREAMS)
			")\n"
"  -T, --timeout=SECS    give up when no stream had a message for so long\n"
"                        (default " STRING(DEFAULT_TIMEOUT_SECS) ")\n"
"  -d, --debug=BITS      lws log levels (default 0)\n"
"  -h, --help            show this and exit\n"
"\n"
"The exit status is 0 if every stream came complete, once and in order, 1 if\n"
"any did not, 2 if the options are wrong.\n");
	/* clang-format on */
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
		fprintf(stderr,
			PROGRAM ": %s must be a number from %d to %d, "
				"not '%s'\n",
			what, min, max, text);
		exit(EXIT_USAGE);
	}

	return (int)n;
}

static void
parse_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "server", required_argument, NULL, 's' },
		{ "port", required_argument, NULL, 'p' },
		{ "streams", required_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 'T' },
		{ "debug", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int c, logs = 0;

	while ((c = getopt_long(argc, argv, "s:p:n:T:d:h", known, NULL)) != -1)
		switch (c) {
		case 's':
			options.server = optarg;
			break;
		case 'p':
			options.port = number("the port", optarg, 1, 65535);
			break;
		case 'n':
			options.streams = (unsigned int)
				number("the streams", optarg, 1, MAX_STREAMS);
			break;
		case 'T':
			options.timeout_secs = number("the timeout", optarg, 1,
						      86400);
			break;
		case 'd':
			logs = number("the log levels", optarg, 0, 65535);
			break;
		case 'h':
			usage(stdout);
			exit(EXIT_ALL_COMPLETE);
		default:
			fprintf(stderr, "Try '" PROGRAM " --help'.\n");
			exit(EXIT_USAGE);
		}

	if (optind < argc) {
		fprintf(stderr,
			PROGRAM ": unexpected '%s'\n"
				"Try '" PROGRAM " --help'.\n",
			argv[optind]);
		exit(EXIT_USAGE);
	}

	lws_set_log_level(logs, NULL);
}

/* lws takes its limit from the process's, so this is before the context */
static int
raise_fd_limit(void)
{
	rlim_t need = (rlim_t)options.streams + SPARE_FDS;
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl)) {
		perror(PROGRAM ": getrlimit");
		return -1;
	}
	if (rl.rlim_cur >= need)
		return 0;

	if (rl.rlim_max < need) {
		fprintf(stderr,
			PROGRAM ": %u streams need %llu file "
				"descriptors, the limit is %llu\n",
			options.streams, (unsigned long long)need,
			(unsigned long long)rl.rlim_max);
		return -1;
	}

	rl.rlim_cur = need;
	if (setrlimit(RLIMIT_NOFILE, &rl)) {
		perror(PROGRAM ": setrlimit");
		return -1;
	}

	return 0;
}

static int
create_context(void)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;

	/* lws would take the web proxy of the environment for ws, too */
	unsetenv("http_proxy");

	context = lws_create_context(&info);
	if (!context)
		fprintf(stderr, PROGRAM ": could not start lws\n");

	return context ? 0 : -1;
}

static void
run(void)
{
	unsigned int n;
	int ret = 0;

	restart_idle_timer();
	if (display.redraws)
		on_draw(&sul_draw);

	for (n = 0; n < options.streams && !interrupted; n++)
		connect_stream(&streams[n]);

	while (ret >= 0 && !interrupted && over < options.streams)
		ret = lws_service(context, 0);

	fail_the_rest(interrupted ? "interrupted" : "lws_service() failed");

	interrupted = 1;
	lws_sul_cancel(&sul_draw);
	lws_sul_cancel(&sul_idle);
}

/* two streams that show the same task would hide that one of them is missing */
static void
check_names(void)
{
	unsigned int n, m;

	for (n = 1; n < options.streams; n++)
		for (m = 0; m < n; m++) {
			if (streams[n].state != STREAM_COMPLETE ||
			    strcmp(streams[n].task, streams[m].task))
				continue;
			streams[n].state = STREAM_GOING;
			stream_fail(&streams[n],
				    "repeated: stream %u had this "
				    "task, too",
				    streams[m].number);
			display_stream(&display, &streams[n]);
		}
}

static int
all_complete(void)
{
	unsigned int n;

	for (n = 0; n < options.streams; n++)
		if (streams[n].state != STREAM_COMPLETE)
			return 0;

	return 1;
}

int
main(int argc, char **argv)
{
	lws_usec_t began;
	int complete;

	parse_options(argc, argv);
	if (raise_fd_limit())
		return EXIT_STREAM_FAILED;

	streams = calloc(options.streams, sizeof(*streams));
	if (!streams) {
		fprintf(stderr, PROGRAM ": out of memory\n");
		return EXIT_STREAM_FAILED;
	}
	for (over = 0; over < options.streams; over++)
		streams[over].number = over + 1;
	over = 0;

	if (create_context()) {
		free(streams);
		return EXIT_STREAM_FAILED;
	}
	catch_signals();

	display_init(&display, streams, options.streams, &pool);
	began = lws_now_usecs();
	run();
	check_names();
	display_end(&display, (double)(lws_now_usecs() - began) / 1e6);

	complete = all_complete();
	lws_context_destroy(context);
	free(streams);

	return complete ? EXIT_ALL_COMPLETE : EXIT_STREAM_FAILED;
}
