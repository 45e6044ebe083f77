/*
 * lws-threadpool unit tests - the frames of an http/2 peer
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_UNIT_H2_H
#define LWSTP_UNIT_H2_H

#include "harness.h"

enum h2_frame {
	H2_DATA = 0,
	H2_HEADERS = 1,
	H2_RST_STREAM = 3,
};

#define H2_END_STREAM 1 /* flag of DATA and HEADERS */

/* rig_opts.info: http/2 without TLS, from the first byte on */
void
h2_info(struct rig *rig, struct lws_context_creation_info *info);

/* What a client begins with */
void
h2_send_preface(int fd);

/* GET / of that path, one letter or none ('\0'), on that stream */
void
h2_send_get(int fd, uint8_t stream, char path);

/* It wants no more of that stream. */
void
h2_send_rst_stream(int fd, uint8_t stream);

/* What came, in frames.  Zero it. */
struct h2_reader {
	uint8_t buf[16384];
	size_t len;
};

/* Reads, without waiting, and calls frame() for each whole frame */
void
h2_read(struct h2_reader *r, int fd, void *arg,
	void (*frame)(void *arg, uint8_t type, uint8_t flags, uint32_t stream,
		      const uint8_t *payload, size_t len));

#endif
