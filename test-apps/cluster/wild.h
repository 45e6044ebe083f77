/*
 * lws-threadpool cluster tests - somebody else who uses the same engine
 *
 * SPDX-License-Identifier: MIT
 *
 * It speaks NATS by itself, not by the library.
 */

#ifndef LWSTP_CLUSTER_WILD_H
#define LWSTP_CLUSTER_WILD_H

#include "field.h"

struct wild;

/* Connected to the field's engine; the test closes it. */
struct wild *
wild_open(struct field *f);
void
wild_close(struct wild *w);

/* A message, to a subject below the field's prefix, with a reply below it or
 * NULL; the engine has it when this returns. */
void
wild_send(struct wild *w, const char *subject, const char *reply,
	  const void *data, size_t len);

/* The same, of the engine: nothing but a status, 404 say */
void
wild_status(struct wild *w, const char *subject, const char *status);

/* Listen to subjects below the prefix from now on; wild_next() takes a message,
 * which the next call overwrites, or returns -1: there is none yet. */
void
wild_listen(struct wild *w, const char *subject);

/* Empty messages to a subject below the prefix, as many as can be sent, until
 * it ends. */
void
wild_flood(struct wild *w, const char *subject);
void
wild_flood_end(struct wild *w);

struct wild_msg {
	char subject[160];
	char reply[160];
	char data[4096];
	int len;
};
int
wild_next(struct wild *w, struct wild_msg *msg);

/* How many jobs the engine keeps for the field's prefix; -1: it has no queue */
int
wild_jobs(struct wild *w);

/* ... and has been given so far */
int
wild_published(struct wild *w);

/* As if the engine had given up that job, after many deliveries */
void
wild_spent(struct wild *w, int number);

/* From now on the engine keeps n jobs at most for the field's prefix. */
void
wild_limit_jobs(struct wild *w, int n);

/* Service until the engine keeps n of them; none. */
#define until_jobs(f, n) until_jobs_((f), (n), __FILE__, __LINE__)
#define until_no_jobs(f) until_jobs(f, 0)
void
until_jobs_(struct field *f, int n, const char *file, int line);

#endif
