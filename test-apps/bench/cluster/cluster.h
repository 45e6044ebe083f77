/*
 * lws-threadpool benchmark of the cluster - what its files share
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_BENCH_CLUSTER_H
#define LWSTP_BENCH_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include <lws-threadpool-cluster.h>

#define KIND	 "bench"
#define URL_SIZE 40

/* of a stream; the front and the worker have one each */
struct stream {
	uint32_t chunks; /* to be made */
	uint32_t us;	 /* of work for each */
	uint32_t made;
	uint64_t at_ns; /* when the one in hand was */
	struct lws *wsi;
	struct lws_threadpool_task *task;
};

/* what went wrong, with errno, and the end */
_Noreturn void
die(const char *what);
uint64_t
now_ns(void);
/* has a processor do something for so long */
void
work_for(uint32_t us);

/* kind.c: the task function, and the kind that has it */
enum lws_threadpool_task_return
stream_task(void *user, enum lws_threadpool_task_status status);
void
kind_fill(struct lws_threadpool_cluster_kind *kind);

/* engine.c: a nats-server of our own, with a store of its own */
void
engine_begin(char url[URL_SIZE]);
void
engine_end(void);
/* so many workers of one thread each: this program once more */
void
workers_begin(const char *url, int count, bool low_latency);
void
workers_end(void);

/* worker.c: until SIGTERM; the exit status */
int
worker_run(const char *url, bool low_latency);

#endif
