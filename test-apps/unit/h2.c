/*
 * lws-threadpool unit tests - the frames of an http/2 peer
 *
 * SPDX-License-Identifier: MIT
 *
 * Headers are names and values that every peer knows by number, or in plain
 * text, so that nothing has to be compressed.
 */

#include <sys/socket.h>

#include "h2.h"

#define HEADER 9 /* bytes of a frame's: length, type, flags, stream */

void
h2_info(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->options |= LWS_SERVER_OPTION_H2_PRIOR_KNOWLEDGE;
}

static void
h2_send(int fd, const void *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

void
h2_send_preface(int fd)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				      "\0\0\0\4\0\0\0\0";

	h2_send(fd, preface, sizeof(preface)); /* its NUL is the last byte */
}

void
h2_send_get(int fd, uint8_t stream, char path)
{
	uint8_t frame[] = { 0,	  0,	9,    H2_HEADERS, 0x05,
			    0,	  0,	0,    stream,	  0x82,
			    0x86, 0x04, 0x02, '/',	  (uint8_t)path,
			    0x41, 0x01, 'a' };

	if (!path) {
		static const uint8_t rest[] = { 0x84, 0x41, 0x01, 'a' };

		memcpy(frame + HEADER + 2, rest, sizeof(rest));
		frame[2] = 6;
	}
	h2_send(fd, frame, (size_t)(HEADER + frame[2]));
}

void
h2_send_rst_stream(int fd, uint8_t stream)
{
	const uint8_t frame[] = {
		0, 0, 4, H2_RST_STREAM, 0, 0, 0, 0, stream, 0,
		0, 0, 8 /* CANCEL */
	};

	h2_send(fd, frame, sizeof(frame));
}

void
h2_read(struct h2_reader *r, int fd, void *arg,
	void (*frame)(void *arg, uint8_t type, uint8_t flags, uint32_t stream,
		      const uint8_t *payload, size_t len))
{
	const uint8_t *b = r->buf;
	size_t len, at = 0;
	ssize_t n;

	n = recv(fd, r->buf + r->len, sizeof(r->buf) - r->len, MSG_DONTWAIT);
	if (n > 0)
		r->len += (size_t)n;
	while (r->len - at >= HEADER) {
		b = r->buf + at;
		len = (size_t)(b[0] << 16 | b[1] << 8 | b[2]);
		if (r->len - at < HEADER + len)
			break;
		frame(arg, b[3], b[4],
		      (uint32_t)(b[5] & 0x7f) << 24 |
			      (uint32_t)(b[6] << 16 | b[7] << 8 | b[8]),
		      b + HEADER, len);
		at += HEADER + len;
	}
	r->len -= at;
	memmove(r->buf, r->buf + at, r->len);
}
