/*
 * lws-threadpool-worker: its options
 *
 * SPDX-License-Identifier: MIT
 *
 * Each one is a row of a table, by which it is known on the command line as
 * --lease, and in the environment as LWSTP_WORKER_LEASE.
 */

#include "worker.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum type { NAME, NUMBER, FLAG, FILES, READABLE, URL, ADDRESS };

struct row {
	const char *name;
	enum type type;
	size_t at;	   /* in struct worker_options */
	int min, max;	   /* of a NUMBER */
	const char *value; /* as --help calls it */
	const char *help;
};

#define AT(member) offsetof(struct worker_options, member)

static const struct row rows[] = {
	{ "kinds", FILES, AT(files), 0, 0, "FILE.so",
	  "a shared object of kinds; again for another one" },
	{ "url", URL, AT(cluster.url), 0, 0, "URL",
	  "of NATS (nats://127.0.0.1:4222), or several with commas" },
	{ "creds", READABLE, AT(cluster.creds_file), 0, 0, "FILE",
	  "credentials for NATS" },
	{ "ca", READABLE, AT(cluster.ca_file), 0, 0, "FILE",
	  "PEM of the CA of the servers: TLS is required" },
	{ "cert", READABLE, AT(cluster.cert_file), 0, 0, "FILE",
	  "PEM of our certificate, and our key if no --key" },
	{ "key", READABLE, AT(cluster.key_file), 0, 0, "FILE",
	  "PEM of our key" },
	{ "prefix", NAME, AT(cluster.prefix), 0, 0, "NAME",
	  "of the stream and the subjects (lwstp)" },
	{ "threads", NUMBER, AT(threads), 1, 1024, "N",
	  "that run tasks (the number of processors)" },
	{ "max-jobs", NUMBER, AT(max_jobs), 1, 1000000, "N",
	  "of each kind at a time, parked ones too (1000)" },
	{ "lease", NUMBER, AT(cluster.lease_secs), 1, 3600, "SECS",
	  "of silence after which a worker is lost (10)" },
	{ "drain-secs", NUMBER, AT(drain_secs), 0, 1000000, "SECS",
	  "to finish in after SIGTERM, 0: as long as it takes (0)" },
	{ "low-latency", FLAG, AT(cluster.low_latency), 0, 0, NULL,
	  "a system call for each message" },
	{ "metrics-port", NUMBER, AT(metrics_port), 0, 65535, "PORT",
	  "for http://127.0.0.1:PORT/metrics, 0: a free one (none)" },
	{ "metrics-address", ADDRESS, AT(metrics_address), 0, 0, "ADDR",
	  "IPv4 address for that (127.0.0.1), 0.0.0.0: all" },
	{ "verbose", FLAG, AT(verbose), 0, 0, NULL,
	  "log what the library does" },
	{ "list", FLAG, AT(list), 0, 0, NULL,
	  "name the kinds of the files, and end" },
};

#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static void
bad(const char *what, const char *must, const char *value)
{
	fprintf(stderr, WORKER_NAME ": %s must be %s, not '%s'\n", what, must,
		value);
	exit(2);
}

static void
usage(void)
{
	char option[40];
	int n;

	printf("Usage: " WORKER_NAME " --kinds FILE.so [OPTION]...\n"
	       "Runs tasks of the kinds in FILE.so for lws-threadpool-cluster."
	       "\n\n");
	for (n = 0; n < ROWS; n++) {
		snprintf(option, sizeof(option), "--%s%s%s", rows[n].name,
			 rows[n].value ? "=" : "",
			 rows[n].value ? rows[n].value : "");
		printf("  %-22s %s\n", option, rows[n].help);
	}
	printf("  --help, --version\n\n"
	       "Each also by the environment: LWSTP_WORKER_MAX_JOBS=N (1 for "
	       "one without a\nvalue), LWSTP_WORKER_KINDS with ':' between "
	       "several files.\n"
	       "SIGTERM: takes no more jobs, gives back what it has not "
	       "started, finishes the\nrest and ends.  A second one, or the "
	       "end of --drain-secs: gives back those, too,\nand ends at "
	       "once.\n");
}

/* as the library has them */
static void
check_name(const char *what, const char *value)
{
	size_t len = strlen(value);

	if (!len || len > 32 ||
	    strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-") != len)
		bad(what, "1 to 32 of a-z 0-9 _ -", value);
}

/* What is before the last @ may be a password, but for a scheme. */
static void
bad_url(const char *what, const char *value)
{
	const char *must = "nats://HOST[:PORT] or tls://HOST[:PORT], with "
			   "commas between several";
	const char *scheme = strstr(value, "://"), *at = strrchr(value, '@');
	int len = scheme ? (int)(scheme + 3 - value) : 0;

	if (!at)
		bad(what, must, value);
	if (len > 8)
		len = 0;
	fprintf(stderr, WORKER_NAME ": %s must be %s, not '%.*s...%s'\n", what,
		must, len, value, at);
	exit(2);
}

/* a scheme that NATS has, or none; and something behind it */
static void
check_url(const char *what, const char *value)
{
	const char *p = value, *host;
	size_t len;

	do {
		p += *p == ',';
		len = strcspn(p, ",");
		host = strstr(p, "://");
		if (host && host < p + len) {
			if (strncmp(p, "nats://", 7) && strncmp(p, "tls://", 6))
				bad_url(what, value);
			len -= (size_t)(host + 3 - p);
			p = host + 3;
		}
		if (!len || *p == ':' || strcspn(p, " \t\r\n") < len)
			bad_url(what, value);
		p += len;
	} while (*p);
}

static int
number(const char *what, const char *value, int min, int max)
{
	char must[64], *end;
	long n;

	errno = 0;
	n = strtol(value, &end, 10);
	if (errno || end == value || *end || n < min || n > max) {
		snprintf(must, sizeof(must), "a number from %d to %d", min,
			 max);
		bad(what, must, value);
	}

	return (int)n;
}

static void
take(struct worker_options *o, const struct row *row, const char *what,
     const char *value)
{
	void *to = (char *)o + row->at;
	struct in_addr in;

	switch (row->type) {
	case FLAG:
		*(int *)to = number(what, value, 0, 1);
		return;
	case NUMBER:
		*(int *)to = number(what, value, row->min, row->max);
		return;
	case FILES:
		if (o->n_files == WORKER_FILES)
			bad(what, "given 16 times at most", value);
		o->files[o->n_files++] = value;
		return;
	case READABLE:
		if (access(value, R_OK)) {
			fprintf(stderr, WORKER_NAME ": %s '%s': %s\n", what,
				value, strerror(errno));
			exit(2);
		}
		break;
	case URL:
		check_url(what, value);
		break;
	case ADDRESS:
		if (inet_pton(AF_INET, value, &in) != 1)
			bad(what, "an IPv4 address", value);
		break;
	case NAME:
		check_name(what, value);
		break;
	}
	*(const char **)to = value;
}

/* several, as a variable has them; the copy is kept */
static void
take_files(struct worker_options *o, const struct row *row, const char *what,
	   const char *value)
{
	char *copy = strdup(value), *save = NULL, *one;

	if (!copy) {
		fprintf(stderr, WORKER_NAME ": no memory\n");
		exit(1);
	}
	for (one = strtok_r(copy, ":", &save); one;
	     one = strtok_r(NULL, ":", &save))
		take(o, row, what, one);
}

static void
take_environment(struct worker_options *o)
{
	char name[64];
	const char *value;
	size_t k;
	int n;

	for (n = 0; n < ROWS; n++) {
		snprintf(name, sizeof(name), "LWSTP_WORKER_%s", rows[n].name);
		for (k = 0; name[k]; k++)
			name[k] = name[k] == '-' ?
					  '_' :
					  (char)toupper((unsigned char)name[k]);
		value = getenv(name);
		if (!value || !*value)
			continue;
		if (rows[n].type == FILES)
			take_files(o, &rows[n], name, value);
		else
			take(o, &rows[n], name, value);
	}
}

static void
take_command_line(struct worker_options *o, int argc, char **argv)
{
	struct option known[ROWS + 3];
	char what[64];
	int n, c, files = 0;

	memset(known, 0, sizeof(known));
	for (n = 0; n < ROWS; n++) {
		known[n].name = rows[n].name;
		known[n].has_arg = rows[n].value ? required_argument :
						   no_argument;
		known[n].val = 1000 + n;
	}
	known[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	known[n] = (struct option){ "version", no_argument, NULL, 'v' };

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'h') {
			usage();
			exit(0);
		}
		if (c == 'v') {
			printf(WORKER_NAME " " LWSTP_VERSION "\n");
			exit(0);
		}
		if (c < 1000) {
			fprintf(stderr, "Try '" WORKER_NAME " --help'.\n");
			exit(2);
		}
		n = c - 1000;
		/* the command line's files, in place of the environment's */
		if (rows[n].type == FILES && !files++)
			o->n_files = 0;
		snprintf(what, sizeof(what), "--%s", rows[n].name);
		take(o, &rows[n], what, optarg ? optarg : "1");
	}
	if (optind < argc) {
		fprintf(stderr,
			WORKER_NAME
			": unexpected '%s'\nTry '" WORKER_NAME " --help'.\n",
			argv[optind]);
		exit(2);
	}
}

/* what one option alone does not tell */
static void
check_together(const struct worker_options *o)
{
	const char *why = NULL;

	if (!o->n_files)
		why = "which kinds?  --kinds FILE.so is needed";
	else if (o->cluster.key_file && !o->cluster.cert_file)
		why = "--key needs --cert";
	if (!why)
		return;

	fprintf(stderr, WORKER_NAME ": %s\nTry '" WORKER_NAME " --help'.\n",
		why);
	exit(2);
}

void
worker_options(struct worker_options *o, int argc, char **argv)
{
	memset(o, 0, sizeof(*o));
	o->cluster.size = sizeof(o->cluster);
	o->metrics_port = -1;
	o->metrics_address = "127.0.0.1";
	o->max_jobs = 1000;

	take_environment(o);
	take_command_line(o, argc, argv);
	check_together(o);
	if (!o->threads)
		o->threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (o->threads < 1)
		o->threads = 1;
	if (o->threads > 1024)
		o->threads = 1024;
}
