/*
 * minimal-raw-file-threadpool: the protocol of the line
 *
 * SPDX-License-Identifier: MIT
 *
 * Each line of text that comes is a task, which writes a record of it to the
 * disk, and waits until it is there.  The service thread only reads.
 *
 * The tasks have no wsi.  A task of the line's wsi would end with it, and what
 * came before somebody pulled the plug is to be recorded, too.  Their key is
 * the output, so that the records keep their order.
 *
 * "queue" records may wait.  Then nothing is read until there is room, and the
 * kernel stops the sender: with a FIFO it waits; a serial line needs RTS and
 * CTS for that.
 *
 * Per-vhost options: "file", "baud", "rts-cts", "output", "threads", "queue"
 * and "wait".
 */

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lws-threadpool.h>

#include "line.h"
#include "record.h"
#include "threadpool-example.h" /* for the number of an option */

#define PROTOCOL_RAW_FILE "lws-threadpool-raw-file"

/* used where the vhost has no option that says otherwise */
#define DEFAULT_FILE	"/dev/ttyUSB0"
#define DEFAULT_BAUD	9600
#define DEFAULT_THREADS 1
#define DEFAULT_QUEUE	100
#define DEFAULT_WAIT_MS 2000

#define BUFFER_SIZE	4096 /* of what was read and not yet taken */
#define OPEN_AGAIN_US	(LWS_US_PER_SEC / 2)
#define MEMORY_AGAIN_US (LWS_US_PER_SEC / 10)

/* one of these for each vhost that has the protocol: the service thread's */
struct vhd_raw_file {
	struct lws_context *context;
	struct lws_vhost *vhost;
	struct lws_threadpool *tp;
	struct lws *wsi; /* of the line, or NULL */
	int fd;
	const char *path;
	int baud, rts_cts;
	const char *why_not;  /* it is not open: said already */
	struct output output; /* its tasks' */
	int queue;
	int waiting; /* records, that have a task */
	int wait_ms;
	atomic_uint lost; /* any thread's */
	char ending;
	lws_sorted_usec_list_t open_sul;   /* when to open the line */
	lws_sorted_usec_list_t wait_sul;   /* no more comes of this line */
	lws_sorted_usec_list_t memory_sul; /* memory was short */
	size_t len;
	char buffer[BUFFER_SIZE];
};

static void
go_on(struct vhd_raw_file *vhd);

/* once for each task that was accepted, however it ended, on any thread */
static void
record_cleanup(struct lws *wsi, void *user)
{
	struct record *record = user;
	struct vhd_raw_file *vhd = record->owner;

	(void)wsi;

	if (lws_threadpool_end_status() == LWS_TP_STATUS_STOPPED)
		atomic_fetch_add(&vhd->lost, 1);
	free(record);
}

/* The task's handler: on the service thread, as it never had a wsi. */
static int
record_end(struct lws *wsi, void *user, enum lws_threadpool_task_status how)
{
	struct record *record = user;
	struct vhd_raw_file *vhd = record->owner;

	(void)wsi;
	(void)how;

	vhd->waiting--;
	go_on(vhd); /* there is room for one more */

	return 0;
}

/* returns 0, or -1: try again later */
static int
start_record(struct vhd_raw_file *vhd, const char *line, size_t len, int whole)
{
	const struct lws_threadpool_task_options options = {
		.size = sizeof(options),
		.on_end = record_end,
		.key = &vhd->output,
		.key_max = 1,
	};
	struct lws_threadpool_task_args args;
	struct record *record = calloc(1, sizeof(*record));

	if (!record)
		return -1;
	record->output = &vhd->output;
	record->owner = vhd;
	clock_gettime(CLOCK_REALTIME, &record->came);
	record->whole = whole;
	record->len = len;
	memcpy(record->line, line, len);

	memset(&args, 0, sizeof(args));
	args.user = record;
	args.task = record_task;
	args.cleanup = record_cleanup;
	vhd->waiting++;
	if (lws_threadpool_enqueue_ext(vhd->tp, &args, &options, "record"))
		return 0;
	vhd->waiting--;
	free(record); /* refused: it is still ours */

	return -1;
}

/* How many bytes of what was read are the next record, 0 if more has to come
 * first.  *text are those without the newline.  It is not whole if the line is
 * too long, or all is to be taken. */
static size_t
next_record(const char *at, size_t len, int all, size_t *text, int *whole)
{
	const char *newline = memchr(at, '\n', len);
	size_t n = newline ? (size_t)(newline - at) : len;

	*whole = newline && n <= RECORD_MAX_LINE;
	*text = n < RECORD_MAX_LINE ? n : RECORD_MAX_LINE;
	if (*whole) {
		if (n && at[n - 1] == '\r')
			--*text;
		return n + 1;
	}
	/* of one that is as long as may be the newline may follow */
	if (n > RECORD_MAX_LINE || all)
		return *text;

	return 0;
}

static void
memory_again(lws_sorted_usec_list_t *sul)
{
	go_on(lws_container_of(sul, struct vhd_raw_file, memory_sul));
}

/* Gives a task to each record of what was read, while there is room; all: to
 * the beginning of a line, too.  Returns 1 if there is room for more. */
static int
take_lines(struct vhd_raw_file *vhd, int all)
{
	size_t at = 0, bytes, text;
	int whole, room = 1;

	while ((bytes = next_record(vhd->buffer + at, vhd->len - at, all, &text,
				    &whole))) {
		room = vhd->waiting < vhd->queue || vhd->ending;
		if (!room)
			break;
		if (start_record(vhd, vhd->buffer + at, text, whole)) {
			lws_sul_schedule(vhd->context, 0, &vhd->memory_sul,
					 memory_again, MEMORY_AGAIN_US);
			room = 0;
			break;
		}
		at += bytes;
	}
	vhd->len -= at;
	memmove(vhd->buffer, vhd->buffer + at, vhd->len);

	return room;
}

static void
no_more_comes(lws_sorted_usec_list_t *sul)
{
	struct vhd_raw_file *vhd = lws_container_of(sul, struct vhd_raw_file,
						    wait_sul);

	if (!take_lines(vhd, 1)) /* when there is room, then */
		lws_sul_schedule(vhd->context, 0, &vhd->wait_sul, no_more_comes,
				 vhd->wait_ms * LWS_US_PER_MS);
}

/* After something was read, or there is room again.  Of a line that has hung up
 * no more comes. */
static void
go_on(struct vhd_raw_file *vhd)
{
	int room = take_lines(vhd, !vhd->wsi);

	if (vhd->len)
		lws_sul_schedule(vhd->context, 0, &vhd->wait_sul, no_more_comes,
				 vhd->wait_ms * LWS_US_PER_MS);
	else
		lws_sul_cancel(&vhd->wait_sul);
	if (vhd->wsi)
		lws_rx_flow_control(vhd->wsi, room && !vhd->ending);
}

/* returns 0, or -1: the line has hung up */
static int
read_line(struct vhd_raw_file *vhd)
{
	ssize_t n;

	/* we come here once more after the reading was stopped, too */
	if (vhd->len == sizeof(vhd->buffer))
		return 0;
	n = read(vhd->fd, vhd->buffer + vhd->len,
		 sizeof(vhd->buffer) - vhd->len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (!n)
		return -1;
	vhd->len += (size_t)n;
	go_on(vhd);

	return 0;
}

/* one that no wsi has: lws closes those */
static void
close_line(struct vhd_raw_file *vhd)
{
	if (!vhd->wsi && vhd->fd >= 0)
		close(vhd->fd);
	vhd->fd = -1;
}

static void
open_line(lws_sorted_usec_list_t *sul)
{
	struct vhd_raw_file *vhd = lws_container_of(sul, struct vhd_raw_file,
						    open_sul);
	lws_sock_file_fd_type fd;
	const char *why;
	int hopeless;

	/* what the line said last is not the beginning of what it says next */
	if (vhd->len) {
		lws_sul_schedule(vhd->context, 0, &vhd->open_sul, open_line,
				 OPEN_AGAIN_US);
		return;
	}
	if (vhd->fd < 0) /* else open_files() has opened it */
		vhd->fd = line_open(vhd->path, vhd->baud, vhd->rts_cts, &why,
				    &hopeless);
	if (vhd->fd >= 0) {
		fd.filefd = vhd->fd;
		if (lws_adopt_descriptor_vhost(vhd->vhost,
					       LWS_ADOPT_RAW_FILE_DESC, fd,
					       PROTOCOL_RAW_FILE, NULL))
			return;
		why = "lws does not take it";
		close_line(vhd);
	}
	if (!vhd->why_not || strcmp(why, vhd->why_not))
		lwsl_user("%s: %s: trying again\n", vhd->path, why);
	vhd->why_not = why;
	lws_sul_schedule(vhd->context, 0, &vhd->open_sul, open_line,
			 OPEN_AGAIN_US);
}

static int
line_is_open(struct lws *wsi, struct vhd_raw_file *vhd)
{
	/* Here the library first meets a wsi of this context, and hears of the
	 * tasks' ends from now on: they have none. */
	if (!lws_threadpool_wsi_handle(vhd->tp, wsi))
		return -1;
	vhd->wsi = wsi;
	vhd->why_not = NULL;
	lwsl_user("%s is open\n", vhd->path);
	go_on(vhd);

	return 0;
}

static void
line_is_closed(struct vhd_raw_file *vhd)
{
	vhd->wsi = NULL;
	vhd->fd = -1; /* lws closes it */
	if (vhd->ending)
		return;
	lwsl_user("%s has hung up\n", vhd->path);
	lws_sul_schedule(vhd->context, 0, &vhd->open_sul, open_line,
			 OPEN_AGAIN_US);
	if (vhd->len)
		lws_sul_schedule(vhd->context, 0, &vhd->wait_sul, no_more_comes,
				 1);
}

static const char *
text_option(const struct lws_protocol_vhost_options *pvo, const char *name,
	    const char *otherwise)
{
	const struct lws_protocol_vhost_options *o = lws_pvo_search(pvo, name);

	return o && o->value ? o->value : otherwise;
}

static int
open_files(struct vhd_raw_file *vhd, const char *output)
{
	const char *why;
	int hopeless;

	/* kept until it is adopted: each open of a serial line may reset what
	 * is at its other end */
	vhd->fd = line_open(vhd->path, vhd->baud, vhd->rts_cts, &why,
			    &hopeless);
	if (vhd->fd < 0 && hopeless) {
		lwsl_err("%s: %s\n", vhd->path, why);
		return -1;
	}
	if (!output_open(&vhd->output, output))
		return 0;
	lwsl_err("%s: %s\n", output, strerror(errno));
	close_line(vhd);

	return -1;
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct lws_threadpool_create_args args;
	struct vhd_raw_file *vhd;

	vhd = lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi),
					  lws_get_protocol(wsi), sizeof(*vhd));
	if (!vhd)
		return -1;
	vhd->context = lws_get_context(wsi);
	vhd->vhost = lws_get_vhost(wsi);
	vhd->path = text_option(pvo, "file", DEFAULT_FILE);
	vhd->baud = threadpool_example_number(pvo, "baud", DEFAULT_BAUD);
	vhd->rts_cts = threadpool_example_number(pvo, "rts-cts", 0);
	vhd->queue = threadpool_example_number(pvo, "queue", DEFAULT_QUEUE);
	vhd->wait_ms = threadpool_example_number(pvo, "wait", DEFAULT_WAIT_MS);
	if (open_files(vhd, text_option(pvo, "output", NULL)))
		return -1;

	memset(&args, 0, sizeof(args));
	args.threads = threadpool_example_number(pvo, "threads",
						 DEFAULT_THREADS);
	/* at the end all that was read, whatever it is, has room */
	args.max_queue_depth = vhd->queue + BUFFER_SIZE;
	vhd->tp = lws_threadpool_create(vhd->context, &args, "records");
	if (!vhd->tp) {
		close_line(vhd);
		output_close(&vhd->output);
		return -1;
	}
	lws_sul_schedule(vhd->context, 0, &vhd->open_sul, open_line, 1);

	return 0;
}

static void
destroy_vhost(struct vhd_raw_file *vhd)
{
	lws_sul_cancel(&vhd->open_sul);
	lws_sul_cancel(&vhd->wait_sul);
	lws_sul_cancel(&vhd->memory_sul);
	if (!vhd->tp)
		return;
	close_line(vhd);
	lws_threadpool_destroy(vhd->tp);
	output_close(&vhd->output);
	if (atomic_load(&vhd->lost))
		lwsl_err("%u records could not be written in time\n",
			 atomic_load(&vhd->lost));
}

/*
 * For the program, when it is asked to end: nothing more is read, and what was
 * is recorded.  Returns how many records are not yet.
 */
static int
threadpool_raw_file_finish(struct lws_vhost *vhost)
{
	struct vhd_raw_file *vhd = lws_protocol_vh_priv_get(
		vhost, lws_vhost_name_to_protocol(vhost, PROTOCOL_RAW_FILE));

	if (!vhd || !vhd->tp)
		return 0;
	if (!vhd->ending) {
		vhd->ending = 1;
		lws_sul_cancel(&vhd->open_sul);
		lws_sul_cancel(&vhd->wait_sul);
		if (vhd->wsi)
			lws_rx_flow_control(vhd->wsi, 0);
		take_lines(vhd, 1);
	}

	return lws_threadpool_drain(vhd->tp);
}

static int
callback_raw_file(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		  void *in, size_t len)
{
	struct vhd_raw_file *vhd = lws_protocol_vh_priv_get(
		lws_get_vhost(wsi), lws_get_protocol(wsi));

	(void)user;
	(void)len;

	if (reason == LWS_CALLBACK_PROTOCOL_INIT)
		return init_vhost(wsi, in);
	if (!vhd)
		return 0;

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_DESTROY:
		destroy_vhost(vhd);
		break;

	case LWS_CALLBACK_RAW_ADOPT_FILE:
		return line_is_open(wsi, vhd);

	case LWS_CALLBACK_RAW_RX_FILE:
		return read_line(vhd);

	case LWS_CALLBACK_RAW_CLOSE_FILE:
		line_is_closed(vhd);
		break;

	default:
		break;
	}

	return 0;
}

#define LWS_PLUGIN_PROTOCOL_THREADPOOL_RAW_FILE \
	{ \
		.name = PROTOCOL_RAW_FILE, \
		.callback = callback_raw_file, \
	}
