/*
 * lws-threadpool - the whole of it as one source file of libwebsockets
 *
 * SPDX-License-Identifier: MIT
 *
 * scripts/build-into-lws puts this where lws has its own threadpool.c, and the
 * other sources beside it.  lwstp-builtin.h is written by the script: it tells
 * what the lws at hand calls.
 */

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "lwstp-builtin.h"

#include "handle.c"
#include "create.c"
#include "pool.c"
#include "worker.c"
#include "format.c"
#include "enqueue.c"
#include "task.c"
#include "binding.c"
#include "doorbell.c"
#include "host.c"
#include "host-companion.c"
#include "host-builtin.c"
#include "secure-stream.c"
#include "report.c"
