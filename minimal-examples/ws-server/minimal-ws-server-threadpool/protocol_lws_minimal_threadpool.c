/*
 * minimal-ws-server-threadpool: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * Every connection gets a task, which counts to STEPS on a thread of the pool
 * and stops at each tenth until the service thread has sent how far it came.
 * The service thread never waits for a task, nor a thread of the pool for a
 * client.
 *
 * Nothing is done here when a connection closes: its task is told to stop at
 * its next check-in, and cleanup frees what belongs to it.
 *
 * Per-vhost options: "threads", "queue-depth" and "work-ms".
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lws-threadpool.h>

#include "threadpool-example.h"

/* steps of a task, and how many lie between one message and the next */
#define STEPS		  100
#define STEPS_PER_MESSAGE (STEPS / 10)

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS	    3
#define DEFAULT_QUEUE_DEPTH 256
#define DEFAULT_WORK_MS	    100

/* one of these for each vhost that has the protocol */
struct vhd_minimal_threadpool {
	struct lws_threadpool *tp;
	unsigned int work_ms;
	unsigned int tasks;	  /* how many were asked for */
	unsigned int connections; /* that are open */
	atomic_int threads;	  /* that have a number */
};

/*
 * One of these for each task.  It is the task's while the task runs and the
 * service thread's while a handler does, so it needs no lock.
 */
struct count {
	struct vhd_minimal_threadpool *vhd; /* is there for longer */
	char name[24];
	int done;
	int thread; /* that did the last step */
};

/* one of these for each connection: the service thread's, and only its */
struct pss_minimal_threadpool {
	struct count start; /* what its task begins with */
	char refused;	    /* it has no task */
	char greeted;	    /* the first was sent */
};

/*
 * On a thread of the pool.  The sleep stands for a call that blocks: a
 * database, a disk, a library that computes.  What a service thread must not do
 * is fine here.
 */
static void
work(unsigned int ms)
{
	struct timespec ts = { (time_t)(ms / 1000),
			       (long)(ms % 1000) * 1000000l };

	if (ms)
		nanosleep(&ts, NULL);
}

/*
 * On a thread of the pool: which of them it is, from 1 on.  For the page, which
 * shows what each of them does; a task need not know.
 */
static int
thread_number(struct vhd_minimal_threadpool *vhd)
{
	static _Thread_local int number;

	if (!number)
		number = atomic_fetch_add(&vhd->threads, 1) + 1;

	return number;
}

/*
 * On a thread of the pool, not always the same one.  It comes back after each
 * step: that is its check-in, where it hears that it has to stop.
 */
static enum lws_threadpool_task_return
count_task(void *user, enum lws_threadpool_task_status status)
{
	struct count *count = user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	if (count->done == STEPS)
		return LWS_TP_RETURN_FINISHED;

	count->thread = thread_number(count->vhd);
	work(count->vhd->work_ms);

	if (++count->done % STEPS_PER_MESSAGE)
		return LWS_TP_RETURN_CHECKING_IN;

	/*
	 * This makes the connection WRITEABLE.  The thread serves other tasks
	 * until count_sync() has returned.
	 */
	return LWS_TP_RETURN_SYNC;
}

/*
 * Once for each task that was accepted, however it ended.  wsi is NULL if the
 * connection went first, and then this can be a thread of the pool.
 */
static void
count_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;

	free(user);
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct lws_threadpool_create_args args;
	struct vhd_minimal_threadpool *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;

	vhd->work_ms = (unsigned int)threadpool_example_number(pvo, "work-ms",
							       DEFAULT_WORK_MS);

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = threadpool_example_number(pvo, "queue-depth",
							 DEFAULT_QUEUE_DEPTH);

	vhd->tp = lws_threadpool_create(lws_get_context(wsi), &args, "%s",
					lws_get_vhost_name(lws_get_vhost(wsi)));

	return vhd->tp ? 0 : -1;
}

/* end is NULL, or says in one word how the task ended */
static int
send_message(struct lws *wsi, const struct count *count, const char *end)
{
	unsigned char buf[LWS_PRE + 192], *p = &buf[LWS_PRE];
	int running, threads, queued, n;

	lws_threadpool_diagnose(count->vhd->tp, &running, &threads, &queued);

	n = lws_snprintf((char *)p, sizeof(buf) - LWS_PRE,
			 "{\"task\":\"%s\",\"done\":%d,\"of\":%d,\"thread\":%d,"
			 "\"running\":%d,\"threads\":%d,\"queued\":%d%s%s%s}",
			 count->name, count->done, STEPS, count->thread,
			 running, threads, queued, end ? ",\"end\":\"" : "",
			 end ? end : "", end ? "\"" : "");

	return lws_write(wsi, p, (size_t)n, LWS_WRITE_TEXT) < n ? -1 : 0;
}

/* the last message, and then the connection is closed in the ws way */
static int
send_end(struct lws *wsi, const struct count *count, const char *end)
{
	lwsl_user("%s: %s at %d of %d\n", count->name, end, count->done, STEPS);

	if (!send_message(wsi, count, end))
		lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);

	return -1;
}

/*
 * The handlers, on the service thread: one for each WRITEABLE, as lws wants it.
 * The first: the task is SYNCING, and goes on when this returns 0.  With -1 the
 * connection is closed.
 */
static int
count_sync(struct lws *wsi, void *user)
{
	return send_message(wsi, user, NULL);
}

/* and the second: it has ended, and cleanup comes next */
static int
count_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	return send_end(wsi, user,
			how == LWS_TP_STATUS_FINISHED ? "finished" : "stopped");
}

static int
start_task(struct lws *wsi, struct vhd_minimal_threadpool *vhd,
	   struct pss_minimal_threadpool *pss)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_sync = count_sync,
		.on_end = count_end,
	};
	struct lws_threadpool_task_args args;
	struct count *count;

	pss->start.vhd = vhd;
	lws_snprintf(pss->start.name, sizeof(pss->start.name), "count-%u",
		     ++vhd->tasks);

	count = malloc(sizeof(*count));
	if (!count)
		return -1;
	*count = pss->start;

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = count;
	args.task = count_task;
	args.cleanup = count_cleanup;

	if (!lws_threadpool_enqueue_ext(vhd->tp, &args, &options, "%s",
					count->name)) {
		/* cleanup won't come: count is still ours */
		free(count);
		pss->refused = 1;
	}

	/* tell the client that the task was accepted, or that it was not */
	lws_callback_on_writable(wsi);

	return 0;
}

static int
writeable(struct lws *wsi, struct pss_minimal_threadpool *pss)
{
	if (pss->greeted)
		return lws_threadpool_serve(wsi);

	pss->greeted = 1;
	if (pss->refused)
		return send_end(wsi, &pss->start, "refused");

	/* the task may have come to its first SYNC by now */
	lws_callback_on_writable(wsi);

	return send_message(wsi, &pss->start, NULL);
}

/*
 * For the program, when it is asked to end: every task is told to stop.  Says
 * whether a client has still to hear of it.
 */
static int
minimal_threadpool_finish(struct lws_vhost *vhost)
{
	struct vhd_minimal_threadpool *vhd = lws_protocol_vh_priv_get(
		vhost,
		lws_vhost_name_to_protocol(vhost, "lws-minimal-threadpool"));

	if (!vhd || !vhd->tp)
		return 0;

	lws_threadpool_finish(vhd->tp);

	return !!vhd->connections;
}

static int
callback_minimal_threadpool(struct lws *wsi, enum lws_callback_reasons reason,
			    void *user, void *in, size_t len)
{
	struct vhd_minimal_threadpool *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));

	(void)len;

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		return init_vhost(wsi, in);

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		if (vhd && vhd->tp)
			lws_threadpool_destroy(vhd->tp);
		break;

	case LWS_CALLBACK_ESTABLISHED:
		if (!vhd || !vhd->tp) /* no pool: lws goes on if INIT fails */
			return -1;
		vhd->connections++;
		return start_task(wsi, vhd, user);

	case LWS_CALLBACK_CLOSED:
		if (vhd && vhd->tp)
			vhd->connections--;
		break;

	case LWS_CALLBACK_SERVER_WRITEABLE:
		return writeable(wsi, user);

	default:
		break;
	}

	return 0;
}

#define LWS_PLUGIN_PROTOCOL_MINIMAL_THREADPOOL \
	{ \
		.name = "lws-minimal-threadpool", \
		.callback = callback_minimal_threadpool, \
		.per_session_data_size = sizeof( \
			struct pss_minimal_threadpool), \
		.rx_buffer_size = 128, \
	}
