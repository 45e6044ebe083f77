/*
 * minimal-examples/common: the program around an example's protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * See threadpool-example.h.  Nothing here has to do with the threadpool.
 */

#include "threadpool-example.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PORT	"7681"
#define DEFAULT_ADDRESS "127.0.0.1"
#define ANY_ADDRESS	"0.0.0.0"
#define DEFAULT_LOGS	(LLL_USER | LLL_ERR | LLL_WARN)
#define PATIENCE_US	(2 * LWS_US_PER_SEC) /* to tell clients of the end */
#define MAX_OPTIONS	8		     /* of an example's own */
#define MAX_PROTOCOLS	4		     /* and of its protocols */

static const struct threadpool_example *ex;
static struct lws_context *context;
static volatile sig_atomic_t interrupted;
static lws_callback_function *protocol_callback;
static int init_failed;

static int port, logs = DEFAULT_LOGS;

static struct lws_http_mount page = {
	.mountpoint = "/",
	.mountpoint_len = 1,
	.origin_protocol = LWSMPRO_FILE,
	.def = "index.html",
};

/* the protocol's options on our vhost: these, and the example's own */
enum { PVO_THREADS, PVO_PORT, PVO_ADDRESS, PVO_OWN };
static struct lws_protocol_vhost_options pvos[PVO_OWN + MAX_OPTIONS], pvo;

/* nothing but what is served here, and no page of others around it */
static const struct lws_protocol_vhost_options
	no_referrer = { NULL, NULL, "referrer-policy:", "no-referrer" },
	no_sniff = { &no_referrer, NULL, "x-content-type-options:", "nosniff" },
	headers = { &no_sniff, NULL, "content-security-policy:",
		    "default-src 'none'; script-src 'self'; style-src 'self'; "
		    "img-src 'self'; connect-src 'self'; form-action 'self'; "
		    "base-uri 'none'; frame-ancestors 'none'" };

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

static int
own_options(void)
{
	int n = 0;

	while (ex->options && ex->options[n].letter)
		n++;

	return n;
}

static void
usage_line(char letter, const char *name, const char *value, const char *help,
	   const char *otherwise)
{
	char option[64];

	lws_snprintf(option, sizeof(option), "-%c, --%s%s%s", letter, name,
		     value ? "=" : "", value ? value : "");
	printf("  %-21s %s", option, help);
	if (otherwise)
		printf(" (default %s)", otherwise);
	printf("\n");
}

/* of the options that a kind of example has */
static void
usage_of_kind(void)
{
	switch (ex->kind) {
	case THREADPOOL_EXAMPLE_SERVER:
		printf("  -p, --port=PORT       listen on this port "
		       "(default " DEFAULT_PORT "), 0 = a free one\n"
		       "  -i, --interface=ADDR  listen on this IPv4 address "
		       "(default " DEFAULT_ADDRESS ",\n"
		       "                        this machine "
		       "only), " ANY_ADDRESS " = on all\n");
		break;
	case THREADPOOL_EXAMPLE_CLIENT:
		usage_line('p', "port", "PORT", "port of the server",
			   DEFAULT_PORT);
		usage_line('s', "server", "ADDR", "IPv4 address of the server",
			   DEFAULT_ADDRESS);
		break;
	case THREADPOOL_EXAMPLE_LOCAL:
		break;
	}
}

static void
usage(void)
{
	int n;

	printf("Usage: %s [OPTION]...\n%s\n\n", ex->program, ex->about);
	usage_of_kind();
	usage_line('t', "threads", "N", "threads of the pool", ex->threads);
	for (n = 0; n < own_options(); n++)
		usage_line(ex->options[n].letter, ex->options[n].name,
			   ex->options[n].value, ex->options[n].help,
			   ex->options[n].otherwise);
	if (ex->origin)
		usage_line('m', "mount", "DIR", "the directory of the page",
			   NULL);
	printf("  -d, --debug=BITS      lws log levels (default %d)\n",
	       DEFAULT_LOGS);
	usage_line('h', "help", NULL, "show this and exit", NULL);
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
			"%s: --%s must be a number from %d to %d, "
			"not '%s'\n",
			ex->program, what, min, max, text);
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
		fprintf(stderr, "%s: '%s' is no IPv4 address\n", ex->program,
			text);
		exit(2);
	}

	return text;
}

static void
take_option(int c, const char *value)
{
	int n;

	switch (c) {
	case 'p':
		port = number("port", value,
			      ex->kind == THREADPOOL_EXAMPLE_CLIENT, 65535);
		pvos[PVO_PORT].value = value;
		return;
	case 'i':
	case 's':
		pvos[PVO_ADDRESS].value = address(value);
		return;
	case 't':
		number("threads", value, 1, 1024);
		pvos[PVO_THREADS].value = value;
		return;
	case 'm':
		page.origin = value;
		return;
	case 'd':
		logs = number("debug", value, 0, INT_MAX);
		return;
	case 'h':
		usage();
		exit(0);
	}

	for (n = 0; n < own_options(); n++)
		if (ex->options[n].letter == c) {
			if (ex->options[n].max)
				number(ex->options[n].name, value,
				       ex->options[n].min, ex->options[n].max);
			pvos[PVO_OWN + n].value = value;
			return;
		}

	fprintf(stderr, "Try '%s --help'.\n", ex->program);
	exit(2);
}

/* the options that getopt_long() is to know, and their letters */
static struct option long_options[7 + MAX_OPTIONS];
static char letters[2 * (7 + MAX_OPTIONS) + 1];

static void
know_option(char letter, const char *name, int argument)
{
	struct option *o = long_options;

	while (o->name)
		o++;
	o->name = name;
	o->has_arg = argument;
	o->val = letter;
	lws_snprintf(letters + strlen(letters),
		     sizeof(letters) - strlen(letters), "%c%s", letter,
		     argument == required_argument ? ":" : "");
}

static void
know_options(void)
{
	int n;

	if (ex->kind != THREADPOOL_EXAMPLE_LOCAL)
		know_option('p', "port", required_argument);
	if (ex->kind == THREADPOOL_EXAMPLE_SERVER)
		know_option('i', "interface", required_argument);
	if (ex->kind == THREADPOOL_EXAMPLE_CLIENT)
		know_option('s', "server", required_argument);
	know_option('t', "threads", required_argument);
	know_option('d', "debug", required_argument);
	know_option('h', "help", no_argument);
	if (ex->origin)
		know_option('m', "mount", required_argument);
	for (n = 0; n < own_options(); n++)
		know_option(ex->options[n].letter, ex->options[n].name,
			    required_argument);
}

static void
parse_options(int argc, char **argv)
{
	int c;

	know_options();
	while ((c = getopt_long(argc, argv, letters, long_options, NULL)) != -1)
		take_option(c, optarg);

	if (optind < argc) {
		fprintf(stderr, "%s: unexpected '%s'\nTry '%s --help'.\n",
			ex->program, argv[optind], ex->program);
		exit(2);
	}
}

static void
set_defaults(void)
{
	int n;

	pvos[PVO_THREADS].name = "threads";
	pvos[PVO_THREADS].value = ex->threads;
	pvos[PVO_PORT].name = "port";
	pvos[PVO_PORT].value = DEFAULT_PORT;
	pvos[PVO_ADDRESS].name = "address";
	pvos[PVO_ADDRESS].value = DEFAULT_ADDRESS;
	for (n = 0; n < own_options(); n++) {
		pvos[PVO_OWN + n].name = ex->options[n].name;
		pvos[PVO_OWN + n].value = ex->options[n].otherwise;
	}
	for (n = 0; n + 1 < PVO_OWN + own_options(); n++)
		pvos[n].next = &pvos[n + 1];
	port = atoi(DEFAULT_PORT);
	pvo.name = ex->protocol;
	pvo.value = "";
	pvo.options = &pvos[0];
	page.origin = ex->origin;
	page.mount_next = ex->mounts;
}

/* better said now than by a 404 later */
static int
check_page(void)
{
	char index[PATH_MAX];

	if (!page.origin)
		return 0;
	lws_snprintf(index, sizeof(index), "%s/%s", page.origin, page.def);
	if (!access(index, R_OK))
		return 0;

	fprintf(stderr,
		"%s: %s: %s (the page's directory can be given with "
		"-m)\n",
		ex->program, index, strerror(errno));

	return -1;
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

/* From 4.2 on lws starts all the same where a protocol's INIT fails: so that is
 * noted here. */
static int
note_init(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	  void *in, size_t len)
{
	int n = protocol_callback(wsi, reason, user, in, len);

	if (reason == LWS_CALLBACK_PROTOCOL_INIT && n)
		init_failed = 1;

	return n;
}

/* the example's, but for that */
static const struct lws_protocols *
noting_protocols(void)
{
	static struct lws_protocols protocols[MAX_PROTOCOLS + 1];
	int n;

	for (n = 0; n < MAX_PROTOCOLS && ex->protocols[n].name; n++) {
		protocols[n] = ex->protocols[n];
		if (!strcmp(protocols[n].name, ex->protocol)) {
			protocol_callback = protocols[n].callback;
			protocols[n].callback = note_init;
		}
	}

	return protocols;
}

static int
make_context(void)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	if (ex->kind == THREADPOOL_EXAMPLE_SERVER) {
		info.port = port;
		info.iface = interface_of(pvos[PVO_ADDRESS].value);
	}
	info.protocols = noting_protocols();
	info.mounts = page.origin ? &page : ex->mounts;
	info.headers = &headers;
	info.pvo = &pvo;
	info.vhost_name = "localhost";
	info.options = LWS_SERVER_OPTION_DISABLE_IPV6 |
		       LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
	if (ex->prepare)
		ex->prepare(&info);

	context = lws_create_context(&info);
	if (!context) {
		if (ex->kind == THREADPOOL_EXAMPLE_SERVER)
			fprintf(stderr, "%s: could not start on %s, port %d\n",
				ex->program, pvos[PVO_ADDRESS].value, port);
		else
			fprintf(stderr, "%s: could not start\n", ex->program);
		return -1;
	}

	/* or the first lws_service() would do it, and go on if it fails */
	if (lws_protocol_init(context) || init_failed) {
		fprintf(stderr, "%s: could not start its protocols\n",
			ex->program);
		lws_context_destroy(context);
		return -1;
	}

	return 0;
}

static void
out_of_patience(lws_sorted_usec_list_t *sul)
{
	(void)sul;

	interrupted = 2;
	lws_cancel_service(context); /* or this turn waits for something */
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
	while (n >= 0 && interrupted < 2 && ex->finish && ex->finish(vhost))
		n = lws_service(context, 0);
	lws_sul_cancel(&sul);
	interrupted = 2;

	return n;
}

static void
say_hello(struct lws_vhost *vhost)
{
	const char *address = pvos[PVO_ADDRESS].value;

	switch (ex->kind) {
	case THREADPOOL_EXAMPLE_SERVER:
		printf("listening on http://%s:%d", address,
		       lws_get_vhost_listen_port(vhost));
		break;
	case THREADPOOL_EXAMPLE_CLIENT:
		printf("connecting to %s:%d", address, port);
		break;
	case THREADPOOL_EXAMPLE_LOCAL:
		printf("started");
		break;
	}
	printf(" with %s threads\n", pvos[PVO_THREADS].value);
	fflush(stdout);
}

int
threadpool_example_main(const struct threadpool_example *example, int argc,
			char **argv)
{
	struct lws_vhost *vhost;
	int n;

	ex = example;
	set_defaults();
	parse_options(argc, argv);
	if (check_page())
		return 1;

	lws_set_log_level(logs, NULL);
	if (make_context())
		return 1;
	catch_signals();

	vhost = lws_get_vhost_by_name(context, "localhost");
	say_hello(vhost);

	n = serve(vhost);
	lws_context_destroy(context);
	printf("ended\n");

	return n < 0;
}
