/*
 * lws-threadpool-worker - a worker of lws-threadpool-cluster
 *
 * SPDX-License-Identifier: MIT
 *
 * Loads kinds of tasks, makes a context, a pool and a cluster, and serves them
 * until SIGTERM or SIGINT.  The main thread is the service thread: it has the
 * signals, /metrics, and a timer while it drains.
 */

#include "worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_US (50 * LWS_US_PER_MS)  /* whether it has drained */
#define SAY_US	(10 * LWS_US_PER_SEC) /* how many jobs are left */

static struct lws_context *context;
static volatile sig_atomic_t signals;
static int out_of_time; /* --drain-secs are over, and jobs are left */

/* the context is alive for as long as signals are caught */
static void
on_signal(int sig)
{
	(void)sig;

	signals++;
	lws_cancel_service(context);
}

static void
handle_signals(void (*handler)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = handler;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

/* What lws is to bind to.  By its name where we know it: lws 5.0.0 writes past
 * a buffer when it is given a numeric IPv4 address. */
static const char *
interface_of(const char *address)
{
	if (!strcmp(address, "0.0.0.0"))
		return NULL;
#if defined(__linux__)
	if (!strcmp(address, "127.0.0.1"))
		return "lo";
#endif

	return address;
}

/* lws makes no connection for us, so http_proxy is none of its business, and no
 * reason to complain: but task functions may want it.  (An empty
 * info.http_proxy_address is an error to lws 4.1.6.) */
static struct lws_context *
create_without_proxy(const struct lws_context_creation_info *info)
{
	const char *proxy = getenv("http_proxy");
	char *kept = proxy ? strdup(proxy) : NULL;
	struct lws_context *made;

	unsetenv("http_proxy");
	made = lws_create_context(info);
	if (kept)
		setenv("http_proxy", kept, 1);
	free(kept);

	return made;
}

static struct lws_context *
make_context(const struct worker_options *o, struct worker_state *state)
{
	static struct lws_protocols protocols[2];
	struct lws_context_creation_info info;

	protocols[0] = worker_metrics_protocol;
	memset(&info, 0, sizeof(info));
	info.port = CONTEXT_PORT_NO_LISTEN;
	if (o->metrics_port >= 0) {
		info.port = o->metrics_port;
		info.iface = interface_of(o->metrics_address);
	}
	info.protocols = protocols;
	info.user = state;
	info.vhost_name = "metrics";
	info.options = LWS_SERVER_OPTION_DISABLE_IPV6 |
		       LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;

	return create_without_proxy(&info);
}

static int
make_cluster(struct worker_state *state, const struct worker_options *o,
	     const struct worker_kinds *kinds)
{
	const struct lws_threadpool_create_args args = {
		.threads = o->threads,
		.max_queue_depth = o->max_jobs * kinds->n,
	};

	state->pool = lws_threadpool_create(context, &args, "worker");
	if (!state->pool)
		return -1;
	state->cluster = lws_threadpool_cluster_create(state->pool,
						       &o->cluster);

	return state->cluster ? 0 : -1;
}

/* and, but to list them, serve them */
static int
add_kinds(struct worker_state *state, const struct worker_options *o,
	  const struct worker_kinds *kinds)
{
	int n;

	for (n = 0; n < kinds->n; n++)
		if (lws_threadpool_cluster_add_kind(state->cluster,
						    kinds->kind[n]) ||
		    (!o->list &&
		     lws_threadpool_cluster_serve(state->cluster,
						  kinds->kind[n]->name,
						  o->max_jobs))) {
			fprintf(stderr,
				WORKER_NAME ": the kind '%s' is "
					    "refused (see above)\n",
				kinds->kind[n]->name);
			return -1;
		}

	return 0;
}

static void
say_hello(const struct worker_options *o, const struct worker_kinds *kinds)
{
	int n;

	printf("serving");
	for (n = 0; n < kinds->n; n++)
		printf(" %s", kinds->kind[n]->name);
	printf(" with %d threads\n", o->threads);
	if (o->metrics_port >= 0)
		printf("metrics on http://%s:%d/metrics\n", o->metrics_address,
		       lws_get_vhost_listen_port(
			       lws_get_vhost_by_name(context, "metrics")));
	fflush(stdout);
}

/* only so that lws_service() returns */
static void
on_timer(lws_sorted_usec_list_t *sul)
{
	(void)sul;
	lws_cancel_service(context);
}

static int
jobs_here(const struct worker_state *state)
{
	struct lws_threadpool_cluster_stats stats = { .size = sizeof(stats) };

	if (lws_threadpool_cluster_get_stats(state->cluster, &stats))
		return 0;

	return (int)stats.serving;
}

/* Returns the jobs that are left, after a second signal or --drain-secs: of
 * others than us now. */
static int
drain(struct worker_state *state, int secs)
{
	const lws_usec_t until = lws_now_usecs() + secs * LWS_US_PER_SEC;
	lws_sorted_usec_list_t sul;
	lws_usec_t said = 0;
	int left, n = 0, jobs;

	state->draining = 1;
	memset(&sul, 0, sizeof(sul));
	while ((left = lws_threadpool_cluster_drain(state->cluster)) > 0 &&
	       signals < 2 && n >= 0) {
		out_of_time = secs && lws_now_usecs() >= until;
		if (out_of_time)
			break;
		jobs = jobs_here(state);
		if (jobs && lws_now_usecs() - said > SAY_US) {
			printf("draining: %d jobs left\n", jobs);
			fflush(stdout);
			said = lws_now_usecs();
		}
		lws_sul_schedule(context, 0, &sul, on_timer, LOOK_US);
		n = lws_service(context, 0);
	}
	lws_sul_cancel(&sul);

	return left ? jobs_here(state) : 0;
}

/* The pool's tasks may be in a call that does not check in: so who has asked
 * twice, or has no more time, waits for none.  A third signal does not even
 * wait for the engine. */
static void
end(struct worker_state *state, int left)
{
	if (left > 0 || out_of_time) {
		handle_signals(SIG_DFL);
		lws_threadpool_cluster_destroy(state->cluster);
		printf("ended, and gave back %d jobs\n", left);
		fflush(stdout);
		_exit(!out_of_time);
	}
	lws_threadpool_cluster_destroy(state->cluster);
	if (state->pool)
		lws_threadpool_destroy(state->pool);
}

/* The library says what is wrong with a kind, as when it is served: so there is
 * a cluster, but with no server to connect to. */
static int
list(struct worker_options *o, const struct worker_kinds *kinds)
{
	struct worker_state state;
	int n, is_bad;

	memset(&state, 0, sizeof(state));
	memset(&o->cluster, 0, sizeof(o->cluster));
	o->cluster.size = sizeof(o->cluster);
	o->cluster.url = ",";
	o->metrics_port = -1;
	o->threads = 1;
	lws_set_log_level(LLL_ERR, NULL);
	context = make_context(o, &state);
	is_bad = !context || make_cluster(&state, o, kinds) ||
		 add_kinds(&state, o, kinds);
	end(&state, 0);
	lws_context_destroy(context);
	for (n = 0; n < kinds->n && !is_bad; n++)
		printf("%s %u\n", kinds->kind[n]->name,
		       kinds->kind[n]->version);

	return is_bad;
}

int
main(int argc, char **argv)
{
	struct worker_state state;
	struct worker_options o;
	struct worker_kinds kinds;
	int n = 0;

	memset(&state, 0, sizeof(state));
	worker_options(&o, argc, argv);
	if (worker_kinds(&kinds, &o))
		return 1;
	if (o.list)
		return list(&o, &kinds);

	lws_set_log_level(LLL_USER | LLL_ERR | LLL_WARN |
				  (o.verbose ? LLL_NOTICE | LLL_INFO : 0),
			  NULL);
	context = make_context(&o, &state);
	if (!context) {
		if (o.metrics_port >= 0)
			fprintf(stderr,
				WORKER_NAME ": cannot listen on %s, "
					    "port %d\n",
				o.metrics_address, o.metrics_port);
		else
			fprintf(stderr, WORKER_NAME ": no context\n");
		return 1;
	}
	handle_signals(on_signal);
	if (make_cluster(&state, &o, &kinds) || add_kinds(&state, &o, &kinds)) {
		fprintf(stderr, WORKER_NAME ": cannot serve (see above)\n");
		n = -1;
	} else {
		say_hello(&o, &kinds);
		while (n >= 0 && !signals)
			n = lws_service(context, 0);
		n = drain(&state, o.drain_secs);
	}
	end(&state, n);
	handle_signals(SIG_DFL);
	lws_context_destroy(context);
	if (!n)
		printf("ended\n");

	return !!n;
}
