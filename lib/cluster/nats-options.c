/*
 * lws-threadpool-cluster - how libnats is to connect
 *
 * SPDX-License-Identifier: MIT
 *
 * Where to, as whom, and again and again.
 */

#include <stdlib.h>
#include <string.h>

#include "nats.h"

#define CONNECT_MS   1000
#define RECONNECT_MS 100
#define WRITE_MS     10000 /* then the connection counts as dead */

static natsStatus
set_servers(natsOptions *no, const char *url)
{
	/* each is a byte and a comma at least */
	const char **servers = calloc(strlen(url) / 2 + 1, sizeof(*servers));
	char *copy = strdup(url), *save = NULL, *one;
	natsStatus status = NATS_NO_MEMORY;
	int n = 0;

	if (copy && servers) {
		for (one = strtok_r(copy, ", ", &save); one;
		     one = strtok_r(NULL, ", ", &save))
			servers[n++] = one;
		status = n ? natsOptions_SetServers(no, servers, n) :
			     NATS_INVALID_ARG;
	}
	free(copy);
	free(servers);

	return status;
}

static natsStatus
set_secrets(natsOptions *no, const struct lwstpc_engine_options *o)
{
	natsStatus s = NATS_OK;

	if (o->creds_file)
		s = natsOptions_SetUserCredentialsFromFiles(no, o->creds_file,
							    NULL);
	if (s == NATS_OK && (o->ca_file || o->cert_file))
		s = natsOptions_SetSecure(no, true);
	if (s == NATS_OK && o->ca_file)
		s = natsOptions_LoadCATrustedCertificates(no, o->ca_file);
	if (s == NATS_OK && o->cert_file)
		s = natsOptions_LoadCertificatesChain(
			no, o->cert_file,
			o->key_file ? o->key_file : o->cert_file);

	return s;
}

natsStatus
lwstpc_nats_options(natsOptions *no, const struct lwstpc_engine_options *o)
{
	natsStatus s = set_servers(no, o->url);

	if (s == NATS_OK)
		s = set_secrets(no, o);
	if (s == NATS_OK)
		s = natsOptions_SetTimeout(no, CONNECT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetMaxReconnect(no, -1);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectWait(no, RECONNECT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetReconnectJitter(no, RECONNECT_MS,
						   RECONNECT_MS);
	if (s == NATS_OK)
		s = natsOptions_SetPingInterval(no, o->ping_ms);
	if (s == NATS_OK)
		s = natsOptions_SetMaxPingsOut(no, 2);
	if (s == NATS_OK)
		s = natsOptions_SetWriteDeadline(no, WRITE_MS);
	if (s == NATS_OK)
		s = natsOptions_SetSendAsap(no, o->low_latency);

	return s;
}
