/*
 * lws-threadpool benchmark - a context, and wsis that cost one fd each
 *
 * SPDX-License-Identifier: MIT
 *
 * A wsi here is an unconnected datagram socket of AF_UNIX, adopted raw: always
 * writeable, never readable, one fd, and nobody at the other end who would cost
 * time.  With rig.files it is an eventfd, adopted as a raw file: the same, but
 * polling it costs less than half.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>
#include <uv.h>

#include "bench.h"

struct rig rig;

static int
callback_bench(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	       void *in, size_t len)
{
	struct rig_wsi *w;

	(void)user;
	(void)in;
	(void)len;

#if !defined(BENCH_BUILTIN)
	if (rig.opt_in || (rig.passing && lws_get_vhost(wsi) == rig.passing))
		lws_threadpool_wsi_event(wsi, reason);
#endif
	if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED && rig.on_cancelled)
		rig.on_cancelled();
	if (reason != LWS_CALLBACK_RAW_WRITEABLE &&
	    reason != LWS_CALLBACK_RAW_WRITEABLE_FILE)
		return 0;
	w = lws_get_opaque_user_data(wsi);

	return w && rig.on_writeable ? rig.on_writeable(w) : 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "bench", .callback = callback_bench },
	{ .name = NULL },
};

struct lws_vhost *
rig_vhost(const char *name)
{
	struct lws_context_creation_info info;
	struct lws_vhost *vhost;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.vhost_name = name;
	vhost = lws_create_vhost(rig.context, &info);
	if (!vhost)
		die("no vhost");

	return vhost;
}

struct lws *
rig_adopt(struct rig_wsi *w)
{
	lws_sock_file_fd_type fd;
	int type;

	if (rig.files) {
		type = LWS_ADOPT_RAW_FILE_DESC;
		fd.filefd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	} else {
		type = LWS_ADOPT_SOCKET;
		fd.sockfd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	}
	if (fd.filefd < 0)
		return NULL;
	w->wsi = lws_adopt_descriptor_vhost(rig.vhost, (lws_adoption_type)type,
					    fd, "bench", NULL);
	if (w->wsi)
		lws_set_opaque_user_data(w->wsi, w);

	return w->wsi;
}

static void
deadline(lws_sorted_usec_list_t *sul)
{
	(void)sul;
	rig.late = true;
	/* this turn goes on to wait, maybe for a timeout of lws's */
	lws_cancel_service(rig.context);
}

void
rig_limit(double secs)
{
	rig.late = false;
	lws_sul_schedule(rig.context, 0, &rig.deadline, deadline,
			 (lws_usec_t)(secs * LWS_US_PER_SEC));
}

void
rig_turn(void)
{
	if (is(opt.evlib, "uv"))
		uv_run(rig.loop, UV_RUN_ONCE);
	else if (is(opt.evlib, "ev"))
		ev_run(rig.loop, EVRUN_ONCE);
	else
		lws_service(rig.context, 0);
}

bool
rig_until(const volatile long *count, long n)
{
	rig_limit(opt.limit);
	while (*count < n && !rig.late)
		rig_turn();
	lws_sul_cancel(&rig.deadline);

	return *count >= n;
}

void
rig_up(long wsis, int (*on_writeable)(struct rig_wsi *w))
{
	struct lws_context_creation_info info;
	void *loops[1];
	static uv_loop_t uv;
	long i;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.vhost_name = "bench";
	info.count_threads = (unsigned int)rig.service_threads;
	if (is(opt.evlib, "uv")) {
		info.options |= LWS_SERVER_OPTION_LIBUV;
		uv_loop_init(&uv);
		rig.loop = &uv;
	} else if (is(opt.evlib, "ev")) {
		info.options |= LWS_SERVER_OPTION_LIBEV;
		rig.loop = ev_loop_new(EVFLAG_AUTO);
	}
	if (rig.loop) {
		loops[0] = rig.loop;
		info.foreign_loops = loops;
	}

	rig.context = lws_create_context(&info);
	if (!rig.context)
		die("no context");
	rig.vhost = lws_get_vhost_by_name(rig.context, "bench");
	rig.on_writeable = on_writeable;
	rig.opt_in = is(opt.who, "opt-in");
	rig.wsis = need((size_t)wsis, sizeof(*rig.wsis));
	rig.n_wsis = wsis;
	for (i = 0; i < wsis; i++) {
		rig.wsis[i].index = i;
		if (!rig_adopt(&rig.wsis[i]))
			die("no wsi after %ld", i);
	}
}

struct lws_threadpool *
rig_pool(int threads, long depth)
{
#if !defined(BENCH_BUILTIN)
	struct lws_threadpool_options options = {
		.size = sizeof(options),
		.sync_spin_us = opt.no_spin ? -1 : 0,
	};
#endif
	struct lws_threadpool_create_args args;
	struct lws_threadpool *tp;

	memset(&args, 0, sizeof(args));
	args.threads = threads;
	args.max_queue_depth = (int)depth;
#if defined(BENCH_BUILTIN)
	tp = lws_threadpool_create(rig.context, &args, "bench");
#else
	tp = lws_threadpool_create_ext(rig.context, &args, &options, "bench");
#endif
	if (!tp)
		die("no pool of %d threads", threads);

	return tp;
}

/* What was given up is left to the end of the process: a peer that hangs must
 * not hang us. */
void
rig_down(struct lws_threadpool *tp)
{
	if (rig.late || rig.loop)
		return;
	if (tp) {
		lws_threadpool_finish(tp);
		lws_threadpool_destroy(tp);
	}
	lws_context_destroy(rig.context);
	free(rig.wsis);
}
