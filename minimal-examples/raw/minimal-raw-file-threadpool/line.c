/*
 * minimal-raw-file-threadpool: a serial line, or a FIFO
 *
 * SPDX-License-Identifier: MIT
 */

#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <libwebsockets.h>

static const struct {
	int baud;
	speed_t speed;
} speeds[] = {
	{ 50, B50 },	     { 300, B300 },	  { 600, B600 },
	{ 1200, B1200 },     { 2400, B2400 },	  { 4800, B4800 },
	{ 9600, B9600 },     { 19200, B19200 },	  { 38400, B38400 },
	{ 57600, B57600 },   { 115200, B115200 }, { 230400, B230400 },
#if defined(B460800)
	{ 460800, B460800 },
#endif
#if defined(B921600)
	{ 921600, B921600 },
#endif
};

/* returns 0, or -1: there is no such speed */
static int
find_speed(int baud, speed_t *speed)
{
	size_t n;

	for (n = 0; n < LWS_ARRAY_SIZE(speeds); n++)
		if (speeds[n].baud == baud) {
			*speed = speeds[n].speed;
			return 0;
		}

	return -1;
}

/* returns NULL, or what failed */
static const char *
make_raw(int fd, speed_t speed, int rts_cts)
{
	struct termios t;

	if (tcgetattr(fd, &t))
		return strerror(errno);
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL | CREAD;
#if defined(CRTSCTS)
	t.c_cflag &= ~(tcflag_t)CRTSCTS;
	if (rts_cts)
		t.c_cflag |= CRTSCTS;
#else
	if (rts_cts)
		return "no flow control here";
#endif
	if (cfsetispeed(&t, speed) || cfsetospeed(&t, speed) ||
	    tcsetattr(fd, TCSANOW, &t))
		return strerror(errno);

	return NULL;
}

/* A FIFO is opened for writing, too: so there is always a writer, and it does
 * not end whenever the last of the others leaves. */
int
line_open(const char *path, int baud, int rts_cts, const char **why,
	  int *hopeless)
{
	struct stat st;
	speed_t speed;
	int fd;

	*hopeless = 1;
	if (find_speed(baud, &speed)) {
		*why = "no such speed";
		return -1;
	}
	fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		*hopeless = errno == EISDIR;
		*why = strerror(errno);
		return -1;
	}

	*why = NULL;
	if (isatty(fd)) {
		*hopeless = 0;
		*why = make_raw(fd, speed, rts_cts);
	} else if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		*why = "neither a serial line nor a FIFO";
	if (!*why)
		return fd;
	close(fd);

	return -1;
}
