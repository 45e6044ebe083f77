/*
 * lws-threadpool - http/1 peers that hang up, or go on, while a task is pending
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of context.h: what is noted for hangup.c.
 */

#ifndef LWSTP_HANGUP_H
#define LWSTP_HANGUP_H

/* lws does not hear an http/1 peer while a response is pending: see hangup.c */
#if defined(__linux__) && LWS_LIBRARY_VERSION_NUMBER < 4003001 && \
	defined(LWS_ROLE_H1)
#define LWSTP_HANGUPS 1

struct lwstp_hangup_wsi {
	struct lwstp_wsi *prev, *next; /* on context->hangup.listed */
	lws_usec_t since;	       /* pending for long, or stuck */
	int fd;			       /* its socket, -1: unknown */
	bool never;		       /* it is not of http/1 */
	bool hung_up;
	bool whole; /* lws reads no more of it */
	bool listed;
	bool input;    /* epoll tells of input */
	bool quiet;    /* the socket does not */
	bool asked;    /* ... whether it is: */
	bool restless; /* lws has input that waits */
	bool stuck;    /* nothing quiets it */
	bool doomed;   /* to be closed */
};

struct lwstp_hangup {		  /* of a context */
	struct lwstp_wsi *listed; /* to be looked at, by... */
	lws_sorted_usec_list_t look;
	int fd;	     /* epoll, ours; -1: none */
	bool failed; /* there will be none */
};
#endif

#endif /* LWSTP_HANGUP_H */
