/*
 * lws-threadpool unit tests - the event library that the contexts run on
 *
 * SPDX-License-Identifier: MIT
 *
 * All of it belongs to the service thread.  The libraries stay loaded: not all
 * of them can be unloaded.
 */

#include "harness.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct evlib {
	const char *name;
	const char *file;
	uint64_t option;
	void *(*make)(void *lib);
	void (*turn)(void *lib, void *loop, bool wait);
	bool (*alive)(void *lib, void *loop); /* NULL: is no help */
	void (*end)(void *lib, void *loop);
};

struct evloop {
	const struct evlib *lib;
	void *handle; /* of the loaded library */
	void *loop;
	void *foreign[1];	     /* what lws reads it from */
	struct lws_context *context; /* lws sets it NULL at the end */
};

static void *
need(void *handle, const char *symbol)
{
	void *p = dlsym(handle, symbol);

	if (!p) {
		fprintf(stderr, "LWSTP_UNIT_EVLIB: %s\n", dlerror());
		exit(1);
	}

	return p;
}

/* Sets the function pointer f to the library's function of that name. */
#define NEED(f, handle, symbol) \
	do { \
		void *p_ = need(handle, symbol); \
		memcpy(&f, &p_, sizeof(p_)); \
	} while (0)

/* -------- libuv -------- */

static void *
uv_make(void *handle)
{
	size_t (*size)(void);
	int (*init)(void *loop);
	void *loop;

	NEED(size, handle, "uv_loop_size");
	NEED(init, handle, "uv_loop_init");
	loop = calloc(1, size());
	if (!loop || init(loop)) {
		fprintf(stderr, "uv_loop_init() failed\n");
		exit(1);
	}

	return loop;
}

static void
uv_turn(void *handle, void *loop, bool wait)
{
	int (*run)(void *loop, int mode);

	NEED(run, handle, "uv_run");
	run(loop, wait ? 1 /* UV_RUN_ONCE */ : 2 /* UV_RUN_NOWAIT */);
}

static bool
uv_alive(void *handle, void *loop)
{
	int (*alive)(const void *loop);

	NEED(alive, handle, "uv_loop_alive");

	return alive(loop);
}

static void
uv_end(void *handle, void *loop)
{
	int (*close_loop)(void *loop);

	NEED(close_loop, handle, "uv_loop_close");
	if (close_loop(loop))
		fprintf(stderr, "handles were left in the uv loop\n");
	free(loop);
}

/* -------- libev -------- */

static void *
ev_make(void *handle)
{
	void *(*make)(unsigned int flags);

	NEED(make, handle, "ev_loop_new");

	return make(0);
}

static void
ev_turn(void *handle, void *loop, bool wait)
{
	int (*run)(void *loop, int flags);

	NEED(run, handle, "ev_run");
	run(loop, wait ? 2 /* EVRUN_ONCE */ : 1 /* EVRUN_NOWAIT */);
}

static void
ev_end(void *handle, void *loop)
{
	void (*end)(void *loop);

	NEED(end, handle, "ev_loop_destroy");
	end(loop);
}

/* -------- glib -------- */

static void *
glib_make(void *handle)
{
	void *(*make_context)(void);
	void *(*make_loop)(void *context, int running);
	void (*unref)(void *context);
	void *context, *loop;

	NEED(make_context, handle, "g_main_context_new");
	NEED(make_loop, handle, "g_main_loop_new");
	NEED(unref, handle, "g_main_context_unref");
	context = make_context();
	loop = make_loop(context, 0);
	unref(context);

	return loop;
}

static void
glib_turn(void *handle, void *loop, bool wait)
{
	void *(*context_of)(void *loop);
	int (*turn)(void *context, int wait);

	NEED(context_of, handle, "g_main_loop_get_context");
	NEED(turn, handle, "g_main_context_iteration");
	turn(context_of(loop), wait);
}

static void
glib_end(void *handle, void *loop)
{
	void (*unref)(void *loop);

	NEED(unref, handle, "g_main_loop_unref");
	unref(loop);
}

/* -------- any of them -------- */

static const struct evlib evlibs[] = {
	{ "uv", "libuv.so.1", LWS_SERVER_OPTION_LIBUV, uv_make, uv_turn,
	  uv_alive, uv_end },
	{ "ev", "libev.so.4", LWS_SERVER_OPTION_LIBEV, ev_make, ev_turn, NULL,
	  ev_end },
	{ "glib", "libglib-2.0.so.0", LWS_SERVER_OPTION_GLIB, glib_make,
	  glib_turn, NULL, glib_end },
};

static const char *
evlib_name(void)
{
	const char *name = getenv("LWSTP_UNIT_EVLIB");

	return name && *name ? name : "poll";
}

bool
evloop_is(const char *name)
{
	return !strcmp(evlib_name(), name);
}

/* NULL for lws's own */
static struct evloop *
make_loop(void)
{
	const char *name = evlib_name();
	struct evloop *loop;
	size_t n = 0;

	if (evloop_is("poll"))
		return NULL;
	while (n < LWS_ARRAY_SIZE(evlibs) && strcmp(evlibs[n].name, name))
		n++;
	loop = calloc(1, sizeof(*loop));
	if (!loop || n == LWS_ARRAY_SIZE(evlibs)) {
		fprintf(stderr, "LWSTP_UNIT_EVLIB=%s is none of uv, ev, glib\n",
			name);
		exit(1);
	}
	loop->lib = &evlibs[n];
	loop->handle = dlopen(loop->lib->file, RTLD_NOW);
	if (!loop->handle) {
		fprintf(stderr, "LWSTP_UNIT_EVLIB: %s\n", dlerror());
		exit(1);
	}
	loop->loop = loop->lib->make(loop->handle);

	return loop;
}

void
evloop_warm(void)
{
	evloop_free(make_loop());
}

struct evloop *
evloop_new(struct lws_context_creation_info *info)
{
	struct evloop *loop = make_loop();

	if (!loop)
		return NULL;
	loop->foreign[0] = loop->loop;
	info->options |= loop->lib->option;
	info->foreign_loops = loop->foreign;
	info->pcontext = &loop->context;

	return loop;
}

void
evloop_turn(struct evloop *loop, struct lws_context *context, bool wait)
{
	if (loop)
		loop->lib->turn(loop->handle, loop->loop, wait);
	else
		lws_service(context, wait ? 0 : -1);
}

/* lws closes its handles, which takes turns of the loop */
static void
close_handles(struct evloop *loop, struct lws_context *context)
{
	lws_usec_t end = lws_now_usecs() + wait_secs() * LWS_US_PER_SEC;

	while (loop->context && loop->lib->alive &&
	       loop->lib->alive(loop->handle, loop->loop)) {
		if (lws_now_usecs() > end) {
			fprintf(stderr, "lws has not closed its handles\n");
			abort();
		}
		evloop_turn(loop, context, false);
	}
}

/* With libuv lws wants to be asked again when its handles are closed, and not
 * before. */
void
evloop_context_destroy(struct evloop *loop, struct lws_context *context)
{
	int n;

	if (loop)
		loop->context = context;
	lws_context_destroy(context);
	if (!loop)
		return;
	close_handles(loop, context);
	if (loop->context)
		lws_context_destroy(context);
	for (n = 0; n < 10; n++)
		evloop_turn(loop, context, false);
}

void
evloop_free(struct evloop *loop)
{
	if (!loop)
		return;
	loop->lib->end(loop->handle, loop->loop);
	free(loop);
}
