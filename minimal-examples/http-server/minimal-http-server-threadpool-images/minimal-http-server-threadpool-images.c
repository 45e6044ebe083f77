/*
 * minimal-http-server-threadpool-images: the program around the protocol
 *
 * SPDX-License-Identifier: MIT
 */

#include "page-mount.h"
#include "threadpool-example.h"

#include "protocol_lws_threadpool_images.c"

static const struct lws_protocols protocols[] = {
	{ .name = "http", .callback = lws_callback_http_dummy },
	LWS_PLUGIN_PROTOCOL_THREADPOOL_IMAGES,
	{ .name = NULL }
};

/* these paths are the protocol's, and all others are files */
static const struct lws_http_mount metrics = {
	.mount_next		= &page_mount,
	.mountpoint		= "/metrics",
	.mountpoint_len		= 8,
	.origin			= PROTOCOL_IMAGES,
	.origin_protocol	= LWSMPRO_CALLBACK,
	.protocol		= PROTOCOL_IMAGES,
}, thumbnails = {
	.mount_next		= &metrics,
	.mountpoint		= "/thumbnails",
	.mountpoint_len		= 11,
	.origin			= PROTOCOL_IMAGES,
	.origin_protocol	= LWSMPRO_CALLBACK,
	.protocol		= PROTOCOL_IMAGES,
};

static const struct threadpool_example_option options[] = {
	{ 'q', "queue-depth", "N", "pictures that may wait for a thread",
	  STRING(DEFAULT_QUEUE_DEPTH), 1, INT_MAX },
	{ 'l', "queue-ms", "MS", "that one may wait", STRING(DEFAULT_QUEUE_MS),
	  1, 1000000 },
	{ 'u', "max-upload", "N", "bytes of an upload",
	  STRING(DEFAULT_MAX_UPLOAD), 1, INT_MAX },
	{ 'a', "all-uploads", "N", "bytes of all of them at a time",
	  STRING(DEFAULT_ALL_UPLOADS), 1, INT_MAX },
	{ 'x', "max-pixels", "N", "pixels of a picture",
	  STRING(DEFAULT_MAX_PIXELS), 1, INT_MAX },
	{ 'w', "decode-ms", "MS", "that decoding a picture may take",
	  STRING(DEFAULT_DECODE_MS), 1, 1000000 },
	{ .letter = 0 }
};

int
main(int argc, char **argv)
{
	static const struct threadpool_example example = {
		.program = "lws-minimal-http-server-threadpool-images",
		.about = "An http server that makes thumbnails of uploaded "
			 "pictures on a threadpool.",
		.threads = STRING(DEFAULT_THREADS),
		.origin = MOUNT_ORIGIN,
		.protocols = protocols,
		.protocol = PROTOCOL_IMAGES,
		.mounts = &thumbnails,
		.options = options,
		.finish = threadpool_images_finish,
	};

	return threadpool_example_main(&example, argc, argv);
}
