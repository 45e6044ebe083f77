/*
 * lws-threadpool-worker: the kinds of the shared objects
 *
 * SPDX-License-Identifier: MIT
 */

#include "worker.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const struct lws_threadpool_cluster_kind *const *
kinds_function(void);

/* its function, or NULL when the reason is on stderr */
static kinds_function *
load(const char *file)
{
	kinds_function *function;
	char path[PATH_MAX];
	void *object, *symbol;

	/* a name without a slash would be looked for in the system's places */
	if (!strchr(file, '/')) {
		snprintf(path, sizeof(path), "./%s", file);
		object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	} else
		object = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		fprintf(stderr, WORKER_NAME ": kinds '%s': %s\n", file,
			dlerror());
		return NULL;
	}

	symbol = dlsym(object, LWS_THREADPOOL_WORKER_KINDS);
	if (!symbol) {
		fprintf(stderr,
			WORKER_NAME
			": kinds '%s': has no "
			"function " LWS_THREADPOOL_WORKER_KINDS "()\n",
			file);
		return NULL;
	}
	memcpy(&function, &symbol, sizeof(function));

	return function;
}

static int
add(struct worker_kinds *kinds, const char *file,
    const struct lws_threadpool_cluster_kind *kind)
{
	int n;

	if (kinds->n == WORKER_KINDS || !kind->name) {
		fprintf(stderr, WORKER_NAME ": kinds '%s': %s\n", file,
			kind->name ? "more than 256 kinds in all" :
				     "a kind without a name");
		return -1;
	}
	for (n = 0; n < kinds->n; n++)
		if (!strcmp(kinds->kind[n]->name, kind->name)) {
			fprintf(stderr,
				WORKER_NAME ": kinds '%s': the kind "
					    "'%s' is there already\n",
				file, kind->name);
			return -1;
		}
	kinds->kind[kinds->n++] = kind;

	return 0;
}

int
worker_kinds(struct worker_kinds *kinds, const struct worker_options *o)
{
	const struct lws_threadpool_cluster_kind *const *k;
	kinds_function *function;
	int n;

	kinds->n = 0;
	for (n = 0; n < o->n_files; n++) {
		function = load(o->files[n]);
		if (!function)
			return -1;
		k = function();
		if (!k || !*k) {
			fprintf(stderr,
				WORKER_NAME ": kinds '%s': gives no "
					    "kind\n",
				o->files[n]);
			return -1;
		}
		for (; *k; k++)
			if (add(kinds, o->files[n], *k))
				return -1;
	}

	return 0;
}
