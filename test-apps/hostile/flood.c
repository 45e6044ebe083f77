/*
 * lws-threadpool tests - floods of connections against max_queue_depth
 *
 * SPDX-License-Identifier: MIT
 *
 * Every connection wants a task of a pool whose threads are all held up.  A few
 * tasks may wait, all others are refused: their user pointer must still be
 * ours, untouched.  A third of the connections are reset and a third hang up as
 * soon as they have asked.  When the threads go on everything that was accepted
 * is cleaned up, once, and a connection after the flood is served.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

#define PEERS	4
#define THREADS 2
#define DEPTH	16

enum state { OURS = 0x6f757273, TAKEN, CLEANED };

struct job {
	atomic_int state;
	atomic_int calls;
};

struct pss {
	struct lws_threadpool_task *task;
	bool counted; /* lws closes some that it never established */
};

static const char refuses[] = "refuses a task: max_queue_depth tasks wait";

static struct lws_context *context;
static struct lws_threadpool *tp;
static struct job *jobs;
static int asked, accepted, refused, open_now, most_queued, peers[PEERS + 1],
	wanted, served;
static atomic_int cleaned;
static atomic_bool let_go;

static enum lws_threadpool_task_return
held_task(void *user, enum lws_threadpool_task_status s)
{
	struct job *job = user;

	if (s == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	atomic_fetch_add(&job->calls, 1);
	if (atomic_load(&let_go))
		return LWS_TP_RETURN_FINISHED;
	usleep(200);

	return LWS_TP_RETURN_CHECKING_IN;
}

static void
job_cleanup(struct lws *wsi, void *user)
{
	struct job *job = user;

	(void)wsi;
	hostile_check(atomic_exchange(&job->state, CLEANED) == TAKEN);
	atomic_fetch_add(&cleaned, 1);
}

static struct lws_threadpool_task *
ask(struct lws *wsi)
{
	struct lws_threadpool_task_args args;
	struct lws_threadpool_task *task;
	struct job *job;
	int running, threads, queued;

	hostile_check(asked < wanted);
	job = &jobs[asked++];
	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = job;
	args.task = held_task;
	args.cleanup = job_cleanup;
	/* it can be cleaned up before enqueue returns: not this one, here */
	atomic_store(&job->state, TAKEN);
	task = lws_threadpool_enqueue(tp, &args, "job");
	lws_threadpool_diagnose(tp, &running, &threads, &queued);
	if (queued > most_queued)
		most_queued = queued;
	if (task)
		accepted++;
	else {
		hostile_check(atomic_exchange(&job->state, OURS) == TAKEN);
		refused++;
	}

	return task;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *pss, void *in,
	 size_t len)
{
	struct pss *p = pss;
	unsigned char buf[LWS_PRE + 4];

	(void)in;
	(void)len;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		open_now++;
		p->counted = true;
		p->task = ask(wsi);
		lws_callback_on_writable(wsi);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		if (!p->task)
			return -1; /* refused, or done */
		if (lws_threadpool_task_status(p->task, NULL) <
		    LWS_TP_STATUS_FINISHED)
			return 0;
		p->task = NULL;
		served++;
		memcpy(buf + LWS_PRE, "done", 4);
		lws_write(wsi, buf + LWS_PRE, 4, LWS_WRITE_TEXT);
		return -1;
	case LWS_CALLBACK_CLOSED:
		open_now -= p && p->counted;
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{ .name = "flood",
	  .callback = callback,
	  .per_session_data_size = sizeof(struct pss) },
	{ .name = NULL }
};

/* A reset or a hang-up can come before the server has seen the handshake: the
 * connections that stay are held until the end. */
static void
rush(int port, int clients)
{
	int n, fd;

	for (n = 0; n < clients; n++) {
		fd = peer_connect(port, 0);
		peer_handshake(fd, "flood");
		if (n % 3 == 0)
			peer_reset(fd);
		else if (n % 3 == 1)
			close(fd);
	}
}

static void
one_more(int port, int clients)
{
	char buf[4096];
	ssize_t n, all = 0;
	int fd = peer_connect(port, 0);

	(void)clients;
	peer_handshake(fd, "flood");
	while (all < (ssize_t)sizeof(buf) &&
	       (n = read(fd, buf + all, sizeof(buf) - (size_t)all)) > 0)
		all += n;
	if (!memmem(buf, (size_t)all,
		    "\r\n\r\n\x81\x04"
		    "done",
		    10))
		_exit(1);
}

/* (the listening socket may have connections left that lws did not see) */
static bool
rush_is_over(void)
{
	static int turns;
	bool over = true;
	int n;

	for (n = 0; n < PEERS; n++)
		over = peer_ended(peers[n]) && over;

	return over && !open_now && ++turns > 10;
}

static bool
all_cleaned(void)
{
	return atomic_load(&cleaned) == accepted && !open_now;
}

static bool
last_served(void)
{
	return peer_ended(peers[PEERS]);
}

void
flood(int clients)
{
	const struct lws_threadpool_create_args args = {
		.threads = THREADS, .max_queue_depth = DEPTH
	};
	int64_t begun = hostile_now(), seconds;
	int port, n, before;

	wanted = clients + 1;
	jobs = calloc((size_t)wanted, sizeof(*jobs));
	hostile_check(jobs);
	for (n = 0; n < wanted; n++)
		atomic_init(&jobs[n].state, OURS);
	hostile_expect(refuses);
	context = hostile_context(protocols, &port);
	for (n = 0; n < PEERS; n++)
		peers[n] = peer_start(rush, port, clients / PEERS);
	peers[PEERS] = peer_start(one_more, port, 1);
	tp = lws_threadpool_create(context, &args, "flood");
	hostile_check(tp);

	for (n = 0; n < PEERS; n++)
		peer_go(peers[n]);
	hostile_until(context, rush_is_over);
	seconds = (hostile_now() - begun) / 1000000;
	printf("%d connections asked for a task: %d accepted, %d refused, at "
	       "most %d waited, %u lines of log in %d s\n",
	       asked, accepted, refused, most_queued, hostile_logged(refuses),
	       (int)seconds);
	hostile_check(accepted + refused == asked);
	hostile_check(refused > asked / 2);
	/* one that a free thread is about to take does not count as waiting */
	hostile_check(most_queued >= DEPTH && most_queued <= DEPTH + THREADS);
	hostile_check(hostile_logged(refuses) >= 1);
	hostile_check(hostile_logged(refuses) <= seconds + 2);

	atomic_store(&let_go, true);
	hostile_until(context, all_cleaned);
	before = served;
	peer_go(peers[PEERS]);
	hostile_until(context, last_served);
	hostile_until(context, all_cleaned);
	hostile_check(served == before + 1);
	for (n = 0; n < asked; n++)
		hostile_check(atomic_load(&jobs[n].state) == OURS ||
			      atomic_load(&jobs[n].state) == CLEANED);

	lws_threadpool_destroy(tp);
	lws_context_destroy(context);
	hostile_check(atomic_load(&cleaned) == accepted);
	printf("all %d were cleaned up once, and one more was served\n",
	       accepted);
	free(jobs);
}
