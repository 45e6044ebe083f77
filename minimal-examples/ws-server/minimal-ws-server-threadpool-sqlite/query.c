/*
 * minimal-ws-server-threadpool-sqlite: queries, on the threads of a pool
 *
 * SPDX-License-Identifier: MIT
 *
 * The SQL comes from anybody: so it may only read, computes no longer than it
 * may, and all of SQLite has a limit of memory.
 */

#include "query.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json-text.h"

#define MAX_MEMORY  (64 << 20)		 /* bytes, of all of SQLite */
#define MAX_LENGTH  1000000		 /* bytes of a value or a row, inside */
#define LOOK_AROUND 10000		 /* SQLite's steps: well below 1 ms */
#define BATCH_US    (50 * LWS_US_PER_MS) /* rows are not held for longer */

/* of one row in JSON, at most */
#define MAX_ROW (QUERY_MAX_COLUMNS * JSON_TEXT_SIZE(QUERY_MAX_VALUE))

/* one thread's */
struct connection {
	sqlite3 *db;
	lws_usec_t deadline; /* of the row that is being made */
};

/*
 * Called now and then by a query that computes; other than 0 interrupts it.
 * The task is asked to stop when its client leaves, for instance, but it hears
 * of that only when its function returns.
 */
static int
is_in_vain(void *arg)
{
	struct connection *c = arg;
	struct lws_threadpool_task *task = lws_threadpool_this_task();

	return lws_now_usecs() > c->deadline ||
	       lws_threadpool_task_status_noreap(task) ==
		       LWS_TP_STATUS_STOPPING;
}

/* what a statement may do */
static int
authorize(void *arg, int action, const char *a, const char *b, const char *c,
	  const char *d)
{
	(void)arg;
	(void)a;
	(void)b;
	(void)c;
	(void)d;

	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_FUNCTION:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

/* -1: this thread does not start, and the pool goes on with the others */
int
query_thread_start(void *opaque, int index, void **state)
{
	const struct query_database *database = opaque;
	struct connection *c = calloc(1, sizeof(*c));

	(void)index;
	if (!c)
		return -1;
	sqlite3_hard_heap_limit64(MAX_MEMORY);
	if (sqlite3_open_v2(database->file, &c->db,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ||
	    sqlite3_exec(c->db,
			 "PRAGMA temp_store = MEMORY; "
			 "SELECT count(*) FROM sqlite_schema",
			 NULL, NULL, NULL)) {
		fprintf(stderr, "%s: %s\n", database->file,
			sqlite3_errmsg(c->db));
		sqlite3_close(c->db);
		free(c);
		return -1;
	}
	sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, MAX_LENGTH);
	sqlite3_limit(c->db, SQLITE_LIMIT_COLUMN, QUERY_MAX_COLUMNS);
	/* a long pattern takes long, and does not look around */
	sqlite3_limit(c->db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100);
	sqlite3_set_authorizer(c->db, authorize, NULL);
	sqlite3_progress_handler(c->db, LOOK_AROUND, is_in_vain, c);
	*state = c;

	return 0;
}

void
query_thread_end(void *opaque, int index, void *state)
{
	struct connection *c = state;

	(void)opaque;
	(void)index;
	sqlite3_close(c->db);
	free(c);
}

/* The rest up to the cleanup is on the task's thread. */

static void
add(struct query *q, const char *text)
{
	size_t len = strlen(text);

	memcpy(q->out + LWS_PRE + q->len, text, len);
	q->len += len;
}

/* text is NULL for SQL's NULL; whoever calls has seen to it that it fits */
static void
add_value(struct query *q, const char *text, int len)
{
	if (!text) {
		add(q, "null");
		return;
	}
	if (len > QUERY_MAX_VALUE)
		len = QUERY_MAX_VALUE;
	q->len += json_text(q->out + LWS_PRE + q->len, QUERY_OUT - q->len, text,
			    (size_t)len);
}

static void
fail(struct query *q, const char *why)
{
	lws_strncpy(q->error, why, sizeof(q->error));
	q->over = 1;
}

static void
begin(struct query *q, struct connection *c)
{
	const char *rest, *name;
	int n;

	c->deadline = lws_now_usecs() + q->database->patience;
	if (sqlite3_prepare_v2(c->db, q->sql, -1, &q->stmt, &rest)) {
		fail(q, sqlite3_errmsg(c->db));
		return;
	}
	if (!q->stmt || rest[strspn(rest, " \t\r\n;")]) {
		fail(q, "one statement is needed");
		return;
	}
	add(q, "{\"columns\":[");
	for (n = 0; n < sqlite3_column_count(q->stmt); n++) {
		name = sqlite3_column_name(q->stmt, n);
		add(q, n ? "," : "");
		add_value(q, name, name ? (int)strlen(name) : 0);
	}
	add(q, "]}");
}

static void
add_row(struct query *q)
{
	int n, columns = sqlite3_column_count(q->stmt);
	const char *text;

	add(q, q->len ? ",[" : "{\"rows\":[[");
	for (n = 0; n < columns; n++) {
		text = (const char *)sqlite3_column_text(q->stmt, n);
		add(q, n ? "," : "");
		add_value(q, text, sqlite3_column_bytes(q->stmt, n));
	}
	add(q, "]");
	q->rows++;
}

/* as many rows as fit in a message, or as came by now */
static void
make_rows(struct query *q, struct connection *c)
{
	lws_usec_t now = lws_now_usecs(), end = now + BATCH_US;
	int rc;

	q->len = 0;
	do {
		c->deadline = now + q->database->patience;
		rc = sqlite3_step(q->stmt);
		if (rc == SQLITE_ROW)
			add_row(q);
		now = lws_now_usecs();
	} while (rc == SQLITE_ROW && q->len < QUERY_OUT - MAX_ROW - 16 &&
		 now < end);

	if (rc == SQLITE_DONE)
		q->over = 1;
	else if (rc == SQLITE_INTERRUPT && now > c->deadline)
		fail(q, "interrupted: no row for too long");
	else if (rc != SQLITE_INTERRUPT && rc != SQLITE_ROW)
		fail(q, sqlite3_errmsg(c->db));
	if (q->len)
		add(q, "]}");
}

/*
 * The statement belongs to this thread's connection, so it ends here, and not
 * in the cleanup, which may be on another one.  Told STOPPING it is never
 * called again: that goes before BEGIN, which returns then.
 */
enum lws_threadpool_task_return
query_task(void *user, enum lws_threadpool_task_status status)
{
	struct connection *c = lws_threadpool_thread_state();
	struct query *q = user;

	if (status == LWS_TP_STATUS_STOPPING)
		sqlite3_finalize(q->stmt);
	LWS_TP_TASK_BEGIN(&q->at, status);

	begin(q, c);
	if (q->len)
		LWS_TP_TASK_SYNC(&q->at);

	while (!q->over) {
		make_rows(q, c);
		if (q->len)
			LWS_TP_TASK_SYNC(&q->at);
		else
			LWS_TP_TASK_CHECK_IN(&q->at);
	}
	sqlite3_finalize(q->stmt);

	LWS_TP_TASK_END(&q->at);
}

/* on any thread */
void
query_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	free(user);
}
