/*
 * lws-threadpool unit tests - P1, P2, Q6: a call of the system that is refused
 *
 * SPDX-License-Identifier: MIT
 *
 * A sandbox (seccomp, say) may refuse eventfd() or epoll_create1().  What the
 * library can do without it does without; what it cannot is refused.  Each time
 * a line says which call it was, and why.
 *
 * LWSTP_INSIDE
 * LWSTP_WRAP: eventfd socket fcntl
 */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "closings.h"

static int eventfd_error, socket_error, dup_error; /* 0: not refused */
static int refusals;

int
__real_eventfd(unsigned int count, int flags);
int
__wrap_eventfd(unsigned int count, int flags);
int
__real_socket(int domain, int type, int protocol);
int
__wrap_socket(int domain, int type, int protocol);
int
__real_fcntl(int fd, int what, ...);
int
__wrap_fcntl(int fd, int what, ...);

static int
refuse(int error)
{
	refusals++;
	errno = error;

	return -1;
}

int
__wrap_eventfd(unsigned int count, int flags)
{
	return eventfd_error ? refuse(eventfd_error) :
			       __real_eventfd(count, flags);
}

int
__wrap_socket(int domain, int type, int protocol)
{
	return socket_error && domain == AF_UNIX ?
		       refuse(socket_error) :
		       __real_socket(domain, type, protocol);
}

int
__wrap_fcntl(int fd, int what, ...)
{
	va_list ap;
	long arg;

	va_start(ap, what);
	arg = va_arg(ap, long);
	va_end(ap);

	return dup_error && what == F_DUPFD_CLOEXEC ?
		       refuse(dup_error) :
		       __real_fcntl(fd, what, arg);
}

static struct lws_threadpool *
create(struct rig *rig)
{
	const struct lws_threadpool_create_args args = {
		.threads = 2, .max_queue_depth = 10
	};

	return lws_threadpool_create(rig->context, &args, "sandboxed");
}

/* streams, and hears of the close */
static void
works(struct rig *rig, struct lws_threadpool *tp)
{
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 100, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(j->seen[LWS_TP_STATUS_SYNCING], 100);
	j = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_status(j, LWS_TP_STATUS_SYNCING);
	closing_do(c, CLOSING_FIN);
	rig_until_int(rig, &j->cleanups, 1);
	assert_int_equal(atomic_load(&j->stopping), 1);
}

static void
P1_without_eventfd(void **state)
{
	static const int errors[] = { ENOSYS, EPERM, EACCES };
	int fds = rig_open_fds();
	char line[128];
	struct rig *rig;

	if (!LWSTP_UNIT_EVENTFD)
		skip(); /* built without it */
	(void)state;
	for (size_t n = 0; n < LWS_ARRAY_SIZE(errors); n++) {
		rig = rig_create(NULL);
		refusals = 0;
		eventfd_error = errors[n];
		rig->pools[0] = create(rig);
		eventfd_error = 0;
		assert_non_null(rig->pools[0]);
		assert_true(refusals >= 1);
		snprintf(line, sizeof(line),
			 "eventfd(): %s: SYNCs go by "
			 "lws_cancel_service()",
			 strerror(errors[n]));
		assert_int_equal(log_claim(LLL_WARN, line), 1);
		works(rig, rig->pools[0]);
		/* the next pool of the context has nothing to say */
		assert_non_null(rig_pool(rig, 1, 10));
		assert_int_equal(rig_destroy(rig), 0);
		assert_int_equal(rig_open_fds(), fds);
	}
}

/* nothing is left that a watch could be made of */
static void
P1_without_eventfd_and_socket(void **state)
{
	struct rig *rig = *state;
	int fds = rig_open_fds();

	if (!LWSTP_UNIT_EVENTFD)
		skip(); /* built without it */
	eventfd_error = EPERM;
	socket_error = EACCES;
	assert_null(create(rig));
	eventfd_error = socket_error = 0;
	assert_int_equal(log_claim(LLL_ERR, "pool sandboxed: eventfd(): "
					    "Operation not permitted"),
			 1);
	assert_int_equal(rig_open_fds(), fds);
	works(rig, rig_pool(rig, 1, 10));
}

/* the service thread's fd is not for lws, then: nor is a watch's */
static void
P2_without_F_DUPFD(void **state)
{
	struct rig *rig = *state;
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool *tp;
	struct job *j;

	if (!LWSTP_UNIT_EVENTFD)
		skip(); /* built without it */
	dup_error = EPERM;
	tp = rig_pool(rig, 1, 10);
	rig_drain(rig);
	assert_int_equal(log_claim(LLL_WARN,
				   "SYNCs go by "
				   "lws_cancel_service(), which is slower: "
				   "fcntl(F_DUPFD_CLOEXEC): Operation not "
				   "permitted"),
			 1);
	j = job_new(rig);
	assert_null(job_enqueue(tp, j, c->wsi));
	dup_error = 0;
	assert_int_equal(log_claim(LLL_ERR,
				   "refuses a task: "
				   "fcntl(F_DUPFD_CLOEXEC): Operation not "
				   "permitted"),
			 1);
	works(rig, tp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(P1_without_eventfd),
		RIG_TEST(P1_without_eventfd_and_socket),
		RIG_TEST(P2_without_F_DUPFD),
	};

	return cmocka_run_group_tests_name("P1 P2 refused calls", tests, NULL,
					   NULL);
}
