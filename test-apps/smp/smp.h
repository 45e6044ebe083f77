/*
 * lws-threadpool - what the tests of several service threads have in common
 *
 * SPDX-License-Identifier: MIT
 *
 * Four threads serve one context.  Their server takes raw connections.  A test
 * leaves itself out where libwebsockets has one service thread, unless
 * LWSTP_SMP_MUST_RUN is set.
 */

#ifndef LWSTP_SMP_H
#define LWSTP_SMP_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <libwebsockets.h>
#include <lws-threadpool.h>

#define SMP_THREADS	  4
#define SMP_DEADLINE_SECS 100

extern struct lws_context *smp_context;
extern struct lws_threadpool *smp_tp;
extern atomic_bool smp_stop;

/* whether this is that service thread */
bool
smp_is_thread(int tsi);

/* Waits, without a turn of anything, until there are n; fails late */
void
smp_wait_int(atomic_int *p, int n);

/* Until that service thread has come out of lws, once or more; aborts late */
void
smp_wait_turn(int tsi);

/* A connection to the server, as an fd; aborts if there is none */
int
smp_connect(void);

/* A context whose connections get this callback, a pool, the service threads;
 * or the test is left out */
void
smp_begin(lws_callback_function *callback, int threads, int depth);

/* The service threads end, if they have not; smp_end(): the context, if it is
 * not NULL, and the pool, too */
void
smp_threads_end(void);
void
smp_end(void);

#endif
