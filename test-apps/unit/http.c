/*
 * lws-threadpool unit tests - an http peer that is not well behaved, and a task
 * for its request
 *
 * SPDX-License-Identifier: MIT
 */

#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"

#define SPAN_US (50 * LWS_US_PER_MS)
#define SPANS	4

/* ---- the application ---- */

static int
answer(struct lws *wsi)
{
	uint8_t buf[LWS_PRE + 512], *start = &buf[LWS_PRE], *p = start,
				    *end = &buf[sizeof(buf) - 1];

	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain", 0,
					&p, end) ||
	    lws_finalize_http_header(wsi, &p, end) ||
	    lws_write(wsi, start, (size_t)(p - start),
		      LWS_WRITE_HTTP_HEADERS | LWS_WRITE_H2_STREAM_END) < 0)
		return -1;

	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static int
begin(struct http *h, struct lws *wsi)
{
	if (!h->timed)
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	if (atomic_load(&h->job->calls) || h->job->task)
		return 0;
	h->wsi = wsi;
	assert_non_null(job_enqueue(h->tp, h->job, wsi));
	/* again, over what we might have set in it */
	if (!h->timed)
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);

	return 0;
}

static int
request(struct http *h, struct lws *wsi)
{
	if (h->requests++) {
		h->answers++;
		return answer(wsi);
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) && !h->at_headers) {
		lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
		return 0;
	}

	return begin(h, wsi);
}

static int
writeable(struct http *h, struct lws *wsi)
{
	struct job *j;

	if (!h->serve)
		return 0;
	j = job_serve_one(wsi);
	if (j != h->job || j->reaped_as < 0)
		return 0;
	h->answers++;

	return answer(wsi);
}

static int
event(struct rig *rig, struct lws *wsi, enum lws_callback_reasons reason,
      void *user, void *in, size_t len)
{
	struct http *h = rig->priv;

	(void)user;
	(void)in;
	(void)len;
	switch ((int)reason) {
	case LWS_CALLBACK_HTTP:
		return request(h, wsi);
	case LWS_CALLBACK_HTTP_BODY:
		return 0;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		h->bodies++;
		return begin(h, wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return writeable(h, wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_WSI_DESTROY:
		if (h->wsi == wsi) {
			h->wsi = NULL;
			h->closed = true;
		}
		return 0;
	default:
		return RIG_DEFAULT;
	}
}

/* ---- the rig ---- */

static struct job *
make_job(struct http *h)
{
	struct job *j;

	switch (h->state) {
	case HTTP_QUEUED:
		job_block(h->rig, h->tp, h->gate);
		return job_new(h->rig);
	case HTTP_RUNNING:
		/* so that it learns of a stop */
		j = job_script(h->rig, 2, LWS_TP_RETURN_CHECKING_IN);
		j->gate = h->gate;
		return j;
	case HTTP_SYNCING:
		return job_script(h->rig, 1, LWS_TP_RETURN_SYNC);
	default:
		return job_new(h->rig);
	}
}

void
http_stop(struct http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	if (h->rig)
		assert_int_equal(rig_destroy(h->rig), 0);
	h->rig = NULL;
}

void
http_start(struct http *h, const struct rig_opts *opts)
{
	struct rig_opts o = { .info = NULL };

	if (opts)
		o = *opts;
	o.on_event = event;
	o.priv = h;
	h->fd = -1;
	h->wsi = NULL;
	h->serve = h->closed = false;
	h->requests = h->bodies = h->answers = 0;
	h->len = 0;
	h->rig = rig_create(&o);
	h->tp = rig_pool(h->rig, 1, 10);
	h->gate = gate_new(h->rig);
	h->job = make_job(h);
}

/* ---- the peer ---- */

void
http_send(struct http *h, const char *text)
{
	size_t len = strlen(text);

	if (h->fd < 0)
		h->fd = tcp_connect(h->rig->port);
	assert_int_equal(send(h->fd, text, len, MSG_NOSIGNAL), (ssize_t)len);
}

static bool
is_in_state(struct http *h)
{
	static const enum lws_threadpool_task_status statuses[HTTP_STATES] = {
		[HTTP_QUEUED] = LWS_TP_STATUS_QUEUED,
		[HTTP_RUNNING] = LWS_TP_STATUS_RUNNING,
		[HTTP_SYNCING] = LWS_TP_STATUS_SYNCING,
		[HTTP_DONE] = LWS_TP_STATUS_FINISHED,
	};

	return h->job->task &&
	       lws_threadpool_task_status_noreap(h->job->task) ==
		       statuses[h->state] &&
	       (h->state != HTTP_RUNNING || atomic_load(&h->job->calls));
}

static bool
is_in_state_or_closed(void *arg)
{
	struct http *h = arg;

	return h->closed || is_in_state(h);
}

bool
http_until_state_or_closed(struct http *h)
{
	rig_until(h->rig, is_in_state_or_closed, h);

	return !h->closed;
}

void
http_until_state(struct http *h)
{
	assert_true(http_until_state_or_closed(h));
}

void
http_send_until_state(struct http *h, const char *text)
{
	http_send(h, text);
	http_until_state(h);
}

static bool
is_closed(void *arg)
{
	struct http *h = arg;

	return h->closed;
}

void
http_until_closed(struct http *h)
{
	rig_until(h->rig, is_closed, h);
}

void
http_let_go(struct http *h)
{
	h->serve = true;
	gate_open(h->gate);
	if (h->wsi)
		lws_callback_on_writable(h->wsi);
}

void
http_until_told(struct http *h)
{
	struct job *j = h->job;
	bool started = h->state == HTTP_RUNNING || h->state == HTTP_SYNCING;

	gate_open(h->gate);
	rig_until_int(h->rig, &j->cleanups, 1);
	assert_null(j->cleanup_wsi);
	assert_int_equal(atomic_load(&j->stopping), started);
	if (h->state == HTTP_QUEUED)
		assert_int_equal(atomic_load(&j->calls), 0);
	rig_until_cleaned(h->rig);
}

static int
answers_got(struct http *h)
{
	const char *p = h->got;
	ssize_t n;
	int count = 0;

	do {
		n = recv(h->fd, h->got + h->len, sizeof(h->got) - 1 - h->len,
			 MSG_DONTWAIT);
		if (n > 0)
			h->len += (size_t)n;
	} while (n > 0);
	h->got[h->len] = '\0';
	while ((p = strstr(p, "HTTP/1.1 200 "))) {
		count++;
		p++;
	}

	return count;
}

struct wanted {
	struct http *h;
	int n;
};

static bool
is_answered(void *arg)
{
	struct wanted *w = arg;

	return w->h->closed || answers_got(w->h) >= w->n;
}

void
http_until_answers(struct http *h, int n)
{
	struct wanted w = { h, n };

	rig_until(h->rig, is_answered, &w);
}

/* ---- sleep ---- */

static lws_usec_t
cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

	return ts.tv_sec * LWS_US_PER_SEC + ts.tv_nsec / 1000;
}

static bool
is_over(void *arg)
{
	return lws_now_usecs() >= *(lws_usec_t *)arg;
}

void
http_serve_for(struct http *h, lws_usec_t us)
{
	lws_usec_t end = lws_now_usecs() + us;

	rig_until(h->rig, is_over, &end);
}

/* By turns, since what else the machine does comes and goes.  Lws 4.1 does not
 * sleep in the last millisecond before a timer: so there are few of those. */
static bool
sleeps(struct http *h)
{
	lws_usec_t end, lws = 0, loop = 0;
	int n;

	for (n = 0; n < SPANS; n++) {
		lws -= cpu_now();
		http_serve_for(h, SPAN_US);
		lws += cpu_now();

		loop -= cpu_now();
		end = lws_now_usecs() + SPAN_US;
		while (!is_over(&end))
			;
		loop += cpu_now();
	}

	return lws < loop / 3;
}

void
http_until_sleeps(struct http *h)
{
	lws_usec_t tick_us = h->rig->tick_us,
		   end = lws_now_usecs() +
			 h->rig->deadline_secs * LWS_US_PER_SEC;

	h->rig->tick_us = SPAN_US;
	while (!sleeps(h))
		assert_true(lws_now_usecs() < end);
	h->rig->tick_us = tick_us;
}
