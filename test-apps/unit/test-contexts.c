/*
 * lws-threadpool unit tests - several contexts in one process
 *
 * SPDX-License-Identifier: MIT
 */

#include "closings.h"

static void
each_context_has_its_own(void **state)
{
	struct lws_threadpool *tp[3];
	struct rig *rig[3];
	struct conn *c[3];
	struct job *j[3], *wrong;
	int n, m;

	(void)state;
	for (n = 0; n < 3; n++) {
		struct rig_opts opts = { .opt_in = n == 1 };

		rig[n] = rig_create(&opts);
		tp[n] = rig_pool(rig[n], 1, 10);
		c[n] = conn_open(rig[n], CONN_WS);
	}
	/* a wsi of another context than the pool's is refused */
	for (n = 0; n < 3; n++)
		for (m = 0; m < 3; m++) {
			if (n == m)
				continue;
			wrong = job_new(rig[n]);
			assert_null(job_enqueue(tp[n], wrong, c[m]->wsi));
		}
	/* at most once a second and pool (P2) */
	assert_in_range(log_claim(LLL_ERR, "lws_threadpool_enqueue"), 3, 6);

	for (n = 0; n < 3; n++) {
		j[n] = job_script(rig[n], 100, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp[n], j[n], c[n]->wsi));
	}
	/* serviced one after the other: nobody's rings reach another's */
	for (n = 2; n >= 0; n--) {
		rig_until_int(rig[n], &j[n]->cleanups, 1);
		assert_int_equal(j[n]->seen[LWS_TP_STATUS_SYNCING], 100);
	}
	/* and the same refusals once the wsi are known */
	wrong = job_new(rig[0]);
	assert_null(job_enqueue(tp[0], wrong, c[1]->wsi));
	log_claim(LLL_ERR, "lws_threadpool_enqueue");

	/* one goes, with tasks on all */
	for (n = 0; n < 3; n++) {
		j[n] = job_script(rig[n], INT32_MAX, LWS_TP_RETURN_SYNC);
		assert_non_null(job_enqueue(tp[n], j[n], c[n]->wsi));
		wait_status(j[n], LWS_TP_STATUS_SYNCING);
	}
	rig_context_destroy(rig[0]);
	wait_int(&j[0]->cleanups, 1);
	for (n = 1; n < 3; n++) {
		struct job *more = job_script(rig[n], 20, LWS_TP_RETURN_SYNC);

		assert_int_equal(atomic_load(&j[n]->cleanups), 0);
		assert_non_null(job_enqueue(tp[n], more, c[n]->wsi));
		rig_until_int(rig[n], &more->cleanups, 1);
	}
	for (n = 0; n < 3; n++)
		assert_int_equal(rig_destroy(rig[n]), 0);
}

/* ---- each context with a service thread of its own ---- */

#define THREADS 3

/* With libuv lws 4.1 closes an fd of a context that ends twice, the second time
 * when its number may be another thread's.  So there nobody else may open one
 * meanwhile: a thread that ends its context writes, the others read. */
static pthread_rwlock_t fds = PTHREAD_RWLOCK_INITIALIZER;

static int
end_context(struct rig *rig)
{
	int ret;

	if (!evloop_is("uv") || LWS_LIBRARY_VERSION_NUMBER >= 4003000)
		return rig_destroy(rig);

	pthread_rwlock_unlock(&fds);
	pthread_rwlock_wrlock(&fds);
	ret = rig_destroy(rig);
	pthread_rwlock_unlock(&fds);
	pthread_rwlock_rdlock(&fds);

	return ret;
}

struct service {
	pthread_t thread;
	atomic_int bad;
	int which;
};

static bool
is_set(void *arg)
{
	return atomic_load((atomic_int *)arg) >= 1;
}

static void
own_log(struct rig *rig, struct lws_context_creation_info *info)
{
	(void)rig;
	log_own(info);
}

/* No assertions on these threads: what fails is counted */
static void *
service(void *arg)
{
	struct service *s = arg;
	struct lws_threadpool *tp;
	struct job *j[10];
	struct conn *c[10];
	struct rig *rig;
	int n, round;

	pthread_rwlock_rdlock(&fds);
	for (round = 0; round < 5; round++) {
		struct rig_opts opts = { .info = own_log,
					 .opt_in = (s->which + round) & 1 };

		rig = rig_create(&opts);
		tp = rig_pool(rig, 2, 100);
		for (n = 0; n < 10; n++) {
			c[n] = conn_open(rig, CONN_RAW);
			j[n] = job_script(rig, n == 9 ? INT32_MAX : 50,
					  LWS_TP_RETURN_SYNC);
			if (!job_enqueue(tp, j[n], c[n]->wsi))
				atomic_fetch_add(&s->bad, 1);
		}
		for (n = 0; n < 9; n++)
			rig_until(rig, is_set, &j[n]->cleanups);
		closing_do(c[0], CLOSING_TIMEOUT);
		rig->context_first = round & 1;
		if (end_context(rig))
			atomic_fetch_add(&s->bad, 1);
	}
	pthread_rwlock_unlock(&fds);

	return NULL;
}

static void
each_context_on_its_own_service_thread(void **state)
{
	struct service s[THREADS];
	/* keeps the log of the others together */
	struct rig *rig = *state;
	int n;

	(void)rig;
	for (n = 0; n < THREADS; n++) {
		s[n].which = n;
		atomic_init(&s[n].bad, 0);
		assert_int_equal(
			pthread_create(&s[n].thread, NULL, service, &s[n]), 0);
	}
	for (n = 0; n < THREADS; n++) {
		pthread_join(s[n].thread, NULL);
		assert_int_equal(atomic_load(&s[n].bad), 0);
	}
}

/* The hidden vhost and what is on it log as their context does, and not where
 * all contexts do, who may be on other threads. */
static void
the_hidden_vhost_has_its_context_s_log(void **state)
{
	struct rig_opts opts = { .info = own_log };
	struct rig *rig = rig_create(&opts);
	struct conn *c = conn_open(rig, CONN_RAW);
	int uses = log_own_uses();
	struct job *j;

	(void)state;
	if (uses >= 0 && !LWSTP_UNIT_IN_LWS) {
		j = job_new(rig);
		assert_non_null(job_enqueue(rig_pool(rig, 1, 10), j, c->wsi));
		rig_until_int(rig, &j->cleanups, 1);
		/* it, the watch, and the signal where there is one */
		assert_true(log_own_uses() >= uses + 2 + LWSTP_UNIT_EVENTFD);
	}
	assert_int_equal(rig_destroy(rig), 0);
	if (uses < 0 || LWSTP_UNIT_IN_LWS)
		skip();
}

static struct lws_context *ending;
static int looked_at;

/* lws's list of those who are told of its state, as it goes through it itself.
 * We have left it when our vhost is gone. */
static void
look_at_the_list(struct lws_vhost *vhost, void *arg)
{
	lws_state_manager_t *mgr = lws_system_get_state_manager(ending);

	(void)vhost;
	(void)arg;
	if (lws_get_vhost_by_name(ending, ":lws-threadpool"))
		return;
	looked_at++;
	lws_start_foreach_dll(struct lws_dll2 *, d,
			      lws_dll2_get_head(&mgr->notify_list)) {
		lws_state_notify_link_t *link = lws_container_of(
			d, lws_state_notify_link_t, list);

		assert_true(!link->name ||
			    strcmp(link->name, "lws-threadpool"));
	}
	lws_end_foreach_dll(d);
}

/* P4: whatever ends after it in the context does not meet it */
static void
lws_tells_it_of_nothing_any_more(void **state)
{
	struct lws_context_creation_info info;
	struct rig *rig = rig_create(NULL);
	struct conn *c = conn_open(rig, CONN_RAW);
	struct job *j = job_new(rig);

	(void)state;
	assert_non_null(job_enqueue(rig_pool(rig, 1, 10), j, c->wsi));
	rig_until_int(rig, &j->cleanups, 1);

	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.vhost_name = "later";
	if (lws_get_vhost_by_name(rig->context, ":lws-threadpool"))
		info.finalize = look_at_the_list;
	assert_non_null(lws_create_vhost(rig->context, &info));
	ending = rig->context;
	looked_at = 0;
	assert_int_equal(rig_destroy(rig), 0);
	if (!looked_at)
		skip(); /* it ends later, or there is none */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_context_has_its_own),
		cmocka_unit_test(the_hidden_vhost_has_its_context_s_log),
		cmocka_unit_test(lws_tells_it_of_nothing_any_more),
		RIG_TEST(each_context_on_its_own_service_thread),
	};

	return cmocka_run_group_tests_name("several contexts", tests, NULL,
					   NULL);
}
