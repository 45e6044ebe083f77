/*
 * lws-threadpool - the log
 *
 * SPDX-License-Identifier: MIT
 *
 * The log function is the user's, and may call us.  What we would log in such a
 * call, on the same thread, is dropped: else a log function could call itself,
 * by way of us, for ever.
 */

#include <string.h>

#include "private.h"

static _Thread_local bool logging;

void
lwstp_log(int level, const char *format, ...)
{
	va_list ap;

	if (logging)
		return;
	logging = true;
	va_start(ap, format);
	_lws_logv(level, format, ap);
	va_end(ap);
	logging = false;
}

const char *
lwstp_error(int error)
{
	return strerror(error);
}
