/*
 * lws-threadpool - what lws tells, and is told, beside its WRITEABLEs
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_LWS_H
#define LWSTP_LWS_H

/*
 * hangup.c: http/1 peers that hang up, or go on, while a task is pending
 */

#if defined(LWSTP_HANGUPS)
/* http-request.c */
enum lwstp_request {
	LWSTP_NO_REQUEST, /* or it is not of http/1 */
	LWSTP_REQUEST_WHOLE,
	LWSTP_REQUEST_HEADERS, /* lws reads on, for a body */
};

enum lwstp_request
lwstp_request_of(struct lws *wsi);
/* its response is pending, as far as lws tells */
LWSTP_ON_SERVICE bool
lwstp_hangup_concerns(struct lwstp_wsi *on);
/* and so a task was attached to it */
LWSTP_ON_SERVICE void
lwstp_hangup_pending(struct lwstp_wsi *on);
/* it closes */
LWSTP_ON_SERVICE void
lwstp_hangup_forget(struct lwstp_wsi *on);
/* the epoll fd can be read */
LWSTP_ON_SERVICE void
lwstp_hangup_heard(struct lwstp_context *context);
/* the context goes, and its wsi are gone */
LWSTP_ON_SERVICE void
lwstp_hangup_close(struct lwstp_context *context);
#endif

/*
 * fds.c: the fds of ours, and how lws comes to poll them
 */

/* for a log line: "%s%s%s", with errno of just before where that tells more */
#define LWSTP_WHY(why) \
	(why)->text, (why)->code == LWSTP_REFUSED_ERRNO ? ": " : "", \
		(why)->code == LWSTP_REFUSED_ERRNO ? lwstp_error(errno) : ""

/* noted, unless something failed before */
void
lwstp_failed(struct lwstp_failure *failure, const char *call, int error);
/* that a write makes readable; -1: none */
int
lwstp_fd_signal(struct lwstp_failure *failure);
/* that is never readable; -1: none */
int
lwstp_fd_idle(struct lwstp_failure *failure);
/* in WSI_CREATE of the hidden vhost */
void
lwstp_adopt_made(struct lws *wsi);
/* Gives lws a duplicate of fd as a raw file, and returns its wsi: NULL if that
 * was not possible, for *why, and then the duplicate is closed.  One with a
 * parent that fails late (a wsi, and *why is not NULL) leaves the wsi behind,
 * which owns the fd: as a watch it works all the same. */
LWSTP_ON_SERVICE struct lws *
lwstp_adopt(struct lwstp_context *context, int fd, const char *protocol,
	    struct lws *parent, void *opaque, const struct lwstp_refusal **why);

/*
 * watch.c and lws-inside.c: lws
 */

/* makes what a wsi's first task needs of lws, if it is not there yet; false: it
 * could not be made */
LWSTP_ON_SERVICE bool
lwstp_watch_open(struct lwstp_context *context);
/* the same by a timer, where that is possible */
void
lwstp_watch_open_later(struct lwstp_context *context);
/* W1: sees to it that the close of on->wsi reaches lwstp_wsi_close(); false: it
 * will not, for *why */
LWSTP_ON_SERVICE bool
lwstp_watch(struct lwstp_wsi *on, const struct lwstp_refusal **why);
/* a task was attached to it: a peer that hangs up will be noticed */
LWSTP_ON_SERVICE void
lwstp_watch_pending(struct lwstp_wsi *on);


#if defined(LWSTP_AMALGAMATION)
/* W4: lws has begun to close it, whoever was told of that */
bool
lwstp_hook_closing(struct lws *wsi);
/* without a role it is no connection (Q6) */
bool
lwstp_hook_has_role(const struct lws *wsi);
#else
static inline bool
lwstp_hook_closing(struct lws *wsi)
{
	(void)wsi;

	return false;
}
#endif
#if defined(LWSTP_LWS_CLOSE_HOOK)
/* lws calls lws_threadpool_wsi_closing() for it */
bool
lwstp_hook_has(struct lws *wsi);
#endif
#if defined(LWSTP_LWS_SS_HOOK)
/* what lws has noted of a secure stream */
bool
lwstp_hook_ss_destroying(const struct lws_ss_handle *ss);
bool
lwstp_hook_ss_given_up(const struct lws_ss_handle *ss);
int
lwstp_hook_ss_tsi(const struct lws_ss_handle *ss);
#endif

/*
 * secure-stream.c
 */

#if defined(LWS_WITH_SECURE_STREAMS)

static inline struct lws_ss_handle *
lwstp_args_ss(const struct lws_threadpool_task_args *args)
{
	return args->ss;
}

/* what a task with args.ss hangs on; NULL: *why */
LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_ss_make(struct lwstp_context *context, struct lws_ss_handle *ss,
	      const struct lwstp_refusal **why);

#else

static inline struct lws_ss_handle *
lwstp_args_ss(const struct lws_threadpool_task_args *args)
{
	(void)args;

	return NULL;
}

#endif

/*
 * admit.c
 */

extern const struct lwstp_refusal lwstp_no_memory;
/* NULL: the task is accepted, and will end whatever happens; or, with `ask`, it
 * would be. */
const struct lwstp_refusal *
lwstp_accept(struct lwstp_pool *pool, uint32_t generation, bool ask);
/* What is known of a wsi, made if it is not there yet; NULL: *why.  With a
 * generation only if the pool would accept a task. */
LWSTP_ON_SERVICE struct lwstp_wsi *
lwstp_hang_on(struct lwstp_pool *pool, uint32_t generation, struct lws *wsi,
	      const struct lwstp_refusal **why);

#endif /* LWSTP_LWS_H */
