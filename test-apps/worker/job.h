/*
 * lws-threadpool worker test - what a job of its kinds says
 *
 * SPDX-License-Identifier: MIT
 */

#ifndef LWSTP_WORKER_TEST_JOB_H
#define LWSTP_WORKER_TEST_JOB_H

#include <stdint.h>

/* the request */
struct ask {
	uint32_t chunks;
	uint32_t us; /* of pause before each */
};

/* a chunk */
struct part {
	uint32_t number;
	uint32_t pid; /* who made it */
};

#endif
