/*
 * lws-threadpool tests - garbage for a server, and then a healthy client
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-garbage PORT [--seconds N] [--seed S] [--protocol NAME]
 *                      [--get PATH] [--post PATH] [--say TEXT]
 *
 * Sends what no client would: random bytes, half requests, huge headers, wrong
 * lengths, broken ws frames; and leaves by FIN, by reset or not at all until
 * later.  Every now and then, and at the end, a healthy client must get its
 * handshake answered and a whole text frame, with --say after a message of this
 * text; or with --get a whole answer to a GET of that path; after a 503 it asks
 * again.  Exit status 0 if it always did.
 *
 * It is written without libwebsockets, so as not to share its view of things.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HELD	     40 /* connections that are kept open for a while */
#define BIG	     (1 << 17)
#define HEALTHY_SECS 60

static int port;
static const char *protocol, *say;
static const char *get_path, *post_path = "/";
static uint64_t rng;
static unsigned long sent[16], total;
static int held[HELD];

static uint32_t
below(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;

	return (uint32_t)((rng >> 16) % n);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
fail(const char *why)
{
	printf("garbage FAILED after %lu connections: %s\n", total, why);
	exit(1);
}

static int
connect_to(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		fail("the server does not accept connections any more");

	return fd;
}

/* the server may hang up in the middle of it, or read no more */
static void
put(int fd, const void *buf, size_t len)
{
	const char *p = buf;
	ssize_t n;

	while (len) {
		n = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

static void
put_text(int fd, const char *text)
{
	put(fd, text, strlen(text));
}

/* a request for "/", to the path that is to have such ones */
static void
put_request(int fd, const char *text)
{
	const int post = !strncmp(text, "POST / ", 7),
		  get = get_path && !strncmp(text, "GET / ", 6);

	if (post || get) {
		put_text(fd, post ? "POST " : "GET ");
		put_text(fd, post ? post_path : get_path);
		text += post ? 6 : 5;
	}
	put_text(fd, text);
}

static void
put_random(int fd, size_t len)
{
	unsigned char buf[512];
	size_t n;

	while (len) {
		for (n = 0; n < sizeof(buf); n++)
			buf[n] = (unsigned char)below(256);
		n = len < sizeof(buf) ? len : sizeof(buf);
		put(fd, buf, n);
		len -= n;
	}
}

/* a handshake, the last `without` bytes of it left out */
static void
put_handshake(int fd, size_t without)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "GET / HTTP/1.1\r\nHost: localhost:%d\r\n"
			 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: bHdzLXRocmVhZHBvb2whIQ==\r\n"
			 "%s%s%sSec-WebSocket-Version: 13\r\n\r\n",
			 port, protocol ? "Sec-WebSocket-Protocol: " : "",
			 protocol ? protocol : "", protocol ? "\r\n" : "");

	put(fd, text, (size_t)n - without);
}

/* waits for the end of the headers: what follows is sent to an open ws */
static void
handshake(int fd)
{
	char buf[1024] = "";
	size_t used = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	put_handshake(fd, 0);
	while (used < sizeof(buf) - 1 && poll(&p, 1, 2000) > 0) {
		n = recv(fd, buf + used, 1, 0);
		if (n <= 0)
			return;
		used += (size_t)n;
		buf[used] = '\0';
		if (strstr(buf, "\r\n\r\n"))
			return;
	}
}

/* a client's frame: masked as it should be, or as `second` says */
static void
put_frame(int fd, unsigned int first, unsigned int second, uint64_t length,
	  unsigned int length_bytes, size_t payload)
{
	unsigned char h[14];
	size_t n = 0;

	h[n++] = (unsigned char)first;
	h[n++] = (unsigned char)second;
	while (length_bytes--)
		h[n++] = (unsigned char)(length >> (8 * length_bytes));
	if (second & 0x80) {
		memset(h + n, 0, 4);
		n += 4;
	}
	put(fd, h, n);
	put_random(fd, payload);
}

static void
broken_frames(int fd)
{
	unsigned int n = 1 + below(6);

	handshake(fd);
	while (n--)
		switch (below(12)) {
		case 0: /* reserved bits and opcodes */
			put_frame(fd, below(256), 0x80 | 5, 0, 0, 5);
			break;
		case 1: /* not masked */
			put_frame(fd, 0x81, 5, 0, 0, 5);
			break;
		case 2: /* longer than can be */
			put_frame(fd, 0x82, 0x80 | 127, ~(uint64_t)0, 8, 100);
			break;
		case 3: /* a length that is 2^62, and 100 bytes */
			put_frame(fd, 0x82, 0x80 | 127, (uint64_t)1 << 62, 8,
				  100);
			break;
		case 4: /* more bytes than told: the rest is a header again */
			put_frame(fd, 0x81, 0x80 | 3, 0, 0, 3 + below(40));
			break;
		case 5: /* fewer */
			put_frame(fd, 0x81, 0x80 | 126, 60000, 2, below(600));
			break;
		case 6: /* a control frame that is too long, or in pieces */
			put_frame(fd, 0x89, 0x80 | 126, 1000, 2, 1000);
			break;
		case 7:
			put_frame(fd, 0x09, 0x80 | 4, 0, 0, 4);
			break;
		case 8: /* a close with half a status, or a wild one */
			put_frame(fd, 0x88, 0x80 | (1 + below(3)), 0, 0, 3);
			break;
		case 9: /* a continuation of nothing */
			put_frame(fd, 0x80, 0x80 | 4, 0, 0, 4);
			break;
		case 10: /* a message without end */
			put_frame(fd, 0x01, 0x80 | 126, 5000, 2, 5000);
			break;
		default: /* no UTF-8 */
			put_frame(fd, 0x81, 0x80 | 100, 0, 0, 100);
			break;
		}
}

static void
huge_headers(int fd)
{
	static char big[BIG];
	unsigned int n;
	char line[64];

	memset(big, 'a', sizeof(big));
	switch (below(5)) {
	case 0: /* one name or value */
		put_text(fd, "GET / HTTP/1.1\r\nHost: localhost\r\nX-");
		put(fd, big, BIG);
		break;
	case 1:
		put_text(fd, "GET / HTTP/1.1\r\nHost: ");
		put(fd, big, 1 + below(BIG - 1));
		put_text(fd, "\r\n\r\n");
		break;
	case 2: /* many */
		put_text(fd, "GET / HTTP/1.1\r\n");
		for (n = 0; n < 4000; n++) {
			snprintf(line, sizeof(line), "X-%u: %u\r\n", n, n);
			put_text(fd, line);
		}
		put_text(fd, "\r\n");
		break;
	case 3: /* a path */
		put_text(fd, "GET /");
		put(fd, big, 1 + below(BIG - 1));
		put_text(fd, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
		break;
	default: /* the key and the protocols of the handshake */
		put_text(fd,
			 "GET / HTTP/1.1\r\nHost: localhost\r\n"
			 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ");
		put(fd, big, below(2000));
		put_text(fd, "\r\nSec-WebSocket-Protocol: ");
		put(fd, big, below(2000));
		put_text(fd, ",,, ,x\r\n\r\n");
		break;
	}
}

static void
wrong_lengths(int fd)
{
	static const char *const requests[] = {
		"POST / HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Length: 100000\r\n\r\nshort",
		"POST / HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Length: -5\r\n\r\nshort",
		"POST / HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Length: 99999999999999999999999\r\n\r\nshort",
		"GET / HTTP/1.1\r\nHost: localhost\r\n"
		"Content-Length: 3\r\nContent-Length: 7\r\n\r\nGET / HTTP/1.1",
		"POST / HTTP/1.1\r\nHost: localhost\r\n"
		"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx",
		"GET / HTTP/1.1\r\nHost: localhost\r\n"
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Content-Length: 70000\r\n"
		"Sec-WebSocket-Key: bHdzLXRocmVhZHBvb2whIQ==\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\nbody",
	};

	put_request(fd,
		    requests[below(sizeof(requests) / sizeof(requests[0]))]);
}

static void
odd_requests(int fd)
{
	static const char *const requests[] = {
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x09\xff",
		"GET /../../../../../../etc/passwd HTTP/1.1\r\n"
		"Host: localhost\r\n\r\n",
		"GET /%2e%2e/%2e%2e/%00%ff%zz%1 HTTP/1.1\r\n"
		"Host: localhost\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"get / http/1.1\n\n",
		"GET http://[::::]:99999/ HTTP/1.1\r\nHost: \r\n\r\n",
		"GET / HTTP/1.1\r\nHost: :lws-threadpool\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: :lws-threadpool\r\n"
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: bHdzLXRocmVhZHBvb2whIQ==\r\n"
		"Sec-WebSocket-Protocol: lws-threadpool-bell\r\n"
		"Sec-WebSocket-Version: 13\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n"
		"Connection: Upgrade, HTTP2-Settings\r\n"
		"HTTP2-Settings: !!!!\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\n"
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 99999999999\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\n"
		"Range: bytes=-1-,5-2,99999999999999999-\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello, TLS",
		"CONNECT localhost:1 HTTP/1.1\r\n\r\n",
		"\r\n\r\n\r\n\r\n",
	};

	put_request(fd,
		    requests[below(sizeof(requests) / sizeof(requests[0]))]);
}

static void
raw_bytes(int fd)
{
	put_random(fd, 1 + below(1 << (1 + below(14))));
}

static void
half_handshake(int fd)
{
	put_handshake(fd, 1 + below(150));
}

static void
bytes_after_handshake(int fd)
{
	handshake(fd);
	put_random(fd, 1 + below(4096));
}

static void
nothing(int fd)
{
	(void)fd;
}

static void
handshake_and_away(int fd)
{
	if (get_path)
		put_request(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	else
		put_handshake(fd, 0);
}

/* FIN, reset, half closed, or kept for later */
static void
leave(int fd)
{
	const struct linger l = { .l_onoff = 1 };
	uint32_t slot = below(HELD);

	switch (below(4)) {
	case 0:
		break;
	case 1:
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
		break;
	case 2:
		shutdown(fd, SHUT_WR);
		/* fallthrough */
	default:
		if (held[slot] >= 0)
			close(held[slot]);
		held[slot] = fd;
		return;
	}
	close(fd);
}

/* is it a whole answer, with as many bytes as it says? */
static bool
is_whole(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n"),
		   *length = strstr(answer, "\r\ncontent-length:");

	return body && length && length < body &&
	       strlen(body + 4) >= strtoul(length + 17, NULL, 10);
}

/* one that behaves: it gets what it asks for, later if it was put off */
static void
healthy_http(void)
{
	static char buf[65536];
	const int64_t limit = now_ms() + HEALTHY_SECS * 1000;
	struct pollfd p = { .events = POLLIN };
	size_t used;
	ssize_t n;

	do {
		p.fd = connect_to();
		put_request(p.fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
		used = 0;
		buf[0] = '\0';
		while (!is_whole(buf)) {
			if (poll(&p, 1, HEALTHY_SECS * 1000) <= 0)
				fail("a healthy client waits in vain");
			n = recv(p.fd, buf + used, sizeof(buf) - 1 - used, 0);
			if (n <= 0)
				fail("a healthy client got no whole answer");
			used += (size_t)n;
			buf[used] = '\0';
		}
		close(p.fd);
		if (!strncmp(buf, "HTTP/1.1 200 ", 13))
			return;
	} while (!strncmp(buf, "HTTP/1.1 503 ", 13) &&
		 strstr(buf, "\r\nretry-after: ") && now_ms() < limit &&
		 !usleep(20000));
	fail("a healthy client got something else");
}

/* a message as it should be: the mask is 0 */
static void
say_it(int fd)
{
	unsigned char frame[6 + 125] = { 0x81 };
	size_t length = strlen(say);

	frame[1] = (unsigned char)(0x80 | length);
	memcpy(frame + 6, say, length);
	put(fd, frame, 6 + length);
}

/* the same of ws: the handshake is answered, and a whole text frame comes */
static void
healthy_ws(void)
{
	static char buf[65536];
	int fd = connect_to();
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t used = 0, length;
	const unsigned char *frame = NULL;
	ssize_t n;

	put_handshake(fd, 0);
	while (1) {
		if (poll(&p, 1, HEALTHY_SECS * 1000) <= 0)
			fail("a healthy client waits in vain");
		n = recv(fd, buf + used, sizeof(buf) - 1 - used, 0);
		if (n <= 0)
			fail("a healthy client got no frame");
		used += (size_t)n;
		buf[used] = '\0';
		if (!frame) {
			frame = (unsigned char *)strstr(buf, "\r\n\r\n");
			if (!frame)
				continue;
			frame += 4;
			if (strncmp(buf, "HTTP/1.1 101 ", 13))
				fail("a healthy client is refused");
			if (say)
				say_it(fd);
		}
		length = used - (size_t)(frame - (unsigned char *)buf);
		if (length >= 2 && frame[0] == 0x81 && frame[1] < 126 &&
		    length >= 2u + frame[1])
			break;
		if (length >= 2 && frame[0] != 0x81)
			fail("a healthy client got something else");
	}
	close(fd);
}

static void
healthy(void)
{
	if (get_path)
		healthy_http();
	else
		healthy_ws();
}

static const struct {
	const char *name;
	void (*send)(int fd);
} kinds[] = {
	{ "raw bytes", raw_bytes },
	{ "half handshakes", half_handshake },
	{ "huge headers", huge_headers },
	{ "wrong lengths", wrong_lengths },
	{ "odd requests", odd_requests },
	{ "broken frames", broken_frames },
	{ "bytes after the handshake", bytes_after_handshake },
	{ "handshakes, and away", handshake_and_away },
	{ "nothing", nothing },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

int
main(int argc, char **argv)
{
	int n, seconds = 5, fd;
	unsigned long clients = 0;
	uint64_t seed = (uint64_t)time(NULL);
	int64_t next = 0, end;
	uint32_t kind;

	port = argc > 1 ? atoi(argv[1]) : 0;
	for (n = 2; n + 1 < argc; n += 2)
		if (!strcmp(argv[n], "--seconds"))
			seconds = atoi(argv[n + 1]);
		else if (!strcmp(argv[n], "--seed"))
			seed = strtoull(argv[n + 1], NULL, 0);
		else if (!strcmp(argv[n], "--protocol"))
			protocol = argv[n + 1];
		else if (!strcmp(argv[n], "--get"))
			get_path = argv[n + 1];
		else if (!strcmp(argv[n], "--post"))
			post_path = argv[n + 1];
		else if (!strcmp(argv[n], "--say") && strlen(argv[n + 1]) < 126)
			say = argv[n + 1];
		else
			break;
	if (port < 1 || port > 65535 || n != argc || seconds < 1) {
		fprintf(stderr,
			"usage: %s PORT [--seconds N] [--seed S] "
			"[--protocol NAME] [--get PATH] [--post PATH] "
			"[--say TEXT]\n",
			argv[0]);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	printf("garbage: --seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	rng = seed * 2654435769u + 88172645463325252u;
	for (n = 0; n < HELD; n++)
		held[n] = -1;

	healthy();
	end = now_ms() + seconds * 1000;
	while (now_ms() < end) {
		kind = below(KINDS);
		fd = connect_to();
		kinds[kind].send(fd);
		leave(fd);
		sent[kind]++;
		if (++total % 50 || now_ms() < next)
			continue;
		/* where a task takes its time, most of ours goes to garbage */
		next = now_ms();
		healthy();
		next = now_ms() + 4 * (now_ms() - next);
		clients++;
	}
	/* with those that are still held, and without them */
	healthy();
	for (n = 0; n < HELD; n++)
		if (held[n] >= 0)
			close(held[n]);
	healthy();

	printf("garbage passed: %lu connections (", total);
	for (kind = 0; kind < KINDS; kind++)
		printf("%s%lu %s", kind ? ", " : "", sent[kind],
		       kinds[kind].name);
	printf("), %lu healthy clients served meanwhile\n", clients);

	return 0;
}
