/*
 * ws-client: the streams on the screen
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef WS_CLIENT_DISPLAY_H
#define WS_CLIENT_DISPLAY_H

#include "stream.h"

struct display {
	const struct stream *streams;
	const struct pool_state *pool;
	unsigned int count;
	int redraws;	    /* it is a terminal */
	int changed;	    /* since it was drawn */
	unsigned int drawn; /* lines above the cursor */
};

/* looks at what stdout is */
void
display_init(struct display *d, const struct stream *streams,
	     unsigned int count, const struct pool_state *pool);

/* the stream has changed: a plain line now, or marks it for display_draw() */
void
display_stream(struct display *d, const struct stream *s);

/* on a terminal, draws what has changed since the last time */
void
display_draw(struct display *d);

/* the closing line, and on a terminal why streams failed; secs is the time */
void
display_end(struct display *d, double secs);

#endif
