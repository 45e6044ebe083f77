/*
 * lws-threadpool - a program that opens the shared library by dlopen()
 *
 * SPDX-License-Identifier: MIT
 *
 * scripts/test-matrix builds it with a libc that has no thread-local data to
 * spare for such libraries.  A task streams to a socket, is told of its close,
 * and the library is closed again while the context lives on.
 */

#include <libwebsockets.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARTS 100

#define POINTER(name) static __typeof__(&lws_threadpool_##name) name
POINTER(create);
POINTER(destroy);
POINTER(enqueue);
POINTER(get_task_wsi);
POINTER(task_status);
POINTER(task_sync);

static struct lws_threadpool *tp;
static int fds[2]; /* lws's, and the peer's */
static int sent, stopped, closed;
static atomic_int cleanups;

static enum lws_threadpool_task_return
stream(void *user, enum lws_threadpool_task_status s)
{
	(void)user;
	if (s != LWS_TP_STATUS_RUNNING) {
		stopped++;
		return LWS_TP_RETURN_STOPPED;
	}

	return LWS_TP_RETURN_SYNC;
}

static void
cleanup(struct lws *wsi, void *user)
{
	(void)wsi;
	(void)user;
	atomic_fetch_add(&cleanups, 1);
}

static int
writeable(struct lws *wsi)
{
	struct lws_threadpool_task *task = get_task_wsi(wsi);
	unsigned char part[LWS_PRE + 1] = { 0 };

	if (!task || task_status(task, NULL) != LWS_TP_STATUS_SYNCING ||
	    sent == PARTS)
		return 0;
	if (lws_write(wsi, part + LWS_PRE, 1, LWS_WRITE_RAW) != 1)
		return -1;
	if (read(fds[1], part, 1) == 1)
		sent++;
	if (sent < PARTS)
		task_sync(task, 0);

	return 0;
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	struct lws_threadpool_task_args args = { 0 };

	(void)user;
	(void)in;
	(void)len;
	switch (reason) {
	case LWS_CALLBACK_RAW_ADOPT:
		args.wsi = wsi;
		args.task = stream;
		args.cleanup = cleanup;
		return enqueue(tp, &args, "stream") ? 0 : -1;
	case LWS_CALLBACK_RAW_WRITEABLE:
		return writeable(wsi);
	case LWS_CALLBACK_RAW_CLOSE:
		closed = 1;
		return 0;
	default:
		return 0;
	}
}

/* false: it lacks one */
static int
open_library(void *library)
{
	static const struct {
		const char *name;
		void *to;
	} all[] = {
		{ "lws_threadpool_create", &create },
		{ "lws_threadpool_destroy", &destroy },
		{ "lws_threadpool_enqueue", &enqueue },
		{ "lws_threadpool_get_task_wsi", &get_task_wsi },
		{ "lws_threadpool_task_status", &task_status },
		{ "lws_threadpool_task_sync", &task_sync },
	};
	void *symbol;
	size_t n;

	for (n = 0; n < LWS_ARRAY_SIZE(all); n++) {
		symbol = dlsym(library, all[n].name);
		if (!symbol)
			return 0;
		memcpy(all[n].to, &symbol, sizeof(symbol));
	}

	return 1;
}

static int
serve(struct lws_context *context)
{
	struct lws_threadpool_create_args args = { .threads = 2,
						   .max_queue_depth = 8 };

	tp = create(context, &args, "opened");
	if (!tp || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) ||
	    !lws_adopt_descriptor_vhost(
		    lws_get_vhost_by_name(context, "default"), LWS_ADOPT_SOCKET,
		    (lws_sock_file_fd_type)fds[0], "raw", NULL))
		return 0;
	while (sent < PARTS && lws_service(context, 0) >= 0)
		;
	close(fds[1]);
	while (!closed && lws_service(context, 0) >= 0)
		;
	destroy(tp);

	return 1;
}

int
main(int argc, char **argv)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "raw", .callback = callback },
		{ .name = NULL },
	};
	struct lws_context_creation_info info = { 0 };
	struct lws_context *context;
	void *library;

	alarm(60);
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	context = lws_create_context(&info);
	library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!context || !library || !open_library(library)) {
		fprintf(stderr, "opened: %s\n",
			library ? "no context, or not "
				  "all of the library" :
				  dlerror());
		return 1;
	}
	if (!serve(context) || dlclose(library))
		return 1;
	lws_cancel_service(context);
	lws_service(context, 0);
	lws_context_destroy(context);

	printf("opened: %d parts, %d stopped, %d cleanup\n", sent, stopped,
	       atomic_load(&cleanups));

	return sent != PARTS || stopped != 1 || atomic_load(&cleanups) != 1;
}
