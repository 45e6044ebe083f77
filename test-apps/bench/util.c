/*
 * lws-threadpool benchmark - clock, percentiles, and the lines of output
 *
 * SPDX-License-Identifier: MIT
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

static char parameters[128];

bool
is(const char *a, const char *b)
{
	return !strcmp(a, b);
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
spin_ns(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		;
}

void
die(const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "bench %s: ", opt.row ? opt.row : "");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

void *
need(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		die("no memory");

	/* touched now, so that no row measures page faults of its own */
	return memset(p, 0, (n ? n : 1) * size);
}

void
params(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(parameters, sizeof(parameters), format, ap);
	va_end(ap);
}

void
out_as(const char *who, const char *metric, double value, const char *unit)
{
	printf("%s,%s,%s,%s,%.6g,%s\n", opt.row, who, parameters, metric, value,
	       unit);
	fflush(stdout);
}

void
out(const char *metric, double value, const char *unit)
{
	out_as(opt.who, metric, value, unit);
}

int
compare_ns(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double
permille(const uint32_t *sorted, long n, long p)
{
	long at = n * p / 1000;

	return sorted[at < n ? at : n - 1];
}

void
out_percentiles(const char *prefix, uint32_t *ns, long n)
{
	static const struct {
		const char *name;
		long permille;
	} which[] = {
		{ "p50", 500 },
		{ "p99", 990 },
		{ "p99.9", 999 },
		{ "worst", 1000 },
	};
	char name[64];
	size_t i;

	if (!n)
		return;
	qsort(ns, (size_t)n, sizeof(*ns), compare_ns);
	for (i = 0; i < LWS_ARRAY_SIZE(which); i++) {
		snprintf(name, sizeof(name), "%s%s", prefix, which[i].name);
		out(name, permille(ns, n, which[i].permille) / 1000., "us");
	}
}

static int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), compare_doubles);

	return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}
