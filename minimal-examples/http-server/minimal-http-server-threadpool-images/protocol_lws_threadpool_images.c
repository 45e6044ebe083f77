/*
 * minimal-http-server-threadpool-images: the http protocol
 *
 * SPDX-License-Identifier: MIT
 *
 *	POST /thumbnails	the body is a PNG or a JPEG.  The answer is a
 *				stream: for each thumbnail a line "thumbnail
 *				WIDTH HEIGHT BYTES" and so many bytes of PNG,
 *				and a line "end"
 *	GET /metrics		the pool in numbers, for Prometheus
 *
 * An upload is gathered by the service thread, and belongs to a task when it is
 * whole.  The task decodes it in small parts, then makes one thumbnail after
 * the other, and SYNCs with each: the next one is made when this one is sent.
 * What has no picture in it is known before the first one, so that it has an
 * answer with a status of its own.
 *
 * Nothing is done here when a client hangs up: its task is told to stop, and
 * cleanup frees what belongs to it.
 *
 * Per-vhost options: "threads", "queue-depth", "queue-ms", "max-upload",
 * "all-uploads", "max-pixels", "decode-ms".
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lws-threadpool.h>

#include "http-answer.h"
#include "image.h"
#include "threadpool-example.h"

#define PROTOCOL_IMAGES "lws-threadpool-images"

/* used where the vhost has no option that says otherwise */
#define DEFAULT_THREADS	    2
#define DEFAULT_QUEUE_DEPTH 16
#define DEFAULT_QUEUE_MS    30000
#define DEFAULT_MAX_UPLOAD  10000000
#define DEFAULT_ALL_UPLOADS 80000000
#define DEFAULT_MAX_PIXELS  16777216
#define DEFAULT_DECODE_MS   10000

#define UPLOAD_SECS 60	  /* who takes longer is closed */
#define ANSWER_SECS 60	  /* the same, for each part of it */
#define PART	    16384 /* bytes, of an answer */

/* one of these for each vhost that has the protocol */
struct vhd_images {
	struct lws_threadpool *tp;
	size_t max_upload;
	size_t all_uploads;
	guint64 max_pixels;
	lws_usec_t decode_us;
	int queue_ms;
	_Atomic size_t uploads; /* bytes of all that are there */
};

/* One of these for each upload: the service thread's before the enqueue and in
 * the handlers, else the task's. */
struct request {
	struct vhd_images *vhd;
	struct image image;
	int at;		     /* LWS_TP_TASK_BEGIN()'s */
	size_t room;	     /* bytes for the upload */
	lws_usec_t deadline; /* of the upload, or the decoding */

	/* the service thread's alone */
	int chunked; /* HTTP/1.1; else its end is the end */
	int begun;   /* the answer */
	size_t sent; /* of this thumbnail, line and PNG */
};

/* one of these for each connection: the service thread's, and only its */
struct pss_images {
	struct request *request; /* whose upload is being read */
};

/* the file goes before the rest, and its room is others' */
static void
upload_gone(struct request *r)
{
	atomic_fetch_sub(&r->vhd->uploads, r->room);
	r->room = 0;
}

static void
request_free(struct request *r)
{
	if (!r)
		return;
	image_end(&r->image);
	upload_gone(r);
	free(r);
}

/* On a thread of the pool.  Between two parts it is told to stop, if the client
 * has hung up.  From the first SYNC on it takes no thread while that reads. */
static enum lws_threadpool_task_return
thumbnails_task(void *user, enum lws_threadpool_task_status status)
{
	struct request *r = user;

	LWS_TP_TASK_BEGIN(&r->at, status);

	r->deadline = lws_now_usecs() + r->vhd->decode_us;
	while (image_decode(&r->image)) {
		if (lws_now_usecs() > r->deadline)
			image_refuse(&r->image, 422, "it takes too long\n");
		LWS_TP_TASK_CHECK_IN(&r->at);
	}
	upload_gone(r);

	while (image_next(&r->image))
		LWS_TP_TASK_SYNC(&r->at);

	LWS_TP_TASK_END(&r->at);
}

/* once for each task that was accepted, however it ended, on any thread */
static void
thumbnails_cleanup(struct lws *wsi, void *user)
{
	(void)wsi;

	request_free(user);
}

/* How long it will be is not known: HTTP/1.1 has chunks for that.  HTTP/2 has
 * frames of its own, and to HTTP/1.0 the end of the connection tells it. */
static int
begin_answer(struct lws *wsi, struct request *r)
{
	static const char type[] = "application/octet-stream",
			  chunked[] = "chunked", no_store[] = "no-store";
	unsigned char buf[LWS_PRE + 1024], *start = &buf[LWS_PRE], *p = start,
					   *end = &buf[sizeof(buf) - 1];

	r->begun = 1;
	if (lws_add_http_header_status(wsi, HTTP_STATUS_OK, &p, end) ||
	    lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE,
					 (const unsigned char *)type,
					 sizeof(type) - 1, &p, end) ||
	    lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CACHE_CONTROL,
					 (const unsigned char *)no_store,
					 sizeof(no_store) - 1, &p, end) ||
	    (r->chunked &&
	     lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING,
					  (const unsigned char *)chunked,
					  sizeof(chunked) - 1, &p, end)))
		return -1;

	return lws_finalize_write_http_header(wsi, start, &p, end);
}

/* a part of the answer, of PART bytes at most; last: nothing follows */
static int
send_part(struct lws *wsi, const struct request *r, const char *part,
	  size_t len, int last)
{
	unsigned char buf[LWS_PRE + 8 + PART + 7], *start = &buf[LWS_PRE];
	size_t n = 0;

	if (r->chunked)
		n = (size_t)lws_snprintf((char *)start, 8, "%x\r\n",
					 (unsigned int)len);
	memcpy(start + n, part, len);
	n += len;
	if (r->chunked) {
		memcpy(start + n, "\r\n0\r\n\r\n", last ? 7 : 2);
		n += last ? 7 : 2;
	}
	/* lws's own is a few seconds */
	lws_set_timeout(wsi, PENDING_TIMEOUT_THREADPOOL_TASK, ANSWER_SECS);

	/* lws keeps what the client does not take now */
	return lws_write(wsi, start, n,
			 last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
			       (int)n ?
		       -1 :
		       0;
}

/* The task's handler, on the service thread, in each WRITEABLE while the task
 * is SYNCING: a part of the thumbnail, until all of it is sent. */
static int
send_thumbnail(struct lws *wsi, void *user)
{
	struct request *r = user;
	const struct image *image = &r->image;
	char part[PART];
	size_t len = 0, left;

	if (!r->begun && begin_answer(wsi, r))
		return -1;
	if (!r->sent)
		len = (size_t)lws_snprintf(part, sizeof(part),
					   "thumbnail %d %d %lu\n",
					   image->width, image->height,
					   (unsigned long)image->png_len);
	left = image->png_len - r->sent;
	if (left > sizeof(part) - len)
		left = sizeof(part) - len;
	memcpy(part + len, image->png + r->sent, left);
	if (send_part(wsi, r, part, len + left, 0))
		return -1;

	r->sent += left;
	if (r->sent < image->png_len) {
		lws_callback_on_writable(wsi);
		return LWS_TP_ON_SYNC_STAY;
	}
	r->sent = 0;

	return LWS_TP_ON_SYNC_RESUME;
}

static int
end_answer(struct lws *wsi, const struct request *r)
{
	/* a thumbnail could not be made: that is no end */
	if (r->image.status || send_part(wsi, r, "end\n", 4, 1))
		return -1;
	if (!r->chunked)
		return -1; /* of HTTP/2: the stream alone */

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* The same when it has ended; cleanup comes next.  It is not called if the
 * client hung up before. */
static int
thumbnails_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct request *r = user;
	const struct http_answer answer = {
		.status = r->image.status,
		.text = r->image.why,
	};

	if (how != LWS_TP_STATUS_FINISHED)
		return r->begun ? -1 : http_stopped(wsi, r->vhd->tp);
	if (r->begun)
		return end_answer(wsi, r);
	if (r->image.status == HTTP_STATUS_SERVICE_UNAVAILABLE)
		return http_busy(wsi, r->vhd->tp, r->image.why, 0);

	return http_answer(wsi, &answer);
}

/* The transaction is pending until the task has ended.  From here on the
 * request is the task's. */
static int
start_task(struct lws *wsi, struct request *r)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_sync = send_thumbnail,
		.on_end = thumbnails_end,
		.queue_ms = r->vhd->queue_ms,
	};
	struct vhd_images *vhd = r->vhd;
	struct lws_threadpool_task_args args;

	memset(&args, 0, sizeof(args));
	args.wsi = wsi;
	args.user = r;
	args.task = thumbnails_task;
	args.cleanup = thumbnails_cleanup;

	if (!lws_threadpool_enqueue_ext(vhd->tp, &args, &options,
					"thumbnails")) {
		/* cleanup won't come: it is still ours */
		request_free(r);
		return http_refused(wsi, vhd->tp);
	}

	/* as long as it may wait in the queue, and then be decoded */
	lws_set_timeout(wsi, PENDING_TIMEOUT_THREADPOOL_TASK, ANSWER_SECS);

	return 0;
}

static int
is_http_1_1(struct lws *wsi)
{
	char version[10];

	return lws_get_network_wsi(wsi) == wsi && /* no stream of HTTP/2 */
	       lws_hdr_copy(wsi, version, sizeof(version), WSI_TOKEN_HTTP) >
		       0 &&
	       !strcmp(version, "HTTP/1.1");
}

/* with room for its upload, which counts from now on */
static struct request *
request_new(struct lws *wsi, struct vhd_images *vhd, size_t len)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->image.file = malloc(len);
	if (!r->image.file) {
		free(r);
		return NULL;
	}
	r->image.max_pixels = vhd->max_pixels;
	r->vhd = vhd;
	r->room = len;
	atomic_fetch_add(&vhd->uploads, len);
	r->deadline = lws_now_usecs() + UPLOAD_SECS * LWS_US_PER_SEC;
	r->chunked = is_http_1_1(wsi);

	return r;
}

/* curl waits for a second before it sends more than a megabyte, unless it is
 * told that somebody wants it */
static int
go_on(struct lws *wsi)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	unsigned char buf[LWS_PRE + sizeof(text)];
	const size_t len = sizeof(text) - 1;

	if (!is_http_1_1(wsi) ||
	    lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_EXPECT) <= 0)
		return 0;
	memcpy(buf + LWS_PRE, text, len);

	return lws_write(wsi, buf + LWS_PRE, len, LWS_WRITE_HTTP_HEADERS) <
			       (int)len ?
		       -1 :
		       0;
}

/* its body comes next */
static int
post(struct lws *wsi, struct vhd_images *vhd, struct pss_images *pss)
{
	const long long len = http_content_length(wsi);

	if (len < 0)
		return http_reject(wsi, HTTP_STATUS_LENGTH_REQUIRED,
				   "how long is it?\n");
	if (!len)
		return http_reject(wsi, HTTP_STATUS_BAD_REQUEST, "nothing\n");
	if ((unsigned long long)len > vhd->max_upload)
		return http_reject(wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE,
				   "too large\n");
	if (atomic_load(&vhd->uploads) + (size_t)len > vhd->all_uploads)
		return http_busy(wsi, vhd->tp, "too many uploads\n", 1);

	pss->request = request_new(wsi, vhd, (size_t)len);

	return pss->request ? go_on(wsi) : -1;
}

static int
request(struct lws *wsi, struct vhd_images *vhd, struct pss_images *pss)
{
	char path[32];

	request_free(pss->request); /* of one before on this connection */
	pss->request = NULL;

	if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_POST_URI) > 0) {
		if (!strcmp(path, "/thumbnails"))
			return post(wsi, vhd, pss);
		return http_reject(wsi, HTTP_STATUS_NOT_FOUND, "not here\n");
	}
	if (lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI) <= 0 ||
	    !strcmp(path, "/thumbnails"))
		return http_reject(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED,
				   "POST /thumbnails, GET /metrics\n");
	if (http_has_body(wsi))
		return http_reject(wsi, HTTP_STATUS_BAD_REQUEST, "a body?\n");
	if (!strcmp(path, "/metrics"))
		return http_metrics(wsi, vhd->tp);

	return http_reject(wsi, HTTP_STATUS_NOT_FOUND, "not here\n");
}

/* lws closes who sends nothing for some seconds, we who sends a little now and
 * then: the room is others' too */
static int
body_part(struct pss_images *pss, const void *in, size_t len)
{
	struct request *r = pss->request;

	if (!r || len > r->room - r->image.size ||
	    lws_now_usecs() > r->deadline)
		return -1;
	memcpy(r->image.file + r->image.size, in, len);
	r->image.size += len;

	return 0;
}

static int
body_whole(struct lws *wsi, struct pss_images *pss)
{
	struct request *r = pss->request;

	pss->request = NULL;

	/* a peer that sends on makes this come more than once */
	return r ? start_task(wsi, r) : 0;
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct lws_threadpool_create_args args;
	struct vhd_images *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;

	vhd->max_upload = (size_t)threadpool_example_number(pvo, "max-upload",
							    DEFAULT_MAX_UPLOAD);
	vhd->all_uploads = (size_t)threadpool_example_number(
		pvo, "all-uploads", DEFAULT_ALL_UPLOADS);
	vhd->max_pixels = (guint64)threadpool_example_number(
		pvo, "max-pixels", DEFAULT_MAX_PIXELS);
	vhd->decode_us = threadpool_example_number(pvo, "decode-ms",
						   DEFAULT_DECODE_MS) *
			 LWS_US_PER_MS;
	vhd->queue_ms = threadpool_example_number(pvo, "queue-ms",
						  DEFAULT_QUEUE_MS);

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	args.max_queue_depth = threadpool_example_number(pvo, "queue-depth",
							 DEFAULT_QUEUE_DEPTH);
	vhd->tp = lws_threadpool_create(lws_get_context(wsi), &args, "images");

	return vhd->tp ? 0 : -1;
}

/*
 * For the program, when it is asked to end: what was accepted is still
 * answered, and nothing new.  Returns whether somebody waits for an answer.
 */
static int
threadpool_images_finish(struct lws_vhost *vhost)
{
	struct vhd_images *vhd = lws_protocol_vh_priv_get(
		vhost, lws_vhost_name_to_protocol(vhost, PROTOCOL_IMAGES));

	return vhd && vhd->tp && lws_threadpool_drain(vhd->tp);
}

static int
callback_images(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	struct vhd_images *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));
	struct pss_images *pss = user;

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
		return request(wsi, vhd, pss);

	case LWS_CALLBACK_HTTP_BODY:
		return body_part(pss, in, len);

	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return body_whole(wsi, pss);

	case LWS_CALLBACK_HTTP_WRITEABLE:
		return lws_threadpool_serve(wsi);

	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
	case LWS_CALLBACK_CLOSED_HTTP: /* with half an upload, maybe */
		if (pss) {
			request_free(pss->request);
			pss->request = NULL;
		}
		return 0;

	default:
		return lws_callback_http_dummy(wsi, reason, user, in, len);
	}
}

#define LWS_PLUGIN_PROTOCOL_THREADPOOL_IMAGES \
	{ \
		.name = PROTOCOL_IMAGES, \
		.callback = callback_images, \
		.per_session_data_size = sizeof(struct pss_images), \
	}
