/*
 * lws-threadpool unit tests - R2, handles of a wsi: what they name, how long
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"

static struct lws_threadpool_wsi *
handle_of(struct lws_threadpool *tp, struct lws *wsi)
{
	struct lws_threadpool_wsi *h = lws_threadpool_wsi_handle(tp, wsi);

	assert_non_null(h);
	assert_int_equal(lws_threadpool_refused(), LWS_TP_REFUSED_NONE);
	assert_ptr_equal(lws_threadpool_wsi_get(h), wsi);

	return h;
}

static void
is_closed(struct lws_threadpool_wsi *h)
{
	assert_int_equal(lws_threadpool_wsi_writeable(h), -1);
	assert_null(lws_threadpool_wsi_get(h));
}

/* R2: whoever of the context asks, before the wsi had a task and after */
static void
the_same_each_time(void **state)
{
	(void)state;
	for (int opt_in = 0; opt_in < 2; opt_in++) {
		struct rig_opts opts = { .opt_in = opt_in };
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp[2] = { rig_pool(rig, 1, 10),
						 rig_pool(rig, 1, 10) };
		struct lws_threadpool_wsi *h[CONN_KINDS], *other;
		struct conn *c;
		struct job *j;

		for (int kind = 0; kind < CONN_KINDS; kind++) {
			c = conn_open(rig, (enum conn_kind)kind);
			h[kind] = handle_of(tp[kind & 1], c->wsi);
			for (int n = 0; n < 4; n++)
				assert_ptr_equal(handle_of(tp[n & 1], c->wsi),
						 h[kind]);
			j = job_script(rig, 3, LWS_TP_RETURN_SYNC);
			assert_non_null(job_enqueue(tp[0], j, c->wsi));
			rig_until_int(rig, &j->cleanups, 1);
			assert_ptr_equal(handle_of(tp[1], c->wsi), h[kind]);
			for (int n = 0; n < kind; n++)
				assert_ptr_not_equal(h[kind], h[n]);
			if (!c->client)
				continue;
			other = handle_of(tp[0], c->client);
			assert_ptr_not_equal(other, h[kind]);
		}
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* ---- the end of the wsi ---- */

struct end {
	struct lws_threadpool_wsi *h;
	struct conn *c;
	int told;
};

/* W1, R2: it is closed when its own close callback comes; with the opt-in,
 * which tells of no more but for http, when the wsi is destroyed */
static int
look_at_the_end(struct rig *rig, struct lws *wsi,
		enum lws_callback_reasons reason, void *user, void *in,
		size_t len)
{
	struct end *e = rig->priv;

	if (e && e->c->wsi == wsi && wsi && reason_closed(reason) &&
	    (!rig->opt_in || e->c->kind == CONN_HTTP)) {
		is_closed(e->h);
		e->told++;
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

static void
ends(enum conn_kind kind, enum closing way, bool opt_in, bool task)
{
	struct end e = { .told = 0 };
	struct rig_opts opts = {
		.opt_in = opt_in,
		.on_event = look_at_the_end,
	};
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct job *j = job_script(rig, 1, LWS_TP_RETURN_SYNC);

	e.c = conn_open(rig, kind);
	e.c->manual = true;
	if (task) {
		assert_non_null(job_enqueue(tp, j, e.c->wsi));
		rig_until_status(j, LWS_TP_STATUS_SYNCING);
	}
	e.h = handle_of(tp, e.c->wsi);
	assert_int_equal(lws_threadpool_wsi_writeable(e.h), 0);
	rig_drain(rig);
	rig->priv = &e;
	closing_do(e.c, way);
	rig->priv = NULL;
	assert_int_equal(e.told, !opt_in || kind == CONN_HTTP);
	is_closed(e.h);
	if (task)
		rig_until_int(rig, &j->cleanups, 1);
	if (rig->context) {
		rig_drain(rig);
		is_closed(e.h);
	}
	assert_int_equal(rig_destroy(rig), 0);
}

static void
until_it_closes(void **state)
{
	(void)state;
	for (int kind = 0; kind < CONN_KINDS; kind++)
		for (int way = 0; way < CLOSINGS; way++)
			for (int n = 0; n < 4; n++)
				if (closing_can((enum conn_kind)kind,
						(enum closing)way))
					ends((enum conn_kind)kind,
					     (enum closing)way, n & 1, n & 2);
}

/* Q6, R2: a handle of a wsi that is gone never reaches the one that has its
 * address now */
static void
never_another_wsi(void **state)
{
	struct lws_threadpool_wsi *stale[200];
	struct lws *address[200];
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	int again = 0;

	for (int n = 0; n < 200; n++) {
		struct conn *c = conn_open(rig, n & 1 ? CONN_RAW : CONN_FILE);

		stale[n] = handle_of(tp, c->wsi);
		address[n] = c->wsi;
		c->manual = true;
		rig_drain(rig);
		c->writeables = 0; /* it came with the handle */
		for (int m = 0; m < n; m++) {
			assert_ptr_not_equal(stale[m], stale[n]);
			is_closed(stale[m]);
			again += address[m] == address[n];
		}
		rig_drain(rig);
		assert_int_equal(c->writeables, 0);
		closing_do(c, CLOSING_TIMEOUT);
	}
	/* (with ASan memory is not soon used again) */
	print_message("%d times at an address of before\n", again);
}

/* ---- the end of others ---- */

static bool
has_writeable(void *arg)
{
	return ((struct conn *)arg)->writeables;
}

/* R2: it outlives the pool, and every pool of the context */
static void
it_outlives_its_pool(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp[2] = { rig_pool(rig, 1, 10),
					 rig_pool(rig, 1, 10) };
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_wsi *h = handle_of(tp[0], c->wsi);

	c->manual = true;
	for (int n = 0; n < 2; n++) {
		rig_pool_destroy(rig, tp[n]);
		rig_drain(rig);
		c->writeables = 0;
		assert_int_equal(lws_threadpool_wsi_writeable(h), 0);
		rig_until(rig, has_writeable, c);
		assert_ptr_equal(lws_threadpool_wsi_get(h), c->wsi);
	}
	tp[0] = rig_pool(rig, 1, 10);
	assert_ptr_equal(handle_of(tp[0], c->wsi), h);
	rig_pool_destroy(rig, tp[0]);
	closing_do(c, CLOSING_FIN);
	is_closed(h);
}

/* R2: what state the pool is in does not matter */
static void
of_a_pool_that_takes_no_task(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 1);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct gate *gate = gate_new(rig);
	struct lws_threadpool_wsi *h;

	job_block(rig, tp, gate);
	assert_non_null(job_enqueue(tp, job_new(rig), NULL));
	h = handle_of(tp, c->wsi);
	lws_threadpool_drain(tp);
	assert_ptr_equal(handle_of(tp, c->wsi), h);
	c = conn_open(rig, CONN_RAW);
	handle_of(tp, c->wsi);
	lws_threadpool_finish(tp);
	c = conn_open(rig, CONN_RAW);
	h = handle_of(tp, c->wsi);
	c->manual = true;
	assert_int_equal(lws_threadpool_wsi_writeable(h), 0);
	rig_until(rig, has_writeable, c);
	gate_open(gate);
}

/* R2: with its context it ends, whichever goes first, that or the pool */
static void
the_context_ends(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++) {
		struct rig_opts opts = { .opt_in = n & 1 };
		struct rig *rig = rig_create(&opts);
		struct lws_threadpool *tp = rig_pool(rig, 1, 10);
		struct conn *c = conn_open(rig, CONN_RAW);
		struct lws_threadpool_wsi *h = handle_of(tp, c->wsi);

		assert_int_equal(lws_threadpool_wsi_writeable(h), 0);
		if (n & 2)
			rig_pool_destroy(rig, tp);
		rig_context_destroy(rig);
		is_closed(h);
		assert_int_equal(rig_destroy(rig), 0);
		is_closed(h);
	}
}

/* ---- what it costs ---- */

/* the fds that the wsi of such a kind costs more than alone */
static int
cost(enum conn_kind kind, bool opt_in, int order)
{
	struct rig_opts opts = { .opt_in = opt_in };
	int before, all = rig_open_fds(), fds;
	struct rig *rig = rig_create(&opts);
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c, *first = conn_open(rig, kind);

	/* what the context itself costs, with its first ones */
	handle_of(tp, first->wsi);
	assert_non_null(job_enqueue(tp, job_new(rig), first->wsi));
	rig_until_cleaned(rig);
	c = conn_open(rig, kind);
	rig_drain(rig);
	before = rig_open_fds();
	for (int n = 0; n < 2; n++)
		if ((n ^ order) & 1) {
			assert_non_null(job_enqueue(tp, job_new(rig), c->wsi));
			rig_until_cleaned(rig);
		} else if (order < 2)
			handle_of(tp, c->wsi);
	fds = rig_open_fds() - before;
	closing_do(c, CLOSING_TIMEOUT);
	assert_int_equal(rig_destroy(rig), 0);
	assert_int_equal(rig_open_fds(), all);

	return fds;
}

/* R2: what a first task costs, once, whichever comes first; with the opt-in
 * nothing */
static void
it_costs_what_a_task_does(void **state)
{
	(void)state;
	for (int opt_in = 0; opt_in < 2; opt_in++)
		for (int kind = 0; kind < CONN_KINDS; kind++) {
			int task = cost((enum conn_kind)kind, opt_in, 2);

			if (opt_in)
				assert_int_equal(task, 0);
			assert_int_equal(cost((enum conn_kind)kind, opt_in, 0),
					 task);
			assert_int_equal(cost((enum conn_kind)kind, opt_in, 1),
					 task);
		}
}

/* ---- who may ask ---- */

struct asker {
	struct lws_threadpool_wsi *h;
	struct lws *got;
	int ret;
};

static void *
get_elsewhere(void *arg)
{
	struct asker *a = arg;

	a->got = lws_threadpool_wsi_get(a->h);
	a->ret = lws_threadpool_wsi_writeable(a->h);

	return NULL;
}

static int
get_in_a_task(struct job *j, enum lws_threadpool_task_status s)
{
	(void)s;
	get_elsewhere(j->priv);

	return LWS_TP_RETURN_FINISHED;
}

/* R2: a wsi is for its service thread only; a WRITEABLE anybody asks for */
static void
get_is_for_its_service_thread(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct asker a = { .h = handle_of(tp, c->wsi) };
	struct job *j = job_new(rig);
	pthread_t thread;

	c->manual = true;
	for (int n = 0; n < 2; n++) {
		a.got = c->wsi;
		a.ret = -1;
		if (n) {
			assert_int_equal(pthread_create(&thread, NULL,
							get_elsewhere, &a),
					 0);
			pthread_join(thread, NULL);
		} else {
			j->fn = get_in_a_task;
			j->priv = &a;
			assert_non_null(job_enqueue(tp, j, NULL));
			wait_int(&j->cleanups, 1);
		}
		assert_null(a.got);
		assert_int_equal(a.ret, 0);
		c->writeables = 0;
		rig_until(rig, has_writeable, c);
		assert_ptr_equal(lws_threadpool_wsi_get(a.h), c->wsi);
	}
}

/* Q6: what never was a handle is not followed, nor is it another's */
static void
never_valid(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW),
		    *other = conn_open(rig, CONN_RAW);
	struct job *j = job_gated(rig, gate_new(rig));
	uintptr_t live, gone, x = (uintptr_t)88172645463325252u;

	c->manual = true;
	gone = (uintptr_t)handle_of(tp, other->wsi);
	live = (uintptr_t)handle_of(tp, c->wsi);
	closing_do(other, CLOSING_FIN);
	assert_non_null(job_enqueue(tp, j, c->wsi));
	rig_drain(rig);
	c->writeables = 0; /* it came with the handle */
	is_closed(NULL);
	is_closed((struct lws_threadpool_wsi *)rig);
	is_closed((struct lws_threadpool_wsi *)c->wsi);
	for (size_t bit = 0; bit < sizeof(live) * 8; bit++) {
		is_closed((struct lws_threadpool_wsi *)((uintptr_t)1 << bit));
		is_closed((struct lws_threadpool_wsi *)~((uintptr_t)1 << bit));
		is_closed((struct lws_threadpool_wsi *)(live ^
							(uintptr_t)1 << bit));
		/* the next one in the place of one that is gone; on 32 bits
		 * the next place is the live one's */
		if (gone + ((uintptr_t)1 << bit) != live)
			is_closed((struct lws_threadpool_wsi *)(gone +
								((uintptr_t)1
								 << bit)));
	}
	for (uintptr_t n = 1; n < 3000; n++) {
		is_closed((struct lws_threadpool_wsi *)n);
		is_closed((struct lws_threadpool_wsi *)(UINTPTR_MAX - n));
		is_closed((struct lws_threadpool_wsi *)(live + n));
		x = x * 1103515245u + 12345u + (x >> 7);
		if (x != live)
			is_closed((struct lws_threadpool_wsi *)x);
	}
	rig_drain(rig);
	assert_int_equal(c->writeables, 0);
	assert_ptr_equal(
		lws_threadpool_wsi_get((struct lws_threadpool_wsi *)live),
		c->wsi);
}

/* Q6: a line at LLL_INFO each, as for a task */
static void
a_stale_one_is_logged_at_info(void **state)
{
	struct rig *rig = *state;
	struct lws_threadpool *tp = rig_pool(rig, 1, 10);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct lws_threadpool_wsi *h = handle_of(tp, c->wsi);

	closing_do(c, CLOSING_FIN);
	log_info();
	log_forget();
	lws_threadpool_wsi_writeable(h);
	assert_int_equal(log_count(LLL_INFO, "lws_threadpool"), 1);
	lws_threadpool_wsi_get(h);
	assert_int_equal(log_count(LLL_INFO, "lws_threadpool"), 2);
	assert_int_equal(log_unclaimed(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_each_time),
		cmocka_unit_test(until_it_closes),
		RIG_TEST(never_another_wsi),
		RIG_TEST(it_outlives_its_pool),
		RIG_TEST(of_a_pool_that_takes_no_task),
		cmocka_unit_test(the_context_ends),
		cmocka_unit_test(it_costs_what_a_task_does),
		RIG_TEST(get_is_for_its_service_thread),
		RIG_TEST(never_valid),
		RIG_TEST(a_stale_one_is_logged_at_info),
	};

	return cmocka_run_group_tests_name("R2 handles of a wsi", tests, NULL,
					   NULL);
}
