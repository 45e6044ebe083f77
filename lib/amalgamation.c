/*
 * lws-threadpool - the whole of it as one source file of libwebsockets
 *
 * SPDX-License-Identifier: MIT
 *
 * scripts/build-into-lws puts this where lws has its own threadpool.c, and the
 * other sources beside it.  lwstp-amalgamation.h is written by the script: it
 * tells what the lws at hand calls.
 */

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "lwstp-amalgamation.h"

#include "log.c"
#include "handle.c"
#include "find.c"
#include "timer.c"
#include "inbox.c"
#include "wake.c"
#include "sample.c"
#include "name.c"
#include "probe.c"
#include "table.c"
#include "key.c"
#include "token.c"
#include "task.c"
#include "resume.c"
#include "deadline.c"
#include "worker.c"
#include "lws-inside.c"
#include "wsi.c"
#include "handlers.c"
#include "service.c"
#include "detach.c"
#include "clock.c"
#include "http-request.c"
#include "hangup.c"
#include "closing.c"
#include "opt-in.c"
#include "fds.c"
#include "contexts.c"
#include "context.c"
#include "hooks.c"
#include "watch.c"
#include "secure-stream.c"
#include "refuse.c"
#include "admit.c"
#include "enqueue.c"
#include "query.c"
#include "this-task.c"
#include "serve.c"
#include "attach.c"
#include "call.c"
#include "threads.c"
#include "pool.c"
#include "create.c"
#include "report.c"
#include "numbers.c"
#include "metrics.c"
#include "info.c"
