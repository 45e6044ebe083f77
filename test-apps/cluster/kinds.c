/*
 * lws-threadpool cluster tests - the kinds that fronts and workers share
 *
 * SPDX-License-Identifier: MIT
 *
 * A chunk is the number of its job, its own, and bytes that follow from the
 * two, so that the front sees what was lost, doubled, mixed up or spoilt.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "board.h"
#include "kinds.h"

#define MAGIC 0x6b736131

unsigned int kind_version = 1;

static struct board_job *
board_of(const struct work *w)
{
	return &board->jobs[w->ask.job % BOARD_JOBS];
}

void
ask_fill(struct ask *ask, uint32_t job, uint32_t chunks)
{
	memset(ask, 0, sizeof(*ask));
	ask->magic = MAGIC;
	ask->job = job;
	ask->chunks = chunks;
	ask->bytes = 100;
}

static void
busy(uint32_t us)
{
	lws_usec_t end = lws_now_usecs() + us;

	while (us && lws_now_usecs() < end)
		;
}

static bool
may_go_on(const struct work *w)
{
	return (int)w->next < atomic_load(&board_of(w)->limit);
}

/* What the request has for this moment; 0: nothing that ends it */
static int
at_chunk(struct work *w)
{
	if (w->next != w->ask.at)
		return 0;
	switch ((enum ask_what)w->ask.what) {
	case ASK_CRASH:
		if (w->tries <= (int)w->ask.tries)
			kill(getpid(), SIGKILL);
		break;
	case ASK_HANG:
		while (!may_go_on(w))
			usleep(1000);
		break;
	case ASK_STOP:
		return LWS_TP_RETURN_STOPPED;
	default:
		break;
	}

	return -1;
}

static enum lws_threadpool_task_return
kind_wait(const struct work *w)
{
	if (w->ask.wait != ASK_CHECKS_IN)
		return lws_threadpool_park(2000);
	usleep(1000);

	return LWS_TP_RETURN_CHECKING_IN;
}

static enum lws_threadpool_task_return
kind_finished(struct work *w)
{
	atomic_fetch_add(&board_of(w)->finished, 1);

	return LWS_TP_RETURN_FINISHED;
}

static void
make(struct work *w)
{
	struct board_job *b = board_of(w);

	busy(w->ask.us);
	w->chunk = w->next++;
	w->fresh = true;
	w->parked = false;
	w->size = w->ask.bytes;
	atomic_fetch_add(&b->made, 1);
	if (atomic_load(&b->most) < (int)w->next)
		atomic_store(&b->most, (int)w->next);
}

enum lws_threadpool_task_return
kind_task(void *user, enum lws_threadpool_task_status s)
{
	struct work *w = user;
	struct board_job *b = board_of(w);

	if (s == LWS_TP_STATUS_STOPPING) {
		atomic_fetch_add(&b->stopping, 1);
		return LWS_TP_RETURN_STOPPED;
	}
	if (!w->begun) {
		w->begun = true;
		atomic_fetch_add(&b->begun, 1);
	}
	if (at_chunk(w) == LWS_TP_RETURN_STOPPED)
		return LWS_TP_RETURN_STOPPED;
	if (!may_go_on(w))
		return kind_wait(w);
	if (w->ask.park_us && !w->parked) {
		w->parked = true;
		return lws_threadpool_park(w->ask.park_us);
	}
	if (w->next >= w->ask.chunks)
		return kind_finished(w);
	make(w);
	if (w->ask.last && w->next == w->ask.chunks)
		return kind_finished(w);

	return LWS_TP_RETURN_SYNC;
}

static void
kind_cleanup(struct lws *wsi, void *user)
{
	struct work *w = user;

	(void)wsi;
	atomic_fetch_add(&board_of(w)->cleaned, 1);
	free(w);
}

static int
encode_job(void *user, void *buf, size_t *len)
{
	const struct work *w = user;

	/* what is too large for its kind's max_chunk says so, too */
	if (w->ask.refuse == 2 || *len < sizeof(w->ask))
		return 1;
	if (w->ask.refuse == 3) {
		memset(buf, 0, *len);
		return 0;
	}
	memcpy(buf, &w->ask, sizeof(w->ask));
	*len = sizeof(w->ask);

	return 0;
}

static void *
decode_job(const void *buf, size_t len,
	   const struct lws_threadpool_cluster_job_info *info)
{
	struct board_job *b;
	struct work *w;

	if (len != sizeof(w->ask) || info->version != kind_version)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	memcpy(&w->ask, buf, sizeof(w->ask));
	b = board_of(w);
	if (w->ask.magic != MAGIC || w->ask.job >= BOARD_JOBS ||
	    w->ask.bytes < 12) {
		free(w);
		return NULL;
	}
	w->next = info->resume;
	w->tries = (int)info->tries;
	atomic_store(&b->resume, (int)info->resume);
	atomic_store(&b->pid, (int)getpid());
	if (atomic_load(&b->tries) < w->tries)
		atomic_store(&b->tries, w->tries);
	atomic_fetch_add(&b->decoded, 1);
	if (w->ask.refuse) {
		free(w);
		return NULL;
	}

	return w;
}

static uint8_t
pattern(uint32_t job, uint32_t chunk, size_t n)
{
	return (uint8_t)(job * 31 + chunk * 7 + n);
}

static int
encode_chunk(void *user, void *buf, size_t *len)
{
	struct work *w = user;
	uint8_t *p = buf;

	if (!w->fresh) {
		*len = 0;
		return 0;
	}
	w->fresh = false;
	if (w->ask.what == ASK_RELIES) {
		*len = 65536;
		memset(buf, 0, *len);
		return 0;
	}
	if (*len < w->ask.bytes ||
	    (w->ask.what == ASK_TOO_LARGE && w->chunk == w->ask.at))
		return 1;
	if (w->ask.what == ASK_OVERRUN && w->chunk == w->ask.at) {
		++*len;
		return 0;
	}
	*len = w->ask.bytes;
	memcpy(p, &w->ask.job, 4);
	memcpy(p + 4, &w->chunk, 4);
	memcpy(p + 8, &w->ask.bytes, 4);
	for (size_t n = 12; n < *len; n++)
		p[n] = pattern(w->ask.job, w->chunk, n);

	return 0;
}

static int
fault(struct work *w, const char *what, uint32_t got, uint32_t wanted)
{
	if (!w->attacked && !atomic_fetch_add(&w->faults, 1))
		snprintf(w->fault, sizeof(w->fault), "job %u: %s %u, not %u",
			 w->ask.job, what, got, wanted);

	return w->attacked;
}

/* 0: it is the one that is to come, and whole */
static int
check_chunk(struct work *w, const uint8_t *p, size_t len)
{
	uint32_t job, chunk, bytes;

	memcpy(&job, p, 4);
	memcpy(&chunk, p + 4, 4);
	memcpy(&bytes, p + 8, 4);
	if (job != w->ask.job)
		return fault(w, "a chunk of job", job, w->ask.job);
	if (chunk != w->decoded)
		return fault(w, "chunk", chunk, w->decoded);
	if (w->fresh && !w->alone)
		return fault(w, "chunk, and nobody saw the last,", chunk,
			     w->chunk);
	if (len != bytes)
		return fault(w, "bytes", (uint32_t)len, bytes);
	for (size_t n = 12; n < len; n++)
		if (p[n] != pattern(job, chunk, n))
			return fault(w, "a spoilt byte", p[n],
				     pattern(job, chunk, n));

	return 0;
}

static int
decode_chunk(void *user, const void *buf, size_t len)
{
	struct work *w = user;
	uint32_t chunk;

	if (len < 12)
		return 1;
	memcpy(&chunk, (const uint8_t *)buf + 4, 4);
	if ((w->ask.what == ASK_BAD_CHUNK && chunk == w->ask.at) ||
	    check_chunk(w, buf, len))
		return 1;
	w->decoded = chunk + 1;
	w->chunk = chunk;
	w->size = (uint32_t)len;
	w->fresh = true;

	return 0;
}

const char *
kind_name(enum kind kind)
{
	static const char *const names[] = { "unsent", "never", "resume",
					     "linger" };

	return names[kind];
}

void
kind_fill(struct lws_threadpool_cluster_kind *k, enum kind kind)
{
	memset(k, 0, sizeof(*k));
	k->size = sizeof(*k);
	k->name = kind_name(kind);
	k->version = kind_version;
	k->task = kind_task;
	k->cleanup = kind_cleanup;
	k->encode_job = encode_job;
	k->decode_job = decode_job;
	k->encode_chunk = encode_chunk;
	k->decode_chunk = decode_chunk;
	if (kind == KIND_NEVER)
		k->retry = LWS_TP_CLUSTER_RETRY_NEVER;
	if (kind == KIND_RESUME || kind == KIND_LINGER)
		k->retry = LWS_TP_CLUSTER_RETRY_RESUME;
	if (kind == KIND_LINGER)
		k->linger_secs = 600;
}
