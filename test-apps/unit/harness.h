/*
 * lws-threadpool unit tests - a real lws context, real connections, scripted
 * tasks and the log, for tests that wait for conditions and never for a time
 *
 * SPDX-License-Identifier: MIT
 *
 * The test's own thread is the service thread.  It is in lws only while it is
 * inside one of the rig_ functions, so between those a test may call any
 * function of the API as if it were a callback of that wsi.
 *
 * What every test checks without saying so, when its rig is torn down: each
 * accepted job was cleaned up exactly once and no other one at all (T7, T8), no
 * task function ran on two threads at once or was told anything but RUNNING
 * and STOPPING (T2), STOPPING was told once at most and nothing after it (T4),
 * and no line of NOTICE or worse was logged that the test did not claim.
 */

#ifndef LWSTP_UNIT_HARNESS_H
#define LWSTP_UNIT_HARNESS_H

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

/* Of a __wrap_ function that clang's TSan might call: linked into the
 * executable, it gets what is wrapped there, too, before it can bear to be told
 * of functions. */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#if !defined(UNINSTRUMENTED)
#define UNINSTRUMENTED
#endif

#include "evloop.h"

#include "rig.h"
#include "conn.h"
#include "job.h"
#include "log.h"

#endif
