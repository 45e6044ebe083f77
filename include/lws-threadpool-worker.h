/*
 * lws-threadpool-worker - what a shared object of task kinds has
 *
 * SPDX-License-Identifier: MIT
 *
 * The program lws-threadpool-worker serves the kinds of the shared objects that
 * it is given.  Such an object defines this one function; it is linked with
 * what its task functions use, and with -llws-threadpool if they call that.
 */

#ifndef LWS_THREADPOOL_WORKER_H
#define LWS_THREADPOOL_WORKER_H

#include <lws-threadpool-cluster.h>

#if defined(__cplusplus)
extern "C" {
#endif

/** the name to look up */
#define LWS_THREADPOOL_WORKER_KINDS "lws_threadpool_worker_kinds"

/**
 * lws_threadpool_worker_kinds() - the kinds that a shared object has
 * \ingroup lwstp_cluster
 *
 * Defined by the object, not by the library.  Called once, by the main thread,
 * before the program has a context or a thread: so it may also prepare what its
 * task functions need.
 *
 * Returns an array of pointers that ends with NULL; it and all that it leads to
 * stay as they are until the process ends, and the object is never unloaded. Or
 * NULL, after it has said why on stderr: the program then ends with status 1.
 */
LWS_VISIBLE LWS_EXTERN const struct lws_threadpool_cluster_kind *const *
lws_threadpool_worker_kinds(void);

#if defined(__cplusplus)
}
#endif

#endif /* LWS_THREADPOOL_WORKER_H */
