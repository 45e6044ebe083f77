/*
 * lws-threadpool tests - open fds, and which of them lws itself leaves open
 *
 * SPDX-License-Identifier: MIT
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "fds.h"
#include "ledger.h"

int
fds_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);

	return n;
}

static int
fds_of_a_context(void)
{
	struct lws_context_creation_info info;
	struct lws_context *context;
	int before = fds_open();

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	context = lws_create_context(&info);
	if (!context)
		ledger_fail("no context");
	lws_context_destroy(context);

	return fds_open() - before;
}

int
fds_lost_by_lws(void)
{
	const char *version = lws_get_library_version();
	static int lost = -1;

	if (lost >= 0)
		return lost;

	/* the first one may open what the process keeps */
	fds_of_a_context();
	lost = fds_of_a_context();
	if (lost) {
		printf("not ours: libwebsockets %.*s itself leaves %d fd%s open"
		       " with each context\n",
		       (int)strcspn(version, "-"), version, lost,
		       lost == 1 ? "" : "s");
		fflush(stdout);
	}

	return lost;
}
