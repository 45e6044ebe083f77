/*
 * minimal-ws-server-threadpool-live: the ws protocol
 *
 * SPDX-License-Identifier: MIT
 *
 * A client asks for a view, and gets each tile of it twice, first a coarse one.
 * Each tile is a task.  Another view, or the end of the connection, stops those
 * that are left.
 *
 * A client also says how many tiles it can take ("more"): without such credit
 * its tasks stay SYNCING, which takes no thread.
 *
 * Here is what a connection may say, when it is sent something, and the pool.
 * What is done with tasks is in viewer.c.
 */

#include "protocol_lws_threadpool_live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"
#include "viewer.h"

#define MAX_CONNECTIONS	  64
#define MAX_CREDIT	  (4 * TILES)
#define SYNC_TIMEOUT_SECS 120 /* a client that takes nothing */
#define TICK_US		  (50 * LWS_US_PER_MS)
#define POOL_LIFE_US	  (500 * LWS_US_PER_MS) /* at least */

const struct threadpool_live_place *threadpool_live_place;

/* one of these for each vhost */
struct vhd {
	struct lws_context *context;
	struct lws_threadpool *tp;
	struct lws_threadpool *old; /* its last tasks are ending */
	struct viewer *connections;
	lws_sorted_usec_list_t tick;
	lws_usec_t made; /* when tp was */
	struct pace pace;
	unsigned int pool;   /* tp's number */
	unsigned int number; /* of the last connection */
	int open;	     /* connections */
	int threads, threads_asked;
	char ending;
	size_t news_len; /* the last snapshot */
	unsigned char news[LWS_PRE + SNAPSHOT_SIZE];
	char next_news[SNAPSHOT_SIZE];
};

static struct lws_threadpool *
make_pool(struct vhd *vhd, int threads)
{
	const struct lws_threadpool_create_args args = {
		.threads = threads,
		.max_queue_depth = MAX_CONNECTIONS * TILES,
	};
	const struct lws_threadpool_options options = {
		.size = sizeof(options),
		.sync_timeout_secs = SYNC_TIMEOUT_SECS,
	};
	struct lws_threadpool *tp = lws_threadpool_create_ext(
		vhd->context, &args, &options, "live%u", vhd->pool + 1);

	if (tp) {
		vhd->pool++;
		vhd->made = lws_now_usecs();
	}

	return tp;
}

/*
 * A pool has its number of threads for life.  So another number is another
 * pool: the tiles that are not complete begin again in it, and the old one goes
 * when its tasks have heard of their end.  Nobody waits for that.
 */
static void
change_pool(struct vhd *vhd)
{
	struct lws_threadpool *tp;
	struct viewer *viewer;

	if (vhd->old && !lws_threadpool_drain(vhd->old)) {
		lws_threadpool_destroy(vhd->old);
		vhd->old = NULL;
	}
	if (vhd->old || vhd->ending || vhd->threads == vhd->threads_asked ||
	    lws_now_usecs() - vhd->made < POOL_LIFE_US)
		return;

	tp = make_pool(vhd, vhd->threads_asked);
	if (!tp) {
		vhd->threads_asked = vhd->threads;
		return;
	}
	vhd->old = vhd->tp;
	vhd->tp = tp;
	vhd->threads = vhd->threads_asked;
	for (viewer = vhd->connections; viewer; viewer = viewer->next)
		viewer_stop(viewer);
}

/* those who watch get a snapshot if anything is new */
static void
make_news(struct vhd *vhd)
{
	unsigned char *news = vhd->news + LWS_PRE;
	struct viewer *viewer;
	size_t len;

	len = snapshot(vhd->tp, vhd->pool, vhd->next_news, SNAPSHOT_SIZE);
	if (!len ||
	    (len == vhd->news_len && !memcmp(news, vhd->next_news, len)))
		return;

	memcpy(news, vhd->next_news, len);
	vhd->news_len = len;
	for (viewer = vhd->connections; viewer; viewer = viewer->next)
		if (viewer->watches) {
			viewer->due = 1;
			lws_callback_on_writable(viewer->wsi);
		}
}

/* while there are connections */
static void
on_tick(lws_sorted_usec_list_t *sul)
{
	struct vhd *vhd = lws_container_of(sul, struct vhd, tick);
	struct viewer *viewer;

	change_pool(vhd);
	for (viewer = vhd->connections; viewer && !vhd->ending;
	     viewer = viewer->next)
		if (viewer->is_asked)
			viewer_begin(viewer, vhd->tp);
		else
			viewer_start(viewer, vhd->tp);
	make_news(vhd);

	if (vhd->open || vhd->old)
		lws_sul_schedule(vhd->context, 0, &vhd->tick, on_tick, TICK_US);
}

static int
is_view(const struct view *view)
{
	return isfinite(view->re) && isfinite(view->im) &&
	       isfinite(view->span) && fabs(view->re) <= 4 &&
	       fabs(view->im) <= 4 && view->span >= 1e-12 && view->span <= 8;
}

/* What clients may say.  Returns 0, or -1 if it is none of that. */
static int
obey(struct vhd *vhd, struct viewer *viewer, const char *text)
{
	unsigned int n;
	struct view v;
	char c;

	if (sscanf(text, "view %9u %lf %lf %lf%c", &v.number, &v.re, &v.im,
		   &v.span, &c) == 4 &&
	    is_view(&v)) {
		/* not at once: who asks for many gets the last */
		viewer->asked = v;
		viewer->is_asked = 1;
		return 0;
	}
	if (sscanf(text, "more %3u%c", &n, &c) == 1) {
		viewer->credit += n < MAX_CREDIT - viewer->credit ?
					  n :
					  MAX_CREDIT - viewer->credit;
		lws_callback_on_writable(viewer->wsi);
		return 0;
	}
	if (sscanf(text, "threads %2u%c", &n, &c) == 1 && n &&
	    n <= THREADPOOL_LIVE_MAX_THREADS) {
		/* elsewhere, threads here are not what counts */
		if (!threadpool_live_place)
			vhd->threads_asked = (int)n;
		return 0;
	}
	if (!strcmp(text, "kill") && threadpool_live_place) {
		threadpool_live_place->kill();
		return 0;
	}
	if (!strcmp(text, "watch")) {
		viewer->watches = 1;
		viewer->due = !!vhd->news_len;
		lws_callback_on_writable(viewer->wsi);
		return 0;
	}

	return -1;
}

/* no more of it: neither from a tick nor from a task */
static void
forget(struct vhd *vhd, struct viewer *viewer)
{
	struct viewer **p;

	for (p = &vhd->connections; *p; p = &(*p)->next)
		if (*p == viewer) {
			*p = viewer->next;
			return;
		}
}

/* Close, with a reason.  lws may take a while, for the client's answer, with
 * WRITEABLEs that nothing may be sent in. */
static int
leave(struct vhd *vhd, struct viewer *viewer, enum lws_close_status why)
{
	viewer->left = 1;
	viewer_stop(viewer);
	forget(vhd, viewer);
	lws_close_reason(viewer->wsi, why, NULL, 0);

	return -1;
}

/* A message may come in parts. */
static int
receive(struct vhd *vhd, struct viewer *viewer, const void *in, size_t len)
{
	if (lws_frame_is_binary(viewer->wsi))
		return leave(vhd, viewer, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE);
	if (len > MAX_MESSAGE - viewer->said_len)
		return leave(vhd, viewer, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE);

	if (len)
		memcpy(viewer->said + viewer->said_len, in, len);
	viewer->said_len += len;
	if (!lws_is_final_fragment(viewer->wsi))
		return 0;

	viewer->said[viewer->said_len] = '\0';
	len = strlen(viewer->said);
	if (len != viewer->said_len || obey(vhd, viewer, viewer->said))
		return leave(vhd, viewer, LWS_CLOSE_STATUS_POLICY_VIOLATION);
	viewer->said_len = 0;

	return 0;
}

static int
greet(struct vhd *vhd, struct viewer *viewer)
{
	char workers[32] = "";

	if (threadpool_live_place)
		lws_snprintf(workers, sizeof(workers), ",\"workers\":%d",
			     threadpool_live_place->workers());

	return viewer_send_text(viewer->wsi,
				"{\"you\":%u,\"tile\":%d,"
				"\"columns\":%d,\"rows\":%d,"
				"\"iterations\":%d,\"threads\":%d,"
				"\"max_threads\":%d%s}",
				viewer->number, TILE, COLUMNS, ROWS, ITERATIONS,
				vhd->threads_asked, THREADPOOL_LIVE_MAX_THREADS,
				workers);
}

/* One message for each WRITEABLE.  Who has sent something else than a tile asks
 * for another one, so that the tiles have theirs. */
static int
writeable(struct vhd *vhd, struct viewer *viewer)
{
	if (viewer->left)
		return 0;
	if (vhd->ending && !viewer->tasks)
		return leave(vhd, viewer, LWS_CLOSE_STATUS_GOINGAWAY);
	if (!viewer->greeted) {
		viewer->greeted = 1;
		lws_callback_on_writable(viewer->wsi);
		return greet(vhd, viewer);
	}
	if (viewer->due) {
		viewer->due = 0;
		lws_callback_on_writable(viewer->wsi);
		return lws_write(viewer->wsi, vhd->news + LWS_PRE,
				 vhd->news_len,
				 LWS_WRITE_TEXT) < (int)vhd->news_len ?
			       -1 :
			       0;
	}

	return lws_threadpool_serve(viewer->wsi);
}

static int
opened(struct vhd *vhd, struct viewer *viewer, struct lws *wsi)
{
	if (vhd->ending || vhd->open == MAX_CONNECTIONS)
		return -1;

	viewer->wsi = wsi;
	viewer->pace = vhd->pace;
	viewer->number = ++vhd->number;
	viewer->next = vhd->connections;
	vhd->connections = viewer;
	vhd->open++;
	lws_callback_on_writable(wsi);
	if (vhd->open == 1)
		lws_sul_schedule(vhd->context, 0, &vhd->tick, on_tick, TICK_US);

	return 0;
}

static void
closed(struct vhd *vhd, struct viewer *viewer)
{
	if (!viewer->wsi) /* it was one too many */
		return;
	forget(vhd, viewer);
	vhd->open--;
}

static int
pvo_number(const struct lws_protocol_vhost_options *pvo, const char *name,
	   int otherwise)
{
	const struct lws_protocol_vhost_options *o = lws_pvo_search(pvo, name);

	return o ? atoi(o->value) : otherwise;
}

static int
init_vhost(struct lws *wsi, const struct lws_protocol_vhost_options *pvo)
{
	struct vhd *vhd = lws_protocol_vh_priv_zalloc(
		lws_get_vhost(wsi), lws_get_protocol(wsi), sizeof(*vhd));

	if (!vhd)
		return -1;

	vhd->context = lws_get_context(wsi);
	vhd->pace.row_us = (unsigned int)pvo_number(pvo, "row-us", 1000);
	vhd->pace.park_ms = (unsigned int)pvo_number(pvo, "park-ms", 500);
	vhd->threads = pvo_number(pvo, "threads", 3);
	vhd->threads_asked = vhd->threads;
	vhd->tp = make_pool(vhd, vhd->threads);
	if (!vhd->tp)
		return -1;

	return threadpool_live_place ?
		       threadpool_live_place->begin(vhd->tp, pvo) :
		       0;
}

static void
destroy_vhost(struct vhd *vhd)
{
	lws_sul_cancel(&vhd->tick);
	if (threadpool_live_place)
		threadpool_live_place->end();
	if (vhd->old)
		lws_threadpool_destroy(vhd->old);
	if (vhd->tp)
		lws_threadpool_destroy(vhd->tp);
}

int
threadpool_live_finish(struct lws_vhost *vhost)
{
	struct vhd *vhd = lws_protocol_vh_priv_get(
		vhost, lws_vhost_name_to_protocol(vhost, THREADPOOL_LIVE_NAME));
	struct viewer *viewer;

	if (!vhd || !vhd->tp)
		return 0;
	if (!vhd->ending) {
		vhd->ending = 1;
		lws_threadpool_finish(vhd->tp);
		for (viewer = vhd->connections; viewer; viewer = viewer->next)
			lws_callback_on_writable(viewer->wsi);
	}

	return !!vhd->open;
}

static int
callback_threadpool_live(struct lws *wsi, enum lws_callback_reasons reason,
			 void *user, void *in, size_t len)
{
	struct vhd *vhd = lws_protocol_vh_priv_get(lws_get_vhost(wsi),
						   lws_get_protocol(wsi));

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT:
		return init_vhost(wsi, in);

	case LWS_CALLBACK_PROTOCOL_DESTROY:
		if (vhd)
			destroy_vhost(vhd);
		break;

	case LWS_CALLBACK_ESTABLISHED:
		/* no pool: lws goes on if INIT fails */
		return vhd && vhd->tp ? opened(vhd, user, wsi) : -1;

	case LWS_CALLBACK_CLOSED:
		if (vhd) /* its tasks are gone, or told to stop */
			closed(vhd, user);
		break;

	case LWS_CALLBACK_RECEIVE:
		return vhd && !((struct viewer *)user)->left ?
			       receive(vhd, user, in, len) :
			       -1;

	case LWS_CALLBACK_SERVER_WRITEABLE:
		return vhd ? writeable(vhd, user) : -1;

	default:
		break;
	}

	return 0;
}

const struct lws_protocols threadpool_live_protocol = {
	.name = THREADPOOL_LIVE_NAME,
	.callback = callback_threadpool_live,
	.per_session_data_size = sizeof(struct viewer),
	.rx_buffer_size = MAX_MESSAGE,
};
