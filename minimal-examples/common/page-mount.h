/*
 * minimal-examples/common: the mount of what the pages share
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef PAGE_MOUNT_H
#define PAGE_MOUNT_H

#include <libwebsockets.h>

#if !defined(COMMON_PAGE)
#define COMMON_PAGE MOUNT_ORIGIN "/../../../common/page"
#endif

/* common/page.css and common/page.js, for the mounts of an example */
static const struct lws_http_mount page_mount = {
	.mountpoint = "/common",
	.mountpoint_len = 7,
	.origin = COMMON_PAGE,
	.origin_protocol = LWSMPRO_FILE,
};

#endif
