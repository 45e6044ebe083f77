/*
 * lws-threadpool unit tests - a strict reader of OpenMetrics 1.0 text
 *
 * SPDX-License-Identifier: MIT
 *
 * It takes gauges, counters and histograms without timestamps and exemplars,
 * and nothing that the standard forbids, or that it allows and we do not write.
 */

#ifndef LWSTP_UNIT_OPENMETRICS_H
#define LWSTP_UNIT_OPENMETRICS_H

#include <stddef.h>

#define OM_LABELS 3

struct om_label {
	char name[32];
	char value[128]; /* as it is, no longer escaped */
};

struct om_sample {
	char name[96];
	int family;
	int labels;
	struct om_label label[OM_LABELS];
	double value;
};

struct om_family {
	char name[96];
	char type[16]; /* "" until it was told */
	int helps, units;
	int samples;
};

struct om {
	struct om_family family[64];
	int families;
	struct om_sample *sample;
	int samples;
	char error[256]; /* "": there is none */
};

/* Reads it all.  What is wrong with it is in error.  om_free() it. */
struct om *
om_read(const char *text, size_t len);
void
om_free(struct om *om);

/* A label's value, or NULL */
const char *
om_label(const struct om_sample *s, const char *name);

/* The family of that name, or NULL */
const struct om_family *
om_family(const struct om *om, const char *name);

/* The sample of that name with this id; and le, unless that is NULL.  The first
 * of them if id is NULL.  NULL if there is none. */
const struct om_sample *
om_find(const struct om *om, const char *name, const char *id, const char *le);

#endif
