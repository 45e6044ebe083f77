/*
 * lws-threadpool-cluster - the log
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdarg.h>
#include <stdbool.h>

#include "log.h"

static _Thread_local bool logging;

void
lwstpc_log(int level, const char *format, ...)
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
