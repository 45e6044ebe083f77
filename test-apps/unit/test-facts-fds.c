/*
 * lws-threadpool unit tests - facts 5, 18: no room in lws's table of fds, and
 * no fds
 *
 * SPDX-License-Identifier: MIT
 *
 * An adoption that fails late leaves a child behind that owns its fd and still
 * closes with its parent.  An fd above the limit that the context began with
 * would be written beyond lws's table on 4.1.6 and 4.3.3, and is an assert on
 * 5.0.0.
 *
 * And what thousands of streams cost in fds.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closings.h"

#define LIMIT 12

static void
few_fds(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->fd_limit_per_thread = LIMIT;
}

static void
no_fd_limit(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->fd_limit_per_thread = 0;
}

/* lws takes one more of that kind */
static struct conn *
conn_try(struct rig *rig)
{
	struct conn *c;
	lws_adopt_desc_t desc;
	int fds[2];

	c = calloc(1, sizeof(*c));
	assert_non_null(c);
	c->rig = rig;
	c->kind = CONN_RAW;
	c->fd = -1;
	c->next = rig->conns;
	rig->conns = c;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       fds))
		return NULL;
	c->fd = fds[1];
	memset(&desc, 0, sizeof(desc));
	desc.vh = rig->vhost;
	desc.type = LWS_ADOPT_SOCKET;
	desc.fd.sockfd = fds[0];
	desc.vh_prot_name = "tp-raw";
	desc.opaque = c;
	c->wsi = lws_adopt_descriptor_vhost_via_info(&desc);
	c->up = !!c->wsi;

	return c->wsi ? c : NULL;
}

/* With `room` slots left in lws's table, `conns` connections get a task each:
 * those that are accepted stream, see their close, and no fd is lost. */
static void
table_full(int room, bool opt_in)
{
	struct rig_opts opts = { .info = few_fds, .opt_in = opt_in };
	int fds = rig_open_fds(), n, n_conns = 0, accepted = 0;
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 100);
	struct conn *c[LIMIT + 4];
	struct job *j[LIMIT + 4];

	rig->any_log = true; /* lws has a word to say itself */
	rig_drain(rig);
	while (n_conns < LIMIT + 4 && (c[n_conns] = conn_try(rig)))
		n_conns++;
	assert_true(n_conns > room + 2 && n_conns < LIMIT + 4);
	/* the table is full now, make room */
	for (n = 0; n < room; n++)
		closing_do(c[--n_conns], CLOSING_TIMEOUT);
	log_forget();
	for (n = 0; n < n_conns; n++) {
		j[n] = job_script(rig, 20, LWS_TP_RETURN_SYNC);
		if (job_enqueue(tp, j[n], c[n]->wsi))
			accepted++;
		else /* at most once a second (P2) */
			assert_true(log_count(LLL_ERR, "lws_threadpool") >= 1);
	}
	assert_true(accepted >= (opt_in ? n_conns : room));
	for (n = 0; n < n_conns; n++)
		if (j[n]->accepted)
			rig_until_int(rig, &j[n]->cleanups, 1);
	/* and again, for the close */
	for (n = 0; n < n_conns; n++) {
		if (!j[n]->accepted)
			continue;
		j[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, j[n], c[n]->wsi));
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
		closing_do(c[n], n & 1 ? CLOSING_FIN : CLOSING_TIMEOUT);
		rig_until_int(rig, &j[n]->cleanups, 1);
		assert_int_equal(atomic_load(&j[n]->stopping), 1);
	}
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(rig_open_fds(), fds);
}

static void
table_of_fds_full(void **state)
{
	int room;

	(void)state;
	for (room = 0; room < 5; room++)
		table_full(room, false);
}

static void
table_of_fds_full_with_the_opt_in(void **state)
{
	(void)state;
	table_full(0, true);
	table_full(1, true);
}

/* The table is full before the pool is made: no room for the doorbell */
static void
table_of_fds_full_before_the_pool(void **state)
{
	int opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		struct rig_opts opts = { .info = few_fds, .opt_in = opt_in };
		int fds = rig_open_fds(), n_conns = 0, n, round;
		struct rig *rig = rig_create(&opts);
		struct conn *c[LIMIT + 4];
		struct lws_threadpool *tp;
		struct job *j;

		rig->any_log = true;
		while (n_conns < LIMIT + 4 && (c[n_conns] = conn_try(rig)))
			n_conns++;
		tp = rig_pool(rig, 1, 100);
		rig_drain(rig);
		assert_int_equal(
			log_claim(LLL_WARN,
				  "lws_cancel_service(), "
				  "which is slower: lws has no place for one "
				  "more fd"),
			conn_kind_watched(CONN_RAW) && LWSTP_UNIT_EVENTFD);
		for (round = 0; round < 3; round++)
			for (n = 0; n < n_conns; n++) {
				j = job_script(rig, 20, LWS_TP_RETURN_SYNC);
				job_enqueue(tp, j, c[n]->wsi);
				if (j->accepted)
					rig_until_int(rig, &j->cleanups, 1);
				else if (opt_in)
					fail_msg("refused with the opt-in");
			}
		assert_int_equal(rig_destroy(rig), 0);
		assert_int_equal(rig_open_fds(), fds);
	}
}

/* ---- fact 18: accepts are held back ---- */

#define CALLERS (LIMIT + 4)

struct callers {
	struct lws_threadpool *tp;
	int fd[CALLERS];
	int established;
	int wanted;
	int refused;
};

/* each gets a task that stays */
static int
caller_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len)
{
	struct callers *callers = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_ESTABLISHED) {
		callers->established++;
		callers->refused += !job_enqueue(
			callers->tp,
			job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC), wsi);
	}

	return RIG_DEFAULT;
}

static int
call(struct rig *rig)
{
	static const char
		request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n"
			    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
			    "Sec-WebSocket-Key: bHdzdHAtdW5pdC10ZXN0cw==\r\n"
			    "Sec-WebSocket-Version: 13\r\n"
			    "Sec-WebSocket-Protocol: tp-test\r\n\r\n";
	int fd = tcp_connect(rig->port);

	assert_int_equal(write(fd, request, sizeof(request) - 1),
			 sizeof(request) - 1);

	return fd;
}

static bool
enough_established(void *arg)
{
	struct callers *callers = arg;

	return callers->established >= callers->wanted;
}

/* how many of those who call are let in until one hangs up */
static int
let_in(bool opt_in)
{
	struct callers callers = { .established = 0 };
	struct rig_opts opts = { .info = few_fds,
				 .opt_in = opt_in,
				 .on_event = caller_event,
				 .priv = &callers };
	struct rig *rig = rig_create(&opts);
	int n, first;

	rig->any_log = true; /* lws has a word to say itself */
	callers.tp = rig_pool(rig, 1, 100);
	rig_drain(rig);
	for (n = 0; n < CALLERS; n++) {
		callers.fd[n] = call(rig);
		rig_drain(rig);
	}
	first = callers.established;
	print_message("  %d of %d are let in\n", first, CALLERS);
	assert_true(first >= 2 && first < CALLERS);
	assert_int_equal(callers.refused, 0);

	/* The others come in as these leave.  Two may take the places of one,
	 * and then there is none for their watches. */
	for (n = 0; n < first; n++)
		close(callers.fd[n]);
	for (; n < CALLERS; n++) {
		callers.wanted = n + 1;
		rig_until(rig, enough_established, &callers);
		close(callers.fd[n]);
	}
	assert_int_equal(rig_destroy(rig), 0);

	return first;
}

/* A wsi that is watched takes two places in lws's table: so half as many are
 * let in, each can have its task, and the others are not forgotten. */
static void
accepts_are_held_back(void **state)
{
	int watched, free_ones;

	(void)state;
	watched = let_in(false);
	free_ones = let_in(true);
	if (conn_kind_watched(CONN_WS))
		assert_true(watched <= free_ones / 2 + 1);
	else
		assert_int_equal(watched, free_ones);
}

/* ---- RLIMIT_NOFILE ---- */

static struct rlimit limit_before;

static void
limit_fds(int n)
{
	struct rlimit rl = limit_before;

	rl.rlim_cur = (rlim_t)n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

static int
limit_setup(void **state)
{
	(void)state;

	return getrlimit(RLIMIT_NOFILE, &limit_before);
}

static int
limit_teardown(void **state)
{
	(void)state;

	return setrlimit(RLIMIT_NOFILE, &limit_before);
}

static int
fill(int *fds, int n)
{
	int got = 0;

	while (got < n && (fds[got] = dup(0)) >= 0)
		got++;

	return got;
}

static void
drop(int *fds, int n)
{
	while (n--)
		close(fds[n]);
}

/* No fd is left in the process when a wsi gets its first task */
static void
no_fd_for_the_watch_of(enum conn_kind kind)
{
	int fds[256], got, opt_in;

	for (opt_in = 0; opt_in < 2; opt_in++) {
		struct rig_opts opts = { .info = no_fd_limit,
					 .opt_in = opt_in };
		struct conn *watched, *fresh;
		struct job *held, *refused, *again, *ok, *alone;
		struct lws_threadpool *tp;
		struct rig *rig;

		limit_fds(200);
		rig = rig_create(&opts);
		tp = rig_pool(rig, 1, 10);
		watched = conn_open(rig, kind);
		fresh = conn_open(rig, kind);
		rig_drain(rig);
		held = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, held, watched->wsi));

		got = fill(fds, 256);
		assert_true(got < 256);
		refused = job_new(rig);
		job_enqueue(tp, refused, fresh->wsi);
		assert_int_equal(refused->accepted,
				 opt_in || !conn_kind_watched(kind));
		assert_int_equal(log_claim(LLL_ERR, "lws_threadpool_enqueue"),
				 !refused->accepted);
		/* it is not known from then on, as one that is watched is */
		again = job_new(rig);
		job_enqueue(tp, again, fresh->wsi);
		assert_int_equal(again->accepted, refused->accepted);
		/* at most once a second (P2) */
		log_claim(LLL_ERR, "lws_threadpool_enqueue");
		/* what needs no fd goes on */
		ok = job_script(rig, 10, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, ok, watched->wsi));
		alone = job_new(rig);
		assert_non_null(job_enqueue(tp, alone, NULL));
		rig_until_int(rig, &ok->cleanups, 1);
		wait_int(&alone->cleanups, 1);
		drop(fds, got);
		/* and the wsi was not harmed */
		ok = job_script(rig, 10, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, ok, fresh->wsi));
		rig_until_int(rig, &ok->cleanups, 1);
		closing_do(watched, CLOSING_FIN);
		rig_until_int(rig, &held->cleanups, 1);
		assert_int_equal(rig_destroy(rig), 0);
		limit_teardown(NULL);
	}
}

static void
no_fd_for_the_watch(void **state)
{
	(void)state;
	no_fd_for_the_watch_of(CONN_RAW);
	no_fd_for_the_watch_of(CONN_PIPE);
}

static void
no_fd_for_the_pool(void **state)
{
	struct lws_threadpool_create_args args = { 1, 10 };
	struct lws_threadpool *tp;
	int fds[256], got, left;
	struct rig *rig;
	struct job *j;

	(void)state;
	limit_fds(200);
	for (left = 0; left < 5; left++) {
		struct rig_opts opts = { .info = no_fd_limit };
		int before;

		rig = rig_create(&opts);
		before = rig_open_fds();
		got = fill(fds, 256);
		drop(fds + got - left, left);
		got -= left;
		tp = lws_threadpool_create(rig->context, &args, "none");
		if (!left)
			assert_null(tp);
		if (!tp) {
			assert_int_equal(
				log_claim(LLL_ERR, "lws_threadpool_create"), 1);
			drop(fds, got);
			assert_int_equal(rig_open_fds(), before);
			got = 0;
			tp = lws_threadpool_create(rig->context, &args, "now");
			assert_non_null(tp);
		}
		/* the doorbell may have none: that is no loss but of speed */
		rig_drain(rig);
		j = job_new(rig);
		assert_non_null(job_enqueue(tp, j, NULL));
		wait_int(&j->cleanups, 1);
		drop(fds, got);
		{
			struct conn *c = conn_open(rig, CONN_RAW);

			j = job_script(rig, 50, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp, j, c->wsi));
			rig_until_int(rig, &j->cleanups, 1);
		}
		lws_threadpool_destroy(tp);
		log_claim(LLL_ERR, "");
		log_claim(LLL_WARN, "");
		assert_int_equal(rig_destroy(rig), 0);
	}
	limit_teardown(NULL);
}

/* Fds above what the context's table holds, after the limit was raised */
static void
limit_raised(enum conn_kind kind)
{
	int fds[300], got, base, fd;
	struct rig_opts opts = { .info = no_fd_limit };
	struct lws_threadpool *tp;
	struct job *j, *ok;
	struct conn *c[3];
	struct rig *rig;
	int n;

	fd = dup(0);
	base = fd;
	close(fd);
	limit_fds(base + 60);
	rig = rig_create(&opts);
	tp = rig_pool(rig, 1, 10);
	for (n = 0; n < 3; n++)
		c[n] = conn_open(rig, kind);
	rig_drain(rig);
	limit_fds(base + 300);
	/* every number that the table holds is in use */
	for (got = 0; got < 300; got++) {
		fds[got] = dup(0);
		assert_true(fds[got] >= 0);
		if (fds[got] >= base + 70)
			break;
	}
	got++;
	for (n = 0; n < 2; n++) {
		j = job_new(rig);
		job_enqueue(tp, j, c[n]->wsi);
		assert_int_equal(j->accepted, !conn_kind_watched(kind));
		/* at most once a second (P2) */
		assert_true(j->accepted ||
			    log_claim(LLL_ERR, "lws_threadpool_enqueue") >= 1);
	}
	/* compiled in, the hidden vhost and its signal may come as late as
	 * this: for the hang-ups, or for a raw file */
	if (LWSTP_UNIT_IN_LWS)
		log_claim(LLL_WARN, "SYNCs go by lws_cancel_service()");
	/* nothing of lws's was touched, and what we opened is closed again */
	fd = dup(0);
	assert_int_equal(fd, fds[got - 1] + 1);
	close(fd);
	assert_null(lws_get_child(c[0]->wsi));
	drop(fds, got);
	for (n = 0; n < 3; n++) {
		ok = job_script(rig, 10, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, ok, c[n]->wsi));
		rig_until_int(rig, &ok->cleanups, 1);
	}
	assert_int_equal(rig_destroy(rig), 0);
	limit_teardown(NULL);
}

static void
limit_raised_after_the_context_was_made(void **state)
{
	(void)state;
	limit_raised(CONN_RAW);
	limit_raised(CONN_PIPE);
}

/* ---- what streams cost ---- */

#define STREAMS	    9000 /* where they cost none */
#define STREAMS_FEW 2000 /* where they do, and by glib: it is slow */
#define POOL_FDS    3	 /* the doorbell's, lws's copy, the watches' */

static int
all_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);

	return n;
}

struct crowd {
	struct job *jobs[STREAMS];
	int n;
	int answers; /* of each that are waited for */
};

static bool
all_stream(void *arg)
{
	struct crowd *crowd = arg;

	for (int n = 0; n < crowd->n; n++)
		if (crowd->jobs[n]->seen[LWS_TP_STATUS_SYNCING] <
		    crowd->answers)
			return false;

	return true;
}

/* Each wsi that streams costs one fd where it has to be watched, and none where
 * lws tells of its close or the application does */
static void
fds_of_streams(struct crowd *crowd, bool opt_in)
{
	struct rig_opts opts = { .info = no_fd_limit, .opt_in = opt_in };
	int n, before, used, each = conn_kind_watched(CONN_RAW) && !opt_in;
	struct lws_threadpool *tp;
	struct conn *c;
	struct rig *rig;

	/* the test has the peers too, so these are two each */
	crowd->n = each || evloop_is("glib") ? STREAMS_FEW : STREAMS;
	limit_fds(crowd->n * (2 + each) + 200);

	rig = rig_create(&opts);
	before = all_open_fds();
	tp = rig_pool(rig, 2, crowd->n);
	for (n = 0; n < crowd->n; n++)
		conn_open(rig, CONN_RAW);
	for (n = 0, c = rig->conns; n < crowd->n; n++, c = c->next) {
		crowd->jobs[n] = job_script(rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp, crowd->jobs[n], c->wsi));
	}
	crowd->answers = 3;
	rig_until(rig, all_stream, crowd);
	used = all_open_fds() - before - crowd->n * 2;
	print_message("  %d wsi that stream use %d more fds\n", crowd->n, used);
	assert_true(used >= crowd->n * each);
	assert_true(used <= crowd->n * each + POOL_FDS);
	assert_int_equal(rig_destroy(rig), 0);
	limit_teardown(NULL);
}

static void
fds_of_9000_wsi_that_stream(void **state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));

	(void)state;
	assert_non_null(crowd);
	fds_of_streams(crowd, false);
	if (conn_kind_watched(CONN_RAW))
		fds_of_streams(crowd, true);
	free(crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_fds_full),
		cmocka_unit_test(table_of_fds_full_with_the_opt_in),
		cmocka_unit_test(table_of_fds_full_before_the_pool),
		cmocka_unit_test(accepts_are_held_back),
		cmocka_unit_test_setup_teardown(no_fd_for_the_watch,
						limit_setup, limit_teardown),
		cmocka_unit_test_setup_teardown(no_fd_for_the_pool, limit_setup,
						limit_teardown),
		cmocka_unit_test_setup_teardown(
			limit_raised_after_the_context_was_made, limit_setup,
			limit_teardown),
		cmocka_unit_test_setup_teardown(fds_of_9000_wsi_that_stream,
						limit_setup, limit_teardown),
	};

	return cmocka_run_group_tests_name("facts 5, 18: fds", tests, NULL,
					   NULL);
}
