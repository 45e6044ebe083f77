/*
 * minimal-ws-server-threadpool-chat: a room, to which any thread may speak
 *
 * SPDX-License-Identifier: MIT
 */

#include "room.h"

#include <stdlib.h>
#include <string.h>

void
room_init(struct room *room)
{
	memset(room, 0, sizeof(*room));
	pthread_mutex_init(&room->lock, NULL);
}

void
room_destroy(struct room *room)
{
	int n;

	for (n = 0; n < ROOM_LINES; n++)
		free(room->lines[n]);
	pthread_mutex_destroy(&room->lock);
}

/* Any thread, with the lock.  The handle of a wsi that has closed is harmless,
 * and one WRITEABLE answers all that were asked for before it. */
static void
__wake_members(struct room *room)
{
	struct room_member *member;

	lws_start_foreach_dll(struct lws_dll2 *, d,
			      lws_dll2_get_head(&room->members)) {
		member = lws_container_of(d, struct room_member, list);
		lws_threadpool_wsi_writeable(member->handle);
	}
	lws_end_foreach_dll(d);
}

void
room_join(struct room *room, struct room_member *member,
	  struct lws_threadpool_wsi *handle)
{
	pthread_mutex_lock(&room->lock);
	member->handle = handle;
	member->next = room->said > ROOM_HISTORY ? room->said - ROOM_HISTORY :
						   0;
	lws_dll2_add_tail(&member->list, &room->members);
	room->changes++;
	member->seen = room->changes - 1;
	__wake_members(room);
	pthread_mutex_unlock(&room->lock);
}

void
room_leave(struct room *room, struct room_member *member)
{
	if (!member->handle)
		return;
	pthread_mutex_lock(&room->lock);
	lws_dll2_remove(&member->list);
	room->changes++;
	__wake_members(room);
	pthread_mutex_unlock(&room->lock);
}

int
room_say(struct room *room, const char *line)
{
	char *kept = malloc(strlen(line) + 32);
	char **place;

	if (!kept)
		return -1;

	pthread_mutex_lock(&room->lock);
	lws_snprintf(kept, strlen(line) + 32, "{\"line\":%llu,%s",
		     (unsigned long long)room->said + 1, line);
	place = &room->lines[room->said++ % ROOM_LINES];
	free(*place);
	*place = kept;
	__wake_members(room);
	pthread_mutex_unlock(&room->lock);

	return 0;
}

int
room_next(struct room *room, struct room_member *member, char *line)
{
	uint64_t oldest;
	int more = 1;

	pthread_mutex_lock(&room->lock);
	oldest = room->said > ROOM_LINES ? room->said - ROOM_LINES : 0;
	if (member->seen != room->changes) {
		member->seen = room->changes;
		lws_snprintf(line, ROOM_MAX_LINE,
			     "{\"members\":%u,\"said\":%llu}",
			     room->members.count,
			     (unsigned long long)room->said);
	} else if (member->next < oldest) {
		lws_snprintf(line, ROOM_MAX_LINE, "{\"missed\":%llu}",
			     (unsigned long long)(oldest - member->next));
		member->next = oldest;
	} else if (member->next < room->said) {
		lws_strncpy(line, room->lines[member->next++ % ROOM_LINES],
			    ROOM_MAX_LINE);
	} else {
		more = 0;
	}
	pthread_mutex_unlock(&room->lock);

	return more;
}
