/*
 * ws-client: one stream of progress messages, and whether it came as it should
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef WS_CLIENT_STREAM_H
#define WS_CLIENT_STREAM_H

#include <stddef.h>

/* a stream reports each tenth of its work, after a message that it began */
#define STREAM_PARTS	   10
#define STREAM_MAX_MESSAGE 512

enum stream_state {
	STREAM_CONNECTING, /* nothing came yet */
	STREAM_GOING,	   /* it was accepted, and may have progressed */
	STREAM_ENDED,	   /* the last message came, the close did not */
	STREAM_COMPLETE,   /* all came, once, in order, then closed */
	STREAM_FAILED	   /* why says what was wrong */
};

struct stream {
	unsigned int number; /* 1.. , ours */
	enum stream_state state;
	char task[32]; /* the server's name for it */
	int done;
	int of;
	int parts; /* progress messages, 0..10 */
	char why[160];

	unsigned char rx[STREAM_MAX_MESSAGE];
	size_t rx_len;
};

/* what the last message of any stream said about the server's pool */
struct pool_state {
	int threads; /* 0: nothing said so far */
	int running;
	int queued;
};

/* complete or failed: nothing more is expected of it */
int
stream_is_over(const struct stream *s);

/* marks the stream as failed, unless it is over; returns -1 */
int
stream_fail(struct stream *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * A piece of a message; is_final says that the message is whole now.  Returns
 * 1 if the stream changed, 0 if not, -1 if it failed.
 */
int
stream_receive(struct stream *s, struct pool_state *pool, const void *in,
	       size_t len, int is_final);

/* the connection was closed: now it is complete, or it failed */
void
stream_closed(struct stream *s);

#endif
