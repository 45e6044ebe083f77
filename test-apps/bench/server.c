/*
 * lws-threadpool benchmark - an http server, until its client has ended
 *
 * SPDX-License-Identifier: MIT
 *
 * What the rows with http have in common.  The client is a process of its own:
 * see client.c.
 */

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static pid_t client;
static bool client_ended;
static lws_sorted_usec_list_t watcher;

int
server_headers(struct lws *wsi, const void *body, size_t len)
{
	unsigned char buf[LWS_PRE + 1024], *start = &buf[LWS_PRE], *p = start,
					   *end = &buf[sizeof(buf) - 1];

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", len,
					&p, end) ||
	    lws_finalize_http_header(wsi, &p, end))
		return -1;
	if (body) {
		memcpy(p, body, len);
		p += len;
	}

	return lws_write(wsi, start, (size_t)(p - start),
			 LWS_WRITE_HTTP_HEADERS) < 0 ?
		       -1 :
		       0;
}

int
server_small(struct lws *wsi)
{
	if (server_headers(wsi, "done\n", 5))
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static void
watch_client(lws_sorted_usec_list_t *sul)
{
	int status;

	if (waitpid(client, &status, WNOHANG) == client) {
		if (status)
			die("the client failed");
		client_ended = true;
		/* this turn goes on to wait, maybe for a timeout of lws's */
		lws_cancel_service(rig.context);
		return;
	}
	lws_sul_schedule(rig.context, 0, sul, watch_client, 50 * LWS_US_PER_MS);
}

int
server_run(const struct client_plan *plan, lws_callback_function *callback,
	   struct lws_threadpool **pool)
{
	const struct lws_protocols protocols[] = {
		{ .name = "http", .callback = callback },
		{ .name = NULL },
	};
	struct lws_context_creation_info info;
	struct lws_vhost *vhost;
	int to_client = client_start(plan, &client);

	memset(&info, 0, sizeof(info));
	info.port = 0;
	info.iface = "127.0.0.1";
	info.vhost_name = "bench";
	info.protocols = protocols;
	info.keepalive_timeout = 60;
	rig.context = lws_create_context(&info);
	if (!rig.context)
		die("no context");
	vhost = lws_get_vhost_by_name(rig.context, "bench");
	if (pool)
		*pool = rig_pool(opt.threads, 10000);
	client_tell(to_client, lws_get_vhost_listen_port(vhost));

	lws_sul_schedule(rig.context, 0, &watcher, watch_client, 1);
	while (!client_ended)
		lws_service(rig.context, 0);

	return 0;
}
