/*
 * minimal-raw-file-threadpool: a record, and the file that it goes to
 *
 * SPDX-License-Identifier: MIT
 *
 * Lines may end with a checksum, as those of NMEA 0183 do: "$GPTXT,...*1D",
 * where 1D is all bytes between "$" and "*", xored.
 */

#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRY_AGAIN_US (LWS_US_PER_SEC / 10) /* a disk that is full, ... */

int
output_open(struct output *output, const char *path)
{
	output->failed = 0;
	output->fd = STDOUT_FILENO;
	if (path)
		output->fd = open(path,
				  O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK |
					  O_NOCTTY | O_CLOEXEC,
				  0644);

	return output->fd < 0 ? -1 : 0;
}

void
output_close(struct output *output)
{
	if (output->fd > STDERR_FILENO)
		close(output->fd);
	output->fd = -1;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';

	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *
verdict(const struct record *record)
{
	const char *line = record->line;
	size_t n, end = record->len - 3;
	unsigned int sum = 0;

	if (!record->whole)
		return "part";
	if (record->len < 4 || line[0] != '$' || line[end] != '*' ||
	    hex(line[end + 1]) < 0 || hex(line[end + 2]) < 0)
		return "-";
	for (n = 1; n < end; n++)
		sum ^= (unsigned char)line[n];

	return sum == (unsigned int)(hex(line[end + 1]) * 16 +
				     hex(line[end + 2])) ?
		       "ok" :
		       "bad";
}

/* What is not plain ASCII becomes \xHH, and so does the backslash: whatever a
 * line may send, a record is one line, and harmless on a terminal. */
static void
write_text(struct record *record)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char c;
	struct tm tm;
	char *p;
	size_t n;

	p = record->text;
	if (!gmtime_r(&record->came.tv_sec, &tm))
		memset(&tm, 0, sizeof(tm));
	p += strftime(p, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	p += lws_snprintf(p, 32, ".%03dZ %s ",
			  (int)(record->came.tv_nsec / 1000000),
			  verdict(record));
	for (n = 0; n < record->len; n++) {
		c = (unsigned char)record->line[n];
		if (c >= ' ' && c <= '~' && c != '\\') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	*p++ = '\n';
	record->text_len = (size_t)(p - record->text);
}

static void
complain(struct output *output, int error)
{
	if (error && error != output->failed)
		lwsl_err("writing a record: %s: trying again\n",
			 strerror(error));
	else if (!error && output->failed)
		lwsl_user("records are written again\n");
	output->failed = error;
}

/*
 * Returns 0: it is on the disk; -1: not yet.  stdout may be somebody else's,
 * too, so it is not made non-blocking: poll() tells when a pipe has room for a
 * page, and a record is no longer than that.
 */
static int
write_out(struct record *record)
{
	struct output *output = record->output;
	struct pollfd pfd = { .fd = output->fd, .events = POLLOUT };
	size_t len = record->text_len - record->done;
	ssize_t n;

	if (len) {
		if (poll(&pfd, 1, 0) < 1) /* whoever reads is slow */
			return -1;
		n = write(output->fd, record->text + record->done, len);
		if (n < 0) {
			if (errno != EAGAIN)
				complain(output, errno);
			return -1;
		}
		record->done += (size_t)n;
		if ((size_t)n < len)
			return -1;
	}
	/* a pipe or a terminal has nothing to sync */
	if (fdatasync(output->fd) && errno != EINVAL && errno != EROFS) {
		complain(output, errno);
		return -1;
	}
	complain(output, 0);

	return 0;
}

/* On a thread of the pool.  What has to wait is parked: it holds no thread, but
 * it has the key, so that no later record can pass it. */
enum lws_threadpool_task_return
record_task(void *user, enum lws_threadpool_task_status status)
{
	struct record *record = user;

	if (status == LWS_TP_STATUS_STOPPING)
		return LWS_TP_RETURN_STOPPED;
	if (!record->text_len)
		write_text(record);
	if (write_out(record))
		return lws_threadpool_park(TRY_AGAIN_US);

	return LWS_TP_RETURN_FINISHED;
}
