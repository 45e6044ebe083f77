/*
 * lws-threadpool unit tests - P4: a plugin that had a pool is unloaded
 *
 * SPDX-License-Identifier: MIT
 *
 * The plugin brings the library, shared or a static copy of its own, and is the
 * only one that uses it.  lws has callbacks of the library for as long as the
 * context lasts.
 *
 * LWSTP_PLUGINS
 */

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <dirent.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <cmocka.h>

#include "plugin-pool.h"

/* LSan itself faults at the end of a process that has unloaded thread-local
 * data, as it looks through it; what is lost is counted here */
int
__lsan_is_turned_off(void);

int
__lsan_is_turned_off(void)
{
	return 1;
}

#define CYCLES 100
/* cycles in which something may still be made once: on 32 bits, where slots are
 * used in turn, each of them */
#define WARM (UINTPTR_MAX > 0xffffffffu ? 5 : 300)

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user,
	 void *in, size_t len)
{
	return lws_callback_http_dummy(wsi, reason, user, in, len);
}

static struct lws_context *
context_new(void)
{
	static const struct lws_protocols protocols[] = {
		{ .name = "http", .callback = callback },
		{ .name = NULL },
	};
	struct lws_context_creation_info info;
	struct lws_context *context;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = protocols;
	info.gid = (__typeof__(info.gid))-1;
	info.uid = (__typeof__(info.uid))-1;
	info.fd_limit_per_thread = 64;
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	context = lws_create_context(&info);
	assert_non_null(context);

	return context;
}

static void
turns(struct lws_context *context, int n)
{
	while (n--) {
		lws_cancel_service(context);
		assert_true(lws_service(context, 0) >= 0);
	}
}

static void *
symbol(void *plugin, const char *name)
{
	void *found = dlsym(plugin, name);

	assert_non_null(found);

	return found;
}

/* loads it, makes and destroys a pool, unloads it */
static void
cycle(const char *path, struct lws_context *context, int serviced)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL), *found;
	int (*start)(struct lws_context *context);
	int (*end)(void);
	int enqueued;

	if (!plugin)
		fail_msg("%s", dlerror());
	found = symbol(plugin, "plugin_start");
	memcpy(&start, &found, sizeof(start));
	found = symbol(plugin, "plugin_stop");
	memcpy(&end, &found, sizeof(end));
	enqueued = start(context);
	assert_int_equal(enqueued, 100);
	turns(context, serviced);
	assert_true(end() >= enqueued);
	assert_int_equal(dlclose(plugin), 0);
}

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);

	return n;
}

/* how many mappings of files named so the process has */
static int
mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		n += strstr(line, "lws-threadpool") || strstr(line, "tp_pool_");
	fclose(maps);

	return n;
}

/* bytes of the heap in use; 0 where nobody tells */
static size_t
heap(void)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
	return mallinfo2().uordblks + mallinfo2().hblkhd;
#else
	return 0;
#endif
}

static void
lives_on(const char *path)
{
	struct lws_context *context;
	int serviced;

	/* with its timer still set, and with its hidden vhost made */
	for (serviced = 0; serviced < 4; serviced += 3) {
		context = context_new();
		cycle(path, context, serviced);
		turns(context, 3);
		cycle(path, context, serviced);
		lws_context_destroy(context);
	}
}

/* the plugin has the context, too, or that lasts */
static void
loses_nothing(const char *path, bool own)
{
	struct lws_context *context = own ? NULL : context_new();
	size_t before = 0, after;
	int n, fds = 0, maps = 0, lws_fds;

	lws_fds = count_fds();
	lws_context_destroy(context_new());
	lws_fds = count_fds() - lws_fds; /* that lws itself loses */
	for (n = 0; n < CYCLES + WARM; n++) {
		if (n == WARM) {
			before = heap();
			fds = count_fds();
			maps = mappings();
		}
		if (own)
			context = context_new();
		cycle(path, context, 3);
		if (own)
			lws_context_destroy(context);
	}
	after = heap();
	print_message("  %zd bytes more after %d cycles\n",
		      (ssize_t)after - (ssize_t)before, CYCLES);
	/* not even 100 bytes each */
	assert_true(after <= before + CYCLES * 100);
	assert_int_equal(count_fds(), fds + (own ? CYCLES * lws_fds : 0));
	assert_true(maps > 0);
	assert_int_equal(mappings(), maps);
	if (!own)
		lws_context_destroy(context);
}

static void
P4_unloaded_and_the_context_lives_on(void **state)
{
	(void)state;
	lives_on(LWSTP_UNIT_PLUGIN_SHARED);
	lives_on(LWSTP_UNIT_PLUGIN_STATIC);
}

static void
P4_unloaded_and_nothing_is_lost(void **state)
{
	(void)state;
	loses_nothing(LWSTP_UNIT_PLUGIN_SHARED, false);
	loses_nothing(LWSTP_UNIT_PLUGIN_SHARED, true);
	loses_nothing(LWSTP_UNIT_PLUGIN_STATIC, false);
	loses_nothing(LWSTP_UNIT_PLUGIN_STATIC, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(P4_unloaded_and_the_context_lives_on),
		cmocka_unit_test(P4_unloaded_and_nothing_is_lost),
	};

	return cmocka_run_group_tests_name("P4 a plugin is unloaded", tests,
					   NULL, NULL);
}
