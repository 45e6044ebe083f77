/*
 * lws-threadpool fuzz - inputs of a fuzzer, once each, without libFuzzer
 *
 * SPDX-License-Identifier: MIT
 *
 * usage: lwstp-replay-api FILE..., and so with -names and -wire
 *
 * For any compiler, and for valgrind.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerInitialize(int *argc, char ***argv);

static int
replay(const char *path)
{
	uint8_t data[4096];
	FILE *f = fopen(path, "rb");
	size_t size = f ? fread(data, 1, sizeof(data), f) : 0;
	bool whole = f && !ferror(f) && size < sizeof(data);

	if (f)
		fclose(f);
	if (!whole) {
		fprintf(stderr,
			"%s: cannot be read, or has %zu bytes or "
			"more\n",
			path, sizeof(data));
		return 1;
	}

	return LLVMFuzzerTestOneInput(data, size);
}

int
main(int argc, char **argv)
{
	int n;

	if (argc < 2 || LLVMFuzzerInitialize(&argc, &argv))
		return 1;
	for (n = 1; n < argc; n++)
		if (replay(argv[n]))
			return 1;
	printf("%d inputs\n", argc - 1);

	return 0;
}
