/*
 * lws-threadpool tests - hostile use: a server, and peers that mean it no good
 *
 * SPDX-License-Identifier: MIT
 *
 * The calling thread is the service thread.  Peers are processes of their own,
 * so that what they cost is not the server's.
 */

#ifndef LWSTP_HOSTILE_H
#define LWSTP_HOSTILE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

/* prints it, ends the peers, and exits */
void
hostile_fail(const char *format, ...) LWS_FORMAT(1) __attribute__((noreturn));

#define hostile_check(cond) \
	((cond) ? (void)0 : \
		  hostile_fail("%s:%d: %s", __FILE__, __LINE__, #cond))

int64_t
hostile_now(void); /* us */

/* How many lines of WARN or ERR so far had the text in them.  The lines that no
 * scenario has asked for fail it when it ends. */
unsigned int
hostile_logged(const char *text);
/* from now on lines with it are wanted */
void
hostile_expect(const char *text);

/* a context that listens on a free port of 127.0.0.1, or the end of us */
struct lws_context *
hostile_context(const struct lws_protocols *protocols, int *port);

/* services it until cond() is true; for a minute at most */
#define hostile_until(context, cond) hostile_until_((context), (cond), #cond)
void
hostile_until_(struct lws_context *context, bool (*cond)(void),
	       const char *what);

/*
 * peers.c
 */

/* Starts a process that runs act(port, arg) as soon as it is told to go.  It
 * dies with us.  Returns what to tell it with. */
int
peer_start(void (*act)(int port, int arg), int port, int arg);
void
peer_go(int peer);
/* it is killed: its connections are closed by the kernel */
void
peer_kill(int peer);
void
peers_kill(void);
/* it has ended by itself */
bool
peer_ended(int peer);

/* For the acts: a connection, and a ws handshake sent on it that nobody has
 * waited for; exits if there is none. */
int
peer_connect(int port, int rcvbuf);
void
peer_handshake(int fd, const char *protocol);
/* reads for as long as the server sends */
void
peer_read_all(int fd);
/* a close of fd resets the connection */
void
peer_reset(int fd);

/*
 * the scenarios
 */

void
stalled(int clients);
void
flood(int clients);
void
stuck(int clients);

#endif
