/*
 * lws-threadpool unit tests - the rig: a context, its pools, and waiting
 *
 * SPDX-License-Identifier: MIT
 *
 * A part of harness.h, which explains it all.
 */

#ifndef LWSTP_UNIT_RIG_H
#define LWSTP_UNIT_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

/* on_event's return that asks for the harness's default behaviour */
#define RIG_DEFAULT 0x7d0

/* cmocka_unit_test() with a plain rig in *state */
#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

struct rig;
struct conn;
struct job;
struct gate;

typedef int (*rig_event_cb)(struct rig *rig, struct lws *wsi,
			    enum lws_callback_reasons reason, void *user,
			    void *in, size_t len);

struct rig {
	struct lws_context *context; /* NULL once destroyed */
	struct lws_vhost *vhost;
	int port;
	rig_event_cb on_event; /* for any reason, or NULL */
	bool opt_in;	       /* protocols[0] calls
				* lws_threadpool_wsi_event() */
	bool context_first;    /* teardown: context, pools */
	bool any_log;	       /* do not check the log */
	lws_usec_t tick_us;    /* rig_until() looks at least
				* this often.  2 ms */
	int deadline_secs;     /* of a wait.  60 */
	int wait_cancelled;    /* EVENT_WAIT_CANCELLEDs of the
				* protocol "tp-test" */
	void *priv;	       /* the test's */

	/* the harness's own */
	struct lws_protocols protocols[5];
	struct evloop *evloop; /* NULL: lws's own */
	lws_sorted_usec_list_t sul;
	struct conn *opening;
	struct conn *conns;
	struct job *jobs;
	struct gate *gates;
	unsigned long events; /* callbacks, all of them */
	struct lws_threadpool *pools[64];
	pthread_t thread; /* the service thread */
};

struct rig_opts {
	/* change what the context is created with */
	void (*info)(struct rig *rig, struct lws_context_creation_info *info);
	rig_event_cb on_event; /* from PROTOCOL_INIT on */
	bool opt_in;
	void *priv; /* rig->priv */
};

struct rig *
rig_create(const struct rig_opts *opts);

/* Ends what is left and does the checks.  Returns 0, or 1 with the reasons
 * printed.  Frees everything either way. */
int
rig_destroy(struct rig *rig);

/* What a vhost with the rig's protocols asks for: a libwebsockets with
 * plugins, from 4.2 on, tells no protocol of PROTOCOL_INIT that is not asked
 * for by name.  NULL with others. */
const struct lws_protocol_vhost_options *
rig_pvo(void);

/* lws_context_destroy(), once */
void
rig_context_destroy(struct rig *rig);

int
rig_setup(void **state);

int
rig_teardown(void **state);

/* The deadline of a wait, in seconds: LWSTP_UNIT_DEADLINE, where everything is
 * slow, by an emulator or valgrind, or 60 */
int
wait_secs(void);

/* Service until cond(arg) is true; past the deadline the test fails.  Once the
 * context is destroyed that is to wait without servicing. */
#define rig_until(rig, cond, arg) \
	rig_until_((rig), (cond), (arg), #cond, __FILE__, __LINE__)

/* Service until the atomic_int at p is n or more. */
#define rig_until_int(rig, p, n) \
	rig_until_int_((rig), (p), (n), #p, __FILE__, __LINE__)

/* The same without servicing: no callback can come meanwhile. */
#define wait_until(cond, arg) \
	wait_until_((cond), (arg), #cond, __FILE__, __LINE__)
#define wait_int(p, n) wait_int_((p), (n), #p, __FILE__, __LINE__)

/* One turn of the service loop, that waits for something to happen or not:
 * what lws_service(context, 0) and (context, -1) are, with any event library */
void
rig_turn(struct rig *rig, bool wait);

/* Service so many turns without waiting in any. */
void
rig_turns(struct rig *rig, int turns);

/* Service what is pending now, until nothing more comes: some turns in which
 * poll() found nothing.  For checks that something does NOT come. */
void
rig_drain(struct rig *rig);

/* How many fds the process has open, for a test to compare with before and
 * after its rig; without those that lws itself loses with a context, measured
 * with one that never had a pool */
int
rig_open_fds(void);

/* A pool that the rig destroys at teardown, if the test did not.  A failure to
 * create fails the test. */
struct lws_threadpool *
rig_pool(struct rig *rig, int threads, int depth);

struct lws_threadpool *
rig_pool_ext(struct rig *rig, int threads, int depth,
	     const struct lws_threadpool_options *options);

/* lws_threadpool_destroy(), and the rig forgets the pool */
void
rig_pool_destroy(struct rig *rig, struct lws_threadpool *tp);

void
rig_until_(struct rig *rig, bool (*cond)(void *), void *arg, const char *what,
	   const char *file, int line);
void
rig_until_int_(struct rig *rig, atomic_int *p, int n, const char *what,
	       const char *file, int line);
void
wait_until_(bool (*cond)(void *), void *arg, const char *what, const char *file,
	    int line);
void
wait_int_(atomic_int *p, int n, const char *what, const char *file, int line);

/* The rig of a wsi; NULL where lws has no context yet, or no wsi */
struct rig *
rig_of(struct lws *wsi);

/* What the service thread is at, for the message of a wait that failed */
void
rig_detail(const char *format, ...) LWS_FORMAT(1);

#endif
