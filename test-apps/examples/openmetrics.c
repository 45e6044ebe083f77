/*
 * lws-threadpool tests - a sample of an OpenMetrics text
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-openmetrics NAME <TEXT
 *
 * Reads all of the text, as strictly as the standard is, and prints the value
 * of the first sample of that name.  Exit status 0 if the text has no fault,
 * and the sample.
 */

#include <stdio.h>
#include <stdlib.h>

#include "openmetrics.h"

int
main(int argc, char **argv)
{
	static char text[1 << 20];
	size_t len = fread(text, 1, sizeof(text), stdin);
	const struct om_sample *sample;
	struct om *om;
	int ret = 1;

	if (argc != 2) {
		fprintf(stderr, "usage: %s NAME\n", argv[0]);
		return 2;
	}
	om = om_read(text, len);
	sample = om_find(om, argv[1], NULL, NULL);
	if (om->error[0])
		fprintf(stderr, "no OpenMetrics: %s\n", om->error);
	else if (!sample)
		fprintf(stderr, "no sample %s\n", argv[1]);
	else {
		printf("%.0f\n", sample->value);
		ret = 0;
	}
	om_free(om);

	return ret;
}
