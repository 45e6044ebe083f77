/*
 * lws-threadpool unit tests - Q6, W4, a wsi that is no connection is refused
 * with a line that says why
 *
 * SPDX-License-Identifier: MIT
 *
 * lws gives some callbacks a wsi that it made up for them, or that of something
 * else than a connection: libwebsockets cannot be asked anything about those.
 * Pools are new in each place, since a pool says each reason once a second.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

/* where an enqueue is to be refused, as protocol "name" is told "reason" */
struct place {
	enum lws_callback_reasons reason;
	const char *name;
	int told;
	int refused;
	bool made; /* the pool, in the callback */
	struct lws_threadpool *tp;
};

/* perhaps in lws_create_context(), when the rig has no context yet */
static void
make_pool(struct rig *rig, struct place *p, struct lws *wsi)
{
	struct lws_context *was = rig->context;

	rig->context = lws_get_context(wsi);
	p->tp = rig_pool(rig, 1, 10);
	rig->context = was;
}

static void
enqueue_here(struct rig *rig, struct place *p, struct lws *wsi)
{
	if (p->made && !p->tp)
		make_pool(rig, p, wsi);
	if (!p->tp)
		return;
	p->told++;
	if (!job_enqueue(p->tp, job_new(rig), wsi))
		p->refused++;
	/* nor is it followed elsewhere */
	assert_null(lws_threadpool_get_task_wsi(wsi));
}

static int
enqueue_at(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	   void *user, void *in, size_t len)
{
	const struct lws_protocols *protocol = wsi ? lws_get_protocol(wsi) :
						     NULL;
	struct place *p = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	if (p && wsi && reason == p->reason &&
	    (!p->name || (protocol && !strcmp(protocol->name, p->name))))
		enqueue_here(rig, p, wsi);

	return RIG_DEFAULT;
}

static bool
was_told(void *arg)
{
	struct place *p = arg;

	return p->told;
}

static void
place_begin(struct place *p, struct rig *rig, enum lws_callback_reasons reason,
	    const char *name)
{
	memset(p, 0, sizeof(*p));
	p->reason = reason;
	p->name = name;
	rig->priv = p;
	rig->on_event = enqueue_at;
}

/* refused each time, said why, and that is all */
static void
place_end(struct place *p, struct rig *rig)
{
	rig->priv = NULL;
	assert_true(p->told >= 1);
	assert_int_equal(p->refused, p->told);
	assert_true(log_claim(LLL_ERR, "connection") >= 1);
	assert_int_equal(log_unclaimed(), 0);
	rig_drain(rig);
}

static void
still_works(struct rig *rig, struct lws_threadpool *tp)
{
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_script(rig, 2, LWS_TP_RETURN_SYNC);

	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);
}

/* The wsi of EVENT_WAIT_CANCELLED, before the context has any task with a wsi
 * and after that */
static void
event_wait_cancelled(void **state)
{
	struct rig *rig = *state;
	struct place p;

	for (int n = 0; n < 2; n++) {
		place_begin(&p, rig, LWS_CALLBACK_EVENT_WAIT_CANCELLED,
			    n ? "tp-raw" : NULL);
		p.tp = rig_pool(rig, 1, 10);
		lws_cancel_service(rig->context);
		rig_until(rig, was_told, &p);
		place_end(&p, rig);
		still_works(rig, p.tp);
	}
}

static struct lws_vhost *
another_vhost(struct rig *rig, const char *name)
{
	struct lws_context_creation_info info;
	struct lws_vhost *vhost;

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = rig->protocols;
	info.pvo = rig_pvo();
	info.vhost_name = name;
	vhost = lws_create_vhost(rig->context, &info);
	assert_non_null(vhost);

	return vhost;
}

/* The wsi of PROTOCOL_INIT, of a vhost that is made later, and that of
 * PROTOCOL_DESTROY, when it ends */
static void
protocol_init_and_destroy(void **state)
{
	struct rig *rig = *state;
	struct lws_vhost *vhost;
	struct place p;

	for (int n = 0; n < 2; n++) {
		place_begin(&p, rig, LWS_CALLBACK_PROTOCOL_INIT, NULL);
		p.tp = rig_pool(rig, 1, 10);
		rig_turns(rig, 5);
		vhost = another_vhost(rig, n ? "one" : "two");
		rig_until(rig, was_told, &p);
		place_end(&p, rig);
		still_works(rig, p.tp);

		place_begin(&p, rig, LWS_CALLBACK_PROTOCOL_DESTROY, NULL);
		p.tp = rig_pool(rig, 1, 10);
		lws_vhost_destroy(vhost);
		rig_until(rig, was_told, &p);
		place_end(&p, rig);
		still_works(rig, p.tp);
	}
}

/* The wsi of PROTOCOL_INIT of the context itself, in which the pool is made as
 * the manual has it, so that nothing of ours is there yet */
static void
protocol_init_of_the_context(void **state)
{
	struct place p = { .reason = LWS_CALLBACK_PROTOCOL_INIT, .made = true };
	struct rig_opts opts = { .on_event = enqueue_at, .priv = &p };
	struct rig *rig = rig_create(&opts);

	(void)state;
	rig_until(rig, was_told, &p);
	place_end(&p, rig);
	still_works(rig, p.tp);
	assert_int_equal(rig_destroy(rig), 0);
}

/* The listen socket, which is the wsi of FILTER_NETWORK_CONNECTION, and the wsi
 * that is made for what it accepted, of WSI_CREATE: before that is anything */
static void
accepted_and_listening(void **state)
{
	static const enum lws_callback_reasons reasons[] = {
		LWS_CALLBACK_FILTER_NETWORK_CONNECTION,
		LWS_CALLBACK_WSI_CREATE,
	};
	struct rig *rig = *state;
	struct place p;

	for (size_t n = 0; n < 2 * LWS_ARRAY_SIZE(reasons); n++) {
		place_begin(&p, rig, reasons[n / 2], NULL);
		p.tp = rig_pool(rig, 1, 10);
		if (n & 1)
			still_works(rig, rig_pool(rig, 1, 10));
		conn_open(rig, CONN_WS);
		place_end(&p, rig);
		still_works(rig, p.tp);
	}
}

static void
without_a_pss(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)info;
	for (int n = 0; n < 4; n++)
		rig->protocols[n].per_session_data_size = 0;
}

/* A connection that has fd 0, as what is none has, since the process has no
 * stdin: with a pss, and without */
static void
a_connection_with_fd_0(void **state)
{
	struct rig_opts opts = { .info = NULL };
	struct lws_threadpool *tp;
	struct rig *rig;
	struct conn *c;
	int kept;

	(void)state;
	for (int n = 0; n < 2; n++) {
		opts.info = n ? without_a_pss : NULL;
		rig = rig_create(&opts);
		tp = rig_pool(rig, 1, 10);
		rig_turns(rig, 5);
		kept = dup(0);
		close(0);
		c = conn_open(rig, CONN_RAW);
		assert_int_equal((int)lws_get_socket_fd(c->wsi), 0);
		assert_non_null(job_enqueue(tp, job_new(rig), c->wsi));
		rig_until_cleaned(rig);
		conn_fin(c);
		conn_until_closed(c);
		assert_int_equal(rig_destroy(rig), 0);
		assert_int_equal(dup2(kept, 0), kept < 0 ? -1 : 0);
		close(kept);
	}
}

static bool
was_broadcast(void *arg)
{
	struct rig *rig = arg;

	return rig->wait_cancelled;
}

/* The other way round: fd 0 is a connection, as inetd has it, so the wsi of
 * EVENT_WAIT_CANCELLED seems to have a peer.  In several contexts, too. */
static void
stdin_is_a_connection(void **state)
{
	struct rig *rig[2];
	struct place p;
	int kept = dup(0), sv[2];

	(void)state;
	for (int n = 0; n < 2; n++) {
		rig[n] = rig_create(NULL);
		still_works(rig[n], rig_pool(rig[n], 1, 10));
		rig_drain(rig[n]);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv),
			 0);
	assert_int_equal(dup2(sv[0], 0), 0);
	for (int n = 0; n < 2; n++) {
		/* lws says so to us last of all, so we know of one before */
		rig[n]->wait_cancelled = 0;
		lws_cancel_service(rig[n]->context);
		rig_until(rig[n], was_broadcast, rig[n]);

		place_begin(&p, rig[n], LWS_CALLBACK_EVENT_WAIT_CANCELLED,
			    "tp-raw");
		p.tp = rig_pool(rig[n], 1, 10);
		lws_cancel_service(rig[n]->context);
		rig_until(rig[n], was_told, &p);
		place_end(&p, rig[n]);
	}
	if (kept < 0)
		close(0);
	else
		assert_int_equal(dup2(kept, 0), 0);
	close(kept);
	close(sv[0]);
	close(sv[1]);
	for (int n = 0; n < 2; n++)
		assert_int_equal(rig_destroy(rig[n]), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(event_wait_cancelled),
		RIG_TEST(protocol_init_and_destroy),
		cmocka_unit_test(protocol_init_of_the_context),
		RIG_TEST(accepted_and_listening),
		cmocka_unit_test(a_connection_with_fd_0),
		cmocka_unit_test(stdin_is_a_connection),
	};

	return cmocka_run_group_tests_name("no connection", tests, NULL, NULL);
}
