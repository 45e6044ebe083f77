/*
 * lws-threadpool - a context, and what lws tells and is asked there
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of private.h, which explains the locks.
 */

#ifndef LWSTP_HOST_H
#define LWSTP_HOST_H

/*
 * host.c: a context
 */

struct lwstp_vhost {				/* passes its events to us */
	struct lws_vhost	*vhost;
	struct lwstp_vhost	*next;
};

struct lwstp_host {				/* one a context */
	LWSTP_BY_BINDINGS struct lwstp_host *next; /* all of them */
	struct lws_context	*context;	/* service thread; reset under
						 * bindings: NULL: destroyed */
	struct lws_vhost	*vhost;		/* service thread: hidden one */
	LWSTP_BY_BINDINGS struct lwstp_vhost *passing;
	lws_sorted_usec_list_t	open;		/* service thread */
	lws_state_notify_link_t	notify;		/* lws, while it lives */
	atomic_uint		refs;		/* pools, the context, and bells
						 * about to be signalled */
	atomic_bool		dying;		/* no more ringing: set under
						 * bindings */
	bool			forgotten;	/* set before the last reference
						 * goes: never freed */
	int			idle_fd;	/* constant: never readable */
	int			max_fd;		/* constant: limit when made */
	int			bells;		/* constant: service threads */
	struct lwstp_bell	bell[];
};

bool
lwstp_context_ending(struct lws_context *context);
LWSTP_BINDINGS_HELD bool
lwstp_host_deaf(const struct lwstp_host *host);
struct lwstp_host *
lwstp_host_get(struct lws_context *context);
void
lwstp_host_put(struct lwstp_host *host);
struct lwstp_host *
lwstp_host_find(const struct lws_context *context);
void
lwstp_host_gone(struct lwstp_host *host);
bool
lwstp_host_told(struct lwstp_host *host, struct lws *wsi);

/*
 * host-companion.c and host-builtin.c: lws
 */

/* from the service thread: what a binding needs of lws is there */
bool
lwstp_host_open(struct lwstp_host *host);
/* W4: lws has begun to close it, whoever was told of that: compiled in only.
 * Service thread of the wsi. */
#if defined(LWSTP_BUILTIN)
bool
lwstp_host_closing(struct lws *wsi);
#else
static inline bool
lwstp_host_closing(struct lws *wsi)
{
	(void)wsi;

	return false;
}
#endif
#if defined(LWSTP_LWS_CLOSE_HOOK)
/* lws calls lws_threadpool_wsi_closing() for it */
bool
lwstp_host_hooked(struct lws *wsi);
#endif
/* W1: sees to it that the close of b->wsi reaches lwstp_binding_close() */
bool
lwstp_host_watch(struct lwstp_host *host, struct lwstp_binding *b);
#if defined(LWSTP_LWS_SS_HOOK)
/* what lws has noted of a secure stream */
bool
lwstp_host_ss_destroying(const struct lws_ss_handle *ss);
bool
lwstp_host_ss_given_up(const struct lws_ss_handle *ss);
int
lwstp_host_ss_tsi(const struct lws_ss_handle *ss);
#endif

/*
 * secure-stream.c: tasks that hang on a secure stream.  In an lws without those
 * nothing has an ss, and the other two are never called.
 */

#if defined(LWS_WITH_SECURE_STREAMS)

static inline struct lws_ss_handle *
lwstp_args_ss(const struct lws_threadpool_task_args *args)
{
	return args->ss;
}

enum lwstp_refusal
lwstp_ss_make(struct lwstp_host *host, struct lws_ss_handle *ss);
/* from a timer on its service thread: it may be gone when this returns */
void
lwstp_ss_ask(struct lws_ss_handle *ss);

#else

static inline struct lws_ss_handle *
lwstp_args_ss(const struct lws_threadpool_task_args *args)
{
	(void)args;

	return NULL;
}

static inline enum lwstp_refusal
lwstp_ss_make(struct lwstp_host *host, struct lws_ss_handle *ss)
{
	(void)host;
	(void)ss;

	return LWSTP_SS_UNTOLD;
}

static inline void
lwstp_ss_ask(struct lws_ss_handle *ss)
{
	(void)ss;
}

#endif

#endif /* LWSTP_HOST_H */
