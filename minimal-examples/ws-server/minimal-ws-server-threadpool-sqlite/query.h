/*
 * minimal-ws-server-threadpool-sqlite: queries, on the threads of a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * Each thread of the pool has one connection to the database, from its start to
 * its end.  A task steps through the rows of one query; what it has made of
 * them is sent between two of its calls, when it holds no thread.
 */

#ifndef QUERY_H
#define QUERY_H

#include <sqlite3.h>

#include <lws-threadpool.h>

#define QUERY_MAX_SQL	  2000 /* bytes, with the NUL */
#define QUERY_MAX_COLUMNS 24
#define QUERY_MAX_VALUE	  100	/* bytes: more is cut */
#define QUERY_OUT	  32768 /* bytes of a message */

/* what the connections have in common */
struct query_database {
	const char *file;    /* or ":memory:" */
	lws_usec_t patience; /* from one row to the next */
};

/* A task's, and while it is SYNCING the service thread's. */
struct query {
	const struct query_database *database; /* is there for longer */
	int at;
	sqlite3_stmt *stmt;	 /* its thread's, and only its */
	int over;		 /* no row is left, or it failed */
	unsigned long long rows; /* that were made so far */
	size_t len;		 /* bytes of out to be sent */
	char error[256];	 /* or "" */
	char sql[QUERY_MAX_SQL];
	char out[LWS_PRE + QUERY_OUT];
};

/* thread_start and thread_end of the pool; opaque is a struct query_database */
int
query_thread_start(void *opaque, int index, void **state);
void
query_thread_end(void *opaque, int index, void *state);

/* The task function and the cleanup, for a struct query.  The pool has to keep
 * its tasks on their threads (pin_tasks). */
enum lws_threadpool_task_return
query_task(void *user, enum lws_threadpool_task_status status);
void
query_cleanup(struct lws *wsi, void *user);

#endif
