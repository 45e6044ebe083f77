/*
 * lws-threadpool unit tests - H1, H2, W1, tasks with handlers on the streams of
 * one http/2 connection, in plain text and over TLS
 *
 * SPDX-License-Identifier: MIT
 *
 * Each stream has a task that sends its path's letter with a number, part by
 * part, and a full stop when it has ended.  What the peer gets of a stream
 * tells whose handlers wrote it, and in which order.
 */

#include <unistd.h>

#include "h2.h"
#include "served.h"
#include "tls.h"

#if defined(LWS_ROLE_H2)

#define STREAMS 6
#define PARTS	3

struct stream {
	struct served *s;
	struct lws *wsi; /* NULL once it closed */
	bool closed;
	int parts; /* sent */

	/* by the peer */
	char got[64];
	size_t len;
	bool ended, reset;
};

static struct {
	struct rig *rig;
	struct lws_threadpool *tp;
	struct stream streams[STREAMS];
	struct h2_reader reader;
	int fd;
	pid_t pid; /* over TLS */
	int asked; /* requests of the peer */
	int parts; /* SYNCs of each task */
} h;

/* ---- the application ---- */

static struct stream *
stream_of(const struct lws *wsi)
{
	for (int n = 0; n < STREAMS; n++)
		if (h.streams[n].wsi && h.streams[n].wsi == wsi)
			return &h.streams[n];

	return NULL;
}

static char
letter(const struct stream *st)
{
	return (char)('a' + (st - h.streams));
}

static int
send_text(struct lws *wsi, const char *text, enum lws_write_protocol how)
{
	uint8_t buf[LWS_PRE + 16];
	size_t len = strlen(text);

	memcpy(buf + LWS_PRE, text, len);

	return lws_write(wsi, buf + LWS_PRE, len, how) < (int)len ? -1 : 0;
}

static int
send_part(struct served *s, struct lws *wsi)
{
	struct stream *st = s->priv;
	char text[16];

	if (wsi != st->wsi)
		job_fault(s->j, "on_sync with another stream's wsi (H1)");
	if (s->sync_ret)
		return s->sync_ret;
	snprintf(text, sizeof(text), "%c%d ", letter(st), ++st->parts);

	return send_text(wsi, text, LWS_WRITE_HTTP);
}

static int
send_end(struct served *s, struct lws *wsi)
{
	struct stream *st = s->priv;

	if (wsi != st->wsi)
		job_fault(s->j, "on_end with another stream's wsi (H1)");
	if (send_text(wsi, ".", LWS_WRITE_HTTP_FINAL))
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
start(struct lws *wsi, const char *path)
{
	uint8_t buf[LWS_PRE + 512],
		*at = &buf[LWS_PRE], *begin = at, *end = &buf[sizeof(buf) - 1];
	struct stream *st = &h.streams[path[strlen(path) - 1] - 'a'];

	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain",
					LWS_ILLEGAL_HTTP_CONTENT_LEN, &at,
					end) ||
	    lws_finalize_write_http_header(wsi, begin, &at, end))
		return -1;
	st->wsi = wsi;
	assert_non_null(served_enqueue(h.tp, st->s, wsi));

	return 0;
}

static int
event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
      void *user, void *in, size_t len)
{
	struct stream *st = stream_of(wsi);

	(void)rig;
	(void)user;
	(void)len;
	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		return start(wsi, in);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return st ? lws_threadpool_serve(wsi) : 0;
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (st) {
			st->closed = true;
			st->wsi = NULL;
		}
		return 0;
	default:
		return RIG_DEFAULT;
	}
}

/* ---- the peer ---- */

static void
ask(void)
{
	h2_send_get(h.fd, (uint8_t)(2 * h.asked + 1), (char)('a' + h.asked));
	h.asked++;
}

static void
take(void *arg, uint8_t type, uint8_t flags, uint32_t id,
     const uint8_t *payload, size_t len)
{
	struct stream *st = &h.streams[id / 2];

	(void)arg;
	if (!id || id / 2 >= STREAMS)
		return;
	if (type == H2_DATA) {
		assert_true(st->len + len < sizeof(st->got));
		memcpy(st->got + st->len, payload, len);
		st->len += len;
	}
	if ((type == H2_DATA || type == H2_HEADERS) && (flags & H2_END_STREAM))
		st->ended = true;
	if (type == H2_RST_STREAM)
		st->reset = true;
}

static bool
has_ended(void *arg)
{
	struct stream *st = arg;

	h2_read(&h.reader, h.fd, NULL, take);

	return st->ended;
}

static bool
has_closed(void *arg)
{
	struct stream *st = arg;

	return st->closed;
}

/* All that is to be sent came, of that stream alone and in order, and its task
 * is no more. */
static void
is_whole(struct stream *st)
{
	char want[64] = "";

	for (int n = 1; n <= h.parts; n++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want),
			 "%c%d ", letter(st), n);
	strcat(want, ".");
	rig_until(h.rig, has_ended, st);
	rig_until_int(h.rig, &st->s->j->cleanups, 1);
	assert_string_equal(st->got, want);
	assert_int_equal(atomic_load(&st->s->ends), 1);
	assert_int_equal(st->s->how, LWS_TP_STATUS_FINISHED);
}

/* ---- a test's begin and end ---- */

/* The first streams of a connection; the task of stream `staying`, if any,
 * stays SYNCING. */
static void
begin(bool tls, int streams, int staying)
{
	struct rig_opts opts = { .info = h2_info, .on_event = event };

#if defined(LWS_WITH_TLS)
	if (tls)
		opts.info = tls_info;
#endif
	memset(&h, 0, sizeof(h));
	h.parts = PARTS;
	h.rig = served_rig(&opts);
	h.tp = rig_pool(h.rig, 2, 100);
	for (int n = 0; n < STREAMS; n++) {
		struct served *s = served_script(h.rig, h.parts,
						 LWS_TP_RETURN_SYNC);

		s->priv = &h.streams[n];
		s->on_sync = send_part;
		s->on_end = send_end;
		if (n == staying)
			s->sync_ret = LWS_TP_ON_SYNC_STAY;
		h.streams[n].s = s;
	}
#if defined(LWS_WITH_TLS)
	if (tls)
		h.pid = tls_connect(h.rig, "h2", &h.fd);
	else
#endif
		h.fd = tcp_connect(h.rig->port);
	h2_send_preface(h.fd);
	for (int n = 0; n < streams; n++)
		ask();
}

static void
hang_up(void)
{
	close(h.fd);
	h.fd = -1;
#if defined(LWS_WITH_TLS)
	if (h.pid)
		tls_disconnect(h.pid);
	h.pid = 0;
#endif
}

static void
end(void)
{
	hang_up();
	assert_int_equal(served_rig_destroy(h.rig), 0);
}

/* One that stays SYNCING on stream b, while the others go on to their end */
static struct served *
one_stays(bool tls)
{
	struct served *b;

	begin(tls, 3, 1);
	b = h.streams[1].s;
	is_whole(&h.streams[0]);
	is_whole(&h.streams[2]);
	rig_until_int(h.rig, &b->syncs, 1);
	ask();
	is_whole(&h.streams[3]);
	assert_int_equal(lws_threadpool_task_status_noreap(b->j->task),
			 LWS_TP_STATUS_SYNCING);
	assert_int_equal(atomic_load(&b->j->calls), 1);

	return b;
}

/* W1: it was told why, and no handler was called for it */
static void
was_closed(struct served *b, int syncs)
{
	rig_until_int(h.rig, &b->j->cleanups, 1);
	assert_int_equal(atomic_load(&b->j->stopping), 1);
	assert_int_equal(b->cleanup_how, LWS_TP_STATUS_STOPPED);
	assert_int_equal(b->cleanup_why, LWS_TP_STOP_CLOSED);
	assert_null(b->j->cleanup_wsi);
	assert_int_equal(atomic_load(&b->syncs), syncs);
	assert_int_equal(atomic_load(&b->ends), 0);
}

/* ---- the tests, in plain text and over TLS ---- */

/* H1: each stream's handlers, with its own wsi, in order */
static void
each_stream_has_its_own(bool tls)
{
	begin(tls, STREAMS, -1);
	for (int n = 0; n < STREAMS; n++)
		is_whole(&h.streams[n]);
	for (int n = 0; n < STREAMS; n++)
		assert_int_equal(atomic_load(&h.streams[n].s->syncs), PARTS);
	end();
}

/* H2: nor does a later stream wait for it; resumed, it sends all that it has */
static void
one_that_stays_holds_up_no_stream(bool tls)
{
	struct served *b = one_stays(tls);

	b->sync_ret = LWS_TP_ON_SYNC_RESUME;
	lws_callback_on_writable(h.streams[1].wsi);
	is_whole(&h.streams[1]);
	end();
}

/* H1, W1: a negative on_sync closes its own stream and no other */
static void
a_negative_on_sync_closes_the_stream(bool tls)
{
	struct served *b = one_stays(tls);
	int syncs = atomic_load(&b->syncs);

	b->sync_ret = -1;
	lws_callback_on_writable(h.streams[1].wsi);
	rig_until(h.rig, has_closed, &h.streams[1]);
	was_closed(b, syncs + 1);
	ask();
	is_whole(&h.streams[4]);
	end();
}

/* W1: the peer resets it.  Lws before 5.0 does not tell: then it is served on,
 * or ends with its connection. */
static void
the_peer_resets_one(bool tls)
{
	for (int served = 0; served < 2; served++) {
		struct served *b = one_stays(tls);
		int syncs = atomic_load(&b->syncs);

		h2_send_rst_stream(h.fd, 3);
		/* what was sent behind that was read, too */
		ask();
		is_whole(&h.streams[4]);
		if (LWS_LIBRARY_VERSION_NUMBER < 5000000) {
			assert_false(h.streams[1].closed);
			assert_int_equal(
				lws_threadpool_task_status_noreap(b->j->task),
				LWS_TP_STATUS_SYNCING);
			assert_int_equal(atomic_load(&b->j->cleanups), 0);
		}
		if (LWS_LIBRARY_VERSION_NUMBER < 5000000 && served) {
			b->sync_ret = LWS_TP_ON_SYNC_RESUME;
			lws_callback_on_writable(h.streams[1].wsi);
			rig_until_int(h.rig, &b->ends, 1);
		} else {
			if (LWS_LIBRARY_VERSION_NUMBER < 5000000)
				hang_up();
			rig_until(h.rig, has_closed, &h.streams[1]);
			was_closed(b, syncs);
		}
		end();
	}
}

#define WAY(test, way, tls) \
	static void test##way(void **state) \
	{ \
		(void)state; \
		test(tls); \
	}

#if defined(LWS_WITH_TLS)
#define BOTH_WAYS(test) \
	WAY(test, _in_plain, false) \
	WAY(test, _over_tls, true)
#else
#define BOTH_WAYS(test) WAY(test, _in_plain, false)
#endif

BOTH_WAYS(each_stream_has_its_own)
BOTH_WAYS(one_that_stays_holds_up_no_stream)
BOTH_WAYS(a_negative_on_sync_closes_the_stream)
BOTH_WAYS(the_peer_resets_one)

#define TESTS(way) \
	cmocka_unit_test(each_stream_has_its_own##way), \
		cmocka_unit_test(one_that_stays_holds_up_no_stream##way), \
		cmocka_unit_test(a_negative_on_sync_closes_the_stream##way), \
		cmocka_unit_test(the_peer_resets_one##way)

int
main(void)
{
	const struct CMUnitTest plain[] = { TESTS(_in_plain) };
	int failed = cmocka_run_group_tests_name("H1 http/2", plain, NULL,
						 NULL);
#if defined(LWS_WITH_TLS)
	const struct CMUnitTest tls[] = { TESTS(_over_tls) };

	failed += cmocka_run_group_tests_name("H1 http/2 over TLS", tls,
					      tls_make_certificate,
					      tls_drop_certificate);
#endif

	return failed;
}

#else

int
main(void)
{
	print_message("this libwebsockets has no http/2\n");

	return 0;
}

#endif
