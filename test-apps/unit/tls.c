/*
 * lws-threadpool unit tests - a server with TLS, and a peer of it
 *
 * SPDX-License-Identifier: MIT
 */

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tls.h"

#if defined(LWS_WITH_TLS)

extern char **environ;

static char dir[] = "/tmp/lwstp-unit-tls-XXXXXX";
static char cert[64], key[64];

/* its stdin and stdout are `fd`, or nothing */
static pid_t
openssl(char **argv, int fd)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	if (fd >= 0) {
		posix_spawn_file_actions_adddup2(&actions, fd, 0);
		posix_spawn_file_actions_adddup2(&actions, fd, 1);
	}
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
	if (posix_spawnp(&pid, "openssl", &actions, NULL, argv, environ))
		fail_msg("no openssl command: install openssl");
	posix_spawn_file_actions_destroy(&actions);

	return pid;
}

int
tls_make_certificate(void **state)
{
	char *argv[] = {
		"openssl", "req",   "-x509", "-newkey", "rsa:2048",
		"-nodes",  "-days", "3650",  "-subj",	"/CN=localhost",
		"-keyout", key,	    "-out",  cert,	NULL
	};
	int status;
	pid_t pid;

	(void)state;
	if (!mkdtemp(dir))
		return 1;
	snprintf(cert, sizeof(cert), "%s/cert", dir);
	snprintf(key, sizeof(key), "%s/key", dir);
	pid = openssl(argv, -1);

	return waitpid(pid, &status, 0) != pid || status;
}

int
tls_drop_certificate(void **state)
{
	(void)state;
	unlink(cert);
	unlink(key);

	return rmdir(dir);
}

void
tls_info(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
	info->ssl_cert_filepath = cert;
	info->ssl_private_key_filepath = key;
}

pid_t
tls_connect(struct rig *rig, const char *alpn, int *fd)
{
	char where[32], protocols[32];
	char *argv[] = { "openssl",
			 "s_client",
			 "-quiet",
			 "-no_ign_eof",
			 "-connect",
			 where,
			 alpn ? "-alpn" : NULL,
			 protocols,
			 NULL };
	int fds[2];
	pid_t pid;

	snprintf(where, sizeof(where), "127.0.0.1:%d", rig->port);
	snprintf(protocols, sizeof(protocols), "%s", alpn ? alpn : "");
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pid = openssl(argv, fds[1]);
	close(fds[1]);
	*fd = fds[0];

	return pid;
}

void
tls_disconnect(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	log_claim(LLL_NOTICE, "cert expiry");
}

#endif
