/*
 * minimal-ws-client-threadpool: the ws protocol, a client's side
 *
 * SPDX-License-Identifier: MIT
 *
 * The server sends numbers, a message each, and gets a message with the prime
 * factors of each, in whatever order they are found.  Each number is a task on
 * the connection: some take microseconds, and one with two large factors half a
 * minute.
 *
 * When the connection is lost we connect again, after a while that grows with
 * each vain try.  Nothing is done for the tasks then: they are told to stop at
 * their next check-in, and cleanup frees what belongs to them.  What they found
 * would be for nobody.
 *
 * The server may have "jobs" numbers with us, and one more for each answer.  We
 * hang up on one that sends more.  To read nothing from it for a while would
 * keep us from hearing that it closes.
 *
 * Per-vhost options: "address", "port", "threads" and "jobs".
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <lws-threadpool.h>

#include "threadpool-example.h"

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS 2
#define DEFAULT_JOBS	100

#define DIVISORS_PER_CALL 100000 /* a task checks in after so many */
#define MAX_NUMBER	  20	 /* digits: an uint64_t */

/* the waits before the 1st, 2nd, ... try; all others are as the last one */
static const uint32_t backoff_ms[] = { 100, 300, 1000, 3000, 10000 };

static const lws_retry_bo_t retry = {
	.retry_ms_table = backoff_ms,
	.retry_ms_table_count = LWS_ARRAY_SIZE(backoff_ms),
	.conceal_count = 0xffff,
	.secs_since_valid_ping = 60,   /* or a server that is gone */
	.secs_since_valid_hangup = 90, /* without a word is not seen */
	.jitter_percent = 20,
};

/* one of these for each vhost that has the protocol: it has one connection */
struct vhd_minimal_client_threadpool {
	lws_sorted_usec_list_t sul; /* when to connect */
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lws_threadpool *tp;
	const char *address;
	int port;
	uint16_t tries; /* that were in vain */
	int ending;
};

/* One of these for each task: the service thread's before the enqueue and in
 * the handler, else the task's. */
struct job {
	uint64_t number;
	uint64_t rest;	  /* without the factors that are found */
	uint64_t divisor; /* the next one to try */
	size_t len;
	char text[LWS_PRE + 320]; /* the answer so far */
};

/* one of these for each connection: the service thread's, and only its */
struct pss_minimal_client_threadpool {
	char number[MAX_NUMBER + 1]; /* that comes */
	size_t len;
};

static void
add_text(struct job *job, const char *format, uint64_t number)
{
	char *at = job->text + LWS_PRE + job->len;

	job->len += (size_t)lws_snprintf(at,
					 sizeof(job->text) - LWS_PRE - job->len,
					 format, number);
}

/*
 * On a thread of the pool, not always the same one.  It comes back after each
 * part: that is its check-in, where it hears that it has to stop.
 */
static enum lws_threadpool_task_return
factors_task(void *user, enum lws_threadpool_task_status status)
{
	struct job *job = user;
	int n;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	for (n = 0; n < DIVISORS_PER_CALL; n++) {
		if (job->rest / job->divisor < job->divisor) {
			if (job->rest > 1 || job->number < 2)
				add_text(job, " %" PRIu64, job->rest);
			return LWS_TP_RETURN_FINISHED;
		}
		if (job->rest % job->divisor) {
			job->divisor += job->divisor == 2 ? 1 : 2;
			continue;
		}
		add_text(job, " %" PRIu64, job->divisor);
		job->rest /= job->divisor;
	}

	return LWS_TP_RETURN_CHECKING_IN;
}

/* once for each task that was accepted, however it ended, on any thread */
static void
factors_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;

	free(user);
}

/*
 * The task's handler, on the service thread: it has ended, and cleanup comes
 * next.  It is not called if the connection was lost before.
 */
static int
factors_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct vhd_minimal_client_threadpool *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));
	struct job *job = user;

	if (how != LWS_TP_STATUS_FINISHED)
		return 0;
	vhd->tries = 0; /* an answer: it works */

	return lws_write(wsi, (unsigned char *)job->text + LWS_PRE, job->len,
			 LWS_WRITE_TEXT) < (int)job->len ?
		       -1 :
		       0;
}

static int
start_task(struct lws *wsi, const struct vhd_minimal_client_threadpool *vhd,
	   uint64_t number)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_end = factors_end,
	};
	struct lws_threadpool_task_args args;
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return -1;
	job->number = job->rest = number;
	job->divisor = 2;
	add_text(job, "%" PRIu64 " =", number);

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = job;
	args.task = factors_task;
	args.cleanup = factors_cleanup;

	if (!lws_threadpool_enqueue_ext(vhd->tp, &args, &options, "%" PRIu64,
					number)) {
		/* cleanup won't come: job is still ours */
		free(job);
		if (vhd->ending) /* no more is begun */
			return 0;
		lwsl_user("more at a time than we take: hanging up\n");
		return -1;
	}

	return 0;
}

/* A message is a number, in one piece or several.  A server that sends
 * something else is not ours. */
static int
received(struct lws *wsi, struct vhd_minimal_client_threadpool *vhd,
	 struct pss_minimal_client_threadpool *pss, const char *in, size_t len)
{
	unsigned long long number;
	char *end;

	if (lws_is_first_fragment(wsi))
		pss->len = 0;
	if (len > MAX_NUMBER - pss->len) {
		lwsl_user("a message is too long: hanging up\n");
		return -1;
	}
	memcpy(pss->number + pss->len, in, len);
	pss->len += len;
	if (!lws_is_final_fragment(wsi))
		return 0;

	pss->number[pss->len] = '\0';
	errno = 0;
	number = strtoull(pss->number, &end, 10);
	if (errno || end != pss->number + pss->len || pss->number[0] < '0' ||
	    pss->number[0] > '9') {
		lwsl_user("a message is no number: hanging up\n");
		return -1;
	}

	return start_task(wsi, vhd, number);
}

static void
connect_again(struct vhd_minimal_client_threadpool *vhd);

static void
connect_now(lws_sorted_usec_list_t *sul)
{
	struct vhd_minimal_client_threadpool *vhd = lws_container_of(
		sul, struct vhd_minimal_client_threadpool, sul);
	struct lws_client_connect_info info;

	memset(&info, 0, sizeof(info));
	info.context = vhd->context;
	info.vhost = vhd->vhost;
	info.address = info.host = info.origin = vhd->address;
	info.port = vhd->port;
	info.path = "/";
	info.protocol = info.local_protocol_name = "lws-minimal-client-"
						   "threadpool";
	info.retry_and_idle_policy = &retry;

	if (!lws_client_connect_via_info(&info))
		connect_again(vhd);
}

/* A lost connection can be told twice: of one timer the last time counts. */
static void
connect_again(struct vhd_minimal_client_threadpool *vhd)
{
	unsigned int ms;
	char conceal;

	if (vhd->ending)
		return;
	ms = lws_retry_get_delay_ms(vhd->context, &retry, &vhd->tries,
				    &conceal);
	lwsl_user("trying again in %u ms\n", ms);
	lws_sul_schedule(vhd->context, 0, &vhd->sul, connect_now,
			 (lws_usec_t)ms * LWS_US_PER_MS);
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	const struct lws_protocol_vhost_options *address;
	struct vhd_minimal_client_threadpool *vhd;
	struct lws_threadpool_create_args args;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	address = lws_pvo_search(pvo, "address");
	if (!vhd || !address)
		return -1;

	vhd->context = lws_get_context(wsi);
	vhd->vhost = lws_get_vhost(wsi);
	vhd->address = address->value;
	vhd->port = threadpool_example_number(pvo, "port", 7681);

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = threadpool_example_number(pvo, "jobs",
							 DEFAULT_JOBS);
	vhd->tp = lws_threadpool_create(vhd->context, &args, "factors");
	if (!vhd->tp)
		return -1;
	lws_sul_schedule(vhd->context, 0, &vhd->sul, connect_now, 1);

	return 0;
}

/*
 * For the program, when it is asked to end: what was begun is still sent, and
 * nothing new.  Returns whether there is something.
 */
static int
minimal_client_threadpool_finish(struct lws_vhost *vhost)
{
	struct vhd_minimal_client_threadpool *vhd = lws_protocol_vh_priv_get(
		vhost,
		lws_vhost_name_to_protocol(vhost,
					   "lws-minimal-client-threadpool"));

	if (!vhd || !vhd->tp)
		return 0;
	vhd->ending = 1;
	lws_sul_cancel(&vhd->sul);

	return lws_threadpool_drain(vhd->tp);
}

static int
callback_minimal_client_threadpool(struct lws *wsi,
				   enum lws_callback_reasons reason, void *user,
				   void *in, size_t len)
{
	struct vhd_minimal_client_threadpool *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));

	if (reason == LWS_CALLBACK_PROTOCOL_INIT)
		return init_vhost(wsi, in);
	if (!vhd)
		return 0;

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_DESTROY:
		lws_sul_cancel(&vhd->sul);
		if (vhd->tp)
			lws_threadpool_destroy(vhd->tp);
		break;

	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		lwsl_user("connected\n");
		break;

	case LWS_CALLBACK_CLIENT_RECEIVE:
		return received(wsi, vhd, user, in, len);

	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return lws_threadpool_serve(wsi);

	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		lwsl_user("no connection: %s\n", in ? (char *)in : "unknown");
		connect_again(vhd);
		break;

	case LWS_CALLBACK_CLIENT_CLOSED:
		if (!vhd->ending)
			lwsl_user("connection lost\n");
		connect_again(vhd);
		break;

	default:
		break;
	}

	return 0;
}

#define LWS_PLUGIN_PROTOCOL_MINIMAL_CLIENT_THREADPOOL \
	{ \
		.name = "lws-minimal-client-threadpool", \
		.callback = callback_minimal_client_threadpool, \
		.per_session_data_size = sizeof( \
			struct pss_minimal_client_threadpool), \
		.rx_buffer_size = 1024, \
	}
