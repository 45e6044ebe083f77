/*
 * minimal-examples/common: what the examples have in common
 *
 * SPDX-License-Identifier: MIT
 *
 * The program around a protocol, as any lws program has it: options, context,
 * service loop, and an orderly end by a signal.  The protocol, which uses the
 * threadpool, is in the example's own folder.
 */

#ifndef THREADPOOL_EXAMPLE_H
#define THREADPOOL_EXAMPLE_H

#include <limits.h>
#include <stdlib.h>

#include <libwebsockets.h>

/* a number that is #defined, as an option's text */
#define STRING(x)  STRING_(x)
#define STRING_(x) #x

/* An option of one example, beside those that all have.  The protocol finds its
 * value by lws_pvo_search() in PROTOCOL_INIT, also where it was not given. */
struct threadpool_example_option {
	char letter;	   /* 0 ends the list */
	const char *name;  /* the long option's, and the pvo's */
	const char *value; /* what it takes: "N", "MS", "FILE" */
	const char *help;
	const char *otherwise; /* its value where it is not given */
	int min, max;	       /* of a number; 0, 0: any text */
};

enum threadpool_example_kind {
	THREADPOOL_EXAMPLE_SERVER, /* listens by -p and -i */
	THREADPOOL_EXAMPLE_CLIENT, /* of a server by -p and -s */
	THREADPOOL_EXAMPLE_LOCAL   /* has neither: no network */
};

struct threadpool_example {
	const char *program; /* for messages: what it is called */
	const char *about;   /* for --help: lines of text */
	const char *threads; /* of the pool, unless -t says so */
	enum threadpool_example_kind kind;
	const char *origin; /* directory of the page, or NULL */
	const struct lws_protocols *protocols;
	const char *protocol; /* the one that gets the options:
			       * "port", "address", "threads", and
			       * those of the list */
	const struct threadpool_example_option *options; /* or NULL */
	const struct lws_http_mount *mounts; /* beside the page, or NULL */
	int (*finish)(struct lws_vhost *vhost);
	/* NULL, or called when we are to end: tell the tasks.  Called after
	 * each turn of the loop while it returns other than 0, for 2 s at most:
	 * somebody has still to hear of it */
	void (*prepare)(struct lws_context_creation_info *info);
	/* NULL, or changes what the context is made with */
};

/* for PROTOCOL_INIT: the number of an option */
static inline int
threadpool_example_number(const struct lws_protocol_vhost_options *pvo,
			  const char *name, int otherwise)
{
	const struct lws_protocol_vhost_options *o = lws_pvo_search(pvo, name);

	return o ? atoi(o->value) : otherwise;
}

/*
 * The whole program: returns the exit status of main().  Says
 *
 *	listening on http://127.0.0.1:7681 with 3 threads
 *
 * when it can be reached, or as a client "connecting to 127.0.0.1:7681 with 3
 * threads", or "started with 3 threads"; and "ended" as the last line.  Bad
 * options end the process with a message and exit status 2.
 */
int
threadpool_example_main(const struct threadpool_example *example, int argc,
			char **argv);

#endif
