/*
 * minimal-ws-server-threadpool-chat: a room, to which any thread may speak
 *
 * SPDX-License-Identifier: MIT
 *
 * The last lines are kept once, for all members: each of them has a place in
 * them, and its WRITEABLE sends what is next.  One that reads slowly misses
 * lines in the end, and costs no memory.
 */

#ifndef ROOM_H
#define ROOM_H

#include <pthread.h>
#include <stdint.h>

#include <lws-threadpool.h>

#define ROOM_LINES    256  /* that are kept */
#define ROOM_HISTORY  20   /* of which a new member gets so many */
#define ROOM_MAX_LINE 4000 /* bytes, with the NUL */

/* all of it by the lock */
struct room {
	pthread_mutex_t lock;
	lws_dll2_owner_t members;
	unsigned int changes; /* of the members */
	uint64_t said;	      /* lines, since ever */
	char *lines[ROOM_LINES];
};

/* in the pss of a member, by the lock of the room */
struct room_member {
	lws_dll2_t list;
	struct lws_threadpool_wsi *handle;
	uint64_t next;	   /* line to be sent */
	unsigned int seen; /* of room->changes */
};

void
room_init(struct room *room);
void
room_destroy(struct room *room);

/* The service thread's. */
void
room_join(struct room *room, struct room_member *member,
	  struct lws_threadpool_wsi *handle);
void
room_leave(struct room *room, struct room_member *member);

/*
 * Any thread's.  line is JSON without its opening bracket, shorter than
 * ROOM_MAX_LINE - 32: it is copied, and gets its number.  -1: no memory.
 */
int
room_say(struct room *room, const char *line);

/*
 * What this member is to be sent next, as JSON.  Returns 1, or 0 if it has all.
 * line has ROOM_MAX_LINE bytes.
 */
int
room_next(struct room *room, struct room_member *member, char *line);

#endif
