/*
 * lws-threadpool - what the tests of several service threads have in common
 *
 * SPDX-License-Identifier: MIT
 */

#include "smp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

struct lws_context *smp_context;
struct lws_threadpool *smp_tp;
atomic_bool smp_stop;

static struct lws_protocols protocols[] = { { .name = "smp" },
					    { .name = NULL } };
static pthread_t service[SMP_THREADS];
static atomic_bool known[SMP_THREADS]; /* service[n] is set */
static int port;
static bool running;
static atomic_uint turns[SMP_THREADS]; /* of each one's loop */

bool
smp_is_thread(int tsi)
{
	return atomic_load(&known[tsi]) &&
	       pthread_equal(service[tsi], pthread_self());
}

void
smp_wait_int(atomic_int *p, int n)
{
	time_t end = time(NULL) + SMP_DEADLINE_SECS;

	while (atomic_load(p) < n) {
		assert_true(time(NULL) < end);
		poll(NULL, 0, 1);
	}
}

void
smp_wait_turn(int tsi)
{
	time_t end = time(NULL) + SMP_DEADLINE_SECS;
	unsigned int before = atomic_load(&turns[tsi]);

	while (atomic_load(&turns[tsi]) == before) {
		if (time(NULL) > end)
			abort();
		lws_cancel_service(smp_context);
		poll(NULL, 0, 1);
	}
}

int
smp_connect(void)
{
	struct sockaddr_in sin;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_port = htons((uint16_t)port);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		abort();

	return fd;
}

static void *
service_thread(void *arg)
{
	int tsi = (int)(intptr_t)arg;

	service[tsi] = pthread_self();
	atomic_store(&known[tsi], true);
	while (!atomic_load(&smp_stop) &&
	       lws_service_tsi(smp_context, 0, tsi) >= 0)
		atomic_fetch_add(&turns[tsi], 1);

	return NULL;
}

static bool
open_context(lws_callback_function *callback)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	lws_set_log_level(0, NULL);
	protocols[0].callback = callback;
	info.protocols = protocols;
	info.iface = "lo";
	info.port = 0;
	info.count_threads = SMP_THREADS;
	info.options = LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
	info.listen_accept_role = "raw-skt";
	info.listen_accept_protocol = "smp";
	smp_context = lws_create_context(&info);
	assert_non_null(smp_context);
	port = lws_get_vhost_listen_port(lws_get_vhost_by_name(smp_context,
							       "default"));

	return lws_get_count_threads(smp_context) == SMP_THREADS;
}

void
smp_begin(lws_callback_function *callback, int threads, int depth)
{
	const struct lws_threadpool_create_args args = {
		.threads = threads, .max_queue_depth = depth
	};

	atomic_store(&smp_stop, false);
	for (int n = 0; n < SMP_THREADS; n++)
		atomic_store(&known[n], false);
	if (!open_context(callback)) {
		lws_context_destroy(smp_context);
		print_message("this libwebsockets has one service thread "
			      "(LWS_MAX_SMP is 1)\n");
		assert_null(getenv("LWSTP_SMP_MUST_RUN"));
		skip();
	}
	smp_tp = lws_threadpool_create(smp_context, &args, "smp");
	assert_non_null(smp_tp);
	for (int n = 0; n < SMP_THREADS; n++)
		assert_int_equal(pthread_create(&service[n], NULL,
						service_thread,
						(void *)(intptr_t)n),
				 0);
	running = true;
}

void
smp_threads_end(void)
{
	if (!running)
		return;
	running = false;
	atomic_store(&smp_stop, true);
	lws_cancel_service(smp_context);
	for (int n = 0; n < SMP_THREADS; n++)
		pthread_join(service[n], NULL);
}

void
smp_end(void)
{
	smp_threads_end();
	if (smp_context)
		lws_context_destroy(smp_context);
	smp_context = NULL;
	lws_threadpool_destroy(smp_tp);
}
