/*
 * lws-threadpool unit tests - facts 1 and 6: pools made while lws sets vhosts
 * up, and contexts that go before they were serviced
 *
 * SPDX-License-Identifier: MIT
 *
 * Fact 1: a vhost made inside PROTOCOL_INIT or EVENT_WAIT_CANCELLED zeroes the
 * wsi of the callback that is running.  That is of all versions in the second
 * case, of 4.1.6 in the first.  Fact 6, a context that was never serviced sends
 * no PROTOCOL_DESTROY, is of all versions; that a hidden vhost goes before its
 * last parent's CLOSED is of 4.3.3 and 5.0.0 and is not seen here.
 */

#include "closings.h"

struct inits {
	struct lws_threadpool *tp[16];
	int n;
	bool enqueue; /* a task without a wsi too */
	struct job *jobs[16];
	int vhost_lost;
};

static struct lws_threadpool *
pool_on(struct lws_context *context)
{
	struct lws_threadpool_create_args args = { 1, 100 };
	struct lws_threadpool *tp;

	tp = lws_threadpool_create(context, &args, "init");
	assert_non_null(tp);

	return tp;
}

static int
init_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	   void *user, void *in, size_t len)
{
	struct inits *s = rig->priv;
	const struct lws_protocols *protocol;
	struct lws_vhost *vhost;

	(void)user;
	(void)in;
	(void)len;
	if (reason != LWS_CALLBACK_PROTOCOL_INIT || s->n == 16)
		return RIG_DEFAULT;

	vhost = lws_get_vhost(wsi);
	protocol = lws_get_protocol(wsi);
	s->tp[s->n] = pool_on(lws_get_context(wsi));
	if (s->enqueue) {
		s->jobs[s->n] = job_new(rig);
		assert_non_null(job_enqueue(s->tp[s->n], s->jobs[s->n], NULL));
	}
	s->n++;
	/* the callback's own wsi is what it was, and lws can use it */
	if (lws_get_vhost(wsi) != vhost || !vhost ||
	    lws_get_protocol(wsi) != protocol)
		s->vhost_lost++;
	else if (!lws_protocol_vh_priv_zalloc(vhost, protocol, 64))
		s->vhost_lost++;

	return 0;
}

static void
inits_destroy(struct inits *s)
{
	while (s->n)
		lws_threadpool_destroy(s->tp[--s->n]);
}

static void
stream_on(struct rig *rig, struct inits *s)
{
	struct job *j;
	int n, kind;

	for (n = 0; n < s->n; n++)
		for (kind = 0; kind < CONN_KINDS; kind++) {
			struct conn *c = conn_open(rig, (enum conn_kind)kind);

			j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(s->tp[n], j, c->wsi));
			rig_until_int(rig, &j->cleanups, 1);
			closing_do(c, CLOSING_TIMEOUT);
		}
}

/* ---- fact 1 ---- */

static void
pools_made_in_PROTOCOL_INIT_of_every_protocol(void **state)
{
	int n;

	(void)state;
	for (n = 0; n < 4; n++) {
		struct inits s = { .enqueue = n & 1 };
		struct rig_opts opts = {
			.on_event = init_event, .priv = &s, .opt_in = n & 2
		};
		struct rig *rig = rig_create(&opts);

		rig_drain(rig);
		assert_int_equal(s.n, 4);
		assert_int_equal(s.vhost_lost, 0);
		stream_on(rig, &s);
		inits_destroy(&s);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

static struct lws_vhost *
second_vhost(struct rig *rig, int port, const char *name)
{
	struct lws_context_creation_info info;

	memset(&info, 0, sizeof(info));
	info.port = port;
	info.iface = port == CONTEXT_PORT_NO_LISTEN ? NULL : "lo";
	info.protocols = rig->protocols;
	info.vhost_name = name;
	info.pvo = rig_pvo();

	return lws_create_vhost(rig->context, &info);
}

static void
pools_made_in_PROTOCOL_INIT_of_two_vhosts(void **state)
{
	int later;

	(void)state;
	for (later = 0; later < 2; later++) {
		struct inits s = { .n = 0 };
		struct rig_opts opts = { .on_event = init_event, .priv = &s };
		struct rig *rig = rig_create(&opts);

		/* before the first turn, or when the hidden one is there */
		if (later)
			rig_drain(rig);
		assert_non_null(second_vhost(rig, CONTEXT_PORT_NO_LISTEN,
					     "second"));
		rig_drain(rig);
		assert_int_equal(s.n, 8);
		assert_int_equal(s.vhost_lost, 0);
		stream_on(rig, &s);
		inits_destroy(&s);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

static void
explicit_vhosts(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	info->options |= LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
}

/* The hidden vhost may not be the first of the context: 4.1.6 and 4.3.3 bind
 * clients without a vhost to that */
static void
pools_made_with_EXPLICIT_VHOSTS(void **state)
{
	int in_init;

	(void)state;
	for (in_init = 0; in_init < 2; in_init++) {
		int vhosts = 1;
		struct inits s = { .n = 0 };
		struct rig_opts opts = {
			.info = explicit_vhosts,
			.priv = &s,
			.on_event = in_init ? init_event : NULL
		};
		struct rig *rig = rig_create(&opts);

		/* before any vhost is there */
		s.tp[s.n++] = pool_on(rig->context);
		rig->vhost = second_vhost(rig, 0, "mine");
		assert_non_null(rig->vhost);
		rig->port = lws_get_vhost_listen_port(rig->vhost);
		/* made by lws with our protocols, for secure streams (5.0) */
		vhosts += !!lws_get_vhost_by_name(rig->context, "_ss_default");
		rig_drain(rig);
		assert_int_equal(s.n, in_init ? 1 + 4 * vhosts : 1);
		assert_int_equal(s.vhost_lost, 0);
		stream_on(rig, &s);
		inits_destroy(&s);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

static void
connect_without_a_vhost(struct rig *rig, struct lws **pwsi)
{
	struct lws_client_connect_info info;

	memset(&info, 0, sizeof(info));
	info.context = rig->context;
	info.address = "127.0.0.1";
	info.host = info.origin = "localhost";
	info.path = "/";
	info.port = rig->port;
	info.protocol = "tp-test";
	info.local_protocol_name = "tp-client";
	info.pwsi = pwsi;
	lws_client_connect_via_info(&info);
}

static int
client_vhost_event(struct rig *rig, struct lws *wsi,
		   enum lws_callback_reasons reason, void *user, void *in,
		   size_t len)
{
	atomic_int *up = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_CLIENT_ESTABLISHED) {
		/* this one, or one that lws made of our protocols (5.0) */
		assert_string_not_equal(lws_get_vhost_name(lws_get_vhost(wsi)),
					":lws-threadpool");
		atomic_store(up, 1);
	}

	return RIG_DEFAULT;
}

static void
a_client_without_a_vhost_gets_the_application_s(void **state)
{
	int explicit;

	(void)state;
	/* its own vhost, or one that is made before or after the first turn */
	for (explicit = 0; explicit < 3; explicit ++) {
		atomic_int up = 0;
		struct rig_opts opts = {
			.info = explicit ? explicit_vhosts : NULL,
			.on_event = client_vhost_event,
			.priv = &up
		};
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = pool_on(rig->context);
		struct lws *wsi = NULL;

		if (explicit == 2)
			rig_drain(rig);
		if (explicit) {
			rig->vhost = second_vhost(rig, 0, "mine");
			assert_non_null(rig->vhost);
			rig->port = lws_get_vhost_listen_port(rig->vhost);
		}
		rig_drain(rig);
		connect_without_a_vhost(rig, &wsi);
		rig_until_int(rig, &up, 1);
		lws_threadpool_destroy(tp);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* The context's first pool, and its first task, inside a callback that must not
 * see a vhost made */
struct broadcast {
	enum lws_callback_reasons reason;
	struct conn *conn;
	struct lws_threadpool *tp;
	struct job *job; /* or NULL */
	int seen, lost;
};

static int
broadcast_event(struct rig *rig, struct lws *wsi,
		enum lws_callback_reasons reason, void *user, void *in,
		size_t len)
{
	struct broadcast *b = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (reason != b->reason || !b->conn)
		return RIG_DEFAULT;
	b->seen++;
	if (!lws_get_vhost(wsi) || !lws_get_context(wsi))
		b->lost++;
	if (!b->tp) {
		b->tp = pool_on(rig->context);
		if (b->job)
			job_enqueue(b->tp, b->job, b->conn->wsi);
		if (!lws_get_vhost(wsi) || !lws_get_protocol(wsi))
			b->lost++;
	}

	return 0;
}

static bool
has_broadcast(void *arg)
{
	struct broadcast *b = arg;

	return b->seen >= 4;
}

static void
first_pool_and_task(enum lws_callback_reasons reason, bool task)
{
	struct broadcast b = { .reason = reason };
	struct rig_opts opts = { .on_event = broadcast_event, .priv = &b };
	struct rig *rig = rig_create(&opts);
	struct job *again = job_script(rig, 3, LWS_TP_RETURN_SYNC);

	if (task)
		b.job = job_script(rig, 3, LWS_TP_RETURN_SYNC);
	b.conn = conn_open(rig, CONN_RAW);
	rig_drain(rig);
	if (reason == LWS_CALLBACK_PROTOCOL_INIT)
		assert_non_null(second_vhost(rig, CONTEXT_PORT_NO_LISTEN,
					     "second"));
	else
		lws_cancel_service(rig->context);
	rig_until(rig, has_broadcast, &b);
	rig_drain(rig);
	/* the task makes the hidden vhost, and lws takes that of the callback's
	 * wsi away: the manual says not to do it there */
	if (!task)
		assert_int_equal(b.lost, 0);
	/* accepted and served, or refused: and then it works a turn later */
	if (task && b.job->accepted)
		rig_until_int(rig, &b.job->cleanups, 1);
	assert_non_null(job_enqueue(b.tp, again, b.conn->wsi));
	rig_until_int(rig, &again->cleanups, 1);
	log_claim(LLL_ERR, "lws_threadpool");
	log_claim(LLL_WARN, "lws_threadpool");
	lws_threadpool_destroy(b.tp);
	assert_int_equal(rig_destroy(rig), 0);
}

static void
first_pool_and_task_in_EVENT_WAIT_CANCELLED(void **state)
{
	(void)state;
	first_pool_and_task(LWS_CALLBACK_EVENT_WAIT_CANCELLED, false);
	first_pool_and_task(LWS_CALLBACK_EVENT_WAIT_CANCELLED, true);
}

static void
first_pool_in_PROTOCOL_INIT_of_a_later_vhost(void **state)
{
	(void)state;
	/* tasks with a wsi are not for PROTOCOL_INIT */
	first_pool_and_task(LWS_CALLBACK_PROTOCOL_INIT, false);
}

/* An enqueue that comes before the first turn makes what is missing itself */
static void
first_task_before_the_first_turn(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW); /* not serviced */
	struct job *j = job_script(rig, 5, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
}

/* ---- fact 6 ---- */

static void
context_destroyed_before_its_first_service(void **state)
{
	int pool_first, enqueue, round;

	(void)state;
	for (round = 0; round < 5; round++)
		for (pool_first = 0; pool_first < 2; pool_first++)
			for (enqueue = 0; enqueue < 3; enqueue++) {
				struct rig *rig = rig_create(NULL);
				struct lws_threadpool *tp = rig_pool(rig, 2,
								     10);
				struct job *j = job_script(rig, INT32_MAX,
							   LWS_TP_RETURN_SYNC);
				struct conn *c;

				if (enqueue == 1)
					job_enqueue(tp, j, NULL);
				if (enqueue == 2) {
					c = conn_open(rig, CONN_RAW);
					job_enqueue(tp, j, c->wsi);
				}
				rig->context_first = !pool_first;
				assert_int_equal(rig_destroy(rig), 0);
			}
}

/* Pools that are left of old contexts, at whose address there may be another */
static void
new_context_with_a_new_pool_while_old_pools_are_left(void **state)
{
	struct lws_threadpool *old[10];
	struct rig *olds[10], *rig;
	int n, serviced, same = 0;

	(void)state;
	for (serviced = 0; serviced < 2; serviced++) {
		struct lws_context *last = NULL;

		for (n = 0; n < 10; n++) {
			struct job *j;
			struct conn *c;

			rig = olds[n] = rig_create(NULL);
			same += rig->context == last;
			last = rig->context;
			old[n] = rig_pool(rig, 1, 10);
			if (serviced) {
				c = conn_open(rig, CONN_RAW);
				j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
				assert_non_null(job_enqueue(old[n], j, c->wsi));
				rig_until_int(rig, &j->cleanups, 1);
				/* the last one's pool is not for this wsi,
				 * whatever its context's address */
				if (n) {
					j = job_new(rig);
					assert_null(job_enqueue(old[n - 1], j,
								c->wsi));
					assert_true(log_claim(LLL_ERR, "") +
						    log_claim(LLL_WARN, ""));
				}
			}
			rig_context_destroy(rig);
		}
		for (n = 0; n < 10; n++)
			assert_int_equal(rig_destroy(olds[n]), 0);
	}
	print_message("  %d contexts at the last one's address\n", same);
}

/* A pool that is made while its context is being destroyed */
static int
create_late_event(struct rig *rig, struct lws *wsi,
		  enum lws_callback_reasons reason, void *user, void *in,
		  size_t len)
{
	struct lws_threadpool_create_args args = { 1, 10 };
	struct lws_threadpool **tp = rig->priv;

	(void)wsi;
	(void)user;
	(void)in;
	(void)len;
	if ((reason == LWS_CALLBACK_PROTOCOL_DESTROY ||
	     reason == LWS_CALLBACK_RAW_CLOSE) &&
	    rig->context && !tp[0]) {
		tp[0] = lws_threadpool_create(rig->context, &args, "late");
		if (reason == LWS_CALLBACK_PROTOCOL_DESTROY)
			return 0;
	}

	return RIG_DEFAULT;
}

/* Perhaps at the address of the one that went: nothing of it is left in us */
static void
contexts_afterwards(void)
{
	int n;

	for (n = 0; n < 5; n++) {
		struct rig *rig = rig_create(NULL);
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct conn *c;
		struct job *j = job_script(rig, 20, LWS_TP_RETURN_SYNC);

		if (n & 1)
			rig_drain(rig);
		c = conn_open(rig, CONN_RAW);
		assert_non_null(job_enqueue(tp, j, c->wsi));
		rig_until_int(rig, &j->cleanups, 1);
		assert_int_equal(rig_destroy(rig), 0);
	}
}

static void
pool_made_while_its_context_is_destroyed(void **state)
{
	int conn, before;

	(void)state;
	for (conn = 0; conn < 2; conn++)
		for (before = 0; before < 2; before++) {
			struct lws_threadpool *tp[1] = { NULL };
			struct rig_opts opts = { .on_event = create_late_event,
						 .priv = tp };
			struct rig *rig = rig_create(&opts);

			if (before) /* there is one already */
				rig_pool(rig, 1, 10);
			rig_drain(rig);
			if (conn)
				conn_open(rig, CONN_RAW);
			rig_context_destroy(rig);
			assert_null(tp[0]);
			assert_true(
				log_claim(LLL_ERR,
					  "the context is being destroyed") >
				0);
			assert_int_equal(rig_destroy(rig), 0);
			contexts_afterwards();
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pools_made_in_PROTOCOL_INIT_of_every_protocol),
		cmocka_unit_test(pools_made_in_PROTOCOL_INIT_of_two_vhosts),
		cmocka_unit_test(pools_made_with_EXPLICIT_VHOSTS),
		cmocka_unit_test(
			a_client_without_a_vhost_gets_the_application_s),
		cmocka_unit_test(first_pool_and_task_in_EVENT_WAIT_CANCELLED),
		cmocka_unit_test(first_pool_in_PROTOCOL_INIT_of_a_later_vhost),
		RIG_TEST(first_task_before_the_first_turn),
		cmocka_unit_test(context_destroyed_before_its_first_service),
		cmocka_unit_test(
			new_context_with_a_new_pool_while_old_pools_are_left),
		cmocka_unit_test(pool_made_while_its_context_is_destroyed),
	};

	return cmocka_run_group_tests_name("facts 1 and 6", tests, NULL, NULL);
}
