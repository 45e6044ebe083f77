/*
 * lws-threadpool benchmark - http servers that have pools of threads
 *
 * SPDX-License-Identifier: MIT
 *
 * Each thread of libmicrohttpd's pool has a share of the connections to itself,
 * and serves one after the other.  A thread of civetweb's pool serves one
 * connection until that ends, and the others wait.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <civetweb.h>
#include <microhttpd.h>

#include "bench.h"

static char body[] = "done\n";

/*
 * libmicrohttpd
 */

static enum MHD_Result
mhd_answer(void *cls, struct MHD_Connection *connection, const char *url,
	   const char *method, const char *version, const char *upload,
	   size_t *upload_len, void **request)
{
	(void)url;
	(void)method;
	(void)version;
	(void)upload;
	(void)upload_len;
	/* the first call is for the headers: to answer then ends keep-alive */
	if (!*request) {
		*request = body;
		return MHD_YES;
	}
	requests_work();

	return MHD_queue_response(connection, MHD_HTTP_OK, cls);
}

static int
mhd_serve(void)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(body), body, MHD_RESPMEM_PERSISTENT);
	struct MHD_Daemon *daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, mhd_answer,
		response, MHD_OPTION_THREAD_POOL_SIZE,
		(unsigned int)opt.threads, MHD_OPTION_SOCK_ADDR,
		(struct sockaddr *)&at, MHD_OPTION_END);
	const union MHD_DaemonInfo *info;

	if (!daemon)
		die("MHD_start_daemon");
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}

/*
 * civetweb
 */

static int
civetweb_answer(struct mg_connection *connection, void *user)
{
	char buf[256];
	int n;

	(void)user;
	requests_work();
	n = snprintf(buf, sizeof(buf),
		     "HTTP/1.1 200 OK\r\n"
		     "Content-Type: text/plain\r\n"
		     "Content-Length: %zu\r\n"
		     "Connection: keep-alive\r\n\r\n%s",
		     strlen(body), body);
	mg_write(connection, buf, (size_t)n);

	return 200;
}

static int
civetweb_serve(void)
{
	char threads[16];
	const char *options[] = {
		"listening_ports",
		"127.0.0.1:0",
		"num_threads",
		threads,
		"enable_keep_alive",
		"yes",
		"tcp_nodelay",
		"1",
		NULL
	};
	struct mg_callbacks callbacks;
	struct mg_server_port port;
	struct mg_context *context;

	memset(&callbacks, 0, sizeof(callbacks));
	snprintf(threads, sizeof(threads), "%d", opt.threads);
	mg_init_library(0);
	context = mg_start(&callbacks, NULL, options);
	if (!context || mg_get_server_ports(context, 1, &port) != 1)
		die("mg_start");
	mg_set_request_handler(context, "/", civetweb_answer, NULL);

	return port.port;
}

bool
peer_serves(void)
{
	return is(opt.who, "mhd") || is(opt.who, "civetweb");
}

int
peer_serve(void)
{
	return is(opt.who, "mhd") ? mhd_serve() : civetweb_serve();
}
