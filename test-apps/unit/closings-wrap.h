/*
 * lws-threadpool unit tests - no wsi that is gone may be handed to lws
 *
 * SPDX-License-Identifier: MIT
 *
 * For one test each, linked with --wrap of these functions.  The stock lws is
 * not built with ASan: a freed wsi that it reads on our library's behalf would
 * go unnoticed.  Here it ends the test.
 */

#ifndef LWSTP_UNIT_CLOSINGS_WRAP_H
#define LWSTP_UNIT_CLOSINGS_WRAP_H

#include "closings.h"

int
__real_lws_callback_on_writable(struct lws *wsi);
int
__wrap_lws_callback_on_writable(struct lws *wsi);
struct lws *
__real_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info);
struct lws *
__wrap_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info);
lws_sockfd_type
__real_lws_get_socket_fd(struct lws *wsi);
lws_sockfd_type
__wrap_lws_get_socket_fd(struct lws *wsi);

int
__wrap_lws_callback_on_writable(struct lws *wsi)
{
	wsi_must_live(wsi, "lws_callback_on_writable()");

	return __real_lws_callback_on_writable(wsi);
}

struct lws *
__wrap_lws_adopt_descriptor_vhost_via_info(const lws_adopt_desc_t *info)
{
	struct lws *wsi;

	wsi_must_live(info->parent, "an adoption");
	wsi = __real_lws_adopt_descriptor_vhost_via_info(info);
	if (wsi)
		wsi_lives(wsi);

	return wsi;
}

lws_sockfd_type
__wrap_lws_get_socket_fd(struct lws *wsi)
{
	wsi_must_live(wsi, "lws_get_socket_fd()");

	return __real_lws_get_socket_fd(wsi);
}

#endif
