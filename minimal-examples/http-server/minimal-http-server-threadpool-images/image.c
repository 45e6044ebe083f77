/*
 * minimal-http-server-threadpool-images: a picture, and thumbnails of it
 *
 * SPDX-License-Identifier: MIT
 *
 * The file comes from anybody.  So:
 *
 * - gdk-pixbuf tells the size before it allocates for it: what has too many
 *   pixels ends there.  It gets PNG and JPEG only, of its many formats.
 * - Of a PNG it gets the chunks that make the pixels.  Compressed text and
 *   colour profiles could inflate to gigabytes.
 * - It gets little at a time: who calls looks at the clock in between, and
 *   whether somebody still waits.
 * - What the file leaves out is transparent, and not what was in that memory.
 */

#include "image.h"

#include <stdlib.h>
#include <string.h>

/* A piece of a JPEG of this size can hold several scans, and each of them is
 * decoded over the whole picture. */
#define PIECE	  512 /* bytes */
#define SIGNATURE 8   /* bytes, of a PNG */
#define CHUNK	  12  /* of a PNG's chunk, beside its data */

static const int sizes[] = { 96, 240, 480, 960 };

#define SIZES ((int)G_N_ELEMENTS(sizes))

const char *
image_type(const unsigned char *file, size_t size)
{
	if (size > SIGNATURE && !memcmp(file, "\x89PNG\r\n\x1a\n", SIGNATURE))
		return "png";
	if (size > 3 && !memcmp(file, "\xff\xd8\xff", 3))
		return "jpeg";

	return NULL;
}

void
image_refuse(struct image *image, unsigned int status, const char *why)
{
	if (image->status)
		return; /* the first reason is the best */
	image->status = status;
	image->why = why;
}

/* nothing is allocated for its pixels yet */
static void
on_size(GdkPixbufLoader *loader, int width, int height, gpointer user)
{
	struct image *image = user;

	if ((guint64)width * (guint64)height <= image->max_pixels)
		return;
	image_refuse(image, 422, "too many pixels\n");
	gdk_pixbuf_loader_set_size(loader, 0, 0); /* it fails by that */
}

/* it is allocated, and not cleared */
static void
on_pixbuf(GdkPixbufLoader *loader, gpointer user)
{
	(void)user;

	gdk_pixbuf_fill(gdk_pixbuf_loader_get_pixbuf(loader), 0);
}

static void
begin(struct image *image)
{
	const char *type = image_type(image->file, image->size);

	if (type)
		image->loader = gdk_pixbuf_loader_new_with_type(type, NULL);
	if (!image->loader) {
		image_refuse(image, 415, "neither PNG nor JPEG\n");
		return;
	}
	g_signal_connect(image->loader, "size-prepared", G_CALLBACK(on_size),
			 image);
	g_signal_connect(image->loader, "area-prepared", G_CALLBACK(on_pixbuf),
			 image);
	if (!strcmp(type, "png"))
		image->chunk_end = SIGNATURE;
}

/* A chunk of a PNG begins where the one before ended.  Those that make no
 * pixels are passed over.  IEND is the last one, and has to be there. */
static void
next_chunk(struct image *image)
{
	const unsigned char *chunk = image->file + image->at;
	size_t left = image->size - image->at, len;
	const char *type = (const char *)chunk + 4;

	len = left < CHUNK ? left :
			     ((size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 |
			      (size_t)chunk[2] << 8 | chunk[3]);
	if (left < CHUNK || len > left - CHUNK) {
		image_refuse(image, 422, "not all of a picture\n");
		return;
	}
	image->chunk_end += CHUNK + len;
	image->skip = memcmp(type, "IHDR", 4) && memcmp(type, "PLTE", 4) &&
		      memcmp(type, "tRNS", 4) && memcmp(type, "IDAT", 4) &&
		      memcmp(type, "IEND", 4);
	if (!memcmp(type, "IEND", 4)) {
		image->size = image->chunk_end;
		image->whole = 1;
	}
}

static void
feed(struct image *image)
{
	size_t len = image->size - image->at, to_end;

	if (image->chunk_end && image->at == image->chunk_end)
		next_chunk(image);
	if (image->status)
		return;

	to_end = image->chunk_end - image->at;
	if (image->chunk_end && len > to_end)
		len = to_end;
	if (!image->skip && len > PIECE)
		len = PIECE;
	if (!image->skip &&
	    !gdk_pixbuf_loader_write(image->loader, image->file + image->at,
				     len, NULL))
		image_refuse(image, 422, "a picture that cannot be read\n");
	image->at += len;
}

/* the size that fits into a square, in the same shape, and no larger */
static GdkPixbuf *
scaled(GdkPixbuf *from, int square)
{
	int width = gdk_pixbuf_get_width(from),
	    height = gdk_pixbuf_get_height(from), longer = MAX(width, height);

	if (longer <= square)
		return g_object_ref(from);
	width = (int)(((gint64)width * square + longer / 2) / longer);
	height = (int)(((gint64)height * square + longer / 2) / longer);

	return gdk_pixbuf_scale_simple(from, MAX(width, 1), MAX(height, 1),
				       GDK_INTERP_BILINEAR);
}

static void
unload(struct image *image)
{
	if (image->loader) {
		/* it warns of one that is not closed */
		gdk_pixbuf_loader_close(image->loader, NULL);
		g_object_unref(image->loader);
		image->loader = NULL;
	}
	free(image->file);
	image->file = NULL;
}

/* All of it was read.  From now on it takes no more memory than the largest
 * thumbnail, however slowly somebody reads those. */
static void
reduce(struct image *image)
{
	GdkPixbuf *whole, *small = NULL;

	if (!gdk_pixbuf_loader_close(image->loader, NULL)) {
		image_refuse(image, 422, "not all of a picture\n");
		return;
	}
	whole = gdk_pixbuf_loader_get_pixbuf(image->loader);
	if (!whole) {
		image_refuse(image, 422, "not all of a picture\n");
		return;
	}
	small = scaled(whole, sizes[SIZES - 1]);
	if (small) {
		/* as the camera was held */
		gdk_pixbuf_copy_options(whole, small);
		image->pixbuf = gdk_pixbuf_apply_embedded_orientation(small);
		g_object_unref(small);
	}
	if (!image->pixbuf)
		image_refuse(image, 503, "out of memory\n");
}

int
image_decode(struct image *image)
{
	if (!image->status) {
		if (!image->loader)
			begin(image);
		else if (image->at < image->size ||
			 (image->chunk_end && !image->whole))
			feed(image);
		else
			reduce(image);
	}
	if (!image->status && !image->pixbuf)
		return 1;
	unload(image);

	return 0;
}

int
image_next(struct image *image)
{
	GdkPixbuf *thumbnail, *all = image->pixbuf;

	g_free(image->png);
	image->png = NULL;
	if (image->status || image->made == SIZES ||
	    /* the last one was the picture itself */
	    (image->made && image->width == gdk_pixbuf_get_width(all) &&
	     image->height == gdk_pixbuf_get_height(all)))
		return 0;

	thumbnail = scaled(all, sizes[image->made]);
	if (thumbnail) {
		image->width = gdk_pixbuf_get_width(thumbnail);
		image->height = gdk_pixbuf_get_height(thumbnail);
		if (gdk_pixbuf_save_to_buffer(thumbnail, &image->png,
					      &image->png_len, "png", NULL,
					      "compression", "3", NULL))
			image->made++;
		g_object_unref(thumbnail);
	}
	if (!image->png)
		image_refuse(image, 503, "out of memory\n");

	return !!image->png;
}

void
image_end(struct image *image)
{
	unload(image);
	g_clear_object(&image->pixbuf);
	g_free(image->png);
	image->png = NULL;
}
