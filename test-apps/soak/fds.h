/*
 * lws-threadpool tests - open fds, and which of them lws itself leaves open
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_FDS_H
#define LWSTP_FDS_H

/* How many fds the process has open */
int
fds_open(void);
/*
 * What lws itself leaves open of each context: 4.3.5 an eventfd, others
 * nothing.  The first call finds it out by a context that no pool ever sees,
 * and says so if there is something.
 */
int
fds_lost_by_lws(void);

#endif
