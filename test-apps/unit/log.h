/*
 * lws-threadpool unit tests - what is logged, kept to be looked for
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of harness.h, which explains it all.
 */

#ifndef LWSTP_UNIT_LOG_H
#define LWSTP_UNIT_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

/* How many lines of that level contain text, since the rig was created or
 * log_forget().  log_claim() also says that they were wanted. */
int
log_count(int level, const char *text);
int
log_claim(int level, const char *text);

/* Waits for n of them or more, without servicing.  A libwebsockets with
 * LWS_MAX_SMP 1 puts the lines of all threads together in one buffer, and from
 * 4.3 on it tells of each wsi that comes and goes: so let a thread of a pool
 * finish its line before you service again, or the line may be spoilt. */
#define log_wait(level, text, n) \
	log_wait_((level), (text), (n), __FILE__, __LINE__)
void
log_wait_(int level, const char *text, int n, const char *file, int line);

/* Called with each line by the thread that writes it, unless NULL; until the
 * next rig */
extern void (*_Atomic log_told)(const char *line);

/* Lines of NOTICE, WARN and ERR that nobody claimed */
int
log_unclaimed(void);

void
log_print_unclaimed(void);

void
log_forget(void);

/* LLL_INFO lines too, for the rest of this rig.  Off at first: a libwebsockets
 * with LWS_MAX_SMP 1 writes every line into one static buffer, so lines of two
 * threads can spoil each other, and lws itself says much at LLL_INFO. */
void
log_info(void);

/* The context that is made with that has a log of its own, the thread's, whose
 * lines come here, too: lws, from 4.3 on, counts the uses of the one that all
 * others share, without a lock. */
void
log_own(struct lws_context_creation_info *info);
/* how many there are of that log; -1: there is none */
int
log_own_uses(void);

/* For the rig: lws's lines come here, or go nowhere; this thread is in
 * lws_create_context(); and the end */
void
log_on(void);
void
log_off(void);
void
log_making(bool begins);
void
log_free(void);

#endif
