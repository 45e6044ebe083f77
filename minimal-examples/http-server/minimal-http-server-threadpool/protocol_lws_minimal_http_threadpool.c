/*
 * minimal-http-server-threadpool: the http protocol
 *
 * SPDX-License-Identifier: MIT
 *
 *	POST /hash	the argon2id hash of the body, a password
 *	GET /password	a new password at random, and its hash
 *	GET /metrics	the pool in numbers, for Prometheus
 *	GET /ping	"pong", from the service thread
 *
 * A hash is made to be slow, and needs a processor and much memory for all of
 * that time.  So each one is a task: as many at a time as the pool has threads.
 * Some more wait in its queue, and who does not fit there, or waited too long,
 * gets 503 with Retry-After.  The service thread computes no hash: it answers
 * the others meanwhile.
 *
 * Nothing is done here when a client hangs up: its task is told to stop, or
 * leaves the queue, and cleanup frees what belongs to it.
 *
 * Per-vhost options: "threads", "queue-depth", "wait-ms", "cost", "memory".
 */

#include <stdlib.h>
#include <string.h>

#include <argon2.h>
#include <lws-threadpool.h>

#include "http-answer.h"
#include "threadpool-example.h"

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS	    2
#define DEFAULT_QUEUE_DEPTH 32
#define DEFAULT_WAIT_MS	    2000
#define DEFAULT_COST	    2
#define DEFAULT_MEMORY	    19456

#define MAX_PASSWORD 1024 /* bytes */
#define ANSWER_SECS  60	  /* lws closes what takes longer */

/* one of these for each vhost that has the protocol */
struct vhd_minimal_http_threadpool {
	struct lws_threadpool *tp;
	int wait_ms;
	uint32_t cost;
	uint32_t memory; /* KiB */
};

/* One of these for each task: the service thread's before the enqueue and in
 * the handler, else the task's. */
struct hash {
	const struct vhd_minimal_http_threadpool *vhd;
	size_t len;
	char password[MAX_PASSWORD];
	int show_password; /* the client does not know it */
	unsigned char salt[16];
	char encoded[128]; /* the result */
	int error;	   /* or why there is none */
};

/* one of these for each connection: the service thread's, and only its */
struct pss_minimal_http_threadpool {
	struct hash *hash; /* whose password is being read */
};

/* a password is not left in memory that others get */
static void
hash_free(struct hash *hash)
{
	if (hash)
		explicit_bzero(hash, sizeof(*hash));
	free(hash);
}

/*
 * On a thread of the pool.  argon2 cannot be interrupted: a client that hangs
 * up meanwhile costs us the rest of this hash, and nothing else.  A task in
 * several parts would return LWS_TP_RETURN_CHECKING_IN between them.
 */
static enum lws_threadpool_task_return
hash_task(void *user, enum lws_threadpool_task_status status)
{
	struct hash *hash = user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;

	hash->error = argon2id_hash_encoded(
		hash->vhd->cost, hash->vhd->memory, 1, hash->password,
		hash->len, hash->salt, sizeof(hash->salt), 32, hash->encoded,
		sizeof(hash->encoded));

	return LWS_TP_RETURN_FINISHED;
}

/* once for each task that was accepted, however it ended, on any thread */
static void
hash_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;

	hash_free(user);
}

static int
send_hash(struct lws *wsi, const struct hash *hash)
{
	struct http_answer answer = { .status = HTTP_STATUS_OK };
	char text[MAX_PASSWORD + sizeof(hash->encoded) + 4];
	int n;

	if (hash->error) {
		lwsl_warn("argon2: %s\n", argon2_error_message(hash->error));
		answer.status = HTTP_STATUS_INTERNAL_SERVER_ERROR;
		answer.text = "no hash\n";
		return http_answer(wsi, &answer);
	}

	lws_snprintf(text, sizeof(text), "%.*s%s%s\n",
		     hash->show_password ? (int)hash->len : 0, hash->password,
		     hash->show_password ? "\n" : "", hash->encoded);
	answer.text = text;
	n = http_answer(wsi, &answer);
	explicit_bzero(text, sizeof(text));

	return n;
}

/*
 * The task's handler, on the service thread: it has ended, and cleanup comes
 * next.  It is not called if the client hung up before.
 */
static int
hash_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct hash *hash = user;

	if (how == LWS_TP_STATUS_FINISHED)
		return send_hash(wsi, hash);

	return http_stopped(wsi, hash->vhd->tp);
}

/* The transaction is pending until the task has ended: no answer yet.  From
 * here on hash is the task's. */
static int
start_task(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd,
	   struct hash *hash)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_end = hash_end,
		.queue_ms = vhd->wait_ms,
	};
	struct lws_threadpool_task_args args;

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = hash;
	args.task = hash_task;
	args.cleanup = hash_cleanup;

	if (!lws_threadpool_enqueue_ext(vhd->tp, &args, &options, "hash")) {
		/* cleanup won't come: hash is still ours */
		hash_free(hash);
		return http_refused(wsi, vhd->tp);
	}

	/* lws's own is a few seconds, and from now on it is all up to us */
	lws_set_timeout(wsi, PENDING_TIMEOUT_THREADPOOL_TASK, ANSWER_SECS);

	return 0;
}

static int
random_bytes(struct lws *wsi, void *buf, size_t len)
{
	return lws_get_random(lws_get_context(wsi), buf, len) == len ? 0 : -1;
}

static struct hash *
hash_new(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd)
{
	struct hash *hash = calloc(1, sizeof(*hash));

	if (!hash)
		return NULL;
	hash->vhd = vhd;
	if (!random_bytes(wsi, hash->salt, sizeof(hash->salt)))
		return hash;
	hash_free(hash);

	return NULL;
}

static int
get_password(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd)
{
	struct hash *hash = hash_new(wsi, vhd);
	unsigned char random[10];
	size_t n;

	if (!hash || random_bytes(wsi, random, sizeof(random))) {
		hash_free(hash);
		return -1;
	}
	for (n = 0; n < sizeof(random); n++)
		hash->len += (size_t)lws_snprintf(hash->password + hash->len, 3,
						  "%02x", random[n]);
	explicit_bzero(random, sizeof(random));
	hash->show_password = 1;

	return start_task(wsi, vhd, hash);
}

static int
get(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd,
    const char *path)
{
	struct http_answer answer = { .status = HTTP_STATUS_OK };

	if (!strcmp(path, "password"))
		return get_password(wsi, vhd);
	if (!strcmp(path, "metrics"))
		return http_metrics(wsi, vhd->tp);

	answer.text = "not here\n";
	if (!strcmp(path, "ping"))
		answer.text = "pong\n";
	else if (!*path)
		answer.text = "POST /hash; GET /password, /metrics, /ping\n";
	else
		answer.status = HTTP_STATUS_NOT_FOUND;

	return http_answer(wsi, &answer);
}

/* its body comes next */
static int
post(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd,
     struct pss_minimal_http_threadpool *pss, const char *path)
{
	const long long len = http_content_length(wsi);

	if (strcmp(path, "hash"))
		return http_reject(wsi, HTTP_STATUS_NOT_FOUND, "not here\n");
	if (len < 0)
		return http_reject(wsi, HTTP_STATUS_LENGTH_REQUIRED,
				   "how long is it?\n");
	if (!len)
		return http_reject(wsi, HTTP_STATUS_BAD_REQUEST, "nothing\n");
	if (len > MAX_PASSWORD)
		return http_reject(wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE,
				   "too long\n");

	pss->hash = hash_new(wsi, vhd);

	return pss->hash ? 0 : -1;
}

static int
request(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd,
	struct pss_minimal_http_threadpool *pss, const char *path)
{
	hash_free(pss->hash); /* of a request before on this connection */
	pss->hash = NULL;
	path += *path == '/';

	if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI))
		return post(wsi, vhd, pss, path);
	if (!lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI))
		return http_reject(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED,
				   "GET or POST\n");
	if (http_has_body(wsi))
		return http_reject(wsi, HTTP_STATUS_BAD_REQUEST, "a body?\n");

	return get(wsi, vhd, path);
}

static int
body_part(struct pss_minimal_http_threadpool *pss, const void *in, size_t len)
{
	struct hash *hash = pss->hash;

	if (!hash || len > sizeof(hash->password) - hash->len)
		return -1;
	memcpy(hash->password + hash->len, in, len);
	hash->len += len;

	return 0;
}

static int
body_whole(struct lws *wsi, const struct vhd_minimal_http_threadpool *vhd,
	   struct pss_minimal_http_threadpool *pss)
{
	struct hash *hash = pss->hash;

	pss->hash = NULL;
	/* a peer that sends on makes this come more than once */
	return hash ? start_task(wsi, vhd, hash) : 0;
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct lws_threadpool_create_args args;
	struct vhd_minimal_http_threadpool *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;

	vhd->wait_ms = threadpool_example_number(pvo, "wait-ms",
						 DEFAULT_WAIT_MS);
	vhd->cost = (uint32_t)threadpool_example_number(pvo, "cost",
							DEFAULT_COST);
	vhd->memory = (uint32_t)threadpool_example_number(pvo, "memory",
							  DEFAULT_MEMORY);

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = threadpool_example_number(pvo, "queue-depth",
							 DEFAULT_QUEUE_DEPTH);
	vhd->tp = lws_threadpool_create(lws_get_context(wsi), &args, "hashes");

	return vhd->tp ? 0 : -1;
}

/*
 * For the program, when it is asked to end: what was accepted is still
 * answered, and nothing new.  Returns whether somebody waits for an answer.
 */
static int
minimal_http_threadpool_finish(struct lws_vhost *vhost)
{
	struct vhd_minimal_http_threadpool *vhd = lws_protocol_vh_priv_get(
		vhost,
		lws_vhost_name_to_protocol(vhost,
					   "lws-minimal-http-threadpool"));

	return vhd && vhd->tp && lws_threadpool_drain(vhd->tp);
}

static int
callback_minimal_http_threadpool(struct lws *wsi,
				 enum lws_callback_reasons reason, void *user,
				 void *in, size_t len)
{
	struct pss_minimal_http_threadpool *pss = user;
	struct vhd_minimal_http_threadpool *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		return init_vhost(wsi, in);

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		if (vhd && vhd->tp)
			lws_threadpool_destroy(vhd->tp);
		return 0;

	case LWS_CALLBACK_HTTP:
		if (!vhd || !vhd->tp) /* no pool: lws goes on if INIT fails */
			return -1;
		return request(wsi, vhd, pss, in);

	case LWS_CALLBACK_HTTP_BODY:
		return body_part(pss, in, len);

	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return body_whole(wsi, vhd, pss);

	case LWS_CALLBACK_HTTP_WRITEABLE:
		return lws_threadpool_serve(wsi);

	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
	case LWS_CALLBACK_CLOSED_HTTP: /* with a body half read, maybe */
		if (pss) {
			hash_free(pss->hash);
			pss->hash = NULL;
		}
		return 0;

	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

#define LWS_PLUGIN_PROTOCOL_MINIMAL_HTTP_THREADPOOL \
	{ \
		.name = "lws-minimal-http-threadpool", \
		.callback = callback_minimal_http_threadpool, \
		.per_session_data_size = sizeof( \
			struct pss_minimal_http_threadpool), \
	}
