/*
 * lws-threadpool unit tests - W1, W4, W5: what an application may do around the
 * moment in which its wsi closes
 *
 * SPDX-License-Identifier: MIT
 *
 * Each test goes through every kind of wsi and every way to close it, with the
 * watch fd and with the opt-in.
 *
 * LWSTP_WRAP: lws_callback_on_writable lws_adopt_descriptor_vhost_via_info
 * LWSTP_WRAP: lws_get_socket_fd
 */

#include "closings-wrap.h"

struct moment {
	enum conn_kind kind;
	enum closing way;
	bool opt_in;
	char label[96];

	struct rig *rig;
	struct conn *conn;
	struct lws_threadpool *tp;
	struct gate *gate;

	/* what a test does in the callbacks of conn's wsi */
	int (*on_wsi)(struct moment *m, struct lws *wsi,
		      enum lws_callback_reasons reason);
	struct job *job;	/* the test's */
	struct job *others[16]; /* made on the way */
	int n_others;
	int accepted;
	bool had_task; /* so it is watched */
};

#define check(m, cond) \
	do { \
		if (!(cond)) \
			fail_msg("%s: not so: %s", (m)->label, #cond); \
	} while (0)

static int
moment_event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
	     void *user, void *in, size_t len)
{
	struct moment *m = rig->priv;
	int ret;

	/* before the account: in WSI_DESTROY it is still there to be asked */
	if (m->conn && m->conn->wsi && m->conn->wsi == wsi && m->on_wsi) {
		ret = m->on_wsi(m, wsi, reason);
		if (ret != RIG_DEFAULT)
			return ret;
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

/* lws tells when the context is really gone */
static void
moment_info(struct rig *rig, struct lws_context_creation_info *info)
{
	info->pcontext = &rig->context;
}

static void
moment_begin(struct moment *m, enum conn_kind kind, enum closing way,
	     bool opt_in, int threads)
{
	struct rig_opts opts = { .info = moment_info,
				 .on_event = moment_event,
				 .opt_in = opt_in,
				 .priv = m };

	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->way = way;
	m->opt_in = opt_in;
	snprintf(m->label, sizeof(m->label), "%s, %s, %s", conn_kind_name(kind),
		 closing_name(way), opt_in ? "opt-in" : "watch");
	m->rig = rig_create(&opts);
	m->conn = conn_open(m->rig, kind);
	m->conn->manual = true;
	m->tp = rig_pool(m->rig, threads, 100);
	m->gate = gate_new(m->rig);
}

static void
moment_end(struct moment *m)
{
	m->conn = NULL;
	check(m, !rig_destroy(m->rig));
}

/* calls f for all that can be */
static void
for_each_closing(void (*f)(enum conn_kind kind, enum closing way, bool opt_in))
{
	int opt_in, kind, way;

	for (opt_in = 0; opt_in < 2; opt_in++)
		for (kind = 0; kind < CONN_KINDS; kind++)
			for (way = 0; way < CLOSINGS; way++)
				if (closing_can((enum conn_kind)kind,
						(enum closing)way))
					f((enum conn_kind)kind,
					  (enum closing)way, opt_in);
}

static bool
is_ending(enum lws_callback_reasons reason)
{
	return reason_drop(reason) || reason_closed(reason) ||
	       reason == LWS_CALLBACK_WSI_DESTROY;
}

/* ---- W1: it closes in the callback that enqueued ---- */

static int
enqueue_and_die(struct moment *m, struct lws *wsi,
		enum lws_callback_reasons reason)
{
	if (!reason_writeable(reason) || m->job)
		return RIG_DEFAULT;
	m->job = job_script(m->rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);
	check(m, job_enqueue(m->tp, m->job, wsi));

	return -1;
}

static bool
is_conn_destroyed(void *arg)
{
	struct conn *c = arg;

	return c->destroyed;
}

static void
W1_return_minus_one_right_after_enqueue(void **state)
{
	struct moment m;
	int kind, busy, opt_in;

	(void)state;
	for (kind = 0; kind < CONN_KINDS; kind++)
		for (busy = 0; busy < 2; busy++)
			for (opt_in = 0; opt_in < 2; opt_in++) {
				moment_begin(&m, (enum conn_kind)kind,
					     CLOSING_RETURN, opt_in, 1);
				if (busy)
					job_enqueue(m.tp,
						    job_gated(m.rig, m.gate),
						    NULL);
				m.on_wsi = enqueue_and_die;
				lws_callback_on_writable(m.conn->wsi);
				rig_until(m.rig, is_conn_destroyed, m.conn);
				wait_int(&m.job->cleanups, 1);
				check(&m, !m.job->cleanup_wsi);
				check(&m, !busy || !atomic_load(&m.job->calls));
				moment_end(&m);
			}
}

/* ---- W1: the ring of a SYNC is pending when the wsi closes ---- */

static void
ring_pending(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct moment m;

	moment_begin(&m, kind, way, opt_in, 1);
	rig_drain(m.rig);
	m.job = job_script(m.rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	check(&m, job_enqueue(m.tp, m.job, m.conn->wsi));
	/* not serviced meanwhile, so its ring is not answered */
	wait_status(m.job, LWS_TP_STATUS_SYNCING);
	closing_do(m.conn, way);
	rig_until_int(m.rig, &m.job->cleanups, 1);
	check(&m, atomic_load(&m.job->stopping) == 1);
	check(&m, !m.job->cleanup_wsi);
	moment_end(&m);
}

static void
W1_close_while_the_ring_of_a_sync_is_pending(void **state)
{
	(void)state;
	for_each_closing(ring_pending);
}

/* The same without one turn of the service loop between ring and close */
static void
W1_killed_synchronously_while_rings_are_pending(void **state)
{
	struct moment m;
	struct conn *more[8];
	struct job *jobs[8];
	int n, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		moment_begin(&m, CONN_RAW, CLOSING_TIMEOUT, opt_in, 2);
		for (n = 0; n < 8; n++) {
			more[n] = conn_open(m.rig, CONN_RAW);
			more[n]->manual = true;
			jobs[n] = job_script(m.rig, INT32_MAX,
					     LWS_TP_RETURN_SYNC);
			job_enqueue(m.tp, jobs[n], more[n]->wsi);
			wait_status(jobs[n], LWS_TP_STATUS_SYNCING);
		}
		for (n = 0; n < 8; n += 2)
			lws_set_timeout(more[n]->wsi, PENDING_TIMEOUT_USER_OK,
					LWS_TO_KILL_SYNC);
		rig_drain(m.rig);
		for (n = 0; n < 8; n++) {
			check(&m, more[n]->destroyed == !(n & 1));
			if (!(n & 1))
				rig_until_int(m.rig, &jobs[n]->cleanups, 1);
			else
				check(&m, lws_threadpool_task_status_noreap(
						  jobs[n]->task) ==
						  LWS_TP_STATUS_SYNCING);
		}
		moment_end(&m);
	}
}

/* ---- W1: lws is to be asked for its WRITEABLE when it closes ---- */

/* R2: another thread wants one, which a callback has found, or several */
static void
W1_killed_synchronously_when_a_WRITEABLE_was_wanted(void **state)
{
	struct moment m;
	struct conn *c[4];
	int n, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		moment_begin(&m, CONN_RAW, CLOSING_TIMEOUT, opt_in, 1);
		for (n = 0; n < 4; n++) {
			c[n] = n ? conn_open(m.rig, CONN_RAW) : m.conn;
			check(&m, lws_threadpool_wsi_handle(m.tp, c[n]->wsi));
		}
		rig_drain(m.rig);
		/* from the second on there is one that is known to be closing,
		 * from the third on one that is still to be asked */
		for (n = 0; n < 3; n++) {
			check(&m,
			      !lws_threadpool_wsi_writeable(
				      lws_threadpool_wsi_handle(m.tp,
								c[n]->wsi)));
			if (n)
				check(&m, !lws_threadpool_wsi_writeable(
						  lws_threadpool_wsi_handle(
							  m.tp, c[3]->wsi)));
			check(&m, !lws_threadpool_get_task_wsi(c[n]->wsi));
			lws_set_timeout(c[n]->wsi, PENDING_TIMEOUT_USER_OK,
					LWS_TO_KILL_SYNC);
			c[3]->writeables = 0;
			rig_drain(m.rig);
			check(&m, c[n]->destroyed);
			check(&m, c[3]->writeables == !!n);
		}
		moment_end(&m);
	}
}

static void
look_at_the_other(struct job *j, struct lws *wsi)
{
	struct conn *other = j->priv;

	(void)wsi;
	if (!lws_threadpool_get_task_wsi(other->wsi))
		job_fault(j, "the other wsi has no task");
}

/* a task of it that nobody looks at: SYNCING, or FINISHED */
static struct job *
not_looked_at(struct moment *m, struct conn *c, bool ends)
{
	struct job *j = ends ? job_new(m->rig) :
			       job_script(m->rig, INT32_MAX,
					  LWS_TP_RETURN_SYNC);

	check(m, job_enqueue(m->tp, j, c->wsi));
	wait_status(j, ends ? LWS_TP_STATUS_FINISHED : LWS_TP_STATUS_SYNCING);

	return j;
}

/* A cleanup of its asks for a task of another wsi.  By that the SYNC of the one
 * that closes is found, too: lws is not asked for it any more, but for the
 * other's. */
static void
W1_cleanup_that_finds_another_s_SYNC(void **state)
{
	struct moment m;
	struct conn *other;
	struct job *sync;
	int opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		moment_begin(&m, CONN_RAW, CLOSING_TIMEOUT, opt_in, 1);
		other = conn_open(m.rig, CONN_RAW);
		other->manual = true;
		/* the first task of a wsi asks for one by itself */
		lws_threadpool_task_status(not_looked_at(&m, other, true)->task,
					   NULL);
		rig_drain(m.rig);
		not_looked_at(&m, other, false);
		sync = not_looked_at(&m, m.conn, false);
		m.job = not_looked_at(&m, m.conn, true);
		m.job->priv = other;
		m.job->on_cleanup = look_at_the_other;

		other->writeables = 0;
		lws_set_timeout(m.conn->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_SYNC);
		rig_until_int(m.rig, &sync->cleanups, 1);
		check(&m, atomic_load(&sync->stopping) == 1);
		check(&m, atomic_load(&m.job->cleanups) == 1);
		rig_drain(m.rig);
		check(&m, m.conn->destroyed);
		check(&m, other->writeables == 1);
		moment_end(&m);
	}
}

/* ---- W1: the application dequeues by itself in its close callbacks ---- */

static int
dequeue_all(struct moment *m, struct lws *wsi, enum lws_callback_reasons reason)
{
	struct lws_threadpool_task *task;
	int n = 0;

	if (!is_ending(reason))
		return RIG_DEFAULT;
	/* dequeue detaches: it ends */
	while ((task = lws_threadpool_get_task_wsi(wsi))) {
		lws_threadpool_dequeue_task(task);
		check(m, ++n < 100);
	}
	/* and once more by the handles that it kept */
	for (n = 0; n < m->n_others; n++)
		lws_threadpool_dequeue_task(m->others[n]->task);

	return RIG_DEFAULT;
}

/* running, syncing, done, queued, in this order: see others */
static void
enqueue_four(struct moment *m)
{
	struct job *j;

	j = m->others[2] = job_new(m->rig);
	check(m, job_enqueue(m->tp, j, m->conn->wsi));
	wait_status(j, LWS_TP_STATUS_FINISHED);
	j = m->others[1] = job_script(m->rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	check(m, job_enqueue(m->tp, j, m->conn->wsi));
	wait_status(j, LWS_TP_STATUS_SYNCING);
	j = m->others[0] = job_script(m->rig, INT32_MAX,
				      LWS_TP_RETURN_CHECKING_IN);
	j->gate = m->gate;
	check(m, job_enqueue(m->tp, j, m->conn->wsi));
	wait_int(&j->calls, 1);
	j = m->others[3] = job_new(m->rig);
	check(m, job_enqueue(m->tp, j, m->conn->wsi));
	m->n_others = 4;
}

static void
dequeues_by_itself(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct moment m;
	int n;

	moment_begin(&m, kind, way, opt_in, 1);
	enqueue_four(&m);
	m.on_wsi = dequeue_all;
	closing_do(m.conn, way);
	check(&m, atomic_load(&m.others[2]->cleanups) == 1);
	check(&m, atomic_load(&m.others[3]->cleanups) == 1);
	gate_open(m.gate);
	for (n = 0; n < 4; n++)
		rig_until_int(m.rig, &m.others[n]->cleanups, 1);
	check(&m, atomic_load(&m.others[0]->stopping) == 1);
	check(&m, atomic_load(&m.others[1]->stopping) == 1);
	check(&m, !atomic_load(&m.others[3]->calls));
	moment_end(&m);
}

static void
W1_application_that_dequeues_in_its_close_callbacks(void **state)
{
	(void)state;
	for_each_closing(dequeues_by_itself);
}

static int
dequeue_wsi(struct moment *m, struct lws *wsi, enum lws_callback_reasons reason)
{
	(void)m;
	if (is_ending(reason)) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
		lws_threadpool_dequeue(wsi);
#pragma GCC diagnostic pop
	}

	return RIG_DEFAULT;
}

static void
dequeues_the_wsi(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct moment m;

	moment_begin(&m, kind, way, opt_in, 1);
	enqueue_four(&m);
	m.on_wsi = dequeue_wsi;
	closing_do(m.conn, way);
	gate_open(m.gate);
	moment_end(&m);
}

static void
W1_application_that_dequeues_the_wsi_in_its_callbacks(void **state)
{
	(void)state;
	for_each_closing(dequeues_the_wsi);
}

/* ---- W4: enqueues on a wsi that closes ---- */

/* Without a watch yet lws may give no sign at all, when it drops the protocol,
 * that it is closing the wsi (fact 2), unless we are in lws: the manual forbids
 * that, and so do we.  When it says that it closed there is one always. */
static bool
is_known(struct moment *m, struct lws *wsi, enum lws_callback_reasons reason)
{
	return LWSTP_UNIT_IN_LWS || m->opt_in || m->had_task ||
	       m->way == CLOSING_CONTEXT || !reason_drop(reason) ||
	       lws_callback_on_writable(wsi) <= 0;
}

static int
enqueue_again(struct moment *m, struct lws *wsi,
	      enum lws_callback_reasons reason)
{
	struct job *j;

	if (is_ending(reason) && m->n_others < 16 && is_known(m, wsi, reason)) {
		j = m->others[m->n_others++] = job_script(
			m->rig, INT32_MAX, LWS_TP_RETURN_CHECKING_IN);
		j->name = reason_drop(reason)	? "drop" :
			  reason_closed(reason) ? "closed" :
						  "destroy";
		if (job_enqueue(m->tp, j, wsi)) {
			m->accepted++;
			/* lws_threadpool_wsi_event() said that it is gone, or
			 * the watch closed: it is known */
			if (!m->opt_in || reason == LWS_CALLBACK_WSI_DESTROY)
				fail_msg("%s: accepted in %s", m->label,
					 j->name);
		}
	}

	return RIG_DEFAULT;
}

static void
enqueued_after_a_task(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct moment m;
	int n;

	moment_begin(&m, kind, way, opt_in, 1);
	m.job = job_script(m.rig, INT32_MAX, LWS_TP_RETURN_SYNC);
	check(&m, job_enqueue(m.tp, m.job, m.conn->wsi));
	m.had_task = true;
	m.on_wsi = enqueue_again;
	closing_do(m.conn, way);
	check(&m, m.n_others > 0);
	rig_until_int(m.rig, &m.job->cleanups, 1);
	/* what was accepted was given up again when the wsi was destroyed */
	for (n = 0; n < m.n_others; n++)
		if (m.others[n]->accepted)
			wait_int(&m.others[n]->cleanups, 1);
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
	moment_end(&m);
}

static void
W4_enqueue_in_close_callbacks_after_a_task(void **state)
{
	(void)state;
	for_each_closing(enqueued_after_a_task);
}

static void
enqueued_first(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct moment m;
	int n;

	moment_begin(&m, kind, way, opt_in, 1);
	/* the pool is in use, and the hidden vhost is there */
	check(&m, job_enqueue(m.tp, job_new(m.rig), NULL));
	rig_drain(m.rig);
	m.on_wsi = enqueue_again;
	closing_do(m.conn, way);
	check(&m, m.n_others > 0);
	for (n = 0; n < m.n_others; n++)
		if (m.others[n]->accepted)
			wait_int(&m.others[n]->cleanups, 1);
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
	moment_end(&m);
}

static void
W4_first_task_ever_in_the_close_callbacks(void **state)
{
	(void)state;
	for_each_closing(enqueued_first);
}

struct destroyed {
	struct lws_threadpool *tp;
	struct lws *wsi[3];
	int tried, accepted;
};

static int
enqueue_when_destroyed(struct rig *rig, struct lws *wsi,
		       enum lws_callback_reasons reason, void *user, void *in,
		       size_t len)
{
	struct destroyed *d = rig->priv;
	struct job *j;

	/* before the account: in WSI_DESTROY it is still there to be asked */
	if (is_ending(reason) &&
	    (wsi == d->wsi[0] || wsi == d->wsi[1] || wsi == d->wsi[2])) {
		d->tried++;
		j = job_new(rig);
		d->accepted += !!job_enqueue(d->tp, j, wsi);
	}

	return closing_event(rig, wsi, reason, user, in, len);
}

/* Whichever wsi lws closes first, ours or the application's */
static void
W4_first_task_ever_while_the_context_is_destroyed(void **state)
{
	int n, before;

	(void)state;
	for (before = 0; before < 4; before++) {
		struct destroyed d = { .tried = 0 };
		struct rig_opts opts = { .on_event = closing_event,
					 .priv = &d };
		struct rig *rig = rig_create(&opts);

		for (n = 0; n < before; n++)
			d.wsi[n] = conn_open(rig, CONN_WS)->wsi;
		d.tp = rig_pool(rig, 1, 10);
		/* the hidden vhost is there */
		rig_drain(rig);
		for (; n < 3; n++)
			d.wsi[n] = conn_open(rig, CONN_WS)->wsi;
		rig->on_event = enqueue_when_destroyed;
		rig_context_destroy(rig);
		assert_true(d.tried >= 3);
		assert_int_equal(d.accepted, 0);
		log_claim(LLL_ERR, "lws_threadpool");
		log_claim(LLL_WARN, "lws_threadpool");
		assert_int_equal(rig_destroy(rig), 0);
	}
}

/* The wsi lives on until the peer answers: whatever is decided, no task may be
 * left on it. */
static void
W4_enqueue_between_our_close_frame_and_the_peers(void **state)
{
	struct moment m;
	struct job *j[3];
	int n, opt_in, had;

	(void)state;
	/* A debug build of 4.1, which Debian's is, closes a wsi twice with
	 * libuv to see that it can: so it sends no close frame of its own, and
	 * waits for none. */
	if (evloop_is("uv") && LWS_LIBRARY_VERSION_NUMBER < 4003000)
		skip();
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (had = 0; had < 2; had++) {
			moment_begin(&m, CONN_WS, CLOSING_WS_OURS, opt_in, 1);
			m.job = job_script(m.rig, INT32_MAX,
					   LWS_TP_RETURN_SYNC);
			if (had)
				m.had_task = !!job_enqueue(m.tp, m.job,
							   m.conn->wsi);
			closing_ws_begin(m.conn);
			for (n = 0; n < 3; n++) {
				j[n] = job_script(m.rig, INT32_MAX,
						  LWS_TP_RETURN_SYNC);
				check(&m, m.conn->wsi);
				m.had_task |= !!job_enqueue(m.tp, j[n],
							    m.conn->wsi);
				rig_turns(m.rig, 5);
			}
			m.on_wsi = enqueue_again;
			conn_ws_close(m.conn);
			rig_until(m.rig, is_conn_destroyed, m.conn);
			for (n = 0; n < 3; n++)
				if (j[n]->accepted)
					rig_until_int(m.rig, &j[n]->cleanups,
						      1);
			log_claim(LLL_ERR, "");
			log_claim(LLL_WARN, "");
			moment_end(&m);
		}
}

/* A new wsi is not its predecessor at the same address: not even before the
 * next turn of the service loop */
static void
W4_new_wsi_at_the_address_of_one_that_closed(void **state)
{
	struct moment m;
	struct conn *c[20];
	struct job *j[20], *more;
	struct lws *was;
	int kind, n, opt_in, same = 0;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (kind = CONN_RAW; kind < CONN_KINDS; kind++) {
			moment_begin(&m, (enum conn_kind)kind, CLOSING_TIMEOUT,
				     opt_in, 1);
			rig_drain(m.rig);
			was = NULL;
			for (n = 0; n < 20; n++) {
				c[n] = conn_open(m.rig, (enum conn_kind)kind);
				same += c[n]->wsi == was;
				was = c[n]->wsi;
				j[n] = job_script(m.rig, INT32_MAX,
						  LWS_TP_RETURN_SYNC);
				check(&m, job_enqueue(m.tp, j[n], c[n]->wsi));
				if (n == 19)
					break;
				lws_set_timeout(c[n]->wsi,
						PENDING_TIMEOUT_USER_OK,
						LWS_TO_KILL_SYNC);
				/* libuv frees it in its own time */
				check(&m, c[n]->destroyed || evloop_is("uv"));
				rig_until(m.rig, is_conn_destroyed, c[n]);
			}
			for (n = 0; n < 19; n++)
				rig_until_int(m.rig, &j[n]->cleanups, 1);
			more = job_script(m.rig, 20, LWS_TP_RETURN_SYNC);
			check(&m, job_enqueue(m.tp, more, c[19]->wsi));
			rig_until_int(m.rig, &more->cleanups, 1);
			check(&m, !atomic_load(&j[19]->cleanups));
			moment_end(&m);
		}
	print_message("  %d wsi at the last one's address\n", same);
}

/* ---- W5: what a cleanup does during the close ---- */

static struct moment *cleaning;

static void
enqueue_in_cleanup(struct job *j, struct lws *wsi)
{
	struct moment *m = cleaning;
	struct job *again = job_new(j->rig), *elsewhere = job_new(j->rig);

	(void)wsi;
	/* on a task's own way out, with its wsi closing or gone: refused */
	if (m->conn->wsi && pthread_equal(pthread_self(), j->rig->thread))
		check(m, !job_enqueue(m->tp, again, m->conn->wsi));
	/* without one: as anywhere */
	check(m, job_enqueue(m->tp, elsewhere, NULL));
}

static void
cleanup_enqueues(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct moment m;

	moment_begin(&m, kind, way, opt_in, 1);
	cleaning = &m;
	m.job = job_new(m.rig);
	m.job->on_cleanup = enqueue_in_cleanup;
	check(&m, job_enqueue(m.tp, m.job, m.conn->wsi));
	wait_status(m.job, LWS_TP_STATUS_FINISHED);
	closing_do(m.conn, way);
	check(&m, atomic_load(&m.job->cleanups) == 1);
	check(&m, !m.job->cleanup_wsi);
	log_claim(LLL_ERR, "");
	log_claim(LLL_WARN, "");
	moment_end(&m);
}

static void
W5_cleanup_that_enqueues_on_its_wsi_during_the_close(void **state)
{
	(void)state;
	for_each_closing(cleanup_enqueues);
}

/* A cleanup may enqueue on another wsi */
static struct conn *other_conn;

static void
enqueue_on_the_other(struct job *j, struct lws *wsi)
{
	(void)wsi;
	check(cleaning,
	      job_enqueue(cleaning->tp, cleaning->others[0], other_conn->wsi));
	(void)j;
}

static void
W5_cleanup_that_enqueues_elsewhere_during_a_close(void **state)
{
	struct moment m;
	int kind, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++)
		for (kind = 0; kind < CONN_KINDS; kind++) {
			moment_begin(&m, (enum conn_kind)kind, CLOSING_TIMEOUT,
				     opt_in, 1);
			cleaning = &m;
			other_conn = conn_open(m.rig, CONN_RAW);
			m.job = job_new(m.rig);
			m.others[0] = job_new(m.rig);
			m.job->on_cleanup = enqueue_on_the_other;
			job_enqueue(m.tp, m.job, m.conn->wsi);
			wait_status(m.job, LWS_TP_STATUS_FINISHED);
			closing_do(m.conn, m.way);
			rig_until_int(m.rig, &m.others[0]->cleanups, 1);
			check(&m, m.others[0]->cleanup_wsi == other_conn->wsi);
			moment_end(&m);
		}
}

/* ---- W1: a callback of one wsi closes another one ---- */

static int
kill_the_other(struct moment *m, struct lws *wsi,
	       enum lws_callback_reasons reason)
{
	(void)m;
	(void)wsi;
	if (reason_writeable(reason) && other_conn->wsi)
		lws_set_timeout(other_conn->wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_SYNC);

	return RIG_DEFAULT;
}

static void
W1_killed_in_another_wsi_s_writeable(void **state)
{
	struct moment m;
	int opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		moment_begin(&m, CONN_WS, CLOSING_TIMEOUT, opt_in, 2);
		other_conn = conn_open(m.rig, CONN_RAW);
		other_conn->manual = true;
		m.job = job_script(m.rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		m.others[0] = job_script(m.rig, INT32_MAX, LWS_TP_RETURN_SYNC);
		m.on_wsi = kill_the_other;
		job_enqueue(m.tp, m.others[0], other_conn->wsi);
		wait_status(m.others[0], LWS_TP_STATUS_SYNCING);
		/* its WRITEABLE kills the other one, whose ring is pending */
		job_enqueue(m.tp, m.job, m.conn->wsi);
		rig_until(m.rig, is_conn_destroyed, other_conn);
		rig_until_int(m.rig, &m.others[0]->cleanups, 1);
		check(&m, atomic_load(&m.others[0]->stopping) == 1);
		check(&m, !atomic_load(&m.job->cleanups));
		moment_end(&m);
	}
}

/* ---- W1: tasks of several pools on the wsi ---- */

static void
two_pools(enum conn_kind kind, enum closing way, bool opt_in)
{
	struct lws_threadpool *tp2;
	struct moment m;
	struct job *j[4];
	int n;

	moment_begin(&m, kind, way, opt_in, 1);
	tp2 = rig_pool(m.rig, 1, 100);
	for (n = 0; n < 4; n++) {
		j[n] = job_script(m.rig, n < 2 ? INT32_MAX : 0,
				  LWS_TP_RETURN_SYNC);
		check(&m, job_enqueue(n & 1 ? tp2 : m.tp, j[n], m.conn->wsi));
		wait_status(j[n], n < 2 ? LWS_TP_STATUS_SYNCING :
					  LWS_TP_STATUS_FINISHED);
	}
	closing_do(m.conn, way);
	for (n = 0; n < 4; n++) {
		if (n < 2)
			rig_until_int(m.rig, &j[n]->cleanups, 1);
		check(&m, atomic_load(&j[n]->cleanups) == 1);
		check(&m, !j[n]->cleanup_wsi);
		check(&m, atomic_load(&j[n]->stopping) == (n < 2));
	}
	moment_end(&m);
}

static void
W1_tasks_of_two_pools_on_one_wsi(void **state)
{
	(void)state;
	for_each_closing(two_pools);
}

/* ---- W1: a task ends in the very moment that its wsi closes ---- */

static void
W1_tasks_that_end_while_their_wsi_closes(void **state)
{
	struct moment m;
	struct conn *c[20];
	int n, round;

	(void)state;
	for (round = 0; round < 10; round++) {
		moment_begin(&m, CONN_RAW, CLOSING_TIMEOUT, round & 1, 2);
		for (n = 0; n < 20; n++) {
			c[n] = conn_open(m.rig, CONN_RAW);
			c[n]->manual = true;
		}
		for (n = 0; n < 20; n++) {
			job_enqueue(m.tp,
				    job_script(m.rig, n,
					       LWS_TP_RETURN_CHECKING_IN),
				    c[n]->wsi);
			job_enqueue(m.tp,
				    job_script(m.rig, 1, LWS_TP_RETURN_SYNC),
				    c[n]->wsi);
			if (n & 1)
				lws_set_timeout(c[n]->wsi,
						PENDING_TIMEOUT_USER_OK,
						LWS_TO_KILL_SYNC);
		}
		moment_end(&m);
	}
}

/* ---- W1: a timeout of lws's own that runs out ---- */

static void
W1_timeout_that_runs_out(void **state)
{
	struct conn *c[CONN_KINDS];
	struct job *done[CONN_KINDS], *sync[CONN_KINDS];
	struct moment m;
	int kind, opt_in;

	(void)state;
	for (opt_in = 0; opt_in < 2; opt_in++) {
		moment_begin(&m, CONN_RAW, CLOSING_TIMEOUT, opt_in, 1);
		for (kind = 0; kind < CONN_KINDS; kind++) {
			c[kind] = conn_open(m.rig, (enum conn_kind)kind);
			c[kind]->manual = true;
			done[kind] = job_new(m.rig);
			check(&m, job_enqueue(m.tp, done[kind], c[kind]->wsi));
			sync[kind] = job_script(m.rig, INT32_MAX,
						LWS_TP_RETURN_SYNC);
			check(&m, job_enqueue(m.tp, sync[kind], c[kind]->wsi));
			wait_status(sync[kind], LWS_TP_STATUS_SYNCING);
			lws_set_timeout(c[kind]->wsi, PENDING_TIMEOUT_USER_OK,
					1);
		}
		for (kind = 0; kind < CONN_KINDS; kind++) {
			rig_until(m.rig, is_conn_destroyed, c[kind]);
			check(&m, atomic_load(&done[kind]->cleanups) == 1);
			rig_until_int(m.rig, &sync[kind]->cleanups, 1);
			check(&m, atomic_load(&sync[kind]->stopping) == 1);
			check(&m, !sync[kind]->cleanup_wsi);
		}
		moment_end(&m);
	}
}

/* ---- W1: the context is destroyed from inside one of its callbacks ---- */

static int
destroy_the_context(struct moment *m, struct lws *wsi,
		    enum lws_callback_reasons reason)
{
	(void)wsi;
	if (reason_writeable(reason) && !m->accepted) {
		m->accepted = 1;
		lws_context_destroy(m->rig->context);
	}

	return RIG_DEFAULT;
}

static void
W1_context_destroyed_in_a_callback(void **state)
{
	struct moment m;
	int n, opt_in;

	(void)state;
	/* with glib lws 4.1 unloads the very code that it returns to then */
	if (evloop_is("glib") && LWS_LIBRARY_VERSION_NUMBER < 4003000)
		skip();
	for (opt_in = 0; opt_in < 2; opt_in++) {
		moment_begin(&m, CONN_WS, CLOSING_CONTEXT, opt_in, 1);
		enqueue_four(&m);
		m.on_wsi = destroy_the_context;
		lws_callback_on_writable(m.conn->wsi);
		for (n = 0; !m.accepted; n++)
			rig_turn(m.rig, true);
		/* It was put off until the callback returned.  The last of it
		 * wants a second call of the application, all of it on 4.3.3:
		 * there lws_service() says that it is no longer possible.
		 * With libuv that is when its handles are closed: sooner, 4.1
		 * unloads the code that closes them. */
		if (evloop_is("uv"))
			rig_turns(m.rig, 50);
		rig_context_destroy(m.rig);
		check(&m, m.conn->destroyed);
		gate_open(m.gate);
		for (n = 0; n < 4; n++) {
			wait_int(&m.others[n]->cleanups, 1);
			check(&m, !m.others[n]->cleanup_wsi);
		}
		/* lws's own word about that, on 5.0 */
		log_claim(LLL_ERR, "lws_service_fd_tsi returned -1");
		moment_end(&m);
	}
}

/* ---- T7, Q4: a cleanup during the close ends another task of the wsi ---- */

static void
end_another(struct job *j, struct lws *wsi)
{
	struct job *other = j->priv;

	(void)wsi;
	if (!other)
		return;
	if (atomic_load(&other->cleanups))
		job_fault(j, "the older one went first");
	if (atomic_load(&other->calls))
		lws_threadpool_task_status(other->task, NULL);
	else if (lws_threadpool_dequeue_task(other->task))
		job_fault(j, "it was asked to stop");
	if (atomic_load(&other->cleanups) != 1)
		job_fault(j, "it was not reaped at once");
}

static void
end_in_the_close(enum conn_kind kind, enum closing way, bool opt_in, bool done)
{
	struct job *older, *newer;
	struct moment m;

	moment_begin(&m, kind, way, opt_in, 1);
	older = job_new(m.rig);
	newer = job_new(m.rig);
	if (done) {
		check(&m, job_enqueue(m.tp, older, m.conn->wsi));
		wait_status(older, LWS_TP_STATUS_FINISHED);
	}
	job_block(m.rig, m.tp, m.gate);
	/* the newest is the first to go */
	newer->on_cleanup = older->on_cleanup = end_another;
	newer->priv = older;
	if (!done)
		check(&m, job_enqueue(m.tp, older, m.conn->wsi));
	check(&m, job_enqueue(m.tp, newer, m.conn->wsi));
	closing_do(m.conn, way);
	check(&m, atomic_load(&newer->cleanups) == 1);
	check(&m, atomic_load(&older->cleanups) == 1);
	check(&m, !newer->cleanup_wsi);
	check(&m, !older->cleanup_wsi);
	gate_open(m.gate);
	moment_end(&m);
}

static void
dequeue_in_the_close(enum conn_kind kind, enum closing way, bool opt_in)
{
	end_in_the_close(kind, way, opt_in, false);
}

static void
reap_in_the_close(enum conn_kind kind, enum closing way, bool opt_in)
{
	end_in_the_close(kind, way, opt_in, true);
}

static void
T7_cleanup_that_ends_another_during_the_close(void **state)
{
	(void)state;
	for_each_closing(dequeue_in_the_close);
	for_each_closing(reap_in_the_close);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W1_return_minus_one_right_after_enqueue),
		cmocka_unit_test(W1_close_while_the_ring_of_a_sync_is_pending),
		cmocka_unit_test(
			W1_killed_synchronously_while_rings_are_pending),
		cmocka_unit_test(
			W1_killed_synchronously_when_a_WRITEABLE_was_wanted),
		cmocka_unit_test(W1_cleanup_that_finds_another_s_SYNC),
		cmocka_unit_test(
			W1_application_that_dequeues_in_its_close_callbacks),
		cmocka_unit_test(
			W1_application_that_dequeues_the_wsi_in_its_callbacks),
		cmocka_unit_test(W4_enqueue_in_close_callbacks_after_a_task),
		cmocka_unit_test(W4_first_task_ever_in_the_close_callbacks),
		cmocka_unit_test(
			W4_first_task_ever_while_the_context_is_destroyed),
		cmocka_unit_test(
			W4_enqueue_between_our_close_frame_and_the_peers),
		cmocka_unit_test(W4_new_wsi_at_the_address_of_one_that_closed),
		cmocka_unit_test(
			W5_cleanup_that_enqueues_on_its_wsi_during_the_close),
		cmocka_unit_test(
			W5_cleanup_that_enqueues_elsewhere_during_a_close),
		cmocka_unit_test(T7_cleanup_that_ends_another_during_the_close),
		cmocka_unit_test(W1_killed_in_another_wsi_s_writeable),
		cmocka_unit_test(W1_tasks_of_two_pools_on_one_wsi),
		cmocka_unit_test(W1_tasks_that_end_while_their_wsi_closes),
		cmocka_unit_test(W1_timeout_that_runs_out),
		cmocka_unit_test(W1_context_destroyed_in_a_callback),
	};

	return cmocka_run_group_tests_name("W1 W4 W5 moments of closing", tests,
					   NULL, NULL);
}
