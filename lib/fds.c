/*
 * lws-threadpool - the fds of ours, and how lws comes to poll them
 *
 * SPDX-License-Identifier: MIT
 *
 * A context has an eventfd that is written to, by which its service thread is
 * signalled, and an fd that is never readable, of which each watch is a
 * duplicate.  Where eventfd() is refused the first is missing, and a socket is
 * the second.
 *
 * lws closes what it has adopted: so it gets duplicates, as raw file wsi on the
 * hidden vhost (see watch.c).  Each takes a place in its table of fds.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(LWSTP_HAVE_EVENTFD)
#include <sys/eventfd.h>
#endif

#include "private.h"

void
lwstp_failed(struct lwstp_failure *failure, const char *call, int error)
{
	if (failure->call)
		return;
	failure->call = call;
	failure->error = error;
}

int
lwstp_fd_signal(struct lwstp_failure *failure)
{
#if defined(LWSTP_HAVE_EVENTFD)
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0)
		lwstp_failed(failure, "eventfd()", errno);

	return fd;
#else
	(void)failure;

	return -1;
#endif
}

int
lwstp_fd_idle(struct lwstp_failure *failure)
{
	int fd = lwstp_fd_signal(failure);

	if (fd >= 0)
		return fd;
	/* it has no address, so nobody sends to it */
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	else
		lwstp_failed(failure, "socket()", errno);

	return fd;
}

/*
 * Adoption
 */

/* the latest wsi on a hidden vhost that this thread has made */
static _Thread_local struct lws *newest;

void
lwstp_adopt_made(struct lws *wsi)
{
	newest = wsi;
}

static struct lws *
adopt_fd(struct lwstp_context *context, int fd, const char *protocol,
	 struct lws *parent, void *opaque, const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal
		too_high = { LWSTP_REFUSED_NO_WATCH, LWS_TP_REFUSED_FDS,
			     LLL_ERR,
			     "the next free fd is above the limit of fds "
			     "(RLIMIT_NOFILE) that lws's table was made for" },
		no_place = { LWSTP_REFUSED_NO_WATCH, LWS_TP_REFUSED_FDS,
			     LLL_ERR,
			     "lws has no place for one more fd "
			     "(info.fd_limit_per_thread)" };
	struct lws *before = parent ? lws_get_child(parent) : NULL, *made;
	lws_adopt_desc_t info;

	*why = &too_high;
	/* lws's tables are as long as the limit was when it started */
	if (fd >= context->max_fd)
		return NULL;
	memset(&info, 0, sizeof(info));
	info.fd.filefd = fd;
	info.vh = context->vhost;
	info.type = LWS_ADOPT_RAW_FILE_DESC;
	info.vh_prot_name = protocol;
	info.parent = parent;
	info.opaque = opaque;
	newest = NULL;
	*why = lws_adopt_descriptor_vhost_via_info(&info) ? NULL : &no_place;
	made = parent ? lws_get_child(parent) : newest;

	return made == before ? NULL : made;
}

LWSTP_ON_SERVICE struct lws *
lwstp_adopt(struct lwstp_context *context, int fd, const char *protocol,
	    struct lws *parent, void *opaque, const struct lwstp_refusal **why)
{
	static const struct lwstp_refusal no_fd = { LWSTP_REFUSED_ERRNO,
						    LWS_TP_REFUSED_FDS, LLL_ERR,
						    "fcntl(F_DUPFD_CLOEXEC)" };
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct lws *made;

	*why = &no_fd;
	if (copy < 0)
		return NULL;
	made = adopt_fd(context, copy, protocol, parent, opaque, why);
	if (!made)
		close(copy);
	if (!made || !*why || parent)
		return made;

	/* The wsi is in no table, and would never be closed.  Event libraries
	 * of lws poll its fd already. */
	lws_set_timeout(made, PENDING_TIMEOUT_CLOSE_ACK, LWS_TO_KILL_SYNC);

	return NULL;
}
