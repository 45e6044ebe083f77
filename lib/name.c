/*
 * lws-threadpool - the names of tasks
 *
 * SPDX-License-Identifier: MIT
 *
 * A name is the text of its format and, if there is one, its integer: they are
 * put together when somebody reads the name.  The text is copied, since a
 * format can be in a plugin that is unloaded.  Any other format is written out
 * at once.
 */

#include <stdio.h>
#include <string.h>

#include "private.h"

/* the one plain conversion of an int that the format has, or NULL */
static const char *
one_conversion(const char *percent)
{
	if (!percent[1] || !strchr("diux", percent[1]) ||
	    strchr(percent + 2, '%'))
		return NULL;

	return percent + 1;
}

void
lwstp_name_set(union lwstp_name *name, const char *format, va_list ap,
	       const char *other)
{
	const char *text = format ? format :
			   other  ? other :
				    "task",
		   *percent = format ? strchr(format, '%') : NULL,
		   *conversion = percent ? one_conversion(percent) : NULL;
	size_t len = strlen(text), room = sizeof(name->text);
	int n;

	if (conversion && len + 10 < room) {
		memcpy(name->format, format, len + 1);
		name->number = va_arg(ap, int);
		name->conversion = *conversion;
		return;
	}
	if (percent) {
		n = vsnprintf(name->text, room, format, ap);
		len = n < 0 ? 0 : (size_t)n;
		text = n < 0 ? "" : NULL;
	}
	if (text)
		memcpy(name->text, text, len < room ? len + 1 : room - 1);
	name->text[room - 1] = '\0';
	if (len >= room)
		lwstp_log(LLL_INFO,
			  "lws_threadpool_enqueue: a name of %lu "
			  "bytes is cut to %s\n",
			  (unsigned long)len, name->text);
}

void
lwstp_name_write(const union lwstp_name *name, char out[LWSTP_TASK_NAME])
{
	const char *percent = name->conversion ? strchr(name->format, '%') :
						 NULL;
	char number[12];

	if (!percent) {
		memcpy(out, name->text, LWSTP_TASK_NAME);
		return;
	}
	lws_snprintf(number, sizeof(number),
		     name->conversion == 'u' ? "%u" :
		     name->conversion == 'x' ? "%x" :
					       "%d",
		     name->number);
	lws_snprintf(out, LWSTP_TASK_NAME, "%.*s%s%s",
		     (int)(percent - name->format), name->format, number,
		     percent + 2);
}
