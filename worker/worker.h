/*
 * lws-threadpool-worker: what its files have of each other
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_WORKER_H
#define LWSTP_WORKER_H

#include <signal.h>

#include <lws-threadpool-worker.h>

#define WORKER_NAME  "lws-threadpool-worker"
#define WORKER_FILES 16	 /* of kinds */
#define WORKER_KINDS 256 /* in all of them */

/* -------- options.c -------- */

struct worker_options {
	const char *files[WORKER_FILES];
	int n_files;
	struct lws_threadpool_cluster_options cluster;
	int threads; /* 0: as many as processors */
	int max_jobs;
	int metrics_port; /* -1: none, 0: a free one */
	const char *metrics_address;
	int verbose;
	int list;	/* check and name the kinds, and end */
	int drain_secs; /* 0: no limit */
};

/* of the environment, then of the command line; bad ones end the process with
 * status 2, a request for help with 0 */
void
worker_options(struct worker_options *o, int argc, char **argv);

/* -------- kinds.c -------- */

struct worker_kinds {
	const struct lws_threadpool_cluster_kind *kind[WORKER_KINDS];
	int n;
};

/* 0, or -1 when the reason is on stderr */
int
worker_kinds(struct worker_kinds *kinds, const struct worker_options *o);

/* -------- metrics.c -------- */

/* What /metrics tells of: set before a request can come. */
struct worker_state {
	struct lws_threadpool *pool;
	struct lws_threadpool_cluster *cluster;
	int draining;
};

extern const struct lws_protocols worker_metrics_protocol;

/* -------- numbers.c -------- */

/* the OpenMetrics text: in memory of malloc(), its length in *len; or NULL */
char *
worker_numbers(const struct worker_state *state, size_t *len);

#endif
