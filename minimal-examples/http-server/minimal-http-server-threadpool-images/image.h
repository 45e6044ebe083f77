/*
 * minimal-http-server-threadpool-images: a picture, and thumbnails of it
 *
 * SPDX-License-Identifier: MIT
 *
 * Nothing here has to do with lws.  An image is used by one thread at a time.
 */

#ifndef IMAGE_H
#define IMAGE_H

#include <gdk-pixbuf/gdk-pixbuf.h>

/* Zero it, and set the first group.  All strings are constants. */
struct image {
	unsigned char *file; /* malloc()ed: a PNG or a JPEG, ours */
	size_t size;	     /* of it, in bytes */
	guint64 max_pixels;

	unsigned int status; /* of http: why it is none; or 0 */
	const char *why;

	int made; /* thumbnails so far; the last one: */
	int width, height;
	gchar *png;
	gsize png_len;

	GdkPixbufLoader *loader; /* image.c's own, from here on */
	GdkPixbuf *pixbuf;	 /* decoded, no larger than needed */
	size_t at;		 /* in the file */
	size_t chunk_end;	 /* of a PNG: the next chunk begins */
	int skip;		 /* this chunk */
	int whole;		 /* this chunk is the last one */
};

/* by its first bytes: the name that the library has for it, or NULL */
const char *
image_type(const unsigned char *file, size_t size);

/* Decodes a part, in some milliseconds: call it until it returns 0.  Then the
 * file is freed, and status is 0 or tells why there is no picture. */
int
image_decode(struct image *image);

/* it is no use: the reason becomes its status, and image_decode() ends */
void
image_refuse(struct image *image, unsigned int status, const char *why);

/* makes the next thumbnail, the smallest first; 0: there is none */
int
image_next(struct image *image);

/* releases all of it, at any time, more than once too */
void
image_end(struct image *image);

#endif
