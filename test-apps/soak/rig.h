/*
 * lws-threadpool tests - a context with some raw connections, for faults and
 * fuzz
 *
 * SPDX-License-Identifier: MIT
 *
 * The calling thread is the service thread.  It is in lws only while it is in
 * rig_turn().
 */

#ifndef LWSTP_RIG_H
#define LWSTP_RIG_H

#include "ledger.h"

#define RIG_CONNS 4

struct conn {
	struct lws *wsi; /* NULL: closed */
	int peer;	 /* -1: closed */
	bool die;	 /* its next WRITEABLE returns -1 */
	bool deaf;	 /* WRITEABLE does not serve */
	unsigned int writeables;
};

extern struct lws_context *rig_context;
extern struct conn rig_conns[RIG_CONNS];

/* fd_limit 0: lws's default.  opt_in: events are passed on.  False: lws did
 * not make one. */
bool
rig_begin(unsigned int fd_limit, bool opt_in);
/* ends the context, once */
void
rig_end(void);
/* false: lws would not adopt it, or there are no fds */
bool
rig_open(struct conn *c);
/* how: 0 its peer goes, 1 its callback returns -1, 2 lws kills it; later */
void
rig_close(struct conn *c, unsigned int how);
/* one turn of the service loop: a millisecond or less, if nothing happens */
void
rig_turn(void);
/* for ledger_hooks */
bool
rig_alive(struct lws *wsi);
/* what WRITEABLE does: looks at the task, answers, reaps */
void
rig_serve(struct lws_threadpool_task *task);
/* closes what is left of the peers' ends */
void
rig_peers_end(void);

#endif
