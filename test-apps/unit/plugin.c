/*
 * lws-threadpool unit tests - a plugin for lws, of one protocol that does
 * nothing
 *
 * SPDX-License-Identifier: MIT
 *
 * Lws looks for "tp_plugin" in libprotocol_tp_plugin.so.  It calls no function
 * of lws, which may be in an archive here.
 */

#include <libwebsockets.h>

static int
callback_plugin(struct lws *wsi, enum lws_callback_reasons reason, void *user,
		void *in, size_t len)
{
	(void)wsi;
	(void)reason;
	(void)user;
	(void)in;
	(void)len;

	return 0;
}

static const struct lws_protocols protocols[] = {
	{ .name = "tp-plugin", .callback = callback_plugin },
};

LWS_VISIBLE extern const lws_plugin_protocol_t tp_plugin;

LWS_VISIBLE const lws_plugin_protocol_t tp_plugin = {
	.hdr = {
		.name = "tp plugin",
		._class = "lws_protocol_plugin",
#if LWS_LIBRARY_VERSION_NUMBER >= 4002000
		.lws_build_hash = LWS_BUILD_HASH,
#endif
		.api_magic = LWS_PLUGIN_API_MAGIC,
	},
	.protocols = protocols,
	.count_protocols = LWS_ARRAY_SIZE(protocols),
};
