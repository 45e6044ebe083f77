/*
 * minimal-ws-server-threadpool-token: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * A client starts a job that takes long, and gets a token.  The job goes on
 * without any connection; whoever brings the token, on another one, takes the
 * result.  Anybody may watch how far a job is, by its number.
 *
 * The task has finished only when the client has said that it has the result.
 * Until then it is SYNCING, without a thread, and the result is sent to each
 * connection that brings the token: one lost at the wrong moment loses nothing.
 *
 * Per-vhost options: "threads", "max-jobs" and "keep-secs".
 */

#include <stdlib.h>
#include <string.h>

#include <lws-threadpool.h>

#include "job.h"
#include "threadpool-example.h" /* for the number of an option */
#include "ws-text.h"

#define PROTOCOL_TOKEN "lws-threadpool-token"

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS	  2
#define DEFAULT_MAX_JOBS  256
#define DEFAULT_KEEP_SECS 600

static const char *const job_states[] = { "queued", "running", "ready",
					  "taken",  "stopped", "expired" };

/* one of these for each vhost that has the protocol */
struct vhd_token {
	struct lws_threadpool *tp;
	struct jobs jobs;
	unsigned int max_jobs;
	unsigned int connections; /* that are open */
	char ending;
};

/* one of these for each connection */
struct pss_token {
	struct job_watch watch;
	struct ws_text message;
	char text[64];
	char reply[128]; /* that is to be sent, or "" */
};

/*
 * A handler: the task is SYNCING and has a wsi.  It stays SYNCING until the
 * client says "got", or another connection brings the token.
 */
static int
job_sync(struct lws *wsi, void *user)
{
	struct job *job = user;

	if (job->sent)
		return LWS_TP_ON_SYNC_STAY;
	job->sent = 1;
	if (ws_text_send(wsi,
			 "{\"job\":%u,\"below\":%u,\"primes\":%u,"
			 "\"largest\":%u}",
			 job->number, job->limit, job->primes, job->largest))
		return -1;

	return LWS_TP_ON_SYNC_STAY;
}

static void
reply_error(struct pss_token *pss, const char *what)
{
	lws_snprintf(pss->reply, sizeof(pss->reply), "{\"error\":\"%s\"}",
		     what);
}

static void
reply_refusal(struct pss_token *pss)
{
	switch (lws_threadpool_refused()) {
	case LWS_TP_REFUSED_QUEUE_FULL:
		reply_error(pss, "too many jobs: try again later");
		break;
	case LWS_TP_REFUSED_FINISHING:
	case LWS_TP_REFUSED_DRAINING:
		reply_error(pss, "the server ends");
		break;
	default:
		reply_error(pss, "refused");
		break;
	}
}

static struct job *
enqueue(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss,
	unsigned int limit)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_sync = job_sync,
	};
	struct job *job = job_create(&vhd->jobs, limit);
	struct lws_threadpool_task_args args;

	if (!job) {
		reply_error(pss, "out of memory");
		return NULL;
	}

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = job;
	args.task = job_task;
	args.cleanup = job_cleanup;
	if (!job_enqueue(job, vhd->tp, &args, &options, &pss->watch))
		return job;
	reply_refusal(pss);

	return NULL;
}

static void
start(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss,
      unsigned int limit)
{
	char token[LWS_THREADPOOL_TOKEN_SIZE];
	struct job *job;

	if (limit < 1 || limit > JOB_MAX_LIMIT) {
		reply_error(pss, "start needs a number from 1 to 100000000");
		return;
	}
	/* those that wait for somebody count: queue_depth does not see them */
	if (jobs_count(&vhd->jobs) >= vhd->max_jobs) {
		reply_error(pss, "too many jobs: try again later");
		return;
	}
	job = enqueue(wsi, vhd, pss, limit);
	if (!job)
		return;

	/* it outlives its wsi from here on */
	if (lws_threadpool_task_token(job->task, LWS_TP_TOKEN_WAIT, token)) {
		lws_threadpool_dequeue_task(job->task);
		reply_error(pss, "no token could be made");
		return;
	}
	lws_snprintf(pss->reply, sizeof(pss->reply),
		     "{\"job\":%u,\"token\":\"%s\"}", job->number, token);
}

/* The task is this connection's from now on, and so is its result. */
static int
take(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss,
     struct lws_threadpool_task *task)
{
	struct job *job = job_watch(&vhd->jobs, &pss->watch, task, 0);

	if (!job || lws_threadpool_task_attach(task, wsi))
		return -1;
	job->sent = 0;
	lws_callback_on_writable(wsi);

	return 0;
}

/* digits and nothing else, or 0 */
static unsigned int
number(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len && len < 10 && !text[len] ?
		       (unsigned int)strtoul(text, NULL, 10) :
		       0;
}

/* Those that need a token.  It is a password: it is in no log. */
static int
command_with_token(struct lws *wsi, struct vhd_token *vhd,
		   struct pss_token *pss, const char *word, const char *token)
{
	struct lws_threadpool_task *task = lws_threadpool_task_by_token(vhd->tp,
									token);

	if (!task)
		return -1;
	if (!strcmp(word, "take"))
		return take(wsi, vhd, pss, task);
	/* "got": it goes on, and finishes; "stop": told STOPPING */
	lws_threadpool_task_sync(task, !strcmp(word, "stop"));

	return 0;
}

/* "WORD ARGUMENT" */
static void
command(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss,
	char *text)
{
	char *arg = strchr(text, ' ');
	int failed;

	if (arg)
		*arg++ = '\0';
	else
		arg = text + strlen(text);

	if (!strcmp(text, "start")) {
		start(wsi, vhd, pss, number(arg));
		return;
	}
	if (!strcmp(text, "watch"))
		failed = !job_watch(&vhd->jobs, &pss->watch, NULL, number(arg));
	else if (!strcmp(text, "take") || !strcmp(text, "got") ||
		 !strcmp(text, "stop"))
		failed = command_with_token(wsi, vhd, pss, text, arg);
	else {
		reply_error(pss, "unknown command");
		return;
	}
	if (failed)
		reply_error(pss, "no such job");
}

static int
receive(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss,
	const void *in, size_t len)
{
	int n = ws_text_receive(wsi, &pss->message, in, len);

	if (n <= 0)
		return n;
	command(wsi, vhd, pss, pss->text);
	if (!pss->reply[0])
		return 0;

	/* nothing more from this client until it has its reply */
	lws_rx_flow_control(wsi, 0);
	lws_callback_on_writable(wsi);

	return 0;
}

static int
send_news(struct lws *wsi, const struct job_news *news)
{
	return ws_text_send(wsi,
			    "{\"job\":%u,\"state\":\"%s\",\"done\":%u,"
			    "\"of\":%u,\"watchers\":%u}",
			    news->number, job_states[news->state], news->shown,
			    news->limit, news->watchers);
}

/* 1 for a task of this wsi whose result is still to be sent */
static int
is_owed(struct lws_threadpool_task *task, void *user)
{
	struct lws_threadpool_task_info info = { .size = sizeof(info) };

	(void)user;

	return !lws_threadpool_task_get_info(task, &info) &&
	       info.status == LWS_TP_STATUS_SYNCING &&
	       !((const struct job *)info.user)->sent;
}

/* One message for each WRITEABLE: a reply, news of the job, or the result.  Of
 * several jobs the one comes first that was served longest ago, which may have
 * nothing to send. */
static int
writeable(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss)
{
	struct job_news news;
	int n;

	if (pss->message.closing)
		return 0;
	if (pss->reply[0]) {
		n = ws_text_send(wsi, "%s", pss->reply);
		pss->reply[0] = '\0';
		lws_rx_flow_control(wsi, 1);
	} else if (job_news(&vhd->jobs, &pss->watch, &news)) {
		n = send_news(wsi, &news);
	} else if (vhd->ending && job_is_over(&vhd->jobs, &pss->watch)) {
		return ws_text_close(wsi, &pss->message,
				     LWS_CLOSE_STATUS_GOINGAWAY);
	} else {
		n = lws_threadpool_serve(wsi);
		if (lws_threadpool_foreach_task_wsi(wsi, NULL, is_owed))
			lws_callback_on_writable(wsi);
		return n;
	}
	/* for what else there may be */
	lws_callback_on_writable(wsi);

	return n;
}

static int
open_connection(struct lws *wsi, struct vhd_token *vhd, struct pss_token *pss)
{
	if (!vhd || !vhd->tp) /* no pool: lws goes on if INIT fails */
		return -1;
	vhd->connections++;
	pss->message.text = pss->text;
	pss->message.size = sizeof(pss->text);
	pss->watch.handle = lws_threadpool_wsi_handle(vhd->tp, wsi);

	return pss->watch.handle ? 0 : -1;
}

static void
close_connection(struct vhd_token *vhd, struct pss_token *pss)
{
	if (!vhd || !vhd->tp)
		return;
	vhd->connections--;
	job_unwatch(&vhd->jobs, &pss->watch);
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct lws_threadpool_create_args args;
	struct lws_threadpool_options options;
	struct vhd_token *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;
	pthread_mutex_init(&vhd->jobs.lock, NULL);
	vhd->max_jobs = (unsigned int)
		threadpool_example_number(pvo, "max-jobs", DEFAULT_MAX_JOBS);

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = (int)vhd->max_jobs;

	memset(&options, 0, sizeof(options));
	options.size = sizeof(options);
	/* a result waits so long for somebody to take it */
	options.sync_timeout_secs = threadpool_example_number(
		pvo, "keep-secs", DEFAULT_KEEP_SECS);
	/* and once taken, its task need not be kept */
	options.max_kept = -1;

	vhd->tp = lws_threadpool_create_ext(lws_get_context(wsi), &args,
					    &options, "%s", "jobs");

	return vhd->tp ? 0 : -1;
}

static void
destroy_vhost(struct vhd_token *vhd)
{
	if (!vhd)
		return;
	if (vhd->tp)
		lws_threadpool_destroy(vhd->tp);
	pthread_mutex_destroy(&vhd->jobs.lock);
}

/*
 * For the program, when it is asked to end: every task is told to stop, and the
 * connections close when they have heard of it.  Returns whether some are left.
 */
static int
threadpool_token_finish(struct lws_vhost *vhost)
{
	struct vhd_token *vhd = lws_protocol_vh_priv_get(
		vhost, lws_vhost_name_to_protocol(vhost, PROTOCOL_TOKEN));

	if (!vhd || !vhd->tp)
		return 0;

	if (!vhd->ending) {
		vhd->ending = 1;
		lws_threadpool_finish(vhd->tp);
		lws_callback_on_writable_all_protocol_vhost(
			vhost,
			lws_vhost_name_to_protocol(vhost, PROTOCOL_TOKEN));
	}

	return !!vhd->connections;
}

static int
callback_token(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	       void *in, size_t len)
{
	struct vhd_token *vhd = lws_protocol_vh_priv_get(lws_get_vhost(wsi),
							 lws_get_protocol(wsi));

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		return init_vhost(wsi, in);

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		destroy_vhost(vhd);
		break;

	case LWS_CALLBACK_ESTABLISHED:
		return open_connection(wsi, vhd, user);

	case LWS_CALLBACK_CLOSED:
		close_connection(vhd, user);
		break;

	case LWS_CALLBACK_RECEIVE:
		return receive(wsi, vhd, user, in, len);

	case LWS_CALLBACK_SERVER_WRITEABLE:
		return writeable(wsi, vhd, user);

	default:
		break;
	}

	return 0;
}

#define LWS_PLUGIN_PROTOCOL_THREADPOOL_TOKEN \
	{ \
		.name = PROTOCOL_TOKEN, \
		.callback = callback_token, \
		.per_session_data_size = sizeof(struct pss_token), \
		.rx_buffer_size = 128, \
		.tx_packet_size = 256, \
	}
